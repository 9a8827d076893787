"""Messages out of a byte stream: framing by Content-Length (RFC 3261 section 18.3).

Rules: bytes come in segments of any size and each is looked at once. What breaks a
limit is still handed over as far as it was read, with the defect it has, because it may
be an emergency call; a stream whose next message can't be found is `broken` and
must be closed. Not here: reading the message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from recorder.sip.grammar import BODY_SIZE_BYTES_MAX, HEADERS_SIZE_BYTES_MAX
from recorder.sip.message import Defect
from recorder.sip.timer_queue import TimerQueue

# The rest of an oversized body is read and dropped up to here, to keep the connection and its other calls.
BODY_SKIPPED_SIZE_BYTES_MAX = 4 * 1_048_576
# Longer than any session interval in use, so that only forgotten connections end by it.
STREAM_IDLE_S_MAX = 7_200.0
# A broken connection is read no more, but its last request may still be answered for this long.
STREAM_BROKEN_S_MAX = 2.0
# A message trickles in for at most this long; a peer gives up on its own transaction after 32 s.
MESSAGE_INCOMPLETE_S_MAX = 32.0

PING = b"\r\n\r\n"  # RFC 5626 section 3.5.1
PONG = b"\r\n"

_HEADERS_END = re.compile(rb"\n\r?\n")
_HEADERS_END_SIZE_BYTES = 3
_CONTENT_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_CONTENT_TYPE = re.compile(rb"^(?:content-type|c)[ \t]*:", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Frame:
    """One message, or PING as `data`, with what framing found wrong with it."""

    data: bytes
    defects: tuple[Defect, ...] = ()


class StreamFramer:
    """The receiving side of one connection."""

    def __init__(self) -> None:
        self.broken = False
        self._buffer = bytearray()
        self._scanned = 0  # nothing before this offset ends the header fields
        self._needed: int | None = None  # octets of the whole message, once its header fields are there
        self._surplus = 0  # octets of the body beyond what is kept
        self._skip = 0  # octets of it still to come
        self._active_at = 0.0
        self._incomplete_since: float | None = None

    @property
    def deadline(self) -> float:
        """When the connection has been broken or idle, or a message incomplete, for too long."""
        idle_at = self._active_at + STREAM_IDLE_S_MAX
        if self.broken:
            return self._active_at + STREAM_BROKEN_S_MAX
        if self._incomplete_since is None:
            return idle_at
        return min(idle_at, self._incomplete_since + MESSAGE_INCOMPLETE_S_MAX)

    def feed(self, segment: bytes, now: float) -> list[Frame]:
        """Take the next octets and return the messages that became complete."""
        if self.broken:
            return []
        skipped = min(self._skip, len(segment))
        self._skip -= skipped
        self._buffer += memoryview(segment)[skipped:]
        self._active_at = now
        frames: list[Frame] = []
        while not self.broken and (frame := self._next()) is not None:
            frames.append(frame)
        incomplete = bool(self._skip) or not PING.startswith(bytes(self._buffer[: len(PING)]))
        if frames or not incomplete or self._incomplete_since is None:
            self._incomplete_since = now if incomplete else None
        return frames

    def _next(self) -> Frame | None:
        if self._needed is None:
            if self._buffer[:4] == PING:
                return self._take(len(PING))
            self._drop_line_breaks()
            found = self._find_end_of_headers()
            if found is not None or self._needed is None:
                return found
        if len(self._buffer) < self._needed:
            return None
        return self._take(self._needed)

    def _drop_line_breaks(self) -> None:
        """Pass over line breaks before a start line (section 7.5), unless they may become a ping."""
        if PING.startswith(bytes(self._buffer[: len(PING) + 1])):
            return
        rest = self._buffer.lstrip(b"\r\n")
        if len(rest) != len(self._buffer):
            self._buffer = rest
            self._scanned = 0

    def _find_end_of_headers(self) -> Frame | None:
        """Learn how long the message is; returns a frame at once only when that can't be known."""
        end = _HEADERS_END.search(self._buffer, self._scanned)
        if end is None:
            self._scanned = max(0, len(self._buffer) - _HEADERS_END_SIZE_BYTES)
        size = len(self._buffer) if end is None else end.end()
        if size > HEADERS_SIZE_BYTES_MAX:
            self.broken = True
            # One octet more than the parser reads, so that it is the parser who says 513.
            return Frame(bytes(self._buffer[: HEADERS_SIZE_BYTES_MAX + 1]))
        if end is None:
            return None
        return self._measure(end.end())

    def _measure(self, head_size: int) -> Frame | None:
        head = bytes(self._buffer[:head_size])
        lengths = _CONTENT_LENGTH.findall(head)
        if len(lengths) == 1 and re.fullmatch(rb"[0-9]{1,10}[ \t]*", lengths[0]):
            length = int(lengths[0])
            kept = min(length, BODY_SIZE_BYTES_MAX)
            self._surplus = length - kept
            self._needed = head_size + kept
            return None
        if not lengths and not _CONTENT_TYPE.search(head):
            self._needed = head_size  # no body was announced, so none is expected
            return None
        self.broken = True
        text = "A stream needs exactly one Content-Length that is a number."
        return Frame(bytes(self._buffer[: head_size + BODY_SIZE_BYTES_MAX]), (Defect(400, text),))

    def _take(self, size: int) -> Frame:
        frame = Frame(bytes(self._buffer[:size]))
        del self._buffer[:size]
        self._scanned, self._needed = 0, None
        if self._surplus > BODY_SKIPPED_SIZE_BYTES_MAX:
            self.broken = True
        skipped = min(self._surplus, len(self._buffer))
        del self._buffer[:skipped]
        self._skip, self._surplus = self._surplus - skipped, 0
        return frame


class Streams:
    """All connections by id: their framers, and which of them have to be closed."""

    def __init__(self) -> None:
        self._framers: dict[int, StreamFramer] = {}
        self._deadlines: TimerQueue[int] = TimerQueue()
        self._to_close: list[int] = []

    def is_open(self, connection_id: int) -> bool:
        """Whether the connection has carried something and was not closed."""
        return connection_id in self._framers

    def receive(self, segment: bytes, connection_id: int, now: float) -> list[Frame]:
        """Take what a connection brought; nothing more is read from a closed one."""
        if connection_id in self._to_close:
            return []
        framer = self._framers.setdefault(connection_id, StreamFramer())
        frames = framer.feed(segment, now)
        self._deadlines.set(connection_id, framer.deadline)
        return frames

    def close(self, connection_id: int) -> None:
        """Have the shell close a connection after everything queued for it was written."""
        if connection_id in self._framers:
            self.lost(connection_id)
            self._to_close.append(connection_id)

    def lost(self, connection_id: int) -> None:
        """Forget a connection that is gone."""
        self._framers.pop(connection_id, None)
        self._deadlines.cancel(connection_id)

    def take_to_close(self) -> list[int]:
        """Return the connections to close, once."""
        taken, self._to_close = self._to_close, []
        return taken

    def get_timer(self) -> float | None:
        """Return when the next connection runs out of patience."""
        return self._deadlines.next()

    def handle_timer(self, now: float) -> None:
        """Close what has been idle or incomplete for too long."""
        while (connection_id := self._deadlines.pop(now)) is not None:
            self.close(connection_id)
