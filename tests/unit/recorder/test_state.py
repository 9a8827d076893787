"""The state of a call goes to the journal and comes back as it was, or not at all."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.state import (
    STATE_VERSION,
    CallState,
    DialogState,
    EdgeState,
    MetadataRevision,
    PartyState,
    StreamState,
)
from tests.unit.recorder.shell import call_state

FULL = call_state(
    peer_id="peer",
    owner="user",
    parties=(
        PartyState("a", "+31201234501", "Zo\u00eb \u202e", "user", 1),
        PartyState("b", "101", "", None, 2, 3),
    ),
    edges=(EdgeState("start", 1), EdgeState("pause", 2, "user")),
    metadata=(MetadataRevision(1, "application/rs-metadata+xml", "PHg+", "cut off"),),
    flags=("no-metadata",),
    trace=("peer: known", "mode: always"),
    site="Utrecht",
    ended_ns=2**62,
    end_reason="bye",
    capture="paused",
    cut_ns=17,
)
STATES = st.builds(
    CallState,
    dialog=st.builds(DialogState),
    streams=st.lists(st.builds(StreamState), max_size=3).map(tuple),
    parties=st.lists(st.builds(PartyState, to_ns=...), max_size=3).map(tuple),
    edges=st.lists(st.builds(EdgeState, by=...), max_size=3).map(tuple),
    metadata=st.lists(st.builds(MetadataRevision, error=...), max_size=2).map(tuple),
    flags=...,
    trace=...,
    site=...,
    ended_ns=...,
    cut_ns=...,
)


@settings(max_examples=50, deadline=None)
@given(STATES)
def test_every_state_comes_back_as_it_was(state: CallState) -> None:
    """Types too: tuples are tuples again, and what was absent is absent."""
    assert CallState.from_json(state.to_json()) == state


def test_a_state_with_everything_in_it_comes_back() -> None:
    """No field is left out, whatever is added to the types."""
    assert CallState.from_json(FULL.to_json()) == FULL
    names = {field.name for field in dataclasses.fields(CallState)}
    assert set(json.loads(FULL.to_json())) == names | {"version"}


def test_what_stands_in_a_state_can_t_be_changed() -> None:
    """A state that was journalled is the one that is in memory."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        FULL.kept = False  # type: ignore[misc]


@pytest.mark.parametrize("version", [0, STATE_VERSION + 1, str(STATE_VERSION), None])
def test_a_state_of_another_version_is_refused(version: object) -> None:
    """What another release meant is not guessed."""
    document = {**json.loads(FULL.to_json()), "version": version}
    with pytest.raises(ValueError, match="another version"):
        CallState.from_json(json.dumps(document).encode())


def test_a_state_without_a_version_is_refused() -> None:
    """It is not one of ours."""
    with pytest.raises(ValueError, match="another version"):
        CallState.from_json(b"{}")


@pytest.mark.parametrize("document", [b"", b"{", b"\xff"])
def test_what_is_no_json_is_refused(document: bytes) -> None:
    """Half a document is none."""
    with pytest.raises(ValueError):
        CallState.from_json(document)


def test_a_state_of_a_release_that_knew_less_takes_the_defaults() -> None:
    """Fields with a default may be added without a new version."""
    document = json.loads(call_state().to_json())
    for name in ("site", "ended_ns", "end_reason", "capture", "cut_ns"):
        del document[name]
    state = CallState.from_json(json.dumps(document).encode())
    assert (state.capture, state.cut_ns, state.ended_ns) == ("recording", None, None)
