"""A SIP transport on real sockets of the loopback, and what a peer of it says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from archive.clock import SystemClock
from recorder.sip.capability import Identity, Leniency
from recorder.sip.event import CapabilitiesAsked, Event, InvitationReceived
from recorder.sip.user_agent import UserAgentServer
from recorder.sip_transport import Contexts, SipTransport

PATIENCE_S = 10.0


class Server:
    """A transport whose recording server says 200 to every OPTIONS and INVITE."""

    def __init__(self, tls: Contexts | None = None, trusts: Callable[[str], bool] = bool) -> None:
        """`trusts` tells whether a host is a peer; all are, when nothing is said."""
        self.agent = UserAgentServer(
            Identity(), os.urandom, lambda flow: Leniency(may_move_dialogs=trusts(flow.remote[0]))
        )
        self.events: list[Event] = []
        self.transport = SipTransport(self.agent, SystemClock(), self.handle, tls)

    def handle(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, (CapabilitiesAsked, InvitationReceived)):
            if event.request.headers.first("Subject") == "defect":
                raise RuntimeError("A defect of the recording server.")
            self.agent.respond(event.key, 200, now=SystemClock().monotonic())

    async def listen(self, *listen: tuple[str, str, int]) -> list[tuple[str, int]]:
        await self.transport.start(listen)
        return [(host, port) for _, host, port in self.transport.addresses]


def message(method: str, number: int = 1, *, transport: str = "UDP", more: str = "", to: str = "") -> bytes:
    return (
        f"{method} sip:srs@localhost SIP/2.0\r\nVia: SIP/2.0/{transport} client;branch=z9hG4bK{method}{number};rport\r\n"
        f"From: <sip:src@localhost>;tag=1\r\nTo: <sip:srs@localhost>{to}\r\nCall-ID: {number}\r\n"
        f"CSeq: {number} {method}\r\nContact: <sip:src@localhost>\r\n{more}Content-Length: 0\r\n\r\n"
    ).encode()


async def read_message(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await reader.readuntil(b"\r\n\r\n")


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)
