"""People as their administrators look at them: page by page, under the tenant's domain.

Rules: reads within one tenant, under row-level security, as any role. Not here: one
person, and changing them (`archive.catalogue.directory`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select

from archive.catalogue import directory_rows
from archive.catalogue.engine import Catalogue
from archive.catalogue.recordings import PAGE_ROWS_MAX, storable
from archive.catalogue.snapshot import NumberRange
from archive.catalogue.tables import tenants, user_numbers, users
from archive.errors import NotFound, Refused
from archive.model import Tenant, TenantId, User, UserId

CURSOR_CHARS_MAX = 400
"""A login has at most 200 characters, which base64 makes a third longer."""


@dataclass(frozen=True)
class PeoplePage:
    """Some people by login, and the cursor of the next page or None at the end."""

    items: tuple[User, ...]
    next: str | None


def tenant_of(catalogue: Catalogue, tenant_id: TenantId) -> Tenant:
    """Return a tenant as one of its own sees it; raises NotFound."""
    with catalogue.transaction(tenant_id) as connection:
        found = directory_rows.tenants_where(connection, tenants.c.id == tenant_id)
    if not found:
        raise NotFound("There is no such tenant any more.")
    return found[0]


def page(
    catalogue: Catalogue,
    tenant_id: TenantId,
    *,
    text: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
    with_former: bool = True,
    conditions: Sequence[ColumnElement[bool]] = (),
) -> PeoplePage:
    """Return people whose login holds `text`, by login; raises Refused for a limit or cursor not ours.

    Without `with_former` who left is not among them. `conditions` narrow it further, over the
    table of people.
    """
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Refused(f"The limit of a page is 1 to {PAGE_ROWS_MAX}.")
    # Logins are ASCII: the order of octets is the same on every installation, and that of the unique index.
    login = users.c.login.collate("C")
    wanted = [users.c.tenant_id == tenant_id, *conditions]
    if not with_former:
        wanted.append(users.c.left_at.is_(None))
    if text is not None:
        wanted.append(users.c.login.contains(storable(text).lower(), autoescape=True))
    if cursor is not None:
        wanted.append(login > decode_cursor(cursor))
    with catalogue.transaction(tenant_id) as connection:
        ids = connection.execute(select(users.c.id).where(*wanted).order_by(login).limit(limit + 1))
        listed = list(ids.scalars())
        of_page = (users.c.tenant_id == tenant_id, users.c.id.in_(listed[:limit]))
        found = directory_rows.users_where(connection, *of_page) if listed else ()
    items = tuple(sorted(found, key=lambda user: user.login))
    return PeoplePage(items, encode_cursor(items[-1].login) if len(listed) > limit else None)


def of_login(catalogue: Catalogue, tenant_id: TenantId, login: str) -> User | None:
    """Return the person with this login before the @, None when there is none."""
    wanted = (users.c.tenant_id == tenant_id, users.c.login == storable(login))
    with catalogue.transaction(tenant_id) as connection:
        found = directory_rows.users_where(connection, *wanted)
    return found[0] if found else None


def of_ids(catalogue: Catalogue, tenant_id: TenantId, ids: Iterable[UserId]) -> dict[UserId, User]:
    """Return the people with these ids, as far as they are there."""
    wanted = (users.c.tenant_id == tenant_id, users.c.id.in_(sorted(ids)))
    with catalogue.transaction(tenant_id) as connection:
        return {user.id: user for user in directory_rows.users_where(connection, *wanted)}


def holder_of(catalogue: Catalogue, tenant_id: TenantId, numbers: NumberRange) -> User | None:
    """Return who has one of these numbers, None where they are free."""
    held = select(user_numbers.c.user_id).where(directory_rows.overlapping(user_numbers, tenant_id, numbers))
    with catalogue.transaction(tenant_id) as connection:
        found = directory_rows.users_where(connection, users.c.tenant_id == tenant_id, users.c.id.in_(held))
    return found[0] if found else None


def encode_cursor(login: str) -> str:
    """Return an opaque text for a place in a list ordered by login."""
    return base64.urlsafe_b64encode(login.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """Read what `encode_cursor` wrote; raises Refused for anything else."""
    refused = Refused("The cursor is not one of ours; begin again without it.")
    if len(cursor) > CURSOR_CHARS_MAX:
        raise refused
    try:
        login = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError as error:
        raise refused from error
    if not login or not login.isprintable():
        raise refused
    return login
