"""Who can hear somebody, told as a list: whatever happens with cases, departures and keys, it is who does."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from archive.access import AccessScope, Scope, may_play
from archive.catalogue import accounts, case_people, cases, departures, directory, recordings, rights, teams
from archive.catalogue.directory import Capacity
from archive.catalogue.engine import Catalogue
from archive.catalogue.rights import Hearer, Reason
from archive.catalogue.tables import api_clients
from archive.catalogue.tables import cases as case_rows
from archive.errors import ArchiveError, NotFound
from archive.model import ArchivedRecording, CaseRecording, Recording, Role, TenantId, User, UserId

NOW = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)
PEOPLE = {
    "anna": (Role.USER, "own"),
    "bram": (Role.USER, "none"),
    "carla": (Role.ADMINISTRATOR, "none"),
    "dirk": (Role.AUDITOR, "none"),
}
KEYS = {
    "crm": (Scope.RECORDINGS_READ, Scope.RECORDINGS_PLAY),
    "list": (Scope.RECORDINGS_READ,),
    "sums": (Scope.REPORTS_READ,),
}
CASES = ("one", "two")
_domains = itertools.count(1)

who, case, place = st.sampled_from(sorted(PEOPLE)), st.sampled_from(CASES), st.integers(0, 3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), case, who),
        st.tuples(st.just("take off"), case, who),
        st.tuples(st.just("hold"), case, place),
        st.tuples(st.just("release"), case),
        st.tuples(st.just("leave"), who),
        st.tuples(st.just("return"), who),
        st.tuples(st.just("enter"), who, st.sampled_from(sorted(Capacity))),
        st.tuples(st.just("go out"), who, st.sampled_from(sorted(Capacity))),
        st.tuples(st.just("suspend"), st.sampled_from(sorted(KEYS))),
    ),
    max_size=14,
)


@dataclasses.dataclass
class World:
    """A customer with a recording of each person and one of nobody, two cases, a team and some keys."""

    portal: Catalogue
    operator: Catalogue
    tenant_id: TenantId
    people: dict[str, User]
    made: list[Recording]
    keys: dict[str, str]
    case_ids: dict[str, str]
    team_id: str
    auditor: AccessScope
    minute: int = 0

    @property
    def now(self) -> datetime:
        return NOW + timedelta(minutes=self.minute)

    def live(self, step: tuple[object, ...]) -> None:
        """Let a step happen; one that can't changes nothing."""
        self.minute += 1
        deed, first, *rest = step
        name = str(first)
        with suppress(ArchiveError), self.portal.transaction(self.tenant_id) as connection:
            user_id = self.people[name].id if name in self.people else None
            match deed:
                case "admit" | "take off":
                    do = case_people.admit if deed == "admit" else case_people.take_off
                    about = self.people[str(rest[0])].id
                    do(connection, self.auditor, self.case_ids[name], about, now=self.now)
                case "hold":
                    held = self.made[int(str(rest[0]))].id
                    cases.add(connection, self.auditor, self.case_ids[name], [held], now=self.now)
                case "leave" | "return" if user_id is not None:
                    way = departures.leave if deed == "leave" else departures.come_back
                    way(connection, self.tenant_id, user_id, now=self.now)
                case "enter" | "go out" if user_id is not None:
                    change = teams.enter_within if deed == "enter" else teams.leave_within
                    capacity = Capacity(str(rest[0]))
                    change(connection, self.tenant_id, self.team_id, user_id, capacity, now=self.now)
        if deed == "release":
            asked = {"release_reason": "over", "release_asked_by": "user:y", "release_asked_at": self.now}
            ended = {**asked, "released_at": self.now, "released_by": "user:x"}
            held = (case_rows.c.id == self.case_ids[name], case_rows.c.released_at.is_(None))
            with self.portal.transaction(self.tenant_id) as connection:
                connection.execute(update(case_rows).where(*held).values(ended))
        if deed == "suspend":
            own = (api_clients.c.tenant_id == self.tenant_id, api_clients.c.name == name)
            with self.operator.transaction(self.tenant_id) as connection:
                suspended = accounts.SUSPENDED + api_clients.c.key_hash
                unsuspended = ~api_clients.c.key_hash.startswith(accounts.SUSPENDED)
                connection.execute(update(api_clients).where(*own, unsuspended).values(key_hash=suspended))

    def scopes(self) -> dict[str, AccessScope | None]:
        """Return as whom each person and key is let in now, None for nobody."""
        found: dict[str, AccessScope | None] = {
            name: accounts.authenticate_key(self.portal, key) for name, key in self.keys.items()
        }
        for name, user in self.people.items():
            try:
                found[name] = accounts.scope_of_user(self.portal, self.tenant_id, user.id)
            except NotFound:
                found[name] = None
        return found


def world(
    operator: Catalogue, portal: Catalogue, recorder: Catalogue, make: Callable[..., ArchivedRecording]
) -> World:
    tenant = directory.add_tenant(operator, "X", f"cases-{next(_domains)}.example", now=NOW)
    people = {
        name: directory.add_user(operator, tenant.id, name, now=NOW, role=role, access=access)
        for name, (role, access) in PEOPLE.items()
    }
    made = []
    with recorder.transaction(tenant.id) as connection:
        for minute, name in enumerate(("anna", "bram", "carla", "anna")):
            archived = make(tenant.id, owner=people[name].id, minutes=minute)
            began = archived.recording.started_at + timedelta(seconds=30)
            moved = dataclasses.replace(archived.recording, started_at=began, parties=())
            recordings.insert_recording(
                connection, dataclasses.replace(archived, recording=moved, objects=())
            )
            made.append(moved)
    keys = {
        name: accounts.add_api_client(operator, tenant.id, name, [*scopes], now=NOW).key
        for name, scopes in KEYS.items()
    }
    # Who opens cases is a second auditor, so that the one of the story may leave.
    dora = directory.add_user(operator, tenant.id, "dora", now=NOW, role=Role.AUDITOR)
    auditor = accounts.scope_of_user(portal, tenant.id, dora.id)
    with portal.transaction(tenant.id) as connection:
        ids = {name: cases.open_case(connection, auditor, name, "why", now=NOW) for name in CASES}
    team_id = directory.add_team(operator, tenant.id, "sales", now=NOW)
    return World(portal, operator, tenant.id, people, made, keys, ids, team_id, auditor)


def reaches(told: list[Hearer], who: UserId | str, scope: AccessScope | None, held: CaseRecording) -> bool:
    """Return whether a list tells that somebody hears a recording, asking the case where it is by one."""
    own = [each for each in told if who in {each.user_id, each.name}]
    by_case = any(each.reason is Reason.CASE for each in own) and scope is not None
    return (by_case and bool(scope.heard_case_ids & held.case_ids)) or any(
        each.covers(held.started_at) for each in own
    )


HELD: tuple[tuple[object, ...], ...] = (("hold", "one", 0), ("admit", "one", "bram"))
"""Bram, who hears nothing, is admitted to a case that holds a recording of Anna's."""


@example([*HELD])
@example([*HELD, ("release", "one")])
@example([*HELD, ("take off", "one", "bram")])
@example([*HELD, ("leave", "bram")])
@example([*HELD, ("leave", "bram"), ("return", "bram")])
@example([*HELD, ("leave", "anna")])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_the_list_of_who_hears_somebody_names_who_does_and_nobody_else(
    operator: Catalogue,
    recorder: Catalogue,
    portal: Catalogue,
    make_recording: Callable[..., ArchivedRecording],
    told_steps: list[tuple[object, ...]],
) -> None:
    """Of each person's recordings, of each recording alone, and by the rule that plays it."""
    there = world(operator, portal, recorder, make_recording)
    for step in told_steps:
        there.live(step)
    scopes = there.scopes()
    held = [CaseRecording.of(each, case_people.as_held(portal, each).case_ids) for each in there.made]
    for owner, user in there.people.items():
        told = rights.hearers_of(portal, there.tenant_id, user.id)
        theirs = [each for each in held if each.owner == user.id]
        for name, scope in scopes.items():
            who = there.people[name].id if name in there.people else name
            for recording in theirs:
                hears = scope is not None and may_play(scope, recording)
                of_one = rights.hearers_of_recording(portal, recording)
                assert reaches(told, who, scope, recording) == hears, (name, owner)
                assert reaches(of_one, who, scope, recording) == hears, (name, owner)
            by_case = any(each.reason is Reason.CASE and each.user_id == who for each in told)
            case_ids = frozenset() if scope is None else scope.heard_case_ids
            assert by_case == any(case_ids & each.case_ids for each in theirs), (name, owner)
