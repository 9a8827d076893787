"""What the user agent server tells its transaction user, the session recording server.

Rules: frozen and in the past tense. `key` names the transaction to answer by
`UserAgentServer.respond`; it is opaque.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recorder.sip.capability import Objection
from recorder.sip.dialog import DialogId
from recorder.sip.message import Flow, Request
from recorder.sip.transaction import TransactionKey

EndReason = Literal["bye", "cancel", "no ack", "session timer", "gone"]


@dataclass(frozen=True)
class InvitationReceived:
    """A new dialog is wanted: answer `key`.

    `objection` is what the user agent itself would refuse the request with. Every call
    but an exempt one is refused so; an exempt call is answered 200 all the same.
    `dialog_id` names the dialog a 2xx will make, and the `DialogEnded` of a CANCEL.
    """

    key: TransactionKey
    request: Request
    flow: Flow
    objection: Objection | None
    dialog_id: DialogId


@dataclass(frozen=True)
class OfferReceived:
    """A re-INVITE or UPDATE came, with SDP, metadata, both or neither: answer `key`.

    `objection` as in `InvitationReceived`: judge first whether an exempt party joined,
    then refuse.
    """

    key: TransactionKey
    dialog_id: DialogId
    request: Request
    flow: Flow
    objection: Objection | None = None


@dataclass(frozen=True)
class InformationReceived:
    """An INFO came in a dialog, or a request of a method nothing is done for: answer `key`.

    `objection` is what it has to be refused with, unless what it says comes first.
    """

    key: TransactionKey
    dialog_id: DialogId
    request: Request
    flow: Flow
    objection: Objection | None = None


@dataclass(frozen=True)
class DialogConfirmed:
    """The ACK of a 2xx came; after a delayed offer `request` carries the answer."""

    dialog_id: DialogId
    request: Request


@dataclass(frozen=True)
class DialogEnded:
    """The dialog is no more and nothing more is sent in it; `request` is the BYE or CANCEL, if one came."""

    dialog_id: DialogId
    reason: EndReason
    request: Request | None


@dataclass(frozen=True)
class CapabilitiesAsked:
    """An OPTIONS outside a dialog: answer `key` 200 when new calls can be taken, else 503."""

    key: TransactionKey
    request: Request
    flow: Flow


@dataclass(frozen=True)
class ProbeAnswered:
    """What `probe` found: whether the peer still knows the dialog; silence counts as not alive."""

    dialog_id: DialogId
    alive: bool


Event = (
    InvitationReceived
    | OfferReceived
    | InformationReceived
    | DialogConfirmed
    | DialogEnded
    | CapabilitiesAsked
    | ProbeAnswered
)
