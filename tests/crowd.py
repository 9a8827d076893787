"""A database of its own with a tenant of many recordings, for tests of the plans PostgreSQL makes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from sqlalchemy import URL, make_url

from archive.catalogue import directory, migrate
from archive.catalogue.engine import Catalogue
from archive.model import TenantId
from tests.generated_recordings import generate

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
TEAM = "team-1"


@dataclass(frozen=True)
class Crowd:
    """A tenant of many recordings, one with none, and how they are asked for."""

    tenant_id: TenantId
    other_id: TenantId
    url: URL
    portal: Catalogue

    def connect(self, role: str | None = None, tenant_id: str = "") -> psycopg.Connection[Any]:
        """Open a connection as a superuser, or as a role of the database to a tenant."""
        url = self.url if role is None else self.url.set(username=role, password=f"{role}-s3cret")
        arguments = url.get_dialect()().create_connect_args(url)[1]
        connection = psycopg.connect(**arguments, autocommit=True)
        connection.execute("SELECT set_config('app.tenant_id', %s, false)", (tenant_id,))
        return connection


@contextmanager
def crowded(postgres_url: str, database: str, count: int) -> Iterator[Crowd]:
    """Make a database with `count` recordings and a team of twelve people, and drop it afterwards."""
    passwords = {role: f"{role}-s3cret" for role in migrate.ROLES}
    migrate.prepare(postgres_url, passwords, database)
    url = make_url(postgres_url).set(database=database)
    portal, operator = (
        Catalogue(url.set(username=role, password=passwords[role]).render_as_string(hide_password=False))
        for role in ("earwitness_portal", "earwitness_operator")
    )
    try:
        tenant, other = (
            directory.add_tenant(operator, name, f"{name}.example", now=NOW).id
            for name in ("bakery", "florist")
        )
        made = Crowd(tenant, other, url, portal)
        with made.connect() as admin:
            generate(admin, tenant, count)
            add_team(admin, tenant)
        yield made
    finally:
        portal.close()
        operator.close()
        server = make_url(postgres_url)
        with psycopg.connect(
            **server.get_dialect()().create_connect_args(server)[1], autocommit=True
        ) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)".encode())


def add_team(admin: psycopg.Connection[Any], tenant_id: str) -> None:
    """Make a team of the twelve generated people who call most, since ever."""
    admin.execute("INSERT INTO teams (id, tenant_id, name) VALUES (%s, %s, 'Balie')", (TEAM, tenant_id))
    admin.execute(
        "INSERT INTO team_members (tenant_id, team_id, user_id, capacity, since)"
        " SELECT tenant_id, %s, id, 'contributor', 'epoch' FROM users WHERE id < 'user-0012' AND tenant_id = %s",
        (TEAM, tenant_id),
    )
    admin.execute("ANALYZE team_members, teams")
