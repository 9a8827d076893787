"""The database of the session (`tests/unit/conftest.py`), emptied after each test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url, text

from archive.catalogue import directory, migrate
from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import metadata
from archive.model import (
    ArchivedRecording,
    ObjectKind,
    PacketCounts,
    Party,
    RecordingState,
    Span,
    SpanKind,
    StoredObject,
    Tenant,
    TenantId,
    UserId,
)
from tests.made_recordings import made_recording
from tests.unit.conftest import ADMINISTRATOR, PASSWORDS

NOW = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)
RECORDER, PORTAL, WORKER, OPERATOR = migrate.ROLES

VACUUMED_BYTES_MIN = 512 * 1024
"""What was deleted stays in a table until then; tests after it would read through it."""

_JOBS = ("events", "periodic_defers", "jobs")
_TABLES = [f"public.{name}" for name in metadata.tables] + [f"jobs.procrastinate_{name}" for name in _JOBS]
_FILLED = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in _TABLES)
_BEGIN_ANEW = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
    FROM pg_sequences WHERE schemaname IN ('public', 'jobs') AND last_value IS NOT NULL
"""


@dataclasses.dataclass
class Database:
    """One database of a test; everything opened through it is closed at its end."""

    admin_url: str
    name: str
    closing: ExitStack
    lasting: Callable[[str], Catalogue]

    def url(self, role: str | None = None) -> str:
        url = make_url(self.admin_url).set(database=self.name)
        if role is not None:
            url = url.set(username=role, password=PASSWORDS[role])
        return url.render_as_string(hide_password=False)

    def catalogue(self, role: str) -> Catalogue:
        """Return a catalogue with connections of its own; those of the fixtures last longer than a test."""
        catalogue = Catalogue(self.url(role))
        self.closing.callback(catalogue.close)
        return catalogue

    def connect(self, role: str | None = None, tenant_id: str | None = None) -> psycopg.Connection:
        """Return a plain connection as a role, or as the administrator, within a tenant or none."""
        connection = _connect(make_url(self.url(role)))
        self.closing.callback(connection.close)
        if tenant_id is not None:
            connection.execute("SELECT set_config('app.tenant_id', %s, false)", (tenant_id,))
        return connection


def _connect(url: URL) -> psycopg.Connection:
    return psycopg.connect(**url.get_dialect()().create_connect_args(url)[1], autocommit=True)


@pytest.fixture
def database(postgres_url: str, lasting: Callable[[str], Catalogue]) -> Iterator[Database]:
    """Return the prepared database with nothing in it."""
    with ExitStack() as closing:
        yield Database(postgres_url, migrate.DATABASE, closing, lasting)
    for table in _emptied(lasting(ADMINISTRATOR)):
        with _connect(make_url(postgres_url).set(database=migrate.DATABASE)) as admin:
            admin.execute(sql.SQL("VACUUM {}").format(sql.Identifier(*table.split("."))))


def _emptied(administrator: Catalogue) -> Sequence[str]:
    """Delete what a test left, behind the triggers that forbid it, and return the tables that are large.

    Most tests leave little in few tables: to truncate all of them made hundreds of files each time. And
    a connection that lasts knows the tables and how to look into them: to learn it took longest of all.
    """
    with administrator.transaction() as connection:
        connection.execute(text("SET LOCAL session_replication_role TO replica"))
        filled = connection.execute(text(_FILLED)).scalars().all()
        for table in filled:
            connection.execute(text(f"DELETE FROM {table}"))
        connection.execute(text(_BEGIN_ANEW))
        size = text("SELECT pg_total_relation_size(CAST(:name AS regclass))")
        return [
            each for each in filled if (connection.scalar(size, {"name": each}) or 0) > VACUUMED_BYTES_MIN
        ]


@pytest.fixture
def operator(database: Database) -> Catalogue:
    return database.lasting(OPERATOR)


@pytest.fixture
def recorder(database: Database) -> Catalogue:
    return database.lasting(RECORDER)


@pytest.fixture
def portal(database: Database) -> Catalogue:
    return database.lasting(PORTAL)


@pytest.fixture
def worker(database: Database) -> Catalogue:
    return database.lasting(WORKER)


@pytest.fixture
def bakery(operator: Catalogue) -> Tenant:
    return directory.add_tenant(operator, "De Warme Bakker", "bakery.example", now=NOW)


@pytest.fixture
def florist(operator: Catalogue) -> Tenant:
    return directory.add_tenant(operator, "Bloem & Blad", "florist.example", now=NOW)


@pytest.fixture
def make_recording() -> Callable[..., ArchivedRecording]:
    """Return a maker of recordings with every field filled."""
    return archived_recording


def archived_recording(
    tenant_id: str, *, owner: str | None = None, minutes: int = 0, **changes: object
) -> ArchivedRecording:
    """Return a recording with every field filled, `minutes` after NOW."""
    started = NOW + timedelta(minutes=minutes)
    told: dict[str, object] = {
        "call_id": "3848276298220188511@192.0.2.7",
        "state": RecordingState.AVAILABLE,
        "owner": None if owner is None else UserId(owner),
        "recorded_ms": 60_000,
        "parties": (
            Party("a", "+31612345678", "Jansen, M.", None, 0, 61_000),
            Party("b", "+31201234567", "", None, 40, None),
        ),
        "spans": (Span(SpanKind.LOSS, "a", 1000, 1020), Span(SpanKind.PAUSE, "both", 2000, 3000, "user:1")),
        "packets": PacketCounts(6100, 1, 2, 3),
        "sha256": "ab" * 32,
        "channels": ("a", "b"),
        "flags": ("late-start",),
        "site": "Goes",
    }
    recording = made_recording(TenantId(tenant_id), started, 61_000, **{**told, **changes})
    recording_id = recording.id
    objects = tuple(
        StoredObject(
            kind,
            f"{tenant_id}/{recording_id}/{kind}",
            f"v{n}",
            1000,
            1056,
            1,
            "cd" * 32,
            "ef" * 32,
            "12" * 32,
            "x/y",
        )
        for n, kind in enumerate(ObjectKind)
    )
    return ArchivedRecording(recording, objects, f"{tenant_id}/2027-02-20/1", b"\x00wrapped\xff")
