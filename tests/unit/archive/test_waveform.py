"""The small waveform of a recording, from its peaks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from archive.waveform import POINTS, at_rate, of_peaks
from recorder.rtp.peaks import document


def peaks(*channels: list[int], fine: int = 10) -> bytes:
    levels = [
        {"pps": 2, "bins": len(channels[0]), "data": channels},
        {
            "pps": 20,
            "bins": len(channels[0]) * fine,
            "data": [[level for level in one for _ in range(fine)] for one in channels],
        },
    ]
    return json.dumps({"levels": levels}).encode()


@pytest.mark.parametrize("per_s", [2, 20])
def test_the_peaks_of_one_rate_are_the_document_with_that_level_alone(per_s: int) -> None:
    names = ['a"},"levels":[{"pps":2,', "b}"]
    content = document(names, [np.arange(100, dtype=np.int32) * 300] * 2, 5000)
    whole = json.loads(content)
    level = next(each for each in whole.pop("levels") if each["pps"] == per_s)
    assert json.loads(at_rate(content, per_s)) == whole | level


def test_there_are_no_peaks_of_another_rate() -> None:
    with pytest.raises(ValueError, match="not found"):
        at_rate(document(["a"], [np.zeros(1, dtype=np.int32)], 50), 3)


def test_each_step_has_the_loudest_moment_in_it() -> None:
    waveform = of_peaks(peaks([n % 7 for n in range(700)]))
    assert waveform is not None
    (lane,) = waveform.lanes
    assert len(lane) == POINTS
    assert set(lane) <= {4, 5, 6}


def test_a_loud_moment_is_never_lost() -> None:
    for moment in (0, 333, 999):
        levels = [1] * 1000
        levels[moment] = 200
        waveform = of_peaks(peaks(levels))
        assert waveform is not None
        assert max(waveform.lanes[0]) == 200


def test_a_short_call_is_drawn_from_the_finer_levels() -> None:
    waveform = of_peaks(peaks([0] * 10 + [9] * 10))
    assert waveform is not None
    assert waveform.lanes[0] == bytes(POINTS // 2) + bytes([9]) * (POINTS // 2)


def test_a_call_of_a_moment_is_drawn_too() -> None:
    waveform = of_peaks(peaks([5], fine=1))
    assert waveform is not None
    assert waveform.lanes[0] == bytes([5]) * POINTS


def test_the_parties_of_a_conference_are_two_lanes() -> None:
    waveform = of_peaks(peaks([1] * 200, [2] * 200, [3] * 200))
    assert waveform is not None
    assert waveform.lanes == (bytes([1]) * POINTS, bytes([3]) * POINTS)


def test_levels_out_of_bounds_are_cut() -> None:
    waveform = of_peaks(peaks([300] * 100 + [-5] * 100))
    assert waveform is not None
    assert set(waveform.lanes[0]) == {255, 0}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no peaks",
        b"[]",
        b"{}",
        b'{"levels": []}',
        b'{"levels": [{"pps": 2, "bins": 0, "data": []}]}',
        b'{"levels": [{"pps": 2, "bins": 0, "data": [[]]}]}',
        b'{"levels": [{"pps": "x", "bins": 1, "data": [[1]]}]}',
    ],
)
def test_what_is_no_sound_or_no_peaks_has_no_waveform_and_stops_nothing(content: bytes) -> None:
    assert of_peaks(content) is None
