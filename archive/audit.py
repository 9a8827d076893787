"""The audit log as a process writes it: one chain a writer, in the caller's transaction.

An entry is durable exactly when the transaction of the caller is: what must be
logged before its effect (play, export) commits first and acts afterwards, what is
logged with a row (an archived recording) commits with it. The database refuses to
change, remove or fork what was written, whoever asks.

Rules: a writer is one kind of process on one node (`recorder/<node>`); processes that
share it queue on a lock until their transactions end, so they stay short.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from archive.audit_chain import (
    SALT_BYTES,
    AuditEntry,
    ChainHead,
    Json,
    canonical_json,
    link,
    verify_body,
    verify_chain,
)
from archive.catalogue import audit_entries
from archive.catalogue.engine import Catalogue, Connection
from archive.erased_bodies import Numbers, told_of
from archive.errors import ChainBroken
from archive.model import TenantId

__all__ = [
    "AuditEntry",
    "AuditWriter",
    "ChainBroken",
    "Json",
    "canonical_json",
    "verify_bodies",
    "verify_chain",
    "verify_log",
]


class AuditWriter:
    """Appends to the chain of one writer; safe to share between threads."""

    def __init__(self, catalogue: Catalogue, writer: str) -> None:
        """Remember the chain; nothing is read before the first entry."""
        self._catalogue = catalogue
        self._writer = writer

    @contextmanager
    def transaction(self, tenant_id: TenantId | None) -> Iterator[Connection]:
        """Open a transaction for work that ends with an entry; raises as `Catalogue.transaction`."""
        with self._catalogue.transaction(tenant_id) as connection:
            yield connection

    def append(
        self,
        connection: Connection,
        *,
        tenant_id: TenantId | None,
        actor: str,
        action: str,
        object: str,  # noqa: A002 - the word of the log's readers
        at: datetime,
        result: str = "ok",
        purpose: str | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> AuditEntry:
        """Add an entry to the caller's transaction, which is one of `tenant_id`; return it.

        Everyone else who appends to this chain waits until that transaction ends. Raises
        Refused when a field or the body is beyond its limit.
        """
        content: dict[str, Json] = {**(body or {}), **({"purpose": purpose} if purpose is not None else {})}
        head = audit_entries.lock_chain(connection, self._writer)
        entry = link(
            head,
            writer=self._writer,
            at=at,
            tenant_id=tenant_id,
            actor=actor,
            action=action,
            object=object,
            result=result,
            body=content,
            salt=secrets.token_hex(SALT_BYTES),
        )
        audit_entries.insert(connection, entry)
        return entry

    def append_each(
        self,
        connection: Connection,
        objects: Iterable[str],
        *,
        tenant_id: TenantId | None,
        actor: str,
        action: str,
        at: datetime,
        body: Mapping[str, Json],
    ) -> None:
        """Add an entry for each of several objects that one act changed alike; else as `append`."""
        head, entries = audit_entries.lock_chain(connection, self._writer), []
        for each in objects:
            entry = link(
                head,
                writer=self._writer,
                at=at,
                tenant_id=tenant_id,
                actor=actor,
                action=action,
                object=each,
                result="ok",
                body=body,
                salt=secrets.token_hex(SALT_BYTES),
            )
            head = ChainHead(entry.sequence, entry.hash)
            entries.append(entry)
        audit_entries.insert(connection, *entries)


def verify_log(catalogue: Catalogue) -> dict[str, ChainHead]:
    """Check every chain of the log, as operator or worker; return each writer's verified head.

    Bodies stay closed here: each is read within its tenant (`verify_bodies`).
    Raises ChainBroken at the first entry that is not what was written.
    """
    verified = {}
    for writer, head in audit_entries.heads(catalogue).items():
        # Entries appended after the heads were read are left for the next time.
        entries = audit_entries.chain(catalogue, writer, last=head.sequence)
        verified[writer] = verify_chain(entries, head=head)
    return verified


def verify_bodies(catalogue: Catalogue, tenant_ids: Iterable[TenantId]) -> Counter[str]:
    """Check every body of these tenants, and of the instance's own entries, against its entry.

    One that is gone must be named by an entry `log.bodies-erased`. Returns how many are, by writer.
    Raises ChainBroken at the first altered or removed one.
    """
    erased = _verify_bodies(catalogue, None, audit_entries.of_instance(catalogue))
    for tenant_id in tenant_ids:
        erased += _verify_bodies(catalogue, tenant_id, audit_entries.of_tenant(catalogue, tenant_id))
    return erased


def _verify_bodies(
    catalogue: Catalogue, tenant_id: TenantId | None, entries: Iterable[AuditEntry]
) -> Counter[str]:
    missing, count = Numbers(), Counter[str]()
    for entry in entries:
        verify_body(entry)
        if entry.body is None:
            missing.add(entry.writer, entry.sequence, entry.sequence)
            count[entry.writer] += 1
    if not count:
        return count
    # Read after what is missing: each is erased together with the entry that names it.
    removed = missing.beyond(told_of(audit_entries.erasures(catalogue, tenant_id)))
    if removed is not None:
        writer, position = removed
        raise ChainBroken(
            f"The body of audit entry {position} of {writer} was removed: no entry tells of its erasure.",
            writer=writer,
            position=position,
        )
    return count
