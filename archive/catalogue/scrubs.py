"""When each recording was read again last, and what of it was found damaged.

Rules: runs as worker; the portal reads those of its tenant, and every role how far it is on the
whole. A finding stands until the recording was read again and it is no more. All of it goes with
its recording. Not here: reading (`retention.scrub`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Select, and_, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.elements import ColumnElement

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import case_copies as case_copies_
from archive.catalogue.tables import (
    export_parts,
    recordings,
    scrub_findings,
    scrub_progress,
    scrubs,
    shares,
)
from archive.model import GOING_STATES, RecordingId, TenantId

READ_WITHIN = timedelta(days=90)
"""What is promised: every object is read again at least so often (SEC 17a-4 asks for it to be automatic)."""

FINDINGS_SHOWN_MAX = 1000
"""More than anybody mends one by one; the count is told beside them."""


class Damage(NamedTuple):
    """What is wrong with an object of a recording: its kind (`key` for a wrapped key), and what."""

    kind: str
    what: str


@dataclass(frozen=True)
class Found:
    """Damage that stands, and since when it is known."""

    recording_id: RecordingId
    damage: Damage
    found_at: datetime


@dataclass(frozen=True)
class Standing:
    """A recording whose objects should be there, and when they were read again last."""

    recording_id: RecordingId
    read_at: datetime | None
    is_damaged: bool


@dataclass(frozen=True)
class Pinned:
    """A sealed object beside those of a recording's archive, and what its octets must be."""

    kind: str
    key: str
    version_id: str
    ciphertext_bytes: int
    ciphertext_sha256: str


@dataclass(frozen=True)
class Progress:
    """How far scrubbing is: recordings, those not read for too long, the oldest reading, and findings.

    Beside those of recordings: how many exports of evidence and copies of cases are damaged.
    """

    recordings: int
    overdue: int
    oldest_at: datetime | None
    findings: int
    damaged_exports: int = 0
    damaged_case_copies: int = 0

    @property
    def damaged(self) -> int:
        """All that is damaged, of whatever kind."""
        return self.findings + self.damaged_exports + self.damaged_case_copies

    def __add__(self, other: Progress) -> Progress:
        """Return the progress of both together."""
        oldest = [each for each in (self.oldest_at, other.oldest_at) if each is not None]
        return Progress(
            self.recordings + other.recordings,
            self.overdue + other.overdue,
            min(oldest, default=None),
            self.findings + other.findings,
            self.damaged_exports + other.damaged_exports,
            self.damaged_case_copies + other.damaged_case_copies,
        )


NOTHING = Progress(0, 0, None, 0)


def page(catalogue: Catalogue, tenant_id: TenantId, after: str, limit: int) -> list[Standing]:
    """Return the recordings of a tenant that follow an id, by id."""
    columns = recordings.c
    damaged = select(1).where(scrub_findings.c.recording_id == columns.id).exists()
    statement = (
        select(columns.id, scrubs.c.read_at, damaged.label("is_damaged"))
        .select_from(recordings.outerjoin(scrubs, scrubs.c.recording_id == columns.id))
        .where(_stands(tenant_id), columns.id > after)
        .order_by(columns.id)
        .limit(limit)
    )
    with catalogue.transaction(tenant_id) as connection:
        return [
            Standing(RecordingId(row.id), in_utc(row.read_at), row.is_damaged)
            for row in connection.execute(statement)
        ]


def derivatives(
    connection: Connection, recording_ids: Iterable[RecordingId]
) -> dict[RecordingId, tuple[Pinned, ...]]:
    """Return the audio of play links, by the recordings they lead to; none has no entry."""
    columns = shares.c
    statement = (
        select(columns.recording_id, columns.id, columns.object_key, columns.version_id)
        .add_columns(columns.ciphertext_bytes, columns.ciphertext_sha256)
        .where(columns.recording_id.in_(list(recording_ids)), columns.object_key.is_not(None))
        .order_by(columns.id)
    )
    found: dict[RecordingId, tuple[Pinned, ...]] = {}
    for recording_id, share_id, *pin in connection.execute(statement):
        pinned = Pinned(f"share {share_id}", *pin)
        found[recording_id] = (*found.get(recording_id, ()), pinned)
    return found


def packages(catalogue: Catalogue, tenant_id: TenantId) -> dict[str, tuple[Pinned, ...]]:
    """Return what was written for exports of evidence that are kept still, by the ids of the exports."""
    columns = export_parts.c
    statement = (
        select(columns.export_id, columns.prefix, columns.object_key, columns.version_id)
        .add_columns(columns.ciphertext_bytes, columns.ciphertext_sha256)
        .where(columns.tenant_id == tenant_id)
        .order_by(columns.export_id, columns.prefix)
    )
    found: dict[str, tuple[Pinned, ...]] = {}
    with catalogue.transaction(tenant_id) as connection:
        for export_id, prefix, *pin in connection.execute(statement):
            pinned = Pinned(f"part {prefix}".strip(), *pin)
            found[export_id] = (*found.get(export_id, ()), pinned)
    return found


def case_copies(catalogue: Catalogue, tenant_id: TenantId) -> dict[str, Pinned]:
    """Return the copies of a tenant's cases, by the ids of the cases."""
    columns = case_copies_.c
    statement = (
        select(columns.case_id, columns.object_key, columns.version_id)
        .add_columns(columns.ciphertext_bytes, columns.ciphertext_sha256)
        .where(columns.tenant_id == tenant_id)
        .order_by(columns.case_id)
    )
    with catalogue.transaction(tenant_id) as connection:
        return {case_id: Pinned("copy", *pin) for case_id, *pin in connection.execute(statement)}


def keep_damage_of_part(connection: Connection, part: Pinned, what: str | None) -> None:
    """Write down what is wrong with a part of an export, None for nothing."""
    columns = export_parts.c
    of_it = and_(columns.object_key == part.key, columns.version_id == part.version_id)
    connection.execute(update(export_parts).where(of_it).values(damage=what))


def keep_damage_of_copy(connection: Connection, copy: Pinned, what: str | None) -> bool:
    """Write down what is wrong with the copy of a case, None for nothing; False when it is another by now."""
    columns = case_copies_.c
    of_it = and_(columns.object_key == copy.key, columns.version_id == copy.version_id)
    return connection.execute(update(case_copies_).where(of_it).values(damage=what)).rowcount > 0


def still_stands(connection: Connection, tenant_id: TenantId, recording_id: RecordingId) -> bool:
    """Tell whether a recording is there, and keep it there for this transaction."""
    # Of the row only that it stays: a hold or a change of state need not wait for us.
    chosen = select(recordings.c.id).where(_stands(tenant_id), recordings.c.id == recording_id)
    return connection.execute(chosen.with_for_update(key_share=True, read=True)).first() is not None


def known(connection: Connection, recording_id: RecordingId) -> frozenset[Damage]:
    """Return the damage of a recording that stands written down."""
    columns = scrub_findings.c
    chosen = select(columns.kind, columns.what).where(columns.recording_id == recording_id)
    return frozenset(Damage(row.kind, row.what) for row in connection.execute(chosen))


def add(
    connection: Connection,
    tenant_id: TenantId,
    recording_id: RecordingId,
    damages: Iterable[Damage],
    now: datetime,
) -> None:
    """Write damage down."""
    of_it = {"tenant_id": tenant_id, "recording_id": recording_id, "found_at": now}
    rows = [{**of_it, **damage._asdict()} for damage in damages]
    if rows:
        connection.execute(insert(scrub_findings), rows)


def remove(connection: Connection, recording_id: RecordingId, damages: Iterable[Damage]) -> None:
    """Take off what is mended."""
    columns = scrub_findings.c
    mended = tuple_(columns.kind, columns.what).in_([tuple(each) for each in damages])
    connection.execute(delete(scrub_findings).where(columns.recording_id == recording_id, mended))


def was_read(
    connection: Connection,
    tenant_id: TenantId,
    recording_id: RecordingId,
    now: datetime,
    *,
    is_firm: bool = False,
) -> None:
    """Write down that every object of a recording was read again; `is_firm`: all under COMPLIANCE.

    What was seen under COMPLIANCE once has to be so ever after.
    """
    row = {"recording_id": recording_id, "tenant_id": tenant_id, "read_at": now, "is_firm": is_firm}
    statement = upsert(scrubs).values(row)
    seen = {"read_at": now, "is_firm": or_(scrubs.c.is_firm, statement.excluded.is_firm)}
    connection.execute(statement.on_conflict_do_update(index_elements=["recording_id"], set_=seen))


def findings(catalogue: Catalogue, tenant_id: TenantId) -> list[Found]:
    """Return the damage of a tenant's recordings, the newest first, FINDINGS_SHOWN_MAX at most."""
    columns = scrub_findings.c
    statement = (
        select(scrub_findings)
        .where(columns.tenant_id == tenant_id)
        .order_by(columns.found_at.desc(), columns.recording_id, columns.kind, columns.what)
        .limit(FINDINGS_SHOWN_MAX)
    )
    with catalogue.transaction(tenant_id) as connection:
        return [
            Found(RecordingId(row.recording_id), Damage(row.kind, row.what), row.found_at.astimezone(UTC))
            for row in connection.execute(statement)
        ]


def progress_of(catalogue: Catalogue, tenant_id: TenantId, read_since: datetime) -> Progress:
    """Return how far it is with a tenant; overdue is what was last read, or made, before `read_since`."""
    # What nobody read again yet was read back when it was put.
    last = func.coalesce(scrubs.c.read_at, recordings.c.ended_at)
    counted = (
        select(
            func.count().label("recordings"),
            func.count().filter(last < read_since).label("overdue"),
            func.min(last).label("oldest_at"),
        )
        .select_from(recordings.outerjoin(scrubs, scrubs.c.recording_id == recordings.c.id))
        .where(_stands(tenant_id))
    )
    damaged = select(func.count()).select_from(scrub_findings).where(scrub_findings.c.tenant_id == tenant_id)
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(counted).one()
        found = [connection.execute(each).scalar_one() for each in (damaged, *_damaged_else(tenant_id))]
    return Progress(row.recordings, row.overdue, in_utc(row.oldest_at), *found)


def _damaged_else(tenant_id: TenantId) -> tuple[Select[int], Select[int]]:
    """Return how many exports, and how many copies of cases, are damaged."""
    parts, copies = export_parts.c, case_copies_.c
    return (
        select(func.count(parts.export_id.distinct())).where(
            parts.tenant_id == tenant_id, parts.damage.is_not(None)
        ),
        select(func.count()).where(copies.tenant_id == tenant_id, copies.damage.is_not(None)),
    )


def keep_progress(catalogue: Catalogue, progress: Progress, now: datetime) -> None:
    """Remember how far it is with all tenants together."""
    row = {**vars(progress), "number": 1, "at": now}
    statement = upsert(scrub_progress).values(row)
    with catalogue.transaction() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["number"], set_=row))


def progress(catalogue: Catalogue) -> tuple[Progress, datetime] | None:
    """Return how far it was with all tenants together, and when that was counted; None: never."""
    with catalogue.transaction() as connection:
        row = connection.execute(select(scrub_progress)).one_or_none()
    if row is None:
        return None
    oldest = in_utc(row.oldest_at)
    told = Progress(
        row.recordings,
        row.overdue,
        oldest,
        row.findings,
        row.damaged_exports,
        row.damaged_case_copies,
    )
    return told, row.at.astimezone(UTC)


def _stands(tenant_id: TenantId) -> ColumnElement[bool]:
    columns = recordings.c
    return and_(columns.tenant_id == tenant_id, columns.state.not_in(sorted(GOING_STATES)))
