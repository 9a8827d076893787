"""The jobs of the audit log: sealed once a minute, and checked against the bucket once a day.

Rules: what is away now is there at the next time, so nothing is tried again by itself. A
log that is not as it was written is an error in the log of the worker, each time, until
somebody looks; what a check found is an entry of the log too.

Not here: what a round does (`archive.transparency.sequencer`).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

import procrastinate
import structlog

from archive.audit import AuditWriter, verify_bodies, verify_log
from archive.catalogue.directory import list_tenants
from archive.catalogue.engine import Catalogue
from archive.cli.vault import open_signing_key
from archive.clock import Clock
from archive.errors import ArchiveError, DependencyUnavailable, Refused, VerificationFailed
from archive.lock_mode import is_proved
from archive.settings import Settings
from archive.store.object import LockMode, Store
from archive.timestamp import TimeUnavailable, authority_of
from archive.transparency.comparison import Share, compare
from archive.transparency.locks import lock_again, loosened
from archive.transparency.sequencer import Custody, Sequencer
from keys.root import Root

log = structlog.get_logger()

AUDIT_ROUND = "retention.audit_round"
AUDIT_CHECK = "retention.audit_check"
ACTOR = "service:worker"
CHECK_SHARES = 30
"""A check lists all objects of the log and reads a thirtieth of them: within a month each was read."""


def add_audit_log(app: procrastinate.App, round_: Callable[[], int], check: Callable[[], int]) -> None:
    """Add the job that makes a round, and the one that checks the whole log."""

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

    @app.task(name=AUDIT_CHECK)
    async def audit_check(timestamp: int) -> None:
        """Compare the log with what is locked in the bucket."""
        try:
            leaves = await asyncio.to_thread(check)
        except DependencyUnavailable as error:
            log.warning("the audit log was not checked", due_at=timestamp, reason=str(error))
        except ArchiveError as error:
            log.exception("the audit log is not what was written", due_at=timestamp, reason=str(error))
        else:
            log.info("the audit log was checked", due_at=timestamp, leaves=leaves)


def check_log(
    catalogue: Catalogue, store: Store, audit: AuditWriter, clock: Clock, custody: Custody | None = None
) -> int:
    """Check chains, bodies and tree, and write down what was found; return the number of leaves.

    With `custody` the locks of the objects are looked at too, and put back. Raises VerificationFailed with
    the place of what is wrong, DependencyUnavailable.
    """
    leaves, erased, reason, is_whole = 0, 0, "", False
    share = Share(clock.now().toordinal() % CHECK_SHARES, CHECK_SHARES)
    try:
        verify_log(catalogue)
        leaves = sum(found.leaves for found in compare(catalogue, store, now=clock.now(), share=share))
        if custody is not None:
            _check_locks(catalogue, store, custody, clock.now(), share)
        erased = verify_bodies(catalogue, [tenant.id for tenant in list_tenants(catalogue)]).total()
        is_whole = leaves > 0
    except VerificationFailed as error:
        reason = str(error)
        raise
    finally:
        # A check that stopped half-way, as the store was away, says nothing.
        if is_whole or reason:
            with audit.transaction(None) as connection:
                audit.append(
                    connection,
                    tenant_id=None,
                    actor=ACTOR,
                    action="log.verified",
                    object="log",
                    result="failed" if reason else "ok",
                    body={"leaves": leaves, "erased": erased, "reason": reason},
                    at=clock.now(),
                )
    return leaves


def _check_locks(catalogue: Catalogue, store: Store, custody: Custody, now: datetime, share: Share) -> None:
    """Lock again what is not locked for long enough; raises VerificationFailed when a lock was off."""
    found = loosened(catalogue, store, kept=custody.kept, now=now, share=share)
    off = [each.facts.key for each in found if each.is_off]
    what = ""
    if off:
        what = (
            f"The lock was taken off {len(off)} objects of the log in the bucket, of {off[0]} first: "
            "somebody with its credentials did."
        )
    try:
        lock_again(store, found, custody.mode_now())
    except (Refused, DependencyUnavailable) as error:
        if not off:
            raise
        raise VerificationFailed(f"{what} They could not be locked again: {error}") from error
    if off:
        raise VerificationFailed(f"{what} They are locked again.")
    if found:
        log.warning("locks of the audit log are made longer, as it is kept longer now", objects=len(found))


def custody_of(settings: Settings, catalogue: Catalogue, store: Store, clock: Clock) -> Custody:
    """Return how the objects of the log are locked by these settings."""
    return Custody(
        timedelta(days=settings.audit_kept_days),
        cast("LockMode", settings.audit_lock_mode),
        is_proved=lambda: is_proved(catalogue, store, clock.now()),
    )


def sequencer_of(  # noqa: PLR0917 - what it stands on, named by its one caller
    settings: Settings,
    catalogue: Catalogue,
    store: Store,
    root: Callable[[], Root],
    audit: AuditWriter,
    clock: Clock,
    believed_time: Callable[[], datetime],
) -> Sequencer:
    """Return the sequencer of the settings; keys are opened when it signs for the first time.

    `believed_time` tells the time by which it signs and locks; raises ClockDisbelieved.
    """
    key = functools.cache(lambda: open_signing_key(settings, root()))
    custody = custody_of(settings, catalogue, store, clock)
    name = f"earwitness/{settings.s3_bucket}"
    stamper = authority_of(settings)
    stands_on = (catalogue, store, key, audit, clock, custody, name)
    return Sequencer(*stands_on, stamper=stamper, believed_time=believed_time)


def sealed(sequencer: Sequencer) -> int:
    """Make a round, and have its checkpoint stamped when that is due; return how many there were.

    An authority of time that is away is told of and holds up nothing.
    """
    checkpoints = sequencer.round()
    try:
        sequencer.stamp()
    except TimeUnavailable as error:
        log.warning("the audit log got no time stamp", reason=str(error))
    return checkpoints
