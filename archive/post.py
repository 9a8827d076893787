"""Mail that is asked for: written down with what it is about, sent by a worker.

Rules: a letter is queued in the transaction of the change it tells of, so that there is
never one without the other. What it says is sealed until it is sent, for it may hold a
link that opens something. Not here: the words of a letter, and sending it (`retention`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from archive import jobs
from archive.catalogue import mails
from archive.catalogue.engine import Connection
from archive.clock import Clock
from archive.errors import Refused
from archive.model import RecordingId, TenantId
from keys.root import Root

THE_SERVICE = "service:portal"


@dataclass(frozen=True)
class Letter:
    """A mail to one address: `kind` names its words, `fields` what they are filled with.

    `actor` is who has it sent; one about a recording goes when the recording goes.
    """

    tenant_id: TenantId
    kind: str
    to: str
    language: str
    fields: Mapping[str, str]
    recording_id: RecordingId | None = None
    actor: str = THE_SERVICE


class Post(Protocol):
    """Takes letters in."""

    def queue(self, connection: Connection, letter: Letter) -> str:
        """Write a letter down in the caller's transaction and return its id."""

    def hand_over(self, tenant_id: TenantId, mail_id: str) -> None:
        """Have a letter that is written down sent; raises CatalogueUnavailable."""


def address_changed(tenant_id: TenantId, to: str, language: str, told: Mapping[str, str]) -> Letter:
    """Return the letter to an address that is a person's no longer; `told` is login, organisation and by."""
    return Letter(tenant_id, "address-changed", to, language, told)


class NoPost:
    """Takes no letter in: for an installation without a mail server."""

    def queue(self, connection: Connection, letter: Letter) -> str:
        """Raise Refused: there is nobody to take it."""
        del connection, letter
        raise Refused("No mail is sent from here: set EARWITNESS_SMTP_URL.")

    def hand_over(self, tenant_id: TenantId, mail_id: str) -> None:
        """Do nothing, for nothing was queued."""


class MailPost:
    """Writes letters down in the catalogue, sealed by the root, and hands them to the workers."""

    def __init__(self, root: Root, clock: Clock, database_url: str = "") -> None:
        """Remember what seals; without `database_url` the workers find letters by themselves, in a minute."""
        self._root = root
        self._clock = clock
        self._database_url = database_url

    def queue(self, connection: Connection, letter: Letter) -> str:
        """Write a letter down; raises Refused when it says too much or its address is none."""
        return mails.queue(
            connection,
            self._root,
            letter.tenant_id,
            letter.kind,
            letter.to,
            letter.language,
            letter.fields,
            recording_id=letter.recording_id,
            actor=letter.actor,
            now=self._clock.now(),
        )

    def hand_over(self, tenant_id: TenantId, mail_id: str) -> None:
        """Have a letter sent; raises CatalogueUnavailable."""
        if self._database_url:
            jobs.defer(self._database_url, jobs.MAIL, tenant_id=tenant_id, mail_id=mail_id)
