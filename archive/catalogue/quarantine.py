"""Recordings in quarantine: of whom nobody knows, until they are assigned, destroyed or 7 days old.

    quarantined -> processing (assigned, its objects are put under their lock) -> available | partial
    quarantined -> deleting (claimed for destruction) -> no row

Whoever decides first decides: the row is claimed under its lock, in the transaction
of the audit entry, and the second one is a Conflict. A claim survives a crash; the
same decision goes on from it, another one is refused.

Rules: runs as worker, but for `check_…` (any role) and `is_destroyed` (recorder). The
outcome of the session tells what became of it, and nothing else is left of a
destroyed one. Not here: objects, keys and the order of things (`retention.quarantine`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, literal_column, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from archive.access import AccessScope, may_administer
from archive.catalogue import case_rules, rollups, sessions, store_holds
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.recordings import get as get_recording
from archive.catalogue.tables import recording_objects, recordings, user_licences, users
from archive.catalogue.tables import sessions as session_table
from archive.errors import Conflict, NotFound, Refused
from archive.model import (
    ArchivedRecording,
    OutcomeKind,
    Recording,
    RecordingId,
    RecordingState,
    RetentionClass,
    SessionId,
    SessionOutcome,
    TenantId,
    UserId,
)

ASSIGNED = "assigned"
"""The flag of a recording that came out of quarantine to an owner."""

ENDED = "quarantine-ended"
"""The flag of a recording in quarantine that was claimed for destruction."""

OUT_OF_QUARANTINE = "assigned from quarantine"
"""How a session ended of which a recording got its owner later."""

QUARANTINE_ENDED = "quarantine ended"
DUE_ROWS_MAX = 1000
"""Of one tenant in one hourly sweep; what is beyond it is an exchange gone wild, and goes an hour later."""


@dataclass(frozen=True)
class Standing:
    """Where a recording stands at this moment; its row is locked until the transaction ends."""

    state: RecordingState
    owner: UserId | None
    flags: tuple[str, ...]
    on_hold: bool

    def is_assigned_to(self, user_id: UserId) -> bool:
        """Return whether this very decision was taken before."""
        return ASSIGNED in self.flags and self.owner == user_id

    @property
    def is_ended(self) -> bool:
        """Whether it was claimed for destruction before."""
        return self.state is RecordingState.DELETING and ENDED in self.flags

    def require_quarantined(self) -> None:
        """Raise Conflict unless a decision can be taken."""
        if self.state is not RecordingState.QUARANTINED:
            raise Conflict(f"The recording is not in quarantine (any more): it is {self.state}.")

    def require_unheld(self) -> None:
        """Raise Refused while a legal hold keeps it."""
        if self.on_hold:
            raise Refused("A legal hold keeps this recording; it can be assigned, not destroyed.")


@dataclass(frozen=True)
class Assignee:
    """The person a recording is assigned to, with the licence in force when it started."""

    user_id: UserId
    site: str | None
    licence: RetentionClass


def check_assignable(
    catalogue: Catalogue, scope: AccessScope, recording_id: RecordingId, user_id: UserId
) -> Assignee:
    """Return to whom and under which class a recording would go, before that is a job.

    Raises NotFound outside the scope, Refused without the right or the licence, Conflict
    when it is not in quarantine.
    """
    recording = _administered(catalogue, scope, recording_id)
    _standing_of(recording).require_quarantined()
    with catalogue.transaction(scope.tenant_id) as connection:
        return assignee(connection, scope.tenant_id, user_id, recording.started_at)


def check_destroyable(catalogue: Catalogue, scope: AccessScope, recording_id: RecordingId) -> None:
    """Raise NotFound, Refused or Conflict when a recording can't be destroyed by this scope."""
    standing = _standing_of(_administered(catalogue, scope, recording_id))
    standing.require_quarantined()
    standing.require_unheld()


def assignee(connection: Connection, tenant_id: TenantId, user_id: UserId, started_at: datetime) -> Assignee:
    """Return a person with the licence in force when a call started; raises NotFound, Refused for none.

    Whoever was entered only after the call, which is why it was quarantined, has it kept by
    their first licence.
    """
    person = connection.execute(
        select(users.c.site).where(users.c.tenant_id == tenant_id, users.c.id == user_id)
    ).one_or_none()
    if person is None:
        raise NotFound("There is no such user in this tenant.")
    columns = user_licences.c
    periods = connection.execute(
        select(columns.licence, columns.valid_from)
        .where(columns.tenant_id == tenant_id, columns.user_id == user_id)
        .order_by(columns.valid_from)
    ).all()
    began = [period.licence for period in periods if period.valid_from <= started_at]
    first = next((period.licence for period in periods if period.licence is not None), None)
    licence = began[-1] if began else first
    if licence is None:
        raise Refused("This user had no recording licence when the call started and can't be given it.")
    return Assignee(user_id, person.site, RetentionClass(licence))


def lock(connection: Connection, tenant_id: TenantId, recording_id: RecordingId) -> Standing:
    """Return where a recording stands and keep it there for this transaction; raises NotFound."""
    columns = recordings.c
    row = connection.execute(
        select(columns.state, columns.owner, columns.flags, columns.on_hold)
        .where(_is(tenant_id, recording_id))
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such recording.")
    owner = None if row.owner is None else UserId(row.owner)
    return Standing(RecordingState(row.state), owner, tuple(row.flags), row.on_hold)


def was_assigned(catalogue: Catalogue, tenant_id: TenantId, session_id: SessionId) -> bool:
    """Return whether a recording of this session came out of quarantine: its key was another one there."""
    columns = session_table.c
    statement = select(columns.id).where(
        columns.tenant_id == tenant_id, columns.id == session_id, columns.reason == OUT_OF_QUARANTINE
    )
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).first() is not None


def claim_for_owner(connection: Connection, archived: ArchivedRecording, told: str) -> None:
    """Give a locked recording its owner, class, date and wrapped key; its objects are still the old ones.

    `told` is the line of the trace that says so.
    """
    recording = archived.recording
    values = {
        "state": RecordingState.PROCESSING,
        "owner": recording.owner,
        "site": recording.site,
        "retention_class": recording.retention_class,
        "retain_until": recording.retain_until,
        "flags": list(recording.flags),
        "kek_id": archived.kek_id,
        "wrapped_key": archived.wrapped_key,
    }
    connection.execute(update(recordings).where(_is(recording.tenant_id, recording.id)).values(values))
    held_by = case_rules.following(connection, recording)
    if held_by:
        held = update(recordings).where(_is(recording.tenant_id, recording.id)).values(on_hold=True)
        connection.execute(held)
    case_rules.follow(connection, recording, held_by)
    rollups.recorded(connection, recording, rollups.size_of(connection, recording.tenant_id, recording.id))
    outcome = sessions.locked(connection, recording.tenant_id, recording.session_id)
    changed = replace(outcome, reason=OUT_OF_QUARANTINE, trace=_told(outcome, told))
    sessions.replace_outcome(connection, changed)


def settle(connection: Connection, archived: ArchivedRecording) -> None:
    """Let a claimed recording be what it is from now on: its state, flags and new objects."""
    recording = archived.recording
    values = {
        "state": recording.state,
        "flags": list(recording.flags),
        "store_hold": store_holds.after_new_object(),
    }
    connection.execute(update(recordings).where(_is(recording.tenant_id, recording.id)).values(values))
    before = rollups.size_of(connection, recording.tenant_id, recording.id)
    columns = recording_objects.c
    for stored in archived.objects:
        connection.execute(
            update(recording_objects)
            .where(
                columns.tenant_id == recording.tenant_id,
                columns.recording_id == recording.id,
                columns.kind == stored.kind,
            )
            .values(vars(stored))
        )
    after = rollups.size_of(connection, recording.tenant_id, recording.id)
    rollups.resized(connection, recording, after - before)


def claim_for_destruction(
    connection: Connection, tenant_id: TenantId, recording_id: RecordingId, standing: Standing
) -> None:
    """Let a locked recording be found by nobody any more, on its way out."""
    flags = list(dict.fromkeys((*standing.flags, ENDED)))
    values = {"state": RecordingState.DELETING, "flags": flags}
    connection.execute(update(recordings).where(_is(tenant_id, recording_id)).values(values))


def remove(
    connection: Connection, tenant_id: TenantId, recording_id: RecordingId, session_id: SessionId
) -> None:
    """Delete the row, its parties and objects; the session stays as one of which nothing was recorded."""
    connection.execute(delete(recordings).where(_is(tenant_id, recording_id)))
    outcome = sessions.locked(connection, tenant_id, session_id)
    others = tuple(each for each in outcome.recording_ids if each != recording_id)
    told = _destroyed(recording_id)
    if others:
        changed = replace(outcome, recording_ids=others, trace=_told(outcome, told))
    else:
        # The trace goes with the recording; of a call of nobody we know only this is left.
        changed = replace(
            outcome,
            kind=OutcomeKind.NOBODY_RECORDED,
            reason=QUARANTINE_ENDED,
            recording_ids=(),
            trace=(told,),
        )
    sessions.replace_outcome(connection, changed)


def is_destroyed(
    catalogue: Catalogue, tenant_id: TenantId, session_id: SessionId, recording_id: RecordingId
) -> bool:
    """Return whether a recording was destroyed in quarantine: its journal must not bring it back."""
    with catalogue.transaction(tenant_id) as connection:
        outcome = sessions.find_outcome(connection, tenant_id, session_id)
    return outcome is not None and _destroyed(recording_id) in outcome.trace


def count(catalogue: Catalogue, tenant_id: TenantId) -> int:
    """Return how many recordings of a tenant are in quarantine."""
    # The word itself, so that the index of those in quarantine serves it.
    waiting = literal_column("'quarantined'") == recordings.c.state
    statement = (
        select(func.count()).select_from(recordings).where(recordings.c.tenant_id == tenant_id, waiting)
    )
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).scalar_one()


def due(catalogue: Catalogue, tenant_id: TenantId, now: datetime) -> list[RecordingId]:
    """Return what must be destroyed: in quarantine for its time, or claimed for destruction before."""
    columns = recordings.c
    over = and_(
        columns.state == RecordingState.QUARANTINED,
        columns.retain_until <= now,
        columns.on_hold.is_(False),
    )
    claimed = and_(columns.state == RecordingState.DELETING, columns.flags.contains([ENDED]))
    return [row.id for row in _select(catalogue, tenant_id, or_(over, claimed))]


def unfinished(catalogue: Catalogue, tenant_id: TenantId) -> list[tuple[RecordingId, UserId]]:
    """Return the assignments that were begun and not finished, with their owners."""
    columns = recordings.c
    begun = and_(columns.state == RecordingState.PROCESSING, columns.flags.contains([ASSIGNED]))
    return [(row.id, row.owner) for row in _select(catalogue, tenant_id, begun)]


def _select(catalogue: Catalogue, tenant_id: TenantId, condition: ColumnElement[bool]) -> list[Any]:
    columns = recordings.c
    statement = (
        select(columns.id, columns.owner)
        .where(columns.tenant_id == tenant_id, condition)
        .order_by(columns.started_at, columns.id)
        .limit(DUE_ROWS_MAX)
    )
    with catalogue.transaction(tenant_id) as connection:
        return list(connection.execute(statement).all())


def _administered(catalogue: Catalogue, scope: AccessScope, recording_id: RecordingId) -> Recording:
    recording = get_recording(catalogue, scope, recording_id).recording
    if not may_administer(scope):
        raise Refused("Deciding on a recording in quarantine is for administrators.")
    return recording


def _standing_of(recording: Recording) -> Standing:
    return Standing(recording.state, recording.owner, recording.flags, recording.on_hold)


def _told(outcome: SessionOutcome, line: str) -> tuple[str, ...]:
    """Return the trace with one more line, which is never the one that is cut off."""
    return (*outcome.trace[: sessions.TRACE_LINES_MAX - 1], line)


def _destroyed(recording_id: RecordingId) -> str:
    return f"recording {recording_id}: destroyed in quarantine"


def _is(tenant_id: TenantId, recording_id: RecordingId) -> ColumnElement[bool]:
    return and_(recordings.c.tenant_id == tenant_id, recordings.c.id == recording_id)
