"""Packages in the store: what was written for one is sealed there, its sound stays where it is archived.

So nothing of a package lies on a disk in clear, no recording is stored twice, and who
downloads gets the whole as one zip, from any byte on. An export that was broken off goes
on behind the last recording it finished.

Rules: the parts of an export are sealed under a key of its own, which hangs from a KEK
that only exports have: no recording that goes takes it along, and it goes with the last
export of its day. Each recording is opened by `archive.playback` when its sound leaves: the
right is asked again, and the audit entry stands first. A recording that was destroyed
since is in no download any more.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Collection, Iterable, Iterator

from archive.access import AccessScope
from archive.catalogue import exports, recordings
from archive.catalogue.engine import Catalogue
from archive.catalogue.exports import Export, Part, PartFile
from archive.data_key import DataKey, Vault, expiry_day, make_data_key, open_data_key, translated_key_errors
from archive.errors import NotFound, Refused
from archive.evidence.asic import MIMETYPE
from archive.evidence.bag import RECORDINGS, BagFile, Origin
from archive.evidence.zip import ZipEntry, ZipLayout
from archive.model import ObjectKind, RecordingId, TenantId
from archive.playback import Action, Playback
from archive.sealed_object import SealedReader
from archive.store.object import Store, sha256_hex
from keys.binding import Binding
from keys.streaming_aead import open_sealed, seal

PART_BYTES_MAX = 64 * 1024 * 1024
"""A recording's facts have some 100 kB and the manifests of a full package 30 MB; more is held by nobody."""

FOLDER = "exports"
"""Beside the recordings of a tenant; no recording's id is a word."""


class SealedShelf:
    """Puts the files of a package into sealed objects, one a recording and one for the rest."""

    def __init__(self, store: Store, vault: Vault, catalogue: Catalogue, export: Export) -> None:
        """Take an export that may have parts already; makes its key if it has none."""
        self._store = store
        self._catalogue = catalogue
        self._export, self._key = _keyed(vault, catalogue, export)
        self._parts = {part.prefix: part for part in exports.parts(catalogue, export)}
        self._waiting: dict[str, bytes | None] = {}

    def put(self, name: str, chunks: Iterable[bytes], origin: Origin | None) -> None:
        """Hold a file until its part is finished; of the sound of a recording nothing is held."""
        if origin is not None:
            for _ in chunks:
                pass
            self._waiting[name] = None
            return
        held = sum(len(content) for content in self._waiting.values() if content is not None)
        content = bytearray()
        for chunk in chunks:
            content += chunk
            if held + len(content) > PART_BYTES_MAX:
                raise Refused("What is written about these recordings is too much for one export.")
        self._waiting[name] = bytes(content)

    def part(self, prefix: str) -> tuple[BagFile, ...]:
        """Return the files of a part that was finished before."""
        found = self._parts.get(prefix)
        if found is None:
            return ()
        return tuple(
            BagFile(each.name, each.sha256, each.sha512, each.size_bytes, each.crc32) for each in found.files
        )

    def finish(self, prefix: str, files: tuple[BagFile, ...]) -> None:
        """Seal and store what was put since the last part, and keep the part in the catalogue."""
        listed, content = [], bytearray()
        for file in files:
            if file.name not in self._waiting:
                continue  # of a part that was finished before
            held = self._waiting.pop(file.name)
            place = None if held is None else len(content)
            content += held or b""
            listed.append(PartFile(file.name, file.sha256, file.sha512, file.size_bytes, file.crc32, place))
        before = self._parts.get(prefix)
        part = self._stored(prefix, tuple(listed), bytes(content))
        # A long recording has parts of its sound beside its own, which ends in a slash.
        named = {*self._parts, prefix}
        done = sum(each.startswith(RECORDINGS) and each.endswith("/") for each in named)
        exports.keep_part(self._catalogue, self._export, part, done=done)
        self._parts[prefix] = part
        if before is not None:
            with contextlib.suppress(NotFound):
                self._store.delete(before.object_key, before.version_id)

    def settle(self, names: Collection[str]) -> None:
        """Do nothing: parts hold what was finished, and nothing else is anywhere."""

    def _stored(self, prefix: str, files: tuple[PartFile, ...], content: bytes) -> Part:
        with translated_key_errors():
            sealed = seal(self._key.key, _binding(self._export, prefix), content)
        # A name of its own each time, so that a worker that comes back late replaces nothing.
        key = objects_prefix(self._export) + secrets.token_hex(8)
        digest = sha256_hex(sealed.ciphertext)
        version_id = self._store.put(key, sealed.ciphertext, None, sha256=digest)
        plaintext_sha256 = hashlib.sha256(content).hexdigest()
        return Part(prefix, files, key, version_id, sealed.pin, plaintext_sha256, digest)


class Downloads:
    """Opens finished exports; safe to share among threads."""

    def __init__(self, store: Store, vault: Vault, catalogue: Catalogue, playback: Playback) -> None:
        """Take what a download is read from."""
        self._parts = (store, vault, catalogue, playback)

    def open(self, export: Export) -> Download:
        """Return the zip of an export; raises NotFound when its parts are gone, DependencyUnavailable."""
        return Download(*self._parts, export)


class Download:
    """The zip of a finished export, for one auditor; read by ranges."""

    def __init__(
        self, store: Store, vault: Vault, catalogue: Catalogue, playback: Playback, export: Export
    ) -> None:
        """Take a finished export; raises NotFound when its parts are gone."""
        self._store = store
        self._catalogue = catalogue
        self._playback = playback
        self._export = export
        if export.kek_id is None or export.wrapped_key is None:
            raise NotFound("This export has ended; ask for it again.")
        self._key = open_data_key(
            vault, key_owner(export.tenant_id), RecordingId(export.id), export.kek_id, export.wrapped_key
        )
        parts = exports.parts(catalogue, export)
        self._files = {file.name: (part, file) for part in parts for file in part.files}
        # The media type of an ASiC-E container comes before everything else.
        ordered = sorted(self._files, key=lambda name: (name != MIMETYPE, name))
        listed = (self._files[name][1] for name in ordered)
        self._layout = ZipLayout(
            ZipEntry(file.name, file.size_bytes, file.crc32, plain=file.name == MIMETYPE) for file in listed
        )
        self._opened: dict[str, bytes] = {}

    @property
    def size_bytes(self) -> int:
        """The length of the zip."""
        return self._layout.size_bytes

    def check(self, scope: AccessScope) -> None:
        """Raise NotFound unless every recording of the export is still there for this scope."""
        ids = frozenset(self._export.recording_ids)
        if recordings.reached(self._catalogue, scope, ids, playable=True) != ids:
            raise NotFound("A recording of this export is gone; ask for the others again.")

    def chunks(self, scope: AccessScope, first: int, last_exclusive: int) -> Iterator[bytes]:
        """Yield the octets of a range; raises as `archive.playback.Playback.open_object`."""

        def read(name: str, begin: int, stop: int) -> Iterable[bytes]:
            part, file = self._files[name]
            if file.place is not None:
                if self._export.request_id is not None and name.endswith(".flac"):
                    # Sealed by itself, but a recording's sound: its right is asked, its entry stands first.
                    self._opened_again(scope, name)
                return (self._content(part)[file.place + begin : file.place + stop],)
            return self._opened_again(scope, name).chunks(begin, stop)

        return self._layout.read(first, last_exclusive, read)

    def _opened_again(self, scope: AccessScope, name: str) -> SealedReader:
        """Return the archived sound a file is of, once its audit entry is durable."""
        return self._playback.open_object(
            scope, _recording_of(name), ObjectKind.AUDIO, Action.EXPORT, purpose=self._export.purpose
        )

    def _content(self, part: Part) -> bytes:
        """Return the content of a part; the last one is remembered, for its files follow each other."""
        if part.prefix not in self._opened:
            sealed = self._store.get(part.object_key, part.version_id)
            with translated_key_errors():
                opened = open_sealed(self._key.key, _binding(self._export, part.prefix), sealed, part.pin)
            self._opened = {part.prefix: opened}
        return self._opened[part.prefix]


def _keyed(vault: Vault, catalogue: Catalogue, export: Export) -> tuple[Export, DataKey]:
    named = RecordingId(export.id)
    if export.kek_id is None:
        made = make_data_key(vault, key_owner(export.tenant_id), named, expiry_day(export.ends_at))
        export = exports.keep_key(catalogue, export, made.kek_id, made.wrapped)
    if export.kek_id is None or export.wrapped_key is None:
        raise NotFound("The export is gone.")
    return export, open_data_key(vault, key_owner(export.tenant_id), named, export.kek_id, export.wrapped_key)


def objects_prefix(export: Export) -> str:
    """Return what the keys of all objects of an export begin with, and no others."""
    return f"{export.tenant_id}/{FOLDER}/{export.id}/"


def key_owner(tenant_id: TenantId) -> TenantId:
    """Return under whose name the KEKs of exports stand: no tenant's, so that no recording hangs there."""
    return TenantId(f"{FOLDER}-{tenant_id}")


def _binding(export: Export, prefix: str) -> bytes:
    return Binding(export.tenant_id, export.id, f"export/{prefix}").associated_data()


def _recording_of(name: str) -> RecordingId:
    """Return whose sound a file of a package is: `data/recordings/<id>/audio.flac`, or their own voice."""
    return RecordingId(name.removeprefix(RECORDINGS).partition("/")[0])
