"""As every database role: one tenant's rows only, and none without a tenant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Table, insert

from archive.access import AccessScope, Scope
from archive.approval import Kind, Wanted
from archive.audit import AuditWriter
from archive.catalogue import (
    accounts,
    brandings,
    case_people,
    cases,
    comments,
    data_subject_calls,
    data_subjects,
    directory,
    do_not_record,
    early,
    evaluation_forms,
    evaluations,
    exempt_numbers,
    favourites,
    keep_next,
    keks,
    labels,
    notes,
    notifications,
    passwords,
    peers,
    policies,
    proposals,
    recordings,
    roster_imports,
    saved_searches,
    sessions,
    share_policies,
    share_visits,
    shares,
    tables,
    trash,
    waveforms,
)
from archive.catalogue.data_subjects import NewRequest
from archive.catalogue.engine import Catalogue
from archive.catalogue.migrate import OWNER, ROLES
from archive.catalogue.tables import INSTANCE_TABLES, metadata
from archive.data_subject import Identification, RequestKind, SoughtBy
from archive.evaluation_form import Form, Question, QuestionKind, Section
from archive.model import (
    ArchivedRecording,
    OutcomeKind,
    RecordingMode,
    RetentionClass,
    Role,
    SessionId,
    SessionOutcome,
    Tenant,
    User,
    UserId,
    new_id,
)
from archive.roster import RosterRow

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
TENANT_TABLES = sorted(set(metadata.tables) - INSTANCE_TABLES)
DIRECTORY = {
    "tenants",
    "peers",
    "users",
    "user_numbers",
    "user_licences",
    "tenant_policies",
    "keep_next",
    "do_not_record",
    "exempt_numbers",
    "minute_months",
    "recording_grounds",
}
ACROSS = {
    "earwitness_recorder": DIRECTORY | {"live_calls", "commands", "call_events"},
    "earwitness_worker": DIRECTORY | {"audit_entries", "live_calls", "commands", "call_events"},
    "earwitness_operator": DIRECTORY | {"audit_entries"},
    "earwitness_portal": set(),
}
"""What a role may read of all tenants: the recorder's cache, the calls it holds and the commands to
them, what the worker sweeps, and the chain that spans them."""


@pytest.fixture
def filled(
    database: Any,
    operator: Catalogue,
    recorder: Catalogue,
    portal: Catalogue,
    bakery: Tenant,
    florist: Tenant,
    make_recording: Callable[..., ArchivedRecording],
) -> Any:
    """Return two tenants that each have at least one row in every table."""
    for n, tenant in enumerate((bakery, florist)):
        now = make_recording(tenant.id).recording.started_at
        peers.add_peer(operator, f"sbc-{n}", [f"192.0.2.{n}"], now=now, tenant_id=tenant.id)
        user = directory.add_user(
            operator,
            tenant.id,
            "anna",
            now=now,
            numbers=["+31201234500-599"],
            licence=RetentionClass.DAYS_90,
            mode=RecordingMode.ALWAYS,
        )
        passwords.set_password(operator, tenant.id, "anna", "correct horse battery")
        directory.add_team(operator, tenant.id, "Sales", now=now)
        directory.set_team_member(
            operator, tenant.id, "Sales", "anna", directory.Capacity.CONTRIBUTOR, now=now
        )
        had = {"licence": "90d", "mode": "always", "broadworks_id": None, "numbers": []}
        with portal.transaction(tenant.id) as connection:
            connection.execute(insert(tables.departures), {"tenant_id": tenant.id, "user_id": user.id, **had})
            brandings.put_draft(connection, brandings.Look(tenant.id, "", "x"), "user:x", now=now)
        accounts.add_api_client(operator, tenant.id, "crm", ["recordings:read"], now=now)
        archived = make_recording(tenant.id, owner=user.id)
        outcome = SessionOutcome(
            SessionId(f"session-{n}"),
            "call",
            OutcomeKind.RECORDED,
            "",
            now,
            now,
            tenant_id=tenant.id,
            octets=(172,),
            exchange_ids=("called-alike",),
        )
        with recorder.transaction(tenant.id) as connection:
            recordings.insert_recording(connection, archived)
            sessions.insert_outcome(connection, outcome)
            AuditWriter(recorder, "recorder/one").append(
                connection,
                tenant_id=tenant.id,
                actor="recorder",
                action="archive",
                object="recording:1",
                at=now,
            )
            waveforms.keep(connection, tenant.id, archived.recording.id, None)
        _fill_recording_control(operator, recorder, user, now)
        scope = AccessScope(tenant.id, f"user:{user.id}", Role.USER, user.id)
        saved_searches.add(portal, scope, "Met pauze", "has=pause", shared=True, now=now)
        saved_searches.remember_view(portal, scope, "has=pause", now=now)
        _fill_annotations(portal, user, archived, now)
        _fill_evaluations(portal, database, archived, now)
        _fill_positions(database, user, archived, now)
        _fill_purposes(database, user, archived, now)
        _fill_shares(portal, scope, archived, now)
        _fill_sign_in(operator, portal, user, now)
        _fill_retention(database, archived, now)
        _fill_exports(database, user, now)
        auditor = AccessScope(tenant.id, "user:auditor", Role.AUDITOR, user.id)
        _fill_cases(database, portal, auditor, archived, now)
        _fill_data_subjects(portal, auditor, now)
        _fill_storage(database, archived, now)
        _fill_proposals(operator, portal, tenant, archived, now)
        _fill_trash(portal, archived, now)
        _fill_reports(database, user, now)
        with portal.transaction(tenant.id) as connection:
            wanted = notifications.Choices(dict.fromkeys(notifications.Kind, True))
            notifications.choose(connection, tenant.id, user.id, wanted, now=now)
            row = RosterRow(2, "x", {})
            roster_imports.begin(connection, tenant.id, user.id, [row], now=now)
            notifications.note(connection, tenant.id, user.id, notifications.Kind.HEARD, "x", now=now)
        keks.retire(operator, tenant.id, f"{tenant.id}/2027-02-20/1", now=now)
    return database


def _fill_recording_control(operator: Catalogue, recorder: Catalogue, user: User, now: datetime) -> None:
    tenant_id, later = user.tenant_id, now + timedelta(days=1)
    policies.set_policy(operator, tenant_id, keep_grace_h=1)
    keep_next.set_until(operator, tenant_id, user.id, later, now=now)
    do_not_record.add(operator, tenant_id, "0107000000", "lawyer", now=now)
    exempt_numbers.add(operator, tenant_id, "116117", now=now)
    of_recording = {"tenant_id": tenant_id, "recording_id": new_id(now)}
    call = {
        **dict.fromkeys(("session_id", "call_id", "call_group", "direction", "layout", "capture"), "x"),
        **of_recording,
        "node": "one",
        "owner": user.id,
        "mode": "always",
        "state": "recording",
        "started_at": now,
        "parties": [],
    }
    command = {"id": new_id(now), "node": "one", "verb": "pause", "actor": f"user:{user.id}", **of_recording}
    month = {"tenant_id": tenant_id, "user_id": user.id, "month": now.date().replace(day=1), "booked_s": 60}
    booking = {
        **month,
        **of_recording,
        "call_group": "x",
        "recorded_s": 60,
        "above_cap": False,
        "started_at": now,
        "ended_at": later,
        "retention_class": "90d",
    }
    with operator.transaction(tenant_id) as connection:
        waiting = {"issued_at": now, "status": "waiting", "reason": ""}
        connection.execute(insert(tables.commands), {**command, **waiting})
    with recorder.transaction(tenant_id) as connection:
        connection.execute(insert(tables.live_calls), call)
        event = {"tenant_id": tenant_id, "at": now, "kind": "call.started", "body": {}}
        connection.execute(insert(tables.call_events), event)
        connection.execute(insert(tables.minute_bookings), booking)
        connection.execute(insert(tables.minute_months), month)


def _fill_sign_in(operator: Catalogue, portal: Catalogue, user: User, now: datetime) -> None:
    later, own = now + timedelta(days=1), {"tenant_id": user.tenant_id, "user_id": user.id}
    named = {"id": new_id(now), **own}
    provider = {"tenant_id": user.tenant_id, "issuer": "https://x.example", "client_id": "x"}
    session = {"stage": "signed-in", "proofs": [], "opened_at": now, "seen_at": now, "ends_at": later}
    rows: list[tuple[Table, dict[str, object]]] = [
        (tables.user_emails, {**own, "email": "anna@mail.example"}),
        (
            tables.portal_sessions,
            {**named, **session, "token_hash": user.id, "address": "192.0.2.1", "agent": "x"},
        ),
        (tables.totp_secrets, {**own, "sealed": b"x", "added_at": now, "last_step": 1}),
        (
            tables.passkeys,
            {
                **named,
                "credential_id": b"x",
                "public_key": b"x",
                "sign_count": 0,
                "name": "x",
                "added_at": now,
            },
        ),
        (tables.recovery_codes, {**own, "code_hash": "x"}),
        (
            tables.invitations,
            {
                **named,
                "kind": "reset",
                "token_hash": user.id,
                "made_at": now,
                "ends_at": later,
                "mailed": True,
            },
        ),
        (tables.identities, {**own, "issuer": "https://x.example", "subject": "x", "linked_at": now}),
    ]
    with portal.transaction(user.tenant_id) as connection:
        for table, row in rows:
            connection.execute(insert(table), row)
    with operator.transaction(user.tenant_id) as connection:
        written = {
            **provider,
            "sealed_secret": b"x",
            "trusts_second_factor": False,
            "logins_are_addresses": False,
        }
        connection.execute(insert(tables.identity_providers), written)


def _fill_evaluations(portal: Catalogue, database: Any, archived: ArchivedRecording, now: datetime) -> None:
    scope = AccessScope(archived.recording.tenant_id, "api-client:qm", scopes=frozenset(Scope))
    form = Form((Section("Begin", (Question("name", "Naam?", QuestionKind.YES_NO),)),))
    kept = evaluation_forms.make(portal, scope, "Gesprek", form, now=now)
    evaluations.begin(portal, scope, archived.recording, kept.id, now=now)
    database.connect().execute(
        "INSERT INTO evaluation_figures VALUES (%s, %s, 1, '2026-11-01', 1, 1000, 0)",
        (scope.tenant_id, kept.id),
    )
    sample = {"tenant_id": scope.tenant_id, "sample_id": new_id(now)}
    with portal.transaction(scope.tenant_id) as connection:
        connection.execute(
            insert(tables.evaluation_policies), {"tenant_id": scope.tenant_id, "hides_few": True}
        )
        connection.execute(
            insert(tables.evaluation_samples),
            {
                "id": sample["sample_id"],
                "tenant_id": scope.tenant_id,
                "form_id": kept.id,
                "team_id": "x",
                "month": now.date().replace(day=1),
                "per_person": 4,
                "seed": "x",
                "drawn_by": scope.actor,
                "drawn_at": now,
            },
        )
        call = {"recording_id": archived.recording.id, "owner": "x", "place": 0}
        connection.execute(insert(tables.evaluation_sample_calls), {**sample, **call})


def _fill_shares(portal: Catalogue, scope: AccessScope, archived: ArchivedRecording, now: datetime) -> None:
    wanted = shares.NewShare(archived.recording.id, "x", 0, 1000, now + timedelta(days=1))
    share_policies.set_policy(portal, scope.tenant_id, days_max=7)
    words = dict.fromkeys(("actor", "kind", "recipient", "language"), "x")
    mail = {"id": new_id(now), "tenant_id": scope.tenant_id, "state": "queued", "queued_at": now, **words}
    with portal.transaction(scope.tenant_id) as connection:
        share, _ = shares.add(connection, scope, wanted, now=now)
        share_visits.open_visit(connection, share, "192.0.2.1", now=now)
        connection.execute(insert(tables.mails), mail)


def _fill_annotations(portal: Catalogue, user: User, archived: ArchivedRecording, now: datetime) -> None:
    scope = AccessScope(user.tenant_id, f"user:{user.id}", Role.USER, user.id, "own")
    recording = archived.recording
    comments.add(portal, scope, recording, "Mooi", 100, now=now)
    notes.put(portal, scope, recording, "Terugbellen", now=now)
    labels.attach_named(portal, scope, recording, labels.NewLabel("Klacht"), now=now)
    favourites.mark(portal, scope, recording, marked=True, now=now)


def _fill_positions(database: Any, user: User, archived: ArchivedRecording, now: datetime) -> None:
    database.connect().execute(
        "INSERT INTO positions VALUES (%s, %s, %s, 1000, %s)",
        (user.tenant_id, user.id, archived.recording.id, now),
    )


def _fill_purposes(database: Any, user: User, archived: ArchivedRecording, now: datetime) -> None:
    database.connect().execute(
        "INSERT INTO recording_purposes VALUES (%s, %s, %s, %s, 'Complaint', %s)",
        (user.tenant_id, new_id(now), archived.recording.id, user.id, now),
    )


def _fill_exports(database: Any, user: User, now: datetime) -> None:
    made, connection = new_id(now), database.connect()
    connection.execute(
        "INSERT INTO exports (id, tenant_id, user_id, reference, purpose, recording_ids, state, asked_at, ends_at)"
        " VALUES (%s, %s, %s, 'x', 'x', '{x}', 'waiting', %s, %s)",
        (made, user.tenant_id, user.id, now, now),
    )
    connection.execute(
        "INSERT INTO export_parts VALUES (%s, %s, '', '[]', 'x', 'x', 1, 1, 1, 'x', 'x', 'x')",
        (user.tenant_id, made),
    )


def _fill_reports(database: Any, user: User, now: datetime) -> None:
    made, connection = new_id(now), database.connect()
    connection.execute(
        "INSERT INTO report_subscriptions VALUES (%s, %s, %s, 'usage', NULL, 'weekly', 7, 'csv', 'nl', %s)",
        (made, user.tenant_id, user.id, now),
    )
    connection.execute(
        "INSERT INTO report_sendings VALUES (%s, %s, %s, %s)", (user.tenant_id, made, now.date(), now)
    )


def _fill_retention(database: Any, archived: ArchivedRecording, now: datetime) -> None:
    database.connect().execute(
        "INSERT INTO destructions (recording_id, tenant_id, session_id, former_state, retention_class,"
        " retain_until, kek_id, claim, claimed_at, claimed_until, entries)"
        " VALUES (%s, %s, 'x', 'available', '90d', %s, 'x', 'x', %s, %s, '{}')",
        (archived.recording.id, archived.recording.tenant_id, now, now, now),
    )


def _fill_storage(database: Any, archived: ArchivedRecording, now: datetime) -> None:
    connection, of_it = database.connect(), (archived.recording.tenant_id, archived.recording.id)
    connection.execute(
        "INSERT INTO legal_duties VALUES (%s, %s, 'MiFID II', '{7y-1000}', 'operator:0', %s)",
        (new_id(now), archived.recording.tenant_id, now),
    )
    connection.execute(
        "INSERT INTO scrubs (tenant_id, recording_id, read_at) VALUES (%s, %s, %s)", (*of_it, now)
    )
    connection.execute(
        "INSERT INTO audit_erasures VALUES (%s, 3, 4, NULL, NULL)", (archived.recording.tenant_id,)
    )
    connection.execute("INSERT INTO scrub_findings VALUES (%s, %s, 'audio', 'altered', %s)", (*of_it, now))


def _fill_cases(
    database: Any, portal: Catalogue, scope: AccessScope, archived: ArchivedRecording, now: datetime
) -> None:
    with portal.transaction(scope.tenant_id) as connection:
        case_id = cases.open_case(connection, scope, "Claim", "x", now=now)
        cases.add(connection, scope, case_id, [archived.recording.id], now=now)
        cases.add_rule(connection, scope, case_id, None, "0201234567", now=now)
        assert scope.user_id is not None
        case_people.admit(connection, scope, case_id, scope.user_id, now=now)
    database.connect().execute(
        "INSERT INTO case_copies VALUES (%s, %s, 'key', 'version', 1, 'x', NULL)", (case_id, scope.tenant_id)
    )


def _fill_data_subjects(portal: Catalogue, scope: AccessScope, now: datetime) -> None:
    asked = NewRequest(RequestKind.ACCESS, "M. Jansen", "by post", now.date())
    with portal.transaction(scope.tenant_id) as connection:
        made = data_subjects.take_in(connection, scope, asked, now=now)
        data_subjects.identify(connection, scope, made.id, Identification.CALLED_BACK, now=now)
        data_subject_calls.search(connection, scope, made.id, SoughtBy.NUMBER, "0612345678", now=now)


def _fill_proposals(
    operator: Catalogue, portal: Catalogue, tenant: Tenant, archived: ArchivedRecording, now: datetime
) -> None:
    wanted = Wanted(Kind.KEY_DESTRUCTION, f"kek:{tenant.id}/2027-02-20", {"day": "2027-02-20"})
    with operator.transaction(tenant.id) as connection:
        made = proposals.propose_as_operator(connection, tenant.id, "operator:0", wanted, now=now)
    day = archived.kek_id.split("/")[1]
    with portal.transaction(tenant.id) as connection:
        early.condemn(connection, tenant.id, made.id, day, archived.recording.started_at)


def _fill_trash(portal: Catalogue, archived: ArchivedRecording, now: datetime) -> None:
    recording = archived.recording
    wanted = Wanted(Kind.EARLY_DESTRUCTION, f"recording:{recording.id}")
    boss = AccessScope(recording.tenant_id, "user:boss", Role.ADMINISTRATOR, UserId("boss"))
    with portal.transaction(recording.tenant_id) as connection:
        made = proposals.propose(connection, boss, wanted, now=now)
        trash.put(connection, made, now=now)


def count(connection: psycopg.Connection, table: str) -> int | None:
    """Return the rows a connection sees; None when the role has no right to the table at all."""
    try:
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    assert row is not None
    return row[0]


def test_every_table_has_rows_of_both_tenants(filled: Any) -> None:
    admin = filled.connect()
    assert {table: count(admin, table) for table in TENANT_TABLES if (count(admin, table) or 0) < 2} == {}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_sees_one_tenants_rows_and_none_without_a_tenant(
    filled: Any, bakery: Tenant, role: str
) -> None:
    stranger, tenant = filled.connect(role), filled.connect(role, bakery.id)
    for table in TENANT_TABLES:
        without = count(stranger, table)
        assert without is None or without == (2 if table in ACROSS[role] else 0), table
        column = "id" if table == "tenants" else "tenant_id"
        seen = sql.SQL("SELECT DISTINCT {} FROM {}").format(sql.Identifier(column), sql.Identifier(table))
        if without is not None and table not in ACROSS[role]:
            assert tenant.execute(seen).fetchall() == [(bakery.id,)], table


def test_the_owner_is_under_row_level_security_too(filled: Any, bakery: Tenant) -> None:
    owner = filled.connect()
    owner.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
    assert [count(owner, table) for table in ("recordings", "users", "audit_entries", "sessions")] == [0] * 4
    owner.execute("SELECT set_config('app.tenant_id', %s, false)", (bakery.id,))
    assert count(owner, "recordings") == 1


@pytest.mark.parametrize("role", ["earwitness_recorder", "earwitness_operator"])
def test_nobody_inserts_another_tenants_recording(
    filled: Any, bakery: Tenant, florist: Tenant, role: str
) -> None:
    connection = filled.connect(role, bakery.id)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        connection.execute(
            "INSERT INTO recordings SELECT 'new', %s, session_id, call_id, call_group, state, mode, owner, peer_id,"
            " direction, layout, started_at, ended_at, duration_ms, recorded_ms, retention_class, retain_until,"
            " spans, packets_received, packets_lost, packets_duplicated, packets_reordered, sha256, channels,"
            " sample_rate_hz, flags, on_hold, site, kek_id, wrapped_key FROM recordings",
            (florist.id,),
        )


@pytest.mark.parametrize("tenant", [None, "bakery"])
def test_nobody_writes_another_tenants_session_or_audit_entry(
    filled: Any, bakery: Tenant, florist: Tenant, tenant: str | None
) -> None:
    connection = filled.connect("earwitness_recorder", bakery.id if tenant else None)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        connection.execute(
            "INSERT INTO sessions VALUES ('s', %s, '', 'failed', '', now(), now(), NULL, '{}', '{}')",
            (florist.id,),
        )
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        connection.execute(
            "INSERT INTO audit_entries VALUES ('w', 1, repeat('0', 64), 'h', now(), %s, 'a', 'a', 'o', 'ok', 'b')",
            (florist.id,),
        )


def test_the_portal_can_neither_move_a_user_to_another_tenant_nor_touch_theirs(
    filled: Any, bakery: Tenant, florist: Tenant
) -> None:
    connection = filled.connect("earwitness_portal", bakery.id)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        connection.execute("UPDATE users SET tenant_id = %s", (florist.id,))
    assert connection.execute("UPDATE users SET site = 'x' WHERE tenant_id = %s", (florist.id,)).rowcount == 0
    assert connection.execute("DELETE FROM users WHERE tenant_id = %s", (florist.id,)).rowcount == 0


def test_a_row_of_one_tenant_cannot_lean_on_a_row_of_another(
    filled: Any, bakery: Tenant, florist: Tenant
) -> None:
    theirs = filled.connect().execute("SELECT id FROM users WHERE tenant_id = %s", (florist.id,)).fetchone()
    connection = filled.connect("earwitness_portal", bakery.id)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        connection.execute("INSERT INTO user_numbers VALUES (%s, %s, '+1', '+1')", (bakery.id, theirs[0]))


def test_recorders_read_no_password_and_no_api_client(filled: Any, bakery: Tenant) -> None:
    for role in ("earwitness_recorder", "earwitness_worker"):
        connection = filled.connect(role, bakery.id)
        assert count(connection, "user_passwords") is None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT key_hash FROM api_clients")
    assert count(filled.connect("earwitness_recorder", bakery.id), "api_clients") is None


def test_recorders_read_that_a_customer_has_grounds_and_not_what_they_say(
    filled: Any, bakery: Tenant
) -> None:
    connection = filled.connect("earwitness_recorder", bakery.id)
    assert count(connection, "recording_grounds") == 2
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT purposes FROM recording_grounds")


@pytest.mark.parametrize("role", ["earwitness_recorder", "earwitness_worker"])
def test_recorders_and_workers_read_nothing_people_prove_themselves_by(
    filled: Any, bakery: Tenant, role: str
) -> None:
    connection = filled.connect(role, bakery.id)
    for table in (
        "user_emails",
        "portal_sessions",
        "totp_secrets",
        "passkeys",
        "recovery_codes",
        "invitations",
        "identities",
        "identity_providers",
        "sign_in_attempts",
        "spent_challenges",
    ):
        assert count(connection, table) is None, table


def test_an_address_tells_its_account_to_the_portal_alone_and_only_when_it_was_proved(
    filled: Any, bakery: Tenant
) -> None:
    asked = "SELECT tenant_id FROM accounts_of_email('anna@mail.example')"
    portal = filled.connect("earwitness_portal")
    assert portal.execute(asked).fetchall() == []
    filled.connect().execute("UPDATE user_emails SET verified_at = now() WHERE tenant_id = %s", (bakery.id,))
    assert portal.execute(asked).fetchall() == [(bakery.id,)]
    for role in ("earwitness_recorder", "earwitness_worker", "earwitness_operator"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            filled.connect(role).execute(asked)


def test_the_database_ends_sessions_when_a_password_or_role_changes(filled: Any, bakery: Tenant) -> None:
    connection = filled.connect("earwitness_operator", bakery.id)
    connection.execute("UPDATE users SET site = 'Noord'")
    connection.execute("UPDATE user_passwords SET password_hash = password_hash")
    assert count(connection, "portal_sessions") == 1
    connection.execute("UPDATE users SET role = 'auditor'")
    assert count(connection, "portal_sessions") == 0
    assert count(filled.connect(), "portal_sessions") == 1


def test_the_operators_exempt_numbers_are_read_by_every_tenant_and_written_by_the_operator_alone(
    filled: Any, operator: Catalogue, bakery: Tenant
) -> None:
    number = exempt_numbers.add(operator, None, "116111", now=NOW).number
    portal = filled.connect("earwitness_portal", bakery.id)
    assert portal.execute("SELECT number FROM exempt_numbers WHERE tenant_id IS NULL").fetchall() == [
        (number,)
    ]
    assert portal.execute("DELETE FROM exempt_numbers WHERE tenant_id IS NULL").rowcount == 0
    assert portal.execute("UPDATE exempt_numbers SET number = '1' WHERE tenant_id IS NULL").rowcount == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        portal.execute("INSERT INTO exempt_numbers VALUES ('x', NULL, '1')")
    for role in ("earwitness_recorder", "earwitness_worker"):
        connection = filled.connect(role)
        assert count(connection, "exempt_numbers") == 3
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
            connection.execute("DELETE FROM exempt_numbers")


def test_a_tenant_commands_no_call_of_another_tenant(filled: Any, bakery: Tenant, florist: Tenant) -> None:
    connection = filled.connect("earwitness_portal", bakery.id)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        connection.execute(
            "INSERT INTO commands SELECT 'new', %s, recording_id, node, verb, actor, issued_at, status, reason"
            " FROM commands",
            (florist.id,),
        )
    touched = connection.execute("UPDATE commands SET verb = 'keep' WHERE tenant_id = %s", (florist.id,))
    assert touched.rowcount == 0


def test_a_recorder_deletes_promises_it_kept_but_makes_none(filled: Any, bakery: Tenant) -> None:
    connection = filled.connect("earwitness_recorder", bakery.id)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
        connection.execute("UPDATE keep_next SET until = now()")
    connection.execute("DELETE FROM keep_next")
    assert count(filled.connect(), "keep_next") == 1


ANNOTATIONS = ("comments", "notes", "labels", "recording_labels", "favourites", "annotation_revisions")


@pytest.mark.parametrize("role", ROLES)
def test_nobody_changes_an_earlier_value_of_an_annotation_nor_what_it_belongs_to(
    filled: Any, bakery: Tenant, role: str
) -> None:
    connection = filled.connect(role, bakery.id)
    statements = [
        "UPDATE annotation_revisions SET content = '{}'",
        "INSERT INTO annotation_revisions SELECT * FROM annotation_revisions",
        "TRUNCATE annotation_revisions",
        "UPDATE comments SET author = 'user:somebody'",
        "UPDATE comments SET revision = 1",
        "UPDATE notes SET recording_id = 'other'",
        "UPDATE recording_labels SET label_id = 'other'",
        "UPDATE favourites SET user_id = 'other'",
    ]
    if role != "earwitness_worker":
        statements += [f"DELETE FROM {table}" for table in ANNOTATIONS]
    for statement in statements:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_not_even_the_owner_of_the_tables_changes_an_earlier_value(filled: Any, bakery: Tenant) -> None:
    owner = filled.connect()
    for statement in ("UPDATE annotation_revisions SET content = '{}'", "TRUNCATE annotation_revisions"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed"):
            owner.execute(statement)


def test_operators_and_recorders_read_nothing_of_what_people_wrote(filled: Any, bakery: Tenant) -> None:
    for role in ("earwitness_operator", "earwitness_recorder"):
        connection = filled.connect(role, bakery.id)
        assert [count(connection, table) for table in ANNOTATIONS] == [None] * len(ANNOTATIONS)


def test_what_was_written_goes_with_its_recording(filled: Any, bakery: Tenant) -> None:
    admin, worker = filled.connect(), filled.connect("earwitness_worker", bakery.id)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="legal hold"):
        worker.execute("DELETE FROM recordings")
    admin.execute("DELETE FROM case_recordings")
    admin.execute("UPDATE recordings SET on_hold = false")
    assert worker.execute("DELETE FROM recordings").rowcount == 1
    left = {table: count(admin, table) for table in ANNOTATIONS}
    # Of the other tenant everything is left; of this one the label and the form, which are not the recording's.
    assert left == {**dict.fromkeys(ANNOTATIONS, 1), "labels": 2, "annotation_revisions": 8}


@pytest.mark.parametrize("role", ["earwitness_recorder", "earwitness_portal", "earwitness_operator"])
def test_only_the_worker_changes_or_deletes_recordings(filled: Any, bakery: Tenant, role: str) -> None:
    connection = filled.connect(role, bakery.id)
    for statement in (
        "DELETE FROM recordings",
        "UPDATE recordings SET state = 'destroyed'",
        "TRUNCATE recordings",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_a_tenant_set_for_one_transaction_is_gone_in_the_next(
    portal: Catalogue, filled: Any, bakery: Tenant
) -> None:
    from sqlalchemy import func, select

    from archive.catalogue.tables import recordings as table

    rows = select(func.count()).select_from(table)
    with portal.transaction(bakery.id) as connection:
        assert connection.execute(rows).scalar() == 1
    for _ in range(3):
        with portal.transaction() as connection:
            assert connection.execute(rows).scalar() == 0
