"""A call placed over real sockets against a recording server that is not ours."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import replace

import pytest

from recorder.client.call import (
    PACKET_OCTETS,
    SILENCE,
    CallPlan,
    Delivery,
    Dialect,
    Ending,
    InDialogRequest,
    PauseBy,
    PlannedEvent,
    StreamPlan,
    Transport,
)
from recorder.client.description import METADATA_TYPE
from recorder.client.session import SessionRecordingClient
from recorder.client.sound import mix
from recorder.sdp.description import SessionDescription
from recorder.sip.multipart import split

PACKETS = 25
CALLER = bytes(index % 256 for index in range(PACKETS * PACKET_OCTETS))
CALLEE = bytes(index * 7 % 256 for index in range(PACKETS * PACKET_OCTETS - 30))


def plan(recorder: object, **changes: object) -> CallPlan:
    call = CallPlan(
        "127.0.0.1", recorder.port, "+31201234567", "+31612345678", StreamPlan(CALLER), StreamPlan(CALLEE)
    )
    return replace(call, **changes)


def fields(packet: bytes) -> tuple[int, int, int, int]:
    """Return payload type with marker, sequence, timestamp and SSRC."""
    _, kind, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", packet)
    return kind, sequence, timestamp, ssrc


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
async def test_a_call_is_offered_heard_and_hung_up(start_recorder: object, transport: Transport) -> None:
    recorder = await start_recorder(transport)
    answers = []
    placed = await SessionRecordingClient().place(
        plan(recorder, transport=transport), on_answer=answers.append
    )
    recorder.drain()
    assert (placed.status, placed.ending, placed.answers) == (200, Ending.HUNG_UP, (("BYE", 200),))
    assert recorder.methods() == ["INVITE", "ACK", "BYE"]
    assert [len(packets) for packets in recorder.packets] == [PACKETS, PACKETS]
    assert b"".join(packet[12:] for packet in recorder.packets[0]) == CALLER == placed.streams[0].timeline()
    assert placed.streams[1].timeline() == CALLEE + SILENCE * 30
    assert placed.seconds >= PACKETS * 0.02
    assert [answer.status for answer in answers] == [200]


async def test_rtp_counts_by_one_and_160_under_one_ssrc_and_wraps(start_recorder: object) -> None:
    recorder = await start_recorder()
    stream = StreamPlan(CALLER, ssrc=0xABCD, first_sequence=65530, first_timestamp=2**32 - 160)
    await SessionRecordingClient().place(plan(recorder, caller_stream=stream))
    recorder.drain()
    read = [fields(packet) for packet in recorder.packets[0]]
    assert [kind for kind, *_ in read] == [0x88] + [8] * (PACKETS - 1)
    assert [sequence for _, sequence, _, _ in read] == [(65530 + index) % 65536 for index in range(PACKETS)]
    assert [stamp for _, _, stamp, _ in read] == [(index - 1) * 160 % 2**32 for index in range(PACKETS)]
    assert {ssrc for *_, ssrc in read} == {0xABCD}


async def test_loss_reorder_and_duplicates_follow_the_script(start_recorder: object) -> None:
    recorder = await start_recorder()
    script = Delivery(lost=frozenset({3, 4}), doubled=frozenset({6}), delayed={8: 2})
    stream = StreamPlan(CALLER, script, first_sequence=0, late_by=1)
    placed = await SessionRecordingClient().place(plan(recorder, caller_stream=stream))
    recorder.drain()
    received = [fields(packet)[1] for packet in recorder.packets[0]]
    assert received == [1, 2, 5, 6, 6, 7, 9, 10, 8, *range(11, PACKETS)]
    assert [packet.sequence for packet in placed.streams[0].packets] == received
    expected = CALLER[160:480] + SILENCE * 320 + CALLER[800:]
    assert placed.streams[0].timeline() == expected


async def test_a_pause_stops_the_packets_and_their_time_goes_on(start_recorder: object) -> None:
    recorder = await start_recorder()
    placed = await SessionRecordingClient().place(plan(recorder, pause_at_s=0.1, resume_at_s=0.3))
    assert placed.answers == (("INVITE", 200), ("INVITE", 200), ("BYE", 200))
    invites = [
        SessionDescription.parse(request.body) for request in recorder.requests if request.method == "INVITE"
    ][1:]
    assert [[media.own_direction for media in offer.media] for offer in invites] == [
        ["inactive"] * 2,
        ["sendonly"] * 2,
    ]
    assert [offer.origin.version for offer in invites] == ["2", "3"]
    for stream in placed.streams:
        indexes = [packet.index for packet in stream.packets]
        assert indexes[:5] == [0, 1, 2, 3, 4]
        assert indexes[5] >= 15
        assert indexes[-1] == PACKETS - 1
        first = stream.packets[0]
        assert all(
            (packet.timestamp - first.timestamp) % 2**32 == packet.index * 160 for packet in stream.packets
        )


async def test_keys_go_in_place_of_audio_and_share_its_numbers(start_recorder: object) -> None:
    recorder = await start_recorder()
    stream = StreamPlan(CALLER, first_sequence=0, first_timestamp=0, events=(PlannedEvent(0.1, "*4"),))
    placed = await SessionRecordingClient().place(plan(recorder, caller_stream=stream))
    recorder.drain()
    read = [fields(packet) for packet in recorder.packets[0]]
    assert [sequence for _, sequence, _, _ in read] == list(range(PACKETS))
    pressed = [*range(5, 12), *range(15, 22)]
    assert [number for number, (kind, *_) in enumerate(read) if kind & 0x7F == 101] == pressed
    assert [number for number, (kind, *_) in enumerate(read) if kind & 0x80] == [0, 5, 15]
    assert {read[number][2] for number in pressed} == {5 * 160, 15 * 160}
    assert [packet[12:] for packet in recorder.packets[0]] == [p.payload for p in placed.streams[0].packets]
    assert {len(recorder.packets[0][number]) for number in pressed} == {16}
    expected = CALLER[: 5 * 160] + SILENCE * 7 * 160 + CALLER[12 * 160 : 15 * 160] + SILENCE * 7 * 160
    assert placed.streams[0].timeline() == expected + CALLER[22 * 160 :]
    assert placed.streams[1].timeline() == CALLEE + SILENCE * 30


async def test_in_a_mixed_stream_both_parties_press_keys(start_recorder: object) -> None:
    recorder = await start_recorder()
    streams = [StreamPlan(CALLER, events=(PlannedEvent(at_s, "1"),)) for at_s in (0.0, 0.2)]
    call = plan(
        recorder, dialect=Dialect.BROADWORKS_MIXED, caller_stream=streams[0], callee_stream=streams[1]
    )
    placed = await SessionRecordingClient().place(call)
    (sent,) = placed.streams
    assert [p.index for p in sent.packets if p.payload_type == 101] == [*range(7), *range(10, 17)]


@pytest.mark.parametrize("pause_by", list(PauseBy))
async def test_a_client_may_go_on_sending_while_it_says_that_it_pauses(
    start_recorder: object, pause_by: PauseBy
) -> None:
    recorder = await start_recorder()
    call = plan(recorder, pause_at_s=0.1, resume_at_s=0.3, pause_by=pause_by, sends_while_paused=True)
    placed = await SessionRecordingClient().place(call)
    recorder.drain()
    assert placed.answers == (("INVITE", 200), ("INVITE", 200), ("BYE", 200))
    paused = SessionDescription.parse(
        next(request.body for request in recorder.requests if request.cseq.number == 2)
    )
    assert paused.connection.on_hold == (pause_by is PauseBy.ZERO_ADDRESS)
    assert [len(packets) for packets in recorder.packets] == [PACKETS, PACKETS]
    assert [packet.index for packet in placed.streams[0].packets] == list(range(PACKETS))


async def test_inactive_streams_get_no_packet(start_recorder: object) -> None:
    """So the recorder answers calls it must not record."""
    recorder = await start_recorder(direction="inactive")
    placed = await SessionRecordingClient().place(plan(recorder))
    recorder.drain()
    assert placed.ending is Ending.HUNG_UP
    assert recorder.packets == [[], []]
    assert [(stream.active, stream.packets) for stream in placed.streams] == [(False, ()), (False, ())]


@pytest.mark.parametrize("status", [403, 488, 503])
async def test_a_refusal_is_acknowledged_and_told(start_recorder: object, status: int) -> None:
    recorder = await start_recorder(status=status)
    placed = await SessionRecordingClient().place(plan(recorder))
    assert (placed.status, placed.ending, placed.seconds) == (status, Ending.REFUSED, 0.0)
    await _until(lambda: recorder.requests[-1].method == "ACK")
    # A machine that is late sends the INVITE again before it is answered.
    invite, ack = recorder.requests[0], recorder.requests[-1]
    assert {request.method for request in recorder.requests[:-1]} == {"INVITE"}
    assert ack.top_via.branch == invite.top_via.branch
    assert ack.cseq.number == invite.cseq.number


async def test_an_unanswered_invite_is_sent_again(start_recorder: object) -> None:
    recorder = await start_recorder(deaf_to=2)
    placed = await SessionRecordingClient(t1_s=0.05).place(plan(recorder))
    assert placed.status == 200
    invites = [request for request in recorder.requests if request.method == "INVITE"]
    assert len(invites) == 3
    assert len({request.top_via.branch for request in invites}) == 1


async def test_a_repeated_200_is_acknowledged_again(start_recorder: object) -> None:
    recorder = await start_recorder(says_again=2)
    await SessionRecordingClient().place(plan(recorder))
    acks = [request for request in recorder.requests if request.method == "ACK"]
    assert len(acks) == 3
    assert len({request.to_bytes() for request in acks}) == 1


async def test_nobody_there_is_408_over_udp_and_503_over_tcp(start_recorder: object) -> None:
    recorder = await start_recorder(deaf_to=1000)
    placed = await SessionRecordingClient(t1_s=0.005).place(plan(recorder))
    assert (placed.status, placed.ending) == (408, Ending.REFUSED)
    nobody = replace(plan(recorder), transport=Transport.TCP)
    placed = await SessionRecordingClient().place(nobody)
    assert (placed.status, placed.ending) == (503, Ending.REFUSED)


async def test_the_peer_may_ask_and_hang_up(start_recorder: object) -> None:
    recorder = await start_recorder(asks=("OPTIONS", "OPTIONS-STRANGER", "INFO", "BYE"))
    placed = await SessionRecordingClient().place(plan(recorder))
    assert placed.ending is Ending.HUNG_UP_BY_PEER
    assert [response.status for response in recorder.responses] == [200, 481, 501, 200]
    assert "BYE" not in recorder.methods()
    assert all(len(stream.packets) < PACKETS for stream in placed.streams)


async def test_other_requests_go_between_the_packets(start_recorder: object) -> None:
    recorder = await start_recorder()
    update = InDialogRequest(
        0.1, "UPDATE", "application/rs-metadata+xml", b"<recording/>", (("X-Test", "1"),)
    )
    placed = await SessionRecordingClient().place(plan(recorder, requests=(update,)))
    assert placed.answers == (("UPDATE", 200), ("BYE", 200))
    sent = next(request for request in recorder.requests if request.method == "UPDATE")
    assert (sent.body, sent.headers.first("X-Test")) == (b"<recording/>", "1")
    assert sent.to_address.tag == "srs"
    assert [request.cseq.number for request in recorder.requests] == [1, 1, 2, 3]
    assert [len(stream.packets) for stream in placed.streams] == [PACKETS, PACKETS]


async def test_an_info_with_a_header_needs_no_body(start_recorder: object) -> None:
    """So AudioCodes tells its recorder to pause."""
    recorder = await start_recorder()
    info = InDialogRequest(0.1, "INFO", headers=(("X-AC-Action", "stop-siprec"),))
    placed = await SessionRecordingClient().place(plan(recorder, requests=(info,)))
    assert placed.answers == (("INFO", 200), ("BYE", 200))
    sent = next(request for request in recorder.requests if request.method == "INFO")
    assert (sent.headers.first("X-AC-Action"), sent.body) == ("stop-siprec", b"")


@pytest.mark.parametrize("paused", [False, True])
async def test_metadata_may_come_beside_an_offer_that_says_what_is_so(
    start_recorder: object, paused: bool
) -> None:
    recorder = await start_recorder()
    requests = (
        InDialogRequest(0.2, "INVITE", METADATA_TYPE, b"<recording/>"),
        InDialogRequest(0.3, "INVITE"),
    )
    call = plan(recorder, requests=requests, pause_at_s=0.1 if paused else None)
    await SessionRecordingClient().place(call)
    joint, alone = [item for item in recorder.requests if item.method == "INVITE"][-2:]
    parts = {part.content_type: part.body for part in split(joint.headers.first("Content-Type"), joint.body)}
    assert parts[METADATA_TYPE] == b"<recording/>"
    for sdp in (parts["application/sdp"], alone.body):
        directions = {media.own_direction for media in SessionDescription.parse(sdp).media}
        assert directions == {"inactive" if paused else "sendonly"}
    versions = [
        SessionDescription.parse(sdp).origin.version for sdp in (parts["application/sdp"], alone.body)
    ]
    assert versions == (["3", "4"] if paused else ["2", "3"])


async def test_an_invite_may_begin_with_metadata_of_the_plan(start_recorder: object) -> None:
    recorder = await start_recorder()
    await SessionRecordingClient().place(plan(recorder, metadata=b"<recording>112</recording>"))
    assert b"<recording>112</recording>" in recorder.requests[0].body
    assert b"participant" not in recorder.requests[0].body


async def test_siprec_announces_itself_by_the_rfc(start_recorder: object) -> None:
    recorder = await start_recorder()
    await SessionRecordingClient().place(plan(recorder, call_id="my-call"))
    invite = recorder.requests[0]
    assert invite.defects == ()
    assert invite.headers.values("Require") == ("siprec",)
    assert invite.contact.parameter("+sip.src") == ""
    assert invite.call_id == "my-call"


async def test_broadworks_announces_nothing_and_names_the_recorded_user(start_recorder: object) -> None:
    recorder = await start_recorder()
    call = plan(recorder, dialect=Dialect.BROADWORKS, recorded="callee", callee_name='Zoë "Z"')
    await SessionRecordingClient().place(call)
    invite = recorder.requests[0]
    assert invite.defects == ()
    assert "Require" not in invite.headers
    assert invite.headers.first("Supported") == ""
    assert invite.contact.parameter("src") == ""
    assert invite.from_address.name == 'Zoë "Z"'
    assert invite.from_address.uri == "sip:+31612345678@exchange.example;user=phone"


async def test_broadworks_mixed_sends_one_stream_of_both(start_recorder: object) -> None:
    recorder = await start_recorder()
    placed = await SessionRecordingClient().place(plan(recorder, dialect=Dialect.BROADWORKS_MIXED))
    recorder.drain()
    assert [stream.label for stream in placed.streams] == ["1"]
    assert placed.streams[0].timeline() == mix(CALLER, CALLEE)
    assert len(recorder.packets[0]) == PACKETS


async def test_many_calls_at_once_keep_apart(start_recorder: object) -> None:
    recorders = [await start_recorder() for _ in range(5)]
    client = SessionRecordingClient()
    calls = [
        plan(recorder, caller_stream=StreamPlan(bytes([number]) * 1600), callee_stream=StreamPlan(b""))
        for number, recorder in enumerate(recorders)
    ]
    placed = await asyncio.gather(*(client.place(call) for call in calls))
    assert [call.streams[0].timeline() for call in placed] == [bytes([number]) * 1600 for number in range(5)]
    assert len({call.call_id for call in placed}) == 5


async def _until(condition: object) -> None:
    deadline = asyncio.get_running_loop().time() + 5
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
