"""Every mode obeys just the commands it should, in every state, and the recording shows what was commanded.

A call of each mode is led through all states that commands reach; in each state every
command is given. All of them run at once, and are looked at one by one afterwards.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import uuid
from asyncio import to_thread
from dataclasses import dataclass, field
from typing import Any

import pytest

from recorder.client.call import PACKET_MS, PlacedCall
from tests.behaviour.course import Course, Mark, Turn, begin, check, plan_of, wall_s
from tests.conftest import ANNA, NINA, OLGA, OTTO, PIA
from tests.crash.calls import frozen
from tests.running_service import ROOT, Answer, RunningService

VERBS = ("start", "stop", "pause", "resume", "keep")

ALREADY = "it is being recorded already"
KEPT = "it is kept already"
TO_ITS_END = "is recorded to its end"
NO_PAUSE = "can't be paused"
NOT_STARTED = "it was not started yet"


@dataclass(frozen=True)
class To:
    """The command is obeyed and leads here."""

    capture: str


Cell = To | str
TABLE: dict[tuple[str, str], dict[str, Cell]] = {
    ("always", "recording"): {
        "start": ALREADY,
        "stop": TO_ITS_END,
        "pause": NO_PAUSE,
        "resume": NO_PAUSE,
        "keep": KEPT,
    },
    ("always-pause", "recording"): {
        "start": ALREADY,
        "stop": TO_ITS_END,
        "pause": To("paused"),
        "resume": "it is not paused",
        "keep": KEPT,
    },
    ("always-pause", "paused"): {
        "start": "resume it instead",
        "stop": TO_ITS_END,
        "pause": "it is paused already",
        "resume": To("recording"),
        "keep": KEPT,
    },
    ("on-demand", "pre-roll"): {
        "start": To("recording"),
        "stop": "can't be stopped",
        "pause": "only after it was kept",
        "resume": "only after it was kept",
        "keep": To("recording"),
    },
    ("on-demand", "recording"): {
        "start": ALREADY,
        "stop": "can't be stopped",
        "pause": To("paused"),
        "resume": "it is not paused",
        "keep": KEPT,
    },
    ("on-demand", "paused"): {
        "start": "resume it instead",
        "stop": "can't be stopped",
        "pause": "it is paused already",
        "resume": To("recording"),
        "keep": KEPT,
    },
    ("on-demand-start", "armed"): {
        "start": To("recording"),
        "stop": NOT_STARTED,
        "pause": NOT_STARTED,
        "resume": NOT_STARTED,
        "keep": NOT_STARTED,
    },
    ("on-demand-start", "recording"): {
        "start": ALREADY,
        "stop": To("stopped"),
        "pause": To("paused"),
        "resume": "it is not paused",
        "keep": KEPT,
    },
    ("on-demand-start", "paused"): {
        "start": "resume it instead",
        "stop": To("stopped"),
        "pause": "it is paused already",
        "resume": To("recording"),
        "keep": KEPT,
    },
    ("on-demand-start", "stopped"): {
        "start": To("recording"),
        "stop": "it is stopped already",
        "pause": "start it again first",
        "resume": "start it again instead",
        "keep": "kept already",
    },
}
"""What portal.md 4.3 gives buttons for is obeyed; of all else, what the reason says."""

CAPTURING = {"pre-roll", "recording"}


@dataclass(frozen=True)
class Way:
    """A call of one user: the state it begins in, the commands it obeys, and the spans that are to be seen.

    A mark names the switches of capture between which it lies, by their number.
    """

    mode: str
    login: str
    number: str
    begins: str
    verbs: tuple[str, ...] = ()
    marks: tuple[tuple[int | None, int | None], ...] = ()


WAYS = {
    "always": Way("always", "anna", ANNA, "recording"),
    "paused": Way("always-pause", "pia", PIA, "recording", ("pause", "resume"), ((0, 1),)),
    "paused at the end": Way("always-pause", "pia", PIA, "recording", ("pause",), ((0, None),)),
    "kept": Way("on-demand", "olga", OLGA, "pre-roll", ("keep", "pause", "resume"), ((0, 1),)),
    "kept by start": Way("on-demand", "olga", OLGA, "pre-roll", ("start",)),
    "in parts": Way(
        "on-demand-start",
        "otto",
        OTTO,
        "armed",
        ("start", "pause", "resume", "stop", "start", "pause", "stop", "start"),
        ((None, 0), (1, 2), (3, 4), (5, 6)),
    ),
    "stopped": Way("on-demand-start", "otto", OTTO, "armed", ("start", "stop"), ((None, 0), (1, None))),
}


@dataclass
class Walked:
    """What became of a call on its way: answers and what the call said, by state, and its recording."""

    by: str = ""
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    reached: dict[tuple[str, str], str] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    effective: list[float] = field(default_factory=list)
    placed: PlacedCall | None = None
    recording: dict[str, Any] = field(default_factory=dict)


async def walk(service: RunningService, way: Way, key: str) -> Walked:
    """Lead a call along its way; in each state that is new to it, the commands that do nothing come first."""
    walked = Walked()
    course = await Course.begin(service, plan_of(service, way.number), key)
    capture = way.begins
    for verb in (*way.verbs, None):
        if capture not in walked.shown:
            walked.shown[capture] = await course.shown()
            for other, cell in TABLE[way.mode, capture].items():
                if isinstance(cell, str):
                    walked.answers[capture, other] = await course.command(other)
        if verb is None:
            break
        cell = TABLE[way.mode, capture][verb]
        assert isinstance(cell, To)
        was_on, is_on = capture in CAPTURING, cell.capture in CAPTURING
        walked.answers[capture, verb] = await course.command(verb, on=is_on if was_on != is_on else None)
        walked.reached[capture, verb] = (await course.shown())["capture"]
        capture = cell.capture
    owner = walked.shown[way.begins]["owner"]
    walked.by, walked.turns = f"user:{owner}", course.turns
    walked.effective = [moment.timestamp() for moment in course.effective]
    walked.placed = await course.end()
    walked.recording = await course.archived()
    return walked


@pytest.fixture(scope="module")
def walks(service: RunningService) -> dict[str, Walked]:
    """All the calls, placed at once."""
    keys = {way.login: service.key_of(way.login) for way in WAYS.values()}

    async def run() -> list[Walked]:
        return await asyncio.gather(*(walk(service, way, keys[way.login]) for way in WAYS.values()))

    return dict(zip(WAYS, asyncio.run(run()), strict=True))


CELLS = [(mode, capture, verb) for (mode, capture), row in TABLE.items() for verb in row]


@pytest.mark.parametrize(("mode", "capture", "verb"), CELLS, ids=map(" ".join, CELLS))
def test_a_command_is_obeyed_or_refused_with_its_reason(
    walks: dict[str, Walked], mode: str, capture: str, verb: str
) -> None:
    """201 when the recorder confirmed it, and the call then shows it; 409 with the reason of mode and state."""
    cell = TABLE[mode, capture][verb]
    tried = [
        walked
        for name, walked in walks.items()
        if WAYS[name].mode == mode and (capture, verb) in walked.answers
    ]
    assert tried, "no call was led here"
    for walked in tried:
        answer = walked.answers[capture, verb]
        if isinstance(cell, To):
            assert answer.status == 201, answer.body
            assert answer.json()["verb"] == verb
            assert walked.reached[capture, verb] == cell.capture
        else:
            assert answer.status == 409, answer.body
            assert answer.headers["content-type"].startswith("application/problem+json")
            assert cell in answer.json()["detail"]
            assert f"'{verb}'" in answer.json()["detail"]


@pytest.mark.parametrize(("mode", "capture"), TABLE, ids=map(" ".join, TABLE))
def test_a_call_says_beforehand_what_it_obeys(walks: dict[str, Walked], mode: str, capture: str) -> None:
    """So that a page shows exactly the buttons that work, and the reason of each other one."""
    shown = [
        walked.shown[capture]
        for name, walked in walks.items()
        if WAYS[name].mode == mode and capture in walked.shown
    ]
    assert shown
    for call in shown:
        assert (call["mode"], call["capture"]) == (mode, capture)
        assert call["state"] == ("unkept" if capture in {"pre-roll", "armed"} else "recording")
        assert (call["pausedAt"] is not None) == (capture == "paused")
        assert set(call["commands"]) == set(VERBS)
        for verb, cell in TABLE[mode, capture].items():
            told = call["commands"][verb]
            assert told["allowed"] is isinstance(cell, To)
            assert cell in told["reason"] if isinstance(cell, str) else told["reason"] is None


@pytest.mark.parametrize("name", WAYS)
async def test_the_recording_shows_what_was_commanded(
    service: RunningService, walks: dict[str, Walked], name: str
) -> None:
    """Every packet is there sample for sample, but for those of a pause and before a start; each gap is told."""
    way, walked = WAYS[name], walks[name]
    assert walked.placed is not None
    marks = [Mark("pause", walked.by, first, last) for first, last in way.marks]
    begins_on = way.begins in CAPTURING
    switched = await check(service, walked.recording, walked.placed, walked.turns, marks, on=begins_on)
    assert walked.recording["state"] == "available"
    assert walked.recording["mode"] == way.mode
    assert next(party["number"] for party in walked.recording["parties"]) == way.number
    for told_s, first_s in zip(walked.effective, switched, strict=True):
        # What was confirmed is the very edge: no packet after it obeys the old state.
        assert told_s <= wall_s(first_s) + PACKET_MS / 1000
        assert told_s >= wall_s(first_s) - 0.5


async def test_a_call_of_mode_never_takes_no_media_and_no_command(service: RunningService) -> None:
    """It is answered with every stream inactive, is no call to command, and ends with just that."""
    call = await begin(plan_of(service, NINA))
    key = await to_thread(service.key_of, "nina")
    shown = [*await to_thread(service.calls), *await to_thread(service.calls, key)]
    assert call.call_id not in {item["callId"] for item in shown}
    placed = await call.end()
    outcome = await to_thread(service.outcome_of, placed.call_id)
    assert (outcome["outcome"], outcome["recordingIds"]) == ("mode never", [])
    assert placed.answer_sdp.count(b"a=inactive") == 2
    assert not any(stream.active or stream.packets for stream in placed.streams)
    assert placed.call_id not in {item["callId"] for item in await to_thread(service.recordings)}
    for verb in VERBS:
        for recording_id in (outcome["id"], str(uuid.uuid4())):
            assert (await to_thread(service.command, recording_id, verb, key)).status == 404


async def test_nobody_but_the_recorded_person_or_a_program_commands(service: RunningService) -> None:
    """A colleague does not even find the call; a key that only reads finds it and is refused."""
    course = await Course.begin(service, plan_of(service, PIA))
    colleague = await to_thread(service.key_of, "ben")
    reader = await to_thread(lambda: service.add_key("reader of calls", scopes=("calls:read",)))
    statuses = [
        (await to_thread(service.command, course.recording_id, "pause", key)).status
        for key in (colleague, reader, "ew_nobody")
    ]
    assert statuses == [404, 403, 401]
    assert (await course.shown())["capture"] == "recording"
    await course.end()
    recording = await course.archived()
    assert not [span for span in recording["spans"] if span["kind"] == "pause"]


async def test_a_call_that_is_over_obeys_nothing(service: RunningService) -> None:
    """After the hang-up there is nothing to command any more."""
    course = await Course.begin(service, plan_of(service, PIA))
    await course.end()
    await course.archived()
    assert {(await course.command(verb)).status for verb in VERBS} == {404}


async def test_the_command_line_commands_as_the_api_does(service: RunningService) -> None:
    """Exit 0 when it was confirmed, exit 1 with the recorder's reason."""
    course = await Course.begin(service, plan_of(service, PIA))

    def run(verb: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "archive.cli.main", "calls", verb, course.recording_id]
        given = {**service.environment, "EARWITNESS_API_KEY": service.api_key, "PATH": os.environ["PATH"]}
        return subprocess.run(
            [*command, "--data", str(service.directory)],
            capture_output=True,
            text=True,
            env=given,
            cwd=ROOT,
            timeout=60,
            check=False,
        )

    paused = await to_thread(run, "pause")
    assert (paused.returncode, paused.stderr) == (0, "")
    assert paused.stdout.startswith("pause: confirmed")
    refused = await to_thread(run, "pause")
    assert refused.returncode == 1
    assert "it is paused already" in refused.stderr
    await course.end()
    recording = await course.archived()
    (span,) = [span for span in recording["spans"] if span["kind"] == "pause"]
    assert span["by"].startswith("api-client:")
    assert span["toMs"] == recording["durationMs"]


async def test_a_command_nobody_confirms_is_withdrawn(service: RunningService) -> None:
    """While the recorder stands still the answer is 504, and what it told of is never carried out."""
    course = await Course.begin(service, plan_of(service, PIA))
    with frozen([service.role("recorder")]):
        asked_s = time.monotonic()
        answer = await course.command("pause")
        assert time.monotonic() - asked_s < 10
    assert answer.status == 504, answer.body
    assert "withdrawn" in answer.json()["detail"]
    assert (await course.command("resume")).status == 409
    assert (await course.shown())["capture"] == "recording"
    placed = await course.end()
    await check(service, await course.archived(), placed, [])
