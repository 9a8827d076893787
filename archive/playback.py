"""Playback: who may hear it, an audit entry, and only then the bytes of a range.

Opening an object checks the right, the pins and the key, and makes the audit entry
durable; only then can a byte be read (invariant I9). A read fetches the sealed
segments its range touches and no others, and gives out a segment's bytes only after
its tag was verified (I2). What was truncated, swapped or moved from another tenant
is refused when it is opened, or before the first byte of the read that touches it.

Not here: ranges of HTTP, transcoding, pacing (`playback_portal`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum

from archive.access import AccessScope, may_download, may_export, may_play, may_read, needs_purpose
from archive.audit import AuditWriter
from archive.catalogue import recordings
from archive.catalogue.engine import Catalogue
from archive.clock import Clock, SystemClock
from archive.data_key import Vault, object_binding, open_data_key, translated_key_errors
from archive.errors import NotFound, PurposeRequired, Refused, VerificationFailed
from archive.ingest import object_of
from archive.model import ArchivedRecording, ObjectKind, Recording, RecordingId, StoredObject
from archive.store.object import Store
from keys.streaming_aead import HEADER_BYTES, SEGMENT_BYTES, SealPin, SegmentOpener

# One fetch of `chunks`: 16 segments are about a minute and a half of two-channel FLAC, one round
# trip to the store, and little enough to hold for each of many listeners. The first one is small:
# somebody waits for it, and who seeks leaves most of it unread. Each after it is twice as large.
CHUNK_SEGMENTS_MIN, CHUNK_SEGMENTS_MAX = 2, 16
CHUNK_BYTES = CHUNK_SEGMENTS_MAX * SEGMENT_BYTES


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


class SealedReader:
    """The plaintext of one sealed object, read by ranges; safe to share among threads."""

    def __init__(self, store: Store, stored: StoredObject, opener: SegmentOpener) -> None:
        self._store = store
        self._stored = stored
        self._opener = opener

    @property
    def length(self) -> int:
        """The number of bytes of plaintext."""
        return self._stored.plaintext_bytes

    @property
    def media_type(self) -> str:
        """The media type of the plaintext."""
        return self._stored.media_type

    @property
    def sha256(self) -> str:
        """The SHA-256 of the whole plaintext in hex; it never changes, so it may serve as an ETag."""
        return self._stored.plaintext_sha256

    def read(self, first: int, last_exclusive: int) -> bytes:
        """Return the plaintext `first` to `last_exclusive`, by one fetch of the touched segments.

        Raises ValueError outside the object, `VerificationFailed` when a segment does
        not open, `StoreUnavailable`.
        """
        start, stop = self._opener.ciphertext_range(first, last_exclusive)
        sealed = b""
        if stop > start:
            sealed = self._store.get(self._stored.key, self._stored.version_id, start, stop)
        with translated_key_errors():
            return self._opener.open(sealed, first, last_exclusive)

    def chunks(self, first: int, last_exclusive: int) -> Iterator[bytes]:
        """Return the same in pieces of at most `CHUNK_BYTES`, each verified before it is given."""
        segments = CHUNK_SEGMENTS_MIN
        while first < last_exclusive:
            # Pieces end where segments end, so that no segment is fetched twice.
            segment = (first + HEADER_BYTES) // SEGMENT_BYTES
            until = min((segment + segments) * SEGMENT_BYTES - HEADER_BYTES, last_exclusive)
            yield self.read(first, until)
            first, segments = until, min(2 * segments, CHUNK_SEGMENTS_MAX)


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
        self._store = store
        self._vault = vault
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
        wanted = Action(action)
        if not _allowed(scope, archived.recording, kind, wanted):
            self._enter(scope, recording_id, kind, wanted, "refused", purpose)
            raise Refused("This recording may not be used that way: ask the administrator for the right.")
        if purpose is None and needs_purpose(scope, archived.recording):
            self._enter(scope, recording_id, kind, wanted, "refused", purpose)
            raise PurposeRequired("This recording is somebody else's: say what you open it for.")
        binding = object_binding(archived.recording.tenant_id, recording_id, kind)
        reader = open_sealed(self._store, self._vault, archived, object_of(archived, kind), binding)
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


def open_sealed(
    store: Store, vault: Vault, archived: ArchivedRecording, stored: StoredObject, binding: bytes
) -> SealedReader:
    """Open an object that is sealed under the data key of a recording and bound to `binding`.

    Whoever calls it has asked who may, and makes the audit entry. Raises `NotFound`,
    `VerificationFailed`, `DependencyUnavailable`.
    """
    recording = archived.recording
    try:
        _check_facts(store, stored)
        header = store.get(stored.key, stored.version_id, 0, HEADER_BYTES)
    except NotFound as error:
        raise VerificationFailed("An archived object is missing from the store; report it.") from error
    data_key = open_data_key(vault, recording.tenant_id, recording.id, archived.kek_id, archived.wrapped_key)
    with translated_key_errors():
        return SealedReader(store, stored, SegmentOpener(data_key.key, binding, header, pin_of(stored)))


def pin_of(stored: StoredObject) -> SealPin:
    """Return the pin of a sealed object as the catalogue keeps it (not of a `record` object)."""
    return SealPin(stored.plaintext_bytes, stored.ciphertext_bytes, stored.segments, stored.commitment)


def _check_facts(store: Store, stored: StoredObject) -> None:
    facts = store.head(stored.key, stored.version_id)
    if facts.size_bytes != stored.ciphertext_bytes:
        raise VerificationFailed("An archived object has another length than was archived; report it.")
    if facts.sha256 is not None and facts.sha256 != stored.ciphertext_sha256:
        raise VerificationFailed("An archived object is not the one that was archived; report it.")


def _allowed(scope: AccessScope, recording: Recording, kind: ObjectKind, action: Action) -> bool:
    if kind is ObjectKind.RECORD or (action is Action.READ and kind not in _READABLE_KINDS):
        return False
    return _RULES[action](scope, recording)
