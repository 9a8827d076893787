"""Exchanges in the portal: administrators read theirs, operators set all, and nothing tells whose an address is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from archive.catalogue import audit_entries, directory, peers, sessions
from archive.model import OutcomeKind, Role, SessionId, SessionOutcome, Tenant, User, new_id
from playback_portal.app import create_app
from tests.unit.playback_portal.conftest import NOW


@pytest.fixture(scope="module")
def sre(house: Any) -> User:
    provider = directory.add_tenant(house.operator, "Aanbieder", "provider-2.example", now=NOW, operates=True)
    return directory.add_user(house.operator, provider.id, "sre", now=NOW, role=Role.OPERATOR, access="none")


@pytest.fixture(scope="module")
def customers(house: Any) -> list[Tenant]:
    return [
        directory.add_tenant(house.operator, name, f"{name.lower()}.example", now=NOW)
        for name in ("Slager", "Kapper")
    ]


@pytest.fixture(scope="module")
def boss(house: Any, customers: list[Tenant]) -> User:
    return directory.add_user(house.operator, customers[0].id, "boss", now=NOW, role=Role.ADMINISTRATOR)


@pytest.fixture(autouse=True)
def alone(house: Any) -> Iterator[None]:
    """Begin and end without peers, as other tests expect."""
    from sqlalchemy import delete

    from archive.catalogue import tables

    def forget() -> None:
        with house.operator.transaction() as connection:
            connection.execute(delete(tables.peers))

    forget()
    yield
    forget()


class Desk:
    """Two browsers: of an operator and of an administrator."""

    def __init__(self, client: TestClient[Any, Any], house: Any, sre: User, boss: User) -> None:
        self.client, self.house = client, house
        english = {"Accept-Language": "en"}
        self.headers = {"sre": house.signed_in(sre) | english, "boss": house.signed_in(boss) | english}

    async def send(self, who: str, method: str, path: str, status: int = 200, **kwargs: Any) -> Any:
        answer = await self.client.request(
            method, path, headers=self.headers[who], allow_redirects=False, **kwargs
        )
        body = await answer.text()
        assert answer.status == status, body
        if answer.content_type.endswith("json"):
            return await answer.json()
        return answer.headers.get("Location") or body


@pytest.fixture
async def desk(house: Any, sre: User, boss: User) -> Any:
    async with TestClient(TestServer(create_app(house.services()))) as client:
        yield Desk(client, house, sre, boss)


def came(house: Any, peer_id: str, tenant: Tenant) -> None:
    outcome = SessionOutcome(
        SessionId(new_id(NOW)), "c", OutcomeKind.RECORDED, "", NOW, NOW, tenant_id=tenant.id, transport="tls"
    )
    from dataclasses import replace

    with house.recorder.transaction(tenant.id) as connection:
        sessions.insert_outcome(connection, replace(outcome, peer_id=peer_id))


async def test_an_operator_adds_changes_switches_off_and_removes(
    desk: Desk, customers: list[Tenant], sre: User
) -> None:
    new = {"name": "Centrale", "addresses": ["192.0.2.7"], "tenantId": customers[0].id}
    made = await desk.send("sre", "POST", "/v1/peers", 201, json=new)
    assert made["addresses"] == ["192.0.2.7/32"]
    path = f"/v1/peers/{made['id']}"
    changed = await desk.send("sre", "PATCH", path, json={"name": "Nieuwe naam", "enabled": False})
    assert (changed["name"], changed["enabled"], changed["addresses"]) == (
        "Nieuwe naam",
        False,
        ["192.0.2.7/32"],
    )
    listed = await desk.send("sre", "GET", "/v1/operator/peers")
    assert [(each["name"], each["state"]) for each in listed["items"]] == [("Nieuwe naam", "off")]
    await desk.send("sre", "DELETE", path, 204)
    await desk.send("sre", "DELETE", path, 404)
    log = audit_entries.of_object(desk.house.portal, sre.tenant_id, f"peer:{made['id']}")
    assert [(each.action, each.result) for each in log][:3] == [
        ("peer.added", "ok"),
        ("peer.changed", "ok"),
        ("peer.removed", "ok"),
    ]
    assert "192.0.2" not in str([each.body for each in log])


async def test_whose_an_address_is_nobody_tells(desk: Desk, customers: list[Tenant]) -> None:
    slager, kapper = customers
    peers.add_peer(desk.house.operator, "Van de slager", ["192.0.2.0/24"], now=NOW, tenant_id=slager.id)
    new = {"name": "Kappers", "addresses": ["192.0.2.7"], "tenantId": kapper.id}
    told = await desk.send("sre", "POST", "/v1/peers", 409, json=new)
    assert "belongs to another peer" in told["detail"]
    assert not re.search("slager", str(told), re.IGNORECASE)
    fields = {"name": "Kappers", "addresses": "192.0.2.7", "tenant": kapper.id}
    page = await desk.send("sre", "POST", "/operator/peers", 409, data=fields)
    assert "One of these addresses belongs to another exchange already." in page
    assert 'value="Kappers"' in page


@pytest.mark.parametrize(
    "wrong",
    [
        {"addresses": ["0.0.0.0/0"]},
        {"addresses": ["centrale.example"]},
        {"addresses": []},
        {"name": ""},
        {"srtp": "maybe"},
        {"dialect": "klingon"},
        {"tenantId": "0193aaaa-0000-7000-8000-000000000000"},
        {"password": "x"},
    ],
)
async def test_what_is_no_exchange_is_refused(desk: Desk, wrong: dict[str, Any]) -> None:
    new = {"name": "Centrale", "addresses": ["192.0.2.7"], **wrong}
    await desk.send("sre", "POST", "/v1/peers", 400, json=new)
    assert peers.list_peers(desk.house.operator) == []


async def test_an_administrator_sees_their_exchanges_and_sets_none(
    desk: Desk, customers: list[Tenant], boss: User
) -> None:
    slager, kapper = customers
    hostile = "<script>alert(1)</script>"
    own = peers.add_peer(desk.house.operator, hostile, ["192.0.2.7"], now=NOW, tenant_id=slager.id)
    peers.add_peer(desk.house.operator, "Van de kapper", ["198.51.100.7"], now=NOW, tenant_id=kapper.id)
    peers.add_peer(desk.house.operator, "Gedeeld", ["203.0.113.0/24"], now=NOW)
    came(desk.house, own.id, slager)
    (listed,) = (await desk.send("boss", "GET", "/v1/peers"))["items"]
    assert (listed["name"], listed["state"], listed["callsToday"]) == (hostile, "seen", 1)
    assert listed["lastTransport"] == "tls"
    page = await desk.send("boss", "GET", "/admin/peers")
    assert hostile not in page
    assert "192.0.2.7" in page
    assert "Calls come in" in page
    for foreign in ("kapper", "Gedeeld", "198.51", "203.0"):
        assert foreign not in page
    for method, path in (
        ("POST", "/v1/peers"),
        ("PATCH", f"/v1/peers/{own.id}"),
        ("DELETE", f"/v1/peers/{own.id}"),
    ):
        await desk.send("boss", method, path, 403, json={})
    await desk.send("boss", "POST", f"/operator/peers/{own.id}/removal", 403, data={"typed": hostile})
    assert own in peers.list_peers(desk.house.operator)


async def test_the_page_of_an_exchange_changes_it(desk: Desk, customers: list[Tenant]) -> None:
    fields = {
        "name": "Centrale",
        "addresses": "192.0.2.7, 192.0.2.8\n2001:db8::1",
        "srtp": "require",
        "star_codes": "on",
    }
    where = await desk.send("sre", "POST", "/operator/peers", 303, data=fields)
    assert where == "/operator/peers?done=added"
    assert "The exchange was added" in await desk.send("sre", "GET", where)
    (peer,) = peers.list_peers(desk.house.operator)
    assert peer.addresses == ("192.0.2.7/32", "192.0.2.8/32", "2001:db8::1/128")
    assert (peer.tenant_id, peer.srtp, peer.star_codes) == (None, "require", True)
    path = f"/operator/peers/{peer.id}"
    where = await desk.send("sre", "POST", path, 303, data={"name": "Nieuw", "addresses": "192.0.2.7"})
    assert "The exchange was changed" in await desk.send("sre", "GET", where)
    where = await desk.send("sre", "POST", f"{path}/switch", 303, data={"enabled": "off"})
    page = await desk.send("sre", "GET", where)
    assert "Undo" in page
    assert not peers.list_peers(desk.house.operator)[0].enabled
    await desk.send("sre", "POST", f"{path}/switch", 303, data={"enabled": "on"})
    assert peers.list_peers(desk.house.operator)[0].enabled
    page = await desk.send("sre", "POST", f"{path}/removal", 400, data={"typed": "nieuw"})
    assert "Nothing was removed" in page
    await desk.send("sre", "POST", f"{path}/removal", 303, data={"typed": "Nieuw"})
    assert peers.list_peers(desk.house.operator) == []
    await desk.send("sre", "GET", path, 404)


async def test_what_was_typed_stays_where_it_is_wrong(desk: Desk) -> None:
    peers.add_peer(desk.house.operator, "Centrale", ["192.0.2.7"], now=NOW)
    for fields, told in (
        ({"name": "Centrale", "addresses": "192.0.2.8"}, "Another exchange has this name already."),
        ({"name": "Andere", "addresses": "hier"}, "One of these is no address or range"),
        ({"name": " ", "addresses": "192.0.2.8"}, "A name has 1 to 200 characters"),
    ):
        status = 409 if fields["name"] == "Centrale" else 400
        page = await desk.send("sre", "POST", "/operator/peers", status, data=fields)
        assert told in page
        assert fields["addresses"] in page
