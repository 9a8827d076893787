"""Who may know of, hear, take away and export a recording."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from archive.access import (
    AccessScope,
    Hearing,
    Right,
    Scope,
    may_administer,
    may_change_own_settings,
    may_command,
    may_download,
    may_export,
    may_operate,
    may_play,
    may_read,
    may_read_audit,
    may_read_sessions,
    may_see_call,
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


def key_of(who: AccessScope, *scopes: str) -> AccessScope:
    """Return the scope of a key that acts as a person."""
    return dataclasses.replace(who, scopes=frozenset(scopes))


def rights(scope: AccessScope, recording: Recording) -> str:
    rules = {"r": may_read, "p": may_play, "d": may_download, "e": may_export}
    return "".join(letter for letter, rule in rules.items() if rule(scope, recording))


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (person(), "rp"),
        (person(granted=frozenset({Right.DOWNLOAD})), "rpd"),
        (person(access="none"), ""),
        (person(BOB), ""),
        (person(BOB, heard=frozenset({Hearing(ANNA)})), "rp"),
        (person(BOB, access="none", heard=frozenset({Hearing(ANNA)})), "rp"),
        (person(BOB, Role.ADMINISTRATOR), ""),
        (person(BOB, Role.AUDITOR, "none"), "rpe"),
        (client(), ""),
        (client(Scope.RECORDINGS_READ), "r"),
        (client(Scope.RECORDINGS_PLAY, Scope.RECORDINGS_DOWNLOAD), ""),
        (client(Scope.RECORDINGS_READ, Scope.RECORDINGS_PLAY), "rp"),
        (client(Scope.RECORDINGS_READ, Scope.RECORDINGS_PLAY, Scope.RECORDINGS_DOWNLOAD), "rpd"),
        (client(Scope.ADMINISTRATION, Scope.SESSIONS_READ), ""),
        (key_of(person(), *Scope), "rp"),
        (key_of(person(granted=frozenset({Right.DOWNLOAD})), *Scope), "rpd"),
        (
            key_of(person(granted=frozenset({Right.DOWNLOAD})), Scope.RECORDINGS_READ, Scope.RECORDINGS_PLAY),
            "rp",
        ),
        (key_of(person(), Scope.RECORDINGS_READ), "r"),
        (key_of(person(), *set(Scope) - {Scope.RECORDINGS_READ}), ""),
        (key_of(person(access="none"), *Scope), ""),
        (key_of(person(BOB), *Scope), ""),
        (key_of(person(BOB, heard=frozenset({Hearing(ANNA)})), Scope.RECORDINGS_READ), "r"),
        (key_of(person(BOB, heard=frozenset({Hearing(ANNA)})), Scope.CALLS_READ), ""),
        (key_of(person(BOB, Role.AUDITOR), *Scope), "rp"),
        (key_of(person(BOB, Role.AUDITOR), Scope.CALLS_READ), ""),
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
    for scope in (person(granted=frozenset({Right.DOWNLOAD})), person(role=Role.AUDITOR), client(*Scope)):
        assert rights(scope, recording) == ""


@pytest.mark.parametrize("state", sorted(set(RecordingState) - PLAYABLE_STATES))
def test_only_what_was_verified_is_heard(state: RecordingState, recording: Recording) -> None:
    recording = dataclasses.replace(recording, state=state)
    for scope in (person(granted=frozenset({Right.DOWNLOAD})), person(role=Role.AUDITOR), client(*Scope)):
        assert not set(rights(scope, recording)) & set("pde")


def test_a_quarantined_recording_is_seen_by_administrator_and_auditor_only(recording: Recording) -> None:
    recording = dataclasses.replace(recording, state=RecordingState.QUARANTINED)
    assert rights(person(), recording) == ""
    assert rights(person(BOB, Role.ADMINISTRATOR), recording) == "r"
    assert rights(person(BOB, Role.AUDITOR), recording) == "r"
    assert rights(key_of(person(BOB, Role.ADMINISTRATOR), Scope.RECORDINGS_READ), recording) == "r"
    assert rights(key_of(person(BOB, Role.ADMINISTRATOR), Scope.ADMINISTRATION), recording) == ""


def test_an_ownerless_recording_is_not_everybodys(recording: Recording) -> None:
    recording = dataclasses.replace(recording, owner=None)
    assert rights(AccessScope(BAKERY, "user:x", Role.USER, None, "own"), recording) == ""


def test_sessions_and_administration_have_rights_of_their_own() -> None:
    assert [may_read_sessions(person(role=role)) for role in Role] == [False, True, True, False]
    assert [may_read_audit(person(role=role)) for role in Role] == [False, True, True, False]
    assert may_read_audit(client(Scope.AUDIT_READ))
    assert not may_read_audit(client(Scope.SESSIONS_READ))
    assert [may_administer(person(role=role)) for role in Role] == [False, True, False, False]
    assert may_read_sessions(client(Scope.SESSIONS_READ))
    assert not may_read_sessions(client(Scope.RECORDINGS_READ))
    assert may_administer(client(Scope.ADMINISTRATION))
    assert not may_administer(client(*set(Scope) - {Scope.ADMINISTRATION}))


def test_a_key_of_a_person_administers_only_where_person_and_key_may() -> None:
    for role in Role:
        who = person(role=role)
        assert may_administer(key_of(who, Scope.ADMINISTRATION)) == (role is Role.ADMINISTRATOR)
        assert may_read_sessions(key_of(who, Scope.SESSIONS_READ)) == (
            role in {Role.ADMINISTRATOR, Role.AUDITOR}
        )
        assert not may_administer(key_of(who, *set(Scope) - {Scope.ADMINISTRATION}))
        assert not may_read_sessions(key_of(who, *set(Scope) - {Scope.SESSIONS_READ}))


HEARS_ANNA = frozenset({Hearing(ANNA)})
KEPT, UNKEPT = RecordingState.RECORDING, RecordingState.UNKEPT
GRACE, QUARANTINED = RecordingState.GRACE, RecordingState.QUARANTINED


@pytest.mark.parametrize(
    ("scope", "seen", "commands"),
    [
        (person(), {KEPT, UNKEPT, GRACE}, True),
        (person(access="none"), {KEPT, UNKEPT, GRACE}, True),
        (person(role=Role.ADMINISTRATOR), {KEPT, UNKEPT, GRACE, QUARANTINED}, True),
        (person(BOB), set(), False),
        (person(BOB, heard=HEARS_ANNA), {KEPT}, False),
        (person(BOB, Role.ADMINISTRATOR), {KEPT, QUARANTINED}, False),
        (person(BOB, Role.AUDITOR), {KEPT, QUARANTINED}, False),
        (client(Scope.CALLS_READ), {KEPT, UNKEPT, GRACE, QUARANTINED}, False),
        (client(Scope.CALLS_CONTROL), set(), True),
        (client(*set(Scope) - {Scope.CALLS_READ, Scope.CALLS_CONTROL}), set(), False),
        (client(), set(), False),
        (key_of(person(), Scope.CALLS_READ), {KEPT, UNKEPT, GRACE}, False),
        (key_of(person(), Scope.CALLS_CONTROL), set(), True),
        (key_of(person(), Scope.RECORDINGS_READ), set(), False),
        (key_of(person(BOB), *Scope), set(), False),
        (key_of(person(BOB, heard=HEARS_ANNA), Scope.CALLS_READ), {KEPT}, False),
        (key_of(person(BOB, Role.AUDITOR), Scope.CALLS_READ), {KEPT, QUARANTINED}, False),
    ],
)
def test_a_call_under_way_is_seen_and_commanded_by_exactly_these(
    scope: AccessScope, seen: set[RecordingState], commands: bool
) -> None:
    owners = {KEPT: ANNA, UNKEPT: ANNA, GRACE: ANNA, QUARANTINED: None}
    assert {state for state, owner in owners.items() if may_see_call(scope, owner, state)} == seen
    assert may_command(scope, ANNA) == commands


def test_a_call_of_nobody_is_commanded_by_no_person() -> None:
    nobody = AccessScope(BAKERY, "user:x", Role.USER, None, "own")
    for scope in (person(), person(role=Role.ADMINISTRATOR), nobody):
        assert not may_command(scope, None)
    assert not may_see_call(nobody, None, KEPT)
    assert may_command(client(Scope.CALLS_CONTROL), None)


def test_own_settings_are_a_persons_and_need_the_scope_of_their_key() -> None:
    assert may_change_own_settings(person())
    assert may_change_own_settings(key_of(person(), Scope.SETTINGS))
    assert not may_change_own_settings(key_of(person(), *set(Scope) - {Scope.SETTINGS}))
    assert not may_change_own_settings(client(*Scope))


def test_an_operator_operates_and_reaches_nothing_else_whatever_their_key_says(
    recording: Recording,
) -> None:
    for scope in (person(role=Role.OPERATOR), key_of(person(role=Role.OPERATOR), *Scope)):
        assert may_operate(scope)
        assert {each for each in Scope if scope.permits(each)} == {Scope.OPERATION, Scope.SETTINGS}
        assert rights(scope, recording) == ""
    assert not may_operate(key_of(person(role=Role.OPERATOR), Scope.SETTINGS))
    for role in set(Role) - {Role.OPERATOR}:
        assert not may_operate(person(role=role))
        assert not may_operate(key_of(person(role=role), *Scope))
    assert not may_operate(client(*Scope))
