"""Timestamps place audio; the wall clock only says where a run of packets begins."""

from dataclasses import dataclass

import numpy as np
import pytest

from recorder.rtp.batch import PACKET_ROW
from recorder.rtp.payload_format import payload_formats
from recorder.rtp.sequence import PacketSequence, Track, arrange
from recorder.rtp.timeline import Placement, place

FORMATS = payload_formats({})


@dataclass
class Sender:
    """A stream of 20 ms packets: `sent` in seconds of the wall, `stamps` in units of its clock."""

    sent: np.ndarray
    stamps: np.ndarray
    delay_s: np.ndarray | float = 0.0
    stream: int = 0
    ssrc: int = 1
    first: int = 0
    size: int = 160

    def packets(self) -> PacketSequence:
        """Return the packets as they are arranged, from the order in which they arrive."""
        arrival = np.round((self.sent + self.delay_s) * 10_000).astype(np.int64)
        order = np.argsort(arrival, kind="stable")
        made = np.zeros(len(order), PACKET_ROW)
        made["sequence"] = (self.first + np.arange(len(order)))[order] & 0xFFFF
        made["timestamp"] = self.stamps.astype(np.int64)[order] & 0xFFFFFFFF
        made["arrival"], made["size"], made["payload_type"] = arrival[order], self.size, 8
        track = Track(self.stream, self.ssrc)
        track.add(made, bytes(self.size * len(order)))
        return arrange(track, FORMATS, 20)


def regular(seconds: float, begin_s: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return when packets of 20 ms are sent, and their timestamps."""
    count = int(seconds * 50)
    return begin_s + np.arange(count) * 0.02, np.arange(count) * 160 + 1_000_000


def wall(sender: Sender) -> np.ndarray:
    """Return when packets were sent, in samples."""
    return np.round(sender.sent * 8000).astype(np.int64)


def placed(*senders: Sender) -> Placement:
    return place([sender.packets() for sender in senders])


def test_a_stream_begins_where_it_was_sent_and_goes_on_by_its_timestamps() -> None:
    """Without any delay each packet stands at the moment of its sending."""
    sender = Sender(*regular(30, begin_s=1.5))
    assert (placed(sender).positions[0] == wall(sender)).all()


@pytest.mark.parametrize("seed", range(5))
def test_jitter_of_half_a_second_moves_no_sample(seed: int) -> None:
    """Delays of 0 to 500 ms, with all the reordering they bring, leave an even row of packets."""
    delay = np.random.default_rng(seed).random(3000) * 0.5
    delay[5] = 0
    sender = Sender(*regular(60), delay_s=delay)
    assert (placed(sender).positions[0] == wall(sender)).all()


def test_a_stall_of_the_network_moves_no_sample() -> None:
    """Four seconds held back and then delivered at once stand where their timestamps say."""
    sender = Sender(*regular(60))
    sender.delay_s = np.clip(24 - sender.sent, 0, None) * ((sender.sent > 20) & (sender.sent < 24))
    assert (placed(sender).positions[0] == wall(sender)).all()


def test_a_pause_in_sending_with_running_timestamps_is_silence() -> None:
    """Silence suppression: numbers go on, timestamps jump as far as the wall clock did."""
    sent, stamps = regular(60)
    keep = (sent < 10) | (sent > 25)
    sender = Sender(sent[keep], stamps[keep])
    assert (placed(sender).positions[0] == wall(sender)).all()


@pytest.mark.parametrize("seed", range(3))
def test_timestamps_that_stood_still_during_hold_begin_anew_by_arrival(seed: int) -> None:
    """A sender that freezes its clock for 30 s of hold is placed after the hold, not in it."""
    sent, stamps = regular(20)
    sent = np.where(sent < 8, sent, sent + 30)
    delay = np.random.default_rng(seed).random(1000) * 0.08
    delay[[3, 402]] = 0
    sender = Sender(sent, stamps, delay)
    assert (placed(sender).positions[0] == wall(sender)).all()


@pytest.mark.parametrize("jump", [3_600 * 8000, -3_600 * 8000, 2**31 - 5])
def test_a_jump_of_the_timestamps_does_not_move_audio(jump: int) -> None:
    """Timestamps that begin anew within a stream, an hour off, go on at the wall clock."""
    sent, stamps = regular(20)
    stamps = np.where(sent < 8, stamps, stamps + jump)
    sender = Sender(sent, stamps)
    assert (placed(sender).positions[0] == wall(sender)).all()


def test_a_new_ssrc_is_anchored_by_its_own_arrival() -> None:
    """After a transfer the second source stands where it was sent, whatever its timestamps."""
    before = Sender(*regular(10))
    sent, stamps = regular(10, begin_s=12)
    after = Sender(sent, stamps * 3 % 7 + np.arange(len(sent)) * 160, ssrc=2, first=40_000)
    after.stamps = np.arange(len(sent)) * 160 + 99
    result = placed(before, after)
    assert (result.positions[0] == wall(before)).all()
    assert (result.positions[1] == wall(after)).all()


def test_a_new_ssrc_that_follows_at_once_does_not_cover_the_last_packet() -> None:
    """The first packet of the next source waits for the end of the last, at most a packet time."""
    before = Sender(*regular(10))
    after = Sender(*regular(10, begin_s=9.99), ssrc=2)
    result = placed(before, after)
    assert result.positions[1][0] == result.positions[0][-1] + 160


def test_one_packet_with_a_wild_timestamp_leaves_the_others_in_place() -> None:
    """A timestamp a minute behind has no place; its neighbours keep theirs."""
    sender = Sender(*regular(20))
    sender.stamps[500] -= 60 * 8000
    result = placed(sender)
    assert result.strays[0].tolist() == [500]
    others = np.arange(1000) != 500
    assert (result.positions[0][others] == wall(sender)[others]).all()


def test_audio_under_way_when_the_recording_began_is_not_lost() -> None:
    """Where the first packet was delayed, the origin moves; both channels move with it."""
    sender = Sender(*regular(10, begin_s=0.1))
    sender.sent -= 0.15
    sender.delay_s = np.where(np.arange(500) < 4, 0.1, 0.0)
    other = Sender(*regular(10, begin_s=1), stream=1)
    result = placed(sender, other)
    assert result.positions[0][0] == 0
    assert result.positions[1][0] - result.positions[0][0] == round((1 + 0.05) * 8000)
    assert result.at(0) == 400


@pytest.mark.parametrize(("ppm_a", "ppm_b"), [(0, 200), (200, 0), (-200, 0), (-100, 100), (200, 200)])
def test_clocks_200_ppm_apart_stay_within_a_packet_over_four_hours(ppm_a: int, ppm_b: int) -> None:
    """The slower clock gets whole-packet gaps; no packet ever covers another."""
    senders = []
    for stream, ppm in enumerate((ppm_a, ppm_b)):
        sent, stamps = regular(4 * 3600)
        delay = np.random.default_rng(stream).exponential(0.004, len(sent))
        senders.append(Sender(sent / (1 + ppm / 1e6), stamps, delay, stream=stream))
    result = placed(*senders)
    errors = []
    for sender, positions in zip(senders, result.positions, strict=True):
        assert (np.diff(positions) >= 160).all()
        assert set(np.unique(np.diff(positions) - 160)) <= {0, 160}
        errors.append(np.interp(np.arange(10, 14_380), sender.sent, positions - sender.sent * 8000))
    assert np.abs(errors[0] - errors[1]).max() < 160
    assert all(gap.to_sample - gap.from_sample == 160 for gap in result.gaps)


def test_nothing_to_place_is_no_error() -> None:
    """A call without packets has an empty timeline that is the wall clock."""
    assert place([]).at(8000) == 8000
