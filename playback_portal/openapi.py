"""The OpenAPI 3.1 document, made from the route table and the operations below.

A route without an operation, or an operation without a route, fails a test; so do
responses that do not have the shape told here.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from archive.access import Scope
from playback_portal import problems
from playback_portal.schemas import PARAMETERS, SCHEMAS

VERSION = "1.0.0"
PATH = "/v1/openapi.json"
DOCUMENT = web.AppKey("DOCUMENT", bytes)

JSON = "application/json"
BINARY = {"type": "string", "contentMediaType": "application/octet-stream"}


class Described(Protocol):
    """What the document needs of a row of the route table."""

    @property
    def method(self) -> str:
        """The method."""

    @property
    def path(self) -> str:
        """The path with its parameters in braces."""

    @property
    def handler(self) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler, whose name is the key of its operation."""

    @property
    def permission(self) -> Scope | None:
        """The scope an API key needs."""


@dataclass(frozen=True)
class Operation:
    """What a handler takes and gives. `schema` names a component of JSON responses."""

    summary: str
    parameters: tuple[str, ...] = ()
    schema: str | None = None
    media_types: tuple[str, ...] = (JSON,)
    refusals: tuple[int, ...] = ()
    ranges: bool = False


_PAGE = ("limit", "cursor")

OPERATIONS = {
    "get_livez": Operation("Whether the process runs", media_types=("text/plain",)),
    "get_readyz": Operation(
        "Whether database and store can be reached", media_types=("text/plain",), refusals=(503,)
    ),
    "get_metrics": Operation("Figures of this process for Prometheus", media_types=("text/plain",)),
    "get_openapi": Operation("This document"),
    "list_recordings": Operation(
        "Recordings, newest first",
        ("q", "user", "from", "to", "direction", "mode", "minDuration", *_PAGE),
        "RecordingPage",
        refusals=(400,),
    ),
    "get_recording": Operation("One recording", ("id",), "Recording", refusals=(400, 404)),
    "get_audio": Operation(
        "The audio, whole or a range of it; an audit entry is durable before the first octet",
        ("id", "format", "channel", "download", "range", "ifRange", "ifMatch", "ifNoneMatch"),
        media_types=("audio/flac", "audio/wav"),
        refusals=(400, 404, 409, 412, 416),
        ranges=True,
    ),
    "get_peaks": Operation(
        "The loudest level of each bin, for drawing", ("id", "pps"), "Peaks", refusals=(400, 404)
    ),
    "get_timeline": Operation("The timeline as archived", ("id",), "Timeline", refusals=(400, 404)),
    "get_metadata": Operation("The recording metadata as it came", ("id",), "Metadata", refusals=(400, 404)),
    "get_history": Operation(
        "Who did what with the recording, oldest first", ("id",), "AuditEntryPage", refusals=(400, 404)
    ),
    "list_sessions": Operation(
        "How each offered recording session ended, newest first",
        ("from", "to", *_PAGE),
        "SessionPage",
        refusals=(400,),
    ),
}

_REFUSALS = {
    400: "Parameters are wrong; `errors` names each of them.",
    401: "No valid API key.",
    403: "The key lacks a scope, named in `requiredScope`.",
    404: "There is no such thing, or it is not yours to see.",
    409: "The recording can't be played (yet), or not in that form.",
    412: "The audio has another ETag than `If-Match` names.",
    416: "The range lies outside the audio.",
    503: "A part of the service is away; try again later.",
}


async def get_openapi(request: web.Request) -> web.StreamResponse:
    """Answer with the document."""
    return web.Response(body=request.app[DOCUMENT], content_type=JSON)


def encode(routes: Sequence[Described]) -> bytes:
    """Return the document of these routes as JSON."""
    return json.dumps(document(routes), ensure_ascii=False, separators=(",", ":")).encode()


def document(routes: Sequence[Described]) -> dict[str, Any]:
    """Return the document of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "earwitness",
            "version": VERSION,
            "description": "Recorded calls: found, heard and accounted for.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "contact": {"name": "The operator of this service"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "parameters": PARAMETERS,
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key, shown once."}
            },
        },
    }


def _operation(route: Described) -> dict[str, Any]:
    name = route.handler.__name__
    operation = OPERATIONS[name]
    refusals = {*operation.refusals, *(() if route.permission is None else (401, 403, 503))}
    described: dict[str, Any] = {
        "operationId": name,
        "summary": operation.summary,
        "parameters": [{"$ref": f"#/components/parameters/{each}"} for each in operation.parameters],
        "responses": _successes(operation) | {str(status): _refusal(status) for status in sorted(refusals)},
    }
    if route.permission is not None:
        described["security"] = [{"apiKey": []}]
        described["x-required-scope"] = str(route.permission)
    return described


def _successes(operation: Operation) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if operation.schema is not None:
        schema = {"$ref": f"#/components/schemas/{operation.schema}"}
    elif JSON in operation.media_types:
        schema = {"type": "object"}
    if operation.ranges:
        schema = BINARY
    content = {media_type: {"schema": schema} for media_type in operation.media_types}
    successes = {"200": {"description": "Done.", "content": content}}
    if operation.ranges:
        successes["206"] = {"description": "The range asked for.", "content": content}
        successes["304"] = {"description": "`If-None-Match` names what the client has already."}
    return successes


def _refusal(status: int) -> dict[str, Any]:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": _REFUSALS[status], "content": {problems.MEDIA_TYPE: problem}}
