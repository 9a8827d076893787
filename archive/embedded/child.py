"""A child process that we own: started, watched, logged, and never left behind.

Rules:

* The kernel signals the child when we die (PR_SET_PDEATHSIG), also by kill -9. The
  signal follows the *thread* that started the child, so start children from a
  thread that lives as long as the process does.
* A child is known by process id and start time, kept in a file; one that outlived
  us all the same is ended by the next start, a stranger with its number never is.
* What a child that died had started is asked to end, and has a moment to write down
  what it holds, before it is killed and the child is started again.
* A log never grows past `LOG_SIZE_BYTES_MAX`; one older log is kept beside it.

Not here: what is started (`postgres`, `seaweedfs`, `supervisor`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from archive.embedded.errors import EmbeddedServiceError

LOG_SIZE_BYTES_MAX = 16 * 1024 * 1024  # days of a quiet service, and still opened by any editor
PROCESS_ID_SIZE_BYTES_MAX = 256  # two numbers and a boot id
ORPHAN_END_TIMEOUT_S = 15.0  # longer than any of our services takes to end
LAST_WORK_S = 3.0  # a capture process that waits for a busy machine still journals what its sockets hold
POLL_INTERVAL_S = 0.02
LOG_TAIL_SIZE_BYTES = 2000  # the last words of a service that died, for an error message
PR_SET_PDEATHSIG = 1  # prctl(2)

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class ChildSpec:
    """How to start a child: `directory` is its working directory, `user` the account it runs as."""

    name: str
    command: Sequence[str]
    log: Path
    pid_file: Path
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    group: int | None = None
    death_signal: signal.Signals = signal.SIGKILL


class ChildProcess:
    """One child, in a process group of its own."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int | None:
        """Return the process id while the child runs."""
        return self._process.pid if self._process is not None and self.exit_code() is None else None

    def start(self) -> None:
        """Start the child, after ending what an earlier start left behind."""
        self._let_group_end()
        self._end_group()
        end_orphan(self.spec.pid_file)
        self.bound_log()
        descriptor = os.open(self.spec.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._process = self._spawn(descriptor)
        except OSError as error:
            raise EmbeddedServiceError(f"{self.spec.name} can't be started: {error}.") from error
        finally:
            os.close(descriptor)
        self.spec.pid_file.write_text(_identity(self._process.pid) or "")

    def _spawn(self, log: int) -> subprocess.Popen[bytes]:
        spec = self.spec
        return subprocess.Popen(  # noqa: S603 - the command is ours, no shell
            list(spec.command),
            cwd=spec.directory,
            env=dict(spec.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=spec.user,
            group=spec.group,
            extra_groups=None if spec.user is None else [],
            umask=0o077,
            process_group=0,
            preexec_fn=_die_with(os.getpid(), spec.death_signal),  # noqa: PLW1509 - two system calls, no lock
        )

    def exit_code(self) -> int | None:
        """Return how the child ended, None while it runs; raises EmbeddedServiceError before `start`."""
        if self._process is None:
            raise EmbeddedServiceError(f"{self.spec.name} was not started.")
        return self._process.poll()

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Return when `ready()` says so; raises EmbeddedServiceError when the child dies or time is up."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            code = self.exit_code()
            if code is not None:
                raise EmbeddedServiceError(
                    f"{self.spec.name} ended with {code} at its start. {self.last_words()}"
                )
            if time.monotonic() > deadline:
                raise EmbeddedServiceError(
                    f"{self.spec.name} was not ready within {timeout_s:.0f} s. {self.last_words()}"
                )
            time.sleep(POLL_INTERVAL_S)

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM, grace_s: float = 10.0) -> int | None:
        """Ask the child to end, kill its group after `grace_s`; returns its exit code, if it was started."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(stop_signal)
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._end_group()
        self.spec.pid_file.unlink(missing_ok=True)
        return self._process.wait()

    def kill(self) -> None:
        """Kill the whole process group at once and collect the child."""
        if self._process is not None and self._process.poll() is None:
            self._end_group()
            self._process.wait()

    def _let_group_end(self) -> None:
        """Ask the children of a child that died to end, and wait until they have, for LAST_WORK_S at most."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        deadline = time.monotonic() + LAST_WORK_S
        while _is_group_alive(self._process.pid) and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL_S)

    def _end_group(self) -> None:
        """Kill what is left of the group: the children of a child that died hold its ports."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def bound_log(self) -> None:
        """Move the log aside when it is large; the child goes on writing to the emptied file."""
        log = self.spec.log
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_SIZE_BYTES_MAX:
            older = log.with_name(f"{log.name}.1")
            shutil.copyfile(log, older)
            older.chmod(0o600)
            os.truncate(log, 0)

    def last_words(self) -> str:
        """Return the end of the log in one line, for an error message."""
        try:
            content = self.spec.log.read_bytes()[-LOG_TAIL_SIZE_BYTES:]
        except OSError:
            content = b""
        lines = content.decode(errors="replace").splitlines()[-3:]
        return f"Its log is {self.spec.log}: {' | '.join(line.strip() for line in lines)}"


def end_orphan(pid_file: Path) -> None:
    """Kill the process named in `pid_file` if it is still the same process, and forget the file.

    Raises EmbeddedServiceError when it does not go away.
    """
    try:
        recorded = pid_file.read_text()[:PROCESS_ID_SIZE_BYTES_MAX]
    except FileNotFoundError:
        return
    number = recorded.split(" ", 1)[0]
    process_id = int(number) if number.isdigit() else 0
    deadline = time.monotonic() + ORPHAN_END_TIMEOUT_S
    while process_id and _identity(process_id) == recorded:
        with contextlib.suppress(ProcessLookupError):  # it may end by itself between the look and the signal
            os.kill(process_id, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise EmbeddedServiceError(
                f"Process {process_id} of an earlier start does not end; see {pid_file}."
            )
        time.sleep(POLL_INTERVAL_S)
    pid_file.unlink()


def _is_group_alive(group: int) -> bool:
    """Tell whether a process of a group runs; one that ended and that nobody collected does not."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = _fields(path)
            if int(fields[2]) == group and fields[0] != "Z":
                return True
    return False


def _fields(stat: Path) -> list[str]:
    """Return proc_pid_stat(5) from field 3, the state, on; the name before it may hold blanks."""
    return stat.read_text().rpartition(")")[2].split()


def _identity(process_id: int) -> str | None:
    """Return process id, start time and boot id, which no other process ever shares; None if it is gone."""
    try:
        fields = _fields(Path(f"/proc/{process_id}/stat"))
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, started = fields[0], fields[19]  # fields 3 and 22
    return None if state == "Z" else f"{process_id} {started} {boot}"


def _die_with(parent: int, death_signal: signal.Signals) -> Callable[[], None]:
    """Return what the child runs between fork and exec."""

    def bind() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # we died between fork and prctl
            os._exit(1)

    return bind
