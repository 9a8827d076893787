"""The HTTP API as commands use it, against a small server of our own."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from archive.cli.api import KEY_VARIABLE, Api, segment
from archive.cli.main import main
from archive.errors import NotFound, Refused, StoreUnavailable

RECORDING = {
    "id": "r1",
    "startedAt": "2026-11-22T09:30:00.000Z",
    "durationMs": 61_000,
    "parties": [{"number": "+31201234567"}, {"number": "+31612345678"}],
    "mode": "always",
    "state": "available",
    "retainUntil": "2027-02-20T00:00:00.000Z",
}


class Portal(BaseHTTPRequestHandler):
    """Two recordings' worth of a portal."""

    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["Authorization"]))
        path = self.path.partition("?")[0]
        problem = json.dumps({"title": "No", "detail": "There is no such recording."}).encode()
        answers = {
            "/v1/recordings": (200, json.dumps({"items": [RECORDING], "next": "c2"}).encode()),
            "/v1/recordings/r1": (200, json.dumps(RECORDING).encode()),
            "/v1/recordings/r1/audio": (200, b"fLaC" * 1000),
            "/v1/recordings/list": (200, b"[]"),
            "/v1/recordings/page": (200, b"<html>"),
            "/v1/recordings/torn": (200, b"{}"),
            "/v1/recordings/torn/audio": (200, b"fLaC"),
            "/v1/recordings/away": (503, b"not json"),
            "/v1/recordings/forbidden": (403, problem),
        }
        status, body = answers.get(path, (404, problem))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + (1 if "torn" in path else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.delenv("EARWITNESS_DATA", raising=False)
    monkeypatch.setenv(KEY_VARIABLE, "ew_key")
    Portal.seen.clear()
    server = HTTPServer(("127.0.0.1", 0), Portal)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def api(url: str) -> Api:
    return Api(argparse.Namespace(url=url, key=None, data=None))


def test_a_list_is_asked_for_with_the_key_and_shown_as_a_table(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was not asked for is not sent."""
    assert main(["recordings", "list", "--url", url, "--q", "020 1234567", "--limit", "5"]) == 0
    printed = capsys.readouterr().out
    assert "+31201234567, +31612345678" in printed
    assert "--cursor c2" in printed
    assert Portal.seen == [("/v1/recordings?q=020+1234567&limit=5", "Bearer ew_key")]


def test_json_is_the_document_of_the_api(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts read the same fields from both."""
    assert main(["recordings", "list", "--url", url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == [RECORDING]
    assert main(["recordings", "show", "r1", "--url", url]) == 0
    assert json.loads(capsys.readouterr().out) == RECORDING


def test_audio_is_fetched_into_a_new_file_whole_or_not_at_all(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written over, and a refusal leaves no file."""
    to = tmp_path / "call.flac"
    assert main(["recordings", "fetch", "r1", "--url", url, "--out", str(to), "--channel", "a"]) == 0
    assert to.read_bytes() == b"fLaC" * 1000
    assert to.stat().st_mode & 0o777 == 0o600
    assert Portal.seen == [("/v1/recordings/r1/audio?format=flac&channel=a&download=1", "Bearer ew_key")]
    assert main(["recordings", "fetch", "r1", "--url", url, "--out", str(to)]) == 1
    assert "exists" in capsys.readouterr().err
    for name, reason in (("gone", "no such recording"), ("torn", "broke the answer off")):
        out = str(tmp_path / f"{name}.flac")
        assert main(["recordings", "fetch", name, "--url", url, "--out", out]) == 1
        assert reason in capsys.readouterr().err
    nowhere = str(tmp_path / "nowhere" / "call.flac")
    assert main(["recordings", "fetch", "r1", "--url", url, "--out", nowhere]) == 1
    assert "can't be written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["call.flac"]


@pytest.mark.parametrize(
    ("path", "kind", "reason"),
    [
        ("/v1/recordings/gone", NotFound, "no such recording"),
        ("/v1/recordings/forbidden", Refused, "403"),
        ("/v1/recordings/away", StoreUnavailable, "503"),
        ("/v1/recordings/list", Refused, "not a portal"),
        ("/v1/recordings/page", Refused, "not a portal"),
        ("/v1/recordings/torn", StoreUnavailable, "broke the answer off"),
    ],
)
def test_answers_become_errors_a_command_can_tell(
    api: Api, path: str, kind: type[Exception], reason: str
) -> None:
    """The sentence of the API is kept."""
    with pytest.raises(kind, match=reason):
        api.get(path)


def test_a_portal_that_is_away_is_said_to_be() -> None:
    """One line, no traceback."""
    with pytest.raises(StoreUnavailable, match=r"can't be reached .* is it running"):
        Api(argparse.Namespace(url="http://127.0.0.1:9", key="k", data=None)).get("/v1/recordings")


@pytest.mark.parametrize(
    ("url", "key", "reason"),
    [("", "k", "--url"), ("file:///etc/passwd", "k", "--url"), ("http://x", "", "API key")],
)
def test_address_and_key_are_needed(url: str, key: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And an address is one of HTTP."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(Refused, match=reason):
        Api(argparse.Namespace(url=url, key=key, data=None))


def test_what_is_typed_is_one_segment_of_a_path() -> None:
    """An id that is none reaches no other route."""
    assert segment("0199-ab") == "0199-ab"
    assert segment("../users?x=#") == "..%2Fusers%3Fx%3D%23"
    for text in ("", ".", ".."):
        with pytest.raises(Refused, match="not an id"):
            segment(text)


def test_documents_are_sent_once_and_an_empty_answer_is_an_empty_document(api_server: Any) -> None:
    """A command that was lost is not sent again by itself."""
    api = Api(argparse.Namespace(url=api_server.url, key=None, data=None))
    api_server.answers["POST", "/v1/things"] = (201, {"id": "t1"})
    api_server.answers["DELETE", "/v1/things/t1"] = (204, None)
    assert api.post("/v1/things", {"name": "één"}) == {"id": "t1"}
    assert api.delete("/v1/things/t1") == {}
    with pytest.raises(NotFound):
        api.delete("/v1/things/t2")
    assert [(method, sent) for method, _, sent in api_server.seen] == [
        ("POST", {"name": "één"}),
        ("DELETE", None),
        ("DELETE", None),
    ]
