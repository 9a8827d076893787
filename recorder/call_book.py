"""Signalling's part of the journal: the key, the slot and the newest state of every recording.

Rules: a slot is written before the state that is sealed under its key, and both
before the answer that invites audio; `sync` makes them durable a moment later and
may run in a thread. A slot is overwritten only when the recording was archived, or
may not exist. A journal file goes when no live slot needs it. A call that waits long
after its end is set aside: copied in a thread, then its slot needs the copy alone.

    aside = await asyncio.to_thread(book.copying(uid, tails))  # tails of TrackClosed
    book.adopt_aside(aside)  # unless the call is being archived by now

Not here: audio in the journal (`recorder.capture`), reading it (`recorder.finaliser`).
"""

from __future__ import annotations

import fcntl
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from uuid import UUID

import structlog

from keys.node_key import load_or_create
from keys.root import Root
from recorder.journal.aside import ASIDE, DRAFT_SUFFIX, aside_name
from recorder.journal.cut import cut
from recorder.journal.format import SIGNALLING, JournalUnavailable
from recorder.journal.reader import copied_files, file_names, read_asides, read_states, scan_files
from recorder.journal.set_aside import Aside, set_aside
from recorder.journal.slots import SlotsFile
from recorder.journal.writer import JournalWriter
from recorder.state import CallState

CALL_KEY_BYTES = 32
LOCK_WAIT_S = 15.0
"""A recorder that was killed leaves capture processes that write their last second before they go."""

LOCK_POLL_S = 0.05

_log = structlog.get_logger()


def uid_of(recording_id: str) -> bytes:
    """Return the 16 bytes by which the journal knows a recording."""
    return UUID(recording_id).bytes


class CallBook:
    """All live recordings of this recorder, as the journal holds them."""

    def __init__(self, journal_dir: Path, root: Root) -> None:
        self.journal_dir = journal_dir
        journal_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.node_key = load_or_create(journal_dir / "node.key", root)
        self.slots = SlotsFile(journal_dir / "slots", self.node_key)
        self.slots.open()
        wait_for_writers(journal_dir, LOCK_WAIT_S)
        # Nobody writes now: these files are complete, and the ones that are begun from here on are not.
        self._left = scan_files(journal_dir)
        self.left_ns = max(((journal_dir / name).stat().st_mtime_ns for name in self._left), default=0)
        """When something was journalled last before this start, in wall time; 0 for never."""
        self._writer = JournalWriter(journal_dir / SIGNALLING)
        self._writer.open()
        self._known: set[str] = set()
        self._needed: dict[str, set[bytes]] = {}
        self._files_of: dict[bytes, set[str]] = {}
        self._copied: dict[bytes, dict[str, int]] = {}  # files a call set aside needs no more, up to a frame
        self._unneeded: deque[str] = deque()
        self._syncing = Lock()

    @property
    def trouble(self) -> str | None:
        """Why the journal can't be written now, or None."""
        return self._writer.trouble

    def recover(self) -> dict[bytes, CallState]:
        """Return the newest state of every live recording, after a restart.

        A slot without a state was given in the instant of the crash, before its call was
        answered: it is freed, unless the journal has audio of it after all.
        """
        keys = self.slots.live()
        asides = read_asides(self.journal_dir, keys)
        states = read_states(self.journal_dir, keys, asides)
        audio_files = [uids for name, uids in self._left.items() if not name.startswith(SIGNALLING)]
        captured = asides.keys() | frozenset[bytes]().union(*audio_files)
        for uid in keys.keys() - states.keys():
            if uid in captured:
                _log.error("a recording has audio and no state; its key is kept", uid=uid.hex())
            else:
                self.slots.erase(uid)
        self._copied = copied_files(self.journal_dir, asides)
        for name, uids in self._left.items():
            self._note_file(name, uids)
        self._drop_orphans()
        recovered = {}
        for uid, blob in states.items():
            try:
                recovered[uid] = CallState.from_json(blob)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                # The others go on; this one stays in the journal for the release that wrote it.
                _log.error("the state of a recording can't be read", uid=uid.hex(), error=repr(error))
        return recovered

    def key_of(self, uid: bytes) -> bytes:
        """Return the call key of a live recording; raises KeyError when it was destroyed."""
        key = self.slots.key_of(uid)
        if key is None:
            raise KeyError(uid.hex())
        return key

    def holds(self, uid: bytes) -> bool:
        """Tell whether a recording still has its slot."""
        return self.slots.key_of(uid) is not None

    def open(self, uid: bytes, now_ns: int) -> bytes:
        """Give a recording its key and slot and return the key; its state is written next."""
        call_key = secrets.token_bytes(CALL_KEY_BYTES)
        self.slots.allocate(uid, call_key, now_ns)
        return call_key

    def write(self, uid: bytes, state: CallState) -> None:
        """Journal the newest state of a live recording; of a destroyed one nothing is written."""
        key = self.slots.key_of(uid)
        if key is not None:
            self._writer.append_state(uid, key, state.to_json())
            self._writer.commit()

    def release(self, uid: bytes) -> None:
        """Overwrite the slot of an archived recording; durable after `sync`, for nobody waits for it."""
        self.slots.overwrite(uid)
        self._gone(uid)

    def destroy(self, uid: bytes) -> None:
        """Overwrite the slot: nothing of the recording opens when this returns, after a power cut neither."""
        self.slots.erase(uid)
        self._gone(uid)

    def cut(self, uid: bytes, at_ns: int, state: CallState) -> None:
        """Destroy the audio of a recording from `at_ns` on; its track is closed already."""
        # What it was copied from may hold less of it than the journal does from here on.
        self._copied.pop(uid, None)
        cut(self.journal_dir, self.slots, self._writer, uid, self.key_of(uid), at_ns, state.to_json())

    def copying(self, uid: bytes, tails: Mapping[str, int] | None = None) -> Callable[[], Aside]:
        """Return the work of copying an ended call to a file of its own, for a thread; one call at a time.

        `tails` is what TrackClosed said. Raises KeyError when the call was destroyed; what the
        work raises, `set_aside` says.
        """
        # What was set aside before stands in a file that `tails` does not tell of.
        known = None if tails is None or uid in self._copied else {**tails, **self._writer.tails(uid)}
        return partial(set_aside, self.journal_dir, uid, self.key_of(uid), known)

    def adopt_aside(self, aside: Aside) -> bool:
        """Let a call set aside need its copy alone, and what is written of it from here on.

        Not for a call that is being archived at the moment: the files it is read from would go
        meanwhile. False when nothing changes: the call is gone, and the copy goes too; or it was
        cut while it was copied, and the copy goes with it.
        """
        key = self.slots.key_of(aside.uid)
        if key is None:
            self._unneeded.append(aside.name)
        if key != aside.call_key:
            return False
        self._copied[aside.uid] = {name: copied.tail for name, copied in aside.copied.items()}
        needed = self._files_of.get(aside.uid, set())
        for name in [name for name in needed if self._is_copied(aside.uid, name)]:
            needed.discard(name)
            self._let_go(aside.uid, name)
        return True

    def tails_of(self, uid: bytes) -> dict[str, int] | None:
        """Return the `tails` by which a call set aside is read; None of another, or one cut since: search."""
        return {aside_name(uid): 0} if uid in self._copied else None

    def sync(self) -> None:
        """Make slots and states durable, and remove files nobody needs; may run in any thread.

        Raises JournalUnavailable when a disk did not take them: nothing may be confirmed then.
        """
        with self._syncing:
            # What becomes unneeded meanwhile waits for the next time: a file goes after the slot
            # that needed it.
            unneeded = len(self._unneeded)
            try:
                self.slots.sync()
            finally:
                failure = self._writer.sync()
            if failure is not None:
                raise JournalUnavailable(f"The journal can't be written: {failure.strerror or failure}.")
            for _ in range(unneeded):
                (self.journal_dir / self._unneeded.popleft()).unlink(missing_ok=True)

    def rotate(self) -> None:
        """Note files of our own that are complete; call this about once a second."""
        self._writer.commit()
        for closed in self._writer.take_closed():
            self.file_closed(closed.name, closed.uids)

    def file_closed(self, name: str, uids: frozenset[bytes]) -> None:
        """Note a file that will not grow any more; it goes when none of `uids` is live."""
        self._note_file(name, uids)

    def files_of(self, writer: str) -> list[str]:
        """Return the files of a writer that ended, as far as they were not noted before."""
        names = file_names(self.journal_dir)
        return [name for name in names if name.startswith(f"{writer}/") and name not in self._known]

    def read_files(self, names: Iterable[str]) -> dict[str, frozenset[bytes]]:
        """Return which recordings stand in these files; takes time and may run in a thread."""
        wanted = set(names)
        return {name: uids for name, uids in scan_files(self.journal_dir).items() if name in wanted}

    def close(self) -> None:
        """Write and sync everything."""
        self.sync()
        self._writer.close()
        self.slots.sync()
        self.slots.close()

    def _note_file(self, name: str, uids: frozenset[bytes]) -> None:
        """Remember which live recordings a complete file waits for; with none it goes."""
        self._known.add(name)
        needed = {uid for uid in uids if self.holds(uid) and not self._is_copied(uid, name)}
        for uid in needed:
            self._files_of.setdefault(uid, set()).add(name)
        self._needed[name] = needed
        if not needed:
            self._drop_file(name)

    def _is_copied(self, uid: bytes, name: str) -> bool:
        """Tell whether all that a file holds of a call stands in the copy of it."""
        tail = self._copied.get(uid, {}).get(name)
        # Capture writes nothing of a call that ended; signalling may have written more since.
        return tail is not None and self._writer.tails(uid).get(name, tail) == tail

    def _gone(self, uid: bytes) -> None:
        """Let go of the files that only this recording needed."""
        self._writer.forget(uid)
        self._copied.pop(uid, None)
        # Also a copy that nobody adopted goes with its call.
        self._unneeded.append(aside_name(uid))
        for name in self._files_of.pop(uid, ()):
            self._let_go(uid, name)

    def _let_go(self, uid: bytes, name: str) -> None:
        self._needed[name].discard(uid)
        if not self._needed[name]:
            self._drop_file(name)

    def _drop_orphans(self) -> None:
        """Have copies removed whose call is gone; one that was not complete goes at once: it is made anew."""
        living = {self.journal_dir / aside_name(uid) for uid in self.slots.live()}
        for path in (self.journal_dir / ASIDE).glob("*"):
            if path.suffix == DRAFT_SUFFIX:
                path.unlink()
            elif path not in living:
                self._unneeded.append(path.relative_to(self.journal_dir).as_posix())

    def _drop_file(self, name: str) -> None:
        """Have a file removed by the next `sync`: a large one takes a while, and signalling must not wait."""
        del self._needed[name]
        self._unneeded.append(name)


def wait_for_writers(journal_dir: Path, wait_s: float) -> None:
    """Return when no process writes the journal any more; raises JournalUnavailable after `wait_s`."""
    deadline = time.monotonic() + wait_s
    for path in journal_dir.glob("*/lock"):
        with path.open("rb") as lock:
            while not _is_free(lock.fileno()):
                if time.monotonic() >= deadline:
                    raise JournalUnavailable(
                        f"Another process writes {path.parent}; end it, or wait until it has."
                    )
                time.sleep(LOCK_POLL_S)


def _is_free(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def by_session(states: Mapping[bytes, CallState]) -> dict[str, dict[bytes, CallState]]:
    """Group recovered recordings by the dialog they belong to."""
    grouped: dict[str, dict[bytes, CallState]] = {}
    for uid, state in states.items():
        grouped.setdefault(state.session_id, {})[uid] = state
    return grouped
