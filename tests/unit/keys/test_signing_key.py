"""The key that signs checkpoints: made once, sealed by the root, the same for every worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from keys.errors import KeyExists, KeyNotFound, SealBroken
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from keys.signing_key import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey, load_or_create, verify

ROOT = LocalKeyring(bytes(32))
NAME = "audit-log/signing-1"


@pytest.fixture
def store(tmp_path: Path) -> DirectoryKeyStore:
    return DirectoryKeyStore(tmp_path)


def test_a_key_is_made_once_and_found_again(store: DirectoryKeyStore, tmp_path: Path) -> None:
    made = load_or_create(store, ROOT, NAME)
    again = load_or_create(store, ROOT, NAME)
    assert made.public == again.public
    assert len(made.public) == PUBLIC_KEY_BYTES
    assert made.sign(b"text") == again.sign(b"text")
    assert load_or_create(store, ROOT, "audit-log/signing-2").public != made.public


def test_a_signature_holds_for_its_octets_and_its_key_alone(store: DirectoryKeyStore) -> None:
    key = load_or_create(store, ROOT, NAME)
    signature = key.sign(b"text")
    assert len(signature) == SIGNATURE_BYTES
    assert verify(key.public, signature, b"text")
    assert not verify(key.public, signature, b"text ")
    assert not verify(key.public, signature[:-1], b"text")
    assert not verify(SigningKey(bytes(32)).public, signature, b"text")
    assert not verify(b"short", signature, b"text")


def test_another_root_or_name_does_not_open_it(store: DirectoryKeyStore) -> None:
    load_or_create(store, ROOT, NAME)
    with pytest.raises(SealBroken):
        load_or_create(store, LocalKeyring(b"x" * 32), NAME)
    store.put("audit-log/signing-2", store.get(NAME))
    with pytest.raises(SealBroken):
        load_or_create(store, ROOT, "audit-log/signing-2")


def test_who_comes_second_takes_the_key_of_the_first(store: DirectoryKeyStore) -> None:
    """Two workers that start at once sign with one key."""
    made = load_or_create(store, ROOT, NAME)

    class Late(DirectoryKeyStore):
        looked = False

        def get(self, name: str) -> bytes:
            if not self.looked:
                self.looked = True
                raise KeyNotFound(name)
            return super().get(name)

    assert load_or_create(Late(store._path), ROOT, NAME).public == made.public
    with pytest.raises(KeyExists):
        store.put(NAME, b"x")
