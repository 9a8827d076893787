"""The objects of RFC 7865, as far as a recorder asks for them.

`Document` is one metadata body in normal form, whatever dialect it came in.
`RecordingMetadata` is what all bodies of a session say together; `snapshot.apply`
makes the next one of the last one and a document.

Rules: frozen values. Ids are opaque text, unique in their dialog at best. Times stay
the text the client wrote: its clock may stand in 1970, so ours orders things.

Not here: the XML (`recorder.metadata.tree`) and which element means what
(`recorder.metadata.document`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from recorder.errors import PeerViolation
from recorder.metadata.broadworks import BroadWorksFacts

PLACEHOLDER_AOR = "asbce@asbce.com"
"""Avaya's SBC names this participant until it knows the real one."""


class MetadataError(PeerViolation):
    """A body is no recording metadata; the call is recorded all the same and the body kept as evidence."""

    status = 200


@dataclass(frozen=True)
class Group:
    """A Communication Session Group: sessions that belong together, as after a transfer (section 6.2)."""

    id: str
    associate_time: str | None = None
    disassociate_time: str | None = None


@dataclass(frozen=True)
class CommunicationSession:
    """One dialog between parties (section 6.3)."""

    id: str
    group_id: str | None = None
    start_time: str | None = None
    stop_time: str | None = None
    sip_session_ids: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Participant:
    """A person or device on the call (section 6.5).

    `aor` is as the client wrote it, `number` its canonical form, `aliases` further
    addresses. `from_time` and `to_time` are when they joined and left the session;
    `earlier_times` are when they joined before, left, and came back.
    """

    id: str
    aor: str = ""
    number: str = ""
    name: str = ""
    session_id: str | None = None
    from_time: str | None = None
    to_time: str | None = None
    aliases: tuple[str, ...] = ()
    earlier_times: tuple[str, ...] = ()

    @property
    def placeholder(self) -> bool:
        """Tell whether this stands for a party the client does not know yet."""
        return self.aor.lower().removeprefix("sip:") == PLACEHOLDER_AOR


@dataclass(frozen=True)
class MediaStream:
    """One m= line of the recording session, by its label (section 6.7)."""

    id: str
    label: str = ""
    session_id: str | None = None
    mode: str | None = None
    content_type: str | None = None


@dataclass(frozen=True)
class Document:
    """One metadata body in normal form.

    `sends` and `receives` map a participant id to stream ids. A participant with an
    empty tuple sends nothing now; one that is missing was not spoken of. `extensions`
    are the leaves of foreign elements, as name and text, in order. `repaired` says that
    the XML was not well-formed.
    """

    complete: bool
    groups: tuple[Group, ...] = ()
    sessions: tuple[CommunicationSession, ...] = ()
    participants: tuple[Participant, ...] = ()
    streams: tuple[MediaStream, ...] = ()
    sends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    receives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    broadworks: BroadWorksFacts | None = None
    extensions: tuple[tuple[str, str], ...] = ()
    repaired: bool = False

    def extension(self, name: str) -> str | None:
        """Return the text of the first extension element of that local name."""
        return next((text for found, text in self.extensions if found == name), None)


@dataclass(frozen=True)
class RecordingMetadata:
    """What the metadata of a session says by now; the fields are those of `Document`.

    `tracking_ids` is BroadWorks' chain of extTrackingIDs: everything else in its
    documents may change when a call is redirected.
    """

    groups: tuple[Group, ...] = ()
    sessions: tuple[CommunicationSession, ...] = ()
    participants: tuple[Participant, ...] = ()
    streams: tuple[MediaStream, ...] = ()
    sends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    receives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    broadworks: BroadWorksFacts | None = None
    extensions: tuple[tuple[str, str], ...] = ()
    tracking_ids: tuple[str, ...] = ()

    def participants_of_label(self, label: str) -> tuple[Participant, ...]:
        """Return who is heard on the stream of that label, never by the order of labels.

        Of a mixed stream that is everyone who sends at all: BroadWorks lets them send to
        stream ids it never describes. Parties who left and placeholders are left out.
        """
        streams = [stream for stream in self.streams if stream.label == label]
        ids = {stream.id for stream in streams}
        known = {stream.id for stream in self.streams}
        mixed = any(stream.mode == "mixed" for stream in streams)
        return tuple(
            participant
            for participant in self.participants
            if participant.to_time is None
            and not participant.placeholder
            and any(
                sent in ids or (mixed and sent not in known) for sent in self.sends.get(participant.id, ())
            )
        )

    @property
    def unresolved(self) -> frozenset[str]:
        """Return the ids that are spoken of and described nowhere: a reason to ask for a snapshot."""
        streams = {stream.id for stream in self.streams}
        participants = {participant.id for participant in self.participants}
        sessions = {session.id for session in self.sessions}
        spoken = {sent for ids in self.sends.values() for sent in ids} - streams
        spoken |= {participant for participant in self.sends if participant not in participants}
        parents = [participant.session_id for participant in self.participants]
        parents += [stream.session_id for stream in self.streams]
        spoken |= {parent for parent in parents if parent} - sessions
        return frozenset(spoken)
