"""Channels, layouts and parties follow from who sends what, and when they came and went."""

from __future__ import annotations

import pytest

from archive.decision import CallFacts, CallParticipant
from archive.model import Layout
from recorder.srs.session import PARTIES_MAX, channel_of, layout_of, merge_parties
from recorder.state import PartyState, StreamState

CROSSED = CallFacts(
    participants=(CallParticipant("a", "", ("2",)), CallParticipant("b", "", ("1",))), caller_labels=("2",)
)


def stream(index: int, port: int = 20000) -> StreamState:
    return StreamState(index, str(index), "a", "192.0.2.1", port, {})


def party(number: str, channel: str, from_ns: int = 10, to_ns: int | None = None) -> PartyState:
    return PartyState(channel, number, "", None, from_ns, to_ns)


@pytest.mark.parametrize(
    ("label", "position", "count", "facts", "channel"),
    [
        ("1", 0, 2, CallFacts(), "a"),
        ("2", 1, 2, CallFacts(), "b"),
        ("1", 0, 2, CROSSED, "b"),
        ("2", 1, 2, CROSSED, "a"),
        ("9", 1, 2, CROSSED, "b"),
        ("1", 0, 1, CallFacts(), "mixed"),
        ("1", 0, 1, CROSSED, "mixed"),
        ("1", 2, 3, CROSSED, "3"),
        ("1", 1, 2, CallFacts(mixed=True), "2"),
    ],
)
def test_the_sender_names_the_channel(
    label: str, position: int, count: int, facts: CallFacts, channel: str
) -> None:
    """The order of m= lines only where nothing else is known."""
    assert channel_of(label, position, count, facts) == channel


def test_the_layout_follows_the_streams_that_have_a_socket() -> None:
    """One is mixed, two are two parties, more are many."""
    assert layout_of({}, CallFacts()) is Layout.MIXED
    assert layout_of({0: stream(0)}, CallFacts()) is Layout.MIXED
    assert layout_of({0: stream(0), 1: stream(1)}, CallFacts()) is Layout.TWO_PARTY
    assert layout_of({0: stream(0), 1: stream(1, 0)}, CallFacts()) is Layout.MIXED
    assert layout_of({0: stream(0), 1: stream(1)}, CallFacts(mixed=True)) is Layout.MULTI
    assert layout_of({index: stream(index) for index in range(3)}, CallFacts()) is Layout.MULTI


def test_who_is_new_came_and_who_is_missing_went() -> None:
    """At the moment the newest document came."""
    first = merge_parties((), (party("a", "a"), party("b", "b")), 10)
    second = merge_parties(first, (party("a", "a"), party("c", "b")), 50)
    assert second == (party("a", "a"), party("b", "b", 10, 50), party("c", "b", 50))
    third = merge_parties(second, (party("a", "a"), party("b", "b")), 70)
    assert third == (party("a", "a"), party("b", "b"), party("c", "b", 50, 70))


def test_until_both_ends_are_known_whoever_is_named_was_there() -> None:
    """Metadata that comes late names those who have spoken all along."""
    assert merge_parties((party("a", "a"),), (party("a", "a"), party("b", "b")), 50)[1] == party("b", "b")


def test_nobody_named_is_nobody_gone() -> None:
    """A document without participants says nothing of them."""
    known = (party("a", "a"), party("b", "b"))
    assert merge_parties(known, (), 50) == known


def test_parties_are_kept_up_to_a_limit() -> None:
    """Those who were there first stay; of those who are known it is still noted that they went."""
    crowd = tuple(party(str(number), "a") for number in range(PARTIES_MAX + 1))
    full = merge_parties((), crowd[:PARTIES_MAX], 10)
    assert full == crowd[:PARTIES_MAX]
    assert merge_parties((), crowd, 10) == full
    assert merge_parties(full, crowd, 50) == full
    assert merge_parties(full, crowd[1:], 50) == (party("0", "a", 10, 50), *full[1:])
