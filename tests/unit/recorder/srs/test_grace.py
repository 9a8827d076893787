"""Calls that are over and that nobody kept: kept in time, or gone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from archive.model import OutcomeKind, RecordingMode
from recorder.srs import effects as do
from recorder.srs.recording_mode import Event
from recorder.srs.session import Command
from tests.unit.recorder.srs.conftest import Client
from tests.unit.recorder.srs.test_control import command, recorder_of


def test_an_unkept_call_waits_for_its_grace_and_is_then_destroyed() -> None:
    """Until then it has no outcome; afterwards nothing of it is left but one."""
    recorder = recorder_of(RecordingMode.ON_DEMAND, grace_h=2)
    client = Client(recorder)
    client.call()
    client.bye()
    held = recorder.one(do.HoldForGrace)
    assert held.state.grace_until_ns == recorder.now.wall_ns + 2 * 3600 * 10**9
    assert not recorder.of(do.ReportOutcome)
    assert not command(recorder, Event.PAUSE).obeyed
    recorder.monotonic_s += 2 * 3600
    recorder.carry_out(recorder.server.handle_timer(recorder.now))
    assert recorder.one(do.DestroyRecording).uid == held.uid
    outcomes = recorder.of(do.ReportOutcome)
    assert [(item.outcome.kind, item.final) for item in outcomes] == [
        (OutcomeKind.NOT_KEPT, False),
        (OutcomeKind.NOT_KEPT, True),
    ]
    assert recorder.server.command(held.uid, Command(Event.KEEP, "user:anna", "t"), recorder.now) is None


def test_a_call_kept_in_its_grace_is_archived_whole() -> None:
    """Also after a restart."""
    recorder = recorder_of(RecordingMode.ON_DEMAND, grace_h=2)
    client = Client(recorder)
    client.call()
    client.bye()
    held = recorder.one(do.HoldForGrace)
    again = recorder_of(RecordingMode.ON_DEMAND, grace_h=2)
    again.server.grace.restore(held.uid, held.state, again.now)
    effects = again.server.command(held.uid, Command(Event.KEEP, "user:anna", "t"), again.now)
    assert effects is not None
    finished, confirmed = effects
    assert isinstance(finished, do.FinishRecording)
    assert isinstance(confirmed, do.ConfirmCommand)
    assert (finished.state.kept, finished.state.edges[-1].kind, confirmed.obeyed) == (True, "keep", True)
    assert (finished.state.grace_until_ns, finished.state.capture) == (None, "ended")
    assert again.server.handle_timer(dataclasses.replace(again.now, wall_ns=again.now.wall_ns + 10**15)) == []


def test_a_call_cannot_be_kept_after_its_grace() -> None:
    """Though nobody came by to destroy it: the recorder was away."""
    recorder = recorder_of(RecordingMode.ON_DEMAND, grace_h=1)
    client = Client(recorder)
    client.call()
    client.bye()
    recorder.monotonic_s += 3600
    answer = command(recorder, Event.KEEP)
    assert (answer.obeyed, bool(answer.reason)) == (False, True)
    assert recorder.one(do.DestroyRecording)
    assert not recorder.of(do.FinishRecording)
    assert recorder.server.handle_timer(recorder.now) == []


HOUR_NS = 3600 * 10**9
YEARS_8_NS = 8 * 365 * 24 * HOUR_NS


def held_call(grace_h: int = 2) -> tuple[Any, do.HoldForGrace, do.Moment]:
    """Return a recorder with an unkept call in its grace, and when that began."""
    recorder = recorder_of(RecordingMode.ON_DEMAND, grace_h=grace_h)
    recorder.boot_id = "boot-1"
    client = Client(recorder)
    client.call()
    client.bye()
    return recorder, recorder.one(do.HoldForGrace), recorder.now


def later(now: do.Moment, *, hours: float, clock_ns: int = 0, boot_id: str = "boot-1") -> do.Moment:
    """Return the time after so many hours, with the clock set by so much beside."""
    return do.Moment(now.monotonic_s + hours * 3600, now.wall_ns + int(hours * HOUR_NS) + clock_ns, boot_id)


@pytest.mark.parametrize("clock_ns", [YEARS_8_NS, -YEARS_8_NS, 3 * HOUR_NS])
@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_that_is_set_ends_no_grace_early_nor_late(clock_ns: int, restarts: bool) -> None:
    """It is measured, also by a recorder that starts again within it."""
    recorder, held, now = held_call()
    if restarts:
        recorder = recorder_of(RecordingMode.ON_DEMAND)
        recorder.server.grace.restore(held.uid, held.state, later(now, hours=1, clock_ns=clock_ns))
    grace = recorder.server.grace
    grace.believe(now.wall_ns + 2 * YEARS_8_NS)  # of a call from before a restart; this one was measured
    early, over = (later(now, hours=hours, clock_ns=clock_ns) for hours in (1.99, 2))
    assert grace.over(early) == []
    assert not grace.waits_for_a_clock(early)
    assert any(isinstance(each, do.DestroyRecording) for each in grace.over(over))


@pytest.mark.parametrize("boot_id", ["boot-2", ""])
def test_after_a_start_of_the_machine_a_grace_ends_by_a_believed_clock_alone(boot_id: str) -> None:
    """Nobody measured how long it was off; the person may still keep the call while it waits."""
    _, held, now = held_call()
    grace = recorder_of(RecordingMode.ON_DEMAND).server.grace
    back = do.Moment(20.0, now.wall_ns + YEARS_8_NS, boot_id)
    grace.restore(held.uid, held.state, back)
    assert grace.over(back) == []
    assert grace.waits_for_a_clock(back)
    grace.believe(now.wall_ns + HOUR_NS)
    assert grace.over(back) == [], "the earlier of the two counts"
    grace.believe(now.wall_ns + 2 * HOUR_NS)
    assert grace.over(dataclasses.replace(back, wall_ns=now.wall_ns)) == []
    assert any(isinstance(each, do.DestroyRecording) for each in grace.over(back))
    assert not grace.waits_for_a_clock(back)


def test_without_any_clock_a_grace_is_over_when_its_length_was_measured_anew() -> None:
    """So that no unkept call stays for as long as nobody looks."""
    _, held, now = held_call()
    grace = recorder_of(RecordingMode.ON_DEMAND).server.grace
    back = do.Moment(20.0, now.wall_ns - YEARS_8_NS, "boot-2")
    grace.restore(held.uid, held.state, back)
    assert grace.over(later(back, hours=1.99, boot_id="boot-2")) == []
    assert grace.over(later(back, hours=2, boot_id="boot-2"))


def test_a_call_in_its_grace_is_kept_though_the_clock_jumped() -> None:
    recorder, held, now = held_call()
    jumped = later(now, hours=1, clock_ns=YEARS_8_NS)
    effects = recorder.server.command(held.uid, Command(Event.KEEP, "user:anna", "t"), jumped)
    assert [type(each) for each in effects] == [do.FinishRecording, do.ConfirmCommand]
    assert (effects[0].state.grace_boot_id, effects[0].state.grace_over_s) == ("", 0.0)


@pytest.mark.parametrize("wrong_ns", [-YEARS_8_NS, YEARS_8_NS])
def test_the_grace_of_a_call_that_began_by_a_wrong_clock_ends_by_the_one_that_was_set_since(
    wrong_ns: int,
) -> None:
    """After another start of the machine it lasts as long as it would have, and people are told when it ends."""
    recorder = recorder_of(RecordingMode.ON_DEMAND, grace_h=2)
    recorder.boot_id, recorder.ahead_ns = "boot-1", wrong_ns
    client = Client(recorder)
    client.call()
    recorder.ahead_ns = 0
    client.bye()
    held = recorder.one(do.HoldForGrace)
    ended = recorder.now
    assert held.state.grace_until_ns == ended.clock_ns + 2 * HOUR_NS
    again = recorder_of(RecordingMode.ON_DEMAND, grace_h=2)
    again.server.grace.restore(held.uid, held.state, later(ended, hours=0, boot_id="boot-2"))
    again.server.grace.believe(ended.clock_ns + 3 * HOUR_NS)
    assert again.server.handle_timer(later(ended, hours=1.9, boot_id="boot-2")) == []
    assert again.server.handle_timer(later(ended, hours=2, boot_id="boot-2"))
