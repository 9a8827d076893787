"""CPU time of finalising one hour of a two-party call, by hand or by `make bench`.

    python tests/benchmarks/bench_finalise.py [--minutes N] [--loss SHARE]

The call is voiced syllables in turns over a noisy line, A-law, 20 ms, through the
whole finaliser: order, timeline, expansion, FLAC level 5, peaks, spans. Aim: at most
1.5 CPU-seconds per call-hour. Not measured: opening the journal, sealing, storing.
"""

from __future__ import annotations

import argparse
import io
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from recorder.finaliser import finalise
from recorder.journal.segment import AudioRecord
from recorder.rtp.batch import PACKET_ROW
from recorder.rtp.g711 import Law, compress, expand
from recorder.state import CallState, DialogState, StreamState

STARTED_NS = 1_790_000_000_000_000_000
PACKETS_PER_RECORD = 25  # half a second, as the capture process seals
CPU_S_PER_CALL_HOUR_MAX = 1.5


def state(minutes: int) -> CallState:
    """Return the state of an ended call of two streams."""
    dialog = DialogState("bench@example.org", "l", "r", "", "", "", (), 1, 1, "udp", "", "", 0, None, "", "")
    streams = tuple(
        StreamState(index, str(index + 1), channel, "127.0.0.1", 20000 + 2 * index, {"8": "PCMA/8000"})
        for index, channel in enumerate("ab")
    )
    return CallState(
        recording_id="01999999-0000-7000-8000-000000000000",
        session_id="01999999-0000-7000-8000-000000000001",
        call_group="01999999-0000-7000-8000-000000000002",
        tenant_id="01999999-0000-7000-8000-000000000003",
        peer_id=None,
        owner=None,
        mode="always",
        retention_class="90d",
        direction="in",
        layout="two-party",
        started_ns=STARTED_NS,
        kept=True,
        dialog=dialog,
        streams=streams,
        ended_ns=STARTED_NS + minutes * 60 * 10**9,
    )


def line(minutes: int, seed: int) -> np.ndarray:
    """Return A-law octets: voiced syllables in turns over a line that is never quite silent."""
    rng = np.random.default_rng(seed)
    samples = minutes * 60 * 8000
    at = np.arange(min(samples, 60 * 8000))
    pitch = 2 * np.pi * np.cumsum(110 + 30 * seed + 15 * np.sin(at * (2 * np.pi * 0.7 / 8000))) / 8000
    voice = sum(np.sin(pitch * k) / k * (1.5 if k in {4, 5, 12} else 1.0) for k in range(1, 20))
    voice = np.resize(voice * np.abs(np.sin(at * (2 * np.pi * 2 / 8000))), samples)
    turns = np.repeat(rng.random(samples // 16000 + 1) < 0.45, 16000)[:samples]
    noise = np.convolve(rng.normal(0, 60, samples + 3), [0.5, 0.3, 0.15, 0.05], "valid")
    return compress(np.clip(noise + voice * turns * 2500, -30000, 30000).astype(np.int16), Law.A)


def records(octets: np.ndarray, stream: int, loss: float, seed: int) -> Iterator[AudioRecord]:
    """Yield the journal of one stream, half a second at a time, with random loss and jitter."""
    rng = np.random.default_rng(seed)
    count = len(octets) // 160
    rows = np.zeros(count, PACKET_ROW)
    rows["sequence"] = (np.arange(count) + 65000) & 0xFFFF
    rows["timestamp"] = (np.arange(count, dtype=np.int64) * 160 + 2**32 - 10**6) & 0xFFFFFFFF
    rows["arrival"] = np.arange(count, dtype=np.int64) * 200 + rng.integers(0, 50, count) + 300
    rows["size"], rows["payload_type"] = 160, 8
    payload = octets[: count * 160].reshape(count, 160)
    kept = np.flatnonzero(rng.random(count) >= loss)
    for first in range(0, len(kept), PACKETS_PER_RECORD):
        chosen = kept[first : first + PACKETS_PER_RECORD]
        yield AudioRecord(stream, 1000 + stream, rows[chosen], payload[chosen].tobytes())


def encoder_s(lines: list[np.ndarray]) -> float:
    """Return the CPU-seconds libsndfile alone takes for the same audio, here and now."""
    frames = np.stack([expand(octets, Law.A) for octets in lines], axis=1)
    before = time.process_time()
    soundfile.write(io.BytesIO(), frames, 8000, "PCM_16", format="FLAC", compression_level=5 / 8)
    return time.process_time() - before


def main() -> int:
    """Measure and print one row; 1 when the aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--loss", type=float, default=0.0)
    arguments = parser.parse_args()
    lines = [line(arguments.minutes, seed) for seed in (1, 2)]
    journal = [r for s, octets in enumerate(lines) for r in records(octets, s, arguments.loss, s)]
    before = time.process_time()
    finished = finalise(state(arguments.minutes), journal)
    cpu_s = (time.process_time() - before) * 60 / arguments.minutes
    alone_s = encoder_s(lines) * 60 / arguments.minutes
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"finalise: {cpu_s:.2f} CPU-s per call-hour (aim {CPU_S_PER_CALL_HOUR_MAX}), "
        f"{cpu_s / alone_s:.2f} times libsndfile alone ({alone_s:.2f}), "
        f"FLAC {len(finished.audio) / arguments.minutes / 1000:.0f} kB/min, loss {arguments.loss:.0%}, "
        f"spans {len(finished.recording.spans)}, peak memory {memory_mb} MB with the bench's own"
    )
    return int(cpu_s > CPU_S_PER_CALL_HOUR_MAX)


if __name__ == "__main__":
    raise SystemExit(main())
