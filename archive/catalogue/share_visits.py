"""Who listens by a play link: one visit after another, each counted once, all of them at one pace.

A visit is opened by who has the link and showed what it asks for, and lives in their
browser as a cookie. It counts as a play when the first sound is asked for; from then on
it gets the audio for a while, and no more of it than one can have heard by going to and
fro. The pace is the link's, whoever listens: many visits together get no more than one.

Rules: counting is the last place where a link may end; every piece asks again. Not here:
whether its maker may still share (`archive.shared`), and how fast (`archive.pace`).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, or_, select, update

from archive.catalogue import notifications
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.rows import in_utc
from archive.catalogue.shares import TOKEN_BYTES, Derivative, Share
from archive.catalogue.tables import share_visits, shares
from archive.model import TenantId, new_id
from archive.pace import Pace, turn

VISIT_S_MAX = 6 * 3600
"""Longer than the longest fragment lasts, with a break; a browser that was left open has to ask again."""

VISITS_PER_SHARE_MAX = 500
"""Open ones. A link in a newsletter is no play link."""

HEARD_TIMES_MAX = 3
"""How often a visit gets the audio in all: enough to listen, go back and listen again."""

WAIT_S_MAX = 20.0
"""Who would wait longer is told when to ask again: connections are not held for a queue."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Visit:
    """A visit that goes on; `counted_at` is None until it plays."""

    id: str
    counted_at: datetime | None
    sent_bytes: int


@dataclass(frozen=True)
class Grant:
    """Whether some octets may leave: after `wait_s`, or not now (`wait_s` says when to ask), or never."""

    granted: bool
    wait_s: float
    over: bool = False


def open_visit(connection: Connection, share: Share, network: str, *, now: datetime) -> tuple[str, str]:
    """Open a visit in the caller's transaction; return its id and its token, once to be seen.

    Where there are too many, one of those gives way whose `network` has the most open.
    """
    columns = share_visits.c
    of_share = (columns.tenant_id == share.tenant_id, columns.share_id == share.id)
    order = (columns.opened_at.desc(), columns.id.desc())
    place = func.row_number().over(partition_by=columns.network, order_by=order)
    kept = (
        select(columns.id)
        .where(*of_share, columns.ends_at > now)
        .order_by(place, *order)
        .limit(VISITS_PER_SHARE_MAX - 1)
    )
    connection.execute(delete(share_visits).where(*of_share, columns.id.not_in(kept)))
    token, visit_id = secrets.token_urlsafe(TOKEN_BYTES), new_id(now)
    row = {
        "id": visit_id,
        "tenant_id": share.tenant_id,
        "share_id": share.id,
        "token_hash": _hash(token),
        "network": _hash(f"{share.id} {network}"),
        "opened_at": now,
        "ends_at": now + timedelta(seconds=VISIT_S_MAX),
    }
    connection.execute(insert(share_visits), row)
    return visit_id, token


def find(catalogue: Catalogue, share: Share, token: str, *, now: datetime) -> Visit | None:
    """Return the visit of a token, None when it is over or another link's."""
    if _TOKEN.fullmatch(token) is None:
        return None
    columns = share_visits.c
    statement = select(columns.id, columns.counted_at, columns.sent_bytes).where(
        columns.tenant_id == share.tenant_id,
        columns.share_id == share.id,
        columns.token_hash == _hash(token),
        columns.ends_at > now,
    )
    with catalogue.transaction(share.tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    return Visit(row.id, in_utc(row.counted_at), row.sent_bytes)


def count(connection: Connection, share: Share, visit_id: str, *, now: datetime) -> int | None:
    """Count a visit as a play in the caller's transaction; return which one it is, None when none is left.

    The caller makes the audit entry in the same transaction. A visit that is counted begins anew:
    pressing play again after it was over is another play. At the first play its maker is told.
    """
    columns = shares.c
    left = or_(columns.plays_max.is_(None), columns.plays < columns.plays_max)
    works = (columns.revoked_at.is_(None), columns.ends_at > now, left)
    statement = update(shares).where(columns.tenant_id == share.tenant_id, columns.id == share.id, *works)
    played = statement.values(plays=columns.plays + 1, played_at=now).returning(columns.plays)
    number = connection.execute(played).scalar()
    if number is None:
        return None
    if number == 1 and share.user_id is not None:
        opened, of_call = notifications.Kind.LINK_OPENED, share.recording_id
        notifications.note(
            connection, share.tenant_id, share.user_id, opened, share.id, recording_id=of_call, now=now
        )
    of_visit = (share_visits.c.tenant_id == share.tenant_id, share_visits.c.id == visit_id)
    counted = update(share_visits).where(*of_visit).values(counted_at=now, sent_bytes=0)
    return number if connection.execute(counted).rowcount > 0 else None


def grant(  # noqa: PLR0917 - what a piece depends on
    catalogue: Catalogue,
    share: Share,
    derivative: Derivative,
    visit: Visit,
    octets: int,
    pace: Pace,
    *,
    now: datetime,
) -> Grant:
    """Give some octets of the audio their place at the link's pace, or none.

    Whoever gets one waits `wait_s` and then sends them; the place is used up either way.
    """
    budget = derivative.pin.plaintext_bytes * HEARD_TIMES_MAX
    of_share = (shares.c.tenant_id == share.tenant_id, shares.c.id == share.id)
    of_visit = (share_visits.c.tenant_id == share.tenant_id, share_visits.c.id == visit.id)
    with catalogue.transaction(share.tenant_id) as connection:
        # The row is locked: who asks at the same time comes after.
        asked = select(shares.c.free_at, shares.c.revoked_at).where(*of_share, shares.c.ends_at > now)
        row = connection.execute(asked.with_for_update()).one_or_none()
        if row is None or row.revoked_at is not None:
            return Grant(granted=False, wait_s=0.0, over=True)
        wanted = turn(pace, row.free_at, octets, now)
        if wanted.wait_s(now) > WAIT_S_MAX:
            return Grant(granted=False, wait_s=wanted.wait_s(now))
        sent = update(share_visits).where(*of_visit, share_visits.c.sent_bytes + octets <= budget)
        if connection.execute(sent.values(sent_bytes=share_visits.c.sent_bytes + octets)).rowcount == 0:
            return Grant(granted=False, wait_s=0.0, over=True)
        connection.execute(update(shares).where(*of_share).values(free_at=wanted.free_at))
    return Grant(granted=True, wait_s=wanted.wait_s(now))


def sweep(catalogue: Catalogue, tenant_id: TenantId, *, now: datetime) -> None:
    """Forget the visits that are over."""
    columns = share_visits.c
    statement = delete(share_visits).where(columns.tenant_id == tenant_id, columns.ends_at <= now)
    with catalogue.transaction(tenant_id) as connection:
        connection.execute(statement)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
