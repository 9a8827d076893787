"""What the client says of a call: the SDP offer and the recording metadata around it.

RFC 7866 section 7 and RFC 7865 for the dialect of the RFCs; the BroadWorks document
is the older draft with the vendor's own extension (a complete one, dual or mixed).

Rules: pure, but for the identifiers, which come in as an argument. The client writes
its documents itself, so that it does not agree with the recorder by sharing code.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape, quoteattr

from recorder.client.call import PAYLOAD_TYPE_EVENT, PAYLOAD_TYPE_PCMA, CallPlan, Dialect, PauseBy

METADATA_TYPE = "application/rs-metadata+xml"
BOUNDARY = "session-recording-boundary"
BROADWORKS_BOUNDARY = "UniqueBroadWorksBoundary"


@dataclass(frozen=True)
class Offered:
    """An address to send from and a port for each stream, with its label."""

    address: str
    ports: tuple[int, ...]
    session_id: int

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the streams: 1 is the caller (or everybody), 2 the callee."""
        return tuple(str(number) for number in range(1, len(self.ports) + 1))


_FORMATS = (
    f"a=rtpmap:{PAYLOAD_TYPE_PCMA} PCMA/8000",
    f"a=rtpmap:{PAYLOAD_TYPE_EVENT} telephone-event/8000",
    f"a=fmtp:{PAYLOAD_TYPE_EVENT} 0-15",
    "a=ptime:20",
)
_UNSPECIFIED = {"IP4": "0.0.0.0", "IP6": "::"}  # noqa: S104 - nothing is bound to it


def offer(plan: CallPlan, offered: Offered, version: int, *, active: bool = True) -> bytes:
    """Return the SDP offer of all streams, `sendonly`, or stopped as the plan stops them."""
    broadworks = plan.dialect is not Dialect.RFC7865
    family = "IP6" if ":" in offered.address else "IP4"
    # BroadWorks stops media by the old way of RFC 2543: an address of zero, and no direction.
    pause_by = plan.pause_by or (PauseBy.ZERO_ADDRESS if broadworks else PauseBy.INACTIVE)
    by_address = not active and pause_by == PauseBy.ZERO_ADDRESS
    direction = ["a=sendonly"] if active else [] if by_address else ["a=inactive"]
    origin = "BroadWorks" if broadworks else "src"
    lines = [
        "v=0",
        f"o={origin} {offered.session_id} {version} IN {family} {offered.address}",
        "s=-",
        f"c=IN {family} {_UNSPECIFIED[family] if by_address else offered.address}",
        "t=0 0",
    ]
    for label, port in zip(offered.labels, offered.ports, strict=True):
        formats = f"{PAYLOAD_TYPE_PCMA} {PAYLOAD_TYPE_EVENT}"
        lines += [f"m=audio {port} RTP/AVP {formats}", *_FORMATS, f"a=label:{label}", *direction]
    return "".join(f"{line}\r\n" for line in lines).encode()


def body(plan: CallPlan, sdp: bytes, metadata: bytes) -> tuple[str, bytes]:
    """Return content type and body of the INVITE: SDP and metadata as multipart/mixed."""
    if plan.dialect is Dialect.RFC7865:
        boundary, colon = BOUNDARY, ": "
    else:
        # BroadWorks writes its part headers without a blank.
        boundary, colon = BROADWORKS_BOUNDARY, ":"
    parts = (
        (("Content-Type", "application/sdp"), ("Content-Disposition", "session;handling=required"), sdp),
        (
            ("Content-Type", METADATA_TYPE),
            ("Content-Disposition", "recording-session"),
            metadata,
        ),
    )
    text = b""
    for kind, disposition, content in parts:
        head = "".join(f"{name}{colon}{value}\r\n" for name, value in (kind, disposition))
        text += f"--{boundary}\r\n{head}\r\n".encode() + content + b"\r\n"
    return f"multipart/mixed;boundary={boundary}", text + f"--{boundary}--\r\n".encode()


def metadata(plan: CallPlan, streams: int, now: datetime, new_uuid: Callable[[], uuid.UUID]) -> bytes:
    """Return the complete recording metadata of the call in its dialect, or what the plan says instead."""
    if plan.metadata is not None:
        return plan.metadata
    if plan.dialect is Dialect.RFC7865:
        return _rfc7865(plan, now, new_uuid)
    return _broadworks(plan, streams, now, new_uuid)


def address_of(number: str, domain: str) -> str:
    """Return the SIP URI of a party: the number itself when it is one already."""
    return number if ":" in number else f"sip:{number}@{domain}"


def _rfc7865(plan: CallPlan, now: datetime, new_uuid: Callable[[], uuid.UUID]) -> bytes:
    """Two participants, each sending one stream and hearing the other's (RFC 7865 section 6)."""

    def new_id() -> str:
        return base64.b64encode(new_uuid().bytes).decode()

    group, session, first, second = (new_id() for _ in range(4))
    at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    joined = _tag("associate-time", at)
    parties = (
        (new_id(), plan.caller, plan.caller_name, first, second),
        (new_id(), plan.callee, plan.callee_name, second, first),
    )
    sip_session_id = _tag("sipSessionID", f"{new_uuid().hex};remote={new_uuid().hex}")
    elements = [
        _tag("datamode", "complete"),
        _tag("group", joined, group_id=group),
        _tag(
            "session",
            sip_session_id + _tag("group-ref", group) + _tag("start-time", at),
            session_id=session,
        ),
    ]
    for participant, number, name, _, _ in parties:
        shown = _tag("name", escape(name)) if name else ""
        name_id = _tag("nameID", shown, aor=address_of(number, plan.domain))
        elements.append(_tag("participant", name_id, participant_id=participant))
    for label, stream in (("1", first), ("2", second)):
        elements.append(_tag("stream", _tag("label", label), stream_id=stream, session_id=session))
    elements.append(_tag("sessionrecordingassoc", joined, session_id=session))
    for participant, _, _, sends, hears in parties:
        elements.append(
            _tag("participantsessionassoc", joined, participant_id=participant, session_id=session)
        )
        flows = _tag("send", sends) + _tag("recv", hears)
        elements.append(_tag("participantstreamassoc", flows + joined, participant_id=participant))
    return _document("recording", elements, "urn:ietf:params:xml:ns:recording:1")


def _broadworks(plan: CallPlan, streams: int, now: datetime, new_uuid: Callable[[], uuid.UUID]) -> bytes:
    """The document of the older draft: participants point at their stream, one or two of them."""
    recording, group, session = (new_uuid().urn for _ in range(3))
    stream_ids = [new_uuid().urn for _ in range(streams)]
    recorded = plan.caller if plan.recorded == "caller" else plan.callee
    start = _tag("start-time", now.isoformat(timespec="milliseconds"))
    initiator = _tag("initiator", escape(address_of(recorded, plan.domain)))
    elements = [
        _tag("dataMode", "complete"),
        _tag("recording", _tag("requestor", "SRC") + _tag("type", "selective"), id=recording),
        _tag("group", initiator, id=group, recording=recording),
        _tag("session", start, id=session, group=group),
    ]
    for number, stream in ((plan.caller, stream_ids[0]), (plan.callee, stream_ids[-1])):
        aor = _tag("aor", escape(address_of(number, plan.domain)))
        sends = _tag("send", _tag("id", stream))
        elements.append(_tag("participant", aor + sends, id=new_uuid().urn, session=session))
    mode = _tag("mode", "separate" if streams > 1 else "mixed")
    for label, stream in enumerate(stream_ids, start=1):
        elements.append(_tag("stream", _tag("label", str(label)) + mode, id=stream, session=session))
    extension = _broadworks_extension(plan, recorded, new_uuid())
    elements.append(_tag("extensiondata", extension, id=new_uuid().urn, parent=session))
    return _document("recording_metadata", elements, "urn:ietf:params:xml:ns:siprec")


def _broadworks_extension(plan: CallPlan, recorded: str, tracking: uuid.UUID) -> str:
    numbers = "".join(
        _tag(name, escape(address_of(number, plan.domain)))
        for name, number in (("callingPartyNumber", plan.caller), ("calledPartyNumber", plan.callee))
    )
    if plan.recorded == "caller":
        half = _tag("origCall", numbers + _tag("dialedDigits", escape(plan.callee)))
    else:
        half = _tag("termCall", numbers)
    fields = (
        ("extTrackingID", str(tracking)),
        ("serviceProviderID", escape(plan.domain)),
        ("groupID", escape(plan.domain)),
        ("userID", escape(plan.broadworks_id or f"{recorded}@{plan.domain}")),
        ("callID", f"callhalf-{tracking.int % 10**6}:0"),
        ("callType", half),
        ("recordingType", "on"),
    )
    return _tag(
        "broadWorksRecordingMetadata",
        "".join(_tag(name, content) for name, content in fields),
        xmlns="http://schema.broadsoft.com/broadworksCallRecording",
        version="3.0",
    )


def _tag(name: str, content: str = "", **attributes: str) -> str:
    """Return one XML element; `content` is XML, attribute values are text."""
    written = "".join(f" {attribute}={quoteattr(value)}" for attribute, value in attributes.items())
    return f"<{name}{written}>{content}</{name}>"


def _document(root: str, elements: list[str], namespace: str) -> bytes:
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<{root} xmlns="{namespace}">',
        *elements,
        f"</{root}>",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()
