"""Any sequence of commands, holds, transfers and crashes does what a model of a few lines says.

The model knows no tables: a packet is kept when the mode wants it, nobody paused or
stopped the recording, the exchange sends media and nobody exempt was there. It is
compared with what the journal would hold, with the spans a listener will see, and with
how the session ends (invariants I3 and I8).
"""

from __future__ import annotations

import dataclasses
import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from archive.catalogue.snapshot import DoNotRecord, NumberRange
from archive.model import OutcomeKind, RecordingMode
from recorder.rtp.span import Edge, edge_stretches
from recorder.srs import effects as do
from recorder.srs.lifecycle import is_capturing
from recorder.srs.recording_mode import Event
from recorder.srs.session import Command, Phase
from recorder.state import CallState
from tests.unit.recorder.srs.conftest import (
    ANNA,
    BOB,
    CARL,
    METADATA,
    OLGA,
    SDP,
    TENANT,
    WALL_NS,
    Client,
    document,
    offer,
    restarted,
    with_document,
)
from tests.unit.recorder.srs.test_control import recorder_of

SECOND_NS = 1_000_000_000
LOOKBACK_S = 2
GRACE_H = 1
LAWYER = OLGA


@dataclasses.dataclass
class Model:
    """What a person would say about one call."""

    mode: RecordingMode
    started: bool = False
    kept: bool = False
    paused: bool = False
    held: bool = False
    barred: bool = False
    exempt: bool = False

    @property
    def captures(self) -> bool:
        """Whether a packet that comes now is kept in the journal."""
        wanted = self.mode is not RecordingMode.NEVER and (
            self.started or self.mode is not RecordingMode.ON_DEMAND_START
        )
        return wanted and not (self.paused or self.held or self.barred or self.exempt)

    def command(self, verb: Event) -> bool:
        """Obey a command; False when the mode has no such thing now."""
        if self.exempt or self.mode in {RecordingMode.NEVER, RecordingMode.ALWAYS}:
            return False
        begun = {
            RecordingMode.ALWAYS_PAUSE: True,
            RecordingMode.ON_DEMAND: self.kept,
            RecordingMode.ON_DEMAND_START: self.started,
        }[self.mode]
        if verb is Event.PAUSE and begun and not self.paused:
            self.paused = True
        elif verb is Event.RESUME and begun and self.paused:
            self.paused = False
        elif verb in {Event.KEEP, Event.START} and self.mode is RecordingMode.ON_DEMAND and not self.kept:
            self.kept = True
        elif verb is Event.START and self.mode is RecordingMode.ON_DEMAND_START and not self.started:
            self.started = self.kept = True
        elif verb is Event.STOP and self.mode is RecordingMode.ON_DEMAND_START and self.started:
            self.started = self.paused = False
        else:
            return False
        return True


class ControlledCall(RuleBasedStateMachine):
    """One call of Anna, second by second; every second a packet comes."""

    @initialize(mode=st.sampled_from(RecordingMode), grace=st.booleans())
    def begin(self, mode: RecordingMode, grace: bool) -> None:
        self.grace_h = GRACE_H if grace else 0
        self.recorder = recorder_of(mode, grace_h=self.grace_h)
        lawyer = DoNotRecord(TENANT.id, NumberRange.parse(LAWYER), "lawyer")
        server = self.recorder.server
        server.directory = dataclasses.replace(server.directory, do_not_record=(lawyer,))
        self.client = Client(self.recorder)
        self.versions = itertools.count(2)
        self.model = Model(mode, kept=mode in {RecordingMode.ALWAYS, RecordingMode.ALWAYS_PAUSE})
        self.expected: list[int] = []
        self.captured: list[int] = []
        self.finals: list[do.Effect] = []
        self.over = False
        self.returned_s: int | None = None
        self.tickets = itertools.count()
        self.client.call(callee=BOB)
        self.take()

    # What the shell and the journal would have.

    @property
    def second(self) -> int:
        """Whole seconds since the call began."""
        return round(self.recorder.monotonic_s - 1000)

    def take(self) -> None:
        """Note what was decided about recordings for good."""
        kinds = do.FinishRecording | do.CutRecording | do.DestroyRecording
        self.finals += [effect for effect in self.recorder.effects if isinstance(effect, kinds)]
        self.outcomes = getattr(self, "outcomes", []) + [
            effect.outcome
            for effect in self.recorder.effects
            if isinstance(effect, do.ReportOutcome) and effect.final
        ]
        self.counts = getattr(self, "counts", 0) + len(self.recorder.of(do.CountExempt))
        self.held_for_grace = getattr(self, "held_for_grace", None) or next(
            iter(self.recorder.of(do.HoldForGrace)), None
        )
        self.last_state = self.newest() or getattr(self, "last_state", None)
        self.recorder.effects.clear()

    def newest(self) -> CallState | None:
        """Return the newest state of the recording, with the dialog as the shell adds it."""
        states = self.recorder.states
        return states[-1] if states else None

    def tick(self) -> None:
        """Let a second pass; the packet that comes in the middle of it is kept or not."""
        self.recorder.monotonic_s += 0.5
        session = next(iter(self.recorder.server.sessions), None)
        capturing = (
            session is not None
            and session.phase is Phase.RUNNING
            and any(is_capturing(state) for state in session.recordings.values())
        )
        if capturing:
            self.captured.append(self.second_of_packet())
        if self.model.captures and not self.over:
            self.expected.append(self.second_of_packet())
        self.recorder.monotonic_s += 0.5
        if session is not None:
            self.recorder.server.heard(session.session_id, self.recorder.now)
        self.recorder.carry_out(self.recorder.server.handle_timer(self.recorder.now))
        self.recorder.carry_out(self.recorder.server.check_silence(self.recorder.now))
        self.take()

    def second_of_packet(self) -> int:
        """Return the number of the second the packet comes in."""
        return int(self.recorder.monotonic_s - 1000)

    # What may happen.

    def running(self) -> bool:
        return not self.over

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.tick()

    @precondition(running)
    @rule(verb=st.sampled_from([Event.START, Event.STOP, Event.PAUSE, Event.RESUME, Event.KEEP]))
    def command(self, verb: Event) -> None:
        session = next(iter(self.recorder.server.sessions))
        uid = next(iter(session.recordings), None)
        if uid is None:
            assert self.model.exempt or self.model.mode is RecordingMode.NEVER
            return
        ticket = f"ticket {next(self.tickets)}"
        effects = self.recorder.server.command(uid, Command(verb, "user:anna", ticket), self.recorder.now)
        assert effects is not None
        self.recorder.carry_out(effects)
        answers = [item for item in self.recorder.of(do.ConfirmCommand) if item.ticket == ticket]
        assert [item.obeyed for item in answers] == [self.model.command(verb)]
        assert answers[0].obeyed or answers[0].reason
        self.take()
        self.tick()

    @precondition(running)
    @rule(held=st.booleans())
    def reoffer(self, held: bool) -> None:
        direction = "inactive" if held else "sendonly"
        answer = self.client.invite(SDP, offer(direction, direction, version=next(self.versions)))
        assert answer.status == 200
        self.model.held = held
        self.take()
        self.tick()

    @precondition(running)
    @rule(action=st.sampled_from([Event.START, Event.STOP, Event.PAUSE, Event.RESUME]))
    def exchange_commands(self, action: Event) -> None:
        """The exchange may do what the user may, and is told whether it was done."""
        exempt = self.model.exempt
        answer = self.client.send("INFO", "", b"", ("X-AC-Action", f"{action}-siprec"))
        assert answer is not None
        assert answer.status == (200 if self.model.command(action) or exempt else 488)
        self.take()
        self.tick()

    @precondition(running)
    @rule(callee=st.sampled_from([BOB, CARL, LAWYER]), held=st.sampled_from([None, False, True]))
    def transfer(self, callee: str, held: bool | None) -> None:
        """To somebody else, or to somebody who must not be heard; media may stop or come again with it."""
        xml = document(ANNA, callee)
        if held is None:
            answer = self.client.send("UPDATE", METADATA, xml)
        else:
            direction = "inactive" if held else "sendonly"
            sdp = offer(direction, direction, version=next(self.versions))
            answer = self.client.invite(*with_document(sdp, xml))
            self.model.held = held
        self.model.barred = callee == LAWYER
        assert answer is not None
        assert answer.status == 200
        self.take()
        self.tick()

    @precondition(lambda self: not self.over and not self.model.exempt)
    @rule()
    def exempt(self) -> None:
        """Somebody of 112 joins by a transfer that says nothing of when: two seconds are taken back."""
        # What came while nobody listened is repeated for 32 s: it may have been said just before the crash.
        repeated = self.returned_s is not None and self.second - self.returned_s < 32
        known_s = self.returned_s if repeated and self.returned_s is not None else self.second
        joined_s = known_s - LOOKBACK_S
        self.client.send("INFO", "", b"", ("Refer-To", "<sip:112@exchange.example>"))
        self.model.exempt = True
        self.take()
        if self.finals and isinstance(self.finals[-1], do.CutRecording):
            cut_s = (self.finals[-1].at_ns - WALL_NS) // SECOND_NS
            assert cut_s == joined_s
            self.captured = [packet for packet in self.captured if packet < cut_s]
            self.expected = [packet for packet in self.expected if packet < joined_s]
        self.tick()

    @precondition(lambda self: not self.over and not self.model.exempt)
    @precondition(lambda self: self.model.mode is not RecordingMode.NEVER)
    @rule()
    def crash(self) -> None:
        """The recorder is killed and comes back a second later; the exchange knows nothing of it."""
        self.recorder = restarted(self.client)
        self.returned_s = self.second
        self.take()
        self.tick()

    @precondition(running)
    @rule(lost=st.booleans())
    def hang_up(self, lost: bool) -> None:
        if lost and not self.model.exempt:
            # The client went without a word: nothing comes, and nobody answers.
            self.recorder.advance(120, step_s=1.0)
        else:
            self.client.bye()
        self.over = True
        self.take()

    @precondition(lambda self: self.over and self.held_for_grace is not None and not self.finals)
    @rule(kept=st.booleans())
    def decide_in_grace(self, kept: bool) -> None:
        assert self.held_for_grace is not None
        if kept:
            wanted = Command(Event.KEEP, "user:anna", "late")
            effects = self.recorder.server.command(self.held_for_grace.uid, wanted, self.recorder.now)
            assert effects is not None
            self.recorder.carry_out(effects)
            self.model.kept = True
        else:
            self.recorder.monotonic_s += GRACE_H * 3600
            self.recorder.carry_out(self.recorder.server.handle_timer(self.recorder.now))
        self.take()

    # What must hold.

    @invariant()
    def the_journal_holds_what_the_model_says(self) -> None:
        if hasattr(self, "captured"):
            assert self.captured == self.expected

    @invariant()
    def everything_ends_once_and_as_it_should(self) -> None:
        if not hasattr(self, "over") or not self.over:
            return
        model, finals = self.model, self.finals
        assert not self.recorder.server.sessions
        if model.exempt:
            # One more for the count of the day, and no word of the session itself (I8).
            assert (self.counts, self.outcomes) == (1, [])
            assert len(finals) == (model.mode is not RecordingMode.NEVER)
        elif model.mode is RecordingMode.NEVER:
            # Who must not be heard says more than the mode: it would hold in every other one too.
            why = OutcomeKind.NOBODY_RECORDED if model.barred else OutcomeKind.MODE_NEVER
            assert [item.kind for item in self.outcomes] == [why]
            assert not finals
        elif model.kept:
            assert [type(item) for item in finals] == [do.FinishRecording]
            assert not self.outcomes
        elif self.grace_h and self.held_for_grace is not None and not finals:
            assert not self.outcomes
        else:
            never_began = model.mode is RecordingMode.ON_DEMAND_START
            assert [type(item) for item in finals] == [do.DestroyRecording], never_began
            assert [item.kind for item in self.outcomes] == [OutcomeKind.NOT_KEPT]

    @invariant()
    def the_spans_say_where_packets_are(self) -> None:
        state = getattr(self, "last_state", None)
        if state is None or self.model.exempt:
            return
        edges = [Edge(edge.kind, (edge.at_ns - WALL_NS) // SECOND_NS, edge.by) for edge in state.edges]
        end = max(self.second, 1)
        silent = {
            second for stretch in edge_stretches(edges, end) for second in range(stretch.begin, stretch.end)
        }
        seconds = range(self.second if not self.over else (max(self.expected, default=-1) + 1))
        begun = any(edge.kind == "start" for edge in edges)
        heard = [second for second in seconds if begun and second not in silent]
        assert heard == [second for second in self.expected if second in seconds]


def test_any_course_of_a_call_does_what_the_model_says() -> None:
    """Commands, holds, transfers, exempt parties, crashes, grace: in any order."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        ControlledCall, settings=settings(max_examples=60, stateful_step_count=25, deadline=None)
    )
