"""Challenges that were answered: each answer counts once.

A row is made only by a right answer, so that strangers can't fill the table; it goes
when the challenge would have ended anyway.

Rules: runs as the portal, without a tenant. Not here: what a challenge is (`keys.challenge`).
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import spent_challenges


def spend(catalogue: Catalogue, challenge: str, *, until: datetime, now: datetime) -> bool:
    """Return whether this challenge was not answered before; it is now. `until` is when it ends."""
    row = {"challenge_hash": hashlib.sha256(challenge.encode()).hexdigest(), "until": until}
    with catalogue.transaction() as connection:
        connection.execute(delete(spent_challenges).where(spent_challenges.c.until < now))
        statement = upsert(spent_challenges).values(row).on_conflict_do_nothing()
        made = connection.execute(statement.returning(spent_challenges.c.challenge_hash))
        return made.first() is not None
