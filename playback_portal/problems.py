"""Errors as RFC 9457 problems: what went wrong, whose fault it is, what to do.

A `Problem` is raised by a handler; errors of the archive become one by the table
`_STATUS_OF`. What nobody foresaw is status 500 with a reference and no detail.
Every problem carries `instance`, the reference of the request, which stands in our
log and in the header `X-Request-Id` too.

Rules: no detail repeats what the request contained, nor any key, number or name.
What belongs to another tenant does not exist: 404, never 403.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from aiohttp import web

from archive.errors import (
    ArchiveError,
    Conflict,
    DependencyUnavailable,
    GroundsMissing,
    NotFound,
    PurposeRequired,
    Refused,
    VerificationFailed,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
"""Dependencies come back within seconds or not for a while; clients need no finer hint."""


@dataclass(frozen=True)
class ParameterFault:
    """One wrong parameter of a request: its name and what it should be."""

    name: str
    detail: str


@dataclass
class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A refusal with its status; `kind` is the last part of the problem's type URI."""

    status: HTTPStatus
    kind: str
    detail: str
    faults: tuple[ParameterFault, ...] = ()
    required_scope: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, reference: str) -> web.Response:
        """Return the problem as a response; `reference` is the UUID of the request."""
        document: dict[str, object] = {
            "type": f"urn:earwitness:problem:{self.kind}",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            "instance": f"urn:uuid:{reference}",
        }
        if self.faults:
            document["errors"] = [{"parameter": fault.name, "detail": fault.detail} for fault in self.faults]
        if self.required_scope is not None:
            document["requiredScope"] = self.required_scope
        # A field may be named by half a character, which no encoding of text has.
        body = json.dumps(document, ensure_ascii=False).encode(errors="replace")
        return web.Response(status=self.status, body=body, content_type=MEDIA_TYPE, headers=self.headers)


def wrong_parameters(*faults: ParameterFault) -> Problem:
    """Return the 400 that names every wrong parameter at once."""
    return Problem(HTTPStatus.BAD_REQUEST, "wrong-parameters", "Parameters of the request are wrong.", faults)


def not_found() -> Problem:
    """Return the 404 of what is not there for this caller."""
    return Problem(HTTPStatus.NOT_FOUND, "not-found", "There is no such thing, or it is not yours to see.")


def missing_scope(scope: str) -> Problem:
    """Return the 403 of an API key that lacks a scope."""
    return Problem(
        HTTPStatus.FORBIDDEN,
        "missing-scope",
        f"This API key lacks the scope {scope}: ask the administrator for a key that has it.",
        required_scope=scope,
    )


def unavailable(detail: str) -> Problem:
    """Return the 503 of a dependency that is away."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        detail,
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def unexpected() -> Problem:
    """Return the 500 of a defect of ours; what it was stands in the log under the reference."""
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "defect",
        "A defect of ours: please give the operator the reference in `instance`.",
    )


_STATUS_OF: tuple[tuple[type[ArchiveError], HTTPStatus, str], ...] = (
    (PurposeRequired, HTTPStatus.FORBIDDEN, "purpose-required"),
    (Refused, HTTPStatus.FORBIDDEN, "refused"),
    (GroundsMissing, HTTPStatus.CONFLICT, "grounds-missing"),
    (Conflict, HTTPStatus.CONFLICT, "conflict"),
    (VerificationFailed, HTTPStatus.INTERNAL_SERVER_ERROR, "verification-failed"),
)


def problem_of(error: ArchiveError) -> Problem:
    """Return the problem for an error of the archive."""
    if isinstance(error, NotFound):
        return not_found()
    if isinstance(error, DependencyUnavailable):
        return unavailable("A part of the service is away just now; nothing was changed, try again later.")
    for kind, status, name in _STATUS_OF:
        if isinstance(error, kind):
            return Problem(status, name, str(error))
    return unexpected()


def problem_of_status(error: web.HTTPException) -> Problem:
    """Return the problem for what aiohttp itself refuses (no route, wrong method, too large)."""
    status = HTTPStatus(error.status)
    if status is HTTPStatus.NOT_FOUND:
        return not_found()
    kept = {name: value for name, value in error.headers.items() if name == "Allow"}
    return Problem(status, "http", status.description or status.phrase, headers=kept)
