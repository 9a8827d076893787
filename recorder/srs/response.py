"""The answers of the session recording server that follow from the request alone.

Rules: pure. Not here: when each is given (`recorder.srs.server`), and what goes into
a description (`recorder.srs.media`).
"""

from __future__ import annotations

from recorder.sip import event as sip
from recorder.sip.capability import ACCEPT, Objection
from recorder.sip.transaction import TransactionKey
from recorder.srs.effects import Respond
from recorder.srs.offer import OfferBody

SDP = "application/sdp"


def accepted(key: TransactionKey, description: bytes) -> Respond:
    """Answer 200 with a session description."""
    return Respond(key, 200, body=description, content_type=SDP)


def inactive(event: sip.InvitationReceived | sip.OfferReceived, body: OfferBody, answer: bytes) -> Respond:
    """Answer 200, with `answer`, on which nothing is received, where a description is due."""
    if body.sdp is None and event.request.method != "INVITE":
        return Respond(event.key, 200)
    return accepted(event.key, answer)


def unchanged(event: sip.OfferReceived, answer: bytes) -> Respond:
    """Answer a request without an offer; an INVITE wants one of us (RFC 3261 section 14.2)."""
    return accepted(event.key, answer) if event.request.method == "INVITE" else Respond(event.key, 200)


def body_refusal(key: TransactionKey, body: OfferBody) -> Respond | None:
    """Refuse a body that can't be divided, or has a part that must be understood and is not."""
    if body.unreadable:
        return Respond(key, 400, headers=(("Warning", '399 earwitness "The body can\'t be divided"'),))
    return None if body.unsupported is None else Respond(key, 415, headers=(("Accept", ACCEPT),))


def objected(key: TransactionKey, objection: Objection) -> Respond:
    """Refuse as the user agent would."""
    return Respond(key, objection.status, headers=tuple(objection.headers))
