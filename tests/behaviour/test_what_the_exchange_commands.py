"""The exchange pauses, resumes, starts, stops and keeps as its maker taught it; what it goes on sending is not stored."""

from __future__ import annotations

import asyncio
import re
from asyncio import to_thread
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from recorder.client.call import (
    PACKET_OCTETS,
    PACKETS_PER_S,
    CallPlan,
    Dialect,
    InDialogRequest,
    PauseBy,
    PlacedCall,
)
from recorder.client.description import METADATA_TYPE
from tests.behaviour.course import Course, Mark, Turn, broadworks, check, heard, place, plan_of, with_fields
from tests.conftest import ANNA, OLGA, OTTO, PIA
from tests.crash.calls import CALLEE, decoded, octets
from tests.raw_peer import RawPeer, offer, parties, together
from tests.running_service import RunningService

EXCHANGE = "exchange"
FIRST_S, SECOND_S, SECONDS = 0.8, 1.8, 2.8
DELAY_S_MAX = 1.5
"""A busy machine answers a request some ticks late."""

PAUSED = (Mark("pause", EXCHANGE, 0, 1),)
TO_THE_END = (Mark("pause", EXCHANGE, 0, None),)
IN_PART = (Mark("pause", EXCHANGE, None, 0), Mark("pause", EXCHANGE, 1, None))
HELD = (Mark("hold", EXCHANGE, 0, 1),)


@dataclass(frozen=True)
class Case:
    """A call whose client commands at FIRST_S and SECOND_S and never stops sending, and what is to be seen."""

    plan: CallPlan
    switches: tuple[bool, ...] = ()
    marks: tuple[Mark, ...] = ()
    on: bool = True
    answers: tuple[tuple[str, int], ...] = ()


def acting(action: str, at_s: float) -> InDialogRequest:
    """Return the INFO of AudioCodes."""
    return InDialogRequest(at_s, "INFO", headers=(("X-AC-Action", action),))


def cases(service: RunningService) -> dict[str, Case]:
    """Return the calls."""

    def of(number: str, **how: Any) -> CallPlan:
        return plan_of(service, number, seconds=SECONDS, sends_while_paused=True, **how)

    def pausing(number: str = PIA, resume_at_s: float | None = SECOND_S, **how: Any) -> CallPlan:
        return of(number, pause_at_s=FIRST_S, resume_at_s=resume_at_s, **how)

    def typed(number: str, *types: str) -> CallPlan:
        plan = broadworks(of(number))
        assert plan.metadata is not None
        moments = zip((FIRST_S, SECOND_S), types, strict=False)
        updates = [
            InDialogRequest(at_s, "UPDATE", METADATA_TYPE, with_fields(plan.metadata, recordingType=word))
            for at_s, word in moments
        ]
        return replace(plan, requests=tuple(updates))

    def informed(number: str, *actions: str) -> CallPlan:
        moments = zip((FIRST_S, SECOND_S), actions, strict=False)
        return of(number, requests=tuple(acting(action, at_s) for at_s, action in moments))

    twice = (False, True)
    zero = PauseBy.ZERO_ADDRESS
    reinvited = (("INVITE", 200), ("INVITE", 200), ("BYE", 200))
    told = (("INFO", 200), ("INFO", 200), ("BYE", 200))
    updated = (("UPDATE", 200), ("UPDATE", 200), ("BYE", 200))
    return {
        "a=inactive": Case(pausing(pause_by=PauseBy.INACTIVE), twice, PAUSED, answers=reinvited),
        "c=0.0.0.0": Case(pausing(pause_by=zero), twice, PAUSED, answers=reinvited),
        "BroadWorks": Case(pausing(dialect=Dialect.BROADWORKS), twice, PAUSED, answers=reinvited),
        "kept mixed": Case(pausing(dialect=Dialect.BROADWORKS_MIXED), twice, PAUSED, answers=reinvited),
        "mode always": Case(pausing(ANNA), twice, HELD, answers=reinvited),
        "over BYE": Case(pausing(resume_at_s=None), (False,), TO_THE_END, answers=reinvited[1:]),
        "recordingType": Case(typed(PIA, "pause", "resume"), twice, PAUSED, answers=updated),
        "recordingType on": Case(typed(PIA, "paused", "on"), twice, PAUSED, answers=updated),
        "recordingType of parts": Case(typed(OTTO, "start", "stop"), (True, False), IN_PART, False, updated),
        "recordingType keep": Case(typed(OLGA, "keep"), answers=updated[1:]),
        "recordingType refused": Case(typed(ANNA, "pause", "stop"), answers=updated),
        "recordingType unknown": Case(typed(PIA, "dance"), answers=updated[1:]),
        "INFO": Case(
            informed(PIA, "pause-siprec;recording-ip-group=1", "resume-siprec"), twice, PAUSED, answers=told
        ),
        "INFO of parts": Case(
            informed(OTTO, "start-siprec", "stop-siprec"), (True, False), IN_PART, False, told
        ),
        "INFO unknown": Case(informed(PIA, "dance"), answers=told[1:]),
    }


@dataclass(frozen=True)
class Commanded:
    """A case when it is over."""

    case: Case
    placed: PlacedCall
    recording: dict[str, Any]


@pytest.fixture(scope="module")
def calls(service: RunningService) -> dict[str, Commanded]:
    """All the calls, placed at once."""

    async def run(case: Case) -> Commanded:
        placed = await place(case.plan)
        return Commanded(case, placed, await to_thread(service.recording_of, placed.call_id))

    async def run_all(wanted: list[Case]) -> list[Commanded]:
        return await asyncio.gather(*map(run, wanted))

    wanted = cases(service)
    return dict(zip(wanted, asyncio.run(run_all(list(wanted.values()))), strict=True))


def turns(placed: PlacedCall, switches: tuple[bool, ...]) -> list[Turn]:
    """Return between which moments the client's requests were carried out."""
    packets = placed.streams[0].packets
    begun = [packets[round(at_s * PACKETS_PER_S) - 1].sent_s for at_s in (FIRST_S, SECOND_S)]
    return [Turn(on, at_s, at_s + DELAY_S_MAX) for on, at_s in zip(switches, begun, strict=False)]


async def looked_at(service: RunningService, call: Commanded) -> None:
    """Check that the client sent all the time, and what of it is in the recording."""
    assert {len(stream.packets) for stream in call.placed.streams} == {round(SECONDS * PACKETS_PER_S)}
    assert call.placed.answers == call.case.answers
    found = turns(call.placed, call.case.switches)
    await check(service, call.recording, call.placed, found, call.case.marks, on=call.case.on)


@pytest.mark.parametrize("name", ["a=inactive", "c=0.0.0.0", "BroadWorks", "kept mixed"])
async def test_a_client_that_pauses_and_keeps_sending_is_not_heard_meanwhile(
    service: RunningService, calls: dict[str, Commanded], name: str
) -> None:
    """Whichever way it says so; what it resumes with is there again, at its place."""
    await looked_at(service, calls[name])


async def test_where_the_mode_knows_no_pause_it_is_a_hold(
    service: RunningService, calls: dict[str, Commanded]
) -> None:
    """The user can't pause in mode always, the exchange stops media for its own reasons; it is not stored either."""
    await looked_at(service, calls["mode always"])


async def test_a_pause_may_last_to_the_end_of_the_call(
    service: RunningService, calls: dict[str, Commanded]
) -> None:
    """The BYE of a paused call ends it in order, and the pause ends where the call does."""
    await looked_at(service, calls["over BYE"])


@pytest.mark.parametrize(
    "name", ["recordingType", "recordingType on", "recordingType of parts", "recordingType keep"]
)
async def test_a_change_of_recording_type_commands(
    service: RunningService, calls: dict[str, Commanded], name: str
) -> None:
    """BroadWorks says it in an UPDATE of metadata alone; `on` after a pause means that it goes on."""
    await looked_at(service, calls[name])


@pytest.mark.parametrize("name", ["recordingType refused", "recordingType unknown", "INFO unknown"])
async def test_what_the_mode_forbids_and_what_nobody_knows_changes_nothing(
    service: RunningService, calls: dict[str, Commanded], name: str
) -> None:
    """The request is answered all the same, for metadata is never refused."""
    await looked_at(service, calls[name])


@pytest.mark.parametrize("name", ["INFO", "INFO of parts"])
async def test_an_info_of_audiocodes_commands(
    service: RunningService, calls: dict[str, Commanded], name: str
) -> None:
    """X-AC-Action starts, stops, pauses and resumes, whatever parameters follow."""
    await looked_at(service, calls[name])


def ask(peer: RawPeer, method: str, *headers: tuple[str, str]) -> int:
    """Send a request without a body and return the status of its answer."""
    return peer.ask(method, "", b"", *headers).status


def test_an_info_that_the_mode_forbids_is_refused(service: RunningService) -> None:
    """So that the exchange can tell its user; an unknown package is answered 469 (RFC 6086)."""
    with RawPeer(service.sip_port) as peer:
        assert peer.call(ANNA, CALLEE).status == 200
        assert ask(peer, "INFO", ("X-AC-Action", "pause-siprec")) == 488
        assert ask(peer, "INFO", ("Info-Package", "dance")) == 469
        peer.talk([octets(0.02, 7)], 0.2)
        assert ask(peer, "BYE") == 200
    recording = service.recording_of(peer.call_id)
    assert not [span for span in recording["spans"] if span["kind"] in {"pause", "hold"}]
    why = service.get(f"/v1/recordings/{recording['id']}/why").json()
    assert [line for line in why["trace"] if re.search("pause by exchange: refused.*can't be paused", line)]


@dataclass
class Telling:
    """A peer that tells what was said when: each stretch of talk has octets of its own."""

    service: RunningService
    peer: RawPeer
    key: str
    recording_id: str = ""
    version: int = 1
    said: int = 0

    def talk(self) -> None:
        """Talk for half a second, on both streams, whatever the recorder wants."""
        content = octets(0.5, 4000 + self.said)
        packets = [content[at : at + PACKET_OCTETS] for at in range(0, len(content), PACKET_OCTETS)]
        self.peer.talk(packets, 0.5)
        self.said += 1

    def media(self, direction: str) -> None:
        """Offer media or none, with metadata beside it, as an exchange does for a hold."""
        self.version += 1
        sdp = offer(*self.peer.ports, version=self.version, direction=direction)
        assert self.peer.ask("INVITE", *together(sdp, parties(PIA, CALLEE))).status == 200

    def command(self, verb: str) -> None:
        """Command as the recorded person."""
        assert self.service.command(self.recording_id, verb, self.key).status == 201


HOLD: Callable[[Telling], None] = partial(Telling.media, direction="inactive")
UNHOLD: Callable[[Telling], None] = partial(Telling.media, direction="sendonly")
PAUSE: Callable[[Telling], None] = partial(Telling.command, verb="pause")
RESUME: Callable[[Telling], None] = partial(Telling.command, verb="resume")


@pytest.mark.parametrize(
    ("acts", "kinds"),
    [
        ((HOLD, PAUSE, UNHOLD, RESUME), ("hold", "pause")),
        ((PAUSE, HOLD, RESUME, UNHOLD), ("pause", "hold")),
        ((HOLD, PAUSE, RESUME, UNHOLD), ("hold", "pause", "hold")),
        ((PAUSE, HOLD, UNHOLD, RESUME), ("pause",)),
    ],
    ids=["paused in a hold", "held in a pause", "paused within a hold", "held within a pause"],
)
def test_hold_and_pause_do_not_undo_each_other(
    service: RunningService, acts: tuple[Callable[[Telling], None], ...], kinds: tuple[str, ...]
) -> None:
    """Recording goes on when neither holds any more; of each moment the pause is told before the hold."""
    key = service.key_of("pia")
    with RawPeer(service.sip_port) as peer:
        assert peer.call(PIA, CALLEE).status == 200
        telling = Telling(service, peer, key, service.live(peer.call_id, key)["id"])
        telling.talk()
        for act in acts:
            act(telling)
            telling.talk()
        assert ask(peer, "BYE") == 200
    recording = service.recording_of(peer.call_id)
    spans = [span for span in recording["spans"] if span["kind"] in {"hold", "pause"}]
    assert [span["kind"] for span in spans] == list(kinds)
    assert {span["by"] for span in spans if span["kind"] == "hold"} <= {EXCHANGE}
    assert {span["by"] for span in spans if span["kind"] == "pause"} == {f"user:{recording['owner']}"}
    assert [span["toMs"] for span in spans[:-1]] == [span["fromMs"] for span in spans[1:]]
    samples = heard(service, recording["id"])
    for number in range(telling.said):
        # The packet sent at the very moment of the answer may be on either side of it.
        sent = decoded(octets(0.5, 4000 + number)[PACKET_OCTETS:])
        packets = [sent[at : at + PACKET_OCTETS].tobytes() for at in range(0, len(sent), PACKET_OCTETS)]
        for column in range(samples.shape[1]):
            channel = samples[:, column].tobytes()
            found = [packet in channel for packet in packets]
            assert found == [number in {0, telling.said - 1}] * len(packets), f"stretch {number}"


async def test_a_pause_of_both_ends_with_the_last_of_them(service: RunningService) -> None:
    """The exchange pauses, its user too, the exchange resumes: nothing is stored until the user resumes as well."""
    plan = plan_of(
        service,
        PIA,
        seconds=5.0,
        pause_at_s=1.0,
        resume_at_s=3.0,
        pause_by=PauseBy.INACTIVE,
        sends_while_paused=True,
    )
    course = await Course.begin(service, plan, await to_thread(service.key_of, "pia"))
    while (await course.shown())["capture"] != "held":
        await asyncio.sleep(0.05)
    assert (await course.command("pause")).status == 201
    while (await course.shown())["capture"] != "paused":
        await asyncio.sleep(0.05)
    await course.command("resume", on=True)
    placed = await course.call.ended()
    packets = placed.streams[0].packets
    paused_s = packets[round(1.0 * PACKETS_PER_S) - 1].sent_s
    found = [Turn(False, paused_s, paused_s + DELAY_S_MAX), *course.turns]
    await check(service, await course.archived(), placed, found, PAUSED)
