"""What was committed and synced is on disk, whatever the disk did in between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recorder.journal import writer as module
from recorder.journal.format import JournalUnavailable
from recorder.journal.reader import read_states, scan_files
from recorder.journal.writer import FILE_AGE_S_MAX, FILE_BYTES_MAX, KEPT_S_MAX, RETRY_S, JournalWriter
from tests.unit.recorder.journal.written_call import Call, StillClock, audio, fail_times


def test_what_is_written_is_read_back_in_order(
    journal_dir: Path, writer: JournalWriter, call: Call, neighbour: Call
) -> None:
    for _ in range(5):
        call.frame()
        neighbour.frame(3)
    assert audio(journal_dir, call) == call.sent
    assert audio(journal_dir, neighbour) == neighbour.sent
    assert audio(journal_dir, call, writer.tails(call.uid)) == call.sent


def test_a_commit_is_durable_only_after_a_sync(writer: JournalWriter, call: Call) -> None:
    call.frame(commit=False)
    number = writer.commit()
    assert not writer.is_durable(number)
    writer.sync()
    assert writer.is_durable(number)


def test_a_file_ends_at_its_age_and_the_next_one_is_complete_in_itself(
    journal_dir: Path, writer: JournalWriter, clock: StillClock, call: Call
) -> None:
    call.frame()
    clock.elapsed += FILE_AGE_S_MAX - 1
    call.frame()
    assert writer.epoch == 1
    clock.elapsed += 1
    call.frame()
    assert writer.epoch == 2
    call.renew()
    call.frame()
    writer.sync()
    writer.commit()
    (closed,) = writer.take_closed()
    assert closed.name == "capture-0/epoch-00000001.journal"
    assert closed.uids == {call.uid}
    assert audio(journal_dir, call) == call.sent
    assert audio(journal_dir, call, writer.tails(call.uid)) == call.sent
    assert set(writer.tails(call.uid)) == set(scan_files(journal_dir))


def test_a_file_ends_at_its_size(writer: JournalWriter, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FILE_BYTES_MAX == 256 * 1024 * 1024
    monkeypatch.setattr(module, "FILE_BYTES_MAX", 4000)
    call.frame()
    assert writer.epoch == 1
    call.frame()
    call.frame()
    assert writer.epoch == 2


def test_a_file_in_which_nothing_stands_does_not_end(writer: JournalWriter, clock: StillClock) -> None:
    clock.elapsed += 10 * FILE_AGE_S_MAX
    writer.commit()
    assert writer.epoch == 1


@pytest.mark.parametrize("name", ["writev", "fdatasync"])
def test_after_a_failure_everything_not_durable_stands_in_a_new_file(
    name: str,
    journal_dir: Path,
    writer: JournalWriter,
    clock: StillClock,
    call: Call,
    neighbour: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call.frame()
    neighbour.frame()
    writer.sync()
    fail_times(name, 1, monkeypatch)
    call.frame()
    writer.sync()
    number = writer.commit()
    assert writer.trouble is None or "can't be written" in writer.trouble
    clock.elapsed += RETRY_S
    call.frame()
    writer.sync()
    call.frame()
    writer.sync()
    writer.commit()
    assert writer.trouble is None
    assert writer.epoch == 2
    assert writer.is_durable(number)
    assert audio(journal_dir, call) == call.sent
    assert audio(journal_dir, call, writer.tails(call.uid)) == call.sent
    assert audio(journal_dir, neighbour) == neighbour.sent


def test_the_first_file_alone_is_never_synced_again_after_it_failed(
    journal_dir: Path, writer: JournalWriter, clock: StillClock, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    call.frame()
    synced: list[str] = []

    def recording(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        if len(synced) == 1:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", recording)
    writer.sync()
    clock.elapsed += RETRY_S
    call.frame()
    writer.sync()
    writer.sync()
    assert synced == ["epoch-00000001.journal", "epoch-00000002.journal"]


def test_a_short_write_loses_nothing(
    journal_dir: Path, writer: JournalWriter, clock: StillClock, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda descriptor, parts: real(descriptor, [b"".join(parts)[:100]]))
    fail_times("write", 1, monkeypatch)
    call.frame()
    assert writer.trouble is not None
    monkeypatch.undo()
    clock.elapsed += RETRY_S
    call.frame()
    assert audio(journal_dir, call) == call.sent


def test_while_the_disk_fails_the_last_ten_seconds_are_kept(
    journal_dir: Path, writer: JournalWriter, clock: StillClock, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_times("writev", 1, monkeypatch)
    call.frame()
    fail_times("open", 10_000, monkeypatch)
    for _ in range(30):
        clock.elapsed += 1
        call.frame()
    assert writer.trouble is not None
    monkeypatch.undo()
    clock.elapsed += 1
    call.renew()
    call.frame()
    found = audio(journal_dir, call)
    assert writer.lost_commits > 0
    assert found == call.sent[-len(found) :]
    assert KEPT_S_MAX * 10 <= len(found) < 31 * 10


def test_a_failing_rotation_goes_on_in_the_old_file(
    journal_dir: Path, writer: JournalWriter, clock: StillClock, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    call.frame()
    clock.elapsed += FILE_AGE_S_MAX
    fail_times("open", 1, monkeypatch)
    call.frame()
    assert writer.trouble is not None
    assert writer.epoch == 1
    call.frame()
    assert writer.epoch == 2
    assert audio(journal_dir, call) == call.sent


def test_a_directory_belongs_to_one_writer(journal_dir: Path, writer: JournalWriter) -> None:
    other = JournalWriter(journal_dir / "capture-0")
    with pytest.raises(JournalUnavailable, match="Another process"):
        other.open(0.1)
    os.close(other._lock)


def test_a_restart_begins_a_new_epoch_later_than_the_last_even_when_the_clock_was_set_back(
    journal_dir: Path, clock: StillClock
) -> None:
    names: list[int] = []
    for _ in range(3):
        made = JournalWriter(journal_dir / "capture-0", wall_ns=clock.wall_ns, monotonic=clock.monotonic)
        made.open()
        made.append_state(b"u" * 16, bytes(32), b"state")
        names.append(made.epoch)
        made.close()
        clock.wall -= 1_000_000_000
    assert names == [1, 2, 3]
    assert list(scan_files(journal_dir)) == [f"capture-0/epoch-{number:08d}.journal" for number in names]


def test_the_newest_state_of_each_call_is_found(
    journal_dir: Path, signalling: JournalWriter, clock: StillClock
) -> None:
    keys = {b"a" * 16: bytes(32), b"b" * 16: bytes(31) + b"\1"}
    for number in range(3):
        for uid, key in keys.items():
            signalling.append_state(uid, key, b"%s %d" % (uid[:1], number))
        clock.elapsed += FILE_AGE_S_MAX
        signalling.commit()
    assert read_states(journal_dir, keys) == {b"a" * 16: b"a 2", b"b" * 16: b"b 2"}
    assert read_states(journal_dir, {b"a" * 16: bytes(31) + b"\2"}) == {}


def test_a_file_is_for_its_owner_alone(journal_dir: Path, writer: JournalWriter) -> None:
    (name,) = scan_files(journal_dir)
    assert (journal_dir / name).stat().st_mode & 0o777 == 0o600
