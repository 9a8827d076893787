"""A call on demand exists for nobody but its owner until somebody keeps it: before, during or after it."""

from __future__ import annotations

import asyncio
from asyncio import to_thread
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from archive.catalogue import directory
from archive.catalogue.directory import Capacity
from archive.model import Role
from recorder.client.call import CallPlan, PlacedCall
from tests.behaviour.conftest import CHAIN, OFFICE, Provider
from tests.behaviour.course import archived, begin, broadworks, check, heard, place, plan_of
from tests.behaviour.customer import Customer, operating
from tests.crash.calls import Call, until
from tests.running_service import RunningService

OLIVE, ONNO, OSCAR, ODILE = "+31201230101", "+31201230102", "+31201230103", "+31201230104"
GRETA, GIJS, GERDA = "+31201230111", "+31201230112", "+31201230113"
SEEN_BY_NONE = ("auditor", "boss", "listener", "stranger")
EXCHANGE_ID = {GRETA: "greta@office", GIJS: "gijs@office", GERDA: "gerda@office"}


@dataclass(frozen=True)
class People:
    """The service and its customers: without a grace at Acme, with one of an hour at Bakery."""

    service: RunningService
    acme: Customer
    bakery: Customer


@pytest.fixture(scope="module")
def people(provider: Provider) -> People:
    """Entered once; the grace is switched on as an operator does."""
    acme, bakery = provider.acme, provider.bakery
    for login, number in (("olive", OLIVE), ("onno", ONNO), ("oscar", OSCAR), ("odile", ODILE)):
        acme.enter(login, number, mode="on-demand")
    acme.enter("auditor", role=Role.AUDITOR, mode="never", licence="none")
    acme.enter("boss", role=Role.ADMINISTRATOR, mode="never", licence="none")
    acme.enter("listener", mode="never", licence="none", access="own")
    acme.enter("stranger", mode="never", licence="none")
    with operating(provider.service) as catalogue:
        directory.add_team(catalogue, acme.tenant_id, "team of olive", now=datetime.now(UTC))
        for login, capacity in (("olive", Capacity.CONTRIBUTOR), ("listener", Capacity.LISTENER)):
            directory.set_team_member(
                catalogue, acme.tenant_id, "team of olive", login, capacity, now=datetime.now(UTC)
            )
    provider.service.run("tenant", "policy", "bakery.example", "--keep-grace", "1")
    for number, exchange_id in EXCHANGE_ID.items():
        login = exchange_id.partition("@")[0]
        bakery.enter(login, number, mode="on-demand", broadworks_id=exchange_id)
        bakery.settled(login, lambda user: True)
    return People(provider.service, acme, bakery)


def bakery_plan(service: RunningService, number: str, **how: Any) -> CallPlan:
    """Return a call of somebody of Bakery, through the peer that customers share."""
    plan = plan_of(service, number, host="::1", **how)
    return broadworks(plan, serviceProviderID=CHAIN, groupID=OFFICE, userID=EXCHANGE_ID[number])


async def whole(service: RunningService, recording: dict[str, Any], placed: PlacedCall, key: str) -> None:
    """Check that a recording has all of its call, without any gap."""
    await check(service, recording, placed, [], key=key)


def nobody_finds(customer: Customer, call_id: str, recording_id: str, login: str) -> None:
    """Check that a person finds nothing of a call, whatever they ask for."""
    for path in (
        f"/v1/calls/{recording_id}",
        f"/v1/recordings/{recording_id}",
        f"/v1/recordings/{recording_id}/audio",
        f"/v1/recordings/{recording_id}/peaks?pps=2",
        f"/v1/recordings/{recording_id}/timeline",
        f"/v1/recordings/{recording_id}/metadata",
        f"/v1/recordings/{recording_id}/history",
        f"/v1/recordings/{recording_id}/why",
    ):
        assert customer.get(path, login).status == 404, (login, path)
    for verb in ("keep", "pause", "stop"):
        assert customer.send("POST", f"/v1/calls/{recording_id}/{verb}s", None, login).status == 404
    assert customer.send("POST", f"/v1/recordings/{recording_id}/keeps", None, login).status in {404, 409}
    for path in ("/v1/calls", "/v1/recordings"):
        assert call_id not in {item["callId"] for item in customer.items(path, login)}, (login, path)


async def test_while_it_is_not_kept_only_its_owner_sees_it(people: People) -> None:
    """Who must decide sees it and what it obeys; auditor, administrator, listener and colleague find nothing."""
    customer = people.acme
    call = await begin(plan_of(people.service, OLIVE))
    (shown,) = await to_thread(customer.live, call.call_id)
    assert (shown["state"], shown["capture"]) == ("unkept", "pre-roll")
    own = await to_thread(customer.get, f"/v1/calls/{shown['id']}", "olive")
    assert own.json()["commands"]["keep"] == {"allowed": True, "reason": None}
    for login in SEEN_BY_NONE:
        await to_thread(nobody_finds, customer, call.call_id, shown["id"], login)
    assert (await to_thread(customer.get, f"/v1/recordings/{shown['id']}", "olive")).status == 404
    await call.end()


async def test_a_call_nobody_kept_leaves_an_outcome_and_nothing_else(people: People) -> None:
    """No recording, no audio, and nothing more to keep; the reason is told."""
    customer = people.acme
    call = await begin(plan_of(people.service, OLIVE))
    (shown,) = await to_thread(customer.live, call.call_id)
    await asyncio.sleep(0.5)
    placed = await call.end()
    assert all(len(stream.packets) > 10 for stream in placed.streams)
    outcome = await to_thread(customer.outcome_of, call.call_id)
    assert (outcome["outcome"], outcome["reason"]) == ("not kept", "nobody kept the call")
    assert outcome["recordingIds"] == []
    await until(
        lambda: customer.get(f"/v1/calls/{shown['id']}", "olive").status == 404, "the call is shown no more"
    )
    for login in (*SEEN_BY_NONE, "olive"):
        await to_thread(nobody_finds, customer, call.call_id, shown["id"], login)
    late = await to_thread(customer.send, "POST", f"/v1/recordings/{shown['id']}/keeps", None, "olive")
    assert late.status == 409
    assert "not kept in time" in late.json()["detail"]


async def test_kept_during_the_call_it_is_there_from_its_beginning(people: People) -> None:
    """What was said before somebody kept it belongs to it, and from then on others see it too."""
    customer = people.acme
    call = await begin(plan_of(people.service, OLIVE))
    (shown,) = await to_thread(customer.live, call.call_id)
    await asyncio.sleep(0.5)
    kept = await to_thread(customer.send, "POST", f"/v1/calls/{shown['id']}/keeps", None, "olive")
    assert kept.status == 201
    listened = await to_thread(customer.get, f"/v1/calls/{shown['id']}", "listener")
    assert listened.json()["state"] == "recording"
    assert not any(command["allowed"] for command in listened.json()["commands"].values())
    assert (await to_thread(customer.get, f"/v1/calls/{shown['id']}", "stranger")).status == 404
    placed = await call.end()
    recording = await to_thread(archived, people.service, shown["id"], customer.key)
    await whole(people.service, recording, placed, customer.key)


async def test_the_next_call_is_kept_once(people: People) -> None:
    """The promise is spent by the first call it keeps, which is there from its first packet; the one after is not."""
    customer = people.acme
    promised = await to_thread(customer.send, "PUT", "/v1/me/keep-next", {"minutes": 5}, "onno")
    assert promised.status == 200
    await to_thread(customer.settled, "onno", lambda user: user.keep_next_until is not None)
    settings = (await to_thread(customer.get, "/v1/me/recording-settings", "onno")).json()
    assert settings["keepNext"] == promised.json()
    first, second = [await place(plan_of(people.service, ONNO, seconds=1)) for _ in range(2)]
    (recording,) = await to_thread(customer.recordings_of, first.call_id)
    await whole(people.service, recording, first, customer.key)
    assert (await to_thread(customer.outcome_of, second.call_id))["outcome"] == "not kept"
    await until(
        lambda: customer.get("/v1/me/recording-settings", "onno").json()["keepNext"] is None,
        "the promise is shown no more",
    )


async def test_of_two_calls_at_once_the_promise_keeps_one(people: People) -> None:
    """Both begin before anybody could take the promise away."""
    customer = people.acme
    await to_thread(customer.send, "PUT", "/v1/me/keep-next", None, "odile")
    await to_thread(customer.settled, "odile", lambda user: user.keep_next_until is not None)
    placed = await asyncio.gather(*(place(plan_of(people.service, ODILE, seconds=1)) for _ in range(2)))
    outcomes = [await to_thread(customer.outcome_of, call.call_id) for call in placed]
    assert sorted(outcome["outcome"] for outcome in outcomes) == ["not kept", "recorded"]


async def test_a_promise_ends(people: People) -> None:
    """It was for the next minutes; a call after them is not kept, nor one after it was taken back."""
    customer = people.acme
    until_at = datetime.now(UTC) + timedelta(seconds=2)
    answer = await to_thread(
        customer.send, "PUT", "/v1/me/keep-next", {"until": until_at.isoformat()}, "oscar"
    )
    assert answer.status == 200
    await to_thread(customer.settled, "oscar", lambda user: user.keep_next_until is not None)
    await asyncio.sleep(max(0.0, (until_at - datetime.now(UTC)).total_seconds()) + 0.1)
    expired = await place(plan_of(people.service, OSCAR, seconds=0.5))
    assert (await to_thread(customer.send, "PUT", "/v1/me/keep-next", None, "oscar")).status == 200
    assert (await to_thread(customer.send, "DELETE", "/v1/me/keep-next", None, "oscar")).status == 204
    await to_thread(customer.settled, "oscar", lambda user: user.keep_next_until is None)
    taken_back = await place(plan_of(people.service, OSCAR, seconds=0.5))
    for placed in (expired, taken_back):
        assert (await to_thread(customer.outcome_of, placed.call_id))["outcome"] == "not kept"


async def in_grace(people: People, number: str) -> tuple[PlacedCall, dict[str, Any]]:
    """Place a call of somebody of Bakery, and return it with what is shown once it waits to be kept."""
    placed = await place(bakery_plan(people.service, number, seconds=1.5))

    def look() -> dict[str, Any] | None:
        found = [item for item in people.bakery.items("/v1/calls") if item["callId"] == placed.call_id]
        return found[0] if found and found[0]["state"] == "grace" else None

    shown = await until(look, "the call waits to be kept")
    assert shown is not None
    return placed, shown


async def test_kept_within_the_grace_it_is_there_as_a_whole(people: People) -> None:
    """The call is over, its owner still sees it, keeps it, and nothing of it is missing."""
    customer = people.bakery
    placed, shown = await in_grace(people, GRETA)
    grace_s = (datetime.fromisoformat(shown["graceUntil"]) - datetime.now(UTC)).total_seconds()
    assert 3500 < grace_s <= 3600
    allowed = [verb for verb, told in shown["commands"].items() if told["allowed"]]
    assert allowed == ["keep"]
    refused = await to_thread(customer.send, "POST", f"/v1/calls/{shown['id']}/pauses", None, "greta")
    assert refused.status == 409
    await to_thread(nobody_finds, customer, placed.call_id, shown["id"], "gijs")
    kept = await to_thread(customer.send, "POST", f"/v1/recordings/{shown['id']}/keeps", None, "greta")
    assert kept.status == 201, kept.body
    recording = await to_thread(archived, people.service, shown["id"], customer.key)
    await whole(people.service, recording, placed, customer.key)
    assert (await to_thread(customer.outcome_of, placed.call_id))["outcome"] == "recorded"
    again = await to_thread(customer.send, "POST", f"/v1/recordings/{shown['id']}/keeps", None, "greta")
    assert again.status == 409
    assert "kept already" in again.json()["detail"]


async def test_while_it_may_be_kept_nobody_else_finds_it(people: People) -> None:
    """Neither the list of recordings nor the sessions tell of it, not even to a program that reads all."""
    customer = people.bakery
    placed, shown = await in_grace(people, GIJS)
    assert (await to_thread(customer.get, f"/v1/recordings/{shown['id']}")).status == 404
    assert (await to_thread(customer.get, f"/v1/recordings/{shown['id']}/audio")).status == 404
    for path in ("/v1/recordings", "/v1/sessions"):
        assert placed.call_id not in {item["callId"] for item in await to_thread(customer.items, path)}
    during = await begin(bakery_plan(people.service, GIJS))
    (live,) = await to_thread(customer.live, during.call_id)
    early = await to_thread(customer.send, "POST", f"/v1/recordings/{live['id']}/keeps", None, "gijs")
    assert early.status == 409
    assert "under way" in early.json()["detail"]
    await during.end()


async def test_its_grace_outlives_a_kill_of_everything(people: People) -> None:
    """Killed with -9 and started again, the service still waits, and a call that goes on meanwhile is recorded."""
    customer, service = people.bakery, people.service
    placed, shown = await in_grace(people, GERDA)
    going: Call = await begin(bakery_plan(service, GRETA))
    await asyncio.sleep(0.5)
    await to_thread(service.kill_everything)
    await to_thread(service.start)
    back = await until(
        lambda: customer.get(f"/v1/calls/{shown['id']}", "gerda").status == 200, "the call still waits"
    )
    assert back
    again = (await to_thread(customer.get, f"/v1/calls/{shown['id']}", "gerda")).json()
    assert (again["state"], again["graceUntil"]) == ("grace", shown["graceUntil"])
    kept = await to_thread(customer.send, "POST", f"/v1/recordings/{shown['id']}/keeps", None, "gerda")
    assert kept.status == 201, kept.body
    recording = await to_thread(archived, service, shown["id"], customer.key)
    await whole(service, recording, placed, customer.key)
    (live,) = await to_thread(customer.live, going.call_id)
    assert (live["state"], live["capture"]) == ("unkept", "pre-roll")
    assert (
        await to_thread(customer.send, "POST", f"/v1/calls/{live['id']}/keeps", None, "greta")
    ).status == 201
    said = await going.end()
    outlived = await to_thread(archived, service, live["id"], customer.key)
    assert "loss" in {span["kind"] for span in outlived["spans"]}
    samples = await to_thread(heard, service, outlived["id"], customer.key)
    assert np.count_nonzero(samples[:8000]) > 2000, "what was said before the kill is there"
    assert said.streams
