"""Claims on recordings whose time is over, what became of them, and their certificates.

    available | partial | failed -> deleting (claimed) -> destroyed (certificate)
                      ^                 |
                      +-- a lock of the store or a hold stood against it, nothing was deleted yet

A recording is claimed in one statement that names its term, or what two people approved
(`archive.approval`), and that no hold keeps it, under the lock of its row, which is the lock
a hold takes too. The claim is somebody's for a time;
whoever finds it over takes it up where it stopped. What is deleted is written down before.

Rules: runs as worker, but for `certificate_of`. What fails is tried again later and later, and
what the store keeps is left alone for a while, so that neither stands in the way of others.
Not here: what is left of a recording (`archive.catalogue.erasure`); objects, keys and the
order of things (`retention.destruction`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, case, delete, func, insert, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from archive.access import AccessScope, may_read_sessions
from archive.audit_chain import AuditEntry, Json
from archive.catalogue import early, erasure, quarantine
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.rows import by_name, in_utc
from archive.catalogue.tables import destructions, recording_objects, recordings
from archive.errors import Conflict, NotFound, Refused
from archive.model import (
    RecordingId,
    RecordingState,
    RetentionClass,
    SessionId,
    TenantId,
)

CLAIM_MINUTES = 10
"""Five objects are deleted within seconds; whoever needs longer died, or waits for a store that is away."""

ATTEMPT_WAIT_MAX = timedelta(hours=1)
"""Invariant I7: however often it failed, within a day there are many more attempts."""


@dataclass(frozen=True)
class DestroyedObject:
    """A version that is deleted; `sha256` of its ciphertext, where the catalogue knew it.

    One that is not `found` is known to the catalogue alone: the store showed none when it was to go.
    """

    key: str
    version_id: str
    sha256: str | None = None
    found: bool = True


@dataclass(frozen=True)
class Destruction:
    """A recording on its way out, or gone. `objects` is None until it is known what there is."""

    recording_id: RecordingId
    tenant_id: TenantId
    session_id: SessionId
    retention_class: RetentionClass
    retain_until: datetime
    kek_id: str
    claim: str
    objects: tuple[DestroyedObject, ...] | None
    entries: Mapping[str, Json]
    objects_gone_at: datetime | None
    destroyed_at: datetime | None
    proposal_id: str | None = None
    """What two people approved, where the recording goes before its term."""


@dataclass(frozen=True)
class Signed:
    """A certificate: what it states, as JSON, and the detached CMS signature over those very octets."""

    statement: bytes
    signature: bytes


@dataclass(frozen=True)
class WaitingKey:
    """A key whose recordings are gone: since when it is not needed by the first of them."""

    kek_id: str
    since: datetime


@dataclass(frozen=True)
class Siblings:
    """How many recordings hang from a key still, and how many of them go now or in the next batches."""

    all: int
    going: int


def due(catalogue: Catalogue, tenant_id: TenantId, until: datetime, limit: int) -> list[RecordingId]:
    """Return recordings whose time is over, those that are over for longest first; then what was approved."""
    statement = (
        select(recordings.c.id)
        .where(_is_due(tenant_id, until))
        .order_by(recordings.c.retain_until, recordings.c.id)
        .limit(limit)
    )
    approved = select(recordings.c.id).where(early.is_early(tenant_id, until)).order_by(recordings.c.id)
    with catalogue.transaction(tenant_id) as connection:
        found = [RecordingId(row.id) for row in connection.execute(statement)]
        left = limit - len(found)
        return found + [RecordingId(row.id) for row in connection.execute(approved.limit(left))]


def count_due(catalogue: Catalogue, tenant_id: TenantId, until: datetime) -> int:
    """Return how many recordings are over."""
    counts = [
        select(func.count()).select_from(recordings).where(condition(tenant_id, until))
        for condition in (_is_due, early.is_early)
    ]
    with catalogue.transaction(tenant_id) as connection:
        return sum(connection.execute(each).scalar_one() for each in counts)


def abandoned(catalogue: Catalogue, tenant_id: TenantId, now: datetime, limit: int) -> list[RecordingId]:
    """Return recordings whose claim is over, of which objects are left, and whose wait is over too."""
    columns = destructions.c
    statement = (
        select(columns.recording_id)
        .where(
            columns.tenant_id == tenant_id,
            columns.destroyed_at.is_(None),
            columns.objects_gone_at.is_(None),
            columns.claimed_until <= now,
            _may_be_tried(now),
        )
        .order_by(columns.claimed_until)
        .limit(limit)
    )
    with catalogue.transaction(tenant_id) as connection:
        return [RecordingId(row.recording_id) for row in connection.execute(statement)]


def claim(
    connection: Connection,
    tenant_id: TenantId,
    recording_id: RecordingId,
    *,
    claim: str,
    until: datetime,
    now: datetime,
) -> Destruction | None:
    """Claim a recording whose time is over and no hold keeps, or a claim that is over; None otherwise."""
    # A statement of its own, so that the next one sees what was committed while this one waited:
    # a recording that was put back out of the trash has changed nothing in its own row.
    connection.execute(select(recordings.c.id).where(recordings.c.id == recording_id).with_for_update())
    may_go = or_(_is_due(tenant_id, until), early.is_early(tenant_id, until))
    before = (
        select(recordings.c.id, recordings.c.state)
        .where(recordings.c.id == recording_id, may_go)
        .with_for_update()
        .cte("before")
    )
    columns = recordings.c
    taken = connection.execute(
        update(recordings)
        .where(columns.id == before.c.id, may_go)
        .values(state=RecordingState.DELETING)
        .returning(
            before.c.state.label("former_state"),
            columns.session_id,
            columns.retention_class,
            columns.retain_until,
            columns.kek_id,
            # What is over needs nobody's word, whatever was proposed of it.
            case((columns.retain_until <= until, None), else_=early.approval()).label("proposal_id"),
        )
    ).one_or_none()
    ours = {"claim": claim, "claimed_at": now, "claimed_until": now + timedelta(minutes=CLAIM_MINUTES)}
    if taken is not None:
        found = by_name(taken)
        row = {"recording_id": recording_id, "tenant_id": tenant_id, "entries": {}, **found, **ours}
        made = connection.execute(insert(destructions).values(row).returning(destructions)).one()
        return _destruction(made)
    again = connection.execute(
        update(destructions)
        .where(
            _is(tenant_id, recording_id),
            destructions.c.destroyed_at.is_(None),
            destructions.c.objects_gone_at.is_(None),
            destructions.c.claimed_until <= now,
        )
        .values(ours)
        .returning(destructions)
    ).one_or_none()
    return None if again is None else _destruction(again)


def is_held(connection: Connection, tenant_id: TenantId, recording_id: RecordingId) -> bool:
    """Return whether a hold keeps a recording, under the lock of its row."""
    statement = select(recordings.c.on_hold).where(_is_recording(tenant_id, recording_id)).with_for_update()
    return bool(connection.execute(statement).scalar())


def plan(connection: Connection, destruction: Destruction, found: Iterable[DestroyedObject]) -> Destruction:
    """Write down what is about to be deleted, and what was pinned and is not there.

    Raises Conflict when the claim is somebody else's now.
    """
    row = _locked(connection, destruction)
    known = _objects(row.objects) or ()
    pins = {
        (pin.key, pin.version_id): pin.ciphertext_sha256
        for pin in connection.execute(_pins(destruction.tenant_id, destruction.recording_id))
    }
    objects = {place: DestroyedObject(*place, sha256, found=False) for place, sha256 in pins.items()}
    objects.update({(each.key, each.version_id): each for each in known})
    for each in found:
        place = each.key, each.version_id
        objects[place] = replace(each, sha256=pins.get(place, each.sha256))
    written = [vars(each) for each in objects.values()]
    _change(connection, destruction, objects=written)
    return replace(destruction, objects=tuple(objects.values()))


def note(connection: Connection, destruction: Destruction, name: str, entry: AuditEntry) -> None:
    """Remember where the audit log tells a step of it, for the certificate."""
    told: Json = {"writer": entry.writer, "sequence": entry.sequence, "hash": entry.hash}
    noted = destructions.c.entries.op("||")({name: told})
    _change(connection, destruction, entries=noted)


def release(connection: Connection, destruction: Destruction, *, kept_until: datetime | None = None) -> None:
    """Give a recording back of which nothing was deleted, and leave it alone until then.

    Raises Conflict if the claim is lost.
    """
    row = _locked(connection, destruction)
    of_it = _is(destruction.tenant_id, destruction.recording_id)
    connection.execute(delete(destructions).where(of_it))
    connection.execute(
        update(recordings)
        .where(_is_recording(destruction.tenant_id, destruction.recording_id))
        .values(state=row.former_state, kept_until=kept_until)
    )


def give_up(connection: Connection, destruction: Destruction, *, now: datetime) -> None:
    """Let anybody take a claim up, each time later; raises Conflict if it is somebody else's already."""
    failures = _locked(connection, destruction).failures + 1
    again = now + attempt_wait(failures)
    _change(connection, destruction, claimed_until=now, failures=failures, next_attempt_at=again)


def attempt_wait(failures: int) -> timedelta:
    """Return how long a destruction that failed so often is left alone: once, not at all. Pure."""
    return min(timedelta(minutes=2 ** min(failures, 10) - 2), ATTEMPT_WAIT_MAX)


def erase(connection: Connection, destruction: Destruction, *, now: datetime) -> None:
    """Leave of a recording a row without names and numbers, now that its objects are gone.

    Raises Conflict if the claim is lost. With the row goes whatever hangs from it. Of one in
    quarantine no row is left. Its key may have been wrapped anew since it was claimed: the one to
    destroy is the one its row names now.
    """
    former = _locked(connection, destruction).former_state
    place = (destruction.tenant_id, destruction.recording_id)
    kek_id = erasure.last_kek(connection, *place)
    if former == RecordingState.QUARANTINED:
        quarantine.remove(connection, *place, destruction.session_id)
    else:
        erasure.erase(connection, *place, destruction.session_id, now=now)
    _change(
        connection,
        destruction,
        objects_gone_at=now,
        claimed_until=now,
        kek_id=kek_id or destruction.kek_id,
        failures=0,
        next_attempt_at=None,
    )


def waiting_keys(catalogue: Catalogue, tenant_id: TenantId) -> list[WaitingKey]:
    """Return the keys of recordings whose objects are gone and which have no certificate yet."""
    columns = destructions.c
    # What goes before its term waits since it was claimed.
    since = func.least(columns.retain_until, columns.claimed_at)
    statement = (
        select(columns.kek_id, func.min(since).label("since"))
        .where(_waits(tenant_id))
        .group_by(columns.kek_id)
        .order_by(columns.kek_id)
    )
    with catalogue.transaction(tenant_id) as connection:
        return [WaitingKey(row.kek_id, row.since.astimezone(UTC)) for row in connection.execute(statement)]


def waiting_for(
    catalogue: Catalogue, tenant_id: TenantId, kek_id: str, limit: int, *, after: str = ""
) -> list[Destruction]:
    """Return destructions that are done when this key is, by recording, those behind `after`."""
    columns = destructions.c
    statement = (
        select(destructions)
        .where(_waits(tenant_id), columns.kek_id == kek_id, columns.recording_id > after)
        .order_by(destructions.c.recording_id)
        .limit(limit)
    )
    with catalogue.transaction(tenant_id) as connection:
        return [_destruction(row) for row in connection.execute(statement)]


def count_under(
    catalogue: Catalogue, tenant_id: TenantId, kek_id: str, *, until: datetime, now: datetime
) -> Siblings:
    """Return how many recordings hang from a key still, and how many are being destroyed or over."""
    columns = recordings.c
    claimed = select(destructions.c.recording_id).where(
        destructions.c.tenant_id == tenant_id, destructions.c.claimed_until > now
    )
    destroyed_now = and_(columns.state == RecordingState.DELETING, columns.id.in_(claimed))
    next_to_go = or_(_is_due(tenant_id, until), early.is_early(tenant_id, until))
    going = func.count().filter(or_(destroyed_now, next_to_go))
    statement = (
        select(func.count().label("all"), going.label("going"))
        .select_from(recordings)
        .where(columns.tenant_id == tenant_id, columns.kek_id == kek_id)
    )
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(statement).one()
    return Siblings(row.all, row.going)


def lock_unfinished(connection: Connection, destruction: Destruction) -> Destruction | None:
    """Return a destruction that has no certificate yet and keep others from giving it one, or None."""
    statement = (
        select(destructions)
        .where(_is(destruction.tenant_id, destruction.recording_id), destructions.c.destroyed_at.is_(None))
        .with_for_update()
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else _destruction(row)


def finish(connection: Connection, destruction: Destruction, signed: Signed, *, now: datetime) -> None:
    """Give a destruction its certificate; the recording is destroyed."""
    tenant_id, recording_id = destruction.tenant_id, destruction.recording_id
    objects = [vars(each) for each in destruction.objects or ()]
    connection.execute(
        update(destructions)
        .where(_is(tenant_id, recording_id))
        .values(destroyed_at=now, certificate=signed.statement, signature=signed.signature, objects=objects)
    )
    connection.execute(
        update(recordings)
        .where(_is_recording(tenant_id, recording_id))
        .values(state=RecordingState.DESTROYED)
    )


def to_look_at_again(
    catalogue: Catalogue, tenant_id: TenantId, *, before: datetime, now: datetime, limit: int
) -> list[Destruction]:
    """Return destructions that were complete before then and were not looked at since."""
    columns = destructions.c
    statement = (
        select(destructions)
        .where(
            columns.tenant_id == tenant_id,
            columns.destroyed_at <= before,
            columns.looked_again_at.is_(None),
            _may_be_tried(now),
        )
        .order_by(columns.destroyed_at)
        .limit(limit)
    )
    with catalogue.transaction(tenant_id) as connection:
        return [_destruction(row) for row in connection.execute(statement)]


def look_again_later(catalogue: Catalogue, destruction: Destruction, at: datetime) -> None:
    """Leave a destruction alone until then: what was found of it can't be deleted now."""
    with catalogue.transaction(destruction.tenant_id) as connection:
        _change(connection, destruction, next_attempt_at=at)


def note_looked_again(connection: Connection, destruction: Destruction, *, now: datetime) -> None:
    """Write down that nothing is left of a recording that was destroyed a while ago."""
    _change(connection, destruction, looked_again_at=now, next_attempt_at=None)


def certificate_of(
    catalogue: Catalogue, scope: AccessScope, recording_id: RecordingId
) -> tuple[Destruction, Signed]:
    """Return how a recording went and its signed certificate, to whoever may see how sessions ended.

    Raises Refused without that right, NotFound when it was not destroyed (yet).
    """
    if not may_read_sessions(scope):
        raise Refused("Certificates need the role auditor or administrator, or sessions:read.")
    statement = select(destructions).where(
        _is(scope.tenant_id, recording_id), destructions.c.certificate.is_not(None)
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(
            "There is no certificate of this recording: it was not destroyed at the end of a term."
        )
    return _destruction(row), Signed(bytes(row.certificate), bytes(row.signature))


def claimed_at(connection: Connection, tenant_id: TenantId, recording_id: RecordingId) -> datetime | None:
    """Return when the destruction of a recording began, or None."""
    statement = select(destructions.c.claimed_at).where(_is(tenant_id, recording_id))
    found = connection.execute(statement).scalar()
    return in_utc(found)


def _locked(connection: Connection, destruction: Destruction) -> Row[Any]:
    """Return the row of a claim that is ours, under its lock; raises Conflict when it is somebody else's."""
    statement = (
        select(destructions)
        .where(_is(destruction.tenant_id, destruction.recording_id))
        .where(destructions.c.claim == destruction.claim, destructions.c.objects_gone_at.is_(None))
        .with_for_update()
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise Conflict("Another worker has taken this destruction over; it goes on there.")
    return row


def _change(connection: Connection, destruction: Destruction, **values: object) -> None:
    of_it = _is(destruction.tenant_id, destruction.recording_id)
    connection.execute(update(destructions).where(of_it).values(values))


def _pins(tenant_id: TenantId, recording_id: RecordingId) -> Select[Any]:
    columns = recording_objects.c
    return select(columns.key, columns.version_id, columns.ciphertext_sha256).where(
        columns.tenant_id == tenant_id, columns.recording_id == recording_id
    )


def _destruction(row: Row[Any]) -> Destruction:
    return Destruction(
        recording_id=RecordingId(row.recording_id),
        tenant_id=TenantId(row.tenant_id),
        session_id=SessionId(row.session_id),
        retention_class=RetentionClass(row.retention_class),
        retain_until=row.retain_until.astimezone(UTC),
        kek_id=row.kek_id,
        claim=row.claim,
        objects=_objects(row.objects),
        entries=row.entries,
        objects_gone_at=in_utc(row.objects_gone_at),
        destroyed_at=in_utc(row.destroyed_at),
        proposal_id=row.proposal_id,
    )


def _objects(written: list[dict[str, Any]] | None) -> tuple[DestroyedObject, ...] | None:
    return None if written is None else tuple(DestroyedObject(**each) for each in written)


def _is(tenant_id: TenantId, recording_id: RecordingId) -> ColumnElement[bool]:
    return and_(destructions.c.tenant_id == tenant_id, destructions.c.recording_id == recording_id)


def _is_recording(tenant_id: TenantId, recording_id: RecordingId) -> ColumnElement[bool]:
    return and_(recordings.c.tenant_id == tenant_id, recordings.c.id == recording_id)


def _is_due(tenant_id: TenantId, until: datetime) -> ColumnElement[bool]:
    return and_(early.is_free(tenant_id, until), recordings.c.retain_until <= until)


def _may_be_tried(now: datetime) -> ColumnElement[bool]:
    again = destructions.c.next_attempt_at
    return or_(again.is_(None), again <= now)


def _waits(tenant_id: TenantId) -> ColumnElement[bool]:
    columns = destructions.c
    return and_(
        columns.tenant_id == tenant_id,
        columns.destroyed_at.is_(None),
        columns.objects_gone_at.is_not(None),
    )
