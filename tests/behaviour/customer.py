"""Customers of a running service, entered as its operator does, and what the recorder knows of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

from archive.catalogue import accounts, directory
from archive.catalogue.engine import Catalogue
from archive.catalogue.snapshot import Directory
from archive.embedded.service_file import read_service
from archive.model import RecordingMode, RetentionClass, TenantId, User, UserId
from keys.local_seal import open_whole
from keys.node_key import load_or_create
from keys.root import open_root
from tests.running_service import SCOPES, Answer, RunningService, eventually

EVENTS_S_MAX = 12.0
"""What is silent for longer has nothing to tell: a heartbeat comes only after that."""

_CONTEXT = b"earwitness directory"


@contextmanager
def operating(service: RunningService, role: str = "operator") -> Iterator[Catalogue]:
    """Open the catalogue as the operator, or as another role of the database."""
    catalogue = Catalogue(read_service(service.directory).database_urls[role])
    try:
        yield catalogue
    finally:
        catalogue.close()


@dataclass
class Customer:
    """One tenant: its people, and keys that act as them; `key` is that of a program for all of it."""

    service: RunningService
    domain: str
    tenant_id: TenantId
    key: str
    people: dict[str, UserId] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    @classmethod
    def add(cls, service: RunningService, domain: str, provider: str = "", group: str = "") -> Self:
        """Enter a customer, perhaps by the BroadWorks names its calls carry."""
        now = datetime.now(UTC)
        with operating(service) as catalogue:
            tenant = directory.add_tenant(
                catalogue,
                domain,
                domain,
                now=now,
                broadworks_service_provider=provider or None,
                broadworks_group=group or None,
            )
            client = accounts.add_api_client(catalogue, tenant.id, "tests", SCOPES, now=now)
        return cls(service, domain, tenant.id, client.key)

    def enter(
        self, login: str, *numbers: str, mode: str = "always", licence: str = "90d", **more: Any
    ) -> UserId:
        """Enter a person and return their id."""
        wanted = None if licence == "none" else RetentionClass(licence)
        with operating(self.service) as catalogue:
            user = directory.add_user(
                catalogue,
                self.tenant_id,
                login,
                now=datetime.now(UTC),
                numbers=numbers,
                mode=RecordingMode(mode),
                licence=wanted,
                **more,
            )
        self.people[login] = user.id
        return user.id

    def key_of(self, login: str) -> str:
        """Return a key that acts as a person, made when it is first asked for."""
        if login not in self.keys:
            with operating(self.service) as catalogue:
                client = accounts.add_api_client(
                    catalogue,
                    self.tenant_id,
                    f"app of {login}",
                    SCOPES,
                    now=datetime.now(UTC),
                    user_id=self.people[login],
                )
            self.keys[login] = client.key
        return self.keys[login]

    def get(self, path: str, login: str | None = None, **headers: str) -> Answer:
        """Ask the API, as a program or as a person."""
        return self.service.get(path, self.key if login is None else self.key_of(login), **headers)

    def send(
        self, method: str, path: str, body: object = None, login: str | None = None, **headers: str
    ) -> Answer:
        """Send a request to the API, as a program or as a person."""
        key = self.key if login is None else self.key_of(login)
        return self.service.send(method, path, body, key, **headers)

    def items(self, path: str, login: str | None = None) -> list[dict[str, Any]]:
        """Return the first page of a list."""
        answer = self.get(f"{path}?limit=200", login)
        assert answer.status == 200, answer.body
        return list(answer.json()["items"])

    def live(self, call_id: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the recordings under way of a call, once there are that many, by owner."""

        def look() -> list[dict[str, Any]]:
            found = [item for item in self.items("/v1/calls") if item["callId"] == call_id]
            return found if len(found) == count else []

        return sorted(
            eventually(look, f"{count} of {call_id} are shown"), key=lambda item: str(item["owner"])
        )

    def recordings_of(self, call_id: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the archived recordings of a call, once there are that many, by owner."""

        def look() -> list[dict[str, Any]]:
            found = [item for item in self.items("/v1/recordings") if item["callId"] == call_id]
            return found if len(found) == count else []

        found = eventually(look, f"{count} of {call_id} are archived")
        return sorted(found, key=lambda item: str(item["owner"]))

    def outcome_of(self, call_id: str) -> dict[str, Any]:
        """Return how the session of a call ended, once it is told."""

        def look() -> dict[str, Any] | None:
            return next((item for item in self.items("/v1/sessions") if item["callId"] == call_id), None)

        found = eventually(look, f"call {call_id} has an outcome")
        assert found is not None
        return found

    def events(
        self, enough: Callable[[list[dict[str, Any]]], bool], login: str | None = None
    ) -> list[dict[str, Any]]:
        """Return what the event stream tells from the beginning of the day until that is enough."""
        key = self.key if login is None else self.key_of(login)
        connection = HTTPConnection("127.0.0.1", self.service.portal_port, timeout=EVENTS_S_MAX)
        found: list[dict[str, Any]] = []
        try:
            headers = {"Authorization": f"Bearer {key}", "Last-Event-ID": "0"}
            connection.request("GET", "/v1/events", headers=headers)
            stream = connection.getresponse()
            assert stream.status == 200, stream.read()
            while not enough(found):
                line = stream.readline()
                assert line, f"the stream ended after {found}"
                if line.startswith(b"data: "):
                    found.append(json.loads(line[6:]))
        finally:
            connection.close()
        return found

    def settled(self, login: str, condition: Callable[[User], bool]) -> None:
        """Return when the recorder knows of a person what it should."""
        user_id = self.people[login]

        def look() -> bool:
            user = known(self.service).user(user_id)
            return user is not None and condition(user)

        eventually(look, f"the recorder knows this of {login}")


def known(service: RunningService) -> Directory:
    """Return the directory by which the recorder decides now."""
    environment = read_service(service.directory).environment
    journal = Path(environment["EARWITNESS_JOURNAL_DIR"])
    key = _node_key(
        journal / "node.key",
        environment["EARWITNESS_KEYRING"],
        Path(environment["EARWITNESS_KEYRING_PASSPHRASE_FILE"]),
    )
    return Directory.from_json(open_whole(key, (journal / "directory.sealed").read_bytes(), _CONTEXT))


@lru_cache
def _node_key(path: Path, keyring: str, passphrase: Path) -> bytes:
    return load_or_create(path, open_root(keyring, passphrase.read_bytes()))
