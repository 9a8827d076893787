"""How customers look on their pages (`archive.branding`): what is shown, and a draft that is looked at first.

Each has a version, by which browsers keep style sheet and logo for ever: another look is another
address. Public as the look of a page is: whoever knows the address sees it, before signing in too.

Rules: within one tenant. The logo is a PNG that `archive.logo` made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.branding import NAME_CHARS_MAX, Stationery, Theme, colour, measured
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import brandings, tenants
from archive.errors import Conflict, NotFound, Refused
from archive.model import TenantId, new_id

LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name"), 0)))
_SHOWN = (
    brandings.c.tenant_id,
    brandings.c.version,
    brandings.c.name,
    brandings.c.accent_light,
    brandings.c.accent_dark,
    brandings.c.logo.is_not(None).label("has_logo"),
)


@dataclass(frozen=True)
class Look:
    """A look without its picture; '' and None keep the tenant's own name and our colours."""

    tenant_id: TenantId
    version: str
    name: str = ""
    accent_light: str | None = None
    accent_dark: str | None = None
    has_logo: bool = False


def look_of(catalogue: Catalogue, tenant_id: TenantId, *, draft: bool = False) -> Look | None:
    """Return how a tenant looks, or the draft of it; None for as everybody."""
    with catalogue.transaction(tenant_id) as connection:
        return look_within(connection, tenant_id, draft=draft)


def look_within(connection: Connection, tenant_id: TenantId, *, draft: bool = False) -> Look | None:
    """Do as `look_of` in the caller's transaction."""
    columns = brandings.c
    statement = select(*_SHOWN).where(columns.tenant_id == tenant_id, columns.draft.is_(draft))
    row = connection.execute(statement).one_or_none()
    return None if row is None else _look(row)


def of_version(catalogue: Catalogue, tenant_id: TenantId, version: str) -> tuple[Look | None, bytes | None]:
    """Return the look of a version, draft or shown, and its logo; None for one that is there no longer."""
    columns = brandings.c
    statement = select(*_SHOWN, columns.logo).where(
        columns.tenant_id == tenant_id, columns.version == version
    )
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
    return (None, None) if row is None else (_look(row), row.logo)


def locked(connection: Connection, tenant_id: TenantId) -> Look | None:
    """Do as `look_within`; who else changes what is shown waits until the caller's transaction is over."""
    _lock(connection, tenant_id)
    return look_within(connection, tenant_id)


def stationery_of(catalogue: Catalogue, tenant_id: TenantId) -> Stationery:
    """Return what mails and printed reports of a tenant carry, by its own name if it chose one.

    Raises NotFound for a tenant that is gone.
    """
    columns = brandings.c
    shown = (columns.tenant_id == tenants.c.id) & columns.draft.is_(False)
    statement = (
        select(tenants.c.name.label("written"), columns.name, columns.accent_light, columns.logo)
        .select_from(tenants.outerjoin(brandings, shown))
        .where(tenants.c.id == tenant_id)
    )
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such tenant any more.")
    return Stationery(row.name or row.written, row.accent_light, row.logo, row.written)


def checked(wanted: Look) -> Look:
    """Return a look without blanks, in small letters; raises Refused for what can't be shown or read."""
    name = wanted.name.strip()
    if len(name) > NAME_CHARS_MAX or (name and not name.isprintable()):
        raise Refused(f"A name has at most {NAME_CHARS_MAX} printable characters.")
    light, dark = (
        None if each is None else colour(each) for each in (wanted.accent_light, wanted.accent_dark)
    )
    for theme, accent in ((Theme.LIGHT, light), (Theme.DARK, dark)):
        if accent is not None and not measured(accent, theme).is_enough:
            found = measured(accent, theme)
            raise Refused(f"The colour for {theme} has a contrast of {found.told} on {found.on}: too little.")
    return replace(wanted, name=name, accent_light=light, accent_dark=dark)


def put_draft(
    connection: Connection,
    wanted: Look,
    actor: str,
    *,
    now: datetime,
    logo: bytes | None = None,
    keep_logo: bool = False,
) -> Look:
    """Write a draft in the caller's transaction and return it; raises as `checked`.

    With `keep_logo` it has the logo of the draft before it, or of what is shown.
    """
    if keep_logo:
        columns = brandings.c
        kept = select(columns.logo).where(columns.tenant_id == wanted.tenant_id)
        logo = connection.execute(kept.order_by(columns.draft.desc()).limit(1)).scalar()
    return _put(connection, wanted, actor, now, logo, draft=True)


def put_shown(
    connection: Connection,
    wanted: Look,
    actor: str,
    *,
    now: datetime,
    logo: bytes | None = None,
    keep_logo: bool = False,
) -> Look:
    """Show a look from now on, in the caller's transaction, and return it; raises as `checked`.

    With `keep_logo` it has the logo of what was shown. A draft stays as it is.
    """
    if keep_logo:
        columns = brandings.c
        kept = select(columns.logo).where(columns.tenant_id == wanted.tenant_id, columns.draft.is_(False))
        logo = connection.execute(kept).scalar()
    return _put(connection, wanted, actor, now, logo, draft=False)


def _put(
    connection: Connection, wanted: Look, actor: str, now: datetime, logo: bytes | None, *, draft: bool
) -> Look:
    look = replace(checked(wanted), version=new_id(now))
    row: dict[str, Any] = {
        "version": look.version,
        "name": look.name,
        "accent_light": look.accent_light,
        "accent_dark": look.accent_dark,
        "logo": logo,
        "changed_by": actor,
        "changed_at": now,
    }
    statement = upsert(brandings).values(tenant_id=look.tenant_id, draft=draft, **row)
    connection.execute(statement.on_conflict_do_update(index_elements=["tenant_id", "draft"], set_=row))
    return replace(look, has_logo=logo is not None)


def publish(connection: Connection, tenant_id: TenantId, version: str) -> Look:
    """Show the draft of a version from now on and return it; raises Conflict for another than the draft."""
    _lock(connection, tenant_id)
    columns = brandings.c
    of_tenant = columns.tenant_id == tenant_id
    found = (of_tenant, columns.draft.is_(True), columns.version == version)
    row = connection.execute(select(*_SHOWN).where(*found).with_for_update()).one_or_none()
    if row is None:
        raise Conflict("The draft was changed meanwhile: look at it first.")
    connection.execute(delete(brandings).where(of_tenant, columns.draft.is_(False)))
    connection.execute(update(brandings).where(*found).values(draft=False))
    return _look(row)


def discard(connection: Connection, tenant_id: TenantId) -> None:
    """Throw the draft away; what is shown stays. Twice is once."""
    _lock(connection, tenant_id)
    columns = brandings.c
    connection.execute(delete(brandings).where(columns.tenant_id == tenant_id, columns.draft.is_(True)))


def reset(connection: Connection, tenant_id: TenantId) -> None:
    """Look as everybody again, draft and all. Twice is once."""
    _lock(connection, tenant_id)
    connection.execute(delete(brandings).where(brandings.c.tenant_id == tenant_id))


def _lock(connection: Connection, tenant_id: TenantId) -> None:
    # Who looks as everybody has no row that could be locked.
    connection.execute(LOCK, {"name": f"branding/{tenant_id}"})


def _look(row: Row[Any]) -> Look:
    return Look(
        TenantId(row.tenant_id), row.version, row.name, row.accent_light, row.accent_dark, row.has_logo
    )
