"""The query string of the list: read, written, and the same for equal filters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from archive.catalogue.lexemes import Facet
from archive.catalogue.recordings import RecordingQuery, Sort
from archive.model import Direction, RecordingMode, UserId
from playback_portal import filters
from playback_portal.filters import EVERYTHING, PAIRS_MAX, WITHIN_DAYS_MAX, Filters
from playback_portal.parameters import Parameters
from playback_portal.problems import Problem

NOW = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)


def read(text: str, user_id: UserId | None = None) -> RecordingQuery:
    parameters = Parameters(filters.given(filters.pairs(text)))
    query = filters.read(parameters, now=NOW, user_id=user_id)
    parameters.check()
    return query


def test_each_parameter_asks_for_what_it_says() -> None:
    query = read(
        "q=jansen&user=u1&team=t1&from=2026-11-01&to=2026-11-02&direction=in&mode=always"
        "&minDuration=60&label=l1&has=pause,hold,favourite&sort=-duration",
        UserId("me"),
    )
    assert query == RecordingQuery(
        text="jansen",
        owner=UserId("u1"),
        team="t1",
        since=datetime(2026, 10, 31, 23, tzinfo=UTC),
        until=datetime(2026, 11, 1, 23, tzinfo=UTC),
        direction=Direction.IN,
        mode=RecordingMode.ALWAYS,
        duration_ms_min=60_000,
        has=frozenset({Facet.PAUSE}),
        on_hold=True,
        label="l1",
        favourite_of=UserId("me"),
        sort=Sort.LONGEST,
    )


def test_without_parameters_everything_is_asked_for() -> None:
    assert read("") == RecordingQuery() == read(EVERYTHING)


def test_within_so_many_days_begins_at_midnight_of_the_calendar() -> None:
    # It is half past midnight in Amsterdam: today is the 23rd.
    assert read("within=1").since == datetime(2026, 11, 22, 23, tzinfo=UTC)
    assert read("within=30").since == datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert read("within=1&from=2026-01-01").since == datetime(2025, 12, 31, 23, tzinfo=UTC)


def test_label_none_asks_for_what_has_no_label() -> None:
    assert (read("label=none").unlabelled, read("label=none").label) == (True, None)


@pytest.mark.parametrize(
    "text",
    [
        "has=x",
        "has=pause,,",
        "sort=x",
        "within=0",
        f"within={WITHIN_DAYS_MAX + 1}",
        "direction=up",
        "from=x",
        "minDuration=-1",
        "unknown=1",
        f"q={'x' * 201}",
    ],
)
def test_what_is_wrong_is_told(text: str) -> None:
    with pytest.raises(Problem) as caught:
        read(text)
    assert caught.value.status == 400


def test_empty_fields_of_a_form_ask_for_nothing_and_several_has_are_one() -> None:
    pairs = [("q", " "), ("user", ""), ("has", "pause"), ("has", "gap"), ("team", " t ")]
    assert filters.given(pairs) == {"has": "pause,gap", "team": "t"}


@pytest.mark.parametrize("count", [PAIRS_MAX, PAIRS_MAX + 1])
def test_an_address_has_so_many_parameters(count: int) -> None:
    text = "&".join("has=pause" for _ in range(count))
    if count == PAIRS_MAX:
        assert len(filters.pairs(text)) == count
        return
    with pytest.raises(ValueError, match="fields"):
        filters.pairs(text)


def made(**values: str) -> Filters:
    return Filters(values, RecordingQuery())


def test_equal_filters_have_equal_addresses_and_none_says_so() -> None:
    assert made(has="pause", q="a b&c").address() == made(q="a b&c", has="pause").address()
    assert made(q="a b&c").address() == "/recordings?q=a+b%26c"
    assert made().address() == f"/recordings?{EVERYTHING}"
    assert made(q="x").without("q") == f"/recordings?{EVERYTHING}"
    assert made(q="x").address(cursor="abc") == "/recordings?q=x&cursor=abc"


def test_one_thing_to_have_is_toggled_and_the_others_stay() -> None:
    assert made(has="pause,gap").toggled("pause") == "/recordings?has=gap"
    assert made(has="gap").toggled("pause") == "/recordings?has=gap,pause"
    assert made(has="gap").toggled("gap") == f"/recordings?{EVERYTHING}"
    assert made().has == ()


def test_an_order_alone_narrows_nothing() -> None:
    assert not made(sort="start").narrows
    assert made(q="x").narrows


def test_a_saved_query_keeps_only_what_lists_know() -> None:
    assert filters.of_saved("?q=x&cursor=abc&view=1&has=gap") == {"q": "x", "has": "gap"}


@pytest.mark.parametrize("text", ["<script>", "javascript:x", "a\r\nSet-Cookie: x", "\u202e", "' OR 1=1"])
def test_hostile_texts_stay_one_parameter(text: str) -> None:
    address: Any = made(q=text).address()
    assert address.isascii()
    assert address.isprintable()
    assert dict(filters.pairs(address.partition("?")[2])) == {"q": text}
