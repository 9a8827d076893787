"""A directory of keys: written once, listed by prefix, destroyed for ever."""

import os
import threading
from pathlib import Path

import pytest

from keys import durable_file
from keys.errors import KeyDestroyed, KeyExists, KeyNotFound, KeyStoreUnavailable
from keys.key_store import DATA_BYTES_MAX, NAME_BYTES_MAX, DirectoryKeyStore


@pytest.fixture
def store(tmp_path: Path) -> DirectoryKeyStore:
    return DirectoryKeyStore(tmp_path)


def test_what_was_put_can_be_got_by_another_process(store: DirectoryKeyStore, tmp_path: Path) -> None:
    store.put("tenant/2026-01-01/1", b"sealed")
    assert DirectoryKeyStore(tmp_path).get("tenant/2026-01-01/1") == b"sealed"


def test_a_name_is_written_once(store: DirectoryKeyStore) -> None:
    store.put("name", b"first")
    with pytest.raises(KeyExists):
        store.put("name", b"second")
    assert store.get("name") == b"first"


def test_of_many_writers_of_one_name_exactly_one_wins(store: DirectoryKeyStore) -> None:
    barrier, wins = threading.Barrier(8), []

    def write(number: int) -> None:
        barrier.wait()
        try:
            store.put("tenant/day/1", b"%d" % number)
            wins.append(number)
        except KeyExists:
            return

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1
    assert store.get("tenant/day/1") == b"%d" % wins[0]


def test_names_are_listed_by_prefix_without_the_destroyed(store: DirectoryKeyStore) -> None:
    for name in ("t/day/1", "t/day/2", "t/day-2/1", "u/day/1"):
        store.put(name, b"x")
    store.destroy("t/day/1")
    assert store.list("t/day/") == ("t/day/2",)
    assert store.list("t/day") == ("t/day-2/1", "t/day/2")
    assert store.list("") == ("t/day-2/1", "t/day/2", "u/day/1")
    assert store.list("nobody/") == ()


def test_a_name_that_never_was_is_not_found(store: DirectoryKeyStore) -> None:
    with pytest.raises(KeyNotFound):
        store.get("name")
    with pytest.raises(KeyNotFound):
        store.destroy("name")


def test_a_destroyed_name_is_dead_for_ever_and_its_octets_are_nowhere(
    store: DirectoryKeyStore, tmp_path: Path
) -> None:
    store.put("t/name", b"the only copy of a key")
    descriptor = os.open(tmp_path / "t" / "name", os.O_RDONLY)
    store.destroy("t/name")
    store.destroy("t/name")
    for method in (lambda: store.get("t/name"), lambda: store.put("t/name", b"new")):
        with pytest.raises(KeyDestroyed):
            method()
    assert all(path.stat().st_size == 0 for path in tmp_path.rglob("*") if path.is_file())
    # The file itself was emptied, not only its name: one who holds it open gets nothing.
    assert os.read(descriptor, 100) == b""
    os.close(descriptor)


def test_a_destruction_that_was_broken_off_is_finished_by_repeating_it(
    store: DirectoryKeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("name", b"secret")
    with monkeypatch.context() as patch:
        patch.setattr(durable_file, "overwrite", lambda path: (_ for _ in ()).throw(OSError(5, "I/O error")))
        with pytest.raises(KeyStoreUnavailable, match="destroy the key name"):
            store.destroy("name")
    with pytest.raises(KeyDestroyed):
        store.get("name")
    store.destroy("name")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b""]


def test_destroying_makes_the_tombstone_durable_before_the_key_is_overwritten(
    store: DirectoryKeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("name", b"secret")
    order: list[str] = []
    monkeypatch.setattr(durable_file, "sync_directory", lambda path: order.append("directory"))
    monkeypatch.setattr(durable_file, "overwrite", lambda path: order.append(path.name))
    store.destroy("name")
    assert order == ["directory", "name.destroyed"]


def test_a_name_destroyed_while_it_is_put_again_stays_dead(
    store: DirectoryKeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create_after_destroyed(path: Path, data: bytes) -> None:
        (tmp_path / "name.destroyed").touch()
        path.write_bytes(data)

    monkeypatch.setattr(durable_file, "create", create_after_destroyed)
    with pytest.raises(KeyDestroyed):
        store.put("name", b"secret")
    assert [path.name for path in tmp_path.iterdir()] == ["name.destroyed"]


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a.destroyed", "a b", "a\0", "é"]
)
def test_a_name_never_leaves_the_directory(store: DirectoryKeyStore, name: str) -> None:
    with pytest.raises(ValueError, match="key name"):
        store.put(name, b"x")


def test_a_name_may_have_200_octets_and_no_more(store: DirectoryKeyStore) -> None:
    store.put("n" * NAME_BYTES_MAX, b"x")
    store.destroy("n" * NAME_BYTES_MAX)
    with pytest.raises(ValueError, match="200"):
        store.put("n" * (NAME_BYTES_MAX + 1), b"x")


def test_a_key_may_have_16384_octets_and_no_more(store: DirectoryKeyStore) -> None:
    store.put("name", bytes(DATA_BYTES_MAX))
    assert len(store.get("name")) == DATA_BYTES_MAX
    for data in (b"", bytes(DATA_BYTES_MAX + 1)):
        with pytest.raises(ValueError, match="16384"):
            store.put("other", data)


def test_a_directory_that_is_away_is_an_outage_and_not_an_empty_store(tmp_path: Path) -> None:
    store = DirectoryKeyStore(tmp_path / "unmounted")
    with pytest.raises(KeyStoreUnavailable, match="list its keys"):
        store.list("tenant/")


def test_a_disk_that_is_full_is_an_outage(store: DirectoryKeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(KeyStoreUnavailable, match="No space left"):
        store.put("name", b"x")
    with pytest.raises(KeyNotFound):
        store.get("name")


def test_a_directory_that_is_away_is_an_outage_and_no_missing_key(tmp_path: Path) -> None:
    """C9: what is asked for meanwhile is asked for again, and not told to be gone."""
    store = DirectoryKeyStore(tmp_path / "away")
    for act in (
        lambda: store.get("tenant/2027-02-20/1"),
        lambda: store.destroy("tenant/2027-02-20/1"),
        lambda: store.replace("tenant/2027-02-20/1", b"x"),
    ):
        with pytest.raises(KeyStoreUnavailable):
            act()
