"""What a SIP request carries in its body: a session description, metadata, or both.

Metadata may come beside SDP in a multipart, or alone as the whole body (BroadWorks,
Webex, Avaya); where both media types of RFC 9806 are there, `+xml` wins. A part that
nobody knows is refused only when its sender demands handling, a whole body that
nobody knows unless its sender says that it may be ignored (RFC 3261 section 20.11).

Not here: what the description or the metadata says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from recorder.sip import multipart
from recorder.sip.message import Request
from recorder.sip.multipart import MultipartRefused, Part

STRANGER_BODY_BYTES_MAX = 8192
"""Twice the largest body of a real exchange: its emergency call is answered even before it was entered."""

_SDP = "application/sdp"
_METADATA = ("application/rs-metadata+xml", "application/rs-metadata")


@dataclass(frozen=True)
class MetadataBody:
    """One metadata document as it came."""

    content_type: str
    body: bytes


@dataclass(frozen=True)
class OfferBody:
    """The parts of a body.

    `unsupported` names a part that must be handled and can't be; `unreadable` says
    that the body could not be divided into parts at all.
    """

    sdp: bytes | None
    metadata: tuple[MetadataBody, ...]
    unsupported: str | None
    raw: bytes
    unreadable: bool = False

    @property
    def bodies(self) -> tuple[bytes, ...]:
        """Return all there is to search for exempt numbers, unsplit: nothing hides in a part."""
        return (self.raw,)


def read_body(request: Request) -> OfferBody:
    """Split the body of a request; never raises, whatever it is."""
    if not request.body.strip():
        return OfferBody(None, (), None, request.body)
    content_type = request.headers.first("Content-Type") or ""
    try:
        parts = multipart.split(content_type, request.body)
    except MultipartRefused:
        parts = []
    if not parts:
        return OfferBody(None, (), None, request.body, unreadable=True)
    disposition = request.headers.first("Content-Disposition") or ""
    alone = len(parts) == 1 and not content_type.strip().lower().startswith("multipart/")
    descriptions = [part.body for part in parts if _media_type(part) == _SDP]
    metadata = [
        MetadataBody(kind, part.body) for kind in _METADATA for part in parts if _media_type(part) == kind
    ]
    return OfferBody(
        sdp=descriptions[0] if descriptions else None,
        metadata=tuple(metadata[:1]),
        unsupported=_unsupported(parts, whole=alone and "handling=optional" not in disposition.lower()),
        raw=request.body,
    )


def of_stranger(body: OfferBody) -> OfferBody:
    """Return what of a stranger's body is searched for exempt numbers: they get only so much of our time."""
    return body if len(body.raw) <= STRANGER_BODY_BYTES_MAX else OfferBody(None, (), None, b"")


def _unsupported(parts: Iterable[Part], *, whole: bool) -> str | None:
    """Return the type of a part that must be handled and is not known; `whole` says it is the only one."""
    unknown = (part for part in parts if _media_type(part) not in (_SDP, *_METADATA))
    return next((_media_type(part) or "?" for part in unknown if whole or part.handling_required), None)


def _media_type(part: Part) -> str:
    """Return the type of a part; a description is recognised where the sender forgot to say so."""
    return part.media_type or (_SDP if part.body.lstrip().startswith(b"v=0") else "")
