"""What capturing a packet costs, beside C programs that only throw packets away; run by `make bench`.

All receivers get the same load in the same run: `rtp_load.c` offers 100 packets a second
a call. The cost is CPU of the receiver's threads alone (`schedstat`); what the kernel does
for a packet before it is read falls on the sender here, as it does on the interrupt with a
network card, whatever the receiver is. Compare ratios; the machine moves the figures.

Goals: at most 2.0 times the C program that empties its sockets by the tick, less than the C
program on epoll, no packet lost, also when the process is stopped for 2 s.
"""

from __future__ import annotations

import argparse
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recorder.capture.handle import CaptureHandle
from recorder.capture.messages import (
    AddStream,
    CloseTrack,
    OpenTrack,
    Ready,
    Report,
    StreamActivity,
    TrackClosed,
)
from recorder.ports import MediaSockets, bind_pair

HERE = Path(__file__).resolve().parent
FIRST_PORT = 10000
ADDRESS = "127.0.0.1"
SETTLE_S = 0.9


@dataclass(frozen=True)
class Result:
    """One run of one receiver."""

    receiver: str
    calls: int
    cpu_us: float
    sent: int
    received: int


def build(directory: Path) -> None:
    """Compile both C programs with the system's compiler."""
    for name in ("rtp_load", "rtp_floor"):
        subprocess.run(["cc", "-O2", "-o", str(directory / name), str(HERE / f"{name}.c")], check=True)


def cpu_ns(pid: int) -> int:
    """Return the CPU time all threads of a process have used."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def offer(directory: Path, calls: int, seconds: float, pid: int, stall_s: float = 0.0) -> tuple[int, int]:
    """Send to all streams, perhaps with the receiver stopped for a while; return packets sent and its CPU."""
    before = cpu_ns(pid)
    command = [str(directory / "rtp_load"), str(2 * calls), str(FIRST_PORT), str(seconds)]
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if stall_s:
        time.sleep(seconds / 4)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(stall_s)
        os.kill(pid, signal.SIGCONT)
    output, _ = load.communicate(timeout=seconds + 30)
    time.sleep(SETTLE_S)
    return int(output), cpu_ns(pid) - before


def measure_floor(directory: Path, mode: str, calls: int, seconds: float) -> Result:
    """Measure one of the C programs."""
    command = [str(directory / "rtp_floor"), mode, str(2 * calls), str(FIRST_PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as floor:
        assert floor.stdout is not None
        assert floor.stdout.readline() == "ready\n"
        sent, used_ns = offer(directory, calls, seconds, floor.pid)
        floor.terminate()
        received = int(floor.stdout.read())
    return Result(f"C {mode}, discard", calls, used_ns / 1000 / sent, sent, received)


class Capturing:
    """Our capture process with the tracks and streams of some calls."""

    def __init__(self, journal_dir: Path, calls: int) -> None:
        self.reports: list[Report] = []
        self._handle = CaptureHandle(0, journal_dir)
        self.pid = self._handle.pid
        self.wait(lambda: self.count(Ready) == 1)
        self._uids = [secrets.token_bytes(16) for _ in range(calls)]
        self._sockets: list[MediaSockets] = []
        for number, uid in enumerate(self._uids):
            self._handle.send(OpenTrack(uid, secrets.token_bytes(32), time.time_ns(), True))
            for index in range(2):
                stream_id = 2 * number + index
                media = bind_pair(ADDRESS, FIRST_PORT + 2 * stream_id)
                self._sockets.append(media)
                stream = AddStream(stream_id, index, (uid,), ("127.0.0.0/8",), 8000, (0, 8, 101))
                self._handle.send_stream(stream, media.rtp, media.rtcp)
        self.wait(self._all_added)

    def _all_added(self) -> bool:
        last = [item for item in self.reports if isinstance(item, StreamActivity)]
        return bool(last) and len(last[-1].last_packet_ns) == len(self._sockets)

    def count(self, kind: type[Report]) -> int:
        """Return how many reports of a kind came."""
        return sum(isinstance(item, kind) for item in self.reports)

    def wait(self, done: Callable[[], bool]) -> None:
        """Read reports until `done`."""
        deadline = time.monotonic() + 30
        while not done():
            if time.monotonic() > deadline or not self._handle.alive():
                raise SystemExit("The capture process did not do what it was told.")
            select.select([self._handle], [], [], 0.1)
            self.reports += self._handle.reports()

    def finish(self) -> int:
        """Close all tracks and end the process; return how many packets are in the journal."""
        for uid in self._uids:
            self._handle.send(CloseTrack(uid))
        self.wait(lambda: self.count(TrackClosed) == len(self._uids))
        self.reports += self._handle.stop()
        for media in self._sockets:
            media.close()
        return sum(item.packets for item in self.reports if isinstance(item, TrackClosed))

    def facts(self) -> str:
        """Say how late ticks were and what the kernel dropped."""
        activity = [item for item in self.reports if isinstance(item, StreamActivity)]
        late_ms = max(item.late_ms for item in activity)
        return f"worst lateness {late_ms} ms, kernel drops {sum(item.kernel_drops for item in activity)}"


def measure_ours(directory: Path, calls: int, seconds: float, stall_s: float = 0.0) -> Result:
    """Measure the capture process: received, checked, sealed and journalled."""
    with tempfile.TemporaryDirectory(dir=directory) as journal:
        capturing = Capturing(Path(journal), calls)
        sent, used_ns = offer(directory, calls, seconds, capturing.pid, stall_s)
        received = capturing.finish()
        print(f"    earwitness at {calls} calls: {capturing.facts()}", file=sys.stderr)
    name = "earwitness, journalled" + (f", {stall_s:g} s stopped" if stall_s else "")
    return Result(name, calls, used_ns / 1000 / sent, sent, received)


def show(results: list[Result]) -> None:
    """Print a table with ratios to the C tick of the same number of calls."""
    floors = {item.calls: item.cpu_us for item in results if item.receiver.startswith("C tick")}
    print(f"{'receiver':36} {'calls':>6} {'us/packet':>10} {'ratio':>6} {'sent':>9} {'lost':>6}")
    for item in results:
        floor = floors.get(item.calls)
        ratio = f"{item.cpu_us / floor:6.2f}" if floor else "     -"
        lost = item.sent - item.received
        print(f"{item.receiver:36} {item.calls:6} {item.cpu_us:10.2f} {ratio} {item.sent:9} {lost:6}")


def main() -> int:
    """Run all receivers in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[100, 500, 1000])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--stall-calls", type=int, default=500)
    arguments = parser.parse_args()
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        build(directory)
        for calls in arguments.calls:
            if not arguments.only_ours:
                results += [
                    measure_floor(directory, mode, calls, arguments.seconds) for mode in ("tick", "epoll")
                ]
            results.append(measure_ours(directory, calls, arguments.seconds))
        if arguments.stall_calls:
            results.append(measure_ours(directory, arguments.stall_calls, max(6.0, arguments.seconds), 2.0))
    show(results)
    return int(any(item.sent != item.received for item in results))


if __name__ == "__main__":
    sys.exit(main())
