"""The store of the audit log takes nothing: nothing is played or destroyed, and recordings wait (A5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from archive.access import AccessScope
from archive.audit import verify_log
from archive.catalogue import audit_entries
from archive.catalogue.engine import Catalogue
from archive.catalogue.migrate import DATABASE
from archive.errors import CatalogueUnavailable
from archive.model import FinishedRecording, ObjectKind, Role, SessionOutcome, Tenant
from archive.playback import Action, Playback
from keys.streaming_aead import HEADER_BYTES

ENDED_S_MAX = 120
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


@pytest.fixture
def read_only(database: Any) -> Callable[[], Any]:
    """Return a context in which the database takes no changes, as one that was switched to its copy."""
    admin = database.connect()

    def apply(statement: str) -> None:
        admin.execute(statement)
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            (DATABASE,),
        )
        # Ending a connection is asked for, not done, when that returns.
        deadline = time.monotonic() + ENDED_S_MAX
        while admin.execute(OTHERS, (DATABASE,)).fetchone() != (0,):
            assert time.monotonic() < deadline, "connections of before did not end"
            time.sleep(0.01)

    @contextmanager
    def switched() -> Iterator[None]:
        apply(f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = on")
        try:
            yield
        finally:
            apply(f"ALTER DATABASE {DATABASE} RESET default_transaction_read_only")

    return switched


def test_nothing_is_opened_while_the_log_takes_no_entry(
    house: Any,
    playback: Playback,
    finished: FinishedRecording,
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
    read_only: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    portal: Catalogue,
    bakery: Tenant,
) -> None:
    """A5: who asks is told to come back later, before an octet of sound was fetched; afterwards it is played, and entered."""
    recording = house.ingest().archive(finished, outcome_of(finished)).recording
    scope = AccessScope(bakery.id, "user:otto", Role.AUDITOR)
    fetched: list[tuple[int, int]] = []
    get = house.store.get

    def noted(key: str, version_id: str, first: int, last_exclusive: int) -> bytes:
        fetched.append((first, last_exclusive))
        return get(key, version_id, first, last_exclusive)

    monkeypatch.setattr(house.store, "get", noted)
    with read_only():
        for action in (Action.PLAY, Action.DOWNLOAD):
            with pytest.raises(CatalogueUnavailable, match="takes no changes"):
                playback.open_object(scope, recording.id, ObjectKind.AUDIO, action)
    assert set(fetched) <= {(0, HEADER_BYTES)}, "the header of the seal, and nothing behind it"
    reader = playback.open_object(scope, recording.id, ObjectKind.AUDIO, Action.PLAY)
    assert reader.read(0, 4) == b"fLaC"
    entries = audit_entries.of_object(portal, bakery.id, f"recording:{recording.id}")
    assert sorted(entry.action for entry in entries) == ["recording.archived", "recording.played"]


def test_a_finished_recording_waits_and_is_archived_with_its_entry_afterwards(
    house: Any,
    worker: Catalogue,
    finished: FinishedRecording,
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
    read_only: Callable[[], Any],
    bakery: Tenant,
) -> None:
    """A5: recording never stops because the log is away; its entry appears once it is back, and once."""
    with read_only(), pytest.raises(CatalogueUnavailable):
        house.ingest().archive(finished, outcome_of(finished))
    recording = house.ingest().archive(finished, outcome_of(finished)).recording
    entries = audit_entries.of_object(worker, bakery.id, f"recording:{recording.id}")
    assert [entry.action for entry in entries] == ["recording.archived"]
    assert verify_log(worker)["recorder/test"].sequence == 1
