"""Recordings put into a running service as its recorder does, without the time a call takes.

The sound and the story of each call are made here; sealing, store, catalogue and audit are
the product's own. For lists of many calls, and for recordings of hours.

Rules: the same seed makes the same sound; who speaks is not told from noise by ear, but by
its contour and by FLAC it is as large as speech on a telephone line.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
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
    FinishedRecording,
    Recording,
    TenantId,
)
from archive.settings import load_settings
from recorder.encoding import SAMPLE_RATE_HZ, FlacEncoder
from recorder.rtp import peaks
from tests.made_recordings import finished_of, made_recording, outcome_of
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
        recording = made_recording(self.tenant_id, started_at, int(duration_s * 1000), **changes)
        finished = _finished(recording, duration_s, seed)
        return self.ingest.archive(finished, outcome_of(recording)).recording


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
    return finished_of(recording, encoder.finish(), [one.magnitudes() for one in measured])


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
