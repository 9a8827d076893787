"""Every error has a status, a kind, a reference, and no secrets."""

import json
from http import HTTPStatus

import pytest
from aiohttp import web

from archive import errors
from archive.data_key import KeysUnavailable
from playback_portal.problems import (
    ParameterFault,
    Problem,
    missing_scope,
    problem_of,
    problem_of_status,
    wrong_parameters,
)
from playback_portal.transcoding import TooLong


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("x"), 404),
        (errors.Refused("x"), 403),
        (errors.Conflict("x"), 409),
        (TooLong("x"), 409),
        (errors.VerificationFailed("x"), 500),
        (errors.CatalogueUnavailable("x"), 503),
        (errors.StoreUnavailable("x"), 503),
        (KeysUnavailable("x"), 503),
        (errors.ArchiveError("x"), 500),
    ],
)
def test_each_error_of_the_archive_has_its_status(error: errors.ArchiveError, status: int) -> None:
    assert problem_of(error).status == status


def test_what_is_away_is_retried_later_and_tells_nothing_of_itself() -> None:
    problem = problem_of(errors.CatalogueUnavailable("postgresql://user:password@host"))
    assert problem.headers == {"Retry-After": "5"}
    assert "password" not in problem.detail


def test_a_problem_is_rfc_9457_with_the_reference_of_the_request() -> None:
    response = wrong_parameters(ParameterFault("limit", "It is 1.")).response("0190-reference")
    assert response.content_type == "application/problem+json"
    assert json.loads(str(response.text)) == {
        "type": "urn:earwitness:problem:wrong-parameters",
        "title": "Bad Request",
        "status": 400,
        "detail": "Parameters of the request are wrong.",
        "instance": "urn:uuid:0190-reference",
        "errors": [{"parameter": "limit", "detail": "It is 1."}],
    }


def test_a_missing_scope_is_named() -> None:
    assert (
        json.loads(str(missing_scope("recordings:play").response("r").text))["requiredScope"]
        == "recordings:play"
    )


def test_what_aiohttp_refuses_is_a_problem_too_and_keeps_allow() -> None:
    problem = problem_of_status(web.HTTPMethodNotAllowed("POST", ["GET"]))
    assert problem.status is HTTPStatus.METHOD_NOT_ALLOWED
    assert problem.headers == {"Allow": "GET"}
    assert isinstance(problem, Problem)


def test_a_parameter_named_by_half_a_character_is_told_all_the_same() -> None:
    """Such a name can be written in JSON, and is no reason to fail while refusing it."""
    response = wrong_parameters(ParameterFault("a\ud800", "It is unknown.")).response("0190-reference")
    assert isinstance(response.body, bytes)
    assert json.loads(response.body)["errors"] == [{"parameter": "a?", "detail": "It is unknown."}]
