"""What a recorder does by the clock: time-outs, syncs, news from the database, deliveries.

Rules: what blocks runs in a thread; a failure of any of it is noted and tried again,
and never reaches a call. Not here: what a time-out means (`recorder.srs.server`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING

import structlog

from archive.audit import AuditWriter
from archive.catalogue import keep_next, recorder_nodes
from archive.catalogue.engine import Catalogue
from archive.catalogue.snapshot import Directory
from archive.errors import ArchiveError, DependencyUnavailable, Refused
from recorder.capture.messages import StreamActivity
from recorder.condition import Telling
from recorder.control import CommandIntake
from recorder.delivery import deliver
from recorder.directory_source import DirectorySource
from recorder.journal.format import JournalError, JournalUnavailable
from recorder.live_calls import LiveCalls
from recorder.sip_certificate import SipCertificate
from recorder.srs.effects import ConsumeKeepNext, Moment
from retention.due_time import ClockDisbelieved
from retention.timekeeper import LockClock, boot_id

if TYPE_CHECKING:
    from recorder.service import RecorderService

TICK_S = 0.2
SYNC_S = 0.4
"""With the capture tick of 0.2 s this keeps what a power cut may take below one second."""

CHECK_S = 1.0
DIRECTORY_S = 60.0
LISTEN_S = 1.0
"""How long a stop may have to wait for the thread that listens."""

BELIEVE_S = 60.0
RETRY_S = 5.0
RENEW_S = 2.0
"""Between looks at the files of the certificate; a renewal is taken at the second look that finds it."""

COLLECT_S = 600.0
"""Between full collections of garbage, made when nothing happens: one takes as long as ten INVITEs may."""

QUIET_S = 1.0
FREE_BYTES_MIN = 512 * 1024 * 1024
"""About 9 hours of one call, or 30 s of a thousand: enough to end what runs, too little to take more."""

_log = structlog.get_logger()


class Housekeeping:
    """The periodic work of one recorder."""

    def __init__(self, service: RecorderService) -> None:
        self._service = service
        settings = service.settings
        self._catalogue = Catalogue(settings.database_url, timeout_s=settings.database_timeout_s)
        self._audit = AuditWriter(self._catalogue, f"recorder/{settings.node_name}")
        self._directory = DirectorySource(
            self._catalogue,
            settings.journal_dir / "directory.sealed",
            service.book.node_key,
            trust_loopback=settings.trust_loopback,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = threading.Event()
        self._setting_aside = asyncio.Lock()
        self.live = LiveCalls(self._catalogue, settings.node_name, service.clock)
        self.control = CommandIntake(service, self.live, self._catalogue, settings.node_name)
        self._telling = Telling(service, self._catalogue)
        self._lock_clock = LockClock(self._catalogue, service.clock, f"recorder/{settings.node_name}")
        self.boot_id = boot_id()
        self._deliver_now = asyncio.Event()
        self._collected_s = 0.0
        self.packets = 0
        self.refused = 0
        self.kernel_drops = 0
        self.octets = 0
        self.directory_known = False

    def start(self) -> None:
        """Begin all periodic work."""
        for work in (
            self._tick,
            self._sync,
            self._watch_directory,
            self._deliver,
            self._publish,
            self._beat,
            self._ask_the_clock,
        ):
            self.begin(_always(work))
        if self._service.certificate is not None:
            self._service.certificate.remember()
            self.begin(_always(functools.partial(self._renew, self._service.certificate)))
        self.control.start()

    def begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Do something beside all else; it ends with the recorder at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """End it; what waits in the outbox stays there."""
        self._stopping.set()
        await self.control.stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(ArchiveError):
            await asyncio.to_thread(self.live.flush)
        self._catalogue.close()

    def deliver_soon(self) -> None:
        """Tell the catalogue at the next opportunity, not at the next retry."""
        self._deliver_now.set()

    def consume_keep_next(self, effect: ConsumeKeepNext) -> None:
        """Have the catalogue forget a promise to keep the next call: it was honoured."""
        self.begin(self._consume_keep_next(effect))

    async def _consume_keep_next(self, effect: ConsumeKeepNext) -> None:
        while True:
            try:
                await asyncio.to_thread(
                    keep_next.consume, self._catalogue, effect.tenant_id, effect.user_id, effect.until
                )
            except DependencyUnavailable:
                # Until then this recorder remembers that it is spent; after its moment nobody needs to know.
                if self._service.clock.now() >= effect.until:
                    return
                await asyncio.sleep(RETRY_S)
            else:
                return

    def set_aside(self, uid: bytes, tails: Mapping[str, int] | None) -> None:
        """Copy an ended call that may still be kept out of the files of its neighbours."""
        self.begin(self._set_aside(uid, tails))

    async def _set_aside(self, uid: bytes, tails: Mapping[str, int] | None) -> None:
        book = self._service.book
        async with self._setting_aside:
            if not book.holds(uid) or book.tails_of(uid) is not None:
                # It is over by now, or was set aside before a restart.
                return
            try:
                aside = await asyncio.to_thread(book.copying(uid, tails))
            except (JournalError, JournalUnavailable) as error:
                # It stays where it is, and so do its neighbours' files.
                _log.warning("a call can't be set aside", reason=str(error))
                return
            if uid in self._service.server.grace or not book.holds(uid):
                book.adopt_aside(aside)

    def note_activity(self, report: StreamActivity) -> None:
        """Tell the server which sessions get packets, and count."""
        now = self._service.now()
        for stream_id, last_packet_ns in report.last_packet_ns.items():
            session_id = self._service.media.session_of(stream_id)
            if session_id and last_packet_ns and now.wall_ns - last_packet_ns < 3 * CHECK_S * 1e9:
                self._service.server.heard(session_id, now)
        self.packets += report.packets
        self.refused += report.refused
        self.kernel_drops += report.kernel_drops
        self.octets += report.octets

    async def begin_directory(self) -> None:
        """Take the remembered directory at once; only a recorder that has none waits for the database."""
        remembered = self._directory.remembered()
        if remembered is None:
            await self.load_directory()
        else:
            self._take_directory(remembered)

    async def refresh_directory(self, wait_s: float) -> None:
        """Load the directory, but wait no longer than that: it is used as soon as it is there."""
        await asyncio.wait([self.begin(self.load_directory())], timeout=wait_s)

    async def load_directory(self) -> None:
        """Load the directory; the last one stands while the database is away."""
        try:
            self._take_directory(await asyncio.to_thread(self._directory.load))
        except ArchiveError as error:
            _log.warning("the directory can't be loaded; the last one stands", reason=str(error))

    def _take_directory(self, directory: Directory) -> None:
        self.directory_known = True
        self._service.server.directory = directory

    async def _tick(self) -> None:
        checked_s = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            now = self._service.now()
            self._service.carry_out(self._service.server.handle_timer(now))
            if now.monotonic_s - checked_s >= CHECK_S:
                checked_s = now.monotonic_s
                self.check(now)

    def check(self, now: Moment) -> None:
        """Look after sessions, capture and disk, and say whether more calls can be taken."""
        service = self._service
        service.carry_out(service.server.check_silence(now))
        service.watch_capture()
        try:
            service.book.rotate()
            free = os.statvfs(service.settings.journal_dir)
        except (JournalUnavailable, OSError) as error:
            service.server.admission.unable_reason = str(error)
            return
        self._collect(now)
        short = free.f_bavail * free.f_frsize < FREE_BYTES_MIN
        trouble = service.book.trouble or ("the disk of the journal is full" if short else None)
        unknown = None if self.directory_known else "the database never told whom to record"
        service.server.admission.unable_reason = trouble or service.capture_trouble or unknown

    def _collect(self, now: Moment) -> None:
        """Collect all garbage in a quiet moment; the automatic collection leaves old objects alone."""
        newest_s = max((session.opened_s for session in self._service.server.sessions), default=0.0)
        if now.monotonic_s - self._collected_s > COLLECT_S and now.monotonic_s - newest_s > QUIET_S:
            self._collected_s = now.monotonic_s
            gc.collect()

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(SYNC_S)
            try:
                await asyncio.to_thread(self._sync_once)
            except JournalUnavailable as error:
                # A slot that can't be made durable is a call that can't be kept.
                self._service.server.admission.unable_reason = str(error)

    def _sync_once(self) -> None:
        self._service.book.sync()
        self._service.outbox.sync()

    async def _watch_directory(self) -> None:
        """Load the directory when the database says it changed, and once a minute."""
        while True:
            try:
                await asyncio.to_thread(self._watch_for_changes, asyncio.get_running_loop())
            except ArchiveError:
                await asyncio.sleep(RETRY_S)

    def _watch_for_changes(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen, then load, then wait: a change while loading is heard, and loaded at once."""
        with self._catalogue.listen("directory_changed") as listener:
            while not self._stopping.is_set():
                loop.call_soon_threadsafe(self._take_directory, self._directory.load())
                waited_s = 0.0
                while waited_s < DIRECTORY_S and not self._stopping.is_set() and not listener.wait(LISTEN_S):
                    waited_s += LISTEN_S

    async def _deliver(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._deliver_now.wait(), RETRY_S)
            self._deliver_now.clear()
            try:
                await asyncio.to_thread(self._deliver_once)
            except DependencyUnavailable as error:
                _log.debug("outcomes wait for the catalogue", reason=str(error))
                await asyncio.sleep(RETRY_S)
            except ArchiveError as error:
                _log.error("an outcome can't be told", reason=str(error))
                await asyncio.sleep(RETRY_S)

    async def _publish(self) -> None:
        """Tell the catalogue of calls under way, while there is anything to tell."""
        while True:
            await asyncio.sleep(TICK_S)
            if not self.live.waiting:
                continue
            try:
                await asyncio.to_thread(self.live.flush)
            except ArchiveError as error:
                _log.debug("calls under way wait for the catalogue", reason=str(error))
                await asyncio.sleep(CHECK_S)

    async def _beat(self) -> None:
        """Say again and again that this recorder is there, and how: nobody else can tell of its calls."""
        while True:
            condition = self._telling.condition()
            try:
                await asyncio.to_thread(self._telling.tell, condition)
            except ArchiveError as error:
                _log.debug("that the recorder is there can't be told", reason=str(error))
            await asyncio.sleep(recorder_nodes.BEAT_S)

    async def _renew(self, certificate: SipCertificate) -> None:
        """Look now and then whether the certificate was renewed on disk."""
        await asyncio.sleep(RENEW_S)
        try:
            if await asyncio.to_thread(certificate.renew, self._service.clock.now()):
                _log.info("new TLS connections get the renewed certificate", ends_at=str(certificate.ends_at))
        except Refused as error:
            _log.error("the certificate on disk is not taken, the one in use stays", reason=str(error))

    async def _ask_the_clock(self) -> None:
        """Find out whether this machine's clock is believed, while a call in its grace waits for that."""
        while True:
            grace = self._service.server.grace
            if grace.waits_for_a_clock(self._service.now()):
                try:
                    _, until, is_known = await asyncio.to_thread(self._lock_clock.due_times)
                except ClockDisbelieved as error:
                    _log.error("ALARM: the clock is not believed, unkept calls wait", reason=str(error))
                except DependencyUnavailable as error:
                    _log.warning("unkept calls wait for a clock", reason=str(error))
                else:
                    grace.believe(int(until.timestamp() * 1e9) if is_known else 0)
            await asyncio.sleep(BELIEVE_S)

    def _deliver_once(self) -> None:
        """Tell what waits; first what it tells of is made durable: a slot that is said to be gone is gone."""
        self._sync_once()
        deliver(self._service.outbox, self._catalogue, self._audit)


async def _always(work: Callable[[], Awaitable[None]]) -> None:
    """Do a work that has no end; what goes wrong in it once must not end it for ever."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - whatever it was, calls go on and so must this
            _log.exception("periodic work failed and is begun again")
            await asyncio.sleep(CHECK_S)


def calm_garbage_collection() -> None:
    """Keep full collections out of the way of calls: with all modules loaded one takes 100 ms (measured).

    What is loaded is never looked at again; young objects are collected as always, old
    ones by `Housekeeping` in quiet moments.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 1_000_000)
