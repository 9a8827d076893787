"""Cases that changed since their copy in the bucket was written, and what the next copy says.

A row comes with each change, by triggers, in its transaction (migration 0072). Whoever writes the
copy looks which rows there are before he reads the case, and takes off those alone: what changed
meanwhile has one of its own.

Rules: runs as worker. Not here: the copies (`archive.case_copy`), and writing them
(`retention.case_copies`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.case_copy import CopiedAdmission, CopiedCase, CopiedMember, CopiedRule
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import (
    case_changes,
    case_copies,
    case_people,
    case_recordings,
    case_rules,
    cases,
    user_numbers,
)
from archive.errors import NotFound
from archive.model import RecordingId, TenantId
from archive.store.object import sha256_hex


@dataclass(frozen=True)
class Changed:
    """A case, whether it has ended for good, and the numbers of the changes its copy does not have.

    `copy_taken` is the number of the copy it was last brought back from, 0 of none.
    """

    case: CopiedCase
    has_ended: bool
    changes: tuple[int, ...]
    copy_taken: int


def waiting(catalogue: Catalogue, tenant_id: TenantId, limit: int) -> list[str]:
    """Return cases whose copy is behind, those waiting longest first; behind them those that were tried.

    So what fails every time keeps no other waiting.
    """
    columns = case_changes.c
    statement = (
        select(columns.case_id)
        .where(columns.tenant_id == tenant_id)
        .group_by(columns.case_id)
        .order_by(func.max(columns.tried_at).asc().nulls_first(), func.min(columns.id))
        .limit(limit)
    )
    with catalogue.transaction(tenant_id) as connection:
        return list(connection.execute(statement).scalars())


def tried(catalogue: Catalogue, tenant_id: TenantId, case_id: str, *, now: datetime) -> None:
    """Write down that the copy of a case could not be written."""
    columns = case_changes.c
    of_it = and_(columns.tenant_id == tenant_id, columns.case_id == case_id)
    with catalogue.transaction(tenant_id) as connection:
        connection.execute(update(case_changes).where(of_it).values(tried_at=now))


def ended_since(catalogue: Catalogue, tenant_id: TenantId, since: datetime) -> list[str]:
    """Return the cases that ended for good since a moment."""
    columns = cases.c
    statement = select(columns.id).where(columns.tenant_id == tenant_id, columns.let_go_at > since)
    with catalogue.transaction(tenant_id) as connection:
        return list(connection.execute(statement.order_by(columns.id)).scalars())


def count_waiting(catalogue: Catalogue, tenant_id: TenantId) -> int:
    """Return how many there are."""
    columns = case_changes.c
    statement = select(func.count(columns.case_id.distinct())).where(columns.tenant_id == tenant_id)
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).scalar_one()


def changed(catalogue: Catalogue, tenant_id: TenantId, case_id: str) -> Changed:
    """Return a case as it is now, and the changes that are in it; raises NotFound."""
    columns = case_changes.c
    of_it = select(columns.id).where(columns.tenant_id == tenant_id, columns.case_id == case_id)
    with catalogue.transaction(tenant_id) as connection:
        # The changes first: what is committed between the two statements is in the case as well.
        numbers = tuple(connection.execute(of_it).scalars())
        row = connection.execute(
            select(cases).where(cases.c.tenant_id == tenant_id, cases.c.id == case_id)
        ).one_or_none()
        if row is None:
            raise NotFound("There is no such case.")
        case = CopiedCase(
            tenant_id=tenant_id,
            id=case_id,
            name=row.name,
            reason=row.reason,
            opened_by=row.opened_by,
            opened_at=row.opened_at.astimezone(UTC),
            release_reason=row.release_reason,
            release_asked_by=row.release_asked_by,
            release_asked_at=_moment(row.release_asked_at),
            released_by=row.released_by,
            released_at=_moment(row.released_at),
            rules=_rules(connection, tenant_id, case_id),
            people=_people(connection, tenant_id, case_id),
            members=_members(connection, tenant_id, case_id),
        )
    return Changed(case, row.let_go_at is not None, numbers, row.copy_taken)


def pinned(
    catalogue: Catalogue, tenant_id: TenantId, case_id: str, placed: tuple[str, str], octets: bytes
) -> None:
    """Write down where the copy of a case stands, by key and version, and what its octets are."""
    key, version_id = placed
    row = {
        "tenant_id": tenant_id,
        "case_id": case_id,
        "object_key": key,
        "version_id": version_id,
        "ciphertext_bytes": len(octets),
        "ciphertext_sha256": sha256_hex(octets),
        "damage": None,
    }
    statement = upsert(case_copies).values(row)
    statement = statement.on_conflict_do_update(index_elements=["case_id"], set_=row)
    with catalogue.transaction(tenant_id) as connection:
        connection.execute(statement)


def unpinned(catalogue: Catalogue, tenant_id: TenantId, case_id: str) -> None:
    """Forget where the copy of a case stood, which has ended."""
    columns = case_copies.c
    with catalogue.transaction(tenant_id) as connection:
        connection.execute(
            delete(case_copies).where(columns.tenant_id == tenant_id, columns.case_id == case_id)
        )


def write_anew(connection: Connection, tenant_id: TenantId, case_id: str) -> None:
    """Have the copy of a case written anew, as after a change."""
    connection.execute(insert(case_changes).values(tenant_id=tenant_id, case_id=case_id))


def settle(catalogue: Catalogue, tenant_id: TenantId, changes: Sequence[int]) -> None:
    """Write down that the copy has these changes."""
    columns = case_changes.c
    with catalogue.transaction(tenant_id) as connection:
        connection.execute(
            delete(case_changes).where(columns.tenant_id == tenant_id, columns.id.in_(changes))
        )


def _rules(connection: Connection, tenant_id: TenantId, case_id: str) -> tuple[CopiedRule, ...]:
    columns, numbers = case_rules.c, user_numbers.c
    of_case = and_(columns.tenant_id == tenant_id, columns.case_id == case_id)
    known: dict[str, tuple[tuple[str, str], ...]] = {}
    people = select(columns.user_id).where(of_case, columns.user_id.is_not(None))
    of_people = select(numbers.user_id, numbers.first, numbers.last).where(
        numbers.tenant_id == tenant_id, numbers.user_id.in_(people)
    )
    for each in connection.execute(of_people.order_by(numbers.user_id, numbers.first)):
        known[each.user_id] = (*known.get(each.user_id, ()), (each.first, each.last))
    rows = connection.execute(select(case_rules).where(of_case).order_by(columns.made_at, columns.id))
    return tuple(
        CopiedRule(
            row.id,
            row.user_id,
            row.number,
            row.made_by,
            row.made_at.astimezone(UTC),
            known.get(row.user_id or "", ()),
            row.ended_by,
            _moment(row.ended_at),
        )
        for row in rows
    )


def _people(connection: Connection, tenant_id: TenantId, case_id: str) -> tuple[CopiedAdmission, ...]:
    columns = case_people.c
    rows = connection.execute(
        select(case_people)
        .where(columns.tenant_id == tenant_id, columns.case_id == case_id)
        .order_by(columns.added_at, columns.id)
    )
    return tuple(
        CopiedAdmission(
            row.id,
            row.user_id,
            row.added_by,
            row.added_at.astimezone(UTC),
            row.removed_by,
            _moment(row.removed_at),
        )
        for row in rows
    )


def _members(connection: Connection, tenant_id: TenantId, case_id: str) -> tuple[CopiedMember, ...]:
    columns = case_recordings.c
    rows = connection.execute(
        select(columns.recording_id, columns.added_by, columns.added_at)
        .where(columns.tenant_id == tenant_id, columns.case_id == case_id)
        .order_by(columns.recording_id)
    )
    return tuple(
        CopiedMember(RecordingId(row.recording_id), row.added_by, row.added_at.astimezone(UTC))
        for row in rows
    )


def _moment(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)
