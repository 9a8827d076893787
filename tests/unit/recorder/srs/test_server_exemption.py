"""An exempt call is answered before every refusal, and nothing of it is kept but a count."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from archive.catalogue.snapshot import Directory
from recorder.client.call import Dialect
from recorder.srs import effects as do
from recorder.srs.effects import Limits
from recorder.srs.exempt_dialogs import PROBE_S, STRANGER_DIALOGS_MAX
from recorder.srs.session import Phase
from tests.unit.recorder.srs.conftest import (
    ANNA,
    BOB,
    CARL,
    METADATA,
    NINA,
    OLGA,
    SDP,
    STRANGER,
    TWO_STREAMS,
    WALL_NS,
    Client,
    Recorder,
    call_body,
    directions,
    document,
    offer,
    with_document,
)

BROKEN = b"<recording><participant><nameID aor='sip:113@h'/></partic"
SECOND_NS = 1_000_000_000


def kinds(recorder: Recorder) -> list[type[do.Effect]]:
    """Return what was done, by kind."""
    return [type(effect) for effect in recorder.effects]


def drained(recorder: Recorder) -> None:
    recorder.server.admission.draining = True


def unable(recorder: Recorder) -> None:
    recorder.server.admission.unable_reason = "the disk of the journal is full"


def nobody_known(recorder: Recorder) -> None:
    recorder.server.directory = Directory()


def no_port(recorder: Recorder) -> None:
    recorder.ports_left = 0


def nothing(_: Recorder) -> None:
    """Leave the recorder as it is."""


@pytest.mark.parametrize("hinder", [nothing, drained, unable, nobody_known, no_port])
@pytest.mark.parametrize(
    ("headers", "sdp"),
    [
        ((), TWO_STREAMS),
        ((("Require", "siprec, foo"),), TWO_STREAMS),
        ((("Session-Expires", "30"), ("Supported", "timer")), TWO_STREAMS),
        ((("Content-Encoding", "gzip"),), TWO_STREAMS),
        ((), b"no description at all"),
        ((), offer("sendonly").replace(b"m=audio", b"m=video")),
        ((), offer("sendonly").replace(b"RTP/AVP", b"RTP/SAVP")),
        ((), b""),
    ],
    ids=["plain", "option tag", "interval", "encoding", "broken", "video", "secure", "empty"],
)
def test_it_comes_before_every_refusal(
    recorder: Recorder,
    client: Client,
    hinder: Callable[[Recorder], None],
    headers: tuple[tuple[str, str], ...],
    sdp: bytes,
) -> None:
    """A 4xx could make a fail-closed client drop the emergency call itself."""
    hinder(recorder)
    answer = client.invite(*call_body(ANNA, "112", sdp=sdp), *headers)
    assert answer.status == 200
    assert set(directions(answer.body)) == {"inactive"}
    assert kinds(recorder) == [do.Respond, do.CountExempt]
    assert not recorder.server.sessions


def test_a_stranger_is_answered_too(recorder: Recorder) -> None:
    """A client that was not entered yet must not lose an emergency call."""
    assert Client(recorder, STRANGER).call(ANNA, "113").status == 200
    assert kinds(recorder) == [do.Respond, do.CountExempt]


def test_a_full_recorder_answers(client: Client) -> None:
    """It needs no socket for it."""
    recorder = Recorder(Limits(sessions_max=0))
    assert Client(recorder).call(ANNA, "112").status == 200
    assert Client(recorder, call_id="other").call(ANNA, BOB).status == 503


def test_a_defective_request_is_answered(recorder: Recorder, client: Client) -> None:
    """By its Request-URI alone, with a header line that is none."""
    answer = client.send("INVITE", "", b"", ("X-Odd", "1\r\nno field name here"), uri="sip:112@srs")
    assert answer is not None
    assert answer.status == 200
    assert directions(answer.body) == ["inactive"]


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("pair", [(ANNA, "112"), ("113", ANNA), ("0800-0113", ANNA), (ANNA, "+31113")])
def test_caller_and_callee_of_every_dialect_count(
    recorder: Recorder, client: Client, dialect: Dialect, pair: tuple[str, str]
) -> None:
    """A call back from an emergency number is exempt as well."""
    assert directions(client.call(*pair, dialect=dialect).body)[0] == "inactive"
    assert kinds(recorder) == [do.Respond, do.CountExempt]


def test_its_dialog_lives_until_the_client_hangs_up(recorder: Recorder, client: Client) -> None:
    """In-dialog requests are answered, and say no more than the first answer."""
    client.call(ANNA, "112")
    assert directions(client.invite(SDP, offer("sendonly", "sendonly", version=2)).body) == ["inactive"] * 2
    refreshed = client.send("UPDATE")
    assert refreshed is not None
    assert (refreshed.status, refreshed.body) == (200, b"")
    described = client.send("UPDATE", METADATA, document(ANNA, BOB))
    assert described is not None
    assert (described.status, described.body) == (200, b"")
    ended = client.bye()
    assert ended is not None
    assert ended.status == 200
    assert set(kinds(recorder)) == {do.Respond, do.CountExempt}
    assert len(recorder.of(do.CountExempt)) == 1


def test_a_look_alike_is_recorded(recorder: Recorder, client: Client) -> None:
    """Only whole numbers count."""
    client.call(ANNA, "0113-123456")
    assert recorder.state.owner == "user-anna"


# Who joins later.


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_transfer_cuts_the_audio_back_two_seconds(recorder: Recorder, client: Client, method: str) -> None:
    """BroadWorks says nothing about when it happened; the answer is inactive, the sockets stay."""
    client.call(dialect=Dialect.BROADWORKS)
    recorder.advance(10)
    recorder.effects.clear()
    body = document(ANNA, "113", Dialect.BROADWORKS)
    if method == "UPDATE":
        answer = client.send("UPDATE", METADATA, body)
    else:
        answer = client.invite(*with_document(offer("sendonly", "sendonly", version=2), body))
        assert answer is not None
        assert directions(answer.body) == ["inactive", "inactive"]
        assert " 2 IN IP4 " in answer.body.decode().splitlines()[1]
    assert answer is not None
    assert answer.status == 200
    cut = recorder.one(do.CutRecording)
    assert cut.at_ns == recorder.now.wall_ns - 2 * SECOND_NS
    assert (cut.state.ended_ns, cut.state.end_reason) == (cut.at_ns, "media ended")
    assert [captured.uids for captured in recorder.of(do.CaptureStream)] == [(), ()]
    assert not recorder.of(do.CloseMedia)
    assert not recorder.of(do.HangUp)
    assert recorder.one(do.CountExempt)


def rfc_transfer(joined: str) -> bytes:
    """Return metadata in which the callee is now 113, who joined at a time."""
    text = document(ANNA, "113").decode()
    at = "2026-11-18T11:06:40.000Z"
    assert at in text
    return text.replace(at, joined).encode()


@pytest.mark.parametrize(
    ("joined", "back_s"),
    [
        ("2026-11-18T11:06:45.000Z", 5.0),
        ("2026-11-18T11:06:49.500Z", 2.0),
        ("2026-11-18T11:09:00.000Z", 2.0),
        ("2027-11-18T11:06:45Z", 2.0),
        ("1970-01-01T00:00:00Z", 2.0),
        ("no time at all", 2.0),
    ],
)
def test_the_time_of_joining_is_believed_as_far_as_that_is_safe(
    recorder: Recorder, client: Client, joined: str, back_s: float
) -> None:
    """A clock that is ahead, or was never set, leaves the look back of two seconds."""
    client.call()
    recorder.advance(10)
    client.send("UPDATE", METADATA, rfc_transfer(joined))
    assert recorder.one(do.CutRecording).at_ns == WALL_NS + int((10 - back_s) * SECOND_NS)


def test_who_was_there_before_the_session_began_leaves_nothing(recorder: Recorder, client: Client) -> None:
    """The whole of it was a call with an exempt party."""
    client.call()
    recorder.advance(10)
    client.send("UPDATE", METADATA, rfc_transfer("2026-11-18T11:06:39Z"))
    assert not recorder.of(do.CutRecording)
    recorder.one(do.DestroyRecording)


def test_what_names_the_exempt_party_is_nowhere_in_what_is_kept(recorder: Recorder, client: Client) -> None:
    """Neither as a party, nor as raw metadata, nor as a flag; broken XML is no exception."""
    client.call()
    recorder.advance(5)
    before = recorder.state
    client.send("UPDATE", METADATA, BROKEN)
    state = recorder.one(do.CutRecording).state
    assert state.metadata == before.metadata
    assert state.parties == before.parties
    assert state.flags == before.flags
    assert state.trace == before.trace
    assert b"113" not in state.to_json().replace(str(state.ended_ns).encode(), b"").replace(
        state.recording_id.encode(), b""
    ).replace(state.session_id.encode(), b"").replace(state.call_group.encode(), b"")


@pytest.mark.parametrize("late_s", [0.5, 1.5, 3.0, 8.0])
def test_a_call_that_turns_out_to_be_exempt_leaves_nothing(
    recorder: Recorder, client: Client, late_s: float
) -> None:
    """Its first metadata names the exempt party: there never was another one."""
    client.from_ = f"<sip:{ANNA}@bw.example>"
    client.invite(SDP, TWO_STREAMS)
    recorder.advance(late_s)
    client.send("UPDATE", METADATA, document(ANNA, "112"))
    assert not recorder.of(do.CutRecording)
    assert len(recorder.of(do.DestroyRecording)) == len(recorder.of(do.OpenRecording))
    assert len(recorder.of(do.OpenRecording)) == (1 if late_s > 2 else 0)
    assert recorder.session.phase is Phase.EXEMPT
    assert recorder.session.call_id == ""
    client.bye()
    assert not recorder.of(do.FinishRecording)
    assert not recorder.of(do.ReportOutcome)
    assert recorder.one(do.CountExempt)


def test_a_placeholder_that_turns_out_to_be_exempt_leaves_nothing(recorder: Recorder, client: Client) -> None:
    """Avaya's SBC names the real party a moment later."""
    client.call(ANNA, "sip:ASBCE@asbce.com")
    recorder.advance(5)
    client.send("UPDATE", METADATA, document(ANNA, "113"))
    recorder.one(do.DestroyRecording)
    assert not recorder.of(do.CutRecording)


def test_a_call_nobody_kept_yet_is_destroyed(recorder: Recorder, client: Client) -> None:
    """Nothing of it may be kept afterwards either."""
    client.call(OLGA, BOB)
    recorder.advance(10)
    client.send("UPDATE", METADATA, document(OLGA, "113", Dialect.BROADWORKS))
    recorder.one(do.DestroyRecording)
    assert not recorder.of(do.CutRecording)


def test_the_outcome_of_a_call_nobody_is_recorded_of_is_taken_back(
    recorder: Recorder, client: Client
) -> None:
    """It held the Call-ID."""
    client.call(NINA, BOB)
    session_id = recorder.one(do.ReportOutcome).outcome.session_id
    client.send("UPDATE", METADATA, document(NINA, "112"))
    assert recorder.one(do.RetractOutcome).session_id == session_id
    client.bye()
    assert [report.final for report in recorder.of(do.ReportOutcome)] == [False]


@pytest.mark.parametrize(
    ("method", "headers", "body"),
    [
        ("INFO", (("P-Asserted-Identity", "<sip:113@h>"),), b""),
        ("BYE", (), document(ANNA, "113")),
        ("BYE", (("Refer-To", "<tel:112>"),), b""),
        ("UPDATE", (("Diversion", "<sip:0800-0113@h>"),), b""),
    ],
)
def test_every_request_of_a_dialog_is_looked_at(
    recorder: Recorder, client: Client, method: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    """Also the one that ends it: what was kept before the joining ends as media that ended."""
    client.call()
    recorder.advance(10)
    answer = client.send(method, METADATA if body else "", body, *headers)
    assert answer is not None
    assert answer.status == 200
    # The times of the RFC's document say that 113 was there from the beginning.
    if body:
        recorder.one(do.DestroyRecording)
    else:
        assert recorder.one(do.CutRecording).state.end_reason == "media ended"
    assert not recorder.of(do.FinishRecording)


def test_the_ack_is_looked_at(recorder: Recorder, client: Client) -> None:
    """It may carry metadata beside the answer."""
    client.from_ = f"<sip:{ANNA}@bw.example>"
    client.send("INVITE")
    content_type, body = with_document(offer("sendonly"), document(ANNA, "112"))
    client.ack(body, content_type)
    assert recorder.session.phase is Phase.EXEMPT
    assert not recorder.of(do.OpenRecording)


def test_nothing_brings_the_recording_back(recorder: Recorder, client: Client) -> None:
    """Whoever is named afterwards, and whatever is offered."""
    client.call()
    recorder.advance(10)
    client.send("UPDATE", METADATA, document(ANNA, "113", Dialect.BROADWORKS))
    recorder.effects.clear()
    client.send("UPDATE", METADATA, document(ANNA, CARL))
    again = client.invite(*call_body(ANNA, CARL, version=5))
    assert directions(again.body) == ["inactive", "inactive"]
    client.send("UPDATE", METADATA, document(ANNA, "112"))
    client.bye()
    assert set(kinds(recorder)) == {do.Respond, do.CloseMedia}


def test_too_many_exempt_dialogs_forget_the_oldest(recorder: Recorder) -> None:
    """Their number is limited; each is answered all the same."""
    for number in range(STRANGER_DIALOGS_MAX + 2):
        assert Client(recorder, STRANGER, call_id=f"call-{number}").call(ANNA, "112").status == 200
    assert len(recorder.of(do.CountExempt)) == STRANGER_DIALOGS_MAX + 2
    assert [effect.dialog_id.call_id for effect in recorder.of(do.ForgetDialog)] == ["call-0", "call-1"]


def test_a_dead_exempt_dialog_is_found_out(recorder: Recorder, client: Client) -> None:
    """Nobody sends a BYE for it; it must not hold a dialog for ever."""
    client.call(ANNA, "112")
    recorder.advance(PROBE_S + 40, step_s=1.0)
    recorder.one(do.Probe)
    assert recorder.of(do.ForgetDialog)
    again = client.bye()
    assert again is not None
    assert again.status == 481
