"""All that a search finds comes under a hold at once; what is too late to hold is told, and nothing else."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from archive.catalogue import case_search, cases, destructions
from archive.catalogue.case_search import Added
from archive.catalogue.recording_query import RecordingQuery
from archive.errors import Conflict, NotFound, Refused
from archive.model import ArchivedRecording, RecordingState, Tenant
from tests.unit.retention.ageing import Ageing
from tests.unit.retention.holding import assert_held_and_whole, grant, hold, on_hold, opened, person, release
from tests.unit.retention.test_early_destruction import state_of

EVERYTHING = RecordingQuery()


def hold_search(ageing: Ageing, tenant: Tenant, query: RecordingQuery = EVERYTHING) -> tuple[str, Added]:
    """Hold what a search finds as the portal does, in one transaction with the case."""
    scope, now = person(tenant, "anna"), ageing.house.clock.now()
    with ageing.portal.transaction(tenant.id) as connection:
        case_id = cases.open_case(connection, scope, "Claim 12", "A claim", now=now)
        return case_id, cases.add_search(connection, scope, case_id, query, now=now)


def in_case(ageing: Ageing, tenant: Tenant, case_id: str) -> set[str]:
    found, _ = cases.members(ageing.portal, person(tenant, "anna"), case_id, 100, None)
    return {each.recording_id for each in found}


def claim(ageing: Ageing, tenant: Tenant, archived: ArchivedRecording) -> Any:
    """Begin the destruction of a recording; return the transaction, which is not committed."""
    now = ageing.house.clock.now()
    transaction = ageing.worker.transaction(tenant.id)
    connection = transaction.__enter__()
    assert destructions.claim(
        connection,
        tenant.id,
        archived.recording.id,
        claim="c",
        until=archived.recording.retain_until,
        now=now,
    )
    return transaction


def waits_for_a_lock(database: Any) -> bool:
    statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    for _ in range(500):
        if database.connect().execute(statement).fetchone() != (0,):
            return True
        time.sleep(0.02)
    return False


def test_what_begins_to_go_while_a_search_is_held_is_told_and_the_rest_is_held(
    ageing: Ageing, bakery: Tenant, database: Any
) -> None:
    """R2: never acknowledged and gone. What else changed of a row meanwhile stays changed."""
    going, changed, stays = (ageing.archive(bakery) for _ in range(3))
    claiming = claim(ageing, bakery, going)
    changing = ageing.worker.transaction(bakery.id)
    of_it = {"id": changed.recording.id}
    changing.__enter__().exec_driver_sql("UPDATE recordings SET term_behind = true WHERE id = %(id)s", of_it)
    answers: list[tuple[str, Added]] = []
    asking = threading.Thread(target=lambda: answers.append(hold_search(ageing, bakery)))
    asking.start()
    assert waits_for_a_lock(database)
    for transaction in (claiming, changing):
        transaction.__exit__(None, None, None)
    asking.join(timeout=30)
    [(case_id, added)] = answers
    held = {changed.recording.id, stays.recording.id}
    assert added == Added(2, tuple(sorted(held)), (going.recording.id,))
    assert in_case(ageing, bakery, case_id) == held
    assert state_of(ageing, bakery, going) is RecordingState.DELETING
    row = database.connect().execute("SELECT on_hold, term_behind FROM recordings WHERE id = %(id)s", of_it)
    assert row.fetchall() == [(True, True)]
    ageing.live(days=91)
    ageing.sweep().attempt(bakery.id)
    for each in (changed, stays):
        assert_held_and_whole(ageing, bakery, each)


def test_what_another_case_just_lets_go_is_held_by_the_search(
    ageing: Ageing, bakery: Tenant, database: Any
) -> None:
    """R2: when the search looked first the other case still held it, and when it was its turn none did."""
    archived = ageing.archive(bakery)
    of_it = {"id": archived.recording.id}
    grant(ageing, bakery, hold(ageing, bakery, archived))
    letting_go = ageing.worker.transaction(bakery.id)
    let_go = "UPDATE recordings SET on_hold = false WHERE id = %(id)s"
    letting_go.__enter__().exec_driver_sql(let_go, of_it)
    answers: list[tuple[str, Added]] = []
    asking = threading.Thread(target=lambda: answers.append(hold_search(ageing, bakery)))
    asking.start()
    assert waits_for_a_lock(database)
    letting_go.__exit__(None, None, None)
    asking.join(timeout=30)
    assert answers[0][1] == Added(1, (archived.recording.id,))
    ageing.live(days=91)
    ageing.sweep().attempt(bakery.id)
    assert_held_and_whole(ageing, bakery, archived)


def test_a_sweep_that_comes_second_leaves_what_a_search_holds(ageing: Ageing, bakery: Tenant) -> None:
    kept = [ageing.archive(bakery) for _ in range(3)]
    hold_search(ageing, bakery)
    ageing.live(days=91)
    assert ageing.sweep().batch(bakery.id).destroyed == 0
    for each in kept:
        assert_held_and_whole(ageing, bakery, each)


def test_what_another_case_holds_already_is_held_by_both(ageing: Ageing, bakery: Tenant) -> None:
    """Released of one, it is held by the other; put in twice, it stands in a case once."""
    archived = ageing.archive(bakery)
    first = hold(ageing, bakery, archived)
    case_id, added = hold_search(ageing, bakery)
    assert added == Added(1, (archived.recording.id,))
    scope, now = person(bakery, "anna"), ageing.house.clock.now()
    with ageing.portal.transaction(bakery.id) as connection:
        assert cases.add_search(connection, scope, case_id, EVERYTHING, now=now) == added
    release(ageing, bakery, first)
    assert on_hold(ageing, bakery, archived)


def test_a_search_that_finds_nothing_holds_nothing_and_other_tenants_are_apart(
    ageing: Ageing, bakery: Tenant, florist: Tenant
) -> None:
    theirs = ageing.archive(florist)
    assert hold_search(ageing, bakery)[1] == Added(0)
    assert not on_hold(ageing, florist, theirs)


def test_above_the_limit_nothing_is_held_and_a_released_case_takes_nothing(
    ageing: Ageing, bakery: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [ageing.archive(bakery) for _ in range(3)]
    monkeypatch.setattr(case_search, "RECORDINGS_MAX", 2)
    with pytest.raises(Refused, match="At most 2 recordings"):
        hold_search(ageing, bakery)
    assert not any(on_hold(ageing, bakery, each) for each in kept)
    scope, now = person(bakery, "anna"), ageing.house.clock.now()
    case_id = opened(ageing.portal, scope, ageing)
    release(ageing, bakery, case_id)
    with pytest.raises(Conflict), ageing.portal.transaction(bakery.id) as connection:
        cases.add_search(connection, scope, case_id, EVERYTHING, now=now)
    with pytest.raises(NotFound), ageing.portal.transaction(bakery.id) as connection:
        cases.add_search(connection, scope, "nothing", EVERYTHING, now=now)
