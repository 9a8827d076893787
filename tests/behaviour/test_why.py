"""Why a call was recorded or not: of each session, of each recording, and of a call that is only imagined."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from asyncio import to_thread
from typing import Any
from urllib.parse import quote

import pytest

from archive.model import Role
from tests import at_rest
from tests.behaviour.conftest import CHAIN, OFFICE, Provider
from tests.behaviour.course import Course, begin, broadworks, place, plan_of
from tests.behaviour.customer import Customer, known
from tests.running_service import ROOT, eventually

RUBY, NORA, PAUL = "+31201230701", "+31201230702", "+31201230703"
STRANGER, DOCTOR = "+31612349999", "+31201230799"


@pytest.fixture(scope="module")
def acme(provider: Provider) -> Customer:
    """People of three modes, an auditor, and a doctor nobody records."""
    customer = provider.acme
    customer.enter("ruby", RUBY, licence="365d", broadworks_id="ruby@acme.bw")
    customer.enter("nora", NORA, mode="never", licence="none")
    customer.enter("paul", PAUL, mode="always-pause")
    customer.enter("reviser", role=Role.AUDITOR, mode="never", licence="none")
    added = customer.send("POST", "/v1/do-not-record", {"numbers": DOCTOR, "reason": "the company doctor"})
    assert added.status == 201, added.body
    customer.settled("reviser", lambda user: True)
    # The list was written after the people, and a directory with them may be older than it.
    eventually(lambda: known(customer.service).do_not_record, "the recorder knows the list")
    return customer


def asked(customer: Customer, caller: str, callee: str, **more: str) -> dict[str, Any]:
    """Return what would be decided of a call."""
    answer = customer.send("POST", "/v1/what-if", {"caller": caller, "callee": callee, **more})
    assert answer.status == 200, answer.body
    return dict(answer.json())


CALLS = {
    "recorded": (RUBY, STRANGER, "recorded"),
    "mode never": (NORA, STRANGER, "mode never"),
    "nobody": (STRANGER, "+31612348888", "nobody recorded"),
    "the doctor": (RUBY, DOCTOR, "nobody recorded"),
}


@pytest.fixture(scope="module")
def outcomes(acme: Customer) -> dict[str, dict[str, Any]]:
    """A call of each kind, and how its session ended."""

    async def run(caller: str, callee: str) -> dict[str, Any]:
        placed = await place(plan_of(acme.service, caller, callee, seconds=0.5))
        return await to_thread(acme.outcome_of, placed.call_id)

    async def run_all() -> list[dict[str, Any]]:
        return await asyncio.gather(*(run(caller, callee) for caller, callee, _ in CALLS.values()))

    return dict(zip(CALLS, asyncio.run(run_all()), strict=True))


@pytest.mark.parametrize("name", CALLS)
def test_each_session_says_how_it_ended_and_why(
    acme: Customer, outcomes: dict[str, dict[str, Any]], name: str
) -> None:
    """Its trace leads from the peer over the customer to the person and the mode, and stands alone as well."""
    outcome = outcomes[name]
    assert outcome["outcome"] == CALLS[name][2]
    assert outcome["reason"]
    assert outcome["trace"][:2] == ["peer own", f"tenant {acme.tenant_id}"]
    assert acme.get(f"/v1/sessions/{outcome['id']}").json() == outcome
    assert acme.get(f"/v1/sessions/{outcome['id']}", "reviser").json() == outcome
    assert acme.get(f"/v1/sessions/{outcome['id']}", "ruby").status == 403
    for called in (outcome["id"], outcome["callId"], *outcome["exchangeIds"]):
        found = acme.get(f"/v1/sessions?q={quote(called, safe='')}").json()["items"]
        assert found == [outcome], called
    assert outcome["exchangeIds"], "the metadata gives the call an id"
    assert outcome["transport"] == "udp"
    numbered = [line for line in outcome["trace"] if "+31" in line]
    # Of who is on the do-not-record list the metadata is kept; else the trace names no number.
    assert numbered == ([f"parties: {RUBY}, {DOCTOR}"] if name == "the doctor" else [])
    between = (
        f"/v1/sessions?from={outcome['startedAt'][:10]}&to={outcome['startedAt'].replace('Z', '%2B00:00')}"
    )
    assert outcome["id"] not in {item["id"] for item in acme.get(between).json()["items"]}


def test_bandwidth_counts_each_packet_with_its_header(
    acme: Customer, outcomes: dict[str, dict[str, Any]]
) -> None:
    """A stream of G.711: 160 octets of sound and 12 of header a packet, of both parties."""

    def received() -> int:
        return int(acme.get("/v1/reports/bandwidth?by=peer").json()["totals"]["receivedBytes"])

    before = received()
    placed = asyncio.run(place(plan_of(acme.service, RUBY, STRANGER, seconds=0.5)))
    (recording,) = acme.recordings_of(placed.call_id)
    assert received() - before == recording["packets"]["received"] * 172 > 0


def test_the_reasons_name_person_mode_and_list(acme: Customer, outcomes: dict[str, dict[str, Any]]) -> None:
    """Whoever reads one knows what to change."""
    ruby, nora = acme.people["ruby"], acme.people["nora"]
    assert f"user {ruby}: mode always, class 365d" in outcomes["recorded"]["trace"]
    assert f"user {nora}: mode never" in outcomes["mode never"]["trace"]
    assert outcomes["nobody"]["reason"] == "nobody named is recorded"
    assert outcomes["the doctor"]["reason"].endswith("do-not-record list: the company doctor")


async def test_a_recording_says_why_it_is_there_and_what_was_commanded(acme: Customer) -> None:
    """Trace, class with its reason, and each pause with who, from when to when."""
    course = await Course.begin(acme.service, plan_of(acme.service, PAUL), acme.key_of("paul"))
    await course.command("pause", on=False)
    await course.command("keep")
    await course.command("resume", on=True)
    placed = await course.end()
    (recording,) = await to_thread(acme.recordings_of, placed.call_id)
    why = (await to_thread(acme.get, f"/v1/recordings/{recording['id']}/why", "paul")).json()
    by = f"user:{acme.people['paul']}"
    (command,) = why["commands"]
    assert (command["kind"], command["by"]) == ("pause", by)
    assert recording["startedAt"] < command["from"] < command["to"] < recording["endedAt"]
    assert (why["outcome"], why["mode"], why["retentionClass"]) == ("recorded", "always-pause", "90d")
    assert why["retentionReason"] == "the licence 90d was in force when the recording began"
    commanded = [line for line in why["trace"] if by in line]
    assert [line.split(" ", 1)[1] for line in commanded] == [
        f"pause by {by}",
        f"keep by {by}: refused. The recording did not obey 'keep': it is kept already (mode Always with pause).",
        f"resume by {by}",
    ]
    assert [line for line in why["trace"] if line.startswith("media: 2 streams")]


def cli(customer: Customer, *arguments: str) -> dict[str, Any]:
    """Run a command with the key of the customer's program and return the JSON it printed."""
    given = {**customer.service.environment, "EARWITNESS_API_KEY": customer.key, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "archive.cli.main",
            *arguments,
            "--json",
            "--data",
            str(customer.service.directory),
        ],
        capture_output=True,
        env=given,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_command_line_tells_the_same(acme: Customer, outcomes: dict[str, dict[str, Any]]) -> None:
    """`earwitness why` of a recording and of a session, `earwitness what-if` of a call nobody made."""
    recorded, nobody = outcomes["recorded"], outcomes["nobody"]
    (recording_id,) = recorded["recordingIds"]
    assert cli(acme, "why", recording_id) == acme.get(f"/v1/recordings/{recording_id}/why").json()
    assert cli(acme, "why", nobody["id"]) == nobody
    told = cli(acme, "what-if", "--caller", STRANGER, "--callee", RUBY, "--tenant", "acme.example")
    assert told == asked(acme, STRANGER, RUBY)


# What if.


@pytest.mark.parametrize("name", CALLS)
def test_what_if_decides_as_the_recorder_did(
    acme: Customer, outcomes: dict[str, dict[str, Any]], name: str
) -> None:
    """Outcome, reason and trace of an imagined call are those of the real one."""
    caller, callee, outcome = CALLS[name]
    told = asked(acme, caller, callee)
    assert told["outcome"] == outcome
    if outcome != "recorded":
        assert told["reason"] == outcomes[name]["reason"]
    assert told["trace"][1:] == outcomes[name]["trace"][1 : len(told["trace"])]
    assert bool(told["recorded"]) == (outcome == "recorded")


def test_what_if_knows_modes_names_and_both_sides(acme: Customer) -> None:
    """Two recorded people give two recordings, a BroadWorks userID its person, an unknown one the quarantine."""
    both = asked(acme, RUBY, PAUL)["recorded"]
    assert {(each["userId"], each["mode"]) for each in both} == {
        (acme.people["ruby"], "always"),
        (acme.people["paul"], "always-pause"),
    }
    (named,) = asked(acme, "x", STRANGER, broadworksUserId="RUBY@acme.bw")["recorded"]
    assert (named["userId"], named["retentionClass"]) == (acme.people["ruby"], "365d")
    (unknown,) = asked(acme, "x", STRANGER, broadworksUserId="who@acme.bw")["recorded"]
    assert (unknown["userId"], unknown["quarantined"]) == (None, True)


async def test_what_if_follows_the_names_of_a_shared_peer(provider: Provider) -> None:
    """By service provider and group, as the call itself does; another customer's are nobody's business."""
    customer = provider.bakery
    customer.enter("sam", "+31201230711", broadworks_id="sam@office.example")
    customer.settled("sam", lambda user: True)
    plan = plan_of(provider.service, "+31201230711", host="::1", seconds=0.3)
    placed = await place(
        broadworks(plan, serviceProviderID=CHAIN, groupID=OFFICE, userID="sam@office.example")
    )
    outcome = await to_thread(customer.outcome_of, placed.call_id)
    names = {"serviceProviderId": CHAIN, "groupId": OFFICE, "broadworksUserId": "sam@office.example"}
    told = await to_thread(asked, customer, "+31201230711", STRANGER, **names)
    assert (told["outcome"], told["trace"][1:3]) == (outcome["outcome"], outcome["trace"][1:3])
    foreign = await to_thread(asked, provider.cafe, "+31201230711", STRANGER, **names)
    assert foreign["outcome"] == "nobody recorded"


@pytest.mark.parametrize("number", ["112", "+31112", "sip:113@exchange.example", "0800-0113"])
def test_what_if_of_an_exempt_number_tells_and_leaves_nothing(acme: Customer, number: str) -> None:
    """The answer says that such a call is never recorded; whoever asked and for whom stands nowhere."""
    caller = f"+3120765{len(number):04}"
    sessions, recordings = (len(acme.items(path)) for path in ("/v1/sessions", "/v1/recordings"))
    told = asked(acme, caller, number)
    assert (told["outcome"], told["recorded"]) == ("exempt", [])
    assert number not in json.dumps(told)
    assert (len(acme.items("/v1/sessions")), len(acme.items("/v1/recordings"))) == (sessions, recordings)
    assert caller.encode() not in at_rest.database_dump(acme.service)
    log = acme.service.directory.with_suffix(".out").read_bytes()
    assert caller.encode() not in log


def test_what_if_is_not_for_everyone(acme: Customer) -> None:
    """Who may not read sessions may not ask; a number in no shape is told at once."""
    body = {"caller": RUBY, "callee": STRANGER}
    assert acme.send("POST", "/v1/what-if", body, "paul").status == 403
    assert acme.send("POST", "/v1/what-if", body, "reviser").status == 200
    assert acme.send("POST", "/v1/what-if", {"caller": RUBY}).status == 400
    assert acme.send("POST", "/v1/what-if", {**body, "colour": "red"}).status == 400


async def test_a_call_under_way_has_no_outcome_yet(acme: Customer) -> None:
    """Each session has exactly one outcome, when it is over (invariant I3)."""
    call = await begin(plan_of(acme.service, RUBY))
    (live,) = await to_thread(acme.live, call.call_id)
    assert (await to_thread(acme.get, f"/v1/sessions/{live['sessionId']}")).status == 404
    placed = await call.end()
    outcome = await to_thread(acme.outcome_of, placed.call_id)
    assert (outcome["id"], outcome["recordingIds"]) == (live["sessionId"], [live["id"]])
    assert [item["callId"] for item in await to_thread(acme.items, "/v1/sessions")].count(placed.call_id) == 1
