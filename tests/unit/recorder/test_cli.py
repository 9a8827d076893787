"""The recorder's verb starts the role, says in one line why it can't, and ends when it is told to."""

from __future__ import annotations

import inspect
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from archive.errors import CatalogueUnavailable
from keys.errors import KeyStoreUnavailable
from keys.local_keyring import LocalKeyring
from recorder import cli
from recorder.journal.format import JournalUnavailable
from recorder.service import RecorderService
from tests.certificates import Authority
from tests.unit.recorder.shell import eventually, free_pairs

ROOT = Path(__file__).resolve().parents[3]
HOST = "127.0.0.1"
WAIT_S = 60
VERB = [sys.executable, "-m", "archive.cli.main", "recorder"]


def environment(directory: Path, keyring: Path) -> dict[str, str]:
    """Return the settings of a recorder whose database and store are away."""
    first = free_pairs(3)
    settings = {
        "DATABASE_URL": f"postgresql+psycopg://nobody@/nothing?host={directory}",
        "DATABASE_TIMEOUT_S": "1",
        "S3_ENDPOINT": "http://127.0.0.1:9",
        "KEYRING": f"file:{keyring}",
        "KEYRING_PASSPHRASE": "passphrase",
        "KEY_STORE": f"dir:{directory / 'keys'}",
        "JOURNAL_DIR": str(directory / "journal"),
        "SIP_LISTEN": f"{HOST}:{free_port()}",
        "RECORDER_ADMIN_LISTEN": f"{HOST}:{free_port()}",
        "RTP_PORTS": f"{first}-{first + 5}",
        "CAPTURE_PROCESSES": "1",
        "FINALISER_PROCESSES": "1",
    }
    own = {name: value for name, value in os.environ.items() if not name.startswith("EARWITNESS_")}
    return {**own, **{f"EARWITNESS_{name}": value for name, value in settings.items()}}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keyring"
    LocalKeyring.create(path, b"passphrase")
    return path


@pytest.fixture
def settings(keyring: Path, tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path, keyring)


class Recorders:
    """Recorders as processes, one after the other, each with its log in a file."""

    def __init__(self, settings: dict[str, str], directory: Path) -> None:
        self._settings = settings
        self._directory = directory
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Start one and return it when it answers."""
        log = self._directory / f"stderr-{len(self._started)}"
        with log.open("wb") as errors:
            process = subprocess.Popen(VERB, cwd=ROOT, env=self._settings, stderr=errors)
        self._started.append(process)
        eventually(lambda: answers(self._settings), "a recorder that answers")
        return process

    def log(self, number: int) -> list[dict[str, object]]:
        """Return what one of them logged."""
        lines = (self._directory / f"stderr-{number}").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def end(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait(WAIT_S)


@pytest.fixture
def recorders(settings: dict[str, str], tmp_path: Path) -> Iterator[Recorders]:
    made = Recorders(settings, tmp_path)
    yield made
    made.end()


class Role:
    """Stands in for the recorder and its HTTP server: notes what is asked of it."""

    asked: ClassVar[list[str]] = []
    failure: ClassVar[Exception | None] = None

    def __init__(self, _: object) -> None:
        self._name = type(self).__name__

    async def start(self) -> None:
        self.asked.append(f"start {self._name}")
        if self.failure is not None:
            raise self.failure

    async def stop(self) -> None:
        self.asked.append(f"stop {self._name}")


class Service(Role):
    """The recorder."""


class Admin(Role):
    """Its HTTP server; as soon as it runs, the operator ends the role."""

    number = signal.SIGTERM

    async def start(self) -> None:
        await super().start()
        os.kill(os.getpid(), self.number)


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> list[str]:
    """Let the verb run in this process, on stand-ins; return what they were asked."""
    for name, value in settings.items():
        if name.startswith("EARWITNESS_"):
            monkeypatch.setenv(name, value)
    for name, stand_in in (("RecorderService", Service), ("AdminServer", Admin)):
        monkeypatch.setattr(cli, name, stand_in)
    for name in ("keep_memory_private", "configure_logging"):
        monkeypatch.setattr(cli, name, lambda *_: None)
    monkeypatch.setattr(Role, "asked", [])
    return Role.asked


def answers(settings: Mapping[str, str]) -> bool:
    try:
        return asked(settings, "/livez")[0] == 200
    except OSError:
        return False


def asked(settings: Mapping[str, str], path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(
            f"http://{settings['EARWITNESS_RECORDER_ADMIN_LISTEN']}{path}", timeout=10
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_recorder_that_was_killed_is_started_again_and_ends_when_told(
    recorders: Recorders, settings: dict[str, str]
) -> None:
    """It needs no database to live; its successor takes over ports and journal at once, and ends with 0."""
    first = recorders.start()
    eventually(lambda: "the database never told" in asked(settings, "/readyz")[1], "the reason")
    assert asked(settings, "/readyz")[0] == 503
    assert "earwitness_sessions 0.0" in asked(settings, "/metrics")[1]
    first.kill()
    first.wait(WAIT_S)
    second = recorders.start()
    second.send_signal(signal.SIGTERM)
    assert second.wait(WAIT_S) == 0
    assert {(event["role"], event["pid"]) for event in recorders.log(1)} == {("recorder", second.pid)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_role_ends_in_the_order_in_which_it_began(
    role: list[str], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """By either signal, and with 0: first nobody is told any more that it is ready."""
    monkeypatch.setattr(Admin, "number", number)
    assert cli.run_recorder([]) == 0
    assert role == ["start Service", "start Admin", "stop Admin", "stop Service"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DATABASE_URL", "", "EARWITNESS_DATABASE_URL"),
        ("RTP_PORTS", "9-1", "EARWITNESS_RTP_PORTS"),
        ("KEYRING_PASSPHRASE", "not the one", "passphrase"),
    ],
)
def test_a_setting_that_is_wrong_is_named_in_one_line(
    role: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    said: str,
) -> None:
    """Without a traceback and without a secret, and with 1."""
    monkeypatch.setattr(cli, "RecorderService", RecorderService)
    monkeypatch.setenv(f"EARWITNESS_{name}", value)
    assert cli.run_recorder([]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("earwitness recorder: ")
    assert said in line
    assert "not the one" not in line


@pytest.mark.parametrize(
    "failure",
    [
        OSError(98, "Address already in use"),
        JournalUnavailable("Another process has the slots file; stop it first."),
        KeyStoreUnavailable("The node key can't be read."),
        CatalogueUnavailable("PostgreSQL does not answer."),
    ],
)
def test_a_start_that_fails_says_why_in_one_line(
    role: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: Exception
) -> None:
    """A port, a disk, a key or a database."""
    monkeypatch.setattr(Role, "failure", failure)
    assert cli.run_recorder([]) == 1
    assert capsys.readouterr().err == f"earwitness recorder: {failure}\n"


def test_a_certificate_that_ended_stops_the_start_with_one_line(
    settings: dict[str, str], tmp_path: Path
) -> None:
    """Before anything is opened, with the setting and what to do."""
    ended = Authority(tmp_path).issue("recorder", begins=-timedelta(days=9), ends=-timedelta(days=2))
    tls = {
        "EARWITNESS_SIP_LISTEN": f"{settings['EARWITNESS_SIP_LISTEN']},tls:{HOST}:{free_port()}",
        "EARWITNESS_SIP_TLS_CERT": str(ended.chain),
        "EARWITNESS_SIP_TLS_KEY": str(ended.key),
    }
    done = subprocess.run(
        VERB, cwd=ROOT, env=settings | tls, capture_output=True, text=True, check=False, timeout=WAIT_S
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("earwitness recorder: EARWITNESS_SIP_TLS_CERT: a certificate in ")
    assert "Put a renewed one there" in line
    assert not (tmp_path / "journal").exists()


def test_a_defect_of_ours_is_not_hidden(role: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its traceback is what a repair needs."""
    monkeypatch.setattr(Role, "failure", AssertionError("a defect"))
    with pytest.raises(AssertionError):
        cli.run_recorder([])


def test_the_settings_may_stand_in_a_file(
    role: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named by --config; one that is not there, or says nonsense, is named."""
    file = tmp_path / "ew.toml"
    file.write_text("sessions_max = 7\n")
    assert cli.run_recorder(["--config", str(file)]) == 0
    file.write_text("sessions_most = 7\n")
    assert cli.run_recorder(["--config", str(file)]) == 1
    assert cli.run_recorder(["--config", str(tmp_path / "none.toml")]) == 1
    unknown, missing = capsys.readouterr().err.splitlines()
    assert "EARWITNESS_SESSIONS_MOST" in unknown
    assert "none.toml" in missing


def test_its_help_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    """With an example."""
    with pytest.raises(SystemExit) as ended:
        cli.run_recorder(["--help"])
    assert ended.value.code == 0
    assert {"SIPREC", "Example:"} <= set(capsys.readouterr().out.replace(".", " ").split())


def test_its_memory_is_for_no_other_process_and_no_disk() -> None:
    """It holds keys and audio: no core file, no debugger of the same user; and it may open many sockets."""
    program = "\n".join(
        [
            "import ctypes, resource",
            f"_PR_SET_DUMPABLE = {cli._PR_SET_DUMPABLE}",
            inspect.getsource(cli.keep_memory_private),
            "keep_memory_private()",
            "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))",
            "print(len(set(resource.getrlimit(resource.RLIMIT_NOFILE))))",
        ]
    )
    # In a bare interpreter: what it does to a process can't be undone.
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=WAIT_S
    )
    assert done.stdout == "(0, 0) 0\n1\n"
