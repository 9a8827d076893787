"""Signalling's part of the journal: the key, the slot and the newest state of every recording.

Rules: a slot is written before the state that is sealed under its key, and both
before the answer that invites audio; `sync` makes them durable a moment later and
may run in a thread. A slot is overwritten only when the recording was archived, or
may not exist. A journal file goes when no live slot needs it.

Not here: audio in the journal (`recorder.capture`), reading it (`recorder.finaliser`).
"""

from __future__ import annotations

import fcntl
import secrets
import time
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from uuid import UUID

import structlog

from keys.node_key import load_or_create
from keys.root import Root
from recorder.journal.cut import cut
from recorder.journal.format import SIGNALLING, JournalUnavailable
from recorder.journal.reader import file_names, read_states, scan_files
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
        self._writer = JournalWriter(journal_dir / SIGNALLING)
        self._writer.open()
        self._files: dict[str, frozenset[bytes]] = {}
        self._unneeded: deque[str] = deque()

    @property
    def trouble(self) -> str | None:
        """Why the journal can't be written now, or None."""
        return self._writer.trouble

    def recover(self) -> dict[bytes, CallState]:
        """Return the newest state of every live recording, after a restart.

        A slot without a state was given in the instant of the crash, before its call was
        answered: it holds no audio and is freed.
        """
        keys = self.slots.live()
        states = read_states(self.journal_dir, keys)
        for uid in keys.keys() - states.keys():
            self.slots.erase(uid)
        self._files |= self._left
        self._sweep()
        recovered = {}
        for uid, blob in states.items():
            try:
                recovered[uid] = CallState.from_json(blob)
            except (ValueError, KeyError, TypeError) as error:
                # The others go on; this one stays in the journal for the release that wrote it.
                _log.error("the state of a recording can't be read", uid=uid.hex(), error=repr(error))
        return recovered

    def key_of(self, uid: bytes) -> bytes:
        """Return the call key of a live recording; raises KeyError when it was destroyed."""
        return self.slots.live()[uid]

    def holds(self, uid: bytes) -> bool:
        """Tell whether a recording still has its slot."""
        return uid in self.slots.live()

    def open(self, uid: bytes, now_ns: int) -> bytes:
        """Give a recording its key and slot and return the key; its state is written next."""
        call_key = secrets.token_bytes(CALL_KEY_BYTES)
        self.slots.allocate(uid, call_key, now_ns)
        return call_key

    def write(self, uid: bytes, state: CallState) -> None:
        """Journal the newest state of a live recording; of a destroyed one nothing is written."""
        key = self.slots.live().get(uid)
        if key is not None:
            self._writer.append_state(uid, key, state.to_json())
            self._writer.commit()

    def destroy(self, uid: bytes) -> None:
        """Overwrite the slot: nothing of the recording opens any more, for good once `sync` ran."""
        self.slots.overwrite(uid)
        self._writer.forget(uid)
        self._sweep()

    def cut(self, uid: bytes, at_ns: int, state: CallState) -> None:
        """Destroy the audio of a recording from `at_ns` on; its track is closed already."""
        cut(self.journal_dir, self.slots, self._writer, uid, self.key_of(uid), at_ns, state.to_json())

    def sync(self) -> None:
        """Make slots and states durable, and remove files nobody needs; may run in a thread."""
        self.slots.sync()
        self._writer.sync()
        while self._unneeded:
            (self.journal_dir / self._unneeded.popleft()).unlink(missing_ok=True)

    def rotate(self) -> None:
        """Note files of our own that are complete; call this about once a second."""
        self._writer.commit()
        for closed in self._writer.take_closed():
            self.file_closed(closed.name, closed.uids)

    def file_closed(self, name: str, uids: frozenset[bytes]) -> None:
        """Note a file that will not grow any more; it goes when none of `uids` is live."""
        self._files[name] = uids
        self._sweep()

    def files_of(self, writer: str) -> list[str]:
        """Return the files of a writer that ended, as far as they were not noted before."""
        names = file_names(self.journal_dir)
        return [name for name in names if name.startswith(f"{writer}/") and name not in self._files]

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

    def _sweep(self) -> None:
        """Remove the complete files that no live recording needs."""
        live = self.slots.live().keys()
        for name in [name for name, uids in self._files.items() if uids.isdisjoint(live)]:
            del self._files[name]
            # A file of 256 MB takes a while to remove, and signalling must not wait for that.
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
