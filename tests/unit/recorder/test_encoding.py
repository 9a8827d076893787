"""The encoder gives lossless FLAC with a SEEKTABLE that is true."""

import io

import numpy as np
import pytest
import soundfile

from recorder import encoding, flac
from recorder.encoding import FlacEncoder
from recorder.flac import CHANNELS_MAX, FlacDefect
from recorder.rtp.g711 import Law, compress, expand, pack_negative_zeros


def encoded(frames: np.ndarray, block: int = 480_000, applications: tuple = ()) -> bytes:
    encoder = FlacEncoder(frames.shape[1])
    for first in range(0, len(frames), block):
        encoder.write(frames[first : first + block])
    return encoder.finish(applications)


def noise(samples: int, channels: int) -> np.ndarray:
    return np.random.default_rng(samples).normal(0, 900, (samples, channels)).astype(np.int16)


@pytest.mark.parametrize("channels", [1, 2, 3, CHANNELS_MAX])
def test_decoding_gives_back_every_sample(channels: int) -> None:
    """16 bits, 8 kHz, whatever the number of channels."""
    frames = noise(30_001, channels)
    stream = encoded(frames)
    decoded, rate = soundfile.read(io.BytesIO(stream), dtype="int16", always_2d=True)
    assert rate == 8000
    assert (decoded == frames).all()
    info = soundfile.info(io.BytesIO(stream))
    assert (info.format, info.subtype, info.frames) == ("FLAC", "PCM_16", 30_001)


def test_more_channels_than_flac_has_are_refused() -> None:
    """Eight pass (see above), nine and none do not."""
    for channels in (0, CHANNELS_MAX + 1):
        with pytest.raises(FlacDefect, match="1 to 8"):
            FlacEncoder(channels)


@pytest.mark.parametrize("samples", [1, 160, 4095, 4096, 4097, 8192, 8000 * 61 + 5])
def test_each_seek_point_names_a_frame_and_its_first_sample(samples: int) -> None:
    """Every point hits a frame whose header says the same, and each half second has a point before it."""
    stream = encoded(noise(samples, 2), block=4_000)
    blocks, start = flac.split(stream)
    assert [block.kind for block in blocks[:2]] == [flac.STREAMINFO, flac.SEEKTABLE]
    points = flac.seek_points(blocks[1])
    size = flac.block_size(blocks[0])
    for point in points:
        header = flac.frame_header(stream, start + point.offset_bytes, size)
        assert (header.first_sample, header.samples) == (point.first_sample, point.samples)
    firsts = np.array([point.first_sample for point in points])
    marks = np.arange(0, samples, 4000)
    behind = marks - firsts[np.searchsorted(firsts, marks, side="right") - 1]
    assert (behind < size).all()
    assert points[-1].first_sample + points[-1].samples <= samples


def test_seeking_with_the_table_gives_the_right_samples() -> None:
    """A reader that seeks everywhere, every 50 ms of the last two seconds included, hears what was put in."""
    frames = noise(8000 * 30, 2)
    with soundfile.SoundFile(io.BytesIO(encoded(frames))) as file:
        for at in [*range(0, len(frames), 9_973), *range(len(frames) - 16_000, len(frames), 400)]:
            file.seek(at)
            assert (file.read(64, dtype="int16") == frames[at : at + 64]).all()


def test_the_same_samples_give_the_same_octets_in_any_blocks() -> None:
    """A rerun of the finaliser finds what is already archived."""
    frames = noise(50_000, 2)
    assert encoded(frames) == encoded(frames) == encoded(frames, block=777)


def test_g711_octets_come_back_from_the_flac() -> None:
    """All 256 codes of both laws, the negative zero of mu-law included."""
    octets = np.random.default_rng(5).integers(0, 256, 20_000).astype(np.uint8)
    frames = np.stack([expand(octets, Law.A), expand(octets, Law.MU)], axis=1)
    packed = pack_negative_zeros(1, 0, 20_000, np.flatnonzero(octets == 0x7F))
    stream = encoded(frames, applications=(flac.application(encoding.NEGATIVE_ZEROS_ID, packed),))
    assert encoding.recover_octets(stream, 0, Law.A) == octets.tobytes()
    assert encoding.recover_octets(stream, 1, Law.MU) == octets.tobytes()
    assert compress(expand(octets, Law.A), Law.A).tobytes() == octets.tobytes()


def test_a_container_longer_than_a_block_is_carried_in_several() -> None:
    """The pieces put together are the container."""
    container = bytes(range(256)) * 70_000
    blocks = encoding.raw_blocks(container)
    assert len(blocks) == 2
    assert b"".join(flac.application_data(blocks, encoding.RAW_RTP_ID)) == container
    stream = encoded(noise(5000, 1), applications=tuple(blocks))
    assert soundfile.info(io.BytesIO(stream)).frames == 5000


def test_an_encoder_that_writes_otherwise_is_found_out() -> None:
    """Should a libsndfile gather frames into one write, the stream is refused, never indexed wrongly."""
    encoder = FlacEncoder(1)
    encoder.write(noise(20_000, 1))
    del encoder._file.appended[4:6]
    with pytest.raises(FlacDefect, match="one frame at a time"):
        encoder.finish()
