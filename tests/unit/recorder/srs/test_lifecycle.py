"""What is left of a recording when an exempt party joined, and what is told of it."""

from __future__ import annotations

import pytest

from archive.model import OutcomeKind, RecordingMode
from recorder.srs import effects as do
from recorder.srs.recording_mode import Event
from tests.unit.recorder.srs.conftest import (
    ANNA,
    BEN,
    BOB,
    CARL,
    METADATA,
    WALL_NS,
    Client,
    Recorder,
    document,
)
from tests.unit.recorder.srs.test_control import command, recorder_of


def test_what_came_after_an_exempt_party_is_told_nowhere() -> None:
    """Edges, trace and metadata after the joining go with the audio."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    client = Client(recorder)
    client.call()
    recorder.advance(10)
    command(recorder, Event.PAUSE)
    recorder.advance(1)
    client.send("INFO", "", b"", ("Refer-To", "<sip:112@exchange.example>"))
    cut = recorder.one(do.CutRecording)
    assert [edge.kind for edge in cut.state.edges] == ["start"]
    assert not any("pause by" in line for line in cut.state.trace)


def test_who_joined_less_than_the_look_back_before_an_exempt_party_has_no_recording() -> None:
    """It would end before it began."""
    recorder = Recorder()
    client = Client(recorder)
    client.call()
    recorder.advance(10)
    client.send("UPDATE", METADATA, document(ANNA, BEN))
    recorder.advance(1)
    client.send("INFO", "", b"", ("Refer-To", "<sip:112@exchange.example>"))
    assert recorder.one(do.CutRecording).state.owner == "user-anna"
    assert recorder.one(do.DestroyRecording).exempt


def test_what_was_started_less_than_the_look_back_before_an_exempt_party_is_destroyed() -> None:
    """Nothing of it would be left."""
    recorder = recorder_of(RecordingMode.ON_DEMAND_START)
    client = Client(recorder)
    client.call()
    recorder.advance(10)
    command(recorder, Event.START)
    recorder.advance(1)
    client.send("INFO", "", b"", ("Refer-To", "<sip:112@exchange.example>"))
    assert not recorder.of(do.CutRecording)
    assert recorder.one(do.DestroyRecording).exempt


def test_nobodys_digits_are_watched_when_an_exempt_party_joined() -> None:
    """What is pressed in such a call is nobody's business."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE, star_codes=True)
    client = Client(recorder)
    client.call()
    assert all(effect.watch_digits for effect in recorder.of(do.CaptureStream))
    recorder.effects.clear()
    client.send("INFO", "", b"", ("Refer-To", "<sip:112@exchange.example>"))
    assert [effect.watch_digits for effect in recorder.of(do.CaptureStream)] == [False, False]


def test_who_came_or_went_after_the_joining_is_told_nowhere(recorder: Recorder, client: Client) -> None:
    """A transfer a second before it falls into the look back: as if it had not been."""
    client.call(ANNA, BOB)
    recorder.advance(10)
    client.send("UPDATE", METADATA, document(ANNA, CARL))
    recorder.advance(1)
    client.send("INFO", "", b"", ("Refer-To", "<sip:112@exchange.example>"))
    state = recorder.one(do.CutRecording).state
    assert [(party.number, party.to_ns) for party in state.parties] == [(ANNA, None), (BOB, None)]
    assert [revision.at_ns for revision in state.metadata] == [WALL_NS]


@pytest.mark.parametrize(
    ("joined", "cut_s"), [("2026-11-18T11:06:45Z", 5), ("1980-01-01T00:00:00Z", 8), (None, 8)]
)
def test_a_joining_is_believed_unless_that_clock_was_never_set(
    recorder: Recorder, client: Client, joined: str | None, cut_s: int
) -> None:
    """The safer of what the client says and a look back of two seconds."""
    client.call()
    recorder.advance(10)
    name = b'<nameID aor="sip:112@exchange.example"/>'
    who = b'<participant participant_id="AAAAAAAAAAAAAAAAAAAAAA==">' + name + b"</participant>"
    when = f"<associate-time>{joined}</associate-time>".encode() if joined else b""
    known = document()
    session_id = known.partition(b'session_id="')[2].partition(b'"')[0]
    association = (
        b'<participantsessionassoc participant_id="AAAAAAAAAAAAAAAAAAAAAA==" session_id="'
        + session_id
        + b'">'
        + when
        + b"</participantsessionassoc>"
    )
    client.send("UPDATE", METADATA, known.replace(b"</recording>", who + association + b"</recording>"))
    assert recorder.one(do.CutRecording).at_ns == WALL_NS + cut_s * 10**9


def test_a_recording_that_can_not_be_kept_takes_no_other_with_it() -> None:
    """Ben joins when the slots are full: his part is told as failed, Anna's call goes on."""
    recorder = Recorder()
    client = Client(recorder)
    client.call()
    anna = recorder.of(do.OpenRecording)[0].uid
    client.send("UPDATE", METADATA, document(ANNA, BEN))
    ben = recorder.of(do.OpenRecording)[1].uid
    session_id = recorder.session.session_id
    effects = recorder.server.storage_failed(session_id, "the slots are full", recorder.now, ben)
    recorder.carry_out(effects)
    assert (recorder.one(do.DestroyRecording).uid, list(recorder.session.recordings)) == (ben, [anna])
    told = recorder.one(do.ReportOutcome).outcome
    assert (told.kind, told.reason) == (OutcomeKind.FAILED, "the slots are full")
    assert not recorder.of(do.HangUp)
    client.bye()
    assert [item.uid for item in recorder.of(do.FinishRecording)] == [anna]
