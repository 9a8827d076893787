"""The streams of a capture process: sockets, who may send, and which tracks get the packets.

Rules: a stream has a row in the columns of `recorder.rtp.source.Sources`; a row of a
stream that ended is used again. The sockets of a row are closed here and nowhere else.
Digits are watched for the sake of a recording: when a stream's last one is forgotten
(an exempt party joined), they are not looked at any more.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

import numpy as np

from recorder.capture.lane import Lanes
from recorder.capture.messages import AddStream
from recorder.capture.track import Track
from recorder.errors import DependencyUnavailable
from recorder.rtp.batch import Bools, Indices
from recorder.rtp.payload_format import PAYLOAD_TYPES_COUNT
from recorder.rtp.source import Networks, Sources
from recorder.rtp.telephone_event import DigitDetector

STREAM_COUNT_MAX = 16384  # 8000 calls of two streams: twice what was measured to fit one core


class TooManyStreams(DependencyUnavailable):
    """A capture process is full: add processes or take fewer calls."""


@dataclass(slots=True, eq=False)
class Stream:
    """One m= line: its sockets and its tracks."""

    stream_id: int
    index: int
    row: int
    uids: tuple[bytes, ...]
    rtp: socket.socket
    rtcp: socket.socket
    networks: Networks
    payload_types: frozenset[int]
    event_types: frozenset[int] = frozenset()
    watch_digits: bool = False
    tracks: list[Track] = field(default_factory=list)
    drops: int = 0
    report_at: float = 0.0
    rtcp_peer: tuple[str, int] | None = None
    multiplexed: bool = False
    last_sr: int = 0
    last_sr_ns: int = 0
    _keys: DigitDetector = field(default_factory=DigitDetector)
    _keys_ssrc: int = 0

    def digit(self, ssrc: int, timestamp: int, marker: bool, payload: bytes) -> str | None:  # noqa: FBT001
        """Take a telephone-event packet and return the digit that begins with it, if digits are watched."""
        if not self.watch_digits:
            return None
        if ssrc != self._keys_ssrc:
            self._keys, self._keys_ssrc = DigitDetector(), ssrc
        return self._keys.feed(timestamp, marker, payload)

    def expects(self, payload_type: int) -> bool:
        """Say whether the peer may send this payload type by the answer we gave."""
        return not self.payload_types or payload_type in self.payload_types


class StreamTable:
    """All streams by id and by row, and their sockets as a pass wants them."""

    def __init__(self, rows: int = STREAM_COUNT_MAX) -> None:
        self.sources = Sources(rows)
        self.lanes = Lanes(rows)
        self.origin_ns = np.zeros(rows, np.int64)
        self.by_row: list[Stream | None] = [None] * rows
        self.event_types: Bools = np.zeros((rows, PAYLOAD_TYPES_COUNT), np.bool_)
        self.event_octets = bytes(2 * PAYLOAD_TYPES_COUNT)
        self._event_streams = np.zeros(PAYLOAD_TYPES_COUNT, np.int64)
        self._by_id: dict[int, Stream] = {}
        self._free = list(range(rows - 1, -1, -1))
        self._lists: tuple[list[int], list[int], Indices] | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def all(self) -> list[Stream]:
        """Return the streams in the order in which they were added."""
        return list(self._by_id.values())

    def get(self, stream_id: int) -> Stream | None:
        """Return a stream, or None when it ended."""
        return self._by_id.get(stream_id)

    def add(self, command: AddStream, rtp: socket.socket, rtcp: socket.socket, tracks: list[Track]) -> Stream:
        """Take over a pair of sockets; raises TooManyStreams and closes them when there is no row left."""
        if not self._free or command.stream_id in self._by_id:
            rtp.close()
            rtcp.close()
            raise TooManyStreams("The capture process has no row left for a stream; add capture processes.")
        row = self._free.pop()
        stream = Stream(
            stream_id=command.stream_id,
            index=command.index,
            row=row,
            uids=command.uids,
            rtp=rtp,
            rtcp=rtcp,
            networks=Networks(command.networks),
            payload_types=frozenset(command.payload_types),
            event_types=frozenset(command.event_types),
            # A stream whose recordings were all forgotten already is of an exempt call.
            watch_digits=command.watch_digits and bool(tracks or not command.uids),
            tracks=tracks,
        )
        self.sources.reset(row, command.clock_rate_hz)
        self.origin_ns[row] = tracks[0].origin_ns if tracks else 0
        for track in tracks:
            track.attach(self.lanes, row)
        self.event_types[row, sorted(stream.event_types)] = True
        self._count_events(row, 1)
        self.by_row[row] = stream
        self._by_id[command.stream_id] = stream
        self._lists = None
        return stream

    def remove(self, stream: Stream) -> None:
        """Close the sockets of a stream and free its row."""
        for track in stream.tracks:
            track.detach(stream.row)
        stream.rtp.close()
        stream.rtcp.close()
        self._count_events(stream.row, -1)
        self.event_types[stream.row] = False
        del self._by_id[stream.stream_id]
        self.by_row[stream.row] = None
        self._free.append(stream.row)
        self._lists = None

    def close(self) -> None:
        """Close the sockets of every stream."""
        for stream in list(self.all()):
            self.remove(stream)

    def detach(self, track: Track) -> None:
        """Give no more packets to a track; its streams go on being drained."""
        for stream in self.of(track):
            stream.tracks.remove(track)
            track.detach(stream.row)
            if stream.tracks:
                self.origin_ns[stream.row] = stream.tracks[0].origin_ns
            else:
                stream.watch_digits = False

    def _count_events(self, row: int, by: int) -> None:
        """Keep `event_octets`: 1 for each second octet of an RTP header that may begin an event anywhere.

        It is a table for `bytes.translate`: marker and payload type as they stand in a packet.
        """
        self._event_streams += by * self.event_types[row]
        self.event_octets = bytes(self._event_streams > 0) * 2

    def of(self, track: Track) -> list[Stream]:
        """Return the streams that feed a track."""
        return [stream for row in track.rows if (stream := self.by_row[row]) is not None]

    @property
    def descriptors(self) -> list[int]:
        """The RTP sockets."""
        return self._listed()[0]

    @property
    def control_descriptors(self) -> list[int]:
        """The RTCP sockets, in the same order."""
        return self._listed()[1]

    @property
    def rows(self) -> Indices:
        """The row of each socket, in the same order."""
        return self._listed()[2]

    def _listed(self) -> tuple[list[int], list[int], Indices]:
        if self._lists is None:
            streams = self._by_id.values()
            self._lists = (
                [stream.rtp.fileno() for stream in streams],
                [stream.rtcp.fileno() for stream in streams],
                np.array([stream.row for stream in streams], np.int64),
            )
        return self._lists
