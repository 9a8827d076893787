"""Calls that go on while a test breaks the service under them, and what is left of them.

Every packet carries octets of its own, so that each one is found again in the
recording or is proved to be missing; and each is known by the moment it was sent.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import secrets
import signal
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
import psutil
import soundfile

from recorder.client.call import (
    PACKET_OCTETS,
    CallPlan,
    Ending,
    PlacedCall,
    SentPacket,
    SentStream,
    StreamPlan,
    Transport,
)
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
            StreamPlan(octets(seconds, int(call_id, 16))),
            StreamPlan(octets(seconds, int(call_id, 16) + 1)),
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
        assert call.answered.is_set(), (
            f"the call was answered {call.task.result() if call.task.done() else ''}"
        )
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
class Outage:
    """Nobody listened from `down_s` to `up_s`, by `time.monotonic`."""

    down_s: float
    up_s: float


def check_gaps(
    service: RunningService, placed: PlacedCall, *outages: Outage, told_as: str = "restart"
) -> float:
    """Check a call during which nobody listened for a while, and return the worst loss before, in seconds.

    There is one recording of it. Of all that was sent, it lacks only what was sent in an
    outage and in at most one second before it; and just that is told as a loss.
    """
    recording = service.recording_of(placed.call_id)
    samples = heard(service, recording["id"])
    assert [item["callId"] for item in service.recordings()].count(placed.call_id) == 1
    worst = 0.0
    for column, stream in enumerate(placed.streams):
        gone = missing(stream, samples[:, column])
        for packet in gone:
            near = [outage for outage in outages if outage.down_s - 1.0 <= packet.sent_s <= outage.up_s]
            assert near, f"missing, though sent {[packet.sent_s - item.down_s for item in outages]} s after"
            worst = max(worst, near[0].down_s - packet.sent_s)
        lost = [
            span
            for span in recording["spans"]
            if span["kind"] == "loss" and span["channel"] in {"both", recording["parties"][column]["channel"]}
        ]
        assert all(span["by"] == told_as for span in lost), lost
        told = {at_ms for span in lost for at_ms in range(span["fromMs"], span["toMs"])}
        begin_ms = offset_of(stream, samples[:, column]) // 8
        silent = {begin_ms + packet.index * 20 + at_ms for packet in gone for at_ms in range(20)}
        assert len(silent - told) <= len(outages) * 20, (sorted(silent - told)[:3], lost)
        if placed.ending is Ending.HUNG_UP:
            # Of a client that went away during an outage nobody knows how long it went on sending.
            assert len(told - silent) <= len(outages) * 20, (sorted(told - silent)[:3], lost)
    return worst


def missing(stream: SentStream, channel: Samples) -> list[SentPacket]:
    """Return the packets that do not stand at their place in the channel."""
    begin = offset_of(stream, channel)
    return [
        packet
        for packet in stream.packets
        if not np.array_equal(_place(begin, packet.index, channel), decoded(packet.payload))
    ]


def offset_of(stream: SentStream, channel: Samples) -> int:
    """Return where packet 0 stands, or would stand, in a channel: told by the first packets that are there."""
    content = channel.tobytes()
    for first, last in pairwise(range(0, len(stream.packets), 5)):
        packets = stream.packets[first:last]
        at = content.find(decoded(b"".join(packet.payload for packet in packets)).tobytes())
        if at >= 0:
            return at // 2 - packets[0].index * PACKET_OCTETS
    raise AssertionError("not one packet is in the channel")


def _place(begin: int, index: int, channel: Samples) -> Samples:
    at = begin + index * PACKET_OCTETS
    if at < 0:
        return channel[:0]
    return channel[at : at + PACKET_OCTETS]


async def until(look: Callable[[], T], what: str, within_s: float = 60.0) -> T:
    """Wait for a true value without holding up the calls."""
    return await asyncio.to_thread(eventually, look, what, within_s)


async def all_of(works: list[Awaitable[T]]) -> list[T]:
    """Return the results of all, in order."""
    return list(await asyncio.gather(*works))


def is_ready(service: RunningService) -> bool:
    """Tell whether the recorder takes calls."""
    try:
        with urllib.request.urlopen(f"{_admin(service)}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def waiting(service: RunningService) -> int:
    """Return how many recordings wait for the archive, by the recorder's own count."""
    with urllib.request.urlopen(f"{_admin(service)}/metrics", timeout=2) as answer:
        lines = answer.read().decode().splitlines()
    return int(
        float(next(line.split()[1] for line in lines if line.startswith("earwitness_archive_waiting ")))
    )


def _admin(service: RunningService) -> str:
    return str(json.loads((service.directory / "service.json").read_text())["recorder_admin"])


def is_gone(process: psutil.Process) -> bool:
    """Tell whether a process has ended."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


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
