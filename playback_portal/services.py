"""What the handlers of the portal work with, given once when the application is made.

Rules: no global state; a handler finds its services in the application and who asks
in the request. Everything here that reaches a database or a store blocks, so that
handlers call it in threads.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue.engine import Catalogue, Connection
from archive.clock import Clock
from archive.evidence.authorities import Authorities, no_authorities
from archive.evidence.exports import Downloads
from archive.model import ArchivedRecording, ObjectKind, RecordingId
from archive.post import Post
from archive.sealed_object import SealedReader
from archive.shared import Derivatives
from keys.root import Root
from playback_portal.exposure import Exposure
from playback_portal.metrics import Metrics
from playback_portal.mp4 import Heads, no_heads
from playback_portal.problems import not_found

TRANSCODES_COUNT_MAX = 4
"""Making one channel of a long call is a second or two of CPU and some memory each."""

LONG_PAUSE = timedelta(seconds=60)
"""A pause for a card number is over by then; the recorder tells of longer ones at the same moment."""

PICTURES_COUNT_MAX = 2
"""Making a logo anew takes some 170 MB and a core; one is uploaded in a year."""

HASHES_COUNT_MAX = 4
"""A password costs 64 MiB and a core for a twentieth of a second; a crowd at the door waits its turn."""

_RECORDING_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Player(Protocol):
    """What the portal asks of `archive.playback.Playback`."""

    def open_object(
        self,
        scope: AccessScope,
        recording_id: RecordingId,
        kind: ObjectKind,
        action: str,
        *,
        purpose: str | None = None,
    ) -> SealedReader:
        """Open an object for somebody once its audit entry is durable."""

    def open_archived(
        self,
        scope: AccessScope,
        archived: ArchivedRecording,
        kind: ObjectKind,
        action: str,
        *,
        purpose: str | None = None,
    ) -> SealedReader:
        """Open an object of a recording this request has read, once its audit entry is durable."""


@dataclass(frozen=True)
class Services:
    """Everything a request may need.

    `checks` are the dependencies `/readyz` asks after, by name; by `database_url` jobs are
    handed to the workers (`archive.jobs`). `root` seals what the database must not tell, and
    `url` is the portal's address as browsers see it, without a slash at its end. A pause of a
    call stands out after `long_pause`.
    """

    catalogue: Catalogue
    playback: Player
    derivatives: Derivatives
    downloads: Downloads
    audit: AuditWriter
    clock: Clock
    checks: Mapping[str, Callable[[], bool]]
    root: Root
    post: Post
    authorities: Callable[[], Authorities] = no_authorities
    url: str = "http://localhost:8080"
    exposure: Exposure = field(default_factory=Exposure)
    metrics: Metrics = field(default_factory=Metrics)
    long_pause: timedelta = LONG_PAUSE
    database_url: str = ""
    tls_ends: datetime | None = None
    """When the certificate ends that this portal serves; None without one of its own."""
    mp4_heads: Heads = field(default_factory=no_heads)
    hashes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(HASHES_COUNT_MAX))
    transcodes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TRANSCODES_COUNT_MAX))
    pictures: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PICTURES_COUNT_MAX))


class Entry:
    """The audit entry of one request: made once, by whoever is first to know how it ended."""

    def __init__(
        self,
        transaction: Callable[[], AbstractContextManager[Connection]],
        append: Callable[[Connection, str], None],
    ) -> None:
        """Remember how to open a transaction of the log, and how to append an entry with a result to it."""
        self._transaction = transaction
        self._append = append
        self._made = False

    async def make(self, result: str) -> None:
        """Make the entry durable, unless it is already."""
        if not self._made:
            await asyncio.to_thread(self._make, result)

    def waive(self) -> None:
        """Make none: what is told belongs to something that has its entry and still goes on."""
        self._made = True

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction for a change that is made with its entry or not at all; blocks.

        The entry is appended at its end, so that others who append wait for no more than the commit.
        """
        with self._transaction() as connection:
            yield connection
            self._append(connection, "ok")
        self._made = True

    def _make(self, result: str) -> None:
        with self._transaction() as connection:
            self._append(connection, result)
        self._made = True


SERVICES = web.AppKey("SERVICES", Services)
SCOPE = web.RequestKey("SCOPE", AccessScope)
REFERENCE = web.RequestKey("REFERENCE", str)
ENTRY = web.RequestKey("ENTRY", Entry)
"""For a response that begins long before its handler ends, and for a change that must not be made without
its entry: such a handler makes the entry itself."""


def recording_id_of(request: web.Request) -> RecordingId:
    """Return the recording id of the path; what can't be an id is not found."""
    text = request.match_info["id"]
    if not is_recording_id(text):
        raise not_found()
    return RecordingId(text)


def is_recording_id(text: str) -> bool:
    """Return whether a text can be the id of a recording."""
    return _RECORDING_ID.fullmatch(text) is not None


def recording_id_in(text: str) -> RecordingId | None:
    """Return the recording id somebody typed, by itself or as the address of its page; None for neither."""
    try:
        path = urlsplit(text.strip()).path
    except ValueError:
        return None
    found = path.rstrip("/").rpartition("/")[2]
    return RecordingId(found) if is_recording_id(found) else None
