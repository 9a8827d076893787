"""An intent is there whole or not at all, and the first one counts."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archive.errors import DependencyUnavailable
from archive.intent import Dating, Intent, IntentDirectory, IntentUnavailable
from archive.model import RecordingId, TenantId

INTENT = Intent(
    TenantId("t"), RecordingId("r"), "t/2027-01-01/1", b"\x00wrapped\xff", ("t/r/audio", "t/r/record")
)


@pytest.fixture
def intents(tmp_path: Path) -> IntentDirectory:
    return IntentDirectory(tmp_path / "intents")


def test_an_intent_is_found_again_until_it_is_removed(intents: IntentDirectory) -> None:
    assert intents.find(INTENT.recording_id) is None
    assert intents.record(INTENT) == INTENT
    assert intents.find(INTENT.recording_id) == INTENT
    intents.remove(INTENT.recording_id)
    intents.remove(INTENT.recording_id)
    assert intents.find(INTENT.recording_id) is None


@pytest.mark.parametrize(
    "dating", [Dating(moved_s=-252_288_000), Dating(term_from=datetime(2026, 11, 23, 5, 30, tzinfo=UTC))]
)
def test_an_intent_keeps_how_the_recording_was_dated(intents: IntentDirectory, dating: Dating) -> None:
    dated = dataclasses.replace(INTENT, dating=dating)
    intents.record(dated)
    assert intents.find(INTENT.recording_id) == dated
    intents.rewrap(INTENT.recording_id, "other", b"other")
    found = intents.find(INTENT.recording_id)
    assert found is not None
    assert found.dating == dating


def test_the_first_intent_of_a_recording_counts(intents: IntentDirectory) -> None:
    """Two finalisers of one recording must seal under one key."""
    intents.record(INTENT)
    assert intents.record(dataclasses.replace(INTENT, wrapped_key=b"other")) == INTENT


def test_nobody_else_may_read_it(intents: IntentDirectory, tmp_path: Path) -> None:
    intents.record(INTENT)
    (path,) = (tmp_path / "intents").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version": 2}', b'{"version": 1}', b'"text"', b"\xff"]
)
def test_what_is_no_intent_of_ours_is_told(intents: IntentDirectory, tmp_path: Path, content: bytes) -> None:
    intents.record(INTENT)
    (tmp_path / "intents" / "r.intent").write_bytes(content)
    with pytest.raises(IntentUnavailable):
        intents.find(INTENT.recording_id)


def test_a_directory_that_cannot_be_written_is_a_dependency_that_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    blocked = IntentDirectory(tmp_path / "file" / "intents")
    with pytest.raises(DependencyUnavailable):
        blocked.record(INTENT)
    with pytest.raises(DependencyUnavailable):
        blocked.find(INTENT.recording_id)
