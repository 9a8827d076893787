"""Star codes: what a user presses on the telephone to command the recording of the own call.

    *44  start      *45  stop      *48  pause      *49  resume

Rules: pure. What does not begin a star code is forgotten the moment it is pressed, so
that a card number or PIN typed into a call never stands here, not even a digit of it;
what does is at most three digits, and neither is ever shown. Not here: how a digit is
read off RTP (`recorder.rtp.telephone_event`), whether the peer may command so, and
whether the command is obeyed (`recorder.srs.recording_mode`).
"""

from __future__ import annotations

from recorder.srs.recording_mode import Event

DIGIT_GAP_NS_MAX = 4_000_000_000
"""Who waits longer between two digits began something else; it is as long as exchanges wait."""

STAR_CODES = {"*44": Event.START, "*45": Event.STOP, "*48": Event.PAUSE, "*49": Event.RESUME}
_BEGINNINGS = frozenset(code[:length] for code in STAR_CODES for length in range(1, len(code)))


class StarCodes:
    """Recognises star codes among the digits of one stream."""

    __slots__ = ("_last_ns", "_pressed")

    def __init__(self) -> None:
        self._pressed = ""
        self._last_ns = 0

    def __repr__(self) -> str:
        """Return nothing of what was pressed."""
        return "StarCodes()"

    def press(self, digit: str, at_ns: int) -> Event | None:
        """Take the next digit, pressed at `at_ns`; return the command it completes."""
        in_time = 0 <= at_ns - self._last_ns <= DIGIT_GAP_NS_MAX
        pressed = self._pressed + digit if in_time else digit
        self._last_ns = at_ns
        if pressed not in _BEGINNINGS and pressed not in STAR_CODES:
            # A star always begins anew: `**48` and `*4*48` are a slip of the finger and a pause.
            pressed = digit
        self._pressed = pressed if pressed in _BEGINNINGS else ""
        return STAR_CODES.get(pressed)
