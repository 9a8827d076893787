"""FLAC metadata and frame headers are read and written as RFC 9639 says."""

import io

import numpy as np
import pytest
import soundfile

from recorder import flac
from recorder.flac import BLOCK_BYTES_MAX, FlacDefect, MetadataBlock, SeekPoint


def encoded(samples: int, channels: int = 1, rate: int = 8000, level: float = 0.625) -> bytes:
    noise = np.random.default_rng(samples).integers(-99, 99, (samples, channels)).astype(np.int16)
    target = io.BytesIO()
    with soundfile.SoundFile(
        target, "w", rate, channels, "PCM_16", format="FLAC", compression_level=level
    ) as file:
        file.write(noise)
    return target.getvalue()


@pytest.mark.parametrize(("rate", "level"), [(8000, 0.625), (8000, 0.0), (44100, 0.625), (12345, 0.625)])
def test_every_frame_of_a_stream_is_found_by_its_header(rate: int, level: float) -> None:
    """Walking by CRC-checked headers from the first frame finds each sample once."""
    stream = encoded(300_000, rate=rate, level=level)
    blocks, at = flac.split(stream)
    size = flac.block_size(blocks[0])
    expected = 0
    while expected < 300_000:
        header = flac.frame_header(stream, at, size)
        assert header.first_sample == expected
        expected += header.samples
        at += 4
        while expected < 300_000:
            try:
                following = flac.frame_header(stream, at, size)
            except FlacDefect:
                at += 1
                continue
            if following.first_sample == expected:
                break
            at += 1
    assert expected == 300_000


def test_blocks_are_written_as_they_were_read() -> None:
    """Splitting and joining gives the same octets."""
    stream = encoded(5000)
    blocks, start = flac.split(stream)
    assert flac.join(blocks) + stream[start:] == stream


def test_a_block_may_be_as_long_as_its_length_field_allows() -> None:
    """16777215 octets pass, one more is refused."""
    info = flac.split(encoded(100))[0][0]
    whole = flac.join([info, flac.application(b"test", bytes(BLOCK_BYTES_MAX - 4))])
    assert len(flac.split(whole)[0][1].body) == BLOCK_BYTES_MAX
    with pytest.raises(FlacDefect, match="split it"):
        flac.join([info, flac.application(b"test", bytes(BLOCK_BYTES_MAX - 3))])


def test_seek_points_are_read_as_written() -> None:
    """18 octets a point, ascending; a table that does not ascend is refused."""
    points = [SeekPoint(0, 0, 4096), SeekPoint(4096, 2**40, 4096)]
    block = flac.seek_table(points)
    assert (block.kind, len(block.body)) == (flac.SEEKTABLE, 36)
    assert flac.seek_points(block) == points
    with pytest.raises(FlacDefect, match="ascend"):
        flac.seek_table(points[::-1])


def test_application_data_is_found_by_its_identifier() -> None:
    """Blocks of other identifiers and kinds are left alone."""
    blocks = [MetadataBlock(4, b"test"), flac.application(b"test", b"1"), flac.application(b"else", b"2")]
    assert flac.application_data(blocks, b"test") == [b"1"]


@pytest.mark.parametrize(
    "stream",
    [b"", b"RIFF", b"fLaC", b"fLaC\x80\x00\x00\x22" + bytes(33), b"fLaC\x84\x00\x00\x00", b"fLaC\x00"],
)
def test_what_is_no_flac_stream_is_refused(stream: bytes) -> None:
    """Neither nothing, nor another format, nor half a stream."""
    with pytest.raises(FlacDefect):
        flac.split(stream)


def test_a_damaged_frame_header_is_refused() -> None:
    """One bit flipped anywhere in the header is found by its CRC or its sync code."""
    stream = bytearray(encoded(5000))
    _, start = flac.split(stream)
    for bit in range(8 * 6):
        broken = bytearray(stream)
        broken[start + bit // 8] ^= 1 << bit % 8
        with pytest.raises(FlacDefect):
            flac.frame_header(broken, start, 4096)
