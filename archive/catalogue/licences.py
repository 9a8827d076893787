"""Licences of a person: which were in force when, and what changing one does.

Rules: the history is only ever added to. A recording keeps the class of the licence in
force when it began, so that a change touches no recording that exists; the preview says
so in numbers. Not here: giving a licence (`archive.catalogue.directory`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from sqlalchemy import func, or_, select

from archive.access import UNSEEN_STATES
from archive.allowance import cap_s, month_of
from archive.catalogue import grounds
from archive.catalogue.directory_rows import users_where
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import minute_months, recordings, user_licences, users
from archive.errors import GroundsMissing, NotFound
from archive.model import GOING_STATES, RecordingMode, RecordingState, RetentionClass, TenantId, User, UserId

_NOT_THERE = UNSEEN_STATES | GOING_STATES | {RecordingState.QUARANTINED, RecordingState.FAILED}


@dataclass(frozen=True)
class LicencePeriod:
    """A licence (None: none) in force from `valid_from`, inclusive, to `valid_until`, exclusive."""

    licence: RetentionClass | None
    valid_from: datetime
    valid_until: datetime | None


@dataclass(frozen=True)
class KeptClass:
    """Recordings that exist in one class, when the last of them expires, and the first that no hold keeps."""

    retention_class: RetentionClass
    count: int
    retain_until: datetime
    first: datetime | None = None


@dataclass(frozen=True)
class LicencePreview:
    """What would be if a person got another licence now.

    Calls that begin from `counts_from` on get the class `after`; the recordings of `kept`
    keep theirs. `used_s` are the seconds booked this month, `cap_s` the seconds `after`
    allows (None: any), `above_cap` whether they are used up. `obstacle` says why the
    change alone would be refused, None when it would not.
    """

    user_id: UserId
    login: str
    before: RetentionClass | None
    after: RetentionClass | None
    counts_from: datetime
    kept: tuple[KeptClass, ...]
    used_s: int
    cap_s: int | None
    above_cap: bool
    obstacle: str | None


def history(catalogue: Catalogue, tenant_id: TenantId, user_id: UserId) -> list[LicencePeriod]:
    """Return the licences of a person, the first one first; empty for one who never had any."""
    columns = user_licences.c
    statement = (
        select(columns.licence, columns.valid_from)
        .where(columns.tenant_id == tenant_id, columns.user_id == user_id)
        .order_by(columns.valid_from)
    )
    with catalogue.transaction(tenant_id) as connection:
        given = [(row.licence, row.valid_from.astimezone(UTC)) for row in connection.execute(statement)]
    return [
        LicencePeriod(None if licence is None else RetentionClass(licence), valid_from, valid_until)
        for (licence, valid_from), (_, valid_until) in pairwise([*given, (None, None)])
    ]


def preview(
    catalogue: Catalogue,
    tenant_id: TenantId,
    login_or_user_id: str,
    licence: RetentionClass | None,
    *,
    now: datetime,
) -> LicencePreview:
    """Return what giving a person this licence now would do, changing nothing; raises NotFound."""
    wanted = login_or_user_id.strip().lower()
    named = or_(users.c.login == wanted, users.c.id == wanted)
    with catalogue.transaction(tenant_id) as connection:
        found = users_where(connection, users.c.tenant_id == tenant_id, named)
        if not found:
            raise NotFound("There is no such user in this tenant.")
        user = found[0]
        kept = kept_of(connection, tenant_id, [user.id])
        used_s = _used_s(connection, tenant_id, user.id, now)
        obstacle = _obstacle(connection, user, licence)
    cap = cap_s(licence)
    return LicencePreview(
        user_id=user.id,
        login=user.login,
        before=user.licence,
        after=licence,
        counts_from=now,
        kept=kept,
        used_s=used_s,
        cap_s=cap,
        above_cap=cap is not None and used_s >= cap,
        obstacle=obstacle,
    )


def _obstacle(connection: Connection, user: User, licence: RetentionClass | None) -> str | None:
    """Return why giving a person this licence alone would be refused, None when it would not."""
    if licence is None and user.mode is not RecordingMode.NEVER:
        return f"the mode {user.mode} needs a licence; set the mode to never with it"
    try:
        grounds.require(connection, user, licence, user.mode)
    except GroundsMissing as missing:
        return str(missing)
    return None


def kept_of(connection: Connection, tenant_id: TenantId, user_ids: Iterable[UserId]) -> tuple[KeptClass, ...]:
    """Return what exists of these people, class by class, in the caller's transaction."""
    columns = recordings.c
    statement = (
        select(
            columns.retention_class,
            func.count().label("held"),
            func.max(columns.retain_until).label("last"),
            func.min(columns.retain_until).filter(columns.on_hold.is_(False)).label("first"),
        )
        .where(
            columns.tenant_id == tenant_id,
            columns.owner.in_(sorted(user_ids)),
            columns.state.not_in(sorted(_NOT_THERE)),
        )
        .group_by(columns.retention_class)
    )
    held = {
        RetentionClass(row.retention_class): KeptClass(
            RetentionClass(row.retention_class), row.held, row.last.astimezone(UTC), in_utc(row.first)
        )
        for row in connection.execute(statement)
    }
    return tuple(held[each] for each in RetentionClass if each in held)


def _used_s(connection: Connection, tenant_id: TenantId, user_id: UserId, now: datetime) -> int:
    columns = minute_months.c
    statement = select(columns.booked_s).where(
        columns.tenant_id == tenant_id, columns.user_id == user_id, columns.month == month_of(now)
    )
    return connection.execute(statement).scalar() or 0
