"""Privacy requests are forgotten when their own term is over, and not while anything of them goes on."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import procrastinate
import psycopg
import pytest
from procrastinate.testing import InMemoryConnector
from structlog.testing import capture_logs

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import data_subjects
from archive.catalogue.audit_entries import of_object
from archive.catalogue.data_subjects import NewRequest, Request
from archive.catalogue.engine import Catalogue
from archive.data_subject import Ground, Outcome, RequestKind
from archive.errors import NotFound
from archive.model import Role, Tenant, UserId
from retention.due_time import ClockDisbelieved
from retention.request_terms import REQUESTS_SWEEP, add_request_terms, forget_over

KEPT_DAYS = 1826


class Office:
    """Takes requests of one tenant in, answers and closes them, and forgets what is over."""

    def __init__(self, portal: Catalogue, worker: Catalogue, tenant: Tenant, clock: Any) -> None:
        self.portal, self.tenant, self.clock = portal, tenant, clock
        self.scope = AccessScope(tenant.id, "user:boss", Role.ADMINISTRATOR, UserId("boss"))
        self._audit = AuditWriter(worker, "worker/one")

    def take_in(self) -> Request:
        new = NewRequest(RequestKind.OBJECTION, "A. Jansen", "Dorpsstraat 1", self.clock.now().date())
        with self.portal.transaction(self.tenant.id) as connection:
            return data_subjects.take_in(connection, self.scope, new, now=self.clock.now())

    def refuse(self, request: Request) -> None:
        with self.portal.transaction(self.tenant.id) as connection:
            data_subjects.answer(
                connection,
                self.scope,
                request.id,
                Outcome.REFUSED,
                ground=Ground.NOT_IDENTIFIED,
                text="Who are you?",
                now=self.clock.now(),
            )

    def close(self, request: Request) -> None:
        with self.portal.transaction(self.tenant.id) as connection:
            data_subjects.close(connection, self.scope, request.id, now=self.clock.now())

    def forget(self) -> int:
        return forget_over(self._audit, self.clock.now, KEPT_DAYS, self.tenant.id)

    def knows(self, request: Request) -> bool:
        try:
            data_subjects.get(self.portal, self.scope, request.id)
        except NotFound:
            return False
        return True


@pytest.fixture
def office(portal: Catalogue, worker: Catalogue, bakery: Tenant, clock: Any) -> Office:
    return Office(portal, worker, bakery, clock)


def test_what_was_closed_goes_when_its_term_is_over_and_the_log_keeps_that_it_was(
    office: Office, portal: Catalogue, bakery: Tenant, clock: Any
) -> None:
    request = office.take_in()
    office.refuse(request)
    clock.moment += timedelta(days=40)
    office.close(request)
    clock.moment += timedelta(days=KEPT_DAYS)
    assert office.forget() == 0  # not until the day is over
    assert office.knows(request)
    clock.moment += timedelta(seconds=1)
    assert office.forget() == 1
    assert not office.knows(request)
    [entry] = of_object(portal, bakery.id, f"data-subject-request:{request.id}")
    assert (entry.action, entry.body) == ("data-subject.forgotten", {"keptDays": KEPT_DAYS})
    assert office.forget() == 0


def test_what_nobody_closed_counts_from_its_answer_and_what_waits_for_one_stays(
    office: Office, clock: Any
) -> None:
    waits, answered = office.take_in(), office.take_in()
    office.refuse(answered)
    clock.moment += timedelta(days=KEPT_DAYS, seconds=1)
    assert office.forget() == 1
    assert office.knows(waits)
    assert not office.knows(answered)


@pytest.mark.parametrize(("state", "stays"), [("ready", True), ("ended", False)])
def test_one_whose_package_can_still_be_fetched_stays(
    office: Office, database: Any, clock: Any, state: str, stays: bool
) -> None:
    request = office.take_in()
    office.refuse(request)
    clock.moment += timedelta(days=KEPT_DAYS, seconds=1)
    add_package(database.connect(), office, request, state)
    assert office.forget() == int(not stays)
    assert office.knows(request) is stays


def test_other_tenants_are_left_alone(
    office: Office, portal: Catalogue, worker: Catalogue, florist: Tenant, clock: Any
) -> None:
    theirs = Office(portal, worker, florist, clock)
    request = theirs.take_in()
    theirs.refuse(request)
    clock.moment += timedelta(days=KEPT_DAYS, seconds=1)
    assert office.forget() == 0
    assert theirs.knows(request)


def test_a_job_goes_on_until_nothing_is_left_and_a_clock_that_is_not_believed_forgets_nothing() -> None:
    left = {"bakery": [2, 1, 0], "florist": [0]}
    app = procrastinate.App(connector=InMemoryConnector())
    disbelieved: list[bool] = []

    def forget(tenant_id: str) -> int:
        if disbelieved:
            raise ClockDisbelieved("The clock jumped.")
        return left[tenant_id].pop(0)

    add_request_terms(app, lambda: ["bakery", "florist"], forget)  # type: ignore[list-item, arg-type]

    async def run() -> None:
        await app.tasks[REQUESTS_SWEEP](timestamp=0)

    asyncio.run(run())
    assert left == {"bakery": [], "florist": []}
    disbelieved.append(True)
    with capture_logs() as said:
        asyncio.run(run())
    assert [each["event"] for each in said] == ["privacy requests were not forgotten"]


def add_package(connection: psycopg.Connection[Any], office: Office, request: Request, state: str) -> None:
    """Write down an export of a request, in a state."""
    tenant_id = office.tenant.id
    connection.execute(
        "INSERT INTO users (id, tenant_id, login, role, access, mode)"
        " VALUES ('boss', %s, 'boss', 'administrator', 'none', 'never')",
        (tenant_id,),
    )
    connection.execute(
        "INSERT INTO exports (id, tenant_id, user_id, reference, purpose, recording_ids, state, done,"
        " asked_at, ends_at, request_id, kept)"
        " VALUES ('e-1', %s, 'boss', 'AVG', 'access', '{r-1}', %s, 1, now(), now(), %s, '{}')",
        (tenant_id, state, request.id),
    )
