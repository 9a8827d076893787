"""Calls whose audio is known, written to a journal by a test; clocks that stand still; disks that fail."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from recorder.journal.reader import read_call
from recorder.journal.segment import AudioRecord, Segment
from recorder.journal.writer import JournalWriter
from recorder.rtp.batch import ARRIVAL_UNIT_NS, PACKET_ROW

STARTED_NS = 1_700_000_000_000_000_000


@dataclass
class StillClock:
    """A clock that a test moves."""

    wall: int = STARTED_NS
    elapsed: float = 100.0

    def wall_ns(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.elapsed


@dataclass
class Call:
    """A call as a test writes it: one packet every 20 ms, ten to a frame."""

    writer: JournalWriter
    uid: bytes
    key: bytes
    segment: Segment | None = None
    packets: int = 0
    sent: list[bytes] = field(default_factory=list)

    def renew(self) -> None:
        self.segment = self.writer.open_segment(self.uid, self.key, STARTED_NS)

    def frame(self, packets: int = 10, *, commit: bool = True, size: int = 160) -> None:
        """Write one frame; payloads are told apart by their number."""
        if self.segment is None:
            self.renew()
        assert self.segment is not None
        rows = np.zeros(packets, PACKET_ROW)
        numbers = np.arange(self.packets, self.packets + packets)
        rows["sequence"], rows["size"] = numbers % 2**16, size
        rows["timestamp"] = numbers * 160
        rows["arrival"] = numbers * 20_000_000 // ARRIVAL_UNIT_NS
        payloads = [payload(self.uid, int(number), size) for number in numbers]
        facts = (0, 0xCAFE, int(rows["timestamp"][0]), packets)
        self.writer.append_audio(self.segment, facts, rows.tobytes() + b"".join(payloads))
        self.sent += payloads
        self.packets += packets
        if commit:
            self.writer.commit()


def payload(uid: bytes, number: int, size: int = 160) -> bytes:
    """Return audio that is unlike any other packet's."""
    return hashlib.shake_128(uid + number.to_bytes(4, "big")).digest(size)


def packets_of(record: AudioRecord) -> list[bytes]:
    """Return the payload of each packet of a record."""
    found: list[bytes] = []
    position = 0
    for size in record.rows["size"].tolist():
        found.append(record.payload[position : position + size])
        position += size
    return found


def audio(journal_dir: Path, call: Call, tails: dict[str, int] | None = None) -> list[bytes]:
    """Return the payloads of a call as the reader finds them; no damage may be told."""
    damage: list[tuple[str, int]] = []
    records = read_call(journal_dir, call.uid, call.key, tails, lambda *place: damage.append(place))
    found = [payload for record in records for payload in packets_of(record)]
    assert damage == []
    return found


def fail_times(name: str, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a function of the operating system fail the next `times` times for want of space."""
    real: Callable[..., object] = getattr(os, name)
    left = [times]

    def failing(*arguments: object) -> object:
        if left[0] > 0:
            left[0] -= 1
            raise OSError(28, os.strerror(28))
        return real(*arguments)

    monkeypatch.setattr(os, name, failing)
