"""A root key in a file, sealed by a passphrase: the custody of small sites.

The file is JSON: `format` (`earwitness-keyring/1`, which fixes scrypt of RFC 7914
with n = 2**17, r = 8, p = 1), `salt` and `sealed`, both base64. The sealed part is
the root key, wrapped as in `keys.envelope` under what scrypt makes of the passphrase.

Rules: the costs of scrypt are never read from the file, so that nobody who can write
it makes guessing cheap. Opening takes about a third of a second and 128 MiB.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from keys import durable_file
from keys.envelope import KEY_BYTES, new_key, unwrap_key, wrap_key
from keys.errors import KeyringLocked, SealBroken

FORMAT_NAME = "earwitness-keyring/1"
SCRYPT_N = 2**17
SCRYPT_R = 8
SCRYPT_P = 1
SALT_BYTES = 32

PASSPHRASE_BYTES_MAX = 1024
"""Room for any passphrase or credential file; more is a wrong file given by mistake."""

FILE_BYTES_MAX = 4096
"""A keyring file has about 250 octets; more is a wrong file given by mistake."""


class LocalKeyring:
    """A root that wraps with a key held in this process; made by `create` or `open`."""

    def __init__(self, root_key: bytes) -> None:
        self._root_key = root_key

    @classmethod
    def create(cls, path: Path, passphrase: bytes) -> LocalKeyring:
        """Make a new root key, seal it into a new file of mode 0600 and return it opened.

        Raises KeyringLocked when the file exists (a second root would leave the
        archive of the first unreadable), can't be written, or the passphrase is
        empty or too long.
        """
        salt, root_key = secrets.token_bytes(SALT_BYTES), new_key()
        sealed = wrap_key(_stretched(passphrase, salt), root_key, FORMAT_NAME.encode())
        document = {
            "format": FORMAT_NAME,
            "salt": base64.b64encode(salt).decode(),
            "sealed": base64.b64encode(sealed).decode(),
        }
        try:
            durable_file.create(path, json.dumps(document, indent=1).encode() + b"\n")
        except FileExistsError:
            raise KeyringLocked(f"There is a keyring at {path} already; it is never replaced.") from None
        except OSError as error:
            raise KeyringLocked(f"The keyring {path} can't be written: {error.strerror}.") from error
        return cls(root_key)

    @classmethod
    def open(cls, path: Path, passphrase: bytes) -> LocalKeyring:
        """Open the keyring in `path`; raises KeyringLocked when that can't be done, saying why."""
        salt, sealed = _read(path)
        try:
            return cls(unwrap_key(_stretched(passphrase, salt), sealed, FORMAT_NAME.encode()))
        except SealBroken:
            raise KeyringLocked(f"The keyring {path} does not open with this passphrase.") from None

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Return `plaintext` (1 to 4096 octets) sealed by the root and bound to `context`."""
        return wrap_key(self._root_key, plaintext, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return what `wrap` sealed; raises SealBroken for another root, context or octets."""
        return unwrap_key(self._root_key, wrapped, context)


def _read(path: Path) -> tuple[bytes, bytes]:
    """Return salt and sealed root key of a keyring file."""
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyringLocked(f"The keyring {path} can't be read: {error.strerror}.") from error
    try:
        document = json.loads(text) if len(text) <= FILE_BYTES_MAX else None
        if not isinstance(document, dict) or document.get("format") != FORMAT_NAME:
            raise KeyringLocked(f"{path} is not a keyring of the format {FORMAT_NAME}.")
        salt = base64.b64decode(str(document["salt"]), validate=True)
        return salt, base64.b64decode(str(document["sealed"]), validate=True)
    except (ValueError, KeyError, binascii.Error):
        raise KeyringLocked(f"{path} is not a keyring, or was damaged: restore it from its copy.") from None


def _stretched(passphrase: bytes, salt: bytes) -> bytes:
    if not 1 <= len(passphrase) <= PASSPHRASE_BYTES_MAX:
        raise KeyringLocked(f"The passphrase of a keyring has 1 to {PASSPHRASE_BYTES_MAX} octets.")
    return Scrypt(salt=salt, length=KEY_BYTES, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase)
