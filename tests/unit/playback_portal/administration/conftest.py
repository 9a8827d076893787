"""A tenant of its own for each test, with an administrator, a person and keys, behind the portal of `house`."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import jsonschema
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from archive.access import Scope
from archive.audit import AuditEntry
from archive.catalogue import accounts, audit_entries, directory
from archive.model import RecordingMode, RetentionClass, Role, Tenant, User
from playback_portal.app import create_app
from playback_portal.openapi import document
from playback_portal.routes import ROUTES

DOCUMENT = document(ROUTES)
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
        yield Office(house, client, tenant, anna, boss, keys, now)
