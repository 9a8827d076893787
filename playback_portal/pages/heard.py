"""Who listened to my calls: what others did with the sound of one's recordings, and what for.

Rules: one's own recordings only, also for who may not hear them: being listened to is
what one may know. Each look stands in the audit log itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope
from archive.catalogue import directory, heard
from archive.errors import NotFound
from archive.model import RecordingId, UserId
from playback_portal import history
from playback_portal.history import Deed
from playback_portal.me import own_id
from playback_portal.page import render
from playback_portal.parameters import Parameters
from playback_portal.route import Route
from playback_portal.services import SCOPE, SERVICES

PERIODS_D = (30, 90, 365)
"""The first is shown unless another is asked for."""


@dataclass(frozen=True)
class OfCall:
    """One recording and what was done with it, newest first; `reads` is whether its page may be opened."""

    recording_id: RecordingId
    started_at: datetime
    reads: bool
    deeds: tuple[Deed, ...]


async def get_heard(request: web.Request) -> web.StreamResponse:
    """Show who listened to, took away or passed on the calls of who asks."""
    parameters = Parameters(request.query)
    days = parameters.read("days", _days, PERIODS_D[0])
    parameters.check()
    user_id = own_id(request)
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    since = request.app[SERVICES].clock.now() - timedelta(days=days)

    def read() -> tuple[list[OfCall], bool, dict[str, str]]:
        found, more = heard.by_others(catalogue, scope.tenant_id, user_id, since=since)
        calls = [
            OfCall(
                each.recording_id,
                each.started_at,
                scope.own == user_id,
                tuple(history.deeds(each.entries)),
            )
            for each in found
        ]
        people = {deed.user_id for call in calls for deed in call.deeds if deed.user_id}
        names = {}
        for person in sorted(people):
            try:
                names[person] = directory.user_by_id(catalogue, scope.tenant_id, UserId(person)).login
            except NotFound:
                continue
        return calls, more, names

    calls, more, names = await asyncio.to_thread(read)
    return render(
        request,
        "heard/page.html",
        status=HTTPStatus.OK,
        calls=calls,
        more=more,
        names=names,
        days=days,
        periods=PERIODS_D,
    )


def _days(text: str) -> int:
    if text not in map(str, PERIODS_D):
        raise ValueError(f"One of {', '.join(map(str, PERIODS_D))} days.")
    return int(text)


HEARD_ROUTES = (Route("GET", "/me/heard", get_heard, Scope.SETTINGS, "heard.viewed", page=True),)
