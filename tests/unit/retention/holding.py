"""Holding recordings in tests as the portal does, and what must be true of a held or destroyed one."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import case_release, cases, destructions, recordings
from archive.catalogue.cases import BeingDestroyed
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import users
from archive.errors import DependencyUnavailable
from archive.model import ArchivedRecording, ObjectKind, RecordingState, Role, Tenant, UserId
from archive.playback import Action, Playback
from retention.expiry import Expiry
from tests.unit.retention.ageing import Ageing, auditor, objects_of


class Killed(BaseException):
    """The worker died here."""


def person(tenant: Tenant, name: str, role: Role = Role.AUDITOR) -> AccessScope:
    return AccessScope(tenant.id, f"user:{name}", role, UserId(name))


def enter(portal: Catalogue, *people: AccessScope) -> None:
    """Let people be in the directory, by the ids they act under."""
    for scope in people:
        assert scope.user_id is not None
        assert scope.role is not None
        row = {"id": scope.user_id, "tenant_id": scope.tenant_id, "login": f"as-{scope.user_id}"}
        rights = {"role": scope.role.value, "access": "none", "mode": "never"}
        with portal.transaction(scope.tenant_id) as connection:
            connection.execute(upsert(users).values(row | rights).on_conflict_do_nothing())


def opened(portal: Catalogue, scope: AccessScope, ageing: Ageing, name: str = "Claim 12") -> str:
    with portal.transaction(scope.tenant_id) as connection:
        return cases.open_case(connection, scope, name, "A claim", now=ageing.house.clock.now())


def hold(ageing: Ageing, tenant: Tenant, archived: ArchivedRecording) -> str:
    """Hold a recording as the portal does, in one transaction, and return its case."""
    scope, now = person(tenant, "anna"), ageing.house.clock.now()
    with ageing.portal.transaction(tenant.id) as connection:
        case_id = cases.open_case(connection, scope, "", "A claim", now=now)
        cases.add_one(connection, scope, case_id, archived.recording.id, now=now)
    return case_id


def grant(ageing: Ageing, tenant: Tenant, case_id: str) -> None:
    """Release a case as the portal does, and do not wait for its recordings."""
    anna, ben = person(tenant, "anna"), person(tenant, "ben", Role.ADMINISTRATOR)
    enter(ageing.portal, anna, ben)
    now = ageing.house.clock.now()
    with ageing.portal.transaction(tenant.id) as connection:
        cases.ask_release(connection, anna, case_id, "Settled", now=now)
    with ageing.portal.transaction(tenant.id) as connection:
        cases.grant_release(connection, ben, case_id, now=now)


def release(ageing: Ageing, tenant: Tenant, case_id: str) -> None:
    grant(ageing, tenant, case_id)
    now = ageing.house.clock.now()
    while case_release.count_waiting(ageing.worker, tenant.id):
        case_release.let_go(ageing.worker, tenant.id, now=now)


def on_hold(ageing: Ageing, tenant: Tenant, archived: ArchivedRecording) -> bool:
    return recordings.get(ageing.portal, auditor(tenant), archived.recording.id).recording.on_hold


def assert_held_and_whole(ageing: Ageing, tenant: Tenant, archived: ArchivedRecording) -> None:
    found = recordings.get(ageing.portal, auditor(tenant), archived.recording.id)
    assert (found.recording.state, found.recording.on_hold) == (RecordingState.AVAILABLE, True)
    pinned = {item.key for item in archived.objects}
    assert pinned <= set(objects_of(ageing.store, tenant, archived.recording.id))
    audit = AuditWriter(ageing.portal, "portal/test")
    playback = Playback(ageing.store, ageing.house.vault, ageing.portal, audit, ageing.house.clock)
    reader = playback.open_object(auditor(tenant), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)
    assert reader.read(0, reader.length).startswith(b"fLaC")


def assert_destroyed(ageing: Ageing, tenant: Tenant, archived: ArchivedRecording) -> None:
    found = recordings.get(ageing.portal, auditor(tenant), archived.recording.id).recording
    assert (found.state, found.on_hold) == (RecordingState.DESTROYED, False)
    assert objects_of(ageing.store, tenant, archived.recording.id) == []
    destructions.certificate_of(ageing.portal, auditor(tenant), archived.recording.id)


class Steps:
    """Calls something between any two steps of a worker: transactions, and requests to the store."""

    def __init__(self) -> None:
        self.count = 0
        self.at: dict[int, Callable[[], None]] = {}
        self._inside = threading.local()

    def step(self) -> None:
        if getattr(self._inside, "transaction", False):
            return
        self.count += 1
        if self.count in self.at:
            self.at.pop(self.count)()

    def catalogue(self, catalogue: Catalogue) -> Catalogue:
        """Return the same catalogue with a step before and after each transaction."""
        steps = self

        class Stepping(Catalogue):
            def __init__(self) -> None:
                self.__dict__ = catalogue.__dict__

            @contextmanager
            def transaction(self, tenant_id: Any = None) -> Iterator[Connection]:
                steps.step()
                steps._inside.transaction = True
                try:
                    with catalogue.transaction(tenant_id) as connection:
                        yield connection
                finally:
                    steps._inside.transaction = False
                steps.step()

        return Stepping()

    def store(self, store: Any) -> Any:
        """Return the same store with a step before and after each deletion and listing."""
        steps = self

        class Stepping:
            def __getattr__(self, name: str) -> Any:
                found = getattr(store, name)
                if name not in {"delete", "versions"}:
                    return found

                def stepping(*arguments: Any) -> Any:
                    steps.step()
                    answer = found(*arguments)
                    steps.step()
                    return answer

                return stepping

        return Stepping()


def stepping_sweep(ageing: Ageing, steps: Steps, node: str = "one") -> Expiry:
    worker = steps.catalogue(ageing.worker)
    other = dataclasses.replace(ageing, worker=worker)
    return other.sweep(node, steps.store(ageing.store))


def swept(sweep: Expiry, tenant: Tenant) -> bool:
    """Sweep; return whether the worker lived to its end."""
    try:
        sweep.batch(tenant.id)
    except Killed:
        return False
    except DependencyUnavailable:
        return True
    return True


def holding(
    ageing: Ageing, tenant: Tenant, archived: ArchivedRecording, answers: list[str]
) -> Callable[[], None]:
    """Return what holds the recording and notes the answer."""

    def act() -> None:
        try:
            hold(ageing, tenant, archived)
        except BeingDestroyed as error:
            answers.append("409" if "it began at 20" in str(error) else str(error))
        else:
            answers.append("held")

    return act
