"""Every role and relation on every row of the route table: exactly the allowed answer, and no other.

What somebody may reach is written down here once, by hand, as a table of who and what;
the rows come from the route table. The measure of "not there" is strict: a recording one
may not know of answers word for word as an id that nothing has.

Operators have no account in a tenant, so that they are the stranger here; what is theirs is
refused to everybody. Their own table is `test_operator`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import insert as insertion

from archive.access import CLIENT_SCOPES, AccessScope, Right, Scope, may_read
from archive.approval import Kind, Wanted
from archive.catalogue import (
    accounts,
    audit_entries,
    case_people,
    cases,
    directory,
    do_not_record,
    exempt_numbers,
    labels,
    policies,
    portal_sessions,
    proposals,
    rights,
    saved_searches,
    tables,
    teams,
)
from archive.catalogue.directory import Capacity
from archive.model import (
    Recording,
    RecordingMode,
    RecordingState,
    RetentionClass,
    Role,
    TenantId,
    User,
    UserId,
    new_id,
)
from playback_portal.app import create_app
from playback_portal.audio import Format
from playback_portal.pages.credentials import CREDENTIAL_ROUTES
from playback_portal.route import Route
from playback_portal.routes import ROUTES

NOW = datetime(2026, 11, 22, 9, 30, 0, 123000, tzinfo=UTC)
FIRST = NOW - timedelta(hours=2)
"""When the first recording began; recordings are told by the minutes since."""

NOTHING = "01990000-0000-7000-8000-000000000000"
"""An id that nothing has."""

OTHERS = {
    "lena": Role.USER,
    "mark": Role.USER,
    "colin": Role.USER,
    "former": Role.USER,
    "carla": Role.USER,
    "gast": Role.USER,
    "ada": Role.ADMINISTRATOR,
    "otto": Role.AUDITOR,
}
PEOPLE = {"anna": Role.USER, "nono": Role.USER, **OTHERS}
LICENSED = {"anna", "nono", "lena"}
"""A licence records; it opens no recording and closes none."""

PROGRAMS = {"program": CLIENT_SCOPES, "reader": (Scope.RECORDINGS_READ,)}
STRANGERS = ("their program", "nobody")
ACTORS = (*PEOPLE, *PROGRAMS, *STRANGERS)

OF_ANNA, OF_ALL = {"of anna", "earlier"}, {"of anna", "earlier", "of nono", "of carla"}
REACH: dict[str, set[str]] = {
    "anna": OF_ANNA,
    # No access: not even to their own.
    "nono": set(),
    # Of Anna only what began while she was in the team; and their own.
    "lena": {"of anna", "of lena"},
    "mark": {"of anna"},
    # Contributors of a team do not hear each other, and who is no longer a listener hears nothing.
    "colin": set(),
    "former": set(),
    "carla": {"of carla"},
    # Admitted to a case: what it holds, and nothing of her own.
    "gast": {"of nono"},
    "ada": {"quarantined"},
    "otto": {*OF_ALL, "of lena", "quarantined"},
    "program": {*OF_ALL, "of lena", "quarantined"},
    "reader": {*OF_ALL, "of lena", "quarantined"},
    "their program": {"theirs"},
    "nobody": set(),
}
UNSEEN = {"unkept", "grace"}
SEEN = {*OF_ALL, "of lena", "quarantined", "theirs"}

BODIES: dict[str, dict[str, Any]] = {
    "/v1/recordings/{id}/retention": {"retainUntil": "2045-01-01T00:00:00Z", "reason": "A claim"},
    "/v1/recordings/{id}/position": {"positionMs": 0},
    "/v1/recordings/{id}/shares": {"days": 1},
    "/v1/recordings/{id}/emails": {"to": "klant@voorbeeld.nl"},
    "/recordings/{id}/purpose": {"purpose": "Coaching"},
}
"""What rows take that look at what they are sent before they look for the recording; a row that does adds it."""

DENIED = {
    Role.USER: {
        Scope.ADMINISTRATION,
        Scope.SESSIONS_READ,
        Scope.AUDIT_READ,
        Scope.EVIDENCE,
        Scope.HOLDS,
        Scope.DATA_SUBJECTS,
        Scope.APPROVALS,
        Scope.OPERATION,
    },
    Role.ADMINISTRATOR: {Scope.EVIDENCE, Scope.OPERATION},
    Role.AUDITOR: {
        Scope.ADMINISTRATION,
        Scope.OPERATION,
        Scope.RECORDINGS_ANNOTATE,
        Scope.RECORDINGS_EMAIL,
        Scope.RECORDINGS_SHARE,
        Scope.RECORDINGS_EVALUATE,
    },
}

BY_TENANT = {None, Scope.ADMINISTRATION, Scope.HOLDS, Scope.DATA_SUBJECTS}
"""What is allowed for all of the tenant: who holds a recording need not hear it."""

OF_RECORDINGS = [
    route
    for route in ROUTES
    if "/recordings/{id}" in route.path
    and route.permission not in BY_TENANT
    and not route.path.endswith("/certificate")
    # Who hears a call need not see what was thought of it: asked apart, by its own table.
    and "{evaluation}" not in route.path
]
READS = [route for route in OF_RECORDINGS if route.method == "GET"]
OF_OTHER_THINGS = [
    route
    for route in ROUTES
    if "{id}" in route.path
    and route.permission
    and route not in OF_RECORDINGS
    # What operators do is of no tenant and has a table of its own.
    and route.permission is not Scope.OPERATION
]
ADMINISTRATION = [route for route in ROUTES if route.permission is Scope.ADMINISTRATION]
GUARDED = [route for route in ROUTES if route.permission is not None]


@dataclasses.dataclass
class World:
    """A tenant with people in every relation to its recordings, and how each of them is recognised."""

    tenant_id: TenantId
    team_id: str
    people: dict[str, User]
    headers: dict[str, dict[str, str]]
    recordings: dict[str, Recording]
    house: Any
    named_in_log: dict[str, str]
    foreign: dict[str, str] = dataclasses.field(default_factory=dict)
    """An id of every kind of thing another tenant has."""
    within: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    """What a row names beside the recording, by the word of its path and the id of the recording."""


def settle(
    house: Any, archive: Callable[..., Recording], insert: Callable[..., Recording], name: str
) -> World:
    """Make a tenant of its own with everybody and everything in it, beside the strangers'."""
    tenant = directory.add_tenant(house.operator, name, f"{name}.example", now=NOW)
    people = {
        login: directory.add_user(
            house.operator,
            tenant.id,
            login,
            now=NOW,
            role=role,
            access="none" if login in {"nono", "gast"} else "own",
            licence=RetentionClass.DAYS_90 if login in LICENSED else None,
            mode=RecordingMode.ALWAYS if login in LICENSED else RecordingMode.NEVER,
        )
        for login, role in PEOPLE.items()
    }
    team_id = directory.add_team(house.operator, tenant.id, "Sales", now=FIRST)
    for login, capacity, minute in (
        ("anna", Capacity.CONTRIBUTOR, 5),
        ("colin", Capacity.CONTRIBUTOR, 0),
        ("lena", Capacity.LISTENER, 20),
        ("mark", Capacity.MANAGER, 0),
        ("former", Capacity.LISTENER, 0),
    ):
        at = FIRST + timedelta(minutes=minute)
        teams.enter(house.operator, tenant.id, team_id, people[login].id, capacity, now=at)
    teams.leave(house.operator, tenant.id, team_id, people["former"].id, Capacity.LISTENER, now=NOW)

    def owned(make: Callable[..., Recording], owner: str | None, minute: int, **changes: Any) -> Recording:
        user_id = None if owner is None else people[owner].id
        return make(tenant.id, minute, owner=user_id, **changes)

    recordings = {
        "of anna": owned(archive, "anna", 10),
        "earlier": owned(archive, "anna", 1),
        "of nono": owned(archive, "nono", 11),
        "of lena": owned(archive, "lena", 12),
        "of carla": owned(archive, "carla", 13),
        "quarantined": owned(archive, None, 14, state=RecordingState.QUARANTINED),
        "unkept": owned(insert, "anna", 15, state=RecordingState.UNKEPT),
        "grace": owned(insert, "anna", 16, state=RecordingState.GRACE),
    }
    headers = {login: house.signed_in(user) for login, user in people.items()}
    named_in_log = {login: f"user:{user.id}" for login, user in people.items()}
    for program, scopes in PROGRAMS.items():
        client = accounts.add_api_client(house.operator, tenant.id, program, scopes, now=NOW)
        headers[program] = {"Authorization": f"Bearer {client.key}"}
        named_in_log[program] = f"api-client:{client.id}"
    headers["nobody"] = {}
    world = World(tenant.id, team_id, people, headers, recordings, house, named_in_log)
    write(world)
    admit(world)
    return world


def admit(world: World) -> None:
    """Hold a recording in a case that somebody is admitted to, and was to one that is released."""
    auditor = accounts.scope_of_user(world.house.portal, world.tenant_id, world.people["otto"].id)
    other = accounts.scope_of_user(world.house.portal, world.tenant_id, world.people["ada"].id)
    gast = world.people["gast"].id
    with world.house.portal.transaction(world.tenant_id) as connection:
        for name in ("of nono", "of carla"):
            case_id = cases.open_case(connection, auditor, name, "x", now=NOW)
            cases.add(connection, auditor, case_id, [world.recordings[name].id], now=NOW)
            case_people.admit(connection, auditor, case_id, gast, now=NOW)
        cases.ask_release(connection, auditor, case_id, "x", now=NOW)
        cases.grant_release(connection, other, case_id, now=NOW)


def write(world: World) -> None:
    """Put a comment on every recording, of somebody who is none of the actors; and make a label."""
    scope = AccessScope(world.tenant_id, "api-client:left", scopes=frozenset(Scope))
    label = labels.make(world.house.portal, scope, labels.NewLabel("Klacht"), now=NOW)
    for recording in world.recordings.values():
        row = {"id": new_id(NOW), "tenant_id": world.tenant_id, "recording_id": recording.id}
        said = {"author": scope.actor, "made_at": NOW, "at_ms": 0, "text": "Mooi", "deleted": False}
        changed = {"changed_by": scope.actor, "changed_at": NOW}
        with world.house.portal.transaction(world.tenant_id) as connection:
            connection.execute(insertion(tables.comments), {**row, **said, **changed})
        world.within["comment", recording.id] = row["id"]
        world.within["label", recording.id] = label.id


@pytest.fixture(scope="module")
def abroad(house: Any, archive: Callable[..., Recording], insert: Callable[..., Recording]) -> World:
    """Another tenant, with all there can be."""
    return settle(house, archive, insert, "abroad")


def beside(world: World, abroad: World) -> World:
    """Return `world` with the strangers beside it: one recording of theirs, a key, and things of each kind."""
    world.recordings["theirs"] = theirs = abroad.recordings["of anna"]
    world.within |= abroad.within
    world.headers["their program"] = abroad.headers["program"]
    house, anna = abroad.house, abroad.people["anna"]
    own = {"tenant_id": anna.tenant_id, "user_id": anna.id}
    passkey = {"id": new_id(NOW), **own, "credential_id": new_id(NOW).encode(), "public_key": b"x"}
    scope = accounts.scope_of_user(house.portal, anna.tenant_id, anna.id)
    search = saved_searches.add(
        house.portal, scope, f"search {new_id(NOW)}", "has=pause", shared=True, now=NOW
    )
    with house.portal.transaction(anna.tenant_id) as connection:
        connection.execute(
            insertion(tables.passkeys), {**passkey, "sign_count": 0, "name": "x", "added_at": NOW}
        )
    sessions = portal_sessions.of_user(house.portal, anna.tenant_id, anna.id, now=NOW)
    listed = do_not_record.add(house.operator, anna.tenant_id, f"010{next(_numbers)}", "lawyer", now=NOW)
    exempt = exempt_numbers.add(house.operator, anna.tenant_id, f"0800{next(_numbers)}", now=NOW)
    holder = AccessScope(anna.tenant_id, "api-client:x", scopes=frozenset(Scope))
    day = f"{next(_years)}-11-22"
    with house.portal.transaction(anna.tenant_id) as connection:
        case_id = cases.open_case(connection, holder, "Claim", "x", now=NOW)
        proposal = proposals.propose_as_operator(
            connection,
            anna.tenant_id,
            "operator:0",
            Wanted(Kind.KEY_DESTRUCTION, f"kek:{anna.tenant_id}/{day}", {"day": day}, "x"),
            now=NOW,
        )
    world.foreign = {
        "case": case_id,
        "proposal": proposal.id,
        "person": anna.id,
        "team": abroad.team_id,
        "recording": theirs.id,
        "session": theirs.session_id,
        "quarantined": abroad.recordings["quarantined"].id,
        "session of a browser": sessions[0].id,
        "passkey": str(passkey["id"]),
        "saved search": search.id,
        "label": abroad.within["label", theirs.id],
        "number not to record": listed.id,
        "exempt number": exempt.id,
    }
    return world


_numbers = itertools.count(7_000_000)
_years = itertools.count(2033)


@pytest.fixture(scope="module")
def world(
    house: Any, archive: Callable[..., Recording], insert: Callable[..., Recording], abroad: World
) -> World:
    """The tenant all rows are tried in; what they leave behind changes no answer of another row."""
    return beside(settle(house, archive, insert, "matrix"), abroad)


@pytest.fixture
def village(
    house: Any, archive: Callable[..., Recording], insert: Callable[..., Recording], abroad: World
) -> World:
    """A tenant for one test that changes who may what."""
    return beside(settle(house, archive, insert, f"village-{next(_villages)}"), abroad)


_villages = itertools.count()


@pytest.fixture
async def portal(house: Any) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(create_app(house.services()))) as client:
        yield client


async def ask(
    portal: TestClient[Any, Any], world: World, actor: str, route: Route, named: str
) -> tuple[int, str]:
    """Return the status of a row for somebody, and its answer without what differs each time."""
    path = route.path.replace("{id}", named)
    path = re.sub(r"\{(\w+)\}", lambda place: world.within.get((place[1], named), NOTHING), path)
    body = BODIES.get(route.path, {})
    sent = {} if route.method == "GET" else {"data": body} if route.page else {"json": body}
    answer = await portal.request(
        route.method, path, headers=world.headers[actor], allow_redirects=False, **sent
    )
    return answer.status, await told(answer, path, named)


async def ask_each(
    portal: TestClient[Any, Any], world: World, actor: str, route: Route, named: dict[str, str]
) -> dict[str, tuple[int, str]]:
    """Return what a row answers somebody about each of several ids, asked at the same time."""
    answers = await asyncio.gather(*(ask(portal, world, actor, route, each) for each in named.values()))
    return dict(zip(named, answers, strict=True))


async def told(answer: ClientResponse, *asked: str) -> str:
    text = (await answer.read()).decode(errors="replace")
    if answer.content_type == "application/problem+json":
        problem = json.loads(text)
        return json.dumps({name: problem[name] for name in sorted(set(problem) - {"instance"})})
    for each in (answer.headers["X-Request-Id"], *asked):
        text = text.replace(each, "")
    return text


def permitted(actor: str, permission: Scope) -> bool:
    if actor == "their program":
        return permission in CLIENT_SCOPES
    return permission in PROGRAMS[actor] if actor in PROGRAMS else permission not in DENIED[PEOPLE[actor]]


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_the_rows_are_those_of_the_table_and_the_people_in_every_relation(world: World) -> None:
    assert set(REACH) == set(ACTORS)
    assert set(world.recordings) == SEEN | UNSEEN
    assert len(OF_RECORDINGS) >= 12
    for route in ROUTES:
        assert (route.permission is None) == (route.audit is None), name_of(route)
        assert "{id}" not in route.path or route.permission is not None, name_of(route)


@pytest.mark.parametrize("route", OF_RECORDINGS, ids=name_of)
async def test_a_recording_answers_to_whom_it_may_and_is_not_there_for_others(
    portal: TestClient[Any, Any], world: World, route: Route
) -> None:
    """And what is read gets its entry in the log, of exactly those who read it."""
    assert route.permission is not None
    before = {(entry.writer, entry.sequence) for entry in whole_log(world)}
    named = {name: each.id for name, each in world.recordings.items()}
    for actor in ACTORS:
        if actor == "nobody" or not permitted(actor, route.permission):
            # The gate stands before any recording is looked for; it is asked on every row below.
            continue
        answers = await ask_each(portal, world, actor, route, {**named, "nothing": NOTHING})
        nothing = answers.pop("nothing")
        for name in set(answers) - REACH[actor]:
            assert answers[name] == nothing, (actor, name)
        for name in REACH[actor]:
            status = answers[name][0]
            assert answers[name] != nothing, (actor, name, answers[name], "does the row need one of BODIES?")
            # A row that leads to another page answers with the way there.
            read = route.method == "GET" and name not in {"quarantined", "theirs"}
            assert status in {200, 303} if read else status < 500, (actor, name, answers[name])
    if route.method == "GET" and route.subject == "recording":
        for name in OF_ALL | {"of lena"}:
            readers = [each for each in ACTORS if name in REACH[each] and permitted(each, route.permission)]
            made = [
                entry.actor
                for entry in entries(world, world.recordings[name])
                if (entry.action, entry.result) == (str(route.audit), "ok")
                and (entry.writer, entry.sequence) not in before
            ]
            assert sorted(made) == sorted(world.named_in_log[each] for each in readers), name


def whole_log(world: World) -> list[Any]:
    return audit_entries.of_tenant(world.house.portal, world.tenant_id)


def entries(world: World, recording: Recording) -> list[Any]:
    return audit_entries.of_object(world.house.portal, recording.tenant_id, f"recording:{recording.id}")


@pytest.mark.parametrize("route", OF_OTHER_THINGS, ids=name_of)
async def test_things_of_another_tenant_are_not_there(
    portal: TestClient[Any, Any], world: World, route: Route
) -> None:
    """Of whatever kind the thing is: a person, a team, a recording, a session, a passkey or a number."""
    assert route.permission is not None
    person = next(each for each in ("ada", "otto") if permitted(each, route.permission))
    for actor in (person, "program"):
        answers = await ask_each(portal, world, actor, route, {**world.foreign, "nothing": NOTHING})
        nothing = answers.pop("nothing")
        assert nothing[0] >= 300, (actor, nothing)
        assert answers == dict.fromkeys(answers, nothing), actor


@pytest.mark.parametrize("actor", ACTORS)
async def test_every_row_lets_in_whose_role_or_key_permits_it_and_nobody_else(
    portal: TestClient[Any, Any], world: World, actor: str
) -> None:
    """The gate before any handler: strangers are led to sign in, and who lacks the permission is told which.

    Of recordings the rows are asked above; of the rest, what changes something by nobody's
    id but one's own is left to the tests of those pages.
    """
    refused = [each for each in GUARDED if actor == "nobody" or not permitted(actor, each.permission)]
    let_in = [
        each
        for each in GUARDED
        if each not in (*refused, *OF_RECORDINGS)
        and each.path != "/v1/events"
        and (each.method == "GET" or each in ADMINISTRATION)
    ]
    asked = (*refused, *let_in)
    answers = await asyncio.gather(*(ask(portal, world, actor, each, NOTHING) for each in asked))
    for route, (status, answer) in zip(asked, answers, strict=True):
        assert status < 500, (name_of(route), answer)
        if route in let_in:
            assert status != 401, name_of(route)
            assert "requiredScope" not in answer, name_of(route)
            # How others sign in is changed by people who signed in themselves, never by a key; and a worker
            # writes a file of people as whoever asked, as long as they may.
            by_people = route in CREDENTIAL_ROUTES or route.path == "/admin/users/import/run"
            if by_people and "Authorization" in world.headers[actor]:
                assert status == 403, name_of(route)
            else:
                assert status != 403 or route not in ADMINISTRATION, (name_of(route), answer)
        elif actor == "nobody":
            assert status == (303 if route.page else 401), name_of(route)
        else:
            assert status == 403, (name_of(route), answer)
            assert route.page or json.loads(answer)["requiredScope"] == route.permission


async def test_taking_the_file_away_needs_the_right_and_the_recording(
    portal: TestClient[Any, Any], village: World
) -> None:
    """Off for everybody; then by the team, then for the person, whatever the team says."""
    sounding = sorted(SEEN - {"quarantined"})
    where = (village.house.operator, village.tenant_id)

    async def download(actor: str, name: str) -> int:
        path = f"/v1/recordings/{village.recordings[name].id}/audio?download=1"
        answer = await portal.get(path, headers=village.headers[actor])
        await answer.read()
        return answer.status

    async def downloads(actor: str) -> dict[str, int]:
        statuses = await asyncio.gather(*(download(actor, name) for name in sounding))
        return dict(zip(sounding, statuses, strict=True))

    def expected(actor: str, allowed: set[str]) -> dict[str, int]:
        return {name: 200 if name in allowed else 403 if name in REACH[actor] else 404 for name in sounding}

    assert await downloads("program") == expected("program", REACH["program"])
    # A key without the scope to play is refused before any recording is looked for.
    assert await downloads("reader") == dict.fromkeys(sounding, 403)
    by_team = {"anna": OF_ANNA, "lena": {"of anna"}, "mark": {"of anna"}}
    for actor, user in village.people.items():
        teams.change(*where, village.team_id, rights=dict.fromkeys(Right, False))
        assert await downloads(actor) == expected(actor, set()), actor
        teams.change(*where, village.team_id, rights=dict.fromkeys(Right, True))
        assert await downloads(actor) == expected(actor, by_team.get(actor, set())), actor
        rights.set_rights(*where, user.id, {Right.DOWNLOAD: True})
        assert await downloads(actor) == expected(actor, REACH[actor]), actor
        rights.set_rights(*where, user.id, {Right.DOWNLOAD: False})
        assert await downloads(actor) == expected(actor, set()), actor


@pytest.mark.parametrize("form", [each.value for each in Format])
async def test_every_form_of_the_sound_takes_the_rights_of_every_other(
    portal: TestClient[Any, Any], village: World, form: str
) -> None:
    """Whatever the sound is made into: hearing it takes the recording, keeping it the right as well."""
    own = (village.house.operator, village.tenant_id, village.people["lena"].id)

    async def asked(name: str, download: str = "") -> int:
        path = f"/v1/recordings/{village.recordings[name].id}/audio?format={form}{download}"
        answer = await portal.get(path, headers=village.headers["lena"])
        await answer.read()
        return answer.status

    # The sound of this house has no table of places, and is repacked by nobody.
    there, beyond = 409 if form == Format.MP4 else 200, min(SEEN - REACH["lena"])
    for allowed, status in ((False, 403), (True, there), (False, 403)):
        rights.set_rights(*own, {Right.DOWNLOAD: allowed})
        assert await asked("of anna") == there
        assert await asked("of anna", "&download=1") == status
        assert await asked(beyond) == await asked(beyond, "&download=1") == 404


async def test_a_listener_removed_during_playback_gets_no_further_range(
    portal: TestClient[Any, Any], village: World
) -> None:
    path = f"/v1/recordings/{village.recordings['of anna'].id}/audio"

    async def part(first: int) -> tuple[int, bytes]:
        headers = {**village.headers["lena"], "Range": f"bytes={first}-{first + 99}"}
        answer = await portal.get(path, headers=headers)
        return answer.status, await answer.read()

    status, octets = await part(0)
    assert (status, len(octets)) == (206, 100)
    assert (await part(100))[0] == 206
    where = (village.house.operator, village.tenant_id, village.team_id)
    teams.leave(*where, village.people["lena"].id, Capacity.LISTENER, now=NOW)
    status, octets = await part(200)
    assert status == 404
    assert b"fLaC" not in octets
    assert json.loads(octets)["type"] == "urn:earwitness:problem:not-found"
    # Nor does the one whose team is gone, and who is put back hears on.
    teams.enter(*where, village.people["lena"].id, Capacity.LISTENER, now=NOW)
    assert (await part(200))[0] == 206
    teams.remove(*where)
    assert (await part(300))[0] == 404


async def test_a_contributor_who_left_is_heard_until_then_and_not_after(
    portal: TestClient[Any, Any], village: World, archive: Callable[..., Recording]
) -> None:
    where = (village.house.operator, village.tenant_id, village.team_id)
    anna = village.people["anna"].id
    teams.leave(*where, anna, Capacity.CONTRIBUTOR, now=FIRST + timedelta(minutes=30))
    later = archive(village.tenant_id, 40, owner=anna)

    async def status(recording: Recording) -> int:
        answer = await portal.get(f"/v1/recordings/{recording.id}", headers=village.headers["lena"])
        return answer.status

    assert await status(village.recordings["of anna"]) == 200
    assert await status(later) == 404
    teams.change(*where, hears_earlier=True)
    assert await status(village.recordings["earlier"]) == 404
    teams.enter(*where, anna, Capacity.CONTRIBUTOR, now=NOW)
    assert await status(village.recordings["earlier"]) == 200
    assert await status(later) == 200


OPENED = [route for route in READS if not route.page and "recording.played" in str(route.audit)] + [
    route for route in READS if not route.page and "recording.read" in str(route.audit)
]


async def test_a_recording_of_somebody_else_is_opened_with_a_purpose_where_the_tenant_wants_it(
    portal: TestClient[Any, Any], village: World
) -> None:
    for route in OPENED:
        await opened_with_a_purpose(portal, village, route)
        village.headers["lena"] = village.house.signed_in(village.people["lena"])


async def opened_with_a_purpose(portal: TestClient[Any, Any], village: World, route: Route) -> None:
    policies.set_policy(village.house.operator, village.tenant_id, purpose_required=True)
    recording = village.recordings["of anna"]
    path = route.path.replace("{id}", recording.id)

    async def opened(actor: str, **headers: str) -> tuple[int, Any]:
        answer = await portal.get(path, headers={**village.headers[actor], **headers})
        problem = answer.content_type == "application/problem+json"
        return answer.status, (await answer.json(content_type=None))[
            "type"
        ] if problem else await answer.read()

    needed = (403, "urn:earwitness:problem:purpose-required")
    for actor in ("lena", "mark", "otto", "program"):
        assert await opened(actor) == needed
        assert entries(village, recording)[-1].result == "refused"
        assert (await opened(actor, **{"X-Purpose": "Klacht %C3%A9%C3%A9n"}))[0] == 200
        last = entries(village, recording)[-1]
        assert (last.action, last.result, last.body["purpose"]) == (str(route.audit), "ok", "Klacht één")
    assert (await opened("anna"))[0] == 200
    assert "purpose" not in entries(village, recording)[-1].body
    for wrong in ("", "%20", "x" * 201, "a%00b", "%E2%80%AE"):
        assert (await opened("lena", **{"X-Purpose": wrong}))[0] == 400
    # What is said on the page counts for this recording, in this session.
    form = {"purpose": "  Coaching \n op verzoek "}
    answer = await portal.post(
        f"/recordings/{recording.id}/purpose",
        data=form,
        headers=village.headers["lena"],
        allow_redirects=False,
    )
    assert (answer.status, answer.headers["Location"]) == (303, f"/recordings/{recording.id}")
    assert (await opened("lena"))[0] == 200
    assert entries(village, recording)[-1].body["purpose"] == "Coaching op verzoek"
    assert await opened("mark") == needed
    again = village.house.signed_in(village.people["lena"])
    assert (await portal.get(path, headers=again)).status == 403
    policies.set_policy(village.house.operator, village.tenant_id, purpose_required=False)
    assert (await opened("mark"))[0] == 200


SEES_EVALUATION = {"anna", "lena", "mark", "otto", "program"}
"""Of a released evaluation of Anna: she herself, who may evaluate it, auditors; no other who hears the call."""


async def test_an_evaluation_is_seen_by_whom_it_is_about_and_who_may_evaluate(
    portal: TestClient[Any, Any], village: World
) -> None:
    path = f"/v1/recordings/{village.recordings['of anna'].id}"
    section = {"title": "Begin", "questions": [{"id": "name", "text": "Naam?", "kind": "yes-no"}]}

    async def send(actor: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = await portal.request(method, path, json=body, headers=village.headers[actor])
        told = await answer.json(content_type=None) if answer.status not in {404, 405} else None
        return answer.status, {**told, "instance": ""} if isinstance(
            told, dict
        ) and "instance" in told else told

    makes = {}
    for actor in set(ACTORS) - {"nobody", "their program"}:
        makes[actor] = (await send(actor, "POST", "/v1/evaluation-forms", {"name": "x", "sections": [section]}))[0]  # fmt: skip
    assert {actor for actor, status in makes.items() if status == 201} == {"ada", "mark", "program"}
    assert set(makes.values()) == {201, 403}
    _, form = await send("ada", "POST", "/v1/evaluation-forms", {"name": "y", "sections": [section]})

    async def begins() -> set[str]:
        answers = {
            each: await send(each, "POST", f"{path}/evaluations", {"formId": form["id"]}) for each in ACTORS
        }
        return {actor for actor, (status, _) in answers.items() if status == 201}

    assert await begins() == {"program"}
    where = (village.house.operator, village.tenant_id)
    teams.change(*where, village.team_id, rights={Right.EVALUATE: True})
    assert await begins() == {"lena", "mark", "program"}
    _, mine = await send("lena", "POST", f"{path}/evaluations", {"formId": form["id"]})
    one = f"{path}/evaluations/{mine['id']}"

    async def sees() -> set[str]:
        return {actor for actor in ACTORS if (await send(actor, "GET", one))[0] == 200}

    assert await sees() == {"lena"}
    assert (await send("lena", "PATCH", one, {"answers": {"name": {"value": 1}}}))[0] == 200
    assert (await send("lena", "POST", f"{one}/releases"))[0] == 201
    assert await sees() == SEES_EVALUATION
    for actor in ACTORS:
        status, listed = await send(actor, "GET", f"{path}/evaluations")
        told = {each["id"] for each in listed["items"]} if status == 200 else set()
        assert (mine["id"] in told) == (actor in SEES_EVALUATION), actor
        assert (status == 200) == ("of anna" in REACH[actor])
    below = [
        "",
        *(f"/{each}" for each in ("releases", "withdrawals", "acknowledgements", "disputes", "settlements")),
    ]
    for actor in set(ACTORS) - SEES_EVALUATION - {"nobody"}:
        # To everybody else it is not there, whatever they would do with it, as if nothing had that id.
        for each, method in itertools.product(below, ("PATCH", "POST")):
            unknown = f"{path}/evaluations/{NOTHING}{each}"
            body = {"text": "x", "answers": {"name": {"value": 1}}}
            assert await send(actor, method, one + each, body) == await send(actor, method, unknown, body)
    acknowledged = {each: (await send(each, "POST", f"{one}/acknowledgements"))[0] for each in ACTORS}
    assert {actor for actor, status in acknowledged.items() if status == 201} == {"anna"}


async def test_a_purpose_is_of_a_session_and_says_something(
    portal: TestClient[Any, Any], village: World
) -> None:
    path = f"/recordings/{village.recordings['of anna'].id}/purpose"
    for actor, form, status in (
        ("lena", {"purpose": " "}, 400),
        ("lena", {}, 400),
        ("program", {"purpose": "x"}, 403),
        ("carla", {"purpose": "x"}, 404),
    ):
        answer = await portal.post(path, data=form, headers=village.headers[actor], allow_redirects=False)
        assert answer.status == status, actor


def test_the_table_here_says_what_the_rule_says(world: World) -> None:
    """So that nobody changes one of them alone."""
    for actor, user in world.people.items():
        scope = accounts.scope_of_user(world.house.portal, world.tenant_id, UserId(user.id))
        held = {
            name: case_people.as_held(world.house.portal, each) for name, each in world.recordings.items()
        }
        reached = {name for name, recording in held.items() if may_read(scope, recording)}
        assert reached == REACH[actor], actor
