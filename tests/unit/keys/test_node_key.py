"""The node key is made once per recorder, and opens with its root alone."""

from pathlib import Path

import pytest

from keys import durable_file, local_keyring, node_key
from keys.envelope import new_key
from keys.errors import KeyStoreUnavailable, SealBroken
from keys.local_keyring import LocalKeyring
from keys.node_key import load_or_create


@pytest.fixture
def root() -> LocalKeyring:
    return LocalKeyring(new_key())


def test_a_node_key_is_made_once_and_found_again(tmp_path: Path, root: LocalKeyring) -> None:
    key = load_or_create(tmp_path / "journal" / "node.key", root)
    assert len(key) == 32
    assert load_or_create(tmp_path / "journal" / "node.key", root) == key


def test_the_file_is_private_and_sealed(tmp_path: Path, root: LocalKeyring) -> None:
    key = load_or_create(tmp_path / "node.key", root)
    assert (tmp_path / "node.key").stat().st_mode & 0o777 == 0o600
    assert key not in (tmp_path / "node.key").read_bytes()


def test_another_root_does_not_open_it_and_never_replaces_it(tmp_path: Path, root: LocalKeyring) -> None:
    key = load_or_create(tmp_path / "node.key", root)
    with pytest.raises(SealBroken):
        load_or_create(tmp_path / "node.key", LocalKeyring(new_key()))
    assert load_or_create(tmp_path / "node.key", root) == key


def test_the_process_that_comes_second_uses_the_key_of_the_first(
    tmp_path: Path, root: LocalKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, first = durable_file.create, []

    def overtaken(path: Path, data: bytes) -> None:
        monkeypatch.setattr(durable_file, "create", create)
        first.append(load_or_create(path, root))
        create(path, data)

    monkeypatch.setattr(durable_file, "create", overtaken)
    assert load_or_create(tmp_path / "node.key", root) == first[0]


def test_a_file_that_can_not_be_made_is_an_outage(tmp_path: Path, root: LocalKeyring) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyStoreUnavailable, match="node key"):
        load_or_create(tmp_path / "file" / "node.key", root)


@pytest.fixture
def versioned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalKeyring:
    monkeypatch.setattr(local_keyring, "SCRYPT_N", 2**4)
    return LocalKeyring.create(tmp_path / "keyring", b"p")


def test_a_new_root_key_wraps_the_same_node_key(tmp_path: Path, versioned: LocalKeyring) -> None:
    """C7, for recorders: the journal of today opens after the rotation."""
    path = tmp_path / "node.key"
    key = load_or_create(path, versioned)
    assert not node_key.rewrap(path, versioned)
    versioned.rotate()
    assert node_key.is_under_former(path, versioned)
    assert node_key.rewrap(path, versioned)
    assert not node_key.is_under_former(path, versioned)
    versioned.drop_former()
    assert load_or_create(path, versioned) == key
    assert sorted(each.name for each in tmp_path.iterdir()) == ["keyring", "node.key"]


def test_a_node_key_that_can_not_be_replaced_is_left_as_it_is(
    tmp_path: Path, versioned: LocalKeyring
) -> None:
    path = tmp_path / "node.key"
    load_or_create(path, versioned)
    before = path.read_bytes()
    with pytest.raises(SealBroken):
        node_key.rewrap(path, LocalKeyring(new_key()))
    assert path.read_bytes() == before
    for act in (node_key.rewrap, node_key.is_under_former):
        with pytest.raises(KeyStoreUnavailable):
            act(tmp_path / "missing", versioned)
