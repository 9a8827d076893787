"""What two people let go since the backup was made goes again; what is merely missing stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from archive import tombstone
from archive.audit import AuditWriter
from archive.backup.drill import Ground, drill_backup
from archive.backup.making import Backup
from archive.backup.restoring import Restored, Target
from archive.backup.verification import Verdict
from archive.burial import Burial
from archive.catalogue import destructions, recordings
from archive.catalogue.audit_entries import of_object
from archive.catalogue.engine import Catalogue
from archive.catalogue.store_locks import SHORTENED, UNLOCKED
from archive.errors import NotFound
from archive.model import ArchivedRecording, RecordingState, Tenant
from archive.playback import Action, ObjectKind, Playback
from archive.rebuild import rebuild
from archive.store.object import sha256_hex
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from keys.signatory import load_authority, load_or_create
from retention.quarantine import Quarantine
from retention.scrub import PackageFinding, Scrub
from tests.unit.archive.sealed.backups import administrator_url, back_up, out, vault
from tests.unit.archive.sealed.test_restoring import catalogue, restore, target
from tests.unit.retention.ageing import ROOT, Ageing, auditor, objects_of
from tests.unit.retention.holding import assert_destroyed, hold, release
from tests.unit.retention.test_early_destruction import approve, people, propose, state_of

__all__ = ["administrator_url", "back_up", "catalogue", "out", "restore", "target", "vault"]


@pytest.fixture
def root() -> LocalKeyring:
    """The root the signatory of `Ageing` is sealed by."""
    return ROOT


@dataclass
class Restoring:
    """A host that was lost, and what takes its place."""

    before: Ageing
    restore: Callable[..., Restored]
    catalogue: Callable[[str], Catalogue]
    target: Target

    def after(self, backup: Backup) -> Ageing:
        """Restore the backup, with the bucket and the key store that still live."""
        self.restore(backup)
        worker, portal = self.catalogue("earwitness_worker"), self.catalogue("earwitness_portal")
        return replace(self.before, worker=worker, portal=portal)

    def rebuild(self, after: Ageing) -> tuple[int, list[str]]:
        """Build the catalogue again as the command does; return how many are let go, and what is in doubt."""
        operator, doubts, house = self.catalogue("earwitness_operator"), list[str](), after.house
        keys = DirectoryKeyStore(after.key_directory)
        authority = load_authority(keys, ROOT, "earwitness", house.clock.now())
        audit = AuditWriter(operator, "operator/new")
        burial = Burial(after.store, operator, audit, house.clock, authority, "operator:0")
        rebuild(after.store, house.vault, operator, doubt=doubts.append, bury=burial.every_tenant)
        return burial.buried, doubts


@pytest.fixture
def restoring(
    ageing: Ageing, restore: Callable[..., Restored], catalogue: Callable[[str], Catalogue], target: Target
) -> Restoring:
    return Restoring(ageing, restore, catalogue, target)


def let_go(ageing: Ageing, operator: Catalogue, tenant: Tenant, *several: ArchivedRecording) -> None:
    """Have two people let recordings go, and the worker destroy them."""
    ada, otto = people(ageing, operator, tenant)
    for archived in several:
        approve(ageing, otto, propose(ageing, ada, archived))
    assert ageing.sweep().batch(tenant.id).destroyed == len(several)
    for archived in several:
        assert_destroyed(ageing, tenant, archived)


def parties_of(ageing: Ageing, tenant: Tenant, archived: ArchivedRecording) -> tuple[object, ...]:
    found = recordings.get(ageing.portal, auditor(tenant), archived.recording.id).recording
    return found.parties, found.call_id


def assert_opens(ageing: Ageing, tenant: Tenant, archived: ArchivedRecording) -> None:
    audit = AuditWriter(ageing.portal, "portal/test")
    playback = Playback(ageing.store, ageing.house.vault, ageing.portal, audit, ageing.house.clock)
    reader = playback.open_object(auditor(tenant), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)
    assert reader.read(0, 4) == b"fLaC"


def test_what_two_people_let_go_since_the_backup_goes_again_with_its_names_and_numbers(
    restoring: Restoring, ageing: Ageing, operator: Catalogue, bakery: Tenant, back_up: Callable[[], Backup]
) -> None:
    """Also what was on its way out when the backup was made; what hung from the same key stays and opens."""
    gone, going, stays = (ageing.archive(bakery, days=2000) for _ in range(3))
    ada, otto = people(ageing, operator, bakery)
    approve(ageing, otto, propose(ageing, ada, going))
    now = ageing.house.clock.now()
    with ageing.worker.transaction(bakery.id) as connection:
        assert destructions.claim(
            connection, bakery.id, going.recording.id, claim="of-the-dead", until=now, now=now
        )
    backup = back_up()
    ageing.live(minutes=11)
    approve(ageing, otto, propose(ageing, ada, gone))
    ageing.sweep().batch(bakery.id)
    after = restoring.after(backup)
    assert parties_of(after, bakery, gone) == (gone.recording.parties, gone.recording.call_id)
    assert gone.recording.parties, "the database of yesterday names who called"
    assert restoring.rebuild(after) == (2, [])
    after.sweep().batch(bakery.id)
    for each in (gone, going):
        assert_destroyed(after, bakery, each)
        assert parties_of(after, bakery, each) == ((), "")
    assert after.entries(gone) == [
        ("recording.destroy", "ok"),
        ("recording.destroy", "ok"),
        ("recording.erased", "ok"),
        ("recording.destroyed", "ok"),
    ]
    [begun, *_] = of_object(after.portal, bakery.id, f"recording:{gone.recording.id}")[-4:]
    assert (begun.actor, begun.action) == ("operator:0", "recording.destroy")
    destruction, _ = destructions.certificate_of(after.portal, auditor(bakery), gone.recording.id)
    assert destruction.proposal_id is not None
    assert all(each.found for each in destruction.objects or ())
    assert_opens(after, bakery, stays)
    assert restoring.rebuild(after) == (0, []), "a second run changes nothing"


def test_what_was_let_go_goes_again_where_the_keys_of_the_backup_alone_are_left(
    restoring: Restoring,
    ageing: Ageing,
    operator: Catalogue,
    bakery: Tenant,
    back_up: Callable[[], Backup],
) -> None:
    """The key that was destroyed came back with the backup, and is destroyed once more."""
    ageing.signatory()
    gone, stays = ageing.archive(bakery, days=2000), ageing.archive(bakery, days=2000)
    backup = back_up()
    let_go(ageing, operator, bakery, gone)
    after = restoring.after(backup)
    key_directory = Path(restoring.target.key_store._path)
    vault = type(ageing.house.vault)(ROOT, restoring.target.key_store)
    after = replace(after, house=replace(ageing.house, vault=vault), key_directory=key_directory)
    assert restoring.rebuild(after) == (1, [])
    after.sweep().batch(bakery.id)
    assert_destroyed(after, bakery, gone)
    assert gone.kek_id in restoring.target.key_store.destroyed()
    assert_opens(after, bakery, stays)


def test_nothing_goes_by_an_empty_place_a_forged_tombstone_or_against_a_hold(
    restoring: Restoring,
    ageing: Ageing,
    operator: Catalogue,
    bakery: Tenant,
    back_up: Callable[[], Backup],
    tmp_path: Path,
) -> None:
    """A bucket may lack anything, and a key that gave way to its next one is destroyed as well."""
    missing, moved, forged, again, held, gone = (ageing.archive(bakery, days=2000) for _ in range(6))
    copies = [(each.key, ageing.store.get(each.key, each.version_id)) for each in again.objects]
    case_id = hold(ageing, bakery, held)
    backup = back_up()
    release(ageing, bakery, case_id)
    let_go(ageing, operator, bakery, again, held, gone)
    for key, octets in copies:
        ageing.store.put(key, octets, None, sha256=sha256_hex(octets))
    lay_strange(ageing, bakery, gone, moved, forged, tmp_path)
    for archived in (missing, moved, forged):
        for version in ageing.store.versions(f"{bakery.id}/{archived.recording.id}/"):
            ageing.store.lose(version.key, version.version_id)
    after = restoring.after(backup)
    buried, doubts = restoring.rebuild(after)
    assert buried == 1
    of_it = {
        archived.recording.id: [line for line in doubts if archived.recording.id in line]
        for archived in (missing, moved, forged, again, held)
    }
    assert of_it[missing.recording.id] == []
    for archived, what in (
        (moved, "none this archive signed"),
        (forged, "none this archive signed"),
        (again, "stands in the bucket again"),
        (held, "is held by a case"),
    ):
        assert what in of_it[archived.recording.id][0]
    after.sweep().attempt(bakery.id)
    assert parties_of(after, bakery, gone) == ((), "")
    for archived in (missing, moved, forged, again, held):
        assert state_of(after, bakery, archived) is RecordingState.AVAILABLE
        assert parties_of(after, bakery, archived)[1] == archived.recording.call_id
    assert len(objects_of(after.store, bakery, again.recording.id)) == len(copies)
    release(after, bakery, case_id)
    assert restoring.rebuild(after)[0] == 1
    after.sweep().attempt(bakery.id)
    assert parties_of(after, bakery, held) == ((), "")


def lay_strange(
    ageing: Ageing,
    tenant: Tenant,
    gone: ArchivedRecording,
    moved: ArchivedRecording,
    forged: ArchivedRecording,
    folder: Path,
) -> None:
    """Put what somebody can who writes to the bucket: a copy elsewhere, and a signature of their own."""
    now = ageing.house.clock.now()
    [real] = [
        each
        for each in ageing.store.versions(tombstone.tombstones_prefix(tenant.id))
        if gone.recording.id in each.key
    ]
    octets = ageing.store.get(real.key, real.version_id)
    key = real.key.replace(gone.recording.id, moved.recording.id)
    ageing.store.put(key, octets, None, sha256=sha256_hex(octets))
    ours = load_authority(DirectoryKeyStore(ageing.key_directory), ROOT, "earwitness", now)
    stone = replace(tombstone.read(real.key, octets, ours), recording_id=forged.recording.id)
    (folder / "theirs").mkdir()
    theirs = load_or_create(DirectoryKeyStore(folder / "theirs"), ROOT, "earwitness", now)
    tombstone.lay(ageing.store, theirs, stone, "forged")


def test_a_tombstone_says_nothing_of_anybody_and_is_locked_until_the_term_would_be_over(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    gone, over = ageing.archive(bakery, days=2000), ageing.archive(bakery, days=1)
    let_go(ageing, operator, bakery, gone)
    ageing.live(days=2)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, over)
    [stone] = ageing.store.versions(tombstone.tombstones_prefix(bakery.id))
    octets, facts = ageing.store.fetch(stone.key, stone.version_id)
    assert facts.retain_until == gone.recording.retain_until
    statement = tombstone._LINE.validate_json(octets).statement.decode()
    told = json.loads(statement)
    assert set(told) == {
        "format",
        "tenant_id",
        "recording_id",
        "proposal_id",
        "retain_until",
        "gone_at",
        "objects",
    }
    assert gone.recording.call_id not in statement
    assert of_object(ageing.portal, bakery.id, f"recording:{gone.recording.id}")


def in_quarantine(ageing: Ageing, tenant: Tenant) -> ArchivedRecording:
    return ageing.archive(tenant, days=7, state=RecordingState.QUARANTINED, owner=None)


def decide_to_destroy(ageing: Ageing, tenant: Tenant, archived: ArchivedRecording) -> None:
    """Destroy a recording in quarantine as the worker does when an administrator says so."""
    house, audit = ageing.house, AuditWriter(ageing.worker, "worker/quarantine")
    Quarantine(
        ageing.store,
        lambda: house.vault,
        ageing.worker,
        audit,
        house.clock,
        house.clock.now,
        ageing.signatory,
    ).destroy(tenant.id, archived.recording.id, "user:admin")


def test_what_an_administrator_destroyed_in_quarantine_since_the_backup_goes_again(
    restoring: Restoring, ageing: Ageing, bakery: Tenant, back_up: Callable[[], Backup]
) -> None:
    """With its names and numbers, and not only when its seven days are over."""
    gone, stays = in_quarantine(ageing, bakery), in_quarantine(ageing, bakery)
    backup = back_up()
    decide_to_destroy(ageing, bakery, gone)
    after = restoring.after(backup)
    assert parties_of(after, bakery, gone) == (gone.recording.parties, gone.recording.call_id)
    assert restoring.rebuild(after) == (1, [])
    after.sweep().batch(bakery.id)
    with pytest.raises(NotFound):
        parties_of(after, bakery, gone)
    destructions.certificate_of(after.portal, auditor(bakery), gone.recording.id)
    assert state_of(after, bakery, stays) is RecordingState.QUARANTINED
    assert restoring.rebuild(after) == (0, [])


def test_what_left_quarantine_by_its_time_leaves_no_tombstone(ageing: Ageing, bakery: Tenant) -> None:
    """In a database of yesterday its time is over as well."""
    gone = in_quarantine(ageing, bakery)
    ageing.live(days=7)
    decide_to_destroy(ageing, bakery, gone)
    assert ageing.store.versions(f"{bakery.id}/") == []


def test_a_drill_counts_what_was_let_go_since_the_backup_as_destroyed_and_says_so(
    ageing: Ageing, operator: Catalogue, bakery: Tenant, back_up: Callable[[], Backup]
) -> None:
    """What is merely missing is a failure still."""
    gone, unknown, stays, missing = (
        ageing.archive(bakery, days=2000),
        in_quarantine(ageing, bakery),
        ageing.archive(bakery, days=2000),
        ageing.archive(bakery, days=2000),
    )
    ageing.signatory()
    backup = back_up()
    let_go(ageing, operator, bakery, gone)
    decide_to_destroy(ageing, bakery, unknown)
    for version in ageing.store.versions(f"{bakery.id}/{missing.recording.id}/"):
        ageing.store.lose(version.key, version.version_id)
    told: list[str] = []
    ground = Ground(ageing.store, ROOT, DirectoryKeyStore(ageing.key_directory), backup.folder)
    outcomes = drill_backup(ground, ageing.house.clock.now(), None, told.append)
    [outcome] = [each for each in outcomes if each.result.tenant_id == bakery.id]
    assert (outcome.as_told, outcome.let_go, outcome.result.recordings) == (True, 2, 4)
    assert [outcome.result.counts[verdict] for verdict in Verdict] == [1, 2, 1]
    assert "tombstones: 2 recordings were let go since, and go again" in told
    assert outcome.result.failures[0].startswith(missing.recording.id)
    assert_opens(ageing, bakery, stays)


def test_a_lock_taken_off_a_tombstone_is_found_and_put_back(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    """Without it somebody with the bucket's keys deletes it, and a restored backup gives the names back."""
    gone = ageing.archive(bakery, days=2000)
    let_go(ageing, operator, bakery, gone)
    audit = AuditWriter(ageing.worker, "worker/scrub")
    scrub = Scrub(ageing.store, ageing.worker, audit, ageing.house.clock)
    assert scrub.tombstones(bakery.id) == (1, [])
    [stone] = ageing.store.versions(tombstone.tombstones_prefix(bakery.id))
    for until in (None, ageing.house.clock.now()):
        ageing.store.loosen(stone.key, stone.version_id, until, "GOVERNANCE")
        [found] = scrub.batch(bakery.id, None).findings
        what = UNLOCKED if until is None else SHORTENED
        assert found == PackageFinding(f"recording:{gone.recording.id}", "tombstone", what)
        facts = ageing.store.head(stone.key, stone.version_id)
        assert facts.retain_until == gone.recording.retain_until
        assert scrub.batch(bakery.id, None).findings == ()
    assert ageing.entries(gone).count(("object.damaged", "failed")) == 2
