"""The sweep of what expired: recordings in bounded batches, then their keys, then their certificates.

A batch destroys the recordings of a tenant that are over for longest, then goes on with those
that were broken off. Then the keys they hung from go: at once where nothing else hangs from
them or only a few do, else at the end of their day, and never later than KEY_WAIT after the
term. What hangs from such a key still (held recordings, those that are over later that day, and
those whose destruction fails) is wrapped anew before. Then the certificate is signed.

Rules: nothing is begun by a clock that is not believed. What is away is tried again, and no
recording and no key stands in the way of others. Not here: the steps of one recording
(`retention.destruction`), the clocks (`retention.timekeeper`).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import structlog

from archive.audit import AuditWriter, Json
from archive.catalogue import destructions, quarantine, retention_figures
from archive.catalogue.destructions import Destruction, Siblings, Signed, WaitingKey
from archive.catalogue.engine import Catalogue
from archive.catalogue.retention_figures import Figure
from archive.clock import Clock
from archive.data_key import expiry_day
from archive.errors import ArchiveError, Conflict, DependencyUnavailable
from archive.key_object import is_key_object
from archive.model import RecordingId, TenantId
from archive.rewrap import Rewrapping, VersionedVault
from archive.store.object import Store
from archive.unknown_recordings import keks_of_unknown
from keys.signatory import Signatory
from retention.certificate import statement
from retention.destruction import ACTOR, Destroyer, Outcome
from retention.idle_keys import IdleKeys, Swept, key_day
from retention.timekeeper import Timekeeper

BATCH_RECORDINGS_MAX = 50
"""Some 400 requests to the store: half a minute, then other jobs get their turn."""

FAILURES_MAX = 3
"""So many recordings in a row that fail are not at fault themselves: the store or the database is away."""

FEW_SIBLINGS = 50
"""So many recordings are wrapped anew at once, rather than have a key wait for the end of its day."""

EARLY_VERSIONS_MAX = 3
"""How often a day's key is replaced early; afterwards it waits for the end of its day."""

KEY_WAIT = timedelta(hours=12)
"""Invariant I7: nothing expired is alive 24 hours later; the other half is for a store that is away."""

LOOK_AGAIN = timedelta(hours=1)
"""So long after its certificate nobody is at a recording any more, however slow the store."""

_log = structlog.get_logger()


@dataclass(frozen=True)
class Progress:
    """What a batch did: recordings whose objects it deleted, certificates it gave, and what is left.

    `failure` is what failed first; the others were tried nevertheless.
    """

    destroyed: int
    certificates: int
    remaining: int
    failure: ArchiveError | None = None


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
        """Remember what it stands on; `vault` and `signatory` are asked for when something goes."""
        self._store = store
        self._vault = vault
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock
        self._timekeeper = timekeeper
        self._signatory = signatory
        self._destroyer = Destroyer(store, catalogue, audit, clock, signatory)
        self._idle_keys = IdleKeys(store, vault, catalogue, audit, clock)

    def check_clocks(self) -> datetime:
        """Return the time recordings are judged by; raises ClockDisbelieved, DependencyUnavailable."""
        return self._timekeeper.due_time()

    def begin(self) -> datetime:
        """Do as `check_clocks`, and remember that a sweep of all tenants begins."""
        until = self.check_clocks()
        retention_figures.keep(self._catalogue, {Figure.SWEEP: 0}, self._clock.now())
        return until

    def batch(self, tenant_id: TenantId, recordings_max: int = BATCH_RECORDINGS_MAX) -> Progress:
        """Do as `attempt`; raises what failed first, after the others were tried."""
        done = self.attempt(tenant_id, recordings_max)
        if done.failure is not None:
            raise done.failure
        return done

    def attempt(self, tenant_id: TenantId, recordings_max: int = BATCH_RECORDINGS_MAX) -> Progress:
        """Destroy up to `recordings_max` recordings, then the keys nothing needs any more.

        Raises ClockDisbelieved, and DependencyUnavailable when the database is away.
        """
        until = self._timekeeper.due_time()
        destroyed, failure = self._destroy(tenant_id, until, recordings_max)
        certificates, stuck = self._settle(tenant_id, until)
        left = self._look_again(tenant_id)
        remaining = destructions.count_due(self._catalogue, tenant_id, until)
        return Progress(destroyed, certificates, remaining, failure or stuck or left)

    def _destroy(
        self, tenant_id: TenantId, until: datetime, recordings_max: int
    ) -> tuple[int, DependencyUnavailable | None]:
        """Return how many are gone, and what failed first."""
        # Those that failed before come last: however many there are, they keep nobody waiting.
        chosen = destructions.due(self._catalogue, tenant_id, until, recordings_max)
        left = recordings_max - len(chosen)
        chosen += destructions.abandoned(self._catalogue, tenant_id, self._clock.now(), left)
        gone = in_a_row = 0
        failures: list[DependencyUnavailable] = []
        for recording_id in chosen:
            try:
                gone += self._destroyer.destroy(tenant_id, recording_id, until) is Outcome.GONE
            except DependencyUnavailable as error:
                failures.append(error)
                in_a_row += 1
                if in_a_row >= FAILURES_MAX:
                    break
            else:
                in_a_row = 0
        return gone, failures[0] if failures else None

    def _settle(self, tenant_id: TenantId, until: datetime) -> tuple[int, ArchiveError | None]:
        """Destroy keys whose time is over and give certificates; return how many, and what failed first."""
        ended: list[str] = []
        failures: list[ArchiveError] = []
        unknown = functools.cache(
            lambda: keks_of_unknown(self._store, self._vault(), self._catalogue, tenant_id)
        )
        for waiting in destructions.waiting_keys(self._catalogue, tenant_id):
            try:
                if self._end_key(tenant_id, waiting, until, unknown):
                    ended.append(waiting.kek_id)
            except ArchiveError as error:
                _log.error("ALARM: a key is over and stays", kek_id=waiting.kek_id, why=str(error))
                failures.append(error)
        given = 0
        try:
            if ended:
                # Before a certificate: where a term was made longer, or a recording came out of quarantine,
                # an older row in a backup and the record in a copy of the bucket name the former key still.
                swept = self._idle_keys.sweep(tenant_id, until)
                if swept.failure is not None:
                    failures.append(swept.failure)
                given = sum(self._certify(tenant_id, kek_id, swept.failed, failures) for kek_id in ended)
        except ArchiveError as error:
            failures.append(error)
        return given, failures[0] if failures else None

    def sweep_idle_keys(self, tenant_id: TenantId) -> Swept:
        """Destroy the keys nothing hangs from, those that can be. Raises as `check_clocks`."""
        return self._idle_keys.sweep(tenant_id, self._timekeeper.due_time())

    def _look_again(self, tenant_id: TenantId) -> ArchiveError | None:
        """Delete what was put after the certificate by who was at it still; return what failed first."""
        now = self._clock.now()
        failures: list[ArchiveError] = []
        for gone in destructions.to_look_at_again(
            self._catalogue, tenant_id, before=now - LOOK_AGAIN, now=now, limit=BATCH_RECORDINGS_MAX
        ):
            try:
                late = self._destroyer.remainder(gone)
            except ArchiveError as error:
                failures.append(error)
                destructions.look_again_later(self._catalogue, gone, now + LOOK_AGAIN)
                continue
            with self._audit.transaction(tenant_id) as connection:
                destructions.note_looked_again(connection, gone, now=now)
                if late:
                    body: dict[str, Json] = {"objects": [each.key for each in late]}
                    self._destroyer.enter(connection, gone, "recording.remainder", body)
        return failures[0] if failures else None

    def _end_key(
        self,
        tenant_id: TenantId,
        waiting: WaitingKey,
        until: datetime,
        unknown: Callable[[], dict[str, set[RecordingId]]],
    ) -> bool:
        """Destroy a key if its time is over; return whether it is gone."""
        siblings = destructions.count_under(
            self._catalogue, tenant_id, waiting.kek_id, until=until, now=self._clock.now()
        )
        if not key_is_over(waiting, siblings, until):
            return False
        if waiting.kek_id in unknown():
            raise Conflict(
                f"The recording {min(unknown()[waiting.kek_id])} in the bucket hangs from this key and the "
                "database does not know it: run earwitness storage rebuild-catalogue."
            )
        rewrapping = Rewrapping(self._store, self._vault(), self._catalogue, self._audit, self._clock)
        rewrapping.supersede(tenant_id, waiting.kek_id, actor=ACTOR, reason="the term of its day is over")
        return True

    def _certify(
        self, tenant_id: TenantId, kek_id: str, stuck: Iterable[str], failures: list[ArchiveError]
    ) -> int:
        """Give the certificates that waited for a key; return how many, and add what failed to `failures`.

        None of a recording that may have hung from one of the keys that are `stuck` before.
        """
        may_open = any(key_day(each) <= key_day(kek_id) for each in stuck)
        given, after = 0, ""
        while batch := destructions.waiting_for(
            self._catalogue, tenant_id, kek_id, BATCH_RECORDINGS_MAX, after=after
        ):
            for waiting in batch:
                if may_open and self._had_another_key(waiting):
                    continue
                try:
                    given += self._finish(waiting)
                except ArchiveError as error:
                    failures.append(error)
            after = batch[-1].recording_id
        return given

    def _had_another_key(self, waiting: Destruction) -> bool:
        """Return whether a recording hung from another key before: each later one was put beside it."""
        if any(is_key_object(each.key) for each in waiting.objects or ()):
            return True
        return quarantine.was_assigned(self._catalogue, waiting.tenant_id, waiting.session_id)

    def _finish(self, waiting: Destruction) -> bool:
        """Give a destruction its certificate, once; return whether it was given here."""
        late = self._destroyer.remainder(waiting)
        now = self._clock.now().replace(microsecond=0)
        with self._audit.transaction(waiting.tenant_id) as connection:
            unfinished = destructions.lock_unfinished(connection, waiting)
            if unfinished is None:
                return False
            whole = replace(unfinished, objects=(*(unfinished.objects or ()), *late))
            certificate = statement(whole, destroyed_at=now, erasure=self._vault().erasure)
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
        # They would be wrapped anew to be destroyed. None stays so: one that fails, or that is
        # kept, is no longer counted here.
        return False
    if until - waiting.since >= KEY_WAIT:
        return True
    _, day, version = waiting.kek_id.split("/")
    if date.fromisoformat(day) < expiry_day(until):
        return True
    return siblings.all <= FEW_SIBLINGS and int(version) <= EARLY_VERSIONS_MAX
