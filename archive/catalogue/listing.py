"""What a list of recordings shows beside them, and how many there are.

Rules: each function is one short transaction for a whole page, never one for each row.
Counting stops at `COUNTED_ROWS_MAX`; above it the planner's estimate is told as one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, cast, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import TSQUERY

from archive.access import AccessScope
from archive.catalogue import documents, labels, recordings, share_source, trash
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.labels import Label
from archive.catalogue.lexemes import Facet
from archive.catalogue.recordings import Page, RecordingQuery
from archive.catalogue.tables import favourites, recording_waveforms, searchable, team_members, teams, users
from archive.catalogue.waveforms import waveform_of
from archive.model import Recording, RecordingId, UserId
from archive.waveform import Waveform

COUNTED_ROWS_MAX = 1000
"""So many are counted one by one in the time a page takes; who finds more narrows the search anyhow."""

ESTIMATE_FACTOR_MAX, SAMPLED_ROWS = 10, 100
"""Where the planner expects ten times as many, it is enough to see that there are some hundred."""

CHOICES_MAX = 500
"""People or teams offered to choose from; of more, a part of the name is typed."""


@dataclass(frozen=True)
class Beside:
    """What stands in a row beside the recording; `drawn` is whether its waveform was made."""

    facets: frozenset[Facet]
    waveform: Waveform | None
    drawn: bool
    labels: tuple[Label, ...] = ()
    favourite: bool = False
    trashed_until: datetime | None = None
    """When its destruction begins, while it waits in the trash."""


@dataclass(frozen=True)
class Listing:
    """A page, what stands beside each of its recordings, and the logins of their owners."""

    page: Page
    beside: Mapping[RecordingId, Beside]
    logins: Mapping[UserId, str]


@dataclass(frozen=True)
class Count:
    """How many recordings there are; about so many when not `exact`."""

    rows: int
    exact: bool


def page(
    catalogue: Catalogue,
    scope: AccessScope,
    query: RecordingQuery,
    limit: int = 50,
    cursor: str | None = None,
    *,
    now: datetime,
) -> Listing:
    """Return a page of recordings as `recordings.find` does, and what stands beside each `now`."""
    with catalogue.transaction(scope.tenant_id) as connection:
        found = recordings.page_of(connection, scope, query, limit, cursor)
        owners = {recording.owner for recording in found.items if recording.owner is not None}
        return Listing(found, _beside(connection, scope, found.items, now), logins_within(connection, owners))


def cursor_before(
    catalogue: Catalogue, scope: AccessScope, query: RecordingQuery, limit: int, cursor: str
) -> str | None:
    """Return the cursor of the page that ends where `cursor` stands, None when that is the first page."""
    backwards = replace(query, sort=query.sort.reversed)
    found = recordings.find(catalogue, scope, backwards, limit + 1, cursor).items
    return None if len(found) <= limit else recordings.cursor_of(query.sort, found[-1])


def neighbour(
    catalogue: Catalogue, scope: AccessScope, query: RecordingQuery, recording: Recording, *, onwards: bool
) -> RecordingId | None:
    """Return the recording behind (or before) one in the order of a query, None at the end (or begin).

    The one itself need not be among what the query asks for.
    """
    query = query if onwards else replace(query, sort=query.sort.reversed)
    cursor = recordings.cursor_of(query.sort, recording)
    found = recordings.find(catalogue, scope, query, 1, cursor).items
    return found[0].id if found else None


def _beside(
    connection: Connection, scope: AccessScope, items: Sequence[Recording], now: datetime
) -> Mapping[RecordingId, Beside]:
    """Return what stands beside each: by one statement what there is one of, by another the labels."""
    ids = [recording.id for recording in items]
    of = searchable.c.recording_id
    marks = and_(favourites.c.recording_id == of, favourites.c.user_id == (scope.user_id or ""))
    statement = (
        select(
            of,
            favourites.c.marked,
            recording_waveforms.c.lanes,
            recording_waveforms.c.levels,
            # A document tells of links that ended by themselves too.
            *(
                (
                    and_(_has(facet), share_source.shared_at(now, of))
                    if facet is Facet.SHARE
                    else _has(facet)
                ).label(facet.name)
                for facet in Facet
            ),
        )
        .outerjoin(favourites, marks)
        .outerjoin(recording_waveforms, recording_waveforms.c.recording_id == of)
        .where(of.in_(ids))
    )
    found = {row.recording_id: row for row in connection.execute(statement)}
    carried = labels.of_recordings(connection, ids)
    trashed = trash.of_recordings(connection, scope.tenant_id, ids, now=now)
    return {
        recording_id: Beside(
            facets=frozenset() if row is None else _facets(row[4:]),
            waveform=None if row is None or row.lanes is None else waveform_of(row.lanes, bytes(row.levels)),
            drawn=row is not None and row.lanes is not None,
            labels=carried.get(recording_id, ()),
            favourite=row is not None and bool(row.marked),
            trashed_until=trashed.get(recording_id),
        )
        for recording_id, row in ((each, found.get(each)) for each in ids)
    }


def count(catalogue: Catalogue, scope: AccessScope, query: RecordingQuery) -> Count:
    """Return how many recordings the scope may see and the query asks for."""
    with catalogue.transaction(scope.tenant_id) as connection:
        connection.execute(documents.PLAN_FOR_PAGES)
        wanted = recordings.selected(connection, scope, query)
        every: Select[Any] = wanted.with_only_columns(literal_column("1")).order_by(None)
        estimate = documents.plan_rows(connection, every)
        limit = SAMPLED_ROWS if estimate > COUNTED_ROWS_MAX * ESTIMATE_FACTOR_MAX else COUNTED_ROWS_MAX
        # In no order: to put them in one, all would be read.
        some = every.limit(limit + 1).subquery()
        rows: int = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return Count(rows, exact=True) if rows <= limit else Count(max(estimate, rows), exact=False)


def logins_of(catalogue: Catalogue, scope: AccessScope, user_ids: Iterable[UserId]) -> Mapping[UserId, str]:
    """Return the login of each person, as far as they are still there."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return logins_within(connection, set(user_ids))


def logins_within(connection: Connection, user_ids: Collection[UserId]) -> Mapping[UserId, str]:
    """Do as `logins_of` in the caller's transaction."""
    statement = select(users.c.id, users.c.login).where(users.c.id.in_(sorted(user_ids)))
    return {UserId(row.id): row.login for row in connection.execute(statement)}


def people(catalogue: Catalogue, scope: AccessScope) -> list[tuple[UserId, str]]:
    """Return the people whose recordings the scope may reach, by login: at most `CHOICES_MAX`."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return people_within(connection, scope)


def people_within(connection: Connection, scope: AccessScope) -> list[tuple[UserId, str]]:
    """Do as `people` in the caller's transaction."""
    statement = select(users.c.id, users.c.login).where(users.c.tenant_id == scope.tenant_id)
    if not scope.reads_all:
        reached = {each.user_id for each in scope.hearings} | ({scope.own} if scope.own else set())
        statement = statement.where(users.c.id.in_(sorted(reached)))
    rows = connection.execute(statement.order_by(users.c.login).limit(CHOICES_MAX)).all()
    return [(UserId(row.id), row.login) for row in rows]


def teams_within(connection: Connection, scope: AccessScope) -> list[tuple[str, str]]:
    """Return the teams the scope hears, or is in, by name: at most `CHOICES_MAX`."""
    statement = select(teams.c.id, teams.c.name).where(teams.c.tenant_id == scope.tenant_id)
    if not scope.reads_all:
        mine = select(team_members.c.team_id).where(team_members.c.user_id == (scope.user_id or ""))
        statement = statement.where(teams.c.id.in_(mine))
    rows = connection.execute(statement.order_by(teams.c.name).limit(CHOICES_MAX)).all()
    return [(row.id, row.name) for row in rows]


def _facets(flags: Sequence[bool]) -> frozenset[Facet]:
    return frozenset(facet for facet, has in zip(Facet, flags, strict=True) if has)


def _has(facet: Facet) -> ColumnElement[Any]:
    query = cast(literal(f"'{facet.lexeme}'"), TSQUERY)
    return searchable.c.document.op("@@", is_comparison=True)(query)
