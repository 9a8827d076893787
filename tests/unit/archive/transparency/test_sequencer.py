"""The sequencer: every entry gets a place, and leaves and checkpoints stand locked in the bucket."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from archive.audit import AuditWriter
from archive.catalogue import audit_tree
from archive.catalogue.migrate import ROLES
from archive.errors import ChainBroken, DependencyUnavailable, Refused, StoreUnavailable, VerificationFailed
from archive.store.memory import MemoryStore
from archive.store.object import StoreCorrupts, sha256_hex
from archive.timestamp import TimeUnavailable
from archive.transparency import sequencer as sequencer_module
from archive.transparency.checkpoint import NO_PREVIOUS, PublicKey, note_hash, open_note, public_key
from archive.transparency.leaves import checkpoint_key, read_leaf, segment_key
from archive.transparency.sequencer import HEARTBEAT, LogOverruled
from archive.transparency.tree import Tree, inclusion_proof, verify_inclusion
from keys.signing_key import SigningKey
from tests.unit.archive.transparency.conftest import CUSTODY, KEY, NOW, LogHouse

ORIGIN = "earwitness/test/1"
PUBLIC = PublicKey(ORIGIN, KEY.public)


def opened(log: LogHouse, size: int) -> Any:
    (version,) = log.store.versions(checkpoint_key(1, size))
    return open_note(log.store.get(version.key, version.version_id), {PUBLIC.id: PUBLIC})


def test_entries_of_all_writers_become_leaves_under_a_signed_checkpoint(log: LogHouse) -> None:
    """The bucket alone says it all: leaves in order, the root over them, and the key that signed."""
    log.play(3)
    log.play(2, writer="portal/two")
    assert log.sequencer().round() == 1
    assert log.keys() == [
        "audit/1/checkpoints/000000000005",
        "audit/1/leaves/000000000000-000000000005",
        f"audit/keys/1-{PUBLIC.id.hex()}",
    ]
    (version,) = log.store.versions(segment_key(1, 0, 5))
    leaves = [
        read_leaf(line) for line in log.store.get(version.key, version.version_id).decode().splitlines()
    ]
    assert [(leaf.writer, leaf.sequence) for leaf in leaves] == [
        *(("portal/one", n) for n in (1, 2, 3)),
        *(("portal/two", n) for n in (1, 2)),
    ]
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf.hash())
    checkpoint = opened(log, 5)
    assert (checkpoint.origin, checkpoint.size, checkpoint.previous) == (ORIGIN, 5, NO_PREVIOUS)
    assert checkpoint.root == tree.root()
    (key,) = log.store.versions("audit/keys/")
    assert public_key(log.store.get(key.key, key.version_id).decode()) == PUBLIC


def test_every_object_is_locked_until_the_log_may_go(log: LogHouse) -> None:
    log.play()
    log.sequencer().round()
    for version in log.store.versions("audit/"):
        facts = log.store.head(version.key, version.version_id)
        assert facts.mode == "GOVERNANCE"
        assert facts.retain_until == log.clock.now() + CUSTODY.kept
        with pytest.raises(Refused, match="locked"):
            log.store.delete(version.key, version.version_id)


def test_checkpoints_make_a_chain_and_each_only_adds(log: LogHouse) -> None:
    sequencer = log.sequencer()
    for _ in range(3):
        log.play(2)
        sequencer.round()
        log.later(minutes=1)
    assert sequencer.round() == 0
    rows = list(audit_tree.checkpoints(log.worker, 1))
    assert [(row.first, row.size) for row in rows] == [(0, 2), (2, 4), (4, 6)]
    for before, row in pairwise(rows):
        assert opened(log, row.size).previous == note_hash(before.note)


def test_many_entries_are_taken_in_segments_of_bounded_size(
    log: LogHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer_module, "SEGMENT_LEAVES_MAX", 7)
    log.play(20)
    log.play(3, writer="portal/two")
    assert log.sequencer().round() == 4
    rows = list(audit_tree.checkpoints(log.worker, 1))
    assert [row.size for row in rows] == [7, 14, 21, 23]
    monkeypatch.setattr(sequencer_module, "ROUND_CHECKPOINTS_MAX", 2)
    log.play(20)
    assert [log.sequencer().round() for _ in range(3)] == [2, 1, 0]


def test_an_idle_hour_is_written_down_and_an_idle_minute_is_not(log: LogHouse) -> None:
    """So that the age of the newest checkpoint tells a cut-off tail from silence."""
    sequencer = log.sequencer()
    assert sequencer.round() == 1, "the log begins with a sign of life"
    log.later(minutes=59)
    assert sequencer.round() == 0
    log.clock.moment += HEARTBEAT
    assert sequencer.round() == 1
    assert opened(log, 2).at == log.clock.now()


def test_a_clock_set_back_never_makes_a_checkpoint_older_than_the_one_before(log: LogHouse) -> None:
    log.play()
    log.sequencer().round()
    first = opened(log, 1).at
    log.later(hours=-5)
    log.play()
    log.sequencer().round()
    assert opened(log, 2).at == first


def test_a_clock_that_is_not_believed_signs_and_locks_nothing(log: LogHouse) -> None:
    """Eight years ahead, of machine and store alike: entries wait, and are sealed by the right clock."""

    def believed() -> datetime:
        if log.clock.now() > NOW + timedelta(days=365):
            raise Disbelieved
        return log.clock.now()

    sequencer = log.sequencer(believed_time=believed, stamper=Stamping())
    log.play()
    sequencer.round()
    before = log.keys()
    log.later(days=8 * 365)
    log.play()
    for act in (sequencer.round, sequencer.stamp):
        with pytest.raises(Disbelieved):
            act()
    assert log.keys() == before
    assert len(list(audit_tree.checkpoints(log.worker, 1))) == 1
    log.later(days=-8 * 365)
    assert sequencer.round() == 1
    assert sequencer.stamp()
    assert opened(log, 2).at == log.clock.now()
    (version,) = log.store.versions(checkpoint_key(1, 2))
    assert log.store.head(version.key, version.version_id).retain_until == log.clock.now() + CUSTODY.kept


def test_a_clock_set_ahead_in_the_middle_of_a_round_signs_no_more(
    log: LogHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer_module, "SEGMENT_LEAVES_MAX", 1)
    log.play(3)
    answers = [NOW, NOW, NOW]

    def believed() -> datetime:
        if not answers:
            raise Disbelieved
        return answers.pop()

    with pytest.raises(Disbelieved):
        log.sequencer(believed_time=believed).round()
    assert [row.at for row in audit_tree.checkpoints(log.worker, 1)] == [NOW, NOW]


def test_a_log_that_was_dated_ahead_once_still_tells_of_idle_hours_and_is_stamped(log: LogHouse) -> None:
    """Its dates can't go back; that it lives, and a stamp each hour, show all the same."""
    sequencer = log.sequencer(stamper=Stamping())
    log.later(days=8 * 365)
    log.play()
    sequencer.round()
    sequencer.stamp()
    log.later(days=-8 * 365)
    beats = stamps = 0
    for _ in range(10 * 6):
        beats += sequencer.round()
        stamps += sequencer.stamp()
        log.later(minutes=10)
    assert (beats, stamps) == (10, 10)


class Dying(MemoryStore):
    """Goes away before or after the n-th put, as a crash or a lost answer would look."""

    def __init__(self, *arguments: Any, dies_at: int, after: bool) -> None:
        super().__init__(*arguments)
        self.dies_at, self.after, self.puts = dies_at, after, 0

    def put(self, *arguments: Any, **more: Any) -> str:
        self.puts += 1
        if self.puts == self.dies_at and not self.after:
            raise StoreUnavailable("away")
        version = super().put(*arguments, **more)
        if self.puts == self.dies_at:
            raise StoreUnavailable("gone after storing")
        return version


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies_at", [1, 2, 3, 4, 5])
def test_a_round_broken_off_anywhere_is_gone_on_with(log: LogHouse, dies_at: int, after: bool) -> None:
    """What was stored is adopted; no checkpoint of one size is ever there twice, nor an object."""
    log.store = Dying(log.clock, dies_at=dies_at, after=after)
    for _ in range(4):
        log.play(2)
        try:
            log.sequencer().round()
        except StoreUnavailable:
            log.later(minutes=3)
    log.sequencer().round()
    keys = log.keys()
    assert len(keys) == len(set(keys))
    rows = list(audit_tree.checkpoints(log.worker, 1))
    assert rows[-1].size == 8
    assert all(row.note_version and row.leaves_version for row in rows)
    for before, row in pairwise(rows):
        assert opened(log, row.size).previous == note_hash(before.note)


def test_a_process_that_dies_between_bucket_and_row_is_gone_on_with(
    log: LogHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.play(2)
    with monkeypatch.context() as patched:
        patched.setattr(audit_tree, "placed", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            log.sequencer().round()
    assert log.sequencer().round() == 1
    assert len(log.keys("audit/1/")) == 2


def test_two_at_once_make_one_tree(log: LogHouse) -> None:
    log.play(30)
    faults: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(5):
                log.sequencer().round()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    log.play(10)
    for thread in threads:
        thread.join(60)
    log.sequencer().round()
    assert not faults
    rows = list(audit_tree.checkpoints(log.worker, 1))
    assert rows[-1].size == 40
    assert len(log.keys("audit/1/checkpoints/")) == len(rows)


def test_an_entry_altered_before_it_got_its_place_gets_none(log: LogHouse, database: Any) -> None:
    log.play(3)
    admin = database.connect()
    admin.execute("SET session_replication_role = replica")
    admin.execute("UPDATE audit_entries SET actor = 'user:bob' WHERE sequence = 2")
    with pytest.raises(ChainBroken) as broken:
        log.sequencer().round()
    assert broken.value.position == 2
    assert log.keys("audit/1/") == []


def test_a_leaf_altered_in_the_database_stops_the_log(log: LogHouse, database: Any) -> None:
    log.play(3)
    log.sequencer().round()
    admin = database.connect()
    admin.execute("SET session_replication_role = replica")
    admin.execute("UPDATE audit_leaves SET writer = 'portal/other' WHERE index = 1")
    log.play()
    with pytest.raises(VerificationFailed, match="not those of checkpoint 3"):
        log.sequencer().round()


def test_another_key_does_not_go_on_with_the_log(log: LogHouse) -> None:
    log.play()
    log.sequencer().round()
    log.play()
    with pytest.raises(VerificationFailed, match="not ours"):
        log.sequencer(key=lambda: SigningKey(b"x" * 32)).round()


def test_a_database_set_back_to_yesterday_signs_nothing_more(log: LogHouse, database: Any) -> None:
    """A4: the bucket knows a later checkpoint, and a fork with the same key never comes about."""
    log.play(2)
    log.sequencer().round()
    log.play(5)
    log.sequencer().round()
    admin = database.connect()
    admin.execute("SET session_replication_role = replica")
    admin.execute("DELETE FROM audit_checkpoints WHERE size > 2")
    admin.execute("DELETE FROM audit_leaves WHERE index >= 2")
    admin.execute("DELETE FROM audit_bodies WHERE sequence > 2")
    admin.execute("DELETE FROM audit_entries WHERE sequence > 2")
    admin.execute(
        "UPDATE audit_writers w SET sequence = 2, hash = e.hash FROM audit_entries e WHERE e.sequence = 2"
    )
    log.play()
    before = log.keys()
    with pytest.raises(LogOverruled, match="set back"):
        log.sequencer().round()
    assert log.keys() == before


def test_another_object_where_the_checkpoint_belongs_is_told(log: LogHouse) -> None:
    log.play()
    log.store.put(segment_key(1, 0, 1), b"forged", None, sha256=sha256_hex(b"forged"))
    with pytest.raises(LogOverruled, match="Something else"):
        log.sequencer().round()


def test_a_bucket_that_does_not_lock_what_it_was_told_to_is_no_custody(log: LogHouse) -> None:
    class Unlocking(MemoryStore):
        def put(self, key: str, data: bytes, retain_until: Any, *more: Any, **named: Any) -> str:
            return super().put(key, data, retain_until - timedelta(days=1), *more, **named)

    log.store = Unlocking(log.clock)
    log.play()
    with pytest.raises(StoreCorrupts, match="under its lock"):
        log.sequencer().round()


def test_an_entry_is_proved_from_the_rows_of_the_database(log: LogHouse) -> None:
    """A6, with upper nodes stored on every eighth level: 600 leaves have two of them."""
    log.play(600)
    log.sequencer().round()
    checkpoint = opened(log, 600)
    with log.worker.transaction() as connection:

        def node(level: int, number: int) -> bytes:
            return audit_tree.node(connection, 1, level, number)

        for sequence in (1, 2, 256, 257, 513, 600):
            index = audit_tree.index_of(connection, 1, "portal/one", sequence)
            assert index == sequence - 1
            (leaf,) = audit_tree.leaves(connection, 1, index, index + 1)
            path = inclusion_proof(index, 600, node)
            assert verify_inclusion(leaf.hash(), index, 600, path, checkpoint.root)
        assert audit_tree.index_of(connection, 1, "portal/one", 601) is None
        with pytest.raises(LookupError):
            node(0, 600)


@pytest.mark.parametrize("role", [*ROLES, None])
def test_no_role_changes_or_removes_what_the_tree_holds(log: LogHouse, database: Any, role: str) -> None:
    log.play()
    log.sequencer().round()
    for statement in (
        "DELETE FROM audit_leaves",
        "UPDATE audit_leaves SET hash = 'x'",
        "TRUNCATE audit_nodes",
        "UPDATE audit_logs SET origin = 'x'",
        "DELETE FROM audit_checkpoints",
        "UPDATE audit_checkpoints SET note = 'x'",
        "UPDATE audit_checkpoints SET note_version = 'other'",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.connect(role).execute(statement)


def test_a_sign_of_life_is_an_entry_of_the_worker(log: LogHouse) -> None:
    log.sequencer(audit=AuditWriter(log.worker, "worker/two")).round()
    with log.worker.transaction() as connection:
        (leaf,) = audit_tree.leaves(connection, 1, 0, 10)
    assert (leaf.writer, leaf.sequence) == ("worker/two", 1)


class Disbelieved(DependencyUnavailable):
    """No clock is believed."""


class Stamping:
    """Stamps what it is given, and remembers it; or is away."""

    def __init__(self) -> None:
        self.notes: list[bytes] = []
        self.away = False

    def stamp(self, data: bytes) -> bytes:
        if self.away:
            raise TimeUnavailable("away")
        self.notes.append(data)
        return b"stamp over " + data

    def check(self, token: bytes, data: bytes) -> None:
        if token != b"stamp over " + data:
            raise VerificationFailed("it is no stamp")


def test_the_newest_checkpoint_is_stamped_once_an_hour(log: LogHouse) -> None:
    """By an authority that is neither us nor the customer; its token stands locked beside the checkpoint."""
    stamper = Stamping()
    sequencer = log.sequencer(stamper=stamper)
    for _ in range(5):
        log.play()
        sequencer.round()
        sequencer.stamp()
        log.later(minutes=25)
    rows = {row.size: row for row in audit_tree.checkpoints(log.worker, 1)}
    assert [row.size for row in rows.values() if row.token_version] == [1, 4]
    assert stamper.notes == [rows[1].note, rows[4].note]
    (token,) = log.store.versions("audit/1/tokens/000000000004")
    assert log.store.get(token.key, token.version_id) == b"stamp over " + rows[4].note
    assert not log.sequencer().stamp(), "without an authority nothing is stamped"


def test_an_authority_that_is_away_is_asked_again_and_a_token_left_behind_is_adopted(
    log: LogHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamper = Stamping()
    sequencer = log.sequencer(stamper=stamper)
    log.play()
    sequencer.round()
    stamper.away = True
    with pytest.raises(TimeUnavailable):
        sequencer.stamp()
    stamper.away = False
    with monkeypatch.context() as patched:
        patched.setattr(audit_tree, "stamped", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            sequencer.stamp()
    assert sequencer.stamp()
    assert not sequencer.stamp()
    assert len(stamper.notes) == len(log.keys("audit/1/tokens/")) == 1


def test_what_stands_there_without_its_lock_is_never_adopted(log: LogHouse) -> None:
    """A bucket that takes objects and drops their locks is refused at every round, not at the first alone."""

    class Lockless(MemoryStore):
        def put(self, key: str, data: bytes, retain_until: Any, *more: Any, **named: Any) -> str:
            return super().put(key, data, None, *more, **named)

    log.store = Lockless(log.clock)
    log.play(2)
    for _ in range(5):
        with pytest.raises(StoreCorrupts, match="lock"):
            log.sequencer().round()
    assert not log.keys("audit/1/checkpoints/")


def test_junk_among_the_checkpoints_keeps_nobody_from_sealing(log: LogHouse) -> None:
    """Whoever may put objects must not be able to stop the log."""
    log.play(2)
    log.sequencer().round()
    for name in ("zzz", "000000999999"):
        log.store.put(f"audit/1/checkpoints/{name}", b"x", None, sha256=sha256_hex(b"x"))
    log.play(1)
    assert log.sequencer().round() == 1


def test_two_that_stamp_at_once_agree_on_the_first_stamp(log: LogHouse) -> None:
    log.play(1)
    log.sequencer().round()
    quick = log.sequencer(stamper=Stamping())

    class Slow(Stamping):
        def stamp(self, data: bytes) -> bytes:
            assert quick.stamp()
            return super().stamp(data)

    assert log.sequencer(stamper=Slow()).stamp()
    assert len(log.keys("audit/1/tokens/")) == 1
    assert not quick.stamp()


def test_something_else_in_the_place_of_a_stamp_is_told(log: LogHouse) -> None:
    log.play(1)
    log.sequencer().round()
    (name,) = log.keys("audit/1/checkpoints/")
    log.store.put(name.replace("checkpoints", "tokens"), b"no stamp", None, sha256=sha256_hex(b"no stamp"))
    with pytest.raises(LogOverruled, match="no time stamp"):
        log.sequencer(stamper=Stamping()).stamp()
