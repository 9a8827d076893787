"""The description of the API is valid, complete, and what the service really does."""

from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from playback_portal.openapi import OPERATIONS, document
from playback_portal.routes import ROUTES

DOCUMENT = document(ROUTES)
DESCRIBED = [route for route in ROUTES if route.is_of_api]


def validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]},
        format_checker=jsonschema.FormatChecker(),
    )


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    validate(DOCUMENT)


def test_every_route_has_an_operation_and_every_operation_a_route() -> None:
    assert {route.handler.__name__ for route in DESCRIBED} == set(OPERATIONS)
    assert {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods} == {
        (route.method, route.path) for route in DESCRIBED
    }


def test_every_component_is_used() -> None:
    text = str(DOCUMENT)
    for kind in ("schemas", "parameters"):
        for name in DOCUMENT["components"][kind]:
            assert f"#/components/{kind}/{name}'" in text, name


async def test_the_document_is_served_to_anyone_from_anywhere(api: Any) -> None:
    answer = await api.get("/v1/openapi.json", None)
    assert await answer.json() == DOCUMENT
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/v1/recordings", "RecordingPage"),
        ("/v1/recordings/{id}", "Recording"),
        ("/v1/recordings/{id}/peaks", "Peaks"),
        ("/v1/recordings/{id}/timeline", "Timeline"),
        ("/v1/recordings/{id}/metadata", "Metadata"),
        ("/v1/recordings/{id}/history", "AuditEntryPage"),
        ("/v1/recordings/{id}/why", "Why"),
        ("/v1/sessions", "SessionPage"),
        ("/v1/recordings?limit=0", "Problem"),
        ("/v1/recordings/0", "Problem"),
    ],
)
async def test_responses_have_the_shape_that_is_told(api: Any, path: str, schema: str) -> None:
    answer = await api.get(path.replace("{id}", api.house.recordings["two-party"].id))
    validator(schema).validate(await answer.json(content_type=None))


@pytest.mark.parametrize(
    ("method", "path", "body", "schema"),
    [
        ("GET", "/v1/calls", None, "CallPage"),
        ("GET", "/v1/calls/{call}", None, "Call"),
        ("POST", "/v1/calls/{call}/keeps", None, "Command"),
        ("POST", "/v1/calls/{call}/keeps", {"x": 1}, "Problem"),
        ("GET", "/v1/sessions/{session}", None, "Session"),
        ("GET", "/v1/me/recording-settings", None, "RecordingSettings"),
        ("PATCH", "/v1/me/recording-settings", {"mode": "on-demand"}, "RecordingSettings"),
        ("PUT", "/v1/me/keep-next", {"minutes": 1}, "KeepNext"),
        ("GET", "/v1/me/notifications", None, "Notifications"),
        ("PATCH", "/v1/me/notifications", {"wanted": {"heard": True}, "language": "en"}, "Notifications"),
        ("POST", "/v1/what-if", {"caller": "+31612345678", "callee": "+31201230001"}, "ImaginedDecision"),
        ("POST", "/v1/what-if", {"caller": "112", "callee": "+31201230001"}, "ImaginedDecision"),
    ],
)
async def test_what_is_answered_of_calls_and_people_has_the_shape_that_is_told(
    api: Any, exchange: Any, method: str, path: str, body: Any, schema: str
) -> None:
    call = exchange.call()
    named = path.replace("{call}", call.recording_id)
    named = named.replace("{session}", api.house.recordings["two-party"].session_id)
    key = "all" if "/me/" not in path else "anna"
    answer = await api.send(method, named, key, body)
    validator(schema).validate(await answer.json(content_type=None))
    operation = DOCUMENT["paths"][path.replace("{call}", "{id}").replace("{session}", "{id}")][method.lower()]
    assert str(answer.status) in operation["responses"]
    if body is not None and answer.status < 400:
        (reference,) = {str(each["schema"]) for each in operation["requestBody"]["content"].values()}
        validator(reference.rpartition("/")[2].rstrip("'}")).validate(body)


@pytest.mark.parametrize("route", DESCRIBED, ids=lambda route: route.path)
def test_the_needed_scope_stands_in_the_document(route: Any) -> None:
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    assert operation.get("x-required-scope") == (None if route.permission is None else str(route.permission))
    assert ("security" in operation) == (route.permission is not None)
