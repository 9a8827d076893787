"""An archive on a real PostgreSQL, a key store in a directory, and an object store in memory."""

from __future__ import annotations

import dataclasses
import itertools
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from archive.audit import AuditWriter
from archive.catalogue import migrate
from archive.catalogue.engine import Catalogue
from archive.ingest import Ingest
from archive.model import (
    ArchivedRecording,
    FinishedRecording,
    OutcomeKind,
    Recording,
    RecordingState,
    SessionOutcome,
    Tenant,
)
from archive.playback import Playback
from archive.store.memory import MemoryStore
from keys.kek import KekVault
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from tests.unit.conftest import ADMINISTRATOR

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
AUDIO = b"fLaC" + bytes(range(256)) * 1200  # five sealed segments

_numbers = itertools.count()


@dataclasses.dataclass
class SettableClock:
    moment: datetime = NOW

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


@dataclasses.dataclass
class House:
    """Everything an ingest stands on."""

    store: MemoryStore
    vault: KekVault
    catalogue: Catalogue
    audit: AuditWriter
    intents: Path
    clock: SettableClock

    def ingest(self, **other: object) -> Ingest:
        parts = {
            "store": self.store,
            "vault": self.vault,
            "catalogue": self.catalogue,
            "audit": self.audit,
            "intents_dir": self.intents,
            "clock": self.clock,
        }
        return Ingest(**{**parts, **other})


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def key_directory(tmp_path: Path) -> Path:
    path = tmp_path / "key-store"
    path.mkdir()
    return path


@pytest.fixture
def vault(key_directory: Path) -> KekVault:
    return KekVault(LocalKeyring(secrets.token_bytes(32)), DirectoryKeyStore(key_directory))


@pytest.fixture
def house(recorder: Catalogue, vault: KekVault, clock: SettableClock, tmp_path: Path) -> House:
    return House(
        MemoryStore(clock),
        vault,
        recorder,
        AuditWriter(recorder, "recorder/test"),
        tmp_path / "intents",
        clock,
    )


@pytest.fixture
def playback(house: House, portal: Catalogue) -> Playback:
    return Playback(house.store, house.vault, portal, AuditWriter(portal, "portal/test"), house.clock)


@pytest.fixture
def finished(bakery: Tenant, make_recording: Callable[..., ArchivedRecording]) -> FinishedRecording:
    return finish(make_recording(bakery.id).recording)


def finish(recording: Recording, audio: bytes = AUDIO) -> FinishedRecording:
    changed = dataclasses.replace(
        recording,
        state=RecordingState.PROCESSING,
        sha256="",
        retain_until=NOW + timedelta(days=90, microseconds=5),
    )
    timeline = json.dumps({"spans": [], "id": recording.id}).encode()
    return FinishedRecording(changed, audio, "audio/flac", b"peaks" * 100, timeline, b'{"revisions": []}')


@pytest.fixture
def make_finished() -> Callable[..., FinishedRecording]:
    return finish


@pytest.fixture
def outcome_of() -> Callable[[FinishedRecording], SessionOutcome]:
    def make(finished: FinishedRecording) -> SessionOutcome:
        recording = finished.recording
        return SessionOutcome(
            session_id=recording.session_id,
            call_id=recording.call_id,
            kind=OutcomeKind.RECORDED,
            reason="mode always",
            started_at=recording.started_at,
            ended_at=recording.ended_at,
            tenant_id=recording.tenant_id,
            recording_ids=(recording.id,),
        )

    return make


@pytest.fixture
def empty(postgres_url: str, lasting: Callable[[str], Catalogue]) -> Iterator[Callable[[str], Catalogue]]:
    """A second, empty database; gives catalogues of it by role."""
    for role in (*migrate.ROLES, ADMINISTRATOR):
        lasting(role).close()  # what is copied has to be at rest; each connects again when it is used
    name = f"rebuilt_{next(_numbers)}"
    url = make_url(postgres_url)
    with psycopg.connect(**url.get_dialect()().create_connect_args(url)[1], autocommit=True) as admin:
        parts = (sql.Identifier(part) for part in (name, migrate.OWNER, migrate.DATABASE))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(*parts))
        with ExitStack() as stack:

            def connect(role: str) -> Catalogue:
                address = url.set(database=name, username=role, password=f"{role}-s3cret")
                catalogue = Catalogue(address.render_as_string(hide_password=False))
                stack.callback(catalogue.close)
                return catalogue

            yield connect
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def siblings(
    house: House,
    bakery: Tenant,
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> list[ArchivedRecording]:
    """Three recordings of one customer and one day, under one key-encryption key."""
    made = []
    for minutes in range(3):
        finished = make_finished(make_recording(bakery.id, minutes=minutes).recording)
        made.append(house.ingest().archive(finished, outcome_of(finished)))
    return made
