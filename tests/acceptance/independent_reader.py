"""A reader of recordings written from docs/archive-format.md alone: imports nothing of earwitness.

Takes what a restore has: listings of a bucket, a key store and a keyring file.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

KEY_NAME = re.compile(r"key\.(\d{4}-\d{2}-\d{2})\.(\d+)")


def unwrap(key: bytes, wrapped: bytes, context: bytes) -> bytes:
    """Section 5."""
    assert wrapped[0] == 1
    return AESGCM(key).decrypt(wrapped[1:13], wrapped[13:], context)


def root_keys(keyring: Path, passphrase: bytes) -> dict[int, bytes]:
    """Section 5, the keyring file."""
    document = json.loads(keyring.read_text())
    salt, sealed = (base64.b64decode(document[name]) for name in ("salt", "sealed"))
    stretched = Scrypt(salt=salt, length=32, n=131072, r=8, p=1).derive(passphrase)
    opened = unwrap(stretched, sealed, document["format"].encode())
    if document["format"] == "earwitness-keyring/1":
        return {1: opened}
    return {
        int(version): unwrap(opened, base64.b64decode(text), f"earwitness-keyring/2 root {version}".encode())
        for version, text in document["roots"].items()
    }


def root_unwrap(roots: Mapping[int, bytes], wrapped: bytes, context: bytes) -> bytes:
    """Section 5, what a root wraps."""
    if wrapped[0] == 2:
        return unwrap(roots[int.from_bytes(wrapped[1:3], "big")], wrapped[3:], context)
    return unwrap(roots[1], wrapped, context)


def binding(*fields: str) -> bytes:
    """Section 2."""
    texts = [field.encode() for field in ("earwitness-sealed-object/1", *fields)]
    return b"".join(len(text).to_bytes(2, "big") + text for text in texts)


def derive(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key)


def open_sealed(key: bytes, data: bytes, sealed: bytes, pin: Mapping[str, Any]) -> bytes:
    """Sections 3 and 4."""
    assert derive(key, b"earwitness key commitment/1", data).hex() == pin["commitment"]
    borders = [40, *range(65536, len(sealed), 65536), len(sealed)]
    assert (len(borders) - 1, sealed[0]) == (pin["segments"], 40)
    cipher = AESGCM(derive(key, sealed[1:33], data))
    plaintext = b""
    for index, (start, stop) in enumerate(itertools.pairwise(borders)):
        nonce = sealed[33:40] + index.to_bytes(4, "big") + bytes([stop == len(sealed)])
        plaintext += cipher.decrypt(nonce, sealed[start:stop], None)
    assert len(plaintext) == pin["plaintext_bytes"]
    return plaintext


def wrapped_keys(objects: Mapping[str, bytes], header: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Section 8: the latest `key` object first, the header line last."""
    found = [
        (match[1], int(match[2]), octets)
        for name, octets in objects.items()
        if (match := KEY_NAME.match(name))
    ]
    for _day, _version, octets in sorted(found, reverse=True):
        yield json.loads(octets)
    yield header


def read(
    objects: Mapping[str, bytes], keys: Path, roots: Mapping[int, bytes], tenant: str, recording: str
) -> dict[str, bytes]:
    """Section 9: from the objects of a recording, by what their names end with, to their plaintexts."""
    record = objects[max(name for name in objects if name.split(".")[0] == "record")]
    line, _, sealed = record.partition(b"\n")
    header = json.loads(line)
    for candidate in wrapped_keys(objects, header):
        try:
            kek_id = candidate["kek_id"]
            kek = root_unwrap(roots, (keys / kek_id).read_bytes(), b"earwitness-kek/1\x00" + kek_id.encode())
            key = unwrap(
                kek, base64.b64decode(candidate["wrapped_key"]), binding(tenant, recording, "data-key")
            )
            break
        except (OSError, InvalidTag):
            continue
    else:
        raise LookupError("No key of this recording opens.")
    document = json.loads(open_sealed(key, binding(tenant, recording, "record"), sealed, header["record"]))
    found = {}
    for pin in document["objects"]:
        octets = objects[pin["key"].rpartition("/")[2]]
        assert hashlib.sha256(octets).hexdigest() == pin["ciphertext_sha256"]
        found[pin["kind"]] = open_sealed(key, binding(tenant, recording, pin["kind"]), octets, pin)
        assert hashlib.sha256(found[pin["kind"]]).hexdigest() == pin["plaintext_sha256"]
    return found
