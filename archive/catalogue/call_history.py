"""What is still known of a call that is over: what happened and how it ended, for the day events are kept.

Rules: who may see the call's events may see this, and nobody else.

Not here: calls under way (`live_calls`), and events of all calls in order (`call_events`).
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import func, select

from archive.access import AccessScope
from archive.catalogue.call_events import PAGE_ROWS_MAX, CallEvent, EventKind, seen_by, stored
from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import call_events
from archive.model import RecordingId, RecordingState


class End(StrEnum):
    """What is known of how a call ended."""

    DISCARDED = "discarded"
    """Nobody kept it in time."""
    OVER = "over"
    """It is over; what was kept of it is stored, or soon will be."""


_ENDS = {EventKind.RECORDING_DISCARDED: End.DISCARDED, EventKind.CALL_ENDED: End.OVER}


def end_of(catalogue: Catalogue, scope: AccessScope, recording_id: RecordingId) -> End | None:
    """Return how a call ended by the events within the scope, None when they say nothing of an end."""
    columns = call_events.c
    state = func.coalesce(columns.body["state"].astext, RecordingState.RECORDING.value)
    statement = select(columns.kind).where(
        columns.tenant_id == scope.tenant_id,
        columns.recording_id == recording_id,
        seen_by(scope, columns.owner, state),
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        kinds = set(connection.execute(statement).scalars())
    return next((end for kind, end in _ENDS.items() if kind in kinds), None)


def told_of(catalogue: Catalogue, scope: AccessScope, recording_id: RecordingId) -> list[CallEvent]:
    """Return what happened to a call, in order, as far as its events are kept and within the scope."""
    columns = call_events.c
    state = func.coalesce(columns.body["state"].astext, RecordingState.RECORDING.value)
    statement = (
        select(call_events)
        .where(
            columns.tenant_id == scope.tenant_id,
            columns.recording_id == recording_id,
            seen_by(scope, columns.owner, state),
        )
        .order_by(columns.id)
        .limit(PAGE_ROWS_MAX)
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        return [stored(row).event for row in connection.execute(statement)]
