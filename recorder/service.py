"""The recorder process: wires the cores to sockets, journal, capture and archive.

`RecorderService` carries out the effects of the session recording server in their
order, and brings it what SIP, capture and the clock have to say. What must not be
lost is in the journal before a peer is answered; what can wait, waits in queues.

Rules: one event loop; what blocks (database, sync) runs in threads. Nothing here
decides about a call. Not here: the protocol (`recorder.sip`, `recorder.srs`), media
(`recorder.media_plane`), the journal (`recorder.call_book`).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import structlog

from archive.catalogue.snapshot import Directory
from archive.cli.vault import open_keyring
from archive.clock import SystemClock
from archive.model import new_id
from archive.settings import Settings
from recorder.archiving import ArchivingQueue
from recorder.call_book import CallBook, by_session
from recorder.capture.handle import CaptureHandle
from recorder.capture.messages import (
    DigitPressed,
    FileClosed,
    JournalTrouble,
    OpenTrack,
    Ready,
    RecordingSet,
    Report,
    StreamActivity,
)
from recorder.errors import LocalDefect
from recorder.finaliser_job import FinaliseJob
from recorder.housekeeping import Housekeeping, calm_garbage_collection
from recorder.journal.format import JournalUnavailable
from recorder.media_plane import MediaPlane
from recorder.outbox import Outbox
from recorder.ports import NoPortLeft, PortRange
from recorder.sip.capability import Identity, Leniency
from recorder.sip.dialog import DialogSnapshot
from recorder.sip.event import Event
from recorder.sip.message import Flow
from recorder.sip.user_agent import UserAgentServer
from recorder.sip_certificate import certificate_of
from recorder.sip_transport import SipTransport
from recorder.srs import effects as do
from recorder.srs.effects import Limits, Moment
from recorder.srs.lifecycle import in_grace, is_capturing, not_kept
from recorder.srs.outcome import lost
from recorder.srs.recording_mode import Event as Verb
from recorder.srs.restoration import clock_ahead_ns
from recorder.srs.server import SessionRecordingServer
from recorder.srs.session import Command
from recorder.state import CallState
from recorder.steady_clock import SteadyClock

CUT_RETRY_S = 1.0
ARCHIVE_WAIT_S = 10.0
CAPTURE_WAIT_S = 10.0
"""A capture process starts in about a second; a predecessor that writes its last one may hold it up."""

DIRECTORY_WAIT_S = 2.0
"""Peers notice a recorder that is silent for longer; a database that is away must not make it so."""

_log = structlog.get_logger()


class RecorderService:
    """One recorder: sessions, media, journal and archive of this process."""

    def __init__(self, settings: Settings) -> None:
        settings.require("database_url", "s3_endpoint", "keyring", "key_store")
        self.settings = settings
        self.clock = SystemClock()
        self.steady_clock = SteadyClock()
        self.certificate = certificate_of(settings, self.clock.now())
        root = open_keyring(settings)
        self.book = CallBook(settings.journal_dir, root)
        self.outbox = Outbox(settings.journal_dir / "outbox", self.book.node_key)
        ports, count = PortRange(*settings.rtp_port_range), settings.capture_processes
        self.media = MediaPlane(ports, self._start_capture, count, self.steady_clock)
        self.user_agent = UserAgentServer(Identity(), secrets.token_bytes, self._leniency)
        self.server = SessionRecordingServer(Directory(), _limits(settings), _id_of, self._media_address)
        self.transport = SipTransport(self.user_agent, self.clock, self._on_event, self.certificate)
        self.housekeeping = Housekeeping(self)
        self.live = self.housekeeping.live
        self.archiving: ArchivingQueue
        self.ready = False
        self._capture_troubles: dict[int, str] = {}
        self._capturing = asyncio.Event()

    def now(self) -> Moment:
        """Return the time, as cores take it."""
        return Moment(*self.steady_clock.read(), self.housekeeping.boot_id, self.steady_clock.ahead_ns())

    async def start(self) -> None:
        """Recover what was running, then listen; ready when this returns."""
        self.archiving = ArchivingQueue(self.settings, self._archived)
        self.media.start()
        loop = asyncio.get_running_loop()
        for index, handle in enumerate(self.media.handles):
            loop.add_reader(handle.fileno(), self._capture_reported, index)
        await self.housekeeping.begin_directory()
        self._recover()
        await self.housekeeping.refresh_directory(DIRECTORY_WAIT_S)
        await self.transport.start(list(self.settings.sip_listeners))
        self.housekeeping.start()
        calm_garbage_collection()
        await self._wait_for_capture()
        self.housekeeping.check(self.now())
        self.ready = True
        _log.info("recorder ready", sip=self.settings.sip_listen, sessions=len(self.server.sessions))

    async def _wait_for_capture(self) -> None:
        """Be ready only when calls can be captured; a process that does not come is told by `/readyz`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._capturing.wait(), CAPTURE_WAIT_S)

    async def stop(self) -> None:
        """Stop without ending a call: what runs is in the journal and goes on at the next start."""
        self.ready, self.server.admission.draining = False, True
        await self.transport.stop()
        await self.housekeeping.stop()
        loop = asyncio.get_running_loop()
        for handle in self.media.handles:
            loop.remove_reader(handle.fileno())
        await asyncio.to_thread(self.media.stop)
        await self.archiving.stop(ARCHIVE_WAIT_S)
        self.book.close()

    def unready_reason(self) -> str | None:
        """Return why no new call can be taken, or None."""
        if not self.ready:
            return "starting or stopping"
        return self.server.full_reason()

    # Events in, effects out.

    def _on_event(self, event: Event) -> None:
        self.carry_out(self.server.handle(event, self.now()))

    def carry_out(self, effects: Iterable[do.Effect]) -> None:
        """Do what the server wants, in order, then send what is to be sent."""
        waiting = deque(effects)
        while waiting:
            effect = waiting.popleft()
            try:
                more = self._do(effect)
            except JournalUnavailable as error:
                waiting = self._unstorable(effect, waiting, str(error))
            except Exception:  # noqa: BLE001 - the other effects are of calls that must not suffer for it
                _log.exception("an effect failed", effect=type(effect).__name__)
            else:
                waiting.extendleft(reversed(more))
        self.transport.flush()

    def _unstorable(self, effect: do.Effect, waiting: deque[do.Effect], reason: str) -> deque[do.Effect]:
        """Go on after the journal failed: what can't be kept is not taken, other calls are left alone."""
        _log.error("the journal failed", effect=type(effect).__name__, reason=reason)
        self.server.admission.unable_reason = reason
        if not isinstance(effect, do.OpenRecording):
            return waiting
        session = self.server.session_of(effect.state.session_id)
        others = session is not None and len(session.recordings) > 1
        own = deque(
            item
            for item in waiting
            if session is None
            or (getattr(item, "uid", None) != effect.uid if others else not session.concerns(item))
        )
        refused = self.server.storage_failed(
            effect.state.session_id, "the journal can't be written", self.now(), effect.uid
        )
        own.extendleft(reversed(refused))
        return own

    def _do(self, effect: do.Effect) -> list[do.Effect]:
        match effect:
            case do.Respond():
                self._respond(effect)
            case do.HangUp():
                self.user_agent.bye(effect.dialog_id, self.clock.monotonic())
            case do.ForgetDialog():
                self.user_agent.forget(effect.dialog_id)
            case do.Probe():
                if not self.user_agent.probe(effect.dialog_id, self.clock.monotonic()):
                    _log.debug("a dialog can't be probed")
            case do.OpenMedia():
                return self._open_media(effect)
            case do.CloseMedia():
                self.media.close(effect.session_id, effect.positions)
            case do.OpenRecording():
                self._open_recording(effect)
            case do.CaptureStream():
                self.media.capture(effect)
            case do.RelearnStream():
                self.media.relearn(effect.session_id, effect.position)
            case do.SetCapturing():
                self.media.set_recording(effect.uid, effect.capturing)
            case do.WriteState():
                self.book.write(effect.uid, self._with_dialog(effect.state))
                self.live.note(effect.uid, effect.state)
            case do.FinishRecording():
                self._finish(effect.uid, effect.state)
            case do.HoldForGrace():
                self._hold(effect.uid, effect.state)
            case do.DestroyRecording():
                self._destroy(effect)
            case do.CutRecording():
                self._cut(effect)
            case do.ConfirmCommand():
                self.housekeeping.control.confirm_soon(effect)
            case do.RemindPause():
                self.live.remind(effect.uid, effect.paused_ns)
            case do.ConsumeKeepNext():
                self.housekeeping.consume_keep_next(effect)
            case do.ReportOutcome():
                self.outbox.put(effect.outcome, final=effect.final)
                self.housekeeping.deliver_soon()
            case do.RetractOutcome():
                self.outbox.retract(effect.session_id)
            case do.CountExempt():
                self.outbox.count_exempt(self.clock.now().date())
        return []

    def _respond(self, effect: do.Respond) -> None:
        self.user_agent.respond(
            effect.key,
            effect.status,
            reason=effect.reason,
            headers=effect.headers,
            body=effect.body,
            content_type=effect.content_type,
            now=self.clock.monotonic(),
        )

    def _open_media(self, effect: do.OpenMedia) -> list[do.Effect]:
        try:
            ports = self.media.bind(effect.session_id, effect.positions, effect.address)
        except NoPortLeft:
            _log.warning("no RTP port is free; widen RTP_PORTS")
            return self.server.media_refused(effect.session_id, self.now())
        return self.server.media_opened(effect.session_id, ports, self.now())

    def _open_recording(self, effect: do.OpenRecording) -> None:
        key = self.book.open(effect.uid, effect.state.started_ns)
        session = self.server.session_of(effect.state.session_id)
        ahead_ns = session.ahead_ns if session else 0
        track = OpenTrack(effect.uid, key, effect.state.started_ns, effect.capturing, ahead_ns=ahead_ns)
        self.media.open_track(effect.state.session_id, track)

    def _with_dialog(self, state: CallState) -> CallState:
        """Add what the user agent knows of the dialog, as it is right now."""
        session = self.server.session_of(state.session_id)
        if session is None:
            return state
        try:
            snapshot = self.user_agent.snapshot(session.dialog_id)
        except LocalDefect:
            return state
        dialog = snapshot.to_state(session.answer.decode("utf-8", "replace"), session.offer_version)
        return dataclasses.replace(state, dialog=dialog)

    # Commands.

    def command(self, uid: bytes, verb: str, actor: str, command_id: str) -> None:
        """Carry out a command on a recording; its answer follows when it took effect."""
        wanted = Command(Verb(verb), actor, command_id)
        effects = self.server.command(uid, wanted, self.now())
        if effects is None:
            self.housekeeping.control.refuse(command_id, "The call is over.")
        else:
            self.carry_out(effects)

    def _pressed(self, report: DigitPressed) -> None:
        """Pass on a digit of a telephone; which one is logged nowhere."""
        line = self.media.line_of(report.stream_id)
        if line is not None:
            self.carry_out(self.server.digit_pressed(*line, report.digit, self.now()))

    # The end of a recording.

    def _finish(self, uid: bytes, state: CallState) -> None:
        """Journal the end, close the track, and queue it for the archive."""
        final = self._with_dialog(state)
        self.book.write(uid, final)
        self.live.gone(uid, final)
        tails = self.book.tails_of(uid)
        self.media.close_track(uid, lambda closed: self._archive(uid, final, tails or closed))

    def _hold(self, uid: bytes, state: CallState) -> None:
        """Journal the end of a call that may still be kept, and set it aside from its neighbours."""
        self.book.write(uid, state)
        self.live.note(uid, state)
        self.media.close_track(uid, lambda tails: self.housekeeping.set_aside(uid, tails))

    def _destroy(self, effect: do.DestroyRecording) -> None:
        # First what others see: a journal that fails must not leave an exempt call on a page.
        if effect.exempt:
            self.live.erase(effect.uid)
        else:
            self.live.gone(effect.uid)
        self.media.discard(effect.uid)
        self._destroy_key(effect.uid)

    def _destroy_key(self, uid: bytes) -> None:
        """Destroy a key, as often as it takes: until then what may not exist still opens."""
        try:
            self.book.destroy(uid)
        except JournalUnavailable as error:
            _log.error("a key waits to be destroyed", reason=str(error))
            asyncio.get_running_loop().call_later(CUT_RETRY_S, self._destroy_key, uid)

    def _cut(self, effect: do.CutRecording) -> None:
        """Destroy the audio from a moment on; noted first, so that a crash does not undo it."""
        self.live.erase(effect.uid)
        noted = dataclasses.replace(effect.state, cut_ns=effect.at_ns)
        self.book.write(effect.uid, noted)
        self.media.close_track(effect.uid, lambda _: self._cut_closed(effect.uid, effect.at_ns, effect.state))

    def _cut_closed(self, uid: bytes, at_ns: int, state: CallState) -> None:
        """Cut, as often as it takes: until then what may not exist still opens."""
        try:
            self.book.cut(uid, at_ns, state)
        except JournalUnavailable as error:
            _log.error("a cut waits for the journal", reason=str(error))
            asyncio.get_running_loop().call_later(CUT_RETRY_S, self._cut_closed, uid, at_ns, state)
            return
        self._archive(uid, state, None)

    def _archive(self, uid: bytes, state: CallState, tails: Mapping[str, int] | None) -> None:
        if self.book.holds(uid):
            job = FinaliseJob(state.to_json(), uid, self.book.key_of(uid), tails)
            self.archiving.add(job, state.ended_ns or state.started_ns)
        else:
            self.carry_out([do.ReportOutcome(lost(state, "its key in the journal was lost"))])

    def _archived(self, uid: bytes) -> None:
        """Release the slot: object verified, row committed, key stored (invariant I5)."""
        self.book.release(uid)

    # Capture.

    @property
    def capture_trouble(self) -> str | None:
        """Why audio can't be kept by every capture process now, or None."""
        return next(iter(self._capture_troubles.values()), None)

    def _note_capture(self, index: int, trouble: str | None) -> None:
        self._capture_troubles.pop(index, None)
        if trouble is not None:
            self._capture_troubles[index] = trouble
        elif not self._capture_troubles:
            self._capturing.set()

    def _start_capture(self, index: int) -> CaptureHandle:
        self._note_capture(index, "a capture process is starting")
        return CaptureHandle(index, self.settings.journal_dir, self.steady_clock.origin_ns)

    def _capture_reported(self, index: int) -> None:
        for report in self.media.take(index):
            self._take(index, report)
        if not self.media.handles[index].alive():
            # A connection that ended is readable for ever; `watch_capture` does the rest.
            asyncio.get_running_loop().remove_reader(self.media.handles[index].fileno())

    def watch_capture(self) -> None:
        """Replace capture processes that died, and kill those that hang; call this about once a second."""
        for index, handle in enumerate(self.media.handles):
            self._capture_reported(index)
            if not handle.alive():
                self._restart_capture(index)
            elif handle.silent():
                # Not waited for here: it is replaced by one of the next calls, when it is gone.
                self._note_capture(index, "a capture process hangs")
                _log.error("a capture process hangs and is killed", index=index)
                handle.kill()

    def _restart_capture(self, index: int) -> None:
        """Give the tracks and sockets of a capture process that died to a new one."""
        _log.error("a capture process died; a new one takes over", index=index)
        self.media.handles[index].stop()
        left = self.book.files_of(f"capture-{index}")
        self.media.restart(index)
        loop = asyncio.get_running_loop()
        loop.add_reader(self.media.handles[index].fileno(), self._capture_reported, index)
        self.housekeeping.begin(self._adopt_files(left))

    async def _adopt_files(self, names: list[str]) -> None:
        """Find out which recordings stand in files whose writer died."""
        for name, uids in (await asyncio.to_thread(self.book.read_files, names)).items():
            self.book.file_closed(name, uids)

    def _take(self, index: int, report: Report) -> None:
        match report:
            case Ready():
                self._note_capture(index, None)
            case RecordingSet():
                self.carry_out(self.server.edge_dated(report.uid, report.edge_ns))
            case DigitPressed():
                self._pressed(report)
            case StreamActivity():
                self.housekeeping.note_activity(report)
            case FileClosed():
                self.book.file_closed(report.name, report.uids)
            case JournalTrouble():
                self._note_capture(index, report.reason if report.failing else None)
                _log.error("journal", failing=report.failing, reason=report.reason)
            case _:
                pass

    # Recovery.

    def _recover(self) -> None:
        """Go on with every call of the journal: bind its ports, or archive what is there."""
        # Files are dated by the machine's clock.
        self.server.left_ns = self.book.left_ns and self.book.left_ns - self.steady_clock.ahead_ns()
        running: dict[bytes, CallState] = {}
        for uid, state in self.book.recover().items():
            if state.cut_ns is not None:
                self._cut_closed(uid, state.cut_ns, dataclasses.replace(state, cut_ns=None))
            elif state.grace_until_ns is not None:
                self.server.grace.restore(uid, state, self.now())
                self.live.note(uid, state)
                self.housekeeping.set_aside(uid, None)
            elif state.ended_ns is not None:
                self._archive(uid, state, None)
            else:
                running[uid] = state
        for states in by_session(running).values():
            try:
                self._resume(states)
            except Exception:  # noqa: BLE001 - the recorder starts all the same; what there is, is archived
                _log.exception("a call can't be resumed")
                for uid, state in states.items():
                    self._give_up(uid, state)

    def _give_up(self, uid: bytes, state: CallState) -> None:
        """End a call that can't be resumed: what was kept of it is archived, the rest destroyed."""
        now = self.now()
        ended_ns = now.wall_ns + clock_ahead_ns(state, now)
        ended = dataclasses.replace(state, ended_ns=ended_ns, end_reason="not resumed")
        if state.kept:
            self.book.write(uid, ended)
            self.live.gone(uid, ended)
            self._archive(uid, ended, None)
        elif state.keep_grace_h:
            self.carry_out(self.server.grace.take([in_grace(uid, ended)], self.now()))
        else:
            self.carry_out(not_kept(uid, ended))

    def _resume(self, states: dict[bytes, CallState]) -> None:
        first = next(iter(states.values()))
        snapshot = DialogSnapshot.from_state(first.dialog)
        dialog_id = self.user_agent.restore(snapshot, self.clock.monotonic())
        for stream in first.streams:
            try:
                self.media.bind_again(first.session_id, stream.position, stream.address, stream.port)
            except OSError:
                _log.error("a port of a running call is taken by another program", port=stream.port)
        for uid, state in states.items():
            key = self.book.key_of(uid)
            ahead_ns = clock_ahead_ns(state, self.now())
            track = OpenTrack(uid, key, state.started_ns, is_capturing(state), ahead_ns=ahead_ns)
            self.media.open_track(state.session_id, track, recovered=True)
        self.carry_out(self.server.restore(states, dialog_id, self.now()))

    def _media_address(self, local_host: str) -> str:
        """Return the address for media: the one the peer reached us by over IPv6, else the setting."""
        return local_host if ":" in local_host else self.settings.rtp_address

    def _leniency(self, flow: Flow) -> Leniency:
        """Trusted peers may run option tags together, as one Cisco release does, and take over dialogs."""
        trusted = self.server.directory.peer_of(flow.remote[0]) is not None
        return Leniency(run_together_tags=trusted, may_move_dialogs=trusted)


def _limits(settings: Settings) -> Limits:
    return Limits(
        sessions_max=settings.sessions_max,
        hold_back_s=settings.hold_back_s,
        silence_s=settings.media_silence_s,
        recovery_silence_s=settings.recovery_silence_s,
        reminder_s=settings.pause_reminder_s,
    )


def _id_of(wall_ns: int) -> str:
    return new_id(datetime.fromtimestamp(wall_ns / 1e9, UTC))
