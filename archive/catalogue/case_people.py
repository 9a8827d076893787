"""Who is admitted to a case: people who hear what it holds, whosever it is, for the time of the case.

An admission ends when the case is released, or when the person is taken off it. Who was
admitted stays written down, and what they heard stands in the audit log of each recording.

Rules: auditors who signed in admit people, for an administrator could otherwise let anybody
hear anything; every change is made in the transaction of its audit entry. Not here: what an
admission opens (`archive.access`), and how a scope comes to it (`archive.catalogue.accounts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, insert, select, update

from archive.access import AccessScope, may_admit
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import case_people, case_recordings, cases, users
from archive.errors import Conflict, NotFound, Refused
from archive.model import CaseRecording, Recording, UserId, new_id

PEOPLE_COUNT_MAX = 50
"""Of one case; more is a team, and teams have listeners."""


@dataclass(frozen=True)
class Admitted:
    """Somebody who hears what a case holds."""

    user_id: UserId
    login: str
    added_by: str
    added_at: datetime


def admit(
    connection: Connection, scope: AccessScope, case_id: str, user_id: UserId, *, now: datetime
) -> None:
    """Admit a person to a case that holds; nothing happens to who is admitted already.

    Raises Refused without the right or above PEOPLE_COUNT_MAX, NotFound (case or person), Conflict for
    a case that was released.
    """
    require_right(scope)
    _lock(connection, scope, case_id)
    person = select(users.c.id).where(users.c.tenant_id == scope.tenant_id, users.c.id == user_id)
    if connection.execute(person).first() is None:
        raise NotFound("There is no such user in this tenant.")
    admitted = connection.execute(select(case_people.c.user_id).where(_open(scope, case_id))).scalars().all()
    if user_id in admitted:
        return
    if len(admitted) >= PEOPLE_COUNT_MAX:
        raise Refused(f"At most {PEOPLE_COUNT_MAX} people are admitted to a case; make a team of them.")
    row = {"id": new_id(now), "tenant_id": scope.tenant_id, "case_id": case_id, "user_id": user_id}
    connection.execute(insert(case_people).values({**row, "added_by": scope.actor, "added_at": now}))


def take_off(
    connection: Connection, scope: AccessScope, case_id: str, user_id: UserId, *, now: datetime
) -> None:
    """Take a person off a case; raises Refused, NotFound (case, or nobody who is admitted), Conflict."""
    require_right(scope)
    _lock(connection, scope, case_id)
    ended = connection.execute(
        update(case_people)
        .where(_open(scope, case_id), case_people.c.user_id == user_id)
        .values(removed_by=scope.actor, removed_at=now)
        .returning(case_people.c.user_id)
    ).first()
    if ended is None:
        raise NotFound("There is no such person admitted to this case.")


def of_case(connection: Connection, scope: AccessScope, case_id: str) -> tuple[Admitted, ...]:
    """Return who is admitted to a case now, by login."""
    columns = case_people.c
    statement = (
        select(columns.user_id, users.c.login, columns.added_by, columns.added_at)
        .join(users, and_(users.c.tenant_id == columns.tenant_id, users.c.id == columns.user_id))
        .where(_open(scope, case_id))
        .order_by(users.c.login)
    )
    return tuple(
        Admitted(UserId(row.user_id), row.login, row.added_by, row.added_at.astimezone(UTC))
        for row in connection.execute(statement)
    )


def names(connection: Connection, scope: AccessScope) -> dict[str, str]:
    """Return the names of the cases the scope was admitted to, by their ids, newest first."""
    if not scope.heard_case_ids:
        return {}
    statement = (
        select(cases.c.id, cases.c.name)
        .where(cases.c.tenant_id == scope.tenant_id, cases.c.id.in_(sorted(scope.heard_case_ids)))
        .order_by(cases.c.opened_at.desc(), cases.c.id.desc())
    )
    return {row.id: row.name for row in connection.execute(statement)}


def as_held(catalogue: Catalogue, recording: Recording) -> Recording:
    """Return a recording with the cases it is in, to ask what others may do with it."""
    held = case_recordings.c
    statement = select(held.case_id).where(
        held.tenant_id == recording.tenant_id, held.recording_id == recording.id
    )
    with catalogue.transaction(recording.tenant_id) as connection:
        return CaseRecording.of(recording, connection.execute(statement).scalars())


def admitted_to(tenant_id: ColumnElement[Any], user_id: ColumnElement[Any]) -> Select[Any]:
    """Return the statement for the cases that hold and that a person is admitted to."""
    columns = case_people.c
    return (
        select(columns.case_id)
        .join(cases, and_(cases.c.tenant_id == columns.tenant_id, cases.c.id == columns.case_id))
        .where(columns.tenant_id == tenant_id, columns.user_id == user_id)
        .where(columns.removed_at.is_(None), cases.c.released_at.is_(None))
    )


def require_right(scope: AccessScope) -> None:
    """Raise Refused unless the scope may say who hears what a case holds."""
    if not may_admit(scope):
        raise Refused("Who hears the recordings of a case is for an auditor who signed in to say.")


def _lock(connection: Connection, scope: AccessScope, case_id: str) -> None:
    """Keep a case as it is for this transaction; raises NotFound, Conflict when it was released."""
    statement = select(cases.c.released_at).where(cases.c.tenant_id == scope.tenant_id, cases.c.id == case_id)
    row = connection.execute(statement.with_for_update()).one_or_none()
    if row is None:
        raise NotFound("There is no such case.")
    if row.released_at is not None:
        raise Conflict("The case was released; nobody hears anything by it any more.")


def _open(scope: AccessScope, case_id: str) -> ColumnElement[bool]:
    columns = case_people.c
    of_case = and_(columns.tenant_id == scope.tenant_id, columns.case_id == case_id)
    return and_(of_case, columns.removed_at.is_(None))
