"""Deciding on recordings in quarantine: assigned to their owner, or destroyed.

Assigning: the row is claimed with owner, class, date, minutes and the data key wrapped
under the key of its new expiry day, in one transaction with the audit entry; then every
object is sealed and put anew under its lock, verified, and pinned in the row; then the
old objects, which no lock keeps, go. Destroying: the row is claimed, and goes as what
expired goes (`retention.destruction`); key and certificate follow with the next sweep
(`retention.expiry`). Both go on after a crash where they stopped, and neither undoes the
other.

Rules: an administrator's decision and its effect are two audit entries. Time for deletion
is what the sweep goes by. Not here: when it runs (`retention.worker`), the rows
(`archive.catalogue.quarantine`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.audit_chain import AuditEntry, Json
from archive.catalogue import destructions, keks, quarantine, quarantine_end, recordings, sessions
from archive.catalogue import minutes as booking
from archive.catalogue.destructions import Destruction
from archive.catalogue.engine import Catalogue, Connection
from archive.clock import Clock
from archive.data_key import (
    CALENDAR,
    DataKey,
    Vault,
    expiry_day,
    object_binding,
    open_data_key,
    rewrap_data_key,
    translated_key_errors,
)
from archive.errors import Conflict, NotFound, Refused
from archive.ingest import lock_of, object_of, upload
from archive.key_object import key_object_name
from archive.model import (
    ArchivedRecording,
    FinishedRecording,
    ObjectKind,
    Recording,
    RecordingId,
    RecordingState,
    Role,
    TenantId,
    UserId,
    new_id,
)
from archive.placing import Placing, key_names, objects_prefix
from archive.sealed_object import pin_of
from archive.store.object import Store
from keys.signatory import Signatory
from keys.streaming_aead import open_sealed
from retention import minutes
from retention.destruction import ACTOR, Destroyer
from retention.policy import PARTIAL


class Quarantine:
    """Carries out what is decided of recordings in quarantine; any number of processes may."""

    def __init__(  # noqa: PLR0917 - what it stands on, named by its callers
        self,
        store: Store,
        vault: Callable[[], Vault],
        catalogue: Catalogue,
        audit: AuditWriter,
        clock: Clock,
        due_time: Callable[[], datetime],
        signatory: Callable[[], Signatory] | None = None,
    ) -> None:
        """Remember what it stands on; `vault` is asked for when the first recording is assigned.

        `due_time` tells the moment up to which recordings are over (`Timekeeper.due_time`). `signatory`
        signs in the bucket that an administrator let one go.
        """
        self._store = store
        self._vault = vault
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock
        self._due_time = due_time
        self._destroyer = Destroyer(store, catalogue, audit, clock, signatory)

    def assign(
        self, tenant_id: TenantId, recording_id: RecordingId, user_id: UserId, actor: str
    ) -> ArchivedRecording:
        """Make a recording in quarantine that of a person, and return it as it is archived now.

        Raises NotFound (no such recording or user), Refused (no licence when it started),
        Conflict (decided otherwise), DependencyUnavailable (call again).
        """
        with self._refusals(tenant_id, recording_id, actor, "recording.assign"):
            self._claim_for_owner(tenant_id, recording_id, user_id, actor)
        archived = self._get(tenant_id, recording_id)
        if archived.recording.state is RecordingState.PROCESSING:
            archived = self._settle(self._archive_anew(archived))
        self._clear(archived)
        return archived

    def destroy(self, tenant_id: TenantId, recording_id: RecordingId, actor: str) -> None:
        """Destroy a recording in quarantine; one that is not there any more was destroyed.

        Raises Refused (legal hold), Conflict (decided otherwise), DependencyUnavailable
        (call again).
        """
        try:
            with self._refusals(tenant_id, recording_id, actor, "recording.destroy"):
                claimed = self._claim_for_destruction(tenant_id, recording_id, actor)
        except NotFound:
            return
        if claimed is not None:
            self._destroyer.go_on(claimed)

    def due(self, tenant_id: TenantId) -> list[RecordingId]:
        """Return what must be destroyed now; raises ClockDisbelieved when no clock can be believed."""
        return quarantine.due(self._catalogue, tenant_id, self._due_time())

    def unfinished(self, tenant_id: TenantId) -> list[tuple[RecordingId, UserId]]:
        """Return the assignments that were begun and must be finished."""
        return quarantine.unfinished(self._catalogue, tenant_id)

    def _claim_for_owner(
        self, tenant_id: TenantId, recording_id: RecordingId, user_id: UserId, actor: str
    ) -> None:
        """Give the row its owner and all that follows from it, unless that was done before."""
        archived = self._get(tenant_id, recording_id)
        with self._audit.transaction(tenant_id) as connection:
            standing = quarantine.lock(connection, tenant_id, recording_id)
            if standing.is_assigned_to(user_id):
                return
            standing.require_quarantined()
            started_at = archived.recording.started_at
            assignee = quarantine.assignee(connection, tenant_id, user_id, started_at)
            recording = replace(
                archived.recording,
                state=RecordingState.PROCESSING,
                owner=user_id,
                site=assignee.site,
                retention_class=assignee.licence,
                flags=(*archived.recording.flags, quarantine.ASSIGNED),
            )
            booked = booking.book(connection, recording, minutes.judge, now=self._clock.now())
            if booked is None:
                raise NotFound("There is no such user in this tenant.")
            recording = minutes.applied(recording, booked)
            key = self._rewrapped(archived, recording)
            # Held until the commit, so that nobody destroys the key this recording is about to hang from.
            keks.hold(connection, key.kek_id)
            claimed = replace(archived, recording=recording, kek_id=key.kek_id, wrapped_key=key.wrapped)
            quarantine.claim_for_owner(connection, claimed, _told(recording))
            body: dict[str, Json] = {
                "owner": user_id,
                "class": recording.retention_class.value,
                "seconds": booked.booked_s,
            }
            self._write(connection, recording, actor, "recording.assign", body)

    def _archive_anew(self, archived: ArchivedRecording) -> ArchivedRecording:
        """Put every object again, under the lock of the new date, and return the recording with new pins."""
        recording = archived.recording
        partial = PARTIAL in recording.flags
        recording = replace(
            recording,
            state=RecordingState.PARTIAL if partial else RecordingState.AVAILABLE,
            flags=tuple(flag for flag in recording.flags if flag != PARTIAL),
        )
        data_key = open_data_key(
            self._vault(), recording.tenant_id, recording.id, archived.kek_id, archived.wrapped_key
        )
        finished = FinishedRecording(
            recording=recording,
            audio=self._opened(archived, ObjectKind.AUDIO, data_key),
            audio_media_type=object_of(archived, ObjectKind.AUDIO).media_type,
            peaks=self._opened(archived, ObjectKind.PEAKS, data_key),
            timeline=self._opened(archived, ObjectKind.TIMELINE, data_key),
            metadata=self._opened(archived, ObjectKind.METADATA, data_key),
        )
        outcome = sessions.of_recording(self._catalogue, _scope(recording.tenant_id), recording.id)
        placing = Placing(
            self._store,
            recording,
            data_key,
            lock_of(self._store, self._catalogue, self._clock, recording),
            superseded=[stored.key for stored in archived.objects],
        )
        return upload(self._store, placing, finished, data_key, outcome)

    def _settle(self, archived: ArchivedRecording) -> ArchivedRecording:
        """Pin the new objects in the row, unless another worker did."""
        recording = archived.recording
        with self._audit.transaction(recording.tenant_id) as connection:
            standing = quarantine.lock(connection, recording.tenant_id, recording.id)
            if standing.state is RecordingState.PROCESSING:
                quarantine.settle(connection, archived)
                body: dict[str, Json] = {item.kind.value: item.ciphertext_sha256 for item in archived.objects}
                self._write(connection, recording, ACTOR, "recording.assigned", body)
        return self._get(recording.tenant_id, recording.id)

    def _clear(self, archived: ArchivedRecording) -> None:
        """Delete the objects that were put without a lock; the pinned ones stay."""
        place = (archived.recording.tenant_id, archived.recording.id)
        pinned = {(stored.key, stored.version_id) for stored in archived.objects}
        # The key wrapped anew since: with it, the bucket alone opens the recording.
        key = tuple(key_names(key_object_name(*place, archived.kek_id)))
        prefix = objects_prefix(*place)
        for version in self._store.versions(prefix):
            if (version.key, version.version_id) not in pinned and version.key not in key:
                # What is locked there is of a try that was broken off, and goes with its term.
                with contextlib.suppress(Refused):
                    self._store.delete(version.key, version.version_id)

    def _claim_for_destruction(
        self, tenant_id: TenantId, recording_id: RecordingId, actor: str
    ) -> Destruction | None:
        now = self._clock.now()
        with self._audit.transaction(tenant_id) as connection:
            standing = quarantine.lock(connection, tenant_id, recording_id)
            claimed = quarantine_end.claim(
                connection, tenant_id, recording_id, standing, claim=new_id(now), now=now
            )
            if claimed is not None:
                entry = self._enter(
                    connection, tenant_id, recording_id, actor, "recording.destroy", {"from": "quarantine"}
                )
                destructions.note(connection, claimed, "begun", entry)
        return claimed

    def _rewrapped(self, archived: ArchivedRecording, recording: Recording) -> DataKey:
        """Return the data key of a recording wrapped under the key of the day on which it ends now."""
        vault = self._vault()
        # First the new one: it tells a key store that is away from one that has lost the old one.
        with translated_key_errors():
            kek = vault.current(recording.tenant_id, expiry_day(recording.retain_until))
        data_key = open_data_key(
            vault, recording.tenant_id, recording.id, archived.kek_id, archived.wrapped_key
        )
        return rewrap_data_key(kek, recording.tenant_id, recording.id, data_key.key)

    def _opened(self, archived: ArchivedRecording, kind: ObjectKind, data_key: DataKey) -> bytes:
        """Return what one object holds; raises NotFound, VerificationFailed, StoreUnavailable."""
        stored = object_of(archived, kind)
        sealed = self._store.get(stored.key, stored.version_id)
        binding = object_binding(archived.recording.tenant_id, archived.recording.id, kind)
        with translated_key_errors():
            return open_sealed(data_key.key, binding, sealed, pin_of(stored))

    def _get(self, tenant_id: TenantId, recording_id: RecordingId) -> ArchivedRecording:
        return recordings.get(self._catalogue, _scope(tenant_id), recording_id)

    @contextmanager
    def _refusals(
        self, tenant_id: TenantId, recording_id: RecordingId, actor: str, action: str
    ) -> Iterator[None]:
        """Write down that a decision was refused, and why."""
        try:
            yield
        except (Refused, Conflict) as error:
            with self._audit.transaction(tenant_id) as connection:
                self._audit.append(
                    connection,
                    tenant_id=tenant_id,
                    actor=actor,
                    action=action,
                    object=f"recording:{recording_id}",
                    result="refused",
                    body={"reason": str(error)},
                    at=self._clock.now(),
                )
            raise

    def _write(
        self, connection: Connection, recording: Recording, actor: str, action: str, body: dict[str, Json]
    ) -> None:
        self._enter(connection, recording.tenant_id, recording.id, actor, action, body)

    def _enter(  # noqa: PLR0917 - the fields of one entry
        self,
        connection: Connection,
        tenant_id: TenantId,
        recording_id: RecordingId,
        actor: str,
        action: str,
        body: dict[str, Json],
    ) -> AuditEntry:
        return self._audit.append(
            connection,
            tenant_id=tenant_id,
            actor=actor,
            action=action,
            object=f"recording:{recording_id}",
            body=body,
            at=self._clock.now(),
        )


def _scope(tenant_id: TenantId) -> AccessScope:
    return AccessScope(tenant_id=tenant_id, actor=ACTOR, role=Role.AUDITOR)


def _told(recording: Recording) -> str:
    until = recording.retain_until.astimezone(CALENDAR).date()
    return (
        f"recording {recording.id}: assigned to user {recording.owner}, "
        f"class {recording.retention_class} kept until {until}"
    )
