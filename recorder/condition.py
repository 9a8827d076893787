"""How this recorder is, as it says with each beat: what it records, what waits, its journal.

Rules: counts and moments, no number, name or Call-ID; what is counted are recordings, so
that a session that is exempt is in none of it. What is told are the figures of
`recorder.admin`. Not here: who reads it (`archive.catalogue.recorder_nodes`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from archive.catalogue import moments, recorder_nodes
from archive.catalogue.engine import Catalogue
from archive.catalogue.moments import Moment
from archive.catalogue.recorder_nodes import Condition
from archive.release import release
from recorder.journal.extent import Extent, extent_of

if TYPE_CHECKING:
    from recorder.service import RecorderService

MEASURE_S = 5.0
"""Between looks at the files of the journal: a store that is away for a day leaves thousands."""

MOMENTS_S = 3600.0

_log = structlog.get_logger()


def recordings_now(service: RecorderService) -> int:
    """Return how many recordings are being made; a session that is exempt makes none."""
    return sum(len(session.recordings) for session in service.server.sessions)


class Telling:
    """Says how one recorder is, from its own thread."""

    def __init__(self, service: RecorderService, catalogue: Catalogue) -> None:
        self._service = service
        self._catalogue = catalogue
        self._extent: Extent | None = None
        self._measured_s = float("-inf")
        self._told_s = float("-inf")
        self._ends: datetime | None = None

    def condition(self) -> Condition:
        """Return how the recorder is; in the thread of its calls."""
        service = self._service
        return Condition(
            version=release(),
            recordings=recordings_now(service),
            waiting=service.archiving.waiting,
            waiting_since=_moment(service.archiving.waiting_since_ns),
            journal_bytes=None if self._extent is None else self._extent.size_bytes,
            journal_since=None if self._extent is None else _moment(self._extent.since_ns),
            unready_reason=service.unready_reason() or "",
        )

    def tell(self, condition: Condition) -> None:
        """Say it; blocks, raises ArchiveError."""
        settings, now_s = self._service.settings, self._service.clock.monotonic()
        recorder_nodes.beat(self._catalogue, settings.node_name, condition)
        if now_s - self._measured_s >= MEASURE_S:
            self._extent, self._measured_s = self._measured(), now_s
        ends = None if self._service.certificate is None else self._service.certificate.ends_at
        if now_s - self._told_s >= MOMENTS_S or ends != self._ends:
            told = {Moment.SIP_CERTIFICATE_ENDS: ends}
            moments.tell(self._catalogue, settings.node_name, told, self._service.clock.now())
            self._told_s, self._ends = now_s, ends

    def _measured(self) -> Extent | None:
        """Return how large the journal is, None where that can't be found out."""
        try:
            return extent_of(self._service.settings.journal_dir)
        except OSError as error:
            _log.warning("the journal can't be measured", reason=error.strerror)
            return None


def _moment(wall_ns: int | None) -> datetime | None:
    return None if wall_ns is None else datetime.fromtimestamp(wall_ns / 1e9, UTC)
