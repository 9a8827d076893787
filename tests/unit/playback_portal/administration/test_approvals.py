"""What takes two people: proposed by one, done by the approval of another, and by nobody alone."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from archive import jobs
from archive.access import AccessScope, Scope
from archive.approval import HELP_LASTS, LIFE, Event, Kind, NotDecidable, NotYours, Wanted
from archive.audit import AuditWriter
from archive.catalogue import cases, directory, exports, legal_duties, policies, proposals
from archive.errors import Conflict, Refused
from archive.model import AboveCap, RetentionClass, Role, UserId
from playback_portal.admission import FRESH_S_MAX
from playback_portal.documents import time_of
from playback_portal.services import SERVICES
from tests.unit.playback_portal.administration.conftest import NOTHING

pytestmark = pytest.mark.usefixtures("deferred", "ella")


@pytest.fixture(autouse=True)
def others(office: Any) -> None:
    """A second administrator, and somebody without power."""
    carl = directory.add_user(
        office.house.operator, office.tenant.id, "carl", now=office.now, role=Role.ADMINISTRATOR
    )
    office.people["carl"] = carl


@dataclass
class Clock:
    """The clock of the portal, which stands still until it is told that time passes."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def passes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock(office: Any, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let the portal go by a clock that can pass."""
    passing = Clock(office.now)
    monkeypatch.setattr(type(office.client.app[SERVICES].clock), "now", lambda _self: passing.at)
    return passing


def role_of(office: Any, who: str) -> Role:
    user = directory.user_by_id(office.house.portal, office.tenant.id, office.people[who].id)
    return user.role


async def proposed(office: Any, answer: Any) -> Any:
    made = await office.told(answer, "Approval", 202)
    assert answer.headers["Location"] == f"/v1/approvals/{made['id']}"
    assert made["state"] == "waiting"
    return made


async def role_proposed(office: Any, who: str = "boss") -> Any:
    path = f"/v1/users/{office.anna.id}"
    return await proposed(office, await office.as_person(who, "PATCH", path, {"role": "auditor"}))


async def decided(office: Any, who: str, made: Any, verb: str = "approval") -> int:
    answer = await office.as_person(who, "POST", f"/v1/approvals/{made['id']}/{verb}")
    if answer.status == 201:
        await office.told(answer, "Approval", 201)
    status: int = answer.status
    return status


async def test_a_role_of_power_is_given_by_two(office: Any) -> None:
    made = await role_proposed(office)
    assert (made["kind"], made["about"]) == ("role-grant", f"user:{office.anna.id}")
    assert made["parameters"] == {"role": "auditor"}
    assert role_of(office, "anna") is Role.USER
    assert await decided(office, "boss", made) == 403
    assert role_of(office, "anna") is Role.USER
    assert await decided(office, "ella", made) == 201
    assert role_of(office, "anna") is Role.AUDITOR
    assert await decided(office, "carl", made) == 409
    assert office.events(f"proposal:{made['id']}") == [
        ("proposal.made", "ok"),
        ("proposal.approved", "refused"),
        ("proposal.approved", "ok"),
        ("proposal.approved", "refused"),
    ]
    entry = office.log(f"user:{office.anna.id}")[-1]
    assert (entry.action, entry.actor) == ("user.changed", f"user:{office.people['ella'].id}")
    assert (entry.body["proposal"], entry.body["proposedBy"]) == (made["id"], f"user:{office.boss.id}")
    page = await office.read("/v1/approvals?waiting=0", "ApprovalPage", key="boss")
    assert [(each["state"], each["decidedBy"]) for each in page["items"]] == [
        ("approved", f"user:{office.people['ella'].id}")
    ]
    assert (await office.read(f"/v1/approvals/{made['id']}", "Approval", key="boss"))["state"] == "approved"


async def test_what_is_changed_beside_a_role_is_changed_at_once(office: Any) -> None:
    path = f"/v1/users/{office.anna.id}"
    made = await proposed(
        office, await office.as_person("boss", "PATCH", path, {"role": "administrator", "site": "Goes"})
    )
    user = directory.user_by_id(office.house.portal, office.tenant.id, office.anna.id)
    assert (user.role, user.site) == (Role.USER, "Goes")
    assert office.log(f"user:{office.anna.id}")[-1].body["changed"] == {"site": "changed"}
    again = await office.as_person("carl", "PATCH", path, {"role": "auditor"})
    assert again.status == 409
    assert made["parameters"] == {"role": "administrator"}


async def test_a_new_person_has_no_power_before_the_second_one_says_so(office: Any) -> None:
    answer = await office.as_person("boss", "POST", "/v1/users", {"login": "dora", "role": "auditor"})
    dora = await office.told(answer, "User", 201)
    assert dora["role"] == "user"
    page = await office.read("/v1/approvals?waiting=1", "ApprovalPage", key="boss")
    (made,) = page["items"]
    assert await decided(office, "carl", made) == 201
    assert (await office.read(f"/v1/users/{dora['id']}", "User"))["role"] == "auditor"


async def test_no_key_proposes_approves_refuses_or_withdraws(office: Any) -> None:
    made = await role_proposed(office)
    path = f"/v1/approvals/{made['id']}"
    for key in ("boss", "ella", "holder"):
        for method, verb in (("POST", "/approval"), ("POST", "/refusal"), ("DELETE", "")):
            await office.problem(await office.send(method, path + verb, key=key), 403)
    await office.problem(await office.send("PATCH", "/v1/policy", {"aboveCap": "stop"}), 403)
    recording = office.stored()
    body = {"reason": "x"}
    answer = await office.send("POST", f"/v1/recordings/{recording.id}/destruction", body, key="boss")
    await office.problem(answer, 403)
    assert policies.policy_of(office.house.portal, office.tenant.id).above_cap is AboveCap.KEEP


async def test_who_approves_signed_in_a_short_while_ago(office: Any, clock: Any) -> None:
    made = await role_proposed(office)
    headers = office.signed_in(office.people["ella"])
    clock.passes(FRESH_S_MAX)
    answer = await office.client.post(f"/v1/approvals/{made['id']}/approval", headers=headers)
    assert (await office.problem(answer, 403))["type"] == "urn:earwitness:problem:sign-in-again"
    assert role_of(office, "anna") is Role.USER


async def test_it_is_refused_or_withdrawn_and_then_proposed_anew(office: Any) -> None:
    made = await role_proposed(office)
    assert (await office.as_person("carl", "DELETE", f"/v1/approvals/{made['id']}")).status == 403
    assert await decided(office, "carl", made, "refusal") == 201
    assert await decided(office, "ella", made) == 409
    second = await role_proposed(office, "carl")
    assert (await office.as_person("carl", "DELETE", f"/v1/approvals/{second['id']}")).status == 204
    assert await decided(office, "ella", second) == 409
    assert role_of(office, "anna") is Role.USER
    await office.problem(await office.as_person("ella", "POST", f"/v1/approvals/{NOTHING}/approval"), 404)


async def test_two_who_approve_at_once_do_it_once(office: Any) -> None:
    made = await role_proposed(office)
    statuses = await asyncio.gather(*(decided(office, who, made) for who in ("ella", "carl", "ella", "carl")))
    assert sorted(statuses) == [201, 409, 409, 409]
    done = [each for each in office.events(f"user:{office.anna.id}") if each == ("user.changed", "ok")]
    assert len(done) == 1


async def test_what_somebody_proposed_who_lost_the_role_is_not_done(office: Any) -> None:
    made = await role_proposed(office, "carl")
    directory.set_user(office.house.operator, office.tenant.id, "carl", now=office.now, role=Role.USER)
    assert await decided(office, "ella", made) == 409
    assert role_of(office, "anna") is Role.USER
    assert await decided(office, "ella", made, "refusal") == 201


async def test_who_lost_the_role_approves_nothing(office: Any) -> None:
    """Also when the role went after the request was let in."""
    made = await role_proposed(office)
    scope = AccessScope(
        office.tenant.id, f"user:{office.people['carl'].id}", Role.ADMINISTRATOR, office.people["carl"].id
    )
    directory.set_user(office.house.operator, office.tenant.id, "carl", now=office.now, role=Role.USER)
    with pytest.raises(NotYours), office.house.portal.transaction(office.tenant.id) as connection:
        proposals.decide(connection, scope, made["id"], Event.APPROVE, now=office.now)


@pytest.mark.parametrize(("proposer", "approver"), [("boss", "ella"), ("ella", "boss")])
@pytest.mark.parametrize(
    ("way", "form"), [("second-factor/resets", {}), ("invitations", {"email": "mine@mail.example"})]
)
async def test_of_two_one_of_whom_let_the_other_in_lately_neither_is_the_second(
    office: Any, way: str, form: dict[str, str], proposer: str, approver: str
) -> None:
    """An administrator who sends a link for the auditor's account could be the auditor, and ask as them."""
    assert (
        await office.posted("boss", f"/admin/users/{office.people['ella'].id}/{way}", **form)
    ).status == 303
    recording = office.stored()
    if proposer == "boss":
        made = await role_proposed(office)
    else:
        policies.set_policy(office.house.operator, office.tenant.id, exports_alone_max=0)
        body = {"reference": "12", "purpose": "Claim", "recordingIds": [recording.id]}
        made = await proposed(office, await office.as_person("ella", "POST", "/v1/exports", body))
    assert await decided(office, approver, made) == 403
    assert await decided(office, "carl", made) == 201


async def test_a_week_after_one_let_the_other_in_they_are_two_again(office: Any) -> None:
    path = f"/admin/users/{office.people['ella'].id}/second-factor/resets"
    assert (await office.posted("boss", path)).status == 303
    scope = AccessScope(
        office.tenant.id, f"user:{office.people['ella'].id}", Role.AUDITOR, office.people["ella"].id
    )
    later = office.now + HELP_LASTS + timedelta(minutes=1)
    boss = AccessScope(office.tenant.id, f"user:{office.boss.id}", Role.ADMINISTRATOR, office.boss.id)
    with office.house.portal.transaction(office.tenant.id) as connection:
        wanted = Wanted(Kind.ROLE_GRANT, "user:x", {"role": "auditor"})
        second = proposals.propose(connection, boss, wanted, now=later)
        assert (
            proposals.decide(connection, scope, second.id, Event.APPROVE, now=later).decided_by == scope.actor
        )


async def test_a_proposal_is_over_after_a_week_and_makes_room_for_the_next(office: Any, clock: Any) -> None:
    made = await role_proposed(office)
    clock.passes(LIFE.total_seconds())
    office.now = clock.now()
    assert await decided(office, "ella", made) == 409
    page = await office.read("/v1/approvals?waiting=1", "ApprovalPage", key="boss")
    assert page["items"] == []
    await role_proposed(office)
    assert office.events(f"proposal:{made['id']}")[-1] == ("proposal.expired", "ok")
    assert (await office.read(f"/v1/approvals/{made['id']}", "Approval", key="boss"))["state"] == "expired"


async def test_keeping_less_waits_and_keeping_more_does_not(office: Any) -> None:
    answer = await office.as_person("boss", "PATCH", "/v1/policy", {"aboveCap": "90d", "keepGraceHours": 2})
    made = await proposed(office, answer)
    assert made["parameters"] == {"aboveCap": "90d", "keepGraceHours": 2}
    assert policies.policy_of(office.house.portal, office.tenant.id).above_cap is AboveCap.KEEP
    assert await decided(office, "carl", made) == 201
    after = policies.policy_of(office.house.portal, office.tenant.id)
    assert (after.above_cap, after.keep_grace_h) == (AboveCap.DAYS_90, 2)
    assert office.log("policy")[-1].body["changed"]["aboveCap"] == {"from": "keep", "to": "90d"}
    answer = await office.as_person("boss", "PATCH", "/v1/policy", {"aboveCap": "keep"})
    assert (await office.told(answer, "Policy", 200))["aboveCap"] == "keep"


async def test_many_recordings_leave_by_two_and_a_few_by_one(
    office: Any, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    """Small exports of a day count together."""
    first, second = office.stored(), office.stored()
    policies.set_policy(office.house.operator, office.tenant.id, exports_alone_max=1)
    body = {"reference": "12", "purpose": "Claim", "recordingIds": [first.id]}
    assert (await office.as_person("ella", "POST", "/v1/exports", body)).status == 202
    assert deferred.pop()[0] == jobs.EXPORT
    answer = await office.as_person("ella", "POST", "/v1/exports", {**body, "recordingIds": [second.id]})
    made = await proposed(office, answer)
    assert made["parameters"]["recordings"] == 1
    assert deferred == []
    assert len(exports.page(office.house.portal, office.tenant.id).items) == 1
    assert await decided(office, "ella", made) == 403
    assert await decided(office, "boss", made) == 201
    made_of = {each.recording_ids: each for each in exports.page(office.house.portal, office.tenant.id).items}
    export = made_of[second.id,]
    assert export.user_id == office.people["ella"].id
    assert deferred == [(jobs.EXPORT, {"tenant_id": office.tenant.id, "export_id": export.id})]
    assert office.events(f"export:{export.id}") == [("export.asked", "ok")]


async def test_a_recording_goes_before_its_term_by_two(
    office: Any, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    recording = office.stored()
    path = f"/v1/recordings/{recording.id}/destruction"
    await office.problem(await office.as_person("ella", "POST", path, {"reason": "x"}), 403)
    made = await proposed(office, await office.as_person("boss", "POST", path, {"reason": "Verzoek"}))
    assert made["reason"] == "Verzoek"
    assert await decided(office, "ella", made) == 201
    assert deferred == [(jobs.EXPIRY_BATCH, {"tenant_id": office.tenant.id})]
    assert office.events(f"recording:{recording.id}")[-1] == ("recording.trashed", "ok")
    await office.problem(
        await office.as_person("boss", "POST", f"/v1/recordings/{NOTHING}/destruction", {"reason": "x"}), 404
    )


async def test_what_is_held_is_neither_proposed_nor_approved(
    office: Any, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    """A hold between proposal and approval answers 409, and the proposal waits on."""
    recording = office.stored()
    path = f"/v1/recordings/{recording.id}/destruction"
    made = await proposed(office, await office.as_person("boss", "POST", path, {"reason": "x"}))
    scope = AccessScope(office.tenant.id, "api-client:x", scopes=frozenset({Scope.HOLDS}))
    with office.house.portal.transaction(office.tenant.id) as connection:
        case_id = cases.open_case(connection, scope, "Claim", "x", now=office.now)
        cases.add_one(connection, scope, case_id, recording.id, now=office.now)
    assert await decided(office, "ella", made) == 409
    found = await office.read(f"/v1/approvals/{made['id']}", "Approval", key="boss")
    assert found["state"] == "waiting"
    assert ("proposal.approved", "refused") in office.events(f"proposal:{made['id']}")
    assert deferred == []
    assert await decided(office, "ella", made, "refusal") == 201
    answer = await office.as_person("boss", "POST", path, {"reason": "x"})
    await office.problem(answer, 409)


async def test_a_user_sees_nothing_of_it(office: Any) -> None:
    await office.problem(await office.as_person("anna", "GET", "/v1/approvals"), 403)


def test_only_a_known_operator_proposes_keys(office: Any) -> None:
    wanted = Wanted(Kind.KEY_DESTRUCTION, "kek:x", {"day": "2027-01-01"})
    boss = AccessScope(office.tenant.id, f"user:{office.boss.id}", Role.ADMINISTRATOR, UserId(office.boss.id))
    with pytest.raises(Refused), office.house.portal.transaction(office.tenant.id) as connection:
        proposals.propose(connection, boss, wanted, now=office.now)
    with pytest.raises(Refused), office.house.portal.transaction(office.tenant.id) as connection:
        proposals.propose_as_operator(connection, office.tenant.id, boss.actor, wanted, now=office.now)
    assert issubclass(NotDecidable, Conflict)


async def test_a_legal_duty_ends_when_somebody_of_the_customer_approves_what_the_operator_proposed(
    office: Any,
) -> None:
    """Until then it is in force; the page says which law it is and what follows."""
    tenant_id = office.tenant.id
    with office.house.operator.transaction(tenant_id) as connection:
        classes = [RetentionClass.YEARS_7_1000]
        duty = legal_duties.register(connection, tenant_id, "Wft 4:14", classes, "operator:0", office.now)
        wanted = Wanted(Kind.DUTY_END, f"duty:{duty.id}", {"law": duty.law, "classes": ["7y-1000"]}, "over")
        made = proposals.propose_as_operator(connection, tenant_id, "operator:0", wanted, now=office.now)
    text = await office.opened("ella", "/approvals")
    assert "Een wettelijke bewaarplicht beëindigen" in text
    assert "Wft 4:14" in text
    assert RetentionClass.YEARS_7_1000 in legal_duties.classes_in_force(office.house.portal, tenant_id)
    assert (await office.posted("ella", f"/approvals/{made.id}/approval")).status == 303
    assert legal_duties.classes_in_force(office.house.portal, tenant_id) == frozenset()
    (ended,) = [each for each in office.log(f"duty:{duty.id}") if each.action == "duty.ended"]
    assert ended.body["proposedBy"] == "operator:0"


async def test_operators_are_one_hand_whatever_account_of_the_machine_they_use(office: Any) -> None:
    """Who was added by a command of one account approves nothing a command of another one proposes."""
    tenant_id, now = office.tenant.id, office.now
    added = {"actor": "operator:998", "action": "user.added", "object": f"user:{office.people['ella'].id}"}
    audit = AuditWriter(office.house.operator, "cli/one")
    with audit.transaction(tenant_id) as connection:
        audit.append(connection, tenant_id=tenant_id, at=now, **added)
    with office.house.operator.transaction(tenant_id) as connection:
        wanted = Wanted(Kind.KEY_DESTRUCTION, f"kek:{tenant_id}/2027-01-01", {"day": "2027-01-01"})
        made = proposals.propose_as_operator(connection, tenant_id, "operator:0", wanted, now=now)
    path = f"/v1/approvals/{made.id}/approval"
    refused = await office.as_person("ella", "POST", path)
    assert (await office.problem(refused, 403))["detail"].startswith("One of you let the other in")
    assert (await office.as_person("carl", "POST", path)).status == 201


async def test_on_the_pages_two_people_see_and_do_it(office: Any) -> None:
    assert "Er wacht niets op jou" in await office.opened("ella", "/approvals")
    person = f"/admin/users/{office.anna.id}"
    assert (await office.posted("boss", f"{person}/profile", role="auditor")).status == 303
    assert "De rol auditor wacht op een tweede persoon" in await office.opened("boss", person)
    mine = await office.opened("boss", "/approvals")
    assert "anna wordt: auditor" in mine
    assert "Intrekken" in mine
    assert "Dit goedkeuren?" not in mine
    assert "Dit goedkeuren?" in await office.opened("ella", "/approvals")
    (made,) = (await office.read("/v1/approvals", "ApprovalPage", key="boss"))["items"]
    answer = await office.posted("boss", f"/approvals/{made['id']}/approval")
    assert answer.status == 409
    assert "Iemand anders moet hierover beslissen" in await answer.text()
    assert (await office.posted("ella", f"/approvals/{made['id']}/approval")).status == 303
    assert role_of(office, "anna") is Role.AUDITOR
    assert "Goedgekeurd" in await office.opened("boss", "/approvals")
    assert (await office.posted("carl", f"/approvals/{made['id']}/approval")).status == 409


async def test_settings_of_before_write_over_nothing_and_what_was_typed_stays_after_a_fault(
    office: Any,
) -> None:
    """A page that was open since yesterday would take back what a colleague decided today."""
    form = {"above_cap": "keep", "exports_alone_max": "50", "trash_days": "9", "keep_grace_h": "12"}
    page = await office.opened("boss", "/admin/policies")
    (seen,) = re.findall(r'action="/admin/policies/keeping">.*?name="seen" value="([^"]*)"', page)
    wrong = await office.posted("boss", "/admin/policies/keeping", **{**form, "exports_alone_max": "many"})
    assert wrong.status == 400
    assert re.search(
        r'name="keep_grace_h"[^>]*value="12"|value="12"[^>]*name="keep_grace_h"', await wrong.text()
    )
    policies.set_policy(office.house.operator, office.tenant.id, keep_grace_h=48)
    late = await office.posted("boss", "/admin/policies/keeping", seen=seen, **form)
    text = await late.text()
    assert (late.status, "Iemand anders" in text, 'value="48"' in text) == (409, True, True)
    assert policies.policy_of(office.house.portal, office.tenant.id).keep_grace_h == 48
    (seen,) = re.findall(r'action="/admin/policies/keeping">.*?name="seen" value="([^"]*)"', text)
    assert (await office.posted("boss", "/admin/policies/keeping", seen=seen, **form)).status == 303
    assert policies.policy_of(office.house.portal, office.tenant.id).keep_grace_h == 12


async def test_settings_that_keep_less_wait_on_their_page(office: Any) -> None:
    form = {"above_cap": "stop", "exports_alone_max": "500", "trash_days": "7", "keep_grace_h": "0"}
    assert (await office.posted("boss", "/admin/policies/keeping", **form)).headers[
        "Location"
    ] == "/approvals"
    assert (await office.posted("boss", "/admin/policies/keeping", **form)).status == 409
    assert "Niet opnemen" in await office.opened("carl", "/admin/policies")
    assert "500" in await office.opened("carl", "/approvals")
    less = {"above_cap": "keep", "exports_alone_max": "10", "trash_days": "7", "keep_grace_h": "0"}
    answer = await office.posted("boss", "/admin/policies/keeping", **less)
    assert answer.headers["Location"] == "/admin/policies"
    wrongs = {"exports_alone_max": "10001", "trash_days": "31", "keep_grace_h": "73"}
    for field, beyond in wrongs.items():
        for wrong in ("", "x", beyond, "-1", "\u00b2"):
            answer = await office.posted("boss", "/admin/policies/keeping", **{**less, field: wrong})
            assert answer.status == 400, (field, wrong)
            (faulty,) = [
                each for each in (await answer.text()).split("<input") if 'aria-invalid="true"' in each
            ]
            assert f'name="{field}"' in faulty
    (made,) = (await office.read("/v1/approvals?waiting=1", "ApprovalPage", key="boss"))["items"]
    assert (await office.posted("boss", f"/approvals/{made['id']}/withdrawal")).status == 303
    assert policies.policy_of(office.house.portal, office.tenant.id).exports_alone_max == 10


async def test_a_recording_is_proposed_by_its_id_or_address(office: Any) -> None:
    recording = office.stored()
    for text, status in (
        ("x", 409),
        (NOTHING, 409),
        (f"https://here.example/recordings/{recording.id}", 303),
    ):
        answer = await office.posted("boss", "/approvals/destructions", recording=text, reason="Verzoek")
        assert answer.status == status
    assert "Verzoek" in await office.opened("ella", "/approvals")
    assert "tweede persoon zijn" not in await office.opened("ella", "/approvals")
    (made,) = (await office.read("/v1/approvals?waiting=1", "ApprovalPage", key="boss"))["items"]
    assert (await office.posted("carl", f"/approvals/{made['id']}/refusal")).status == 303


async def test_a_release_that_waits_is_pointed_to(office: Any) -> None:
    ella = AccessScope(
        office.tenant.id, f"user:{office.people['ella'].id}", Role.AUDITOR, office.people["ella"].id
    )
    with office.house.portal.transaction(office.tenant.id) as connection:
        case_id = cases.open_case(connection, ella, "Jansen", "x", now=office.now)
        cases.ask_release(connection, ella, case_id, "Geschikt", now=office.now)
    assert f'href="/cases/{case_id}"' in await office.opened("boss", "/approvals")
    assert f'href="/cases/{case_id}"' not in await office.opened("ella", "/approvals")


async def test_with_one_person_of_power_the_page_says_who_helps(office: Any) -> None:
    for login in ("carl", "ella"):
        directory.set_user(office.house.operator, office.tenant.id, login, now=office.now, role=Role.USER)
    assert "kan een auditor toevoegen" in await office.opened("boss", "/approvals")


async def trashed(office: Any, **body: Any) -> Any:
    """Let two people agree that a recording goes before its term, and return it."""
    recording = office.stored()
    path = f"/v1/recordings/{recording.id}/destruction"
    made = await proposed(office, await office.as_person("boss", "POST", path, {"reason": "Verzoek", **body}))
    assert await decided(office, "ella", made) == 201
    return recording


async def test_what_two_let_go_waits_in_the_trash_and_is_put_back(office: Any) -> None:
    recording = await trashed(office)
    found = (await office.read("/v1/trash", "TrashedRecordingPage", key="boss"))["items"]
    (waiting,) = [each for each in found if each["recordingId"] == recording.id]
    assert (waiting["reason"], waiting["onHold"]) == ("Verzoek", False)
    assert waiting["approvedBy"] == f"user:{office.people['ella'].id}"
    assert waiting["destroyedFrom"] == time_of(office.now + timedelta(days=7))
    await office.problem(await office.as_person("ella", "GET", "/v1/trash"), 403)
    answer = await office.as_person("ella", "DELETE", f"/v1/trash/{recording.id}")
    await office.problem(answer, 403)
    assert (await office.as_person("boss", "DELETE", f"/v1/trash/{recording.id}")).status == 204
    assert office.events(f"recording:{recording.id}")[-1] == ("recording.put-back", "ok")
    await office.problem(await office.as_person("boss", "DELETE", f"/v1/trash/{recording.id}"), 404)
    found = (await office.read("/v1/trash", "TrashedRecordingPage", key="boss"))["items"]
    assert recording.id not in {each["recordingId"] for each in found}


async def test_an_erasure_the_law_asks_for_does_not_wait(office: Any) -> None:
    recording = await trashed(office, atOnce=True)
    found = (await office.read("/v1/trash", "TrashedRecordingPage", key="boss"))["items"]
    (waiting,) = [each for each in found if each["recordingId"] == recording.id]
    assert waiting["destroyedFrom"] == waiting["trashedAt"]


async def test_the_page_of_the_trash_counts_down_and_puts_back(office: Any) -> None:
    recording = await trashed(office)
    page = await office.opened("boss", "/admin/trash")
    assert f'id="row-{recording.id}"' in page
    assert "nog 7 dagen" in page
    assert "Terugzetten" in page
    shown = await office.opened("ella", f"/recordings/{recording.id}")
    assert "In de prullenbak" in shown
    assert "/admin/trash" not in shown, "an auditor puts nothing back"
    assert (await office.posted("ella", f"/admin/trash/{recording.id}/return")).status == 403
    assert (await office.posted("boss", f"/admin/trash/{recording.id}/return")).status == 303
    assert "In de prullenbak" not in await office.opened("ella", f"/recordings/{recording.id}")
    answer = await office.posted("boss", f"/admin/trash/{recording.id}/return")
    assert answer.status == 409
    assert "niet (meer) in de prullenbak" in await answer.text()


async def test_fewer_days_in_the_trash_take_two_people_and_more_take_one(office: Any) -> None:
    answer = await office.as_person("boss", "PATCH", "/v1/policy", {"trashDays": 30})
    assert (await office.told(answer, "Policy", 200))["trashDays"] == 30
    made = await proposed(office, await office.as_person("boss", "PATCH", "/v1/policy", {"trashDays": 1}))
    assert policies.policy_of(office.house.portal, office.tenant.id).trash_days == 30
    assert await decided(office, "carl", made) == 201
    assert policies.policy_of(office.house.portal, office.tenant.id).trash_days == 1
