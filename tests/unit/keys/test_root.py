"""The KEYRING setting names a root, or is refused with what to change."""

from pathlib import Path

import pytest

from keys import local_keyring
from keys.errors import KeyringLocked
from keys.local_keyring import LocalKeyring
from keys.root import open_root


def test_a_file_keyring_is_opened_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_keyring, "SCRYPT_N", 2**4)
    made = LocalKeyring.create(tmp_path / "keyring", b"p")
    root = open_root(f"file:{tmp_path}/keyring", b"p")
    assert root.unwrap(made.wrap(b"kek", b"c"), b"c") == b"kek"


@pytest.mark.parametrize("url", ["kms:arn:aws:kms:eu-west-1:1:key/2", "vault:transit/x", "pkcs11:token=x"])
def test_a_keyring_of_a_later_release_says_so(url: str) -> None:
    with pytest.raises(KeyringLocked, match="not available in this release"):
        open_root(url, None)


@pytest.mark.parametrize("url", ["", "file:", "/etc/keyring", "http://x", "kms"])
def test_any_other_setting_is_refused_with_the_right_form(url: str) -> None:
    with pytest.raises(KeyringLocked, match="file:PATH"):
        open_root(url, b"p")


@pytest.mark.parametrize("passphrase", [None, b""])
def test_a_file_keyring_without_passphrase_names_the_setting(passphrase: bytes | None) -> None:
    with pytest.raises(KeyringLocked, match="KEYRING_PASSPHRASE_FILE"):
        open_root("file:/x", passphrase)
