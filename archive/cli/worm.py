"""`earwitness storage verify-worm`: proving that the bucket locks what it is told to.

The same test is made by the worker at each start and once a week (`prove_lock`). What was found is an
entry of the audit log and a row by which locks are chosen (`archive.lock_mode`), in one transaction.

Not here: what is tried (`archive.store.worm`).
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from archive.audit import AuditWriter
from archive.catalogue import worm_proofs
from archive.catalogue.worm_proofs import WormProof
from archive.cli.vault import open_store
from archive.settings import Settings, is_loopback
from archive.store.lock_client import lock_clients
from archive.store.worm import LockReport, clear_canaries, verify_worm

ACTION = "storage.verified"
ON_THIS_MACHINE = "no: the store is on this machine, whose administrator can remove its files"
ELSEWHERE = "not shown: no request can prove that those who run the store can't remove its files"


def prove_lock(settings: Settings, audit: AuditWriter, *, actor: str, now: datetime) -> LockReport:
    """Try the bucket of the settings out, and write down what was found.

    Raises Refused when no store is set, StoreUnavailable, CatalogueUnavailable.
    """
    store, custody = open_store(settings), custody_of(settings)
    try:
        clear_canaries(store)
        given = (settings.s3_endpoint, settings.s3_bucket, settings.s3_access_key, settings.s3_secret_key)
        report = verify_worm(lock_clients(*given, settings.s3_region), store.clock())
        clear_canaries(store)
    finally:
        store.close()
    faults = tuple(f"{found.client} {found.probe}: {found.fault}" for found in report.faults)
    with audit.transaction(None) as connection:
        worm_proofs.keep(connection, WormProof(store.place, now, report.is_proved, custody, faults))
        audit.append(
            connection,
            tenant_id=None,
            actor=actor,
            action=ACTION,
            object=f"bucket:{settings.s3_bucket}",
            result="ok" if report.is_proved else "failed",
            body={
                "lock": "proved" if report.is_proved else "not proved",
                "custody": custody,
                "faults": list(faults),
            },
            at=now,
        )
    return report


def custody_of(settings: Settings) -> str:
    """Return what can be said of who could remove the store's files: never more than is known."""
    host = urlsplit(settings.s3_endpoint).hostname or ""
    return ON_THIS_MACHINE if settings.s3_sync_dir is not None or is_loopback(host) else ELSEWHERE
