"""Exports: made by a worker as the auditor who asked, sealed, fetched from any byte on, and gone in time."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import accounts, brandings, cases, directory, exports, mails, tables
from archive.catalogue.audit_entries import of_object
from archive.catalogue.brandings import Look
from archive.catalogue.engine import Catalogue
from archive.catalogue.exports import (
    KEPT,
    RECORDINGS_COUNT_MAX,
    WAITING_COUNT_MAX,
    Container,
    Export,
    ExportState,
    Order,
)
from archive.cli.evidence import run_evidence
from archive.clock import SystemClock
from archive.data_key import KeysUnavailable
from archive.errors import CatalogueUnavailable, Conflict, NotFound, Refused, StoreUnavailable
from archive.evidence.exports import Download, key_owner
from archive.evidence.verification import Trust, verify_package
from archive.model import (
    ArchivedRecording,
    ObjectKind,
    RecordingId,
    RecordingState,
    Role,
    Tenant,
    TenantId,
    UserId,
)
from archive.playback import Playback
from archive.post import Letter, MailPost
from archive.store.object import sha256_hex
from archive.transparency.checkpoint import PublicKey
from archive.transparency.sequencer import Custody, Sequencer
from keys.errors import KeyStoreUnavailable
from keys.key_store import DirectoryKeyStore
from keys.signing_key import SigningKey
from retention.due_time import ClockDisbelieved
from retention.exports import Exports, Notices
from retention.letters import filled
from retention.scrub import PackageFinding, Scrub
from tests.unit.retention.ageing import ROOT, Ageing
from tests.unit.retention.holding import hold, person

LOG_KEY = SigningKey(bytes(range(32)))


@pytest.fixture
def asker(operator: Catalogue, bakery: Tenant, house: Any) -> UserId:
    user = directory.add_user(operator, bakery.id, "visser", now=house.clock.now(), role=Role.AUDITOR)
    return user.id


def making(ageing: Ageing, store: Any = None, notices: Notices | None = None) -> Exports:
    return Exports(
        store or ageing.store,
        lambda: ageing.house.vault,
        ageing.worker,
        AuditWriter(ageing.worker, "worker/one"),
        ageing.house.clock,
        ageing.timekeeper().due_time,
        ageing.signatory,
        log_key=lambda: LOG_KEY,
        notices=notices,
    )


def ask(ageing: Ageing, tenant: Tenant, asker: UserId, *ids: RecordingId, **changes: Any) -> Export:
    order = Order(ids, "zaak-12", "Claim 44", **changes)
    with ageing.portal.transaction(tenant.id) as connection:
        return exports.add(connection, tenant.id, asker, order, now=ageing.house.clock.now())


def state_of(ageing: Ageing, export: Export) -> Export:
    return exports.get(ageing.portal, export.tenant_id, export.id)


def download_of(ageing: Ageing, export: Export) -> tuple[Download, AccessScope]:
    found = state_of(ageing, export)
    house = ageing.house
    playback = Playback(
        ageing.store, house.vault, ageing.portal, AuditWriter(ageing.portal, "portal/one"), house.clock
    )
    scope = accounts.scope_of_user(ageing.portal, export.tenant_id, export.user_id)
    return Download(ageing.store, house.vault, ageing.portal, playback, found), scope


def whole(ageing: Ageing, export: Export) -> bytes:
    download, scope = download_of(ageing, export)
    return b"".join(download.chunks(scope, 0, download.size_bytes))


def test_the_package_passes_its_check_and_holds_every_recording(
    ageing: Ageing, bakery: Tenant, asker: UserId, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [ageing.archive(bakery).recording.id for _ in range(3)]
    export = ask(ageing, bakery, asker, *ids)
    making(ageing).make(bakery.id, export.id)
    made = state_of(ageing, export)
    assert (made.state, made.done) == (ExportState.READY, 3)
    data = whole(ageing, export)
    assert made.size_bytes == len(data)
    (tmp_path / "zaak.zip").write_bytes(data)
    assert run_evidence(["verify", str(tmp_path / "zaak.zip"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["result"] == "untouched"
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        sounds = [name for name in package.namelist() if name.endswith("audio.flac")]
        assert sorted(sounds) == sorted(f"data/recordings/{each}/audio.flac" for each in ids)
        report = package.read("data/report-nl.html").decode()
    assert "zaak-12" in report
    assert "visser@bakery.example" in report


def test_a_report_of_evidence_names_the_organisation_as_its_provider_did_and_beside_it_as_it_calls_itself(
    ageing: Ageing, bakery: Tenant, asker: UserId
) -> None:
    with ageing.portal.transaction(bakery.id) as connection:
        look = Look(bakery.id, "", "Molen & Zn", "#0a4f8a")
        made = brandings.put_draft(connection, look, "user:boss", now=ageing.house.clock.now(), logo=b"PNG")
        brandings.publish(connection, bakery.id, made.version)
    export = ask(ageing, bakery, asker, ageing.archive(bakery).recording.id)
    making(ageing).make(bakery.id, export.id)
    with zipfile.ZipFile(io.BytesIO(whole(ageing, export))) as package:
        report = package.read("data/report-nl.html").decode()
        info = package.read("bag-info.txt").decode()
    assert f"<dt>Van</dt><dd><bdi>{bakery.name}</bdi></dd>" in report
    assert "<dt>Noemt zich</dt><dd>“<bdi>Molen &amp; Zn</bdi>”</dd>" in report
    assert "#0a4f8a" not in report
    assert f"Source-Organization: {bakery.name}" in info


def test_a_download_goes_on_at_any_byte(ageing: Ageing, bakery: Tenant, asker: UserId) -> None:
    export = ask(ageing, bakery, asker, ageing.archive(bakery).recording.id)
    making(ageing).make(bakery.id, export.id)
    data = whole(ageing, export)
    download, scope = download_of(ageing, export)
    step = len(data) // 7
    for first in range(0, len(data), step):
        last = min(first + step, len(data))
        assert b"".join(download.chunks(scope, first, last)) == data[first:last]


def test_each_time_sound_leaves_it_stands_in_the_log_of_the_recording_first(
    ageing: Ageing, bakery: Tenant, asker: UserId
) -> None:
    archived = ageing.archive(bakery)
    export = ask(ageing, bakery, asker, archived.recording.id)
    making(ageing).make(bakery.id, export.id)
    before = ageing.entries(archived).count(("recording.exported", "ok"))
    whole(ageing, export)
    assert ageing.entries(archived).count(("recording.exported", "ok")) == before + 1
    log = of_object(ageing.portal, bakery.id, f"export:{export.id}")
    assert [entry.action for entry in log] == ["export.ready"]


def test_nothing_of_a_package_is_stored_in_clear_and_no_sound_twice(
    ageing: Ageing, bakery: Tenant, asker: UserId
) -> None:
    archived = ageing.archive(bakery)
    export = ask(ageing, bakery, asker, archived.recording.id)
    making(ageing).make(bakery.id, export.id)
    stored = ageing.store.versions(f"{bakery.id}/exports/{export.id}/")
    assert len(stored) == 4, "the recording, two reports, and the rest"
    sound = next(one for one in archived.objects if one.kind is ObjectKind.AUDIO)
    for version in stored:
        assert b"zaak-12" not in ageing.store.get(version.key, version.version_id)
        assert version.size_bytes < sound.ciphertext_bytes


class Away:
    """A store that goes away at the n-th put."""

    def __init__(self, store: Any, puts: int) -> None:
        self._store = store
        self._puts = puts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, *arguments: Any, **options: Any) -> str:
        if self._puts == 0:
            raise StoreUnavailable("The store is away.")
        self._puts -= 1
        version_id: str = self._store.put(*arguments, **options)
        return version_id


def test_what_was_broken_off_goes_on_behind_the_last_finished_recording(
    ageing: Ageing, bakery: Tenant, asker: UserId
) -> None:
    first, second = (ageing.archive(bakery) for _ in range(2))
    export = ask(ageing, bakery, asker, first.recording.id, second.recording.id)
    with pytest.raises(StoreUnavailable):
        making(ageing, Away(ageing.store, 1)).make(bakery.id, export.id)
    broken_off = state_of(ageing, export)
    assert (broken_off.state, broken_off.done) == (ExportState.WAITING, 1)
    opened = len(ageing.entries(first))
    making(ageing).make(bakery.id, export.id)
    assert state_of(ageing, export).state is ExportState.READY
    assert len(ageing.entries(first)) == opened, "the first recording was not read again"
    with zipfile.ZipFile(io.BytesIO(whole(ageing, export))) as package:
        assert package.testzip() is None


def test_making_twice_makes_once(ageing: Ageing, bakery: Tenant, asker: UserId) -> None:
    export = ask(ageing, bakery, asker, ageing.archive(bakery).recording.id)
    making(ageing).make(bakery.id, export.id)
    stored = ageing.store.versions(f"{bakery.id}/exports/")
    making(ageing).make(bakery.id, export.id)
    assert ageing.store.versions(f"{bakery.id}/exports/") == stored


def test_v6_an_altered_recording_ends_the_export_with_its_name(
    ageing: Ageing, bakery: Tenant, asker: UserId
) -> None:
    good, bad = (ageing.archive(bakery) for _ in range(2))
    sound = next(one for one in bad.objects if one.kind is ObjectKind.AUDIO)
    sealed = bytearray(ageing.store.get(sound.key, sound.version_id))
    sealed[-1] ^= 1
    ageing.store.damage(sound.key, sound.version_id, bytes(sealed))
    export = ask(ageing, bakery, asker, good.recording.id, bad.recording.id)
    making(ageing).make(bakery.id, export.id)
    failed = state_of(ageing, export)
    assert failed.state is ExportState.FAILED
    assert failed.reason is not None
    assert bad.recording.id in failed.reason


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.USER])
def test_v4_who_is_no_auditor_any_more_gets_nothing(
    ageing: Ageing, bakery: Tenant, asker: UserId, operator: Catalogue, role: Role
) -> None:
    export = ask(ageing, bakery, asker, ageing.archive(bakery).recording.id)
    directory.set_user(operator, bakery.id, "visser", now=ageing.house.clock.now(), role=role)
    making(ageing).make(bakery.id, export.id)
    assert state_of(ageing, export).state is ExportState.FAILED
    assert ageing.store.versions(f"{bakery.id}/exports/") == []


def test_another_tenants_recording_is_no_part_of_it(
    ageing: Ageing, bakery: Tenant, florist: Tenant, asker: UserId
) -> None:
    export = ask(ageing, bakery, asker, ageing.archive(florist).recording.id)
    making(ageing).make(bakery.id, export.id)
    assert state_of(ageing, export).state is ExportState.FAILED


def test_after_a_week_nothing_is_left_but_that_it_was(ageing: Ageing, bakery: Tenant, asker: UserId) -> None:
    export = ask(ageing, bakery, asker, ageing.archive(bakery, days=90).recording.id)
    making(ageing).make(bakery.id, export.id)
    assert making(ageing).sweep(bakery.id) == 0
    ageing.live(seconds=KEPT.total_seconds())
    assert making(ageing).sweep(bakery.id) == 1
    assert making(ageing).sweep(bakery.id) == 0
    assert ageing.store.versions(f"{bakery.id}/exports/") == []
    ended = state_of(ageing, export)
    assert (ended.state, ended.wrapped_key) == (ExportState.ENDED, None)
    with pytest.raises(NotFound):
        download_of(ageing, export)
    keys = DirectoryKeyStore(ageing.key_directory)
    assert keys.list(f"exports-{bakery.id}/") == (), "its key went with it"


def test_r3_a_clock_eight_years_ahead_ends_no_export_and_makes_none(
    ageing: Ageing, bakery: Tenant, asker: UserId
) -> None:
    """Its parts and its key would be gone, and evidence would bear a date that never was."""
    ids = [ageing.archive(bakery).recording.id for _ in range(2)]
    made, waiting = (ask(ageing, bakery, asker, each) for each in ids)
    making(ageing).make(bakery.id, made.id)
    ageing.set_clock(days=8 * 365)
    with pytest.raises(ClockDisbelieved):
        making(ageing).sweep(bakery.id)
    with pytest.raises(ClockDisbelieved):
        making(ageing).make(bakery.id, waiting.id)
    ageing.set_clock(days=-8 * 365)
    assert making(ageing).sweep(bakery.id) == 0
    making(ageing).make(bakery.id, waiting.id)
    for export in (made, waiting):
        assert state_of(ageing, export).state is ExportState.READY
        whole(ageing, export)


def test_an_export_asked_for_while_the_clock_was_ahead_ends_a_week_from_the_right_time(
    ageing: Ageing, bakery: Tenant, asker: UserId
) -> None:
    """Its audio and its key are gone then; one asked for by the right clock keeps its own week."""
    kept = ageing.archive(bakery, days=2000).recording.id
    right = ask(ageing, bakery, asker, kept)
    making(ageing).make(bakery.id, right.id)
    ageing.set_clock(days=365)
    ahead = ask(ageing, bakery, asker, kept)
    ageing.set_clock(days=-365)
    making(ageing).make(bakery.id, ahead.id)
    made = state_of(ageing, ahead)
    assert made.ends_at == ageing.house.clock.now() + timedelta(days=365) + KEPT
    ageing.live(hours=1)
    assert making(ageing).sweep(bakery.id) == 0
    assert state_of(ageing, ahead).ends_at == ageing.house.clock.now() + KEPT
    assert state_of(ageing, right).ends_at == right.ends_at
    whole(ageing, ahead)
    ageing.live(days=7)
    assert making(ageing).sweep(bakery.id) == 2
    assert state_of(ageing, ahead).state is ExportState.ENDED
    assert made.kek_id not in ageing.house.vault.ids(key_owner(bakery.id))
    assert not [each for each in ageing.store.versions(f"{bakery.id}/") if "/exports/" in each.key]


def test_an_export_ends_with_the_first_of_its_recordings_if_that_is_sooner(
    ageing: Ageing, bakery: Tenant, asker: UserId
) -> None:
    short, long = ageing.archive(bakery, days=2), ageing.archive(bakery, days=90)
    export = ask(ageing, bakery, asker, long.recording.id, short.recording.id)
    assert export.ends_at == short.recording.retain_until
    assert ask(ageing, bakery, asker, long.recording.id).ends_at == ageing.house.clock.now() + KEPT


def test_limits_are_told(ageing: Ageing, bakery: Tenant, asker: UserId) -> None:
    many = [RecordingId(f"r{number}") for number in range(RECORDINGS_COUNT_MAX + 1)]
    for ids in ([], many):
        with pytest.raises(Refused):
            ask(ageing, bakery, asker, *ids)
    for _ in range(WAITING_COUNT_MAX):
        ask(ageing, bakery, asker, RecordingId("r1"))
    with pytest.raises(Conflict):
        ask(ageing, bakery, asker, RecordingId("r1"))


def test_exports_are_listed_newest_first_and_page_by_page(
    ageing: Ageing, bakery: Tenant, asker: UserId
) -> None:
    made = []
    for _ in range(3):
        made.append(ask(ageing, bakery, asker, RecordingId("r1")).id)
        ageing.live(seconds=1)
    first = exports.page(ageing.portal, bakery.id, limit=2)
    second = exports.page(ageing.portal, bakery.id, limit=2, cursor=first.next)
    assert [each.id for each in (*first.items, *second.items)] == made[::-1]
    assert second.next is None
    assert dataclasses.asdict(first.items[0])["reference"] == "zaak-12"


def test_what_a_worker_that_died_left_in_the_store_goes_as_well(
    ageing: Ageing, bakery: Tenant, asker: UserId
) -> None:
    export = ask(ageing, bakery, asker, ageing.archive(bakery).recording.id)
    ageing.store.put(f"{bakery.id}/exports/{export.id}/left", b"x", None, sha256=sha256_hex(b"x"))
    ageing.live(seconds=KEPT.total_seconds())
    assert making(ageing).sweep(bakery.id) == 1
    assert ageing.store.versions(f"{bakery.id}/exports/") == []
    assert state_of(ageing, export).state is ExportState.ENDED


def test_a_recording_that_goes_on_the_day_an_export_ends_does_not_take_its_key_along(
    ageing: Ageing, bakery: Tenant, asker: UserId
) -> None:
    kept, gone = ageing.archive(bakery, days=90), ageing.archive(bakery, days=7)
    export = ask(ageing, bakery, asker, kept.recording.id)
    making(ageing).make(bakery.id, export.id)
    found = state_of(ageing, export)
    assert found.kek_id is not None
    assert found.kek_id != gone.kek_id
    ageing.house.vault.destroy(gone.kek_id)
    assert whole(ageing, export)


def test_a_worker_that_comes_late_changes_nothing(ageing: Ageing, bakery: Tenant, asker: UserId) -> None:
    export = ask(ageing, bakery, asker, ageing.archive(bakery).recording.id)
    making(ageing).make(bakery.id, export.id)
    ready = state_of(ageing, export)
    with ageing.worker.transaction(bakery.id) as connection:
        now = ageing.house.clock.now()
        assert not exports.settle(connection, ready, ExportState.FAILED, now=now, reason="late")
    part = exports.parts(ageing.worker, ready)[0]
    with pytest.raises(Conflict):
        exports.keep_part(ageing.worker, ready, part, done=0)
    assert state_of(ageing, export) == ready


def sealed_package(ageing: Ageing, tenant: Tenant, asker: UserId, folder: Path) -> ArchivedRecording:
    """Export one recording, whose first entry the log has sealed, and unpack it into `folder`."""
    archived = ageing.archive(tenant)
    audit, custody = AuditWriter(ageing.worker, "worker/log"), Custody(timedelta(days=2922), "GOVERNANCE")
    house, name = ageing.house, "earwitness/test"
    Sequencer(ageing.worker, ageing.store, lambda: LOG_KEY, audit, house.clock, custody, name).round()
    export = ask(ageing, tenant, asker, archived.recording.id)
    making(ageing).make(tenant.id, export.id)
    with zipfile.ZipFile(io.BytesIO(whole(ageing, export))) as package:
        package.extractall(folder)
    return archived


def test_the_custody_is_proved_by_a_script_in_the_package_that_needs_openssl_alone(
    ageing: Ageing, bakery: Tenant, asker: UserId, tmp_path: Path
) -> None:
    """A6 and V1: each entry that was sealed by then, up to a signed checkpoint of the log."""
    package = tmp_path / "package"
    archived = sealed_package(ageing, bakery, asker, package)
    proofs = (package / f"data/recordings/{archived.recording.id}/proofs.jsonl").read_text().splitlines()
    assert len(proofs) == 1, "the entries of this very export are sealed a minute later"
    (tmp_path / "proof.json").write_text(proofs[0])
    key = (package / "verify/audit-log-key.txt").read_text().strip()
    command = [sys.executable, package / "verify/verify_entry.py", tmp_path / "proof.json", key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "recording.archived" in done.stdout
    verdict = verify_package(package, Trust(ageing.signatory().authority), ageing.house.clock.now())
    assert (verdict.custody.proved, verdict.custody.entries > 1) == (1, True)
    assert verdict.faults == ()


def test_a_custody_the_log_did_not_write_is_found_also_when_a_package_is_signed_with_it(
    ageing: Ageing, bakery: Tenant, asker: UserId, tmp_path: Path
) -> None:
    """Whoever signs packages makes the lists anew; what the log sealed they can't."""
    package = tmp_path / "package"
    sealed_package(ageing, bakery, asker, package)
    trust = Trust(ageing.signatory().authority)
    for name, old, new in (
        ("custody.jsonl", "recording.archived", "recording.played"),
        ("custody.jsonl", '"sequence":1', '"sequence":7'),
        ("custody.jsonl", "service:recorder", "service:anybody"),
        ("proofs.jsonl", "recording.archived", "recording.played"),
        ("proofs.jsonl", '"index":0', '"index":1'),
        ("proofs.jsonl", "time 2", "time 3"),
        ("proofs.jsonl", "{", "["),
    ):
        (file,) = package.glob(f"data/recordings/*/{name}")
        text = file.read_text()
        assert old in text, old
        file.write_text(text.replace(old, new, 1))
        faults = verify_package(package, trust, ageing.house.clock.now()).faults
        place = file.relative_to(package).as_posix()
        told = [fault for fault in faults if ".jsonl, line " in fault or fault.startswith(f"{place} can't")]
        assert told, (old, faults)
        file.write_text(text)
    other = PublicKey("earwitness/test", SigningKey(bytes([9]) * 32).public)
    verdict = verify_package(package, replace(trust, log_key=other), ageing.house.clock.now())
    assert verdict.custody.proved == 0
    assert "does not lead to a checkpoint" in str(verdict.faults)


def test_an_asic_container_begins_with_its_media_type_and_stands_both_checks(
    ageing: Ageing, bakery: Tenant, asker: UserId, tmp_path: Path
) -> None:
    """ETSI EN 319 162-1: `mimetype` first and plain; the signature over the manifest is CAdES to openssl."""
    export = ask(ageing, bakery, asker, ageing.archive(bakery).recording.id, container=Container.ASICE)
    making(ageing).make(bakery.id, export.id)
    octets = whole(ageing, export)
    assert octets[30:].startswith(b"mimetypeapplication/vnd.etsi.asic-e+zip")
    with zipfile.ZipFile(io.BytesIO(octets)) as package:
        first = package.infolist()[0]
        assert (first.filename, first.compress_type, first.extra) == ("mimetype", zipfile.ZIP_STORED, b"")
        assert package.testzip() is None
        package.extractall(tmp_path / "bag")
    (tmp_path / "authority.pem").write_bytes(ageing.signatory().authority_pem())
    signed = ("-in", "META-INF/signature001.p7s", "-content", "META-INF/ASiCManifest001.xml")
    command = ["openssl", "cms", "-verify", "-binary", "-cades", "-inform", "DER", *signed, "-purpose", "any"]
    at = ("-attime", str(int(ageing.house.clock.now().timestamp())))
    trusted = ("-CAfile", str(tmp_path / "authority.pem"), "-out", "/dev/null")
    done = subprocess.run(
        [*command, *at, *trusted],
        cwd=tmp_path / "bag",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    trust = Trust(ageing.signatory().authority)
    assert verify_package(tmp_path / "bag", trust, ageing.house.clock.now()).faults == ()


def test_a_package_of_a_case_says_which_and_how_many_had_no_sound(
    ageing: Ageing, bakery: Tenant, asker: UserId
) -> None:
    held, failed = (ageing.archive(bakery) for _ in range(2))
    case_id = hold(ageing, bakery, held)
    with ageing.portal.transaction(bakery.id) as connection:
        cases.add(
            connection, person(bakery, "anna"), case_id, [failed.recording.id], now=ageing.house.clock.now()
        )
    with ageing.worker.transaction(bakery.id) as connection:
        row = tables.recordings.c.id == failed.recording.id
        connection.execute(update(tables.recordings).where(row).values(state=RecordingState.FAILED.value))
    with ageing.portal.transaction(bakery.id) as connection:
        ids, left_out = exports.of_case(connection, bakery.id, case_id)
    assert (ids, left_out) == ((held.recording.id,), 1)
    export = ask(ageing, bakery, asker, *ids, case_id=case_id, left_out=left_out)
    making(ageing).make(bakery.id, export.id)
    with zipfile.ZipFile(io.BytesIO(whole(ageing, export))) as package:
        told = package.read("bag-info.txt").decode()
    assert f"Case-Identifier: {case_id}\nCase-Recordings-Left-Out: 1\n" in told


class Letterbox:
    """Takes letters in, and what is handed over."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.handed_over: list[str] = []

    def queue(self, connection: Any, letter: Letter) -> str:
        self.letters.append(letter)
        return MailPost(ROOT, SystemClock()).queue(connection, letter)

    def hand_over(self, tenant_id: TenantId, mail_id: str) -> None:
        self.handed_over.append(mail_id)
        raise CatalogueUnavailable("The queue is away.")


@pytest.mark.parametrize("container", list(Container))
def test_who_asked_is_told_by_mail_and_reads_nothing_of_the_calls(
    ageing: Ageing, bakery: Tenant, asker: UserId, container: Container
) -> None:
    archived, box = ageing.archive(bakery), Letterbox()
    export = ask(
        ageing,
        bakery,
        asker,
        archived.recording.id,
        container=container,
        language="en",
        mail_to="visser@bakery.example",
    )
    work = making(ageing, notices=Notices(lambda: box, "https://opname.example"))
    work.make(bakery.id, export.id)
    work.make(bakery.id, export.id)
    (letter,) = box.letters
    assert (letter.kind, letter.to, letter.language) == ("export-ready", "visser@bakery.example", "en")
    said = filled(letter.kind, letter.language, letter.fields)
    assert "https://opname.example/exports" in said.text
    for party in archived.recording.parties:
        assert party.number not in said.subject + said.text
    assert "zaak-12" not in said.text
    assert "Claim 44" not in said.text
    assert len(box.handed_over) == 1
    assert state_of(ageing, export).mail_to is None
    waiting = mails.forgotten(ageing.worker, bakery.id, now=SystemClock().now() + timedelta(minutes=1))
    assert box.handed_over[0] in waiting, "a letter that was not handed over is found later"


def test_who_asked_is_told_of_a_failure_too(ageing: Ageing, bakery: Tenant, asker: UserId) -> None:
    archived, box = ageing.archive(bakery), Letterbox()
    export = ask(ageing, bakery, asker, archived.recording.id, mail_to="visser@bakery.example")
    work = making(ageing, notices=Notices(lambda: box, "https://opname.example"))
    with ageing.worker.transaction(bakery.id) as connection:
        row = tables.recordings.c.id == archived.recording.id
        connection.execute(update(tables.recordings).where(row).values(state=RecordingState.FAILED.value))
    work.make(bakery.id, export.id)
    assert [letter.kind for letter in box.letters] == ["export-failed"]


def test_who_has_no_address_is_told_on_the_page_alone(ageing: Ageing, bakery: Tenant, asker: UserId) -> None:
    export, box = ask(ageing, bakery, asker, ageing.archive(bakery).recording.id), Letterbox()
    making(ageing, notices=Notices(lambda: box, "https://opname.example")).make(bakery.id, export.id)
    assert box.letters == []
    assert state_of(ageing, export).state is ExportState.READY


def test_c8_the_key_of_exports_is_known_until_it_is_destroyed(
    ageing: Ageing, bakery: Tenant, asker: UserId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key store that is away just then: it goes with the next sweep, and the log tells of it."""
    export = ask(ageing, bakery, asker, ageing.archive(bakery).recording.id)
    making(ageing).make(bakery.id, export.id)
    kek_id = state_of(ageing, export).kek_id
    assert kek_id is not None

    def away(_: str) -> None:
        raise KeyStoreUnavailable("The key store is away.")

    ageing.live(days=8)
    with monkeypatch.context() as patch:
        patch.setattr(ageing.house.vault, "destroy", away)
        with pytest.raises(KeysUnavailable):
            making(ageing).sweep(bakery.id)
    assert state_of(ageing, export).kek_id == kek_id
    assert making(ageing).sweep(bakery.id) == 1
    assert kek_id in DirectoryKeyStore(ageing.key_directory).destroyed()
    assert {entry.action for entry in of_object(ageing.portal, bakery.id, f"kek:{kek_id}")} == {"key.destroy"}


def test_one_export_that_can_not_go_keeps_no_other(
    ageing: Ageing, bakery: Tenant, asker: UserId, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [ask(ageing, bakery, asker, ageing.archive(bakery).recording.id) for _ in range(2)]
    for each in both:
        making(ageing).make(bakery.id, each.id)
    delete, stuck = ageing.store.delete, both[0].id

    def fail(key: str, version_id: str) -> None:
        if stuck in key:
            raise StoreUnavailable("this volume is away")
        delete(key, version_id)

    monkeypatch.setattr(ageing.store, "delete", fail)
    ageing.live(days=8)
    with pytest.raises(StoreUnavailable):
        making(ageing).sweep(bakery.id)
    assert [state_of(ageing, each).state for each in both] == [ExportState.READY, ExportState.ENDED]


def test_an_export_ends_with_a_recording_that_goes_however_long_it_was_held(
    ageing: Ageing, database: Any, bakery: Tenant, asker: UserId
) -> None:
    """What is written about a recording never outlives it."""
    archived = ageing.archive(bakery, days=1)
    admin = database.connect()
    admin.execute("UPDATE recordings SET on_hold = true")
    ageing.live(days=30)
    made, asked = (ask(ageing, bakery, asker, archived.recording.id) for _ in range(2))
    making(ageing).make(bakery.id, made.id)
    admin.execute("UPDATE recordings SET on_hold = false")
    assert ageing.sweep().batch(bakery.id).destroyed == 1
    assert state_of(ageing, made).ends_at == ageing.house.clock.now()
    making(ageing).make(bakery.id, asked.id)
    assert making(ageing).sweep(bakery.id) == 2
    assert [state_of(ageing, each).state for each in (made, asked)] == [ExportState.ENDED] * 2
    assert ageing.store.versions(f"{bakery.id}/exports/") == []


def test_what_was_written_for_an_export_is_read_again_at_each_pass(
    ageing: Ageing, bakery: Tenant, asker: UserId
) -> None:
    """A flipped bit is told in the log of the export; an export that ended is none any more."""
    export = ask(ageing, bakery, asker, ageing.archive(bakery).recording.id)
    making(ageing).make(bakery.id, export.id)
    scrub = Scrub(ageing.store, ageing.worker, AuditWriter(ageing.worker, "worker/scrub"), ageing.house.clock)
    assert scrub.packages(bakery.id) == (4, [])
    part = exports.parts(ageing.worker, state_of(ageing, export))[0]
    octets = ageing.store.get(part.object_key, part.version_id)
    ageing.store.damage(part.object_key, part.version_id, octets[:-1] + bytes([octets[-1] ^ 1]))
    [found] = scrub.batch(bakery.id, None).findings
    assert isinstance(found, PackageFinding)
    assert (found.thing, found.what) == (f"export:{export.id}", "altered")
    assert scrub.tally([bakery.id]).damaged_exports == 1
    log = of_object(ageing.portal, bakery.id, f"export:{export.id}")
    assert ("object.damaged", "failed") in [(entry.action, entry.result) for entry in log]
    ageing.store.lose(part.object_key, part.version_id)
    [found] = scrub.packages(bakery.id)[1]
    assert found.what == "lost"
    ageing.live(days=8)
    making(ageing).sweep(bakery.id)
    assert scrub.packages(bakery.id) == (0, [])
    assert scrub.tally([bakery.id]).damaged_exports == 0
