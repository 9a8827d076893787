"""Playing by a link: whether it still stands, and the derivative it serves.

A link stands as long as it is neither over nor ended, its tenant has links at all, and
who made it may still share the recording: the rule is asked again for each piece of
sound, so that a right taken away or a recording that goes ends the link at once.

The derivative is made once for a link, of the shared span alone, and sealed under the
recording's own data key beside its objects: what destroys the recording destroys it.

Rules: nothing here is heard by anybody; the audit entry of a play is made where it is
counted, before a piece is read. Not here: encoding, pieces and pace (`playback_portal`).
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from archive.access import AccessScope, may_share
from archive.catalogue import accounts, recordings, share_policies, shares
from archive.catalogue.engine import Catalogue
from archive.catalogue.shares import Derivative, Share, ShareState
from archive.data_key import Vault, object_binding, translated_key_errors
from archive.errors import NotFound
from archive.ingest import object_of
from archive.model import ArchivedRecording, ObjectKind, StoredObject
from archive.placing import objects_prefix
from archive.recording_keys import RecordingKeys
from archive.sealed_object import SealedObjects, SealedReader
from archive.store.object import Store, sha256_hex
from keys.binding import Binding
from keys.streaming_aead import seal

DERIVATIVE_MEDIA_TYPE = "audio/webm"
WORKING = frozenset({ShareState.ACTIVE, ShareState.SPENT})
"""In these states whoever listens already listens on."""


def standing(catalogue: Catalogue, share: Share, *, now: datetime) -> ArchivedRecording:
    """Return the recording a link leads to; raises NotFound when the link stands no longer."""
    gone = NotFound("This play link works no longer.")
    if share.state(now) not in WORKING:
        raise gone
    if not share_policies.policy_of(catalogue, share.tenant_id).links_allowed:
        raise gone
    scope = maker_scope(catalogue, share)
    archived = recordings.get(catalogue, scope, share.recording_id)
    if not may_share(scope, archived.recording):
        raise gone
    return archived


def maker_scope(catalogue: Catalogue, share: Share) -> AccessScope:
    """Return what the maker of a link may reach now; raises NotFound when they are gone."""
    if share.user_id is not None:
        return accounts.scope_of_user(catalogue, share.tenant_id, share.user_id)
    return accounts.scope_of_client(catalogue, share.tenant_id, share.client_id or "")


class Derivatives:
    """The sealed audio of links; safe to share among threads."""

    def __init__(self, store: Store, vault: Vault, catalogue: Catalogue) -> None:
        self._store = store
        self._keys = RecordingKeys(vault, catalogue)
        self._sealed = SealedObjects(store, self._keys)
        self._catalogue = catalogue

    def source(self, archived: ArchivedRecording, kind: ObjectKind) -> SealedReader:
        """Open what a derivative is made from; raises as `archive.sealed_object.SealedObjects.open`."""
        recording = archived.recording
        binding = object_binding(recording.tenant_id, recording.id, kind)
        return self._sealed.open(archived, object_of(archived, kind), binding)

    def open(self, archived: ArchivedRecording, share: Share, derivative: Derivative) -> SealedReader:
        """Open the derivative of a link; raises as `archive.sealed_object.SealedObjects.open`."""
        stored = StoredObject(
            kind=ObjectKind.AUDIO,
            key=derivative.object_key,
            version_id=derivative.version_id,
            plaintext_bytes=derivative.pin.plaintext_bytes,
            ciphertext_bytes=derivative.pin.ciphertext_bytes,
            segments=derivative.pin.segments,
            plaintext_sha256=derivative.plaintext_sha256,
            ciphertext_sha256=derivative.ciphertext_sha256,
            commitment=derivative.pin.commitment,
            media_type=DERIVATIVE_MEDIA_TYPE,
        )
        return self._sealed.open(archived, stored, _binding(share))

    def keep(self, archived: ArchivedRecording, share: Share, content: bytes) -> Derivative:
        """Seal and store the derivative of a link, once; return where it stands.

        Raises NotFound (the link or the recording's key is gone), DependencyUnavailable.
        """
        recording = archived.recording
        data_key = self._keys.open(archived)
        with translated_key_errors():
            sealed = seal(data_key.key, _binding(share), content)
        # A name of its own each time, so that two that make it at once do not meet.
        key = f"{objects_prefix(recording.tenant_id, recording.id)}share/{share.id}/{secrets.token_hex(8)}"
        digest = sha256_hex(sealed.ciphertext)
        version_id = self._store.put(key, sealed.ciphertext, None, sha256=digest)
        made = Derivative(key, version_id, sealed.pin, hashlib.sha256(content).hexdigest(), digest)
        try:
            kept = shares.keep_derivative(self._catalogue, share, made)
        except NotFound:
            # Link and recording went meanwhile, and whoever destroyed them does not know of this object.
            self._store.delete(key, version_id)
            raise
        if kept != made:
            self._store.delete(key, version_id)
        return kept


def _binding(share: Share) -> bytes:
    return Binding(share.tenant_id, share.recording_id, f"share/{share.id}").associated_data()
