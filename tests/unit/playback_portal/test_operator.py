"""Operators: what they see of the instance is true, they hear nothing, and nobody else sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import delete, update

from archive.access import CLIENT_SCOPES, Scope
from archive.catalogue import (
    accounts,
    directory,
    moments,
    operation,
    recorder_nodes,
    retention_figures,
    scrubs,
    sessions,
    tables,
    worm_proofs,
)
from archive.catalogue.moments import Moment
from archive.catalogue.recorder_nodes import Condition
from archive.catalogue.retention_figures import Figure, Reading
from archive.catalogue.scrubs import Progress
from archive.catalogue.worm_proofs import WormProof
from archive.model import OutcomeKind, Role, SessionId, SessionOutcome, TenantId, User, new_id
from playback_portal.app import create_app
from playback_portal.exposure import Exposure
from playback_portal.routes import ROUTES
from tests.unit.playback_portal.conftest import NOW

OPERATION = [route for route in ROUTES if route.permission is Scope.OPERATION]
GUARDED = [route for route in ROUTES if route.permission is not None]
ALLOWED = {Scope.OPERATION, Scope.SETTINGS}
PAGES = ("/operator", "/operator/tenants", "/operator/nodes", "/operator/peers", "/operator/sessions")


@pytest.fixture(scope="module")
def sre(house: Any) -> User:
    provider = directory.add_tenant(house.operator, "Aanbieder", "provider.example", now=NOW, operates=True)
    return directory.add_user(house.operator, provider.id, "sre", now=NOW, role=Role.OPERATOR, access="none")


@pytest.fixture
def told(house: Any) -> Iterator[None]:
    """Begin without recorders that other tests had, and leave none."""

    def forget() -> None:
        with house.worker.transaction() as connection:
            connection.execute(delete(tables.recorder_nodes))

    forget()
    yield
    forget()


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no session have ended lately: other tests leave some in the house."""
    monkeypatch.setattr(operation, "outcomes", lambda *_: dict.fromkeys(OutcomeKind, 0))


def grown_silent(house: Any, *nodes: str) -> None:
    """Let recorders have said nothing for a minute."""
    columns = tables.recorder_nodes.c
    earlier = {"heard_at": columns.heard_at - timedelta(minutes=1)}
    with house.recorder.transaction() as connection:
        connection.execute(update(tables.recorder_nodes).where(columns.node.in_(nodes)).values(earlier))


class Desk:
    """The browser and the programs of an operator."""

    def __init__(self, client: TestClient[Any, Any], house: Any, headers: dict[str, str]) -> None:
        self.client, self.house = client, house
        self.headers = {**headers, "Accept-Language": "en"}

    async def page(self, path: str, status: int = 200) -> str:
        answer = await self.client.get(path, headers=self.headers, allow_redirects=False)
        text = await answer.text()
        assert answer.status == status, text
        return text

    async def document(self, path: str) -> Any:
        answer = await self.client.get(path, headers=self.headers)
        assert answer.status == 200, await answer.text()
        return await answer.json()


@pytest.fixture
async def desk(house: Any, sre: User, told: None) -> Any:
    async with TestClient(TestServer(create_app(house.services()))) as client:
        yield Desk(client, house, house.signed_in(sre))


def offered(house: Any, tenant_id: TenantId | None, call_id: str, **changes: Any) -> SessionOutcome:
    fields = {
        "kind": OutcomeKind.RECORDED,
        "reason": "",
        "started_at": NOW - timedelta(minutes=30),
        **changes,
    }
    fields.setdefault("ended_at", fields["started_at"] + timedelta(minutes=1))
    outcome = SessionOutcome(
        SessionId(new_id(fields["started_at"])),
        call_id,
        tenant_id=tenant_id,
        trace=("users: geheim@acme.example",),
        **fields,
    )
    with house.recorder.transaction(tenant_id) as connection:
        sessions.insert_outcome(connection, outcome)
    return outcome


async def test_an_operator_reaches_their_own_rows_and_no_other(desk: Desk) -> None:
    """Every row of the table is asked: what is not theirs is refused before anything is looked for."""
    recording = desk.house.recordings["two-party"]
    for route in GUARDED:
        path = route.path.replace("{id}", recording.id)
        path = path.replace("{", "").replace("}", "")
        answer = await desk.client.request(
            route.method, path, headers=desk.headers, json={}, allow_redirects=False
        )
        if route.permission in ALLOWED:
            assert answer.status != 403 or route.permission is Scope.SETTINGS, (route.path, answer.status)
        else:
            assert answer.status == 403, (route.method, route.path, answer.status)
            assert b"fLaC" not in await answer.read()


@pytest.mark.parametrize("route", OPERATION, ids=lambda route: route.path)
async def test_nobody_else_reaches_what_is_an_operators(desk: Desk, route: Any) -> None:
    house = desk.house
    tenant = directory.add_tenant(house.operator, "x", f"{new_id(NOW)}.example", now=NOW)
    headers = [
        house.signed_in(directory.add_user(house.operator, tenant.id, role.value, now=NOW, role=role))
        for role in (Role.USER, Role.ADMINISTRATOR, Role.AUDITOR)
    ]
    ada = directory.add_user(house.operator, tenant.id, "ada", now=NOW, role=Role.ADMINISTRATOR)
    for user_id in (None, ada.id):
        made = accounts.add_api_client(
            house.operator, tenant.id, f"{user_id}", [*Scope], now=NOW, user_id=user_id
        )
        headers.append({"Authorization": f"Bearer {made.key}"})
    path = route.path.replace("{id}", house.recordings["two-party"].id)
    for each in headers:
        answer = await desk.client.request(route.method, path, headers=each, json={}, allow_redirects=False)
        assert answer.status == 403


async def test_an_operators_key_sees_the_figures_and_plays_nothing(desk: Desk, sre: User) -> None:
    made = accounts.add_api_client(
        desk.house.operator,
        sre.tenant_id,
        new_id(NOW),
        [*CLIENT_SCOPES, Scope.OPERATION],
        now=NOW,
        user_id=sre.id,
    )
    headers = {"Authorization": f"Bearer {made.key}"}
    assert (await desk.client.get("/v1/operator/status", headers=headers)).status == 200
    for path in (
        "/v1/recordings",
        f"/v1/recordings/{desk.house.recordings['two-party'].id}/audio",
        "/v1/calls",
    ):
        assert (await desk.client.get(path, headers=headers)).status == 403


async def test_an_operator_who_signs_in_lands_on_the_status(desk: Desk) -> None:
    answer = await desk.client.get("/", headers=desk.headers, allow_redirects=False)
    assert answer.headers["Location"] == "/operator"
    page = await desk.page("/operator")
    for path in PAGES:
        assert f'href="{path}"' in page
    for path in ("/recordings", "/live", "/admin/users"):
        assert f'href="{path}"' not in page


async def test_what_nobody_told_is_unknown_and_never_0(
    desk: Desk, calm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moments, "known", lambda _: {})
    monkeypatch.setattr(worm_proofs, "newest", lambda _: None)
    monkeypatch.setattr(scrubs, "progress", lambda _: None)
    monkeypatch.setattr(retention_figures, "read", lambda _: {})
    known = await desk.document("/v1/operator/status")
    unknown = {
        "recordings",
        "waiting",
        "waitingSince",
        "countedAt",
        "rootKeySince",
        "oldestKekExpires",
        "backupAt",
        "lockTriedAt",
        "lockProved",
        "scrubCountedAt",
        "scrubRecordings",
        "scrubOverdue",
        "scrubFindings",
    }
    assert {name for name in known if known[name] is None} == unknown
    assert (known["recorded"], known["recorders"], known["certificates"]) == ("unknown", 0, [])
    assert known["retention"] == {}
    page = await desk.page("/operator")
    assert 'data-verdict="unknown"' in page
    assert page.count("unknown") >= len(unknown) - 3


async def test_each_figure_is_what_was_told(desk: Desk, calm: None) -> None:
    house = desk.house
    ended = NOW - timedelta(minutes=3)
    recorder_nodes.beat(
        house.recorder, "one", Condition("1.2.3", 4, 2, ended, 4_000_000, NOW - timedelta(hours=1), "")
    )
    recorder_nodes.beat(house.recorder, "two", Condition("1.2.3", 1, 0, None, 0, None, ""))
    moments.tell(
        house.worker,
        "",
        {
            Moment.SIGNING_CERTIFICATE_ENDS: NOW + timedelta(days=200),
            Moment.STAMPING_CERTIFICATE_ENDS: None,
            Moment.ROOT_KEY_SINCE: NOW - timedelta(days=90),
            Moment.OLDEST_KEK_EXPIRES: NOW + timedelta(days=1),
        },
        NOW,
    )
    moments.tell(house.recorder, "one", {Moment.SIP_CERTIFICATE_ENDS: NOW + timedelta(days=12, hours=1)}, NOW)
    moments.tell(house.operator, "host", {Moment.BACKUP_MADE: NOW - timedelta(hours=5)}, NOW)
    with house.worker.transaction() as connection:
        # Newer than what other tests found of a bucket.
        worm_proofs.keep(connection, WormProof("here", NOW + timedelta(days=2), True, "none", ()))
    scrubs.keep_progress(house.worker, Progress(70, 1, NOW - timedelta(days=91), 2), NOW)
    retention_figures.keep(house.worker, {Figure.OVERDUE: 3, Figure.SWEEP: 0, Figure.COUNTED: 0}, NOW)
    known = await desk.document("/v1/operator/status")
    assert (known["recorded"], known["troubles"]) == ("yes", [])
    assert (known["recorders"], known["recordersThere"], known["recordings"]) == (2, 2, 5)
    assert (known["waiting"], known["waitingSince"]) == (2, "2026-11-22T09:27:00.123Z")
    assert {(each["name"], each["node"], each["days"]) for each in known["certificates"]} == {
        ("sip-certificate-ends", "one", 12),
        ("signing-certificate-ends", None, 200),
    }
    assert known["rootKeySince"] == "2026-08-24T09:30:00.123Z"
    assert known["backupAt"] == "2026-11-22T04:30:00.123Z"
    assert (known["lockProved"], known["lockTriedAt"]) == (True, "2026-11-24T09:30:00.123Z")
    assert (known["scrubRecordings"], known["scrubOverdue"], known["scrubFindings"]) == (70, 1, 2)
    assert known["retention"]["overdue-recordings"]["value"] == 3
    page = await desk.page("/operator")
    assert 'data-verdict="yes"' in page
    assert (
        "none of its own" in page
    )  # the portal of the tests has no certificate, and no time-stamps are used
    nodes = (await desk.document("/v1/operator/nodes"))["items"]
    assert [(each["name"], each["version"], each["journalBytes"]) for each in nodes] == [
        ("one", "1.2.3", 4_000_000),
        ("two", "1.2.3", 0),
    ]
    page = await desk.page("/operator/nodes")
    assert "4.0 MB" in page or "4,0 MB" in page


async def test_why_not_everything_is_recorded_is_told(desk: Desk, calm: None) -> None:
    house = desk.house
    recorder_nodes.beat(house.recorder, "one", Condition(unready_reason="draining"))
    assert (await desk.document("/v1/operator/status"))["troubles"] == ["recorder-unready"]
    recorder_nodes.beat(house.recorder, "one", Condition(unready_reason=""))
    recorder_nodes.beat(house.recorder, "two", Condition(unready_reason=""))
    grown_silent(house, "two")
    known = await desk.document("/v1/operator/status")
    assert (known["recorded"], known["troubles"]) == ("no", ["recorder-silent"])
    assert "silent" in await desk.page("/operator/nodes")
    grown_silent(house, "one")
    assert (await desk.document("/v1/operator/status"))["troubles"] == ["no-recorder"]
    page = await desk.page("/operator")
    assert 'data-verdict="no"' in page


async def test_a_long_call_that_failed_just_now_says_that_not_everything_is_recorded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began before the hour that counts; one that ended before it, and began then, says nothing of now."""
    house = desk.house
    outcomes = operation.outcomes
    before = outcomes(house.portal, *_asked(desk))
    offered(house, house.tenant_id, "brief", kind=OutcomeKind.FAILED, started_at=NOW - timedelta(hours=3))
    assert outcomes(house.portal, *_asked(desk)) == before
    began = NOW - timedelta(hours=3)
    offered(house, None, "long", kind=OutcomeKind.FAILED, started_at=began, ended_at=NOW)
    after = outcomes(house.portal, *_asked(desk))
    assert after[OutcomeKind.FAILED] == before[OutcomeKind.FAILED] + 1
    assert "sessions-failed" in (await desk.document("/v1/operator/status"))["troubles"]


def _asked(desk: Desk) -> tuple[Any, Any]:
    """Return who asks for the outcomes of an hour."""
    sre = next(
        each
        for tenant in directory.list_tenants(desk.house.operator)
        if tenant.operates
        for each in directory.list_users(desk.house.operator, tenant.id)
    )
    return accounts.scope_of_user(desk.house.portal, sre.tenant_id, sre.id), NOW - timedelta(hours=1)


async def test_what_a_dead_recorder_took_along_is_waited_for(desk: Desk, calm: None) -> None:
    """Its calls are recorded no more and archived by nobody; its certificate is no longer anybody's."""
    house = desk.house
    recorder_nodes.beat(house.recorder, "one", Condition("1", 4, 2, None, 0, None, ""))
    recorder_nodes.beat(house.recorder, "two", Condition("1", 1, 1, None, 0, None, ""))
    for node in ("one", "gone"):
        moments.tell(house.recorder, node, {Moment.SIP_CERTIFICATE_ENDS: NOW + timedelta(days=9)}, NOW)
    grown_silent(house, "one")
    known = await desk.document("/v1/operator/status")
    assert (known["recordings"], known["waiting"]) == (1, 7)
    assert [each["node"] for each in known["certificates"] if each["name"].startswith("sip")] == ["one"]
    page = await desk.page("/operator/nodes")
    assert re.findall(r'Recordings being made">(.*?)</td>', page) == [
        '<span class="muted">unknown</span>',
        "1",
    ]


async def test_figures_nobody_counts_any_more_are_unknown_and_a_standstill_is_told(
    desk: Desk, calm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that died hours ago knows of no backlog of now; one that counts tells of clocks."""
    ages = {Figure.OVERDUE: 0, Figure.HOLDS_WAITING: 0, Figure.STUCK: 0, Figure.IDLE_KEYS_STUCK: 0}

    def counted(at: Any, **more: int) -> None:
        figures = {**ages, Figure.COUNTED: 0, **{Figure[name]: value for name, value in more.items()}}
        told = {figure: Reading(value, at, at if value else None) for figure, value in figures.items()}
        monkeypatch.setattr(retention_figures, "read", lambda _: told)

    counted(NOW - timedelta(hours=5), CLOCK_DISBELIEVED=1)
    page = await desk.page("/operator")
    assert len(re.findall(r"<dd><span class=\"muted\">unknown</span></dd>", page)) >= len(ages)
    assert "No clock is believed" not in page
    assert (await desk.document("/v1/operator/status"))["countedAt"] == "2026-11-22T04:30:00.123Z"
    late = page.partition("Last counted by a worker")[2].partition("</dd>")[0]
    assert "too long ago" in late
    counted(NOW - timedelta(minutes=4), CLOCK_DISBELIEVED=1)
    page = await desk.page("/operator")
    assert "No clock is believed" in page
    assert "too long ago" not in page.partition("Last counted by a worker")[2].partition("</dd>")[0]


async def test_a_store_that_is_away_is_told(house: Any, sre: User, told: None) -> None:
    services = house.services(checks={"database": lambda: True, "store": lambda: False})
    async with TestClient(TestServer(create_app(services))) as client:
        desk = Desk(client, house, house.signed_in(sre))
        assert (await desk.document("/v1/operator/status"))["storeAnswers"] is False
        assert "does not answer" in await desk.page("/operator")


async def test_the_portals_own_certificate_is_told(house: Any, sre: User, told: None) -> None:
    ends = NOW + timedelta(days=3)
    services = house.services(tls_ends=ends, exposure=Exposure(tls=True))
    async with TestClient(TestServer(create_app(services))) as client:
        token = house.signed_in(sre)["Cookie"].partition("=")[2]
        headers = {"Cookie": f"__Host-ew_session={token}"}
        answer = await client.get("/v1/operator/status", headers=headers)
        told_of = (await answer.json())["certificates"][0]
    assert (told_of["name"], told_of["node"], told_of["days"]) == ("portal-certificate-ends", None, 3)


async def test_a_call_is_found_by_its_call_id_and_nobody_is_named(desk: Desk) -> None:
    outcome = offered(desk.house, desk.house.tenant_id, f"{new_id(NOW)}@192.0.2.1", kind=OutcomeKind.NOT_KEPT)
    for term in (outcome.call_id, outcome.session_id, f" {outcome.call_id} "):
        found = await desk.document(f"/v1/operator/sessions?q={term}")
        (one,) = found["items"]
        assert (one["id"], one["callId"], one["outcome"]) == (outcome.session_id, outcome.call_id, "not kept")
        assert set(one) == {
            "id",
            "tenantId",
            "callId",
            "outcome",
            "reason",
            "startedAt",
            "endedAt",
            "recordings",
        }
        page = await desk.page(f"/operator/sessions?q={term}")
        assert page.count("data-session=") == 1
        assert outcome.call_id in page
        assert "geheim" not in page + json.dumps(found)
    page = await desk.page("/operator/sessions?q=nobody-has-this")
    assert "data-session=" not in page
    assert "exempt" in page


async def test_no_page_of_an_operator_names_a_person_a_number_or_a_recording(desk: Desk) -> None:
    texts = [await desk.page(path) for path in PAGES]
    texts += [
        json.dumps(await desk.document(f"/v1/operator/{name}"))
        for name in ("status", "tenants", "nodes", "sessions")
    ]
    for text in texts:
        for user in desk.house.people.values():
            assert user.id not in text
            for number in user.numbers:
                assert number not in text
        for recording in desk.house.recordings.values():
            assert recording.id not in text


async def test_tenants_are_told_in_numbers_and_the_provider_is_none_of_them(desk: Desk) -> None:
    found = {each["domain"]: each for each in (await desk.document("/v1/operator/tenants"))["items"]}
    assert "provider.example" not in found
    people = directory.list_users(desk.house.operator, desk.house.tenant_id)
    own = next(each for each in found.values() if each["id"] == desk.house.tenant_id)
    assert own["people"] == sum(each.left_at is None for each in people)
    page = await desk.page("/operator/tenants")
    assert own["domain"] in page


async def test_a_wrong_parameter_is_told(desk: Desk) -> None:
    for path in (
        "status?x=1",
        "tenants?x=1",
        "nodes?x=1",
        "sessions?x=1",
        f"sessions?q={'x' * 600}",
        "sessions?limit=0",
    ):
        answer = await desk.client.get(f"/v1/operator/{path}", headers=desk.headers)
        assert answer.status == 400, path
