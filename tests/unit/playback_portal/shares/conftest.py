"""People who share, and visitors with a browser each: time passes when they wait for the pace."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientResponse, CookieJar
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import delete

from archive.access import Right, Scope
from archive.catalogue import accounts, directory, rights, share_policies
from archive.catalogue.tables import sign_in_attempts
from archive.model import Recording, Role, TenantId, User
from playback_portal import play_links
from playback_portal.app import create_app

NOW = datetime.fromisoformat("2026-11-22T09:30:00+00:00")
SHARING = (Scope.RECORDINGS_READ, Scope.RECORDINGS_PLAY, Scope.RECORDINGS_SHARE, Scope.RECORDINGS_EMAIL)


class PassingClock:
    """A clock that stands still until it is told that time passes."""

    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return (self.moment - NOW).total_seconds()

    def passes(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class Waiter:
    """Waits for the pace by letting the clock pass; with `held` until that is set."""

    def __init__(self, clock: PassingClock) -> None:
        self.clock = clock
        self.waited: list[float] = []
        self.held: asyncio.Event | None = None

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        if self.held is not None:
            await self.held.wait()
        else:
            self.clock.passes(seconds)


class Visitor:
    """Somebody with a link and a browser of their own."""

    def __init__(self, client: TestClient[Any, Any], address: str) -> None:
        self.client = client
        self.address = "/s/" + address.rpartition("/s/")[2]

    async def get(self, rest: str = "", **headers: str) -> ClientResponse:
        return await self.client.get(self.address + rest, headers=headers, allow_redirects=False)

    async def post(self, rest: str, form: dict[str, str] | None = None, **headers: str) -> ClientResponse:
        sent = {"Sec-Fetch-Site": "same-origin", **headers}
        return await self.client.post(
            self.address + rest, data=form or {}, headers=sent, allow_redirects=False
        )

    async def sound(self, asked: str = "bytes=0-") -> tuple[int, bytes, ClientResponse]:
        answer = await self.get("/sound", Range=asked)
        return answer.status, await answer.read(), answer

    async def all_sound(self) -> bytes:
        """Ask for piece after piece as fast as it goes."""
        heard, length = b"", None
        while length is None or len(heard) < length:
            status, piece, answer = await self.sound(f"bytes={len(heard)}-")
            assert status == 206, (status, piece)
            found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers["Content-Range"])
            assert found is not None
            assert (int(found[1]), int(found[2]) + 1) == (len(heard), len(heard) + len(piece))
            length = int(found[3])
            heard += piece
        return heard


class Office:
    """A tenant with somebody who may share, an administrator and an auditor, and their recordings."""

    def __init__(self, house: Any, client: TestClient[Any, Any], waiter: Waiter, name: str) -> None:
        self.house = house
        self.client = client
        self.waiter = waiter
        self.clock = waiter.clock
        tenant = directory.add_tenant(house.operator, "Lindekade Techniek", f"{name}.example", now=NOW)
        self.tenant_id: TenantId = tenant.id
        self.keys: dict[str, str] = {}
        self.people: dict[str, User] = {}
        self.sharer = self.person("anna")
        rights.set_rights(house.operator, tenant.id, self.sharer.id, {Right.SHARE: True, Right.EMAIL: True})
        self.person("bert")
        self.person("ada", Role.ADMINISTRATOR)
        self.person("otto", Role.AUDITOR)
        self.keys["program"] = accounts.add_api_client(house.operator, tenant.id, "crm", SHARING, now=NOW).key
        self.visitors: list[TestClient[Any, Any]] = []

    def person(self, login: str, role: Role = Role.USER) -> User:
        user = directory.add_user(self.house.operator, self.tenant_id, login, now=NOW, role=role)
        self.keys[login] = accounts.add_api_client(
            self.house.operator, self.tenant_id, f"of {login}", tuple(Scope), now=NOW, user_id=user.id
        ).key
        self.people[login] = user
        return user

    def set_policy(self, **changes: Any) -> None:
        share_policies.set_policy(self.house.operator, self.tenant_id, **changes)

    async def api(self, method: str, path: str, who: str = "anna", body: Any = None) -> ClientResponse:
        headers = {"Authorization": f"Bearer {self.keys[who]}", "Accept-Language": "nl"}
        return await self.client.request(method, path, json=body, headers=headers)

    async def share(self, recording: Recording, who: str = "anna", **body: Any) -> dict[str, Any]:
        answer = await self.api("POST", f"/v1/recordings/{recording.id}/shares", who, body)
        assert answer.status == 201, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found

    async def visitor(self, share: dict[str, Any] | str) -> Visitor:
        """Return somebody who has not been here before."""
        client: TestClient[Any, Any] = TestClient(self.client.server, cookie_jar=CookieJar(unsafe=True))
        self.visitors.append(client)
        return Visitor(client, share if isinstance(share, str) else share["link"])


_offices = iter(range(10**6))


@pytest.fixture
async def office(house: Any) -> AsyncIterator[Office]:
    """A portal whose clock passes while it waits."""
    clock = PassingClock()
    app = create_app(house.services(clock=clock))
    waiter = Waiter(clock)
    app[play_links.SLEEP] = waiter.sleep
    server = TestServer(app)
    await server.start_server()
    client: TestClient[Any, Any] = TestClient(server)
    house.post.sent.clear()
    made = Office(house, client, waiter, f"sharing-{next(_offices)}")
    yield made
    for each in (*made.visitors, client):
        await each.close()
    await server.close()
    with house.portal.transaction() as connection:
        connection.execute(delete(sign_in_attempts))
    house.post.sent.clear()


@pytest.fixture
def recording(office: Office, archive: Callable[..., Recording]) -> Recording:
    """Forty seconds of a call of Anna's."""
    return archive(office.tenant_id, 30, seconds=40, owner=office.sharer.id)
