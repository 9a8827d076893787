"""A stretch of a recording as a picture: its waveform and what is not heard in it.

Rules: pure. Nothing of the recording outside the stretch is in it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta

from archive.model import Recording, Span
from archive.waveform import of_peaks
from playback_portal import drawing
from playback_portal.drawing import Mini


@dataclass(frozen=True)
class Fragment:
    """The drawing of a stretch; `channels` are two at most, the first party above."""

    mini: Mini
    length_ms: int


def of_recording(recording: Recording, peaks: bytes, from_ms: int, to_ms: int) -> Fragment:
    """Return the picture of a stretch; `peaks` is the peaks object of the recording."""
    length_ms = to_ms - from_ms
    waveform = of_peaks(_cut(peaks, from_ms, to_ms))
    return Fragment(drawing.mini(waveform, _spans(recording, from_ms, to_ms), length_ms), length_ms)


def after(position_ms: int) -> timedelta:
    """Return a position as the time since the beginning."""
    return timedelta(milliseconds=position_ms)


def _spans(recording: Recording, from_ms: int, to_ms: int) -> list[Span]:
    return [
        replace(span, from_ms=max(span.from_ms, from_ms) - from_ms, to_ms=min(span.to_ms, to_ms) - from_ms)
        for span in recording.spans
        if span.from_ms < to_ms and span.to_ms > from_ms
    ]


def _cut(peaks: bytes, from_ms: int, to_ms: int) -> bytes:
    """Return a peaks object of the stretch alone; what is none is none after it."""
    try:
        levels = [_cut_level(level, from_ms, to_ms) for level in json.loads(peaks)["levels"]]
    except (ValueError, LookupError, TypeError):
        return b""
    return json.dumps({"levels": levels}).encode()


def _cut_level(level: dict[str, object], from_ms: int, to_ms: int) -> dict[str, object]:
    per_s, data = level["pps"], level["data"]
    if not isinstance(per_s, int) or not isinstance(data, list):
        raise TypeError("This is no level of peaks.")
    # A level that begins before the stretch, or ends behind it, tells of what is not shared.
    first, last = -(-from_ms * per_s // 1000), to_ms * per_s // 1000
    cut = [channel[first:last] for channel in data]
    return {"pps": per_s, "bins": len(cut[0]) if cut else 0, "data": cut}
