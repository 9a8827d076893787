"""After a restart a session is what it was: nobody is heard who was not, and nobody is forgotten."""

from __future__ import annotations

import dataclasses

import pytest

from archive.catalogue.snapshot import BroadWorksGroup, Directory, DoNotRecord, ExemptNumber, NumberRange
from archive.model import RecordingMode, UserId
from recorder.client.call import Dialect
from recorder.srs import effects as do
from recorder.srs.recording_mode import Capture
from recorder.srs.session import Phase
from tests.unit.recorder.srs.conftest import (
    ANNA,
    BEN,
    BOB,
    CARL,
    DIRECTORY,
    METADATA,
    PEER,
    SDP,
    TENANT,
    WALL_NS,
    Client,
    Recorder,
    call_body,
    document,
    offer,
    restarted,
)
from tests.unit.recorder.srs.test_control import edges, recorder_of

LAWYER = DoNotRecord(TENANT.id, NumberRange.parse(CARL), "lawyer")
LISTED = "do-not-record list"
EMERGENCY = "+31880001113"


def with_lawyer(directory: Directory) -> Directory:
    return dataclasses.replace(directory, do_not_record=(LAWYER,))


@pytest.fixture
def client() -> Client:
    """A client whose calls of Anna are recorded, but not with Carl."""
    recorder = recorder_of(RecordingMode.ALWAYS)
    recorder.server.directory = with_lawyer(recorder.server.directory)
    return Client(recorder)


def capture(recorder: Recorder) -> Capture:
    """Return where the only recording stands."""
    (found,) = recorder.session.captures.values()
    return found


def test_who_must_not_be_heard_is_not_heard_after_a_restart(client: Client) -> None:
    """Also when media stopped before, and comes again after it; until they leave."""
    client.call()
    client.send("UPDATE", METADATA, document(ANNA, CARL))
    client.invite(SDP, offer("inactive", "inactive", version=2))
    recorder = restarted(client)
    client.invite(SDP, offer("sendonly", "sendonly", version=3))
    assert capture(recorder) is Capture.HELD
    client.send("UPDATE", METADATA, document(ANNA, BOB))
    assert capture(recorder) is Capture.RECORDING
    assert edges(recorder)[1:] == [("pause", LISTED), ("restart", None), ("resume", LISTED)]


def test_who_came_on_the_list_while_the_recorder_was_away_is_not_heard(client: Client) -> None:
    """The call is stopped before its sockets are given to capture."""
    directory = client.recorder.server.directory
    client.recorder.server.directory = dataclasses.replace(directory, do_not_record=())
    client.call(callee=CARL)
    recorder = restarted(client, directory)
    kinds = [type(effect) for effect in recorder.effects]
    assert kinds.index(do.SetCapturing) < kinds.index(do.CaptureStream)
    assert capture(recorder) is Capture.HELD


def test_what_one_person_excluded_while_the_recorder_was_away_is_not_heard(client: Client) -> None:
    """Their own list counts as that of all; it is found by whose the recordings are."""
    directory = dataclasses.replace(client.recorder.server.directory, do_not_record=())
    client.recorder.server.directory = directory
    client.call(callee=CARL)
    (state,) = client.recorder.states
    for whose, stands in (("somebody-else", Capture.RECORDING), (str(state.owner), Capture.HELD)):
        own = dataclasses.replace(LAWYER, user_id=UserId(whose))
        recorder = restarted(client, dataclasses.replace(directory, do_not_record=(own,)))
        assert capture(recorder) is stands


def test_a_recorder_that_knows_no_list_goes_on_not_hearing(client: Client) -> None:
    """Its directory may come later than its calls."""
    client.call()
    client.send("UPDATE", METADATA, document(ANNA, CARL))
    recorder = restarted(client, Directory())
    for version, direction in ((2, "inactive"), (3, "sendonly")):
        client.invite(SDP, offer(direction, direction, version=version))
    assert capture(recorder) is Capture.HELD


def test_a_pause_by_recording_type_ends_after_a_restart() -> None:
    """The first `on` after it is not the first of the session."""
    client = Client(recorder_of(RecordingMode.ALWAYS_PAUSE))
    client.call(dialect=Dialect.BROADWORKS)
    xml = document(dialect=Dialect.BROADWORKS)
    client.send("UPDATE", METADATA, xml.replace(b"<recordingType>on<", b"<recordingType>pause<"))
    recorder = restarted(client)
    client.send("UPDATE", METADATA, xml)
    assert edges(recorder)[1:] == [("pause", "exchange"), ("restart", None), ("resume", "exchange")]


def test_who_joins_after_a_restart_is_of_the_same_call() -> None:
    """Its minutes are counted once by that; nothing in headers names the call."""
    client = Client(Recorder())
    participants = [
        f"<sip:{number}@exchange.example>;media-index={index}" for index, number in enumerate([ANNA, BOB])
    ]
    client.invite(
        SDP,
        offer("sendonly", "sendonly"),
        *(("X-Cisco-Recording-Participant", item) for item in participants),
    )
    client.recorder.advance(3)
    group = client.recorder.state.call_group
    recorder = restarted(client)
    client.send("UPDATE", METADATA, document(ANNA, BEN))
    assert [(state.owner, state.call_group) for state in recorder.states] == [
        ("user-anna", group),
        ("user-ben", group),
    ]


def test_the_numbers_a_tenant_added_are_exempt_after_a_restart() -> None:
    """Though the peer carries many tenants, and the request names none."""
    kind, body = call_body(dialect=Dialect.BROADWORKS)
    provider = body.partition(b"<serviceProviderID>")[2].partition(b"<")[0].decode()
    directory = dataclasses.replace(
        DIRECTORY,
        peers=(dataclasses.replace(PEER, tenant_id=None),),
        broadworks_groups=(BroadWorksGroup(provider, None, TENANT.id),),
        exempt_numbers=(ExemptNumber(TENANT.id, EMERGENCY),),
    )
    client = Client(Recorder(directory=directory))
    client.invite(kind, body)
    recorder = restarted(client)
    client.send("INFO", "", b"", ("Refer-To", f"<sip:{EMERGENCY}@exchange.example>"))
    assert recorder.session.phase is Phase.EXEMPT


def test_the_session_is_as_old_as_its_oldest_recording() -> None:
    """In whatever order the journal gives them: what was recorded first is cut, not destroyed."""
    client = Client(Recorder())
    client.call()
    client.recorder.advance(10)
    client.send("UPDATE", METADATA, document(ANNA, BEN))
    session = client.recorder.session
    session.recordings = dict(reversed(session.recordings.items()))
    recorder = restarted(client)
    assert recorder.session.opened_ns == WALL_NS
    client.send("INFO", "", b"", ("Refer-To", "<sip:112@exchange.example>"))
    assert recorder.one(do.CutRecording).state.owner == "user-anna"
