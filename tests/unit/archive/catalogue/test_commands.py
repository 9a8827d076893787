"""Commands to calls: carried out once or never, and never after their caller gave up."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archive.catalogue import commands, live_calls
from archive.catalogue.commands import (
    ANSWER_WAIT_S,
    ANSWERS_CHANNEL,
    COMMANDS_CHANNEL,
    GIVE_UP_S,
    Answer,
    CommandStatus,
    Outcome,
)
from archive.catalogue.engine import Catalogue
from archive.catalogue.live_calls import LiveCall
from archive.errors import NotFound, Refused
from archive.model import (
    CallGroupId,
    Direction,
    Layout,
    RecordingId,
    RecordingMode,
    RecordingState,
    SessionId,
    Tenant,
    UserId,
    new_id,
)

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
NODE, OTHER_NODE = "recorder-1", "recorder-2"
WAITING, TAKEN, OBEYED, REFUSED, EXPIRED = CommandStatus


@pytest.fixture
def call(recorder: Catalogue, bakery: Tenant) -> LiveCall:
    """Return a call under way on NODE."""
    made = LiveCall(
        recording_id=RecordingId(new_id(NOW)),
        tenant_id=bakery.id,
        session_id=SessionId(new_id(NOW)),
        call_id="a84b4c76e66710",
        call_group=CallGroupId(new_id(NOW)),
        node=NODE,
        owner=UserId("anna"),
        mode=RecordingMode.ALWAYS_PAUSE,
        state=RecordingState.RECORDING,
        capture="recording",
        direction=Direction.IN,
        layout=Layout.TWO_PARTY,
        started_at=NOW,
    )
    live_calls.publish(recorder, NODE, [made])
    return made


def issue(portal: Catalogue, call: LiveCall, verb: str = "pause", *, now: datetime = NOW) -> str:
    return commands.issue(portal, call, verb, "user:anna", now=now)


def status(portal: Catalogue, call: LiveCall, command_id: str) -> CommandStatus:
    return commands.outcome(portal, call.tenant_id, command_id).status


def grow_old(database: Any, command_id: str, seconds: float) -> None:
    """Make a command older than it is."""
    database.connect().execute(
        "UPDATE commands SET issued_at = now() - make_interval(secs => %s) WHERE id = %s",
        (seconds, command_id),
    )


def test_a_command_goes_to_its_recorder_and_its_answer_comes_back(
    recorder: Catalogue, portal: Catalogue, call: LiveCall
) -> None:
    """Both sides are woken, and the answer says from when on it counts."""
    effective_at = NOW + timedelta(milliseconds=20)
    with recorder.listen(COMMANDS_CHANNEL) as commanded, portal.listen(ANSWERS_CHANNEL) as answered:
        command_id = issue(portal, call)
        assert commanded.wait(5.0)
        (claimed,) = commands.claim(recorder, NODE)
        assert (claimed.id, claimed.tenant_id, claimed.recording_id) == (
            command_id,
            call.tenant_id,
            call.recording_id,
        )
        assert (claimed.verb, claimed.actor) == ("pause", "user:anna")
        assert 0 <= claimed.age_s < GIVE_UP_S
        assert status(portal, call, command_id) is TAKEN
        commands.answer(recorder, command_id, call.tenant_id, obeyed=True, effective_at=effective_at)
        assert answered.wait(5.0)
    obeyed = commands.outcome(portal, call.tenant_id, command_id)
    assert obeyed == Outcome(OBEYED, "", effective_at)
    assert obeyed.final


def test_a_refusal_comes_back_with_its_reason_and_no_moment(
    recorder: Catalogue, portal: Catalogue, call: LiveCall
) -> None:
    """The tenant need not be known: the call may be over."""
    command_id = issue(portal, call)
    commands.claim(recorder, NODE)
    commands.answer(recorder, command_id, None, obeyed=False, reason="It is over.\0", effective_at=NOW)
    assert commands.outcome(portal, call.tenant_id, command_id) == Outcome(REFUSED, "It is over.\ufffd", None)


def test_the_first_answer_stands(recorder: Catalogue, portal: Catalogue, call: LiveCall) -> None:
    """An answer that is repeated because the first one's commit was lost changes nothing."""
    command_id = issue(portal, call)
    commands.claim(recorder, NODE)
    for obeyed in (True, False):
        commands.answer(recorder, command_id, call.tenant_id, obeyed=obeyed, effective_at=NOW)
    assert status(portal, call, command_id) is OBEYED


def test_many_answers_are_given_at_once_and_each_wakes_its_caller(
    recorder: Catalogue, portal: Catalogue, call: LiveCall, florist: Tenant
) -> None:
    """Some obeyed, some refused, one to a command of another tenant, one to a command there never was."""
    obeyed, refused, untouched = (issue(portal, call) for _ in range(3))
    commands.claim(recorder, NODE)
    answers = [
        Answer(obeyed, call.tenant_id, obeyed=True, effective_at=NOW),
        Answer(refused, None, obeyed=False, reason="It is paused.", effective_at=NOW),
        Answer(untouched, florist.id, obeyed=True, effective_at=NOW),
        Answer(new_id(NOW), None, obeyed=True, effective_at=NOW),
    ]
    with portal.listen(ANSWERS_CHANNEL) as answered:
        commands.answer_all(recorder, answers)
        assert answered.wait(5.0)
    assert commands.outcomes(portal, call.tenant_id, [each.command_id for each in answers]) == {
        obeyed: Outcome(OBEYED, "", NOW),
        refused: Outcome(REFUSED, "It is paused.", None),
        untouched: Outcome(TAKEN, "", None),
    }
    assert commands.outcomes(portal, florist.id, [obeyed, refused]) == {}


def test_without_answers_nobody_is_woken(recorder: Catalogue, portal: Catalogue) -> None:
    with portal.listen(ANSWERS_CHANNEL) as answered:
        commands.answer_all(recorder, [])
        assert not answered.wait(0.05)


def test_only_the_node_of_the_call_claims_a_command_and_only_once(
    recorder: Catalogue, portal: Catalogue, call: LiveCall
) -> None:
    """A restart of the recorder in between does not repeat it."""
    command_id = issue(portal, call)
    assert commands.claim(recorder, OTHER_NODE) == []
    assert [claimed.id for claimed in commands.claim(recorder, NODE)] == [command_id]
    assert commands.claim(recorder, NODE) == []


def test_commands_are_claimed_in_the_order_in_which_they_were_issued(
    recorder: Catalogue, portal: Catalogue, call: LiveCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pause, resume, pause is not the same in another order; the clock of the portal does not matter."""
    monkeypatch.setattr(commands, "CLAIM_ROWS_MAX", 4)
    issued = [issue(portal, call, now=NOW - timedelta(days=number)) for number in range(6)]
    claimed = [[each.id for each in commands.claim(recorder, NODE)] for _ in range(3)]
    assert claimed == [issued[:4], issued[4:], []]


def test_a_command_that_waited_too_long_is_expired_and_not_carried_out(
    recorder: Catalogue, portal: Catalogue, call: LiveCall, database: Any
) -> None:
    """Its caller gives up a little later and hears the same."""
    old, fresh = issue(portal, call), issue(portal, call, "resume")
    grow_old(database, old, GIVE_UP_S)
    with portal.listen(ANSWERS_CHANNEL) as answered:
        assert [claimed.id for claimed in commands.claim(recorder, NODE)] == [fresh]
        assert answered.wait(5.0)
    assert commands.expire(portal, call.tenant_id, old) == Outcome(EXPIRED, "", None)
    commands.answer(recorder, old, call.tenant_id, obeyed=True, effective_at=NOW)
    assert status(portal, call, old) is EXPIRED


def test_a_command_just_within_its_time_is_carried_out_with_its_age_told(
    recorder: Catalogue, portal: Catalogue, call: LiveCall, database: Any
) -> None:
    """The recorder needs the age: it may be too old by the time the event loop gets to it."""
    command_id = issue(portal, call)
    grow_old(database, command_id, 60.0)
    (claimed,) = commands.claim(recorder, NODE, give_up_s=3600.0)
    assert 60.0 <= claimed.age_s < 600.0


def test_a_caller_gives_up_only_after_the_recorder_would_have_begun() -> None:
    """What was not begun by then never is."""
    assert ANSWER_WAIT_S > GIVE_UP_S


def test_what_its_caller_gave_up_is_never_claimed(
    recorder: Catalogue, portal: Catalogue, call: LiveCall
) -> None:
    """Whoever moves it away from waiting has won."""
    command_id = issue(portal, call)
    assert commands.expire(portal, call.tenant_id, command_id) == Outcome(EXPIRED, "", None)
    assert commands.claim(recorder, NODE) == []
    assert commands.expire(portal, call.tenant_id, command_id).final


def test_giving_up_on_a_command_that_was_taken_or_answered_says_so(
    recorder: Catalogue, portal: Catalogue, call: LiveCall
) -> None:
    """A recorder that died after taking it leaves it unconfirmed, not undone."""
    taken, obeyed = issue(portal, call), issue(portal, call)
    commands.claim(recorder, NODE)
    commands.answer(recorder, obeyed, call.tenant_id, obeyed=True, effective_at=NOW)
    assert commands.expire(portal, call.tenant_id, taken) == Outcome(TAKEN, "", None)
    assert not commands.expire(portal, call.tenant_id, taken).final
    assert commands.expire(portal, call.tenant_id, obeyed) == Outcome(OBEYED, "", NOW)


def test_of_recorders_and_callers_that_race_for_a_command_exactly_one_wins(
    recorder: Catalogue, portal: Catalogue, call: LiveCall
) -> None:
    """Two claim, one gives up, all at once: each command is carried out once or expired, never both."""
    issued = [issue(portal, call) for _ in range(30)]
    ready = threading.Barrier(3)
    claimed: list[str] = []
    given_up: list[str] = []

    def take() -> None:
        ready.wait()
        while found := commands.claim(recorder, NODE):
            claimed.extend(each.id for each in found)

    def expire() -> None:
        ready.wait()
        given_up.extend(
            command_id
            for command_id in reversed(issued)
            if commands.expire(portal, call.tenant_id, command_id).status is EXPIRED
        )

    threads = [threading.Thread(target=work) for work in (take, take, expire)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    # What another one was just looking at was skipped, and waits for the next poll.
    claimed += [each.id for each in commands.claim(recorder, NODE)]
    assert sorted(claimed + given_up) == sorted(issued)


def test_a_call_that_is_over_takes_no_command(recorder: Catalogue, portal: Catalogue, call: LiveCall) -> None:
    live_calls.publish(recorder, NODE, gone=[call.recording_id])
    with pytest.raises(NotFound, match="The call is over"):
        issue(portal, call)


def test_a_call_knows_five_commands(portal: Catalogue, call: LiveCall) -> None:
    for verb in ("start", "stop", "pause", "resume", "keep"):
        issue(portal, call, verb)
    with pytest.raises(Refused, match="keep, pause, resume, start, stop"):
        issue(portal, call, "delete")


def test_another_tenant_sees_and_ends_no_command(
    recorder: Catalogue, portal: Catalogue, call: LiveCall, florist: Tenant
) -> None:
    """Nor can an answer with the wrong tenant be given."""
    command_id = issue(portal, call)
    for ask in (commands.outcome, commands.expire):
        with pytest.raises(NotFound):
            ask(portal, florist.id, command_id)
    commands.claim(recorder, NODE)
    commands.answer(recorder, command_id, florist.id, obeyed=True, effective_at=NOW)
    assert status(portal, call, command_id) is TAKEN


def test_commands_of_the_day_before_are_swept(
    portal: Catalogue, worker: Catalogue, call: LiveCall, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when there are more than one statement deletes."""
    monkeypatch.setattr(commands, "SWEEP_ROWS_MAX", 2)
    issued = [issue(portal, call, now=NOW + timedelta(seconds=number)) for number in range(6)]
    for command_id in issued[:5]:
        grow_old(database, command_id, 86_400 + 60)
    (before,) = database.connect().execute("SELECT now() - interval '1 day'").fetchone()
    assert commands.sweep(worker, before) == 5
    assert status(portal, call, issued[5]) is WAITING
    assert commands.sweep(worker, before) == 0
