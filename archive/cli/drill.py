"""`earwitness drill`: restores a backup, or the bucket alone, into an empty host, and verifies it there."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from archive.backup.drill import Ground, Outcome, drill_backup, drill_bucket
from archive.backup.verification import Verdict
from archive.cli.outcome import DONE, FAILED, Row, add_json, parser, print_rows
from archive.cli.service import add_data, settings_of
from archive.cli.vault import open_key_store, open_keyring, open_store
from archive.clock import SystemClock
from archive.embedded.supervisor import StopRequested, stop_on_signals
from archive.settings import Settings, read_small_file
from archive.telemetry import configure_logging

PASSPHRASE_BYTES_MAX = 4096  # more is a wrong file


def run_drill(arguments: list[str]) -> int:
    """Restore and verify; exit 1 when a recording of a tenant does not verify."""
    made = parser(
        "drill",
        "Restore into an empty host that goes when the drill ends, and open every recording there. "
        "Nothing of a running service is changed.",
        "earwitness drill --backup /mnt/backup/earwitness-backup-20261122T100000Z --data /var/lib/earwitness",
    )
    made.add_argument("--backup", type=Path, metavar="DIR", help="a folder `earwitness backup` made")
    made.add_argument(
        "--bucket-only",
        action="store_true",
        help="rebuild the catalogue from the bucket and the keys, without any database",
    )
    made.add_argument("--keyring", metavar="FILE", help="keyring, instead of the one of the settings")
    made.add_argument("--passphrase-file", type=Path, metavar="FILE", help="its passphrase")
    made.add_argument(
        "--keys-lost",
        action="store_true",
        help="take the keys of the backup alone, as if the key store were lost too",
    )
    made.add_argument("--sample", type=_count, metavar="N", help="N random recordings of each tenant")
    add_data(made)
    add_json(made)
    options = made.parse_args(arguments)
    if options.backup is None and not options.bucket_only:
        made.error("name a backup with --backup DIR, or say --bucket-only")
    settings = _settings(options)
    configure_logging(settings, "drill")
    try:
        with stop_on_signals():
            outcomes = _drilled(options, settings)
    except StopRequested:
        return FAILED
    print_rows([_row(outcome) for outcome in outcomes], as_json=options.json)
    for outcome in outcomes:
        for failure in outcome.result.failures:
            print(f"failed: {outcome.result.tenant_id} {failure}", file=sys.stderr)
    if not sum(outcome.result.recordings for outcome in outcomes):
        print(
            "failed: there is no recording at all: is it the right bucket, the right backup?", file=sys.stderr
        )
        return FAILED
    return DONE if all(outcome.is_good for outcome in outcomes) else FAILED


def _drilled(options: argparse.Namespace, settings: Settings) -> list[Outcome]:
    live = None if options.keys_lost or not settings.key_store else open_key_store(settings)
    store = open_store(settings)
    try:
        ground = Ground(store, open_keyring(settings), live, options.backup)
        drill = drill_bucket if options.bucket_only else drill_backup
        return drill(ground, SystemClock().now(), options.sample, _tell)
    finally:
        store.close()


def _settings(options: argparse.Namespace) -> Settings:
    settings = settings_of(options)
    changes: dict[str, object] = {}
    if options.keyring is not None:
        kind, colon, _ = options.keyring.partition(":")
        named = colon and kind in {"file", "kms", "vault", "pkcs11"}
        changes["keyring"] = options.keyring if named else f"file:{options.keyring}"
        changes["keyring_former"] = ""
    if options.passphrase_file is not None:
        file = options.passphrase_file
        changes["keyring_passphrase"] = read_small_file(file, PASSPHRASE_BYTES_MAX, "--passphrase-file")
    return settings.model_copy(update=changes)


def _row(outcome: Outcome) -> Row:
    result = outcome.result
    as_told = {None: None, True: "same", False: "DIFFERS"}[outcome.as_told]
    return {
        "tenant": result.tenant_id,
        "domain": outcome.domain,
        "recordings": result.recordings,
        **{verdict.value: result.counts[verdict] for verdict in Verdict},
        "let go since": outcome.let_go,
        "manifest": as_told,
        "result": "good" if outcome.is_good else "FAILED",
    }


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("a sample has at least one recording")
    return number


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
