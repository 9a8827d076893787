"""Searches people keep under a name, for themselves or for their whole tenant; and where each left off.

A search is kept as the query string of the list, so that it means the same everywhere. A
shared one is seen by everybody of the tenant and changed by who made it; an administrator
may take it away. What it finds is asked within the scope of who opens it.

Rules: a person has at most `SEARCHES_PER_USER_MAX`. Last views are of one person alone.
Not here: what a query string may hold (`playback_portal.filters`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import AccessScope, may_administer
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import last_views, saved_searches
from archive.errors import Conflict, NotFound, Refused
from archive.model import UserId, new_id

SEARCHES_PER_USER_MAX = 50
"""They stand in the menu; more than some dozens nobody finds again."""

SHOWN_COUNT_MAX = 500
"""Own and shared ones of a large tenant; a menu of so many is no menu any more."""

NAME_CHARS_MAX = 60
QUERY_CHARS_MAX = 2000
"""A text of 200 characters, percent-encoded, and every filter there is."""

RESTORED = timedelta(hours=12)
"""A view of this working day is gone on with; tomorrow begins with the newest recordings again."""


@dataclass(frozen=True)
class SavedSearch:
    """A search under a name; `query` is the query string of the list."""

    id: str
    user_id: UserId
    name: str
    query: str
    shared: bool
    saved_at: datetime


def visible(catalogue: Catalogue, scope: AccessScope) -> list[SavedSearch]:
    """Return a person's own searches and those shared in the tenant, by name; own ones first."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return visible_within(connection, scope)


def visible_within(connection: Connection, scope: AccessScope) -> list[SavedSearch]:
    """Do as `visible` in the caller's transaction."""
    columns = saved_searches.c
    statement = (
        select(saved_searches)
        .where(columns.tenant_id == scope.tenant_id, _seen_by(scope))
        .order_by(columns.user_id != (scope.user_id or ""), func.lower(columns.name), columns.id)
        .limit(SHOWN_COUNT_MAX)
    )
    return [_search(row) for row in connection.execute(statement)]


def get(catalogue: Catalogue, scope: AccessScope, search_id: str) -> SavedSearch:
    """Return one that the person sees; raises NotFound."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return _seen(connection, scope, search_id)


def add(
    catalogue: Catalogue, scope: AccessScope, name: str, query: str, *, shared: bool, now: datetime
) -> SavedSearch:
    """Keep a search; raises Conflict for a name the person uses already or one too many, or Refused."""
    user_id = _person(scope)
    made = SavedSearch(new_id(now), user_id, _named(name), _query(query), shared, now)
    row = {
        "id": made.id,
        "tenant_id": scope.tenant_id,
        "user_id": user_id,
        "name": made.name,
        "query": made.query,
        "shared": shared,
        "saved_at": now,
    }
    kept = select(func.count()).select_from(saved_searches).where(saved_searches.c.user_id == user_id)
    with catalogue.transaction(scope.tenant_id) as connection:
        if connection.execute(kept).scalar_one() >= SEARCHES_PER_USER_MAX:
            raise Conflict(f"You keep {SEARCHES_PER_USER_MAX} searches already; delete one first.")
        _free(connection, user_id, made.name)
        connection.execute(insert(saved_searches), row)
    return made


def change(
    catalogue: Catalogue,
    scope: AccessScope,
    search_id: str,
    *,
    name: str | None = None,
    query: str | None = None,
    shared: bool | None = None,
    expect: Callable[[SavedSearch], None] = lambda _: None,
) -> SavedSearch:
    """Change one's own search; what is None stays, also what somebody else changes at the same moment.

    `expect` raises when the search is not what its caller saw. Raises NotFound, Refused for
    another's, or Conflict.
    """
    values: dict[str, object] = {}
    if name is not None:
        values["name"] = _named(name)
    if query is not None:
        values["query"] = _query(query)
    if shared is not None:
        values["shared"] = shared
    with catalogue.transaction(scope.tenant_id) as connection:
        before = _seen(connection, scope, search_id, locks=True)
        if before.user_id != scope.user_id:
            raise Refused("A search is changed by who made it; save it again under a name of your own.")
        expect(before)
        if values.get("name", before.name) != before.name:
            _free(connection, before.user_id, str(values["name"]))
        if not values:
            return before
        statement = update(saved_searches).where(saved_searches.c.id == search_id).values(values)
        row = connection.execute(statement.returning(saved_searches)).one()
        return _search(row)


def remove(catalogue: Catalogue, scope: AccessScope, search_id: str) -> SavedSearch:
    """Delete one's own search, or as administrator a shared one; return what it was.

    Raises NotFound, or Refused for another person's.
    """
    with catalogue.transaction(scope.tenant_id) as connection:
        before = _seen(connection, scope, search_id)
        if before.user_id != scope.user_id and not may_administer(scope):
            raise Refused("A search is deleted by who made it, or by an administrator.")
        connection.execute(delete(saved_searches).where(saved_searches.c.id == search_id))
        return before


def remember_view(catalogue: Catalogue, scope: AccessScope, query: str, *, now: datetime) -> None:
    """Keep the query string of the list a person looks at."""
    with catalogue.transaction(scope.tenant_id) as connection:
        remember_within(connection, scope, query, now=now)


def remember_within(connection: Connection, scope: AccessScope, query: str, *, now: datetime) -> None:
    """Do as `remember_view` in the caller's transaction."""
    if scope.user_id is None or len(query) > QUERY_CHARS_MAX:
        return
    row = {"tenant_id": scope.tenant_id, "user_id": scope.user_id, "query": query, "seen_at": now}
    statement = upsert(last_views).values(row)
    renewed = statement.on_conflict_do_update(
        index_elements=["user_id"], set_={"query": query, "seen_at": now}
    )
    connection.execute(renewed)


def last_view(catalogue: Catalogue, scope: AccessScope, *, now: datetime) -> str | None:
    """Return the query string a person left the list with today, None when there is none."""
    columns = last_views.c
    statement = select(columns.query).where(
        columns.user_id == scope.user_id, columns.seen_at > now - RESTORED
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        return connection.execute(statement).scalar_one_or_none()


def _seen_by(scope: AccessScope) -> Any:
    return or_(saved_searches.c.user_id == (scope.user_id or ""), saved_searches.c.shared)


def _seen(connection: Connection, scope: AccessScope, search_id: str, *, locks: bool = False) -> SavedSearch:
    """Return one that the person sees; with `locks` nobody else changes it until the transaction ends."""
    condition = and_(saved_searches.c.tenant_id == scope.tenant_id, saved_searches.c.id == search_id)
    statement = select(saved_searches).where(condition, _seen_by(scope))
    row = connection.execute(statement.with_for_update() if locks else statement).one_or_none()
    if row is None:
        raise NotFound("There is no such search.")
    return _search(row)


def _free(connection: Connection, user_id: UserId, name: str) -> None:
    """Raise Conflict when the person has a search of this name."""
    columns = saved_searches.c
    taken = select(columns.id).where(columns.user_id == user_id, columns.name == name)
    if connection.execute(taken).first() is not None:
        raise Conflict("You keep a search of this name already; take another name.")


def _person(scope: AccessScope) -> UserId:
    if scope.user_id is None:
        raise Refused("Searches are kept by people; this key acts for nobody.")
    return scope.user_id


def _named(name: str) -> str:
    name = name.strip()
    if not name or len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise Refused(f"A name has 1 to {NAME_CHARS_MAX} printable characters.")
    return name


def _query(query: str) -> str:
    if len(query) > QUERY_CHARS_MAX or not query.isprintable() or not query.isascii():
        raise Refused(f"A query string has at most {QUERY_CHARS_MAX} characters, percent-encoded.")
    return query


def _search(row: Row[Any]) -> SavedSearch:
    return SavedSearch(row.id, UserId(row.user_id), row.name, row.query, row.shared, row.saved_at)
