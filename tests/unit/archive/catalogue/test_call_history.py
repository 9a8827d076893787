"""How a call ended is known for a day, to whoever might see its events."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from archive.access import AccessScope, Scope
from archive.catalogue import live_calls
from archive.catalogue.call_events import CallEvent, EventKind
from archive.catalogue.call_history import End, end_of
from archive.catalogue.engine import Catalogue
from archive.model import RecordingId, RecordingState, Role, Tenant, UserId, new_id

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ANNA, BRAM = UserId("anna"), UserId("bram")


def person(tenant: Tenant, user_id: UserId, role: Role = Role.USER) -> AccessScope:
    return AccessScope(tenant.id, f"user:{user_id}", role=role, user_id=user_id)


def happened(
    recorder: Catalogue, tenant: Tenant, *kinds: EventKind, state: RecordingState = RecordingState.UNKEPT
) -> RecordingId:
    """Tell of a call of Anna's to which these events happened."""
    recording_id = RecordingId(new_id(NOW))
    body = {"state": state.value}
    events = [CallEvent(tenant.id, NOW, kind, recording_id, ANNA, body) for kind in kinds]
    live_calls.publish(recorder, "recorder-1", events=events)
    return recording_id


@pytest.mark.parametrize(
    ("kinds", "end"),
    [
        ((), None),
        ((EventKind.CALL_STARTED, EventKind.RECORDING_PAUSED), None),
        ((EventKind.CALL_STARTED, EventKind.CALL_ENDED), End.OVER),
        ((EventKind.CALL_STARTED, EventKind.RECORDING_DISCARDED, EventKind.CALL_ENDED), End.DISCARDED),
    ],
)
def test_the_events_of_a_call_tell_how_it_ended(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, kinds: tuple[EventKind, ...], end: End | None
) -> None:
    recording_id = happened(recorder, bakery, *kinds)
    assert end_of(portal, person(bakery, ANNA), recording_id) is end


def test_an_unkept_call_ended_for_its_owner_and_programs_alone(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    recording_id = happened(recorder, bakery, EventKind.RECORDING_DISCARDED)
    program = AccessScope(bakery.id, "api-client:1", scopes=frozenset({Scope.CALLS_READ}))
    assert end_of(portal, program, recording_id) is End.DISCARDED
    others = (
        person(bakery, BRAM),
        person(bakery, BRAM, Role.AUDITOR),
        person(bakery, BRAM, Role.ADMINISTRATOR),
        person(florist, ANNA),
        AccessScope(bakery.id, "api-client:2", scopes=frozenset({Scope.RECORDINGS_READ})),
    )
    assert [end_of(portal, scope, recording_id) for scope in others] == [None] * len(others)


def test_a_kept_call_ended_for_its_auditors_too(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    recording_id = happened(recorder, bakery, EventKind.CALL_ENDED, state=RecordingState.RECORDING)
    assert end_of(portal, person(bakery, BRAM, Role.AUDITOR), recording_id) is End.OVER
