"""What two people let go before its term waits in the trash, and can be put back; never longer than its term."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from archive.access import AccessScope, Scope
from archive.approval import LIFE
from archive.catalogue import destructions, legal_duties, policies, terms, trash
from archive.catalogue.cases import BeingDestroyed
from archive.catalogue.engine import Catalogue
from archive.catalogue.trash import Trashed
from archive.errors import NotFound, Refused
from archive.model import TRASH_DAYS_DEFAULT, TRASH_DAYS_MAX, ArchivedRecording, RecordingState, Tenant
from retention.destruction import ACTOR
from tests.running_service import eventually
from tests.unit.retention.ageing import Ageing, auditor
from tests.unit.retention.holding import assert_destroyed, assert_held_and_whole, hold, release
from tests.unit.retention.test_early_destruction import approve, people, propose, state_of

WINDOW = timedelta(days=TRASH_DAYS_DEFAULT)


def in_trash(ageing: Ageing, ada: AccessScope, limit: int = 50) -> tuple[Trashed, ...]:
    found, _ = trash.page(ageing.portal, ada, limit=limit, cursor=None, now=ageing.house.clock.now())
    return found


def put_back(ageing: Ageing, scope: AccessScope, archived: ArchivedRecording) -> None:
    with ageing.portal.transaction(scope.tenant_id) as connection:
        trash.put_back(connection, scope, archived.recording.id, now=ageing.house.clock.now())


def trashed(ageing: Ageing, ada: AccessScope, otto: AccessScope, days: float = 2000) -> ArchivedRecording:
    archived = ageing.archive(Tenant(ada.tenant_id, "", ""), days=days)
    approve(ageing, otto, propose(ageing, ada, archived, at_once=False))
    return archived


def test_it_waits_for_its_window_to_the_second_and_only_then_there_is_a_certificate(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    ada, otto = people(ageing, operator, bakery)
    archived = trashed(ageing, ada, otto)
    (waiting,) = in_trash(ageing, ada)
    assert (waiting.recording_id, waiting.reason) == (archived.recording.id, "Erasure")
    assert waiting.until == ageing.house.clock.now() + WINDOW
    assert (waiting.proposed_by, waiting.approved_by) == (ada.actor, otto.actor)
    ageing.live(seconds=WINDOW.total_seconds() - 1)
    ageing.sweep().batch(bakery.id)
    assert state_of(ageing, bakery, archived) is RecordingState.AVAILABLE
    with pytest.raises(NotFound):
        destructions.certificate_of(ageing.portal, auditor(bakery), archived.recording.id)
    ageing.live(seconds=1)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)
    destruction, signed = destructions.certificate_of(ageing.portal, auditor(bakery), archived.recording.id)
    assert json.loads(signed.statement)["approvedProposal"] == waiting.proposal_id == destruction.proposal_id
    assert in_trash(ageing, ada) == ()


def test_what_was_put_back_is_kept_and_its_approval_is_worth_nothing_more(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    ada, otto = people(ageing, operator, bakery)
    archived = trashed(ageing, ada, otto)
    with pytest.raises(Refused, match="administrators"):
        put_back(ageing, otto, archived)
    put_back(ageing, ada, archived)
    assert in_trash(ageing, ada) == ()
    ageing.live(days=TRASH_DAYS_DEFAULT + 1)
    ageing.sweep().batch(bakery.id)
    assert state_of(ageing, bakery, archived) is RecordingState.AVAILABLE
    with pytest.raises(NotFound):
        put_back(ageing, ada, archived)
    approve(ageing, otto, propose(ageing, ada, archived, at_once=False))
    assert len(in_trash(ageing, ada)) == 1, "it can be let go once more"


def test_what_is_kept_for_longer_since_waits_in_the_trash_no_more(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    """Who asks that it is kept has the last word, and the lock of the new term is no reason to go round it."""
    ada, otto = people(ageing, operator, bakery)
    archived = trashed(ageing, ada, otto)
    until = ageing.house.clock.now() + timedelta(days=3000)
    with ageing.portal.transaction(bakery.id) as connection:
        now = ageing.house.clock.now()
        was = terms.lengthen(connection, ada, archived.recording.id, until, now=now)
    assert was == terms.Lengthened(archived.recording.retain_until, out_of_trash=True)
    assert in_trash(ageing, ada) == ()
    ageing.live(seconds=WINDOW.total_seconds())
    ageing.sweep().batch(bakery.id)
    assert state_of(ageing, bakery, archived) is RecordingState.AVAILABLE


def test_a_duty_that_was_registered_since_keeps_what_is_in_the_trash(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    ada, otto = people(ageing, operator, bakery)
    archived = trashed(ageing, ada, otto)
    with operator.transaction(bakery.id) as connection:
        classes = {archived.recording.retention_class}
        legal_duties.register(
            connection, bakery.id, "Wft 4:90e", classes, "operator:1", ageing.house.clock.now()
        )
    ageing.live(seconds=WINDOW.total_seconds())
    ageing.sweep().batch(bakery.id)
    assert state_of(ageing, bakery, archived) is RecordingState.AVAILABLE


def test_who_puts_it_back_while_a_sweep_waits_for_its_row_is_believed(
    ageing: Ageing, operator: Catalogue, bakery: Tenant, database: Any
) -> None:
    """The sweep looked for what is due before it was put back, and goes on afterwards."""
    ada, otto = people(ageing, operator, bakery)
    archived = trashed(ageing, ada, otto)
    ageing.live(seconds=WINDOW.total_seconds())
    now = ageing.house.clock.now()

    def claims() -> object:
        with ageing.worker.transaction(bakery.id) as connection:
            return destructions.claim(
                connection, bakery.id, archived.recording.id, claim="one", until=now, now=now
            )

    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as pool:
        with ageing.portal.transaction(bakery.id) as connection:
            trash.put_back(connection, ada, archived.recording.id, now=now)
            claimed = pool.submit(claims)
            eventually(lambda: database.connect().execute(waiting).fetchone()[0] > 0, "the sweep waits")
        assert claimed.result() is None
    assert state_of(ageing, bakery, archived) is RecordingState.AVAILABLE


def test_it_never_waits_longer_than_its_own_term(ageing: Ageing, operator: Catalogue, bakery: Tenant) -> None:
    ada, otto = people(ageing, operator, bakery)
    archived = trashed(ageing, ada, otto, days=2)
    (waiting,) = in_trash(ageing, ada)
    assert waiting.until == archived.recording.retain_until
    ageing.live(days=2)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)
    destruction, _ = destructions.certificate_of(ageing.portal, auditor(bakery), archived.recording.id)
    assert destruction.proposal_id is None, "it was over: nobody's word was needed"


def test_the_tenant_sets_the_window_and_a_later_change_moves_nothing(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    ada, otto = people(ageing, operator, bakery)
    policies.set_policy(operator, bakery.id, trash_days=TRASH_DAYS_MAX)
    long = trashed(ageing, ada, otto)
    policies.set_policy(operator, bakery.id, trash_days=0)
    (waiting,) = in_trash(ageing, ada)
    assert waiting.until == ageing.house.clock.now() + timedelta(days=TRASH_DAYS_MAX)
    short = trashed(ageing, ada, otto)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, short)
    assert state_of(ageing, bakery, long) is RecordingState.AVAILABLE
    for days in (-1, TRASH_DAYS_MAX + 1):
        with pytest.raises(Refused, match="trash"):
            policies.set_policy(operator, bakery.id, trash_days=days)


def test_a_hold_keeps_what_is_in_the_trash_and_the_approval_is_over_a_week_behind_the_window(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    ada, otto = people(ageing, operator, bakery)
    first, second = trashed(ageing, ada, otto), trashed(ageing, ada, otto)
    cases = [hold(ageing, bakery, each) for each in (first, second)]
    ageing.live(seconds=WINDOW.total_seconds())
    ageing.sweep().batch(bakery.id)
    for each in (first, second):
        assert_held_and_whole(ageing, bakery, each)
    assert [each.on_hold for each in in_trash(ageing, ada)] == [True, True]
    release(ageing, bakery, cases[0])
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, first)
    ageing.live(seconds=LIFE.total_seconds())
    release(ageing, bakery, cases[1])
    ageing.sweep().batch(bakery.id)
    assert state_of(ageing, bakery, second) is RecordingState.AVAILABLE
    assert in_trash(ageing, ada) == ()


def test_what_is_being_destroyed_is_not_put_back(ageing: Ageing, operator: Catalogue, bakery: Tenant) -> None:
    ada, otto = people(ageing, operator, bakery)
    archived = trashed(ageing, ada, otto)
    ageing.live(seconds=WINDOW.total_seconds())
    sweep = ageing.sweep()
    now = ageing.house.clock.now()
    with ageing.worker.transaction(bakery.id) as connection:
        claimed = destructions.claim(
            connection, bakery.id, archived.recording.id, claim=ACTOR, until=now, now=now
        )
    assert claimed is not None
    with pytest.raises(BeingDestroyed):
        put_back(ageing, ada, archived)
    ageing.live(minutes=destructions.CLAIM_MINUTES)
    sweep.batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)


def test_a_row_in_the_trash_alone_is_no_right_to_destroy(
    ageing: Ageing, operator: Catalogue, database: Any, bakery: Tenant
) -> None:
    """Neither of a proposal nobody approved, nor of one about something else."""
    ada, otto = people(ageing, operator, bakery)
    other = trashed(ageing, ada, otto)
    archived = ageing.archive(bakery, days=2000)
    waiting = propose(ageing, ada, archived)
    (approved,) = in_trash(ageing, ada)
    for proposal_id in (waiting.id, approved.proposal_id):
        database.connect().execute(
            "INSERT INTO trash VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (recording_id) DO UPDATE SET proposal_id = EXCLUDED.proposal_id",
            (archived.recording.id, bakery.id, proposal_id, *[ageing.house.clock.now()] * 2),
        )
        ageing.sweep().batch(bakery.id)
        assert state_of(ageing, bakery, archived) is RecordingState.AVAILABLE
    assert state_of(ageing, bakery, other) is RecordingState.AVAILABLE


def test_the_trash_of_one_tenant_is_shown_and_put_back_by_no_other(
    ageing: Ageing, operator: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    ada, otto = people(ageing, operator, bakery)
    archived = trashed(ageing, ada, otto)
    theirs, _ = people(ageing, operator, florist)
    assert in_trash(ageing, theirs) == ()
    with pytest.raises(NotFound):
        put_back(ageing, theirs, archived)
    program = AccessScope(bakery.id, "api-client:x", scopes=frozenset({Scope.RECORDINGS_READ}))
    with pytest.raises(Refused):
        in_trash(ageing, program)


def test_what_goes_first_is_shown_first_page_by_page(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    ada, otto = people(ageing, operator, bakery)
    made = []
    for _ in range(3):
        made.append(trashed(ageing, ada, otto).recording.id)
        ageing.live(hours=1)
    now, seen, cursor = ageing.house.clock.now(), [], None
    while True:
        found, cursor = trash.page(ageing.portal, ada, limit=2, cursor=cursor, now=now)
        seen += [each.recording_id for each in found]
        if cursor is None:
            break
    assert seen == made
    for limit in (0, trash.PAGE_ROWS_MAX + 1):
        with pytest.raises(Refused):
            in_trash(ageing, ada, limit)
