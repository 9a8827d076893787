"""A slot keeps a call's key until it is erased, and then there is nothing left of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recorder.errors import LocalDefect
from recorder.journal import slots as module
from recorder.journal.format import JournalUnavailable
from recorder.journal.slots import SLOT_BYTES, SlotsFile, SlotsFull, SlotsUnreadable

NODE_KEY = bytes(32)
ONE, TWO = b"one".ljust(16), b"two".ljust(16)


def opened(path: Path, node_key: bytes = NODE_KEY) -> SlotsFile:
    slots = SlotsFile(path, node_key)
    slots.open()
    return slots


def test_keys_are_there_again_after_a_restart(tmp_path: Path) -> None:
    slots = opened(tmp_path / "slots")
    keys = {ONE: os.urandom(32), TWO: os.urandom(32)}
    for uid, key in keys.items():
        slots.allocate(uid, key, 99)
    slots.sync()
    slots.close()
    again = opened(tmp_path / "slots")
    assert again.live() == keys
    assert again.allocated_ns(ONE) == 99
    again.close()


def test_no_key_stands_in_the_file_as_it_is(tmp_path: Path) -> None:
    slots = opened(tmp_path / "slots")
    key = os.urandom(32)
    slots.allocate(ONE, key, 0)
    assert key not in (tmp_path / "slots").read_bytes()
    slots.close()


def test_an_erased_call_is_gone_from_the_file_and_its_slot_is_used_again(tmp_path: Path) -> None:
    slots = opened(tmp_path / "slots")
    index = slots.allocate(ONE, os.urandom(32), 0)
    kept = os.urandom(32)
    slots.allocate(TWO, kept, 0)
    slots.erase(ONE)
    content = (tmp_path / "slots").read_bytes()
    assert content[index * SLOT_BYTES : (index + 1) * SLOT_BYTES] == bytes(SLOT_BYTES)
    assert slots.live() == {TWO: kept}
    slots.erase(ONE)
    assert slots.allocate(b"three".ljust(16), os.urandom(32), 0) == index
    slots.close()


def test_rekey_puts_the_new_key_in_the_same_slot(tmp_path: Path) -> None:
    slots = opened(tmp_path / "slots")
    slots.allocate(ONE, os.urandom(32), 0)
    before = (tmp_path / "slots").read_bytes()
    key = os.urandom(32)
    slots.rekey(ONE, key)
    slots.sync()
    slots.close()
    assert len((tmp_path / "slots").read_bytes()) == len(before)
    again = opened(tmp_path / "slots")
    assert again.live() == {ONE: key}
    again.close()


def test_a_torn_slot_is_free_and_counted(tmp_path: Path) -> None:
    slots = opened(tmp_path / "slots")
    slots.allocate(ONE, os.urandom(32), 0)
    slots.allocate(TWO, os.urandom(32), 0)
    slots.close()
    content = bytearray((tmp_path / "slots").read_bytes())
    content[60] ^= 1
    (tmp_path / "slots").write_bytes(content)
    again = opened(tmp_path / "slots")
    assert set(again.live()) == {TWO}
    assert again.damaged == 1
    assert again.allocate(ONE, os.urandom(32), 0) == 0
    again.close()


def test_another_node_key_opens_nothing_and_says_so(tmp_path: Path) -> None:
    slots = opened(tmp_path / "slots")
    slots.allocate(ONE, os.urandom(32), 0)
    slots.close()
    other = SlotsFile(tmp_path / "slots", bytes(31) + b"\1")
    with pytest.raises(SlotsUnreadable, match="another node key"):
        other.open()
    other.close()


def test_two_processes_cannot_have_the_file(tmp_path: Path) -> None:
    slots = opened(tmp_path / "slots")
    with pytest.raises(JournalUnavailable, match="Another process"):
        opened(tmp_path / "slots")
    slots.close()


def test_a_call_has_one_slot(tmp_path: Path) -> None:
    slots = opened(tmp_path / "slots")
    slots.allocate(ONE, bytes(32), 0)
    with pytest.raises(LocalDefect):
        slots.allocate(ONE, bytes(32), 0)
    with pytest.raises(LocalDefect):
        slots.rekey(TWO, bytes(32))
    slots.close()


def test_slots_end_at_their_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOT_COUNT_MAX", 3)
    slots = opened(tmp_path / "slots")
    for number in range(3):
        slots.allocate(bytes([number]) * 16, bytes(32), 0)
    with pytest.raises(SlotsFull):
        slots.allocate(ONE, bytes(32), 0)
    slots.close()


def test_an_erasure_that_could_not_be_synced_is_written_again_before_it_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = opened(tmp_path / "slots")
    slots.allocate(ONE, bytes(32), 0)

    def failing(_: int) -> None:
        # What a kernel does to pages it could not store: their old content comes back from the disk.
        (tmp_path / "slots").write_bytes(before)
        raise OSError(5, "Input/output error")

    slots.sync()
    before = (tmp_path / "slots").read_bytes()
    monkeypatch.setattr(os, "fdatasync", failing)
    for _ in range(2):
        with pytest.raises(JournalUnavailable):
            slots.erase(ONE)
    monkeypatch.undo()
    slots.erase(ONE)
    slots.close()
    again = opened(tmp_path / "slots")
    assert again.live() == {}
    again.close()
