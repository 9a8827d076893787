"""The top of the chain of keys: something that wraps and unwraps, and never shows its key.

`open_root` reads the KEYRING setting. This release has the local keyring; key
services and security modules keep the same two methods.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from keys.errors import KeyringLocked
from keys.local_keyring import LocalKeyring

_LATER_KINDS = frozenset({"kms", "vault", "pkcs11"})


class Root(Protocol):
    """Wraps short secrets; only the same root with the same context unwraps them."""

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Return `plaintext` (1 to 4096 octets) sealed and bound to `context`."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return what `wrap` sealed; raises SealBroken for another root, context or octets."""


def open_root(url: str, passphrase: bytes | None) -> Root:
    """Open the root a KEYRING setting names: `file:PATH`, opened by `passphrase`.

    Raises KeyringLocked, naming the setting to change, when it can't be opened.
    """
    kind, separator, place = url.partition(":")
    if kind in _LATER_KINDS and separator:
        raise KeyringLocked(f"A keyring of the kind {kind}: is not available in this release; use file:PATH.")
    if kind != "file" or not place:
        raise KeyringLocked("KEYRING has the form file:PATH.")
    if not passphrase:
        raise KeyringLocked("A keyring file needs its passphrase: set KEYRING_PASSPHRASE_FILE.")
    return LocalKeyring.open(Path(place), passphrase)
