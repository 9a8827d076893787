"""All live transactions: matching messages to them, their timers, and what they send.

Rules: one message or timer touches one transaction, however many there are; the
dictionaries and the timer heap are the only tables. Requests above the limit are not
entered, and the caller refuses them without a transaction.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from recorder.sip.grammar import MAGIC_COOKIE
from recorder.sip.message import Flow, Request, Response
from recorder.sip.timer_queue import TimerQueue
from recorder.sip.transaction import (
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    T1_S,
    T2_S,
    T4_S,
    TIMEOUT_S,
    Effect,
    Event,
    State,
    Transaction,
    TransactionKey,
)

# A server transaction lives 32 s: this is 2,000 requests a second, ten times the load of a node.
TRANSACTION_COUNT_MAX = 65_536
# INVITEs may use this many above the limit, since one of them may be an emergency call.
INVITE_RESERVE_COUNT_MAX = 4_096

_TimerKey = tuple[TransactionKey, Event]
_Identity = tuple[str, str, int]


class Arrival(Enum):
    """What a request is to the layer."""

    NEW = auto()
    MERGED = auto()  # a new transaction for a request that is already being served (RFC 3261 8.2.2.2)
    ABSORBED = auto()
    ACK_OF_SUCCESS = auto()
    REFUSED = auto()  # above the limit: no transaction was made


def key_of(request: Request) -> TransactionKey:
    """Return the key a request is matched by (RFC 3261 section 17.2.3); an ACK matches its INVITE."""
    method = "INVITE" if request.method == "ACK" else request.method
    via = request.top_via
    branch, sent_by = (via.branch, via.sent_by) if via else ("", "")
    if branch.startswith(MAGIC_COOKIE):
        return TransactionKey(branch, sent_by, method)
    # RFC 2543 gave no unique branch; the To tag is left out because an ACK has one and its INVITE none.
    names = (branch, request.call_id, request.from_address.tag, str(request.cseq.number))
    return TransactionKey("|".join(names), sent_by, method)


def _identity_of(request: Request) -> _Identity:
    return request.call_id, request.from_address.tag, request.cseq.number


class TransactionLayer:
    """RFC 3261 section 17 over all transactions; what is to be sent collects in `outbox`."""

    def __init__(self) -> None:
        self.outbox: deque[tuple[Flow, bytes]] = deque()
        self._transactions: dict[TransactionKey, Transaction] = {}
        self._identities: dict[_Identity, TransactionKey] = {}
        self._identity_of_key: dict[TransactionKey, _Identity] = {}
        self._timers: TimerQueue[_TimerKey] = TimerQueue()

    def __len__(self) -> int:
        return len(self._transactions)

    def receive_request(self, request: Request, flow: Flow, answer_flow: Flow, now: float) -> Arrival:
        """Match a request or open its server transaction; `answer_flow` is where responses go."""
        key = key_of(request)
        transaction = self._transactions.get(key)
        if request.method == "ACK":
            # The ACK of a 2xx has a branch of its own and matches nothing here.
            matched = transaction is None or Effect.PASS_TO_TU in self._feed(
                transaction, Event.ACK_RECEIVED, now
            )
            return Arrival.ACK_OF_SUCCESS if matched else Arrival.ABSORBED
        if transaction is not None:
            if flow.reliable:
                transaction.flow = answer_flow
            self._feed(transaction, Event.REQUEST_RETRANSMITTED, now)
            return Arrival.ABSORBED
        invite = request.method == "INVITE"
        limit = TRANSACTION_COUNT_MAX + (INVITE_RESERVE_COUNT_MAX if invite else 0)
        if len(self._transactions) >= limit:
            return Arrival.REFUSED
        table, state = (INVITE_SERVER, State.PROCEEDING) if invite else (NON_INVITE_SERVER, State.TRYING)
        self._transactions[key] = Transaction(key, table, state, answer_flow)
        return self._remember_identity(request, key) if invite else Arrival.NEW

    def _remember_identity(self, request: Request, key: TransactionKey) -> Arrival:
        identity = _identity_of(request)
        if identity in self._identities:
            return Arrival.NEW if request.to_address.tag else Arrival.MERGED
        self._identities[identity] = key
        self._identity_of_key[key] = identity
        return Arrival.NEW

    @property
    def crowded(self) -> bool:
        """Whether only the reserve is left, so that new calls should be refused."""
        return len(self._transactions) >= TRANSACTION_COUNT_MAX

    def awaits_answer(self, key: TransactionKey) -> bool:
        """Whether the server transaction exists and has no final response yet."""
        transaction = self._transactions.get(key)
        return transaction is not None and transaction.state in (State.TRYING, State.PROCEEDING)

    def find(self, key: TransactionKey) -> Transaction | None:
        """Return a live transaction."""
        return self._transactions.get(key)

    def respond(self, key: TransactionKey, status: int, message: bytes, now: float) -> Flow | None:
        """Send a response of the TU; returns the way it went, None when no answer is awaited any more."""
        if not self.awaits_answer(key):
            return None
        transaction = self._transactions[key]
        transaction.message = message
        event = Event.FAILURE_FROM_TU
        if status < 300:
            event = Event.PROVISIONAL_FROM_TU if status < 200 else Event.SUCCESS_FROM_TU
        self._feed(transaction, event, now)
        return transaction.flow

    def send(self, key: TransactionKey, message: bytes, flow: Flow, now: float) -> None:
        """Begin a non-INVITE client transaction (RFC 3261 section 17.1.2)."""
        transaction = Transaction(key, NON_INVITE_CLIENT, State.TRYING, flow, message)
        self._transactions[key] = transaction
        self.outbox.append((flow, message))
        self._timers.set((key, Event.TIMER_F), now + TIMEOUT_S)
        if not flow.reliable:
            self._timers.set((key, Event.TIMER_E), now + T1_S)

    def receive_response(self, key: TransactionKey, response: Response, now: float) -> bool:
        """Match a response; returns whether it is the first final one, which the TU must see."""
        transaction = self._transactions.get(key)
        if transaction is None or transaction.table is not NON_INVITE_CLIENT:
            return False
        event = Event.PROVISIONAL_RECEIVED if response.status < 200 else Event.FINAL_RECEIVED
        return Effect.PASS_TO_TU in self._feed(transaction, event, now)

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is next needed."""
        return self._timers.next()

    def handle_timer(self, now: float) -> list[TransactionKey]:
        """Fire what is due; returns the client transactions nobody answered."""
        timed_out: list[TransactionKey] = []
        while (due := self._timers.pop(now)) is not None:
            key, event = due
            transaction = self._transactions[key]
            if Effect.REPORT_TIMEOUT in self._feed(transaction, event, now):
                timed_out.append(key)
        return timed_out

    def _feed(self, transaction: Transaction, event: Event, now: float) -> tuple[Effect, ...]:
        before = transaction.state
        effects = transaction.handle(event)
        if transaction.state is not before:
            self._stop_timers(transaction.key, transaction.state)
        for effect in effects:
            self._carry_out(effect, transaction, now)
        if transaction.state is State.TERMINATED:
            self._remove(transaction.key)
        return effects

    def _stop_timers(self, key: TransactionKey, entered: State) -> None:
        # Timers E and F go on from Trying into Proceeding; no other timer outlives its state.
        if entered is not State.PROCEEDING:
            for event in (Event.TIMER_E, Event.TIMER_F, Event.TIMER_G, Event.TIMER_H):
                self._timers.cancel((key, event))

    def _carry_out(self, effect: Effect, transaction: Transaction, now: float) -> None:
        key, reliable = transaction.key, transaction.flow.reliable
        linger_s = 0.0 if reliable else T4_S
        if effect in (Effect.SEND, Effect.RESEND):
            if transaction.message:
                self.outbox.append((transaction.flow, transaction.message))
        elif effect is Effect.START_G_AND_H:
            self._timers.set((key, Event.TIMER_H), now + TIMEOUT_S)
            if not reliable:
                self._timers.set((key, Event.TIMER_G), now + T1_S)
        elif effect is Effect.RESTART_G:
            transaction.interval_s = min(2 * transaction.interval_s, T2_S)
            self._timers.set((key, Event.TIMER_G), now + transaction.interval_s)
        elif effect is Effect.RESTART_E:
            doubled = min(2 * transaction.interval_s, T2_S)
            transaction.interval_s = doubled if transaction.state is State.TRYING else T2_S
            self._timers.set((key, Event.TIMER_E), now + transaction.interval_s)
        elif effect is Effect.START_I:
            self._timers.set((key, Event.TIMER_I), now + linger_s)
        elif effect is Effect.START_J:
            self._timers.set((key, Event.TIMER_J), now + (0.0 if reliable else TIMEOUT_S))
        elif effect is Effect.START_K:
            self._timers.set((key, Event.TIMER_K), now + linger_s)
        elif effect is Effect.START_L:
            self._timers.set((key, Event.TIMER_L), now + TIMEOUT_S)

    def _remove(self, key: TransactionKey) -> None:
        del self._transactions[key]
        identity = self._identity_of_key.pop(key, None)
        if identity is not None:
            del self._identities[identity]
