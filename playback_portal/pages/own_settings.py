"""How people are recorded, as they choose it themselves: their mode where they may, and "keep my next call".

Rules: of nobody else, and only a person's. What the administrator allows is asked when it
is changed (`archive.catalogue.directory`); the page offers nothing else. The rest of
their page is of their browser (`preferences`), and what they are told of by mail (`notifications`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web

from archive.access import Scope
from archive.catalogue import directory, keep_next
from archive.model import RecordingMode, User
from playback_portal import language, words
from playback_portal.language import mark
from playback_portal.me import KEEP_NEXT_MIN_DEFAULT, own_id, promise
from playback_portal.page import render, see_other
from playback_portal.pages.notifications import WORDS as MAIL_WORDS
from playback_portal.pages.notifications import own_mails
from playback_portal.parameters import read_form
from playback_portal.problems import ParameterFault, wrong_parameters
from playback_portal.route import DETAILS, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES

HERE = "/me"
KEEP_NEXT_CHOICES = {
    15: mark("15 minutes"),
    KEEP_NEXT_MIN_DEFAULT: mark("1 hour"),
    8 * 60: mark("8 hours"),
    24 * 60: mark("1 day"),
}
EXPLAINED = {
    RecordingMode.ALWAYS: mark("Every call is recorded. It can't be paused."),
    RecordingMode.ALWAYS_PAUSE: mark("Every call is recorded. You can pause it."),
    RecordingMode.ON_DEMAND: mark("A call is kept only when you say so, before or during it."),
    RecordingMode.ON_DEMAND_START: mark("A call is recorded from the moment you start."),
    RecordingMode.NEVER: mark("Your calls are not recorded."),
}


@dataclass(frozen=True)
class Own:
    """How a person is recorded: who they are, and until when the next call is kept."""

    user: User
    until: datetime | None

    @property
    def keeps(self) -> bool:
        """Whether a promise to keep the next call has a meaning for them."""
        return self.user.mode is RecordingMode.ON_DEMAND


async def get_me(request: web.Request) -> web.StreamResponse:
    """Show what the visitor may choose for themselves."""
    scope, services = request[SCOPE], request.app[SERVICES]
    own = None
    if scope.user_id is not None:
        user_id, tenant_id, now = scope.user_id, scope.tenant_id, services.clock.now()

        def read() -> Own:
            user = directory.user_by_id(services.catalogue, tenant_id, user_id)
            return Own(user, keep_next.until_of(services.catalogue, tenant_id, user_id, now=now))

        own = await asyncio.to_thread(read)
    mails = await asyncio.to_thread(own_mails, request)
    return render(
        request,
        "me/page.html",
        chosen_language=request.cookies.get(language.COOKIE, ""),
        own=own,
        words=words,
        explained=EXPLAINED,
        keep_next_choices=KEEP_NEXT_CHOICES,
        mails=mails,
        mail_words=MAIL_WORDS,
        told=request.query.get("told") == "1",
    )


async def post_mode(request: web.Request) -> web.StreamResponse:
    """Change one's own mode to one of those the administrator allows."""
    user_id = own_id(request)
    wanted = (await read_form(request)).get("mode", "")
    if wanted not in set(RecordingMode):
        raise wrong_parameters(ParameterFault("mode", mark("Choose one of the modes.")))
    tenant_id, now = request[SCOPE].tenant_id, request.app[SERVICES].clock.now()

    def change() -> None:
        with request[ENTRY].transaction() as connection:
            user = directory.lock_user(connection, tenant_id, user_id)
            if wanted == user.mode:
                return
            after = directory.set_own_mode(connection, user, RecordingMode(wanted), now=now)
            request[DETAILS] = {"mode": {"from": user.mode.value, "to": after.mode.value}}

    await asyncio.to_thread(change)
    return see_other(request, HERE)


async def post_keep_next(request: web.Request) -> web.StreamResponse:
    """Promise to keep one's next on-demand call, or take the promise back."""
    user_id = own_id(request)
    asked = str((await read_form(request)).get("minutes", ""))
    if asked not in {"0", *map(str, KEEP_NEXT_CHOICES)}:
        raise wrong_parameters(ParameterFault("minutes", mark("Choose for how long.")))
    until = None
    if asked != "0":
        until = request.app[SERVICES].clock.now() + timedelta(minutes=int(asked))
    await asyncio.to_thread(promise, request, user_id, until)
    return see_other(request, HERE)


OWN_SETTING_ROUTES = (
    Route("GET", HERE, get_me, Scope.SETTINGS, "settings.viewed", page=True),
    Route("POST", "/me/mode", post_mode, Scope.SETTINGS, "settings.changed", page=True),
    Route("POST", "/me/keep-next", post_keep_next, Scope.SETTINGS, "keep-next.set", page=True),
)
