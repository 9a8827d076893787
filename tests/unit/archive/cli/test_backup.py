"""`backup` and `drill` as an operator of separate roles uses them, without a bucket that is reached."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from archive.backup import making
from archive.backup.folder import TERM, Times, checked, remove_overdue
from archive.catalogue import retention_clocks
from archive.catalogue.retention_clocks import GoodTime
from archive.cli import backup as cli_backup
from archive.clock import SystemClock
from archive.errors import CatalogueUnavailable
from keys.local_keyring import LocalKeyring
from retention.timekeeper import machine_uptime


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "key").write_bytes(b"sealed")
    monkeypatch.setenv("EARWITNESS_KEY_STORE", f"dir:{folder}")
    monkeypatch.setenv("EARWITNESS_JOURNAL_DIR", str(tmp_path / "journal"))
    LocalKeyring.create(tmp_path / "keyring", b"a passphrase")
    monkeypatch.setenv("EARWITNESS_KEYRING", f"file:{tmp_path / 'keyring'}")
    monkeypatch.setenv("EARWITNESS_KEYRING_PASSPHRASE", "a passphrase")
    return folder


@pytest.fixture
def administrator(tmp_path: Path, postgres_url: str) -> str:
    path = tmp_path / "administrator"
    path.write_text(postgres_url + "\n")
    return str(path)


def test_a_backup_is_made_by_an_administrator_and_logged(
    data: Callable[..., Any], keys: Path, administrator: str, tmp_path: Path, database: Any
) -> None:
    told = data("backup", "--out", str(tmp_path / "out"), "--database-admin-file", administrator)
    folder = Path(told["folder"])
    assert (folder / "keys" / "key").read_bytes() == b"sealed"
    assert (told["recordings"], told["keys"], told["destroyed keys"]) == (0, 1, 0)
    statement = "SELECT action, object FROM audit_entries ORDER BY at, action"
    assert database.connect().execute(statement).fetchall() == [
        ("backup.begun", "bucket:earwitness"),
        ("backup.made", f"backup:{folder.name}"),
    ]
    bodies = database.connect().execute("SELECT body::text FROM audit_bodies").fetchall()
    assert any(told["manifest sha256"] in body for (body,) in bodies)


def test_an_overdue_backup_is_destroyed_by_the_next_and_logged(
    run: Callable[..., str],
    keys: Path,
    administrator: str,
    tmp_path: Path,
    database: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = ("backup", "--out", str(tmp_path / "out"), "--database-admin-file", administrator)
    run(*arguments)
    [first] = (tmp_path / "out").iterdir()
    later = SystemClock().now() + TERM + timedelta(seconds=1)
    monkeypatch.setattr(SystemClock, "now", lambda self: later)
    run(*arguments)
    [second] = (tmp_path / "out").iterdir()
    assert second != first
    rows = database.connect().execute("SELECT object FROM audit_entries WHERE action = 'backup.destroyed'")
    assert rows.fetchall() == [(f"backup:{first.name}",)]
    refusal = run("drill", "--bucket-only", "--backup", str(first), code=1)
    assert refusal.count("\n") == 1


def test_an_overdue_backup_goes_only_when_the_next_one_is_whole(
    run: Callable[..., str], keys: Path, administrator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that runs ahead all are overdue: at no moment, and after no failure, is there none."""
    out = tmp_path / "out"
    arguments = ("backup", "--out", str(out), "--database-admin-file", administrator)
    run(*arguments)
    [first] = out.iterdir()
    later = SystemClock().now() + TERM + timedelta(days=3000)
    monkeypatch.setattr(SystemClock, "now", lambda self: later)

    def broken(*given: object) -> None:
        raise CatalogueUnavailable("PostgreSQL went away in the middle of it.")

    with monkeypatch.context() as patch:
        patch.setattr(making, "dump", broken)
        run(*arguments, code=1)
    assert list(out.iterdir()) == [first], "what was begun is gone, what there was is whole"
    checked(first, later - TERM - timedelta(days=2999))
    whole_then: list[str] = []

    def looked_at(folder: Path, times: Times) -> object:
        others = [each for each in folder.iterdir() if each != first]
        whole_then.extend(each.name for each in others if checked(each, times.now))
        return remove_overdue(folder, times)

    monkeypatch.setattr(cli_backup, "remove_overdue", looked_at)
    run(*arguments)
    assert [each.name for each in out.iterdir()] == whole_then
    assert not first.exists()


@pytest.mark.parametrize("moves_at", ["before", "while it is made"])
def test_by_a_clock_that_is_not_believed_none_is_made_and_none_destroyed(
    run: Callable[..., str],
    keys: Path,
    administrator: str,
    tmp_path: Path,
    database: Any,
    operator: Any,
    monkeypatch: pytest.MonkeyPatch,
    moves_at: str,
) -> None:
    """Eight years ahead all of them would be overdue, and the new one could never be restored."""
    arguments = ("backup", "--out", str(tmp_path / "out"), "--database-admin-file", administrator)
    run(*arguments)
    [first] = (tmp_path / "out").iterdir()
    up, right = machine_uptime(), SystemClock().now()
    retention_clocks.keep(operator, GoodTime("worker/one", right, up.boot_id, up.seconds))
    later = right + timedelta(days=8 * 365)
    if moves_at == "before":
        monkeypatch.setattr(SystemClock, "now", lambda self: later)
    else:
        moves = cli_backup.make_backup

        def made(*given: Any) -> Any:
            monkeypatch.setattr(SystemClock, "now", lambda self: later)
            return moves(*given)

        time.sleep(1)  # a folder is named by its second
        monkeypatch.setattr(cli_backup, "make_backup", made)
    told = run(*arguments, code=1)
    assert "did not go by" in told
    assert first.exists()
    assert len(list((tmp_path / "out").iterdir())) == (1 if moves_at == "before" else 2)
    rows = database.connect().execute("SELECT object FROM audit_entries WHERE action = 'backup.destroyed'")
    assert rows.fetchall() == []


def test_without_an_administrator_no_backup_is_begun(
    run: Callable[..., str], keys: Path, tmp_path: Path
) -> None:
    told = run("backup", "--out", str(tmp_path / "out"), code=1)
    assert "--database-admin-file" in told
    assert not (tmp_path / "out").exists()
    wrong = tmp_path / "wrong"
    wrong.write_text("no address")
    told = run("backup", "--out", str(tmp_path / "out"), "--database-admin-file", str(wrong), code=1)
    assert "does not hold the URL" in told


def test_a_backup_among_the_keys_is_refused(run: Callable[..., str], keys: Path, administrator: str) -> None:
    told = run("backup", "--out", str(keys / "out"), "--database-admin-file", administrator, code=1)
    assert "lies in the key store" in told


def test_a_drill_says_what_it_is_of(run: Callable[..., str], keys: Path) -> None:
    assert "--bucket-only" in run("drill", code=2)
    for wrong in ("0", "-1", "many"):
        assert "--sample" in run("drill", "--bucket-only", "--sample", wrong, code=2)
