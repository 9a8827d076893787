"""The session recording server (RFC 7866): from what a peer says to what must be done.

A core without I/O: events of the SIP user agent, reports of capture and `now` go
in, effects (`recorder.srs.effects`) come out in order. Rules it keeps:

* The exempt check stands before every refusal; an exempt call is answered 200 with
  every stream inactive, and nothing of it is kept but a count.
* Sockets are open and the recording stands in the journal before the 200 goes out.
* Metadata never causes a refusal: it is kept raw, flagged, and the audio recorded.
* Every accepted session ends in exactly one outcome (invariant I3).

Not here: sockets, files, keys (`recorder.service`), who is recorded
(`recorder.srs.decision`), what becomes of each recording (`recorder.srs.lifecycle`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from archive.catalogue.snapshot import Directory
from recorder.sdp.description import SessionDescription, UnreadableDescription
from recorder.sdp.offer_answer import StreamProposal, UnusableOffer, delayed_offer, inactive_answer, negotiate
from recorder.sip import event as sip
from recorder.sip.dialog import DialogId
from recorder.sip.transaction import TransactionKey
from recorder.srs import lifecycle, media, response
from recorder.srs.decision import Decision, decide
from recorder.srs.effects import (
    CloseMedia,
    CountExempt,
    Effect,
    ForgetDialog,
    HangUp,
    Limits,
    Moment,
    OpenMedia,
    Probe,
    RelearnStream,
    Respond,
)
from recorder.srs.exempt_dialogs import ExemptDialogs
from recorder.srs.facts import facts_of
from recorder.srs.intake import exempt_joining, take_metadata
from recorder.srs.offer import OfferBody, read_body
from recorder.srs.session import Overdue, Phase, RecordingSession
from recorder.state import CallState

STRANGER_BODY_BYTES_MAX = 8192
"""Twice the largest body of a real exchange: its emergency call is answered even before it was entered."""

NOTHING = OfferBody(None, (), None, b"")

Effects = list[Effect]


class SessionRecordingServer:
    """All recording sessions of one recorder, by the dialogs that carry them."""

    def __init__(
        self,
        directory: Directory,
        limits: Limits,
        new_id: Callable[[int], str],
        address_for: Callable[[str], str],
    ) -> None:
        """Serve `directory`; `new_id` makes an id of a wall time in ns, `address_for` our media address."""
        self.directory = directory
        self.limits = limits
        self.draining = False
        self.unable_reason: str | None = None
        self._new_id = new_id
        self._address_for = address_for
        self._sessions: dict[str, RecordingSession] = {}
        self._dialogs: dict[DialogId, RecordingSession] = {}
        self._exempt = ExemptDialogs()
        self._waiting: dict[str, RecordingSession] = {}

    @property
    def sessions(self) -> tuple[RecordingSession, ...]:
        """The sessions that run now."""
        return tuple(self._sessions.values())

    def session_of(self, session_id: str) -> RecordingSession | None:
        """Return a session that runs, by its id."""
        return self._sessions.get(session_id)

    def handle(self, event: sip.Event, now: Moment) -> Effects:
        """Take what the user agent saw and return what must be done, in order."""
        match event:
            case sip.InvitationReceived():
                return self._invited(event, now)
            case sip.OfferReceived():
                return self._offered(event, now)
            case sip.InformationReceived():
                return self._informed(event, now)
            case sip.DialogConfirmed():
                return self._confirmed(event, now)
            case sip.DialogEnded():
                return self._ended(event, now)
            case sip.CapabilitiesAsked():
                return self._asked(event)
            case sip.ProbeAnswered():
                return self._probed(event, now)

    # An INVITE that wants a new session.

    def _invited(self, event: sip.InvitationReceived, now: Moment) -> Effects:
        body = read_body(event.request)
        peer = self.directory.peer_of(event.flow.remote[0])
        # Reading a body for exempt numbers costs the more the longer it is: a stranger gets only so much.
        searched = peer is not None or len(body.raw) <= STRANGER_BODY_BYTES_MAX
        if exempt_joining(event.request, body if searched else NOTHING) is not None:
            return self._answer_exempt(event, body, now, stranger=peer is None)
        if peer is None:
            # Without any directory nobody can be told from a stranger: another recorder may know.
            return [Respond(event.key, 403) if self.directory.peers else self._unavailable(event.key)]
        if event.objection:
            return [response.objected(event.key, event.objection)]
        if self._full():
            return [self._unavailable(event.key)]
        if refusal := response.body_refusal(event.key, body):
            return [refusal]
        session = RecordingSession(
            session_id=self._new_id(now.wall_ns),
            call_id=event.request.call_id,
            peer=peer,
            address=self._address_for(event.flow.local[0]),
            invite_key=event.key,
            dialog_id=event.dialog_id,
            opened_s=now.monotonic_s,
            opened_ns=now.wall_ns,
            heard_s=now.monotonic_s,
            described_ns=now.wall_ns,
        )
        take_metadata(session, body, now)
        session.facts = facts_of(session.model, event.request, session.facts)
        session.judged = bool(body.metadata) and not session.undescribed
        decision = decide(self.directory, peer, session.facts, undescribed=session.undescribed)
        session.decision = decision
        if session.judged and not decision.recorded:
            return self._answer_idle(session, event.key, body, now)
        return self._open(session, event.key, body)

    def _open(self, session: RecordingSession, key: TransactionKey, body: OfferBody) -> Effects:
        """Ask for sockets for every stream that can be recorded."""
        if body.sdp is None:
            session.delayed_offer = True
            self._keep(session)
            return [OpenMedia(session.session_id, (0,), session.address)]
        if refusal := response.negotiated(session, key, body.sdp):
            return [refusal]
        self._keep(session)
        positions = media.wanted_positions(session.proposals, session)
        if not positions:
            return self.media_opened(session.session_id, {}, Moment(session.opened_s, session.opened_ns))
        return [OpenMedia(session.session_id, positions, session.address)]

    def media_opened(self, session_id: str, ports: Mapping[int, int], now: Moment) -> Effects:
        """Take the ports that were bound for an `OpenMedia` and answer the offer that needed them."""
        session = self._sessions.get(session_id)
        if session is None:
            return [CloseMedia(session_id)]
        if session.pending_key is not None:
            return self._answer_offer(session, ports, now)
        if session.delayed_offer:
            proposal = StreamProposal(0, "audio", "1", True, True, True, {8: "PCMA/8000", 0: "PCMU/8000"})
            media.take_streams(session, (proposal,), ports)
            offer = delayed_offer(session.address, ports[0], session.opened_ns // 1000)
            session.answer = offer.to_bytes()
        else:
            assert session.offer is not None
            media.take_streams(session, session.proposals, ports)
            media.write_answer(session, session.offer, session.proposals)
        assert session.invite_key is not None
        answer = response.accepted(session.invite_key, session.answer)
        if session.judged:
            return lifecycle.begin(session, self._new_id, now, before=answer)
        session.phase, session.invite_key = Phase.WAITING, None
        self._waiting[session.session_id] = session
        return [answer]

    def media_refused(self, session_id: str, now: Moment) -> Effects:
        """No socket could be bound: refuse what needed it, and keep what runs."""
        session = self._sessions.get(session_id)
        if session is None:
            return []
        if session.pending_key is not None:
            session.flag("stream-refused-no-port")
            return self._answer_offer(session, {}, now)
        self._drop(session)
        return [self._unavailable(session.invite_key)] if session.invite_key else []

    def storage_failed(self, session_id: str, reason: str, now: Moment) -> Effects:
        """No recording can be kept: refuse what waits for an answer, or hang up what was answered."""
        session = self._sessions.get(session_id)
        if session is None:
            return []
        effects: Effects = [CloseMedia(session_id)]
        if session.invite_key:
            effects.append(self._unavailable(session.invite_key))
        else:
            waiting = [self._unavailable(session.pending_key)] if session.pending_key else []
            effects += [*waiting, HangUp(session.dialog_id), lifecycle.failed(session, reason, now)]
        self._drop(session)
        return [*effects, *lifecycle.destroyed(session)]

    # A re-INVITE or UPDATE inside a session.

    def _offered(self, event: sip.OfferReceived, now: Moment) -> Effects:
        body = read_body(event.request)
        session = self._dialogs.get(event.dialog_id)
        if session is None:
            answer = inactive_answer(body.sdp, self._address_for(event.flow.local[0]))
            return [response.inactive(event, body, answer)]
        session.heard_s, session.recovering = now.monotonic_s, False
        joined_ns = None if session.phase is Phase.EXEMPT else exempt_joining(event.request, body)
        if session.phase is Phase.EXEMPT or joined_ns is not None:
            effects = [] if joined_ns is None else self._exempt_joined(session, joined_ns, now)
            return [*effects, response.inactive(event, body, media.write_inactive_answer(session, body.sdp))]
        if event.objection:
            return [response.objected(event.key, event.objection)]
        if refusal := response.body_refusal(event.key, body):
            return [refusal]
        effects = self._described(session, body, now)
        if body.sdp is None:
            return [*effects, *lifecycle.write(session), response.offerless(event, session)]
        session.pending_key = event.key
        return [*effects, *self._reoffered(session, body.sdp, now)]

    def _described(self, session: RecordingSession, body: OfferBody, now: Moment) -> Effects:
        """Take new metadata in; it may decide who is recorded."""
        if not body.metadata:
            return []
        take_metadata(session, body, now)
        session.facts = facts_of(session.model, None, session.facts)
        return self._judge(session, now)

    def _reoffered(self, session: RecordingSession, sdp: bytes, now: Moment) -> Effects:
        """Answer an offer inside a session, asking for sockets when it has new streams."""
        key, session.pending_key = session.pending_key, None
        assert key is not None
        if refusal := response.negotiated(session, key, sdp):
            return [refusal]
        assert session.offer is not None
        wanted = self._wanted(session)
        starting = wanted and session.phase is Phase.IDLE
        if session.offer.origin_version == session.offer_version and session.answer and not starting:
            return [*lifecycle.write(session), response.accepted(key, session.answer)]
        session.pending_key = key
        positions = media.wanted_positions(session.proposals, session) if wanted else ()
        if positions:
            return [OpenMedia(session.session_id, positions, session.address)]
        return self._answer_offer(session, {}, now)

    def _answer_offer(self, session: RecordingSession, ports: Mapping[int, int], now: Moment) -> Effects:
        """Bring streams and mode to the offer that is pending, and answer it."""
        key, session.pending_key = session.pending_key, None
        assert session.offer is not None
        assert key is not None
        idle = not self._wanted(session)
        was_held, before = session.held, set(session.streams)
        if not idle:
            media.take_streams(session, session.proposals, ports)
        answer = media.write_answer(session, session.offer, session.proposals, inactive=idle)
        effects: Effects = [RelearnStream(session.session_id, position) for position in sorted(before)]
        if session.phase is Phase.IDLE and not idle and session.streams:
            effects += lifecycle.begin(session, self._new_id, now)
        else:
            effects += self._media_taken(session, now, was_held=was_held)
        effects.append(response.accepted(key, answer))
        return [*effects, *lifecycle.write(session)]

    def _media_taken(self, session: RecordingSession, now: Moment, *, was_held: bool) -> Effects:
        """Let what runs follow the streams as they are now."""
        effects: Effects = lifecycle.capture_streams(session) if session.phase is Phase.RUNNING else []
        if session.held != was_held:
            effects += lifecycle.media_switched(session, now, off=session.held)
        return effects

    def _informed(self, event: sip.InformationReceived, now: Moment) -> Effects:
        session = self._dialogs.get(event.dialog_id)
        if session and session.phase is not Phase.EXEMPT:
            session.heard_s, session.recovering = now.monotonic_s, False
            if exempt_joining(event.request, read_body(event.request)) is not None:
                return [*self._exempt_joined(session, 0, now), Respond(event.key, 200)]
        if event.request.headers.first("Info-Package"):
            return [Respond(event.key, 469, headers=(("Recv-Info", ""),))]
        return [Respond(event.key, 200)]

    def _confirmed(self, event: sip.DialogConfirmed, now: Moment) -> Effects:
        """Take the answer of a delayed offer from the ACK (RFC 3261 section 13.2.1)."""
        session = self._dialogs.get(event.dialog_id)
        if session is None or session.phase is Phase.EXEMPT:
            return []
        body = read_body(event.request)
        joined_ns = exempt_joining(event.request, body)
        if joined_ns is not None:
            return self._exempt_joined(session, joined_ns, now)
        effects = self._described(session, body, now)
        session.invite_key = None
        if not session.delayed_offer:
            return effects
        if body.sdp is None and session.proposals:
            # BroadWorks sends metadata alone in a re-INVITE and means no offer by it: what was agreed stands.
            session.delayed_offer = False
            return effects
        session.delayed_offer = False
        try:
            session.proposals = negotiate(SessionDescription.parse(body.sdp or b""))
        except (UnreadableDescription, UnusableOffer):
            ended = self._finish(session, "no usable answer in the ACK", now)
            return [*effects, HangUp(event.dialog_id), *ended]
        was_held = session.held
        media.take_streams(session, session.proposals, {})
        effects += self._media_taken(session, now, was_held=was_held)
        return [*effects, *lifecycle.write(session)]

    # The end, and what may come before it.

    def _ended(self, event: sip.DialogEnded, now: Moment) -> Effects:
        self._exempt.close(event.dialog_id)
        session = self._dialogs.get(event.dialog_id)
        if session is None:
            return []
        if session.phase is not Phase.EXEMPT and event.request is not None:
            body = read_body(event.request)
            joined_ns = exempt_joining(event.request, body)
            if joined_ns is not None:
                effects = self._exempt_joined(session, joined_ns, now)
                return [*effects, *self._finish(session, "media ended", now)]
            take_metadata(session, body, now)
            session.facts = facts_of(session.model, None, session.facts)
        return self._finish(session, event.reason, now)

    def _finish(self, session: RecordingSession, reason: str, now: Moment) -> Effects:
        """End the session: every recording gets its end, the session its outcome."""
        effects: Effects = []
        if session.phase is Phase.WAITING:
            effects += self._judge(session, now)
        if session.phase is Phase.IDLE:
            effects.append(lifecycle.unrecorded(session, now, final=True))
        elif session.phase is not Phase.EXEMPT:
            effects += lifecycle.end(session, reason, now)
        self._drop(session)
        return [*effects, CloseMedia(session.session_id)]

    def _asked(self, event: sip.CapabilitiesAsked) -> Effects:
        if self.directory.peer_of(event.flow.remote[0]) is None:
            return [Respond(event.key, 403)]
        return [self._unavailable(event.key) if self._full() else Respond(event.key, 200)]

    def _probed(self, event: sip.ProbeAnswered, now: Moment) -> Effects:
        session = self._dialogs.get(event.dialog_id)
        if session is None:
            dead = event.dialog_id in self._exempt and not event.alive
            if dead:
                self._exempt.close(event.dialog_id)
            return [ForgetDialog(event.dialog_id)] if dead else []
        if event.alive:
            session.probed_s, session.heard_s, session.recovering = None, now.monotonic_s, False
            return []
        if session.probed_s is None:
            # Its audio came back while we waited; a peer that has lost the dialog said 481, which ends it.
            return []
        return [HangUp(event.dialog_id), *self._finish(session, "client lost", now)]

    # Time and media.

    def handle_timer(self, now: Moment) -> Effects:
        """Judge sessions that waited long enough for metadata; call this at least every second."""
        effects: Effects = []
        for session in list(self._waiting.values()):
            if now.monotonic_s - session.opened_s >= self.limits.hold_back_s:
                effects += self._judge(session, now)
        return effects

    def check_silence(self, now: Moment) -> Effects:
        """Find sessions whose client may be gone, or that run longer than a recorder can hold."""
        effects: Effects = [Probe(dialog_id) for dialog_id in self._exempt.due(now.monotonic_s)]
        for session in list(self._sessions.values()):
            match session.overdue(self.limits, now):
                case Overdue.SILENT:
                    session.probed_s = now.monotonic_s
                    effects.append(Probe(session.dialog_id))
                case Overdue.LOST:
                    # A BYE, so that a client that does live learns of it and can fork the call anew.
                    effects += [HangUp(session.dialog_id), *self._finish(session, "client lost", now)]
                case Overdue.TOO_LONG:
                    ended = self._finish(session, "longest session reached", now)
                    effects += [HangUp(session.dialog_id), *ended]
                case None:
                    pass
        return effects

    def heard(self, session_id: str, now: Moment) -> None:
        """Note that a stream of the session gets packets."""
        session = self._sessions.get(session_id)
        if session:
            session.heard_s, session.probed_s, session.recovering = now.monotonic_s, None, False

    def edge_dated(self, uid: bytes, kind: str, by: str | None, at_ns: int) -> Effects:
        """Note when capture really began or stopped, exact to a packet."""
        for session in self._sessions.values():
            if uid in session.recordings:
                return list(lifecycle.edge(session, uid, kind, by, at_ns))
        return []

    def restore(self, states: Mapping[bytes, CallState], dialog_id: DialogId, now: Moment) -> Effects:
        """Go on with the recordings of one dialog after a restart; sockets are bound already."""
        session = lifecycle.restored(states, dialog_id, self.directory, now)
        self._keep(session)
        return lifecycle.resume(session, now)

    # Exempt and idle sessions.

    def _answer_exempt(
        self, event: sip.InvitationReceived, body: OfferBody, now: Moment, *, stranger: bool
    ) -> Effects:
        """Answer 200 with nothing received; only that there was one more call today is kept."""
        crowded_out = self._exempt.open(event.dialog_id, now.monotonic_s, stranger=stranger)
        answer = inactive_answer(body.sdp, self._address_for(event.flow.local[0]))
        forgotten: Effects = [ForgetDialog(crowded_out)] if crowded_out else []
        return [response.inactive(event, body, answer), CountExempt(), *forgotten]

    def _answer_idle(
        self, session: RecordingSession, key: TransactionKey, body: OfferBody, now: Moment
    ) -> Effects:
        """Answer 200 with nothing received: the mode is never, or nobody of the call is recorded."""
        session.phase = Phase.IDLE
        self._keep(session)
        answer = media.write_inactive_answer(session, body.sdp)
        outcome = lifecycle.unrecorded(session, now, final=False)
        return [response.accepted(key, answer), outcome]

    def _judge(self, session: RecordingSession, now: Moment) -> Effects:
        """Decide about a session when metadata came, or when it has waited long enough."""
        if session.phase in (Phase.OPENING, Phase.EXEMPT, Phase.ENDED) or session.peer is None:
            return []
        decision = decide(self.directory, session.peer, session.facts, undescribed=session.undescribed)
        if session.phase is Phase.RUNNING:
            return self._joined(session, decision, now)
        session.judged = True
        self._waiting.pop(session.session_id, None)
        if not decision.recorded:
            session.decision, session.phase = decision, Phase.IDLE
            return [lifecycle.unrecorded(session, now, final=False), *lifecycle.discard_streams(session)]
        session.decision = decision
        if session.phase is Phase.IDLE and not session.streams:
            # A session answered inactive has no sockets; they come with the next offer.
            return []
        media.name_channels(session)
        return lifecycle.begin(session, self._new_id, now)

    def _joined(self, session: RecordingSession, decision: Decision, now: Moment) -> Effects:
        """Begin a recording for each recorded user who was named only now."""
        owners = {state.owner for state in session.recordings.values()}
        if all(item.user is None or item.user.id in owners for item in decision.recorded):
            return []
        session.decision = decision
        return lifecycle.begin(session, self._new_id, now)

    def _exempt_joined(self, session: RecordingSession, joined_ns: int, now: Moment) -> Effects:
        """Cut the audio back to the joining; neither BYE nor re-INVITE, sockets stay bound."""
        self._waiting.pop(session.session_id, None)
        effects = lifecycle.cut(session, lifecycle.cut_from(session, joined_ns, self.limits, now))
        session.phase = Phase.EXEMPT
        return [*effects, CountExempt()]

    def _wanted(self, session: RecordingSession) -> bool:
        """Tell whether sockets of the session serve anything."""
        decided = session.decision is not None and bool(session.decision.recorded)
        return session.phase is not Phase.IDLE or decided

    def _keep(self, session: RecordingSession) -> None:
        self._sessions[session.session_id] = session
        self._dialogs[session.dialog_id] = session

    def _drop(self, session: RecordingSession) -> None:
        session.phase = Phase.ENDED
        self._sessions.pop(session.session_id, None)
        self._waiting.pop(session.session_id, None)
        self._dialogs.pop(session.dialog_id, None)

    def _full(self) -> bool:
        return self.full_reason() is not None

    def full_reason(self) -> str | None:
        """Return why no new call can be taken, or None; OPTIONS and `/readyz` say the same."""
        if self.draining:
            return "draining"
        with_media = sum(session.phase is not Phase.IDLE for session in self._sessions.values())
        if with_media >= self.limits.sessions_max or len(self._sessions) >= self.limits.dialogs_max:
            return "as many sessions run as this recorder takes"
        return self.unable_reason

    def _unavailable(self, key: TransactionKey) -> Respond:
        return Respond(key, 503, headers=(("Retry-After", str(self.limits.retry_after_s)),))
