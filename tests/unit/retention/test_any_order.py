"""R1: whatever happens in whatever order, nothing goes before its term or while it is held, and all goes after.

Recordings are made, held one by one and by searches, released, kept for longer, let go early by two people;
keys change, jobs run or do not, clocks jump, and somebody with the bucket's keys takes locks and holds off.
What must be true is kept beside it in a few words and compared after each step.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import keks, recordings
from archive.catalogue.engine import Catalogue
from archive.data_key import open_data_key
from archive.model import ArchivedRecording, RecordingState, Tenant
from archive.rewrap import Rewrapping
from retention.due_time import ClockDisbelieved
from retention.scrub import Scrub
from retention.store_holds import StoreHolds
from retention.terms import Terms
from tests.unit.retention.ageing import Ageing, auditor, objects_of
from tests.unit.retention.holding import hold, release
from tests.unit.retention.test_early_destruction import approve, people, propose
from tests.unit.retention.test_held_searches import hold_search
from tests.unit.retention.test_terms import lengthen

STEPS, EXAMPLES = 25, 4
SOAK_STEPS, SOAK_EXAMPLES = 50, 200
RECORDINGS_MAX = 6
"""Of one example: more make each step longer and find nothing else."""


@dataclasses.dataclass
class Kept:
    """A recording, until when it has to be there, and the cases that hold it."""

    archived: ArchivedRecording
    until: datetime
    cases: list[str] = dataclasses.field(default_factory=list)
    let_go_at: datetime | None = None
    """When two people approved that it goes before its term."""

    is_gone: bool = False


PLACE = st.integers(0, RECORDINGS_MAX - 1)


def picked(among: list[Kept], place: int) -> list[Kept]:
    """Return one of them, or none when there is none."""
    return [among[place % len(among)]] if among else []


class Archive(RuleBasedStateMachine):
    """One tenant's recordings, and what the world does to them."""

    ageing: Ageing
    tenant: Tenant
    two: tuple[AccessScope, AccessScope]

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Kept] = []

    @property
    def now(self) -> datetime:
        return self.ageing.house.clock.now()

    def living(self) -> list[Kept]:
        return [each for each in self.kept if not each.is_gone]

    @precondition(lambda self: len(self.kept) < RECORDINGS_MAX)
    @rule(days=st.sampled_from([1, 1.3, 2, 7]))
    def archive(self, days: float) -> None:
        archived = self.ageing.archive(self.tenant, days)
        self.kept.append(Kept(archived, archived.recording.retain_until))

    # What may be done, and with which, is drawn without looking at what time did to the recordings:
    # each example begins later than the one before it, and its draws must be those of any other time.
    @precondition(lambda self: self.kept)
    @rule(place=PLACE)
    def hold(self, place: int) -> None:
        for chosen in picked(self.living(), place):
            chosen.cases.append(hold(self.ageing, self.tenant, chosen.archived))

    @precondition(lambda self: self.kept)
    @rule()
    def hold_all_that_is_found(self) -> None:
        case_id, added = hold_search(self.ageing, self.tenant)
        held = [each for each in self.living() if self._found(each).recording.on_hold]
        assert (added.held, added.going) == (len(held), ())
        assert len(held) == len(self.living())
        for each in held:
            each.cases.append(case_id)

    @precondition(lambda self: self.kept)
    @rule(place=PLACE)
    def let_go_early(self, place: int) -> None:
        ada, otto = self.two
        for chosen in picked([each for each in self.living() if not each.cases], place):
            if chosen.until > self.now and chosen.let_go_at is None:
                approve(self.ageing, otto, propose(self.ageing, ada, chosen.archived))
                chosen.let_go_at = self.now

    @precondition(lambda self: self.kept)
    @rule(place=PLACE, held=st.booleans())
    def loosen_in_the_store(self, place: int, *, held: bool) -> None:
        store = self.ageing.store
        for chosen in picked(self.living(), place):
            for stored in chosen.archived.objects:
                if held:
                    store.set_legal_hold(stored.key, stored.version_id, held=False)
                else:
                    store.loosen(stored.key, stored.version_id, None, None)

    @rule()
    def scrub(self) -> None:
        """A scrub and the jobs after it: every lock and hold stands in the store again."""
        ageing, audit = self.ageing, AuditWriter(self.ageing.worker, "worker/scrub")
        scrubbing = Scrub(ageing.store, ageing.worker, audit, ageing.house.clock, timedelta())
        self.let_store_and_keys_follow()
        scrubbing.batch(self.tenant.id, None)
        self.let_store_and_keys_follow()
        assert scrubbing.batch(self.tenant.id, None).findings == ()
        for each in self.living():
            for stored in each.archived.objects:
                facts = ageing.store.head(stored.key, stored.version_id)
                assert facts.held == bool(each.cases)
                if each.until > self.now:
                    assert facts.retain_until is not None
                    assert facts.retain_until >= each.until

    @precondition(lambda self: self.kept)
    @rule(place=PLACE)
    def release(self, place: int) -> None:
        for chosen in picked([each for each in self.kept if each.cases], place):
            case_id = chosen.cases[-1]
            release(self.ageing, self.tenant, case_id)
            for each in self.kept:
                each.cases = [one for one in each.cases if one != case_id]

    @precondition(lambda self: self.kept)
    @rule(place=PLACE, days=st.sampled_from([8, 9, 20]))
    def keep_for_longer(self, place: int, days: int) -> None:
        for chosen in picked(self.living(), place):
            if chosen.until < self.now + timedelta(days=days, seconds=-1):
                chosen.until = lengthen(self.ageing, chosen.archived, days)

    @rule()
    def let_store_and_keys_follow(self) -> None:
        ageing, audit = self.ageing, AuditWriter(self.ageing.worker, "worker/one")
        house = ageing.house
        StoreHolds(ageing.store, ageing.worker, house.clock).batch(self.tenant.id)
        Terms(ageing.store, lambda: house.vault, ageing.worker, audit, house.clock).batch(self.tenant.id)

    @rule()
    def change_keys(self) -> None:
        ageing, audit = self.ageing, AuditWriter(self.ageing.worker, "worker/two")
        rewrapping = Rewrapping(ageing.store, ageing.house.vault, ageing.worker, audit, ageing.house.clock)
        for kek_id in keks.used(ageing.worker, self.tenant.id):
            rewrapping.supersede(self.tenant.id, kek_id, actor="operator:0", reason="rotation")

    @rule(hours=st.sampled_from([1, 13, 30, 100]))
    def live(self, hours: int) -> None:
        self.ageing.live(hours=hours)

    @rule()
    def sweep(self) -> None:
        self.ageing.sweep().batch(self.tenant.id)

    @rule(days=st.sampled_from([8 * 365, -400]))
    def sweep_by_a_clock_that_jumped(self, days: int) -> None:
        self.ageing.set_clock(days=days)
        try:
            with pytest.raises(ClockDisbelieved):
                self.ageing.sweep("three").batch(self.tenant.id)
        finally:
            self.ageing.set_clock(days=-days)

    @invariant()
    def nothing_is_gone_too_early(self) -> None:
        for each in self.living():
            found = self._found(each)
            if found.recording.state is RecordingState.DESTROYED:
                assert not each.cases, "it was held"
                assert each.until <= self.now or each.let_go_at is not None, "its term was not over"
                each.is_gone = True
                assert objects_of(self.ageing.store, self.tenant, found.recording.id) == []
                continue
            assert found.recording.state is RecordingState.AVAILABLE
            assert found.recording.on_hold == bool(each.cases)
            there = set(objects_of(self.ageing.store, self.tenant, found.recording.id))
            assert {stored.key for stored in found.objects} <= there
            place = (self.tenant.id, found.recording.id)
            assert open_data_key(self.ageing.house.vault, *place, found.kek_id, found.wrapped_key).key

    def teardown(self) -> None:
        """A day after the last term, with the jobs of a worker that runs: nothing is left that may go."""
        for case_id in {case_id for each in self.living() for case_id in each.cases}:
            release(self.ageing, self.tenant, case_id)
        for each in self.living():
            each.cases.clear()
        last = max((each.until for each in self.kept), default=self.now)
        if last > self.now:
            self.ageing.live(hours=(last - self.now).total_seconds() / 3600)
        self.let_store_and_keys_follow()
        self.sweep()
        self.ageing.live(hours=13)
        self.sweep()
        self.nothing_is_gone_too_early()
        assert self.living() == [], "alive a day after its term"

    def _found(self, each: Kept) -> ArchivedRecording:
        return recordings.get(self.ageing.portal, auditor(self.tenant), each.archived.recording.id)


def test_r1_in_whatever_order_nothing_goes_too_early_and_everything_goes(
    ageing: Ageing, operator: Catalogue, bakery: Tenant, pytestconfig: Any
) -> None:
    """R1: holds, longer terms, early ends, sweeps, keys, clocks that jump, locks taken off; `make soak` takes 10,000."""
    soak = pytestconfig.getoption("soak")
    machine = type(
        "ArchiveHere",
        (Archive,),
        {"ageing": ageing, "tenant": bakery, "two": people(ageing, operator, bakery)},
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=SOAK_EXAMPLES if soak else EXAMPLES,
            stateful_step_count=SOAK_STEPS if soak else STEPS,
            deadline=None,
            derandomize=not soak,
            # A fault is told as it was met: to make it smaller takes minutes of a real database.
            phases=(Phase.explicit, Phase.generate),
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
