"""A package is made of what was archived, by whom may take it out, and of nothing that was altered."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from archive.access import AccessScope
from archive.catalogue import grounds
from archive.catalogue.audit_entries import of_object
from archive.catalogue.engine import Catalogue
from archive.errors import DependencyUnavailable, NotFound, Refused, VerificationFailed
from archive.evidence.bag import BAG_INFO, SIGNATURE, TAG_MANIFEST, read_manifest
from archive.evidence.folder import FolderShelf
from archive.evidence.package import RECORDINGS_COUNT_MAX, Commission, Packer, TimeStamping
from archive.evidence.verification import Trust, verify_package
from archive.grounds import STANDARD, LegalBasis
from archive.model import ArchivedRecording, FinishedRecording, ObjectKind, Party, RecordingId, Role, Tenant
from archive.playback import Playback
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from keys.signatory import Signatory, load_or_create

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOSTILE = "<script>alert(1)</script>\u202egnp"
XML = b"<recording xmlns='urn:ietf:params:xml:ns:recording:1'/>"


@pytest.fixture(scope="module")
def signatory(tmp_path_factory: pytest.TempPathFactory) -> Signatory:
    store = DirectoryKeyStore(tmp_path_factory.mktemp("keys"))
    return load_or_create(store, LocalKeyring(bytes(32)), "Voorbeeld BV", NOW)


@pytest.fixture
def archived(
    house: object, finished: FinishedRecording, outcome_of: Callable[[FinishedRecording], object]
) -> ArchivedRecording:
    parties = (Party("a", "+31201234567", HOSTILE), Party("b", "+31612345678", "Jansen"))
    revision = {"contentType": "application/rs-metadata+xml", "bodyBase64": base64.b64encode(XML).decode()}
    metadata = json.dumps({"revisions": [revision]}).encode()
    changed = dataclasses.replace(
        finished, recording=dataclasses.replace(finished.recording, parties=parties), metadata=metadata
    )
    return house.ingest().archive(changed, outcome_of(changed))


@pytest.fixture
def packer(playback: Playback, portal: Catalogue, signatory: Signatory) -> Packer:
    return Packer(playback, portal, signatory)


def commission(tenant: Tenant, *ids: RecordingId, role: Role = Role.AUDITOR) -> Commission:
    scope = AccessScope(tenant_id=tenant.id, actor="user:7", role=role, user_id=None, access="own")
    return Commission(scope, ids, "case-12", "Claim 2026-44", "De Vries", "Bakkerij Jansen")


def test_v7_the_sound_is_the_one_the_audit_log_knows_since_it_was_archived(
    packer: Packer, bakery: Tenant, archived: ArchivedRecording, finished: FinishedRecording, tmp_path: Path,
    portal: Catalogue,
) -> None:  # fmt: skip
    packer.pack(commission(bakery, archived.recording.id), FolderShelf(tmp_path / "bag"), NOW)
    folder = tmp_path / "bag/data/recordings" / archived.recording.id
    audio = (folder / "audio.flac").read_bytes()
    assert audio == finished.audio
    custody = [json.loads(line) for line in (folder / "custody.jsonl").read_text().splitlines()]
    (made,) = (entry for entry in custody if entry["action"] == "recording.archived")
    assert made["body"]["sound"] == hashlib.sha256(audio).hexdigest()
    logged = of_object(portal, bakery.id, f"recording:{archived.recording.id}")
    assert [entry["hash"] for entry in custody] == [entry.hash for entry in logged]


def test_the_package_passes_the_check_and_holds_what_it_promises(
    packer: Packer, bakery: Tenant, archived: ArchivedRecording, signatory: Signatory, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    order = commission(bakery, archived.recording.id)
    packer.pack(order, FolderShelf(tmp_path / "bag"), NOW, lambda done, of: told.append((done, of)))
    assert verify_package(tmp_path / "bag", Trust(signatory.authority), NOW).faults == ()
    assert told == [(0, 1), (1, 1)]
    place = f"data/recordings/{archived.recording.id}/"
    payload = read_manifest((tmp_path / "bag/manifest-sha256.txt").read_bytes())
    assert sorted(payload) == sorted(
        ["data/report-nl.html", "data/report-en.html"]
        + [place + name for name in ("audio.flac", "record.json", "timeline.json", "metadata.json")]
        + [place + name for name in ("siprec-001.xml", "vcon.json", "custody.jsonl", "proofs.jsonl")]
    )
    assert (tmp_path / "bag" / place / "siprec-001.xml").read_bytes() == XML
    vcon = json.loads((tmp_path / "bag" / place / "vcon.json").read_text())
    assert vcon["dialog"][0]["parties"] == [0, 1]
    digest = hashlib.sha512((tmp_path / "bag" / place / "audio.flac").read_bytes()).digest()
    assert vcon["dialog"][0]["content_hash"] == "sha512-" + base64.urlsafe_b64encode(digest).decode().rstrip(
        "="
    )
    assert "wrapped" not in (tmp_path / "bag" / place / "record.json").read_text()


def test_the_report_tells_why_it_was_recorded_as_written_down_when_the_call_began(
    packer: Packer,
    operator: Catalogue,
    database: Any,
    bakery: Tenant,
    archived: ArchivedRecording,
    tmp_path: Path,
) -> None:
    """What is written later does not count for it; where nothing was written by then, it says so."""
    database.connect().execute("DELETE FROM recording_grounds")
    packer.pack(commission(bakery, archived.recording.id), FolderShelf(tmp_path / "before"), NOW)
    assert "Nothing was written down about that" in (tmp_path / "before/data/report-en.html").read_text()
    began = archived.recording.started_at
    for at, purpose in ((began - HOUR, "<i>Orders</i>"), (began + HOUR, "Training")):
        own = dataclasses.replace(STANDARD, purposes=(purpose,), legal_basis=LegalBasis.CONTRACT)
        with operator.transaction(bakery.id) as connection:
            grounds.register(connection, bakery.id, own, "user:boss", now=at)
    packer.pack(commission(bakery, archived.recording.id), FolderShelf(tmp_path / "bag"), NOW)
    page = (tmp_path / "bag/data/report-nl.html").read_text()
    assert "&lt;i&gt;Orders&lt;/i&gt;" in page
    assert "Grondslag (artikel 6 AVG): overeenkomst" in page
    assert "Training" not in page


def test_what_an_organisation_calls_itself_is_told_as_that_and_in_nothing_that_is_checked(
    packer: Packer, bakery: Tenant, archived: ArchivedRecording, tmp_path: Path
) -> None:
    claim = f"OK, untouched: checked by the court {HOSTILE}"
    order = dataclasses.replace(commission(bakery, archived.recording.id), own_name=claim)
    packer.pack(order, FolderShelf(tmp_path / "bag"), NOW)
    page = (tmp_path / "bag/data/report-en.html").read_text()
    assert "<dt>Of</dt><dd><bdi>Bakkerij Jansen</bdi></dd>" in page
    assert "<dt>Calls itself</dt><dd>“<bdi>OK, untouched: checked by the court &lt;script&gt;" in page
    assert page.count("checked by the court") == 1
    others = [each for each in (tmp_path / "bag").rglob("*") if each.is_file() and each.suffix != ".html"]
    assert others
    assert not [each for each in others if b"checked by the court" in each.read_bytes()]
    packer.pack(commission(bakery, archived.recording.id), FolderShelf(tmp_path / "plain"), NOW)
    assert "Calls itself" not in (tmp_path / "plain/data/report-en.html").read_text()


def test_a_hostile_name_is_text_in_both_reports(
    packer: Packer, bakery: Tenant, archived: ArchivedRecording, tmp_path: Path
) -> None:
    packer.pack(commission(bakery, archived.recording.id), FolderShelf(tmp_path / "bag"), NOW)
    for language, title in (("nl", "Bewijspakket"), ("en", "Evidence package")):
        page = (tmp_path / f"bag/data/report-{language}.html").read_text()
        assert title in page
        assert "<script" not in page
        assert "&lt;script&gt;" in page
        assert archived.recording.sha256 in page


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.USER])
def test_v4_nobody_but_an_auditor_takes_recordings_out(
    packer: Packer, bakery: Tenant, archived: ArchivedRecording, tmp_path: Path, role: Role
) -> None:
    """That the attempt is logged is shown where somebody asks (`tests/unit/playback_portal/test_exports.py`)."""
    with pytest.raises((Refused, NotFound)):
        packer.pack(commission(bakery, archived.recording.id, role=role), FolderShelf(tmp_path / "bag"), NOW)
    assert not any(path.name == "audio.flac" for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("kind", [ObjectKind.AUDIO, ObjectKind.TIMELINE, ObjectKind.METADATA])
def test_v6_of_an_altered_object_no_package_is_made_and_the_recording_is_named(
    packer: Packer,
    bakery: Tenant,
    archived: ArchivedRecording,
    house: object,
    tmp_path: Path,
    kind: ObjectKind,
) -> None:
    """Whichever of those that go into it."""
    stored = next(one for one in archived.objects if one.kind is kind)
    sealed = bytearray(house.store.get(stored.key, stored.version_id))
    sealed[-1] ^= 1
    house.store.damage(stored.key, stored.version_id, bytes(sealed))
    with pytest.raises(VerificationFailed, match=archived.recording.id):
        packer.pack(commission(bakery, archived.recording.id), FolderShelf(tmp_path / "bag"), NOW)
    assert not (tmp_path / "bag" / SIGNATURE).exists()


@pytest.mark.parametrize("marker", [True, False])
def test_r6_what_lies_on_top_of_the_archived_versions_is_not_exported(
    packer: Packer,
    bakery: Tenant,
    archived: ArchivedRecording,
    finished: FinishedRecording,
    house: object,
    signatory: Signatory,
    tmp_path: Path,
    *,
    marker: bool,
) -> None:
    """R6: somebody with the bucket's keys deleted or overwrote every object; the package is that of before."""
    for stored in archived.objects:
        house.store.cover(stored.key, marker=marker)
    packer.pack(commission(bakery, archived.recording.id), FolderShelf(tmp_path / "bag"), NOW)
    assert verify_package(tmp_path / "bag", Trust(signatory.authority), NOW).faults == ()
    folder = tmp_path / "bag/data/recordings" / archived.recording.id
    assert (folder / "audio.flac").read_bytes() == finished.audio
    assert (folder / "timeline.json").read_bytes() == finished.timeline


def test_v5_two_packages_of_one_recording_differ_only_in_date_signature_and_who_did_what_since(
    packer: Packer, bakery: Tenant, archived: ArchivedRecording, tmp_path: Path
) -> None:
    found = []
    for name in ("one", "two"):
        packer.pack(commission(bakery, archived.recording.id), FolderShelf(tmp_path / name), NOW)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        found.append({path.relative_to(tmp_path / name).as_posix(): path.read_bytes() for path in files})
    one, two = found
    assert one.keys() == two.keys()
    differing = {name for name in one if one[name] != two[name]}
    custody = f"data/recordings/{archived.recording.id}/custody.jsonl"
    may_differ = {BAG_INFO, SIGNATURE, TAG_MANIFEST, "manifest-sha256.txt", custody}
    assert differing <= may_differ
    before, since = (set(each[custody].splitlines()) for each in found)
    assert before < since, "what the log said before, it says still"


class AwayOnce:
    """An authority of time that does not answer at first."""

    def __init__(self) -> None:
        self.asked = 0

    def stamp(self, data: bytes) -> bytes:
        self.asked += 1
        if self.asked == 1:
            raise DependencyUnavailable("The time-stamp authority does not answer.")
        return b"stamp of " + hashlib.sha256(data).digest()


def test_an_export_that_was_broken_off_goes_on_and_leaves_nothing_behind(
    playback: Playback, portal: Catalogue, signatory: Signatory, bakery: Tenant, archived: ArchivedRecording,
    tmp_path: Path,
) -> None:  # fmt: skip
    packer = Packer(playback, portal, signatory, TimeStamping(AwayOnce(), b"a certificate\n"))
    order = commission(bakery, archived.recording.id)
    with pytest.raises(DependencyUnavailable):
        packer.pack(order, FolderShelf(tmp_path / "bag"), NOW)
    stray = tmp_path / "bag/data/recordings/left-by-a-crash"
    stray.mkdir()
    (stray / "audio.flac.partial").write_bytes(b"half")
    packer.pack(order, FolderShelf(tmp_path / "bag"), NOW)
    assert not stray.exists()
    faults = verify_package(tmp_path / "bag", Trust(signatory.authority), NOW).faults
    assert faults == ("the time-stamp is not of this signature, or of nobody who is trusted",)


def test_no_recordings_and_too_many_are_refused(packer: Packer, bakery: Tenant, tmp_path: Path) -> None:
    for count in (0, RECORDINGS_COUNT_MAX + 1):
        ids = tuple(RecordingId(f"r{number}") for number in range(count))
        with pytest.raises(Refused):
            packer.pack(commission(bakery, *ids), FolderShelf(tmp_path / "bag"), NOW)
