"""A lock or hold that somebody took off in the store is found by the scrub, and put back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from archive.audit import AuditWriter
from archive.catalogue import scrubs, store_holds, terms
from archive.catalogue.audit_entries import of_object
from archive.catalogue.store_locks import LETTING_GO, LOOSENED, SHORTENED, UNLOCKED
from archive.errors import Refused, StoreUnavailable
from archive.key_object import is_key_object
from archive.model import ArchivedRecording, Tenant
from archive.rewrap import Rewrapping
from archive.store.object import COMPLIANCE, GOVERNANCE
from retention.case_copies import CaseCopies
from retention.scrub import INTERVAL, Finding, PackageFinding, Scrub
from retention.store_holds import StoreHolds
from tests.unit.retention.ageing import Ageing
from tests.unit.retention.holding import hold, release
from tests.unit.retention.test_terms import follow, lengthen

DAYS = 2000


def scrub_of(ageing: Ageing) -> Scrub:
    return Scrub(ageing.store, ageing.worker, AuditWriter(ageing.worker, "worker/scrub"), ageing.house.clock)


def found(ageing: Ageing, tenant: Tenant) -> list[tuple[str, str]]:
    """Read everything again a month later; return what is wrong."""
    ageing.live(days=INTERVAL.days)
    findings = scrub_of(ageing).batch(tenant.id, None).findings
    return [
        (each.kind, each.what) if isinstance(each, Finding) else (each.part, each.what) for each in findings
    ]


def follow_holds(ageing: Ageing, tenant: Tenant) -> None:
    """Let the store's holds, and the copies of cases, follow."""
    house, audit = ageing.house, AuditWriter(ageing.worker, "worker/cases")
    StoreHolds(ageing.store, ageing.worker, house.clock).batch(tenant.id)
    CaseCopies(ageing.store, lambda: house.vault, ageing.worker, audit, house.clock).batch(tenant.id)


def unlock(store: Any, archived: ArchivedRecording) -> None:
    stored = archived.objects[0]
    store.loosen(stored.key, stored.version_id, None, None)


def shorten(store: Any, archived: ArchivedRecording) -> None:
    stored = archived.objects[0]
    until = archived.recording.retain_until - timedelta(seconds=1)
    store.loosen(stored.key, stored.version_id, until, GOVERNANCE)


def lose(store: Any, archived: ArchivedRecording) -> None:
    stored = archived.objects[1]
    store.loosen(stored.key, stored.version_id, None, None)
    store.delete(stored.key, stored.version_id)


def put_out_of_reach(store: Any, archived: ArchivedRecording) -> None:
    """Let the store refuse each longer lock on one object of it."""
    stored, lengthen = archived.objects[1], store.lengthen
    store.loosen(stored.key, stored.version_id, None, None)

    def refuse(key: str, *args: Any) -> None:
        if key == stored.key:
            raise Refused("It stays as it is.")
        lengthen(key, *args)

    store.lengthen = refuse


@pytest.mark.parametrize(("harm", "what"), [(unlock, UNLOCKED), (shorten, SHORTENED)])
def test_a_lock_that_was_taken_off_or_shortened_is_found_put_back_and_told_as_mended(
    ageing: Ageing, bakery: Tenant, harm: Callable[[Any, ArchivedRecording], None], what: str
) -> None:
    """By the job that follows terms: the store has the lock again, under the date of the row."""
    archived, _ = ageing.archive(bakery, days=DAYS), ageing.archive(bakery, days=DAYS)
    assert found(ageing, bakery) == []
    assert terms.count_behind(ageing.worker, bakery.id) == 0
    harm(ageing.store, archived)
    assert found(ageing, bakery) == [("audio", what)]
    assert [each.damage.what for each in scrubs.findings(ageing.portal, bakery.id)] == [what]
    assert terms.count_behind(ageing.worker, bakery.id) == 1
    scrub = scrub_of(ageing)
    assert len(scrub.batch(bakery.id, None).findings) == 1, "it stands until it is put back"
    assert follow(ageing, bakery) == 0
    stored = archived.objects[0]
    facts = ageing.store.head(stored.key, stored.version_id)
    assert (facts.mode, facts.retain_until) == (GOVERNANCE, archived.recording.retain_until)
    assert scrub.batch(bakery.id, None).findings == ()
    assert scrubs.findings(ageing.portal, bakery.id) == []
    entries = of_object(ageing.portal, bakery.id, f"recording:{archived.recording.id}")[-2:]
    assert [(each.action, each.result) for each in entries] == [
        ("object.damaged", "failed"),
        ("object.mended", "ok"),
    ]
    assert [each.body for each in entries] == [{"kind": "audio", "finding": what}] * 2


@pytest.mark.parametrize("harm", [lose, put_out_of_reach])
def test_a_recording_that_is_damaged_keeps_no_other_from_its_lock(
    ageing: Ageing, bakery: Tenant, harm: Callable[[Any, ArchivedRecording], None]
) -> None:
    """Whoever has the bucket's keys would only have to damage the first one."""
    both = (ageing.archive(bakery, days=DAYS) for _ in range(2))
    first, second = sorted(both, key=lambda each: each.recording.id)
    for each in (first, second):
        unlock(ageing.store, each)
    harm(ageing.store, first)
    assert ("audio", UNLOCKED) in found(ageing, bakery)
    assert terms.count_behind(ageing.worker, bakery.id) == 2
    with suppress(StoreUnavailable):
        follow(ageing, bakery)
    stored = second.objects[0]
    assert ageing.store.head(stored.key, stored.version_id).retain_until == second.recording.retain_until
    stored = first.objects[0]
    assert ageing.store.head(stored.key, stored.version_id).retain_until is not None


def test_many_that_are_damaged_keep_none_waiting_behind_them(ageing: Ageing, bakery: Tenant) -> None:
    """Not even where more fail every time than one batch takes."""
    several = [ageing.archive(bakery, days=DAYS) for _ in range(3)]
    *damaged, last = sorted(several, key=lambda each: each.recording.id)
    unlock(ageing.store, last)
    for each in damaged:
        put_out_of_reach(ageing.store, each)
    found(ageing, bakery)
    stored = last.objects[0]
    for _ in range(60):
        with suppress(StoreUnavailable):
            follow(ageing, bakery, recordings_max=1)
        if ageing.store.head(stored.key, stored.version_id).retain_until is not None:
            return
    pytest.fail("it never had its turn")


def test_a_hold_that_was_taken_off_is_found_and_put_back(ageing: Ageing, bakery: Tenant) -> None:
    """Of the copy of its case as well, which is written anew."""
    archived = ageing.archive(bakery, days=DAYS)
    case_id = hold(ageing, bakery, archived)
    follow_holds(ageing, bakery)
    assert found(ageing, bakery) == []
    stored = archived.objects[-1]
    ageing.store.set_legal_hold(stored.key, stored.version_id, held=False)
    [copy] = ageing.store.versions(f"{bakery.id}/cases/")
    ageing.store.set_legal_hold(copy.key, copy.version_id, held=False)
    ageing.live(days=INTERVAL.days)
    assert set(scrub_of(ageing).batch(bakery.id, None).findings) == {
        Finding(archived.recording.id, "record", LETTING_GO),
        PackageFinding(f"case:{case_id}", "copy", LETTING_GO),
    }
    assert store_holds.count_waiting(ageing.worker, bakery.id) == 1
    follow_holds(ageing, bakery)
    assert ageing.store.legal_hold(stored.key, stored.version_id)
    [copy] = ageing.store.versions(f"{bakery.id}/cases/")
    assert ageing.store.legal_hold(copy.key, copy.version_id)
    assert scrub_of(ageing).batch(bakery.id, None).findings == ()


def test_the_lock_and_hold_of_a_key_that_was_wrapped_anew_are_looked_after_too(
    ageing: Ageing, bakery: Tenant
) -> None:
    """Without it the bucket alone would not open the recording."""
    archived, house = ageing.archive(bakery, days=DAYS), ageing.house
    rewrapping = Rewrapping(
        ageing.store, house.vault, ageing.worker, AuditWriter(ageing.worker, "worker/keys"), house.clock
    )
    rewrapping.supersede(bakery.id, archived.kek_id, actor="operator:0", reason="rotation")
    hold(ageing, bakery, archived)
    follow_holds(ageing, bakery)
    assert found(ageing, bakery) == []
    [key] = [each for each in ageing.store.versions(f"{bakery.id}/") if is_key_object(each.key)]
    ageing.store.loosen(key.key, key.version_id, None, None)
    ageing.store.set_legal_hold(key.key, key.version_id, held=False)
    assert found(ageing, bakery) == [("key", LETTING_GO), ("key", UNLOCKED)]
    follow(ageing, bakery)
    follow_holds(ageing, bakery)
    assert scrub_of(ageing).batch(bakery.id, None).findings == ()
    assert ageing.store.head(key.key, key.version_id).retain_until == archived.recording.retain_until


def test_what_is_yet_to_follow_or_is_over_is_no_finding(ageing: Ageing, bakery: Tenant) -> None:
    """A longer term before its job was there, a hold before the store's, a released case, a term that ended."""
    longer, held, let_go, over = (ageing.archive(bakery, days=DAYS) for _ in range(4))
    case_id = hold(ageing, bakery, let_go)
    follow_holds(ageing, bakery)
    lengthen(ageing, longer, DAYS + 1)
    hold(ageing, bakery, held)
    release(ageing, bakery, case_id)
    for stored in let_go.objects:
        ageing.store.set_legal_hold(stored.key, stored.version_id, held=False)
    unlock(ageing.store, over)
    ageing.house.clock.moment = over.recording.retain_until - INTERVAL
    assert found(ageing, bakery) == []


def test_what_moves_while_it_is_read_is_no_finding(ageing: Ageing, bakery: Tenant) -> None:
    """The case is released and the store's holds are off between two requests."""
    archived = ageing.archive(bakery, days=DAYS)
    case_id = hold(ageing, bakery, archived)
    follow_holds(ageing, bakery)
    ageing.live(days=INTERVAL.days)
    scrub, head = scrub_of(ageing), ageing.store.head

    def late(key: str, version_id: str) -> Any:
        if not key.endswith("/audio"):
            return head(key, version_id)
        ageing.store.head = head  # type: ignore[method-assign]
        release(ageing, bakery, case_id)
        follow_holds(ageing, bakery)
        return head(key, version_id)

    ageing.store.head = late  # type: ignore[method-assign]
    assert scrub.batch(bakery.id, None).findings == ()
    assert not ageing.store.legal_hold(archived.objects[0].key, archived.objects[0].version_id)


def test_a_lock_nobody_may_take_back_that_was_made_looser_is_found_and_firm_again(
    ageing: Ageing, bakery: Tenant
) -> None:
    """What was seen under COMPLIANCE once stays so, though nothing says so any more why it was."""
    archived = ageing.archive(bakery, days=DAYS)
    until = archived.recording.retain_until
    for stored in archived.objects:
        ageing.store.lengthen(stored.key, stored.version_id, until, COMPLIANCE)
    assert found(ageing, bakery) == []
    stored = archived.objects[0]
    ageing.store.loosen(stored.key, stored.version_id, until, GOVERNANCE)
    assert found(ageing, bakery) == [("audio", LOOSENED)]
    follow(ageing, bakery)
    assert ageing.store.head(stored.key, stored.version_id).mode == COMPLIANCE
    assert found(ageing, bakery) == []


def test_one_request_an_object_and_none_while_nothing_is_read(ageing: Ageing, bakery: Tenant) -> None:
    """A store without locks is asked for none."""
    ageing.archive(bakery, days=DAYS)
    asked: list[str] = []
    head = ageing.store.head

    def counted(key: str, version_id: str) -> Any:
        asked.append(key)
        return head(key, version_id)

    ageing.store.head = counted  # type: ignore[method-assign]
    scrub_of(ageing).batch(bakery.id, None)
    assert len(asked) == len(set(asked)) == 5
    scrub_of(ageing).batch(bakery.id, None)
    assert len(asked) == 5
    ageing.store._lock = False
    ageing.live(days=INTERVAL.days)
    assert scrub_of(ageing).batch(bakery.id, None).objects == 5
    assert len(asked) == 5
