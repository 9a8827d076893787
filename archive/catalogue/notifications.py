"""What people are told of by mail: what happened that is about them, and what they want to hear of.

A notification is noted in the transaction of what it tells of, once for each thing it is about, and
settled in the transaction that queues its mail: of two workers that look, one makes it. It holds
ids alone. What somebody chose counts at the moment the mail is made, and once more when it leaves.

Rules: a person's own, for their own address. Security is no choice: mails about passwords, addresses
and codes do not come from here. Not here: making and sending mails (`retention.notifications`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, Select, delete, exists, func, literal, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.allowance import cap_s, month_of, percent_reached
from archive.catalogue.engine import Connection
from archive.catalogue.tables import (
    call_events,
    minute_months,
    notification_choices,
    notifications,
    shares,
    user_licences,
    users,
)
from archive.model import RecordingId, RetentionClass, Role, TenantId, UserId, new_id

KEPT = timedelta(days=30)
"""Until then it is remembered what was told, so that nothing is told twice."""

WAITED_MAX = timedelta(days=3)
"""Older news nobody is told: no mail was sent from here for that long."""

PER_PERSON_MAX = 20
"""Mails to one person within COUNTED; what is above waits for room. A long talk is read, not mailed."""

COUNTED = timedelta(hours=1)
LOOKED_AT_MAX = 200
"""Of one tenant at a time; the rest a minute later."""

LINK_ENDS_WITHIN = timedelta(days=1)

MINUTES_WITHIN = WAITED_MAX
"""A worker that was away tells of used-up minutes what it still finds: it sweeps events of calls itself."""


class Kind(StrEnum):
    """What somebody may want to be told of."""

    REPLY = "reply"
    EVALUATION = "evaluation"
    SETTLEMENT = "settlement"
    OBJECTION = "objection"
    HEARD = "heard"
    LINK_OPENED = "link-opened"
    LINK_ENDS = "link-ends"
    EXPORT = "export"
    IMPORT = "import"
    MINUTES = "minutes"


OFF_BY_DEFAULT = frozenset({Kind.HEARD, Kind.LINK_ENDS})
"""What comes again and again by itself; the rest is an answer to something one did."""


@dataclass(frozen=True)
class Notification:
    """Something to be told to one person; `about` is the id of the thing, or the day."""

    id: str
    tenant_id: TenantId
    user_id: UserId
    kind: Kind
    about: str
    recording_id: RecordingId | None
    noted_at: datetime


@dataclass(frozen=True)
class Choices:
    """What a person wants to be told of, and in which language."""

    wanted: Mapping[Kind, bool]
    language: str = "nl"


def note(
    connection: Connection,
    tenant_id: TenantId,
    user_id: UserId,
    kind: Kind,
    about: str,
    *,
    recording_id: RecordingId | None = None,
    settled: bool = False,
    now: datetime,
) -> bool:
    """Note something to be told in the caller's transaction; False when it was noted, or for nobody.

    One that is noted as `settled` is told to nobody: it was looked at, and there was nothing.
    """
    row = {
        "id": new_id(now),
        "tenant_id": tenant_id,
        "user_id": user_id,
        "kind": kind.value,
        "about": about,
        "recording_id": recording_id,
        "noted_at": now,
        "settled_at": now if settled else None,
    }
    # Who wrote something may be gone: that must not stop whoever answers.
    there = select(*(literal(value, notifications.c[name].type) for name, value in row.items())).where(
        exists().where(users.c.tenant_id == tenant_id, users.c.id == user_id)
    )
    statement = upsert(notifications).from_select(list(row), there).on_conflict_do_nothing()
    return connection.execute(statement).rowcount > 0


def is_noted(connection: Connection, tenant_id: TenantId, user_id: UserId, kind: Kind, about: str) -> bool:
    """Return whether something was noted already."""
    columns = notifications.c
    own = (columns.tenant_id == tenant_id, columns.user_id == user_id)
    statement = select(columns.id).where(*own, columns.kind == kind.value, columns.about == about)
    return connection.execute(statement).first() is not None


def person_of(actor: str) -> UserId | None:
    """Return who an actor of the audit log is, None for a program."""
    kind, _, name = actor.partition(":")
    return UserId(name) if kind == "user" else None


def choices_of(connection: Connection, tenant_id: TenantId, user_id: UserId) -> Choices:
    """Return what a person wants to be told of; who never chose gets what is usual."""
    columns = notification_choices.c
    own = (columns.tenant_id == tenant_id, columns.user_id == user_id)
    row = connection.execute(select(columns.wanted, columns.language).where(*own)).one_or_none()
    usual = {kind: kind not in OFF_BY_DEFAULT for kind in Kind}
    if row is None:
        return Choices(usual)
    return Choices({kind: bool(row.wanted.get(kind, usual[kind])) for kind in Kind}, row.language)


def choose(
    connection: Connection, tenant_id: TenantId, user_id: UserId, chosen: Choices, *, now: datetime
) -> None:
    """Set what a person wants to be told of; the caller has the audit entry."""
    row = {
        "tenant_id": tenant_id,
        "user_id": user_id,
        "wanted": {kind.value: wanted for kind, wanted in chosen.wanted.items()},
        "language": chosen.language,
        "changed_at": now,
    }
    statement = upsert(notification_choices).values(row)
    changed = {name: row[name] for name in ("wanted", "language", "changed_at")}
    connection.execute(statement.on_conflict_do_update(index_elements=["tenant_id", "user_id"], set_=changed))


def who_wants(connection: Connection, tenant_id: TenantId, kind: Kind) -> list[UserId]:
    """Return who chose to be told of something that is off by default."""
    columns = notification_choices.c
    chosen = columns.wanted.contains({kind.value: True})
    statement = select(columns.user_id).where(columns.tenant_id == tenant_id, chosen)
    return [UserId(each) for each in connection.execute(statement.order_by(columns.user_id)).scalars()]


def waiting(connection: Connection, tenant_id: TenantId, *, now: datetime) -> list[Notification]:
    """Return what is to be told and nobody else is telling just now, oldest first; its rows are locked.

    What waits for room of one person keeps nobody else waiting: it is not among it.
    """
    columns = notifications.c
    statement = (
        select(notifications)
        .where(columns.tenant_id == tenant_id, columns.settled_at.is_(None))
        .where(columns.user_id.not_in(_without_room(tenant_id, now)))
        .order_by(columns.noted_at, columns.id)
        .limit(LOOKED_AT_MAX)
        .with_for_update(skip_locked=True)
    )
    return [_notification(row) for row in connection.execute(statement)]


def has_room(connection: Connection, told: Notification, *, now: datetime) -> bool:
    """Return whether a person may get one more mail now."""
    columns = notifications.c
    statement = select(func.count()).where(
        columns.tenant_id == told.tenant_id,
        columns.user_id == told.user_id,
        columns.mailed,
        columns.settled_at > now - COUNTED,
    )
    return connection.execute(statement).scalar_one() < PER_PERSON_MAX


def _without_room(tenant_id: TenantId, now: datetime) -> Select[Any]:
    """Return the query of who got PER_PERSON_MAX mails within COUNTED."""
    columns = notifications.c
    return (
        select(columns.user_id)
        .where(columns.tenant_id == tenant_id, columns.mailed, columns.settled_at > now - COUNTED)
        .group_by(columns.user_id)
        .having(func.count() >= PER_PERSON_MAX)
    )


def settle(connection: Connection, told: Notification, *, mailed: bool, now: datetime) -> None:
    """Note in the caller's transaction that a notification was told, or is not to be."""
    columns = notifications.c
    statement = update(notifications).where(columns.tenant_id == told.tenant_id, columns.id == told.id)
    connection.execute(statement.values(settled_at=now, mailed=mailed))


def address_of(connection: Connection, user_id: UserId) -> str | None:
    """Return the proved address of somebody there is something to tell, None where there is none."""
    proved = func.addresses_of_notified().table_valued("user_id", "email")
    return connection.execute(select(proved.c.email).where(proved.c.user_id == user_id)).scalar()


def note_ending_links(connection: Connection, tenant_id: TenantId, user_id: UserId, *, now: datetime) -> None:
    """Note the play links of a person that work and end within a day; of one made for a day, nothing."""
    columns = shares.c
    statement = select(columns.id, columns.recording_id).where(
        columns.tenant_id == tenant_id,
        columns.user_id == user_id,
        columns.revoked_at.is_(None),
        columns.ends_at > now,
        columns.ends_at <= now + LINK_ENDS_WITHIN,
        columns.made_at < columns.ends_at - 2 * LINK_ENDS_WITHIN,
    )
    for row in connection.execute(statement).all():
        recording_id = RecordingId(row.recording_id)
        note(connection, tenant_id, user_id, Kind.LINK_ENDS, row.id, recording_id=recording_id, now=now)


def note_minutes(connection: Connection, tenant_id: TenantId, *, now: datetime) -> None:
    """Tell administrators of each hour that is over in which somebody reached 80 or 100 % of their minutes.

    They do so by a call (an event tells of it), or by a licence of fewer minutes than they used already.

    An hour is one mail, however many they are, and so are several at once, which a worker that was
    away finds: the newest stands for them. Hours from before MINUTES_WITHIN are told no more.
    """
    columns = call_events.c
    hour = func.date_trunc("hour", columns.at, "UTC")
    reached = columns.kind.in_([literal_column("'quota.80'"), literal_column("'quota.100'")])
    over = now.replace(minute=0, second=0, microsecond=0)
    within = (columns.at >= over - MINUTES_WITHIN, columns.at < over)
    statement = select(hour).where(columns.tenant_id == tenant_id, reached, *within).distinct()
    reached_by_calls = {each.astimezone(UTC) for each in connection.execute(statement).scalars()}
    hours = sorted(reached_by_calls | _hours_of_smaller_licences(connection, tenant_id, over, now))
    if not hours:
        return
    administrators = select(users.c.id).where(
        users.c.tenant_id == tenant_id, users.c.role == Role.ADMINISTRATOR.value, users.c.left_at.is_(None)
    )
    for user_id in connection.execute(administrators).scalars().all():
        for each in hours:
            older = each != hours[-1]
            whom, about = UserId(user_id), each.isoformat()
            note(connection, tenant_id, whom, Kind.MINUTES, about, settled=older, now=now)


def _hours_of_smaller_licences(
    connection: Connection, tenant_id: TenantId, over: datetime, now: datetime
) -> set[datetime]:
    """Return the hours in which a licence of fewer minutes was given than its person used already."""
    given, earlier, months = user_licences.c, user_licences.alias().c, minute_months.c
    last = (
        select(earlier.licence)
        .where(earlier.user_id == given.user_id, earlier.valid_from < given.valid_from)
        .order_by(earlier.valid_from.desc())
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        select(given.valid_from, given.licence, last.label("last"), months.booked_s)
        .join_from(user_licences, minute_months, months.user_id == given.user_id)
        .where(given.tenant_id == tenant_id, months.tenant_id == tenant_id, months.month == month_of(now))
        .where(given.valid_from >= over - MINUTES_WITHIN, given.valid_from < over)
    )
    return {
        row.valid_from.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        for row in connection.execute(statement)
        if _reached(row.booked_s, row.licence) > _reached(row.booked_s, row.last)
    }


def _reached(booked_s: int, licence: str | None) -> int:
    return percent_reached(booked_s, cap_s(None if licence is None else RetentionClass(licence)))


def sweep(connection: Connection, tenant_id: TenantId, *, now: datetime) -> None:
    """Forget what was told long ago, and what nobody could be told."""
    columns = notifications.c
    old = or_(columns.settled_at < now - KEPT, columns.noted_at < now - KEPT - WAITED_MAX)
    connection.execute(delete(notifications).where(columns.tenant_id == tenant_id, old))


def _notification(row: Row[Any]) -> Notification:
    recording_id = None if row.recording_id is None else RecordingId(row.recording_id)
    ids = row.id, TenantId(row.tenant_id), UserId(row.user_id)
    return Notification(*ids, Kind(row.kind), row.about, recording_id, row.noted_at.astimezone(UTC))
