"""Whether this recorder takes one more session: the same truth for INVITE, OPTIONS and `/readyz`.

Rules: pure. A recorder that can't take a call says so at once (RFC 7866 has no worse
answer than one that is accepted and dropped); exempt calls are answered before anybody
asks here. Not here: what makes it unable (`recorder.housekeeping`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from recorder.sip.transaction import TransactionKey
from recorder.srs.effects import Limits, Respond
from recorder.srs.session import Phase, RecordingSession


@dataclass
class Admission:
    """What stands in the way of new sessions."""

    limits: Limits
    draining: bool = False
    unable_reason: str | None = None

    def refusal_reason(self, sessions: Collection[RecordingSession]) -> str | None:
        """Return why no new session can be taken beside these, or None."""
        if self.draining:
            return "draining"
        with_media = sum(session.phase is not Phase.IDLE for session in sessions)
        if with_media >= self.limits.sessions_max or len(sessions) >= self.limits.dialogs_max:
            return "as many sessions run as this recorder takes"
        return self.unable_reason

    def unavailable(self, key: TransactionKey) -> Respond:
        """Answer 503, with the time after which asking again makes sense."""
        return Respond(key, 503, headers=(("Retry-After", str(self.limits.retry_after_s)),))
