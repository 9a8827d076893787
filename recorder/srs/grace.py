"""Calls that are over and that nobody kept, while the tenant's grace lets somebody still keep them.

Their audio stays sealed in the journal, where nobody can play, find, hold or export it
(invariant I9). Kept in time it is archived like any other; else its key is destroyed.

Rules: pure; a recording ends here in exactly one of finished and destroyed, and what
survives a restart is its `CallState`. Not here: what the journal does with it
(`recorder.call_book`).
"""

from __future__ import annotations

from dataclasses import replace

from archive.model import RecordingMode
from recorder.srs import lifecycle
from recorder.srs.effects import Effect, FinishRecording, HoldForGrace, Moment
from recorder.srs.outcome import noted
from recorder.srs.recording_mode import Capture, Refusal, machine
from recorder.srs.session import Command
from recorder.state import CallState, EdgeState

TOO_LATE = "The time in which the call could still be kept is over."


class GracePeriods:
    """The calls of this recorder that wait to be kept or forgotten."""

    def __init__(self) -> None:
        self._states: dict[bytes, CallState] = {}

    def __contains__(self, uid: bytes) -> bool:
        return uid in self._states

    def __len__(self) -> int:
        return len(self._states)

    def take(self, effects: list[Effect]) -> list[Effect]:
        """Remember what these effects hold for grace, and return them."""
        for effect in effects:
            if isinstance(effect, HoldForGrace):
                self._states[effect.uid] = effect.state
        return effects

    def restore(self, uid: bytes, state: CallState) -> None:
        """Go on waiting after a restart."""
        self._states[uid] = state

    def obey(self, uid: bytes, command: Command, now: Moment) -> list[Effect]:
        """Keep a call that waits; any other command is refused, because the call is over."""
        state = self._states[uid]
        if _is_over(state, now):
            # A recorder that was away may hear of it before it comes by to destroy it.
            del self._states[uid]
            refused = lifecycle.confirmed(state, command, now.wall_ns, refusal=TOO_LATE)
            return [*lifecycle.not_kept(uid, state), *refused]
        step = machine(RecordingMode(state.mode)).step(Capture.GRACE, command.verb)
        if isinstance(step, Refusal):
            return lifecycle.confirmed(state, command, now.wall_ns, refusal=step.reason)
        del self._states[uid]
        kept = replace(
            noted(state, now.wall_ns, f"{command.verb} by {command.by}, after the call"),
            kept=True,
            capture=step.state.value,
            grace_until_ns=None,
            edges=(*state.edges, EdgeState("keep", state.ended_ns or now.wall_ns, command.by)),
        )
        return [FinishRecording(uid, kept), *lifecycle.confirmed(kept, command, now.wall_ns)]

    def over(self, now: Moment) -> list[Effect]:
        """Destroy the calls that nobody kept in time."""
        effects: list[Effect] = []
        for uid, state in list(self._states.items()):
            if _is_over(state, now):
                del self._states[uid]
                effects += lifecycle.not_kept(uid, state)
        return effects


def _is_over(state: CallState, now: Moment) -> bool:
    return now.wall_ns >= (state.grace_until_ns or 0)
