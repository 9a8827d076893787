"""A restored database is that of yesterday: nothing kept since goes by it, nothing ended since opens by it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from archive.access import Scope
from archive.approval import Event, Kind, Wanted
from archive.backup.making import Backup
from archive.backup.restoring import Restored
from archive.backup.taking_away import TakenAway
from archive.catalogue import (
    accounts,
    approved,
    invitations,
    portal_sessions,
    proposals,
    restores,
    shares,
    terms,
)
from archive.catalogue.engine import Catalogue
from archive.catalogue.identities import Account
from archive.catalogue.portal_sessions import Stage
from archive.catalogue.retention_figures import Figure
from archive.model import TRASH_DAYS_DEFAULT, RecordingState, Tenant, UserId
from archive.rebuild import rebuild
from retention.due_time import NotRebuilt
from retention.figures import Figures
from retention.terms import Terms
from tests.unit.archive.sealed.backups import administrator_url, back_up, out, root, vault
from tests.unit.archive.sealed.test_restoring import catalogue, restore, target
from tests.unit.retention.ageing import Ageing
from tests.unit.retention.holding import assert_destroyed, hold, on_hold
from tests.unit.retention.test_case_copies import copies
from tests.unit.retention.test_early_destruction import approve, people, propose, state_of

__all__ = ["administrator_url", "back_up", "catalogue", "out", "restore", "root", "target", "vault"]

Restoring = Callable[[Backup], Ageing]


@pytest.fixture
def restored(
    ageing: Ageing, restore: Callable[..., Restored], catalogue: Callable[[str], Catalogue]
) -> Restoring:
    """Return what restores a backup on a new host, with the bucket and the key store that still live."""

    def run(backup: Backup) -> Ageing:
        restore(backup)
        return dataclasses.replace(
            ageing, worker=catalogue("earwitness_worker"), portal=catalogue("earwitness_portal")
        )

    return run


def rebuilt(ageing: Ageing, catalogue: Callable[[str], Catalogue]) -> list[str]:
    doubts: list[str] = []
    rebuild(ageing.store, ageing.house.vault, catalogue("earwitness_operator"), doubt=doubts.append)
    return doubts


def sweep(ageing: Ageing, tenant: Tenant) -> int:
    return ageing.sweep().batch(tenant.id).destroyed


def test_r1_nothing_is_destroyed_between_a_restore_and_the_rebuilding_of_the_catalogue(
    ageing: Ageing,
    bakery: Tenant,
    back_up: Callable[[], Backup],
    restored: Restoring,
    catalogue: Callable[[str], Catalogue],
) -> None:
    """What was held since the backup is over by its row; nobody knows of the hold before the bucket was read."""
    held, other = ageing.archive(bakery, days=1), ageing.archive(bakery, days=1)
    backup = back_up()
    hold(ageing, bakery, held)
    copies(ageing).batch(bakery.id)
    after = restored(backup)
    after.live(days=2)
    for what in (after.sweep().begin, lambda: after.sweep().batch(bakery.id)):
        with pytest.raises(NotRebuilt, match="rebuild-catalogue"):
            what()
    assert [state_of(after, bakery, each) for each in (held, other)] == [RecordingState.AVAILABLE] * 2
    after.timekeeper(catalogue("earwitness_operator"), "operator").trust()
    with pytest.raises(NotRebuilt):
        after.timekeeper().due_time()
    assert rebuilt(after, catalogue) == []
    assert sweep(after, bakery) == 1
    assert_destroyed(after, bakery, other)
    assert (state_of(after, bakery, held), on_hold(after, bakery, held)) == (RecordingState.AVAILABLE, True)


def test_a_database_that_was_not_rebuilt_is_told_of_until_it_is(
    ageing: Ageing,
    bakery: Tenant,
    back_up: Callable[[], Backup],
    restored: Restoring,
    catalogue: Callable[[str], Catalogue],
) -> None:
    """By a figure of its own: the clocks are well."""
    ageing.archive(bakery)
    backup = back_up()
    after = restored(backup)
    figures = Figures(after.worker, after.house.clock, after.sweep().check_clocks, locks=True)
    found = figures.tally([bakery.id])
    assert (found[Figure.NOT_REBUILT], Figure.CLOCK_DISBELIEVED in found) == (1, False)
    assert restores.not_rebuilt(after.portal) == backup.manifest.made_at
    rebuilt(after, catalogue)
    assert figures.tally([bakery.id])[Figure.NOT_REBUILT] == 0
    assert restores.not_rebuilt(after.portal) is None


def test_what_was_put_back_since_the_backup_is_not_in_the_trash_again(
    ageing: Ageing,
    operator: Catalogue,
    bakery: Tenant,
    back_up: Callable[[], Backup],
    restored: Restoring,
    catalogue: Callable[[str], Catalogue],
) -> None:
    ada, otto = people(ageing, operator, bakery)
    archived = ageing.archive(bakery, days=2000)
    approve(ageing, otto, propose(ageing, ada, archived, at_once=False))
    after = restored(back_up())
    rebuilt(after, catalogue)
    after.live(days=TRASH_DAYS_DEFAULT + 1)
    assert sweep(after, bakery) == 0
    assert state_of(after, bakery, archived) is RecordingState.AVAILABLE
    approve(after, otto, propose(after, ada, archived))
    assert sweep(after, bakery) == 1, "it can be let go anew"


def test_keys_that_were_let_go_before_the_backup_are_asked_for_anew(
    ageing: Ageing,
    operator: Catalogue,
    bakery: Tenant,
    back_up: Callable[[], Backup],
    restored: Restoring,
    catalogue: Callable[[str], Catalogue],
) -> None:
    _, otto = people(ageing, operator, bakery)
    archived = ageing.archive(bakery, days=2000)
    day = archived.kek_id.split("/")[1]
    ageing.live(minutes=5)
    now = ageing.house.clock.now()
    wanted = Wanted(Kind.KEY_DESTRUCTION, f"kek:{bakery.id}/{day}", {"day": day}, "Leaked")
    with operator.transaction(bakery.id) as connection:
        made = proposals.propose_as_operator(connection, bakery.id, "operator:0", wanted, now=now)
    with ageing.portal.transaction(bakery.id) as connection:
        decided = proposals.decide(connection, otto, made.id, Event.APPROVE, now=now)
        approved.carry_out(connection, decided, now=now)
    backup = back_up()
    ageing.live(minutes=5)
    after = restored(backup)
    rebuilt(after, catalogue)
    assert sweep(after, bakery) == 0
    assert state_of(after, bakery, archived) is RecordingState.AVAILABLE
    assert sweep(ageing, bakery) == 1, "where nothing was restored it counts"


def test_a_term_that_was_made_longer_since_the_backup_is_brought_back(
    ageing: Ageing,
    operator: Catalogue,
    bakery: Tenant,
    back_up: Callable[[], Backup],
    restored: Restoring,
    catalogue: Callable[[str], Catalogue],
) -> None:
    """By the store's locks; the key of the later day follows."""
    ada, _ = people(ageing, operator, bakery)
    longer, other = ageing.archive(bakery, days=1), ageing.archive(bakery, days=1)
    backup = back_up()
    until = longer.recording.retain_until + timedelta(days=300)
    with ageing.portal.transaction(bakery.id) as connection:
        terms.lengthen(connection, ada, longer.recording.id, until, now=ageing.house.clock.now())
    assert following(ageing).batch(bakery.id).remaining == 0
    after = restored(backup)
    assert rebuilt(after, catalogue) == []
    [behind] = terms.behind(after.worker, bakery.id, 10)
    assert (behind.recording.id, behind.recording.retain_until) == (longer.recording.id, until)
    assert following(after).batch(bakery.id).remaining == 0
    rebuilt(after, catalogue)
    assert terms.count_behind(after.worker, bakery.id) == 0, "a second run changes nothing"
    after.live(days=2)
    assert sweep(after, bakery) == 1
    assert_destroyed(after, bakery, other)
    assert state_of(after, bakery, longer) is RecordingState.AVAILABLE


def following(ageing: Ageing) -> Terms:
    house = ageing.house
    return Terms(ageing.store, lambda: house.vault, ageing.worker, house.audit, house.clock)


def test_what_was_taken_away_since_the_backup_is_not_given_back(
    ageing: Ageing,
    operator: Catalogue,
    bakery: Tenant,
    database: Any,
    back_up: Callable[[], Backup],
    restore: Callable[..., Restored],
    catalogue: Callable[[str], Catalogue],
) -> None:
    """A link works no more, nobody is signed in, and a key opens when somebody says that it still may."""
    ada, otto = people(ageing, operator, bakery)
    now, archived = ageing.house.clock.now(), ageing.archive(bakery, days=2000)
    wanted = shares.NewShare(archived.recording.id, "For the insurer", 0, 1000, now + timedelta(days=3))
    with ageing.portal.transaction(bakery.id) as connection:
        _, token = shares.add(connection, otto, wanted, now=now)
    client = accounts.add_api_client(operator, bakery.id, "crm", [Scope.RECORDINGS_READ], now=now)
    approve(ageing, otto, propose(ageing, ada, archived, at_once=False))
    account = Account(bakery.id, ada.user_id or UserId(""))
    with ageing.portal.transaction(bakery.id) as connection:
        invitation = invitations.make(connection, account, invitations.Kind.RESET, now=now)
        signed_in, _ = portal_sessions.open_session(
            connection, bakery.id, account.user_id, stage=Stage.SIGNED_IN, proofs=[], now=now
        )
    backup = back_up()
    assert restore(backup).taken_away == TakenAway(
        sessions=1, invitations=1, shares=1, api_clients=1, trash=1
    )
    portal = catalogue("earwitness_portal")
    found = shares.find(portal, token)
    assert found is not None
    assert found.state(ageing.house.clock.now()) is shares.ShareState.REVOKED
    assert portal_sessions.find(portal, signed_in, now=now) is None
    assert invitations.find(portal, invitation, now=now) is None
    assert accounts.authenticate_key(portal, client.key) is None
    accounts.resume_api_client(catalogue("earwitness_operator"), bakery.id, "crm")
    scope = accounts.authenticate_key(portal, client.key)
    assert scope is not None
    assert scope.scopes == {Scope.RECORDINGS_READ}
