"""How long a client waits from INVITE to 200, at 50 new calls a second, by hand or by `make bench`.

    python tests/benchmarks/bench_invite.py [--seconds N] [--rate CALLS_PER_S] [--hold S]

A whole service runs (`earwitness up` in a scratch folder); calls are offered by UDP with
metadata, are acknowledged, send no audio, and hang up after the hold time. The
baseline of the same run is the time of an OPTIONS ping sent beside each INVITE: what
the machine, the loopback and the event loop cost without a recording.

Aim: p99 20 ms.
"""

from __future__ import annotations

import argparse
import select
import socket
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from recorder.client.call import CallPlan, StreamPlan
from recorder.client.description import Offered, body, metadata, offer
from tests.running_service import RunningService

CALLER, CALLEE = "+31201234501", "+31612345678"
P99_MS_MAX = 20.0


class Caller:
    """A crowd of clients on one UDP socket; `sent` maps a branch to when its request went out."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.local = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.remote = ("127.0.0.1", port)
        self.sent: dict[str, float] = {}
        self.took_ms: dict[str, list[float]] = {"INVITE": [], "OPTIONS": []}
        self.refused = 0
        plan = CallPlan("127.0.0.1", port, CALLER, CALLEE, StreamPlan(b""), StreamPlan(b""))
        offered = Offered("127.0.0.1", (40000, 40002), 1)
        document = metadata(plan, 2, datetime.now(UTC), uuid.uuid4)
        self.content_type, self.body = body(plan, offer(plan, offered, 1), document)

    def send(self, method: str, call_id: str, cseq: int, to_tag: str = "", content: bytes = b"") -> None:
        """Send one request of a call."""
        branch = f"z9hG4bK{uuid.uuid4().hex}"
        lines = [
            f"{method} sip:srs@{self.remote[0]}:{self.remote[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.local};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:src@{self.local}>;tag={call_id[:8]}",
            f"To: <sip:srs@127.0.0.1>{to_tag}",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:src@{self.local}>;+sip.src",
        ]
        if content:
            lines += ["Require: siprec", f"Content-Type: {self.content_type}"]
        lines += [f"Content-Length: {len(content)}", "", ""]
        if method in self.took_ms:
            self.sent[branch] = time.perf_counter()
        self.socket.sendto("\r\n".join(lines).encode() + content, self.remote)

    def take(self, until: float) -> list[tuple[str, str]]:
        """Read answers until then; returns (Call-ID, To tag) of the calls that were accepted."""
        accepted = []
        while (left := until - time.perf_counter()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                break
            text = self.socket.recv(65536).decode()
            now = time.perf_counter()
            head = dict(line.split(": ", 1) for line in text.split("\r\n\r\n")[0].split("\r\n")[1:])
            status, method = int(text.split()[1]), head["CSeq"].split()[1]
            branch = head["Via"].split("branch=")[1].split(";")[0]
            if status < 200 or branch not in self.sent:
                continue
            self.took_ms[method].append((now - self.sent.pop(branch)) * 1000)
            self.refused += status != 200
            if method == "INVITE" and status == 200:
                accepted.append((head["Call-ID"], head["To"].partition(">")[2]))
        return accepted


def run(caller: Caller, seconds: float, rate: float, hold_s: float) -> int:
    """Offer calls at a steady rate and hang each up after its time; returns how many were offered."""
    began = time.perf_counter()
    hanging_up: list[tuple[float, str, str]] = []
    offered = 0
    while offered < seconds * rate or hanging_up:
        due = began + offered / rate
        if offered < seconds * rate:
            call_id = f"{uuid.uuid4().hex}@bench"
            caller.send("OPTIONS", f"{uuid.uuid4().hex}@bench", 1)
            caller.send("INVITE", call_id, 1, content=caller.body)
            offered += 1
            due = began + offered / rate
        else:
            due = time.perf_counter() + 0.02
        for call_id, tag in caller.take(due):
            caller.send("ACK", call_id, 1, tag)
            hanging_up.append((time.perf_counter() + hold_s, call_id, tag))
        while hanging_up and hanging_up[0][0] <= time.perf_counter():
            _, call_id, tag = hanging_up.pop(0)
            caller.send("BYE", call_id, 2, tag)
    caller.take(time.perf_counter() + 1)
    return offered


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> int:
    """Run and print the table; the exit code says whether anything was refused, not how fast it was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--hold", type=float, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        service = RunningService(Path(scratch) / "data")
        service.rtp_ports = "20000-29999"
        service.start()
        try:
            service.prepare(("anna", CALLER, "90d", "always"))
            caller = Caller(service.sip_port)
            run(caller, 2, options.rate, 0.5)
            caller.took_ms = {"INVITE": [], "OPTIONS": []}
            offered = run(caller, options.seconds, options.rate, options.hold)
        finally:
            service.kill_everything()
    print(f"{offered} calls offered at {options.rate:.0f} a second, {caller.refused} refused")
    print(f"{'':10}{'answers':>9}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    for method, values in caller.took_ms.items():
        row = (percentile(values, 0.5), percentile(values, 0.99), max(values))
        print(f"{method:10}{len(values):9}" + "".join(f"{value:9.2f}" for value in row))
    p99 = percentile(caller.took_ms["INVITE"], 0.99)
    baseline = percentile(caller.took_ms["OPTIONS"], 0.99)
    print(f"INVITE p99 is {p99 / baseline:.1f} times the OPTIONS p99; aim at most {P99_MS_MAX:.0f} ms")
    unanswered = 2 * offered - sum(map(len, caller.took_ms.values()))
    return 1 if unanswered or caller.refused else 0


if __name__ == "__main__":
    sys.exit(main())
