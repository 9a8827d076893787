"""`earwitness retention`: what goes when, having it go now, and saying that the clock is right."""

from __future__ import annotations

import argparse
import functools
import secrets
import sys
from collections.abc import Callable
from datetime import datetime, timedelta

from archive.audit import AuditWriter
from archive.catalogue.directory import list_tenants
from archive.catalogue.engine import Catalogue
from archive.catalogue.forecast import kept
from archive.cli.operator import operator
from archive.cli.outcome import DONE, FAILED, Row, add_json, parser, print_row, print_rows
from archive.cli.service import add_data, settings_of, worker_settings_of
from archive.cli.vault import open_signatory, open_store, open_vault
from archive.clock import SystemClock
from archive.data_key import CALENDAR
from archive.model import RetentionClass, Tenant
from archive.settings import Settings
from archive.telemetry import configure_logging
from archive.timestamp import authority_of, certificates_in, stamped_at
from retention.expiry import Expiry
from retention.preview import preview
from retention.timekeeper import TRUST_DAYS_MAX, Timekeeper

DAYS_MAX = 3660
"""Ten years: longer than any licence."""

BATCHES_IN_VAIN_MAX = 3
"""Batches in a row that delete nothing, though something is due: another worker is at it."""


def run_retention(arguments: list[str]) -> int:
    """Preview, sweep, or trust this machine's clock; raises ArchiveError."""
    options = _parser().parse_args(arguments)
    match options.action:
        case "preview":
            return _preview(options)
        case "sweep":
            return _sweep(options)
        case _:
            return _trust_clock(options)


def _parser() -> argparse.ArgumentParser:
    made = parser(
        "retention", "How long recordings are kept, and their end.", "earwitness retention preview --days 30"
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="preview|sweep|trust-clock")
    looking = actions.add_parser("preview", help="count what goes in the next days", epilog=made.epilog)
    looking.add_argument("--days", type=_days, default=30, help=f"1 to {DAYS_MAX} (default 30)")
    looking.add_argument(
        "--licence",
        type=RetentionClass,
        choices=list(RetentionClass),
        metavar="90d|365d|7y-1000|7y-3500",
        help="as if all recordings had been made under this licence; nothing is changed",
    )
    sweeping = actions.add_parser(
        "sweep", help="destroy what expired, now", epilog="example: earwitness retention sweep --data DIR"
    )
    trusting = actions.add_parser(
        "trust-clock",
        help="say that this machine's clock is right, after an alarm; beyond "
        f"{TRUST_DAYS_MAX} days a time-stamping authority has to say so too",
        epilog="example: earwitness retention trust-clock --data DIR",
    )
    for each in (looking, sweeping, trusting):
        add_data(each)
        add_json(each)
    return made


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= DAYS_MAX:
        raise argparse.ArgumentTypeError(f"1 to {DAYS_MAX} days")
    return days


def _preview(options: argparse.Namespace) -> int:
    rows: list[Row] = []
    with operator(options) as acting:
        today = acting.clock.now().astimezone(CALENDAR).date()
        for tenant in list_tenants(acting.catalogue):
            lines = preview(
                kept(acting.catalogue, tenant.id), today + timedelta(days=options.days), options.licence
            )
            rows += [
                {
                    "tenant": tenant.domain,
                    "class": line.retention_class.value,
                    "recordings": line.recordings,
                    "bytes": line.size_bytes,
                    "going": line.going,
                    "goingBytes": line.going_bytes,
                    "first": None if line.first is None else line.first.isoformat(),
                    "held": line.held,
                }
                for line in lines
            ]
    print_rows(rows, as_json=options.json)
    return DONE


def _sweep(options: argparse.Namespace) -> int:
    """Destroy what expired of every tenant, batch by batch, as a worker does."""
    settings = worker_settings_of(options)
    configure_logging(settings, "retention")
    catalogue = Catalogue(settings.database_url, timeout_s=settings.database_timeout_s)
    store, clock = open_store(settings), SystemClock()
    audit = AuditWriter(catalogue, f"worker/{settings.node_name}/sweep")
    expiry = Expiry(
        store,
        functools.cache(functools.partial(open_vault, settings)),
        catalogue,
        audit,
        clock,
        Timekeeper(catalogue, store, audit, clock, settings.node_name),
        functools.cache(lambda: open_signatory(settings, clock.now())),
    )
    try:
        expiry.check_clocks()
        rows = [_swept(expiry, tenant) for tenant in list_tenants(catalogue)]
    finally:
        catalogue.close()
        store.close()
    print_rows(rows, as_json=options.json)
    return FAILED if any(row["failure"] for row in rows) else DONE


def _swept(expiry: Expiry, tenant: Tenant) -> Row:
    destroyed = certificates = in_vain = 0
    while True:
        done = expiry.attempt(tenant.id)
        destroyed, certificates = destroyed + done.destroyed, certificates + done.certificates
        in_vain = 0 if done.destroyed else in_vain + 1
        if not done.remaining or in_vain >= BATCHES_IN_VAIN_MAX:
            return {
                "tenant": tenant.domain,
                "destroyed": destroyed,
                "certificates": certificates,
                "remaining": done.remaining,
                "failure": None if done.failure is None else str(done.failure),
            }
        print(f"{tenant.domain}: {destroyed} destroyed, {done.remaining} to go", file=sys.stderr)  # noqa: T201


def _trust_clock(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    with operator(options) as acting:
        store = open_store(settings)
        try:
            audit = AuditWriter(acting.catalogue, f"operator/{settings.node_name}")
            keeper = Timekeeper(acting.catalogue, store, audit, acting.clock, settings.node_name)
            now = keeper.trust(_witness(settings))
        finally:
            store.close()
        acting.record("retention.clock-trusted", f"node:{settings.node_name}")
    print_row({"trusted": now.isoformat(timespec="seconds")}, as_json=options.json)
    return DONE


def _witness(settings: Settings) -> Callable[[], datetime] | None:
    """Return who tells the time beside the operator: an authority whose certificates are trusted."""
    authority = authority_of(settings)
    if authority is None or settings.tsa_certificates is None:
        return None
    trusted = certificates_in(settings.tsa_certificates)

    def told() -> datetime:
        # Over octets nobody could have had stamped before: the answer is of now.
        asked = secrets.token_bytes(32)
        return stamped_at(authority.stamp(asked), asked, trusted)

    return told
