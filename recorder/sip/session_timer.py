"""Session timers as a UAS that never refreshes (RFC 4028).

Rules: the peer refreshes, we watch. A peer that supports `timer` and names an interval
gets it back with `refresher=uac`, even where it asked us to refresh: several session
border controllers refuse any request of a recorder that touches the session, and a
client obeys what the 2xx says (section 7.2). A refresh without Session-Expires keeps
the interval that runs. Not here: the clock, and the BYE.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from recorder.sip.message import Request

SESSION_INTERVAL_S_MIN = 90  # RFC 4028 section 5: nobody may insist on less
BYE_AHEAD_S_MAX = 32.0  # section 10: BYE at the smaller of 32 s and a third of the interval ahead

_DELTA_SECONDS = re.compile(r"([0-9]{1,9})[ \t]*(?:;.*)?", re.DOTALL)


@dataclass(frozen=True)
class Terms:
    """What a 2xx says of the session timer: the interval that now runs, and its header fields."""

    interval_s: int | None
    headers: tuple[tuple[str, str], ...] = ()


def asked_interval_s(request: Request) -> int | None:
    """Return the interval in Session-Expires; None when absent or unreadable."""
    match = _DELTA_SECONDS.fullmatch((request.headers.first("Session-Expires") or "").strip())
    return int(match[1]) if match else None


def is_too_small(request: Request) -> bool:
    """Whether the request deserves a 422 (section 9)."""
    interval_s = asked_interval_s(request)
    return interval_s is not None and interval_s < SESSION_INTERVAL_S_MIN


def agree(request: Request, running_s: int | None) -> Terms:
    """Answer a session refresh or first INVITE; `running_s` is the interval agreed before.

    A peer without `timer` gets none: it would not refresh, and we would hang up on it.
    """
    if "timer" not in request.supported:
        return Terms(None)
    interval_s = asked_interval_s(request) or running_s
    if interval_s is None:
        return Terms(None)
    interval_s = max(interval_s, SESSION_INTERVAL_S_MIN)
    return Terms(interval_s, (("Session-Expires", f"{interval_s};refresher=uac"), ("Require", "timer")))


def bye_at(refreshed_at: float, interval_s: int) -> float:
    """Return when to hang up if no refresh came (section 10), in the seconds of `refreshed_at`."""
    return refreshed_at + interval_s - min(BYE_AHEAD_S_MAX, interval_s / 3)
