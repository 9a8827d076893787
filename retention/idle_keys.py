"""Keys of days that are over and from which nothing hangs any more: retired and destroyed.

Most keys go with the last recording of their day (`retention.expiry`) or the last export. One
stays behind where nothing tells of it: made for a recording that got another key before it was
committed, left by a worker that died, brought back by a backup of the key store.

Such a key is over when its day is, no recording, no destruction without a certificate and no
export hangs from it, and no recording in the bucket that the catalogue does not know: then it
stays, and somebody is told to build the catalogue again. It stays, too, where database and
bucket know nothing at all of the tenant: perhaps they are others' or empty ones. The key of a case
that has ended goes again where a copy of the key store brought it back.

Rules: the time is the one recordings are judged by; the key is retired before it is asked for
the last time, so that nothing is committed under it meanwhile; the entry of the log stands
before the effect. A key that can't be ended stands in no other one's way, and is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import procrastinate
import structlog

from archive.audit import AuditWriter
from archive.catalogue import case_changes, keks
from archive.catalogue.engine import Catalogue
from archive.clock import Clock
from archive.data_key import expiry_day, translated_key_errors
from archive.errors import ArchiveError, DependencyUnavailable
from archive.evidence.exports import key_owner
from archive.key_end import destroy_kek
from archive.model import RecordingId, TenantId
from archive.rewrap import VersionedVault
from archive.store.object import Store
from archive.unknown_recordings import keks_of_unknown
from retention.case_copies import destroy_keys
from retention.destruction import ACTOR

_log = structlog.get_logger()

KEYS_SWEEP = "retention.keys_sweep"

CASES_LOOKED_AT = timedelta(days=30)
"""A backup brings back what was destroyed in seven days; the rest is for a worker that did not run."""

FAILURES_MAX = 3
"""So many that can't be reached one after the other are not at fault themselves: the key store is away."""


@dataclass(frozen=True)
class Swept:
    """How many idle keys were ended, which stay, and which of those failed, with what failed first."""

    ended: int
    stuck: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    failure: ArchiveError | None = None


class IdleKeys:
    """Ends the keys nothing hangs from; any number of processes may."""

    def __init__(
        self,
        store: Store,
        vault: Callable[[], VersionedVault],
        catalogue: Catalogue,
        audit: AuditWriter,
        clock: Clock,
    ) -> None:
        """Remember what it stands on."""
        self._store = store
        self._vault = vault
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock

    def sweep(self, tenant_id: TenantId, until: datetime) -> Swept:
        """Destroy the keys of a tenant that are idle at `until`, those that can be.

        Raises DependencyUnavailable when nobody can tell which those are.
        """
        today = expiry_day(until)
        of_cases = self._end_cases(tenant_id, until)
        with translated_key_errors():
            living = self._vault().ids(tenant_id)
            of_exports = self._vault().ids(key_owner(tenant_id))
        needed = keks.needed(self._catalogue, tenant_id)
        idle = [each for each in (*living, *of_exports) if key_day(each) < today and each not in needed]
        if not idle:
            return Swept(of_cases)
        if not keks.is_anything_known(self._catalogue, tenant_id):
            _log.warning("ALARM: keys of a customer of whom the database knows nothing", tenant_id=tenant_id)
            return Swept(of_cases, tuple(idle))
        unknown = keks_of_unknown(self._store, self._vault(), self._catalogue, tenant_id)
        free = [each for each in idle if self._is_free(each, unknown)]
        ended, failed, failure = self._end_all(tenant_id, free)
        return Swept(
            of_cases + ended, (*(each for each in idle if each in unknown), *failed), failed, failure
        )

    def _end_cases(self, tenant_id: TenantId, until: datetime) -> int:
        """Destroy the keys of cases that have ended lately; return how many there were still."""
        ended = case_changes.ended_since(self._catalogue, tenant_id, until - CASES_LOOKED_AT)
        now = self._clock.now()
        return sum(destroy_keys(self._vault(), self._audit, tenant_id, each, now=now) for each in ended)

    def _end_all(
        self, tenant_id: TenantId, free: list[str]
    ) -> tuple[int, tuple[str, ...], ArchiveError | None]:
        """Destroy keys, whatever is wrong with others; return how many, which failed, and what first."""
        ended = in_a_row = 0
        failed: list[str] = []
        failures: list[ArchiveError] = []
        for place, kek_id in enumerate(free):
            try:
                ended += self._end(tenant_id, kek_id)
                in_a_row = 0
            except ArchiveError as error:
                _log.error("ALARM: a key is over and stays", kek_id=kek_id, why=str(error))
                failures.append(error)
                failed.append(kek_id)
                in_a_row += isinstance(error, DependencyUnavailable)
                if in_a_row >= FAILURES_MAX:
                    failed += free[place + 1 :]
                    break
        return ended, tuple(failed), failures[0] if failures else None

    @staticmethod
    def _is_free(kek_id: str, unknown: dict[str, set[RecordingId]]) -> bool:
        if kek_id in unknown:
            _log.error(
                "ALARM: a key is over and stays: a recording in the bucket hangs from it that the database "
                "does not know; run earwitness storage rebuild-catalogue",
                kek_id=kek_id,
                recording_id=min(unknown[kek_id]),
            )
        return kek_id not in unknown

    def _end(self, tenant_id: TenantId, kek_id: str) -> bool:
        keks.retire(self._catalogue, tenant_id, kek_id, now=self._clock.now())
        if kek_id in keks.needed(self._catalogue, tenant_id):
            return False  # committed in the very moment before
        destroy_kek(
            self._vault(),
            self._catalogue,
            self._audit,
            tenant_id,
            kek_id,
            {"reason": "its day is over and nothing hangs from it"},
            actor=ACTOR,
            now=self._clock.now(),
        )
        return True


def add_idle_keys(
    app: procrastinate.App,
    tenants: Callable[[], list[TenantId]],
    sweep: Callable[[TenantId], Swept],
    tell: Callable[[int], None],
) -> None:
    """Add the job; `tell` is told how many keys of all customers could not be ended."""

    @app.task(name=KEYS_SWEEP)
    async def sweep_keys(timestamp: int) -> None:
        """Destroy the keys nothing hangs from, of every customer, whatever is wrong with another one."""
        stuck = 0
        is_complete = True
        for tenant_id in await asyncio.to_thread(tenants):
            try:
                done = await asyncio.to_thread(sweep, tenant_id)
            except ArchiveError as error:
                is_complete = False
                _log.warning("idle keys stay for now", tenant_id=tenant_id, reason=str(error))
            else:
                stuck += len(done.stuck)
                _log.info("idle keys swept", due_at=timestamp, tenant_id=tenant_id, keys=done.ended)
        if stuck or is_complete:  # what could not be asked about is not known to be well
            await asyncio.to_thread(tell, stuck)


def key_day(kek_id: str) -> date:
    """Return the day a key is for. Pure."""
    return date.fromisoformat(kek_id.split("/")[1])
