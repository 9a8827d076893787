"""What takes two people: no one person comes there, in any order and with any mix of roles (promise S7)."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from archive.access import AccessScope, Scope
from archive.approval import (
    APPROVERS,
    LIFE,
    OF_OPERATOR,
    PROPOSERS,
    TRANSITIONS,
    Event,
    Kind,
    NotDecidable,
    NotYours,
    Proposal,
    State,
    grants_power,
    judge,
    loosens,
    may_propose,
    require_standing,
)
from archive.model import AboveCap, Role, TenantId, TenantPolicy, UserId

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
TENANT = TenantId("bakery")


def person(name: str, role: Role) -> AccessScope:
    return AccessScope(TENANT, f"user:{name}", role, UserId(name))


def proposal(kind: Kind = Kind.ROLE_GRANT, by: str = "user:anna", state: State = State.WAITING) -> Proposal:
    return Proposal("1", TENANT, kind, "user:x", {}, "", by, NOW, NOW + LIFE, state)


def may(event: Event, scope: AccessScope, of: Proposal | None = None, now: datetime = NOW) -> bool:
    try:
        judge(of or proposal(), event, scope, now)
    except (NotYours, NotDecidable):
        return False
    return True


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("roles", list(itertools.product(Role, repeat=2)))
def test_one_person_cannot_do_it_whatever_roles_they_have_one_after_the_other(
    kind: Kind, roles: tuple[Role, Role]
) -> None:
    """Nor by a key that acts as them, nor one of nobody's."""
    first, then = (person("anna", role) for role in roles)
    waiting = proposal(kind)
    assert not may(Event.APPROVE, first, waiting)
    assert not may(Event.APPROVE, then, waiting)
    keys = frozenset(map(str, Scope))
    assert not may(Event.APPROVE, replace(then, scopes=keys), waiting)
    assert not may(Event.APPROVE, AccessScope(TENANT, "api-client:1", scopes=keys), waiting)
    for scope in (replace(first, scopes=keys), AccessScope(TENANT, "api-client:1", scopes=keys)):
        assert not may_propose(scope, kind)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("kind", Kind)
def test_another_person_approves_and_refuses_by_their_role_alone(kind: Kind, role: Role) -> None:
    other = person("ben", role)
    assert may(Event.APPROVE, other, proposal(kind)) == (role in APPROVERS)
    assert may(Event.REFUSE, other, proposal(kind)) == (role in APPROVERS)
    assert not may(Event.WITHDRAW, other, proposal(kind))
    assert may_propose(other, kind) == (role in PROPOSERS[kind])
    assert may(Event.WITHDRAW, person("anna", role), proposal(kind))


def test_nothing_follows_on_a_decision_and_nothing_but_waiting_is_decided_on() -> None:
    assert {state for state, _ in TRANSITIONS} == {State.WAITING}
    assert set(TRANSITIONS.values()) == set(State) - {State.WAITING}
    for state, event in itertools.product(set(State) - {State.WAITING}, (Event.APPROVE, Event.REFUSE)):
        assert not may(event, person("ben", Role.AUDITOR), proposal(state=state))


@pytest.mark.parametrize(("late", "decidable"), [(timedelta(microseconds=-1), True), (timedelta(0), False)])
def test_a_proposal_lives_seven_days(late: timedelta, decidable: bool) -> None:
    assert may(Event.APPROVE, person("ben", Role.AUDITOR), now=NOW + LIFE + late) == decidable


def test_who_lost_the_role_meanwhile_neither_has_proposed_nor_approves() -> None:
    require_standing(proposal(), Role.ADMINISTRATOR, Role.AUDITOR)
    for gone in (Role.USER, Role.AUDITOR, None):
        with pytest.raises(NotDecidable):
            require_standing(proposal(), gone, Role.AUDITOR)
    for now in (Role.USER, None):
        with pytest.raises(NotYours):
            require_standing(proposal(), Role.ADMINISTRATOR, now)


def test_the_operator_proposes_the_destruction_of_keys_and_the_end_of_duties_and_nothing_else() -> None:
    for kind in Kind:
        by_operator = proposal(kind, "operator:0")
        if kind in OF_OPERATOR:
            require_standing(by_operator, None, Role.ADMINISTRATOR)
            assert not any(may_propose(person("anna", role), kind) for role in Role)
            continue
        with pytest.raises(NotDecidable):
            require_standing(by_operator, None, Role.ADMINISTRATOR)


@pytest.mark.parametrize(
    ("before", "after", "two"),
    [
        (TenantPolicy(), TenantPolicy(above_cap=AboveCap.DAYS_90), True),
        (TenantPolicy(), TenantPolicy(above_cap=AboveCap.STOP), True),
        (TenantPolicy(above_cap=AboveCap.STOP), TenantPolicy(above_cap=AboveCap.DAYS_90), False),
        (TenantPolicy(), TenantPolicy(exports_alone_max=101), True),
        (TenantPolicy(), TenantPolicy(exports_alone_max=99), False),
        (TenantPolicy(), TenantPolicy(keep_grace_h=72, purpose_required=True), False),
    ],
)
def test_keeping_less_and_letting_more_out_takes_two(
    before: TenantPolicy, after: TenantPolicy, two: bool
) -> None:
    assert loosens(before, after) == two


def test_both_roles_of_power_are_given_by_two() -> None:
    """Else an administrator would make their own second person."""
    for before, after in itertools.product(Role, repeat=2):
        assert grants_power(before, after) == (
            after is not before and after in {Role.ADMINISTRATOR, Role.AUDITOR}
        )
