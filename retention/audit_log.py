"""The job of the audit log: once a minute entries get their place, and a checkpoint is locked away.

Rules: what is away now is there at the next minute, so a round is never tried again by
itself. A log that is not as it was written is an error in the log of the worker, every
minute, until somebody looks.

Not here: what a round does (`archive.transparency.sequencer`).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from datetime import timedelta
from typing import cast

import procrastinate
import structlog

from archive.audit import AuditWriter
from archive.catalogue.engine import Catalogue
from archive.cli.vault import open_signing_key
from archive.clock import Clock
from archive.errors import ArchiveError, DependencyUnavailable
from archive.settings import Settings
from archive.store.object import LockMode, Store
from archive.transparency.sequencer import Custody, Sequencer
from keys.root import Root

log = structlog.get_logger()

AUDIT_ROUND = "retention.audit_round"


def add_audit_log(app: procrastinate.App, round_: Callable[[], int]) -> None:
    """Add the job that makes a round."""

    @app.task(name=AUDIT_ROUND)
    async def audit_round(timestamp: int) -> None:
        """Give entries their place in the tree, and lock away what says so."""
        try:
            checkpoints = await asyncio.to_thread(round_)
        except DependencyUnavailable as error:
            log.warning("checkpoints of the audit log wait", due_at=timestamp, reason=str(error))
        except ArchiveError as error:
            log.exception("the audit log can't go on", due_at=timestamp, reason=str(error))
        else:
            log.debug("the audit log went on", due_at=timestamp, checkpoints=checkpoints)


def sequencer_of(  # noqa: PLR0917 - what it stands on, named by its one caller
    settings: Settings,
    catalogue: Catalogue,
    store: Store,
    root: Callable[[], Root],
    audit: AuditWriter,
    clock: Clock,
) -> Sequencer:
    """Return the sequencer of the settings; keys are opened when it signs for the first time."""
    key = functools.cache(lambda: open_signing_key(settings, root()))
    custody = Custody(timedelta(days=settings.audit_kept_days), cast("LockMode", settings.audit_lock_mode))
    return Sequencer(catalogue, store, key, audit, clock, custody, f"earwitness/{settings.s3_bucket}")
