"""The KEYRING setting names a root, or is refused with what to change."""

import sys
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


@pytest.mark.parametrize(
    "url",
    [
        "kms:alias/earwitness",
        "kms:arn:aws:s3:eu-west-1:123456789012:key/2",
        "vault:transit/x",
        "vault:https://vault.example/x",
        "vault:https:///transit/x",
        "pkcs11:token=x",
        "pkcs11:token=x;object=y",
    ],
)
def test_a_setting_that_names_no_key_says_its_form(url: str) -> None:
    with pytest.raises(KeyringLocked, match=r"has the form|named by the ARN"):
        open_root(url, b"secret")


@pytest.mark.parametrize("kind", ["vault:https://vault.example/transit/x", "pkcs11:token=x;object=y"])
def test_what_opens_a_keyring_is_asked_for_by_its_name(kind: str) -> None:
    with pytest.raises(KeyringLocked, match=r"KEYRING_PASSPHRASE_FILE .* (token|PIN)"):
        open_root(kind, None)


def test_keys_never_cross_a_network_in_clear_text() -> None:
    with pytest.raises(KeyringLocked, match="https"):
        open_root("vault:http://vault.example/transit/x", b"token")


@pytest.mark.parametrize("token", [b"two words", b"x" * 2049, b"\xff", b"line\nline"])
def test_a_file_that_holds_no_token_is_refused(token: bytes) -> None:
    with pytest.raises(KeyringLocked, match="token of Vault"):
        open_root("vault:https://vault.example/transit/x", token)


def test_a_module_without_its_package_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    monkeypatch.delitem(sys.modules, "keys.security_module", raising=False)
    with pytest.raises(KeyringLocked, match=r"earwitness\[pkcs11\]"):
        open_root("pkcs11:token=x;object=y?module-path=z", b"1234")


@pytest.mark.parametrize("url", ["", "file:", "/etc/keyring", "http://x", "kms"])
def test_any_other_setting_is_refused_with_the_right_form(url: str) -> None:
    with pytest.raises(KeyringLocked, match="file:PATH"):
        open_root(url, b"p")


@pytest.mark.parametrize("passphrase", [None, b""])
def test_a_file_keyring_without_passphrase_names_the_setting(passphrase: bytes | None) -> None:
    with pytest.raises(KeyringLocked, match="KEYRING_PASSPHRASE_FILE"):
        open_root("file:/x", passphrase)
