"""The HTTP API as a command uses it: one request, JSON or bytes back.

An operator hears nothing; what commands show of recordings is what the API key given
may see, and stands in the audit log under its name.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

from archive.cli.service import add_data, service_of
from archive.errors import NotFound, Refused, StoreUnavailable

KEY_VARIABLE = "EARWITNESS_API_KEY"
TIMEOUT_S = 60.0
ANSWER_SIZE_BYTES_MAX = 16 * 1024 * 1024  # a page of 200 recordings has some 200 kB

Document = dict[str, object]


def add_api(to: argparse.ArgumentParser) -> None:
    """Add the options that say where the API is and who asks."""
    add_data(to)
    to.add_argument("--url", metavar="URL", help="address of the portal (default: the one of --data)")
    to.add_argument("--key", metavar="KEY", help=f"API key (default: {KEY_VARIABLE})")


class Api:
    """Requests with one API key to one portal."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Take address and key from the options; raises Refused when one is missing."""
        service = None if options.url else service_of(options)
        self._url = options.url or (service.portal_url if service else "")
        self._key = options.key or os.environ.get(KEY_VARIABLE, "")
        if not self._url.startswith(("http://", "https://")):
            raise Refused("Say where the portal is: --url http://HOST:PORT, or --data DIR.")
        if not self._key:
            raise Refused(
                f"An API key is needed: --key or {KEY_VARIABLE}; `earwitness api-client add` makes one."
            )

    def get(self, path: str, **query: str | int | None) -> Document:
        """Return a JSON document; raises Refused, NotFound, StoreUnavailable."""
        with self._open(path, query) as answer:
            document = json.loads(answer.read(ANSWER_SIZE_BYTES_MAX))
        if not isinstance(document, dict):
            raise Refused(f"{self._url} is not a portal of earwitness.")
        return document

    def fetch(self, path: str, to: Path, **query: str | int | None) -> int:
        """Write what stands at `path` into a new file and return its length in bytes."""
        unfinished = to.with_name(f".{to.name}.part")
        try:
            with self._open(path, query) as answer, unfinished.open("xb") as file:
                shutil.copyfileobj(answer, file)
            unfinished.rename(to)
        except FileExistsError:
            raise Refused(f"{unfinished} exists; another fetch writes it, or remove it.") from None
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return to.stat().st_size

    def _open(self, path: str, query: dict[str, str | int | None]) -> BinaryIO:
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            f"{self._url.rstrip('/')}{path}{'?' + asked if asked else ''}",
            headers={"Authorization": f"Bearer {self._key}", "Accept": "*/*"},
        )
        try:
            opened: BinaryIO = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310
        except urllib.error.HTTPError as error:
            raise _refusal(error) from error
        except OSError as error:
            raise StoreUnavailable(f"The portal at {self._url} does not answer; is it running?") from error
        return opened


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
