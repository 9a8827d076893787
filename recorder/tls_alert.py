"""The alert of a handshake that failed, sent before its connection is closed (RFC 8446 section 6.2).

asyncio closes such a connection with the alert still in its buffer, and who looks after the
other side sees it end without a word. A context of this kind has it sent: for connections that
are taken in by a task which said in `handshaking` whose socket that is. In others nothing changes.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from contextvars import ContextVar

handshaking: ContextVar[socket.socket | None] = ContextVar("handshaking", default=None)


class _AlertingObject(ssl.SSLObject):
    """One connection; `outgoing` is what waits to be sent to the peer."""

    outgoing: ssl.MemoryBIO

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            opened = handshaking.get()
            if opened is not None:
                with contextlib.suppress(OSError):  # a peer that is gone needs none
                    opened.send(self.outgoing.read())
            raise


class AlertingContext(ssl.SSLContext):
    """A context whose connections tell the peer why their handshake failed."""

    sslobject_class = _AlertingObject

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - the signature of `ssl`
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Make the TLS of one connection between two buffers."""
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        assert isinstance(made, _AlertingObject)
        made.outgoing = outgoing
        return made
