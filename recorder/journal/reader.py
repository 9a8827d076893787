"""Reads the journal back: the states of all calls after a restart, the audio of one call.

A torn end is where a file ends; a damaged stretch is passed over and told to
`on_damage`, so that a gap is never silent. Frames that were written twice (a failed
sync) come once. What was sealed under a key that is gone is left out without a word:
that is what destroying a key means.

Rules: reads only; memory is one file's mapping and one record at a time. Files come
in the order of their making, signalling's after those of capture (only a cut puts
audio there, and it is the last that a call has). The file of a call set aside is for
that call alone, in the place of the oldest file it was copied from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recorder.journal import format as layout
from recorder.journal.aside import Ending, aside_name, read_ending
from recorder.journal.format import FILE_HEADER_BYTES, FILE_SUFFIX, SIGNALLING, FrameHead, FrameKind
from recorder.journal.segment import (
    AudioRecord,
    SealError,
    SegmentKey,
    audio_head,
    open_audio,
    open_state,
    unwrap_segment_key,
)

Damage = Callable[[str, int], None]
_UNIQUE = slice(0, 20)  # segment id, stream and counter: never the same for two records

__all__ = [
    "AudioRecord",
    "copied_files",
    "file_names",
    "frames_of",
    "mapped",
    "newest_state",
    "read_asides",
    "read_call",
    "read_call_by_segment",
    "read_states",
    "scan_files",
    "segment_keys",
    "writer_of",
]


def scan_files(journal_dir: Path) -> dict[str, frozenset[bytes]]:
    """Return which calls stand in each file of all calls, by its name relative to `journal_dir`."""
    found: dict[str, frozenset[bytes]] = {}
    for name in (*_headless(journal_dir), *file_names(journal_dir)):
        with mapped(journal_dir / name) as content:
            found[name] = frozenset(layout.tails(content)) if content else frozenset()
    return found


def _headless(journal_dir: Path) -> Iterator[str]:
    """Yield the files whose writer died between making and beginning them; no call stands in one."""
    for path in journal_dir.glob(f"*/epoch-*{FILE_SUFFIX}"):
        with suppress(FileNotFoundError):
            if path.stat().st_size < FILE_HEADER_BYTES:
                yield path.relative_to(journal_dir).as_posix()


def read_states(
    journal_dir: Path, calls: Mapping[bytes, bytes], asides: Mapping[bytes, Ending] | None = None
) -> dict[bytes, bytes]:
    """Return the newest state of each call whose key is in `calls` (uid to call key).

    `asides` is what `read_asides` gave for them, if it was asked already.
    """
    ciphers = {uid: AESGCM(key) for uid, key in calls.items()}
    asides = read_asides(journal_dir, calls) if asides is None else asides
    found: dict[bytes, bytes] = {}
    names = [name for name in file_names(journal_dir) if writer_of(name) == SIGNALLING]
    for name in reversed(names):
        with mapped(journal_dir / name) as content:
            if content is None:
                continue
            for uid, tail in layout.tails(content).items():
                state = None
                if uid in ciphers and uid not in found:
                    after = _copied_to(asides.get(uid), name, content)
                    heads = [head for head in frames_of(name, content, uid, tail) if head.offset > after]
                    state = newest_state(content, heads, ciphers[uid])
                if state is not None:
                    found[uid] = state
    return {uid: aside.state for uid, aside in asides.items()} | found


def read_asides(journal_dir: Path, calls: Mapping[bytes, bytes]) -> dict[bytes, Ending]:
    """Return how the file ends of each call in `calls` (uid to call key) that was set aside under its key."""
    found: dict[bytes, Ending] = {}
    for uid, key in calls.items():
        with mapped(journal_dir / aside_name(uid)) as content:
            tail = layout.tails(content).get(uid, 0) if content is not None else 0
            ending = read_ending(content, tail, uid, key) if content is not None else None
        if ending is not None:
            found[uid] = ending
    return found


def copied_files(journal_dir: Path, asides: Mapping[bytes, Ending]) -> dict[bytes, dict[str, int]]:
    """Return, for each call set aside, the files that are there and hold nothing more of it than was copied.

    A file comes with the offset of the call's last frame in it.
    """
    by_name: dict[str, list[bytes]] = {}
    for uid, aside in asides.items():
        for name in aside.copied:
            by_name.setdefault(name, []).append(uid)
    found: dict[bytes, dict[str, int]] = {uid: {} for uid in asides}
    for name, uids in by_name.items():
        with mapped(journal_dir / name) as content:
            if content is None:
                continue
            tails = layout.tails(content)
            for uid in uids:
                if tails.get(uid) == _copied_to(asides[uid], name, content):
                    found[uid][name] = tails[uid]
    return found


def _copied_to(aside: Ending | None, name: str, content: layout.Buffer) -> int:
    """Return the offset of the last frame that was copied from a file, 0 when nothing of it was."""
    copied = aside.copied.get(name) if aside is not None else None
    # A name may come again after all files of a writer were lost; the time of its making does not.
    return copied.tail if copied is not None and copied.begun_ns == layout.created_ns(content) else 0


def read_call(
    journal_dir: Path,
    uid: bytes,
    call_key: bytes,
    tails: Mapping[str, int] | None = None,
    on_damage: Damage | None = None,
) -> Iterator[AudioRecord]:
    """Return the audio of a call in the order in which it was written.

    With `tails` (of TrackClosed) only those files are read, each from that offset back
    (0: its last frame is looked up); without, all are searched: after a crash, and after
    a cut. `on_damage` is called with file and offset of what should be there and is not,
    or does not open.
    """
    for _, record in read_call_by_segment(journal_dir, uid, call_key, tails, on_damage):
        yield record


def read_call_by_segment(
    journal_dir: Path,
    uid: bytes,
    call_key: bytes,
    tails: Mapping[str, int] | None = None,
    on_damage: Damage | None = None,
) -> Iterator[tuple[bytes, AudioRecord]]:
    """Do as `read_call`, with the id of the segment each record stands in."""
    present = file_names(journal_dir, uid)
    missing = set(tails or ()).difference(present)
    if missing and aside_name(uid) in present:
        # What is missing was copied there since `tails` was told, and went.
        tails, missing = None, set()
    for name in missing:
        _tell(on_damage, name, 0)
    found: list[tuple[str, list[FrameHead]]] = []
    keys: dict[bytes, SegmentKey] = {}
    for name in present:
        if tails is not None and name not in tails:
            continue
        with mapped(journal_dir / name) as content:
            if content is None:
                continue
            heads = frames_of(name, content, uid, tails[name] if tails else 0, on_damage)
            keys |= _segment_keys(content, heads, AESGCM(call_key))
            found.append((name, [head for head in heads if head.kind == FrameKind.AUDIO]))
    ciphers = {segment_id: AESGCM(segment.key) for segment_id, segment in keys.items()}
    records = _Records(ciphers, on_damage)
    for name, heads in found:
        with mapped(journal_dir / name) as content:
            if content is not None:
                yield from records.of(name, content, heads)


def segment_keys(journal_dir: Path, uid: bytes, call_key: bytes) -> dict[bytes, SegmentKey]:
    """Return every segment key of a call that opens under its call key, by segment id."""
    keys: dict[bytes, SegmentKey] = {}
    for name in file_names(journal_dir, uid):
        with mapped(journal_dir / name) as content:
            if content is not None:
                keys |= _segment_keys(content, frames_of(name, content, uid), AESGCM(call_key))
    return keys


def file_names(journal_dir: Path, uid: bytes | None = None) -> list[str]:
    """Return the journal files in reading order, relative to `journal_dir`.

    These are the files of all calls; with `uid` that call's own is among them if it was set aside.
    """
    found: list[tuple[bool, int, str]] = []
    paths = list(journal_dir.glob(f"*/epoch-*{FILE_SUFFIX}"))
    if uid is not None:
        paths.append(journal_dir / aside_name(uid))
    for path in paths:
        try:
            with path.open("rb") as file:
                begun = layout.created_ns(file.read(FILE_HEADER_BYTES))
        except FileNotFoundError:
            continue  # no live call needed it, and it went while we looked
        name = path.relative_to(journal_dir).as_posix()
        if begun is not None:
            found.append((writer_of(name) == SIGNALLING, begun, name))
    return [name for _, _, name in sorted(found)]


def writer_of(name: str) -> str:
    """Return whose file it is: `signalling`, `capture-N` or `aside`."""
    return name.partition("/")[0]


@contextmanager
def mapped(path: Path) -> Iterator[mmap | None]:
    """Map a file, or give None when it is gone or holds nothing."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        if file.seek(0, 2) <= FILE_HEADER_BYTES:
            yield None
            return
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            yield content


def frames_of(
    name: str, content: mmap, uid: bytes, tail: int = 0, on_damage: Damage | None = None
) -> list[FrameHead]:
    """Return the frames of a call in a file, by its chain, or by walking the file where that is broken."""
    tail = tail or layout.tails(content).get(uid, 0)
    chain = layout.follow(content, tail, uid)
    if chain is not None:
        return chain
    _tell(on_damage, name, tail)
    return [head for head in layout.scan(content) if head.uid == uid]


def _tell(on_damage: Damage | None, name: str, offset: int) -> None:
    if on_damage is not None:
        on_damage(name, offset)


def _segment_keys(content: mmap, heads: list[FrameHead], cipher: AESGCM) -> dict[bytes, SegmentKey]:
    keys: dict[bytes, SegmentKey] = {}
    for head in heads:
        if head.kind == FrameKind.SEGMENT_KEY:
            segment = unwrap_segment_key(cipher, head.uid, content[head.body])
            if segment is not None:
                keys[segment.segment_id] = segment
    return keys


def newest_state(content: mmap, heads: list[FrameHead], cipher: AESGCM) -> bytes | None:
    """Return the newest state among `heads` of one call that opens under the call key's `cipher`."""
    for head in reversed(heads):
        if head.kind == FrameKind.STATE:
            state = open_state(cipher, head.uid, content[head.body])
            if state is not None:
                return state
    return None


class _Records:
    """The opened records of a call, each once."""

    def __init__(self, ciphers: Mapping[bytes, AESGCM], on_damage: Damage | None) -> None:
        self._ciphers = ciphers
        self._on_damage = on_damage
        self._seen: set[bytes] = set()

    def of(self, name: str, content: mmap, heads: list[FrameHead]) -> Iterator[tuple[bytes, AudioRecord]]:
        """Open the AUDIO frames of one file."""
        for head in heads:
            body = content[head.body]
            if body[_UNIQUE] in self._seen:
                continue
            try:
                facts = audio_head(body)
                cipher = self._ciphers.get(facts.segment_id)
                if cipher is None:
                    continue
                record = open_audio(cipher, head.uid, body, facts)
            except SealError:
                _tell(self._on_damage, name, head.offset)
                continue
            self._seen.add(body[_UNIQUE])
            yield facts.segment_id, record
