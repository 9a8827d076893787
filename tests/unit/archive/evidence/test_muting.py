"""Muting: what is kept is the archived sound to the sample, and everything else is zero."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.data_subject import Kept
from archive.decoding import PIECE_FRAMES
from archive.errors import StoreUnavailable, VerificationFailed
from archive.evidence.muting import muted, silenced

RATE = 8000


class Reader:
    """An opened object in memory; can be away."""

    def __init__(self, content: bytes, *, away: bool = False) -> None:
        self._content = content
        self._away = away

    @property
    def length(self) -> int:
        return len(self._content)

    def read(self, first: int, last_exclusive: int) -> bytes:
        if self._away:
            raise StoreUnavailable("The store is away.")
        return self._content[first:last_exclusive]

    def chunks(self, first: int, last_exclusive: int) -> Iterator[bytes]:
        yield self.read(first, last_exclusive)


def noise(frames: int, channels: int = 2, seed: int = 7) -> npt.NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-32768, 32767, (frames, channels), dtype=np.int16)


def flac(samples: npt.NDArray[np.int16], rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def heard(files: list[bytes]) -> npt.NDArray[np.int16]:
    """Return what an independent decoder finds in the files, one behind the other."""
    found = [soundfile.read(io.BytesIO(each), dtype="int16", always_2d=True)[0] for each in files]
    return np.concatenate(found)


@pytest.mark.parametrize("mine", [0, 1])
@pytest.mark.parametrize("frames", [1, RATE, 2 * PIECE_FRAMES + 777])
def test_the_other_channel_is_all_zero_and_the_own_one_identical(mine: int, frames: int) -> None:
    samples = noise(frames)
    [file] = muted(Reader(flac(samples)), [Kept(mine, 0, None)])
    found = heard([file])
    assert found.shape == samples.shape
    assert np.array_equal(found[:, mine], samples[:, mine])
    assert not found[:, 1 - mine].any()


def test_who_came_by_a_transfer_is_kept_from_that_sample_on_and_not_before() -> None:
    samples = noise(4 * RATE)
    found = heard(list(muted(Reader(flac(samples)), [Kept(1, 1500, 2750)])))
    assert not found[:, 0].any()
    assert not found[:12_000, 1].any()
    assert not found[22_000:, 1].any()
    assert np.array_equal(found[12_000:22_000, 1], samples[12_000:22_000, 1])


def test_in_a_conference_one_of_four_is_kept() -> None:
    samples = noise(RATE, channels=4)
    found = heard(list(muted(Reader(flac(samples, 16_000)), [Kept(2, 0, None)])))
    assert np.array_equal(found[:, 2], samples[:, 2])
    assert not np.delete(found, 2, axis=1).any()


def test_a_long_call_is_several_files_that_are_the_call_one_behind_the_other() -> None:
    samples = noise(5 * PIECE_FRAMES + 3)
    files = list(muted(Reader(flac(samples)), [Kept(0, 0, None)], bytes_max=200_000))
    assert len(files) > 2
    found = heard(files)
    assert np.array_equal(found[:, 0], samples[:, 0])
    assert not found[:, 1].any()


def test_nothing_kept_is_silence_of_the_same_length() -> None:
    found = heard(list(muted(Reader(flac(noise(RATE))), [])))
    assert found.shape == (RATE, 2)
    assert not found.any()


_stretches = st.tuples(st.integers(0, 1), st.integers(0, 3000), st.none() | st.integers(0, 3000))


@settings(max_examples=60, deadline=None)
@given(st.lists(_stretches, max_size=3), st.integers(1, 5000))
def test_pieces_of_any_size_silence_the_same(drawn: list[tuple[int, int, int | None]], piece: int) -> None:
    samples, kept = noise(2 * RATE), [Kept(*each) for each in drawn]
    at_once = silenced(samples, 0, kept, RATE)
    in_pieces = [silenced(samples[n : n + piece], n, kept, RATE) for n in range(0, len(samples), piece)]
    assert np.array_equal(np.concatenate(in_pieces), at_once)
    assert set(np.unique(at_once[at_once != samples])) <= {0}


def test_a_store_that_is_away_and_sound_that_is_damaged_give_no_file() -> None:
    with pytest.raises(StoreUnavailable):
        list(muted(Reader(flac(noise(RATE)), away=True), []))
    with pytest.raises(VerificationFailed):
        list(muted(Reader(b"no sound"), []))
