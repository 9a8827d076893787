"""Tells the catalogue what waits in the outbox, whenever the database is there.

Rules: runs in a thread; an outcome is forgotten only after the transaction that
holds it was committed, and telling it twice changes nothing.

Not here: what an outcome is (`recorder.srs`), how it waits (`recorder.outbox`).
"""

from __future__ import annotations

from archive.audit import AuditWriter
from archive.catalogue import sessions
from archive.catalogue.engine import Catalogue
from archive.errors import ArchiveError, DependencyUnavailable
from recorder.outbox import Outbox


def deliver(outbox: Outbox, catalogue: Catalogue, audit: AuditWriter) -> int:
    """Tell everything that waits and return how much it was.

    Raises DependencyUnavailable, and at the end another ArchiveError when the database
    does not accept an outcome: that one stays, and holds up no other.
    """
    told = 0
    refused: ArchiveError | None = None
    for path, outcome in outbox.waiting():
        try:
            with audit.transaction(outcome.tenant_id) as connection:
                sessions.insert_outcome(connection, outcome)
        except DependencyUnavailable:
            raise
        except ArchiveError as error:
            refused = error
            continue
        outbox.delivered(path)
        told += 1
    for day, count in outbox.take_exempt():
        try:
            sessions.count_exempt(catalogue, day, count)
        except ArchiveError:
            outbox.put_back_exempt(day, count)
            raise
        told += count
    if refused is not None:
        raise refused
    return told
