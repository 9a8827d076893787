"""The Merkle tree against the plain recursion of RFC 9162."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.transparency.tree import (
    EMPTY_ROOT,
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    peaks_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(str(n).encode()) for n in range(140)]


def naive(leaves: list[bytes]) -> bytes:
    """The definition of MTH in RFC 9162 section 2.1.1, on hashes of leaves."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + naive(leaves[:split]) + naive(leaves[split:])).digest()


def node(level: int, index: int) -> bytes:
    return naive(LEAVES[index << level : (index + 1) << level])


def test_the_hashes_are_those_of_the_rfc() -> None:
    """Known values of RFC 6962: the empty tree, and the tree over one empty leaf."""
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert node_hash(LEAVES[0], LEAVES[1]) == naive(LEAVES[:2])


def test_the_growing_tree_has_the_root_of_the_definition_at_every_size() -> None:
    """And it names every perfect node once, when its last leaf comes."""
    tree, extended, made = Tree(), Tree(), {}
    for size, leaf in enumerate(LEAVES):
        assert tree.root() == extended.root() == naive(LEAVES[:size])
        extended.extend(leaf)
        for found in tree.append(leaf):
            assert (found.level, found.number) not in made
            assert found.hash == node(found.level, found.number)
            made[found.level, found.number] = found.hash
    assert tree.root() == naive(LEAVES)
    assert len(made) == sum(len(LEAVES) >> level for level in range(8))


def test_a_tree_goes_on_from_its_peaks() -> None:
    for size in range(len(LEAVES)):
        tree = Tree(size, [node(*place) for place in peaks_of(size)])
        assert tree.root() == naive(LEAVES[:size])
        tree.append(LEAVES[size])
        assert tree.root() == naive(LEAVES[: size + 1])
    with pytest.raises(ValueError, match="peaks"):
        Tree(3, [LEAVES[0]])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_every_leaf_is_proved_and_nothing_else_is(data: st.DataObject) -> None:
    """A proof of another leaf, place, size or root fails; so does one with an octet changed."""
    size = data.draw(st.integers(1, len(LEAVES)))
    index = data.draw(st.integers(0, size - 1))
    path, root = inclusion_proof(index, size, node), naive(LEAVES[:size])
    assert verify_inclusion(LEAVES[index], index, size, path, root)
    assert not verify_inclusion(leaf_hash(b"other"), index, size, path, root)
    assert not verify_inclusion(LEAVES[index], index, size, [*path, root], root)
    assert not verify_inclusion(LEAVES[index], index, size, path, leaf_hash(b"root"))
    assert not verify_inclusion(LEAVES[index], size, size, path, root)
    if path:
        assert not verify_inclusion(LEAVES[index], index, size, path[:-1], root)
        place = data.draw(st.integers(0, len(path) - 1))
        changed = [*path[:place], leaf_hash(path[place]), *path[place + 1 :]]
        assert not verify_inclusion(LEAVES[index], index, size, changed, root)
        assert not verify_inclusion(LEAVES[index], index ^ 1, size, path, root)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_tree_that_only_grew_is_proved_and_a_rewritten_one_is_not(data: st.DataObject) -> None:
    second = data.draw(st.integers(1, len(LEAVES)))
    first = data.draw(st.integers(1, second))
    path, roots = consistency_proof(first, second, node), (naive(LEAVES[:first]), naive(LEAVES[:second]))
    assert verify_consistency(first, second, path, *roots)
    rewritten = naive([leaf_hash(b"other"), *LEAVES[1:first]])
    assert not verify_consistency(first, second, path, rewritten, roots[1])
    if first < second:
        assert not verify_consistency(first, second, path, roots[0], roots[0])
        assert not verify_consistency(first, second, path[:-1], *roots)
        assert not verify_consistency(first, second, [*path, roots[0]], *roots)
        assert not verify_consistency(second, first, path, *roots)


def test_every_pair_of_sizes_is_proved_up_to_forty() -> None:
    for second in range(40):
        for first in range(second + 1):
            path = consistency_proof(first, second, node)
            assert verify_consistency(first, second, path, naive(LEAVES[:first]), naive(LEAVES[:second]))
        for index in range(second):
            path = inclusion_proof(index, second, node)
            assert verify_inclusion(LEAVES[index], index, second, path, naive(LEAVES[:second]))


def test_what_is_not_in_a_tree_has_no_proof() -> None:
    for index, size in ((0, 0), (3, 3), (-1, 3)):
        with pytest.raises(ValueError, match="no leaf"):
            inclusion_proof(index, size, node)
    with pytest.raises(ValueError, match="does not follow"):
        consistency_proof(4, 3, node)
