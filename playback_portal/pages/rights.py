"""The matrix of rights: what each team may do, and who has a setting of their own.

Rules: for administrators; a switch works at once, can be undone, and stands in the audit log.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from archive.access import Right
from archive.catalogue import teams
from archive.catalogue.teams import Membership
from archive.model import UserId
from playback_portal import words
from playback_portal.page import render
from playback_portal.pages.teams import row
from playback_portal.rights import Matrix, matrix_of
from playback_portal.services import SCOPE, SERVICES


async def get_rights(request: web.Request) -> web.StreamResponse:
    """Show the matrix."""
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id

    def read() -> tuple[Matrix, dict[UserId, list[Membership]]]:
        matrix = matrix_of(catalogue, tenant_id)
        ids = [person.user_id for person in matrix.people]
        inside = teams.memberships_by_person(catalogue, tenant_id, ids)
        return matrix, inside

    matrix, inside = await asyncio.to_thread(read)
    return render(
        request,
        "rights/page.html",
        matrix=matrix,
        by_teams={
            person.user_id: _by_teams(matrix, inside.get(person.user_id, [])) for person in matrix.people
        },
        words=words,
    )


def _by_teams(matrix: Matrix, memberships: list[Membership]) -> frozenset[Right]:
    """Return what their teams allow a person."""
    inside = {each.team_id for each in memberships}
    return frozenset[Right]().union(*(team.rights for team in matrix.teams if team.id in inside))


RIGHTS_ROUTES = (row("GET", "/admin/rights", get_rights, "rights.viewed", "rights"),)
