"""The clocks are read, remembered when they are right, and told of when they are not (promise R3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from archive.catalogue import retention_clocks
from archive.catalogue.retention_clocks import GoodTime
from archive.errors import DependencyUnavailable, Refused
from archive.timestamp import TimeUnavailable
from retention import timekeeper as timekeeper_module
from retention.due_time import ClockDisbelieved
from retention.timekeeper import LATE, TRUST_DAYS_MAX, Uptime, machine_uptime
from tests.unit.retention.ageing import Ageing


def write_entry(ageing: Ageing) -> None:
    with ageing.house.audit.transaction(None) as connection:
        now = ageing.house.clock.now()
        ageing.house.audit.append(
            connection, tenant_id=None, actor="operator:0", action="x", object="x", at=now
        )


def alarms(database: Any) -> Any:
    query = "SELECT object, result FROM audit_entries WHERE action = 'retention.clock'"
    return database.connect().execute(query).fetchall()


def test_time_that_goes_by_is_believed_and_a_clock_that_is_set_is_not(ageing: Ageing) -> None:
    keeper = ageing.timekeeper()
    ageing.live(days=100)
    assert keeper.due_time() == ageing.house.clock.now()
    ageing.set_clock(seconds=61)
    with pytest.raises(ClockDisbelieved):
        keeper.due_time()
    ageing.set_clock(seconds=-1)
    keeper.due_time()


def test_a_worker_that_starts_later_goes_by_what_others_of_this_machine_remember(ageing: Ageing) -> None:
    ageing.live(days=30)
    assert ageing.timekeeper(node="two").due_time() == ageing.house.clock.now()


@pytest.mark.parametrize("heals", ["ntp", "operator"])
def test_after_a_restart_deletions_come_late_by_the_pause_until_the_clock_is_proved(
    ageing: Ageing, operator: Any, heals: str
) -> None:
    before = ageing.house.clock.now()
    ageing.restart(hours=5)
    keeper = ageing.timekeeper()
    assert keeper.due_time() == before
    ageing.live(hours=1)
    assert keeper.due_time() == before + timedelta(hours=1)
    if heals == "ntp":
        ageing.by_ntp = True
        keeper.due_time()
        ageing.by_ntp = False  # once is enough: from then on the time is measured
    else:
        ageing.timekeeper(operator, "operator").trust()
    ageing.live(hours=1)
    assert keeper.due_time() == ageing.house.clock.now()


@pytest.mark.parametrize("hours", [2, 71])
def test_r3_a_machine_that_starts_with_a_clock_ahead_by_hours_deletes_nothing_early(
    ageing: Ageing, recorder: Any, hours: int
) -> None:
    """Whoever looks, however often: worker, sweep or recorder."""
    true = ageing.house.clock.now()
    ageing.restart(minutes=1)
    ageing.set_clock(hours=hours)
    for _ in range(5):
        ageing.lock_clock(recorder).check()
        ageing.live(minutes=15)
        true += timedelta(minutes=15)
        assert ageing.timekeeper().due_time() <= true
        assert ageing.timekeeper(node="two").due_time() <= true


def test_a_clock_that_is_right_again_heals_itself(ageing: Ageing, recorder: Any) -> None:
    """Set by the battery at the start, and by NTP a minute later."""
    ageing.restart(seconds=30)
    ageing.set_clock(hours=2)
    ageing.lock_clock(recorder).check()
    ageing.timekeeper().due_time()
    ageing.live(seconds=60)
    ageing.set_clock(hours=-2)
    assert ageing.house.clock.now() - ageing.timekeeper().due_time() < timedelta(minutes=1)


def test_a_recorder_with_a_wrong_clock_keeps_no_other_from_archiving(ageing: Ageing, recorder: Any) -> None:
    """What it remembers for all is no more than was known before."""
    right, uptime = ageing.house.clock.now(), ageing.uptime
    ageing.uptime = Uptime("boot of B", 20.0)
    ageing.set_clock(hours=30)
    ageing.lock_clock(recorder, "recorder/B").check()
    ageing.set_clock(hours=-30)
    ageing.uptime = Uptime("boot of A", 20.0)
    ageing.lock_clock(recorder, "recorder/A").check()
    assert max(each.at for each in retention_clocks.good_times(recorder)) == right
    ageing.uptime = uptime
    assert ageing.timekeeper().due_time() == right


@pytest.mark.parametrize("days", [8 * 365, -400])
def test_a_machine_whose_clock_jumped_holds_up_no_other_once_it_is_right_again(
    ageing: Ageing, days: int
) -> None:
    """What it wrote to say that its clock is not believed is dated by that clock (found by `make soak`)."""
    ageing.timekeeper().due_time()
    ageing.set_clock(days=days)
    with pytest.raises(ClockDisbelieved):
        ageing.timekeeper(node="three").due_time()
    ageing.set_clock(days=-days)
    assert ageing.timekeeper().due_time() == ageing.house.clock.now()


def test_that_deletions_come_late_is_told_once(ageing: Ageing, database: Any) -> None:
    keeper = ageing.timekeeper()
    ageing.restart(hours=LATE.total_seconds() / 3600)
    keeper.due_time()
    assert alarms(database) == []
    ageing.restart(minutes=1)
    keeper.due_time()
    keeper.due_time()
    assert alarms(database) == [("node:one", "failed")]


def test_an_archive_that_is_empty_goes_by_the_clock_there_is(ageing: Ageing, database: Any) -> None:
    """There is nothing in it that could go too early."""
    database.connect().execute("TRUNCATE retention_clocks")
    ageing.set_clock(days=8 * 365)
    keeper = ageing.timekeeper()
    assert keeper.due_time() == ageing.house.clock.now()
    ageing.live(days=1)
    assert keeper.due_time() == ageing.house.clock.now()


def test_r3_without_any_memory_the_newest_recording_bounds_the_time(
    ageing: Ageing, recorder: Any, database: Any, bakery: Any
) -> None:
    """A database that was made anew believes no clock because somebody signed in under it."""
    made = ageing.archive(bakery).recording.started_at
    database.connect().execute("TRUNCATE retention_clocks")
    ageing.set_clock(hours=71)
    assert ageing.timekeeper().due_time() == made
    database.connect().execute("TRUNCATE retention_clocks")
    ageing.set_clock(days=8 * 365)
    write_entry(ageing)
    with pytest.raises(ClockDisbelieved, match="was off for"):
        ageing.timekeeper().due_time()


def test_the_first_look_ever_goes_by_the_audit_log(ageing: Ageing, database: Any) -> None:
    database.connect().execute("TRUNCATE retention_clocks")
    ageing.set_clock(days=8 * 365)
    write_entry(ageing)
    ageing.set_clock(days=-365)
    with pytest.raises(ClockDisbelieved, match="audit log has an entry"):
        ageing.timekeeper().due_time()


def test_the_operator_can_say_that_the_clock_is_right_whatever_was_written_by_a_wrong_one(
    ageing: Ageing, operator: Any
) -> None:
    """The entries of that time stay, and do not count any more."""
    ageing.set_clock(days=400)
    write_entry(ageing)
    ageing.set_clock(days=-399)
    keeper = ageing.timekeeper()
    with pytest.raises(ClockDisbelieved):
        keeper.due_time()
    assert ageing.timekeeper(operator, "operator").trust() == ageing.house.clock.now()
    assert keeper.due_time() == ageing.house.clock.now()
    ageing.live(days=2)
    assert keeper.due_time() == ageing.house.clock.now()


@pytest.mark.parametrize("restarts", [False, True])
def test_r3_one_operator_alone_moves_the_time_ahead_by_a_fortnight_at_most(
    ageing: Ageing, operator: Any, restarts: bool
) -> None:
    """Who runs the command without looking at the clock does not lose what is kept for years."""
    keeper, trusting = ageing.timekeeper(), ageing.timekeeper(operator, "operator")
    right = keeper.due_time()
    if restarts:
        ageing.restart()
    ageing.set_clock(days=TRUST_DAYS_MAX, seconds=1)
    before = retention_clocks.good_times(operator)
    with pytest.raises(Refused, match="EARWITNESS_TSA_URL"):
        trusting.trust()
    assert retention_clocks.good_times(operator) == before
    with pytest.raises(ClockDisbelieved):
        keeper.due_time()
    ageing.set_clock(seconds=-1)
    trusting.trust()
    assert keeper.due_time() == right + timedelta(days=TRUST_DAYS_MAX)


def test_r3_beyond_that_an_authority_has_to_tell_the_same_time(ageing: Ageing, operator: Any) -> None:
    keeper, trusting = ageing.timekeeper(), ageing.timekeeper(operator, "operator")
    right = keeper.due_time()

    def away() -> datetime:
        raise TimeUnavailable("away")

    ageing.set_clock(days=8 * 365)
    with pytest.raises(Refused, match=f"authority says {right:%Y-%m-%d}"):
        trusting.trust(lambda: right)
    with pytest.raises(TimeUnavailable):
        trusting.trust(away)
    with pytest.raises(ClockDisbelieved):
        keeper.due_time()
    now = ageing.house.clock.now()
    assert trusting.trust(lambda: now + timedelta(seconds=59)) == now
    assert keeper.due_time() == now


def test_r3_without_any_memory_the_newest_recording_bounds_what_one_operator_says(
    ageing: Ageing, operator: Any, database: Any, bakery: Any
) -> None:
    ageing.archive(bakery)
    database.connect().execute("TRUNCATE retention_clocks")
    ageing.set_clock(days=8 * 365)
    with pytest.raises(Refused):
        ageing.timekeeper(operator, "operator").trust()


def test_the_same_reason_is_written_down_once(ageing: Ageing, database: Any) -> None:
    keeper = ageing.timekeeper()
    ageing.set_clock(days=1)
    for _ in range(3):
        with pytest.raises(ClockDisbelieved):
            keeper.due_time()
    assert alarms(database) == [("node:one", "refused")]
    assert [each.node for each in retention_clocks.good_times(ageing.worker)] == ["one"]


def test_this_machine_tells_its_uptime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, second = machine_uptime(), machine_uptime()
    assert first.boot_id == second.boot_id
    assert 0 < first.seconds <= second.seconds
    monkeypatch.setattr(timekeeper_module, "UPTIME", tmp_path / "none")
    with pytest.raises(DependencyUnavailable, match="mount /proc"):
        machine_uptime()


def test_r3_nothing_is_locked_by_a_clock_eight_years_ahead_and_archived_when_it_is_right(
    ageing: Ageing, recorder: Any, bakery: Any
) -> None:
    """The recording waits in the journal, as for any part that is away."""
    watch = ageing.lock_clock(recorder)
    finished = ageing.make_finished(ageing.make_recording(bakery.id).recording)
    ageing.set_clock(days=8 * 365)
    ingest = ageing.house.ingest(believe=watch.check)
    with pytest.raises(ClockDisbelieved, match="did not go by"):
        ingest.archive(finished, ageing.outcome_of(finished))
    assert ageing.store.versions("") == []
    ageing.set_clock(days=-8 * 365)
    archived = ingest.archive(finished, ageing.outcome_of(finished))
    assert len(ageing.store.versions("")) == len(archived.objects)
    assert {each.node for each in retention_clocks.good_times(recorder)} == {"one", "recorder/one"}


def test_a_recorder_goes_on_after_a_restart_and_writes_once_a_minute(ageing: Ageing, recorder: Any) -> None:
    """What it writes is a bound; once it is proved it writes at once, and from then on what is right."""
    before = ageing.house.clock.now()
    watch = ageing.lock_clock(recorder)

    def known() -> GoodTime:
        return next(
            each for each in retention_clocks.good_times(recorder) if each.node.startswith("recorder")
        )

    ageing.restart(hours=5)
    watch.check()
    first = known()
    ageing.live(seconds=30)
    watch.check()
    assert known() == first
    ageing.live(seconds=30)
    watch.check()
    assert (known().at, known().exact) == (before + timedelta(seconds=60), False)
    ageing.by_ntp = True
    watch.check()
    assert (known().at, known().exact) == (ageing.house.clock.now(), True)
    ageing.by_ntp = False
    ageing.restart(days=4)
    with pytest.raises(ClockDisbelieved):
        watch.check()


def test_a_clock_that_is_hours_off_locks_and_is_not_remembered(ageing: Ageing, recorder: Any) -> None:
    """A host that found the time late keeps no recording waiting; the sweep goes by the clock of before."""
    watch = ageing.lock_clock(recorder)
    ageing.set_clock(hours=24)
    watch.check()
    assert [each.node for each in retention_clocks.good_times(recorder)] == ["one"]
    with pytest.raises(ClockDisbelieved):
        ageing.timekeeper().due_time()
    ageing.set_clock(seconds=1)
    with pytest.raises(ClockDisbelieved):
        watch.check()
