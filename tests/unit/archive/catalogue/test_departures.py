"""Somebody leaves: what ends, what stays, and what they have again when it is taken back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from archive.access import may_read
from archive.catalogue import (
    accounts,
    departures,
    directory,
    identities,
    invitations,
    people,
    portal_sessions,
    recordings,
    rights,
    tables,
    teams,
)
from archive.catalogue.directory import Capacity
from archive.catalogue.engine import Catalogue
from archive.catalogue.identities import Account
from archive.catalogue.invitations import Kind
from archive.catalogue.portal_sessions import Proof, Stage
from archive.errors import Conflict, NotFound, Refused
from archive.model import (
    ArchivedRecording,
    RecordingMode,
    RetentionClass,
    Role,
    Tenant,
    User,
)

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
GONE, BACK = NOW + timedelta(days=10), NOW + timedelta(days=12)
NUMBERS = ("+31201234500", "+31201234510-+31201234519")


@pytest.fixture
def anna(operator: Catalogue, bakery: Tenant) -> User:
    return directory.add_user(
        operator,
        bakery.id,
        "anna",
        now=NOW,
        numbers=NUMBERS,
        broadworks_id="anna@bw.example",
        licence=RetentionClass.DAYS_365,
        mode=RecordingMode.ON_DEMAND,
    )


@pytest.fixture
def lena(operator: Catalogue, bakery: Tenant, anna: User) -> User:
    """Somebody who hears the team in which Anna is, and whom Anna hears in another."""
    lena = directory.add_user(operator, bakery.id, "lena", now=NOW, access="none")
    for name, contributor, listener in (("Sales", anna, lena), ("Care", lena, anna)):
        team = directory.add_team(operator, bakery.id, name, now=NOW)
        teams.enter(operator, bakery.id, team, contributor.id, Capacity.CONTRIBUTOR, now=NOW)
        teams.enter(operator, bakery.id, team, listener.id, Capacity.LISTENER, now=NOW)
    return lena


def leave(portal: Catalogue, user: User, now: datetime = GONE) -> User:
    with portal.transaction(user.tenant_id) as connection:
        return departures.leave(connection, user.tenant_id, user.id, now=now)


def come_back(portal: Catalogue, user: User, now: datetime = BACK) -> departures.Return:
    with portal.transaction(user.tenant_id) as connection:
        return departures.come_back(connection, user.tenant_id, user.id, now=now)


def test_licence_and_numbers_are_free_and_nobody_is_recorded_for_them(
    operator: Catalogue, portal: Catalogue, anna: User
) -> None:
    assert leave(portal, anna) == anna
    gone = directory.user_by_id(portal, anna.tenant_id, anna.id)
    assert (gone.left_at, gone.licence, gone.mode) == (GONE, None, RecordingMode.NEVER)
    assert (gone.numbers, gone.broadworks_id) == ((), None)
    heir = directory.add_user(
        operator, anna.tenant_id, "bert", now=GONE, numbers=NUMBERS, broadworks_id="anna@bw.example"
    )
    assert heir.numbers == NUMBERS
    assert [each.login for each in people.page(portal, anna.tenant_id).items] == ["anna", "bert"]
    assert [each.login for each in people.page(portal, anna.tenant_id, with_former=False).items] == ["bert"]


def test_every_way_in_is_closed_at_once(operator: Catalogue, portal: Catalogue, anna: User) -> None:
    account = Account(anna.tenant_id, anna.id)
    key = accounts.add_api_client(
        operator, anna.tenant_id, "app", ["recordings:read"], now=NOW, user_id=anna.id
    ).key
    with portal.transaction(anna.tenant_id) as connection:
        identities.set_email(connection, account, "anna@mail.example")
        identities.prove_email(connection, account, now=NOW)
        identities.link(connection, account, "https://id.example", "anna-1", now=NOW)
        invitation = invitations.make(connection, account, Kind.RESET, now=GONE)
        token, _ = portal_sessions.open_session(
            connection,
            anna.tenant_id,
            anna.id,
            stage=Stage.SIGNED_IN,
            proofs=[Proof.PASSWORD],
            now=GONE,
        )
    assert departures.outlook(portal, anna, now=GONE) == departures.Outlook(0, 1, 1)
    assert portal_sessions.find(portal, token, now=GONE) is not None
    assert identities.find(portal, "anna@mail.example") == account
    leave(portal, anna)
    assert portal_sessions.find(portal, token, now=GONE) is None
    assert accounts.authenticate_key(portal, key) is None
    with pytest.raises(NotFound):
        accounts.scope_of_user(portal, anna.tenant_id, anna.id)
    assert invitations.find(portal, invitation, now=GONE) is None
    for typed in ("anna@bakery.example", "anna@mail.example"):
        assert identities.find(portal, typed) is None
    assert identities.of_subject(portal, anna.tenant_id, "https://id.example", "anna-1") is None
    vouched = (portal, anna.tenant_id, "anna@mail.example")
    assert identities.of_vouched_email(*vouched) is None
    login = (portal, anna.tenant_id, "anna@bakery.example")
    assert identities.of_vouched_email(*login, logins_are_addresses=True) is None
    # A session that was opened in the same moment opens nothing either.
    with portal.transaction(anna.tenant_id) as connection:
        late, _ = portal_sessions.open_session(
            connection, anna.tenant_id, anna.id, stage=Stage.SIGNED_IN, proofs=[Proof.PASSWORD], now=GONE
        )
    assert portal_sessions.find(portal, late, now=GONE) is None


def test_recordings_stay_and_are_heard_by_whom_they_were_recorded_for(
    recorder: Catalogue,
    portal: Catalogue,
    anna: User,
    lena: User,
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    archived = make_recording(anna.tenant_id, owner=anna.id, minutes=60)
    theirs = make_recording(anna.tenant_id, owner=lena.id, minutes=60)
    with recorder.transaction(anna.tenant_id) as connection:
        for each in (archived, theirs):
            recordings.insert_recording(connection, each)
    assert may_read(accounts.scope_of_user(portal, anna.tenant_id, anna.id), theirs.recording)
    leave(portal, anna)
    scope = accounts.scope_of_user(portal, lena.tenant_id, lena.id)
    kept = recordings.get(portal, scope, archived.recording.id).recording
    assert (kept.owner, kept.retain_until) == (anna.id, archived.recording.retain_until)
    assert [each.name for each in rights.hearers_of(portal, anna.tenant_id, anna.id)] == ["lena"]
    assert teams.memberships_of(portal, anna.tenant_id, anna.id) == []
    # Whom Anna heard, she hears no more.
    assert "anna" not in [each.name for each in rights.hearers_of(portal, anna.tenant_id, lena.id)]


def test_who_comes_back_has_what_they_had_as_far_as_it_is_free(
    operator: Catalogue, portal: Catalogue, anna: User, lena: User
) -> None:
    leave(portal, anna)
    directory.add_user(
        operator,
        anna.tenant_id,
        "bert",
        now=GONE,
        numbers=["+31201234515"],
        broadworks_id="anna@bw.example",
    )
    back = come_back(portal, anna)
    assert (back.user.licence, back.user.mode) == (RetentionClass.DAYS_365, RecordingMode.ON_DEMAND)
    assert (back.user.numbers, back.taken) == (NUMBERS[:1], NUMBERS[1:])
    assert (back.user.broadworks_id, back.user.left_at) == (None, None)
    inside = teams.memberships_of(portal, anna.tenant_id, anna.id)
    assert {(each.team_name, each.capacity, each.since) for each in inside} == {
        ("Sales", Capacity.CONTRIBUTOR, BACK),
        ("Care", Capacity.LISTENER, BACK),
    }
    assert accounts.scope_of_user(portal, anna.tenant_id, anna.id).user_id == anna.id
    with pytest.raises(Conflict):
        come_back(portal, anna)
    leave(portal, anna, BACK + timedelta(days=1))
    again = come_back(portal, anna, BACK + timedelta(days=2))
    assert again.user.numbers == NUMBERS[:1]
    assert len(teams.memberships_of(portal, anna.tenant_id, anna.id)) == 2


def test_who_left_is_not_changed_and_leaves_once(portal: Catalogue, anna: User, lena: User) -> None:
    leave(portal, anna)
    with pytest.raises(Conflict):
        leave(portal, anna)
    for fields in ({"mode": RecordingMode.NEVER}, {"numbers": ["+31201234500"]}, {"role": Role.AUDITOR}):
        with pytest.raises(Refused, match="left"):
            directory.set_user(portal, anna.tenant_id, "anna", now=GONE, **fields)
    with pytest.raises(Refused, match="left"):
        directory.set_team_member(portal, anna.tenant_id, "Sales", "anna", Capacity.CONTRIBUTOR, now=GONE)
    assert teams.memberships_of(portal, anna.tenant_id, lena.id)


def test_who_decided_for_others_comes_back_as_a_user(
    operator: Catalogue, portal: Catalogue, anna: User
) -> None:
    ada = directory.add_user(operator, anna.tenant_id, "ada", now=NOW, role=Role.ADMINISTRATOR)
    assert leave(portal, ada).role is Role.ADMINISTRATOR
    assert directory.user_by_id(portal, ada.tenant_id, ada.id).role is Role.USER
    assert come_back(portal, ada).user.role is Role.USER


def test_nobody_of_another_tenant_leaves(
    operator: Catalogue, portal: Catalogue, anna: User, florist: Tenant
) -> None:
    theirs = directory.add_user(operator, florist.id, "fleur", now=NOW)
    with pytest.raises(NotFound), portal.transaction(anna.tenant_id) as connection:
        departures.leave(connection, anna.tenant_id, theirs.id, now=GONE)
    with pytest.raises(NotFound), portal.transaction(anna.tenant_id) as connection:
        departures.come_back(connection, anna.tenant_id, theirs.id, now=GONE)
    assert directory.user_by_id(portal, florist.id, theirs.id).left_at is None


def test_a_number_made_exempt_meanwhile_does_not_come_back(
    operator: Catalogue, portal: Catalogue, anna: User
) -> None:
    leave(portal, anna)
    row = {"id": "x", "tenant_id": anna.tenant_id, "number": NUMBERS[0]}
    with operator.transaction(anna.tenant_id) as connection:
        connection.execute(insert(tables.exempt_numbers), row)
    assert come_back(portal, anna).taken == NUMBERS[:1]
