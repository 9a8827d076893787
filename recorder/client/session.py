"""The session recording client: places one recorded call against any recording server.

    client = SessionRecordingClient()
    placed = await client.place(CallPlan(host, 5060, "+31201234567", "+31612345678",
                                         StreamPlan(caller_octets), StreamPlan(callee_octets)))
    assert placed.status == 200
    placed.streams[0].timeline()     # the A-law octets a perfect recorder hears

It offers two labelled PCMA streams (or one mixed), sends them by an absolute clock,
presses keys, pauses and resumes by re-INVITE, sends what else is planned, answers
OPTIONS and BYE within the dialog, and hangs up. What it sent comes back packet for
packet. A server that restarts in the middle does not stop it: packets and
retransmissions go on.

Not here: trunks, authentication, codecs beside PCMA, RTCP reports.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from archive.clock import Clock, SystemClock
from recorder.client.call import (
    PACKETS_PER_S,
    CallPlan,
    Dialect,
    Ending,
    InDialogRequest,
    PlacedCall,
    StreamPlan,
)
from recorder.client.description import METADATA_TYPE, Offered, body, metadata, offer
from recorder.client.dialog import ClientDialog, OutgoingRequest
from recorder.client.media import Pace, Stream
from recorder.client.signalling import T1_S, IdentityUnusable, Signalling, reason_of
from recorder.client.sound import mix
from recorder.errors import PeerViolation
from recorder.sdp.description import SessionDescription
from recorder.sip.message import Response

OnAnswer = Callable[[Response], None]


class SessionRecordingClient:
    """Places calls; one object may place any number at once.

    `t1_s` is the retransmission unit of RFC 3261; tests of dead peers make it short.
    """

    def __init__(self, clock: Clock | None = None, *, t1_s: float = T1_S) -> None:
        self._clock = clock or SystemClock()
        self._t1_s = t1_s

    async def place(
        self, call: CallPlan, *, on_answer: OnAnswer | None = None, hang_up: asyncio.Event | None = None
    ) -> PlacedCall:
        """Place the call, stay until it ends, and return what was answered and sent.

        `on_answer` is called with the 2xx, before the first packet; `hang_up` ends the call
        before its audio does. A refusal, silence or a missing server is a `PlacedCall` too.
        Raises OSError when no port is free here, IdentityUnusable when certificates can't be read.
        """
        host = _local_host(call.host, call.port)
        plans = _stream_plans(call)
        async with contextlib.AsyncExitStack() as stack:
            streams = [
                stack.enter_context(contextlib.closing(Stream.open(str(number), plan, host, call.packets)))
                for number, plan in enumerate(plans, start=1)
            ]
            signalling = Signalling(self._t1_s)
            stack.push_async_callback(signalling.close)
            try:
                local = await signalling.open(call.transport, host, (call.host, call.port), call.identity)
            except IdentityUnusable:
                raise
            except OSError as error:
                return PlacedCall(call.call_id or "", 503, reason_of(error), Ending.REFUSED, 0.0)
            dialog = ClientDialog(call, local, lambda: secrets.token_hex(8))
            signalling.attach(dialog)
            session = _Session(call, dialog, signalling, streams, _offered(host, streams))
            session.hang_up = hang_up or session.hang_up
            return await session.run(self._invite(session), on_answer)

    def _invite(self, session: _Session) -> OutgoingRequest:
        call = session.call
        document = metadata(call, len(session.streams), self._clock.now(), uuid.uuid4)
        return session.dialog.invite(*body(call, session.offer(active=True), document))


@dataclass
class _Session:
    """One call while it runs."""

    call: CallPlan
    dialog: ClientDialog
    signalling: Signalling
    streams: list[Stream]
    offered: Offered
    version: int = 0
    active: bool = True
    sending: bool = True
    answers: list[tuple[str, int]] = field(default_factory=list)
    answer_sdp: bytes = b""
    hang_up: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, *, active: bool) -> bytes:
        """Return the next version of the offer."""
        self.version += 1
        return offer(self.call, self.offered, self.version, active=active)

    async def run(self, invite: OutgoingRequest, on_answer: OnAnswer | None) -> PlacedCall:
        """Offer, talk, hang up."""
        response = await self.signalling.request(invite, (self.call.host, self.call.port))
        if response.status >= 300:
            return self._placed(response, Ending.REFUSED, 0.0)
        self._take_answer(response)
        if on_answer is not None:
            on_answer(response)
        pace = Pace()
        talking = asyncio.create_task(self._talk(pace))
        ended = asyncio.create_task(self.signalling.ended.wait())
        enough = asyncio.create_task(self.hang_up.wait())
        try:
            await asyncio.wait((talking, ended, enough), return_when=asyncio.FIRST_COMPLETED)
            seconds = pace.elapsed_s
            if talking.done():
                talking.result()
        finally:
            talking.cancel()
            ended.cancel()
            enough.cancel()
            await asyncio.gather(talking, ended, enough, return_exceptions=True)
        if self.signalling.ended.is_set():
            return self._placed(response, Ending.HUNG_UP_BY_PEER, seconds)
        bye = await self._request("BYE")
        ending = Ending.HUNG_UP if bye.status == 200 else Ending.BYE_UNANSWERED
        return self._placed(response, ending, seconds)

    async def _talk(self, pace: Pace) -> None:
        """Send every packet in its time; pauses and other requests go beside the packets."""
        pause, resume = (_turn(at_s) for at_s in (self.call.pause_at_s, self.call.resume_at_s))
        requests = sorted(self.call.requests, key=lambda item: item.at_s)
        paused: asyncio.Task[None] | None = None
        async with asyncio.TaskGroup() as beside:
            for turn in range(self.call.packets):
                await pace.wait_for(turn)
                while requests and requests[0].at_s * PACKETS_PER_S <= turn:
                    beside.create_task(self._ask(requests.pop(0)))
                if turn == pause:
                    self.active, self.sending = False, self.call.sends_while_paused
                    paused = beside.create_task(self._pause())
                if turn == resume and paused is not None:
                    beside.create_task(self._resume(paused))
                if self.sending:
                    for stream in self.streams:
                        stream.send_turn(turn)
            await pace.wait_for(self.call.packets)

    async def _pause(self) -> None:
        await self._request("INVITE", "application/sdp", self.offer(active=False))

    async def _ask(self, item: InDialogRequest) -> None:
        """Send a planned request; an INVITE carries the offer of the moment, alone or beside metadata."""
        content_type, content = item.content_type, item.body
        if item.method == "INVITE" and content_type == METADATA_TYPE:
            content_type, content = body(self.call, self.offer(active=self.active), content)
        elif item.method == "INVITE" and not content:
            content_type, content = "application/sdp", self.offer(active=self.active)
        await self._request(item.method, content_type, content, item.headers)

    async def _resume(self, paused: asyncio.Task[None]) -> None:
        """Offer the streams again; packets go on when the peer has answered."""
        await paused
        self.active = True
        response = await self._request("INVITE", "application/sdp", self.offer(active=True))
        if response.status < 300:
            self._take_answer(response)
            self.sending = True

    async def _request(
        self,
        method: str,
        content_type: str = "",
        body_: bytes = b"",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Response:
        request = self.dialog.request(method, content_type, body_, headers)
        response = await self.signalling.request(request, self.dialog.next_hop)
        self.answers.append((method, response.status))
        return response

    def _take_answer(self, response: Response) -> None:
        """Send each stream to where the answer wants it; refused and inactive ones to nowhere."""
        self.answer_sdp = response.body
        try:
            answer = SessionDescription.parse(response.body)
        except PeerViolation:
            return
        for stream, media in zip(self.streams, answer.media, strict=False):
            connection = answer.connection_of(media)
            wanted = media.port and answer.direction_of(media) in {"recvonly", "sendrecv"}
            stream.send_to((connection.address, media.port) if wanted and connection is not None else None)

    def _placed(self, response: Response, ending: Ending, seconds: float) -> PlacedCall:
        return PlacedCall(
            call_id=self.dialog.call_id,
            status=response.status,
            reason=response.reason,
            ending=ending,
            seconds=round(seconds, 3),
            streams=tuple(stream.sent() for stream in self.streams),
            answers=tuple(self.answers),
            answer_sdp=self.answer_sdp,
        )


def _stream_plans(call: CallPlan) -> list[StreamPlan]:
    if call.dialect is Dialect.BROADWORKS_MIXED:
        audio = mix(call.caller_stream.audio, call.callee_stream.audio)
        events = call.caller_stream.events + call.callee_stream.events
        return [StreamPlan(audio, call.caller_stream.delivery, events=events)]
    return [call.caller_stream, call.callee_stream]


def _offered(host: str, streams: list[Stream]) -> Offered:
    return Offered(host, tuple(stream.port for stream in streams), secrets.randbits(31))


def _turn(at_s: float | None) -> int | None:
    return None if at_s is None else round(at_s * PACKETS_PER_S)


def _local_host(host: str, port: int) -> str:
    """Return the address of this machine from which `host` is reached; nothing is sent."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(address)
        local: str = probe.getsockname()[0]
    return local
