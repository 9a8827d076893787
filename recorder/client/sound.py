"""Sound for a call to place: files, tones and mixing, as A-law octets at 8 kHz.

Rules: what is 8 kHz A-law already stays octet for octet as it is; everything else
is mixed down to one channel, resampled by its spectrum and companded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from recorder.client.call import SAMPLE_RATE_HZ, SILENCE
from recorder.errors import RecorderError
from recorder.rtp.g711 import Law, compress, expand

# An hour of 48 kHz samples is held in memory a few times over while it is resampled.
FILE_SECONDS_MAX = 3600

_TONE_PEAK = 8000

Samples = npt.NDArray[np.int16]


class SoundUnreadable(RecorderError):  # noqa: N818 - a state of the file
    """The file the user named holds no sound that can be read; give a WAV or FLAC file."""


def read_sound(path: Path) -> bytes:
    """Return the sound of a file as A-law octets; raises `SoundUnreadable`."""
    try:
        with soundfile.SoundFile(path) as file:
            if file.frames > FILE_SECONDS_MAX * file.samplerate:
                raise SoundUnreadable(
                    f"{path.name} is longer than {FILE_SECONDS_MAX} s; give a shorter file."
                )
            frames = file.read(dtype="int16", always_2d=True)
            rate_hz = file.samplerate
    except (soundfile.LibsndfileError, OSError) as error:
        raise SoundUnreadable(f"{path.name} can't be read as sound: {error}") from error
    mono = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1).astype(np.int16)
    return to_alaw(resample(mono, rate_hz))


def to_alaw(samples: Samples) -> bytes:
    """Return the samples as A-law octets, one each."""
    return compress(samples, Law.A).tobytes()


def resample(samples: Samples, rate_hz: int) -> Samples:
    """Return the samples at 8 kHz, by cutting or padding their spectrum."""
    if rate_hz == SAMPLE_RATE_HZ or len(samples) == 0:
        return samples
    count = round(len(samples) * SAMPLE_RATE_HZ / rate_hz)
    spectrum = np.fft.rfft(samples)[: count // 2 + 1]
    wave = np.fft.irfft(spectrum, count) * (count / len(samples))
    return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)


def mix(one: bytes, other: bytes) -> bytes:
    """Return two A-law streams as one, as an exchange mixes the parties of a call."""
    length = max(len(one), len(other))
    total = np.zeros(length, np.int32)
    for octets in (one, other):
        padded = np.frombuffer(octets.ljust(length, SILENCE), np.uint8)
        total += expand(padded, Law.A)
    return to_alaw(np.clip(total, -32768, 32767).astype(np.int16))


def tones(seconds: float, hertz: float, *, speaks_first: bool) -> bytes:
    """Return a tone that is on and off by turns of a second, so that two parties alternate."""
    at = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    speaking = (at.astype(np.int64) % 2 == 0) == speaks_first
    wave = np.where(speaking, _TONE_PEAK * np.sin(2 * np.pi * hertz * at), 0.0)
    return to_alaw(np.rint(wave).astype(np.int16))
