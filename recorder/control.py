"""Commands from the catalogue to calls of this recorder, and their answers back.

A thread of its own listens for commands to this node, claims them and hands each to the
event loop, which carries it out at once or, when it is too old by then, never: its
caller may have been told that nothing happened. What took effect is confirmed after it
is durable in the journal and shown in the catalogue.

Rules: nothing here blocks the event loop, and no call waits for any of it. A lost
listening connection costs at most POLL_S; while the database is away nothing is
claimed, and an answer that can't be given within CONFIRM_S is not given: its command
stays `taken`, which its caller is told as "not confirmed".

Not here: what a command does (`recorder.srs.control`), its row (`archive.catalogue.commands`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Protocol
from uuid import UUID

import structlog

from archive.catalogue import commands
from archive.catalogue.commands import CLAIM_ROWS_MAX, COMMANDS_CHANNEL, GIVE_UP_S, Answer, Command
from archive.catalogue.engine import Catalogue
from archive.clock import Clock
from archive.errors import ArchiveError, DependencyUnavailable
from archive.model import TenantId
from recorder.journal.format import JournalUnavailable
from recorder.live_calls import LiveCalls

POLL_S = 1.0
"""How long a command may wait when its notification was lost."""

RETRY_S = 1.0
CONFIRM_S = 5.0
"""Afterwards the caller of the command has given up."""

CONFIRM_RETRY_S = 0.2
STOP_S = 3.0
"""A thread that waits for a database that is away is left behind; it holds nothing a call needs."""

TOO_LATE = "The recorder was too busy to obey in time; nothing was changed. Try again."

_log = structlog.get_logger()


class Book(Protocol):
    """What is asked of the journal's book of calls."""

    @property
    def trouble(self) -> str | None:
        """Why the journal can't be written now, or None."""

    def sync(self) -> None:
        """Make durable all that was written; raises JournalUnavailable."""


class CommandedRecorder(Protocol):
    """What is asked of the recorder's service."""

    @property
    def clock(self) -> Clock:
        """The clock of this machine."""

    @property
    def book(self) -> Book:
        """The journal of signalling."""

    def command(self, uid: bytes, verb: str, actor: str, command_id: str) -> None:
        """Carry out a command on a recording, in the event loop, and have its answer confirmed."""


class Confirmed(Protocol):
    """The answer to a command, as the core gives it (`recorder.srs.effects.ConfirmCommand`)."""

    @property
    def ticket(self) -> str:
        """The id of the command."""

    @property
    def tenant_id(self) -> TenantId | None:
        """The tenant of the call; None where the call is not known."""

    @property
    def obeyed(self) -> bool:
        """Whether it took effect."""

    @property
    def reason(self) -> str:
        """Why it did not."""

    @property
    def at_ns(self) -> int:
        """From when on it counts, in wall time."""


@dataclass(frozen=True)
class Unreached:
    """The answer to a command that reached no call."""

    ticket: str
    reason: str
    tenant_id: TenantId | None = None
    obeyed: bool = False
    at_ns: int = 0


class CommandIntake:
    """Takes commands to one node, and answers them."""

    def __init__(self, service: CommandedRecorder, live: LiveCalls, catalogue: Catalogue, node: str) -> None:
        """Nothing happens before `start`."""
        self._service = service
        self._live = live
        self._catalogue = catalogue
        self._node = node
        self._stopping = Event()
        self._closing = Event()
        self._thread: Thread | None = None
        self._confirming = asyncio.Lock()
        self._unconfirmed: list[tuple[Confirmed, float]] = []
        # Threads of our own: answers that wait for the database must not take those the journal is synced in.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="confirm")
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to take commands, in the running event loop; recovered calls are noted before."""
        loop = asyncio.get_running_loop()
        self._thread = Thread(target=self._run, args=(loop,), name="commands", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Take no more commands; what is being answered has a moment to end. The journal closes later."""
        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, STOP_S)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_S)
        self._closing.set()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._executor.shutdown(wait=False)

    async def confirm(self, command: Confirmed) -> None:
        """Answer a command after what it did is durable and shown; returns when told, or given up."""
        self._unconfirmed.append((command, self._service.clock.monotonic() + CONFIRM_S))
        async with self._confirming:
            # Whoever comes first answers for all: one sync, one flush and one transaction are enough.
            batch, self._unconfirmed = self._unconfirmed, []
            if batch and not self._closing.is_set():
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._executor, self._confirm_all, batch)

    def confirm_soon(self, command: Confirmed) -> None:
        """Begin to answer a command; for callers in the event loop that can't wait."""
        self._begin(self.confirm(command))

    def refuse(self, command_id: str, reason: str) -> None:
        """Answer a command that reached no call, in the event loop."""
        self.confirm_soon(Unreached(command_id, reason))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Commands in.

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take commands until the recorder stops, whatever happens to the connection."""
        while not (self._stopping.is_set() or loop.is_closed()):
            try:
                self._take(loop)
                self._listen(loop)
            except ArchiveError as error:
                _log.debug("commands can't be heard; trying again", reason=str(error))
            except Exception:  # noqa: BLE001 - a recorder that hears no command any more must not come of it
                _log.exception("hearing commands failed and is begun again")
            self._stopping.wait(RETRY_S)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._catalogue.listen(COMMANDS_CHANNEL) as listener:
            while not self._stopping.is_set():
                # Before waiting: what was notified before we listened, or while nobody did.
                self._take(loop)
                listener.wait(POLL_S)

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        """Claim what waits and hand it to the event loop, each with the time at which it is too late."""
        while not self._stopping.is_set():
            asked_s = self._service.clock.monotonic()
            claimed = commands.claim(self._catalogue, self._node)
            for command in claimed:
                deadline_s = asked_s + GIVE_UP_S - command.age_s
                loop.call_soon_threadsafe(self._carry_out, command, deadline_s)
            if len(claimed) < CLAIM_ROWS_MAX:
                return

    def _carry_out(self, command: Command, deadline_s: float) -> None:
        """Carry a command out, in the event loop, unless its caller may have given up."""
        if self._stopping.is_set():
            return
        if self._service.clock.monotonic() >= deadline_s:
            self.refuse(command.id, TOO_LATE)
            return
        try:
            self._service.command(UUID(command.recording_id).bytes, command.verb, command.actor, command.id)
        except Exception:  # noqa: BLE001 - whatever it was, it is not confirmed, and other commands are heard
            _log.exception("a command failed", verb=command.verb)

    # Answers out.

    def _confirm_all(self, batch: list[tuple[Confirmed, float]]) -> None:
        """Answer these commands in order, as often as it takes within their time."""
        while batch:
            self._confirm_some(batch)
            if batch and self._closing.wait(CONFIRM_RETRY_S):
                return
            now_s = self._service.clock.monotonic()
            batch = [item for item in batch if item[1] > now_s]

    def _confirm_some(self, batch: list[tuple[Confirmed, float]]) -> None:
        """Answer these commands, or leave all of them to the next attempt: twice is once."""
        try:
            self._make_sure()
            self._answer([command for command, _ in batch])
            batch.clear()
        except (DependencyUnavailable, JournalUnavailable) as error:
            _log.warning("a command can't be confirmed yet", reason=str(error))
        except Exception:  # noqa: BLE001 - whoever waits for the answer is told within the time, or not at all
            _log.exception("a command can't be confirmed and is tried again")

    def _make_sure(self) -> None:
        """Make durable what the commands did, and show it."""
        self._service.book.sync()
        trouble = self._service.book.trouble
        if trouble is not None:
            raise JournalUnavailable(trouble)
        self._live.flush()

    def _answer(self, batch: list[Confirmed]) -> None:
        """Answer all at once or, when the catalogue refuses that, each by itself."""
        answers = [_answer_of(command) for command in batch]
        try:
            commands.answer_all(self._catalogue, answers)
        except DependencyUnavailable:
            raise
        except ArchiveError as error:
            if len(batch) == 1:
                _log.error("the catalogue refuses an answer", reason=str(error))
                return
            for command in batch:
                self._answer([command])


def _answer_of(command: Confirmed) -> Answer:
    effective_at = datetime.fromtimestamp(command.at_ns / 1e9, UTC) if command.obeyed else None
    return Answer(command.ticket, command.tenant_id, command.obeyed, command.reason, effective_at)
