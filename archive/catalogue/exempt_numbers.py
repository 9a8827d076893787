"""Numbers added to the floor list of exempt ones: by a tenant, or by the operator for all tenants.

A call with an exempt number leaves nothing at all, as one with 112. The floor list itself
stands in `archive.numbers`; nobody can shorten it, and nothing here can.

Rules: numbers are canonical and match as a whole. The operator's additions count for every
tenant and no tenant removes them. A number that belongs to one of our users can't be
added: every call of that person would be gone without a trace; the mode never is for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, insert, or_, select
from sqlalchemy import delete as delete_from

from archive.catalogue import directory
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.snapshot import NumberRange
from archive.catalogue.tables import exempt_numbers, user_numbers
from archive.errors import Conflict, NotFound, Refused
from archive.model import TenantId, new_id
from archive.numbers import canonical, is_exempt_number

ADDITIONS_MAX = 200
"""Per tenant, and as many of the operator: every message of every call is searched for all of them."""

DIGITS_MIN = 3
"""The shortest number of the public numbering plan; one or two digits are keys, not numbers."""


@dataclass(frozen=True)
class ExemptEntry:
    """One addition; `operators` says that it counts for every tenant."""

    id: str
    number: str
    operators: bool


def add(catalogue: Catalogue, tenant_id: TenantId | None, number: str, *, now: datetime) -> ExemptEntry:
    """Add a number for a tenant, or for all of them (`tenant_id` None, as operator).

    Raises Refused for what is no number, stands on the floor list already or would be one
    too many; Conflict when it was added before or belongs to a user.
    """
    with catalogue.transaction(tenant_id) as connection:
        return add_within(connection, tenant_id, number, now=now)


def add_within(
    connection: Connection, tenant_id: TenantId | None, number: str, *, now: datetime
) -> ExemptEntry:
    """Add a number in the caller's transaction; raises as `add`."""
    if is_exempt_number(number):
        raise Refused("This number is on the floor list already, which counts for everybody.")
    numbers = NumberRange.parse(number)
    wanted, digits = numbers.first, numbers.first.removeprefix("+")
    if numbers.last != wanted or not digits.isdecimal() or len(digits) < DIGITS_MIN:
        raise Refused(f"{number!r} is not one whole number such as 116117 or +31107000300.")
    entry = ExemptEntry(new_id(now), wanted, tenant_id is None)
    connection.execute(directory.LOCK_NUMBERS, {"tenant_id": tenant_id or "exempt numbers"})
    count = select(func.count()).select_from(exempt_numbers).where(_of(tenant_id))
    if connection.execute(count).scalar_one() >= ADDITIONS_MAX:
        raise Refused(f"At most {ADDITIONS_MAX} numbers can be added to the floor list.")
    _refuse_of_user(connection, tenant_id, wanted)
    known = select(exempt_numbers.c.id).where(
        or_(_of(tenant_id), exempt_numbers.c.tenant_id.is_(None)), exempt_numbers.c.number == wanted
    )
    if connection.execute(known).first() is not None:
        raise Conflict("This number was added to the exempt ones before.")
    row = {"id": entry.id, "tenant_id": tenant_id, "number": wanted}
    connection.execute(insert(exempt_numbers), row)
    directory.announce(connection)
    return entry


def entries(catalogue: Catalogue, tenant_id: TenantId | None) -> list[ExemptEntry]:
    """Return what counts for a tenant beside the floor list, the operator's first; None: only those."""
    columns = exempt_numbers.c
    statement = (
        select(exempt_numbers)
        .where(or_(_of(tenant_id), columns.tenant_id.is_(None)))
        .order_by(columns.tenant_id.is_(None).desc(), columns.number.collate("C"))
    )
    with catalogue.transaction(tenant_id) as connection:
        return [
            ExemptEntry(row.id, row.number, row.tenant_id is None) for row in connection.execute(statement)
        ]


def remove(catalogue: Catalogue, tenant_id: TenantId | None, number: str) -> None:
    """Remove what the tenant (None: the operator) added; `number` is in any spelling, or the id of the entry.

    Raises Refused for a number of the floor list and for a tenant that removes the
    operator's, NotFound for what was never added.
    """
    with catalogue.transaction(tenant_id) as connection:
        remove_within(connection, tenant_id, number)


def remove_within(connection: Connection, tenant_id: TenantId | None, number: str) -> str:
    """Remove it in the caller's transaction and return the id of its entry; raises as `remove`."""
    if is_exempt_number(number):
        raise Refused("The floor list of exempt numbers can't be shortened by anybody.")
    columns = exempt_numbers.c
    named = or_(columns.number == canonical(number), columns.id == number)
    statement = delete_from(exempt_numbers).where(_of(tenant_id), named).returning(columns.id)
    removed = connection.execute(statement).scalar_one_or_none()
    if removed is not None:
        directory.announce(connection)
        return str(removed)
    operators = select(columns.id).where(columns.tenant_id.is_(None), named)
    if connection.execute(operators).first() is not None:
        raise Refused("The operator made this number exempt for every tenant; ask the operator.")
    raise NotFound("This number was not added to the exempt ones.")


def _of(tenant_id: TenantId | None) -> ColumnElement[bool]:
    column = exempt_numbers.c.tenant_id
    return column.is_(None) if tenant_id is None else column == tenant_id


def _refuse_of_user(connection: Connection, tenant_id: TenantId | None, number: str) -> None:
    """Raise Conflict for a number of a user of the tenant, or of anybody when it is the operator's."""
    columns = user_numbers.c
    # Inside a range it may stand: that is one confidential desk behind a trunk.
    condition = and_(columns.first == number, columns.last == number)
    if tenant_id is not None:
        condition = and_(condition, columns.tenant_id == tenant_id)
    if connection.execute(select(columns.user_id).where(condition)).first() is not None:
        raise Conflict(
            "This number belongs to a user; set their mode to never to record none of their calls."
        )
