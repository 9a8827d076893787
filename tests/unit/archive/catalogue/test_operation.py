"""What operators may know of the tenants of an instance, and that nobody else may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from archive.access import AccessScope, Scope, may_operate
from archive.catalogue import (
    accounts,
    directory,
    do_not_record,
    moments,
    operation,
    recorder_nodes,
    recordings,
    rollups,
    sessions,
    tenant_directory,
)
from archive.catalogue.engine import Catalogue
from archive.catalogue.moments import Known, Moment
from archive.catalogue.recorder_nodes import SILENT_S, UNSAID, Condition
from archive.decision import CallFacts, decide
from archive.errors import Refused
from archive.model import (
    ArchivedRecording,
    OutcomeKind,
    Peer,
    PeerId,
    RecordingMode,
    RetentionClass,
    Role,
    SessionId,
    SessionOutcome,
    Tenant,
    TenantId,
    new_id,
)

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
MONTH = date(2026, 11, 1)


@pytest.fixture
def provider(operator: Catalogue) -> Tenant:
    return directory.add_tenant(operator, "Aanbieder", "provider.example", now=NOW, operates=True)


@pytest.fixture
def sre(operator: Catalogue, portal: Catalogue, provider: Tenant) -> AccessScope:
    user = directory.add_user(operator, provider.id, "sre", now=NOW, role=Role.OPERATOR, access="none")
    return accounts.scope_of_user(portal, provider.id, user.id)


def offered(
    recorder: Catalogue, tenant_id: TenantId | None, call_id: str, minutes: int = 0, **changes: Any
) -> SessionOutcome:
    """Tell how a session ended, as its recorder."""
    began = NOW - timedelta(hours=2) + timedelta(minutes=minutes)
    told = {"kind": OutcomeKind.RECORDED, "reason": "", **changes}
    outcome = SessionOutcome(
        SessionId(new_id(began)),
        call_id,
        started_at=began,
        ended_at=began + timedelta(minutes=1),
        tenant_id=tenant_id,
        trace=("users: anna@bakery.example",),
        **told,
    )
    with recorder.transaction(tenant_id) as connection:
        sessions.insert_outcome(connection, outcome)
    return outcome


def test_an_operator_stands_in_a_tenant_that_operates_and_nobody_else_does(
    operator: Catalogue, provider: Tenant, bakery: Tenant
) -> None:
    assert directory.tenant_by_domain(operator, "provider.example").operates
    assert not directory.tenant_by_domain(operator, "bakery.example").operates
    with pytest.raises(Refused, match="operators, and nobody else"):
        directory.add_user(operator, bakery.id, "eve", now=NOW, role=Role.OPERATOR)
    for role in (Role.USER, Role.ADMINISTRATOR, Role.AUDITOR):
        with pytest.raises(Refused, match="operators, and nobody else"):
            directory.add_user(operator, provider.id, "eve", now=NOW, role=role)


def test_nobody_becomes_an_operator_and_portal_and_worker_make_none(
    operator: Catalogue, portal: Catalogue, worker: Catalogue, provider: Tenant, bakery: Tenant
) -> None:
    directory.add_user(operator, bakery.id, "anna", now=NOW)
    with pytest.raises(Refused, match="Nobody becomes an operator"):
        directory.set_user(operator, bakery.id, "anna", now=NOW, role=Role.OPERATOR)
    for role in (portal, worker):
        with pytest.raises(Refused, match="made by the operator"):
            directory.add_user(role, provider.id, "eve", now=NOW, role=Role.OPERATOR)


def test_an_operator_is_not_recorded(operator: Catalogue, provider: Tenant) -> None:
    with pytest.raises(Refused, match="not recorded"):
        directory.add_user(
            operator,
            provider.id,
            "sre",
            now=NOW,
            role=Role.OPERATOR,
            licence=RetentionClass.DAYS_90,
            mode=RecordingMode.ALWAYS,
        )
    with pytest.raises(Refused, match="not recorded"):
        directory.add_user(
            operator, provider.id, "sre", now=NOW, role=Role.OPERATOR, numbers=["+31201234567"]
        )


def test_no_key_of_a_customer_operates_and_an_operators_does_nothing_else(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, sre: AccessScope
) -> None:
    ada = directory.add_user(operator, bakery.id, "ada", now=NOW, role=Role.ADMINISTRATOR)
    for user_id in (None, ada.id):
        name = f"key of {user_id}"
        key = accounts.add_api_client(operator, bakery.id, name, [*Scope], now=NOW, user_id=user_id).key
        scope = accounts.authenticate_key(portal, key)
        assert scope is not None
        assert not scope.permits(Scope.OPERATION)
        assert not may_operate(scope)
    for scopes in ([Scope.OPERATION], [*Scope]):
        key = accounts.add_api_client(
            operator, sre.tenant_id, f"{len(scopes)}", scopes, now=NOW, user_id=sre.user_id
        ).key
        scope = accounts.authenticate_key(portal, key)
        assert scope is not None
        assert may_operate(scope)
        assert {each for each in Scope if scope.permits(each)} <= {Scope.OPERATION, Scope.SETTINGS}


def test_tenants_are_told_in_numbers_that_are_those_of_their_reports(
    operator: Catalogue,
    recorder: Catalogue,
    portal: Catalogue,
    bakery: Tenant,
    florist: Tenant,
    sre: AccessScope,
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    anna = directory.add_user(operator, bakery.id, "anna", now=NOW)
    directory.add_user(operator, bakery.id, "bert", now=NOW)
    sealed = 0
    for minutes in (0, 10):
        archived = make_recording(bakery.id, owner=anna.id, minutes=minutes)
        sealed += sum(each.ciphertext_bytes for each in archived.objects)
        with recorder.transaction(bakery.id) as connection:
            recordings.insert_recording(connection, archived)
    earlier = make_recording(bakery.id, owner=anna.id, minutes=-60 * 24 * 40).recording
    with recorder.transaction(bakery.id) as connection:
        rollups.recorded(connection, earlier, 7)
    found = {each.domain: each for each in operation.tenants(portal, sre, MONTH)}
    assert sorted(found) == ["bakery.example", "florist.example"]
    told = found["bakery.example"]
    assert (told.name, told.people, told.recordings, told.size_bytes) == (
        "De Warme Bakker",
        2,
        3,
        sealed + 7,
    )
    assert told.recorded_s == 120
    assert vars(found["florist.example"]) == {
        "id": florist.id,
        "name": "Bloem & Blad",
        "domain": "florist.example",
        "people": 0,
        "recordings": 0,
        "size_bytes": 0,
        "recorded_s": 0,
    }


def test_a_session_is_found_by_its_own_id_the_call_id_or_what_the_exchange_calls_it(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant, sre: AccessScope
) -> None:
    ours = offered(recorder, bakery.id, "abc@192.0.2.1", kind=OutcomeKind.FAILED, reason="no port")
    theirs = offered(recorder, florist.id, "def@192.0.2.1", 1)
    nobodys = offered(recorder, None, "ghi@192.0.2.1", 2, kind=OutcomeKind.NOBODY_RECORDED)
    for outcome in (ours, theirs, nobodys):
        for term in (outcome.call_id, outcome.session_id):
            (found,) = operation.sessions(portal, sre, term=term).items
            assert (found.session_id, found.call_id) == (outcome.session_id, outcome.call_id)
            assert (found.tenant_id, found.kind) == (outcome.tenant_id, outcome.kind)
            assert not hasattr(found, "trace")
    assert operation.sessions(portal, sre, term="abc").items == ()
    called = [
        offered(
            recorder,
            tenant_id,
            f"{n}@192.0.2.1",
            3 + n,
            exchange_ids=("hVpd7YQgRW2nD22h7q60JQ==", f"own-{n}-id"),
        )
        for n, tenant_id in enumerate((bakery.id, florist.id, None))
    ]
    found = operation.sessions(portal, sre, term="hVpd7YQgRW2nD22h7q60JQ==").items
    assert [each.session_id for each in found] == [each.session_id for each in reversed(called)]
    for n, each in enumerate(called):
        (one,) = operation.sessions(portal, sre, term=f"own-{n}-id").items
        assert one.session_id == each.session_id
    assert operation.sessions(portal, sre, term="hvpd7yqgrw2nd22h7q60jq==").items == ()
    assert operation.sessions(portal, sre, term="a\x00b").items == ()


def test_what_a_customer_wrote_of_a_number_is_not_told_to_operators(
    operator: Catalogue, recorder: Catalogue, portal: Catalogue, bakery: Tenant, sre: AccessScope
) -> None:
    """The reason of an entry is in the customer's words, and says whose doctor somebody is."""
    written = "psycholoog van Piet"
    do_not_record.add(operator, bakery.id, "+31201112223", written, now=NOW)
    facts = CallFacts(caller="+31201112223", callee="+31201234567")
    peer = Peer(PeerId(""), "any", (), bakery.id)
    decision = decide(tenant_directory.load(portal, bakery.id), peer, facts, NOW)
    assert written in decision.reason
    offered(recorder, bakery.id, "a@192.0.2.1", kind=decision.kind, reason=decision.reason)
    for term in ("", "a@192.0.2.1"):
        (found,) = operation.sessions(portal, sre, term=term).items
        assert found.reason == "a party is on the do-not-record list"


def test_sessions_come_newest_first_page_by_page(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant, sre: AccessScope
) -> None:
    wanted = [
        offered(recorder, tenant_id, f"{number}@192.0.2.1", number).session_id
        for number, tenant_id in enumerate([bakery.id, florist.id, None, bakery.id, florist.id])
    ][::-1]
    seen, cursor = [], None
    while True:
        page = operation.sessions(portal, sre, limit=2, cursor=cursor)
        seen += [each.session_id for each in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == wanted


def test_an_exempt_session_is_in_nothing_an_operator_sees(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, sre: AccessScope
) -> None:
    """Only the count of the day is kept, of the whole instance, and here not even that."""
    before = operation.outcomes(portal, sre, NOW - timedelta(days=1))
    sessions.count_exempt(recorder, NOW.date(), 3)
    assert operation.sessions(portal, sre).items == ()
    assert operation.outcomes(portal, sre, NOW - timedelta(days=1)) == before
    assert not any(before.values())


def test_outcomes_are_counted_from_a_moment_on(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant, sre: AccessScope
) -> None:
    offered(recorder, bakery.id, "a", kind=OutcomeKind.FAILED)
    offered(recorder, florist.id, "b", 30, kind=OutcomeKind.FAILED)
    offered(recorder, None, "c", 60, kind=OutcomeKind.NOBODY_RECORDED)
    counted = operation.outcomes(portal, sre, NOW - timedelta(hours=3))
    assert counted == dict.fromkeys(OutcomeKind, 0) | {
        OutcomeKind.FAILED: 2,
        OutcomeKind.NOBODY_RECORDED: 1,
    }
    assert operation.outcomes(portal, sre, NOW - timedelta(minutes=95))[OutcomeKind.FAILED] == 1


def test_a_recorder_that_went_with_audio_is_missed_for_a_month_and_any_other_for_a_day(
    recorder: Catalogue, worker: Catalogue
) -> None:
    """What it recorded when it was heard last stands in its journal, and nobody archived it."""
    idle, recording, waiting = (
        Condition(recordings=0, waiting=0),
        Condition(recordings=2),
        Condition(waiting=1),
    )
    for node, how in {"a": idle, "b": UNSAID, "c": recording, "d": waiting}.items():
        recorder_nodes.beat(recorder, node, how)
    now = datetime.now(UTC)
    assert recorder_nodes.sweep(worker, now - timedelta(minutes=5)) == 0
    assert recorder_nodes.sweep(worker, now + timedelta(minutes=5)) == 2
    assert [each.name for each in recorder_nodes.listed(worker)] == ["c", "d"]
    assert recorder_nodes.sweep(worker, now + timedelta(days=29)) == 0
    assert recorder_nodes.sweep(worker, now + timedelta(days=31)) == 2


def test_nobody_but_an_operator_is_told_anything(
    operator: Catalogue, recorder: Catalogue, portal: Catalogue, bakery: Tenant, database: Any
) -> None:
    """Neither by the rules above the database, nor by its functions within a tenant that does not operate."""
    offered(recorder, bakery.id, "abc")
    for role in (Role.USER, Role.ADMINISTRATOR, Role.AUDITOR):
        user = directory.add_user(operator, bakery.id, role.value, now=NOW, role=role)
        scope = accounts.scope_of_user(portal, bakery.id, user.id)
        for ask in (
            lambda asking: operation.tenants(portal, asking, MONTH),
            lambda asking: operation.sessions(portal, asking),
            lambda asking: operation.outcomes(portal, asking, NOW),
        ):
            with pytest.raises(Refused):
                ask(scope)
    asked = (
        "SELECT * FROM operated_tenants('2026-01-01')",
        "SELECT * FROM operated_sessions('', NULL, '', 10)",
        "SELECT * FROM operated_sessions('abc', NULL, '', 10)",
        "SELECT * FROM operated_outcomes('2020-01-01')",
    )
    for tenant_id in (None, bakery.id):
        connection = database.connect("earwitness_portal", tenant_id)
        for statement in asked:
            assert connection.execute(statement).fetchall() == []


def test_asking_leaves_the_asker_in_their_own_tenant(
    portal: Catalogue, bakery: Tenant, provider: Tenant, database: Any
) -> None:
    connection = database.connect("earwitness_portal")
    with connection.transaction():
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", (provider.id,))
        for statement in (
            "SELECT * FROM operated_tenants('2026-01-01')",
            "SELECT * FROM operated_sessions('', NULL, '', 10)",
            "SELECT * FROM operated_outcomes('2020-01-01')",
        ):
            connection.execute(statement).fetchall()
            assert connection.execute("SELECT current_tenant()").fetchone() == (provider.id,)
            assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,)


def test_a_recorder_tells_how_it_is_with_each_beat(
    recorder: Catalogue, portal: Catalogue, database: Any
) -> None:
    assert recorder_nodes.listed(portal) == []
    recorder_nodes.beat(recorder, "old")
    said = Condition("1.2.3", 4, 2, NOW - timedelta(minutes=5), 4096, NOW - timedelta(hours=1), "")
    recorder_nodes.beat(recorder, "one", Condition(unready_reason="draining"))
    recorder_nodes.beat(recorder, "one", said)
    silent = "UPDATE recorder_nodes SET heard_at = heard_at - interval '1 minute' WHERE node = 'old'"
    database.connect().execute(silent)
    old, one = recorder_nodes.listed(portal)
    assert (old.name, old.condition, old.is_there) == ("old", UNSAID, False)
    assert old.silent_s > SILENT_S
    assert (one.name, one.condition) == ("one", said)


def test_moments_are_told_anew_and_what_nobody_told_is_not_known(
    worker: Catalogue, recorder: Catalogue, portal: Catalogue, database: Any
) -> None:
    assert moments.known(portal) == {}
    ends = NOW + timedelta(days=40)
    moments.tell(recorder, "one", {Moment.SIP_CERTIFICATE_ENDS: NOW}, NOW)
    moments.tell(recorder, "one", {Moment.SIP_CERTIFICATE_ENDS: ends}, NOW + timedelta(hours=1))
    moments.tell(recorder, "two", {Moment.SIP_CERTIFICATE_ENDS: None}, NOW)
    database.connect().execute("INSERT INTO known_moments VALUES ('moon-rises', '', now(), now())")
    assert moments.known(portal) == {
        Moment.SIP_CERTIFICATE_ENDS: (
            Known("one", ends, NOW + timedelta(hours=1)),
            Known("two", None, NOW),
        )
    }
