"""An archive whose recordings grow old: a machine with a clock that can be set, and a sweep of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue.audit_entries import of_object
from archive.catalogue.engine import Catalogue
from archive.model import ArchivedRecording, FinishedRecording, RecordingId, Role, SessionOutcome, Tenant
from archive.store.memory import MemoryStore
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from keys.signatory import Signatory, load_or_create
from retention.expiry import Expiry
from retention.timekeeper import LockClock, Timekeeper, Uptime

ROOT = LocalKeyring(bytes(range(32)))


class Stubborn(MemoryStore):
    """A store that notes what is deleted, and fails or keeps something when it is told to."""

    before_delete: Callable[[int], None] | None = None

    def __init__(self, *arguments: Any, **more: Any) -> None:
        # Before there are threads: of two that made it at their first deletion, one lost what it had noted.
        self.deleted: list[tuple[str, str]] = []
        super().__init__(*arguments, **more)

    def delete(self, key: str, version_id: str) -> None:
        if self.before_delete is not None:
            self.before_delete(len(self.deleted))
        super().delete(key, version_id)
        self.deleted.append((key, version_id))

    def lose(self, key: str, version_id: str) -> None:
        """Lose a version, whatever lock it is under."""
        self._versions[key] = [each for each in self._versions[key] if each.facts.version_id != version_id]


@dataclasses.dataclass
class Ageing:
    """Recordings, the time they live in, and the sweep."""

    house: Any
    worker: Catalogue
    portal: Catalogue
    make_recording: Callable[..., ArchivedRecording]
    make_finished: Callable[..., FinishedRecording]
    outcome_of: Callable[[FinishedRecording], SessionOutcome]
    key_directory: Any
    uptime: Uptime = dataclasses.field(default_factory=lambda: Uptime("boot-1", 1000.0))
    by_ntp: bool = False

    @property
    def store(self) -> Stubborn:
        store: Stubborn = self.house.store
        return store

    def archive(self, tenant: Tenant, days: float = 90, **changes: Any) -> ArchivedRecording:
        """Put a recording into the archive that is over in so many days."""
        finished = self.make_finished(self.make_recording(tenant.id).recording)
        until = (self.house.clock.now() + timedelta(days=days)).replace(microsecond=0)
        recording = dataclasses.replace(finished.recording, retain_until=until, **changes)
        finished = dataclasses.replace(finished, recording=recording)
        outcome = dataclasses.replace(self.outcome_of(finished), trace=("peer sbc-1", "mode always"))
        return self.house.ingest().archive(finished, outcome)

    def live(self, **time: float) -> None:
        """Let time go by."""
        gone = timedelta(**time)
        self.house.clock.moment += gone
        self.uptime = Uptime(self.uptime.boot_id, self.uptime.seconds + gone.total_seconds())

    def set_clock(self, **time: float) -> None:
        """Set the clock of this machine and its store, while no time goes by."""
        self.house.clock.moment += timedelta(**time)

    def restart(self, **time: float) -> None:
        """Switch the machine off and on again after some time."""
        self.house.clock.moment += timedelta(**time)
        self.uptime = Uptime(self.uptime.boot_id + "'", 20.0)

    def timekeeper(self, catalogue: Catalogue | None = None, node: str = "one") -> Timekeeper:
        catalogue = catalogue or self.worker
        audit = AuditWriter(catalogue, f"worker/{node}")
        return Timekeeper(
            catalogue, self.store, audit, self.house.clock, node, lambda: self.uptime, self.kept_clock
        )

    def lock_clock(self, catalogue: Catalogue, node: str = "recorder/one") -> LockClock:
        return LockClock(catalogue, self.house.clock, node, lambda: self.uptime, self.kept_clock)

    def kept_clock(self) -> datetime | None:
        """What the kernel tells of the clock: nothing, unless NTP keeps it."""
        now: datetime = self.house.clock.now()
        return now if self.by_ntp else None

    def sweep(self, node: str = "one", store: Any = None) -> Expiry:
        """Return a sweep as a worker of its own runs it."""
        return Expiry(
            store or self.store,
            lambda: self.house.vault,
            self.worker,
            AuditWriter(self.worker, f"worker/{node}"),
            self.house.clock,
            self.timekeeper(node=node),
            functools.cache(self.signatory),
        )

    def signatory(self) -> Signatory:
        return load_or_create(
            DirectoryKeyStore(self.key_directory), ROOT, "earwitness", self.house.clock.now()
        )

    def entries(self, archived: ArchivedRecording) -> list[tuple[str, str]]:
        recording = archived.recording
        found = of_object(self.portal, recording.tenant_id, f"recording:{recording.id}")
        return [(entry.action, entry.result) for entry in found if entry.action != "recording.archived"]


def auditor(tenant: Tenant) -> AccessScope:
    return AccessScope(tenant_id=tenant.id, actor="user:auditor", role=Role.AUDITOR)


def objects_of(store: Any, tenant: Tenant, recording_id: RecordingId) -> list[str]:
    return [version.key for version in store.versions(f"{tenant.id}/{recording_id}/")]
