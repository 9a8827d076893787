"""Whatever is killed, what may not be stored stays nowhere, and what was said outside of that stays there.

In each round calls are paused and resumed, stopped and started, held and sent on, left
unkept, and transferred to 112 and 113, all at random moments of a seed; then a part of
the service is killed. Every packet is known by its octets and the moment it was sent.
"""

from __future__ import annotations

import http.client
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from tests import at_rest
from tests.at_rest import Needle
from tests.conftest import ANNA, OLGA, OTTO, PIA
from tests.crash.calls import is_gone, is_ready, kill, named
from tests.marked_call import (
    NS_PER_MS,
    Found,
    MarkedCall,
    Search,
    Switch,
    effective_ns,
    timeline_of,
)
from tests.marked_peer import MarkedPeer, Marks, Sent
from tests.raw_peer import parties
from tests.running_service import RunningService, eventually
from tests.seizure import Seizure, opened_objects, removed_but_open

CALLEE = "+31612345678"
KEPT_S = 1.0
"""What a kill may take of audio that was said just before it (invariant I1)."""

ROUNDS = {
    "capture": ("capture", "capture"),
    "recorder": ("recorder",),
    "everything": ("everything",),
}


@pytest.fixture(scope="module")
def broken() -> Iterator[RunningService]:
    """A service for these rounds alone."""
    with tempfile.TemporaryDirectory(prefix="earwitness-broken-") as directory:
        settings = {"media_silence_s": "20", "recovery_silence_s": "3", "capture_processes": "2"}
        running = RunningService(Path(directory) / "data", **settings)
        try:
            running.start()
            running.prepare(
                ("anna", ANNA, "365d", "always"),
                ("olga", OLGA, "90d", "on-demand"),
                ("pia", PIA, "7y-1000", "always-pause"),
                ("otto", OTTO, "365d", "on-demand-start"),
            )
            yield running
        finally:
            running.kill_everything()


@dataclass(frozen=True)
class Outage:
    """What was sent between these moments of wall time may be lost."""

    from_ns: int
    to_ns: int


@dataclass
class Round:
    """Calls that go on while parts of the service are killed, and what became of each."""

    service: RunningService
    seed: int
    kills: tuple[str, ...]
    marks: Marks = field(default_factory=Marks)
    calls: dict[str, MarkedCall] = field(default_factory=dict)
    outages: list[Outage] = field(default_factory=list)
    recovered: threading.Event = field(default_factory=threading.Event)
    killing: threading.Event = field(default_factory=threading.Event)
    killed: threading.Event = field(default_factory=threading.Event)

    def chances(self, name: str) -> random.Random:
        """Return the chances of one call."""
        return random.Random(f"{self.seed} {name}")

    def begin(self, stack: ExitStack, name: str, caller: str) -> MarkedCall:
        """Place a call that ends with the round at the latest."""
        peer = MarkedPeer(self.service.sip_port, marks=self.marks, seed=self.seed)
        stack.enter_context(peer).invite(caller, CALLEE)
        call = self.calls[name] = MarkedCall(self.service, peer)
        assert call.id
        return call

    def kill_all(self) -> None:
        """Kill what is to be killed, one after the other, at random moments."""
        chances = self.chances("kills")
        for kind in self.kills:
            time.sleep(chances.uniform(0.2, 1.7))
            self.killing.set()
            self._kill(kind, chances)

    def _kill(self, kind: str, chances: random.Random) -> None:
        from_ns = time.time_ns() - int(KEPT_S * 1e9)
        if kind == "everything":
            self.service.kill_everything()
            self.killed.set()
            self.service.start()
        elif kind == "recorder":
            recorder = self.service.role("recorder")
            kill([recorder])
            self.killed.set()
            eventually(partial(is_gone, recorder), "the recorder is dead")
            eventually(lambda: is_ready(self.service), "the recorder takes calls again")
        else:
            victims = named(self.service, "recorder.capture.process")
            victims = chances.sample(victims, chances.randint(1, len(victims)))
            kill(victims)
            self.killed.set()
            # The ports stay open, so that not a packet that was sent from now on may be missing.
            self.outages.append(Outage(from_ns, time.time_ns()))
            eventually(lambda: all(map(is_gone, victims)), "capture is dead")
            eventually(lambda: is_ready(self.service), "the recorder takes calls again")
            return
        self.outages.append(Outage(from_ns, time.time_ns()))

    def may_be_lost(self, sent: Sent) -> bool:
        """Tell whether a packet went out when nobody had to be there."""
        return any(outage.from_ns <= sent.gone_ns and sent.at_ns <= outage.to_ns for outage in self.outages)


def insist(call: MarkedCall, verb: str) -> None:
    """Give a command until it is confirmed, or refused because it took effect before."""
    keeps = verb in {"start", "resume"}
    asked_ns, tries = time.time_ns(), 0
    answers: list[str] = []

    def confirmed() -> bool:
        nonlocal tries
        tries += 1
        try:
            answer = call.service.command(call.id, verb)
        except (OSError, http.client.HTTPException) as error:
            answers.append(repr(error))
            return False
        answers.append(f"{answer.status} {answer.body!r}")
        if answer.status == 201:
            first_ns = effective_ns(answer.json()["effectiveAt"])
            last_ns = first_ns + NS_PER_MS
            call.switches.append(Switch(keeps, first_ns if tries == 1 else asked_ns, last_ns))
        elif answer.status == 409:
            if b"nothing was changed" in answer.body:
                return False
            assert tries > 1, answer.body
            assert b"already" in answer.body or b"not paused" in answer.body, answer.body
            call.switches.append(Switch(keeps, asked_ns, time.time_ns()))
        return answer.status in {201, 409}

    try:
        eventually(confirmed, f"{verb} is confirmed")
    except AssertionError as error:
        raise AssertionError(f"{error}: {answers[-5:]}") from error


def toggled(
    round_: Round, name: str, call: MarkedCall, switch: Callable[[bool], None], most_s: float
) -> None:
    """Switch a recording off and on until the service has recovered, and once more."""
    chances, last = round_.chances(name), False
    while not last:
        last = round_.recovered.is_set()
        for keeps in (False, True):
            call.talk(chances.uniform(most_s / 4, most_s))
            switch(keeps)
    call.talk(0.5)


def by_api(round_: Round, name: str, call: MarkedCall, off: str, on: str) -> None:
    """Switch by the API."""
    if on == "start":
        call.begins = False
        call.talk(round_.chances(name).uniform(0.5, 4.0))
        insist(call, on)
    toggled(round_, name, call, lambda keeps: insist(call, on if keeps else off), 0.9)


def by_sip(round_: Round, name: str, call: MarkedCall) -> None:
    """Switch by re-INVITEs, seldom enough that capture has followed one when the next comes."""
    peer = call.peer
    toggled(round_, name, call, lambda keeps: call.signal(keeps, peer.unhold if keeps else peer.hold), 2.4)


def switched_at_the_kill(round_: Round, name: str, call: MarkedCall, *, off: bool) -> None:
    """Pause or resume in the moment after the kill, when nobody captures."""
    call.talk(1.0)
    if not off:
        insist(call, "pause")
    round_.killed.wait(60)
    insist(call, "pause" if off else "resume")
    round_.recovered.wait(60)
    call.talk(1.0)
    if off:
        insist(call, "resume")
        call.talk(1.0)


def unkept(round_: Round, name: str, call: MarkedCall) -> None:
    """Hang up about when the service is killed."""
    call.stored = False
    round_.killing.wait(60)
    call.talk(round_.chances(name).uniform(0.0, 0.5))


def transferred(round_: Round, name: str, call: MarkedCall) -> None:
    """Be transferred to 113 about when the service is killed, and say so a little later."""
    chances = round_.chances(name)
    if "started" in name:
        call.begins = False
        insist(call, "start")
    call.stored = "unkept" not in name
    call.talk(3.0 + chances.uniform(0.0, 1.7))
    call.join(
        lambda joined: parties(ANNA, "113", joined=joined),
        chances.uniform(0.0, 1.5),
        dated="undated" not in name,
    )
    call.talk(0.5)


Course = Callable[[Round, str, MarkedCall], None]


def plan() -> dict[str, tuple[str, Course]]:
    """Return who calls, and what becomes of each call."""
    return {
        "paused": (PIA, partial(by_api, off="pause", on="resume")),
        "paused too": (PIA, partial(by_api, off="pause", on="resume")),
        "stopped": (OTTO, partial(by_api, off="stop", on="start")),
        "held": (PIA, by_sip),
        "paused when killed": (PIA, partial(switched_at_the_kill, off=True)),
        "resumed when killed": (PIA, partial(switched_at_the_kill, off=False)),
        "unkept": (OLGA, unkept),
        "unkept too": (OLGA, unkept),
        "transferred, dated": (ANNA, transferred),
        "transferred, undated": (ANNA, transferred),
        "transferred too, undated": (ANNA, transferred),
        "started and transferred, dated": (OTTO, transferred),
        "unkept and transferred, undated": (OLGA, transferred),
    }


class Outcome:
    """What was found of the calls of a round when the service was back, and when all was over."""

    def __init__(self, service: RunningService, name: str, to: Path) -> None:
        self.round = Round(service, sorted(ROUNDS).index(name), ROUNDS[name])
        before = {recording["id"] for recording in service.recordings()}
        planned = plan()
        begun = threading.Barrier(len(planned) + 1)

        def perform(call_name: str, caller: str, course: Course) -> None:
            with ExitStack() as stack:
                call = self.round.begin(stack, call_name, caller)
                begun.wait(60)
                course(self.round, call_name, call)
                # A dialog that was forgotten with its call has nothing to hang up.
                assert call.peer.hang_up().status in {200, 481}

        with ThreadPoolExecutor(len(planned)) as threads:
            running = {each: threads.submit(perform, each, *course) for each, course in planned.items()}
            try:
                begun.wait(60)
                time.sleep(3.0)
                self.round.kill_all()
                for each, future in running.items():
                    if "kept" in each or "transferred" in each:
                        future.result()
                self._await_unkept()
                seizures = (Seizure(service, to / f"recovered-{number}") for number in count())
                recovered = eventually(lambda: self._opened_when_cut(next(seizures)), "cuts are made")
            finally:
                for event in (self.round.killing, self.round.killed, self.round.recovered):
                    event.set()
            for future in running.values():
                future.result()
        assert recovered is not None
        self.recovered: Found = recovered
        for call in self.stored():
            call.settle(timeline_of(service, service.recording_of(call.peer.call_id)["id"]))
        self.search = Search(self.round.marks, [call.peer for call in self.round.calls.values()])
        self.after = self.search.look(Seizure(service, to / "after").opened())
        self.objects = self.search.look(opened_objects(service, before))

    def _await_unkept(self) -> None:
        for call in self.round.calls.values():
            if not call.stored and call.cut is None:
                assert self.round.service.outcome_of(call.peer.call_id)["outcome"] == "not kept"

    def _opened_when_cut(self, seizure: Seizure) -> Found | None:
        """Return what a copy of the journal says; None as long as it has anything of what is to be cut."""
        calls = list(self.round.calls.values())
        found = Search(self.round.marks, [call.peer for call in calls]).look(seizure.opened())
        waiting = [call for call in calls if call.cut is not None and found.of(call.forbidden())]
        return None if waiting else found

    def stored(self) -> list[MarkedCall]:
        """Return the calls of which a recording is to come."""
        return [call for call in self.round.calls.values() if call.stored]

    def wanted(self, call: MarkedCall) -> list[Sent]:
        """Return the packets that must be in the recording of a call, whatever was killed."""
        outages = self.round.outages
        # Who may have told of an exempt party while nobody listened is believed to have done so at once.
        lookback_ns = min(outage.from_ns for outage in outages) - 2 * 10**9
        return [
            sent
            for sent in call.wanted()
            if not self.round.may_be_lost(sent) and (call.cut is None or sent.gone_ns < lookback_ns)
        ]


@pytest.mark.parametrize("name", ROUNDS)
def test_what_may_not_exist_stays_gone(broken: RunningService, tmp_path: Path, name: str) -> None:
    """After recovery and after archiving it is nowhere; all else is there but for the last second before a kill."""
    outcome = Outcome(broken, name, tmp_path)
    wrong: dict[str, object] = {}
    for each, call in outcome.round.calls.items():
        forbidden, wanted = call.forbidden(), outcome.wanted(call)
        wrong[f"{each}: in the journal"] = outcome.recovered.of(forbidden) | outcome.after.of(forbidden)
        wrong[f"{each}: in an object"] = outcome.objects.of(forbidden)
        wrong[f"{each}: missing"] = outcome.objects.missing(wanted)
        assert len(forbidden) > 20, each
        assert len(wanted) > 20 or not call.stored or call.cut, each
    wrong = {what: found for what, found in wrong.items() if found}
    assert not wrong, "\n".join(f"{what}: {found}" for what, found in wrong.items())
    assert outcome.recovered.places, "something opened, so that the test says something"
    assert [*outcome.recovered.digits, *outcome.after.digits, *outcome.objects.digits] == []
    raw = [*at_rest.everything(broken), *removed_but_open(broken.processes())]
    assert at_rest.hits(raw, [Needle(*form) for form in outcome.round.marks.forms]) == []
