"""An MP4 file of the archived FLAC is, to a reader of others, sample for sample the same."""

import hashlib
import io
from collections.abc import Iterator

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from archive.errors import VerificationFailed
from playback_portal.mp4 import HEAD_BYTES, Mp4, NotIndexed, head_of, no_heads, read_index
from recorder import flac
from recorder.encoding import FlacEncoder
from recorder.flac import MetadataBlock

FRAME = 4096


class Reader:
    """An opened object in memory; counts what is read."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.octets_read = 0

    @property
    def length(self) -> int:
        return len(self.content)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def read(self, first: int, last_exclusive: int) -> bytes:
        self.octets_read += last_exclusive - first
        return self.content[first:last_exclusive]

    def chunks(self, first: int, last_exclusive: int) -> Iterator[bytes]:
        yield self.read(first, last_exclusive)


def noise(frames: int, channels: int = 2) -> npt.NDArray[np.int16]:
    return np.random.default_rng(7).integers(-3000, 3000, (frames, channels), dtype=np.int16)


def archived(samples: npt.NDArray[np.int16], *applications: MetadataBlock) -> bytes:
    encoder = FlacEncoder(samples.shape[1])
    encoder.write(samples)
    return encoder.finish(applications)


def whole(content: bytes) -> bytes:
    source = Mp4(Reader(content), no_heads())
    made = b"".join(source.pieces(0, source.length))
    assert len(made) == source.length
    return made


def decoded(content: bytes) -> npt.NDArray[np.int16]:
    with av.open(io.BytesIO(content), "r") as file:
        [stream] = file.streams.audio
        assert (stream.codec_context.name, stream.rate) == ("flac", 8000)
        pieces = [frame.to_ndarray().reshape(-1, stream.channels) for frame in file.decode(stream)]
        assert stream.duration == sum(len(piece) for piece in pieces)
    found: npt.NDArray[np.int16] = np.concatenate(pieces)
    return found


@pytest.mark.parametrize(
    "frames", [160, 4000, FRAME - 1, FRAME, FRAME + 1, 10 * FRAME, 10 * FRAME + 16, 99_999]
)
@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_an_independent_reader_finds_the_same_samples(frames: int, channels: int) -> None:
    """Whatever the length and the number of channels, the last frame included."""
    samples = noise(frames, channels)
    assert np.array_equal(decoded(whole(archived(samples))), samples)


def test_seeking_by_the_index_arrives_at_the_frame_of_each_place() -> None:
    """The packet a seek finds begins at or before its place, less than a frame away."""
    made = whole(archived(noise(31 * FRAME + 300)))
    with av.open(io.BytesIO(made), "r") as file:
        [stream] = file.streams.audio
        for place in range(0, 31 * FRAME + 300, 1111):
            file.seek(place, stream=stream, backward=True)
            packet = next(file.demux(stream))
            assert packet.pts is not None
            assert packet.pts <= place < packet.pts + FRAME


@pytest.mark.parametrize(
    ("first", "last"), [(0, 1), (3, 900), (400, 60_000), (-70_000, None), (-1, None), (0, None)]
)
def test_any_range_is_that_part_of_the_whole(first: int, last: int | None) -> None:
    """Also across the border between the index and the frames."""
    source = Mp4(Reader(archived(noise(80_000))), no_heads())
    made = b"".join(source.pieces(0, source.length))
    first, last = first % source.length, source.length if last is None else last
    assert b"".join(source.pieces(first, last)) == made[first:last]


def test_a_little_range_reads_little() -> None:
    """The index and what is asked for, never the whole object."""
    reader = Reader(archived(noise(800_000)))
    source = Mp4(reader, no_heads())
    assert len(b"".join(source.pieces(source.length - 1000, source.length))) == 1000
    assert reader.octets_read == HEAD_BYTES + 1000


def test_metadata_larger_than_what_is_fetched_first_is_walked_through() -> None:
    """A large block after the table is stepped over, not read."""
    samples = noise(50_000)
    content = archived(samples, flac.application(b"test", bytes(3 * HEAD_BYTES)))
    reader = Reader(content)
    Mp4(reader, no_heads())
    assert reader.octets_read < 2 * HEAD_BYTES
    assert np.array_equal(decoded(whole(content)), samples)


def test_the_index_is_read_once_for_who_listens_on() -> None:
    """Each range after the first reads the sound it asks for, and the same octets come."""
    reader, heads = Reader(archived(noise(800_000))), no_heads()
    first = Mp4(reader, heads)
    made = b"".join(first.pieces(0, first.length))
    reader.octets_read = 0
    again = Mp4(reader, heads)
    assert again.length == first.length
    assert b"".join(again.pieces(again.length - 1000, again.length)) == made[-1000:]
    assert b"".join(again.pieces(0, 500)) == made[:500]
    assert reader.octets_read == 1000


@pytest.mark.parametrize(("room", "octets_read"), [(0, 0), (1, HEAD_BYTES)])
def test_a_long_index_is_not_kept(monkeypatch: pytest.MonkeyPatch, room: int, octets_read: int) -> None:
    """At the limit it is, one octet above it is not."""
    reader, heads = Reader(archived(noise(800_000))), no_heads()
    before = len(head_of(read_index(reader)))
    monkeypatch.setattr("playback_portal.mp4.HEAD_KEPT_BYTES_MAX", before - room)
    Mp4(reader, heads)
    reader.octets_read = 0
    Mp4(reader, heads)
    assert reader.octets_read == octets_read


def test_what_has_no_index_is_refused_and_not_guessed() -> None:
    """An encoder alone writes no SEEKTABLE; a table with holes is none either."""
    samples = noise(50_000)
    bare = io.BytesIO()
    soundfile.write(bare, samples, 8000, format="FLAC", subtype="PCM_16")
    with pytest.raises(NotIndexed):
        Mp4(Reader(bare.getvalue()), no_heads())
    blocks, start = flac.split(archived(samples))
    points = flac.seek_points(blocks[1])
    for fewer in (points[1:], points[:-1], points[::2], []):
        content = flac.join([blocks[0], flac.seek_table(fewer), *blocks[2:]]) + archived(samples)[start:]
        with pytest.raises(NotIndexed):
            Mp4(Reader(content), no_heads())


def test_a_flac_that_ends_within_its_metadata_is_a_fault_of_the_archive() -> None:
    """It is told as damage, never as an empty recording."""
    with pytest.raises(VerificationFailed):
        Mp4(Reader(archived(noise(50_000))[:60]), no_heads())
