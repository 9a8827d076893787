"""How a session ends, told to the catalogue: one outcome each, with its reason and trace (invariant I3).

Rules: pure; never for an exempt call. Not here: outcomes of recordings that were made
(`recorder.session_outcome`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from archive.catalogue.sessions import TRACE_LINES_MAX
from archive.model import OutcomeKind, PeerId, SessionId, SessionOutcome, TenantId
from recorder.srs.call_group import exchange_ids
from recorder.srs.effects import Effect, Moment, ReportOutcome
from recorder.srs.session import RecordingSession
from recorder.state import CallState


def failed(session: RecordingSession, reason: str, now: Moment) -> Effect:
    """Return the outcome of a session that was answered and could not be recorded."""
    return ReportOutcome(_outcome(session, OutcomeKind.FAILED, reason, now))


def lost(state: CallState, reason: str) -> SessionOutcome:
    """Return the outcome of a recording of which only the state is left."""
    return outcome_of(state, OutcomeKind.FAILED, reason)


def outcome_of(state: CallState, kind: OutcomeKind, reason: str) -> SessionOutcome:
    """Return the outcome of a session by the state of its recording."""
    return SessionOutcome(
        session_id=SessionId(state.session_id),
        call_id=state.dialog.call_id,
        kind=kind,
        reason=reason,
        started_at=datetime_of(state.started_ns),
        ended_at=datetime_of(state.ended_ns or state.started_ns),
        peer_id=PeerId(state.peer_id) if state.peer_id else None,
        tenant_id=TenantId(state.tenant_id),
        trace=state.trace,
        transport=state.dialog.transport,
        exchange_ids=state.exchange_ids,
    )


def unrecorded(session: RecordingSession, now: Moment, *, final: bool) -> Effect:
    """Return the outcome of a session of which nothing is recorded; not `final` while it may change."""
    assert session.decision is not None
    if session.decision.recorded:
        missed = "named too late: no stream was offered again"
        return ReportOutcome(_outcome(session, OutcomeKind.FAILED, missed, now), final)
    outcome = _outcome(session, session.decision.kind, session.decision.reason, now)
    return ReportOutcome(outcome, final)


def _outcome(session: RecordingSession, kind: OutcomeKind, reason: str, now: Moment) -> SessionOutcome:
    """Return how a session without a recording ended."""
    decision = session.decision
    return SessionOutcome(
        session_id=SessionId(session.session_id),
        call_id=session.call_id,
        kind=kind,
        reason=reason,
        started_at=datetime_of(session.opened_ns),
        ended_at=datetime_of(now.wall_ns),
        peer_id=session.peer.id if session.peer else None,
        tenant_id=decision.tenant_id if decision else None,
        trace=decision.trace if decision else (),
        transport=session.transport,
        exchange_ids=exchange_ids(session.facts.links),
    )


def noted(state: CallState, at_ns: int, sentence: str) -> CallState:
    """Return the state with one more line of trace, dated in UTC."""
    if len(state.trace) >= TRACE_LINES_MAX:
        return state
    at = datetime_of(at_ns).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return replace(state, trace=(*state.trace, f"{at} {sentence}"))


def datetime_of(wall_ns: int) -> datetime:
    """Return a wall time in nanoseconds as a moment in UTC."""
    return datetime.fromtimestamp(wall_ns / 1e9, UTC)
