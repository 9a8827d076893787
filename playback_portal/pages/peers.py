"""Exchanges: those of a tenant for its administrators to read, those of all for operators to set.

Operators add, change, switch off and remove. Switching off works at once and can be undone by the
notice that tells it; removing asks for the name. Recorders follow within seconds.

Rules: the same changes as the API, with the same entries in the log (`playback_portal.peers`). What
was typed stays where it can't be taken, and whose a taken address is, isn't told.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from archive.access import Scope
from archive.catalogue.directory import NAME_CHARS_MAX
from archive.catalogue.peers import DIALECTS, SRTP_POLICIES, KnownPeer, PeerFields
from archive.errors import Conflict, Refused
from archive.model import Peer, PeerId, TenantId
from playback_portal.language import mark
from playback_portal.operation import tenants_of
from playback_portal.page import render, see_other
from playback_portal.pages.sign_in import fields_of
from playback_portal.pages.teams import row
from playback_portal.parameters import Parameters
from playback_portal.peers import PeerState, add, change, operated_peers, own_peers, remove, state_of
from playback_portal.problems import not_found
from playback_portal.route import Handler, Route
from playback_portal.services import ENTRY, SERVICES, recording_id_of

PAGE = "/admin/peers"
OPERATED = "/operator/peers"
ADDRESSES_CHARS_MAX = 4000

STATES: Final = {
    PeerState.SEEN: ("", "check", mark("Calls come in")),
    PeerState.SILENT: ("pause", "clock", mark("Silent for a day")),
    PeerState.NEVER: ("outline", "clock", mark("No call yet")),
    PeerState.OFF: ("outline", "minus", mark("Switched off")),
}
SRTP: Final = {
    "allow": mark("Encrypted when offered"),
    "require": mark("Encrypted only"),
    "off": mark("Not encrypted"),
}
DONE: Final = {
    "added": mark("The exchange was added. Recorders take its calls within seconds."),
    "changed": mark("The exchange was changed. Recorders follow within seconds."),
    "off": mark("The exchange is switched off. New calls of it are refused; calls under way go on."),
    "on": mark("The exchange is switched on again."),
    "removed": mark("The exchange was removed. What came by it stays."),
}
NO_ADDRESS = mark("One of these is no address or range such as 192.0.2.0/24.")
NO_NAME = mark("A name has 1 to 200 characters that can be shown.")
TAKEN_NAME = mark("Another exchange has this name already.")
TAKEN_ADDRESS = mark("One of these addresses belongs to another exchange already.")
NOT_TYPED = mark("The name was not typed as it stands there. Nothing was removed.")


@dataclass(frozen=True)
class Wrong:
    """What was typed can't be taken: in which field, and the message about it."""

    field: str
    told: str
    status: HTTPStatus = HTTPStatus.BAD_REQUEST


async def list_own(request: web.Request) -> web.StreamResponse:
    """Show the exchanges of the organisation."""
    Parameters(request.query).check()
    known = await own_peers(request)
    return render(request, "peers/own.html", **_words(request, known))


async def list_operated(request: web.Request) -> web.StreamResponse:
    """Show the exchanges of all tenants."""
    return await _list(request)


async def post_peer(request: web.Request) -> web.StreamResponse:
    """Add an exchange."""
    form = await fields_of(request)
    wrong = await _tried(request, form, lambda wanted: add(request, wanted))
    if wrong is None:
        return see_other(request, f"{OPERATED}?done=added")
    return await _list(request, form, wrong)


async def get_peer(request: web.Request) -> web.StreamResponse:
    """Show one exchange, to change it."""
    return await _one(request)


async def post_changes(request: web.Request) -> web.StreamResponse:
    """Change an exchange."""
    form = await fields_of(request)
    wrong = await _tried(request, form, lambda wanted: change(request, wanted))
    if wrong is None:
        return see_other(request, f"{OPERATED}/{recording_id_of(request)}?done=changed")
    return await _one(request, form, wrong)


async def post_switch(request: web.Request) -> web.StreamResponse:
    """Switch an exchange off, or on again."""
    on = (await fields_of(request)).get("enabled") == "on"
    await asyncio.to_thread(change, request, PeerFields(enabled=on))
    return see_other(request, f"{OPERATED}/{recording_id_of(request)}?done={'on' if on else 'off'}")


async def post_removal(request: web.Request) -> web.StreamResponse:
    """Remove an exchange whose name was typed."""
    form = await fields_of(request)
    known = await _asked(request)
    if form.get("typed", "").strip() != known.peer.name:
        await request[ENTRY].make("refused")
        return await _one(request, wrong=Wrong("", NOT_TYPED))
    await asyncio.to_thread(remove, request)
    return see_other(request, f"{OPERATED}?done=removed")


async def _tried(
    request: web.Request, form: Mapping[str, str], act: Callable[[PeerFields], Peer]
) -> Wrong | None:
    """Do what a form asks; return what is wrong with it, None when it was done."""
    wanted = PeerFields(
        name=form.get("name", "").strip(),
        addresses=_addresses(form),
        tenant_id=TenantId(form["tenant"]) if form.get("tenant") else None,
        dialect=form.get("dialect", "auto"),
        srtp=form.get("srtp", "allow"),
        star_codes="star_codes" in form,
    )
    if wanted["tenant_id"] is not None and wanted["tenant_id"] not in {
        each.id for each in await tenants_of(request)
    }:
        raise not_found()
    wrong: Wrong | None = None
    try:
        await asyncio.to_thread(act, wanted)
    except Conflict as error:
        name = "name" in str(error)
        wrong = Wrong(
            "name" if name else "addresses", TAKEN_NAME if name else TAKEN_ADDRESS, HTTPStatus.CONFLICT
        )
    except Refused as error:
        name = str(error).startswith("A name")
        wrong = Wrong("name" if name else "addresses", NO_NAME if name else NO_ADDRESS)
    if wrong is not None:
        await request[ENTRY].make("refused")
    return wrong


def _addresses(form: Mapping[str, str]) -> list[str]:
    """Return the addresses of a field: one a line, or with commas or blanks between them."""
    return re.split(r"[\s,;]+", form.get("addresses", "")[:ADDRESSES_CHARS_MAX].strip(" \r\n\t,;"))


async def _asked(request: web.Request) -> KnownPeer:
    """Return the exchange the path names; raises the 404 Problem."""
    asked = PeerId(recording_id_of(request))
    found = next((each for each in await operated_peers(request) if each.peer.id == asked), None)
    if found is None:
        raise not_found()
    return found


async def _list(
    request: web.Request, form: Mapping[str, str] | None = None, wrong: Wrong | None = None
) -> web.Response:
    known = await operated_peers(request)
    return render(
        request,
        "peers/operated.html",
        status=HTTPStatus.OK if wrong is None else wrong.status,
        **_words(request, known),
        **await _choices(request),
        form=form or {},
        wrong=wrong,
        done=DONE.get(request.query.get("done", "")),
    )


async def _one(
    request: web.Request, form: Mapping[str, str] | None = None, wrong: Wrong | None = None
) -> web.Response:
    known = await _asked(request)
    peer = known.peer
    held = {
        "name": peer.name,
        "addresses": "\n".join(peer.addresses),
        "tenant": peer.tenant_id or "",
        "dialect": peer.dialect,
        "srtp": peer.srtp,
    } | ({"star_codes": "on"} if peer.star_codes else {})
    return render(
        request,
        "peers/page.html",
        status=HTTPStatus.OK if wrong is None else wrong.status,
        **_words(request, [known]),
        **await _choices(request),
        each=known,
        form=form or held,
        wrong=wrong,
        done=DONE.get(request.query.get("done", "")),
        switched=request.query.get("done") == "off",
    )


async def _choices(request: web.Request) -> dict[str, Any]:
    """Return what the fields of an exchange offer."""
    tenants = await tenants_of(request)
    return {
        "tenants": [(each.id, each.name) for each in tenants],
        "names": {each.id: each.name for each in tenants},
        "dialects": DIALECTS,
        "policies": SRTP_POLICIES,
        "name_chars_max": NAME_CHARS_MAX,
        "addresses_chars_max": ADDRESSES_CHARS_MAX,
    }


def _words(request: web.Request, known: list[KnownPeer]) -> dict[str, Any]:
    now = request.app[SERVICES].clock.now()
    return {
        "known": known,
        "states": {each.peer.id: STATES[state_of(each, now)] for each in known},
        "srtp": SRTP,
    }


def _row(method: str, path: str, handler: Handler, audit: str, subject: str = "peer") -> Route:
    fresh = method != "GET"
    return Route(method, path, handler, Scope.OPERATION, audit, subject, page=True, fresh=fresh)


PEER_PAGE_ROUTES = (
    row("GET", PAGE, list_own, "peers.listed", ""),
    _row("GET", OPERATED, list_operated, "operated-peers.listed", "instance"),
    _row("POST", OPERATED, post_peer, "peer.added"),
    _row("GET", f"{OPERATED}/{{id}}", get_peer, "operated-peers.listed"),
    _row("POST", f"{OPERATED}/{{id}}", post_changes, "peer.changed"),
    _row("POST", f"{OPERATED}/{{id}}/switch", post_switch, "peer.changed"),
    _row("POST", f"{OPERATED}/{{id}}/removal", post_removal, "peer.removed"),
)
