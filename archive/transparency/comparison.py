"""Comparing the running system's database with the checkpoints locked in the bucket.

Every leaf the database has is hashed again and its entry looked up; at the size of each
checkpoint the root must be the one that was signed; the newest checkpoint in the bucket
must be the one the database knows. Because a root binds all leaves before it, that one
comparison speaks for all of them. Only when it fails are earlier checkpoints fetched, to
find the first leaf that differs.

The bucket must hold every segment, checkpoint and time stamp the database placed there,
in one version each, and nothing else; what they say is read as well, all of it or (every
day) a `Share` of it, so that a log that can't be verified offline any more is found too.
A log has one key: a second one in the bucket is somebody else's.

So what somebody with every right over the database removed, changed, added or set back
is found, unless it is younger than the newest checkpoint.

Rules: reads only. Of a name in the bucket the oldest version counts; another one beside
it is a finding. Not here: the chains of writers (`archive.audit.verify_log`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from archive.catalogue import audit_tree
from archive.catalogue.audit_tree import CheckpointRow, Log
from archive.catalogue.engine import Catalogue
from archive.errors import NotFound, VerificationFailed
from archive.store.object import ObjectVersion, Store
from archive.timestamp import stamped_at
from archive.transparency.checkpoint import (
    NO_PREVIOUS,
    Checkpoint,
    PublicKey,
    note_hash,
    open_note,
    public_key,
)
from archive.transparency.leaves import (
    KEYS_PREFIX,
    NAME,
    Leaf,
    checkpoint_key,
    checkpoints_prefix,
    read_leaf,
    segment,
    segment_key,
    segments_prefix,
    token_key,
    tokens_prefix,
)
from archive.transparency.tree import EMPTY_ROOT, Tree
from archive.transparency.verification import SILENCE_MAX, LogBroken, dated_ahead


@dataclass(frozen=True)
class Compared:
    """How far a log in the database is what the bucket says."""

    log: int
    origin: str
    leaves: int
    root: bytes
    sealed_at: datetime | None
    """When the newest checkpoint in both was signed; None before the first."""

    lost: int = 0
    """Of a log that another followed: how many leaves the bucket has beyond those of the database."""


class Share(NamedTuple):
    """Which objects of the bucket are read: of `parts` equal shares the one with this number."""

    number: int = 0
    parts: int = 1


def compare(
    catalogue: Catalogue, store: Store, *, now: datetime, share: Share | None = None
) -> list[Compared]:
    """Compare every log, as operator or worker; return what was compared, oldest first.

    A log that another one followed may have lost its tail: that is why the other was begun.

    Raises LogBroken with the place of the first difference, VerificationFailed when the
    bucket holds what does not belong, StoreUnavailable, CatalogueUnavailable.
    """
    logs = audit_tree.logs(catalogue)
    keys = _announced(store)
    strange = sorted(set(keys) - {log.number for log in logs})
    if strange:
        raise VerificationFailed(
            f"The bucket holds log {strange[0]}, unknown to the database: it was emptied or set back."
        )
    found = []
    for log in logs:
        own = keys.get(log.number, {})
        found.append(_compare(catalogue, store, log, own, ended=log is not logs[-1]))
        _compare_objects(catalogue, store, log, share or Share(), ended=log is not logs[-1])
    newest = found[-1].sealed_at if found else None
    ahead = "" if newest is None else dated_ahead(newest, now)
    if ahead:
        raise LogBroken(found[-1].log, found[-1].leaves, ahead)
    if newest is not None and now - newest > SILENCE_MAX:
        raise LogBroken(
            found[-1].log,
            found[-1].leaves,
            f"the newest checkpoint is of {newest.isoformat(timespec='seconds')}: "
            "no worker seals the log, or its tail was removed",
        )
    return found


def logs_of_bucket(store: Store) -> set[int]:
    """Return the numbers of the logs the bucket holds a key of."""
    return set(_announced(store))


def _announced(store: Store) -> dict[int, dict[bytes, PublicKey]]:
    """Return the keys the bucket names, by log and key id."""
    found: dict[int, dict[bytes, PublicKey]] = {}
    for name, version in _oldest(store.versions(KEYS_PREFIX)).items():
        key = public_key(store.get(name, version.version_id).decode("utf-8", "replace"))
        number = int(name.removeprefix(KEYS_PREFIX).partition("-")[0])
        found.setdefault(number, {})[key.id] = key
        if len(found[number]) > 1:
            raise VerificationFailed(
                f"The bucket holds two keys of log {number}: somebody with its credentials put one there."
            )
    return found


def _oldest(versions: list[ObjectVersion]) -> dict[str, ObjectVersion]:
    """Return the one version of each name; raises VerificationFailed where another stands beside it."""
    found: dict[str, ObjectVersion] = {}
    for version in versions:
        if NAME.fullmatch(version.key) is None:
            raise VerificationFailed(f"{version.key} in the bucket is no object of an audit log.")
        if version.is_delete_marker or version.key in found:
            what = "a delete marker" if version.is_delete_marker else "a second version"
            raise VerificationFailed(
                f"The bucket holds {what} of {version.key}: somebody with its credentials put it there."
            )
        found[version.key] = version
    return found


def _compare(
    catalogue: Catalogue, store: Store, log: Log, keys: Mapping[bytes, PublicKey], *, ended: bool
) -> Compared:
    prefix = checkpoints_prefix(log.number)
    locked = {int(name.removeprefix(prefix)): name for name in _oldest(store.versions(prefix))}
    roots, size = _walk(catalogue, log, keys)
    beyond = _beyond(catalogue, log, set(locked) - set(roots), size)
    if beyond and not ended:
        raise LogBroken(
            log.number,
            min(beyond[0], size),
            f"the bucket holds checkpoint {beyond[0]}, the database does not: it was set back",
        )
    missing = sorted(
        at
        for at, row in roots.items()
        # What is not listed may have been placed since.
        if row.note_version and at not in locked and not store.versions(checkpoint_key(log.number, at))
    )
    if missing:
        raise LogBroken(log.number, missing[0], f"checkpoint {missing[0]} is gone from the bucket")
    shared = sorted(set(locked) & set(roots))
    if not shared:
        return Compared(log.number, log.origin, size, roots[size].root if size else EMPTY_ROOT, None)
    checkpoint = _locked(store, log, shared[-1], keys)
    if checkpoint.root != roots[shared[-1]].root:
        raise _first_difference(catalogue, store, log, shared, roots, keys)
    lost = max(0, beyond[-1] - size) if beyond else 0
    return Compared(log.number, log.origin, size, roots[size].root, checkpoint.at, lost)


def _compare_objects(catalogue: Catalogue, store: Store, log: Log, share: Share, *, ended: bool) -> None:
    """See that the bucket holds what the database placed there, as it was, and nothing beside it."""
    segments = _oldest(store.versions(segments_prefix(log.number)))
    tokens = _oldest(store.versions(tokens_prefix(log.number)))
    size = 0
    for position, row in enumerate(audit_tree.checkpoints(catalogue, log.number)):
        size = row.size
        lost = LogBroken(log.number, row.first, f"the segment up to leaf {size - 1} is gone from the bucket")
        name = segment_key(row.log, row.first, row.size)
        placed = _take(store, segments, name, row.leaves_version, lost)
        lost = LogBroken(log.number, size, f"the time stamp over checkpoint {size} is gone from the bucket")
        stamp = _take(store, tokens, token_key(row.log, row.size), row.token_version, lost)
        if position % share.parts == share.number:
            _read_objects(catalogue, store, row, placed, stamp)
    unknown = {int(name[-12:]): name for name in (*segments, *tokens)}
    strange = _beyond(catalogue, log, set(unknown), size)
    # A log that another one followed may have lost its tail (`Compared.lost`), and objects of it stay.
    strange = [at for at in strange if at <= size or not ended]
    if strange:
        raise VerificationFailed(f"The bucket holds {unknown[strange[0]]}, which the database does not know.")


def _take(
    store: Store, listed: dict[str, ObjectVersion], name: str, version_id: str | None, lost: LogBroken
) -> ObjectVersion | None:
    """Take a name out of a listing; raises `lost` when the version the database names is not there."""
    found = listed.pop(name, None)
    if version_id is None:
        return found
    # What is not listed may have been placed since.
    found = found or _oldest(store.versions(name)).get(name)
    if found is None or found.version_id != version_id:
        raise lost
    return found


def _read_objects(
    catalogue: Catalogue,
    store: Store,
    row: CheckpointRow,
    placed: ObjectVersion | None,
    stamp: ObjectVersion | None,
) -> None:
    if placed is not None:
        with catalogue.transaction() as connection:
            leaves = audit_tree.leaves(connection, row.log, row.first, row.size)
        if store.get(placed.key, placed.version_id) != segment(leaves):
            raise LogBroken(row.log, row.first, f"{placed.key} in the bucket is not what was put there")
    if row.note_version:
        name = checkpoint_key(row.log, row.size)
        try:
            note = store.get(name, row.note_version)
        except NotFound:
            note = b""
        if note != row.note:
            raise LogBroken(row.log, row.size, f"{name} in the bucket is another than in the database")
    if stamp is not None:
        try:
            stamped_at(store.get(stamp.key, stamp.version_id), row.note)
        except VerificationFailed as error:
            raise LogBroken(row.log, row.size, f"{stamp.key} in the bucket: {error}") from error


def _beyond(catalogue: Catalogue, log: Log, unknown: set[int], size: int) -> list[int]:
    """Return the sizes only the bucket has, but for those the sequencer added while the database was read."""
    with catalogue.transaction() as connection:
        newest = audit_tree.newest_checkpoint(connection, log.number)
    grown = 0 if newest is None else newest.size
    return sorted(at for at in unknown if at <= size or at > grown)


@dataclass(frozen=True)
class _Root:
    root: bytes
    first: int
    note_version: str | None


def _walk(catalogue: Catalogue, log: Log, keys: Mapping[bytes, PublicKey]) -> tuple[dict[int, _Root], int]:
    """Hash the leaves of the database again; return the root at each checkpoint, and the last size."""
    tree, roots, previous = Tree(), {}, NO_PREVIOUS
    for row in audit_tree.checkpoints(catalogue, log.number):
        if row.first != tree.size:
            raise LogBroken(
                log.number, tree.size, f"the checkpoint before leaf {row.first} is missing in the database"
            )
        _add_leaves(catalogue, tree, row)
        previous = _check_row(row, tree, previous, keys)
        roots[row.size] = _Root(tree.root(), row.first, row.note_version)
    return roots, tree.size


def _add_leaves(catalogue: Catalogue, tree: Tree, row: CheckpointRow) -> None:
    with catalogue.transaction() as connection:
        found = audit_tree.leaves_with_entries(connection, row.log, row.first, row.size)
    for index, leaf, entry_hash in found:
        if index != tree.size:
            break
        if entry_hash != leaf.entry_hash:
            what = "is missing" if entry_hash is None else "was changed"
            raise LogBroken(row.log, index, f"entry {leaf.sequence} of {leaf.writer} {what} in the database")
        tree.extend(leaf.hash())
    if tree.size != row.size:
        raise LogBroken(row.log, tree.size, "this leaf is missing in the database")


def _check_row(row: CheckpointRow, tree: Tree, previous: bytes, keys: Mapping[bytes, PublicKey]) -> bytes:
    """Check a checkpoint of the database against its leaves; return its hash."""
    try:
        checkpoint = open_note(row.note, keys)
    except VerificationFailed as error:
        raise LogBroken(row.log, row.size, f"checkpoint {row.size} in the database: {error}") from error
    if (checkpoint.size, checkpoint.previous) != (row.size, previous):
        raise LogBroken(row.log, row.size, f"checkpoint {row.size} in the database is another one")
    if checkpoint.root != tree.root():
        raise LogBroken(
            row.log,
            row.first,
            f"the leaves {row.first} to {row.size - 1} are not those of checkpoint {row.size}",
        )
    return note_hash(row.note)


def _locked(store: Store, log: Log, size: int, keys: Mapping[bytes, PublicKey]) -> Checkpoint:
    """Return a checkpoint from the bucket."""
    name = checkpoint_key(log.number, size)
    try:
        checkpoint = open_note(store.get(name, _oldest(store.versions(name))[name].version_id), keys)
    except VerificationFailed as error:
        raise LogBroken(log.number, size, f"checkpoint {size} in the bucket: {error}") from error
    if checkpoint.size != size or checkpoint.origin != log.origin:
        raise LogBroken(log.number, size, f"checkpoint {size} in the bucket is another one")
    return checkpoint


def _first_difference(  # noqa: PLR0917 - the two sides and what they share
    catalogue: Catalogue,
    store: Store,
    log: Log,
    shared: list[int],
    roots: Mapping[int, _Root],
    keys: Mapping[bytes, PublicKey],
) -> LogBroken:
    """Find the first checkpoint that differs by halving, and in its segment the first leaf that does."""
    low, high = 0, len(shared) - 1
    while low < high:
        middle = (low + high) // 2
        if _locked(store, log, shared[middle], keys).root == roots[shared[middle]].root:
            low = middle + 1
        else:
            high = middle
    size = shared[low]
    first = roots[size].first
    name = segment_key(log.number, first, size)
    version = _oldest(store.versions(name)).get(name)
    if version is None:
        return LogBroken(
            log.number, first, f"checkpoint {size} in the bucket is over other leaves than the database's"
        )
    lines = store.get(name, version.version_id).decode("utf-8", "replace").splitlines()
    with catalogue.transaction() as connection:
        kept = audit_tree.leaves(connection, log.number, first, size)
    for index, (line, leaf) in enumerate(zip(lines, kept, strict=False), start=first):
        if _leaf_of(line) != leaf:
            return LogBroken(
                log.number,
                index,
                f"the database has entry {leaf.sequence} of {leaf.writer}, the bucket another",
            )
    return LogBroken(
        log.number, first, f"checkpoint {size} in the bucket is over other leaves than the database's"
    )


def _leaf_of(line: str) -> Leaf | None:
    try:
        return read_leaf(line)
    except VerificationFailed:
        return None
