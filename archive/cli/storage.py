"""`earwitness storage`: rebuilding the catalogue from the bucket."""

from __future__ import annotations

from archive.cli.operator import operator
from archive.cli.outcome import DONE, add_json, parser, print_row
from archive.cli.service import add_data, settings_of
from archive.cli.vault import open_store, open_vault
from archive.rebuild import rebuild
from archive.telemetry import configure_logging


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
