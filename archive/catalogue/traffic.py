"""What came by each peer for each site, in steps of five minutes: kept as sessions end, read by reports.

Octets are those of RTP, header and payload, that recordings were made of. Two recordings of one
session share its streams, so a session counts once: of each step the larger of the two.

Rules: in the caller's transaction, which is one of the tenant; rows are written in one order, so that
no two transactions wait for each other. Steps stand on the clock, so that days and months begin with
one. Not here: counting them (`recorder.rtp.traffic`), the report (`archive.reports.making`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Select, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import Reach
from archive.catalogue.engine import Connection
from archive.catalogue.rows import by_name
from archive.catalogue.tables import peers, received_octets
from archive.model import TRAFFIC_STEP_S, SessionOutcome
from archive.reports.period import Period

STEP = timedelta(seconds=TRAFFIC_STEP_S)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TrafficKey(StrEnum):
    """What traffic is told apart by."""

    PEER = "peer"
    SITE = "site"
    DAY = "day"


@dataclass(frozen=True)
class Traffic:
    """Octets received, and those of the busiest five minutes; `peer` is '' where it isn't the tenant's."""

    day: date | None
    peer: str
    site: str
    octets: int
    peak_octets: int


def steps_of(outcome: SessionOutcome) -> dict[datetime, int]:
    """Return the octets of a session by the beginning of each step. Pure."""
    first = outcome.started_at - (outcome.started_at - _EPOCH) % STEP
    return {first + n * STEP: octets for n, octets in enumerate(outcome.octets) if octets}


def merged(one: SessionOutcome, other: SessionOutcome) -> tuple[int, ...]:
    """Return the octets of a session of which two recordings were made: of each step the larger. Pure."""
    found = steps_of(one)
    for at, octets in steps_of(other).items():
        found[at] = max(octets, found.get(at, 0))
    begun = min(one.started_at, other.started_at)
    first = begun - (begun - _EPOCH) % STEP
    count = (max(found) - first) // STEP + 1 if found else 0
    return tuple(found.get(first + n * STEP, 0) for n in range(count))


def count(connection: Connection, outcome: SessionOutcome, before: SessionOutcome | None = None) -> None:
    """Count what a session received, less what was counted of it before."""
    if outcome.tenant_id is None:
        return
    known = steps_of(before) if before is not None else {}
    added = {at: octets - known.get(at, 0) for at, octets in steps_of(outcome).items()}
    whose = {
        "tenant_id": outcome.tenant_id,
        "peer_id": outcome.peer_id or "",
        "site": (before or outcome).site or "",
    }
    rows = [{**whose, "began_at": at, "octets": octets} for at, octets in sorted(added.items()) if octets > 0]
    if rows:
        connection.execute(_ADD, rows)


def received(connection: Connection, reach: Reach, period: Period, key: TrafficKey) -> list[Traffic]:
    """Return what was received in a period by peer and site, by site, or by day, peer and site.

    Peers without a name are those that tenants share and that were removed; each is told by itself.
    """
    columns = received_octets.c
    where = (
        columns.tenant_id == reach.tenant_id,
        columns.began_at >= period.began,
        columns.began_at < period.ended,
    )
    if key is TrafficKey.SITE:
        # Of several peers the sum of each step is what a site had at once.
        steps = (
            select(columns.site, func.sum(columns.octets).label("octets"))
            .where(*where)
            .group_by(columns.site, columns.began_at)
            .subquery()
        )
        return _told(connection, (steps.c.site,), steps.c.octets)
    keys: tuple[ColumnElement[Any], ...] = (columns.peer_id, columns.site)
    if key is TrafficKey.DAY:
        # By where days begin, which is found faster than the local time of each row is made.
        midnights = [Period(day, day).began for day in period]
        days = func.width_bucket(columns.began_at, cast(midnights, ARRAY(DateTime(timezone=True))))
        keys = (days.label("days"), *keys)
    return _told(connection, keys, columns.octets, where, period.first)


def _told(
    connection: Connection,
    keys: tuple[ColumnElement[Any], ...],
    octets: ColumnElement[Any],
    where: tuple[ColumnElement[bool], ...] = (),
    first: date = date.min,
) -> list[Traffic]:
    """Return sum and peak of each group; `days` of a group count from 1, which is the day `first`."""
    statement: Select[Any] = (
        select(*keys, func.sum(octets).label("octets"), func.max(octets).label("peak"))
        .where(*where)
        .group_by(*keys)
    )
    names = {row.id: row.name for row in connection.execute(select(peers.c.id, peers.c.name))}
    found = []
    for row in map(by_name, connection.execute(statement).all()):
        day = first + timedelta(days=row["days"] - 1) if "days" in row else None
        peer = names.get(row.get("peer_id"), "")
        found.append(Traffic(day, peer, row["site"], int(row["octets"]), int(row["peak"])))
    return sorted(found, key=lambda each: (each.day or first, each.peer, each.site))


def of_tenants(connection: Connection, since: datetime) -> dict[str, dict[str, int]]:
    """Return the octets of all tenants since a moment by peer id and site; to operators alone any."""
    found = func.operated_octets(since).table_valued("peer_id", "site", "octets")
    statement = select(found.c.peer_id, found.c.site, func.sum(found.c.octets).label("octets")).group_by(
        found.c.peer_id, found.c.site
    )
    told: dict[str, dict[str, int]] = {}
    for row in connection.execute(statement):
        told.setdefault(row.peer_id, {})[row.site] = int(row.octets)
    return told


_ROW = upsert(received_octets)
_ADD = _ROW.on_conflict_do_update(
    constraint=received_octets.primary_key,
    set_={"octets": received_octets.c.octets + _ROW.excluded.octets},
)
