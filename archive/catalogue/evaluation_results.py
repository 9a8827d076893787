"""Results of evaluations: one's own, and those of the people somebody may evaluate.

Rules: only what was released is a result. Of others one sees those whose recordings one may
evaluate or, as auditor, read. Where the tenant wants it, an average of fewer than
`FEW_MAX` + 1 evaluations is not told: it would be the evaluation of a call, not of a person.
Not here: one evaluation with its answers (`archive.catalogue.evaluations`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, select

from archive.access import AccessScope, evaluating
from archive.catalogue import recordings as found_recordings
from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import evaluation_forms, evaluations, recordings
from archive.evaluation import RELEASED_STATES, State
from archive.model import RecordingId, Role, UserId

RESULTS_MAX = 200
"""Of each list the newest: a page that is read; reports count all of them."""

FEW_MAX = 4
"""Fewer than five say more of the calls that were drawn than of the person."""


@dataclass(frozen=True)
class Result:
    """What an evaluation came to. `permille` is None where nothing in it applied."""

    id: str
    recording_id: RecordingId
    owner: UserId
    evaluator: str
    form_name: str
    state: State
    permille: int | None
    failed: bool
    at: datetime


@dataclass(frozen=True)
class Average:
    """What a person's results come to; `permille` is None where that is not told."""

    owner: UserId
    count: int
    permille: int | None


def of_person(catalogue: Catalogue, scope: AccessScope) -> list[Result]:
    """Return what was released about who asks, newest first, whether they hear their calls or not."""
    if scope.user_id is None:
        return []
    own = and_(evaluations.c.owner == scope.user_id, _released())
    return _read(catalogue, scope, _statement(scope, own).order_by(evaluations.c.released_at.desc()))


def drafts(catalogue: Catalogue, scope: AccessScope) -> list[Result]:
    """Return what who asks has begun and not released, newest first."""
    mine = and_(evaluations.c.evaluator == scope.actor, evaluations.c.state == State.DRAFT, _within(scope))
    return _read(catalogue, scope, _statement(scope, mine).order_by(evaluations.c.began_at.desc()))


def of_others(catalogue: Catalogue, scope: AccessScope) -> list[Result]:
    """Return what was released about people whose recordings the scope may evaluate, newest first."""
    theirs = and_(_released(), _within(scope))
    return _read(catalogue, scope, _statement(scope, theirs).order_by(evaluations.c.released_at.desc()))


def averages(catalogue: Catalogue, scope: AccessScope, *, hides_few: bool) -> list[Average]:
    """Return what each of those people has on average, by how many results; with `hides_few` not of few."""
    columns = evaluations.c
    statement = (
        select(
            columns.owner,
            func.count().label("results"),
            func.sum(columns.score_permille).label("permille_sum"),
        )
        .join(recordings, _same_recording())
        .where(columns.tenant_id == scope.tenant_id, _released(), _within(scope))
        .where(columns.score_permille.is_not(None))
        .group_by(columns.owner)
        .order_by(func.count().desc(), columns.owner)
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        rows = connection.execute(statement.limit(RESULTS_MAX)).all()
    return [
        average_of(UserId(row.owner), row.results, int(row.permille_sum), hides_few=hides_few) for row in rows
    ]


def average_of(owner: UserId, count: int, permille_sum: int, *, hides_few: bool) -> Average:
    """Return an average, cut as scores are; not told of few where the tenant wants it so."""
    told = count > 0 and not (hides_few and count <= FEW_MAX)
    return Average(owner, count, permille_sum // count if told else None)


def _released() -> ColumnElement[bool]:
    return evaluations.c.state.in_(sorted(RELEASED_STATES))


def _within(scope: AccessScope) -> ColumnElement[bool]:
    """Return the filter for recordings whose evaluations the scope may see as somebody else's."""
    reached = scope if scope.role is Role.AUDITOR else evaluating(scope)
    return false() if reached is None else found_recordings.seen_by(reached)


def _same_recording() -> ColumnElement[bool]:
    return and_(
        recordings.c.tenant_id == evaluations.c.tenant_id, recordings.c.id == evaluations.c.recording_id
    )


def _statement(scope: AccessScope, condition: ColumnElement[bool]) -> Select[Any]:
    columns = evaluations.c
    return (
        select(evaluations, evaluation_forms.c.name.label("form_name"))
        .join(recordings, _same_recording())
        .join(evaluation_forms, evaluation_forms.c.id == columns.form_id)
        .where(columns.tenant_id == scope.tenant_id, condition)
        .limit(RESULTS_MAX)
    )


def _read(catalogue: Catalogue, scope: AccessScope, statement: Select[Any]) -> list[Result]:
    with catalogue.transaction(scope.tenant_id) as connection:
        rows = connection.execute(statement).all()
    return [
        Result(
            id=row.id,
            recording_id=RecordingId(row.recording_id),
            owner=UserId(row.owner),
            evaluator=row.evaluator,
            form_name=row.form_name,
            state=State(row.state),
            permille=row.score_permille,
            failed=row.failed,
            at=row.released_at or row.began_at,
        )
        for row in rows
    ]


def people_in(results: Iterable[Result]) -> frozenset[UserId]:
    """Return the people results are about and by."""
    found = list(results)
    authors = {UserId(each.evaluator.removeprefix("user:")) for each in found}
    return frozenset(authors | {each.owner for each in found})
