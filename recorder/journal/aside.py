"""The file of a call set aside: what the journal holds of one ended call, in a file of its own.

    aside/UID.journal   SEGMENT_KEY …, AUDIO …, COPIED, STATE, INDEX; UID as 32 hex digits

COPIED says of each file the frames were copied from how far they were: name, creation
and offset of the call's last frame there. So that file is not needed for this call, and
a state of the call that stands further on in it is newer than the one here. Its body is
a nonce (12) and AES-256-GCM under the call key, associated data "copied" and uid: it
speaks only as long as the key is in force under which the copy was made.

Rules: bytes and names only. Not here: making the copy (`recorder.journal.set_aside`).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from mmap import mmap
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recorder.journal.format import FILE_SUFFIX, FrameHead, FrameKind, read_head
from recorder.journal.segment import open_state

ASIDE = "aside"
DRAFT_SUFFIX = ".draft"
_NONCE_BYTES = 12
_ENTRY = struct.Struct("<QQH")  # creation of the file, offset of the last frame, length of the name


class Copied(NamedTuple):
    """How far a file was copied: it was begun at `begun_ns`, the last frame stands at `tail`."""

    begun_ns: int
    tail: int


@dataclass(frozen=True, slots=True)
class Ending:
    """What the end of the file says: what was copied, by file name, and the call's state then."""

    copied: Mapping[str, Copied]
    state: bytes


def aside_name(uid: bytes) -> str:
    """Return the name of a call's file, relative to the journal directory."""
    return f"{ASIDE}/{uid.hex()}{FILE_SUFFIX}"


def draft_name(uid: bytes) -> str:
    """Return the name under which the file is written until it is complete and durable."""
    return f"{ASIDE}/{uid.hex()}{DRAFT_SUFFIX}"


def seal_copied(call_key: bytes, uid: bytes, copied: Mapping[str, Copied]) -> bytes:
    """Return a COPIED body."""
    names = {name: name.encode() for name in copied}
    entries = [_ENTRY.pack(*copied[name], len(octets)) + octets for name, octets in names.items()]
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(call_key).encrypt(nonce, b"".join(entries), b"copied" + uid)


def read_ending(content: mmap, tail: int, uid: bytes, call_key: bytes) -> Ending | None:
    """Return what the file says whose last frame of the call is at `tail`.

    None when it does not open: another key is in force, or the disk altered it.
    """
    cipher = AESGCM(call_key)
    last = _frame(content, tail, FrameKind.STATE, uid)
    before = _frame(content, last.previous, FrameKind.COPIED, uid) if last else None
    if last is None or before is None:
        return None
    state = open_state(cipher, uid, content[last.body])
    copied = _open_copied(cipher, uid, content[before.body])
    return None if state is None or copied is None else Ending(copied, state)


def _frame(content: mmap, offset: int, kind: FrameKind, uid: bytes) -> FrameHead | None:
    head = read_head(content, offset)
    return head if head is not None and (head.kind, head.uid) == (kind, uid) else None


def _open_copied(cipher: AESGCM, uid: bytes, body: bytes) -> dict[str, Copied] | None:
    try:
        entries = cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], b"copied" + uid)
    except InvalidTag:
        return None
    copied: dict[str, Copied] = {}
    offset = 0
    while offset < len(entries):
        begun_ns, tail, length = _ENTRY.unpack_from(entries, offset)
        offset += _ENTRY.size + length
        copied[entries[offset - length : offset].decode()] = Copied(begun_ns, tail)
    return copied
