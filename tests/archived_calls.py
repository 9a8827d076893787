"""Recordings put into a running service as its recorder does, without the time a call takes.

The sound and the story of each call are made here; sealing, store, catalogue and audit are
the product's own. For lists of many calls, and for recordings of hours.

Rules: the same seed makes the same sound; who speaks is not told from noise by ear, but by
its contour and by FLAC it is as large as speech on a telephone line.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from unittest import mock

import numpy as np
import numpy.typing as npt

from archive.audit import AuditWriter
from archive.catalogue.engine import Catalogue
from archive.cli.vault import open_store, open_vault
from archive.clock import SystemClock
from archive.embedded.service_file import read_service
from archive.ingest import Ingest
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
from archive.settings import load_settings
from recorder.encoding import MEDIA_TYPE, SAMPLE_RATE_HZ, FlacEncoder
from recorder.rtp import peaks
from tests.running_service import RunningService

TURN_S = 2.6
"""About how long one of two people speaks before the other does."""

BLOCK_S = 60
LOUDNESS = 5000
QUIET = 2
MUFFLED = np.hanning(9)
"""Takes the height from the noise, as a mouth and a telephone do; else FLAC would save nothing."""

Samples = npt.NDArray[np.int16]


@dataclasses.dataclass(frozen=True)
class Archiver:
    """Puts recordings into the archive of a service."""

    ingest: Ingest
    tenant_id: TenantId

    def put(self, started_at: datetime, duration_s: float, seed: int = 1, **changes: object) -> Recording:
        """Archive a two-party call that began then; `changes` are fields of the recording."""
        recording = _recording(self.tenant_id, started_at, int(duration_s * 1000))
        recording = dataclasses.replace(recording, **changes)  # type: ignore[arg-type]
        outcome = SessionOutcome(
            session_id=recording.session_id,
            call_id=recording.call_id,
            kind=OutcomeKind.RECORDED,
            reason="mode always",
            started_at=recording.started_at,
            ended_at=recording.ended_at,
            tenant_id=recording.tenant_id,
            recording_ids=(recording.id,),
        )
        return self.ingest.archive(_finished(recording, duration_s, seed), outcome).recording


@contextmanager
def archiver(service: RunningService) -> Iterator[Archiver]:
    """Yield what archives into the tenant of a prepared service, by the settings of its recorder."""
    settings_of_role = read_service(service.directory).environment_of("recorder")
    with mock.patch.dict(os.environ, settings_of_role):
        settings = load_settings()
    catalogue = Catalogue(settings.database_url)
    try:
        audit = AuditWriter(catalogue, "recorder/tests")
        intents = service.directory.with_name("intents")
        ingest = Ingest(open_store(settings), open_vault(settings), catalogue, audit, intents, SystemClock())
        yield Archiver(ingest, TenantId(service.tenant_id))
    finally:
        catalogue.close()


def _recording(tenant_id: TenantId, started_at: datetime, duration_ms: int) -> Recording:
    recording_id = RecordingId(new_id(started_at))
    return Recording(
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


def _finished(recording: Recording, duration_s: float, seed: int) -> FinishedRecording:
    """Return the recording with its sound: of a long one, the same minute again and again."""
    encoder, left = FlacEncoder(2), int(duration_s * SAMPLE_RATE_HZ)
    minute = _conversation(min(duration_s, BLOCK_S), seed)
    measured = [peaks.Peaks(), peaks.Peaks()]
    while left > 0:
        block = minute[:left]
        encoder.write(block)
        for channel, one in enumerate(measured):
            one.add(block[:, channel])
        left -= len(block)
    levels = [one.magnitudes() for one in measured]
    return FinishedRecording(
        recording=recording,
        audio=encoder.finish(),
        audio_media_type=MEDIA_TYPE,
        peaks=peaks.document(recording.channels, levels, recording.duration_ms),
        timeline=json.dumps({"version": 1, "spans": []}).encode(),
        metadata=json.dumps({"version": 1, "revisions": []}).encode(),
    )


def _conversation(duration_s: float, seed: int) -> Samples:
    """Return two voices that take turns, as rising and falling noise, of shape (samples, 2)."""
    dice = np.random.default_rng(seed)
    count = int(duration_s * SAMPLE_RATE_HZ)
    sound = dice.integers(-QUIET, QUIET + 1, (count, 2)).astype(np.float64)
    begin, speaker = 0, int(dice.integers(2))
    while begin < count:
        length = int(dice.uniform(0.3, 2) * TURN_S * SAMPLE_RATE_HZ)
        turn = sound[begin : begin + length, speaker]
        syllables = np.abs(np.sin(np.arange(len(turn)) / SAMPLE_RATE_HZ * np.pi * dice.uniform(2, 4)))
        voice = np.convolve(dice.normal(0, LOUDNESS * dice.uniform(0.3, 1), len(turn)), MUFFLED, "same")
        turn += (voice * syllables)[: len(turn)]
        begin += length + int(dice.uniform(0, 0.6) * SAMPLE_RATE_HZ)
        speaker = 1 - speaker
    return np.clip(sound, -32768, 32767).astype(np.int16)
