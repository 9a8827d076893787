"""The demo: which people, which calls, and how their fate is told."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from archive.cli import demo
from archive.cli.api import Document
from archive.cli.demo import CALLS, EXEMPT, PEOPLE, SampleCall, Verbs
from archive.errors import Refused
from archive.model import RecordingMode
from archive.numbers import is_exempt_number


def test_there_is_somebody_in_each_mode_and_a_call_to_112() -> None:
    """The table shows every mode and the promise about emergency calls."""
    assert {person.mode for person in PEOPLE} == {str(mode) for mode in RecordingMode}
    called = {call.callee for call in CALLS} | {call.caller for call in CALLS}
    assert {person.number for person in PEOPLE if person.number} <= called
    assert is_exempt_number(EXEMPT)
    assert EXEMPT in called


def test_a_recorded_call_shows_how_long_and_in_which_state() -> None:
    """Two recorded users, two recordings."""
    session: Document = {"outcome": "recorded", "reason": "bye", "recordingIds": ["1", "2"]}
    row = demo._result(
        lambda path: {"durationMs": 8040, "spans": [], "state": "available"}, CALLS[2], session
    )
    assert row["seconds"] == "8.0 (available) + 8.0 (available)"
    assert (row["became"], row["why"]) == ("recorded", "bye")


def test_a_call_without_outcome_is_a_failure_unless_it_is_exempt() -> None:
    """Of an exempt call there is nothing to find."""
    assert demo._result(lambda path: {}, SampleCall("1", EXEMPT, ""), None)["why"] == "exempt"
    assert demo._result(lambda path: {}, SampleCall("1", "2", ""), None)["became"] == "not archived in time"


def test_waiting_ends_when_every_call_but_the_exempt_one_has_an_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And at a deadline."""
    calls = {f"c{n}": call for n, call in enumerate(CALLS)}
    pages = [[], [{"callId": call_id} for call_id in list(calls)[:-1]] + [{"callId": "somebody else's"}]]

    def get(path: str, **query: object) -> Document:
        return {"items": pages.pop(0) if len(pages) > 1 else pages[0]}

    monkeypatch.setattr(demo, "POLL_INTERVAL_S", 0)
    assert set(demo._wait(get, calls)) == set(calls) - {list(calls)[-1]}
    monkeypatch.setattr(demo, "ARCHIVED_TIMEOUT_S", -1)
    pages[:] = [[]]
    assert demo._wait(get, calls) == {}


class Recorded(Verbs):
    """Notes commands instead of running them, and answers lists from `known`."""

    def __init__(self, known: dict[str, list[Document]]) -> None:
        super().__init__(Path("data"))
        self.known = known
        self.ran: list[tuple[str, ...]] = []

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        self.ran.append(arguments)
        answer: object = self.known.get(arguments[0], []) if arguments[1] == "list" else {}
        return subprocess.CompletedProcess(list(arguments), 0, json.dumps(answer), "")


def test_a_team_stands_before_the_calls_and_stays_when_the_demo_runs_again() -> None:
    """Its leader hears what is recorded from then on."""
    verbs = Recorded({})
    demo._team(verbs)
    assert [ran[:2] for ran in verbs.ran] == [("team", "add"), *[("team", "member")] * len(demo.MEMBERS)]
    assert {login for login, _ in demo.MEMBERS} <= {person.login for person in PEOPLE}


def test_it_is_said_where_to_sign_in_as_whom_and_what_each_may_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Those who decide or hear all are told of their second step before they meet it."""
    passwords = {f"{person.login}@{demo.DOMAIN}": f"{person.login}-secret" for person in PEOPLE}
    demo._print_logins("http://localhost:8080", passwords, "ew_key")
    told = capsys.readouterr().out
    assert "Portal and API: http://localhost:8080\n" in told
    for person in PEOPLE:
        line = next(line for line in told.splitlines() if line.startswith(f"{person.login}@"))
        assert f"{person.login}-secret" in line
        assert line.endswith("*") == (person.role != "user")
    assert demo.SECOND_STEP in told


def test_a_second_run_uses_the_same_people_with_new_passwords() -> None:
    """`make run` can be interrupted and started again."""
    first = Recorded({})
    demo._people(first)
    assert ("tenant", "add") in {ran[:2] for ran in first.ran}
    assert [ran[1] for ran in first.ran if ran[0] == "user"] == ["list", *["add"] * len(PEOPLE)]
    logins: list[Document] = [{"login": f"{person.login}@{demo.DOMAIN}"} for person in PEOPLE]
    second = Recorded(
        {"tenant": [{"domain": demo.DOMAIN}], "peer": [{"name": "demo-exchange"}], "user": logins}
    )
    passwords = demo._people(second)
    assert [ran[1] for ran in second.ran if ran[0] == "user"] == ["list", *["set"] * len(PEOPLE)]
    assert not [ran for ran in second.ran if ran[0] in {"tenant", "peer"} and ran[1] == "add"]
    assert len(set(passwords.values())) == len(PEOPLE)


def test_a_command_that_fails_stops_the_demo_with_its_reason() -> None:
    """The reason of the command is the reason of the demo."""
    with pytest.raises(Refused, match="No service was started"):
        Verbs(Path("/nonexistent")).data("tenant", "list")


def test_calls_are_placed_where_no_certificate_is_asked_for() -> None:
    """Whatever else the service listens on."""
    assert demo._address_of("tls:192.0.2.1,[::1]:5060,127.0.0.1:5070") == "[::1]:5060"
    assert demo._address_of("127.0.0.1:5070") == "127.0.0.1:5070"
    with pytest.raises(Refused, match="UDP"):
        demo._address_of("tls:192.0.2.1,tcp:192.0.2.1")
