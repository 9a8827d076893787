"""Results of evaluations: one's own, and those of the people somebody may evaluate.

Where the tenant wants it, nobody is told how somebody did of whom fewer than `FEW_MAX` + 1
evaluations were released: no average, no score in a list, and no evaluation of theirs with its
answers, of which the score could be reckoned. Who made one knows it anyway, whom it is about
sees it always, a disputed one is seen by who may settle it, and auditors may open one by one
what no list tells them. Few is few of all that whoever asks may see, ever, so that no choice of
a period or a form tells what was hidden by subtraction; and no average of few of many is told.

Rules: only what was released is a result. Of others one sees those whose recordings one may
evaluate or, as auditor, read. Not here: one evaluation with its answers
(`archive.catalogue.evaluations`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Select,
    TableValuedAlias,
    Text,
    and_,
    column,
    false,
    func,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import AccessScope, Reach, evaluating, may_administer
from archive.catalogue import recordings as found_recordings
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.figures import of_owner
from archive.catalogue.recordings import decode_cursor, encode_cursor
from archive.catalogue.tables import (
    evaluation_form_versions,
    evaluation_forms,
    evaluation_policies,
    evaluations,
    recordings,
    users,
)
from archive.errors import Refused
from archive.evaluation import RELEASED_STATES, State
from archive.evaluation_form import category_of, read_categories
from archive.model import RecordingId, Role, UserId

RESULTS_MAX = 200
"""Of each list the newest, and of others a page: as much as is read; reports count all of them."""

FEW_MAX = 4
"""Fewer than five say more of the calls that were drawn than of the person."""


@dataclass(frozen=True)
class Result:
    """What an evaluation came to. `permille` is None where nothing in it applied, or it is not told.

    `category` is what the version of its form calls that score, and told with it or not at all.
    `hidden` is whether how it went is not told, `opens` whether who asks may see it whole.
    """

    id: str
    recording_id: RecordingId
    owner: UserId
    evaluator: str
    form_id: str
    form_name: str
    form_version: int
    state: State
    permille: int | None
    failed: bool
    at: datetime
    hidden: bool = False
    opens: bool = True
    category: str | None = None


@dataclass(frozen=True)
class Average:
    """What a person's results come to; `permille` is None where that is not told."""

    owner: UserId
    count: int
    permille: int | None


@dataclass(frozen=True)
class Counted:
    """What was released about a person, or by a form: how many, what became of them, the average.

    `failed` and `permille` are None where they are not told.
    """

    name: str
    count: int
    acknowledged: int
    disputed: int
    failed: int | None
    permille: int | None


@dataclass(frozen=True)
class Wanted:
    """Which results of others are asked for: released in `[since, until)`; None is any.

    What is not told of a score is in no `category`: a choice would tell it.
    """

    owner: UserId | None = None
    form_id: str | None = None
    state: State | None = None
    since: datetime | None = None
    until: datetime | None = None
    category: str | None = None


@dataclass(frozen=True)
class Choices:
    """What results can be asked by: people, forms by id and name, and names of categories from the lowest up.

    The categories are those of all versions that were used, whether or not a score is in them.
    """

    people: list[UserId]
    forms: list[tuple[str, str]]
    categories: list[str]


@dataclass(frozen=True)
class ResultPage:
    """Some results, newest first, and the cursor of the next ones."""

    items: tuple[Result, ...]
    cursor: str | None


ANY = Wanted()


def of_person(catalogue: Catalogue, scope: AccessScope) -> list[Result]:
    """Return what was released about who asks, newest first, whether they hear their calls or not."""
    if scope.user_id is None:
        return []
    own = and_(evaluations.c.owner == scope.user_id, _released())
    return _read(catalogue, scope, _statement(scope, own).order_by(evaluations.c.released_at.desc()))


def drafts(catalogue: Catalogue, scope: AccessScope) -> list[Result]:
    """Return what who asks has begun and not released, newest first."""
    columns = evaluations.c
    mine = and_(columns.evaluator == scope.actor, columns.state == State.DRAFT, _within(scope))
    return _read(catalogue, scope, _statement(scope, mine).order_by(columns.began_at.desc()))


def of_others(
    catalogue: Catalogue,
    scope: AccessScope,
    wanted: Wanted = ANY,
    *,
    limit: int = RESULTS_MAX,
    cursor: str | None = None,
) -> ResultPage:
    """Return what was released about people whose recordings the scope may evaluate, newest first.

    Raises Refused for a limit beyond RESULTS_MAX and a cursor that is none.
    """
    if not 1 <= limit <= RESULTS_MAX:
        raise Refused(f"The limit of a page is 1 to {RESULTS_MAX}.")
    columns = evaluations.c
    statement = _statement(scope, and_(_released(), _within(scope)))
    if cursor is not None:
        statement = statement.where(tuple_(columns.released_at, columns.id) < tuple_(*decode_cursor(cursor)))
    statement = statement.order_by(columns.released_at.desc(), columns.id.desc())
    with catalogue.transaction(scope.tenant_id) as connection:
        statement = statement.where(_asked(connection, scope, wanted))
        rows = connection.execute(statement.limit(limit + 1)).all()
        many = _told(connection, scope, {row.owner for row in rows})
    items = tuple(_told_as(_result(row), scope, many) for row in rows[:limit])
    more = len(rows) > limit
    return ResultPage(items, encode_cursor(rows[limit - 1].released_at, items[-1].id) if more else None)


def averages(catalogue: Catalogue, scope: AccessScope, wanted: Wanted = ANY) -> list[Average]:
    """Return what each of those people has on average, by how many results."""
    columns = evaluations.c
    statement = (
        _others(scope)
        .with_only_columns(
            columns.owner,
            func.count().label("results"),
            func.sum(columns.score_permille).label("permille_sum"),
        )
        .where(columns.score_permille.is_not(None))
        .group_by(columns.owner)
        .order_by(func.count().desc(), columns.owner)
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        statement = statement.where(_asked(connection, scope, wanted))
        rows = connection.execute(statement.limit(RESULTS_MAX)).all()
        many = _told(connection, scope, {row.owner for row in rows})
    found = (
        average_of(UserId(row.owner), row.results, int(row.permille_sum), hides_few=many is not None)
        for row in rows
    )
    return [each if many is None or each.owner in many else replace(each, permille=None) for each in found]


def counted(
    connection: Connection,
    scope: AccessScope,
    reach: Reach,
    released: tuple[datetime, datetime],
    *,
    by_form: bool,
) -> list[Counted]:
    """Return what was released in `[from, to)` within a reach, by login or by name of the form.

    Of others it is that of whom the scope may see results; how they did, of whom it is told.
    """
    columns = evaluations.c
    own = columns.owner == (scope.user_id or "")
    found = (
        select(columns.owner)
        .join(recordings, _same_recording())
        .where(columns.tenant_id == scope.tenant_id, _released(), or_(own, _within(scope)), *of_owner(reach))
        .where(columns.released_at >= released[0], columns.released_at < released[1])
    )
    many = _told(connection, scope, set(connection.execute(found.distinct()).scalars()))
    told = true() if many is None else or_(own, columns.owner.in_(sorted(many)))
    key = evaluation_forms.c.name if by_form else users.c.login
    statement = (
        found.with_only_columns(
            key.label("name"),
            func.count().label("results"),
            func.count().filter(columns.state == State.ACKNOWLEDGED).label("acknowledged"),
            func.count().filter(columns.state.in_((State.DISPUTED, State.SETTLED))).label("disputed"),
            func.count().filter(columns.failed, told).label("failed"),
            func.count(columns.score_permille).filter(told).label("scores"),
            func.coalesce(func.sum(columns.score_permille).filter(told), 0).label("permille_sum"),
            func.bool_and(own).label("is_own"),
        )
        .join(evaluation_forms, evaluation_forms.c.id == columns.form_id)
        .join(users, and_(users.c.tenant_id == columns.tenant_id, users.c.id == columns.owner))
        .group_by(key)
        .order_by(key)
    )
    return [_counted(row, hides=many is not None) for row in connection.execute(statement)]


def _counted(row: Row[Any], *, hides: bool) -> Counted:
    average = average_of(
        UserId(row.name), row.scores, int(row.permille_sum), hides_few=hides and not row.is_own
    )
    untold = hides and not row.is_own and row.scores <= FEW_MAX
    failed = None if untold else row.failed
    return Counted(row.name, row.results, row.acknowledged, row.disputed, failed, average.permille)


def choices(catalogue: Catalogue, scope: AccessScope) -> Choices:
    """Return what all results of others the scope may see can be asked by."""
    columns, forms, of_form = evaluations.c, evaluation_forms.c, evaluation_form_versions.c
    seen = _others(scope)
    people = seen.with_only_columns(columns.owner).distinct().limit(RESULTS_MAX)
    used = select(forms.id, forms.name).where(forms.id.in_(seen.with_only_columns(columns.form_id)))
    graded = _graded()
    named = (
        select(graded.c.name)
        .select_from(evaluation_form_versions.join(graded, true()))
        .where(
            of_form.tenant_id == scope.tenant_id,
            tuple_(of_form.form_id, of_form.version).in_(
                seen.with_only_columns(columns.form_id, columns.form_version)
            ),
        )
        .group_by(graded.c.name)
        .order_by(func.min(graded.c.fromPercent), graded.c.name)
        .limit(RESULTS_MAX)
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        owners = [UserId(owner) for owner in connection.execute(people).scalars()]
        rows = connection.execute(used.order_by(func.lower(forms.name), forms.id)).all()
        categories = list(connection.execute(named).scalars())
    return Choices(owners, [(row.id, row.name) for row in rows], categories)


def average_of(owner: UserId, count: int, permille_sum: int, *, hides_few: bool) -> Average:
    """Return an average, cut as scores are; not told of few where the tenant wants it so."""
    told = count > 0 and not (hides_few and count <= FEW_MAX)
    return Average(owner, count, permille_sum // count if told else None)


def people_in(results: Iterable[Result]) -> frozenset[UserId]:
    """Return the people results are about and by."""
    found = list(results)
    authors = {UserId(each.evaluator.removeprefix("user:")) for each in found}
    return frozenset(authors | {each.owner for each in found})


def hides_few(catalogue: Catalogue, scope: AccessScope) -> bool:
    """Return whether the tenant wants results of fewer than five evaluations not to be told."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return _hides(connection, scope)


def hide_few(catalogue: Catalogue, scope: AccessScope, *, hides: bool) -> None:
    """Decide whether results of few are told; raises Refused for who does not administer."""
    with catalogue.transaction(scope.tenant_id) as connection:
        hide_few_within(connection, scope, hides=hides)


def hide_few_within(connection: Connection, scope: AccessScope, *, hides: bool) -> None:
    """Do as `hide_few` in the caller's transaction."""
    if not may_administer(scope):
        raise Refused("What is told of results is decided by administrators.")
    statement = upsert(evaluation_policies).values(tenant_id=scope.tenant_id, hides_few=hides)
    statement = statement.on_conflict_do_update(index_elements=["tenant_id"], set_={"hides_few": hides})
    connection.execute(statement)


def hides_person(connection: Connection, scope: AccessScope, owner: UserId) -> bool:
    """Return whether the results of somebody are too few to be told to who asks."""
    many = _told(connection, scope, {owner})
    return many is not None and owner not in many


def _hides(connection: Connection, scope: AccessScope) -> bool:
    statement = select(evaluation_policies.c.hides_few)
    statement = statement.where(evaluation_policies.c.tenant_id == scope.tenant_id)
    return bool(connection.execute(statement).scalar())


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


def _others(scope: AccessScope) -> Select[Any]:
    """Return the statement of all released evaluations the scope may see as somebody else's."""
    own = evaluations.c.tenant_id == scope.tenant_id
    return select(evaluations).join(recordings, _same_recording()).where(own, _released(), _within(scope))


def _asked(connection: Connection, scope: AccessScope, wanted: Wanted) -> ColumnElement[bool]:
    columns = evaluations.c
    equal = ((columns.owner, wanted.owner), (columns.form_id, wanted.form_id), (columns.state, wanted.state))
    asked = [column == value for column, value in equal if value is not None]
    if wanted.since is not None:
        asked.append(columns.released_at >= wanted.since)
    if wanted.until is not None:
        asked.append(columns.released_at < wanted.until)
    if wanted.category is not None:
        asked += (_is_called(scope, wanted.category), _tells(connection, scope))
    return and_(true(), *asked)


def _graded() -> TableValuedAlias:
    """Return the categories of a version of a form as a table: one that has none has no rows."""
    listed = func.jsonb_to_recordset(evaluation_form_versions.c.content["categories"])
    named, begins = column("name", Text), column("fromPercent", Integer)
    return listed.table_valued(named, begins).render_derived(name="graded", with_types=True)


def _is_called(scope: AccessScope, category: str) -> ColumnElement[bool]:
    """Return the filter for scores their form calls so, as `category_of` does."""
    columns, of_form, graded = evaluations.c, evaluation_form_versions.c, _graded()
    begins = graded.c.fromPercent * 10
    version = (of_form.form_id, of_form.version)
    # Reckoned once for all versions: for each of 20,000 results anew it took longer than a statement may.
    borders = (
        select(
            *version,
            graded.c.name,
            begins.label("begins"),
            func.lead(begins).over(partition_by=version, order_by=begins).label("ends"),
        )
        .select_from(evaluation_form_versions.join(graded, true()))
        .where(of_form.tenant_id == scope.tenant_id)
        .subquery("borders")
    )
    within = select(borders.c.name).where(
        borders.c.form_id == columns.form_id,
        borders.c.version == columns.form_version,
        borders.c.name == category,
        borders.c.begins <= columns.score_permille,
        or_(borders.c.ends.is_(None), borders.c.ends > columns.score_permille),
    )
    return within.correlate(evaluations).exists()


def _tells(connection: Connection, scope: AccessScope) -> ColumnElement[bool]:
    """Return the filter for results of which is told how they went, as `_told_as` tells it."""
    columns = evaluations.c
    if not _hides(connection, scope):
        return true()
    mine = or_(columns.evaluator == scope.actor, columns.owner == (scope.user_id or ""))
    return or_(mine, columns.owner.in_(sorted(_many(connection, scope))))


def _told(connection: Connection, scope: AccessScope, owners: set[str]) -> set[str] | None:
    """Return of whom of these people it is told how they did, None where that is so of everybody."""
    if not _hides(connection, scope):
        return None
    return _many(connection, scope, evaluations.c.owner.in_(sorted(owners)))


def _many(connection: Connection, scope: AccessScope, *conditions: ColumnElement[bool]) -> set[str]:
    """Return of whom the scope may see more than few results."""
    owner = evaluations.c.owner
    found = _others(scope).with_only_columns(owner).where(*conditions).group_by(owner)
    return set(connection.execute(found.having(func.count() > FEW_MAX)).scalars())


def _told_as(result: Result, scope: AccessScope, many: set[str] | None) -> Result:
    """Return a result as it is told to who asks: what is theirs, disputed, or one of many, as it is."""
    open_to_all = result.evaluator == scope.actor or result.owner == scope.user_id
    if many is None or open_to_all or result.owner in many:
        return result
    opens = result.state is State.DISPUTED or scope.role is Role.AUDITOR
    return replace(result, permille=None, failed=False, category=None, hidden=True, opens=opens)


def _statement(scope: AccessScope, condition: ColumnElement[bool]) -> Select[Any]:
    columns, of_form = evaluations.c, evaluation_form_versions.c
    return (
        select(
            evaluations,
            evaluation_forms.c.name.label("form_name"),
            of_form.content["categories"].label("categories"),
        )
        .join(recordings, _same_recording())
        .join(evaluation_forms, evaluation_forms.c.id == columns.form_id)
        .join(
            evaluation_form_versions,
            and_(
                of_form.tenant_id == columns.tenant_id,
                of_form.form_id == columns.form_id,
                of_form.version == columns.form_version,
            ),
        )
        .where(columns.tenant_id == scope.tenant_id, condition)
    )


def _read(catalogue: Catalogue, scope: AccessScope, statement: Select[Any]) -> list[Result]:
    with catalogue.transaction(scope.tenant_id) as connection:
        return [_result(row) for row in connection.execute(statement.limit(RESULTS_MAX))]


def _result(row: Row[Any]) -> Result:
    return Result(
        id=row.id,
        recording_id=RecordingId(row.recording_id),
        owner=UserId(row.owner),
        evaluator=row.evaluator,
        form_id=row.form_id,
        form_name=row.form_name,
        form_version=row.form_version,
        state=State(row.state),
        permille=row.score_permille,
        failed=row.failed,
        at=row.released_at or row.began_at,
        category=category_of(read_categories(row.categories), row.score_permille),
    )
