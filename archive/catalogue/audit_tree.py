"""The rows of the tree over the audit log: leaves, upper nodes and checkpoints.

Of the perfect nodes those on every eighth level are stored; the few between are
computed from them, so that the tree costs little more than its leaves.

Rules: nothing is changed or removed here, and the database would refuse it. Who writes
holds `lock`. Not here: what a checkpoint says (`archive.transparency`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, lateral, select, true, update
from sqlalchemy import insert as insert_into

from archive.audit_chain import ChainHead
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import (
    audit_checkpoints,
    audit_entries,
    audit_leaves,
    audit_logs,
    audit_nodes,
    audit_writers,
)
from archive.transparency.leaves import Leaf
from archive.transparency.tree import Node, node_hash

LEVELS_APART = 8
"""256 leaves or nodes are read to compute one between two stored levels, at most."""

PAGE_ROWS_MAX = 5000
LOCK_NAME = "audit tree"


@dataclass(frozen=True)
class Log:
    """One log of this instance; a later one begins when a former can't be gone on with."""

    number: int
    origin: str
    begun_at: datetime
    reason: str


@dataclass(frozen=True)
class CheckpointRow:
    """A signed checkpoint, the first leaf of its segment, and where its objects stand once they do."""

    log: int
    size: int
    first: int
    at: datetime
    note: bytes
    leaves_version: str | None = None
    note_version: str | None = None
    token_version: str | None = None


def lock(connection: Connection) -> None:
    """Let nobody else add leaves until this transaction ends."""
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(LOCK_NAME, 0))))


def newest_log(connection: Connection) -> Log | None:
    """Return the log that is written to, None before the first."""
    row = connection.execute(select(audit_logs).order_by(audit_logs.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else Log(*row)


def logs(catalogue: Catalogue) -> list[Log]:
    """Return every log, oldest first."""
    with catalogue.transaction() as connection:
        return [Log(*row) for row in connection.execute(select(audit_logs).order_by(audit_logs.c.number))]


def begin_log(connection: Connection, log: Log) -> None:
    """Begin a log."""
    connection.execute(insert_into(audit_logs).values(**vars(log)))


def newest_checkpoint(connection: Connection, log: int) -> CheckpointRow | None:
    """Return the checkpoint of the whole tree."""
    return _one(connection, audit_checkpoints.c.log == log)


def newest_published(connection: Connection, log: int) -> CheckpointRow | None:
    """Return the newest checkpoint that stands in the bucket."""
    return _one(
        connection, and_(audit_checkpoints.c.log == log, audit_checkpoints.c.note_version.is_not(None))
    )


def newest_stamped(connection: Connection, log: int) -> CheckpointRow | None:
    """Return the newest checkpoint with a time-stamp token."""
    columns = audit_checkpoints.c
    return _one(connection, and_(columns.log == log, columns.token_version.is_not(None)))


def written_at(connection: Connection, row: CheckpointRow) -> datetime | None:
    """Return when the last entry under a checkpoint was written, by the clock of its writer."""
    leaf, entry = audit_leaves.c, audit_entries.c
    same = and_(entry.writer == leaf.writer, entry.sequence == leaf.sequence)
    statement = (
        select(entry.at)
        .select_from(audit_leaves.join(audit_entries, same))
        .where(leaf.log == row.log, leaf["index"] == row.size - 1)
    )
    return in_utc(connection.execute(statement).scalar_one_or_none())


def unpublished(catalogue: Catalogue, log: int) -> list[CheckpointRow]:
    """Return the checkpoints that do not stand in the bucket yet, smallest first."""
    columns = audit_checkpoints.c
    statement = (
        select(audit_checkpoints)
        .where(columns.log == log, columns.note_version.is_(None))
        .order_by(columns.size)
        .limit(PAGE_ROWS_MAX)
    )
    with catalogue.transaction() as connection:
        return [CheckpointRow(*row) for row in connection.execute(statement)]


def checkpoints(catalogue: Catalogue, log: int) -> Iterator[CheckpointRow]:
    """Yield every checkpoint, smallest first."""
    columns, after = audit_checkpoints.c, 0
    statement = (
        select(audit_checkpoints).where(columns.log == log).order_by(columns.size).limit(PAGE_ROWS_MAX)
    )
    while True:
        with catalogue.transaction() as connection:
            page = [CheckpointRow(*row) for row in connection.execute(statement.where(columns.size > after))]
        yield from page
        if len(page) < PAGE_ROWS_MAX:
            return
        after = page[-1].size


def placed(catalogue: Catalogue, row: CheckpointRow, *, leaves_version: str, note_version: str) -> None:
    """Write down where segment and checkpoint stand; said again, it changes nothing."""
    where = and_(_of(row), audit_checkpoints.c.note_version.is_(None))
    with catalogue.transaction() as connection:
        connection.execute(
            update(audit_checkpoints)
            .where(where)
            .values(leaves_version=leaves_version, note_version=note_version)
        )


def stamped(catalogue: Catalogue, row: CheckpointRow, *, token_version: str) -> None:
    """Write down where the time-stamp token over a checkpoint stands."""
    where = and_(_of(row), audit_checkpoints.c.token_version.is_(None))
    with catalogue.transaction() as connection:
        connection.execute(update(audit_checkpoints).where(where).values(token_version=token_version))


def unsequenced(connection: Connection, log: int) -> list[tuple[str, ChainHead]]:
    """Return each writer with entries that are no leaves yet, and the head of those that are."""
    newest = lateral(
        select(audit_leaves.c.sequence, audit_leaves.c.hash)
        .where(audit_leaves.c.log == log, audit_leaves.c.writer == audit_writers.c.writer)
        .order_by(audit_leaves.c.sequence.desc())
        .limit(1)
    )
    statement = (
        select(audit_writers.c.writer, newest.c.sequence, newest.c.hash)
        .select_from(audit_writers.outerjoin(newest, true()))
        .where(func.coalesce(newest.c.sequence, 0) != audit_writers.c.sequence)
        .order_by(audit_writers.c.writer)
    )
    return [
        (row.writer, ChainHead() if row.sequence is None else ChainHead(row.sequence, row.hash))
        for row in connection.execute(statement)
    ]


def add(connection: Connection, checkpoint: CheckpointRow, leaves: list[Leaf], nodes: Iterable[Node]) -> None:
    """Add the leaves of a checkpoint, the upper nodes they complete, and the checkpoint."""
    log = checkpoint.log
    rows = [
        {
            "log": log,
            "index": checkpoint.first + n,
            "writer": leaf.writer,
            "sequence": leaf.sequence,
            "hash": leaf.entry_hash,
        }
        for n, leaf in enumerate(leaves)
    ]
    connection.execute(insert_into(audit_leaves), rows)
    stored = [
        {"log": log, "level": node.level, "index": node.number, "hash": node.hash}
        for node in nodes
        if node.level and node.level % LEVELS_APART == 0
    ]
    if stored:
        connection.execute(insert_into(audit_nodes), stored)
    connection.execute(insert_into(audit_checkpoints).values(**vars(checkpoint)))


def leaves(connection: Connection, log: int, first: int, end: int) -> list[Leaf]:
    """Return the leaves from `first` to below `end`."""
    columns = audit_leaves.c
    statement = (
        select(columns.writer, columns.sequence, columns.hash)
        .where(columns.log == log, columns.index >= first, columns.index < end)
        .order_by(columns.index)
    )
    return [Leaf(*row) for row in connection.execute(statement)]


def leaves_with_entries(
    connection: Connection, log: int, first: int, end: int
) -> list[tuple[int, Leaf, str | None]]:
    """Return leaves with their places and the hash their entry has, None where there is no entry."""
    columns, entry = audit_leaves.c, audit_entries.c
    same = and_(entry.writer == columns.writer, entry.sequence == columns.sequence)
    statement = (
        select(columns["index"], columns.writer, columns.sequence, columns.hash, entry.hash.label("entry"))
        .select_from(audit_leaves.outerjoin(audit_entries, same))
        .where(columns.log == log, columns["index"] >= first, columns["index"] < end)
        .order_by(columns["index"])
    )
    return [
        (index, Leaf(writer, sequence, hash_), entry_hash)
        for index, writer, sequence, hash_, entry_hash in connection.execute(statement)
    ]


def index_of(connection: Connection, log: int, writer: str, sequence: int) -> int | None:
    """Return the place of an entry in the tree, None when it has none yet."""
    columns = audit_leaves.c
    statement = select(columns.index).where(
        columns.log == log, columns.writer == writer, columns.sequence == sequence
    )
    return connection.execute(statement).scalar_one_or_none()


def node(connection: Connection, log: int, level: int, index: int) -> bytes:
    """Return the hash of a perfect node, from the stored ones of its level or the next below.

    Raises LookupError when the tree has no such node.
    """
    stored = level - level % LEVELS_APART
    width = 1 << (level - stored)
    first = index * width
    if stored:
        columns = audit_nodes.c
        inside = and_(columns.index >= first, columns.index < first + width)
        statement = select(columns.hash).where(columns.log == log, columns.level == stored, inside)
        row: list[bytes] = [found.hash for found in connection.execute(statement.order_by(columns.index))]
    else:
        row = [leaf.hash() for leaf in leaves(connection, log, first, first + width)]
    if len(row) != width:
        raise LookupError(f"The tree has no node {index} on level {level}.")
    while len(row) > 1:
        row = [node_hash(left, right) for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def _of(row: CheckpointRow) -> ColumnElement[bool]:
    return and_(audit_checkpoints.c.log == row.log, audit_checkpoints.c.size == row.size)


def _one(connection: Connection, where: ColumnElement[bool]) -> CheckpointRow | None:
    statement = select(audit_checkpoints).where(where).order_by(audit_checkpoints.c.size.desc()).limit(1)
    row = connection.execute(statement).one_or_none()
    return None if row is None else CheckpointRow(*row)
