"""Taking connections in, by TCP and TLS: few at once of whom nothing was heard yet.

Whoever connects costs a descriptor, and over TLS a handshake, before a word of SIP shows
who it is. So newcomers are limited in number, of each address and in all, and in time. Who
comes when a limit is reached takes the place of the one that has been silent for longest,
of the address with most of them: a flood drives out itself, and an exchange that opens a
connection while it goes on needs milliseconds.

Rules: nothing a peer does ends the listening. Handshakes that fail are counted each; what an
operator can mend is logged, a few lines a minute. Not here: connections that have spoken
(`recorder.sip_transport`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Callable

import structlog

from recorder.tls_alert import handshaking

NEWCOMER_COUNT_MAX = 1_024
"""Descriptors beside those of connections that have spoken (`CONNECTION_COUNT_MAX`)."""

NEWCOMER_COUNT_PER_HOST_MAX = 128
"""An exchange that opens one for each of 50 calls a second, each of which takes two seconds and a half."""

HANDSHAKE_S_MAX = 10.0
SILENT_S_MAX = 32.0
"""From being taken in to the first octet: a peer gives up on its own transaction by then."""

ACCEPT_COUNT_MAX = 64
"""Taken in at once; then the loop does what else waits."""

ACCEPT_RETRY_S = 1.0
BACKLOG = 1_024
COMPLAINTS_PER_MINUTE_MAX = 10

_MENDABLE = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate",
    "HTTP_REQUEST": "it speaks HTTP, not TLS",
    "WRONG_VERSION_NUMBER": "it does not speak TLS; a peer that is set to TCP?",
    "UNSUPPORTED_PROTOCOL": "it speaks no TLS as new as 1.2",
    "NO_SHARED_CIPHER": "it has no cipher of ours",
}
_OUR_CERTIFICATE = "it does not take our certificate"
_CLIENT_REFUSED = "client certificate refused"

_log = structlog.get_logger()


class Newcomer:
    """A connection of which nothing was heard yet."""

    def __init__(self, host: str, opened: socket.socket) -> None:
        self.host = host
        self.opened = opened
        self.patience: asyncio.TimerHandle | None = None

    def drop(self) -> None:
        """End it, whoever has it by now: they read its end."""
        with contextlib.suppress(OSError):
            self.opened.shutdown(socket.SHUT_RDWR)


class Newcomers:
    """All connections of which nothing was heard yet, of all listeners."""

    def __init__(self) -> None:
        self._of_host: dict[str, dict[Newcomer, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, newcomer: Newcomer) -> Newcomer | None:
        """Enter one; returns the one that has to go for it, if one must."""
        own = self._of_host.setdefault(newcomer.host, {})
        crowd = own
        if len(own) < NEWCOMER_COUNT_PER_HOST_MAX:
            crowd = max(self._of_host.values(), key=len) if self._count >= NEWCOMER_COUNT_MAX else {}
        own[newcomer] = None
        self._count += 1
        longest = next(iter(crowd), None)
        if longest is not None:
            self.leave(longest)
        return longest

    def leave(self, newcomer: Newcomer) -> None:
        """Forget one that spoke or is gone; doing so twice is doing it once."""
        own = self._of_host.get(newcomer.host, {})
        if newcomer not in own:
            return
        del own[newcomer]
        self._count -= 1
        if not own:
            del self._of_host[newcomer.host]
        if newcomer.patience is not None:
            newcomer.patience.cancel()

    def drop_all(self) -> None:
        """End all of them."""
        for newcomer in [each for own in self._of_host.values() for each in own]:
            newcomer.drop()


class Complaints:
    """Tells operators of handshakes that failed: counts each, logs what can be mended, a few a minute."""

    def __init__(self, counters: Counter[str]) -> None:
        self.counters = counters
        self._logged: set[tuple[str, str]] = set()
        self._minute = 0

    def take(self, host: str, error: Exception, now_s: float) -> None:
        """Take a handshake with `host` that failed."""
        what, reason = _described(error)
        self.counters[what] += 1
        if not reason:
            return
        if self._minute != now_s // 60:
            self._minute = int(now_s // 60)
            self._logged.clear()
        if (host, reason) not in self._logged and len(self._logged) < COMPLAINTS_PER_MINUTE_MAX:
            self._logged.add((host, reason))
            _log.warning("a TLS connection failed", peer=host, what=what, reason=reason)


class StreamListener:
    """One listening socket; `protocol` makes what serves a newcomer, `context` is None for TCP."""

    def __init__(
        self,
        opened: socket.socket,
        newcomers: Newcomers,
        protocol: Callable[[Newcomer], asyncio.Protocol],
        complaints: Complaints,
        context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._opened = opened
        self._newcomers = newcomers
        self._protocol = protocol
        self._complaints = complaints
        self._counters = complaints.counters
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None
        opened.setblocking(False)
        self._listen()

    async def stop(self) -> None:
        """Take nobody in any more, and end what is being taken in."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._opened.fileno())
        self._opened.close()
        self._newcomers.drop_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _listen(self) -> None:
        self._retry = None
        self._loop.add_reader(self._opened.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPT_COUNT_MAX):
            try:
                opened, address = self._opened.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # No descriptor or memory is left; the socket stays readable, so look away for a while.
                _log.error("connections can't be taken in", reason=error.strerror)
                self._loop.remove_reader(self._opened.fileno())
                self._retry = self._loop.call_later(ACCEPT_RETRY_S, self._listen)
                return
            self._enter(Newcomer(address[0], opened))

    def _enter(self, newcomer: Newcomer) -> None:
        gone = self._newcomers.enter(newcomer)
        if gone is not None:
            self._counters["connection gave way"] += 1
            gone.drop()
        newcomer.patience = self._loop.call_later(SILENT_S_MAX, self._expire, newcomer)
        task = self._loop.create_task(self._take(newcomer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _expire(self, newcomer: Newcomer) -> None:
        self._counters["connection silent"] += 1
        self._newcomers.leave(newcomer)
        newcomer.drop()

    async def _take(self, newcomer: Newcomer) -> None:
        """Shake hands; who succeeds is a newcomer until its protocol hears something."""
        handshaking.set(newcomer.opened)  # of this task alone
        secured = {} if self._context is None else {"ssl_handshake_timeout": HANDSHAKE_S_MAX}
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._protocol(newcomer),
                newcomer.opened,
                ssl=None if self._context is None else self._context(),
                **secured,
            )
        except OSError as error:  # what fails in a handshake is one, and so is running out of time
            self._newcomers.leave(newcomer)
            self._complaints.take(newcomer.host, error, self._loop.time())


def _described(error: Exception) -> tuple[str, str]:
    """Return what is counted, and what an operator can mend or ''."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CLIENT_REFUSED, f"its certificate is not taken: {error.verify_message}"
    if not isinstance(error, ssl.SSLError):
        return "handshake broken off", ""
    reason = error.reason or ""
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return _CLIENT_REFUSED, _MENDABLE[reason]
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return "our certificate refused", f"{_OUR_CERTIFICATE}: {reason.lower()}"
    return "handshake failed", _MENDABLE.get(reason, reason.lower().replace("_", " "))
