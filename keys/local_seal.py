"""Small files of one machine, sealed whole by a key of that machine.

For what a process keeps beside its journal and reads back as a whole: AES-256-GCM
with a random nonce, bound to what the file is for. Objects that leave the machine
are sealed by `keys.streaming_aead`.

Rules: bytes in, bytes out.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import SealBroken

CONTENT_BYTES_MAX = 256 * 1024 * 1024
"""A directory of a million users has some 200 MB; more does not belong in one sealed piece."""

_VERSION = b"\x01"
_NONCE_BYTES = 12


def seal_whole(key: bytes, content: bytes, context: bytes) -> bytes:
    """Return `content` sealed under the 32-byte `key`, bound to `context`; ValueError above the limit."""
    if len(content) > CONTENT_BYTES_MAX:
        raise ValueError(f"{len(content)} octets are more than one sealed piece holds ({CONTENT_BYTES_MAX}).")
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, content, context)


def open_whole(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Return what `seal_whole` sealed; raises SealBroken for another key, context or octets."""
    if sealed[:1] != _VERSION:
        raise SealBroken("This is not a sealed file of a known version.")
    nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, context)
    except InvalidTag:
        raise SealBroken("A sealed file was altered, or sealed by another key.") from None
