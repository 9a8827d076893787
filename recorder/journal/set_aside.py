"""Copies what the journal holds of one ended call to a file of its own, so that its neighbours' files can go.

A call that may still be kept for days after its end would else hold every file it
stands in, with all calls beside it, for as long. Frames are copied as they stand:
audio is not opened; what no longer opens under the call key (a cut took it) stays behind.

Order: written to a draft, synced, named, the name synced; only then may signalling let
go of the files (`CallBook.adopt_aside`). A crash before leaves a draft or a second copy:
the reader takes each record once, and recovery removes what belongs to no live call.

Rules: the call has ended, and its track is closed. Nothing of the journal is changed.
This takes as long as the disk does, for 60 MB of an hour's call; run it in a thread, one
call at a time. Not here: how the file looks (`recorder.journal.aside`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import NoReturn

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recorder.journal.aside import ASIDE, Copied, aside_name, draft_name, seal_copied
from recorder.journal.format import (
    FILE_HEADER_BYTES,
    FRAME_HEAD_BYTES,
    NO_UID,
    SIGNALLING,
    FrameHead,
    FrameKind,
    JournalError,
    JournalUnavailable,
    created_ns,
    file_header,
    frame_head,
    index_body,
)
from recorder.journal.reader import file_names, frames_of, mapped, newest_state, read_states, writer_of
from recorder.journal.segment import SEGMENT_ID_BYTES, seal_state, unwrap_segment_key

SYNC_BYTES = 4 * 1024 * 1024
"""Made durable in pieces, so that the syncs of running calls never wait behind a whole hour."""

_WRITE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Aside:
    """A copy that is complete and durable: of which call, under which key, and how far of each file."""

    uid: bytes
    call_key: bytes = field(repr=False)
    copied: Mapping[str, Copied]

    @property
    def name(self) -> str:
        """Where the copy stands, relative to the journal directory."""
        return aside_name(self.uid)


def set_aside(
    journal_dir: Path, uid: bytes, call_key: bytes, tails: Mapping[str, int] | None = None
) -> Aside:
    """Copy the frames of an ended call.

    `tails` says, for each file of capture and signalling the call stands in, where its last
    frame is (0: look it up); without, all files are searched. Raises JournalUnavailable when
    the disk does not take the copy, JournalError when something of the call is damaged or
    missing: then it stays where it is, so that the damage is told when it is read. In both
    cases nothing has changed.
    """
    sources = _sources(journal_dir, uid, tails)
    # Read after the sources: what is noted as copied is never newer than the state that stands for it.
    state = _state(journal_dir, uid, call_key, tails, sources)
    copied = {
        source.name: Copied(source.begun_ns, source.heads[-1].offset)
        for source in sources
        if source.name != aside_name(uid)
    }
    try:
        with _draft(journal_dir, uid, min(source.begun_ns for source in sources)) as draft:
            for kind, body in _living(journal_dir, sources, uid, AESGCM(call_key)):
                draft.append(kind, body)
            draft.append(FrameKind.COPIED, seal_copied(call_key, uid, copied))
            draft.append(FrameKind.STATE, seal_state(call_key, uid, state))
            draft.finish()
            _name(journal_dir, uid)
    except OSError as error:
        raise JournalUnavailable(
            f"A call can't be set aside: {error.strerror or error}; see the disk of the journal."
        ) from error
    return Aside(uid, call_key, copied)


@dataclass(frozen=True, slots=True)
class _Source:
    """A file with frames of the call."""

    name: str
    begun_ns: int
    heads: list[FrameHead]


def _sources(journal_dir: Path, uid: bytes, tails: Mapping[str, int] | None) -> list[_Source]:
    """Return the files the call stands in, in reading order; raises JournalError when one is damaged."""
    sources: list[_Source] = []
    for name in file_names(journal_dir, uid) if tails is None else tails:
        with mapped(journal_dir / name) as content:
            if content is None and tails is not None:
                _refuse(name, 0)
            heads = frames_of(name, content, uid, (tails or {}).get(name, 0), _refuse) if content else []
            if content is not None and heads:
                sources.append(_Source(name, created_ns(content) or 0, heads))
    return sorted(sources, key=lambda source: (writer_of(source.name) == SIGNALLING, source.begun_ns))


def _state(
    journal_dir: Path, uid: bytes, call_key: bytes, tails: Mapping[str, int] | None, sources: list[_Source]
) -> bytes:
    """Return the newest state of the call; raises JournalError."""
    state = None
    if tails is None:
        # An earlier copy may be among the sources; which state is newer then, the reader knows.
        state = read_states(journal_dir, {uid: call_key}).get(uid)
    for source in reversed(sources if tails is not None else []):
        with mapped(journal_dir / source.name) as content:
            if state is None and content is not None:
                state = newest_state(content, source.heads, AESGCM(call_key))
    if state is None:
        raise JournalError("A call can't be set aside without its state; it stays in the journal's files.")
    return state


def _refuse(name: str, offset: int) -> NoReturn:
    raise JournalError(f"A call can't be set aside: {name} is damaged at {offset}. It stays where it is.")


def _living(
    journal_dir: Path, sources: list[_Source], uid: bytes, cipher: AESGCM
) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and body of each frame to copy: segment keys that open, then the audio under them."""
    living: set[bytes] = set()
    for body in _bodies(journal_dir, sources, FrameKind.SEGMENT_KEY):
        segment = unwrap_segment_key(cipher, uid, body)
        if segment is not None and segment.segment_id not in living:
            living.add(segment.segment_id)
            yield FrameKind.SEGMENT_KEY, body
    seen: set[bytes] = set()
    for body in _bodies(journal_dir, sources, FrameKind.AUDIO):
        # Not known by its counter: of a frame that stands twice, one may be damaged.
        digest = blake2b(body, digest_size=16).digest()
        if body[:SEGMENT_ID_BYTES] in living and digest not in seen:
            seen.add(digest)
            yield FrameKind.AUDIO, body


def _bodies(journal_dir: Path, sources: list[_Source], kind: FrameKind) -> Iterator[bytes]:
    for source in sources:
        with mapped(journal_dir / source.name) as content:
            if content is None:
                _refuse(source.name, 0)
            for head in source.heads:
                if head.kind == kind:
                    yield content[head.body]


class _Draft:
    """The copy while it is written."""

    def __init__(self, descriptor: int, uid: bytes, begun_ns: int) -> None:
        self._descriptor = descriptor
        self._uid = uid
        self._waiting = bytearray(file_header(begun_ns))
        self._position = FILE_HEADER_BYTES
        self._tail = 0
        self._unsynced_bytes = 0

    def append(self, kind: int, body: bytes) -> None:
        """Add a frame; raises OSError."""
        self._waiting += frame_head(kind, self._uid, len(body), self._tail) + body
        self._tail = self._position
        self._position += FRAME_HEAD_BYTES + len(body)
        if len(self._waiting) >= _WRITE_BYTES:
            self._write()

    def finish(self) -> None:
        """End with the INDEX and make all durable; raises OSError."""
        index = index_body({self._uid: self._tail}, self._position)
        self._waiting += frame_head(FrameKind.INDEX, NO_UID, len(index), 0) + index
        self._write()
        os.fdatasync(self._descriptor)

    def _write(self) -> None:
        rest, self._waiting = memoryview(self._waiting), bytearray()
        self._unsynced_bytes += len(rest)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        if self._unsynced_bytes >= SYNC_BYTES:
            self._unsynced_bytes = 0
            os.fdatasync(self._descriptor)


@contextlib.contextmanager
def _draft(journal_dir: Path, uid: bytes, begun_ns: int) -> Iterator[_Draft]:
    """Give a draft to write; it is removed when that fails, or when it has another name by then."""
    directory = journal_dir / ASIDE
    if not directory.is_dir():
        directory.mkdir(mode=0o700, exist_ok=True)
        _sync_directory(journal_dir)
    path = journal_dir / draft_name(uid)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield _Draft(descriptor, uid, begun_ns)
    except (OSError, JournalError):
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _name(journal_dir: Path, uid: bytes) -> None:
    """Give a durable draft its name, in place of an older copy."""
    os.replace(journal_dir / draft_name(uid), journal_dir / aside_name(uid))  # noqa: PTH105 - one call of the system
    _sync_directory(journal_dir / ASIDE)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
