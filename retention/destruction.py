"""Destroying one recording whose time is over: claimed, planned, deleted, seen gone, erased.

1. The row is claimed, with the entry of the audit log that says so, before any effect.
2. Under the lock of the row it is asked once more whether a hold keeps it; what is about
   to be deleted is written down.
3. Each version of each object is deleted, and the store's own list must show none. Of what goes
   before its term, out of quarantine too, a tombstone says so in the bucket (`archive.tombstone`).
4. The row is replaced by one without names and numbers, and with it goes what hung from it.

A claim that was broken off is taken up again where it stopped. Where the store refuses the
first deletion, because a lock or hold of its own stands against it, the recording is given
back whole and left alone for KEPT_WAIT; where it refuses a later one, the destruction waits and
somebody is told.

What the catalogue pinned and the store does not show is written down as not found. Where it
shows nothing at all, it may be the bucket of something else: the recording is given back, and
somebody is told, until MISSING_WAIT after its term.

Rules: any number of processes may; each step is repeatable. The certificate comes after the
key is destroyed too. Not here: which recordings (`retention.expiry`), keys and certificates.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum

import structlog

from archive.audit import AuditWriter
from archive.audit_chain import AuditEntry, Json
from archive.catalogue import destructions
from archive.catalogue.destructions import DestroyedObject, Destruction
from archive.catalogue.engine import Catalogue, Connection
from archive.clock import Clock
from archive.data_key import translated_key_errors
from archive.errors import Conflict, DependencyUnavailable, NotFound, Refused, StoreUnavailable
from archive.model import RecordingId, TenantId, new_id
from archive.placing import objects_prefix
from archive.store.object import Store
from archive.tombstone import Tombstone, lay
from keys.signatory import Signatory

ACTOR = "service:worker"

KEPT_WAIT = timedelta(hours=6)
"""Whoever locked it longer meant days; what was taken off is noticed within the day of invariant I7."""

MISSING_WAIT = timedelta(hours=12)
"""Half of the day in which a recording has to be gone: the other half is for the destruction itself."""

_log = structlog.get_logger()


class Outcome(Enum):
    """What became of a recording that was to be destroyed."""

    GONE = "its objects are gone"
    KEPT = "a hold, or the store, keeps it"
    ELSEWHERE = "somebody else is at it, or it is not over"


class Destroyer:
    """Destroys recordings whose time is over, all but their keys."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        audit: AuditWriter,
        clock: Clock,
        signatory: Callable[[], Signatory] | None = None,
    ) -> None:
        """Remember what it stands on; `signatory` signs tombstones, for what is let go early."""
        self._signatory = signatory
        self._store = store
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock

    def destroy(self, tenant_id: TenantId, recording_id: RecordingId, until: datetime) -> Outcome:
        """Destroy a recording that was over at `until`, or go on with it.

        Raises DependencyUnavailable: call again, nothing is lost.
        """
        destruction = self._claim(tenant_id, recording_id, until)
        return Outcome.ELSEWHERE if destruction is None else self.go_on(destruction)

    def go_on(self, destruction: Destruction) -> Outcome:
        """Destroy what the caller claimed; raises as `destroy`."""
        try:
            planned = self._plan(destruction)
            if planned is None or not self._delete(planned):
                return Outcome.KEPT
            self._erase(planned)
        except Conflict:
            return Outcome.ELSEWHERE
        except DependencyUnavailable:
            self._give_up(destruction)
            raise
        return Outcome.GONE

    def remainder(self, destruction: Destruction) -> tuple[DestroyedObject, ...]:
        """Delete what was put for a recording while it went (a play link's audio), and return it."""
        prefix = objects_prefix(destruction.tenant_id, destruction.recording_id)
        found = tuple(DestroyedObject(each.key, each.version_id) for each in self._store.versions(prefix))
        delete = self._deleting(destruction)
        for each in found:
            try:
                with contextlib.suppress(NotFound):
                    delete(each.key, each.version_id)
            except Refused as error:
                raise StoreUnavailable("The store keeps what was put for a recording that went.") from error
        self._see_gone(prefix)
        return found

    def enter(
        self,
        connection: Connection,
        destruction: Destruction,
        action: str,
        body: dict[str, Json],
        result: str = "ok",
    ) -> AuditEntry:
        """Add an entry on a destruction to the caller's transaction and return it."""
        return self._audit.append(
            connection,
            tenant_id=destruction.tenant_id,
            actor=ACTOR,
            action=action,
            object=f"recording:{destruction.recording_id}",
            result=result,
            at=self._clock.now(),
            body=body,
        )

    def _claim(self, tenant_id: TenantId, recording_id: RecordingId, until: datetime) -> Destruction | None:
        now = self._clock.now()
        with self._audit.transaction(tenant_id) as connection:
            claimed = destructions.claim(
                connection, tenant_id, recording_id, claim=new_id(now), until=until, now=now
            )
            if claimed is not None:
                body: dict[str, Json] = {
                    "class": claimed.retention_class.value,
                    "retainUntil": claimed.retain_until.isoformat(),
                }
                if claimed.proposal_id is not None:
                    body["proposal"] = claimed.proposal_id
                entry = self.enter(connection, claimed, "recording.destroy", body)
                destructions.note(connection, claimed, "begun", entry)
        return claimed

    def _plan(self, destruction: Destruction) -> Destruction | None:
        """Write down what goes; None when the recording is given back."""
        prefix = objects_prefix(destruction.tenant_id, destruction.recording_id)
        found = [DestroyedObject(each.key, each.version_id) for each in self._store.versions(prefix)]
        with self._audit.transaction(destruction.tenant_id) as connection:
            if destructions.is_held(connection, destruction.tenant_id, destruction.recording_id):
                self._release(connection, destruction, "a legal hold keeps it")
                return None
            planned = destructions.plan(connection, destruction, found)
            is_first = destruction.objects is None
            is_early = self._clock.now() - planned.retain_until < MISSING_WAIT
            if is_first and is_early and is_nothing_found(planned):
                reason = "the store shows none of its objects: is it the bucket of this archive?"
                self._release(connection, destruction, reason, is_left_alone=True)
                return None
            return planned

    def _delete(self, destruction: Destruction) -> bool:
        """Delete every version and see it gone; False when the store keeps it and nothing was deleted."""
        prefix = objects_prefix(destruction.tenant_id, destruction.recording_id)
        present = {(each.key, each.version_id) for each in self._store.versions(prefix)}
        planned = {(each.key, each.version_id) for each in destruction.objects or () if each.found}
        whole, delete = planned <= present, self._deleting(destruction)
        for key, version_id in sorted(planned & present):
            try:
                with contextlib.suppress(NotFound):
                    delete(key, version_id)
            except Refused as error:
                if not whole:
                    raise StoreUnavailable("The store keeps a part of what is being destroyed.") from error
                with self._audit.transaction(destruction.tenant_id) as connection:
                    reason = "the store keeps it under a lock or hold"
                    self._release(connection, destruction, reason, is_left_alone=True)
                return False
            whole = False
        self._see_gone(prefix)
        return True

    def _deleting(self, destruction: Destruction) -> Callable[[str, str], None]:
        """Return how a version is deleted: before its lock ends only what two people approved."""
        return self._store.delete if destruction.proposal_id is None else self._store.delete_governed

    def _lay_tombstone(self, destruction: Destruction) -> None:
        """Say in the bucket that a recording went early, before the database forgets what it was."""
        now = self._clock.now()
        is_early = destruction.proposal_id is not None or destruction.retain_until > now
        if not is_early or self._signatory is None:
            return
        stone = Tombstone(
            destruction.tenant_id,
            destruction.recording_id,
            destruction.proposal_id,
            destruction.retain_until,
            now,
            tuple(each for each in destruction.objects or () if each.found),
        )
        with translated_key_errors():
            try:
                signatory = self._signatory()
            except Refused as error:
                raise DependencyUnavailable(f"Nobody can sign that a recording went: {error}") from error
            lay(self._store, signatory, stone, destruction.claim)

    def _erase(self, destruction: Destruction) -> None:
        self._lay_tombstone(destruction)
        objects = destruction.objects or ()
        missing = sum(not each.found for each in objects)
        with self._audit.transaction(destruction.tenant_id) as connection:
            destructions.erase(connection, destruction, now=self._clock.now())
            body: dict[str, Json] = {"objects": len(objects) - missing, "notFound": missing}
            entry = self.enter(connection, destruction, "recording.erased", body)
            destructions.note(connection, destruction, "erased", entry)
        if missing:
            _log.error(
                "ALARM: objects of a recording were gone before it was destroyed",
                recording_id=destruction.recording_id,
                missing=missing,
            )

    def _release(
        self,
        connection: Connection,
        destruction: Destruction,
        reason: str,
        *,
        is_left_alone: bool = False,
    ) -> None:
        kept_until = self._clock.now() + KEPT_WAIT if is_left_alone else None
        destructions.release(connection, destruction, kept_until=kept_until)
        self.enter(connection, destruction, "recording.destroy", {"reason": reason}, "refused")
        _log.warning("ALARM: a recording is over and kept", recording_id=destruction.recording_id, why=reason)

    def _give_up(self, destruction: Destruction) -> None:
        """Let anybody go on with what broke off here, each time later; without a database it just ends."""
        with (
            contextlib.suppress(Conflict, DependencyUnavailable),
            self._catalogue.transaction(destruction.tenant_id) as connection,
        ):
            destructions.give_up(connection, destruction, now=self._clock.now())

    def _see_gone(self, prefix: str) -> None:
        if self._store.versions(prefix):
            raise StoreUnavailable(
                "The store still shows objects after they were deleted; it is tried again."
            )


def is_nothing_found(planned: Destruction) -> bool:
    """Return whether a recording had objects and the store showed none of them. Pure."""
    return bool(planned.objects) and not any(each.found for each in planned.objects or ())
