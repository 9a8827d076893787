"""The transactions of RFC 3261 section 17 as tables: both servers, and the non-INVITE client.

The INVITE server is figure 7 as corrected by RFC 6026 (state Accepted). One deviation:
an INVITE retransmitted in Accepted gets the 2xx once more, where RFC 6026 only
absorbs it, since a client that repeats itself has lost the answer and each 20 ms of
its waiting delays somebody's call. There is no INVITE client: this server calls nobody.

Rules: states, events and effects are values; `TransactionLayer` feeds the events,
carries out the effects, and owns the timers. An event a table does not know is our own
defect, never the peer's: the layer offers only what the RFC lets a peer do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from recorder.errors import LocalDefect
from recorder.sip.message import Flow

# RFC 3261 section 17.1.1.1 and table 4, in seconds.
T1_S = 0.5
T2_S = 4.0
T4_S = 5.0
TIMEOUT_S = 64 * T1_S  # timers F, H, J and L


class TransactionKey(NamedTuple):
    """What tells transactions apart (RFC 3261 sections 17.1.3 and 17.2.3)."""

    branch: str
    sent_by: str
    method: str


class State(Enum):
    """Where a transaction stands; the names are those of the figures."""

    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Event(Enum):
    """What can happen to a transaction."""

    REQUEST_RETRANSMITTED = auto()
    ACK_RECEIVED = auto()
    PROVISIONAL_FROM_TU = auto()
    SUCCESS_FROM_TU = auto()
    FAILURE_FROM_TU = auto()
    PROVISIONAL_RECEIVED = auto()
    FINAL_RECEIVED = auto()
    TIMER_E = auto()  # retransmit our request, unreliable transports only
    TIMER_F = auto()  # give up waiting for a final response
    TIMER_G = auto()  # retransmit the final response, unreliable transports only
    TIMER_H = auto()  # give up waiting for the ACK
    TIMER_I = auto()  # absorb retransmitted ACKs
    TIMER_J = auto()  # absorb retransmitted non-INVITE requests
    TIMER_K = auto()  # absorb retransmitted responses
    TIMER_L = auto()  # absorb retransmitted INVITEs after a 2xx


class Effect(Enum):
    """What the layer must do, in the order given."""

    SEND = auto()
    RESEND = auto()
    PASS_TO_TU = auto()
    REPORT_TIMEOUT = auto()
    START_G_AND_H = auto()
    RESTART_E = auto()
    RESTART_G = auto()
    START_I = auto()
    START_J = auto()
    START_K = auto()
    START_L = auto()


Step = tuple[State, tuple[Effect, ...]]
Table = dict[tuple[State, Event], Step]

INVITE_SERVER: Table = {
    (State.PROCEEDING, Event.REQUEST_RETRANSMITTED): (State.PROCEEDING, (Effect.RESEND,)),
    (State.PROCEEDING, Event.PROVISIONAL_FROM_TU): (State.PROCEEDING, (Effect.SEND,)),
    (State.PROCEEDING, Event.SUCCESS_FROM_TU): (State.ACCEPTED, (Effect.SEND, Effect.START_L)),
    (State.PROCEEDING, Event.FAILURE_FROM_TU): (State.COMPLETED, (Effect.SEND, Effect.START_G_AND_H)),
    (State.ACCEPTED, Event.REQUEST_RETRANSMITTED): (State.ACCEPTED, (Effect.RESEND,)),
    (State.ACCEPTED, Event.ACK_RECEIVED): (State.ACCEPTED, (Effect.PASS_TO_TU,)),
    (State.ACCEPTED, Event.TIMER_L): (State.TERMINATED, ()),
    (State.COMPLETED, Event.REQUEST_RETRANSMITTED): (State.COMPLETED, (Effect.RESEND,)),
    (State.COMPLETED, Event.TIMER_G): (State.COMPLETED, (Effect.RESEND, Effect.RESTART_G)),
    (State.COMPLETED, Event.ACK_RECEIVED): (State.CONFIRMED, (Effect.START_I,)),
    # The TU is not told: whoever refused a call has nothing left to undo.
    (State.COMPLETED, Event.TIMER_H): (State.TERMINATED, ()),
    (State.CONFIRMED, Event.ACK_RECEIVED): (State.CONFIRMED, ()),
    (State.CONFIRMED, Event.REQUEST_RETRANSMITTED): (State.CONFIRMED, ()),
    (State.CONFIRMED, Event.TIMER_I): (State.TERMINATED, ()),
}

# A stray ACK with the branch of an INVITE nobody answered finally changes nothing.
INVITE_SERVER[State.PROCEEDING, Event.ACK_RECEIVED] = (State.PROCEEDING, ())

NON_INVITE_SERVER: Table = {
    (State.TRYING, Event.REQUEST_RETRANSMITTED): (State.TRYING, ()),
    (State.TRYING, Event.PROVISIONAL_FROM_TU): (State.PROCEEDING, (Effect.SEND,)),
    (State.TRYING, Event.SUCCESS_FROM_TU): (State.COMPLETED, (Effect.SEND, Effect.START_J)),
    (State.TRYING, Event.FAILURE_FROM_TU): (State.COMPLETED, (Effect.SEND, Effect.START_J)),
    (State.PROCEEDING, Event.REQUEST_RETRANSMITTED): (State.PROCEEDING, (Effect.RESEND,)),
    (State.PROCEEDING, Event.PROVISIONAL_FROM_TU): (State.PROCEEDING, (Effect.SEND,)),
    (State.PROCEEDING, Event.SUCCESS_FROM_TU): (State.COMPLETED, (Effect.SEND, Effect.START_J)),
    (State.PROCEEDING, Event.FAILURE_FROM_TU): (State.COMPLETED, (Effect.SEND, Effect.START_J)),
    (State.COMPLETED, Event.REQUEST_RETRANSMITTED): (State.COMPLETED, (Effect.RESEND,)),
    (State.COMPLETED, Event.TIMER_J): (State.TERMINATED, ()),
}

NON_INVITE_CLIENT: Table = {
    (State.TRYING, Event.TIMER_E): (State.TRYING, (Effect.RESEND, Effect.RESTART_E)),
    (State.TRYING, Event.TIMER_F): (State.TERMINATED, (Effect.REPORT_TIMEOUT,)),
    (State.TRYING, Event.PROVISIONAL_RECEIVED): (State.PROCEEDING, ()),
    (State.TRYING, Event.FINAL_RECEIVED): (State.COMPLETED, (Effect.PASS_TO_TU, Effect.START_K)),
    (State.PROCEEDING, Event.TIMER_E): (State.PROCEEDING, (Effect.RESEND, Effect.RESTART_E)),
    (State.PROCEEDING, Event.TIMER_F): (State.TERMINATED, (Effect.REPORT_TIMEOUT,)),
    (State.PROCEEDING, Event.PROVISIONAL_RECEIVED): (State.PROCEEDING, ()),
    (State.PROCEEDING, Event.FINAL_RECEIVED): (State.COMPLETED, (Effect.PASS_TO_TU, Effect.START_K)),
    (State.COMPLETED, Event.PROVISIONAL_RECEIVED): (State.COMPLETED, ()),
    (State.COMPLETED, Event.FINAL_RECEIVED): (State.COMPLETED, ()),
    (State.COMPLETED, Event.TIMER_K): (State.TERMINATED, ()),
}

INITIAL_STATES = (
    (INVITE_SERVER, State.PROCEEDING),
    (NON_INVITE_SERVER, State.TRYING),
    (NON_INVITE_CLIENT, State.TRYING),
)


@dataclass(slots=True)
class Transaction:
    """One transaction: its table, its state, and the message it would send again."""

    key: TransactionKey
    table: Table
    state: State
    flow: Flow
    message: bytes = b""
    interval_s: float = T1_S
    local_tag: str = ""  # what our To tag to its request is, so that a CANCEL is answered with the same

    def handle(self, event: Event) -> tuple[Effect, ...]:
        """Move to the next state and return what must now be done; raises LocalDefect."""
        step = self.table.get((self.state, event))
        if step is None:
            raise LocalDefect(
                f"{event.name} must not happen to a SIP transaction in state {self.state.name}."
            )
        self.state, effects = step
        return effects
