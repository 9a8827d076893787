"""From a command to what the recorder made of it, within three seconds.

A command is a row that the recorder of the call is notified of; its answer is the same
row, and a notification on `command_answers`. All waiting requests of the process share
one connection (`playback_portal.notices`), so that a request costs no connection and
an answer reaches its request at once; every TICK_S the rows are read all the same.

Rules: "done" is said only when the recorder has said it. What was told to have failed
for want of an answer is withdrawn first, so that it is not carried out afterwards.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from archive.catalogue import commands
from archive.catalogue.commands import ANSWERS_CHANNEL, CommandStatus, Outcome
from archive.catalogue.engine import Catalogue
from archive.catalogue.live_calls import LiveCall
from archive.clock import Clock
from archive.errors import CatalogueUnavailable, NotFound
from archive.model import TenantId
from playback_portal.notices import Notices
from playback_portal.problems import RETRY_AFTER_S, Problem, unavailable

CONFIRM_S_MAX = 3.0
"""A recorder answers within 300 ms; who waits for longer than this has pressed the button again."""

WAITING_COUNT_MAX = 100
"""Their rows are read at every answer, and every TICK_S; so many at once is a recorder that is gone."""

UNCONFIRMED = (
    "The recorder took the command but did not confirm it in time; look at the call before you repeat it."
)
WITHDRAWN = "The recorder of this call does not answer; the command was withdrawn and nothing was changed."
"""What is told of a command without an answer: whether it can still be carried out."""


@dataclass(frozen=True)
class _Waiting:
    tenant_id: TenantId
    answer: asyncio.Future[Outcome]


class Confirmations:
    """Sends commands and waits for their answers; made and used in one event loop."""

    def __init__(self, catalogue: Catalogue, clock: Clock, *, confirm_s: float = CONFIRM_S_MAX) -> None:
        """Remember where commands go; nothing is connected before the first command."""
        self._catalogue = catalogue
        self._clock = clock
        self._confirm_s = confirm_s
        self._under_way = 0
        self._waiting: dict[str, _Waiting] = {}
        self._lock = threading.Lock()
        self._notices = Notices(catalogue, ANSWERS_CHANNEL, self._settle_all, ticks=True)

    async def stop(self) -> None:
        """Stop listening; requests that still wait run into their time limit."""
        await asyncio.to_thread(self._notices.stop)

    async def confirm(self, call: LiveCall, verb: str, actor: str) -> tuple[str, Outcome]:
        """Send `verb` to the recorder of `call`; return the command's id and the answer, obeyed or refused.

        Raises the Problem 503 when too many wait already, and 504 when nothing was
        confirmed in time; it says whether the command can still be carried out. Raises
        NotFound when the call is over, or may not exist any more.
        """
        if self._under_way >= WAITING_COUNT_MAX:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too-many-commands",
                "Too many commands wait for their recorder; nothing was changed, try again in a moment.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._under_way += 1
        self._notices.start()
        try:
            command_id, outcome = await self._answered(call, verb, actor, answer)
        finally:
            self._under_way -= 1
            # Whoever is not waited for any more is forgotten at the next tick.
            answer.cancel()
        if outcome.status not in {CommandStatus.OBEYED, CommandStatus.REFUSED}:
            raise _unconfirmed(outcome.status)
        return command_id, outcome

    async def _answered(
        self, call: LiveCall, verb: str, actor: str, answer: asyncio.Future[Outcome]
    ) -> tuple[str, Outcome]:
        command_id = await asyncio.to_thread(self._issue, call, verb, actor, answer)
        try:
            async with asyncio.timeout(self._confirm_s):
                return command_id, await answer
        except TimeoutError:
            return command_id, await self._withdrawn(call.tenant_id, command_id)

    def _issue(self, call: LiveCall, verb: str, actor: str, answer: asyncio.Future[Outcome]) -> str:
        try:
            command_id = commands.issue(self._catalogue, call, verb, actor, now=self._clock.now())
        except CatalogueUnavailable:
            # A COMMIT whose answer was lost may have reached the recorder all the same.
            raise unavailable(
                "The service is away just now; look at the call before you repeat it."
            ) from None
        # A recorder that answers before this line has notified nobody; the next tick finds its answer.
        with self._lock:
            self._waiting[command_id] = _Waiting(call.tenant_id, answer)
        return command_id

    async def _withdrawn(self, tenant_id: TenantId, command_id: str) -> Outcome:
        """Take a command back unless it was taken or answered in the last moment; return how it stands."""
        try:
            return await asyncio.to_thread(commands.expire, self._catalogue, tenant_id, command_id)
        except CatalogueUnavailable:
            # Nobody can tell whether a recorder took it while we could not look.
            raise _unconfirmed(CommandStatus.TAKEN) from None

    def _settle_all(self) -> None:
        """Give every request that waits its answer, if there is one; runs in the thread of the notices."""
        with self._lock:
            waiting = dict(self._waiting)
        of_tenants: dict[TenantId, list[str]] = {}
        for command_id, request in waiting.items():
            if request.answer.done():
                self._settle(command_id, None)
            else:
                of_tenants.setdefault(request.tenant_id, []).append(command_id)
        for tenant_id, command_ids in of_tenants.items():
            # One read for all, for a recorder that answers several tells of them at once.
            found = commands.outcomes(self._catalogue, tenant_id, command_ids)
            for command_id in command_ids:
                # Without one an exempt party joined: nothing may tell of the call, not even this command.
                outcome = found.get(command_id, NotFound("The call is over."))
                if isinstance(outcome, NotFound) or outcome.final:
                    self._settle(command_id, outcome)

    def _settle(self, command_id: str, outcome: Outcome | NotFound | None) -> None:
        """Let a request wait no longer, with its answer unless it gave up."""
        with self._lock:
            request = self._waiting.pop(command_id)
        if outcome is not None:
            request.answer.get_loop().call_soon_threadsafe(_give, request.answer, outcome)


def _give(answer: asyncio.Future[Outcome], outcome: Outcome | NotFound) -> None:
    if answer.done():
        return
    if isinstance(outcome, Outcome):
        answer.set_result(outcome)
    else:
        answer.set_exception(outcome)


def _unconfirmed(status: CommandStatus) -> Problem:
    return Problem(
        HTTPStatus.GATEWAY_TIMEOUT,
        "not-confirmed",
        UNCONFIRMED if status is CommandStatus.TAKEN else WITHDRAWN,
    )


CONFIRMATIONS = web.AppKey("CONFIRMATIONS", Confirmations)
