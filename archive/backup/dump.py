"""The database as a file and back, by the `pg_dump` and `pg_restore` of the embedded PostgreSQL.

Rules: the dump is of one moment, the one whose holdings are counted. Rows of calls under
way are not in it (`WITHOUT`): they tell of unkept calls, and recorders write them anew.
A password goes to the programs by their environment, never by the command line.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import make_url

from archive.catalogue.holdings import Holding, holdings, require_all_rows, schema_of
from archive.embedded.errors import EmbeddedServiceError
from archive.embedded.postgres import programs
from archive.errors import CatalogueUnavailable

WITHOUT = ("live_calls", "commands", "call_events")
CONNECT_TIMEOUT_S = 10
DUMP_S_MAX = 12 * 3600
"""A terabyte at the pace of one slow disk; what takes longer hangs."""


@dataclass(frozen=True)
class Dumped:
    """What stood in the database at the moment of the dump."""

    schema: str
    holdings: tuple[Holding, ...]


def dump(administrator_url: str, target: Path) -> Dumped:
    """Write the database into `target` and return what it holds at that moment.

    Raises CatalogueUnavailable, Refused without the rights to all rows, EmbeddedServiceError.
    """
    with connected(administrator_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        require_all_rows(connection)
        [snapshot] = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        found = Dumped(schema_of(connection), holdings(connection))
        options = [f"--exclude-table-data=public.{table}" for table in WITHOUT]
        target.touch(mode=0o600)
        _run("pg_dump", administrator_url, [f"--snapshot={snapshot}", *options, f"--file={target}"])
    return found


def restore(administrator_url: str, source: Path) -> None:
    """Put a dump into the empty database of the URL, whole or with EmbeddedServiceError."""
    _run("pg_restore", administrator_url, ["--exit-on-error", "--single-transaction", str(source)])


@contextmanager
def connected(administrator_url: str) -> Iterator[psycopg.Connection]:
    """Yield a connection of the administrator; raises CatalogueUnavailable."""
    try:
        connection = psycopg.connect(
            make_conninfo(**_arguments(administrator_url)), connect_timeout=CONNECT_TIMEOUT_S
        )
    except psycopg.OperationalError as error:
        raise CatalogueUnavailable("PostgreSQL does not answer its administrator; is it running?") from error
    with connection:
        yield connection


def _run(program: str, administrator_url: str, options: list[str]) -> None:
    arguments = _arguments(administrator_url)
    password = arguments.pop("password", "")
    where = make_conninfo(**arguments, connect_timeout=CONNECT_TIMEOUT_S)
    given = ["--format=custom", "--no-password", f"--dbname={where}", *options]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PGPASSWORD": password}
    if "HOME" in os.environ:
        environment["HOME"] = os.environ["HOME"]  # where libpq looks for certificates
    ended = subprocess.run(  # noqa: S603 - programs of the wheel, no shell
        [str(programs() / program), *given],
        check=False,
        capture_output=True,
        text=True,
        timeout=DUMP_S_MAX,
        env=environment,
        umask=0o077,
    )
    if ended.returncode != 0:
        # Only the first line: details hold values of rows.
        said = (ended.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise EmbeddedServiceError(f"The database was not written or restored: {said[:300]}")


def _arguments(administrator_url: str) -> dict[str, str]:
    url = make_url(administrator_url).set(drivername="postgresql+psycopg")
    arguments = url.get_dialect()().create_connect_args(url)[1]
    return {name: str(value) for name, value in arguments.items() if name != "context"}
