"""What people may do beside hearing, over the API, and who hears the recordings of a person.

The matrix has all teams, and of the people those with a setting of their own; everybody
else follows their teams.

Rules: for administrators. Everything that is switched stands in the audit log, of whom
and from what to what. What one request switches is switched together with its entry, all
of it or nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from archive.access import Right
from archive.audit import Json
from archive.catalogue import rights, teams
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.rights import Hearer, PersonRights
from archive.catalogue.teams import Team
from archive.errors import NotFound
from archive.model import TenantId, UserId
from playback_portal import documents
from playback_portal.entity_tag import require_match, tagged_response
from playback_portal.parameters import Parameters, read_body
from playback_portal.problems import ParameterFault, wrong_parameters
from playback_portal.route import DETAILS
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of
from playback_portal.teams import read_rights, rights_document

SWITCHED_COUNT_MAX = 200
"""A page of people or teams; more is several requests."""

Switches = Mapping[str, Mapping[Right, bool | None]]
"""Rights to switch, by the id of a team or person."""


@dataclass(frozen=True)
class Matrix:
    """All that was allowed or forbidden in a tenant."""

    teams: list[Team]
    people: list[PersonRights]


async def get_rights(request: web.Request) -> web.StreamResponse:
    """Answer with the matrix of rights."""
    Parameters(request.query).check()
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    return tagged_response(matrix_document(await asyncio.to_thread(matrix_of, catalogue, tenant_id)))


async def patch_rights(request: web.Request) -> web.StreamResponse:
    """Switch rights of teams and people by a merge patch, and answer with the matrix."""
    Parameters(request.query).check()
    body = await read_body(request)
    of_teams: Switches = body.read("teams", _switches, {})
    of_people: Switches = body.read("people", _switches, {})
    body.check()
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id

    def switch() -> Matrix:
        _check_known(catalogue, tenant_id, of_teams, of_people)
        with request[ENTRY].transaction() as connection:
            # Compared behind the lock: what somebody else is changing at this moment counts.
            teams.lock(connection, tenant_id)
            before = matrix_document(matrix_within(connection, tenant_id))
            require_match(request.headers.get("If-Match"), before)
            for team_id, wanted in of_teams.items():
                on = {right: allowed is True for right, allowed in wanted.items()}
                teams.change_within(connection, tenant_id, team_id, rights=on)
            for user_id, wanted in of_people.items():
                rights.switch(connection, tenant_id, UserId(user_id), wanted)
        return matrix_of(catalogue, tenant_id)

    request[DETAILS] = {"teams": _told(of_teams), "people": _told(of_people)}
    return tagged_response(matrix_document(await asyncio.to_thread(switch)))


async def list_hearers(request: web.Request) -> web.StreamResponse:
    """Answer with everybody who hears the recordings of a person, and why."""
    Parameters(request.query).check()
    user_id = UserId(recording_id_of(request))
    found = await asyncio.to_thread(
        rights.hearers_of, request.app[SERVICES].catalogue, request[SCOPE].tenant_id, user_id
    )
    return documents.list_response(request, map(hearer_document, found), None)


def matrix_of(catalogue: Catalogue, tenant_id: TenantId) -> Matrix:
    """Return the matrix of a tenant."""
    return Matrix(teams.list_teams(catalogue, tenant_id), rights.of_exceptions(catalogue, tenant_id))


def matrix_within(connection: Connection, tenant_id: TenantId) -> Matrix:
    """Do as `matrix_of` in the caller's transaction."""
    return Matrix(teams.teams_within(connection, tenant_id), rights.exceptions_within(connection, tenant_id))


def matrix_document(matrix: Matrix) -> dict[str, Json]:
    """Return the matrix as the API shows it."""
    return {
        "teams": [
            {"teamId": team.id, "name": team.name, "rights": rights_document(team.rights.__contains__)}
            for team in matrix.teams
        ],
        "people": [
            {
                "userId": person.user_id,
                "login": person.login,
                "role": person.role.value,
                "rights": rights_document(person.setting),
            }
            for person in matrix.people
        ],
    }


def hearer_document(hearer: Hearer) -> dict[str, Json]:
    """Return somebody who hears a person as the API shows them."""
    return {
        "reason": hearer.reason.value,
        "userId": hearer.user_id,
        "name": hearer.name,
        "teamId": hearer.team_id,
        "teamName": hearer.team_name or None,
        "as": None if hearer.capacity is None else hearer.capacity.value,
        "since": None if hearer.since is None else documents.time_of(hearer.since),
        "until": None if hearer.until is None else documents.time_of(hearer.until),
    }


def _switches(value: Json) -> Switches:
    if not isinstance(value, dict) or len(value) > SWITCHED_COUNT_MAX:
        raise ValueError(f"It is an object with at most {SWITCHED_COUNT_MAX} ids.")
    return {name: read_rights(wanted) for name, wanted in value.items()}


def _check_known(catalogue: Catalogue, tenant_id: TenantId, of_teams: Switches, of_people: Switches) -> None:
    """Raise the 400 Problem before anything is switched when somebody is not there."""
    known = {team.id for team in teams.list_teams(catalogue, tenant_id)}
    faults = [
        ParameterFault(f"/teams/{name[:50]}", "There is no such team.") for name in set(of_teams) - known
    ]
    for name in of_people:
        try:
            rights.of_person(catalogue, tenant_id, UserId(name))
        except NotFound as error:
            faults.append(ParameterFault(f"/people/{name[:50]}", str(error)))
    if faults:
        raise wrong_parameters(*faults)


def _told(switches: Switches) -> dict[str, Json]:
    return {
        name: {right.value: allowed for right, allowed in wanted.items()} for name, wanted in switches.items()
    }
