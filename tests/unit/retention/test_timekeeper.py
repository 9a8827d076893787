"""The clocks are read, remembered when they are right, and told of when they are not (promise R3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archive.catalogue import retention_clocks
from archive.errors import DependencyUnavailable
from retention import timekeeper as timekeeper_module
from retention.due_time import ClockDisbelieved
from retention.timekeeper import LockClock, machine_uptime
from tests.unit.retention.ageing import Ageing


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


def test_after_a_restart_nothing_more_is_over_at_first(ageing: Ageing) -> None:
    before = ageing.house.clock.now()
    ageing.restart(hours=5)
    keeper = ageing.timekeeper()
    assert keeper.due_time() == before
    assert keeper.due_time() == ageing.house.clock.now()


def test_the_first_look_ever_goes_by_the_audit_log(ageing: Ageing, database: Any) -> None:
    database.connect().execute("TRUNCATE retention_clocks")
    ageing.set_clock(days=8 * 365)
    with ageing.house.audit.transaction(None) as connection:
        ageing.house.audit.append(
            connection,
            tenant_id=None,
            actor="operator:0",
            action="x",
            object="x",
            at=ageing.house.clock.now(),
        )
    ageing.set_clock(days=-365)
    with pytest.raises(ClockDisbelieved, match="audit log has an entry"):
        ageing.timekeeper().due_time()


def test_the_operator_can_say_that_the_clock_is_right_whatever_was_written_by_a_wrong_one(
    ageing: Ageing, operator: Any
) -> None:
    """The entries of that time stay, and do not count any more."""
    ageing.set_clock(days=400)
    with ageing.house.audit.transaction(None) as connection:
        ageing.house.audit.append(
            connection,
            tenant_id=None,
            actor="operator:0",
            action="x",
            object="x",
            at=ageing.house.clock.now(),
        )
    ageing.set_clock(days=-399)
    keeper = ageing.timekeeper()
    with pytest.raises(ClockDisbelieved):
        keeper.due_time()
    assert ageing.timekeeper(operator, "operator").trust() == ageing.house.clock.now()
    assert keeper.due_time() == ageing.house.clock.now()
    ageing.live(days=2)
    assert keeper.due_time() == ageing.house.clock.now()


def test_the_same_reason_is_written_down_once(ageing: Ageing, database: Any) -> None:
    keeper = ageing.timekeeper()
    ageing.set_clock(days=1)
    for _ in range(3):
        with pytest.raises(ClockDisbelieved):
            keeper.due_time()
    written = database.connect().execute(
        "SELECT object, result FROM audit_entries WHERE action = 'retention.clock'"
    )
    assert written.fetchall() == [("node:one", "refused")]
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
    watch = LockClock(recorder, ageing.house.clock, "recorder/one", lambda: ageing.uptime)
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
    watch = LockClock(recorder, ageing.house.clock, "recorder/one", lambda: ageing.uptime)
    ageing.restart(hours=5)
    watch.check()
    first = retention_clocks.good_times(recorder)[0]
    ageing.live(seconds=30)
    watch.check()
    assert retention_clocks.good_times(recorder)[0] == first
    ageing.live(seconds=30)
    watch.check()
    assert retention_clocks.good_times(recorder)[0].at == ageing.house.clock.now()
    ageing.restart(days=4)
    with pytest.raises(ClockDisbelieved):
        watch.check()


def test_a_clock_that_is_hours_off_locks_and_is_not_remembered(ageing: Ageing, recorder: Any) -> None:
    """A host that found the time late keeps no recording waiting; the sweep goes by the clock of before."""
    watch = LockClock(recorder, ageing.house.clock, "recorder/one", lambda: ageing.uptime)
    ageing.set_clock(hours=24)
    watch.check()
    assert [each.node for each in retention_clocks.good_times(recorder)] == ["one"]
    with pytest.raises(ClockDisbelieved):
        ageing.timekeeper().due_time()
    ageing.set_clock(seconds=1)
    with pytest.raises(ClockDisbelieved):
        watch.check()
