"""Commands to recordings under way: what each mode allows, who may give them, and what they leave."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from archive.catalogue.snapshot import Directory, DoNotRecord, NumberRange
from archive.model import OutcomeKind, RecordingMode, TenantPolicy
from recorder.client.call import Dialect
from recorder.srs import effects as do
from recorder.srs import lifecycle
from recorder.srs.recording_mode import COMMANDS, Event, Refusal, machine
from recorder.srs.session import Command
from tests.unit.recorder.srs.conftest import (
    ANNA,
    BOB,
    CARL,
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
    user,
    with_document,
)

PHONE_EVENTS = "8 101"


def recorder_of(
    mode: RecordingMode, *, grace_h: int = 0, star_codes: bool = False, keep_next: bool = False
) -> Recorder:
    """Return a recorder whose only user is Anna, in this mode."""
    until = datetime.fromtimestamp(WALL_NS / 1e9, UTC) + timedelta(hours=1) if keep_next else None
    anna = dataclasses.replace(
        user("anna", ANNA, mode=mode, broadworks_id="anna@bw.example"), keep_next_until=until
    )
    tenant = dataclasses.replace(TENANT, policy=TenantPolicy(keep_grace_h=grace_h))
    peer = dataclasses.replace(PEER, star_codes=star_codes)
    return Recorder(directory=Directory(tenants=(tenant,), peers=(peer,), users=(anna,)))


def uid_of(recorder: Recorder) -> bytes:
    """Return the only recording there ever was."""
    return recorder.of(do.OpenRecording)[0].uid


def command(recorder: Recorder, verb: Event, by: str = "user:anna") -> do.ConfirmCommand:
    """Give a command and return its answer."""
    effects = recorder.server.command(uid_of(recorder), Command(verb, by, f"ticket {verb}"), recorder.now)
    assert effects is not None
    recorder.carry_out(effects)
    return recorder.of(do.ConfirmCommand)[-1]


def edges(recorder: Recorder) -> list[tuple[str, str | None]]:
    """Return the edges of the only recording."""
    return [(edge.kind, edge.by) for edge in recorder.state.edges]


@pytest.mark.parametrize("verb", sorted(COMMANDS))
@pytest.mark.parametrize("mode", list(RecordingMode)[:4])
def test_a_command_does_what_the_table_of_its_mode_says(mode: RecordingMode, verb: Event) -> None:
    """It is confirmed, or refused with the reason of the table; either way the trace tells."""
    recorder = recorder_of(mode)
    Client(recorder).call()
    table = machine(mode)
    expected = table.step(table.initial.state, verb)
    answer = command(recorder, verb)
    assert answer.ticket == f"ticket {verb}"
    if isinstance(expected, Refusal):
        assert (answer.obeyed, answer.reason) == (False, expected.reason)
        assert recorder.session.captures[uid_of(recorder)] is table.initial.state
    else:
        assert (answer.obeyed, answer.reason) == (True, "")
        assert recorder.session.captures[uid_of(recorder)] is expected.state
    (state,) = recorder.session.recordings.values()
    assert f"{verb} by user:anna" in state.trace[-1]


def test_a_command_is_confirmed_only_when_capture_said_from_which_packet_on() -> None:
    """A pause that is not yet in force is not called one."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    Client(recorder).call()
    uid = uid_of(recorder)
    effects = recorder.server.command(uid, Command(Event.PAUSE, "user:anna", "t1"), recorder.now)
    assert effects == [do.SetCapturing(uid, capturing=False)]
    dated = recorder.server.edge_dated(uid, WALL_NS + 7)
    assert do.ConfirmCommand("t1", TENANT.id, obeyed=True, reason="", at_ns=WALL_NS + 7) in dated
    (state,) = recorder.session.recordings.values()
    assert (state.edges[-1].kind, state.edges[-1].at_ns) == ("pause", WALL_NS + 7)


def test_a_pause_that_capture_did_not_date_before_the_end_stands_in_the_recording() -> None:
    """The audio is not there, and the recording says why."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    client = Client(recorder)
    client.call()
    uid = uid_of(recorder)
    recorder.server.command(uid, Command(Event.PAUSE, "user:anna", "t1"), recorder.now)
    client.bye()
    assert recorder.one(do.FinishRecording).state.edges[-1].kind == "pause"
    assert recorder.one(do.ConfirmCommand).obeyed
    assert recorder.server.edge_dated(uid, WALL_NS) == []


def test_a_call_that_is_over_takes_no_command(recorder: Recorder, client: Client) -> None:
    """The shell says so."""
    client.call()
    uid = uid_of(recorder)
    client.bye()
    assert recorder.server.command(uid, Command(Event.PAUSE, "user:anna", "t"), recorder.now) is None


def test_a_kept_call_is_kept_from_its_beginning_and_may_then_be_paused() -> None:
    """As the reference product has it."""
    recorder = recorder_of(RecordingMode.ON_DEMAND)
    client = Client(recorder)
    client.call()
    assert not command(recorder, Event.PAUSE).obeyed
    assert command(recorder, Event.KEEP).obeyed
    assert recorder.state.kept
    assert command(recorder, Event.PAUSE).obeyed
    client.bye()
    assert recorder.one(do.FinishRecording).state.started_ns == WALL_NS
    assert [kind for kind, _ in edges(recorder)] == ["start", "keep", "pause"]


def test_what_the_exchange_stops_without_a_word_is_a_pause_where_the_mode_knows_pauses() -> None:
    """SDP alone, as BroadWorks pauses; elsewhere, or with metadata, it is a hold."""
    for mode, described, kinds in (
        (RecordingMode.ALWAYS_PAUSE, False, ["start", "pause", "resume"]),
        (RecordingMode.ALWAYS_PAUSE, True, ["start", "hold", "unhold"]),
        (RecordingMode.ALWAYS, False, ["start", "hold", "unhold"]),
    ):
        recorder = recorder_of(mode)
        client = Client(recorder)
        client.call()
        for version, direction in ((2, "inactive"), (3, "sendonly")):
            sdp = offer(direction, direction, version=version)
            client.invite(*(with_document(sdp, document()) if described else (SDP, sdp)))
        assert [kind for kind, _ in edges(recorder)] == kinds


def test_a_pause_of_the_user_outlives_one_of_the_exchange() -> None:
    """Both stop the recording; it goes on when neither does."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    client = Client(recorder)
    client.call()
    client.invite(SDP, offer("inactive", "inactive", version=2))
    assert command(recorder, Event.PAUSE).obeyed
    client.invite(SDP, offer("sendonly", "sendonly", version=3))
    assert [item.capturing for item in recorder.of(do.SetCapturing)] == [False]
    assert command(recorder, Event.RESUME).obeyed
    assert [item.capturing for item in recorder.of(do.SetCapturing)] == [False, True]
    assert edges(recorder)[1:] == [("pause", "exchange"), ("pause", "user:anna"), ("resume", "user:anna")]


def test_a_resume_while_the_exchange_sends_nothing_waits_for_the_exchange() -> None:
    """The pause ends when packets come again, and is the exchange's until then."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    client = Client(recorder)
    client.call()
    client.invite(SDP, offer("inactive", "inactive", version=2))
    command(recorder, Event.PAUSE)
    assert command(recorder, Event.RESUME).obeyed
    assert edges(recorder)[-1] == ("pause", "user:anna")
    client.invite(SDP, offer("sendonly", "sendonly", version=3))
    assert edges(recorder)[-1] == ("resume", "exchange")


@pytest.mark.parametrize(
    ("action", "status", "last"), [("pause-siprec", 200, "pause"), ("stop-siprec", 488, "start")]
)
def test_the_action_of_an_info_commands_every_recording_of_the_session(
    action: str, status: int, last: str
) -> None:
    """AudioCodes' way; what the mode forbids is not acceptable."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    client = Client(recorder)
    client.call()
    answer = client.send("INFO", "", b"", ("X-AC-Action", f"{action};recording-ip-group=1"))
    assert answer is not None
    assert answer.status == status
    assert edges(recorder)[-1][0] == last


def test_the_recording_type_of_broadworks_pauses_and_resumes() -> None:
    """The first `on` says nothing; unknown words are kept and do nothing."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    client = Client(recorder)
    client.call(dialect=Dialect.BROADWORKS)
    xml = document(dialect=Dialect.BROADWORKS)
    for word in (b"pause", b"pause", b"whatever", b"on"):
        assert b"<recordingType>on</recordingType>" in xml
        client.send(
            "UPDATE",
            METADATA,
            xml.replace(b"<recordingType>on<", b"<recordingType>" + word + b"<"),
        )
    assert edges(recorder) == [("start", None), ("pause", "exchange"), ("resume", "exchange")]


def test_star_codes_count_in_the_users_own_stream_only() -> None:
    """Anna calls: stream 1 is hers. What Bob presses is nobody's command."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE, star_codes=True)
    Client(recorder).call()
    session_id = recorder.session.session_id
    for position in (1, 0):
        for digit in "*48":
            recorder.carry_out(recorder.server.digit_pressed(session_id, position, digit, recorder.now))
        assert [by for _, by in edges(recorder)] == [None, "star code"][: 2 - position]
    assert "48" not in repr(recorder.session.star_codes)


def test_star_codes_do_nothing_where_the_peer_has_none() -> None:
    """They are off unless the operator switches them on."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    Client(recorder).call()
    for digit in "*48":
        assert recorder.server.digit_pressed(recorder.session.session_id, 0, digit, recorder.now) == []
    assert not recorder.one(do.OpenRecording).state.edges[1:]


def test_a_pause_of_a_minute_is_reminded_of_once() -> None:
    """And the next one again."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    Client(recorder).call()
    for expected in (1, 2):
        command(recorder, Event.PAUSE)
        recorder.server.heard(recorder.session.session_id, recorder.now)
        recorder.advance(59)
        assert len(recorder.of(do.RemindPause)) == expected - 1
        recorder.server.heard(recorder.session.session_id, recorder.now)
        recorder.advance(5)
        assert len(recorder.of(do.RemindPause)) == expected
        command(recorder, Event.RESUME)


def test_nothing_is_captured_while_somebody_who_must_not_be_heard_is_on_the_call() -> None:
    """A lawyer joins and leaves: a pause by the list; from the beginning: no recording."""
    recorder = recorder_of(RecordingMode.ALWAYS)
    lawyer = DoNotRecord(TENANT.id, NumberRange.parse(CARL), "lawyer")
    recorder.server.directory = dataclasses.replace(recorder.server.directory, do_not_record=(lawyer,))
    client = Client(recorder)
    client.call()
    client.send("UPDATE", METADATA, document(ANNA, CARL))
    client.send("UPDATE", METADATA, document(ANNA, BOB))
    listed = "do-not-record list"
    assert edges(recorder) == [("start", None), ("pause", listed), ("resume", listed)]
    Client(recorder, call_id="call-2@src").call(callee=CARL)
    (told,) = recorder.of(do.ReportOutcome)
    assert (told.outcome.kind, "lawyer" in told.outcome.reason) == (OutcomeKind.NOBODY_RECORDED, True)


def test_media_that_comes_again_before_capture_dated_its_end_ends_the_pause() -> None:
    """Both edges are dated later; the pause of the exchange ends as one all the same."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    Client(recorder).call()
    uid, session = uid_of(recorder), recorder.session
    for off in (True, False):
        lifecycle.media_switched(session, recorder.now, off=off, as_pause=True)
    for at_ns in (WALL_NS + 1, WALL_NS + 2):
        recorder.carry_out(recorder.server.edge_dated(uid, at_ns))
    assert edges(recorder)[1:] == [("pause", "exchange"), ("resume", "exchange")]


def test_a_hold_ends_as_a_hold_whatever_the_exchange_commanded_meanwhile() -> None:
    """Else all that comes after the pause would be called a hold."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    client = Client(recorder)
    client.call()
    client.invite(*with_document(offer("inactive", "inactive", version=2), document()))
    client.send("INFO", "", b"", ("X-AC-Action", "pause-siprec"))
    client.invite(SDP, offer("sendonly", "sendonly", version=3))
    client.send("INFO", "", b"", ("X-AC-Action", "resume-siprec"))
    assert [kind for kind, _ in edges(recorder)] == ["start", "hold", "pause", "unhold", "resume"]


def test_a_start_while_the_exchange_pauses_is_a_hold_until_media_comes() -> None:
    """The start ends the pause, and there is nothing to record yet."""
    recorder = recorder_of(RecordingMode.ON_DEMAND_START)
    client = Client(recorder)
    client.call()
    command(recorder, Event.START)
    client.invite(SDP, offer("inactive", "inactive", version=2))
    for verb in (Event.STOP, Event.START):
        assert command(recorder, verb).obeyed
    client.invite(SDP, offer("sendonly", "sendonly", version=3))
    kinds = ["start", "pause", "stop", "start", "hold", "unhold"]
    assert [kind for kind, _ in edges(recorder)] == kinds


def test_a_resume_that_only_the_exchange_can_give_is_refused_with_that_reason() -> None:
    """The page shows a pause, so "it is not paused" would be no answer."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    client = Client(recorder)
    client.call()
    client.invite(SDP, offer("inactive", "inactive", version=2))
    assert "only the exchange" in command(recorder, Event.RESUME).reason


@pytest.mark.parametrize(("by_list", "reminded"), [(False, 1), (True, 0)])
def test_a_pause_by_the_exchange_is_reminded_of_but_not_one_by_the_list(by_list: bool, reminded: int) -> None:
    """Nobody can end the one by the list but by leaving."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    lawyer = DoNotRecord(TENANT.id, NumberRange.parse(CARL), "lawyer")
    recorder.server.directory = dataclasses.replace(recorder.server.directory, do_not_record=(lawyer,))
    client = Client(recorder)
    client.call()
    if by_list:
        client.send("UPDATE", METADATA, document(ANNA, CARL))
    else:
        client.invite(SDP, offer("inactive", "inactive", version=2))
    for _ in range(5):
        recorder.server.heard(recorder.session.session_id, recorder.now)
        recorder.advance(30)
    assert len(recorder.of(do.RemindPause)) == reminded


@pytest.mark.parametrize("callee", [BOB, None])
def test_star_codes_in_a_stream_of_both_parties_are_refused_with_the_reason(callee: str | None) -> None:
    """Also where only one of them is named: the other one is heard in it as well."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE, star_codes=True)
    client = Client(recorder)
    client.from_ = f"<sip:{ANNA}@exchange.example>"
    if callee is None:
        client.invite(SDP, offer("sendonly"))
        recorder.advance(3)
    else:
        client.invite(*call_body(ANNA, callee, sdp=offer("sendonly")))
    for digit in "*48":
        recorder.carry_out(recorder.server.digit_pressed(recorder.session.session_id, 0, digit, recorder.now))
    (state,) = recorder.session.recordings.values()
    assert [edge.kind for edge in state.edges] == ["start"]
    assert "pause by star code: refused" in state.trace[-1]


def test_a_recording_type_that_did_not_change_commands_nothing() -> None:
    """The user resumed what the exchange had paused; that it says so once more pauses nothing."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE)
    client = Client(recorder)
    client.call(dialect=Dialect.BROADWORKS)
    xml = document(dialect=Dialect.BROADWORKS).replace(b"<recordingType>on<", b"<recordingType>pause<")
    client.send("UPDATE", METADATA, xml)
    assert command(recorder, Event.RESUME).obeyed
    client.send("UPDATE", METADATA, xml)
    assert edges(recorder)[-1] == ("resume", "user:anna")


def test_the_first_recording_type_keeps_nothing() -> None:
    """`on` is what every session begins with."""
    recorder = recorder_of(RecordingMode.ON_DEMAND)
    client = Client(recorder)
    client.call(dialect=Dialect.BROADWORKS)
    client.send("UPDATE", METADATA, document(dialect=Dialect.BROADWORKS))
    assert not recorder.state.kept


def test_a_star_code_counts_in_a_stream_that_another_party_has_left() -> None:
    """A transfer put Anna in the place of Bob: the stream is hers alone now."""
    recorder = recorder_of(RecordingMode.ALWAYS_PAUSE, star_codes=True)
    client = Client(recorder)
    client.call(CARL, BOB)
    client.invite(*with_document(offer("sendonly", "sendonly", version=2), document(CARL, ANNA)))
    client.send("UPDATE", METADATA, document(CARL, BOB))
    client.send("UPDATE", METADATA, document(CARL, ANNA))
    for digit in "*48":
        recorder.carry_out(recorder.server.digit_pressed(recorder.session.session_id, 1, digit, recorder.now))
    assert edges(recorder)[-1] == ("pause", "star code")
