"""A log on a real PostgreSQL, a bucket in memory, and a clock that is set by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from archive.audit import AuditWriter
from archive.audit_chain import AuditEntry
from archive.catalogue.engine import Catalogue
from archive.model import Tenant, TenantId
from archive.store.memory import MemoryStore
from archive.transparency.sequencer import Custody, Sequencer
from keys.signing_key import SigningKey

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
KEY = SigningKey(bytes(range(32)))
CUSTODY = Custody(timedelta(days=2922), "GOVERNANCE")


@dataclasses.dataclass
class SettableClock:
    moment: datetime = NOW

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


@dataclasses.dataclass
class LogHouse:
    """A log, everything it stands on, and who writes to it."""

    worker: Catalogue
    portal: Catalogue
    store: MemoryStore
    clock: SettableClock
    tenant_id: TenantId

    def sequencer(self, **other: object) -> Sequencer:
        parts: dict[str, object] = {
            "catalogue": self.worker,
            "store": self.store,
            "key": lambda: KEY,
            "audit": AuditWriter(self.worker, "worker/one"),
            "clock": self.clock,
            "custody": CUSTODY,
            "name": "earwitness/test",
        }
        return Sequencer(**{**parts, **other})

    def play(self, count: int = 1, writer: str = "portal/one", **more: object) -> list[AuditEntry]:
        """Append entries, a second apart."""
        appending, made = AuditWriter(self.portal, writer), []
        for number in range(count):
            with appending.transaction(self.tenant_id) as connection:
                fields = {"tenant_id": self.tenant_id, "actor": "user:anna", "action": "play", **more}
                fields.setdefault("object", f"recording:{number}")
                made.append(appending.append(connection, at=self.clock.now(), **fields))
            self.clock.moment += timedelta(seconds=1)
        return made

    def later(self, **step: float) -> None:
        self.clock.moment += timedelta(**step)

    def keys(self, prefix: str = "audit/") -> list[str]:
        return [version.key for version in self.store.versions(prefix)]


@pytest.fixture
def log(worker: Catalogue, portal: Catalogue, bakery: Tenant) -> LogHouse:
    clock = SettableClock()
    return LogHouse(worker, portal, MemoryStore(clock), clock, bakery.id)


@pytest.fixture
def make_store() -> Callable[..., MemoryStore]:
    return MemoryStore
