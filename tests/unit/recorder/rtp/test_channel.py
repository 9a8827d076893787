"""A channel is rendered block by block, and blocks do not show."""

import numpy as np

from recorder.rtp.batch import PACKET_ROW
from recorder.rtp.channel import Channel, Stretches, stretches
from recorder.rtp.g711 import Law, expand
from recorder.rtp.payload_format import payload_formats
from recorder.rtp.sequence import Track, arrange
from recorder.rtp.timeline import place


def source(packets: list[tuple[int, int, bytes]], ssrc: int = 1) -> Stretches:
    """Packets as (timestamp, payload type, payload), sent without delay from the start."""
    rows = np.zeros(len(packets), PACKET_ROW)
    for number, (timestamp, payload_type, payload) in enumerate(packets):
        rows[number] = (number, len(payload), timestamp, timestamp * 10 // 8, payload_type, 0)
    track = Track(0, ssrc)
    track.add(rows, b"".join(payload for _, _, payload in packets))
    arranged = arrange(track, payload_formats({}), 20)
    placement = place([arranged])
    return stretches(arranged, placement.positions[0], placement.strays[0], track.payload)


def octets(count: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, count, dtype=np.uint8).tobytes()


def expanded(payload: bytes, law: Law = Law.A) -> np.ndarray:
    return expand(np.frombuffer(payload, np.uint8), law)


def test_packets_that_follow_each_other_are_one_stretch() -> None:
    """Ten packets in a row are one look-up; a hole makes two."""
    parts = [octets(160, seed) for seed in range(10)]
    whole = source([(160 * n, 8, part) for n, part in enumerate(parts)])
    assert len(whole.begin) == 1
    holed = source([(160 * n + 800 * (n > 4), 8, part) for n, part in enumerate(parts)])
    assert holed.begin.tolist() == [0, 1600]


def test_any_blocks_give_the_same_samples() -> None:
    """Where a block is cut inside a packet, the next one goes on with the very next sample."""
    packets = [(200 * n, 8, octets(160, n)) for n in range(30)]
    channel = Channel([source(packets)])
    whole, _ = channel.block(0, 6000)
    pieces = [channel.block(first, min(first + 77, 6000))[0] for first in range(0, 6000, 77)]
    assert (np.concatenate(pieces) == whole).all()
    for at, _, payload in packets:
        assert (whole[at : at + 160] == expanded(payload)).all()
        assert (whole[at + 160 : at + 200] == 0).all()
    assert channel.end == 29 * 200 + 160


def test_a_change_of_the_law_within_a_stream_is_followed() -> None:
    """A-law, then mu-law: each is expanded by its own table, and the change is known."""
    first, second = octets(160, 1), octets(240, 2)
    stream = source([(0, 8, first), (160, 0, second)])
    samples, _ = Channel([stream]).block(0, 400)
    assert (samples == np.concatenate([expanded(first), expanded(second, Law.MU)])).all()
    assert stream.laws() == [(0, 160, Law.A), (160, 400, Law.MU)]


def test_negative_zeros_of_mu_law_are_told_apart() -> None:
    """Octet 0x7F is 0 and its place is given, counted from the block; 0xFF is 0 as well."""
    channel = Channel([source([(0, 0, bytes([0xFF, 0x7F] * 80))])])
    samples, zeros = channel.block(80, 160)
    assert not samples.any()
    assert zeros.tolist() == list(range(1, 80, 2))


def test_two_sources_at_once_are_added_and_known() -> None:
    """Two SSRCs that speak together are both heard; the sum stays within 16 bits."""
    one, two = bytes([0xAA]) * 160, bytes([0xAA]) * 160
    loud = int(expanded(one)[0])
    channel = Channel([source([(0, 8, one)]), source([(80, 8, two)], ssrc=2)])
    samples, _ = channel.block(0, 240)
    assert samples[:80].tolist() == [loud] * 80
    assert samples[80:160].tolist() == [min(2 * loud, 32767)] * 80
    assert channel.overlaps()
    assert not Channel([source([(0, 8, one)]), source([(160, 8, two)], ssrc=2)]).overlaps()


def test_a_channel_without_packets_is_silence() -> None:
    """Nothing received is 0 throughout."""
    samples, zeros = Channel([]).block(0, 160)
    assert not samples.any()
    assert len(zeros) == 0
    assert Channel([]).end == 0
