"""Appends frames to the journal of one process, and keeps them until they are durable.

Frames are gathered by `append…`, written by `commit` in one go, and made durable by
`sync`, which may run in a thread of its own. A write or sync that fails poisons its
file: what was not yet durable is still in memory and is written again to a new file
(fsync can't be retried: the kernel may have dropped the pages). While the disk keeps
failing, the last ten seconds are kept.

Rules: `append…`, `commit`, `tails`, `take_closed` and `close` belong to one thread.
A directory belongs to one process, by a lock. An epoch file is never reopened for
writing, as no segment key is ever continued. Nothing here knows what a body says,
but for the two calls that make one.
"""

from __future__ import annotations

import fcntl
import fnmatch
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from recorder.journal.file import JournalFile
from recorder.journal.format import (
    FILE_HEADER_BYTES,
    FILE_SUFFIX,
    FRAME_HEAD_BYTES,
    NO_UID,
    FrameKind,
    JournalUnavailable,
    created_ns,
    file_header,
    frame_head,
    index_body,
    read_head,
)
from recorder.journal.heads import FIRST_COUNTER, Heads, chain, frame_bytes, link
from recorder.journal.segment import AudioFacts, Segment, seal_state
from recorder.rtp.batch import Indices

FILE_AGE_S_MAX = 60.0
FILE_BYTES_MAX = 256 * 1024 * 1024
KEPT_S_MAX = 10.0  # 190 MB at a thousand calls; a disk that fails for longer loses audio, and says so
RETRY_S = 1.0
_LOCK_POLL_S = 0.05
_KIND_AT = 12  # where the kind stands in a frame's header


@dataclass(frozen=True, slots=True)
class ClosedFile:
    """A file that will not grow any more, and the calls that stand in it."""

    name: str
    uids: frozenset[bytes]


@dataclass(slots=True)
class _Chunk:
    """What one commit wrote; `number` is the oldest commit in it that waits to be durable."""

    number: int
    made_at: float
    file: JournalFile
    end: int
    parts: list[bytes]
    emptied: bool = False

    def empty(self) -> None:
        """Give up the audio, but not the small frames that other audio can't be opened without."""
        pairs = zip(self.parts[::2], self.parts[1::2], strict=True)
        self.parts = [part for pair in pairs if pair[0][_KIND_AT] != FrameKind.AUDIO for part in pair]
        self.emptied = True


class JournalWriter:
    """The journal of one writer directory."""

    def __init__(
        self,
        directory: Path,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._wall_ns = wall_ns
        self._monotonic = monotonic
        self._lock = -1
        self._syncing = Lock()
        self._file: JournalFile
        self.epoch = 0  # of the file that frames go to now; a segment repeats its key in each
        self._closing: list[JournalFile] = []
        self._closed: list[ClosedFile] = []
        self._parts: list[bytes] = []
        self._kept: deque[_Chunk] = deque()
        self._number = 0
        self._counter = FIRST_COUNTER
        self._past: dict[bytes, dict[str, int]] = {}
        self._retry_at = 0.0
        self.trouble: str | None = None
        self.lost_commits = 0

    def open(self, wait_s: float = 0.0) -> None:
        """Lock the directory and begin a new epoch; raises JournalUnavailable after `wait_s`."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._take_lock(wait_s)
            with os.scandir(self._directory) as entries:
                names = fnmatch.filter((entry.name for entry in entries), f"epoch-*{FILE_SUFFIX}")
            last = max(names, default=None)
            before = _begun(self._directory / last) if last else 0
            number = int(last.removeprefix("epoch-").removesuffix(FILE_SUFFIX)) if last else 0
            self._file = self._create(number + 1, before)
        except OSError as error:
            raise JournalUnavailable(
                f"The journal can't be opened: {error.strerror}; see its disk."
            ) from error

    def _take_lock(self, wait_s: float) -> None:
        self._lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = self._monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if self._monotonic() >= deadline:
                    raise JournalUnavailable(
                        "Another process writes this journal; wait until it has ended."
                    ) from error
                time.sleep(_LOCK_POLL_S)
            else:
                return

    def _create(self, epoch: int, before_ns: int) -> JournalFile:
        # Readers order files by this time, so a clock that was set back must not reorder one writer's files.
        begun_ns = max(self._wall_ns(), before_ns + 1)
        file = JournalFile(self._directory, epoch, begun_ns, self._monotonic())
        self.epoch = epoch
        return file

    def append(self, kind: int, uid: bytes, body: bytes, rest: bytes = b"") -> None:
        """Gather one frame, whose body may come in two parts, for the next commit."""
        file = self._file
        place, size = file.place(uid), len(body) + len(rest)
        head = frame_head(kind, uid, size, int(file.offsets[place]))
        self._parts += (head + body, rest)
        file.offsets[place] = file.position
        file.position += FRAME_HEAD_BYTES + size

    def append_audio(self, segment: Segment, facts: AudioFacts, content: bytes) -> None:
        """Seal and gather one frame of audio: `content` is the rows and payloads of its packets."""
        self.append(FrameKind.AUDIO, segment.uid, *segment.seal(facts, content))

    def place(self, uid: bytes) -> int:
        """Return the number of a call for `link`; it holds for this `epoch`."""
        return self._file.place(uid)

    def link(self, heads: Heads, places: Indices, packets: Indices) -> bytes:
        """Complete the heads of plain AUDIO frames that `extend` gathers next, in this order."""
        file = self._file
        sizes = frame_bytes(packets)
        ends = np.cumsum(sizes) + file.position
        link(heads, chain(places, ends - sizes, file.offsets), self._counter)
        self._counter += len(heads)
        file.position = int(ends[-1])
        return heads.tobytes()

    def extend(self, parts: list[bytes]) -> None:
        """Gather frames whose heads were linked: head and sealed part of each in turn."""
        self._parts += parts

    def append_state(self, uid: bytes, call_key: bytes, blob: bytes) -> None:
        """Gather a call's state, sealed under its key."""
        self.append(FrameKind.STATE, uid, seal_state(call_key, uid, blob))

    def open_segment(self, uid: bytes, call_key: bytes, started_ns: int) -> Segment:
        """Begin a segment and gather its key."""
        segment = Segment(uid, call_key, started_ns)
        self.append(FrameKind.SEGMENT_KEY, uid, segment.key_body)
        return segment

    def commit(self) -> int:
        """Write all that was gathered and return the number to ask `is_durable` for."""
        self._number += 1
        self._prune()
        number = self._salvage() if self._poisoned() else self._number
        if self._parts:
            parts, self._parts = self._parts, []
            self._kept.append(_Chunk(number, self._monotonic(), self._file, self._file.position, parts))
            if self._file.failure is None:
                self._file.write(parts)
        self._note_trouble()
        if self._rotation_due():
            self._rotate()
        return self._number

    def sync(self) -> OSError | None:
        """Make all that was committed durable; return the failure where a disk did not take it.

        It shows in `trouble` after the next commit, which writes everything again.
        """
        with self._syncing:
            files = (*self._closing, self._file)
            for file in files:
                file.sync()
        return next((file.failure for file in files if file.failure is not None), None)

    def is_durable(self, number: int) -> bool:
        """Say whether commit `number`, with all before it, would survive a power cut."""
        self._prune()
        return not self._kept or self._kept[0].number > number

    def tails(self, uid: bytes) -> dict[str, int]:
        """Return, for each file a call stands in, the offset of its last frame there.

        An offset of 0 says that the file failed and has to be searched.
        """
        found = dict(self._past.get(uid, {}))
        for file in (*self._closing, self._file):
            tail = file.tail(uid)
            if tail is not None:
                found[file.name] = tail
        return found

    def forget(self, uid: bytes) -> None:
        """Stop remembering where a call stands; its frames stay."""
        self._past.pop(uid, None)

    def take_closed(self) -> list[ClosedFile]:
        """Return the files that were closed since the last time."""
        self._prune()
        closed, self._closed = self._closed, []
        return closed

    def close(self) -> None:
        """Write and sync everything, close the last file and give up the lock."""
        self.commit()
        if self._file.failure is None:
            self._finish(self._file)
        self.sync()
        self._prune()
        for file in (*self._closing, self._file):
            file.close()
            self._closed.append(ClosedFile(file.name, frozenset(file.tails())))
        self._closing = []
        os.close(self._lock)

    def _prune(self) -> None:
        """Let go of what is durable, of what is too old to keep, and of files that are complete."""
        while self._kept and self._kept[0].file.synced >= self._kept[0].end:
            self._kept.popleft()
        horizon = self._monotonic() - KEPT_S_MAX
        for chunk in self._kept:
            if chunk.made_at >= horizon:
                break
            if not chunk.emptied:
                chunk.empty()
        for file in [item for item in self._closing if item.synced >= item.size or item.failure is not None]:
            # A failed file goes only after its unsynced frames moved to another one.
            if not any(chunk.file is file for chunk in self._kept):
                self._retire(file)

    def _retire(self, file: JournalFile) -> None:
        self._closing.remove(file)
        file.close()
        self._closed.append(ClosedFile(file.name, frozenset(file.tails())))
        for uid, tail in file.tails().items():
            self._past.setdefault(uid, {})[file.name] = tail

    def _poisoned(self) -> bool:
        return self._file.failure is not None or any(file.failure is not None for file in self._closing)

    def _salvage(self) -> int:
        """Move what is not durable in a failed file to a healthy one; return the oldest commit moved."""
        self._note_trouble()
        if self._file.failure is not None and not self._replace():
            return self._number
        moved = [chunk for chunk in self._kept if chunk.file.failure is not None]
        self._kept = deque(chunk for chunk in self._kept if chunk.file.failure is None)
        self.lost_commits += sum(chunk.emptied for chunk in moved)
        waiting, self._parts = self._parts, []
        for parts in (*(chunk.parts for chunk in moved), waiting):
            self._append_again(parts)
        return min([chunk.number for chunk in moved], default=self._number)

    def _replace(self) -> bool:
        """Begin a new file in place of the failed one; False while that fails too."""
        now = self._monotonic()
        if now < self._retry_at:
            return False
        self._retry_at = now + RETRY_S
        try:
            file = self._create(self._file.epoch + 1, self._file.created_ns)
        except OSError:
            return False
        failed, self._file = self._file, file
        if failed.size > FILE_HEADER_BYTES:
            self._closing.append(failed)
        else:
            failed.discard()
        return True

    def _append_again(self, parts: list[bytes]) -> None:
        """Gather frames once more, with headers that fit the file they go to now."""
        frames = file_header(0) + b"".join(parts)
        offset = FILE_HEADER_BYTES
        while offset < len(frames):
            head = read_head(frames, offset)
            assert head is not None, "A frame that was made here can be read here."
            self.append(head.kind, head.uid, frames[head.body])
            offset = head.end

    def _note_trouble(self) -> None:
        failure = self._file.failure
        if failure is not None:
            self.trouble = f"The journal can't be written: {failure.strerror or failure}."
        elif self._file.synced >= FILE_HEADER_BYTES:
            self.trouble = None

    def _rotation_due(self) -> bool:
        file = self._file
        if file.failure is not None or file.position == FILE_HEADER_BYTES:
            return False
        return file.size >= FILE_BYTES_MAX or self._monotonic() - file.opened_at >= FILE_AGE_S_MAX

    def _rotate(self) -> None:
        try:
            file = self._create(self._file.epoch + 1, self._file.created_ns)
        except OSError as error:
            # The old file still works: go on in it and try again with the next commit.
            self.trouble = f"The journal can't begin a new file: {error.strerror or error}."
            return
        finished, self._file = self._file, file
        self._finish(finished)
        self._closing.append(finished)

    def _finish(self, file: JournalFile) -> None:
        """End a file with the INDEX of its calls."""
        body = index_body(file.tails(), file.position)
        file.write([frame_head(FrameKind.INDEX, NO_UID, len(body), 0), body])


def _begun(path: Path) -> int:
    with path.open("rb") as file:
        return created_ns(file.read(FILE_HEADER_BYTES)) or 0
