"""A call's journal becomes a recording that is true to the wall clock, sample for sample."""

import dataclasses
import hashlib
import io
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.model import FinishedRecording, Layout, OutcomeKind, RecordingState, RetentionClass
from recorder import encoding, finaliser, flac
from recorder.finaliser import finalise
from recorder.journal.segment import AudioRecord
from recorder.rtp import container
from recorder.rtp.batch import PACKET_ROW
from recorder.rtp.g711 import Law, expand
from recorder.session_outcome import outcome
from recorder.state import (
    CallState,
    DialogState,
    EdgeState,
    MetadataRevision,
    PartyState,
    StreamState,
)
from retention import policy
from retention.policy import quarantine_until

STARTED_NS = 1_790_000_000_000_000_000
DIALOG = DialogState("call@example.org", "l", "r", "", "", "", (), 1, 1, "udp", "", "", 0, None, "", "")
G711 = {"8": "PCMA/8000", "0": "PCMU/8000", "13": "CN/8000", "101": "telephone-event/8000", "18": "G729/8000"}


@dataclass
class Packet:
    """One packet as it was sent; `at_ms` is when, `late_ms` how long it took."""

    sequence: int
    timestamp: int
    at_ms: float
    payload: bytes
    late_ms: float = 0.0
    payload_type: int = 8


@dataclass
class Talker:
    """A sender of A-law with running numbers and timestamps."""

    begin_ms: float = 0.0
    seed: int = 0
    sequence: int = 65_500
    timestamp: int = 2**32 - 4000
    packets: list[Packet] = field(default_factory=list)
    sent_ms: float = 0.0

    def say(self, count: int, size: int = 160, payload_type: int = 8) -> "Talker":
        """Send `count` packets of `size` octets one after the other."""
        rng = np.random.default_rng([self.seed, len(self.packets)])
        for _ in range(count):
            payload = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
            at_ms = self.begin_ms + self.sent_ms
            self.packets.append(
                Packet(self.sequence, self.timestamp, at_ms, payload, payload_type=payload_type)
            )
            self.sequence += 1
            self.timestamp += size
            self.sent_ms += size / 8
        return self

    def silent(self, ms: float, numbers: int = 0) -> "Talker":
        """Send nothing; the clock goes on, and so do `numbers` numbers."""
        self.timestamp += int(ms * 8)
        self.sent_ms += ms
        self.sequence += numbers
        return self


def stream(index: int, channel: str, payload_types: dict[str, str] | None = None) -> StreamState:
    return StreamState(index, str(index + 1), channel, "127.0.0.1", 20_000 + 2 * index, payload_types or G711)


def call(seconds: float, **changes: object) -> CallState:
    state = CallState(
        recording_id="01999999-0000-7000-8000-000000000000",
        session_id="session",
        call_group="group",
        tenant_id="tenant",
        peer_id="peer",
        owner="user",
        mode="always",
        retention_class="90d",
        direction="in",
        layout="two-party",
        started_ns=STARTED_NS,
        kept=True,
        dialog=DIALOG,
        streams=(stream(0, "a"), stream(1, "b")),
        ended_ns=STARTED_NS + int(seconds * 1e9),
        end_reason="bye",
    )
    return dataclasses.replace(state, **changes)


def edge(kind: str, at_s: float, by: str | None = None) -> EdgeState:
    return EdgeState(kind, STARTED_NS + int(at_s * 1e9), by)


def journal(index: int, packets: list[Packet], ssrc: int | None = None) -> Iterator[AudioRecord]:
    """Return the records of a stream, by arrival, half a second each."""
    ordered = sorted(packets, key=lambda packet: packet.at_ms + packet.late_ms)
    for first in range(0, len(ordered), 25):
        part = ordered[first : first + 25]
        rows = np.zeros(len(part), PACKET_ROW)
        for number, packet in enumerate(part):
            rows[number] = (
                packet.sequence % 65536,
                len(packet.payload),
                packet.timestamp % 2**32,
                round((packet.at_ms + packet.late_ms) * 10),
                packet.payload_type,
                0,
            )
        yield AudioRecord(index, ssrc or 100 + index, rows, b"".join(p.payload for p in part))


def decoded(finished: FinishedRecording) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(finished.audio), dtype="int16", always_2d=True)
    assert rate == 8000
    assert len(samples) == finished.recording.duration_ms * 8
    return samples


def heard(packet: Packet) -> np.ndarray:
    return expand(np.frombuffer(packet.payload, np.uint8), {8: Law.A, 0: Law.MU}[packet.payload_type])


def stands(samples: np.ndarray, packet: Packet, at_ms: float | None = None) -> bool:
    """Say whether the packet is heard exactly where it was sent."""
    begin = round((packet.at_ms if at_ms is None else at_ms) * 8)
    return bool((samples[begin : begin + len(packet.payload)] == heard(packet)).all())


def spans(finished: FinishedRecording, kind: str) -> list[tuple[str, int, int, str | None]]:
    return [(s.channel, s.from_ms, s.to_ms, s.by) for s in finished.recording.spans if s.kind == kind]


def test_a_call_without_loss_is_what_was_sent_sample_for_sample() -> None:
    """Both parties stand in their channels, and the A-law octets come back from the FLAC."""
    a, b = Talker(100, 1).say(200), Talker(140, 2).say(190)
    finished = finalise(call(5), [*journal(0, a.packets), *journal(1, b.packets)])
    samples = decoded(finished)
    for channel, talker in enumerate((a, b)):
        assert all(stands(samples[:, channel], packet) for packet in talker.packets)
    octets = encoding.recover_octets(finished.audio, 0, Law.A)
    assert octets[800 : 800 + 32_000] == b"".join(packet.payload for packet in a.packets)
    recording = finished.recording
    assert (recording.state, recording.flags) == (RecordingState.AVAILABLE, ())
    assert (recording.duration_ms, recording.recorded_ms) == (5000, 5000)
    assert (recording.packets.received, recording.packets.lost) == (390, 0)
    assert recording.sha256 == hashlib.sha256(finished.audio).hexdigest()
    assert recording.retain_until > recording.ended_at + timedelta(days=89)
    assert finished.audio_media_type == "audio/flac"
    assert spans(finished, "late") == [("a", 0, 100, None), ("b", 0, 140, None)]
    assert spans(finished, "loss") == []


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.02, 0.2]),
    jitter_ms=st.sampled_from([0, 15, 90, 400]),
    sizes=st.lists(st.sampled_from([80, 160, 240, 320, 480]), min_size=1, max_size=4),
)
def test_whatever_the_network_did_every_sample_stands_in_its_place(
    seed: int, loss: float, jitter_ms: int, sizes: list[int]
) -> None:
    """Loss, reordering, duplicates and late packets move nothing; each loss is a span of its exact length."""
    rng = random.Random(seed)
    talkers, kept, records = [], [], []
    for index in range(2):
        talker = Talker(rng.randrange(300), seed % 1000 + index, rng.randrange(65536), rng.randrange(2**32))
        for number in range(120):
            talker.say(1, sizes[number % len(sizes)])
        for packet in talker.packets[1:]:
            packet.late_ms = rng.random() * jitter_ms
        arrived = [
            packet
            for number, packet in enumerate(talker.packets)
            if number in {0, 119} or rng.random() >= loss
        ]
        copies = [
            dataclasses.replace(p, late_ms=p.late_ms + rng.random() * 50)
            for p in arrived
            if rng.random() < 0.05
        ]
        records += journal(index, arrived + copies)
        talkers.append(talker)
        kept.append((arrived, copies))
    finished = finalise(call(10), records)
    samples = decoded(finished)
    lost, losses = 0, []
    for index, (talker, (arrived, _)) in enumerate(zip(talkers, kept, strict=True)):
        numbers = {packet.sequence for packet in arrived}
        gone: list[list[float]] = []
        for packet in talker.packets:
            if packet.sequence in numbers:
                assert stands(samples[:, index], packet)
                continue
            lost += 1
            begin, end = packet.at_ms, packet.at_ms + len(packet.payload) / 8
            assert not samples[round(begin * 8) : round(end * 8), index].any()
            if gone and gone[-1][1] == begin:
                gone[-1][1] = end
            else:
                gone.append([begin, end])
        losses += [("ab"[index], int(begin), int(end), None) for begin, end in gone]
    packets = finished.recording.packets
    duplicated = sum(len(copies) for _, copies in kept)
    assert (packets.lost, packets.duplicated) == (lost, duplicated)
    assert packets.received == sum(len(arrived) for arrived, _ in kept) + duplicated
    assert sorted(spans(finished, "loss")) == sorted(losses)


def test_spans_of_a_channel_leave_no_hole_and_do_not_overlap() -> None:
    """Every millisecond of each channel has exactly one reason."""
    a, b = Talker(100, 1).say(100).silent(300).say(100), Talker(2000, 2).say(100)
    del a.packets[50:60]
    state = call(6, edges=(edge("pause", 4.5, "user:1"), edge("resume", 5.5, "user:1")))
    finished = finalise(state, [*journal(0, a.packets), *journal(1, b.packets)])
    for channel in "ab":
        covered = np.zeros(6000, int)
        for span in finished.recording.spans:
            if span.channel in {channel, "both"}:
                covered[span.from_ms : span.to_ms] += 1
        assert (covered == 1).all()


def test_a_jump_of_timestamps_without_missing_numbers_is_silence() -> None:
    """Silence suppression and comfort noise are no loss."""
    a = Talker(0, 1).say(50).say(1, 1, 13)
    a.packets[-1].payload_type = 13
    a.silent(1999.875).say(50)
    b = Talker(0, 2).say(50).silent(1000).say(50)
    finished = finalise(call(5), [*journal(0, a.packets), *journal(1, b.packets)])
    samples = decoded(finished)
    assert all(stands(samples[:, 0], p) for p in a.packets if p.payload_type == 8)
    assert not samples[8000:24_000, 0].any()
    assert finished.recording.packets.lost == 0
    assert spans(finished, "loss") == []


def test_one_missing_packet_in_a_long_silence_is_a_loss_of_one_packet() -> None:
    """A hole larger than its missing packets can fill is silence for the rest."""
    a = Talker(0, 1).say(50).silent(3000, numbers=1).say(50)
    finished = finalise(call(5), [*journal(0, a.packets), *journal(1, Talker(0, 2).say(250).packets)])
    assert spans(finished, "loss") == [("a", 1000, 1020, None)]
    assert finished.recording.packets.lost == 1


def test_a_pause_is_silence_of_its_length_and_no_loss() -> None:
    """Packets that were not journalled while paused are no loss; minutes leave the pause out."""
    talkers = [Talker(0, 1).say(500), Talker(0, 2).say(500)]
    records = [
        r
        for n, talker in enumerate(talkers)
        for r in journal(n, [p for p in talker.packets if not 3000 <= p.at_ms < 7000])
    ]
    edges = (edge("start", 0), edge("pause", 3, "user:7"), edge("resume", 7, "user:7"))
    finished = finalise(call(10, edges=edges), records)
    samples = decoded(finished)
    assert spans(finished, "pause") == [("both", 3000, 7000, "user:7")]
    assert spans(finished, "loss") == []
    assert not samples[24_000:56_000].any()
    assert stands(samples[:, 0], talkers[0].packets[350])
    assert (finished.recording.duration_ms, finished.recording.recorded_ms) == (10_000, 6000)
    assert finished.recording.packets.lost == 0


def test_a_loss_beside_a_pause_is_still_counted() -> None:
    """Packets that went missing well before the pause are lost, those within it are not."""
    a = Talker(0, 1).say(500)
    kept = [p for p in a.packets if not 2000 <= p.at_ms < 7000]
    edges = (edge("pause", 3, "user:7"), edge("resume", 7, "user:7"))
    finished = finalise(call(10, edges=edges), [*journal(0, kept)])
    assert spans(finished, "loss") == [("a", 2000, 2900, None)]
    assert finished.recording.packets.lost == 45


def test_a_hold_whose_sender_stops_its_clock_stays_true_to_the_wall() -> None:
    """Timestamps that stood still for 5 s of hold are placed after it; hold counts as recorded."""
    a = Talker(0, 1).say(100)
    a.sent_ms += 5000
    a.say(100)
    edges = (edge("hold", 2, "peer"), edge("unhold", 7, "peer"))
    finished = finalise(
        call(9, edges=edges), [*journal(0, a.packets), *journal(1, Talker(0, 2).say(450).packets)]
    )
    samples = decoded(finished)
    assert all(stands(samples[:, 0], packet) for packet in a.packets)
    assert spans(finished, "hold") == [("both", 2000, 7000, "peer")]
    assert finished.recording.recorded_ms == 9000


def test_a_restart_of_the_recorder_is_a_loss_by_restart() -> None:
    """The gap of a crash is shown with its reason in both channels, and its packets count as lost."""
    talkers = [Talker(0, 1).say(500), Talker(10, 2).say(500)]
    records = [
        r
        for n, talker in enumerate(talkers)
        for r in journal(n, [p for p in talker.packets if not 4000 <= p.at_ms < 6000])
    ]
    finished = finalise(call(10.5, edges=(edge("start", 0), edge("restart", 6.2))), records)
    assert spans(finished, "loss") == [("a", 4000, 6000, "restart"), ("b", 3990 + 20, 6010, "restart")]
    assert finished.recording.packets.lost == 200
    assert finished.recording.flags == ("restart",)
    assert finished.recording.state is RecordingState.AVAILABLE
    samples = decoded(finished)
    assert all(stands(samples[:, 1], p) for p in talkers[1].packets if not 4000 <= p.at_ms < 6000)


def test_a_restart_after_which_the_source_changed_is_shown_too() -> None:
    """Without numbers to compare, the time the recorder was away is the loss."""
    records = [
        *journal(0, Talker(0, 1).say(200).packets),
        *journal(0, Talker(6000, 3, 9, 9).say(200).packets, ssrc=999),
    ]
    finished = finalise(call(10, edges=(edge("restart", 6.1),)), records)
    assert ("a", 4000, 6000, "restart") in spans(finished, "loss")


def test_on_demand_with_start_has_only_what_was_started() -> None:
    """Before the start nothing was recorded; the time is a pause by who started it, and no minute."""
    a = Talker(0, 1).say(500)
    records = journal(0, [p for p in a.packets if 4000 <= p.at_ms < 8000])
    edges = (edge("start", 4, "user:1"), edge("stop", 8, "user:1"))
    state = call(10, mode="on-demand-start", edges=edges)
    finished = finalise(state, records)
    assert spans(finished, "pause") == [("both", 0, 4000, "user:1"), ("both", 8000, 10_000, "user:1")]
    assert finished.recording.recorded_ms == 4000
    assert stands(decoded(finished)[:, 0], a.packets[250])


def test_a_call_without_media_is_a_silent_partial_recording() -> None:
    """Nothing received is a recording of the length of the call, and its outcome says why."""
    state = call(3)
    finished = finalise(state, [])
    assert not decoded(finished).any()
    assert finished.recording.state is RecordingState.PARTIAL
    assert finished.recording.flags == ("no-media",)
    ended = outcome(state, finished)
    assert (ended.kind, ended.reason) == (OutcomeKind.RECORDED, "no media")
    assert ended.recording_ids == (finished.recording.id,)
    assert spans(finished, "late") == [("a", 0, 3000, None), ("b", 0, 3000, None)]


def test_a_call_of_no_length_is_still_a_recording() -> None:
    """A session that ended as it began has the shortest FLAC there is."""
    assert finalise(call(0), []).recording.duration_ms == 20


def test_one_way_audio_is_flagged_by_channel() -> None:
    """The silent party's channel is there, silent, and named."""
    finished = finalise(call(2), journal(0, Talker(0, 1).say(100).packets))
    assert finished.recording.flags == ("no-media:b",)
    assert finished.recording.state is RecordingState.AVAILABLE
    assert not decoded(finished)[:, 1].any()


def test_a_change_from_a_law_to_mu_law_keeps_the_octets_of_both() -> None:
    """Each segment's octets come back by its own law, negative zeros included."""
    a = Talker(0, 1).say(100, payload_type=8).say(100, payload_type=0)
    finished = finalise(call(4), journal(0, a.packets))
    samples = decoded(finished)
    assert all(stands(samples[:, 0], packet) for packet in a.packets)
    segments = json.loads(finished.timeline)["codecs"]
    assert [(s["codec"], s["fromSample"], s["toSample"]) for s in segments] == [
        ("PCMA", 0, 16_000),
        ("PCMU", 16_000, 32_000),
    ]
    sent = b"".join(packet.payload for packet in a.packets)
    assert encoding.recover_octets(finished.audio, 0, Law.A)[:16_000] == sent[:16_000]
    assert encoding.recover_octets(finished.audio, 0, Law.MU)[16_000:] == sent[16_000:]


def digits(talker: Talker, count: int, payload: bytes) -> None:
    """Send one key held for `count` packets, all with the timestamp at which it was pressed."""
    for _ in range(count):
        at_ms = talker.begin_ms + talker.sent_ms
        talker.packets.append(Packet(talker.sequence, talker.timestamp, at_ms, payload, payload_type=101))
        talker.sequence += 1
        talker.sent_ms += 20
    talker.timestamp += 160 * count


@pytest.mark.parametrize("payload", [b"\x01\x0a\x00\xa0", b""], ids=["whole", "emptied by capture"])
def test_digits_are_not_heard(payload: bytes) -> None:
    """Telephone events have no place in the audio and no part in loss, with their payload or without."""
    a = Talker(0, 1).say(50)
    digits(a, 5, payload)
    a.say(50)
    finished = finalise(call(2.1), [*journal(0, a.packets), *journal(1, Talker(0, 2).say(105).packets)])
    samples = decoded(finished)
    assert not samples[8000:8800, 0].any()
    assert all(stands(samples[:, 0], packet) for packet in a.packets if packet.payload_type == 8)
    assert finished.recording.packets.lost == 0
    assert spans(finished, "loss") == []
    assert (finished.recording.state, finished.recording.flags) == (RecordingState.AVAILABLE, ())
    assert json.loads(finished.timeline)["streams"][0]["codecs"] == {"PCMA": 100, "TELEPHONE-EVENT": 5}


def test_keys_held_at_the_edges_of_a_pause_are_no_loss() -> None:
    """Whoever pauses and resumes by star codes sends no audio for as long as the last key is held."""
    a = Talker(0, 1).say(100)
    digits(a, 50, b"")
    a.say(200)
    digits(a, 50, b"")
    a.say(100)
    edges = (edge("pause", 2.98, "user:7"), edge("resume", 7, "user:7"))
    kept = [p for p in a.packets if not 2980 <= p.at_ms < 7000]
    finished = finalise(call(10, edges=edges), journal(0, kept))
    assert (spans(finished, "loss"), finished.recording.packets.lost) == ([], 0)
    gone = [p for p in kept if not (2200 <= p.at_ms < 2400 or 7600 <= p.at_ms < 7800)]
    finished = finalise(call(10, edges=edges), journal(0, gone))
    assert (spans(finished, "loss"), finished.recording.packets.lost) == ([], 0), "keys are not audio"


def test_a_party_that_only_pressed_keys_was_silent() -> None:
    """Also when nothing but the places of the packets is left of what it sent."""
    a = Talker(0, 1)
    digits(a, 50, b"")
    finished = finalise(call(1), [*journal(0, a.packets), *journal(1, Talker(0, 2).say(50).packets)])
    assert not decoded(finished)[:, 0].any()
    assert finished.recording.packets.lost == 0
    assert spans(finished, "loss") == []
    assert finished.recording.flags == ("no-media:a",)
    alone = finalise(call(1), journal(0, a.packets))
    assert not decoded(alone).any()
    assert alone.recording.flags == ("no-media",)


def test_digits_before_audio_of_an_unknown_codec_leave_its_octets_where_they_are() -> None:
    """The container keeps the rows of emptied events, and the payloads stay in step with the rows."""
    a = Talker(0, 1)
    digits(a, 5, b"")
    for _ in range(50):
        a.say(1, 20, 18)
    digits(a, 5, b"")
    finished = finalise(call(2), journal(0, a.packets))
    assert finished.audio.endswith(b"".join(packet.payload for packet in a.packets))
    assert finished.recording.flags == ("codec-raw:G729",)
    assert finished.recording.packets.lost == 0


def test_a_codec_nothing_decodes_is_archived_as_it_came() -> None:
    """G.729 only: the audio object is the container, the recording partial and flagged."""
    a = Talker(0, 1)
    for _ in range(100):
        a.say(1, 20, 18)
        a.timestamp += 140
        a.sent_ms += 17.5
    finished = finalise(call(2), journal(0, a.packets))
    assert finished.audio_media_type == container.MEDIA_TYPE
    assert finished.audio.startswith(container.MAGIC)
    assert b"".join(packet.payload for packet in a.packets) in finished.audio
    assert finished.recording.flags == ("codec-raw:G729",)
    assert finished.recording.state is RecordingState.PARTIAL
    assert (finished.recording.duration_ms, finished.recording.packets.received) == (2000, 100)
    assert json.loads(finished.peaks)["levels"][1]["bins"] == 40


def test_a_codec_nothing_decodes_beside_one_that_is_lies_in_the_flac() -> None:
    """What can be heard is FLAC; the rest is carried in it, octet for octet."""
    a, b = Talker(0, 1).say(100), Talker(0, 2)
    for _ in range(100):
        b.say(1, 20, 18)
        b.timestamp += 140
        b.sent_ms += 17.5
    finished = finalise(call(2), [*journal(0, a.packets), *journal(1, b.packets)])
    assert stands(decoded(finished)[:, 0], a.packets[5])
    raw = b"".join(flac.application_data(flac.split(finished.audio)[0], encoding.RAW_RTP_ID))
    assert raw.startswith(container.MAGIC)
    assert raw.endswith(b"".join(packet.payload for packet in b.packets))
    assert finished.recording.flags == ("codec-raw:G729",)
    assert finished.recording.state is RecordingState.AVAILABLE


def test_a_mixed_call_is_mono() -> None:
    """One stream, one channel, spans under its name."""
    state = call(
        2,
        layout="mixed",
        streams=(stream(0, "mixed"),),
        edges=(edge("pause", 1, "user:1"), edge("resume", 1.5)),
    )
    finished = finalise(state, journal(0, Talker(0, 1).say(100).packets))
    assert decoded(finished).shape == (16_000, 1)
    assert (finished.recording.layout, finished.recording.channels) == (Layout.MIXED, ("mixed",))
    assert spans(finished, "pause") == [("mixed", 1000, 1500, "user:1")]


@pytest.mark.parametrize("count", [3, finaliser.CHANNELS_MAX])
def test_a_conference_has_a_channel_each(count: int) -> None:
    """Up to the eight channels of FLAC, everybody stands alone."""
    talkers = [Talker(10 * n, n).say(50) for n in range(count)]
    streams = tuple(stream(n, str(n + 1)) for n in range(count))
    records = [r for n, talker in enumerate(talkers) for r in journal(n, talker.packets)]
    finished = finalise(call(2, layout="multi", streams=streams), records)
    samples = decoded(finished)
    assert finished.recording.channels == tuple(str(n + 1) for n in range(count))
    for n, talker in enumerate(talkers):
        assert all(stands(samples[:, n], packet) for packet in talker.packets)
    assert finished.recording.flags == ()


def test_a_ninth_channel_is_heard_together_with_the_eighth() -> None:
    """FLAC ends at eight; nobody is dropped, and the recording says so."""
    talkers = [Talker(0, n).say(50, 160) for n in range(8)] + [Talker(1000, 9).say(50)]
    streams = tuple(stream(n, str(n + 1)) for n in range(9))
    records = [r for n, talker in enumerate(talkers) for r in journal(n, talker.packets)]
    finished = finalise(call(2, layout="multi", streams=streams), records)
    samples = decoded(finished)
    assert samples.shape[1] == finaliser.CHANNELS_MAX
    assert stands(samples[:, 7], talkers[7].packets[10])
    assert stands(samples[:, 7], talkers[8].packets[10])
    assert finished.recording.flags == ("channels-merged",)


def test_a_third_stream_in_a_call_of_two_gets_a_channel_of_its_own() -> None:
    """Nothing received is thrown away because the layout did not foresee it."""
    third = Talker(500, 3).say(50)
    records = [*journal(0, Talker(0, 1).say(100).packets), *journal(2, third.packets)]
    finished = finalise(call(2), records)
    assert finished.recording.channels == ("a", "b", "stream-2")
    assert finished.recording.layout is Layout.MULTI
    assert stands(decoded(finished)[:, 2], third.packets[0])


def test_a_new_stream_of_the_same_party_goes_on_in_its_channel() -> None:
    """A re-INVITE with another port is another stream of the same channel."""
    first, second = Talker(0, 1).say(50), Talker(1200, 3, 7, 7).say(40)
    state = call(2, streams=(stream(0, "a"), stream(1, "b"), stream(2, "a")))
    finished = finalise(state, [*journal(0, first.packets), *journal(2, second.packets)])
    samples = decoded(finished)
    assert all(stands(samples[:, 0], packet) for packet in first.packets + second.packets)
    assert finished.recording.channels == ("a", "b")


def test_two_sources_at_once_in_one_channel_are_marked() -> None:
    """Interleaved SSRCs are both heard."""
    one, two = Talker(0, 1).say(50), Talker(300, 2, 7, 7).say(50)
    finished = finalise(call(2), [*journal(0, one.packets), *journal(0, two.packets, ssrc=999)])
    assert "two-sources:a" in finished.recording.flags
    assert stands(decoded(finished)[:, 0], one.packets[0])
    assert stands(decoded(finished)[:, 0], two.packets[-1])


def test_a_call_that_crashed_without_an_end_lasts_until_its_last_packet() -> None:
    """Nobody wrote down when it ended; the last sign of life does."""
    finished = finalise(call(9, ended_ns=None), journal(0, Talker(200, 1).say(100).packets))
    assert finished.recording.duration_ms == 2200
    assert finished.recording.ended_at - finished.recording.started_at == timedelta(milliseconds=2200)


def test_audio_beyond_the_longest_recording_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit all is there; a second more and the recording is partial and `too-long`."""
    monkeypatch.setattr(finaliser, "DURATION_S_MAX", 3)
    whole = finalise(call(3), journal(0, Talker(0, 1).say(150).packets))
    assert (whole.recording.duration_ms, "too-long" in whole.recording.flags) == (3000, False)
    cut = finalise(call(4), journal(0, Talker(0, 1).say(200).packets))
    assert cut.recording.duration_ms == 3000
    assert "too-long" in cut.recording.flags
    assert cut.recording.state is RecordingState.PARTIAL
    assert len(decoded(cut)) == 24_000


def test_more_payload_than_memory_allows_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit all is there; what goes beyond is not taken."""
    monkeypatch.setattr(finaliser, "PAYLOAD_BYTES_MAX", 25 * 160)
    packets = Talker(0, 1).say(50).packets
    assert "too-long" not in finalise(call(1), journal(0, packets[:25])).recording.flags
    cut = finalise(call(1), journal(0, packets))
    assert "too-long" in cut.recording.flags
    assert cut.recording.packets.received == 25


def test_more_sources_than_any_call_has_are_left_out_and_said() -> None:
    """At the limit every source is heard; one more is not, and the recording says so."""
    packets = Talker(0, 1).say(finaliser.TRACKS_COUNT_MAX + 1, 80).packets
    records = [next(journal(0, [packet], ssrc=1000 + number)) for number, packet in enumerate(packets)]
    at_limit = finalise(call(6), records[:-1])
    assert all(stands(decoded(at_limit)[:, 0], packet) for packet in packets[:-1])
    assert "too-many-sources" not in at_limit.recording.flags
    above = finalise(call(6), records).recording
    assert "too-many-sources" in above.flags
    assert above.state is RecordingState.PARTIAL
    assert above.packets.received == finaliser.TRACKS_COUNT_MAX


def test_damage_that_shows_while_reading_makes_the_recording_partial() -> None:
    """The journal is read while finalising; what did not open is said."""
    damage: list[object] = []

    def records() -> Iterator[AudioRecord]:
        yield from journal(0, Talker(0, 1).say(50).packets)
        damage.append("epoch 1, offset 17")

    finished = finalise(call(1), records(), damage=damage)
    assert finished.recording.state is RecordingState.PARTIAL
    assert "journal-damaged" in finished.recording.flags


def test_the_same_journal_gives_the_same_octets() -> None:
    """A rerun after a crash finds its objects already in the store."""
    packets = Talker(0, 1).say(100, payload_type=0).packets
    once, again = (finalise(call(2), journal(0, packets)) for _ in range(2))
    assert once == again


def test_a_gap_that_holds_clocks_together_is_named_and_no_loss() -> None:
    """A sender 0.1 % slow gets a packet of silence now and then; every packet is still heard."""
    a, b = Talker(0, 1).say(3000), Talker(0, 2).say(2990)
    for packet in b.packets:
        packet.at_ms *= 1.001
    finished = finalise(call(60), [*journal(0, a.packets), *journal(1, b.packets)])
    gaps = [span for span in spans(finished, "silence") if span[3] == "clock"]
    assert {end - begin for _, begin, end, _ in gaps} == {20}
    assert 2 <= len(gaps) <= 3
    samples = decoded(finished)[:, 1]
    for n in (10, 1500, 2989):
        found = [at for at in range(-160, 161) if stands(samples, b.packets[n], b.packets[n].at_ms + at / 8)]
        assert len(found) == 1
    assert finished.recording.packets.lost == 0


def test_parties_and_facts_of_signalling_are_taken_over() -> None:
    """Who was where and when, by the timeline; retention by class and end of the call."""
    seen = []

    def keep(retention_class: RetentionClass, ended_at: datetime) -> datetime:
        seen.append((retention_class, ended_at))
        return datetime(2033, 1, 1, tzinfo=UTC)

    parties = (
        PartyState("a", "+31201234567", "Anna", None, STARTED_NS),
        PartyState("b", "+31612345678", "", "user", STARTED_NS + 10**9, STARTED_NS + 99 * 10**9),
    )
    state = call(5, parties=parties, flags=("label-missing",), site="Utrecht", retention_class="7y-1000")
    recording = finalise(state, [], retain_until=keep).recording
    assert [(p.number, p.user_id, p.from_ms, p.to_ms) for p in recording.parties] == [
        ("+31201234567", None, 0, None),
        ("+31612345678", "user", 1000, 5000),
    ]
    assert seen == [(RetentionClass.YEARS_7_1000, recording.started_at + timedelta(seconds=5))]
    assert recording.retain_until.year == 2033
    assert (recording.call_id, recording.site, recording.owner) == ("call@example.org", "Utrecht", "user")
    assert recording.flags == ("label-missing", "no-media")


def test_the_documents_say_what_the_recording_says() -> None:
    """Timeline, peaks and metadata have the same length, spans and flags as the recording."""
    metadata = (MetadataRevision(STARTED_NS, "application/rs-metadata+xml", "PHg+"),)
    state = call(
        2, metadata=metadata, edges=(edge("start", 0), edge("pause", 1, "star"), edge("resume", 1.5))
    )
    finished = finalise(state, [*journal(0, Talker(0, 1).say(50).packets)])
    timeline = json.loads(finished.timeline)
    recording = finished.recording
    assert timeline["durationMs"] == recording.duration_ms == 2000
    assert timeline["recordedMs"] == recording.recorded_ms == 1500
    assert len(timeline["spans"]) == len(recording.spans)
    assert timeline["flags"] == list(recording.flags)
    assert [(e["kind"], e["atMs"], e["by"]) for e in timeline["edges"]] == [
        ("start", 0, None),
        ("pause", 1000, "star"),
        ("resume", 1500, None),
    ]
    assert timeline["packets"] == {"received": 50, "lost": 0, "duplicated": 0, "reordered": 0}
    peaks = json.loads(finished.peaks)
    assert [level["bins"] for level in peaks["levels"]] == [4, 40]
    assert json.loads(finished.metadata)["revisions"][0]["bodyBase64"] == "PHg+"


def test_a_call_of_nobody_we_know_ends_in_quarantine_for_seven_days() -> None:
    """It is nobody's, whatever the state of the call says, and goes by itself."""
    finished = finalise(call(2, quarantined=True), journal(0, Talker().say(100).packets))
    recording = finished.recording
    assert (recording.state, recording.owner) == (RecordingState.QUARANTINED, None)
    assert recording.retain_until == quarantine_until(recording.ended_at)
    assert policy.PARTIAL not in recording.flags
    assert decoded(finished).any()


def test_in_quarantine_a_flag_says_that_a_recording_is_not_whole() -> None:
    """Its state can't: it becomes partial when it is assigned to somebody."""
    recording = finalise(call(2, quarantined=True), []).recording
    assert recording.state is RecordingState.QUARANTINED
    assert recording.flags == ("no-media", policy.PARTIAL)
