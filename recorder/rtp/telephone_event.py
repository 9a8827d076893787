"""Telephone-events: digits and tones that are named instead of played (RFC 4733).

One press of a key is many packets: the same timestamp and a growing duration each
20 to 50 ms, at last the end three times over. `DigitDetector` makes one digit of
them, whichever are lost, sent twice or late, and however long the key is held.

Rules: pure, and nothing of a digit is kept once it was told but what recognises its
later packets. Senders that move the timestamp on within one press, against the RFC,
are understood too. Not here: who may send (`source`), what digits mean
(`recorder.srs.star_code`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

from recorder.errors import PeerViolation

EVENT_BYTES = 4
DURATION_MAX = 0xFFFF
"""A key held longer goes on in a new segment, whose timestamp is that much later (section 2.5.1.3)."""

_EVENT = struct.Struct("!BBH")
_DIGITS = "0123456789*#ABCD"  # events 0 to 15 (section 3.2)

# What lies back no further is late and not a clock that began anew: 12 s at 8 kHz, 2 s at 48 kHz.
_LATE_UNITS_MAX = 96_000


class MalformedEvent(PeerViolation):
    """The peer sent a telephone-event that is too short to be one; it is passed over."""


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """One event block: its code, whether it is over, its volume (-dBm0) and duration (timestamp units)."""

    event: int = field(repr=False)
    end: bool
    volume: int
    duration: int

    @property
    def digit(self) -> str | None:
        """The key of the event, None for tones and signals."""
        return _DIGITS[self.event] if self.event < len(_DIGITS) else None


def parse(payload: bytes) -> TelephoneEvent:
    """Read the event block of a packet (RFC 4733 section 2.3); raises MalformedEvent."""
    if len(payload) < EVENT_BYTES:
        raise MalformedEvent("The peer sent a telephone-event of less than four octets.")
    event, second, duration = _EVENT.unpack_from(payload)
    return TelephoneEvent(event, bool(second & 0x80), second & 0x3F, duration)


class DigitDetector:
    """Tells each digit of one SSRC once, with the first packet that names it."""

    __slots__ = ("_last", "_timestamp")

    def __init__(self) -> None:
        self._last: TelephoneEvent | None = None
        self._timestamp = 0

    def __repr__(self) -> str:
        """Return nothing of what was pressed."""
        return "DigitDetector()"

    def feed(self, timestamp: int, marker: bool, payload: bytes) -> str | None:  # noqa: FBT001
        """Take a packet; return the digit that begins with it. What is no event is passed over.

        Of a packet with several events the first counts: keys have silence between them, so
        only tones ever share a packet (section 2.5.1.5).
        """
        if len(payload) < EVENT_BYTES:
            return None
        event, ahead = parse(payload), _ahead(timestamp, self._timestamp)
        if self._last is None:
            begins = True
        elif -_LATE_UNITS_MAX <= ahead < 0:
            return None
        else:
            begins = event.event != self._last.event or not _goes_on(self._last, ahead, marker=marker)
            if not begins and ahead == 0:
                # Packets of one press that change places: the most that was said of it counts.
                longest = max(event.duration, self._last.duration)
                event = replace(event, duration=longest, end=event.end or self._last.end)
        self._last, self._timestamp = event, timestamp
        return event.digit if begins else None


def _goes_on(last: TelephoneEvent, ahead: int, *, marker: bool) -> bool:
    """Say whether a packet of the same key, `ahead` units after the event known, is of the same press.

    The marker stands on the first packet of a press only. Nobody presses a key again before
    letting go of it, so what lies within the event is of it; and what begins where it
    breaks off without an end is its next segment.
    """
    if ahead == 0:
        return True
    if marker:
        return False
    return 0 < ahead < last.duration or (ahead in {last.duration, DURATION_MAX} and not last.end)


def _ahead(timestamp: int, reference: int) -> int:
    """Return how far a timestamp lies after another, negative before it; both wrap at 32 bits."""
    return ((timestamp - reference + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
