"""`earwitness restore`: puts a backup into the place of what was lost, on a host that holds nothing yet.

Not here: the steps and what they never replace (`archive.backup.restoring`).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from archive.backup.restoring import Restored, Target, restore_backup
from archive.backup.sealed import OpenedBackup, open_backup
from archive.catalogue.migrate import DATABASE
from archive.cli.backup import administrator_url
from archive.cli.outcome import DONE, FAILED, add_json, parser, print_row
from archive.cli.service import add_data
from archive.cli.vault import open_key_store, open_keyring
from archive.clock import SystemClock
from archive.embedded.installation import Installation
from archive.embedded.supervisor import StopRequested, single_instance, stop_on_signals
from archive.settings import Settings, load_settings
from archive.telemetry import configure_logging

NEXT = """\
What to do next, in this order (docs/operators.md, Restoring):
  1. start the service; nothing is deleted before step 3 is done
  2. earwitness audit begin --reason "restored the backup of {made_at}"
  3. earwitness storage rebuild-catalogue     for the calls after {made_at}, their holds and longer terms
  4. take away again what was taken away since {made_at}: accounts, roles, rights, second factors,
     people on cases; then earwitness api-client resume        for each API key that is still to open
  5. earwitness drill --bucket-only           opens every recording
  6. earwitness audit verify
  7. earwitness backup --out DIR              the one restored is to be destroyed by {destroy_by}"""


def run_restore(arguments: list[str]) -> int:
    """Restore a backup; refused where anything stands that it would replace."""
    made = parser(
        "restore",
        "Restore a backup, database and key store, on a host that holds nothing yet. The service does not "
        "run meanwhile; keyring and passphrase are put in their place before. Broken off, it is done again. "
        "With separate roles run `earwitness install` first and name an administrator of the server.",
        "earwitness restore --from /mnt/backup/earwitness-backup-20261122T100000Z --data /var/lib/earwitness",
    )
    made.add_argument(
        "--from",
        dest="backup",
        type=Path,
        required=True,
        metavar="DIR",
        help="a folder `earwitness backup` made",
    )
    made.add_argument(
        "--database-admin-file",
        type=Path,
        metavar="FILE",
        help="URL of an administrator of the database server; not needed with --data",
    )
    add_data(made)
    add_json(made)
    options = made.parse_args(arguments)
    settings = load_settings(options.config)
    configure_logging(settings, "restore")
    try:
        with stop_on_signals():
            backup, restored = _restored(options, settings)
    except StopRequested:
        _tell("stopped; nothing was replaced, do it again")
        return FAILED
    _told(backup, restored, as_json=options.json)
    return DONE


def _restored(options: argparse.Namespace, settings: Settings) -> tuple[OpenedBackup, Restored]:
    now = SystemClock().now()
    with _target(options, settings) as target:
        backup = open_backup(options.backup, target.root, now)
        manifest = backup.manifest
        _tell(f"backup of {manifest.made_at:%Y-%m-%d %H:%M} UTC, release {manifest.release}: whole")
        if manifest.bucket != settings.s3_bucket:
            _tell(f"note: it is of the bucket {manifest.bucket}, the settings name {settings.s3_bucket}")
        actor = f"operator:{os.getuid()}"
        return backup, restore_backup(
            backup, target, actor=actor, node=settings.node_name, now=now, tell=_tell
        )


@contextmanager
def _target(options: argparse.Namespace, settings: Settings) -> Iterator[Target]:
    """Yield where to: the data directory of `up`, its services started for this, or separate roles."""
    if options.data is None:
        settings.require("database_url", "keyring", "key_store")
        url = administrator_url(options, settings)
        server_url = make_url(url).set(database="postgres").render_as_string(hide_password=False)
        yield Target(server_url, settings.database_url, {}, open_key_store(settings), open_keyring(settings))
        return
    directory: Path = options.data
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with single_instance(directory):
        installation = Installation(directory, settings, _tell)
        try:
            server_url, passwords, found = installation.ground()
            role = "earwitness_operator"
            operator_url = make_url(server_url).set(
                drivername="postgresql+psycopg", database=DATABASE, username=role, password=passwords[role]
            )
            yield Target(
                server_url,
                operator_url.render_as_string(hide_password=False),
                passwords,
                open_key_store(found),
                open_keyring(found),
            )
        finally:
            installation.stop()


def _told(backup: OpenedBackup, restored: Restored, *, as_json: bool) -> None:
    manifest = backup.manifest
    print_row(
        {
            "backup of": manifest.made_at.isoformat(timespec="seconds"),
            "recordings": sum(each.recordings for each in restored.holdings),
            "keys restored": restored.keys_put,
            "keys that were there": restored.keys_there,
            "destroyed keys": restored.destroyed,
            "sessions ended": restored.taken_away.sessions,
            "invitations ended": restored.taken_away.invitations,
            "play links ended": restored.taken_away.shares,
            "API keys suspended": restored.taken_away.api_clients,
            "taken out of the trash": restored.taken_away.trash,
            "mails given up": restored.taken_away.mails,
            "jobs dropped": restored.taken_away.jobs,
        },
        as_json=as_json,
    )
    moments = {
        name: f"{moment:%Y-%m-%d %H:%M} UTC"
        for name, moment in (("made_at", manifest.made_at), ("destroy_by", manifest.destroy_by))
    }
    _tell(NEXT.format(**moments))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
