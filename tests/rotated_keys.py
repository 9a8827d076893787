"""What happens to a service while its keys are rotated: recordings by the thousand, readers, new calls.

The many are rows with data keys of their own and no objects, for re-wrapping looks at
nothing else of them; who is listened to are whole recordings.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self
from unittest import mock

from archive.catalogue.migrate import DATABASE
from archive.cli.vault import open_vault
from archive.data_key import rewrap_data_key
from archive.embedded.service_file import read_service
from archive.model import Recording, RecordingId, TenantId
from archive.settings import Settings, load_settings
from keys.envelope import new_key
from keys.kek import KekVault
from tests import at_rest
from tests.archived_calls import Archiver
from tests.running_service import RunningService

BATCH_COUNT = 1000


def settings_of(service: RunningService, role: str) -> Settings:
    """Return the settings with which a role of the service runs."""
    with mock.patch.dict(os.environ, read_service(service.directory).environment_of(role)):
        return load_settings()


def vault_of(service: RunningService) -> KekVault:
    """Return the vault of a service as a new process has it: it remembers no key."""
    return open_vault(settings_of(service, "worker"))


def kek_of(service: RunningService, recording_id: str) -> str:
    """Return which KEK a recording hangs from."""
    [(kek_id,)] = at_rest.query(service, f"SELECT kek_id FROM recordings WHERE id = '{recording_id}'")
    return str(kek_id)


def add_rows(service: RunningService, like: Recording, count: int) -> None:
    """Add rows beside a recording, under its KEK, each with a data key of its own."""
    tenant_id = TenantId(service.tenant_id)
    kek = vault_of(service).get(kek_of(service, like.id))
    with at_rest.connect(service, DATABASE) as connection:
        names = [
            row[0]
            for row in connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' "
                "AND table_name = 'recordings' AND is_generated = 'NEVER'"
            )
        ]
        chosen = ", ".join(name for name in names if name not in {"id", "wrapped_key"})
        statement = (
            f"INSERT INTO recordings (id, wrapped_key, {chosen}) "
            f"SELECT %s, %s, {chosen} FROM recordings WHERE id = '{like.id}'"
        )
        ids = [RecordingId(f"{like.id[:-12]}{number:012x}") for number in range(1, count + 1)]
        for begin in range(0, count, BATCH_COUNT):
            rows = [
                (each, rewrap_data_key(kek, tenant_id, each, new_key()).wrapped)
                for each in ids[begin : begin + BATCH_COUNT]
            ]
            connection.cursor().executemany(statement.encode(), rows)


class Listeners:
    """People who listen all the time, and what failed for them."""

    def __init__(self, service: RunningService, recordings: list[Recording], count: int = 2) -> None:
        self.heard = 0
        self.failed: list[tuple[str, int]] = []
        self._service = service
        self._recordings = recordings
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._listen, args=(number,)) for number in range(count)]

    def _listen(self, number: int) -> None:
        at = number
        while not self._ended.wait(0.05):
            recording = self._recordings[at % len(self._recordings)]
            first = at * 4096 % 16384
            answer = self._service.get(
                f"/v1/recordings/{recording.id}/audio?format=flac", Range=f"bytes={first}-{first + 4095}"
            )
            if answer.status == 206 and len(answer.body) == 4096:
                self.heard += 1
            else:
                self.failed.append((recording.id, answer.status))
            at += 1

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


class Callers:
    """Calls that end and are archived all the time."""

    def __init__(self, archiver: Archiver, begin: datetime) -> None:
        self.archived: list[Recording] = []
        self.failed: list[Exception] = []
        self._archiver = archiver
        self._begin = begin
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._call)

    def _call(self) -> None:
        while not self._ended.wait(0.2):
            try:
                started = self._begin + timedelta(seconds=len(self.archived))
                self.archived.append(self._archiver.put(started, 5))
            except Exception as error:
                self.failed.append(error)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()


def rotate(service: RunningService, *, kill_after: int | None = None) -> int:
    """Run `keys rotate --keks`; kill -9 it after that many told steps. Return its exit code."""
    command = [sys.executable, "-m", "archive.cli.main", "keys", "rotate", "--keks", "--json"]
    process = subprocess.Popen(
        [*command, "--data", str(service.directory)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=service.environment,
        text=True,
    )
    assert process.stderr is not None
    steps = 0
    with process:
        for line in process.stderr:
            steps += "wrapped anew" in line
            if steps == kill_after:
                process.kill()
                break
    return process.returncode
