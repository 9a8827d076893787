"""`earwitness audit`: verifying the log, here or in a directory; taking it along; beginning a new one."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from archive.audit import verify_bodies, verify_log
from archive.audit_chain import AuditEntry
from archive.catalogue import audit_entries, audit_tree
from archive.catalogue.audit_tree import Log
from archive.catalogue.directory import list_tenants
from archive.cli.operator import Operator, operator
from archive.cli.outcome import DONE, Row, add_json, parser, print_row, print_rows
from archive.cli.service import add_data, settings_of
from archive.cli.vault import open_store
from archive.clock import SystemClock
from archive.errors import NotFound, Refused
from archive.model import TenantId
from archive.timestamp import certificates_in, stamped_at
from archive.transparency.comparison import Compared, compare, logs_of_bucket
from archive.transparency.export import export
from archive.transparency.folder import open_folder
from archive.transparency.leaves import Leaf
from archive.transparency.verification import read_keys, verify_folder, verify_together

REASON_CHARS_MAX = 512
KNOWN_BYTES_MAX = 4096


def run_audit(arguments: list[str]) -> int:
    """Verify, export, or begin anew; raises ChainBroken, LogBroken at the first altered place."""
    made = parser("audit", "The audit log.", "earwitness audit verify")
    actions = made.add_subparsers(dest="action", required=True, metavar="verify|export|begin")
    verify = actions.add_parser(
        "verify",
        help="check the log of the running system against the bucket, or a downloaded one by itself",
        epilog="example: earwitness audit verify audit-2026 --key audit.pub --known checkpoint-of-may",
    )
    verify.add_argument(
        "directory", nargs="?", type=Path, metavar="DIR", help="a log taken along; needs no service"
    )
    verify.add_argument(
        "--key", action="append", default=[], metavar="KEY|FILE", help="a public key to trust"
    )
    verify.add_argument(
        "--known", action="append", default=[], type=Path, metavar="FILE", help="a checkpoint kept elsewhere"
    )
    verify.add_argument(
        "--time-stamps", type=Path, metavar="PEM", help="certificates of who may have stamped the time"
    )
    verify.add_argument("--as-of", metavar="TIME", help="when the log was taken, to find a tail cut off")
    exporting = actions.add_parser(
        "export",
        help="take the log along, to be verified elsewhere",
        epilog="example: earwitness audit export audit-2026",
    )
    exporting.add_argument("directory", type=Path, metavar="DIR", help="where to write it")
    exporting.add_argument(
        "--bodies", action="store_true", help="with what entries say in detail: it is personal"
    )
    begin = actions.add_parser(
        "begin",
        help="begin a new log where the former can't be gone on with: after a restore, or a clock ahead",
        epilog="example: earwitness audit begin --reason 'database restored from 2026-11-21'",
    )
    begin.add_argument("--reason", required=True, metavar="TEXT", help="what happened; it stands in the log")
    for action in (verify, exporting, begin):
        add_data(action)
        add_json(action)
    options = made.parse_args(arguments)
    if options.action == "verify":
        return _verify_here(options) if options.directory is None else _verify_folder(options)
    return _export(options) if options.action == "export" else _begin(options)


def _verify_here(options: argparse.Namespace) -> int:
    """Check chains and bodies in the database, and all of it against the bucket."""
    with operator(options) as acting:
        heads = verify_log(acting.catalogue)
        compared: list[Row] = []
        if acting.settings.s3_endpoint:
            compared = _compared(acting)
        else:
            print(
                "The checkpoints in the bucket were not compared: EARWITNESS_S3_ENDPOINT is not set.",
                file=sys.stderr,
            )
        erased = verify_bodies(acting.catalogue, [tenant.id for tenant in list_tenants(acting.catalogue)])
        rows: list[Row] = [
            {
                "writer": writer,
                "entries": head.sequence,
                "erased": erased[writer],
                "hash": head.hash,
                "result": "intact",
            }
            for writer, head in sorted(heads.items())
        ]
    print_rows(rows + compared, as_json=options.json)
    return DONE


def _compared(acting: Operator) -> list[Row]:
    store = open_store(acting.settings)
    try:
        found = compare(acting.catalogue, store, now=acting.clock.now())
    finally:
        store.close()
    return [
        {
            "writer": f"log {log.log}",
            "entries": log.leaves,
            "erased": "",
            "hash": log.root.hex(),
            "result": _judgement(log),
        }
        for log in found
    ]


def _judgement(log: Compared) -> str:
    if log.sealed_at is None:
        return "not sealed yet"
    lost = f", lost its last {log.lost} leaves and was followed by another" if log.lost else ""
    return f"sealed {_time(log.sealed_at)}{lost}"


def _verify_folder(options: argparse.Namespace) -> int:
    """Check a log in files, without any service."""
    lines, folders = open_folder(options.directory)
    keys = read_keys(lines, [_text(key) for key in options.key])
    known = [_read(path) for path in options.known]
    as_of = None if options.as_of is None else _moment(options.as_of)
    trusted = () if options.time_stamps is None else certificates_in(options.time_stamps)
    verify_together(folders, keys, known=known)
    rows: list[Row] = []
    for folder in folders:
        # Only the newest log goes on; the tail of a former one is told by the next.
        newest = folder is folders[-1]
        found = verify_folder(
            folder,
            keys,
            known=known,
            as_of=as_of if newest else None,
            now=SystemClock().now() if newest else None,
            check_token=lambda token, note: stamped_at(token, note, trusted),
        )
        rows.append(
            {
                "log": found.origin,
                "leaves": found.leaves,
                "entries": found.entries,
                "bodies": found.bodies,
                "erased": found.erased,
                "checkpoints": found.checkpoints,
                "stamps": found.tokens,
                "root": found.newest.root.hex(),
                "until": _time(found.newest.at),
            }
        )
    print_rows(rows, as_json=options.json)
    if not options.key:
        print("The keys were taken from the directory itself; name yours by --key.", file=sys.stderr)
    return DONE


def _export(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    store = open_store(settings)
    try:
        with operator(options) as acting:
            tenants = [tenant.id for tenant in list_tenants(acting.catalogue)] if options.bodies else []

            def entries_of(leaves: list[Leaf]) -> list[AuditEntry]:
                return _entries(acting, leaves, tenants)

            acting.record("log.exported", "bodies" if options.bodies else "entries")
            try:
                count = export(acting.catalogue, store, options.directory, entries_of)
            except OSError as error:
                raise Refused(f"{options.directory} can't be written: {error.strerror}.") from error
    finally:
        store.close()
    print_row({"directory": str(options.directory), "files": count}, as_json=options.json)
    return DONE


def _entries(acting: Operator, leaves: list[Leaf], tenants: list[TenantId]) -> list[AuditEntry]:
    found: list[AuditEntry] = []
    for writer, run in groupby(leaves, lambda leaf: leaf.writer):
        own = list(run)
        found += audit_entries.of_range(
            acting.catalogue, writer, own[0].sequence, own[-1].sequence, bodies_of=tenants
        )
    return found


def _begin(options: argparse.Namespace) -> int:
    """Begin the next log: every entry there is gets its place in it anew."""
    reason = options.reason.strip()
    if not 0 < len(reason) <= REASON_CHARS_MAX or not reason.isprintable():
        raise Refused(f"A reason has 1 to {REASON_CHARS_MAX} printable characters.")
    store = open_store(settings_of(options))
    try:
        used = logs_of_bucket(store)
    finally:
        store.close()
    with operator(options) as acting:
        number = max([*used, *(log.number for log in audit_tree.logs(acting.catalogue)), 0]) + 1
        origin = f"earwitness/{acting.settings.s3_bucket}/{number}"
        acting.record("log.begun", f"log:{number}")
        with acting.catalogue.transaction() as connection:
            audit_tree.begin_log(connection, Log(number, origin, acting.clock.now(), reason))
    print_row({"log": origin, "reason": reason}, as_json=options.json)
    return DONE


def _text(key: str) -> str:
    """Return a public key given as itself or as a file that holds it."""
    return key if key.count("+") >= 2 else _read(Path(key)).decode("utf-8", "replace")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(KNOWN_BYTES_MAX + 1)
    except OSError as error:
        raise NotFound(f"{path} can't be read: {error.strerror}.") from error


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text!r} is no time such as 2026-11-22T10:00Z.") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
