"""One row of the route table: how it is reached, who may, and what the audit log says of it.

Apart from the table (`playback_portal.routes`), so that modules of handlers can bring
rows of their own and the table can import them.

A row with `page` is for people with a browser (`playback_portal.page`): it answers HTML,
its refusals are pages too, strangers are sent to sign in, and the API's description
leaves it out.

A handler tells the audit log more than the path does by `request[SUBJECT]` (the thing
it made or changed, `user:<id>`) and `request[DETAILS]` (what changed, without secrets).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from archive.access import Scope
from archive.audit import Json

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STATIC_PREFIX = "/static/"
"""Below it are the files pages are made of: neither pages nor of the API."""

SUBJECT = web.RequestKey("SUBJECT", str)
"""The object of the request's audit entry, where the path alone does not name it."""

EVENT = web.RequestKey("EVENT", str)
"""What happened, where it is something else than its row is for: it was only proposed."""

DETAILS = web.RequestKey[Mapping[str, Json]]("DETAILS", Mapping)
"""What the request changed, added to the body of its audit entry."""


@dataclass(frozen=True)
class Route:
    """One row. `subject` is what `{id}` in the path names in the audit log (`user:<id>`)."""

    method: str
    path: str
    handler: Handler
    permission: Scope | None
    audit: str | None
    subject: str = "recording"
    page: bool = False
    fresh: bool = False
    quiet: bool = False
    """Whether it is asked by a page that follows something, so that no session stays open by it."""

    @property
    def asks_fresh_sign_in(self) -> bool:
        """Whether people do it with a browser only when they signed in a short while ago.

        So is all that an administrator changes: no row is excepted, and none can be forgotten.
        Rows of others say it themselves by `fresh`.
        """
        return self.fresh or (self.permission is Scope.ADMINISTRATION and self.method != "GET")

    @property
    def is_of_api(self) -> bool:
        """Whether the row is for programs, and so described for them."""
        return not (self.page or self.path.startswith(STATIC_PREFIX))


PAGES = web.AppKey[Mapping[tuple[str, str], Route]]("PAGES", Mapping)
"""The rows of the application that are pages, by method and path."""
