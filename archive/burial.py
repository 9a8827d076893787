"""Recordings that were let go early and a database of yesterday still names, taken for destroyed.

By their tombstones (`archive.tombstone`): the row of a recording goes the way of all that is destroyed
when this archive signed that it was, and nothing stands any more where its objects were. An empty place
without a tombstone is no proof: it may be a bucket that lacks something, and the row stays.

    standing in the database of yesterday --tombstone, nothing in the bucket--> deleting (claimed by nobody)

A worker takes it up as a destruction that was broken off: names, numbers and what hangs from the row go,
then the key, and a certificate is signed (`retention.expiry`).

Rules: runs as operator; the entry of the audit log stands in the transaction. Nothing in the bucket is
changed. What is held in this database is left alone, and told. Called again it changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import structlog
from cryptography import x509

from archive.audit import AuditWriter
from archive.audit_chain import Json
from archive.catalogue import restored_recordings
from archive.catalogue.directory import list_tenants
from archive.catalogue.engine import Catalogue
from archive.clock import Clock
from archive.errors import NotFound, VerificationFailed
from archive.model import RecordingId, TenantId
from archive.placing import objects_prefix
from archive.store.object import Store
from archive.tombstone import TOMBSTONE_BYTES_MAX, Tombstone, place_of, read, tombstones_prefix

_log = structlog.get_logger()

Doubt = Callable[[str], None]
"""Is told what somebody has to look at."""


@dataclass
class Burial:
    """Takes recordings for destroyed, by tombstones that `authority` of this archive vouches for."""

    store: Store
    catalogue: Catalogue
    audit: AuditWriter
    clock: Clock
    authority: x509.Certificate
    actor: str
    by_tenant: Counter[TenantId] = field(default_factory=Counter)
    """How many rows of each tenant go, so far."""

    @property
    def buried(self) -> int:
        """How many rows go, so far."""
        return self.by_tenant.total()

    def every_tenant(self, doubt: Doubt) -> None:
        """Look at the tombstones of every tenant; raises DependencyUnavailable, then it is done again."""
        for tenant in list_tenants(self.catalogue):
            for recording_id, keys in sorted(self._listed(tenant.id).items()):
                if restored_recordings.stands(self.catalogue, tenant.id, recording_id):
                    self._bury(tenant.id, recording_id, keys, doubt)

    def _bury(
        self, tenant_id: TenantId, recording_id: RecordingId, keys: list[tuple[str, str]], doubt: Doubt
    ) -> None:
        stones = list(self._readable(keys))
        if not stones:
            doubt(f"recording {recording_id}: a tombstone in the bucket is none this archive signed")
            return
        if self.store.versions(objects_prefix(tenant_id, recording_id)):
            doubt(f"recording {recording_id} was destroyed, and stands in the bucket again: let it go anew")
            return
        now = self.clock.now()
        with self.audit.transaction(tenant_id) as connection:
            standing = restored_recordings.lock(connection, tenant_id, recording_id)
            if standing is None:
                return
            if standing.on_hold:
                doubt(
                    f"recording {recording_id} was destroyed since the backup, and is held by a case of this "
                    "database: release it, and do this again"
                )
                return
            body: dict[str, Json] = {"from": "tombstone"}
            if stones[0].proposal_id is not None:
                body["proposal"] = stones[0].proposal_id
            entry = self.audit.append(
                connection,
                tenant_id=tenant_id,
                actor=self.actor,
                action="recording.destroy",
                object=f"recording:{recording_id}",
                at=now,
                body=body,
            )
            restored_recordings.bury(connection, stones[0], entry, now=now)
        self.by_tenant[tenant_id] += 1
        _log.info("a recording that was destroyed since the backup goes again", recording_id=recording_id)

    def _listed(self, tenant_id: TenantId) -> dict[RecordingId, list[tuple[str, str]]]:
        """Return the keys and versions of tombstones, by recording."""
        found: dict[RecordingId, list[tuple[str, str]]] = {}
        for version in self.store.versions(tombstones_prefix(tenant_id)):
            place = place_of(version.key)
            is_small = version.size_bytes <= TOMBSTONE_BYTES_MAX
            if place is not None and is_small and not version.is_delete_marker:
                found.setdefault(place[1], []).append((version.key, version.version_id))
        return found

    def _readable(self, keys: list[tuple[str, str]]) -> Iterator[Tombstone]:
        for key, version_id in keys:
            try:
                yield read(key, self.store.get(key, version_id), self.authority)
            except (NotFound, VerificationFailed) as error:
                _log.warning("a tombstone is not believed", key=key, reason=str(error))
