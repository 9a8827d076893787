"""Backups of a small archive, for tests of making, trying out and restoring them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from archive.backup.making import Backup, Source, make_backup
from archive.catalogue.migrate import DATABASE
from archive.model import ArchivedRecording, FinishedRecording, SessionOutcome, Tenant
from keys.kek import KekVault
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from tests.unit.archive.sealed.conftest import House


@pytest.fixture
def root() -> LocalKeyring:
    return LocalKeyring(secrets.token_bytes(32))


@pytest.fixture
def vault(root: LocalKeyring, key_directory: Path) -> KekVault:
    return KekVault(root, DirectoryKeyStore(key_directory))


@pytest.fixture
def archive_many(
    house: House,
    bakery: Tenant,
    florist: Tenant,
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> list[ArchivedRecording]:
    """Two recordings of one day, and one of another customer."""
    made = []
    for minutes, tenant in enumerate((bakery, florist, bakery)):
        finished = make_finished(make_recording(tenant.id, minutes=minutes).recording)
        made.append(house.ingest().archive(finished, outcome_of(finished)))
    return made


@pytest.fixture
def administrator_url(postgres_url: str) -> str:
    return make_url(postgres_url).set(database=DATABASE).render_as_string(hide_password=False)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


@pytest.fixture
def back_up(
    house: House, root: LocalKeyring, key_directory: Path, administrator_url: str, out: Path
) -> Callable[[], Backup]:
    """Return what makes a backup at the time of the house."""
    source = Source(administrator_url, DirectoryKeyStore(key_directory), root, "bucket", "1.0")
    return lambda: make_backup(source, out, house.clock.now())
