"""Calls that are over and that nobody kept, while the tenant's grace lets somebody still keep them.

Their audio stays sealed in the journal, where nobody can play, find, hold or export it
(invariant I9). Kept in time it is archived like any other; else its key is destroyed.

Within one start of the machine the time is measured, so that a clock that is set ends no grace
early. After another start nobody knows how long the machine was off: a grace is over when this
machine's clock says so and is believed (`believe`), and at the latest when its whole length
was measured anew.

Rules: pure; a recording ends here in exactly one of finished and destroyed, and what
survives a restart is its `CallState`. Not here: what the journal does with it
(`recorder.call_book`), which clock is believed (`retention.timekeeper`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from archive.model import RecordingMode
from recorder.srs import lifecycle
from recorder.srs.effects import Effect, FinishRecording, HoldForGrace, Moment
from recorder.srs.outcome import noted
from recorder.srs.recording_mode import Capture, Refusal, machine
from recorder.srs.session import Command
from recorder.state import CallState, EdgeState

TOO_LATE = "The time in which the call could still be kept is over."


@dataclass(frozen=True)
class _Grace:
    """A call that waits, until `over_s` of the monotonic clock at the latest.

    `is_measured`: since its end, so that no other clock is asked.
    """

    state: CallState
    over_s: float
    is_measured: bool


class GracePeriods:
    """The calls of this recorder that wait to be kept or forgotten."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, _Grace] = {}
        self._believed_ns = 0

    def __contains__(self, uid: bytes) -> bool:
        return uid in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, effects: list[Effect], now: Moment) -> list[Effect]:
        """Remember what these effects hold for grace, and return them with what it is measured by."""
        return [self._held(each, now) if isinstance(each, HoldForGrace) else each for each in effects]

    def _held(self, effect: HoldForGrace, now: Moment) -> HoldForGrace:
        length_s = _length_s(effect.state)
        over_s = now.monotonic_s + length_s
        # By the clock as it is set now: that of the call may have been years behind.
        until_ns = now.clock_ns + length_s * 1_000_000_000
        state = replace(effect.state, grace_until_ns=until_ns, grace_boot_id=now.boot_id, grace_over_s=over_s)
        self._waiting[effect.uid] = _Grace(state, over_s, is_measured=True)
        return replace(effect, state=state)

    def restore(self, uid: bytes, state: CallState, now: Moment) -> None:
        """Go on waiting after a restart, of the recorder or of the machine."""
        is_measured = bool(now.boot_id) and state.grace_boot_id == now.boot_id
        over_s = state.grace_over_s if is_measured else now.monotonic_s + _length_s(state)
        self._waiting[uid] = _Grace(state, over_s, is_measured=is_measured)

    def believe(self, until_ns: int) -> None:
        """Take it as right that it is at least `until_ns` by now."""
        self._believed_ns = max(self._believed_ns, until_ns)

    def waits_for_a_clock(self, now: Moment) -> bool:
        """Tell whether a call would be over by this machine's clock, which has to be believed first."""
        return any(
            not each.is_measured and _until_ns(each) <= now.clock_ns and not self._is_over(each, now)
            for each in self._waiting.values()
        )

    def _is_over(self, waiting: _Grace, now: Moment) -> bool:
        if now.monotonic_s >= waiting.over_s:
            return True
        return not waiting.is_measured and _until_ns(waiting) <= min(now.clock_ns, self._believed_ns)

    def obey(self, uid: bytes, command: Command, now: Moment) -> list[Effect]:
        """Keep a call that waits; any other command is refused, because the call is over."""
        state = self._waiting[uid].state
        if self._is_over(self._waiting[uid], now):
            # A recorder that was away may hear of it before it comes by to destroy it.
            del self._waiting[uid]
            refused = lifecycle.confirmed(state, command, now.clock_ns, refusal=TOO_LATE)
            return [*lifecycle.not_kept(uid, state), *refused]
        step = machine(RecordingMode(state.mode)).step(Capture.GRACE, command.verb)
        if isinstance(step, Refusal):
            return lifecycle.confirmed(state, command, now.clock_ns, refusal=step.reason)
        del self._waiting[uid]
        kept = replace(
            noted(state, now.clock_ns, f"{command.verb} by {command.by}, after the call"),
            kept=True,
            capture=step.state.value,
            grace_until_ns=None,
            grace_boot_id="",
            grace_over_s=0.0,
            edges=(*state.edges, EdgeState("keep", state.ended_ns or now.clock_ns, command.by)),
        )
        return [FinishRecording(uid, kept), *lifecycle.confirmed(kept, command, now.clock_ns)]

    def over(self, now: Moment) -> list[Effect]:
        """Destroy the calls that nobody kept in time."""
        effects: list[Effect] = []
        for uid, waiting in list(self._waiting.items()):
            if self._is_over(waiting, now):
                del self._waiting[uid]
                effects += lifecycle.not_kept(uid, waiting.state)
        return effects


def _length_s(state: CallState) -> int:
    return state.keep_grace_h * 3600


def _until_ns(waiting: _Grace) -> int:
    return waiting.state.grace_until_ns or 0
