"""Requests of data subjects in the catalogue: their steps, their clock, and the calls that are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from archive.access import AccessScope
from archive.catalogue import data_subject_calls, data_subjects, directory, recordings
from archive.catalogue.data_subjects import NewRequest, Request
from archive.catalogue.engine import Catalogue
from archive.data_subject import (
    Ground,
    Identification,
    Inseparable,
    Kept,
    Outcome,
    RequestKind,
    RequestState,
    SoughtBy,
    Treatment,
)
from archive.errors import Conflict, NotFound, Refused
from archive.model import ArchivedRecording, Layout, Party, Recording, RecordingState, Role, Tenant, UserId

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
TODAY = NOW.date()
ANNAS = "+31687654321"


@pytest.fixture
def auditor(bakery: Tenant) -> AccessScope:
    return AccessScope(bakery.id, "user:audit", Role.AUDITOR, UserId("audit"))


@pytest.fixture
def administrator(bakery: Tenant) -> AccessScope:
    return AccessScope(bakery.id, "user:admin", Role.ADMINISTRATOR, UserId("admin"))


@pytest.fixture
def put(
    recorder: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> Callable[..., Recording]:
    def insert(*parties: Party, **changes: object) -> Recording:
        archived = make_recording(bakery.id, **({"parties": parties} if parties else {}), **changes)
        flac = tuple(replace(each, media_type="audio/flac") for each in archived.objects)
        archived = replace(archived, objects=flac)
        with recorder.transaction(archived.recording.tenant_id) as connection:
            recordings.insert_recording(connection, archived)
        return archived.recording

    return insert


def taken_in(
    portal: Catalogue, scope: AccessScope, kind: RequestKind = RequestKind.ACCESS, on: date = TODAY
) -> Request:
    new = NewRequest(kind, "A. Jansen", "anna@mail.example", on)
    with portal.transaction(scope.tenant_id) as connection:
        return data_subjects.take_in(connection, scope, new, now=NOW)


def identified(portal: Catalogue, scope: AccessScope, kind: RequestKind = RequestKind.ACCESS) -> Request:
    made = taken_in(portal, scope, kind)
    with portal.transaction(scope.tenant_id) as connection:
        return data_subjects.identify(
            connection, scope, made.id, Identification.CALLED_BACK, "on 0687654321", now=NOW
        )


def search(portal: Catalogue, scope: AccessScope, request: Request, by: SoughtBy, text: str) -> int:
    with portal.transaction(scope.tenant_id) as connection:
        return data_subject_calls.search(connection, scope, request.id, by, text, now=NOW).found


def choose(
    portal: Catalogue, scope: AccessScope, request: Request, treatment: Treatment, *ids: str, reason: str = ""
) -> int:
    with portal.transaction(scope.tenant_id) as connection:
        return data_subject_calls.choose(
            connection, scope, request.id, ids, treatment, reason=reason, now=NOW
        )


def test_a_request_goes_its_steps_and_each_says_who_and_when(
    portal: Catalogue, administrator: AccessScope
) -> None:
    made = identified(portal, administrator)
    assert made.state is RequestState.IDENTIFIED
    assert made.due_on == date(2026, 12, 22)
    assert made.days_left(NOW.date()) == 30
    with portal.transaction(made.tenant_id) as connection:
        longer = data_subjects.extend(connection, administrator, made.id, "Many calls", now=NOW)
        assert longer.due_on == date(2027, 2, 22)
        data_subjects.answer(
            connection,
            administrator,
            made.id,
            Outcome.REFUSED,
            ground=Ground.EXCESSIVE,
            text="The third time this month.",
            now=NOW + timedelta(days=100),
        )
        closed = data_subjects.close(connection, administrator, made.id, now=NOW + timedelta(days=101))
    assert closed.state is RequestState.CLOSED
    assert closed.was_late
    assert closed.days_left(NOW.date()) is None
    assert (closed.identified_by, closed.extended_by, closed.answered_by, closed.closed_by) == (
        "user:admin",
    ) * 4


def test_steps_out_of_their_order_are_refused(portal: Catalogue, administrator: AccessScope) -> None:
    made = taken_in(portal, administrator)

    def step(act: Callable[[Any], object]) -> None:
        with portal.transaction(made.tenant_id) as connection:
            act(connection)

    def grant(connection: Any) -> None:
        data_subjects.answer(
            connection, administrator, made.id, Outcome.GRANTED, ground=None, text="x", now=NOW
        )

    with pytest.raises(Conflict, match="identified"):
        step(grant)
    with pytest.raises(Conflict, match="answer"):
        step(lambda c: data_subjects.close(c, administrator, made.id, now=NOW))
    with pytest.raises(Conflict, match="within a month"):
        step(lambda c: data_subjects.extend(c, administrator, made.id, "x", now=NOW + timedelta(days=40)))
    step(lambda c: data_subjects.close(c, administrator, made.id, "They took it back.", now=NOW))
    with pytest.raises(Conflict, match="closed"):
        step(lambda c: data_subjects.identify(c, administrator, made.id, Identification.ACCOUNT, now=NOW))


def test_the_database_lets_nobody_change_a_closed_request_or_grant_a_claim(
    database: Any, portal: Catalogue, administrator: AccessScope
) -> None:
    made = taken_in(portal, administrator)
    connection = database.connect("earwitness_portal", made.tenant_id)
    grant = (
        "UPDATE data_subject_requests SET outcome='granted', answer='x', answered_by='x', answered_at=now()"
    )
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(grant)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE data_subject_requests SET received_on = '2026-12-01'")
    connection.execute("UPDATE data_subject_requests SET state='closed', closed_by='x', closed_at=now()")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="closed request"):
        connection.execute("UPDATE data_subject_requests SET closing_note = 'y'")


def test_what_a_request_can_not_say_is_refused(portal: Catalogue, administrator: AccessScope) -> None:
    for on in (NOW.date() + timedelta(days=1), NOW.date() - timedelta(days=1200)):
        with pytest.raises(Refused, match="received"):
            taken_in(portal, administrator, on=on)
    user = AccessScope(administrator.tenant_id, "user:u", Role.USER, UserId("u"))
    with pytest.raises(Refused, match="needs the role"):
        taken_in(portal, user)
    with pytest.raises(NotFound):
        data_subjects.get(portal, administrator, "no")


def test_requests_are_listed_newest_first_and_the_open_ones_alone(
    portal: Catalogue, administrator: AccessScope
) -> None:
    made = [taken_in(portal, administrator).id for _ in range(3)]
    with portal.transaction(administrator.tenant_id) as connection:
        data_subjects.close(connection, administrator, made[0], "withdrawn", now=NOW)
    first, cursor = data_subjects.page(portal, administrator, 2, None)
    rest, end = data_subjects.page(portal, administrator, 2, cursor)
    assert sorted(each.id for each in (*first, *rest)) == sorted(made)
    assert end is None
    waiting, _ = data_subjects.page(portal, administrator, 50, None, only_open=True)
    assert {each.id for each in waiting} == set(made[1:])


def test_the_calls_of_a_number_are_found_in_any_notation_on_either_side_and_after_a_transfer(
    portal: Catalogue, auditor: AccessScope, put: Callable[..., Recording]
) -> None:
    other = Party("b", "+31201234567")
    mine = [
        put(Party("a", ANNAS), other, minutes=1),
        put(Party("a", "+31201234567"), Party("b", ANNAS), minutes=2),
        put(
            Party("a", "+31107000000"), Party("b", "+31201234567", to_ms=100), Party("b", ANNAS, from_ms=100)
        ),
    ]
    put(Party("a", "+31687654322"), other, minutes=4)
    request = identified(portal, auditor)
    for text in ("06-87654321", "0031 6 8765 4321", "tel:+31687654321", "sip:+31(0)687654321@x.example"):
        assert search(portal, auditor, request, SoughtBy.NUMBER, text) == len(mine)
    found, end = data_subject_calls.page(portal, auditor, request.id, 50, None)
    assert {each.recording.id for each in found} == {each.id for each in mine}
    assert end is None
    assert [each.kept for each in found] == [(Kept(1, 0, None),), (Kept(0, 0, None),), (Kept(1, 100, None),)]
    first, cursor = data_subject_calls.page(portal, auditor, request.id, 2, None)
    rest, _ = data_subject_calls.page(portal, auditor, request.id, 2, cursor)
    assert (*first, *rest) == found


def test_calls_are_found_by_name_and_by_person_and_notes_that_name_them_are_none(
    operator: Catalogue,
    portal: Catalogue,
    auditor: AccessScope,
    put: Callable[..., Recording],
    bakery: Tenant,
) -> None:
    user = directory.add_user(operator, bakery.id, "jose", now=NOW)
    named = put(Party("a", "", "Jansen, José"), Party("b", "+31201234567"))
    owned = put(Party("a", "+31107000000"), Party("b", "", "", user.id), owner=user.id, minutes=1)
    request = identified(portal, auditor)
    assert search(portal, auditor, request, SoughtBy.NAME, "jose jansen") == 1
    assert search(portal, auditor, request, SoughtBy.USER, user.id) == 1
    assert search(portal, auditor, request, SoughtBy.NAME, "Pietersen") == 0
    found, _ = data_subject_calls.page(portal, auditor, request.id, 50, None)
    assert {each.recording.id: each.channels for each in found} == {named.id: ("a",), owned.id: ("b",)}
    with pytest.raises(NotFound):
        search(portal, auditor, request, SoughtBy.USER, "nobody")


def test_an_administrator_takes_requests_in_and_looks_for_nobodys_calls(
    portal: Catalogue, administrator: AccessScope
) -> None:
    request = identified(portal, administrator)
    with pytest.raises(Refused, match="auditor"):
        search(portal, administrator, request, SoughtBy.NUMBER, "0612345678")
    with pytest.raises(Refused, match="auditor"):
        data_subject_calls.page(portal, administrator, request.id, 50, None)


def test_nobodys_unkept_call_and_no_call_of_another_tenant_is_found(
    portal: Catalogue,
    auditor: AccessScope,
    put: Callable[..., Recording],
    recorder: Catalogue,
    florist: Tenant,
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    put(Party("a", ANNAS), Party("b", "1"), state=RecordingState.UNKEPT)
    theirs = make_recording(florist.id, parties=(Party("a", ANNAS), Party("b", "1")))
    with recorder.transaction(florist.id) as connection:
        recordings.insert_recording(connection, theirs)
    request = identified(portal, auditor)
    assert search(portal, auditor, request, SoughtBy.NUMBER, ANNAS) == 0


def test_every_call_is_decided_of_before_anything_is_exported(
    portal: Catalogue, auditor: AccessScope, put: Callable[..., Recording]
) -> None:
    stereo = put(Party("a", ANNAS), Party("b", "+31201234567"))
    mixed = put(
        Party("mixed", ANNAS),
        Party("mixed", "+31201234567"),
        layout=Layout.MIXED,
        channels=("mixed",),
        minutes=1,
    )
    request = identified(portal, auditor)
    search(portal, auditor, request, SoughtBy.NUMBER, ANNAS)

    def plan() -> Any:
        with portal.transaction(auditor.tenant_id) as connection:
            return data_subject_calls.to_export(connection, auditor, request)

    with pytest.raises(Refused, match="Decide"):
        plan()
    with pytest.raises(Refused, match="silenced"):
        choose(portal, auditor, request, Treatment.MUTED, mixed.id)
    with pytest.raises(Refused, match="why"):
        choose(portal, auditor, request, Treatment.WHOLE, mixed.id)
    with pytest.raises(NotFound):
        choose(portal, auditor, request, Treatment.MUTED, "no")
    with portal.transaction(auditor.tenant_id) as connection:
        assert data_subject_calls.choose_all(connection, auditor, request.id, now=NOW) == 1
    choose(portal, auditor, request, Treatment.LEFT_OUT, mixed.id, reason="The other party objects.")
    assert plan() == {stereo.id: (Kept(0, 0, None),)}
    choose(portal, auditor, request, Treatment.WHOLE, mixed.id, reason="The other party agrees.")
    assert plan() == {stereo.id: (Kept(0, 0, None),), mixed.id: None}
    with portal.transaction(auditor.tenant_id) as connection:
        told = data_subject_calls.summary(connection, request)
    assert (told.calls, told.undecided, told.muted, told.whole, told.given) == (2, 0, 1, 1, 2)
    found, _ = data_subject_calls.page(portal, auditor, request.id, 50, None)
    assert {each.recording.id: each.kept for each in found}[mixed.id] is Inseparable.MIXED


def test_what_was_found_goes_with_its_recording_and_the_figure_of_it_stays(
    database: Any, portal: Catalogue, auditor: AccessScope, put: Callable[..., Recording]
) -> None:
    recording = put(Party("a", ANNAS), Party("b", "+31201234567"))
    request = identified(portal, auditor)
    search(portal, auditor, request, SoughtBy.NUMBER, ANNAS)
    admin = database.connect()
    admin.execute("DELETE FROM recordings WHERE id = %s", (recording.id,))
    admin.execute(
        "INSERT INTO destructions (recording_id, tenant_id, session_id, former_state, retention_class,"
        " retain_until, kek_id, claim, claimed_at, claimed_until, entries, objects, objects_gone_at,"
        " destroyed_at, certificate, signature)"
        " VALUES (%s, %s, 'x', 'available', '90d', %s, 'x', 'x', %s, %s, '{}', '[]', %s, %s, 'x', 'x')",
        (recording.id, recording.tenant_id, *[NOW] * 5),
    )
    with portal.transaction(auditor.tenant_id) as connection:
        [told] = data_subject_calls.searches_of(connection, request)
        gone = data_subject_calls.absence(connection, auditor)
        assert data_subject_calls.summary(connection, request).calls == 0
    assert told.found == 1
    assert (gone.destroyed, gone.last_destroyed_at, gone.oldest_call_at) == (1, NOW, None)


def test_of_a_request_somebody_is_reminded_once_when_it_is_soon_and_once_when_it_is_overdue(
    portal: Catalogue, worker: Catalogue, administrator: AccessScope
) -> None:
    made = taken_in(portal, administrator)

    def stages(on: date) -> list[str]:
        with worker.transaction(made.tenant_id) as connection:
            found = data_subjects.to_remind(connection, made.tenant_id, on)
            for request, stage in found:
                data_subjects.reminded(connection, request, stage)
        return [stage for _, stage in found]

    days = [stages(made.due_on + timedelta(days=left)) for left in (-8, -7, -6, 0, 1, 2)]
    assert days == [[], ["soon"], [], [], ["overdue"], []]
