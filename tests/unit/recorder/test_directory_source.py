"""A recorder knows whom to record while the database is away, from its own sealed copy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archive.catalogue.engine import Catalogue
from archive.catalogue.snapshot import Directory
from archive.errors import CatalogueUnavailable
from archive.model import Peer, PeerId, Tenant, TenantId, User, UserId
from recorder import directory_source
from recorder.directory_source import DirectorySource

KEY = bytes(range(32))
TENANT, OTHER = Tenant(TenantId("t1"), "One", "one.example"), Tenant(TenantId("t2"), "Two", "two.example")
PEER = Peer(PeerId("p1"), "switch", ("192.0.2.0/24",), TENANT.id)
USER = User(UserId("u1"), TENANT.id, "anna", ("+31201234501",))
KNOWN = Directory((TENANT,), (PEER,), (USER,))


class Database:
    """Stands in for the catalogue: says what it holds, or that it is away."""

    def __init__(self) -> None:
        self.directory: Directory | None = KNOWN

    def load(self, _: Catalogue) -> Directory:
        if self.directory is None:
            raise CatalogueUnavailable("PostgreSQL does not answer.")
        return self.directory


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database()
    monkeypatch.setattr(directory_source, "load_directory", made.load)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "directory.sealed"


def source(path: Path, key: bytes = KEY, *, trust_loopback: bool = False) -> DirectorySource:
    # Nothing is connected before a statement, and the stand-in makes none.
    catalogue = Catalogue("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    return DirectorySource(catalogue, path, key, trust_loopback=trust_loopback)


def test_what_the_database_said_last_is_known_after_a_restart_without_it(
    database: Database, path: Path
) -> None:
    """The copy is the whole directory."""
    assert source(path).load() == KNOWN
    database.directory = None
    assert source(path).remembered() == KNOWN


def test_a_database_that_is_away_is_said_and_the_copy_stays(database: Database, path: Path) -> None:
    """The caller goes on with what it has."""
    source(path).load()
    database.directory = None
    with pytest.raises(CatalogueUnavailable):
        source(path).load()
    assert source(path).remembered() == KNOWN


def test_a_change_replaces_the_copy(database: Database, path: Path) -> None:
    """The newest one counts."""
    source(path).load()
    database.directory = Directory((TENANT, OTHER), (PEER,))
    source(path).load()
    assert source(path).remembered() == database.directory


def test_the_copy_is_sealed_and_for_us_alone(database: Database, path: Path) -> None:
    """It holds the telephone numbers of everybody who is recorded."""
    source(path).load()
    content = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(word.encode() in content for word in ("31201234501", "anna", "one.example"))
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "another key", "a directory"])
def test_a_copy_that_can_t_be_read_is_none(database: Database, path: Path, damage: str) -> None:
    """A recorder that knows nobody asks the database; it never guesses and never stops."""
    source(path).load()
    content = path.read_bytes()
    path.unlink()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(content[:-1])
        case "flipped":
            path.write_bytes(content[:20] + bytes([content[20] ^ 1]) + content[21:])
        case "another key":
            path.write_bytes(content)
        case "a directory":
            path.mkdir()
        case _:
            pass
    key = bytes(32) if damage == "another key" else KEY
    assert source(path, key).remembered() is None


def test_a_copy_of_another_release_is_none(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it meant is not guessed."""
    with monkeypatch.context() as patch:
        patch.setattr(Directory, "to_json", lambda _: b'{"version": 99}')
        source(path).load()
    assert source(path).remembered() is None


def test_a_crash_while_the_copy_is_written_leaves_the_last_one(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is replaced as a whole; the next load does not stumble over what was left."""
    source(path).load()
    database.directory = Directory((OTHER,))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _power_cut)
        with pytest.raises(KeyboardInterrupt):
            source(path).load()
    assert source(path).remembered() == KNOWN
    source(path).load()
    assert source(path).remembered() == database.directory
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1"])
def test_a_machine_trusts_itself_while_no_peer_is_defined(
    database: Database, path: Path, address: str
) -> None:
    """For a first try: calls of this machine are for the one tenant there is."""
    database.directory = Directory((TENANT,), (), (USER,))
    loaded = source(path, trust_loopback=True).load()
    peer = loaded.peer_of(address)
    assert peer is not None
    assert peer.tenant_id == TENANT.id
    assert loaded.peer_of("192.0.2.1") is None
    assert source(path, trust_loopback=True).remembered() == loaded


def test_the_loopback_is_bound_to_no_tenant_where_there_are_two(database: Database, path: Path) -> None:
    """Which one a call is for, the call itself must say."""
    database.directory = Directory((TENANT, OTHER))
    peer = source(path, trust_loopback=True).load().peer_of("127.0.0.1")
    assert peer is not None
    assert peer.tenant_id is None


def test_the_first_peer_that_is_defined_ends_the_trust_in_the_loopback(
    database: Database, path: Path
) -> None:
    """And without the setting there never was any."""
    assert source(path, trust_loopback=True).load().peer_of("127.0.0.1") is None
    database.directory = Directory((TENANT,))
    assert source(path).load().peer_of("127.0.0.1") is None


def test_the_trust_is_not_part_of_the_copy(database: Database, path: Path) -> None:
    """A start with other settings decides anew."""
    database.directory = Directory((TENANT,))
    source(path, trust_loopback=True).load()
    assert source(path).remembered() == database.directory


def _power_cut(_: int) -> None:
    raise KeyboardInterrupt
