"""A capture process with real sockets on loopback, as signalling would drive it."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from recorder.capture.handle import CaptureHandle
from recorder.capture.messages import AddStream, OpenTrack, Ready, Report
from recorder.journal.reader import read_call
from recorder.ports import SO_TIMESTAMPNS
from recorder.steady_clock import SteadyClock

PATIENCE_S = 20.0
NETWORKS = ("127.0.0.0/8",)


def media_socket(address: str = "127.0.0.1") -> socket.socket:
    """Bind a UDP socket as signalling does."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    made.bind((address, 0))
    return made


def rtp(sequence: int, payload: bytes, *, ssrc: int = 77, second: int = 8, first: int = 0x80) -> bytes:
    """Return an RTP packet whose timestamp goes with its sequence number."""
    return struct.pack("!BBHII", first, second, sequence & 0xFFFF, sequence * 160, ssrc) + payload


@dataclass
class Source:
    """Somebody who sends numbered packets to one port and remembers them."""

    to: tuple[str, int]
    socket: socket.socket = field(default_factory=media_socket)
    sent: list[bytes] = field(default_factory=list)
    sequence: int = 0

    def send(self, count: int, *, size: int = 160, second: int = 8, ssrc: int = 77) -> None:
        """Send packets of random payload, each unlike any other."""
        for _ in range(count):
            payload = secrets.token_bytes(size)
            self.sent.append(payload)
            self.socket.sendto(rtp(self.sequence, payload, second=second, ssrc=ssrc), self.to)
            self.sequence += 1


class RunningCapture:
    """A handle, what it said, and the calls it captures."""

    def __init__(self, journal_dir: Path, ahead_ns: int = 0) -> None:
        """Start it; the machine's clock is set `ahead_ns` ahead since its recorder began."""
        self.journal_dir = journal_dir
        self.said: list[Report] = []
        self._open: list[socket.socket] = []
        self._stream_ids = 0
        self.clock = SteadyClock(SteadyClock().origin_ns - ahead_ns)
        self.ahead_ns = ahead_ns
        self.handle = CaptureHandle(0, journal_dir, self.clock.origin_ns)
        self.wait_for(Ready)

    def wait_for(self, kind: type[Report], count: int = 1) -> Report:
        """Wait for the `count`th report of a kind and return it."""
        self.wait(lambda: sum(isinstance(item, kind) for item in self.said) >= count)
        return [item for item in self.said if isinstance(item, kind)][count - 1]

    def wait(self, done: Callable[[], bool]) -> None:
        """Read reports until `done`; fails after a while."""
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < deadline, f"The capture process never said it; it said {self.said}."
            select.select([self.handle], [], [], 0.05)
            self.said += self.handle.reports()

    def open_track(self, *, recording: bool = True) -> tuple[bytes, bytes]:
        """Begin a recording, dated by the machine's clock; returns its uid and key."""
        uid, key = secrets.token_bytes(16), secrets.token_bytes(32)
        self.handle.send(OpenTrack(uid, key, time.time_ns(), recording, ahead_ns=self.ahead_ns))
        return uid, key

    def add_stream(
        self,
        *uids: bytes,
        index: int = 0,
        networks: tuple[str, ...] = NETWORKS,
        address: str = "127.0.0.1",
        event_types: tuple[int, ...] = (),
        watch_digits: bool = False,
    ) -> tuple[Source, socket.socket]:
        """Add a stream; returns who may send to it and the RTCP socket on our side."""
        media, control = media_socket(address), media_socket(address)
        self._open += (media, control)
        self._stream_ids += 1
        command = AddStream(
            self._stream_ids, index, uids, networks, 8000, (0, 8, 101), event_types, watch_digits
        )
        self.handle.send_stream(command, media, control)
        source = self.another_source(media.getsockname()[:2], address)
        return source, control

    def another_source(self, to: tuple[str, int], address: str = "127.0.0.1") -> Source:
        """Return somebody else who sends to a port."""
        source = Source(to, media_socket(address))
        self._open.append(source.socket)
        return source

    @property
    def stream_id(self) -> int:
        """The id of the stream added last."""
        return self._stream_ids

    def audio(self, uid: bytes, key: bytes, tails: dict[str, int] | None = None) -> list[bytes]:
        """Return the payloads in the journal, packet by packet; no damage may be told."""
        found: list[bytes] = []
        damage: list[str] = []
        for record in read_call(self.journal_dir, uid, key, tails, lambda name, _: damage.append(name)):
            position = 0
            for size in record.rows["size"].tolist():
                found.append(record.payload[position : position + size])
                position += size
        assert damage == []
        return found

    def journal_bytes(self) -> bytes:
        """Return everything that stands in the journal files."""
        return b"".join(path.read_bytes() for path in sorted(self.journal_dir.rglob("*.journal")))

    def kill(self) -> None:
        """End the process as a crash would."""
        os.kill(self.handle.pid, signal.SIGKILL)

    def end(self) -> None:
        """Stop the process, whatever state it is in, and close all sockets."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.handle.pid, signal.SIGCONT)
        self.said += self.handle.stop()
        for opened in self._open:
            opened.close()
