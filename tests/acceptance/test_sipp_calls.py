"""SIPp, which shares nothing with us, places a recording session with RTP on both its streams.

Its packets come from a pcap that the test writes: SIPp replays it towards the first
port of the answer, and what the pcap sends two ports higher to two ports above it.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.acceptance.test_what_was_said_is_what_is_heard import decoded, heard, octets, offset_of
from tests.conftest import ANNA
from tests.running_service import RunningService, free_port

SCENARIO = Path(__file__).with_name("sipp") / "siprec_call.xml"
CALLEE = "+31612345678"
SECONDS, SEED = 3, 20261123
PORT_FIRST = 6000
ATTEMPTS_MAX = 4
"""The two ports of an answer lie two apart unless a call ended in between; then it is tried again."""


@dataclass(frozen=True)
class Placed:
    """One call of SIPp, and the ports its answer named."""

    call_id: str
    ports: tuple[int, ...]


def pcap(streams: list[bytes]) -> bytes:
    """Return a capture of RTP streams in step, on even ports from PORT_FIRST on (Ethernet, little-endian)."""
    written = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for number in range(len(streams[0]) // 160):
        for index, stream in enumerate(streams):
            payload = stream[number * 160 : (number + 1) * 160]
            first = 0x80 if number == 0 else 0
            rtp = struct.pack("!BBHII", 0x80, first | 8, number, number * 160, 0x5199 + index) + payload
            port = PORT_FIRST + 2 * index
            udp = struct.pack("!HHHH", port, port, 8 + len(rtp), 0) + rtp
            ip = struct.pack(
                "!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, *[bytes((127, 0, 0, 1))] * 2
            )
            frame = bytes(12) + b"\x08\x00" + ip + udp
            at_us = number * 20_000 + index * 100
            written += (
                struct.pack("<IIII", at_us // 1_000_000, at_us % 1_000_000, len(frame), len(frame)) + frame
            )
    return written


def place(service: RunningService, directory: Path, transport: str) -> Placed:
    """Let SIPp place one call and return what it logged of it."""
    sipp = shutil.which("sipp")
    assert sipp, "SIPp is missing: install Debian's sip-tester (apt-get install sip-tester)."
    shutil.copy(SCENARIO, directory)
    (directory / "numbers.csv").write_text(f"SEQUENTIAL\n{ANNA};{CALLEE}\n")
    log = directory / "messages.log"
    log.unlink(missing_ok=True)
    command = [
        *(sipp, f"127.0.0.1:{service.sip_port}", "-sf", SCENARIO.name, "-inf", "numbers.csv"),
        *("-i", "127.0.0.1", "-p", str(free_port()), "-mi", "127.0.0.1", "-t", transport),
        *("-mp", str(free_port() & ~1), "-m", "1", "-l", "1", "-nostdin", "-timeout", "30s"),
        *(
            "-trace_msg",
            "-message_file",
            str(log),
            "-trace_err",
            "-error_file",
            str(directory / "errors.log"),
        ),
    ]
    done = subprocess.run(command, cwd=directory, capture_output=True, timeout=60, check=False)
    errors = directory / "errors.log"
    said = errors.read_text() if errors.exists() else done.stderr.decode()[-1000:]
    assert done.returncode == 0, f"SIPp ended with {done.returncode}: {said}"
    text = log.read_text()
    call_id = re.search(r"^Call-ID: (\S+)", text, re.MULTILINE)
    assert call_id, text[:1000]
    answer = text[text.index("SIP/2.0 200 OK") :]
    ports = tuple(int(port) for port in re.findall(r"^m=audio (\d+)", answer, re.MULTILINE))
    return Placed(call_id[1], ports)


@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_a_call_of_sipp_is_recorded_packet_for_packet(
    service: RunningService, tmp_path: Path, transport: str
) -> None:
    """Parties, length, packets and every sample of both channels are right."""
    streams = [octets(SECONDS, SEED), octets(SECONDS, SEED + 1)]
    (tmp_path / "two_streams.pcap").write_bytes(pcap(streams))
    for _ in range(ATTEMPTS_MAX):
        placed = place(service, tmp_path, transport)
        if placed.ports[1] == placed.ports[0] + 2:
            break
    assert placed.ports == (placed.ports[0], placed.ports[0] + 2)
    recording = service.recording_of(placed.call_id)
    assert recording["state"] == "available"
    assert [(party["channel"], party["number"], party["name"]) for party in recording["parties"]] == [
        ("a", ANNA, "Anna"),
        ("b", CALLEE, ""),
    ]
    assert recording["packets"] == {"received": 300, "lost": 0, "duplicated": 0, "reordered": 0}
    assert SECONDS * 1000 <= recording["durationMs"] <= SECONDS * 1000 + 1500
    samples = heard(service, recording["id"])
    begins = []
    for column, stream in enumerate(streams):
        sent = decoded(stream)
        begin = offset_of(sent, samples[:, column])
        begins.append(begin)
        assert np.array_equal(samples[begin : begin + len(sent), column], sent)
    assert abs(begins[0] - begins[1]) <= 160
