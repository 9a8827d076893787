"""People by their licences: how many have which, a page of them, and a licence and mode for many at once.

Setting it for many is one transaction: everybody gets it, or nobody does. The preview counts
the same people by the same rule (`archive.licensing`), and what exists of them, which no
licence touches.

Rules: within one tenant, as portal or operator; who left is not among them. Not here: one person's licence
(`archive.catalogue.directory`) and its history (`archive.catalogue.licences`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select

from archive.allowance import cap_s, month_of
from archive.catalogue import directory, directory_rows, grounds, people
from archive.catalogue.directory import UserFields
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.licences import KeptClass, kept_of
from archive.catalogue.people import PeoplePage
from archive.catalogue.recordings import PAGE_ROWS_MAX, storable
from archive.catalogue.tables import user_licences, users
from archive.errors import NotFound, Refused
from archive.licensing import Assignment, Outcome
from archive.model import RecordingMode, RetentionClass, TenantId, User, UserId

PEOPLE_COUNT_MAX = PAGE_ROWS_MAX
"""As many as a page shows: nobody is changed whom the one who changes them does not see."""

NO_LICENCE = "The mode of {logins} would record and needs a licence: give one too, or set the mode to never."


@dataclass(frozen=True)
class AssignmentPreview:
    """What an assignment would do now.

    `licences` counts the people whose licence changes by the one they had, `modes` by the
    mode they had and get. `kept` is what exists of those whose licence changes: it keeps its
    term. `above_cap` are the logins whose minutes of this month would be used up, `obstacles`
    those for whom it is refused, and with them for all. With `grounds_missing` it is refused too:
    it would switch recording on, and nobody wrote down why the customer records.
    """

    people: int
    licences: dict[RetentionClass | None, int]
    modes: dict[tuple[RecordingMode, RecordingMode], int]
    kept: tuple[KeptClass, ...]
    above_cap: tuple[str, ...]
    obstacles: tuple[str, ...]
    grounds_missing: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything would be different."""
        return bool(self.licences or self.modes)


@dataclass(frozen=True)
class Changed:
    """A person before and after."""

    before: User
    after: User


def counts(catalogue: Catalogue, tenant_id: TenantId) -> dict[RetentionClass | None, int]:
    """Return how many people have which licence now; None counts who has none."""
    here = (users.c.tenant_id == tenant_id, users.c.left_at.is_(None))
    each = select(_in_force().label("licence")).where(*here).subquery()
    statement = select(each.c.licence, func.count()).group_by(each.c.licence)
    with catalogue.transaction(tenant_id) as connection:
        found = connection.execute(statement).all()
    return {None if licence is None else RetentionClass(licence): number for licence, number in found}


def page(
    catalogue: Catalogue,
    tenant_id: TenantId,
    *,
    text: str | None = None,
    licences: Sequence[RetentionClass | None] = (),
    cursor: str | None = None,
) -> PeoplePage:
    """Return people whose login holds `text` and who have one of some licences, by login; raises Refused."""
    wanted: list[ColumnElement[bool]] = []
    if licences:
        given = [str(each) for each in licences if each is not None]
        has = _in_force().in_(given)
        wanted.append(has | _in_force().is_(None) if None in licences else has)
    return people.page(
        catalogue,
        tenant_id,
        text=text,
        limit=PEOPLE_COUNT_MAX,
        cursor=cursor,
        with_former=False,
        conditions=wanted,
    )


def preview(
    catalogue: Catalogue,
    tenant_id: TenantId,
    user_ids: Iterable[UserId],
    assignment: Assignment,
    *,
    now: datetime,
) -> AssignmentPreview:
    """Return what an assignment would do, changing nothing; raises NotFound, Refused for too many."""
    with catalogue.transaction(tenant_id) as connection:
        outcomes = [assignment.of(user) for user in _people(connection, tenant_id, user_ids)]
        changing = [each.user.id for each in outcomes if each.changes_licence]
        kept = kept_of(connection, tenant_id, changing) if changing else ()
        begins = any(grounds.is_begun(each.user, each.licence, each.mode) for each in outcomes)
        grounds_missing = begins and grounds.in_force(connection, tenant_id) is None
    modes = Counter((each.user.mode, each.mode) for each in outcomes if each.changes_mode)
    return AssignmentPreview(
        people=len(outcomes),
        licences=dict(Counter(each.user.licence for each in outcomes if each.changes_licence)),
        modes=dict(modes),
        kept=kept,
        above_cap=tuple(each.user.login for each in outcomes if _is_used_up(each, now)),
        obstacles=_obstacles(outcomes),
        grounds_missing=grounds_missing,
    )


def assign(
    connection: Connection,
    tenant_id: TenantId,
    user_ids: Iterable[UserId],
    assignment: Assignment,
    *,
    now: datetime,
) -> list[Changed]:
    """Give many people a licence and mode in the caller's transaction; return whom it changed.

    Raises NotFound where one of them is gone, Refused for too many, and where the mode of
    one would record without a licence: then nobody is changed.
    """
    found = _people(connection, tenant_id, user_ids, locked=True)
    outcomes = [assignment.of(user) for user in found]
    obstacles = _obstacles(outcomes)
    if obstacles:
        raise Refused(NO_LICENCE.format(logins=", ".join(obstacles)))
    return [Changed(each.user, _set(connection, each, now=now)) for each in outcomes if each.changes]


def _set(connection: Connection, outcome: Outcome, *, now: datetime) -> User:
    fields: UserFields = {"licence": outcome.licence, "mode": outcome.mode}
    return directory.change_locked(connection, outcome.user, now=now, **fields)


def _people(
    connection: Connection, tenant_id: TenantId, user_ids: Iterable[UserId], *, locked: bool = False
) -> Sequence[User]:
    """Return these people by their ids, `locked` for the transaction before they are read.

    Raises NotFound where one is not there, Refused for too many.
    """
    wanted = {UserId(storable(each)) for each in user_ids}
    if len(wanted) > PEOPLE_COUNT_MAX:
        raise Refused(f"A licence is given to at most {PEOPLE_COUNT_MAX} people at once.")
    meant = (users.c.tenant_id == tenant_id, users.c.id.in_(sorted(wanted)))
    if locked:
        directory.lock_people(connection, tenant_id, wanted)
    found = directory_rows.users_where(connection, *meant, users.c.left_at.is_(None))
    if len(found) < len(wanted):
        raise NotFound("One of these people is not of this tenant (any more).")
    return found


def _obstacles(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    return tuple(sorted(each.user.login for each in outcomes if each.lacks_licence))


def _is_used_up(outcome: Outcome, now: datetime) -> bool:
    """Return whether the minutes a new licence allows were used up this month before it was given."""
    cap, user = cap_s(outcome.licence), outcome.user
    used_s = user.booked_s if user.booked_month == month_of(now) else 0
    return outcome.changes_licence and cap is not None and used_s >= cap


def _in_force() -> ColumnElement[str]:
    """Return the licence a person has now, as a column of a statement over people."""
    columns = user_licences.c
    return (
        select(columns.licence)
        .where(columns.user_id == users.c.id)
        .order_by(columns.valid_from.desc())
        .limit(1)
        .correlate(users)
        .scalar_subquery()
    )
