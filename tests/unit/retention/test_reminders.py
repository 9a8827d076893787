"""Reminders of privacy requests: once before the last day and once after it, without a name in the mail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import data_subjects, directory
from archive.catalogue.audit_entries import of_object
from archive.catalogue.data_subjects import NewRequest, Request
from archive.catalogue.engine import Catalogue, Connection
from archive.data_subject import RequestKind
from archive.errors import CatalogueUnavailable
from archive.model import Role, Tenant, TenantId, UserId
from archive.post import Letter
from retention.exports import Notices
from retention.letters import filled
from retention.reminders import Reminders


class Box:
    """Takes letters in and keeps them; can fail to hand one over."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.away = False

    def queue(self, connection: Connection, letter: Letter) -> str:
        self.letters.append(letter)
        return str(len(self.letters))

    def hand_over(self, tenant_id: TenantId, mail_id: str) -> None:
        if self.away:
            raise CatalogueUnavailable("away")


@pytest.fixture
def asked(portal: Catalogue, bakery: Tenant, clock: Any) -> Request:
    scope = AccessScope(bakery.id, "user:boss", Role.ADMINISTRATOR, UserId("boss"))
    with portal.transaction(bakery.id) as connection:
        new = NewRequest(RequestKind.ACCESS, "A. Jansen", "Dorpsstraat 1", clock.now().date())
        return data_subjects.take_in(connection, scope, new, now=clock.now())


@pytest.fixture
def addresses(operator: Catalogue, bakery: Tenant, florist: Tenant, database: Any, clock: Any) -> None:
    """Supervisors with and without a proved address, a user, and a supervisor of another tenant."""
    for tenant, login, role, verified in (
        (bakery, "boss", Role.ADMINISTRATOR, True),
        (bakery, "ella", Role.AUDITOR, True),
        (bakery, "mike", Role.AUDITOR, False),
        (bakery, "anna", Role.USER, True),
        (florist, "fleur", Role.ADMINISTRATOR, True),
    ):
        user = directory.add_user(operator, tenant.id, login, now=clock.now(), role=role)
        database.connect().execute(
            "INSERT INTO user_emails (tenant_id, user_id, email, verified_at) VALUES (%s, %s, %s, %s)",
            (tenant.id, user.id, f"{login}@mail.example", clock.now() if verified else None),
        )


def test_supervisors_are_told_once_before_the_last_day_and_once_after_it(
    worker: Catalogue, portal: Catalogue, bakery: Tenant, clock: Any, asked: Request, addresses: None
) -> None:
    box = Box()
    audit = AuditWriter(worker, "worker/one")
    reminders = Reminders(worker, audit, clock, Notices(lambda: box, "https://calls.example"))
    told = []
    for days in (20, 4, 1, 7, 1, 1):
        clock.moment += timedelta(days=days)
        told.append(reminders.remind(bakery.id))
    assert told == [0, 1, 0, 1, 0, 0]
    assert [letter.to for letter in box.letters] == ["boss@mail.example", "ella@mail.example"] * 2
    assert [letter.kind for letter in box.letters] == ["privacy-soon"] * 2 + ["privacy-overdue"] * 2
    for letter in box.letters:
        for language in ("nl", "en"):
            said = filled(letter.kind, language, letter.fields)
            assert f"https://calls.example/data-subjects/{asked.id}" in said.text
            assert "Jansen" not in said.subject + said.text
    log = of_object(portal, bakery.id, f"data-subject-request:{asked.id}")
    assert [entry.action for entry in log] == ["data-subject.soon", "data-subject.overdue"]


def test_without_mail_it_stands_in_the_log_and_a_letter_nobody_took_waits(
    worker: Catalogue, portal: Catalogue, bakery: Tenant, clock: Any, asked: Request, addresses: None
) -> None:
    clock.moment += timedelta(days=25)
    assert Reminders(worker, AuditWriter(worker, "worker/one"), clock).remind(bakery.id) == 1
    clock.moment += timedelta(days=25)
    box = Box()
    box.away = True
    notices = Notices(lambda: box, "https://calls.example")
    assert Reminders(worker, AuditWriter(worker, "worker/one"), clock, notices).remind(bakery.id) == 1
    assert len(box.letters) == 2
    assert len(of_object(portal, bakery.id, f"data-subject-request:{asked.id}")) == 2


def test_nobody_is_reminded_of_what_was_answered(
    worker: Catalogue, portal: Catalogue, bakery: Tenant, clock: Any, asked: Request
) -> None:
    scope = AccessScope(bakery.id, "user:boss", Role.ADMINISTRATOR, UserId("boss"))
    with portal.transaction(bakery.id) as connection:
        data_subjects.close(connection, scope, asked.id, "withdrawn", now=clock.now())
    clock.moment += timedelta(days=40)
    assert Reminders(worker, AuditWriter(worker, "worker/one"), clock).remind(bakery.id) == 0
