"""The database against the locked checkpoints: what somebody with every right over it did is found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from archive.audit import AuditWriter, verify_bodies
from archive.catalogue import audit_entries, audit_tree
from archive.catalogue.audit_tree import Log
from archive.errors import ChainBroken, VerificationFailed
from archive.store.object import sha256_hex
from archive.transparency.checkpoint import PublicKey
from archive.transparency.comparison import Share, compare, logs_of_bucket
from archive.transparency.export import export
from archive.transparency.folder import open_folder
from archive.transparency.leaves import checkpoint_key, checkpoints_prefix
from archive.transparency.sequencer import LogOverruled
from archive.transparency.verification import SILENCE_MAX, LogBroken, read_keys, verify_folder
from keys.signing_key import SigningKey
from tests.unit.archive.transparency.conftest import LogHouse

SET_BACK = "UPDATE audit_writers w SET (sequence, hash) = (SELECT sequence, hash FROM audit_entries e WHERE e.writer = w.writer ORDER BY sequence DESC LIMIT 1)"


@pytest.fixture
def sealed(log: LogHouse) -> LogHouse:
    """Four checkpoints over twelve entries of two writers."""
    for _ in range(4):
        log.play(2)
        log.play(1, writer="portal/two")
        log.sequencer().round()
        log.later(minutes=1)
    return log


@pytest.fixture
def superuser(database: Any) -> Callable[[str], None]:
    admin = database.connect()
    admin.execute("SET session_replication_role = replica")
    return admin.execute


def compared(log: LogHouse) -> Any:
    return compare(log.worker, log.store, now=log.clock.now())


def test_an_untouched_log_is_what_the_bucket_says(sealed: LogHouse) -> None:
    (found,) = compared(sealed)
    assert (found.log, found.leaves, found.lost) == (1, 12, 0)
    assert found.sealed_at is not None
    sealed.play()
    assert compared(sealed)[0].leaves == 12, "what is younger than a checkpoint waits for its own"


def test_before_the_first_round_there_is_nothing_to_compare(log: LogHouse) -> None:
    log.play()
    assert compared(log) == []


@pytest.mark.parametrize(
    ("statements", "index", "words"),
    [
        (["DELETE FROM audit_entries WHERE writer = 'portal/one' AND sequence = 3"], 3, "is missing"),
        (
            ["UPDATE audit_entries SET hash = repeat('0', 64) WHERE writer = 'portal/two' AND sequence = 2"],
            5,
            "was changed",
        ),
        (["DELETE FROM audit_leaves WHERE index = 4"], 4, "this leaf is missing"),
        (["UPDATE audit_leaves SET sequence = 99 WHERE index = 7"], 7, "is missing"),
        (["DELETE FROM audit_checkpoints WHERE size = 6"], 3, "checkpoint before leaf 6 is missing"),
        (["UPDATE audit_checkpoints SET note = 'x' WHERE size = 6"], 6, "no signed note"),
        (
            ["DELETE FROM audit_checkpoints WHERE size = 12", "DELETE FROM audit_leaves WHERE index >= 9"],
            9,
            "set back",
        ),
        (
            [
                "DELETE FROM audit_checkpoints WHERE size > 6",
                "DELETE FROM audit_leaves WHERE index >= 6",
                "DELETE FROM audit_entries WHERE writer = 'portal/one' AND sequence > 4 OR sequence > 2 AND writer = 'portal/two'",
                SET_BACK,
            ],
            6,
            "set back",
        ),
    ],
)
def test_what_a_superuser_did_is_found_with_its_place(
    sealed: LogHouse, superuser: Callable[[str], None], statements: list[str], index: int, words: str
) -> None:
    """A4: removed, changed, exchanged, or the whole database set back to yesterday."""
    superuser("DELETE FROM audit_bodies")
    for statement in statements:
        superuser(statement)
    with pytest.raises(LogBroken, match=words) as broken:
        compared(sealed)
    assert broken.value.index == index


def test_a_log_made_anew_with_the_same_key_is_found_at_its_first_other_leaf(
    sealed: LogHouse, superuser: Callable[[str], None]
) -> None:
    """A fork: everything in the database agrees with itself; the bucket says otherwise."""
    store, worker = sealed.store, sealed.worker
    superuser("DELETE FROM audit_bodies")
    superuser("DELETE FROM audit_entries WHERE writer = 'portal/one' AND sequence > 4")
    superuser("DELETE FROM audit_leaves WHERE index >= 6")
    superuser("DELETE FROM audit_checkpoints WHERE size > 6")
    superuser("DELETE FROM audit_entries WHERE writer = 'portal/two' AND sequence > 2")
    superuser(SET_BACK)
    # Forged on a copy of yesterday's bucket: the real one would not take it.
    sealed.store = type(store)(sealed.clock)
    young = (checkpoint_key(1, 6), "audit/1/leaves/000000000006")
    sealed.store._versions = {
        key: list(versions)
        for key, versions in store._versions.items()
        if not key.startswith("audit/1/") or key <= young[0] or "audit/1/leaves/" < key < young[1]
    }
    for _ in range(2):
        sealed.play(2, object="recording:forged")
        sealed.play(1, writer="portal/two")
        sealed.sequencer().round()
    sealed.store = store
    sealed.play()
    with pytest.raises(LogOverruled, match="another checkpoint 12"):
        sealed.sequencer().round()
    with pytest.raises(LogBroken, match="the bucket another") as broken:
        compare(worker, store, now=sealed.clock.now())
    assert broken.value.index == 6


def test_what_somebody_put_beside_a_checkpoint_is_found(sealed: LogHouse) -> None:
    """R6: the oldest version counts, and that there is another one is told."""
    key = checkpoint_key(1, 6)
    with sealed.store._guard:
        (version,) = sealed.store._versions[key]
        sealed.store._versions[key].append(version)
    with pytest.raises(VerificationFailed, match="a second version"):
        compared(sealed)


def test_a_checkpoint_that_is_gone_from_the_bucket_is_found(sealed: LogHouse) -> None:
    with sealed.store._guard:
        del sealed.store._versions[checkpoint_key(1, 6)]
    with pytest.raises(LogBroken, match="gone from the bucket") as broken:
        compared(sealed)
    assert broken.value.index == 6


def test_a_checkpoint_nobody_signed_is_found(sealed: LogHouse) -> None:
    forged = f"{checkpoints_prefix(1)}{99:012}"
    sealed.store.put(forged, b"forged", None, sha256=sha256_hex(b"forged"))
    with pytest.raises(LogBroken, match="set back"):
        compared(sealed)


def test_a_log_that_stands_still_is_found(sealed: LogHouse) -> None:
    """Whoever keeps the sequencer from running wins two hours."""
    sealed.clock.moment += SILENCE_MAX + timedelta(minutes=1)
    with pytest.raises(LogBroken, match="no worker seals"):
        compared(sealed)


def test_an_emptied_database_is_found(sealed: LogHouse, superuser: Callable[[str], None]) -> None:
    for table in ("bodies", "entries", "writers", "leaves", "nodes", "checkpoints", "logs"):
        superuser(f"DELETE FROM audit_{table}")
    with pytest.raises(VerificationFailed, match="unknown to the database"):
        compared(sealed)
    assert logs_of_bucket(sealed.store) == {1}


def test_after_a_restore_a_new_log_goes_on_and_says_what_was_lost(
    sealed: LogHouse, superuser: Callable[[str], None]
) -> None:
    """The former log stays as it is; every entry that is left has a place in the new one."""
    superuser("DELETE FROM audit_bodies")
    superuser("DELETE FROM audit_checkpoints WHERE size > 6")
    superuser("DELETE FROM audit_leaves WHERE index >= 6")
    superuser("DELETE FROM audit_entries WHERE sequence > 2 AND writer = 'portal/two' OR sequence > 4")
    superuser(SET_BACK)
    with pytest.raises(LogOverruled):
        sealed.sequencer().round()
    with sealed.worker.transaction() as connection:
        audit_tree.begin_log(connection, Log(2, "earwitness/test/2", sealed.clock.now(), "restored"))
    assert sealed.sequencer().round() == 1
    former, new = compared(sealed)
    assert (former.leaves, former.lost) == (6, 6)
    assert (new.log, new.leaves, new.lost) == (2, 6, 0)


def test_a_checkpoint_dated_ahead_is_found_until_the_next_log_is_begun(
    sealed: LogHouse, tmp_path: Path
) -> None:
    """Its age says nothing any more, here or in a download: the way on is the next log."""
    sealed.later(days=8 * 365)
    sealed.play()
    sealed.sequencer().round()
    sealed.later(days=-8 * 365)
    now = sealed.clock.now()
    with pytest.raises(LogBroken, match=r"yet to come.*earwitness audit begin"):
        compared(sealed)
    export(sealed.worker, sealed.store, tmp_path / "poisoned", None)
    lines, (folder,) = open_folder(tmp_path / "poisoned")
    for said in ({"as_of": now}, {"now": now}):
        with pytest.raises(LogBroken, match="yet to come"):
            verify_folder(folder, read_keys(lines), **said)
    with sealed.worker.transaction() as connection:
        audit_tree.begin_log(connection, Log(2, "earwitness/test/2", now, "a clock was ahead"))
    sealed.sequencer().round()
    former, new = compared(sealed)
    assert (former.leaves, new.leaves, new.sealed_at) == (13, 13, now)
    sealed.later(hours=3)
    with pytest.raises(LogBroken, match="no worker seals the log"):
        compared(sealed)


def test_two_clocks_a_minute_apart_are_no_finding(sealed: LogHouse) -> None:
    newest = compared(sealed)[-1].sealed_at
    compare(sealed.worker, sealed.store, now=newest - timedelta(seconds=60))
    with pytest.raises(LogBroken, match="yet to come"):
        compare(sealed.worker, sealed.store, now=newest - timedelta(seconds=61))


def test_a_log_that_was_taken_along_is_checked_without_any_service(sealed: LogHouse, tmp_path: Path) -> None:
    """A1: keys, leaves and checkpoints from the bucket, entries from the database, with bodies or without."""

    def entries_of(leaves: Any) -> Any:
        return [
            entry
            for leaf in leaves
            for entry in audit_entries.of_range(
                sealed.worker, leaf.writer, leaf.sequence, leaf.sequence, bodies_of=[sealed.tenant_id]
            )
        ]

    for name, given, entries, bodies in (("all", entries_of, 12, 12), ("leaves", None, 0, 0)):
        export(sealed.worker, sealed.store, tmp_path / name, given)
        lines, (folder,) = open_folder(tmp_path / name)
        found = verify_folder(folder, read_keys(lines), as_of=sealed.clock.now())
        assert (found.leaves, found.entries, found.bodies) == (12, entries, bodies)


def test_a_strange_object_among_those_of_the_log_is_not_taken_along(sealed: LogHouse, tmp_path: Path) -> None:
    sealed.store.put("audit/../x", b"x", None, sha256=sha256_hex(b"x"))
    with pytest.raises(VerificationFailed, match="no object of an audit log"):
        export(sealed.worker, sealed.store, tmp_path / "out", None)


def test_segments_that_are_gone_altered_or_doubled_in_the_bucket_are_found(sealed: LogHouse) -> None:
    """Without its leaves the log can't be verified offline, nor a lost database be proved."""
    names = sealed.keys("audit/1/leaves/")
    (version,) = sealed.store.versions(names[1])
    data = sealed.store.get(names[1], version.version_id)
    sealed.store.damage(names[1], version.version_id, data.replace(b"portal", b"portul"))
    with pytest.raises(LogBroken, match="not what was put there") as broken:
        compared(sealed)
    assert broken.value.index == 3
    sealed.store.damage(names[1], version.version_id, data)
    compared(sealed)
    kept = sealed.store._versions.pop(names[1])
    with pytest.raises(LogBroken, match="the segment up to leaf 5 is gone"):
        compared(sealed)
    sealed.store._versions[names[1]] = [*kept, *kept]
    with pytest.raises(VerificationFailed, match="a second version"):
        compared(sealed)


@pytest.mark.parametrize(
    "name",
    [
        "1/checkpoints/zzz",
        "1/leaves/000000000000-000000000002",
        "1/leaves/000000000099-000000000999",
        "1/tokens/000000000002",
        "1/tokens/note",
        "keys/key",
    ],
)
def test_whatever_stands_there_beside_the_log_is_named(sealed: LogHouse, name: str) -> None:
    sealed.store.put(f"audit/{name}", b"x", None, sha256=sha256_hex(b"x"))
    with pytest.raises(VerificationFailed, match=name):
        compared(sealed)


def test_a_second_key_makes_nothing_genuine(sealed: LogHouse) -> None:
    """Who has database and bucket, and no key, can't sign another story by a key of their own."""
    own = PublicKey("earwitness/test/1", SigningKey(b"e" * 32).public)
    line = f"{own.line()}\n".encode()
    sealed.store.put(f"audit/keys/1-{own.id.hex()}", line, None, sha256=sha256_hex(line))
    with pytest.raises(VerificationFailed, match="two keys of log 1"):
        compared(sealed)


def test_in_shares_all_objects_are_read_after_as_many_checks(sealed: LogHouse) -> None:
    (name, *_) = sealed.keys("audit/1/leaves/")
    (version,) = sealed.store.versions(name)
    sealed.store.damage(name, version.version_id, b"1 " + b"0" * 64 + b" portal/one\n")
    now = sealed.clock.now()
    for number in (1, 2, 3):
        compare(sealed.worker, sealed.store, now=now, share=Share(number, 4))
    with pytest.raises(LogBroken, match="not what was put there"):
        compare(sealed.worker, sealed.store, now=now, share=Share(0, 4))


def test_what_the_instance_itself_wrote_down_is_checked_as_well(
    sealed: LogHouse, superuser: Callable[[str], None]
) -> None:
    """The manifest of a backup stands there, with which people compare what they restore."""
    writer = AuditWriter(sealed.worker, "worker/one")
    with writer.transaction(None) as connection:
        writer.append(
            connection,
            tenant_id=None,
            actor="operator:0",
            action="backup.made",
            object="backup:x",
            body={"manifest": "aa"},
            at=sealed.clock.now(),
        )
    verify_bodies(sealed.worker, [])
    superuser("UPDATE audit_bodies SET body = replace(body, 'aa', 'bb') WHERE tenant_id IS NULL")
    with pytest.raises(ChainBroken, match="another body"):
        verify_bodies(sealed.worker, [])


def test_what_is_taken_along_is_for_its_owner_alone(sealed: LogHouse, tmp_path: Path) -> None:
    export(sealed.worker, sealed.store, tmp_path / "along" / "log", None)
    found = list((tmp_path / "along").rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in found if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in found if path.is_dir()} == {0o700}


@pytest.mark.parametrize("listing", ["checkpoints", "leaves", "tokens"])
def test_what_is_sealed_while_the_bucket_is_listed_is_no_finding(
    sealed: LogHouse, monkeypatch: pytest.MonkeyPatch, listing: str
) -> None:
    """The worker seals every minute, and the check takes longer in a large log."""
    versions, sealed_meanwhile = sealed.store.versions, []

    def seal_behind(prefix: str, after: str = "") -> Any:
        found = versions(prefix, after)
        if prefix.endswith(f"/{listing}/") and not sealed_meanwhile:
            sealed_meanwhile.append(prefix)
            sealed.play(2)
            assert sealed.sequencer().round() == 1
        return found

    monkeypatch.setattr(sealed.store, "versions", seal_behind)
    (found,) = compared(sealed)
    assert sealed_meanwhile
    assert found.leaves in {12, 14}
