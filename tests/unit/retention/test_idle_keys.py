"""Keys nothing hangs from end with their day; none does from which something in the bucket hangs (C8, R1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from archive.audit import AuditWriter
from archive.catalogue import quarantine, recordings
from archive.catalogue.audit_entries import of_object
from archive.catalogue.engine import Catalogue
from archive.data_key import expiry_day
from archive.errors import Conflict, DependencyUnavailable
from archive.evidence.exports import key_owner
from archive.model import ArchivedRecording, ObjectKind, RecordingState, Tenant
from archive.rebuild import rebuild
from archive.rewrap import Rewrapping
from archive.store.object import sha256_hex
from keys.errors import KeyStoreUnavailable
from retention.due_time import ClockDisbelieved
from retention.idle_keys import FAILURES_MAX
from tests.unit.retention.ageing import Ageing, auditor
from tests.unit.retention.test_expiry import hold, state_of


def living(ageing: Ageing, tenant: Tenant) -> tuple[str, ...]:
    found: tuple[str, ...] = ageing.house.vault.ids(tenant.id)
    return found


def made_in_vain(ageing: Ageing, owner: str, days: int) -> str:
    """Make a key for what is over in so many days, and nothing that hangs from it."""
    day = expiry_day(ageing.house.clock.now() + timedelta(days=days))
    kek_id: str = ageing.house.vault.current(owner, day).id
    return kek_id


def forget(database: Any, archived: ArchivedRecording) -> None:
    """Let the database be one of before this recording was made."""
    database.connect().execute("DELETE FROM recordings WHERE id = %s", (archived.recording.id,))


def test_c8_a_key_from_which_nothing_hangs_ends_with_its_day_and_the_log_tells(
    ageing: Ageing, bakery: Tenant
) -> None:
    ageing.archive(bakery, days=400)
    idle = made_in_vain(ageing, bakery.id, 7)
    of_exports = made_in_vain(ageing, key_owner(bakery.id), 7)
    ageing.live(days=7)
    assert ageing.sweep("keys").sweep_idle_keys(bakery.id).ended == 0, "its day is not over"
    ageing.live(days=1)
    assert ageing.sweep("keys").sweep_idle_keys(bakery.id).ended == 2
    assert {idle, of_exports} <= set(ageing.house.vault._store.destroyed())
    assert len(living(ageing, bakery)) == 1
    for kek_id in (idle, of_exports):
        (entry,) = of_object(ageing.portal, bakery.id, f"kek:{kek_id}")
        assert (entry.action, entry.result) == ("key.destroy", "ok")
    assert ageing.sweep("keys").sweep_idle_keys(bakery.id).ended == 0


def test_a_key_that_is_held_or_waits_for_a_certificate_stays(
    ageing: Ageing, database: Any, bakery: Tenant
) -> None:
    held, going = ageing.archive(bakery, days=1), ageing.archive(bakery, days=3)
    hold(database, held)
    ageing.live(days=5)
    sweep = ageing.sweep()
    sweep._destroyer.destroy(bakery.id, going.recording.id, sweep.check_clocks())
    assert ageing.sweep("keys").sweep_idle_keys(bakery.id).ended == 0
    assert living(ageing, bakery) == tuple(sorted((held.kek_id, going.kek_id)))


def test_by_a_clock_that_is_not_believed_no_key_ends(ageing: Ageing, bakery: Tenant) -> None:
    """R3."""
    ageing.archive(bakery, days=400)
    made_in_vain(ageing, bakery.id, 7)
    ageing.set_clock(days=8 * 365)
    with pytest.raises(ClockDisbelieved):
        ageing.sweep("keys").sweep_idle_keys(bakery.id)
    assert len(living(ageing, bakery)) == 2


def test_what_a_restored_database_does_not_know_keeps_its_key_until_it_is_known_again(
    ageing: Ageing, database: Any, operator: Catalogue, bakery: Tenant
) -> None:
    """A recording that is held: its day is long over, and its key was replaced since the backup."""
    gone, held = ageing.archive(bakery, days=10), ageing.archive(bakery, days=10)
    ageing.archive(bakery, days=400)
    hold(database, held)
    ageing.live(days=11)
    ageing.sweep().batch(bakery.id)
    assert state_of(ageing.portal, bakery, gone) is RecordingState.DESTROYED
    newest = recordings.get(ageing.portal, auditor(bakery), held.recording.id).kek_id
    assert newest != held.kek_id
    hold(database, held, held=False)
    forget(database, held)
    assert ageing.sweep("keys").sweep_idle_keys(bakery.id).ended == 0
    assert rebuild(ageing.store, ageing.house.vault, operator) == 1
    ageing.timekeeper().trust()  # as an operator who looked
    assert ageing.sweep("keys").sweep_idle_keys(bakery.id).ended == 0
    assert newest in living(ageing, bakery)


def test_a_row_that_names_a_key_that_is_gone_keeps_the_one_beside_its_objects(
    ageing: Ageing, database: Any, bakery: Tenant
) -> None:
    """The database of yesterday, from before the key was replaced."""
    _, held = ageing.archive(bakery, days=10), ageing.archive(bakery, days=10)
    hold(database, held)
    ageing.live(days=11)
    ageing.sweep().batch(bakery.id)
    newest = recordings.get(ageing.portal, auditor(bakery), held.recording.id).kek_id
    database.connect().execute(
        "UPDATE recordings SET kek_id = %s, wrapped_key = %s WHERE id = %s",
        (held.kek_id, held.wrapped_key, held.recording.id),
    )
    assert ageing.sweep("keys").sweep_idle_keys(bakery.id).ended == 0
    assert living(ageing, bakery) == (newest,)


def test_what_a_stranger_puts_into_the_bucket_keeps_no_key_alive(
    ageing: Ageing, database: Any, bakery: Tenant
) -> None:
    """A copy of a record opens nowhere but in its own place."""
    archived = ageing.archive(bakery, days=1)
    record = next(each for each in archived.objects if each.kind is ObjectKind.RECORD)
    data = ageing.store.get(record.key, record.version_id)
    for content in (data, b"no record at all"):
        key = f"{bakery.id}/{sha256_hex(content)[:8]}/record"
        ageing.store.put(key, content, None, sha256=sha256_hex(content))
    forget(database, archived)
    for each in archived.objects:
        ageing.store.lose(each.key, each.version_id)
    ageing.live(days=3)
    assert ageing.sweep("keys").sweep_idle_keys(bakery.id).ended == 1


def test_in_an_empty_database_no_key_ends(ageing: Ageing, database: Any, bakery: Tenant) -> None:
    """Perhaps the bucket is that of something else, too."""
    archived = ageing.archive(bakery, days=1)
    forget(database, archived)
    database.connect().execute("DELETE FROM sessions")
    for each in archived.objects:
        ageing.store.lose(each.key, each.version_id)
    ageing.live(days=3)
    assert ageing.sweep("keys").sweep_idle_keys(bakery.id).ended == 0
    assert living(ageing, bakery) == (archived.kek_id,)


def test_the_key_of_a_day_waits_for_what_only_the_bucket_knows(
    ageing: Ageing, database: Any, operator: Catalogue, bakery: Tenant
) -> None:
    """R1: the sibling is not over before the evening."""
    morning, evening = ageing.archive(bakery, days=10), ageing.archive(bakery, days=10.4)
    assert morning.kek_id == evening.kek_id
    forget(database, evening)
    ageing.live(days=10)
    with pytest.raises(Conflict, match="rebuild-catalogue"):
        ageing.sweep().batch(bakery.id)
    assert living(ageing, bakery) == (morning.kek_id,)
    rebuild(ageing.store, ageing.house.vault, operator)
    ageing.timekeeper().trust()
    assert ageing.sweep().batch(bakery.id).certificates == 1
    assert state_of(ageing.portal, bakery, evening) is RecordingState.AVAILABLE


def bad(ageing: Ageing, kek_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one key of the key store be one that can't be destroyed."""
    destroy = ageing.house.vault.destroy

    def fail(each: str) -> None:
        if each == kek_id:
            raise KeyStoreUnavailable("this file belongs to somebody else")
        destroy(each)

    monkeypatch.setattr(ageing.house.vault, "destroy", fail)


def test_one_key_that_cant_be_ended_keeps_no_other_alive_and_is_told(
    ageing: Ageing, bakery: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ageing.archive(bakery, days=400)
    first, *others = [made_in_vain(ageing, bakery.id, days) for days in (5, 6, 7)]
    bad(ageing, first, monkeypatch)
    ageing.live(days=9)
    swept = ageing.sweep("keys").sweep_idle_keys(bakery.id)
    assert (swept.ended, swept.stuck) == (2, (first,))
    assert isinstance(swept.failure, DependencyUnavailable)
    assert set(others) <= set(ageing.house.vault._store.destroyed())


def test_a_key_store_that_is_away_is_not_asked_for_every_key(
    ageing: Ageing, bakery: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ageing.archive(bakery, days=400)
    idle = [made_in_vain(ageing, bakery.id, days) for days in range(1, FAILURES_MAX + 3)]
    asked: list[str] = []

    def fail(kek_id: str) -> None:
        asked.append(kek_id)
        raise KeyStoreUnavailable("no answer")

    monkeypatch.setattr(ageing.house.vault, "destroy", fail)
    ageing.live(days=9)
    swept = ageing.sweep("keys").sweep_idle_keys(bakery.id)
    assert (len(asked), sorted(swept.stuck)) == (FAILURES_MAX, sorted(idle))


def test_one_idle_key_that_cant_be_ended_keeps_back_no_certificate_of_others(
    ageing: Ageing, bakery: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only of what hung from another key before nobody knows that it was not this one."""
    gone, moved = ageing.archive(bakery, days=10), ageing.archive(bakery, days=9)
    vault = ageing.house.vault
    rewrapping = Rewrapping(
        ageing.store, vault, ageing.worker, AuditWriter(ageing.worker, "w"), ageing.house.clock
    )
    kek = vault.current(bakery.id, expiry_day(ageing.house.clock.now() + timedelta(days=10)))
    assert rewrapping.move(recordings.get(ageing.portal, auditor(bakery), moved.recording.id), kek)
    bad(ageing, moved.kek_id, monkeypatch)
    ageing.live(days=12)
    with pytest.raises(DependencyUnavailable):
        ageing.sweep().batch(bakery.id)
    assert state_of(ageing.portal, bakery, gone) is RecordingState.DESTROYED
    assert state_of(ageing.portal, bakery, moved) is RecordingState.DELETING
    monkeypatch.undo()
    assert ageing.sweep().batch(bakery.id).certificates == 1
    assert state_of(ageing.portal, bakery, moved) is RecordingState.DESTROYED


def test_a_recording_out_of_quarantine_had_another_key(ageing: Ageing, database: Any, bakery: Tenant) -> None:
    """Its session tells, for no key of before lies beside it."""
    archived = ageing.archive(bakery, days=1)
    place = bakery.id, archived.recording.session_id
    assert not quarantine.was_assigned(ageing.worker, *place)
    database.connect().execute(
        "UPDATE sessions SET reason = %s WHERE id = %s",
        (quarantine.OUT_OF_QUARANTINE, archived.recording.session_id),
    )
    assert quarantine.was_assigned(ageing.worker, *place)
