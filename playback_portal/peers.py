"""Peers over the API: the exchanges of a tenant for its administrators, those of all for operators.

Operators alone add, change and remove: who could name an address would get the calls of whoever
sends from it. Every change is made with its entry in the audit log, which names no address.

Rules: a change says how it was before. What clashes is told without whose it is. Not here: the pages
(`playback_portal.pages.peers`), and who may offer calls (`archive.catalogue.peers`).
"""

from __future__ import annotations

import asyncio
from datetime import datetime, time, timedelta
from enum import StrEnum

from aiohttp import web

from archive.access import Scope
from archive.audit import Json
from archive.catalogue import peers
from archive.catalogue.directory import NAME_CHARS_MAX
from archive.catalogue.peers import ADDRESSES_PER_PEER_MAX, KnownPeer, PeerFields
from archive.model import Peer, PeerId, TenantId
from playback_portal import documents
from playback_portal.administration import administrators_only
from playback_portal.documents import time_of
from playback_portal.operation import require_operator, tenants_of
from playback_portal.parameters import CALENDAR, Body, Parameters, bounded_text, json_flag, read_body, text
from playback_portal.people import as_fault
from playback_portal.problems import ParameterFault, wrong_parameters
from playback_portal.route import DETAILS, SUBJECT, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, is_recording_id, recording_id_of

SILENT_AFTER = timedelta(hours=24)
"""A working day without a call is worth a look; what is closed on Sunday is silent on Monday morning."""


class PeerState(StrEnum):
    """Whether calls come by a peer."""

    OFF = "off"
    NEVER = "never"
    SEEN = "seen"
    SILENT = "silent"


def state_of(known: KnownPeer, now: datetime) -> PeerState:
    """Return whether calls came by a peer lately. Pure."""
    if not known.peer.enabled:
        return PeerState.OFF
    if known.calls.last_at is None:
        return PeerState.NEVER
    return PeerState.SILENT if now - known.calls.last_at > SILENT_AFTER else PeerState.SEEN


async def own_peers(request: web.Request) -> list[KnownPeer]:
    """Return the peers of the tenant, with its calls of today, as administrator."""
    services = request.app[SERVICES]
    since = _midnight(services.clock.now())
    return await asyncio.to_thread(peers.of_tenant, services.catalogue, request[SCOPE], since)


async def operated_peers(request: web.Request) -> list[KnownPeer]:
    """Return the peers of all tenants, with the calls of today, as operator."""
    require_operator(request)
    services = request.app[SERVICES]
    since = _midnight(services.clock.now())
    return await asyncio.to_thread(
        peers.operated, services.catalogue, request[SCOPE], since, since.replace(day=1)
    )


async def list_own(request: web.Request) -> web.StreamResponse:
    """Answer with the peers of the tenant."""
    Parameters(request.query).check()
    now = request.app[SERVICES].clock.now()
    found = [known_document(each, now) for each in await own_peers(request)]
    return documents.list_response(request, found, None)


async def list_operated(request: web.Request) -> web.StreamResponse:
    """Answer with the peers of all tenants."""
    Parameters(request.query).check()
    now = request.app[SERVICES].clock.now()
    found = [known_document(each, now) for each in await operated_peers(request)]
    return documents.list_response(request, found, None)


async def post_peer(request: web.Request) -> web.StreamResponse:
    """Add a peer."""
    require_operator(request)
    Parameters(request.query).check()
    body = await read_body(request)
    body.need("name", _name, "")
    nowhere: list[str] = []
    body.need("addresses", _addresses, nowhere)
    wanted = _wanted(body)
    body.check()
    await _known_tenant(request, wanted)
    made = await asyncio.to_thread(as_fault, lambda: add(request, wanted))
    response = documents.json_response(document(made), {"Location": f"/v1/peers/{made.id}"})
    response.set_status(201)
    return response


async def patch_peer(request: web.Request) -> web.StreamResponse:
    """Change a peer by a merge patch; what is left out stays."""
    require_operator(request)
    Parameters(request.query).check()
    body = await read_body(request)
    wanted = _wanted(body)
    body.check()
    await _known_tenant(request, wanted)
    made = await asyncio.to_thread(as_fault, lambda: change(request, wanted))
    return documents.json_response(document(made))


async def delete_peer(request: web.Request) -> web.StreamResponse:
    """Trust a peer no more."""
    require_operator(request)
    Parameters(request.query).check()
    await asyncio.to_thread(remove, request)
    return web.Response(status=204)


def add(request: web.Request, wanted: PeerFields) -> Peer:
    """Add a peer together with the entry in the log; blocks. Raises Conflict and Refused."""
    now = request.app[SERVICES].clock.now()
    with request[ENTRY].transaction() as connection:
        made = peers.add_within(connection, wanted, now=now)
        request[SUBJECT] = f"peer:{made.id}"
        request[DETAILS] = {"name": made.name, "tenant": made.tenant_id}
    return made


def change(request: web.Request, wanted: PeerFields) -> Peer:
    """Change the peer the path names together with the entry in the log; blocks.

    Raises NotFound, Conflict and Refused.
    """
    with request[ENTRY].transaction() as connection:
        before, after = peers.change_within(connection, PeerId(recording_id_of(request)), wanted)
        was, will = document(before), document(after)
        # Which addresses an exchange has is in the table; the log tells that they were changed.
        changed = [name for name in will if will[name] != was[name]]
        request[DETAILS] = {
            "changed": {
                name: {} if name == "addresses" else {"from": was[name], "to": will[name]} for name in changed
            }
        }
    return after


def remove(request: web.Request) -> Peer:
    """Remove the peer the path names together with the entry in the log; blocks. Raises NotFound."""
    with request[ENTRY].transaction() as connection:
        gone = peers.remove_within(connection, PeerId(recording_id_of(request)))
        request[DETAILS] = {"name": gone.name, "tenant": gone.tenant_id}
    return gone


def document(peer: Peer) -> dict[str, Json]:
    """Return a peer as the API shows it."""
    return {
        "id": peer.id,
        "name": peer.name,
        "addresses": list(peer.addresses),
        "tenantId": peer.tenant_id,
        "dialect": peer.dialect,
        "srtp": peer.srtp,
        "starCodes": peer.star_codes,
        "enabled": peer.enabled,
    }


def known_document(known: KnownPeer, now: datetime) -> dict[str, Json]:
    """Return a peer and what came by it as the API shows it."""
    calls = known.calls
    return {
        **document(known.peer),
        "state": state_of(known, now).value,
        "lastCallAt": None if calls.last_at is None else time_of(calls.last_at),
        "lastTransport": calls.transport or None,
        "callsToday": calls.today,
        "quarantined": calls.quarantined,
    }


def _wanted(body: Body) -> PeerFields:
    """Read what a body names."""
    wanted = PeerFields()
    if "name" in body.names:
        wanted["name"] = body.read("name", _name, "")
    if "addresses" in body.names:
        wanted["addresses"] = body.read("addresses", _addresses, [])
    if "tenantId" in body.names:
        wanted["tenant_id"] = body.read("tenantId", _tenant, None)
    if "dialect" in body.names:
        wanted["dialect"] = body.read("dialect", text, "auto")
    if "srtp" in body.names:
        wanted["srtp"] = body.read("srtp", text, "allow")
    if "starCodes" in body.names:
        wanted["star_codes"] = body.read("starCodes", json_flag, False)
    if "enabled" in body.names:
        wanted["enabled"] = body.read("enabled", json_flag, True)
    return wanted


async def _known_tenant(request: web.Request, wanted: PeerFields) -> None:
    """Raise the 400 Problem for a tenant that is none, or that operates and has no calls."""
    tenant_id = wanted.get("tenant_id")
    if tenant_id is not None and tenant_id not in {each.id for each in await tenants_of(request)}:
        raise wrong_parameters(ParameterFault("/tenantId", "There is no such tenant with calls."))


def _name(value: Json) -> str:
    return bounded_text(NAME_CHARS_MAX, chars_min=1)(value)


def _addresses(value: Json) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= ADDRESSES_PER_PEER_MAX:
        raise ValueError(f"It is a list of 1 to {ADDRESSES_PER_PEER_MAX} addresses or ranges.")
    return [text(each) for each in value]


def _tenant(value: Json) -> TenantId | None:
    if value is None:
        return None
    found = text(value)
    if not is_recording_id(found):
        raise ValueError("It is the id of a tenant, or null for a peer that several share.")
    return TenantId(found)


def _midnight(now: datetime) -> datetime:
    return datetime.combine(now.astimezone(CALENDAR).date(), time(), CALENDAR)


PEER_ROUTES = (
    Route("GET", "/v1/peers", administrators_only(list_own), Scope.ADMINISTRATION, "peers.listed", "peers"),
    Route("GET", "/v1/operator/peers", list_operated, Scope.OPERATION, "operated-peers.listed", "instance"),
    Route("POST", "/v1/peers", post_peer, Scope.OPERATION, "peer.added", "peer", fresh=True),
    Route("PATCH", "/v1/peers/{id}", patch_peer, Scope.OPERATION, "peer.changed", "peer", fresh=True),
    Route("DELETE", "/v1/peers/{id}", delete_peer, Scope.OPERATION, "peer.removed", "peer", fresh=True),
)
