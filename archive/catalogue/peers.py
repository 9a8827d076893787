"""Peers: the exchanges whose calls are taken, by address; changed by operators, read by their tenant.

No range belongs to two peers, and ranges of two tenants never touch: who could claim an address
would get the calls of whoever sends from it. The trigger `keep_addresses_apart` holds that; the
same question is asked before, so that the answer can be a sentence. It doesn't tell whose they are.
A peer that is switched off keeps its addresses: its calls are refused, and nobody else gets them.

Rules: written in a transaction of the operator's role, or of the portal within the operators' own
tenant; to everybody else the database shows peers of their tenant alone and takes none. A change is
announced, and recorders follow within seconds. Not here: whose call it is (`snapshot`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypedDict

from sqlalchemy import (
    Text,
    and_,
    cast,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from archive.access import AccessScope, may_administer, may_operate
from archive.catalogue import directory_rows as rows
from archive.catalogue import tables, traffic
from archive.catalogue.directory import LOCK_NUMBERS, announce, named
from archive.catalogue.engine import Catalogue, Connection
from archive.errors import Conflict, NotFound, Refused
from archive.model import Peer, PeerId, TenantId, new_id

ADDRESSES_PER_PEER_MAX = 64
DIALECTS = ("auto", "broadworks", "cube", "oracle", "audiocodes", "ribbon", "rfc7866")
SRTP_POLICIES = ("allow", "require", "off")
IN_QUARANTINE = text("recordings.state = 'quarantined'")
"""In the very words of its partial index, which a bound value would not match."""


class PeerFields(TypedDict, total=False):
    """What can be said of a peer when changing one; what is left out stays."""

    name: str
    addresses: Sequence[str]
    tenant_id: TenantId | None
    dialect: str
    srtp: str
    star_codes: bool
    enabled: bool


@dataclass(frozen=True)
class PeerCalls:
    """What came by a peer: the last session that ended and how it was carried, and how many began since.

    `transport` is udp, tcp or tls, '' where it isn't known. `quarantined` are recordings that wait now.
    """

    last_at: datetime | None = None
    transport: str = ""
    today: int = 0
    quarantined: int = 0


@dataclass(frozen=True)
class KnownPeer:
    """A peer and what came by it; `octets` of recordings by site, as operators ask for them."""

    peer: Peer
    calls: PeerCalls
    octets: Mapping[str, int] = field(default_factory=dict)


def add_peer(
    catalogue: Catalogue,
    name: str,
    addresses: Sequence[str],
    *,
    now: datetime,
    tenant_id: TenantId | None = None,
    dialect: str = "auto",
    srtp: str = "allow",
    star_codes: bool = False,
) -> Peer:
    """Add a trusted session recording client, as operator; raises as `add_within`."""
    wanted = PeerFields(
        name=name,
        addresses=addresses,
        tenant_id=tenant_id,
        dialect=dialect,
        srtp=srtp,
        star_codes=star_codes,
    )
    with catalogue.transaction() as connection:
        return add_within(connection, wanted, now=now)


def add_within(connection: Connection, wanted: PeerFields, *, now: datetime) -> Peer:
    """Add a trusted session recording client in the caller's transaction.

    Raises Refused for what is no name, address range, dialect or policy, Conflict when the name or
    one of the addresses belongs to another peer.
    """
    peer = _checked(Peer(PeerId(new_id(now)), "", (), None), wanted)
    _refuse_taken(connection, peer)
    connection.execute(insert(tables.peers), _row(peer))
    announce(connection)
    return peer


def change_within(connection: Connection, peer_id: PeerId, wanted: PeerFields) -> tuple[Peer, Peer]:
    """Change a peer in the caller's transaction and return it before and after; what is not given stays.

    Raises NotFound, and as `add_within`.
    """
    before = get_within(connection, peer_id)
    after = _checked(before, wanted)
    _refuse_taken(connection, after)
    connection.execute(update(tables.peers).where(tables.peers.c.id == peer_id), _row(after))
    announce(connection)
    return before, after


def remove_within(connection: Connection, peer_id: PeerId) -> Peer:
    """Trust a peer no more, in the caller's transaction; what came by it stays. Raises NotFound."""
    peer = get_within(connection, peer_id)
    connection.execute(delete(tables.peers).where(tables.peers.c.id == peer_id))
    announce(connection)
    return peer


def get_within(connection: Connection, peer_id: PeerId) -> Peer:
    """Return a peer that whoever reads may see; raises NotFound."""
    found = next((peer for peer in rows.all_peers(connection) if peer.id == peer_id), None)
    if found is None:
        raise NotFound("There is no such peer.")
    return found


def list_peers(catalogue: Catalogue) -> list[Peer]:
    """Return all peers by name, as recorder, worker or operator."""
    with catalogue.transaction() as connection:
        return sorted(rows.all_peers(connection), key=_name)


def of_tenant(catalogue: Catalogue, scope: AccessScope, since: datetime) -> list[KnownPeer]:
    """Return the peers of the tenant by name, with its calls since a moment; raises Refused.

    Those that tenants share are not for its administrators to see, and are not among them.
    """
    if not may_administer(scope):
        raise Refused("Peers are for administrators of the tenant.")
    with catalogue.transaction(scope.tenant_id) as connection:
        found = sorted(rows.all_peers(connection), key=_name)
        calls = _calls(connection, scope.tenant_id, [peer.id for peer in found], since)
    return [KnownPeer(peer, calls.get(peer.id, PeerCalls())) for peer in found]


def operated(
    catalogue: Catalogue, scope: AccessScope, since: datetime, month: datetime | None = None
) -> list[KnownPeer]:
    """Return the peers of all tenants by name, with their calls since a moment; raises Refused.

    With `month` also the octets that came since that moment.
    """
    if not may_operate(scope):
        raise Refused("How the instance runs is for its operators.")
    heard = func.operated_peer_calls(since).table_valued("peer_id", "last_at", "transport", "today")
    with catalogue.transaction(scope.tenant_id) as connection:
        found = sorted(rows.all_peers(connection), key=_name)
        calls: dict[str, PeerCalls] = {}
        for row in connection.execute(select(heard)):
            calls[row.peer_id] = _later(calls.get(row.peer_id, PeerCalls()), row)
        octets = {} if month is None else traffic.of_tenants(connection, month)
    return [KnownPeer(peer, calls.get(peer.id, PeerCalls()), octets.get(peer.id, {})) for peer in found]


def _later(known: PeerCalls, row: Any) -> PeerCalls:
    """Return what is known of a peer's calls with those of one tenant more."""
    last_at = row.last_at.astimezone(UTC)
    newer = known.last_at is None or last_at > known.last_at
    return PeerCalls(
        last_at if newer else known.last_at,
        row.transport if newer else known.transport,
        known.today + row.today,
    )


def _calls(
    connection: Connection, tenant_id: TenantId, ids: Sequence[PeerId], since: datetime
) -> dict[str, PeerCalls]:
    """Return what came of the tenant by each of some peers."""
    asked = select(func.unnest(cast(list(ids), ARRAY(Text))).label("id")).subquery()
    columns, recording = tables.sessions.c, tables.recordings.c
    own = and_(columns.tenant_id == tenant_id, columns.peer_id == asked.c.id)
    last = (
        select(columns.started_at, columns.transport)
        .where(own)
        .order_by(columns.started_at.desc())
        .limit(1)
        .lateral("last")
    )
    today = select(func.count()).select_from(tables.sessions).where(own, columns.started_at >= since)
    waiting = (
        select(func.count())
        .select_from(tables.recordings)
        .where(recording.tenant_id == tenant_id, recording.peer_id == asked.c.id, IN_QUARANTINE)
    )
    statement = select(
        asked.c.id,
        last.c.started_at,
        last.c.transport,
        today.correlate(asked).scalar_subquery().label("today"),
        waiting.correlate(asked).scalar_subquery().label("quarantined"),
    ).select_from(asked.outerjoin(last, true()))
    return {
        row.id: PeerCalls(
            None if row.started_at is None else row.started_at.astimezone(UTC),
            row.transport or "",
            row.today,
            row.quarantined,
        )
        for row in connection.execute(statement)
    }


def _checked(peer: Peer, wanted: PeerFields) -> Peer:
    """Return a peer with changes; raises Refused for a value that is none."""
    ranges = tuple(dict.fromkeys(map(_network, wanted.get("addresses", peer.addresses))))
    dialect, srtp = wanted.get("dialect", peer.dialect), wanted.get("srtp", peer.srtp)
    if dialect not in DIALECTS or srtp not in SRTP_POLICIES:
        raise Refused(f"A dialect is one of {', '.join(DIALECTS)}; srtp one of {', '.join(SRTP_POLICIES)}.")
    if not 1 <= len(ranges) <= ADDRESSES_PER_PEER_MAX:
        raise Refused(f"A peer has 1 to {ADDRESSES_PER_PEER_MAX} address ranges.")
    return Peer(
        id=peer.id,
        name=named(wanted.get("name", peer.name)),
        addresses=ranges,
        tenant_id=wanted.get("tenant_id", peer.tenant_id),
        dialect=dialect,
        srtp=srtp,
        star_codes=wanted.get("star_codes", peer.star_codes),
        enabled=wanted.get("enabled", peer.enabled),
    )


def _refuse_taken(connection: Connection, peer: Peer) -> None:
    """Raise Conflict when the name or an address is another's, behind the lock of the trigger."""
    connection.execute(LOCK_NUMBERS, {"tenant_id": "peers"})
    others = tables.peers.alias("others")
    unlike = others.c.id != peer.id
    if connection.execute(select(exists().where(unlike, others.c.name == peer.name))).scalar():
        raise Conflict("Another peer has this name already.")
    ours = cast(list(peer.addresses), ARRAY(Text))
    if connection.execute(select(func.addresses_taken(peer.id, peer.tenant_id, ours))).scalar():
        raise Conflict("One of these addresses belongs to another peer already.")


def _row(peer: Peer) -> dict[str, object]:
    return {**vars(peer), "addresses": list(peer.addresses)}


def _name(peer: Peer) -> str:
    return peer.name.casefold()


def _network(address: str) -> str:
    try:
        network = ipaddress.ip_network(address.strip(), strict=False)
    except ValueError as error:
        raise Refused(f"{address!r} is not an address or range such as 192.0.2.0/24.") from error
    if network.prefixlen == 0:
        raise Refused(f"{address!r} trusts the whole internet; name the addresses of the peer.")
    return str(network)
