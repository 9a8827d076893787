"""The drill: a restore into an empty host, and every recording opened there.

Two kinds: from a backup (database dump and key copy), or from the bucket alone with the
keys. Only the bucket and a key store that still lives are read of a running service;
nothing of it is changed. What was let go early since the backup is found by its tombstone as a restore
finds it (`archive.burial`): it counts as destroyed, and no more as something to come back.

Not here: what a recording must show (`archive.backup.verification`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from archive.audit import AuditWriter
from archive.backup.copied_keys import RestoredKeys
from archive.backup.folder import KEYS, Manifest
from archive.backup.host import READER, REBUILDER, EmptyHost, empty_host
from archive.backup.sealed import open_backup
from archive.backup.verification import KEY_GONE_EARLY, Result, Verdict, Verification
from archive.burial import Burial
from archive.catalogue.directory import list_tenants
from archive.data_key import destroyed_key_day, key_was_destroyed
from archive.errors import ArchiveError, NotFound, Refused
from archive.model import TenantId
from archive.rebuild import Place, rebuild, without_record
from archive.store.object import Store
from keys.kek import KekVault
from keys.key_store import KeyStore
from keys.root import Root
from keys.signatory import known_authority

Tell = Callable[[str], None]
"""Shows progress to a human."""


@dataclass(frozen=True)
class Ground:
    """What is left to restore from."""

    store: Store
    root: Root
    live: KeyStore | None
    """The key store that still lives; None when it is lost and the backup's copy must do."""
    backup: Path | None


@dataclass(frozen=True)
class Outcome:
    """What one tenant's recordings came to; `as_told` is None where no manifest tells.

    `let_go` of those that count as destroyed go by a tombstone.
    """

    domain: str
    result: Result
    as_told: bool | None
    let_go: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing failed."""
        return self.result.counts[Verdict.FAILED] == 0 and self.as_told is not False


def drill_backup(ground: Ground, now: datetime, sample: int | None, tell: Tell) -> list[Outcome]:
    """Restore a backup into an empty host and verify every recording, or a sample of each tenant.

    Raises Refused when its term is over or the root is another one, VerificationFailed when it is not
    whole, DependencyUnavailable.
    """
    if ground.backup is None:
        raise Refused("Say which backup: earwitness drill --backup DIR, or --bucket-only.")
    opened = open_backup(ground.backup, ground.root, now)
    manifest = opened.manifest
    tell(f"backup of {manifest.made_at:%Y-%m-%d %H:%M} UTC, release {manifest.release}: whole")
    with empty_host() as host:
        host.restore(opened.dump())
        tell("database: restored into an empty host")
        as_told = _as_told(host, manifest)
        let_go = _bury(ground, host, now, tell)
        return _outcomes(ground, host, as_told, {}, let_go, now, sample, tell)


def drill_bucket(ground: Ground, now: datetime, sample: int | None, tell: Tell) -> list[Outcome]:
    """Rebuild the catalogue from the bucket and the keys, and verify it as `drill_backup` does.

    A recording that can't be rebuilt has failed, unless its key was destroyed.
    """
    if ground.backup is not None:
        open_backup(ground.backup, ground.root, now)
    missed: dict[TenantId, list[tuple[Place, ArchiveError]]] = {}
    with empty_host() as host:
        host.prepare()
        tell("catalogue: rebuilding from the bucket")
        added = rebuild(
            ground.store,
            _vault(ground),
            host.catalogue(REBUILDER),
            lambda place, why: missed.setdefault(place.tenant_id, []).append((place, why)),
            lambda line: tell(f"look at this: {line}"),
        )
        tell(f"catalogue: {added} recordings rebuilt")
        told = {place for each in missed.values() for place, _ in each}
        for place in without_record(ground.store):
            if place not in told:
                why = NotFound("Its sound stands in the bucket, and no record of it.")
                missed.setdefault(place.tenant_id, []).append((place, why))
        let_go = _bury(ground, host, now, tell)
        return _outcomes(ground, host, None, missed, let_go, now, sample, tell)


def _bury(ground: Ground, host: EmptyHost, now: datetime, tell: Tell) -> Counter[TenantId]:
    """Let go in the empty host what the bucket proves to be destroyed; return how many of each tenant."""
    authority = known_authority(_keys(ground), ground.root)
    if authority is None:
        return Counter()  # nobody has signed anything yet
    catalogue = host.catalogue(REBUILDER)
    audit = AuditWriter(catalogue, "operator/drill")
    burial = Burial(ground.store, catalogue, audit, _At(now), authority, "operator:drill")
    burial.every_tenant(lambda line: tell(f"look at this: {line}"))
    if burial.buried:
        tell(f"tombstones: {burial.buried} recordings were let go since, and go again")
    return burial.by_tenant


@dataclass(frozen=True)
class _At:
    """The moment of the drill, as a clock."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


def _outcomes(  # noqa: PLR0917 - the two kinds of drill, brought together
    ground: Ground,
    host: EmptyHost,
    as_told: dict[TenantId, bool] | None,
    missed: dict[TenantId, list[tuple[Place, ArchiveError]]],
    let_go: Counter[TenantId],
    now: datetime,
    sample: int | None,
    tell: Tell,
) -> list[Outcome]:
    catalogue = host.catalogue(READER)
    domains = {each.id: each.domain for each in list_tenants(host.catalogue(REBUILDER))}
    verification = Verification(ground.store, _vault(ground), catalogue, now)

    def progress(result: Result) -> None:
        tell(f"{result.tenant_id}: {sum(result.counts.values())} of {result.recordings} recordings read")

    found = []
    for tenant_id in sorted({*domains, *missed, *(as_told or {})}):
        result = verification.tenant(tenant_id, sample, progress)
        for place, why in missed.get(tenant_id, []):
            result.recordings += 1
            result.note(place.recording_id, *_verdict(why, now))
        result.recordings += let_go[tenant_id]
        result.counts[Verdict.DESTROYED] += let_go[tenant_id]
        told = None if as_told is None else as_told.get(tenant_id, True)
        found.append(Outcome(domains.get(tenant_id, "-"), result, told, let_go[tenant_id]))
    return found


def _verdict(why: ArchiveError, now: datetime) -> tuple[Verdict, str]:
    """Judge a recording that can't be rebuilt: its KEK's name tells the day its term ends."""
    if not key_was_destroyed(why):
        return Verdict.FAILED, str(why)
    day = destroyed_key_day(why)
    if day is not None and day <= now.date():
        return Verdict.DESTROYED, ""
    return Verdict.FAILED, KEY_GONE_EARLY


def _as_told(host: EmptyHost, manifest: Manifest) -> dict[TenantId, bool]:
    """Return of each tenant with recordings whether the restored catalogue holds what the manifest tells."""
    told = {each.tenant_id: each for each in manifest.holdings}
    restored = {each.tenant_id: each for each in host.holdings()}
    return {tenant: told.get(tenant) == restored.get(tenant) for tenant in {*told, *restored}}


def _vault(ground: Ground) -> KekVault:
    return KekVault(ground.root, _keys(ground))


def _keys(ground: Ground) -> KeyStore:
    if ground.backup is not None:
        return RestoredKeys(ground.backup / KEYS, ground.live)
    if ground.live is None:
        raise Refused("There are no keys: set EARWITNESS_KEY_STORE, or name a backup with --backup.")
    return ground.live
