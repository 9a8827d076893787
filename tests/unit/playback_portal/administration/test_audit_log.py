"""The audit log of a tenant over HTTP: found by what was asked, as a file, with proofs; and its page."""

from __future__ import annotations

import base64
import csv
import html
import io
import re
from datetime import timedelta
from typing import Any

import pytest

from archive.access import Scope
from archive.audit import AuditWriter
from archive.catalogue import accounts, directory, legal_duties, worm_proofs
from archive.catalogue.worm_proofs import WormProof
from archive.model import RetentionClass, Role, TenantId
from archive.store.memory import MemoryStore
from archive.transparency.sequencer import Custody, Sequencer
from archive.transparency.tree import leaf_hash, verify_inclusion
from keys.signing_key import SigningKey
from playback_portal.deeds import DEEDS
from playback_portal.routes import ROUTES
from retention.audit_bodies import AuditBodies

ENTRIES = "/v1/audit/entries"


class StillClock:
    def __init__(self, moment: Any) -> None:
        self.moment = moment

    def now(self) -> Any:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


def write(office: Any, count: int, *, tenant_id: str = "", **more: Any) -> None:
    """Append entries to the tenant's log, a minute apart, the last one now."""
    writer, own = (
        AuditWriter(office.house.portal, f"portal/{office.tenant.domain}"),
        tenant_id or office.tenant.id,
    )
    fields = {
        "actor": f"user:{office.anna.id}",
        "action": "recording.played",
        "object": "recording:1",
        **more,
    }
    for number in range(count):
        at = office.now - timedelta(minutes=count - 1 - number)
        with writer.transaction(TenantId(own)) as connection:
            writer.append(connection, tenant_id=TenantId(own), at=at, **fields)


def seal(office: Any) -> SigningKey:
    """Seal the whole log as the worker would."""
    key = SigningKey(bytes(32))
    audit = AuditWriter(office.house.worker, "worker/test")
    clock = StillClock(office.now)
    custody = Custody(timedelta(days=1), "GOVERNANCE")
    if not hasattr(office.house, "bucket"):
        office.house.bucket = MemoryStore(clock)
    Sequencer(
        office.house.worker, office.house.bucket, lambda: key, audit, clock, custody, "earwitness/x"
    ).round()
    return key


def own(found: Any) -> list[Any]:
    """Leave out what reading the log itself wrote."""
    return [item for item in found["items"] if not item["action"].startswith("audit.")]


async def test_entries_come_newest_first_and_page_by_page(office: Any) -> None:
    write(office, 5)
    found, cursor = [], ""
    while True:
        page = await office.read(
            f"{ENTRIES}?limit=2&to=2100-01-01&action=recording.played{cursor}", "LogEntryPage", key="boss"
        )
        found += page["items"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert [item["sequence"] for item in found] == [5, 4, 3, 2, 1]
    assert len({item["id"] for item in found}) == 5
    assert {item["object"] for item in found} == {"recording:1"}


@pytest.mark.parametrize(
    ("query", "sequences"),
    [
        ("action=recording.played", [2, 1]),
        ("object=recording:2", [3]),
        ("result=refused", [4]),
        ("actor=service:worker", [5]),
        ("actor=user:nobody", []),
    ],
)
async def test_filters_keep_what_was_asked_for(office: Any, query: str, sequences: list[int]) -> None:
    write(office, 2)
    write(office, 1, object="recording:2", action="recording.exported")
    write(office, 1, action="share.added", result="refused")
    write(office, 1, actor="service:worker", action="share.ended")
    found = await office.read(f"{ENTRIES}?{query}", "LogEntryPage", key="boss")
    assert [item["sequence"] for item in own(found)] == sequences


async def test_a_period_is_bounded_on_both_sides(office: Any) -> None:
    write(office, 5)
    since, until = (office.now - timedelta(minutes=m) for m in (3, 1))
    query = {"from": since.isoformat(), "to": until.isoformat()}
    answer = await office.send("GET", ENTRIES, key="boss", params=query)
    assert [item["sequence"] for item in own(await answer.json())] == [3, 2]


async def test_only_who_answers_for_the_tenant_reads_it_and_only_of_that_tenant(office: Any) -> None:
    """A user does not, whatever their key may do; of another tenant nothing is there."""
    write(office, 1)
    write(office, 1, tenant_id=office.house.stranger_id)
    assert (await office.send("GET", ENTRIES, key="anna")).status == 403
    assert (await office.send("GET", ENTRIES, key="reader")).status == 403
    key = accounts.add_api_client(
        office.house.operator, office.tenant.id, "log", (Scope.AUDIT_READ,), now=office.now
    )
    office.keys["log"] = key.key
    assert [item["sequence"] for item in own(await office.read(ENTRIES, "LogEntryPage", key="log"))] == [1]


async def test_looking_at_the_log_stands_in_the_log(office: Any) -> None:
    await office.read(f"{ENTRIES}?action=recording.played", "LogEntryPage", key="boss")
    assert ("audit.listed", "ok") in office.events("audit")


@pytest.mark.parametrize(
    "query",
    ["cursor=x", "cursor=WzEsMiwzXQ", "limit=0", "from=soon", "format=xml", "who=anna", f"actor={'x' * 600}"],
)
async def test_what_is_wrong_with_a_question_is_told(office: Any, query: str) -> None:
    await office.problem(await office.send("GET", f"{ENTRIES}?{query}", key="boss"), 400)


async def test_as_a_file_no_cell_is_a_formula(office: Any) -> None:
    write(office, 3, actor="=HYPERLINK(1)", body={"purpose": "+klacht"})
    answer = await office.send("GET", f"{ENTRIES}?format=csv&limit=1&action=recording.played", key="boss")
    assert answer.content_type == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO((await answer.read()).decode("utf-8-sig"), newline="")))
    assert len(rows) == 3, "a file is the whole period, not a page"
    assert {row["actor"] for row in rows} == {"'=HYPERLINK(1)"}
    assert {row["purpose"] for row in rows} == {"'+klacht"}


async def test_a_file_of_too_many_entries_is_refused(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from playback_portal import audit

    write(office, 4)
    monkeypatch.setattr(audit, "CSV_ROWS_MAX", 3)
    query = f"{ENTRIES}?format=csv&action=recording.played"
    await office.problem(await office.send("GET", query, key="boss"), 400)
    monkeypatch.setattr(audit, "CSV_ROWS_MAX", 4)
    assert (await office.send("GET", query, key="boss")).status == 200


async def test_an_entry_is_proved_once_it_was_sealed(office: Any) -> None:
    """A6: the way from its own text up to the signed checkpoint; of others, hashes alone."""
    write(office, 3)
    page = await office.read(f"{ENTRIES}?action=recording.played", "LogEntryPage", key="boss")
    path = f"{ENTRIES}/{page['items'][1]['id']}/proof"
    await office.problem(await office.send("GET", path, key="boss"), 409)
    seal(office)
    proof = await office.read(path, "LogEntryProof", key="boss")
    root = base64.b64decode(proof["checkpoint"].split("\n")[2])
    steps = [bytes.fromhex(step) for step in proof["path"]]
    assert verify_inclusion(leaf_hash(proof["leaf"].encode()), proof["index"], proof["size"], steps, root)
    assert proof["leaf"].startswith("2 ")
    assert all(re.fullmatch("[0-9a-f]{64}", step) for step in proof["path"])


async def test_the_proof_of_a_strangers_entry_is_not_there(office: Any) -> None:
    write(office, 1, tenant_id=office.house.stranger_id)
    theirs = f"1 portal/{office.tenant.domain}"
    name = base64.urlsafe_b64encode(theirs.encode()).decode().rstrip("=")
    for entry in (name, "x", "%20", "MSAx", "e" * 3000):
        await office.problem(await office.send("GET", f"{ENTRIES}/{entry}/proof", key="boss"), 404)


async def shown(office: Any, query: str = "", key: str = "boss") -> str:
    answer = await office.send("GET", f"/admin/audit?{query}", key=key, headers={"Accept-Language": "nl"})
    assert answer.status == 200, await answer.text()
    return html.unescape(await answer.text())


async def test_the_page_names_people_and_deeds_in_words(office: Any) -> None:
    write(office, 1, body={"purpose": "Coaching"})
    write(office, 1, result="refused")
    text = await shown(office)
    assert "Auditlogboek" in text
    assert ">anna" in text
    assert "beluisterde" in text or "luisterde" in text
    assert "reden: Coaching" in text
    assert "Geweigerd" in text
    assert "Download" in text
    assert "bekeek het auditlogboek" in await shown(office)


async def test_an_entry_whose_details_were_erased_is_shown_as_such(office: Any) -> None:
    """By the page, and by the API as null; who did what, and when, is still there."""
    write(office, 1, body={"purpose": "Coaching"})
    text = await shown(office)
    assert "Nog niets gewist" in text
    assert "Details gewist" not in text
    later = office.now + timedelta(days=366)
    audit = AuditWriter(office.house.worker, "worker/test")
    AuditBodies(audit, StillClock(office.now), lambda: later, 365).batch(office.tenant.id, None)
    write(office, 1, body={"purpose": "Klacht"})
    text = await shown(office)
    assert "Details gewist" in text
    assert "Coaching" not in text
    assert "reden: Klacht" in text
    assert "Gewist van" in text
    assert "wiste details van dit logboek" in text
    answer = await office.send("GET", f"{ENTRIES}?action=recording.played", key="boss")
    told = [each["details"] for each in (await answer.json())["items"]]
    assert None in told
    assert {"purpose": "Klacht"} in told


async def test_only_who_reads_all_recordings_is_led_to_them(office: Any) -> None:
    """An administrator sees that something was done with a recording, and gets no way that ends at a wall."""
    write(office, 1)
    assert 'href="/recordings/1"' not in await shown(office)
    otto = directory.add_user(
        office.house.operator, office.tenant.id, "otto", now=office.now, role=Role.AUDITOR
    )
    key = accounts.add_api_client(
        office.house.operator, office.tenant.id, "otto", tuple(Scope), now=office.now, user_id=otto.id
    )
    office.keys["otto"] = key.key
    assert 'href="/recordings/1"' in await shown(office, key="otto")


async def test_the_page_filters_by_name_day_deed_and_result_and_the_file_does_too(office: Any) -> None:
    write(office, 2)
    write(office, 1, actor=f"user:{office.boss.id}", action="share.added")
    day = office.now.date().isoformat()
    text = await shown(office, f"who=anna&from={day}&to={day}&action=recording.played&result=ok")
    assert text.count("<tr><td") == 2
    (file,) = re.findall(r'href="(/v1/audit/entries\?format=csv[^"]*)"', text)
    answer = await office.send("GET", file, key="boss")
    assert (await answer.text()).count("recording.played") == 2
    assert "Geen regels gevonden" in await shown(office, "who=nobody")
    assert "Geen regels gevonden" not in await shown(office, "from=rubbish&action=rubbish&result=rubbish")


async def test_the_page_goes_on_to_older_entries(office: Any) -> None:
    write(office, 60)
    text = await shown(office, "action=recording.played")
    assert text.count("<tr><td") == 50
    (older,) = re.findall(r'href="/admin/audit\?([^"]*cursor=[^"]*)"', text)
    text = await shown(office, older)
    assert text.count("<tr><td") == 10
    assert 'href="/admin/audit?action=recording.played"' in text
    answer = await office.send("GET", "/admin/audit?cursor=rubbish", key="boss", allow_redirects=False)
    assert answer.status == 303


async def test_users_find_no_audit_page_and_no_way_to_it(office: Any) -> None:
    assert (await office.send("GET", "/admin/audit", key="anna")).status == 403
    assert 'href="/admin/audit"' in await shown(office)


async def test_the_page_tells_what_is_known_of_the_storage(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lock and custody apart, the duties of this organisation, and what is damaged."""
    with monkeypatch.context() as before:
        # What another test of this house kept stands there.
        before.setattr(worm_proofs, "newest", lambda _: None)
        text = await shown(office)
    assert "Nog niet beproefd" in text
    assert "Geen geregistreerd" in text
    fault = "minio shorten: a lock under COMPLIANCE was shortened"
    with office.house.operator.transaction(office.tenant.id) as connection:
        worm_proofs.keep(connection, WormProof("localhost/x", office.now, False, "no", (fault,)))
        classes = [RetentionClass.YEARS_7_1000]
        legal_duties.register(connection, office.tenant.id, "Wft 4:14", classes, "operator:0", office.now)
    text = await shown(office)
    assert "Niet bewezen" in text
    assert fault in text
    assert "Wft 4:14" in text
    assert "Wie de opslag beheert kan bestanden weghalen" in text
    with office.house.operator.transaction() as connection:
        worm_proofs.keep(connection, WormProof("localhost/x", office.now, True, "no", ()))
    assert "Bewezen" in await shown(office)


def test_what_is_looked_at_and_decided_each_day_has_words() -> None:
    """A line of the log that says `rights.viewed` tells nothing to who answers for it."""
    told = {route.audit for route in ROUTES if route.path.startswith(("/admin/", "/v1/teams", "/v1/rights"))}
    assert {"rights.viewed", "policies.viewed", "teams.listed", "users.listed"} <= told
    daily = {
        "rights.changed",
        "proposal.approved",
        "proposal.made",
        "settings.changed",
        "recordings.labelled",
    }
    assert daily | {"rights.viewed", "policies.viewed", "teams.listed", "users.listed"} <= set(DEEDS)


def test_every_deed_of_live_calls_evaluations_and_ones_own_page_has_words() -> None:
    ours = ("/live", "/calls", "/v1/calls", "/evaluations", "/v1/evaluation", "/me", "/v1/me")
    told = {
        str(route.audit)
        for route in ROUTES
        if route.audit and (route.path.startswith(ours) or "/evaluations" in route.path)
    }
    assert told
    assert told <= set(DEEDS)
