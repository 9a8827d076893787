"""Mail that people and programs have sent: how much of it, and what happens once it is queued.

Rules: a letter is queued in the transaction of its audit entry. Who sends more in an hour than
`archive.catalogue.mails` lets them is told when to come back. Once a letter is written down the
request has done its work: a worker finds one that could not be handed over by itself. Not here:
codes and new passwords, which have throttles of their own (`archive.throttle`).
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import structlog

from archive.catalogue import mails
from archive.catalogue.engine import Connection
from archive.errors import DependencyUnavailable
from archive.model import TenantId
from archive.post import Letter
from playback_portal.language import mark
from playback_portal.problems import Problem
from playback_portal.services import Services

_log = structlog.get_logger()


def queue(services: Services, connection: Connection, letter: Letter) -> str:
    """Write a letter of somebody down in the caller's transaction and return its id.

    Raises the 429 Problem when they, or all of their tenant, sent too many of late; Refused as `Post.queue`.
    """
    wait_s = mails.wait_s(connection, letter.tenant_id, letter.actor, now=services.clock.now())
    if wait_s > 0:
        raise too_many(wait_s)
    return services.post.queue(connection, letter)


async def hand_over(services: Services, tenant_id: TenantId, mail_id: str) -> None:
    """Have a letter sent that is written down; where that can't be told now a worker finds it in a minute."""
    try:
        await asyncio.to_thread(services.post.hand_over, tenant_id, mail_id)
    except DependencyUnavailable as error:
        _log.warning("a mail waits until a worker finds it", mail_id=mail_id, reason=type(error).__name__)


def too_many(wait_s: float) -> Problem:
    """Return the 429 of who sent enough mails for now."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too-many-mails",
        mark("You sent many mails this hour, or your organisation did. Send this one later."),
        headers={"Retry-After": str(int(wait_s) + 1)},
    )
