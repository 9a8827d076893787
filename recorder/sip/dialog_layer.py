"""All live dialogs: what is repeated, timed and asked in them (RFC 3261 12 to 15, RFC 4028).

Rules: a 2xx is sent again until its ACK, over every transport; without an ACK, or a
refresh in time, the dialog ends with a BYE of ours. Every end but the one our
transaction user asked for is an event. Not here: judging and answering requests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from recorder.errors import LocalDefect
from recorder.sip import session_timer
from recorder.sip.capability import Identity
from recorder.sip.dialog import Dialog, DialogId, DialogSnapshot, Unacknowledged
from recorder.sip.event import DialogConfirmed, DialogEnded, EndReason, Event, ProbeAnswered
from recorder.sip.framing import Streams
from recorder.sip.grammar import MAGIC_COOKIE
from recorder.sip.message import Flow, Request
from recorder.sip.timer_queue import TimerQueue
from recorder.sip.transaction import T1_S, T2_S, TIMEOUT_S, TransactionKey
from recorder.sip.transaction_layer import TransactionLayer

# Twice the calls one node records; each costs about 2 kB here.
DIALOG_COUNT_MAX = 16_384
# Dialogs above the limit, for calls answered in spite of an objection: emergency calls.
DIALOG_RESERVE_COUNT_MAX = 4_096

_BRANCH_SIZE_BYTES = 12


@dataclass(frozen=True)
class _Repeat:
    """The 2xx to the INVITE with this CSeq is due again."""

    dialog_id: DialogId
    cseq: int


@dataclass(frozen=True)
class _SessionEnd:
    """No refresh came in time."""

    dialog_id: DialogId


class DialogLayer:
    """The dialogs of one user agent; `events` are its own, oldest first."""

    def __init__(
        self,
        transactions: TransactionLayer,
        streams: Streams,
        identity: Identity,
        random: Callable[[int], bytes],
    ) -> None:
        self.events: deque[Event] = deque()
        self._transactions = transactions
        self._streams = streams
        self._identity = identity
        self._random = random
        self._dialogs: dict[DialogId, Dialog] = {}
        self._timers: TimerQueue[_Repeat | _SessionEnd] = TimerQueue()
        self._sent: dict[TransactionKey, DialogId] = {}

    def __len__(self) -> int:
        return len(self._dialogs)

    def find(self, dialog_id: DialogId) -> Dialog | None:
        """Return a live dialog."""
        return self._dialogs.get(dialog_id)

    def open(self, request: Request, dialog_id: DialogId, flow: Flow) -> Dialog:
        """Enter the dialog that a 2xx to `request` makes."""
        dialog = self._dialogs[dialog_id] = Dialog.accept(request, dialog_id, flow)
        return dialog

    def close(self, dialog: Dialog) -> None:
        """Forget a dialog with all its timers."""
        del self._dialogs[dialog.id]
        for cseq in dialog.unacknowledged:
            self._timers.cancel(_Repeat(dialog.id, cseq))
        self._timers.cancel(_SessionEnd(dialog.id))

    def end(self, dialog: Dialog, reason: EndReason, request: Request | None = None) -> None:
        """Forget a dialog and say so, unless our transaction user itself had ended it."""
        self.close(dialog)
        if not dialog.farewell:
            self.events.append(DialogEnded(dialog.id, reason, request))

    # The three-way handshake.

    def repeat_until_acknowledged(
        self, dialog: Dialog, cseq: int, flow: Flow, message: bytes, now: float, *, carries_offer: bool
    ) -> None:
        """Send a 2xx again after T1, 2*T1 and so on up to T2, for 64*T1 (section 13.3.1.4)."""
        dialog.unacknowledged[cseq] = Unacknowledged(flow, message, now + TIMEOUT_S, carries_offer)
        self._timers.set(_Repeat(dialog.id, cseq), now + T1_S)

    def acknowledge(self, request: Request, now: float) -> None:
        """Take the ACK of a 2xx; one that is late or repeated means nothing."""
        dialog = self._dialogs.get(id_of(request))
        if dialog is None or dialog.unacknowledged.pop(request.cseq.number, None) is None:
            return
        self._timers.cancel(_Repeat(dialog.id, request.cseq.number))
        if not dialog.farewell:
            self.events.append(DialogConfirmed(dialog.id, request))
        elif not dialog.unacknowledged:
            self._hang_up(dialog, now)

    def _repeat(self, due: _Repeat, now: float) -> None:
        dialog = self._dialogs[due.dialog_id]
        success = dialog.unacknowledged[due.cseq]
        if now >= success.deadline:
            self.end(dialog, "no ack")
            self._request(dialog, "BYE", now)
            return
        self._transactions.outbox.append((success.flow, success.message))
        success.interval_s = min(2 * success.interval_s, T2_S)
        self._timers.set(due, min(now + success.interval_s, success.deadline))

    # The session timer.

    def run_session_timer(self, dialog: Dialog, interval_s: int | None, now: float) -> None:
        """Start the interval anew, or rest without one."""
        dialog.session_expires_s = interval_s
        if interval_s is None:
            self._timers.cancel(_SessionEnd(dialog.id))
        else:
            self._timers.set(_SessionEnd(dialog.id), session_timer.bye_at(now, interval_s))

    # Our own requests.

    def bye(self, dialog_id: DialogId, now: float) -> bool:
        """End a dialog; while an ACK is outstanding the BYE waits for it (section 15)."""
        dialog = self._dialogs.get(dialog_id)
        if dialog is None:
            return False
        dialog.farewell = True
        if not dialog.unacknowledged:
            self._hang_up(dialog, now)
        return True

    def probe(self, dialog_id: DialogId, now: float) -> bool:
        """Ask by OPTIONS whether the peer knows the dialog."""
        dialog = self._dialogs.get(dialog_id)
        if dialog is None or dialog.probing:
            return False
        dialog.probing = True
        self._request(dialog, "OPTIONS", now)
        return True

    def finish(self, key: TransactionKey, status: int) -> None:
        """Take the final response to a request of ours; 408 also stands for silence."""
        dialog = self._dialogs.get(self._sent.pop(key))
        if dialog is None or key.method != "OPTIONS":
            return
        dialog.probing = False
        if not dialog.farewell:
            self.events.append(ProbeAnswered(dialog.id, alive=status not in (408, 481)))
        if status == 481:
            # Only this answer proves that the peer has lost the dialog (section 12.2.1.2); one
            # that ignores OPTIONS may well go on sending audio.
            self.end(dialog, "gone")

    def _hang_up(self, dialog: Dialog, now: float) -> None:
        self.close(dialog)
        self._request(dialog, "BYE", now)

    def _request(self, dialog: Dialog, method: str, now: float) -> None:
        branch = MAGIC_COOKIE + self._random(_BRANCH_SIZE_BYTES).hex()
        flow = dialog.way_out(connection_open=self._streams.is_open(dialog.flow.connection_id))
        contact = self._identity.contact(flow, secure=dialog.is_secure)
        request = dialog.make_request(method, flow, contact, branch)
        key = TransactionKey(branch, "", method)
        self._sent[key] = dialog.id
        self._transactions.send(key, request.to_bytes(), flow, now)

    # Timers, and outliving a crash.

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is next needed."""
        return self._timers.next()

    def handle_timer(self, now: float) -> None:
        """Repeat, or end, what is due."""
        while (due := self._timers.pop(now)) is not None:
            if isinstance(due, _Repeat):
                self._repeat(due, now)
            else:
                dialog = self._dialogs[due.dialog_id]
                self.end(dialog, "session timer")
                self._request(dialog, "BYE", now)

    def snapshot(self, dialog_id: DialogId) -> DialogSnapshot:
        """Return a dialog for the journal; raises LocalDefect when there is none."""
        dialog = self._dialogs.get(dialog_id)
        if dialog is None:
            raise LocalDefect("A dialog that has ended can't be journalled; take the snapshot before.")
        return dialog.snapshot()

    def restore(self, snapshot: DialogSnapshot, now: float) -> DialogId:
        """Take a dialog up again after a restart; its session timer starts anew."""
        dialog = Dialog.restore(snapshot)
        self._dialogs[dialog.id] = dialog
        self.run_session_timer(dialog, dialog.session_expires_s, now)
        return dialog.id


def id_of(request: Request) -> DialogId:
    """Return the dialog a request of the peer belongs to (section 12.2.2)."""
    return DialogId(request.call_id, request.to_address.tag, request.from_address.tag)
