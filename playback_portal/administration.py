"""The rows of the route table for those who administer a tenant: people, policy, lists, quarantine.

Rules: all of them take the scope administration, which of people administrators alone
have (`archive.access.may_administer`).
"""

from __future__ import annotations

from functools import wraps
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope, may_administer
from playback_portal import (
    departures,
    grounds,
    imports,
    lists,
    looks,
    people,
    policies,
    quarantine,
    rights,
    teams,
)
from playback_portal.problems import Problem
from playback_portal.route import Handler, Route
from playback_portal.services import ENTRY, SCOPE


def administrators_only(handler: Handler) -> Handler:
    """Return a handler that refuses people of other roles, whatever their key allows, and logs it."""

    @wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        if not may_administer(request[SCOPE]):
            await request[ENTRY].make("refused")
            raise Problem(
                HTTPStatus.FORBIDDEN, "not-administrator", "This is for administrators of the tenant."
            )
        return await handler(request)

    return handle


def _row(method: str, path: str, handler: Handler, audit: str, subject: str) -> Route:
    return Route(method, path, administrators_only(handler), Scope.ADMINISTRATION, audit, subject)


ADMINISTRATION_ROUTES: tuple[Route, ...] = (
    _row("GET", "/v1/users", people.list_users, "users.listed", "users"),
    _row("POST", "/v1/users", people.post_user, "user.added", "user"),
    _row("POST", "/v1/users/imports", imports.post_import, "users.imported", "users"),
    _row("GET", "/v1/users/{id}", people.get_user, "user.viewed", "user"),
    _row("PATCH", "/v1/users/{id}", people.patch_user, "user.changed", "user"),
    _row("DELETE", "/v1/users/{id}", departures.delete_user, "user.left", "user"),
    _row("POST", "/v1/users/{id}/returns", departures.post_return, "user.returned", "user"),
    _row("GET", "/v1/users/{id}/licences", people.list_licences, "user.licences-viewed", "user"),
    _row(
        "GET", "/v1/users/{id}/licence-preview", people.get_licence_preview, "user.licence-previewed", "user"
    ),
    _row("GET", "/v1/users/{id}/minutes", people.get_minutes, "user.minutes-viewed", "user"),
    _row("GET", "/v1/users/{id}/access", rights.list_hearers, "user.access-viewed", "user"),
    _row("GET", "/v1/teams", teams.list_teams, "teams.listed", "teams"),
    _row("POST", "/v1/teams", teams.post_team, "team.added", "team"),
    _row("GET", "/v1/teams/{id}", teams.get_team, "team.viewed", "team"),
    _row("PATCH", "/v1/teams/{id}", teams.patch_team, "team.changed", "team"),
    _row("DELETE", "/v1/teams/{id}", teams.delete_team, "team.removed", "team"),
    _row("GET", "/v1/teams/{id}/members", teams.list_members, "team.members-listed", "team"),
    _row("POST", "/v1/teams/{id}/members", teams.post_member, "team.member-set", "team"),
    _row("DELETE", "/v1/teams/{id}/members/{user}", teams.delete_member, "team.member-removed", "team"),
    _row("GET", "/v1/rights", rights.get_rights, "rights.viewed", "rights"),
    _row("PATCH", "/v1/rights", rights.patch_rights, "rights.changed", "rights"),
    _row("GET", "/v1/policy", policies.get_policy, "policy.viewed", "policy"),
    _row("PATCH", "/v1/policy", policies.patch_policy, "policy.changed", "policy"),
    _row("GET", "/v1/recording-grounds", grounds.get_recording_grounds, "grounds.viewed", "grounds"),
    _row("POST", "/v1/recording-grounds", grounds.post_recording_grounds, "grounds.registered", "grounds"),
    _row("PUT", "/v1/branding", looks.put_branding, "branding.changed", "branding"),
    _row("PUT", "/v1/branding/logo", looks.put_logo, "branding.changed", "branding"),
    _row("DELETE", "/v1/branding/logo", looks.delete_logo, "branding.changed", "branding"),
    _row("GET", "/v1/do-not-record", lists.list_do_not_record, "do-not-record.listed", "do-not-record"),
    _row("POST", "/v1/do-not-record", lists.post_do_not_record, "do-not-record.added", "do-not-record"),
    _row(
        "DELETE",
        "/v1/do-not-record/{id}",
        lists.delete_do_not_record,
        "do-not-record.removed",
        "do-not-record",
    ),
    _row("GET", "/v1/exempt-numbers", lists.list_exempt_numbers, "exempt-numbers.listed", "exempt-numbers"),
    _row("POST", "/v1/exempt-numbers", lists.post_exempt_number, "exempt-number.added", "exempt-number"),
    _row(
        "DELETE",
        "/v1/exempt-numbers/{id}",
        lists.delete_exempt_number,
        "exempt-number.removed",
        "exempt-number",
    ),
    _row("GET", "/v1/quarantine", quarantine.list_quarantine, "quarantine.listed", "quarantine"),
    _row(
        "POST",
        "/v1/recordings/{id}/assignments",
        quarantine.post_assignment,
        "quarantine.assignment-asked",
        "recording",
    ),
    _row(
        "DELETE",
        "/v1/recordings/{id}",
        quarantine.delete_recording,
        "quarantine.destruction-asked",
        "recording",
    ),
)
