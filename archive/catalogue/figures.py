"""What reports are made from: sums over persons, teams and days, read within what somebody may see.

Reads go by the rollups (`archive.catalogue.rollups`), so that a month of a tenant with a million
recordings is some thousand rows; what has no rollup is read by an index on its time.

Rules: each read takes a `Reach`, which `archive.access.report_reach` made of a scope, and runs in
the caller's transaction. Days are local ones. Not here: columns, sums and shares
(`archive.reports.making`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Date, Row, Select, and_, cast, exists, func, or_, select, text
from sqlalchemy.sql.selectable import FromClause

from archive.access import Reach
from archive.allowance import ZONE
from archive.catalogue.engine import Connection
from archive.catalogue.rollups import BELOW_MS, EVERYBODY
from archive.catalogue.tables import (
    audit_entries,
    mails,
    minute_months,
    recordings,
    report_days,
    report_standing,
    sessions,
    shares,
    team_members,
    teams,
    user_licences,
    users,
)
from archive.errors import Refused
from archive.model import RetentionClass, UserId
from archive.reports.period import Period

FIGURES = (
    "recordings",
    "incoming",
    "outgoing",
    "duration_s",
    "recorded_s",
    "paused",
    "pauses",
    "paused_ms",
    "size_bytes",
    *BELOW_MS,
    "destroyed",
    "destroyed_bytes",
)
ROWS_MAX = 100_000
"""Of one report: a year of months of thousands of people. Cut, it would have wrong sums: it is refused."""

HEARD = text("audit_entries.action IN ('recording.played', 'recording.downloaded')")
"""In the very words of its partial index, which a bound value would not match."""

_OBJECT_CHARS = len("recording:")


@dataclass(frozen=True)
class Used:
    """The minutes of a person in a month: seconds booked, and the licence they had last in that month."""

    login: str
    month: date
    booked_s: int
    licence: RetentionClass | None


@dataclass(frozen=True)
class Heard:
    """What somebody listened to: recordings, those of their own among them, and files taken away."""

    actor: str
    played: int
    own: int
    downloaded: int


@dataclass(frozen=True)
class Shared:
    """What somebody shared: links, how often they were played, those that still work, files by mail."""

    actor: str
    links: int
    plays: int
    working: int
    mails: int


def has_team(connection: Connection, reach: Reach) -> bool:
    """Return whether the team of a reach is one of the tenant; there is none to miss where none is named."""
    if reach.team_id is None:
        return True
    statement = select(exists().where(teams.c.tenant_id == reach.tenant_id, teams.c.id == reach.team_id))
    return bool(connection.execute(statement).scalar())


def by_user(connection: Connection, reach: Reach, period: Period) -> dict[str, Mapping[str, int]]:
    """Return the sums of each person, by login."""
    name = func.coalesce(users.c.login, "")
    joined = report_days.outerjoin(
        users, and_(users.c.tenant_id == report_days.c.tenant_id, users.c.id == report_days.c.user_id)
    )
    return _sums(connection, _days(reach, period), name, joined)


def by_team(connection: Connection, reach: Reach, period: Period) -> dict[str, Mapping[str, int]]:
    """Return the sums of each team, by name; who was in two counts in both."""
    days = report_days.c
    joined = report_days.join(teams, and_(teams.c.tenant_id == days.tenant_id, teams.c.id == days.team_id))
    where = [days.tenant_id == reach.tenant_id, days.day.between(period.first, period.last)]
    where.append(days.team_id == reach.team_id if reach.team_id is not None else days.team_id != EVERYBODY)
    if reach.user_id is not None:
        where.append(days.user_id == reach.user_id)
    return _sums(connection, where, teams.c.name, joined)


def by_day(connection: Connection, reach: Reach, period: Period) -> dict[date, Mapping[str, int]]:
    """Return the sums of each day on which there is anything."""
    return _sums(connection, _days(reach, period), report_days.c.day, report_days)


def standing_after(connection: Connection, reach: Reach, last: date) -> tuple[int, int]:
    """Return how many recordings and octets stood at the end of a day: those of now less what came later."""
    stands, days = report_standing.c, report_days.c
    now = connection.execute(
        select(
            func.coalesce(func.sum(stands.recordings), 0), func.coalesce(func.sum(stands.size_bytes), 0)
        ).where(*_whose(reach, report_standing))
    ).one()
    later = connection.execute(
        select(
            func.coalesce(func.sum(days.recordings - days.destroyed), 0),
            func.coalesce(func.sum(days.size_bytes - days.destroyed_bytes), 0),
        ).where(*_whose(reach, report_days), days.day > last)
    ).one()
    return int(now[0] - later[0]), int(now[1] - later[1])


def minutes(connection: Connection, reach: Reach, period: Period) -> list[Used]:
    """Return the minutes of people who used any, by month and login.

    A team's are those of its contributors of now: minutes are of persons, whatever team they were in.
    """
    first = period.first.replace(day=1)
    months, people = minute_months.c, users.c
    licences = user_licences.c
    following = func.timezone(ZONE.key, months.month + text("interval '1 month'"))
    newest = (
        select(licences.licence)
        .where(
            licences.tenant_id == people.tenant_id,
            licences.user_id == people.id,
            licences.valid_from < following,
        )
        .order_by(licences.valid_from.desc())
        .limit(1)
        .correlate(users, minute_months)
        .scalar_subquery()
    )
    statement = (
        select(people.login, months.month, months.booked_s, newest.label("licence"))
        .join_from(
            users, minute_months, and_(months.tenant_id == people.tenant_id, months.user_id == people.id)
        )
        .where(people.tenant_id == reach.tenant_id, months.month.between(first, period.last))
        .order_by(months.month, people.login)
    )
    if reach.user_id is not None:
        statement = statement.where(people.id == reach.user_id)
    if reach.team_id is not None:
        statement = statement.where(_contributes(people.id, reach))
    return [
        Used(row.login, row.month, row.booked_s, None if row.licence is None else RetentionClass(row.licence))
        for row in _all(connection, statement)
    ]


def heard(connection: Connection, reach: Reach, period: Period) -> list[Heard]:
    """Return who listened to what, each recording once a person; by actor."""
    recording = recordings.c
    # Taken out first: what a function made of a column does not lead into an index behind row-level security.
    entries = (
        select(
            audit_entries.c.actor,
            audit_entries.c.action,
            audit_entries.c.object,
            func.substr(audit_entries.c.object, _OBJECT_CHARS + 1).label("recording_id"),
        )
        .where(
            audit_entries.c.tenant_id == reach.tenant_id,
            HEARD,
            audit_entries.c.result == "ok",
            audit_entries.c.at >= period.began,
            audit_entries.c.at < period.ended,
        )
        .cte("entries")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    entry = entries.c
    played = entry.action == "recording.played"
    own = and_(played, entry.actor == func.concat("user:", recording.owner))
    statement = (
        select(
            entry.actor,
            func.count(entry.object.distinct()).filter(played).label("played"),
            func.count(entry.object.distinct()).filter(own).label("own"),
            func.count(entry.object.distinct()).filter(~played).label("downloaded"),
        )
        .select_from(
            entries.outerjoin(
                recordings,
                and_(recording.tenant_id == reach.tenant_id, recording.id == entry.recording_id),
            )
        )
        .where(*of_owner(reach))
        .group_by(entry.actor)
        .order_by(entry.actor)
    )
    return [Heard(row.actor, row.played, row.own, row.downloaded) for row in _all(connection, statement)]


def shared(connection: Connection, reach: Reach, period: Period, now: datetime) -> list[Shared]:
    """Return who made play links and mailed files, of recordings that are still there; by actor."""
    share, mail = shares.c, mails.c
    maker = func.coalesce("user:" + share.user_id, "api-client:" + share.client_id)
    works = and_(share.revoked_at.is_(None), share.ends_at > now)
    links = (
        select(
            maker.label("actor"),
            func.count().label("links"),
            func.sum(share.plays).label("plays"),
            func.count().filter(works).label("working"),
        )
        .select_from(shares.join(recordings, _is_of(share)))
        .where(
            share.tenant_id == reach.tenant_id, share.made_at >= period.began, share.made_at < period.ended
        )
        .where(*_made(reach, share.user_id))
        .group_by(maker)
    )
    sent = (
        select(mail.actor, func.count().label("mails"))
        .select_from(mails.join(recordings, _is_of(mail)))
        .where(mail.tenant_id == reach.tenant_id, mail.kind == "file", mail.state == "sent")
        .where(mail.queued_at >= period.began, mail.queued_at < period.ended)
        .where(*_made(reach, func.nullif(func.replace(mail.actor, "user:", ""), mail.actor)))
        .group_by(mail.actor)
    )
    found = {row.actor: [row.links, int(row.plays), row.working, 0] for row in connection.execute(links)}
    for row in connection.execute(sent):
        found.setdefault(row.actor, [0, 0, 0, 0])[3] = row.mails
    return [Shared(actor, *counts) for actor, counts in sorted(found.items())]


def outcomes(connection: Connection, reach: Reach, period: Period) -> dict[date, dict[str, int]]:
    """Return how many sessions of each day ended in which way, as `archive.model.OutcomeKind` calls it."""
    columns = sessions.c
    day = cast(func.timezone(ZONE.key, columns.started_at), Date)
    statement = (
        select(day.label("day"), columns.kind, func.count().label("sessions"))
        .where(
            columns.tenant_id == reach.tenant_id,
            columns.started_at >= period.began,
            columns.started_at < period.ended,
        )
        .group_by(day, columns.kind)
    )
    found: dict[date, dict[str, int]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.day, {})[row.kind] = row.sessions
    return found


def logins(connection: Connection, reach: Reach, ids: Iterable[str]) -> dict[str, str]:
    """Return the logins of people of the tenant by id."""
    statement = select(users.c.id, users.c.login).where(
        users.c.tenant_id == reach.tenant_id, users.c.id.in_(sorted(ids))
    )
    return {row.id: row.login for row in connection.execute(statement)}


def _sums(
    connection: Connection, where: Sequence[ColumnElement[bool]], key: Any, source: FromClause
) -> dict[Any, Mapping[str, int]]:
    """Return the sums of all figures for each key, in its order."""
    sums = (func.sum(report_days.c[name]).label(name) for name in FIGURES)
    statement: Select[Any] = (
        select(key.label("key"), *sums).select_from(source).where(*where).group_by(key).order_by(key)
    )
    return {row.key: _ints(row) for row in _all(connection, statement)}


def _all(connection: Connection, statement: Select[Any]) -> Sequence[Row[Any]]:
    """Return every row; raises Refused above ROWS_MAX."""
    found = connection.execute(statement.limit(ROWS_MAX + 1)).all()
    if len(found) > ROWS_MAX:
        raise Refused(f"A report has at most {ROWS_MAX} rows: ask for fewer days, or for one team.")
    return found


def _ints(row: Row[Any]) -> dict[str, int]:
    return {name: int(getattr(row, name)) for name in FIGURES}


def _days(reach: Reach, period: Period) -> list[ColumnElement[bool]]:
    return [*_whose(reach, report_days), report_days.c.day.between(period.first, period.last)]


def _whose(reach: Reach, table: FromClause) -> list[ColumnElement[bool]]:
    columns = table.c
    where = [columns.tenant_id == reach.tenant_id, columns.team_id == (reach.team_id or EVERYBODY)]
    return where if reach.user_id is None else [*where, columns.user_id == reach.user_id]


def _contributes(user_id: ColumnElement[Any], reach: Reach) -> ColumnElement[bool]:
    members = team_members.c
    return exists().where(
        members.tenant_id == reach.tenant_id,
        members.team_id == reach.team_id,
        members.user_id == user_id,
        members.capacity == "contributor",
        members.until.is_(None),
    )


def of_owner(reach: Reach) -> list[ColumnElement[bool]]:
    """Return the filter for recordings of a person, or of a team at the time they began."""
    recording, members = recordings.c, team_members.c
    if reach.user_id is not None:
        return [recording.owner == reach.user_id]
    if reach.team_id is None:
        return []
    at_the_time = exists().where(
        members.tenant_id == reach.tenant_id,
        members.team_id == reach.team_id,
        members.user_id == recording.owner,
        members.capacity == "contributor",
        members.since <= recording.started_at,
        or_(members.until.is_(None), members.until > recording.started_at),
    )
    return [at_the_time]


def _made(reach: Reach, maker: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """Return the filter for what a person made, or what was made of a team's recordings."""
    return [maker == reach.user_id] if reach.user_id is not None else of_owner(reach)


def _is_of(columns: Any) -> ColumnElement[bool]:
    return and_(recordings.c.tenant_id == columns.tenant_id, recordings.c.id == columns.recording_id)


def person_of(actor: str) -> UserId | None:
    """Return the person an actor of the audit log is, None for a program or the service. Pure."""
    kind, _, name = actor.partition(":")
    return UserId(name) if kind == "user" else None
