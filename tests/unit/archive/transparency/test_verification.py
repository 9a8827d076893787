"""Checking a log in files: an intact one passes, every tampered one is found with its place."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive.audit_chain import START, ChainHead, link
from archive.errors import NotFound, VerificationFailed
from archive.timestamp import certificates_in, stamped_at
from archive.transparency.checkpoint import NO_PREVIOUS, Checkpoint, PublicKey, note_hash, sign
from archive.transparency.export import entry_line
from archive.transparency.folder import open_folder
from archive.transparency.leaves import Leaf, segment
from archive.transparency.tree import Tree
from archive.transparency.verification import LogBroken, Verified, read_keys, verify_folder, verify_together
from keys.signing_key import SigningKey
from tests.unit.archive.evidence.conftest import OpenSslTimestampAuthority, timestamp_authority

__all__ = ["timestamp_authority"]

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ORIGIN = "earwitness/test/1"
KEY = SigningKey(bytes(range(32)))
PUBLIC = PublicKey(ORIGIN, KEY.public)
MUTATIONS = 250
SOAK_MUTATIONS = 10_000


def write_log(
    directory: Path,
    *,
    checkpoints: int = 12,
    entries_each: int = 7,
    story: str = "true",
    entries: bool = True,
    same_until: int = 0,
) -> list[bytes]:
    """Write a signed log of three writers; return its checkpoints. Stories differ after `same_until`."""
    tree, heads, previous, notes = Tree(), {}, NO_PREVIOUS, []
    for folder in ("keys", "1/leaves", "1/checkpoints", *(["1/entries"] if entries else [])):
        (directory / folder).mkdir(parents=True)
    (directory / f"keys/1-{PUBLIC.id.hex()}").write_text(f"{PUBLIC.line()}\n")
    for number in range(checkpoints):
        first, leaves, lines = tree.size, [], []
        for place in range(entries_each):
            writer = f"portal/{(number + place) % 3}"
            entry = link(
                heads.get(writer, START),
                writer=writer,
                at=NOW + timedelta(minutes=number),
                tenant_id=None,
                actor="user:anna",
                action="play",
                object=f"recording:{place}",
                result="ok",
                body={"told": story if number >= same_until else "true", "é": place},
                salt=f"{number:016x}{place:016x}",
            )
            heads[writer] = ChainHead(entry.sequence, entry.hash)
            leaf = Leaf(writer, entry.sequence, entry.hash)
            tree.append(leaf.hash())
            leaves.append(leaf)
            lines.append(entry_line(entry))
        at = NOW + timedelta(minutes=number, seconds=30)
        notes.append(sign(Checkpoint(ORIGIN, tree.size, tree.root(), at, previous), ORIGIN, KEY))
        previous = note_hash(notes[-1])
        name = f"{first:012}-{tree.size:012}"
        (directory / "1/leaves" / name).write_bytes(segment(leaves))
        (directory / f"1/checkpoints/{tree.size:012}").write_bytes(notes[-1])
        if entries:
            (directory / "1/entries" / name).write_bytes(b"".join(lines))
    return notes


def check(directory: Path, **more: object) -> Verified:
    lines, (folder,) = open_folder(directory)
    return verify_folder(folder, read_keys(lines), **more)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    write_log(tmp_path / "log")
    return tmp_path / "log"


def test_an_intact_log_is_counted(log: Path) -> None:
    """A1: without any service; bodies are checked where they are."""
    found = check(log)
    assert (found.leaves, found.entries, found.bodies, found.checkpoints) == (84, 84, 84, 12)
    assert (found.origin, found.newest.size) == (ORIGIN, 84)
    assert {writer: head.sequence for writer, head in found.writers.items()} == {
        f"portal/{n}": 28 for n in range(3)
    }


def test_a_download_of_the_bucket_has_no_entries_and_may_lie_below_audit(tmp_path: Path) -> None:
    write_log(tmp_path / "bucket/audit", entries=False)
    found = check(tmp_path / "bucket")
    assert (found.leaves, found.entries) == (84, 0)


def test_erased_bodies_leave_a_log_that_holds(log: Path) -> None:
    """A7: what is erased is none, what is changed shows."""
    path = log / "1/entries/000000000000-000000000007"
    kept, erased = [], []
    for line in path.read_bytes().splitlines(keepends=True):
        hashed, _, _ = line.partition(b"\t")
        kept.append(line.replace(b'"true"', b'"lies"'))
        erased.append(hashed + b"\t\t\n")
    path.write_bytes(b"".join(erased))
    assert check(log).bodies == 77
    path.write_bytes(b"".join(kept))
    with pytest.raises(LogBroken, match="leaf 0: entry 1 of portal/0 has another body"):
        check(log)


def test_a_tail_cut_off_shows_by_its_age_and_by_a_checkpoint_kept_elsewhere(tmp_path: Path) -> None:
    """A2: the log alone can't say how long it should be; two ways of knowing do."""
    notes = write_log(tmp_path / "log")
    for folder, last in (("leaves", "000000000077-000000000084"), ("checkpoints", "000000000084")):
        (tmp_path / "log/1" / folder / last).unlink()
    (tmp_path / "log/1/entries/000000000077-000000000084").unlink()
    assert check(tmp_path / "log").leaves == 77
    with pytest.raises(LogBroken, match="cut or set back") as broken:
        check(tmp_path / "log", known=notes)
    assert broken.value.index == 77
    check(tmp_path / "log", as_of=NOW + timedelta(hours=2))
    with pytest.raises(LogBroken, match="tail is missing"):
        check(tmp_path / "log", as_of=NOW + timedelta(hours=3))


def test_a_fork_signed_with_the_same_key_shows_by_a_checkpoint_kept_elsewhere(tmp_path: Path) -> None:
    notes = write_log(tmp_path / "true")
    write_log(tmp_path / "other", story="other", same_until=5)
    assert check(tmp_path / "other").leaves == 84, "by itself a fork is a log"
    check(tmp_path / "other", known=notes[:5])
    with pytest.raises(LogBroken, match="forked") as broken:
        check(tmp_path / "other", known=notes[6:])
    assert broken.value.index == 49


def test_a_log_signed_by_somebody_else_fails_with_the_trusted_key(log: Path) -> None:
    lines, (folder,) = open_folder(log)
    other = PublicKey(ORIGIN, SigningKey(b"x" * 32).public)
    with pytest.raises(LogBroken, match="no known key"):
        verify_folder(folder, read_keys(lines, [other.line()]))
    with pytest.raises(VerificationFailed, match="where they belong"):
        read_keys([b"rubbish"])
    with pytest.raises(VerificationFailed, match="is to be known is none"):
        check(log, known=[b"rubbish"])


def test_what_is_no_log_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no directory"):
        open_folder(tmp_path / "nowhere")
    with pytest.raises(NotFound, match="no audit log"):
        open_folder(tmp_path)
    write_log(tmp_path / "log", checkpoints=0)
    with pytest.raises(LogBroken, match="no checkpoint"):
        check(tmp_path / "log")


def test_a_time_stamp_is_checked_against_its_checkpoint(
    tmp_path: Path, timestamp_authority: OpenSslTimestampAuthority
) -> None:
    """With the certificates one trusts, or without: then it is told what it is over, and not by whom."""
    notes = write_log(tmp_path / "log")
    tokens = tmp_path / "log/1/tokens"
    tokens.mkdir()
    token = timestamp_authority.stamp(notes[3])
    (tokens / f"{28:012}").write_bytes(token)
    roots = certificates_in(timestamp_authority.folder / "root.pem")
    for trusted in (roots, ()):
        given = {"check_token": lambda stamp, note, trusted=trusted: stamped_at(stamp, note, trusted)}
        assert check(tmp_path / "log", **given).tokens == 1
    assert check(tmp_path / "log").tokens == 0, "who has nothing to check it by counts none"
    (tokens / f"{28:012}").rename(tokens / f"{35:012}")
    with pytest.raises(LogBroken, match="over something else") as broken:
        check(tmp_path / "log", **given)
    assert broken.value.index == 35
    (tokens / f"{35:012}").rename(tokens / f"{99:012}")
    with pytest.raises(LogBroken, match="not there"):
        check(tmp_path / "log", **given)


def test_a_position_is_told_for_a_changed_a_removed_an_added_and_an_exchanged_leaf(log: Path) -> None:
    path = log / "1/leaves/000000000014-000000000021"
    lines = path.read_text().splitlines(keepends=True)
    changed = {
        17: [*lines[:3], lines[3].replace(lines[3].split()[1], "0" * 64), *lines[4:]],
        18: [*lines[:4], *lines[5:]],
        16: [*lines[:2], lines[2], lines[2], *lines[3:]],
        15: [lines[0], lines[4], *lines[2:4], lines[1], *lines[5:]],
    }
    for index, content in changed.items():
        path.write_text("".join(content))
        with pytest.raises(LogBroken) as broken:
            check(log)
        assert index <= broken.value.index <= index + 3, (index, str(broken.value))


def mutate(log: Path, dice: random.Random) -> str:
    """Tamper with a log in one of the ways there are; return what was done."""
    files = sorted(path for path in log.rglob("*") if path.is_file())
    path = dice.choice(files)
    content = path.read_bytes()
    kind = dice.choice(
        [
            "flip",
            "delete",
            "rename",
            "copy",
            "swap",
            "truncate",
            "append",
            "insert",
            "drop",
            "repeat",
            "reorder",
        ]
    )
    lines = content.splitlines(keepends=True)
    if kind == "flip":
        place = dice.randrange(len(content))
        path.write_bytes(
            content[:place] + bytes([content[place] ^ 1 << dice.randrange(8)]) + content[place + 1 :]
        )
    elif kind == "delete":
        path.unlink()
    elif kind == "rename":
        path.rename(path.with_name("".join(dice.sample(path.name, len(path.name))) + "0"))
    elif kind == "copy":
        path.with_name(path.name[:-1] + ("1" if path.name[-1] != "1" else "2")).write_bytes(content)
    elif kind == "swap":
        other = dice.choice([file for file in files if file.read_bytes() != content])
        path.write_bytes(other.read_bytes())
        other.write_bytes(content)
    elif kind == "truncate":
        path.write_bytes(content[: dice.randrange(len(content))])
    elif kind == "append":
        path.write_bytes(content + dice.choice([b"\n", b"x", lines[0]]))
    else:
        place = dice.randrange(len(lines))
        edited = {
            "insert": [*lines[:place], lines[0].replace(b"1", b"2"), *lines[place:]],
            "drop": [*lines[:place], *lines[place + 1 :]],
            "repeat": [*lines[: place + 1], *lines[place:]],
            "reorder": lines[1:] + lines[:1] if len(lines) > 1 else [b"x"],
        }[kind]
        path.write_bytes(b"".join(edited))
    return f"{kind} {path.relative_to(log)}"


def contents(log: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in log.rglob("*") if path.is_file()}


def mend(log: Path, whole: dict[Path, bytes]) -> None:
    found = contents(log)
    for path in set(found) - set(whole):
        path.unlink()
    for path, content in whole.items():
        if found.get(path) != content:
            path.write_bytes(content)


def places(log: Path, whole: dict[Path, bytes]) -> set[int]:
    """Return the leaves of which a log tells otherwise now than when it was whole.

    A checkpoint that is gone shows in the next one, which names it.
    """
    now = contents(log)
    touched = {path for path in {*now, *whole} if now.get(path) != whole.get(path)}
    found: set[int] = set()
    for path in touched:
        first, _, size = path.name.partition("-")
        if path.parent.name in {"leaves", "entries"} and path in whole:
            found |= set(range(int(first), int(size) + 1))
        elif path.parent.name == "checkpoints" and first.isdigit():
            behind = 0 if path in now else 5
            found |= set(range(int(first) - 5, int(first) + behind + 1))
    return found


def tamper(log: Path, notes: list[bytes], whole: dict[Path, bytes], seed: int) -> None:
    """Check that one tampered log is found, with its place; the seed tells how it was made."""
    told = mutate(log, random.Random(seed))
    found: Exception | None = None
    try:
        lines, folders = open_folder(log)
        keys = read_keys(lines, [PUBLIC.line()])
        for folder in folders:
            verify_folder(folder, keys, known=notes[-1:])
    except VerificationFailed as failed:
        found = failed
    if isinstance(found, LogBroken):
        assert found.index in places(log, whole), f"seed {seed}: {told} is said to be at {found.index}"
    elif found is not None:
        assert re.search(r"does not belong|missing|no leaves|larger than", str(found)), found
    else:
        # A key that is trusted from elsewhere need not lie beside the log, and may lie there damaged.
        assert " keys/" in told, f"seed {seed}: {told} was not found"


def test_every_tampered_log_is_found(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """A2: change, removal, insertion, exchange, cutting, of every kind of file; `make soak` tries more."""
    notes = write_log(tmp_path / "log", checkpoints=6, entries_each=5)
    whole = contents(tmp_path / "log")
    for seed in range(SOAK_MUTATIONS if pytestconfig.getoption("soak") else MUTATIONS):
        tamper(tmp_path / "log", notes, whole, seed)
        mend(tmp_path / "log", whole)


def test_an_entries_file_without_its_last_line_end_was_cut(tmp_path: Path) -> None:
    """Found by the ten thousand of `make soak`: one octet less, and every entry still there to read."""
    write_log(tmp_path / "log")
    path = min((tmp_path / "log/1/entries").iterdir())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(LogBroken, match="leaf 6: entry 3 of portal/0 was changed, removed or moved"):
        check(tmp_path / "log")


def test_a_log_of_many_entries_is_checked_fast_enough(
    tmp_path: Path, cpu_seconds: Callable[[], float]
) -> None:
    """A1, in small: a million entries may take 30 s of processor time (measured by `make bench`).

    A fiftieth of the entries in a fiftieth of the time, of three tries the best: others use the machine too.
    """
    write_log(tmp_path / "log", checkpoints=20, entries_each=1000)
    taken = []
    for _ in range(3):
        begun = cpu_seconds()
        assert check(tmp_path / "log").entries == 20_000
        taken.append(cpu_seconds() - begun)
    assert min(taken) < 30 / 50


@pytest.fixture
def cpu_seconds() -> Callable[[], float]:
    import time

    return time.process_time


def test_a_body_moved_into_the_salt_is_another_body(tmp_path: Path) -> None:
    """What is hashed has no border between the two: the length of the salt is the border."""
    write_log(tmp_path / "log")
    path = min((tmp_path / "log/1/entries").iterdir())
    lines = path.read_bytes().split(b"\n")
    hashed, salt, body = lines[0].split(b"\t")
    for moved in (
        salt + body.hex().encode() + b"\t",
        salt[:-2] + b"\t" + bytes.fromhex(salt[-2:].decode()) + body,
    ):
        path.write_bytes(b"\n".join([hashed + b"\t" + moved, *lines[1:]]))
        with pytest.raises(LogBroken, match="another body"):
            verify_folder(open_folder(tmp_path / "log")[1][0], {PUBLIC.id: PUBLIC})


def test_a_log_that_is_missing_as_a_whole_is_found_by_what_is_known_of_it(tmp_path: Path) -> None:
    write_log(tmp_path / "log")
    second = PublicKey("earwitness/test/2", KEY.public)
    note = sign(Checkpoint(second.name, 5, bytes(32), NOW, NO_PREVIOUS), second.name, KEY)
    lines, folders = open_folder(tmp_path / "log")
    verify_together(folders, read_keys(lines))
    with pytest.raises(
        VerificationFailed, match="a checkpoint that is to be known of the log earwitness/test/2"
    ):
        verify_together(folders, read_keys(lines, [PUBLIC.line(), second.line()]), known=[note])
    (tmp_path / f"log/keys/2-{second.id.hex()}").write_text(f"{second.line()}\n")
    lines, folders = open_folder(tmp_path / "log")
    with pytest.raises(VerificationFailed, match="a key of the log earwitness/test/2"):
        verify_together(folders, read_keys(lines))


def test_of_two_keys_of_one_log_neither_is_believed_until_one_is_named(tmp_path: Path) -> None:
    write_log(tmp_path / "log")
    other = PublicKey(ORIGIN, SigningKey(b"e" * 32).public)
    (tmp_path / f"log/keys/1-{other.id.hex()}").write_text(f"{other.line()}\n")
    lines, folders = open_folder(tmp_path / "log")
    with pytest.raises(VerificationFailed, match="two keys"):
        verify_together(folders, read_keys(lines))
    verify_together(folders, read_keys(lines, [PUBLIC.line()]))
