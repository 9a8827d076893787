"""Work is handed over by whoever may not do it, and waits until a worker comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archive import jobs
from archive.errors import CatalogueUnavailable
from archive.model import RecordingId, TenantId, UserId

IDS = TenantId("01999999-0000-7000-8000-000000000001"), RecordingId("01999999-0000-7000-8000-000000000002")


def waiting(database: Any) -> list[tuple[Any, ...]]:
    statement = "SELECT task_name, args, lock, queueing_lock FROM jobs.procrastinate_jobs ORDER BY id"
    return database.connect().execute(statement).fetchall()


@pytest.mark.parametrize("role", ["earwitness_portal", "earwitness_worker"])
def test_portal_and_worker_hand_a_decision_over_once(database: Any, role: str) -> None:
    """The job holds ids alone; another decision on the same recording waits behind it."""
    url = database.url(role)
    assert jobs.assign(url, *IDS, UserId("anna"), actor="user:x")
    assert not jobs.assign(url, *IDS, UserId("ben"), actor="user:y")
    assert jobs.destroy(url, *IDS, actor="user:y")
    ids = {"tenant_id": IDS[0], "recording_id": IDS[1]}
    lock = f"recording/{IDS[1]}"
    assert waiting(database) == [
        (
            "retention.quarantine_assign",
            {**ids, "user_id": "anna", "actor": "user:x"},
            lock,
            f"retention.quarantine_assign/{IDS[1]}",
        ),
        (
            "retention.quarantine_destroy",
            {**ids, "actor": "user:y"},
            lock,
            f"retention.quarantine_destroy/{IDS[1]}",
        ),
    ]


def test_a_task_about_no_recording_waits_for_none(database: Any) -> None:
    url = database.url("earwitness_portal")
    assert jobs.defer(url, "retention.something", day="2026-11-22")
    assert jobs.defer(url, "retention.something", day="2026-11-22")
    assert waiting(database) == [("retention.something", {"day": "2026-11-22"}, None, None)] * 2


def test_who_may_not_hand_over_hears_that_nothing_was(database: Any) -> None:
    """A recorder has no business with background work."""
    with pytest.raises(CatalogueUnavailable):
        jobs.destroy(database.url("earwitness_recorder"), *IDS, actor="user:x")
    assert waiting(database) == []


def test_a_database_that_is_away_is_said_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CONNECT_TIMEOUT_S", 0.2)
    with pytest.raises(CatalogueUnavailable, match="hand it over again"):
        jobs.destroy(f"postgresql+psycopg://x@/x?host={tmp_path}", *IDS, actor="user:x")
