"""Whatever happens with teams and rights: the catalogue finds what the rule says, and the rule is the promise.

Random histories of teams are told to the catalogue and to a model that is too simple to
be wrong: it remembers for every minute who was in which team.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from archive.access import Right, may, may_play, may_read
from archive.catalogue import accounts, directory, recordings, rights, teams
from archive.catalogue.directory import Capacity
from archive.catalogue.engine import Catalogue
from archive.catalogue.recordings import PAGE_ROWS_MAX
from archive.catalogue.rights import Reason
from archive.catalogue.tables import api_clients
from archive.model import ArchivedRecording, Recording, RecordingState, Role, TenantId, User

NOW = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)
MINUTES = 10
PEOPLE = {
    "anna": (Role.USER, "own"),
    "bram": (Role.USER, "none"),
    "carla": (Role.ADMINISTRATOR, "none"),
    "dirk": (Role.AUDITOR, "none"),
}
TEAMS = ("sales", "care")
LISTENING = {Capacity.LISTENER, Capacity.MANAGER}
_domains = itertools.count(1)

moves = st.tuples(
    st.integers(0, MINUTES - 1),
    st.booleans(),
    st.sampled_from(sorted(PEOPLE)),
    st.sampled_from(TEAMS),
    st.sampled_from(sorted(Capacity)),
)
some_rights = st.frozensets(st.sampled_from(sorted(Right)))
settings_of_people = st.dictionaries(
    st.sampled_from(sorted(PEOPLE)), st.dictionaries(st.sampled_from(sorted(Right)), st.booleans())
)


@dataclasses.dataclass(frozen=True)
class Story:
    """What happened with the teams of a tenant, and what was allowed in the end."""

    moves: list[tuple[int, bool, str, str, Capacity]]
    allowed: dict[str, frozenset[Right]]
    earlier: frozenset[str]
    own: dict[str, dict[Right, bool]]

    def was(self, who: str, team: str, capacity: Capacity, minute: int) -> bool:
        """Return whether somebody was in a team that way at the end of a minute."""
        told = [on for at, on, *what in self.moves if what == [who, team, capacity] and at <= minute]
        return told[-1] if told else False

    def teams_heard(self, who: str, owner: str, minute: int) -> set[str]:
        """Return the teams by which somebody hears what `owner` recorded in the middle of a minute."""

        def contributed(team: str) -> bool:
            now = self.was(owner, team, Capacity.CONTRIBUTOR, MINUTES)
            return self.was(owner, team, Capacity.CONTRIBUTOR, minute) or (team in self.earlier and now)

        return {team for team in self.teams_of(who, LISTENING) if contributed(team)}

    def teams_of(self, who: str, capacities: set[Capacity]) -> set[str]:
        return {team for team in TEAMS if any(self.was(who, team, each, MINUTES) for each in capacities)}

    def hears(self, who: str, owner: str, minute: int) -> bool:
        role, access = PEOPLE[who]
        own = who == owner and (access == "own" or bool(self.teams_of(who, LISTENING)))
        return role is Role.AUDITOR or own or bool(self.teams_heard(who, owner, minute))

    def does(self, who: str, right: Right, owner: str, minute: int) -> bool:
        if not self.hears(who, owner, minute) or (PEOPLE[who][0] is Role.AUDITOR and right != Right.DOWNLOAD):
            return False
        if right in self.own.get(who, {}):
            return self.own[who][right]
        by = self.teams_heard(who, owner, minute)
        if who == owner and (PEOPLE[who][1] == "own" or self.teams_of(who, LISTENING)):
            by |= self.teams_of(who, {Capacity.CONTRIBUTOR})
        return any(right in self.allowed[team] for team in by)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    told = sorted(draw(st.lists(moves, max_size=16)), key=lambda move: move[0])
    # Two moves of one kind in one minute would make the order within it count.
    once = {(move[0], *move[2:]): move for move in told}
    return Story(
        list(once.values()),
        {team: draw(some_rights) for team in TEAMS},
        draw(st.frozensets(st.sampled_from(TEAMS))),
        draw(settings_of_people),
    )


def tell(story: Story, operator: Catalogue) -> tuple[TenantId, dict[str, User]]:
    """Let the catalogue of a new tenant live through a story."""
    tenant = directory.add_tenant(operator, "X", f"reach-{next(_domains)}.example", now=NOW)
    people = {
        login: directory.add_user(operator, tenant.id, login, now=NOW, role=role, access=access)
        for login, (role, access) in PEOPLE.items()
    }
    ids = {name: directory.add_team(operator, tenant.id, name, now=NOW) for name in TEAMS}
    for minute, on, login, team, capacity in story.moves:
        change = teams.enter if on else teams.leave
        now = NOW + timedelta(minutes=minute)
        change(operator, tenant.id, ids[team], people[login].id, capacity, now=now)
    for name in TEAMS:
        wanted = dict.fromkeys(story.allowed[name], True)
        teams.change(operator, tenant.id, ids[name], hears_earlier=name in story.earlier, rights=wanted)
    for login, chosen in story.own.items():
        rights.set_rights(operator, tenant.id, people[login].id, chosen)
    return tenant.id, people


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stories())
def test_catalogue_rule_and_promise_say_the_same(
    operator: Catalogue,
    recorder: Catalogue,
    portal: Catalogue,
    make_recording: Callable[..., ArchivedRecording],
    story: Story,
) -> None:
    tenant_id, people = tell(story, operator)
    made: dict[tuple[str, int], Recording] = {}
    with recorder.transaction(tenant_id) as connection:
        for owner, minute in itertools.product(PEOPLE, range(MINUTES)):
            archived = make_recording(tenant_id, owner=people[owner].id, minutes=minute)
            # Half a minute later than the moves, so that no call begins at the moment of one.
            began = archived.recording.started_at + timedelta(seconds=30)
            # Its owner and its start decide; without parties and objects it is half as many statements.
            moved = dataclasses.replace(archived.recording, started_at=began, parties=())
            bare = dataclasses.replace(archived, recording=moved, objects=())
            recordings.insert_recording(connection, bare)
            made[owner, minute] = moved
    for who, user in people.items():
        scope = accounts.scope_of_user(portal, tenant_id, user.id)
        expected = {recording.id for key, recording in made.items() if story.hears(who, *key)}
        assert {each.id for each in made.values() if may_read(scope, each)} == expected
        found = recordings.find(portal, scope, limit=PAGE_ROWS_MAX).items
        assert {each.id for each in found} == expected
        for (key, recording), right in itertools.product(made.items(), Right):
            assert may(scope, right, recording) == story.does(who, right, *key), (who, right, key)
    for owner, user in people.items():
        told = rights.hearers_of(portal, tenant_id, user.id)
        for who, minute in itertools.product(PEOPLE, range(MINUTES)):
            began = made[owner, minute].started_at
            hears = any(each.user_id == people[who].id and each.covers(began) for each in told)
            assert hears == story.hears(who, owner, minute), (owner, who, minute)


@pytest.mark.parametrize("state", sorted(set(RecordingState)))
def test_a_team_hears_only_what_can_be_heard(
    operator: Catalogue,
    recorder: Catalogue,
    portal: Catalogue,
    make_recording: Callable[..., ArchivedRecording],
    state: RecordingState,
) -> None:
    story = Story(
        [(0, True, "anna", "sales", Capacity.CONTRIBUTOR), (0, True, "bram", "sales", Capacity.LISTENER)],
        dict.fromkeys(TEAMS, frozenset(Right)),
        frozenset(),
        {},
    )
    tenant_id, people = tell(story, operator)
    archived = make_recording(tenant_id, owner=people["anna"].id, minutes=1, state=state)
    with recorder.transaction(tenant_id) as connection:
        recordings.insert_recording(connection, archived)
    scope = accounts.scope_of_user(portal, tenant_id, people["bram"].id)
    found = recordings.find(portal, scope).items
    unseen = {RecordingState.UNKEPT, RecordingState.GRACE, RecordingState.QUARANTINED}
    going = {RecordingState.DELETING, RecordingState.DESTROYED}
    assert bool(found) == (state not in unseen | going)
    assert may_play(scope, archived.recording) == (
        state in {RecordingState.AVAILABLE, RecordingState.PARTIAL}
    )


def test_a_program_that_reads_and_plays_hears_everybody(operator: Catalogue, portal: Catalogue) -> None:
    tenant_id, people = tell(Story([], dict.fromkeys(TEAMS, frozenset()), frozenset(), {}), operator)
    for name, scopes in (("crm", ["recordings:read", "recordings:play"]), ("list", ["recordings:read"])):
        accounts.add_api_client(operator, tenant_id, name, scopes, now=NOW)
    told = rights.hearers_of(portal, tenant_id, people["carla"].id)
    assert [(each.reason, each.name) for each in told] == [
        (Reason.AUDITOR, "dirk"),
        (Reason.API_CLIENT, "crm"),
    ]


def test_a_program_whose_key_a_restore_suspended_hears_nobody(operator: Catalogue, portal: Catalogue) -> None:
    tenant_id, people = tell(Story([], dict.fromkeys(TEAMS, frozenset()), frozenset(), {}), operator)
    scopes = ["recordings:read", "recordings:play"]
    key = accounts.add_api_client(operator, tenant_id, "crm", scopes, now=NOW).key

    def hears() -> bool:
        told = rights.hearers_of(portal, tenant_id, people["carla"].id)
        return "crm" in [each.name for each in told]

    columns = api_clients.c
    with operator.transaction(tenant_id) as connection:
        suspended = update(api_clients).where(columns.tenant_id == tenant_id)
        connection.execute(suspended.values(key_hash=accounts.SUSPENDED + columns.key_hash))
    assert (accounts.authenticate_key(portal, key), hears()) == (None, False)
    accounts.resume_api_client(operator, tenant_id, "crm")
    assert accounts.authenticate_key(portal, key) is not None
    assert hears()
