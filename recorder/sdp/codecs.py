"""Which RTP payload types an offered stream may use, and what each of them carries.

`PAYLOAD_TYPES` is the table of RFC 3551 section 6 for payload types that stand
without an rtpmap. Names are compared in upper case (RFC 8866 section 6.6 says they
are not case-sensitive) and kept as the peer wrote them.

Rules: pure. A codec that nobody knows is taken when there is no other, since its
packets can still be archived as they came.
"""

from __future__ import annotations

import re

from recorder.sdp.description import MediaDescription

PAYLOAD_TYPES = {
    0: "PCMU/8000",
    2: "G726-32/8000",
    3: "GSM/8000",
    4: "G723/8000",
    5: "DVI4/8000",
    6: "DVI4/16000",
    7: "LPC/8000",
    8: "PCMA/8000",
    9: "G722/8000",
    10: "L16/44100/2",
    11: "L16/44100",
    12: "QCELP/8000",
    13: "CN/8000",
    14: "MPA/90000",
    15: "G728/8000",
    16: "DVI4/11025",
    17: "DVI4/22050",
    18: "G729/8000",
    # Reserved by RFC 3551, but Cisco sends comfort noise with it.
    19: "CN/8000",
}

LOSSLESS = frozenset({"PCMA", "PCMU"})
"""Kept octet for octet through the archive, so they come first in an answer."""

AUDIO = LOSSLESS | {"G722", "G729", "OPUS", "AMR", "AMR-WB", "GSM", "ILBC", "G726-32", "G723", "L16"}
AUXILIARY = frozenset({"TELEPHONE-EVENT", "CN"})

UNKNOWN = "unknown"
"""Stands where a dynamic payload type came without an rtpmap."""

CLOCK_RATE_HZ_MAX = 192_000
"""No audio format of the RTP registry has a faster clock; more would only overflow timelines."""

_RTPMAP = re.compile(r"(\d{1,3})\s+([^\s/]+)\s*/\s*(\d{1,6})(?:\s*/\s*(\d{1,2}))?")


def payload_types(media: MediaDescription) -> dict[int, str]:
    """Return what we accept of a stream, in the order of our answer: type -> `NAME/clock[/channels]`.

    G.711 first, then the other known codecs as offered, or else unknown ones, then
    telephone-event and comfort noise. Empty when there is nothing but those two.
    """
    offered = _offered(media)
    names = {payload_type: name_of(encoding) for payload_type, encoding in offered.items()}
    known = [item for item in offered if names[item] in AUDIO]
    audio = known or [item for item in offered if names[item] not in AUXILIARY]
    if not audio:
        return {}
    audio.sort(key=lambda item: names[item] not in LOSSLESS)
    beside = [item for item in offered if names[item] in AUXILIARY]
    return {item: offered[item] for item in audio + beside}


def name_of(encoding: str) -> str:
    """Return the encoding name in upper case: `PCMA` of `pcma/8000`."""
    return encoding.partition("/")[0].upper()


def _offered(media: MediaDescription) -> dict[int, str]:
    """Return every payload type of the m= line with its encoding, in the order offered."""
    mapped = {}
    for value in media.attribute_values("rtpmap"):
        found = _RTPMAP.match(value)
        if found and 0 < int(found[3]) <= CLOCK_RATE_HZ_MAX:
            channels = f"/{found[4]}" if found[4] else ""
            mapped[int(found[1])] = f"{found[2]}/{int(found[3])}{channels}"
    numbers = [int(item) for item in media.formats if item.isascii() and item.isdigit() and len(item) <= 3]
    return {
        number: mapped.get(number) or PAYLOAD_TYPES.get(number) or f"{UNKNOWN}-{number}/8000"
        for number in numbers
        if number <= 127
    }
