"""The report on evaluations: what was released in the period, to whom may see results, and none of few."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from archive.access import AccessScope, Hearing, Right, Scope
from archive.catalogue import directory, evaluation_forms, evaluation_results, recordings
from archive.catalogue.directory import Capacity
from archive.catalogue.engine import Catalogue
from archive.evaluation_form import Form, Question, QuestionKind, Section
from archive.model import ArchivedRecording, Role, Tenant, User, UserId, new_id
from archive.reports.making import Asked, make
from archive.reports.period import Period
from archive.reports.report import By, Name, Report

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
OCTOBER = Period(date(2026, 10, 1), date(2026, 10, 31))
BEGAN = datetime(2026, 9, 30, 22, tzinfo=UTC)
"""When October begins in Amsterdam; it ends an hour later by the clock of the world, for it has 745 hours."""

ENDED = datetime(2026, 10, 31, 23, tzinfo=UTC)
FORM = Form((Section("Begin", (Question("name", "Naam?", QuestionKind.YES_NO),)),))


@dataclass
class Results:
    """A database in which results are put as if they had been released."""

    admin: psycopg.Connection[Any]
    tenant_id: str
    forms: list[str]
    make: Callable[[UserId], str]

    def put(
        self,
        owner: User,
        permille: int | None,
        at: datetime | None,
        state: str = "released",
        form: int = 0,
        *,
        failed: bool = False,
    ) -> None:
        self.admin.execute(
            "INSERT INTO evaluations VALUES (%s, %s, %s, %s, 1, %s, 'user:lena', %s, '{}', %s, %s, %s, %s,"
            " NULL, NULL, 1, 'user:lena', %s)",
            (
                new_id(NOW),
                self.tenant_id,
                self.make(owner.id),
                self.forms[form],
                owner.id,
                state,
                permille,
                failed,
                BEGAN,
                at,
                BEGAN,
            ),
        )


@pytest.fixture
def people(operator: Catalogue, bakery: Tenant) -> list[User]:
    return [directory.add_user(operator, bakery.id, login, now=NOW) for login in ("anna", "ben")]


@pytest.fixture
def ada(bakery: Tenant) -> AccessScope:
    return AccessScope(bakery.id, "user:ada", Role.ADMINISTRATOR, UserId("ada"))


@pytest.fixture
def otto(bakery: Tenant) -> AccessScope:
    return AccessScope(bakery.id, "user:otto", Role.AUDITOR, UserId("otto"))


@pytest.fixture
def results(
    database: Any,
    portal: Catalogue,
    recorder: Catalogue,
    bakery: Tenant,
    ada: AccessScope,
    make_recording: Callable[..., ArchivedRecording],
) -> Results:
    forms = [evaluation_forms.make(portal, ada, name, FORM, now=NOW).id for name in ("Gesprek", "Klacht")]

    def recorded(owner: UserId) -> str:
        archived = make_recording(bakery.id, owner=owner, started_at=BEGAN)
        with recorder.transaction(bakery.id) as connection:
            recordings.insert_recording(connection, archived)
        return archived.recording.id

    admin = database.connect()
    admin.execute("SELECT set_config('app.tenant_id', %s, false)", (bakery.id,))
    return Results(admin, bakery.id, forms, recorded)


def asked(portal: Catalogue, scope: AccessScope, by: By = By.USER, team_id: str | None = None) -> Report:
    return make(portal, scope, Asked(Name.EVALUATIONS, OCTOBER, by, team_id), now=NOW)


def test_what_was_released_in_the_period_is_counted_with_its_average(
    portal: Catalogue, otto: AccessScope, people: list[User], results: Results
) -> None:
    """By the days of Amsterdam: the first and the last moment of the month are within, their neighbours not."""
    anna, ben = people
    moment = timedelta(microseconds=1)
    results.put(anna, 1000, BEGAN, "acknowledged")
    results.put(anna, 501, ENDED - moment, "disputed")
    results.put(anna, None, BEGAN, "settled", form=1)
    results.put(anna, 0, BEGAN - moment)
    results.put(anna, 0, ENDED)
    results.put(ben, 0, BEGAN, form=1, failed=True)
    results.put(ben, 900, None, "draft")
    results.put(ben, 900, BEGAN, "withdrawn")
    report = asked(portal, otto)
    assert report.rows == (("anna", 3, 1, 2, 0, 75.0), ("ben", 1, 0, 0, 1, 0.0))
    assert report.totals == (None, 4, 1, 2, 1, None)
    by_form = asked(portal, otto, By.FORM)
    assert by_form.rows == (("Gesprek", 2, 1, 1, 0, 75.0), ("Klacht", 2, 0, 1, 1, 0.0))


def test_where_the_tenant_wants_it_how_fewer_than_five_went_is_not_told(
    portal: Catalogue, otto: AccessScope, ada: AccessScope, people: list[User], results: Results
) -> None:
    anna, ben = people
    for n in range(5):
        results.put(anna, 800 + n, BEGAN, failed=n == 0)
    for _ in range(4):
        results.put(ben, 0, BEGAN, failed=True)
    assert asked(portal, otto).rows == (("anna", 5, 0, 0, 1, 80.2), ("ben", 4, 0, 0, 4, 0.0))
    evaluation_results.hide_few(portal, ada, hides=True)
    assert asked(portal, otto).rows == (("anna", 5, 0, 0, 1, 80.2), ("ben", 4, 0, 0, None, None))
    # By form nothing of Ben is in what is told, so that taking Anna's off leaves nothing of his.
    assert asked(portal, otto, By.FORM).rows == (("Gesprek", 9, 0, 0, 1, 80.2),)
    own = AccessScope(otto.tenant_id, f"user:{ben.id}", Role.USER, ben.id, "own")
    assert asked(portal, own).rows == (("ben", 4, 0, 0, 4, 0.0),)
    results.put(ben, 0, ENDED)
    # Now there are five of Ben, but four of them in the month.
    assert asked(portal, otto).rows[1] == ("ben", 4, 0, 0, None, None)


def test_results_are_seen_by_oneself_by_who_may_evaluate_and_by_auditors_and_keys(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, otto: AccessScope, ada: AccessScope,
    people: list[User], results: Results,
) -> None:  # fmt: skip
    anna, ben = people
    team_id = directory.add_team(operator, bakery.id, "Sales", now=BEGAN - timedelta(days=1))
    for person in people:
        directory.set_team_member(
            operator, bakery.id, "Sales", person.login, Capacity.CONTRIBUTOR, now=BEGAN - timedelta(days=1)
        )
        results.put(person, 700, BEGAN)

    def names(scope: AccessScope, team_id: str | None = None) -> list[Any]:
        return [row[0] for row in asked(portal, scope, team_id=team_id).rows]

    assert names(otto) == names(otto, team_id) == ["anna", "ben"]
    reads = frozenset({Scope.REPORTS_READ})
    assert names(AccessScope(bakery.id, "api-client:x", scopes=reads)) == []
    evaluates = reads | {Scope.RECORDINGS_EVALUATE, Scope.RECORDINGS_READ, Scope.RECORDINGS_PLAY}
    assert names(AccessScope(bakery.id, "api-client:x", scopes=evaluates)) == ["anna", "ben"]
    assert names(AccessScope(bakery.id, f"user:{anna.id}", Role.USER, anna.id, "own")) == ["anna"]
    assert names(ada) == []
    hears = frozenset({Hearing(ben.id, team_id, rights=frozenset({Right.EVALUATE}))})
    teams = frozenset({team_id})
    mark = AccessScope(bakery.id, "user:mark", Role.USER, UserId("mark"), team_ids=teams, heard=hears)
    assert names(mark) == []
    manages = AccessScope(
        bakery.id, "user:mark", Role.USER, UserId("mark"), team_ids=teams, managed_team_ids=teams, heard=hears
    )
    assert names(manages, team_id) == ["ben"]
