"""The self-test itself: a strict bucket passes, and each way of not being strict is found by its probe (R7)."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta

import pytest

from archive.errors import Refused, StoreUnavailable
from archive.store.memory import MemoryStore
from archive.store.object import COMPLIANCE, GOVERNANCE, LockMode, sha256_hex
from archive.store.worm import PREFIX, PROBES, clear_canaries, verify_worm

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@dataclasses.dataclass
class Version:
    data: bytes
    mode: str | None
    until: datetime | None
    held: bool = False


@dataclasses.dataclass
class StrictBucket:
    """A bucket that does what a locked one must, but for the `faults` it is given."""

    name: str = "strict"
    faults: frozenset[str] = frozenset()
    now: datetime = NOW
    versions: dict[tuple[str, str], Version] = dataclasses.field(default_factory=dict)
    numbers: itertools.count[int] = dataclasses.field(default_factory=lambda: itertools.count(1))
    versioning: bool = True

    def put(self, key: str, data: bytes, until: datetime | None = None, mode: LockMode = GOVERNANCE) -> str:
        if until is not None and until <= self.now and "past" not in self.faults:
            raise Refused("400 InvalidArgument")
        if "overwrite" in self.faults:
            for place in [place for place in self.versions if place[0] == key]:
                self.versions[place].data = data
        version = "null" if "unversioned" in self.faults else f"v{next(self.numbers)}"
        locked = until is not None and "lock-kept" not in self.faults
        self.versions[key, version] = Version(data, mode if locked else None, until if locked else None)
        return version

    def put_in_parts(self, key: str, data: bytes, until: datetime, mode: LockMode) -> str:
        version = f"v{next(self.numbers)}"
        locked = "parts-locked" not in self.faults
        self.versions[key, version] = Version(data, mode if locked else None, until if locked else None)
        return version

    def lock_of(self, key: str, version: str) -> tuple[str, datetime] | None:
        found = self._find(key, version)
        return None if found.mode is None or found.until is None else (found.mode, found.until)

    def get(self, key: str, version: str) -> bytes:
        return self._find(key, version).data

    def relock(self, key: str, version: str, until: datetime, mode: LockMode) -> None:
        found = self._find(key, version)
        shorter = found.until is not None and until < found.until
        if shorter and f"shorten-{found.mode}" not in self.faults:
            raise Refused("403 AccessDenied")
        if found.mode == COMPLIANCE and mode != COMPLIANCE and "mode-change" not in self.faults:
            raise Refused("403 AccessDenied")
        if "lengthen" in self.faults and not shorter and found.until != until:
            raise Refused("501 NotImplemented")
        found.mode, found.until = mode, until

    def hold(self, key: str, version: str, *, on: bool) -> None:
        self._find(key, version).held = on and "hold" not in self.faults

    def delete(self, key: str, version: str | None = None) -> None:
        if version is None:
            return
        found = self._find(key, version)
        locked = found.until is not None and found.until > self.now
        if (locked and f"delete-{found.mode}" not in self.faults) or found.held:
            raise Refused("403 AccessDenied")
        del self.versions[key, version]

    def delete_many(self, key: str, version: str) -> None:
        if "batch-delete" in self.faults:
            self.versions.pop((key, version), None)
            if "quiet" in self.faults:
                raise Refused("it says so, and deletes all the same")
            return
        self.delete(key, version)

    def delete_bypassing(self, key: str, version: str) -> None:
        if self._find(key, version).mode == COMPLIANCE and "bypass" not in self.faults:
            raise Refused("403 AccessDenied")
        del self.versions[key, version]

    def suspend_versioning(self) -> None:
        if "suspend" not in self.faults:
            raise Refused("409 InvalidBucketState")
        self.versioning = False

    def resume_versioning(self) -> None:
        self.versioning = True

    def _find(self, key: str, version: str) -> Version:
        if (key, version) not in self.versions:
            raise Refused("404 NoSuchVersion")
        return self.versions[key, version]


def test_a_strict_bucket_is_proved_by_two_clients_and_not_by_one() -> None:
    report = verify_worm([StrictBucket("one"), StrictBucket("two")], NOW)
    assert report.is_proved, report.faults
    assert len(report.findings) == 2 * len(PROBES)
    assert not verify_worm([StrictBucket("one")], NOW).is_proved


@pytest.mark.parametrize(
    ("faults", "probes"),
    [
        (["past"], {"past"}),
        (["overwrite"], {"overwrite"}),
        (["parts-locked"], {"parts-locked"}),
        (["shorten-COMPLIANCE"], {"shorten"}),
        (["shorten-GOVERNANCE"], {"shorten"}),
        (["mode-change"], {"mode-change"}),
        (["lengthen"], {"lengthen"}),
        (["hold"], {"hold"}),
        (["delete-GOVERNANCE"], {"delete"}),
        (["delete-COMPLIANCE"], {"delete", "batch-delete", "parts-locked"}),
        (["batch-delete"], {"batch-delete"}),
        (["batch-delete", "quiet"], {"batch-delete"}),
        (["bypass"], {"bypass"}),
        (["suspend"], {"suspend"}),
    ],
)
def test_each_way_of_not_being_strict_is_found_by_its_probe(faults: list[str], probes: set[str]) -> None:
    """R7: this pins that every probe works; a store that says no and does it all the same is found too."""
    bucket = StrictBucket("two", frozenset(faults))
    report = verify_worm([StrictBucket("one"), bucket], NOW)
    assert {found.probe for found in report.faults} == probes
    assert {found.client for found in report.faults} == {"two"}
    assert not report.is_proved
    assert bucket.versioning, "versioning that could be turned off is on again"


@pytest.mark.parametrize("fault", ["lock-kept", "unversioned"])
def test_a_bucket_without_locks_or_versions_fails_at_most_things(fault: str) -> None:
    report = verify_worm([StrictBucket("one", frozenset({fault}))], NOW)
    assert len(report.faults) >= 6


def test_a_store_that_is_away_proves_nothing_and_disproves_nothing() -> None:
    class Away(StrictBucket):
        def delete(self, key: str, version: str | None = None) -> None:
            raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        verify_worm([StrictBucket(), Away()], NOW)


def test_canaries_are_cleared_once_their_lock_is_over() -> None:
    @dataclasses.dataclass
    class Hands:
        moment: datetime = NOW

        def now(self) -> datetime:
            return self.moment

        def monotonic(self) -> float:
            return 0.0

    clock = Hands()
    store = MemoryStore(clock)
    for name, until in (("a", NOW + timedelta(minutes=10)), ("b", None)):
        store.put(f"{PREFIX}{name}", b"x", until, sha256=sha256_hex(b"x"))
    store.put("tenant/recording/audio", b"x", None, sha256=sha256_hex(b"x"))
    assert clear_canaries(store) == 1
    clock.moment += timedelta(hours=1)
    assert clear_canaries(store) == 1
    assert [version.key for version in store.versions("")] == ["tenant/recording/audio"]
