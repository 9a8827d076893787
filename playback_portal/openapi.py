"""The OpenAPI 3.1 document, made from the route table and its operations.

A route without an operation, or an operation without a route, fails a test; so do
responses that do not have the shape told here.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import web

from archive.access import Scope
from playback_portal import (
    administration_schemas,
    annotation_schemas,
    approval_schemas,
    audit_schemas,
    case_schemas,
    data_subject_schemas,
    evaluation_schemas,
    export_schemas,
    find_schemas,
    notifications,
    operation_schemas,
    operations,
    peer_schemas,
    positions,
    problems,
    report_schemas,
    schemas,
    share_schemas,
    terms,
    trash,
)
from playback_portal.operations import JSON, Operation

VERSION = "1.0.0"
PATH = "/v1/openapi.json"
DOCUMENT = web.AppKey("DOCUMENT", bytes)

BINARY = {"type": "string", "contentMediaType": "application/octet-stream"}


OPERATIONS = {
    **operations.OPERATIONS,
    **administration_schemas.ADMINISTRATION_OPERATIONS,
    **find_schemas.FIND_OPERATIONS,
    **annotation_schemas.ANNOTATION_OPERATIONS,
    **evaluation_schemas.EVALUATION_OPERATIONS,
    **audit_schemas.AUDIT_OPERATIONS,
    **report_schemas.REPORT_OPERATIONS,
    **positions.POSITION_OPERATIONS,
    **notifications.NOTIFICATION_OPERATIONS,
    **share_schemas.SHARE_OPERATIONS,
    **export_schemas.EXPORT_OPERATIONS,
    **case_schemas.CASE_OPERATIONS,
    **data_subject_schemas.DATA_SUBJECT_OPERATIONS,
    **approval_schemas.APPROVAL_OPERATIONS,
    **terms.TERM_OPERATIONS,
    **trash.TRASH_OPERATIONS,
    **operation_schemas.OPERATION_OPERATIONS,
    **peer_schemas.PEER_OPERATIONS,
}
SCHEMAS = {
    **schemas.SCHEMAS,
    **administration_schemas.ADMINISTRATION_SCHEMAS,
    **find_schemas.FIND_SCHEMAS,
    **annotation_schemas.ANNOTATION_SCHEMAS,
    **evaluation_schemas.EVALUATION_SCHEMAS,
    **audit_schemas.AUDIT_SCHEMAS,
    **positions.POSITION_SCHEMAS,
    **notifications.NOTIFICATION_SCHEMAS,
    **share_schemas.SHARE_SCHEMAS,
    **export_schemas.EXPORT_SCHEMAS,
    **case_schemas.CASE_SCHEMAS,
    **data_subject_schemas.DATA_SUBJECT_SCHEMAS,
    **approval_schemas.APPROVAL_SCHEMAS,
    **terms.TERM_SCHEMAS,
    **trash.TRASH_SCHEMAS,
    **report_schemas.REPORT_SCHEMAS,
    **operation_schemas.OPERATION_SCHEMAS,
    **peer_schemas.PEER_SCHEMAS,
}
PARAMETERS = {
    **schemas.PARAMETERS,
    **administration_schemas.ADMINISTRATION_PARAMETERS,
    **find_schemas.FIND_PARAMETERS,
    **share_schemas.SHARE_PARAMETERS,
    **export_schemas.EXPORT_PARAMETERS,
    **annotation_schemas.ANNOTATION_PARAMETERS,
    **evaluation_schemas.EVALUATION_PARAMETERS,
    **audit_schemas.AUDIT_PARAMETERS,
    **case_schemas.CASE_PARAMETERS,
    **data_subject_schemas.DATA_SUBJECT_PARAMETERS,
    **approval_schemas.APPROVAL_PARAMETERS,
    **report_schemas.REPORT_PARAMETERS,
    **operation_schemas.OPERATION_PARAMETERS,
}


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
    def is_of_api(self) -> bool:
        """Whether it is for programs."""

    @property
    def permission(self) -> Scope | None:
        """The scope an API key needs."""


_REFUSALS = {
    400: "Parameters or the body are wrong; `errors` names each fault.",
    401: "No valid API key.",
    403: "The key lacks a scope, named in `requiredScope`, or a rule forbids it, told in `detail`.",
    404: "There is no such thing, or it is not yours to see.",
    409: "It can't be done in the state that is; `detail` says why.",
    412: "It has another ETag than `If-Match` names.",
    413: "The body is too large.",
    415: "The body has another media type than is read here.",
    416: "The range lies outside the audio.",
    429: "Too many at once; end one first.",
    503: "A part of the service is away; try again later.",
    504: "The recorder did not confirm it in time.",
}
_SUCCESSES = {200: "Done.", 201: "Made.", 202: "Begun.", 204: "Done; there is nothing to tell."}


async def get_openapi(request: web.Request) -> web.StreamResponse:
    """Answer with the document."""
    return web.Response(body=request.app[DOCUMENT], content_type=JSON)


def encode(routes: Sequence[Described]) -> bytes:
    """Return the document of these routes as JSON."""
    return json.dumps(document(routes), ensure_ascii=False, separators=(",", ":")).encode()


def document(routes: Sequence[Described]) -> dict[str, Any]:
    """Return the document of these routes, pages left out."""
    paths: dict[str, dict[str, Any]] = {}
    for route in (each for each in routes if each.is_of_api):
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
    taken = () if operation.body is None else (400, 413, 415)
    refusals = {*operation.refusals, *taken, *(() if route.permission is None else (401, 403, 503))}
    described: dict[str, Any] = {
        "operationId": name,
        "summary": operation.summary,
        "parameters": [{"$ref": f"#/components/parameters/{each}"} for each in operation.parameters],
        "responses": _successes(operation) | {str(status): _refusal(status) for status in sorted(refusals)},
    }
    if operation.body is not None:
        schema = {"schema": {"$ref": f"#/components/schemas/{operation.body}"}}
        described["requestBody"] = {
            "required": operation.body_required,
            "content": dict.fromkeys(operation.body_media_types, schema),
        }
    if route.permission is not None:
        described["security"] = [{"apiKey": []}]
        described["x-required-scope"] = str(route.permission)
    return described


def _successes(operation: Operation) -> dict[str, Any]:
    success: dict[str, Any] = {"description": _SUCCESSES[operation.status]}
    if operation.status != HTTPStatus.NO_CONTENT:
        success["content"] = {
            media_type: {"schema": _schema(operation)} for media_type in operation.media_types
        }
    successes = {str(operation.status): success}
    if operation.ranges:
        successes["206"] = {"description": "The range asked for.", "content": success["content"]}
        successes["304"] = {"description": "`If-None-Match` names what the client has already."}
    if operation.waits:
        schema = {"schema": {"$ref": "#/components/schemas/Approval"}}
        waits = {"description": "It waits for a second person.", "content": {JSON: schema}}
        successes[str(HTTPStatus.ACCEPTED.value)] = waits
    return successes


def _schema(operation: Operation) -> dict[str, Any]:
    if operation.ranges:
        return BINARY
    if operation.schema is not None:
        return {"$ref": f"#/components/schemas/{operation.schema}"}
    return {"type": "object"} if JSON in operation.media_types else {"type": "string"}


def _refusal(status: int) -> dict[str, Any]:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": _REFUSALS[status], "content": {problems.MEDIA_TYPE: problem}}
