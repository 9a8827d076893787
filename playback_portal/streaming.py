"""Octets that leave in pieces, each from a verified segment: ranges, stalls, and a right that is taken away.

Rules: the first piece is opened before the status goes out, so that a store that is away
is a 503; what fails later breaks the connection, and never looks like the end. Who sends
has made the audit entry durable before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus

import structlog
from aiohttp import web

from archive.errors import ArchiveError
from playback_portal import byte_range
from playback_portal.byte_range import ByteRange, Unsatisfiable
from playback_portal.problems import Problem
from playback_portal.services import REFERENCE, SERVICES
from playback_portal.transcoding import AudioSource

STALL_S_MAX = 60.0
"""A player that is paused stops reading; it comes back with a new range, so its connection may go."""

RECHECK_S = 10.0
"""A browser may read one answer for as long as it plays: whose right is taken away hears it break off."""

CheckAgain = Callable[[web.Request], Awaitable[None]]
"""Asks once more who this is and whether they may; raises what the first asking would."""

_log = structlog.get_logger()


async def send(
    request: web.Request, source: AudioSource, headers: dict[str, str], check_again: CheckAgain
) -> web.StreamResponse:
    """Answer with the source, or the range of it that is asked for; `headers` has its strong ETag.

    `check_again` is asked every RECHECK_S whether it may still leave.
    """
    try:
        part = byte_range.wanted(
            request.headers.get("Range"), request.headers.get("If-Range"), headers["ETag"], source.length
        )
    except Unsatisfiable as error:
        raise Problem(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            "range",
            str(error),
            headers={"Content-Range": f"bytes */{source.length}", "Accept-Ranges": "bytes"},
        ) from None
    status = HTTPStatus.OK
    if part is not None:
        status = HTTPStatus.PARTIAL_CONTENT
        headers["Content-Range"] = f"bytes {part.first}-{part.last_exclusive - 1}/{source.length}"
    whole = part or ByteRange(0, source.length)
    pieces = source.pieces(whole.first, whole.last_exclusive)
    first = await asyncio.to_thread(next, pieces, b"")
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = whole.length
    await response.prepare(request)
    await _stream(request, response, first, pieces, check_again)
    return response


async def _stream(
    request: web.Request,
    response: web.StreamResponse,
    piece: bytes,
    pieces: Iterator[bytes],
    check_again: CheckAgain,
) -> None:
    """Send `piece` and what follows; break the connection when that can't be gone on with."""
    metrics, checked = request.app[SERVICES].metrics, time.monotonic()
    try:
        while piece:
            if time.monotonic() - checked > RECHECK_S:
                await check_again(request)
                checked = time.monotonic()
            async with asyncio.timeout(STALL_S_MAX):
                await response.write(piece)
            metrics.audio_bytes.inc(len(piece))
            piece = await asyncio.to_thread(next, pieces, b"")
        await response.write_eof()
    except (ArchiveError, Problem, TimeoutError) as error:
        metrics.audio_broken.inc()
        _log.warning("audio broken off", reference=request[REFERENCE], reason=type(error).__name__)
        _break(request)
    except ConnectionError:
        # The listener went away; there is nobody to tell.
        raise
    except Exception:
        # A defect of ours: the connection goes first, for the 500 that follows must not look like audio.
        _break(request)
        raise


def _break(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
