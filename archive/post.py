"""Mail that is asked for: written down with what it is about, sent by a worker.

Rules: a letter is queued in the transaction of the change it tells of, so that there is
never one without the other. Not here: the words of a letter, and sending it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from archive.catalogue.engine import Connection
from archive.errors import Refused
from archive.model import TenantId


@dataclass(frozen=True)
class Letter:
    """A mail to one address: `kind` names its words, `fields` what they are filled with."""

    tenant_id: TenantId
    kind: str
    to: str
    language: str
    fields: Mapping[str, str]


class Post(Protocol):
    """Takes letters in."""

    def queue(self, connection: Connection, letter: Letter) -> str:
        """Write a letter down in the caller's transaction and return its id."""

    def hand_over(self, tenant_id: TenantId, mail_id: str) -> None:
        """Have a letter that is written down sent; raises CatalogueUnavailable."""


class NoPost:
    """Takes no letter in: for an installation without a mail server."""

    def queue(self, connection: Connection, letter: Letter) -> str:
        """Raise Refused: there is nobody to take it."""
        del connection, letter
        raise Refused("No mail is sent from here: set EARWITNESS_SMTP_URL.")

    def hand_over(self, tenant_id: TenantId, mail_id: str) -> None:
        """Do nothing, for nothing was queued."""
