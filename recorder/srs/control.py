"""Commands to recordings under way: from the API, star codes and the exchange to the mode machine.

A command that the table of the mode allows takes effect and is confirmed when it has:
one that switches capture only after capture said from which packet on. One that it
does not allow is answered with the reason. Either way the trace of the recording says
who wanted what.

Rules: pure. A recording is named by its uid; what the exchange says is for all
recordings of its session. Not here: how commands arrive (`recorder.control`), and
what the modes allow (`recorder.srs.recording_mode`).
"""

from __future__ import annotations

from dataclasses import replace

from archive.model import Layout, RecordingMode
from recorder.metadata.model import RecordingMetadata
from recorder.srs import lifecycle
from recorder.srs.effects import Effect, Moment, RemindPause
from recorder.srs.outcome import noted
from recorder.srs.recording_mode import Capture, Event, Refusal, Step, machine
from recorder.srs.recording_mode import Effect as Act
from recorder.srs.session import Command, RecordingSession
from recorder.state import CallState, EdgeState

STAR_CODE = "star code"

SHARED_STREAM = "The stream is mixed: nobody can tell which of its parties pressed the keys."

_PAUSED = frozenset({Capture.PAUSED, Capture.PAUSED_HELD})

# BroadWorks' recordingType, of which public samples know only "on"; any other word is kept raw.
_RECORDING_TYPES = {
    "on": Event.START,
    "start": Event.START,
    "started": Event.START,
    "off": Event.STOP,
    "stop": Event.STOP,
    "stopped": Event.STOP,
    "pause": Event.PAUSE,
    "paused": Event.PAUSE,
    "resume": Event.RESUME,
    "resumed": Event.RESUME,
    "keep": Event.KEEP,
    "kept": Event.KEEP,
}
# AudioCodes' INFO with X-AC-Action; parameters follow behind a semicolon.
_ACTIONS = {
    "start-siprec": Event.START,
    "stop-siprec": Event.STOP,
    "pause-siprec": Event.PAUSE,
    "resume-siprec": Event.RESUME,
}


def obey(session: RecordingSession, uid: bytes, command: Command, now: Moment) -> list[Effect]:
    """Let a command take effect on one recording, or refuse it with the reason of its mode."""
    state = session.recordings[uid]
    step = machine(RecordingMode(state.mode)).step(session.captures[uid], command.verb)
    if isinstance(step, Refusal):
        session.recordings[uid] = noted(
            state, now.wall_ns, f"{command.verb} by {command.by}: refused. {step.reason}"
        )
        return lifecycle.confirmed(state, command, now.wall_ns, refusal=step.reason)
    session.captures[uid] = step.state
    session.recordings[uid] = replace(
        noted(state, now.wall_ns, f"{command.verb} by {command.by}"),
        capture=step.state.value,
        kept=state.kept or Act.KEEP in step.effects,
    )
    return _carried(session, uid, step, command, now)


def _carried(
    session: RecordingSession, uid: bytes, step: Step, command: Command, now: Moment
) -> list[Effect]:
    """Return what a step leads to; the answer comes with the edge where capture has to date one."""
    effects = lifecycle.carried(session, uid, step, now, command)
    if Act.CAPTURE_ON in step.effects or Act.CAPTURE_OFF in step.effects:
        return effects
    return [*effects, *lifecycle.confirmed(session.recordings[uid], command, now.wall_ns)]


def obey_exchange(session: RecordingSession, verb: Event, now: Moment) -> list[Effect]:
    """Let a command of the exchange take effect on every recording of the session that allows it."""
    effects: list[Effect] = []
    for uid in list(session.recordings):
        effects += obey(session, uid, Command(verb, lifecycle.EXCHANGE), now)
    return effects


def recording_type_changed(session: RecordingSession, now: Moment) -> list[Effect]:
    """Follow BroadWorks' recordingType where it changed; the first `on` says nothing but that it is on."""
    word = recording_type(session.model)
    before, session.recording_type = session.recording_type, word
    if not word or word == before or (not before and word == "on"):
        return []
    verb = _RECORDING_TYPES.get(word)
    if verb is None:
        return []
    effects: list[Effect] = []
    for uid in list(session.recordings):
        # "on" after a pause means that it goes on, and a start elsewhere.
        paused = session.captures[uid] in _PAUSED and verb is Event.START
        effects += obey(session, uid, Command(Event.RESUME if paused else verb, lifecycle.EXCHANGE), now)
    return effects


def recording_type(model: RecordingMetadata) -> str:
    """Return the recordingType of BroadWorks' metadata in small letters, empty where there is none."""
    return ((model.broadworks.recording_type if model.broadworks else None) or "").strip().casefold()


def action_of(header: str | None) -> Event | None:
    """Return what an `X-AC-Action` header field wants; None for none and for unknown words."""
    return _ACTIONS.get((header or "").partition(";")[0].strip().casefold())


def pressed(session: RecordingSession, position: int, digit: str, now: Moment) -> list[Effect]:
    """Take a digit of a telephone; a complete star code commands the recordings of whoever pressed it."""
    stream = session.streams.get(position)
    if stream is None or session.peer is None or not session.peer.star_codes:
        return []
    verb = session.star_codes_of(position).press(digit, now.wall_ns)
    if verb is None:
        return []
    effects: list[Effect] = []
    for uid, state in list(session.recordings.items()):
        speaking = [
            party
            for party in session.state_of(uid).parties
            if party.channel == stream.channel and party.to_ns is None
        ]
        if state.owner is None or all(party.user_id != state.owner for party in speaking):
            continue
        if len(speaking) > 1 or stream.channel == Layout.MIXED:
            session.recordings[uid] = noted(
                state, now.wall_ns, f"{verb} by {STAR_CODE}: refused. {SHARED_STREAM}"
            )
        else:
            effects += obey(session, uid, Command(verb, STAR_CODE), now)
    return effects


def reminders(session: RecordingSession, now: Moment, *, after_s: float) -> list[Effect]:
    """Remind once of each pause longer than `after_s`: one that is forgotten loses the rest of the call."""
    effects: list[Effect] = []
    for uid, state in session.recordings.items():
        pause = pause_of(state)
        # Of a pause by the do-not-record list there is nothing that anybody should do.
        if pause is None or pause.by == lifecycle.BARRED or session.expected.get(uid):
            continue
        late = now.wall_ns - pause.at_ns >= int(after_s * 1e9)
        if late and session.reminded.get(uid) != pause.at_ns:
            session.reminded[uid] = pause.at_ns
            effects.append(RemindPause(uid, pause.at_ns))
    return effects


def pause_of(state: CallState) -> EdgeState | None:
    """Return the edge that paused a recording, by its user or the exchange; None while it is not paused."""
    held = state.capture == Capture.HELD
    if not held and Capture(state.capture) not in _PAUSED:
        return None
    # With media stopped by the exchange, a hold or its end came after the pause or is none of it.
    kinds = ("pause", "resume", "hold", "unhold") if held else ("pause", "resume")
    last = next((edge for edge in reversed(state.edges) if edge.kind in kinds), None)
    return last if last is not None and last.kind == "pause" else None
