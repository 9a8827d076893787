"""`earwitness storage scrub`: reading again, now, what the worker reads by and by.

Prints what stands damaged, that which was found before too; exit 1 when there is any.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta

from archive.audit import AuditWriter
from archive.catalogue import scrubs
from archive.catalogue.directory import list_tenants
from archive.catalogue.engine import Catalogue
from archive.cli import storage
from archive.cli.outcome import DONE, FAILED, Row, print_row, print_rows
from archive.cli.service import worker_settings_of
from archive.cli.vault import open_store
from archive.clock import SystemClock
from archive.model import Tenant
from archive.telemetry import configure_logging
from retention.scrub import PackageFinding, Scrub


def run_storage(arguments: list[str]) -> int:
    """Prove, read again or rebuild; raises ArchiveError."""
    return storage.run_storage(arguments, scrub)


def scrub(options: argparse.Namespace) -> int:
    """Look after every recording of every tenant, batch by batch, as a worker does."""
    settings = worker_settings_of(options)
    configure_logging(settings, "storage")
    settings.require("database_url")
    catalogue = Catalogue(settings.database_url, timeout_s=settings.database_timeout_s)
    store, clock = open_store(settings), SystemClock()
    try:
        audit = AuditWriter(catalogue, f"worker/{settings.node_name}/scrub")
        interval = timedelta() if options.all else timedelta(days=settings.scrub_days)
        scrubbing = Scrub(store, catalogue, audit, clock, interval)
        tenants = list_tenants(catalogue)
        passes = [(tenant, *_scrubbed(scrubbing, tenant)) for tenant in tenants]
        read = sum(objects for _, objects, _ in passes)
        progress = scrubbing.tally(tenant.id for tenant in tenants)
        damaged: list[Row] = [
            {
                "tenant": tenant.domain,
                "recording": found.thing.replace(":", " "),
                "object": found.part,
                "finding": found.what,
                "foundAt": clock.now().isoformat(timespec="seconds"),
            }
            for tenant, _, packages in passes
            for found in packages
        ]
        damaged += [
            {
                "tenant": tenant.domain,
                "recording": found.recording_id,
                "object": found.damage.kind,
                "finding": found.damage.what,
                "foundAt": found.found_at.isoformat(timespec="seconds"),
            }
            for tenant in tenants
            for found in scrubs.findings(catalogue, tenant.id)
        ]
    finally:
        catalogue.close()
        store.close()
    told: Row = {
        "recordings": progress.recordings,
        "objects read": read,
        "damaged": progress.findings + sum(len(packages) for *_, packages in passes),
    }
    if options.json:
        lines = [" ".join(str(value) for value in row.values()) for row in damaged]
        print_row({**told, "findings": lines}, as_json=True)
    else:
        if damaged:
            print_rows(damaged, as_json=False)
        print_row(told, as_json=False)
    return FAILED if damaged else DONE


def _scrubbed(scrubbing: Scrub, tenant: Tenant) -> tuple[int, list[PackageFinding]]:
    """Look after what a tenant has; return how many objects were read, and the exports that are damaged."""
    read = looked = 0
    packages: list[PackageFinding] = []
    cursor: str | None = None
    while True:
        batch = scrubbing.batch(tenant.id, cursor)
        read, looked, cursor = read + batch.objects, looked + batch.recordings, batch.next_cursor
        packages += [found for found in batch.findings if isinstance(found, PackageFinding)]
        if cursor is None:
            return read, packages
        print(f"{tenant.domain}: {looked} recordings looked after, {read} objects read", file=sys.stderr)  # noqa: T201
