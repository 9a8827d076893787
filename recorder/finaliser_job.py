"""What a finaliser process is told of one ended call.

It stands apart from `recorder.finaliser_pool`, so that signalling, which makes jobs,
need not load what a finaliser stands on: a recorder that restarts is back the sooner.

Rules: call keys travel in jobs and nowhere else, and don't show in `repr`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FinaliseJob:
    """One ended call: its last state (as `CallState.to_json` gives it) and the key to its journal.

    `tails` is what `TrackClosed` said; None after a crash, where the journal is read to
    its last whole frame.
    """

    state: bytes
    uid: bytes
    call_key: bytes = field(repr=False)
    tails: Mapping[str, int] | None = None
