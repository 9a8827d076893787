"""What a recording is opened for: of one session and one recording, and gone with either."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from archive.catalogue import directory, portal_sessions, purposes, recordings
from archive.catalogue.engine import Catalogue
from archive.catalogue.portal_sessions import SESSION_S_MAX, PortalSession, Proof, Stage
from archive.catalogue.purposes import PURPOSE_CHARS_MAX, stated
from archive.errors import Conflict, Refused
from archive.model import ArchivedRecording, Recording, RecordingId, Tenant, User

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.fixture
def anna(operator: Catalogue, bakery: Tenant) -> User:
    return directory.add_user(operator, bakery.id, "anna", now=NOW)


@pytest.fixture
def recording(
    recorder: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> Recording:
    archived = make_recording(bakery.id)
    with recorder.transaction(bakery.id) as connection:
        recordings.insert_recording(connection, archived)
    return archived.recording


def session_of(portal: Catalogue, user: User, now: datetime = NOW) -> PortalSession:
    with portal.transaction(user.tenant_id) as connection:
        _, session = portal_sessions.open_session(
            connection, user.tenant_id, user.id, stage=Stage.SIGNED_IN, proofs=[Proof.PASSWORD], now=now
        )
    return session


def test_a_purpose_is_remembered_for_its_session_and_recording(
    portal: Catalogue, anna: User, recording: Recording
) -> None:
    session, other = session_of(portal, anna), session_of(portal, anna)
    assert purposes.remembered(portal, session, recording.id) is None
    for purpose in ("Coaching", " A   complaint\n"):
        purposes.remember(portal, session, recording.id, purpose, now=NOW)
    assert purposes.remembered(portal, session, recording.id) == "A complaint"
    assert purposes.remembered(portal, other, recording.id) is None
    assert purposes.remembered(portal, session, RecordingId("x")) is None


def test_purposes_of_sessions_that_are_over_are_forgotten(
    portal: Catalogue, anna: User, recording: Recording
) -> None:
    session = session_of(portal, anna)
    purposes.remember(portal, session, recording.id, "Coaching", now=NOW)
    later = NOW + timedelta(seconds=SESSION_S_MAX)
    purposes.remember(portal, session_of(portal, anna, later), recording.id, "Complaint", now=later)
    assert purposes.remembered(portal, session, recording.id) is None


def test_a_recording_that_is_not_there_is_opened_for_nothing(
    portal: Catalogue, anna: User, florist: Tenant
) -> None:
    with pytest.raises(Conflict):
        purposes.remember(portal, session_of(portal, anna), RecordingId("x"), "Coaching", now=NOW)


@pytest.mark.parametrize("text", ["", "  \n", "x" * (PURPOSE_CHARS_MAX + 1), "a\0b", "a\u202eb", "a\ud800"])
def test_what_says_nothing_or_too_much_is_no_purpose(text: str) -> None:
    with pytest.raises(Refused, match=f"1 to {PURPOSE_CHARS_MAX}"):
        stated(text)


def test_a_purpose_at_the_limit_is_one() -> None:
    assert stated("x" * PURPOSE_CHARS_MAX) == "x" * PURPOSE_CHARS_MAX
