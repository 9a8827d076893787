"""Which recorders are there: each says so every second, and one that is silent is taken for gone.

What stands in the catalogue of a call under way is what its recorder told last. A
recorder that was killed tells nothing more, and its calls would look as if they were
still being recorded; so who shows them asks here whether anybody stands for them.

With each beat it says how it is: what it records, what waits for the archive, its journal.
None of it is of a tenant, and none of an exempt call: what is counted are recordings.

Rules: ages are of the database's clock alone. Names of nodes are of no tenant and are
shown to none. Not here: the calls (`live_calls`), what becomes of them (`recorder`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.engine import Catalogue
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import recorder_nodes

BEAT_S = 1.0
"""How often a recorder says that it is there."""

MISSED = timedelta(days=30)
"""Audio that nobody archived is no machine's that was stopped for good; after a month nobody waits for it."""

SILENT_S = 5.0
"""Missed beats of a busy moment are none; after this long nobody would bet on the recorder any more."""


@dataclass(frozen=True)
class Condition:
    """How a recorder is: what is None it did not say.

    `waiting` are finished recordings that are not archived yet, the oldest of which ended at
    `waiting_since`; the oldest file of the journal was begun at `journal_since`. `unready_reason`
    is why it takes no new call, '' when it does.
    """

    version: str | None = None
    recordings: int | None = None
    waiting: int | None = None
    waiting_since: datetime | None = None
    journal_bytes: int | None = None
    journal_since: datetime | None = None
    unready_reason: str | None = None


@dataclass(frozen=True)
class Node:
    """A recorder, how long ago it was heard by the database's clock, and how it was then."""

    name: str
    silent_s: float
    condition: Condition

    @property
    def is_there(self) -> bool:
        """Whether it was heard so lately that it stands for its calls."""
        return self.silent_s <= SILENT_S

    @property
    def waiting(self) -> int | None:
        """What of it is not archived and no longer recorded; None while it did not say.

        The calls of one that is silent stand in its journal as what had ended does.
        """
        if self.is_there or self.condition.waiting is None:
            return self.condition.waiting
        return self.condition.waiting + (self.condition.recordings or 0)


UNSAID = Condition()


def beat(catalogue: Catalogue, node: str, condition: Condition = UNSAID) -> None:
    """Say that a node is there and how it is, as its recorder."""
    said = {**vars(condition), "heard_at": func.clock_timestamp()}
    statement = upsert(recorder_nodes).values(node=node, **said)
    statement = statement.on_conflict_do_update(index_elements=["node"], set_=said)
    with catalogue.transaction() as connection:
        connection.execute(statement)


def listed(catalogue: Catalogue) -> list[Node]:
    """Return the nodes that are known, by name: who was silent for long is forgotten (`sweep`)."""
    columns = recorder_nodes.c
    silent = func.extract("epoch", func.clock_timestamp() - columns.heard_at).label("silent_s")
    with catalogue.transaction() as connection:
        rows = connection.execute(select(recorder_nodes, silent).order_by(columns.node)).all()
    return [
        Node(
            row.node,
            float(row.silent_s),
            Condition(
                row.version,
                row.recordings,
                row.waiting,
                in_utc(row.waiting_since),
                row.journal_bytes,
                in_utc(row.journal_since),
                row.unready_reason,
            ),
        )
        for row in rows
    ]


def heard(catalogue: Catalogue, *, within_s: float = SILENT_S) -> frozenset[str]:
    """Return the nodes that said within `within_s` that they are there."""
    since = func.clock_timestamp() - timedelta(seconds=within_s)
    statement = select(recorder_nodes.c.node).where(recorder_nodes.c.heard_at > since)
    with catalogue.transaction() as connection:
        return frozenset(connection.execute(statement).scalars())


def sweep(catalogue: Catalogue, before: datetime) -> int:
    """Forget the nodes that were heard last before `before`, as worker, and return how many.

    One that still had something to archive stands in its journal with it, and is missed for
    MISSED longer.
    """
    columns = recorder_nodes.c
    holds = or_(columns.recordings > 0, columns.waiting > 0)
    gone = and_(
        columns.heard_at < before, or_(~func.coalesce(holds, False), columns.heard_at < before - MISSED)
    )
    with catalogue.transaction() as connection:
        return connection.execute(delete(recorder_nodes).where(gone)).rowcount
