"""The key that signs checkpoints of the audit log: Ed25519 (RFC 8032), sealed by the root.

It stands in the key store beside the key-encryption keys, so that every worker of an
archive signs with the same one. Its public half is published with what it signed; who
checks needs nothing else.

Rules: bytes in, bytes out. A signature of the same octets is always the same.
"""

from __future__ import annotations

import contextlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.binding import length_prefixed
from keys.envelope import new_key
from keys.errors import KeyExists, KeyNotFound
from keys.key_store import KeyStore
from keys.root import Root

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64

_FORMAT = "earwitness-signing-key/1"


class SigningKey:
    """A private key in this process; made by `load_or_create`."""

    def __init__(self, seed: bytes) -> None:
        """Take the 32 secret octets of RFC 8032; raises ValueError for another number."""
        self._private = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> bytes:
        """The 32 octets of the public key."""
        return self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, data: bytes) -> bytes:
        """Return the 64 octets of the signature."""
        return self._private.sign(data)


def load_or_create(store: KeyStore, root: Root, name: str) -> SigningKey:
    """Return the key of that name, made and stored durably when there is none.

    Raises SealBroken when another root sealed it, KeyDestroyed, KeyStoreUnavailable.
    """
    context = context_of(name)
    try:
        sealed = store.get(name)
    except KeyNotFound:
        # Another worker may be first; its key is the one.
        with contextlib.suppress(KeyExists):
            store.put(name, root.wrap(new_key(), context))
        sealed = store.get(name)
    return SigningKey(root.unwrap(sealed, context))


def context_of(name: str) -> bytes:
    """Return what the root binds a signing key to."""
    return length_prefixed(_FORMAT) + length_prefixed(name)


def verify(public: bytes, signature: bytes, data: bytes) -> bool:
    """Tell whether the holder of that key signed `data`; a malformed key signed nothing."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
