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
from collections.abc import Iterable, Sequence
from http import HTTPStatus

from aiohttp import web

from archive import roll, roster
from archive.access import AccessScope
from archive.audit import Json
from archive.catalogue import directory, people
from archive.catalogue.directory import UserFields
from archive.catalogue.engine import savepoint
from archive.errors import Refused
from archive.model import UserId
from archive.roll import Roll
from archive.roster import RosterResult, RosterRow
from archive.roster_batches import batches
from playback_portal import documents
from playback_portal.parameters import Parameters
from playback_portal.problems import ParameterFault, Problem, wrong_parameters
from playback_portal.route import DETAILS
from playback_portal.services import SCOPE, SERVICES, Services

MEDIA_TYPE = "text/csv"
ROWS_MAX = 2000
"""A row takes some milliseconds, so that the answer comes before clients and proxies give up."""

BATCH_ROWS_MAX = 20
"""Rows that are tried at once: who signs in or is changed meanwhile waits for a fraction of a second."""


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


def roll_of(request: web.Request) -> Enrolling:
    """Return the people whom a request may add and change. Blocks."""
    return Enrolling(request.app[SERVICES], request[SCOPE], by_key="Authorization" in request.headers)


def counts_of(results: Iterable[RosterResult]) -> dict[str, int]:
    """Return how many rows ended in which way; a way of none is left out."""
    return dict(Counter(each.result for each in results))


class Enrolling:
    """The people of the tenant of a request, while a file of them is read."""

    def __init__(self, services: Services, scope: AccessScope, *, by_key: bool) -> None:
        self._services = services
        self._scope = scope
        self._tenant = people.tenant_of(services.catalogue, scope.tenant_id)
        self._roll = Roll(self._tenant, scope.user_id, by_key)

    def enter(self, rows: Iterable[RosterRow]) -> list[RosterResult]:
        """Store each row together with its entry in the log; raises Refused when the file is none of ours."""
        return roster.enter(rows, self._store)

    def preview(self, rows: Sequence[RosterRow]) -> list[RosterResult]:
        """Return what would become of each row; nothing is stored. Raises as `enter`.

        It is tried out, which keeps others from the people of these rows: so batch by batch.
        """
        known = directory.list_users(self._services.catalogue, self._tenant.id)
        there = {f"{each.login}@{self._tenant.domain}": each for each in known}
        told: dict[int, RosterResult] = {}
        for batch in batches(rows, there, BATCH_ROWS_MAX):
            asked = [rows[place] for place in batch]
            ids = [there[row.login].id for row in asked if row.login in there]
            told.update(zip(batch, self._tried(asked, ids), strict=True))
        return [told[place] for place in range(len(rows))]

    def _tried(self, rows: Iterable[RosterRow], ids: Iterable[UserId]) -> list[RosterResult]:
        """Return what would become of rows, having locked these people as everybody locks several."""
        now = self._services.clock.now()
        with self._services.catalogue.trial(self._tenant.id) as connection:
            directory.lock_people(connection, self._tenant.id, ids)

            def attempt(login: str, fields: UserFields) -> str:
                # What fails undoes itself alone, so that the rows behind it are told as they would go.
                with savepoint(connection):
                    return self._roll.write(connection, login, fields, now=now).result

            return roster.enter(rows, attempt)

    def _store(self, login: str, fields: UserFields) -> str:
        audit, now = self._services.audit, self._services.clock.now()
        with audit.transaction(self._tenant.id) as connection:
            made = self._roll.write(connection, login, fields, now=now)
            roll.enter(audit, connection, made, self._scope.actor, now=now)
        return made.result


def _result(result: RosterResult) -> Json:
    return {
        "line": result.line,
        "login": result.login,
        "result": result.result,
        "reason": result.reason or None,
    }
