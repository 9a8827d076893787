"""A keyring file opens with its passphrase alone, and is never replaced."""

import json
from pathlib import Path

import pytest

from keys import local_keyring
from keys.errors import KeyringLocked, SealBroken
from keys.local_keyring import FILE_BYTES_MAX, PASSPHRASE_BYTES_MAX, LocalKeyring


@pytest.fixture(autouse=True)
def _quick_scrypt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests are about the file; one of them pays for the real cost of guessing."""
    if "real_scrypt" not in request.node.name:
        monkeypatch.setattr(local_keyring, "SCRYPT_N", 2**4)


def test_a_keyring_opened_later_unwraps_what_it_wrapped_real_scrypt(tmp_path: Path) -> None:
    assert local_keyring.SCRYPT_N == 2**17
    made = LocalKeyring.create(tmp_path / "keyring", b"correct horse")
    opened = LocalKeyring.open(tmp_path / "keyring", b"correct horse")
    assert opened.unwrap(made.wrap(b"kek", b"context"), b"context") == b"kek"


def test_a_wrong_passphrase_does_not_open(tmp_path: Path) -> None:
    LocalKeyring.create(tmp_path / "keyring", b"correct horse")
    for passphrase in (b"correct horsf", b"correct horse\n", b"x"):
        with pytest.raises(KeyringLocked, match="does not open with this passphrase"):
            LocalKeyring.open(tmp_path / "keyring", passphrase)


def test_the_file_is_private_and_holds_neither_passphrase_nor_root(tmp_path: Path) -> None:
    keyring = LocalKeyring.create(tmp_path / "keyring", b"correct horse")
    text = (tmp_path / "keyring").read_bytes()
    assert (tmp_path / "keyring").stat().st_mode & 0o777 == 0o600
    assert b"horse" not in text
    assert keyring._root_key not in text


def test_there_is_no_second_root_over_the_first(tmp_path: Path) -> None:
    first = LocalKeyring.create(tmp_path / "keyring", b"one")
    with pytest.raises(KeyringLocked, match="already"):
        LocalKeyring.create(tmp_path / "keyring", b"two")
    opened = LocalKeyring.open(tmp_path / "keyring", b"one")
    assert opened.unwrap(first.wrap(b"kek", b""), b"") == b"kek"


def test_another_root_or_context_does_not_unwrap(tmp_path: Path) -> None:
    one = LocalKeyring.create(tmp_path / "one", b"p")
    two = LocalKeyring.create(tmp_path / "two", b"p")
    with pytest.raises(SealBroken):
        two.unwrap(one.wrap(b"kek", b"context"), b"context")
    with pytest.raises(SealBroken):
        one.unwrap(one.wrap(b"kek", b"context"), b"other")


def test_an_altered_keyring_does_not_open(tmp_path: Path) -> None:
    LocalKeyring.create(tmp_path / "keyring", b"p")
    document = json.loads((tmp_path / "keyring").read_text())
    for field in ("salt", "sealed"):
        value = document[field]
        altered = {**document, field: ("B" if value[5] != "B" else "C").join((value[:5], value[6:]))}
        (tmp_path / "altered").write_text(json.dumps(altered))
        with pytest.raises(KeyringLocked):
            LocalKeyring.open(tmp_path / "altered", b"p")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"format": "something else"}',
        b'{"format": "earwitness-keyring/1"}',
        b'{"format": "earwitness-keyring/1", "salt": "!", "sealed": "AA=="}',
        b'{"format": "earwitness-keyring/1", "salt": "AA==", "sealed": "AA=="}',
        b" " * (FILE_BYTES_MAX + 1),
    ],
)
def test_a_file_that_is_no_keyring_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "keyring").write_bytes(text)
    with pytest.raises(KeyringLocked):
        LocalKeyring.open(tmp_path / "keyring", b"p")


def test_a_keyring_file_of_exactly_the_limit_opens(tmp_path: Path) -> None:
    LocalKeyring.create(tmp_path / "keyring", b"p")
    text = (tmp_path / "keyring").read_bytes()
    (tmp_path / "padded").write_bytes(text.ljust(FILE_BYTES_MAX))
    LocalKeyring.open(tmp_path / "padded", b"p")


def test_a_missing_file_and_a_missing_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(KeyringLocked, match="No such file"):
        LocalKeyring.open(tmp_path / "keyring", b"p")
    (tmp_path / "file").touch()
    with pytest.raises(KeyringLocked, match="can't be written"):
        LocalKeyring.create(tmp_path / "file" / "keyring", b"p")


def test_a_passphrase_has_1_to_1024_octets(tmp_path: Path) -> None:
    LocalKeyring.create(tmp_path / "keyring", b"p" * PASSPHRASE_BYTES_MAX)
    for passphrase in (b"", b"p" * (PASSPHRASE_BYTES_MAX + 1)):
        with pytest.raises(KeyringLocked, match="1024"):
            LocalKeyring.open(tmp_path / "keyring", passphrase)
