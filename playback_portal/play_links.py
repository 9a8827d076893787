"""What every request of a play link goes through: which link, does it stand, whose visit, at what pace.

Rules: what does not work is one and the same 404, whether it never was, is over or was
ended; whoever tries many addresses waits. The derivative leaves in pieces of at most
RESPONSE_BYTES and a quarter of it, never faster than PACE_TIMES the time it lasts. A
link's token stands in no log, and its pages send it nowhere.

Not here: the pages themselves (`playback_portal.pages.play_link`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web

from archive import throttle
from archive.catalogue import share_visits, shares, sign_in_attempts
from archive.catalogue.share_visits import Visit
from archive.catalogue.shares import Derivative, Share
from archive.decoding import Decoder
from archive.errors import ArchiveError, NotFound, VerificationFailed
from archive.model import ArchivedRecording, ObjectKind
from archive.pace import Pace, turn
from archive.shared import standing
from archive.throttle import Subject
from playback_portal import admission, browser_session, opus
from playback_portal.byte_range import ByteRange
from playback_portal.language import mark
from playback_portal.problems import Problem
from playback_portal.services import SERVICES, Services

RESPONSE_BYTES_MAX = 128 * 1024
"""DESIGN 6: no response carries more than this, nor more than a quarter of the derivative."""

RESPONSE_BYTES = 8 * 1024
"""What one carries: some three seconds. Players fetch ahead; who seeks waits for what was asked before."""

QUARTER = 4
PACE_TIMES = 3.2
"""Who listens at threefold speed never waits."""

BURST_S = 60
"""What may come at once after a rest, at most a quarter: players fill their buffer and people jump about."""

RESERVED_PART = 3
JUMP_BYTES = 64 * 1024
"""Two blocks of the buffer of a browser, which fetches no less where somebody jumps to.

What is fetched on from there leaves two thirds of the burst to the next jump."""

RUNS_COUNT_MAX = 2000
"""Visits of which it is remembered how far they fetched on; whose is forgotten only seems to jump."""

PER_NETWORK = Pace(1, 120)
"""Requests that enter links: those of an office that was sent one, at once."""

PER_LINK = Pace(5, 300)
"""Whoever they come from: each asks the database several things, and leaves an entry in the log."""

TURNS_COUNT_MAX = 10_000
"""Networks and links remembered, a megabyte or two; who came longest ago is forgotten first."""

COOKIE = "ew_visit"
COOKIE_CHARS_MAX = 64

LINK_HEADERS: Final = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow, noarchive"}

SLEEP = web.AppKey[Callable[[float], Awaitable[None]]]("SLEEP", Callable)  # type: ignore[arg-type]
"""Waits some seconds for the pace; tests let their clock pass instead."""

MAKING = web.AppKey("MAKING", dict[str, "asyncio.Task[Derivative]"])
"""Derivatives being made, by the id of their link: whoever comes meanwhile waits for the same."""

_log = structlog.get_logger()


class Runs:
    """Where each visit last jumped to, and how far it fetched on from there."""

    def __init__(self) -> None:
        self._runs: dict[str, tuple[int, int]] = {}

    def length(self, visit_id: str, part: ByteRange) -> int:
        """Note a piece, and return how much was fetched in one go with it."""
        start, until = self._runs.pop(visit_id, (part.first, part.first))
        if until != part.first:
            start = part.first
        self._runs[visit_id] = (start, part.last_exclusive)
        if len(self._runs) > RUNS_COUNT_MAX:
            del self._runs[next(iter(self._runs))]
        return part.last_exclusive - start


RUNS = web.AppKey("RUNS", Runs)


class Turnstile:
    """How often links are entered, counted in the memory of one process: by network and by link."""

    def __init__(self) -> None:
        self._free_at: dict[str, datetime] = {}

    def wait_s(self, key: str, pace: Pace, now: datetime) -> float:
        """Let somebody in and return 0, or return for how many seconds nobody of that key is."""
        wanted = turn(pace, self._free_at.get(key), 1, now)
        if wanted.wait_s(now) > 0:
            return wanted.wait_s(now)
        self._free_at.pop(key, None)
        self._free_at[key] = wanted.free_at
        if len(self._free_at) > TURNS_COUNT_MAX:
            del self._free_at[next(iter(self._free_at))]
        return 0.0


TURNSTILE = web.AppKey("TURNSTILE", Turnstile)


@dataclass(frozen=True)
class Link:
    """A link that stands, and the recording it leads to."""

    token: str
    share: Share
    archived: ArchivedRecording


async def entered_link(request: web.Request) -> Link:
    """Return the link of the path to who opens it; raises as `link_of`, or the 429 Problem for too often."""
    _pass(request, f"network {network(request)}", PER_NETWORK)
    link = await link_of(request)
    _pass(request, f"link {link.share.id}", PER_LINK)
    return link


def network(request: web.Request) -> str:
    """Return the network a visitor comes from."""
    return throttle.network_of(admission.address_of(request))


def _pass(request: web.Request, key: str, pace: Pace) -> None:
    wait_s = request.app[TURNSTILE].wait_s(key, pace, request.app[SERVICES].clock.now())
    if wait_s > 0:
        raise too_early(wait_s)


async def link_of(request: web.Request) -> Link:
    """Return the link of the path; raises the 404 Problem, or the 429 one for who tries too many."""
    services, token = request.app[SERVICES], request.match_info["token"]
    share = await asyncio.to_thread(shares.find, services.catalogue, token)
    if share is None:
        await attempt(request, throttle.share_token_subjects(admission.address_of(request)))
        raise over()
    try:
        archived = await asyncio.to_thread(standing, services.catalogue, share, now=services.clock.now())
    except NotFound:
        raise over() from None
    return Link(token, share, archived)


def over() -> Problem:
    """Return the 404 of a link that does not work."""
    return Problem(HTTPStatus.NOT_FOUND, "link-over", mark("This play link works no longer."))


async def attempt(request: web.Request, subjects: tuple[Subject, ...]) -> None:
    """Count an attempt; raises the 429 Problem when it comes too early."""
    services = request.app[SERVICES]
    now = services.clock.now()
    wait_s = await asyncio.to_thread(sign_in_attempts.begin, services.catalogue, subjects, now)
    if wait_s > 0:
        raise too_early(wait_s)


def too_early(wait_s: float) -> Problem:
    """Return the 429 of what is to be tried again later."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too-early",
        mark("Too many attempts. Wait a moment and try again."),
        headers={"Retry-After": str(int(wait_s) + 1)},
    )


async def visit_of(request: web.Request, link: Link) -> Visit | None:
    """Return the visit the browser's cookie stands for, None without one."""
    services, token = request.app[SERVICES], request.cookies.get(COOKIE, "")
    if not 0 < len(token) <= COOKIE_CHARS_MAX:
        return None
    now = services.clock.now()
    return await asyncio.to_thread(share_visits.find, services.catalogue, link.share, token, now=now)


def keep_visit(request: web.Request, response: web.StreamResponse, link: Link, token: str) -> None:
    """Give a browser its visit, which is sent with this link alone."""
    response.set_cookie(
        COOKIE,
        token,
        path=f"/s/{link.token}",
        max_age=share_visits.VISIT_S_MAX,
        httponly=True,
        secure=browser_session.is_secure(request.app[SERVICES].exposure),
        samesite="Lax",
    )


def pace_of(share: Share, derivative: Derivative) -> Pace:
    """Return how fast a derivative may leave."""
    length = derivative.pin.plaintext_bytes
    octets_per_s = length / (share.length_ms / 1000)
    burst = min(octets_per_s * BURST_S, length / QUARTER)
    return Pace(octets_per_s * PACE_TIMES, max(int(burst), response_bytes(derivative)))


def pace_for(app: web.Application, link: Link, visit: Visit, derivative: Derivative, part: ByteRange) -> Pace:
    """Return the pace of one piece: that of the link, and for what is fetched ahead a smaller burst."""
    pace = pace_of(link.share, derivative)
    if app[RUNS].length(visit.id, part) <= JUMP_BYTES:
        return pace
    ahead = max(pace.burst_octets // RESERVED_PART, response_bytes(derivative))
    return Pace(pace.octets_per_s, ahead)


def response_bytes(derivative: Derivative) -> int:
    """Return the most one response carries."""
    return max(1, min(RESPONSE_BYTES, derivative.pin.plaintext_bytes // QUARTER))


async def derivative_of(app: web.Application, link: Link) -> Derivative:
    """Return the audio of a link, made now when it is not there yet; raises what the archive raises."""
    if link.share.derivative is not None:
        return link.share.derivative
    making = app[MAKING]
    task = making.get(link.share.id)
    if task is None:
        task = making[link.share.id] = asyncio.create_task(_make(app[SERVICES], link))
        task.add_done_callback(lambda _: making.pop(link.share.id, None))
    # Who goes away does not stop it for those who wait with them.
    return await asyncio.shield(task)


def begin_making(app: web.Application, link: Link) -> None:
    """Have the audio of a new link made, so that its first listener need not wait."""
    if link.share.id not in app[MAKING]:
        task = asyncio.create_task(_make(app[SERVICES], link))
        app[MAKING][link.share.id] = task
        task.add_done_callback(lambda done: _made(app, link.share.id, done))


async def finish_making(app: web.Application) -> None:
    """Stop what is being made: the next listener begins it anew."""
    tasks = list(app[MAKING].values())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _made(app: web.Application, share_id: str, done: asyncio.Task[Derivative]) -> None:
    app[MAKING].pop(share_id, None)
    error = None if done.cancelled() else done.exception()
    if isinstance(error, ArchiveError):
        _log.warning("the audio of a play link was not made", share_id=share_id, reason=type(error).__name__)
    elif error is not None:
        raise error


async def _make(services: Services, link: Link) -> Derivative:
    async with services.transcodes:
        return await asyncio.to_thread(_encode_and_keep, services, link)


def _encode_and_keep(services: Services, link: Link) -> Derivative:
    share, archived = link.share, link.archived
    # Made by somebody else since the link was read: just before, or in another process.
    known = shares.find(services.catalogue, link.token)
    if known is not None and known.derivative is not None:
        return known.derivative
    reader = services.derivatives.source(archived, ObjectKind.AUDIO)
    content = opus.encoded(Decoder(reader, None), share.from_ms, share.to_ms)
    if not content:
        raise VerificationFailed("The archived audio is shorter than its recording; report it.")
    return services.derivatives.keep(archived, share, content)
