"""What can go wrong with a key or a seal.

    KeysError
    |- KeyNotFound            nothing of that name was ever stored here
    |- KeyDestroyed           it was stored, and destroyed on purpose; it can't come back
    |- KeyExists              the name is taken; names are written once
    |- SealBroken             ciphertext, key, binding and pin do not belong together
    |- KeyringLocked          the root can't be opened: passphrase, file, or kind of keyring
    `- KeyStoreUnavailable    the place of the keys can't be read or written just now

Rules: a message says whose fault it is, what happened and what to do; it holds the
name of a key at most, never a key. Wrong use by our own code is a `ValueError`.
"""

from __future__ import annotations


class KeysError(Exception):
    """Base of everything this package raises on purpose."""


class KeyNotFound(KeysError):  # noqa: N818 - the word of the field
    """No key of that name was ever stored in this key store."""


class KeyDestroyed(KeysError):  # noqa: N818 - the word of the field
    """The key was destroyed on purpose; what it sealed is gone for good."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The key {name} was destroyed; what it sealed can't be opened any more.")
        self.name = name


class KeyExists(KeysError):  # noqa: N818 - the word of the field
    """A key of that name is stored already; a name is written once."""


class SealBroken(KeysError):  # noqa: N818 - the word of the field
    """The ciphertext was altered, or is not what key, binding and pin say it is."""


class KeyringLocked(KeysError):  # noqa: N818 - the word of the field
    """The keyring that holds the root key can't be opened."""


class KeyStoreUnavailable(KeysError):  # noqa: N818 - the word of the field
    """The key store can't be reached or refuses to read or write; try again later."""
