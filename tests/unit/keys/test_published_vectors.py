"""The ciphers underneath are the ones published: vectors of NIST and of RFC 5869 (C10).

The vectors come with the package `cryptography-vectors`. It has none of Wycheproof; what those look for in a
cipher (altered tags, other nonces) is tried on our own formats in the tests beside this one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys import streaming_aead

VECTORS = Path(cryptography_vectors.__file__).parent


def blocks(path: str) -> Iterator[dict[str, str]]:
    """Return the fields of each case of a NIST response file, with those of its group."""
    group: dict[str, str] = {}
    case: dict[str, str] = {}
    for line in (VECTORS / path).read_text().splitlines():
        text = line.strip()
        if text.startswith("["):
            name, _, value = text.strip("[]").partition(" = ")
            group[name] = value
        elif text == "FAIL":
            case["FAIL"] = ""
        elif " =" in text:
            name, _, value = text.partition(" =")
            case[name] = value.strip()
        elif not text and "Key" in case:
            yield {**group, **case}
            case = {}


def ours(case: dict[str, str]) -> bool:
    """Nonces of 12 octets and whole tags, as all our formats have."""
    return (case["IVlen"], case["Taglen"]) == ("96", "128")


def test_c10_aes_256_gcm_gives_what_nist_published() -> None:
    """C10."""
    cases = [case for case in blocks("ciphers/AES/GCM/gcmEncryptExtIV256.rsp") if ours(case)]
    assert len(cases) > 300
    for case in cases:
        key, nonce, plain, extra = (bytes.fromhex(case[name]) for name in ("Key", "IV", "PT", "AAD"))
        assert AESGCM(key).encrypt(nonce, plain, extra).hex() == case["CT"] + case["Tag"]


def test_c10_aes_256_gcm_refuses_what_nist_says_is_forged() -> None:
    """C10."""
    cases = [case for case in blocks("ciphers/AES/GCM/gcmDecrypt256.rsp") if ours(case)]
    forged = [case for case in cases if "FAIL" in case]
    assert len(forged) > 100
    for case in cases:
        key, nonce, sealed, extra = (bytes.fromhex(case[name]) for name in ("Key", "IV", "CT", "AAD"))
        sealed += bytes.fromhex(case["Tag"])
        if "FAIL" in case:
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(nonce, sealed, extra)
        else:
            assert AESGCM(key).decrypt(nonce, sealed, extra).hex() == case["PT"]


def test_c10_our_derivation_is_hkdf_sha256() -> None:
    """C10: RFC 5869, cut to the 32 octets we derive."""
    text = (VECTORS / "KDF/rfc-5869-HKDF-SHA256.txt").read_text()
    fields: dict[str, str] = {}
    count = 0
    for line in itertools.chain(text.splitlines(), ["COUNT = end"]):
        name, _, value = line.partition("=")
        name, value = name.strip().lower(), value.strip().removeprefix("0x")
        if name == "count" and "okm" in fields:
            key, salt, info, okm = (bytes.fromhex(fields[part]) for part in ("ikm", "salt", "info", "okm"))
            derived = streaming_aead.HKDF(algorithm=streaming_aead.SHA256(), length=32, salt=salt, info=info)
            assert derived.derive(key) == okm[:32]
            count += 1
            fields = {}
        else:
            fields[name] = value
    assert count == 3
