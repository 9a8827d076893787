"""Calls that are over and that nobody kept: kept in time, or gone."""

from __future__ import annotations

import dataclasses

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
    again.server.grace.restore(held.uid, held.state)
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
