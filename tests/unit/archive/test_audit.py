"""The audit log in the database: appended in the caller's transaction, and never changed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any, Never

import psycopg
import pytest

from archive.audit import AuditEntry, AuditWriter, ChainBroken, verify_chain, verify_log
from archive.catalogue import audit_entries
from archive.catalogue.engine import Catalogue
from archive.catalogue.migrate import OWNER, ROLES
from archive.errors import Refused
from archive.model import Tenant, TenantId

NOW = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)


def play(
    writer: AuditWriter, tenant_id: TenantId | None, object_: str = "recording:1", **more: Any
) -> AuditEntry:
    with writer.transaction(tenant_id) as connection:
        return writer.append(
            connection, tenant_id=tenant_id, actor="user:anna", action="play", object=object_, at=NOW, **more
        )


def test_an_entry_is_read_back_as_it_was_written(portal: Catalogue, bakery: Tenant) -> None:
    writer = AuditWriter(portal, "portal/one")
    written = [
        play(writer, bakery.id, purpose="klacht", body={"from_ms": 0, "to_ms": 61_000, "name": "é\0"}),
        play(writer, bakery.id, result="refused"),
    ]
    found = audit_entries.of_object(portal, bakery.id, "recording:1")
    assert found == written
    assert verify_chain(found).sequence == 2
    assert written[0].body == {"from_ms": 0, "to_ms": 61_000, "name": "é\0", "purpose": "klacht"}


def test_an_entry_is_there_exactly_when_the_transaction_is(
    portal: Catalogue, worker: Catalogue, bakery: Tenant
) -> Never:
    writer = AuditWriter(portal, "portal/one")

    def fail() -> None:
        with writer.transaction(bakery.id) as connection:
            writer.append(connection, tenant_id=bakery.id, actor="a", action="play", object="o", at=NOW)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert play(writer, bakery.id).sequence == 1
    assert verify_log(worker)["portal/one"].sequence == 1


def test_one_chain_runs_over_tenants_and_acts_of_no_tenant(
    operator: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    writer = AuditWriter(operator, "operator/one")
    for tenant_id in (bakery.id, florist.id, None, bakery.id):
        play(writer, tenant_id)
    assert verify_log(operator)["operator/one"].sequence == 4
    assert len(audit_entries.of_object(operator, bakery.id, "recording:1")) == 2


def test_many_at_once_make_one_chain_without_a_gap(
    portal: Catalogue, recorder: Catalogue, worker: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    writers = [AuditWriter(portal, "portal/one"), AuditWriter(recorder, "recorder/one")]

    def work(writer: AuditWriter, tenant_id: str) -> None:
        for _ in range(5):
            play(writer, tenant_id)

    threads = [
        threading.Thread(target=work, args=(writer, tenant.id))
        for writer in writers
        for tenant in (bakery, florist)
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {writer: head.sequence for writer, head in verify_log(worker).items()} == {
        "portal/one": 30,
        "recorder/one": 30,
    }


def test_an_entry_of_another_tenant_than_the_transaction_is_refused(
    portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    writer = AuditWriter(portal, "portal/one")
    for within, tenant_id in ((bakery.id, florist.id), (None, bakery.id), (bakery.id, None)):
        with pytest.raises(Refused, match="row-level security"), writer.transaction(within) as connection:
            writer.append(connection, tenant_id=tenant_id, actor="a", action="play", object="o", at=NOW)


@pytest.mark.parametrize("role", [*ROLES, OWNER, None])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'user:bob'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries CASCADE",
        "UPDATE audit_bodies SET body = '{}'",
        "TRUNCATE audit_bodies",
    ],
)
def test_no_role_changes_or_removes_an_entry_not_even_the_administrator(
    database: Any, portal: Catalogue, bakery: Tenant, role: str, statement: str
) -> None:
    play(AuditWriter(portal, "portal/one"), bakery.id)
    if role == OWNER:
        connection = database.connect(None, bakery.id)
        connection.execute(f"SET ROLE {OWNER}")
    else:
        connection = database.connect(role, bakery.id)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


@pytest.mark.parametrize("role", ROLES)
def test_no_role_forks_a_chain_or_moves_its_head(
    database: Any, portal: Catalogue, bakery: Tenant, role: str
) -> None:
    first = play(AuditWriter(portal, "portal/one"), bakery.id)
    connection = database.connect(role, bakery.id)
    row = "INSERT INTO audit_entries VALUES ('portal/one', %s, %s, 'h', now(), %s, 'a', 'a', 'o', 'ok', 'b')"
    for sequence, previous in ((1, "0" * 64), (2, "0" * 64), (3, first.hash), (1, first.hash)):
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UniqueViolation)):
            connection.execute(row, (sequence, previous, bakery.id))
    for statement in ("UPDATE audit_writers SET sequence = 0", "DELETE FROM audit_writers"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)
    connection.execute(row, (2, first.hash, bakery.id))


def test_only_the_worker_erases_a_body_and_the_chain_still_holds(
    database: Any, portal: Catalogue, worker: Catalogue, bakery: Tenant
) -> None:
    writer = AuditWriter(portal, "portal/one")
    for _ in range(3):
        play(writer, bakery.id, purpose="klacht")
    for role in set(ROLES) - {"earwitness_worker"}:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.connect(role, bakery.id).execute("DELETE FROM audit_bodies")
    database.connect("earwitness_worker", bakery.id).execute("DELETE FROM audit_bodies WHERE sequence = 2")
    found = audit_entries.of_object(portal, bakery.id, "recording:1")
    assert [entry.body for entry in found] == [{"purpose": "klacht"}, None, {"purpose": "klacht"}]
    assert verify_chain(found).sequence == 3
    assert verify_log(worker)["portal/one"].sequence == 3


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE audit_entries SET actor = 'user:bob' WHERE sequence = 3", 3),
        ("DELETE FROM audit_entries WHERE sequence = 3", 3),
        ("DELETE FROM audit_entries WHERE sequence = 5", 5),
        ("UPDATE audit_entries SET at = at + interval '1 microsecond' WHERE sequence = 1", 1),
        ("UPDATE audit_writers SET sequence = 4", 4),
    ],
)
def test_a_superuser_who_switches_the_triggers_off_is_found_out(
    database: Any, portal: Catalogue, operator: Catalogue, bakery: Tenant, statement: str, position: int
) -> None:
    writer = AuditWriter(portal, "portal/one")
    for _ in range(5):
        play(writer, bakery.id)
    admin = database.connect()
    admin.execute("SET session_replication_role = replica")
    admin.execute("DELETE FROM audit_bodies")
    admin.execute(statement)
    with pytest.raises(ChainBroken) as broken:
        verify_log(operator)
    assert (broken.value.writer, broken.value.position) == ("portal/one", position)


def test_a_long_chain_is_read_page_by_page(
    monkeypatch: pytest.MonkeyPatch, portal: Catalogue, worker: Catalogue, bakery: Tenant
) -> None:
    monkeypatch.setattr(audit_entries, "PAGE_ROWS_MAX", 4)
    writer = AuditWriter(portal, "portal/one")
    for _ in range(9):
        play(writer, bakery.id)
    assert verify_log(worker)["portal/one"].sequence == 9
    assert len(audit_entries.of_object(portal, bakery.id, "recording:1")) == 4


def test_times_of_another_zone_are_written_in_utc(portal: Catalogue, bakery: Tenant) -> None:
    from datetime import timezone

    writer = AuditWriter(portal, "portal/one")
    with writer.transaction(bakery.id) as connection:
        at = NOW.astimezone(timezone(timedelta(hours=2)))
        entry = writer.append(connection, tenant_id=bakery.id, actor="a", action="play", object="o", at=at)
    assert entry.at.utcoffset() == timedelta(0)
    assert audit_entries.of_object(portal, bakery.id, "o") == [entry]
