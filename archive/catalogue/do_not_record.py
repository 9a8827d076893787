"""The numbers a tenant never records: its doctor, its lawyer, its works council, each with the reason.

A call with one of them leaves its metadata and the reason, and no audio. Unlike an exempt
number (`archive.catalogue.exempt_numbers`) it may be known that the call took place.

Rules: numbers and ranges of one tenant never overlap, so that a number has one reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select

from archive.catalogue import directory
from archive.catalogue.directory_rows import overlapping
from archive.catalogue.engine import Catalogue
from archive.catalogue.snapshot import NumberRange
from archive.catalogue.tables import do_not_record
from archive.errors import Conflict, NotFound, Refused
from archive.model import TenantId, new_id

ENTRIES_PER_TENANT_MAX = 1000
"""Each recorder carries all of them in memory; a list this long is a mode of its users."""


@dataclass(frozen=True)
class DoNotRecordEntry:
    """One entry of the list; `numbers` is a number, a range or an address of record."""

    id: str
    numbers: str
    reason: str


def add(
    catalogue: Catalogue, tenant_id: TenantId, numbers: str, reason: str, *, now: datetime
) -> DoNotRecordEntry:
    """Add a number, range or address of record to the list.

    Raises Refused for what is none, a reason that is not printable or missing and a list
    that is full, Conflict when one of the numbers stands on it already.
    """
    wanted = NumberRange.parse(numbers)
    entry = DoNotRecordEntry(new_id(now), str(wanted), directory.named(reason))
    columns = do_not_record.c
    with catalogue.transaction(tenant_id) as connection:
        # Neither overlap nor the limit is a matter of one row: whoever changes numbers waits here.
        connection.execute(directory.LOCK_NUMBERS, {"tenant_id": tenant_id})
        count = select(func.count()).select_from(do_not_record).where(columns.tenant_id == tenant_id)
        if connection.execute(count).scalar_one() >= ENTRIES_PER_TENANT_MAX:
            raise Refused(
                f"A do-not-record list has at most {ENTRIES_PER_TENANT_MAX} entries; remove some first."
            )
        taken = select(columns.id).where(overlapping(do_not_record, tenant_id, wanted))
        if connection.execute(taken).first() is not None:
            raise Conflict("One of these numbers is on the do-not-record list already; remove it first.")
        row = {"id": entry.id, "tenant_id": tenant_id, "first": wanted.first, "last": wanted.last}
        connection.execute(insert(do_not_record), {**row, "reason": entry.reason})
        directory.announce(connection)
    return entry


def entries(catalogue: Catalogue, tenant_id: TenantId) -> list[DoNotRecordEntry]:
    """Return the list of a tenant by number."""
    columns = do_not_record.c
    statement = (
        select(do_not_record).where(columns.tenant_id == tenant_id).order_by(columns.first.collate("C"))
    )
    with catalogue.transaction(tenant_id) as connection:
        return [
            DoNotRecordEntry(row.id, str(NumberRange(row.first, row.last)), row.reason)
            for row in connection.execute(statement)
        ]


def remove(catalogue: Catalogue, tenant_id: TenantId, entry_id: str) -> None:
    """Take an entry off the list; raises NotFound."""
    columns = do_not_record.c
    statement = delete(do_not_record).where(columns.tenant_id == tenant_id, columns.id == entry_id)
    with catalogue.transaction(tenant_id) as connection:
        if connection.execute(statement).rowcount == 0:
            raise NotFound("There is no such entry on the do-not-record list of this tenant.")
        directory.announce(connection)
