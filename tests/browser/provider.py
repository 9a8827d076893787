"""The sign-in of an organisation (OpenID Connect) on this machine: it lets everybody in as one person, at once.

It speaks the code flow as far as a browser and the portal need it: document, keys, the page
that leads back, and tokens. It remembers what it was asked, so that tests can look.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

NAME = "earwitness"


@dataclass
class OwnSignIn:
    """The provider: whom it vouches for, and what it was asked."""

    email: str
    address: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, parameters={"kid": "one"}))

    def answer(self, path: str, body: str) -> tuple[dict[str, Any] | None, str]:
        """Return the document of a path, or where it leads."""
        url = urlsplit(path)
        if url.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            code = secrets.token_urlsafe()
            self.asked.append(asked)
            self._codes[code] = asked
            back = urlencode({"code": code, "state": asked["state"]})
            return None, f"{asked['redirect_uri']}?{back}"
        if url.path == "/token":
            return self._token(self._codes.pop(parse_qs(body)["code"][0])), ""
        if url.path == "/keys":
            return {"keys": [self._key.as_dict(private=False)]}, ""
        places = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "jwks_uri": "keys",
        }
        return {"issuer": self.address, **{name: f"{self.address}/{p}" for name, p in places.items()}}, ""

    def _token(self, asked: dict[str, str]) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.address,
            "aud": NAME,
            "sub": f"subject of {self.email}",
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "nonce": asked["nonce"],
            "email": self.email,
            "email_verified": True,
        }
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key, algorithms=["RS256"])
        return {"id_token": token, "token_type": "Bearer"}


@contextmanager
def opened(email: str) -> Iterator[OwnSignIn]:
    """Open the sign-in of an organisation for as long as it is needed."""
    it = OwnSignIn(email)

    class Handler(BaseHTTPRequestHandler):
        """Answers for `it`."""

        def do_GET(self) -> None:
            self._answer("")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def log_message(self, format: str, *given: object) -> None:  # noqa: A002 - the name of the library
            """Say nothing."""

        def _answer(self, body: str) -> None:
            document, elsewhere = it.answer(self.path, body)
            self.send_response(302 if elsewhere else 200)
            if elsewhere:
                self.send_header("Location", elsewhere)
            text = b"" if document is None else json.dumps(document).encode()
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    it.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield it
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
