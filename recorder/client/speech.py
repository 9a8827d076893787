"""A spoken conversation for sample calls: two Dutch voices that take turns.

The voices come from eSpeak NG, in the package of the demo extra, called through
ctypes; there are no sound files. Without the extra the parties exchange tones.

Rules: what was spoken once is kept in memory, because the library is one global
machine that must not be entered twice. Not here: playing (`recorder.client.media`).
"""

from __future__ import annotations

import ctypes
import threading
from functools import lru_cache
from importlib import import_module
from typing import ClassVar

import numpy as np

from recorder.client.call import SAMPLE_RATE_HZ, SILENCE
from recorder.client.sound import resample, to_alaw, tones
from recorder.errors import DependencyUnavailable

CALLER_VOICE = b"nl"
CALLEE_VOICE = b"nl+f2"

# Who speaks (caller first) and what is said; a demonstration call repeats it until its time is over.
CONVERSATION = (
    "Goedemiddag, u spreekt met Jansen. Ik bel over mijn bestelling van vorige week.",
    "Goedemiddag meneer Jansen. Dit gesprek wordt opgenomen. Wat is uw bestelnummer?",
    "Dat is vier twee nul zeven. Ik wil het bezorgadres graag wijzigen.",
    "Dat kan. Ik heb het aangepast. U ontvangt zo een bevestiging.",
    "Hartelijk dank voor de hulp. Nog een fijne dag.",
    "Graag gedaan. Tot ziens.",
)

# Between two turns people are silent for a moment.
_TURN_GAP_S = 0.4

_OUTPUT_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: samples come by callback, synthesis returns when done
_CHARACTERS_UTF8 = 1
_SAMPLES_PER_SENTENCE_MAX = 60 * 22050  # a sentence of a minute is a library that does not stop
_STOP, _GO_ON = 1, 0

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class VoiceUnavailable(DependencyUnavailable):
    """No speech can be made here; install the extra `demo`, or give sound files."""


class _Synthesiser:
    """The one eSpeak of this process."""

    _lock: ClassVar[threading.Lock] = threading.Lock()
    _shared: ClassVar[_Synthesiser | None] = None

    def __init__(self) -> None:
        try:
            loader = import_module("espeakng_loader")
            self._library = ctypes.CDLL(loader.get_library_path())
        except (ImportError, OSError) as error:
            raise VoiceUnavailable("Speech needs the extra `demo` (espeakng-loader).") from error
        self._samples: list[np.ndarray[tuple[int], np.dtype[np.int16]]] = []
        self._count = 0
        data_path = str(loader.get_data_path()).encode()
        self._rate_hz: int = self._library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, data_path, 0)
        if self._rate_hz <= 0:
            raise VoiceUnavailable("eSpeak NG does not start; reinstall the extra `demo`.")
        # Kept for as long as the library may call it.
        self._callback = _Callback(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    @classmethod
    def say(cls, voice: bytes, text: str) -> bytes:
        """Return `text` as A-law octets; raises `VoiceUnavailable`."""
        with cls._lock:
            cls._shared = cls._shared or cls()
            return cls._shared._speak(voice, text)  # noqa: SLF001 - its own class

    def _speak(self, voice: bytes, text: str) -> bytes:
        self._samples, self._count = [], 0
        if self._library.espeak_SetVoiceByName(voice) != 0:
            raise VoiceUnavailable("eSpeak NG has no Dutch voice; reinstall the extra `demo`.")
        octets = text.encode()
        failed = self._library.espeak_Synth(
            octets, ctypes.c_size_t(len(octets) + 1), 0, 0, 0, _CHARACTERS_UTF8, None, None
        )
        if failed or not self._samples:
            raise VoiceUnavailable("eSpeak NG made no sound.")
        return to_alaw(resample(np.concatenate(self._samples), self._rate_hz))

    def _take(self, samples: ctypes._Pointer[ctypes.c_short] | None, count: int, _events: int | None) -> int:
        if not samples or count <= 0:
            return _GO_ON
        self._samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        self._count += count
        return _STOP if self._count > _SAMPLES_PER_SENTENCE_MAX else _GO_ON


@lru_cache(maxsize=64)
def spoken(voice: bytes, text: str) -> bytes:
    """Return `text` spoken by an eSpeak voice as A-law octets; raises `VoiceUnavailable`."""
    return _Synthesiser.say(voice, text)


def conversation(seconds: float | None = None) -> tuple[bytes, bytes]:
    """Return caller and callee of the sample conversation, equally long; raises `VoiceUnavailable`.

    Without `seconds` it is spoken once, else repeated and cut to that length.
    """
    pause = SILENCE * round(_TURN_GAP_S * SAMPLE_RATE_HZ)
    parties = [b"", b""]
    for number, text in enumerate(CONVERSATION):
        speaks, listens = number % 2, 1 - number % 2
        said = spoken((CALLER_VOICE, CALLEE_VOICE)[speaks], text) + pause
        parties[speaks] += said
        parties[listens] += SILENCE * len(said)
    if seconds is None:
        return parties[0], parties[1]
    octets = round(seconds * SAMPLE_RATE_HZ)
    caller, callee = ((party * (octets // len(party) + 1))[:octets] for party in parties)
    return caller, callee


def tone_conversation(seconds: float) -> tuple[bytes, bytes]:
    """Return caller and callee as tones of 440 and 660 Hz that take turns."""
    return tones(seconds, 440, speaks_first=True), tones(seconds, 660, speaks_first=False)
