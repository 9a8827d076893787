"""Placing the objects of a recording: seal, put under a lock, adopt, read back.

An object is in its place when the store gives back, for one pinned version, bytes
that open with the recording's key, equal the plaintext and stand under the lock. A
key that is taken is not an error: what stands there is adopted if it is that very
object (an earlier try put it), else it is a stray and the next key name is tried.

A recording that is archived anew, under a longer lock, is placed beside its former
objects, which are no strays (`superseded`). Neither is what was put under a data key
that was lost since (`keys_lost`): of such there may be one more name each.

Rules: nothing is ever replaced or deleted here; every read names its version. Not
here: the order of the whole ingest (`archive.ingest`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from archive.data_key import DataKey, object_binding
from archive.errors import NotFound
from archive.model import ObjectKind, Recording, RecordingId, StoredObject, TenantId
from archive.store.object import (
    COMPLIANCE,
    GOVERNANCE,
    KeyTaken,
    LockMode,
    ObjectFacts,
    Store,
    StoreCorrupts,
    sha256_hex,
    whole_second,
)
from keys.errors import SealBroken
from keys.streaming_aead import SealPin, ciphertext_length, commitment, open_sealed, seal, segment_count

# A stray needs a store that lost bytes or somebody with its credentials; this many are an attack
# or a broken store, and a human has to look.
KEY_NAMES_MAX = 8

# Nine thousand lost data keys of one recording are beyond what any outage makes.
NUMBER_DIGITS_MAX = 4


@dataclass(frozen=True)
class Content:
    """What one object holds: a plaintext to seal, after a `prefix` that stands in clear."""

    kind: ObjectKind
    plaintext: bytes
    media_type: str
    prefix: bytes = b""


@dataclass(frozen=True)
class Lock:
    """Until when a version must stay, and in which mode.

    None is no lock (a store without, or a term that is over).
    """

    until: datetime | None
    mode: LockMode = GOVERNANCE

    def holds(self, facts: ObjectFacts) -> bool:
        """Tell whether the store locked a version at least as long and as firmly as we asked."""
        if self.until is None:
            return True
        if self.mode == COMPLIANCE and facts.mode != COMPLIANCE:
            return False
        return facts.retain_until is not None and facts.retain_until >= whole_second(self.until)


@dataclass(frozen=True)
class Placed:
    """An object in its place, and the strays that stood where it should have been."""

    stored: StoredObject
    strays: int


def object_key(tenant_id: TenantId, recording_id: RecordingId, kind: ObjectKind) -> str:
    """Return the key of an object: `<tenant_id>/<recording_id>/<kind>`."""
    return f"{objects_prefix(tenant_id, recording_id)}{kind.value}"


def objects_prefix(tenant_id: TenantId, recording_id: RecordingId) -> str:
    """Return what the keys of all objects of a recording begin with, and no others."""
    return f"{tenant_id}/{recording_id}/"


def key_names(key: str, more: int = 0) -> Iterator[str]:
    """Return the key, then `key.2`, `key.3` and so on, `KEY_NAMES_MAX` and `more` in all."""
    yield key
    for number in range(2, KEY_NAMES_MAX + more + 1):
        yield f"{key}.{number}"


def name_number(key: str, name: str) -> int | None:
    """Return which of the names of `key` this is, from 1, or None when it is none of them."""
    if name == key:
        return 1
    number = name.removeprefix(f"{key}.")
    is_number = number != name and number.isascii() and number.isdigit() and len(number) <= NUMBER_DIGITS_MAX
    return int(number) if is_number and str(int(number)) == number and int(number) > 1 else None


def seal_pin(key: bytes, binding: bytes, plaintext: bytes) -> SealPin:
    """Return the pin that any sealing of `plaintext` under this key and binding has."""
    return SealPin(
        plaintext_bytes=len(plaintext),
        ciphertext_bytes=ciphertext_length(len(plaintext)),
        segments=segment_count(len(plaintext)),
        commitment=commitment(key, binding),
    )


class Placing:
    """Places the objects of one recording under its data key and lock.

    `superseded` are the keys of objects it had before, under another lock; `keys_lost` is how
    many data keys an ingest of it had before this one.
    """

    def __init__(
        self,
        store: Store,
        recording: Recording,
        data_key: DataKey,
        lock: Lock,
        *,
        superseded: Collection[str] = (),
        keys_lost: int = 0,
    ) -> None:
        self._store = store
        self._recording = recording
        self._data_key = data_key
        self._lock = lock
        self._superseded = superseded
        self._keys_lost = keys_lost

    def pin(self, kind: ObjectKind, plaintext: bytes) -> SealPin:
        """Return the pin the sealed `plaintext` will have."""
        return seal_pin(self._data_key.key, self._binding(kind), plaintext)

    def place(self, content: Content) -> Placed:
        """Put one object, or adopt it where an earlier try put it.

        Raises `StoreUnavailable`, and `StoreCorrupts` when every key name has a stray.
        """
        key = object_key(self._recording.tenant_id, self._recording.id, content.kind)
        strays = 0
        for name in key_names(key, self._keys_lost):
            stored = self._put(name, content) or self._adopt(name, content)
            if stored is not None:
                return Placed(stored, max(0, strays - self._keys_lost))
            strays += name not in self._superseded
        raise StoreCorrupts(f"{KEY_NAMES_MAX} strange objects stand at {key}: look into the store.")

    def verify(self, stored: StoredObject, content: Content) -> None:
        """Read one version back; raise `StoreCorrupts` unless it is the object, under its lock."""
        try:
            data, facts = self._store.fetch(stored.key, stored.version_id)
        except NotFound as error:
            raise StoreCorrupts(f"The store lost {stored.key} after acknowledging it.") from error
        if not self._is(data, facts, content) or sha256_hex(data) != stored.ciphertext_sha256:
            raise StoreCorrupts(f"The store gives back something else than was put at {stored.key}.")

    def _put(self, name: str, content: Content) -> StoredObject | None:
        sealed = seal(self._data_key.key, self._binding(content.kind), content.plaintext)
        data = content.prefix + sealed.ciphertext
        digest = sha256_hex(data)
        try:
            version_id = self._store.put(name, data, self._lock.until, self._lock.mode, sha256=digest)
        except KeyTaken:
            return None
        return self._stored(name, version_id, digest, content)

    def _adopt(self, name: str, content: Content) -> StoredObject | None:
        for version in self._store.versions(name):
            if version.key != name or version.is_delete_marker:
                continue
            data, facts = self._store.fetch(name, version.version_id)
            if self._is(data, facts, content):
                return self._stored(name, version.version_id, sha256_hex(data), content)
        return None

    def _is(self, data: bytes, facts: ObjectFacts, content: Content) -> bool:
        if not data.startswith(content.prefix) or not self._lock.holds(facts):
            return False
        sealed = data[len(content.prefix) :]
        binding, pin = self._binding(content.kind), self.pin(content.kind, content.plaintext)
        try:
            plaintext = open_sealed(self._data_key.key, binding, sealed, pin)
        except SealBroken:
            return False
        return plaintext == content.plaintext

    def _stored(self, name: str, version_id: str, digest: str, content: Content) -> StoredObject:
        pin = self.pin(content.kind, content.plaintext)
        return StoredObject(
            kind=content.kind,
            key=name,
            version_id=version_id,
            plaintext_bytes=pin.plaintext_bytes,
            ciphertext_bytes=len(content.prefix) + pin.ciphertext_bytes,
            segments=pin.segments,
            plaintext_sha256=sha256_hex(content.plaintext),
            ciphertext_sha256=digest,
            commitment=pin.commitment,
            media_type=content.media_type,
        )

    def _binding(self, kind: ObjectKind) -> bytes:
        return object_binding(self._recording.tenant_id, self._recording.id, kind)
