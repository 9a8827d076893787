"""A keyring file opens with its passphrase alone, and is never replaced."""

import base64
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from keys import local_keyring
from keys.envelope import wrap_key
from keys.errors import KeyringLocked, SealBroken
from keys.local_keyring import FILE_BYTES_MAX, PASSPHRASE_BYTES_MAX, LocalKeyring
from keys.recovery import Share


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
    assert not {keyring._roots.keys[1], keyring._file_key} & {text[at : at + 32] for at in range(len(text))}


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


FIRST_FORM = {"format": "earwitness-keyring/1"}


def first_form(path: Path, passphrase: bytes, root_key: bytes) -> Path:
    """Write a keyring as the first release did."""
    salt = bytes(32)
    sealed = wrap_key(local_keyring._stretched(passphrase, salt), root_key, b"earwitness-keyring/1")
    fields = {"salt": base64.b64encode(salt).decode(), "sealed": base64.b64encode(sealed).decode()}
    path.write_text(json.dumps({**FIRST_FORM, **fields}))
    return path


def test_a_keyring_of_the_first_form_opens_what_it_wrapped(tmp_path: Path) -> None:
    wrapped = LocalKeyring(bytes(32)).wrap(b"kek", b"c")
    path = first_form(tmp_path / "keyring", b"p", bytes(32))
    opened = LocalKeyring.open(path, b"p")
    assert opened.unwrap(wrapped, b"c") == b"kek"
    for act in (opened.rotate, opened.drop_former, lambda: opened.recovery_shares(2, 3)):
        with pytest.raises(KeyringLocked, match="keys passphrase"):
            act()
    opened.set_passphrase(b"another")
    again = LocalKeyring.open(path, b"another")
    again.rotate()
    assert again.unwrap(wrapped, b"c") == b"kek"
    assert again.versions == (1, 2)


def test_a_root_key_that_is_added_is_seen_by_who_has_the_keyring_open(tmp_path: Path) -> None:
    mine = LocalKeyring.create(tmp_path / "keyring", b"p")
    other = LocalKeyring.open(tmp_path / "keyring", b"p")
    before = mine.wrap(b"kek", b"c")
    other.rotate()
    after = other.wrap(b"kek", b"c")
    assert mine.unwrap(after, b"c") == b"kek"
    assert mine.rewrapped(before, b"c") is not None
    assert mine.rewrapped(mine.wrap(b"kek", b"c"), b"c") is None
    other.drop_former()
    with pytest.raises(SealBroken, match="not in this keyring"):
        LocalKeyring.open(tmp_path / "keyring", b"p").unwrap(before, b"c")
    assert mine.versions == (2,)


def test_a_keyring_whose_file_is_away_goes_on(tmp_path: Path) -> None:
    mine = LocalKeyring.create(tmp_path / "keyring", b"p")
    (tmp_path / "keyring").rename(tmp_path / "moved")
    assert mine.unwrap(mine.wrap(b"kek", b"c"), b"c") == b"kek"


def test_shares_open_a_keyring_whose_passphrase_is_lost(tmp_path: Path) -> None:
    mine = LocalKeyring.create(tmp_path / "keyring", b"p")
    shares = [Share.parse(share.text()) for share in mine.recovery_shares(2, 3)]
    mine.rotate()
    wrapped = mine.wrap(b"kek", b"c")
    LocalKeyring.recover(tmp_path / "keyring", shares[1:], b"new")
    assert LocalKeyring.open(tmp_path / "keyring", b"new").unwrap(wrapped, b"c") == b"kek"
    with pytest.raises(KeyringLocked, match="does not open"):
        LocalKeyring.open(tmp_path / "keyring", b"p")


def test_shares_of_another_keyring_change_nothing(tmp_path: Path) -> None:
    LocalKeyring.create(tmp_path / "keyring", b"p")
    other = LocalKeyring.create(tmp_path / "other", b"p")
    with pytest.raises(KeyringLocked, match="not those of the keyring"):
        LocalKeyring.recover(tmp_path / "keyring", other.recovery_shares(2, 2), b"new")
    with pytest.raises(KeyringLocked, match="2 different recovery shares"):
        LocalKeyring.recover(tmp_path / "other", other.recovery_shares(2, 2)[:1], b"new")
    for name in ("keyring", "other"):
        LocalKeyring.open(tmp_path / name, b"p")


def test_a_root_key_can_not_be_put_in_the_place_of_another_version(tmp_path: Path) -> None:
    mine = LocalKeyring.create(tmp_path / "keyring", b"p")
    mine.rotate()
    document = json.loads((tmp_path / "keyring").read_text())
    document["roots"]["2"] = document["roots"]["1"]
    (tmp_path / "keyring").write_text(json.dumps(document))
    with pytest.raises(KeyringLocked):
        LocalKeyring.open(tmp_path / "keyring", b"p")


def test_of_two_commands_at_once_neither_loses_what_the_other_added(tmp_path: Path) -> None:
    """A root key that is gone takes with it every key it wrapped."""
    path = tmp_path / "keyring"
    LocalKeyring.create(path, b"correct horse")
    writers = [LocalKeyring.open(path, b"correct horse") for _ in range(4)]
    acts = [
        writers[0].rotate,
        partial(writers[1].set_passphrase, b"another"),
        writers[2].rotate,
        partial(writers[3].set_passphrase, b"another"),
    ]
    with ThreadPoolExecutor(len(acts)) as pool:
        for done in [pool.submit(act) for act in acts]:
            done.result()
    assert LocalKeyring.open(path, b"another").versions == (1, 2, 3)


def test_a_prepared_root_key_only_unwraps_until_it_is_put_to_use(tmp_path: Path) -> None:
    """Machines whose copy of the file is older can open what the others wrap meanwhile."""
    LocalKeyring.create(tmp_path / "here", b"correct horse")
    shutil.copy(tmp_path / "here", tmp_path / "there")
    here, there = (LocalKeyring.open(tmp_path / name, b"correct horse") for name in ("here", "there"))
    LocalKeyring.open(tmp_path / "here", b"correct horse").prepare()
    assert (here.versions, here.former, here.has_prepared) == ((1, 2), (), True)
    assert there.unwrap(here.wrap(b"kek", b"c"), b"c") == b"kek"
    with pytest.raises(KeyringLocked, match="not in use yet"):
        here.drop_former()
    here.prepare()  # one that waits is enough
    shutil.copy(tmp_path / "here", tmp_path / "there")
    here.rotate()
    assert (here.versions, here.former, here.has_prepared) == ((1, 2), (1,), False)
    assert there.unwrap(here.wrap(b"kek", b"c"), b"c") == b"kek"


def test_a_file_whose_wrapping_version_is_missing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keyring"
    LocalKeyring.create(path, b"correct horse")
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "wraps": 7}))
    with pytest.raises(KeyringLocked, match="damaged"):
        LocalKeyring.open(path, b"correct horse")
