"""Every session ends once, whatever ended it, and goes on after a restart of the recorder."""

from __future__ import annotations

import dataclasses

import pytest

from archive.model import OutcomeKind
from recorder.srs import effects as do
from recorder.srs.effects import Limits
from recorder.srs.lifecycle import is_capturing
from tests.unit.recorder.srs.conftest import (
    ANNA,
    BEN,
    BOB,
    METADATA,
    NINA,
    OLGA,
    SDP,
    TWO_STREAMS,
    Client,
    Recorder,
    directions,
    document,
    offer,
)


def test_a_bye_ends_the_recording(recorder: Recorder, client: Client) -> None:
    """Its end is dated, its track closed, then the sockets."""
    client.call()
    recorder.advance(7)
    recorder.effects.clear()
    answer = client.bye()
    assert answer is not None
    assert answer.status == 200
    finished = recorder.one(do.FinishRecording)
    assert (finished.state.end_reason, finished.state.ended_ns) == ("bye", recorder.now.wall_ns)
    assert [type(effect) for effect in recorder.effects] == [do.FinishRecording, do.CloseMedia]
    assert not recorder.server.sessions


def test_the_last_metadata_comes_with_the_bye(recorder: Recorder, client: Client) -> None:
    """It is kept like any other."""
    client.call()
    client.bye(METADATA, document(ANNA, BOB))
    assert len(recorder.one(do.FinishRecording).state.metadata) == 2


def test_a_second_bye_finds_nothing(recorder: Recorder, client: Client) -> None:
    """481; there is still one recording."""
    client.call()
    client.bye()
    again = client.bye()
    assert again is not None
    assert again.status == 481
    recorder.one(do.FinishRecording)


def test_an_ack_that_never_comes_ends_the_call(recorder: Recorder, client: Client) -> None:
    """After 32 s; what came is kept."""
    assert client.send("INVITE", SDP, TWO_STREAMS, ("P-Asserted-Identity", f"<sip:{ANNA}@h>")) is not None
    client.send("UPDATE", METADATA, document())
    recorder.advance(40)
    assert recorder.one(do.FinishRecording).state.end_reason == "no ack"


def test_a_session_timer_that_is_not_refreshed_ends_the_call(recorder: Recorder, client: Client) -> None:
    """RFC 4028 section 10; packets do not keep the dialog alive."""
    content_type, body = SDP, TWO_STREAMS
    client.from_ = f"<sip:{ANNA}@bw.example>"
    client.invite(content_type, body, ("Session-Expires", "90;refresher=uac"), ("Supported", "timer"))
    for _ in range(12):
        recorder.advance(10)
        for session in recorder.server.sessions:
            recorder.server.heard(session.session_id, recorder.now)
    assert recorder.one(do.FinishRecording).state.end_reason == "session timer"


def test_silence_is_asked_about_and_a_client_that_is_gone_ends_the_call(client: Client) -> None:
    """No packet for a minute, no answer to OPTIONS: nobody will ever send a BYE."""
    recorder = Recorder(Limits(silence_s=20))
    client = Client(recorder)
    client.call()
    recorder.advance(21)
    recorder.one(do.Probe)
    recorder.advance(40)
    assert recorder.one(do.FinishRecording).state.end_reason == "client lost"
    recorder.one(do.HangUp)
    assert not recorder.server.sessions


def test_packets_are_a_sign_of_life(client: Client) -> None:
    """A session that is heard is never asked."""
    recorder = Recorder(Limits(silence_s=20))
    Client(recorder).call()
    for _ in range(10):
        recorder.advance(10)
        recorder.server.heard(recorder.session.session_id, recorder.now)
    assert not recorder.of(do.Probe)


def test_a_held_call_whose_client_answers_goes_on(client: Client) -> None:
    """Silence alone ends nothing."""
    recorder = Recorder(Limits(silence_s=20))
    client = Client(recorder)
    client.call()
    client.invite(SDP, offer("inactive", "inactive", version=2))
    for _ in range(5):
        recorder.advance(21)
        answer_probe(recorder)
    assert not recorder.of(do.FinishRecording)
    assert len(recorder.of(do.Probe)) >= 4


def answer_probe(recorder: Recorder, status: int = 200) -> None:
    """Answer the last OPTIONS the recorder sent, as its client."""
    flow, request = recorder.sent[-1]
    if getattr(request, "method", "") != "OPTIONS":
        return
    lines = [f"SIP/2.0 {status} OK"]
    lines += [
        f"{name}: {value}"
        for name in ("Via", "From", "To", "Call-ID", "CSeq")
        for value in request.headers.all(name)
    ]
    recorder.receive("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode(), flow)


def test_a_client_that_does_not_know_the_dialog_any_more_ends_the_call(client: Client) -> None:
    """It says 481; its own restart took the dialog."""
    recorder = Recorder(Limits(silence_s=20))
    Client(recorder).call()
    recorder.advance(21)
    answer_probe(recorder, 481)
    assert recorder.one(do.FinishRecording).state.end_reason == "client lost"


def test_the_longest_session_is_ended(client: Client) -> None:
    """The finaliser holds a call in memory; the client may begin another."""
    recorder = Recorder(Limits(session_s_max=30))
    Client(recorder).call()
    recorder.advance(31)
    recorder.one(do.HangUp)
    assert recorder.one(do.FinishRecording).state.end_reason == "longest session reached"


@pytest.mark.parametrize("caller", [ANNA, NINA, OLGA, BOB])
@pytest.mark.parametrize("way", ["bye", "lost", "wait"])
def test_every_session_has_one_outcome(caller: str, way: str) -> None:
    """A finished recording brings its own; without one exactly one is told."""
    recorder = Recorder(Limits(silence_s=5))
    client = Client(recorder)
    client.from_ = f"<sip:{caller}@bw.example>"
    if way == "wait":
        client.invite(SDP, TWO_STREAMS)
        recorder.advance(3)
    else:
        client.call(caller, "+31201112233")
    if way == "lost":
        recorder.advance(60)
    else:
        client.bye()
    final = [report for report in recorder.of(do.ReportOutcome) if report.final]
    assert len(final) + len(recorder.of(do.FinishRecording)) == 1
    assert not recorder.server.sessions


def test_storage_that_fails_before_the_answer_refuses_the_call(recorder: Recorder, client: Client) -> None:
    """What was begun is destroyed, and the client finds another recorder."""
    recorder.storage_trouble = "the disk is full"
    answer = client.call()
    assert (answer.status, answer.headers.first("Retry-After")) == (503, "30")
    recorder.one(do.CloseMedia)
    assert not recorder.of(do.CaptureStream)
    assert not recorder.server.sessions
    assert not recorder.of(do.ReportOutcome)


def test_storage_that_fails_after_the_answer_hangs_up(recorder: Recorder, client: Client) -> None:
    """The session was taken, so it gets an outcome: failed, with the reason."""
    client.from_ = f"<sip:{ANNA}@bw.example>"
    client.invite(SDP, TWO_STREAMS)
    recorder.storage_trouble = "the disk is full"
    recorder.advance(2.5)
    recorder.one(do.HangUp)
    report = recorder.one(do.ReportOutcome)
    assert report.final
    assert (report.outcome.kind, report.outcome.reason) == (OutcomeKind.FAILED, "the disk is full")
    assert not recorder.server.sessions


# After a restart.


def restarted(recorder: Recorder) -> tuple[Recorder, Client]:
    """Return a new recorder that goes on with the calls of another one, and the client of the first."""
    states = {effect.uid: effect.state for effect in recorder.of(do.WriteState)}
    session = recorder.session
    snapshot = recorder.agent.snapshot(session.dialog_id)
    dialog = snapshot.to_state(session.answer.decode(), session.offer_version)
    states = {uid: dataclasses.replace(state, dialog=dialog) for uid, state in states.items()}
    after = Recorder(Limits(recovery_silence_s=15))
    after.monotonic_s = recorder.monotonic_s + 3
    dialog_id = after.agent.restore(snapshot, after.monotonic_s)
    after.carry_out(after.server.restore(states, dialog_id, after.now))
    return after, Client(after)


def test_a_call_goes_on_after_a_restart(recorder: Recorder, client: Client) -> None:
    """The same recording and streams; the restart is an edge, and the recording says so."""
    client.call(ANNA, BEN)
    recorder.advance(5)
    after, again = restarted(recorder)
    again.to_tag, again.cseq = client.to_tag, client.cseq
    assert [state.recording_id for state in after.states] == [state.recording_id for state in recorder.states]
    for state in after.states:
        assert state.edges[-1].kind == "restart"
        assert "recovered" in state.flags
        assert is_capturing(state)
        assert [stream.port for stream in state.streams] == [20000, 20002]
    assert {captured.uids for captured in after.of(do.CaptureStream)} == {
        tuple(effect.uid for effect in recorder.of(do.OpenRecording))
    }
    held = again.invite(SDP, offer("inactive", "inactive", version=2))
    assert directions(held.body) == ["inactive", "inactive"]
    again.bye()
    assert len(after.of(do.FinishRecording)) == 2


def test_the_same_offer_gets_the_same_answer_after_a_restart(recorder: Recorder, client: Client) -> None:
    """A refresh must not look like a change."""
    first = client.call()
    _, again = restarted(recorder)
    again.to_tag, again.cseq = client.to_tag, client.cseq
    assert again.invite(SDP, offer("sendonly", "sendonly", version=1)).body == first.body


def test_a_partial_update_after_a_restart_still_fits(recorder: Recorder, client: Client) -> None:
    """The kept metadata is read again."""
    client.call()
    after, again = restarted(recorder)
    again.to_tag, again.cseq = client.to_tag, client.cseq
    again.send("UPDATE", METADATA, document(ANNA, "113"))
    assert after.of(do.DestroyRecording)
    assert not after.of(do.FinishRecording)


def test_a_client_that_is_gone_after_a_restart_is_found_out_soon(recorder: Recorder, client: Client) -> None:
    """Its call is ended without a human."""
    client.call()
    after, _ = restarted(recorder)
    after.advance(40)
    assert after.one(do.FinishRecording).state.end_reason == "client lost"


def test_an_unkept_call_whose_client_is_gone_is_destroyed(recorder: Recorder, client: Client) -> None:
    """Nobody can keep it any more."""
    client.call(OLGA, BOB)
    after, _ = restarted(recorder)
    after.advance(40)
    after.one(do.DestroyRecording)
    assert after.of(do.ReportOutcome)[-1].outcome.kind is OutcomeKind.NOT_KEPT
