"""The trace of a recorded session ends with its media and its term."""

import dataclasses
from datetime import UTC, datetime

import pytest

from archive.catalogue.sessions import TRACE_LINES_MAX
from archive.model import (
    CallGroupId,
    Direction,
    FinishedRecording,
    Layout,
    OutcomeKind,
    PacketCounts,
    Recording,
    RecordingId,
    RecordingMode,
    RecordingState,
    RetentionClass,
    SessionId,
    TenantId,
    UserId,
)
from recorder.session_outcome import outcome
from recorder.state import CallState, DialogState, StreamState

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DIALOG = DialogState("call@example.org", "l", "r", "", "", "", (), 1, 1, "udp", "", "", 0, None, "", "")
STATE = CallState(
    recording_id="r",
    session_id="s",
    call_group="g",
    tenant_id="t",
    peer_id=None,
    owner="u",
    mode="always",
    retention_class="7y-1000",
    direction="in",
    layout="two-party",
    started_ns=int(NOW.timestamp()) * 10**9,
    kept=True,
    dialog=DIALOG,
    streams=tuple(StreamState(n, str(n), "ab"[n], "127.0.0.1", 20_000, {}) for n in range(2)),
    trace=("peer sbc-1", "user u by number"),
    end_reason="bye",
)
RECORDING = Recording(
    id=RecordingId("r"),
    tenant_id=TenantId("t"),
    session_id=SessionId("s"),
    call_id="call@example.org",
    call_group=CallGroupId("g"),
    state=RecordingState.AVAILABLE,
    mode=RecordingMode.ALWAYS,
    owner=UserId("u"),
    peer_id=None,
    direction=Direction.IN,
    layout=Layout.TWO_PARTY,
    started_at=NOW,
    ended_at=NOW,
    duration_ms=0,
    recorded_ms=0,
    parties=(),
    retention_class=RetentionClass.YEARS_7_1000,
    # In Amsterdam this is the next day.
    retain_until=datetime(2033, 11, 21, 23, 30, tzinfo=UTC),
    packets=PacketCounts(received=1500, lost=3),
)


def finished(**changes: object) -> FinishedRecording:
    return FinishedRecording(dataclasses.replace(RECORDING, **changes), b"", "audio/flac", b"", b"", b"")


def test_a_recorded_session_ends_with_its_reason_and_its_recording() -> None:
    ended = outcome(STATE, finished())
    assert (ended.kind, ended.reason, ended.recording_ids) == (OutcomeKind.RECORDED, "bye", ("r",))
    assert outcome(STATE, finished(flags=("no-media",))).reason == "no media"
    assert outcome(dataclasses.replace(STATE, end_reason=None), finished()).reason == "recorded"


def test_the_last_lines_tell_of_the_media_and_of_the_term() -> None:
    assert outcome(STATE, finished()).trace == (
        "peer sbc-1",
        "user u by number",
        "media: 2 streams, 1500 packets, 3 lost, 0 duplicated",
        "class 7y-1000 kept until 2033-11-22",
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"retention_class": RetentionClass.DAYS_90, "flags": ("above-cap",)},
            "class 90d kept until 2033-11-22, above the minutes of the month",
        ),
        ({"state": RecordingState.QUARANTINED}, "quarantined until 2033-11-22"),
    ],
)
def test_a_term_that_surprises_is_explained(changes: dict[str, object], line: str) -> None:
    assert outcome(STATE, finished(**changes)).trace[-1] == line


def test_one_stream_is_one_stream() -> None:
    state = dataclasses.replace(STATE, streams=STATE.streams[:1])
    assert outcome(state, finished()).trace[-2].startswith("media: 1 stream, ")


def test_a_session_in_quarantine_says_why() -> None:
    assert "unknown here" in outcome(STATE, finished(state=RecordingState.QUARANTINED)).reason


def test_a_trace_at_its_limit_still_ends_with_both_lines() -> None:
    """A call with a hundred commands must still tell what became of its media."""
    state = dataclasses.replace(STATE, trace=tuple(f"line {n}" for n in range(TRACE_LINES_MAX)))
    trace = outcome(state, finished()).trace
    assert len(trace) == TRACE_LINES_MAX
    assert trace[-3:-1] == (
        f"line {TRACE_LINES_MAX - 3}",
        "media: 2 streams, 1500 packets, 3 lost, 0 duplicated",
    )
