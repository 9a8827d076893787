"""The main menu: one row for each place, shown to whom the route table lets in.

An entry appears by itself as soon as its page stands in the route table and the person
may open it; so the menu can't offer what would be refused.

Rules: pure but for reading the request. Words and order are those of the design.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from playback_portal.language import mark
from playback_portal.route import PAGES
from playback_portal.services import SCOPE


@dataclass(frozen=True)
class Place:
    """An entry of the menu; `key` is the letter behind G that goes there."""

    path: str
    icon: str
    label: str
    key: str = ""


@dataclass(frozen=True)
class Section:
    """Places that belong together; the first section has no heading."""

    heading: str
    places: tuple[Place, ...]


SECTIONS = (
    Section(
        "", (Place("/recordings", "list", mark("Recordings"), "r"), Place("/live", "live", mark("Live"), "l"))
    ),
    Section(
        mark("Work"),
        (
            Place("/evaluations", "eval", mark("Evaluations"), "e"),
            Place("/reports", "report", mark("Reports")),
            Place("/shares", "share", mark("Play links"), "s"),
            Place("/cases", "case", mark("Cases and privacy")),
            Place("/approvals", "check", mark("Two people")),
            Place("/data-subjects", "ear", mark("Privacy requests")),
            Place("/exports", "lock", mark("Evidence"), "x"),
        ),
    ),
    Section(
        mark("Supervision and administration"),
        (
            Place("/completeness", "complete", mark("Completeness"), "c"),
            Place("/admin/teams", "team", mark("Teams"), "t"),
            Place("/admin/users", "users", mark("Users"), "u"),
            Place("/admin/licences", "keep", mark("Licences")),
            Place("/admin/rights", "key", mark("Rights")),
            Place("/admin/what-if", "flask", mark("Try the settings")),
            Place("/calls/why", "search", mark("Call by id")),
            Place("/admin/do-not-record", "minus", mark("Not recorded")),
            Place("/admin/quarantine", "help", mark("Quarantine")),
            Place("/admin/peers", "route", mark("Exchanges")),
            Place("/admin/labels", "tag", mark("Labels")),
            Place("/admin/trash", "trash", mark("Trash")),
            Place("/admin/policies", "gear", mark("Settings")),
            Place("/admin/audit", "clock", mark("Audit log")),
        ),
    ),
    Section(
        mark("Operation"),
        (
            Place("/operator", "complete", mark("Status"), "o"),
            Place("/operator/tenants", "team", mark("Tenants")),
            Place("/operator/nodes", "rec", mark("Recorders")),
            Place("/operator/peers", "in", mark("Exchanges")),
            Place("/operator/sessions", "route", mark("Sessions")),
        ),
    ),
)


def sections_for(request: web.Request) -> tuple[Section, ...]:
    """Return the menu of who asks, without places they may not enter and headings without places."""
    shown = (
        Section(each.heading, tuple(place for place in each.places if may_enter(request, place.path)))
        for each in SECTIONS
    )
    return tuple(section for section in shown if section.places)


def may_enter(request: web.Request, path: str) -> bool:
    """Return whether there is a page at `path` that whoever asks may open."""
    route = request.app[PAGES].get(("GET", path))
    if route is None:
        return False
    return route.permission is None or (SCOPE in request and request[SCOPE].permits(route.permission))


def current(path: str) -> str:
    """Return the place a path belongs to, '' when to none: `/recordings/0190` is below `/recordings`."""
    places = [place.path for section in SECTIONS for place in section.places]
    return max((place for place in places if f"{path}/".startswith(f"{place}/")), key=len, default="")
