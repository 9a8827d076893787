"""Parameters are typed, and everything wrong with them is told at once."""

import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from multidict import MultiDict

from archive.catalogue.recordings import encode_cursor
from archive.model import Direction
from playback_portal.parameters import (
    BODY_BYTES_MAX,
    Body,
    Parameters,
    bounded_text,
    cursor,
    flag,
    json_moment,
    json_whole_number,
    json_word_of,
    limit,
    moment,
    read_body,
    search_text,
    whole_number,
    word_of,
)
from playback_portal.problems import Problem


def test_values_are_read_and_missing_ones_have_defaults() -> None:
    parameters = Parameters({"direction": "in", "limit": "200"})
    assert parameters.read("direction", word_of(Direction), None) is Direction.IN
    assert parameters.read("mode", search_text, None) is None
    assert limit(parameters) == 200
    parameters.check()


def test_a_parameter_given_twice_is_wrong_since_one_of_the_two_would_be_ignored() -> None:
    parameters = Parameters(MultiDict([("user", "a"), ("user", "b"), ("q", "c")]))
    parameters.read("user", search_text, None)
    parameters.read("q", search_text, None)
    with pytest.raises(Problem) as raised:
        parameters.check()
    assert [fault.name for fault in raised.value.faults] == ["user"]


def test_all_faults_are_told_at_once_and_no_value_is_repeated() -> None:
    parameters = Parameters({"limit": "0", "from": "secret", "colour": "secret"})
    limit(parameters)
    parameters.read("from", moment, None)
    with pytest.raises(Problem) as raised:
        parameters.check()
    assert {fault.name for fault in raised.value.faults} == {"limit", "from", "colour"}
    assert "secret" not in str(raised.value.faults)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("1", False),
        ("200", False),
        ("0", True),
        ("201", True),
        ("-1", True),
        ("1e1", True),
        ("٣", True),
        ("", True),
    ],
)
def test_a_limit_is_1_to_200(text: str, wrong: bool) -> None:
    parameters = Parameters({"limit": text})
    limit(parameters)
    if wrong:
        with pytest.raises(Problem):
            parameters.check()
    else:
        parameters.check()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T09:00:00+01:00", datetime(2026, 11, 22, 8, tzinfo=UTC)),
        ("2026-11-22T09:00:00 01:00", datetime(2026, 11, 22, 8, tzinfo=UTC)),
        ("2026-11-22T09:00:00Z", datetime(2026, 11, 22, 9, tzinfo=UTC)),
        ("2026-11-22", datetime(2026, 11, 21, 23, tzinfo=UTC)),
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_time_with_offset_or_a_day_in_amsterdam(text: str, expected: datetime) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize("text", ["", "now", "2026-11-22T09:00:00", "2026-13-01", "1763800000"])
def test_a_time_without_offset_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="offset"):
        moment(text)


def test_a_flag_is_1_or_0() -> None:
    assert flag("1")
    assert not flag("0")
    with pytest.raises(ValueError, match="1 or 0"):
        flag("true")


def test_a_search_text_has_200_characters_at_most() -> None:
    assert search_text("x" * 200) == "x" * 200
    with pytest.raises(ValueError, match="200"):
        search_text("x" * 201)


def test_a_cursor_is_one_of_ours() -> None:
    ours = encode_cursor(datetime(2026, 1, 1, tzinfo=UTC), "id")
    assert cursor(ours) == ours
    with pytest.raises(ValueError, match="cursor"):
        cursor("eHg")


def test_a_whole_number_of_ten_digits_is_refused_before_it_is_read() -> None:
    with pytest.raises(ValueError, match="whole number"):
        whole_number(0, 10**12)("1" * 10)


def test_a_body_is_read_field_by_field_and_all_its_faults_are_named_by_pointers() -> None:
    body = Body({"name": "  Anna ", "direction": "up", "count": 3, "at": "2026-11-22", "secret": "x"})
    assert body.read("name", bounded_text(10), "") == "Anna"
    assert body.read("direction", json_word_of(Direction), None) is None
    assert body.read("count", json_whole_number(0, 3), 0) == 3
    assert body.read("at", json_moment, None) == moment("2026-11-22")
    assert body.need("login", bounded_text(10), "") == ""
    with pytest.raises(Problem) as raised:
        body.check()
    assert {fault.name for fault in raised.value.faults} == {"/direction", "/login", "/secret"}
    assert "up" not in str([fault.detail for fault in raised.value.faults if fault.name == "/direction"])


@pytest.mark.parametrize("value", [None, 1, True, [], {}, "", "x" * 11])
def test_a_text_in_a_body_is_a_text_within_its_bounds(value: Any) -> None:
    body = Body({"name": value})
    body.read("name", bounded_text(10, chars_min=1), "")
    with pytest.raises(Problem):
        body.check()


@pytest.mark.parametrize("value", [None, True, 1.0, "1", -1, 4])
def test_a_number_in_a_body_is_a_whole_number_within_its_bounds(value: Any) -> None:
    body = Body({"count": value})
    body.read("count", json_whole_number(0, 3), 0)
    with pytest.raises(Problem):
        body.check()


async def asked(text: bytes, media_type: str = "application/json") -> Body:
    """Return the body of a request as the portal reads it."""
    found: list[Body | Problem] = []

    async def handle(request: web.Request) -> web.Response:
        try:
            found.append(await read_body(request))
        except Problem as problem:
            found.append(problem)
        return web.Response()

    app = web.Application()
    app.router.add_post("/", handle)
    async with TestClient(TestServer(app)) as client:
        await client.post("/", data=text, headers={"Content-Type": media_type})
    (read,) = found
    if isinstance(read, Problem):
        raise read
    return read


async def test_a_json_object_is_read_and_nothing_is_an_empty_one() -> None:
    assert (await asked(b'{"a": 1}')).names == {"a"}
    assert (await asked(b'{"a": null}', "application/merge-patch+json")).names == {"a"}
    assert (await asked(b"")).names == set()


@pytest.mark.parametrize(
    ("text", "media_type", "status"),
    [
        (b"[]", "application/json", 400),
        (b"1", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"a": NaN}', "application/json", 400),
        (b'{"a": Infinity}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b'{"a": ' + b"1" * 5_000 + b"}", "application/json", 400),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b"{}" + b" " * (BODY_BYTES_MAX - 1), "application/json", 413),
    ],
)
async def test_what_is_no_json_object_or_too_large_is_refused(
    text: bytes, media_type: str, status: int
) -> None:
    with pytest.raises(Problem) as raised:
        await asked(text, media_type)
    assert raised.value.status == status


async def test_brackets_of_any_depth_are_read_or_refused() -> None:
    """What can just be read can't be written any more, for it lies deeper then."""
    results = set()
    for depth in range(800, sys.getrecursionlimit() + 10):
        try:
            await asked(b'{"a": ' + b"[" * depth + b"]" * depth + b"}")
        except Problem as problem:
            results.add(problem.status)
    assert results == {400}


async def test_a_body_of_the_largest_size_is_read() -> None:
    assert (await asked(b"{}" + b" " * (BODY_BYTES_MAX - 2))).names == set()
