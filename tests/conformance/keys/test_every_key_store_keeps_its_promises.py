"""What each key store promises, directory or bucket: a name is one key's, and gone is gone."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import boto3
import pytest

from archive.embedded.seaweedfs import EmbeddedSeaweed
from archive.embedded.signed_request import S3Endpoint
from archive.store.key_bucket import BucketKeyStore
from archive.store.s3 import ObjectStore
from keys import kek, rotation, signatory, signing_key
from keys.errors import KeyDestroyed, KeyExists, KeyNotFound, KeyStoreUnavailable, SealBroken
from keys.kek import KekVault
from keys.key_store import DATA_BYTES_MAX, NAME_BYTES_MAX, DirectoryKeyStore, KeyStore
from keys.local_keyring import LocalKeyring
from keys.root import Moving

NAME = "tenant/2027-02-20/1"


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Endpoint]:
    server = EmbeddedSeaweed(tmp_path_factory.mktemp("seaweed"))
    try:
        yield server.start()
    finally:
        server.kill()


def bucket_on(server: S3Endpoint, name: str = "", **options: object) -> BucketKeyStore:
    name = name or f"keys-{secrets.token_hex(6)}"
    return BucketKeyStore(server.url, name, server.access_key, server.secret_key, **options)


@pytest.fixture(params=["directory", "bucket"])
def reopen(
    request: pytest.FixtureRequest, tmp_path: Path, seaweed: S3Endpoint
) -> Iterator[Callable[[], KeyStore]]:
    """What opens the same key store again, as another process does."""
    if request.param == "directory":
        (tmp_path / "keys").mkdir()
        yield lambda: DirectoryKeyStore(tmp_path / "keys")
        return
    name = f"keys-{secrets.token_hex(6)}"
    with closing(bucket_on(seaweed, name)) as one, closing(bucket_on(seaweed, name)) as other:
        one.ensure()
        yield iter([one, other, one, other, one]).__next__


@pytest.fixture
def store(reopen: Callable[[], KeyStore]) -> KeyStore:
    return reopen()


def test_what_was_put_is_given_back_to_every_process(store: KeyStore, reopen: Callable[[], KeyStore]) -> None:
    store.put(NAME, b"wrapped")
    assert reopen().get(NAME) == b"wrapped"


def test_a_name_is_written_once(store: KeyStore) -> None:
    store.put(NAME, b"wrapped")
    with pytest.raises(KeyExists):
        store.put(NAME, b"another")
    assert store.get(NAME) == b"wrapped"


def test_one_of_many_at_once_is_first(store: KeyStore) -> None:
    won: list[bytes] = []

    def put(data: bytes) -> None:
        try:
            store.put(NAME, data)
        except KeyExists:
            return
        won.append(data)

    threads = [threading.Thread(target=put, args=(b"%d" % number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [store.get(NAME)]


def test_never_there_and_destroyed_are_two_answers(store: KeyStore, reopen: Callable[[], KeyStore]) -> None:
    for act in (store.get, store.destroy, lambda name: store.replace(name, b"x")):
        with pytest.raises(KeyNotFound):
            act(NAME)
    store.put(NAME, b"wrapped")
    store.destroy(NAME)
    other = reopen()
    for act in (other.get, lambda name: other.put(name, b"x"), lambda name: other.replace(name, b"x")):
        with pytest.raises(KeyDestroyed):
            act(NAME)
    other.destroy(NAME)


def test_lists_show_what_is_there_and_nothing_else(store: KeyStore) -> None:
    for name in ("tenant/2027-02-20/2", NAME, "tenant/2027-02-21/1", "other/2027-02-20/1"):
        store.put(name, b"wrapped")
    store.destroy("tenant/2027-02-20/2")
    assert store.list("tenant/2027-02-20/") == (NAME,)
    assert store.destroyed() == ("tenant/2027-02-20/2",)
    assert store.list("tenant/") == (NAME, "tenant/2027-02-21/1")
    assert len(store.list("")) == 3
    assert store.list("nobody/") == ()


def test_another_sealing_takes_the_place_of_the_former(
    store: KeyStore, reopen: Callable[[], KeyStore]
) -> None:
    store.put(NAME, b"wrapped by the former root")
    store.replace(NAME, b"wrapped anew")
    assert reopen().get(NAME) == b"wrapped anew"
    assert store.list("") == (NAME,)
    store.destroy(NAME)
    assert store.list("") == ()


@pytest.mark.parametrize(
    "name", ["", "/x", "x/", "a//b", "../x", "x.destroyed", "x y", "é", "x" * (NAME_BYTES_MAX + 1)]
)
def test_what_is_no_name_is_a_defect_of_the_caller(store: KeyStore, name: str) -> None:
    for act in (store.get, store.destroy, lambda name: store.put(name, b"x")):
        with pytest.raises(ValueError, match="key name"):
            act(name)


@pytest.mark.parametrize("data", [b"", b"x" * (DATA_BYTES_MAX + 1)])
def test_what_is_no_wrapped_key_is_a_defect_of_the_caller(store: KeyStore, data: bytes) -> None:
    with pytest.raises(ValueError, match="octets"):
        store.put(NAME, data)
    store.put(NAME, b"x" * DATA_BYTES_MAX)
    with pytest.raises(ValueError, match="octets"):
        store.replace(NAME, data)


def test_keks_live_and_die_in_it(store: KeyStore) -> None:
    from datetime import date

    vault = KekVault(LocalKeyring(bytes(32)), store)
    first = vault.current("tenant", date(2027, 2, 20))
    assert vault.rotate(first.id).id == "tenant/2027-02-20/2"
    vault.destroy(first.id)
    with pytest.raises(KeyDestroyed):
        vault.get(first.id)
    assert vault.current("tenant", date(2027, 2, 20)).id == "tenant/2027-02-20/2"


def filled(store: KeyStore, root: LocalKeyring) -> dict[str, bytes]:
    """Put one key of every purpose into a store; return what they unwrap to."""
    from datetime import UTC, date, datetime

    vault = KekVault(root, store)
    vault.current("tenant", date(2027, 2, 20))
    signing_key.load_or_create(store, root, "signing/1")
    signatory.load_or_create(store, root, "Bakery", datetime(2026, 11, 22, tzinfo=UTC))
    return opened(store, root)


def opened(store: KeyStore, root: LocalKeyring) -> dict[str, bytes]:
    found = {}
    for name in store.list(""):
        for purpose in rotation.PURPOSES:
            try:
                found[name] = root.unwrap(store.get(name), purpose(name))
            except SealBroken:
                continue
    return found


def test_everything_in_it_is_wrapped_anew_by_the_next_root_key(store: KeyStore, tmp_path: Path) -> None:
    """C7, for roots: the keys stay, their sealings change, and the former root key opens none."""
    root = LocalKeyring.create(tmp_path / "keyring", b"p")
    before = filled(store, root)
    assert len(before) == 4
    assert rotation.unfinished(store, root) == 0
    root.rotate()
    assert rotation.unfinished(store, root) == 4
    told: list[int] = []
    assert rotation.rewrap(store, root, told.append) == rotation.Rewrapped(4, 0)
    assert told == [1, 2, 3, 4]
    assert rotation.rewrap(store, root) == rotation.Rewrapped(0, 4)
    root.drop_former()
    assert opened(store, LocalKeyring.open(tmp_path / "keyring", b"p")) == before


def test_a_rotation_that_was_broken_off_anywhere_is_gone_on_from(store: KeyStore, tmp_path: Path) -> None:
    class Stopped(BaseException):
        pass

    class Stopping:
        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def replace(self, name: str, data: bytes) -> None:
            store.replace(name, data)
            raise Stopped

    root = LocalKeyring.create(tmp_path / "keyring", b"p")
    before = filled(store, root)
    root.rotate()
    for left in (3, 2, 1, 0):
        with pytest.raises(Stopped):
            rotation.rewrap(Stopping(), root)
        assert rotation.unfinished(store, root) == left
        assert opened(store, root) == before


def test_another_root_takes_over(store: KeyStore, tmp_path: Path) -> None:
    former, new = LocalKeyring(bytes(32)), LocalKeyring.create(tmp_path / "keyring", b"p")
    before = filled(store, former)
    with pytest.raises(SealBroken, match="KEYRING_FORMER"):
        rotation.rewrap(store, new)
    assert rotation.rewrap(store, Moving(new, former)).anew == 4
    assert opened(store, new) == before
    assert opened(store, former) == {}


def test_a_key_destroyed_meanwhile_stays_destroyed(store: KeyStore, tmp_path: Path) -> None:
    class Late:
        """A store in which a key is destroyed just before it is replaced."""

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def replace(self, name: str, data: bytes) -> None:
            store.destroy(name)
            store.replace(name, data)

    root = LocalKeyring.create(tmp_path / "keyring", b"p")
    KekVault(root, store)._create(NAME)
    root.rotate()
    assert rotation.rewrap(Late(), root) == rotation.Rewrapped(0, 0)
    with pytest.raises(KeyDestroyed):
        store.get(NAME)


def test_what_belongs_to_no_known_purpose_is_told_and_left(store: KeyStore) -> None:
    root = LocalKeyring(bytes(32))
    store.put("stray", root.wrap(b"x", kek.context_of("another name")))
    with pytest.raises(SealBroken, match="stray"):
        rotation.rewrap(store, root)
    assert store.list("") == ("stray",)


# --- What only a bucket can get wrong ------------------------------------------------------------


@pytest.mark.parametrize("lock", [False, True], ids=["versions", "lock"])
def test_a_bucket_that_keeps_what_is_deleted_is_refused(seaweed: S3Endpoint, lock: bool) -> None:
    name = f"kept-{secrets.token_hex(6)}"
    with closing(
        ObjectStore(seaweed.url, name, seaweed.access_key, seaweed.secret_key, lock=lock)
    ) as objects:
        objects.ensure_bucket()
    with (
        closing(bucket_on(seaweed, name)) as store,
        pytest.raises(KeyStoreUnavailable, match="would live on"),
    ):
        store.ensure()


def test_versions_switched_on_later_stop_every_destruction(seaweed: S3Endpoint) -> None:
    with closing(bucket_on(seaweed)) as store:
        store.ensure()
        store.put(NAME, b"wrapped")
        for status in ("Enabled", "Suspended"):
            store._client.put_bucket_versioning(
                Bucket=store._bucket, VersioningConfiguration={"Status": status}
            )
            with pytest.raises(KeyStoreUnavailable, match="would live on"):
                store.destroy(NAME)
        assert store.get(NAME) == b"wrapped"


def test_a_destruction_that_was_broken_off_is_finished_by_repeating_it(
    seaweed: S3Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(bucket_on(seaweed)) as store:
        store.ensure()
        store.put(NAME, b"wrapped")
        with monkeypatch.context() as patch:
            patch.setattr(store, "_delete", lambda _name: (_ for _ in ()).throw(OSError("stopped")))
            with pytest.raises(OSError, match="stopped"):
                store.destroy(NAME)
        with pytest.raises(KeyDestroyed):
            store.get(NAME)
        assert store.list("") == ()
        store.destroy(NAME)
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=seaweed.url,
            aws_access_key_id=seaweed.access_key,
            aws_secret_access_key=seaweed.secret_key,
            region_name="us-east-1",
        )
        with closing(client):
            left = client.list_objects_v2(Bucket=store._bucket)["Contents"]
        assert [item["Key"] for item in left] == [f"{NAME}.destroyed"]


def test_a_store_that_is_away_or_refuses_us_is_unavailable(seaweed: S3Endpoint) -> None:
    away = BucketKeyStore("http://127.0.0.1:9", "keys", "a", "b", timeout_s=1, attempts=1)
    stranger = BucketKeyStore(seaweed.url, "keys", "nobody", "nothing", attempts=1)
    for store, told in ((away, "can't be reached"), (stranger, "check EARWITNESS_KEY_STORE")):
        with closing(store):
            for act in (partial(store.get, NAME), partial(store.list, ""), partial(store.put, NAME, b"x")):
                with pytest.raises(KeyStoreUnavailable, match=told):
                    act()
