"""A range of RTP ports that belongs to this process of tests alone.

Several workers of pytest, and several people on one machine, run whole services at the same
time; each needs ports that no other takes. A range is claimed by a lock on a file, which the
system gives back when the process ends, however it ends. All ranges lie below the ports that
the system hands out by itself (32768 and up).
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FIRST = 20000
PORTS_PER_CLAIM = 300
"""200 for the service, 100 for a second recorder beside it."""
CLAIMS_MAX = 40


@dataclass(frozen=True)
class Claim:
    """The ports of this process; `lock` holds them as long as the process lives."""

    first: int
    lock: int

    @property
    def service(self) -> str:
        """Return the range of the service, as EARWITNESS_RTP_PORTS wants it."""
        return f"{self.first}-{self.first + 199}"

    @property
    def second(self) -> int:
        """Return the first of the 100 ports of a second recorder."""
        return self.first + 200


@cache
def claim() -> Claim:
    """Claim a range for this process, once."""
    folder = Path(tempfile.gettempdir()) / f"earwitness-rtp-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for number in range(CLAIMS_MAX):
        lock = os.open(folder / str(number), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return Claim(FIRST + number * PORTS_PER_CLAIM, lock)
    raise AssertionError(f"{CLAIMS_MAX} runs of these tests hold RTP ports on this machine; end one of them.")
