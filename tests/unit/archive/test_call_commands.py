"""What the portal says a call obeys is what the recorder obeys."""

import pytest

from archive.call_commands import LIVE_STATES, VERBS, allowed
from archive.model import RecordingMode, RecordingState
from recorder.srs.recording_mode import COMMANDS, Capture, Event, Refusal, machine


def test_the_verbs_are_the_commands_of_the_recorder() -> None:
    assert set(VERBS) == {command.value for command in COMMANDS}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("capture", Capture)
@pytest.mark.parametrize("mode", RecordingMode)
def test_every_cell_says_what_the_machine_of_the_recorder_says(
    mode: RecordingMode, capture: Capture, verb: str
) -> None:
    state = RecordingState.GRACE if capture is Capture.GRACE else RecordingState.RECORDING
    step = machine(mode).step(capture, Event(verb))
    assert allowed(mode, state, capture.value)[verb] == (step.reason if isinstance(step, Refusal) else None)


@pytest.mark.parametrize("state", sorted(set(RecordingState) - LIVE_STATES))
def test_a_recording_no_recorder_holds_any_more_obeys_nothing(state: RecordingState) -> None:
    for mode in RecordingMode:
        for capture in Capture:
            reasons = allowed(mode, state, capture.value)
            assert all(reason is not None and "the call is over" in reason for reason in reasons.values())


def test_the_button_matrix_of_the_reference_holds() -> None:
    def obeyed(mode: RecordingMode, capture: Capture) -> set[str]:
        reasons = allowed(mode, RecordingState.RECORDING, capture.value)
        return {verb for verb, reason in reasons.items() if reason is None}

    assert not any(obeyed(RecordingMode.ALWAYS, capture) for capture in Capture)
    assert not any(obeyed(RecordingMode.NEVER, capture) for capture in Capture)
    assert obeyed(RecordingMode.ALWAYS_PAUSE, Capture.RECORDING) == {"pause"}
    assert obeyed(RecordingMode.ALWAYS_PAUSE, Capture.PAUSED) == {"resume"}
    assert obeyed(RecordingMode.ON_DEMAND, Capture.PRE_ROLL) == {"keep", "start"}
    assert obeyed(RecordingMode.ON_DEMAND, Capture.RECORDING) == {"pause"}
    assert obeyed(RecordingMode.ON_DEMAND_START, Capture.ARMED) == {"start"}
    assert obeyed(RecordingMode.ON_DEMAND_START, Capture.PAUSED) == {"resume", "stop"}


def test_a_capture_nobody_knows_is_allowed_nothing() -> None:
    reasons = allowed(RecordingMode.ON_DEMAND_START, RecordingState.RECORDING, "elsewhere")
    assert all(reason is not None for reason in reasons.values())
