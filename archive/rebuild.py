"""Rebuilding the catalogue from the bucket and the key store, into an empty database.

Each recording has a `record` object: a line in clear that names its key, and the
sealed rows of the catalogue. Whoever can write to the bucket can put strange
objects there, but none that opens under a key of ours and belongs to its place; so
every version of every name is tried, and one that opens and whose objects are there
is taken. In a copy of the bucket every version has another id than its record says:
the object with the pinned octets is the one.

Cases come first, from their copies (`archive.rebuild_cases`): their rules hold again before
anything new is archived, and their recordings are put back into them. What else a hold of the
store stands on is held again (`archive.catalogue.found_holds`), also where its row was there
already, in a database of yesterday. A copy of the bucket may have lost those holds.

A row of yesterday's database may name a KEK that gave way since: it gets the key that
stands beside the recording. One that the store locks for longer than its term is kept for longer:
its term was made longer since. At the end the database is no longer one that was restored and not
rebuilt (`archive.catalogue.restores`).

Rules: runs as the operator; nothing in the bucket is changed; doing it again adds
what is missing. What can't be rebuilt is told, never guessed: names of tenants,
people, teams and notes were only in the database, and a recording whose key was
destroyed is gone by design.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

import structlog

from archive.catalogue import (
    found_holds,
    keks,
    recordings,
    restored_cases,
    restored_recordings,
    restores,
    retention_clocks,
    sessions,
)
from archive.catalogue.directory import ensure_tenant
from archive.catalogue.engine import Catalogue
from archive.catalogue.keks import WrappedKey
from archive.data_key import (
    DataKey,
    Vault,
    key_was_destroyed,
    object_binding,
    open_data_key,
    translated_key_errors,
)
from archive.errors import ArchiveError, NotFound, VerificationFailed
from archive.key_object import is_key_object, keys_beside
from archive.model import (
    ArchivedRecording,
    ObjectKind,
    RecordingId,
    SessionOutcome,
    StoredObject,
    TenantId,
)
from archive.placing import name_number, object_key
from archive.rebuild_cases import CasesFound, Doubt, lost_tenant, rebuild_cases
from archive.record import from_json, split
from archive.store.object import ObjectFacts, ObjectVersion, Store, sha256_hex, whole_second
from keys.streaming_aead import open_sealed

_log = structlog.get_logger()


class Place(NamedTuple):
    """Where the objects of a recording stand in the bucket."""

    tenant_id: TenantId
    recording_id: RecordingId


@dataclass(frozen=True)
class Found:
    """What may be the `record` object of a recording, and what its keys wrapped anew."""

    records: list[ObjectVersion] = field(default_factory=list)
    keys: list[ObjectVersion] = field(default_factory=list)


@dataclass(frozen=True)
class Rebuilt:
    """A recording as its `record` object tells it, how its session ended, and whether the store holds it."""

    archived: ArchivedRecording
    outcome: SessionOutcome
    held: bool


Missed = Callable[[Place, ArchiveError], None]
"""Is told of each recording that can't be rebuilt, and why."""


def rebuild(  # noqa: PLR0917 - what it stands on, and what it tells
    store: Store,
    vault: Vault,
    catalogue: Catalogue,
    missed: Missed | None = None,
    doubt: Doubt = lambda _line: None,
    bury: Callable[[Doubt], None] = lambda _doubt: None,
) -> int:
    """Bring back the cases, and insert every recording of the bucket that opens; return how many.

    `doubt` is told what somebody has to look at; `bury` lets go what the bucket proves to be destroyed.
    Tenants that are missing are made under their id, with a name to be corrected. Raises
    `DependencyUnavailable` when store, key store or database are away; what was inserted until then
    stays, and a second run goes on.
    """
    cases = rebuild_cases(store, vault, catalogue, doubt)
    added, now = 0, store.clock()
    for place, found in sorted(_records(store).items()):
        rebuilt = _first_that_opens(store, vault, place, found)
        if isinstance(rebuilt, ArchiveError):
            _log.warning("recording not rebuilt", tenant_id=place.tenant_id, recording_id=place.recording_id)
            if missed is not None:
                missed(place, rebuilt)
        elif _insert(catalogue, rebuilt, cases, now):
            added += 1
        else:
            _rekey(vault, catalogue, rebuilt.archived)
    bury(doubt)
    restores.settle(catalogue, now=now)
    return added


def without_record(store: Store) -> list[Place]:
    """Return where sound stands and no `record` object: what the bucket alone can't give back.

    What is being archived just now is looked at twice: its record comes last.
    """
    heard = {
        place
        for version in store.versions("")
        if not version.is_delete_marker
        and name_number(object_key(*(place := _place_of(version.key)), ObjectKind.AUDIO), version.key)
        is not None
    }
    return sorted(heard - {place for place, found in _records(store).items() if found.records})


def _place_of(key: str) -> Place:
    tenant_id, _, rest = key.partition("/")
    return Place(TenantId(tenant_id), RecordingId(rest.partition("/")[0]))


def _records(store: Store) -> dict[Place, Found]:
    """Return every version that may be the `record` or a key of a recording, best records first."""
    found: dict[Place, Found] = defaultdict(Found)
    for version in store.versions(""):
        place = _place_of(version.key)
        if version.is_delete_marker:
            continue
        if name_number(object_key(*place, ObjectKind.RECORD), version.key) is not None:
            found[place].records.append(version)
        elif is_key_object(version.key):
            found[place].keys.append(version)
    for place, each in found.items():
        # A later name was only used because the earlier ones were strays.
        name = object_key(*place, ObjectKind.RECORD)
        each.records.sort(key=lambda version: name_number(name, version.key) or 0, reverse=True)
    return found


def _first_that_opens(store: Store, vault: Vault, place: Place, found: Found) -> Rebuilt | ArchiveError:
    """Return the recording of the first record that opens, or why the last one does not."""
    beside = keys_beside(store, found.keys)
    refusal: ArchiveError = NotFound("A recording has no record object in the bucket.")
    for version in found.records:
        try:
            return _open(store, vault, place, version, beside)
        except (NotFound, VerificationFailed) as error:
            _log.warning("record object not usable", recording_id=place.recording_id, reason=str(error))
            if not key_was_destroyed(refusal):
                refusal = error
    return refusal


def _open(
    store: Store, vault: Vault, place: Place, version: ObjectVersion, beside: list[WrappedKey]
) -> Rebuilt:
    data, facts = store.fetch(version.key, version.version_id)
    header, sealed = split(data)
    data_key = _data_key(vault, place, [*beside, WrappedKey(header.kek_id, header.wrapped_key)])
    with translated_key_errors():
        plaintext = open_sealed(
            data_key.key, object_binding(*place, ObjectKind.RECORD), sealed, header.record
        )
    record = from_json(plaintext)
    located = [_located(store, stored) for stored in record.objects]
    # A term that was made longer stands in the locks alone; a lock is never shorter than the term.
    locks = [found.retain_until for _, found in located if found.retain_until is not None]
    recording = record.recording
    if locks and max(locks) > whole_second(recording.retain_until):
        recording = replace(recording, retain_until=max(locks))
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
    objects = (*(stored for stored, _ in located), own)
    archived = ArchivedRecording(recording, objects, data_key.kek_id, data_key.wrapped)
    return Rebuilt(archived, record.outcome, facts.held or any(found.held for _, found in located))


def _data_key(vault: Vault, place: Place, candidates: list[WrappedKey]) -> DataKey:
    """Return the data key from the first of these that opens; raises why none does."""
    refusal: Exception = NotFound("A recording has no wrapped key.")
    for candidate in candidates:
        # The latest stands first: of keys that were destroyed, its day is the one that counts.
        told = key_was_destroyed(refusal)
        try:
            return open_data_key(vault, *place, candidate.kek_id, candidate.wrapped)
        except ValueError as error:
            strange = VerificationFailed("A record object names a key that is none of ours.")
            strange.__cause__ = error
            refusal = refusal if told else strange
        except (NotFound, VerificationFailed) as error:
            refusal = refusal if told else error
    raise refusal


def _located(store: Store, stored: StoredObject) -> tuple[StoredObject, ObjectFacts]:
    """Return an object with its version and facts in this bucket; raises NotFound, VerificationFailed."""
    try:
        facts = store.head(stored.key, stored.version_id)
    except NotFound:
        copied = _copied(store, stored)
        return copied, store.head(copied.key, copied.version_id)
    if facts.size_bytes != stored.ciphertext_bytes or facts.sha256 not in {None, stored.ciphertext_sha256}:
        raise VerificationFailed(f"The {stored.kind.value} of a recording is not what was archived.")
    return stored, facts


def _copied(store: Store, stored: StoredObject) -> StoredObject:
    """Return the object in a copy of the bucket, where its octets alone tell it; raises NotFound."""
    for version in store.versions(stored.key):
        of_that_length = version.key == stored.key and version.size_bytes == stored.ciphertext_bytes
        if not of_that_length or version.is_delete_marker:
            continue
        if sha256_hex(store.get(version.key, version.version_id)) == stored.ciphertext_sha256:
            return replace(stored, version_id=version.version_id)
    raise NotFound(f"The {stored.kind.value} of a recording is not in the bucket.")


def _insert(catalogue: Catalogue, rebuilt: Rebuilt, cases: CasesFound, now: datetime) -> bool:
    """Insert what is missing, its holds and a longer term too; return whether the recording was."""
    recording = rebuilt.archived.recording
    tenant_id = recording.tenant_id
    with catalogue.transaction(tenant_id) as connection:
        ensure_tenant(connection, lost_tenant(tenant_id), now=now)
        is_new = recordings.insert_recording(connection, rebuilt.archived, is_rebuilt=True) is None
        if is_new:
            sessions.insert_outcome(connection, rebuilt.outcome)
            # What the clock was before the recordings came back proves nothing to the sweep.
            retention_clocks.start_over(connection, recording.started_at)
        else:
            restored_recordings.keep_longer(connection, recording)
        restored_cases.put_back(connection, recording, cases.members.get((tenant_id, recording.id), {}))
        if rebuilt.held:
            found_holds.keep(connection, tenant_id, recording.id, now=now)
    return is_new


def _rekey(vault: Vault, catalogue: Catalogue, archived: ArchivedRecording) -> None:
    """Let a row whose KEK was destroyed hang from the key that stands beside its recording."""
    place = Place(archived.recording.tenant_id, archived.recording.id)
    former = keks.key_of(catalogue, *place)
    if not former.kek_id or former.kek_id == archived.kek_id:
        return
    try:
        open_data_key(vault, *place, former.kek_id, former.wrapped)
    except NotFound as refusal:
        if not key_was_destroyed(refusal):
            raise
        with catalogue.transaction(place.tenant_id) as connection:
            keks.hold(connection, archived.kek_id)
            keks.hand_over(connection, *place, former, WrappedKey(archived.kek_id, archived.wrapped_key))
        _log.info("a recording hangs from its newest key again", recording_id=place.recording_id)
