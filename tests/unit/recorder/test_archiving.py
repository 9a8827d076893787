"""Every finished recording reaches the archive once, however long what it needs is away."""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from archive.errors import CatalogueUnavailable, StoreUnavailable
from archive.settings import Settings
from keys.local_keyring import LocalKeyring
from recorder import archiving
from recorder.archiving import DEFECT_RETRY_S, RETRY_S_MAX, RETRY_S_MIN, ArchivingQueue
from recorder.finaliser_job import FinaliseJob
from recorder.journal.format import JournalUnavailable
from tests.unit.recorder.shell import PATIENCE_S, call_state

AWAY = StoreUnavailable("The object store does not answer.")
HOURS_S = 10 * 3600.0
ENDED_NS = 1_795_339_800_000_000_000


class HastyLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes at once where everybody waits for it."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        super().__init__(_HastySelector(self))

    def time(self) -> float:
        return self.elapsed_s


class _HastySelector(selectors.DefaultSelector):
    def __init__(self, loop: HastyLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0 if timeout is not None else PATIENCE_S)
        assert found or timeout is not None, "Nothing will ever happen any more."
        if not found and timeout is not None:
            self._loop.elapsed_s += timeout
        return found


class Pool(Executor):
    """Stands in for the processes: gives each job what its script says, and notes when it came."""

    def __init__(self, scripts: dict[bytes, deque[object]]) -> None:
        self._scripts = scripts
        self._processes: dict[int, Process] = {1: Process()}
        self.began: list[tuple[float, bytes]] = []
        self.running: list[Future[None]] = []
        self.shut: dict[str, object] | None = None

    def submit(self, work: Callable[..., None], job: FinaliseJob, /) -> Future[None]:  # type: ignore[override]
        self.began.append((asyncio.get_running_loop().time(), job.uid))
        script = self._scripts.get(job.uid, deque())
        said = script.popleft() if script else None
        future: Future[None] = Future()
        if said == "refused":
            raise BrokenProcessPool
        if said == "hangs":
            self.running.append(future)
        elif isinstance(said, Exception):
            future.set_exception(said)
        else:
            future.set_result(None)
        return future

    def shutdown(self, **how: object) -> None:  # type: ignore[override]
        self.shut = how


class Process:
    """A process of the stand-in."""

    terminated = False

    def terminate(self) -> None:
        self.terminated = True


class Queue(ArchivingQueue):
    """A queue on pools that follow a script."""

    def __init__(self, processes: int = 1, **scripts: Sequence[object]) -> None:
        self.pools: list[Pool] = []
        self.archived: list[bytes] = []
        self._scripts = {name.encode(): deque(script) for name, script in scripts.items()}
        super().__init__(Settings(finaliser_processes=processes), self.archived.append)

    def _make_pool(self) -> ProcessPoolExecutor:
        self.pools.append(Pool(self._scripts))
        return self.pools[-1]  # type: ignore[return-value]

    @property
    def began(self) -> list[tuple[float, bytes]]:
        """When which job was begun, in all pools."""
        return sorted(item for pool in self.pools for item in pool.began)

    async def until_idle(self) -> None:
        while self.waiting:
            await asyncio.sleep(0.5)


def job(uid: bytes) -> FinaliseJob:
    return FinaliseJob(call_state().to_json(), uid, bytes(32))


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=HastyLoop) as runner:
        runner.run(asyncio.wait_for(_called(work), 100 * HOURS_S))


async def _called(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    await work()


def test_a_recording_is_archived_and_told_once() -> None:
    """And then nothing waits any more."""

    async def work() -> None:
        queue = Queue(processes=2)
        for uid in (b"one", b"two", b"three"):
            queue.add(job(uid), ENDED_NS)
        assert queue.waiting == 3
        await queue.until_idle()
        assert sorted(queue.archived) == [b"one", b"three", b"two"]
        assert queue.failing is None

    run(work)


def test_what_is_away_is_asked_again_with_growing_pauses() -> None:
    """From a second up to a minute, for as long as it takes; then the recording is told once."""

    async def work() -> None:
        queue = Queue(one=[AWAY] * 10)
        queue.add(job(b"one"), ENDED_NS)
        await queue.until_idle()
        began = [at for at, _ in queue.began]
        pauses = [round(later - earlier) for earlier, later in pairwise(began)]
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
        assert (pauses[0], pauses[-1]) == (RETRY_S_MIN, RETRY_S_MAX)
        assert queue.archived == [b"one"]

    run(work)


def test_why_archiving_waits_can_be_asked_and_is_logged_once() -> None:
    """Each reason once, not each attempt; and nothing is wrong any more when one succeeds."""

    async def work() -> None:
        other = CatalogueUnavailable("PostgreSQL does not answer.")
        queue = Queue(one=[AWAY, AWAY, AWAY, other, other])
        queue.add(job(b"one"), ENDED_NS)
        await asyncio.sleep(0.1)
        assert queue.failing == str(AWAY)
        await asyncio.sleep(10)
        assert queue.failing == str(other)
        await queue.until_idle()
        assert queue.failing is None

    with capture_logs() as logs:
        run(work)
    assert [entry["reason"] for entry in logs] == [str(AWAY), "PostgreSQL does not answer."]


def test_a_recording_with_a_defect_stops_no_other() -> None:
    """It is said in the log, and tried again after a repair could have been made."""

    async def work() -> None:
        queue = Queue(one=[ValueError("the journal makes no sense")])
        queue.add(job(b"one"), ENDED_NS)
        for number in range(5):
            queue.add(job(b"other %d" % number), ENDED_NS)
        await asyncio.sleep(1)
        assert len(queue.archived) == 5
        assert queue.waiting == 1
        await queue.until_idle()
        assert queue.archived[-1] == b"one"
        first, second = (at for at, uid in queue.began if uid == b"one")
        assert round(second - first) == DEFECT_RETRY_S

    with capture_logs() as logs:
        run(work)
    [entry] = logs
    assert (entry["log_level"], entry["uid"]) == ("error", b"one".hex())


def test_an_archived_recording_that_can_t_be_released_is_tried_again() -> None:
    """The disk of the journal failed just then: archiving it once more changes nothing."""

    async def work() -> None:
        queue = Queue()
        told: list[bytes] = []

        def archived(uid: bytes) -> None:
            told.append(uid)
            if len(told) == 1:
                raise JournalUnavailable("The slots file can't be written.")

        queue._archived = archived
        queue.add(job(b"one"), ENDED_NS)
        await asyncio.sleep(1)
        assert queue.waiting == 1
        await queue.until_idle()
        assert told == [b"one", b"one"]
        assert len(queue.began) == 2

    with capture_logs() as logs:
        run(work)
    assert [entry["uid"] for entry in logs] == [b"one".hex()]


def test_an_outage_after_a_defect_is_asked_about_every_minute_again() -> None:
    """The long pause belongs to the defect alone."""

    async def work() -> None:
        queue = Queue(one=[ValueError("a defect"), AWAY, AWAY])
        queue.add(job(b"one"), ENDED_NS)
        await queue.until_idle()
        began = [round(at) for at, _ in queue.began]
        assert began[1] - began[0] == DEFECT_RETRY_S
        assert began[3] - began[1] <= 2 * RETRY_S_MAX

    run(work)


@pytest.mark.parametrize("broke", [("one", "two", "three"), ("one",)])
def test_a_broken_pool_is_replaced_once_for_all_that_were_in_it(broke: tuple[str, ...]) -> None:
    """All of them go on in the new one, and those that come later too."""

    async def work() -> None:
        queue = Queue(processes=3, **{name: [BrokenProcessPool("a process ended")] for name in broke})
        for uid in (b"one", b"two", b"three"):
            queue.add(job(uid), ENDED_NS)
        await queue.until_idle()
        assert sorted(queue.archived) == [b"one", b"three", b"two"]
        broken, new = queue.pools
        assert broken.shut == {"wait": False}
        assert new.shut is None

    run(work)


def test_a_pool_that_takes_no_job_any_more_is_replaced() -> None:
    """It broke while nothing was in it."""

    async def work() -> None:
        queue = Queue(one=["refused"])
        queue.add(job(b"one"), ENDED_NS)
        await queue.until_idle()
        assert queue.archived == [b"one"]
        assert len(queue.pools) == 2

    run(work)


def test_a_recording_that_breaks_every_pool_stops_no_other() -> None:
    """The others are tried again in each new one, until they got through."""

    async def work() -> None:
        queue = Queue(processes=2, bad=[BrokenProcessPool()] * 20, good=[BrokenProcessPool()] * 3)
        queue.add(job(b"bad"), ENDED_NS)
        queue.add(job(b"good"), ENDED_NS)
        await asyncio.sleep(600)
        assert queue.archived == [b"good"]
        await queue.until_idle()
        assert queue.archived == [b"good", b"bad"]

    run(work)


@pytest.mark.parametrize("processes", [1, 3])
def test_no_more_jobs_run_than_there_are_processes(processes: int) -> None:
    """At the limit all work; the next one begins when one is done."""

    async def work() -> None:
        names = [f"job{number}" for number in range(processes + 1)]
        queue = Queue(processes, **{name: ["hangs"] for name in names})
        for name in names:
            queue.add(job(name.encode()), ENDED_NS)
        await asyncio.sleep(1)
        [pool] = queue.pools
        assert len(pool.running) == processes
        pool.running[0].set_result(None)
        await asyncio.sleep(1)
        assert len(pool.running) == processes + 1
        for future in pool.running[1:]:
            future.set_result(None)
        await queue.until_idle()

    run(work)


def test_a_stop_lets_finish_what_is_under_way() -> None:
    """It is archived and told; what waits for its turn is not begun any more."""

    async def work() -> None:
        queue = Queue(one=["hangs"])
        queue.add(job(b"one"), ENDED_NS)
        queue.add(job(b"two"), ENDED_NS)
        await asyncio.sleep(1)
        [pool] = queue.pools
        asyncio.get_running_loop().call_later(5, pool.running[0].set_result, None)
        await queue.stop(10.0)
        assert queue.archived == [b"one"]
        assert [uid for _, uid in queue.began] == [b"one"]
        assert pool.shut == {"wait": False, "cancel_futures": True}
        assert not pool._processes[1].terminated

    run(work)


def test_a_stop_waits_for_no_outage() -> None:
    """What can't be archived now stays in the journal; its pause ends at once."""

    async def work() -> None:
        queue = Queue(one=[AWAY] * 1000)
        queue.add(job(b"one"), ENDED_NS)
        await asyncio.sleep(100)
        begun = asyncio.get_running_loop().time()
        tried = len(queue.began)
        await queue.stop(10.0)
        assert asyncio.get_running_loop().time() - begun < 1
        await asyncio.sleep(HOURS_S)
        assert (len(queue.began), queue.archived, queue.waiting) == (tried, [], 0)

    run(work)


def test_a_stop_gives_up_on_a_job_that_hangs() -> None:
    """After its patience the processes are ended; the journal has it all."""

    async def work() -> None:
        queue = Queue(one=["hangs"])
        queue.add(job(b"one"), ENDED_NS)
        await asyncio.sleep(1)
        begun = asyncio.get_running_loop().time()
        await queue.stop(10.0)
        assert round(asyncio.get_running_loop().time() - begun) == 10
        assert queue.pools[0]._processes[1].terminated
        await asyncio.sleep(1)
        assert queue.archived == []

    run(work)


def test_a_stop_with_nothing_to_do_is_done_at_once() -> None:
    """Also twice."""

    async def work() -> None:
        queue = Queue()
        await queue.stop(10.0)
        await queue.stop(10.0)
        assert asyncio.get_running_loop().time() < 1

    run(work)


async def test_a_finaliser_process_that_is_killed_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With real processes: the job comes back from the new ones, as far as the database that is away."""
    monkeypatch.setattr(archiving, "RETRY_S_MIN", 0.1)
    LocalKeyring.create(tmp_path / "keyring", b"passphrase")
    settings = Settings(
        database_url=f"postgresql+psycopg://nobody@/nothing?host={tmp_path}",
        database_timeout_s=1,
        s3_endpoint="http://127.0.0.1:9",
        s3_access_key="access",
        s3_secret_key="secret",
        keyring=f"file:{tmp_path / 'keyring'}",
        keyring_passphrase="passphrase",
        key_store=f"dir:{tmp_path / 'keys'}",
        journal_dir=tmp_path / "journal",
        log_dir=tmp_path / "log",
        finaliser_processes=1,
    )
    (tmp_path / "journal").mkdir()
    archived: list[bytes] = []
    queue = ArchivingQueue(settings, archived.append)
    ended = call_state(ended_ns=call_state().started_ns + 10**9, end_reason="bye")
    queue.add(FinaliseJob(ended.to_json(), b"a recorded call ", bytes(32)), ENDED_NS)
    try:
        await _until(lambda: "PostgreSQL" in (queue.failing or ""))
        first = queue._pool
        [pid] = first._processes
        os.kill(pid, signal.SIGKILL)
        await _until(lambda: queue._pool is not first)
        await _until(lambda: "PostgreSQL" in (queue.failing or ""))
        assert list(queue._pool._processes) != [pid]
        assert (queue.waiting, archived) == (1, [])
    finally:
        await queue.stop(0.1)


async def _until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not done():
            await asyncio.sleep(0.02)
