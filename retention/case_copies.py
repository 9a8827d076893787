"""Copies of cases follow the cases into the bucket, and go when these have ended.

The row of a change stands in the transaction that acknowledged it; this follows as a job, before
the store's own holds. Next number put -> held by the store -> read back and opened -> its pin written
down, for the scrub -> older ones deleted -> the change taken off. A job that was broken off is done
again from its beginning.

A case has ended when it was released and the last of its recordings was let go. Then the holds
on its copies are taken off, every version is deleted and confirmed gone, and its key is destroyed:
names stood in it.

A database that was restored from yesterday writes over no copy that knows more than it does: a
rule made today would be lost. It waits for the catalogue to be built again.

What the copy knows that the database was built from, and could not be brought back (a person who is
lost), keeps no later one from being written: that was told when it was built.

Rules: done again and again without harm. What can't be written waits and is told; nothing else
waits for it. Not here: when it runs (`retention.worker`), what is in a copy (`archive.case_copy`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from archive.audit import AuditWriter
from archive.case_copy import (
    NUMBER_MAX,
    OBJECT_BYTES_MAX,
    CopiedCase,
    copies_prefix,
    copy_key,
    fitted,
    key_owner,
    knows_more,
    opened_copy,
    place_of,
    sealed_copy,
)
from archive.catalogue import case_changes
from archive.catalogue.engine import Catalogue
from archive.clock import Clock
from archive.data_key import Vault, translated_key_errors
from archive.errors import (
    ArchiveError,
    Conflict,
    DependencyUnavailable,
    NotFound,
    StoreUnavailable,
    VerificationFailed,
)
from archive.model import TenantId
from archive.store.object import ObjectVersion, Store, sha256_hex

ACTOR = "service:worker"
BATCH_CASES_MAX = 100  # some requests each; then other jobs get their turn

FAILURES_MAX = 3
"""So many that fail one after the other are not at fault themselves: the store or the database is away."""

log = structlog.get_logger()


class KnowsMore(Conflict):
    """A copy has what the database lacks; to write over it would lose a rule."""


class CaseVault(Vault, Protocol):
    """What is asked of `keys.kek.KekVault`."""

    def ids(self, tenant_id: str) -> tuple[str, ...]:
        """Return the ids of a tenant's KEKs that are not destroyed."""

    def destroy(self, kek_id: str) -> None:
        """Destroy a KEK for ever; repeatable."""


@dataclass(frozen=True)
class CopyProgress:
    """Cases whose copies are right now, and how many wait still."""

    done: int
    remaining: int


class CaseCopies:
    """Writes copies of cases and erases them; one worker at a time for each tenant."""

    def __init__(
        self,
        store: Store,
        vault: Callable[[], CaseVault],
        catalogue: Catalogue,
        audit: AuditWriter,
        clock: Clock,
    ) -> None:
        self._store = store
        self._vault = vault
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock

    def batch(self, tenant_id: TenantId, cases_max: int = BATCH_CASES_MAX) -> CopyProgress:
        """Write what is behind; raises DependencyUnavailable when something is away and nothing was done."""
        done = in_a_row = 0
        failure: DependencyUnavailable | None = None
        for case_id in case_changes.waiting(self._catalogue, tenant_id, cases_max):
            try:
                self.follow(tenant_id, case_id)
            except DependencyUnavailable as error:
                failure, in_a_row = error, in_a_row + 1
                log.warning("the copy of a case waits", case_id=case_id, reason=str(error))
                if in_a_row >= FAILURES_MAX:
                    break
            except ArchiveError as error:
                in_a_row = 0
                # Its change stands, and is told each time.
                log.warning("ALARM: the copy of a case can't be written", case_id=case_id, reason=str(error))
            else:
                done, in_a_row = done + 1, 0
                continue
            case_changes.tried(self._catalogue, tenant_id, case_id, now=self._clock.now())
        if failure is not None and not done:
            raise failure
        return CopyProgress(done, case_changes.count_waiting(self._catalogue, tenant_id))

    def follow(self, tenant_id: TenantId, case_id: str) -> None:
        """Let the copy of a case say what the case says, or let it go with the case."""
        now = case_changes.changed(self._catalogue, tenant_id, case_id)
        if now.has_ended:
            self._erase(tenant_id, case_id)
        else:
            self._write(now.case, now.copy_taken)
            # Who was late must not leave a copy behind of what ended meanwhile.
            if case_changes.changed(self._catalogue, tenant_id, case_id).has_ended:
                self._erase(tenant_id, case_id)
        case_changes.settle(self._catalogue, tenant_id, now.changes)

    def _write(self, case: CopiedCase, copy_taken: int) -> None:
        """Put the next copy of a case, then take the older ones away."""
        older = self._copies(case.tenant_id, case.id)
        former, former_number = self._newest_that_opens(older)
        if former is not None and former_number > copy_taken and knows_more(former, case):
            raise KnowsMore(
                f"The copy of case {case.id} in the bucket has what the database lacks, which is older: run "
                "earwitness storage rebuild-catalogue. Until then the copy stays as it is."
            )
        case = fitted(case)
        numbers = [place[2] for each in older if (place := place_of(each.key)) is not None]
        # A stray may stand under the last number there is.
        number = max((each for each in numbers if each < NUMBER_MAX), default=0) + 1
        key = copy_key(case.tenant_id, case.id, number)
        data = sealed_copy(self._vault(), case, number)
        version_id = self._store.put(key, data, None, sha256=sha256_hex(data))
        if self._store.locks:
            self._store.set_legal_hold(key, version_id, held=True)
        self._store.barrier()
        self._read_back(key, version_id, case)
        case_changes.pinned(self._catalogue, case.tenant_id, case.id, (key, version_id), data)
        for each in older:
            self._delete(each)

    def _newest_that_opens(self, copies: list[ObjectVersion]) -> tuple[CopiedCase | None, int]:
        numbered = [(place[2], each) for each in copies if (place := place_of(each.key)) is not None]
        for number, each in sorted(numbered, key=lambda one: one[0], reverse=True):
            if each.is_delete_marker or each.size_bytes > OBJECT_BYTES_MAX:
                continue
            with contextlib.suppress(NotFound, VerificationFailed):
                octets = self._store.get(each.key, each.version_id)
                return opened_copy(self._vault(), each.key, octets), number
        return None, 0

    def _read_back(self, key: str, version_id: str, case: CopiedCase) -> None:
        try:
            data, facts = self._store.fetch(key, version_id)
            found = opened_copy(self._vault(), key, data)
        except (NotFound, VerificationFailed) as error:
            raise StoreUnavailable(
                "The store lost or altered the copy of a case; it is tried again."
            ) from error
        if found != case or facts.held != self._store.locks:
            raise StoreUnavailable("The store acknowledged the copy of a case and gives back something else.")

    def _erase(self, tenant_id: TenantId, case_id: str) -> None:
        """Delete every copy of a case that has ended, and destroy its key."""
        for each in self._copies(tenant_id, case_id):
            self._delete(each)
        if self._copies(tenant_id, case_id):
            raise StoreUnavailable("The store acknowledged that copies of a case are gone and lists them.")
        case_changes.unpinned(self._catalogue, tenant_id, case_id)
        destroy_keys(self._vault(), self._audit, tenant_id, case_id, now=self._clock.now())

    def _copies(self, tenant_id: TenantId, case_id: str) -> list[ObjectVersion]:
        return self._store.versions(copies_prefix(tenant_id, case_id))

    def _delete(self, version: ObjectVersion) -> None:
        if self._store.locks and not version.is_delete_marker:
            self._store.set_legal_hold(version.key, version.version_id, held=False)
        self._store.delete(version.key, version.version_id)


def destroy_keys(
    vault: CaseVault, audit: AuditWriter, tenant_id: TenantId, case_id: str, *, now: datetime
) -> int:
    """Destroy the keys of a case that has ended; return how many. Raises DependencyUnavailable."""
    with translated_key_errors():
        kek_ids = vault.ids(key_owner(case_id))
    for kek_id in kek_ids:
        with audit.transaction(tenant_id) as connection:
            audit.append(
                connection,
                tenant_id=tenant_id,
                actor=ACTOR,
                action="key.destroy",
                object=f"kek:{kek_id}",
                body={"reason": "the case has ended"},
                at=now,
            )
        with translated_key_errors():
            vault.destroy(kek_id)
    return len(kek_ids)
