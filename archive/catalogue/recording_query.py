"""What is asked of recordings, as one statement in the order of its page.

A query leads by the indexes of `recordings`, or, where words and facets are asked for, by
those of their documents. The filter of an `AccessScope` comes as a condition from
`archive.catalogue.recordings`, which alone reads: nothing here can be asked without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    FromClause,
    Select,
    TableValuedAlias,
    Text,
    bindparam,
    exists,
    func,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from archive.access import AccessScope
from archive.catalogue import documents, lexemes, share_source
from archive.catalogue.documents import Wanted, storable
from archive.catalogue.engine import Connection
from archive.catalogue.lexemes import Facet
from archive.catalogue.tables import case_recordings, recordings, searchable, team_members, teams
from archive.errors import Refused
from archive.model import (
    GOING_STATES,
    CallGroupId,
    Direction,
    Recording,
    RecordingMode,
    RecordingState,
    UserId,
)

SEARCH_CHARS_MAX = 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEGINNING, END = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


class Sort(StrEnum):
    """The order of a list; the id breaks ties."""

    NEWEST = "-start"
    OLDEST = "start"
    LONGEST = "-duration"
    SHORTEST = "duration"

    @property
    def descends(self) -> bool:
        """Whether the largest comes first."""
        return self.value.startswith("-")

    @property
    def reversed(self) -> Sort:
        """The same order from its other end."""
        return Sort(self.value.removeprefix("-") if self.descends else f"-{self.value}")


@dataclass(frozen=True)
class RecordingQuery:
    """What is looked for; None means anything. `since` is inclusive, `until` is not.

    `text` is a number in any spelling or part of one, words of names, notes, comments and
    labels, or an id (`archive.catalogue.lexemes`). `team` is an id: what began while its
    owner contributed to that team. `unlabelled` is what nobody gave a label, `shared_at`
    what a play link leads to at that moment. `case` is the id of one it is in.
    """

    text: str | None = None
    owner: UserId | None = None
    team: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    direction: Direction | None = None
    mode: RecordingMode | None = None
    state: RecordingState | None = None
    call_id: str | None = None
    call_group: CallGroupId | None = None
    duration_ms_min: int | None = None
    has: frozenset[Facet] = frozenset()
    on_hold: bool = False
    label: str | None = None
    unlabelled: bool = False
    shared_at: datetime | None = None
    favourite_of: UserId | None = None
    case: str | None = None
    sort: Sort = Sort.NEWEST


GLANCE_ROWS = 4000
"""So many documents are read in some 25 ms."""

GLANCE_OWNERS_MAX = 50
"""People whose recordings are merged by their time."""

NARROWED_ROWS_MIN = 1000
"""Fewer documents are read in the time it takes to ask twice."""

NARROWED_ROWS = 400
"""So many are expected in the period looked through first; it has a page also where calls come unevenly."""

BY_DURATION = frozenset({Sort.LONGEST, Sort.SHORTEST})
EVERYTHING = RecordingQuery()


def statement_of(
    connection: Connection,
    query: RecordingQuery,
    within: ColumnElement[bool],
    owners: frozenset[UserId] | None,
    after: tuple[datetime, str] | None,
) -> Select[Any]:
    """Return the statement for what is `within` and the query asks for, in its order, behind `after`.

    `owners` are the only people whose recordings can be within, None when that is not known:
    it spares reading documents of others. Few documents are put in order before their
    recordings are read; many are walked in the order of time until the page is full. Raises
    Refused for a text that is too long.
    """
    if query.text is not None and len(query.text) > SEARCH_CHARS_MAX:
        raise Refused(f"A search text has at most {SEARCH_CHARS_MAX} characters.")
    wanted = _wanted(query, owners)
    statement = select(recordings).where(within, *_asked(query))
    if not wanted.asks:
        return _paged(statement, query, recordings.c.started_at, recordings.c.id, after)
    terms = documents.terms_of(connection, wanted)
    found = cast("FromClause", searchable)
    if documents.finds_few(connection, terms):
        found = _few(documents.matching_few(connection, terms), query.sort)
    else:
        statement = statement.where(documents.matching(terms))
    statement = statement.join(found, found.c.recording_id == recordings.c.id)
    return _paged(statement, query, found.c.started_at, found.c.recording_id, after)


def looks_of(
    connection: Connection,
    query: RecordingQuery,
    within: ColumnElement[bool],
    owners: frozenset[UserId] | None,
    after: tuple[datetime, str] | None,
) -> Iterator[Select[Any]]:
    """Yield statements that look for a page: the first that fills it is right, and the last in any case."""
    glance = _glance(connection, query, within, owners, after)
    if glance is not None:
        yield glance
    narrowed = _narrowed(connection, query, owners, after)
    if narrowed is not None:
        yield statement_of(connection, narrowed, within, owners, after)
    yield statement_of(connection, query, within, owners, after)


def table_of(periods: Sequence[tuple[UserId, datetime, datetime]]) -> TableValuedAlias:
    """Return people and from when until when they are heard as a table `period` of these columns."""
    users, since, until = (list(column) for column in zip(*periods, strict=True))
    return (
        func.unnest(
            bindparam(None, users, ARRAY(Text), unique=True),
            bindparam(None, since, ARRAY(DateTime(timezone=True)), unique=True),
            bindparam(None, until, ARRAY(DateTime(timezone=True)), unique=True),
        )
        .table_valued("user_id", "since", "until")
        .render_derived("period")
    )


def from_first_heard(connection: Connection, scope: AccessScope, query: RecordingQuery) -> RecordingQuery:
    """Return a query for the oldest from the first recording on that is the scope's own or heard by it.

    Whoever hears a team from some day on would walk through all years before it.
    """
    periods = [(each.user_id, each.since or BEGINNING, each.until or END) for each in scope.hearings]
    periods += [] if scope.own is None else [(scope.own, BEGINNING, END)]
    if query.sort is not Sort.OLDEST or not 1 <= len(periods) <= documents.OWNERS_MAX:
        return query
    period = table_of(periods)
    began = recordings.c.started_at
    first = (
        select(began)
        .where(recordings.c.tenant_id == scope.tenant_id, recordings.c.owner == period.c.user_id)
        .where(began >= period.c.since, began < period.c.until)
        .order_by(began)
        .limit(1)
        .lateral("first")
    )
    found = connection.execute(
        select(func.min(first.c.started_at)).select_from(period.join(first, true()))
    ).scalar()
    return query if found is None else replace(query, since=max(query.since or found, found))


def _narrowed(
    connection: Connection,
    query: RecordingQuery,
    owners: frozenset[UserId] | None,
    after: tuple[datetime, str] | None,
) -> RecordingQuery | None:
    """Return the query within the next period in which pages are expected, None where it is no use.

    Of what some thousand calls have, all would be read to know which are the next; of what more have,
    a walk in the order of time finds a page soon.
    """
    wanted = _wanted(query, owners)
    if query.sort in BY_DURATION or not wanted.asks:
        return None
    terms = documents.terms_of(connection, wanted)
    expected = documents.estimated(connection, terms)
    if expected < NARROWED_ROWS_MIN or not documents.finds_few(connection, terms):
        return None
    period = documents.period(connection)
    if period is None:
        return None
    oldest, newest = max(period[0], query.since or period[0]), min(period[1], query.until or period[1])
    span = (period[1] - period[0]) * NARROWED_ROWS / expected
    # What is left is compared, for a place or date of nobody's calendar has no moment before or behind it.
    if query.sort.descends:
        begun = min(newest, after[0] if after else newest)
        return replace(query, since=begun - span) if begun - oldest > span else None
    begun = max(oldest, after[0] if after else oldest)
    return replace(query, until=begun + span) if newest - begun > span else None


def _glance(
    connection: Connection,
    query: RecordingQuery,
    within: ColumnElement[bool],
    owners: frozenset[UserId] | None,
    after: tuple[datetime, str] | None,
) -> Select[Any] | None:
    """Return the statement that looks through the next recordings of a few people, None where it is no use.

    Of a word that very many calls have, the index gathers all before it knows whose they are.
    """
    wanted = _wanted(query, owners)
    people = wanted.owners or frozenset()
    if query.sort in BY_DURATION or not wanted.asks or not 1 <= len(people) <= GLANCE_OWNERS_MAX:
        return None
    terms = documents.terms_of(connection, replace(wanted, owners=None))
    if not documents.are_common(connection, terms, GLANCE_ROWS * 3 // 4):
        return None
    place = (recordings.c.started_at, recordings.c.id)
    each = (
        _paged(select(*place).where(recordings.c.owner == owner), query, *place, after)
        .limit(GLANCE_ROWS)
        .subquery()
        for owner in sorted(people)
    )
    together = union_all(*(select(one.c.started_at, one.c.id) for one in each)).subquery()
    found = _paged(select(together), query, together.c.started_at, together.c.id, after)
    newest = found.limit(GLANCE_ROWS).subquery()
    matching = select(newest).join(searchable, searchable.c.recording_id == newest.c.id)
    of_them = _paged(matching.where(documents.read(terms)), query, newest.c.started_at, newest.c.id, after)
    # OFFSET keeps the planner from reading the recordings before their documents, which are smaller.
    glance = of_them.offset(0).subquery("glance")
    statement = select(recordings).join(glance, glance.c.id == recordings.c.id)
    statement = statement.where(within, *_asked(query))
    return _paged(statement, query, glance.c.started_at, glance.c.id, after)


def place_of(sort: Sort, recording: Recording) -> datetime:
    """Return where a recording stands in an order; a duration counts from the epoch."""
    if sort in BY_DURATION:
        return EPOCH + timedelta(milliseconds=recording.duration_ms)
    return recording.started_at


def _wanted(query: RecordingQuery, owners: frozenset[UserId] | None) -> Wanted:
    found = [facet.lexeme for facet in sorted(query.has)]
    found += [] if query.direction is None else [lexemes.of_direction(query.direction)]
    found += [] if query.mode is None else [lexemes.of_mode(query.mode)]
    found += [] if query.label is None else [lexemes.of_label(query.label)]
    found += [] if query.favourite_of is None else [lexemes.of_favourite(query.favourite_of)]
    without = (Facet.LABEL.lexeme,) if query.unlabelled else ()
    asked = owners if query.owner is None else frozenset({query.owner})
    return Wanted(query.text, tuple(found), without, asked)


def _few(match: ColumnElement[bool], sort: Sort) -> FromClause:
    """Return the documents that match, in order: PostgreSQL itself sorts only behind the join."""
    keys = (searchable.c.started_at, searchable.c.recording_id)
    order = [key.desc() if sort.descends else key for key in keys]
    return select(*keys).where(match).order_by(*order).subquery("few")


def _paged(
    statement: Select[Any],
    query: RecordingQuery,
    began: ColumnElement[Any],
    row_id: ColumnElement[Any],
    after: tuple[datetime, str] | None,
) -> Select[Any]:
    """Return the statement within the period asked for, in its order and behind a place."""
    if query.since is not None:
        statement = statement.where(began >= query.since)
    if query.until is not None:
        statement = statement.where(began < query.until)
    by_duration, descends = query.sort in BY_DURATION, query.sort.descends
    key: ColumnElement[Any] = recordings.c.duration_ms if by_duration else began
    if after is not None:
        place = (after[0] - EPOCH) // timedelta(milliseconds=1) if by_duration else after[0]
        behind, last = tuple_(key, row_id), tuple_(place, after[1])
        statement = statement.where(behind < last if descends else behind > last)
    order = (key.desc(), row_id.desc()) if descends else (key, row_id)
    return statement.order_by(*order)


def _asked(query: RecordingQuery) -> list[ColumnElement[bool]]:
    """Return the conditions on the recording itself."""
    columns = recordings.c
    pairs = (
        (query.owner, columns.owner),
        (query.state, columns.state),
        (query.call_id, columns.call_id),
        (query.call_group, columns.call_group),
    )
    conditions = [column == storable(value) for value, column in pairs if value is not None]
    if query.state is None:
        # What is going or gone is no recording any more; it is found by its id and its certificate.
        conditions.append(columns.state.not_in(sorted(GOING_STATES)))
    if query.duration_ms_min is not None:
        conditions.append(columns.duration_ms >= query.duration_ms_min)
    if query.shared_at is not None:
        conditions.append(share_source.shared_at(query.shared_at, columns.id))
    if query.on_hold:
        conditions.append(columns.on_hold)
    if query.case is not None:
        conditions.append(in_case([storable(query.case)]))
    if query.team is not None:
        conditions.append(_of_team(storable(query.team)))
    return conditions


def in_case(case_ids: Sequence[str]) -> ColumnElement[bool]:
    """Return the filter for what is in one of these cases; whose they are, row-level security sees to."""
    of_case = case_recordings.c
    # By nothing of the recording, so that it is made once and not for each row.
    return recordings.c.id.in_(select(of_case.recording_id).where(of_case.case_id.in_(case_ids)))


def _of_team(team_id: str) -> ColumnElement[bool]:
    """Return the filter for what began while its owner contributed to a team; earlier where it hears that."""
    member, began = team_members.c, recordings.c.started_at
    return exists(
        select(1)
        .join(teams, teams.c.id == member.team_id)
        .where(
            member.team_id == team_id,
            member.user_id == recordings.c.owner,
            member.capacity == "contributor",
            or_(teams.c.hears_earlier, began >= member.since),
            or_(member.until.is_(None), began < member.until),
        )
    )
