"""Server-sent events of calls: what happens is on the page before anybody asks again.

Each stream reads the catalogue when a notification says that there is something, from
the last event it sent; a client that was away goes on where it was by Last-Event-ID, for
as long as events are kept (a day).

Rules: a stream shows what its caller may see now: who asks is found out again every
AGAIN_S, and a right that was taken away or a session that is over ends the stream; the
stream itself is no activity that keeps a session open. Streams are bounded, in number and
in the work they make, so that commands never wait for them. The audit entry is durable
before the first octet. A heartbeat is an event itself, so that a page knows a dead stream
from a silent one; that recorders fell silent or are back is one too, without an id, for
how calls stand may have changed by it without any call having told so.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus

import structlog
from aiohttp import web

from archive.access import AccessScope, Scope
from archive.catalogue import call_events, recorder_nodes
from archive.catalogue.call_events import CHANNEL, StoredEvent
from archive.catalogue.engine import Catalogue
from archive.errors import DependencyUnavailable
from archive.model import TenantId
from playback_portal.authentication import authenticate_again, require
from playback_portal.documents import time_of
from playback_portal.notices import Notices
from playback_portal.parameters import Parameters
from playback_portal.problems import RETRY_AFTER_S, ParameterFault, Problem, wrong_parameters
from playback_portal.services import ENTRY, REFERENCE, SCOPE

STREAMS_COUNT_MAX = 200
"""Each holds a connection and asks the database some times a second when much happens."""

STREAMS_PER_ACTOR_MAX = 10
"""Some pages and some programs of one person; more is a client that forgets its streams."""

HEARTBEAT_S = 15.0
"""Proxies close what is silent for half a minute or more."""

AGAIN_S = 15.0
"""With HEARTBEAT_S to write at most, nobody sees anything for longer than 30 s after losing the right."""

SPACING_S = 0.25
"""Events of a busy second come in a few portions: nobody reads faster."""

READS_COUNT_MAX = 2
"""Of the connections of the process, so many may read events at once; the others are for requests."""

NODES_S = 2.0
"""How old what is known of the recorders may be; one question serves all streams of a process."""

HEARTBEAT = 'event: heartbeat\ndata: {"type":"heartbeat"}\n\n'
RECORDERS_CHANGED = 'event: recorders.changed\ndata: {"type":"recorders.changed"}\n\n'
EVENTS_PER_READ = 200
EVENT_ID_MAX = 2**63 - 1

_log = structlog.get_logger()


class Streams:
    """All event streams of a process, and the one thread that wakes them."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Remember where events are; nothing is connected before the first stream."""
        self._catalogue = catalogue
        self._notices = Notices(catalogue, CHANNEL, self._wake, ticks=False)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bells: set[asyncio.Event] = set()
        self._actors: Counter[str] = Counter()
        self._reads = asyncio.Semaphore(READS_COUNT_MAX)
        self._turn = 0
        self._newest: dict[TenantId, int] = {}
        self._heard: frozenset[str] = frozenset()
        self._heard_until = -1.0
        self._hearing = asyncio.Lock()
        self.ended = False

    def end(self) -> None:
        """Let every stream end."""
        self.ended = True
        self._ring()

    async def stop(self) -> None:
        """Stop listening."""
        await asyncio.to_thread(self._notices.stop)

    @contextmanager
    def admitted(self, actor: str) -> Iterator[asyncio.Event]:
        """Count a stream of `actor` and yield the bell that rings at news; raises the Problem 429 or 503."""
        if self._actors[actor] >= STREAMS_PER_ACTOR_MAX:
            detail = f"You have {STREAMS_PER_ACTOR_MAX} event streams open already: close one first."
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-streams", detail)
        if len(self._bells) >= STREAMS_COUNT_MAX or self.ended:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too-many-streams",
                "This portal serves as many event streams as it can: ask again later, or read the calls.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        self._loop = asyncio.get_running_loop()
        self._notices.start()
        bell = asyncio.Event()
        self._bells.add(bell)
        self._actors[actor] += 1
        try:
            yield bell
        finally:
            self._bells.discard(bell)
            self._actors[actor] -= 1
            # A Counter keeps names of zero, and actors come and go for months.
            self._actors += Counter()

    async def newest(self, tenant_id: TenantId) -> int:
        """Return the id of a tenant's newest event, read once for all of its streams at each news."""
        known = self._newest.get(tenant_id)
        if known is not None:
            return known
        turn = self._turn
        found = await asyncio.to_thread(call_events.newest, self._catalogue, tenant_id)
        if turn == self._turn:
            self._newest[tenant_id] = found
        return found

    async def after(self, scope: AccessScope, last_id: int) -> tuple[list[StoredEvent], int]:
        """Return events after `last_id` the scope may see, and the id to go on from."""
        async with self._reads:
            horizon = await self.newest(scope.tenant_id)
            if horizon <= last_id:
                return [], last_id
            found = await asyncio.to_thread(
                call_events.after, self._catalogue, scope, last_id, EVENTS_PER_READ
            )
        last = found[-1].id if found else last_id
        return found, last if len(found) == EVENTS_PER_READ else max(last, horizon)

    async def heard(self) -> frozenset[str]:
        """Return the recorders that are there, as known for at most NODES_S."""
        now = asyncio.get_running_loop().time
        async with self._hearing:
            if now() >= self._heard_until:
                self._heard = await asyncio.to_thread(recorder_nodes.heard, self._catalogue)
                self._heard_until = now() + NODES_S
        return self._heard

    def follows(self, actor: str) -> bool:
        """Return whether somebody has a stream open, which has its entry in the audit log."""
        return self._actors[actor] > 0

    def doubt(self, tenant_id: TenantId) -> None:
        """Let the newest event be read again, though no news of it came."""
        self._newest.pop(tenant_id, None)

    def _wake(self) -> None:
        """Ring in the loop of the streams; runs in the thread of the notices."""
        if self._loop is not None:
            # A loop that is closed has no streams left to wake.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        self._turn += 1
        self._newest.clear()
        for bell in self._bells:
            bell.set()


STREAMS = web.AppKey("STREAMS", Streams)


async def get_events(request: web.Request) -> web.StreamResponse:
    """Answer with events as they happen, until the client goes."""
    Parameters(request.query).check()
    last_id = _last_event_id(request)
    streams, scope = request.app[STREAMS], request[SCOPE]
    with streams.admitted(scope.actor) as bell:
        newest = await streams.newest(scope.tenant_id)
        await request[ENTRY].make("ok")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        # An id that was never given is one of another catalogue, whose order says nothing here.
        begin = newest if last_id is None else min(last_id, newest)
        try:
            await _flow(request, response, bell, begin)
        except (Problem, DependencyUnavailable) as error:
            # The status went out long ago: the client learns why when it comes back.
            _log.info("event stream ends", reference=request[REFERENCE], reason=type(error).__name__)
        except ConnectionError:
            raise
        except Exception:
            # A defect of ours: the connection goes first, for the 500 that follows is no event.
            _break(request)
            raise
    return response


async def _flow(
    request: web.Request, response: web.StreamResponse, bell: asyncio.Event, last_id: int
) -> None:
    """Send events and heartbeats; raises the Problem of a right that was taken away."""
    streams, scope = request.app[STREAMS], request[SCOPE]
    now = asyncio.get_running_loop().time
    known_at = written_at = now()
    nodes = await streams.heard()
    await _write(request, response, f"retry: {RETRY_AFTER_S * 1000}\n\n")
    while not streams.ended:
        if now() - known_at >= AGAIN_S:
            scope = await authenticate_again(request)
            require(scope, Scope.CALLS_READ)
            known_at = now()
        bell.clear()
        found, last_id = await streams.after(scope, last_id)
        text = "".join(map(event_text, found))
        before, nodes = nodes, await streams.heard()
        if nodes != before:
            text += RECORDERS_CHANGED
        if not text and now() - written_at >= HEARTBEAT_S:
            text = HEARTBEAT
        if text:
            await _write(request, response, text)
            written_at = now()
        await asyncio.sleep(SPACING_S)
        if len(found) == EVENTS_PER_READ:
            continue
        try:
            async with asyncio.timeout_at(min(known_at + AGAIN_S, written_at + HEARTBEAT_S, now() + NODES_S)):
                await bell.wait()
        except TimeoutError:
            streams.doubt(scope.tenant_id)


def event_text(stored: StoredEvent) -> str:
    """Return an event as text/event-stream has it: its id, its kind, and one line of JSON."""
    event = stored.event
    document = {
        "type": event.kind,
        "at": time_of(event.at),
        "call": event.recording_id,
        "owner": event.owner,
        "data": dict(event.body),
    }
    data = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
    return f"id: {stored.id}\nevent: {event.kind}\ndata: {data}\n\n"


async def _write(request: web.Request, response: web.StreamResponse, text: str) -> None:
    """Send text; raises ConnectionResetError once a client that does not read has been let go."""
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            await response.write(text.encode())
    except TimeoutError:
        _break(request)
        raise ConnectionResetError("The client does not read.") from None


def _break(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _last_event_id(request: web.Request) -> int | None:
    text = request.headers.get("Last-Event-ID")
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(EVENT_ID_MAX))):
        raise wrong_parameters(ParameterFault("Last-Event-ID", "It is the id of an event of ours."))
    return min(int(text), EVENT_ID_MAX)
