"""Who looks at a page: as little of them as pages show, and the token their forms carry.

`authentication` puts both in the request once it has recognised somebody by a session.
Pages of strangers (sign-in, a play link) have neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from archive.catalogue.brandings import Look


@dataclass(frozen=True)
class Person:
    """A person who signed in: `role` is the word of `archive.model.Role`, `tenant` the tenant's name."""

    name: str
    login: str
    role: str
    tenant: str = ""
    look: Look | None = None


ME = web.RequestKey("ME", Person)

LOOK = web.RequestKey("LOOK", Look)
"""How a page looks that is not that of somebody who signed in, or is looked at before it is theirs."""

WRITTEN_DOWN = web.RequestKey("WRITTEN_DOWN", str)
"""The name their provider wrote down, of who calls itself otherwise on a page for strangers."""

QUARANTINED = web.RequestKey("QUARANTINED", int)
"""How many recordings wait in quarantine, for the menu of who may decide on them."""

CSRF = web.RequestKey("CSRF", str)
"""The token of the session; a page carries it in `hx-headers` and in the field `csrf` of its forms."""
