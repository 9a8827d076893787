"""Purpose, legal basis and notice: written by an administrator, and needed before recording is switched on."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from typing import Any

import pytest

from archive.access import Scope
from archive.catalogue import accounts, directory, grounds, tenant_directory
from archive.model import RecordingMode, Role
from playback_portal.pages.grounds import MISSING

PATH, PAGE = "/v1/recording-grounds", "/admin/policies/grounds"
BODY = {
    "purposes": ["Orders", "Training"],
    "legalBasis": "legitimate-interest",
    "balancing": "Few calls, and who objects is not recorded.",
    "noticeNl": "Wij nemen op.",
    "noticeEn": "We record.",
    "toldBy": ["announcement", "privacy-statement"],
}
FORM = (
    ("purposes", "Orders\r\n\r\nTraining\r\n"),
    ("legal_basis", "consent"),
    ("balancing", ""),
    ("notice_nl", "Wij <b>nemen</b> op."),
    ("notice_en", "We record."),
    ("told_by", "announcement"),
    ("told_by", "staff-rules"),
)
RECORDED = {"licence": "90d", "mode": "always"}


@pytest.fixture
def mill(office: Any) -> Any:
    """The office of a tenant that has written nothing down; anna is there and not recorded."""
    operator, now = office.house.operator, office.now
    domain = f"mill-{office.tenant.domain}"
    tenant = directory.add_tenant(operator, "Mill", domain, now=now, why=None)
    boss = directory.add_user(operator, tenant.id, "boss", now=now, role=Role.ADMINISTRATOR)
    own = [RecordingMode.NEVER, RecordingMode.ALWAYS]
    anna = directory.add_user(operator, tenant.id, "anna", now=now, own_modes=own)
    key = accounts.add_api_client(operator, tenant.id, "crm", (Scope.ADMINISTRATION,), now=now).key
    return dataclasses.replace(
        office,
        tenant=tenant,
        boss=boss,
        anna=anna,
        keys={"administration": key},
        people={"boss": boss, "anna": anna},
    )


async def test_nothing_is_recorded_unasked_until_it_is_written_and_recorders_hear_of_it(mill: Any) -> None:
    """The same in the copy of a recorder, with what its database role may read, and for "what if"."""
    recorder, tenant_id = mill.house.recorder, mill.tenant.id
    assert not tenant_directory.load(mill.house.portal, tenant_id).is_switched_on(tenant_id)
    carried = directory.load_directory(recorder)
    assert (carried.is_switched_on(tenant_id), carried.is_switched_on(mill.house.tenant_id)) == (False, True)
    with recorder.listen(directory.CHANNEL) as changes:
        assert (await mill.send("POST", PATH, BODY)).status == 201
        assert await asyncio.to_thread(changes.wait, 20)
    assert directory.load_directory(recorder).is_switched_on(tenant_id)
    assert tenant_directory.load(mill.house.portal, tenant_id).is_switched_on(tenant_id)


async def test_the_api_refuses_to_switch_on_until_it_is_written(mill: Any) -> None:
    assert await mill.read(PATH, "RecordingGrounds") == {"inForce": None, "versions": []}
    refused = await mill.problem(await mill.send("PATCH", f"/v1/users/{mill.anna.id}", RECORDED), 409)
    assert refused["type"].endswith(":grounds-missing")
    assert "notice text" in refused["detail"]
    new = {"login": "ben", **RECORDED}
    await mill.problem(await mill.send("POST", "/v1/users", new), 409)
    preview = await mill.read(f"/v1/users/{mill.anna.id}/licence-preview?licence=90d", "LicencePreview")
    assert preview["obstacle"] == refused["detail"]
    made = await mill.told(await mill.send("POST", PATH, BODY), "GroundsVersion", 201)
    assert {name: made[name] for name in BODY} == BODY
    assert (await mill.read(PATH, "RecordingGrounds"))["inForce"] == made
    assert (await mill.send("PATCH", f"/v1/users/{mill.anna.id}", RECORDED)).status == 200
    assert (await mill.send("POST", "/v1/users", new)).status == 201


async def test_an_import_refuses_those_rows_alone_and_says_why(mill: Any) -> None:
    rows = f"login,licence,mode\nzoe@{mill.tenant.domain},90d,always\nkim@{mill.tenant.domain},none,never\n"
    answer = await mill.send(
        "POST", "/v1/users/imports", data=rows.encode(), headers={"Content-Type": "text/csv"}
    )
    items = (await mill.told(answer, "ImportResultPage", 200))["items"]
    assert [each["result"] for each in items] == ["refused", "added"]
    assert "notice text are missing" in items[0]["reason"]


async def test_pages_say_what_is_missing_and_where_to_write_it(mill: Any) -> None:
    form = [("id", mill.anna.id), ("to", "90d")]
    refused = await mill.posted("boss", "/admin/licences", form)
    assert refused.status == 409
    assert "doel, grondslag en tekst voor betrokkenen ontbreken" in await refused.text()
    preview = await (await mill.posted("boss", "/admin/licences/preview", form)).text()
    assert f'href="{PAGE}"' in preview
    assert f'href="{PAGE}"' in await mill.opened("boss", "/admin/policies")
    assert "Er is nog niets opgeschreven." in await mill.opened("boss", PAGE)
    assert grounds.MISSING == MISSING, "or the page shows English to who reads Dutch"


async def test_a_form_is_saved_as_text_and_the_log_tells_the_fields_and_no_text(mill: Any) -> None:
    saved = await mill.posted("boss", PAGE, [*FORM, ("seen", "")])
    assert (saved.status, saved.headers["Location"]) == (303, f"{PAGE}?saved")
    version = grounds.current(mill.house.portal, mill.tenant.id)
    assert version is not None
    assert version.grounds.purposes == ("Orders", "Training")
    assert version.registered_by == f"user:{mill.boss.id}"
    answer = await mill.client.get(PAGE, headers=mill.signed_in(mill.boss))
    assert "Wij &lt;b&gt;nemen&lt;/b&gt; op." in await answer.text()
    entry = mill.log("grounds")[-1]
    assert entry.action == "grounds.viewed"
    entry = next(each for each in mill.log("grounds") if each.action == "grounds.registered")
    assert set(entry.body["changed"]) == {*BODY}
    assert "Orders" not in str(entry.body)


async def test_earlier_versions_stay_with_who_wrote_them(office: Any) -> None:
    first = grounds.current(office.house.portal, office.tenant.id)
    assert first is not None
    assert "Dit is de tekst van je aanbieder." in await office.opened("boss", PAGE)
    assert (await office.posted("boss", PAGE, [*FORM, ("seen", first.id)])).status == 303
    page = await office.opened("boss", PAGE)
    assert "Dit is de tekst van je aanbieder." not in page
    assert "Eerdere versies" in page
    assert "door de aanbieder" in page
    assert re.search(r"Sinds [^<]*, door boss", page)


async def test_what_somebody_else_saved_meanwhile_is_not_passed_over(office: Any) -> None:
    first = grounds.current(office.house.portal, office.tenant.id)
    assert first is not None
    await office.told(await office.send("POST", PATH, BODY), "GroundsVersion", 201)
    answer = await office.posted("boss", PAGE, [*FORM, ("seen", first.id)])
    assert answer.status == 409
    page = await answer.text()
    assert "Iemand anders heeft intussen een andere tekst opgeslagen." in page
    assert "Few calls" in page
    assert "Wij &lt;b&gt;nemen" in page, "what was typed is kept"
    seen = re.search(r'name="seen" value="([^"]+)"', page)
    assert seen is not None
    assert (await office.posted("boss", PAGE, [*FORM, ("seen", seen[1])])).status == 303
    assert len(grounds.versions(office.house.portal, office.tenant.id)) == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"legal_basis": "because"}, "Kies de grondslag."),
        ({"purposes": " \r\n"}, "Schrijf minstens één doel"),
        ({"notice_en": ""}, "Schrijf de tekst in het Engels."),
        ({"legal_basis": "legitimate-interest"}, "Schrijf kort waarom jullie belang"),
        ({"told_by": "shouting"}, "Vink er minstens één aan."),
    ],
)
async def test_a_form_that_lacks_something_says_so_at_the_field_and_saves_nothing(
    mill: Any, change: dict[str, str], told: str
) -> None:
    form = [(name, value) for name, value in FORM if name not in change]
    answer = await mill.posted("boss", PAGE, [*form, *change.items(), ("seen", "")])
    assert answer.status == 400
    page = await answer.text()
    assert told in page
    assert 'class="error"' in page or 'class="wrong small"' in page
    assert grounds.current(mill.house.portal, mill.tenant.id) is None
    assert mill.events("grounds")[-1] == ("grounds.registered", "refused")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"purposes": []}, "/purposes"),
        ({"legalBasis": "because"}, "/legalBasis"),
        ({"balancing": ""}, "/balancing"),
        ({"noticeEn": "\u0007"}, "/noticeEn"),
        ({"toldBy": []}, "/toldBy"),
        ({"why": 1}, "/why"),
    ],
)
async def test_the_api_names_what_is_wrong(mill: Any, change: Any, pointer: str) -> None:
    problem = await mill.problem(await mill.send("POST", PATH, {**BODY, **change}), 400)
    assert [each["parameter"] for each in problem["errors"]] == [pointer]
    assert grounds.current(mill.house.portal, mill.tenant.id) is None
