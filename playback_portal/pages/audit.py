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
from archive.catalogue import audit_bodies, audit_search, legal_duties, listing, scrubs, worm_proofs
from archive.catalogue.audit_bodies import Progress as Erasure
from archive.catalogue.audit_search import AuditPage, AuditQuery
from archive.catalogue.engine import Catalogue
from archive.catalogue.legal_duties import LegalDuty
from archive.catalogue.scrubs import READ_WITHIN, Found, Progress
from archive.catalogue.worm_proofs import WormProof
from archive.errors import Refused
from archive.model import TenantId, UserId
from playback_portal import logins
from playback_portal.deeds import DEEDS
from playback_portal.language import mark
from playback_portal.page import render, see_other
from playback_portal.parameters import CALENDAR
from playback_portal.route import Route
from playback_portal.services import SCOPE, SERVICES, recording_id_in

ENTRIES_ON_PAGE = 50
FINDINGS_ON_PAGE = 20
PATH = "/admin/audit"
FILE_PATH = "/v1/audit/entries"

RESULTS = {
    "ok": mark("Done"),
    "refused": mark("Refused"),
    "failed": mark("Failed"),
    "unconfirmed": mark("Not confirmed"),
}

_USER, _RECORDING = "user:", "recording:"
_PROGRAM, _SERVICE = "api-client:", "service:"


@dataclass(frozen=True)
class Asked:
    """The filters as they were filled in."""

    since: str = ""
    until: str = ""
    who: str = ""
    action: str = ""
    result: str = ""
    recording: str = ""

    def query(self) -> dict[str, str]:
        """Return what stands in the address."""
        named = {
            "from": self.since,
            "to": self.until,
            "who": self.who,
            "action": self.action,
            "result": self.result,
            "recording": self.recording,
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
    def kind(self) -> str:
        """Who did it, where it was no person: a program, the service itself, or "" for others."""
        if self.entry.actor.startswith(_PROGRAM):
            return "program"
        return "service" if self.entry.actor.startswith(_SERVICE) else ""

    @property
    def thing(self) -> tuple[str, str]:
        """What it was done with: its kind, and the end of its id."""
        kind, _, name = self.entry.object.partition(":")
        return kind, name[-6:]

    @property
    def words(self) -> str:
        """The message for the deed, or "" for one without words."""
        return DEEDS.get(self.entry.action, "")


async def list_entries(request: web.Request) -> web.StreamResponse:
    """Show entries, newest first."""
    asked, cursor = _asked(request), request.query.get("cursor") or None
    services, scope = request.app[SERVICES], request[SCOPE]

    def read() -> tuple[AuditQuery, AuditPage, Mapping[UserId, str], Storage]:
        query = _query(services.catalogue, scope.tenant_id, asked)
        page = audit_search.find(services.catalogue, scope, query, limit=ENTRIES_ON_PAGE, cursor=cursor)
        actors = {
            UserId(entry.actor.removeprefix(_USER)) for entry in page.items if entry.actor.startswith(_USER)
        }
        now = services.clock.now()
        storage = Storage.of(services.catalogue, scope.tenant_id, now)
        return query, page, listing.logins_of(services.catalogue, scope, actors), storage

    here = URL(PATH).with_query(asked.query())
    if cursor is not None and not _is_cursor(cursor):
        return see_other(request, str(here))
    query, page, logins, storage = await asyncio.to_thread(read)
    return render(
        request,
        "audit/list.html",
        lines=[_line(entry, logins) for entry in page.items],
        # An administrator answers for the log, and hears nobody by it.
        opens=scope.reads_all,
        asked=asked,
        actions=sorted(DEEDS),
        words=DEEDS,
        results=RESULTS,
        following="" if page.next is None else str(here.update_query(cursor=page.next)),
        first=str(here) if cursor else "",
        file=_file(query),
        storage=storage,
    )


@dataclass(frozen=True)
class Storage:
    """What is known of the bucket that this organisation's recordings stand in, and of the log itself."""

    proof: WormProof | None
    is_proved: bool
    duties: list[LegalDuty]
    progress: Progress
    findings: list[Found]
    erasure: Erasure

    @classmethod
    def of(cls, catalogue: Catalogue, tenant_id: TenantId, now: datetime) -> Storage:
        """Ask for it; blocks."""
        proof = worm_proofs.newest(catalogue)
        return cls(
            proof,
            proof is not None and proof.holds(now),
            [each for each in legal_duties.duties_of(catalogue, tenant_id) if each.ended_at is None],
            scrubs.progress_of(catalogue, tenant_id, now - READ_WITHIN),
            scrubs.findings(catalogue, tenant_id)[:FINDINGS_ON_PAGE],
            audit_bodies.progress_of(catalogue, tenant_id),
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
        "object": query.object,
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
        action=given["action"] if given["action"] in DEEDS else "",
        result=given["result"] if given["result"] in RESULTS else "",
        recording=recording_id_in(given["recording"]) or "",
    )


_NAMES = ("from", "to", "who", "action", "result", "recording")


def _query(catalogue: Catalogue, tenant_id: TenantId, asked: Asked) -> AuditQuery:
    since, until = _day(asked.since), _day(asked.until)
    return AuditQuery(
        since=None if since is None else _midnight(since),
        until=None if until is None else _midnight(until + timedelta(days=1)),
        actor=_actor(catalogue, tenant_id, asked.who),
        action=asked.action,
        object=f"{_RECORDING}{asked.recording}" if asked.recording else "",
        result=asked.result,
    )


def _actor(catalogue: Catalogue, tenant_id: TenantId, who: str) -> str:
    """Return the actor of a login; what is no login of anybody is taken as it stands."""
    user_id = logins.person_of(catalogue, tenant_id, who)
    return who if user_id is None else f"{_USER}{user_id}"


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
