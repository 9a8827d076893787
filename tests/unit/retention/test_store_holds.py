"""Holds of the store follow the cases: nobody waits for them, and none is forgotten (promise R1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from archive.catalogue import case_release, cases
from archive.catalogue.tables import recordings
from archive.errors import StoreUnavailable
from archive.model import ArchivedRecording, Tenant
from archive.store.memory import MemoryStore
from retention.store_holds import FAILURES_MAX, HoldProgress, StoreHolds
from tests.unit.retention.ageing import Ageing, Stubborn
from tests.unit.retention.holding import (
    assert_destroyed,
    assert_held_and_whole,
    grant,
    hold,
    on_hold,
    opened,
    person,
    release,
)


class Moody(Stubborn):
    """A store that does something before each hold that is set or taken off, and before it tells one."""

    before: Callable[[str], None] | None = None

    def set_legal_hold(self, key: str, version_id: str, *, held: bool) -> None:
        if self.before is not None:
            self.before(key)
        super().set_legal_hold(key, version_id, held=held)


class Loose(MemoryStore):
    """A store that locks nothing."""

    @property
    def locks(self) -> bool:
        return False


@pytest.fixture
def moody(ageing: Ageing) -> Moody:
    ageing.store.__class__ = Moody
    store = ageing.store
    assert isinstance(store, Moody)
    return store


def keeping(ageing: Ageing) -> StoreHolds:
    return StoreHolds(ageing.store, ageing.worker, ageing.house.clock)


def held(ageing: Ageing, archived: ArchivedRecording) -> list[bool]:
    prefix = f"{archived.recording.tenant_id}/{archived.recording.id}/"
    found = ageing.store.versions(prefix)
    return [ageing.store.legal_hold(each.key, each.version_id) for each in found]


@contextmanager
def locked(ageing: Ageing, archived: ArchivedRecording) -> Iterator[None]:
    """Hold the lock of a recording's row, which must be free."""
    tenant_id, recording_id = archived.recording.tenant_id, archived.recording.id
    statement = select(recordings.c.id).where(recordings.c.id == recording_id)
    with ageing.worker.transaction(tenant_id) as connection:
        assert connection.execute(statement.with_for_update(nowait=True)).scalar() == recording_id
        yield


def test_a_release_is_one_row_and_waits_for_no_recording(ageing: Ageing, bakery: Tenant) -> None:
    """A case of a hundred thousand recordings is released as one of a single one."""
    archived = ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)
    with locked(ageing, archived):
        grant(ageing, bakery, case_id)
    case = cases.get(ageing.portal, person(bakery, "x"), case_id)
    assert (case.state, case.let_go_at) == ("released", None)
    assert on_hold(ageing, bakery, archived), "until its turn it stays held"


def test_what_a_released_case_held_is_let_go_in_batches_unless_another_case_holds_it(
    ageing: Ageing, bakery: Tenant
) -> None:
    scope, now = person(bakery, "anna"), ageing.house.clock.now()
    found = [ageing.archive(bakery) for _ in range(4)]
    case_id = opened(ageing.portal, scope, ageing)
    with ageing.portal.transaction(bakery.id) as connection:
        cases.add(connection, scope, case_id, [each.recording.id for each in found], now=now)
    other = hold(ageing, bakery, found[2])
    grant(ageing, bakery, case_id)
    taken = []
    while case_release.count_waiting(ageing.worker, bakery.id):
        taken.append(case_release.let_go(ageing.worker, bakery.id, now=now, recordings_max=2))
    assert taken == [2, 1, 0]
    assert [on_hold(ageing, bakery, each) for each in found] == [False, False, True, False]
    assert cases.get(ageing.portal, scope, case_id).let_go_at == now
    assert case_release.let_go(ageing.worker, bakery.id, now=now + timedelta(days=1)) == 0
    release(ageing, bakery, other)
    assert not on_hold(ageing, bakery, found[2])


def test_a_job_lets_go_and_takes_the_holds_of_the_store_off(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)
    assert keeping(ageing).batch(bakery.id) == HoldProgress(done=1, remaining=0)
    ageing.live(days=91)
    grant(ageing, bakery, case_id)
    for _ in range(2):
        keeping(ageing).batch(bakery.id)
    assert keeping(ageing).batch(bakery.id) == HoldProgress(done=0, remaining=0)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)


def test_on_a_store_without_locks_a_released_case_lets_go_as_well(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)
    grant(ageing, bakery, case_id)
    work = StoreHolds(Loose(ageing.house.clock), ageing.worker, ageing.house.clock)
    assert work.batch(bakery.id) == HoldProgress(done=1, remaining=1)
    assert work.batch(bakery.id) == HoldProgress(done=0, remaining=0)
    assert not on_hold(ageing, bakery, archived)


def test_one_object_that_fails_keeps_no_other_recording_waiting(
    ageing: Ageing, moody: Moody, bakery: Tenant
) -> None:
    """More of them than would tell that the store is away, and the first ones in the order of their ids."""
    found = sorted(
        (ageing.archive(bakery) for _ in range(FAILURES_MAX + 3)), key=lambda each: each.recording.id
    )
    bad, good = found[: FAILURES_MAX + 1], found[FAILURES_MAX + 1 :]
    for each in found:
        hold(ageing, bakery, each)
    broken = {each.recording.id for each in bad}

    def fails(key: str) -> None:
        if key.split("/")[1] in broken:
            raise StoreUnavailable("500 for this object")

    moody.before = fails
    tries = 0
    while not all(all(held(ageing, each)) for each in good):
        tries += 1
        assert tries < 5
        with suppress(StoreUnavailable):
            keeping(ageing).batch(bakery.id)
    moody.before = None
    while keeping(ageing).batch(bakery.id).remaining:
        pass
    assert all(all(held(ageing, each)) for each in found)


def test_what_fails_and_nothing_else_is_an_error_so_that_it_is_tried_again_later(
    ageing: Ageing, moody: Moody, bakery: Tenant
) -> None:
    hold(ageing, bakery, ageing.archive(bakery))

    def fails(key: str) -> None:
        raise StoreUnavailable("away")

    moody.before = fails
    with pytest.raises(StoreUnavailable):
        keeping(ageing).batch(bakery.id)


def test_nobody_waits_for_the_store_under_the_lock_of_a_row(
    ageing: Ageing, moody: Moody, bakery: Tenant
) -> None:
    archived, asked = ageing.archive(bakery), []
    hold(ageing, bakery, archived)

    def looks(key: str) -> None:
        with locked(ageing, archived):
            asked.append(key)

    moody.before = looks
    assert keeping(ageing).batch(bakery.id).remaining == 0
    assert len(asked) == len(archived.objects)


def test_who_is_late_with_a_hold_of_a_released_case_is_followed_again(
    ageing: Ageing, moody: Moody, bakery: Tenant
) -> None:
    """Two follow at once: the second takes off what the first goes on setting."""
    archived = ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)

    def released(key: str) -> None:
        moody.before = None
        release(ageing, bakery, case_id)
        keeping(ageing).batch(bakery.id)

    moody.before = released
    assert keeping(ageing).batch(bakery.id).remaining == 1
    assert any(held(ageing, archived))
    keeping(ageing).batch(bakery.id)
    assert not any(held(ageing, archived))
    ageing.live(days=91)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)


def test_a_hold_of_the_store_that_the_database_does_not_know_is_taken_off_by_no_job(
    ageing: Ageing, bakery: Tenant
) -> None:
    """The database may be that of yesterday: `storage rebuild-catalogue` learns of it, and two people release."""
    archived = ageing.archive(bakery)
    first = archived.objects[0]
    ageing.store.set_legal_hold(first.key, first.version_id, held=True)
    ageing.live(days=91)
    for _ in range(3):
        assert ageing.sweep().batch(bakery.id).destroyed == 0
        assert keeping(ageing).batch(bakery.id) == HoldProgress(done=0, remaining=0)
        ageing.live(hours=12)
    assert ageing.store.legal_hold(first.key, first.version_id)


def test_an_object_that_is_put_while_holds_are_set_is_held_too(
    ageing: Ageing, moody: Moody, database: Any, bakery: Tenant
) -> None:
    archived = ageing.archive(bakery)
    hold(ageing, bakery, archived)

    def puts(key: str) -> None:
        moody.before = None
        row = database.connect()
        row.execute("UPDATE recordings SET store_hold = 'partly'")

    moody.before = puts
    assert keeping(ageing).batch(bakery.id) == HoldProgress(done=0, remaining=1)
    assert keeping(ageing).batch(bakery.id) == HoldProgress(done=1, remaining=0)
    assert_held_and_whole(ageing, bakery, archived)
