"""How many octets came for a recording, in steps of five minutes on the clock.

Rules: pure. An octet is one of RTP: the 12 of the fixed header and the payload, as it was kept; what
came in a pause was not. Not here: which peer and site they count for (`archive.catalogue.traffic`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archive.model import TRAFFIC_STEP_S
from recorder.rtp.sequence import Integers, Track

HEADER_BYTES = 12
_UNITS_PER_S = 10_000
_STEP_UNITS = TRAFFIC_STEP_S * _UNITS_PER_S


def octets_by_step(tracks: Sequence[Track], started_ns: int) -> tuple[int, ...]:
    """Return the octets of each step, the first of which holds `started_ns`; () of nothing.

    `started_ns` is wall time in nanoseconds since 1970, from which arrival counts in units of 100 µs.
    """
    offset = started_ns // (1_000_000_000 // _UNITS_PER_S) % _STEP_UNITS
    total: Integers = np.zeros(0, np.int64)
    for track in tracks:
        rows = track.rows
        if not len(rows):
            continue
        steps = (rows["arrival"].astype(np.int64) + offset) // _STEP_UNITS
        counted = np.bincount(steps, weights=rows["size"].astype(np.int64) + HEADER_BYTES).astype(np.int64)
        longer, shorter = (counted, total) if len(counted) > len(total) else (total, counted)
        total = longer.copy()
        total[: len(shorter)] += shorter
    return tuple(int(each) for each in total)
