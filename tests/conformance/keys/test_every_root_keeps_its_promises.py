"""What each root promises, whichever it is: only the same root and context unwrap what it wrapped."""

from __future__ import annotations

import pytest
from moto.server import ThreadedMotoServer

from keys.envelope import SECRET_BYTES_MAX
from keys.errors import KeyringLocked, KeysError, KeyStoreUnavailable, SealBroken
from keys.root import Moving, open_root
from tests.conformance.keys.conftest import PIN, SOFTHSM, Custody
from tests.conformance.keys.vault_server import TOKEN, VaultServer

CONTEXT = b"earwitness-kek/1\x00tenant/2027-02-20/1"
SECRET = bytes(range(32))
REFUSED = (SealBroken, KeyringLocked)
"""Locked is what AWS KMS answers of the octets of an unknown key: access denied."""


def test_what_was_wrapped_comes_back_also_after_opening_it_again(custody: Custody) -> None:
    wrapped = custody.root.wrap(SECRET, CONTEXT)
    assert custody.root.unwrap(wrapped, CONTEXT) == SECRET
    assert custody.reopen().unwrap(wrapped, CONTEXT) == SECRET


@pytest.mark.parametrize("size", [1, 32, SECRET_BYTES_MAX])
def test_secrets_of_every_allowed_size_are_wrapped(custody: Custody, size: int) -> None:
    secret = b"\x00\xff" * (size // 2) + b"x" * (size % 2)
    assert custody.root.unwrap(custody.root.wrap(secret, CONTEXT), CONTEXT) == secret


@pytest.mark.parametrize("size", [0, SECRET_BYTES_MAX + 1])
def test_other_sizes_are_a_defect_of_the_caller(custody: Custody, size: int) -> None:
    with pytest.raises(ValueError, match="1 to 4096"):
        custody.root.wrap(b"x" * size, CONTEXT)


def test_the_secret_is_not_in_what_comes_out_and_no_two_are_alike(custody: Custody) -> None:
    wrapped = {custody.root.wrap(SECRET, CONTEXT) for _ in range(4)}
    assert len(wrapped) == 4
    assert not any(SECRET in each for each in wrapped)


@pytest.mark.parametrize("context", [b"", CONTEXT[:-1], CONTEXT + b"\x00", b"another purpose"])
def test_another_context_does_not_unwrap(custody: Custody, context: bytes) -> None:
    """C6: what was wrapped for one tenant and day does not open for another."""
    wrapped = custody.root.wrap(SECRET, CONTEXT)
    with pytest.raises(REFUSED):
        custody.root.unwrap(wrapped, context)


def test_another_root_does_not_unwrap(custody: Custody) -> None:
    with pytest.raises(REFUSED):
        custody.other.unwrap(custody.root.wrap(SECRET, CONTEXT), CONTEXT)


def test_altered_octets_do_not_unwrap(custody: Custody) -> None:
    """C2, for wrapped keys."""
    wrapped = custody.root.wrap(SECRET, CONTEXT)
    places = sorted({0, 1, len(wrapped) // 2, len(wrapped) - 1})
    altered = [wrapped[:at] + bytes([wrapped[at] ^ 0x01]) + wrapped[at + 1 :] for at in places]
    for each in (*altered, wrapped[:-1], wrapped[:1], b"", b"\x01" * len(wrapped)):
        with pytest.raises(REFUSED):
            custody.root.unwrap(each, CONTEXT)


def test_nothing_of_a_key_or_of_what_opens_it_is_shown(custody: Custody) -> None:
    shown = repr(custody.root).encode() + str(vars(custody.root).keys()).encode()
    assert not any(secret in shown for secret in custody.secrets)
    with pytest.raises(SealBroken) as caught:
        custody.root.unwrap(b"\x00" * 64, CONTEXT)
    assert not any(secret in str(caught.value).encode() for secret in (*custody.secrets, SECRET))


def test_after_a_rotation_the_old_ones_open_and_are_wrapped_anew_once(custody: Custody) -> None:
    """C7, for roots."""
    former = custody.root.wrap(SECRET, CONTEXT)
    assert custody.root.rewrapped(former, CONTEXT) is None
    if custody.root.kind == "kms":
        with pytest.raises(KeyringLocked, match="rotates its keys itself"):
            custody.root.rotate()
        return
    custody.root.rotate()
    assert custody.root.unwrap(former, CONTEXT) == SECRET
    fresh = custody.root.rewrapped(former, CONTEXT)
    assert fresh is not None
    assert custody.root.unwrap(fresh, CONTEXT) == SECRET
    assert custody.root.rewrapped(fresh, CONTEXT) is None
    assert custody.reopen().unwrap(former, CONTEXT) == custody.reopen().unwrap(fresh, CONTEXT) == SECRET
    with pytest.raises(SealBroken):
        custody.root.rewrapped(former, b"another purpose")


def test_one_root_takes_over_from_another(custody: Custody) -> None:
    moving = Moving(custody.root, custody.other)
    former = custody.other.wrap(SECRET, CONTEXT)
    assert moving.unwrap(former, CONTEXT) == SECRET
    fresh = moving.rewrapped(former, CONTEXT)
    assert fresh is not None
    assert custody.root.unwrap(fresh, CONTEXT) == SECRET
    assert moving.rewrapped(moving.wrap(SECRET, CONTEXT), CONTEXT) is None
    assert moving.kind == custody.root.kind
    for wrapped in (fresh[:-1], b"\x01" * 61):
        with pytest.raises(REFUSED):
            moving.unwrap(wrapped, CONTEXT)


def test_a_service_that_is_away_says_so_and_what_to_do(custody: Custody) -> None:
    """C9: the archive tells a service that is away from a key that is wrong."""
    if custody.take_away is None:
        # A file and a module are here or not; the tests of each say what then.
        assert custody.root.kind in {"file", "pkcs11"}
        return
    wrapped = custody.root.wrap(SECRET, CONTEXT)
    custody.take_away()
    root = custody.reopen()
    for act in (lambda: root.wrap(SECRET, CONTEXT), lambda: root.unwrap(wrapped, CONTEXT)):
        with pytest.raises(KeyStoreUnavailable, match=r"tried again|check network"):
            act()


def test_aws_kms_without_rights_or_key_is_locked(
    kms_server: ThreadedMotoServer, kms_custody: Custody
) -> None:
    missing = open_root(
        "kms:arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000", None
    )
    with pytest.raises(KeyringLocked, match="check its ARN"):
        missing.wrap(SECRET, CONTEXT)


def test_vault_without_rights_or_key_is_locked(vault: VaultServer) -> None:
    url = vault.add_key("earwitness")
    with pytest.raises(KeyringLocked, match="refuses our token"):
        open_root(url, b"hvs.of-somebody-else").wrap(SECRET, CONTEXT)
    with pytest.raises(KeyringLocked, match="no such key"):
        open_root(f"{url}-2", TOKEN.encode()).wrap(SECRET, CONTEXT)
    with pytest.raises(KeyringLocked, match="no such key"):
        open_root(f"{url}-2", TOKEN.encode()).rotate()


def test_vault_never_hears_of_what_is_not_wrapped_by_it(vault: VaultServer) -> None:
    root = open_root(vault.add_key("earwitness"), TOKEN.encode())
    for wrapped in (b"\x11vault:v1:../../sys/seal", b"\x11", b"\x01" * 61, b"\x11vault:v0:AAAA"):
        with pytest.raises(SealBroken):
            root.unwrap(wrapped, CONTEXT)
    assert vault.heard == []


@pytest.mark.parametrize(
    ("uri", "pin", "told"),
    [
        ("pkcs11:token=nowhere;object=root?module-path={module}", PIN, "no token nowhere"),
        ("pkcs11:token=earwitness;object=missing?module-path={module}", PIN, "earwitness install"),
        ("pkcs11:token=earwitness;object=root?module-path={module}", "000000", "refuses the PIN"),
        ("pkcs11:token=earwitness;object=root?module-path=/nowhere.so", PIN, "can't be loaded"),
    ],
)
def test_a_security_module_that_can_not_be_used_says_what_to_check(
    softhsm: str, uri: str, pin: str, told: str
) -> None:
    root = open_root(uri.format(module=SOFTHSM), pin.encode())
    with pytest.raises(KeysError, match=told):
        root.wrap(SECRET, CONTEXT)
    root.close()


def test_a_session_the_module_dropped_is_opened_again(pkcs11_custody: Custody) -> None:
    root, another = pkcs11_custody.root, pkcs11_custody.reopen()
    wrapped = root.wrap(SECRET, CONTEXT)
    assert another.unwrap(wrapped, CONTEXT) == SECRET
    another.close()  # logs out every session of the process
    assert root.unwrap(wrapped, CONTEXT) == SECRET


def test_the_key_in_the_module_can_not_leave_it(pkcs11_custody: Custody) -> None:
    import pkcs11

    root = pkcs11_custody.root
    root.wrap(SECRET, CONTEXT)
    key = root._keys(root._session)[1]
    with pytest.raises((pkcs11.exceptions.AttributeSensitive, KeyError)):
        key[pkcs11.Attribute.VALUE]
