"""A role of ours (recorder, portal, worker) as a child process with a readiness check."""

from __future__ import annotations

import http.client
import os
import signal
import ssl
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from archive.embedded.child import ChildProcess, ChildSpec

READY_TIMEOUT_S = 60.0  # recovery of a journal after a crash may take a while
STOP_GRACE_S = 30.0  # finishing what is being answered; what remains is recovered at the next start
PROBE_TIMEOUT_S = 2.0
PACKAGES = Path(__file__).parents[2]  # so that a checkout that is not installed runs, too


class Role:
    """`python -m archive.cli.main NAME` with its settings in the environment."""

    def __init__(
        self, name: str, directory: Path, environment: Mapping[str, str], ready: Callable[[Path, int], bool]
    ) -> None:
        """`ready` is asked with the log and its length at the start, so that old lines don't count."""
        self._name = name
        self._log = directory / "log" / f"{name}.log"
        self._log_start = 0
        self._ready = ready
        self._child = ChildProcess(
            ChildSpec(
                name=name,
                command=[sys.executable, "-u", "-m", "archive.cli.main", name],
                log=self._log,
                pid_file=directory / "log" / f"{name}.pid",
                directory=Path.cwd(),  # paths in the settings may be relative to where we were started
                environment=merged(os.environ, environment),
            )
        )

    @property
    def name(self) -> str:
        """Return the name of the role."""
        return self._name

    @property
    def process_id(self) -> int | None:
        """Return the process id while the role runs."""
        return self._child.process_id

    def start(self) -> None:
        """Start the process; `wait_ready` tells when it serves."""
        self._child.bound_log()
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        self._child.start()

    def wait_ready(self) -> None:
        """Return when the role serves; raises EmbeddedServiceError with its last words."""
        self._child.wait_until(lambda: self._ready(self._log, self._log_start), READY_TIMEOUT_S)

    def running(self) -> bool:
        """Tell whether the process is alive."""
        return self._child.process_id is not None

    def stop(self) -> None:
        """Let the role drain, then end it."""
        self._child.stop(signal.SIGTERM, STOP_GRACE_S)

    def bound_log(self) -> None:
        """Keep the log within its limit."""
        self._child.bound_log()


def merged(inherited: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return `inherited` with `settings` put over it; a secret is given by value or by file, not both."""
    environment = dict(inherited)
    for name in settings:
        environment.pop(f"{name}_FILE", None)
        environment.pop(name.removesuffix("_FILE"), None)
    paths = (str(PACKAGES), environment.get("PYTHONPATH", ""))
    return {**environment, **settings, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def http_ready(url: str) -> Callable[[Path, int], bool]:
    """Return a check that `GET url` answers 200; a certificate is not verified, for we ask ourselves."""
    parts = urlsplit(url)

    def ready(log: Path, log_start: int) -> bool:
        del log, log_start
        host, port = parts.hostname or "127.0.0.1", parts.port
        connection = (
            http.client.HTTPSConnection(
                host,
                port,
                timeout=PROBE_TIMEOUT_S,
                context=ssl._create_unverified_context(),  # noqa: S323, SLF001
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=PROBE_TIMEOUT_S)
        )
        try:
            connection.request("GET", parts.path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready


def log_says(words: bytes) -> Callable[[Path, int], bool]:
    """Return a check that the log has said `words` since the start."""

    def ready(log: Path, log_start: int) -> bool:
        try:
            with log.open("rb") as file:
                file.seek(log_start)
                return words in file.read()
        except FileNotFoundError:
            return False

    return ready
