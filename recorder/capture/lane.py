"""Lanes: by which the plain packets of a stream go straight to the journal, whole passes at a time.

A lane is armed while its stream feeds one track that records and has its
segment key in the present journal file. Then all there is to do for a slice is to seal
it, and what stands around it is arithmetic on columns. Anything that changes for the
track disarms its lanes; the next slice goes the long way and arms them again.

Rules: columns by the row of the stream.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recorder.journal import heads as layout
from recorder.journal.heads import HEAD, Heads
from recorder.journal.segment import Segment
from recorder.rtp.batch import Indices

Encrypt = Callable[[bytes, bytes, bytes], bytes]


class Lanes:
    """The columns of all streams."""

    def __init__(self, rows: int) -> None:
        self.armed = np.zeros(rows, np.bool_)
        self.place = np.zeros(rows, np.int64)
        self.encrypt: list[Encrypt | None] = [None] * rows
        self._template: Heads = np.zeros(rows, HEAD)
        self._packets = np.zeros(rows, np.int64)

    def arm(self, row: int, segment: Segment, stream: int, place: int) -> None:
        """Let the stream of a row use a segment; `place` is its call's in the journal file."""
        self._template[row] = layout.template(segment.uid, segment.segment_id, stream)
        self.place[row] = place
        self.encrypt[row] = segment.encrypt
        self.armed[row] = True

    def disarm(self, row: int) -> None:
        """Send the next slice of a row the long way."""
        self.armed[row] = False
        self.encrypt[row] = None

    def heads(self, rows: Indices) -> Heads:
        """Return copies of the templates of rows."""
        return self._template[rows]

    def count(self, rows: Indices, packets: Indices) -> None:
        """Note what was sealed; every row at most once."""
        self._packets[rows] += packets

    def take_count(self, row: int) -> int:
        """Return how many packets went by a lane since the last time."""
        found = int(self._packets[row])
        self._packets[row] = 0
        return found
