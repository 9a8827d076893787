"""The job of the audit log, on a real PostgreSQL with real keys."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from archive.audit import AuditWriter
from archive.catalogue import worm_proofs
from archive.catalogue.engine import Catalogue
from archive.catalogue.worm_proofs import WormProof
from archive.errors import ArchiveError, Refused, StoreUnavailable, VerificationFailed
from archive.settings import Settings
from archive.store.memory import MemoryStore
from archive.transparency.checkpoint import open_note, public_key
from keys.local_keyring import LocalKeyring
from retention.audit_log import (
    AUDIT_CHECK,
    AUDIT_ROUND,
    CHECK_SHARES,
    add_audit_log,
    check_log,
    custody_of,
    sequencer_of,
)
from retention.due_time import ClockDisbelieved
from retention.schedule import SCHEDULES
from retention.worker import defer_due
from tests.unit.archive.sealed.conftest import NOW, SettableClock
from tests.unit.retention.ageing import Ageing


def prove(audit: AuditWriter, result: str, clock: SettableClock) -> None:
    """Write down what the self-test of the bucket found, as it does."""
    faults = () if result == "ok" else ("boto3 shorten: a lock was shortened",)
    proof = WormProof(MemoryStore().place, clock.now(), result == "ok", "not shown", faults)
    with audit.transaction(None) as connection:
        worm_proofs.keep(connection, proof)
        audit.append(
            connection,
            tenant_id=None,
            actor="service:worker",
            action="storage.verified",
            object="bucket:earwitness",
            result=result,
            at=clock.now(),
        )


def test_compliance_is_used_only_on_a_bucket_that_is_proved_to_lock(
    worker: Catalogue, tmp_path: Path
) -> None:
    """It can't be taken back: before the first proof, and after one that failed, GOVERNANCE does."""
    (tmp_path / "keys").mkdir()
    settings = Settings(key_store=f"dir:{tmp_path / 'keys'}", audit_lock_mode="COMPLIANCE")
    clock = SettableClock()
    store, audit = MemoryStore(clock), AuditWriter(worker, "worker/one")
    sequencer = sequencer_of(
        settings, worker, store, lambda: LocalKeyring(bytes(32)), audit, clock, clock.now
    )
    modes = []
    for result in (None, "ok", "failed", "ok"):
        if result is not None:
            clock.moment += timedelta(minutes=1)
            prove(audit, result, clock)
        sequencer.round()
        newest = store.versions("audit/1/checkpoints/")[-1]
        modes.append(store.head(newest.key, newest.version_id).mode)
    assert modes == ["GOVERNANCE", "COMPLIANCE", "GOVERNANCE", "COMPLIANCE"]


def test_the_log_of_the_settings_signs_with_the_key_of_the_key_store(
    worker: Catalogue, tmp_path: Path
) -> None:
    """Made at first, sealed by the root, the same after a restart; locked as the settings say."""
    (tmp_path / "keys").mkdir()
    settings = Settings(
        key_store=f"dir:{tmp_path / 'keys'}", audit_lock_mode="COMPLIANCE", audit_kept_days=10
    )
    clock = SettableClock()
    store, root = MemoryStore(clock), LocalKeyring(bytes(32))
    audit = AuditWriter(worker, "worker/one")
    prove(audit, "ok", clock)
    for _ in range(2):
        sequencer = sequencer_of(settings, worker, store, lambda: root, audit, clock, clock.now)
        with audit.transaction(None) as connection:
            audit.append(connection, tenant_id=None, actor="a", action="b", object="c", at=clock.now())
        assert sequencer.round() == 1
    (announced,) = store.versions("audit/keys/")
    key = public_key(store.get(announced.key, announced.version_id).decode())
    assert key.name == "earwitness/earwitness/1"
    notes = store.versions("audit/1/checkpoints/")
    assert len(notes) == 2
    for note in notes:
        assert open_note(store.get(note.key, note.version_id), {key.id: key}).origin == key.name
        facts = store.head(note.key, note.version_id)
        assert facts.mode == "COMPLIANCE"
        assert facts.retain_until is not None
        assert (facts.retain_until - NOW).days == 10


def test_r3_by_a_clock_eight_years_ahead_nothing_is_sealed_and_it_is_told(
    ageing: Ageing, database: Any, tmp_path: Path
) -> None:
    """Entries wait, with the one that tells of it; once the clock is right they are sealed by it."""
    (tmp_path / "keys").mkdir()
    settings, clock = Settings(key_store=f"dir:{tmp_path / 'keys'}"), ageing.house.clock
    audit = AuditWriter(ageing.worker, "worker/one")
    keeper = ageing.timekeeper()
    stands_on = (ageing.worker, ageing.store, lambda: LocalKeyring(bytes(32)), audit, clock)
    sequencer = sequencer_of(settings, *stands_on, keeper.believed_time)
    sequencer.round()
    ageing.set_clock(days=8 * 365)
    for _ in range(3):
        with pytest.raises(ClockDisbelieved, match="did not go by"):
            sequencer.round()
    ageing.set_clock(days=-8 * 365)
    assert sequencer.round() == 1
    rows = database.connect().execute("SELECT at FROM audit_checkpoints ORDER BY size").fetchall()
    assert [at for (at,) in rows] == [clock.now(), clock.now()]
    locked = [ageing.store.head(each.key, each.version_id) for each in ageing.store.versions("audit/")]
    assert {each.retain_until for each in locked} == {clock.now() + timedelta(days=settings.audit_kept_days)}
    query = "SELECT result FROM audit_entries WHERE action = 'retention.clock'"
    assert database.connect().execute(query).fetchall() == [("refused",)]
    assert check_log(ageing.worker, ageing.store, audit, clock) == 2


@pytest.mark.parametrize(
    ("fault", "level"),
    [(StoreUnavailable("away"), "warning"), (VerificationFailed("altered"), "error"), (None, "debug")],
)
@pytest.mark.parametrize(("task", "seconds"), [(AUDIT_ROUND, 60), (AUDIT_CHECK, 86_400)])
async def test_a_job_is_due_in_time_and_its_fault_is_told(
    database: Any, worker: Catalogue, fault: ArchiveError | None, level: str, task: str, seconds: int
) -> None:
    """No job is left behind by an outage: the next minute makes its own."""
    import procrastinate

    from archive.jobs import connection_arguments, connection_string

    def round_() -> int:
        if fault is not None:
            raise fault
        return 3

    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=connection_string(database.url("earwitness_worker")), kwargs=connection_arguments()
        )
    )
    add_audit_log(app, round_, round_)
    (schedule,) = (each for each in SCHEDULES if each.task == task)
    assert schedule.interval.total_seconds() == seconds
    with capture_logs() as told:
        async with app.open_async():
            await defer_due(app, schedule, NOW)
            await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
    expected = "info" if task == AUDIT_CHECK and fault is None else level
    assert expected in [line["log_level"] for line in told if "audit log" in line["event"]]
    rows = await asyncio.to_thread(
        lambda: database.connect().execute("SELECT status FROM jobs.procrastinate_jobs").fetchall()
    )
    assert {status for (status,) in rows} <= {"succeeded"}


def test_what_a_check_found_stands_in_the_log(worker: Catalogue, database: Any, tmp_path: Path) -> None:
    """An intact log, and one from which a superuser removed an entry and mended the chain behind it."""
    (tmp_path / "keys").mkdir()
    settings, clock = Settings(key_store=f"dir:{tmp_path / 'keys'}"), SettableClock()
    store, audit = MemoryStore(clock), AuditWriter(worker, "worker/one")
    sequencer = sequencer_of(
        settings, worker, store, lambda: LocalKeyring(bytes(32)), audit, clock, clock.now
    )
    assert check_log(worker, store, audit, clock) == 0, "before there is a log there is nothing to tell"
    sequencer.round()
    assert check_log(worker, store, audit, clock) == 1
    sequencer.round()
    admin = database.connect()
    found = admin.execute("SELECT action, result FROM audit_entries ORDER BY sequence").fetchall()
    assert found == [("log.idle", "ok"), ("log.verified", "ok")]
    admin.execute("SET session_replication_role TO replica")
    admin.execute("DELETE FROM audit_bodies")
    admin.execute("DELETE FROM audit_entries WHERE sequence = 2")
    admin.execute("UPDATE audit_writers SET (sequence, hash) = (SELECT sequence, hash FROM audit_entries)")
    with pytest.raises(VerificationFailed, match="leaf 1"):
        check_log(worker, store, audit, clock)
    newest = admin.execute(
        "SELECT action, result FROM audit_entries ORDER BY sequence DESC LIMIT 1"
    ).fetchone()
    assert newest == ("log.verified", "failed")


def sealed_log(worker: Catalogue, tmp_path: Path) -> tuple[MemoryStore, AuditWriter, SettableClock, Any, Any]:
    """Return the store of a log that was sealed once, and who writes, dates, reads and seals it."""
    (tmp_path / "keys").mkdir()
    settings, clock = Settings(key_store=f"dir:{tmp_path / 'keys'}"), SettableClock()
    store, audit = MemoryStore(clock), AuditWriter(worker, "worker/one")
    root = LocalKeyring(bytes(32))
    sequencer = sequencer_of(settings, worker, store, lambda: root, audit, clock, clock.now)
    custody = custody_of(settings, worker, store, clock)
    sequencer.round()
    return store, audit, clock, custody, sequencer


def test_a_lock_taken_off_an_object_of_the_log_is_found_within_a_month_and_put_back(
    worker: Catalogue, database: Any, tmp_path: Path
) -> None:
    """By somebody with the bucket's keys, who would delete it later; one that is merely shorter is made longer."""
    store, audit, clock, custody, sequencer = sealed_log(worker, tmp_path)
    [note] = list(store.versions("audit/1/checkpoints/"))
    [leaves] = list(store.versions("audit/1/leaves/"))
    locked = store.head(note.key, note.version_id)
    assert locked.retain_until is not None
    store.loosen(note.key, note.version_id, None, None)
    store.loosen(leaves.key, leaves.version_id, clock.now() + timedelta(days=100), "GOVERNANCE")
    refused: list[str] = []
    for _ in range(CHECK_SHARES):
        clock.moment += timedelta(days=1)
        sequencer.round()
        try:
            check_log(worker, store, audit, clock, custody)
        except VerificationFailed as error:
            refused.append(str(error))
    [reason] = refused
    assert reason.startswith(
        f"The lock was taken off 1 objects of the log in the bucket, of {note.key} first"
    )
    for each in (note, leaves):
        facts = store.head(each.key, each.version_id)
        assert facts.retain_until is not None
        assert facts.retain_until >= locked.retain_until - timedelta(minutes=10)
    failed = database.connect().execute(
        "SELECT count(*) FROM audit_entries WHERE action = 'log.verified' AND result = 'failed'"
    )
    assert failed.fetchone() == (1,)
    for _ in range(CHECK_SHARES):
        clock.moment += timedelta(days=1)
        sequencer.round()
        check_log(worker, store, audit, clock, custody)


@pytest.mark.parametrize(
    ("fails", "told", "result"),
    [
        ("lengthen", (Refused, VerificationFailed, "could not be locked again"), [("failed",)]),
        ("lengthen", (StoreUnavailable, VerificationFailed, "could not be locked again"), [("failed",)]),
        ("head", (StoreUnavailable, StoreUnavailable, "away"), []),
    ],
)
def test_a_lock_that_is_off_is_told_though_it_cannot_be_put_back_and_half_a_check_is_none(
    worker: Catalogue,
    database: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fails: str,
    told: Any,
    result: Any,
) -> None:
    store, audit, clock, custody, _ = sealed_log(worker, tmp_path)
    [note] = list(store.versions("audit/1/checkpoints/"))
    store.loosen(note.key, note.version_id, None, None)
    cause, error, words = told

    def fail(*_: object) -> None:
        raise cause("away")

    monkeypatch.setattr(store, fails, fail)
    monkeypatch.setattr("retention.audit_log.CHECK_SHARES", 1)
    with pytest.raises(error, match=words):
        check_log(worker, store, audit, clock, custody)
    entries = "SELECT result FROM audit_entries WHERE action = 'log.verified'"
    assert database.connect().execute(entries).fetchall() == result
