"""An object store in memory, for tests and for trying things out; it forgets at exit.

It keeps the same promises as S3 with Object Lock, as far as `Store` names them,
and passes the same conformance suite. It judges locks by the clock it is given.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from archive.clock import Clock, SystemClock
from archive.errors import NotFound, Refused, StoreUnavailable, VerificationFailed
from archive.store.object import (
    COMPLIANCE,
    GOVERNANCE,
    OBJECT_BYTES_MAX,
    KeyTaken,
    LockMode,
    ObjectFacts,
    ObjectTooLarge,
    ObjectVersion,
    sha256_hex,
    whole_second,
)


@dataclass(frozen=True)
class _Version:
    facts: ObjectFacts
    data: bytes
    is_delete_marker: bool = False
    held: bool = False


class MemoryStore:
    """A bucket in memory; safe to share among threads."""

    def __init__(self, clock: Clock | None = None, *, lock: bool = True) -> None:
        self._clock = clock or SystemClock()
        self._lock = lock
        self._guard = threading.Lock()
        self._numbers = itertools.count(1)
        self._versions: dict[str, list[_Version]] = {}

    @property
    def locks(self) -> bool:
        """Whether versions are put under a lock."""
        return self._lock

    @property
    def place(self) -> str:
        """Which bucket this is."""
        return "memory/bucket"

    def put(
        self,
        key: str,
        data: bytes,
        retain_until: datetime | None,
        mode: LockMode = GOVERNANCE,
        *,
        sha256: str,
    ) -> str:
        """Store `data` under a free `key` and return its version id (see `Store.put`)."""
        if len(data) > OBJECT_BYTES_MAX:
            raise ObjectTooLarge(f"The object has {len(data)} bytes; at most {OBJECT_BYTES_MAX} fit one put.")
        if sha256_hex(data) != sha256:
            raise StoreUnavailable("The data did not arrive as it was sent (SHA-256 differs).")
        until = whole_second(retain_until) if retain_until is not None and self._lock else None
        if until is not None and until <= self._clock.now():
            raise StoreUnavailable("The store refuses a lock that ends in the past.")
        with self._guard:
            versions = self._versions.setdefault(key, [])
            if versions and not versions[-1].is_delete_marker:
                raise KeyTaken(f"An object stands at {key} already.")
            version_id = f"v{next(self._numbers)}"
            facts = ObjectFacts(key, version_id, len(data), sha256, mode if until else None, until)
            versions.append(_Version(facts, bytes(data)))
        return version_id

    def get(
        self, key: str, version_id: str, first: int | None = None, last_exclusive: int | None = None
    ) -> bytes:
        """Return one version, or the bytes `first` to `last_exclusive` of it."""
        data = self._find(key, version_id).data
        if first is None or last_exclusive is None:
            return data
        if last_exclusive > len(data):
            raise VerificationFailed(f"The object at {key} is shorter than its record says.")
        return data[first:last_exclusive]

    def fetch(self, key: str, version_id: str) -> tuple[bytes, ObjectFacts]:
        """Return one whole version and its facts."""
        version = self._find(key, version_id)
        return version.data, replace(version.facts, held=version.held)

    def head(self, key: str, version_id: str) -> ObjectFacts:
        """Return the facts of one version."""
        return self.fetch(key, version_id)[1]

    def versions(self, prefix: str, after: str = "") -> list[ObjectVersion]:
        """Return every version and marker under `prefix` behind `after`, newest first within a key."""
        with self._guard:
            return [
                ObjectVersion(
                    key,
                    version.facts.version_id,
                    version.facts.size_bytes,
                    version is versions[-1],
                    version.is_delete_marker,
                )
                for key, versions in sorted(self._versions.items())
                if key.startswith(prefix) and key > after
                for version in reversed(versions)
            ]

    def delete(self, key: str, version_id: str) -> None:
        """Delete one version; raises `Refused` while it is locked or held."""
        self._delete(key, version_id, frozenset({GOVERNANCE, COMPLIANCE}))

    def delete_governed(self, key: str, version_id: str) -> None:
        """Delete one version before its lock of GOVERNANCE ends; raises `Refused` for any other lock."""
        self._delete(key, version_id, frozenset({COMPLIANCE}))

    def _delete(self, key: str, version_id: str, keeping: frozenset[LockMode]) -> None:
        with self._guard:
            for version in self._versions.get(key, []):
                if version.facts.version_id == version_id:
                    until = version.facts.retain_until
                    locked = until is not None and until > self._clock.now()
                    if version.held or (locked and version.facts.mode in keeping):
                        raise Refused(f"The store keeps {key} locked; it was not deleted.")
                    self._versions[key].remove(version)
                    return

    def lengthen(self, key: str, version_id: str, until: datetime, mode: LockMode) -> None:
        """Let the lock of one version end later; raises `Refused` when that would loosen it."""
        found = self._find(key, version_id)
        facts, until = found.facts, whole_second(until)
        looser = facts.mode == COMPLIANCE and mode != COMPLIANCE
        if looser or (facts.retain_until is not None and until < facts.retain_until):
            raise Refused(f"The store keeps {key} locked as it is.")
        with self._guard:
            versions = self._versions[key]
            moved = replace(facts, mode=mode, retain_until=until)
            versions[versions.index(found)] = replace(found, facts=moved)

    def set_legal_hold(self, key: str, version_id: str, *, held: bool) -> None:
        """Put a hold of the store on one version, or take it off."""
        found = self._find(key, version_id)
        with self._guard:
            versions = self._versions[key]
            versions[versions.index(found)] = replace(found, held=held)

    def legal_hold(self, key: str, version_id: str) -> bool:
        """Return whether a hold of the store stands on one version."""
        return self._find(key, version_id).held

    def clock(self) -> datetime:
        """Return the time of the store, to the second."""
        return self._clock.now().astimezone(UTC).replace(microsecond=0)

    def barrier(self) -> None:
        """Return at once: nothing here survives a power cut."""

    def healthy(self) -> bool:
        """Tell that memory is there."""
        return True

    def damage(self, key: str, version_id: str, data: bytes) -> None:
        """Replace the bytes of a version behind everybody's back, as a broken disk would."""
        with self._guard:
            versions = self._versions[key]
            for position, version in enumerate(versions):
                if version.facts.version_id == version_id:
                    facts = replace(version.facts, size_bytes=len(data))
                    versions[position] = _Version(facts, data)

    def loosen(self, key: str, version_id: str, until: datetime | None, mode: LockMode | None) -> None:
        """Let a lock be what it is told to be, as whoever may bypass it can."""
        found = self._find(key, version_id)
        with self._guard:
            versions = self._versions[key]
            moved = replace(found.facts, mode=mode, retain_until=until)
            versions[versions.index(found)] = replace(found, facts=moved)

    def cover(self, key: str, *, marker: bool) -> None:
        """Put a delete marker or another version on top of a key, as whoever has the credentials can."""
        with self._guard:
            facts = ObjectFacts(key, f"v{next(self._numbers)}", 6, None, None, None)
            self._versions[key].append(_Version(facts, b"forged", is_delete_marker=marker))

    def _find(self, key: str, version_id: str) -> _Version:
        with self._guard:
            for version in self._versions.get(key, []):
                if version.facts.version_id == version_id and not version.is_delete_marker:
                    return version
        raise NotFound(f"The store has no such version of {key}.")
