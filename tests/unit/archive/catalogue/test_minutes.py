"""Bookings: one a recording, whoever asks again, and sums that no two of them see alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from archive.catalogue import directory, minutes, policies
from archive.catalogue.engine import Catalogue
from archive.catalogue.minutes import Booking, Usage, Verdict
from archive.errors import Refused
from archive.model import AboveCap, ArchivedRecording, Recording, RecordingMode, RetentionClass, Tenant, User

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)


@pytest.fixture
def anna(operator: Catalogue, bakery: Tenant) -> User:
    return directory.add_user(
        operator,
        bakery.id,
        "anna",
        now=NOW - timedelta(days=30),
        licence=RetentionClass.YEARS_7_1000,
        mode=RecordingMode.ALWAYS,
    )


@pytest.fixture
def make(make_recording: Callable[..., ArchivedRecording], anna: User) -> Callable[..., Recording]:
    def make(**changes: Any) -> Recording:
        tenant_id = changes.pop("tenant_id", anna.tenant_id)
        return make_recording(tenant_id, **{"owner": anna.id, **changes}).recording

    return make


class Judge:
    """Books every recording whole, and remembers what it was told."""

    def __init__(self, **verdict: Any) -> None:
        self.asked: list[Usage] = []
        self.verdict = verdict

    def __call__(self, recording: Recording, usage: Usage) -> Verdict:
        self.asked.append(usage)
        seconds = recording.recorded_ms // 1000
        default = {
            "recorded_s": seconds,
            "booked_s": seconds,
            "above_cap": False,
            "retention_class": recording.retention_class,
        }
        return Verdict(**{**default, **self.verdict})


def book(catalogue: Catalogue, recording: Recording, judge: Judge | None = None) -> Booking | None:
    with catalogue.transaction(recording.tenant_id) as connection:
        return minutes.book(connection, recording, judge or Judge(), now=NOW)


def events(database: Any) -> list[tuple[Any, ...]]:
    statement = "SELECT kind, owner, recording_id, body FROM call_events ORDER BY id"
    return database.connect().execute(statement).fetchall()


def test_a_booking_says_what_was_stored_in_which_month_and_class(
    recorder: Catalogue, make: Callable[..., Recording], anna: User
) -> None:
    made = make()
    booked = book(recorder, made)
    assert booked == Booking(
        made.id,
        anna.tenant_id,
        anna.id,
        NOVEMBER,
        made.call_group,
        made.started_at,
        made.ended_at,
        recorded_s=60,
        booked_s=60,
        above_cap=False,
        retention_class=RetentionClass.DAYS_90,
    )
    with recorder.transaction(anna.tenant_id) as connection:
        assert minutes.booking_of(connection, anna.tenant_id, made.id) == booked
    assert minutes.used(recorder, anna.tenant_id, anna.id, NOVEMBER) == 60


def test_a_second_time_the_first_booking_is_returned_whatever_would_be_decided_now(
    recorder: Catalogue, make: Callable[..., Recording], anna: User
) -> None:
    """A finaliser that died after booking must not give the recording another class."""
    made = make()
    first = book(recorder, made, Judge(above_cap=True, retention_class=RetentionClass.DAYS_365))
    again = Judge()
    assert book(recorder, made, again) == first
    assert again.asked == []
    assert minutes.used(recorder, anna.tenant_id, anna.id, NOVEMBER) == 60


def test_nothing_is_booked_when_the_transaction_fails(
    recorder: Catalogue, make: Callable[..., Recording], anna: User
) -> None:
    def book_and_fail() -> None:
        with recorder.transaction(anna.tenant_id) as connection:
            minutes.book(connection, make(), Judge(), now=NOW)
            raise Refused("the caller thinks otherwise")

    with pytest.raises(Refused, match="otherwise"):
        book_and_fail()
    assert minutes.used(recorder, anna.tenant_id, anna.id, NOVEMBER) == 0


def test_months_people_and_tenants_are_summed_apart(
    recorder: Catalogue, operator: Catalogue, make: Callable[..., Recording], anna: User, florist: Tenant
) -> None:
    ben = directory.add_user(operator, anna.tenant_id, "ben", now=NOW)
    flora = directory.add_user(operator, florist.id, "anna", now=NOW)
    begin = datetime(2026, 11, 30, 22, 59, 59, tzinfo=UTC)
    book(recorder, make(started_at=begin, recorded_ms=10_999))
    book(recorder, make(started_at=begin + timedelta(seconds=1), recorded_ms=20_000))
    book(recorder, make(owner=ben.id, recorded_ms=30_000))
    book(recorder, make(owner=flora.id, tenant_id=florist.id, recorded_ms=40_000))
    used = [
        minutes.used(recorder, anna.tenant_id, anna.id, NOVEMBER),
        minutes.used(recorder, anna.tenant_id, anna.id, DECEMBER),
        minutes.used(recorder, anna.tenant_id, ben.id, NOVEMBER),
        minutes.used(recorder, florist.id, flora.id, NOVEMBER),
        minutes.used(recorder, florist.id, anna.id, NOVEMBER),
    ]
    assert used == [10, 20, 30, 40, 0]


def test_a_decision_knows_what_was_used_the_other_sessions_of_the_call_and_the_policy(
    recorder: Catalogue, operator: Catalogue, make: Callable[..., Recording], anna: User
) -> None:
    ben = directory.add_user(operator, anna.tenant_id, "ben", now=NOW)
    policies.set_policy(operator, anna.tenant_id, above_cap=AboveCap.DAYS_90)
    first = make()
    for made in (
        first,
        make(),  # of another call
        make(owner=ben.id, call_group=first.call_group),  # of the other side of the same call
    ):
        book(recorder, made)
    judge = Judge()
    book(recorder, make(call_group=first.call_group, recorded_ms=5000), judge)
    assert judge.asked == [Usage(120, ((first.started_at, first.ended_at),), AboveCap.DAYS_90)]


def test_a_session_of_the_same_call_is_found_over_the_end_of_a_month(
    recorder: Catalogue, make: Callable[..., Recording], anna: User
) -> None:
    midnight = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
    first = make(started_at=midnight - timedelta(seconds=1), ended_at=midnight + timedelta(seconds=60))
    book(recorder, first)
    judge = Judge()
    book(recorder, make(call_group=first.call_group, started_at=midnight), judge)
    assert judge.asked == [Usage(0, ((first.started_at, first.ended_at),), AboveCap.KEEP)]


def test_nobodys_recordings_book_nothing(
    recorder: Catalogue, make: Callable[..., Recording], database: Any, florist: Tenant
) -> None:
    """Neither one of nobody we know, nor one of somebody who was removed or is of another tenant."""
    assert book(recorder, make(owner=None)) is None
    assert book(recorder, make(owner="01999999-0000-7000-8000-000000000000")) is None
    assert book(recorder, make(tenant_id=florist.id)) is None
    for table in ("minute_bookings", "minute_months"):
        assert database.connect().execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_bookings_at_once_are_all_summed_and_the_cap_is_reached_once(
    database: Any, make: Callable[..., Recording], anna: User
) -> None:
    """Every process of a pool books; each of them sees what the one before it booked."""
    made = [make(recorded_ms=1000) for _ in range(24)]
    judges = [Judge() for _ in range(4)]

    def run(number: int) -> None:
        own = database.catalogue("earwitness_recorder")
        for recording in made[number::4]:
            book(own, recording, judges[number])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    catalogue = database.catalogue("earwitness_recorder")
    assert minutes.used(catalogue, anna.tenant_id, anna.id, NOVEMBER) == 24
    assert sorted(usage.used_s for judge in judges for usage in judge.asked) == list(range(24))


def test_one_recording_booked_by_many_at_once_is_booked_once(
    database: Any, make: Callable[..., Recording], anna: User
) -> None:
    made, found = make(), []

    def run() -> None:
        found.append(book(database.catalogue("earwitness_recorder"), made))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len(set(found)) == 1
    catalogue = database.catalogue("earwitness_recorder")
    assert minutes.used(catalogue, anna.tenant_id, anna.id, NOVEMBER) == 60


def test_alerts_are_events_about_the_person_without_a_number_or_a_name(
    recorder: Catalogue, make: Callable[..., Recording], anna: User, database: Any
) -> None:
    book(recorder, make(), Judge(cap_s=60, alerts=(80, 100)))
    body = {"userId": anna.id, "month": "2026-11", "usedSeconds": 60, "capSeconds": 60}
    assert events(database) == [("quota.80", anna.id, None, body), ("quota.100", anna.id, None, body)]


@pytest.mark.parametrize(
    ("above_cap", "alerts", "told"),
    [
        (AboveCap.STOP, (100,), True),
        (AboveCap.STOP, (80,), False),
        (AboveCap.KEEP, (80, 100), False),
        (AboveCap.DAYS_90, (100,), False),
    ],
)
def test_recorders_learn_at_once_that_they_must_stop(
    recorder: Catalogue,
    operator: Catalogue,
    make: Callable[..., Recording],
    anna: User,
    above_cap: AboveCap,
    alerts: tuple[int, ...],
    told: bool,
) -> None:
    """The next call of this person must not be recorded, so its minutes must be known before it comes."""
    policies.set_policy(operator, anna.tenant_id, above_cap=above_cap)
    with recorder.listen(directory.CHANNEL) as listener:
        book(recorder, make(), Judge(cap_s=60, alerts=alerts))
        assert listener.wait(5.0 if told else 0.2) is told


def test_a_recorder_finds_the_sum_in_its_directory(
    recorder: Catalogue, make: Callable[..., Recording], anna: User
) -> None:
    book(recorder, make())
    (found,) = directory.load_directory(recorder).users
    assert (found.booked_month, found.booked_s) == (NOVEMBER, 60)


def test_who_is_removed_takes_the_bookings_along(
    recorder: Catalogue, make: Callable[..., Recording], anna: User, database: Any
) -> None:
    book(recorder, make())
    admin = database.connect()
    admin.execute("DELETE FROM users WHERE id = %s", (anna.id,))
    assert admin.execute("SELECT count(*) FROM minute_bookings").fetchone() == (0,)
