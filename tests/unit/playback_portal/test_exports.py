"""Exports over the API and as pages: asked for by an auditor alone, fetched in ranges, each time logged."""

from __future__ import annotations

import asyncio
import dataclasses
import html
import io
import itertools
import re
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyotp
import pytest
from aiohttp import ClientError, ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import update

from archive import jobs
from archive.access import Scope
from archive.audit import AuditWriter
from archive.catalogue import (
    accounts,
    audit_entries,
    cases,
    directory,
    exports,
    identities,
    passwords,
    policies,
    portal_sessions,
    second_factors,
    tables,
)
from archive.catalogue.identities import Account
from archive.cli.evidence import run_evidence
from archive.clock import SystemClock
from archive.errors import CatalogueUnavailable, Refused
from archive.model import Recording, RecordingState, Role, TenantId, User
from keys.key_store import DirectoryKeyStore
from keys.signatory import Signatory, load_or_create
from playback_portal import exports as downloads
from playback_portal import streaming
from playback_portal.app import create_app
from playback_portal.exports import file_name
from retention.exports import Exports

NOW = datetime(2026, 11, 22, 9, 30, 0, 123000, tzinfo=UTC)
HOSTILE = '"><script>alert(1)</script>\r\nSet-Cookie: x'
_offices = itertools.count()


@dataclasses.dataclass
class Office:
    """A tenant with an auditor, two recordings, and a worker."""

    client: TestClient[Any, Any]
    house: Any
    tenant_id: TenantId
    people: dict[str, User]
    headers: dict[str, dict[str, str]]
    recordings: list[Recording]
    signatory: Signatory
    handed_over: list[str]

    async def ask(self, method: str, path: str, who: str = "otto", **sent: Any) -> ClientResponse:
        headers = {**self.headers[who], "Accept-Language": "nl", **sent.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, allow_redirects=False, **sent)

    async def asked(self, who: str = "otto", **changes: Any) -> ClientResponse:
        ids = [recording.id for recording in self.recordings]
        wanted = {"reference": "zaak-12", "purpose": "Claim 44", "recordingIds": ids}
        sent = {name: value for name, value in {**wanted, **changes}.items() if value is not None}
        return await self.ask("POST", "/v1/exports", who, json=sent)

    def work(self, export_id: str) -> None:
        worker = self.house.worker
        audit, clock = AuditWriter(worker, "worker/test"), self.house.services().clock
        vault, signatory = (lambda: self.house.vault), (lambda: self.signatory)
        Exports(self.house.store, vault, worker, audit, clock, clock.now, signatory).make(
            self.tenant_id, export_id
        )

    async def made(self) -> Any:
        document = await (await self.asked()).json()
        self.work(document["id"])
        return await (await self.ask("GET", f"/v1/exports/{document['id']}")).json()

    def case(self, *recordings: Recording, name: str = "Zaak 12") -> str:
        """Open a case with recordings as the auditor."""
        scope = accounts.scope_of_user(self.house.portal, self.tenant_id, self.people["otto"].id)
        with self.house.portal.transaction(self.tenant_id) as connection:
            case_id = cases.open_case(connection, scope, name, "Klacht over\nlevering", now=NOW)
            cases.add(connection, scope, case_id, [each.id for each in recordings], now=NOW)
        return case_id

    def log(self, about: str) -> list[tuple[str, str]]:
        found = audit_entries.of_object(self.house.portal, self.tenant_id, about)
        return [(entry.action, entry.result) for entry in found]


@pytest.fixture
async def office(
    house: Any,
    archive: Callable[..., Recording],
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Office]:
    name = f"evidence-office-{next(_offices)}"
    tenant = directory.add_tenant(house.operator, name, f"{name}.example", now=NOW)
    people, headers = {}, {}
    for login, role in (("otto", Role.AUDITOR), ("ada", Role.ADMINISTRATOR), ("anna", Role.USER)):
        people[login] = directory.add_user(house.operator, tenant.id, login, now=NOW, role=role, access="own")
        headers[login] = house.signed_in(people[login])
    key = accounts.add_api_client(house.operator, tenant.id, "program", tuple(Scope), now=NOW).key
    personal = accounts.add_api_client(
        house.operator, tenant.id, "app", tuple(Scope), now=NOW, user_id=people["otto"].id
    ).key
    headers |= {each: {"Authorization": f"Bearer {it}"} for each, it in (("program", key), ("app", personal))}
    handed_over: list[str] = []

    def defer(database_url: str, task: str, **arguments: str) -> bool:
        handed_over.append(f"{task} {arguments['export_id']}")
        return True

    monkeypatch.setattr(jobs, "defer", defer)
    (tmp_path / "signatory").mkdir()
    signatory = load_or_create(DirectoryKeyStore(tmp_path / "signatory"), house.root, "x", NOW)
    found = [archive(tenant.id, minute, owner=people["anna"].id) for minute in (1, 2)]
    async with TestClient(TestServer(create_app(house.services()))) as client:
        yield Office(client, house, tenant.id, people, headers, found, signatory, handed_over)


async def test_an_auditor_asks_a_worker_makes_and_the_auditor_fetches_one_zip(office: Office) -> None:
    answer = await office.asked()
    assert answer.status == 202
    document = await answer.json()
    assert answer.headers["Location"] == f"/v1/exports/{document['id']}"
    assert (document["state"], document["done"], document["total"]) == ("waiting", 0, 2)
    assert office.handed_over == [f"retention.export {document['id']}"]
    office.work(document["id"])
    ready = await (await office.ask("GET", answer.headers["Location"])).json()
    assert (ready["state"], ready["done"]) == ("ready", 2)
    package = await office.ask("GET", f"/v1/exports/{document['id']}/package")
    assert (package.status, package.content_type) == (200, "application/zip")
    data = await package.read()
    assert len(data) == ready["sizeBytes"]
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        sounds = [each for each in opened.namelist() if each.endswith(".flac")]
    assert len(sounds) == 2
    about = f"export:{document['id']}"
    made = ["export.asked", "export.downloaded", "export.ready", "export.viewed"]
    assert sorted(office.log(about)) == [(each, "ok") for each in made]


async def test_a_download_that_broke_off_goes_on_with_a_range(office: Office) -> None:
    ready = await office.made()
    path = f"/v1/exports/{ready['id']}/package"
    whole = await office.ask("GET", path)
    data, tag = await whole.read(), whole.headers["ETag"]
    middle = len(data) // 2
    rest = await office.ask("GET", path, headers={"Range": f"bytes={middle}-", "If-Range": tag})
    assert rest.status == 206
    assert await rest.read() == data[middle:]
    beyond = await office.ask("GET", path, headers={"Range": f"bytes={len(data)}-"})
    assert beyond.status == 416


async def test_a_download_breaks_off_when_the_session_it_is_of_is_ended(
    office: Office, house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package is read for long; who signs out everywhere ends what their other browser is reading."""
    ready = await office.made()
    path, otto = f"/v1/exports/{ready['id']}/package", office.people["otto"].id
    whole = await (await office.ask("GET", path)).read()

    def in_two(package: object, first: int, last_exclusive: int) -> Iterator[bytes]:
        yield whole[:1000]
        with house.portal.transaction(office.tenant_id) as connection:
            portal_sessions.end_all(connection, office.tenant_id, otto)
        yield whole[1000:]

    monkeypatch.setattr(streaming, "RECHECK_S", -1.0)
    monkeypatch.setattr(downloads._Package, "pieces", in_two)
    answer = await office.ask("GET", path)
    assert answer.status == 200
    with pytest.raises(ClientError):
        await answer.read()


async def test_who_has_an_address_is_told_there_in_the_language_of_the_page(office: Office) -> None:
    otto = Account(office.tenant_id, office.people["otto"].id)
    with office.house.portal.transaction(office.tenant_id) as connection:
        identities.set_email(connection, otto, f"otto@{office.tenant_id}.example")
    made = await (await office.asked()).json()
    export = exports.get(office.house.portal, office.tenant_id, made["id"])
    assert (export.mail_to, export.language) == (f"otto@{office.tenant_id}.example", "nl")
    assert "mail" not in str(made)


async def test_a_case_is_exported_whole(office: Office) -> None:
    case_id = office.case(*office.recordings)
    answer = await office.asked(recordingIds=None, caseId=case_id)
    assert answer.status == 202
    document = await answer.json()
    assert (document["caseId"], document["leftOut"], document["total"]) == (case_id, 0, 2)
    assert document["recordingIds"] == [recording.id for recording in office.recordings]
    office.work(document["id"])
    package = await office.ask("GET", f"/v1/exports/{document['id']}/package")
    with zipfile.ZipFile(io.BytesIO(await package.read())) as opened:
        assert f"Case-Identifier: {case_id}" in opened.read("bag-info.txt").decode()


async def test_a_case_without_sound_a_strangers_case_and_both_at_once_are_refused(office: Office) -> None:
    assert (await office.asked(recordingIds=None, caseId=office.case())).status == 409
    nowhere = "01990000-0000-7000-8000-000000000000"
    assert (await office.asked(recordingIds=None, caseId=nowhere)).status == 404
    assert (await office.asked(caseId=office.case(*office.recordings))).status == 400
    assert (await office.asked(recordingIds=None)).status == 400
    assert (await office.asked(recordingIds=None, caseId="1; DROP")).status == 400


@pytest.mark.parametrize("who", ["ada", "anna", "program", "app"])
async def test_v4_nobody_else_exports_a_case_though_an_administrator_may_hold_it(
    office: Office, who: str
) -> None:
    case_id = office.case(*office.recordings)
    assert (await office.asked(who, recordingIds=None, caseId=case_id)).status == 403
    if who in office.people:
        form = {"case": case_id, "reference": "zaak", "purpose": "Claim"}
        assert (await office.ask("POST", "/exports", who, data=form)).status == 403


async def test_an_asic_container_is_a_file_of_its_own_kind(office: Office) -> None:
    document = await (await office.asked(container="asice")).json()
    office.work(document["id"])
    answer = await office.ask("GET", f"/v1/exports/{document['id']}/package")
    assert answer.content_type == "application/vnd.etsi.asic-e+zip"
    assert answer.headers["Content-Disposition"].endswith('.asice"')
    assert (await answer.read())[30:].startswith(b"mimetypeapplication/vnd.etsi.asic-e+zip")
    assert (await office.asked(container="tar")).status == 400


async def test_the_page_of_a_case_leads_auditors_to_its_export(office: Office) -> None:
    case_id = office.case(*office.recordings, name="Zaak <12>")
    address = f"/exports/new?case={case_id}"
    for who, offered in (("otto", True), ("ada", False)):
        page = await (await office.ask("GET", f"/cases/{case_id}", who)).text()
        assert (f'hx-get="{address}"' in page) is offered, who
    empty = await (await office.ask("GET", f"/cases/{office.case()}")).text()
    assert "/exports/new" not in empty
    dialog = await (await office.ask("GET", address)).text()
    assert "2 opnames exporteren als bewijs" in dialog
    assert 'value="Zaak &lt;12&gt;"' in dialog
    assert 'value="Klacht over levering"' in dialog
    form = {"case": case_id, "reference": "zaak-12", "purpose": "Claim 44", "container": "asice"}
    done = await office.ask("POST", "/exports", data=form)
    assert (done.status, done.headers["Location"]) == (303, "/exports")
    (made,) = exports.page(office.house.portal, office.tenant_id).items
    assert (made.case_id, made.container.value, len(made.recording_ids)) == (case_id, "asice", 2)
    refused = await office.ask("POST", "/exports", data={**form, "case": office.case()})
    assert refused.status == 409
    assert "geen opname met geluid" in html.unescape(await refused.text())


@pytest.mark.parametrize("who", ["ada", "anna"])
async def test_v4_who_is_no_auditor_neither_asks_nor_looks_nor_fetches_and_the_attempt_is_logged(
    office: Office, who: str
) -> None:
    ready = await office.made()
    case_id = office.case(*office.recordings)
    assert (await office.asked(who)).status == 403
    assert (await office.asked(who, recordingIds=None, caseId=case_id)).status == 403
    tried = [
        each.actor
        for each in audit_entries.of_tenant(office.house.operator, office.tenant_id)
        if (each.action, each.result) == ("export.asked", "refused")
    ]
    assert tried == [f"user:{office.people[who].id}"] * 2
    for path in (
        "/v1/exports",
        f"/v1/exports/{ready['id']}",
        f"/v1/exports/{ready['id']}/package",
        "/exports",
    ):
        assert (await office.ask("GET", path, who)).status == 403, path
    assert ("export.downloaded", "refused") in office.log(f"export:{ready['id']}")


@pytest.mark.parametrize("who", ["program", "app"])
async def test_a_key_looks_and_takes_nothing(office: Office, who: str) -> None:
    ready = await office.made()
    assert (await office.ask("GET", f"/v1/exports/{ready['id']}", who)).status == 200
    assert (await office.asked(who)).status == 403
    assert (await office.ask("GET", f"/v1/exports/{ready['id']}/package", who)).status == 403
    assert ("export.downloaded", "refused") in office.log(f"export:{ready['id']}")


async def test_what_is_not_ready_is_told_and_not_sent(office: Office) -> None:
    waiting = await (await office.asked()).json()
    answer = await office.ask("GET", f"/v1/exports/{waiting['id']}/package")
    assert (answer.status, (await answer.json())["type"].rpartition(":")[2]) == (409, "not-ready")


async def test_a_package_with_a_recording_that_is_gone_is_sent_no_more(office: Office) -> None:
    ready = await office.made()
    gone = office.recordings[0].id
    with office.house.worker.transaction(office.tenant_id) as connection:
        changed = update(tables.recordings).where(tables.recordings.c.id == gone)
        connection.execute(changed.values(state=RecordingState.DESTROYED.value))
    answer = await office.ask("GET", f"/v1/exports/{ready['id']}/package")
    assert answer.status == 409
    assert (await office.asked()).status == 404


async def test_another_tenants_recordings_and_exports_are_not_there(office: Office, house: Any) -> None:
    theirs = house.recordings["two-party"].id
    assert (await office.asked(recordingIds=[theirs])).status == 404
    assert (await office.ask("GET", "/v1/exports/01990000-0000-7000-8000-000000000000")).status == 404
    assert office.handed_over == []


@pytest.mark.parametrize(
    "changes",
    [
        {"recordingIds": []},
        {"recordingIds": "all"},
        {"recordingIds": ["no id"]},
        {"reference": ""},
        {"purpose": "x" * 201},
        {"reference": None},
    ],
)
async def test_what_is_asked_for_wrongly_is_told(office: Office, changes: dict[str, Any]) -> None:
    assert (await office.asked(**changes)).status == 400


async def test_an_export_that_could_not_be_handed_over_waits_for_a_worker_to_find_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> bool:
        raise CatalogueUnavailable("away")

    monkeypatch.setattr(jobs, "defer", away)
    answer = await office.asked()
    assert answer.status == 202
    assert exports.waiting(office.house.worker, office.tenant_id) == [(await answer.json())["id"]]


async def test_without_the_audit_log_nothing_is_asked_for_and_no_octet_leaves(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = await office.made()

    def away(*_: object, **__: object) -> Any:
        raise CatalogueUnavailable("The database is away.")

    monkeypatch.setattr(AuditWriter, "append", away)
    assert (await office.asked()).status == 503
    assert exports.page(office.house.portal, office.tenant_id).items[1:] == ()
    for path in ("", "/package"):
        answer = await office.ask("GET", f"/v1/exports/{ready['id']}{path}")
        assert answer.status == 503
        assert b"PK" not in await answer.read()


async def test_the_name_of_the_file_has_nothing_anybody_typed(office: Office) -> None:
    document = await (await office.asked(reference=HOSTILE.replace("\r\n", " "))).json()
    office.work(document["id"])
    answer = await office.ask("GET", f"/v1/exports/{document['id']}/package")
    export = exports.get(office.house.portal, office.tenant_id, document["id"])
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{file_name(export)}"'
    assert re.fullmatch(r"earwitness-2026-11-22-[0-9a-f]{12}\.zip", file_name(export))


async def test_the_page_asks_shows_how_far_it_is_and_leads_to_the_package(office: Office) -> None:
    query = "&".join(f"id={recording.id}" for recording in office.recordings)
    dialog = await (await office.ask("GET", f"/exports/new?{query}")).text()
    assert "2 opnames exporteren als bewijs" in dialog
    fields = [("id", recording.id) for recording in office.recordings]
    wrong = await office.ask("POST", "/exports", data=[*fields, ("reference", "zaak-12"), ("purpose", " ")])
    assert wrong.status == 400
    assert 'value="zaak-12"' in await wrong.text()
    done = await office.ask(
        "POST", "/exports", data=[*fields, ("reference", "zaak <12>"), ("purpose", "Claim 44")]
    )
    assert (done.status, done.headers["Location"]) == (303, "/exports")
    page = await (await office.ask("GET", "/exports")).text()
    assert "zaak &lt;12&gt;" in page
    assert "0 van 2" in html.unescape(page)
    export_id = re.search(r'id="export-([^"]+)"', page)
    assert export_id is not None
    assert f'hx-get="/exports/{export_id[1]}"' in page
    office.work(export_id[1])
    row = await (await office.ask("GET", f"/exports/{export_id[1]}")).text()
    assert f'href="/v1/exports/{export_id[1]}/package"' in row
    assert "hx-trigger" not in row


async def test_nothing_selected_and_a_strangers_recording_are_told_in_the_dialog(
    office: Office, house: Any
) -> None:
    assert "Selecteer minstens" in await (await office.ask("GET", "/exports/new")).text()
    told = [("reference", "zaak"), ("purpose", "Claim")]
    stranger = [("id", house.recordings["two-party"].id), *told]
    answer = await office.ask("POST", "/exports", data=stranger)
    assert answer.status == 409
    assert "kunnen nu niet worden geëxporteerd" in html.unescape(await answer.text())
    assert (await office.ask("POST", "/exports", data=told)).status == 400


async def test_the_menu_and_the_list_offer_it_to_auditors_alone(office: Office) -> None:
    for who, offered in (("otto", True), ("anna", False)):
        page = await (await office.ask("GET", "/recordings?within=365", who)).text()
        assert ('href="/exports"' in page) is offered, who
        assert ('hx-get="/exports/new"' in page) is offered, who


PASSWORD, SECRET = "correct horse battery", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def signs_in(office: Office, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Give somebody of the office a password and an authenticator; return what the command is called with."""

    def with_login(who: str = "otto", password: str = PASSWORD) -> list[str]:
        user = office.people[who]
        passwords.set_password(office.house.operator, office.tenant_id, user.login, PASSWORD)
        with office.house.portal.transaction(office.tenant_id) as connection:
            account = Account(office.tenant_id, user.id)
            second_factors.set_totp(connection, office.house.root, account, SECRET, 1, now=NOW)
        code = pyotp.TOTP(SECRET).at(NOW)
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n{code}\n"))
        particulars = identities.particulars(office.house.portal, Account(office.tenant_id, user.id))
        assert particulars is not None
        url = str(office.client.make_url("/"))
        return ["--url", url, "--login", f"{who}@{particulars.domain}", "--password-stdin", "--json"]

    return with_login


@pytest.mark.parametrize("container", ["zip", "asice"])
async def test_an_auditor_takes_a_case_out_on_the_command_line_and_it_stands_its_check(
    office: Office,
    signs_in: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    container: str,
) -> None:
    """CONTRACT: `evidence export --case C --out DIR`, then `evidence verify` of what is there."""

    def at_once(database_url: str, task: str, *, tenant_id: str, export_id: str) -> bool:
        office.work(export_id)
        return True

    monkeypatch.setattr(jobs, "defer", at_once)
    case_id, out = office.case(*office.recordings), tmp_path / "case-12"
    order = ["export", "--case", case_id, "--out", str(out), "--container", container, *signs_in()]
    assert await asyncio.to_thread(run_evidence, order) == 0
    assert not list(tmp_path.glob(".case-12*")), "nothing half is left"
    package = out if container == "zip" else next(out.glob("*.asice"))
    (made,) = exports.page(office.house.portal, office.tenant_id).items
    assert (made.case_id, made.reference, made.purpose) == (case_id, "Zaak 12", "Klacht over\nlevering")
    authority = tmp_path / "authority.pem"
    authority.write_bytes(office.signatory.authority_pem())
    monkeypatch.setattr(SystemClock, "now", lambda _: NOW)
    assert run_evidence(["verify", str(package), "--authority", str(authority)]) == 0
    done = [action for action, _ in office.log(f"export:{made.id}")]
    assert "export.downloaded" in done, "it stands in the log under the auditor's name"


async def test_a_download_on_the_command_line_goes_on_with_what_is_there(
    office: Office, signs_in: Callable[..., list[str]], tmp_path: Path
) -> None:
    ready = await office.made()
    whole = await (await office.ask("GET", f"/v1/exports/{ready['id']}/package")).read()
    (tmp_path / f".p-{ready['id']}.part").write_bytes(whole[:1000])
    order = ["export", "--export", ready["id"], "--out", str(tmp_path / "p"), *signs_in()]
    assert await asyncio.to_thread(run_evidence, order) == 0
    assert (tmp_path / "p/tagmanifest-sha256.txt.p7s").is_file()


@pytest.mark.parametrize(
    ("who", "password", "told"),
    [
        ("ada", PASSWORD, "Only an auditor"),
        ("anna", PASSWORD, "Only an auditor"),
        ("otto", "x", "do not belong"),
    ],
)
async def test_v4_on_the_command_line_too_nobody_else_takes_anything(
    office: Office, signs_in: Callable[..., list[str]], tmp_path: Path, who: str, password: str, told: str
) -> None:
    recording = office.recordings[0].id
    order = ["export", "--recording", recording, "--out", str(tmp_path / "p"), *signs_in(who, password)]
    with pytest.raises(Refused, match=told):
        await asyncio.to_thread(run_evidence, order)
    assert list(tmp_path.glob("*p*/*")) == []
    assert exports.page(office.house.portal, office.tenant_id).items == ()


async def test_on_the_command_line_an_export_of_many_is_told_to_wait_for_a_second_person(
    office: Office, signs_in: Callable[..., list[str]], tmp_path: Path
) -> None:
    policies.set_policy(office.house.operator, office.tenant_id, exports_alone_max=0)
    order = ["export", "--recording", office.recordings[0].id, "--out", str(tmp_path / "p"), *signs_in()]
    with pytest.raises(Refused, match="takes a second person"):
        await asyncio.to_thread(run_evidence, order)
