"""How metadata documents add up (RFC 7865 section 5, RFC 7866 section 9.1).

A complete document replaces everything: who is not in it any more has left. A
partial one changes the objects it names, by id, and leaves the others.

Rules: pure and idempotent: the same document again gives an equal model, by which
a caller sees that nothing changed. What an older model said is the caller's to keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

from recorder.metadata.broadworks import BroadWorksFacts
from recorder.metadata.model import (
    CommunicationSession,
    Document,
    Group,
    MediaStream,
    Participant,
    RecordingMetadata,
)

OBJECTS_MAX = 256
"""Of each kind in one session: four times what one document may name, for partial ones add up."""

TRACKING_IDS_MAX = 64
"""No call is redirected more often."""

Described = TypeVar("Described", Group, CommunicationSession, Participant, MediaStream)


@dataclass(frozen=True)
class Changes:
    """Who came and who went between two models."""

    joined: tuple[Participant, ...]
    left: tuple[Participant, ...]


def apply(model: RecordingMetadata, document: Document) -> RecordingMetadata:
    """Return the model after `document`."""
    tracking_ids = _chained(model.tracking_ids, document.broadworks)
    if document.complete:
        return RecordingMetadata(
            groups=document.groups,
            sessions=document.sessions,
            participants=document.participants,
            streams=document.streams,
            sends=document.sends,
            receives=document.receives,
            broadworks=document.broadworks or model.broadworks,
            extensions=document.extensions,
            tracking_ids=tracking_ids,
        )
    return RecordingMetadata(
        groups=_merged(model.groups, document.groups),
        sessions=_merged(model.sessions, document.sessions),
        participants=_merged(model.participants, document.participants),
        streams=_merged(model.streams, document.streams),
        sends=_directed(model.sends, document.sends),
        receives=_directed(model.receives, document.receives),
        broadworks=_facts(model.broadworks, document.broadworks),
        extensions=document.extensions or model.extensions,
        tracking_ids=tracking_ids,
    )


def changes(before: RecordingMetadata, after: RecordingMetadata) -> Changes:
    """Return who joined and who left, compared by address (or by id where there is none).

    Ids alone would not do: BroadWorks gives everyone a new one when a call is redirected.
    """
    present_before = {_identity(item): item for item in before.participants if item.to_time is None}
    present_after = {_identity(item): item for item in after.participants if item.to_time is None}
    return Changes(
        joined=tuple(item for key, item in present_after.items() if key not in present_before),
        left=tuple(item for key, item in present_before.items() if key not in present_after),
    )


def _identity(participant: Participant) -> str:
    return participant.number or f"id {participant.id}"


def _merged(old: tuple[Described, ...], new: tuple[Described, ...]) -> tuple[Described, ...]:
    """Return the old objects, each with what a new one of the same id says in its place, then new ones."""
    named = {item.id: item for item in new}
    known = {item.id for item in old}
    changed = tuple(_updated(item, named[item.id]) if item.id in named else item for item in old)
    added = tuple(item for item in new if item.id not in known)
    return (changed + added)[-OBJECTS_MAX:]


def _updated(old: Described, new: Described) -> Described:
    """Return the old object with every field that the new one fills."""
    filled = {item.name: getattr(new, item.name) or getattr(old, item.name) for item in fields(old)}
    if isinstance(new, Participant) and new.from_time and not new.to_time:
        # They had left, and are associated anew.
        filled["to_time"] = None
    return type(old)(**filled)


def _directed(
    old: Mapping[str, tuple[str, ...]], new: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return who sends what: the newest word on each participant counts."""
    together = {**old, **new}
    return dict(list(together.items())[-OBJECTS_MAX:])


def _facts(old: BroadWorksFacts | None, new: BroadWorksFacts | None) -> BroadWorksFacts | None:
    return old.merged(new) if old and new else new or old


def _chained(chain: tuple[str, ...], facts: BroadWorksFacts | None) -> tuple[str, ...]:
    """Return the chain of tracking ids with those of the newest facts at its end."""
    newest = (facts.tracking_id, facts.new_tracking_id) if facts else ()
    added = tuple(item for item in dict.fromkeys(newest) if item and item not in chain)
    return (chain + added)[:TRACKING_IDS_MAX]
