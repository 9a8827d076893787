"""The session recording server (RFC 7866): from what a peer says to what must be done.

A core without I/O: events of the SIP user agent, reports of capture and `now` go
in, effects (`recorder.srs.effects`) come out in order. Rules it keeps:

* The exempt check stands before every refusal; an exempt call is answered 200 with
  every stream inactive, and nothing of it is kept but a count.
* Sockets are open and the recording stands in the journal before the 200 goes out.
* Metadata never causes a refusal: it is kept raw, flagged, and the audio recorded.
* Every accepted session ends in exactly one outcome (invariant I3).

Not here: sockets, files, keys (`recorder.service`), who is recorded
(`archive.decision`), what becomes of each recording (`recorder.srs.lifecycle`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from archive.catalogue.snapshot import Directory
from recorder.sdp.description import SessionDescription, UnreadableDescription
from recorder.sdp.offer_answer import UnusableOffer, inactive_answer, negotiate
from recorder.sip import event as sip
from recorder.sip.dialog import DialogId
from recorder.sip.message import Request
from recorder.sip.transaction import TransactionKey
from recorder.srs import control, lifecycle, media, outcome, response, restoration
from recorder.srs.admission import Admission
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
from recorder.srs.grace import GracePeriods
from recorder.srs.intake import exempt_joining, take_metadata
from recorder.srs.judgement import Judge
from recorder.srs.offer import OfferBody, of_stranger, read_body
from recorder.srs.session import Command, Overdue, Phase, RecordingSession
from recorder.state import CallState

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
        self._judge = Judge(directory, new_id)
        self.admission = Admission(limits)
        self.limits = limits
        self._new_id = new_id
        self._address_for = address_for
        self._sessions: dict[str, RecordingSession] = {}
        self._dialogs: dict[DialogId, RecordingSession] = {}
        self._exempt = ExemptDialogs()
        self.grace = GracePeriods()
        self.left_ns = 0  # when a recorder was here last before this start, in wall time; 0 for unknown

    @property
    def directory(self) -> Directory:
        """Whom to record, and who may call."""
        return self._judge.directory

    @directory.setter
    def directory(self, directory: Directory) -> None:
        self._judge.directory = directory

    @property
    def sessions(self) -> tuple[RecordingSession, ...]:
        """The sessions that run now."""
        return tuple(self._sessions.values())

    def full_reason(self) -> str | None:
        """Return why no new call can be taken, or None."""
        return self.admission.refusal_reason(self._sessions.values())

    def session_of(self, session_id: str) -> RecordingSession | None:
        """Return a session that runs, by its id."""
        return self._sessions.get(session_id)

    def handle(self, event: sip.Event, now: Moment) -> Effects:
        """Take what the user agent saw and return what must be done, in order."""
        if not isinstance(event, sip.CapabilitiesAsked) and event.dialog_id in self._dialogs:
            now = self._dialogs[event.dialog_id].by_clock(now)
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
        searched = body if peer else of_stranger(body)
        additions = self._judge.exempt_additions(peer, searched)
        if exempt_joining(event.request, searched, additions) is not None:
            return self._answer_exempt(event, body, now, stranger=peer is None)
        if peer is None:
            # Without any directory nobody can be told from a stranger: another recorder may know.
            return [
                Respond(event.key, 403) if self.directory.peers else self.admission.unavailable(event.key)
            ]
        if event.objection:
            return [response.objected(event.key, event.objection)]
        if self.full_reason():
            return [self.admission.unavailable(event.key)]
        if refusal := response.body_refusal(event.key, body):
            return [refusal]
        address = self._address_for(event.flow.local[0])
        session = RecordingSession.begin(event, self._new_id(now.clock_ns), peer, address, now)
        now = session.by_clock(now)
        take_metadata(session, body, now)
        session.facts = facts_of(session.model, event.request, session.facts)
        session.judged = bool(body.metadata) and not session.undescribed
        session.decision = self._judge.decide(session, now)
        if session.judged and not session.decision.recorded:
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
            begun_ns = session.opened_ns - session.ahead_ns
            begun = Moment(session.opened_s, begun_ns, session.boot_id, session.ahead_ns)
            return self.media_opened(session.session_id, {}, begun)
        return [OpenMedia(session.session_id, positions, session.address)]

    def media_opened(self, session_id: str, ports: Mapping[int, int], now: Moment) -> Effects:
        """Take the ports that were bound for an `OpenMedia` and answer the offer that needed them."""
        session = self._sessions.get(session_id)
        if session is None:
            return [CloseMedia(session_id)]
        now = session.by_clock(now)
        if session.pending_key is not None:
            return self._answer_offer(session, ports, now)
        if session.delayed_offer:
            media.write_first_offer(session, ports)
        else:
            assert session.offer is not None
            media.take_streams(session, session.proposals, ports)
            media.write_answer(session, session.offer, session.proposals)
        assert session.invite_key is not None
        answer = response.accepted(session.invite_key, session.answer)
        if session.judged:
            return self._judge.begin(session, now, before=answer)
        session.phase, session.invite_key = Phase.WAITING, None
        return [answer]

    def media_refused(self, session_id: str, now: Moment) -> Effects:
        """No socket could be bound: refuse what needed it, and keep what runs."""
        session = self._sessions.get(session_id)
        if session is None:
            return []
        if session.pending_key is not None:
            session.flag("stream-refused-no-port")
            return self._answer_offer(session, {}, session.by_clock(now))
        self._drop(session)
        return [self.admission.unavailable(session.invite_key)] if session.invite_key else []

    def storage_failed(self, session_id: str, reason: str, now: Moment, uid: bytes = b"") -> Effects:
        """A recording can't be kept: give it up beside others, else refuse what waits, or hang up."""
        session = self._sessions.get(session_id)
        if session is None:
            return []
        now = session.by_clock(now)
        if uid in session.recordings and len(session.recordings) > 1:
            return lifecycle.given_up(session, uid, reason, now)
        effects: Effects = [CloseMedia(session_id)]
        if session.invite_key:
            effects.append(self.admission.unavailable(session.invite_key))
        else:
            waiting = [self.admission.unavailable(session.pending_key)] if session.pending_key else []
            effects += [*waiting, HangUp(session.dialog_id), outcome.failed(session, reason, now)]
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
        joined_ns = None if session.phase is Phase.EXEMPT else self._joining(session, event.request, body)
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
        session.described_by_offer = bool(body.metadata)
        if not body.metadata:
            return []
        take_metadata(session, body, now)
        session.facts = facts_of(session.model, None, session.facts)
        effects = self._judge.judge(session, now)
        self._judge.link(session)
        return [*effects, *control.recording_type_changed(session, now)]

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
        was_stopped, before = session.stopped, set(session.streams)
        if not idle:
            media.take_streams(session, session.proposals, ports)
        answer = media.write_answer(session, session.offer, session.proposals, inactive=idle)
        if session.phase is Phase.IDLE and not idle and session.streams:
            effects = self._judge.begin(session, now)
        else:
            effects = self._media_taken(session, now, was_stopped=was_stopped)
        relearn = [RelearnStream(session.session_id, position) for position in sorted(before)]
        return [*effects, *relearn, response.accepted(key, answer), *lifecycle.write(session)]

    def _media_taken(self, session: RecordingSession, now: Moment, *, was_stopped: bool) -> Effects:
        """Let what runs follow the streams as they are now.

        The switch comes first: whatever else takes packets from the sockets takes them in the
        state that was, and what comes after our answer is in the new one.
        """
        effects: Effects = []
        if session.stopped != was_stopped:
            alone = not session.described_by_offer
            effects += lifecycle.media_switched(session, now, off=session.stopped, as_pause=alone)
        if session.phase is Phase.RUNNING:
            effects += lifecycle.capture_streams(session)
        return effects

    def _informed(self, event: sip.InformationReceived, now: Moment) -> Effects:
        session = self._dialogs.get(event.dialog_id)
        if session and session.phase is not Phase.EXEMPT:
            session.heard_s, session.recovering = now.monotonic_s, False
            joined_ns = self._joining(session, event.request, read_body(event.request))
            if joined_ns is not None:
                return [*self._exempt_joined(session, joined_ns, now), Respond(event.key, 200)]
            verb = None if event.objection else control.action_of(event.request.headers.first("X-AC-Action"))
            if verb is not None:
                return response.acted(event.key, control.obey_exchange(session, verb, now))
        if event.objection:
            return [response.objected(event.key, event.objection)]
        if event.request.headers.first("Info-Package"):
            return [Respond(event.key, 469, headers=(("Recv-Info", ""),))]
        return [Respond(event.key, 200)]

    def _confirmed(self, event: sip.DialogConfirmed, now: Moment) -> Effects:
        """Take the answer of a delayed offer from the ACK (RFC 3261 section 13.2.1)."""
        session = self._dialogs.get(event.dialog_id)
        if session is None or session.phase is Phase.EXEMPT:
            return []
        body = read_body(event.request)
        joined_ns = self._joining(session, event.request, body)
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
        was_stopped = session.stopped
        media.take_streams(session, session.proposals, {})
        effects += self._media_taken(session, now, was_stopped=was_stopped)
        return [*effects, *lifecycle.write(session)]

    # The end, and what may come before it.

    def _ended(self, event: sip.DialogEnded, now: Moment) -> Effects:
        self._exempt.close(event.dialog_id)
        session = self._dialogs.get(event.dialog_id)
        if session is None:
            return []
        if session.phase is not Phase.EXEMPT and event.request is not None:
            body = read_body(event.request)
            joined_ns = self._joining(session, event.request, body)
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
            effects += self._judge.judge(session, now)
        if session.phase is Phase.IDLE:
            effects.append(outcome.unrecorded(session, now, final=True))
        elif session.phase is not Phase.EXEMPT:
            effects += self.grace.take(lifecycle.end(session, reason, now), now)
        self._drop(session)
        return [*effects, CloseMedia(session.session_id)]

    def _asked(self, event: sip.CapabilitiesAsked) -> Effects:
        if self.directory.peer_of(event.flow.remote[0]) is None:
            return [Respond(event.key, 403)]
        return [self.admission.unavailable(event.key) if self.full_reason() else Respond(event.key, 200)]

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
        effects: Effects = self.grace.over(now)
        for session in list(self._sessions.values()):
            waiting = session.phase is Phase.WAITING
            if waiting and now.monotonic_s - session.opened_s >= self.limits.hold_back_s:
                effects += self._judge.judge(session, session.by_clock(now))
        return effects

    def check_silence(self, now: Moment) -> Effects:
        """Find sessions whose client may be gone, or that run longer than a recorder can hold."""
        effects: Effects = [Probe(dialog_id) for dialog_id in self._exempt.due(now.monotonic_s)]
        for session in list(self._sessions.values()):
            dated = session.by_clock(now)
            effects += control.reminders(session, dated, after_s=self.limits.reminder_s)
            match session.overdue(self.limits, dated):
                case Overdue.SILENT:
                    session.probed_s = dated.monotonic_s
                    effects.append(Probe(session.dialog_id))
                case Overdue.LOST | Overdue.TOO_LONG as why:
                    reason = "client lost" if why is Overdue.LOST else "longest session reached"
                    # A BYE, so that a client that does live learns of it and can fork the call anew.
                    effects += [HangUp(session.dialog_id), *self._finish(session, reason, dated)]
        return effects

    def heard(self, session_id: str, now: Moment) -> None:
        """Note that a stream of the session gets packets."""
        session = self._sessions.get(session_id)
        if session:
            session.heard_s, session.probed_s, session.recovering = now.monotonic_s, None, False

    # Commands, and the edges they lead to.

    def command(self, uid: bytes, command: Command, now: Moment) -> Effects | None:
        """Let a command take effect on a recording, under way or in its grace; None when it is over."""
        session = self._session_with(uid)
        if session is not None:
            return control.obey(session, uid, command, session.by_clock(now))
        return self.grace.obey(uid, command, now) if uid in self.grace else None

    def digit_pressed(self, session_id: str, position: int, digit: str, now: Moment) -> Effects:
        """Take a digit that a telephone sent as an event (RFC 4733)."""
        session = self._sessions.get(session_id)
        return [] if session is None else control.pressed(session, position, digit, session.by_clock(now))

    def edge_dated(self, uid: bytes, at_ns: int) -> Effects:
        """Note when capture really began or stopped, exact to a packet; reports come in order."""
        session = self._session_with(uid)
        expected = session.expected.get(uid) if session else None
        if session is None or not expected:
            return []
        return lifecycle.dated(session, uid, expected.popleft(), at_ns + session.ahead_ns)

    def _session_with(self, uid: bytes) -> RecordingSession | None:
        return next((item for item in self._sessions.values() if uid in item.recordings), None)

    def restore(self, states: Mapping[bytes, CallState], dialog_id: DialogId, now: Moment) -> Effects:
        """Go on with the recordings of one dialog after a restart; sockets are bound already."""
        session = restoration.restored(states, dialog_id, self.directory, now, self.left_ns)
        self._keep(session)
        self._judge.link(session)
        return restoration.resume(session, session.by_clock(now))

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
        return [response.accepted(key, answer), outcome.unrecorded(session, now, final=False)]

    def _joining(self, session: RecordingSession, request: Request, body: OfferBody) -> int | None:
        """Tell whether a request inside a session names an exempt party, and when that one joined."""
        additions = self._judge.exempt_additions(session.peer, body, session)
        return exempt_joining(request, body, additions)

    def _exempt_joined(self, session: RecordingSession, joined_ns: int, now: Moment) -> Effects:
        """Cut the audio back to the joining; neither BYE nor re-INVITE, sockets stay bound."""
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
        self._dialogs.pop(session.dialog_id, None)
