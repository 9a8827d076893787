"""What is late, waits or is stuck is counted over all tenants, so that an alarm finds it (I7, R1, R3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from archive.catalogue import retention_figures
from archive.catalogue.retention_figures import FAILURES_STUCK, Figure, Reading
from archive.errors import StoreUnavailable
from archive.model import ArchivedRecording, Tenant
from retention.due_time import ClockDisbelieved
from retention.figures import Figures
from retention.store_holds import StoreHolds
from tests.unit.retention.ageing import Ageing
from tests.unit.retention.holding import hold, release


def tally(ageing: Ageing, *tenants: Tenant, locks: bool = True) -> dict[Figure, int]:
    check = ageing.timekeeper(node="one").due_time
    figures = Figures(ageing.worker, ageing.house.clock, check, locks=locks)
    return figures.tally([tenant.id for tenant in tenants])


def kept(ageing: Ageing) -> dict[Figure, Reading]:
    """Return what is told of it to everybody."""
    return retention_figures.read(ageing.portal)


def away(*_: object) -> datetime:
    raise StoreUnavailable("this volume is away")


def refuse_deletions(ageing: Ageing, archived: ArchivedRecording) -> None:
    delete = ageing.store.delete

    def fail(key: str, version_id: str) -> None:
        if key.split("/")[1] == archived.recording.id:
            away()
        delete(key, version_id)

    ageing.store.delete = fail  # type: ignore[method-assign]


def test_of_an_archive_that_is_well_every_figure_is_nothing(
    ageing: Ageing, bakery: Tenant, florist: Tenant
) -> None:
    ageing.archive(bakery, days=10)
    ageing.archive(florist, days=1)
    ageing.live(days=1)
    ageing.sweep().batch(florist.id)
    tally(ageing, bakery, florist)
    found = kept(ageing)
    assert {figure: reading.value for figure, reading in found.items() if reading.value} == {}
    assert {reading.since for reading in found.values()} == {None}
    assert found[Figure.COUNTED].at == ageing.house.clock.now()


def test_i7_what_is_there_a_day_after_its_term_is_counted_and_no_second_before(
    ageing: Ageing, bakery: Tenant, florist: Tenant
) -> None:
    for tenant in (bakery, florist):
        ageing.archive(tenant, days=1)
    held = ageing.archive(bakery, days=1)
    hold(ageing, bakery, held)
    ageing.live(days=2, seconds=-1)
    assert tally(ageing, bakery, florist)[Figure.OVERDUE] == 0
    ageing.live(seconds=2)
    assert tally(ageing, bakery, florist)[Figure.OVERDUE] == 2, "one of each, and none that is held"
    assert kept(ageing)[Figure.OVERDUE].since == ageing.house.clock.now()
    for tenant in (bakery, florist):
        ageing.sweep().batch(tenant.id)
    assert tally(ageing, bakery, florist)[Figure.OVERDUE] == 0


def test_what_a_case_let_go_has_a_day_from_then_on(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery, days=1)
    case_id = hold(ageing, bakery, archived)
    ageing.live(days=30)
    release(ageing, bakery, case_id)
    assert tally(ageing, bakery)[Figure.OVERDUE] == 0
    ageing.live(days=1, seconds=1)
    assert tally(ageing, bakery)[Figure.OVERDUE] == 1


def test_holds_the_store_has_still_to_follow_are_counted_and_since_when(
    ageing: Ageing, bakery: Tenant
) -> None:
    both = [ageing.archive(bakery) for _ in range(2)]
    for archived in both:
        hold(ageing, bakery, archived)
    assert tally(ageing, bakery)[Figure.HOLDS_WAITING] == 2
    since = ageing.house.clock.now()
    ageing.live(minutes=30)
    following = StoreHolds(ageing.store, ageing.worker, ageing.house.clock)
    following.batch(bakery.id, 1)
    tally(ageing, bakery)
    found = kept(ageing)[Figure.HOLDS_WAITING]
    assert (found.value, found.since) == (1, since), "as long as it was never seen empty"
    following.batch(bakery.id)
    tally(ageing, bakery)
    assert kept(ageing)[Figure.HOLDS_WAITING] == Reading(0, ageing.house.clock.now(), None)


def test_of_a_store_that_has_no_holds_none_waits(ageing: Ageing, bakery: Tenant) -> None:
    hold(ageing, bakery, ageing.archive(bakery))
    assert tally(ageing, bakery, locks=False)[Figure.HOLDS_WAITING] == 0


def test_what_fails_again_and_again_is_stuck_and_what_failed_once_is_not(
    ageing: Ageing, bakery: Tenant
) -> None:
    archived = ageing.archive(bakery, days=1)
    refuse_deletions(ageing, archived)
    ageing.live(days=1)
    for failures in range(1, FAILURES_STUCK + 1):
        with pytest.raises(StoreUnavailable):
            ageing.sweep().batch(bakery.id)
        assert tally(ageing, bakery)[Figure.STUCK] == (failures == FAILURES_STUCK)
        ageing.live(hours=1)


def test_what_the_store_keeps_under_a_lock_of_its_own_is_stuck(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery, days=1)
    audio = archived.objects[0]
    ageing.store.set_legal_hold(audio.key, audio.version_id, held=True)
    ageing.live(days=1)
    ageing.sweep().batch(bakery.id)
    assert tally(ageing, bakery)[Figure.STUCK] == 1


def test_r3_a_clock_years_ahead_is_told_and_makes_nothing_look_overdue(
    ageing: Ageing, bakery: Tenant
) -> None:
    ageing.archive(bakery, days=10)
    ageing.set_clock(days=8 * 365)
    found = tally(ageing, bakery)
    assert (found[Figure.CLOCK_DISBELIEVED], found[Figure.OVERDUE]) == (1, 0)
    ageing.set_clock(days=-8 * 365)
    ageing.timekeeper().trust()  # the alarm itself stands years ahead in the log
    assert tally(ageing, bakery)[Figure.CLOCK_DISBELIEVED] == 0


def test_by_how_much_deletions_come_late_is_told(ageing: Ageing, bakery: Tenant) -> None:
    """Nobody measured how long the machine was off."""
    ageing.restart(hours=10)
    late = tally(ageing, bakery)[Figure.CLOCK_LATE_S]
    assert timedelta(hours=9) < timedelta(seconds=late) < timedelta(hours=11)


def test_while_the_store_is_away_what_is_overdue_is_counted_by_this_machine(
    ageing: Ageing, bakery: Tenant
) -> None:
    ageing.archive(bakery, days=1)
    ageing.live(days=3)
    figures = Figures(ageing.worker, ageing.house.clock, away, locks=True)
    found = figures.tally([bakery.id])
    assert found[Figure.OVERDUE] == 1
    assert Figure.CLOCK_DISBELIEVED not in found, "what nobody could ask is not said to be well"


def test_a_sweep_that_begins_is_remembered_and_one_by_a_bad_clock_is_none(ageing: Ageing) -> None:
    ageing.sweep().begin()
    began = ageing.house.clock.now()
    ageing.set_clock(days=365)
    with pytest.raises(ClockDisbelieved):
        ageing.sweep().begin()
    assert kept(ageing)[Figure.SWEEP].at == began


def test_idle_keys_that_stay_are_told(ageing: Ageing) -> None:
    figures = Figures(ageing.worker, ageing.house.clock, away, locks=True)
    figures.keys_swept(2)
    assert kept(ageing)[Figure.IDLE_KEYS_STUCK].value == 2
    figures.keys_swept(0)
    assert kept(ageing)[Figure.IDLE_KEYS_STUCK].since is None


def test_a_figure_of_a_newer_release_is_passed_over(ageing: Ageing, database: Any) -> None:
    database.connect().execute("INSERT INTO retention_figures (name, value, at) VALUES ('moons', 0, now())")
    assert kept(ageing) == {}
