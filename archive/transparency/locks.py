"""The locks of the log's objects in the bucket: which are off or end too early, and locking them again.

Whoever has the keys of the bucket and may bypass GOVERNANCE can take a lock off, and delete later what
nobody would miss until then. A lock that ends before the log is kept long enough is made longer; that
it was made for a shorter time, as the settings said then, is no finding, and that it is off is one.

Rules: a lock is only ever made longer, and its mode never loosened. Not here: what the objects say
(`archive.transparency.comparison`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from archive.catalogue import audit_tree
from archive.catalogue.audit_tree import CheckpointRow
from archive.catalogue.engine import Catalogue
from archive.errors import NotFound
from archive.store.object import COMPLIANCE, LockMode, ObjectFacts, Store, whole_second
from archive.transparency.comparison import Share
from archive.transparency.leaves import checkpoint_key, segment_key, token_key

NEARLY = timedelta(minutes=10)
"""A checkpoint is dated before its objects are locked, in the same round."""


@dataclass(frozen=True)
class Loosened:
    """An object of the log whose lock is off, or ends before `due`."""

    facts: ObjectFacts
    due: datetime

    @property
    def is_off(self) -> bool:
        """Whether there is no lock at all."""
        return self.facts.retain_until is None


def loosened(
    catalogue: Catalogue, store: Store, *, kept: timedelta, now: datetime, share: Share
) -> list[Loosened]:
    """Return what of a share of all logs is not locked for as long as it is kept, one request an object.

    Raises StoreUnavailable, CatalogueUnavailable.
    """
    if not store.locks:
        return []
    found = []
    for log in audit_tree.logs(catalogue):
        for position, row in enumerate(audit_tree.checkpoints(catalogue, log.number)):
            # Of a checkpoint dated ahead the lock is not: nothing may be locked by such a date.
            due = whole_second(min(row.at, now) + kept)
            if position % share.parts == share.number and due > now:
                found += [Loosened(facts, due) for facts in _facts(store, row) if not _is_locked(facts, due)]
    return found


def lock_again(store: Store, found: list[Loosened], mode: LockMode) -> None:
    """Lock these objects for as long as is due; raises Refused, StoreUnavailable."""
    for each in found:
        firm = COMPLIANCE if each.facts.mode == COMPLIANCE else mode
        store.lengthen(each.facts.key, each.facts.version_id, each.due, firm)


def _facts(store: Store, row: CheckpointRow) -> Iterator[ObjectFacts]:
    placed = (
        (segment_key(row.log, row.first, row.size), row.leaves_version),
        (checkpoint_key(row.log, row.size), row.note_version),
        (token_key(row.log, row.size), row.token_version),
    )
    for key, version_id in placed:
        if version_id is not None:
            with suppress(NotFound):  # that it is gone is told by who compares
                yield store.head(key, version_id)


def _is_locked(facts: ObjectFacts, due: datetime) -> bool:
    return facts.retain_until is not None and facts.retain_until >= due - NEARLY
