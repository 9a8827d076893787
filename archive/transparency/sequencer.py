"""The sequencer: gives entries their place in the tree, and locks leaves and checkpoints away.

Each round first puts into the bucket what an earlier one could not, then takes the
entries that have no place yet, checks that they go on with their chains, adds them to
the tree and signs a checkpoint, all in one transaction; then the segment of leaves and
the checkpoint go to the bucket, in this order, each under its lock. A round that is
broken off anywhere is gone on with by the next one: what was signed is in the
database, so that the same octets are put again, or found there and adopted.

An entry is durable before the sequencer sees it; a bucket that is away delays
checkpoints and nothing else, and so does a clock that is not believed: neither date nor
lock of what is sealed can be taken back. When nothing happens for an hour an entry says
so, so that a tail cut off shows by its age.

Rules: never two checkpoints of one size, never an object replaced. A bucket that holds
a later checkpoint than the database knows is a database that was set back: nothing is
signed then until an operator begins a new log (`earwitness audit begin`). Not here:
when it runs (`retention.worker`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from archive.audit import AuditWriter
from archive.audit_chain import verify_chain
from archive.catalogue import audit_entries, audit_tree
from archive.catalogue.audit_tree import CheckpointRow, Log
from archive.catalogue.engine import Catalogue, Connection
from archive.clock import Clock
from archive.data_key import translated_key_errors
from archive.errors import NotFound, VerificationFailed
from archive.store.clock_guard import compare_clocks
from archive.store.object import (
    COMPLIANCE,
    GOVERNANCE,
    KeyTaken,
    LockMode,
    ObjectFacts,
    ObjectVersion,
    Store,
    StoreCorrupts,
    sha256_hex,
    whole_second,
)
from archive.timestamp import Stamper
from archive.transparency.checkpoint import (
    NO_PREVIOUS,
    NOTE_BYTES_MAX,
    Checkpoint,
    PublicKey,
    note_hash,
    open_note,
    sign,
)
from archive.transparency.leaves import (
    KEYS_PREFIX,
    SEGMENT_LEAVES_MAX,
    Leaf,
    checkpoint_key,
    checkpoints_prefix,
    segment,
    segment_key,
    token_key,
)
from archive.transparency.tree import Node, Tree, peaks_of
from keys.signing_key import SigningKey

ACTOR = "service:worker"
HEARTBEAT = timedelta(hours=1)
STAMP_INTERVAL = timedelta(hours=1)
ROUND_CHECKPOINTS_MAX = 200
"""A round of a minute keeps up with three thousand entries a second; more wait for the next."""

FIRST_REASON = "the first log of this instance"


@dataclass(frozen=True)
class Custody:
    """How the objects of the log are locked: for how long, and in which mode.

    COMPLIANCE can't be taken back, so it is only used on a bucket that `is_proved` to lock.
    """

    kept: timedelta
    mode: LockMode
    is_proved: Callable[[], bool] = lambda: True

    def mode_now(self) -> LockMode:
        """Return the mode of an object that is put now."""
        return COMPLIANCE if self.mode == COMPLIANCE and self.is_proved() else GOVERNANCE


class LogOverruled(VerificationFailed):
    """The bucket knows more of the log than the database: it was set back, or another writes here too."""


class Sequencer:
    """Adds to the tree; any number of processes may, one at a time does."""

    def __init__(  # noqa: PLR0917 - what it stands on, named by its one caller
        self,
        catalogue: Catalogue,
        store: Store,
        key: Callable[[], SigningKey],
        audit: AuditWriter,
        clock: Clock,
        custody: Custody,
        name: str,
        *,
        stamper: Stamper | None = None,
        believed_time: Callable[[], datetime] | None = None,
    ) -> None:
        """Remember what it stands on; `name` begins the origin of logs, `key` is asked for when it signs.

        `believed_time` tells the time by which may be signed and locked, and raises DependencyUnavailable
        while there is none; without it this machine's clock and the store's have to agree.
        """
        self._stamper = stamper
        self._believed_time = believed_time or self._agreed_time
        self._catalogue = catalogue
        self._store = store
        self._key = key
        self._audit = audit
        self._clock = clock
        self._custody = custody
        self._name = name

    def round(self) -> int:
        """Give every waiting entry its place; return how many checkpoints were locked away.

        Raises StoreUnavailable, CatalogueUnavailable and what `believed_time` does (the next round goes
        on), and VerificationFailed when chain, tree or bucket are not as they were written.
        """
        with translated_key_errors():
            key = self._key()
        now = self._believed_time()
        log = self._log(now)
        self._announce(log, key, now)
        count = self._publish_waiting(log, now)
        self._refuse_set_back(log, PublicKey(log.origin, key.public))
        while count < ROUND_CHECKPOINTS_MAX:
            # Asked again for each: a round of many takes minutes, in which a clock may be set.
            now = self._believed_time()
            row = self._sequence(log, key, now)
            if row is None:
                break
            self._publish(row, now)
            count += 1
        return count

    def stamp(self) -> bool:
        """Have the newest checkpoint stamped, when that was not done for an hour; return whether it was.

        Raises DependencyUnavailable when the authority is away, and what `believed_time` does; the next
        round asks again.
        """
        if self._stamper is None:
            return False
        now = self._believed_time()
        log = self._log(now)
        with self._catalogue.transaction() as connection:
            newest = audit_tree.newest_published(connection, log.number)
            stamped = audit_tree.newest_stamped(connection, log.number)
            if newest is None or (
                stamped is not None and not _stamp_is_due(connection, newest, stamped, now)
            ):
                return False
        key = token_key(log.number, newest.size)
        # Each stamp is another one: what an earlier round put there before it died is taken as it is.
        version = self._stamped(self._stamper, key, newest.note)
        if version is None:
            try:
                version = self._place(key, self._stamper.stamp(newest.note), now)
            except LogOverruled:
                # Another worker was as quick: its stamp counts as well, if it is one.
                version = self._stamped(self._stamper, key, newest.note)
                if version is None:
                    raise
        audit_tree.stamped(self._catalogue, newest, token_version=version)
        return True

    def _stamped(self, stamper: Stamper, key: str, note: bytes) -> str | None:
        """Return the oldest version that stands at `key`, seen to be a time stamp over the note."""
        found = [v for v in self._store.versions(key) if v.key == key and not v.is_delete_marker]
        if not found:
            return None
        data, facts = self._store.fetch(key, found[-1].version_id)
        try:
            stamper.check(data, note)
        except VerificationFailed as error:
            raise LogOverruled(
                f"What stands at {key} is no time stamp over its checkpoint: {error}."
            ) from error
        self._require_locked(facts)
        return found[-1].version_id

    def _agreed_time(self) -> datetime:
        now = self._clock.now()
        compare_clocks(self._store.clock(), now)
        return now

    def _log(self, now: datetime) -> Log:
        with self._catalogue.transaction() as connection:
            found = audit_tree.newest_log(connection)
            if found is None:
                audit_tree.lock(connection)
                found = audit_tree.newest_log(connection)
            if found is None:
                found = Log(1, f"{self._name}/1", now, FIRST_REASON)
                audit_tree.begin_log(connection, found)
        return found

    def _announce(self, log: Log, key: SigningKey, now: datetime) -> None:
        """See to it that the key that signs stands in the bucket, for everybody who checks."""
        public = PublicKey(log.origin, key.public)
        name = f"{KEYS_PREFIX}{log.number}-{public.id.hex()}"
        line = f"{public.line()}\n".encode()
        if self._store.versions(name):
            self._adopted(name, line)
        else:
            self._place(name, line, now)

    def _refuse_set_back(self, log: Log, key: PublicKey) -> None:
        with self._catalogue.transaction() as connection:
            published = audit_tree.newest_published(connection, log.number)
            newest = audit_tree.newest_checkpoint(connection, log.number)
        if published is not None and not self._stands(published):
            raise LogOverruled(
                f"The bucket holds another checkpoint {published.size} than the database, or none: run "
                "earwitness audit verify. Nothing is signed until an operator has looked."
            )
        after = "" if newest is None else checkpoint_key(log.number, newest.size)
        # Another sequencer may have gone on meanwhile; what it puts is in the database first.
        beyond = self._store.versions(checkpoints_prefix(log.number), after=after)
        if not beyond:
            return
        with self._catalogue.transaction() as connection:
            newest = audit_tree.newest_checkpoint(connection, log.number)
        known = "" if newest is None else checkpoint_key(log.number, newest.size)
        for version in beyond:
            # What anybody with the bucket's credentials can put there does not keep us from sealing.
            if version.key > known and not version.is_delete_marker and self._is_signed(version, key):
                raise LogOverruled(
                    f"The bucket holds {version.key}, beyond what the database knows: the database was set "
                    "back. Nothing is signed until an operator has looked and begun a new log: "
                    "earwitness audit begin."
                )

    def _is_signed(self, version: ObjectVersion, key: PublicKey) -> bool:
        if version.size_bytes > NOTE_BYTES_MAX:
            return False
        try:
            open_note(self._store.get(version.key, version.version_id), {key.id: key})
        except (VerificationFailed, NotFound):
            return False
        return True

    def _stands(self, row: CheckpointRow) -> bool:
        """Tell whether the bucket holds this very checkpoint where the database says it does."""
        try:
            return self._store.get(checkpoint_key(row.log, row.size), row.note_version or "") == row.note
        except NotFound:
            return False

    def _sequence(self, log: Log, key: SigningKey, now: datetime) -> CheckpointRow | None:
        """Add waiting entries to the tree, with a signed checkpoint; None when there are none."""
        with self._catalogue.transaction() as connection:
            audit_tree.lock(connection)
            last = audit_tree.newest_checkpoint(connection, log.number)
            leaves = self._waiting(connection, log)
            if not leaves and (last is None or abs(now - _made_at(connection, last, now)) >= HEARTBEAT):
                self._beat(connection, log)
                leaves = self._waiting(connection, log)
            if not leaves:
                return None
            tree = self._tree(connection, log, key, last)
            nodes: list[Node] = []
            for leaf in leaves:
                nodes += tree.append(leaf.hash())
            # A clock that was set back must not make the log look written backwards.
            at = now if last is None else max(now, last.at)
            previous = NO_PREVIOUS if last is None else note_hash(last.note)
            checkpoint = Checkpoint(log.origin, tree.size, tree.root(), at, previous)
            note = sign(checkpoint, log.origin, key)
            row = CheckpointRow(log.number, tree.size, tree.size - len(leaves), at, note)
            audit_tree.add(connection, row, leaves, nodes)
            return row

    def _waiting(self, connection: Connection, log: Log) -> list[Leaf]:
        """Return entries without a place, at most a segment; raises ChainBroken when one was altered."""
        leaves: list[Leaf] = []
        for writer, head in audit_tree.unsequenced(connection, log.number):
            room = SEGMENT_LEAVES_MAX - len(leaves)
            if room == 0:
                break
            entries = audit_entries.following(connection, writer, head.sequence, limit=room)
            verify_chain(entries, after=head)
            leaves += [Leaf(writer, entry.sequence, entry.hash) for entry in entries]
        return leaves

    def _beat(self, connection: Connection, log: Log) -> None:
        self._audit.append(
            connection,
            tenant_id=None,
            actor=ACTOR,
            action="log.idle",
            object=f"log:{log.number}",
            at=self._clock.now(),
        )

    def _tree(self, connection: Connection, log: Log, key: SigningKey, last: CheckpointRow | None) -> Tree:
        """Return the tree so far, and see that it is the one the last checkpoint signed."""
        if last is None:
            return Tree()
        public = PublicKey(log.origin, key.public)
        try:
            signed = open_note(last.note, {public.id: public})
            peaks = [audit_tree.node(connection, log.number, *place) for place in peaks_of(last.size)]
        except (VerificationFailed, LookupError) as error:
            raise VerificationFailed(f"The last checkpoint of the audit log is not ours: {error}.") from error
        tree = Tree(last.size, peaks)
        if tree.root() != signed.root or signed.size != last.size:
            raise VerificationFailed(
                f"The leaves of the audit log in the database are not those of checkpoint {last.size}: "
                "run earwitness audit verify."
            )
        return tree

    def _publish_waiting(self, log: Log, now: datetime) -> int:
        waiting = audit_tree.unpublished(self._catalogue, log.number)
        for row in waiting:
            self._publish(row, now)
        return len(waiting)

    def _publish(self, row: CheckpointRow, now: datetime) -> None:
        """Put segment and checkpoint into the bucket, and write down where they stand."""
        with self._catalogue.transaction() as connection:
            leaves = audit_tree.leaves(connection, row.log, row.first, row.size)
        leaves_version = self._place(segment_key(row.log, row.first, row.size), segment(leaves), now)
        note_version = self._place(checkpoint_key(row.log, row.size), row.note, now)
        self._store.barrier()
        audit_tree.placed(self._catalogue, row, leaves_version=leaves_version, note_version=note_version)

    def _place(self, key: str, data: bytes, now: datetime) -> str:
        """Put an object under its lock, or adopt the same one an earlier round put; return its version."""
        until = now + self._custody.kept if self._store.locks else None
        digest = sha256_hex(data)
        try:
            version = self._store.put(key, data, until, self._custody.mode_now(), sha256=digest)
        except KeyTaken:
            return self._adopted(key, data)
        try:
            stored, facts = self._store.fetch(key, version)
        except NotFound as error:
            raise StoreCorrupts(f"The store lost {key} after acknowledging it.") from error
        locked = until is None or (
            facts.retain_until is not None and facts.retain_until >= whole_second(until)
        )
        if stored != data or not locked:
            raise StoreCorrupts(f"The store does not keep {key} as it was put, under its lock.")
        return version

    def _require_locked(self, facts: ObjectFacts) -> None:
        """Raise StoreCorrupts for what an earlier round put and the store holds without its lock."""
        if self._store.locks and facts.retain_until is None:
            raise StoreCorrupts(
                f"The store holds {facts.key} without its lock: see earwitness storage verify-worm."
            )

    def _adopted(self, key: str, data: bytes) -> str:
        for version in self._store.versions(key):
            if version.key != key or version.is_delete_marker:
                continue
            stored, facts = self._store.fetch(key, version.version_id)
            if stored == data:
                self._require_locked(facts)
                return version.version_id
        raise LogOverruled(
            f"Something else stands at {key}: the database was set back, or another writes there."
        )


def _made_at(connection: Connection, row: CheckpointRow, now: datetime) -> datetime:
    """Return when a checkpoint was made; of one dated ahead, when its last entry was written.

    A clock that was wrong once dates every checkpoint after it, for no date goes back. Without this
    there would be neither a sign of life nor a time stamp until that date.
    """
    if row.at <= now:
        return row.at
    return audit_tree.written_at(connection, row) or row.at


def _stamp_is_due(
    connection: Connection, newest: CheckpointRow, stamped: CheckpointRow, now: datetime
) -> bool:
    if newest.size == stamped.size:
        return False
    apart = _made_at(connection, newest, now) - _made_at(connection, stamped, now)
    return abs(apart) >= STAMP_INTERVAL
