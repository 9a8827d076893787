"""Minutes in the catalogue: one booking a recording, one sum a person and month.

A booking is made once and then only read: whoever archives a recording a second time
finds what was decided the first time, its class included, whatever was booked since.
Bookings of one person wait for each other, so that no two of them see the same sum.

Rules: rows hold ids and seconds; they stay when the recording goes. A recording nobody
owns, or whose owner was removed, books nothing. Not here: what is decided
(`retention.minutes`), and how many minutes a licence allows (`archive.allowance`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.allowance import month_of
from archive.catalogue import call_events, directory
from archive.catalogue.call_events import CallEvent, EventKind
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import minute_bookings, minute_months, tenant_policies, users
from archive.model import (
    AboveCap,
    CallGroupId,
    Recording,
    RecordingId,
    RetentionClass,
    TenantId,
    UserId,
)

LOCK_PERSON = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("person"), 0)))

_MONTH = timedelta(days=31)


@dataclass(frozen=True)
class Booking:
    """The minutes of one recording, and the class it got because of them.

    `recorded_s` is the stored audio, `booked_s` what of it counts. `above_cap` says
    that the minutes of the month were used up before.
    """

    recording_id: RecordingId
    tenant_id: TenantId
    user_id: UserId
    month: date
    call_group: CallGroupId
    started_at: datetime
    ended_at: datetime
    recorded_s: int
    booked_s: int
    above_cap: bool
    retention_class: RetentionClass


@dataclass(frozen=True)
class Usage:
    """What a decision depends on: the seconds used before, the other recordings, the tenant's policy.

    `others` are the times of the same person's recordings of the same call.
    """

    used_s: int
    others: tuple[tuple[datetime, datetime], ...]
    above_cap: AboveCap


@dataclass(frozen=True)
class Verdict:
    """What is decided of a recording; `alerts` are the percentages of the cap it reaches first."""

    recorded_s: int
    booked_s: int
    above_cap: bool
    retention_class: RetentionClass
    cap_s: int | None = None
    alerts: tuple[int, ...] = ()


Judge = Callable[[Recording, Usage], Verdict]


def book(connection: Connection, recording: Recording, judge: Judge, *, now: datetime) -> Booking | None:
    """Book a recording in the caller's transaction, which is one of its tenant; once.

    Returns what was booked, now or the first time, or None for a recording whose owner
    is not known (any more). Reaching 80 and 100 % of the minutes is an event.
    """
    if recording.owner is None or not _is_known(connection, recording.tenant_id, recording.owner):
        return None
    # A lock of the person, not of the month: two sessions of one call may start in two months.
    connection.execute(LOCK_PERSON, {"person": f"minutes of {recording.owner}"})
    booked = booking_of(connection, recording.tenant_id, recording.id)
    if booked is not None:
        return booked
    month = month_of(recording.started_at)
    usage = Usage(
        _sum(connection, recording.tenant_id, recording.owner, month),
        _others(connection, recording, recording.owner, month),
        _policy(connection, recording.tenant_id),
    )
    verdict = judge(recording, usage)
    booking = Booking(
        recording_id=recording.id,
        tenant_id=recording.tenant_id,
        user_id=recording.owner,
        month=month,
        call_group=recording.call_group,
        started_at=recording.started_at,
        ended_at=recording.ended_at,
        recorded_s=verdict.recorded_s,
        booked_s=verdict.booked_s,
        above_cap=verdict.above_cap,
        retention_class=verdict.retention_class,
    )
    _store(connection, booking)
    _tell(connection, booking, usage, verdict, now)
    return booking


def booking_of(connection: Connection, tenant_id: TenantId, recording_id: RecordingId) -> Booking | None:
    """Return what was booked of a recording, or None."""
    columns = minute_bookings.c
    statement = select(minute_bookings).where(
        columns.tenant_id == tenant_id, columns.recording_id == recording_id
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else _booking(row)


def used(catalogue: Catalogue, tenant_id: TenantId, user_id: UserId, month: date) -> int:
    """Return the seconds a person used in a month, given by its first day."""
    with catalogue.transaction(tenant_id) as connection:
        return _sum(connection, tenant_id, user_id, month)


def _is_known(connection: Connection, tenant_id: TenantId, user_id: UserId) -> bool:
    statement = select(users.c.id).where(users.c.tenant_id == tenant_id, users.c.id == user_id)
    return connection.execute(statement).first() is not None


def _sum(connection: Connection, tenant_id: TenantId, user_id: UserId, month: date) -> int:
    columns = minute_months.c
    statement = select(columns.booked_s).where(
        columns.tenant_id == tenant_id, columns.user_id == user_id, columns.month == month
    )
    return connection.execute(statement).scalar() or 0


def _others(
    connection: Connection, recording: Recording, owner: UserId, month: date
) -> tuple[tuple[datetime, datetime], ...]:
    """Return the times of other recordings of this person and call that were booked."""
    columns = minute_bookings.c
    statement = select(columns.started_at, columns.ended_at).where(
        columns.tenant_id == recording.tenant_id,
        columns.user_id == owner,
        # What runs at the same time began in this month or beside it; so the index serves.
        columns.month.between(month - _MONTH, month + _MONTH),
        columns.call_group == recording.call_group,
    )
    return tuple(
        (row.started_at.astimezone(UTC), row.ended_at.astimezone(UTC))
        for row in connection.execute(statement)
    )


def _policy(connection: Connection, tenant_id: TenantId) -> AboveCap:
    statement = select(tenant_policies.c.above_cap).where(tenant_policies.c.tenant_id == tenant_id)
    found = connection.execute(statement).scalar()
    return AboveCap.KEEP if found is None else AboveCap(found)


def _store(connection: Connection, booking: Booking) -> None:
    connection.execute(insert(minute_bookings), vars(booking))
    month = upsert(minute_months).values(
        tenant_id=booking.tenant_id,
        user_id=booking.user_id,
        month=booking.month,
        booked_s=booking.booked_s,
    )
    added = minute_months.c.booked_s + month.excluded.booked_s
    connection.execute(
        month.on_conflict_do_update(index_elements=["user_id", "month"], set_={"booked_s": added})
    )


def _tell(connection: Connection, booking: Booking, usage: Usage, verdict: Verdict, now: datetime) -> None:
    """Add an event for each alert; who stops at the cap must know of it before the next call."""
    kinds = {80: EventKind.QUOTA_80, 100: EventKind.QUOTA_100}
    body = {
        "userId": booking.user_id,
        "month": f"{booking.month:%Y-%m}",
        "usedSeconds": usage.used_s + booking.booked_s,
        "capSeconds": verdict.cap_s,
    }
    if usage.above_cap is AboveCap.STOP and 100 in verdict.alerts:
        directory.announce(connection)
    call_events.append(
        connection,
        [
            CallEvent(booking.tenant_id, now, kinds[percent], None, booking.user_id, body)
            for percent in verdict.alerts
        ],
    )


def _booking(row: Row[Any]) -> Booking:
    return Booking(
        recording_id=RecordingId(row.recording_id),
        tenant_id=TenantId(row.tenant_id),
        user_id=UserId(row.user_id),
        month=row.month,
        call_group=CallGroupId(row.call_group),
        started_at=row.started_at.astimezone(UTC),
        ended_at=row.ended_at.astimezone(UTC),
        recorded_s=row.recorded_s,
        booked_s=row.booked_s,
        above_cap=row.above_cap,
        retention_class=RetentionClass(row.retention_class),
    )
