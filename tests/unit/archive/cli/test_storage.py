"""`storage rebuild-catalogue`, and installing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from archive.store.s3 import ObjectStore
from keys.local_keyring import LocalKeyring


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def environment(tmp_path: Path, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set what a role needs beside the database; returns the folder of the keys."""
    settings = {
        "S3_ENDPOINT": s3_endpoint,
        "S3_ACCESS_KEY": "a",
        "S3_SECRET_KEY": "s",
        "KEYRING": f"file:{tmp_path / 'keyring'}",
        "KEYRING_PASSPHRASE": "passphrase",
        "KEY_STORE": f"dir:{tmp_path / 'keys'}",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"EARWITNESS_{name}", value)
    return tmp_path


def test_rebuilding_from_an_empty_bucket_finds_nothing_and_is_logged(
    run: Callable[..., str], data: Callable[..., Any], environment: Path, s3_endpoint: str
) -> None:
    """The walk over the bucket itself is tested with `archive.rebuild`."""
    LocalKeyring.create(environment / "keyring", b"passphrase")
    (environment / "keys").mkdir()
    store = ObjectStore(s3_endpoint, "earwitness", "a", "s")
    store.ensure_bucket()
    store.close()
    assert data("storage", "rebuild-catalogue") == {"recordings": 0, "destroyed since": 0}
    assert data("audit", "verify")[0]["entries"] == 1


def test_installing_makes_database_bucket_and_keys_once(
    run: Callable[..., str],
    environment: Path,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """What `up` does by itself, for roles that run separately."""
    monkeypatch.setenv("EARWITNESS_DATABASE_URL", postgres_url)
    monkeypatch.setenv("EARWITNESS_S3_BUCKET", "installed")
    password = tmp_path / "secrets" / "role-password"
    password.parent.mkdir()
    password.write_text("earwitness-test-password\n")
    # The roles of the test server keep the passwords its fixtures know.
    prepared: list[dict[str, str]] = []
    monkeypatch.setattr("archive.cli.install.prepare", lambda url, passwords: prepared.append(passwords))
    for _ in range(2):
        told = run("install", "--role-password-file", str(password))
        assert told.splitlines() == ["database: ready", "bucket: ready", "keys: ready"]
    assert set(prepared[0].values()) == {"earwitness-test-password"}
    assert LocalKeyring.open(environment / "keyring", b"passphrase")
    assert (environment / "keys").is_dir()


def test_a_missing_role_password_is_made_and_an_empty_one_refused(
    run: Callable[..., str], environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nobody runs with an empty one."""
    monkeypatch.setattr("archive.cli.install.prepare", lambda url, passwords: None)
    password = tmp_path / "made" / "password"
    run("install", "--role-password-file", str(password))
    assert len(password.read_text()) > 20
    assert password.stat().st_mode & 0o777 == 0o600
    password.write_text("")
    assert "does not hold a password" in run("install", "--role-password-file", str(password), code=1)


def test_a_bucket_that_does_not_lock_is_not_called_worm(
    run: Callable[..., str], environment: Path, s3_endpoint: str, database: Any
) -> None:
    """Exit 1, each probe with what was found, and an entry of the log; custody is told apart."""
    store = ObjectStore(s3_endpoint, "earwitness", "a", "s")
    store.ensure_bucket()
    store.close()
    told = run("storage", "verify-worm", code=1)
    assert "NOT PROVED: this bucket is not WORM" in told
    assert "a lock under COMPLIANCE was shortened" in told
    assert "no: the store is on this machine" in told
    told = run("storage", "verify-worm", "--json", code=1)
    assert '"independent custody"' in told
    rows = database.connect().execute("SELECT action, result, object FROM audit_entries").fetchall()
    assert set(rows) == {("storage.verified", "failed", "bucket:earwitness")}
    (proof,) = database.connect().execute("SELECT place, is_proved, faults FROM worm_proofs").fetchall()
    assert proof[:2] == ("localhost/earwitness", False)
    assert any(fault.startswith("minio shorten: ") for fault in proof[2])


def test_custody_is_never_said_to_be_more_than_is_known() -> None:
    from archive.cli.worm import ELSEWHERE, ON_THIS_MACHINE, custody_of
    from archive.settings import Settings

    assert custody_of(Settings(s3_endpoint="http://127.0.0.1:8333")) == ON_THIS_MACHINE
    assert (
        custody_of(Settings(s3_endpoint="https://s3.example", s3_sync_dir=Path("/srv/s3"))) == ON_THIS_MACHINE
    )
    assert custody_of(Settings(s3_endpoint="https://s3.example")) == ELSEWHERE
