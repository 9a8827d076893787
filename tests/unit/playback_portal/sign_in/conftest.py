"""A browser at the door of the portal: it keeps cookies, reads tokens off pages, and time can pass."""

from __future__ import annotations

import html
import re
import socket
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientResponse, CookieJar
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import delete

from archive.catalogue import (
    audit_entries,
    directory,
    identities,
    passwords,
    portal_sessions,
    second_factors,
)
from archive.catalogue.identities import Account
from archive.catalogue.portal_sessions import Proof, Stage
from archive.catalogue.tables import sign_in_attempts
from archive.model import Role, User, new_id
from playback_portal.app import create_app

NOW = datetime.fromisoformat("2026-11-22T09:30:00+00:00")
PASSWORD = "correct horse battery"
DOMAIN = "bakery.example"
CSRF = re.compile(r'name="csrf" value="([^"]*)"')


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


class Browser:
    """Asks for pages as a browser does; redirects are told and not followed."""

    def __init__(self, client: TestClient[Any, Any], origin: str) -> None:
        self.client = client
        self.origin = origin
        self.page = ""

    async def get(self, path: str, **headers: str) -> ClientResponse:
        answer = await self.client.get(path, headers=headers, allow_redirects=False)
        return await self._read(answer)

    async def post(
        self, path: str, form: dict[str, str] | None = None, *, token: bool = True, **headers: str
    ) -> ClientResponse:
        """Send a form with the token of the page that was last shown."""
        sent = {"Sec-Fetch-Site": "same-origin", "Origin": self.origin, **headers}
        fields = dict(form or {})
        if token and self.token:
            fields.setdefault("csrf", self.token)
        answer = await self.client.post(path, data=fields, headers=sent, allow_redirects=False)
        return await self._read(answer)

    async def send(self, path: str, body: Any) -> ClientResponse:
        """Send JSON as a script does."""
        sent = {"Sec-Fetch-Site": "same-origin", "Origin": self.origin, "X-CSRF-Token": self.token}
        return await self.client.post(path, json=body, headers=sent, allow_redirects=False)

    async def sign_in(self, login: str, password: str = PASSWORD, back: str = "/") -> ClientResponse:
        return await self.post("/sign-in", {"login": login, "password": password, "next": back}, token=False)

    @property
    def token(self) -> str:
        found = CSRF.search(self.page)
        return html.unescape(found[1]) if found else ""

    @property
    def cookie(self) -> str:
        cookies = self.client.session.cookie_jar.filter_cookies(self.client.make_url("/"))
        return cookies["ew_session"].value if "ew_session" in cookies else ""

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.session.cookie_jar.update_cookies({"ew_session": value}, self.client.make_url("/"))

    async def _read(self, answer: ClientResponse) -> ClientResponse:
        text = await answer.text()
        if answer.content_type == "text/html":
            self.page = text
        return answer


class Door:
    """The portal with people who may knock, and what stands in its audit log."""

    def __init__(self, house: Any, clock: PassingClock) -> None:
        self.house = house
        self.clock = clock
        self.tenant_id = house.tenant_id
        self.people: list[User] = []
        self._count = 0

    def person(self, role: Role = Role.USER, password: str | None = PASSWORD, email: str = "") -> User:
        """Return somebody new who can sign in."""
        login = f"p{new_id(NOW)[-12:]}"
        user = directory.add_user(self.house.operator, self.tenant_id, login, now=NOW, role=role)
        if password is not None:
            passwords.set_password(self.house.operator, self.tenant_id, login, password)
        if email:
            account = Account(self.tenant_id, user.id)
            with self.house.operator.transaction(self.tenant_id) as connection:
                identities.set_email(connection, account, email)
                identities.prove_email(connection, account, now=NOW)
        return user

    def let_in(self, browser: Browser, user: User, now: datetime = NOW) -> None:
        """Give a browser a session of somebody who proved all there is to prove."""
        with self.house.portal.transaction(user.tenant_id) as connection:
            proofs = [Proof.PASSWORD, Proof.TOTP]
            browser.cookie, _ = portal_sessions.open_session(
                connection, user.tenant_id, user.id, stage=Stage.SIGNED_IN, proofs=proofs, now=now
            )

    def give_authenticator(self, user: User) -> None:
        account = Account(user.tenant_id, user.id)
        with self.house.portal.transaction(user.tenant_id) as connection:
            secret = second_factors.new_secret()
            second_factors.set_totp(connection, self.house.root, account, secret, 1, now=NOW)

    def login(self, user: User) -> str:
        return f"{user.login}@{DOMAIN}"

    def events(self, user: User) -> list[tuple[str, str]]:
        """Return what the audit log says a person did, in the order of writing."""
        entries = audit_entries.of_tenant(self.house.portal, self.tenant_id)
        mine = [entry for entry in entries if entry.actor == f"user:{user.id}"]
        return [(entry.action, entry.result) for entry in sorted(mine, key=lambda each: each.sequence)]


@pytest.fixture
def clock() -> PassingClock:
    return PassingClock()


@pytest.fixture
def door(house: Any, clock: PassingClock) -> Any:
    """People at the door; nobody has to wait for what others tried before. Letters of other tests are gone."""
    _forget_attempts(house)
    yield Door(house, clock)
    _forget_attempts(house)


def _forget_attempts(house: Any) -> None:
    """Take counted attempts and letters away: all tests on the house come from one address, at one time."""
    with house.portal.transaction() as connection:
        connection.execute(delete(sign_in_attempts))
    house.post.sent.clear()


@pytest.fixture
async def browsers(house: Any, clock: PassingClock) -> AsyncIterator[Callable[[], Browser]]:
    """Return a maker of browsers of one portal."""
    # Held from here on: a port that was free a moment ago may be somebody else's by now.
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    origin = f"http://localhost:{listening.getsockname()[1]}"
    made: list[TestClient[Any, Any]] = []
    app = create_app(house.services(clock=clock, url=origin))
    server = TestServer(app, host="localhost", socket_factory=lambda *_: listening)
    await server.start_server()

    def make() -> Browser:
        client = TestClient(server, cookie_jar=CookieJar(unsafe=True))
        made.append(client)
        return Browser(client, f"http://{urlsplit(str(client.make_url('/'))).netloc}")

    yield make
    for client in made:
        await client.close()
    await server.close()


@pytest.fixture
async def browser(browsers: Callable[[], Browser]) -> Browser:
    return browsers()
