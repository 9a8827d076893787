"""What the store has to show of the locks and holds on a recording, and having them put back.

Whoever has the bucket's keys may take a lock or a hold off an object, or let a lock end earlier.
What they have to be stands in the row: its term, its cases, and whether the jobs that follow
both are through with it.

Rules: runs as worker. Nothing of it reaches the store: what is put back is written into the row, for
the jobs that follow terms and cases. Not here: asking the store (`retention.scrub`), and those jobs
(`retention.terms`, `retention.store_holds`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import and_, func, select, update

from archive.catalogue.engine import Connection
from archive.catalogue.store_holds import HELD, PARTLY
from archive.catalogue.tables import recordings, scrubs
from archive.model import KEPT_STATES, RecordingId, TenantId
from archive.store.object import COMPLIANCE, ObjectFacts, whole_second

UNLOCKED = "lock taken off"
SHORTENED = "lock ends too early"
LOOSENED = "lock made looser"
LETTING_GO = "hold taken off"

OF_LOCKS = frozenset({UNLOCKED, SHORTENED, LOOSENED})
OF_HOLDS = frozenset({LETTING_GO})


@dataclass(frozen=True)
class Due:
    """What the store has to show of each object of a recording.

    `until` is None for one that needs no lock (yet). `is_firm` says that its objects were seen under
    COMPLIANCE before. While `lock_follows` or `hold_follows` a job is still to move it.
    """

    until: datetime | None = None
    is_firm: bool = False
    is_held: bool = False
    lock_follows: bool = False
    hold_follows: bool = False

    def wrong(self, facts: ObjectFacts, now: datetime) -> frozenset[str]:
        """Return what is wrong with lock and hold of a version at that time; nothing when it has them. Pure.

        A term that is over asks for no lock.
        """
        found = set(OF_HOLDS) if self.is_held and not facts.held else set[str]()
        if self.until is not None and self.until > now:
            if facts.retain_until is None or facts.mode is None:
                found.add(UNLOCKED)
            elif facts.retain_until < whole_second(self.until):
                found.add(SHORTENED)
            elif self.is_firm and facts.mode != COMPLIANCE:
                found.add(LOOSENED)
        return frozenset(found)

    def unsure(self, before: Due) -> frozenset[str]:
        """Return which of these words say nothing, as something moved or was yet to move. Pure.

        `before` is what was due when the store was asked.
        """
        moved = self != before
        locks = OF_LOCKS if moved or self.lock_follows else frozenset[str]()
        holds = OF_HOLDS if moved or self.hold_follows else frozenset[str]()
        return locks | holds


def due(connection: Connection, recording_ids: Iterable[RecordingId]) -> dict[RecordingId, Due]:
    """Return what is due of recordings, by their ids."""
    columns = recordings.c
    statement = (
        select(columns.id, columns.state, columns.retain_until, columns.term_behind)
        .add_columns(columns.on_hold, columns.store_hold, func.coalesce(scrubs.c.is_firm, False))
        .select_from(recordings.outerjoin(scrubs, scrubs.c.recording_id == columns.id))
        .where(columns.id.in_(list(recording_ids)))
    )
    return {
        RecordingId(recording_id): Due(
            # In quarantine nothing is locked, and while it gets its owner it is put anew.
            until=until.astimezone(UTC) if state in KEPT_STATES else None,
            is_firm=is_firm,
            is_held=on_hold,
            lock_follows=term_behind,
            hold_follows=store_hold != HELD,
        )
        for recording_id, state, until, term_behind, on_hold, store_hold, is_firm in connection.execute(
            statement
        )
    }


def is_firm(connection: Connection, recording_id: RecordingId) -> bool:
    """Return whether the objects of a recording were seen under COMPLIANCE."""
    statement = select(scrubs.c.is_firm).where(scrubs.c.recording_id == recording_id)
    return bool(connection.execute(statement).scalar())


def put_back(
    connection: Connection, tenant_id: TenantId, recording_id: RecordingId, words: Collection[str]
) -> None:
    """Have the jobs that follow terms and cases give a recording what the store should show."""
    of_it = and_(recordings.c.tenant_id == tenant_id, recordings.c.id == recording_id)
    if not OF_LOCKS.isdisjoint(words):
        connection.execute(update(recordings).where(of_it).values(term_behind=True))
    if not OF_HOLDS.isdisjoint(words):
        held = of_it, recordings.c.store_hold == HELD
        connection.execute(update(recordings).where(*held).values(store_hold=PARTLY))
