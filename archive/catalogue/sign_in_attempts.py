"""Attempts to sign in, counted in the database: they outlive a restart and hold for all portals.

An attempt is counted as failed before it is judged, so that a hundred at once are a
hundred; who turns out to be right takes it back.

Rules: runs as the portal, without a tenant, for nobody is known yet. Not here: how long
whom has to wait (`archive.throttle`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive import throttle
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import sign_in_attempts
from archive.throttle import Subject, Tally


def begin(catalogue: Catalogue, subjects: tuple[Subject, ...], now: datetime) -> float:
    """Count an attempt and return 0, or return for how many seconds none is heard and count nothing."""
    columns = sign_in_attempts.c
    with catalogue.transaction() as connection:
        forgotten = now - timedelta(seconds=throttle.KNOWN_S)
        connection.execute(delete(sign_in_attempts).where(columns.failed_at < forgotten))
        tallies = _locked(connection, subjects, now)
        wait_s = throttle.wait_s(subjects, tallies, now)
        if wait_s > 0:
            return wait_s
        for subject in subjects:
            counted = tallies[subject.hash].failures_at(now) + 1
            statement = update(sign_in_attempts).where(columns.subject == subject.hash)
            connection.execute(statement.values(failures=counted, failed_at=now))
    return 0.0


def succeeded(catalogue: Catalogue, subjects: Sequence[Subject], now: datetime) -> None:
    """Take the attempt back: the first subject knows its network now, and the account begins anew.

    What others' attempts count in takes back only this one (`Subject.shared`): who owns one account
    can't use it to try others for ever, and who has the PIN of a link clears nobody who guesses it.
    """
    columns = sign_in_attempts.c
    with catalogue.transaction() as connection:
        for place, subject in sorted(enumerate(subjects), key=lambda each: each[1].hash):
            left = func.greatest(columns.failures - 1, 0) if subject.shared else 0
            values = {
                "failures": left,
                **({"succeeded_at": now} if place == 0 and not subject.shared else {}),
            }
            connection.execute(update(sign_in_attempts).where(columns.subject == subject.hash).values(values))


def forgive(catalogue: Catalogue, subjects: Sequence[Subject]) -> None:
    """Forget all failures of these subjects: their owner proved themselves in another way."""
    hashes = [subject.hash for subject in subjects]
    with catalogue.transaction() as connection:
        connection.execute(delete(sign_in_attempts).where(sign_in_attempts.c.subject.in_(hashes)))


def _locked(connection: Connection, subjects: tuple[Subject, ...], now: datetime) -> dict[str, Tally]:
    """Return what was counted of each subject, and let nobody else count until the transaction ends."""
    columns = sign_in_attempts.c
    # In one order, so that two attempts never wait for each other.
    hashes = sorted({subject.hash for subject in subjects})
    fresh = [{"subject": each, "failures": 0, "failed_at": now} for each in hashes]
    # In one statement that changes nothing: of a row that is forgiven meanwhile it makes another.
    statement = upsert(sign_in_attempts).values(fresh)
    as_it_was = {"failures": columns.failures}
    statement = statement.on_conflict_do_update(index_elements=["subject"], set_=as_it_was)
    return {
        row.subject: Tally(row.failures, _utc(row.failed_at), row.succeeded_at and _utc(row.succeeded_at))
        for row in connection.execute(statement.returning(sign_in_attempts))
    }


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
