"""What a session recording server answers to an offer (RFC 3264, RFC 7866 section 7).

`negotiate` judges every stream, `answer` writes it down: one m= line for each
offered, in the same order, of the same media type and profile; audio recvonly,
anything else refused with port 0; labels echoed. `inactive_answer` takes whatever
came and answers it with streams on which nothing is received.

Rules: pure, except that SRTP streams answered inactive get a random key, because
their profile demands one. Ports and addresses are given by the caller. The same
answer for an unchanged `offer.origin_version` is the caller's duty too.

Not here: ICE, BUNDLE and DTLS, which are neither answered nor echoed.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from recorder.errors import PeerViolation
from recorder.sdp import codecs
from recorder.sdp.description import (
    DESCRIPTION_BYTES_MAX,
    MEDIA_COUNT_MAX,
    Attribute,
    Connection,
    MediaDescription,
    Origin,
    SessionDescription,
    UnreadableDescription,
    lines_of,
    parse_media_line,
)

AUDIO_STREAMS_MAX = 32
"""Each accepted stream costs two ports; a conference with more parties than this is mixed by the exchange."""

LABEL_CHARS_MAX = 64
"""RFC 4574 sets no length; those seen have eight at most, and labels name channels for people."""

PTIME_MS_DEFAULT = 20
PTIME_MS_MAX = 400
"""RFC 3551 recommends at most 200 ms; twice that covers what odd gateways send."""

DISCARD_PORT = 9
"""The discard service (RFC 863): nothing listens there, and unlike port 0 it keeps the stream."""

_PLAIN_PROFILES = frozenset({"RTP/AVP", "RTP/AVPF"})
_SECURE_PROFILES = frozenset({"RTP/SAVP", "RTP/SAVPF"})
_LABEL = re.compile(r"[!-~]+")

# Octets of master key and salt of each crypto suite (RFC 4568 6.2, RFC 6188, RFC 7714).
_CRYPTO_SUITES = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AES_192_CM_HMAC_SHA1_80": 38,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}


class UnusableOffer(PeerViolation):
    """No audio stream of the offer can be recorded; answer with `status` and the Warning value `warning`."""

    status = 488

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.warning = f'{code} earwitness "{message}"'


@dataclass(frozen=True)
class StreamProposal:
    """What we mean to do with one m= line.

    `payload_types` maps the types we accept to `NAME/clock[/channels]`. `active` is
    false while the client says that it sends nothing (inactive, recvonly, or hold by
    c=0.0.0.0). `direction` is what we answer. `refusal` is a sentence when not `accepted`.
    """

    position: int
    kind: str
    label: str
    label_synthesised: bool
    accepted: bool
    active: bool
    payload_types: dict[int, str] = field(default_factory=dict)
    ptime_ms: int = PTIME_MS_DEFAULT
    rtcp_mux: bool = False
    protocol: str = "RTP/AVP"
    refusal: str | None = None
    direction: str = "recvonly"


def negotiate(offer: SessionDescription, *, srtp: str = "off") -> tuple[StreamProposal, ...]:
    """Judge every stream of an offer; `srtp` is the peer's `off`, `allow` or `require`.

    Raises UnusableOffer when no audio can be accepted. An offer that closes all its
    audio streams with port 0 is no such case: it is answered in kind.
    """
    labels = _labels(offer.media)
    proposals: list[StreamProposal] = []
    for position, media in enumerate(offer.media):
        accepted_before = sum(proposal.accepted for proposal in proposals)
        refusal, _ = _objection(media, srtp, accepted_before)
        label, synthesised = labels[position]
        direction = "recvonly" if offer.direction_of(media) in {"sendonly", "sendrecv"} else "inactive"
        connection = offer.connection_of(media)
        sends = direction == "recvonly" and not (connection and connection.on_hold)
        proposals.append(
            StreamProposal(
                position=position,
                kind=media.kind,
                label=label,
                label_synthesised=synthesised,
                accepted=refusal is None,
                active=refusal is None and sends,
                payload_types={} if refusal else codecs.payload_types(media),
                ptime_ms=_ptime_ms(media),
                rtcp_mux=media.attribute("rtcp-mux") is not None,
                protocol=media.protocol,
                refusal=refusal,
                direction=direction,
            )
        )
    audio = [media for media in offer.media if media.kind == "audio"]
    if not any(proposal.accepted for proposal in proposals) and not (
        audio and all(_closed(item) for item in audio)
    ):
        raise _unusable(audio, srtp)
    return tuple(proposals)


def answer(
    offer: SessionDescription,
    proposals: Iterable[StreamProposal],
    ports: Mapping[int, int],
    *,
    address: str,
    session_id: int,
    version: int,
    inactive: bool = False,
) -> SessionDescription:
    """Return the answer to `offer`: `ports` maps the position of each accepted stream to our RTP port.

    With `inactive`, every audio stream still open is kept, on the port given or else on
    the discard port, and nothing is received. Raises KeyError when an accepted stream
    has no port and `inactive` is not asked for.
    """
    accepted = {proposal.position: proposal for proposal in proposals if proposal.accepted}
    sections = []
    for position, media in enumerate(offer.media):
        if inactive:
            sections.append(_inactive(media, ports.get(position, DISCARD_PORT)))
        elif position in accepted:
            sections.append(_accepted(media, accepted[position], ports[position]))
        else:
            sections.append(_refused(media))
    return SessionDescription(
        origin=_origin(address, session_id, version),
        media=tuple(sections),
        connection=Connection.to(address),
        timing=offer.timing,
    )


def delayed_offer(
    address: str, port: int, session_id: int, *, version: int = 1, inactive: bool = False
) -> SessionDescription:
    """Return our own offer, for an INVITE that came without one (RFC 3261 section 13.2.1)."""
    attributes = (
        Attribute("rtpmap", "8 PCMA/8000"),
        Attribute("rtpmap", "0 PCMU/8000"),
        Attribute("rtpmap", "101 telephone-event/8000"),
        Attribute("fmtp", "101 0-15"),
        Attribute("inactive" if inactive else "recvonly"),
    )
    audio = MediaDescription("audio", port, "RTP/AVP", ("8", "0", "101"), attributes)
    return SessionDescription(
        origin=_origin(address, session_id, version), media=(audio,), connection=Connection.to(address)
    )


def inactive_answer(
    offer_body: bytes | None, address: str, *, session_id: int = 1, version: int = 1
) -> bytes:
    """Return an answer on which nothing is received, to any body or to none; never raises.

    This is the answer to a call that must not be recorded: whatever is wrong with the
    offer, refusing it could make the client drop the call itself.
    """
    offer = _salvaged(offer_body) if offer_body else None
    if offer is None or not offer.media:
        return delayed_offer(address, DISCARD_PORT, session_id, version=version, inactive=True).to_bytes()
    answered = answer(offer, (), {}, address=address, session_id=session_id, version=version, inactive=True)
    return answered.to_bytes()


def _origin(address: str, session_id: int, version: int) -> Origin:
    return Origin("earwitness", str(session_id), str(version), Connection.to(address))


def _closed(media: MediaDescription) -> bool:
    return media.port == 0


def _objection(media: MediaDescription, srtp: str, accepted_before: int) -> tuple[str | None, int]:
    """Return why a stream is refused (None when it is not) and the code of RFC 3261 section 20.43."""
    profile = media.protocol.upper()
    if media.kind != "audio":
        return "Only audio is recorded.", 304
    if _closed(media):
        return "The offer closed this stream.", 304
    if profile in _SECURE_PROFILES:
        switch = "is switched off for this peer" if srtp == "off" else "is not available in this release"
        return f"The stream asks for SRTP, which {switch}.", 302
    if profile not in _PLAIN_PROFILES:
        return "The transport profile of the stream is not RTP/AVP.", 302
    if srtp == "require":
        return "This peer must use SRTP, and the stream is plain RTP.", 302
    if not codecs.payload_types(media):
        return "The stream offers no audio format.", 305
    if accepted_before >= AUDIO_STREAMS_MAX:
        return f"No more than {AUDIO_STREAMS_MAX} audio streams are recorded in one session.", 370
    return None, 0


def _unusable(audio: list[MediaDescription], srtp: str) -> UnusableOffer:
    """Return the error for an offer of which nothing could be accepted, with the first reason found."""
    for media in audio:
        refusal, code = _objection(media, srtp, 0)
        if refusal and not _closed(media):
            return UnusableOffer(refusal, code=code)
    return UnusableOffer("The offer has no audio stream.", code=304)


def _labels(sections: tuple[MediaDescription, ...]) -> list[tuple[str, bool]]:
    """Return the label of each stream and whether we made it up.

    RFC 4574 wants a label on each stream, unique in the description; a missing, second
    or unprintable one is replaced by the first free number from its position on.
    """
    labels: list[str | None] = []
    for media in sections:
        label = media.attribute("label") or ""
        usable = _LABEL.fullmatch(label) and len(label) <= LABEL_CHARS_MAX and label not in labels
        labels.append(label if usable else None)
    taken = {label for label in labels if label}
    result: list[tuple[str, bool]] = []
    for position, offered in enumerate(labels):
        number = position + 1
        while str(number) in taken:
            number += 1
        chosen = offered or str(number)
        taken.add(chosen)
        result.append((chosen, offered is None))
    return result


def _ptime_ms(media: MediaDescription) -> int:
    """Return the packet time offered, or 20 ms when there is none that makes sense."""
    text = (media.attribute("ptime") or "").partition(".")[0]
    if text.isascii() and text.isdigit() and len(text) <= 3 and 0 < int(text) <= PTIME_MS_MAX:
        return int(text)
    return PTIME_MS_DEFAULT


def _accepted(media: MediaDescription, proposal: StreamProposal, port: int) -> MediaDescription:
    """Return our m= section for a stream we receive."""
    attributes = [
        Attribute("rtpmap", f"{payload_type} {encoding}")
        for payload_type, encoding in proposal.payload_types.items()
        if not encoding.startswith(codecs.UNKNOWN)
    ]
    attributes += [
        Attribute("fmtp", value)
        for value in media.attribute_values("fmtp")
        if _format_of(value) in proposal.payload_types
    ]
    if media.attribute("ptime"):
        attributes.append(Attribute("ptime", str(proposal.ptime_ms)))
    if proposal.rtcp_mux:
        attributes.append(Attribute("rtcp-mux"))
    attributes += [Attribute(proposal.direction), *_label_echo(media)]
    formats = tuple(str(payload_type) for payload_type in proposal.payload_types)
    return MediaDescription(media.kind, port, media.protocol, formats, tuple(attributes))


def _refused(media: MediaDescription) -> MediaDescription:
    """Return the m= section that refuses a stream: port 0, all else as offered (RFC 3264 section 6)."""
    return MediaDescription(media.kind, 0, media.protocol, media.formats or ("0",), _label_echo(media))


def _inactive(media: MediaDescription, port: int) -> MediaDescription:
    """Return the m= section for a stream that stays, but carries nothing."""
    if media.kind != "audio" or _closed(media):
        return MediaDescription(
            media.kind,
            0,
            media.protocol,
            media.formats or ("0",),
            (Attribute("inactive"), *_label_echo(media)),
        )
    chosen = codecs.payload_types(media)
    formats = tuple(str(payload_type) for payload_type in chosen) or media.formats or ("0",)
    maps = tuple(
        Attribute("rtpmap", f"{payload_type} {encoding}")
        for payload_type, encoding in chosen.items()
        if not encoding.startswith(codecs.UNKNOWN)
    )
    rest = (*_crypto_answer(media), Attribute("inactive"), *_label_echo(media))
    return MediaDescription(media.kind, port, media.protocol, formats, maps + rest)


def _label_echo(media: MediaDescription) -> tuple[Attribute, ...]:
    label = media.attribute("label")
    return (Attribute("label", label),) if label else ()


def _format_of(fmtp: str) -> int:
    """Return the payload type an fmtp value speaks of, or -1."""
    text = fmtp.split(maxsplit=1)[0] if fmtp else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else -1


def _crypto_answer(media: MediaDescription) -> tuple[Attribute, ...]:
    """Return the one a=crypto an inactive SRTP stream needs, with a new key.

    It is the first line with a known suite, and its tag (RFC 4568 section 5.1.2).
    """
    if media.protocol.upper() not in _SECURE_PROFILES:
        return ()
    for value in media.attribute_values("crypto"):
        tag, _, rest = value.partition(" ")
        suite = rest.split(maxsplit=1)[0] if rest.strip() else ""
        if suite in _CRYPTO_SUITES:
            key = base64.b64encode(secrets.token_bytes(_CRYPTO_SUITES[suite])).decode("ascii")
            return (Attribute("crypto", f"{tag} {suite} inline:{key}"),)
    return ()


def _salvaged(body: bytes) -> SessionDescription | None:
    """Return the offer, or at least the m= lines that can be read of it; None when there are none."""
    try:
        return SessionDescription.parse(body)
    except UnreadableDescription:
        sections: list[MediaDescription] = []
        for line in lines_of(body[:DESCRIPTION_BYTES_MAX]):
            if len(sections) < MEDIA_COUNT_MAX and line.startswith("m="):
                sections.append(_salvaged_media(line[2:]))
        return SessionDescription(Origin(), tuple(sections)) if sections else None


def _salvaged_media(value: str) -> MediaDescription:
    """Return one m= line as it is, or plain audio in its place, so that the count of lines stays."""
    try:
        return parse_media_line(value)
    except UnreadableDescription:
        return MediaDescription("audio", DISCARD_PORT, "RTP/AVP", ("0",))
