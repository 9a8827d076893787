"""Scrubbing: look whether what is kept is where it was put, and read it again.

A batch is a page of one tenant's recordings. Of each the versions in the bucket are listed:
a pinned version that is lost, or lies under a delete marker or under another version, is
found by the next pass. What was not read for `interval` is read whole, by its version, and its
ciphertext compared with the SHA-256 pinned in the catalogue; no key is needed, nothing is
opened. Where the key of a recording was wrapped anew since, that key has to stand beside its
objects too. While a recording is read, the store is asked for the lock and the hold of each of its
objects: whoever has the bucket's keys may have taken one off, or let it end earlier
(`archive.catalogue.store_locks`). The audio of play links is looked after with the recording they
lead to; what was written for exports of evidence, which are kept a week, the copies of cases and the locks
of tombstones, which are few, at the begin of each pass. What is found is an alarm: a line in the log, an
entry of the audit log, and what stands written down until a later reading finds it mended
(`archive.catalogue.scrubs`).

Rules: a store that is away is no finding: the batch is tried again, from where it stopped. One
that is there and can't give one object back has damaged it. Nothing in the store is changed here but the
lock of a tombstone, which no row knows. Else a lock or hold that is missing is put back, and a damaged
copy of a case written anew, by the jobs that follow terms and cases.

Not here: when batches run (`retention.worker`).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from archive.audit import AuditWriter
from archive.catalogue import case_changes, recordings, scrubs, store_locks
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.keks import WrappedKey
from archive.catalogue.scrubs import READ_WITHIN, Damage, Pinned, Progress, Standing
from archive.catalogue.store_locks import Due
from archive.clock import Clock
from archive.errors import NotFound, Refused, StoreUnavailable, VerificationFailed
from archive.key_object import key_object_name, keys_beside
from archive.model import (
    ArchivedRecording,
    ObjectKind,
    RecordingId,
    StoredObject,
    TenantId,
)
from archive.placing import key_names, objects_prefix
from archive.record import split
from archive.store.object import COMPLIANCE, GOVERNANCE, LockMode, ObjectFacts, ObjectVersion
from archive.tombstone import TOMBSTONE_BYTES_MAX, place_of, said_until, tombstones_prefix

ACTOR = "service:worker"
BATCH_RECORDINGS_MAX = 50  # some 50 MB: a minute of reading, then other jobs get their turn

INTERVAL = timedelta(days=30)
"""What is done: two passes may fail, and the promise is kept."""

LOST = "lost"
HIDDEN = "under a delete marker"
OVERWRITTEN = "under another version"
UNREADABLE = "can't be read"

log = structlog.get_logger()


class ObjectReader(Protocol):
    """The part of the object store that scrubbing needs."""

    @property
    def locks(self) -> bool:
        """Whether versions are put under a lock at all."""

    def get(self, key: str, version_id: str) -> bytes:
        """Return one version; raises NotFound, VerificationFailed, StoreUnavailable."""

    def head(self, key: str, version_id: str) -> ObjectFacts:
        """Return the facts of one version; raises NotFound, StoreUnavailable."""

    def fetch(self, key: str, version_id: str) -> tuple[bytes, ObjectFacts]:
        """Return one whole version and its facts; raises NotFound, StoreUnavailable."""

    def lengthen(self, key: str, version_id: str, until: datetime, mode: LockMode) -> None:
        """Let a lock end later; raises Refused, NotFound, StoreUnavailable."""

    def versions(self, prefix: str) -> list[ObjectVersion]:
        """Return every version under a prefix; raises StoreUnavailable."""

    def healthy(self) -> bool:
        """Tell whether the store answers now."""


@dataclass(frozen=True)
class Finding:
    """An object that is not what was stored."""

    recording_id: RecordingId
    kind: str
    what: str


@dataclass(frozen=True)
class Beside:
    """A recording, the audio of the play links that lead to it, and what locks and holds are due of it."""

    archived: ArchivedRecording
    derivatives: tuple[Pinned, ...]
    due: Due = field(default=Due(), compare=False)

    @property
    def objects(self) -> tuple[StoredObject | Pinned, ...]:
        """All that is pinned of it."""
        return (*self.archived.objects, *self.derivatives)


@dataclass(frozen=True)
class PackageFinding:
    """A part of an export, the copy of a case, or a tombstone that is not what was stored.

    `thing` is which one, as the audit log names it: `export:<id>`, `case:<id>`, `recording:<id>`. The export
    can be asked for again; the copy is written anew, and the tombstone locked again.
    """

    thing: str
    part: str
    what: str


@dataclass(frozen=True)
class Batch:
    """What one batch read and found, how many recordings it looked at, and where the next begins.

    `next_cursor` is None when all is done.
    """

    objects: int
    findings: tuple[Finding | PackageFinding, ...]
    next_cursor: str | None
    recordings: int = 0


class Scrub:
    """Verifies archived recordings, a batch at a time."""

    def __init__(
        self,
        store: ObjectReader,
        catalogue: Catalogue,
        audit: AuditWriter,
        clock: Clock,
        interval: timedelta = INTERVAL,
    ) -> None:
        """Remember what it stands on; what was read within `interval` is not read again."""
        self._store = store
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock
        self._interval = interval

    def batch(
        self, tenant_id: TenantId, cursor: str | None, recordings_max: int = BATCH_RECORDINGS_MAX
    ) -> Batch:
        """Look after up to `recordings_max` recordings from `cursor` on.

        Raises DependencyUnavailable; the batch can be repeated, and reads only what it had not.
        """
        page = scrubs.page(self._catalogue, tenant_id, cursor or "", recordings_max)
        with self._catalogue.transaction(tenant_id) as connection:
            ids = [each.recording_id for each in page]
            archived = {each.archived.recording.id: each for each in _whole(connection, ids)}
        objects, findings = 0, list[Finding | PackageFinding]()
        if cursor is None:
            few = self.packages(tenant_id), self.case_copies(tenant_id), self.tombstones(tenant_id)
            for count, damaged in few:
                objects += count
                findings += damaged
        for each in page:
            if each.recording_id in archived:  # else it went while others were read
                read, found = self._look_after(archived[each.recording_id], each)
                objects += read
                findings += found
        following = page[-1].recording_id if len(page) == recordings_max else None
        return Batch(objects, tuple(findings), following, len(page))

    def tally(self, tenants: Iterable[TenantId]) -> Progress:
        """Count how far it is with everybody, keep that, and return it; raises CatalogueUnavailable."""
        now, all_of_them = self._clock.now(), scrubs.NOTHING
        for tenant_id in tenants:
            all_of_them += scrubs.progress_of(self._catalogue, tenant_id, now - READ_WITHIN)
        scrubs.keep_progress(self._catalogue, all_of_them, now)
        return all_of_them

    def packages(self, tenant_id: TenantId) -> tuple[int, list[PackageFinding]]:
        """Read what was written for the exports of a tenant; return how many objects, and what is wrong."""
        count, findings = 0, list[PackageFinding]()
        for export_id, parts in scrubs.packages(self._catalogue, tenant_id).items():
            read = [(each, self._read(each)[1]) for each in parts]
            count += len(parts)
            # One that ended meanwhile, or whose part was made anew, is none.
            if scrubs.packages(self._catalogue, tenant_id).get(export_id) != parts:
                continue
            with self._audit.transaction(tenant_id) as connection:
                for part, what in read:
                    scrubs.keep_damage_of_part(connection, part, what)
                findings += self._tell(connection, tenant_id, f"export:{export_id}", read)
        return count, findings

    def case_copies(self, tenant_id: TenantId) -> tuple[int, list[PackageFinding]]:
        """Read the copies of a tenant's cases; return how many, and what is wrong with them."""
        copies, findings = scrubs.case_copies(self._catalogue, tenant_id), list[PackageFinding]()
        for case_id, copy in copies.items():
            listed = self._store.versions(copy.key)
            hidden = _hidden(copy, [one for one in listed if one.key == copy.key])
            what = hidden or self._read(copy)[1] or self._let_go(copy)
            with self._audit.transaction(tenant_id) as connection:
                # One that was written anew meanwhile is another.
                if scrubs.keep_damage_of_copy(connection, copy, what) and what is not None:
                    case_changes.write_anew(connection, tenant_id, case_id)
                    findings += self._tell(connection, tenant_id, f"case:{case_id}", [(copy, what)])
        return len(copies), findings

    def tombstones(self, tenant_id: TenantId) -> tuple[int, list[PackageFinding]]:
        """Look at the locks of a tenant's tombstones, and put them back.

        Returns how many there are, and what is wrong.
        """
        listed = self._store.versions(tombstones_prefix(tenant_id)) if self._store.locks else []
        stones = [
            (each, place)
            for each in listed
            if not each.is_delete_marker and each.size_bytes <= TOMBSTONE_BYTES_MAX
            if (place := place_of(each.key)) is not None
        ]
        findings = list[PackageFinding]()
        for stone, (_, recording_id) in stones:
            until, wrong = self._said_and_wrong(stone)
            if not wrong:
                continue
            pinned = Pinned("tombstone", stone.key, stone.version_id, stone.size_bytes, "")
            with self._audit.transaction(tenant_id) as connection:
                told = [(pinned, what) for what in wrong]
                findings += self._tell(connection, tenant_id, f"recording:{recording_id}", told)
            if until is not None:
                with contextlib.suppress(NotFound, Refused):
                    self._store.lengthen(stone.key, stone.version_id, until, GOVERNANCE)
        return len(stones), findings

    def _said_and_wrong(self, stone: ObjectVersion) -> tuple[datetime | None, frozenset[str]]:
        """Return until when a tombstone is to be locked, and what is wrong with its lock."""
        try:
            octets, facts = self._store.fetch(stone.key, stone.version_id)
        except NotFound:
            return None, frozenset()
        except StoreUnavailable:
            if not self._store.healthy():
                raise
            return None, frozenset({UNREADABLE})
        until = said_until(octets)
        return until, Due(until=until).wrong(facts, self._clock.now())

    def _let_go(self, copy: Pinned) -> str | None:
        """Return that the hold was taken off the copy of a case, None when it stands."""
        if not self._store.locks:
            return None
        wrong, _ = self._wrong(Due(is_held=True), copy.key, copy.version_id, self._clock.now())
        return next(iter(wrong), None)

    def _tell(
        self,
        connection: Connection,
        tenant_id: TenantId,
        thing: str,
        read: Iterable[tuple[Pinned, str | None]],
    ) -> list[PackageFinding]:
        """Write down what is wrong with a thing of several objects, and return it."""
        found = [Damage(each.kind, what) for each, what in read if what is not None]
        self._write_down(connection, tenant_id, thing, "object.damaged", found, self._clock.now())
        for damage in found:
            log.error("an object is not as it was stored", thing=thing, **damage._asdict())
        return [PackageFinding(thing, *damage) for damage in found]

    def _look_after(self, stored: Beside, standing: Standing) -> tuple[int, list[Finding]]:
        """Look where a recording's objects are, and read them when it is time.

        Returns how many were read, and what is wrong.
        """
        now, last = self._clock.now(), standing.read_at
        reading = last is None or standing.is_damaged or now - last >= self._interval
        listed = self._listed(stored.archived)
        found, is_firm = _misplaced(stored, listed), False
        if reading:
            found |= self._verified(stored)
        if reading and self._store.locks:
            loosened, is_firm = self._loosened(stored, listed, now)
            found |= loosened
        if found or reading:
            found = self._settle(stored, found, now, read=reading, is_firm=is_firm)
        findings = [Finding(stored.archived.recording.id, *damage) for damage in sorted(found)]
        return len(stored.objects) if reading else 0, findings

    def placed(self, archived: ArchivedRecording) -> set[Damage]:
        """Return which pinned versions are lost, or lie under something that was put later."""
        return _misplaced(Beside(archived, ()), self._listed(archived))

    def verify(self, archived: ArchivedRecording) -> set[Damage]:
        """Read every object of a recording and return what is wrong."""
        return self._verified(Beside(archived, ()))

    def _listed(self, archived: ArchivedRecording) -> list[ObjectVersion]:
        return self._store.versions(objects_prefix(archived.recording.tenant_id, archived.recording.id))

    def _verified(self, stored: Beside) -> set[Damage]:
        damages = set[Damage]()
        for each in stored.objects:
            octets, what = self._read(each)
            if what is not None:
                damages.add(Damage(str(each.kind), what))
            elif each.kind is ObjectKind.RECORD and not self._has_key(stored.archived, octets):
                damages.add(Damage("key", "missing"))
        return damages

    def _loosened(
        self, stored: Beside, listed: list[ObjectVersion], now: datetime
    ) -> tuple[set[Damage], bool]:
        """Return which locks and holds the store lacks, and whether all it has are of COMPLIANCE.

        One request an object.
        """
        damages, modes = set[Damage](), set[str | None]()
        for each in stored.archived.objects:
            wrong, mode = self._wrong(stored.due, each.key, each.version_id, now)
            damages |= {Damage(str(each.kind), what) for what in wrong}
            modes.add(mode)
        return damages | self._loosened_key(stored, listed, now), modes == {COMPLIANCE}

    def _loosened_key(self, stored: Beside, listed: list[ObjectVersion], now: datetime) -> set[Damage]:
        """Return what is wrong with lock and hold of the key that was wrapped anew, if there is one."""
        archived = stored.archived
        name = key_object_name(archived.recording.tenant_id, archived.recording.id, archived.kek_id)
        names = set(key_names(name))
        wrong = [
            self._wrong(stored.due, version.key, version.version_id, now)[0]
            for version in listed
            if version.key in names and not version.is_delete_marker
        ]
        return {Damage("key", what) for what in min(wrong, key=len, default=frozenset())}

    def _wrong(self, due: Due, key: str, version_id: str, now: datetime) -> tuple[frozenset[str], str | None]:
        """Return what is wrong with lock and hold of a version, and its mode.

        What is lost has neither, and is told as lost.
        """
        try:
            facts = self._store.head(key, version_id)
        except NotFound:
            return frozenset(), None
        except StoreUnavailable:
            if not self._store.healthy():
                raise
            return frozenset({UNREADABLE}), None
        return due.wrong(facts, now), facts.mode

    def _read(self, stored: StoredObject | Pinned) -> tuple[bytes, str | None]:
        """Return the octets of an object, and how they differ from what was stored: None for not at all."""
        for _ in range(2):
            try:
                octets = self._store.get(stored.key, stored.version_id)
            except NotFound:
                return b"", LOST
            except VerificationFailed:
                return b"", "shorter than stored"
            except StoreUnavailable:
                # Away as a whole, or a disk that can't give back this one object? Asked twice it tells.
                if not self._store.healthy():
                    raise
            else:
                return octets, _difference(stored, octets)
        return b"", UNREADABLE

    def _has_key(self, archived: ArchivedRecording, record: bytes) -> bool:
        """Return whether the bucket has the wrapped key of a recording that its row has."""
        try:
            header, _ = split(record)
        except VerificationFailed:
            return True  # by an older release; its octets are what was stored
        now = WrappedKey(archived.kek_id, archived.wrapped_key)
        if now == WrappedKey(header.kek_id, header.wrapped_key):
            return True
        name = key_object_name(archived.recording.tenant_id, archived.recording.id, archived.kek_id)
        return now in keys_beside(self._store, self._store.versions(name))

    def _settle(
        self, stored: Beside, found: set[Damage], now: datetime, *, read: bool, is_firm: bool
    ) -> set[Damage]:
        """Write down what was found and what is mended; return what of it stands."""
        recording = stored.archived.recording
        with self._audit.transaction(recording.tenant_id) as connection:
            if not scrubs.still_stands(connection, recording.tenant_id, recording.id):
                return set()
            [standing] = _whole(connection, [recording.id])
            if not _is_as_it_was(standing, stored):
                return set()
            before = scrubs.known(connection, recording.id)
            # Of a lock or hold that is just being moved nothing new is said, nor that it is mended.
            unsure = standing.due.unsure(stored.due)
            found = {each for each in found if each.what not in unsure or each in before}
            new, mended = found - before, before - found if read else frozenset[Damage]()
            scrubs.add(connection, recording.tenant_id, recording.id, new, now)
            scrubs.remove(connection, recording.id, mended)
            if read:
                scrubs.was_read(connection, recording.tenant_id, recording.id, now, is_firm=is_firm)
                store_locks.put_back(
                    connection, recording.tenant_id, recording.id, {each.what for each in found}
                )
            thing = f"recording:{recording.id}"
            self._write_down(connection, recording.tenant_id, thing, "object.damaged", new, now)
            self._write_down(connection, recording.tenant_id, thing, "object.mended", mended, now)
        for damage in sorted(found):
            # Again at each pass, until somebody has mended it.
            log.error("an object is not as it was stored", recording_id=recording.id, **damage._asdict())
        return found

    def _write_down(  # noqa: PLR0917 - an entry of the log, field by field
        self,
        connection: Connection,
        tenant_id: TenantId,
        thing: str,
        action: str,
        damages: Collection[Damage],
        now: datetime,
    ) -> None:
        for damage in sorted(damages):
            self._audit.append(
                connection,
                tenant_id=tenant_id,
                actor=ACTOR,
                action=action,
                object=thing,
                result="failed" if action == "object.damaged" else "ok",
                body={"kind": damage.kind, "finding": damage.what},
                at=now,
            )


def _whole(connection: Connection, recording_ids: list[RecordingId]) -> list[Beside]:
    """Return recordings with all that belongs to them."""
    derivatives = scrubs.derivatives(connection, recording_ids)
    due = store_locks.due(connection, recording_ids)
    return [
        Beside(each, derivatives.get(each.recording.id, ()), due[each.recording.id])
        for each in recordings.whole(connection, recording_ids)
    ]


def _is_as_it_was(now: Beside, before: Beside) -> bool:
    """Tell whether a recording has the objects and key still that were looked at."""
    return now.objects == before.objects and now.archived.kek_id == before.archived.kek_id


def _misplaced(stored: Beside, listed: list[ObjectVersion]) -> set[Damage]:
    """Return which pinned versions are lost, or lie under something that was put later."""
    return {
        Damage(str(each.kind), what)
        for each in stored.objects
        if (what := _hidden(each, [one for one in listed if one.key == each.key])) is not None
    }


def _hidden(stored: StoredObject | Pinned, listed: list[ObjectVersion]) -> str | None:
    """Return what hides a pinned version among those of its key, None when it is the newest one."""
    pinned = [each for each in listed if each.version_id == stored.version_id and not each.is_delete_marker]
    if not pinned:
        return LOST
    if pinned[0].is_latest:
        return None
    return HIDDEN if any(each.is_latest and each.is_delete_marker for each in listed) else OVERWRITTEN


def _difference(stored: StoredObject | Pinned, ciphertext: bytes) -> str | None:
    """Return how an object differs from what was stored, None when it does not."""
    if len(ciphertext) != stored.ciphertext_bytes:
        return "of another length"
    if hashlib.sha256(ciphertext).hexdigest() != stored.ciphertext_sha256:
        return "altered"
    return None
