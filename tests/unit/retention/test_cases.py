"""What a case holds stays, from the answer on, until two people release it (promise R1)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from archive.access import AccessScope, Scope, may_hold, may_release
from archive.approval import LIFE
from archive.audit import AuditWriter
from archive.catalogue import cases, directory
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.recordings import RecordingQuery
from archive.errors import Conflict, NotFound, Refused
from archive.model import Role, Tenant, UserId
from retention.store_holds import StoreHolds
from tests.unit.retention.ageing import Ageing, Stubborn
from tests.unit.retention.holding import (
    Killed,
    assert_destroyed,
    assert_held_and_whole,
    enter,
    hold,
    on_hold,
    opened,
    person,
    release,
)


def test_r1_what_a_case_holds_outlives_its_term_and_goes_after_the_release(
    ageing: Ageing, bakery: Tenant
) -> None:
    archived = ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)
    ageing.live(days=1000)
    ageing.sweep().batch(bakery.id)
    assert_held_and_whole(ageing, bakery, archived)
    release(ageing, bakery, case_id)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)


def test_two_cases_hold_until_both_are_released(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery)
    first, second = hold(ageing, bakery, archived), hold(ageing, bakery, archived)
    release(ageing, bakery, first)
    assert on_hold(ageing, bakery, archived)
    release(ageing, bakery, second)
    assert not on_hold(ageing, bakery, archived)


def test_a_release_takes_two_people_and_no_key(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery)
    case_id, now = hold(ageing, bakery, archived), ageing.house.clock.now()
    anna, ben = person(bakery, "anna"), person(bakery, "ben", Role.ADMINISTRATOR)
    enter(ageing.portal, anna, ben)
    key = AccessScope(bakery.id, "api-client:1", scopes=frozenset({Scope.HOLDS}))
    acting = AccessScope(
        bakery.id, "user:ben", Role.ADMINISTRATOR, UserId("ben"), scopes=frozenset({Scope.HOLDS})
    )
    assert may_hold(key)
    assert not may_release(key)
    assert not may_release(acting)

    def tries(act: Callable[[Connection], object], error: type[Exception]) -> None:
        with pytest.raises(error), ageing.portal.transaction(bakery.id) as connection:
            act(connection)

    tries(lambda c: cases.grant_release(c, ben, case_id, now=now), Conflict)
    tries(lambda c: cases.ask_release(c, key, case_id, "x", now=now), Refused)
    with ageing.portal.transaction(bakery.id) as connection:
        cases.ask_release(connection, anna, case_id, "Settled", now=now)
    tries(lambda c: cases.ask_release(c, ben, case_id, "x", now=now), Conflict)
    tries(lambda c: cases.grant_release(c, anna, case_id, now=now), Refused)
    tries(lambda c: cases.grant_release(c, key, case_id, now=now), Refused)
    with ageing.portal.transaction(bakery.id) as connection:
        cases.refuse_release(connection, ben, case_id)
    tries(lambda c: cases.grant_release(c, ben, case_id, now=now), Conflict)
    assert on_hold(ageing, bakery, archived)
    release(ageing, bakery, case_id)
    assert not on_hold(ageing, bakery, archived)
    tries(lambda c: cases.add(c, anna, case_id, [archived.recording.id], now=now), Conflict)


@pytest.mark.parametrize("asked_by", ["who let in", "who was let in"])
def test_whom_one_person_let_in_releases_nothing_with_them(
    ageing: Ageing, bakery: Tenant, asked_by: str
) -> None:
    """Who sends somebody a link or sets their second factor anew can sign in as them, and would be alone."""
    ada, otto = person(bakery, "ada", Role.ADMINISTRATOR), person(bakery, "otto")
    carl = person(bakery, "carl")
    enter(ageing.portal, ada, otto, carl)
    archived = ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)
    audit, clock = AuditWriter(ageing.portal, "portal/test"), ageing.house.clock
    with audit.transaction(bakery.id) as connection:
        asker, granter = (ada, otto) if asked_by == "who let in" else (otto, ada)
        cases.ask_release(connection, asker, case_id, "Settled", now=clock.now())
        helped = {"actor": ada.actor, "action": "second-factor.reset", "object": otto.actor}
        audit.append(connection, tenant_id=bakery.id, at=clock.now(), **helped)
    with (
        pytest.raises(Refused, match="can't be told from one person"),
        ageing.portal.transaction(bakery.id) as connection,
    ):
        cases.grant_release(connection, granter, case_id, now=clock.now())
    assert_held_and_whole(ageing, bakery, archived)
    with ageing.portal.transaction(bakery.id) as connection:
        cases.grant_release(connection, carl, case_id, now=clock.now())


@pytest.mark.parametrize("lost", ["anna", "ben"])
def test_a_release_asks_the_roles_both_people_have_at_that_moment(
    ageing: Ageing, operator: Catalogue, bakery: Tenant, lost: str
) -> None:
    anna, ben = person(bakery, "anna"), person(bakery, "ben", Role.ADMINISTRATOR)
    enter(ageing.portal, anna, ben)
    case_id, now = hold(ageing, bakery, ageing.archive(bakery)), ageing.house.clock.now()
    with ageing.portal.transaction(bakery.id) as connection:
        cases.ask_release(connection, anna, case_id, "Settled", now=now)
    directory.set_user(operator, bakery.id, f"as-{lost}", now=now, role=Role.USER)
    with (
        pytest.raises((Refused, Conflict), match=r"lost the role|for an administrator or auditor"),
        ageing.portal.transaction(bakery.id) as connection,
    ):
        cases.grant_release(connection, ben, case_id, now=now)
    assert cases.get(ageing.portal, anna, case_id).state == "release asked"


def test_what_was_asked_for_too_long_ago_is_asked_for_anew(ageing: Ageing, bakery: Tenant) -> None:
    anna, ben = person(bakery, "anna"), person(bakery, "ben", Role.ADMINISTRATOR)
    enter(ageing.portal, anna, ben)
    case_id, asked_at = hold(ageing, bakery, ageing.archive(bakery)), ageing.house.clock.now()

    def asks(scope: AccessScope, after: timedelta) -> None:
        with ageing.portal.transaction(bakery.id) as connection:
            cases.ask_release(connection, scope, case_id, "Settled", now=asked_at + after)

    def grants(after: timedelta) -> None:
        with ageing.portal.transaction(bakery.id) as connection:
            cases.grant_release(connection, ben, case_id, now=asked_at + after)

    asks(anna, timedelta())
    with pytest.raises(Conflict, match="too long ago"):
        grants(LIFE)
    with pytest.raises(Conflict, match="asked for already"):
        asks(anna, LIFE - timedelta(seconds=1))
    asks(anna, LIFE)
    grants(2 * LIFE - timedelta(seconds=1))
    assert cases.get(ageing.portal, anna, case_id).state == "released"


def test_the_database_itself_lets_nobody_forget_a_hold_or_release_alone(
    ageing: Ageing, database: Any, bakery: Tenant
) -> None:
    archived = ageing.archive(bakery)
    hold(ageing, bakery, archived)
    portal = database.connect("earwitness_portal", bakery.id)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="a case holds"):
        portal.execute("UPDATE recordings SET on_hold = false")
    with pytest.raises(psycopg.errors.CheckViolation):
        portal.execute(
            "UPDATE cases SET release_reason = 'x', release_asked_by = 'user:a', release_asked_at = now(),"
            " released_by = 'user:a', released_at = now()"
        )
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
        portal.execute("DELETE FROM case_recordings")


def test_a_user_can_hold_nothing(ageing: Ageing, bakery: Tenant) -> None:
    with pytest.raises(Refused):
        opened(ageing.portal, person(bakery, "carl", Role.USER), ageing)


def test_what_a_search_finds_is_held_at_once_and_told(ageing: Ageing, bakery: Tenant) -> None:
    found = [ageing.archive(bakery) for _ in range(3)]
    scope, now = person(bakery, "anna"), ageing.house.clock.now()
    case_id = opened(ageing.portal, scope, ageing)
    with ageing.portal.transaction(bakery.id) as connection:
        added = cases.add_search(connection, scope, case_id, RecordingQuery(text="0612345678"), now=now)
    assert (added.held, set(added.first)) == (3, {each.recording.id for each in found})
    assert all(on_hold(ageing, bakery, each) for each in found)
    case = cases.get(ageing.portal, scope, case_id)
    assert (case.recordings, case.held_by_store, case.state) == (3, 0, "holding")
    administrator = person(bakery, "ben", Role.ADMINISTRATOR)
    with pytest.raises(Refused, match="auditor"), ageing.portal.transaction(bakery.id) as connection:
        cases.add_search(connection, administrator, case_id, RecordingQuery(), now=now)
    first, cursor = cases.members(ageing.portal, scope, case_id, 2, None)
    rest, none = cases.members(ageing.portal, scope, case_id, 2, cursor)
    assert {each.recording_id for each in (*first, *rest)} == set(added.first)
    assert none is None


def test_of_another_tenant_nothing_is_held(ageing: Ageing, bakery: Tenant, florist: Tenant) -> None:
    archived = ageing.archive(florist)
    with pytest.raises(NotFound):
        hold(ageing, bakery, archived)
    case_id = opened(ageing.portal, person(florist, "x"), ageing)
    with pytest.raises(NotFound):
        cases.get(ageing.portal, person(bakery, "anna"), case_id)


def test_later_calls_come_into_a_case_by_the_number_or_the_person(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    """Whatever way the number is written; calls of others do not."""
    anna = directory.add_user(operator, bakery.id, "anna", now=ageing.house.clock.now())
    before = ageing.archive(bakery)
    scope, now = person(bakery, "anna"), ageing.house.clock.now()
    by_number, by_person = (opened(ageing.portal, scope, ageing, name) for name in ("n", "p"))
    with ageing.portal.transaction(bakery.id) as connection:
        cases.add_rule(connection, scope, by_number, None, "0031 6 1234 5678", now=now)
        cases.add_rule(connection, scope, by_person, anna.id, None, now=now)
    stranger = ageing.archive(bakery, parties=())
    of_number, of_person = ageing.archive(bakery), ageing.archive(bakery, parties=(), owner=anna.id)
    assert [on_hold(ageing, bakery, each) for each in (before, stranger, of_number, of_person)] == [
        False,
        False,
        True,
        True,
    ]
    held = cases.members(ageing.portal, scope, by_number, 10, None)[0]
    assert [(each.recording_id, each.added_by) for each in held] == [(of_number.recording.id, "service:rule")]
    release(ageing, bakery, by_number)
    assert not on_hold(ageing, bakery, of_number)
    assert not on_hold(ageing, bakery, ageing.archive(bakery))


def test_a_rule_is_ended_without_letting_anything_go(ageing: Ageing, bakery: Tenant) -> None:
    """By then archived calls stay held, later ones are not; another rule of the case goes on."""
    scope, now = person(bakery, "anna"), ageing.house.clock.now()
    case_id = opened(ageing.portal, scope, ageing)
    with ageing.portal.transaction(bakery.id) as connection:
        rule = cases.add_rule(connection, scope, case_id, None, "0031 6 1234 5678", now=now)
        other = cases.add_rule(connection, scope, case_id, None, "0201234999", now=now)
    before = ageing.archive(bakery)
    with ageing.portal.transaction(bakery.id) as connection:
        assert cases.end_rule(connection, scope, case_id, rule.id, now=now) == rule
    assert cases.get(ageing.portal, scope, case_id).rules == (other,)
    assert [on_hold(ageing, bakery, each) for each in (before, ageing.archive(bakery))] == [True, False]
    with pytest.raises(NotFound), ageing.portal.transaction(bakery.id) as connection:
        cases.end_rule(connection, scope, case_id, rule.id, now=now)
    release(ageing, bakery, case_id)
    with pytest.raises(Conflict), ageing.portal.transaction(bakery.id) as connection:
        cases.end_rule(connection, scope, case_id, other.id, now=now)


def test_a_rule_that_was_ended_makes_room_for_another(ageing: Ageing, bakery: Tenant) -> None:
    scope, now = person(bakery, "anna"), ageing.house.clock.now()
    case_id = opened(ageing.portal, scope, ageing)
    with ageing.portal.transaction(bakery.id) as connection:
        for number in range(cases.RULES_COUNT_MAX):
            last = cases.add_rule(connection, scope, case_id, None, f"020{1234500 + number}", now=now)
        cases.end_rule(connection, scope, case_id, last.id, now=now)
        cases.add_rule(connection, scope, case_id, None, "0201234999", now=now)


def test_rules_are_bounded_and_name_somebody(ageing: Ageing, bakery: Tenant) -> None:
    scope, now = person(bakery, "anna"), ageing.house.clock.now()
    case_id = opened(ageing.portal, scope, ageing)
    with pytest.raises(NotFound), ageing.portal.transaction(bakery.id) as connection:
        cases.add_rule(connection, scope, case_id, UserId("nobody"), None, now=now)
    with pytest.raises(Refused, match="no number"), ageing.portal.transaction(bakery.id) as connection:
        cases.add_rule(connection, scope, case_id, None, " ", now=now)
    with ageing.portal.transaction(bakery.id) as connection:
        for number in range(cases.RULES_COUNT_MAX):
            cases.add_rule(connection, scope, case_id, None, f"020{1234500 + number}", now=now)
    with pytest.raises(Refused, match="at most"), ageing.portal.transaction(bakery.id) as connection:
        cases.add_rule(connection, scope, case_id, None, "0201234999", now=now)


def test_the_holds_of_the_store_follow_and_go_last(ageing: Ageing, bakery: Tenant) -> None:
    """A second lock: even who forgot to ask the database can delete none of it."""
    archived = ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)
    keeping = StoreHolds(ageing.store, ageing.worker, ageing.house.clock)
    assert keeping.batch(bakery.id).remaining == 0
    assert all(ageing.store.legal_hold(item.key, item.version_id) for item in archived.objects)
    assert cases.get(ageing.portal, person(bakery, "x"), case_id).held_by_store == 1
    ageing.live(days=91)
    with pytest.raises(Refused):
        ageing.store.delete(archived.objects[0].key, archived.objects[0].version_id)
    release(ageing, bakery, case_id)
    assert ageing.sweep().batch(bakery.id).destroyed == 0, "the store holds it still"
    assert keeping.batch(bakery.id).done == 1
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)


def test_a_hold_of_the_store_that_broke_off_is_never_forgotten(ageing: Ageing, bakery: Tenant) -> None:
    """Released before it was set to the end: what stands of it is taken off."""
    archived = ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)

    class Breaking(Stubborn):
        def set_legal_hold(self, key: str, version_id: str, *, held: bool) -> None:
            super().set_legal_hold(key, version_id, held=held)
            raise Killed

    ageing.store.__class__ = Breaking
    with pytest.raises(Killed):
        StoreHolds(ageing.store, ageing.worker, ageing.house.clock).batch(bakery.id)
    ageing.store.__class__ = Stubborn
    release(ageing, bakery, case_id)
    StoreHolds(ageing.store, ageing.worker, ageing.house.clock).batch(bakery.id)
    assert not any(ageing.store.legal_hold(item.key, item.version_id) for item in archived.objects)
