"""As every database role: one tenant's rows only, and none without a tenant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql

from archive.audit import AuditWriter
from archive.catalogue import accounts, directory, recordings, sessions
from archive.catalogue.engine import Catalogue
from archive.catalogue.migrate import OWNER, ROLES
from archive.catalogue.tables import INSTANCE_TABLES, metadata
from archive.model import (
    ArchivedRecording,
    OutcomeKind,
    RecordingMode,
    RetentionClass,
    SessionId,
    SessionOutcome,
    Tenant,
)

TENANT_TABLES = sorted(set(metadata.tables) - INSTANCE_TABLES)
DIRECTORY = {"tenants", "peers", "users", "user_numbers", "user_licences"}
ACROSS = {
    "earwitness_recorder": DIRECTORY,
    "earwitness_worker": DIRECTORY | {"audit_entries"},
    "earwitness_operator": DIRECTORY | {"audit_entries"},
    "earwitness_portal": set(),
}
"""What a role may read of all tenants: the recorder's cache, and the chain that spans them."""


@pytest.fixture
def filled(
    database: Any,
    operator: Catalogue,
    recorder: Catalogue,
    bakery: Tenant,
    florist: Tenant,
    make_recording: Callable[..., ArchivedRecording],
) -> Any:
    """Return two tenants that each have at least one row in every table."""
    for n, tenant in enumerate((bakery, florist)):
        now = make_recording(tenant.id).recording.started_at
        directory.add_peer(operator, f"sbc-{n}", [f"192.0.2.{n}"], now=now, tenant_id=tenant.id)
        user = directory.add_user(
            operator,
            tenant.id,
            "anna",
            now=now,
            numbers=["+31201234500-599"],
            licence=RetentionClass.DAYS_90,
            mode=RecordingMode.ALWAYS,
        )
        accounts.set_password(operator, tenant.id, "anna", "correct horse battery")
        directory.add_team(operator, tenant.id, "Sales", now=now)
        directory.set_team_member(operator, tenant.id, "Sales", "anna", directory.Capacity.CONTRIBUTOR)
        accounts.add_api_client(operator, tenant.id, "crm", ["recordings:read"], now=now)
        archived = make_recording(tenant.id, owner=user.id)
        outcome = SessionOutcome(
            SessionId(f"session-{n}"), "call", OutcomeKind.RECORDED, "", now, now, tenant_id=tenant.id
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
    return database


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
        assert count(connection, "api_clients") is None


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
