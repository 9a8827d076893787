"""Requests of data subjects: taken in, identified, extended, answered, closed.

Each step is written with who did it and when, in the transaction of its audit entry, under
the lock of the request's row; where it leads is the table of `archive.data_subject`. A
request that was closed stays as it is (a trigger refuses the rest).

Rules: runs as portal, but for `to_remind`, `reminded` and `forget`, which are the worker's. The name,
how to reach them and what was answered stand here and nowhere else: never in the audit log.
Not here: their calls (`archive.catalogue.data_subject_calls`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, select, tuple_, update

from archive.access import AccessScope, may_handle_requests
from archive.catalogue.documents import storable
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.exports import ExportState
from archive.catalogue.recordings import PAGE_ROWS_MAX, decode_cursor, encode_cursor
from archive.catalogue.rows import by_name
from archive.catalogue.tables import data_subject_requests as requests
from archive.catalogue.tables import exports
from archive.data_subject import (
    SOON_DAYS,
    Ground,
    Identification,
    Outcome,
    RequestKind,
    RequestState,
    Step,
    after,
    check_answer,
    check_extension,
    due_on,
    today,
)
from archive.errors import NotFound, Refused
from archive.model import TenantId, new_id

LINE_CHARS_MAX = 200
"""A name, or where the answer goes."""

NOTE_CHARS_MAX = 1000
"""A reason, or how somebody was identified."""

ANSWER_CHARS_MAX = 10_000
"""Some pages of a letter."""

AGE_DAYS_MAX = 3 * 366
"""What is older than the longest term of an answer was not received that day, but mistyped."""

SOON, OVERDUE = "soon", "overdue"


@dataclass(frozen=True)
class NewRequest:
    """What is known when a request comes in."""

    kind: RequestKind
    name: str
    contact: str
    received_on: date


@dataclass(frozen=True)
class Request:
    """One request, with who did each of its steps and when; what was not done yet is None."""

    id: str
    tenant_id: TenantId
    kind: RequestKind
    state: RequestState
    name: str
    contact: str
    received_on: date
    taken_in_by: str
    taken_in_at: datetime
    identified_how: Identification | None
    identification: str | None
    identified_by: str | None
    identified_at: datetime | None
    extension_reason: str | None
    extended_by: str | None
    extended_at: datetime | None
    outcome: Outcome | None
    ground: Ground | None
    answer: str | None
    answered_by: str | None
    answered_at: datetime | None
    closing_note: str | None
    closed_by: str | None
    closed_at: datetime | None
    reminded: str | None

    @property
    def due_on(self) -> date:
        """The last day on which it is answered in time."""
        return due_on(self.received_on, extended=self.extended_at is not None)

    @property
    def is_open(self) -> bool:
        """Whether somebody waits for the answer."""
        return self.answered_at is None and self.closed_at is None

    def days_left(self, on: date) -> int | None:
        """Return how many days there are left, below 0 when it is overdue; None once nobody waits."""
        return (self.due_on - on).days if self.is_open else None

    @property
    def was_late(self) -> bool:
        """Whether it was answered after its last day."""
        return self.answered_at is not None and today(self.answered_at) > self.due_on


def take_in(connection: Connection, scope: AccessScope, new: NewRequest, *, now: datetime) -> Request:
    """Write a request down; raises Refused without the right, or for what it can't say."""
    require_right(scope)
    on = today(now)
    if not on - timedelta(days=AGE_DAYS_MAX) <= new.received_on <= on:
        raise Refused("A request was received today or before, and not years ago.")
    row = {
        "id": new_id(now),
        "tenant_id": scope.tenant_id,
        "kind": new.kind.value,
        "state": RequestState.TAKEN_IN.value,
        "name": _text(new.name, LINE_CHARS_MAX, "The name"),
        "contact": _text(new.contact, LINE_CHARS_MAX, "Where the answer goes"),
        "received_on": new.received_on,
        "taken_in_by": scope.actor,
        "taken_in_at": now,
    }
    return _request(connection.execute(insert(requests).values(row).returning(requests)).one())


def identify(
    connection: Connection,
    scope: AccessScope,
    request_id: str,
    how: Identification,
    note: str = "",
    *,
    now: datetime,
) -> Request:
    """Write down how it was made sure who asks; raises Refused, NotFound, Conflict."""
    if len(note) > NOTE_CHARS_MAX:
        raise Refused(f"The note has at most {NOTE_CHARS_MAX} characters.")
    told = {"identified_how": how.value, "identification": storable(note.strip()) or None}
    done = {"identified_by": scope.actor, "identified_at": now}
    return _step(connection, scope, request_id, Step.IDENTIFY, {**told, **done})


def extend(
    connection: Connection, scope: AccessScope, request_id: str, reason: str, *, now: datetime
) -> Request:
    """Give the answer two months more, for a reason the person is told within the first one.

    Raises Refused, NotFound, Conflict when it was extended already or the month is over.
    """

    def check(request: Request) -> None:
        if request.extended_at is not None:
            raise Refused("A request is extended once.")
        check_extension(request.received_on, today(now))

    told = {"extension_reason": _text(reason, NOTE_CHARS_MAX, "The reason")}
    done = {"extended_by": scope.actor, "extended_at": now}
    return _step(connection, scope, request_id, Step.EXTEND, {**told, **done}, check)


def answer(
    connection: Connection,
    scope: AccessScope,
    request_id: str,
    outcome: Outcome,
    *,
    ground: Ground | None,
    text: str,
    now: datetime,
) -> Request:
    """Write down what was answered; what is not granted names its ground.

    Raises Refused, NotFound, Conflict.
    """

    def check(request: Request) -> None:
        check_answer(request.kind, outcome, ground)

    told = {
        "outcome": outcome.value,
        "ground": None if ground is None else ground.value,
        "answer": _text(text, ANSWER_CHARS_MAX, "The answer"),
    }
    step = Step.REFUSE if outcome is Outcome.REFUSED else Step.GRANT
    done = {"answered_by": scope.actor, "answered_at": now}
    return _step(connection, scope, request_id, step, {**told, **done}, check)


def close(
    connection: Connection, scope: AccessScope, request_id: str, note: str = "", *, now: datetime
) -> Request:
    """Close a request that was answered, or that was withdrawn, which takes a note.

    Raises Refused, NotFound, Conflict.
    """
    found = locked(connection, scope, request_id)
    withdrawn = found.is_open and note.strip()
    told = {"closing_note": _text(note, NOTE_CHARS_MAX, "The note") if note.strip() else None}
    done = {"closed_by": scope.actor, "closed_at": now}
    step = Step.WITHDRAW if withdrawn else Step.CLOSE
    return _step(connection, scope, request_id, step, {**told, **done})


def get(catalogue: Catalogue, scope: AccessScope, request_id: str) -> Request:
    """Return one request; raises Refused without the right, NotFound."""
    require_right(scope)
    with catalogue.transaction(scope.tenant_id) as connection:
        return read(connection, scope, request_id)


def read(connection: Connection, scope: AccessScope, request_id: str) -> Request:
    """Return one request in the caller's transaction; raises NotFound."""
    row = connection.execute(select(requests).where(_is(scope.tenant_id, request_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such request.")
    return _request(row)


def locked(connection: Connection, scope: AccessScope, request_id: str) -> Request:
    """Return one request under its lock; raises Refused without the right, NotFound."""
    require_right(scope)
    statement = select(requests).where(_is(scope.tenant_id, request_id)).with_for_update()
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such request.")
    return _request(row)


def page(
    catalogue: Catalogue,
    scope: AccessScope,
    limit: int,
    cursor: str | None,
    *,
    only_open: bool = False,
) -> tuple[tuple[Request, ...], str | None]:
    """Return a page of requests, newest first; raises Refused without the right or for a wrong cursor."""
    require_right(scope)
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Refused(f"The limit of a page is 1 to {PAGE_ROWS_MAX}.")
    columns = requests.c
    wanted = [columns.tenant_id == scope.tenant_id]
    if only_open:
        wanted += [columns.answered_at.is_(None), columns.closed_at.is_(None)]
    if cursor is not None:
        wanted.append(tuple_(columns.taken_in_at, columns.id) < tuple_(*decode_cursor(cursor)))
    order = (columns.taken_in_at.desc(), columns.id.desc())
    statement = select(requests).where(*wanted).order_by(*order).limit(limit + 1)
    with catalogue.transaction(scope.tenant_id) as connection:
        found = [_request(row) for row in connection.execute(statement)]
    items = tuple(found[:limit])
    more = len(found) > limit
    return items, encode_cursor(items[-1].taken_in_at, items[-1].id) if more else None


def to_remind(connection: Connection, tenant_id: TenantId, on: date) -> list[tuple[Request, str]]:
    """Return open requests of which somebody has to be reminded now, and whether they are soon or overdue."""
    columns = requests.c
    statement = (
        select(requests)
        .where(columns.tenant_id == tenant_id, columns.answered_at.is_(None), columns.closed_at.is_(None))
        .order_by(columns.received_on, columns.id)
        .limit(PAGE_ROWS_MAX)
        .with_for_update(skip_locked=True)
    )
    found = []
    for request in map(_request, connection.execute(statement)):
        left = (request.due_on - on).days
        stage = OVERDUE if left < 0 else SOON
        if left <= SOON_DAYS and request.reminded not in {stage, OVERDUE}:
            found.append((request, stage))
    return found


def reminded(connection: Connection, request: Request, stage: str) -> None:
    """Note that somebody was reminded of a request, so that it is not done twice."""
    mine = _is(request.tenant_id, request.id)
    connection.execute(update(requests).where(mine).values(reminded=stage))


def forget(connection: Connection, tenant_id: TenantId, before: datetime) -> tuple[str, ...]:
    """Delete requests that were answered or closed before a moment, with all that was sought for them.

    Returns their ids, oldest first and at most PAGE_ROWS_MAX; one whose package can still be fetched stays.
    """
    columns = requests.c
    ended_at = func.coalesce(columns.closed_at, columns.answered_at)
    packed = select(exports.c.id).where(
        exports.c.tenant_id == tenant_id,
        exports.c.request_id == columns.id,
        exports.c.state != ExportState.ENDED.value,
    )
    over = (
        select(columns.id)
        .where(columns.tenant_id == tenant_id, ended_at < before, ~packed.exists())
        .order_by(ended_at, columns.id)
        .limit(PAGE_ROWS_MAX)
        .with_for_update(skip_locked=True)
    )
    ids = tuple(connection.execute(over).scalars())
    connection.execute(delete(requests).where(columns.tenant_id == tenant_id, columns.id.in_(ids)))
    return ids


def supervisors(connection: Connection) -> list[str]:
    """Return the proved addresses of the administrators and auditors of the tenant of the transaction."""
    found = func.addresses_of_supervisors().table_valued("email")
    return sorted(connection.execute(select(found.c.email)).scalars())


def require_right(scope: AccessScope) -> None:
    """Raise Refused unless the scope may handle requests."""
    if not may_handle_requests(scope):
        raise Refused(
            "Handling requests of data subjects needs the role auditor or administrator, "
            "or the scope data-subjects."
        )


def _step(  # noqa: PLR0917 - what every step has
    connection: Connection,
    scope: AccessScope,
    request_id: str,
    step: Step,
    values: dict[str, object],
    check: Callable[[Request], None] = lambda _: None,
) -> Request:
    """Take a step with a request; raises Refused without the right, NotFound, Conflict out of its order."""
    found = locked(connection, scope, request_id)
    state = after(found.state, step)
    check(found)
    changed = update(requests).where(_is(scope.tenant_id, request_id)).values(state=state.value, **values)
    return _request(connection.execute(changed.returning(requests)).one())


def _text(text: str, chars_max: int, what: str) -> str:
    plain = text.strip()
    if not 1 <= len(plain) <= chars_max:
        raise Refused(f"{what} has 1 to {chars_max} characters.")
    return storable(plain)


def _is(tenant_id: TenantId, request_id: str) -> ColumnElement[bool]:
    return and_(requests.c.tenant_id == tenant_id, requests.c.id == request_id)


def _request(row: Row[Any]) -> Request:
    fields = by_name(row)
    for name, known in _WORDS.items():
        fields[name] = None if fields[name] is None else known(fields[name])
    return Request(**{**fields, "tenant_id": TenantId(row.tenant_id)})


_WORDS: dict[str, Callable[[str], object]] = {
    "kind": RequestKind,
    "state": RequestState,
    "identified_how": Identification,
    "outcome": Outcome,
    "ground": Ground,
}
