"""Keyring and key store as the settings name them: made once, for an empty key store alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from archive.cli import vault
from archive.cli.vault import ensure_keys, open_key_store, open_keyring, open_vault
from archive.errors import Refused
from archive.settings import Settings
from archive.store.key_bucket import BucketKeyStore
from keys import local_keyring
from keys.errors import KeyringLocked, SealBroken
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from keys.root import Moving

DAY = date(2027, 2, 20)


@pytest.fixture
def settings_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    monkeypatch.setattr(local_keyring, "SCRYPT_N", 2**4)
    usual = {
        "keyring": f"file:{tmp_path / 'made' / 'keyring'}",
        "keyring_passphrase": "correct horse",
        "key_store": f"dir:{tmp_path / 'keys'}",
    }
    return lambda **changes: Settings(**{**usual, **changes})


def test_what_is_missing_is_made_and_what_is_there_stays(settings_with: Callable[..., Settings]) -> None:
    settings = settings_with()
    for _ in range(2):
        ensure_keys(settings)
    kek = open_vault(settings).current("tenant", DAY)
    ensure_keys(settings)
    assert open_vault(settings).get(kek.id) == kek


def test_no_second_root_is_made_beside_the_keys_of_a_first(
    settings_with: Callable[..., Settings], tmp_path: Path
) -> None:
    """A path that was mistyped would make keys nobody else opens."""
    ensure_keys(settings_with())
    open_vault(settings_with()).current("tenant", DAY)
    with pytest.raises(KeyringLocked, match="No such file"):
        ensure_keys(settings_with(keyring=f"file:{tmp_path / 'mistyped'}"))
    assert not (tmp_path / "mistyped").exists()


def test_the_former_root_opens_beside_the_new_one(
    settings_with: Callable[..., Settings], tmp_path: Path
) -> None:
    former = settings_with()
    ensure_keys(former)
    kek = open_vault(former).current("tenant", DAY)
    LocalKeyring.create(tmp_path / "new", b"battery staple")
    new = {"keyring": f"file:{tmp_path / 'new'}", "keyring_passphrase": "battery staple"}
    with pytest.raises(SealBroken):
        open_vault(settings_with(**new)).get(kek.id)
    both = settings_with(
        **new, keyring_former=former.keyring, keyring_former_passphrase=former.keyring_passphrase
    )
    assert isinstance(open_keyring(both), Moving)
    assert open_vault(both).get(kek.id) == kek


def test_a_key_store_is_a_directory_or_a_bucket_of_its_own(settings_with: Callable[..., Settings]) -> None:
    s3 = {"s3_endpoint": "http://127.0.0.1:9", "s3_access_key": "a", "s3_secret_key": "b"}
    assert isinstance(open_key_store(settings_with()), DirectoryKeyStore)
    bucket = open_key_store(settings_with(key_store="bucket:keys", **s3))
    assert isinstance(bucket, BucketKeyStore)
    bucket.close()
    with pytest.raises(Refused, match="of their own"):
        open_key_store(settings_with(key_store="bucket:earwitness", **s3))
    with pytest.raises(Refused, match="S3_ENDPOINT"):
        open_key_store(settings_with(key_store="bucket:keys"))


@pytest.mark.parametrize("text", ["keys", "dir:", "bucket:", "https://keys.example"])
def test_any_other_key_store_is_refused_with_the_right_form(
    settings_with: Callable[..., Settings], text: str
) -> None:
    with pytest.raises(ValueError, match="dir:PATH or bucket:NAME"):
        settings_with(key_store=text)


def test_the_key_of_a_security_module_is_made_for_an_empty_key_store_alone(
    settings_with: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Module(LocalKeyring):
        made = 0

        def ensure_key(self) -> None:
            Module.made += 1

    module = Module(bytes(32))
    monkeypatch.setattr(vault, "open_root", lambda *_arguments: module)
    settings = settings_with(keyring="pkcs11:token=x;object=y?module-path=z")
    ensure_keys(settings)
    assert Module.made == 1
    open_vault(settings).current("tenant", DAY)
    ensure_keys(settings)
    assert Module.made == 1
