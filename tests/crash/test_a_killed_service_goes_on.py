"""Whatever is killed: calls that run go on being recorded, each in its recording, and nobody has to do a thing.

Promise I1: audio older than a second is never lost by kill -9, and a call that goes
on while the recorder restarts goes on being recorded.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from asyncio import to_thread
from functools import partial
from pathlib import Path

from recorder.client.call import Ending, PlacedCall, Transport
from tests.conftest import ANNA
from tests.crash.calls import (
    QUICK_T1_S,
    Call,
    Outage,
    all_of,
    check_gaps,
    is_gone,
    is_ready,
    kill,
    named,
    until,
)
from tests.running_service import RunningService

CALLS, LEAVING = 20, 6
READY_S_MAX = 120.0
PAUSE_S_MAX = 120.0
"""The other calls of a test still have audio then."""
CAPTURE = "recorder.capture.process"


def nameless_journals(service: RunningService) -> list[str]:
    """Return journal files that a process writes to although they were removed."""
    found = []
    for process in service.processes():
        for descriptor in Path(f"/proc/{process.pid}/fd").glob("*"):
            try:
                target = os.readlink(descriptor)
            except OSError:
                continue
            if target.endswith(".journal (deleted)"):
                found.append(target)
    return found


async def begin(service: RunningService, count: int, *, t1_s: float = 0.5) -> list[Call]:
    """Begin calls, every fourth of them over TCP."""
    transports = [Transport.UDP if number % 4 else Transport.TCP for number in range(count)]
    return await all_of([Call.begin(service, ANNA, transport=each, t1_s=t1_s) for each in transports])


async def check(
    service: RunningService, what: str, calls: list[PlacedCall], *outages: Outage, told_as: str = "restart"
) -> None:
    """Check each call, and print what was measured."""
    lost = [await to_thread(partial(check_gaps, service, call, *outages, told_as=told_as)) for call in calls]
    away = ", ".join(f"{outage.up_s - outage.down_s:.1f}" for outage in outages)
    print(f"{what}: away for {away} s; at worst {max(lost):.3f} s before it are missing in {len(lost)} calls")


async def test_calls_outlive_a_kill_of_every_process(crashing: RunningService) -> None:
    """Twenty calls run, all processes die, some clients go meanwhile: each call has its one recording."""
    going = await begin(crashing, CALLS - LEAVING)
    leaving = await begin(crashing, LEAVING, t1_s=QUICK_T1_S)
    await asyncio.sleep(3)
    down_s = time.monotonic()
    await to_thread(crashing.kill_everything)
    gone = await all_of([call.end() for call in leaving])
    assert {call.ending for call in gone} == {Ending.BYE_UNANSWERED}
    await to_thread(crashing.start)
    outage = Outage(down_s, time.monotonic())
    assert not nameless_journals(crashing)
    await asyncio.sleep(3)
    placed = await all_of([call.end() for call in going])
    assert {call.answers for call in placed} == {(("BYE", 200),)}
    await check(crashing, "everything killed", [*placed, *gone], outage)
    for call in gone:
        assert (await to_thread(crashing.outcome_of, call.call_id))["reason"] == "client lost"


async def test_calls_outlive_two_kills_of_the_recorder_and_obey_their_dialogs(
    crashing: RunningService,
) -> None:
    """A restored dialog takes re-INVITE and BYE, and what is journalled after a restart outlives the next."""
    # Not before the second restart is through: a recorder alone starts in less than half of a whole start.
    pause_s = min(max(14.0, 2 * crashing.start_s), PAUSE_S_MAX)
    begun = partial(Call.begin, crashing, ANNA, seconds=pause_s + 4, pause=(pause_s, pause_s + 2))
    pausing = await all_of([begun() for _ in range(2)])
    going = await begin(crashing, 4)
    outages = []
    for _ in range(2):
        await asyncio.sleep(2)
        recorder = crashing.role("recorder")
        down_s = kill([recorder])
        await until(partial(is_gone, recorder), "the recorder is dead")
        await until(lambda: is_ready(crashing), "the recorder takes calls again", READY_S_MAX)
        outages.append(Outage(down_s, time.monotonic()))
    assert not nameless_journals(crashing)
    paused = await all_of([call.ended() for call in pausing])
    assert {call.answers for call in paused} == {(("INVITE", 200), ("INVITE", 200), ("BYE", 200))}
    placed = await all_of([call.end() for call in going])
    assert {call.answers for call in placed} == {(("BYE", 200),)}
    await check(crashing, "recorder killed twice", [*placed, *paused], *outages)
    for call in paused:
        recording = await to_thread(crashing.recording_of, call.call_id)
        assert [span for span in recording["spans"] if span["kind"] == "hold" and span["by"] == "exchange"]


async def test_a_request_of_a_dialog_nobody_knows_is_answered_481(crashing: RunningService) -> None:
    """A BYE of a call that was over before the restart, or never was, gets the answer that ends it."""
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(("127.0.0.1", crashing.sip_port))
        lines = (
            f"BYE sip:srs@127.0.0.1:{crashing.sip_port} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{client.getsockname()[1]};branch=z9hG4bKunknown;rport",
            "Max-Forwards: 70",
            "From: <sip:src@exchange.example>;tag=one",
            "To: <sip:srs@127.0.0.1>;tag=two",
            "Call-ID: nobody-knows-this-call",
            "CSeq: 2 BYE",
            "Content-Length: 0",
        )
        client.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        assert client.recv(65536).startswith(b"SIP/2.0 481 ")


async def test_calls_outlive_a_kill_of_a_capture_process(crashing: RunningService) -> None:
    """Signalling keeps the sockets, so that the kernel keeps the packets until the next process is there."""
    calls = await begin(crashing, 8)
    outages = []
    for victim in named(crashing, CAPTURE):
        await asyncio.sleep(2)
        down_s = kill([victim])
        await until(partial(is_gone, victim), "the capture process is dead")
        # Not a packet that was sent from now on may be missing: the ports were never closed.
        outages.append(Outage(down_s, time.monotonic()))
    await asyncio.sleep(3)
    assert len(named(crashing, CAPTURE)) == 2
    placed = await all_of([call.end() for call in calls])
    await check(crashing, "capture killed", placed, *outages, told_as="")
    await until(lambda: is_ready(crashing), "the recorder takes calls")


async def test_a_stop_and_a_start_during_a_call_do_not_end_it(crashing: RunningService) -> None:
    """After SIGTERM and the next start the call goes on in the same recording."""
    calls = await begin(crashing, 4)
    await asyncio.sleep(2)
    down_s = time.monotonic()
    assert await to_thread(crashing.stop) == 0
    stopped_s = time.monotonic() - down_s
    await to_thread(crashing.start)
    outage = Outage(down_s, time.monotonic())
    await asyncio.sleep(2)
    placed = await all_of([call.end() for call in calls])
    assert {call.answers for call in placed} == {(("BYE", 200),)}
    await check(crashing, f"stopped in {stopped_s:.1f} s and started", placed, outage)


async def test_nothing_stays_behind_when_only_the_supervisor_is_killed(crashing: RunningService) -> None:
    """All that it started ends by itself, finalisers too, and the next start goes on with the calls."""
    calls = await begin(crashing, 2)
    short = await Call.begin(crashing, ANNA, seconds=1)
    await to_thread(crashing.recording_of, (await short.ended()).call_id)
    everything = crashing.processes()
    assert named(crashing, "multiprocessing.spawn"), "a finaliser runs"
    down_s = kill(everything[:1])
    await until(lambda: all(is_gone(process) for process in everything), "every process has ended", 20.0)
    await to_thread(crashing.kill_everything)
    await to_thread(crashing.start)
    outage = Outage(down_s, time.monotonic())
    await asyncio.sleep(2)
    placed = await all_of([call.end() for call in calls])
    await check(crashing, "supervisor killed", placed, outage)


async def test_no_journal_file_stays_that_nobody_needs(crashing: RunningService) -> None:
    """When all calls are archived there is one file left for each process that writes."""

    def files() -> list[str]:
        return [path.name for path in (crashing.directory / "journal").glob("*/epoch-*")]

    writers = 1 + len(named(crashing, CAPTURE))
    await until(lambda: len(files()) <= writers, f"{writers} files are left")
