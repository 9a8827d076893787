"""`earwitness audit` and `storage`: proving the log, rebuilding the catalogue."""

from __future__ import annotations

from archive.audit import verify_bodies, verify_log
from archive.catalogue.directory import list_tenants
from archive.cli.operator import operator
from archive.cli.outcome import DONE, Row, add_json, parser, print_row, print_rows
from archive.cli.service import add_data, settings_of
from archive.cli.vault import open_store, open_vault
from archive.rebuild import rebuild
from archive.telemetry import configure_logging


def run_audit(arguments: list[str]) -> int:
    """Verify the hash chain of every writer and every body; raises ChainBroken at the first altered entry."""
    made = parser("audit", "The audit log.", "earwitness audit verify")
    actions = made.add_subparsers(dest="action", required=True, metavar="verify")
    verify = actions.add_parser("verify", help="check every chain of entries", epilog=made.epilog)
    add_data(verify)
    add_json(verify)
    options = made.parse_args(arguments)
    with operator(options) as acting:
        heads = verify_log(acting.catalogue)
        verify_bodies(acting.catalogue, [tenant.id for tenant in list_tenants(acting.catalogue)])
    rows: list[Row] = [
        {"writer": writer, "entries": head.sequence, "hash": head.hash, "result": "intact"}
        for writer, head in sorted(heads.items())
    ]
    print_rows(rows, as_json=options.json)
    return DONE


def run_storage(arguments: list[str]) -> int:
    """Rebuild the catalogue from bucket and key store; what is there already stays."""
    made = parser("storage", "The object store.", "earwitness storage rebuild-catalogue --data DIR")
    actions = made.add_subparsers(dest="action", required=True, metavar="rebuild-catalogue")
    rebuilding = actions.add_parser(
        "rebuild-catalogue", help="make catalogue rows of what stands in the bucket", epilog=made.epilog
    )
    add_data(rebuilding)
    add_json(rebuilding)
    options = made.parse_args(arguments)
    settings = settings_of(options)
    configure_logging(settings, "storage")  # what can't be rebuilt is told on standard error
    store, vault = open_store(settings), open_vault(settings)
    try:
        with operator(options) as acting:
            count = rebuild(store, vault, acting.catalogue)
            acting.record("catalogue.rebuilt", settings.s3_bucket)
    finally:
        store.close()
    print_row({"recordings": count}, as_json=options.json)
    return DONE
