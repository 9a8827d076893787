"""Preparing a database: roles without powers, tables as the program names them, twice as well as once."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from psycopg import sql
from sqlalchemy import create_engine, inspect

from archive.catalogue import migrate
from archive.catalogue.tables import INSTANCE_TABLES, metadata
from archive.errors import CatalogueUnavailable, Refused
from archive.model import Span, SpanKind, Tenant


def test_no_role_of_ours_is_a_superuser_or_passes_by_row_level_security(database: Any) -> None:
    rows = database.connect().execute(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin FROM pg_roles"
        " WHERE rolname LIKE 'earwitness%' ORDER BY rolname"
    )
    found = {name: powers for name, *powers in rows}
    assert set(found) == {migrate.OWNER, *migrate.ROLES}
    for role, (*powers, login) in found.items():
        assert powers == [False] * 4
        assert login == (role != migrate.OWNER)


def test_row_level_security_is_forced_on_every_table_with_a_tenant(database: Any) -> None:
    rows = database.connect().execute(
        "SELECT relname, relrowsecurity, relforcerowsecurity, relowner::regrole::text FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
    )
    found = {name: secured for name, *secured in rows}
    assert set(found) == set(metadata.tables)
    for name, (enabled, forced, owner) in found.items():
        assert owner == migrate.OWNER
        assert (enabled and forced) == (name not in INSTANCE_TABLES), name


def test_only_the_named_tables_belong_to_no_tenant() -> None:
    without = {name for name, table in metadata.tables.items() if "tenant_id" not in table.columns}
    assert without == INSTANCE_TABLES | {"tenants"}


def test_the_migrations_make_what_the_program_names(database: Any) -> None:
    engine = create_engine(database.url())
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                # One index is on an expression, which Core has no need to know.
                "include_name": lambda name, kind, _: (
                    name not in {"alembic_version", "tenants_broadworks_idx"}
                ),
            },
        )
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


def test_preparing_again_changes_nothing_and_keeps_rows(
    database: Any, bakery: Tenant, postgres_url: str
) -> None:
    migrate.prepare(postgres_url, {}, database=database.name)
    assert database.connect().execute("SELECT domain FROM tenants").fetchall() == [("bakery.example",)]


def test_a_password_of_a_role_that_is_not_ours_is_refused(postgres_url: str) -> None:
    with pytest.raises(Refused, match="earwitness_recorder"):
        migrate.prepare(postgres_url, {"postgres": "x"})


def test_a_role_that_became_a_superuser_stops_the_preparation(database: Any, postgres_url: str) -> None:
    admin = database.connect()
    admin.execute("ALTER ROLE earwitness_portal BYPASSRLS")
    try:
        with pytest.raises(Refused, match="ALTER ROLE earwitness_portal NOSUPERUSER NOBYPASSRLS"):
            migrate.prepare(postgres_url, {}, database=database.name)
    finally:
        admin.execute("ALTER ROLE earwitness_portal NOBYPASSRLS")


def test_a_role_of_ours_may_not_prepare_a_database(database: Any) -> None:
    with pytest.raises(Refused, match="may not create roles"):
        migrate.prepare(database.url(migrate.ROLES[3]), {}, database=database.name)


def test_a_server_that_is_away_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(CatalogueUnavailable):
        migrate.prepare(f"postgresql://postgres@/postgres?host={tmp_path}", {})


@pytest.mark.parametrize("role", ["earwitness_worker", "earwitness_portal"])
def test_worker_and_portal_reach_the_jobs(database: Any, role: str) -> None:
    connection = database.connect(role)
    connection.execute("SET search_path TO jobs")
    assert connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
    deferred = connection.execute(
        "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW('q', 'task', 0, NULL, NULL, '{}', NULL)"
        "::procrastinate_job_to_defer_v1])"
    ).fetchall()
    assert len(deferred) == 1
    fetched = connection.execute("SELECT id FROM procrastinate_jobs WHERE status = 'todo'").fetchall()
    assert len(fetched) == 1


@pytest.mark.parametrize("role", ["earwitness_recorder", "earwitness_operator"])
def test_other_roles_do_not_reach_the_jobs(database: Any, role: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.connect(role).execute("SELECT count(*) FROM jobs.procrastinate_jobs")


@pytest.mark.parametrize("role", migrate.ROLES)
def test_no_role_can_make_or_change_tables(database: Any, role: str) -> None:
    connection = database.connect(role)
    for statement in (
        "CREATE TABLE public.mine (id int)",
        "ALTER TABLE recordings NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE audit_entries DISABLE TRIGGER ALL",
        "DROP POLICY tenant ON recordings",
        "SET ROLE earwitness_owner",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_a_database_of_another_name_is_made(postgres_url: str, database: Any) -> None:
    name = f"{database.name}_other"
    admin = database.connect()
    migrate.prepare(postgres_url, {}, database=name)
    try:
        engine = create_engine(dataclasses.replace(database, name=name).url())
        assert "recordings" in inspect(engine).get_table_names()
        engine.dispose()
    finally:
        admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def test_what_was_allowed_before_rights_stays_allowed(postgres_url: str, database: Any) -> None:
    """The old switch becomes the right to download, and who is in a team has been since ever."""
    old = f"{database.name}_old"
    admin = database.connect()
    owner = sql.Identifier(migrate.OWNER)
    admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(old), owner))
    there = dataclasses.replace(database, name=old)
    try:
        _upgrade_to(there.url(), "0004")
        with there.connect() as connection:
            connection.execute("INSERT INTO tenants VALUES ('t', 'Bakery', 'bakery.example')")
            for login, downloads in (("anna", True), ("bram", False)):
                connection.execute(
                    "INSERT INTO users (id, tenant_id, login, role, access, downloads, mode)"
                    " VALUES (%s, 't', %s, 'user', 'own', %s, 'never')",
                    (login, login, downloads),
                )
            connection.execute("INSERT INTO teams VALUES ('sales', 't', 'Sales')")
            connection.execute("INSERT INTO team_members VALUES ('t', 'sales', 'anna', 'contributor')")
        migrate.prepare(postgres_url, {}, database=old)
        with there.connect() as connection:
            people = connection.execute("SELECT login, granted, denied FROM users ORDER BY login").fetchall()
            members = connection.execute("SELECT since, until FROM team_members").fetchall()
            forced = connection.execute(
                "SELECT relforcerowsecurity FROM pg_class WHERE relname = 'users'"
            ).fetchone()
        assert people == [("anna", ["download"], []), ("bram", [], [])]
        assert members == [(datetime(1970, 1, 1, tzinfo=UTC), None)]
        assert forced == (True,)
    finally:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(old)))


def test_of_two_subjects_of_one_account_the_first_stays(postgres_url: str, database: Any) -> None:
    """A database from before may have both, and which came later may be a stranger's."""
    old = f"{database.name}_linked"
    admin = database.connect()
    owner = sql.Identifier(migrate.OWNER)
    admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(old), owner))
    there = dataclasses.replace(database, name=old)
    try:
        _upgrade_to(there.url(), "0009")
        with there.connect() as connection:
            connection.execute(
                "INSERT INTO tenants (id, name, domain) VALUES ('t', 'Bakery', 'bakery.example')"
            )
            connection.execute(
                "INSERT INTO users (id, tenant_id, login, role, access, mode)"
                " VALUES ('anna', 't', 'anna', 'user', 'own', 'never')"
            )
            for subject, day in (("later", 2), ("first", 1)):
                connection.execute(
                    "INSERT INTO identities VALUES ('t', 'https://login.example', %s, 'anna', %s)",
                    (subject, datetime(2026, 11, day, tzinfo=UTC)),
                )
        migrate.prepare(postgres_url, {}, database=old)
        with there.connect() as connection:
            left = connection.execute("SELECT subject FROM identities").fetchall()
            forced = connection.execute(
                "SELECT relforcerowsecurity FROM pg_class WHERE relname = 'identities'"
            ).fetchone()
        assert left == [("first",)]
        assert forced == (True,)
    finally:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(old)))


def test_links_from_before_and_their_recordings_are_found_as_such(postgres_url: str, database: Any) -> None:
    """The owner of the tables names no tenant, and fills the documents of all of them."""
    old = f"{database.name}_shared"
    admin = database.connect()
    owner = sql.Identifier(migrate.OWNER)
    admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(old), owner))
    there = dataclasses.replace(database, name=old)
    now = datetime(2026, 11, 1, tzinfo=UTC)
    try:
        _upgrade_to(there.url(), "0040")
        with there.connect() as connection:
            # The recordings themselves are of no matter here.
            connection.execute("SET session_replication_role = replica")
            for recording in ("linked", "ended", "alone"):
                connection.execute(
                    "INSERT INTO recording_documents VALUES ('t', %s, %s, 'word')", (recording, now)
                )
            for recording, revoked_at in (("linked", None), ("ended", now)):
                connection.execute(
                    "INSERT INTO shares (id, tenant_id, recording_id, token_hash, user_id, title, from_ms,"
                    " to_ms, proof, made_at, ends_at, revoked_at)"
                    " VALUES (%(id)s, 't', %(id)s, %(id)s, 'anna', 'Offerte ' || %(id)s, 0, 1000, 'none', %(at)s, %(at)s,"
                    " %(revoked_at)s)",
                    {"id": recording, "at": now, "revoked_at": revoked_at},
                )
        migrate.prepare(postgres_url, {}, database=old)
        with there.connect() as connection:
            found = connection.execute(
                "SELECT recording_id FROM recording_documents WHERE document @@ $$'#has:share'$$::tsquery"
            ).fetchall()
            forced = connection.execute(
                "SELECT relforcerowsecurity FROM pg_class WHERE relname IN ('shares', 'recording_documents')"
            ).fetchall()
            titled = connection.execute(
                "SELECT id FROM shares WHERE document @@ 'fert:* & ended'::tsquery"
            ).fetchall()
        assert titled == [("ended",)]
        assert found == [("linked",)]
        assert forced == [(True,), (True,)]
    finally:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(old)))


def test_calls_from_before_are_found_by_their_long_silence(postgres_url: str, database: Any) -> None:
    """Of all customers, and none of whom somebody spoke."""
    old = f"{database.name}_silent"
    admin = database.connect()
    owner = sql.Identifier(migrate.OWNER)
    admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(old), owner))
    there = dataclasses.replace(database, name=old)
    try:
        _upgrade_to(there.url(), "0116")
        with there.connect() as connection:
            # What the words of a recording may be is of no matter here.
            connection.execute("SET session_replication_role = replica")
            checks = connection.execute(
                "SELECT conname FROM pg_constraint WHERE conrelid = 'recordings'::regclass AND contype = 'c'"
            ).fetchall()
            for (check,) in checks:
                connection.execute(
                    sql.SQL("ALTER TABLE recordings DROP CONSTRAINT {}").format(sql.Identifier(check))
                )
            for recording, tenant, silent_ms in (
                ("long", "t", 10_000),
                ("other", "u", 11_000),
                ("short", "t", 9_999),
            ):
                spans = [Span(SpanKind.SILENCE, channel, 0, silent_ms) for channel in ("a", "b")]
                _insert(
                    connection, "recordings", id=recording, tenant_id=tenant, duration_ms=20_000, spans=spans
                )
                _insert(
                    connection,
                    "recording_documents",
                    recording_id=recording,
                    tenant_id=tenant,
                    document="word",
                )
        migrate.prepare(postgres_url, {}, database=old)
        with there.connect() as connection:
            found = connection.execute(
                "SELECT recording_id FROM recording_documents"
                " WHERE document @@ $$'#has:silence' & word$$::tsquery ORDER BY recording_id"
            ).fetchall()
            forced = connection.execute(
                "SELECT relforcerowsecurity FROM pg_class WHERE relname IN ('recordings', 'recording_documents')"
            ).fetchall()
        assert found == [("long",), ("other",)]
        assert forced == [(True,), (True,)]
    finally:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(old)))


def _insert(connection: psycopg.Connection[Any], table: str, **values: Any) -> None:
    """Insert a row of which only some columns matter; the others are as empty as their types allow."""
    empty = {
        "text": "",
        "bytea": b"",
        "jsonb": "[]",
        "boolean": False,
        "integer": 0,
        "bigint": 0,
        "ARRAY": [],
    }
    needed = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_name = %s AND is_nullable = 'NO' AND column_default IS NULL",
        (table,),
    ).fetchall()
    row = {name: empty.get(kind, datetime(2026, 11, 1, tzinfo=UTC)) for name, kind in needed} | values
    if "spans" in row:
        row["spans"] = json.dumps([dataclasses.asdict(span) for span in row["spans"]])
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    connection.execute(sql.SQL(f"INSERT INTO {table} ({names}) VALUES ({marks})"), list(row.values()))


def _upgrade_to(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET ROLE {migrate.OWNER}")
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    engine.dispose()
