"""What signalling and a capture process say to each other, as frozen values.

They travel as pickles over a `multiprocessing` connection on a Unix socket pair;
the sockets of a stream follow as file descriptors (SCM_RIGHTS) on a second
socket, so that a port is bound before the 200 goes out however busy capture is,
and stays bound in signalling when a capture process dies.

Times are those of the recorder's steady clock, in nanoseconds since 1970.

Rules: keys travel here and nowhere else; nothing here is ever logged.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class OpenTrack:
    """Begin capturing for one recording.

    `uid` is the recording id as 16 bytes, `call_key` its 32-byte key, `started_ns`
    the time its arrival column counts from, by the call's clock, which is `ahead_ns` ahead of
    the recorder's. All other times here are the recorder's. `recording` is false for modes that
    begin later. What arrived from `until_ns` on is left alone until a SetRecording says
    more: it was asked for while no process captured.
    """

    uid: bytes
    call_key: bytes
    started_ns: int
    recording: bool
    until_ns: int | None = None
    ahead_ns: int = 0


@dataclass(frozen=True)
class AddStream:
    """Take over the RTP and RTCP sockets of one m= line; two descriptors follow.

    `stream_id` is unique in the recorder process, `index` in the call. Every recording
    in `uids` gets the packets. `networks` are the address ranges a packet may come from.
    `event_types` are the payload types of telephone-event, of which nothing but the header
    is ever kept; with `watch_digits` each digit is told as a `DigitPressed`.
    """

    stream_id: int
    index: int
    uids: tuple[bytes, ...]
    networks: tuple[str, ...]
    clock_rate_hz: int
    payload_types: tuple[int, ...]
    event_types: tuple[int, ...] = ()
    watch_digits: bool = False


@dataclass(frozen=True)
class RelearnSource:
    """The offer changed: forget the latched source address and SSRC of a stream."""

    stream_id: int


@dataclass(frozen=True)
class RemoveStream:
    """The m= line ended: drain its sockets a last time and close them."""

    stream_id: int


@dataclass(frozen=True)
class SetRecording:
    """Begin or stop journalling for one recording, exactly here: its sockets are drained first.

    `at_ns` is when that was asked for: what arrived since and was not taken
    yet obeys it already, so that whoever was told of it was told the truth. 0 is now.
    """

    uid: bytes
    recording: bool
    at_ns: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Discard:
    """Forget the recording; its streams go on being drained into nothing."""

    uid: bytes


@dataclass(frozen=True)
class CloseTrack:
    """The recording ended: drain its sockets, write everything, and say where it stands."""

    uid: bytes


@dataclass(frozen=True)
class Shutdown:
    """Write and sync everything, then end the process."""


Command = (
    OpenTrack | AddStream | RelearnSource | RemoveStream | SetRecording | Discard | CloseTrack | Shutdown
)


@dataclass(frozen=True)
class Ready:
    """The capture process holds its journal directory and captures."""

    process_index: int


@dataclass(frozen=True)
class RecordingSet:
    """`SetRecording` was done; packets that arrived before `edge_ns` obeyed the old state."""

    uid: bytes
    recording: bool
    edge_ns: int


@dataclass(frozen=True)
class TrackClosed:
    """All packets of a recording are in the journal and synced.

    `tails` maps the name of each journal file it stands in (relative to the journal
    directory) to the offset of its last frame there; `packets` is how many were sealed.
    """

    uid: bytes
    tails: dict[str, int]
    packets: int


@dataclass(frozen=True)
class StreamActivity:
    """About every 2 s: when each stream last got a packet (0 for never), by stream id."""

    last_packet_ns: dict[int, int]
    packets: int
    refused: int
    kernel_drops: int
    late_ms: int
    octets: int


@dataclass(frozen=True)
class DigitPressed:
    """Somebody pressed a key in a stream whose digits are watched, at `at_ns` (its arrival).

    Told whether or not anything is recorded. The digit is for the recogniser of star
    codes alone: it is not shown when this is printed.
    """

    stream_id: int
    digit: str = field(repr=False)
    at_ns: int = field(repr=False)


@dataclass(frozen=True)
class FileClosed:
    """A journal file will not grow any more; it may go when none of `uids` is live."""

    name: str
    uids: frozenset[bytes]


@dataclass(frozen=True)
class JournalTrouble:
    """A write or sync failed (`failing`), or works again: stop or resume taking new calls."""

    failing: bool
    reason: str


Report = Ready | RecordingSet | TrackClosed | StreamActivity | DigitPressed | FileClosed | JournalTrouble
