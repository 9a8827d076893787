"""What the self-test of a bucket found last: whether its lock is proved, and who could remove its files.

Rules: of no tenant; written by worker and operator, read by every role. One row a place
(`archive.store.object.place_of`), so that another server under the name of a proved bucket
has no proof. Earlier findings stand in the audit log. Not here: the test (`archive.store.worm`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import worm_proofs

PROOF_AGE_MAX = timedelta(days=30)
"""The test is made every week and at every start: what was not proved for a month is not proved."""


@dataclass(frozen=True)
class WormProof:
    """What was found of the bucket at `place` and of its custody; `faults` tell client and probe."""

    place: str
    at: datetime
    is_proved: bool
    custody: str
    faults: tuple[str, ...]

    def holds(self, now: datetime) -> bool:
        """Tell whether the bucket is proved, and was so recently enough."""
        return self.is_proved and now - self.at <= PROOF_AGE_MAX


def keep(connection: Connection, proof: WormProof) -> None:
    """Remember a finding in the place of the last one of that bucket."""
    row = {**vars(proof), "faults": list(proof.faults)}
    statement = upsert(worm_proofs).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["place"], set_=row))


def proof_of(catalogue: Catalogue, place: str) -> WormProof | None:
    """Return what was found last of a bucket, None when it was never tried out."""
    statement = select(worm_proofs).where(worm_proofs.c.place == place)
    with catalogue.transaction() as connection:
        row = connection.execute(statement).one_or_none()
    return None if row is None else _proof(row)


def newest(catalogue: Catalogue) -> WormProof | None:
    """Return what was found last of any bucket: of the one in use, once a worker has started."""
    statement = select(worm_proofs).order_by(worm_proofs.c.at.desc()).limit(1)
    with catalogue.transaction() as connection:
        row = connection.execute(statement).one_or_none()
    return None if row is None else _proof(row)


def _proof(row: Row[Any]) -> WormProof:
    return WormProof(row.place, row.at.astimezone(UTC), row.is_proved, row.custody, tuple(row.faults))
