"""A term is made longer, never shorter: the row at once, its key and the locks of the store after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import recordings, terms
from archive.catalogue.cases import BeingDestroyed
from archive.catalogue.engine import Catalogue
from archive.data_key import expiry_day, open_data_key
from archive.errors import Conflict, NotFound, Refused, StoreUnavailable
from archive.key_object import is_key_object
from archive.model import ArchivedRecording, RecordingState, Role, Tenant
from archive.rebuild import rebuild
from retention.terms import BATCH_RECORDINGS_MAX, Terms
from tests.unit.archive.sealed.conftest import empty
from tests.unit.retention.ageing import Ageing, Stubborn, auditor, objects_of
from tests.unit.retention.holding import Killed, assert_destroyed, hold, person

__all__ = ["empty"]


def lengthen(
    ageing: Ageing, archived: ArchivedRecording, days: float, scope: AccessScope | None = None
) -> datetime:
    """Keep a recording for so many days from now, as the portal does."""
    recording, now = archived.recording, ageing.house.clock.now()
    scope = scope or AccessScope(recording.tenant_id, "user:boss", Role.ADMINISTRATOR)
    until = (now + timedelta(days=days)).replace(microsecond=0)
    with ageing.portal.transaction(recording.tenant_id) as connection:
        terms.lengthen(connection, scope, recording.id, until, now=now)
    return until


def follow(ageing: Ageing, tenant: Tenant, recordings_max: int = BATCH_RECORDINGS_MAX) -> int:
    """Let store and keys follow; return how many wait still."""
    audit = AuditWriter(ageing.worker, "worker/terms")
    house = ageing.house
    following = Terms(ageing.store, lambda: house.vault, ageing.worker, audit, house.clock)
    return following.batch(tenant.id, recordings_max).remaining


def found(ageing: Ageing, archived: ArchivedRecording) -> ArchivedRecording:
    tenant_id = archived.recording.tenant_id
    scope = AccessScope(tenant_id, "user:auditor", Role.AUDITOR)
    return recordings.get(ageing.portal, scope, archived.recording.id)


def opens(ageing: Ageing, archived: ArchivedRecording) -> bool:
    now = found(ageing, archived)
    place = (archived.recording.tenant_id, archived.recording.id)
    return bool(open_data_key(ageing.house.vault, *place, now.kek_id, now.wrapped_key).key)


def test_l1_a_longer_term_moves_row_key_and_locks(ageing: Ageing, bakery: Tenant) -> None:
    """L1: the catalogue and the store say the same later moment, and nothing says an earlier one."""
    archived = ageing.archive(bakery)
    until = lengthen(ageing, archived, 365)
    assert found(ageing, archived).recording.retain_until == until
    assert terms.count_behind(ageing.worker, bakery.id) == 1
    assert follow(ageing, bakery) == 0
    assert found(ageing, archived).kek_id == f"{bakery.id}/{expiry_day(until)}/1"
    locks = {
        version.key: ageing.store.head(version.key, version.version_id).retain_until
        for version in ageing.store.versions(f"{bakery.id}/")
    }
    assert (len(locks), set(locks.values())) == (6, {until})
    assert sum(map(is_key_object, locks)) == 1
    assert opens(ageing, archived)


def test_r1_it_outlives_its_former_term_and_goes_at_the_later_one(ageing: Ageing, bakery: Tenant) -> None:
    archived, other = ageing.archive(bakery), ageing.archive(bakery)
    lengthen(ageing, archived, 365)
    follow(ageing, bakery)
    ageing.live(days=91)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, other)
    assert found(ageing, archived).recording.state is RecordingState.AVAILABLE
    assert opens(ageing, archived)
    ageing.live(days=275)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)


def test_it_is_kept_by_its_row_alone_until_the_job_was_there(ageing: Ageing, bakery: Tenant) -> None:
    """Whatever becomes of the key of its former day."""
    archived, other = ageing.archive(bakery), ageing.archive(bakery)
    lengthen(ageing, archived, 365)
    ageing.live(days=91)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, other)
    assert opens(ageing, archived)
    assert follow(ageing, bakery) == 0
    assert opens(ageing, archived)
    assert ageing.store.head(archived.objects[0].key, archived.objects[0].version_id).retain_until is not None


def test_c8_the_key_of_its_former_day_opens_nothing_once_it_is_destroyed(
    ageing: Ageing, bakery: Tenant
) -> None:
    """C8: a row of an old backup and the record in a copy of the bucket name the former key."""
    archived = ageing.archive(bakery)
    lengthen(ageing, archived, 365)
    follow(ageing, bakery)
    ageing.live(days=366)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)
    with pytest.raises(NotFound):
        open_data_key(
            ageing.house.vault, bakery.id, archived.recording.id, archived.kek_id, archived.wrapped_key
        )
    assert ageing.house.vault.ids(bakery.id) == ()


def test_never_shorter_and_not_without_end(ageing: Ageing, database: Any, bakery: Tenant) -> None:
    archived = ageing.archive(bakery)
    for days, why in ((89, "never shorter"), (90, "never shorter"), (365 * 31, "30 years")):
        with pytest.raises(Refused, match=why):
            lengthen(ageing, archived, days)
    with pytest.raises(Refused, match="administrators"):
        lengthen(ageing, archived, 365, person(bakery, "anna"))
    portal = database.connect("earwitness_portal", bakery.id)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="never made shorter"):
        portal.execute("UPDATE recordings SET retain_until = retain_until - interval '1 second'")


def test_of_another_tenant_in_quarantine_or_on_its_way_out_no_term_is_made_longer(
    ageing: Ageing, bakery: Tenant, florist: Tenant
) -> None:
    archived, unknown = ageing.archive(bakery), ageing.archive(bakery, state=RecordingState.QUARANTINED)
    with pytest.raises(NotFound):
        lengthen(ageing, archived, 365, AccessScope(florist.id, "user:boss", Role.ADMINISTRATOR))
    with pytest.raises((Conflict, NotFound)):
        lengthen(ageing, unknown, 365)
    ageing.live(days=91)

    def away(deleted: int) -> None:
        raise StoreUnavailable("away")

    ageing.store.before_delete = away
    with pytest.raises(StoreUnavailable):
        ageing.sweep().batch(bakery.id)
    with pytest.raises(BeingDestroyed, match="it began at 20"):
        lengthen(ageing, archived, 365)


@pytest.mark.parametrize("method", ["put", "lengthen", "head"])
def test_wherever_it_stops_a_second_run_ends_it(ageing: Ageing, bakery: Tenant, method: str) -> None:
    archived = ageing.archive(bakery)
    until = lengthen(ageing, archived, 365)

    def killed(self: Stubborn, *arguments: Any, **more: Any) -> Any:
        getattr(Stubborn, method)(self, *arguments, **more)
        raise Killed

    ageing.store.__class__ = type("Dying", (Stubborn,), {method: killed})
    with pytest.raises(Killed):
        follow(ageing, bakery)
    ageing.store.__class__ = Stubborn
    assert follow(ageing, bakery) == 0
    assert opens(ageing, archived)
    assert ageing.store.head(archived.objects[0].key, archived.objects[0].version_id).retain_until == until
    assert len(objects_of(ageing.store, bakery, archived.recording.id)) == 6


def test_a_held_recording_has_its_new_key_held(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery)
    hold(ageing, bakery, archived)
    lengthen(ageing, archived, 365)
    follow(ageing, bakery)
    [key] = [version for version in ageing.store.versions(f"{bakery.id}/") if is_key_object(version.key)]
    assert ageing.store.legal_hold(key.key, key.version_id)


def test_a_longer_term_outlives_the_loss_of_the_database(
    ageing: Ageing, bakery: Tenant, empty: Callable[[str], Catalogue]
) -> None:
    archived = ageing.archive(bakery)
    until = lengthen(ageing, archived, 365)
    follow(ageing, bakery)
    assert rebuild(ageing.store, ageing.house.vault, empty("earwitness_operator")) == 1
    after = dataclasses.replace(ageing, worker=empty("earwitness_worker"), portal=empty("earwitness_portal"))
    back = recordings.get(after.portal, auditor(bakery), archived.recording.id)
    assert back.recording.retain_until == until.astimezone(UTC)
    assert opens(after, archived)
