"""What reading a call of an hour back from the journal costs, and sealing it; run by `make bench`.

Two streams of five frames a second, among the frames of a neighbour. Goal: 0.3 CPU seconds
to read the hour.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from pathlib import Path

import numpy as np

from recorder.journal.reader import read_call
from recorder.journal.writer import JournalWriter
from recorder.rtp.batch import PACKET_ROW

FRAMES = 36_000
PACKETS = 10


def write(writer: JournalWriter, uid: bytes, key: bytes) -> None:
    """Write an hour of two streams under a new segment key each five seconds."""
    rows = np.zeros(PACKETS, PACKET_ROW)
    rows["size"] = 160
    content = rows.tobytes() + secrets.token_bytes(160 * PACKETS)
    for number in range(FRAMES):
        if number % 50 == 0:
            segment = writer.open_segment(uid, key, 0)
            writer.commit()
        writer.append_audio(segment, (number % 2, 7, number * 160, PACKETS), content)


def main() -> None:
    """Write, read by the tails and by search, and print the CPU time of each."""
    with tempfile.TemporaryDirectory() as name:
        writer = JournalWriter(Path(name) / "capture-0")
        writer.open()
        uid, key = secrets.token_bytes(16), secrets.token_bytes(32)
        before = time.process_time()
        write(writer, uid, key)
        written = time.process_time()
        writer.commit()
        tails = writer.tails(uid)
        print(f"sealing an hour:            {written - before:.2f} CPU s")
        for label, given in (("by its tails", tails), ("by walking the file", None)):
            before = time.process_time()
            count = sum(len(record.rows) for record in read_call(Path(name), uid, key, given))
            used = time.process_time() - before
            assert count == FRAMES * PACKETS
            print(f"reading it {label:20} {used:.2f} CPU s, {used / FRAMES * 1e6:.1f} us a frame")
        writer.close()


if __name__ == "__main__":
    main()
