"""Leaves of the log: one for each audit entry, and how they are written in objects.

A leaf is the line `<sequence> <hash of the entry> <writer>`; its octets are what the
tree hashes. So the tree says of every entry who wrote it, as which one, and that it was
what its hash says; bodies stay out of it and may be erased. A segment is the leaves
from one checkpoint to the next, a line each, in the order of the tree.

Rules: pure. Names of objects sort as the sizes in them do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from archive.errors import VerificationFailed
from archive.transparency.tree import leaf_hash

SEGMENT_LEAVES_MAX = 1000
"""As many entries wait for a checkpoint at most; the segment then has some 100 kB."""

SEGMENT_BYTES_MAX = SEGMENT_LEAVES_MAX * 640
"""A writer's name has up to 512 characters; a segment beyond this is something else."""

ROOT_PREFIX = "audit/"
KEYS_PREFIX = "audit/keys/"
_DIGITS = 12  # a thousand entries a second for thirty years
_LINE = re.compile(r"([1-9][0-9]{0,17}) ([0-9a-f]{64}) ([^\n]{1,512})")


class Leaf(NamedTuple):
    """An entry's place in its writer's chain, and its hash in hex."""

    writer: str
    sequence: int
    entry_hash: str

    def line(self) -> str:
        """Return what the tree hashes, as text."""
        return f"{self.sequence} {self.entry_hash} {self.writer}"

    def hash(self) -> bytes:
        """Return the hash at the bottom of the tree."""
        return leaf_hash(self.line().encode())


def segment(leaves: Iterable[Leaf]) -> bytes:
    """Return a segment as it is stored."""
    return "".join(f"{leaf.line()}\n" for leaf in leaves).encode()


def read_leaf(line: str) -> Leaf:
    """Read one line; raises VerificationFailed when it is not in the one form of a leaf."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise VerificationFailed("this is no line of a leaf")
    return Leaf(found[3], int(found[1]), found[2])


NAME = re.compile(
    rf"audit/(keys/[1-9][0-9]{{0,8}}-[0-9a-f]{{8}}"
    rf"|[1-9][0-9]{{0,8}}/(leaves/[0-9]{{{_DIGITS}}}-|checkpoints/|tokens/)[0-9]{{{_DIGITS}}})"
)
"""What an object of a log may be called."""


def log_prefix(log: int) -> str:
    """Return what the names of all objects of a log begin with."""
    return f"{ROOT_PREFIX}{log}/"


def segment_key(log: int, first: int, end: int) -> str:
    """Return the name of the segment of the leaves from `first` to below `end`."""
    return f"{log_prefix(log)}leaves/{first:0{_DIGITS}}-{end:0{_DIGITS}}"


def segments_prefix(log: int) -> str:
    """Return what the names of a log's segments begin with."""
    return f"{log_prefix(log)}leaves/"


def tokens_prefix(log: int) -> str:
    """Return what the names of a log's time stamps begin with."""
    return f"{log_prefix(log)}tokens/"


def checkpoints_prefix(log: int) -> str:
    """Return what the names of a log's checkpoints begin with."""
    return f"{log_prefix(log)}checkpoints/"


def checkpoint_key(log: int, size: int) -> str:
    """Return the name of the checkpoint of a size."""
    return f"{checkpoints_prefix(log)}{size:0{_DIGITS}}"


def token_key(log: int, size: int) -> str:
    """Return the name of the time-stamp token over the checkpoint of a size."""
    return f"{log_prefix(log)}tokens/{size:0{_DIGITS}}"
