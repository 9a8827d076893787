"""A whole earwitness on this machine, as an operator runs it: `earwitness up` in a folder of its own.

For tests that look at the product from outside: real SIP and RTP, a real database,
a real object store. Rules: ports are free ones of the loopback; every process that
was started is ended, also after a failed test; waiting is polling with a deadline.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests import rtp_ports

START_S_MAX = 180.0
"""A machine that does much else takes its time; a quiet one is ready in ten seconds."""
STOP_S_MAX = 60.0
WAIT_S_MAX = 180.0
"""What comes in a second where nothing else runs; at a load of 25 a minute was not enough."""
SCOPES = (
    "recordings:read",
    "recordings:play",
    "recordings:download",
    "sessions:read",
    "calls:read",
    "calls:control",
    "settings",
    "reports:read",
    "administration",
)
"""All there are; what a key may do with fewer is the business of the tests that ask for it."""

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """Return a port that is free for UDP and TCP on the loopback right now."""
    for _ in range(50):
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            stream.bind(("127.0.0.1", 0))
            port: int = stream.getsockname()[1]
            with contextlib.suppress(OSError):
                datagram.bind(("127.0.0.1", port))
                return port
    raise AssertionError("No port of the loopback is free for both UDP and TCP.")


def eventually(look: Callable[[], T], what: str, within_s: float = WAIT_S_MAX) -> T:
    """Return the first true value of `look`; fails with `what` when there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"Not within {within_s:.0f} s: {what}"
        time.sleep(0.1)


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class RunningService:
    """`earwitness up` and the ways in."""

    def __init__(self, directory: Path, **settings: str) -> None:
        """Prepare a service in `directory`; `settings` are EARWITNESS_ names without the prefix."""
        self.directory = directory
        self.sip_port, self.portal_port = free_port(), free_port()
        self.rtp_ports = rtp_ports.claim().service
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.api_key = ""
        self.tenant_id = ""
        self.start_s = 0.0
        """How long the last start took, which tells how busy the machine is."""
        self._keys: dict[str, str] = {}

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of every command: no setting of the tester's own gets in."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EARWITNESS_")}
        given = {f"EARWITNESS_{name.upper()}": value for name, value in self._settings.items()}
        return {**kept, **given, "PYTHONPATH": str(ROOT)}

    def start(self) -> None:
        """Start everything and return when it says `ready`."""
        command = [sys.executable, "-m", "archive.cli.main", "up", "--data", str(self.directory)]
        command += [
            "--sip",
            f"127.0.0.1:{self.sip_port},[::1]:{self.sip_port}",
            "--portal",
            f"127.0.0.1:{self.portal_port}",
        ]
        command += ["--rtp-ports", self.rtp_ports]
        self.directory.mkdir(parents=True, exist_ok=True)
        began_s = time.monotonic()
        output = self.directory.with_suffix(".out")
        with output.open("ab") as file:
            begin = file.tell()
            self._process = subprocess.Popen(
                command, stdout=file, stderr=file, env=self.environment, cwd=self.directory
            )
        process = self._process

        def ready() -> bool:
            said = output.read_bytes()[begin:]
            assert process.poll() is None, f"up ended with {process.returncode}: {said.decode()[-2000:]}"
            return b"\nready " in said or said.startswith(b"ready ")

        eventually(ready, f"up says ready; see {output}", START_S_MAX)
        self.start_s = time.monotonic() - began_s

    def processes(self) -> list[psutil.Process]:
        """Return every process of the service, the supervisor first."""
        if self._process is None or self._process.poll() is not None:
            return []
        supervisor = psutil.Process(self._process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def role(self, name: str) -> psutil.Process:
        """Return the main process of a role."""
        return next(item for item in self.processes() if item.cmdline()[-1:] == [name])

    def kill_everything(self) -> None:
        """Kill -9 the whole tree, as a power cut would to the processes."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        if self._process:
            self._process.wait(10)
            self._process = None

    def stop(self) -> int:
        """Stop with SIGTERM and return the exit code."""
        if self._process is None:
            return 0
        leftovers = self.processes()
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_S_MAX)
        finally:
            for process in leftovers:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process = None
        return code

    def run(self, *arguments: str, code: int = 0, typed: str = "") -> str:
        """Run a command of the product on this service, `typed` at its input, and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "archive.cli.main", *arguments, "--data", str(self.directory)],
            capture_output=True,
            env=self.environment,
            input=typed.encode(),
            timeout=120,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode} {done.stdout!r} {done.stderr!r}"
        return done.stdout.decode()

    def prepare(self, *users: tuple[str, str, str, str]) -> None:
        """Add a tenant, an API key, and users given as (login, number, licence, mode)."""
        self.tenant_id = json.loads(self.run("tenant", "add", "Acme", "--domain", "acme.nl", "--json"))["id"]
        for login, number, licence, mode in users:
            chosen = ("--number", number, "--licence", licence, "--mode", mode)
            self.run("user", "add", f"{login}@acme.nl", *chosen)
        self.api_key = self.add_key("tests")

    def add_key(self, name: str, *options: str, scopes: tuple[str, ...] = SCOPES) -> str:
        """Add an API client and return its key; with `--user LOGIN` it acts as that person."""
        chosen = [option for scope in scopes for option in ("--scope", scope)]
        added = self.run("api-client", "add", name, "--tenant", "acme.nl", *options, *chosen, "--json")
        return str(json.loads(added)["key"])

    def key_of(self, login: str) -> str:
        """Return a key that acts as a person, made when it is first asked for."""
        if login not in self._keys:
            self._keys[login] = self.add_key(f"app of {login}", "--user", login)
        return self._keys[login]

    def get(self, path: str, key: str | None = None, **headers: str) -> Answer:
        """Ask the HTTP API."""
        return self.send("GET", path, None, key, **headers)

    def send(
        self, method: str, path: str, body: object = None, key: str | None = None, **headers: str
    ) -> Answer:
        """Send a request to the HTTP API; `body` goes as JSON, bytes as they are."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.portal_port}{path}"
        request = urllib.request.Request(url, data=data, method=method)
        if body is not None and "Content-Type" not in headers:
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            request.add_header("Content-Type", kind)
        request.add_header("Authorization", f"Bearer {self.api_key if key is None else key}")
        for name, value in headers.items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, _lower(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _lower(error.headers), error.read())

    def recordings(self) -> list[dict[str, Any]]:
        """Return every recording the API key may see, oldest first."""
        return list(self._pages("/v1/recordings"))[::-1]

    def sessions(self) -> list[dict[str, Any]]:
        """Return the outcome of every session, oldest first."""
        return list(self._pages("/v1/sessions"))[::-1]

    def calls(self, key: str | None = None) -> list[dict[str, Any]]:
        """Return the calls under way that a key may see."""
        answer = self.get("/v1/calls", key)
        assert answer.status == 200, answer.body
        return list(answer.json()["items"])

    def live(self, call_id: str, key: str | None = None, within_s: float = WAIT_S_MAX) -> dict[str, Any]:
        """Return a call under way by the Call-ID of its recording session, waiting until it is shown."""

        def look() -> dict[str, Any] | None:
            return next((item for item in self.calls(key) if item["callId"] == call_id), None)

        found = eventually(look, f"call {call_id} is shown", within_s)
        assert found is not None
        return found

    def command(self, recording_id: str, verb: str, key: str | None = None) -> Answer:
        """Give a command to a call under way: start, stop, pause, resume or keep."""
        return self.send("POST", f"/v1/calls/{recording_id}/{verb}s", None, key)

    def recording_of(self, call_id: str, within_s: float = WAIT_S_MAX) -> dict[str, Any]:
        """Return the archived recording of a call, waiting until it is there."""

        def look() -> dict[str, Any] | None:
            return next((item for item in self.recordings() if item["callId"] == call_id), None)

        found = eventually(look, f"call {call_id} is archived", within_s)
        assert found is not None
        return found

    def outcome_of(self, call_id: str, within_s: float = WAIT_S_MAX) -> dict[str, Any]:
        """Return how a call's session ended, waiting until it is told."""

        def look() -> dict[str, Any] | None:
            return next((item for item in self.sessions() if item["callId"] == call_id), None)

        found = eventually(look, f"call {call_id} has an outcome", within_s)
        assert found is not None
        return found

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        cursor = ""
        while cursor is not None:
            answer = self.get(f"{path}?limit=200{f'&cursor={cursor}' if cursor else ''}")
            assert answer.status == 200, answer.body
            page = answer.json()
            yield from page["items"]
            cursor = page["next"]


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
