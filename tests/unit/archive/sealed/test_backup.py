"""What a restore needs is enough for a restore, and no longer than its term."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from archive.audit import AuditWriter
from archive.backup.copied_keys import RestoredKeys, copy_keys
from archive.backup.drill import Ground, Outcome, drill_backup, drill_bucket
from archive.backup.dump import WITHOUT, connected
from archive.backup.folder import (
    CLEAR_FORMAT,
    DUMP,
    MANIFEST,
    MANIFEST_SUM,
    TERM,
    Times,
    checked,
    in_clear,
    manifest_of,
    remove_overdue,
)
from archive.backup.making import Backup, Source, make_backup, refuse_within
from archive.backup.sealed import open_backup
from archive.backup.verification import KEY_GONE_EARLY, Verdict, Verification
from archive.catalogue import recordings
from archive.catalogue.engine import Catalogue
from archive.catalogue.holdings import holdings
from archive.embedded.postgres import programs
from archive.errors import Refused, VerificationFailed
from archive.model import ArchivedRecording, ObjectKind
from archive.rewrap import Rewrapping
from keys.errors import KeyDestroyed, KeyNotFound, KeyStoreUnavailable
from keys.kek import KekVault
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from tests.unit.archive.sealed.backups import administrator_url, archive_many, back_up, out, root, vault

__all__ = ["administrator_url", "archive_many", "back_up", "out", "root", "vault"]

SECOND = timedelta(seconds=1)


@pytest.fixture
def restored(
    house: object, root: LocalKeyring, key_directory: Path, worker: Catalogue
) -> Callable[..., Verification]:
    """Return what verifies by the keys of a backup; `live` says whether the key store still lives."""

    def make(backup: Backup, *, live: bool, days: int = 400) -> Verification:
        living = DirectoryKeyStore(key_directory) if live else None
        keys = RestoredKeys(backup.folder / "keys", living)
        return Verification(
            house.store, KekVault(root, keys), worker, house.clock.now() + timedelta(days=days)
        )

    return make


def counts(outcomes: list[Outcome]) -> dict[str, tuple[int, int, int]]:
    return {
        each.domain: tuple(each.result.counts[verdict] for verdict in Verdict)  # type: ignore[misc]
        for each in outcomes
    }


def flip(path: Path, at: int) -> None:
    octets = bytearray(path.read_bytes())
    octets[at] ^= 1
    path.write_bytes(octets)


def test_a_backup_is_restored_into_an_empty_host_and_every_recording_opens(
    house: object,
    root: LocalKeyring,
    key_directory: Path,
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
) -> None:
    """With the key store of the backup alone: key store and database were lost."""
    backup = back_up()
    told: list[str] = []
    ground = Ground(house.store, root, None, backup.folder)
    outcomes = drill_backup(ground, house.clock.now(), None, told.append)
    assert counts(outcomes) == {"bakery.example": (2, 0, 0), "florist.example": (1, 0, 0)}
    assert all(each.is_good and each.as_told for each in outcomes)
    assert any(line.endswith("2 of 2 recordings read") for line in told)


def test_before_expiry_the_loss_of_the_whole_database_loses_nothing(
    house: object, root: LocalKeyring, key_directory: Path, archive_many: list[ArchivedRecording]
) -> None:
    """The bucket and the key store are enough; what was destroyed stays so, what is damaged is found."""
    ground = Ground(house.store, root, DirectoryKeyStore(key_directory), None)
    outcomes = drill_bucket(ground, house.clock.now(), None, lambda line: None)
    assert sorted(each.result.counts[Verdict.VERIFIED] for each in outcomes) == [1, 2]
    assert all(each.is_good and each.as_told is None for each in outcomes)
    house.vault.destroy(archive_many[1].kek_id)
    audio = archive_many[0].objects[0]
    house.store.damage(audio.key, audio.version_id, b"short")
    after = house.clock.now() + timedelta(days=400)
    outcomes = drill_bucket(ground, after, None, lambda line: None)
    found = {each.result.tenant_id: each for each in outcomes}
    florist, bakery = (found[archive_many[number].recording.tenant_id] for number in (1, 0))
    assert florist.is_good
    assert florist.result.counts == {Verdict.VERIFIED: 0, Verdict.DESTROYED: 1, Verdict.FAILED: 0}
    assert not bakery.is_good
    assert bakery.result.counts == {Verdict.VERIFIED: 1, Verdict.DESTROYED: 0, Verdict.FAILED: 1}
    assert bakery.result.failures[0].startswith(archive_many[0].recording.id)


def test_a_backup_is_for_its_owner_alone_and_checked_by_standard_tools(
    archive_many: list[ArchivedRecording], back_up: Callable[[], Backup]
) -> None:
    backup = back_up()
    assert backup.folder.name == "earwitness-backup-20261122T100000Z"
    for path in (backup.folder, *backup.folder.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    for sums in ("SHA256SUMS", "manifest.sha256"):
        subprocess.run(
            ["/usr/bin/sha256sum", "--quiet", "--check", sums], cwd=backup.folder, check=True, timeout=60
        )
    assert backup.manifest.destroy_by - backup.manifest.made_at == TERM == timedelta(days=7)
    assert sorted((each.recordings, each.objects) for each in backup.manifest.holdings) == [(1, 5), (2, 10)]
    told = (backup.folder / "manifest.json").read_text()
    assert "+31" not in told
    assert "bakery" not in told


def test_calls_under_way_are_not_in_it(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    root: LocalKeyring,
    house: object,
    tmp_path: Path,
) -> None:
    """They may tell of calls nobody keeps; their tables are there, empty."""
    backup = back_up()
    assert backup.manifest.without == WITHOUT
    opened = tmp_path / "opened"
    opened.write_bytes(b"".join(open_backup(backup.folder, root, house.clock.now()).dump()))
    listing = [str(programs() / "pg_restore"), "--list", str(opened)]
    listed = subprocess.run(listing, capture_output=True, text=True, check=True, timeout=60).stdout
    for table in WITHOUT:
        assert f" TABLE public {table} " in listed
        assert f"TABLE DATA public {table} " not in listed
    assert "TABLE DATA public recordings " in listed


@pytest.mark.parametrize(
    "name",
    ["database.sealed", "SHA256SUMS", "manifest.json", "manifest.sha256", "manifest.seal", "a key"],
)
def test_one_flipped_bit_is_found(
    name: str,
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    root: LocalKeyring,
    house: object,
) -> None:
    backup = back_up()
    open_backup(backup.folder, root, house.clock.now())
    kek = archive_many[0].kek_id
    path = backup.folder / ("keys/" + kek if name == "a key" else name)
    flip(path, path.stat().st_size // 2)
    with pytest.raises(VerificationFailed, match="altered"):
        open_backup(backup.folder, root, house.clock.now())


def test_nothing_readable_stands_in_a_backup(
    archive_many: list[ArchivedRecording], back_up: Callable[[], Backup], administrator_url: str
) -> None:
    """No name, no number, no name of a table: who finds the folder has sealed octets, ids and days."""
    with connected(administrator_url) as connection:
        assert connection.execute("SELECT count(*) FROM recordings").fetchone() == (3,)
    for path in back_up().folder.rglob("*"):
        if path.is_file():
            octets = path.read_bytes()
            for needle in (b"+316", b"+312", b"Jansen", b"bakery", b"Bakker", b"PGDMP", b"call_events_"):
                assert needle not in octets, path


def rewritten(backup: Backup, **changes: object) -> None:
    """Alter a manifest as somebody would who has no keyring, sums and all."""
    path = backup.folder / MANIFEST
    told = json.loads(path.read_text())
    told.update(changes)
    path.write_text(json.dumps(told))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (backup.folder / MANIFEST_SUM).write_text(f"{digest}  {MANIFEST}\n")


def test_who_has_no_keyring_alters_nothing_unseen_though_all_sums_fit(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    root: LocalKeyring,
    house: object,
) -> None:
    backup = back_up()
    kek = archive_many[0].kek_id
    (backup.folder / "keys" / kek).unlink()
    sums = backup.folder / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(keepends=True) if kek not in line))
    rewritten(backup, sums_sha256=hashlib.sha256(sums.read_bytes()).hexdigest())
    checked(backup.folder, house.clock.now())
    with pytest.raises(VerificationFailed, match="altered by somebody without the keyring"):
        open_backup(backup.folder, root, house.clock.now())


def test_another_keyring_opens_no_backup_and_says_which_one_does(
    archive_many: list[ArchivedRecording], back_up: Callable[[], Backup], house: object
) -> None:
    backup = back_up()
    with pytest.raises(Refused, match="keyring of the time it was made"):
        open_backup(backup.folder, LocalKeyring(b"x" * 32), house.clock.now())


def test_a_flipped_bit_that_came_after_the_check_is_given_to_no_database(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    root: LocalKeyring,
    house: object,
) -> None:
    """Each segment is verified once more when it is restored."""
    backup = back_up()
    opened = open_backup(backup.folder, root, house.clock.now())
    whole = b"".join(opened.dump())
    sealed = backup.folder / DUMP
    flip(sealed, sealed.stat().st_size - 1)
    given: list[bytes] = []
    with pytest.raises(VerificationFailed, match="altered"):
        given.extend(opened.dump())
    assert whole.startswith(b"".join(given))
    assert len(b"".join(given)) < len(whole)


def known(now: datetime, *, late: timedelta = timedelta(0)) -> Times:
    """Return what a clock tells that is known to be right, on a machine that was off for so long."""
    return Times(now, now - late, is_known=True)


def test_a_backup_in_clear_of_an_older_release_is_not_restored_and_goes_at_its_term(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    root: LocalKeyring,
    house: object,
    out: Path,
) -> None:
    backup = back_up()
    (backup.folder / "database.dump").write_bytes(b"PGDMP")
    rewritten(backup, format=CLEAR_FORMAT)
    with pytest.raises(Refused, match="older release, which did not seal the database"):
        open_backup(backup.folder, root, house.clock.now())
    assert in_clear(out) == [backup.folder]
    assert remove_overdue(out, known(house.clock.now() + TERM - SECOND)) == ([], [])
    assert remove_overdue(out, known(house.clock.now() + TERM)) == ([backup.folder], [])
    assert in_clear(out) == []


def test_a_backup_that_was_being_destroyed_is_destroyed_by_the_next(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    house: object,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backup = back_up()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", broken_off)
        with pytest.raises(RuntimeError):
            remove_overdue(out, known(house.clock.now() + TERM))
    assert (backup.folder / MANIFEST).exists()
    assert remove_overdue(out, known(house.clock.now() + TERM))[0] == [backup.folder]
    assert not backup.folder.exists()


def broken_off(*_: object, **__: object) -> None:
    """Stand in the place of a removal that does not come to its end."""
    raise RuntimeError("killed")


def test_a_file_removed_added_or_linked_is_found(
    archive_many: list[ArchivedRecording], back_up: Callable[[], Backup], house: object, tmp_path: Path
) -> None:
    backup = back_up()
    strange = backup.folder / "keys" / "strange"
    strange.write_bytes(b"x")
    with pytest.raises(VerificationFailed, match="altered or added"):
        checked(backup.folder, house.clock.now())
    strange.unlink()
    dump = backup.folder / DUMP
    dump.rename(tmp_path / "elsewhere")
    with pytest.raises(VerificationFailed, match="missing"):
        checked(backup.folder, house.clock.now())
    dump.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VerificationFailed, match="missing"):
        checked(backup.folder, house.clock.now())


def test_a_backup_past_its_term_is_not_restored_whatever_it_says_of_it(
    house: object, root: LocalKeyring, archive_many: list[ArchivedRecording], back_up: Callable[[], Backup]
) -> None:
    backup = back_up()
    checked(backup.folder, house.clock.now() + TERM - SECOND)
    for drill in (drill_backup, drill_bucket):
        ground = Ground(house.store, root, None, backup.folder)
        with pytest.raises(Refused, match="to be destroyed by 2026-11-29"):
            drill(ground, house.clock.now() + TERM, None, lambda line: None)
    stretched = dataclasses.replace(backup.manifest, destroy_by=house.clock.now() + 99 * TERM)
    assert stretched.is_over(house.clock.now() + TERM)


def test_the_next_backup_destroys_those_whose_term_is_over_and_nothing_else(
    house: object, archive_many: list[ArchivedRecording], back_up: Callable[[], Backup], out: Path
) -> None:
    first = back_up()
    (out / "somebody-elses").mkdir()
    (out / "earwitness-backup-20200101T000000Z").mkdir()
    house.clock.moment += TERM - SECOND
    second = back_up()
    assert remove_overdue(out, known(house.clock.now())) == ([], [out / "earwitness-backup-20200101T000000Z"])
    house.clock.moment += SECOND
    assert remove_overdue(out, known(house.clock.now()))[0] == [first.folder]
    assert not first.folder.exists()
    assert second.folder.exists()
    assert (out / "somebody-elses").exists()


def test_nothing_stays_of_a_backup_that_fails_or_was_killed(
    house: object, root: LocalKeyring, administrator_url: str, out: Path, tmp_path: Path, database: object
) -> None:
    left = out / ".earwitness-backup-20200101T000000Z.unfinished"
    (left / "keys").mkdir(parents=True)
    (left / "keys" / "key").write_bytes(b"sealed")
    source = Source(administrator_url, DirectoryKeyStore(tmp_path / "away"), root, "bucket", "1.0")
    with pytest.raises(KeyStoreUnavailable):
        make_backup(source, out, house.clock.now())
    assert list(out.iterdir()) == []


def test_two_backups_of_one_second_are_not_mixed(
    archive_many: list[ArchivedRecording], back_up: Callable[[], Backup]
) -> None:
    back_up()
    with pytest.raises(Refused, match="is there already"):
        back_up()


def test_a_role_that_sees_one_tenant_makes_no_backup(
    house: object, root: LocalKeyring, database: object, key_directory: Path, out: Path
) -> None:
    """It would be empty, and nobody would notice."""
    url = database.url("earwitness_worker")
    source = Source(url, DirectoryKeyStore(key_directory), root, "bucket", "1.0")
    with pytest.raises(Refused, match="administrator of the server"):
        make_backup(source, out, house.clock.now())
    assert list(out.iterdir()) == []


def test_a_backup_does_not_lie_beside_what_it_is_of(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    for place in (data, data / "backups", tmp_path / "link" / "backups"):
        with pytest.raises(Refused, match="lies in the data directory"):
            refuse_within(place, {"the data directory": data})
    refuse_within(tmp_path / "data-backups", {"the data directory": data})


def test_c8_what_was_destroyed_since_is_not_brought_back(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restored: Callable[..., Verification],
    house: object,
) -> None:
    """C8: the key store that lives says so; without it, the copy opens it until its term is over."""
    backup = back_up()
    house.vault.destroy(archive_many[1].kek_id)
    assert restored(backup, live=True).verdict(archive_many[1]) == (Verdict.DESTROYED, "")
    assert restored(backup, live=True).verdict(archive_many[0]) == (Verdict.VERIFIED, "")
    early = restored(backup, live=True, days=0).verdict(archive_many[1])
    assert early == (Verdict.FAILED, KEY_GONE_EARLY), "a term that still runs is no reason for a missing key"
    assert restored(backup, live=False).verdict(archive_many[1]) == (Verdict.VERIFIED, "")


def test_c8_a_backup_made_after_holds_its_tombstone_and_no_key(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restored: Callable[..., Verification],
    house: object,
) -> None:
    kek_id = archive_many[1].kek_id
    house.vault.destroy(kek_id)
    backup = back_up()
    assert backup.manifest.destroyed_keys == 1
    assert not (backup.folder / "keys" / kek_id).exists()
    with pytest.raises(KeyDestroyed):
        RestoredKeys(backup.folder / "keys", None).get(kek_id)
    assert restored(backup, live=False).verdict(archive_many[1]) == (Verdict.DESTROYED, "")


def test_recordings_whose_key_gave_way_since_still_open_from_an_older_backup(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restored: Callable[..., Verification],
    house: object,
    worker: Catalogue,
) -> None:
    """The row of the backup names a KEK that is gone; the key beside the recording opens."""
    first, _, sibling = archive_many
    backup = back_up()
    rewrapping = Rewrapping(house.store, house.vault, worker, AuditWriter(worker, "worker/test"), house.clock)
    rewrapping.supersede(
        first.recording.tenant_id,
        first.kek_id,
        ending=[first.recording.id],
        actor="operator:0",
        reason="erasure",
    )
    with pytest.raises(KeyDestroyed):
        house.vault.get(first.kek_id)
    assert restored(backup, live=True).verdict(sibling) == (Verdict.VERIFIED, "")
    assert restored(backup, live=True).verdict(first) == (Verdict.DESTROYED, "")


def test_a_backup_and_the_bucket_without_the_root_open_nothing(
    house: object, archive_many: list[ArchivedRecording], back_up: Callable[[], Backup], worker: Catalogue
) -> None:
    """Whoever takes the disks of both has sealed keys."""
    keys = RestoredKeys(back_up().folder / "keys", None)
    stranger = Verification(house.store, KekVault(LocalKeyring(b"x" * 32), keys), worker, house.clock.now())
    assert [stranger.verdict(each)[0] for each in archive_many] == [Verdict.FAILED] * 3


def test_a_key_that_is_missing_is_a_failure_and_no_destruction(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restored: Callable[..., Verification],
) -> None:
    backup = back_up()
    (backup.folder / "keys" / archive_many[0].kek_id).unlink()
    verdict, reason = restored(backup, live=False).verdict(archive_many[0])
    assert verdict is Verdict.FAILED
    assert "key" in reason


@pytest.mark.parametrize("number", range(5))
def test_every_object_of_a_recording_is_read(
    number: int,
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restored: Callable[..., Verification],
    house: object,
) -> None:
    backup = back_up()
    stored = archive_many[0].objects[number]
    octets = bytearray(house.store.get(stored.key, stored.version_id))
    octets[-1] ^= 1
    house.store.damage(stored.key, stored.version_id, bytes(octets))
    tenant_id = archive_many[0].recording.tenant_id
    result = restored(backup, live=False).tenant(tenant_id, None, lambda _: None)
    assert result.counts[Verdict.FAILED] == 1
    assert result.counts[Verdict.VERIFIED] == 1


def test_a_sample_is_of_each_tenant_and_no_larger_than_what_there_is(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restored: Callable[..., Verification],
) -> None:
    verification = restored(back_up(), live=False)
    tenant_id = archive_many[0].recording.tenant_id
    for sample, read in ((1, 1), (2, 2), (3, 2)):
        result = verification.tenant(tenant_id, sample, lambda _: None)
        assert (result.recordings, result.counts[Verdict.VERIFIED]) == (2, read)


def test_holdings_tell_catalogues_apart(
    archive_many: list[ArchivedRecording], administrator_url: str, back_up: Callable[[], Backup]
) -> None:
    """One other hash of one object is enough."""
    told = back_up().manifest.holdings
    with connected(administrator_url) as connection:
        assert holdings(connection) == told
        connection.execute(
            "UPDATE recording_objects SET plaintext_sha256 = %s WHERE recording_id = %s AND kind = 'peaks'",
            ("0" * 64, archive_many[0].recording.id),
        )
        changed = holdings(connection)
        differing = [each.tenant_id for each, old in zip(changed, told, strict=True) if each != old]
        assert differing == [archive_many[0].recording.tenant_id]
        connection.rollback()


def test_what_is_being_destroyed_is_not_looked_for(
    archive_many: list[ArchivedRecording], administrator_url: str, worker: Catalogue
) -> None:
    gone = archive_many[0].recording
    with connected(administrator_url) as connection:
        connection.execute("UPDATE recordings SET state = 'deleting' WHERE id = %s", (gone.id,))
        assert sorted(each.recordings for each in holdings(connection)) == [1, 1]
    with worker.transaction(gone.tenant_id) as connection:
        assert recordings.standing(connection, gone.tenant_id) == [archive_many[2].recording.id]


def test_a_folder_without_a_manifest_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is no backup"):
        manifest_of(tmp_path)


def test_restored_keys_are_read_alone(tmp_path: Path) -> None:
    living, lost = tmp_path / "living", tmp_path / "lost"
    for folder in (living, lost):
        folder.mkdir()
    old, new = DirectoryKeyStore(lost), DirectoryKeyStore(living)
    for name in ("t/2027-01-01/1", "t/2027-01-02/1"):
        old.put(name, b"old")
    assert copy_keys(old, tmp_path / "copy").keys == 2
    new.put("t/2027-01-01/1", b"wrapped anew")
    new.put("t/2027-01-03/1", b"new")
    new.destroy("t/2027-01-03/1")
    keys = RestoredKeys(tmp_path / "copy", new)
    assert keys.list("t/") == ("t/2027-01-01/1", "t/2027-01-02/1")
    assert keys.destroyed() == ("t/2027-01-03/1",)
    assert [keys.get(name) for name in keys.list("")] == [b"wrapped anew", b"old"]
    with pytest.raises(KeyNotFound):
        keys.get("t/2027-01-04/1")
    for act in (
        lambda: keys.put("t/2027-01-05/1", b"x"),
        lambda: keys.replace("t/2027-01-01/1", b"x"),
        lambda: keys.destroy("t/2027-01-01/1"),
    ):
        with pytest.raises(KeyStoreUnavailable, match="changes no key"):
            act()


def test_sound_without_a_record_is_a_failure_of_the_bucket_alone(
    house: object, root: LocalKeyring, key_directory: Path, archive_many: list[ArchivedRecording]
) -> None:
    lost = archive_many[1]
    (record,) = (each for each in lost.objects if each.kind is ObjectKind.RECORD)
    del house.store._versions[record.key]
    ground = Ground(house.store, root, DirectoryKeyStore(key_directory), None)
    outcomes = drill_bucket(ground, house.clock.now(), None, lambda line: None)
    found = {each.result.tenant_id: each for each in outcomes}[lost.recording.tenant_id]
    assert not found.is_good
    assert found.result.failures == [
        f"{lost.recording.id}: Its sound stands in the bucket, and no record of it."
    ]


def test_a_key_destroyed_before_its_day_is_a_failure_of_the_bucket_alone(
    house: object, root: LocalKeyring, key_directory: Path, archive_many: list[ArchivedRecording]
) -> None:
    house.vault.destroy(archive_many[1].kek_id)
    ground = Ground(house.store, root, DirectoryKeyStore(key_directory), None)
    outcomes = drill_bucket(ground, house.clock.now(), None, lambda line: None)
    found = {each.result.tenant_id: each for each in outcomes}[archive_many[1].recording.tenant_id]
    assert found.result.failures == [f"{archive_many[1].recording.id}: {KEY_GONE_EARLY}"]


def test_a_backup_dated_ahead_goes_once_a_clock_is_known_to_be_right(
    house: object, archive_many: list[ArchivedRecording], back_up: Callable[[], Backup], out: Path
) -> None:
    """No one restores it, and its copies of keys would live for as long as the clock was ahead."""
    right = house.clock.now()
    good = back_up()
    house.clock.moment += timedelta(days=8 * 365)
    ahead = back_up()
    assert remove_overdue(out, Times(right, right, is_known=False)) == ([], [])
    assert remove_overdue(out, known(right + SECOND)) == ([ahead.folder], [])
    assert remove_overdue(out, known(right - timedelta(seconds=60))) == ([], [])
    assert good.folder.exists()


def test_after_a_pause_nobody_measured_backups_go_later_and_none_counts_as_dated_ahead(
    house: object, archive_many: list[ArchivedRecording], back_up: Callable[[], Backup], out: Path
) -> None:
    first, pause = back_up(), timedelta(hours=20)
    now = house.clock.now() + SECOND
    assert remove_overdue(out, known(now, late=pause)) == ([], [])
    assert remove_overdue(out, known(now + TERM, late=pause)) == ([], [])
    assert remove_overdue(out, known(now + TERM + pause, late=pause)) == ([first.folder], [])
