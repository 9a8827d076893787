"""A server that answers as Vault's transit engine does, as far as a root asks it.

Written from Vault's documentation of its HTTP API, because Vault itself can't be run
here; so what passes against it is not proved against Vault.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TOKEN = "hvs.of-the-tests"


class VaultServer(ThreadingHTTPServer):
    """One transit engine at `transit`, its keys derived; `sealed` answers as a sealed Vault."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys: dict[str, list[bytes]] = {}
        self.sealed = False
        self.heard: list[bytes] = []

    def add_key(self, name: str) -> str:
        """Make a key and return the KEYRING setting that names it."""
        self.keys[name] = [secrets.token_bytes(32)]
        return f"vault:http://127.0.0.1:{self.server_port}/transit/{name}"

    def answer(self, action: str, name: str, body: dict[str, str]) -> tuple[int, dict[str, object]]:
        versions = self.keys.get(name)
        if versions is None:
            return (404 if action == "rotate" else 400), {"errors": ["encryption key not found"]}
        if action == "rotate":
            versions.append(secrets.token_bytes(32))
            return 200, {}
        context = base64.b64decode(body.get("context", ""))
        if not context:
            return 400, {"errors": ["missing 'context' for key derivation"]}
        try:
            if action == "encrypt":
                return 200, {"data": {"ciphertext": self._encrypt(versions, context, body["plaintext"])}}
            text = self._decrypt(versions, context, body["ciphertext"])
        except (InvalidTag, ValueError, IndexError):
            return 400, {"errors": ["cipher: message authentication failed"]}
        if action == "rewrap":
            return 200, {"data": {"ciphertext": self._encrypt(versions, context, text)}}
        return 200, {"data": {"plaintext": text}}

    def _encrypt(self, versions: list[bytes], context: bytes, text: str) -> str:
        nonce = secrets.token_bytes(12)
        sealed = nonce + _cipher(versions[-1], context).encrypt(nonce, base64.b64decode(text), None)
        return f"vault:v{len(versions)}:{base64.b64encode(sealed).decode()}"

    def _decrypt(self, versions: list[bytes], context: bytes, ciphertext: str) -> str:
        _, version, text = ciphertext.split(":")
        sealed = base64.b64decode(text)
        key = versions[int(version[1:]) - 1]
        return base64.b64encode(_cipher(key, context).decrypt(sealed[:12], sealed[12:], None)).decode()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: VaultServer = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.heard.append(body)
        parts = self.path.removeprefix("/v1/transit/").split("/")
        if server.sealed:
            status, answer = 503, {"errors": ["Vault is sealed"]}
        elif self.headers["X-Vault-Token"] != TOKEN:
            status, answer = 403, {"errors": ["permission denied"]}
        elif parts[0] == "keys":
            status, answer = server.answer("rotate", parts[1], {})
        else:
            status, answer = server.answer(parts[0], parts[1], json.loads(body))
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Stay silent."""


def _cipher(key: bytes, context: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=context).derive(key))


@contextmanager
def running() -> Iterator[VaultServer]:
    """Serve until the block ends."""
    server = VaultServer()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
