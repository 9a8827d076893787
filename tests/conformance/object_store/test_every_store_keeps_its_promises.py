"""One suite for every object store we have: SeaweedFS over S3, and the one in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from archive.errors import NotFound, Refused, StoreUnavailable, VerificationFailed
from archive.store.memory import MemoryStore
from archive.store.object import COMPLIANCE, GOVERNANCE, KeyTaken, Store, sha256_hex, whole_second
from archive.store.s3 import ObjectStore

DATA = bytes(range(256)) * 1000
TOMORROW = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture(params=["seaweed", "memory"])
def store(request: pytest.FixtureRequest, open_store: Callable[..., ObjectStore]) -> Store:
    if request.param == "memory":
        return MemoryStore()
    made = open_store(request.getfixturevalue("seaweed"))
    made.ensure_bucket()
    return made


def put(
    store: Store, key: str = "tenant/recording/audio", data: bytes = DATA, until: datetime | None = TOMORROW
) -> str:
    return store.put(key, data, until, sha256=sha256_hex(data))


def test_a_version_comes_back_as_it_was_put(store: Store) -> None:
    version = put(store)
    assert store.get("tenant/recording/audio", version) == DATA
    data, facts = store.fetch("tenant/recording/audio", version)
    assert data == DATA
    assert facts == store.head("tenant/recording/audio", version)


def test_facts_name_size_checksum_mode_and_the_lock_rounded_up(store: Store) -> None:
    version = put(store)
    facts = store.head("tenant/recording/audio", version)
    assert (facts.size_bytes, facts.sha256, facts.mode) == (len(DATA), sha256_hex(DATA), GOVERNANCE)
    assert facts.retain_until == whole_second(TOMORROW) >= TOMORROW


def test_an_empty_object_is_an_object(store: Store) -> None:
    version = put(store, data=b"")
    assert store.get("tenant/recording/audio", version) == b""


def test_a_taken_key_is_never_replaced(store: Store) -> None:
    version = put(store)
    with pytest.raises(KeyTaken):
        put(store, data=b"something else")
    assert [item.version_id for item in store.versions("tenant/recording/audio")] == [version]


@pytest.mark.parametrize(
    ("first", "last_exclusive"), [(0, 1), (255, 257), (len(DATA) - 1, len(DATA)), (0, len(DATA))]
)
def test_a_range_gives_exactly_its_bytes(store: Store, first: int, last_exclusive: int) -> None:
    version = put(store)
    assert store.get("tenant/recording/audio", version, first, last_exclusive) == DATA[first:last_exclusive]


@pytest.mark.parametrize("first", [len(DATA) - 5, len(DATA) + 5])
def test_a_range_past_the_end_is_a_failed_verification(store: Store, first: int) -> None:
    """The catalogue pins the length, so that a shorter object was truncated."""
    version = put(store)
    with pytest.raises(VerificationFailed):
        store.get("tenant/recording/audio", version, first, first + 10)


def test_versions_are_listed_from_a_key_on(store: Store) -> None:
    """Under the prefix, every version of every key that sorts behind the given one."""
    for number in range(5):
        put(store, f"log/{number:03}", data=b"x")
    put(store, "logs", data=b"x")
    listed = [version.key for version in store.versions("log/", after="log/002")]
    assert listed == ["log/003", "log/004"]
    assert store.versions("log/", after="log/004") == []
    assert len(store.versions("log/")) == 5


def test_an_unknown_version_is_not_found(store: Store) -> None:
    put(store)
    for key, version in (("tenant/recording/audio", "0" * 32), ("tenant/recording/peaks", "0" * 32)):
        with pytest.raises(NotFound):
            store.get(key, version)
        with pytest.raises(NotFound):
            store.head(key, version)
        with pytest.raises(NotFound):
            store.fetch(key, version)


def test_versions_are_listed_by_prefix(store: Store) -> None:
    put(store, "a/1/audio")
    put(store, "a/2/audio")
    put(store, "b/1/audio")
    assert {item.key for item in store.versions("a/")} == {"a/1/audio", "a/2/audio"}
    assert {item.key for item in store.versions("")} == {"a/1/audio", "a/2/audio", "b/1/audio"}
    assert all(item.is_latest and not item.is_delete_marker for item in store.versions(""))
    assert store.versions("c/") == []


@pytest.mark.parametrize("mode", [GOVERNANCE, COMPLIANCE])
def test_a_locked_version_cannot_be_deleted(store: Store, mode: str) -> None:
    version = store.put("locked", DATA, TOMORROW, mode, sha256=sha256_hex(DATA))
    with pytest.raises(Refused):
        store.delete("locked", version)
    assert store.get("locked", version) == DATA


def test_only_a_lock_of_governance_gives_way_to_what_two_people_approved(store: Store) -> None:
    """A lock of COMPLIANCE and a hold do not; what has no lock goes as ever."""
    governed, bound, held = (
        store.put(key, DATA, TOMORROW, mode, sha256=sha256_hex(DATA))
        for key, mode in (("t/g/audio", GOVERNANCE), ("t/c/audio", COMPLIANCE), ("t/h/audio", GOVERNANCE))
    )
    free = put(store, "t/f/audio", until=None)
    store.set_legal_hold("t/h/audio", held, held=True)
    store.delete_governed("t/g/audio", governed)
    store.delete_governed("t/f/audio", free)
    for key, version in (("t/c/audio", bound), ("t/h/audio", held)):
        with pytest.raises(Refused):
            store.delete_governed(key, version)
    assert {each.key for each in store.versions("t/")} >= {"t/c/audio", "t/h/audio"}
    assert not {each.key for each in store.versions("t/")} & {"t/g/audio", "t/f/audio"}
    store.set_legal_hold("t/h/audio", held, held=False)


def test_a_version_without_a_lock_can_be_deleted(store: Store) -> None:
    version = put(store, until=None)
    store.delete("tenant/recording/audio", version)
    with pytest.raises(NotFound):
        store.get("tenant/recording/audio", version)
    assert store.versions("tenant/recording/audio") == []


@pytest.mark.parametrize("mode", [GOVERNANCE, COMPLIANCE])
def test_a_lock_is_made_longer_and_never_shorter(store: Store, mode: str) -> None:
    version = store.put("locked", DATA, TOMORROW, mode, sha256=sha256_hex(DATA))
    later = TOMORROW + timedelta(days=365)
    store.lengthen("locked", version, later, mode)
    facts = store.head("locked", version)
    assert (facts.mode, facts.retain_until) == (mode, whole_second(later))
    with pytest.raises(Refused):
        store.lengthen("locked", version, TOMORROW, mode)
    assert store.head("locked", version) == facts
    with pytest.raises(Refused):
        store.delete("locked", version)


def test_a_held_version_cannot_be_deleted_until_the_hold_is_taken_off(store: Store) -> None:
    """A hold has no term; it is told apart from a lock."""
    version = put(store, until=None)
    assert not store.legal_hold("tenant/recording/audio", version)
    store.set_legal_hold("tenant/recording/audio", version, held=True)
    assert store.legal_hold("tenant/recording/audio", version)
    with pytest.raises(Refused):
        store.delete("tenant/recording/audio", version)
    store.set_legal_hold("tenant/recording/audio", version, held=False)
    assert not store.legal_hold("tenant/recording/audio", version)
    store.delete("tenant/recording/audio", version)
    with pytest.raises(NotFound):
        store.set_legal_hold("tenant/recording/audio", version, held=True)


def test_bytes_that_do_not_match_their_checksum_are_not_stored(store: Store) -> None:
    with pytest.raises(StoreUnavailable):
        store.put("broken", DATA, TOMORROW, sha256=sha256_hex(b"other"))
    assert store.versions("broken") == []


def test_a_lock_in_the_past_is_refused(store: Store) -> None:
    with pytest.raises(StoreUnavailable):
        put(store, until=datetime.now(UTC) - timedelta(days=1))


def test_the_store_tells_its_time(store: Store) -> None:
    assert abs((store.clock() - datetime.now(UTC)).total_seconds()) < 60


def test_the_barrier_returns(store: Store) -> None:
    put(store)
    store.barrier()
