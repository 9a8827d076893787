"""Prepares a PostgreSQL: the database, its roles, and the tables by alembic.

One role owns everything and can't log in; four log in, one a kind of process. None
is a superuser and none passes by row-level security, which a superuser would. Doing
it twice, or from two machines at once, changes nothing.

Rules: runs as an administrator of the server, never as a role of ours. Not here:
starting a server (`archive.embedded.postgres`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import create_engine, make_url

from archive.errors import CatalogueUnavailable, Refused

DATABASE = "earwitness"
OWNER = "earwitness_owner"
ROLES = ("earwitness_recorder", "earwitness_portal", "earwitness_worker", "earwitness_operator")

LOCK_NUMBER = 0x0EA2_717E_5500
"""Any fixed number: two migrations of ours at the same time wait for each other."""

CONNECT_TIMEOUT_S = 10


def prepare(
    admin_url: str, passwords: Mapping[str, str], database: str = DATABASE, *, tables: bool = True
) -> None:
    """Bring roles and tables of `database` on the server of `admin_url` to this release.

    `passwords` gives the passwords of the roles in `ROLES`; a role without one keeps
    what it has. Without `tables` the roles and an empty database are made, for a dump
    to be restored into. Raises CatalogueUnavailable, and Refused for a role that is not ours or
    an administrator without the rights.
    """
    unknown = set(passwords) - set(ROLES)
    if unknown:
        raise Refused(f"There are no database roles {sorted(unknown)}; the roles are {', '.join(ROLES)}.")
    url = make_url(admin_url).set(drivername="postgresql+psycopg")
    arguments = url.get_dialect()().create_connect_args(url)[1]
    try:
        with psycopg.connect(**arguments, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (LOCK_NUMBER,))
            _make_roles(connection, passwords)
            _make_database(connection, database)
            # The lock is held by this connection until every migration is done.
            if tables:
                _upgrade(url.set(database=database).render_as_string(hide_password=False))
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(
            "This PostgreSQL administrator may not create roles and databases; use one that may."
        ) from error
    except psycopg.OperationalError as error:
        raise CatalogueUnavailable("PostgreSQL does not answer; is it running?") from error


def _make_roles(connection: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    _make_role(connection, OWNER, "NOLOGIN")
    connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(OWNER)))
    for role in ROLES:
        _make_role(connection, role, "LOGIN")
        if role in passwords:
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(role), sql.Literal(passwords[role])))


def _make_role(connection: psycopg.Connection, role: str, login: LiteralString) -> None:
    known = connection.execute(
        "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s", (role,)
    ).fetchone()
    if known is None:
        limits = sql.SQL(login + " NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION")
        connection.execute(sql.SQL("CREATE ROLE {} WITH {}").format(sql.Identifier(role), limits))
    elif known[0]:
        raise Refused(
            f"The database role {role} is a superuser or passes by row-level security, so that tenants "
            f"would not be kept apart; run ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS first."
        )


def _make_database(connection: psycopg.Connection, database: str) -> None:
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone() is None:
        statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'")
        connection.execute(statement.format(sql.Identifier(database), sql.Identifier(OWNER)))


def _upgrade(url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = create_engine(url, hide_parameters=True)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"SET ROLE {OWNER}")
            connection.commit()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    finally:
        engine.dispose()
