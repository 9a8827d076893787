"""Reasons by command: of a recording, a session, and a call nobody makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from archive.catalogue import accounts
from archive.catalogue.engine import Catalogue
from archive.cli.api import KEY_VARIABLE
from archive.cli.main import main

WHY = {
    "recording": "r1",
    "outcome": "recorded",
    "reason": "mode always",
    "owner": None,
    "trace": ["peer sbc-1", "user u1"],
    "commands": [{"kind": "pause", "fromMs": 100, "toMs": 200, "by": None}],
    "flags": [],
}
DECISION = {"outcome": "mode-never", "reason": "mode never", "trace": ["tenant by peer"], "recorded": []}


def test_why_of_a_recording_is_told_step_by_step(api_server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines for people, the document for scripts."""
    api_server.answers["GET", "/v1/recordings/r1/why"] = (200, WHY)
    assert main(["why", "r1", "--url", api_server.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "reason     mode always" in lines
    assert "owner      -" in lines
    assert lines[lines.index("trace:") + 1 :][:2] == ["  peer sbc-1", "  user u1"]
    assert "  kind pause, fromMs 100, toMs 200" in lines
    assert "flags:" not in lines
    assert main(["why", "r1", "--url", api_server.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == WHY


def test_why_of_what_is_no_recording_is_that_of_a_session(
    api_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A call that was not recorded has an outcome only."""
    api_server.answers["GET", "/v1/sessions/s1"] = (200, {"outcome": "mode-never", "trace": []})
    assert main(["why", "s1", "--url", api_server.url]) == 0
    assert "mode-never" in capsys.readouterr().out
    assert main(["why", "s2", "--url", api_server.url]) == 1
    assert "There is no such thing" in capsys.readouterr().err


def test_what_if_asks_without_a_call(api_server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what was given is asked."""
    api_server.answers["POST", "/v1/what-if"] = (200, DECISION)
    given = ["--caller", "+31612345678", "--callee", "101", "--group", "g1"]
    assert main(["what-if", *given, "--url", api_server.url]) == 0
    assert "mode never" in capsys.readouterr().out
    assert api_server.seen == [
        ("POST", "/v1/what-if", {"caller": "+31612345678", "callee": "101", "groupId": "g1"})
    ]
    assert main(["what-if", *given, "--url", api_server.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == DECISION


def test_what_if_of_a_named_tenant_needs_a_key_of_it(
    api_server: Any,
    run: Callable[..., str],
    data: Callable[..., Any],
    operator: Catalogue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that a script does not read the answer of another customer."""
    api_server.answers["POST", "/v1/what-if"] = (200, DECISION)
    for domain in ("bakery.example", "florist.example"):
        data("tenant", "add", domain, "--domain", domain)
    made = data("api-client", "add", "crm", "--tenant", "bakery.example", "--scope", "sessions:read")
    assert accounts.authenticate_key(operator, made["key"]) is not None
    monkeypatch.setenv(KEY_VARIABLE, made["key"])
    asked = ("what-if", "--caller", "1", "--callee", "2", "--url", api_server.url, "--tenant")
    assert "mode never" in run(*asked, "bakery.example")
    assert "not of florist.example" in run(*asked, "florist.example", code=1)
