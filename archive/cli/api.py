"""The HTTP API as a command uses it: one request, JSON or bytes back.

Nothing is sent twice: a command to a call that was not confirmed is told as such.
An operator hears nothing; what commands show of recordings is what the API key given
may see, and stands in the audit log under its name.
"""

from __future__ import annotations

import argparse
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import quote, urlencode

from archive.cli.service import add_data, service_of
from archive.errors import NotFound, Refused, StoreUnavailable

KEY_VARIABLE = "EARWITNESS_API_KEY"
TIMEOUT_S = 60.0
ANSWER_SIZE_BYTES_MAX = 16 * 1024 * 1024  # a page of 200 recordings has some 200 kB
PIECE_SIZE_BYTES = 256 * 1024

Document = dict[str, object]


def add_api(to: argparse.ArgumentParser) -> None:
    """Add the options that say where the API is and who asks."""
    add_data(to)
    to.add_argument("--url", metavar="URL", help="address of the portal (default: the one of --data)")
    to.add_argument(
        "--key",
        metavar="KEY",
        help=f"API key (default: {KEY_VARIABLE}, which others on this machine can't see)",
    )


class Api:
    """Requests with one API key to one portal."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Take address and key from the options; raises Refused when one is missing."""
        self._url = portal_of(options)
        self._key = options.key or os.environ.get(KEY_VARIABLE, "")
        self._opener = urllib.request.build_opener()
        if not self._key:
            raise Refused(
                f"An API key is needed: --key or {KEY_VARIABLE}; `earwitness api-client add` makes one."
            )

    def identity(self) -> dict[str, str]:
        """Return the headers that say who asks."""
        return {"Authorization": f"Bearer {self._key}"}

    def is_of(self, tenant_id: str) -> bool:
        """Return whether the key belongs to a tenant: a key names it (`archive.catalogue.accounts`)."""
        return self._key.startswith(f"ew_{tenant_id}_")

    def get(self, path: str, **query: str | int | None) -> Document:
        """Return a JSON document; raises Refused, NotFound, StoreUnavailable."""
        return self._document("GET", path, query)

    def post(self, path: str, document: Document | None = None) -> Document:
        """Send a document, or nothing, and return what is answered; raises as `get`."""
        return self._document("POST", path, {}, document)

    def delete(self, path: str) -> Document:
        """Ask for a thing to go and return what is answered; raises as `get`."""
        return self._document("DELETE", path, {})

    def fetch(self, path: str, to: Path, **query: str | int | None) -> int:
        """Write what stands at `path` into a new file of mode 0600 and return its length in bytes.

        Raises as `get`, and Refused when the file can't be written; then nothing is left of it.
        """
        unfinished = to.with_name(f".{to.name}.part")
        with self._open("GET", path, query) as answer:
            try:
                descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                raise Refused(f"{unfinished} exists; another fetch writes it, or remove it.") from None
            except OSError as error:
                raise Refused(f"{to} can't be written: {error.strerror}.") from error
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.writelines(self._pieces(answer))
                unfinished.rename(to)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
        return to.stat().st_size

    def _document(
        self, method: str, path: str, query: dict[str, str | int | None], sent: Document | None = None
    ) -> Document:
        with self._open(method, path, query, sent) as answer:
            content = b"".join(self._pieces(answer, ANSWER_SIZE_BYTES_MAX))
            if answer.status == HTTPStatus.NO_CONTENT:
                return {}
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise Refused(f"{self._url} is not a portal of earwitness; look at --url.")
        return document

    def _pieces(self, answer: HTTPResponse, size_bytes_max: int | None = None) -> Iterator[bytes]:
        """Yield the body; raises StoreUnavailable when it ends too early, Refused beyond the limit."""
        received, length = 0, int(answer.headers.get("Content-Length", 0))
        try:
            while piece := answer.read(PIECE_SIZE_BYTES):
                received += len(piece)
                if size_bytes_max is not None and received > size_bytes_max:
                    raise Refused(f"{self._url} answers with more than a portal of earwitness does.")
                yield piece
        except (OSError, HTTPException) as error:
            raise StoreUnavailable(f"The portal at {self._url} broke the answer off; try again.") from error
        if received < length:
            raise StoreUnavailable(f"The portal at {self._url} broke the answer off; try again.")

    def _open(
        self,
        method: str,
        path: str,
        query: dict[str, str | int | None],
        sent: Document | None = None,
        extra: dict[str, str] | None = None,
    ) -> HTTPResponse:
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        headers = {**self.identity(), "Accept": "*/*", **(extra or {})}
        if sent is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            f"{self._url.rstrip('/')}{path}{'?' + asked if asked else ''}",
            data=None if sent is None else json.dumps(sent).encode(),
            headers=headers,
            method=method,
        )
        try:
            opened: HTTPResponse = self._opener.open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            raise _refusal(error) from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise StoreUnavailable(
                f"The portal at {self._url} can't be reached ({reason}); is it running?"
            ) from error
        return opened


def portal_of(options: argparse.Namespace) -> str:
    """Return the address of the portal the options name; raises Refused without one."""
    service = None if options.url else service_of(options)
    url: str = options.url or (service.portal_url if service else "")
    if not url.startswith(("http://", "https://")):
        raise Refused("Say where the portal is: --url http://HOST:PORT, or --data DIR.")
    return url


def segment(text: str) -> str:
    """Return what was typed as one segment of a path; raises Refused for what would leave it."""
    if text in {"", ".", ".."}:
        raise Refused(f"{text!r} is not an id.")
    return quote(text, safe="")


def _refusal(error: urllib.error.HTTPError) -> Exception:
    try:
        problem = json.loads(error.read(ANSWER_SIZE_BYTES_MAX))
        detail = str(problem.get("detail") or problem.get("title") or error.reason)
    except (ValueError, AttributeError):
        detail = str(error.reason)
    finally:
        error.close()
    if error.code == 404:
        return NotFound(detail)
    if error.code >= 500:
        return StoreUnavailable(f"The portal answered {error.code}: {detail}")
    return Refused(f"The portal answered {error.code}: {detail}")
