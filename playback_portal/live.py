"""A call under way as its page shows it: how it stands, what may be pressed, and why nothing may.

What is shown is what the recorder told last. When nobody hears of the recorder any more,
how the call stands is not known: it is never called recorded then, and offers no button.

Rules: pure. Buttons are exactly what the recorder would obey (`archive.call_commands`) and
who asks may command; the rest of the verbs does not exist. Texts are messages, translated
in the template.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from archive.access import AccessScope, may_command
from archive.call_commands import LIVE_STATES, MODE_NAMES, allowed
from archive.catalogue.live_calls import LiveCall
from archive.model import Party, RecordingMode, RecordingState, UserId
from playback_portal.language import mark
from playback_portal.rows import other_parties


@dataclass(frozen=True)
class Button:
    """One verb: the end of its address, its icon and words, what it says while it waits, and its key."""

    verb: str
    path: str
    icon: str
    label: str
    busy: str
    key: str
    primary: bool = False


BUTTONS: Final = {
    "keep": Button("keep", "keeps", "keep", mark("Keep"), mark("Keeping"), "b", primary=True),
    "start": Button("start", "starts", "rec", mark("Start"), mark("Starting"), "s"),
    "pause": Button("pause", "pauses", "pause", mark("Pause"), mark("Pausing"), "p"),
    "resume": Button("resume", "resumes", "play", mark("Resume"), mark("Resuming"), "p"),
    "stop": Button("stop", "stops", "stop", mark("Stop"), mark("Stopping"), ""),
}
"""In the order they stand in. Stop has no key: what is stopped by mistake is lost."""


@dataclass(frozen=True)
class Standing:
    """How a call stands, in words: `kind` is the style of its sign (`rec`, `pause`, `wait` or `none`)."""

    kind: str
    label: str
    text: str = ""


UNKNOWN: Final = Standing(
    "none",
    mark("Not known"),
    mark("The recorder of this call does not answer. Whether it is still being recorded is not known."),
)
_NOT_KEPT = Standing("wait", mark("Not kept yet"), mark("Nobody keeps it yet: it is destroyed at hang-up."))
_NOT_STARTED = Standing("wait", mark("Not started yet"), mark("Nothing is recorded yet."))
_ON_HOLD = Standing("wait", mark("On hold"), mark("The exchange sends no sound. Recording goes on after it."))
_PAUSED = Standing("pause", mark("Paused"), mark("Nothing is recorded until it is resumed."))
_STOPPED = Standing("none", mark("Stopped"), mark("What was recorded is kept."))
_OVER = Standing("none", mark("Not recording"), mark("The recording of this call has ended."))
_STANDINGS: Final = {
    "recording": Standing("rec", mark("Recording now")),
    "held": _ON_HOLD,
    "paused": _PAUSED,
    "paused held": _PAUSED,
    "pre-roll": _NOT_KEPT,
    "pre-roll held": _NOT_KEPT,
    "armed": _NOT_STARTED,
    "armed held": _NOT_STARTED,
    "stopped": _STOPPED,
    "stopped held": _STOPPED,
    "grace": Standing("wait", mark("Not kept yet"), mark("The call is over. You can still keep it.")),
}
"""By the word of the recorder for where capture stands; of any other there is nothing to expect."""

NO_BUTTONS: Final = {
    RecordingMode.ALWAYS: mark("Always: it can't be paused"),
    RecordingMode.NEVER: mark("Never: nothing is recorded"),
}
"""Why a mode offers nothing at all."""

REASONS: Final = {
    "calls of this user are not recorded": mark("Your calls are not recorded."),
    "the media of this recording has ended": mark("The recording of this call has ended."),
    "the call is over; it can only still be kept": mark("The call is over. It can only be kept."),
    "the call is over": mark("The call is over."),
    "a call of this mode can't be paused": mark("A call of this mode can't be paused."),
    "a call of this mode is recorded to its end": mark("A call of this mode is recorded to its end."),
    "a call of this mode is recorded to its end; pause it instead": mark(
        "A call of this mode is recorded to its end. Pause it instead."
    ),
    "a call of this mode can't be stopped; keep and pause it instead": mark(
        "A call of this mode can't be stopped. Keep and pause it instead."
    ),
    "the exchange sends no media, and only the exchange can change that": mark(
        "The call is on hold. Only the telephone can end that."
    ),
    "it is paused already": mark("It is paused already."),
    "it is paused; resume it instead": mark("It is paused. Resume it instead."),
    "it is not paused": mark("It is not paused."),
    "it is being recorded already": mark("It is being recorded already."),
    "it is kept already": mark("It is kept already."),
    "what was recorded is kept already": mark("What was recorded is kept already."),
    "it can be paused only after it was kept": mark("It can be paused only after it was kept."),
    "it can be paused and resumed only after it was kept": mark("It can be paused only after it was kept."),
    "it was not started yet": mark("It was not started yet."),
    "it was not started yet, so there is nothing to keep": mark(
        "It was not started yet, so there is nothing to keep."
    ),
    "it is stopped already": mark("It is stopped already."),
    "it is stopped; start it again first": mark("It is stopped. Start it again first."),
    "it is stopped; start it again instead": mark("It is stopped. Start it again instead."),
}
"""What `archive.call_commands` says of a refusal, as a sentence for people."""

SENTENCES: Final = {
    "The call is over.": mark("The call is over."),
    "The recorder was too busy to obey in time; nothing was changed. Try again.": mark(
        "The recorder was too busy. Nothing was changed. Try again."
    ),
}
"""What a recorder says of a command that reached no call."""

REFUSED: Final = mark("How the call stands does not allow it now.")


@dataclass(frozen=True)
class LiveRow:
    """A call as its row shows it. `owner` is a login, `own` whether that is who looks."""

    call: LiveCall
    party: Party | None
    others: int
    owner: str
    own: bool
    known: bool
    standing: Standing
    buttons: tuple[Button, ...]
    why_none: str
    long_paused: bool

    @property
    def over(self) -> bool:
        """Whether the call itself has ended and only waits to be kept."""
        return self.call.state is RecordingState.GRACE

    @property
    def print(self) -> str:
        """What differs as soon as the row would look different, but for what the clock changes."""
        shown = (self.call, self.owner, self.known)
        return f"{zlib.crc32(repr(shown).encode()):08x}"


def row(
    call: LiveCall,
    scope: AccessScope,
    logins: Mapping[UserId, str],
    now: datetime,
    *,
    known: bool,
    long_pause: timedelta,
) -> LiveRow:
    """Return the row of a call for somebody; `known` is whether its recorder is there.

    A pause stands out from `long_pause` on, when the recorder tells of it too.
    """
    others = other_parties(call)
    buttons = buttons_of(call, scope) if known else ()
    commands = may_command(scope, call.owner)
    return LiveRow(
        call=call,
        party=others[0] if others else None,
        others=max(0, len(others) - 1),
        owner="" if call.owner is None else logins.get(call.owner, ""),
        own=call.owner is not None and call.owner == scope.user_id,
        known=known,
        standing=standing_of(call, known=known),
        buttons=buttons,
        why_none=NO_BUTTONS.get(call.mode, "") if known and commands and not buttons else "",
        long_paused=known and call.paused_at is not None and now - call.paused_at >= long_pause,
    )


def standing_of(call: LiveCall, *, known: bool) -> Standing:
    """Return how a call stands; of one whose recorder is away nothing is said."""
    return _STANDINGS.get(call.capture, _OVER) if known else UNKNOWN


def buttons_of(call: LiveCall, scope: AccessScope) -> tuple[Button, ...]:
    """Return exactly the verbs that the recorder would obey now from who asks."""
    if not may_command(scope, call.owner) or call.state not in LIVE_STATES:
        return ()
    reasons = allowed(call.mode, call.state, call.capture)
    verbs = {verb for verb, reason in reasons.items() if reason is None}
    if "keep" in verbs:
        # Both do the same to an on-demand call, and one button is enough.
        verbs.discard("start")
    return tuple(button for verb, button in BUTTONS.items() if verb in verbs)


def reason_of(sentence: str, verb: str, mode: RecordingMode) -> str:
    """Return the message for what a recorder said of a command that it did not obey."""
    if sentence in SENTENCES:
        return SENTENCES[sentence]
    reason = sentence.removeprefix(f"The recording did not obey '{verb}': ")
    return REASONS.get(reason.removesuffix(f" (mode {MODE_NAMES[mode]})."), REFUSED)
