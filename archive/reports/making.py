"""A report for somebody: what they may see of it, its rows, and its sums.

| who | sees |
|---|---|
| administrator, auditor, key with `reports:read` | everybody's numbers, or a team's |
| manager of a team | that team's, and their own |
| everybody else | their own |

How sessions ended and what came in is told of the whole tenant or not at all. Of evaluations one
sees those of oneself and of whom one may evaluate; auditors see everybody's. Numbers are those of
the transaction they were read in: `as_of` says when.

Rules: blocking. A forecast is the pace of the month so far, and is made of the running month alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from archive.access import AccessScope, Reach, Scope, may_read_sessions, report_reach
from archive.allowance import cap_s, forecast_s, month_of, reached_on
from archive.catalogue import evaluation_results, figures, traffic
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.rollups import BELOW_MS
from archive.catalogue.traffic import TrafficKey
from archive.errors import NotFound, Refused
from archive.model import TRAFFIC_STEP_S, OutcomeKind
from archive.reports.period import Period
from archive.reports.report import GROUPINGS, By, Column, Kind, Name, Report, Value, kbits, percent, summed

_NO_TEAM = "There is no such team whose reports you see."

Sums = Mapping[str, int]
Rows = list[tuple[Value, ...]]
NOTHING: Sums = dict.fromkeys(figures.FIGURES, 0)


class Denial(StrEnum):
    """Why somebody may not see a report."""

    TEAM = "team"
    """They don't see the numbers of that team."""

    WHOLE = "whole"
    """It is of the whole tenant, and they don't see that."""

    REPORTS = "reports"
    """They see no reports at all."""


@dataclass(frozen=True)
class Asked:
    """Which report, of which days, by what, and of which team."""

    name: Name
    period: Period
    by: By | None = None
    team_id: str | None = None

    @property
    def grouping(self) -> By:
        """What it is grouped by; raises Refused for what this report can't be."""
        allowed = GROUPINGS[self.name]
        if self.by is not None and self.by not in allowed:
            raise Refused(f"The report {self.name} is grouped by {' or '.join(allowed)}.")
        return self.by or allowed[0]


def make(catalogue: Catalogue, scope: AccessScope, asked: Asked, *, now: datetime) -> Report:
    """Return a report.

    Raises NotFound for a team that is not there for who asks, Refused for who may not see this.
    """
    reach, denial = report_reach(scope, asked.team_id), denied(scope, asked.name, asked.team_id)
    if denial is Denial.TEAM:
        raise NotFound(_NO_TEAM)
    if reach is None:
        raise Refused("Reports need the scope reports:read.")
    if denial is not None:
        raise Refused(WHOLE[asked.name])
    by = asked.grouping
    with catalogue.transaction(scope.tenant_id) as connection:
        if not figures.has_team(connection, reach):
            raise NotFound(_NO_TEAM)
        columns, rows, measure = _MAKERS[asked.name](_Place(connection, scope, reach, asked.period, by, now))
    made = tuple(rows)
    # Who is in two teams counts in both, so that those rows don't add up.
    totals = (None,) * len(columns) if by is By.TEAM else summed(columns, made)
    return Report(asked.name, by, asked.period, asked.team_id, now, columns, made, totals, measure)


def denied(scope: AccessScope, name: Name, team_id: str | None) -> Denial | None:
    """Return why somebody may not see a report at all, None when they may. Pure."""
    reach = report_reach(scope, team_id)
    if reach is None:
        is_of_team = team_id is not None and scope.permits(Scope.REPORTS_READ)
        return Denial.TEAM if is_of_team else Denial.REPORTS
    if name in WHOLE and not (reach.is_whole and may_read_sessions(scope)):
        return Denial.WHOLE
    return None


def sees_everybody(scope: AccessScope) -> bool:
    """Return whether somebody sees the numbers of the whole tenant. Pure."""
    reach = report_reach(scope, None)
    return reach is not None and reach.is_whole


WHOLE = {
    Name.COMPLETENESS: "How sessions ended is for administrators and auditors, and of no team by itself.",
    Name.BANDWIDTH: "Bandwidth is for administrators and auditors, and of no team by itself.",
}
"""Reports of the whole tenant, and why nobody else has them."""

Made = tuple[tuple[Column, ...], Rows, str]


@dataclass(frozen=True)
class _Place:
    """What a report is made from: whose figures, of which days and by what, in one transaction."""

    connection: Connection
    scope: AccessScope
    reach: Reach
    period: Period
    by: By
    now: datetime

    @property
    def where(self) -> tuple[Connection, Reach, Period]:
        """What all figures are read by."""
        return self.connection, self.reach, self.period


def _grouped(place: _Place) -> list[tuple[Value, Sums]]:
    """Return figures by what they are grouped by; every day of the period has a row."""
    if place.by is By.DAY:
        found = figures.by_day(*place.where)
        return [(day, found.get(day, NOTHING)) for day in place.period]
    read = figures.by_team if place.by is By.TEAM else figures.by_user
    return list(read(*place.where).items())


def _first(by: By) -> Column:
    kind = {By.DAY: Kind.DAY, By.MONTH: Kind.MONTH, By.LENGTH: Kind.LENGTH}.get(by, Kind.TEXT)
    return Column(by.value, kind)


def _usage(place: _Place) -> Made:
    columns = (
        _first(place.by),
        Column("recordings", Kind.COUNT),
        Column("incoming", Kind.COUNT),
        Column("outgoing", Kind.COUNT),
        Column("internal", Kind.COUNT),
        Column("recordedSeconds", Kind.SECONDS),
        Column("durationSeconds", Kind.SECONDS),
    )
    rows: Rows = [
        (
            key,
            each["recordings"],
            each["incoming"],
            each["outgoing"],
            each["recordings"] - each["incoming"] - each["outgoing"],
            each["recorded_s"],
            each["duration_s"],
        )
        for key, each in _grouped(place)
        if place.by is By.DAY or each["recordings"]
    ]
    return columns, rows, "recordings"


def _minutes(place: _Place) -> Made:
    columns = (
        Column("month", Kind.MONTH),
        _first(place.by),
        Column("licence", Kind.LICENCE),
        Column("usedSeconds", Kind.SECONDS),
        Column("capSeconds", Kind.SECONDS),
        Column("percent", Kind.PERCENT),
        Column("forecastSeconds", Kind.SECONDS),
        Column("reachedOn", Kind.DAY),
    )
    rows: Rows = []
    for each in figures.minutes(*place.where):
        cap = cap_s(each.licence)
        runs = each.month == month_of(place.now)
        rows.append(
            (
                each.month,
                each.login,
                None if each.licence is None else each.licence.value,
                each.booked_s,
                cap,
                None if cap is None else percent(each.booked_s, cap),
                forecast_s(each.booked_s, place.now) if runs else None,
                reached_on(each.booked_s, cap, place.now) if runs else None,
            )
        )
    return columns, rows, "usedSeconds"


def _duration(place: _Place) -> Made:
    columns = (_first(place.by), Column("recordings", Kind.COUNT), Column("percent", Kind.PERCENT))
    sums: Sums = NOTHING
    for each in figures.by_day(*place.where).values():
        sums = {name: sums[name] + each[name] for name in sums}
    rows: Rows = []
    below = 0
    for name in BELOW_MS:
        rows.append(
            (name.removeprefix("below_"), sums[name] - below, percent(sums[name] - below, sums["recordings"]))
        )
        below = sums[name]
    longer = sums["recordings"] - below
    rows.append(("longer", longer, percent(longer, sums["recordings"])))
    return columns, rows, "recordings"


def _storage(place: _Place) -> Made:
    columns = (
        _first(place.by),
        Column("addedRecordings", Kind.COUNT),
        Column("addedBytes", Kind.BYTES),
        Column("destroyedRecordings", Kind.COUNT),
        Column("destroyedBytes", Kind.BYTES),
        Column("standingRecordings", Kind.COUNT),
        Column("standingBytes", Kind.BYTES),
    )
    count, size = figures.standing_after(place.connection, place.reach, place.period.last)
    rows: Rows = []
    # From the last day back: what stands now is known, and what each day brought and took.
    for day, each in reversed(_grouped(place)):
        come, gone = (each["recordings"], each["size_bytes"]), (each["destroyed"], each["destroyed_bytes"])
        rows.append((day, *come, *gone, count, size))
        count, size = count - come[0] + gone[0], size - come[1] + gone[1]
    return columns, rows[::-1], "standingBytes"


def _pauses(place: _Place) -> Made:
    columns = (
        _first(place.by),
        Column("recordings", Kind.COUNT),
        Column("pausedRecordings", Kind.COUNT),
        Column("percent", Kind.PERCENT),
        Column("pauses", Kind.COUNT),
        Column("pausedSeconds", Kind.SECONDS),
    )
    rows: Rows = [
        (
            key,
            each["recordings"],
            each["paused"],
            percent(each["paused"], each["recordings"]),
            each["pauses"],
            each["paused_ms"] // 1000,
        )
        for key, each in _grouped(place)
        if place.by is By.DAY or each["recordings"]
    ]
    return columns, rows, "pauses"


def _listening(place: _Place) -> Made:
    columns = (
        _first(place.by),
        Column("played", Kind.COUNT),
        Column("ownPlayed", Kind.COUNT),
        Column("downloaded", Kind.COUNT),
    )
    found = figures.heard(*place.where)
    names = _names(place, (each.actor for each in found))
    rows: Rows = [(names[each.actor], each.played, each.own, each.downloaded) for each in found]
    return columns, sorted(rows, key=lambda row: str(row[0])), "played"


def _evaluations(place: _Place) -> Made:
    columns = (
        _first(place.by),
        Column("evaluations", Kind.COUNT),
        Column("acknowledged", Kind.COUNT),
        Column("disputed", Kind.COUNT),
        Column("failedEvaluations", Kind.COUNT),
        Column("averagePercent", Kind.PERCENT),
    )
    found = evaluation_results.counted(
        place.connection,
        place.scope,
        place.reach,
        (place.period.began, place.period.ended),
        by_form=place.by is By.FORM,
    )
    rows: Rows = [
        (
            each.name,
            each.count,
            each.acknowledged,
            each.disputed,
            each.failed,
            None if each.permille is None else each.permille / 10,
        )
        for each in found
    ]
    return columns, rows, "evaluations"


def _shares(place: _Place) -> Made:
    columns = (
        _first(place.by),
        Column("links", Kind.COUNT),
        Column("plays", Kind.COUNT),
        Column("workingLinks", Kind.COUNT),
        Column("mails", Kind.COUNT),
    )
    found = figures.shared(*place.where, place.now)
    names = _names(place, (each.actor for each in found))
    rows: Rows = [(names[each.actor], each.links, each.plays, each.working, each.mails) for each in found]
    return columns, sorted(rows, key=lambda row: str(row[0])), "links"


def _completeness(place: _Place) -> Made:
    columns = (
        _first(place.by),
        Column("sessions", Kind.COUNT),
        Column("recorded", Kind.COUNT),
        Column("notKept", Kind.COUNT),
        Column("modeNever", Kind.COUNT),
        Column("nobodyRecorded", Kind.COUNT),
        Column("failed", Kind.COUNT),
        Column("percent", Kind.PERCENT),
    )
    found = figures.outcomes(*place.where)
    rows: Rows = []
    for day in place.period:
        ended = found.get(day, {})
        counts = [ended.get(kind.value, 0) for kind in _OUTCOMES]
        offered = sum(counts)
        rows.append((day, offered, *counts, percent(offered - counts[-1], offered)))
    return columns, rows, "failed"


_OUTCOMES = (
    OutcomeKind.RECORDED,
    OutcomeKind.NOT_KEPT,
    OutcomeKind.MODE_NEVER,
    OutcomeKind.NOBODY_RECORDED,
    OutcomeKind.FAILED,
)


def _destruction(place: _Place) -> Made:
    columns = (
        _first(place.by),
        Column("destroyedRecordings", Kind.COUNT),
        Column("destroyedBytes", Kind.BYTES),
    )
    rows: Rows = [(day, each["destroyed"], each["destroyed_bytes"]) for day, each in _grouped(place)]
    return columns, rows, "destroyedRecordings"


def _bandwidth(place: _Place) -> Made:
    keys = {
        By.DAY: (Column("day", Kind.DAY), _PEER, _SITE),
        By.PEER: (_PEER, _SITE),
        By.SITE: (_SITE,),
    }[place.by]
    columns = (
        *keys,
        Column("receivedBytes", Kind.BYTES),
        Column("meanKbits", Kind.KBITS),
        Column("peakKbits", Kind.KBITS),
    )
    rows: Rows = []
    for each in traffic.received(*place.where, TrafficKey(place.by)):
        told = {"day": each.day, "peer": each.peer, "site": each.site}
        within = place.period if each.day is None else Period(each.day, each.day)
        rows.append(
            (
                *(told[column.key] for column in keys),
                each.octets,
                kbits(each.octets, _seconds(within, place.now)),
                kbits(each.peak_octets, TRAFFIC_STEP_S),
            )
        )
    return columns, rows, "receivedBytes"


def _seconds(period: Period, now: datetime) -> float:
    """Return how much of a period is over; of a day when the clock is turned 23 or 25 hours."""
    return (min(period.ended.astimezone(UTC), now) - period.began.astimezone(UTC)).total_seconds()


_PEER, _SITE = Column("peer", Kind.PEER), Column("site", Kind.SITE)


def _names(place: _Place, actors: Iterable[str]) -> dict[str, str]:
    """Return what actors are called: a person's login, of others the name the audit log has."""
    people = {actor: figures.person_of(actor) for actor in actors}
    known = figures.logins(
        place.connection, place.reach, [each for each in people.values() if each is not None]
    )
    return {actor: known.get(person or "", actor) for actor, person in people.items()}


_MAKERS: dict[Name, Callable[[_Place], Made]] = {
    Name.USAGE: _usage,
    Name.MINUTES: _minutes,
    Name.DURATION: _duration,
    Name.STORAGE: _storage,
    Name.PAUSES: _pauses,
    Name.EVALUATIONS: _evaluations,
    Name.LISTENING: _listening,
    Name.SHARES: _shares,
    Name.COMPLETENESS: _completeness,
    Name.DESTRUCTION: _destruction,
    Name.BANDWIDTH: _bandwidth,
}
