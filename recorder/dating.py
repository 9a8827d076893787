"""When a call was, and from when its term counts, where the clock of its machine was wrong.

A call is dated by its machine's clock, and that may have been years off. Decided once, at the first try to
archive it, by a clock that is believed, and kept with the intent, so that a rerun gives the same recording:

* Within one start of the machine it is measured how wrong the call's clock was. By more than
  `ERROR_HOURS_MAX` all moments of the call are moved by that.
* After another start nobody measured it. A call that ended in days to come did not; one whose whole term
  would be over already may have waited as long, or have had a clock that was behind. The term of both
  counts from now: too long mends itself, and what was deleted is lost.

Rules: pure. What was changed stands in the trace of the call, and the recording has the flag `CLOCK_WRONG`.
Not here: which clock is believed (`retention.timekeeper`), the term itself (`retention.policy`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from archive.intent import Dating
from archive.model import FinishedRecording, Recording, RecordingState
from recorder.srs.outcome import noted
from recorder.state import CallState
from retention import policy
from retention.due_time import LOCK_HOURS_MAX

CLOCK_WRONG = "clock-wrong"

ERROR_HOURS_MAX = LOCK_HOURS_MAX
"""By so much a clock may be wrong and still lock: a term that is a day off is none that is lost."""

_ERROR_MAX = timedelta(hours=ERROR_HOURS_MAX)


@dataclass(frozen=True)
class BelievedNow:
    """Now by a clock that is believed: `origin_ns` is its time when the machine's monotonic one was 0."""

    at: datetime
    origin_ns: int
    boot_id: str


def measured(state: CallState, now: BelievedNow) -> Dating | None:
    """Return by how many seconds a call has to be moved; None where nobody measured it."""
    if not state.boot_id or state.boot_id != now.boot_id:
        return None
    error_s = round((now.origin_ns - state.origin_ns) / 1e9)
    return Dating(moved_s=error_s if abs(error_s) > _ERROR_MAX.total_seconds() else 0)


def unmeasured(recording: Recording, now: BelievedNow) -> Dating:
    """Return from when the term of a call counts whose clock nobody measured."""
    ahead = recording.ended_at - now.at > _ERROR_MAX
    return Dating(term_from=now.at if ahead or recording.retain_until <= now.at else None)


def moved(state: CallState, dating: Dating) -> CallState:
    """Return the call with all its moments moved."""
    if not dating.moved_s:
        return state
    by_ns = dating.moved_s * 1_000_000_000
    changed = replace(
        state,
        started_ns=state.started_ns + by_ns,
        ended_ns=_later(state.ended_ns, by_ns),
        edges=tuple(replace(edge, at_ns=edge.at_ns + by_ns) for edge in state.edges),
        metadata=tuple(replace(item, at_ns=item.at_ns + by_ns) for item in state.metadata),
        parties=tuple(
            replace(party, from_ns=party.from_ns + by_ns, to_ns=_later(party.to_ns, by_ns))
            for party in state.parties
        ),
        flags=(*state.flags, CLOCK_WRONG),
    )
    told = "ahead" if by_ns < 0 else "behind"
    line = f"dated anew: the recorder's clock was {abs(dating.moved_s)} s {told}"
    return noted(changed, changed.ended_ns or changed.started_ns, line)


def _later(at_ns: int | None, by_ns: int) -> int | None:
    return None if at_ns is None else at_ns + by_ns


def counted(finished: FinishedRecording, dating: Dating) -> FinishedRecording:
    """Return the recording with its term counted from where it has to be."""
    recording, begin = finished.recording, dating.term_from
    if begin is None:
        return finished
    is_quarantined = recording.state is RecordingState.QUARANTINED
    until = (
        policy.quarantine_until(begin)
        if is_quarantined
        else policy.retain_until(recording.retention_class, begin)
    )
    flags = tuple(dict.fromkeys((*recording.flags, CLOCK_WRONG)))
    return replace(finished, recording=replace(recording, retain_until=until, flags=flags))
