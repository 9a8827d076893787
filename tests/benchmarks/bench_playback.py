"""How soon sound comes: first byte and seeks, through the real portal, store and keys; by `make bench`.

    python tests/benchmarks/bench_playback.py [--hours N ...] [--rounds N]

A whole earwitness runs on this machine. Recordings of one and four hours are archived as its
recorder does it (`tests/archived_calls.py`), and then fetched over HTTP as a browser does:
each time by a connection of its own, with a range that is left before its end. Every such
request is authenticated, asks the database who may hear, writes its audit entry, and fetches
and decrypts what it sends. A seek is measured until 16 KiB are there, about two seconds of
sound; the first byte includes no sound but the beginning.

The baseline of the same run is a request that does nothing (`GET /livez`), by a connection of
its own too. Processor time is that of the whole service: portal, database and store.

Aims at p95: first byte 80 ms, seek 120 ms, peaks of an hour 40 ms, the recording as JSON 30 ms.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from playback_portal.audio import Format
from tests.archived_calls import archiver
from tests.measured import Measured, measure, show, show_heads
from tests.running_service import RunningService

HOURS = (1, 4)
SEEK_BYTES = 16 * 1024
FIRST_MS_MAX, SEEK_MS_MAX, PEAKS_MS_MAX, JSON_MS_MAX = 80.0, 120.0, 40.0, 30.0
OWNER = ("pia", "+31201234505", "365d", "always")
PLAYED = (Format.FLAC, Format.MP4)
"""What players ask for; WAV and Opus are for taking along."""


class Browser:
    """Fetches by connections of its own."""

    def __init__(self, service: RunningService) -> None:
        """Take the service to ask."""
        self._service = service

    def fetch(self, path: str, byte_range: str | None = None, size: int | None = None) -> tuple[int, bytes]:
        """Return how large the whole is and its first octets, all of them without `size`."""
        headers = {"Authorization": f"Bearer {self._service.api_key}"}
        if byte_range is not None:
            headers["Range"] = f"bytes={byte_range}"
        connection = http.client.HTTPConnection("127.0.0.1", self._service.portal_port, timeout=30)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            content = answer.read(size)
            if answer.status not in {200, 206}:
                raise SystemExit(f"{path}: {answer.status} {content[:300]!r}")
            whole = answer.getheader("Content-Range", "").rpartition("/")[2]
            return int(whole or len(content)), content
        finally:
            connection.close()


def measure_recording(service: RunningService, recording_id: str, hours: float, rounds: int) -> bool:
    """Measure one recording and print its rows; return whether every aim was met."""

    def timed(ask: Callable[[random.Random], object]) -> Measured:
        return measure(ask, rounds, service.processes)

    browser = Browser(service)
    base = timed(lambda _: browser.fetch("/livez"))
    show(f"{hours:g} h: GET /livez", base, base, None)
    path = f"/v1/recordings/{recording_id}"
    met = show("  JSON", timed(lambda _: browser.fetch(path)), base, JSON_MS_MAX)
    peaks = timed(lambda _: browser.fetch(f"{path}/peaks"))
    met &= show("  peaks", peaks, base, PEAKS_MS_MAX if hours <= 1 else None)
    for form in PLAYED:
        sound = f"{path}/audio?format={form}"
        size, _ = browser.fetch(sound, "0-0")

        def first(_: random.Random, sound: str = sound) -> object:
            return browser.fetch(sound, "0-", 1)

        def seek(dice: random.Random, sound: str = sound, size: int = size) -> object:
            return browser.fetch(sound, f"{dice.randrange(size - SEEK_BYTES)}-", SEEK_BYTES)

        met &= show(f"  {form}: first byte", timed(first), base, FIRST_MS_MAX, f"  {size / 1e6:.0f} MB")
        met &= show(f"  {form}: seek", timed(seek), base, SEEK_MS_MAX)
    return met


def main() -> int:
    """Measure and print the table; the exit code says whether an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hours", type=float, nargs="+", default=list(HOURS))
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    met = True
    print(f"load before: {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory(prefix="earwitness-bench-") as scratch:
        service = RunningService(Path(scratch) / "data")
        service.start()
        try:
            service.prepare(OWNER)
            show_heads()
            with archiver(service) as archive:
                for hours in options.hours:
                    began = datetime.now(UTC) - timedelta(hours=hours)
                    recording = archive.put(began, hours * 3600)
                    met &= measure_recording(service, recording.id, hours, options.rounds)
        finally:
            service.stop()
            service.kill_everything()
    print(f"load afterwards: {os.getloadavg()[0]:.2f}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
