"""Sealed objects in the store: opened by their pins and keys, read by ranges.

A read fetches the sealed segments its range touches and no others, and gives out a
segment's bytes only after its tag was verified (invariant I2). What was truncated, swapped
or moved from another tenant is refused when it is opened, or before the first byte of the
read that touches it.

A version in the store never changes, so that what the store said of it and its header are
asked once in a while, and not for each range of who listens. No key is kept here.

Not here: who may, and the audit entry (`archive.playback`, `archive.shared`).
"""

from __future__ import annotations

from collections.abc import Iterator

from archive.data_key import translated_key_errors
from archive.errors import NotFound, VerificationFailed
from archive.model import ArchivedRecording, StoredObject
from archive.recording_keys import RecordingKeys
from archive.remembered import Remembered
from archive.store.object import Store
from keys.streaming_aead import HEADER_BYTES, SEGMENT_BYTES, SealPin, SegmentOpener

# One fetch of `chunks`: 16 segments are about a minute and a half of two-channel FLAC, one round
# trip to the store, and little enough to hold for each of many listeners. The first one is small:
# somebody waits for it, and who seeks leaves most of it unread. Each after it is twice as large.
CHUNK_SEGMENTS_MIN, CHUNK_SEGMENTS_MAX = 2, 16
CHUNK_BYTES = CHUNK_SEGMENTS_MAX * SEGMENT_BYTES

HEADERS_COUNT_MAX = 4096
"""What is listened to at once, and then some; with what it is kept under, each is under a kilobyte."""

HEADER_S_MAX = 300.0
"""As long as an unwrapped key is remembered (`keys.kek`); then the store is asked for the whole again."""


class SealedReader:
    """The plaintext of one sealed object, read by ranges; safe to share among threads."""

    def __init__(self, store: Store, stored: StoredObject, opener: SegmentOpener) -> None:
        """Take what `SealedObjects.open` found."""
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
        not open or is gone, `StoreUnavailable`.
        """
        start, stop = self._opener.ciphertext_range(first, last_exclusive)
        sealed = _version(self._store, self._stored, start, stop) if stop > start else b""
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


class SealedObjects:
    """Opens what is sealed in a store; safe to share among threads."""

    def __init__(self, store: Store, keys: RecordingKeys) -> None:
        """Take where the objects and where the keys are."""
        self._store = store
        self._keys = keys
        self._headers: Remembered[StoredObject, bytes] = Remembered(
            count_max=HEADERS_COUNT_MAX, age_s_max=HEADER_S_MAX
        )

    def open(self, archived: ArchivedRecording, stored: StoredObject, binding: bytes) -> SealedReader:
        """Open an object that is sealed under the data key of a recording and bound to `binding`.

        Whoever calls it has asked who may, and makes the audit entry. Raises `NotFound`,
        `VerificationFailed`, `DependencyUnavailable`.
        """
        known = self._headers.get(stored)
        if known is None:
            _check_facts(self._store, stored)
        header = known or _version(self._store, stored, 0, HEADER_BYTES)
        data_key = self._keys.open(archived)
        with translated_key_errors():
            opener = SegmentOpener(data_key.key, binding, header, pin_of(stored))
        if known is None:
            self._headers.keep(stored, header)
        return SealedReader(self._store, stored, opener)


def pin_of(stored: StoredObject) -> SealPin:
    """Return the pin of a sealed object as the catalogue keeps it (not of a `record` object)."""
    return SealPin(stored.plaintext_bytes, stored.ciphertext_bytes, stored.segments, stored.commitment)


def _version(store: Store, stored: StoredObject, first: int, last_exclusive: int) -> bytes:
    try:
        return store.get(stored.key, stored.version_id, first, last_exclusive)
    except NotFound as error:
        raise VerificationFailed("An archived object is missing from the store; report it.") from error


def _check_facts(store: Store, stored: StoredObject) -> None:
    try:
        facts = store.head(stored.key, stored.version_id)
    except NotFound as error:
        raise VerificationFailed("An archived object is missing from the store; report it.") from error
    if facts.size_bytes != stored.ciphertext_bytes:
        raise VerificationFailed("An archived object has another length than was archived; report it.")
    if facts.sha256 is not None and facts.sha256 != stored.ciphertext_sha256:
        raise VerificationFailed("An archived object is not the one that was archived; report it.")
