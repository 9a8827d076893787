"""What the tests of all packages share: a PostgreSQL for the session, and passwords that cost little."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest
from argon2 import PasswordHasher
from psycopg import sql
from sqlalchemy import make_url

from archive.catalogue import migrate, passwords
from archive.catalogue.engine import TIMEOUT_S, Catalogue
from archive.embedded.postgres import EmbeddedPostgres

PASSWORDS = {role: f"{role}-s3cret" for role in migrate.ROLES}
ADMINISTRATOR = ""
"""The role of `lasting` that may do anything, which no role of ours may."""

PATIENCE_S = 60.0
"""To empty everything may take as long as a busy machine takes."""


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Start the embedded server, prepare the database, and stop the server."""
    # Not below pytest's own folder: another run that starts closes that one to PostgreSQL's user.
    with tempfile.TemporaryDirectory(prefix="earwitness-postgres-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            url = server.start()
            _forget_durability(url)
            migrate.prepare(url, PASSWORDS)
            yield url
        finally:
            server.stop()


def _forget_durability(url: str) -> None:
    """Let the server skip syncing: many tests write, and none of them cuts the power."""
    made = make_url(url)
    with psycopg.connect(**made.get_dialect()().create_connect_args(made)[1], autocommit=True) as admin:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            admin.execute(sql.SQL("ALTER SYSTEM SET {} TO off").format(sql.Identifier(setting)))
        admin.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def lasting(postgres_url: str) -> Iterator[Callable[[str], Catalogue]]:
    """Return what gives the catalogue of a role: to connect and to compile anew took longer than most tests."""

    @cache
    def of_role(role: str) -> Catalogue:
        url = make_url(postgres_url).set(database=migrate.DATABASE)
        timeout_s = PATIENCE_S
        if role != ADMINISTRATOR:
            url, timeout_s = url.set(username=role, password=PASSWORDS[role]), TIMEOUT_S
        made.append(Catalogue(url.render_as_string(hide_password=False), timeout_s=timeout_s))
        return made[-1]

    made: list[Catalogue] = []
    yield of_role
    for catalogue in made:
        catalogue.close()


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Let passwords cost next to nothing: a real hash is 64 MiB and three rounds, and these tests make hundreds.

    What a password costs elsewhere is asked of a process of its own (`test_passwords`).
    """
    cheap = PasswordHasher(time_cost=1, memory_cost=512, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", cheap)
        patch.setattr(passwords, "_NOBODYS_HASH", cheap.hash("nobody has this one"))
        yield
