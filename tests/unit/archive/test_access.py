"""Who may know of, hear, take away and export a recording."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from archive.access import (
    AccessScope,
    Scope,
    may_administer,
    may_download,
    may_export,
    may_play,
    may_read,
    may_read_sessions,
)
from archive.model import (
    PLAYABLE_STATES,
    ArchivedRecording,
    Recording,
    RecordingState,
    Role,
    TenantId,
    UserId,
)

BAKERY, FLORIST = TenantId("bakery"), TenantId("florist")
ANNA, BOB = UserId("anna"), UserId("bob")


@pytest.fixture
def recording(make_recording: Callable[..., ArchivedRecording]) -> Recording:
    return make_recording(BAKERY, owner=ANNA).recording


def person(
    user_id: UserId = ANNA, role: Role = Role.USER, access: str = "own", **more: object
) -> AccessScope:
    return AccessScope(BAKERY, f"user:{user_id}", role, user_id, access, **more)


def client(*scopes: str) -> AccessScope:
    return AccessScope(BAKERY, "api-client:1", scopes=frozenset(scopes))


def rights(scope: AccessScope, recording: Recording) -> str:
    rules = {"r": may_read, "p": may_play, "d": may_download, "e": may_export}
    return "".join(letter for letter, rule in rules.items() if rule(scope, recording))


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (person(), "rp"),
        (person(downloads=True), "rpd"),
        (person(access="none"), ""),
        (person(BOB), ""),
        (person(BOB, heard_user_ids=frozenset({ANNA})), "rp"),
        (person(BOB, access="none", heard_user_ids=frozenset({ANNA})), "rp"),
        (person(BOB, Role.ADMINISTRATOR), ""),
        (person(BOB, Role.AUDITOR, "none"), "rpe"),
        (client(), ""),
        (client(Scope.RECORDINGS_READ), "r"),
        (client(Scope.RECORDINGS_PLAY, Scope.RECORDINGS_DOWNLOAD), ""),
        (client(Scope.RECORDINGS_READ, Scope.RECORDINGS_PLAY), "rp"),
        (client(Scope.RECORDINGS_READ, Scope.RECORDINGS_PLAY, Scope.RECORDINGS_DOWNLOAD), "rpd"),
        (client(Scope.ADMINISTRATION, Scope.SESSIONS_READ), ""),
    ],
)
def test_rights_are_exactly_these(scope: AccessScope, expected: str, recording: Recording) -> None:
    assert rights(scope, recording) == expected


@pytest.mark.parametrize("scope", [person(), person(role=Role.AUDITOR), client(*Scope)])
def test_nobody_crosses_a_tenant(scope: AccessScope, recording: Recording) -> None:
    assert rights(scope, recording) != ""
    assert rights(dataclasses.replace(scope, tenant_id=FLORIST), recording) == ""


@pytest.mark.parametrize("state", [RecordingState.UNKEPT, RecordingState.GRACE])
def test_a_call_nobody_kept_exists_for_nobody(state: RecordingState, recording: Recording) -> None:
    recording = dataclasses.replace(recording, state=state)
    for scope in (person(downloads=True), person(role=Role.AUDITOR), client(*Scope)):
        assert rights(scope, recording) == ""


@pytest.mark.parametrize("state", sorted(set(RecordingState) - PLAYABLE_STATES))
def test_only_what_was_verified_is_heard(state: RecordingState, recording: Recording) -> None:
    recording = dataclasses.replace(recording, state=state)
    for scope in (person(downloads=True), person(role=Role.AUDITOR), client(*Scope)):
        assert not set(rights(scope, recording)) & set("pde")


def test_a_quarantined_recording_is_seen_by_administrator_and_auditor_only(recording: Recording) -> None:
    recording = dataclasses.replace(recording, state=RecordingState.QUARANTINED)
    assert rights(person(), recording) == ""
    assert rights(person(BOB, Role.ADMINISTRATOR), recording) == "r"
    assert rights(person(BOB, Role.AUDITOR), recording) == "r"


def test_an_ownerless_recording_is_not_everybodys(recording: Recording) -> None:
    recording = dataclasses.replace(recording, owner=None)
    assert rights(AccessScope(BAKERY, "user:x", Role.USER, None, "own"), recording) == ""


def test_sessions_and_administration_have_rights_of_their_own() -> None:
    assert [may_read_sessions(person(role=role)) for role in Role] == [False, True, True]
    assert [may_administer(person(role=role)) for role in Role] == [False, True, False]
    assert may_read_sessions(client(Scope.SESSIONS_READ))
    assert not may_read_sessions(client(Scope.RECORDINGS_READ))
    assert may_administer(client(Scope.ADMINISTRATION))
    assert not may_administer(client(*set(Scope) - {Scope.ADMINISTRATION}))
