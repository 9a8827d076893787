"""How long a person waits for a pause and a resume over the HTTP API; by hand or by `make bench`.

    python tests/benchmarks/bench_commands.py [--calls N ...] [--at-once N ...] [--rounds N]

A whole service runs (`earwitness up` in a scratch folder) with calls of one user under way,
each of two streams of 20 ms packets sent by a process of its own. Every round asks each of
so many calls, all at once, first for itself (GET /v1/calls/{id}), then to pause, then to
resume, by the key of that user over connections that stay open. A command is measured from its request
to its 201, which is said once the command is durable in the journal, shown in the catalogue
and entered in the audit log. The GET is the baseline of the same run: what authentication,
one read and an audit entry take.

`edge ms` is what a caller may have said on tape after the button was pressed: from the request
to `effectiveAt`, from which on nothing is captured (or is again).

Aim: p95 300 ms for a pause.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import local

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from recorder.client.call import CallPlan, StreamPlan
from recorder.client.session import SessionRecordingClient
from tests.running_service import RunningService, eventually

CALLER, CALLEE = "+31201234501", "+31612345678"
P95_MS_MAX = 300.0
LONGEST_S = 1800
"""Audio of a call that is hung up when all was measured."""

CALL_S = 0.05
"""Between two new calls: the client has one core to share with what is measured."""

WARM_UP_ROUNDS = 3


@dataclass
class Timings:
    """What was measured of one kind of request, in milliseconds."""

    took_ms: list[float] = field(default_factory=list)
    edge_ms: list[float] = field(default_factory=list)

    def row(self) -> list[float]:
        """Return p50, p95, p99 and the longest."""
        return [*(percentile(self.took_ms, share) for share in (0.5, 0.95, 0.99)), max(self.took_ms)]


@dataclass(frozen=True)
class Result:
    """One run: so many calls under way, so many commands at once."""

    calls: int
    at_once: int
    timings: dict[str, Timings]


class Caller:
    """Asks the HTTP API over one connection a thread."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {key}"}
        self._own = local()

    def ask(self, method: str, path: str, status: int) -> tuple[float, float, dict[str, str]]:
        """Return when it was asked by the wall clock, how long it took in ms, and the answer."""
        if not hasattr(self._own, "connection"):
            self._own.connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        asked_s, began = time.time(), time.perf_counter()
        self._own.connection.request(method, path, headers=self._headers)
        answer = self._own.connection.getresponse()
        content = answer.read()
        took_ms = (time.perf_counter() - began) * 1000
        if answer.status != status:
            raise SystemExit(f"{method} {path}: {answer.status} {content.decode()}")
        return asked_s, took_ms, json.loads(content)

    def time(self, call_id: str, verb: str, timings: Timings) -> None:
        """Ask a call for itself, or give it a command, and note how long that took."""
        if verb == "GET":
            timings.took_ms.append(self.ask("GET", f"/v1/calls/{call_id}", 200)[1])
            return
        asked_s, took_ms, document = self.ask("POST", f"/v1/calls/{call_id}/{verb}s", 201)
        timings.took_ms.append(took_ms)
        # It has whole milliseconds, rounded down.
        timings.edge_ms.append((datetime.fromisoformat(document["effectiveAt"]).timestamp() - asked_s) * 1000)


async def hold_calls(port: int, count: int, caller: str, pipe: Connection) -> None:
    """Place calls, say when all were answered, and hang up when told to."""
    audio, hang_up = secrets.token_bytes(LONGEST_S * 8000), asyncio.Event()
    answered = 0

    def count_answer(_: object) -> None:
        nonlocal answered
        answered += 1

    placing = []
    for _ in range(count):
        plan = CallPlan("127.0.0.1", port, caller, CALLEE, StreamPlan(audio), StreamPlan(audio))
        call = SessionRecordingClient().place(plan, on_answer=count_answer, hang_up=hang_up)
        placing.append(asyncio.create_task(call))
        await asyncio.sleep(CALL_S)
    while answered < count and not any(task.done() for task in placing):
        await asyncio.sleep(CALL_S)
    pipe.send(answered)
    await asyncio.to_thread(pipe.poll, LONGEST_S)
    hang_up.set()
    await asyncio.gather(*placing)


def place_calls(port: int, count: int, caller: str, pipe: Connection) -> None:
    """Be the process of the calls."""
    asyncio.run(hold_calls(port, count, caller, pipe))


@contextmanager
def calls_under_way(service: RunningService, count: int, caller: str = CALLER) -> Iterator[list[str]]:
    """Yield the ids of so many calls of one person under way, which end afterwards."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(
        target=place_calls, args=(service.sip_port, count, caller, theirs), daemon=True
    )
    process.start()
    try:
        if not ours.poll(60 + count) or ours.recv() != count:
            raise SystemExit("The service does not take the calls.")
        eventually(lambda: len(service.calls()) == count, f"{count} calls are shown")
        yield [call["id"] for call in service.calls()]
        ours.send("hang up")
        process.join(60)
        eventually(lambda: not service.calls(), "all calls are over")
    finally:
        process.kill()


def measure(caller: Caller, call_ids: list[str], at_once: int, rounds: int) -> Result:
    """Ask so many calls at once, again and again, and take turns among all."""
    timings = {verb: Timings() for verb in ("GET", "pause", "resume")}
    unmeasured = {verb: Timings() for verb in timings}
    with ThreadPoolExecutor(at_once) as pool:
        for number in range(-WARM_UP_ROUNDS, rounds):
            noted = timings if number >= 0 else unmeasured
            first = number * at_once
            chosen = [call_ids[(first + index) % len(call_ids)] for index in range(at_once)]
            for verb, noting in noted.items():
                list(pool.map(caller.time, chosen, [verb] * at_once, [noting] * at_once))
    return Result(len(call_ids), at_once, timings)


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def show(results: list[Result]) -> None:
    """Print a table with ratios to the GET of the same run, p50 to p50 and p95 to p95."""
    print(
        f"{'':8}{'calls':>6}{'at once':>8}{'asked':>7}{'p50 ms':>8}{'p95 ms':>8}{'p99 ms':>8}{'max ms':>8}",
        end="",
    )
    print(f"{'p50 ratio':>11}{'p95 ratio':>11}{'edge p50 ms':>13}{'edge p95 ms':>13}")
    for result in results:
        baseline = result.timings["GET"].row()
        for verb, timings in result.timings.items():
            row = timings.row()
            print(f"{verb:8}{result.calls:6}{result.at_once:8}{len(timings.took_ms):7}", end="")
            print("".join(f"{value:8.1f}" for value in row), end="")
            print(f"{row[0] / baseline[0]:11.2f}{row[1] / baseline[1]:11.2f}", end="")
            edges = [percentile(timings.edge_ms, share) for share in (0.5, 0.95) if timings.edge_ms]
            print("".join(f"{value:13.1f}" for value in edges))
    worst = max(percentile(result.timings["pause"].took_ms, 0.95) for result in results)
    print(f"the worst p95 of a pause is {worst:.0f} ms; aim at most {P95_MS_MAX:.0f} ms")


def main() -> int:
    """Measure and print the table; the exit code says whether all was obeyed, not how fast it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 8, 50])
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    results = []
    print(f"load before: {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory() as scratch:
        service = RunningService(Path(scratch) / "data")
        service.start()
        try:
            service.prepare(("anna", CALLER, "90d", "always-pause"))
            caller = Caller(service.portal_port, service.key_of("anna"))
            for calls in options.calls:
                with calls_under_way(service, calls) as call_ids:
                    # A call that is paused refuses to be paused: no more at once than there are calls.
                    for at_once in (number for number in options.at_once if number <= calls):
                        rounds = max(1, options.rounds // at_once)
                        results.append(measure(caller, call_ids, at_once, rounds))
        finally:
            service.kill_everything()
    show(results)
    print(f"load afterwards: {os.getloadavg()[0]:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
