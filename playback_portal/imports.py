"""A file of people: each row is added or changed, or refused with its reason, and told so.

The columns are those of `earwitness user import` (`archive.roster`). Each person who
was added or changed has an entry of their own in the audit log, durable before the
next row is read.

Rules: a row that is refused does not stop the others; the answer is 200 all the same.
"""

from __future__ import annotations

import asyncio
import io
from http import HTTPStatus

from aiohttp import web

from archive import roster
from archive.access import AccessScope
from archive.approval import grants_power
from archive.audit import Json
from archive.catalogue import directory, people
from archive.catalogue.directory import UserFields
from archive.catalogue.engine import Connection
from archive.errors import Refused
from archive.model import Role, Tenant, User
from archive.roster import RosterResult
from playback_portal import documents
from playback_portal.parameters import Parameters
from playback_portal.people import (
    BY_KEY,
    TOLD_FIELDS,
    changes,
    changes_power,
    login_within,
    user_document,
)
from playback_portal.problems import ParameterFault, Problem, wrong_parameters
from playback_portal.route import DETAILS
from playback_portal.services import SCOPE, SERVICES, Services

MEDIA_TYPE = "text/csv"
BY_TWO = "Making somebody an administrator or auditor takes two people: propose it on the person's page."
ROWS_MAX = 2000
"""A row takes some milliseconds, so that the answer comes before clients and proxies give up."""


async def post_import(request: web.Request) -> web.StreamResponse:
    """Add or change each person of a CSV file and answer with a result per row."""
    Parameters(request.query).check()
    if request.content_type != MEDIA_TYPE:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media-type", f"A file of people is {MEDIA_TYPE}.")
    try:
        # aiohttp refuses what is larger than its limit of 1 MiB, some 10 000 rows.
        text = (await request.read()).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise wrong_parameters(ParameterFault("/", "The file is not UTF-8.")) from None
    roll = Roll(request.app[SERVICES], request[SCOPE], by_key="Authorization" in request.headers)
    try:
        results = await asyncio.to_thread(roll.enter, text)
    except Refused as error:
        raise wrong_parameters(ParameterFault("/", str(error))) from error
    counts = {word: sum(each.result == word for each in results) for word in roster.RESULTS}
    request[DETAILS] = {"rows": dict(counts)}
    return documents.list_response(request, map(_result, results), None)


class Roll:
    """The people of the tenant of a request, while a file of them is read."""

    def __init__(self, services: Services, scope: AccessScope, *, by_key: bool) -> None:
        self._by_key = by_key
        self._services = services
        self._scope = scope
        self._people: dict[str, User] = {}

    def enter(self, text: str) -> list[RosterResult]:
        """Store each row of a CSV; raises Refused when the file is none of ours."""
        catalogue, tenant_id = self._services.catalogue, self._scope.tenant_id
        tenant = people.tenant_of(catalogue, tenant_id)
        for user in directory.list_users(catalogue, tenant_id):
            self._people[f"{user.login}@{tenant.domain}"] = user

        rows = roster.read(io.StringIO(text, newline=""), rows_max=ROWS_MAX)
        return roster.enter(rows, lambda login, fields: self._store(tenant, login, fields))

    def _store(self, tenant: Tenant, login: str, fields: UserFields) -> bool:
        before = self._people.get(login)
        own = before is not None and before.id == self._scope.user_id
        if before is not None and own and fields.get("role", before.role) is not before.role:
            raise Refused("Nobody changes their own role: ask another administrator.")
        known = Role.USER if before is None else before.role
        if self._by_key and changes_power(known, fields.get("role", known)):
            raise Refused(BY_KEY)
        if grants_power(known, fields.get("role", known)):
            raise Refused(BY_TWO)
        if "@" not in login:
            raise Refused(f"{login!r} is not LOGIN@DOMAIN, for instance anna@{tenant.domain}.")
        change = directory.insert_user if before is None else directory.update_user
        name, now = login_within(tenant, login), self._services.clock.now()
        with self._services.audit.transaction(tenant.id) as connection:
            user = change(connection, tenant.id, name, now=now, **fields)
            document = user_document(user, tenant)
            told: dict[str, Json] = {name: document[name] for name in TOLD_FIELDS}
            if before is not None:
                told = changes(user_document(before, tenant), document)
            self._record(connection, "user.added" if before is None else "user.changed", user, told)
        self._people[login] = user
        return before is None

    def _record(self, connection: Connection, action: str, user: User, told: dict[str, Json]) -> None:
        self._services.audit.append(
            connection,
            tenant_id=user.tenant_id,
            actor=self._scope.actor,
            action=action,
            object=f"user:{user.id}",
            body={"changed": told},
            at=self._services.clock.now(),
        )


def _result(result: RosterResult) -> Json:
    return {
        "line": result.line,
        "login": result.login,
        "result": result.result,
        "reason": result.reason or None,
    }
