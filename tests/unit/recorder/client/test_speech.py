"""The sample conversation is spoken by two voices that take turns."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from recorder.client import speech
from recorder.client.speech import VoiceUnavailable, conversation, spoken, tone_conversation
from recorder.rtp.g711 import Law, expand


def loudness(octets: bytes) -> np.ndarray:
    """Return whether something is heard in each tenth of a second."""
    samples = np.abs(expand(np.frombuffer(octets, np.uint8), Law.A).astype(int))
    return samples[: len(samples) // 800 * 800].reshape(-1, 800).max(axis=1) > 200


def test_both_parties_speak_and_never_together() -> None:
    caller, callee = conversation()
    assert len(caller) == len(callee)
    heard = loudness(caller), loudness(callee)
    assert 0.3 < heard[0].mean() + heard[1].mean() <= 1
    # Only a tenth of a second in which one turn ends and the next begins may hold both.
    assert (heard[0] & heard[1]).sum() <= len(speech.CONVERSATION)


def test_the_voices_differ() -> None:
    assert spoken(speech.CALLER_VOICE, "Goedemiddag") != spoken(speech.CALLEE_VOICE, "Goedemiddag")


def test_a_conversation_has_the_length_asked_for() -> None:
    for seconds in (0.5, 60.0):
        caller, callee = conversation(seconds)
        assert len(caller) == len(callee) == round(seconds * 8000)


def test_what_was_said_is_kept() -> None:
    assert spoken(speech.CALLER_VOICE, "Tot ziens") is spoken(speech.CALLER_VOICE, "Tot ziens")


def test_without_the_extra_there_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(speech._Synthesiser, "_shared", None)
    with pytest.raises(VoiceUnavailable, match="demo"):
        spoken.__wrapped__(speech.CALLER_VOICE, "iets")


def test_tones_stand_in() -> None:
    caller, callee = tone_conversation(2)
    assert len(caller) == len(callee) == 16000
    assert not (loudness(caller) & loudness(callee)).any()
