"""`earwitness backup`: makes what a restore needs, and destroys what of it is overdue.

By a clock that runs ahead all backups would be overdue, and the one that is made then could not be
restored once it is right, nor be over for as long as it was ahead. So the clock is asked for before.

Not here: which clock is believed (`retention.backups`), trying the restore out
(`archive.cli.drill`), and restoring (`archive.cli.restore`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from archive.backup.folder import Times, in_clear, remove_overdue
from archive.backup.making import Backup, Source, make_backup, refuse_within
from archive.catalogue import moments
from archive.catalogue.moments import Moment
from archive.cli.operator import Operator, operator
from archive.cli.outcome import DONE, FAILED, add_json, parser, print_row
from archive.cli.service import add_data
from archive.cli.vault import open_key_store, open_keyring
from archive.embedded.postgres import EmbeddedPostgres
from archive.embedded.supervisor import StopRequested, stop_on_signals
from archive.errors import Refused
from archive.release import release
from archive.settings import Settings

BEGUN, MADE, REMOVED = "backup.begun", "backup.made", "backup.destroyed"
URL_BYTES_MAX = 4096  # more is a wrong file


def run_backup(arguments: list[str], believed_times: Callable[[Operator], Times]) -> int:
    """Make a backup in a folder; raises ArchiveError, KeysError, then nothing of it stays.

    `believed_times` raises DependencyUnavailable while no clock is believed.
    """
    made = parser(
        "backup",
        "Make what a restore needs beside the bucket: database and key store of this moment, readable with "
        "the keyring alone. Neither keyring nor passphrase is in it: keep those elsewhere. It holds copies "
        "of keys, so it must be gone after 7 days, and the next backup in the same folder destroys it then.",
        "earwitness backup --data /var/lib/earwitness --out /mnt/backup",
    )
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="where backups are kept")
    made.add_argument(
        "--database-admin-file",
        type=Path,
        metavar="FILE",
        help="URL of an administrator of the database server, who sees all rows; "
        "not needed for the embedded PostgreSQL of --data",
    )
    add_data(made)
    add_json(made)
    options = made.parse_args(arguments)
    try:
        # Stopped half-way, what was copied of the keys goes before we do.
        with stop_on_signals():
            backup = _made(options, believed_times)
    except StopRequested:
        return FAILED
    _tell(backup, as_json=options.json)
    return DONE


def _made(options: argparse.Namespace, believed_times: Callable[[Operator], Times]) -> Backup:
    with operator(options) as acting:
        settings = acting.settings
        settings.require("key_store")
        source = Source(
            administrator_url(options, settings),
            open_key_store(settings),
            open_keyring(settings),
            settings.s3_bucket,
            release(),
        )
        out = _prepared(options, settings)
        now = believed_times(acting).now
        acting.record(BEGUN, f"bucket:{settings.s3_bucket}")
        backup = make_backup(source, out, now)
        _write_down(acting, backup)
        # Asked again: a large database takes hours, in which a clock may be set.
        _remove_overdue(acting, out, believed_times(acting))
    return backup


def _tell(backup: Backup, *, as_json: bool) -> None:
    manifest = backup.manifest
    print_row(
        {
            "folder": str(backup.folder),
            "recordings": sum(each.recordings for each in manifest.holdings),
            "keys": manifest.keys,
            "destroyed keys": manifest.destroyed_keys,
            "schema": manifest.schema,
            "destroy by": manifest.destroy_by.isoformat(timespec="seconds"),
            "manifest sha256": backup.manifest_sha256,
            "not in it": "bucket, keyring, passphrase, journal",
        },
        as_json=as_json,
    )


def _prepared(options: argparse.Namespace, settings: Settings) -> Path:
    """Return the folder of the backups, made if need be; raises Refused for one beside what it is for."""
    out: Path = options.out.absolute()
    kind, _, place = settings.key_store.partition(":")
    kept_out = {"the journal": settings.journal_dir}
    if kind == "dir":
        kept_out["the key store"] = Path(place)
    if options.data is not None:
        kept_out["the data directory"] = options.data
    refuse_within(out, kept_out)
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{out} can't be made: {error.strerror}.") from error
    return out


def administrator_url(options: argparse.Namespace, settings: Settings) -> str:
    """Return the URL of who sees all rows of our database; raises Refused."""
    database = make_url(settings.database_url).database
    if options.database_admin_file is not None:
        try:
            content = options.database_admin_file.read_bytes()[:URL_BYTES_MAX].decode().strip()
            url = make_url(content).set(database=database)
        except (OSError, ValueError, ArgumentError) as error:
            raise Refused(f"{options.database_admin_file} does not hold the URL of a database.") from error
        return url.render_as_string(hide_password=False)
    if options.data is not None and (options.data / "postgres" / "data").is_dir():
        return EmbeddedPostgres(options.data / "postgres").administrator_url(database or "postgres")
    raise Refused(
        "The database roles of the service see one tenant at a time. Name an administrator of the server: "
        "--database-admin-file FILE."
    )


def _remove_overdue(acting: Operator, out: Path, times: Times) -> None:
    removed, unreadable = remove_overdue(out, times)
    for folder in removed:
        acting.record(REMOVED, f"backup:{folder.name}")
        print(f"destroyed, its term was over or it was dated ahead: {folder}", file=sys.stderr)
    for folder in in_clear(out):
        print(
            f"names and numbers stand in clear in {folder}, made by an older release: remove it, "
            "or the first backup after its term does",
            file=sys.stderr,
        )
    for folder in unreadable:
        print(f"left alone, its manifest can't be read; remove it by hand: {folder}", file=sys.stderr)


def _write_down(acting: Operator, backup: Backup) -> None:
    acting.record(
        MADE,
        f"backup:{backup.folder.name}",
        body={
            "manifest": backup.manifest_sha256,
            "destroyBy": backup.manifest.destroy_by.isoformat(timespec="seconds"),
        },
    )
    now = acting.clock.now()
    moments.tell(acting.catalogue, acting.settings.node_name, {Moment.BACKUP_MADE: now}, now)
