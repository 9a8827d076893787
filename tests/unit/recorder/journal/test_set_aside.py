"""A call set aside is read from its own file alone, wherever the process ended; damage and full disks change nothing."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from recorder.journal import set_aside as copying
from recorder.journal.aside import DRAFT_SUFFIX, Copied, aside_name, draft_name, read_ending, seal_copied
from recorder.journal.cut import cut
from recorder.journal.format import FrameKind, JournalError, JournalUnavailable, read_head
from recorder.journal.reader import (
    copied_files,
    file_names,
    mapped,
    read_asides,
    read_call,
    read_states,
    scan_files,
    segment_keys,
)
from recorder.journal.segment import seal_state
from recorder.journal.set_aside import Aside, set_aside
from recorder.journal.slots import SlotsFile
from recorder.journal.writer import FILE_AGE_S_MAX, JournalWriter
from tests.unit.recorder.journal.written_call import STARTED_NS, Call, StillClock, audio, fail_times

PACKET_NS = 20_000_000
STATE = b'{"ended": true}'
FIRST, SECOND = "capture-0/epoch-00000001.journal", "capture-0/epoch-00000002.journal"
OLD, CURRENT = "signalling/epoch-00000001.journal", "signalling/epoch-00000002.journal"


@dataclass
class Recorded:
    """An ended call of 120 packets in two files of capture, with a neighbour, and its state."""

    directory: Path
    call: Call
    neighbour: Call
    signalling: JournalWriter

    def set_aside(self, tails: dict[str, int] | None = None) -> Aside:
        return set_aside(self.directory, self.call.uid, self.call.key, tails)

    def tails(self) -> dict[str, int]:
        """As CallBook.copying puts them together."""
        return self.call.writer.tails(self.call.uid) | self.signalling.tails(self.call.uid)

    def write(self, state: bytes) -> None:
        self.signalling.append_state(self.call.uid, self.call.key, state)
        self.signalling.commit()

    def states(self) -> dict[bytes, bytes]:
        return read_states(self.directory, {self.call.uid: self.call.key})

    def read(self) -> list[bytes]:
        return audio(self.directory, self.call)

    def aside(self) -> Path:
        return self.directory / aside_name(self.call.uid)

    def drop_others(self) -> None:
        """Remove every file but the copy."""
        for name in file_names(self.directory):
            (self.directory / name).unlink()


@pytest.fixture
def recorded(
    journal_dir: Path, signalling: JournalWriter, clock: StillClock, call: Call, neighbour: Call
) -> Recorded:
    made = Recorded(journal_dir, call, neighbour, signalling)
    made.write(b"begun")
    for number in range(12):
        if number % 3 == 0:
            call.renew()
            neighbour.renew()
        call.frame()
        neighbour.frame(2)
        if number == 7:
            clock.elapsed += FILE_AGE_S_MAX
    call.writer.sync()
    made.write(b"on hold")
    made.write(STATE)
    signalling.sync()
    return made


@pytest.mark.parametrize("told", [False, True])
def test_the_copy_alone_is_the_whole_call(recorded: Recorded, told: bool) -> None:
    """Its packets in order and its newest state; nothing of the neighbour, and nobody is locked out."""
    aside = recorded.set_aside(recorded.tails() if told else None)
    assert set(aside.copied) == {FIRST, SECOND, OLD, CURRENT}
    recorded.drop_others()
    assert recorded.read() == recorded.call.sent
    assert audio(recorded.directory, recorded.call, {aside.name: 0}) == recorded.call.sent
    assert recorded.states() == {recorded.call.uid: STATE}
    assert audio(recorded.directory, recorded.neighbour) == []
    assert recorded.neighbour.uid not in recorded.aside().read_bytes()
    assert recorded.aside().stat().st_mode & 0o777 == 0o600
    assert recorded.aside().parent.stat().st_mode & 0o777 == 0o700


def test_with_the_files_it_was_copied_from_every_packet_comes_once(recorded: Recorded) -> None:
    """A crash left both; or some files stay for their neighbours."""
    recorded.set_aside()
    assert recorded.read() == recorded.call.sent
    (recorded.directory / FIRST).unlink()
    assert recorded.read() == recorded.call.sent
    assert audio(recorded.directory, recorded.neighbour) == recorded.neighbour.sent[18:]


def test_no_audio_is_opened_and_the_copy_holds_none_in_the_clear(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever memory or disk the copying uses, there is nothing in it to hear."""

    def refused(*_: object) -> object:
        raise AssertionError("audio was opened")

    with monkeypatch.context() as patch:
        patch.setattr("recorder.journal.reader.open_audio", refused)
        recorded.set_aside()
    content = recorded.aside().read_bytes()
    assert not any(packet in content for packet in recorded.call.sent)
    assert recorded.call.key not in content
    assert "call_key" not in repr(recorded.set_aside())


def test_files_of_all_calls_are_told_without_the_copies(recorded: Recorded) -> None:
    """Thousands of calls may wait in their grace: reading one must not open them all."""
    before = file_names(recorded.directory)
    name = recorded.set_aside().name
    assert file_names(recorded.directory) == before
    assert set(scan_files(recorded.directory)) == set(before)
    assert file_names(recorded.directory, recorded.neighbour.uid) == before
    assert file_names(recorded.directory, recorded.call.uid)[0] == name


def test_tails_of_before_are_forgiven_when_their_files_went(recorded: Recorded) -> None:
    """What they named was copied; without a copy a missing file is damage."""
    tails = recorded.call.writer.tails(recorded.call.uid)
    recorded.set_aside()
    (recorded.directory / FIRST).unlink()
    assert audio(recorded.directory, recorded.call, tails) == recorded.call.sent
    recorded.aside().unlink()
    damage: list[tuple[str, int]] = []
    list(
        read_call(
            recorded.directory,
            recorded.call.uid,
            recorded.call.key,
            tails,
            lambda *place: damage.append(place),
        )
    )
    assert damage == [(FIRST, 0)]


# States.


def test_a_state_written_later_is_the_newest(recorded: Recorded, clock: StillClock) -> None:
    """In the very file that was copied, and in one that came after it."""
    recorded.set_aside()
    recorded.write(b"kept")
    assert recorded.signalling.tails(recorded.call.uid).keys() == {OLD, CURRENT}
    assert recorded.states() == {recorded.call.uid: b"kept"}
    clock.elapsed += FILE_AGE_S_MAX
    recorded.signalling.commit()
    recorded.write(b"archived soon")
    assert recorded.signalling.tails(recorded.call.uid).keys() > {OLD, CURRENT}
    assert recorded.states() == {recorded.call.uid: b"archived soon"}


def test_an_older_state_that_a_neighbour_keeps_alive_is_not_the_newest(
    recorded: Recorded, clock: StillClock
) -> None:
    """The file with the end of the call went, an older one with its beginning did not."""
    clock.elapsed += FILE_AGE_S_MAX
    recorded.signalling.commit()
    recorded.write(b"ended at last")
    newest = max(recorded.signalling.tails(recorded.call.uid))
    recorded.set_aside()
    (recorded.directory / newest).unlink()
    assert recorded.states() == {recorded.call.uid: b"ended at last"}


def test_a_name_that_comes_again_is_another_file(recorded: Recorded) -> None:
    """A writer whose files were all lost begins at 1 again: what stands there now was never copied."""
    recorded.set_aside()
    directory = recorded.directory / "signalling"
    shutil.rmtree(directory)
    clock = StillClock(STARTED_NS + 10**12)
    again = JournalWriter(directory, wall_ns=clock.wall_ns, monotonic=clock.monotonic)
    again.open()
    again.append_state(recorded.call.uid, recorded.call.key, b"newer")
    again.commit()
    assert recorded.states() == {recorded.call.uid: b"newer"}
    asides = read_asides(recorded.directory, {recorded.call.uid: recorded.call.key})
    assert set(copied_files(recorded.directory, asides)[recorded.call.uid]) == {FIRST, SECOND}
    again.close()


def test_a_call_without_a_state_is_not_set_aside(recorded: Recorded) -> None:
    """Nobody could go on with it after a restart."""
    for told in (None, recorded.neighbour.writer.tails(recorded.neighbour.uid)):
        with pytest.raises(JournalError, match="state"):
            set_aside(recorded.directory, recorded.neighbour.uid, recorded.neighbour.key, told)
    assert list((recorded.directory / "aside").glob("*")) == []


def test_files_with_more_than_was_copied_are_told_from_the_others(recorded: Recorded) -> None:
    """Only where nothing came after the copy, the copy stands for the file."""
    recorded.set_aside()
    keys = {recorded.call.uid: recorded.call.key}
    asides = read_asides(recorded.directory, keys)
    assert set(copied_files(recorded.directory, asides)[recorded.call.uid]) == {FIRST, SECOND, OLD, CURRENT}
    recorded.write(b"kept")
    assert set(copied_files(recorded.directory, asides)[recorded.call.uid]) == {FIRST, SECOND, OLD}
    (recorded.directory / FIRST).unlink()
    (recorded.directory / OLD).unlink()
    assert copied_files(recorded.directory, asides) == {
        recorded.call.uid: {SECOND: asides[recorded.call.uid].copied[SECOND].tail}
    }


# Again, cut, destroyed.


def test_a_call_can_be_set_aside_again(recorded: Recorded) -> None:
    """From its copy and what came since; the copy does not grow by what it holds already."""
    recorded.set_aside()
    size = recorded.aside().stat().st_size
    recorded.write(b"later")
    recorded.set_aside()
    assert recorded.aside().stat().st_size < size + 200
    recorded.drop_others()
    recorded.set_aside()
    assert recorded.read() == recorded.call.sent
    assert recorded.states() == {recorded.call.uid: b"later"}


@pytest.mark.parametrize("packet", [0, 45, 60])
@pytest.mark.parametrize("others_went", [False, True])
def test_a_call_set_aside_can_be_cut_and_set_aside_again(
    recorded: Recorded, packet: int, others_went: bool
) -> None:
    """What was cut does not open from the copy either, and a new copy does not even hold it."""
    slots = SlotsFile(recorded.directory / "slots", bytes(32))
    slots.open()
    slots.allocate(recorded.call.uid, recorded.call.key, 0)
    recorded.set_aside()
    if others_went:
        (recorded.directory / FIRST).unlink()
        (recorded.directory / SECOND).unlink()
    size, call = recorded.aside().stat().st_size, recorded.call
    at_ns = STARTED_NS + packet * PACKET_NS
    call.key = cut(recorded.directory, slots, recorded.signalling, call.uid, call.key, at_ns, b"cut")
    assert recorded.read() == call.sent[:packet]
    assert read_asides(recorded.directory, {call.uid: call.key}) == {}
    recorded.set_aside()
    assert recorded.aside().stat().st_size < size * (packet + 20) / 120
    recorded.drop_others()
    assert recorded.read() == call.sent[:packet]
    assert recorded.states() == {call.uid: b"cut"}
    slots.close()


def test_under_another_key_the_copy_says_nothing(recorded: Recorded) -> None:
    """Else a copy of after a cut could stand for files of before it, when the cut itself was lost in a crash."""
    recorded.set_aside()
    assert read_asides(recorded.directory, {recorded.call.uid: bytes(32)}) == {}
    assert read_asides(recorded.directory, {recorded.neighbour.uid: recorded.neighbour.key}) == {}
    assert segment_keys(recorded.directory, recorded.call.uid, bytes(32)) == {}


# Damage.


@pytest.mark.parametrize("told", [False, True])
def test_a_call_with_a_damaged_frame_stays_where_it_is(recorded: Recorded, told: bool) -> None:
    """A copy of what is left would hide that something is missing."""
    path = recorded.directory / SECOND
    content = bytearray(path.read_bytes())
    tails = recorded.tails()
    last = read_head(bytes(content), tails[SECOND])
    assert last is not None
    content[last.previous + 20] ^= 1
    path.write_bytes(content)
    with pytest.raises(JournalError, match=SECOND):
        recorded.set_aside(tails if told else None)
    assert not list((recorded.directory / "aside").glob("*"))


def test_a_missing_file_that_should_be_there_is_damage(recorded: Recorded) -> None:
    """Told by its tail; a call that goes while it is copied ends the copying the same way."""
    tails = recorded.tails()
    (recorded.directory / FIRST).unlink()
    with pytest.raises(JournalError, match=FIRST):
        recorded.set_aside(tails)


def test_audio_that_the_disk_altered_is_told_when_the_copy_is_read(recorded: Recorded) -> None:
    """Nothing is opened while it is copied, so nothing can be known then."""
    path = recorded.directory / FIRST
    content = bytearray(path.read_bytes())
    tail = recorded.tails()[FIRST]
    content[tail + 200] ^= 1
    path.write_bytes(content)
    aside = recorded.set_aside()
    recorded.drop_others()
    damage: list[tuple[str, int]] = []
    call = recorded.call
    told = read_call(recorded.directory, call.uid, call.key, None, lambda *place: damage.append(place))
    assert sum(len(record.rows) for record in told) == 110
    assert [name for name, _ in damage] == [aside.name]


def test_of_a_frame_that_stands_twice_the_whole_one_survives(
    recorded: Recorded, journal_dir: Path, clock: StillClock
) -> None:
    """Written again after a failed sync: one of the two may be what the disk made of it."""
    shutil.copytree(journal_dir / "capture-0", journal_dir / "capture-1")
    path = journal_dir / FIRST
    content = bytearray(path.read_bytes())
    content[recorded.tails()[FIRST] + 200] ^= 1
    path.write_bytes(content)
    recorded.set_aside()
    recorded.drop_others()
    damage: list[tuple[str, int]] = []
    records = read_call(
        journal_dir, recorded.call.uid, recorded.call.key, None, lambda *place: damage.append(place)
    )
    assert sum(len(record.rows) for record in records) == 120
    assert len(damage) == 1


# The disk.


class PowerCutError(Exception):
    """The process ended here."""


def stop_after(effects: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the process end instead of its effect number `effects`; returns the effects there were."""
    seen: list[str] = []

    def guard(name: str) -> None:
        real: Callable[..., object] = getattr(os, name)

        def counted(*arguments: object, **named: object) -> object:
            if len(seen) >= effects:
                raise PowerCutError
            seen.append(name)
            return real(*arguments, **named)

        monkeypatch.setattr(os, name, counted)

    for name in ("write", "fdatasync", "fsync", "replace"):
        guard(name)
    return seen


EFFECTS = ["fsync", "write", "fdatasync", "replace", "fsync"]


@pytest.mark.parametrize("effects", range(len(EFFECTS) + 1))
def test_wherever_it_stops_nothing_is_lost_or_doubled_and_it_can_be_done_again(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, effects: int
) -> None:
    """Directory synced, written, synced, named, the name synced: the name comes after what it stands for."""
    with monkeypatch.context() as patch:
        seen = stop_after(effects, patch)
        try:
            recorded.set_aside()
            complete = True
        except PowerCutError:
            complete = False
    assert complete == (effects == len(EFFECTS))
    assert seen == EFFECTS[:effects]
    assert recorded.aside().exists() == (effects >= 4)
    assert recorded.read() == recorded.call.sent
    assert recorded.states() == {recorded.call.uid: STATE}
    # As recovery does; a process that lives removes its own.
    (recorded.directory / draft_name(recorded.call.uid)).unlink(missing_ok=True)
    recorded.set_aside()
    recorded.drop_others()
    assert recorded.read() == recorded.call.sent


@pytest.mark.parametrize("failing", ["write", "fdatasync", "replace", "fsync"])
def test_a_disk_that_does_not_take_the_copy_changes_nothing(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """The files it stands in stay as they are, and no draft is left behind."""
    before = {name: (recorded.directory / name).read_bytes() for name in file_names(recorded.directory)}
    with monkeypatch.context() as patch:
        fail_times(failing, 1, patch)
        with pytest.raises(JournalUnavailable, match="No space left"):
            recorded.set_aside()
    assert not list(recorded.directory.glob(f"aside/*{DRAFT_SUFFIX}"))
    assert {
        name: (recorded.directory / name).read_bytes() for name in file_names(recorded.directory)
    } == before
    assert recorded.read() == recorded.call.sent
    recorded.set_aside()
    assert recorded.aside().exists()


def test_a_disk_that_is_full_in_the_middle_leaves_no_draft(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system itself refuses here, after it took a part."""
    monkeypatch.setattr(copying, "_WRITE_BYTES", 1000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5500, limits[1]))
    try:
        with pytest.raises(JournalUnavailable):
            recorded.set_aside()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(recorded.directory.glob("aside/*"))


def test_a_long_call_is_synced_in_pieces(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Running calls share the disk: no sync of theirs may wait for a whole hour of audio."""
    monkeypatch.setattr(copying, "_WRITE_BYTES", 1000)
    monkeypatch.setattr(copying, "SYNC_BYTES", 4000)
    synced: list[int] = []
    real = os.fdatasync

    def counted(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", counted)
    recorded.set_aside()
    assert len(synced) >= 5
    assert max(after - before for before, after in zip([0, *synced], synced, strict=False)) < 4000 + 2 * 2000
    assert recorded.read() == recorded.call.sent


def test_one_call_is_copied_by_one_at_a_time(recorded: Recorded) -> None:
    """The draft of another is not touched."""
    (recorded.directory / "aside").mkdir()
    draft = recorded.directory / draft_name(recorded.call.uid)
    draft.write_bytes(b"of another thread")
    with pytest.raises(JournalUnavailable, match="exists"):
        recorded.set_aside()
    assert draft.read_bytes() == b"of another thread"


# How the file ends.


def ending_of(path: Path, uid: bytes, key: bytes, tail: int) -> object:
    with mapped(path) as content:
        assert content is not None
        return read_ending(content, tail, uid, key)


def test_the_end_says_what_was_copied(tmp_path: Path) -> None:
    """Names of any length, and none; sealed, so that a disk can't say otherwise."""
    uid, key = bytes(range(16)), bytes(32)
    copied = {"capture-12/epoch-00000001.journal": Copied(2**63, 2**40), "é": Copied(1, 16)}
    for said in (copied, {}):
        writer = JournalWriter(tmp_path / f"w{len(said)}")
        writer.open()
        writer.append(FrameKind.COPIED, uid, seal_copied(key, uid, said))
        writer.append(FrameKind.STATE, uid, seal_state(key, uid, b"state"))
        writer.commit()
        [(name, tail)] = writer.tails(uid).items()
        writer.close()
        path = tmp_path / name
        ending = ending_of(path, uid, key, tail)
        assert (getattr(ending, "copied", None), getattr(ending, "state", None)) == (said, b"state")
        assert ending_of(path, uid, bytes(31) + b"1", tail) is None
        assert ending_of(path, bytes(16), key, tail) is None
        assert ending_of(path, uid, key, 0) is None
        assert ending_of(path, uid, key, 16) is None
        content = bytearray(path.read_bytes())
        content[16 + 40 + 14] ^= 1
        path.write_bytes(content)
        assert ending_of(path, uid, key, tail) is None
