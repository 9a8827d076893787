"""Finalising in processes of their own: what a pool runs for each ended call.

    ProcessPoolExecutor(n, mp_context=get_context("spawn"), initializer=prepare_worker, initargs=(settings,))
    pool.submit(finalise_job, job)

A worker builds its store, keys, catalogue and audit once; a job carries only what it
takes to open one call's journal. Workers step back for capture (nice 10).

Rules: a failed job changes nothing: the journal stays, and the same job may run again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from archive.audit import AuditWriter
from archive.catalogue.engine import Catalogue
from archive.cli.vault import open_store, open_vault
from archive.clock import SystemClock
from archive.ingest import Ingest
from archive.model import ArchivedRecording
from archive.settings import Settings
from recorder.errors import LocalDefect
from recorder.finaliser import finalise, outcome
from recorder.finaliser_job import FinaliseJob
from recorder.journal.reader import read_call
from recorder.state import CallState

INTENTS_DIRECTORY = "intents"
_NICE = 10
_CATALOGUE_CONNECTIONS = 2  # a worker does one thing at a time


@dataclass(frozen=True)
class _Worker:
    """What one process of the pool keeps between jobs."""

    journal_dir: Path
    ingest: Ingest


_workers: list[_Worker] = []


def prepare_worker(settings: Settings) -> None:
    """Prepare this process for jobs; the initializer of the pool."""
    os.nice(_NICE)
    _workers[:] = [_Worker(settings.journal_dir, open_ingest(settings))]


def open_ingest(settings: Settings) -> Ingest:
    """Return an ingest on the store, keys and catalogue the settings name.

    Raises Refused naming settings that are missing, KeyringLocked when the root does not open.
    """
    settings.require("database_url", "s3_endpoint", "keyring", "key_store")
    catalogue = Catalogue(
        settings.database_url,
        timeout_s=settings.database_timeout_s,
        connections_max=_CATALOGUE_CONNECTIONS,
    )
    store, vault = open_store(settings), open_vault(settings)
    audit = AuditWriter(catalogue, f"recorder/{settings.node_name}")
    return Ingest(store, vault, catalogue, audit, settings.journal_dir / INTENTS_DIRECTORY, SystemClock())


def finalise_job(job: FinaliseJob) -> ArchivedRecording:
    """Finalise and archive one call; raises `DependencyUnavailable` kinds when it must be tried again."""
    if not _workers:
        raise LocalDefect(
            "A finaliser process got a job before it was prepared; give the pool its initializer."
        )
    worker = _workers[0]
    state = CallState.from_json(job.state)
    damage: list[tuple[str, int]] = []
    records = read_call(
        worker.journal_dir, job.uid, job.call_key, job.tails, lambda *place: damage.append(place)
    )
    finished = finalise(state, records, damage=damage)
    return worker.ingest.archive(finished, outcome(state, finished))
