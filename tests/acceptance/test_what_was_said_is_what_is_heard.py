"""A G.711 call comes out sample for sample as it went in, whatever the network does to it."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import soundfile

from recorder.client.call import CallPlan, Delivery, Dialect, SentStream, StreamPlan, Transport
from recorder.client.session import SessionRecordingClient
from tests.conftest import ANNA
from tests.running_service import RunningService

CALLEE = "+31612345678"
PACKET = 160
SEED = 20261122

OPEN = (Transport.UDP, Transport.TCP)
"""What this service listens for; calls over TLS have a recorder with a certificate, in the level of behaviour."""


def octets(seconds: float, seed: int) -> bytes:
    """Return A-law octets of every value, so that nothing can be equal by chance."""
    return np.random.default_rng(seed).integers(0, 256, int(seconds * 8000), np.uint8).tobytes()


def decoded(octets_sent: bytes) -> np.ndarray:
    """Decode A-law by libsndfile, which knows nothing of our tables."""
    samples, _ = soundfile.read(
        io.BytesIO(octets_sent), dtype="int16", format="RAW", subtype="ALAW", samplerate=8000, channels=1
    )
    return np.asarray(samples)


def heard(service: RunningService, recording_id: str) -> np.ndarray:
    """Fetch the FLAC over HTTP and return its samples, one column a channel."""
    answer = service.get(f"/v1/recordings/{recording_id}/audio?format=flac")
    assert answer.status == 200
    samples, rate = soundfile.read(io.BytesIO(answer.body), dtype="int16", always_2d=True)
    assert rate == 8000
    return np.asarray(samples)


def offset_of(sent: np.ndarray, channel: np.ndarray) -> int:
    """Return where the sent samples begin in a channel."""
    needle = sent[: PACKET * 5].tobytes()
    at = channel.tobytes().find(needle)
    assert at >= 0, "the first five packets are nowhere in the channel"
    return at // 2


@pytest.mark.parametrize("transport", OPEN)
@pytest.mark.parametrize("dialect", [Dialect.RFC7865, Dialect.BROADWORKS])
async def test_both_channels_equal_what_was_sent(
    service: RunningService, transport: Transport, dialect: Dialect
) -> None:
    """At no loss every sample of caller and callee is there, and both begin at the same moment."""
    plan = CallPlan(
        "127.0.0.1",
        service.sip_port,
        ANNA,
        CALLEE,
        StreamPlan(octets(4, SEED)),
        StreamPlan(octets(4, SEED + 1)),
        transport=transport,
        dialect=dialect,
    )
    placed = await SessionRecordingClient().place(plan)
    assert placed.status == 200
    recording = service.recording_of(placed.call_id)
    samples = heard(service, recording["id"])
    begins = []
    for column, stream in enumerate(placed.streams):
        sent = decoded(stream.timeline())
        begin = offset_of(sent, samples[:, column])
        begins.append(begin)
        assert np.array_equal(samples[begin : begin + len(sent), column], sent)
    assert abs(begins[0] - begins[1]) <= PACKET
    assert recording["state"] == "available"
    assert recording["layout"] == "two-party"
    assert [party["channel"] for party in recording["parties"]] == ["a", "b"]
    assert [party["number"] for party in recording["parties"]] == [ANNA, CALLEE]
    assert recording["packets"] == {"received": 400, "lost": 0, "duplicated": 0, "reordered": 0}
    assert recording["retentionClass"] == "365d"
    assert recording["direction"] == "out"


async def test_loss_swaps_and_duplicates_leave_everything_in_its_place(service: RunningService) -> None:
    """Two percent are lost, some swapped, some doubled: each is counted, none moves another."""
    random = np.random.default_rng(SEED)
    lost = frozenset(int(number) for number in random.choice(np.arange(10, 390), 8, replace=False))
    rest = np.array([number for number in range(10, 390) if number not in lost])
    chosen = random.choice(rest, 12, replace=False)
    delivery = Delivery(
        lost=lost,
        doubled=frozenset(int(number) for number in chosen[:6]),
        delayed={int(number): 2 for number in chosen[6:]},
    )
    plan = CallPlan(
        "127.0.0.1",
        service.sip_port,
        ANNA,
        CALLEE,
        StreamPlan(octets(8, SEED + 2), delivery),
        StreamPlan(octets(8, SEED + 3)),
    )
    placed = await SessionRecordingClient().place(plan)
    recording = service.recording_of(placed.call_id)
    samples = heard(service, recording["id"])
    begins = [check_placed(stream, samples[:, column]) for column, stream in enumerate(placed.streams)]
    assert abs(begins[0] - begins[1]) <= PACKET
    assert recording["packets"]["lost"] == len(lost)
    assert recording["packets"]["duplicated"] == 6
    assert recording["packets"]["reordered"] >= 1
    shown = [span for span in recording["spans"] if span["kind"] == "loss" and span["channel"] == "a"]
    begin_ms = begins[0] // 8
    covered = {
        (at_ms - begin_ms) // 20 for span in shown for at_ms in range(span["fromMs"] + 10, span["toMs"], 20)
    }
    assert covered == lost
    assert not [span for span in recording["spans"] if span["kind"] == "loss" and span["channel"] == "b"]


def check_placed(stream: SentStream, channel: np.ndarray) -> int:
    """Check that every packet that was sent stands at its exact place, and return where it all begins."""
    sent = decoded(
        b"".join(item.payload for item in sorted(set(stream.packets), key=lambda item: item.index))
    )
    begin = offset_of(sent, channel)
    for packet in stream.packets:
        at = begin + packet.index * PACKET
        assert np.array_equal(channel[at : at + PACKET], decoded(packet.payload)), packet.index
    return begin


@pytest.mark.parametrize("transport", OPEN)
async def test_a_call_over_ipv6_is_recorded_as_well(service: RunningService, transport: Transport) -> None:
    """Signalling and audio both run over IPv6, and not a sample is missing."""
    speech = StreamPlan(octets(2, SEED + 8)), StreamPlan(octets(2, SEED + 9))
    plan = CallPlan("::1", service.sip_port, ANNA, CALLEE, *speech, transport=transport)
    placed = await SessionRecordingClient().place(plan)
    assert placed.status == 200
    recording = service.recording_of(placed.call_id)
    samples = heard(service, recording["id"])
    for column, stream in enumerate(placed.streams):
        sent = decoded(stream.timeline())
        begin = offset_of(sent, samples[:, column])
        assert np.array_equal(samples[begin : begin + len(sent), column], sent)


async def test_a_mixed_stream_is_one_channel(service: RunningService) -> None:
    """BroadWorks' default sends one stream for both parties; it stays one."""
    plan = CallPlan(
        "127.0.0.1",
        service.sip_port,
        ANNA,
        CALLEE,
        StreamPlan(octets(2, SEED + 4)),
        StreamPlan(octets(2, SEED + 5)),
        dialect=Dialect.BROADWORKS_MIXED,
    )
    placed = await SessionRecordingClient().place(plan)
    recording = service.recording_of(placed.call_id)
    samples = heard(service, recording["id"])
    sent = decoded(placed.streams[0].timeline())
    begin = offset_of(sent, samples[:, 0])
    assert samples.shape[1] == 1
    assert np.array_equal(samples[begin : begin + len(sent), 0], sent)
    assert recording["layout"] == "mixed"


async def test_what_came_late_and_what_came_short_is_padded(service: RunningService) -> None:
    """A party that begins a second later stands a second later, with its time marked."""
    plan = CallPlan(
        "127.0.0.1",
        service.sip_port,
        ANNA,
        CALLEE,
        StreamPlan(octets(4, SEED + 6)),
        StreamPlan(octets(4, SEED + 7), late_by=50),
    )
    placed = await SessionRecordingClient().place(plan)
    recording = service.recording_of(placed.call_id)
    samples = heard(service, recording["id"])
    begin_a = offset_of(decoded(placed.streams[0].timeline()), samples[:, 0])
    later = decoded(b"".join(packet.payload for packet in placed.streams[1].packets))
    begin_b = offset_of(later, samples[:, 1])
    assert abs(begin_b - begin_a - 8000) <= PACKET
    timeline = json.loads(service.get(f"/v1/recordings/{recording['id']}/timeline").body)
    assert [span for span in timeline["spans"] if span["kind"] == "late" and span["channel"] == "b"]
