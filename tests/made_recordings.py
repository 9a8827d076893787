"""Recordings as a recorder hands them over, for tests that need some: a two-party call of an incoming number.

Rules: every field has a value that can be stored; what a test is about, it names itself.
Not here: their sound (`tests/archived_calls.py`), and many of them (`tests/generated_recordings.py`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from archive.model import (
    CallGroupId,
    Direction,
    FinishedRecording,
    Layout,
    OutcomeKind,
    PacketCounts,
    Party,
    Recording,
    RecordingId,
    RecordingMode,
    RecordingState,
    RetentionClass,
    SessionId,
    SessionOutcome,
    TenantId,
    new_id,
)
from recorder.encoding import MEDIA_TYPE
from recorder.rtp import peaks


def made_recording(
    tenant_id: TenantId, started_at: datetime, duration_ms: int, /, **changes: object
) -> Recording:
    """Return a recording of a call that began then; `changes` are fields of it."""
    recording_id = RecordingId(new_id(started_at))
    made = Recording(
        id=recording_id,
        tenant_id=tenant_id,
        session_id=SessionId(new_id(started_at)),
        call_id=f"{recording_id}@192.0.2.7",
        call_group=CallGroupId(new_id(started_at)),
        state=RecordingState.PROCESSING,
        mode=RecordingMode.ALWAYS,
        owner=None,
        peer_id=None,
        direction=Direction.IN,
        layout=Layout.TWO_PARTY,
        started_at=started_at,
        ended_at=started_at + timedelta(milliseconds=duration_ms),
        duration_ms=duration_ms,
        recorded_ms=duration_ms,
        parties=(Party("a", "+31612345678", "Jansen, M."), Party("b", "+31201234567", "")),
        retention_class=RetentionClass.DAYS_90,
        retain_until=started_at + timedelta(days=90),
        packets=PacketCounts(duration_ms // 10, 0, 0, 0),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def finished_of(
    recording: Recording, audio: bytes, levels: Sequence[npt.NDArray[np.int32]]
) -> FinishedRecording:
    """Return a recording with its sound and the levels of each channel, 20 a second."""
    return FinishedRecording(
        recording=recording,
        audio=audio,
        audio_media_type=MEDIA_TYPE,
        peaks=peaks.document(recording.channels, levels, recording.duration_ms),
        timeline=json.dumps({"version": 1, "spans": []}).encode(),
        metadata=json.dumps({"version": 1, "revisions": []}).encode(),
    )


def outcome_of(recording: Recording, *trace: str) -> SessionOutcome:
    """Return how the session of a recording ended: it was recorded, for these reasons."""
    return SessionOutcome(
        session_id=recording.session_id,
        call_id=recording.call_id,
        kind=OutcomeKind.RECORDED,
        reason="mode always",
        started_at=recording.started_at,
        ended_at=recording.ended_at,
        tenant_id=recording.tenant_id,
        recording_ids=(recording.id,),
        trace=trace,
    )
