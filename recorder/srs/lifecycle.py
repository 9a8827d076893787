"""What becomes of each recording of a session, from its first packet to its end.

Turns the steps of the mode machine (`recorder.srs.recording_mode`) into effects and
keeps each `CallState` in step with them. Rules: pure, apart from the session that is
handed in; a recording ends in exactly one of finished, destroyed or cut.

Not here: SIP and SDP (`recorder.srs.server`), who is recorded (`recorder.srs.decision`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from archive.catalogue.snapshot import Directory
from archive.model import OutcomeKind, PeerId, RecordingMode, SessionId, SessionOutcome, TenantId
from recorder.metadata import document, snapshot
from recorder.metadata.model import MetadataError
from recorder.sip.dialog import DialogId
from recorder.srs import media
from recorder.srs.decision import CallFacts, RecordedUser, is_of
from recorder.srs.effects import (
    CaptureStream,
    CutRecording,
    DestroyRecording,
    Effect,
    FinishRecording,
    Limits,
    Moment,
    OpenRecording,
    ReportOutcome,
    RetractOutcome,
    SetCapturing,
    WriteState,
)
from recorder.srs.facts import facts_of
from recorder.srs.recording_mode import Capture, Event, Step, machine
from recorder.srs.recording_mode import Effect as Act
from recorder.srs.session import PARTIES_OF_A_CALL, Phase, RecordingSession
from recorder.state import CallState, DialogState, EdgeState

EDGES_MAX = 1000
"""A person pauses a few times a call; a peer that toggles all day must not fill the journal."""

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
    group = _call_group(session, new_id)
    owners = {state.owner for state in session.recordings.values()}
    started_ns = now.wall_ns if session.recordings else session.opened_ns
    for recorded in session.decision.recorded:
        if session.recordings and (recorded.user is None or recorded.user.id in owners):
            continue
        recording_id = new_id(now.wall_ns)
        uid = UUID(recording_id).bytes
        step = machine(recorded.mode).initial
        session.captures[uid] = step.state
        marks = tuple(EdgeState(_MARKS[act], started_ns) for act in step.effects if act in _MARKS)
        first = _first_state(session, recording_id, group, recorded)
        session.recordings[uid] = replace(
            first, started_ns=started_ns, kept=Act.KEEP in step.effects, edges=marks, capture=step.state.value
        )
        effects.append(OpenRecording(uid, session.state_of(uid), step.state in _CAPTURING))
    effects += capture_streams(session)
    if session.held:
        effects += media_switched(session, now, off=True)
    return [*effects, *([before] if before else []), *write(session)]


def _call_group(session: RecordingSession, new_id: Callable[[int], str]) -> str:
    """Name what links the recordings of one call: the exchange's tracking id, or one of our own."""
    known = next((state.call_group for state in session.recordings.values()), None)
    return known or session.facts.tracking_id or new_id(session.opened_ns)


def _first_state(
    session: RecordingSession, recording_id: str, group: str, recorded: RecordedUser
) -> CallState:
    assert session.decision is not None
    user = recorded.user
    return CallState(
        recording_id=recording_id,
        session_id=session.session_id,
        call_group=group,
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
    )


def write(session: RecordingSession) -> list[Effect]:
    """Journal every recording of the session as it stands now."""
    effects: list[Effect] = []
    for uid in session.recordings:
        session.recordings[uid] = _owned(session, session.state_of(uid))
        effects.append(WriteState(uid, session.recordings[uid]))
    return effects


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
        )


def media_switched(session: RecordingSession, now: Moment, *, off: bool) -> list[Effect]:
    """Tell every recording that the exchange stopped all media, or sends it again."""
    effects: list[Effect] = []
    for uid in list(session.recordings):
        step = _step(session, uid, Event.HOLD if off else Event.UNHOLD)
        effects += _carried(session, uid, step, now, by="exchange")
    return effects


def _step(session: RecordingSession, uid: bytes, event: Event) -> Step:
    """Move the mode machine of one recording; what the exchange does is never refused."""
    mode = RecordingMode(session.recordings[uid].mode)
    step = machine(mode).step(session.captures[uid], event)
    assert isinstance(step, Step)
    session.captures[uid] = step.state
    session.recordings[uid] = replace(session.recordings[uid], capture=step.state.value)
    return step


def _carried(session: RecordingSession, uid: bytes, step: Step, now: Moment, by: str | None) -> list[Effect]:
    """Turn the acts of a step into effects; an edge with a switch is dated by capture itself."""
    marks = [_MARKS[act] for act in step.effects if act in _MARKS]
    if Act.CAPTURE_ON in step.effects or Act.CAPTURE_OFF in step.effects:
        on = Act.CAPTURE_ON in step.effects
        return [SetCapturing(uid, on, marks[0] if marks else "", by)]
    for kind in marks:
        edge(session, uid, kind, by, now.wall_ns)
    return []


def edge(session: RecordingSession, uid: bytes, kind: str, by: str | None, at_ns: int) -> list[Effect]:
    """Note an edge of one recording and journal it."""
    state = session.recordings[uid]
    if not kind or len(state.edges) >= EDGES_MAX:
        return []
    session.recordings[uid] = replace(state, edges=(*state.edges, EdgeState(kind, at_ns, by)))
    return write(session)


def end(session: RecordingSession, reason: str, now: Moment) -> list[Effect]:
    """End every recording: archive what is kept, destroy what is not."""
    effects: list[Effect] = []
    for uid in list(session.recordings):
        step = _step(session, uid, _ENDS.get(reason, Event.HANG_UP))
        if Act.BEGIN_GRACE in step.effects:
            step = _step(session, uid, Event.GRACE_OVER)
        state = replace(_owned(session, session.state_of(uid)), ended_ns=now.wall_ns, end_reason=reason)
        if Act.FINISH in step.effects:
            effects.append(FinishRecording(uid, state))
        else:
            outcome = _outcome(session, OutcomeKind.NOT_KEPT, "nobody kept the call", now, state)
            # Noted before, told after: a crash between leaves neither audio nor a session without outcome.
            effects += [ReportOutcome(outcome, final=False), DestroyRecording(uid), ReportOutcome(outcome)]
    session.recordings.clear()
    return effects


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
    lookback_ns = now.wall_ns - int(limits.exempt_lookback_s * 1e9)
    believed = joined_ns > session.opened_ns - int(limits.clock_error_s_max * 1e9)
    return min(joined_ns, lookback_ns) if believed else lookback_ns


def cut(session: RecordingSession, at_ns: int) -> list[Effect]:
    """Take the audio of every recording back to `at_ns`, and forget all else of the session.

    A recording of which nothing would be left, or that nobody kept, is destroyed.
    """
    effects: list[Effect] = [RetractOutcome(session.session_id)] if session.phase is Phase.IDLE else []
    for uid in list(session.recordings):
        step = _step(session, uid, Event.EXEMPT_JOINED)
        if Act.CUT in step.effects and at_ns > session.opened_ns:
            state = replace(session.state_of(uid), ended_ns=at_ns, end_reason="media ended")
            effects.append(CutRecording(uid, at_ns, state))
        else:
            effects.append(DestroyRecording(uid))
    session.recordings.clear()
    effects += discard_streams(session)
    session.call_id, session.answer, session.revisions = "", b"", ()
    session.facts, session.model = CallFacts(), type(session.model)()
    session.decision = session.offer = None
    session.proposals = ()
    return effects


def destroyed(session: RecordingSession) -> list[Effect]:
    """Destroy every recording of the session."""
    effects: list[Effect] = [DestroyRecording(uid) for uid in session.recordings]
    session.recordings.clear()
    return effects


def failed(session: RecordingSession, reason: str, now: Moment) -> Effect:
    """Return the outcome of a session that was answered and could not be recorded."""
    return ReportOutcome(_outcome(session, OutcomeKind.FAILED, reason, now))


def lost(state: CallState, reason: str) -> SessionOutcome:
    """Return the outcome of a recording of which only the state is left."""
    ended_ns = state.ended_ns or state.started_ns
    return SessionOutcome(
        session_id=SessionId(state.session_id),
        call_id=state.dialog.call_id,
        kind=OutcomeKind.FAILED,
        reason=reason,
        started_at=_datetime(state.started_ns),
        ended_at=_datetime(ended_ns),
        peer_id=PeerId(state.peer_id) if state.peer_id else None,
        tenant_id=TenantId(state.tenant_id),
        trace=state.trace,
    )


def unrecorded(session: RecordingSession, now: Moment, *, final: bool) -> Effect:
    """Return the outcome of a session of which nothing is recorded; not `final` while it may change."""
    assert session.decision is not None
    if session.decision.recorded:
        missed = "named too late: no stream was offered again"
        return ReportOutcome(_outcome(session, OutcomeKind.FAILED, missed, now), final)
    outcome = _outcome(session, session.decision.kind, session.decision.reason, now)
    return ReportOutcome(outcome, final)


def _outcome(
    session: RecordingSession, kind: OutcomeKind, reason: str, now: Moment, state: CallState | None = None
) -> SessionOutcome:
    """Return how a session ended; `state` is of its recording, where it had one."""
    decision = session.decision
    return SessionOutcome(
        session_id=SessionId(session.session_id),
        call_id=session.call_id,
        kind=kind,
        reason=reason,
        started_at=_datetime(session.opened_ns),
        ended_at=_datetime(now.wall_ns),
        peer_id=session.peer.id if session.peer else None,
        tenant_id=TenantId(state.tenant_id) if state else decision.tenant_id if decision else None,
        trace=state.trace if state else decision.trace if decision else (),
    )


def restored(
    states: Mapping[bytes, CallState], dialog_id: DialogId, directory: Directory, now: Moment
) -> RecordingSession:
    """Make the session of recordings that were running when the recorder stopped."""
    first = next(iter(states.values()))
    peer = next((item for item in directory.peers if item.id == first.peer_id), None)
    session = RecordingSession(
        session_id=first.session_id,
        call_id=first.dialog.call_id,
        peer=peer,
        address=first.streams[0].address if first.streams else "",
        invite_key=None,
        dialog_id=dialog_id,
        opened_s=now.monotonic_s - max(0.0, (now.wall_ns - first.started_ns) / 1e9),
        opened_ns=first.started_ns,
        described_ns=now.wall_ns,
        phase=Phase.RUNNING,
        revisions=first.metadata,
        streams={stream.position: stream for stream in first.streams},
        offer_version=first.dialog.offer_version,
        answer=first.dialog.answer_sdp.encode(),
        recordings=dict(states),
        captures={uid: Capture(state.capture) for uid, state in states.items()},
        judged=True,
        heard_s=now.monotonic_s,
        recovering=True,
        flags=first.flags,
        networks=(first.dialog.remote_address,),
    )
    _replay_metadata(session)
    return session


def _replay_metadata(session: RecordingSession) -> None:
    """Read the kept metadata again, so that a partial update after the restart still fits."""
    for revision in session.revisions:
        try:
            parsed = document.parse(base64.b64decode(revision.body_base64))
        except MetadataError:
            continue
        session.model = snapshot.apply(session.model, parsed)
    session.facts = facts_of(session.model, None, session.facts)


def resume(session: RecordingSession, now: Moment) -> list[Effect]:
    """Go on with restored recordings: the gap is marked, the sockets go to capture."""
    session.answer_version = 1_000
    for uid, state in session.recordings.items():
        restart = EdgeState("restart", now.wall_ns)
        session.recordings[uid] = replace(state, edges=(*state.edges, restart), flags=_flagged(state))
    return [*capture_streams(session), *write(session)]


def _flagged(state: CallState) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*state.flags, "recovered")))


def _datetime(wall_ns: int) -> datetime:
    return datetime.fromtimestamp(wall_ns / 1e9, UTC)
