"""Recordings that stand in the bucket and nowhere in the catalogue, and the KEKs they hang from.

There are some after a database was restored from yesterday, until the catalogue is built again,
and while a recorder archives one. Nobody can ask the catalogue what hangs from a key then, so
the bucket is asked before a key is destroyed.

A recording is known when its row names a KEK that lives, or says that it was destroyed. Of one
that is not, the newest wrapped key that opens counts: a key object beside it, else its `record`.

Rules: what strangers put into the bucket opens under no key of ours and keeps none alive. Not
here: building the catalogue again (`archive.rebuild`), and what is done with keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from archive.catalogue import keks
from archive.catalogue.engine import Catalogue
from archive.catalogue.keks import WrappedKey
from archive.data_key import Vault, open_data_key, translated_key_errors
from archive.errors import NotFound, VerificationFailed
from archive.key_object import is_key_object, keys_beside
from archive.model import ObjectKind, RecordingId, TenantId
from archive.placing import name_number, object_key
from archive.record import RECORD_HEADER_BYTES_MAX, split
from archive.rewrap import VersionedVault
from archive.store.object import ObjectVersion, Store


@dataclass(frozen=True)
class _Found:
    records: list[ObjectVersion] = field(default_factory=list)
    keys: list[ObjectVersion] = field(default_factory=list)


def keks_of_unknown(
    store: Store, vault: VersionedVault, catalogue: Catalogue, tenant_id: TenantId
) -> dict[str, set[RecordingId]]:
    """Return the KEKs, of those that live, from which unknown recordings hang, with these recordings.

    Lists all objects of the tenant. Raises DependencyUnavailable.
    """
    with translated_key_errors():
        living = frozenset(vault.ids(tenant_id))
    listed = _listed(store, tenant_id)
    # Asked after the bucket: what is archived meanwhile has its row by now, or its journal still.
    known = keks.of_recordings(catalogue, tenant_id)
    needed: dict[str, set[RecordingId]] = defaultdict(set)
    for recording_id, found in listed.items():
        kek_id = known.get(recording_id)
        if kek_id is not None and (not kek_id or kek_id in living):
            continue
        for wrapped in _wrapped(store, found):
            if wrapped.kek_id in living and _opens(vault, tenant_id, recording_id, wrapped):
                needed[wrapped.kek_id].add(recording_id)
                break
    return dict(needed)


def _listed(store: Store, tenant_id: TenantId) -> dict[RecordingId, _Found]:
    found: dict[RecordingId, _Found] = defaultdict(_Found)
    for version in store.versions(f"{tenant_id}/"):
        recording_id = RecordingId(version.key.split("/")[1])
        if version.is_delete_marker:
            continue
        if name_number(object_key(tenant_id, recording_id, ObjectKind.RECORD), version.key) is not None:
            found[recording_id].records.append(version)
        elif is_key_object(version.key):
            found[recording_id].keys.append(version)
    return found


def _wrapped(store: Store, found: _Found) -> Iterator[WrappedKey]:
    """Yield the wrapped keys of a recording, the newest first."""
    yield from keys_beside(store, found.keys)
    for version in found.records:
        try:
            head = store.get(
                version.key, version.version_id, 0, min(version.size_bytes, RECORD_HEADER_BYTES_MAX)
            )
            header, _ = split(head)
        except (NotFound, VerificationFailed):
            continue
        yield WrappedKey(header.kek_id, header.wrapped_key)


def _opens(vault: Vault, tenant_id: TenantId, recording_id: RecordingId, wrapped: WrappedKey) -> bool:
    try:
        open_data_key(vault, tenant_id, recording_id, wrapped.kek_id, wrapped.wrapped)
    except (NotFound, VerificationFailed, ValueError):
        return False
    return True
