"""What two people let go before its term is destroyed as what expired is; a hold is stronger, at every moment."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import psycopg
import pytest

from archive.access import AccessScope
from archive.approval import LIFE, Event, Kind, Proposal, State, Wanted
from archive.audit import AuditWriter
from archive.catalogue import approved, destructions, directory, keks, legal_duties, proposals, recordings
from archive.catalogue.audit_entries import of_object
from archive.catalogue.engine import Catalogue
from archive.errors import Conflict
from archive.model import ArchivedRecording, RecordingState, Role, Tenant
from archive.store.memory import MemoryStore
from archive.store.object import COMPLIANCE
from retention.proposals import end_over
from tests.unit.retention.ageing import Ageing, auditor, objects_of
from tests.unit.retention.holding import assert_destroyed, assert_held_and_whole, hold, release
from tests.unit.retention.test_terms import follow, lengthen


def people(ageing: Ageing, operator: Catalogue, tenant: Tenant) -> tuple[AccessScope, AccessScope]:
    """Return an administrator and an auditor, who were there for long."""
    now = ageing.house.clock.now()
    made = [
        directory.add_user(operator, tenant.id, login, now=now, role=role)
        for login, role in (("ada", Role.ADMINISTRATOR), ("otto", Role.AUDITOR))
    ]
    ada, otto = (AccessScope(tenant.id, f"user:{each.id}", each.role, each.id) for each in made)
    return ada, otto


def approve(ageing: Ageing, scope: AccessScope, made: Proposal) -> Proposal:
    now = ageing.house.clock.now()
    with ageing.portal.transaction(scope.tenant_id) as connection:
        decided = proposals.decide(connection, scope, made.id, Event.APPROVE, now=now)
        approved.carry_out(connection, decided, now=now)
    return decided


def propose(
    ageing: Ageing, scope: AccessScope, archived: ArchivedRecording, *, at_once: bool = True
) -> Proposal:
    """Propose an erasure the law asks for; or else what may wait in the trash."""
    now, recording = ageing.house.clock.now(), archived.recording
    how = {"atOnce": at_once}
    wanted = Wanted(Kind.EARLY_DESTRUCTION, f"recording:{recording.id}", how, reason="Erasure")
    with ageing.portal.transaction(scope.tenant_id) as connection:
        approved.require_destroyable(connection, scope.tenant_id, recording.id)
        return proposals.propose(connection, scope, wanted, now=now)


def state_of(ageing: Ageing, tenant: Tenant, archived: ArchivedRecording) -> RecordingState:
    return recordings.get(ageing.portal, auditor(tenant), archived.recording.id).recording.state


def test_what_two_people_approved_goes_under_a_lock_and_its_key_with_it(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    """Objects under a lock of GOVERNANCE, the data key, and a certificate that names the proposal; no sibling."""
    ada, otto = people(ageing, operator, bakery)
    gone, stays = ageing.archive(bakery, days=2000), ageing.archive(bakery, days=2000)
    made = propose(ageing, ada, gone)
    ageing.sweep().batch(bakery.id)
    assert state_of(ageing, bakery, gone) is RecordingState.AVAILABLE
    approve(ageing, otto, made)
    assert ageing.sweep().batch(bakery.id).destroyed == 1
    assert_destroyed(ageing, bakery, gone)
    destruction, signed = destructions.certificate_of(ageing.portal, auditor(bakery), gone.recording.id)
    statement = json.loads(signed.statement)
    assert (destruction.proposal_id, statement["approvedProposal"]) == (made.id, made.id)
    assert statement["destroyedAt"] < statement["retainUntil"]
    assert state_of(ageing, bakery, stays) is RecordingState.AVAILABLE
    assert keks.key_of(ageing.portal, bakery.id, stays.recording.id).kek_id != gone.kek_id
    assert gone.kek_id not in keks.used(ageing.portal, bakery.id)


def test_a_hold_after_the_approval_keeps_it_and_the_approval_is_over_in_a_week(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    ada, otto = people(ageing, operator, bakery)
    archived = ageing.archive(bakery, days=2000)
    approve(ageing, otto, propose(ageing, ada, archived))
    case_id = hold(ageing, bakery, archived)
    ageing.sweep().batch(bakery.id)
    assert_held_and_whole(ageing, bakery, archived)
    ageing.live(seconds=LIFE.total_seconds() + 1)
    release(ageing, bakery, case_id)
    ageing.sweep().batch(bakery.id)
    assert state_of(ageing, bakery, archived) is RecordingState.AVAILABLE


def test_a_hold_between_proposal_and_approval_is_a_conflict_and_nothing_is_approved(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    ada, otto = people(ageing, operator, bakery)
    archived = ageing.archive(bakery, days=2000)
    made = propose(ageing, ada, archived)
    hold(ageing, bakery, archived)
    with pytest.raises(Conflict, match="hold"):
        approve(ageing, otto, made)
    assert proposals.get(ageing.portal, otto, made.id).state is State.WAITING
    ageing.sweep().batch(bakery.id)
    assert_held_and_whole(ageing, bakery, archived)
    with pytest.raises(Conflict, match="hold"):
        propose(ageing, ada, archived)


def test_what_is_over_anyway_needs_nobodys_word(ageing: Ageing, operator: Catalogue, bakery: Tenant) -> None:
    ada, otto = people(ageing, operator, bakery)
    archived = ageing.archive(bakery, days=1)
    approve(ageing, otto, propose(ageing, ada, archived))
    ageing.live(days=2)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)
    destruction, _ = destructions.certificate_of(ageing.portal, auditor(bakery), archived.recording.id)
    assert destruction.proposal_id is None


def test_the_approval_of_one_tenant_destroys_nothing_of_another(
    ageing: Ageing, operator: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    ada, otto = people(ageing, operator, bakery)
    approve(ageing, otto, propose(ageing, ada, ageing.archive(bakery, days=2000)))
    theirs = ageing.archive(florist, days=2000)
    ageing.sweep().batch(florist.id)
    assert state_of(ageing, florist, theirs) is RecordingState.AVAILABLE


def key_proposal(ageing: Ageing, operator: Catalogue, tenant: Tenant, day: str, now: datetime) -> Proposal:
    wanted = Wanted(Kind.KEY_DESTRUCTION, f"kek:{tenant.id}/{day}", {"day": day}, "Leaving")
    with operator.transaction(tenant.id) as connection:
        return proposals.propose_as_operator(connection, tenant.id, "operator:0", wanted, now=now)


def test_the_keys_of_a_day_go_with_all_that_hung_from_them_by_operator_and_tenant(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    """And no key of another day."""
    _ada, otto = people(ageing, operator, bakery)
    first, second = (ageing.archive(bakery, days=2000) for _ in range(2))
    other = ageing.archive(bakery, days=2001)
    _, day, _ = first.kek_id.split("/")
    made = key_proposal(ageing, operator, bakery, day, ageing.house.clock.now())
    approve(ageing, otto, made)
    ageing.sweep().batch(bakery.id)
    for each in (first, second):
        assert_destroyed(ageing, bakery, each)
    assert first.kek_id not in keks.used(ageing.portal, bakery.id)
    assert keks.unfinished(ageing.portal, bakery.id) == ()
    assert state_of(ageing, bakery, other) is RecordingState.AVAILABLE


def test_what_comes_to_the_day_of_approved_keys_afterwards_is_not_meant(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    """Somebody made it to be kept until that very day; or it was archived late."""
    _ada, otto = people(ageing, operator, bakery)
    meant, longer = ageing.archive(bakery, days=2000), ageing.archive(bakery, days=1000)
    _, day, _ = meant.kek_id.split("/")
    made = key_proposal(ageing, operator, bakery, day, ageing.house.clock.now())
    approve(ageing, otto, made)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, meant)
    lengthen(ageing, longer, days=2000)
    assert follow(ageing, bakery) == 0
    late = ageing.archive(bakery, days=2000)
    moved = recordings.get(ageing.portal, auditor(bakery), longer.recording.id)
    assert {moved.kek_id.split("/")[1], late.kek_id.split("/")[1]} == {day}
    ageing.sweep().batch(bakery.id)
    for each in (longer, late):
        assert state_of(ageing, bakery, each) is RecordingState.AVAILABLE


def test_keys_of_what_is_held_are_not_destroyed(ageing: Ageing, operator: Catalogue, bakery: Tenant) -> None:
    _ada, otto = people(ageing, operator, bakery)
    held, free = (ageing.archive(bakery, days=2000) for _ in range(2))
    made = key_proposal(ageing, operator, bakery, held.kek_id.split("/")[1], ageing.house.clock.now())
    hold(ageing, bakery, held)
    with pytest.raises(Conflict, match="on hold"):
        approve(ageing, otto, made)
    ageing.sweep().batch(bakery.id)
    assert_held_and_whole(ageing, bakery, held)
    assert state_of(ageing, bakery, free) is RecordingState.AVAILABLE


def test_a_lock_of_compliance_is_stronger_than_two_people(
    ageing: Ageing, operator: Catalogue, bakery: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store refuses the first deletion: the recording is given back whole."""
    plain = MemoryStore.put

    def put(self: MemoryStore, *arguments: object, sha256: str) -> str:
        key, data, until, *_ = arguments
        return plain(self, key, data, until, COMPLIANCE, sha256=sha256)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryStore, "put", put)
    ada, otto = people(ageing, operator, bakery)
    archived = ageing.archive(bakery, days=2000)
    approve(ageing, otto, propose(ageing, ada, archived))
    assert ageing.sweep().batch(bakery.id).destroyed == 0
    assert state_of(ageing, bakery, archived) is RecordingState.AVAILABLE
    assert {item.key for item in archived.objects} <= set(
        objects_of(ageing.store, bakery, archived.recording.id)
    )


def test_a_class_with_a_registered_duty_is_kept_by_nobodys_word(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    """Neither alone nor with the keys of its day."""
    ada, otto = people(ageing, operator, bakery)
    archived = ageing.archive(bakery, days=2000)
    now = ageing.house.clock.now()
    made = propose(ageing, ada, archived)
    keys_made = key_proposal(ageing, operator, bakery, archived.kek_id.split("/")[1], now)
    classes = [archived.recording.retention_class]
    with operator.transaction(bakery.id) as connection:
        legal_duties.register(connection, bakery.id, "Wft 4:23", classes, "operator:0", now)
    for each in (made, keys_made):
        with pytest.raises(Conflict, match="duty"):
            approve(ageing, otto, each)
    ageing.sweep().batch(bakery.id)
    assert state_of(ageing, bakery, archived) is RecordingState.AVAILABLE


def test_what_nobody_decided_on_is_ended_by_the_clock_with_an_entry(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    ada, otto = people(ageing, operator, bakery)
    made = propose(ageing, ada, ageing.archive(bakery, days=2000))
    audit = AuditWriter(ageing.worker, "worker/one")
    assert end_over(audit, ageing.house.clock, bakery.id) == 0
    ageing.live(seconds=LIFE.total_seconds())
    assert end_over(audit, ageing.house.clock, bakery.id) == 1
    assert end_over(audit, ageing.house.clock, bakery.id) == 0
    assert proposals.get(ageing.portal, otto, made.id).state is State.EXPIRED
    (entry,) = of_object(ageing.portal, bakery.id, f"proposal:{made.id}")
    assert (entry.action, entry.actor) == ("proposal.expired", "service:clock")


def test_the_database_itself_lets_nobody_approve_alone_or_decide_twice(
    ageing: Ageing, operator: Catalogue, database: Any, bakery: Tenant
) -> None:
    ada, otto = people(ageing, operator, bakery)
    made = propose(ageing, ada, ageing.archive(bakery, days=2000))
    portal = database.connect("earwitness_portal", bakery.id)
    decide = "UPDATE proposals SET state = 'approved', decided_at = now(), decided_by = %s"
    for actor in (ada.actor, "api-client:1", "operator:0"):
        with pytest.raises(psycopg.errors.CheckViolation):
            portal.execute(decide, (actor,))
    approve(ageing, otto, made)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="decided on once"):
        portal.execute(decide, ("user:x",))
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
        portal.execute("DELETE FROM proposals")
