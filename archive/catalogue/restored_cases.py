"""Cases brought back from their copies: what the database lacks is added, and nothing loosened.

The database may be empty, or that of yesterday. A case that is not there is made as its copy tells
it; to one that is there, rules, admissions and recordings are added. A release is never brought
back: a case that holds in the database goes on holding until two people release it here. Nor is
an ask for a release: who let whom in until it was asked stood in the audit log that is lost, and
without that nobody can tell whether a second person would be another one.

A rule of a person matches by that person's id. Where the person is lost, the numbers they had
become rules of their own, so that later calls go on coming into the case; what can't be said so
is told as a doubt. Nobody is admitted to a case anew who was taken off it.

Rules: runs as operator; called again it changes nothing. Not here: who reads the copies
(`archive.rebuild_cases`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import and_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.case_copy import CopiedCase, CopiedMember, CopiedRule
from archive.catalogue import case_rules
from archive.catalogue.engine import Connection
from archive.catalogue.tables import case_people, cases, recordings, users
from archive.catalogue.tables import case_rules as rules_table
from archive.model import Recording, RecordingState, TenantId, new_id

ACTOR = "service:rebuild"

NUMBERS_COUNT_MAX = 100
"""Rules that one person's numbers become; whoever has more is a switchboard, and is told of."""

_GONE = frozenset({RecordingState.DELETING, RecordingState.DESTROYED})


@dataclass(frozen=True)
class Returned:
    """What became of a case: whether it was missing, and what of it somebody has to look at."""

    is_new: bool
    doubts: tuple[str, ...]


def bring_back(connection: Connection, case: CopiedCase, number: int, *, now: datetime) -> Returned:
    """Add a case, its rules and its people, as far as they are missing; its tenant is there.

    The number of the copy is written down: what of it could not be brought back is told here, and
    keeps nobody from writing the next one.
    """
    # Whoever releases a case at this moment is waited for; its row is not ours to lock.
    case_rules.lock(connection, case.tenant_id)
    of_it = and_(cases.c.tenant_id == case.tenant_id, cases.c.id == case.id)
    released = select(cases.c.released_at).where(of_it)
    row = connection.execute(released).one_or_none()
    doubts: list[str] = []
    if row is None:
        doubts += _insert(connection, case)
    connection.execute(update(cases).where(of_it, cases.c.copy_taken < number).values(copy_taken=number))
    if row is not None and row.released_at is not None:
        return Returned(is_new=False, doubts=())  # released here, and its copies go
    doubts += [doubt for rule in case.rules for doubt in _rule(connection, case, rule, now)]
    lost = _people(connection, case)
    if lost:
        doubts.append(f"case {case.id}: {lost} people were admitted who are not known any more")
    if row is not None and case.released_at is not None:
        doubts.append(
            f"case {case.id} was released since the backup; it holds until two people release it again"
        )
    return Returned(row is None, tuple(doubts))


def put_back(connection: Connection, recording: Recording, members: dict[str, CopiedMember]) -> None:
    """Put a recording back into its cases, by their ids, and into those whose rules it came under since.

    A rule that was lost and brought back missed the calls archived meanwhile.
    """
    of_it = and_(recordings.c.tenant_id == recording.tenant_id, recordings.c.id == recording.id)
    row = connection.execute(select(recordings.c.state).where(of_it).with_for_update()).one_or_none()
    if row is None or row.state in _GONE:
        return
    following = case_rules.following(connection, recording, made_by_end=True)
    holding = select(cases.c.id).where(
        cases.c.tenant_id == recording.tenant_id,
        cases.c.id.in_({*members, *following}),
        cases.c.released_at.is_(None),
    )
    case_ids = connection.execute(holding).scalars().all()
    for case_id in case_ids:
        member = members.get(case_id) or CopiedMember(recording.id, case_rules.ACTOR, recording.ended_at)
        case_rules.put(
            connection,
            recording.tenant_id,
            case_id,
            (recording.id,),
            actor=member.added_by,
            now=member.added_at,
        )
    if case_ids:
        connection.execute(update(recordings).where(of_it, ~recordings.c.on_hold).values(on_hold=True))


def _insert(connection: Connection, case: CopiedCase) -> list[str]:
    """Add a case; return what is in doubt of the ask for its release."""
    was_asked = case.release_asked_by is not None and case.released_at is None
    if was_asked:
        case = replace(case, release_reason=None, release_asked_by=None, release_asked_at=None)
    connection.execute(
        upsert(cases).values(
            id=case.id,
            tenant_id=case.tenant_id,
            name=case.name,
            reason=case.reason,
            opened_by=case.opened_by,
            opened_at=case.opened_at,
            release_reason=case.release_reason,
            release_asked_by=case.release_asked_by,
            release_asked_at=case.release_asked_at,
            released_by=case.released_by,
            released_at=case.released_at,
        )
    )
    return [f"case {case.id}: its release was asked for; it is to be asked for anew"] if was_asked else []


def _rule(connection: Connection, case: CopiedCase, rule: CopiedRule, now: datetime) -> list[str]:
    """Add or end a rule, and add what stands for it where its person is lost; return what is in doubt."""
    of_case = {"tenant_id": case.tenant_id, "case_id": case.id, "made_at": rule.made_at}
    row = {**of_case, "id": rule.id, "user_id": rule.user_id, "number": rule.number, "made_by": rule.made_by}
    ended = {"ended_by": rule.ended_by, "ended_at": rule.ended_at}
    connection.execute(upsert(rules_table).values({**row, **ended}).on_conflict_do_nothing())
    if rule.ended_at is not None:
        in_force = and_(rules_table.c.id == rule.id, rules_table.c.ended_at.is_(None))
        connection.execute(update(rules_table).where(in_force).values(ended))
        return []
    if rule.user_id is None or _is_known(connection, case.tenant_id, rule.user_id):
        return []
    numbers = _numbers(rule)
    columns = rules_table.c
    ruled = select(columns.number).where(columns.case_id == case.id, columns.number.is_not(None))
    known = set(connection.execute(ruled).scalars())
    rows = [
        {**of_case, "id": new_id(now), "user_id": None, "number": number, "made_by": ACTOR}
        for number in numbers or ()
        if number not in known
    ]
    if rows:
        connection.execute(upsert(rules_table), rows)
    if numbers:
        return []
    return [f"case {case.id}: a rule names a person who is not known any more; make it again for them"]


def _numbers(rule: CopiedRule) -> list[str]:
    """Return the numbers of a person one by one; none when there are none, or too many."""
    found: list[str] = []
    for first, last in rule.numbers:
        if first == last:
            found.append(first)
            continue
        digits = first.lstrip("+")
        if not (digits.isdigit() and last.lstrip("+").isdigit()):
            return []
        begin, end = int(digits), int(last.lstrip("+"))
        if end - begin >= NUMBERS_COUNT_MAX:
            return []
        sign = "+" if first.startswith("+") else ""
        found += [f"{sign}{number:0{len(digits)}d}" for number in range(begin, end + 1)]
    return found if len(found) <= NUMBERS_COUNT_MAX else []


def _people(connection: Connection, case: CopiedCase) -> int:
    """Admit who was admitted and take off who was taken off; return how many are not known any more."""
    lost = 0
    for each in case.people:
        if not _is_known(connection, case.tenant_id, each.user_id):
            lost += each.removed_at is None
            continue
        ended = {"removed_by": each.removed_by, "removed_at": each.removed_at}
        row = {"id": each.id, "tenant_id": case.tenant_id, "case_id": case.id, "user_id": each.user_id}
        added = {"added_by": each.added_by, "added_at": each.added_at}
        connection.execute(upsert(case_people).values({**row, **added, **ended}).on_conflict_do_nothing())
        if each.removed_at is not None:
            still = and_(case_people.c.id == each.id, case_people.c.removed_at.is_(None))
            connection.execute(update(case_people).where(still).values(ended))
    return lost


def _is_known(connection: Connection, tenant_id: TenantId, user_id: str) -> bool:
    person = select(users.c.id).where(users.c.tenant_id == tenant_id, users.c.id == user_id)
    return connection.execute(person).first() is not None
