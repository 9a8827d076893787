"""The slots file: one 512-byte sector per live call, holding its key wrapped by the node key.

It is the only file of the journal in which anything is overwritten: overwriting a
slot is what destroys a call. A slot is one aligned sector, which a disk writes whole
or not at all, so after a crash either the old or the new key is in force.

    slot   magic "EWSLOT01" (8), uid (16), allocated: wall nanoseconds (8), nonce (12),
           AES-256-GCM of the call key (48; associated data "slot", uid), crc32 (4), zeros

Rules: used by signalling alone, which holds a lock on the file; a free slot is all
zeros. `allocate` and `rekey` are durable after `sync`, `erase` when it returns.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import struct
import zlib
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recorder.errors import LocalDefect
from recorder.journal.format import JournalUnavailable

SLOT_BYTES = 512
SLOT_COUNT_MAX = 2**20  # 72 hours of a store's outage at 14,000 calls an hour; half a gigabyte
_GROWTH_SLOTS = 256
_MAGIC = b"EWSLOT01"
_SLOT = struct.Struct("<8s16sQ12s48s")
_CRC = struct.Struct("<I")
_FREE = bytes(SLOT_BYTES)


class SlotsUnreadable(JournalUnavailable):
    """The slots do not open with this node key: the wrong key or keyring was given."""


class SlotsFull(JournalUnavailable):
    """No slot is free: calls wait to be archived, and no new one can be kept safe."""


class SlotsFile:
    """The keys of all live calls, on disk and in memory."""

    def __init__(self, path: Path, node_key: bytes) -> None:
        self._path = path
        self._cipher = AESGCM(node_key)
        self._descriptor = -1
        self._capacity = 0
        self._slot_of: dict[bytes, int] = {}
        self._keys: dict[bytes, bytes] = {}
        self._allocated_ns: dict[bytes, int] = {}
        self._free: list[int] = []
        self._unsynced: dict[int, bytes] = {}
        self._sync_failed = False
        self.damaged = 0

    def open(self) -> None:
        """Read all slots; raises SlotsUnreadable, or JournalUnavailable when another process has them."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise JournalUnavailable("Another process has the slots file; stop it first.") from error
        content = self._path.read_bytes()
        self._capacity = len(content) // SLOT_BYTES
        for index in range(self._capacity):
            self._load(index, content[index * SLOT_BYTES : (index + 1) * SLOT_BYTES])
        _sync_directory(self._path.parent)

    def _load(self, index: int, slot: bytes) -> None:
        found = _parse(slot)
        if found is None:
            # A torn slot can only be one whose allocation was never acknowledged.
            self.damaged += slot != _FREE
            heapq.heappush(self._free, index)
            return
        uid, allocated_ns, nonce, wrapped = found
        try:
            key = self._cipher.decrypt(nonce, wrapped, b"slot" + uid)
        except InvalidTag as error:
            raise SlotsUnreadable(
                "The slots file was written under another node key; restore that key."
            ) from error
        self._slot_of[uid] = index
        self._keys[uid] = key
        self._allocated_ns[uid] = allocated_ns

    def allocate(self, uid: bytes, call_key: bytes, now_ns: int) -> int:
        """Give a call a slot and return its number; raises SlotsFull. Durable after `sync`."""
        if uid in self._slot_of:
            raise LocalDefect("This call has a slot already; use rekey.")
        if not self._free:
            self._grow()
        index = heapq.heappop(self._free)
        self._slot_of[uid] = index
        self._allocated_ns[uid] = now_ns
        try:
            self._store(uid, call_key)
        except JournalUnavailable:
            del self._slot_of[uid], self._allocated_ns[uid]
            heapq.heappush(self._free, index)
            raise
        return index

    def rekey(self, uid: bytes, new_call_key: bytes) -> None:
        """Put another key in the slot of a call; the old one is gone after `sync`."""
        if uid not in self._slot_of:
            raise LocalDefect("A call without a slot can't get another key.")
        self._store(uid, new_call_key)

    def erase(self, uid: bytes) -> None:
        """Destroy a call: its key is gone when this returns. A call without a slot is already destroyed."""
        self.overwrite(uid)
        # Also for a call that is gone already: its overwriting may be what could not be synced before.
        if self._unsynced:
            self.sync()

    def overwrite(self, uid: bytes) -> None:
        """Destroy a call, for good after `sync`: for callers that can't wait for the disk."""
        index = self._slot_of.get(uid)
        if index is None:
            return
        self._write(index, _FREE)
        del self._slot_of[uid], self._keys[uid], self._allocated_ns[uid]
        heapq.heappush(self._free, index)

    def key_of(self, uid: bytes) -> bytes | None:
        """Return the call key of a call, None when it has no slot."""
        return self._keys.get(uid)

    def live(self) -> dict[bytes, bytes]:
        """Return the call key of each call that has a slot."""
        return dict(self._keys)

    def allocated_ns(self, uid: bytes) -> int:
        """Return when a call got its slot."""
        return self._allocated_ns[uid]

    def sync(self) -> None:
        """Make everything written so far durable; may run in a thread. Raises JournalUnavailable."""
        unsynced = dict(self._unsynced)
        try:
            if self._sync_failed:
                # The kernel may have dropped what it could not store; a sync alone would then succeed.
                for index, content in unsynced.items():
                    os.pwrite(self._descriptor, content, index * SLOT_BYTES)
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._sync_failed = True
            raise JournalUnavailable(
                "The slots file can't be synced; take the node out of service."
            ) from error

        self._sync_failed = False
        for index, content in unsynced.items():
            if self._unsynced.get(index) is content:
                del self._unsynced[index]

    def close(self) -> None:
        """Close the file and give up its lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _store(self, uid: bytes, call_key: bytes) -> None:
        nonce = os.urandom(12)
        wrapped = self._cipher.encrypt(nonce, call_key, b"slot" + uid)
        head = _SLOT.pack(_MAGIC, uid, self._allocated_ns[uid], nonce, wrapped)
        self._write(self._slot_of[uid], (head + _CRC.pack(zlib.crc32(head))).ljust(SLOT_BYTES, b"\0"))
        self._keys[uid] = call_key

    def _write(self, index: int, content: bytes) -> None:
        self._unsynced[index] = content
        try:
            written = os.pwrite(self._descriptor, content, index * SLOT_BYTES)
        except OSError as error:
            # The next sync writes it again, and says nothing is durable until that worked.
            self._sync_failed = True
            raise JournalUnavailable("The slots file can't be written; free or replace its disk.") from error
        if written != len(content):
            self._sync_failed = True
            raise JournalUnavailable("The slots file was written in part; free or replace its disk.")

    def _grow(self) -> None:
        """Append free slots, so that filling one later never changes the size of the file."""
        if self._capacity >= SLOT_COUNT_MAX:
            raise SlotsFull("All slots hold calls that wait to be archived; see why archiving stands still.")
        added = min(_GROWTH_SLOTS, SLOT_COUNT_MAX - self._capacity)
        for index in range(self._capacity, self._capacity + added):
            self._write(index, _FREE)
            heapq.heappush(self._free, index)
        self._capacity += added


def _parse(slot: bytes) -> tuple[bytes, int, bytes, bytes] | None:
    """Return uid, time, nonce and wrapped key of a slot, or None when it is free or torn."""
    magic, uid, allocated_ns, nonce, wrapped = _SLOT.unpack_from(slot)
    (crc,) = _CRC.unpack_from(slot, _SLOT.size)
    if magic != _MAGIC or crc != zlib.crc32(slot[: _SLOT.size]):
        return None
    return uid, allocated_ns, nonce, wrapped


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
