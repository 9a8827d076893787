"""A backup takes the place of what was lost, whole or not at all, and replaces nothing."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from archive.audit import verify_log
from archive.backup import restoring
from archive.backup.dump import connected
from archive.backup.folder import AHEAD_MAX, DUMP, KEYS
from archive.backup.making import Backup
from archive.backup.restoring import Restored, Target, require_empty, restore_backup
from archive.backup.sealed import open_backup
from archive.backup.verification import Verdict, Verification
from archive.catalogue import recordings
from archive.catalogue.engine import Catalogue
from archive.catalogue.migrate import prepare
from archive.errors import Conflict, Refused, VerificationFailed
from archive.model import ArchivedRecording
from keys.errors import KeyDestroyed, KeyStoreUnavailable
from keys.kek import KekVault
from keys.key_store import TOMBSTONE_SUFFIX, DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from tests.unit.archive.sealed.backups import administrator_url, archive_many, back_up, out, root, vault
from tests.unit.conftest import PASSWORDS

__all__ = ["administrator_url", "archive_many", "back_up", "out", "root", "vault"]

_numbers = itertools.count()
OPERATOR, WORKER = "earwitness_operator", "earwitness_worker"


@pytest.fixture
def target(postgres_url: str, root: LocalKeyring, tmp_path: Path) -> Iterator[Target]:
    """A new host: a server without the database, and a key store without keys."""
    name = f"lost_{next(_numbers)}"
    (tmp_path / "new-keys").mkdir()
    url = make_url(postgres_url).set(database=name, username=OPERATOR, password=PASSWORDS[OPERATOR])
    store = DirectoryKeyStore(tmp_path / "new-keys")
    made = Target(postgres_url, url.render_as_string(hide_password=False), {}, store, root)
    yield made
    with _server(made) as connection:
        for each in (name, name + restoring.SIDE):
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(each))
            )


@pytest.fixture
def restore(house: object, target: Target, root: LocalKeyring) -> Callable[..., Restored]:
    """Return what restores a backup at the time of the house."""

    def run(backup: Backup, to: Target = target, tell: Callable[[str], None] = lambda _: None) -> Restored:
        now = house.clock.now()
        opened = open_backup(backup.folder, root, now)
        return restore_backup(opened, to, actor="operator:0", node="new", now=now, tell=tell)

    return run


@pytest.fixture
def catalogue(target: Target) -> Iterator[Callable[[str], Catalogue]]:
    """Return what opens the restored database as a role."""
    opened: list[Catalogue] = []

    def of(role: str) -> Catalogue:
        url = make_url(target.operator_url).set(username=role, password=PASSWORDS[role])
        opened.append(Catalogue(url.render_as_string(hide_password=False)))
        return opened[-1]

    yield of
    for each in opened:
        each.close()


def _server(target: Target) -> psycopg.Connection:
    url = make_url(target.server_url)
    return psycopg.connect(**url.get_dialect()().create_connect_args(url)[1], autocommit=True)


def databases(target: Target) -> set[str]:
    with _server(target) as connection:
        return {
            name
            for (name,) in connection.execute("SELECT datname FROM pg_database")
            if name.startswith(target.database)
        }


def test_every_recording_opens_on_the_new_host_by_its_own_keys(
    house: object,
    root: LocalKeyring,
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restore: Callable[..., Restored],
    target: Target,
    catalogue: Callable[[str], Catalogue],
) -> None:
    told: list[str] = []
    restored = restore(back_up(), tell=told.append)
    assert (restored.keys_put, restored.keys_there, restored.destroyed) == (2, 0, 0)
    assert sum(each.recordings for each in restored.holdings) == 3
    assert databases(target) == {target.database}
    verification = Verification(
        house.store, KekVault(root, target.key_store), catalogue(WORKER), house.clock.now()
    )
    for archived in archive_many:
        with catalogue(WORKER).transaction(archived.recording.tenant_id) as connection:
            [row] = recordings.whole(connection, [archived.recording.id])
        assert verification.verdict(row) == (Verdict.VERIFIED, "")
    assert "database: restored" in told
    assert any(line.startswith("keys: 2 restored") for line in told)


def test_the_restore_stands_in_the_audit_log_and_its_chains_are_whole(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restore: Callable[..., Restored],
    target: Target,
    catalogue: Callable[[str], Catalogue],
) -> None:
    restore(back_up())
    heads = verify_log(catalogue(OPERATOR))
    assert heads["operator/new"].sequence == 1
    with connected(target.url(target.database)) as connection:
        found = connection.execute("SELECT action, object FROM audit_entries WHERE writer = 'operator/new'")
        assert found.fetchall() == [("backup.restored", "backup:20261122T100000Z")]


@pytest.mark.parametrize("is_prepared", [False, True])
def test_a_database_with_tables_and_no_row_is_empty_and_one_with_a_row_is_not(
    is_prepared: bool,
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restore: Callable[..., Restored],
    target: Target,
) -> None:
    """As `earwitness install` leaves it; and a second restore finds what the first one brought."""
    if is_prepared:
        prepare(target.server_url, {}, target.database)
    backup = back_up()
    restore(backup)
    with pytest.raises(Refused, match=r"holds something \(in public\..*nothing is replaced"):
        restore(backup)
    with pytest.raises(Refused, match="holds something"):
        require_empty(target)


@pytest.mark.parametrize("broken_at", ["_restore_keys", "prepare", "restore", "_write_down", "_rename"])
def test_a_restore_that_was_broken_off_is_done_again_from_anywhere(
    broken_at: str,
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restore: Callable[..., Restored],
    target: Target,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it left is no database anybody takes for whole."""
    backup = back_up()
    whole = getattr(restoring, broken_at)

    def killed(*arguments: object, **named: object) -> object:
        if broken_at != "_rename":
            whole(*arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(restoring, broken_at, killed)
        with pytest.raises(KeyboardInterrupt):
            restore(backup)
    assert target.database not in databases(target)
    restored = restore(backup)
    assert (restored.keys_put, restored.keys_there) == (0, 2)
    assert databases(target) == {target.database}


def test_c8_what_the_key_store_destroyed_since_stays_destroyed(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restore: Callable[..., Restored],
    target: Target,
    key_directory: Path,
    house: object,
) -> None:
    """C8: a key store that lives has the last word over the backup."""
    backup = back_up()
    house.vault.destroy(archive_many[1].kek_id)
    restored = restore(backup, dataclasses.replace(target, key_store=DirectoryKeyStore(key_directory)))
    assert (restored.keys_put, restored.keys_there) == (0, 1)
    with pytest.raises(KeyDestroyed):
        DirectoryKeyStore(key_directory).get(archive_many[1].kek_id)


def test_c8_what_the_backup_knows_as_destroyed_is_dead_on_the_new_host(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restore: Callable[..., Restored],
    target: Target,
    house: object,
) -> None:
    """C8: also where an older copy of the key stands there; its name is never given again."""
    stale, missing = archive_many[0].kek_id, archive_many[1].kek_id
    target.key_store.put(stale, house.vault._store.get(stale))
    house.vault.destroy(stale)
    house.vault.destroy(missing)
    assert restore(back_up()).destroyed == 2
    assert target.key_store.destroyed() == tuple(sorted((stale, missing)))


def test_a_key_store_of_another_archive_is_refused_and_keeps_what_it_has(
    root: LocalKeyring,
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restore: Callable[..., Restored],
    target: Target,
) -> None:
    backup = back_up()
    tenant_id, day, _ = archive_many[0].kek_id.split("/")
    other = KekVault(root, target.key_store).current(tenant_id, archive_many[0].recording.retain_until.date())
    assert other.id.split("/")[1] == day
    with pytest.raises(Conflict, match="another key"):
        restore(backup)
    assert KekVault(root, target.key_store).get(other.id).key == other.key
    assert databases(target) == set()


def test_nothing_is_restored_of_a_backup_altered_while_it_is_read(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    root: LocalKeyring,
    target: Target,
    house: object,
) -> None:
    """The database takes a dump whole or not at all."""
    backup = back_up()
    opened = open_backup(backup.folder, root, house.clock.now())
    path = backup.folder / DUMP
    octets = bytearray(path.read_bytes())
    octets[-1] ^= 1
    path.write_bytes(octets)
    with pytest.raises(VerificationFailed, match="altered"):
        restore_backup(
            opened, target, actor="operator:0", node="new", now=house.clock.now(), tell=lambda _: None
        )
    assert target.database not in databases(target)
    with connected(target.url(target.database + restoring.SIDE)) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone() == (0,)


def test_a_database_somebody_is_connected_to_is_left_alone(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restore: Callable[..., Restored],
    target: Target,
    catalogue: Callable[[str], Catalogue],
) -> None:
    """A role that runs already: it would lose what it writes."""
    prepare(target.server_url, {}, target.database)
    with catalogue(WORKER).transaction(), pytest.raises(Refused, match="stop all roles first"):
        restore(back_up())


def test_a_key_store_that_is_away_changes_nothing(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    restore: Callable[..., Restored],
    target: Target,
    tmp_path: Path,
) -> None:
    backup = back_up()
    shutil.rmtree(tmp_path / "new-keys")
    with pytest.raises(KeyStoreUnavailable):
        restore(backup)
    assert databases(target) == set()


def test_a_backup_past_its_term_is_not_restored(
    house: object, archive_many: list[ArchivedRecording], back_up: Callable[[], Backup], root: LocalKeyring
) -> None:
    backup = back_up()
    with pytest.raises(Refused, match="to be destroyed by"):
        open_backup(backup.folder, root, house.clock.now() + timedelta(days=7))


def test_c8_no_backup_is_restored_by_a_clock_that_stands_before_it(
    house: object, archive_many: list[ArchivedRecording], back_up: Callable[[], Backup], root: LocalKeyring
) -> None:
    """C8: set back by a month, it would bring back keys that were destroyed since."""
    backup = back_up()
    now = house.clock.now()
    assert open_backup(backup.folder, root, now - AHEAD_MAX).manifest.made_at == now
    with pytest.raises(Refused, match="set the clock right"):
        open_backup(backup.folder, root, now - AHEAD_MAX - timedelta(seconds=1))


def test_a_tombstone_that_was_put_into_a_backup_after_it_was_looked_at_ends_no_key(
    archive_many: list[ArchivedRecording],
    back_up: Callable[[], Backup],
    root: LocalKeyring,
    target: Target,
    house: object,
) -> None:
    """What is not in the sealed list is not in the backup."""
    backup, now = back_up(), house.clock.now()
    opened = open_backup(backup.folder, root, now)
    kek_id = archive_many[0].kek_id
    stolen = (backup.folder / KEYS / kek_id).read_bytes()
    (backup.folder / KEYS / f"{kek_id}{TOMBSTONE_SUFFIX}").write_bytes(b"")
    target.key_store.put(kek_id, stolen)
    with suppress(KeyDestroyed):  # the copy's own store takes it for destroyed, and nothing is restored
        restore_backup(opened, target, actor="operator:0", node="new", now=now, tell=lambda _: None)
    assert target.key_store.destroyed() == ()
    assert KekVault(root, target.key_store).get(kek_id).id == kek_id
