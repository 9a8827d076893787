"""The audio of one channel, made block by block from the packets placed in it.

Packets that follow each other, in time and in what was received, are one *stretch*:
a table look-up and a copy, however long. Where nothing stands there is silence, 0.
Two sources at once in one channel (SSRCs that alternate, two streams of one party)
are added, since both were heard.

Rules: pure, numpy only. Octets are held once, as they came; a block is all that is
ever expanded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recorder.rtp.g711 import NEGATIVE_ZERO, Law, expand
from recorder.rtp.payload_format import LAWS, Kind
from recorder.rtp.sequence import Integers, Octets, PacketSequence

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Stretches:
    """The G.711 audio of one track: where each stretch begins and ends, and its octets.

    `begin`, `end` (samples), `payload_at` and `kind` have one entry a stretch, in the
    order of `begin`.
    """

    begin: Integers
    end: Integers
    payload_at: Integers
    kind: Octets
    payload: Octets

    def laws(self) -> list[tuple[int, int, Law]]:
        """Return `(from_sample, to_sample, law)` for each time in which the codec stayed the same."""
        if not len(self.begin):
            return []
        firsts = np.concatenate(([0], np.flatnonzero(np.diff(self.kind)) + 1))
        ends = np.maximum.reduceat(self.end, firsts)
        return [
            (int(self.begin[first]), int(end), LAWS[Kind(self.kind[first])])
            for first, end in zip(firsts, ends, strict=True)
        ]


def stretches(packets: PacketSequence, positions: Integers, strays: Integers, payload: Octets) -> Stretches:
    """Join the G.711 packets of a track, placed at `positions`, into stretches."""
    audible = (packets.kind <= Kind.MU_LAW) & (packets.size > 0)
    audible[strays] = False
    chosen = np.flatnonzero(audible)
    chosen = chosen[np.argsort(positions[chosen], kind="stable")]
    begin, at, kind = positions[chosen], packets.payload_at[chosen], packets.kind[chosen]
    end = begin + packets.size[chosen]
    apart = (begin[1:] != end[:-1]) | (np.diff(at) != packets.size[chosen][:-1]) | (np.diff(kind) != 0)
    firsts = np.concatenate((np.zeros(min(len(chosen), 1), np.int64), np.flatnonzero(apart) + 1))
    lasts = np.append(firsts[1:], len(chosen))[: len(firsts)] - 1
    return Stretches(begin[firsts], end[lasts], at[firsts], kind[firsts], payload)


class Channel:
    """All that is heard in one channel."""

    def __init__(self, sources: Sequence[Stretches]) -> None:
        self._sources = sources
        # A stretch may end after the next one's end when a sender's timestamps are wrong.
        self._latest = [np.maximum.accumulate(source.end) for source in sources]

    @property
    def end(self) -> int:
        """Return the sample at which the last audio ends."""
        return max((int(latest[-1]) for latest in self._latest if len(latest)), default=0)

    def overlaps(self) -> bool:
        """Say whether two sources are heard at once anywhere."""
        begin = np.concatenate([source.begin for source in self._sources] or [np.zeros(0, np.int64)])
        end = np.concatenate([source.end for source in self._sources] or [np.zeros(0, np.int64)])
        owner = np.repeat(np.arange(len(self._sources)), [len(source.begin) for source in self._sources])
        order = np.argsort(begin, kind="stable")
        begin, end, owner = begin[order], end[order], owner[order]
        return bool(((begin[1:] < end[:-1]) & (np.diff(owner) != 0)).any())

    def block(self, first: int, last: int) -> tuple[Samples, Integers]:
        """Return the samples `first` to `last` (exclusive), and which of them were mu-law's negative zero.

        The second array counts from `first`.
        """
        heard = [
            _expanded(source, latest, first, last)
            for source, latest in zip(self._sources, self._latest, strict=True)
            if len(latest) and source.begin[0] < last and latest[-1] > first
        ]
        if not heard:
            return np.zeros(last - first, np.int16), np.zeros(0, np.int64)
        if len(heard) == 1:
            return heard[0]
        total = np.sum([samples for samples, _ in heard], axis=0, dtype=np.int32)
        samples: Samples = np.clip(total, -32768, 32767).astype(np.int16)
        zeros = np.unique(np.concatenate([zeros for _, zeros in heard]))
        return samples, zeros[samples[zeros] == 0]


def _expanded(source: Stretches, latest: Integers, first: int, last: int) -> tuple[Samples, Integers]:
    samples = np.zeros(last - first, np.int16)
    zeros = []
    begin = int(np.searchsorted(latest, first, side="right"))
    end = int(np.searchsorted(source.begin, last, side="left"))
    columns = (source.begin, source.end, source.payload_at, source.kind)
    for starts, ends, at, kind in zip(*(column[begin:end].tolist() for column in columns), strict=True):
        low, high = max(starts, first), min(ends, last)
        if low >= high:
            continue
        octets = source.payload[at + low - starts : at + high - starts]
        expand(octets, LAWS[Kind(kind)], samples[low - first : high - first])
        if kind == Kind.MU_LAW:
            zeros.append(np.flatnonzero(octets == NEGATIVE_ZERO) + (low - first))
    found = np.concatenate(zeros) if zeros else np.zeros(0, np.int64)
    return samples, found
