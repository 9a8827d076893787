"""What becomes of each recording of a session, from its first packet to its end.

Turns the steps of the mode machine (`recorder.srs.recording_mode`) into effects and
keeps each `CallState` in step with them. Rules: pure, apart from the session that is
handed in; a recording ends in exactly one of finished, destroyed or cut.

Not here: SIP and SDP (`recorder.srs.server`), who is recorded (`archive.decision`).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

from archive.decision import CallFacts, RecordedUser, is_of
from archive.model import OutcomeKind, RecordingMode, TenantId
from recorder.srs import media
from recorder.srs.effects import (
    CaptureStream,
    ConfirmCommand,
    ConsumeKeepNext,
    CutRecording,
    DestroyRecording,
    Effect,
    FinishRecording,
    HoldForGrace,
    Limits,
    Moment,
    OpenRecording,
    ReportOutcome,
    RetractOutcome,
    SetCapturing,
    WriteState,
)
from recorder.srs.outcome import datetime_of, lost, noted, outcome_of
from recorder.srs.recording_mode import Capture, Event, Step, machine
from recorder.srs.recording_mode import Effect as Act
from recorder.srs.session import PARTIES_OF_A_CALL, Command, Expected, Phase, RecordingSession
from recorder.state import CallState, DialogState, EdgeState

EDGES_MAX = 1000
"""A person pauses a few times a call; a peer that toggles all day must not fill the journal."""

REQUEST_NS_MAX = 32 * 10**9
"""How long a client repeats a request that nobody answers: 64 times T1 (RFC 3261 timer F)."""

_CAPTURING = frozenset({Capture.PRE_ROLL, Capture.RECORDING})
_MARKS = {
    Act.MARK_START: "start",
    Act.MARK_STOP: "stop",
    Act.MARK_PAUSE: "pause",
    Act.MARK_RESUME: "resume",
    Act.MARK_HOLD: "hold",
    Act.MARK_UNHOLD: "unhold",
    Act.MARK_KEEP: "keep",
}
EXCHANGE, BARRED, KEEP_NEXT = "exchange", "do-not-record list", "keep next"
_PAUSABLE = frozenset({RecordingMode.ALWAYS_PAUSE, RecordingMode.ON_DEMAND, RecordingMode.ON_DEMAND_START})
_DATED = re.compile(r"\d{4}-\d\d-\d\dT")
_ENDS = {"session timer": Event.TIMER, "client lost": Event.CLIENT_LOST}
_NO_DIALOG = DialogState("", "", "", "", "", "", (), 0, 0, "udp", "", "", 0, None, "", "")


def is_capturing(state: CallState) -> bool:
    """Tell whether packets of a recording reach the journal in the state it was left in."""
    return Capture(state.capture) in _CAPTURING


def begin(
    session: RecordingSession, new_id: Callable[[int], str], now: Moment, before: Effect | None = None
) -> list[Effect]:
    """Open a recording for each recorded user who has none, and hand the sockets to capture.

    `before` goes out then.
    """
    assert session.decision is not None
    effects: list[Effect] = [RetractOutcome(session.session_id)] if session.phase is Phase.IDLE else []
    session.phase = Phase.RUNNING
    owners = {state.owner for state in session.recordings.values()}
    joining = bool(session.recordings)
    for recorded in session.decision.recorded:
        if not joining or (recorded.user is not None and recorded.user.id not in owners):
            effects += _open(session, recorded, UUID(new_id(now.wall_ns)).bytes, now, joining=joining)
    effects += capture_streams(session)
    if session.stopped:
        effects += media_switched(session, now, off=True)
    return [*effects, *([before] if before else []), *write(session)]


def _open(
    session: RecordingSession, recorded: RecordedUser, uid: bytes, now: Moment, *, joining: bool
) -> list[Effect]:
    """Open the recording of one user, kept from its first packet where that was asked for."""
    started_ns = now.wall_ns if joining else session.opened_ns
    step = machine(recorded.mode).initial
    marks = tuple(EdgeState(_MARKS[act], started_ns) for act in step.effects if act in _MARKS)
    effects: list[Effect] = []
    if recorded.user and recorded.keep_next_until:
        kept = machine(recorded.mode).step(step.state, Event.KEEP)
        assert isinstance(kept, Step)
        step = Step(kept.state, (*step.effects, *kept.effects))
        marks = (*marks, EdgeState("keep", started_ns, KEEP_NEXT))
        effects.append(ConsumeKeepNext(recorded.tenant_id, recorded.user.id, recorded.keep_next_until))
    session.captures[uid] = step.state
    first = replace(
        _first_state(session, str(UUID(bytes=uid)), recorded),
        started_ns=started_ns,
        kept=Act.KEEP in step.effects,
        edges=marks,
        capture=step.state.value,
    )
    session.recordings[uid] = noted(first, started_ns, f"keep by {KEEP_NEXT}") if effects else first
    return [OpenRecording(uid, session.state_of(uid), step.state in _CAPTURING), *effects]


def _first_state(session: RecordingSession, recording_id: str, recorded: RecordedUser) -> CallState:
    assert session.decision is not None
    user = recorded.user
    return CallState(
        recording_id=recording_id,
        session_id=session.session_id,
        call_group=session.call_group,
        tenant_id=recorded.tenant_id,
        peer_id=session.peer.id if session.peer else None,
        owner=user.id if user else None,
        mode=recorded.mode.value,
        retention_class=recorded.retention_class.value,
        direction=recorded.direction.value,
        layout="",
        started_ns=session.opened_ns,
        kept=False,
        dialog=replace(_NO_DIALOG, call_id=session.call_id),
        streams=(),
        trace=session.decision.trace,
        site=user.site if user else None,
        keep_grace_h=recorded.keep_grace_h,
        quarantined=recorded.quarantined,
        boot_id=session.boot_id,
        origin_ns=session.origin_ns,
    )


def write(session: RecordingSession) -> list[Effect]:
    """Journal every recording of the session as it stands now."""
    effects: list[Effect] = []
    for uid in session.recordings:
        effects += write_one(session, uid)
    return effects


def write_one(session: RecordingSession, uid: bytes) -> list[Effect]:
    """Journal one recording as it stands now."""
    session.recordings[uid] = _owned(session, session.state_of(uid))
    return [WriteState(uid, session.recordings[uid])]


def _owned(session: RecordingSession, state: CallState) -> CallState:
    """Note which party is the recorded user."""
    users = [item.user for item in (session.decision.recorded if session.decision else ()) if item.user]
    user = next((item for item in users if item.id == state.owner), None)
    if user is None:
        return state
    parties = tuple(
        replace(party, user_id=user.id) if party.user_id is None and is_of(user, party.number) else party
        for party in state.parties
    )
    return replace(state, parties=parties)


def capture_streams(session: RecordingSession) -> list[Effect]:
    """Hand every stream with sockets to capture, for all recordings of the session."""
    return list(_captures(session, tuple(session.recordings)))


def discard_streams(session: RecordingSession) -> list[Effect]:
    """Let capture drain the sockets into nothing."""
    return list(_captures(session, ()))


def _captures(session: RecordingSession, uids: tuple[bytes, ...]) -> Iterator[Effect]:
    for position, stream in session.streams.items():
        yield CaptureStream(
            session_id=session.session_id,
            position=position,
            index=stream.index,
            uids=uids,
            networks=session.peer.addresses if session.peer else session.networks,
            clock_rate_hz=media.clock_rate_hz(stream),
            payload_types=tuple(sorted(int(number) for number in stream.payload_types)),
            event_types=media.event_types(stream),
            # Nobody's digits are looked at once the session is of no recording: it may be exempt.
            watch_digits=bool(uids) and session.peer is not None and session.peer.star_codes,
        )


def media_switched(
    session: RecordingSession, now: Moment, *, off: bool, by: str = EXCHANGE, as_pause: bool = False
) -> list[Effect]:
    """Tell every recording that the exchange stopped all media, or sends it again.

    `as_pause`: nothing but the media was offered anew, which is how an exchange pauses a
    recording; where the mode knows pauses it is called one, else a hold.
    """
    effects: list[Effect] = []
    command = Command(Event.HOLD if off else Event.UNHOLD, by)
    for uid in list(session.recordings):
        told = noted(session.recordings[uid], now.wall_ns, f"media {'stopped' if off else 'again'} by {by}")
        session.recordings[uid] = told
        pausable = told.mode in _PAUSABLE or by == BARRED
        step = _step(session, uid, command.verb)
        effects += carried(session, uid, step, now, command, as_pause=as_pause and pausable)
    return effects


def _step(session: RecordingSession, uid: bytes, event: Event) -> Step:
    """Move the mode machine of one recording; what the exchange does is never refused."""
    mode = RecordingMode(session.recordings[uid].mode)
    step = machine(mode).step(session.captures[uid], event)
    assert isinstance(step, Step)
    session.captures[uid] = step.state
    session.recordings[uid] = replace(session.recordings[uid], capture=step.state.value)
    return step


def carried(  # noqa: PLR0917 - the step of one recording, when, by whom and how it is called
    session: RecordingSession,
    uid: bytes,
    step: Step,
    now: Moment,
    command: Command,
    as_pause: bool = False,  # noqa: FBT001, FBT002
) -> list[Effect]:
    """Turn the acts of a step into effects; an edge with a switch is dated by capture itself."""
    marks = [_MARKS[act] for act in step.effects if act in _MARKS]
    kind = _edge_kind(session, uid, marks[0], step.state, as_pause) if marks else ""
    if Act.CAPTURE_ON in step.effects or Act.CAPTURE_OFF in step.effects:
        session.expected.setdefault(uid, deque()).append(Expected(kind, command.by, command))
        return [SetCapturing(uid, Act.CAPTURE_ON in step.effects)]
    effects = edge(session, uid, kind, command.by, now.wall_ns)
    if kind == "start" and step.state is Capture.HELD and not _is_held(session, uid):
        # A start ends the pause by which media was stopped, and media is stopped all the same.
        stopper = BARRED if session.barred else EXCHANGE
        effects = edge(session, uid, "hold", stopper, now.wall_ns)
    return effects


def _edge_kind(
    session: RecordingSession,
    uid: bytes,
    mark: str,
    after: Capture,
    as_pause: bool,  # noqa: FBT001
) -> str:
    """Return what an edge is called; empty for one that is none, because a pause goes on.

    Where media was stopped as a pause, that ends as one too: with the last of the pauses.
    """
    if mark == "hold":
        return "pause" if as_pause and after is Capture.HELD else "hold"
    if mark == "unhold" and not _is_held(session, uid):
        return "resume" if after is Capture.RECORDING else ""
    return "" if mark == "resume" and after is Capture.HELD and not _is_held(session, uid) else mark


def _is_held(session: RecordingSession, uid: bytes) -> bool:
    """Tell whether media was stopped by a hold that has not ended."""
    # Media may come again before capture dated when it stopped.
    edges = (*session.recordings[uid].edges, *session.expected.get(uid, ()))
    kinds = [edge.kind for edge in edges if edge.kind in {"hold", "unhold"}]
    return kinds[-1:] == ["hold"]


def edge(session: RecordingSession, uid: bytes, kind: str, by: str | None, at_ns: int) -> list[Effect]:
    """Note an edge of one recording and journal it."""
    state = session.recordings[uid]
    if kind and len(state.edges) < EDGES_MAX:
        session.recordings[uid] = replace(state, edges=(*state.edges, EdgeState(kind, at_ns, by)))
    return write_one(session, uid)


def end(session: RecordingSession, reason: str, now: Moment) -> list[Effect]:
    """End every recording: archive what is kept, destroy what is not, and hold what may still be kept."""
    effects: list[Effect] = []
    for uid in list(session.recordings):
        effects += date_expected(session, uid, now.wall_ns)
        step = _step(session, uid, _ENDS.get(reason, Event.HANG_UP))
        state = replace(_owned(session, session.state_of(uid)), ended_ns=now.wall_ns, end_reason=reason)
        if Act.FINISH in step.effects:
            effects.append(FinishRecording(uid, state))
        elif Act.BEGIN_GRACE in step.effects and state.keep_grace_h:
            effects.append(in_grace(uid, state))
        else:
            effects += not_kept(uid, state)
    session.recordings.clear()
    return effects


def date_expected(session: RecordingSession, uid: bytes, at_ns: int) -> list[Effect]:
    """Date what capture was asked for and has not dated: with the call it is over."""
    effects: list[Effect] = []
    for expected in session.expected.pop(uid, ()):
        effects += dated(session, uid, expected, at_ns)
    return effects


def dated(session: RecordingSession, uid: bytes, expected: Expected, at_ns: int) -> list[Effect]:
    """Note an edge that capture dated, and answer the command it came from."""
    effects = edge(session, uid, expected.kind, expected.by, at_ns)
    if expected.command is not None:
        effects += confirmed(session.recordings[uid], expected.command, at_ns)
    return effects


def confirmed(state: CallState, command: Command, at_ns: int, refusal: str = "") -> list[Effect]:
    """Answer a command that waits for an answer: it took effect at `at_ns`, or why it did not."""
    if command.ticket is None:
        return []
    return [ConfirmCommand(command.ticket, TenantId(state.tenant_id), not refusal, refusal, at_ns)]


def in_grace(uid: bytes, state: CallState) -> HoldForGrace:
    """Hold a call that is over and that nobody kept, for as long as somebody still may."""
    until_ns = (state.ended_ns or state.started_ns) + state.keep_grace_h * 3600 * 1_000_000_000
    return HoldForGrace(uid, replace(state, capture=Capture.GRACE.value, grace_until_ns=until_ns))


def not_kept(uid: bytes, state: CallState) -> list[Effect]:
    """Destroy a recording that nobody kept; its session ends with just that."""
    begun = any(edge.kind == "start" for edge in state.edges)
    reason = "nobody kept the call" if begun else "nobody started the recording"
    outcome = outcome_of(state, OutcomeKind.NOT_KEPT, reason)
    # Noted before, told after: a crash between leaves neither audio nor a session without outcome.
    return [ReportOutcome(outcome, final=False), DestroyRecording(uid), ReportOutcome(outcome)]


def cut_from(session: RecordingSession, joined_ns: int, limits: Limits, now: Moment) -> int:
    """Return the wall time from which the audio of a session may not exist: an exempt party joined.

    `joined_ns` is what the client's own clock says, 0 when it said nothing; the safer of
    that and a look back from now counts. As long as nobody but one party was known, the
    exempt one was there from the beginning; a joining before it says the same, unless
    that clock was never set.
    """
    facts = session.facts
    if len(facts.participants) < PARTIES_OF_A_CALL and not (facts.caller and facts.callee):
        return session.opened_ns
    # What was sent while nobody listened is sent again until it is answered (RFC 3261 section 17.1.2.2).
    returned = session.returned_ns and now.wall_ns - session.returned_ns < REQUEST_NS_MAX
    lookback_ns = (session.left_ns if returned else now.wall_ns) - int(limits.exempt_lookback_s * 1e9)
    believed = joined_ns > session.opened_ns - int(limits.clock_error_s_max * 1e9)
    return min(joined_ns, lookback_ns) if believed else lookback_ns


def cut(session: RecordingSession, at_ns: int) -> list[Effect]:
    """Take the audio of every recording back to `at_ns`, and forget all else of the session.

    A recording that had not begun by then, or that nobody kept, is destroyed.
    """
    effects: list[Effect] = [RetractOutcome(session.session_id)] if session.phase is Phase.IDLE else []
    for uid in list(session.recordings):
        step = _step(session, uid, Event.EXEMPT_JOINED)
        state = _as_of(session.state_of(uid), at_ns)
        begun = any(edge.kind == "start" and edge.at_ns < at_ns for edge in state.edges)
        if Act.CUT in step.effects and begun:
            ended = replace(state, ended_ns=at_ns, end_reason="media ended")
            effects.append(CutRecording(uid, at_ns, ended))
        else:
            effects.append(DestroyRecording(uid, exempt=True))
    session.recordings.clear()
    session.expected.clear()
    effects += discard_streams(session)
    session.call_id, session.answer, session.revisions = "", b"", ()
    session.facts, session.model = CallFacts(), type(session.model)()
    session.decision = session.offer = None
    session.proposals = ()
    return effects


def _as_of(state: CallState, at_ns: int) -> CallState:
    """Return the state as it was at a moment: nothing tells of what came after it."""
    dated = datetime_of(at_ns).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return replace(
        state,
        edges=tuple(item for item in state.edges if item.at_ns <= at_ns),
        metadata=tuple(item for item in state.metadata if item.at_ns <= at_ns),
        parties=tuple(
            replace(party, to_ns=None) if party.to_ns is not None and party.to_ns > at_ns else party
            for party in state.parties
            if party.from_ns <= at_ns
        ),
        trace=tuple(line for line in state.trace if not _DATED.match(line) or line[: len(dated)] <= dated),
    )


def given_up(session: RecordingSession, uid: bytes, reason: str, now: Moment) -> list[Effect]:
    """Give up one recording that can't be kept; those of the other users go on."""
    state = replace(session.recordings.pop(uid), ended_ns=now.wall_ns)
    session.captures.pop(uid, None)
    session.expected.pop(uid, None)
    return [DestroyRecording(uid), ReportOutcome(lost(state, reason))]


def destroyed(session: RecordingSession) -> list[Effect]:
    """Destroy every recording of the session."""
    effects: list[Effect] = [DestroyRecording(uid) for uid in session.recordings]
    session.recordings.clear()
    return effects
