"""A peer whose every packet is known again wherever it turns up: for tests of what may not be stored.

Each packet of audio begins with the mark of this run of the tests and goes on as no other
packet does; the callee's have the tone of a key in them for a while of each second, and the
caller presses a key as an event (RFC 4733) about once a second. Each is noted with its moment.

Rules: a thread sends from the answer on, whatever the recorder says afterwards; requests
are sent again until they are answered, also by a recorder that was dead meanwhile.
"""

from __future__ import annotations

import contextlib
import io
import secrets
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import soundfile

from recorder.client.call import PACKETS_PER_S, PAYLOAD_TYPE_EVENT, PAYLOAD_TYPE_PCMA, PlannedEvent
from recorder.client.keypad import EventPacket, event_packets
from recorder.sip.message import Response
from tests.raw_peer import METADATA, OCTETS_PER_PACKET, SDP, RawPeer, parties, together

INSIST_S_MAX = 45.0
T1_S = 0.5
_TONE_AT = 40  # where the tone begins in a packet that has one
_FREQUENCIES_HZ = {
    key: (low, high)
    for low, keys in zip((697, 770, 852, 941), ("123", "456", "789", "*0#"), strict=True)
    for high, key in zip((1209, 1336, 1477), keys, strict=True)
}

Samples = npt.NDArray[np.int16]


def decoded(octets: bytes) -> Samples:
    """Decode A-law by libsndfile, which knows nothing of our tables."""
    samples, _ = soundfile.read(
        io.BytesIO(octets), dtype="int16", format="RAW", subtype="ALAW", samplerate=8000, channels=1
    )
    return np.asarray(samples)


def _encoded(samples: npt.NDArray[np.float64]) -> bytes:
    written = io.BytesIO()
    soundfile.write(written, samples, 8000, format="RAW", subtype="ALAW")
    return written.getvalue()


def tone(key: str) -> bytes:
    """Return a second of the tone of a key (ITU-T Q.23) in A-law."""
    at_s = np.arange(8000) / 8000
    low, high = _FREQUENCIES_HZ[key]
    return _encoded(0.4 * np.sin(2 * np.pi * low * at_s) + 0.4 * np.sin(2 * np.pi * high * at_s))


@dataclass(frozen=True, slots=True)
class Sent:
    """A packet as it left: its line (0 the caller), its packet time, and when that was.

    It arrived between `at_ns` and `gone_ns`, in wall time: a busy machine makes that long.
    """

    line: int
    turn: int
    payload: bytes
    at_ns: int
    gone_ns: int
    is_event: bool = False


class Marks:
    """What the packets of one run have in common, so that one search finds all of them."""

    def __init__(self) -> None:
        self.mark = secrets.token_bytes(16)
        self.digits = f"{secrets.randbelow(10**10):010d}"
        self.tones = [tone(key) for key in self.digits]
        self._octet_of = np.zeros(1 << 16, np.uint8)
        self._octet_of[decoded(bytes(range(256))).astype(np.uint16)] = np.arange(256)
        samples = decoded(self.mark)
        self._forms = ((self.mark, ""), (samples.tobytes(), "<i2"), (samples.byteswap().tobytes(), ">i2"))

    def audio(self, line: int, turn: int, noise: bytes) -> bytes:
        """Return a packet's payload; `noise` is 144 octets that no other packet has."""
        payload = self.mark + noise
        second, place = divmod(turn, PACKETS_PER_S)
        if line == 1 and 20 <= place < 30:
            sound = self.tones[second % len(self.tones)]
            at = place * OCTETS_PER_PACKET
            payload = payload[:_TONE_AT] + sound[at + _TONE_AT : at + OCTETS_PER_PACKET]
        return payload

    def found_in(self, octets: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield each payload that bears the mark, as A-law octets or as samples, and its sample's number."""
        for form, kind in self._forms:
            width = 2 if kind else 1
            at = octets.find(form)
            while at >= 0:
                piece = octets[at : at + OCTETS_PER_PACKET * width]
                if kind:
                    samples = np.frombuffer(piece[: len(piece) // 2 * 2], kind)
                    piece = self._octet_of[samples.astype(np.int16).view(np.uint16)].tobytes()
                yield piece, at // width
                at = octets.find(form, at + 1)

    @property
    def forms(self) -> tuple[tuple[str, bytes], ...]:
        """How the mark looks as A-law and as samples, with a name each."""
        return tuple((f"the mark as {kind or 'A-law'}", form) for form, kind in self._forms)

    @property
    def dialled(self) -> tuple[bytes, ...]:
        """How the digits pressed would look in a text, wherever among them it begins."""
        turned = [self.digits[at:] + self.digits[:at] for at in range(len(self.digits))]
        joined = [
            mark.join(digits) for digits in turned for mark in ("", " ", ",", ", ", "', '", '", "', '","')
        ]
        return tuple(item.encode() for item in joined)


@dataclass
class MarkedPeer(RawPeer):
    """One call of marked packets, from `invite` on until `hang_up` or the end of the block."""

    marks: Marks = field(default_factory=Marks)
    seed: int = 0
    sent: list[Sent] = field(default_factory=list)
    version: int = 0

    def __enter__(self) -> Self:
        super().__enter__()
        self._noise = np.random.default_rng([self.seed, *self.call_id.encode()])
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._keys: dict[int, EventPacket] = {}
        self._keys_until = 0
        self._pressing = threading.Lock()
        self._wanted: list[int] = []
        return self

    def __exit__(self, *details: object) -> None:
        self.fall_silent()
        super().__exit__(*details)

    # What is said about the call.

    def offer(self, direction: str = "sendonly", *, address: str = "127.0.0.1") -> bytes:
        """Return the next offer: both streams, with telephone-events."""
        self.version += 1
        lines = ["v=0", f"o=raw 7 {self.version} IN IP4 {self.host}", "s=-", f"c=IN IP4 {address}", "t=0 0"]
        for label, port in enumerate(self.ports, start=1):
            lines += [
                f"m=audio {port} RTP/AVP {PAYLOAD_TYPE_PCMA} {PAYLOAD_TYPE_EVENT}",
                f"a=rtpmap:{PAYLOAD_TYPE_PCMA} PCMA/8000",
                f"a=rtpmap:{PAYLOAD_TYPE_EVENT} telephone-event/8000",
                f"a=label:{label}",
                f"a={direction}",
            ]
        return "".join(f"{line}\r\n" for line in lines).encode()

    def invite(self, caller: str, callee: str, *, described: bool = True) -> Response:
        """Offer the call, with its metadata or without, and begin to send."""
        body = together(self.offer(), parties(caller, callee)) if described else (SDP, self.offer())
        answer = self.insist("INVITE", *body)
        assert answer.status == 200, answer
        self._wanted = self.destinations()
        self._thread.start()
        return answer

    def hold(self, how: str = "inactive") -> Response:
        """Stop the media by SIP, and go on sending: `inactive`, or an `address` of zero."""
        sdp = self.offer("inactive") if how == "inactive" else self.offer(address="0.0.0.0")
        return self.insist("INVITE", SDP, sdp)

    def unhold(self) -> Response:
        """Offer the media again."""
        return self.insist("INVITE", SDP, self.offer())

    def describe(self, document: bytes) -> Response:
        """Send new metadata."""
        return self.insist("UPDATE", METADATA, document)

    def insist(self, method: str, kind: str = "", body: bytes = b"", *headers: tuple[str, str]) -> Response:
        """Send a request until it is answered (RFC 3261 section 17.1), and return the final answer."""
        data = self.request(method, kind, body, *headers)
        mine = f"{self.cseq} {method}"
        deadline = time.monotonic() + INSIST_S_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionError):
                self.send(data)
            answer = self.maybe_final(T1_S)
            while answer is not None and answer.headers.first("CSeq") != mine:
                answer = self.maybe_final(T1_S)
            if answer is not None:
                self._take(method, answer)
                return answer
        raise AssertionError(f"{method} was never answered.")

    def _take(self, method: str, answer: Response) -> None:
        if method == "INVITE":
            self.to_tag = self.to_tag or (answer.headers.first("To") or "").partition(";tag=")[2]
            self.answer_sdp = answer.body
            self.send(self.request("ACK", cseq=self.cseq))

    def hang_up(self) -> Response:
        """Fall silent and say BYE."""
        self.fall_silent()
        return self.insist("BYE")

    def fall_silent(self) -> None:
        """Send no more packets."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(10)

    # What is sent.

    def press(self, keys: str) -> None:
        """Press keys as events, one after the other, soon."""
        with self._pressing:
            self._schedule(keys, self.turn + 2)

    def _schedule(self, keys: str, turn: int) -> None:
        turn = max(turn, self._keys_until)
        pressed = event_packets((PlannedEvent(turn / PACKETS_PER_S, keys),))
        self._keys |= pressed
        self._keys_until = max(pressed) + 4

    def _talk(self) -> None:
        start = time.monotonic()
        while not self._ending.is_set():
            time.sleep(max(0.0, start + self.turn / PACKETS_PER_S - time.monotonic()))
            with self._pressing:
                if self.turn % PACKETS_PER_S == 0 and self._keys_until <= self.turn:
                    digits = self.marks.digits
                    self._schedule(digits[self.turn // PACKETS_PER_S % len(digits)], self.turn + 5)
                event = self._keys.pop(self.turn, None)
            self._send_audio(1)
            self._send_audio(0) if event is None else self._send_event(event)
            self.turn += 1

    def _send_audio(self, line: int) -> None:
        noise = self._noise.bytes(OCTETS_PER_PACKET - len(self.marks.mark))
        payload = self.marks.audio(line, self.turn, noise)
        self._send(line, (PAYLOAD_TYPE_PCMA, self.turn * OCTETS_PER_PACKET), payload)

    def _send_event(self, event: EventPacket) -> None:
        kind = PAYLOAD_TYPE_EVENT | 0x80 * event.marker
        self._send(0, (kind, event.offset), event.payload)

    def _send(self, line: int, facts: tuple[int, int], payload: bytes) -> None:
        if line >= len(self._wanted):
            return
        kind, timestamp = facts
        header = struct.pack("!BBHII", 0x80, kind, self.turn & 0xFFFF, timestamp, 0x2000 + line)
        is_event = kind & 0x7F == PAYLOAD_TYPE_EVENT
        at_ns = time.time_ns()
        with contextlib.suppress(OSError):
            self.rtp[line].sendto(header + payload, ("127.0.0.1", self._wanted[line]))
        self.sent.append(Sent(line, self.turn, payload, at_ns, time.time_ns(), is_event))
