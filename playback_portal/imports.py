"""A file of people: each row is added or changed, or refused with its reason, and told so.

The columns are those of `earwitness user import` (`archive.roster`). Each person who
was added or changed has an entry of their own in the audit log, durable before the
next row is read.

Rules: a row that is refused does not stop the others; the answer is 200 all the same.
"""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus

from aiohttp import web

from archive import roster
from archive.access import AccessScope
from archive.approval import grants_power
from archive.audit import Json
from archive.catalogue import directory, people
from archive.catalogue.directory import UserFields
from archive.catalogue.engine import Connection, savepoint
from archive.errors import Refused
from archive.model import Role, User
from archive.roster import RosterResult, RosterRow
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

    def enter() -> list[RosterResult]:
        # Read to its end first: a file that is broken further down stores nothing.
        return roll_of(request).enter(list(roster.read(io.StringIO(text, newline=""), rows_max=ROWS_MAX)))

    try:
        results = await asyncio.to_thread(enter)
    except Refused as error:
        raise wrong_parameters(ParameterFault("/", str(error))) from error
    request[DETAILS] = {"rows": dict(counts_of(results))}
    return documents.list_response(request, map(_result, results), None)


def roll_of(request: web.Request) -> Roll:
    """Return the people whom a request may add and change. Blocks."""
    return Roll(request.app[SERVICES], request[SCOPE], by_key="Authorization" in request.headers)


def counts_of(results: Iterable[RosterResult]) -> dict[str, int]:
    """Return how many rows ended in which way; a way of none is left out."""
    return dict(Counter(each.result for each in results))


class Roll:
    """The people of the tenant of a request, while a file of them is read."""

    def __init__(self, services: Services, scope: AccessScope, *, by_key: bool) -> None:
        self._by_key = by_key
        self._services = services
        self._scope = scope
        self._people: dict[str, User] = {}
        self._tenant = people.tenant_of(services.catalogue, scope.tenant_id)
        for user in directory.list_users(services.catalogue, scope.tenant_id):
            self._people[f"{user.login}@{self._tenant.domain}"] = user

    def enter(self, rows: Iterable[RosterRow]) -> list[RosterResult]:
        """Store each row together with its entry in the log; raises Refused when the file is none of ours."""
        return roster.enter(rows, self._store)

    def preview(self, rows: Iterable[RosterRow]) -> list[RosterResult]:
        """Return what would become of each row; nothing is stored. Raises as `enter`."""
        with self._services.catalogue.trial(self._tenant.id) as connection:

            def attempt(login: str, fields: UserFields) -> str:
                # What fails undoes itself alone, so that the rows behind it are told as they would go.
                with savepoint(connection):
                    return self._write(connection, login, fields)[0]

            return roster.enter(rows, attempt)

    def _store(self, login: str, fields: UserFields) -> str:
        with self._services.audit.transaction(self._tenant.id) as connection:
            result, user, told = self._write(connection, login, fields)
            if result != roster.UNCHANGED:
                action = "user.added" if result == roster.ADDED else "user.changed"
                self._record(connection, action, user, told)
        return result

    def _write(
        self, connection: Connection, login: str, fields: UserFields
    ) -> tuple[str, User, dict[str, Json]]:
        """Add or change one person; return what was done, to whom, and what the log tells of it."""
        before = self._people.get(login)
        self._check(login, before, fields)
        change = directory.insert_user if before is None else directory.update_user
        now = self._services.clock.now()
        user = change(connection, self._tenant.id, login_within(self._tenant, login), now=now, **fields)
        self._people[login] = user
        document = user_document(user, self._tenant)
        if before is None:
            return roster.ADDED, user, {name: document[name] for name in TOLD_FIELDS}
        told = changes(user_document(before, self._tenant), document)
        return roster.CHANGED if told else roster.UNCHANGED, user, told

    def _check(self, login: str, before: User | None, fields: UserFields) -> None:
        """Raise Refused for what a file may not do."""
        known = Role.USER if before is None else before.role
        wanted = fields.get("role", known)
        if before is not None and before.id == self._scope.user_id and wanted is not before.role:
            raise Refused("Nobody changes their own role: ask another administrator.")
        if self._by_key and changes_power(known, wanted):
            raise Refused(BY_KEY)
        if grants_power(known, wanted):
            raise Refused(BY_TWO)
        if "@" not in login:
            raise Refused(f"{login!r} is not LOGIN@DOMAIN, for instance anna@{self._tenant.domain}.")

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
