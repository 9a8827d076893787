"""Calls whose course is known, and what of each must be in its recording.

Each packet is known by the moment it was sent, and each switch of the recording by the
two moments between which it happened. So of every packet it is known whether it must
stand in the recording, sample for sample at its place, or must be nowhere; and only
between those two moments it is the recording that says where the edge was. Then the edge
is one, and the spans name it to a packet.
"""

from __future__ import annotations

import asyncio
import io
import re
import secrets
import time
import uuid
from asyncio import to_thread
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np
import soundfile

from recorder.client.call import (
    PACKET_MS,
    PACKET_OCTETS,
    PAYLOAD_TYPE_EVENT,
    CallPlan,
    Dialect,
    PlacedCall,
    PlannedEvent,
    SentPacket,
    SentStream,
    StreamPlan,
)
from recorder.client.description import metadata
from recorder.client.session import SessionRecordingClient
from tests.crash.calls import CALLEE, Call, Samples, decoded, octets, offset_of
from tests.running_service import Answer, RunningService, eventually

SECONDS_MAX = 90.0
"""Audio of a call that is hung up by its test."""

LATE_MS_MAX = 80
"""Of packets that a busy machine sends later than this beside an edge, the recorder can't tell pause from loss."""

TALK_S = 0.5
"""Long enough for some packets on either side of a command."""

BOTH_STREAMS = 2
COMMANDED = frozenset({"pause", "hold"})


def speech(seconds: float = SECONDS_MAX, *events: PlannedEvent) -> StreamPlan:
    """Return a stream in which every packet has octets of its own, and keys pressed in it."""
    return StreamPlan(octets(seconds, secrets.randbits(32)), events=events)


def plan_of(service: RunningService, caller: str, callee: str = CALLEE, **how: Any) -> CallPlan:
    """Return a call to place: by default one of two streams that lasts until it is hung up."""
    seconds = how.pop("seconds", SECONDS_MAX)
    plan: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": service.sip_port,
        "caller": caller,
        "callee": callee,
        "caller_stream": speech(seconds),
        "callee_stream": speech(seconds),
        "call_id": secrets.token_hex(8),
    }
    return CallPlan(**{**plan, **how})


def broadworks(plan: CallPlan, **fields: str) -> CallPlan:
    """Return the plan as BroadWorks describes it, with other contents of some fields of its extension."""
    plan = replace(plan, dialect=Dialect.BROADWORKS)
    return replace(
        plan, metadata=with_fields(metadata(plan, BOTH_STREAMS, datetime.now(UTC), uuid.uuid4), **fields)
    )


def with_fields(document: bytes, **fields: str) -> bytes:
    """Return metadata with other contents of some elements."""
    text = document.decode()
    for name, content in fields.items():
        text, count = re.subn(f"<{name}>[^<]*</{name}>", f"<{name}>{content}</{name}>", text)
        assert count == 1, name
    return text.encode()


async def place(plan: CallPlan) -> PlacedCall:
    """Place a call that ends by itself."""
    placed = await SessionRecordingClient().place(plan)
    assert placed.status == 200, (placed.status, placed.reason)
    return placed


async def begin(plan: CallPlan) -> Call:
    """Place a call and return when it was answered 200; it goes on until it is ended."""
    assert plan.call_id is not None
    call = Call(plan.call_id)
    placing = SessionRecordingClient().place(
        plan, on_answer=lambda _: call.answered.set(), hang_up=call.hang_up
    )
    call.task = asyncio.create_task(placing)
    answered = asyncio.create_task(call.answered.wait())
    await asyncio.wait((call.task, answered), timeout=32, return_when=asyncio.FIRST_COMPLETED)
    answered.cancel()
    assert call.answered.is_set(), f"not answered: {call.task.result() if call.task.done() else 'silence'}"
    return call


@dataclass(frozen=True)
class Turn:
    """Capture was switched on or off, at some moment from `since_s` to `until_s` (`time.monotonic`)."""

    on: bool
    since_s: float
    until_s: float


@dataclass(frozen=True)
class Mark:
    """A span that the recording must show: from one switch to another (None: to its end), and by whom."""

    kind: str
    by: str | None
    first: int | None
    last: int | None


@dataclass
class Course:
    """One recording under way and what its owner, or a program, commanded."""

    service: RunningService
    call: Call
    key: str
    recording_id: str
    turns: list[Turn] = field(default_factory=list)
    effective: list[datetime] = field(default_factory=list)

    @classmethod
    async def begin(cls, service: RunningService, plan: CallPlan, key: str = "") -> Self:
        """Place a call and return when it is shown to whom `key` belongs."""
        call = await begin(plan)
        live = await to_thread(service.live, call.call_id, key or None)
        return cls(service, call, key, live["id"])

    async def command(self, verb: str, *, on: bool | None = None) -> Answer:
        """Give a command; one that switches capture `on` or off is obeyed, with talk before and after it."""
        talk_s = 0.0 if on is None else TALK_S / 2
        await asyncio.sleep(talk_s)
        since_s = time.monotonic()
        answer = await to_thread(self.service.command, self.recording_id, verb, self.key or None)
        if on is not None:
            assert answer.status == 201, answer.body
            self.turns.append(Turn(on, since_s, time.monotonic()))
            self.effective.append(datetime.fromisoformat(answer.json()["effectiveAt"]))
        await asyncio.sleep(talk_s)
        return answer

    async def shown(self) -> dict[str, Any]:
        """Return the call as the API shows it now."""
        answer = await to_thread(self.service.get, f"/v1/calls/{self.recording_id}", self.key or None)
        assert answer.status == 200, answer.body
        return dict(answer.json())

    async def end(self) -> PlacedCall:
        """Hang up and return what was sent."""
        return await self.call.end()

    async def archived(self) -> dict[str, Any]:
        """Return the recording once it can be played."""
        return await to_thread(archived, self.service, self.recording_id)


def archived(service: RunningService, recording_id: str, key: str | None = None) -> dict[str, Any]:
    """Return a recording by its id, waiting until it is archived."""

    def look() -> dict[str, Any] | None:
        answer = service.get(f"/v1/recordings/{recording_id}", key)
        return answer.json() if answer.status == 200 else None

    found = eventually(look, f"recording {recording_id} is archived")
    assert found is not None
    return found


def heard(service: RunningService, recording_id: str, key: str | None = None) -> Samples:
    """Return the samples of a recording as the API gives them, one column a channel."""
    answer = service.get(f"/v1/recordings/{recording_id}/audio?format=flac", key)
    assert answer.status == 200, answer.body
    samples, rate = soundfile.read(io.BytesIO(answer.body), dtype="int16", always_2d=True)
    assert rate == 8000
    return np.asarray(samples)


async def check(
    service: RunningService,
    recording: dict[str, Any],
    placed: PlacedCall,
    turns: Sequence[Turn],
    marks: Sequence[Mark] = (),
    *,
    on: bool = True,
    lost: int = 0,
    key: str | None = None,
) -> list[float]:
    """Check every packet and span of a recording, and return the moments of the switches.

    `on` is how capture began; `marks` name the spans by the numbers of the switches; of
    the packets sent for `key`'s tenant `lost` were lost on purpose.
    """
    samples = await to_thread(heard, service, recording["id"], key)
    assert samples.shape[1] == len(placed.streams)
    switches = [
        switched(stream, samples[:, column], turns, on=on) for column, stream in enumerate(placed.streams)
    ]
    for column, (stream, found) in enumerate(zip(placed.streams, switches, strict=True)):
        begin_ms = offset_of(stream, samples[:, column]) / 8
        check_spans(recording, stream, begin_ms, found, marks)
    if max(max(late_ms(stream).values()) for stream in placed.streams) < LATE_MS_MAX:
        assert recording["packets"]["lost"] <= lost
        assert lost or not [span for span in recording["spans"] if span["kind"] == "loss"]
    return [
        min(found[number].after.sent_s for found in switches if number < len(found))
        for number in range(len(turns))
    ]


@dataclass(frozen=True)
class Switch:
    """The last packet that obeyed the state before a switch, and the first one that obeyed the state after it."""

    before: SentPacket
    after: SentPacket


def switched(stream: SentStream, channel: Samples, turns: Sequence[Turn], *, on: bool) -> list[Switch]:
    """Return where capture switched; fails for a packet that is there and must not be, or is missing."""
    begin_at = offset_of(stream, channel)
    found: list[Switch] = []
    state, before = on, stream.packets[0]
    for packet in stream.packets:
        is_there = _stands(packet, channel, begin_at)
        if is_there is None:
            continue
        if is_there != state:
            assert len(found) < len(turns), f"packet {packet.index} is {'' if is_there else 'not '}there"
            turn = turns[len(found)]
            assert is_there == turn.on
            assert turn.since_s <= packet.sent_s, f"{turn.since_s - packet.sent_s:.3f} s before it was asked"
            assert before.sent_s <= turn.until_s, f"{before.sent_s - turn.until_s:.3f} s after the answer"
            found.append(Switch(before, packet))
        state, before = is_there, packet
    assert len(found) == len(turns), f"{len(found)} of {len(turns)} switches"
    return found


def check_spans(
    recording: dict[str, Any],
    stream: SentStream,
    begin_ms: float,
    switches: Sequence[Switch],
    marks: Sequence[Mark],
) -> None:
    """Check that just these spans are told, each from packet to packet."""
    late = late_ms(stream)
    everywhere = {"mixed"} if recording["layout"] == "mixed" else {"both"}
    told = [span for span in recording["spans"] if span["kind"] in COMMANDED]
    assert {span["channel"] for span in told} <= everywhere
    assert [(span["kind"], span["by"]) for span in told] == [(mark.kind, mark.by) for mark in marks], told
    for span, mark in zip(told, marks, strict=True):
        for at_ms, number, otherwise_ms in (
            (span["fromMs"], mark.first, 0),
            (span["toMs"], mark.last, recording["durationMs"]),
        ):
            if number is None:
                assert at_ms == otherwise_ms, (span, recording["durationMs"])
                continue
            switch = switches[number]
            places_ms = [begin_ms + each.index * PACKET_MS for each in (switch.before, switch.after)]
            # A packet sent late by a busy machine stands in its turn, and the edge where it was in time.
            off_ms = 1 + max(late[each.index] for each in (stream.packets[0], switch.before, switch.after))
            assert places_ms[0] - off_ms <= at_ms <= places_ms[1] + off_ms, (span, places_ms, off_ms)


def late_ms(stream: SentStream) -> dict[int, float]:
    """Return how much later than its turn each packet was sent, by its index, compared with the most punctual."""
    sent_ms = {packet.index: packet.sent_s * 1000 - packet.index * PACKET_MS for packet in stream.packets}
    punctual_ms = min(sent_ms.values())
    return {index: at_ms - punctual_ms for index, at_ms in sent_ms.items()}


def _stands(packet: SentPacket, channel: Samples, begin_at: int) -> bool | None:
    """Tell whether a packet is heard at its place; where it is not, nothing is, nor where a key was pressed."""
    at = begin_at + packet.index * PACKET_OCTETS
    place = channel[max(at, 0) : max(at + PACKET_OCTETS, 0)]
    is_event = packet.payload_type == PAYLOAD_TYPE_EVENT
    if not is_event and np.array_equal(place, decoded(packet.payload)):
        return True
    assert not place.any(), f"something else stands where packet {packet.index} was sent"
    return None if is_event else False


def wall_s(monotonic_s: float) -> float:
    """Return the wall time of a moment of `time.monotonic`."""
    return time.time() - time.monotonic() + monotonic_s
