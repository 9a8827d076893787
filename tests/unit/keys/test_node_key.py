"""The node key is made once per recorder, and opens with its root alone."""

from pathlib import Path

import pytest

from keys import durable_file
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
