"""Star codes command the recording of whoever presses them, however badly the keys arrive."""

from __future__ import annotations

import asyncio
from asyncio import to_thread
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from recorder.client.call import (
    PACKETS_PER_S,
    PAYLOAD_TYPE_EVENT,
    CallPlan,
    Delivery,
    Dialect,
    PlacedCall,
    PlannedEvent,
    SentStream,
    StreamPlan,
)
from recorder.client.keypad import event_packets
from tests.behaviour.conftest import CHAIN, OFFICE, Provider
from tests.behaviour.course import Mark, Turn, broadworks, check, place, plan_of, speech
from tests.conftest import ANNA, OLGA, OTTO, PIA
from tests.crash.calls import CALLEE
from tests.running_service import RunningService

STAR = "star code"
PAUSE, RESUME, START, STOP = "*48", "*49", "*44", "*45"
SECONDS = 4.0
FIRST_S, SECOND_S = 0.5, 2.2
DELAY_S_MAX = 1.5
"""A busy machine reads a key some ticks late."""


def pressed(*keys: tuple[float, str], seconds: float = SECONDS, duration_ms: int = 100) -> StreamPlan:
    """Return a stream in which keys are pressed at moments of the call."""
    return speech(seconds, *(PlannedEvent(at_s, digits, duration_ms) for at_s, digits in keys))


def turns_of(events: tuple[PlannedEvent, ...]) -> list[list[int]]:
    """Return the packet times of each key."""
    keys: list[list[int]] = []
    for turn, packet in sorted(event_packets(events).items()):
        keys += [[]] if packet.marker else []
        keys[-1].append(turn)
    return keys


def with_delivery(plan: StreamPlan, **how: Any) -> StreamPlan:
    """Return the stream on a bad network."""
    return replace(plan, delivery=Delivery(**how))


def without_ends(plan: StreamPlan) -> StreamPlan:
    """Lose the end of each key: its last packet and both repetitions."""
    return with_delivery(plan, lost=frozenset(turn for key in turns_of(plan.events) for turn in key[-3:]))


def without_beginnings(plan: StreamPlan) -> StreamPlan:
    """Lose the first three packets of each key, the marker among them."""
    return with_delivery(plan, lost=frozenset(turn for key in turns_of(plan.events) for turn in key[:3]))


def in_a_burst(plan: StreamPlan) -> StreamPlan:
    """Let all packets of a key arrive with its last one, each of them twice."""
    turns = turns_of(plan.events)
    delayed = {turn: key[-1] - turn for key in turns for turn in key[:-1]}
    return with_delivery(plan, delayed=delayed, doubled=frozenset(turn for key in turns for turn in key))


@dataclass(frozen=True)
class Case:
    """A call with keys pressed, what they switch, as (on, moment of the third key), and the spans of it."""

    plan: CallPlan
    switches: tuple[bool, ...] = ()
    marks: tuple[Mark, ...] = ()
    on: bool = True
    presses_at: int = 0
    lost: int = 0


PAUSED = (Mark("pause", STAR, 0, 1),)


def cases(service: RunningService) -> dict[str, Case]:
    """Return the calls."""
    both = pressed((FIRST_S, PAUSE), (SECOND_S, RESUME))

    def of_pia(plan: StreamPlan, seconds: float = SECONDS) -> CallPlan:
        return plan_of(service, PIA, seconds=seconds, caller_stream=plan)

    def paused(plan: StreamPlan) -> Case:
        return Case(of_pia(plan), (False, True), PAUSED, lost=len(plan.delivery.lost))

    held_long = speech(9.0, PlannedEvent(FIRST_S, "*4"), PlannedEvent(1.2, "8", duration_ms=6000))
    otto = pressed((FIRST_S, START), (SECOND_S, STOP))
    return {
        "pause and resume": paused(both),
        "as the called party": Case(
            plan_of(service, CALLEE, PIA, seconds=SECONDS, callee_stream=both),
            (False, True),
            PAUSED,
            presses_at=1,
        ),
        "start and stop": Case(
            plan_of(service, OTTO, seconds=SECONDS, caller_stream=otto),
            (True, False),
            (Mark("pause", STAR, None, 0), Mark("pause", STAR, 1, None)),
            on=False,
        ),
        "keep": Case(plan_of(service, OLGA, seconds=2, caller_stream=pressed((FIRST_S, START), seconds=2))),
        "ends are lost": paused(without_ends(both)),
        "beginnings are lost": paused(without_beginnings(both)),
        "in a burst": paused(in_a_burst(both)),
        "a key is held for 6 s": Case(of_pia(held_long, 9.0), (False,), (Mark("pause", STAR, 0, None),)),
        "a slip of the finger": paused(pressed((0.3, "*4*48"), (SECOND_S, "**49"))),
        "too slow": Case(of_pia(pressed((FIRST_S, "*4"), (5.4, "8"), seconds=7), 7)),
        "other keys": Case(of_pia(pressed((0.3, "48#*46*0123"), seconds=SECONDS))),
        "the other party": Case(plan_of(service, PIA, seconds=SECONDS, callee_stream=both), presses_at=1),
        "mode always": Case(
            plan_of(service, ANNA, seconds=2, caller_stream=pressed((FIRST_S, PAUSE), seconds=2))
        ),
    }


@dataclass(frozen=True)
class Pressed:
    """A case when it is over."""

    case: Case
    placed: PlacedCall
    recording: dict[str, Any]
    trace: list[str]


@pytest.fixture(scope="module")
def calls(service: RunningService) -> dict[str, Pressed]:
    """All the calls, placed at once."""

    async def run(case: Case) -> Pressed:
        placed = await place(case.plan)
        recording = await to_thread(service.recording_of, placed.call_id)
        why = await to_thread(service.get, f"/v1/recordings/{recording['id']}/why")
        return Pressed(case, placed, recording, why.json()["trace"])

    async def run_all(wanted: Iterable[Case]) -> list[Pressed]:
        return await asyncio.gather(*map(run, wanted))

    wanted = cases(service)
    return dict(zip(wanted, asyncio.run(run_all(wanted.values())), strict=True))


def turns(stream: SentStream, switches: tuple[bool, ...]) -> list[Turn]:
    """Return between which moments star codes were obeyed: not before the third of their keys was sent."""
    keys: list[float] = []
    before: int | None = None
    for packet in sorted(stream.packets, key=lambda item: item.index):
        if packet.payload_type != PAYLOAD_TYPE_EVENT:
            continue
        if before is None or packet.index - before > 1:
            keys.append(packet.sent_s)
        before = packet.index
    thirds = keys[2::3]
    return [
        Turn(on, at_s, at_s + DELAY_S_MAX)
        for on, at_s in zip(switches, thirds, strict=len(switches) == len(thirds))
    ]


@pytest.mark.parametrize(
    "name",
    [
        "pause and resume",
        "as the called party",
        "start and stop",
        "keep",
        "ends are lost",
        "beginnings are lost",
    ],
)
async def test_keys_command_the_recording_of_who_presses_them(
    service: RunningService, calls: dict[str, Pressed], name: str
) -> None:
    """What was said in between is not there, all else is, and no key is heard anywhere."""
    await looked_at(service, calls[name])


@pytest.mark.parametrize("name", ["in a burst", "a key is held for 6 s", "a slip of the finger"])
async def test_each_key_counts_once(service: RunningService, calls: dict[str, Pressed], name: str) -> None:
    """Its packets are repeated, come all at once, or go on for longer than one event can say."""
    await looked_at(service, calls[name])
    commands = [line for line in calls[name].trace if STAR in line]
    assert len(commands) == len(calls[name].case.switches), commands


@pytest.mark.parametrize("name", ["too slow", "other keys", "the other party"])
async def test_other_keys_and_other_people_command_nothing(
    service: RunningService, calls: dict[str, Pressed], name: str
) -> None:
    """The recording goes on, and its trace knows of no command."""
    await looked_at(service, calls[name])
    assert not [line for line in calls[name].trace if STAR in line]


async def test_what_the_mode_forbids_stands_in_the_trace(
    service: RunningService, calls: dict[str, Pressed]
) -> None:
    """Nobody answers a telephone key, so that the reason is found where one asks why."""
    await looked_at(service, calls["mode always"])
    (line,) = [line for line in calls["mode always"].trace if STAR in line]
    assert "pause by star code: refused" in line
    assert "can't be paused" in line


async def looked_at(service: RunningService, call: Pressed) -> None:
    """Check a recording packet by packet."""
    case = call.case
    found = turns(call.placed.streams[case.presses_at], case.switches)
    await check(service, call.recording, call.placed, found, case.marks, on=case.on, lost=case.lost)


async def test_on_a_mixed_stream_they_are_refused_with_the_reason(service: RunningService) -> None:
    """Where both parties are one stream nobody can tell who pressed the key."""
    keys = pressed((FIRST_S, PAUSE), seconds=2)
    plan = plan_of(service, PIA, seconds=2, caller_stream=keys, dialect=Dialect.BROADWORKS_MIXED)
    placed = await place(plan)
    recording = await to_thread(service.recording_of, placed.call_id)
    assert recording["layout"] == "mixed"
    await check(service, recording, placed, [])
    why = await to_thread(service.get, f"/v1/recordings/{recording['id']}/why")
    (line,) = [line for line in why.json()["trace"] if STAR in line]
    assert "refused" in line
    assert "mixed" in line


async def test_a_peer_without_star_codes_carries_none(provider: Provider) -> None:
    """They are off by default: on such a peer the keys are the callers' own business."""
    customer = provider.bakery
    customer.enter("paula", "+31201239901", mode="always-pause", broadworks_id="paula@office.example")
    customer.settled("paula", lambda user: True)
    keys = pressed((FIRST_S, PAUSE), seconds=2)
    plan = plan_of(provider.service, "+31201239901", host="::1", seconds=2, caller_stream=keys)
    placed = await place(
        broadworks(plan, serviceProviderID=CHAIN, groupID=OFFICE, userID="paula@office.example")
    )
    (recording,) = await to_thread(customer.recordings_of, placed.call_id)
    assert recording["mode"] == "always-pause"
    await check(provider.service, recording, placed, [], key=customer.key)
    outcome = await to_thread(customer.outcome_of, placed.call_id)
    assert not [line for line in outcome["trace"] if STAR in line]


def test_the_length_of_the_calls_fits_their_keys() -> None:
    """A key that would be pressed after the end would let a test pass that tests nothing."""
    for keys in (pressed((FIRST_S, PAUSE), (SECOND_S, RESUME)), pressed((0.3, "48#*46*0123"))):
        assert max(event_packets(keys.events)) < SECONDS * PACKETS_PER_S
