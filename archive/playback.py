"""Playback: who may hear it, an audit entry, and only then the bytes of a range.

Opening an object checks the right, the pins and the key, and makes the audit entry
durable; only then can a byte be read (invariant I9).

Not here: how sealed objects are read (`archive.sealed_object`); ranges of HTTP,
transcoding, pacing (`playback_portal`).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from archive.access import AccessScope, may_download, may_export, may_play, may_read, needs_purpose
from archive.audit import AuditWriter
from archive.catalogue import recordings
from archive.catalogue.engine import Catalogue
from archive.clock import Clock, SystemClock
from archive.data_key import Vault, object_binding
from archive.errors import PurposeRequired, Refused
from archive.ingest import object_of
from archive.model import ArchivedRecording, ObjectKind, Recording, RecordingId
from archive.recording_keys import RecordingKeys
from archive.sealed_object import SealedObjects, SealedReader
from archive.store.object import Store


class Action(StrEnum):
    """What is done with an object, by the name it has in the audit log."""

    READ = "recording.read"
    PLAY = "recording.played"
    DOWNLOAD = "recording.downloaded"
    EXPORT = "recording.exported"


_RULES: dict[Action, Callable[[AccessScope, Recording], bool]] = {
    Action.READ: may_read,
    Action.PLAY: may_play,
    Action.DOWNLOAD: may_download,
    Action.EXPORT: may_export,
}

# What tells of a call without being heard; audio and its contour take the right to play.
_READABLE_KINDS = frozenset({ObjectKind.TIMELINE, ObjectKind.METADATA})


class Playback:
    """Opens the objects of archived recordings for somebody."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        catalogue: Catalogue,
        audit: AuditWriter,
        clock: Clock | None = None,
    ) -> None:
        self._sealed = SealedObjects(store, RecordingKeys(vault, catalogue))
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock or SystemClock()

    def open_object(
        self,
        scope: AccessScope,
        recording_id: RecordingId,
        kind: ObjectKind,
        action: str,
        *,
        purpose: str | None = None,
    ) -> SealedReader:
        """Check, open, and make the audit entry durable; return a reader of the plaintext.

        `action` is a value of `Action`; `purpose` stands in the audit entry. Raises
        `NotFound` (not there for this scope, or its key destroyed), `Refused` and
        `PurposeRequired` (with an audit entry of their own),
        `VerificationFailed`, and `DependencyUnavailable` when catalogue, key store or
        store are away: then no byte leaves.
        """
        archived = recordings.get(self._catalogue, scope, recording_id)
        return self.open_archived(scope, archived, kind, action, purpose=purpose)

    def open_archived(
        self,
        scope: AccessScope,
        archived: ArchivedRecording,
        kind: ObjectKind,
        action: str,
        *,
        purpose: str | None = None,
    ) -> SealedReader:
        """Do the same for a recording this very request has read within `scope`; never an older one."""
        recording_id, wanted = archived.recording.id, Action(action)
        if not _allowed(scope, archived.recording, kind, wanted):
            self._enter(scope, recording_id, kind, wanted, "refused", purpose)
            raise Refused("This recording may not be used that way: ask the administrator for the right.")
        if purpose is None and needs_purpose(scope, archived.recording):
            self._enter(scope, recording_id, kind, wanted, "refused", purpose)
            raise PurposeRequired("This recording is somebody else's: say what you open it for.")
        binding = object_binding(archived.recording.tenant_id, recording_id, kind)
        reader = self._sealed.open(archived, object_of(archived, kind), binding)
        self._enter(scope, recording_id, kind, wanted, "ok", purpose)
        return reader

    def _enter(  # noqa: PLR0917 - the words of one audit entry
        self,
        scope: AccessScope,
        recording_id: RecordingId,
        kind: ObjectKind,
        action: Action,
        result: str,
        purpose: str | None,
    ) -> None:
        with self._audit.transaction(scope.tenant_id) as connection:
            self._audit.append(
                connection,
                tenant_id=scope.tenant_id,
                actor=scope.actor,
                action=action.value,
                object=f"recording:{recording_id}",
                result=result,
                purpose=purpose,
                body={"kind": kind.value},
                at=self._clock.now(),
            )


def _allowed(scope: AccessScope, recording: Recording, kind: ObjectKind, action: Action) -> bool:
    if kind is ObjectKind.RECORD or (action is Action.READ and kind not in _READABLE_KINDS):
        return False
    return _RULES[action](scope, recording)
