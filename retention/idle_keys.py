"""Keys of days that are over and from which nothing hangs any more: retired and destroyed.

Most keys go with the last recording of their day (`retention.expiry`) or the last export. One
stays behind where nothing tells of it: made for a recording that got another key before it was
committed, left by a worker that died, brought back by a backup of the key store.

Such a key is over when its day is, no recording, no destruction without a certificate and no
export hangs from it, and no recording in the bucket that the catalogue does not know: then it
stays, and somebody is told to build the catalogue again. It stays, too, where database and
bucket know nothing at all of the tenant: perhaps they are others' or empty ones.

Rules: the time is the one recordings are judged by; the key is retired before it is asked for
the last time, so that nothing is committed under it meanwhile; the entry of the log stands
before the effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime

import procrastinate
import structlog

from archive.audit import AuditWriter
from archive.catalogue import keks
from archive.catalogue.engine import Catalogue
from archive.clock import Clock
from archive.data_key import expiry_day, translated_key_errors
from archive.errors import ArchiveError
from archive.evidence.exports import key_owner
from archive.key_end import destroy_kek
from archive.model import RecordingId, TenantId
from archive.rewrap import VersionedVault
from archive.store.object import Store
from archive.unknown_recordings import keks_of_unknown
from retention.destruction import ACTOR

_log = structlog.get_logger()

KEYS_SWEEP = "retention.keys_sweep"


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

    def sweep(self, tenant_id: TenantId, until: datetime) -> int:
        """Destroy the keys of a tenant that are idle at `until`; return how many.

        Raises DependencyUnavailable.
        """
        today = expiry_day(until)
        with translated_key_errors():
            living = self._vault().ids(tenant_id)
            of_exports = self._vault().ids(key_owner(tenant_id))
        needed = keks.needed(self._catalogue, tenant_id)
        idle = [each for each in (*living, *of_exports) if _day(each) < today and each not in needed]
        if not idle:
            return 0
        if not keks.is_anything_known(self._catalogue, tenant_id):
            _log.warning("ALARM: keys of a customer of whom the database knows nothing", tenant_id=tenant_id)
            return 0
        unknown = keks_of_unknown(self._store, self._vault(), self._catalogue, tenant_id)
        return sum(self._end(tenant_id, kek_id) for kek_id in idle if self._is_free(kek_id, unknown))

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
    app: procrastinate.App, tenants: Callable[[], list[TenantId]], sweep: Callable[[TenantId], int]
) -> None:
    """Add the job."""

    @app.task(name=KEYS_SWEEP)
    async def sweep_keys(timestamp: int) -> None:
        """Destroy the keys nothing hangs from, of every customer, whatever is wrong with another one."""
        for tenant_id in await asyncio.to_thread(tenants):
            try:
                ended = await asyncio.to_thread(sweep, tenant_id)
            except ArchiveError as error:
                _log.warning("idle keys stay for now", tenant_id=tenant_id, reason=str(error))
            else:
                _log.info("idle keys swept", due_at=timestamp, tenant_id=tenant_id, keys=ended)


def _day(kek_id: str) -> date:
    return date.fromisoformat(kek_id.split("/")[1])
