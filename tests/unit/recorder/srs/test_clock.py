"""The clock of the machine is set while calls run: they go on as they were, and new ones are dated by it."""

from __future__ import annotations

import dataclasses

import pytest

from archive.model import RecordingMode
from recorder.client.call import Dialect
from recorder.srs import effects as do
from recorder.srs.lifecycle import EdgeState
from recorder.srs.recording_mode import Event
from recorder.srs.session import Command
from recorder.state import CallState
from tests.unit.recorder.srs.conftest import (
    ANNA,
    BEN,
    BOB,
    CARL,
    METADATA,
    SDP,
    WALL_NS,
    Client,
    Recorder,
    document,
    offer,
    restarted,
    with_document,
)
from tests.unit.recorder.srs.test_control import recorder_of, uid_of

S = 1_000_000_000
YEARS_8_NS = 8 * 365 * 86400 * S
STEPS = [YEARS_8_NS, -YEARS_8_NS, -3600 * S]


def paused_call(step_ns: int) -> tuple[Recorder, Client]:
    """Place a call that is described anew, paused, held and gone on with; after 5 s the clock is set."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    recorder.boot_id = "boot-1"
    client = Client(recorder)
    client.call()
    recorder.advance(5)
    recorder.ahead_ns = step_ns
    client.send("UPDATE", METADATA, document(ANNA, CARL))
    recorder.advance(5)
    effects = recorder.server.command(uid_of(recorder), Command(Event.PAUSE, "user:anna", "t"), recorder.now)
    recorder.carry_out(effects or [])
    recorder.advance(5)
    client.send("INVITE", SDP, offer("inactive", "inactive", version=2))
    client.ack()
    recorder.advance(5)
    return recorder, client


def without_ids(state: CallState) -> CallState:
    raw = tuple(dataclasses.replace(item, body_base64="") for item in state.metadata)
    return dataclasses.replace(
        state, recording_id="", session_id="", call_group="", metadata=raw, exchange_ids=()
    )


@pytest.mark.parametrize("step_ns", STEPS)
def test_a_call_under_way_is_what_it_would_have_been(step_ns: int) -> None:
    finished = []
    for step in (0, step_ns):
        recorder, client = paused_call(step)
        client.bye()
        finished.append(without_ids(recorder.one(do.FinishRecording).state))
    assert finished[1] == finished[0]
    assert finished[0].ended_ns == WALL_NS + 20 * S
    assert EdgeState("pause", WALL_NS + 10 * S, "user:anna") in finished[0].edges


@pytest.mark.parametrize("step_ns", STEPS)
def test_a_call_that_goes_on_in_another_recorder_keeps_its_clock(step_ns: int) -> None:
    """That one started after the clock was set, and begins with it."""
    _, client = paused_call(step_ns)
    after = restarted(client, boot_id="boot-1", begun_ns=WALL_NS + step_ns)
    after.advance(5)
    client.bye()
    state = after.one(do.FinishRecording).state
    assert abs((state.ended_ns or 0) - (WALL_NS + 25 * S)) < 1000
    assert abs(state.edges[-1].at_ns - (WALL_NS + 20 * S)) < 1000, "the restart stands where it was"


@pytest.mark.parametrize("step_ns", STEPS)
def test_a_new_call_is_dated_by_the_clock_as_it_is_set_then(recorder: Recorder, step_ns: int) -> None:
    recorder.ahead_ns = step_ns
    client = Client(recorder)
    client.call()
    recorder.advance(5)
    recorder.carry_out(recorder.server.edge_dated(uid_of(recorder), recorder.now.wall_ns))
    client.bye()
    state = recorder.one(do.FinishRecording).state
    assert (state.started_ns, state.ended_ns) == (WALL_NS + step_ns, WALL_NS + step_ns + 5 * S)
    assert state.origin_ns == WALL_NS + step_ns - 1000 * S


@pytest.mark.parametrize("step_ns", STEPS)
def test_an_exempt_party_that_joins_after_a_step_cuts_the_call_where_it_joined(
    recorder: Recorder, client: Client, step_ns: int
) -> None:
    client.call(dialect=Dialect.BROADWORKS)
    recorder.advance(30)
    recorder.ahead_ns = step_ns
    recorder.advance(30)
    client.send("UPDATE", METADATA, document(ANNA, "112", Dialect.BROADWORKS))
    cut = recorder.one(do.CutRecording)
    assert cut.at_ns == WALL_NS + 58 * S
    assert cut.state.ended_ns == cut.at_ns


@pytest.mark.parametrize("step_ns", [*STEPS, 3600 * S, -5 * S, 0])
@pytest.mark.parametrize("set_while_away", [True, False])
def test_an_exempt_party_that_joined_while_the_recorder_was_away_cuts_the_call_before_that(
    recorder: Recorder, step_ns: int, set_while_away: bool
) -> None:
    """The files of the journal, by which it is known when that was, are dated by either setting."""
    recorder.boot_id = "boot-1"
    client = Client(recorder)
    client.call(dialect=Dialect.BROADWORKS)
    recorder.advance(30)
    left_ns = WALL_NS + 30 * S + (0 if set_while_away else step_ns)
    recorder.advance(60)
    after = restarted(client, boot_id="boot-1", begun_ns=WALL_NS + step_ns, left_ns=left_ns)
    after.advance(10)
    client.send("UPDATE", METADATA, document(ANNA, "112", Dialect.BROADWORKS))
    off_ns = WALL_NS + 28 * S - after.one(do.CutRecording).at_ns
    assert -1000 < off_ns < 5 * S + 1000, "never later, and hardly earlier"


def test_a_call_that_goes_on_by_a_clock_behind_its_journal_is_cut_where_it_went_on(
    recorder: Recorder,
) -> None:
    """After another start nobody knows how far the clock was set: what was recorded since may not stay."""
    recorder.boot_id = "boot-1"
    client = Client(recorder)
    client.call(dialect=Dialect.BROADWORKS)
    recorder.advance(30)
    after = restarted(client, boot_id="boot-2", begun_ns=WALL_NS - 20 * S, left_ns=WALL_NS + 30 * S)
    after.advance(10)
    client.send("UPDATE", METADATA, document(ANNA, "112", Dialect.BROADWORKS))
    assert after.one(do.CutRecording).at_ns <= WALL_NS + 8 * S


def test_who_is_named_after_a_step_is_judged_by_the_clock_as_it_is_set_then() -> None:
    """A promise to keep the next call ends by a clock that is right, though the call began by another."""
    recorder = recorder_of(RecordingMode.ON_DEMAND, keep_next=True)
    recorder.ahead_ns = YEARS_8_NS
    client = Client(recorder)
    client.call(CARL, BOB)
    assert not recorder.of(do.OpenRecording)
    recorder.ahead_ns = 0
    client.invite(*with_document(offer("sendonly", "sendonly", version=2), document(ANNA, BOB)))
    assert recorder.state.kept


def test_two_calls_keep_each_its_own_clock(recorder: Recorder) -> None:
    first, second = Client(recorder), Client(recorder, call_id="call-2@src")
    first.call()
    recorder.ahead_ns = YEARS_8_NS
    second.call(BEN, BOB)
    recorder.advance(5)
    first.bye()
    second.bye()
    ended = [effect.state.ended_ns for effect in recorder.of(do.FinishRecording)]
    assert ended == [WALL_NS + 5 * S, WALL_NS + 5 * S + YEARS_8_NS]
