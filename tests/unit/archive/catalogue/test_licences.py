"""The history of licences, and what a change would do before it is made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert

from archive.catalogue import directory, licences, recordings, tables
from archive.catalogue.engine import Catalogue
from archive.catalogue.licences import KeptClass, LicencePeriod
from archive.errors import NotFound
from archive.model import (
    ArchivedRecording,
    RecordingMode,
    RecordingState,
    RetentionClass,
    Tenant,
    User,
    UserId,
)

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DAYS_90, DAYS_365 = RetentionClass.DAYS_90, RetentionClass.DAYS_365
YEARS_1000, YEARS_3500 = RetentionClass.YEARS_7_1000, RetentionClass.YEARS_7_3500


@pytest.fixture
def anna(operator: Catalogue, bakery: Tenant) -> User:
    return directory.add_user(
        operator, bakery.id, "anna", now=NOW, licence=YEARS_1000, mode=RecordingMode.ALWAYS
    )


def book(operator: Catalogue, user: User, month: date, booked_s: int) -> None:
    """Book minutes as the worker does."""
    row = {"tenant_id": user.tenant_id, "user_id": user.id, "month": month, "booked_s": booked_s}
    with operator.transaction(user.tenant_id) as connection:
        connection.execute(insert(tables.minute_months), row)


def test_the_history_has_dates_and_no_gaps(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant, anna: User
) -> None:
    days = [NOW + timedelta(days=n) for n in range(3)]
    directory.set_user(operator, bakery.id, "anna", now=days[1], licence=None, mode=RecordingMode.NEVER)
    directory.set_user(operator, bakery.id, "anna", now=days[2], licence=DAYS_90)
    assert licences.history(portal, bakery.id, anna.id) == [
        LicencePeriod(YEARS_1000, days[0], days[1]),
        LicencePeriod(None, days[1], days[2]),
        LicencePeriod(DAYS_90, days[2], None),
    ]
    assert licences.history(portal, florist.id, anna.id) == []
    assert licences.history(portal, bakery.id, UserId("nobody")) == []


def test_a_preview_says_what_keeps_its_class_and_changes_nothing(
    operator: Catalogue,
    recorder: Catalogue,
    portal: Catalogue,
    bakery: Tenant,
    anna: User,
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    long = {"retention_class": YEARS_1000, "retain_until": NOW + timedelta(days=2557)}
    made = [
        make_recording(bakery.id, owner=anna.id, minutes=1),
        make_recording(bakery.id, owner=anna.id, minutes=5, state=RecordingState.PARTIAL),
        make_recording(bakery.id, owner=anna.id, **long),
        make_recording(bakery.id, owner=anna.id, state=RecordingState.UNKEPT),
        make_recording(bakery.id, owner=anna.id, state=RecordingState.DESTROYED),
        make_recording(bakery.id, owner="bob", **long),
    ]
    with recorder.transaction(bakery.id) as connection:
        for archived in made:
            recordings.insert_recording(connection, archived)
    seen = licences.preview(portal, bakery.id, " Anna ", DAYS_365, now=NOW)
    assert (seen.user_id, seen.login) == (anna.id, "anna")
    assert (seen.before, seen.after, seen.counts_from) == (YEARS_1000, DAYS_365, NOW)
    assert seen.kept == (
        KeptClass(DAYS_90, 2, made[1].recording.retain_until, made[0].recording.retain_until),
        KeptClass(YEARS_1000, 1, long["retain_until"], long["retain_until"]),
    )
    assert (seen.used_s, seen.cap_s, seen.above_cap, seen.obstacle) == (0, None, False, None)
    assert licences.preview(portal, bakery.id, anna.id, DAYS_365, now=NOW) == seen
    assert licences.history(portal, bakery.id, anna.id) == [LicencePeriod(YEARS_1000, NOW, None)]


@pytest.mark.parametrize(
    ("licence", "booked_s", "cap_s", "above"),
    [
        (YEARS_1000, 59_999, 60_000, False),
        (YEARS_1000, 60_000, 60_000, True),
        (YEARS_3500, 60_000, 210_000, False),
        (YEARS_3500, 210_000, 210_000, True),
        (DAYS_90, 600_000, None, False),
        (None, 600_000, None, False),
    ],
)
def test_a_preview_weighs_the_minutes_of_this_month_by_the_new_cap(
    operator: Catalogue,
    portal: Catalogue,
    bakery: Tenant,
    anna: User,
    licence: RetentionClass | None,
    booked_s: int,
    cap_s: int | None,
    above: bool,
) -> None:
    book(operator, anna, date(2026, 10, 1), 999_999)
    book(operator, anna, date(2026, 11, 1), booked_s)
    seen = licences.preview(portal, bakery.id, "anna", licence, now=NOW)
    assert (seen.used_s, seen.cap_s, seen.above_cap) == (booked_s, cap_s, above)


def test_the_month_is_that_of_amsterdam(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, anna: User
) -> None:
    book(operator, anna, date(2026, 12, 1), 60)
    last_minute = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
    assert licences.preview(portal, bakery.id, "anna", DAYS_90, now=last_minute).used_s == 60
    before = last_minute - timedelta(microseconds=1)
    assert licences.preview(portal, bakery.id, "anna", DAYS_90, now=before).used_s == 0


def test_a_preview_names_what_stands_in_the_way(portal: Catalogue, bakery: Tenant, anna: User) -> None:
    seen = licences.preview(portal, bakery.id, "anna", None, now=NOW)
    assert seen.obstacle is not None
    assert "always needs a licence" in seen.obstacle


def test_a_preview_is_of_somebody_in_the_tenant(portal: Catalogue, florist: Tenant, anna: User) -> None:
    for named in ("anna", anna.id, ""):
        with pytest.raises(NotFound):
            licences.preview(portal, florist.id, named, DAYS_90, now=NOW)
