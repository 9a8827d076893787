"""Finalising in processes of their own: what a pool runs for each ended call.

    ProcessPoolExecutor(n, mp_context=get_context("spawn"), initializer=prepare_worker, initargs=(settings,))
    pool.submit(finalise_job, job)

A worker builds its store, keys, catalogue and audit once; a job carries only what it
takes to open one call's journal. Workers step back for capture (nice 10).

Between finalising and archiving its minutes are booked, in a transaction of their own:
the booking decides the class, so that a job that runs again archives the same recording.

Before, a clock is found that is believed: without one nothing is dated, booked or sealed.

Rules: a failed job loses nothing: the journal stays, and the same job may run again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from archive.audit import AuditWriter
from archive.catalogue import minutes as booking
from archive.catalogue import quarantine
from archive.catalogue.engine import Catalogue
from archive.cli.vault import open_store, open_vault
from archive.clock import Clock, SystemClock
from archive.ingest import Ingest
from archive.intent import AS_TOLD
from archive.model import ArchivedRecording, FinishedRecording, RecordingId, SessionId, TenantId
from archive.settings import Settings
from recorder.dating import BelievedNow, counted, measured, moved, unmeasured
from recorder.errors import LocalDefect
from recorder.finaliser import finalise
from recorder.finaliser_job import FinaliseJob
from recorder.journal.reader import read_call
from recorder.session_outcome import outcome
from recorder.state import CallState
from retention import minutes
from retention.timekeeper import LockClock, boot_id

_log = structlog.get_logger()

INTENTS_DIRECTORY = "intents"
_NICE = 10
_CATALOGUE_CONNECTIONS = 2  # a worker does one thing at a time


@dataclass(frozen=True)
class _Worker:
    """What one process of the pool keeps between jobs."""

    journal_dir: Path
    catalogue: Catalogue
    ingest: Ingest
    clock: Clock


_workers: list[_Worker] = []


def prepare_worker(settings: Settings) -> None:
    """Prepare this process for jobs; the initializer of the pool."""
    os.nice(_NICE)
    catalogue = open_catalogue(settings)
    _workers[:] = [_Worker(settings.journal_dir, catalogue, open_ingest(settings, catalogue), SystemClock())]


def open_catalogue(settings: Settings) -> Catalogue:
    """Return the catalogue the settings name; raises Refused naming settings that are missing."""
    settings.require("database_url", "s3_endpoint", "keyring", "key_store")
    return Catalogue(
        settings.database_url,
        timeout_s=settings.database_timeout_s,
        connections_max=_CATALOGUE_CONNECTIONS,
    )


def open_ingest(settings: Settings, catalogue: Catalogue) -> Ingest:
    """Return an ingest into a catalogue, on the store and keys the settings name.

    Raises Refused naming settings that are missing, KeyringLocked when the root does not open.
    """
    store, vault = open_store(settings), open_vault(settings)
    audit = AuditWriter(catalogue, f"recorder/{settings.node_name}")
    clock = SystemClock()
    believe = LockClock(catalogue, clock, f"recorder/{settings.node_name}").check
    return Ingest(store, vault, catalogue, audit, settings.journal_dir / INTENTS_DIRECTORY, clock, believe)


def finalise_job(job: FinaliseJob) -> ArchivedRecording | None:
    """Finalise and archive one call; raises `DependencyUnavailable` kinds when it must be tried again.

    Returns None for a recording that was archived before and destroyed in quarantine since.
    """
    if not _workers:
        raise LocalDefect(
            "A finaliser process got a job before it was prepared; give the pool its initializer."
        )
    worker = _workers[0]
    state = CallState.from_json(job.state)
    if _was_destroyed(worker, state):
        return None
    now = _believed_now(worker)
    known = worker.ingest.dating(RecordingId(state.recording_id))
    dating = known or measured(state, now)
    state = moved(state, dating or AS_TOLD)
    damage: list[tuple[str, int]] = []
    records = read_call(
        worker.journal_dir, job.uid, job.call_key, job.tails, lambda *place: damage.append(place)
    )
    finished = _booked(worker, finalise(state, records, damage=damage))
    dating = dating or unmeasured(finished.recording, now)
    finished = counted(finished, dating)
    if dating != AS_TOLD:
        _log.error(
            "ALARM: a call was dated anew, the recorder's clock was wrong", recording_id=state.recording_id
        )
    return worker.ingest.archive(finished, outcome(state, finished), dating)


def _believed_now(worker: _Worker) -> BelievedNow:
    at = worker.ingest.believed_time()
    origin_ns = int((worker.clock.now().timestamp() - worker.clock.monotonic()) * 1e9)
    return BelievedNow(at, origin_ns, boot_id())


def _was_destroyed(worker: _Worker, state: CallState) -> bool:
    return state.quarantined and quarantine.is_destroyed(
        worker.catalogue,
        TenantId(state.tenant_id),
        SessionId(state.session_id),
        RecordingId(state.recording_id),
    )


def _booked(worker: _Worker, finished: FinishedRecording) -> FinishedRecording:
    """Book the minutes of a recording, once, and return it as its booking decided."""
    recording = finished.recording
    if recording.owner is None:
        return finished
    with worker.catalogue.transaction(recording.tenant_id) as connection:
        booked = booking.book(connection, recording, minutes.judge, now=worker.clock.now())
    if booked is None:
        return finished
    return replace(finished, recording=minutes.applied(recording, booked))
