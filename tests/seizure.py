"""A running service as somebody takes it who has everything of the machine: what opens, and what it says.

Copied are the journal directory, slots and node key first, and what processes hold open
though it was removed; opened is every frame that any key in the slots opens, whosesoever it
is, every small file sealed by the node key, and every object by the keys of the key store.

Rules: reads only; a service that goes on is not disturbed.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import psutil
import soundfile
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from archive.data_key import object_binding, open_data_key
from archive.model import ObjectKind, RecordingId, TenantId
from archive.record import RecordHeader, split
from keys.errors import KeysError
from keys.kek import KekVault
from keys.key_store import DirectoryKeyStore
from keys.local_seal import open_whole
from keys.node_key import load_or_create
from keys.root import Root, open_root
from keys.streaming_aead import SealPin, open_sealed
from recorder.client.call import PAYLOAD_TYPE_EVENT
from recorder.journal.format import FILE_MAGIC, FrameHead, FrameKind, scan
from recorder.journal.reader import mapped
from recorder.journal.segment import (
    AudioRecord,
    SealError,
    audio_head,
    open_audio,
    open_state,
    unwrap_segment_key,
)
from recorder.journal.slots import SlotsFile
from tests import at_rest
from tests.running_service import RunningService

Opened = Iterator[tuple[str, bytes]]
SEALED_BY_NODE_KEY = {".sealed": b"earwitness directory", ".outcome": b"earwitness outbox"}
SEALED_BY_NODE_KEY |= {".open": SEALED_BY_NODE_KEY[".outcome"]}


def root_of(service: RunningService) -> Root:
    """Return the root of all keys, opened as the service itself does."""
    settings = at_rest.environment(service)
    passphrase = Path(settings["EARWITNESS_KEYRING_PASSPHRASE_FILE"]).read_bytes()
    return _opened_root(settings["EARWITNESS_KEYRING"], passphrase)


@cache
def _opened_root(keyring: str, passphrase: bytes) -> Root:
    """Open a keyring once: a passphrase is stretched for half a second."""
    return open_root(keyring, passphrase)


def removed_but_open(processes: list[psutil.Process]) -> Opened:
    """Yield what processes hold open that has no name any more, shared memory included."""
    for process in processes:
        for descriptor in Path(f"/proc/{process.pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                target = os.readlink(descriptor)
                if target.startswith("/") and target.endswith(" (deleted)"):
                    yield f"{target} of {process.pid}", descriptor.read_bytes()


class Seizure:
    """The journal directory of a moment, and the keys of that moment or of another."""

    def __init__(self, service: RunningService, to: Path, journal: Path | None = None) -> None:
        """Copy the journal of a service that runs, or another `journal` of it, copied before."""
        self.directory = to
        journal = journal or service.directory / "journal"
        to.mkdir(parents=True)
        for name in ("slots", "node.key"):
            shutil.copyfile(journal / name, to / name)
        left_out = shutil.ignore_patterns("slots", "node.key", "lock")
        shutil.copytree(
            journal, to, ignore=left_out, copy_function=_copied_if_there, dirs_exist_ok=True, symlinks=True
        )
        for number, (_, octets) in enumerate(removed_but_open(service.processes())):
            (to / f"removed-{number}").write_bytes(octets)
        self.node_key = load_or_create(to / "node.key", root_of(service))
        slots = SlotsFile(to / "slots", self.node_key)
        slots.open()
        self.call_keys = slots.live()
        slots.close()

    def opened(self, keys: list[bytes] | None = None) -> Opened:
        """Yield all that opens, by the live keys of this moment or by other `keys`; with where it stood."""
        keys = [self.node_key, *self.call_keys.values()] if keys is None else keys
        ciphers = [AESGCM(key) for key in keys]
        yield from self._states(ciphers)
        for place, record in self.records(keys):
            events = record.rows["payload_type"] == PAYLOAD_TYPE_EVENT
            assert not record.rows["size"][events].any(), f"the payload of a telephone-event in {place}"
            yield place, record.payload
        yield from self._small_files(keys)

    def records(self, keys: list[bytes]) -> Iterator[tuple[str, AudioRecord]]:
        """Yield all audio that any of the keys opens, wherever it stands and whosesoever it is."""
        segments = self._segment_ciphers([AESGCM(key) for key in keys])
        for place, head, body in self._frames(FrameKind.AUDIO):
            with contextlib.suppress(SealError):
                facts = audio_head(body)
                for cipher in segments.get(facts.segment_id, []):
                    yield f"audio in {place}", open_audio(cipher, head.uid, body, facts)

    def _segment_ciphers(self, ciphers: list[AESGCM]) -> dict[bytes, list[AESGCM]]:
        found: dict[bytes, list[AESGCM]] = {}
        for _, head, body in self._frames(FrameKind.SEGMENT_KEY):
            for cipher in ciphers:
                segment = unwrap_segment_key(cipher, head.uid, body)
                if segment is not None:
                    found.setdefault(segment.segment_id, []).append(AESGCM(segment.key))
        return found

    def _states(self, ciphers: list[AESGCM]) -> Opened:
        for place, head, body in self._frames(FrameKind.STATE):
            for cipher in ciphers:
                state = open_state(cipher, head.uid, body)
                if state is not None:
                    yield f"state in {place}", state

    def _frames(self, kind: FrameKind) -> Iterator[tuple[str, FrameHead, bytes]]:
        for path in self._files(lambda path: path.read_bytes()[: len(FILE_MAGIC)] == FILE_MAGIC):
            with mapped(path) as content:
                if content is None:
                    continue
                for head in scan(content):
                    if head.kind == kind:
                        yield path.relative_to(self.directory).as_posix(), head, content[head.body]

    def _small_files(self, keys: list[bytes]) -> Opened:
        for path in self._files(lambda path: path.suffix in SEALED_BY_NODE_KEY):
            for key in keys:
                with contextlib.suppress(KeysError):
                    opened = open_whole(key, path.read_bytes(), SEALED_BY_NODE_KEY[path.suffix])
                    yield path.relative_to(self.directory).as_posix(), opened

    def _files(self, wanted: Callable[[Path], bool]) -> Iterator[Path]:
        yield from (path for path in sorted(self.directory.rglob("*")) if path.is_file() and wanted(path))


def _copied_if_there(source: str, destination: str) -> str:
    """Copy a file; one that went meanwhile is not there to be taken."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(source, destination)
    return destination


def opened_objects(service: RunningService, but: set[str]) -> Opened:
    """Yield what stands in the objects of all recordings, save those in `but`; sound also as samples.

    Every version is opened, as a rebuild of the catalogue would: by keyring, key store and bucket.
    """
    settings = at_rest.environment(service)
    store = DirectoryKeyStore(Path(settings["EARWITNESS_KEY_STORE"].removeprefix("dir:")))
    vault = KekVault(root_of(service), store)
    found: dict[tuple[str, str], list[tuple[str, bytes]]] = {}
    for key, octets in at_rest.objects(service):
        tenant, _, rest = key.partition("/")
        recording, _, kind = rest.partition("/")
        if kind in {item.value for item in ObjectKind} and recording not in but:
            found.setdefault((tenant, recording), []).append((kind, octets))
    for (tenant, recording), objects in found.items():
        header, record = split(next(octets for kind, octets in objects if kind == ObjectKind.RECORD))
        place = TenantId(tenant), RecordingId(recording)
        data_key = open_data_key(vault, *place, header.kek_id, header.wrapped_key).key
        for kind, octets in objects:
            binding = object_binding(*place, ObjectKind(kind))
            sealed, pin = (
                (record, header.record) if kind == ObjectKind.RECORD else (octets, _pin(header, kind))
            )
            content = open_sealed(data_key, binding, sealed, pin)
            yield f"{kind} of {recording}", content
            if kind == ObjectKind.AUDIO:
                yield from _channels(recording, content)


def _pin(header: RecordHeader, kind: str) -> SealPin:
    stored = next(item for item in header.objects if item.kind == kind)
    return SealPin(stored.plaintext_bytes, stored.ciphertext_bytes, stored.segments, stored.commitment)


def _channels(recording: str, flac: bytes) -> Opened:
    samples, _ = soundfile.read(io.BytesIO(flac), dtype="int16", always_2d=True)
    for number, channel in enumerate(np.asarray(samples).T):
        yield f"channel {number} of {recording}", channel.tobytes()
