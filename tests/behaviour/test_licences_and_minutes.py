"""The licence in force when a recording begins decides how long it is kept, and minutes are counted as promised."""

from __future__ import annotations

import asyncio
import json
from asyncio import to_thread
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from archive.allowance import month_of
from archive.catalogue import policies
from archive.catalogue.migrate import DATABASE
from archive.model import AboveCap
from recorder.client.call import CallPlan, PlacedCall
from tests import at_rest
from tests.behaviour.conftest import CHAIN, OFFICE, Provider
from tests.behaviour.course import begin, broadworks, place, plan_of
from tests.behaviour.customer import Customer, operating
from tests.crash.calls import Call

KIM, LEO, MIA = "+31201230501", "+31201230502", "+31201230503"
CAP_S = 1000 * 60
YEARS_7 = timedelta(days=7 * 365)
DAYS_90 = timedelta(days=90)


@pytest.fixture(scope="module")
def acme(provider: Provider) -> Customer:
    """A customer whose policy is the default: kept for 7 years above the minutes, and flagged."""
    customer = provider.acme
    customer.enter("kim", KIM, licence="90d")
    customer.enter("leo", LEO, licence="365d")
    customer.enter("mia", MIA, mode="always-pause", licence="7y-1000")
    customer.settled("mia", lambda user: True)
    return customer


def person_path(customer: Customer, login: str) -> str:
    """Return the path of a person."""
    return f"/v1/users/{customer.people[login]}"


def kept_for(recording: dict[str, Any]) -> timedelta:
    """Return for how long a recording is kept."""
    until, ended = (datetime.fromisoformat(recording[name]) for name in ("retainUntil", "endedAt"))
    return until - ended


# Licences.


async def test_a_licence_changed_in_the_call_counts_from_the_next_one(acme: Customer) -> None:
    """The class at the start of the recording stays; the history has both with their dates."""
    call = await begin(plan_of(acme.service, KIM))
    await to_thread(acme.live, call.call_id)
    changed = await to_thread(acme.send, "PATCH", person_path(acme, "kim"), {"licence": "7y-3500"})
    assert changed.status == 200, changed.body
    await to_thread(acme.settled, "kim", lambda user: user.licence == "7y-3500")
    during = await call.end()
    after = await place(plan_of(acme.service, KIM, seconds=0.5))
    (first,), (second,) = [await to_thread(acme.recordings_of, placed.call_id) for placed in (during, after)]
    assert [first["retentionClass"], second["retentionClass"]] == ["90d", "7y-3500"]
    assert DAYS_90 <= kept_for(first) < DAYS_90 + timedelta(days=2)
    assert YEARS_7 <= kept_for(second) < YEARS_7 + timedelta(days=4)
    why = (await to_thread(acme.get, f"/v1/recordings/{first['id']}/why")).json()
    assert why["retentionReason"] == "the licence 90d was in force when the recording began"
    old, new = (await to_thread(acme.get, f"{person_path(acme, 'kim')}/licences")).json()["items"]
    assert (old["licence"], new["licence"], new["validUntil"]) == ("90d", "7y-3500", None)
    assert old["validUntil"] == new["validFrom"]
    assert first["startedAt"] < new["validFrom"] < second["startedAt"]


async def test_a_licence_taken_away_in_the_call_keeps_that_call(acme: Customer) -> None:
    """What began under it stays; the next call of somebody without a licence is not recorded, and says why."""
    call = await begin(plan_of(acme.service, LEO))
    await to_thread(acme.live, call.call_id)
    refused = await to_thread(acme.send, "PATCH", person_path(acme, "leo"), {"licence": None})
    assert refused.status == 400
    taken = await to_thread(acme.send, "PATCH", person_path(acme, "leo"), {"licence": None, "mode": "never"})
    assert taken.status == 200, taken.body
    await to_thread(acme.settled, "leo", lambda user: user.licence is None)
    (recording,) = await to_thread(acme.recordings_of, (await call.end()).call_id)
    assert (recording["retentionClass"], recording["state"]) == ("365d", "available")
    after = await place(plan_of(acme.service, LEO, seconds=0.2))
    assert (await to_thread(acme.outcome_of, after.call_id))["outcome"] == "mode never"


def test_a_preview_tells_and_changes_nothing(acme: Customer) -> None:
    """From when it would count, what stays as it is, and what stands in the way; by API and command line."""
    asyncio.run(place(plan_of(acme.service, MIA, seconds=1.2)))
    before = acme.get(person_path(acme, "mia")).json()
    answer = acme.get(f"{person_path(acme, 'mia')}/licence-preview?licence=90d")
    assert answer.status == 200, answer.body
    told = answer.json()
    assert (told["before"], told["after"], told["capSeconds"], told["aboveCap"]) == (
        "7y-1000",
        "90d",
        None,
        False,
    )
    assert told["obstacle"] is None
    assert acme.get(person_path(acme, "mia")).json() == before
    without = acme.get(f"{person_path(acme, 'mia')}/licence-preview?licence=none").json()
    assert "never" in without["obstacle"]
    printed = acme.service.run("user", "licence-preview", "mia@acme.example", "7y-3500", "--json")
    assert (json.loads(printed)["after"], json.loads(printed)["capSeconds"]) == ("7y-3500", 3500 * 60)
    assert acme.get(person_path(acme, "mia")).json() == before


async def test_a_preview_names_the_recordings_that_keep_their_class(acme: Customer) -> None:
    """They stay as they are, each with its date."""
    placed = await place(plan_of(acme.service, MIA, seconds=0.5))
    (recording,) = await to_thread(acme.recordings_of, placed.call_id)
    told = (await to_thread(acme.get, f"{person_path(acme, 'mia')}/licence-preview?licence=365d")).json()
    (kept,) = told["kept"]
    mine = [
        item for item in await to_thread(acme.items, "/v1/recordings") if item["owner"] == recording["owner"]
    ]
    assert (kept["retentionClass"], kept["count"]) == ("7y-1000", len(mine))
    assert kept["retainUntil"] == recording["retainUntil"]


ROSTER = (
    "login,number,licence,mode\n"
    "kim@acme.example,,365d,\n"
    "{new}@acme.example,{number},7y-1000,always\n"
    "nobody-else@other.example,,90d,\n"
    "mia@acme.example,,8y,\n"
    "{other}@acme.example,{number},90d,always\n"
)


def check_results(rows: list[dict[str, Any]], new: str) -> None:
    """Check what became of each row of the roster."""
    assert [(row["line"], row["result"]) for row in rows] == [
        (2, "changed"),
        (3, "added"),
        (4, "refused"),
        (5, "refused"),
        (6, "refused"),
    ]
    assert [row["login"] for row in rows][:2] == ["kim@acme.example", f"{new}@acme.example"]
    assert all(bool(row["reason"]) == (row["result"] == "refused") for row in rows)
    assert "8y" in rows[3]["reason"]
    assert "number" in rows[4]["reason"].lower() or "+312012306" in rows[4]["reason"]


def test_a_roster_gives_licences_with_a_result_per_row(acme: Customer) -> None:
    """Sent to the API: a row that is refused says why and stops no other."""
    roster = ROSTER.format(new="import-1", other="import-2", number="+31201230601").encode()
    answer = acme.send("POST", "/v1/users/imports", roster, **{"Content-Type": "text/csv"})
    assert answer.status == 200, answer.body
    check_results(answer.json()["items"], "import-1")
    found = {item["login"]: item for item in acme.items("/v1/users")}
    assert found["kim@acme.example"]["licence"] == "365d"
    assert found["mia@acme.example"]["licence"] == "7y-1000"
    assert found["import-1@acme.example"]["numbers"] == ["+31201230601"]
    assert "import-2@acme.example" not in found


def test_the_command_line_reads_the_same_roster(acme: Customer, tmp_path: Path) -> None:
    """With the same results, and exit 1 because rows were refused."""
    file = tmp_path / "people.csv"
    file.write_text(ROSTER.format(new="import-3", other="import-4", number="+31201230602"))
    printed = acme.service.run("user", "import", str(file), "--json", code=1)
    check_results(json.loads(printed), "import-3")


# Minutes.


def used_s(customer: Customer, login: str) -> int:
    """Return the seconds booked to a person this month."""
    answer = customer.get(f"{person_path(customer, login)}/minutes")
    assert answer.status == 200, answer.body
    return int(answer.json()["usedSeconds"])


def book(customer: Customer, login: str, seconds: int) -> None:
    """Let a person have used that much this month, and return when the recorder knows."""
    with at_rest.connect(customer.service, DATABASE) as connection:
        connection.execute(
            "INSERT INTO minute_months (tenant_id, user_id, month, booked_s) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (user_id, month) DO UPDATE SET booked_s = excluded.booked_s",
            (customer.tenant_id, customer.people[login], month_of(datetime.now(UTC)), seconds),
        )
        connection.execute("SELECT pg_notify('directory_changed', '')")
    customer.settled(login, lambda user: user.booked_s == seconds)


async def test_minutes_are_whole_seconds_of_stored_audio(acme: Customer) -> None:
    """A pause is not counted; the sum is shown to administrators and by the command line."""
    before_s = await to_thread(used_s, acme, "mia")
    plan = plan_of(acme.service, MIA, seconds=3.4, pause_at_s=0.8, resume_at_s=1.9, sends_while_paused=True)
    placed = await place(plan)
    (recording,) = await to_thread(acme.recordings_of, placed.call_id)
    assert await to_thread(used_s, acme, "mia") == before_s + 2
    why = (await to_thread(acme.get, f"/v1/recordings/{recording['id']}/why")).json()
    booked = why["minutes"]
    assert (booked["recordedS"], booked["bookedS"], booked["aboveCap"]) == (2, 2, False)
    shown = (await to_thread(acme.get, f"{person_path(acme, 'mia')}/minutes")).json()
    assert (shown["licence"], shown["capSeconds"], shown["percent"]) == ("7y-1000", CAP_S, 0)
    printed = await to_thread(acme.service.run, "user", "minutes", "mia@acme.example", "--json")
    assert json.loads(printed)["usedSeconds"] == before_s + 2
    last_year = await to_thread(acme.get, f"{person_path(acme, 'mia')}/minutes?month=2024-02")
    assert last_year.json()["usedSeconds"] == 0


def plan_for(customer: Customer, number: str, **how: Any) -> CallPlan:
    """Return a call of somebody of a customer, by their peer."""
    if customer.domain == "acme.example":
        return plan_of(customer.service, number, **how)
    provider, group = (CHAIN, OFFICE) if customer.domain.startswith("bakery") else ("cafe.example", "bar")
    plan = plan_of(customer.service, number, host="::1", **how)
    return broadworks(plan, serviceProviderID=provider, groupID=group, userID=number)


@dataclass(frozen=True)
class Crossed:
    """A call that crossed the cap, one that ran meanwhile and ended above it, and one that began above it."""

    customer: Customer
    login: str
    calls: tuple[PlacedCall, PlacedCall, PlacedCall]

    async def recordings(self, count: int = 3) -> list[dict[str, Any]]:
        """Return the recordings of the first `count` of them."""
        calls = self.calls[:count]
        return [(await to_thread(self.customer.recordings_of, call.call_id))[0] for call in calls]


async def crossing(customer: Customer, number: str, login: str) -> Crossed:
    """Let somebody who has used nearly all minutes place the calls."""
    near = await place(plan_for(customer, number, seconds=1.3))
    await to_thread(customer.recordings_of, near.call_id)
    await to_thread(book, customer, login, CAP_S - 1)
    meanwhile: Call = await begin(plan_for(customer, number))
    across = await place(plan_for(customer, number, seconds=2.3))
    await to_thread(customer.recordings_of, across.call_id)
    assert await to_thread(used_s, customer, login) >= CAP_S
    if (await to_thread(customer.get, "/v1/policy")).json()["aboveCap"] == "stop":
        # Only then the recorder is told at once, for only then it has to know before the next call.
        await to_thread(customer.settled, login, lambda user: user.booked_s >= CAP_S)
    ended = await meanwhile.end()
    await to_thread(customer.recordings_of, ended.call_id)
    return Crossed(customer, login, (across, ended, await place(plan_for(customer, number, seconds=1.3))))


@pytest.fixture(scope="module")
def crossed(provider: Provider) -> dict[str, Crossed]:
    """One person of each customer, all at once; each customer has another policy."""
    people = {
        "keep": (provider.acme, "+31201230511", "noa"),
        "90d": (provider.bakery, "+31201230512", "finn"),
        "stop": (provider.cafe, "+31201230513", "teun"),
    }
    for policy, (customer, number, login) in people.items():
        # Keeping less takes two people in the portal; here the operator writes down what they agreed on.
        with operating(customer.service) as catalogue:
            policies.set_policy(catalogue, customer.tenant_id, above_cap=AboveCap(policy))
        customer.enter(login, number, licence="7y-1000", broadworks_id=number)
        # One second below 80 % of the minutes.
        book(customer, login, CAP_S * 8 // 10 - 1)

    async def run() -> list[Crossed]:
        return await asyncio.gather(*(crossing(*each) for each in people.values()))

    return dict(zip(people, asyncio.run(run()), strict=True))


async def test_above_the_minutes_recordings_are_kept_as_long_and_flagged(crossed: dict[str, Crossed]) -> None:
    """By default; the one that crosses the border is still within it."""
    recordings = await crossed["keep"].recordings()
    assert [item["flags"] for item in recordings] == [[], ["above-cap"], ["above-cap"]]
    assert {item["retentionClass"] for item in recordings} == {"7y-1000"}
    assert all(kept_for(item) > YEARS_7 for item in recordings)


@pytest.mark.parametrize("policy", ["keep", "90d", "stop"])
async def test_80_and_100_percent_are_told_once_each(crossed: dict[str, Crossed], policy: str) -> None:
    """Whatever the policy: nobody is surprised by it."""
    customer = crossed[policy].customer
    owner = customer.people[crossed[policy].login]

    def quotas(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [item for item in events if item["type"].startswith("quota.") and item["owner"] == owner]

    events = quotas(await to_thread(customer.events, lambda found: len(quotas(found)) >= 2))
    assert [item["type"] for item in events] == ["quota.80", "quota.100"]
    assert {item["data"]["capSeconds"] for item in events} == {CAP_S}


async def test_above_the_minutes_they_are_kept_for_90_days_where_the_customer_wants_that(
    crossed: dict[str, Crossed],
) -> None:
    """The class and the date are those of 90 days, and the reason says so."""
    customer = crossed["90d"].customer
    recordings = await crossed["90d"].recordings()
    assert [item["retentionClass"] for item in recordings] == ["7y-1000", "90d", "90d"]
    assert [item["flags"] for item in recordings] == [[], ["above-cap"], ["above-cap"]]
    assert [kept_for(item) > YEARS_7 for item in recordings] == [True, False, False]
    why = (await to_thread(customer.get, f"/v1/recordings/{recordings[2]['id']}/why")).json()
    assert "used up" in why["retentionReason"]
    assert why["minutes"]["aboveCap"] is True


async def test_above_the_minutes_nothing_is_recorded_where_the_customer_wants_that(
    crossed: dict[str, Crossed],
) -> None:
    """What runs when they are used up is recorded to its end; the next call is not, and says why."""
    customer, refused = crossed["stop"].customer, crossed["stop"].calls[2]
    recordings = await crossed["stop"].recordings(2)
    assert [item["flags"] for item in recordings] == [[], ["above-cap"]]
    assert {item["retentionClass"] for item in recordings} == {"7y-1000"}
    outcome = await to_thread(customer.outcome_of, refused.call_id)
    assert outcome["outcome"] == "nobody recorded"
    assert "minutes of the month are used up" in outcome["reason"]
    assert refused.answer_sdp.count(b"a=inactive") == 2
