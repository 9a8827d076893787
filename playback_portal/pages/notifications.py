"""What people are told of by mail, as they choose it on the page of their own settings.

Rules: one's own alone. The mails come in the language the page was saved in. What nobody may
choose, mails about passwords, addresses and codes, is said and not offered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from archive.access import Scope
from archive.catalogue import identities, notifications
from archive.catalogue.identities import Account
from archive.catalogue.notifications import Kind
from archive.post import NoPost
from playback_portal.language import language_of, mark
from playback_portal.notifications import choose, offered
from playback_portal.page import see_other
from playback_portal.parameters import read_form
from playback_portal.route import Route
from playback_portal.services import SCOPE, SERVICES

PATH = "/me/notifications"
WORDS: Mapping[Kind, tuple[str, str]] = {
    Kind.REPLY: (mark("Somebody answers my comment"), ""),
    Kind.EVALUATION: (mark("I get an evaluation"), ""),
    Kind.SETTLEMENT: (mark("My objection to an evaluation is answered"), ""),
    Kind.OBJECTION: (mark("Somebody objects to an evaluation I made"), ""),
    Kind.HEARD: (
        mark("Others listened to my calls"),
        mark("Once a day at most, about the day before."),
    ),
    Kind.LINK_OPENED: (
        mark("My play link is opened"),
        mark("Once for each link, at the first play."),
    ),
    Kind.LINK_ENDS: (mark("My play link ends within a day"), ""),
    Kind.IMPORT: (mark("My import of users is done"), ""),
    Kind.MINUTES: (
        mark("Somebody's minutes are used up, or nearly"),
        mark("At 80 and 100 percent, once an hour at most."),
    ),
    Kind.EXPORT: (mark("My package of evidence is ready, or can't be made"), ""),
}


@dataclass(frozen=True)
class Mails:
    """What somebody may choose of, what they chose, and where it goes: None without a proved address."""

    kinds: tuple[tuple[Kind, bool], ...]
    address: str | None
    sends: bool


def own_mails(request: web.Request) -> Mails | None:
    """Return what who asks is told of, None for a program; blocks."""
    scope, services = request[SCOPE], request.app[SERVICES]
    if scope.user_id is None:
        return None
    with services.catalogue.transaction(scope.tenant_id) as connection:
        wanted = notifications.choices_of(connection, scope.tenant_id, scope.user_id).wanted
    known = identities.particulars(services.catalogue, Account(scope.tenant_id, scope.user_id))
    address = known.email if known is not None and known.email_verified else None
    kinds = tuple((kind, wanted[kind]) for kind in offered(request))
    return Mails(kinds, address, not isinstance(services.post, NoPost))


async def post_notifications(request: web.Request) -> web.StreamResponse:
    """Choose what one is told of: what is ticked, and nothing else of what was offered."""
    ticked = set(await read_form(request))
    wanted = {kind: kind.value in ticked for kind in offered(request)}
    await asyncio.to_thread(choose, request, wanted, language_of(request).value)
    return see_other(request, "/me?told=1#mails")


NOTIFICATION_PAGE_ROUTES = (
    Route("POST", PATH, post_notifications, Scope.SETTINGS, "notifications.changed", page=True),
)
