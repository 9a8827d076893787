"""Sound becomes A-law octets, and A-law stays what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.client.sound import FILE_SECONDS_MAX, SoundUnreadable, mix, read_sound, resample, to_alaw, tones
from recorder.rtp.g711 import Law, expand

ALL_CODES = bytes(range(256))


def samples_of(octets: bytes) -> np.ndarray:
    return expand(np.frombuffer(octets, np.uint8), Law.A)


def test_an_alaw_file_keeps_every_octet(tmp_path: Path) -> None:
    path = tmp_path / "alaw.wav"
    soundfile.write(path, samples_of(ALL_CODES), 8000, subtype="ALAW")
    assert read_sound(path) == ALL_CODES


def test_a_stereo_file_of_another_rate_becomes_one_channel_at_8_khz(tmp_path: Path) -> None:
    path = tmp_path / "stereo.flac"
    at = np.arange(44100) / 44100
    tone = (8000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16)
    soundfile.write(path, np.stack([tone, tone], axis=1), 44100)
    octets = read_sound(path)
    assert len(octets) == 8000
    heard = samples_of(octets).astype(float)
    expected = 8000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    assert np.abs(heard - expected)[100:-100].max() < 400


def test_a_file_that_is_no_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("not sound")
    with pytest.raises(SoundUnreadable, match=r"note\.txt"):
        read_sound(path)
    with pytest.raises(SoundUnreadable):
        read_sound(tmp_path / "missing.wav")


@pytest.mark.parametrize(("seconds", "accepted"), [(FILE_SECONDS_MAX, True), (FILE_SECONDS_MAX + 1, False)])
def test_a_file_has_at_most_an_hour(tmp_path: Path, seconds: int, accepted: bool) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(seconds * 100, np.int16), 100)
    if accepted:
        assert len(read_sound(path)) == seconds * 8000
    else:
        with pytest.raises(SoundUnreadable, match="longer"):
            read_sound(path)


def test_nothing_resampled_is_nothing() -> None:
    assert len(resample(np.zeros(0, np.int16), 22050)) == 0


def test_mixing_adds_and_keeps_the_longer_one() -> None:
    loud, quiet = to_alaw(np.full(4, 1000, np.int16)), to_alaw(np.full(2, 2000, np.int16))
    mixed = samples_of(mix(loud, quiet)).astype(int)
    assert len(mixed) == 4
    assert np.abs(mixed - [3000, 3000, 1000, 1000]).max() < 100


def test_mixing_never_wraps() -> None:
    loudest = to_alaw(np.full(4, 32000, np.int16))
    assert samples_of(mix(loudest, loudest)).min() > 30000


def test_tones_take_turns() -> None:
    first, second = tones(2, 440, speaks_first=True), tones(2, 660, speaks_first=False)
    power = [
        [np.abs(samples_of(half).astype(int)).max() for half in (party[:8000], party[8000:])]
        for party in (first, second)
    ]
    assert power[0][0] > 7000 > 10 > power[0][1]
    assert power[1][1] > 7000 > 10 > power[1][0]
