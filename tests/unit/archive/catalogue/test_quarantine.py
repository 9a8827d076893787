"""Who may be given a recording of nobody we know, and which decision counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from archive.access import AccessScope
from archive.catalogue import directory, quarantine, recordings
from archive.catalogue.engine import Catalogue
from archive.catalogue.quarantine import Assignee, Standing
from archive.errors import Conflict, NotFound, Refused
from archive.model import (
    ArchivedRecording,
    RecordingId,
    RecordingMode,
    RecordingState,
    RetentionClass,
    Role,
    SessionId,
    Tenant,
    UserId,
)

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ANNA, BEN = UserId("anna"), UserId("ben")


@pytest.mark.parametrize("state", [state for state in RecordingState if state != "quarantined"])
def test_only_what_is_in_quarantine_can_be_decided_on(state: RecordingState) -> None:
    with pytest.raises(Conflict, match=state):
        Standing(state, None, (), on_hold=False).require_quarantined()


def test_the_same_decision_again_is_recognised_and_another_one_is_not() -> None:
    assigned = Standing(RecordingState.PROCESSING, ANNA, ("assigned",), on_hold=False)
    assert (assigned.is_assigned_to(ANNA), assigned.is_assigned_to(BEN)) == (True, False)
    assert not Standing(RecordingState.AVAILABLE, ANNA, (), on_hold=False).is_assigned_to(ANNA)
    assert Standing(RecordingState.DELETING, None, ("quarantine-ended",), on_hold=False).is_ended
    assert not Standing(RecordingState.DELETING, None, (), on_hold=False).is_ended


def test_a_legal_hold_keeps_it_from_being_destroyed() -> None:
    Standing(RecordingState.QUARANTINED, None, (), on_hold=False).require_unheld()
    with pytest.raises(Refused, match="legal hold"):
        Standing(RecordingState.QUARANTINED, None, (), on_hold=True).require_unheld()


def test_the_licence_at_a_moment_decides_the_class(operator: Catalogue, bakery: Tenant) -> None:
    """From the moment of a change on the new one counts; before the first, which came too late, it does."""
    anna = directory.add_user(
        operator, bakery.id, "anna", now=NOW, licence=RetentionClass.DAYS_365, site="Goes"
    )
    directory.set_user(
        operator, bakery.id, "anna", now=NOW + timedelta(days=1), licence=RetentionClass.YEARS_7_3500
    )
    directory.set_user(
        operator,
        bakery.id,
        "anna",
        now=NOW + timedelta(days=2),
        licence=None,
        mode=RecordingMode.NEVER,
    )

    def at(**after: float) -> Assignee:
        with operator.transaction(bakery.id) as connection:
            return quarantine.assignee(connection, bakery.id, anna.id, NOW + timedelta(**after))

    assert at() == at(days=-9) == Assignee(anna.id, "Goes", RetentionClass.DAYS_365)
    assert at(days=1, microseconds=-1).licence is RetentionClass.DAYS_365
    assert at(days=1).licence is RetentionClass.YEARS_7_3500
    for none in ({"days": 2}, {"days": 900}):
        with pytest.raises(Refused, match="no recording licence"):
            at(**none)


def test_nobody_of_that_id_is_not_found(operator: Catalogue, bakery: Tenant, florist: Tenant) -> None:
    flora = directory.add_user(operator, florist.id, "flora", now=NOW, licence=RetentionClass.DAYS_90)
    with operator.transaction(bakery.id) as connection, pytest.raises(NotFound):
        quarantine.assignee(connection, bakery.id, flora.id, NOW)


def test_a_row_that_is_not_there_can_not_be_claimed(worker: Catalogue, bakery: Tenant) -> None:
    with worker.transaction(bakery.id) as connection, pytest.raises(NotFound):
        quarantine.lock(connection, bakery.id, RecordingId("nothing"))


def test_a_session_nobody_told_of_was_not_destroyed(recorder: Catalogue, bakery: Tenant) -> None:
    """The outcome of a session comes with its first recording, or later."""
    assert not quarantine.is_destroyed(recorder, bakery.id, SessionId("s"), RecordingId("r"))


def test_administrators_alone_may_decide(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> None:
    archived = make_recording(bakery.id, state=RecordingState.QUARANTINED)
    with recorder.transaction(bakery.id) as connection:
        recordings.insert_recording(connection, archived)
    quarantine.check_destroyable(
        portal, AccessScope(bakery.id, "user:x", Role.ADMINISTRATOR), archived.recording.id
    )
    with pytest.raises(Refused, match="administrators"):
        quarantine.check_destroyable(
            portal, AccessScope(bakery.id, "user:x", Role.AUDITOR), archived.recording.id
        )
    with pytest.raises(NotFound):
        quarantine.check_destroyable(
            portal, AccessScope(bakery.id, "user:x", Role.USER, ANNA, "own"), archived.recording.id
        )
