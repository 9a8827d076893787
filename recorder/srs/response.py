"""The answers of the session recording server that follow from a request alone.

Rules: pure, apart from the session that is handed in. Not here: when each is given
(`recorder.srs.server`), and what goes into a description (`recorder.srs.media`).
"""

from __future__ import annotations

from recorder.sdp.description import SessionDescription, UnreadableDescription
from recorder.sdp.offer_answer import UnusableOffer, negotiate
from recorder.sip import event as sip
from recorder.sip.capability import ACCEPT, Objection
from recorder.sip.transaction import TransactionKey
from recorder.srs import media
from recorder.srs.effects import Effect, Respond
from recorder.srs.offer import OfferBody
from recorder.srs.session import RecordingSession

SDP = "application/sdp"


def accepted(key: TransactionKey, description: bytes) -> Respond:
    """Answer 200 with a session description."""
    return Respond(key, 200, body=description, content_type=SDP)


def inactive(event: sip.InvitationReceived | sip.OfferReceived, body: OfferBody, answer: bytes) -> Respond:
    """Answer 200, with `answer`, on which nothing is received, where a description is due."""
    if body.sdp is None and event.request.method != "INVITE":
        return Respond(event.key, 200)
    return accepted(event.key, answer)


def offerless(event: sip.OfferReceived, session: RecordingSession) -> Respond:
    """Answer a request without an offer; an INVITE wants one of us (RFC 3261 section 14.2).

    Ours is what was agreed, with every stream of ours open again: a client that resumes
    this way (third-party call control) says in its ACK what it will send.
    """
    if event.request.method != "INVITE":
        return Respond(event.key, 200)
    if not session.streams:
        return accepted(event.key, session.answer)
    session.delayed_offer = True
    return accepted(event.key, media.write_offer(session))


def body_refusal(key: TransactionKey, body: OfferBody) -> Respond | None:
    """Refuse a body that can't be divided, or has a part that must be understood and is not."""
    if body.unreadable:
        return Respond(key, 400, headers=(("Warning", '399 earwitness "The body can\'t be divided"'),))
    return None if body.unsupported is None else Respond(key, 415, headers=(("Accept", ACCEPT),))


def acted(key: TransactionKey, effects: list[Effect]) -> list[Effect]:
    """Answer an INFO that commands: 200 when any recording obeyed, else 488 (RFC 3261 section 21.4.26)."""
    return [*effects, Respond(key, 200 if effects else 488)]


def objected(key: TransactionKey, objection: Objection) -> Respond:
    """Refuse as the user agent would."""
    return Respond(key, objection.status, headers=tuple(objection.headers))


def negotiated(session: RecordingSession, key: TransactionKey, sdp: bytes) -> Respond | None:
    """Take an offer into the session; returns its refusal when it can't be read or used."""
    try:
        offer = SessionDescription.parse(sdp)
        proposals = negotiate(offer, srtp=session.peer.srtp if session.peer else "off")
    except UnreadableDescription:
        return Respond(key, 400, "The session description can't be read")
    except UnusableOffer as error:
        return Respond(key, error.status, headers=(("Warning", error.warning),))
    session.offer, session.proposals = offer, proposals
    return None
