"""An auditor at the command line: signs in as at the portal, and takes a package out.

Only an auditor who signed in takes evidence out: no key does, and no operator. So this
gives name, password and code to the same forms a browser gives them to, and everything
after that is the API with the rights of that person and under their name in the audit log.
The session ends with the command.

Rules: a password is never an argument, for arguments stand in the process list. What
a passkey or the organisation's own sign-in opens needs a browser: use the portal.
"""

from __future__ import annotations

import argparse
import getpass
import html
import os
import re
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from archive.cli.api import (
    ANSWER_SIZE_BYTES_MAX,
    PIECE_SIZE_BYTES,
    TIMEOUT_S,
    Api,
    Document,
    portal_of,
    segment,
)
from archive.cli.service import add_data
from archive.errors import Refused, StoreUnavailable

LOGIN_VARIABLE = "EARWITNESS_LOGIN"
SECRET_CHARS_MAX = 1024
EVIDENCE_PAGE = "/exports"

POLL_S = 1.0
MADE_S_MAX = 6 * 3600.0
"""A full package of ten thousand recordings is read and hashed in well under this."""

ATTEMPTS_MAX = 10
"""Downloads that break off in a row without an octet more."""

_TOKEN = re.compile(r'"X-CSRF-Token": ?"([A-Za-z0-9_-]+)"')


def add_sign_in(to: argparse.ArgumentParser) -> None:
    """Add the options that say where the portal is and who signs in."""
    add_data(to)
    to.add_argument("--url", metavar="URL", help="address of the portal (default: the one of --data)")
    to.add_argument(
        "--login", metavar="LOGIN@DOMAIN", help=f"an auditor (default: {LOGIN_VARIABLE}, else it is asked)"
    )
    to.add_argument(
        "--password-stdin",
        action="store_true",
        help="read password and code from standard input, a line each",
    )


class AuditorApi(Api):
    """The API as somebody who signed in with a password and a code."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Sign in; raises Refused for who can't, StoreUnavailable."""
        self._url = portal_of(options).rstrip("/")
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self._token = ""
        login = options.login or os.environ.get(LOGIN_VARIABLE) or _asked("Login: ")
        password = _secret("Password: ", options)
        form = {"login": login, "password": password, "next": EVIDENCE_PAGE}
        where = self._submit("/sign-in", form)
        if where.startswith("/sign-in/second-factor"):
            code = _secret("Code: ", options)
            where = self._submit("/sign-in/second-factor", {"code": code, "next": EVIDENCE_PAGE})
        if where != EVIDENCE_PAGE or not self._token:
            raise Refused("This account can't sign in here: set up its second factor in the portal first.")

    def identity(self) -> dict[str, str]:
        """Return the token that goes with the cookie of the session."""
        return {"X-CSRF-Token": self._token}

    def sign_out(self) -> None:
        """End the session."""
        self._submit("/sign-out", {})

    def export(self, export_id: str) -> Document:
        """Return an export once a worker made it, telling how far it is; raises Refused if it failed."""
        deadline = time.monotonic() + MADE_S_MAX
        while True:
            told = self.get(f"/v1/exports/{segment(export_id)}")
            if told.get("state") != "waiting":
                break
            if time.monotonic() > deadline:
                raise Refused(f"The export is still being made; fetch it later with --export {export_id}.")
            _tell(f"{told.get('done')} of {told.get('total')} recordings")
            time.sleep(POLL_S)
        _tell("")
        if told.get("state") != "ready":
            raise Refused(
                f"The export {export_id} {told.get('state')}: {told.get('reason') or 'ask for it again'}"
            )
        return told

    def fetch_package(self, export: Document, to: Path) -> None:
        """Write a package into a file, going on where an earlier try or attempt broke off.

        Raises as `get`, and StoreUnavailable after ATTEMPTS_MAX attempts without an octet.
        """
        path, size_bytes = f"/v1/exports/{segment(str(export['id']))}/package", int(str(export["sizeBytes"]))
        attempts = 0
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            while (done := file.tell()) < size_bytes:
                _tell(f"{done // 1_000_000} of {size_bytes // 1_000_000} MB")
                try:
                    with self._open("GET", path, {}, extra={"Range": f"bytes={done}-"}) as answer:
                        _whole(answer, done, size_bytes)
                        while piece := answer.read(PIECE_SIZE_BYTES):
                            file.write(piece)
                except (OSError, HTTPException, StoreUnavailable) as error:
                    attempts = attempts + 1 if file.tell() == done else 0
                    if attempts >= ATTEMPTS_MAX:
                        told = f"The download broke off ({error}); go on with --export."
                        raise StoreUnavailable(told) from error
        _tell("")

    def _submit(self, path: str, form: dict[str, str]) -> str:
        """Send a form as a browser does, remember the token of the page it leads to, and return its path."""
        fields = {**form, "csrf": self._token}
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            f"{self._url}{path}", data=urlencode(fields).encode(), headers={"Accept": "text/html"}
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                page = html.unescape(answer.read(ANSWER_SIZE_BYTES_MAX).decode("utf-8", "replace"))
                where: str = urlsplit(answer.url).path
        except urllib.error.HTTPError as error:
            error.close()
            raise Refused(_refusal(urlsplit(error.url or "").path, error.code)) from error
        except (OSError, HTTPException) as error:
            raise StoreUnavailable(f"The portal at {self._url} can't be reached; is it running?") from error
        found = _TOKEN.search(page)
        self._token = found[1] if found else ""
        return where


def _refusal(path: str, status: int) -> str:
    if path.startswith(EVIDENCE_PAGE):
        return "Only an auditor takes recordings out as evidence."
    if status == 429:
        return "Too many attempts: wait some minutes."
    if path.startswith("/sign-in"):
        return "That name, password and code do not belong together."
    return f"The portal answered {status}."


def _whole(answer: HTTPResponse, done: int, size_bytes: int) -> None:
    """Raise Refused unless an answer is the rest of a package of this size."""
    expected = f"bytes {done}-{size_bytes - 1}/{size_bytes}"
    if answer.status != 206 or answer.headers.get("Content-Range") != expected:
        raise Refused("The package is another one than what was fetched before; remove that and try again.")


def _asked(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise Refused(f"Say who signs in: --login LOGIN@DOMAIN, or {LOGIN_VARIABLE}.")
    return input(prompt)


def _secret(prompt: str, options: argparse.Namespace) -> str:
    if options.password_stdin:
        return sys.stdin.readline(SECRET_CHARS_MAX + 1).rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Refused("Nobody is there to ask for a password: use --password-stdin.")
    return getpass.getpass(prompt)


def _tell(text: str) -> None:
    """Show progress on one line, to people and not to files; "" clears it."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
