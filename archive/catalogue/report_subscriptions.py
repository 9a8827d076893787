"""Who gets which report by mail: subscriptions, and which of their periods were sent.

A subscription is a person's own and goes to their own address, once that was proved. A period has
one row for ever, made in the transaction that queues its mail (`claim`): whoever comes second
finds it there. Periods nothing was sent of are made up for, the newest CATCH_UP of them. What was
due before a backup was restored is not sent: nobody knows whether it was.

Rules: one subscription of each report, team and frequency a person; asking again changes hour and
form. Not here: making and sending the mail (`retention.report_mails`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Row, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import AccessScope, report_reach
from archive.catalogue import restores
from archive.catalogue.engine import Connection
from archive.catalogue.tables import report_sendings, report_subscriptions
from archive.errors import Conflict, NotFound, Refused
from archive.model import TenantId, UserId, new_id
from archive.reports.period import Frequency, Period, before, over
from archive.reports.report import Name

COUNT_MAX = 20
"""Of one person: nine reports, some of them of two teams."""

CATCH_UP: Mapping[Frequency, int] = {Frequency.DAILY: 7, Frequency.WEEKLY: 2, Frequency.MONTHLY: 1}
"""Periods that are sent at once after workers, or the address, were away. Older ones nobody waits for."""

FORMS = ("csv", "xlsx", "pdf")
FORM_USUAL = "xlsx"
HOUR_USUAL = 7
"""Before the working day begins."""


@dataclass(frozen=True)
class Wanted:
    """What somebody wants by mail; `hour` is a local one of the day after the period."""

    name: Name
    frequency: Frequency
    team_id: str | None = None
    hour: int = HOUR_USUAL
    form: str = FORM_USUAL
    language: str = "nl"


@dataclass(frozen=True)
class Subscription:
    """What somebody gets by mail."""

    id: str
    tenant_id: TenantId
    user_id: UserId
    wanted: Wanted
    made_at: datetime


@dataclass(frozen=True)
class Due:
    """A period of a subscription that nobody claimed yet, and where its mail goes."""

    subscription: Subscription
    period: Period
    address: str


def set_one(connection: Connection, scope: AccessScope, wanted: Wanted, *, now: datetime) -> Subscription:
    """Have a report mailed to who asks, or otherwise than before; the caller has the audit entry.

    Raises Refused for programs and for what is not in the lists, NotFound for a team whose numbers
    one does not see, Conflict above COUNT_MAX.
    """
    user_id = _person(scope)
    if report_reach(scope, wanted.team_id) is None:
        raise NotFound("There is no such team whose reports you see.")
    if not 0 <= wanted.hour <= 23 or wanted.form not in FORMS or wanted.language not in {"nl", "en"}:
        raise Refused(f"A report is mailed at an hour from 0 to 23, as {', '.join(FORMS)}, in nl or en.")
    row = {
        "id": new_id(now),
        "tenant_id": scope.tenant_id,
        "user_id": user_id,
        "report": wanted.name.value,
        "team_id": wanted.team_id,
        "frequency": wanted.frequency.value,
        "hour": wanted.hour,
        "form": wanted.form,
        "language": wanted.language,
        "made_at": now,
    }
    changed = {name: row[name] for name in ("hour", "form", "language")}
    statement = (
        upsert(report_subscriptions)
        .values(row)
        .on_conflict_do_update(index_elements=["user_id", "report", "team_id", "frequency"], set_=changed)
    )
    made = _subscription(connection.execute(statement.returning(report_subscriptions)).one())
    columns = report_subscriptions.c
    count = select(func.count()).where(columns.tenant_id == scope.tenant_id, columns.user_id == user_id)
    if connection.execute(count).scalar_one() > COUNT_MAX:
        raise Conflict(f"You get {COUNT_MAX} reports by mail at most: end one first.")
    return made


def of_person(connection: Connection, scope: AccessScope) -> list[Subscription]:
    """Return what somebody gets by mail, by report and frequency."""
    columns = report_subscriptions.c
    statement = (
        select(report_subscriptions)
        .where(columns.tenant_id == scope.tenant_id, columns.user_id == (scope.user_id or ""))
        .order_by(columns.report, columns.frequency, columns.id)
    )
    return [_subscription(row) for row in connection.execute(statement)]


def end(connection: Connection, scope: AccessScope, subscription_id: str) -> None:
    """End one's own subscription; raises NotFound."""
    columns = report_subscriptions.c
    statement = delete(report_subscriptions).where(
        columns.tenant_id == scope.tenant_id, columns.user_id == _person(scope), columns.id == subscription_id
    )
    if not connection.execute(statement).rowcount:
        raise NotFound("There is no such subscription of yours.")


def due(connection: Connection, tenant_id: TenantId, now: datetime) -> list[Due]:
    """Return the periods of a tenant's subscriptions that are to be sent now, oldest first."""
    columns = report_subscriptions.c
    proved = func.addresses_of_subscribers().table_valued("user_id", "email")
    newest = (
        select(func.max(report_sendings.c.first_day))
        .where(
            report_sendings.c.tenant_id == columns.tenant_id, report_sendings.c.subscription_id == columns.id
        )
        .correlate(report_subscriptions)
        .scalar_subquery()
    )
    statement = (
        select(report_subscriptions, proved.c.email, newest.label("newest"))
        .join_from(report_subscriptions, proved, proved.c.user_id == columns.user_id)
        .where(columns.tenant_id == tenant_id)
        .order_by(columns.id)
    )
    restored_at = restores.newest(connection)
    return [
        Due(subscription, period, row.email)
        for row in connection.execute(statement)
        for subscription in [_subscription(row)]
        for period in reversed(list(_unsent(subscription, row.newest, now)))
        if restored_at is None or period.first > _due_at(subscription, restored_at).first
    ]


def goes_to(connection: Connection, tenant_id: TenantId, subscription_id: str, address: str) -> bool:
    """Return whether a subscription is there still, and goes to this address still, which is proved."""
    columns = report_subscriptions.c
    proved = func.addresses_of_subscribers().table_valued("user_id", "email")
    statement = select(
        exists()
        .where(proved.c.user_id == columns.user_id, proved.c.email == address)
        .where(columns.tenant_id == tenant_id, columns.id == subscription_id)
    )
    return bool(connection.execute(statement).scalar())


def claim(connection: Connection, found: Due, *, now: datetime) -> bool:
    """Make the one row of a period; False when it is there. Waits for whoever is about to make it."""
    row = {
        "tenant_id": found.subscription.tenant_id,
        "subscription_id": found.subscription.id,
        "first_day": found.period.first,
        "claimed_at": now,
    }
    statement = (
        upsert(report_sendings).values(row).on_conflict_do_nothing().returning(report_sendings.c.first_day)
    )
    return connection.execute(statement).first() is not None


def _unsent(subscription: Subscription, newest: date | None, now: datetime) -> Iterator[Period]:
    """Yield the periods behind the newest one that was sent, none from before one asked; newest first."""
    frequency, period = subscription.wanted.frequency, _due_at(subscription, now)
    for _ in range(CATCH_UP[frequency]):
        if period.ended <= subscription.made_at or (newest is not None and period.first <= newest):
            return
        yield period
        period = before(period, frequency)


def _due_at(subscription: Subscription, moment: datetime) -> Period:
    """Return the newest period whose mail was due at a moment."""
    return over(subscription.wanted.frequency, moment, subscription.wanted.hour)


def _person(scope: AccessScope) -> UserId:
    if scope.user_id is None or scope.role is None or scope.scopes:
        raise Refused("Reports are mailed to people who signed in, and to no program.")
    return scope.user_id


def _subscription(row: Row[Any]) -> Subscription:
    wanted = Wanted(Name(row.report), Frequency(row.frequency), row.team_id, row.hour, row.form, row.language)
    made_at = row.made_at.astimezone(UTC)
    return Subscription(row.id, TenantId(row.tenant_id), UserId(row.user_id), wanted, made_at)
