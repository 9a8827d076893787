"""How the recordings of later calls come into a case: by rule, in the transaction that archives them.

A rule names a person or a number. Whoever archives a recording holds the lock of the
tenant's rules with others; whoever makes or ends a rule, or releases a case, holds it alone. So a
rule that was acknowledged has every recording archived after it, and one that was ended, or whose
case was released, none.

Rules: a call nobody kept is never archived, and so never held. Not here: cases
(`archive.catalogue.cases`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.engine import Connection
from archive.catalogue.tables import case_recordings, case_rules, cases
from archive.model import Recording, RecordingId, TenantId
from archive.numbers import canonical

ACTOR = "service:rule"
"""Who put a recording into a case that came there by a rule."""

LOCK_SHARED = select(func.pg_advisory_xact_lock_shared(func.hashtextextended(bindparam("name"), 0)))
LOCK_ALONE = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name"), 0)))


def lock(connection: Connection, tenant_id: TenantId) -> None:
    """Wait for whoever archives for this tenant at this moment, and keep others from it."""
    connection.execute(LOCK_ALONE, {"name": _lock_name(tenant_id)})


def following(connection: Connection, recording: Recording, *, made_by_end: bool = False) -> tuple[str, ...]:
    """Return the cases whose rules a recording comes under that is archived in this transaction.

    With `made_by_end` only rules made before its call ended: those its archiving had to follow.
    """
    connection.execute(LOCK_SHARED, {"name": _lock_name(recording.tenant_id)})
    columns = case_rules.c
    statement = (
        select(columns.case_id, columns.user_id, columns.number)
        .join(cases, cases.c.id == columns.case_id)
        .where(columns.tenant_id == recording.tenant_id, columns.ended_at.is_(None))
        .where(cases.c.released_at.is_(None))
    )
    if made_by_end:
        statement = statement.where(columns.made_at <= recording.ended_at)
    rules = connection.execute(statement).all()
    if not rules:
        return ()
    numbers = {canonical(party.number) for party in recording.parties}
    numbers |= {party.number for party in recording.parties}
    people = {party.user_id for party in recording.parties} | {recording.owner}
    return tuple(
        sorted(
            {
                rule.case_id
                for rule in rules
                if (rule.number is not None and rule.number in numbers)
                or (rule.user_id is not None and rule.user_id in people)
            }
        )
    )


def follow(connection: Connection, recording: Recording, case_ids: Iterable[str]) -> None:
    """Put a recording that was archived in this transaction, under hold, into the cases of `following`."""
    for case_id in case_ids:
        put(
            connection,
            recording.tenant_id,
            case_id,
            (recording.id,),
            actor=ACTOR,
            now=recording.ended_at,
        )


def put(
    connection: Connection,
    tenant_id: TenantId,
    case_id: str,
    recording_ids: Iterable[RecordingId],
    *,
    actor: str,
    now: datetime,
) -> None:
    """Put recordings into a case, whose rows the caller holds locked or has just inserted."""
    of_case = {"tenant_id": tenant_id, "case_id": case_id, "added_by": actor, "added_at": now}
    rows = [{**of_case, "recording_id": recording_id} for recording_id in recording_ids]
    if rows:
        connection.execute(upsert(case_recordings).on_conflict_do_nothing(), rows)


def _lock_name(tenant_id: TenantId) -> str:
    return f"cases/{tenant_id}"
