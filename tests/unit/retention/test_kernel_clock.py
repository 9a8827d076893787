"""The kernel is believed on its clock only while NTP keeps it."""

from __future__ import annotations

import ctypes
from datetime import UTC, datetime
from typing import Any

import pytest

from retention import kernel_clock as kernel_clock_module
from retention.kernel_clock import ERROR_MICROSECONDS_MAX, kernel_clock


class Kernel:
    """A kernel that tells what it is told to."""

    def __init__(self, state: int, error_max: int) -> None:
        self.state, self.error_max = state, error_max

    def adjtimex(self, reference: Any) -> int:
        told = reference._obj
        told.error_max, told.seconds, told.parts = self.error_max, 1_795_360_717, 5
        return self.state


@pytest.mark.parametrize(
    ("state", "error_max", "is_kept"),
    [
        (0, 2000, True),
        (5, ERROR_MICROSECONDS_MAX - 1, True),
        (5, ERROR_MICROSECONDS_MAX, False),
        (-1, 0, False),
    ],
)
def test_a_clock_is_kept_while_the_error_is_bounded(
    monkeypatch: pytest.MonkeyPatch, state: int, error_max: int, is_kept: bool
) -> None:
    monkeypatch.setattr(kernel_clock_module.ctypes, "CDLL", lambda _name: Kernel(state, error_max))
    assert kernel_clock() == (datetime.fromtimestamp(1_795_360_717, UTC) if is_kept else None)


def test_where_nobody_tells_no_clock_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_clock_module.ctypes, "CDLL", lambda _name: object())
    assert kernel_clock() is None


def test_this_kernel_answers_in_the_fields_that_are_read() -> None:
    """Its clock is that of this process, whether NTP keeps it or not."""
    told = kernel_clock_module._Timex()
    assert ctypes.CDLL(None).adjtimex(ctypes.byref(told)) >= 0
    assert abs(told.seconds - datetime.now(UTC).timestamp()) < 3600
