"""`earwitness storage`: proving the bucket's lock, and rebuilding the catalogue from the bucket.

Reading all of it again is the work of `retention.storage`, which gives this verb its third action.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from archive.burial import Burial
from archive.cli.operator import operator
from archive.cli.outcome import DONE, FAILED, Row, add_json, parser, print_row, print_rows
from archive.cli.service import add_data, settings_of
from archive.cli.vault import open_authority, open_store, open_vault
from archive.cli.worm import custody_of, prove_lock
from archive.rebuild import rebuild
from archive.settings import Settings
from archive.store.worm import PROBES
from archive.telemetry import configure_logging


def run_storage(arguments: list[str], scrub: Callable[[argparse.Namespace], int]) -> int:
    """Prove the lock of the bucket, read it again by `scrub`, or rebuild the catalogue from it."""
    made = parser("storage", "The object store.", "earwitness storage verify-worm --data DIR")
    actions = made.add_subparsers(dest="action", required=True, metavar="verify-worm|scrub|rebuild-catalogue")
    proving = actions.add_parser(
        "verify-worm", help="try out whether the bucket locks what it is told to", epilog=made.epilog
    )
    scrubbing = actions.add_parser(
        "scrub",
        help="look whether every object is where it was put, and read again what is due",
        epilog="example: earwitness storage scrub --data DIR --all",
    )
    scrubbing.add_argument(
        "--all", action="store_true", help="read all of it again, what was read a short while ago too"
    )
    rebuilding = actions.add_parser(
        "rebuild-catalogue",
        help="make catalogue rows of what stands in the bucket; what is there already stays",
        epilog="example: earwitness storage rebuild-catalogue --data DIR",
    )
    for action in (proving, scrubbing, rebuilding):
        add_data(action)
        add_json(action)
    options = made.parse_args(arguments)
    if options.action == "scrub":
        return scrub(options)
    settings = settings_of(options)
    configure_logging(settings, "storage")  # what can't be rebuilt is told on standard error
    return _prove(options) if options.action == "verify-worm" else _rebuild(options, settings)


def _prove(options: argparse.Namespace) -> int:
    with operator(options) as acting:
        report = prove_lock(acting.settings, acting.audit, actor=acting.actor, now=acting.clock.now())
        custody = custody_of(acting.settings)
    clients = sorted({found.client for found in report.findings})
    faults = {(found.client, found.probe): found.fault for found in report.findings}
    rows: list[Row] = [
        {
            "probe": probe.name,
            "says": probe.says,
            **{client: faults[client, probe.name] or "passed" for client in clients},
        }
        for probe in PROBES
    ]
    told: Row = {
        "lock API": "proved" if report.is_proved else "NOT PROVED: this bucket is not WORM",
        "independent custody": custody,
    }
    if options.json:
        print_row(
            {
                **told,
                "probes": [f"{row['probe']}: {row[client]} ({client})" for row in rows for client in clients],
            },
            as_json=True,
        )
    else:
        print_rows(rows, as_json=False)
        print_row(told, as_json=False)
    return DONE if report.is_proved else FAILED


def _rebuild(options: argparse.Namespace, settings: Settings) -> int:
    store, vault = open_store(settings), open_vault(settings)
    try:
        with operator(options) as acting:
            doubts: list[str] = []
            authority = open_authority(settings, acting.clock.now())
            burial = Burial(store, acting.catalogue, acting.audit, acting.clock, authority, acting.actor)
            count = rebuild(store, vault, acting.catalogue, doubt=doubts.append, bury=burial.every_tenant)
            acting.record("catalogue.rebuilt", settings.s3_bucket)
    finally:
        store.close()
    print_row({"recordings": count, "destroyed since": burial.buried}, as_json=options.json)
    for line in doubts:
        print(f"look at this: {line}", file=sys.stderr)
    return FAILED if doubts else DONE
