"""What was said while nobody might listen is stored nowhere: paused, stopped, not started, not kept, exempt.

Some thirty calls run at once, each of marked packets and pressed keys, and each gets into
a span of which nothing may be stored. While all of them are in it the journal is opened
with every live key, and again when all is over, together with every object. The marks
are looked for everywhere else too: files, logs, removed files, database, bucket.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import psutil
import pytest

from archive.catalogue.migrate import DATABASE
from archive.model import RecordingMode
from tests import at_rest
from tests.at_rest import Needle
from tests.conftest import ANNA, NINA, OLGA, OTTO, PIA
from tests.marked_call import Found, MarkedCall, Search, timeline_of
from tests.marked_peer import MarkedPeer, Marks, Sent, decoded
from tests.raw_peer import parties
from tests.running_service import RunningService, eventually
from tests.seizure import Seizure, opened_objects, removed_but_open

CALLEE = "+31612345678"
WAIT_S_MAX = 90.0
USERS = {
    RecordingMode.ALWAYS: ANNA,
    RecordingMode.ALWAYS_PAUSE: PIA,
    RecordingMode.ON_DEMAND: OLGA,
    RecordingMode.ON_DEMAND_START: OTTO,
    RecordingMode.NEVER: NINA,
}


Scenario = Callable[["Stage"], MarkedCall]


class Stage:
    """Where all calls run at once, and wait for each other in the span that counts."""

    def __init__(self, service: RunningService, calls: int) -> None:
        self.service = service
        self.marks = Marks()
        self.in_span = threading.Barrier(calls + 1)
        self.looked = threading.Barrier(calls + 1)
        self.calls: list[MarkedCall] = []
        self.failures: list[BaseException] = []

    @contextmanager
    def call(self, caller: str, callee: str = CALLEE, *, described: bool = True) -> Iterator[MarkedCall]:
        """Place a call; it is hung up at the end of the block."""
        with MarkedPeer(self.service.sip_port, marks=self.marks) as peer:
            peer.invite(caller, callee, described=described)
            call = MarkedCall(self.service, peer)
            self.calls.append(call)
            yield call
            assert peer.hang_up().status == 200

    def play(self, scenario: Scenario) -> MarkedCall:
        """Run one of the calls; when it fails nobody waits for it."""
        try:
            return scenario(self)
        except BaseException as error:
            self.failures.append(error)
            self.in_span.abort()
            self.looked.abort()
            raise

    @contextmanager
    def everybody_in_span(self) -> Iterator[None]:
        """Let the calls wait in their spans for as long as the block takes."""
        try:
            self.in_span.wait(WAIT_S_MAX)
            yield
            self.looked.wait(WAIT_S_MAX)
        except threading.BrokenBarrierError:
            raise self.failures[0] from None

    def span(self, call: MarkedCall) -> None:
        """Stay in a span until somebody has looked, and a little longer."""
        call.talk(0.6)
        self.in_span.wait(WAIT_S_MAX)
        self.looked.wait(WAIT_S_MAX)
        call.talk(0.3)


# Pauses, stops, and what comes before a start.


def switched_by_api(stage: Stage, *, mode: RecordingMode, before: str, off: str, on: str) -> MarkedCall:
    """Kept or started by `before`, switched off and on again by the API."""
    with stage.call(USERS[mode]) as call:
        call.begins = mode is not RecordingMode.ON_DEMAND_START
        call.talk(1.2)
        if before:
            call.command(before)
            call.talk(0.6)
        call.command(off)
        stage.span(call)
        call.command(on)
        call.talk(0.8)
    return call


def switched_by_keys(stage: Stage, *, mode: RecordingMode, off: str) -> MarkedCall:
    """Switched by star codes in the caller's own stream."""
    with stage.call(USERS[mode]) as call:
        call.begins = mode is not RecordingMode.ON_DEMAND_START
        call.talk(1.0)
        if mode is RecordingMode.ON_DEMAND_START:
            call.press("*44", True, "recording")
        call.talk(0.6)
        call.press(off, False, "paused" if off == "*48" else "stopped")
        stage.span(call)
        call.press("*49" if off == "*48" else "*44", True, "recording")
        call.talk(0.8)
    return call


def stopped_by_sip(stage: Stage, *, mode: RecordingMode, how: str) -> MarkedCall:
    """Media is stopped by the exchange, which goes on sending; kept before where that is needed."""
    with stage.call(USERS[mode]) as call:
        call.talk(1.2)
        if mode is RecordingMode.ON_DEMAND:
            call.command("keep")
        call.signal(False, partial(call.peer.hold, how))
        stage.span(call)
        call.signal(True, call.peer.unhold)
        call.talk(0.8)
    return call


def paused_by_an_action(stage: Stage) -> MarkedCall:
    """AudioCodes says it by an INFO."""

    def act(verb: str) -> None:
        header = ("X-AC-Action", f"{verb}-siprec")
        call.signal(verb == "resume", partial(call.peer.insist, "INFO", "", b"", header))

    with stage.call(PIA) as call:
        call.talk(1.2)
        act("pause")
        stage.span(call)
        act("resume")
        call.talk(0.8)
    return call


def paused_to_its_end(stage: Stage) -> MarkedCall:
    """Nobody resumes, and nobody but the hang-up ends the pause."""
    with stage.call(PIA) as call:
        call.talk(1.2)
        call.command("pause")
        stage.span(call)
    return call


def never_started(stage: Stage) -> MarkedCall:
    """On demand with start, and nobody starts."""
    with stage.call(OTTO) as call:
        call.begins = call.stored = call.captured = False
        stage.span(call)
    return call


def never_kept(stage: Stage) -> MarkedCall:
    """On demand, and nobody keeps; meanwhile it is captured."""
    with stage.call(OLGA) as call:
        call.stored = False
        call.talk(1.2)
        stage.span(call)
    return call


# Exempt parties.


def exempt_from_the_beginning(stage: Stage, *, mode: RecordingMode, number: str, told_s: float) -> MarkedCall:
    """Named at once, or in the first metadata that comes a little later."""
    with stage.call(USERS[mode], number, described=not told_s) as call:
        call.begins = call.stored = call.captured = False
        if told_s:
            call.talk(told_s)
            assert call.peer.describe(parties(USERS[mode], number)).status == 200
        stage.span(call)
    return call


def conference(caller: str, number: str, joined: str) -> bytes:
    """Return metadata of a call that a third party joined."""
    time_ = f"<associate-time>{joined}</associate-time>" if joined else ""
    third = (
        f'<participant participant_id="p9"><nameID aor="sip:{number}@raw.example"/></participant>'
        f'<participantsessionassoc participant_id="p9" session_id="x">{time_}</participantsessionassoc>'
    ).encode()
    return parties(caller, CALLEE).replace(b"</recording>", third + b"</recording>")


def exempt_joins(
    stage: Stage,
    mode: RecordingMode,
    before: str,
    how: str,
    told_s: float,
    dated: bool,
) -> MarkedCall:
    """A transfer or a conference to 112 or 113 that the exchange tells of later."""
    caller, number = USERS[mode], "113" if how == "transfer" else "112"

    def document(joined: str) -> bytes:
        if how == "transfer":
            return parties(caller, number, joined=joined)
        return conference(caller, number, joined)

    with stage.call(caller) as call:
        call.begins = call.captured = mode is not RecordingMode.ON_DEMAND_START
        call.talk(1.0)
        if before:
            call.command(before)
        call.talk(3.0)
        kept = call.switches or mode is not RecordingMode.ON_DEMAND_START
        call.stored = bool(kept) and (mode is not RecordingMode.ON_DEMAND or before == "keep")
        call.join(document, told_s, dated=dated)
        stage.span(call)
    return call


ALWAYS, PAUSE = RecordingMode.ALWAYS, RecordingMode.ALWAYS_PAUSE
DEMAND, START, NEVER = RecordingMode.ON_DEMAND, RecordingMode.ON_DEMAND_START, RecordingMode.NEVER
paused_by_api = partial(switched_by_api, off="pause", on="resume")
SCENARIOS: dict[str, Scenario] = {
    "always-pause, paused by the API": partial(paused_by_api, mode=PAUSE, before=""),
    "on-demand, kept, paused by the API": partial(paused_by_api, mode=DEMAND, before="keep"),
    "on-demand-start, started, paused by the API": partial(paused_by_api, mode=START, before="start"),
    "on-demand-start, stopped by the API": partial(
        switched_by_api, mode=START, before="start", off="stop", on="start"
    ),
    "always-pause, paused by keys": partial(switched_by_keys, mode=PAUSE, off="*48"),
    "on-demand-start, paused by keys": partial(switched_by_keys, mode=START, off="*48"),
    "on-demand-start, stopped by keys": partial(switched_by_keys, mode=START, off="*45"),
    "always, held by SIP": partial(stopped_by_sip, mode=ALWAYS, how="inactive"),
    "always-pause, paused by SIP": partial(stopped_by_sip, mode=PAUSE, how="inactive"),
    "always-pause, paused by an address of zero": partial(stopped_by_sip, mode=PAUSE, how="address"),
    "on-demand, kept, paused by SIP": partial(stopped_by_sip, mode=DEMAND, how="inactive"),
    "always-pause, paused by an action": paused_by_an_action,
    "always-pause, paused to its end": paused_to_its_end,
    "on-demand-start, never started": never_started,
    "on-demand, never kept": never_kept,
    **{
        f"{mode}, exempt, told after {told_s} s": partial(
            exempt_from_the_beginning, mode=mode, number=number, told_s=told_s
        )
        for mode in USERS
        for number, told_s in (("112", 0.0), ("113", 0.8))
    },
    **{
        f"{mode} {before}, {how} told after {told_s} s, {'dated' if dated else 'undated'}": partial(
            exempt_joins, mode=mode, before=before, how=how, told_s=told_s, dated=dated
        )
        for mode, before, how, told_s, dated in (
            (ALWAYS, "", "transfer", 0.0, False),
            (ALWAYS, "", "conference", 1.5, True),
            (PAUSE, "", "transfer", 1.5, False),
            (PAUSE, "pause", "conference", 0.7, True),
            (DEMAND, "", "transfer", 0.7, True),
            (DEMAND, "keep", "transfer", 0.7, False),
            (START, "", "conference", 0.0, True),
            (START, "start", "transfer", 1.5, True),
        )
    },
}


class Outcome:
    """All calls, and what was found of them while they ran and when all was over."""

    def __init__(self, service: RunningService, to: Path) -> None:
        stage = Stage(service, len(SCENARIOS))
        self.marks = stage.marks
        self._service = service
        before = {recording["id"] for recording in service.recordings()}
        with stage.call(ANNA) as self.neighbour, ThreadPoolExecutor(len(SCENARIOS)) as threads:
            running = {name: threads.submit(stage.play, scenario) for name, scenario in SCENARIOS.items()}
            with stage.everybody_in_span():
                # A cut takes the journal a moment after the answer to whoever told of it.
                attempts = (Seizure(service, to / f"during-{number}") for number in count())
                during = eventually(lambda: self._opened_when_cut(stage, next(attempts)), "cuts are made")
            self.calls = {name: item.result() for name, item in running.items()}
            for call in self.calls.values():
                self._await_end(call)
            after = Seizure(service, to / "after")
        assert during is not None
        self.during, self.seized = during, list(after.opened())
        service.recording_of(self.neighbour.peer.call_id)
        self.search = Search(stage.marks, [self.neighbour.peer, *self._peers()])
        self.after = self.search.look(self.seized)
        self.objects = self.search.look(opened_objects(service, before))

    def _opened_when_cut(self, stage: Stage, seizure: Seizure) -> Found | None:
        """Return what a copy of the journal says; None as long as it has anything of what is to be cut."""
        found = Search(stage.marks, [call.peer for call in stage.calls]).look(seizure.opened())
        waiting = [call for call in stage.calls if call.cut is not None and found.of(call.forbidden())]
        return None if waiting else found

    def _peers(self) -> list[MarkedPeer]:
        return [call.peer for call in self.calls.values()]

    def _await_end(self, call: MarkedCall) -> None:
        if call.stored:
            recording = self._service.recording_of(call.peer.call_id)
            assert call.settle(timeline_of(self._service, recording["id"])) == []
        elif call.captured and call.cut is None:
            assert self._service.outcome_of(call.peer.call_id)["outcome"] == "not kept"


def _stays(call: MarkedCall) -> bool:
    """Tell whether a call is in the journal until it is hung up; one that was cut is archived at once."""
    return call.begins and call.stored and call.cut is None


@pytest.fixture(scope="module")
def outcome(service: RunningService) -> Iterator[Outcome]:
    with tempfile.TemporaryDirectory() as directory:
        yield Outcome(service, Path(directory))


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_may_not_be_stored_is_in_nothing_that_opens(outcome: Outcome, name: str) -> None:
    """Not in the journal while it was said, nor afterwards, and in no object."""
    call = outcome.calls[name]
    forbidden = call.forbidden()
    assert len(forbidden) > 30, "so much was said that may not be stored"
    if call.captured and not call.stored and call.cut is None:
        assert outcome.during.of(forbidden), "what nobody kept yet is captured, sealed under its key"
    else:
        assert outcome.during.of(forbidden) == {}
    assert outcome.after.of(forbidden) == {}
    assert outcome.objects.of(forbidden) == {}


@pytest.mark.parametrize("name", SCENARIOS)
def test_all_else_is_there_sample_for_sample(outcome: Outcome, name: str) -> None:
    """Each packet that came outside of those spans, in its place; to the packet before an edge, and after it."""
    call = outcome.calls[name]
    wanted = call.wanted()
    if not call.stored:
        assert wanted == []
        return
    assert len(wanted) > 40, "so much was said that is to be stored"
    assert outcome.objects.missing(wanted) == []
    for place in outcome.objects.of(wanted):
        first, last = min(outcome.objects.offsets[place]), max(outcome.objects.offsets[place])
        assert first == last, f"packets of {place} do not stand where their timestamps say"


def test_keys_pressed_are_in_nothing_that_opens(outcome: Outcome) -> None:
    """No event of RFC 4733 has a payload anywhere, and no text tells the digits: not even those outside."""
    events = [sent for call in outcome.calls.values() for sent in call.peer.sent if sent.is_event]
    assert len(events) > 500
    assert [*outcome.during.digits, *outcome.after.digits, *outcome.objects.digits] == []


def test_nothing_is_readable_in_files_logs_database_and_bucket(
    service: RunningService, outcome: Outcome
) -> None:
    """Neither what may not be stored nor what may, and no digit; removed files that are open are looked at too."""
    raw = [*at_rest.everything(service), *removed_but_open(service.processes())]
    assert at_rest.hits(raw, [Needle(*form) for form in outcome.marks.forms]) == []
    texts = [
        (place, octets)
        for place, octets in raw
        if place == "the database" or place.endswith((".out", ".log"))
    ]
    assert len(texts) > 1
    found = [
        f"{digits!r} in {place}"
        for place, octets in texts
        for digits in outcome.search.keys_pressed
        if digits in octets
    ]
    assert found == []


def test_a_copy_taken_during_a_call_nobody_kept_does_not_open_afterwards(
    service: RunningService, tmp_path: Path
) -> None:
    """The journal of a copied data directory is not opened by the keys that exist after the call.

    Who copies everything while the call runs has its key too: the slots and the node key
    of that moment, with the keyring and its passphrase, open what was captured until then,
    and nothing that is done here later can change that. That is why a backup must leave
    out the journal directory; without slots and node key a copy opens nothing.
    """
    marks = Marks()
    with (
        MarkedPeer(service.sip_port, marks=marks) as neighbour,
        MarkedPeer(service.sip_port, marks=marks) as unkept,
    ):
        neighbour.invite(ANNA, CALLEE)
        unkept.invite(OLGA, CALLEE)
        MarkedCall(service, unkept).talk(1.5)
        # Files may go while they are copied; sockets are copied too.
        subprocess.run(["cp", "-a", service.directory, tmp_path / "copy"], check=False, capture_output=True)
        unkept.hang_up()
        assert service.outcome_of(unkept.call_id)["outcome"] == "not kept"
        now = Seizure(service, tmp_path / "now")
        copy = Seizure(service, tmp_path / "opened", journal=tmp_path / "copy" / "journal")
        search = Search(marks, [neighbour, unkept])
        opened = search.look(copy.opened([now.node_key, *now.call_keys.values()]))
        assert opened.of(neighbour.sent), "what is still live opens, so that the test says something"
        assert opened.of(unkept.sent) == {}
        assert search.look(copy.opened()).of(unkept.sent), "the keys of that moment open it"
        assert search.look(copy.opened([now.node_key])).of([*neighbour.sent, *unkept.sent]) == {}
        neighbour.hang_up()


# The searches themselves: one that finds nothing proves nothing.


def test_the_journal_and_the_small_files_do_open(outcome: Outcome) -> None:
    """What is being recorded is found in the journal, what was recorded in an object, names in the directory."""
    kept = {name: call for name, call in outcome.calls.items() if _stays(call)}
    assert [name for name, call in kept.items() if not outcome.during.of(call.wanted())] == []
    assert outcome.after.of(outcome.neighbour.wanted()), "the journal opens as long as a call runs"
    assert any(place == "directory.sealed" and ANNA.encode() in octets for place, octets in outcome.seized)


@pytest.fixture
def planted(service: RunningService) -> Iterator[tuple[Marks, bytes]]:
    """A packet in each form and a few digits, in a file, a removed file and the database."""
    marks = Marks()
    spoken = marks.audio(0, 0, bytes(144))
    samples = decoded(spoken)
    log = service.directory / "planted.log"
    with log.open("wb") as file, at_rest.connect(service, DATABASE) as connection:
        file.write(
            spoken + samples.tobytes() + samples.byteswap().tobytes() + ", ".join(marks.digits).encode()
        )
        file.flush()
        connection.execute("CREATE TABLE planted (octets bytea, digits text)")
        connection.execute("INSERT INTO planted VALUES (%s, %s)", (spoken, marks.digits))
        try:
            yield marks, spoken
        finally:
            connection.execute("DROP TABLE planted")
            log.unlink(missing_ok=True)


def test_what_is_planted_is_found(service: RunningService, planted: tuple[Marks, bytes]) -> None:
    """In a file in all its forms, in the database, in a file that was removed while it was open."""
    marks, spoken = planted
    peer = MarkedPeer(service.sip_port, marks=marks, sent=[Sent(0, 0, spoken, 0, 0)])
    peer.sent += [Sent(0, turn, bytes((turn, 10, 0, 160)), 0, 0, is_event=True) for turn in (1, 2)]
    search, needles = Search(marks, [peer]), [Needle(*form) for form in marks.forms]
    log = service.directory / "planted.log"
    files = [(str(path), path.read_bytes()) for path in at_rest.files(service) if path == log]
    dump = ("the database", at_rest.database_dump(service))
    assert len(at_rest.hits(files, needles)) == len(needles)
    assert at_rest.hits([dump], needles)
    log.unlink()
    removed = list(removed_but_open([psutil.Process(os.getpid())]))
    assert len(at_rest.hits(removed, needles)) == len(needles)
    assert search.look(files).of(peer.sent) == {str(log): 1}
    assert len(search.look(files).offsets[str(log)]) == 3
    assert all(len(search.look([each]).digits) == 1 for each in (*files, dump))
    assert search.look([("events", bytes((1, 10, 0, 160, 2, 10, 0, 160)))]).digits
    with pytest.raises(AssertionError, match="an unknown piece"):
        search.look([("an object", spoken[:20] + b"\1" * 140)])
