"""Checkpoints: what the tree was at a moment, signed, in the form of C2SP signed notes.

A checkpoint is text: the lines of C2SP tlog-checkpoint (origin, size, root in base64),
then `time <RFC 3339>` and `previous <base64>`, the SHA-256 of the whole checkpoint
before it; an empty line; a line for each signature. Checkpoints so make a chain of
their own, and two of one size that differ are proof of a fork.

Rules: pure. One spelling: what is read back is made again and compared, so that nothing
can be said twice in different octets. Not here: where checkpoints are kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from archive.errors import VerificationFailed
from archive.transparency.tree import HASH_BYTES
from keys.signing_key import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey, verify

NOTE_BYTES_MAX = 4096
"""A checkpoint has some 300 octets; more is something else."""

NO_PREVIOUS = bytes(HASH_BYTES)
"""What the first checkpoint says of the one before it."""

KEY_ID_BYTES = 4
_ED25519 = b"\x01"
_NAME = re.compile(r"[!-*,-~]{1,200}")  # printable, no space, no plus sign: C2SP signed-note
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class Checkpoint:
    """The tree of `origin` had `size` leaves under `root` at that time; `previous` hashes the note before."""

    origin: str
    size: int
    root: bytes
    at: datetime
    previous: bytes

    def text(self) -> bytes:
        """Return what is signed."""
        time = self.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        root, previous = _base64(self.root), _base64(self.previous)
        return f"{self.origin}\n{self.size}\n{root}\ntime {time}\nprevious {previous}\n".encode()


@dataclass(frozen=True)
class PublicKey:
    """A key checkpoints are checked with, under its name."""

    name: str
    octets: bytes

    @property
    def id(self) -> bytes:
        """The four octets that name the key in a signature line."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.octets).digest()[:KEY_ID_BYTES]

    def line(self) -> str:
        """Return the key as C2SP writes it: `<name>+<id in hex>+<base64 of type and key>`."""
        return f"{self.name}+{self.id.hex()}+{_base64(_ED25519 + self.octets)}"


def public_key(line: str) -> PublicKey:
    """Read what `PublicKey.line` wrote; raises VerificationFailed for anything else."""
    name, _, rest = line.strip().partition("+")
    _, _, encoded = rest.partition("+")
    octets = _octets(encoded, len(_ED25519) + PUBLIC_KEY_BYTES)
    key = PublicKey(name, octets[len(_ED25519) :])
    if _NAME.fullmatch(name) is None or key.line() != line.strip():
        raise VerificationFailed("This is no public key of an audit log: it has the form NAME+ID+KEY.")
    return key


def sign(checkpoint: Checkpoint, name: str, key: SigningKey) -> bytes:
    """Return the checkpoint as a note signed under `name`; ValueError for a name notes can't carry."""
    if _NAME.fullmatch(name) is None or _NAME.fullmatch(checkpoint.origin) is None:
        raise ValueError("The name of a log or key has 1 to 200 characters, no space and no plus sign.")
    text = checkpoint.text()
    signature = PublicKey(name, key.public).id + key.sign(text)
    return text + f"\n— {name} {_base64(signature)}\n".encode()


def open_note(note: bytes, keys: Mapping[bytes, PublicKey]) -> Checkpoint:
    """Return what a note says after its signature held; `keys` by their ids.

    Raises VerificationFailed, saying what is wrong with it.
    """
    if len(note) > NOTE_BYTES_MAX:
        raise VerificationFailed(f"it has more than {NOTE_BYTES_MAX} octets")
    text, mark, signatures = note.partition("\n\n— ".encode())
    try:
        name, encoded = signatures.decode().removesuffix("\n").split(" ")
    except ValueError:
        raise VerificationFailed("it is no signed note") from None
    text += b"\n"
    signature = _octets(encoded, KEY_ID_BYTES + SIGNATURE_BYTES)
    key = keys.get(signature[:KEY_ID_BYTES])
    if not mark or key is None or key.name != name:
        raise VerificationFailed("no known key signed it")
    if not verify(key.octets, signature[KEY_ID_BYTES:], text):
        raise VerificationFailed("its signature does not hold")
    if note != text + f"\n— {name} {_base64(signature)}\n".encode():
        raise VerificationFailed("it is not in the one spelling of a note")
    return _read(text)


def note_hash(note: bytes) -> bytes:
    """Return the hash by which the next checkpoint names this one."""
    return hashlib.sha256(note).digest()


def _read(text: bytes) -> Checkpoint:
    try:
        origin, size, root, time, previous = text.decode().removesuffix("\n").split("\n")
        if _SIZE.fullmatch(size) is None:
            raise ValueError  # noqa: TRY301 - one way out for every line that is not as it must be
        checkpoint = Checkpoint(
            origin,
            int(size),
            _octets(root, HASH_BYTES),
            datetime.fromisoformat(time.removeprefix("time ")),
            _octets(previous.removeprefix("previous "), HASH_BYTES),
        )
    except ValueError:
        raise VerificationFailed("its lines are not those of a checkpoint") from None
    if checkpoint.at.tzinfo is None or checkpoint.text() != text:
        raise VerificationFailed("its lines are not those of a checkpoint")
    return checkpoint


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _octets(text: str, length: int) -> bytes:
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if len(octets) != length:
        raise VerificationFailed(f"it holds no {length} octets in base64 where they belong")
    return octets
