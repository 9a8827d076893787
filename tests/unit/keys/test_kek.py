"""KEKs: one per tenant and day however many ask, and none once destroyed."""

import threading
from datetime import date
from pathlib import Path

import pytest

from keys.envelope import new_key, unwrap_key, wrap_key
from keys.errors import KeyDestroyed, KeyNotFound, KeyStoreUnavailable, SealBroken
from keys.kek import CACHE_COUNT_MAX, CACHE_S_MAX, VERSIONS_COUNT_MAX, Kek, KekVault
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring

DAY = date(2033, 3, 1)


class Time:
    """A monotonic clock the test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class CountingStore(DirectoryKeyStore):
    """A key store that counts what is read from it."""

    reads = 0

    def get(self, name: str) -> bytes:
        self.reads += 1
        return super().get(name)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def root() -> LocalKeyring:
    return LocalKeyring(new_key())


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path)


@pytest.fixture
def vault(root: LocalKeyring, store: CountingStore, time: Time) -> KekVault:
    return KekVault(root, store, time)


def test_the_first_to_ask_makes_version_1_and_everybody_gets_the_same(
    root: LocalKeyring, store: CountingStore, vault: KekVault
) -> None:
    kek = vault.current("tenant", DAY)
    assert kek.id == "tenant/2033-03-01/1"
    assert len(kek.key) == 32
    assert vault.current("tenant", DAY) == kek
    assert KekVault(root, store).current("tenant", DAY) == kek
    assert KekVault(root, store).get(kek.id) == kek


def test_tenants_and_days_have_keys_of_their_own(vault: KekVault) -> None:
    keys = {vault.current(tenant, day).key for tenant in ("a", "b") for day in (DAY, date(2033, 3, 2))}
    assert len(keys) == 4


def test_processes_that_ask_at_once_get_the_same_key(root: LocalKeyring, tmp_path: Path) -> None:
    barrier, found = threading.Barrier(8), []

    def ask() -> None:
        vault = KekVault(root, DirectoryKeyStore(tmp_path))
        barrier.wait()
        found.append(vault.current("tenant", DAY))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_destroying_makes_what_it_wrapped_useless(
    root: LocalKeyring, store: CountingStore, vault: KekVault, tmp_path: Path
) -> None:
    kek = vault.current("tenant", DAY)
    wrapped = wrap_key(kek.key, new_key(), b"recording")
    vault.destroy(kek.id)
    vault.destroy(kek.id)
    for other in (vault, KekVault(root, store)):
        with pytest.raises(KeyDestroyed):
            other.get(kek.id)
    successor = vault.current("tenant", DAY)
    assert successor.id == "tenant/2033-03-01/2"
    with pytest.raises(SealBroken):
        unwrap_key(successor.key, wrapped, b"recording")
    assert KekVault(root, DirectoryKeyStore(tmp_path)).current("tenant", DAY) == successor


def test_rotating_makes_the_next_version_current_and_leaves_the_old_one_readable(vault: KekVault) -> None:
    old = vault.current("tenant", DAY)
    new = vault.rotate(old.id)
    assert new.id == "tenant/2033-03-01/2"
    assert vault.rotate(old.id) == new
    assert vault.current("tenant", DAY) == new
    assert vault.get(old.id) == old


def test_the_tenth_version_comes_after_the_ninth(vault: KekVault) -> None:
    kek = vault.current("tenant", DAY)
    for _ in range(10):
        kek = vault.rotate(kek.id)
    assert kek.id.endswith("/11")
    assert vault.current("tenant", DAY) == kek


def test_a_current_key_destroyed_while_it_is_asked_for_is_replaced_by_the_next(
    vault: KekVault, store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    kek = vault.current("tenant", DAY)
    vault.destroy(kek.id)
    monkeypatch.setattr(store, "list", lambda prefix: (kek.id,))
    assert vault.current("tenant", DAY).id == "tenant/2033-03-01/2"


def test_an_unwrapped_key_is_remembered_for_five_minutes_and_no_longer(
    vault: KekVault, store: CountingStore, time: Time
) -> None:
    kek = vault.current("tenant", DAY)
    time.seconds += CACHE_S_MAX
    assert vault.get(kek.id) == kek
    assert store.reads == 0
    time.seconds += 0.1
    assert vault.get(kek.id) == kek
    assert store.reads == 1


def test_a_key_destroyed_by_another_process_is_dead_here_after_five_minutes_and_never_current(
    root: LocalKeyring, store: CountingStore, vault: KekVault, time: Time
) -> None:
    kek = vault.current("tenant", DAY)
    KekVault(root, store).destroy(kek.id)
    assert vault.current("tenant", DAY).id != kek.id
    time.seconds += CACHE_S_MAX + 0.1
    with pytest.raises(KeyDestroyed):
        vault.get(kek.id)


def test_the_memory_is_bounded(vault: KekVault) -> None:
    for number in range(CACHE_COUNT_MAX):
        vault._remember(Kek(f"tenant/2033-03-01/{number}", b""), 1000.0)
    assert len(vault._cache) == CACHE_COUNT_MAX
    vault._remember(Kek("one/2033-03-01/1", b""), 1000.0)
    assert len(vault._cache) == 1


def test_a_day_has_1000_versions_and_no_more(vault: KekVault) -> None:
    prefix = "tenant/2033-03-01"
    assert vault.rotate(f"{prefix}/{VERSIONS_COUNT_MAX - 1}").id == f"{prefix}/{VERSIONS_COUNT_MAX}"
    with pytest.raises(KeyStoreUnavailable, match="1000"):
        vault.rotate(f"{prefix}/{VERSIONS_COUNT_MAX}")
    vault.destroy(f"{prefix}/{VERSIONS_COUNT_MAX}")
    with pytest.raises(KeyDestroyed):
        vault.get(f"{prefix}/{VERSIONS_COUNT_MAX}")


def test_a_key_moved_to_another_id_does_not_unwrap(
    root: LocalKeyring, store: CountingStore, vault: KekVault
) -> None:
    kek = vault.current("tenant", DAY)
    store.put("other/2033-03-01/1", store.get(kek.id))
    with pytest.raises(SealBroken):
        KekVault(root, store).get("other/2033-03-01/1")


def test_a_key_that_never_was_is_not_found(vault: KekVault) -> None:
    with pytest.raises(KeyNotFound):
        vault.get("tenant/2033-03-01/7")


@pytest.mark.parametrize(
    "kek_id", ["", "tenant", "a/2033-03-01/0", "../x/2033-03-01/1", "a/2033-3-1/1", "a/b/c/1"]
)
def test_what_is_no_id_is_a_defect_of_the_caller(vault: KekVault, kek_id: str) -> None:
    for method in (vault.get, vault.destroy, vault.rotate):
        with pytest.raises(ValueError, match="id of a KEK"):
            method(kek_id)


def test_a_key_store_that_is_away_is_an_outage(root: LocalKeyring, tmp_path: Path) -> None:
    with pytest.raises(KeyStoreUnavailable):
        KekVault(root, DirectoryKeyStore(tmp_path / "unmounted")).current("tenant", DAY)


def test_the_repr_of_a_key_shows_no_key(vault: KekVault) -> None:
    kek = vault.current("tenant", DAY)
    assert repr(kek) == "Kek(id='tenant/2033-03-01/1')"
