"""A tenant of its own for each test, with an administrator, a person and keys, behind the portal of `house`."""

from __future__ import annotations

import dataclasses
import html
import itertools
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

import jsonschema
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from archive import jobs
from archive.access import AccessScope, Scope
from archive.audit import AuditEntry
from archive.catalogue import accounts, audit_entries, directory, recordings
from archive.model import (
    Party,
    Recording,
    RecordingId,
    RecordingMode,
    RetentionClass,
    Role,
    SessionId,
    Tenant,
    User,
    new_id,
)
from playback_portal.app import create_app
from playback_portal.openapi import document
from playback_portal.routes import ROUTES

DOCUMENT = document(ROUTES)
NOTHING = "00000000-0000-7000-8000-000000000000"
"""An id that nothing has."""

_numbers = itertools.count(1)


@dataclasses.dataclass
class Office:
    """The administration of one tenant: who works there, and with which keys."""

    house: Any
    client: TestClient[Any, Any]
    tenant: Tenant
    anna: User
    boss: User
    keys: dict[str, str]
    now: Any
    people: dict[str, User]

    async def send(
        self, method: str, path: str, body: Any = None, *, key: str = "administration", **options: Any
    ) -> ClientResponse:
        headers = {"Authorization": f"Bearer {self.keys[key]}", **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        return await self.client.request(method, path, headers=headers, **options)

    async def read(self, path: str, schema: str, status: int = 200, **options: Any) -> Any:
        """Return what GET answers, once it has the shape the API description tells."""
        return await self.told(await self.send("GET", path, **options), schema, status)

    async def told(self, answer: ClientResponse, schema: str, status: int) -> Any:
        found = await answer.json(content_type=None)
        assert answer.status == status, found
        jsonschema.Draft202012Validator(
            {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]},
            format_checker=jsonschema.FormatChecker(),
        ).validate(found)
        return found

    async def problem(self, answer: ClientResponse, status: int) -> Any:
        return await self.told(answer, "Problem", status)

    def signed_in(self, user: User) -> dict[str, str]:
        """Return what the browser of somebody who signed in sends."""
        headers: dict[str, str] = self.house.signed_in(user, self.now)
        return headers

    async def as_person(self, who: str, method: str, path: str, body: Any = None) -> ClientResponse:
        headers = self.signed_in(self.people[who])
        return await self.client.request(method, path, json=body, headers=headers)

    async def opened(self, who: str, path: str, status: int = 200, language: str = "nl") -> str:
        """Return the page somebody sees."""
        headers = {**self.signed_in(self.people[who]), "Accept-Language": language}
        answer = await self.client.get(path, headers=headers)
        assert answer.status == status, await answer.text()
        return html.unescape(await answer.text())

    async def posted(
        self, who: str, path: str, form: Iterable[tuple[str, str]] = (), **fields: str
    ) -> ClientResponse:
        """Send a form, some fields of it several times."""
        headers = {**self.signed_in(self.people[who]), "Accept-Language": "nl"}
        data = [*form, *fields.items()]
        return await self.client.post(path, data=data, headers=headers, allow_redirects=False)

    def stored(self, *parties: Party, sound: bool = False, **changes: Any) -> Recording:
        """Put a recording of nobody into the catalogue, as a recorder would; with `sound`, it names objects."""
        house, started = self.house, self.now - timedelta(hours=1)
        scope = AccessScope(house.tenant_id, "test", scopes=frozenset({Scope.RECORDINGS_READ}))
        pattern = recordings.get(house.portal, scope, house.recordings["two-party"].id)
        fields: dict[str, Any] = {
            "id": RecordingId(new_id(started)),
            "session_id": SessionId(new_id(started)),
            "tenant_id": self.tenant.id,
            "owner": None,
            "started_at": started,
            "parties": parties or pattern.recording.parties,
        }
        recording = dataclasses.replace(pattern.recording, **{**fields, **changes})
        objects = pattern.objects if sound else ()
        archived = dataclasses.replace(pattern, recording=recording, objects=objects)
        with house.recorder.transaction(self.tenant.id) as connection:
            recordings.insert_recording(connection, archived)
        return recording

    async def holds(self, recording: Recording) -> bool:
        """Return whether a recording is on hold, for who may hold it."""
        found = await self.read(f"/v1/recordings/{recording.id}", "Recording", key="holder")
        on_hold: bool = found["onHold"]
        return on_hold

    def log(self, subject: str) -> list[AuditEntry]:
        """Return what stands in the audit log of the tenant about something, oldest first."""
        return audit_entries.of_object(self.house.portal, self.tenant.id, subject)

    def events(self, subject: str) -> list[tuple[str, str]]:
        return [(entry.action, entry.result) for entry in self.log(subject)]


@pytest.fixture
async def office(house: Any) -> AsyncIterator[Office]:
    """The portal over a real socket, and a tenant nothing else works with."""
    services = house.services()
    now = services.clock.now()
    operator = house.operator
    tenant = directory.add_tenant(operator, "Office", f"office-{next(_numbers)}.example", now=now)
    before = now - timedelta(days=30)
    anna = directory.add_user(
        operator,
        tenant.id,
        "anna",
        now=before,
        numbers=("+31201234567",),
        licence=RetentionClass.YEARS_7_1000,
        mode=RecordingMode.ALWAYS,
    )
    boss = directory.add_user(operator, tenant.id, "boss", now=before, role=Role.ADMINISTRATOR)
    every = tuple(Scope)

    def key(name: str, scopes: tuple[Scope, ...], user: User | None = None) -> str:
        user_id = None if user is None else user.id
        return accounts.add_api_client(operator, tenant.id, name, scopes, now=now, user_id=user_id).key

    keys = {
        "administration": key("administration", (Scope.ADMINISTRATION,)),
        "quarantine": key("quarantine", (Scope.ADMINISTRATION, Scope.RECORDINGS_READ)),
        "reader": key("reader", (Scope.RECORDINGS_READ,)),
        "boss": key("boss", every, boss),
        "anna": key("anna", every, anna),
    }
    async with TestClient(TestServer(create_app(services))) as client:
        people = {"boss": boss, "anna": anna}
        yield Office(house, client, tenant, anna, boss, keys, now, people)


@pytest.fixture
def ella(office: Office) -> User:
    """An auditor beside the administrator, with a key; and a key of nobody that may hold and read."""
    operator, tenant, now = office.house.operator, office.tenant, office.now
    ella = directory.add_user(operator, tenant.id, "ella", now=now, role=Role.AUDITOR)
    office.people["ella"] = ella
    for name, user_id in (("holder", None), ("ella", ella.id)):
        made = accounts.add_api_client(operator, tenant.id, name, tuple(Scope), now=now, user_id=user_id)
        office.keys[name] = made.key
    return ella


@pytest.fixture
def deferred(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """Collect the jobs instead of handing them over."""
    found: list[tuple[str, dict[str, str]]] = []

    def defer(database_url: str, task: str, **arguments: str) -> bool:
        found.append((task, arguments))
        return True

    monkeypatch.setattr(jobs, "defer", defer)
    return found
