"""Teams: what their members may do, who hears whom, and putting people in by typing a name.

Rules: for administrators. Everything works at once and can be undone by the notice that
tells it; what was done stands in the audit log of the team.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from archive.access import Right, Scope
from archive.allowance import cap_s, month_of
from archive.catalogue import directory, people, rights, teams
from archive.catalogue.directory import Capacity
from archive.catalogue.engine import Catalogue
from archive.catalogue.rights import PersonRights
from archive.catalogue.teams import Membership, Team
from archive.errors import ArchiveError, Conflict, Refused
from archive.model import TenantId, User, UserId
from playback_portal import words
from playback_portal.administration import administrators_only
from playback_portal.language import mark
from playback_portal.page import is_htmx, partial, render, see_other
from playback_portal.problems import not_found
from playback_portal.route import DETAILS, SUBJECT, Handler, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES
from playback_portal.teams import json_user_id, team_asked

CANDIDATES_COUNT_MAX = 8
"""What fits below the field; who sees more types another letter."""

EARLIER = "earlier"
"""The switch beside the rights: hear what members recorded before they came."""


@dataclass(frozen=True)
class Member:
    """A row of the table of members."""

    membership: Membership
    user: User
    rights: PersonRights
    minutes: int
    minutes_max: int | None


@dataclass(frozen=True)
class Candidates:
    """Who is called like what was typed, and who of them is in the team in which ways."""

    text: str = ""
    people: tuple[User, ...] = ()
    inside: frozenset[tuple[UserId, Capacity]] = frozenset()


NOBODY = Candidates()


async def list_teams(request: web.Request) -> web.StreamResponse:
    """Show the first team, with all of them beside it."""
    catalogue, tenant_id = _where(request)
    found = await asyncio.to_thread(teams.list_teams, catalogue, tenant_id)
    if not found:
        return render(request, "teams/empty.html")
    return await _page(request, found[0], found)


async def get_team(request: web.Request) -> web.StreamResponse:
    """Show one team."""
    catalogue, tenant_id = _where(request)
    team = await team_asked(request)
    return await _page(request, team, await asyncio.to_thread(teams.list_teams, catalogue, tenant_id))


async def get_new_team(request: web.Request) -> web.StreamResponse:
    """Show the one field of a new team."""
    return render(request, "teams/new.html", name="", error="")


async def post_team(request: web.Request) -> web.StreamResponse:
    """Add a team and lead to it."""
    name = str((await request.post()).get("name", ""))
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id

    def add() -> str:
        with request[ENTRY].transaction() as connection:
            made = directory.insert_team(connection, tenant_id, name, now=services.clock.now())
            request[SUBJECT] = f"team:{made}"
        return made

    try:
        team_id = await asyncio.to_thread(add)
    except (Conflict, Refused) as error:
        await request[ENTRY].make("refused")
        status, told = _name_fault(error)
        return render(request, "teams/new.html", status=status, name=name, error=told)
    return see_other(request, f"/admin/teams/{team_id}")


async def post_name(request: web.Request) -> web.StreamResponse:
    """Give a team another name."""
    name = str((await request.post()).get("name", ""))
    catalogue, tenant_id = _where(request)
    team = await team_asked(request)

    def change() -> None:
        with request[ENTRY].transaction() as connection:
            teams.change_within(connection, tenant_id, team.id, name=name)
            request[DETAILS] = {"changed": {"name": "changed"}}

    try:
        await asyncio.to_thread(change)
    except (Conflict, Refused) as error:
        await request[ENTRY].make("refused")
        status, told = _name_fault(error)
        found = await asyncio.to_thread(teams.list_teams, catalogue, tenant_id)
        return await _page(request, team, found, status=status, name=name, error=told)
    return see_other(request, f"/admin/teams/{team.id}")


async def post_right(request: web.Request) -> web.StreamResponse:
    """Switch a right of a team, or whether it hears earlier recordings."""
    form = await request.post()
    name, on = str(form.get("right", "")), form.get("on") == "true"
    tenant_id = request[SCOPE].tenant_id
    team = await team_asked(request)
    if name not in {EARLIER, *Right}:
        raise not_found()
    earlier = on if name == EARLIER else None
    switched = {} if name == EARLIER else {Right(name): on}

    def switch() -> Team:
        with request[ENTRY].transaction() as connection:
            request[DETAILS] = {"changed": {name: {"to": on}}}
            return teams.change_within(connection, tenant_id, team.id, hears_earlier=earlier, rights=switched)

    changed = await asyncio.to_thread(switch)
    if not is_htmx(request):
        return see_other(request, f"/admin/teams/{team.id}")
    return partial(request, "teams/switched.html", team=changed, right=name, on=on, words=words)


async def get_candidates(request: web.Request) -> web.StreamResponse:
    """Show the people whose login holds what is being typed, each with the ways to put them in."""
    text = request.query.get("q", "").strip()[: people.CURSOR_CHARS_MAX]
    catalogue, tenant_id = _where(request)
    team = await team_asked(request)

    def read() -> tuple[tuple[User, ...], frozenset[tuple[UserId, Capacity]]]:
        found: tuple[User, ...] = ()
        if text:
            fitting = people.page(
                catalogue, tenant_id, text=text, limit=CANDIDATES_COUNT_MAX, with_former=False
            )
            found = fitting.items
        inside = teams.members_of(catalogue, tenant_id, team.id)
        return found, frozenset((each.user_id, each.capacity) for each in inside)

    found, inside = await asyncio.to_thread(read)
    if not is_htmx(request):
        every = await asyncio.to_thread(teams.list_teams, catalogue, tenant_id)
        return await _page(request, team, every, candidates=Candidates(text, found, inside))
    return partial(
        request,
        "teams/candidates.html",
        team=team,
        candidates=found,
        inside=inside,
        text=text,
        words=words,
    )


async def post_member(request: web.Request) -> web.StreamResponse:
    """Put somebody into the team."""
    return await _move(request, enters=True)


async def post_leaver(request: web.Request) -> web.StreamResponse:
    """Take somebody out of the team."""
    return await _move(request, enters=False)


async def post_removal(request: web.Request) -> web.StreamResponse:
    """Remove a team, once its name was typed."""
    team = await team_asked(request)
    if (await request.post()).get("typed") != team.name:
        await request[ENTRY].make("refused")
        return see_other(request, f"/admin/teams/{team.id}")

    def remove() -> None:
        with request[ENTRY].transaction() as connection:
            teams.remove_within(connection, request[SCOPE].tenant_id, team.id)

    await asyncio.to_thread(remove)
    return see_other(request, "/admin/teams")


async def _move(request: web.Request, *, enters: bool) -> web.StreamResponse:
    """Put somebody in or out, and show the members as they are then."""
    form = await request.post()
    services, (catalogue, tenant_id) = request.app[SERVICES], _where(request)
    team = await team_asked(request)
    try:
        user_id, capacity = json_user_id(str(form.get("user", ""))), Capacity(str(form.get("as", "")))
    except ValueError:
        raise not_found() from None

    def move() -> User:
        user = directory.user_by_id(catalogue, tenant_id, user_id)
        change = teams.enter_within if enters else teams.leave_within
        with request[ENTRY].transaction() as connection:
            change(connection, tenant_id, team.id, user_id, capacity, now=services.clock.now())
            request[DETAILS] = {"userId": user_id, "as": capacity.value}
        return user

    user = await asyncio.to_thread(move)
    if not is_htmx(request):
        return see_other(request, f"/admin/teams/{team.id}")
    members, _ = await _members(request, team)
    moved = {"login": user.login, "user_id": user_id, "capacity": capacity, "enters": enters}
    return partial(
        request,
        "teams/moved.html",
        team=await team_asked(request),
        members=members,
        moved=moved,
        words=words,
        download=Right.DOWNLOAD,
    )


async def _page(
    request: web.Request,
    team: Team,
    every: list[Team],
    *,
    status: int = HTTPStatus.OK,
    name: str | None = None,
    error: str = "",
    candidates: Candidates = NOBODY,
) -> web.Response:
    members, past = await _members(request, team)
    return render(
        request,
        "teams/page.html",
        status=status,
        teams=every,
        team=team,
        members=members,
        past=past,
        name=team.name if name is None else name,
        error=error,
        text=candidates.text,
        candidates=candidates.people,
        inside=candidates.inside,
        words=words,
        download=Right.DOWNLOAD,
    )


async def _members(request: web.Request, team: Team) -> tuple[list[Member], list[Membership]]:
    """Return the rows of who is in a team, and who was."""
    services, (catalogue, tenant_id) = request.app[SERVICES], _where(request)
    month = month_of(services.clock.now())

    def read() -> tuple[list[Member], list[Membership]]:
        every = teams.members_of(catalogue, tenant_id, team.id, past=True)
        inside = [each for each in every if each.until is None]
        who = people.of_ids(catalogue, tenant_id, {each.user_id for each in inside})
        own = {each.user_id: each for each in rights.of_exceptions(catalogue, tenant_id)}
        members = []
        for each in inside:
            user = who[each.user_id]
            follows = PersonRights(user.id, user.login, user.role, frozenset(), frozenset())
            used_s = user.booked_s if user.booked_month == month else 0
            limit_s = cap_s(user.licence)
            members.append(
                Member(
                    membership=each,
                    user=user,
                    rights=own.get(user.id, follows),
                    minutes=used_s // 60,
                    minutes_max=None if limit_s is None else limit_s // 60,
                )
            )
        return members, [each for each in every if each.until is not None]

    return await asyncio.to_thread(read)


def _where(request: web.Request) -> tuple[Catalogue, TenantId]:
    return request.app[SERVICES].catalogue, request[SCOPE].tenant_id


def _name_fault(error: ArchiveError) -> tuple[int, str]:
    if isinstance(error, Conflict):
        return HTTPStatus.CONFLICT, mark("There is a team of this name already.")
    return HTTPStatus.BAD_REQUEST, mark("A name has 1 to 200 characters that can be shown.")


def row(method: str, path: str, handler: Handler, audit: str, subject: str = "team") -> Route:
    """Return a row of a page for administrators."""
    return Route(method, path, administrators_only(handler), Scope.ADMINISTRATION, audit, subject, page=True)


TEAM_ROUTES = (
    row("GET", "/admin/teams", list_teams, "teams.listed"),
    row("GET", "/admin/teams/new", get_new_team, "teams.listed"),
    row("POST", "/admin/teams", post_team, "team.added"),
    row("GET", "/admin/teams/{id}", get_team, "team.viewed"),
    row("POST", "/admin/teams/{id}/name", post_name, "team.changed"),
    row("POST", "/admin/teams/{id}/rights", post_right, "team.changed"),
    row("GET", "/admin/teams/{id}/candidates", get_candidates, "users.listed", ""),
    row("POST", "/admin/teams/{id}/members", post_member, "team.member-set"),
    row("POST", "/admin/teams/{id}/leavers", post_leaver, "team.member-removed"),
    row("POST", "/admin/teams/{id}/removal", post_removal, "team.removed"),
)
