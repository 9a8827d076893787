"""Calls by command: listed, shown and commanded through the HTTP API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archive.cli.calls_commands import VERBS
from archive.cli.main import main

CALL = {
    "id": "r1",
    "startedAt": "2026-11-22T09:30:00.000Z",
    "state": "recording",
    "capture": "paused",
    "mode": "always-pause",
    "parties": [{"number": "+31201234567"}, {"number": "+31612345678"}],
}


def test_calls_are_listed_as_a_table_or_as_the_document(
    api_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """With how to go on."""
    api_server.answers["GET", "/v1/calls?limit=50"] = (200, {"items": [CALL], "next": "c2"})
    assert main(["calls", "list", "--url", api_server.url]) == 0
    printed = capsys.readouterr().out
    assert "paused" in printed
    assert "+31201234567, +31612345678" in printed
    assert "--cursor c2" in printed
    assert main(["calls", "list", "--url", api_server.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == [CALL]


def test_one_call_is_shown_whole(api_server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts read it as JSON."""
    api_server.answers["GET", "/v1/calls/r1"] = (200, CALL)
    assert main(["calls", "show", "r1", "--url", api_server.url]) == 0
    assert json.loads(capsys.readouterr().out) == CALL


@pytest.mark.parametrize("verb", VERBS)
def test_a_command_is_done_when_the_recorder_confirmed_it(
    verb: str, api_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0 and the moment it took effect."""
    path = f"/v1/calls/r1/{VERBS[verb][0]}"
    answer = {"id": "c1", "call": "r1", "verb": verb, "effectiveAt": "2026-11-22T09:31:00.000Z"}
    api_server.answers["POST", path] = (201, answer)
    assert main(["calls", verb, "r1", "--url", api_server.url]) == 0
    assert capsys.readouterr().out == f"{verb}: confirmed, in force from 2026-11-22T09:31:00.000Z\n"
    assert main(["calls", verb, "r1", "--url", api_server.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == answer
    assert api_server.seen == [("POST", path, None)] * 2


def test_a_call_that_is_over_is_kept_by_its_recording(api_server: Any) -> None:
    """Within the grace of the tenant."""
    api_server.answers["POST", "/v1/recordings/r1/keeps"] = (201, {"effectiveAt": None})
    assert main(["calls", "keep", "r1", "--after", "--url", api_server.url]) == 0


@pytest.mark.parametrize(
    ("status", "detail"),
    [(409, "a call of this mode can't be paused"), (504, "the recorder did not confirm it")],
)
def test_what_was_not_done_is_exit_1_with_the_reason(
    status: int, detail: str, api_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether the mode forbids it or the recorder is gone."""
    api_server.answers["POST", "/v1/calls/r1/pauses"] = (status, {"detail": detail})
    assert main(["calls", "pause", "r1", "--url", api_server.url]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"earwitness calls: The portal answered {status}: {detail}\n"


def test_an_id_can_not_reach_another_route(api_server: Any) -> None:
    """What is typed is one part of a path."""
    assert main(["calls", "pause", "../users/1?x=", "--url", api_server.url]) == 1
    assert api_server.seen[0][1] == "/v1/calls/..%2Fusers%2F1%3Fx%3D/pauses"


@pytest.mark.parametrize("action", ["list", "show", *VERBS])
def test_every_action_helps_with_an_example(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As every command does."""
    assert main(["calls", action, "--help"]) == 0
    assert f"example: earwitness calls {action}" in " ".join(capsys.readouterr().out.split())
