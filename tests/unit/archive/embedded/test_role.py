"""A role as a child: its environment and the ways in which it is known to serve."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from archive.embedded.errors import EmbeddedServiceError
from archive.embedded.role import Role, http_ready, log_says, merged


class Answering(BaseHTTPRequestHandler):
    """200 at /ready, 503 elsewhere."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ready" else 503)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_only_200_counts_as_ready(address: str, tmp_path: Path) -> None:
    """503 is what a draining or unable recorder says."""
    assert http_ready(f"{address}/ready")(tmp_path, 0)
    assert not http_ready(f"{address}/other")(tmp_path, 0)


def test_nobody_listening_is_not_ready(tmp_path: Path) -> None:
    """A refused connection is an answer, no error."""
    assert not http_ready("http://127.0.0.1:9/readyz")(tmp_path, 0)
    assert not http_ready("https://127.0.0.1:9/readyz")(tmp_path, 0)


def test_words_of_an_earlier_run_do_not_count(tmp_path: Path) -> None:
    """The log goes on after a restart."""
    log = tmp_path / "worker.log"
    assert not log_says(b"worker ready")(log, 0)
    log.write_bytes(b"worker ready\n")
    assert log_says(b"worker ready")(log, 0)
    assert not log_says(b"worker ready")(log, log.stat().st_size)


def test_settings_win_over_what_is_inherited_in_either_form() -> None:
    """A secret given as value and as file would be refused."""
    made = merged(
        {"EARWITNESS_A_FILE": "f", "EARWITNESS_B": "v", "HOME": "/h"},
        {"EARWITNESS_A": "1", "EARWITNESS_B_FILE": "2"},
    )
    assert {name for name in made if name.startswith("EARWITNESS")} == {"EARWITNESS_A", "EARWITNESS_B_FILE"}
    assert made["HOME"] == "/h"


def test_a_role_that_can_not_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """The operator reads the reason where they started it."""
    (tmp_path / "log").mkdir()
    role = Role(
        "worker", tmp_path, {"EARWITNESS_DATABASE_URL": "", "EARWITNESS_LOG_LEVEL": "NOISY"}, lambda *_: False
    )
    try:
        role.start()
        with pytest.raises(EmbeddedServiceError, match="EARWITNESS_LOG_LEVEL"):
            role.wait_ready()
        assert not role.running()
    finally:
        role.stop()
