"""A call whose machine's clock was wrong keeps its whole term, and no lock stands to a wrong date."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive.catalogue.engine import Catalogue
from archive.errors import StoreUnavailable
from archive.intent import AS_TOLD, Dating
from archive.model import ArchivedRecording, RecordingState, RetentionClass, Tenant
from recorder import dating, finaliser_pool
from recorder.dating import CLOCK_WRONG, BelievedNow
from recorder.finaliser_job import FinaliseJob
from recorder.finaliser_pool import finalise_job
from recorder.state import CallState, EdgeState, MetadataRevision, PartyState
from retention import policy
from retention.due_time import ClockDisbelieved
from retention.timekeeper import boot_id
from tests.unit.archive.conftest import bakery, database, operator, recorder
from tests.unit.archive.sealed.conftest import House, SettableClock, house, key_directory, vault
from tests.unit.recorder.test_finaliser_pool import CALL_KEY, STATE, UID, written

__all__ = ["bakery", "database", "house", "key_directory", "operator", "recorder", "vault"]

S = 1_000_000_000
NOW = datetime.fromtimestamp(STATE.started_ns / S, UTC) + timedelta(hours=1)
"""Every call here was an hour ago, whatever its own clock said."""

UP_S = 5000.0
ORIGIN_NS = int((NOW.timestamp() - UP_S) * S)
BELIEVED = BelievedNow(NOW, ORIGIN_NS, "boot-1")
YEARS_8 = timedelta(days=8 * 365)
WRONG = [YEARS_8, -YEARS_8, timedelta(hours=24, seconds=1), -timedelta(hours=24, seconds=1)]
RIGHT_ENOUGH = [timedelta(0), timedelta(hours=24), -timedelta(hours=24)]


@dataclasses.dataclass
class MachineClock(SettableClock):
    """A clock whose machine has been up for a while."""

    moment: datetime = NOW

    def monotonic(self) -> float:
        return UP_S + (self.moment - NOW).total_seconds()


@pytest.fixture
def clock() -> SettableClock:
    return MachineClock()


def call(error: timedelta = timedelta(0), started: str = "boot-1", **changes: object) -> CallState:
    """Return a call of a second an hour ago by a clock that was `error` ahead."""
    by_ns = int(error.total_seconds()) * S
    began = STATE.started_ns + by_ns
    return dataclasses.replace(
        STATE,
        started_ns=began,
        ended_ns=began + S,
        boot_id=started,
        origin_ns=ORIGIN_NS + by_ns,
        edges=(EdgeState("start", began), EdgeState("pause", began + S // 2)),
        parties=(
            PartyState("a", "+31201234501", "", None, began),
            PartyState("b", "1", "", None, began, began + S),
        ),
        metadata=(MetadataRevision(began, "text/plain", ""),),
        **changes,
    )


@pytest.mark.parametrize("error", WRONG)
def test_r3_a_call_whose_clock_was_measured_wrong_is_moved_with_all_its_moments(error: timedelta) -> None:
    found = dating.measured(call(error), BELIEVED)
    assert found == Dating(moved_s=-int(error.total_seconds()))
    state = dating.moved(call(error), found)
    assert dataclasses.replace(state, flags=(), trace=(), origin_ns=ORIGIN_NS) == call()
    assert state.flags == (CLOCK_WRONG,)
    seconds = int(abs(error.total_seconds()))
    assert f"{seconds} s {'ahead' if error > timedelta(0) else 'behind'}" in state.trace[-1]


@pytest.mark.parametrize("error", RIGHT_ENOUGH)
def test_a_clock_that_is_less_than_a_day_off_dates_as_it_told(error: timedelta) -> None:
    assert dating.measured(call(error), BELIEVED) == AS_TOLD
    assert dating.moved(call(error), AS_TOLD) == call(error)


@pytest.mark.parametrize("started", ["boot-0", ""])
def test_nobody_measured_the_clock_of_another_start_of_the_machine(started: str) -> None:
    here = dataclasses.replace(BELIEVED, boot_id="" if not started else "boot-1")
    assert dating.measured(call(YEARS_8, started), here) is None


@dataclasses.dataclass
class Machine:
    """A worker on a real ingest, and the journal of a call of a second."""

    house: House
    tenant: Tenant
    tails: dict[str, int]

    def job(self, state: CallState) -> FinaliseJob:
        owned = dataclasses.replace(state, tenant_id=self.tenant.id, peer_id=None)
        return FinaliseJob(owned.to_json(), UID, CALL_KEY, self.tails)

    def archive(self, state: CallState) -> ArchivedRecording:
        archived = finalise_job(self.job(state))
        assert archived is not None
        return archived

    def locks(self, archived: ArchivedRecording) -> set[datetime | None]:
        heads = [self.house.store.head(item.key, item.version_id) for item in archived.objects]
        return {head.retain_until for head in heads}


@pytest.fixture
def machine(house: House, bakery: Tenant, recorder: Catalogue, tmp_path: Path) -> Iterator[Machine]:
    worker = finaliser_pool._Worker(tmp_path, recorder, house.ingest(), house.clock)
    finaliser_pool._workers[:] = [worker]
    yield Machine(house, bakery, written(tmp_path))
    finaliser_pool._workers.clear()


def until(begin: datetime) -> datetime:
    return policy.retain_until(RetentionClass.DAYS_90, begin)


@pytest.mark.parametrize("error", WRONG)
def test_r3_what_was_recorded_by_a_wrong_clock_is_kept_and_locked_from_when_it_was(
    machine: Machine, error: timedelta
) -> None:
    archived = machine.archive(call(error, boot_id()))
    recording = archived.recording
    ended = datetime.fromtimestamp(STATE.started_ns / S, UTC) + timedelta(seconds=1)
    assert abs(recording.ended_at - ended) <= timedelta(seconds=1)
    assert recording.retain_until == until(recording.ended_at)
    assert machine.locks(archived) == {recording.retain_until}
    assert recording.flags == (CLOCK_WRONG,)


@pytest.mark.parametrize("quarantined", [False, True])
@pytest.mark.parametrize("error", [YEARS_8, -YEARS_8, -timedelta(days=91)])
def test_r3_after_another_start_a_term_that_cannot_be_right_counts_from_now(
    machine: Machine, error: timedelta, quarantined: bool
) -> None:
    archived = machine.archive(call(error, "another start", quarantined=quarantined))
    recording = archived.recording
    assert recording.started_at == datetime.fromtimestamp(STATE.started_ns / S, UTC) + error
    assert recording.retain_until == (policy.quarantine_until(NOW) if quarantined else until(NOW))
    assert (recording.state is RecordingState.QUARANTINED) == quarantined
    assert machine.locks(archived) == {None if quarantined else until(NOW)}
    assert CLOCK_WRONG in recording.flags


@pytest.mark.parametrize("error", [timedelta(0), timedelta(hours=23), -timedelta(days=89)])
def test_after_another_start_a_term_that_may_be_right_is_left_alone(
    machine: Machine, error: timedelta
) -> None:
    """Nothing proves that a machine was not off for that long."""
    recording = machine.archive(call(error, "another start")).recording
    assert recording.retain_until == until(recording.ended_at)
    assert recording.flags == ()


def test_a_recording_that_was_measured_to_wait_longer_than_its_term_is_over(machine: Machine) -> None:
    """Its clock was right: the store was away for months, and nothing keeps what is over."""
    assert isinstance(machine.house.clock, SettableClock)
    machine.house.clock.moment = NOW + timedelta(days=91)
    archived = machine.archive(call(started=boot_id()))
    assert archived.recording.retain_until == until(archived.recording.ended_at)
    assert machine.locks(archived) == {None}


@pytest.mark.parametrize("started", ["another start", None])
def test_r3_a_rerun_by_another_clock_gives_the_same_recording(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, started: str | None
) -> None:
    """It died between the objects; three days later what stands there is adopted, and no term moves."""
    state = call(YEARS_8, started or boot_id())
    put = machine.house.store.put
    done: list[str] = []

    def fail(key: str, *args: object, **more: object) -> str:
        if len(done) == 3:
            raise StoreUnavailable("away")
        done.append(key)
        return put(key, *args, **more)

    monkeypatch.setattr(machine.house.store, "put", fail)
    with pytest.raises(StoreUnavailable):
        finalise_job(machine.job(state))
    monkeypatch.undo()
    assert isinstance(machine.house.clock, SettableClock)
    machine.house.clock.moment += timedelta(days=3)
    archived = machine.archive(state)
    begin = NOW if started else archived.recording.ended_at
    assert archived.recording.retain_until == until(begin)
    assert not [flag for flag in archived.recording.flags if flag.startswith("stray")]
    assert machine.archive(state) == archived


def test_nothing_is_dated_or_booked_while_no_clock_is_believed(
    machine: Machine, recorder: Catalogue, tmp_path: Path
) -> None:
    def disbelieve() -> None:
        raise ClockDisbelieved("8 years ahead")

    ingest = machine.house.ingest(believe=disbelieve)
    finaliser_pool._workers[:] = [finaliser_pool._Worker(tmp_path, recorder, ingest, machine.house.clock)]
    with pytest.raises(ClockDisbelieved):
        finalise_job(machine.job(call()))
    assert not machine.house.intents.exists()
    assert machine.house.store.versions("") == []
