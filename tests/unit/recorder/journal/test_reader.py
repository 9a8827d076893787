"""A call is read back whole, without its neighbours; what is missing is told, what is destroyed is not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.journal.reader import read_call, scan_files, segment_keys
from recorder.journal.slots import SlotsFile
from recorder.journal.writer import FILE_AGE_S_MAX, JournalWriter
from tests.unit.recorder.journal.written_call import Call, StillClock, audio, packets_of

Places = list[tuple[str, int]]


def told(damage: Places) -> Callable[[str, int], None]:
    """Return what notes each place of damage."""
    return lambda name, offset: damage.append((name, offset))


def test_a_torn_end_costs_at_every_prefix_exactly_what_was_torn(
    journal_dir: Path, writer: JournalWriter, call: Call, neighbour: Call
) -> None:
    ends: list[tuple[int, int]] = []
    for _ in range(3):
        call.frame(2, size=20)
        ends.append((writer._file.size, len(call.sent)))
        neighbour.frame(1, size=20)
    path = journal_dir / "capture-0" / "epoch-00000001.journal"
    content = path.read_bytes()
    for size in range(16, len(content)):
        path.write_bytes(content[:size])
        whole = max([count for end, count in ends if end <= size], default=0)
        assert audio(journal_dir, call) == call.sent[:whole]
    path.write_bytes(content)


def test_a_frame_the_disk_altered_is_told_and_the_others_are_read(
    journal_dir: Path, writer: JournalWriter, call: Call
) -> None:
    offsets = []
    for _ in range(4):
        offsets.append(writer._file.size)
        call.frame()
    path = journal_dir / "capture-0" / "epoch-00000001.journal"
    for where in (60, 200):
        content = bytearray(path.read_bytes())
        content[offsets[2] + where] ^= 1
        path.write_bytes(content)
        damage: Places = []
        records = list(read_call(journal_dir, call.uid, call.key, None, told(damage)))
        found = [payload for record in records for payload in packets_of(record)]
        assert found == call.sent[:20] + call.sent[30:]
        assert damage == [("capture-0/epoch-00000001.journal", offsets[2])]
        content[offsets[2] + where] ^= 1
        path.write_bytes(content)


def test_a_broken_header_is_told_and_passed_over(
    journal_dir: Path, writer: JournalWriter, call: Call
) -> None:
    offsets = []
    for _ in range(4):
        offsets.append(writer._file.size)
        call.frame()
    tails = writer.tails(call.uid)
    path = journal_dir / "capture-0" / "epoch-00000001.journal"
    content = bytearray(path.read_bytes())
    content[offsets[1] + 9] ^= 1
    path.write_bytes(content)
    for given in (None, tails):
        damage: Places = []
        records = list(read_call(journal_dir, call.uid, call.key, given, told(damage)))
        assert len(records) == 3
        assert len(damage) == 1


def test_a_file_that_is_gone_is_told(journal_dir: Path, call: Call) -> None:
    call.frame()
    damage: Places = []
    tails = {"capture-0/epoch-00000009.journal": 16}
    assert list(read_call(journal_dir, call.uid, call.key, tails, told(damage))) == []
    assert damage == [("capture-0/epoch-00000009.journal", 0)]


def test_a_call_whose_slot_was_erased_cannot_be_opened_though_its_neighbour_can(
    journal_dir: Path, call: Call, neighbour: Call
) -> None:
    slots = SlotsFile(journal_dir / "slots", bytes(32))
    slots.open()
    for one in (call, neighbour):
        slots.allocate(one.uid, one.key, 0)
        one.frame()
    slots.sync()
    slots.erase(call.uid)
    slots.close()
    again = SlotsFile(journal_dir / "slots", bytes(32))
    again.open()
    keys = again.live()
    again.close()
    assert set(keys) == {neighbour.uid}
    assert all(list(read_call(journal_dir, call.uid, key)) == [] for key in keys.values())
    assert all(segment_keys(journal_dir, call.uid, key) == {} for key in keys.values())
    assert audio(journal_dir, neighbour) == neighbour.sent
    raw = b"".join(path.read_bytes() for path in journal_dir.rglob("*.journal"))
    assert not any(item in raw for item in call.sent)


def test_frames_written_twice_are_read_once(
    journal_dir: Path, writer: JournalWriter, call: Call, clock: StillClock
) -> None:
    call.frame(commit=False)
    parts = list(writer._parts)
    call.frame()
    clock.elapsed += FILE_AGE_S_MAX
    call.frame()
    writer._append_again(parts)
    writer.commit()
    assert audio(journal_dir, call) == call.sent


def test_calls_of_a_file_are_listed_without_any_key(
    journal_dir: Path, writer: JournalWriter, call: Call, neighbour: Call
) -> None:
    call.frame()
    neighbour.frame()
    assert scan_files(journal_dir) == {"capture-0/epoch-00000001.journal": {call.uid, neighbour.uid}}
    writer._rotate()
    assert list(scan_files(journal_dir).values()) == [{call.uid, neighbour.uid}, frozenset()]


@pytest.mark.parametrize("indexed", [True, False])
def test_a_long_call_is_read_from_all_its_files(
    journal_dir: Path, writer: JournalWriter, call: Call, neighbour: Call, clock: StillClock, indexed: bool
) -> None:
    for number in range(60):
        call.frame(2)
        neighbour.frame(1)
        if number % 10 == 0:
            clock.elapsed += FILE_AGE_S_MAX
    tails = writer.tails(call.uid)
    assert len(tails) == 6 + 1
    assert audio(journal_dir, call, tails if indexed else None) == call.sent
