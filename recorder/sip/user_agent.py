"""The user agent server of the recorder: SIP in, events out (RFC 3261 sections 8.2, 9.2, 12 to 15).

It answers by itself what needs no decision (100, CANCEL, BYE, PRACK, in-dialog OPTIONS,
481, 482, 491, 500, 405, 501, repeated 2xx, session timer) and hands the rest to its
transaction user, which calls `respond`.

Rules: five verbs, `receive`, `handle_timer`, `get_timer`, `datagrams_to_send` and
`next_event`; no bytes from outside make any of them raise. `now` is in monotonic
seconds and never goes back. One message touches one transaction and one dialog,
however many there are. Not here: SDP, metadata, trust in peers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from recorder.errors import LocalDefect
from recorder.sip import session_timer
from recorder.sip.capability import (
    METHODS_NOT_ALLOWED,
    RETRY_AFTER_S,
    Identity,
    Leniency,
    Objection,
    crowded,
    object_to,
)
from recorder.sip.dialog import Dialog, DialogId, DialogSnapshot
from recorder.sip.dialog_layer import DIALOG_COUNT_MAX, DIALOG_RESERVE_COUNT_MAX, DialogLayer, id_of
from recorder.sip.event import (
    CapabilitiesAsked,
    DialogEnded,
    Event,
    InformationReceived,
    InvitationReceived,
    OfferReceived,
)
from recorder.sip.framing import PING, PONG, Streams
from recorder.sip.headers import canonical
from recorder.sip.message import Defect, Flow, Request, Response
from recorder.sip.parser import NotSip, parse
from recorder.sip.response import Fields, capabilities, make_response, way_back
from recorder.sip.timer_queue import TimerQueue
from recorder.sip.transaction import TIMEOUT_S, TransactionKey
from recorder.sip.transaction_layer import Arrival, TransactionLayer, key_of

# A transaction user that has not answered by now never will, and the peer has given up.
ANSWER_S_MAX = TIMEOUT_S
OVERLAP_RETRY_AFTER_S_MAX = 10  # RFC 3261 section 14.2

_TAG_SIZE_BYTES = 10
_OFFERING = ("INVITE", "UPDATE")
_IN_DIALOG_ONLY = ("BYE", "UPDATE", "INFO", "PRACK")


@dataclass(frozen=True)
class _Served:
    """A request being served, and the dialog it belongs to or may make."""

    key: TransactionKey
    request: Request
    flow: Flow
    dialog_id: DialogId | None = None


class UserAgentServer:
    """All SIP of one recorder process, without its sockets.

    `random(n)` returns n unpredictable octets; `leniency` is asked what the peer of a
    flow may do against the rules. `counters` count what is not worth an event.
    """

    def __init__(
        self,
        identity: Identity,
        random: Callable[[int], bytes],
        leniency: Callable[[Flow], Leniency] = lambda _: Leniency(),
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._identity = identity
        self._random = random
        self._leniency = leniency
        self._transactions = TransactionLayer()
        self._streams = Streams()
        self._dialogs = DialogLayer(self._transactions, self._streams, identity, random)
        self._events = self._dialogs.events
        self._outbox = self._transactions.outbox
        self._asked: dict[TransactionKey, _Served] = {}
        self._invitations: dict[DialogId, TransactionKey] = {}
        self._patience: TimerQueue[TransactionKey] = TimerQueue()

    # The five verbs, and what else a shell needs.

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one datagram, or the next octets of the connection `flow` names."""
        if not flow.reliable:
            self._receive_message(data, (), flow, now)
            return
        for frame in self._streams.receive(data, flow.connection_id, now):
            if frame.data == PING:
                self._outbox.append((flow, PONG))
            else:
                self._receive_message(frame.data, frame.defects, flow, now)

    def handle_timer(self, now: float) -> None:
        """Do everything that is due at `now`."""
        for sent in self._transactions.handle_timer(now):
            self._dialogs.finish(sent, 408)
        while (key := self._patience.pop(now)) is not None:
            self.respond(key, 500, now=now)
        self._dialogs.handle_timer(now)
        self._streams.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is next needed, None when nothing is under way."""
        layers = (self._transactions.get_timer(), self._dialogs.get_timer(), self._streams.get_timer())
        return min((at for at in (*layers, self._patience.next()) if at is not None), default=None)

    def datagrams_to_send(self) -> list[tuple[Flow, bytes]]:
        """Return what is to be sent, once, in order; a stream flow with connection 0 opens a connection."""
        queued = list(self._outbox)
        self._outbox.clear()
        return queued

    def next_event(self) -> Event | None:
        """Return the oldest event not yet taken."""
        return self._events.popleft() if self._events else None

    def connections_to_close(self) -> list[int]:
        """Return the connections that broke a limit, once; write what is queued for them first."""
        return self._streams.take_to_close()

    def is_of_peer(self, flow: Flow) -> bool:
        """Whether a flow is of somebody trusted, whose connections come before those of strangers."""
        return self._leniency(flow).may_move_dialogs

    def connection_lost(self, connection_id: int) -> None:
        """Note that a connection is gone; its dialogs live on."""
        self._streams.lost(connection_id)

    # What the transaction user does.

    def respond(
        self,
        key: TransactionKey,
        status: int,
        *,
        reason: str | None = None,
        headers: Fields = (),
        body: bytes = b"",
        content_type: str | None = None,
        now: float,
    ) -> DialogId | None:
        """Answer a request; returns the dialog a 2xx made or belongs to, else None.

        Nothing is sent and None comes back when the request was cancelled, its dialog
        ended, or it was answered before; and for a provisional answer to a client that
        requires 100rel, since this server sends none reliably. Contact, Allow, Supported,
        Accept and the session timer are added here. Raises LocalDefect for a status
        outside 101 to 699 or a header value with a line break.
        """
        if not 100 < status < 700:
            raise LocalDefect(f"{status} is no status to answer a SIP request with.")
        served = self._asked.get(key)
        if served is None or (status < 200 and "100rel" in served.request.headers.values("Require")):
            return None
        terms = self._terms(served, status)
        message, way = self._answer(
            served,
            status,
            now,
            (*terms.headers, *headers),
            reason=reason,
            body=body,
            content_type=content_type,
        )
        if status < 200:
            return None
        self._withdraw(served)
        dialog = self._dialog_of_success(served) if status < 300 else None
        if dialog is None:
            return None
        if served.request.method in _OFFERING:
            self._dialogs.run_session_timer(dialog, terms.interval_s, now)
        if served.request.method == "INVITE":
            offered = bool(body) and not served.request.carries_sdp
            cseq = served.request.cseq.number
            self._dialogs.repeat_until_acknowledged(dialog, cseq, way, message, now, carries_offer=offered)
        return dialog.id

    def refuse(self, key: TransactionKey, objection: Objection, now: float) -> None:
        """Answer a request as its objection says."""
        self.respond(key, objection.status, headers=objection.headers, now=now)

    def bye(self, dialog_id: DialogId, now: float) -> bool:
        """End a dialog: no event follows. False when there is no such dialog any more.

        While an ACK is outstanding the BYE waits for it, as RFC 3261 section 15 demands.
        """
        return self._dialogs.bye(dialog_id, now)

    def probe(self, dialog_id: DialogId, now: float) -> bool:
        """Ask by OPTIONS whether the peer knows the dialog; `ProbeAnswered` follows, or False comes back."""
        return self._dialogs.probe(dialog_id, now)

    def snapshot(self, dialog_id: DialogId) -> DialogSnapshot:
        """Return the dialog for the journal; raises LocalDefect when there is none."""
        return self._dialogs.snapshot(dialog_id)

    def restore(self, snapshot: DialogSnapshot, now: float) -> DialogId:
        """Take a dialog up again after a restart; its session timer starts anew."""
        return self._dialogs.restore(snapshot, now)

    def forget(self, dialog_id: DialogId) -> None:
        """Drop a dialog without a word; what comes in it later is answered 481."""
        dialog = self._dialogs.find(dialog_id)
        if dialog is not None:
            self._dialogs.close(dialog)

    def _terms(self, served: _Served, status: int) -> session_timer.Terms:
        if served.request.method not in _OFFERING or not 200 <= status < 300:
            return session_timer.Terms(None)
        dialog = self._dialogs.find(served.dialog_id) if served.dialog_id else None
        return session_timer.agree(served.request, dialog.session_expires_s if dialog else None)

    def _dialog_of_success(self, served: _Served) -> Dialog | None:
        """Return the dialog a 2xx makes or moves; None for OPTIONS, or when it ended meanwhile."""
        if served.dialog_id is None:
            return None
        if not served.request.to_address.tag:
            return self._dialogs.open(served.request, served.dialog_id, served.flow)
        dialog = self._dialogs.find(served.dialog_id)
        if dialog is not None and served.request.method in _OFFERING:
            dialog.refresh_target(served.request)
        return dialog

    # Receiving.

    def _receive_message(self, data: bytes, defects: tuple[Defect, ...], flow: Flow, now: float) -> None:
        try:
            message = parse(data, defects)
        except NotSip:
            self.counters["garbage" if data.strip(b"\r\n\x00 ") else "keep-alive"] += 1
            self._streams.close(flow.connection_id)
            return
        if isinstance(message, Response):
            self._receive_response(message, now)
        else:
            self._receive_request(message, flow, now)

    def _receive_response(self, response: Response, now: float) -> None:
        branch = response.top_via.branch if response.top_via else ""
        key = TransactionKey(branch, "", response.cseq.method)
        if self._transactions.find(key) is None:
            self.counters["stray response"] += 1
        elif self._transactions.receive_response(key, response, now):
            self._dialogs.finish(key, response.status)

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        if request.top_via is None:
            self._answer_statelessly(request, flow, 400)
            return
        arrival = self._transactions.receive_request(request, flow, way_back(request, flow), now)
        if arrival is Arrival.ACK_OF_SUCCESS:
            self._dialogs.acknowledge(request, now)
        elif arrival is Arrival.REFUSED:
            self._answer_statelessly(request, flow, 503)
        elif arrival is not Arrival.ABSORBED:
            served = _Served(key_of(request), request, flow)
            self._serve(served, now, merged=arrival is Arrival.MERGED)

    def _serve(self, served: _Served, now: float, *, merged: bool) -> None:
        method = served.request.method
        if method == "CANCEL":
            self._cancel(served, now)
        elif served.request.to_address.tag:
            self._serve_in_dialog(served, now)
        elif method == "INVITE":
            self._invite(served, now, merged=merged)
        elif method == "OPTIONS":
            self._serve_options(served, now)
        else:
            self._answer(served, 481 if method in _IN_DIALOG_ONLY else _status_of_unserved(method), now)

    def _serve_options(self, served: _Served, now: float) -> None:
        objection = object_to(served.request, self._leniency(served.flow))
        if objection is not None:
            self._answer(served, objection.status, now, objection.headers)
        else:
            self._ask(served, CapabilitiesAsked(served.key, served.request, served.flow), now)

    def _invite(self, served: _Served, now: float, *, merged: bool) -> None:
        if len(self._dialogs) >= DIALOG_COUNT_MAX + DIALOG_RESERVE_COUNT_MAX:
            self._answer(served, 503, now, crowded().headers)
            return
        key, request, flow = served.key, served.request, served.flow
        objection = object_to(request, self._leniency(flow))
        if objection is None and merged:
            objection = Objection(482, "The same request came by another way.")
        if objection is None and (len(self._dialogs) >= DIALOG_COUNT_MAX or self._transactions.crowded):
            objection = crowded()
        self._answer(served, 100, now)
        dialog_id = DialogId(request.call_id, self._local_tag(key), request.from_address.tag)
        self._invitations[dialog_id] = key
        event = InvitationReceived(key, request, flow, objection, dialog_id)
        self._ask(_Served(key, request, flow, dialog_id), event, now)

    def _cancel(self, served: _Served, now: float) -> None:
        """Serve a CANCEL (section 9.2): after a final response it changes nothing any more."""
        invite_key = served.key._replace(method="INVITE")
        invite = self._transactions.find(invite_key)
        if invite is None:
            self._answer(served, 481, now)
            return
        cancel = self._transactions.find(served.key)
        if cancel is not None:
            cancel.local_tag = invite.local_tag
        self._answer(served, 200, now)
        invited = self._asked.get(invite_key)
        if invited is not None:
            self.respond(invite_key, 487, now=now)
            if invited.dialog_id is not None and not invited.request.to_address.tag:
                self._events.append(DialogEnded(invited.dialog_id, "cancel", served.request))

    # Within a dialog.

    def _serve_in_dialog(self, served: _Served, now: float) -> None:
        dialog = self._dialogs.find(id_of(served.request))
        if dialog is None:
            self._serve_early(served, now)
        elif self._is_intruder(served.flow, dialog):
            self._answer(served, 403, now)
        elif not dialog.take_sequence(served.request.cseq.number):
            self._answer(served, 500, now)
        else:
            dialog.flow = served.flow
            self._serve_known(replace(served, dialog_id=dialog.id), dialog, now)

    def _is_intruder(self, flow: Flow, dialog: Dialog) -> bool:
        """Tell whether a stranger speaks in a dialog made from another host: tags can be overheard."""
        return flow.remote[0] != dialog.flow.remote[0] and not self._leniency(flow).may_move_dialogs

    def _serve_early(self, served: _Served, now: float) -> None:
        """Serve a request whose dialog we have not made yet, or not any more."""
        dialog_id = id_of(served.request)
        invite_key = self._invitations.get(dialog_id)
        if invite_key is None or served.request.method != "BYE":
            self._answer(served, 481, now)
            return
        self._answer(served, 200, now)
        self.respond(invite_key, 487, now=now)
        self._events.append(DialogEnded(dialog_id, "bye", served.request))

    def _serve_known(self, served: _Served, dialog: Dialog, now: float) -> None:
        request = served.request
        objection = object_to(request, self._leniency(served.flow))
        if request.method == "BYE":
            # Whatever is wrong with a BYE, the call is over.
            self._answer(served, 200, now)
            if dialog.pending is not None:
                self.respond(dialog.pending, 487, now=now)
            self._dialogs.end(dialog, "bye", request)
        elif request.method in _OFFERING:
            self._offer(served, dialog, objection, now)
        elif objection is None and request.method in ("OPTIONS", "PRACK"):
            self._answer(served, 200, now)
        else:
            # What it says may matter (who a REFER refers to), even where nothing is done for its method.
            if objection is None and request.method != "INFO":
                objection = Objection(_status_of_unserved(request.method), "This method is not served.")
            informed = InformationReceived(served.key, dialog.id, request, served.flow, objection)
            self._ask(served, informed, now)

    def _offer(self, served: _Served, dialog: Dialog, objection: Objection | None, now: float) -> None:
        request = served.request
        if dialog.pending is not None:
            retry_after_s = self._random(1)[0] % (OVERLAP_RETRY_AFTER_S_MAX + 1)
            self._answer(served, 500, now, (("Retry-After", str(retry_after_s)),))
        elif dialog.awaits_sdp_answer and (request.method == "INVITE" or request.carries_sdp):
            self._answer(served, 491, now)
        else:
            if request.method == "INVITE":
                self._answer(served, 100, now)
            dialog.pending = served.key
            self._ask(served, OfferReceived(served.key, dialog.id, request, served.flow, objection), now)

    # Answering.

    def _ask(self, served: _Served, event: Event, now: float) -> None:
        self._asked[served.key] = served
        self._patience.set(served.key, now + ANSWER_S_MAX)
        self._events.append(event)

    def _withdraw(self, served: _Served) -> None:
        del self._asked[served.key]
        self._patience.cancel(served.key)
        if served.dialog_id is not None:
            self._invitations.pop(served.dialog_id, None)
            dialog = self._dialogs.find(served.dialog_id)
            if dialog is not None and dialog.pending == served.key:
                dialog.pending = None

    def _answer(
        self,
        served: _Served,
        status: int,
        now: float,
        headers: Fields = (),
        *,
        reason: str | None = None,
        body: bytes = b"",
        content_type: str | None = None,
    ) -> tuple[bytes, Flow]:
        """Send a response by its transaction; returns it with the way it went."""
        request, flow = served.request, served.flow
        given = tuple(headers)
        names = {canonical(name) for name, _ in given}
        own = (item for item in capabilities(request, status, self._identity, flow) if item[0] not in names)
        message = make_response(
            request,
            flow,
            status,
            tag=self._local_tag(served.key),
            reason=reason,
            headers=(*own, *given),
            body=body,
            content_type=content_type,
        ).to_bytes()
        way = self._transactions.respond(served.key, status, message, now)
        return message, way or flow

    def _local_tag(self, key: TransactionKey) -> str:
        transaction = self._transactions.find(key)
        if transaction is None:
            return self._random(_TAG_SIZE_BYTES).hex()
        transaction.local_tag = transaction.local_tag or self._random(_TAG_SIZE_BYTES).hex()
        return transaction.local_tag

    def _answer_statelessly(self, request: Request, flow: Flow, status: int) -> None:
        self.counters["answered statelessly"] += 1
        if request.method != "ACK":
            headers = (("Retry-After", str(RETRY_AFTER_S)),) if status == 503 else ()
            tag = self._random(_TAG_SIZE_BYTES).hex()
            response = make_response(request, flow, status, tag=tag, headers=headers)
            self._outbox.append((way_back(request, flow), response.to_bytes()))


def _status_of_unserved(method: str) -> int:
    return 405 if method in METHODS_NOT_ALLOWED else 501
