"""The numbers that are not recorded: a doctor, a lawyer, the works council, each with the reason.

An entry counts for all calls of the tenant, or for those of one person. A call with such a
number leaves its metadata and the reason, and no audio. Unlike an exempt
number (`archive.catalogue.exempt_numbers`) it may be known that the call took place.

Rules: numbers and ranges of one list never overlap, so that a number has one reason in it.
What is exempt anyway is on no list.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select

from archive.catalogue import directory
from archive.catalogue.directory_rows import overlapping
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.snapshot import NumberRange
from archive.catalogue.tables import do_not_record, users
from archive.errors import Conflict, NotFound, Refused
from archive.model import TenantId, UserId, new_id
from archive.numbers import is_exempt_number

ENTRIES_PER_TENANT_MAX = 1000
"""Of all lists together. Each recorder carries them in memory; a list this long is a mode of its users."""


@dataclass(frozen=True)
class DoNotRecordEntry:
    """One entry; `numbers` is a number, a range or an address of record, `user_id` None for all calls."""

    id: str
    numbers: str
    reason: str
    user_id: UserId | None = None


def add(
    catalogue: Catalogue,
    tenant_id: TenantId,
    numbers: str,
    reason: str,
    *,
    now: datetime,
    user_id: UserId | None = None,
) -> DoNotRecordEntry:
    """Add a number, range or address of record to the list of the tenant, or of one person.

    Raises Refused for what is none, one that is exempt anyway, a reason that is not printable
    or missing and lists that are full, NotFound for a person of another tenant, Conflict when
    one of the numbers stands on the same list already.
    """
    with catalogue.transaction(tenant_id) as connection:
        return add_within(connection, tenant_id, numbers, reason, now=now, user_id=user_id)


def add_within(
    connection: Connection,
    tenant_id: TenantId,
    numbers: str,
    reason: str,
    *,
    now: datetime,
    user_id: UserId | None = None,
) -> DoNotRecordEntry:
    """Add an entry in the caller's transaction; raises as `add`."""
    if is_exempt_number(numbers):
        raise Refused("Nothing is ever kept of a call with this number; it needs no list.")
    wanted = NumberRange.parse(numbers)
    entry = DoNotRecordEntry(new_id(now), str(wanted), directory.named(reason), user_id)
    columns = do_not_record.c
    # Neither overlap nor the limit is a matter of one row: whoever changes numbers waits here.
    connection.execute(directory.LOCK_NUMBERS, {"tenant_id": tenant_id})
    count = select(func.count()).select_from(do_not_record).where(columns.tenant_id == tenant_id)
    if connection.execute(count).scalar_one() >= ENTRIES_PER_TENANT_MAX:
        raise Refused(
            f"A do-not-record list has at most {ENTRIES_PER_TENANT_MAX} entries; remove some first."
        )
    if user_id is not None:
        person = select(users.c.id).where(users.c.tenant_id == tenant_id, users.c.id == user_id)
        if connection.execute(person).first() is None:
            raise NotFound("There is no such user in this tenant.")
    own = columns.user_id.is_not_distinct_from(user_id)
    taken = select(columns.id).where(overlapping(do_not_record, tenant_id, wanted), own)
    if connection.execute(taken).first() is not None:
        raise Conflict("One of these numbers is on the do-not-record list already; remove it first.")
    row = {"id": entry.id, "tenant_id": tenant_id, "first": wanted.first, "last": wanted.last}
    connection.execute(insert(do_not_record), {**row, "reason": entry.reason, "user_id": user_id})
    directory.announce(connection)
    return entry


def entries(catalogue: Catalogue, tenant_id: TenantId) -> list[DoNotRecordEntry]:
    """Return the entries of a tenant and its people, those for all calls first, by number."""
    columns = do_not_record.c
    statement = (
        select(do_not_record)
        .where(columns.tenant_id == tenant_id)
        .order_by(columns.user_id.is_not(None), columns.first.collate("C"), columns.id)
    )
    with catalogue.transaction(tenant_id) as connection:
        return [
            DoNotRecordEntry(
                row.id,
                str(NumberRange(row.first, row.last)),
                row.reason,
                None if row.user_id is None else UserId(row.user_id),
            )
            for row in connection.execute(statement)
        ]


def remove(catalogue: Catalogue, tenant_id: TenantId, entry_id: str) -> None:
    """Take an entry off its list; raises NotFound."""
    with catalogue.transaction(tenant_id) as connection:
        remove_within(connection, tenant_id, entry_id)


def remove_within(connection: Connection, tenant_id: TenantId, entry_id: str) -> DoNotRecordEntry:
    """Take an entry off its list in the caller's transaction and return it; raises NotFound."""
    columns = do_not_record.c
    statement = (
        delete(do_not_record)
        .where(columns.tenant_id == tenant_id, columns.id == entry_id)
        .returning(columns.first, columns.last, columns.reason, columns.user_id)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such entry on the do-not-record list of this tenant.")
    directory.announce(connection)
    user_id = None if row.user_id is None else UserId(row.user_id)
    return DoNotRecordEntry(entry_id, str(NumberRange(row.first, row.last)), row.reason, user_id)
