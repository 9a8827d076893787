"""What this server is and can do, and what it would refuse a request for (RFC 3261 section 8.2).

Rules: an objection is a value, not an act: the transaction user refuses with it, or
overrides it for an exempt call, which is answered 200 before every refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from recorder.sip.message import REASONS, Flow, Request
from recorder.sip.session_timer import SESSION_INTERVAL_S_MIN, is_too_small
from recorder.sip.uri import bracketed

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, PRACK"
ACCEPT = "multipart/mixed, application/sdp, application/rs-metadata+xml, application/rs-metadata"
OPTION_TAGS = ("siprec", "timer", "100rel")
SUPPORTED = ", ".join(OPTION_TAGS)
# Methods of SIP that are no business of a recorder (405); every other unknown word is 501.
METHODS_NOT_ALLOWED = frozenset({"REGISTER", "SUBSCRIBE", "NOTIFY", "PUBLISH", "MESSAGE", "REFER"})
# `urn` because an emergency call may be for urn:service:sos (RFC 5031).
URI_SCHEMES = frozenset({"sip", "sips", "tel", "urn"})

RETRY_AFTER_S = 30

_RUN_TOGETHER = re.compile("(?:siprec|timer|100rel)+")


@dataclass(frozen=True)
class Identity:
    """How this server names itself.

    `host` and `port` stand in Contact; None takes the address the request came to.
    """

    user: str = "srs"
    host: str | None = None
    port: int | None = None
    software: str = "earwitness"

    def contact(self, flow: Flow, *, secure: bool = False) -> str:
        """Return the Contact value, with the feature tag of RFC 7866 section 11.1.

        In a `secure` dialog it is a SIPS URI, where the peer came by TLS: by another transport nobody
        would find us behind one. A SIPS URI names TLS itself, so that it has no transport (RFC 5630).
        """
        host, port = self.host or flow.local[0], self.port or flow.local[1]
        if secure and flow.transport == "tls":
            return f"<sips:{self.user}@{bracketed(host)}:{port}>;+sip.srs"
        transport = "" if flow.transport == "udp" else f";transport={flow.transport}"
        return f"<sip:{self.user}@{bracketed(host)}:{port}{transport}>;+sip.srs"


@dataclass(frozen=True)
class Leniency:
    """What a peer profile forgives or demands.

    `run_together_tags` takes `100relsiprec` for two option tags, as one Cisco release
    writes it. `siprec_required` refuses clients that show no sign of SIPREC (421).
    `may_move_dialogs` lets a host speak in dialogs that another one made, as the members
    of a cluster do.
    """

    run_together_tags: bool = False
    siprec_required: bool = False
    may_move_dialogs: bool = True


@dataclass(frozen=True)
class Objection:
    """A refusal not yet made: status, header fields to send along, and why."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def reason(self) -> str:
        """The reason phrase."""
        return REASONS.get(self.status, "Refused")


def crowded() -> Objection:
    """Return the refusal of a server that is full."""
    return Objection(
        503, "The recorder has as many calls as it takes.", (("Retry-After", str(RETRY_AFTER_S)),)
    )


def object_to(request: Request, leniency: Leniency) -> Objection | None:
    """Return the first thing that speaks against serving a request, None when nothing does."""
    return next(_objections(request, leniency), None)


def _objections(request: Request, leniency: Leniency) -> Iterator[Objection]:
    for defect in request.defects:
        yield Objection(defect.status, defect.text, (("Warning", f'399 earwitness "{defect.text}"'),))
    if request.uri.partition(":")[0].lower() not in URI_SCHEMES:
        yield Objection(416, "The request is for a URI of a scheme that is not known here.")
    unsupported = tuple(unsupported_tags(request, leniency))
    if unsupported:
        yield Objection(
            420, "The request requires an unknown extension.", (("Unsupported", ", ".join(unsupported)),)
        )
    if leniency.siprec_required and request.method == "INVITE" and not _shows_siprec(request):
        yield Objection(421, "Only recording sessions are taken here.", (("Require", "siprec"),))
    if (request.headers.first("Content-Encoding") or "identity").lower() != "identity":
        yield Objection(415, "The body is encoded.", (("Accept-Encoding", "identity"),))
    if request.method in ("INVITE", "UPDATE") and is_too_small(request):
        yield Objection(422, "The session interval is too small.", (("Min-SE", str(SESSION_INTERVAL_S_MIN)),))


def unsupported_tags(request: Request, leniency: Leniency) -> Iterator[str]:
    """Yield the option tags of Require that are not supported (RFC 3261 section 8.2.2.3)."""
    for tag in request.headers.values("Require"):
        known = tag.lower() in OPTION_TAGS
        if not known and not (leniency.run_together_tags and _RUN_TOGETHER.fullmatch(tag.lower())):
            yield tag


def _shows_siprec(request: Request) -> bool:
    if any("siprec" in tag.lower() for tag in request.headers.values("Require")):
        return True
    return request.contact is not None and request.contact.parameter("+sip.src") is not None
