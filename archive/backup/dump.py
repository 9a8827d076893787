"""The database in pieces and back, by the `pg_dump` and `pg_restore` of the embedded PostgreSQL.

Rules: the dump is of one moment, the one whose holdings are counted. It goes through pipes and
stands on no disk here; who takes it seals it (`archive.backup.sealed`). Rows of calls under
way are not in it (`WITHOUT`): they tell of unkept calls, and recorders write them anew.
A password goes to the programs by their environment, never by the command line.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TypeVar

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

PIECE_BYTES = 1 << 18
SAID_BYTES_MAX = 4096  # of a program that failed; its first line is told

Taken = TypeVar("Taken")


@dataclass(frozen=True)
class Dumped:
    """What stood in the database at the moment of the dump."""

    schema: str
    holdings: tuple[Holding, ...]


def dump(administrator_url: str, take: Callable[[Iterator[bytes]], Taken]) -> tuple[Dumped, Taken]:
    """Hand the database in pieces to `take`; return what it holds at that moment, and what `take` returned.

    Raises CatalogueUnavailable, Refused without the rights to all rows, EmbeddedServiceError.
    """
    with connected(administrator_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        require_all_rows(connection)
        [snapshot] = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        found = Dumped(schema_of(connection), holdings(connection))
        options = [f"--exclude-table-data=public.{table}" for table in WITHOUT]
        with _running("pg_dump", administrator_url, [f"--snapshot={snapshot}", *options]) as program:
            taken = take(_pieces(program.stdout))
    return found, taken


def restore(administrator_url: str, pieces: Iterable[bytes]) -> None:
    """Put a dump that comes in pieces into the empty database of the URL, whole or not at all.

    Raises EmbeddedServiceError, and what `pieces` raises.
    """
    with _running("pg_restore", administrator_url, ["--exit-on-error", "--single-transaction"]) as program:
        stream = _there(program.stdin)
        with suppress(BrokenPipeError):  # it says why at its end
            for piece in pieces:
                stream.write(piece)
            stream.close()


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


@contextmanager
def _running(program: str, administrator_url: str, options: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program over the block and look how it ended; a block that raises ends it at once."""
    arguments = _arguments(administrator_url)
    password = arguments.pop("password", "")
    where = make_conninfo(**arguments, connect_timeout=CONNECT_TIMEOUT_S)
    given = ["--format=custom", "--no-password", f"--dbname={where}", *options]
    is_fed = program == "pg_restore"
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - programs of the wheel, no shell
            [str(programs() / program), *given],
            stdin=subprocess.PIPE if is_fed else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if is_fed else subprocess.PIPE,
            stderr=said,
            env=_environment(password),
            umask=0o077,
        )
        alarm = threading.Timer(DUMP_S_MAX, process.kill)
        alarm.daemon = True
        alarm.start()
        try:
            yield process
        except BaseException:
            process.kill()  # before its pipe closes: the end of its input would be the end of a whole dump
            raise
        finally:
            _close(process)
            alarm.cancel()
        if process.returncode != 0:
            said.seek(0)
            # Only the first line: details hold values of rows.
            lines = said.read(SAID_BYTES_MAX).decode(errors="replace").strip().splitlines()
            reason = (lines or ["it said nothing"])[0][:300]
            raise EmbeddedServiceError(f"The database was not written or restored: {reason}")


def _environment(password: str) -> dict[str, str]:
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PGPASSWORD": password}
    if "HOME" in os.environ:
        environment["HOME"] = os.environ["HOME"]  # where libpq looks for certificates
    return environment


def _pieces(stream: IO[bytes] | None) -> Iterator[bytes]:
    stream = _there(stream)
    while piece := stream.read(PIECE_BYTES):
        yield piece


def _there(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise EmbeddedServiceError("A program of PostgreSQL was started without a pipe.")
    return stream


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close what is open of a program that ends or was killed, and wait for its end."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()
    process.wait()


def _arguments(administrator_url: str) -> dict[str, str]:
    url = make_url(administrator_url).set(drivername="postgresql+psycopg")
    arguments = url.get_dialect()().create_connect_args(url)[1]
    return {name: str(value) for name, value in arguments.items() if name != "context"}
