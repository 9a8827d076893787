"""What an administrator decides of a recording of nobody we know is carried out, whole and once."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import (
    cases,
    destructions,
    directory,
    minutes,
    policies,
    quarantine,
    recordings,
    sessions,
)
from archive.catalogue.audit_entries import of_object
from archive.catalogue.engine import Catalogue
from archive.data_key import open_data_key
from archive.errors import (
    CatalogueUnavailable,
    Conflict,
    DependencyUnavailable,
    NotFound,
    Refused,
    StoreUnavailable,
)
from archive.model import (
    AboveCap,
    ArchivedRecording,
    FinishedRecording,
    ObjectKind,
    OutcomeKind,
    RecordingMode,
    RecordingState,
    RetentionClass,
    Role,
    SessionOutcome,
    Tenant,
    User,
)
from archive.playback import Action, Playback
from archive.store.memory import MemoryStore
from archive.store.object import sha256_hex, whole_second
from archive.tombstone import tombstones_prefix
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from keys.signatory import Signatory, load_or_create
from retention.due_time import ClockDisbelieved
from retention.policy import PARTIAL, QUARANTINE_DAYS, retain_until
from retention.quarantine import Quarantine
from retention.timekeeper import Timekeeper, Uptime
from tests.unit.retention.ageing import Ageing
from tests.unit.retention.holding import Killed, hold

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ACTOR = "user:administrator"
NOVEMBER = date(2026, 11, 1)


class FragileStore(MemoryStore):
    """A store at which the worker dies, or which goes away, after so many calls."""

    calls_left: float = float("inf")
    error: type[BaseException] = Killed

    def _count(self) -> None:
        self.calls_left -= 1
        if self.calls_left < 0:
            raise self.error("in the middle")

    def put(self, *arguments: Any, **options: Any) -> str:
        self._count()
        version_id = super().put(*arguments, **options)
        self._count()
        return version_id

    def delete(self, key: str, version_id: str) -> None:
        self._count()
        super().delete(key, version_id)
        self._count()

    def barrier(self) -> None:
        self._count()


@pytest.fixture
def anna(operator: Catalogue, bakery: Tenant) -> User:
    return directory.add_user(
        operator,
        bakery.id,
        "anna",
        now=NOW - timedelta(days=30),
        licence=RetentionClass.YEARS_7_1000,
        mode=RecordingMode.ALWAYS,
        site="Goes",
    )


@pytest.fixture
def store(house: Any) -> FragileStore:
    house.store = FragileStore(house.clock)
    return house.store


@pytest.fixture
def work(store: FragileStore, house: Any, worker: Catalogue) -> Quarantine:
    return at_work(house, worker)


@pytest.fixture
def unknown(
    store: FragileStore,
    house: Any,
    bakery: Tenant,
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> Callable[..., ArchivedRecording]:
    """Return a maker of recordings in quarantine, in the archive."""

    def make(minutes: int = -5, **changes: Any) -> ArchivedRecording:
        finished = make_finished(make_recording(bakery.id, minutes=minutes).recording)
        recording = dataclasses.replace(
            finished.recording,
            state=RecordingState.QUARANTINED,
            retain_until=NOW + timedelta(days=QUARANTINE_DAYS),
            site=None,
            **changes,
        )
        finished = dataclasses.replace(finished, recording=recording)
        outcome = dataclasses.replace(outcome_of(finished), trace=("peer sbc-1", "the user is unknown"))
        return house.ingest().archive(finished, outcome)

    return make


def at_work(
    house: Any,
    worker: Catalogue,
    due_time: Callable[[], datetime] | None = None,
    clock: Any = None,
    signatory: Callable[[], Signatory] | None = None,
) -> Quarantine:
    audit = AuditWriter(worker, "worker/test")
    return Quarantine(
        house.store,
        lambda: house.vault,
        worker,
        audit,
        clock or house.clock,
        due_time or house.clock.now,
        signatory,
    )


def auditor(tenant: Tenant) -> AccessScope:
    return AccessScope(tenant_id=tenant.id, actor="user:1", role=Role.AUDITOR)


def administrator(tenant: Tenant) -> AccessScope:
    return AccessScope(tenant_id=tenant.id, actor=ACTOR, role=Role.ADMINISTRATOR)


def audio(house: Any, portal: Catalogue, scope: AccessScope, archived: ArchivedRecording) -> bytes:
    playback = Playback(house.store, house.vault, portal, AuditWriter(portal, "portal/test"), house.clock)
    reader = playback.open_object(scope, archived.recording.id, ObjectKind.AUDIO, Action.PLAY)
    return reader.read(0, reader.length)


def actions(portal: Catalogue, archived: ArchivedRecording) -> list[tuple[str, str, str]]:
    recording = archived.recording
    entries = of_object(portal, recording.tenant_id, f"recording:{recording.id}")
    return [
        (entry.action, entry.actor, entry.result) for entry in entries if "quarantined" not in entry.action
    ]


def test_an_assigned_recording_is_the_owners_as_if_it_always_had_been(
    work: Quarantine,
    unknown: Callable[..., ArchivedRecording],
    house: Any,
    portal: Catalogue,
    bakery: Tenant,
    anna: User,
) -> None:
    """Owner, site, class and date of the licence, a key that ends with it, and objects under its lock."""
    before = unknown()
    archived = work.assign(bakery.id, before.recording.id, anna.id, ACTOR)
    recording = archived.recording
    assert recordings.get(portal, auditor(bakery), recording.id) == archived
    until = retain_until(RetentionClass.YEARS_7_1000, recording.ended_at)
    assert (recording.owner, recording.site, recording.state) == (anna.id, "Goes", RecordingState.AVAILABLE)
    assert (recording.retention_class, recording.retain_until) == (RetentionClass.YEARS_7_1000, until)
    assert recording.flags == (*before.recording.flags, "assigned")
    assert archived.kek_id == f"{bakery.id}/2033-11-22/1"
    stored = {(item.key, item.version_id) for item in archived.objects}
    assert stored == {(version.key, version.version_id) for version in house.store.versions("")}
    for item in archived.objects:
        assert house.store.head(item.key, item.version_id).retain_until == whole_second(until)
    own = AccessScope(bakery.id, f"user:{anna.id}", Role.USER, anna.id, "own")
    assert audio(house, portal, own, archived).startswith(b"fLaC")
    assert recording.sha256 == before.recording.sha256


def test_the_key_it_had_in_quarantine_opens_nothing_of_it_any_more(
    work: Quarantine, unknown: Callable[..., ArchivedRecording], house: Any, bakery: Tenant, anna: User
) -> None:
    """The key of a day in a week ends; the data key hangs from the day of its new expiry alone."""
    before = unknown()
    archived = work.assign(bakery.id, before.recording.id, anna.id, ACTOR)
    house.vault.destroy(before.kek_id)
    opened = open_data_key(
        house.vault, bakery.id, archived.recording.id, archived.kek_id, archived.wrapped_key
    )
    assert len(opened.key) == 32
    record = house.store.get(archived.objects[-1].key, archived.objects[-1].version_id)
    assert before.kek_id.encode() not in record
    assert archived.kek_id.encode() in record


def test_assigning_is_told_by_the_audit_log_the_session_and_the_minutes(
    work: Quarantine,
    unknown: Callable[..., ArchivedRecording],
    portal: Catalogue,
    worker: Catalogue,
    bakery: Tenant,
    anna: User,
) -> None:
    archived = work.assign(bakery.id, unknown().recording.id, anna.id, ACTOR)
    assert actions(portal, archived) == [
        ("recording.assign", ACTOR, "ok"),
        ("recording.assigned", "service:worker", "ok"),
    ]
    outcome = sessions.of_recording(portal, auditor(bakery), archived.recording.id)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.RECORDED, "assigned from quarantine")
    assert outcome.trace[:2] == ("peer sbc-1", "the user is unknown")
    assert outcome.trace[2].endswith(f"assigned to user {anna.id}, class 7y-1000 kept until 2033-11-22")
    assert minutes.used(worker, bakery.id, anna.id, NOVEMBER) == 60


def test_the_licence_at_the_start_of_the_call_counts_not_the_one_of_today(
    work: Quarantine,
    unknown: Callable[..., ArchivedRecording],
    operator: Catalogue,
    bakery: Tenant,
    anna: User,
) -> None:
    directory.set_user(operator, bakery.id, "anna", now=NOW, licence=RetentionClass.DAYS_90)
    before = work.assign(bakery.id, unknown(minutes=-5).recording.id, anna.id, ACTOR)
    assert before.recording.retention_class is RetentionClass.YEARS_7_1000
    after = work.assign(bakery.id, unknown(minutes=31).recording.id, anna.id, ACTOR)
    assert after.recording.retention_class is RetentionClass.DAYS_90


def test_whoever_was_entered_after_the_call_keeps_it_by_their_first_licence(
    work: Quarantine,
    unknown: Callable[..., ArchivedRecording],
    operator: Catalogue,
    portal: Catalogue,
    bakery: Tenant,
) -> None:
    """That they were not known yet is why it was quarantined."""
    directory.add_user(operator, bakery.id, "ben", now=NOW, licence=RetentionClass.DAYS_365)
    ben = next(user for user in directory.list_users(operator, bakery.id) if user.login == "ben")
    early = unknown(minutes=-5)
    work.assign(bakery.id, early.recording.id, ben.id, ACTOR)
    kept = recordings.get(portal, auditor(bakery), early.recording.id).recording
    assert (kept.owner, kept.retention_class) == (ben.id, RetentionClass.DAYS_365)


def test_without_a_licence_at_the_start_it_can_not_be_theirs(
    work: Quarantine,
    unknown: Callable[..., ArchivedRecording],
    operator: Catalogue,
    portal: Catalogue,
    bakery: Tenant,
    anna: User,
) -> None:
    """Not after the last one, and not without any; it stays in quarantine, and the refusal is logged."""
    directory.add_user(operator, bakery.id, "ben", now=NOW)
    ben = next(user for user in directory.list_users(operator, bakery.id) if user.login == "ben")
    early = unknown(minutes=-5)
    with pytest.raises(Refused, match="no recording licence"):
        work.assign(bakery.id, early.recording.id, ben.id, ACTOR)
    directory.set_user(operator, bakery.id, "anna", now=NOW, licence=None, mode=RecordingMode.NEVER)
    with pytest.raises(Refused, match="no recording licence"):
        work.assign(bakery.id, unknown(minutes=31).recording.id, anna.id, ACTOR)
    assert actions(portal, early) == [("recording.assign", ACTOR, "refused")]
    assert recordings.get(portal, auditor(bakery), early.recording.id) == early


def test_above_the_minutes_the_policy_of_the_tenant_counts_here_too(
    work: Quarantine,
    unknown: Callable[..., ArchivedRecording],
    operator: Catalogue,
    worker: Catalogue,
    make_recording: Callable[..., ArchivedRecording],
    bakery: Tenant,
    anna: User,
) -> None:
    policies.set_policy(operator, bakery.id, above_cap=AboveCap.DAYS_90)
    talk = make_recording(bakery.id, owner=anna.id).recording
    with worker.transaction(bakery.id) as connection:
        verdict = minutes.Verdict(
            60_000, 60_000, above_cap=False, retention_class=RetentionClass.YEARS_7_1000
        )
        minutes.book(connection, talk, lambda *_: verdict, now=NOW)
    recording = work.assign(bakery.id, unknown().recording.id, anna.id, ACTOR).recording
    assert recording.retention_class is RetentionClass.DAYS_90
    assert recording.retain_until == retain_until(RetentionClass.DAYS_90, recording.ended_at)
    assert {"assigned", "above-cap"} <= set(recording.flags)


def test_a_recording_that_is_not_whole_is_partial_when_it_leaves(
    work: Quarantine, unknown: Callable[..., ArchivedRecording], bakery: Tenant, anna: User
) -> None:
    before = unknown(flags=("no-media", PARTIAL))
    recording = work.assign(bakery.id, before.recording.id, anna.id, ACTOR).recording
    assert (recording.state, recording.flags) == (RecordingState.PARTIAL, ("no-media", "assigned"))


@pytest.mark.parametrize("error", [Killed, StoreUnavailable])
def test_wherever_assigning_stops_a_second_run_ends_it(
    work: Quarantine,
    unknown: Callable[..., ArchivedRecording],
    store: FragileStore,
    house: Any,
    portal: Catalogue,
    worker: Catalogue,
    bakery: Tenant,
    anna: User,
    error: type[BaseException],
) -> None:
    """After each call to the store: one set of locked objects, one booking, one decision, nothing left over."""
    stops = 0
    for calls in itertools.count():
        before = unknown(minutes=-600 + calls)
        store.calls_left, store.error = calls, error
        try:
            work.assign(bakery.id, before.recording.id, anna.id, ACTOR)
        except error:
            stops += 1
        else:
            break
        finally:
            store.calls_left = float("inf")
        archived = work.assign(bakery.id, before.recording.id, anna.id, ACTOR)
        assert work.assign(bakery.id, before.recording.id, anna.id, ACTOR) == archived
        assert work.unfinished(bakery.id) == []
        prefix = f"{bakery.id}/{archived.recording.id}/"
        left = {(version.key, version.version_id) for version in store.versions(prefix)}
        assert left == {(item.key, item.version_id) for item in archived.objects}
        assert archived.recording.flags == (*before.recording.flags, "assigned")
        assert [action for action, _, _ in actions(portal, archived)] == [
            "recording.assign",
            "recording.assigned",
        ]
        assert audio(house, portal, auditor(bakery), archived).startswith(b"fLaC")
    # At each of five taken keys, before and after five puts and five deletions, and at the barrier.
    assert stops == 26
    assert minutes.used(worker, bakery.id, anna.id, NOVEMBER) == 60 * (stops + 1)


def test_what_was_begun_and_broken_off_is_found_by_the_sweep(
    work: Quarantine,
    unknown: Callable[..., ArchivedRecording],
    store: FragileStore,
    portal: Catalogue,
    bakery: Tenant,
    anna: User,
) -> None:
    recording = unknown().recording
    store.calls_left = 3
    with pytest.raises(Killed):
        work.assign(bakery.id, recording.id, anna.id, ACTOR)
    store.calls_left = float("inf")
    assert work.unfinished(bakery.id) == [(recording.id, anna.id)]
    found = recordings.get(portal, auditor(bakery), recording.id).recording
    assert (found.state, found.owner) == (RecordingState.PROCESSING, anna.id)


def test_a_destroyed_recording_is_nowhere(
    work: Quarantine,
    unknown: Callable[..., ArchivedRecording],
    house: Any,
    portal: Catalogue,
    recorder: Catalogue,
    bakery: Tenant,
    database: Any,
) -> None:
    """No version, no row of any table, no trace: only that the session was offered, and that it is gone."""
    before = unknown()
    house.store.put(f"{before.objects[0].key}.2", b"stray", None, sha256=sha256_hex(b"stray"))
    neighbour = unknown(minutes=-6)
    work.destroy(bakery.id, before.recording.id, ACTOR)
    assert {version.key for version in house.store.versions("")} == {item.key for item in neighbour.objects}
    with pytest.raises(NotFound):
        recordings.get(portal, auditor(bakery), before.recording.id)
    admin = database.connect()
    for table in ("recording_parties", "recording_objects", "minute_bookings"):
        found = admin.execute(f"SELECT count(*) FROM {table} WHERE recording_id = %s", (before.recording.id,))
        assert found.fetchone() == (0,)
    outcome = sessions.get(portal, auditor(bakery), before.recording.session_id)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.NOBODY_RECORDED, "quarantine ended")
    assert outcome.recording_ids == ()
    assert outcome.trace == (f"recording {before.recording.id}: destroyed in quarantine",)
    assert actions(portal, before) == [
        ("recording.destroy", ACTOR, "ok"),
        ("recording.erased", "service:worker", "ok"),
    ]
    ids = bakery.id, before.recording.session_id, before.recording.id
    assert quarantine.is_destroyed(recorder, *ids)
    ids = bakery.id, neighbour.recording.session_id, neighbour.recording.id
    assert not quarantine.is_destroyed(recorder, *ids)


def test_another_recording_of_the_same_session_keeps_its_outcome(
    work: Quarantine,
    unknown: Callable[..., ArchivedRecording],
    house: Any,
    portal: Catalogue,
    bakery: Tenant,
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> None:
    before = unknown()
    other = make_finished(make_recording(bakery.id, session_id=before.recording.session_id).recording)
    house.ingest().archive(other, outcome_of(other))
    work.destroy(bakery.id, before.recording.id, ACTOR)
    outcome = sessions.get(portal, auditor(bakery), before.recording.session_id)
    assert (outcome.kind, outcome.recording_ids) == (OutcomeKind.RECORDED, (other.recording.id,))
    assert outcome.trace[-1].endswith("destroyed in quarantine")


@pytest.mark.parametrize("error", [Killed, StoreUnavailable])
def test_wherever_destroying_stops_a_second_run_ends_it(
    worker: Catalogue,
    key_directory: Path,
    unknown: Callable[..., ArchivedRecording],
    store: FragileStore,
    house: Any,
    portal: Catalogue,
    bakery: Tenant,
    anna: User,
    error: type[BaseException],
) -> None:
    """Once it was claimed it can't be assigned any more, it is found by the sweep, and then it is gone.

    A tombstone says so in the bucket, whether or not the first run had laid one.
    """
    keys, root = DirectoryKeyStore(key_directory), LocalKeyring(bytes(32))
    signatory = functools.cache(lambda: load_or_create(keys, root, "earwitness", house.clock.now()))
    work = at_work(house, worker, signatory=signatory)
    for calls in itertools.count():
        before = unknown(minutes=-600 + calls)
        store.calls_left, store.error = calls, error
        try:
            work.destroy(bakery.id, before.recording.id, ACTOR)
        except error:
            pass
        else:
            break
        finally:
            store.calls_left = float("inf")
        assert work.due(bakery.id) == [before.recording.id]
        with pytest.raises(Conflict, match="deleting"):
            work.assign(bakery.id, before.recording.id, anna.id, ACTOR)
        if error is Killed:
            work.destroy(bakery.id, before.recording.id, ACTOR)
            assert work.due(bakery.id) == [before.recording.id], "another worker may be at it still"
            house.clock.moment += timedelta(minutes=destructions.CLAIM_MINUTES)
        work.destroy(bakery.id, before.recording.id, ACTOR)
        work.destroy(bakery.id, before.recording.id, ACTOR)
        assert work.due(bakery.id) == []
        assert store.versions(f"{bakery.id}/{before.recording.id}/") == []
        assert store.versions(f"{tombstones_prefix(bakery.id)}{before.recording.id}/")
        assert [action for action, _, _ in actions(portal, before)].count("recording.erased") == 1
    assert calls == 13


def test_r8_its_key_goes_too_and_a_certificate_names_nobody(
    ageing: Ageing,
    unknown: Callable[..., ArchivedRecording],
    work: Quarantine,
    house: Any,
    portal: Catalogue,
    bakery: Tenant,
) -> None:
    """No row is left and no number; what neither the objects nor a backup opens any more is certified."""
    before, spared = unknown(), unknown(minutes=-6)
    work.destroy(bakery.id, before.recording.id, ACTOR)
    with pytest.raises(NotFound):
        destructions.certificate_of(portal, auditor(bakery), before.recording.id)
    assert ageing.sweep().batch(bakery.id).certificates == 1
    with pytest.raises(NotFound):
        open_data_key(house.vault, bakery.id, before.recording.id, before.kek_id, before.wrapped_key)
    _, signed = destructions.certificate_of(portal, auditor(bakery), before.recording.id)
    told = json.loads(signed.statement)
    assert {each["key"] for each in told["objects"]} == {each.key for each in before.objects}
    assert set(told["audit"]) == {"begun", "erased"}
    assert [word for word in ("Jansen", "612345678") if word in signed.statement.decode()] == []
    assert sorted(action for action, _, _ in actions(portal, before)) == [
        "recording.destroy",
        "recording.destroyed",
        "recording.erased",
    ]
    found = recordings.get(portal, auditor(bakery), spared.recording.id)
    assert found.kek_id != before.kek_id
    open_data_key(house.vault, bakery.id, spared.recording.id, found.kek_id, found.wrapped_key)


def test_what_was_broken_off_is_finished_by_the_sweep_of_what_expired(
    ageing: Ageing, unknown: Callable[..., ArchivedRecording], work: Quarantine, house: Any, bakery: Tenant
) -> None:
    before = unknown()
    house.store.calls_left, house.store.error = 3, StoreUnavailable
    with pytest.raises(StoreUnavailable):
        work.destroy(bakery.id, before.recording.id, ACTOR)
    house.store.calls_left = float("inf")
    ageing.live(minutes=2)
    assert ageing.sweep().batch(bakery.id).certificates == 1
    assert work.due(bakery.id) == []
    assert house.store.versions(f"{bakery.id}/{before.recording.id}/") == []


def test_who_would_hold_it_when_it_is_going_is_told_since_when(
    ageing: Ageing, unknown: Callable[..., ArchivedRecording], work: Quarantine, house: Any, bakery: Tenant
) -> None:
    """R2: nobody is told that it is held."""
    before = unknown()
    house.store.calls_left, house.store.error = 3, StoreUnavailable
    with pytest.raises(StoreUnavailable):
        work.destroy(bakery.id, before.recording.id, ACTOR)
    with pytest.raises(cases.BeingDestroyed, match="it began at 2026-11-22"):
        hold(ageing, bakery, before)


def test_an_end_that_a_former_release_began_is_finished(
    unknown: Callable[..., ArchivedRecording], work: Quarantine, house: Any, bakery: Tenant, database: Any
) -> None:
    before = unknown()
    database.connect().execute("UPDATE recordings SET state = 'deleting', flags = '{quarantine-ended}'")
    work.destroy(bakery.id, before.recording.id, ACTOR)
    assert house.store.versions("") == []


def test_who_comes_second_with_another_decision_is_refused(
    work: Quarantine,
    unknown: Callable[..., ArchivedRecording],
    operator: Catalogue,
    portal: Catalogue,
    bakery: Tenant,
    anna: User,
) -> None:
    ben = directory.add_user(
        operator, bakery.id, "ben", now=NOW - timedelta(days=3), licence=RetentionClass.DAYS_90
    )
    archived = work.assign(bakery.id, unknown().recording.id, anna.id, ACTOR)
    with pytest.raises(Conflict, match="available"):
        work.assign(bakery.id, archived.recording.id, ben.id, ACTOR)
    with pytest.raises(Conflict, match="available"):
        work.destroy(bakery.id, archived.recording.id, ACTOR)
    assert recordings.get(portal, auditor(bakery), archived.recording.id) == archived
    assert [result for _, _, result in actions(portal, archived)] == ["ok", "ok", "refused", "refused"]


def test_an_ordinary_recording_can_be_neither_assigned_nor_destroyed_here(
    work: Quarantine,
    house: Any,
    bakery: Tenant,
    anna: User,
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> None:
    finished = make_finished(make_recording(bakery.id).recording)
    archived = house.ingest().archive(finished, outcome_of(finished))
    with pytest.raises(Conflict):
        work.assign(bakery.id, archived.recording.id, anna.id, ACTOR)
    with pytest.raises(Conflict):
        work.destroy(bakery.id, archived.recording.id, ACTOR)
    assert work.due(bakery.id) == []
    assert len(house.store.versions("")) == 5


def test_nobody_of_another_tenant_gets_it_or_destroys_it(
    work: Quarantine,
    unknown: Callable[..., ArchivedRecording],
    operator: Catalogue,
    bakery: Tenant,
    florist: Tenant,
    house: Any,
) -> None:
    before = unknown()
    flora = directory.add_user(
        operator, florist.id, "flora", now=NOW - timedelta(days=3), licence=RetentionClass.DAYS_90
    )
    with pytest.raises(NotFound):
        work.assign(bakery.id, before.recording.id, flora.id, ACTOR)
    with pytest.raises(NotFound):
        work.assign(florist.id, before.recording.id, flora.id, ACTOR)
    work.destroy(florist.id, before.recording.id, ACTOR)
    assert len(house.store.versions("")) == 5


def test_a_held_recording_is_not_destroyed_and_not_swept(
    work: Quarantine, unknown: Callable[..., ArchivedRecording], house: Any, bakery: Tenant, database: Any
) -> None:
    before = unknown()
    database.connect().execute("UPDATE recordings SET on_hold = true")
    with pytest.raises(Refused, match="legal hold"):
        work.destroy(bakery.id, before.recording.id, ACTOR)
    house.clock.moment = NOW + timedelta(days=8)
    assert work.due(bakery.id) == []
    assert len(house.store.versions("")) == 5


def test_after_seven_days_it_is_due_and_not_a_second_before(
    work: Quarantine, unknown: Callable[..., ArchivedRecording], house: Any, bakery: Tenant
) -> None:
    before = unknown()
    house.clock.moment = before.recording.retain_until - timedelta(seconds=1)
    assert work.due(bakery.id) == []
    house.clock.moment = before.recording.retain_until
    assert work.due(bakery.id) == [before.recording.id]


def test_no_clock_that_is_wrong_destroys_anything(
    unknown: Callable[..., ArchivedRecording], house: Any, worker: Catalogue, bakery: Tenant
) -> None:
    """A worker years ahead finds that the store does not agree."""
    unknown()

    def due_by(clock: Any) -> None:
        uptime = Uptime("boot", 1000.0)
        audit = AuditWriter(worker, "worker/test")
        keeper = Timekeeper(worker, house.store, audit, clock, "one", lambda: uptime)
        with pytest.raises(ClockDisbelieved):
            at_work(house, worker, keeper.due_time, clock).due(bakery.id)

    due_by(dataclasses.replace(house.clock, moment=NOW + timedelta(days=8 * 365)))
    behind = dataclasses.replace(house.clock, moment=NOW)
    house.clock.moment = NOW + timedelta(days=QUARANTINE_DAYS)
    due_by(behind)


def test_a_store_that_keeps_objects_after_deleting_them_is_asked_again(
    work: Quarantine, unknown: Callable[..., ArchivedRecording], house: Any, portal: Catalogue, bakery: Tenant
) -> None:
    """The row goes only when the store confirmed."""
    before = unknown()
    house.store.delete = lambda *_: None
    with pytest.raises(StoreUnavailable, match="tried again"):
        work.destroy(bakery.id, before.recording.id, ACTOR)
    assert recordings.get(portal, auditor(bakery), before.recording.id).recording.state == "deleting"


def test_a_database_or_a_key_store_that_is_away_is_waited_for(
    unknown: Callable[..., ArchivedRecording],
    house: Any,
    worker: Catalogue,
    bakery: Tenant,
    anna: User,
    tmp_path: Any,
    key_directory: Any,
    work: Quarantine,
) -> None:
    before = unknown()
    nowhere = Catalogue(f"postgresql+psycopg://x@/x?host={tmp_path}", timeout_s=1)
    away = at_work(house, nowhere)
    with pytest.raises(CatalogueUnavailable):
        away.destroy(bakery.id, before.recording.id, ACTOR)
    nowhere.close()
    house.vault.forget(before.kek_id)
    renamed = key_directory.rename(key_directory.with_name("away"))
    with pytest.raises(DependencyUnavailable):
        work.assign(bakery.id, before.recording.id, anna.id, ACTOR)
    renamed.rename(key_directory)
    assert work.assign(bakery.id, before.recording.id, anna.id, ACTOR).recording.owner == anna.id


def test_a_portal_finds_out_beforehand_what_a_decision_would_be(
    unknown: Callable[..., ArchivedRecording],
    operator: Catalogue,
    portal: Catalogue,
    bakery: Tenant,
    anna: User,
    work: Quarantine,
) -> None:
    """So that an administrator hears the reason at once, and not from a job."""
    before = unknown().recording
    found = quarantine.check_assignable(portal, administrator(bakery), before.id, anna.id)
    assert found == quarantine.Assignee(anna.id, "Goes", RetentionClass.YEARS_7_1000)
    quarantine.check_destroyable(portal, administrator(bakery), before.id)
    ben = directory.add_user(operator, bakery.id, "ben", now=NOW)
    with pytest.raises(Refused, match="licence"):
        quarantine.check_assignable(portal, administrator(bakery), before.id, ben.id)
    with pytest.raises(Refused, match="administrators"):
        quarantine.check_assignable(portal, auditor(bakery), before.id, anna.id)
    with pytest.raises(Refused, match="administrators"):
        quarantine.check_destroyable(portal, auditor(bakery), before.id)
    own = AccessScope(bakery.id, "user:x", Role.USER, anna.id, "own")
    with pytest.raises(NotFound):
        quarantine.check_destroyable(portal, own, before.id)
    work.assign(bakery.id, before.id, anna.id, ACTOR)
    client = AccessScope(bakery.id, "api-client:1", scopes=frozenset({"administration", "recordings:read"}))
    with pytest.raises(Conflict):
        quarantine.check_destroyable(portal, client, before.id)
