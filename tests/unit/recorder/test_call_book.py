"""Signalling's journal: what it says stands after every crash, and what it destroyed never opens again."""

from __future__ import annotations

import dataclasses
import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from structlog.testing import capture_logs

from keys.errors import SealBroken
from recorder.call_book import CallBook, by_session, uid_of, wait_for_writers
from recorder.journal.format import JournalUnavailable
from recorder.journal.reader import read_states
from recorder.journal.slots import SLOT_BYTES
from recorder.journal.writer import FILE_AGE_S_MAX, JournalWriter
from recorder.state import CallState
from tests.unit.recorder.journal.written_call import STARTED_NS, Call, audio, fail_times
from tests.unit.recorder.shell import PlainRoot, call_state


@pytest.fixture
def book(tmp_path: Path) -> Iterator[CallBook]:
    made = CallBook(tmp_path / "journal", PlainRoot())
    yield made
    made.close()


@pytest.fixture
def crash(tmp_path: Path) -> Iterator[Restart]:
    made = Restart(tmp_path)
    yield made
    for book in made.books:
        book.close()


class Restart:
    """Kills a recorder: what stands on its disk at this instant is all that the next one has."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.books: list[CallBook] = []

    def __call__(self, book: CallBook) -> CallBook:
        left = self._directory / f"left-{len(self.books)}"
        shutil.copytree(book.journal_dir, left)
        self.books.append(CallBook(left, PlainRoot()))
        return self.books[-1]


def begin(book: CallBook, **changes: object) -> tuple[bytes, CallState]:
    """Begin a recording as signalling does: slot, then state."""
    state = call_state(**changes)
    uid = uid_of(state.recording_id)
    book.open(uid, state.started_ns)
    book.write(uid, state)
    return uid, state


def journal(book: CallBook) -> bytes:
    """Return all that stands in the journal files."""
    return b"".join(path.read_bytes() for path in sorted(book.journal_dir.rglob("*.journal")))


def file_of_capture(book: CallBook, name: str = "capture-0/epoch-00000001.journal") -> Path:
    path = book.journal_dir / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"audio")
    return path


def rotated(book: CallBook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a minute pass for signalling's own file, so that it is complete."""
    with monkeypatch.context() as patch:
        patch.setattr(book._writer, "_monotonic", lambda: time.monotonic() + FILE_AGE_S_MAX)
        book.rotate()
        book.sync()
        book.rotate()


def test_a_recording_is_known_by_the_octets_of_its_id() -> None:
    """Sixteen of them; the text form comes back from these."""
    assert uid_of("01999999-0000-7000-8000-0000000000ff") == bytes.fromhex("019999990000700080000000000000ff")


def test_the_newest_state_stands_after_a_crash(book: CallBook, crash: Restart) -> None:
    """Written, not even synced: what a process wrote survives the process."""
    uid, state = begin(book)
    newest = dataclasses.replace(state, flags=("on hold",))
    book.write(uid, newest)
    assert crash(book).recover() == {uid: newest}


def test_every_crash_finds_what_the_one_before_left(book: CallBook, crash: Restart) -> None:
    """A recording lives through any number of restarts until it is destroyed."""
    uid, state = begin(book)
    second = crash(book)
    assert second.recover() == {uid: state}
    later, other = begin(second)
    third = crash(second)
    assert third.recover() == {uid: state, later: other}
    third.destroy(uid)
    assert crash(third).recover() == {later: other}


def test_a_slot_without_a_state_is_freed_at_recovery(book: CallBook, crash: Restart) -> None:
    """The crash came between slot and state, before anybody was answered: there is no such call."""
    book.open(bytes(16), STARTED_NS)
    uid, state = begin(book)
    again = crash(book)
    assert again.recover() == {uid: state}
    assert not again.holds(bytes(16))
    assert set(crash(again).slots.live()) == {uid}


def test_a_slot_with_audio_but_without_a_state_keeps_its_key(book: CallBook, crash: Restart) -> None:
    """Its state was lost with a part of the disk: what was said is not destroyed over that, but told."""
    uid = bytes(range(16))
    writer = JournalWriter(book.journal_dir / "capture-0")
    writer.open()
    call = Call(writer, uid, book.open(uid, STARTED_NS))
    call.frame()
    with capture_logs() as logs:
        again = crash(book)
        assert again.recover() == {}
    writer.close()
    assert [entry["uid"] for entry in logs] == [uid.hex()]
    assert audio(again.journal_dir, call) == call.sent
    assert again.key_of(uid) == call.key


def test_a_torn_slot_is_a_free_one(book: CallBook, crash: Restart) -> None:
    """Its allocation was never acknowledged; the others are read."""
    uid, state = begin(book)
    torn, _ = begin(book)
    slots = book.journal_dir / "slots"
    content = bytearray(slots.read_bytes())
    second = next(at for at in range(0, len(content), SLOT_BYTES) if torn in content[at : at + SLOT_BYTES])
    content[second + 60 : second + SLOT_BYTES] = bytes(SLOT_BYTES - 60)
    slots.write_bytes(content)
    assert crash(book).recover() == {uid: state}


def test_a_destroyed_recording_is_never_written_again(book: CallBook, crash: Restart) -> None:
    """Its key and slot are gone, and a state that comes late goes nowhere."""
    uid, state = begin(book)
    key = book.key_of(uid)
    book.destroy(uid)
    before = journal(book)
    book.write(uid, state)
    book.sync()
    assert journal(book) == before
    assert not book.holds(uid)
    with pytest.raises(KeyError):
        book.key_of(uid)
    again = crash(book)
    assert again.recover() == {}
    assert uid not in (again.journal_dir / "slots").read_bytes()
    assert key not in (again.journal_dir / "slots").read_bytes()


def test_what_may_not_exist_is_gone_for_good_when_destroying_returns(
    book: CallBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut a moment later does not bring it back: a disk that can't promise that is an error."""
    uid, _ = begin(book)
    fail_times("fdatasync", 1, monkeypatch)
    with pytest.raises(JournalUnavailable):
        book.destroy(uid)


def test_an_archived_recording_is_released_without_waiting_for_the_disk(
    book: CallBook, crash: Restart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut would only archive it once more; its files go with the next sync."""
    uid, _ = begin(book)
    path = file_of_capture(book)
    book.file_closed("capture-0/epoch-00000001.journal", frozenset({uid}))
    with monkeypatch.context() as patch:
        fail_times("fdatasync", 1, patch)
        book.release(uid)
    assert path.exists()
    assert not book.holds(uid)
    assert crash(book).recover() == {}
    book.sync()
    assert not path.exists()


@pytest.mark.parametrize("end", [CallBook.destroy, CallBook.release])
def test_ending_a_recording_twice_is_no_error(book: CallBook, end: Callable[[CallBook, bytes], None]) -> None:
    """The archive was faster, or the call was never one."""
    uid, _ = begin(book)
    end(book, uid)
    end(book, uid)
    end(book, bytes(16))


def test_every_recording_has_a_key_of_its_own(book: CallBook) -> None:
    """32 octets by chance; one key opens nothing of another call."""
    first, _ = begin(book)
    second, _ = begin(book)
    keys = {book.key_of(first), book.key_of(second)}
    assert [len(key) for key in keys] == [32, 32]
    assert read_states(book.journal_dir, {first: book.key_of(second)}) == {}


def test_keys_and_numbers_stand_in_no_file_in_the_clear(book: CallBook) -> None:
    """What the disk holds is sealed, and the directory is ours alone."""
    uid, state = begin(book)
    book.sync()
    content = b"".join(path.read_bytes() for path in book.journal_dir.rglob("*") if path.is_file())
    assert book.key_of(uid) not in content
    assert book.node_key not in content
    assert state.dialog.call_id.encode() not in content
    assert book.journal_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("blob", [b'{"version": 99}', b"not json", b'{"version": 1}'])
def test_a_state_that_can_t_be_read_stays_for_its_release_and_stops_nobody(
    book: CallBook, crash: Restart, blob: bytes
) -> None:
    """A downgrade: the other calls go on, this one keeps its slot and is said in the log."""
    uid, state = begin(book)
    strange, _ = begin(book)
    book._writer.append_state(strange, book.key_of(strange), blob)
    book._writer.commit()
    with capture_logs() as logs:
        again = crash(book)
        assert again.recover() == {uid: state}
    assert [entry["uid"] for entry in logs] == [strange.hex()]
    assert again.holds(strange)


def test_a_file_goes_when_the_last_recording_in_it_is_destroyed(book: CallBook) -> None:
    """And not before: one that is still to be archived needs all of it."""
    first, _ = begin(book)
    second, _ = begin(book)
    path = file_of_capture(book)
    book.file_closed("capture-0/epoch-00000001.journal", frozenset({first, second}))
    book.destroy(first)
    book.sync()
    assert path.exists()
    book.destroy(second)
    book.sync()
    assert not path.exists()


def test_a_file_goes_only_after_the_slot_was_overwritten_for_good(
    book: CallBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut could bring back a recording without its audio."""
    uid, _ = begin(book)
    path = file_of_capture(book)
    book.file_closed("capture-0/epoch-00000001.journal", frozenset({uid}))
    book.release(uid)
    with monkeypatch.context() as patch:
        fail_times("fdatasync", 1, patch)
        with pytest.raises(JournalUnavailable):
            book.sync()
    assert path.exists()
    book.sync()
    assert not path.exists()


def test_a_file_of_no_live_recording_goes_at_once(book: CallBook) -> None:
    """All its calls were archived before it was complete."""
    path = file_of_capture(book)
    book.file_closed("capture-0/epoch-00000001.journal", frozenset({b"destroyed before"}))
    book.sync()
    assert not path.exists()
    book.file_closed("capture-0/epoch-00000001.journal", frozenset())
    book.sync()


def test_signalling_s_own_file_stays_while_a_state_in_it_is_the_newest(
    book: CallBook, crash: Restart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call of hours writes no state for hours."""
    uid, state = begin(book)
    rotated(book, monkeypatch)
    assert len(list(book.journal_dir.glob("signalling/*.journal"))) == 2
    assert crash(book).recover() == {uid: state}
    book.destroy(uid)
    book.sync()
    assert len(list(book.journal_dir.glob("signalling/*.journal"))) == 1


def test_files_of_before_a_restart_go_with_their_last_recording(book: CallBook, crash: Restart) -> None:
    """At once those that nobody needs, later the others."""
    gone, _ = begin(book)
    again = crash(book)
    again.recover()
    uid, _ = begin(again)
    third = crash(again)
    third.recover()
    names = {path.name for path in third.journal_dir.glob("signalling/*.journal")}
    third.destroy(gone)
    third.destroy(uid)
    third.sync()
    left = {path.name for path in third.journal_dir.glob("signalling/*.journal")}
    assert len(names) == 3
    assert left == {max(names)}


def test_a_file_without_even_a_header_goes_at_a_restart(book: CallBook, crash: Restart) -> None:
    """Its writer died between making and beginning it; one that somebody else wrote is left alone."""
    foreign = "capture-0/epoch-00000002.journal"
    path = file_of_capture(book)
    path.write_bytes(b"")
    file_of_capture(book, foreign).write_bytes(b"something else altogether")
    again = crash(book)
    again.recover()
    again.sync()
    assert not (again.journal_dir / "capture-0" / path.name).exists()
    assert (again.journal_dir / foreign).exists()


def test_files_of_a_writer_that_died_are_found_until_they_are_noted(book: CallBook) -> None:
    """Its successor's files are asked for before it begins one; other writers' are not meant."""
    uid, _ = begin(book)
    writer = JournalWriter(book.journal_dir / "capture-1")
    writer.open()
    call = Call(writer, uid, book.key_of(uid))
    call.frame()
    writer.sync()
    other = JournalWriter(book.journal_dir / "capture-10")
    other.open()
    other.close()
    [name] = book.files_of("capture-1")
    assert book.read_files([name]) == {name: frozenset({uid})}
    book.file_closed(name, frozenset({uid}))
    assert book.files_of("capture-1") == []
    writer.close()


def test_a_cut_destroys_the_audio_from_a_moment_on(book: CallBook, crash: Restart) -> None:
    """What came before opens under a new key, the old key opens no call any more, and a crash keeps it so."""
    uid, state = begin(book)
    old_key = book.key_of(uid)
    writer = JournalWriter(book.journal_dir / "capture-0")
    writer.open()
    call = Call(writer, uid, old_key)
    for _ in range(5):
        call.renew()
        call.frame()
    writer.sync()
    ended = dataclasses.replace(state, ended_ns=1, end_reason="media ended")
    book.cut(uid, STARTED_NS + 25 * 20_000_000, ended)
    again = crash(book)
    writer.close()
    assert again.recover() == {uid: ended}
    assert again.key_of(uid) != old_key
    call.key = again.key_of(uid)
    assert audio(again.journal_dir, call) == call.sent[:25]


def test_a_cut_of_a_destroyed_recording_is_refused(book: CallBook) -> None:
    """There is no key to cut under."""
    with pytest.raises(KeyError):
        book.cut(bytes(16), STARTED_NS, call_state())


# Calls set aside.


class Grace:
    """A call that has ended and may still be kept, beside a call that goes on."""

    def __init__(self, book: CallBook) -> None:
        self.book = book
        self.writer = JournalWriter(book.journal_dir / "capture-0")
        self.writer.open()
        self.uid, state = begin(book)
        self.other, _ = begin(book)
        self.call = Call(self.writer, self.uid, book.key_of(self.uid))
        self.neighbour = Call(self.writer, self.other, book.key_of(self.other))
        for _ in range(3):
            for call in (self.call, self.neighbour):
                call.renew()
                call.frame()
        self.state = dataclasses.replace(state, ended_ns=1, end_reason="hung up")
        book.write(self.uid, self.state)
        self.writer.sync()
        self.tails = self.writer.tails(self.uid)

    def rotate(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a minute pass for both writers, and all files be noted."""
        rotated(self.book, monkeypatch)
        with monkeypatch.context() as patch:
            patch.setattr(self.writer, "_monotonic", lambda: time.monotonic() + FILE_AGE_S_MAX)
            self.writer.commit()
            self.writer.sync()
        for closed in self.writer.take_closed():
            self.book.file_closed(closed.name, closed.uids)
        self.book.sync()

    def end_neighbour(self) -> None:
        self.book.release(self.other)
        self.book.sync()

    def heard(self, book: CallBook) -> list[bytes]:
        self.call.key = book.key_of(self.uid)
        return audio(book.journal_dir, self.call, book.tails_of(self.uid))

    def names(self, book: CallBook | None = None) -> set[str]:
        """Return all files but the locks, the node key and the slots."""
        directory = (book or self.book).journal_dir
        return {path.relative_to(directory).as_posix() for path in directory.glob("*/*") if path.suffix}


@pytest.fixture
def grace(book: CallBook) -> Iterator[Grace]:
    made = Grace(book)
    yield made
    made.writer.close()


CURRENT = {"capture-0/epoch-00000002.journal", "signalling/epoch-00000002.journal"}
OLD = {"capture-0/epoch-00000001.journal", "signalling/epoch-00000001.journal"}


@pytest.mark.parametrize("rotated_before", [False, True])
@pytest.mark.parametrize("told", [False, True])
def test_the_files_of_a_call_set_aside_go_with_its_neighbours(
    grace: Grace, crash: Restart, monkeypatch: pytest.MonkeyPatch, rotated_before: bool, told: bool
) -> None:
    """Whether they were complete when it was copied or not; then its own file is all it needs."""
    book = grace.book
    if rotated_before:
        grace.rotate(monkeypatch)
    assert book.tails_of(grace.uid) is None
    aside = book.copying(grace.uid, grace.tails if told else None)()
    assert book.adopt_aside(aside)
    if not rotated_before:
        grace.rotate(monkeypatch)
    book.sync()
    assert grace.names() > OLD, "the neighbour needs them"
    assert grace.heard(book) == grace.call.sent
    grace.end_neighbour()
    assert grace.names() == CURRENT | {aside.name}
    assert grace.heard(book) == grace.call.sent
    again = crash(book)
    assert again.recover() == {grace.uid: grace.state}
    assert again.tails_of(grace.uid) == {aside.name: 0}
    assert grace.heard(again) == grace.call.sent


@pytest.mark.parametrize("end", [CallBook.destroy, CallBook.release])
def test_the_copy_goes_with_its_call(grace: Grace, end: Callable[[CallBook, bytes], None]) -> None:
    """With the sync after the slot was overwritten."""
    book = grace.book
    aside = book.copying(grace.uid, grace.tails)()
    book.adopt_aside(aside)
    end(book, grace.uid)
    assert book.tails_of(grace.uid) is None
    book.sync()
    assert aside.name not in grace.names()
    with pytest.raises(KeyError):
        book.copying(grace.uid, grace.tails)


@pytest.mark.parametrize("adopted", [False, True])
def test_a_copy_that_nobody_needs_any_more_goes(grace: Grace, adopted: bool) -> None:
    """The call was kept, or gone, before the copy was complete; adopted or not, nothing is left over."""
    book = grace.book
    copying = book.copying(grace.uid, grace.tails)
    if adopted:
        book.destroy(grace.uid)
        book.sync()
        assert not book.adopt_aside(copying())
    else:
        copying()
        book.release(grace.uid)
    book.sync()
    assert not any(name.startswith("aside/") for name in grace.names())


def test_a_state_written_while_it_was_copied_is_kept(
    grace: Grace, crash: Restart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is needed on top of the copy."""
    book = grace.book
    aside = book.copying(grace.uid, grace.tails)()
    kept = dataclasses.replace(grace.state, kept=True, flags=("kept",))
    book.write(grace.uid, kept)
    assert book.adopt_aside(aside)
    grace.rotate(monkeypatch)
    grace.end_neighbour()
    assert grace.names() == CURRENT | {aside.name, "signalling/epoch-00000001.journal"}
    assert crash(book).recover() == {grace.uid: kept}


def test_a_state_written_after_it_was_adopted_is_kept(
    grace: Grace, crash: Restart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also through a restart, which must not take the state of the copy for the newest."""
    book = grace.book
    assert book.adopt_aside(book.copying(grace.uid, grace.tails)())
    kept = dataclasses.replace(grace.state, flags=("kept",))
    book.write(grace.uid, kept)
    grace.rotate(monkeypatch)
    grace.end_neighbour()
    again = crash(book)
    assert again.recover() == {grace.uid: kept}
    again.sync()
    third = crash(again)
    assert third.recover() == {grace.uid: kept}
    assert grace.heard(third) == grace.call.sent


def test_after_a_restart_only_the_copy_is_needed_still(
    grace: Grace, crash: Restart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adopted or not when the crash came: what was copied is copied."""
    grace.rotate(monkeypatch)
    aside = grace.book.copying(grace.uid, grace.tails)()
    again = crash(grace.book)
    assert set(again.recover()) == {grace.uid, grace.other}
    again.release(grace.other)
    again.sync()
    assert aside.name in grace.names(again)
    assert not OLD & grace.names(again)
    assert grace.heard(again) == grace.call.sent


def test_a_restart_removes_copies_of_no_call_and_those_not_complete(grace: Grace, crash: Restart) -> None:
    """Nothing is left for ever of a crash between two steps."""
    book = grace.book
    book.copying(grace.uid, grace.tails)()
    directory = book.journal_dir / "aside"
    for name in (f"{grace.uid.hex()}.draft", f"{bytes(16).hex()}.draft", f"{bytes(16).hex()}.journal"):
        (directory / name).write_bytes(b"EWJOURN1" + bytes(100))
    again = crash(book)
    again.recover()
    again.sync()
    assert [path.stem for path in (again.journal_dir / "aside").iterdir()] == [grace.uid.hex()]
    again.copying(grace.uid)()


def test_a_copy_that_a_crash_interrupted_is_made_anew_at_once(grace: Grace, crash: Restart) -> None:
    """Before the first sync, which must then not remove what is being written."""
    directory = grace.book.journal_dir / "aside"
    directory.mkdir()
    (directory / f"{grace.uid.hex()}.draft").write_bytes(b"half a copy")
    again = crash(grace.book)
    again.recover()
    aside = again.copying(grace.uid)()
    again.sync()
    assert again.adopt_aside(aside)
    assert grace.heard(again) == grace.call.sent


@pytest.mark.parametrize("when", ["while it is copied", "after it was copied", "after it was adopted"])
def test_a_call_set_aside_is_cut_like_any_other(
    grace: Grace, crash: Restart, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """What may not exist does not open from the copy either; the rest is read from wherever it stands."""
    book = grace.book
    copying = book.copying(grace.uid, grace.tails)
    grace.rotate(monkeypatch)

    def cut() -> None:
        book.cut(grace.uid, STARTED_NS + 15 * 20_000_000, grace.state)

    if when == "while it is copied":
        cut()
    aside = copying()
    if when == "after it was copied":
        cut()
    assert book.adopt_aside(aside) == (when == "after it was adopted")
    if when == "after it was adopted":
        grace.end_neighbour()
        cut()
    grace.end_neighbour()
    grace.rotate(monkeypatch)
    assert book.tails_of(grace.uid) is None
    assert grace.heard(book) == grace.call.sent[:15]
    again = crash(book)
    assert again.recover() == {grace.uid: grace.state}
    again.sync()
    assert grace.heard(again) == grace.call.sent[:15]
    assert again.tails_of(grace.uid) is None
    again.destroy(grace.uid)
    again.sync()
    assert not any(name.startswith("aside/") for name in grace.names(again))


def test_a_call_of_before_a_restart_is_set_aside_by_a_search(
    grace: Grace, crash: Restart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell any more where its last frames are."""
    again = crash(grace.book)
    again.recover()
    assert again.adopt_aside(again.copying(grace.uid)())
    again.release(grace.other)
    again.sync()
    assert not OLD & grace.names(again)
    assert grace.heard(again) == grace.call.sent


def test_a_call_is_set_aside_again_from_its_copy(grace: Grace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What TrackClosed told then names files that are gone."""
    book = grace.book
    assert book.adopt_aside(book.copying(grace.uid, grace.tails)())
    grace.rotate(monkeypatch)
    grace.end_neighbour()
    assert not OLD & grace.names()
    assert book.adopt_aside(book.copying(grace.uid, grace.tails)())
    assert grace.heard(book) == grace.call.sent


def test_a_disk_without_room_leaves_a_call_where_it_is(grace: Grace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its neighbours' files stay a while longer, that is all."""
    with monkeypatch.context() as patch:
        fail_times("write", 1, patch)
        with pytest.raises(JournalUnavailable):
            grace.book.copying(grace.uid, grace.tails)()
    grace.rotate(monkeypatch)
    grace.end_neighbour()
    assert grace.names() == CURRENT | OLD
    assert grace.heard(grace.book) == grace.call.sent


def test_a_disk_that_fails_is_trouble_until_it_works_again(
    book: CallBook, crash: Restart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No state is lost over it: it is written again to a new file."""
    uid, state = begin(book)
    with monkeypatch.context() as patch:
        fail_times("writev", 1, patch)
        book.write(uid, dataclasses.replace(state, flags=("one",)))
    assert book.trouble is not None
    book.rotate()
    book.sync()
    assert crash(book).recover()[uid].flags == ("one",)
    book.write(uid, state)
    assert book.trouble is None


def test_a_second_recorder_on_the_same_journal_is_refused(book: CallBook) -> None:
    """Two would overwrite each other's slots."""
    with pytest.raises(JournalUnavailable, match="slots"):
        CallBook(book.journal_dir, PlainRoot())


def test_another_root_opens_nothing_and_changes_nothing(book: CallBook, tmp_path: Path) -> None:
    """The wrong keyring is a clear error, and the journal waits for the right one."""
    begin(book)
    book.sync()
    left = tmp_path / "left"
    shutil.copytree(book.journal_dir, left)
    before = (left / "slots").read_bytes()
    with pytest.raises(SealBroken):
        CallBook(left, PlainRoot(bytes(range(32))))
    assert (left / "slots").read_bytes() == before


def test_a_journal_that_nobody_writes_is_free_at_once(tmp_path: Path) -> None:
    """Also one that was never written."""
    wait_for_writers(tmp_path / "none", 0)
    _lock(tmp_path).close()
    wait_for_writers(tmp_path, 0)


def test_a_process_that_still_writes_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Capture writes its last second after its recorder was killed."""
    held = _lock(tmp_path)
    monkeypatch.setattr("recorder.call_book.time.sleep", lambda _: held.close())
    wait_for_writers(tmp_path, 10)
    assert held.closed


def test_a_process_that_goes_on_writing_is_named(tmp_path: Path) -> None:
    """After the wait the operator is told where it writes."""
    with _lock(tmp_path), pytest.raises(JournalUnavailable, match="capture-0"):
        wait_for_writers(tmp_path, 0)


def test_recordings_of_one_dialog_are_recovered_together() -> None:
    """A call of two recorded users has one dialog and two recordings."""
    one = call_state()
    two = call_state(session_id=one.session_id)
    other = call_state()
    states = {uid_of(state.recording_id): state for state in (one, two, other)}
    grouped = by_session(states)
    assert {key: list(found.values()) for key, found in grouped.items()} == {
        one.session_id: [one, two],
        other.session_id: [other],
    }


def _lock(journal_dir: Path) -> BinaryIO:
    """Write a journal as another process would."""
    directory = journal_dir / "capture-0"
    directory.mkdir(exist_ok=True)
    file = (directory / "lock").open("wb")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file
