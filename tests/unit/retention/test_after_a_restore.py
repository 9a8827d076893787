"""A restored database is that of yesterday: nothing kept since goes by it, nothing ended since opens by it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import text

from archive import jobs
from archive.access import AccessScope, Right, Scope
from archive.approval import Event, Kind, Wanted
from archive.audit import AuditWriter
from archive.backup.dump import connected
from archive.backup.making import Backup
from archive.backup.restoring import Restored, Target
from archive.backup.taking_away import TakenAway
from archive.catalogue import (
    accounts,
    approved,
    directory,
    invitations,
    mails,
    notifications,
    portal_sessions,
    proposals,
    restores,
    rights,
    roster_imports,
    shares,
    terms,
)
from archive.catalogue.engine import Catalogue
from archive.catalogue.identities import Account
from archive.catalogue.lexemes import Facet
from archive.catalogue.portal_sessions import Stage
from archive.catalogue.retention_figures import Figure
from archive.errors import Conflict
from archive.evidence.exports import Downloads
from archive.mail import MailServer
from archive.model import (
    TRASH_DAYS_DEFAULT,
    ArchivedRecording,
    RecordingId,
    RecordingState,
    Role,
    Tenant,
    UserId,
)
from archive.playback import Playback
from archive.post import NoPost
from archive.rebuild import rebuild
from archive.roster import REFUSED, RosterRow
from archive.shared import Derivatives
from keys.local_keyring import LocalKeyring
from playback_portal.app import create_app
from playback_portal.services import Services
from retention.due_time import NotRebuilt
from retention.figures import Figures
from retention.mail import Mailer
from retention.terms import Terms
from tests.unit.archive.sealed.backups import administrator_url, back_up, out, root, vault
from tests.unit.archive.sealed.test_restoring import catalogue, restore, target
from tests.unit.retention.ageing import Ageing
from tests.unit.retention.holding import assert_destroyed, hold, on_hold
from tests.unit.retention.mail_desk import Desk
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


async def test_what_was_taken_away_since_the_backup_is_not_given_back(
    ageing: Ageing,
    operator: Catalogue,
    bakery: Tenant,
    back_up: Callable[[], Backup],
    restore: Callable[..., Restored],
    catalogue: Callable[[str], Catalogue],
    root: LocalKeyring,
) -> None:
    """A link works no more, nobody is signed in, and a key opens when somebody says that it still may."""
    ada, otto = people(ageing, operator, bakery)
    now = ageing.house.clock.now()
    user = directory.add_user(operator, bakery.id, "anna", now=now)
    rights.set_rights(operator, bakery.id, user.id, {Right.SHARE: True})
    anna = accounts.scope_of_user(ageing.portal, bakery.id, user.id)
    archived, trashed = (ageing.archive(bakery, days=2000, owner=user.id) for _ in range(2))
    share, token = linked(ageing, anna, archived)
    client = accounts.add_api_client(operator, bakery.id, "crm", [Scope.RECORDINGS_READ], now=now)
    approve(ageing, otto, propose(ageing, ada, trashed, at_once=False))
    account = Account(bakery.id, ada.user_id or UserId(""))
    with ageing.portal.transaction(bakery.id) as connection:
        invitation = invitations.make(connection, account, invitations.Kind.RESET, now=now)
        signed_in, _ = portal_sessions.open_session(
            connection, bakery.id, account.user_id, stage=Stage.SIGNED_IN, proofs=[], now=now
        )
    assert await visited(ageing, ageing.portal, root, token) == HTTPStatus.OK
    assert is_found_by_its_link(ageing.portal, bakery, archived)
    backup = back_up()
    assert restore(backup).taken_away == TakenAway(
        sessions=1, invitations=1, shares=1, api_clients=1, trash=1, mails=0, jobs=0
    )
    portal = catalogue("earwitness_portal")
    assert await visited(ageing, portal, root, token) == HTTPStatus.NOT_FOUND
    assert not is_found_by_its_link(portal, bakery, archived)
    # For good: the undo of a moment is for whoever ended it.
    with pytest.raises(Conflict, match="a backup was restored"), portal.transaction(bakery.id) as connection:
        shares.restore(connection, anna, share.id, now=now)
    assert await visited(ageing, portal, root, token) == HTTPStatus.NOT_FOUND
    ageing.live(minutes=1)
    other, other_token = linked(dataclasses.replace(ageing, portal=portal), anna, archived)
    with portal.transaction(bakery.id) as connection:
        shares.revoke(connection, anna, other.id, now=ageing.house.clock.now())
        shares.restore(connection, anna, other.id, now=ageing.house.clock.now())
    assert await visited(ageing, portal, root, other_token) == HTTPStatus.OK
    assert portal_sessions.find(portal, signed_in, now=now) is None
    assert invitations.find(portal, invitation, now=now) is None
    assert accounts.authenticate_key(portal, client.key) is None
    accounts.resume_api_client(catalogue("earwitness_operator"), bakery.id, "crm")
    scope = accounts.authenticate_key(portal, client.key)
    assert scope is not None
    assert scope.scopes == {Scope.RECORDINGS_READ}


def linked(ageing: Ageing, scope: AccessScope, archived: ArchivedRecording) -> tuple[shares.Share, str]:
    """Make a play link; return it and its token."""
    now = ageing.house.clock.now()
    wanted = shares.NewShare(archived.recording.id, "For the insurer", 0, 1000, now + timedelta(days=3))
    with ageing.portal.transaction(scope.tenant_id) as connection:
        return shares.add(connection, scope, wanted, now=now)


def is_found_by_its_link(portal: Catalogue, tenant: Tenant, archived: ArchivedRecording) -> bool:
    statement = text(
        "SELECT document @@ CAST(:wanted AS tsquery) FROM recording_documents WHERE recording_id = :id"
    )
    asked = {"id": archived.recording.id, "wanted": f"'{Facet.SHARE.lexeme}'"}
    with portal.transaction(tenant.id) as connection:
        return bool(connection.execute(statement, asked).scalar_one())


async def visited(ageing: Ageing, portal: Catalogue, root: LocalKeyring, token: str) -> int:
    """Open a play link as a visitor does, at a portal on this database; return the status."""
    house, audit = ageing.house, AuditWriter(portal, "portal/new")
    playback = Playback(ageing.store, house.vault, portal, audit, house.clock)
    services = Services(
        catalogue=portal,
        playback=playback,
        derivatives=Derivatives(ageing.store, house.vault, portal),
        downloads=Downloads(ageing.store, house.vault, portal, playback),
        audit=audit,
        clock=house.clock,
        checks={},
        root=root,
        post=NoPost(),
    )
    async with TestClient(TestServer(create_app(services))) as client:
        answer = await client.get(f"/s/{token}")
        return answer.status


def test_no_mail_and_no_job_of_a_backup_goes_on(
    ageing: Ageing,
    bakery: Tenant,
    database: Any,
    back_up: Callable[[], Backup],
    restore: Callable[..., Restored],
    catalogue: Callable[[str], Catalogue],
    target: Target,
    root: LocalKeyring,
    server: MailServer,
    desk: Desk,
) -> None:
    """One was sent since, one held a link that was ended since: nobody can tell them from a third."""
    clock = ageing.house.clock
    sent_since = queued(ageing.portal, bakery, root, clock.now())
    jobs.defer(database.url("earwitness_portal"), jobs.MAIL, tenant_id=bakery.id, mail_id=sent_since)
    jobs.destroy(database.url("earwitness_portal"), bakery.id, RecordingId("r1"), actor="user:x")
    backup = back_up()
    mailer_on(ageing.worker, clock, root, server).send(bakery.id, sent_since)
    assert len(desk.mails) == 1
    taken_away = restore(backup).taken_away
    assert (taken_away.mails, taken_away.jobs) == (1, 2)
    after = mailer_on(catalogue("earwitness_worker"), clock, root, server)
    ageing.live(minutes=5)
    assert after.forgotten(bakery.id) == []
    after.send(bakery.id, sent_since)
    assert len(desk.mails) == 1
    with connected(target.url(target.database)) as connection:
        waiting = connection.execute("SELECT count(*) FROM jobs.procrastinate_jobs").fetchone()
        mail = connection.execute("SELECT state, sealed, reason FROM mails").fetchone()
    assert waiting == (0,)
    assert mail is not None
    assert mail[:2] == ("failed", None)
    assert "may have been sent already" in mail[2]
    again = queued(catalogue("earwitness_portal"), bakery, root, clock.now())
    after.send(bakery.id, again)
    assert len(desk.mails) == 2, "what is asked for anew is sent"


def test_what_was_to_be_told_and_written_in_a_backup_is_not_done_again(
    ageing: Ageing,
    operator: Catalogue,
    bakery: Tenant,
    back_up: Callable[[], Backup],
    restore: Callable[..., Restored],
    catalogue: Callable[[str], Catalogue],
) -> None:
    """Somebody may have been told since, and rows of a file written and then changed by hand."""
    now = ageing.house.clock.now()
    ada = directory.add_user(operator, bakery.id, "ada", now=now, role=Role.ADMINISTRATOR).id
    rows = [RosterRow(2, f"bert@{bakery.domain}", {"site": "Goes"})]
    with ageing.portal.transaction(bakery.id) as connection:
        import_id = roster_imports.begin(connection, bakery.id, ada, rows, now=now)
        notifications.note(connection, bakery.id, ada, notifications.Kind.HEARD, "x", now=now)
    restore(back_up())
    after = catalogue("earwitness_worker")
    assert roster_imports.unfinished(after, bakery.id) == []
    [row] = roster_imports.results(after, bakery.id, import_id)
    assert (row.result, "Import the file again" in row.reason) == (REFUSED, True)
    with after.transaction(bakery.id) as connection:
        assert notifications.waiting(connection, bakery.id, now=now) == []


def queued(portal: Catalogue, tenant: Tenant, root: LocalKeyring, now: datetime) -> str:
    said = {"organisation": "De Warme Bakker", "login": "anna", "by": "ada"}
    words = (tenant.id, "address-changed", "anna@mail.example", "nl", said)
    with portal.transaction(tenant.id) as connection:
        return mails.queue(connection, root, *words, actor="user:ada", now=now)


def mailer_on(worker: Catalogue, clock: Any, root: LocalKeyring, server: MailServer) -> Mailer:
    def nothing() -> Any:
        raise AssertionError("This mail needs no sound.")

    return Mailer(worker, AuditWriter(worker, "worker/mails"), clock, server, lambda: root, nothing)
