"""The pages of a play link, open to whoever has it: the code, the player, and its sound in pieces.

Nothing of the call is told before the link, and the PIN or code it may ask for, were
shown. A play is counted when somebody presses play; its audit entry stands in the
recording's history, made durable with the count and before the first sound.

Rules: no route of a link hands out the recording. Requests without Range are refused, a
response is a short piece, and pieces leave at the link's pace.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from archive import throttle
from archive.audit import Json
from archive.catalogue import people, share_visits, shares, sign_in_attempts
from archive.catalogue.engine import Connection
from archive.catalogue.share_visits import HEARD_TIMES_MAX, Visit
from archive.catalogue.shares import CODE_DIGITS, Derivative, Proof
from archive.model import ObjectKind
from archive.post import Letter
from archive.sealed_object import SealedReader
from playback_portal import admission, browser_session, byte_range, fragment, outbox
from playback_portal.branding import look_as
from playback_portal.byte_range import ByteRange, Unsatisfiable
from playback_portal.language import language_of, mark
from playback_portal.page import render, see_other
from playback_portal.pages.sign_in import fields_of
from playback_portal.person import LOOK
from playback_portal.play_links import (
    LINK_HEADERS,
    SLEEP,
    Link,
    attempt,
    derivative_of,
    entered_link,
    keep_visit,
    link_of,
    network,
    over,
    pace_for,
    response_bytes,
    too_early,
    visit_of,
)
from playback_portal.problems import Problem
from playback_portal.route import Route
from playback_portal.services import REFERENCE, SERVICES

MASKED_CHARS_MAX = 2
"""So much of a name is enough for who has that address."""

WRONG_CODE = mark("This code is not right, or no longer. Type it again, or ask for a new one.")
WRONG_PIN = mark("This PIN is not right. Ask the person who gave you the link.")


@dataclass(frozen=True)
class Door:
    """What the page of the code shows: the proof it asks for, the address it was sent to, what was wrong."""

    proof: Proof
    recipient: str
    sent: bool = False
    error: str = ""


async def get_link(request: web.Request) -> web.StreamResponse:
    """Show the player, or the door before it, or that the link works no longer."""
    try:
        link = await _entered(request)
    except Problem as problem:
        if problem.status is not HTTPStatus.NOT_FOUND:
            raise
        return _closed(render(request, "play_link/over.html", status=HTTPStatus.NOT_FOUND))
    visit = await visit_of(request, link)
    if visit is None and link.share.proof is not Proof.NONE:
        return _door(request, link, Door(link.share.proof, masked(link.share.recipient)))
    await _enter(request, link, "share.opened", "ok")
    return await _player(request, link, visit)


async def post_code(request: web.Request) -> web.StreamResponse:
    """Send a code to the address of the link."""
    browser_session.require_own_site(request)
    link = await _entered(request)
    share, services = link.share, request.app[SERVICES]
    if share.proof is not Proof.EMAIL or share.recipient is None:
        raise over()
    await attempt(request, throttle.share_mail_subjects(share.id))
    code, language = shares.new_pin(), language_of(request)

    def send() -> str:
        now = services.clock.now()
        organisation = people.tenant_of(services.catalogue, share.tenant_id).name
        fields = {"code": code, "organisation": organisation}
        letter = Letter(share.tenant_id, "share-code", share.recipient or "", language.value, fields)
        with services.audit.transaction(share.tenant_id) as connection:
            shares.set_code(connection, share, link.token, code, now=now)
            mail_id = services.post.queue(connection, letter)
            _append(request, connection, link, "share.code-sent", "ok")
        return mail_id

    mail_id = await asyncio.to_thread(send)
    await outbox.hand_over(services, share.tenant_id, mail_id)
    return _door(request, link, Door(share.proof, masked(share.recipient), sent=True))


async def post_proof(request: web.Request) -> web.StreamResponse:
    """Take a PIN or code, open a visit and lead to the player."""
    browser_session.require_own_site(request)
    link = await _entered(request)
    share, services = link.share, request.app[SERVICES]
    given = (await fields_of(request)).get("code", "").replace(" ", "")
    subjects = throttle.share_subjects(share.id, admission.address_of(request))
    await attempt(request, subjects)
    now = services.clock.now()
    right = shares.proves(share, link.token, given, now=now)
    token = await asyncio.to_thread(_open_visit, request, link) if right else None
    if token is None:
        await _enter(request, link, "share.opened", "refused")
        error = WRONG_CODE if share.proof is Proof.EMAIL else WRONG_PIN
        door = Door(share.proof, masked(share.recipient), sent=True, error=error)
        return _door(request, link, door, HTTPStatus.FORBIDDEN)
    await asyncio.to_thread(sign_in_attempts.succeeded, services.catalogue, subjects, now)
    response = see_other(request, f"/s/{link.token}")
    keep_visit(request, response, link, token)
    return _closed(response)


async def post_play(request: web.Request) -> web.StreamResponse:
    """Count a play, so that the sound may be asked for; one that goes on is not counted again."""
    browser_session.require_own_site(request)
    link = await _entered(request)
    share = link.share
    visit = await visit_of(request, link)
    if visit is None and share.proof is not Proof.NONE:
        raise Problem(HTTPStatus.FORBIDDEN, "proof-required", mark("Enter the code of this link first."))
    derivative = await derivative_of(request.app, link)
    if visit is not None and visit.counted_at is not None and not _is_heard(visit, derivative):
        return _closed(_told(share.plays))
    token, number = await asyncio.to_thread(_count, request, link, visit)
    if number is None:
        raise over()
    response = _told(number)
    if token is not None:
        keep_visit(request, response, link, token)
    return _closed(response)


async def get_sound(request: web.Request) -> web.StreamResponse:
    """Answer with a short piece of the audio once the pace allows it."""
    link = await link_of(request)
    visit = await visit_of(request, link)
    if visit is None or visit.counted_at is None:
        raise Problem(HTTPStatus.FORBIDDEN, "not-playing", mark("Press play first."))
    services = request.app[SERVICES]
    derivative = await derivative_of(request.app, link)
    part = _part(request, derivative)
    reader = await asyncio.to_thread(services.derivatives.open, link.archived, link.share, derivative)
    granted = await asyncio.to_thread(
        share_visits.grant,
        services.catalogue,
        link.share,
        derivative,
        visit,
        part.length,
        pace_for(request.app, link, visit, derivative, part),
        now=services.clock.now(),
    )
    if granted.over:
        raise Problem(HTTPStatus.FORBIDDEN, "play-over", mark("This play is over. Press play again."))
    if not granted.granted:
        raise too_early(granted.wait_s)
    if granted.wait_s > 0:
        await request.app[SLEEP](granted.wait_s)
    piece = await asyncio.to_thread(reader.read, part.first, part.last_exclusive)
    services.metrics.audio_bytes.inc(len(piece))
    return _piece(piece, part, reader)


def masked(address: str | None) -> str:
    """Return an address so that its owner knows it and nobody learns it: in…@voorbeeld.nl.

    At most half of the name is told: nothing of one letter.
    """
    name, _, domain = (address or "").partition("@")
    return f"{name[: min(len(name) // 2, MASKED_CHARS_MAX)]}…@{domain}" if domain else ""


def _part(request: web.Request, derivative: Derivative) -> ByteRange:
    """Return the beginning of what is asked for; raises the 416 Problem, without Range too."""
    length = derivative.pin.plaintext_bytes
    try:
        part = byte_range.wanted(request.headers.get("Range"), None, "", length)
    except Unsatisfiable:
        part = None
    if part is None:
        raise Problem(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            "range",
            "Sound is sent in pieces: ask for a range of octets that is there.",
            headers={"Content-Range": f"bytes */{length}", "Accept-Ranges": "bytes"},
        )
    return ByteRange(part.first, min(part.last_exclusive, part.first + response_bytes(derivative)))


def _piece(piece: bytes, part: ByteRange, reader: SealedReader) -> web.Response:
    headers = {
        "Content-Range": f"bytes {part.first}-{part.last_exclusive - 1}/{reader.length}",
        "Accept-Ranges": "bytes",
        "Content-Type": reader.media_type,
        "Content-Disposition": "inline",
        "ETag": f'"{reader.sha256}"',
        **LINK_HEADERS,
    }
    return web.Response(status=HTTPStatus.PARTIAL_CONTENT, body=piece, headers=headers)


def _is_heard(visit: Visit, derivative: Derivative) -> bool:
    """Return whether a visit has had all of the sound it gets, but for a last piece."""
    budget = derivative.pin.plaintext_bytes * HEARD_TIMES_MAX
    return visit.sent_bytes > budget - response_bytes(derivative)


def _open_visit(request: web.Request, link: Link) -> str | None:
    """Open the visit of who proved themselves; return its token, None when the code was used meanwhile."""
    services, share = request.app[SERVICES], link.share
    with services.audit.transaction(share.tenant_id) as connection:
        if share.proof is Proof.EMAIL and not shares.spend_code(connection, share):
            return None
        _, token = share_visits.open_visit(connection, share, network(request), now=services.clock.now())
        _append(request, connection, link, "share.opened", "ok")
    return token


def _count(request: web.Request, link: Link, visit: Visit | None) -> tuple[str | None, int | None]:
    """Count a play of a visit, opened now when there is none, with its audit entry.

    Returns the token of a new visit and which play it is, None when none is left.
    """
    services, token = request.app[SERVICES], None
    now = services.clock.now()
    with services.audit.transaction(link.share.tenant_id) as connection:
        visit_id = None if visit is None else visit.id
        if visit_id is None:
            visit_id, token = share_visits.open_visit(connection, link.share, network(request), now=now)
        number = share_visits.count(connection, link.share, visit_id, now=now)
        result = "refused" if number is None else "ok"
        _append(request, connection, link, "share.played", result, play=number)
    return token, number


async def _enter(request: web.Request, link: Link, action: str, result: str) -> None:
    """Make an audit entry durable."""

    def append() -> None:
        with request.app[SERVICES].audit.transaction(link.share.tenant_id) as connection:
            _append(request, connection, link, action, result)

    await asyncio.to_thread(append)


def _append(
    request: web.Request, connection: Connection, link: Link, action: str, result: str, **details: Json
) -> None:
    services, share = request.app[SERVICES], link.share
    services.audit.append(
        connection,
        tenant_id=share.tenant_id,
        actor=f"share:{share.id}",
        action=action,
        object=f"recording:{share.recording_id}",
        result=result,
        at=services.clock.now(),
        body={"address": admission.address_of(request), "request": request[REFERENCE], **details},
    )


async def _entered(request: web.Request) -> Link:
    """Return the link of the path, and let its pages look as the organisation that shared it."""
    link = await entered_link(request)
    await look_as(request, link.share.tenant_id)
    return link


async def _player(request: web.Request, link: Link, visit: Visit | None) -> web.StreamResponse:
    services, share, recording = request.app[SERVICES], link.share, link.archived.recording

    def read() -> tuple[str, bytes]:
        reader = services.derivatives.source(link.archived, ObjectKind.PEAKS)
        return people.tenant_of(services.catalogue, share.tenant_id).name, reader.read(0, reader.length)

    organisation, peaks = await asyncio.to_thread(read)
    shown = fragment.of_recording(recording, peaks, share.from_ms, share.to_ms)
    going_on = visit is not None and visit.counted_at is not None
    left = None if share.plays_max is None else max(share.plays_max - share.plays, 0)
    return _closed(
        render(
            request,
            "play_link/player.html",
            share=share,
            recording=recording,
            organisation=(request[LOOK].name if LOOK in request else "") or organisation,
            shown=shown,
            begins=recording.started_at + fragment.after(share.from_ms),
            ends=recording.started_at + fragment.after(share.to_ms),
            whole=share.length_ms >= recording.duration_ms,
            spent=left == 0 and not going_on,
            address=f"/s/{link.token}",
            mixed=len(recording.channels) == 1,
        )
    )


def _door(request: web.Request, link: Link, door: Door, status: int = HTTPStatus.OK) -> web.Response:
    return _closed(
        render(
            request,
            "play_link/door.html",
            status=status,
            door=door,
            digits=CODE_DIGITS,
            address=f"/s/{link.token}",
        )
    )


def _told(number: int) -> web.Response:
    return web.Response(text=json.dumps({"plays": number}), content_type="application/json")


def _closed(response: web.Response) -> web.Response:
    """Return a response whose address goes nowhere: neither to other pages nor into an index."""
    response.headers.update(LINK_HEADERS)
    return response


PLAY_LINK_ROUTES = (
    Route("GET", "/s/{token}", get_link, None, None, page=True),
    Route("POST", "/s/{token}/codes", post_code, None, None, page=True),
    Route("POST", "/s/{token}/proof", post_proof, None, None, page=True),
    Route("POST", "/s/{token}/plays", post_play, None, None, page=True),
    Route("GET", "/s/{token}/sound", get_sound, None, None, page=True),
)
