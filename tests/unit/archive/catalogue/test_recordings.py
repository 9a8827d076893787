"""Recordings: inserted once with their audit entry, and found only within a scope."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Never

import pytest
from sqlalchemy import func, select

from archive.access import AccessScope, Hearing, Scope, may_play, may_read
from archive.audit import AuditWriter
from archive.catalogue import accounts, case_people, cases, directory, recordings, sessions
from archive.catalogue.engine import Catalogue
from archive.catalogue.recordings import CURSOR_CHARS_MAX, PAGE_ROWS_MAX, SEARCH_CHARS_MAX, RecordingQuery
from archive.catalogue.tables import audit_entries, recording_objects
from archive.errors import Conflict, NotFound, Refused
from archive.model import (
    ArchivedRecording,
    Direction,
    OutcomeKind,
    Party,
    RecordingState,
    Role,
    SessionOutcome,
    Tenant,
    TenantId,
    UserId,
)

Archive = Callable[[ArchivedRecording], ArchivedRecording]


def auditor(tenant_id: TenantId) -> AccessScope:
    return AccessScope(tenant_id, "user:auditor", Role.AUDITOR)


@pytest.fixture
def archive(recorder: Catalogue) -> Archive:
    """Return a function that archives as ingest does: row, outcome and audit entry in one transaction."""

    def commit(archived: ArchivedRecording) -> ArchivedRecording:
        recording, writer = archived.recording, AuditWriter(recorder, "recorder/one")
        outcome = SessionOutcome(
            recording.session_id,
            recording.call_id,
            OutcomeKind.RECORDED,
            "by mode",
            recording.started_at,
            recording.ended_at,
            tenant_id=recording.tenant_id,
            recording_ids=(recording.id,),
        )
        with writer.transaction(recording.tenant_id) as connection:
            existing = recordings.insert_recording(connection, archived)
            sessions.insert_outcome(connection, outcome)
            if existing is None:
                writer.append(
                    connection,
                    tenant_id=recording.tenant_id,
                    actor="recorder",
                    action="archive",
                    object=f"recording:{recording.id}",
                    at=recording.ended_at,
                )
        return existing or archived

    return commit


def test_what_is_archived_is_read_back_as_it_was(
    archive: Archive, portal: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> None:
    archived = archive(make_recording(bakery.id, owner="anna"))
    assert recordings.get(portal, auditor(bakery.id), archived.recording.id) == archived


def test_archiving_again_returns_the_first_and_adds_no_audit_entry(
    archive: Archive, worker: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> None:
    first = archive(make_recording(bakery.id))
    again = dataclasses.replace(first, kek_id="another", wrapped_key=b"another")
    assert archive(again) == first
    with worker.transaction(bakery.id) as connection:
        assert connection.execute(select(func.count()).select_from(audit_entries)).scalar() == 1
        assert connection.execute(select(func.count()).select_from(recording_objects)).scalar() == 5


def test_two_that_archive_the_same_at_once_make_one(
    archive: Archive, worker: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> None:
    archived = make_recording(bakery.id)
    threads = [threading.Thread(target=archive, args=(archived,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    with worker.transaction(bakery.id) as connection:
        assert connection.execute(select(func.count()).select_from(audit_entries)).scalar() == 1
    assert recordings.find(worker, auditor(bakery.id)).items == (archived.recording,)


def test_a_transaction_that_fails_leaves_neither_row_nor_entry(
    recorder: Catalogue, worker: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> Never:
    archived, writer = make_recording(bakery.id), AuditWriter(recorder, "recorder/one")

    def fail() -> None:
        with writer.transaction(bakery.id) as connection:
            recordings.insert_recording(connection, archived)
            at = archived.recording.ended_at
            writer.append(connection, tenant_id=bakery.id, actor="r", action="archive", object="x", at=at)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with pytest.raises(NotFound):
        recordings.get(worker, auditor(bakery.id), archived.recording.id)
    with worker.transaction(bakery.id) as connection:
        assert connection.execute(select(func.count()).select_from(audit_entries)).scalar() == 0


def test_an_id_taken_in_another_tenant_is_a_conflict(
    archive: Archive, bakery: Tenant, florist: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> None:
    theirs = archive(make_recording(florist.id))
    mine = make_recording(bakery.id)
    with pytest.raises(Conflict):
        archive(
            dataclasses.replace(mine, recording=dataclasses.replace(mine.recording, id=theirs.recording.id))
        )


def test_text_a_peer_sent_that_the_database_refuses_is_stored_marked(
    archive: Archive, portal: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> None:
    parties = (Party("a", "+31612345678", "Jan\0sen \ud83d"),)
    archived = archive(make_recording(bakery.id, parties=parties, call_id="a\0b", flags=("codec-raw:\0",)))
    found = recordings.get(portal, auditor(bakery.id), archived.recording.id).recording
    assert found.parties[0].name == "Jan\N{REPLACEMENT CHARACTER}sen ?"
    assert found.call_id == "a\N{REPLACEMENT CHARACTER}b"


def test_the_filter_says_the_same_as_the_rule(
    archive: Archive,
    portal: Catalogue,
    bakery: Tenant,
    florist: Tenant,
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    states = (
        RecordingState.AVAILABLE,
        RecordingState.UNKEPT,
        RecordingState.GRACE,
        RecordingState.QUARANTINED,
    )
    owners = (None, "anna", "bob", "carol")
    stored = [
        archive(make_recording(tenant.id, owner=owner, state=state)).recording
        for tenant, owner, state in itertools.product((bakery, florist), owners, states)
    ]
    anna = UserId("anna")
    scopes = [
        AccessScope(tenant.id, "x", role, user_id, access, scopes, heard=frozenset(map(Hearing, heard)))
        for tenant, role, user_id, access, heard, scopes in itertools.product(
            (bakery, florist),
            (None, *Role),
            (None, anna),
            ("own", "none"),
            (frozenset(), frozenset({UserId("bob"), UserId("carol")})),
            (frozenset(), frozenset({Scope.RECORDINGS_READ}), frozenset({Scope.CALLS_READ})),
        )
    ]
    assert len(scopes) == 240
    for scope in scopes:
        expected = {recording.id for recording in stored if may_read(scope, recording)}
        page = recordings.find(portal, scope, limit=PAGE_ROWS_MAX)
        assert {recording.id for recording in page.items} == expected, scope


def test_who_is_admitted_to_a_case_sees_what_it_holds_and_the_rule_says_so_too(
    archive: Archive,
    portal: Catalogue,
    operator: Catalogue,
    bakery: Tenant,
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    held, others = [
        [archive(make_recording(bakery.id, owner=owner)).recording for owner in (None, "anna", "bob")]
        for _ in range(2)
    ]
    now = held[0].ended_at
    people = {
        role: directory.add_user(operator, bakery.id, f"p-{role}", now=now, role=role, access="none")
        for role in (Role.USER, Role.AUDITOR)
    }
    auditor_scope = accounts.scope_of_user(portal, bakery.id, people[Role.AUDITOR].id)
    with portal.transaction(bakery.id) as connection:
        case_id, other_id = [
            cases.open_case(connection, auditor_scope, name, "x", now=now) for name in ("one", "other")
        ]
        cases.add(connection, auditor_scope, case_id, [each.id for each in held], now=now)
        cases.add(connection, auditor_scope, other_id, [others[0].id], now=now)
        case_people.admit(connection, auditor_scope, case_id, people[Role.USER].id, now=now)
    scope = accounts.scope_of_user(portal, bakery.id, people[Role.USER].id)
    assert scope.case_ids == {case_id}
    found = recordings.find(portal, scope).items
    assert {each.id for each in found} == {each.id for each in held}
    for each in (*found, *(recordings.get(portal, scope, each.id).recording for each in held)):
        assert may_read(scope, each)
        assert may_play(scope, each)
    for each in others:
        with pytest.raises(NotFound):
            recordings.get(portal, scope, each.id)
        assert not may_read(scope, each)
    assert {each.id for each in recordings.find(portal, scope, RecordingQuery(text="x")).items} == set()
    by_case = [RecordingQuery(case=case_id), RecordingQuery(case=other_id)]
    assert [len(recordings.find(portal, scope, each).items) for each in by_case] == [3, 0]
    # A key that may not read reaches nothing by its person's admission.
    narrow = dataclasses.replace(scope, scopes=frozenset({Scope.CALLS_READ}))
    assert recordings.find(portal, narrow).items == ()
    assert not any(may_read(narrow, each) for each in found)


def test_what_is_outside_the_scope_is_not_found(
    archive: Archive,
    portal: Catalogue,
    bakery: Tenant,
    florist: Tenant,
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    archived = archive(make_recording(bakery.id, owner="anna"))
    for scope in (
        AccessScope(bakery.id, "user:bob", Role.USER, UserId("bob"), "own"),
        AccessScope(bakery.id, "user:anna", Role.USER, UserId("anna"), "none"),
        AccessScope(bakery.id, "api-client:1", scopes=frozenset({Scope.RECORDINGS_PLAY})),
        auditor(florist.id),
    ):
        with pytest.raises(NotFound):
            recordings.get(portal, scope, archived.recording.id)


def test_pages_go_by_key_newest_first_and_new_recordings_do_not_shift_them(
    archive: Archive, portal: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> None:
    # Several begin in the same microsecond, so that the id has to break the tie.
    made = [archive(make_recording(bakery.id, minutes=n // 3)).recording for n in range(11)]
    expected = sorted(made, key=lambda recording: (recording.started_at, recording.id), reverse=True)
    seen, cursor = [], None
    for _ in range(20):
        page = recordings.find(portal, auditor(bakery.id), limit=4, cursor=cursor)
        seen += page.items
        archive(make_recording(bakery.id, minutes=100))
        cursor = page.next
        if cursor is None:
            break
    assert seen == expected


def test_a_page_that_is_exactly_full_is_the_last(
    archive: Archive, portal: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> None:
    for n in range(3):
        archive(make_recording(bakery.id, minutes=n))
    assert recordings.find(portal, auditor(bakery.id), limit=3).next is None
    assert recordings.find(portal, auditor(bakery.id), limit=2).next is not None


def test_a_cursor_of_a_time_no_zone_has_is_refused() -> None:
    """A page that shows the day of the last moment there is, in Amsterdam, would end beyond it."""
    for moment in (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)):
        with pytest.raises(Refused, match="not one of ours"):
            recordings.decode_cursor(recordings.encode_cursor(moment, "x"))


@pytest.mark.parametrize("limit", [0, PAGE_ROWS_MAX + 1])
def test_a_limit_out_of_bounds_is_refused(portal: Catalogue, bakery: Tenant, limit: int) -> None:
    with pytest.raises(Refused, match="1 to 200"):
        recordings.find(portal, auditor(bakery.id), limit=limit)


@pytest.mark.parametrize(
    "cursor", ["", "x", "%%%", "MjAyNi0xMS0yMg", "é", "A" * CURSOR_CHARS_MAX, "A" * (CURSOR_CHARS_MAX + 1)]
)
def test_a_made_up_cursor_is_refused(portal: Catalogue, bakery: Tenant, cursor: str) -> None:
    with pytest.raises(Refused, match="cursor"):
        recordings.find(portal, auditor(bakery.id), cursor=cursor)


@pytest.mark.parametrize(
    "text",
    ["+31612345678", "06-12345678", "0031 6 12345678", "612345", "jansen", "JANSEN, M", "  sen  "],
)
def test_a_party_is_found_by_number_in_any_spelling_or_name(
    archive: Archive,
    portal: Catalogue,
    bakery: Tenant,
    make_recording: Callable[..., ArchivedRecording],
    text: str,
) -> None:
    wanted = archive(make_recording(bakery.id)).recording
    archive(make_recording(bakery.id, parties=(Party("a", "+31887654321", "de Vries"),)))
    assert recordings.find(portal, auditor(bakery.id), RecordingQuery(text=text)).items == (wanted,)


@pytest.mark.parametrize("text", ["%", "_", "\\", "' OR 1=1 --", "12%", "\0"])
def test_a_search_text_is_never_a_pattern_nor_a_statement(
    archive: Archive,
    portal: Catalogue,
    bakery: Tenant,
    make_recording: Callable[..., ArchivedRecording],
    text: str,
) -> None:
    archive(make_recording(bakery.id))
    assert recordings.find(portal, auditor(bakery.id), RecordingQuery(text=text)).items == ()


@pytest.mark.parametrize("extra", [0, 1])
def test_a_search_text_has_a_limit(portal: Catalogue, bakery: Tenant, extra: int) -> None:
    query = RecordingQuery(text="x" * (SEARCH_CHARS_MAX + extra))
    if extra:
        with pytest.raises(Refused, match="at most 200"):
            recordings.find(portal, auditor(bakery.id), query)
    else:
        assert recordings.find(portal, auditor(bakery.id), query).items == ()


def test_a_query_narrows_by_each_of_its_fields(
    archive: Archive, portal: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> None:
    one = archive(make_recording(bakery.id, owner="anna", duration_ms=5000)).recording
    two = archive(
        make_recording(bakery.id, owner="bob", minutes=10, direction=Direction.OUT, call_id="other")
    ).recording

    def found(**fields: object) -> tuple[object, ...]:
        return recordings.find(portal, auditor(bakery.id), RecordingQuery(**fields)).items

    assert found() == (two, one)
    assert found(owner="anna") == (one,)
    assert found(direction=Direction.OUT) == (two,)
    assert found(call_id="other") == (two,)
    assert found(call_group=one.call_group) == (one,)
    assert found(state=RecordingState.PARTIAL) == ()
    assert found(duration_ms_min=5001) == (two,)
    assert found(duration_ms_min=5000) == (two, one)
    assert found(since=two.started_at) == (two,)
    assert found(until=two.started_at) == (one,)
    assert found(until=two.started_at + timedelta(microseconds=1)) == (two, one)
