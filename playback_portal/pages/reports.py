"""Reports for people: a chart and a table of the same numbers, of days and a team that stand in the address.

Rules: who sees which numbers is `archive.access.report_reach`'s to say; what can't be offered is
not shown. Days that make no sense become the month so far, and the page says so. The words of
reports are those of the files too (`archive.reports.words`). Not here: files (`playback_portal.reports`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import date, timedelta

from aiohttp import web
from yarl import URL

from archive.access import AccessScope, evaluating, may_read_sessions
from archive.catalogue import teams
from archive.catalogue.engine import Catalogue
from archive.errors import Refused
from archive.model import Role
from archive.reports import making, words
from archive.reports.making import Asked
from archive.reports.period import DAYS_MAX, Period, this_month, today
from archive.reports.report import GROUPINGS, NUMBERS, By, Kind, Name, Report
from playback_portal.language import Language, language_of, mark
from playback_portal.page import render
from playback_portal.reports import EVENT, PERMISSION, made, name_of
from playback_portal.route import Route
from playback_portal.services import SCOPE, SERVICES, is_recording_id

PATH = "/reports"
ROWS_SHOWN_MAX = 500
"""What people scroll through; the files have the rest."""

ALSO_DRAWN = {Name.MINUTES: "capSeconds"}
"""A second column a chart draws, as a dash at each bar."""

WRONG_DAYS = mark("These days are no period: this month is shown.")
EVERYBODY, ONLY_ME = mark("Everybody"), mark("My own")


@dataclass(frozen=True)
class Shown:
    """A report as the page needs it: rows of text beside their numbers."""

    report: Report
    language: Language

    @property
    def title(self) -> str:
        """What it is called."""
        return words.TITLES[self.report.name][self.language]

    @property
    def explained(self) -> str:
        """What it counts."""
        return words.EXPLAINED[self.report.name][self.language]

    @property
    def period(self) -> str:
        """Of which days it is."""
        return words.period_of(self.report.period, self.language)

    @property
    def as_of(self) -> str:
        """As of when it is true."""
        return words.as_of(self.report.as_of, self.language)

    @property
    def heads(self) -> list[tuple[str, bool]]:
        """The heads of the columns, and whether they are of numbers."""
        return [
            (words.COLUMNS[each.key][self.language], each.kind in NUMBERS) for each in self.report.columns
        ]

    @property
    def kind(self) -> Kind:
        """What the chart measures."""
        return next(each.kind for each in self.report.columns if each.key == self.report.measure)

    @property
    def measured(self) -> str:
        """What the column is called that the chart measures."""
        return words.COLUMNS[self.report.measure][self.language]

    @property
    def limited(self) -> str:
        """What the second column is called that a chart draws, '' where there is none."""
        also = ALSO_DRAWN.get(self.report.name)
        return words.COLUMNS[also][self.language] if also else ""

    @property
    def drawn(self) -> tuple[int, int, int]:
        """The places of the columns a chart draws: the names, the measure, and a second one or -1."""
        keys = [each.key for each in self.report.columns]
        also = ALSO_DRAWN.get(self.report.name)
        return (
            keys.index(self.report.by.value),
            keys.index(self.report.measure),
            keys.index(also) if also else -1,
        )

    @property
    def rows(self) -> list[list[tuple[str, str]]]:
        """The cells of the rows that are shown: what is read, and the number itself or nothing."""
        return [self._cells(row) for row in self.report.rows[:ROWS_SHOWN_MAX]]

    @property
    def more(self) -> int:
        """How many rows are in the files alone."""
        return max(0, len(self.report.rows) - ROWS_SHOWN_MAX)

    @property
    def totals(self) -> list[str]:
        """The sums, nothing where there are none."""
        if all(value is None for value in self.report.totals):
            return []
        return [words.TOTAL[self.language], *(text for text, _ in self._cells(self.report.totals)[1:])]

    def _cells(self, row: tuple[object, ...]) -> list[tuple[str, str]]:
        cells = []
        for value, column in zip(row, self.report.columns, strict=True):
            number = str(value) if isinstance(value, int | float) and column.kind in NUMBERS else ""
            typed = value if isinstance(value, int | float | str | date) else None
            cells.append((words.written(typed, column.kind, self.language), number))
        return cells


@dataclass(frozen=True)
class Choice:
    """What stands in the address."""

    asked: Asked
    wrong: bool = False

    def address(self, path: str = "", **changes: str) -> str:
        """Return the address of the same choice with changes, without what is empty."""
        asked = self.asked
        query = {"from": str(asked.period.first), "to": str(asked.period.last), "team": asked.team_id or ""}
        query |= {"by": asked.by or "", **changes}
        kept = {name: value for name, value in query.items() if value}
        return str(URL(path or f"{PATH}/{asked.name}").with_query(kept))


async def show_first(request: web.Request) -> web.StreamResponse:
    """Show the usual report."""
    return await _show(request, Name.USAGE)


async def show_report(request: web.Request) -> web.StreamResponse:
    """Show one report."""
    return await _show(request, name_of(request))


async def _show(request: web.Request, name: Name) -> web.StreamResponse:
    services, scope, language = request.app[SERVICES], request[SCOPE], language_of(request)
    now = services.clock.now()
    choice = choice_of(request, name, this_month(now))
    report = await made(request, choice.asked)
    chosen: list[tuple[str, str]] = []
    if name not in making.WHOLE:
        chosen = await asyncio.to_thread(offered_teams, services.catalogue, scope)
    return render(
        request,
        "reports/page.html",
        shown=Shown(report, language),
        choice=choice,
        wrong=WRONG_DAYS if choice.wrong else "",
        names=[(each, words.TITLES[each][language]) for each in names_for(scope)],
        groups=[(each, words.GROUPS[each][language]) for each in GROUPINGS[name] if len(GROUPINGS[name]) > 1],
        teams=chosen,
        everybody=EVERYBODY if scope.role is not Role.USER else ONLY_ME,
        periods=usual_periods(today(now)),
        empty=words.EMPTY[language],
        days_max=DAYS_MAX,
    )


def choice_of(request: web.Request, name: Name, usual: Period) -> Choice:
    """Read the address; what makes no sense is as if it were not there."""
    given = request.query
    by = given.get("by", "")
    team = given.get("team", "")
    asked = Asked(
        name,
        usual,
        By(by) if by in GROUPINGS[name] else None,
        team if is_recording_id(team) and name not in making.WHOLE else None,
    )
    first, last = given.get("from", ""), given.get("to", "")
    if not (first or last):
        return Choice(asked)
    try:
        end = date.fromisoformat(last) if last else usual.last
        period = Period(date.fromisoformat(first) if first else end.replace(day=1), end)
    except (ValueError, Refused):
        return Choice(asked, wrong=True)
    return Choice(replace(asked, period=period))


def names_for(scope: AccessScope) -> list[Name]:
    """Return the reports somebody may see."""
    hidden: set[Name] = set()
    if not (making.sees_everybody(scope) and may_read_sessions(scope)):
        hidden |= making.WHOLE.keys()
    if scope.role is Role.ADMINISTRATOR and evaluating(scope) is None:
        # Who administers sees no results of others, and has none as a rule.
        hidden.add(Name.EVALUATIONS)
    return [each for each in Name if each not in hidden]


def offered_teams(catalogue: Catalogue, scope: AccessScope) -> list[tuple[str, str]]:
    """Return the teams somebody can choose, by id and name; blocks."""
    found = teams.list_teams(catalogue, scope.tenant_id)
    whole = making.sees_everybody(scope)
    return [(each.id, each.name) for each in found if whole or each.id in scope.managed_team_ids]


def usual_periods(day: date) -> list[tuple[str, Period]]:
    """Return the periods people ask for most, the newest first."""
    month = day.replace(day=1)
    before = month - timedelta(days=1)
    return [
        (mark("This month"), Period(month, day)),
        (mark("Last month"), Period(before.replace(day=1), before)),
        (mark("Last 7 days"), Period(day - timedelta(days=6), day)),
        (mark("This year"), Period(day.replace(month=1, day=1), day)),
    ]


REPORT_PAGE_ROUTES = (
    Route("GET", PATH, show_first, PERMISSION, EVENT, "report", page=True),
    Route("GET", f"{PATH}/{{report}}", show_report, PERMISSION, EVENT, "report", page=True),
)
