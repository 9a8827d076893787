"""The clocks are read, remembered when they are right, and told of when they are not (promise R3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archive.catalogue import retention_clocks
from archive.errors import DependencyUnavailable
from retention import timekeeper as timekeeper_module
from retention.due_time import ClockDisbelieved
from retention.timekeeper import machine_uptime
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
