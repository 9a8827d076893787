"""Rebuilding the catalogue from the bucket and the key store, into an empty database.

Each recording has a `record` object: a line in clear that names its key, and the
sealed rows of the catalogue. Whoever can write to the bucket can put strange
objects there, but none that opens under a key of ours and belongs to its place; so
every version of every name is tried, and one that opens and whose objects are there
is taken. In a copy of the bucket every version has another id than its record says:
the object with the pinned octets is the one.

Rules: runs as the operator; nothing in the bucket is changed; doing it again adds
what is missing. What can't be rebuilt is told, never guessed: names of tenants,
people, teams and notes were only in the database, and a recording whose key was
destroyed is gone by design.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import NamedTuple

import structlog

from archive.catalogue import recordings, sessions
from archive.catalogue.directory import ensure_tenant
from archive.catalogue.engine import Catalogue
from archive.data_key import Vault, object_binding, open_data_key, translated_key_errors
from archive.errors import NotFound, VerificationFailed
from archive.model import (
    ArchivedRecording,
    ObjectKind,
    RecordingId,
    SessionOutcome,
    StoredObject,
    Tenant,
    TenantId,
)
from archive.placing import key_names, object_key
from archive.record import from_json, split
from archive.store.object import ObjectVersion, Store, sha256_hex
from keys.streaming_aead import open_sealed

_log = structlog.get_logger()


class Place(NamedTuple):
    """Where the objects of a recording stand in the bucket."""

    tenant_id: TenantId
    recording_id: RecordingId


@dataclass(frozen=True)
class Rebuilt:
    """A recording as its `record` object tells it, and the outcome of its session."""

    archived: ArchivedRecording
    outcome: SessionOutcome


def rebuild(store: Store, vault: Vault, catalogue: Catalogue) -> int:
    """Insert every recording of the bucket that opens; return how many were added.

    Tenants that are missing are made under their id, with a name to be corrected.
    Raises `DependencyUnavailable` when store, key store or database are away; what was
    inserted until then stays, and a second run goes on.
    """
    added = 0
    for place, versions in sorted(_records(store).items()):
        rebuilt = _first_that_opens(store, vault, place, versions)
        if rebuilt is None:
            _log.warning("recording not rebuilt", tenant_id=place.tenant_id, recording_id=place.recording_id)
        elif _insert(catalogue, rebuilt):
            added += 1
    return added


def _records(store: Store) -> dict[Place, list[ObjectVersion]]:
    """Return every version that may be the `record` object of a recording, best first."""
    found: dict[Place, list[ObjectVersion]] = defaultdict(list)
    for version in store.versions(""):
        tenant_id, _, rest = version.key.partition("/")
        place = Place(TenantId(tenant_id), RecordingId(rest.partition("/")[0]))
        if not version.is_delete_marker and version.key in key_names(object_key(*place, ObjectKind.RECORD)):
            found[place].append(version)
    for versions in found.values():
        # A later name was only used because the earlier ones were strays.
        versions.sort(key=lambda version: version.key, reverse=True)
    return found


def _first_that_opens(
    store: Store, vault: Vault, place: Place, versions: list[ObjectVersion]
) -> Rebuilt | None:
    for version in versions:
        try:
            return _open(store, vault, place, version)
        except (NotFound, VerificationFailed) as error:
            _log.warning("record object not usable", recording_id=place.recording_id, reason=str(error))
    return None


def _open(store: Store, vault: Vault, place: Place, version: ObjectVersion) -> Rebuilt:
    data, facts = store.fetch(version.key, version.version_id)
    header, sealed = split(data)
    try:
        data_key = open_data_key(vault, *place, header.kek_id, header.wrapped_key)
    except ValueError as error:
        raise VerificationFailed("A record object names a key that is none of ours.") from error
    with translated_key_errors():
        plaintext = open_sealed(
            data_key.key, object_binding(*place, ObjectKind.RECORD), sealed, header.record
        )
    record = from_json(plaintext)
    objects = tuple(_located(store, stored) for stored in record.objects)
    own = StoredObject(
        kind=ObjectKind.RECORD,
        key=facts.key,
        version_id=facts.version_id,
        plaintext_bytes=header.record.plaintext_bytes,
        ciphertext_bytes=len(data),
        segments=header.record.segments,
        plaintext_sha256=sha256_hex(plaintext),
        ciphertext_sha256=sha256_hex(data),
        commitment=header.record.commitment,
        media_type="application/json",
    )
    archived = ArchivedRecording(record.recording, (*objects, own), header.kek_id, header.wrapped_key)
    return Rebuilt(archived, record.outcome)


def _located(store: Store, stored: StoredObject) -> StoredObject:
    """Return an object with the version it has in this bucket; raises NotFound, VerificationFailed."""
    try:
        facts = store.head(stored.key, stored.version_id)
    except NotFound:
        return _copied(store, stored)
    if facts.size_bytes != stored.ciphertext_bytes or facts.sha256 not in {None, stored.ciphertext_sha256}:
        raise VerificationFailed(f"The {stored.kind.value} of a recording is not what was archived.")
    return stored


def _copied(store: Store, stored: StoredObject) -> StoredObject:
    """Return the object in a copy of the bucket, where its octets alone tell it; raises NotFound."""
    for version in store.versions(stored.key):
        of_that_length = version.key == stored.key and version.size_bytes == stored.ciphertext_bytes
        if not of_that_length or version.is_delete_marker:
            continue
        if sha256_hex(store.get(version.key, version.version_id)) == stored.ciphertext_sha256:
            return replace(stored, version_id=version.version_id)
    raise NotFound(f"The {stored.kind.value} of a recording is not in the bucket.")


def _insert(catalogue: Catalogue, rebuilt: Rebuilt) -> bool:
    tenant_id = rebuilt.archived.recording.tenant_id
    with catalogue.transaction(tenant_id) as connection:
        ensure_tenant(connection, Tenant(tenant_id, f"Rebuilt {tenant_id}", f"{tenant_id}.rebuilt.invalid"))
        if recordings.insert_recording(connection, rebuilt.archived) is not None:
            return False
        sessions.insert_outcome(connection, rebuilt.outcome)
    return True
