"""The Merkle tree of RFC 9162 section 2.1: hashes, the growing tree, its two proofs and their checks.

A node stands at (level, index): level 0 is a leaf's hash, and the node at (level, index)
covers the leaves from index * 2**level on, 2**level of them. Only such perfect nodes
are kept; what the ragged right edge needs is computed.

Rules: pure; hashes are SHA-256, 32 octets. Proofs are made from whatever gives the hash
of a perfect node, so that a tree of millions never has to be in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()
"""The root of a tree without leaves (RFC 9162 section 2.1.1)."""

_LEAF = b"\x00"
_NODE = b"\x01"

NodeSource = Callable[[int, int], bytes]
"""Gives the hash of the perfect node at (level, index)."""


class Node(NamedTuple):
    """A perfect node: its place and its hash."""

    level: int
    number: int
    hash: bytes


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf that says `data`."""
    return hashlib.sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above two others."""
    return hashlib.sha256(_NODE + left + right).digest()


class Tree:
    """A tree that grows at its right edge; it remembers only the roots of its perfect parts."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """Begin empty, or go on with `size` leaves whose `peaks` are the hashes `peaks_of` names."""
        if len(peaks) != size.bit_count():
            raise ValueError(f"A tree of {size} leaves has {size.bit_count()} peaks, not {len(peaks)}.")
        self._size = size
        self._peaks = list(peaks)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    def append(self, leaf: bytes) -> list[Node]:
        """Add a leaf by its hash; return the perfect nodes this completes, the leaf first."""
        level, index, hash_ = 0, self._size, leaf
        made = [Node(level, index, hash_)]
        while index & 1:
            hash_ = node_hash(self._peaks.pop(), hash_)
            level, index = level + 1, index >> 1
            made.append(Node(level, index, hash_))
        self._peaks.append(hash_)
        self._size += 1
        return made

    def extend(self, leaf: bytes) -> None:
        """Add a leaf by its hash, as `append` does, without telling of nodes: twice as fast."""
        index, peaks, sha256 = self._size, self._peaks, hashlib.sha256
        while index & 1:
            leaf = sha256(_NODE + peaks.pop() + leaf).digest()
            index >>= 1
        peaks.append(leaf)
        self._size += 1

    def root(self) -> bytes:
        """Return the root over all leaves."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def peaks_of(size: int) -> Iterator[tuple[int, int]]:
    """Yield (level, index) of the perfect nodes a tree of `size` leaves is made of, from the left."""
    begin = 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            yield level, begin >> level
            begin += 1 << level


def inclusion_proof(index: int, size: int, node: NodeSource) -> list[bytes]:
    """Return the path from leaf `index` to the root of the first `size` leaves (RFC 9162 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError(f"A tree of {size} leaves has no leaf {index}.")
    path, begin, end = [], 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(begin, middle, node))
            begin = middle
    return path[::-1]


def consistency_proof(first: int, second: int, node: NodeSource) -> list[bytes]:
    """Return the proof that `second` leaves begin with the same `first` leaves (RFC 9162 2.1.4.1)."""
    if not 0 <= first <= second:
        raise ValueError(f"A tree of {second} leaves does not follow one of {first}.")
    if first in {0, second}:
        return []
    path, begin, end = [], 0, second
    while first != end:
        middle = begin + _split(end - begin)
        if first <= middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(begin, middle, node))
            begin = middle
    if begin:
        path.append(_range_root(begin, end, node))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tell whether `path` leads from a leaf's hash at `index` to `root` (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(
    first: int, second: int, path: Sequence[bytes], first_root: bytes, second_root: bytes
) -> bool:
    """Tell whether `path` shows that the second tree only added leaves (RFC 9162 2.1.4.2)."""
    if not 0 <= first <= second:
        return False
    if first == 0:
        return not path and first_root == EMPTY_ROOT
    if first == second:
        return not path and first_root == second_root
    steps = list(path) if first & (first - 1) else [first_root, *path]
    if not steps:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(width: int) -> int:
    """Return the largest power of two below `width`."""
    return 1 << ((width - 1).bit_length() - 1)


def _range_root(begin: int, end: int, node: NodeSource) -> bytes:
    """Return the root of the leaves from `begin` to below `end`, a range the tree is split at."""
    width = end - begin
    if width & (width - 1) == 0:
        return node(width.bit_length() - 1, begin // width)
    middle = begin + _split(width)
    return node_hash(
        node((middle - begin).bit_length() - 1, begin // (middle - begin)), _range_root(middle, end, node)
    )
