"""Checking a log that lies in files: needs no service, no database and no bucket.

What is checked stands in docs/audit-log.md, section 5. The first thing that is not as it
was written ends the check, with its place: the number of a leaf, or the size of a
checkpoint, and where an entry is concerned its writer and number.

Two things no log can say of itself, so whoever checks says them: which keys are the right
ones (`trusted`), and how far it must reach (`known`, a checkpoint kept elsewhere, or
`as_of`, the time at which it was downloaded).

Rules: reads what `archive.transparency.folder` opens, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from archive.audit_chain import ChainHead, canonical_json, is_salt
from archive.erased_bodies import ERASED, Numbers, numbers_of
from archive.errors import VerificationFailed
from archive.transparency.checkpoint import (
    NO_PREVIOUS,
    Checkpoint,
    PublicKey,
    note_hash,
    open_note,
    public_key,
)
from archive.transparency.folder import LogFolder, Segment
from archive.transparency.leaves import Leaf, read_leaf
from archive.transparency.tree import Tree, leaf_hash

SILENCE_MAX = timedelta(hours=2)
"""An idle log writes a sign of life every hour; twice as long is a tail that is missing."""

AHEAD_MAX = timedelta(minutes=1)
"""As far as two right clocks differ; what is dated further ahead was signed by one that is wrong."""

TokenCheck = Callable[[bytes, bytes], datetime]
"""Checks a time-stamp token over a checkpoint and returns its time; raises VerificationFailed."""


_DECODER = json.JSONDecoder()
"""Made once, for the million entries of a log."""

_NO_HEAD = (0, "0" * 64)


class LogBroken(VerificationFailed):
    """A log is not what was written, from leaf `index` of log number `log` on."""

    def __init__(self, log: int, index: int, message: str) -> None:
        super().__init__(f"Log {log}, leaf {index}: {message}.")
        self.log = log
        self.index = index


@dataclass(frozen=True)
class Verified:
    """What a log holds after everything in it was checked."""

    log: int
    origin: str
    leaves: int
    entries: int
    bodies: int
    erased: int
    """How many bodies the log names as erased; none is named where bodies were left out."""

    checkpoints: int
    tokens: int
    newest: Checkpoint
    writers: Mapping[str, ChainHead]


@dataclass
class _Walk:
    """Where the check has come to."""

    log: int
    tree: Tree = field(default_factory=Tree)
    heads: dict[str, tuple[int, str]] = field(default_factory=dict)
    """The number and hash of each writer's newest entry."""

    entries: int = 0
    bodies: int = 0
    erased: int = 0
    last: Checkpoint | None = None
    previous: bytes = NO_PREVIOUS
    checkpoints: int = 0

    def broken(self, message: str, index: int | None = None) -> LogBroken:
        return LogBroken(self.log, self.tree.size if index is None else index, message)


def read_keys(lines: Iterable[bytes], trusted: Sequence[str] = ()) -> dict[bytes, PublicKey]:
    """Return public keys by their ids: the trusted ones alone, where some are given.

    Raises VerificationFailed for a line that is no key.
    """
    try:
        found = [public_key(line) for line in trusted] or [public_key(line.decode()) for line in lines]
    except UnicodeDecodeError:
        raise VerificationFailed("A public key of the log is no text.") from None
    return {key.id: key for key in found}


def verify_together(
    folders: Sequence[LogFolder], keys: Mapping[bytes, PublicKey], *, known: Sequence[bytes] = ()
) -> None:
    """Check what one log can't say alone: that none is missing, and that each has one key.

    Raises VerificationFailed when a known checkpoint, or a key, is of a log that is not
    there, or two keys are of one log: the second is somebody else's.
    """
    there = {str(folder.number) for folder in folders}
    for what, origins in (
        ("a checkpoint that is to be known", {_origin(note, keys) for note in known}),
        ("a key", {key.name for key in keys.values()}),
    ):
        for origin in sorted(origins):
            if origin.rpartition("/")[2] not in there:
                raise VerificationFailed(f"There is {what} of the log {origin}, and the log is missing.")
    origins_of_keys = [key.name for key in keys.values()]
    for origin in origins_of_keys:
        if origins_of_keys.count(origin) > 1:
            raise VerificationFailed(
                f"There are two keys of the log {origin}, one of somebody else: name the right one by --key."
            )


def _origin(note: bytes, keys: Mapping[bytes, PublicKey]) -> str:
    try:
        return open_note(note, keys).origin
    except VerificationFailed as error:
        raise VerificationFailed(f"A checkpoint that is to be known is none: {error}.") from error


def verify_folder(
    folder: LogFolder,
    keys: Mapping[bytes, PublicKey],
    *,
    known: Sequence[bytes] = (),
    as_of: datetime | None = None,
    now: datetime | None = None,
    check_token: TokenCheck | None = None,
) -> Verified:
    """Check one log; raises LogBroken, with the place, at the first thing that is wrong.

    `known` are checkpoints kept elsewhere, each of which must be one of the log's; `as_of`
    is when the log was downloaded: its newest checkpoint is at most SILENCE_MAX older, and no
    later than AHEAD_MAX after it; `now` is when it is checked, which no checkpoint is later than either.
    """
    walk = _Walk(folder.number)
    notes = dict(folder.checkpoints())
    wanted = _known(folder.number, known, keys)
    covered = list(notes)
    for segment in folder.segments():
        _walk_segment(walk, segment)
        while covered and covered[0] <= walk.tree.size:
            size = covered.pop(0)
            _check_note(walk, size, notes[size], keys)
            if size in wanted and wanted.pop(size) != notes[size]:
                raise walk.broken(f"checkpoint {size} is another one than is known: the log was forked", size)
    _check_end(walk, covered, wanted)
    assert walk.last is not None
    _check_age(walk, walk.last.at, as_of, now)
    tokens = _check_tokens(walk, folder, notes, check_token)
    return Verified(
        log=walk.log,
        origin=walk.last.origin,
        leaves=walk.tree.size,
        entries=walk.entries,
        bodies=walk.bodies,
        erased=walk.erased,
        checkpoints=walk.checkpoints,
        tokens=tokens,
        newest=walk.last,
        writers={writer: ChainHead(*head) for writer, head in walk.heads.items()},
    )


def _known(log: int, known: Sequence[bytes], keys: Mapping[bytes, PublicKey]) -> dict[int, bytes]:
    """Return the known checkpoints of this log by their sizes."""
    own = [note for note in known if _origin(note, keys).rpartition("/")[2] == str(log)]
    return {open_note(note, keys).size: note for note in own}


def _walk_segment(walk: _Walk, segment: Segment) -> None:
    """Add the leaves of a segment, and check its entries against them."""
    if segment.first != walk.tree.size:
        what = "are missing" if segment.first > walk.tree.size else "stand there twice"
        raise walk.broken(
            f"leaves {what}: a segment begins at {segment.first}", min(segment.first, walk.tree.size)
        )
    content = segment.read()
    lines = content.decode("utf-8", "replace").split("\n")
    if len(lines) != segment.end - segment.first + 1 or lines.pop():
        _first_wrong_leaf(walk, lines)
        raise walk.broken(f"the segment holds {len(lines)} lines for {segment.end - segment.first} leaves")
    entries = _entry_lines(segment)
    for number, line in enumerate(lines):
        leaf = _read_leaf(walk, line)
        if entries is not None:
            _check_entry(walk, leaf, entries[number] if number < len(entries) - 1 else "")
        walk.heads[leaf.writer] = (leaf.sequence, leaf.entry_hash)
        walk.tree.extend(leaf_hash(line.encode()))
    if entries is not None and (len(entries) > len(lines) + 1 or entries[-1]):
        raise walk.broken("there are more entries than leaves")


def _first_wrong_leaf(walk: _Walk, lines: list[str]) -> None:
    """Find where a segment with a wrong number of lines goes wrong, if its numbers tell."""
    heads, index = dict(walk.heads), walk.tree.size
    for line in lines:
        try:
            leaf = read_leaf(line)
        except VerificationFailed as error:
            raise walk.broken(str(error), index) from error
        if leaf.sequence != heads.get(leaf.writer, _NO_HEAD)[0] + 1:
            raise walk.broken(_out_of_turn(leaf, heads), index)
        heads[leaf.writer] = (leaf.sequence, leaf.entry_hash)
        index += 1


def _read_leaf(walk: _Walk, line: str) -> Leaf:
    try:
        leaf = read_leaf(line)
    except VerificationFailed as error:
        raise walk.broken(str(error)) from error
    if leaf.sequence != walk.heads.get(leaf.writer, _NO_HEAD)[0] + 1:
        raise walk.broken(_out_of_turn(leaf, walk.heads))
    return leaf


def _out_of_turn(leaf: Leaf, heads: Mapping[str, tuple[int, str]]) -> str:
    expected = heads.get(leaf.writer, _NO_HEAD)[0] + 1
    return f"entry {expected} of {leaf.writer} is missing: entry {leaf.sequence} stands in its place"


def _entry_lines(segment: Segment) -> list[str] | None:
    """Return the lines of an entries file, and last what stands behind its last line end: nothing."""
    if segment.read_entries is None:
        return None
    return segment.read_entries().decode("ascii", "replace").split("\n")


def _check_entry(walk: _Walk, leaf: Leaf, line: str) -> None:
    """Check an entry against its leaf, the entry before it, and its body if it has one."""
    hashed, _, rest = line.partition("\t")
    salt, tab, body = rest.partition("\t")
    if not tab or hashlib.sha256(hashed.encode()).hexdigest() != leaf.entry_hash:
        raise walk.broken(f"{_name(leaf)} was changed, removed or moved")
    try:
        fields = _DECODER.decode(hashed)
        sequence, writer = fields["sequence"], fields["writer"]
        previous, body_hash, action = fields["previous_hash"], fields["body_hash"], fields["action"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise walk.broken(f"{_name(leaf)} is no entry") from None
    if sequence != leaf.sequence or writer != leaf.writer:
        raise walk.broken(f"{_name(leaf)} has the place of another entry")
    if previous != walk.heads.get(writer, _NO_HEAD)[1]:
        raise walk.broken(f"{_name(leaf)} does not follow the entry before it")
    walk.entries += 1
    if body or salt:
        if not is_salt(salt) or not _is_canonical(body) or _hash_of(salt, body) != body_hash:
            raise walk.broken(f"{_name(leaf)} has another body than was written")
        walk.bodies += 1
        if action == ERASED:
            walk.erased += len(_told(walk, leaf, body))


def _told(walk: _Walk, leaf: Leaf, body: str) -> Numbers:
    try:
        return numbers_of(json.loads(body))
    except VerificationFailed as error:
        raise walk.broken(f"{_name(leaf)}: {error}") from error


def _hash_of(salt: str, body: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + body.encode()).hexdigest()


def _is_canonical(body: str) -> bool:
    try:
        found = _DECODER.decode(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and canonical_json(found) == body.encode()


def _name(leaf: Leaf) -> str:
    return f"entry {leaf.sequence} of {leaf.writer}"


def _check_note(walk: _Walk, size: int, note: bytes, keys: Mapping[bytes, PublicKey]) -> None:
    """Check a checkpoint of the tree as it is now."""
    try:
        checkpoint = open_note(note, keys)
    except VerificationFailed as error:
        raise walk.broken(f"checkpoint {size}: {error}", size) from error
    last = walk.last
    if checkpoint.size != size or size != walk.tree.size:
        raise walk.broken(f"checkpoint {size} is not where a segment ends, or under another name", size)
    if checkpoint.origin.rpartition("/")[2] != str(walk.log) or (last and last.origin != checkpoint.origin):
        raise walk.broken(f"checkpoint {size} is of another log: {checkpoint.origin}", size)
    if checkpoint.root != walk.tree.root():
        first = 0 if last is None else last.size
        raise walk.broken(f"the leaves {first} to {size - 1} are not those of checkpoint {size}", first)
    if checkpoint.previous != walk.previous:
        raise walk.broken(f"checkpoint {size} does not follow the one before it", size)
    if last is not None and checkpoint.at < last.at:
        raise walk.broken(f"checkpoint {size} is older than the one before it", size)
    walk.last, walk.previous = checkpoint, note_hash(note)
    walk.checkpoints += 1


def _check_end(walk: _Walk, uncovered: list[int], wanted: Mapping[int, bytes]) -> None:
    """Check that the log reaches as far as its checkpoints, and whoever checks, say."""
    if uncovered:
        raise walk.broken(f"the leaves of checkpoint {uncovered[0]} are missing")
    if walk.last is None:
        raise walk.broken("there is no checkpoint", 0)
    if walk.last.size != walk.tree.size:
        raise walk.broken(
            f"no checkpoint covers the leaves from here to {walk.tree.size - 1}", walk.last.size
        )
    if wanted:
        size = min(wanted)
        place = min(size, walk.tree.size)
        raise walk.broken(f"checkpoint {size} is known and not there: the log was cut or set back", place)


def _check_age(walk: _Walk, newest: datetime, as_of: datetime | None, now: datetime | None) -> None:
    """Check that the newest checkpoint is about as old as whoever checks says the log is."""
    latest = min((each for each in (as_of, now) if each is not None), default=None)
    if latest is not None:
        found = dated_ahead(newest, latest)
        if found:
            raise walk.broken(found)
    if as_of is not None and as_of - newest > SILENCE_MAX:
        raise walk.broken(
            f"the newest checkpoint is of {newest.isoformat(timespec='seconds')}, more than "
            f"{SILENCE_MAX.seconds // 3600} hours before the log was taken: its tail is missing"
        )


def dated_ahead(newest: datetime, now: datetime) -> str:
    """Say that a newest checkpoint is dated later than `now`; "" where it is not. Pure.

    By its age such a log tells no tail that is missing any more, so that it has to be followed by another.
    """
    if newest - now <= AHEAD_MAX:
        return ""
    return (
        f"the newest checkpoint is dated {newest.isoformat(timespec='seconds')}, which is yet to come: a "
        "clock that signed it was ahead, or the one here is behind. When the clock here is right, begin the "
        "next log: earwitness audit begin"
    )


def _check_tokens(
    walk: _Walk, folder: LogFolder, notes: Mapping[int, bytes], check_token: TokenCheck | None
) -> int:
    tokens = folder.tokens()
    for size, token in tokens.items():
        if size not in notes:
            raise walk.broken(f"a time stamp is of a checkpoint {size} that is not there", size)
        if check_token is None:
            continue
        try:
            check_token(token, notes[size])
        except VerificationFailed as error:
            raise walk.broken(f"the time stamp over checkpoint {size}: {error}", size) from error
    return len(tokens) if check_token is not None else 0
