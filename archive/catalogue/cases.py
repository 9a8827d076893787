"""Cases and their legal hold: opened, filled, released by two people.

A case holds what is put into it from the transaction on that put it there, until it is
released: one person asks for the release and another one grants it. Rules let recordings
of later calls come into a case when they are archived: those of a person, and those with a
number on the call.

The row of a recording is locked while it is put under a hold, as it is while the sweep
claims it: whoever is second finds out. What is on its way out can't be held any more, and
that is said with the time at which its destruction began.

Rules: runs as portal. Every change is made in the
transaction of its audit entry. A call that nobody kept exists for no case. Not here: how
later calls come into a case (`archive.catalogue.case_rules`), how a released case lets its
recordings go (`archive.catalogue.case_release`), and the store's own holds
(`retention.store_holds`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, Select, and_, func, insert, select, tuple_, update
from sqlalchemy.sql.elements import ColumnElement

from archive.access import UNSEEN_STATES, AccessScope, may_hold, may_release
from archive.approval import LIFE, NotDecidable, require_releasers
from archive.catalogue import case_people, case_search, destructions, second_person
from archive.catalogue import case_rules as rules
from archive.catalogue.case_people import Admitted
from archive.catalogue.case_search import TOLD_IDS_MAX, Added
from archive.catalogue.documents import storable
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.recording_query import RecordingQuery
from archive.catalogue.recordings import decode_cursor, encode_cursor, selected
from archive.catalogue.rows import by_name
from archive.catalogue.tables import case_recordings, case_rules, cases, recordings, users
from archive.errors import Conflict, NotFound, Refused
from archive.model import GOING_STATES, RecordingId, RecordingState, TenantId, UserId, new_id
from archive.numbers import canonical

NAME_CHARS_MAX = 100
REASON_CHARS_MAX = 1000

RECORDINGS_MAX = 10_000
"""Put into a case by their ids at once; what a search finds may be more (`archive.catalogue.case_search`)."""

RULES_COUNT_MAX = 100
"""Of one case; each is compared with every recording that is archived."""

PAGE_ROWS_MAX = 200

HELD = "held"
"""All of a recording stands under a hold of the store as well (`archive.catalogue.store_holds`)."""


class BeingDestroyed(Conflict):
    """The destruction of a recording has begun; it can't be held any more."""


@dataclass(frozen=True)
class Rule:
    """Whose later calls come into a case: those of a person, or with a number (canonical) on them."""

    id: str
    user_id: UserId | None
    number: str | None


@dataclass(frozen=True)
class Case:
    """A case; `held_by_store` of its `recordings` stand under a hold of the store as well."""

    id: str
    name: str
    reason: str
    opened_by: str
    opened_at: datetime
    release_reason: str | None
    release_asked_by: str | None
    release_asked_at: datetime | None
    released_by: str | None
    released_at: datetime | None
    recordings: int
    held_by_store: int
    rules: tuple[Rule, ...] = ()
    people: tuple[Admitted, ...] = ()
    """Who hears what it holds; told of one case, not in lists."""

    let_go_at: datetime | None = None
    """When the last of its recordings was let go after the release; it takes a job some time."""

    @property
    def state(self) -> str:
        """`holding`, `release asked` or `released`."""
        if self.released_at is not None:
            return "released"
        return "holding" if self.release_asked_at is None else "release asked"


@dataclass(frozen=True)
class Member:
    """A recording in a case, without numbers or names."""

    recording_id: RecordingId
    state: RecordingState
    started_at: datetime
    duration_ms: int
    held_by_store: bool
    added_by: str
    added_at: datetime
    retain_until: datetime


def open_case(connection: Connection, scope: AccessScope, name: str, reason: str, *, now: datetime) -> str:
    """Open a case and return its id; raises Refused without the right."""
    require_right(scope)
    case_id = new_id(now)
    row = {"id": case_id, "tenant_id": scope.tenant_id, "name": storable(name), "reason": storable(reason)}
    connection.execute(insert(cases).values({**row, "opened_by": scope.actor, "opened_at": now}))
    return case_id


def add(
    connection: Connection,
    scope: AccessScope,
    case_id: str,
    recording_ids: Iterable[RecordingId],
    *,
    now: datetime,
) -> Added:
    """Put recordings into a case and so under its hold.

    Raises Refused without the right or above RECORDINGS_MAX, NotFound (case, or one of the
    recordings), Conflict for a case that was released.
    """
    require_right(scope)
    wanted = sorted(set(recording_ids))
    if len(wanted) > RECORDINGS_MAX:
        raise Refused(f"At most {RECORDINGS_MAX} recordings are put into a case at once: narrow the search.")
    _holding(connection, scope.tenant_id, case_id)
    columns = recordings.c
    found = _locked(connection, scope.tenant_id, wanted)
    if len(found) != len(wanted):
        # A row that is replaced by what a destroyed recording leaves is not seen by who waited for it.
        found = _locked(connection, scope.tenant_id, wanted)
    if len(found) != len(wanted):
        raise NotFound("There is no such recording.")
    going = tuple(RecordingId(row.id) for row in found if row.state in GOING_STATES)
    held = tuple(RecordingId(row.id) for row in found if row.state not in GOING_STATES)
    rules.put(connection, scope.tenant_id, case_id, held, actor=scope.actor, now=now)
    if held:
        connection.execute(
            update(recordings)
            .where(columns.tenant_id == scope.tenant_id, columns.id.in_(held))
            .values(on_hold=True)
        )
    return Added(len(held), held[:TOLD_IDS_MAX], going)


def add_one(
    connection: Connection, scope: AccessScope, case_id: str, recording_id: RecordingId, *, now: datetime
) -> None:
    """Put one recording under hold; raises BeingDestroyed with the time if it is too late, else as `add`."""
    if add(connection, scope, case_id, [recording_id], now=now).going:
        began = destructions.claimed_at(connection, scope.tenant_id, recording_id)
        at = "" if began is None else f": it began at {began.isoformat(timespec='seconds')}"
        raise BeingDestroyed(f"The recording is being destroyed and can't be held any more{at}.")


def add_search(
    connection: Connection, scope: AccessScope, case_id: str, query: RecordingQuery, *, now: datetime
) -> Added:
    """Put everything a search finds now into a case, with what is too late to hold told.

    Raises Refused for who may not hold or not search all, and above the number of `case_search`; NotFound,
    Conflict for a case that was released.
    """
    require_right(scope)
    if not scope.reads_all:
        raise Refused("Holding what a search finds is for the auditor, who sees everything.")
    _holding(connection, scope.tenant_id, case_id)
    found = selected(connection, scope, query)
    return case_search.put(connection, found, scope.tenant_id, case_id, actor=scope.actor, now=now)


def add_rule(
    connection: Connection,
    scope: AccessScope,
    case_id: str,
    user_id: UserId | None,
    number: str | None,
    *,
    now: datetime,
) -> Rule:
    """Let later calls of a person, or with a number, come into a case; what was archived is not touched.

    Raises Refused, NotFound (case or person), Conflict for a case that was released.
    """
    require_right(scope)
    # Whoever archives at this moment is waited for; everybody later sees the rule.
    rules.lock(connection, scope.tenant_id)
    _holding(connection, scope.tenant_id, case_id)
    columns = case_rules.c
    open_rules = columns.tenant_id == scope.tenant_id, columns.case_id == case_id, columns.ended_at.is_(None)
    count = select(func.count()).where(*open_rules)
    if connection.execute(count).scalar_one() >= RULES_COUNT_MAX:
        raise Refused(f"A case has at most {RULES_COUNT_MAX} rules.")
    if user_id is not None:
        person = select(users.c.id).where(users.c.tenant_id == scope.tenant_id, users.c.id == user_id)
        if connection.execute(person).first() is None:
            raise NotFound("There is no such user in this tenant.")
    known = None if number is None else canonical(number)
    if known is not None and not known:
        raise Refused("This is no number or address a call could have.")
    rule = Rule(new_id(now), user_id, None if known is None else storable(known))
    row = {"id": rule.id, "tenant_id": scope.tenant_id, "case_id": case_id, "user_id": user_id}
    made = {"number": rule.number, "made_by": scope.actor, "made_at": now}
    connection.execute(insert(case_rules).values({**row, **made}))
    return rule


def end_rule(
    connection: Connection, scope: AccessScope, case_id: str, rule_id: str, *, now: datetime
) -> Rule:
    """Let no later calls come into a case by a rule; what it holds stays held. Returns the rule.

    Raises Refused, NotFound (case, or rule that is not in force), Conflict for a case that was released.
    """
    require_right(scope)
    # Whoever archives under the rule at this moment is waited for: nothing comes by it after the answer.
    rules.lock(connection, scope.tenant_id)
    _holding(connection, scope.tenant_id, case_id)
    columns = case_rules.c
    ended = connection.execute(
        update(case_rules)
        .where(columns.tenant_id == scope.tenant_id, columns.case_id == case_id)
        .where(columns.id == rule_id, columns.ended_at.is_(None))
        .values(ended_by=scope.actor, ended_at=now)
        .returning(columns.user_id, columns.number)
    ).one_or_none()
    if ended is None:
        raise NotFound("There is no such rule of this case, or it was ended before.")
    return Rule(rule_id, ended.user_id, ended.number)


def ask_release(
    connection: Connection, scope: AccessScope, case_id: str, reason: str, *, now: datetime
) -> None:
    """Ask for the release of a case; raises Refused, NotFound, Conflict when that was asked already."""
    require_releaser(scope)
    row = _holding(connection, scope.tenant_id, case_id)
    if row.release_asked_at is not None and now < row.release_asked_at + LIFE:
        raise Conflict("The release of this case was asked for already; another person grants it.")
    values = {"release_reason": storable(reason), "release_asked_by": scope.actor, "release_asked_at": now}
    connection.execute(update(cases).where(_is(scope.tenant_id, case_id)).values(values))


def refuse_release(connection: Connection, scope: AccessScope, case_id: str) -> None:
    """Take back or refuse what was asked; the hold stays. Raises Refused, NotFound, Conflict."""
    require_releaser(scope)
    if _holding(connection, scope.tenant_id, case_id).release_asked_at is None:
        raise Conflict("Nobody asked for the release of this case.")
    values = {"release_reason": None, "release_asked_by": None, "release_asked_at": None}
    connection.execute(update(cases).where(_is(scope.tenant_id, case_id)).values(values))


def grant_release(connection: Connection, scope: AccessScope, case_id: str, *, now: datetime) -> None:
    """Release a case whose release another person asked for; a job lets its recordings go.

    Raises Refused (no right, the same person, or two who lately could have become one), NotFound, Conflict
    when nobody asked, when that is longer ago than a proposal lives, or by somebody who may not any more.
    """
    require_releaser(scope)
    # Whoever archives under a rule of this case is waited for, so that nothing stays held by nobody.
    rules.lock(connection, scope.tenant_id)
    row = _holding(connection, scope.tenant_id, case_id)
    if row.release_asked_at is None:
        raise Conflict("Nobody asked for the release of this case.")
    if row.release_asked_by == scope.actor:
        raise Refused("Another person than who asked for it grants a release.")
    if now >= row.release_asked_at + LIFE:
        raise NotDecidable("It was asked for too long ago: refuse it, and ask for the release anew.")
    roles = second_person.roles_of(connection, scope.tenant_id, (row.release_asked_by, scope.actor))
    require_releasers(roles.get(row.release_asked_by), roles.get(scope.actor))
    second_person.require_own_hand(connection, scope, row.release_asked_by, row.release_asked_at, now)
    values = {"released_by": scope.actor, "released_at": now}
    connection.execute(update(cases).where(_is(scope.tenant_id, case_id)).values(values))


def get(catalogue: Catalogue, scope: AccessScope, case_id: str) -> Case:
    """Return a case with its rules; raises Refused without the right, NotFound."""
    require_right(scope)
    with catalogue.transaction(scope.tenant_id) as connection:
        return read(connection, scope, case_id)


def read(connection: Connection, scope: AccessScope, case_id: str) -> Case:
    """Return a case in the caller's transaction; raises NotFound."""
    found = _cases(connection, _is(scope.tenant_id, case_id), 1)
    if not found:
        raise NotFound("There is no such case.")
    return replace(found[0], people=case_people.of_case(connection, scope, case_id))


def page(
    catalogue: Catalogue, scope: AccessScope, limit: int, cursor: str | None
) -> tuple[tuple[Case, ...], str | None]:
    """Return a page of cases, newest first; raises Refused without the right or for a wrong cursor."""
    require_right(scope)
    condition = cases.c.tenant_id == scope.tenant_id
    if cursor is not None:
        condition = and_(condition, tuple_(cases.c.opened_at, cases.c.id) < tuple_(*decode_cursor(cursor)))
    with catalogue.transaction(scope.tenant_id) as connection:
        found = _cases(connection, condition, limit + 1)
    items = tuple(found[:limit])
    more = len(found) > limit
    return items, encode_cursor(items[-1].opened_at, items[-1].id) if more else None


def holding(catalogue: Catalogue, scope: AccessScope, limit: int) -> tuple[Case, ...]:
    """Return the cases that were not released, newest first, at most `limit`; raises Refused."""
    require_right(scope)
    condition = and_(cases.c.tenant_id == scope.tenant_id, cases.c.released_at.is_(None))
    with catalogue.transaction(scope.tenant_id) as connection:
        return tuple(_cases(connection, condition, limit))


def of_recording(catalogue: Catalogue, scope: AccessScope, recording_id: RecordingId) -> tuple[Case, ...]:
    """Return the cases a recording is in, newest first; raises Refused without the right, NotFound."""
    require_right(scope)
    known = select(recordings.c.id).where(
        recordings.c.tenant_id == scope.tenant_id,
        recordings.c.id == recording_id,
        recordings.c.state.not_in(sorted(UNSEEN_STATES)),
    )
    within = select(case_recordings.c.case_id).where(
        case_recordings.c.tenant_id == scope.tenant_id, case_recordings.c.recording_id == recording_id
    )
    condition = and_(cases.c.tenant_id == scope.tenant_id, cases.c.id.in_(within))
    with catalogue.transaction(scope.tenant_id) as connection:
        if connection.execute(known).first() is None:
            raise NotFound("There is no such recording.")
        return tuple(_cases(connection, condition, PAGE_ROWS_MAX))


def members(
    catalogue: Catalogue, scope: AccessScope, case_id: str, limit: int, cursor: str | None
) -> tuple[tuple[Member, ...], str | None]:
    """Return a page of what a case holds, newest call first; raises Refused, NotFound."""
    require_right(scope)
    of_case, columns = case_recordings.c, recordings.c
    statement: Select[Any] = (
        select(
            columns.id,
            columns.state,
            columns.started_at,
            columns.duration_ms,
            columns.store_hold,
            of_case.added_by,
            of_case.added_at,
            columns.retain_until,
        )
        .join(recordings, columns.id == of_case.recording_id)
        .where(of_case.tenant_id == scope.tenant_id, of_case.case_id == case_id)
        .order_by(columns.started_at.desc(), columns.id.desc())
        .limit(limit + 1)
    )
    if cursor is not None:
        statement = statement.where(tuple_(columns.started_at, columns.id) < tuple_(*decode_cursor(cursor)))
    with catalogue.transaction(scope.tenant_id) as connection:
        read(connection, scope, case_id)
        rows = connection.execute(statement).all()
    items = tuple(_member(row) for row in rows[:limit])
    more = len(rows) > limit
    return items, encode_cursor(items[-1].started_at, items[-1].recording_id) if more else None


def require_right(scope: AccessScope) -> None:
    """Raise Refused unless the scope may hold recordings."""
    if not may_hold(scope):
        raise Refused("Holding recordings needs the role auditor or administrator, or the scope holds.")


def require_releaser(scope: AccessScope) -> None:
    """Raise Refused unless the scope may ask for a release or grant one."""
    if not may_release(scope):
        raise Refused("Releasing a case is for two people: administrators or auditors who signed in.")


def _holding(connection: Connection, tenant_id: TenantId, case_id: str) -> Row[Any]:
    """Return the row of a case that holds, under its lock; raises NotFound, Conflict when it was released."""
    row = connection.execute(select(cases).where(_is(tenant_id, case_id)).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("There is no such case.")
    if row.released_at is not None:
        raise Conflict("The case was released; open another one.")
    return row


def _locked(
    connection: Connection, tenant_id: TenantId, wanted: Sequence[RecordingId]
) -> Sequence[Row[Any, Any]]:
    """Return id and state of the recordings that can be seen, under the locks of their rows."""
    columns = recordings.c
    return connection.execute(
        select(columns.id, columns.state)
        .where(columns.tenant_id == tenant_id, columns.id.in_(wanted))
        .where(columns.state.not_in(sorted(UNSEEN_STATES)))
        .order_by(columns.id)
        .with_for_update()
    ).all()


def _cases(connection: Connection, condition: ColumnElement[bool], limit: int) -> list[Case]:
    of_case, columns = case_recordings.c, recordings.c
    counted = (
        select(func.count().label("all"), func.count().filter(columns.store_hold == HELD).label("stored"))
        .select_from(case_recordings.join(recordings, columns.id == of_case.recording_id))
        .where(of_case.tenant_id == cases.c.tenant_id, of_case.case_id == cases.c.id)
        .lateral("counted")
    )
    statement = (
        select(cases, counted.c.all, counted.c.stored)
        .where(condition)
        .order_by(cases.c.opened_at.desc(), cases.c.id.desc())
        .limit(limit)
    )
    rows = connection.execute(statement).all()
    in_force = case_rules.c.ended_at.is_(None)
    ruled = select(case_rules).where(case_rules.c.case_id.in_([row.id for row in rows]), in_force)
    of_cases: dict[str, tuple[Rule, ...]] = {}
    for rule in connection.execute(ruled.order_by(case_rules.c.made_at, case_rules.c.id)):
        of_it = Rule(rule.id, rule.user_id, rule.number)
        of_cases[rule.case_id] = (*of_cases.get(rule.case_id, ()), of_it)
    return [_case(row, of_cases.get(row.id, ())) for row in rows]


def _case(row: Row[Any], ruled: tuple[Rule, ...]) -> Case:
    fields = by_name(row)
    del fields["tenant_id"], fields["copy_taken"]
    count, stored = fields.pop("all"), fields.pop("stored")
    return Case(**fields, recordings=count, held_by_store=stored, rules=ruled)


def _member(row: Row[Any]) -> Member:
    return Member(
        recording_id=RecordingId(row.id),
        state=RecordingState(row.state),
        started_at=row.started_at.astimezone(UTC),
        duration_ms=row.duration_ms,
        held_by_store=row.store_hold == HELD,
        added_by=row.added_by,
        added_at=row.added_at.astimezone(UTC),
        retain_until=row.retain_until.astimezone(UTC),
    )


def _is(tenant_id: TenantId, case_id: str) -> ColumnElement[bool]:
    return and_(cases.c.tenant_id == tenant_id, cases.c.id == case_id)
