"""A tenant of its own for tests of annotations: people in each relation to one recording of Anna."""

from __future__ import annotations

import html
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from archive.access import Scope
from archive.catalogue import accounts, audit_entries, directory
from archive.model import Recording, Role

NOW = datetime(2026, 11, 22, 9, 30, 0, 123000, tzinfo=UTC)
_desks = itertools.count()


class Desk:
    """A tenant with people, a recording of Anna, and what each of them gets to see of it."""

    def __init__(self, client: TestClient[Any, Any], house: Any, archive: Callable[..., Recording]) -> None:
        self.client, self.house = client, house
        name = f"desk-{next(_desks)}"
        self.tenant = directory.add_tenant(house.operator, name, f"{name}.example", now=NOW)
        self.headers: dict[str, dict[str, str]] = {}
        self.people = {}
        for login, role in (
            ("anna", Role.USER),
            ("bert", Role.USER),
            ("otto", Role.AUDITOR),
            ("ada", Role.ADMINISTRATOR),
        ):
            user = directory.add_user(house.operator, self.tenant.id, login, now=NOW, role=role, access="own")
            self.people[login] = user
            self._key(login, user_id=user.id)
        self._key("program")
        self._key("reader", (Scope.RECORDINGS_READ,))
        self.recording = archive(self.tenant.id, 1, owner=self.people["anna"].id)

    def _key(self, name: str, scopes: tuple[str, ...] = tuple(Scope), user_id: Any = None) -> None:
        made = accounts.add_api_client(
            self.house.operator, self.tenant.id, name, scopes, now=NOW, user_id=user_id
        )
        self.headers[name] = {"Authorization": f"Bearer {made.key}"}

    async def ask(
        self, method: str, path: str, who: str = "anna", body: Any = None, **headers: str
    ) -> ClientResponse:
        """Ask for a path below the recording, or for a whole one."""
        whole = path if path.startswith("/") else f"/v1/recordings/{self.recording.id}/{path}"
        sent = {**self.headers[who], **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self.client.request(method, whole, json=body, headers=sent)

    async def form(self, path: str, who: str = "anna", htmx: bool = True, **fields: str) -> tuple[int, str]:
        """Send a form of the page of the recording, or of a whole path; return status and text."""
        whole = path if path.startswith("/") else f"/recordings/{self.recording.id}/{path}"
        headers = {**self.headers[who], "Accept-Language": "nl", **({"HX-Request": "true"} if htmx else {})}
        answer = await self.client.post(whole, data=fields, headers=headers, allow_redirects=False)
        return answer.status, html.unescape(await answer.text())

    async def page(self, path: str = "", who: str = "anna") -> str:
        """Return a page as somebody sees it, by default that of the recording."""
        whole = path if path.startswith("/") else f"/recordings/{self.recording.id}{path and '/'}{path}"
        answer = await self.client.get(whole, headers={**self.headers[who], "Accept-Language": "nl"})
        assert answer.status == 200, await answer.text()
        return await answer.text()

    async def get(self, path: str, who: str = "anna", status: int = 200) -> Any:
        answer = await self.ask("GET", path, who)
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)

    async def found(self, text: str) -> bool:
        """Return whether the recording is found by a text."""
        page = await self.get(f"/v1/recordings?q={quote(text)}", "program")
        return self.recording.id in [each["id"] for each in page["items"]]

    async def say(self, text: str = "Mooi", at_ms: int = 100, who: str = "anna") -> Any:
        answer = await self.ask("POST", "comments", who, {"text": text, "atMs": at_ms})
        assert answer.status == 201, await answer.text()
        return await answer.json()

    def log(self) -> list[Any]:
        return audit_entries.of_object(self.house.portal, self.tenant.id, f"recording:{self.recording.id}")
