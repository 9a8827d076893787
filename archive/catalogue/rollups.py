"""Figures of each person and day, kept in the transactions that archive, assign and destroy recordings.

A recording is counted once for everybody (`EVERYBODY`) and once for each team its owner
contributed to when it began, on the local day it began. What is destroyed is counted on the day it
goes, and taken off what stands. Figures stay when recordings go, as minutes do: they are numbers.

Rules: in the caller's transaction, which is one of the tenant. One in quarantine counts once it is
somebody's, one that nobody kept never. Rows are written in one order, so that no two transactions
wait for each other. Not here: what reports make of them (`archive.catalogue.figures`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from sqlalchemy import Table, func, or_, select
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import UNSEEN_STATES
from archive.allowance import ZONE
from archive.catalogue.engine import Connection
from archive.catalogue.tables import recording_objects, report_days, report_standing, team_members
from archive.model import (
    Direction,
    Recording,
    RecordingId,
    RecordingState,
    Span,
    SpanKind,
    TenantId,
    UserId,
)

EVERYBODY = ""
"""The team of the rows in which everything counts once, whoever was in however many teams."""

BELOW_MS = {
    "below_30s": 30_000,
    "below_1m": 60_000,
    "below_2m": 120_000,
    "below_5m": 300_000,
    "below_10m": 600_000,
    "below_30m": 1_800_000,
    "below_1h": 3_600_000,
}
"""The columns of how long calls were: each counts those that were shorter."""

_UNCOUNTED = UNSEEN_STATES | {RecordingState.QUARANTINED}


@dataclass(frozen=True)
class Tally:
    """What one recording adds to the figures of its day: seconds, milliseconds paused, octets sealed."""

    recordings: int = 0
    incoming: int = 0
    outgoing: int = 0
    duration_s: int = 0
    recorded_s: int = 0
    paused: int = 0
    pauses: int = 0
    paused_ms: int = 0
    size_bytes: int = 0
    below_30s: int = 0
    below_1m: int = 0
    below_2m: int = 0
    below_5m: int = 0
    below_10m: int = 0
    below_30m: int = 0
    below_1h: int = 0
    destroyed: int = 0
    destroyed_bytes: int = 0


def tally(recording: Recording, size_bytes: int) -> Tally:
    """Return what a recording adds; a pause of both parties is one. Pure."""
    stretches = merged(recording.spans)
    below = {name: int(recording.duration_ms < limit) for name, limit in BELOW_MS.items()}
    return Tally(
        recordings=1,
        incoming=int(recording.direction is Direction.IN),
        outgoing=int(recording.direction is Direction.OUT),
        duration_s=recording.duration_ms // 1000,
        recorded_s=recording.recorded_ms // 1000,
        paused=int(bool(stretches)),
        pauses=len(stretches),
        paused_ms=sum(last - first for first, last in stretches),
        size_bytes=size_bytes,
        **below,
    )


def merged(spans: Iterable[Span]) -> list[tuple[int, int]]:
    """Return the stretches that were paused, from and to in milliseconds; those that touch are one. Pure."""
    joined: list[tuple[int, int]] = []
    pauses = [span for span in spans if span.kind is SpanKind.PAUSE and span.to_ms > span.from_ms]
    for first, last in sorted((span.from_ms, span.to_ms) for span in pauses):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def recorded(connection: Connection, recording: Recording, size_bytes: int) -> None:
    """Count a recording that has an owner from now on; `size_bytes` are its sealed objects."""
    if recording.owner is None or recording.state in _UNCOUNTED:
        return
    place = (recording.tenant_id, recording.owner, recording.started_at)
    _add(connection, *place, recording.started_at, tally(recording, size_bytes))


def destroyed(  # noqa: PLR0917 - of a row that is about to go these are left
    connection: Connection,
    tenant_id: TenantId,
    owner: UserId,
    started_at: datetime,
    size_bytes: int,
    now: datetime,
) -> None:
    """Count a recording that is destroyed now, and take it off what stands."""
    gone = Tally(destroyed=1, destroyed_bytes=size_bytes)
    _add(connection, tenant_id, owner, started_at, now, gone)


def resized(connection: Connection, recording: Recording, more_bytes: int) -> None:
    """Let what stands of a counted recording be larger, or smaller, than it was counted."""
    if recording.owner is not None and more_bytes:
        place = (recording.tenant_id, recording.owner, recording.started_at)
        _add(connection, *place, recording.started_at, Tally(size_bytes=more_bytes))


def size_of(connection: Connection, tenant_id: TenantId, recording_id: RecordingId) -> int:
    """Return the octets of the sealed objects of a recording."""
    columns = recording_objects.c
    statement = select(func.coalesce(func.sum(columns.ciphertext_bytes), 0)).where(
        columns.tenant_id == tenant_id, columns.recording_id == recording_id
    )
    return int(connection.execute(statement).scalar_one())


def teams_at(connection: Connection, tenant_id: TenantId, user_id: UserId, moment: datetime) -> list[str]:
    """Return the teams somebody contributed to at a moment, by id."""
    columns = team_members.c
    statement = select(columns.team_id).where(
        columns.tenant_id == tenant_id,
        columns.user_id == user_id,
        columns.capacity == "contributor",
        columns.since <= moment,
        or_(columns.until.is_(None), columns.until > moment),
    )
    return sorted(set(connection.execute(statement).scalars()))


def _add(  # noqa: PLR0917 - whose, and when it began and when it counts
    connection: Connection,
    tenant_id: TenantId,
    user_id: UserId,
    began: datetime,
    counts_at: datetime,
    added: Tally,
) -> None:
    """Add figures to a day, for everybody and for the teams at the time the recording began."""
    counted = (EVERYBODY, *teams_at(connection, tenant_id, user_id, began))
    whose = [{"tenant_id": tenant_id, "team_id": team_id, "user_id": user_id} for team_id in counted]
    figures = {"day": counts_at.astimezone(ZONE).date(), **asdict(added)}
    connection.execute(_ADD_TO_DAY, [{**each, **figures} for each in whose])
    stands = {
        "recordings": added.recordings - added.destroyed,
        "size_bytes": added.size_bytes - added.destroyed_bytes,
    }
    connection.execute(_ADD_TO_STANDING, [{**each, **stands} for each in whose])


def _adding(table: Table, names: Iterable[str]) -> Insert:
    """Return the statement that adds rows, or their figures to the rows that are there."""
    row = upsert(table)
    sums = {name: table.c[name] + row.excluded[name] for name in names}
    return row.on_conflict_do_update(constraint=table.primary_key, set_=sums)


_ADD_TO_DAY = _adding(report_days, (field.name for field in fields(Tally)))
_ADD_TO_STANDING = _adding(report_standing, ("recordings", "size_bytes"))
