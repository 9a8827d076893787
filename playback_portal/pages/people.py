"""People: with their numbers, role and access, what they may do, and who hears them.

Rules: for administrators, who change something shortly after they signed in; nobody changes
their own role. A change is durable together with its audit entry. What is switched works at
once and can be undone by the notice that tells it. Not here: how somebody signs in
(`credentials`), licences and modes of many at once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from yarl import URL

from archive.access import Right
from archive.approval import Kind, Proposal, ProposedAlready
from archive.catalogue import departures, directory, people, proposals, rights, teams
from archive.catalogue.departures import Outlook
from archive.catalogue.directory import UserFields
from archive.catalogue.identities import Account
from archive.catalogue.people import PeoplePage
from archive.catalogue.recordings import SEARCH_CHARS_MAX
from archive.catalogue.rights import Hearer, PersonRights
from archive.catalogue.teams import Membership
from archive.errors import ArchiveError, Conflict, Refused
from archive.model import RecordingMode, Role, Tenant, User, UserId
from archive.roll import login_within
from playback_portal import words
from playback_portal.admission import again
from playback_portal.entity_tag import ChangedMeanwhile
from playback_portal.language import mark
from playback_portal.page import is_htmx, partial, render, see_other
from playback_portal.pages.credentials import CREDENTIAL_ROUTES, Credentials, credentials_of
from playback_portal.pages.departures import DEPARTURE_ROUTES
from playback_portal.pages.licences import LICENCE_ROUTES
from playback_portal.pages.numbers import NUMBER_ROUTES
from playback_portal.pages.rights import RIGHTS_ROUTES
from playback_portal.pages.teams import TEAM_ROUTES, row
from playback_portal.people import add_user, change_user, check_role, profile_tag
from playback_portal.problems import not_found
from playback_portal.route import DETAILS
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

PEOPLE_ON_PAGE = 50
FOLLOW = "follow"
"""The value of a switch that lets a person follow their teams again."""

CHANGED = mark("Somebody else changed this person meanwhile. See what stands here now, and change it again.")
PROPOSED = mark("This role waits for a second person already.")
OWN_ROLE = mark("Nobody changes their own role. Ask another administrator.")

OWN_MODES = "own_modes"
"""A field that is there once for each mode and once empty: none that is ticked is not a form without it."""

_SETTINGS = {"true": True, "false": False, FOLLOW: None}
_ELEMENT = re.compile(r"[a-z0-9-]{1,120}")


@dataclass(frozen=True)
class Profile:
    """All that the page of a person shows."""

    user: User
    tenant: Tenant
    rights: PersonRights
    memberships: list[Membership]
    by_teams: frozenset[Right]
    hearers: list[Hearer]
    credentials: Credentials
    proposed: Proposal | None
    """The role that waits for a second person."""
    outlook: Outlook
    """What would end, were they to leave now."""


async def list_users(request: web.Request) -> web.StreamResponse:
    """Show people by login, as far as their login holds what was typed."""
    text = request.query.get("q", "").strip()[:SEARCH_CHARS_MAX]
    cursor = request.query.get("cursor") or None
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id

    def read() -> tuple[PeoplePage, dict[UserId, list[Membership]]]:
        found = people.page(catalogue, tenant_id, text=text or None, limit=PEOPLE_ON_PAGE, cursor=cursor)
        return found, teams.memberships_by_person(catalogue, tenant_id, [each.id for each in found.items])

    try:
        page, memberships = await asyncio.to_thread(read)
    except Refused:
        return see_other(request, "/admin/users")
    following = ""
    if page.next is not None:
        following = str(URL(request.path).with_query({"q": text, "cursor": page.next}))
    template = "people/_rows.html" if is_htmx(request) else "people/list.html"
    return render(
        request,
        template,
        people=page.items,
        memberships=memberships,
        text=text,
        following=following,
        words=words,
    )


async def get_new_user(request: web.Request) -> web.StreamResponse:
    """Show the form of a new person."""
    return render(request, "people/new.html", form={}, error="", words=words, again=again(request))


async def post_user(request: web.Request) -> web.StreamResponse:
    """Add a person and lead to them."""
    form = {name: str(value) for name, value in (await request.post()).items()}
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id

    def add() -> User:
        fields = _fields(form)
        check_role(request, Role.USER, fields)
        tenant = people.tenant_of(services.catalogue, tenant_id)
        login = login_within(tenant, form.get("login", ""))
        return add_user(request, login, tenant, fields)

    try:
        user = await asyncio.to_thread(add)
    except (Conflict, Refused, ValueError) as error:
        await request[ENTRY].make("refused")
        status, told = _fault(error)
        return render(request, "people/new.html", status=status, form=form, error=told, words=words, again="")
    return see_other(request, f"/admin/users/{user.id}")


async def get_user(request: web.Request) -> web.StreamResponse:
    """Show one person."""
    return await _page(request)


async def post_profile(request: web.Request) -> web.StreamResponse:
    """Change role, access, site, name at the exchange, and the modes a person may choose from."""
    posted = await request.post()
    form = {name: str(value) for name, value in posted.items()}
    scope = request[SCOPE]
    before = await _profile(request)
    try:
        fields = _fields(form)
        if OWN_MODES in form:
            chosen = (str(each) for each in posted.getall(OWN_MODES))
            fields["own_modes"] = tuple(RecordingMode(each) for each in chosen if each)
        # One's own page offers no other role; whoever sends one all the same is told no.
        if before.user.id == scope.user_id and fields.get("role", before.user.role) is not before.user.role:
            return await _refused(request, OWN_ROLE, HTTPStatus.FORBIDDEN)
        seen = form.get("seen")
        await asyncio.to_thread(change_user, request, before.user.id, before.tenant, fields, seen)
    except ChangedMeanwhile:
        # What stands there now is shown, and nothing that was typed over what it was before.
        return await _refused(request, CHANGED, HTTPStatus.CONFLICT)
    except ProposedAlready:
        return await _refused(request, PROPOSED, HTTPStatus.CONFLICT, form)
    except (Conflict, Refused, ValueError) as error:
        status, told = _fault(error)
        typed = form | {OWN_MODES: " ".join(map(str, posted.getall(OWN_MODES, ())))}
        return await _refused(request, told, status, typed)
    return see_other(request, f"/admin/users/{before.user.id}")


async def post_right(request: web.Request) -> web.StreamResponse:
    """Allow or forbid a person a right, or let them follow their teams."""
    form = await request.post()
    name, wanted, at = (str(form.get(field, "")) for field in ("right", "on", "at"))
    if name not in set(Right) or wanted not in _SETTINGS or not _ELEMENT.fullmatch(at or "x"):
        raise not_found()
    right, allowed = Right(name), _SETTINGS[wanted]
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    user_id = UserId(recording_id_of(request))

    def switch() -> tuple[PersonRights, bool | None]:
        before = rights.of_person(catalogue, tenant_id, user_id).setting(right)
        with request[ENTRY].transaction() as connection:
            request[DETAILS] = {"changed": {name: {"from": before, "to": allowed}}}
            return rights.switch(connection, tenant_id, user_id, {right: allowed}), before

    person, before = await asyncio.to_thread(switch)
    if not is_htmx(request):
        return see_other(request, f"/admin/users/{user_id}")
    by_teams = (await _profile(request)).by_teams
    undo = FOLLOW if before is None else str(before).lower()
    return partial(
        request,
        "people/switched.html",
        person=person,
        right=right,
        by_teams=by_teams,
        at=at,
        undo=undo,
        words=words,
    )


async def _refused(
    request: web.Request, told: str, status: int, typed: Mapping[str, str] | None = None
) -> web.Response:
    await request[ENTRY].make("refused")
    return await _page(request, status=status, error=told, typed=typed)


async def _page(
    request: web.Request,
    *,
    status: int = HTTPStatus.OK,
    error: str = "",
    typed: Mapping[str, str] | None = None,
) -> web.Response:
    """Return the page; `typed` is what a form held that could not be taken."""
    profile = await _profile(request)
    own = profile.user.id == request[SCOPE].user_id
    return render(
        request,
        "people/page.html",
        status=status,
        profile=profile,
        proposed_role=None if profile.proposed is None else Role(str(profile.proposed.parameters["role"])),
        own=own,
        error=error,
        sent=typed or {},
        seen=profile_tag(profile.user),
        words=words,
        again=again(request),
    )


async def _profile(request: web.Request) -> Profile:
    """Return what is known of the person the path names; raises NotFound."""
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    user_id = UserId(recording_id_of(request))
    now = request.app[SERVICES].clock.now()

    def read() -> Profile:
        user = directory.user_by_id(catalogue, tenant_id, user_id)
        memberships = teams.memberships_of(catalogue, tenant_id, user_id)
        allowed = {team.id: team.rights for team in teams.list_teams(catalogue, tenant_id)}
        return Profile(
            user=user,
            tenant=people.tenant_of(catalogue, tenant_id),
            rights=rights.of_person(catalogue, tenant_id, user_id),
            memberships=memberships,
            by_teams=frozenset().union(*(allowed[each.team_id] for each in memberships)),
            hearers=rights.hearers_of(catalogue, tenant_id, user_id),
            credentials=credentials_of(catalogue, Account(tenant_id, user_id), now),
            proposed=proposals.waiting_for(catalogue, tenant_id, Kind.ROLE_GRANT, f"user:{user_id}", now=now),
            outlook=departures.outlook(catalogue, user, now=now),
        )

    return await asyncio.to_thread(read)


def _fields(form: dict[str, str]) -> UserFields:
    """Return the fields a form sent; raises ValueError for a word that is none."""
    fields: UserFields = {}
    if "role" in form:
        fields["role"] = Role(form["role"])
    if "access" in form:
        fields["access"] = form["access"]
    if "numbers" in form:
        fields["numbers"] = form["numbers"].replace(",", " ").split()
    if "site" in form:
        fields["site"] = form["site"].strip() or None
    if "broadworks_id" in form:
        fields["broadworks_id"] = form["broadworks_id"].strip() or None
    return fields


def _fault(error: ArchiveError | ValueError) -> tuple[int, str]:
    if isinstance(error, Conflict):
        return HTTPStatus.CONFLICT, mark("A name or one of the numbers belongs to somebody already.")
    return HTTPStatus.BAD_REQUEST, mark("Check names and numbers: something in them is not right.")


USER_ROUTES = (
    row("GET", "/admin/users", list_users, "users.listed", "users"),
    row("GET", "/admin/users/new", get_new_user, "users.listed", "users"),
    row("POST", "/admin/users", post_user, "user.added", "user"),
    row("GET", "/admin/users/{id}", get_user, "user.viewed", "user"),
    row("POST", "/admin/users/{id}/profile", post_profile, "user.changed", "user"),
    row("POST", "/admin/users/{id}/rights", post_right, "user.rights-changed", "user"),
)

PEOPLE_ROUTES = (
    *USER_ROUTES,
    *NUMBER_ROUTES,
    *DEPARTURE_ROUTES,
    *CREDENTIAL_ROUTES,
    *LICENCE_ROUTES,
    *TEAM_ROUTES,
    *RIGHTS_ROUTES,
)
"""The pages of people, licences, teams and rights."""
