"""Whether the portal lives, and whether it can do its work now.

Rules: open to everyone, and so without a word about any tenant. A dependency that
hangs is away after READY_S_MAX, and is asked by one thread at a time however many
probes come.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from archive.catalogue import retention_figures, scrubs, worm_proofs
from archive.errors import CatalogueUnavailable
from playback_portal import metrics
from playback_portal.services import SERVICES, Services

READY_S_MAX = 3.0
"""Balancers give a probe some seconds; a dependency that needs longer can't serve a listener."""


class Readiness:
    """Asks each dependency in a thread of its own, never twice at once."""

    def __init__(self) -> None:
        self._asked: dict[str, asyncio.Task[bool]] = {}

    async def away(self, checks: dict[str, Callable[[], bool]]) -> list[str]:
        """Return the names of the dependencies that are not there."""
        for name, check in checks.items():
            if name not in self._asked or self._asked[name].done():
                self._asked[name] = asyncio.create_task(asyncio.to_thread(check))
        tasks = {name: self._asked[name] for name in checks}
        await asyncio.wait(tasks.values(), timeout=READY_S_MAX)
        return [name for name, task in tasks.items() if not _holds(task)]


def _holds(task: asyncio.Task[bool]) -> bool:
    """Return whether a check has answered yes; one that failed by itself has not."""
    return task.done() and task.exception() is None and task.result()


READINESS = web.AppKey("READINESS", Readiness)


async def get_livez(request: web.Request) -> web.StreamResponse:  # noqa: ARG001 - the form of a handler
    """Answer that the process runs."""
    return web.Response(text="ok\n")


async def get_readyz(request: web.Request) -> web.StreamResponse:
    """Answer 200 when database and store can be reached, else 503 and which of them is away."""
    away = await request.app[READINESS].away(dict(request.app[SERVICES].checks))
    if away:
        return web.Response(
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            text=f"away: {', '.join(away)}\n",
            headers={"Retry-After": "5"},
        )
    return web.Response(text="ok\n")


async def get_metrics(request: web.Request) -> web.StreamResponse:
    """Answer with the figures of this process, and what the database knows of the bucket and of retention."""
    services = request.app[SERVICES]
    # A database that is away is told by /readyz; what was known stands meanwhile.
    with contextlib.suppress(CatalogueUnavailable):
        await asyncio.to_thread(_ask_database, services)
    body = services.metrics.text()
    return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})


def _ask_database(services: Services) -> None:
    services.metrics.tell_lock(worm_proofs.newest(services.catalogue), services.clock.now())
    counted = scrubs.progress(services.catalogue)
    if counted is not None:
        services.metrics.tell_scrub(counted[0])
    services.metrics.retention.tell(retention_figures.read(services.catalogue), services.clock.now())
