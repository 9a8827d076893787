"""R2 on the real rows and objects: a hold and a sweep, interleaved at every step, with workers that die."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta

from archive.audit import AuditWriter
from archive.catalogue import cases, destructions
from archive.model import ArchivedRecording, Tenant
from retention.destruction import Destroyer, Outcome
from retention.store_holds import StoreHolds
from tests.unit.retention.ageing import Ageing
from tests.unit.retention.holding import (
    Killed,
    Steps,
    assert_destroyed,
    assert_held_and_whole,
    holding,
    person,
    stepping_sweep,
    swept,
)


def settle(ageing: Ageing, tenant: Tenant) -> None:
    """Let everything that was broken off come to its end."""
    for _ in range(3):
        ageing.live(minutes=destructions.CLAIM_MINUTES)
        StoreHolds(ageing.store, ageing.worker, ageing.house.clock).batch(tenant.id)
        ageing.sweep("last").batch(tenant.id)


def assert_answer_is_true(
    ageing: Ageing, tenant: Tenant, archived: ArchivedRecording, answers: list[str]
) -> None:
    settle(ageing, tenant)
    (answer,) = answers
    if answer == "held":
        assert_held_and_whole(ageing, tenant, archived)
    else:
        assert_destroyed(ageing, tenant, archived)


def count_of_steps(ageing: Ageing, tenant: Tenant) -> int:
    steps, archived = Steps(), ageing.archive(tenant, days=0.001)
    ageing.live(days=1)
    assert swept(stepping_sweep(ageing, steps), tenant)
    assert_destroyed(ageing, tenant, archived)
    return steps.count


def test_r2_a_hold_at_any_step_of_a_sweep_is_true_to_its_answer(ageing: Ageing, bakery: Tenant) -> None:
    """On the real rows and objects: held and whole, or refused with the time and destroyed."""
    told = []
    for at in range(1, count_of_steps(ageing, bakery) + 1):
        archived, answers, steps = ageing.archive(bakery, days=0.001), [], Steps()
        ageing.live(days=1)
        steps.at[at] = holding(ageing, bakery, archived, answers)
        assert swept(stepping_sweep(ageing, steps), bakery)
        assert_answer_is_true(ageing, bakery, archived, answers)
        told += answers
    assert told == sorted(told, reverse=True), "once it is too late it stays too late"
    assert set(told) == {"held", "409"}


def test_r2_a_worker_that_dies_at_any_step_changes_no_answer(ageing: Ageing, bakery: Tenant) -> None:
    """The hold comes while the claim of the dead worker stands."""

    def die() -> None:
        raise Killed

    told = []
    for at in range(1, count_of_steps(ageing, bakery) + 1):
        archived, answers, steps = ageing.archive(bakery, days=0.001), [], Steps()
        ageing.live(days=1)
        steps.at[at] = die
        assert not swept(stepping_sweep(ageing, steps), bakery)
        holding(ageing, bakery, archived, answers)()
        assert_answer_is_true(ageing, bakery, archived, answers)
        told += answers
    assert set(told) == {"held", "409"}


def test_r2_a_hold_and_a_death_at_any_two_steps(ageing: Ageing, bakery: Tenant) -> None:
    """Some pairs of steps; the model walks them all."""

    def die() -> None:
        raise Killed

    count = count_of_steps(ageing, bakery)
    pairs = list(itertools.combinations(range(1, count + 1), 2))[::31]
    for held_at, dies_at in pairs:
        archived, answers, steps = ageing.archive(bakery, days=0.001), [], Steps()
        ageing.live(days=1)
        steps.at = {held_at: holding(ageing, bakery, archived, answers), dies_at: die}
        swept(stepping_sweep(ageing, steps), bakery)
        assert_answer_is_true(ageing, bakery, archived, answers)


def test_r2_a_claim_waits_for_a_hold_that_is_being_acknowledged(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery)
    ageing.live(days=91)
    scope, now = person(bakery, "anna"), ageing.house.clock.now()
    audit = AuditWriter(ageing.worker, "worker/one")
    destroyer = Destroyer(ageing.store, ageing.worker, audit, ageing.house.clock)
    answers: list[Outcome] = []
    claiming = threading.Thread(
        target=lambda: answers.append(destroyer.destroy(bakery.id, archived.recording.id, now))
    )
    with ageing.portal.transaction(bakery.id) as connection:
        case_id = cases.open_case(connection, scope, "", "A claim", now=now)
        cases.add_one(connection, scope, case_id, archived.recording.id, now=now)
        claiming.start()
        claiming.join(0.3)
        assert claiming.is_alive(), "it waits for the row"
    claiming.join(20)
    assert answers == [Outcome.ELSEWHERE]
    assert_held_and_whole(ageing, bakery, archived)


def test_r2_a_hold_waits_for_a_claim_and_learns_that_it_is_too_late(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery)
    ageing.live(days=91)
    now, answers = ageing.house.clock.now(), []
    placing = threading.Thread(target=holding(ageing, bakery, archived, answers))
    with ageing.worker.transaction(bakery.id) as connection:
        claimed = destructions.claim(
            connection, bakery.id, archived.recording.id, claim="x", until=now, now=now
        )
        assert claimed is not None
        placing.start()
        placing.join(0.3)
        assert placing.is_alive(), "it waits for the row"
    placing.join(20)
    assert answers == ["409"]
    assert ageing.house.clock.now() - now < timedelta(seconds=1)


def test_r2_a_hold_that_waits_for_the_end_of_a_destruction_learns_it_too(
    ageing: Ageing, bakery: Tenant
) -> None:
    """The row it waits for is replaced by what a destroyed recording leaves."""
    archived = ageing.archive(bakery)
    ageing.live(days=91)
    now, answers = ageing.house.clock.now(), []
    with ageing.worker.transaction(bakery.id) as connection:
        claimed = destructions.claim(
            connection, bakery.id, archived.recording.id, claim="x", until=now, now=now
        )
        assert claimed is not None
        planned = destructions.plan(connection, claimed, [])
    placing = threading.Thread(target=holding(ageing, bakery, archived, answers))
    with ageing.worker.transaction(bakery.id) as connection:
        destructions.erase(connection, planned, now=now)
        placing.start()
        placing.join(0.3)
        assert placing.is_alive(), "it waits for the row"
    placing.join(20)
    assert answers == ["409"]
