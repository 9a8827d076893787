"""Who of a session is recorded, as its metadata comes and changes: decides, and begins what follows.

Rules: pure apart from the session that is handed in; a session is judged when the
first metadata came or when it has waited long enough, and again with each change. Who
was recorded once stays recorded; who is named later gets a recording from then on.

Not here: the rules themselves (`archive.decision`), exempt parties, who come before
any of it (`recorder.srs.intake`), SIP (`recorder.srs.server`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from archive.catalogue.snapshot import Directory
from archive.decision import Decision, decide
from archive.model import Peer, TenantId, UserId
from recorder.metadata import document
from recorder.metadata.model import MetadataError
from recorder.srs import lifecycle, media, outcome
from recorder.srs.call_group import CallGroups
from recorder.srs.effects import ConsumeKeepNext, Effect, Moment
from recorder.srs.offer import OfferBody
from recorder.srs.outcome import datetime_of
from recorder.srs.session import Phase, RecordingSession

Effects = list[Effect]


class Judge:
    """Judges the sessions of one recorder by its directory."""

    def __init__(self, directory: Directory, new_id: Callable[[int], str]) -> None:
        """Begin with a directory; `new_id` makes an id of a wall time in ns."""
        self.directory = directory
        self._new_id = new_id
        self._groups = CallGroups()
        self._spent: dict[UserId, datetime] = {}

    def judge(self, session: RecordingSession, now: Moment) -> Effects:
        """Decide about a session when metadata came, or when it has waited long enough."""
        if session.phase in (Phase.OPENING, Phase.EXEMPT, Phase.ENDED) or session.peer is None:
            return []
        decision = self.decide(session, now)
        if session.phase is Phase.RUNNING:
            return self._joined(session, decision, now)
        session.judged = True
        if not decision.recorded:
            session.decision, session.phase = decision, Phase.IDLE
            return [outcome.unrecorded(session, now, final=False), *lifecycle.discard_streams(session)]
        session.decision = decision
        if session.phase is Phase.IDLE and not session.streams:
            # A session answered inactive has no sockets; they come with the next offer.
            return []
        media.name_channels(session)
        return self.begin(session, now)

    def _joined(self, session: RecordingSession, decision: Decision, now: Moment) -> Effects:
        """Begin a recording for each recorded user who was named only now; stop for who must not be heard."""
        effects = self._barred(session, now, barred=decision.barred)
        owners = {state.owner for state in session.recordings.values()}
        if all(item.user is None or item.user.id in owners for item in decision.recorded):
            return effects
        session.decision = decision
        return [*effects, *self.begin(session, now)]

    @staticmethod
    def _barred(session: RecordingSession, now: Moment, *, barred: bool) -> Effects:
        """Capture nothing while somebody on the do-not-record list is on the call."""
        was_stopped, session.barred = session.stopped, barred
        if session.stopped == was_stopped:
            return []
        return lifecycle.media_switched(session, now, off=barred, by=lifecycle.BARRED, as_pause=True)

    def decide(self, session: RecordingSession, now: Moment) -> Decision:
        """Decide who is recorded; a promise to keep the next call that was spent does not count again."""
        assert session.peer is not None
        # Promises and months are those of others, who go by a clock that is right.
        at = datetime_of(now.clock_ns)
        decision = decide(self.directory, session.peer, session.facts, at, undescribed=session.undescribed)
        recorded = tuple(
            replace(item, keep_next_until=None)
            if item.user and self._spent.get(item.user.id) == item.keep_next_until
            else item
            for item in decision.recorded
        )
        return replace(decision, recorded=recorded)

    def begin(self, session: RecordingSession, now: Moment, before: Effect | None = None) -> Effects:
        """Begin the recordings of a session, as part of the call they belong to."""
        if not session.call_group:
            names = session.facts.links
            session.call_group = self._groups.group_of(_scope_of(session), names, self._new_id(now.wall_ns))
        effects = lifecycle.begin(session, self._new_id, now, before)
        for effect in effects:
            if isinstance(effect, ConsumeKeepNext):
                self._spent[effect.user_id] = effect.until
        return effects

    def exempt_additions(
        self, peer: Peer | None, body: OfferBody, session: RecordingSession | None = None
    ) -> frozenset[str]:
        """Return the numbers the operator and the tenant of a call added to those that are never recorded."""
        if not self.directory.exempt_numbers:
            return frozenset()
        tenant_id = peer.tenant_id if peer else None
        if tenant_id is None and session is not None:
            tenant_id = _tenant_of(session)
        if tenant_id is None:
            tenant_id = self._tenant_named(peer, body)
        return self.directory.exempt_additions(tenant_id)

    def _tenant_named(self, peer: Peer | None, body: OfferBody) -> TenantId | None:
        """Return the tenant a body names by its BroadWorks group, where the peer serves many."""
        for item in body.metadata:
            try:
                facts = document.parse(item.body).broadworks
            except MetadataError:
                continue
            if facts is not None:
                tenant = self.directory.tenant_of(peer, facts.service_provider_id, facts.group_id)
                return tenant.id if tenant else None
        return None

    def link(self, session: RecordingSession) -> None:
        """Remember what the exchange calls the call by now, so that its other sessions are found."""
        if session.call_group:
            self._groups.add(_scope_of(session), session.facts.links, session.call_group)


def _tenant_of(session: RecordingSession) -> TenantId | None:
    """Return whose call a session is, also after a restart, when nothing was decided yet."""
    known = next((TenantId(state.tenant_id) for state in session.recordings.values()), None)
    return known or (session.decision.tenant_id if session.decision else None)


def _scope_of(session: RecordingSession) -> str:
    """Name within whom the exchange's names for a call mean something."""
    return f"{_tenant_of(session)} {session.peer.id if session.peer else None}"
