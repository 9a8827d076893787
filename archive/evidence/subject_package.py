"""What is in a package for a data subject: their own voice in each call, and what it is, in plain words.

    index-nl.html, index-en.html              for the person, opened with any browser
    data/recordings/<id>/own-voice-NNN.flac   the call with everybody else silenced
                        /audio.flac           or as it was archived, where that was decided
                        /call.json            the facts of the call that are the person's own

Of others nothing is told: no name and no number.

Rules: each recording is opened by `archive.playback`, so that the right is asked and the
audit entry durable before its first octet leaves. After a crash the same call goes on
where it stopped. Not here: which calls, and what is kept of them (`archive.catalogue.data_subject_calls`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from archive.access import AccessScope
from archive.audit import Json
from archive.catalogue import recordings
from archive.catalogue.engine import Catalogue
from archive.data_subject import Kept
from archive.errors import VerificationFailed
from archive.evidence import subject_index
from archive.evidence.bag import RECORDINGS, Bag, BagFile, Origin, Shelf
from archive.evidence.muting import muted
from archive.evidence.report import LANGUAGES
from archive.evidence.subject_index import GivenCall, Letterhead
from archive.evidence.vcon import AUDIO_NAME
from archive.model import ArchivedRecording, ObjectKind, Party, Recording, RecordingId
from archive.playback import Action, Playback

OWN_VOICE = "own-voice"


@dataclass(frozen=True)
class SubjectCommission:
    """What is asked for: as whom, why, and what is kept of each recording; None keeps all of it."""

    scope: AccessScope
    kept: Mapping[RecordingId, tuple[Kept, ...] | None]
    purpose: str
    letterhead: Letterhead


class SubjectPacker:
    """Makes packages for data subjects; keeps nothing between them."""

    def __init__(self, playback: Playback, catalogue: Catalogue) -> None:
        """Take what a package is made with."""
        self._playback = playback
        self._catalogue = catalogue

    def pack(self, commission: SubjectCommission, shelf: Shelf) -> tuple[BagFile, ...]:
        """Put the package on a shelf and return all of its files.

        Raises `NotFound` and `Refused` for a recording the scope may not take out,
        `VerificationFailed` naming the recording whose stored object is not what was
        archived, `DependencyUnavailable`; then the same call goes on from there.
        """
        bag = Bag(shelf)
        given = [self._call(bag, commission, each, kept) for each, kept in commission.kept.items()]
        for language in LANGUAGES:
            name = f"index-{language}.html"
            if not bag.adopt(name):
                bag.add(name, (subject_index.page(commission.letterhead, given, language),))
                bag.finish(name)
        return bag.settle()

    def _call(
        self,
        bag: Bag,
        commission: SubjectCommission,
        recording_id: RecordingId,
        kept: tuple[Kept, ...] | None,
    ) -> GivenCall:
        archived = recordings.get(self._catalogue, commission.scope, recording_id)
        place = f"{RECORDINGS}{recording_id}/"
        if bag.adopt(place):
            names = [place + AUDIO_NAME] if kept is None else list(_adopted(bag, place))
        else:
            try:
                names = self._add_call(bag, commission, archived, kept)
            except VerificationFailed as error:
                told = f"Recording {recording_id}: {error} No package is made of it."
                raise VerificationFailed(told) from error
            bag.finish(place)
        return GivenCall(archived.recording, theirs(archived.recording, kept), tuple(names), kept is None)

    def _add_call(
        self,
        bag: Bag,
        commission: SubjectCommission,
        archived: ArchivedRecording,
        kept: tuple[Kept, ...] | None,
    ) -> list[str]:
        """Add the sound and the facts of a call; return the names of its sound."""
        recording = archived.recording
        place = f"{RECORDINGS}{recording.id}/"
        reader = self._playback.open_archived(
            commission.scope, archived, ObjectKind.AUDIO, Action.EXPORT, purpose=commission.purpose
        )
        names = []
        if kept is None:
            names.append(place + AUDIO_NAME)
            sound = Origin(recording.id, ObjectKind.AUDIO)
            audio = bag.add(names[0], reader.chunks(0, reader.length), sound)
            if audio.sha256 != recording.sha256:
                raise VerificationFailed("This is not the sound that was archived; report it.")
        else:
            for number, content in enumerate(muted(reader, kept), start=1):
                prefix = _piece(place, number)
                names.append(f"{prefix}.flac")
                bag.add(names[-1], (content,))
                # Each is a part of its own, so that no more than one is held in memory.
                bag.finish(prefix)
        bag.add(place + "call.json", (_facts(recording, kept),))
        return names


def theirs(recording: Recording, kept: Sequence[Kept] | None) -> tuple[Party, ...]:
    """Return the parties that are the person of the request, none where the whole call is given."""
    places = {(recording.channels[each.channel], each.from_ms, each.to_ms) for each in kept or ()}
    return tuple(each for each in recording.parties if (each.channel, each.from_ms, each.to_ms) in places)


def _adopted(bag: Bag, place: str) -> Iterator[str]:
    """Take over the files of sound an earlier attempt made, and yield their names."""
    for number in count(1):
        prefix = _piece(place, number)
        if not bag.adopt(prefix):
            return
        yield f"{prefix}.flac"


def _piece(place: str, number: int) -> str:
    return f"{place}{OWN_VOICE}-{number:03}"


def _facts(recording: Recording, kept: Sequence[Kept] | None) -> bytes:
    """Return the facts of a call that are the person's own, as JSON."""
    facts: dict[str, Json] = {
        "id": recording.id,
        "startedAt": recording.started_at.isoformat(),
        "endedAt": recording.ended_at.isoformat(),
        "durationMs": recording.duration_ms,
        "retainUntil": recording.retain_until.isoformat(),
        "othersSilenced": kept is not None,
        "you": [
            {
                "number": party.number,
                "name": party.name,
                "channel": recording.channels.index(party.channel) + 1,
                "fromMs": party.from_ms,
                "toMs": recording.duration_ms if party.to_ms is None else party.to_ms,
            }
            for party in theirs(recording, kept)
        ],
        "spans": [
            {"kind": span.kind.value, "fromMs": span.from_ms, "toMs": span.to_ms} for span in recording.spans
        ],
    }
    return json.dumps(facts, ensure_ascii=False, indent=1).encode() + b"\n"
