"""The pages of privacy requests: every step from taking in to closing, and what is refused says why."""

from __future__ import annotations

import html
from datetime import timedelta
from typing import Any, cast

import pytest

from archive.catalogue import policies
from archive.data_subject import (
    Bar,
    Ground,
    Identification,
    Inseparable,
    Outcome,
    RequestKind,
    RequestState,
    SoughtBy,
    Treatment,
)
from archive.model import Layout, Party
from playback_portal import data_subject_words as words
from tests.unit.playback_portal.administration.test_data_subjects import MINE

pytestmark = pytest.mark.usefixtures("deferred", "ella")


def test_every_word_is_written() -> None:
    told = {
        RequestKind: words.KINDS,
        RequestState: words.STATES,
        Identification: words.IDENTIFICATIONS,
        Outcome: words.OUTCOMES,
        Ground: words.GROUNDS_TOLD,
        SoughtBy: words.SOUGHT_BY,
        Treatment: words.TREATMENTS,
        Inseparable: words.INSEPARABLE,
        Bar: words.BARS,
    }
    for known_words, texts in told.items():
        assert list(texts) == list(known_words)


async def posted(office: Any, who: str, path: str, form: Any = (), status: int = 303, **fields: str) -> Any:
    answer = await office.posted(who, path, form, **fields)
    text = html.unescape(await answer.text())
    assert answer.status == status, text
    return answer.headers["Location"] if status == 303 else text


async def taken_in(office: Any, who: str = "boss", **changes: str) -> str:
    today = office.now.date().isoformat()
    fields = {"kind": "access", "name": "A. Jansen", "contact": "per post", "receivedOn": today, **changes}
    path: str = await posted(office, who, "/data-subjects", **fields)
    return path


async def test_a_request_goes_from_taking_in_to_closing_on_its_page(office: Any) -> None:
    office.stored(Party("a", MINE), Party("b", "+31201234567"), sound=True)
    mixed = office.stored(
        Party("mixed", MINE), Party("mixed", "+3120"), layout=Layout.MIXED, channels=("mixed",), sound=True
    )
    assert "Er zijn nog geen AVG-verzoeken" in await office.opened("boss", "/data-subjects")
    assert "Ontvangen op" in await office.opened("boss", "/data-subjects/new")
    path = await taken_in(office)
    page = await office.opened("ella", path)
    assert "Stel eerst vast wie het vraagt" in page
    await posted(office, "boss", f"{path}/identification", how="called back", note="teruggebeld")
    assert "Een auditor zoekt de gesprekken" in await office.opened("boss", path)
    where = await posted(office, "ella", f"{path}/searches", by="number", text="06 87 65 43 21")
    assert where == f"{path}#step-search"
    page = await office.opened("ella", path)
    assert "2 gesprekken" in page
    assert "anderen kunnen stil" in page
    assert "Alle stemmen staan in één kanaal" in page
    assert "Er is tot nu toe geen opname van de organisatie vernietigd" in page
    assert "Beslis eerst over elk gesprek" in await posted(office, "ella", f"{path}/exports", status=409)
    await posted(office, "ella", f"{path}/choices", all="1")
    refused = await posted(
        office, "ella", f"{path}/choices", [("id", mixed.id)], status=409, treatment="whole", reason=""
    )
    assert "Zeg waarom" in refused
    await posted(
        office,
        "ella",
        f"{path}/choices",
        [("id", mixed.id)],
        treatment="left out",
        reason="De ander wil niet.",
    )
    page = await office.opened("ella", path)
    assert "Anderen stil: 1. Heel: 0. Weggelaten: 1. Nog niet beslist: 0." in page
    await posted(office, "ella", f"{path}/exports")
    assert "0 van 1" in await office.opened("ella", f"{path}/exports")
    fields = {"outcome": "partly", "ground": "rights-of-others", "text": "Eén gesprek ontbreekt."}
    await posted(office, "ella", f"{path}/answer", **fields)
    page = await office.opened("boss", path)
    assert "Eén gesprek ontbreekt." in page
    assert "GDPR 15(4)" in page
    await posted(office, "boss", f"{path}/closing", note="")
    page = await office.opened("ella", path, language="en")
    assert "took in a privacy request" in page
    assert "closed a privacy request" in page
    assert "A. Jansen" in await office.opened("ella", "/data-subjects")


async def test_what_is_refused_says_why_and_stays_filled_in(office: Any) -> None:
    for fields, told in (
        ({"name": " "}, "Vul in wie het vraagt"),
        ({"receivedOn": "gisteren"}, "Vul in wie het vraagt"),
        ({"receivedOn": (office.now + timedelta(days=2)).date().isoformat()}, "kwam vandaag of eerder"),
    ):
        form = {
            "kind": "access",
            "name": "A. Jansen",
            "contact": "per post",
            "receivedOn": "2026-01-01",
            **fields,
        }
        page = await posted(office, "boss", "/data-subjects", status=400, **form)
        assert told in page
        assert "per post" in page
    path = await taken_in(office)
    for step, form, told in (
        ("identification", {"how": "x"}, "Zeg waarom"),
        ("extension", {"reason": " "}, "Zeg waarom"),
        ("searches", {"by": "number", "text": MINE}, "niet zoals het verzoek er nu voor staat"),
        ("choices", {"treatment": "muted"}, "Vink minstens"),
        ("answer", {"outcome": "granted", "text": " "}, "Schrijf op wat is geantwoord"),
        ("answer", {"outcome": "refused", "ground": "legal-duty", "text": "x"}, "Schrijf op"),
        ("closing", {"note": ""}, "niet zoals het verzoek er nu voor staat"),
    ):
        page = await posted(office, "ella", f"{path}/{step}", status=409, **form)
        assert told in page, step
    await posted(office, "boss", f"{path}/identification", how="account")
    assert "geen nummer of naam" in await posted(
        office, "ella", f"{path}/searches", status=409, by="number", text="niemand"
    )
    assert "is er niet" in await posted(
        office, "ella", f"{path}/searches", status=409, by="user", text="niemand"
    )
    await posted(office, "ella", f"{path}/searches", by="user", text="Anna")
    assert "anna" in await office.opened("ella", path)
    await posted(office, "boss", f"{path}/searches", status=409, by="number", text=MINE)


async def test_the_list_counts_the_days_and_marks_what_is_overdue(office: Any) -> None:
    late = (office.now - timedelta(days=45)).date().isoformat()
    path, other = await taken_in(office, receivedOn=late), await taken_in(office, name="B. de Boer")
    page = await office.opened("boss", "/data-subjects")
    assert "dagen te laat" in page
    assert "dagen" in page
    await posted(office, "boss", f"{other}/closing", note="ingetrokken")
    only = await office.opened("boss", "/data-subjects?open=1")
    assert "B. de Boer" not in only
    assert "A. Jansen" in only
    assert "Neem twee maanden langer" in await office.opened("boss", path)
    await posted(office, "boss", f"{path}/extension", status=409, reason="Druk")
    fresh = await taken_in(office)
    await posted(office, "boss", f"{fresh}/extension", reason="Drieduizend gesprekken")
    assert "Drieduizend gesprekken" in await office.opened("boss", fresh)


async def test_of_an_erasure_each_call_says_whether_it_can_go_before_its_term(office: Any) -> None:
    office.stored(Party("a", MINE), Party("b", "+31201234567"), on_hold=True, sound=True)
    office.stored(Party("a", MINE), Party("b", "+31201234567"), sound=True)
    path = await taken_in(office, kind="erasure")
    await posted(office, "boss", f"{path}/identification", how="account")
    await posted(office, "ella", f"{path}/searches", by="number", text=MINE)
    page = await office.opened("ella", path)
    assert "Niet voordat de zaak wordt vrijgegeven (GDPR 17(3)(e), 21(1))" in page
    assert "twee mensen mogen het eerder vernietigen" in page
    assert "Wat eerder kan worden gewist" in page


async def test_more_than_one_person_exports_alone_takes_another_who_identified(office: Any) -> None:
    policies.set_policy(office.house.operator, office.tenant.id, exports_alone_max=1)
    for _ in range(2):
        office.stored(Party("a", MINE), Party("b", "+31201234567"), sound=True)
    for identifier, status in (("ella", 409), ("boss", 303)):
        path = await taken_in(office)
        await posted(office, identifier, f"{path}/identification", how="account")
        await posted(office, "ella", f"{path}/searches", by="number", text=MINE)
        await posted(office, "ella", f"{path}/choices", all="1")
        told = await posted(office, "ella", f"{path}/exports", status=status)
        assert ("Er zijn twee mensen nodig" in told) == (status == 409)


async def asked(office: Any, identifier: str, status: int) -> str:
    path = await taken_in(office)
    await posted(office, identifier, f"{path}/identification", how="account")
    await posted(office, "ella", f"{path}/searches", by="number", text=MINE)
    await posted(office, "ella", f"{path}/choices", all="1")
    return cast("str", await posted(office, "ella", f"{path}/exports", status=status))


async def test_many_small_requests_in_a_day_are_as_many_recordings_as_one_large_one(office: Any) -> None:
    policies.set_policy(office.house.operator, office.tenant.id, exports_alone_max=2)
    office.stored(Party("a", MINE), Party("b", "+31201234567"), sound=True)
    await asked(office, "ella", 303)
    await asked(office, "ella", 303)
    assert "Er zijn twee mensen nodig" in await asked(office, "ella", 409)
    await asked(office, "boss", 303)


async def test_who_let_the_exporter_in_is_no_second_person_for_a_request(office: Any) -> None:
    policies.set_policy(office.house.operator, office.tenant.id, exports_alone_max=0)
    office.stored(Party("a", MINE), Party("b", "+31201234567"), sound=True)
    path = f"/admin/users/{office.people['ella'].id}/second-factor/resets"
    await posted(office, "boss", path)
    assert "Er zijn twee mensen nodig" in await asked(office, "boss", 409)


async def test_users_open_no_privacy_request(office: Any) -> None:
    await office.opened("anna", "/data-subjects", status=403)
