"""Commands run in this process, as the operator of the test database."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from archive.cli.api import KEY_VARIABLE
from archive.cli.main import main


@pytest.fixture
def run(
    database: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return a function that runs a command, checks its exit code and returns what it printed."""
    monkeypatch.setenv("EARWITNESS_DATABASE_URL", database.url("earwitness_operator"))
    monkeypatch.delenv("EARWITNESS_DATA", raising=False)

    def run(*arguments: str, code: int = 0) -> str:
        found = main(list(arguments))
        printed = capsys.readouterr()
        assert found == code, printed
        return printed.out if code == 0 else printed.out + printed.err

    return run


@pytest.fixture
def data(run: Callable[..., str]) -> Callable[..., Any]:
    """Return a function that runs a command with --json and returns what it printed."""
    return lambda *arguments, code=0: json.loads(run(*arguments, "--json", code=code))


@dataclasses.dataclass
class ApiServer:
    """A portal of our own: answers by method and path, and remembers what was asked."""

    url: str = ""
    answers: dict[tuple[str, str], tuple[int, Any]] = dataclasses.field(default_factory=dict)
    seen: list[tuple[str, str, Any]] = dataclasses.field(default_factory=list)


@pytest.fixture
def api_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """Serve `answers` on loopback; what is not there is 404."""
    served = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            size_bytes = int(self.headers.get("Content-Length", 0))
            sent = json.loads(self.rfile.read(size_bytes)) if size_bytes else None
            served.seen.append((self.command, self.path, sent))
            nothing = (404, {"title": "Not Found", "detail": "There is no such thing."})
            status, document = served.answers.get((self.command, self.path), nothing)
            body = b"" if status == 204 else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names http.server calls

        def log_message(self, *arguments: object) -> None:
            """Keep the output of the tests clean."""

    monkeypatch.delenv("EARWITNESS_DATA", raising=False)
    monkeypatch.setenv(KEY_VARIABLE, "ew_key")
    server = HTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()
