"""The portal as an aiohttp application: the routes, and what holds for every response.

Every response carries the headers that keep it out of caches and frames, and the
reference of its request; every error becomes a problem, and for people a page that
tells of it. Clear text is answered only to this machine and to the proxy named in the
settings.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from functools import lru_cache
from http import HTTPStatus
from time import perf_counter

import structlog
from aiohttp import web

from archive.errors import ArchiveError
from archive.model import new_id
from playback_portal import openapi, page, play_links, static
from playback_portal.confirmations import CONFIRMATIONS, Confirmations
from playback_portal.events import STREAMS, Streams
from playback_portal.health import READINESS, Readiness
from playback_portal.pages.invitation import ERRANDS, finish_errands
from playback_portal.parameters import refuse_no_text
from playback_portal.problems import Problem, problem_of, problem_of_status, unexpected
from playback_portal.route import PAGES
from playback_portal.routes import ROUTES, Route, guarded
from playback_portal.services import REFERENCE, SERVICES, Services

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "earwitness",
    "API-Version": openapi.VERSION,
}
OWN_HEADERS = frozenset({"Cache-Control", "Content-Security-Policy", "Referrer-Policy"})
"""What pages and their files say otherwise themselves."""

TRANSPORT_SECURITY = "max-age=31536000; includeSubDomains"

TABLES_MAX = 4
"""A process serves one table of routes; tests serve a few more, and begin with the whole one each time."""

_log = structlog.get_logger()


def create_app(services: Services, routes: tuple[Route, ...] = ROUTES) -> web.Application:
    """Return the application with `routes`, working with `services`."""
    app = web.Application(middlewares=[answer])
    app[SERVICES] = services
    app[READINESS] = Readiness()
    app[openapi.DOCUMENT], resources = _described_and_laid_out(routes)
    app[static.ASSETS] = static.load()
    app[PAGES] = {(route.method, route.path): route for route in routes if route.page}
    app[CONFIRMATIONS] = Confirmations(services.catalogue, services.clock)
    app[STREAMS] = Streams(services.catalogue)
    app[ERRANDS] = set()
    app[play_links.SLEEP], app[play_links.MAKING] = asyncio.sleep, {}
    app[play_links.RUNS], app[play_links.TURNSTILE] = play_links.Runs(), play_links.Turnstile()
    # Streams go on until they are told, and a server that stops waits for whoever it still serves.
    app.on_shutdown.append(end_streams)
    app.on_shutdown.append(finish_errands)
    app.on_shutdown.append(play_links.finish_making)
    app.on_cleanup.append(stop_listening)
    app.on_response_prepare.append(add_headers)
    for resource in resources:
        app.router.register_resource(resource)
    return app


@lru_cache(maxsize=TABLES_MAX)
def _described_and_laid_out(routes: tuple[Route, ...]) -> tuple[bytes, tuple[web.AbstractResource, ...]]:
    """Return what says what a table of routes offers, and what finds its rows; both know no application."""
    router = web.UrlDispatcher()
    for route in routes:
        router.add_route(route.method, route.path, guarded(route))
    return openapi.encode(routes), tuple(router.resources())


async def end_streams(app: web.Application) -> None:
    """End the event streams."""
    app[STREAMS].end()


async def stop_listening(app: web.Application) -> None:
    """End the connections on which the process hears of answers and events."""
    await asyncio.gather(app[STREAMS].stop(), app[CONFIRMATIONS].stop())


@web.middleware
async def answer(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Give the request its reference, turn what is raised into a problem, and measure."""
    services, began = request.app[SERVICES], perf_counter()
    request[REFERENCE] = new_id(services.clock.now())
    try:
        _refuse_clear_text(request, services)
        if request.method == "POST" and page.is_for_page(request):
            await refuse_no_text(request)
        response = await handler(request)
    except Problem as problem:
        response = told(request, problem)
    except ArchiveError as error:
        _log.warning("request refused", reference=request[REFERENCE], reason=type(error).__name__)
        response = told(request, problem_of(error))
    except web.HTTPException as error:
        response = told(request, problem_of_status(error))
    except web.RequestPayloadError:
        # The body is not compressed as it says.
        response = told(request, problem_of_status(web.HTTPBadRequest()))
    except ConnectionError:
        # The client went away; aiohttp knows what to do.
        raise
    except Exception as error:  # noqa: BLE001 - the last net: the client gets a reference, the log the class
        # Neither the message nor local variables: both may hold what a log must not.
        where = "".join(traceback.format_tb(error.__traceback__))
        _log.error("request failed", reference=request[REFERENCE], reason=type(error).__name__, where=where)
        response = told(request, unexpected())
    resource = request.match_info.route.resource
    services.metrics.request_duration.labels(
        request.method if resource is not None else "other",
        resource.canonical if resource is not None else "none",
        str(response.status),
    ).observe(perf_counter() - began)
    return response


def told(request: web.Request, problem: Problem) -> web.Response:
    """Return a problem as whoever asked reads it: a program or a person."""
    if page.is_for_page(request):
        return page.refusal(request, problem)
    return problem.response(request[REFERENCE])


def _refuse_clear_text(request: web.Request, services: Services) -> None:
    if not services.exposure.admits(request.remote):
        raise Problem(HTTPStatus.FORBIDDEN, "clear-text", "This needs TLS: ask the operator for the address.")


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add what every response carries."""
    own = OWN_HEADERS & response.headers.keys()
    response.headers.update({name: SECURITY_HEADERS[name] for name in SECURITY_HEADERS if name not in own})
    if REFERENCE in request:
        response.headers["X-Request-Id"] = request[REFERENCE]
    exposure = request.app[SERVICES].exposure
    if exposure.came_by_tls(request.remote, request.headers.get("X-Forwarded-Proto")):
        response.headers["Strict-Transport-Security"] = TRANSPORT_SECURITY
    if request.path == openapi.PATH:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
