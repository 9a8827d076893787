"""Which recorders are there: each says so every second, and one that is silent is taken for gone.

What stands in the catalogue of a call under way is what its recorder told last. A
recorder that was killed tells nothing more, and its calls would look as if they were
still being recorded; so who shows them asks here whether anybody stands for them.

Rules: ages are of the database's clock alone. Names of nodes are of no tenant and are
shown to none. Not here: the calls (`live_calls`), what becomes of them (`recorder`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import recorder_nodes

BEAT_S = 1.0
"""How often a recorder says that it is there."""

SILENT_S = 5.0
"""Missed beats of a busy moment are none; after this long nobody would bet on the recorder any more."""


def beat(catalogue: Catalogue, node: str) -> None:
    """Say that a node is there, as its recorder."""
    statement = upsert(recorder_nodes).values(node=node, heard_at=func.clock_timestamp())
    statement = statement.on_conflict_do_update(
        index_elements=["node"], set_={"heard_at": func.clock_timestamp()}
    )
    with catalogue.transaction() as connection:
        connection.execute(statement)


def heard(catalogue: Catalogue, *, within_s: float = SILENT_S) -> frozenset[str]:
    """Return the nodes that said within `within_s` that they are there."""
    since = func.clock_timestamp() - timedelta(seconds=within_s)
    statement = select(recorder_nodes.c.node).where(recorder_nodes.c.heard_at > since)
    with catalogue.transaction() as connection:
        return frozenset(connection.execute(statement).scalars())


def sweep(catalogue: Catalogue, before: datetime) -> int:
    """Forget the nodes that were heard last before `before`, as worker, and return how many."""
    with catalogue.transaction() as connection:
        return connection.execute(delete(recorder_nodes).where(recorder_nodes.c.heard_at < before)).rowcount
