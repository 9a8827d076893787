"""From rows to tenants, peers and people: what `directory` and its neighbours read.

Rules: only SELECT, within the caller's transaction; each function is one statement
(people take two), however many rows there are, because recorders load them all.

Not here: any change (`archive.catalogue.directory`), and the lookups over what was
read (`archive.catalogue.snapshot`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, func, select, true

from archive.catalogue.rows import in_utc
from archive.catalogue.snapshot import BroadWorksGroup, DoNotRecord, ExemptNumber, NumberRange
from archive.catalogue.tables import (
    do_not_record,
    exempt_numbers,
    keep_next,
    minute_months,
    peers,
    recording_grounds,
    tenant_policies,
    tenants,
    user_licences,
    user_numbers,
    users,
)
from archive.model import (
    AboveCap,
    Peer,
    PeerId,
    RecordingMode,
    RetentionClass,
    Role,
    Tenant,
    TenantId,
    TenantPolicy,
    User,
    UserId,
)


def tenants_where(connection: Connection, *conditions: ColumnElement[bool]) -> list[Tenant]:
    """Return tenants with their policies, by id."""
    return [_tenant(row) for row in _tenant_rows(connection, *conditions)]


def tenants_and_groups(connection: Connection) -> tuple[tuple[Tenant, ...], tuple[BroadWorksGroup, ...]]:
    """Return all tenants, and the BroadWorks groups that name them."""
    rows = _tenant_rows(connection)
    groups = tuple(
        BroadWorksGroup(row.broadworks_service_provider, row.broadworks_group, TenantId(row.id))
        for row in rows
        if row.broadworks_service_provider is not None
    )
    return tuple(map(_tenant, rows)), groups


def all_peers(connection: Connection) -> tuple[Peer, ...]:
    """Return the peers, by id."""
    return tuple(
        Peer(
            id=PeerId(row.id),
            name=row.name,
            addresses=tuple(row.addresses),
            tenant_id=None if row.tenant_id is None else TenantId(row.tenant_id),
            dialect=row.dialect,
            srtp=row.srtp,
            star_codes=row.star_codes,
            enabled=row.enabled,
        )
        for row in connection.execute(select(peers).order_by(peers.c.id))
    )


def users_where(connection: Connection, *conditions: ColumnElement[bool]) -> tuple[User, ...]:
    """Return people with their numbers, licence in force, newest month and promise, by id."""
    licence = (
        select(user_licences.c.licence)
        .where(user_licences.c.user_id == users.c.id)
        .order_by(user_licences.c.valid_from.desc())
        .limit(1)
        .scalar_subquery()
    )
    newest = (
        select(minute_months.c.month, minute_months.c.booked_s)
        .where(minute_months.c.user_id == users.c.id)
        .order_by(minute_months.c.month.desc())
        .limit(1)
        .lateral("newest")
    )
    # A promise that is over is no promise; whoever kept none of its calls let it lapse.
    promised = and_(keep_next.c.user_id == users.c.id, keep_next.c.until > func.now())
    statement = (
        select(users, licence.label("licence"), keep_next.c.until, newest.c.month, newest.c.booked_s)
        .select_from(users)
        .outerjoin(keep_next, promised)
        .outerjoin(newest, true())
        .where(*conditions)
        .order_by(users.c.id)
    )
    held = _numbers_held(connection, *conditions)
    return tuple(_user(row, tuple(held.get(row.id, ()))) for row in connection.execute(statement))


def all_do_not_record(connection: Connection) -> tuple[DoNotRecord, ...]:
    """Return the numbers tenants never record, of all tenants in sight."""
    columns = do_not_record.c
    statement = select(do_not_record).order_by(columns.tenant_id, columns.first.collate("C"))
    return tuple(
        DoNotRecord(
            TenantId(row.tenant_id),
            NumberRange(row.first, row.last),
            row.reason,
            None if row.user_id is None else UserId(row.user_id),
        )
        for row in connection.execute(statement)
    )


def all_exempt_numbers(connection: Connection) -> tuple[ExemptNumber, ...]:
    """Return what operator and tenants added to the floor list, of all tenants in sight."""
    columns = exempt_numbers.c
    statement = select(exempt_numbers).order_by(columns.tenant_id, columns.number.collate("C"))
    return tuple(
        ExemptNumber(None if row.tenant_id is None else TenantId(row.tenant_id), row.number)
        for row in connection.execute(statement)
    )


def tenants_without_grounds(connection: Connection) -> tuple[TenantId, ...]:
    """Return the tenants in sight of whom nobody wrote down why they record, by id."""
    written = select(recording_grounds.c.tenant_id).where(recording_grounds.c.tenant_id == tenants.c.id)
    statement = select(tenants.c.id).where(~written.exists()).order_by(tenants.c.id)
    return tuple(map(TenantId, connection.execute(statement).scalars()))


def overlapping(table: Table, tenant_id: TenantId, numbers: NumberRange) -> ColumnElement[bool]:
    """Return the condition for the tenant's rows whose `first` to `last` shares a number with `numbers`."""
    first, last = table.c.first.collate("C"), table.c.last.collate("C")
    shared = and_(func.length(first) == len(numbers.first), first <= numbers.last, last >= numbers.first)
    if "@" in numbers.first:
        shared = first == numbers.first
    return and_(table.c.tenant_id == tenant_id, shared)


def _tenant_rows(connection: Connection, *conditions: ColumnElement[bool]) -> list[Row[Any]]:
    statement = (
        select(
            tenants,
            tenant_policies.c.keep_grace_h,
            tenant_policies.c.above_cap,
            tenant_policies.c.purpose_required,
            tenant_policies.c.exports_alone_max,
            tenant_policies.c.trash_days,
            tenant_policies.c.idle_minutes,
        )
        .outerjoin(tenant_policies, tenant_policies.c.tenant_id == tenants.c.id)
        .where(*conditions)
        .order_by(tenants.c.id)
    )
    return list(connection.execute(statement).all())


def _tenant(row: Row[Any]) -> Tenant:
    decided = row.keep_grace_h is not None
    policy = TenantPolicy()
    if decided:
        policy = TenantPolicy(
            row.keep_grace_h,
            AboveCap(row.above_cap),
            row.purpose_required,
            row.exports_alone_max,
            row.trash_days,
            row.idle_minutes,
        )
    return Tenant(TenantId(row.id), row.name, row.domain, policy, row.operates)


def _numbers_held(connection: Connection, *conditions: ColumnElement[bool]) -> dict[str, list[str]]:
    of_user = and_(user_numbers.c.tenant_id == users.c.tenant_id, user_numbers.c.user_id == users.c.id)
    statement = (
        select(user_numbers)
        .join(users, of_user)
        .where(*conditions)
        .order_by(user_numbers.c.first.collate("C"))
    )
    held: dict[str, list[str]] = {}
    for row in connection.execute(statement):
        held.setdefault(row.user_id, []).append(str(NumberRange(row.first, row.last)))
    return held


def _user(row: Row[Any], numbers: tuple[str, ...]) -> User:
    return User(
        id=UserId(row.id),
        tenant_id=TenantId(row.tenant_id),
        login=row.login,
        numbers=numbers,
        broadworks_id=row.broadworks_id,
        role=Role(row.role),
        access=row.access,
        site=row.site,
        licence=None if row.licence is None else RetentionClass(row.licence),
        mode=RecordingMode(row.mode),
        own_modes=tuple(map(RecordingMode, row.own_modes)),
        keep_next_until=in_utc(row.until),
        booked_month=row.month,
        booked_s=row.booked_s or 0,
        left_at=in_utc(row.left_at),
    )
