"""Living and being ready are two things, and the second is told as it is."""

import threading
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from playback_portal import health
from playback_portal.app import create_app


async def test_a_portal_with_database_and_store_is_ready(api: Any) -> None:
    assert (await api.get("/livez", None)).status == 200
    answer = await api.get("/readyz", None)
    assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_a_portal_without_its_store_lives_and_is_not_ready(api: Any) -> None:
    api.house.store.away_after = 0
    answer = await api.get("/readyz", None)
    assert (answer.status, await answer.text()) == (503, "away: store\n")
    assert answer.headers["Retry-After"]
    assert (await api.get("/livez", None)).status == 200


async def test_a_dependency_that_hangs_is_away_and_asked_by_one_thread_alone(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "READY_S_MAX", 0.05)
    released, asked = threading.Event(), []

    def hanging() -> bool:
        asked.append(1)
        released.wait(30)
        return True

    services = house.services(checks={"database": hanging, "store": lambda: True})
    async with TestClient(TestServer(create_app(services))) as client:
        for _ in range(5):
            answer = await client.get("/readyz")
            assert (answer.status, await answer.text()) == (503, "away: database\n")
        released.set()
    assert len(asked) == 1


async def test_a_check_that_fails_on_its_own_is_away(house: Any) -> None:
    def broken() -> bool:
        raise OSError("no route to host")

    async with TestClient(TestServer(create_app(house.services(checks={"store": broken})))) as client:
        assert (await client.get("/readyz")).status == 503
