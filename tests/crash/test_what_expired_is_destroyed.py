"""R1, R2, R5 on a real object store: what is over goes for good, what is held stays, whatever breaks off.

Terms of a few seconds, real locks, real clocks: SeaweedFS refuses what comes too early.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from archive.audit import AuditWriter
from archive.catalogue import cases, destructions
from archive.catalogue.engine import Catalogue
from archive.clock import SystemClock
from archive.embedded.signed_request import S3Endpoint
from archive.errors import NotFound, Refused, StoreUnavailable
from archive.key_object import is_key_object
from archive.model import ArchivedRecording, Tenant
from archive.rebuild import rebuild
from archive.rewrap import Rewrapping
from archive.store.s3 import ObjectStore
from retention.store_holds import StoreHolds
from retention.timekeeper import machine_uptime
from tests.unit.retention.ageing import Ageing, auditor, objects_of
from tests.unit.retention.holding import (
    Killed,
    Steps,
    assert_destroyed,
    assert_held_and_whole,
    hold,
    holding,
    person,
    release,
    stepping_sweep,
    swept,
)

TERM_S = 4
PATIENCE_S = 30


@pytest.fixture
def ageing(
    seaweed: S3Endpoint,
    house: Any,
    worker: Catalogue,
    portal: Catalogue,
    make_recording: Any,
    make_finished: Any,
    outcome_of: Any,
    key_directory: Path,
) -> Iterator[Ageing]:
    """An archive on SeaweedFS that goes by this machine's clock."""
    store = ObjectStore(seaweed.url, "recordings", seaweed.access_key, seaweed.secret_key)
    with closing(store):
        store.ensure_bucket()
        house.store, house.clock = store, SystemClock()
        made = Ageing(house, worker, portal, make_recording, make_finished, outcome_of, key_directory)
        made.uptime = machine_uptime()
        made.timekeeper().due_time()
        yield made


def archived_for_a_moment(ageing: Ageing, tenant: Tenant) -> ArchivedRecording:
    return ageing.archive(tenant, days=TERM_S / 86_400)


def until_over(ageing: Ageing, archived: ArchivedRecording) -> None:
    """Wait until a term is over by the clock of the store, a second more for what it rounds."""
    deadline = time.monotonic() + PATIENCE_S
    while ageing.store.clock() <= archived.recording.retain_until:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(1)
    ageing.uptime = machine_uptime()


def gone(store: ObjectStore, archived: ArchivedRecording) -> bool:
    for item in archived.objects:
        try:
            store.get(item.key, item.version_id)
        except NotFound:
            continue
        return False
    return True


def test_r1_the_store_keeps_it_to_its_term_and_nothing_of_it_afterwards(
    ageing: Ageing, bakery: Tenant
) -> None:
    archived = archived_for_a_moment(ageing, bakery)
    for item in archived.objects:
        with pytest.raises(Refused):
            ageing.store.delete(item.key, item.version_id)
    until_over(ageing, archived)
    assert ageing.sweep().batch(bakery.id).certificates == 1
    assert_destroyed(ageing, bakery, archived)
    assert gone(ageing.house.store, archived)


def test_r5_a_deletion_that_breaks_off_is_finished_by_the_next_worker(ageing: Ageing, bakery: Tenant) -> None:
    archived = archived_for_a_moment(ageing, bakery)
    until_over(ageing, archived)
    whole = ageing.house.store

    class Leaving:
        left = 3

        def __getattr__(self, name: str) -> Any:
            return getattr(whole, name)

        def delete(self, key: str, version_id: str) -> None:
            self.left -= 1
            if self.left < 0:
                raise StoreUnavailable("it went away")
            whole.delete(key, version_id)

    with pytest.raises(StoreUnavailable):
        ageing.sweep(store=Leaving()).batch(bakery.id)
    assert len(objects_of(whole, bakery, archived.recording.id)) == 2
    with pytest.raises(NotFound):
        destructions.certificate_of(ageing.portal, auditor(bakery), archived.recording.id)
    assert ageing.sweep("two").batch(bakery.id).certificates == 1
    assert_destroyed(ageing, bakery, archived)


def test_r2_what_is_held_stands_under_a_hold_of_the_store_that_has_no_term(
    ageing: Ageing, bakery: Tenant
) -> None:
    archived = archived_for_a_moment(ageing, bakery)
    case_id = hold(ageing, bakery, archived)
    keeping = StoreHolds(ageing.house.store, ageing.worker, ageing.house.clock)
    assert keeping.batch(bakery.id).remaining == 0
    until_over(ageing, archived)
    for item in archived.objects:
        with pytest.raises(Refused):
            ageing.store.delete(item.key, item.version_id)
    ageing.sweep().batch(bakery.id)
    assert_held_and_whole(ageing, bakery, archived)
    release(ageing, bakery, case_id)
    keeping.batch(bakery.id)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)


@pytest.mark.parametrize("at", [1, 4, 5, 6, 8, 12, 20])
@pytest.mark.parametrize("dies", [False, True])
def test_r2_a_hold_during_a_sweep_is_true_to_its_answer(
    ageing: Ageing, bakery: Tenant, database: Any, at: int, *, dies: bool
) -> None:
    """At some of the steps that the model and the store in memory walk all of."""
    archived, answers, steps = archived_for_a_moment(ageing, bakery), [], Steps()
    until_over(ageing, archived)
    act: Callable[[], None] = holding(ageing, bakery, archived, answers)

    def act_and_die() -> None:
        act()
        raise Killed

    steps.at[at] = act_and_die if dies else act
    assert swept(stepping_sweep(ageing, steps), bakery) is not dies
    database.connect().execute("UPDATE destructions SET claimed_until = now() - interval '1 minute'")
    ageing.uptime = machine_uptime()
    StoreHolds(ageing.house.store, ageing.worker, ageing.house.clock).batch(bakery.id)
    ageing.sweep("two").batch(bakery.id)
    if answers == ["held"]:
        assert_held_and_whole(ageing, bakery, archived)
    else:
        assert answers == ["409"]
        assert_destroyed(ageing, bakery, archived)


def test_r1_a_hold_outlives_its_key_and_the_database_on_the_store_alone(
    ageing: Ageing, bakery: Tenant, empty: Callable[[str], Catalogue]
) -> None:
    """Held, the key rotated, the database lost, rebuilt from the bucket, over: it stays until two release it."""
    archived = archived_for_a_moment(ageing, bakery)
    hold(ageing, bakery, archived)
    StoreHolds(ageing.store, ageing.worker, ageing.house.clock).batch(bakery.id)
    audit = AuditWriter(ageing.worker, "worker/rotation")
    rewrapping = Rewrapping(ageing.store, ageing.house.vault, ageing.worker, audit, ageing.house.clock)
    rewrapping.supersede(bakery.id, archived.kek_id, actor="operator:0", reason="rotation")
    prefix = f"{bakery.id}/{archived.recording.id}/"
    [key] = [version for version in ageing.store.versions(prefix) if is_key_object(version.key)]
    assert ageing.store.legal_hold(key.key, key.version_id)
    operator = empty("earwitness_operator")
    assert rebuild(ageing.store, ageing.house.vault, operator) == 1
    after = dataclasses.replace(ageing, worker=empty("earwitness_worker"), portal=empty("earwitness_portal"))
    after.timekeeper(operator, "operator").trust()
    until_over(after, archived)
    after.sweep().batch(bakery.id)
    assert_held_and_whole(after, bakery, archived)
    with pytest.raises(Refused):
        ageing.store.delete(key.key, key.version_id)
    [case], _ = cases.page(after.portal, person(bakery, "anna"), 10, None)
    release(after, bakery, case.id)
    assert StoreHolds(after.store, after.worker, after.house.clock).batch(bakery.id).remaining == 0
    after.sweep().batch(bakery.id)
    assert_destroyed(after, bakery, archived)
