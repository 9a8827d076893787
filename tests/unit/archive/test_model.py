"""Ids sort by time and are UUIDs of version 7; the words of the model are plain and frozen."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive import model
from archive.model import PLAYABLE_STATES, ObjectKind, RecordingState, User, UserId, new_id

MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31)
MOMENTS = st.datetimes(EPOCH.replace(tzinfo=None), LAST, timezones=st.just(UTC))


@settings(max_examples=100, deadline=None)
@given(MOMENTS)
def test_an_id_is_a_uuid_of_version_7(now: datetime) -> None:
    """RFC 9562 section 5.7: version and variant in their places, written in the usual way."""
    text = new_id(now)
    found = UUID(text)
    assert (found.version, found.variant) == (7, RFC_4122)
    assert str(found) == text


@settings(max_examples=100, deadline=None)
@given(MOMENTS)
def test_an_id_begins_with_the_millisecond_of_its_making(now: datetime) -> None:
    """The first 48 bits; a float may round to the next one in years far from ours."""
    milliseconds = UUID(new_id(now)).int >> 80
    assert abs(milliseconds - (now - EPOCH) // MILLISECOND) <= 1


@settings(max_examples=100, deadline=None)
@given(MOMENTS, st.timedeltas(2 * MILLISECOND, timedelta(days=9999)))
def test_a_later_id_sorts_behind_an_earlier_one(now: datetime, later: timedelta) -> None:
    """As text, which is how they are compared everywhere."""
    if now.replace(tzinfo=None) <= LAST - later:
        assert new_id(now) < new_id(now + later)


def test_ids_of_one_millisecond_differ() -> None:
    """74 bits of chance stand behind the time."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert len({new_id(now) for _ in range(10_000)}) == 10_000


def test_the_zone_of_a_moment_does_not_matter() -> None:
    """An aware time names one instant."""
    here = datetime(2026, 11, 22, 11, 30, tzinfo=timezone(timedelta(hours=1)))
    assert new_id(here)[:13] == new_id(here.astimezone(UTC))[:13]


def test_only_a_finished_recording_can_be_played() -> None:
    """What is being made, destroyed, or was never whole, is not."""
    assert frozenset({RecordingState.AVAILABLE, RecordingState.PARTIAL}) == PLAYABLE_STATES


def test_the_record_of_a_recording_is_uploaded_last() -> None:
    """It names all the others."""
    assert list(ObjectKind)[-1] is ObjectKind.RECORD


def test_every_word_of_the_model_is_frozen() -> None:
    """What one package was given no other can change."""
    words: list[Any] = [item for item in vars(model).values() if dataclasses.is_dataclass(item)]
    assert len(words) > 10
    assert all(word.__dataclass_params__.frozen for word in words)
    with pytest.raises(dataclasses.FrozenInstanceError):
        User(UserId("1"), model.TenantId("2"), "anna").login = "ben"  # type: ignore[misc]


def test_a_user_is_not_recorded_until_somebody_says_so() -> None:
    """No licence, mode never, own recordings only, and no rights of an office."""
    user = User(UserId("1"), model.TenantId("2"), "anna")
    assert (user.licence, user.mode, user.access, user.role) == (None, "never", "own", "user")


def test_the_model_stands_on_the_standard_library_alone() -> None:
    """Every package imports it, so it imports none."""
    imports = [
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(inspect.getsource(model)))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert imports
    assert all(str(name).partition(".")[0] in sys.stdlib_module_names for name in imports)
