"""After a cut nothing from its moment on can be opened, and everything before it can, however often it crashed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recorder.journal import format as layout
from recorder.journal.cut import cut
from recorder.journal.format import FrameKind, JournalUnavailable
from recorder.journal.reader import read_states, segment_keys
from recorder.journal.segment import SealError, audio_head, open_audio
from recorder.journal.slots import SlotsFile
from recorder.journal.writer import FILE_AGE_S_MAX, RETRY_S, JournalWriter
from tests.unit.recorder.journal.written_call import (
    STARTED_NS,
    Call,
    StillClock,
    audio,
    fail_times,
    packets_of,
)

PACKET_NS = 20_000_000
UNIT_NS = 100_000
EFFECTS = 5
STATE = b'{"exempt": "joined later"}'


class PowerCutError(Exception):
    """The process ended here."""


@pytest.fixture
def slots(journal_dir: Path) -> SlotsFile:
    made = SlotsFile(journal_dir / "slots", bytes(32))
    made.open()
    return made


def record(call: Call, clock: StillClock, slots: SlotsFile) -> None:
    """Write a call of 120 packets in four segments, over two files."""
    slots.allocate(call.uid, call.key, 0)
    slots.sync()
    for number in range(12):
        if number % 3 == 0:
            call.renew()
        call.frame()
        if number == 7:
            clock.elapsed += FILE_AGE_S_MAX
    call.writer.sync()


def everything_that_opens(journal_dir: Path, uid: bytes, keys: list[bytes]) -> set[bytes]:
    """Return each packet's payload that any call key opens, by any segment key in any file, in any way."""
    opened: set[bytes] = set()
    ciphers = {
        segment.segment_id: AESGCM(segment.key)
        for key in keys
        for segment in segment_keys(journal_dir, uid, key).values()
    }
    for path in journal_dir.rglob("*.journal"):
        content = path.read_bytes()
        offset = layout.FILE_HEADER_BYTES
        while (head := layout.read_head(content, offset)) is not None:
            offset = head.end
            if head.kind != FrameKind.AUDIO or head.uid != uid:
                continue
            body = content[head.body]
            for cipher in ciphers.values():
                try:
                    opened |= set(packets_of(open_audio(cipher, uid, body, audio_head(body))))
                except SealError:
                    continue
    return opened


@pytest.mark.parametrize("packet", [0, 1, 29, 30, 31, 45, 60, 119])
def test_exactly_the_packets_before_the_moment_are_left(
    journal_dir: Path,
    signalling: JournalWriter,
    clock: StillClock,
    call: Call,
    slots: SlotsFile,
    packet: int,
) -> None:
    record(call, clock, slots)
    old = call.key
    moment = STARTED_NS + packet * PACKET_NS
    call.key = cut(journal_dir, slots, signalling, call.uid, old, moment, STATE)
    assert slots.live() == {call.uid: call.key}
    assert audio(journal_dir, call) == call.sent[:packet]
    assert everything_that_opens(journal_dir, call.uid, [call.key]) == set(call.sent[:packet])
    assert read_states(journal_dir, slots.live()) == {call.uid: STATE}
    slots.close()


def test_a_packet_that_may_have_come_at_the_moment_goes(
    journal_dir: Path, signalling: JournalWriter, clock: StillClock, call: Call, slots: SlotsFile
) -> None:
    record(call, clock, slots)
    moment = STARTED_NS + 10 * PACKET_NS + UNIT_NS - 1
    call.key = cut(journal_dir, slots, signalling, call.uid, call.key, moment)
    assert audio(journal_dir, call) == call.sent[:10]
    slots.close()


def test_without_another_state_the_newest_one_is_carried_over(
    journal_dir: Path, signalling: JournalWriter, clock: StillClock, call: Call, slots: SlotsFile
) -> None:
    record(call, clock, slots)
    signalling.append_state(call.uid, call.key, b"older")
    signalling.append_state(call.uid, call.key, b"newest")
    signalling.commit()
    cut(journal_dir, slots, signalling, call.uid, call.key, STARTED_NS + 40 * PACKET_NS)
    assert read_states(journal_dir, slots.live()) == {call.uid: b"newest"}
    slots.close()


def test_a_call_can_be_cut_twice(
    journal_dir: Path, signalling: JournalWriter, clock: StillClock, call: Call, slots: SlotsFile
) -> None:
    record(call, clock, slots)
    for packet in (77, 44):
        moment = STARTED_NS + packet * PACKET_NS
        call.key = cut(journal_dir, slots, signalling, call.uid, call.key, moment)
        assert audio(journal_dir, call) == call.sent[:packet]
    assert everything_that_opens(journal_dir, call.uid, [call.key]) == set(call.sent[:44])
    slots.close()


def test_a_neighbour_is_not_touched(
    journal_dir: Path,
    signalling: JournalWriter,
    clock: StillClock,
    call: Call,
    neighbour: Call,
    slots: SlotsFile,
) -> None:
    record(call, clock, slots)
    neighbour.frame()
    cut(journal_dir, slots, signalling, call.uid, call.key, STARTED_NS)
    assert audio(journal_dir, neighbour) == neighbour.sent
    slots.close()


def stop_after(effects: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the process end instead of its effect number `effects`; returns a counter of effects."""
    seen = [0]

    def guard(name: str) -> None:
        real: Callable[..., object] = getattr(os, name)

        def counted(*arguments: object) -> object:
            if seen[0] >= effects:
                raise PowerCutError
            seen[0] += 1
            return real(*arguments)

        monkeypatch.setattr(os, name, counted)

    for name in ("writev", "write", "pwrite", "fdatasync", "fsync"):
        guard(name)
    return seen


@pytest.mark.parametrize("effects", range(EFFECTS + 1))
def test_wherever_it_stops_one_key_is_in_force_and_doing_it_again_completes_it(
    journal_dir: Path,
    clock: StillClock,
    call: Call,
    slots: SlotsFile,
    monkeypatch: pytest.MonkeyPatch,
    effects: int,
) -> None:
    """Frames written, synced with their directory, slot written, slot synced: after each the process ends."""
    record(call, clock, slots)
    dying = JournalWriter(journal_dir / "signalling", wall_ns=clock.wall_ns, monotonic=clock.monotonic)
    dying.open()
    moment = STARTED_NS + 45 * PACKET_NS
    seen = stop_after(effects, monkeypatch)
    try:
        cut(journal_dir, slots, dying, call.uid, call.key, moment, STATE)
        complete = True
    except PowerCutError:
        complete = False
    monkeypatch.undo()
    assert complete == (effects == EFFECTS)
    assert seen[0] == effects
    slots.close()
    os.close(dying._lock)

    again = JournalWriter(journal_dir / "signalling", wall_ns=clock.wall_ns, monotonic=clock.monotonic)
    again.open()
    slots = SlotsFile(journal_dir / "slots", bytes(32))
    slots.open()
    key = slots.live()[call.uid]
    left = everything_that_opens(journal_dir, call.uid, list(slots.live().values()))
    assert left == set(call.sent if key == call.key else call.sent[:45])
    call.key = cut(journal_dir, slots, again, call.uid, key, moment, STATE)
    assert audio(journal_dir, call) == call.sent[:45]
    assert everything_that_opens(journal_dir, call.uid, [call.key]) == set(call.sent[:45])
    slots.close()
    again.close()


def test_a_cut_that_cannot_be_stored_leaves_the_old_key_in_force(
    journal_dir: Path,
    signalling: JournalWriter,
    clock: StillClock,
    call: Call,
    slots: SlotsFile,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record(call, clock, slots)
    fail_times("writev", 1, monkeypatch)
    with pytest.raises(JournalUnavailable, match="repeat it"):
        cut(journal_dir, slots, signalling, call.uid, call.key, STARTED_NS + 45 * PACKET_NS)
    assert slots.live() == {call.uid: call.key}
    assert audio(journal_dir, call) == call.sent
    clock.elapsed += RETRY_S
    call.key = cut(journal_dir, slots, signalling, call.uid, call.key, STARTED_NS + 45 * PACKET_NS)
    assert audio(journal_dir, call) == call.sent[:45]
    slots.close()
