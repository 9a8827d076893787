"""Calls that go on while a test breaks the service under them, and what is left of them.

Every packet carries octets of its own, so that each one is found again in the
recording or is proved to be missing; and each is known by the moment it was sent.
"""

from __future__ import annotations

import asyncio
import io
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import psutil
import soundfile

from recorder.client.call import PACKET_OCTETS, CallPlan, PlacedCall, SentStream, StreamPlan, Transport
from recorder.client.session import SessionRecordingClient
from tests.running_service import RunningService, eventually

CALLEE = "+31612345678"
LONGEST_S = 150
"""Audio of a call that ends when it is told to; longer than any test waits."""

QUICK_T1_S = 0.02
"""A client that gives up its BYE after 64 times this, and so is gone while nobody answers."""

T = TypeVar("T")
Samples = npt.NDArray[np.int16]


def octets(seconds: float, seed: int) -> bytes:
    """Return A-law octets of every value, so that nothing can be equal by chance."""
    return np.random.default_rng(seed).integers(0, 256, int(seconds * 8000), np.uint8).tobytes()


def decoded(sent: bytes) -> Samples:
    """Decode A-law by libsndfile, which knows nothing of our tables."""
    samples, _ = soundfile.read(
        io.BytesIO(sent), dtype="int16", format="RAW", subtype="ALAW", samplerate=8000, channels=1
    )
    return np.asarray(samples)


def heard(service: RunningService, recording_id: str) -> Samples:
    """Fetch the FLAC over HTTP and return its samples, one column a channel."""
    answer = service.get(f"/v1/recordings/{recording_id}/audio?format=flac")
    assert answer.status == 200, answer.body
    samples, rate = soundfile.read(io.BytesIO(answer.body), dtype="int16", always_2d=True)
    assert rate == 8000
    return np.asarray(samples)


@dataclass
class Call:
    """One call under way; `end` hangs up."""

    call_id: str
    hang_up: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[PlacedCall] | None = None

    @classmethod
    async def begin(
        cls,
        service: RunningService,
        caller: str,
        *,
        transport: Transport = Transport.UDP,
        t1_s: float = 0.5,
        seconds: float = LONGEST_S,
        pause: tuple[float, float] | None = None,
    ) -> Self:
        """Place a call and return when it was answered 200."""
        call_id = secrets.token_hex(8)
        call = cls(call_id)
        plan = CallPlan(
            "127.0.0.1",
            service.sip_port,
            caller,
            CALLEE,
            *(StreamPlan(octets(seconds, int(call_id, 16) + side)) for side in (0, 1)),
            transport=transport,
            call_id=call_id,
            pause_at_s=pause[0] if pause else None,
            resume_at_s=pause[1] if pause else None,
        )
        client = SessionRecordingClient(t1_s=t1_s)
        placing = client.place(plan, on_answer=lambda _: call.answered.set(), hang_up=call.hang_up)
        call.task = asyncio.create_task(placing)
        answered = asyncio.create_task(call.answered.wait())
        await asyncio.wait((call.task, answered), timeout=32, return_when=asyncio.FIRST_COMPLETED)
        answered.cancel()
        assert call.answered.is_set(), f"the call was answered {call.task.result() if call.task.done() else ''}"
        return call

    async def end(self) -> PlacedCall:
        """Hang up and return what was sent."""
        self.hang_up.set()
        return await self.ended()

    async def ended(self) -> PlacedCall:
        """Return what was sent when the call has ended by itself."""
        assert self.task is not None
        return await self.task


@dataclass(frozen=True)
class Missing:
    """What of a stream is not in the recording: when it was sent, by `time.monotonic`."""

    packets: int
    first_s: float
    last_s: float
    from_ms: int
    to_ms: int


def missing(stream: SentStream, channel: Samples) -> Missing | None:
    """Return what is missing; fails when it is more than one stretch, or anything stands elsewhere."""
    begin = offset_of(stream, channel)
    gone = [
        packet
        for packet in stream.packets
        if not np.array_equal(_place(begin, packet.index, channel), decoded(packet.payload))
    ]
    if not gone:
        return None
    indices = [packet.index for packet in gone]
    sent_between = [item for item in stream.packets if indices[0] <= item.index <= indices[-1]]
    assert len(gone) == len(sent_between), "more than one stretch is missing"
    from_ms, to_ms = ((begin // 8) + index * 20 for index in (indices[0], indices[-1] + 1))
    return Missing(len(gone), gone[0].sent_s, gone[-1].sent_s, from_ms, to_ms)


def offset_of(stream: SentStream, channel: Samples) -> int:
    """Return where packet 0 stands in a channel."""
    first = b"".join(packet.payload for packet in stream.packets[:5])
    at = channel.tobytes().find(decoded(first).tobytes())
    assert at >= 0, "the first packets are nowhere in the channel"
    return at // 2 - stream.packets[0].index * PACKET_OCTETS


def _place(begin: int, index: int, channel: Samples) -> Samples:
    at = begin + index * PACKET_OCTETS
    return channel[at : at + PACKET_OCTETS]


def check_gap(
    service: RunningService, placed: PlacedCall, down_s: float, up_s: float, *, restarted: bool = True
) -> float:
    """Check a call that was under way while nobody listened from `down_s` to `up_s`.

    There is one recording of it, all but one second of what was sent before stands in
    it, and all that was sent afterwards; what is missing is told as a loss. Returns the
    seconds that were missing before `down_s`.
    """
    recording = service.recording_of(placed.call_id)
    samples = heard(service, recording["id"])
    assert [item["callId"] for item in service.recordings()].count(placed.call_id) == 1
    worst = 0.0
    for column, stream in enumerate(placed.streams):
        gone = missing(stream, samples[:, column])
        if gone is None:
            continue
        assert gone.first_s >= down_s - 1.0, f"{down_s - gone.first_s:.2f} s before the kill are missing"
        assert gone.last_s <= up_s, f"{gone.last_s - up_s:.2f} s after it was ready again are missing"
        worst = max(worst, down_s - gone.first_s)
        _check_told(recording, column, gone, restarted=restarted)
    return worst


def _check_told(recording: dict[str, Any], column: int, gone: Missing, *, restarted: bool) -> None:
    """Check that the spans tell a loss where something is missing, to a packet."""
    lost = [
        span
        for span in recording["spans"]
        if span["kind"] == "loss" and span["channel"] in {recording["parties"][column]["channel"], "both"}
    ]
    told = {at for span in lost for at in range(span["fromMs"], span["toMs"])}
    wanted = set(range(gone.from_ms, gone.to_ms))
    # A call that nobody came back for ends with what was heard last.
    wanted = {at for at in wanted if at < recording["durationMs"]}
    assert len(wanted - told) <= 20, (gone, lost)
    assert len(told - wanted) <= 20, (gone, lost)
    assert not wanted or not restarted or any(span["by"] == "restart" for span in lost)


async def until(look: Callable[[], T], what: str, within_s: float = 60.0) -> T:
    """Wait for a true value without holding up the calls."""
    return await asyncio.to_thread(eventually, look, what, within_s)


async def beside(work: Callable[[], T]) -> T:
    """Do blocking work without holding up the calls."""
    return await asyncio.to_thread(work)


async def all_of(works: list[Awaitable[T]]) -> list[T]:
    """Return the results of all, in order."""
    return list(await asyncio.gather(*works))


def kill(processes: list[psutil.Process]) -> float:
    """Kill -9 and return the moment."""
    assert processes
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
    return time.monotonic()


def named(service: RunningService, word: str) -> list[psutil.Process]:
    """Return the processes of a service whose command line has a word in it."""
    found = []
    for process in service.processes():
        try:
            if any(word in argument for argument in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@contextmanager
def frozen(processes: list[psutil.Process]) -> Iterator[None]:
    """Let processes stand still: they hold their sockets and answer nothing."""
    assert processes
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            if process.is_running():
                process.resume()
