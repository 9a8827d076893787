"""What a tenant decides for all of its people, through the API."""

from __future__ import annotations

from typing import Any

import pytest

from archive.catalogue import legal_duties, policies
from archive.model import AboveCap, RetentionClass, TenantPolicy


async def test_a_tenant_that_decided_nothing_has_the_defaults(office: Any) -> None:
    assert await office.read("/v1/policy", "Policy") == {
        "keepGraceHours": 0,
        "aboveCap": "keep",
        "purposeRequired": False,
        "exportsAloneMax": 100,
        "trashDays": 7,
        "idleMinutes": 30,
    }


async def test_a_patch_changes_what_it_names_and_null_is_the_default_again(office: Any) -> None:
    first = await office.send("PATCH", "/v1/policy", {"keepGraceHours": 72})
    assert await office.told(first, "Policy", 200) == {
        "keepGraceHours": 72,
        "aboveCap": "keep",
        "purposeRequired": False,
        "exportsAloneMax": 100,
        "trashDays": 7,
        "idleMinutes": 30,
    }
    policies.set_policy(office.house.operator, office.tenant.id, above_cap=AboveCap.STOP)
    second = await office.send("PATCH", "/v1/policy", {"aboveCap": "90d", "exportsAloneMax": 0})
    assert await office.told(second, "Policy", 200) == {
        "keepGraceHours": 72,
        "aboveCap": "90d",
        "purposeRequired": False,
        "exportsAloneMax": 0,
        "trashDays": 7,
        "idleMinutes": 30,
    }
    assert office.log("policy")[-1].body["changed"] == {
        "aboveCap": {"from": "stop", "to": "90d"},
        "exportsAloneMax": {"from": 100, "to": 0},
    }
    third = await office.send("PATCH", "/v1/policy", {"keepGraceHours": None, "aboveCap": None})
    assert await office.told(third, "Policy", 200) == {
        "keepGraceHours": 0,
        "aboveCap": "keep",
        "purposeRequired": False,
        "exportsAloneMax": 0,
        "trashDays": 7,
        "idleMinutes": 30,
    }


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"keepGraceHours": 73}, "/keepGraceHours"),
        ({"keepGraceHours": -1}, "/keepGraceHours"),
        ({"keepGraceHours": "24"}, "/keepGraceHours"),
        ({"aboveCap": "delete"}, "/aboveCap"),
        ({"exportsAloneMax": 10_001}, "/exportsAloneMax"),
        ({"idleMinutes": 4}, "/idleMinutes"),
        ({"idleMinutes": 121}, "/idleMinutes"),
        ({"grace": 1}, "/grace"),
    ],
)
async def test_what_is_wrong_changes_nothing(office: Any, body: Any, pointer: str) -> None:
    problem = await office.problem(await office.send("PATCH", "/v1/policy", body), 400)
    assert [each["parameter"] for each in problem["errors"]] == [pointer]
    assert policies.policy_of(office.house.portal, office.tenant.id) == TenantPolicy()


async def test_a_patch_made_for_another_state_is_refused(office: Any) -> None:
    headers = {"If-Match": '"of-another-day"'}
    await office.problem(await office.send("PATCH", "/v1/policy", {"aboveCap": "90d"}, headers=headers), 412)


async def test_how_long_a_call_nobody_kept_waits_is_set_on_the_page(office: Any) -> None:
    form = {"above_cap": "keep", "exports_alone_max": "100", "trash_days": "7", "keep_grace_h": "72"}
    answer = await office.posted("boss", "/admin/policies/keeping", **form)
    assert (answer.status, answer.headers["Location"]) == (303, "/admin/policies")
    assert policies.policy_of(office.house.portal, office.tenant.id) == TenantPolicy(keep_grace_h=72)
    assert office.log("policy")[-1].body["changed"] == {"keepGraceHours": {"from": 0, "to": 72}}
    page = await office.opened("boss", "/admin/policies")
    (field,) = [each for each in page.split("<input") if 'name="keep_grace_h"' in each]
    assert 'value="72"' in field


async def test_a_registered_legal_duty_stands_among_the_settings_until_it_ends(office: Any) -> None:
    house, tenant_id = office.house, office.tenant.id
    assert "Geen vastgelegd." in await office.opened("boss", "/admin/policies")
    law, classes = "<b>Wft 4:14</b>", [RetentionClass.YEARS_7_1000, RetentionClass.YEARS_7_3500]
    with house.operator.transaction(tenant_id) as connection:
        legal_duties.register(connection, tenant_id, law, classes, "operator:sre", office.now)
    headers = {**office.signed_in(office.people["boss"]), "Accept-Language": "nl"}
    text = await (await office.client.get("/admin/policies", headers=headers)).text()
    assert "&lt;b&gt;Wft 4:14&lt;/b&gt; (7 jaar, 1000 minuten; 7 jaar, 3500 minuten)" in text
    assert "Geen vastgelegd." not in text
