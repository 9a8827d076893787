"""Telephones of people at a desk: their calls go on in a thread beside the browser."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from tests.behaviour.course import begin, plan_of
from tests.browser.house import House, Person
from tests.crash.calls import CALLEE, Call

PATIENCE_S = 60


@dataclass
class Telephones:
    """Calls that go on in a thread of their own, for Playwright has the loop of this one."""

    house: House
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    calls: list[Call] = field(default_factory=list)

    def call(self, person: Person, callee: str = CALLEE) -> Call:
        """Let somebody call, and return when the recorder has answered."""
        call: Call = self._done(begin(plan_of(self.house.service, person.number, callee)))
        self.calls.append(call)
        return call

    def hang_up(self, call: Call) -> None:
        """End a call, whatever became of its recorder."""
        self.calls.remove(call)
        self.loop.call_soon_threadsafe(call.hang_up.set)

    async def end(self) -> None:
        """Let no call go on, nor anything that belongs to one."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, work: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return future.result(PATIENCE_S)
