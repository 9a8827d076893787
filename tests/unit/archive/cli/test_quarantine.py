"""Quarantine by command: listed, assigned and destroyed through the HTTP API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archive.cli.main import main

ANNA = "anna@bakery.example"
PEOPLE = "/v1/users?q=anna&limit=200"


def test_what_is_in_quarantine_is_listed(api_server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Like recordings, for that is what they may become."""
    item = {"id": "r1", "state": "quarantined", "durationMs": 61_000, "mode": "always", "parties": []}
    api_server.answers["GET", "/v1/quarantine?limit=50"] = (200, {"items": [item], "next": "c2"})
    assert main(["quarantine", "list", "--url", api_server.url]) == 0
    printed = capsys.readouterr().out
    assert "quarantined" in printed
    assert "--cursor c2" in printed
    assert main(["quarantine", "list", "--url", api_server.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == [item]


def test_a_recording_is_assigned_to_a_person_by_login(
    api_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many pages of people have a similar one."""
    similar = {"login": "johanna@bakery.example", "id": "u9"}
    api_server.answers["GET", PEOPLE] = (200, {"items": [similar], "next": "c2"})
    found = {"items": [{"login": ANNA, "id": "u1"}], "next": None}
    api_server.answers["GET", f"{PEOPLE}&cursor=c2"] = (200, found)
    api_server.answers["POST", "/v1/recordings/r1/assignments"] = (202, {"task": "assign"})
    assert main(["quarantine", "assign", "r1", "Anna@Bakery.Example", "--url", api_server.url]) == 0
    assert "r1 is being assigned" in capsys.readouterr().out
    assert api_server.seen[-1] == ("POST", "/v1/recordings/r1/assignments", {"userId": "u1"})


def test_nobody_of_that_login_is_told_so(api_server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is assigned."""
    api_server.answers["GET", PEOPLE] = (200, {"items": [], "next": None})
    assert main(["quarantine", "assign", "r1", ANNA, "--url", api_server.url]) == 1
    assert "no user" in capsys.readouterr().err
    assert [method for method, _, _ in api_server.seen] == ["GET"]


def test_a_recording_is_destroyed(api_server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The document of the API says which task it is."""
    api_server.answers["DELETE", "/v1/recordings/r1"] = (202, {"recordingId": "r1", "task": "destroy"})
    assert main(["quarantine", "destroy", "r1", "--url", api_server.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"recordingId": "r1", "task": "destroy"}


def test_a_recording_of_somebody_is_not_destroyed(
    api_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason of the API is the reason of the command."""
    api_server.answers["DELETE", "/v1/recordings/r1"] = (409, {"detail": "It is not in quarantine."})
    assert main(["quarantine", "destroy", "r1", "--url", api_server.url]) == 1
    assert "not in quarantine" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["list", "assign", "destroy"])
def test_every_action_helps_with_an_example(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As every command does."""
    assert main(["quarantine", action, "--help"]) == 0
    assert f"example: earwitness quarantine {action}" in " ".join(capsys.readouterr().out.split())
