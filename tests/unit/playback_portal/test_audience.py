"""Who can hear a recording is what the rules say, and who heard it is what the history says."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archive.access import AccessScope, Hearing, Right
from archive.catalogue.directory import Capacity
from archive.catalogue.rights import Hearer, Reason
from archive.model import Recording, Role, UserId
from playback_portal import audience
from playback_portal.audience import LISTENERS_COUNT_MAX
from playback_portal.history import Deed

OWNER, LISTENER, GONE = UserId("owner"), UserId("listener"), UserId("gone")
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.fixture
def recording(house: Any) -> Recording:
    """A recording with an owner."""
    found: Recording = dataclasses.replace(house.recordings["two-party"], owner=OWNER)
    return found


def scope(recording: Recording, user_id: UserId, **fields: Any) -> AccessScope:
    return AccessScope(recording.tenant_id, f"user:{user_id}", Role.USER, user_id, **fields)


def listening(recording: Recording, **bounds: Any) -> Hearer:
    return Hearer(Reason.TEAM, "lisa", LISTENER, Capacity.LISTENER, "t", "Desk", **bounds)


def played(user_id: str, minutes: int, result: str = "ok") -> Deed:
    at = NOW + timedelta(minutes=minutes)
    return Deed(f"user:{user_id}", "recording.played", result, at, at)


def test_the_owner_and_a_listener_hear_it_with_what_each_may(recording: Recording) -> None:
    """Rights beside hearing are those of this person with this recording."""
    hears = Hearing(OWNER, "t", rights=frozenset({Right.SHARE}))
    scopes = {
        OWNER: scope(recording, OWNER, access="own", granted=frozenset({Right.DOWNLOAD})),
        LISTENER: scope(recording, LISTENER, team_ids=frozenset({"t"}), heard=frozenset({hears})),
    }
    hearers = [Hearer(Reason.OWN, "olga", OWNER), listening(recording)]
    found = audience.of(recording, hearers, scopes, [played(LISTENER, 5), played(LISTENER, 90)], {})
    assert [(each.name, each.rights, each.times) for each in found.can] == [
        ("olga", frozenset({Right.DOWNLOAD}), 0),
        ("lisa", frozenset({Right.SHARE}), 2),
    ]
    assert found.can[1].last == NOW + timedelta(minutes=90)
    assert found.could == ()


def test_a_reason_without_the_right_is_not_enough(recording: Recording) -> None:
    """Who listens to the team but may not reach this recording is left out; so is who came too late."""
    late = listening(recording, since=recording.started_at + timedelta(seconds=1))
    assert audience.of(recording, [late], {}, [], {}).can == ()
    nothing = {LISTENER: scope(recording, LISTENER)}
    assert audience.of(recording, [listening(recording)], nothing, [], {}).can == ()


def test_who_listened_and_no_longer_can_is_told_apart(recording: Recording) -> None:
    """A refusal is no listening."""
    deeds = [played(GONE, 0), played(OWNER, 1, result="refused")]
    found = audience.of(recording, [], {}, deeds, {GONE: "gert"})
    assert [(each.name, each.times) for each in found.could] == [("gert", 1)]
    assert found.people == 0


def test_several_reasons_of_one_person_are_one_line(recording: Recording) -> None:
    """A listener of two teams is one person who can hear it."""
    hears = Hearing(OWNER, "t")
    scopes = {LISTENER: scope(recording, LISTENER, team_ids=frozenset({"t"}), heard=frozenset({hears}))}
    found = audience.of(recording, [listening(recording), listening(recording)], scopes, [], {})
    assert [len(each.reasons) for each in found.can] == [2]


@pytest.mark.parametrize(("count", "more"), [(LISTENERS_COUNT_MAX, 0), (LISTENERS_COUNT_MAX + 1, 1)])
def test_more_than_can_be_read_are_counted(recording: Recording, count: int, more: int) -> None:
    """The rest is a number."""
    programs = [Hearer(Reason.API_CLIENT, f"program {number}") for number in range(count)]
    found = audience.of(recording, programs, {}, [], {})
    assert found.people == more
    assert (len(found.can), found.more) == (LISTENERS_COUNT_MAX, more)
