"""A command is waited for once, by one connection, and found again whatever was missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from archive.catalogue import commands
from archive.catalogue.commands import CommandStatus
from archive.errors import CatalogueUnavailable, NotFound
from playback_portal import confirmations
from playback_portal.confirmations import Confirmations
from playback_portal.problems import Problem

ACTOR = "api-client:1"
PATIENCE_S = 20.0


@pytest.fixture
async def waiting(house: Any, clock: Any) -> AsyncIterator[Confirmations]:
    """Confirmations of their own, stopped at the end."""
    made = Confirmations(house.portal, clock)
    yield made
    await made.stop()


async def test_an_answer_that_no_notification_tells_of_is_found_all_the_same(
    waiting: Confirmations, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *arguments: object) -> None:
            return

        def wait(self, timeout_s: float) -> bool:
            time.sleep(0.01)
            return False

    monkeypatch.setattr(exchange.house.portal, "listen", lambda channel: Deaf())
    _, outcome = await waiting.confirm(exchange.call(), "pause", ACTOR)
    assert outcome.status is CommandStatus.OBEYED


async def test_a_listening_connection_that_breaks_is_made_again_and_nothing_is_missed(
    waiting: Confirmations, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen, refused = exchange.house.portal.listen, 3

    def unwilling(channel: str) -> Any:
        nonlocal refused
        if refused:
            refused -= 1
            raise CatalogueUnavailable("PostgreSQL does not answer.")
        return listen(channel)

    monkeypatch.setattr(exchange.house.portal, "listen", unwilling)
    monkeypatch.setattr("playback_portal.notices.TICK_S", 0.02)
    _, outcome = await waiting.confirm(exchange.call(), "pause", ACTOR)
    assert outcome.status is CommandStatus.OBEYED
    deadline = time.monotonic() + PATIENCE_S
    while refused and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert refused == 0
    assert (await waiting.confirm(exchange.call(), "pause", ACTOR))[1].status is CommandStatus.OBEYED


async def test_a_command_that_can_not_be_withdrawn_is_not_called_withdrawn(
    house: Any, clock: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*arguments: object) -> None:
        raise CatalogueUnavailable("PostgreSQL does not answer.")

    exchange.answer = None
    hasty = Confirmations(house.portal, clock, confirm_s=0.05)
    monkeypatch.setattr(commands, "expire", away)
    try:
        with pytest.raises(Problem) as raised:
            await hasty.confirm(exchange.call(), "pause", ACTOR)
    finally:
        await hasty.stop()
    assert raised.value.status == 504
    assert "withdrawn" not in raised.value.detail


async def test_an_answer_that_comes_with_the_last_moment_counts(
    house: Any, clock: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = Confirmations(house.portal, clock, confirm_s=0.0)
    real = commands.expire

    def expire(catalogue: Any, tenant_id: Any, command_id: str) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if commands.outcome(catalogue, tenant_id, command_id).final:
                break
            time.sleep(0.01)
        return real(catalogue, tenant_id, command_id)

    monkeypatch.setattr(commands, "expire", expire)
    try:
        _, outcome = await hasty.confirm(exchange.call(), "pause", ACTOR)
    finally:
        await hasty.stop()
    assert outcome.status is CommandStatus.OBEYED


async def test_no_more_commands_wait_than_the_bound_and_its_place_is_free_again_afterwards(
    waiting: Confirmations, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmations, "WAITING_COUNT_MAX", 2)
    exchange.answer = None
    held = [asyncio.create_task(waiting.confirm(exchange.call(), "pause", ACTOR)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Problem) as raised:
        await waiting.confirm(exchange.call(), "pause", ACTOR)
    assert (raised.value.status, raised.value.kind) == (503, "too-many-commands")
    exchange.answer = lambda command: (True, "")
    assert {(await task)[1].status for task in held} == {CommandStatus.OBEYED}
    assert (await waiting.confirm(exchange.call(), "pause", ACTOR))[1].status is CommandStatus.OBEYED


async def test_answers_to_several_requests_are_read_together(
    waiting: Confirmations, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read for each would be as many again at every answer and every tick."""
    reads: list[int] = []
    real = commands.outcomes

    def outcomes(catalogue: Any, tenant_id: Any, command_ids: list[str]) -> Any:
        reads.append(len(command_ids))
        return real(catalogue, tenant_id, command_ids)

    monkeypatch.setattr(commands, "outcomes", outcomes)
    exchange.answer = None
    requests = [asyncio.create_task(waiting.confirm(exchange.call(), "pause", ACTOR)) for _ in range(5)]
    deadline = time.monotonic() + PATIENCE_S
    while not (reads and reads[-1] == len(requests)) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert reads[-1] == len(requests)
    exchange.answer = lambda command: (True, "")
    assert {(await request)[1].status for request in requests} == {CommandStatus.OBEYED}


async def test_a_call_that_ended_before_its_command_was_issued_is_not_found(
    waiting: Confirmations, exchange: Any
) -> None:
    call = exchange.call()
    exchange.hang_up(call)
    with pytest.raises(NotFound):
        await waiting.confirm(call, "pause", ACTOR)


async def test_whoever_gave_up_waiting_is_forgotten(
    waiting: Confirmations, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playback_portal.notices.TICK_S", 0.02)
    exchange.answer = None
    task = asyncio.create_task(waiting.confirm(exchange.call(), "pause", ACTOR))
    deadline = time.monotonic() + PATIENCE_S
    while not waiting._waiting and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while waiting._waiting and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert waiting._waiting == {}


async def test_stopping_what_never_listened_is_no_mistake(house: Any, clock: Any) -> None:
    await Confirmations(house.portal, clock).stop()
