"""The embedded PostgreSQL: no TCP, no trust, and it survives being killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from archive.embedded.errors import WrongMajorVersion
from archive.embedded.postgres import SOCKET_PATH_BYTES_MAX, EmbeddedPostgres, socket_directory


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    # Not below pytest's own folder: another run that starts closes that one to PostgreSQL's user.
    with tempfile.TemporaryDirectory(prefix="earwitness-postgres-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        yield server
        server.kill()


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True)


def test_a_fresh_server_answers_its_superuser_and_nobody_without_the_password(
    server: EmbeddedPostgres,
) -> None:
    """`trust` would let every process of the machine read every tenant."""
    url = server.start()
    with connect(url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        assert connection.execute("SHOW data_checksums").fetchone() == ("on",)
    password = (server.directory / "superuser-password").read_text()
    with pytest.raises(psycopg.OperationalError, match="password"):
        connect(url.replace(password, "guessed"))
    with pytest.raises(psycopg.OperationalError, match="password"):
        connect(url.replace(f":{password}", ""))
    assert (server.directory / "superuser-password").stat().st_mode & 0o777 == 0o600


def test_it_opens_no_network_port(server: EmbeddedPostgres) -> None:
    """The socket file is the only door, and it is in a folder others can't enter."""
    server.start()
    connections = psutil.Process(server.process_id).net_connections(kind="inet")
    assert [c for c in connections if c.status == psutil.CONN_LISTEN] == []
    assert server.socket_dir.stat().st_mode & 0o077 == 0


def test_data_survives_kill_9_and_the_next_start_needs_no_hand(server: EmbeddedPostgres) -> None:
    """The whole tree is killed, backends included, while a transaction is open."""
    url = server.start()
    open_transaction = connect(url)
    try:
        open_transaction.execute("CREATE TABLE kept (n integer)")
        open_transaction.execute("INSERT INTO kept VALUES (42)")
        open_transaction.execute("BEGIN")
        open_transaction.execute("INSERT INTO kept VALUES (43)")
        process = psutil.Process(server.process_id)
        for victim in [process, *process.children(recursive=True)]:
            victim.send_signal(signal.SIGKILL)
    finally:
        open_transaction.close()
    assert (server.data / "postmaster.pid").exists()
    assert server.start() == url
    with connect(url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(42,)]


def test_a_lock_file_naming_a_living_stranger_does_not_stop_the_start(server: EmbeddedPostgres) -> None:
    """Process numbers are used again, in containers within seconds."""
    server.start()
    server.stop()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        (server.data / "postmaster.pid").write_text(f"{stranger.pid}\n{server.data}\n1\n5432\n\n\n")
        server.start()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_that_outlived_its_supervisor_is_ended_first(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    """Two servers on one data directory would destroy it."""
    server.start()
    orphan = server.process_id
    second = EmbeddedPostgres(server.directory)
    try:
        second.start()
        assert second.process_id != orphan
        assert not server.running()
    finally:
        second.kill()


def test_data_of_another_major_version_is_refused_with_the_way_to_upgrade(server: EmbeddedPostgres) -> None:
    """Nothing is touched, and the operator learns what to do."""
    server.start()
    server.stop()
    (server.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(WrongMajorVersion, match=r"PostgreSQL 17.*database upgrade.*docs/operators\.md"):
        server.start()


def test_an_initialisation_that_was_cut_off_is_done_again(server: EmbeddedPostgres) -> None:
    """A kill during the first start leaves no half-made data directory."""
    (server.directory / "data.unfinished").mkdir(parents=True)
    (server.directory / "data.unfinished" / "PG_VERSION").write_text("18")
    server.start()
    assert not (server.directory / "data.unfinished").exists()


def test_a_long_path_still_gets_a_socket(tmp_path: Path) -> None:
    """A Unix socket's path holds 107 bytes."""
    short = tmp_path / "s"
    short.mkdir()
    assert len(str(socket_directory(short) / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_BYTES_MAX
    long = tmp_path / ("d" * 120)
    long.mkdir()
    found = socket_directory(long)
    try:
        assert len(str(found / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_BYTES_MAX
        assert socket_directory(long) == found
    finally:
        found.rmdir()


def test_as_root_the_server_runs_as_an_account_of_its_own(server: EmbeddedPostgres) -> None:
    """PostgreSQL refuses root; as an ordinary user it runs as that user."""
    server.start()
    runs_as = psutil.Process(server.process_id).uids().effective
    assert runs_as != 0
    assert (runs_as == os.geteuid()) == (os.geteuid() != 0)
