"""`earwitness up`: one machine, every role, embedded services; started, watched, stopped.

Order of starting: PostgreSQL, object store, recorder, portal, worker. Stopping goes
backwards, so that the recorder can still write down what it holds. One service per
data directory, held by a lock the kernel drops when we die.

Rules: what dies is started again; what does not start at all ends the service with
its last words. SIGTERM and SIGINT drain and stop, a second one is ignored. Children
are started from the main thread, for they die with the thread that started them.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from archive.embedded.installation import Installation, Listening
from archive.embedded.role import Role, http_ready, log_says
from archive.embedded.service_file import ServiceFile
from archive.embedded.watch import Watch, Watched
from archive.errors import Refused
from archive.settings import Settings

CHECK_INTERVAL_S = 0.25
WORKER_READY_WORDS = b"worker ready"


class StopRequested(Exception):  # noqa: N818 - a request, not an error
    """Somebody asked the service to end; raised in the main thread wherever it is."""


class Supervisor:
    """Runs a whole service on one data directory until it is asked to stop."""

    def __init__(
        self, directory: Path, settings: Settings, listening: Listening, tell: Callable[[str], None]
    ) -> None:
        """`tell` gets one line of progress at a time."""
        self._directory = directory.absolute()
        self._installation = Installation(self._directory, settings, tell)
        self._settings = settings
        self._listening = listening
        self._tell = tell
        self._roles: list[Role] = []

    def run(self, when_ready: Callable[[ServiceFile], None]) -> None:
        """Start, call `when_ready` once, and return after a signal stopped everything.

        Raises Refused when the directory is in use, and ArchiveError or KeysError when
        something does not start; then everything that did is stopped.
        """
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with single_instance(self._directory), stop_on_signals():
            try:
                service = self._start()
                when_ready(service)
                self._watch()
            except StopRequested:
                self._tell("stopping")
            finally:
                ignore_signals()
                self._stop()

    def _start(self) -> ServiceFile:
        service = self._installation.prepare(self._listening)
        checks = {
            "recorder": http_ready(f"{service.recorder_admin}/readyz"),
            "portal": http_ready(f"{self._portal_here(service)}/readyz"),
            "worker": log_says(WORKER_READY_WORDS),
        }
        for name, ready in checks.items():
            self._tell(f"{name}: starting")
            role = Role(name, self._directory, service.environment_of(name), ready)
            self._roles.append(role)
            role.start()
        for role in self._roles:
            role.wait_ready()
        return service

    def _portal_here(self, service: ServiceFile) -> str:
        """Return the address at which the portal is reached from this machine, whatever browsers use."""
        host, _, port = service.environment["EARWITNESS_PORTAL_LISTEN"].rpartition(":")
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound
        return f"{'https' if self._settings.portal_tls_cert else 'http'}://{host}:{port}"

    def _watch(self) -> None:
        watch = Watch([*self._services(), *self._roles], time.monotonic)
        while True:
            watch.check()
            time.sleep(CHECK_INTERVAL_S)

    def _services(self) -> list[Watched]:
        return [
            each for each in (self._installation.postgres, self._installation.seaweed) if each is not None
        ]

    def _stop(self) -> None:
        for each in reversed([*self._services(), *self._roles]):
            each.stop()


@contextmanager
def single_instance(directory: Path) -> Iterator[None]:
    """Hold the lock of a data directory; raises Refused when another service has it, or it is not ours."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(
            f"{directory} can't be used: {error.strerror}; run as its owner, or use another --data."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Refused(f"A service runs on {directory} already; stop it, or use another --data.") from None
    finally:
        os.close(descriptor)


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into StopRequested for the time of the block."""

    def request(number: int, frame: FrameType | None) -> None:
        del number, frame
        ignore_signals()
        raise StopRequested

    before = {number: signal.signal(number, request) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Let nothing disturb an orderly stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
