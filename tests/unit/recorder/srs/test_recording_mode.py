"""The tables of the five modes: complete, without dead ends, and as the product promises."""

from __future__ import annotations

import itertools

import pytest

from archive.model import RecordingMode
from recorder.srs.recording_mode import (
    COMMANDS,
    TABLE,
    Capture,
    Effect,
    Event,
    Refusal,
    Step,
    diagram,
    machine,
)

MODES = list(RecordingMode)
CAPTURING = {Capture.PRE_ROLL, Capture.RECORDING}


def states_of(mode: RecordingMode) -> set[Capture]:
    """Return the states that stand in the table of a mode."""
    rows = TABLE[mode]
    return {state for state, _ in rows} | {step.state for step in rows.values()}


def run(mode: RecordingMode, *events: Event) -> tuple[Capture, list[Effect]]:
    """Send events from the beginning of a call; no event may be refused."""
    table = machine(mode)
    state, effects = table.initial.state, list(table.initial.effects)
    for event in events:
        step = table.step(state, event)
        assert isinstance(step, Step), step
        state = step.state
        effects += step.effects
    return state, effects


@pytest.mark.parametrize("mode", MODES)
def test_every_state_is_reachable(mode: RecordingMode) -> None:
    """No row stands in a table that no call could use."""
    reached = {machine(mode).initial.state}
    for _ in Capture:
        reached |= {step.state for (state, _), step in TABLE[mode].items() if state in reached}
    assert reached == states_of(mode)


def test_every_state_belongs_to_some_mode() -> None:
    """No name is left over."""
    assert set().union(*map(states_of, MODES)) == set(Capture)


@pytest.mark.parametrize("mode", MODES)
def test_ended_is_absorbing(mode: RecordingMode) -> None:
    """Nothing happens after the end."""
    table = machine(mode)
    for event in Event:
        step = table.step(Capture.ENDED, event)
        assert isinstance(step, Refusal) if event in COMMANDS else step == Step(Capture.ENDED)
    assert not any(state is Capture.ENDED for state, _ in table.rows)


@pytest.mark.parametrize("mode", MODES)
def test_every_live_state_has_an_exit_for_each_way_a_call_ends(mode: RecordingMode) -> None:
    """A call ends once, also when its client is gone."""
    live = states_of(mode) - {Capture.ENDED}
    for state, event in itertools.product(live, (Event.HANG_UP, Event.TIMER, Event.CLIENT_LOST)):
        step = machine(mode).step(state, event)
        assert isinstance(step, Step)
        if step.state is not Capture.ENDED:
            assert step.state is Capture.GRACE
            assert machine(mode).step(Capture.GRACE, Event.GRACE_OVER) == Step(
                Capture.ENDED, (Effect.DESTROY, Effect.CLOSE_EMPTY)
            )


@pytest.mark.parametrize("mode", MODES)
def test_what_the_exchange_does_is_never_refused(mode: RecordingMode) -> None:
    """Only commands of people are."""
    for state, event in itertools.product(states_of(mode), set(Event) - COMMANDS):
        assert isinstance(machine(mode).step(state, event), Step)


@pytest.mark.parametrize("mode", MODES)
def test_capture_is_switched_exactly_where_states_differ(mode: RecordingMode) -> None:
    """No row captures twice, forgets to stop, or leaves packets on their way to the journal."""
    for (state, _), step in TABLE[mode].items():
        before, after = state in CAPTURING, step.state in CAPTURING
        assert (Effect.CAPTURE_ON in step.effects) == (after and not before)
        assert (Effect.CAPTURE_OFF in step.effects) == (before and not after)


@pytest.mark.parametrize("mode", MODES)
def test_each_ended_call_is_finished_or_closed_empty_and_never_both(mode: RecordingMode) -> None:
    """One outcome a call (invariant I3)."""
    for step in TABLE[mode].values():
        outcomes = [effect for effect in step.effects if effect in {Effect.FINISH, Effect.CLOSE_EMPTY}]
        assert len(outcomes) == (1 if step.state is Capture.ENDED else 0)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode is not RecordingMode.NEVER])
def test_nothing_is_captured_after_an_exempt_party_joined(mode: RecordingMode) -> None:
    """From there no event leads back into a state that captures."""
    table = machine(mode)
    for state in states_of(mode) - {Capture.ENDED, Capture.GRACE, Capture.CUT, Capture.EMPTIED}:
        step = table.step(state, Event.EXEMPT_JOINED)
        assert isinstance(step, Step)
        assert step.state in {Capture.CUT, Capture.EMPTIED}
        for event in Event:
            after = table.step(step.state, event)
            if isinstance(after, Step):
                assert after.state in {step.state, Capture.ENDED}
            else:
                assert "exempt" not in after.reason
                assert "media of this recording has ended" in after.reason


def test_always_records_from_beginning_to_end() -> None:
    """And obeys no command."""
    assert run(RecordingMode.ALWAYS, Event.HANG_UP) == (
        Capture.ENDED,
        [Effect.KEEP, Effect.CAPTURE_ON, Effect.MARK_START, Effect.CAPTURE_OFF, Effect.FINISH],
    )
    for command in COMMANDS:
        assert isinstance(machine(RecordingMode.ALWAYS).step(Capture.RECORDING, command), Refusal)


def test_never_captures_nothing() -> None:
    """Its session ends with an outcome and no recording."""
    assert run(RecordingMode.NEVER, Event.HOLD, Event.UNHOLD, Event.EXEMPT_JOINED, Event.HANG_UP) == (
        Capture.ENDED,
        [Effect.CLOSE_EMPTY],
    )
    for command in COMMANDS:
        assert isinstance(machine(RecordingMode.NEVER).step(Capture.OFF, command), Refusal)


def test_a_pause_over_a_hold_outlasts_it() -> None:
    """What the user wants and what the exchange does are kept apart."""
    state, _ = run(RecordingMode.ALWAYS_PAUSE, Event.PAUSE, Event.HOLD, Event.UNHOLD)
    assert state is Capture.PAUSED
    state, _ = run(RecordingMode.ALWAYS_PAUSE, Event.HOLD, Event.PAUSE, Event.UNHOLD)
    assert state is Capture.PAUSED
    state, _ = run(RecordingMode.ALWAYS_PAUSE, Event.PAUSE, Event.HOLD, Event.RESUME, Event.UNHOLD)
    assert state is Capture.RECORDING


def test_a_call_on_demand_that_nobody_kept_is_destroyed() -> None:
    """After the tenant's grace, which may be none."""
    state, effects = run(RecordingMode.ON_DEMAND, Event.HANG_UP, Event.GRACE_OVER)
    assert state is Capture.ENDED
    assert effects[-2:] == [Effect.DESTROY, Effect.CLOSE_EMPTY]
    assert Effect.FINISH not in effects


def test_a_call_on_demand_may_be_kept_during_the_call_and_in_the_grace() -> None:
    """It is then stored from its beginning, and can be paused."""
    _, effects = run(RecordingMode.ON_DEMAND, Event.KEEP, Event.PAUSE, Event.RESUME, Event.HANG_UP)
    assert effects[:2] == [Effect.CAPTURE_ON, Effect.MARK_START]
    assert Effect.DESTROY not in effects
    assert effects[-1] is Effect.FINISH
    _, effects = run(RecordingMode.ON_DEMAND, Event.HANG_UP, Event.KEEP)
    assert effects[-3:] == [Effect.KEEP, Effect.MARK_KEEP, Effect.FINISH]


def test_pausing_on_demand_has_to_wait_for_keep() -> None:
    """The reason says so."""
    refusal = machine(RecordingMode.ON_DEMAND).step(Capture.PRE_ROLL, Event.PAUSE)
    assert isinstance(refusal, Refusal)
    assert "only after it was kept" in refusal.reason


def test_on_demand_with_start_captures_only_between_start_and_stop() -> None:
    """Before the start there is nothing, and after a stop it may start again."""
    mode = RecordingMode.ON_DEMAND_START
    assert run(mode, Event.HANG_UP) == (Capture.ENDED, [Effect.CLOSE_EMPTY])
    state, effects = run(mode, Event.START, Event.STOP, Event.START, Event.PAUSE, Event.STOP, Event.HANG_UP)
    assert state is Capture.ENDED
    assert effects == [
        Effect.KEEP, Effect.CAPTURE_ON, Effect.MARK_START, Effect.CAPTURE_OFF, Effect.MARK_STOP,
        Effect.CAPTURE_ON, Effect.MARK_START, Effect.CAPTURE_OFF, Effect.MARK_PAUSE, Effect.MARK_STOP, Effect.FINISH,
    ]  # fmt: skip


def test_starting_during_a_hold_captures_when_media_returns() -> None:
    """Nothing is lost of what comes after."""
    state, effects = run(RecordingMode.ON_DEMAND_START, Event.HOLD, Event.START, Event.UNHOLD)
    assert state is Capture.RECORDING
    assert effects[-2:] == [Effect.CAPTURE_ON, Effect.MARK_UNHOLD]


@pytest.mark.parametrize(
    ("mode", "state", "command"), list(itertools.product(MODES, Capture, sorted(COMMANDS)))
)
def test_every_refusal_is_a_sentence(mode: RecordingMode, state: Capture, command: Event) -> None:
    """People read it."""
    step = machine(mode).step(state, command)
    if isinstance(step, Refusal):
        assert step.reason[0].isupper()
        assert step.reason.endswith(").")
        assert f"'{command.value}'" in step.reason


def test_the_diagram_has_every_mode_state_and_change() -> None:
    """It is generated, so it can't lag behind the tables."""
    text = diagram()
    assert text.startswith("stateDiagram-v2\n")
    for mode in MODES:
        prefix = mode.value.replace("-", "_")
        for state in states_of(mode):
            assert (
                f'state "{state.value}" as {prefix}_{state.value.replace(" ", "_").replace("-", "_")}\n'
                in text
            )
    assert "on_demand_pre_roll --> on_demand_recording: keep, start / keep, mark keep\n" in text
    assert text.count("[*] -->") == len(MODES)
