"""An INVITE becomes a recording, an inactive answer or a refusal; nothing in between."""

from __future__ import annotations

import base64
import dataclasses

import pytest

from archive.catalogue.snapshot import Directory
from archive.decision import NO_GROUNDS
from archive.model import OutcomeKind
from recorder.client.call import Dialect
from recorder.srs import effects as do
from recorder.srs.effects import Limits
from tests.unit.recorder.srs.conftest import (
    ANNA,
    BEN,
    BOB,
    DIRECTORY,
    METADATA,
    NINA,
    OLGA,
    RTP_PORT_FIRST,
    SDP,
    STRANGER,
    TENANT,
    TWO_STREAMS,
    Client,
    Recorder,
    call_body,
    directions,
    document,
    media_lines,
    offer,
    with_document,
)


def names(recorder: Recorder) -> list[str]:
    """Return what was done, by name."""
    return [type(effect).__name__ for effect in recorder.effects]


def test_a_call_of_a_recorded_user_is_answered_receiving_only(recorder: Recorder, client: Client) -> None:
    """Both streams, in their order, with their labels, on even ports of ours."""
    answer = client.call()
    assert answer.status == 200
    assert media_lines(answer.body) == [
        f"m=audio {RTP_PORT_FIRST} RTP/AVP 8",
        f"m=audio {RTP_PORT_FIRST + 2} RTP/AVP 8",
    ]
    assert directions(answer.body) == ["recvonly", "recvonly"]
    assert [line for line in answer.body.decode().splitlines() if "label" in line] == [
        "a=label:1",
        "a=label:2",
    ]
    assert "+sip.srs" in (answer.headers.first("Contact") or "")
    state = recorder.state
    assert (state.owner, state.mode, state.retention_class) == ("user-anna", "always", "365d")
    assert (state.direction, state.layout, state.kept) == ("out", "two-party", True)
    assert [(party.number, party.channel, party.user_id) for party in state.parties] == [
        (ANNA, "a", "user-anna"),
        (BOB, "b", None),
    ]


def test_sockets_and_journal_come_before_the_answer(recorder: Recorder, client: Client) -> None:
    """The first packet of a fast client finds a socket, and a crash finds the call."""
    client.call()
    assert names(recorder).index("OpenMedia") < names(recorder).index("OpenRecording")
    assert names(recorder).index("CaptureStream") < names(recorder).index("Respond")
    assert names(recorder).index("OpenRecording") < names(recorder).index("Respond")


@pytest.mark.parametrize("dialect", list(Dialect))
def test_each_dialect_names_the_recorded_user(recorder: Recorder, client: Client, dialect: Dialect) -> None:
    """The RFC's by number, BroadWorks' by its user id or number."""
    client.call(dialect=dialect)
    assert recorder.state.owner == "user-anna"


def test_a_call_in_is_seen_from_the_callee(recorder: Recorder, client: Client) -> None:
    """The caller stays in channel a."""
    client.call(BOB, ANNA)
    state = recorder.state
    assert state.direction == "in"
    assert [(party.channel, party.user_id) for party in state.parties] == [("a", None), ("b", "user-anna")]


def test_a_call_between_two_recorded_users_is_two_recordings(recorder: Recorder, client: Client) -> None:
    """Each has its own id and key; the call group links them, and capture is shared."""
    client.call(ANNA, BEN)
    anna, ben = recorder.states
    assert {anna.owner, ben.owner} == {"user-anna", "user-ben"}
    assert anna.recording_id != ben.recording_id
    assert anna.call_group == ben.call_group
    assert anna.session_id == ben.session_id
    assert {anna.direction, ben.direction} == {"internal"}
    for captured in recorder.of(do.CaptureStream):
        assert len(captured.uids) == 2
    client.bye()
    assert len(recorder.of(do.FinishRecording)) == 2


def test_only_the_half_a_broadworks_session_is_for_is_recorded(recorder: Recorder, client: Client) -> None:
    """The exchange opens a session of its own for the other user."""
    client.call(ANNA, BEN, Dialect.BROADWORKS)
    assert recorder.state.owner == "user-anna"


def test_mode_never_is_answered_inactive_without_a_socket(recorder: Recorder, client: Client) -> None:
    """The client keeps its dialog; the session gets its one outcome when it ends."""
    answer = client.call(NINA, BOB)
    assert answer.status == 200
    assert directions(answer.body) == ["inactive", "inactive"]
    assert media_lines(answer.body) == ["m=audio 9 RTP/AVP 8"] * 2
    assert not recorder.of(do.OpenMedia)
    assert not recorder.states
    assert not recorder.one(do.ReportOutcome).final
    client.bye()
    report = recorder.of(do.ReportOutcome)[-1]
    assert report.final
    assert (report.outcome.kind, report.outcome.call_id) == (OutcomeKind.MODE_NEVER, "call-1@src")
    assert recorder.of(do.ReportOutcome)[0].outcome.session_id == report.outcome.session_id


def test_a_call_of_nobody_we_know_is_answered_inactive(recorder: Recorder, client: Client) -> None:
    """A trunk that forks everyone must not record the unlicensed."""
    assert directions(client.call(BOB, "+31201112233").body) == ["inactive", "inactive"]
    client.bye()
    outcome = recorder.of(do.ReportOutcome)[-1].outcome
    assert (outcome.kind, outcome.reason) == (OutcomeKind.NOBODY_RECORDED, "nobody named is recorded")


def test_where_nobody_wrote_down_why_and_nobody_is_recorded_no_unknown_user_is_heard(
    client: Client, recorder: Recorder
) -> None:
    """Answered inactive, no socket; once it is written the next call of theirs waits in quarantine."""
    nina = dataclasses.replace(DIRECTORY.users[2], numbers=())
    silent = dataclasses.replace(DIRECTORY, users=(nina,), without_grounds=(TENANT.id,))
    recorder.server.directory = silent
    answer = client.call(ANNA, BEN, Dialect.BROADWORKS)
    assert set(directions(answer.body)) == {"inactive"}
    assert not recorder.of(do.OpenMedia)
    client.bye()
    outcome = recorder.of(do.ReportOutcome)[-1].outcome
    assert (outcome.kind, outcome.reason) == (OutcomeKind.NOBODY_RECORDED, NO_GROUNDS)
    assert outcome.trace[-1] == NO_GROUNDS
    recorder.server.directory = dataclasses.replace(silent, without_grounds=())
    Client(recorder, call_id="call-2@src").call(ANNA, BEN, Dialect.BROADWORKS)
    assert recorder.state.quarantined


def test_a_recorded_user_without_a_licence_is_not_recorded(client: Client, recorder: Recorder) -> None:
    """The trace says so."""
    anna = dataclasses.replace(DIRECTORY.users[0], licence=None)
    recorder.server.directory = dataclasses.replace(DIRECTORY, users=(anna,))
    client.call()
    client.bye()
    outcome = recorder.of(do.ReportOutcome)[-1].outcome
    assert (outcome.kind, outcome.reason) == (
        OutcomeKind.NOBODY_RECORDED,
        "the user has no recording licence",
    )


def test_a_peer_without_a_tenant_records_nobody(client: Client, recorder: Recorder) -> None:
    """Unless the exchange names a group that is a tenant."""
    nobodys = dataclasses.replace(DIRECTORY.peers[0], tenant_id=None)
    recorder.server.directory = dataclasses.replace(DIRECTORY, peers=(nobodys,))
    client.call()
    client.bye()
    assert recorder.of(do.ReportOutcome)[-1].outcome.reason == "no tenant for this peer"


def test_on_demand_is_captured_but_not_kept(recorder: Recorder, client: Client) -> None:
    """At the end it is noted, destroyed, and only then told."""
    client.call(OLGA, BOB)
    assert recorder.state.kept is False
    assert recorder.one(do.OpenRecording).capturing
    recorder.effects.clear()
    client.bye()
    assert names(recorder)[:3] == ["ReportOutcome", "DestroyRecording", "ReportOutcome"]
    assert [report.final for report in recorder.of(do.ReportOutcome)] == [False, True]
    assert {report.outcome.kind for report in recorder.of(do.ReportOutcome)} == {OutcomeKind.NOT_KEPT}
    assert not recorder.of(do.FinishRecording)


# Refusals.


def test_a_stranger_is_refused_without_a_socket(recorder: Recorder) -> None:
    """By address alone, whatever the headers say."""
    answer = Client(recorder, STRANGER).call()
    assert answer.status == 403
    assert names(recorder) == ["Respond"]


def test_an_unknown_option_tag_is_refused(recorder: Recorder, client: Client) -> None:
    """And named (RFC 3261 section 8.2.2.3)."""
    answer = client.invite(*call_body(), ("Require", "siprec, foo"))
    assert (answer.status, answer.headers.first("Unsupported")) == (420, "foo")


def test_a_session_interval_below_the_minimum_is_refused(client: Client) -> None:
    """With the minimum (RFC 4028 section 9)."""
    answer = client.invite(*call_body(), ("Session-Expires", "30"), ("Supported", "timer"))
    assert (answer.status, answer.headers.first("Min-SE")) == (422, "90")


@pytest.mark.parametrize("reason", ["draining", "unable", "full"])
def test_who_cannot_record_says_so_before_the_call_is_taken(reason: str) -> None:
    """503 with Retry-After lets the client find another recorder; so does OPTIONS."""
    recorder = Recorder(Limits(sessions_max=1))
    if reason == "draining":
        recorder.server.admission.draining = True
    elif reason == "unable":
        recorder.server.admission.unable_reason = "the disk of the journal is full"
    else:
        assert Client(recorder, call_id="first").call().status == 200
    answer = Client(recorder).call()
    assert (answer.status, answer.headers.first("Retry-After")) == (503, "30")
    asked = Client(recorder, call_id="asked").send("OPTIONS")
    assert asked is not None
    assert asked.status == 503


def test_options_tell_a_peer_that_calls_are_taken_and_a_stranger_nothing(recorder: Recorder) -> None:
    """The keep-alive of exchanges."""
    asked = Client(recorder).send("OPTIONS")
    assert asked is not None
    assert asked.status == 200
    assert "application/rs-metadata+xml" in (asked.headers.first("Accept") or "")
    strange = Client(recorder, STRANGER).send("OPTIONS")
    assert strange is not None
    assert strange.status == 403


def test_no_free_port_is_no_accepted_call(recorder: Recorder, client: Client) -> None:
    """The session is dropped, and a later call finds nothing of it."""
    recorder.ports_left = 1
    assert client.call().status == 503
    assert not recorder.server.sessions
    assert not recorder.states


@pytest.mark.parametrize(
    ("sdp", "status"),
    [
        (b"this is no session description", 400),
        (b"v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nt=0 0\r\n", 488),
        (offer("sendonly").replace(b"m=audio", b"m=video"), 488),
        (offer("sendonly").replace(b"RTP/AVP", b"RTP/SAVP"), 488),
    ],
)
def test_an_offer_without_usable_audio_is_refused(client: Client, sdp: bytes, status: int) -> None:
    """400 for what can't be read, 488 with a Warning for what can't be recorded."""
    answer = client.invite(*call_body(sdp=sdp))
    assert answer.status == status
    assert status == 400 or answer.headers.first("Warning")


def test_a_body_that_must_be_understood_and_is_not_is_refused(client: Client) -> None:
    """The answer says what is understood; an optional part is passed over."""
    content_type, body = call_body()
    boundary = content_type.partition("boundary=")[2]
    part = f"--{boundary}\r\nContent-Type: application/gtd\r\nContent-Disposition: signal;handling=%s\r\n\r\nX\r\n"
    required = part.replace("%s", "required").encode() + body
    answer = client.invite(content_type, required)
    assert answer.status == 415
    assert "multipart/mixed" in (answer.headers.first("Accept") or "")
    assert client.invite(content_type, part.replace("%s", "optional").encode() + body).status == 200


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("multipart/mixed;boundary=x", b"nothing is delimited here", 400),
        (
            "multipart/mixed;boundary=x",
            b"--x\r\nContent-Type: text/plain\r\n\r\na\r\n" * 9 + b"--x--",
            400,
        ),
        ("application/octet-stream", b"\x00\x01\x02", 415),
        ("", TWO_STREAMS, 200),
    ],
)
def test_a_body_nobody_can_divide_is_no_delayed_offer(
    client: Client, content_type: str, body: bytes, status: int
) -> None:
    """It is refused; a description without its type is recognised."""
    assert client.invite(content_type, body).status == status


# Metadata never causes a refusal.


@pytest.mark.parametrize(
    "xml",
    [
        b"<recording><participant",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><recording>&b;</recording>',
        b'<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]><recording>&x;</recording>',
        b"<a>" * 10_000,
        b"<recording>" + b"<participant/>" * 10_000 + b"</recording>",
        b"\x00\xff\xfe garbage",
    ],
    ids=["cut off", "laughs", "external", "deep", "large", "binary"],
)
def test_metadata_that_cannot_be_read_is_kept_and_the_audio_recorded(
    recorder: Recorder, client: Client, xml: bytes
) -> None:
    """Flagged, with the octets as they came; the number in From still names the user."""
    client.from_ = f"<sip:{ANNA}@bw.example>"
    assert client.invite(*with_document(TWO_STREAMS, xml)).status == 200
    recorder.advance(2.5)
    state = recorder.state
    assert "metadata-error" in state.flags
    assert base64.b64decode(state.metadata[0].body_base64) == xml
    assert state.metadata[0].error
    client.bye()
    assert recorder.one(do.FinishRecording).state.flags == state.flags


# Metadata that comes later.


def test_without_metadata_a_call_is_answered_and_waits_for_it(recorder: Recorder, client: Client) -> None:
    """Until it is judged nothing reaches the journal; its audio waits in the kernel."""
    assert client.invite(SDP, TWO_STREAMS).status == 200
    assert names(recorder) == ["OpenMedia", "Respond"]
    recorder.advance(1.0)
    answer = client.send("UPDATE", METADATA, document(), ("Content-Disposition", "recording-session"))
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"")
    state = recorder.state
    assert state.owner == "user-anna"
    assert state.started_ns == recorder.now.wall_ns - 1_000_000_000
    assert [(stream.label, stream.channel) for stream in state.streams] == [("1", "a"), ("2", "b")]


def test_metadata_that_never_comes_is_not_waited_for(recorder: Recorder, client: Client) -> None:
    """After two seconds the headers decide."""
    client.from_ = f"<sip:{ANNA}@bw.example>"
    client.invite(SDP, TWO_STREAMS)
    recorder.advance(1.75)
    assert not recorder.states
    recorder.advance(0.5)
    assert recorder.state.owner == "user-anna"
    assert recorder.state.parties[0].number == ANNA


def test_a_call_shorter_than_the_wait_is_recorded_too(recorder: Recorder, client: Client) -> None:
    """The BYE is the last moment to judge it."""
    client.from_ = f"<sip:{ANNA}@bw.example>"
    client.invite(SDP, TWO_STREAMS)
    recorder.advance(0.5)
    client.bye()
    assert names(recorder)[-5:] == [
        "CaptureStream",
        "CaptureStream",
        "WriteState",
        "FinishRecording",
        "CloseMedia",
    ]


def test_who_turns_out_not_to_be_recorded_is_drained_into_nothing(recorder: Recorder, client: Client) -> None:
    """The sockets stay until the end; the outcome waits for it."""
    client.invite(SDP, TWO_STREAMS)
    recorder.advance(2.5)
    assert [captured.uids for captured in recorder.of(do.CaptureStream)] == [(), ()]
    client.bye()
    assert recorder.of(do.ReportOutcome)[-1].final
    assert recorder.of(do.ReportOutcome)[-1].outcome.kind is OutcomeKind.NOBODY_RECORDED
    assert not recorder.states


def test_who_is_named_late_is_recorded_from_the_next_offer_on(recorder: Recorder, client: Client) -> None:
    """A session answered inactive has no sockets; the same offer again gets them."""
    client.call(NINA, BOB)
    client.send("UPDATE", METADATA, document(ANNA, BOB))
    assert not recorder.states
    answer = client.invite(SDP, offer("sendonly", "sendonly", version=1))
    assert directions(answer.body) == ["recvonly", "recvonly"]
    assert recorder.state.owner == "user-anna"
    assert recorder.one(do.RetractOutcome).session_id == recorder.state.session_id
    client.bye()
    assert [report.final for report in recorder.of(do.ReportOutcome)] == [False]


def test_who_is_named_too_late_to_be_offered_again_is_a_failure(recorder: Recorder, client: Client) -> None:
    """It must not look like a recording, nor like nobody."""
    client.call(NINA, BOB)
    client.send("UPDATE", METADATA, document(ANNA, BOB))
    client.bye()
    outcome = recorder.of(do.ReportOutcome)[-1].outcome
    assert (outcome.kind, outcome.reason) == (
        OutcomeKind.FAILED,
        "named too late: no stream was offered again",
    )


# Delayed offers.


def test_an_invite_without_an_offer_gets_ours(recorder: Recorder, client: Client) -> None:
    """CUCM's phones answer in the ACK; the parties stand in From."""
    client.from_ = f'"x" <sip:{ANNA}@cucm;x-nearend;x-nearendaddr={ANNA};x-farendaddr={BOB};x-refci=7>'
    answer = client.send("INVITE")
    assert answer is not None
    assert (answer.status, directions(answer.body)) == (200, ["recvonly"])
    client.ack(offer("sendonly", formats="0 8"))
    recorder.advance(2.5)
    state = recorder.state
    assert (state.owner, state.layout) == ("user-anna", "mixed")
    assert set(state.streams[0].payload_types) >= {"0", "8"}
    assert {party.number for party in state.parties} == {ANNA, BOB}


@pytest.mark.parametrize("body", [b"", b"no description", offer("sendonly").replace(b"m=audio", b"m=video")])
def test_an_ack_without_a_usable_answer_ends_the_session(
    recorder: Recorder, client: Client, body: bytes
) -> None:
    """By a BYE of ours; what came until then is kept."""
    client.from_ = f"<sip:{ANNA}@bw.example>"
    client.send("INVITE")
    client.ack(body)
    recorder.one(do.HangUp)
    assert recorder.one(do.FinishRecording).state.end_reason == "no usable answer in the ACK"


def test_an_answer_on_hold_begins_on_hold(recorder: Recorder, client: Client) -> None:
    """The silence that follows is one the exchange wanted."""
    client.from_ = f"<sip:{ANNA}@bw.example>"
    client.send("INVITE")
    client.ack(offer("inactive"))
    recorder.advance(2.5)
    assert [edge.kind for edge in recorder.state.edges] == ["start", "hold"]


def test_a_recorder_without_a_directory_takes_nobody() -> None:
    """No peers are no trust; another recorder may know the client."""
    answer = Client(Recorder(directory=Directory())).call()
    assert (answer.status, answer.headers.first("Retry-After")) == (503, "30")
