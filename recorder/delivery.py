"""Tells the catalogue what waits in the outbox, whenever the database is there.

Rules: runs in a thread; an outcome is forgotten only after the transaction that
holds it was committed, and telling it twice changes nothing.

Not here: what an outcome is (`recorder.srs`), how it waits (`recorder.outbox`).
"""

from __future__ import annotations

from archive.audit import AuditWriter
from archive.catalogue import sessions
from archive.catalogue.engine import Catalogue
from archive.errors import DependencyUnavailable
from recorder.outbox import Outbox


def deliver(outbox: Outbox, catalogue: Catalogue, audit: AuditWriter) -> int:
    """Tell everything that waits and return how much it was; raises DependencyUnavailable."""
    told = 0
    for path, outcome in outbox.waiting():
        with audit.transaction(outcome.tenant_id) as connection:
            sessions.insert_outcome(connection, outcome)
        outbox.delivered(path)
        told += 1
    for day, count in outbox.take_exempt():
        try:
            sessions.count_exempt(catalogue, day, count)
        except DependencyUnavailable:
            outbox.put_back_exempt(day, count)
            raise
        told += count
    return told
