"""Whatever is killed, calls that run go on being recorded, in the same recording, and nobody has to do a thing.

Promise I1: audio older than a second is never lost by kill -9, and a call that goes
on while the recorder restarts goes on being recorded.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from recorder.client.call import Ending, PlacedCall, Transport
from tests.conftest import ANNA
from tests.crash.calls import QUICK_T1_S, Call, all_of, beside, check_gap, kill, named, until
from tests.running_service import RunningService

CALLS = 20
GONE = 6
CAPTURE = "recorder.capture.process"


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with two capture processes that soon gives up calls nobody is in any more."""
    settings = {"media_silence_s": "20", "recovery_silence_s": "3", "capture_processes": "2"}
    running = RunningService(Path(tmp_path_factory.mktemp("crashing")) / "data", **settings)
    try:
        running.start()
        running.prepare(("anna", ANNA, "365d", "always"))
        yield running
    finally:
        running.kill_everything()


def is_ready(service: RunningService) -> bool:
    """Tell whether the recorder takes calls."""
    address = json.loads((service.directory / "service.json").read_text())["recorder_admin"]
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def deleted_journals(service: RunningService) -> list[str]:
    """Return journal files a process writes to although they have no name any more."""
    found = []
    for process in service.processes():
        for descriptor in Path(f"/proc/{process.pid}/fd").glob("*"):
            try:
                target = os.readlink(descriptor)
            except OSError:
                continue
            if ".journal (deleted)" in target:
                found.append(target)
    return found


async def begin(service: RunningService, count: int, **options: float) -> list[Call]:
    """Begin calls, every fourth of them over TCP."""
    return await all_of(
        [
            Call.begin(service, ANNA, transport=Transport.UDP if number % 4 else Transport.TCP, **options)
            for number in range(count)
        ]
    )


def report(what: str, lost: list[float]) -> None:
    """Print what was measured."""
    print(f"{what}: {max(lost):.3f} s of what was sent before it were missing in the worst of {len(lost)} calls")


async def test_calls_outlive_a_kill_of_every_process(crashing: RunningService) -> None:
    """Twenty calls run, all processes die, some clients go meanwhile: each call has its one recording."""
    going = await begin(crashing, CALLS - GONE)
    leaving = await begin(crashing, GONE, t1_s=QUICK_T1_S)
    await asyncio.sleep(3)
    down_s = time.monotonic()
    await beside(crashing.kill_everything)
    gone = await all_of([call.end() for call in leaving])
    assert {call.ending for call in gone} == {Ending.BYE_UNANSWERED}
    await beside(crashing.start)
    up_s = time.monotonic()
    assert not deleted_journals(crashing)
    await asyncio.sleep(3)
    placed = await all_of([call.end() for call in going])
    assert {call.ending for call in placed} == {Ending.HUNG_UP}
    lost = [await beside(lambda call=call: check_gap(crashing, call, down_s, up_s)) for call in placed]
    for call in gone:
        last_s = call.streams[0].packets[-1].sent_s
        lost.append(await beside(lambda call=call: check_gap(crashing, call, down_s, last_s)))
        assert (await beside(lambda call=call: crashing.recording_of(call.call_id)))["endReason"] == "client lost"
    report("everything killed", lost)


async def test_calls_outlive_two_kills_of_the_recorder_and_obey_their_dialogs(crashing: RunningService) -> None:
    """A restored dialog takes re-INVITE and BYE; what is journalled after a restart outlives the next one."""
    pausing = await all_of([Call.begin(crashing, ANNA, seconds=33, pause=(27.0, 30.0)) for _ in range(2)])
    going = await begin(crashing, 4)
    await asyncio.sleep(2)
    kills = []
    for _ in range(2):
        recorder = crashing.role("recorder")
        down_s = kill([recorder])
        await until(lambda recorder=recorder: not recorder.is_running() or recorder.status() == "zombie", "dead")
        await until(lambda: is_ready(crashing), "the recorder takes calls again", 22.0)
        kills.append((down_s, time.monotonic()))
        await asyncio.sleep(1.5)
    paused = await all_of([call.ended() for call in pausing])
    for call in paused:
        assert call.answers == (("INVITE", 200), ("INVITE", 200), ("BYE", 200))
    placed = await all_of([call.end() for call in going])
    assert {call.answers for call in placed} == {(("BYE", 200),)}
    for call in [*placed, *paused]:
        await beside(lambda call=call: check_two_gaps(crashing, call, kills))


def check_two_gaps(service: RunningService, placed: PlacedCall, kills: list[tuple[float, float]]) -> None:
    """Check each half of a call by itself: a recording with one gap for each kill."""
    raise NotImplementedError


def ask(service: RunningService, request: str) -> str:
    """Send a request over UDP and return the answer."""
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(("127.0.0.1", service.sip_port))
        client.send(request.replace("\n", "\r\n").encode())
        return client.recv(65536).decode()
