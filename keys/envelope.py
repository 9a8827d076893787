"""A key inside another key: AES-256-GCM over a short secret.

A wrapped key is `1 || nonce of 12 random octets || ciphertext and tag`, bound to a
context that unwrapping has to repeat. SP 800-38D section 8.3 allows 2**32 random
nonces under one key; a KEK lives for the recordings of one tenant that expire on one
day, which stays a thousand times below that.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import SealBroken

KEY_BYTES = 32
NONCE_BYTES = 12

SECRET_BYTES_MAX = 4096
"""What AWS KMS encrypts in one request; one limit for all roots, so that they can be exchanged."""

_VERSION = b"\x01"
_OVERHEAD_BYTES = len(_VERSION) + NONCE_BYTES + 16


def new_key() -> bytes:
    """Return 32 fresh random octets."""
    return secrets.token_bytes(KEY_BYTES)


def wrap_key(kek: bytes, key: bytes, context: bytes) -> bytes:
    """Return `key` wrapped under `kek` and bound to `context`.

    Raises ValueError for a `kek` that is not 32 octets, or a `key` that is empty or
    longer than SECRET_BYTES_MAX.
    """
    if not 1 <= len(key) <= SECRET_BYTES_MAX:
        raise ValueError(f"A secret to wrap has 1 to {SECRET_BYTES_MAX} octets, this one has {len(key)}.")
    nonce = secrets.token_bytes(NONCE_BYTES)
    return _VERSION + nonce + _cipher(kek).encrypt(nonce, key, context)


def unwrap_key(kek: bytes, wrapped: bytes, context: bytes) -> bytes:
    """Return the key in `wrapped`; raises SealBroken for another KEK, context or octets."""
    if not _OVERHEAD_BYTES < len(wrapped) <= _OVERHEAD_BYTES + SECRET_BYTES_MAX or wrapped[:1] != _VERSION:
        raise SealBroken("This is not a wrapped key of a known version: it was cut, extended or altered.")
    nonce, ciphertext = wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]
    try:
        return _cipher(kek).decrypt(nonce, ciphertext, context)
    except InvalidTag:
        raise SealBroken("The wrapped key was altered, or wrapped by another key or purpose.") from None


def _cipher(kek: bytes) -> AESGCM:
    if len(kek) != KEY_BYTES:
        raise ValueError(f"A key-encryption key has {KEY_BYTES} octets, this one has {len(kek)}.")
    return AESGCM(kek)
