"""`earwitness keys`: how the keys are, giving way to new ones, passphrase and recovery shares.

Rotating goes on with what an earlier run left undone. The service may run meanwhile:
recording, playing and signing go on.

Not here: the rotation itself (`keys.rotation`, `archive.rewrap`, `archive.catalogue.root_seals`).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

from archive.audit import AuditWriter
from archive.catalogue import keks, root_seals
from archive.catalogue.directory import list_tenants
from archive.cli import key_destruction
from archive.cli.operator import Operator, operator
from archive.cli.outcome import DONE, FAILED, Row, add_json, parser, print_row
from archive.cli.service import add_data, settings_of
from archive.cli.vault import open_key_store, open_keyring, open_store, root_since
from archive.errors import CatalogueUnavailable, Refused
from archive.model import RecordingId, TenantId
from archive.rewrap import Rewrapping
from archive.settings import Settings, read_small_file
from archive.store.object import Store
from archive.telemetry import configure_logging
from archive.unknown_recordings import keks_of_unknown
from keys import node_key, rotation
from keys.kek import KekVault, is_kek_id
from keys.key_store import KeyStore
from keys.local_keyring import PASSPHRASE_BYTES_MAX, LocalKeyring
from keys.recovery import Share
from keys.root import RotatingRoot

FRESH = timedelta(days=1)
"""A KEK that took over within a day is left alone: a run that was broken off goes on where it stopped."""

UNKNOWN_WAIT_S = 30.0
"""Longer than archiving a recording takes, from its last object to its row."""

NODE_KEY = "node.key"


def run_keys(arguments: list[str]) -> int:
    """Show, rotate or recover keys."""
    made = parser("keys", "The keys of the archive.", "earwitness keys status --data DIR")
    actions = made.add_subparsers(dest="action", required=True, metavar="ACTION")
    status = actions.add_parser("status", help="what root and keys there are, and how they are")
    add_json(status)
    rotate = actions.add_parser("rotate", help="let the root, or the keys beneath it, give way to new ones")
    rotate.add_argument("--keks", action="store_true", help="the keys of each customer and day of expiry")
    rotate.add_argument("--tenant", metavar="DOMAIN", help="with --keks: of this customer alone")
    rotate.add_argument("--day", type=date.fromisoformat, help="with --keks: of this day alone")
    rotate.add_argument(
        "--prepare", action="store_true", help="only add the new root key to the keyring file"
    )
    rotate.add_argument(
        "--drop-former", action="store_true", help="take root keys nothing needs out of the file"
    )
    add_json(rotate)
    destroy = actions.add_parser(
        "destroy", help="propose to destroy the keys of a customer and day, with all that hangs from them"
    )
    destroy.add_argument("--tenant", metavar="DOMAIN", required=True, help="whose keys")
    destroy.add_argument("--day", type=date.fromisoformat, required=True, help="day on which the terms end")
    destroy.add_argument("--reason", required=True, help="why; the second person reads it")
    add_json(destroy)
    passphrase = actions.add_parser("passphrase", help="seal the keyring file by another passphrase")
    shares = actions.add_parser("recovery-shares", help="print shares that open the keyring file together")
    shares.add_argument("--needed", type=int, required=True, help="how many of them open it")
    shares.add_argument("--of", type=int, required=True, help="how many are printed")
    recover = actions.add_parser("recover", help="open the keyring file by shares read from standard input")
    for each in (passphrase, recover):
        each.add_argument("--new-passphrase-file", type=Path, required=True, metavar="FILE")
    for each in (status, rotate, destroy, passphrase, shares, recover):
        add_data(each)
        each.epilog = made.epilog
    options = made.parse_args(arguments)
    actions_of = {
        "status": _status,
        "rotate": _rotate,
        "destroy": key_destruction.run,
        "passphrase": _passphrase,
        "recovery-shares": _recovery_shares,
        "recover": _recover,
    }
    return actions_of[options.action](options)


def _status(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    with operator(options) as acting:
        row = _facts(acting, settings, open_keyring(settings), open_key_store(settings))
    print_row(row, as_json=options.json)
    return DONE if row["health"] == "good" else FAILED


def _facts(acting: Operator, settings: Settings, root: RotatingRoot, store: KeyStore) -> Row:
    names = store.list("")
    days = sorted(name.split("/")[1] for name in names if is_kek_id(name))
    today = acting.clock.now().date().isoformat()
    tenants = [tenant.id for tenant in list_tenants(acting.catalogue)]
    retiring = sum(len(keks.unfinished(acting.catalogue, tenant_id)) for tenant_id in tenants)
    former = rotation.unfinished(store, root) + _former_seals(acting, root, tenants)
    troubles = [
        "a root key is prepared and not in use: run earwitness keys rotate" if _has_prepared(root) else "",
        f"{former} keys are wrapped by a former root key: run earwitness keys rotate" if former else "",
        f"{retiring} keys wait to be destroyed: run earwitness keys rotate --keks" if retiring else "",
    ]
    return {
        "root": root.kind,
        "rootVersions": len(root.versions) if isinstance(root, LocalKeyring) else None,
        "rootSince": _root_since(settings),
        "keyStore": settings.key_store.partition(":")[0],
        "keks": len(days),
        "otherKeys": len(names) - len(days),
        "oldestDay": days[0] if days else None,
        "newestDay": days[-1] if days else None,
        "nextToExpire": next((day for day in days if day >= today), None),
        "underFormerRoot": former,
        "retiring": retiring,
        "health": "; ".join(filter(None, troubles)) or "good",
    }


def _root_since(settings: Settings) -> str | None:
    since = root_since(settings)
    return None if since is None else since.date().isoformat()


def _rotate(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    configure_logging(settings, "keys")
    with operator(options) as acting:
        if options.keks:
            row = _rotate_keks(acting, settings, options)
        elif options.drop_former:
            row = _drop_former(acting, settings)
        else:
            row = _rotate_root(acting, settings, prepare_only=options.prepare)
    print_row(row, as_json=options.json)
    return DONE


def _rotate_root(acting: Operator, settings: Settings, *, prepare_only: bool) -> Row:
    root, store = open_keyring(settings), open_key_store(settings)
    tenants = [tenant.id for tenant in list_tenants(acting.catalogue)]
    # A run that was broken off has made its new root key already; so has who names a former root.
    if prepare_only:
        return _prepare_root(acting, root)
    begun = bool(settings.keyring_former) or _has_former(root) or rotation.unfinished(store, root) > 0
    if not begun or _has_prepared(root):
        # The entry first: what the log does not take does not happen.
        acting.record("key.root-made", f"root:{root.kind}")
        root.rotate()
    done = rotation.rewrap(store, root, _teller("keys wrapped anew"))
    seals = sum(root_seals.rewrap(acting.catalogue, root, tenant_id) for tenant_id in tenants)
    node = settings.journal_dir / NODE_KEY
    nodes = int(node.exists() and node_key.rewrap(node, root))
    acting.record("key.root-rotated", f"root:{root.kind}")
    return {
        "root": root.kind,
        "rewrapped": done.anew,
        "already": done.already,
        "rows": seals,
        "nodeKeys": nodes,
    }


def _prepare_root(acting: Operator, root: RotatingRoot) -> Row:
    if not isinstance(root, LocalKeyring):
        raise Refused("Only a root key of a keyring file is prepared, and only without KEYRING_FORMER.")
    if not root.has_prepared:
        acting.record("key.root-prepared", f"root:{root.kind}")
        root.prepare()
    return {"root": root.kind, "prepared": True}


def _drop_former(acting: Operator, settings: Settings) -> Row:
    root, store = open_keyring(settings), open_key_store(settings)
    if not isinstance(root, LocalKeyring):
        raise Refused("Only a keyring file has former root keys to drop, and only without KEYRING_FORMER.")
    if root.has_prepared:
        raise Refused("A root key is prepared and not in use yet: run earwitness keys rotate first.")
    tenants = [tenant.id for tenant in list_tenants(acting.catalogue)]
    node = settings.journal_dir / NODE_KEY
    left = rotation.unfinished(store, root) + _former_seals(acting, root, tenants)
    if left or (node.exists() and node_key.is_under_former(node, root)):
        raise Refused(
            "Former root keys are still needed: run earwitness keys rotate, and again on each recorder."
        )
    acting.record("key.root-dropped", f"root:{root.kind}")
    former = len(root.versions) - 1
    root.drop_former()
    return {"root": root.kind, "dropped": former}


def _has_former(root: RotatingRoot) -> bool:
    return isinstance(root, LocalKeyring) and bool(root.former)


def _has_prepared(root: RotatingRoot) -> bool:
    return isinstance(root, LocalKeyring) and root.has_prepared


def _former_seals(acting: Operator, root: RotatingRoot, tenants: list[TenantId]) -> int:
    return sum(root_seals.unfinished(acting.catalogue, root, tenant_id) for tenant_id in tenants)


def _rotate_keks(acting: Operator, settings: Settings, options: argparse.Namespace) -> Row:
    store = open_store(settings)
    vault = KekVault(open_keyring(settings), open_key_store(settings))
    audit = AuditWriter(acting.catalogue, f"operator/{settings.node_name}")
    rewrapping = Rewrapping(
        store, vault, acting.catalogue, audit, acting.clock, _teller("recordings wrapped anew")
    )
    count = recordings = 0
    try:
        wanted = _keks_to_rotate(acting, options)
        for tenant_id, kek_ids in groupby(wanted, lambda each: each[0]):
            _refuse_unknown(acting, store, vault, tenant_id, {kek_id for _, kek_id in kek_ids})
        for tenant_id, kek_id in wanted:
            recordings += rewrapping.supersede(
                tenant_id, kek_id, actor=f"operator:{os.getuid()}", reason="rotation"
            )
            count += 1
    finally:
        store.close()
    return {"keks": count, "recordings": recordings}


def _refuse_unknown(
    acting: Operator, store: Store, vault: KekVault, tenant_id: TenantId, kek_ids: set[str]
) -> None:
    """Refuse while the bucket holds a recording under one of these keys that the database does not know.

    A database that was restored knows nothing of the calls after its backup: their key would be
    destroyed with the rest. A recording that is being archived just now has its row at the second look.
    """

    def unknown() -> set[tuple[str, RecordingId]]:
        found = keks_of_unknown(store, vault, acting.catalogue, tenant_id)
        return {(kek_id, each) for kek_id in found.keys() & kek_ids for each in found[kek_id]}

    before = unknown()
    if not before:
        return
    time.sleep(UNKNOWN_WAIT_S)
    for kek_id, recording_id in sorted(before & unknown()):
        raise Refused(
            f"The bucket holds the recording {recording_id} of {kek_id}, the database does not: nothing "
            "was changed. After a restore, run earwitness storage rebuild-catalogue first."
        )


def _keks_to_rotate(acting: Operator, options: argparse.Namespace) -> list[tuple[TenantId, str]]:
    """Return the KEKs to supersede, those first that an earlier run retired."""
    found: list[tuple[TenantId, str]] = []
    tenants = list_tenants(acting.catalogue)
    chosen = [tenant for tenant in tenants if options.tenant in {None, tenant.domain}]
    if not chosen:
        raise Refused(f"There is no customer with the domain {options.tenant}.")
    for tenant in chosen:
        retired = keks.unfinished(acting.catalogue, tenant.id)
        fresh = keks.fresh(acting.catalogue, tenant.id, acting.clock.now() - FRESH)
        others = sorted(set(keks.used(acting.catalogue, tenant.id)) - fresh - set(retired))
        found += [(tenant.id, kek_id) for kek_id in (*retired, *others)]
    day = None if options.day is None else options.day.isoformat()
    return [(tenant_id, kek_id) for tenant_id, kek_id in found if day in {None, kek_id.split("/")[1]}]


def _passphrase(options: argparse.Namespace) -> int:
    secret = _secret(options.new_passphrase_file)
    keyring = _keyring_file(settings_of(options))
    with operator(options) as acting:
        acting.record("key.passphrase-changed", f"root:{keyring.kind}")
    keyring.set_passphrase(secret)
    print("The keyring is sealed by the new passphrase: put it where KEYRING_PASSPHRASE_FILE points.")
    return DONE


def _recovery_shares(options: argparse.Namespace) -> int:
    keyring = _keyring_file(settings_of(options))
    try:
        shares = keyring.recovery_shares(options.needed, options.of)
    except ValueError as error:
        raise Refused(str(error)) from error
    with operator(options) as acting:
        acting.record("key.shares-made", f"root:{keyring.kind}")
    for share in shares:
        print(share.text())
    print(
        f"Any {options.needed} of these, together with a copy of the keyring file, open every recording. "
        "They are shown only now: give each to somebody else.",
        file=sys.stderr,
    )
    return DONE


def _recover(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    kind, _, place = settings.keyring.partition(":")
    if kind != "file":
        raise Refused("Only a keyring file is opened by recovery shares.")
    shares = [Share.parse(line) for line in sys.stdin.read(64 * 1024).splitlines() if line.strip()]
    if not shares:
        raise Refused("Give the recovery shares on standard input, one a line.")
    secret = _secret(options.new_passphrase_file)
    _record_recovery(options)
    LocalKeyring.recover(Path(place), shares, secret)
    print("The keyring is open again: put the new passphrase where KEYRING_PASSPHRASE_FILE points.")
    return DONE


def _record_recovery(options: argparse.Namespace) -> None:
    """Write down that shares are used; what they open does not wait for a database that is lost as well."""
    try:
        with operator(options) as acting:
            acting.record("key.recovered", "root:file")
    except CatalogueUnavailable as error:
        print(
            f"The audit log can't be reached ({error}); it goes on without an entry. "
            "Keep a signed note of who did this and when.",
            file=sys.stderr,
        )


def _keyring_file(settings: Settings) -> LocalKeyring:
    kind, _, place = settings.keyring.partition(":")
    if kind != "file":
        raise Refused("A passphrase and recovery shares belong to a keyring file; this root is a service.")
    return LocalKeyring.open(Path(place), settings.keyring_passphrase.encode())


def _secret(path: Path) -> bytes:
    """Read a passphrase as the settings will, so that nothing is sealed by what they can't read."""
    secret = read_small_file(path, PASSPHRASE_BYTES_MAX, "--new-passphrase-file")
    if not secret.strip():
        raise Refused(f"{path} does not hold a passphrase.")
    return secret.encode()


def _teller(what: str) -> Callable[[int], None]:
    def tell(count: int) -> None:
        print(f"{count} {what}", file=sys.stderr, flush=True)

    return tell
