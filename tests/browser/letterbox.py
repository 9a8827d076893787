"""A mail server on this machine that keeps what is sent to it, for tests that read a mail and follow its link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from tests.running_service import eventually, free_port


@dataclass
class Letterbox:
    """Mails by the address they went to; `port` is where they are brought."""

    port: int = field(default_factory=free_port)
    mails: list[tuple[str, str]] = field(default_factory=list)
    messages: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail."""
        message = message_from_bytes(envelope.content, EmailMessage, policy=policy.default)
        self.messages.append(message)
        body = message.get_body(("plain",))
        text = "" if body is None else str(body.get_content())
        self.mails += [(str(address), text) for address in envelope.rcpt_tos]
        return "250 Message accepted for delivery"

    def link_to(self, address: str) -> str:
        """Return the first address of the web in the last mail to somebody, once there is one."""

        def look() -> list[str]:
            texts = [text for to, text in self.mails if to == address]
            return re.findall(r"https?://\S+", texts[-1]) if texts else []

        return eventually(look, f"a mail to {address} with a link came")[0]


@contextmanager
def opened() -> Iterator[Letterbox]:
    """Open one for as long as it is needed."""
    box = Letterbox()
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
