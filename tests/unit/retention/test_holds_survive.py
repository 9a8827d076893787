"""A hold outlives the key of its day, and the loss of the whole database (promise R1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from archive.audit import AuditWriter
from archive.catalogue import cases, found_holds, keks
from archive.catalogue.engine import Catalogue
from archive.errors import Refused
from archive.key_object import is_key_object
from archive.model import ArchivedRecording, Tenant
from archive.rebuild import rebuild
from archive.rewrap import Rewrapping
from archive.store.object import StoreCorrupts
from retention.store_holds import StoreHolds
from tests.unit.archive.sealed.conftest import empty
from tests.unit.retention.ageing import Ageing, Stubborn
from tests.unit.retention.holding import (
    Killed,
    assert_destroyed,
    assert_held_and_whole,
    hold,
    on_hold,
    person,
    release,
)

__all__ = ["empty"]


def rotate(ageing: Ageing, archived: ArchivedRecording, store: Any = None) -> None:
    rewrapping = Rewrapping(
        store or ageing.store,
        ageing.house.vault,
        ageing.worker,
        AuditWriter(ageing.worker, "worker/rotation"),
        ageing.house.clock,
    )
    tenant_id = archived.recording.tenant_id
    for kek_id in keks.used(ageing.worker, tenant_id):
        rewrapping.supersede(tenant_id, kek_id, actor="operator:0", reason="rotation")


def follow(ageing: Ageing, tenant: Tenant) -> None:
    assert StoreHolds(ageing.store, ageing.worker, ageing.house.clock).batch(tenant.id).remaining == 0


def held_by_store(ageing: Ageing, archived: ArchivedRecording) -> dict[str, bool]:
    """Return which of a recording's objects the store holds, keys among them."""
    prefix = f"{archived.recording.tenant_id}/{archived.recording.id}/"
    return {
        version.key.removeprefix(prefix): ageing.store.legal_hold(version.key, version.version_id)
        for version in ageing.store.versions(prefix)
    }


def test_a_key_that_is_put_beside_a_held_recording_is_held_at_once(ageing: Ageing, bakery: Tenant) -> None:
    """The recording opens by nothing else any more; after the release nothing of it is held."""
    archived, other = ageing.archive(bakery), ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)
    follow(ageing, bakery)
    rotate(ageing, archived)
    held = held_by_store(ageing, archived)
    assert sum(map(is_key_object, held)) == 1
    assert set(held.values()) == {True}
    assert set(held_by_store(ageing, other).values()) == {False}
    follow(ageing, bakery)
    assert cases.get(ageing.portal, person(bakery, "x"), case_id).held_by_store == 1
    ageing.live(days=91)
    [key] = filter(is_key_object, held)
    [version] = ageing.store.versions(f"{bakery.id}/{archived.recording.id}/{key}")
    with pytest.raises(Refused):
        ageing.store.delete(version.key, version.version_id)
    release(ageing, bakery, case_id)
    follow(ageing, bakery)
    assert set(held_by_store(ageing, archived).values()) == {False}
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)


def test_a_hold_that_comes_while_keys_change_has_the_new_key_too(ageing: Ageing, bakery: Tenant) -> None:
    """Who follows the cases has been through just before the key is put."""
    archived = ageing.archive(bakery)
    store = ageing.store

    class Busy:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def put(self, *arguments: Any, **more: Any) -> str:
            hold(ageing, bakery, archived)
            follow(ageing, bakery)
            return store.put(*arguments, **more)

    rotate(ageing, archived, Busy())
    assert sorted(held_by_store(ageing, archived).values()) == [False, *[True] * 5]
    follow(ageing, bakery)
    assert set(held_by_store(ageing, archived).values()) == {True}


def test_a_hold_on_a_key_that_was_broken_off_is_taken_off_with_the_others(
    ageing: Ageing, bakery: Tenant
) -> None:
    archived = ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)
    follow(ageing, bakery)

    class Breaking(Stubborn):
        def set_legal_hold(self, key: str, version_id: str, *, held: bool) -> None:
            super().set_legal_hold(key, version_id, held=held)
            raise Killed

    ageing.store.__class__ = Breaking
    with pytest.raises(Killed):
        rotate(ageing, archived)
    ageing.store.__class__ = Stubborn
    release(ageing, bakery, case_id)
    follow(ageing, bakery)
    assert set(held_by_store(ageing, archived).values()) == {False}


def test_a_store_that_does_not_show_the_hold_keeps_the_old_key(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery)
    hold(ageing, bakery, archived)
    store = ageing.store

    class Deaf:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def set_legal_hold(self, key: str, version_id: str, *, held: bool) -> None:
            pass

    with pytest.raises(StoreCorrupts, match="does not show it"):
        rotate(ageing, archived, Deaf())
    assert ageing.house.vault.get(archived.kek_id).id == archived.kek_id


def test_r1_what_was_held_is_held_after_the_loss_of_the_database(
    ageing: Ageing, bakery: Tenant, empty: Callable[[str], Catalogue]
) -> None:
    """Held, database lost, rebuilt, over: nothing goes before two people release it."""
    archived, other = ageing.archive(bakery), ageing.archive(bakery)
    hold(ageing, bakery, archived)
    follow(ageing, bakery)
    operator = empty("earwitness_operator")
    assert rebuild(ageing.store, ageing.house.vault, operator) == 2
    after = dataclasses.replace(ageing, worker=empty("earwitness_worker"), portal=empty("earwitness_portal"))
    after.timekeeper(operator, "operator").trust()
    after.live(days=91)
    after.sweep().batch(bakery.id)
    assert_held_and_whole(after, bakery, archived)
    assert_destroyed(after, bakery, other)
    [case], _ = cases.page(after.portal, person(bakery, "anna"), 10, None)
    assert (case.opened_by, case.recordings, case.state) == (found_holds.ACTOR, 1, "holding")
    assert rebuild(ageing.store, ageing.house.vault, operator) == 0, "a second run changes nothing"
    assert len(cases.page(after.portal, person(bakery, "anna"), 10, None)[0]) == 1
    follow(after, bakery)
    release(after, bakery, case.id)
    follow(after, bakery)
    after.sweep().batch(bakery.id)
    assert_destroyed(after, bakery, archived)


def test_a_database_of_yesterday_learns_of_the_holds_of_today(
    ageing: Ageing, bakery: Tenant, operator: Catalogue
) -> None:
    archived, others = ageing.archive(bakery), [ageing.archive(bakery) for _ in range(2)]
    for item in archived.objects[:1]:
        ageing.store.set_legal_hold(item.key, item.version_id, held=True)
    assert rebuild(ageing.store, ageing.house.vault, operator) == 0
    assert [on_hold(ageing, bakery, each) for each in (archived, *others)] == [True, False, False]
    follow(ageing, bakery)
    assert set(held_by_store(ageing, archived).values()) == {True}


def test_what_two_people_have_just_released_is_not_held_again(
    ageing: Ageing, bakery: Tenant, operator: Catalogue
) -> None:
    """The store's holds go last: they stand still, and say nothing new."""
    archived = ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)
    follow(ageing, bakery)
    release(ageing, bakery, case_id)
    assert rebuild(ageing.store, ageing.house.vault, operator) == 0
    assert not on_hold(ageing, bakery, archived)
