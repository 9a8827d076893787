"""What re-INVITE, UPDATE and INFO change of a recording, and what they leave alone."""

from __future__ import annotations

import pytest

from recorder.client.call import Dialect
from recorder.srs import effects as do
from recorder.srs import lifecycle
from tests.unit.recorder.srs.conftest import (
    ANNA,
    BOB,
    CARL,
    METADATA,
    SDP,
    Client,
    Recorder,
    call_body,
    directions,
    document,
    media_lines,
    offer,
    with_document,
)

SECOND_NS = 1_000_000_000


def edges(recorder: Recorder) -> list[str]:
    """Return the edges of the recording by kind."""
    return [edge.kind for edge in recorder.state.edges]


def test_metadata_alone_is_answered_without_a_description(recorder: Recorder, client: Client) -> None:
    """And is kept, with our time, as a revision."""
    client.call()
    recorder.advance(3)
    body = document(ANNA, BOB)
    answer = client.send("UPDATE", METADATA, body)
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"")
    assert [revision.at_ns for revision in recorder.state.metadata][1] == recorder.now.wall_ns


def test_the_same_update_three_times_is_one_revision(recorder: Recorder, client: Client) -> None:
    """Webex sends them in a row."""
    client.call()
    body = document(ANNA, BOB)
    for _ in range(3):
        client.send("UPDATE", METADATA, body)
    assert len(recorder.state.metadata) == 2


def test_a_refresh_without_a_body_changes_nothing(recorder: Recorder, client: Client) -> None:
    """The session timer's UPDATE."""
    client.call()
    before = recorder.state
    answer = client.send("UPDATE", "", b"", ("Session-Expires", "1800;refresher=uac"), ("Supported", "timer"))
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"")
    assert "refresher=uac" in (answer.headers.first("Session-Expires") or "")
    assert recorder.state == before


def test_an_unchanged_offer_gets_the_same_answer(recorder: Recorder, client: Client) -> None:
    """Byte for byte, and media are left alone (RFC 3264 section 8)."""
    first = client.call()
    recorder.effects.clear()
    again = client.invite(SDP, offer("sendonly", "sendonly", version=1))
    assert again.body == first.body
    assert {type(effect) for effect in recorder.effects} == {do.WriteState, do.Respond}


def test_a_reinvite_without_an_offer_gets_ours(recorder: Recorder, client: Client) -> None:
    """What stands is offered (RFC 3261 section 14.2), and the ACK says what will be sent."""
    first = client.call()
    again = client.send("INVITE")
    assert again is not None
    assert media_lines(again.body) == media_lines(first.body)
    assert directions(again.body) == ["recvonly", "recvonly"]
    client.ack(offer("inactive", "inactive"))
    assert edges(recorder) == ["start", "hold"]


@pytest.mark.parametrize("body", [b"", document(ANNA, CARL)])
def test_an_ack_without_an_answer_leaves_a_running_call_alone(
    recorder: Recorder, client: Client, body: bytes
) -> None:
    """BroadWorks sends metadata alone in a re-INVITE, and means no offer by it."""
    client.call()
    answer = client.invite(METADATA if body else "", body)
    assert answer.status == 200
    assert not recorder.of(do.HangUp)
    assert not recorder.of(do.FinishRecording)
    assert edges(recorder) == ["start"]


def test_inactive_is_hold_and_sendonly_ends_it(recorder: Recorder, client: Client) -> None:
    """The answer is inactive in kind; the ports stay."""
    first = client.call()
    held = client.invite(SDP, offer("inactive", "inactive", version=2))
    assert directions(held.body) == ["inactive", "inactive"]
    assert media_lines(held.body) == media_lines(first.body)
    assert recorder.of(do.SetCapturing)[-1].capturing is False
    resumed = client.invite(SDP, offer("sendonly", "sendonly", version=3))
    assert directions(resumed.body) == ["recvonly", "recvonly"]
    assert recorder.of(do.SetCapturing)[-1].capturing is True
    assert edges(recorder) == ["start", "hold", "unhold"]
    assert recorder.state.edges[-1].by == "exchange"
    assert len(recorder.of(do.OpenMedia)) == 1


def test_an_address_of_zero_is_hold_as_well(recorder: Recorder, client: Client) -> None:
    """BroadWorks and Metaswitch stop media so (RFC 2543)."""
    client.call(dialect=Dialect.BROADWORKS)
    client.invite(SDP, offer("", "", version=2, connection="0.0.0.0"))
    client.invite(SDP, offer("", "", version=3))
    assert edges(recorder) == ["start", "hold", "unhold"]


def test_one_party_on_hold_is_no_hold(recorder: Recorder, client: Client) -> None:
    """The other one is still heard."""
    client.call()
    held = client.invite(SDP, offer("inactive", "sendonly", version=2))
    assert directions(held.body) == ["inactive", "recvonly"]
    assert edges(recorder) == ["start"]


def test_a_third_stream_is_added(recorder: Recorder, client: Client) -> None:
    """It gets sockets and a channel; those of before keep theirs."""
    client.call()
    answer = client.invite(SDP, offer("sendonly", "sendonly", "sendonly", version=2))
    assert len(media_lines(answer.body)) == 3
    state = recorder.state
    assert state.layout == "multi"
    assert [(stream.index, stream.channel) for stream in state.streams] == [(0, "a"), (1, "b"), (2, "3")]
    assert recorder.of(do.CaptureStream)[-1].position == 2


def test_a_stream_that_cannot_be_had_does_not_cost_the_others(recorder: Recorder, client: Client) -> None:
    """It is refused with port 0, and the recording says why."""
    client.call()
    recorder.ports_left = 0
    answer = client.invite(SDP, offer("sendonly", "sendonly", "sendonly", version=2))
    assert media_lines(answer.body)[2].split()[1] == "0"
    assert directions(answer.body)[:2] == ["recvonly", "recvonly"]
    assert "stream-refused-no-port" in recorder.state.flags


def test_a_closed_stream_stays_in_its_place(recorder: Recorder, client: Client) -> None:
    """Port 0 is answered with port 0, and its journal number is not given again."""
    client.call()
    answer = client.invite(SDP, offer("sendonly", "closed", version=2))
    assert media_lines(answer.body)[1].split()[1] == "0"
    assert [(stream.index, stream.active) for stream in recorder.state.streams] == [(0, True), (1, False)]
    client.invite(SDP, offer("sendonly", "sendonly", version=3))
    assert [(stream.index, stream.active) for stream in recorder.state.streams] == [(0, True), (1, True)]


def test_video_is_refused_and_the_audio_recorded(recorder: Recorder, client: Client) -> None:
    """Of a video call only the audio is recorded."""
    client.call()
    video = (
        offer("sendonly", "sendonly", version=2) + b"m=video 30010 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    )
    assert media_lines(client.invite(SDP, video).body)[2] == "m=video 0 RTP/AVP 96"


def test_a_codec_change_lets_the_source_be_learned_anew(recorder: Recorder, client: Client) -> None:
    """Packets of the old format still decode."""
    client.call()
    client.invite(SDP, offer("sendonly", "sendonly", version=2, formats="9"))
    assert [effect.position for effect in recorder.of(do.RelearnStream)] == [0, 1]
    assert set(recorder.state.streams[0].payload_types) == {"8", "9", "101"}
    assert recorder.of(do.CaptureStream)[-1].payload_types == (8, 9, 101)


def test_digits_are_known_by_what_everybody_sends_them_as(recorder: Recorder, client: Client) -> None:
    """A peer that never named telephone-event must not have its digits kept; a name of its own counts."""
    client.call()
    assert recorder.of(do.CaptureStream)[-1].event_types == (101,)
    own = offer("sendonly", "sendonly", formats="8 101").replace(
        b"a=label:1\r\n", b"a=label:1\r\na=rtpmap:101 opus/48000/2\r\n"
    )
    other = Client(recorder, call_id="call-2@src")
    other.invite(SDP, own)
    recorder.advance(3)
    assert [item.event_types for item in recorder.of(do.CaptureStream)[-2:]] == [(), (101,)]


def test_whoever_a_refer_names_is_looked_at_before_it_is_refused(recorder: Recorder, client: Client) -> None:
    """A transfer to 112 is known by it; any other REFER is answered 405."""
    client.call()
    recorder.advance(5)
    refused = client.send("REFER", "", b"", ("Refer-To", f"<sip:{CARL}@exchange.example>"))
    assert refused is not None
    assert (refused.status, recorder.of(do.CutRecording)) == (405, [])
    answered = client.send("REFER", "", b"", ("Refer-To", "<sip:112@exchange.example>"))
    assert answered is not None
    assert answered.status == 200
    assert len(recorder.of(do.CutRecording)) == 1


def test_an_offer_that_cannot_be_used_leaves_the_recording_as_it_is(
    recorder: Recorder, client: Client
) -> None:
    """It is refused; what runs goes on, and the next offer is answered."""
    client.call()
    before = recorder.state
    assert client.invite(SDP, b"broken").status == 400
    assert client.invite(SDP, offer("sendonly", version=2).replace(b"m=audio", b"m=video")).status == 488
    assert recorder.state == before
    assert client.invite(SDP, offer("sendonly", "sendonly", version=3)).status == 200


def test_an_objection_inside_a_dialog_is_made(recorder: Recorder, client: Client) -> None:
    """As outside of one."""
    client.call()
    answer = client.send("UPDATE", "", b"", ("Require", "foo"))
    assert answer is not None
    assert answer.status == 420


def test_a_broadworks_redirect_with_new_ids_is_the_same_recording(recorder: Recorder, client: Client) -> None:
    """The SIP dialog is the anchor; who left and who came stands with the parties."""
    client.call(dialect=Dialect.BROADWORKS)
    begun = recorder.state
    recorder.advance(10)
    client.invite(*call_body(ANNA, CARL, Dialect.BROADWORKS, version=2))
    state = recorder.state
    assert state.recording_id == begun.recording_id
    assert state.call_group == begun.call_group
    assert len(state.metadata) == 2
    at_ns = recorder.now.wall_ns
    assert [(party.number, party.channel, party.from_ns, party.to_ns) for party in state.parties] == [
        (ANNA, "a", state.started_ns, None),
        (BOB, "b", state.started_ns, at_ns),
        (CARL, "b", at_ns, None),
    ]
    client.bye()
    assert len(recorder.of(do.FinishRecording)) == 1


def test_who_comes_back_was_never_away(recorder: Recorder, client: Client) -> None:
    """A consultation: the first callee is shown from the beginning to the end."""
    client.call()
    client.send("UPDATE", METADATA, document(ANNA, CARL))
    recorder.advance(5)
    client.send("UPDATE", METADATA, document(ANNA, BOB))
    shown = {party.number: party.to_ns for party in recorder.state.parties}
    assert shown[BOB] is None
    assert shown[CARL] == recorder.now.wall_ns


def test_metadata_and_an_offer_in_one_reinvite_are_both_taken(recorder: Recorder, client: Client) -> None:
    """The usual form of most exchanges."""
    client.call()
    body = with_document(offer("inactive", "inactive", version=2), document(ANNA, CARL))
    assert directions(client.invite(*body).body) == ["inactive", "inactive"]
    assert [party.number for party in recorder.state.parties] == [ANNA, BOB, CARL]
    assert edges(recorder) == ["start", "hold"]


def test_info_of_an_unknown_package_is_refused(client: Client) -> None:
    """RFC 6086; one without a package that wants what the mode forbids is not acceptable."""
    client.call()
    packaged = client.send("INFO", "text/plain", b"x", ("Info-Package", "trigger"))
    assert packaged is not None
    assert (packaged.status, packaged.headers.first("Recv-Info")) == (469, "")
    legacy = client.send("INFO", "", b"", ("X-AC-Action", "pause-siprec"))
    assert legacy is not None
    assert legacy.status == 488


def test_edges_are_counted(recorder: Recorder, client: Client) -> None:
    """A peer that toggles all day does not fill the journal."""
    client.call()
    session = recorder.session
    (uid,) = session.recordings
    for number in range(1100):
        lifecycle.edge(session, uid, "pause" if number % 2 else "resume", None, number)
    assert len(session.recordings[uid].edges) == 1000
