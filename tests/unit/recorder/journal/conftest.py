"""What the journal's tests share: calls with audio of known content, and clocks that stand still."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from recorder.journal.format import FrameKind
from recorder.journal.segment import Segment
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


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def journal_dir(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def writer(journal_dir: Path, clock: StillClock) -> Iterator[JournalWriter]:
    made = JournalWriter(journal_dir / "capture-0", wall_ns=clock.wall_ns, monotonic=clock.monotonic)
    made.open()
    yield made
    made.close()


@pytest.fixture
def signalling(journal_dir: Path, clock: StillClock) -> Iterator[JournalWriter]:
    made = JournalWriter(journal_dir / "signalling", wall_ns=clock.wall_ns, monotonic=clock.monotonic)
    made.open()
    yield made
    made.close()


@pytest.fixture
def call(writer: JournalWriter) -> Call:
    return Call(writer, b"call of one user", bytes(range(32)))


@pytest.fixture
def neighbour(writer: JournalWriter) -> Call:
    return Call(writer, b"call of another ", bytes(range(1, 33)))


__all__ = ["STARTED_NS", "Call", "FrameKind", "StillClock", "payload"]
