"""What a SIP request carries in its body: a session description, metadata, or both.

Metadata may come beside SDP in a multipart, or alone as the whole body (BroadWorks,
Webex, Avaya); where both media types of RFC 9806 are there, `+xml` wins. A part that
nobody knows is refused only when its sender demands handling.

Not here: what the description or the metadata says.
"""

from __future__ import annotations

from dataclasses import dataclass

from recorder.sip import multipart
from recorder.sip.message import Request

_SDP = "application/sdp"
_METADATA = ("application/rs-metadata+xml", "application/rs-metadata")


@dataclass(frozen=True)
class MetadataBody:
    """One metadata document as it came."""

    content_type: str
    body: bytes


@dataclass(frozen=True)
class OfferBody:
    """The parts of a body; `unsupported` names a part that must be handled and can't be."""

    sdp: bytes | None
    metadata: tuple[MetadataBody, ...]
    unsupported: str | None
    raw: bytes

    @property
    def bodies(self) -> tuple[bytes, ...]:
        """Return all there is to search for exempt numbers, split or not."""
        return (self.raw, *(item.body for item in self.metadata))


def read_body(request: Request) -> OfferBody:
    """Split the body of a request; never raises, whatever it is."""
    content_type = request.headers.first("Content-Type") or ""
    if not request.body:
        return OfferBody(None, (), None, b"")
    parts = multipart.split(content_type, request.body)
    sdp: bytes | None = None
    found: dict[str, MetadataBody] = {}
    unsupported: str | None = None
    for part in parts:
        kind = part.content_type.partition(";")[0].strip().lower()
        if kind == _SDP:
            sdp = part.body if sdp is None else sdp
        elif kind in _METADATA:
            found.setdefault(kind, MetadataBody(kind, part.body))
        elif "handling=optional" not in part.disposition.replace(" ", "").lower() and len(parts) > 1:
            required = "handling=required" in part.disposition.replace(" ", "").lower()
            unsupported = kind if required else unsupported
    metadata = tuple(found[kind] for kind in _METADATA if kind in found)[:1]
    return OfferBody(sdp, metadata, unsupported, request.body)
