"""The queue between the end of a call and its place in the archive.

Each finished recording is finalised and ingested in a pool of processes, and tried
again, with growing pauses, for as long as store, database or key store are away:
the journal keeps it. Rules: nothing is given up; the queue is as long as the
journal; capture never waits for it.

Not here: what finalising is (`recorder.finaliser`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process

import structlog

from archive.errors import DependencyUnavailable
from archive.settings import Settings
from archive.telemetry import configure_logging
from recorder.finaliser_job import FinaliseJob

RETRY_S_MIN = 1.0
RETRY_S_MAX = 60.0
"""A store that was away for a day is found again within a minute."""

DEFECT_RETRY_S = 600.0
"""A recording that fails for a reason of its own is tried again after a repair, not all the time."""

_log = structlog.get_logger()


class ArchivingQueue:
    """Finished recordings on their way to the archive."""

    def __init__(self, settings: Settings, archived: Callable[[bytes], None]) -> None:
        """Call `archived` with the uid of each recording that is safe in the archive."""
        self._settings = settings
        self._archived = archived
        self._pool = self._make_pool()
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._slots = asyncio.Semaphore(settings.finaliser_processes)
        self._stopping = asyncio.Event()
        self.failing: str | None = None

    @property
    def waiting(self) -> int:
        """How many recordings are not archived yet."""
        return len(self._tasks)

    @property
    def waiting_since_ns(self) -> int | None:
        """When the one of them ended that ended first, as wall time; None while none waits."""
        return min(self._tasks.values(), default=None)

    def add(self, job: FinaliseJob, ended_ns: int) -> None:
        """Take a finished recording, which ended at `ended_ns`."""
        task = asyncio.get_running_loop().create_task(self._archive(job))
        self._tasks[task] = ended_ns
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def stop(self, wait_s: float) -> None:
        """Let what is under way finish for a moment; the rest stays in the journal."""
        self._stopping.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=wait_s)
        # A pool forgets its processes when it is shut down; one that waits for a store ends only when told.
        processes = list((getattr(self._pool, "_processes", None) or {}).values()) if self._tasks else []
        for task in self._tasks:
            task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()

    async def _archive(self, job: FinaliseJob) -> None:
        pause_s = RETRY_S_MIN
        while not self._stopping.is_set():
            pool = self._pool
            try:
                async with self._slots:
                    if self._stopping.is_set():
                        return
                    pool = self._pool
                    await asyncio.get_running_loop().run_in_executor(pool, _finalise, job)
                self.failing = None
                self._archived(job.uid)
            except DependencyUnavailable as error:
                self._note(str(error))
            except BrokenProcessPool:
                self._note("A finaliser process died; the log has its last words.")
                self._replace(pool)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one call, the others go on
                _log.error("a recording can't be archived", uid=job.uid.hex(), error=repr(error))
                pause_s = DEFECT_RETRY_S
            else:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            pause_s = min(pause_s * 2, RETRY_S_MAX)

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        """Make a new pool, once, however many jobs were in the broken one."""
        if self._pool is broken:
            broken.shutdown(wait=False)
            self._pool = self._make_pool()

    def _note(self, reason: str) -> None:
        """Say once that archiving stands still, and why."""
        if self.failing != reason:
            _log.warning("archiving waits", reason=reason, waiting=self.waiting)
        self.failing = reason

    def _make_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=self._settings.finaliser_processes,
            mp_context=get_context("spawn"),
            initializer=_begin_worker,
            initargs=(self._settings,),
        )


def _begin_worker(settings: Settings) -> None:
    """Prepare a process of the pool."""
    configure_logging(settings, "finaliser")
    threading.Thread(target=_end_with_recorder, name="recorder watch", daemon=True).start()
    from recorder.finaliser_pool import prepare_worker  # noqa: PLC0415 - signalling never loads it

    prepare_worker(settings)


def _finalise(job: FinaliseJob) -> None:
    """Do a job in a process of the pool; the recorder has no use for what becomes of it."""
    from recorder.finaliser_pool import finalise_job  # noqa: PLC0415 - signalling never loads it

    finalise_job(job)


def _end_with_recorder() -> None:
    """End this process with the recorder, also when that was killed: nobody would give it work any more."""
    recorder = parent_process()
    if recorder is not None:
        recorder.join()
        os._exit(1)
