"""Peers: no address is of two of them, ranges of two tenants never touch, and who writes is an operator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from sqlalchemy import insert, text

from archive.access import AccessScope, Scope
from archive.catalogue import directory, peers, sessions, tables
from archive.catalogue.engine import Catalogue
from archive.catalogue.peers import PeerFields
from archive.errors import ArchiveError, Conflict, NotFound, Refused
from archive.model import (
    OutcomeKind,
    Peer,
    PeerId,
    Role,
    SessionId,
    SessionOutcome,
    Tenant,
    TenantId,
    UserId,
    new_id,
)

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.fixture
def provider(operator: Catalogue) -> Tenant:
    return directory.add_tenant(operator, "Aanbieder", "provider.example", now=NOW, operates=True)


def row(name: str, addresses: list[str], tenant_id: TenantId | None) -> dict[str, Any]:
    """Return a row as a program that asks nothing would write it."""
    peer = Peer(PeerId(new_id(NOW)), name, tuple(addresses), tenant_id)
    return {**vars(peer), "addresses": addresses}


def scope_of(tenant: Tenant, role: Role) -> AccessScope:
    return AccessScope(tenant.id, "user:1", user_id=UserId("1"), role=role)


@pytest.mark.parametrize(
    ("taken", "wanted"),
    [
        ("192.0.2.7/32", "192.0.2.7/32"),
        ("192.0.2.0/24", "192.0.2.7/32"),
        ("192.0.2.7/32", "192.0.2.0/24"),
        ("2001:db8::/32", "2001:db8:1::/48"),
    ],
)
def test_the_database_lets_no_tenant_have_an_address_of_another(
    operator: Catalogue, bakery: Tenant, florist: Tenant, taken: str, wanted: str
) -> None:
    """Whatever writes: the narrower range gets the calls, so that touching is claiming."""
    peers.add_peer(operator, "one", [taken], now=NOW, tenant_id=bakery.id)
    for write in (
        lambda connection: connection.execute(insert(tables.peers), row("two", [wanted], florist.id)),
        lambda connection: peers.add_within(
            connection, PeerFields(name="two", addresses=[wanted], tenant_id=florist.id), now=NOW
        ),
    ):
        with pytest.raises(Conflict) as told, operator.transaction() as connection:
            write(connection)
        assert "one" not in str(told.value).split()
        assert bakery.name not in str(told.value)
    other = peers.add_peer(operator, "two", ["198.51.100.1"], now=NOW, tenant_id=florist.id)
    with pytest.raises(Conflict, match="belongs to another peer"), operator.transaction() as connection:
        peers.change_within(connection, other.id, PeerFields(addresses=[wanted]))
    with pytest.raises(Conflict), operator.transaction() as connection:
        connection.execute(
            text("UPDATE peers SET addresses = ARRAY[:wanted] WHERE id = :id"),
            {"wanted": wanted, "id": other.id},
        )


def test_giving_a_peer_to_another_tenant_is_claiming_too(
    operator: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    peers.add_peer(operator, "wide", ["192.0.2.0/24"], now=NOW, tenant_id=bakery.id)
    narrow = peers.add_peer(operator, "narrow", ["192.0.2.7"], now=NOW, tenant_id=bakery.id)
    with pytest.raises(Conflict), operator.transaction() as connection:
        peers.change_within(connection, narrow.id, PeerFields(tenant_id=florist.id))
    with pytest.raises(Conflict), operator.transaction() as connection:
        connection.execute(
            text("UPDATE peers SET tenant_id = :tenant WHERE id = :id"),
            {"tenant": florist.id, "id": narrow.id},
        )


def test_within_a_range_that_tenants_share_one_of_them_may_have_its_own(
    operator: Catalogue, bakery: Tenant
) -> None:
    peers.add_peer(operator, "shared", ["192.0.2.0/24"], now=NOW)
    own = peers.add_peer(operator, "own", ["192.0.2.7"], now=NOW, tenant_id=bakery.id)
    assert directory.load_directory(operator).peer_of("192.0.2.7") == own


def test_of_two_who_claim_an_address_at_once_one_is_refused(
    operator: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    """The first holds its transaction open while the second is at the trigger; it must not miss the row."""
    written, done = Event(), Event()

    def first() -> None:
        with operator.transaction() as connection:
            connection.execute(insert(tables.peers), row("one", ["192.0.2.7/32"], bakery.id))
            written.set()
            done.wait(0.5)

    def second() -> None:
        written.wait(5)
        with operator.transaction() as connection:
            connection.execute(insert(tables.peers), row("two", ["192.0.2.0/24"], florist.id))

    with ThreadPoolExecutor(2) as pool:
        begun, refused = pool.submit(first), pool.submit(second)
        begun.result()
        with pytest.raises(Conflict):
            refused.result()
    assert [peer.name for peer in peers.list_peers(operator)] == ["one"]


def test_the_portal_writes_peers_within_the_operators_tenant_alone(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant, provider: Tenant
) -> None:
    mine = peers.add_peer(operator, "mine", ["192.0.2.7"], now=NOW, tenant_id=bakery.id)
    peers.add_peer(operator, "shared", ["198.51.100.0/24"], now=NOW)
    wanted = PeerFields(name="new", addresses=["203.0.113.1"], tenant_id=bakery.id)
    for tenant in (bakery, florist):
        with pytest.raises(ArchiveError), portal.transaction(tenant.id) as connection:
            peers.add_within(connection, wanted, now=NOW)
    for act in (
        lambda connection: peers.change_within(connection, mine.id, PeerFields(name="theirs")),
        lambda connection: peers.remove_within(connection, mine.id),
    ):
        with pytest.raises(NotFound), portal.transaction(florist.id) as connection:
            act(connection)
    # The rows of a tenant are read by it, and changed by nobody of it.
    for statement in ("UPDATE peers SET enabled = false", "DELETE FROM peers"):
        with portal.transaction(bakery.id) as connection:
            assert connection.execute(text(statement)).rowcount == 0
    with portal.transaction(provider.id) as connection:
        made = peers.add_within(connection, wanted, now=NOW)
        before, after = peers.change_within(connection, made.id, PeerFields(enabled=False))
        assert (before.enabled, after.enabled) == (True, False)
        peers.remove_within(connection, mine.id)
    assert [peer.name for peer in peers.list_peers(operator)] == ["new", "shared"]


def test_a_peer_that_is_switched_off_is_a_stranger_and_no_wider_range_gets_its_calls(
    operator: Catalogue, bakery: Tenant
) -> None:
    shared = peers.add_peer(operator, "shared", ["192.0.2.0/24"], now=NOW)
    own = peers.add_peer(operator, "own", ["192.0.2.7"], now=NOW, tenant_id=bakery.id)
    with operator.transaction() as connection:
        peers.change_within(connection, own.id, PeerFields(enabled=False))
    loaded = directory.load_directory(operator)
    assert loaded.peer_of("192.0.2.7") is None
    assert loaded.peer_of("192.0.2.8") == shared
    assert type(loaded).from_json(loaded.to_json()).peer_of("192.0.2.7") is None


def test_a_change_is_announced_to_recorders(operator: Catalogue, recorder: Catalogue, bakery: Tenant) -> None:
    peer = peers.add_peer(operator, "own", ["192.0.2.7"], now=NOW, tenant_id=bakery.id)
    with recorder.listen(directory.CHANNEL) as listener:
        for act in (
            lambda connection: peers.change_within(connection, peer.id, PeerFields(name="other")),
            lambda connection: peers.remove_within(connection, peer.id),
        ):
            with operator.transaction() as connection:
                act(connection)
            assert listener.wait(5)


def test_what_came_by_a_peer_is_counted_for_its_tenant_and_for_operators(
    operator: Catalogue,
    portal: Catalogue,
    recorder: Catalogue,
    bakery: Tenant,
    florist: Tenant,
    provider: Tenant,
) -> None:
    own = peers.add_peer(operator, "own", ["192.0.2.7"], now=NOW, tenant_id=bakery.id)
    shared = peers.add_peer(operator, "shared", ["198.51.100.0/24"], now=NOW)
    silent = peers.add_peer(operator, "silent", ["203.0.113.0/24"], now=NOW, tenant_id=bakery.id)
    came = (
        (own, bakery.id, 30, "tcp"),
        (own, bakery.id, 1, "tls"),
        (own, bakery.id, 2, "udp"),
        (shared, bakery.id, 3, "udp"),
        (shared, florist.id, 1, "tcp"),
        (shared, None, 4, "udp"),
    )
    for number, (peer, tenant_id, hours, transport) in enumerate(came):
        at = NOW - timedelta(hours=hours)
        outcome = SessionOutcome(
            SessionId(f"s-{number}"), "c", OutcomeKind.RECORDED, "", at, at,
            peer_id=peer.id, tenant_id=tenant_id, transport=transport,
        )  # fmt: skip
        with recorder.transaction(tenant_id) as connection:
            sessions.insert_outcome(connection, outcome)
    since = NOW - timedelta(hours=9)
    told = peers.of_tenant(portal, scope_of(bakery, Role.ADMINISTRATOR), since)
    assert [(each.peer.id, each.calls.today, each.calls.transport) for each in told] == [
        (own.id, 2, "tls"),
        (silent.id, 0, ""),
    ]
    assert told[0].calls.last_at == NOW - timedelta(hours=1)
    told = peers.operated(portal, scope_of(provider, Role.OPERATOR), since)
    assert [(each.peer.name, each.calls.today, each.calls.transport) for each in told] == [
        ("own", 2, "tls"),
        ("shared", 3, "tcp"),
        ("silent", 0, ""),
    ]
    for scope in (scope_of(bakery, Role.USER), scope_of(bakery, Role.AUDITOR)):
        with pytest.raises(Refused):
            peers.of_tenant(portal, scope, since)
    with pytest.raises(Refused):
        peers.operated(portal, scope_of(bakery, Role.ADMINISTRATOR), since)
    with portal.transaction(bakery.id) as connection:
        assert connection.execute(text("SELECT * FROM operated_peer_calls(now())")).all() == []


def test_recordings_in_quarantine_are_counted_with_the_peer_they_came_by(
    operator: Catalogue, portal: Catalogue, recorder: Catalogue, bakery: Tenant, make_recording: Any
) -> None:
    from archive.catalogue import recordings
    from archive.model import RecordingState

    own = peers.add_peer(operator, "own", ["192.0.2.7"], now=NOW, tenant_id=bakery.id)
    with recorder.transaction(bakery.id) as connection:
        for state in (RecordingState.QUARANTINED, RecordingState.AVAILABLE):
            recordings.insert_recording(
                connection, make_recording(bakery.id, owner=None, peer_id=own.id, state=state)
            )
    (told,) = peers.of_tenant(portal, scope_of(bakery, Role.ADMINISTRATOR), NOW)
    assert told.calls.quarantined == 1


def test_a_program_of_the_tenant_reads_its_peers(
    operator: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    peers.add_peer(operator, "own", ["192.0.2.7"], now=NOW, tenant_id=bakery.id)
    program = AccessScope(bakery.id, "api-client:1", scopes=frozenset({Scope.ADMINISTRATION}))
    assert [each.peer.name for each in peers.of_tenant(portal, program, NOW)] == ["own"]
