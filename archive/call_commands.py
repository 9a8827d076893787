"""What a call obeys now, and why not the rest: mode and capture state against five verbs.

The recorder alone decides (`recorder.srs.recording_mode`), in the sentences written here;
this says beforehand what it will answer, so that a page shows exactly the buttons that
work. A test compares the two for every mode, state and verb.

Rules: pure, words in, sentences out. What this module does not know it does not allow.
"""

from __future__ import annotations

from collections.abc import Mapping

from archive.model import RecordingMode, RecordingState

VERBS = ("start", "stop", "pause", "resume", "keep")

LIVE_STATES = frozenset(
    {RecordingState.RECORDING, RecordingState.UNKEPT, RecordingState.GRACE, RecordingState.QUARANTINED}
)
"""In these a recorder still holds the recording; afterwards nobody is there to obey."""

_HELD = " held"
"""The end of the name of a state in which the exchange sends no media; verbs do the same there."""

_PAUSE = {"pause": frozenset({"recording", "held"}), "resume": frozenset({"paused", "paused held"})}
_OBEYED: Mapping[RecordingMode, Mapping[str, frozenset[str]]] = {
    RecordingMode.ALWAYS: {},
    RecordingMode.ALWAYS_PAUSE: _PAUSE,
    RecordingMode.ON_DEMAND: {
        **_PAUSE,
        "keep": frozenset({"pre-roll", "pre-roll held", "grace"}),
        "start": frozenset({"pre-roll", "pre-roll held"}),
    },
    RecordingMode.ON_DEMAND_START: {
        **_PAUSE,
        "start": frozenset({"armed", "armed held", "stopped", "stopped held"}),
        "stop": frozenset({"recording", "held", "paused", "paused held"}),
    },
    RecordingMode.NEVER: {},
}

MODE_NAMES = {
    RecordingMode.ALWAYS: "Always",
    RecordingMode.ALWAYS_PAUSE: "Always with pause",
    RecordingMode.ON_DEMAND: "On demand",
    RecordingMode.ON_DEMAND_START: "On demand with start",
    RecordingMode.NEVER: "Never",
}
_STATE_REASONS = {
    "off": "calls of this user are not recorded",
    "cut": "the media of this recording has ended",
    "emptied": "the media of this recording has ended",
    "grace": "the call is over; it can only still be kept",
    "ended": "the call is over",
}
_MODE_REASONS = {
    (RecordingMode.ALWAYS, "pause"): "a call of this mode can't be paused",
    (RecordingMode.ALWAYS, "resume"): "a call of this mode can't be paused",
    (RecordingMode.ALWAYS, "stop"): "a call of this mode is recorded to its end",
    (RecordingMode.ALWAYS_PAUSE, "stop"): "a call of this mode is recorded to its end; pause it instead",
    (RecordingMode.ON_DEMAND, "stop"): "a call of this mode can't be stopped; keep and pause it instead",
}
_VERB_REASONS = {
    ("held", "resume"): "the exchange sends no media, and only the exchange can change that",
    ("paused", "pause"): "it is paused already",
    ("paused", "start"): "it is paused; resume it instead",
    ("recording", "resume"): "it is not paused",
    ("recording", "start"): "it is being recorded already",
    ("recording", "keep"): "it is kept already",
    ("paused", "keep"): "it is kept already",
    ("stopped", "keep"): "what was recorded is kept already",
    ("pre-roll", "pause"): "it can be paused only after it was kept",
    ("pre-roll", "resume"): "it can be paused and resumed only after it was kept",
    ("armed", "pause"): "it was not started yet",
    ("armed", "resume"): "it was not started yet",
    ("armed", "stop"): "it was not started yet",
    ("armed", "keep"): "it was not started yet, so there is nothing to keep",
    ("stopped", "stop"): "it is stopped already",
    ("stopped", "pause"): "it is stopped; start it again first",
    ("stopped", "resume"): "it is stopped; start it again instead",
}


def allowed(mode: RecordingMode, state: RecordingState, capture: str) -> dict[str, str | None]:
    """Return for each verb None when the recorder would obey it now, or the sentence that says why not.

    `capture` is the word of the recorder for where the capture stands (`pre-roll`, `paused held`).
    """
    known = capture if state in LIVE_STATES else "ended"
    return {
        verb: None if known in _OBEYED[mode].get(verb, ()) else refusal(mode, known, verb) for verb in VERBS
    }


def refusal(mode: RecordingMode, capture: str, verb: str) -> str:
    """Return the sentence that says why a call in this state does not obey."""
    flowing = capture.removesuffix(_HELD) if capture != "held" else "recording"
    reason = (
        _STATE_REASONS.get(capture)
        or _MODE_REASONS.get((mode, verb))
        or _VERB_REASONS.get((capture, verb))
        or _VERB_REASONS.get((flowing, verb), f"that does nothing while the recording is {capture}")
    )
    return f"The recording did not obey '{verb}': {reason} (mode {MODE_NAMES[mode]})."
