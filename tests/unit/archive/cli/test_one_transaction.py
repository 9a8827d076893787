"""What the operator's commands change is durable together with its audit entry, or not done at all."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from archive.audit import AuditWriter
from archive.catalogue import identities, second_factors
from archive.catalogue.engine import Catalogue
from archive.errors import CatalogueUnavailable
from keys.local_keyring import LocalKeyring

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
ANNA, OF = "anna@bakery.example", ("--tenant", "bakery.example")
COMMANDS = (
    ("tenant", "add", "Mill", "--domain", "mill.example"),
    ("tenant", "policy", "bakery.example", "--keep-grace", "4"),
    ("peer", "add", "gate", "--address", "192.0.2.7", *OF),
    ("api-client", "add", "crm", *OF, "--scope", "calls:read"),
    ("user", "add", "ben@bakery.example"),
    ("user", "set", ANNA, "--role", "administrator"),
    ("user", "set", ANNA, "--password-stdin"),
    ("user", "invite", ANNA, "--email", "anna@mail.example", "--print-link"),
    ("user", "reset-second-factor", ANNA),
    ("user", "unlink", ANNA),
    ("user", "leave", ANNA),
    ("team", "add", "Shop", *OF),
    ("team", "member", "Sales", ANNA, "--as", "listener"),
    ("sign-in", "set", "bakery.example", "--issuer", "https://login.example", "--client-id", "ew"),
    ("do-not-record", "add", "+31201112222", *OF, "--reason", "doctor"),
    ("exempt", "add", "116117", *OF),
)
"""Each changes something that only its entry in the log tells of later."""


@pytest.fixture
def bakery(
    run: Callable[..., str], portal: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A customer with a person who signs in by everything there is, and a team."""
    LocalKeyring.create(tmp_path / "keyring", b"passphrase")
    monkeypatch.setenv("EARWITNESS_KEYRING", f"file:{tmp_path / 'keyring'}")
    monkeypatch.setenv("EARWITNESS_KEYRING_PASSPHRASE", "passphrase")
    monkeypatch.setenv("EARWITNESS_PORTAL_URL", "https://portal.example/")
    run("tenant", "add", "Bakery", "--domain", "bakery.example")
    run("user", "add", ANNA)
    run("team", "add", "Sales", *OF)
    account = identities.find(portal, ANNA)
    assert account is not None
    with portal.transaction(account.tenant_id) as connection:
        second_factors.set_totp(connection, LocalKeyring(b"k" * 32), account, "A" * 32, 1, now=NOW)
        identities.link(connection, account, "https://login.example", "one", now=NOW)


def everything(database: Any) -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    connection = database.connect()
    named = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {
        name: sorted(map(str, connection.execute(sql.SQL("TABLE {}").format(sql.Identifier(name)))))
        for (name,) in named
    }


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("bakery")
def test_without_the_log_a_command_changes_nothing(
    run: Callable[..., str], database: Any, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    before = everything(database)

    def away(*given: object, **named: object) -> None:
        raise CatalogueUnavailable("PostgreSQL does not answer.")

    def say() -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"correct horse battery\n")))

    with monkeypatch.context() as patched:
        patched.setattr(AuditWriter, "append", away)
        say()
        assert "does not answer" in run(*command, code=1)
    assert everything(database) == before
    say()
    run(*command)
    assert everything(database) != before
