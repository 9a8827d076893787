"""The five recording modes as tables: what a user, the exchange and time may do to a recording.

`TABLE` maps a mode to its rows `(state, event) -> Step(state, effects)`. A row that is
not there is a refusal, and `Machine.step` says in a sentence why. What the exchange
does (hold, the end, an exempt party) is never refused in any state.

Rules: pure. An exempt party ends capture for good in every mode, and nothing leads
back. Whether the exchange has stopped media (`..._HELD`) is kept apart from what the
user wants, so that neither undoes the other. ENDED is absorbing.

Not here: who is exempt (`recorder.srs.exemption`), and how effects are carried out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from archive.call_commands import MODE_NAMES, refusal
from archive.model import RecordingMode


class Capture(StrEnum):
    """Where the capture of one recording stands."""

    OFF = "off"
    """Mode Never: nothing is captured and nothing will be."""
    ARMED = "armed"
    """Nothing captured yet; it begins on command."""
    ARMED_HELD = "armed held"
    PRE_ROLL = "pre-roll"
    """Captured, but destroyed at the end unless somebody keeps it."""
    PRE_ROLL_HELD = "pre-roll held"
    RECORDING = "recording"
    HELD = "held"
    """Would be recording, but the exchange sends no media: hold, or a pause made there."""
    PAUSED = "paused"
    PAUSED_HELD = "paused held"
    STOPPED = "stopped"
    """Stopped by the user; what was captured is kept, and recording may start again."""
    STOPPED_HELD = "stopped held"
    CUT = "cut"
    """An exempt party joined; what was kept before it stays, nothing more is captured."""
    EMPTIED = "emptied"
    """An exempt party joined before anything was kept; nothing is left."""
    GRACE = "grace"
    """The call is over and unkept; it may still be kept for a while."""
    ENDED = "ended"


class Event(StrEnum):
    """What may happen to a recording: five commands, and what exchange and time do."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    KEEP = "keep"
    HOLD = "hold"
    UNHOLD = "unhold"
    MEDIA_OFF = "media off"
    """The client closed every stream, but not the dialog."""
    EXEMPT_JOINED = "exempt joined"
    HANG_UP = "hang up"
    TIMER = "timer"
    """The session timer ran out (RFC 4028 section 10)."""
    CLIENT_LOST = "client lost"
    GRACE_OVER = "grace over"


COMMANDS = frozenset({Event.START, Event.STOP, Event.PAUSE, Event.RESUME, Event.KEEP})


class Effect(StrEnum):
    """What must now be done, in the order given."""

    CAPTURE_ON = "capture on"
    """From here packets reach the journal."""
    CAPTURE_OFF = "capture off"
    """From here packets are discarded; those that came before are drained first."""
    MARK_START = "mark start"
    MARK_STOP = "mark stop"
    MARK_PAUSE = "mark pause"
    MARK_RESUME = "mark resume"
    MARK_HOLD = "mark hold"
    MARK_UNHOLD = "mark unhold"
    MARK_KEEP = "mark keep"
    KEEP = "keep"
    """What is and will be captured is to be stored."""
    CUT = "cut"
    """Cut the journal back to the joining of the exempt party."""
    DESTROY = "destroy"
    """Destroy the key of what was captured; there will be no recording."""
    FINISH = "finish"
    """Finalise what was captured."""
    BEGIN_GRACE = "begin grace"
    """Raise GRACE_OVER when the tenant's grace is over; at once where there is none."""
    CLOSE_EMPTY = "close empty"
    """Write the outcome of a session of which nothing is stored."""


@dataclass(frozen=True)
class Step:
    """The state after an event, and what to do."""

    state: Capture
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """Why a command does nothing now, as a sentence for a person."""

    reason: str


Rows = Mapping[tuple[Capture, Event], Step]

_OVER = (Event.HANG_UP, Event.TIMER, Event.CLIENT_LOST)

# Each state in which media flows or could flow, and the same with media stopped by the exchange.
_HOLDS = {
    Capture.ARMED: Capture.ARMED_HELD,
    Capture.PRE_ROLL: Capture.PRE_ROLL_HELD,
    Capture.RECORDING: Capture.HELD,
    Capture.PAUSED: Capture.PAUSED_HELD,
    Capture.STOPPED: Capture.STOPPED_HELD,
}
HELD = frozenset(_HOLDS.values())
"""The states in which all media is stopped, whatever the user wants."""

_CAPTURING = frozenset({Capture.PRE_ROLL, Capture.RECORDING})


def _exchange_rows() -> Iterator[tuple[tuple[Capture, Event], Step]]:
    """Yield what the exchange does to a call, the same in every mode."""
    for flowing, held in _HOLDS.items():
        off = (Effect.CAPTURE_OFF,) if flowing in _CAPTURING else ()
        on = (Effect.CAPTURE_ON,) if flowing in _CAPTURING else ()
        # Marked in every state: a hold may last longer than the stop or pause it began or ended in.
        hold, unhold = (Effect.MARK_HOLD,), (Effect.MARK_UNHOLD,)
        for stop in (Event.HOLD, Event.MEDIA_OFF):
            yield (flowing, stop), Step(held, off + hold)
            yield (held, stop), Step(held)
        yield (flowing, Event.UNHOLD), Step(flowing)
        yield (held, Event.UNHOLD), Step(flowing, on + unhold)
        for state in (flowing, held):
            yield from _ending_rows(flowing, state)
    for state in (Capture.OFF, Capture.CUT, Capture.EMPTIED, Capture.GRACE):
        for event in (Event.HOLD, Event.UNHOLD, Event.MEDIA_OFF):
            yield (state, event), Step(state)
    for state in (Capture.OFF, Capture.CUT, Capture.EMPTIED):
        yield (state, Event.EXEMPT_JOINED), Step(state)
    for over in _OVER:
        yield (Capture.OFF, over), Step(Capture.ENDED, (Effect.CLOSE_EMPTY,))
        yield (Capture.CUT, over), Step(Capture.ENDED, (Effect.FINISH,))
        yield (Capture.EMPTIED, over), Step(Capture.ENDED, (Effect.CLOSE_EMPTY,))
        yield (Capture.GRACE, over), Step(Capture.GRACE)
    yield (Capture.GRACE, Event.EXEMPT_JOINED), Step(Capture.ENDED, (Effect.DESTROY, Effect.CLOSE_EMPTY))
    yield (Capture.GRACE, Event.GRACE_OVER), Step(Capture.ENDED, (Effect.DESTROY, Effect.CLOSE_EMPTY))
    grace_kept = (Effect.KEEP, Effect.MARK_KEEP, Effect.FINISH)
    yield (Capture.GRACE, Event.KEEP), Step(Capture.ENDED, grace_kept)


def _ending_rows(flowing: Capture, state: Capture) -> Iterator[tuple[tuple[Capture, Event], Step]]:
    """Yield how a live state ends; `flowing` is the state without the hold."""
    off = (Effect.CAPTURE_OFF,) if state in _CAPTURING else ()
    if flowing is Capture.ARMED:
        exempt = Step(Capture.EMPTIED)
        over = Step(Capture.ENDED, (Effect.CLOSE_EMPTY,))
    elif flowing is Capture.PRE_ROLL:
        exempt = Step(Capture.EMPTIED, (*off, Effect.DESTROY))
        over = Step(Capture.GRACE, (*off, Effect.BEGIN_GRACE))
    else:
        exempt = Step(Capture.CUT, (*off, Effect.CUT))
        over = Step(Capture.ENDED, (*off, Effect.FINISH))
    yield (state, Event.EXEMPT_JOINED), exempt
    for event in _OVER:
        yield (state, event), over


_PAUSE: Rows = {
    (Capture.RECORDING, Event.PAUSE): Step(Capture.PAUSED, (Effect.CAPTURE_OFF, Effect.MARK_PAUSE)),
    (Capture.PAUSED, Event.RESUME): Step(Capture.RECORDING, (Effect.CAPTURE_ON, Effect.MARK_RESUME)),
    (Capture.HELD, Event.PAUSE): Step(Capture.PAUSED_HELD, (Effect.MARK_PAUSE,)),
    (Capture.PAUSED_HELD, Event.RESUME): Step(Capture.HELD, (Effect.MARK_RESUME,)),
}
_KEPT = (Effect.KEEP, Effect.MARK_KEEP)
# One star code means both "start" and "keep", so on demand either word keeps.
_KEEP: Rows = {
    (Capture.PRE_ROLL, Event.KEEP): Step(Capture.RECORDING, _KEPT),
    (Capture.PRE_ROLL, Event.START): Step(Capture.RECORDING, _KEPT),
    (Capture.PRE_ROLL_HELD, Event.KEEP): Step(Capture.HELD, _KEPT),
    (Capture.PRE_ROLL_HELD, Event.START): Step(Capture.HELD, _KEPT),
}
_START: Rows = {
    (Capture.ARMED, Event.START): Step(
        Capture.RECORDING, (Effect.KEEP, Effect.CAPTURE_ON, Effect.MARK_START)
    ),
    (Capture.ARMED_HELD, Event.START): Step(Capture.HELD, (Effect.KEEP, Effect.MARK_START)),
    (Capture.STOPPED, Event.START): Step(Capture.RECORDING, (Effect.CAPTURE_ON, Effect.MARK_START)),
    (Capture.STOPPED_HELD, Event.START): Step(Capture.HELD, (Effect.MARK_START,)),
    (Capture.RECORDING, Event.STOP): Step(Capture.STOPPED, (Effect.CAPTURE_OFF, Effect.MARK_STOP)),
    (Capture.HELD, Event.STOP): Step(Capture.STOPPED_HELD, (Effect.MARK_STOP,)),
    (Capture.PAUSED, Event.STOP): Step(Capture.STOPPED, (Effect.MARK_STOP,)),
    (Capture.PAUSED_HELD, Event.STOP): Step(Capture.STOPPED_HELD, (Effect.MARK_STOP,)),
}

_BEGIN_KEPT = Step(Capture.RECORDING, (Effect.KEEP, Effect.CAPTURE_ON, Effect.MARK_START))
INITIAL: Mapping[RecordingMode, Step] = {
    RecordingMode.ALWAYS: _BEGIN_KEPT,
    RecordingMode.ALWAYS_PAUSE: _BEGIN_KEPT,
    RecordingMode.ON_DEMAND: Step(Capture.PRE_ROLL, (Effect.CAPTURE_ON, Effect.MARK_START)),
    RecordingMode.ON_DEMAND_START: Step(Capture.ARMED),
    RecordingMode.NEVER: Step(Capture.OFF),
}
"""The state in which a call begins, and what to do then."""

_COMMAND_ROWS: Mapping[RecordingMode, Rows] = {
    RecordingMode.ALWAYS: {},
    RecordingMode.ALWAYS_PAUSE: _PAUSE,
    RecordingMode.ON_DEMAND: {**_KEEP, **_PAUSE},
    RecordingMode.ON_DEMAND_START: {**_START, **_PAUSE},
    RecordingMode.NEVER: {},
}


def _reachable(rows: Rows, initial: Capture) -> Rows:
    """Return the rows of the states that a call of this mode can get into."""
    states, waiting = {initial}, [initial]
    while waiting:
        state = waiting.pop()
        for (source, _), step in rows.items():
            if source is state and step.state not in states:
                states.add(step.state)
                waiting.append(step.state)
    return {key: step for key, step in rows.items() if key[0] in states}


TABLE: Mapping[RecordingMode, Rows] = {
    mode: _reachable({**dict(_exchange_rows()), **commands}, INITIAL[mode].state)
    for mode, commands in _COMMAND_ROWS.items()
}


@dataclass(frozen=True)
class Machine:
    """The table of one mode, ready to be asked."""

    mode: RecordingMode
    initial: Step
    rows: Rows

    def step(self, state: Capture, event: Event) -> Step | Refusal:
        """Return where an event leads, or why a command leads nowhere.

        What is no command and has no row (a hold after the end) changes nothing.
        """
        found = self.rows.get((state, event))
        if found is not None:
            return found
        if event not in COMMANDS:
            return Step(state)
        return Refusal(refusal(self.mode, state.value, event.value))


def machine(mode: RecordingMode) -> Machine:
    """Return the machine of a mode."""
    return Machine(mode, INITIAL[mode], TABLE[mode])


def diagram() -> str:
    """Return all tables as one mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2"]
    for mode, rows in TABLE.items():
        prefix = mode.value.replace("-", "_")
        lines.append(f'    state "{MODE_NAMES[mode]}" as {prefix} {{')
        lines += [f"        {line}" for line in _arrows(prefix, INITIAL[mode], rows)]
        lines.append("    }")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the text of `docs/recording-modes.md`."""
    return "\n".join(
        [
            "# Recording modes",
            "",
            "What a user, the exchange and time may do to a recording, in each of the five modes. This",
            "page is made from the table in `recorder.srs.recording_mode`; a test compares them.",
            "",
            "```mermaid",
            diagram() + "```",
            "",
        ]
    )


def _arrows(prefix: str, initial: Step, rows: Rows) -> Iterator[str]:
    """Yield the lines of one mode: its states, then an arrow per way from one to another."""

    def name(state: Capture) -> str:
        return f"{prefix}_{state.value.replace(' ', '_').replace('-', '_')}"

    sources = {state for state, _ in rows} | {step.state for step in rows.values()}
    for state in Capture:
        if state in sources:
            yield f'state "{state.value}" as {name(state)}'
    yield f"[*] --> {name(initial.state)}{_label((), initial.effects)}"
    events: dict[tuple[Capture, Step], list[Event]] = {}
    for (source, event), step in rows.items():
        if step != Step(source):
            events.setdefault((source, step), []).append(event)
    for (source, step), together in events.items():
        yield f"{name(source)} --> {name(step.state)}{_label(together, step.effects)}"
    if Capture.ENDED in sources:
        yield f"{name(Capture.ENDED)} --> [*]"


def _label(events: list[Event] | tuple[()], effects: tuple[Effect, ...]) -> str:
    text = ", ".join(event.value for event in events)
    if effects:
        text += (" / " if text else "") + ", ".join(effect.value for effect in effects)
    return f": {text}" if text else ""
