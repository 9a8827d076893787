"""WAV and single channels are, sample for sample, what the archived FLAC holds."""

import io
import wave
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from archive.decoding import PIECE_FRAMES
from archive.errors import StoreUnavailable, VerificationFailed
from playback_portal import transcoding
from playback_portal.transcoding import AudioSource, ChannelFlac, TooLong, Wav, WholeFlac

FRAMES = 2 * PIECE_FRAMES + 777


class Reader:
    """An opened object in memory; counts what is read, and can fail from some position on."""

    def __init__(self, content: bytes, broken_from: int | None = None) -> None:
        self.content = content
        self.broken_from = broken_from
        self.octets_read = 0

    @property
    def length(self) -> int:
        return len(self.content)

    def read(self, first: int, last_exclusive: int) -> bytes:
        if self.broken_from is not None and last_exclusive > self.broken_from:
            raise StoreUnavailable("The store is away.")
        self.octets_read += last_exclusive - first
        return self.content[first:last_exclusive]

    def chunks(self, first: int, last_exclusive: int) -> Iterator[bytes]:
        yield self.read(first, last_exclusive)


def noise(channels: int, frames: int = FRAMES) -> npt.NDArray[np.int16]:
    return np.random.default_rng(7).integers(-32768, 32767, (frames, channels), dtype=np.int16)


def flac(samples: npt.NDArray[np.int16]) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def whole(source: AudioSource) -> bytes:
    return b"".join(source.pieces(0, source.length))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_wav_of_all_channels_is_read_by_an_independent_reader(channels: int) -> None:
    samples = noise(channels)
    source = Wav(Reader(flac(samples)), None)
    content = whole(source)
    assert len(content) == source.length
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (channels, 8000, 2)
        assert file.readframes(FRAMES + 1) == samples.tobytes()


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_one_channel_as_wav_and_as_flac_is_that_channel(channel: int) -> None:
    samples, reader = noise(3), Reader(flac(noise(3)))
    for source in (Wav(reader, channel), ChannelFlac(reader, channel)):
        found, rate = soundfile.read(io.BytesIO(whole(source)), dtype="int16")
        assert rate == 8000
        assert np.array_equal(found, samples[:, channel])


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0, 1),
        (0, 44),
        (43, 45),
        (44, 46),
        (45, 47),
        (46, 50),
        (0, 44 + 4),
        (44 + 4 * PIECE_FRAMES - 3, 44 + 4 * PIECE_FRAMES + 3),
        (-5, None),
        (101, None),
    ],
)
def test_any_range_of_a_wav_is_that_part_of_the_whole(first: int, last: int | None) -> None:
    source = Wav(Reader(flac(noise(2))), None)
    content = whole(source)
    first = first % source.length
    last = source.length if last is None else last
    assert b"".join(source.pieces(first, last)) == content[first:last]


def test_pieces_are_bounded_and_the_decoder_fetches_little_for_a_little_range() -> None:
    reader = Reader(flac(noise(2, 20 * PIECE_FRAMES)))
    source = Wav(reader, None)
    assert max(len(piece) for piece in source.pieces(0, source.length)) <= PIECE_FRAMES * 4
    reader.octets_read = 0
    assert len(b"".join(source.pieces(source.length // 2, source.length // 2 + 1000))) == 1000
    assert reader.octets_read < reader.length // 2


def test_the_whole_flac_is_what_was_archived() -> None:
    content = flac(noise(2))
    source = WholeFlac(Reader(content))
    assert source.length == len(content)
    assert b"".join(source.pieces(5, 1000)) == content[5:1000]


def test_making_one_channel_twice_gives_the_same_octets() -> None:
    reader = Reader(flac(noise(2)))
    assert whole(ChannelFlac(reader, 0)) == whole(ChannelFlac(reader, 0))


@pytest.mark.parametrize("make", [lambda reader: Wav(reader, None), lambda reader: ChannelFlac(reader, 0)])
def test_a_store_that_goes_away_while_decoding_is_told_and_not_a_short_file(
    make: Callable[[Reader], AudioSource],
) -> None:
    content = flac(noise(2))
    with pytest.raises(StoreUnavailable):
        whole(make(Reader(content, broken_from=len(content) // 2)))


@pytest.mark.parametrize("content", [b"", b"fLaC", b"RIFFxxxx", flac(noise(2))[:100_000]])
def test_what_is_no_whole_flac_is_a_failed_verification(content: bytes) -> None:
    with pytest.raises(VerificationFailed):
        whole(Wav(Reader(content), None))


def test_one_channel_as_flac_is_made_up_to_the_limit_and_not_above() -> None:
    reader = Reader(flac(noise(2)))
    size = ChannelFlac(reader, 0).length
    assert ChannelFlac(reader, 0, bytes_max=size).length == size
    with pytest.raises(TooLong, match="format=wav"):
        ChannelFlac(reader, 0, bytes_max=size // 2)


def test_a_wav_is_made_up_to_the_limit_and_not_above(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(flac(noise(2)))
    length = Wav(reader, None).length
    monkeypatch.setattr(transcoding, "WAV_BYTES_MAX", length)
    assert Wav(reader, None).length == length
    monkeypatch.setattr(transcoding, "WAV_BYTES_MAX", length - 1)
    with pytest.raises(TooLong, match="format=flac"):
        Wav(reader, None)
