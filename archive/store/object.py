"""Words of the object store: what a stored version is, and what any store must do.

Rules: a version is always read, verified and deleted by its version id; the newest
version of a key is nobody's business, because whoever holds the credentials may
put a newer one there. No S3 here: `archive.store.s3` speaks it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol
from urllib.parse import urlsplit

from archive.errors import Conflict, StoreUnavailable

LockMode = Literal["GOVERNANCE", "COMPLIANCE"]
GOVERNANCE: Final = "GOVERNANCE"
COMPLIANCE: Final = "COMPLIANCE"

# One PUT of S3 carries at most 5 GiB, and a recording is sealed in memory as one object:
# at 8 kHz stereo that is weeks of talk, so that multipart uploads are never needed.
OBJECT_BYTES_MAX = 5 * 1024**3


_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


class KeyTaken(Conflict):
    """An object stands at this key already, and a conditional put did not replace it."""


class ObjectTooLarge(Conflict):
    """The object is larger than one PUT can carry; our own defect, nothing was sent."""


class StoreCorrupts(StoreUnavailable):
    """The store acknowledged an object and gives back something else, or without its lock."""


@dataclass(frozen=True)
class ObjectFacts:
    """What the store says of one version without its bytes; `sha256` is hex, if it kept one.

    `held` tells of a hold of the store on it.
    """

    key: str
    version_id: str
    size_bytes: int
    sha256: str | None
    mode: str | None
    retain_until: datetime | None
    held: bool = False


@dataclass(frozen=True)
class ObjectVersion:
    """One line of a listing of versions; a delete marker has no bytes."""

    key: str
    version_id: str
    size_bytes: int
    is_latest: bool
    is_delete_marker: bool


class Store(Protocol):
    """A bucket with versions and locks.

    Every method raises `StoreUnavailable` when the store is away or answers with a
    fault of its own, and `NotFound` when the named version does not exist.
    """

    @property
    def locks(self) -> bool:
        """Whether versions are put under a lock at all."""

    @property
    def place(self) -> str:
        """Which bucket of which server this is, as `place_of` names it."""

    def put(
        self,
        key: str,
        data: bytes,
        retain_until: datetime | None,
        mode: LockMode = GOVERNANCE,
        *,
        sha256: str,
    ) -> str:
        """Store `data` (with its SHA-256 in hex) under a free `key`, locked; return the version id.

        Raises `KeyTaken` when the key has an object.
        """

    def get(
        self, key: str, version_id: str, first: int | None = None, last_exclusive: int | None = None
    ) -> bytes:
        """Return the bytes of one version, or those of a range of it."""

    def fetch(self, key: str, version_id: str) -> tuple[bytes, ObjectFacts]:
        """Return one whole version and its facts from the same answer."""

    def head(self, key: str, version_id: str) -> ObjectFacts:
        """Return the facts of one version."""

    def versions(self, prefix: str, after: str = "") -> list[ObjectVersion]:
        """Return every version and delete marker whose key starts with `prefix` and sorts behind `after`."""

    def delete(self, key: str, version_id: str) -> None:
        """Delete one version; raises `Refused` while it is locked or held."""

    def delete_governed(self, key: str, version_id: str) -> None:
        """Delete one version before its lock of GOVERNANCE ends, by a right of its own at the store.

        For what two people approved. Raises `Refused` for a lock of COMPLIANCE, a hold, or no such right.
        """

    def lengthen(self, key: str, version_id: str, until: datetime, mode: LockMode) -> None:
        """Let the lock of one version end later; raises `Refused` when that would loosen it."""

    def set_legal_hold(self, key: str, version_id: str, *, held: bool) -> None:
        """Put a hold of the store on one version, which no term ends, or take it off."""

    def legal_hold(self, key: str, version_id: str) -> bool:
        """Return whether a hold of the store stands on one version."""

    def clock(self) -> datetime:
        """Return the time of the store, to the second."""

    def barrier(self) -> None:
        """Return once everything put so far survives a power cut."""


def place_of(endpoint: str, bucket: str) -> str:
    """Return what a bucket is known by: `host:port/bucket`, and of this machine without a port.

    The port of an embedded store changes with its directory; what it holds does not.
    """
    address = urlsplit(endpoint)
    return f"{'localhost' if address.hostname in _THIS_MACHINE else address.netloc}/{bucket}"


def whole_second(moment: datetime) -> datetime:
    """Return `moment` in UTC rounded up to the whole second, the resolution of a lock."""
    moment = moment.astimezone(UTC)
    return moment if moment.microsecond == 0 else moment.replace(microsecond=0) + timedelta(seconds=1)


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex."""
    return hashlib.sha256(data).hexdigest()
