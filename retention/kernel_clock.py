"""What the kernel says of this machine's clock: what it shows, and whether NTP keeps it.

Whoever sets the clock by hand takes the kernel's word away until NTP has compared it again,
and a program that was started with a false clock does not change what the kernel shows.

Rules: reads only, without any right. Not here: what is believed (`retention.due_time`).
"""

from __future__ import annotations

import ctypes
from datetime import UTC, datetime

ERROR_MICROSECONDS_MAX = 16_000_000
"""The kernel's own bound: its estimate of the error reaches it some nine hours after NTP fell silent."""

_REST_BYTES = 256
"""More than the fields after those that are read here."""


class _Timex(ctypes.Structure):
    """The first fields of `struct timex` of adjtimex(2), on Linux."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("error_max", ctypes.c_long),
        ("error_estimated", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("parts", ctypes.c_long),
        ("rest", ctypes.c_byte * _REST_BYTES),
    )


def kernel_clock() -> datetime | None:
    """Return what the kernel's clock shows while NTP keeps it; None when it does not, or nobody tells."""
    told = _Timex()
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(told))
    except (OSError, AttributeError):
        return None
    if state < 0 or told.error_max >= ERROR_MICROSECONDS_MAX:
        return None
    return datetime.fromtimestamp(told.seconds, UTC)
