"""The transit engine of HashiCorp Vault as root: the key never leaves the service.

The named key must be *derived* (`vault write MOUNT/keys/KEY type=aes256-gcm96
derived=true`): Vault then derives a key from our context, so that another context can't
open. What it gives is kept as `0x11 || its text`, which names the version of the key.

The token needs `update` on `MOUNT/encrypt/KEY`, `MOUNT/decrypt/KEY` and
`MOUNT/rewrap/KEY`, and for `rotate` on `MOUNT/keys/KEY/rotate`. Keeping it alive is the
work of Vault's agent. A raised `min_decryption_version` ends what older versions wrapped.

Not proved here: Vault can't be run where the tests are; they speak to a server of ours
that follows Vault's documentation (docs/assurance.md).
"""

from __future__ import annotations

import base64
import binascii
import http.client
import ipaddress
import json
import re
import ssl
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from keys.envelope import SECRET_BYTES_MAX
from keys.errors import KeyringLocked, KeyStoreUnavailable, SealBroken

TIMEOUT_S = 10.0

ANSWER_BYTES_MAX = 64 * 1024
"""A wrapped secret has six kilobytes at most; more is no answer of Vault."""

TOKEN_CHARS_MAX = 2048
"""Batch tokens have some hundred characters; more is a wrong file given by mistake."""

_FORMAT = b"\x11"
_CIPHERTEXT = re.compile(r"vault:v[1-9]\d{0,9}:[A-Za-z0-9+/]+=*")
_TOKEN = re.compile(r"[\x21-\x7e]+")


class VaultTransit:
    """A root that is a key of Vault's transit engine; safe to share among threads."""

    kind = "vault"

    def __init__(self, origin: str, mount: str, key: str, token: str) -> None:
        self._origin = urlsplit(origin)
        self._mount = mount
        self._key = key
        self._token = token

    def __repr__(self) -> str:
        return f"VaultTransit({self._mount}/{self._key})"

    @classmethod
    def open(cls, url: str, token: bytes) -> VaultTransit:
        """Return the root for `https://HOST:PORT/MOUNT/KEY`; nothing is asked yet. Raises KeyringLocked."""
        parts = urlsplit(url)
        mount, _, key = parts.path.strip("/").rpartition("/")
        if parts.scheme not in {"http", "https"} or not parts.hostname or not mount or not key:
            raise KeyringLocked("A keyring vault: has the form vault:https://HOST:PORT/MOUNT/KEY.")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise KeyringLocked("Keys would cross a network in clear text: name Vault by https.")
        text = token.decode(errors="replace").strip()
        if len(text) > TOKEN_CHARS_MAX or _TOKEN.fullmatch(text) is None:
            raise KeyringLocked("KEYRING_PASSPHRASE_FILE does not hold a token of Vault.")
        return cls(f"{parts.scheme}://{parts.netloc}", mount, key, text)

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Return `plaintext` (1 to 4096 octets) sealed by Vault and bound to `context`."""
        if not 1 <= len(plaintext) <= SECRET_BYTES_MAX:
            raise ValueError(f"A secret to wrap has 1 to {SECRET_BYTES_MAX} octets, not {len(plaintext)}.")
        return self._sealed(self._ask("encrypt", {"plaintext": _text(plaintext), "context": _text(context)}))

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return what `wrap` sealed; raises SealBroken for another key, context or octets."""
        answer = self._ask("decrypt", {"ciphertext": _ciphertext(wrapped), "context": _text(context)})
        try:
            return base64.b64decode(answer["plaintext"], validate=True)
        except (KeyError, binascii.Error) as error:
            raise KeyStoreUnavailable("Vault's answer has no plaintext; is it Vault?") from error

    def rotate(self) -> None:
        """Make a new version of the key; needs the right to."""
        self._request("POST", f"{self._mount}/keys/{quote(self._key)}/rotate", {})

    def rewrapped(self, wrapped: bytes, context: bytes) -> bytes | None:
        """Return a secret wrapped by the newest version, or None when it is already."""
        former = _ciphertext(wrapped)
        # Vault would take any text of its form from us; that it opens is seen only by opening it.
        self.unwrap(wrapped, context)
        sealed = self._sealed(self._ask("rewrap", {"ciphertext": former, "context": _text(context)}))
        return None if _version(_ciphertext(sealed)) == _version(former) else sealed

    def _sealed(self, answer: dict[str, str]) -> bytes:
        sealed = _FORMAT + answer.get("ciphertext", "").encode()
        try:
            _ciphertext(sealed)
        except SealBroken as error:
            raise KeyStoreUnavailable("Vault's answer has no ciphertext; is it Vault?") from error
        return sealed

    def _ask(self, what: str, body: dict[str, str]) -> dict[str, str]:
        answer = self._request("POST", f"{self._mount}/{what}/{quote(self._key)}", body)
        data = answer.get("data")
        return {k: str(v) for k, v in data.items()} if isinstance(data, dict) else {}

    def _request(self, method: str, path: str, body: dict[str, str]) -> dict[str, object]:
        headers = {"X-Vault-Token": self._token, "X-Vault-Request": "true"}
        connection = self._connection()
        try:
            connection.request(method, f"/v1/{quote(path)}", json.dumps(body).encode(), headers)
            response = connection.getresponse()
            content = response.read(ANSWER_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            raise KeyStoreUnavailable(
                f"Vault can't be reached ({type(error).__name__}): check KEYRING, network and certificate."
            ) from error
        finally:
            connection.close()
        return _judged(response.status, content, path.split("/")[-2])

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._origin.hostname or "", self._origin.port
        if self._origin.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)


def _judged(status: int, content: bytes, what: str) -> dict[str, object]:
    """Return Vault's answer, or raise what its status means; its texts are not repeated."""
    if status == HTTPStatus.BAD_REQUEST and what in {"decrypt", "rewrap"}:
        raise SealBroken("Vault refuses it: altered, or wrapped by another key, version or purpose.")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise KeyringLocked("Vault refuses our token: renew it, and check its policy.")
    if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}:
        raise KeyringLocked("Vault has no such key, or it is not derived: check KEYRING and the key.")
    if status >= HTTPStatus.BAD_REQUEST or len(content) > ANSWER_BYTES_MAX:
        raise KeyStoreUnavailable(f"Vault answers {status}: is it sealed? It is tried again.")
    try:
        answer = json.loads(content) if content else {}
    except ValueError as error:
        raise KeyStoreUnavailable("What answers in Vault's place is not Vault.") from error
    return answer if isinstance(answer, dict) else {}


def _ciphertext(wrapped: bytes) -> str:
    text = wrapped[1:].decode("ascii", errors="replace")
    if wrapped[:1] != _FORMAT or _CIPHERTEXT.fullmatch(text) is None:
        raise SealBroken("This was not wrapped by Vault.")
    return text


def _version(ciphertext: str) -> str:
    return ciphertext.split(":")[1]


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
