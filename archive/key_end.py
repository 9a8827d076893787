"""The end of a key-encryption key: the entry of the audit log, then the key, then the note that it is gone.

Rules: whoever calls has retired the key (`archive.catalogue.keks`) and knows that nothing hangs from it
that is to stay. Repeatable. Not here: when (`archive.rewrap`, `retention.idle_keys`, `retention.exports`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from archive.audit import AuditWriter, Json
from archive.catalogue import keks
from archive.catalogue.engine import Catalogue
from archive.data_key import translated_key_errors
from archive.errors import NotFound
from archive.model import TenantId
from keys.errors import KeyNotFound


class Destroying(Protocol):
    """What is asked of `keys.kek.KekVault`."""

    def destroy(self, kek_id: str) -> None:
        """Destroy a KEK for ever; repeatable. Raises KeyNotFound if it never was there."""


def destroy_kek(  # noqa: PLR0917 - where it is done, and the words of one audit entry
    vault: Destroying,
    catalogue: Catalogue,
    audit: AuditWriter,
    tenant_id: TenantId,
    kek_id: str,
    body: dict[str, Json],
    *,
    actor: str,
    now: datetime,
) -> None:
    """Destroy a retired KEK; raises NotFound (the key store is another one), DependencyUnavailable."""
    with audit.transaction(tenant_id) as connection:
        audit.append(
            connection,
            tenant_id=tenant_id,
            actor=actor,
            action="key.destroy",
            object=f"kek:{kek_id}",
            body=body,
            at=now,
        )
    with translated_key_errors():
        try:
            vault.destroy(kek_id)
        except KeyNotFound as error:
            raise NotFound(f"The key store has no KEK {kek_id}: is it the one of this archive?") from error
    with catalogue.transaction(tenant_id) as connection:
        keks.note_destroyed(connection, kek_id, now=now)
