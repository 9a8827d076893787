"""Samples of calls to evaluate: so many of each person of a team in a month, as a list to work through.

A sample is drawn once for a team, form and month: who could draw again until they like it would
choose. Its seed and what was drawn stay (`archive.sample`); a call that goes leaves the list.

Rules: whoever may evaluate people of the team draws, of everybody who contributes to it, so of
themselves too; every one who may evaluate a call sees it in the list, so nobody their own, and a
call counts as done once anybody released an evaluation of it by the form.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, func, insert, or_, select

from archive.access import AccessScope, evaluating
from archive.allowance import end_of
from archive.catalogue import evaluation_forms
from archive.catalogue import recordings as found_recordings
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import (
    evaluation_forms as forms_table,
)
from archive.catalogue.tables import (
    evaluation_sample_calls,
    evaluation_samples,
    evaluations,
    recordings,
    teams,
)
from archive.errors import Conflict, NotFound, Refused
from archive.evaluation import RELEASED_STATES, State
from archive.model import PLAYABLE_STATES, RecordingId, UserId, new_id
from archive.sample import PER_PERSON_MAX, draw

SEED_BYTES = 16
CANDIDATES_MAX = 100_000
"""A team of a hundred with forty calls a day; beyond it drawing would hold up the database."""

SAMPLES_MAX = 100
"""Shown of them the newest: eight years of months."""


@dataclass(frozen=True)
class Sample:
    """A sample and how far it is: `done` of `count` calls that are still there."""

    id: str
    form_id: str
    form_name: str
    team_id: str
    team_name: str
    month: date
    per_person: int
    seed: str
    drawn_by: str
    drawn_at: datetime
    count: int
    done: int


@dataclass(frozen=True)
class SampleCall:
    """A call of a sample; `state` is that of an evaluation by its form, one's own first, None for none."""

    recording_id: RecordingId
    owner: UserId
    started_at: datetime
    duration_ms: int
    state: State | None


@dataclass(frozen=True)
class NewSample:
    """A sample to draw: so many calls of each person of a team that began in a month, for a form."""

    team_id: str
    form_id: str
    month: date
    per_person: int


def drawable_teams(catalogue: Catalogue, scope: AccessScope) -> list[tuple[str, str]]:
    """Return the teams in which the scope may evaluate somebody, by name: id and name."""
    narrowed = evaluating(scope)
    if narrowed is None:
        return []
    ids = sorted({each.team_id for each in narrowed.heard})
    columns = teams.c
    statement = select(columns.id, columns.name).where(
        columns.tenant_id == scope.tenant_id, columns.id.in_(ids)
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        return [(row.id, row.name) for row in connection.execute(statement.order_by(columns.name))]


def draw_sample(
    catalogue: Catalogue,
    scope: AccessScope,
    wanted: NewSample,
    *,
    now: datetime,
) -> str:
    """Draw so many calls of each person of a team that began in a month; return the id of the sample.

    Raises Refused for who may not or a number out of 1 to PER_PERSON_MAX, NotFound for no such
    form, Conflict for a retired one, where it was drawn already, there is no call, or there are
    too many.
    """
    drawing = _drawing(scope, wanted.team_id)
    if not 1 <= wanted.per_person <= PER_PERSON_MAX:
        raise Refused(f"A sample has 1 to {PER_PERSON_MAX} calls of each person.")
    seed, sample_id = secrets.token_hex(SEED_BYTES), new_id(now)
    columns = recordings.c
    statement = select(columns.id, columns.owner).where(
        found_recordings.seen_by(drawing),
        columns.state.in_(sorted(PLAYABLE_STATES)),
        columns.owner.is_not(None),
        columns.started_at >= begin_of(wanted.month),
        columns.started_at < end_of(wanted.month),
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        kept = evaluation_forms.within(connection, scope, wanted.form_id)
        if kept.retired:
            raise Conflict("This form is not offered any more; take another.")
        found = connection.execute(statement.limit(CANDIDATES_MAX + 1)).all()
        if not 0 < len(found) <= CANDIDATES_MAX:
            raise Conflict("There is no call of this team in that month, or there are too many to draw from.")
        calls: dict[UserId, list[RecordingId]] = {}
        for row in found:
            calls.setdefault(UserId(row.owner), []).append(RecordingId(row.id))
        sample = {
            "id": sample_id,
            "tenant_id": scope.tenant_id,
            "form_id": kept.id,
            "team_id": wanted.team_id,
            "month": wanted.month.replace(day=1),
            "per_person": wanted.per_person,
            "seed": seed,
            "drawn_by": scope.actor,
            "drawn_at": now,
        }
        connection.execute(insert(evaluation_samples), sample)
        _keep(connection, scope, sample_id, draw(seed, calls, wanted.per_person))
    return sample_id


def _drawing(scope: AccessScope, team_id: str) -> AccessScope:
    """Return the scope of all whose calls are drawn of a team; raises Refused for who may not draw.

    Who draws is among them where they contribute to the team: a sample is drawn once, and
    nobody escapes it by drawing it. Their own calls are in the lists of others alone.
    """
    narrowed = evaluating(scope)
    if narrowed is None or not any(each.team_id == team_id for each in narrowed.heard):
        raise Refused("A sample is drawn by who may evaluate people of the team.")
    return replace(narrowed, heard=frozenset(each for each in scope.heard if each.team_id == team_id))


def _of_teams(scope: AccessScope) -> ColumnElement[bool]:
    """Return the filter for samples of teams in which the scope may evaluate somebody."""
    narrowed = evaluating(scope)
    ids = set() if narrowed is None else {each.team_id for each in narrowed.heard}
    return evaluation_samples.c.team_id.in_(sorted(ids))


def begin_of(month: date) -> datetime:
    """Return when a month begins, on the clock of Europe/Amsterdam."""
    before = date(month.year - (month.month == 1), (month.month - 2) % 12 + 1, 1)
    return end_of(before)


def samples(catalogue: Catalogue, scope: AccessScope) -> list[Sample]:
    """Return the samples of teams in which the scope may evaluate somebody, newest first."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return _samples(connection, scope, _of_teams(scope))


def sample(catalogue: Catalogue, scope: AccessScope, sample_id: str) -> Sample:
    """Return one sample; raises NotFound, also where the scope may evaluate nobody of its team."""
    condition = and_(_of_teams(scope), evaluation_samples.c.id == sample_id)
    with catalogue.transaction(scope.tenant_id) as connection:
        found = _samples(connection, scope, condition)
    if not found:
        raise NotFound("There is no such sample.")
    return found[0]


def calls_of(catalogue: Catalogue, scope: AccessScope, found: Sample) -> list[SampleCall]:
    """Return the calls of a sample that the scope may evaluate, person by person, in the order drawn."""
    narrowed = evaluating(scope)
    if narrowed is None:
        return []
    drawn, judged = evaluation_sample_calls.c, evaluations.c
    state = (
        select(judged.state)
        .where(
            judged.tenant_id == drawn.tenant_id,
            judged.recording_id == drawn.recording_id,
            judged.form_id == found.form_id,
            or_(judged.evaluator == scope.actor, judged.state.in_(sorted(RELEASED_STATES))),
            judged.state != State.WITHDRAWN,
        )
        .order_by((judged.evaluator == scope.actor).desc(), judged.began_at)
        .limit(1)
        .scalar_subquery()
    )
    call = recordings.c
    statement = (
        select(drawn.recording_id, drawn.owner, call.started_at, call.duration_ms, state.label("state"))
        .join(recordings, and_(call.tenant_id == drawn.tenant_id, call.id == drawn.recording_id))
        .where(drawn.tenant_id == scope.tenant_id, drawn.sample_id == found.id)
        .where(found_recordings.seen_by(narrowed))
        .order_by(drawn.owner, drawn.place)
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        rows = connection.execute(statement).all()
    return [
        SampleCall(
            RecordingId(row.recording_id),
            UserId(row.owner),
            row.started_at,
            row.duration_ms,
            None if row.state is None else State(row.state),
        )
        for row in rows
    ]


def _keep(
    connection: Connection,
    scope: AccessScope,
    sample_id: str,
    drawn: dict[UserId, tuple[RecordingId, ...]],
) -> None:
    rows = [
        {
            "tenant_id": scope.tenant_id,
            "sample_id": sample_id,
            "recording_id": call,
            "owner": person,
            "place": place,
        }
        for person, calls in drawn.items()
        for place, call in enumerate(calls)
    ]
    connection.execute(insert(evaluation_sample_calls), rows)


def _samples(connection: Connection, scope: AccessScope, condition: Any) -> list[Sample]:
    columns, drawn, judged = evaluation_samples.c, evaluation_sample_calls.c, evaluations.c
    of_it = and_(drawn.tenant_id == columns.tenant_id, drawn.sample_id == columns.id)
    is_done = exists(
        select(1)
        .where(
            judged.tenant_id == drawn.tenant_id,
            judged.recording_id == drawn.recording_id,
            judged.form_id == columns.form_id,
            judged.state.in_(sorted(RELEASED_STATES)),
        )
        # By the form of this very sample: without it, by that of any.
        .correlate(evaluation_samples, evaluation_sample_calls)
    )
    count = select(func.count()).select_from(evaluation_sample_calls).where(of_it)
    statement = (
        select(
            evaluation_samples,
            forms_table.c.name.label("form_name"),
            func.coalesce(teams.c.name, "").label("team_name"),
            count.scalar_subquery().label("calls"),
            count.where(is_done).scalar_subquery().label("done"),
        )
        .join(forms_table, forms_table.c.id == columns.form_id)
        .outerjoin(teams, and_(teams.c.tenant_id == columns.tenant_id, teams.c.id == columns.team_id))
        .where(columns.tenant_id == scope.tenant_id, condition)
        .order_by(columns.drawn_at.desc(), columns.id)
        .limit(SAMPLES_MAX)
    )
    return [_sample(row) for row in connection.execute(statement)]


def _sample(row: Row[Any]) -> Sample:
    return Sample(
        id=row.id,
        form_id=row.form_id,
        form_name=row.form_name,
        team_id=row.team_id,
        team_name=row.team_name,
        month=row.month,
        per_person=row.per_person,
        seed=row.seed,
        drawn_by=row.drawn_by,
        drawn_at=row.drawn_at,
        count=row.calls,
        done=row.done,
    )
