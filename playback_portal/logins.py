"""Sign-in names for people: whose an actor of the log is, and who is meant by one that was typed.

Rules: programs, the operator and who is gone have none. Both block.
"""

from __future__ import annotations

from collections.abc import Iterable

from archive.access import AccessScope
from archive.catalogue import listing, people
from archive.catalogue.engine import Catalogue
from archive.model import TenantId, UserId

LOGIN_CHARS_MAX = 254
LIKE_IT_COUNT = 50
"""Logins that hold what was typed, among which is the one that is it."""

_USER = "user:"


def names_of(catalogue: Catalogue, scope: AccessScope, actors: Iterable[str]) -> dict[str, str]:
    """Return the logins of the people among some actors, by actor."""
    ids = {UserId(actor.removeprefix(_USER)) for actor in actors if actor.startswith(_USER)}
    return {f"{_USER}{user_id}": login for user_id, login in listing.logins_of(catalogue, scope, ids).items()}


def person_of(catalogue: Catalogue, tenant_id: TenantId, login: str) -> UserId | None:
    """Return the id of who signs in by this name, None for nobody."""
    if not login:
        return None
    found = people.page(catalogue, tenant_id, text=login[:LOGIN_CHARS_MAX], limit=LIKE_IT_COUNT)
    return next((each.id for each in found.items if each.login.lower() == login.lower()), None)
