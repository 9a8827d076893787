"""Teams over the API: who is in them, and what they allow their members.

A change is a merge patch (RFC 7396): what is not named stays. Who came, went or got
which right stands in the audit log of the team.

Rules: for administrators. A change is durable together with its audit entry, or not made.
Not here: rights of single people (`playback_portal.rights`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from uuid import UUID

from aiohttp import web

from archive.access import Right
from archive.audit import Json
from archive.catalogue import directory, teams
from archive.catalogue.directory import NAME_CHARS_MAX, Capacity
from archive.catalogue.teams import Membership, Team
from archive.errors import NotFound
from archive.model import UserId
from playback_portal import documents
from playback_portal.entity_tag import require_match, tagged_response
from playback_portal.parameters import (
    Parameters,
    bounded_text,
    flag,
    json_flag,
    json_word_of,
    read_body,
    text,
    word_of,
)
from playback_portal.people import as_fault
from playback_portal.problems import ParameterFault, not_found, wrong_parameters
from playback_portal.route import DETAILS, SUBJECT
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

NO_SWITCHES: dict[Right, bool | None] = {}


async def list_teams(request: web.Request) -> web.StreamResponse:
    """Answer with the teams of the tenant, by name."""
    Parameters(request.query).check()
    found = await asyncio.to_thread(
        teams.list_teams, request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    )
    return documents.list_response(request, map(team_document, found), None)


async def post_team(request: web.Request) -> web.StreamResponse:
    """Add a team and answer with it."""
    Parameters(request.query).check()
    body = await read_body(request)
    name = body.need("name", bounded_text(NAME_CHARS_MAX, chars_min=1), "")
    body.check()
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id

    def add() -> Team:
        now = services.clock.now()
        with request[ENTRY].transaction() as connection:
            team_id = directory.insert_team(connection, tenant_id, name, now=now)
            request[SUBJECT] = f"team:{team_id}"
        return teams.team_of(services.catalogue, tenant_id, team_id)

    team = await asyncio.to_thread(as_fault, add)
    response = tagged_response(team_document(team))
    response.set_status(201)
    response.headers["Location"] = f"/v1/teams/{team.id}"
    return response


async def get_team(request: web.Request) -> web.StreamResponse:
    """Answer with one team."""
    Parameters(request.query).check()
    return tagged_response(team_document(await team_asked(request)))


async def patch_team(request: web.Request) -> web.StreamResponse:
    """Change a team by a merge patch and answer with it."""
    Parameters(request.query).check()
    body = await read_body(request)
    name = body.read("name", bounded_text(NAME_CHARS_MAX, chars_min=1), None)
    hears_earlier = body.read("hearsEarlier", json_flag, None)
    rights = body.read("rights", read_rights, NO_SWITCHES)
    body.check()
    tenant_id, team_id = request[SCOPE].tenant_id, recording_id_of(request)

    def change() -> dict[str, Json]:
        wanted = {right: allowed is True for right, allowed in rights.items()}
        with request[ENTRY].transaction() as connection:
            # Compared behind the lock: what somebody else is changing at this moment counts.
            teams.lock(connection, tenant_id)
            before = team_document(teams.team_within(connection, tenant_id, team_id))
            require_match(request.headers.get("If-Match"), before)
            team = teams.change_within(
                connection, tenant_id, team_id, name=name, hears_earlier=hears_earlier, rights=wanted
            )
            after = team_document(team)
            request[DETAILS] = {"changed": changes(before, after)}
        return after

    return tagged_response(await asyncio.to_thread(as_fault, change))


async def delete_team(request: web.Request) -> web.StreamResponse:
    """Remove a team: nobody hears anybody by way of it any more."""
    Parameters(request.query).check()
    team = await team_asked(request)

    def remove() -> None:
        with request[ENTRY].transaction() as connection:
            teams.remove_within(connection, request[SCOPE].tenant_id, team.id)

    await asyncio.to_thread(remove)
    return web.Response(status=204)


async def list_members(request: web.Request) -> web.StreamResponse:
    """Answer with who is in a team, with `past=1` who was as well."""
    parameters = Parameters(request.query)
    past = parameters.read("past", flag, False)
    parameters.check()
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    team_id = recording_id_of(request)

    def read() -> list[Membership]:
        return teams.members_of(catalogue, tenant_id, team_id, past=past)

    found = await asyncio.to_thread(read)
    return documents.list_response(request, map(membership_document, found), None)


async def post_member(request: web.Request) -> web.StreamResponse:
    """Put somebody into a team from now on; twice is once."""
    Parameters(request.query).check()
    body = await read_body(request)
    user_id = body.need("userId", json_user_id, UserId(""))
    capacity = body.need("as", json_word_of(Capacity), Capacity.CONTRIBUTOR)
    body.check()
    services, tenant_id, team = request.app[SERVICES], request[SCOPE].tenant_id, await team_asked(request)
    request[DETAILS] = {"userId": user_id, "as": capacity.value}

    def enter() -> Membership:
        now = services.clock.now()
        with request[ENTRY].transaction() as connection:
            teams.enter_within(connection, tenant_id, team.id, user_id, capacity, now=now)
        found = teams.members_of(services.catalogue, tenant_id, team.id)
        return next(each for each in found if (each.user_id, each.capacity) == (user_id, capacity))

    try:
        membership = await asyncio.to_thread(enter)
    except NotFound as error:
        raise wrong_parameters(ParameterFault("/userId", str(error))) from error
    response = documents.json_response(membership_document(membership))
    response.set_status(201)
    return response


async def delete_member(request: web.Request) -> web.StreamResponse:
    """Take somebody out of a team, in one way or in all; they hear nothing by way of it from now on."""
    parameters = Parameters(request.query)
    capacity = parameters.read("as", word_of(Capacity), None)
    parameters.check()
    services, tenant_id, team = request.app[SERVICES], request[SCOPE].tenant_id, await team_asked(request)
    user_id = user_id_in(request)
    request[DETAILS] = {"userId": user_id, "as": None if capacity is None else capacity.value}

    def leave() -> None:
        now = services.clock.now()
        ways = list(Capacity) if capacity is None else [capacity]
        with request[ENTRY].transaction() as connection:
            left = [teams.leave_within(connection, tenant_id, team.id, user_id, way, now=now) for way in ways]
            if not any(left):
                raise not_found()

    await asyncio.to_thread(leave)
    return web.Response(status=204)


async def team_asked(request: web.Request) -> Team:
    """Return the team the path names; raises NotFound."""
    team_id = recording_id_of(request)
    return await asyncio.to_thread(
        teams.team_of, request.app[SERVICES].catalogue, request[SCOPE].tenant_id, team_id
    )


def user_id_in(request: web.Request) -> UserId:
    """Return the user a path names beside its `{id}`; what can't be an id is not found."""
    try:
        return json_user_id(request.match_info["user"])
    except ValueError:
        raise not_found() from None


def json_user_id(value: Json) -> UserId:
    """Read the id of a user."""
    try:
        return UserId(str(UUID(text(value))))
    except ValueError:
        raise ValueError("It is the id of a user.") from None


def read_rights(value: Json) -> dict[Right, bool | None]:
    """Read rights that are switched; null is as nobody had set them."""
    if not isinstance(value, dict) or not set(value) <= set(Right):
        raise ValueError(f"It is an object of {', '.join(Right)}.")
    if not all(allowed is None or isinstance(allowed, bool) for allowed in value.values()):
        raise ValueError("A right is true, false or null.")
    return {Right(name): None if allowed is None else bool(allowed) for name, allowed in value.items()}


def rights_document(setting: Callable[[Right], bool | None]) -> dict[str, Json]:
    """Return rights as the API shows them."""
    return {right.value: setting(right) for right in Right}


def team_document(team: Team) -> dict[str, Json]:
    """Return a team as the API shows it."""
    return {
        "id": team.id,
        "name": team.name,
        "hearsEarlier": team.hears_earlier,
        "rights": rights_document(team.rights.__contains__),
        "listeners": team.listeners,
        "contributors": team.contributors,
    }


def membership_document(membership: Membership) -> dict[str, Json]:
    """Return a membership as the API shows it."""
    return {
        "userId": membership.user_id,
        "login": membership.login,
        "as": membership.capacity.value,
        "since": documents.time_of(membership.since),
        "until": None if membership.until is None else documents.time_of(membership.until),
    }


def changes(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, Json]:
    """Return what changed for the audit log: rights from what to what, of a name only that it did."""
    return {
        name: "changed" if name == "name" else {"from": before[name], "to": after[name]}
        for name in after
        if before[name] != after[name]
    }
