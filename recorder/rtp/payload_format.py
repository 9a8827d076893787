"""What the payload types of a stream carry, as far as the timeline must know.

A `PayloadFormat` is looked up by payload type: first in what was negotiated
(`NAME/clock[/channels]`), then in the static table of RFC 3551 section 6. What
nobody named is opaque: it is kept as it came, never refused.

Rules: pure. Not here: how a payload is decoded (`g711`), which one is offered or
answered (`recorder.sdp`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from recorder.rtp.g711 import Law
from recorder.sdp.codecs import CLOCK_RATE_HZ_MAX, PAYLOAD_TYPES, name_of

PAYLOAD_TYPES_COUNT = 128  # seven bits in the RTP header


class Kind(IntEnum):
    """How a packet takes part in the timeline."""

    A_LAW = 0
    MU_LAW = 1
    COMFORT_NOISE = 2  # RFC 3389: it says that silence begins, and has no samples
    EVENT = 3  # RFC 4733: digits, no audio
    OPAQUE = 4  # a codec that is archived as it came


LAWS = {Kind.A_LAW: Law.A, Kind.MU_LAW: Law.MU}
_KINDS = {"CN": Kind.COMFORT_NOISE, "TELEPHONE-EVENT": Kind.EVENT}
_G711 = {"PCMA": Kind.A_LAW, "PCMU": Kind.MU_LAW}


@dataclass(frozen=True)
class PayloadFormat:
    """The name of an encoding (upper case), its clock, and its part in the timeline."""

    name: str
    clock_rate_hz: int
    kind: Kind


def payload_formats(negotiated: Mapping[str, str]) -> tuple[PayloadFormat, ...]:
    """Return the format of each of the 128 payload types; `negotiated` is as in `StreamState`."""
    return tuple(
        _format(negotiated.get(str(number)) or PAYLOAD_TYPES.get(number) or f"PT{number}/8000")
        for number in range(PAYLOAD_TYPES_COUNT)
    )


def _format(encoding: str) -> PayloadFormat:
    name = name_of(encoding)
    clock, _, channels = encoding.partition("/")[2].partition("/")
    clock_rate_hz = int(clock) if clock.isdigit() and 0 < int(clock) <= CLOCK_RATE_HZ_MAX else 8000
    plain = clock_rate_hz == 8000 and channels in {"", "1"}
    kind = _G711.get(name, Kind.OPAQUE) if plain else Kind.OPAQUE
    return PayloadFormat(name, clock_rate_hz, _KINDS.get(name, kind))
