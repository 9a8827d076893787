"""The `key` object: a data key wrapped anew, beside the objects of its recording.

The `record` object stands under a lock and names the KEK of its day. When that KEK
gives way to its next version, the data key wrapped under the new one is put beside it:
`<tenant>/<recording>/key.<YYYY-MM-DD>.<version>`, one line of JSON with the KEK and the
wrapped key, under the lock of the recording. So the bucket and the key store stay
enough to build the catalogue again (`archive.rebuild`).

Rules: the line is not trusted; a wrapped key opens only under a KEK of ours, for its
own tenant and recording. The name tells the KEK, so that a second try finds what the
first one put, and takes it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from archive.catalogue.keks import WrappedKey
from archive.data_key import DataKey, rewrap_data_key, translated_key_errors, unwrap_data_key
from archive.errors import NotFound, VerificationFailed
from archive.model import Recording, RecordingId, TenantId
from archive.placing import KEY_NAMES_MAX, Lock, key_names, objects_prefix
from archive.store.object import KeyTaken, ObjectFacts, ObjectVersion, Store, StoreCorrupts, sha256_hex
from keys.kek import Kek

KEY_FORMAT = "earwitness key 1"

KEY_OBJECT_BYTES_MAX = 1024
"""A line has about 200 octets; more is none of ours and is not read."""

_NAME = re.compile(r"key\.(\d{4}-\d{2}-\d{2})\.(\d{1,4})(?:\.[2-9])?")


@dataclass(frozen=True)
class PlacedKey:
    """A key object in its place: the data key as it is wrapped there, and the version that says so."""

    data_key: DataKey
    name: str
    version_id: str
    lock: Lock

    @property
    def wrapped(self) -> WrappedKey:
        """Return what the catalogue keeps of it."""
        return WrappedKey(self.data_key.kek_id, self.data_key.wrapped)


def key_object_name(tenant_id: TenantId, recording_id: RecordingId, kek_id: str) -> str:
    """Return the name of the object that holds the data key wrapped under this KEK."""
    day, version = kek_id.split("/")[-2:]
    return f"{objects_prefix(tenant_id, recording_id)}key.{day}.{version}"


def is_key_object(name: str) -> bool:
    """Tell whether an object's name is that of a wrapped key."""
    return _NAME.fullmatch(name.rpartition("/")[2]) is not None


def place_key(store: Store, recording: Recording, data_key: bytes, kek: Kek, lock: Lock) -> PlacedKey:
    """Put a data key, wrapped under `kek`, beside its recording, or adopt what an earlier try put.

    Raises `StoreUnavailable`, and `StoreCorrupts` when strangers stand at every name.
    """
    fresh = rewrap_data_key(kek, recording.tenant_id, recording.id, data_key)
    line = _line(fresh)
    name = key_object_name(recording.tenant_id, recording.id, kek.id)
    for candidate in key_names(name):
        try:
            version_id = store.put(candidate, line, lock.until, lock.mode, sha256=sha256_hex(line))
        except KeyTaken:
            adopted = _adopt(store, candidate, recording, data_key, kek, lock)
            if adopted is not None:
                return adopted
        else:
            return PlacedKey(fresh, candidate, version_id, lock)
    raise StoreCorrupts(f"{KEY_NAMES_MAX} strange objects stand at {name}: look into the store.")


def verify_key(store: Store, placed: PlacedKey) -> None:
    """Read a key object back; raise `StoreCorrupts` unless it is what was put, under its lock."""
    try:
        data, facts = store.fetch(placed.name, placed.version_id)
    except NotFound as error:
        raise StoreCorrupts(f"The store lost {placed.name} after acknowledging it.") from error
    if _read(data) != placed.wrapped or not placed.lock.holds(facts):
        raise StoreCorrupts(f"The store gives back something else than was put at {placed.name}.")


def hold_key(store: Store, placed: PlacedKey) -> None:
    """Put the store's own hold on a key object; raise `StoreCorrupts` when it does not show it then."""
    store.set_legal_hold(placed.name, placed.version_id, held=True)
    if not store.legal_hold(placed.name, placed.version_id):
        raise StoreCorrupts(f"The store acknowledged a hold on {placed.name} and does not show it.")


class Reader(Protocol):
    """The part of a store that reading keys needs."""

    def get(self, key: str, version_id: str) -> bytes:
        """Return one version; raises NotFound, StoreUnavailable."""


def keys_beside(store: Reader, versions: Iterable[ObjectVersion]) -> list[WrappedKey]:
    """Return the wrapped keys among these versions, those of the latest day and version first."""
    found: list[tuple[tuple[str, int], WrappedKey]] = []
    for version in versions:
        match = _NAME.fullmatch(version.key.rpartition("/")[2])
        if match is None or version.is_delete_marker or version.size_bytes > KEY_OBJECT_BYTES_MAX:
            continue
        wrapped = _read(store.get(version.key, version.version_id))
        if wrapped is not None:
            found.append(((match[1], int(match[2])), wrapped))
    found.sort(key=lambda each: each[0], reverse=True)
    return [wrapped for _, wrapped in found]


def _adopt(  # noqa: PLR0917 - what the object must be
    store: Store, name: str, recording: Recording, data_key: bytes, kek: Kek, lock: Lock
) -> PlacedKey | None:
    for version in store.versions(name):
        if version.key != name or version.is_delete_marker or version.size_bytes > KEY_OBJECT_BYTES_MAX:
            continue
        data, facts = store.fetch(name, version.version_id)
        adopted = _adopted(data, facts, recording, kek, lock)
        if adopted is not None and adopted.key == data_key:
            return PlacedKey(adopted, name, version.version_id, lock)
    return None


def _adopted(data: bytes, facts: ObjectFacts, recording: Recording, kek: Kek, lock: Lock) -> DataKey | None:
    wrapped = _read(data)
    if wrapped is None or wrapped.kek_id != kek.id or not lock.holds(facts):
        return None
    try:
        with translated_key_errors():
            return unwrap_data_key(kek, recording.tenant_id, recording.id, wrapped.wrapped)
    except VerificationFailed:
        return None


def _line(data_key: DataKey) -> bytes:
    fields = {
        "format": KEY_FORMAT,
        "kek_id": data_key.kek_id,
        "wrapped_key": base64.b64encode(data_key.wrapped).decode(),
    }
    return json.dumps(fields).encode() + b"\n"


def _read(data: bytes) -> WrappedKey | None:
    """Return what a key object says, or None when it is none of ours."""
    try:
        fields = json.loads(data)
        if not isinstance(fields, dict) or fields.get("format") != KEY_FORMAT:
            return None
        return WrappedKey(str(fields["kek_id"]), base64.b64decode(fields["wrapped_key"], validate=True))
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
