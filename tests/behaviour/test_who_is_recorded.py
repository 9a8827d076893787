"""Whoever the exchange names, by whatever name: the right person of the right customer is recorded, once."""

from __future__ import annotations

import asyncio
import uuid
from asyncio import to_thread
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from recorder.client.call import CallPlan, InDialogRequest, PlacedCall
from recorder.client.description import METADATA_TYPE
from tests.behaviour.conftest import CHAIN, OFFICE, Provider
from tests.behaviour.course import Mark, Turn, archived, begin, broadworks, check, place, plan_of
from tests.behaviour.customer import Customer
from tests.crash.calls import until
from tests.running_service import RunningService

STRANGER = "+31612349999"
LOTTE, MEES = "+31201230201", "+31201230202"
SECONDS = 0.6


@dataclass(frozen=True)
class People:
    """The service and its customers, with the people of this module."""

    service: RunningService
    acme: Customer
    bakery: Customer
    cafe: Customer


@pytest.fixture(scope="module")
def people(provider: Provider) -> People:
    """People known by one name each, and the same extension at two customers."""
    acme, bakery, cafe = provider.acme, provider.bakery, provider.cafe
    acme.enter("wim", broadworks_id="Wim.Visser@acme.bw")
    acme.enter("many", "+31201230301", "+31201230302", "301", licence="365d")
    acme.enter("mobile", "+31612340001")
    acme.enter("address", "sip:anna.smit@pbx.acme.example")
    acme.enter("trunk", "+31201235000-099")
    acme.enter("within", "+31201236055")
    acme.enter("lotte", LOTTE, mode="always-pause", licence="7y-1000", broadworks_id="lotte@acme.bw")
    acme.enter("mees", MEES, mode="on-demand-start", licence="365d", broadworks_id="mees@acme.bw")
    acme.enter("unlicensed", "+31201230401", licence="none", mode="never")
    acme.enter("assignee", "+31201230402", licence="365d")
    bakery.enter("baker", "201", licence="365d", broadworks_id="201@office.example")
    cafe.enter("waiter", "201", licence="7y-1000")
    bakery.settled("baker", lambda user: True)
    cafe.settled("waiter", lambda user: True)
    return People(provider.service, acme, bakery, cafe)


def shared(
    service: RunningService, caller: str, callee: str, provider: str, group: str, user: str
) -> CallPlan:
    """Return a call through the peer that customers share, with their BroadWorks names."""
    plan = plan_of(service, caller, callee, host="::1", seconds=SECONDS)
    return broadworks(plan, serviceProviderID=provider, groupID=group, userID=user)


@dataclass(frozen=True)
class Case:
    """A call, and whose it is."""

    customer: str
    login: str
    direction: str
    plan: CallPlan


def cases(service: RunningService) -> dict[str, Case]:
    """Return calls of one recorded person each."""

    def out(login: str, caller: str, callee: str = STRANGER) -> Case:
        return Case("acme", login, "out", plan_of(service, caller, callee, seconds=SECONDS))

    def into(login: str, callee: str) -> Case:
        return Case("acme", login, "in", plan_of(service, STRANGER, callee, seconds=SECONDS))

    opaque = broadworks(
        plan_of(service, "opaque-1", "opaque-2", seconds=SECONDS), userID="wim.visser@ACME.bw"
    )
    return {
        "a number": out("many", "+31201230301"),
        "another number of the same person": out("many", "0201230302"),
        "a number in national spelling, called": into("many", "0031201230302"),
        "an extension": out("many", "301"),
        "a mobile number": into("mobile", "0612340001"),
        "an address of record": out("address", "sip:anna.smit@pbx.acme.example"),
        "an address of record in other letters": into(
            "address", "sip:Anna.Smit@PBX.acme.example:5060;user=phone"
        ),
        "the first number of a trunk": out("trunk", "+31201235000"),
        "the last number of a trunk": into("trunk", "+31201235099"),
        "a BroadWorks userID": Case("acme", "wim", "out", opaque),
        "a group of a shared peer": Case(
            "bakery", "baker", "out", shared(service, "201", STRANGER, CHAIN, OFFICE, "201@office.example")
        ),
        "the same extension of another customer": Case(
            "cafe",
            "waiter",
            "out",
            shared(service, "201", STRANGER, "cafe.example", "bar", "nobody@cafe.example"),
        ),
    }


@dataclass(frozen=True)
class Named:
    """A case when it is over."""

    case: Case
    placed: PlacedCall
    recording: dict[str, Any]


@pytest.fixture(scope="module")
def named(people: People) -> dict[str, Named]:
    """All the calls, placed at once."""

    async def run(case: Case) -> Named:
        placed = await place(case.plan)
        customer: Customer = getattr(people, case.customer)
        return Named(case, placed, (await to_thread(customer.recordings_of, placed.call_id))[0])

    async def run_all(wanted: list[Case]) -> list[Named]:
        return await asyncio.gather(*map(run, wanted))

    wanted = cases(people.service)
    return dict(zip(wanted, asyncio.run(run_all(list(wanted.values()))), strict=True))


NAMES = [
    "a number",
    "another number of the same person",
    "a number in national spelling, called",
    "an extension",
    "a mobile number",
    "an address of record",
    "an address of record in other letters",
    "the first number of a trunk",
    "the last number of a trunk",
    "a BroadWorks userID",
    "a group of a shared peer",
    "the same extension of another customer",
]


@pytest.mark.parametrize("name", NAMES)
async def test_a_person_is_found_by(people: People, named: dict[str, Named], name: str) -> None:
    """The recording is theirs, of their customer alone, and has every packet."""
    call = named[name]
    customer: Customer = getattr(people, call.case.customer)
    assert call.recording["owner"] == customer.people[call.case.login]
    assert call.recording["direction"] == call.case.direction
    own = [party for party in call.recording["parties"] if party["userId"] is not None]
    if name != "a BroadWorks userID":
        assert [party["userId"] for party in own] == [call.recording["owner"]]
        assert own[0]["channel"] == ("a" if call.case.direction == "out" else "b")
    await check(people.service, call.recording, call.placed, [], key=customer.key)
    for other in (people.acme, people.bakery, people.cafe):
        if other is not customer:
            found = await to_thread(other.get, f"/v1/recordings/{call.recording['id']}")
            assert found.status == 404
            assert call.placed.call_id not in {
                item["callId"] for item in await to_thread(other.items, "/v1/sessions")
            }


@pytest.mark.parametrize(
    ("caller", "callee"),
    [(STRANGER, "+31612348888"), ("+31201234999", STRANGER), ("+31201235100", STRANGER), ("201", STRANGER)],
    ids=["two strangers", "beside the trunk", "one above the trunk", "an extension of another customer"],
)
async def test_where_nobody_named_is_recorded_no_media_is_taken(
    people: People, caller: str, callee: str
) -> None:
    """Every stream is answered inactive, and the session ends with just that."""
    placed = await place(plan_of(people.service, caller, callee, seconds=0.2))
    assert placed.answer_sdp.count(b"a=inactive") == 2
    assert not any(stream.packets for stream in placed.streams)
    outcome = await to_thread(people.acme.outcome_of, placed.call_id)
    assert (outcome["outcome"], outcome["reason"]) == ("nobody recorded", "nobody named is recorded")
    assert outcome["recordingIds"] == []


async def test_a_group_nobody_entered_is_recorded_for_no_customer(people: People) -> None:
    """On a shared peer a call of an unknown service provider is nobody's business."""
    placed = await place(shared(people.service, "201", STRANGER, "unknown.example", OFFICE, "x"))
    assert placed.answer_sdp.count(b"a=inactive") == 2
    for customer in (people.acme, people.bakery, people.cafe):
        assert placed.call_id not in {
            item["callId"] for item in await to_thread(customer.items, "/v1/sessions")
        }


# Two recorded people in one call.


async def test_two_recorded_people_get_a_recording_each(people: People) -> None:
    """Each with the own mode, class and spans, linked as one call: a pause of the one is none of the other."""
    customer, service = people.acme, people.service
    call = await begin(plan_of(service, LOTTE, MEES))
    lives = {item["owner"]: item for item in await to_thread(customer.live, call.call_id, 2)}
    lotte, mees = (lives[customer.people[login]] for login in ("lotte", "mees"))
    turns: dict[str, list[Turn]] = {"lotte": [], "mees": []}
    loop = asyncio.get_running_loop()
    for login, live, verb, on in (
        ("lotte", lotte, "pause", False),
        ("mees", mees, "start", True),
        ("lotte", lotte, "resume", True),
        ("mees", mees, "stop", False),
    ):
        await asyncio.sleep(0.4)
        since_s = loop.time()
        answer = await to_thread(customer.send, "POST", f"/v1/calls/{live['id']}/{verb}s", None, login)
        assert answer.status == 201, answer.body
        turns[login].append(Turn(on, since_s, loop.time()))
    other = await to_thread(customer.send, "POST", f"/v1/calls/{lotte['id']}/pauses", None, "mees")
    assert other.status == 404
    await asyncio.sleep(0.4)
    placed = await call.end()
    found = await to_thread(customer.recordings_of, placed.call_id, 2)
    recordings = {item["owner"]: item for item in found}
    of_lotte, of_mees = (recordings[customer.people[login]] for login in ("lotte", "mees"))
    assert (of_lotte["mode"], of_lotte["retentionClass"]) == ("always-pause", "7y-1000")
    assert (of_mees["mode"], of_mees["retentionClass"]) == ("on-demand-start", "365d")
    assert {item["direction"] for item in found} == {"internal"}
    assert len({item["callGroup"] for item in found}) == 1
    assert len({item["sha256"] for item in found}) == 2
    for item in found:
        assert [party["number"] for party in item["parties"]] == [LOTTE, MEES]
        own = "a" if item is of_lotte else "b"
        assert next(party for party in item["parties"] if party["channel"] == own)["userId"] == item["owner"]
    by = {login: f"user:{customer.people[login]}" for login in turns}
    paused = [Mark("pause", by["lotte"], 0, 1)]
    parts = [Mark("pause", by["mees"], None, 0), Mark("pause", by["mees"], 1, None)]
    await check(service, of_lotte, placed, turns["lotte"], paused, key=customer.key)
    await check(service, of_mees, placed, turns["mees"], parts, on=False, key=customer.key)
    outcomes = [
        item for item in await to_thread(customer.items, "/v1/sessions") if item["callId"] == placed.call_id
    ]
    assert [sorted(item["recordingIds"]) for item in outcomes] == [sorted([of_lotte["id"], of_mees["id"]])]


# Several recording sessions of one call.


def used_s(customer: Customer, login: str) -> int:
    """Return the seconds booked to a person this month."""
    answer = customer.get(f"/v1/users/{customer.people[login]}/minutes")
    assert answer.status == 200, answer.body
    return int(answer.json()["usedSeconds"])


async def test_a_session_for_each_recorded_person_is_one_call(people: People) -> None:
    """BroadWorks opens one for each half; its tracking id links them, and each is the recording of its person."""
    customer = people.acme
    tracking = str(uuid.uuid4())
    halves = [
        broadworks(
            replace(plan_of(people.service, LOTTE, MEES, seconds=1), recorded=half),
            userID=user,
            extTrackingID=tracking,
        )
        for half, user in (("caller", "lotte@acme.bw"), ("callee", "mees@acme.bw"))
    ]
    first, second = await asyncio.gather(*map(begin, halves))
    (live,) = await to_thread(customer.live, second.call_id)
    started = await to_thread(customer.send, "POST", f"/v1/calls/{live['id']}/starts", None, "mees")
    assert started.status == 201
    placed = [await call.ended() for call in (first, second)]
    (of_lotte,), (of_mees,) = [await to_thread(customer.recordings_of, call.call_id) for call in placed]
    assert of_lotte["callGroup"] == of_mees["callGroup"]
    assert [of_lotte["owner"], of_mees["owner"]] == [customer.people["lotte"], customer.people["mees"]]
    assert [of_lotte["direction"], of_mees["direction"]] == ["out", "in"]


async def test_what_two_recorders_record_is_billed_once(people: People) -> None:
    """The exchange sends a call twice: both copies are there, linked, and its seconds are booked once."""
    customer = people.acme
    before_s = await to_thread(used_s, customer, "lotte")
    plan = broadworks(plan_of(people.service, LOTTE, STRANGER, seconds=3), userID="lotte@acme.bw")
    copies = [replace(plan, call_id=f"{plan.call_id}-{number}") for number in range(2)]
    placed = await asyncio.gather(*map(place, copies))
    recordings = [(await to_thread(customer.recordings_of, call.call_id))[0] for call in placed]
    assert len({item["callGroup"] for item in recordings}) == 1
    for recording, call in zip(recordings, placed, strict=True):
        await check(people.service, recording, call, [], key=customer.key)
    assert 3 <= await to_thread(used_s, customer, "lotte") - before_s <= 4


async def test_a_transfer_is_a_chain_and_each_part_is_billed(people: People) -> None:
    """What the exchange says of a redirection leads from the first session to the one that goes on with the call."""
    customer = people.acme
    before_s = await to_thread(used_s, customer, "lotte")
    old, new = str(uuid.uuid4()), str(uuid.uuid4())
    first = broadworks(
        plan_of(people.service, LOTTE, STRANGER, seconds=2.2), userID="lotte@acme.bw", extTrackingID=old
    )
    assert first.metadata is not None
    redirected = (
        f"<redirectedCall><newExtTrackingID>{new}</newExtTrackingID>"
        "<redirectedToPartynumber>+31612347777</redirectedToPartynumber></redirectedCall>"
    ).encode()
    document = first.metadata.replace(
        b"</broadWorksRecordingMetadata>", redirected + b"</broadWorksRecordingMetadata>"
    )
    first = replace(first, requests=(InDialogRequest(1.0, "UPDATE", METADATA_TYPE, document),))
    second = broadworks(
        plan_of(people.service, LOTTE, "+31612347777", seconds=2.2), userID="lotte@acme.bw", extTrackingID=new
    )
    placed = [await place(plan) for plan in (first, second)]
    assert placed[0].answers == (("UPDATE", 200), ("BYE", 200))
    recordings = [(await to_thread(customer.recordings_of, call.call_id))[0] for call in placed]
    assert len({item["callGroup"] for item in recordings}) == 1
    assert await to_thread(used_s, customer, "lotte") - before_s == 4


async def test_a_transfer_within_its_session_stays_one_recording(people: People) -> None:
    """All identifiers change and another party comes: the dialog is the call, and the parties have their times."""
    customer = people.acme
    plan = broadworks(plan_of(people.service, LOTTE, STRANGER, seconds=2), userID="lotte@acme.bw")
    after = broadworks(plan_of(people.service, LOTTE, "+31612347777", seconds=2), userID="lotte@acme.bw")
    assert after.metadata is not None
    plan = replace(plan, requests=(InDialogRequest(1.0, "INVITE", METADATA_TYPE, after.metadata),))
    placed = await place(plan)
    (recording,) = await to_thread(customer.recordings_of, placed.call_id)
    await check(people.service, recording, placed, [], key=customer.key)
    numbers = {party["number"]: party for party in recording["parties"]}
    assert set(numbers) == {LOTTE, STRANGER, "+31612347777"}
    left_ms, came_ms = numbers[STRANGER]["toMs"], numbers["+31612347777"]["fromMs"]
    assert left_ms == came_ms
    assert 800 < came_ms < recording["durationMs"]


# Quarantine.


async def quarantined(people: People, user: str) -> tuple[PlacedCall, dict[str, Any]]:
    """Place a call of a user the exchange names and nobody knows; return it with what is in quarantine."""
    customer = people.acme
    plan = broadworks(plan_of(people.service, "+31201238888", STRANGER, seconds=1), userID=user)
    call = await begin(plan)
    (live,) = await to_thread(customer.live, call.call_id)
    assert (live["state"], live["owner"]) == ("quarantined", None)
    placed = await call.ended()

    def look() -> dict[str, Any] | None:
        found = [item for item in customer.items("/v1/quarantine") if item["callId"] == placed.call_id]
        return found[0] if found else None

    recording = await until(look, "it is in quarantine")
    assert recording is not None
    return placed, recording


async def test_a_user_nobody_knows_is_recorded_for_the_quarantine(people: People) -> None:
    """Nobody plays it, no user finds it, and it goes by itself after seven days."""
    customer = people.acme
    _, recording = await quarantined(people, "new.hire@acme.bw")
    assert (recording["state"], recording["owner"]) == ("quarantined", None)
    days = recording["retainUntil"][:10], recording["endedAt"][:10]
    assert days[0] > days[1]
    path = f"/v1/recordings/{recording['id']}"
    assert (await to_thread(customer.get, f"{path}/audio")).status in {403, 404, 409}
    assert (await to_thread(customer.get, path, "lotte")).status == 404
    assert recording["id"] not in {
        item["id"] for item in await to_thread(customer.items, "/v1/recordings", "lotte")
    }
    assert (await to_thread(customer.send, "DELETE", path, None, "lotte")).status == 403


async def test_what_is_assigned_becomes_the_recording_of_its_person(people: People) -> None:
    """With the class of their licence when it began; it can be played then, with every packet."""
    customer = people.acme
    placed, recording = await quarantined(people, "another.hire@acme.bw")
    path = f"/v1/recordings/{recording['id']}"
    refused = await to_thread(
        customer.send, "POST", f"{path}/assignments", {"userId": customer.people["unlicensed"]}
    )
    assert refused.status == 409, refused.body
    assert "licence" in refused.json()["detail"]
    before_s = await to_thread(used_s, customer, "assignee")
    begun = await to_thread(
        customer.send, "POST", f"{path}/assignments", {"userId": customer.people["assignee"]}
    )
    assert begun.status == 202, begun.body
    await until(lambda: customer.get(path).json()["state"] == "available", "it is archived anew")
    assigned = await to_thread(archived, people.service, recording["id"], customer.key)
    assert (assigned["owner"], assigned["retentionClass"]) == (customer.people["assignee"], "365d")
    await check(people.service, assigned, placed, [], key=customer.key)
    assert (await to_thread(customer.get, path, "assignee")).status == 200
    assert await to_thread(used_s, customer, "assignee") == before_s + 1
    assert recording["id"] not in {item["id"] for item in await to_thread(customer.items, "/v1/quarantine")}
    again = await to_thread(customer.send, "DELETE", path)
    assert again.status == 409


async def test_what_is_destroyed_is_gone(people: People) -> None:
    """Nothing but the outcome of its session tells that it was."""
    customer = people.acme
    placed, recording = await quarantined(people, "third.hire@acme.bw")
    path = f"/v1/recordings/{recording['id']}"
    assert (await to_thread(customer.send, "DELETE", path)).status == 202
    await until(partial(_is_gone, customer, path), "it is gone")
    for part in ("audio", "timeline", "metadata", "why"):
        assert (await to_thread(customer.get, f"{path}/{part}")).status == 404
    assert recording["id"] not in {item["id"] for item in await to_thread(customer.items, "/v1/quarantine")}
    outcome = await to_thread(customer.outcome_of, placed.call_id)
    assert outcome["recordingIds"] == []


def _is_gone(customer: Customer, path: str) -> bool:
    return customer.get(path).status == 404


def test_every_name_is_tried(people: People) -> None:
    """No case is placed without being looked at."""
    assert list(cases(people.service)) == NAMES
