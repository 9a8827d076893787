"""What of a call can be read on the disks of a service: every file, the database and the bucket.

For tests that prove that something is nowhere. A needle is looked for as it is, as hex
and as base64, since dumps and documents write octets so.
"""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from archive.catalogue.migrate import DATABASE
from archive.embedded.postgres import PORT, SUPERUSER, programs, socket_directory
from archive.store.s3 import ObjectStore
from tests.running_service import RunningService

FILE_BYTES_MAX = 1 << 30


@dataclass(frozen=True)
class Needle:
    """Something that may be nowhere; `name` is for the message."""

    name: str
    octets: bytes

    @property
    def spellings(self) -> tuple[bytes, ...]:
        """The octets, and how a dump would write them."""
        # Of base64 only the middle is the same wherever in a text the octets begin.
        turned = [base64.b64encode(bytes(shift) + self.octets)[4:-4] for shift in range(3)]
        spelled = (self.octets, self.octets.hex().encode(), self.octets.hex().upper().encode(), *turned)
        return tuple(item for item in spelled if len(item) >= 8) or (self.octets,)


def text(*words: str) -> list[Needle]:
    """Return a needle for each word."""
    return [Needle(word, word.encode()) for word in words]


def environment(service: RunningService) -> dict[str, str]:
    """Return the settings of the service's roles."""
    found: dict[str, str] = json.loads((service.directory / "service.json").read_text())["environment"]
    return found


def superuser(service: RunningService) -> dict[str, str]:
    """Return how to connect as one whom no policy hides anything from."""
    directory = service.directory / "postgres"
    return {
        "host": str(socket_directory(directory)),
        "port": str(PORT),
        "user": SUPERUSER,
        "password": (directory / "superuser-password").read_text(),
    }


def connect(service: RunningService, database: str) -> psycopg.Connection[tuple[object, ...]]:
    """Return a connection of the superuser, on which each statement is a transaction of its own."""
    return psycopg.connect(make_conninfo(dbname=database, **superuser(service)), autocommit=True)


def checkpoint(service: RunningService) -> None:
    """Let PostgreSQL write everything to its files."""
    with connect(service, DATABASE) as connection:
        connection.execute("CHECKPOINT")


def query(service: RunningService, statement: str, database: str = DATABASE) -> list[tuple[object, ...]]:
    """Return the rows of a statement."""
    with connect(service, database) as connection:
        return list(connection.execute(statement.encode()).fetchall())


def database_dump(service: RunningService) -> bytes:
    """Return the whole database as SQL."""
    settings = superuser(service)
    done = subprocess.run(
        [
            str(programs() / "pg_dump"),
            *("--host", settings["host"], "--port", settings["port"], "--username", settings["user"]),
            *("--dbname", DATABASE, "--inserts"),
        ],
        env={"PGPASSWORD": settings["password"], "PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def load(service: RunningService, database: str, dump: bytes) -> None:
    """Run a dump in an empty database."""
    settings = superuser(service)
    done = subprocess.run(
        [
            str(programs() / "psql"),
            *("--host", settings["host"], "--port", settings["port"], "--username", settings["user"]),
            *("--dbname", database, "--quiet", "--set", "ON_ERROR_STOP=1"),
        ],
        env={"PGPASSWORD": settings["password"], "PATH": "/usr/bin:/bin"},
        input=dump,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def store_of(service: RunningService) -> ObjectStore:
    """Return a client of the service's bucket; close it."""
    settings = environment(service)
    return ObjectStore(
        settings["EARWITNESS_S3_ENDPOINT"],
        settings["EARWITNESS_S3_BUCKET"],
        settings["EARWITNESS_S3_ACCESS_KEY"],
        settings["EARWITNESS_S3_SECRET_KEY"],
        settings["EARWITNESS_S3_REGION"],
        sync_dir=None,
        lock=True,
    )


def objects(service: RunningService) -> Iterator[tuple[str, bytes]]:
    """Yield every version of every object of the bucket."""
    store = store_of(service)
    try:
        for version in store.versions(""):
            yield version.key, store.get(version.key, version.version_id)
    finally:
        store.close()


def files(service: RunningService) -> Iterator[Path]:
    """Yield every file the service has written or holds open, wherever it is."""
    since = psutil.Process(service.processes()[0].pid).create_time()
    held = {path for process in service.processes() for path in _open_files(process)}
    beside = [path for path in Path(tempfile.gettempdir()).iterdir() if _is_newer(path, since)]
    inside = [path for path in service.directory.rglob("*") if path.is_file()]
    written = [path for path in held if path.is_file() and not _is_program(path)]
    yield from dict.fromkeys([*inside, service.directory.with_suffix(".out"), *written, *beside])


def _open_files(process: psutil.Process) -> list[Path]:
    try:
        return [Path(item.path) for item in process.open_files()]
    except psutil.NoSuchProcess:
        return []


def _is_newer(path: Path, since: float) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and path.stat().st_mtime >= since - 1
    except OSError:
        return False


def _is_program(path: Path) -> bool:
    return path.suffix in {".py", ".pyc", ".so"} or path.parts[1] in {"usr", "proc", "dev", "sys"}


def hits(haystacks: Iterable[tuple[str, bytes]], needles: Iterable[Needle]) -> list[str]:
    """Return where a needle was found, as `needle in place`."""
    wanted = list(needles)
    return [
        f"{needle.name} in {place}"
        for place, octets in haystacks
        for needle in wanted
        if any(spelling in octets for spelling in needle.spellings)
    ]


def everything(service: RunningService) -> Iterator[tuple[str, bytes]]:
    """Yield all there is, by place: files after a checkpoint, the dump and the objects."""
    checkpoint(service)
    for path in files(service):
        try:
            if path.stat().st_size <= FILE_BYTES_MAX:
                yield str(path), path.read_bytes()
        except FileNotFoundError:
            continue
    yield "the database", database_dump(service)
    for key, octets in objects(service):
        yield f"object {key}", octets


def udp_ports(service: RunningService) -> set[int]:
    """Return every UDP port that a process of the service has bound."""
    found: set[int] = set()
    for process in service.processes():
        try:
            connections = process.net_connections(kind="udp")
        except psutil.NoSuchProcess:
            continue
        found |= {item.laddr.port for item in connections if item.laddr}
    return found


def rtp_ports(service: RunningService) -> set[int]:
    """Return the bound UDP ports of the service's RTP range."""
    first, last = (int(item) for item in service.rtp_ports.split("-"))
    return {port for port in udp_ports(service) if first <= port <= last}
