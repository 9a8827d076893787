"""The sweep of what expired: recordings in bounded batches, then their keys, then their certificates.

A batch destroys the recordings of a tenant that are over for longest. When none is left, the
keys they hung from go: at once where nothing else hangs from them or only a few do, else at
the end of their day, and never later than KEY_WAIT after the term. What hangs from such a key
still (held recordings, and those that are over later that day) is wrapped anew before. Then
the certificate is signed.

Rules: nothing is begun by a clock that is not believed. What is away is tried again. Not
here: the steps of one recording (`retention.destruction`), the clocks (`retention.timekeeper`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import structlog

from archive.audit import AuditWriter
from archive.catalogue import destructions
from archive.catalogue.destructions import Destruction, Siblings, Signed, WaitingKey
from archive.catalogue.engine import Catalogue
from archive.clock import Clock
from archive.data_key import expiry_day
from archive.errors import DependencyUnavailable
from archive.model import TenantId
from archive.rewrap import Rewrapping, VersionedVault
from archive.store.object import Store
from keys.signatory import Signatory
from retention.certificate import statement
from retention.destruction import ACTOR, Destroyer, Outcome
from retention.timekeeper import Timekeeper

BATCH_RECORDINGS_MAX = 50
"""Some 400 requests to the store: half a minute, then other jobs get their turn."""

FAILURES_MAX = 3
"""So many recordings that fail are not at fault themselves: the store or the database is away."""

FEW_SIBLINGS = 50
"""So many recordings are wrapped anew at once, rather than have a key wait for the end of its day."""

EARLY_VERSIONS_MAX = 3
"""How often a day's key is replaced early; afterwards it waits for the end of its day."""

KEY_WAIT = timedelta(hours=12)
"""Invariant I7: nothing expired is alive 24 hours later; the other half is for a store that is away."""

_log = structlog.get_logger()


@dataclass(frozen=True)
class Progress:
    """What a batch did: recordings whose objects it deleted, certificates it gave, and what is left."""

    destroyed: int
    certificates: int
    remaining: int


class Expiry:
    """Sweeps the recordings of a tenant; any number of processes may."""

    def __init__(  # noqa: PLR0917 - what it stands on, named by its callers
        self,
        store: Store,
        vault: Callable[[], VersionedVault],
        catalogue: Catalogue,
        audit: AuditWriter,
        clock: Clock,
        timekeeper: Timekeeper,
        signatory: Callable[[], Signatory],
    ) -> None:
        """Remember what it stands on; `vault` and `signatory` are asked for when a key goes."""
        self._store = store
        self._vault = vault
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock
        self._timekeeper = timekeeper
        self._signatory = signatory
        self._destroyer = Destroyer(store, catalogue, audit, clock)

    def check_clocks(self) -> datetime:
        """Return the time recordings are judged by; raises ClockDisbelieved, DependencyUnavailable."""
        return self._timekeeper.due_time()

    def batch(self, tenant_id: TenantId, recordings_max: int = BATCH_RECORDINGS_MAX) -> Progress:
        """Destroy up to `recordings_max` recordings, and when none is left, their keys.

        Raises ClockDisbelieved, and DependencyUnavailable after the others were tried.
        """
        until = self._timekeeper.due_time()
        destroyed, kept, failure = self._destroy(tenant_id, until, recordings_max)
        remaining = destructions.count_due(self._catalogue, tenant_id, until)
        # One that fails again and again, or that the store keeps, must not keep the keys of others alive.
        certificates = 0 if remaining > kept else self._settle(tenant_id, until)
        if failure is not None:
            raise failure
        return Progress(destroyed, certificates, remaining)

    def _destroy(
        self, tenant_id: TenantId, until: datetime, recordings_max: int
    ) -> tuple[int, int, DependencyUnavailable | None]:
        """Return how many are gone, how many the store or a hold keeps, and what failed first."""
        now = self._clock.now()
        chosen = destructions.abandoned(self._catalogue, tenant_id, now, recordings_max)
        chosen += destructions.due(self._catalogue, tenant_id, until, recordings_max - len(chosen))
        outcomes: list[Outcome] = []
        failures: list[DependencyUnavailable] = []
        for recording_id in chosen:
            try:
                outcomes.append(self._destroyer.destroy(tenant_id, recording_id, until))
            except DependencyUnavailable as error:
                failures.append(error)
                if len(failures) >= FAILURES_MAX:
                    break
        gone, kept = outcomes.count(Outcome.GONE), outcomes.count(Outcome.KEPT)
        return gone, kept, failures[0] if failures else None

    def _settle(self, tenant_id: TenantId, until: datetime) -> int:
        """Destroy the keys whose time is over and give certificates; return how many."""
        given = 0
        for waiting in destructions.waiting_keys(self._catalogue, tenant_id):
            now = self._clock.now()
            siblings = destructions.count_under(self._catalogue, tenant_id, waiting.kek_id, now)
            if not key_is_over(waiting, siblings, until):
                continue
            rewrapping = Rewrapping(self._store, self._vault(), self._catalogue, self._audit, self._clock)
            rewrapping.supersede(tenant_id, waiting.kek_id, actor=ACTOR, reason="the term of its day is over")
            given += self._certify(tenant_id, waiting.kek_id)
        return given

    def _certify(self, tenant_id: TenantId, kek_id: str) -> int:
        given = 0
        while batch := destructions.waiting_for(self._catalogue, tenant_id, kek_id, BATCH_RECORDINGS_MAX):
            given += sum(map(self._finish, batch))
        return given

    def _finish(self, waiting: Destruction) -> bool:
        """Give a destruction its certificate, once; return whether it was given here."""
        late = self._destroyer.remainder(waiting)
        now = self._clock.now().replace(microsecond=0)
        with self._audit.transaction(waiting.tenant_id) as connection:
            unfinished = destructions.lock_unfinished(connection, waiting)
            if unfinished is None:
                return False
            whole = replace(unfinished, objects=(*(unfinished.objects or ()), *late))
            certificate = statement(whole, destroyed_at=now)
            signature = self._signatory().sign(certificate, now)
            digest = hashlib.sha256(certificate).hexdigest()
            self._destroyer.enter(
                connection, whole, "recording.destroyed", {"certificateSha256": digest, "kek": whole.kek_id}
            )
            destructions.finish(connection, whole, Signed(certificate, signature), now=now)
        _log.info("recording destroyed", recording_id=waiting.recording_id)
        return True


def key_is_over(waiting: WaitingKey, siblings: Siblings, until: datetime) -> bool:
    """Return whether a key whose recordings are gone is destroyed now, with others under it. Pure."""
    if siblings.all == 0:
        return True
    if siblings.going:
        return False  # another worker is at it, for minutes: it would be wrapped anew to be destroyed
    if until - waiting.since >= KEY_WAIT:
        return True
    _, day, version = waiting.kek_id.split("/")
    if date.fromisoformat(day) < expiry_day(until):
        return True
    return siblings.all <= FEW_SIBLINGS and int(version) <= EARLY_VERSIONS_MAX
