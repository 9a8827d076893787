"""The picture of a shared stretch: nothing of what was said beside it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from archive.model import TenantId
from playback_portal import fragment
from playback_portal.drawing import BARS
from tests.made_recordings import made_recording

CALL_S = 200


def peaks(loud_ms: tuple[int, int], rates: tuple[int, ...] = (2, 20)) -> bytes:
    """Return the peaks of a call that is silent but for one stretch; a bin is loud that holds any of it."""
    levels = []
    for per_s in rates:
        edges = [(n * 1000 // per_s, (n + 1) * 1000 // per_s) for n in range(CALL_S * per_s)]
        data = [255 if begin < loud_ms[1] and loud_ms[0] < end else 0 for begin, end in edges]
        levels.append({"pps": per_s, "bins": len(data), "data": [data]})
    return json.dumps({"levels": levels}).encode()


def bars(content: bytes, from_ms: int, to_ms: int) -> int:
    """Return how many bars the picture of a stretch has; a quiet one is not drawn."""
    recording = made_recording(TenantId("t"), datetime(2026, 11, 23, tzinfo=UTC), CALL_S * 1000)
    return fragment.of_recording(recording, content, from_ms, to_ms).mini.upper.count("M")


@pytest.mark.parametrize(("from_ms", "to_ms"), [(30_400, 150_400), (30_010, 150_490), (30_020, 50_030)])
def test_what_is_loud_just_beside_a_stretch_is_not_in_its_picture(from_ms: int, to_ms: int) -> None:
    assert bars(peaks((0, from_ms)), from_ms, to_ms) == 0
    assert bars(peaks((to_ms, CALL_S * 1000)), from_ms, to_ms) == 0


def test_what_is_loud_within_it_is() -> None:
    assert bars(peaks((60_000, 90_000)), 30_400, 150_400) == pytest.approx(BARS / 4, abs=1)
