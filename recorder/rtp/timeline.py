"""Where each packet of a call stands on one timeline: RTP timestamps, held to the wall clock.

Within a run of packets the timestamp alone places audio, so that loss, reordering
and jitter never move a sample. The wall clock (the kernel's arrival times) only says
where a run begins: no packet arrives before it was sent, so the least delay seen is
the truth, and the anchor of a run is that minimum over its first seconds.

A new run begins with a new SSRC and where arrivals show, for seconds and not for
one packet, that the timestamps jumped or stood still. Clocks that drift apart are
held together by whole-packet gaps relative to the fastest one. Audio is never
resampled, dropped, or laid over what came before it.

Rules: pure, numpy only; all times are samples of 8 kHz from the start of the
recording. Not here: sequence numbers (`sequence`), reasons for silence (`span`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recorder.rtp.sequence import SAMPLE_RATE_HZ, Integers, PacketSequence

_STEP_SAMPLES = SAMPLE_RATE_HZ // 10  # 100 ms: less is jitter, and drift mends it
_PLAIN_STEP_SAMPLES = SAMPLE_RATE_HZ  # a step of 1 s is believed of a single packet
_WITNESSES_MIN = 10  # packets that must agree on a smaller step, 200 ms of speech
_SETTLE_SAMPLES = 5 * SAMPLE_RATE_HZ  # how long a delay must last to be more than a stall of the network
_EARLY_PACKETS = 50  # how near a larger step must follow for this one to be jitter
_SETTLE_PACKETS_MAX = 512  # bounds the work when thousands of packets arrive at one instant
_DRIFT_SAMPLES = 10 * SAMPLE_RATE_HZ  # clocks 200 ppm apart drift 2 ms in this time
_LEAD_SAMPLES_MIN = SAMPLE_RATE_HZ // 1000  # 1 ms: less is the noise of the least delay
_DRIFT_PACKETS_MIN = 400  # fewer, under heavy jitter, may hold none that was not delayed
_JOIN_SAMPLES_MAX = (
    60 * SAMPLE_RATE_HZ // 1000
)  # one long packet: how far a new SSRC may begin inside the last
_STRAY_SAMPLES = 30 * SAMPLE_RATE_HZ  # no network delays a packet by 30 s; its timestamp is wrong


class ClockGap(NamedTuple):
    """Silence put in because this stream's clock is slower than the fastest."""

    track: int
    from_sample: int
    to_sample: int


class Shift(NamedTuple):
    """From this arrival on, the timeline is so many samples ahead of the wall clock."""

    arrival: int
    samples: int


@dataclass(frozen=True)
class Placement:
    """The first sample of each packet of each track, and what was done to hold clocks together.

    `strays` marks, per track, packets whose timestamp is so wrong that they have no place.
    """

    positions: tuple[Integers, ...]
    strays: tuple[Integers, ...]
    gaps: tuple[ClockGap, ...]
    shifts: tuple[Shift, ...]

    def at(self, wall_sample: int) -> int:
        """Return where a moment of the wall clock stands on the timeline."""
        ahead = 0
        for shift in self.shifts:
            if shift.arrival > wall_sample:
                break
            ahead = shift.samples
        return wall_sample + ahead


class _Run(NamedTuple):
    """Packets `first` to `last` (exclusive) of a track that are placed alike.

    `anchor` is the delay at which a run of its own begins, else None; `floor` the least
    delay within, `steady` the same with the next run, None where there are too few packets.
    """

    arrival: int
    track: int
    first: int
    last: int
    anchor: int | None
    floor: int
    steady: int | None


@dataclass
class _Course:
    """How far a track has been placed."""

    offset: int = 0
    end: int | None = None
    slack: int = _LEAD_SAMPLES_MIN


def place(tracks: Sequence[PacketSequence]) -> Placement:
    """Place the packets of all tracks of a call on one timeline."""
    runs = sorted(run for number, track in enumerate(tracks) for run in _runs(number, track))
    return _Placing(tracks).place(runs)


class _Placing:
    """One walk over the runs of all tracks in the order of the wall clock."""

    def __init__(self, tracks: Sequence[PacketSequence]) -> None:
        self._tracks = tracks
        self._positions = [track.media.copy() for track in tracks]
        self._courses = [_Course() for _ in tracks]
        self._stream_ends: dict[int, int] = {}
        self._packet = [_usual_size(track) for track in tracks]
        self._gaps: list[ClockGap] = []
        self._shifts: list[Shift] = []
        self._ahead = 0

    def place(self, runs: Sequence[_Run]) -> Placement:
        """Fix the offset of each run and return all positions."""
        self._begin(runs)
        for run in runs:
            track, course = self._tracks[run.track], self._courses[run.track]
            if run.anchor is not None:
                course.offset = self._opening(run, run.anchor)
            self._lead(run, course)
            if run.anchor is None and run.steady is not None:
                self._hold_back(run, run.steady, course)
            part = slice(run.first, run.last)
            self._positions[run.track][part] += course.offset
            end = int((self._positions[run.track][part] + track.size[part]).max())
            course.end = end if course.end is None else max(course.end, end)
            stream = track.stream_index
            self._stream_ends[stream] = max(self._stream_ends.get(stream, end), end)
        strays = tuple(
            np.flatnonzero((position < 0) | (track.arrival - position > _STRAY_SAMPLES))
            for track, position in zip(self._tracks, self._positions, strict=True)
        )
        return Placement(tuple(self._positions), strays, tuple(self._gaps), tuple(self._shifts))

    def _begin(self, runs: Sequence[_Run]) -> None:
        """Move the origin where audio was under way when the recording began, so that none is lost."""
        begins = [
            int(self._tracks[run.track].media[run.first]) + run.anchor
            for run in runs
            if run.anchor is not None
        ]
        early = [-begin for begin in begins if -_PLAIN_STEP_SAMPLES < begin < 0]
        if early:
            self._ahead = max(early)
            self._shifts.append(Shift(0, self._ahead))

    def _opening(self, run: _Run, anchor: int) -> int:
        """Return the offset of a run that begins anew: by its arrival, never over earlier audio."""
        begin = int(self._tracks[run.track].media[run.first])
        offset = anchor + self._ahead
        end = self._courses[run.track].end
        if end is not None:
            return max(offset, end - begin)
        overlap = self._stream_ends.get(self._tracks[run.track].stream_index, 0) - (begin + offset)
        return offset + overlap if 0 < overlap <= _JOIN_SAMPLES_MAX else offset

    def _lead(self, run: _Run, course: _Course) -> None:
        """Let the timeline follow the fastest clock."""
        error = course.offset - (run.floor + self._ahead)
        if error > course.slack:
            self._ahead += error
            self._shifts.append(Shift(run.arrival, self._ahead))

    def _hold_back(self, run: _Run, steady: int, course: _Course) -> None:
        """Put in whole packets of silence where this clock fell half a packet behind."""
        packet = self._packet[run.track]
        behind = steady + self._ahead - course.offset
        gap = (behind + packet // 2) // packet * packet
        if gap > 0:
            begin = int(self._tracks[run.track].media[run.first]) + course.offset
            self._gaps.append(ClockGap(run.track, begin, begin + gap))
            course.offset += gap
            # A whole packet was more than it was behind; that does not make this clock the fastest.
            course.slack = packet // 2 + _LEAD_SAMPLES_MIN


def _runs(number: int, track: PacketSequence) -> list[_Run]:
    """Cut a track where its timestamps step and every `_DRIFT_SAMPLES` of the wall clock."""
    if not len(track.media):
        return []
    delay = track.arrival - track.media
    latest = np.maximum.accumulate(track.arrival)
    breaks = _breaks(track, delay, latest)
    windows = np.flatnonzero(np.diff(latest // _DRIFT_SAMPLES)) + 1
    starts = np.union1d(breaks, windows)
    floors = np.minimum.reduceat(delay, starts)
    opens = np.isin(starts, breaks)
    ends = np.append(starts[1:], len(delay))
    settled = _settled(latest, starts)
    runs = []
    for index, (first, last) in enumerate(zip(starts, ends, strict=True)):
        follows = index + 1 < len(starts) and not opens[index + 1]
        anchor = None
        if opens[index]:
            limit = breaks[np.searchsorted(breaks, first) + 1 :][:1]
            until = min([int(settled[index]), *limit.tolist()])
            anchor = int(delay[first:until].min())
        witnesses = (ends[index + 1] if follows else last) - first
        steady = int(min(floors[index], floors[index + 1])) if follows else int(floors[index])
        runs.append(
            _Run(
                arrival=int(latest[first]),
                track=number,
                first=int(first),
                last=int(last),
                anchor=anchor,
                floor=int(floors[index]),
                steady=steady if witnesses >= _DRIFT_PACKETS_MIN else None,
            )
        )
    return runs


def _breaks(track: PacketSequence, delay: Integers, latest: Integers) -> Integers:
    """Return the packets at which the timestamps stepped against the wall clock; the first is one.

    Up (they stood still): the delay jumps and stays. Down (they jumped ahead): it drops,
    and there is a hole in the audio that can be made smaller.
    """
    jump = np.diff(delay, prepend=delay[:1])
    hole = np.diff(track.media, prepend=track.media[:1]) - np.roll(track.size, 1)
    wanted = (jump > _STEP_SAMPLES) | ((jump < -_STEP_SAMPLES) & (hole > _STEP_SAMPLES))
    wanted[0] = False
    chosen = np.flatnonzero(wanted)
    since = np.maximum(
        np.searchsorted(latest, latest[chosen - 1] - _SETTLE_SAMPLES), chosen - _SETTLE_PACKETS_MAX
    )
    until = _settled(latest, chosen)
    breaks = [0]
    for index, low, high in zip(chosen.tolist(), since.tolist(), until.tolist(), strict=True):
        before, after = delay[max(breaks[-1], low) : index], delay[index:high]
        step = int(after.min()) - int(before.min())
        if (
            abs(step) > _STEP_SAMPLES
            and (step > 0) == (jump[index] > 0)
            and _stands_out(before, after, step, jump[index : index + _EARLY_PACKETS])
        ):
            breaks.append(index)
    return np.array(breaks, np.int64)


def _stands_out(before: Integers, after: Integers, step: int, jumps: Integers) -> bool:
    """Say whether a step of the least delay is more than jitter; `jumps` begins at the step."""
    if abs(int(jumps[0])) > _PLAIN_STEP_SAMPLES:
        return True
    if len(after) < _WITNESSES_MIN or abs(step) <= max(int(np.ptp(before)), int(np.ptp(after))):
        return False
    # Jitter just before a step looks like its beginning; the step itself is the larger jump.
    return not (jumps[0] > 0 and bool((jumps[1:] > 2 * jumps[0]).any()))


def _settled(latest: Integers, index: Integers) -> Integers:
    """Return the packets up to which the delay from each `index` on is judged."""
    until = np.searchsorted(latest, latest[index] + _SETTLE_SAMPLES, side="right")
    return np.maximum(np.minimum(until, index + _SETTLE_PACKETS_MAX), index + 1)


def _usual_size(track: PacketSequence) -> int:
    sizes = track.size[track.size > 0]
    return int(np.median(sizes)) if len(sizes) else SAMPLE_RATE_HZ // 50
