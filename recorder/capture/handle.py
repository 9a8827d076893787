"""Signalling's end of a capture process: starts it, tells it what to do, and hears what it did.

The process is an interpreter of its own, started with two sockets: one for messages,
one for the descriptors of streams. It ends by itself when this end is closed, so it
never outlives signalling with its work undone.

Rules: nothing here waits for the process but `stop`. `reports` is called when
`fileno` is readable; after the process died it returns what was left and `alive`
says no. One that says nothing for too long is `silent`: its owner kills it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from recorder.capture.mailbox import Mailbox
from recorder.capture.messages import AddStream, Command, Report, Shutdown
from recorder.steady_clock import SteadyClock

STOP_S = 10.0
BROKEN_STOP_S = 0.5  # signalling waits for it, and what is not synced by then is a second of audio at most
SILENCE_S_MAX = 10.0  # activity is told each 2 s, and socket buffers hold 50 s, so that little audio is lost
START_S_MAX = 60.0  # a new process says nothing while it waits for the journal of its predecessor
_PROGRAM = "from recorder.capture.process import main; main()"


class CaptureHandle:
    """One capture process."""

    def __init__(self, index: int, journal_dir: Path, origin_ns: int | None = None) -> None:
        """Start the process; it says Ready when it captures.

        `origin_ns` is that of the recorder's steady clock; None begins one.
        """
        if origin_ns is None:
            origin_ns = SteadyClock().origin_ns
        self.index = index
        ours, theirs = socket.socketpair()
        our_fds, their_fds = socket.socketpair()
        with theirs, their_fds:
            passed = (theirs.fileno(), their_fds.fileno())
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
                [sys.executable, "-c", _PROGRAM, *map(str, (index, journal_dir, origin_ns, *passed))],
                pass_fds=passed,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(item for item in sys.path if item)},
            )
        self._connection = Connection(ours.detach())
        self._fd_socket = our_fds
        self._mailbox = Mailbox(self._connection, our_fds)
        self._ended = False
        self._heard_s = time.monotonic() + START_S_MAX

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def send(self, command: Command) -> None:
        """Tell the process to do something."""
        self._mailbox.put(command)

    def send_stream(self, command: AddStream, rtp: socket.socket, rtcp: socket.socket) -> None:
        """Hand over a pair of sockets; ours stay open, so that the ports outlive the process."""
        descriptors = (os.dup(rtp.fileno()), os.dup(rtcp.fileno()))
        self._mailbox.put(command, command.stream_id, descriptors)

    def fileno(self) -> int:
        """Return the descriptor to watch for reading."""
        return self._connection.fileno()

    def reports(self) -> list[Report]:
        """Return what the process said since the last time."""
        found: list[Report] = []
        try:
            while not self._ended and self._connection.poll():
                found.append(self._connection.recv())
                self._heard_s = time.monotonic()
        except (EOFError, OSError):
            self._ended = True
        return found

    def alive(self) -> bool:
        """Say whether the process captures; when not, start another with the same streams."""
        return not self._ended and not self._mailbox.broken and self._process.poll() is None

    def silent(self) -> bool:
        """Say whether the process captures no more though it lives; ask right after `reports`."""
        return time.monotonic() - self._heard_s > SILENCE_S_MAX

    def kill(self) -> None:
        """End the process at once, its journal complete to its last sync; `alive` says no when it is gone."""
        self._process.kill()

    def stop(self, timeout_s: float = STOP_S) -> list[Report]:
        """Let the process write and sync everything and end; returns its last reports.

        One that does not end within `timeout_s` is killed: its journal is complete to its last sync.
        One that can't be told to end any more is shown it, and has `BROKEN_STOP_S`.
        """
        self._mailbox.put(Shutdown())
        if self._mailbox.broken:
            timeout_s = BROKEN_STOP_S
            self._close_sending()
        self._mailbox.close(timeout_s)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        found = self.reports()
        self._connection.close()
        self._fd_socket.close()
        return found

    def _close_sending(self) -> None:
        """Let the process read the end, and the mailbox's thread give up what it was sending."""
        for each in (self._connection, self._fd_socket):
            # Where the other side is gone, or ours is closed, there is nothing to show.
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(each.fileno())) as end:
                end.shutdown(socket.SHUT_WR)
