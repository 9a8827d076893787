"""An organisation that asks why: a recording its listener must give a purpose for, and one still being processed.

One call of it was not recorded, and its administrator may know why. And what was written before on a call of the first organisation, so that there is an earlier text.
It has a look of its own, with a logo, and somebody of it has a link to begin. Neither recording has sound; no page of them is the player's.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

from archive.access import AccessScope, Scope
from archive.catalogue import (
    accounts,
    brandings,
    comments,
    directory,
    identities,
    invitations,
    notes,
    passwords,
    policies,
    recordings,
    sessions,
)
from archive.catalogue.brandings import Look
from archive.catalogue.directory import Capacity
from archive.catalogue.engine import Catalogue
from archive.catalogue.identities import Account
from archive.catalogue.invitations import Kind
from archive.logo import remade
from archive.model import (
    OutcomeKind,
    Recording,
    RecordingId,
    RecordingState,
    SessionId,
    SessionOutcome,
    TenantId,
    UserId,
    new_id,
)
from tests.behaviour.customer import operating
from tests.browser.house import EMPTY_DOMAIN, JANSEN, PASSWORD, SANNE, House, Person
from tests.drawn_logo import drawn_logo

DOMAIN, TEAM = "vraag.example", "Balie"
KOOS = Person("koos", domain=DOMAIN)
LIES = Person("lies", access="none", domain=DOMAIN)
NEVER, INVITED = "never", "invited"


def let_some_ask(house: House) -> None:
    """Enter the organisation and its recordings."""
    now = datetime.now(UTC)
    with operating(house.service) as catalogue:
        tenant = directory.add_tenant(catalogue, "Vraagbaak", DOMAIN, now=now)
        for person in (KOOS, LIES):
            user = directory.add_user(catalogue, tenant.id, person.login, now=now, access=person.access)
            house.ids[person.login] = user.id
            passwords.set_password(catalogue, tenant.id, person.login, PASSWORD)
        directory.add_team(catalogue, tenant.id, TEAM, now=now)
        for person, capacity in ((KOOS, Capacity.CONTRIBUTOR), (LIES, Capacity.LISTENER)):
            directory.set_team_member(catalogue, tenant.id, TEAM, person.login, capacity, now=now)
        policies.set_policy(catalogue, tenant.id, purpose_required=True)
        owner = house.ids[KOOS.login]
        for state in (RecordingState.AVAILABLE, RecordingState.PROCESSING):
            house.asking[state.value] = _like_another(catalogue, house, tenant.id, owner, state)
        account = Account(tenant.id, owner)
        with catalogue.transaction(tenant.id) as connection:
            house.asking[INVITED] = invitations.make(connection, account, Kind.INVITATION, now=now)
    _look_as_a_mill(house, tenant.id)
    _leave_one_unrecorded(house)
    _write_again(house)


def _look_as_a_mill(house: House, tenant_id: TenantId) -> None:
    """Give the organisation a look of its own: a name, two colours and a logo, as its administrator would."""
    look = Look(tenant_id, "", "Molen Vraagbaak", "#0a4f8a", "#8abcf5")
    logo = remade(drawn_logo()).png
    with (
        operating(house.service, "portal") as catalogue,
        catalogue.transaction(tenant_id) as connection,
    ):
        brandings.put_shown(connection, look, "user:tests", now=datetime.now(UTC), logo=logo)


def _leave_one_unrecorded(house: House) -> None:
    """Enter a session of the organisation where nothing happened, whose person is never recorded."""
    now = datetime.now(UTC)
    with operating(house.service, "portal") as catalogue:
        tenant_id = identities.tenant_of_domain(catalogue, EMPTY_DOMAIN)
    assert tenant_id is not None
    with operating(house.service) as catalogue:
        house.asking[NEVER] = session_id = SessionId(new_id(now))
        trace = ("user eva: mode never at the start of the call",)
        outcome = SessionOutcome(
            session_id,
            "never@192.0.2.7",
            OutcomeKind.MODE_NEVER,
            "mode never",
            now,
            now,
            None,
            tenant_id,
            (),
            trace,
        )
        with catalogue.transaction(tenant_id) as connection:
            sessions.insert_outcome(connection, outcome)


def _like_another(
    catalogue: Catalogue, house: House, tenant_id: TenantId, owner: UserId, state: RecordingState
) -> RecordingId:
    """Enter a recording like one of the first organisation, without its sound; return its id."""
    now = datetime.now(UTC)
    program = AccessScope(house.tenant_id, "tests", scopes=frozenset({Scope.RECORDINGS_READ}))
    like = recordings.get(catalogue, program, RecordingId(house.recordings[0]["id"]))
    made: Recording = dataclasses.replace(
        like.recording,
        id=RecordingId(new_id(now)),
        session_id=SessionId(new_id(now)),
        tenant_id=tenant_id,
        owner=owner,
        state=state,
        started_at=now,
        ended_at=now,
    )
    with catalogue.transaction(tenant_id) as connection:
        recordings.insert_recording(connection, dataclasses.replace(like, recording=made, objects=()))
    return made.id


def _write_again(house: House) -> None:
    """Change a note and a comment, and then back to what they said."""
    now, tenant_id = datetime.now(UTC), house.tenant_id
    with operating(house.service, "portal") as catalogue:
        scope = accounts.scope_of_user(catalogue, tenant_id, house.ids[SANNE.login])
        call = recordings.get(catalogue, scope, RecordingId(house.recording_with(JANSEN)["id"])).recording
        note = notes.of_recording(catalogue, scope, call).text
        said = comments.of_recording(catalogue, scope, call)[0].first
        for texts in (("Levering week 47.", "Hier noemt hij een adres."), (note, said.text)):
            notes.put(catalogue, scope, call, texts[0], now=now)
            comments.edit(catalogue, scope, call, said.id, text=texts[1], now=now)
