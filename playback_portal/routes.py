"""Every route of the portal: one row each, with its permission and its audit event.

A row with a permission is reached only by somebody who was recognised and has it;
its audit entry is durable before the response leaves. Where the event is an `Action`,
`archive.playback` writes the entry, for it alone knows when an object is opened;
else `guarded` does, after the handler and before the response is sent. A row with
neither is open to everyone and tells nothing of anybody.

Rules: no route is added anywhere else; a test walks this table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from archive.access import AccessScope, Scope
from archive.playback import Action
from playback_portal import audio, health, openapi, recordings
from playback_portal.authentication import authenticate, require
from playback_portal.problems import Problem
from playback_portal.services import REFERENCE, SCOPE, SERVICES, recording_id_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """One row: how it is reached, who may, and what the audit log says of it."""

    method: str
    path: str
    handler: Handler
    permission: Scope | None
    audit: str | None


ROUTES = (
    Route("GET", "/livez", health.get_livez, None, None),
    Route("GET", "/readyz", health.get_readyz, None, None),
    Route("GET", "/metrics", health.get_metrics, None, None),
    Route("GET", "/v1/openapi.json", openapi.get_openapi, None, None),
    Route("GET", "/v1/recordings", recordings.list_recordings, Scope.RECORDINGS_READ, "recordings.searched"),
    Route("GET", "/v1/recordings/{id}", recordings.get_recording, Scope.RECORDINGS_READ, "recording.viewed"),
    Route("GET", "/v1/recordings/{id}/audio", audio.get_audio, Scope.RECORDINGS_PLAY, Action.PLAY),
    Route("GET", "/v1/recordings/{id}/peaks", recordings.get_peaks, Scope.RECORDINGS_PLAY, Action.PLAY),
    Route("GET", "/v1/recordings/{id}/timeline", recordings.get_timeline, Scope.RECORDINGS_READ, Action.READ),
    Route("GET", "/v1/recordings/{id}/metadata", recordings.get_metadata, Scope.RECORDINGS_READ, Action.READ),
    Route(
        "GET", "/v1/recordings/{id}/history", recordings.get_history, Scope.RECORDINGS_READ, "history.viewed"
    ),
    Route("GET", "/v1/sessions", recordings.list_sessions, Scope.SESSIONS_READ, "sessions.listed"),
)


def guarded(route: Route) -> Handler:
    """Return the handler of a row behind its permission and audit event."""
    permission, event = route.permission, route.audit
    if permission is None or event is None:
        return route.handler

    async def handle(request: web.Request) -> web.StreamResponse:
        scope = request[SCOPE] = await authenticate(request)
        try:
            require(scope, permission)
        except Problem:
            await _enter(request, scope, event, "refused")
            raise
        response = await route.handler(request)
        if not isinstance(event, Action):
            await _enter(request, scope, event, "ok")
        return response

    return handle


async def _enter(request: web.Request, scope: AccessScope, event: str, result: str) -> None:
    """Make the audit entry of a request durable."""
    services = request.app[SERVICES]
    subject = (
        f"recording:{recording_id_of(request)}" if "id" in request.match_info else event.partition(".")[0]
    )
    address = services.exposure.client_address(request.remote, request.headers.get("X-Forwarded-For"))

    def append() -> None:
        with services.audit.transaction(scope.tenant_id) as connection:
            services.audit.append(
                connection,
                tenant_id=scope.tenant_id,
                actor=scope.actor,
                action=str(event),
                object=subject,
                result=result,
                body={"query": dict(request.query), "address": address, "request": request[REFERENCE]},
                at=services.clock.now(),
            )

    await asyncio.to_thread(append)
