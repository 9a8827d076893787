"""Commands reach their call in time or never, and are confirmed when what they did is safe."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from archive.catalogue import commands
from archive.catalogue.commands import CLAIM_ROWS_MAX, GIVE_UP_S, Command, CommandStatus, Outcome
from archive.catalogue.engine import Catalogue
from archive.clock import SystemClock
from archive.errors import CatalogueUnavailable, Refused
from archive.model import RecordingId, Tenant, TenantId, new_id
from recorder import control
from recorder.control import CONFIRM_S, TOO_LATE, CommandIntake
from recorder.journal.format import JournalUnavailable
from recorder.live_calls import LiveCalls, _live_call
from recorder.state import CallState
from tests.unit.archive.conftest import bakery, database, operator, portal, recorder
from tests.unit.recorder.shell import NOW, STARTED_NS, call_state

__all__ = ["bakery", "database", "operator", "portal", "recorder"]

NODE = "recorder-1"
PATIENCE_S = 20.0
OBEYED, REFUSED, TAKEN, WAITING = (
    CommandStatus.OBEYED,
    CommandStatus.REFUSED,
    CommandStatus.TAKEN,
    CommandStatus.WAITING,
)


class TurnedClock(SystemClock):
    """A clock the test may turn forward."""

    def __init__(self) -> None:
        self.turned_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.turned_s


class StandInBook:
    """Stands in for the journal: counts syncs, and fails when told to."""

    def __init__(self, done: list[str]) -> None:
        self.done = done
        self.failing = 0
        self.troubled = 0

    def sync(self) -> None:
        self.done.append("sync")
        if self.failing:
            self.failing -= 1
            raise (
                JournalUnavailable("The disk of the journal fails.") if self.failing else IndexError("defect")
            )

    @property
    def trouble(self) -> str | None:
        self.troubled -= 1
        return "the disk of the journal is full" if self.troubled >= 0 else None


@dataclass(frozen=True)
class Answer:
    """An answer as the core gives it."""

    ticket: str
    tenant_id: TenantId | None
    obeyed: bool = True
    reason: str = ""
    at_ns: int = STARTED_NS


class StandInService:
    """Stands in for the recorder's service: obeys everything about calls it knows, in the event loop."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.clock = TurnedClock()
        self.book = StandInBook(self.done)
        self.commanded: list[tuple[bytes, str, str, str]] = []
        self.react: Callable[[str], None] = lambda _: None

    def command(self, uid: bytes, verb: str, actor: str, command_id: str) -> None:
        asyncio.get_running_loop()
        self.commanded.append((uid, verb, actor, command_id))
        self.react(command_id)


class StandInLive(LiveCalls):
    """Notes when it flushes."""

    done: list[str]

    def flush(self) -> None:
        self.done.append("flush")
        super().flush()


async def until(done: Callable[[], object], what: str) -> None:
    """Let the event loop run until `done` is true."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not done():
        assert asyncio.get_running_loop().time() < deadline, f"Never came: {what}"
        await asyncio.sleep(0.01)


@pytest.fixture
def service() -> StandInService:
    return StandInService()


@pytest.fixture
def call(bakery: Tenant) -> CallState:
    return call_state(tenant_id=bakery.id)


@pytest.fixture
def live(service: StandInService, recorder: Catalogue, call: CallState) -> LiveCalls:
    made = StandInLive(recorder, NODE, service.clock)
    made.done = service.done
    made.note(UUID(call.recording_id).bytes, call)
    made.flush()
    service.done.clear()
    return made


@asynccontextmanager
async def running(
    service: StandInService, live: LiveCalls, catalogue: Catalogue
) -> AsyncIterator[CommandIntake]:
    """Run an intake until the test is done."""
    intake = CommandIntake(service, live, catalogue, NODE)
    intake.start()
    try:
        yield intake
    finally:
        await intake.stop()


def issue(portal: Catalogue, call: CallState, verb: str = "pause") -> str:
    return commands.issue(portal, _live_call(call, NODE), verb, "user:anna", now=NOW)


def outcome(portal: Catalogue, call: CallState, command_id: str) -> Outcome:
    return commands.outcome(portal, TenantId(call.tenant_id), command_id)


async def test_a_command_reaches_its_call_and_its_answer_follows_what_it_did(
    service: StandInService, live: LiveCalls, recorder: Catalogue, portal: Catalogue, call: CallState
) -> None:
    """First durable in the journal, then shown in the catalogue, then told to its caller."""
    async with running(service, live, recorder) as intake:
        service.react = lambda id_: intake.confirm_soon(Answer(id_, TenantId(call.tenant_id)))
        command_id = await asyncio.to_thread(issue, portal, call)
        await until(lambda: outcome(portal, call, command_id).final, "an answer")
    assert service.commanded == [(UUID(call.recording_id).bytes, "pause", "user:anna", command_id)]
    assert outcome(portal, call, command_id) == Outcome(OBEYED, "", NOW)
    assert service.done == ["sync", "flush"]


async def test_a_command_to_a_call_that_is_over_is_answered(
    service: StandInService, live: LiveCalls, recorder: Catalogue, portal: Catalogue, call: CallState
) -> None:
    """The service knows neither the call nor its tenant any more."""
    async with running(service, live, recorder) as intake:
        service.react = lambda id_: intake.refuse(id_, "The call is over.")
        command_id = await asyncio.to_thread(issue, portal, call)
        await until(lambda: outcome(portal, call, command_id).final, "an answer")
    assert outcome(portal, call, command_id) == Outcome(REFUSED, "The call is over.", None)


async def test_what_waited_before_the_recorder_began_is_taken(
    service: StandInService, live: LiveCalls, recorder: Catalogue, portal: Catalogue, call: CallState
) -> None:
    """Its notification was sent to nobody; more than one claim takes what there is, in order."""
    issued = [issue(portal, call) for _ in range(CLAIM_ROWS_MAX + 2)]
    async with running(service, live, recorder):
        await until(lambda: len(service.commanded) == len(issued), "all commands")
    assert [command_id for *_, command_id in service.commanded] == issued


async def test_a_lost_listening_connection_loses_no_command(
    service: StandInService,
    live: LiveCalls,
    recorder: Catalogue,
    portal: Catalogue,
    call: CallState,
    database: Any,
) -> None:
    """All connections are cut; the next one polls first and listens again."""
    async with running(service, live, recorder):
        first = await asyncio.to_thread(issue, portal, call)
        await until(lambda: len(service.commanded) == 1, "the first command")
        admin: psycopg.Connection = database.connect()
        await asyncio.to_thread(
            admin.execute,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'earwitness_recorder'",
        )
        second = await asyncio.to_thread(issue, portal, call)
        await until(lambda: len(service.commanded) == 2, "the second command")
        third = await asyncio.to_thread(issue, portal, call)
        await until(lambda: len(service.commanded) == 3, "the third command")
    assert [command_id for *_, command_id in service.commanded] == [first, second, third]


async def test_a_notification_that_never_comes_costs_one_poll(
    service: StandInService,
    live: LiveCalls,
    recorder: Catalogue,
    portal: Catalogue,
    call: CallState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control, "COMMANDS_CHANNEL", "silence")
    monkeypatch.setattr(control, "POLL_S", 0.05)
    async with running(service, live, recorder):
        await asyncio.to_thread(issue, portal, call)
        await until(lambda: service.commanded, "the command")


async def test_a_command_the_event_loop_gets_to_too_late_is_not_carried_out(
    service: StandInService, live: LiveCalls, recorder: Catalogue, portal: Catalogue, call: CallState
) -> None:
    """Its caller may have been told that nothing happened, and so nothing does."""
    async with running(service, live, recorder):
        command_id = issue(portal, call)
        while outcome(portal, call, command_id).status is WAITING:
            threading.Event().wait(0.01)
        # Claimed while this coroutine kept the event loop busy; now it is long ago.
        service.clock.turned_s = GIVE_UP_S
        await until(lambda: outcome(portal, call, command_id).final, "an answer")
    assert service.commanded == []
    assert outcome(portal, call, command_id) == Outcome(REFUSED, TOO_LATE, None)


def test_a_command_that_was_old_when_it_was_claimed_has_less_time_left(
    service: StandInService, live: LiveCalls, recorder: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The age by the database's clock counts from before it was asked."""
    intake = CommandIntake(service, live, recorder, NODE)
    old = Command("c1", TenantId("t1"), RecordingId(new_id(NOW)), "pause", "user:anna", GIVE_UP_S - 1.0)
    monkeypatch.setattr(commands, "claim", lambda *_: [old])
    handed: list[tuple[Command, float]] = []

    class Loop:
        def call_soon_threadsafe(self, _: object, command: Command, deadline_s: float) -> None:
            handed.append((command, deadline_s))

    intake._take(Loop())  # type: ignore[arg-type]
    ((command, deadline_s),) = handed
    assert command is old
    assert deadline_s <= service.clock.monotonic() + 1.0


async def test_a_command_that_fails_does_not_stop_the_others(
    service: StandInService, live: LiveCalls, recorder: Catalogue, portal: Catalogue, call: CallState
) -> None:
    """It stays unconfirmed."""
    failing: list[str] = []

    def react(command_id: str) -> None:
        if not failing:
            failing.append(command_id)
            raise ValueError("a defect")

    service.react = react
    async with running(service, live, recorder):
        for _ in range(2):
            await asyncio.to_thread(issue, portal, call)
        await until(lambda: len(service.commanded) == 2, "both commands")
    assert outcome(portal, call, failing[0]).status is TAKEN


async def test_hearing_commands_begins_again_whatever_went_wrong(
    service: StandInService,
    live: LiveCalls,
    recorder: Catalogue,
    portal: Catalogue,
    call: CallState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A defect, or a database that is away, ends nothing for ever."""
    troubles: list[Exception] = [ValueError("a defect"), CatalogueUnavailable("PostgreSQL does not answer.")]
    claim = commands.claim

    def trouble(catalogue: Catalogue, node: str) -> list[Command]:
        if troubles:
            raise troubles.pop()
        return claim(catalogue, node)

    monkeypatch.setattr(commands, "claim", trouble)
    monkeypatch.setattr(control, "RETRY_S", 0.01)
    async with running(service, live, recorder):
        await asyncio.to_thread(issue, portal, call)
        await until(lambda: service.commanded, "the command")
    assert troubles == []


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool, datetime | None]]:
    """Stand in for the rows of commands: note every answer, in order."""
    told: list[tuple[str, bool, datetime | None]] = []

    def answer_all(_: Catalogue, answers: list[commands.Answer]) -> None:
        told.extend((each.command_id, each.obeyed, each.effective_at) for each in answers)

    monkeypatch.setattr(commands, "answer_all", answer_all)
    return told


class QuietLive(LiveCalls):
    """Has nothing to tell; fails when told to."""

    def __init__(self, service: StandInService) -> None:
        super().__init__(Catalogue("postgresql+psycopg://nobody@127.0.0.1:1/nothing"), NODE, service.clock)
        self.service = service
        self.failing = 0

    def flush(self) -> None:
        self.service.done.append("flush")
        if self.failing:
            self.failing -= 1
            raise CatalogueUnavailable("PostgreSQL does not answer.")


@pytest.fixture
def quiet(service: StandInService) -> QuietLive:
    return QuietLive(service)


@pytest.fixture
def intake(service: StandInService, quiet: QuietLive, monkeypatch: pytest.MonkeyPatch) -> CommandIntake:
    monkeypatch.setattr(control, "CONFIRM_RETRY_S", 0.001)
    return CommandIntake(service, quiet, quiet._catalogue, NODE)


async def test_answers_are_given_in_order_and_many_share_a_sync(
    service: StandInService, intake: CommandIntake, answered: list[tuple[str, bool, datetime | None]]
) -> None:
    """Those that come while one is being confirmed wait for the next sync, together."""
    await asyncio.gather(*(intake.confirm(Answer(f"c{number}", None)) for number in range(20)))
    assert [ticket for ticket, *_ in answered] == [f"c{number}" for number in range(20)]
    assert service.done.count("sync") <= 3
    await intake.stop()


async def test_an_answer_waits_until_journal_and_database_are_there_again(
    service: StandInService,
    quiet: QuietLive,
    intake: CommandIntake,
    answered: list[tuple[str, bool, datetime | None]],
) -> None:
    """Nothing is told that is not safe."""
    service.book.failing, service.book.troubled, quiet.failing = 2, 2, 2
    await intake.confirm(Answer("c1", None))
    assert answered == [("c1", True, datetime(2026, 11, 22, 9, 30, tzinfo=UTC))]
    assert service.done == ["sync"] * 4 + ["sync", "flush"] * 3
    await intake.stop()


async def test_an_answer_nobody_waits_for_any_more_is_given_up(
    service: StandInService,
    quiet: QuietLive,
    intake: CommandIntake,
    answered: list[tuple[str, bool, datetime | None]],
) -> None:
    """What waits is bounded by time; the next command is answered as ever."""
    quiet.failing = 10_000
    waiting = asyncio.ensure_future(intake.confirm(Answer("late", None)))
    await until(lambda: "flush" in service.done, "a first attempt")
    service.clock.turned_s = CONFIRM_S
    await waiting
    quiet.failing = 0
    await intake.confirm(Answer("c2", None, obeyed=False, reason="it is paused already"))
    assert answered == [("c2", False, None)]
    assert intake._unconfirmed == []
    await intake.stop()


async def test_an_answer_the_catalogue_refuses_keeps_back_no_other(
    service: StandInService, intake: CommandIntake, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def answer_all(_: Catalogue, answers: list[commands.Answer]) -> None:
        if any(each.command_id == "c1" for each in answers):
            raise Refused("The database can't store such a value.")
        told.extend(each.command_id for each in answers)

    monkeypatch.setattr(commands, "answer_all", answer_all)
    await asyncio.gather(*(intake.confirm(Answer(f"c{number}", None)) for number in range(5)))
    assert told == ["c0", "c2", "c3", "c4"]
    await intake.stop()


async def test_a_recorder_that_stops_still_answers_what_it_did(
    service: StandInService, live: LiveCalls, recorder: Catalogue, portal: Catalogue, call: CallState
) -> None:
    """And takes no more commands."""
    async with running(service, live, recorder) as intake:
        command_id = await asyncio.to_thread(issue, portal, call)
        await until(lambda: service.commanded, "the command")
        intake.confirm_soon(Answer(command_id, TenantId(call.tenant_id)))
    assert outcome(portal, call, command_id).status is OBEYED
    later = issue(portal, call)
    assert outcome(portal, call, later).status is WAITING
    await intake.confirm(Answer(later, TenantId(call.tenant_id)))
    assert outcome(portal, call, later).status is WAITING


async def test_a_recorder_that_can_not_answer_stops_all_the_same(
    service: StandInService,
    quiet: QuietLive,
    intake: CommandIntake,
    answered: list[tuple[str, bool, datetime | None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control, "STOP_S", 0.05)
    quiet.failing = 1_000_000
    intake.confirm_soon(Answer("c1", None))
    await until(lambda: "flush" in service.done, "a first attempt")
    await intake.stop()
    assert answered == []
