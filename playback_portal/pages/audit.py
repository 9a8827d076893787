"""The audit log for people: what was done in the organisation, by whom, in a period.

Rules: for auditors and administrators. A person is named as they sign in; who is no longer
there keeps their number. Days are those of Amsterdam, and the last one counts whole. The
file holds what the filters show. Not here: one recording's history (`pages.recording`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from aiohttp import web
from yarl import URL

from archive.access import Scope
from archive.audit import AuditEntry
from archive.audit_chain import FIELD_CHARS_MAX
from archive.catalogue import audit_search, listing, people
from archive.catalogue.audit_search import AuditPage, AuditQuery
from archive.catalogue.engine import Catalogue
from archive.errors import Refused
from archive.model import TenantId, UserId
from playback_portal.history import ACTIONS
from playback_portal.language import mark
from playback_portal.page import render, see_other
from playback_portal.parameters import CALENDAR
from playback_portal.route import Route
from playback_portal.services import SCOPE, SERVICES

ENTRIES_ON_PAGE = 50
PATH = "/admin/audit"
FILE_PATH = "/v1/audit/entries"

RESULTS = {
    "ok": mark("Done"),
    "refused": mark("Refused"),
    "failed": mark("Failed"),
    "unconfirmed": mark("Not confirmed"),
}
_USER, _RECORDING = "user:", "recording:"


@dataclass(frozen=True)
class Asked:
    """The filters as they were filled in."""

    since: str = ""
    until: str = ""
    who: str = ""
    action: str = ""
    result: str = ""

    def query(self) -> dict[str, str]:
        """Return what stands in the address."""
        named = {
            "from": self.since,
            "to": self.until,
            "who": self.who,
            "action": self.action,
            "result": self.result,
        }
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True)
class Line:
    """An entry as it is shown."""

    entry: AuditEntry
    person: str
    """The login of who did it, "" for programs and the service."""

    recording_id: str
    purpose: str

    @property
    def proof(self) -> str:
        """Where the proof of the entry is."""
        return f"/v1/audit/entries/{audit_search.id_of(self.entry)}/proof"

    @property
    def words(self) -> str:
        """The message for the deed, or "" for one without words."""
        return ACTIONS.get(self.entry.action, "")


async def list_entries(request: web.Request) -> web.StreamResponse:
    """Show entries, newest first."""
    asked, cursor = _asked(request), request.query.get("cursor") or None
    services, scope = request.app[SERVICES], request[SCOPE]

    def read() -> tuple[AuditQuery, AuditPage, Mapping[UserId, str]]:
        query = _query(services.catalogue, scope.tenant_id, asked)
        page = audit_search.find(services.catalogue, scope, query, limit=ENTRIES_ON_PAGE, cursor=cursor)
        actors = {
            UserId(entry.actor.removeprefix(_USER)) for entry in page.items if entry.actor.startswith(_USER)
        }
        return query, page, listing.logins_of(services.catalogue, scope, actors)

    here = URL(PATH).with_query(asked.query())
    if cursor is not None and not _is_cursor(cursor):
        return see_other(request, str(here))
    query, page, logins = await asyncio.to_thread(read)
    return render(
        request,
        "audit/list.html",
        lines=[_line(entry, logins) for entry in page.items],
        asked=asked,
        actions=sorted(ACTIONS),
        words=ACTIONS,
        results=RESULTS,
        following="" if page.next is None else str(here.update_query(cursor=page.next)),
        first=str(here) if cursor else "",
        file=_file(query),
    )


def _is_cursor(cursor: str) -> bool:
    try:
        audit_search.check_cursor(cursor)
    except Refused:
        return False
    return True


def _file(query: AuditQuery) -> str:
    """Return where the same entries are a file for a spreadsheet."""
    asked = {
        "from": "" if query.since is None else query.since.isoformat(),
        "to": "" if query.until is None else query.until.isoformat(),
        "actor": query.actor,
        "action": query.action,
        "result": query.result,
    }
    return str(
        URL(FILE_PATH).with_query(
            {"format": "csv", **{name: value for name, value in asked.items() if value}}
        )
    )


def _asked(request: web.Request) -> Asked:
    given = {name: request.query.get(name, "").strip()[:FIELD_CHARS_MAX].replace("\0", "") for name in _NAMES}
    return Asked(
        since=given["from"] if _day(given["from"]) else "",
        until=given["to"] if _day(given["to"]) else "",
        who=given["who"],
        action=given["action"] if given["action"] in ACTIONS else "",
        result=given["result"] if given["result"] in RESULTS else "",
    )


_NAMES = ("from", "to", "who", "action", "result")


def _query(catalogue: Catalogue, tenant_id: TenantId, asked: Asked) -> AuditQuery:
    since, until = _day(asked.since), _day(asked.until)
    return AuditQuery(
        since=None if since is None else _midnight(since),
        until=None if until is None else _midnight(until + timedelta(days=1)),
        actor=_actor(catalogue, tenant_id, asked.who),
        action=asked.action,
        result=asked.result,
    )


def _actor(catalogue: Catalogue, tenant_id: TenantId, who: str) -> str:
    """Return the actor of a login; what is no login of anybody is taken as it stands."""
    if not who:
        return ""
    found = people.page(catalogue, tenant_id, text=who, limit=ENTRIES_ON_PAGE).items
    return next((f"{_USER}{each.id}" for each in found if each.login.lower() == who.lower()), who)


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    # The day behind the last one there is has no midnight.
    return found if date.min < found < date.max else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), CALENDAR)


def _line(entry: AuditEntry, logins: Mapping[UserId, str]) -> Line:
    purpose = (entry.body or {}).get("purpose")
    return Line(
        entry=entry,
        person=logins.get(UserId(entry.actor.removeprefix(_USER)), "")
        if entry.actor.startswith(_USER)
        else "",
        recording_id=entry.object.removeprefix(_RECORDING) if entry.object.startswith(_RECORDING) else "",
        purpose=purpose if isinstance(purpose, str) else "",
    )


AUDIT_PAGE_ROUTES = (Route("GET", PATH, list_entries, Scope.AUDIT_READ, "audit.listed", page=True),)
