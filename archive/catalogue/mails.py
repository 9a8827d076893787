"""Mails that wait to be sent, and what became of them.

What a mail says is sealed by the root and goes as soon as it was sent or given up: it may
hold a link that opens something. What stays for a while is that it was sent, and to whom.

Rules: a mail is queued in the transaction of what it tells of. Each attempt is counted
before it is made, so that a worker that dies in the middle of it does not send for ever.
Not here: sending (`retention.mail`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select, text, true, update

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.identities import checked_email
from archive.catalogue.rows import by_name
from archive.catalogue.tables import mails
from archive.errors import NotFound, Refused
from archive.model import RecordingId, TenantId, new_id
from keys.root import Root

FIELDS_BYTES_MAX = 4096
"""What the root seals at once: a link, a title and some sentences."""

ATTEMPTS_MAX = 8
"""With doubling waits a mail server may be away for half a day; later than that nobody expects the mail."""

KEPT = timedelta(days=90)
"""How long it is told that a mail was sent."""

FORGOTTEN = timedelta(seconds=30)
"""By then whoever queued a mail has handed it over, or died, or may not hand over."""

WAITED_MAX = timedelta(days=3)
"""By then every attempt was made long ago, or the job that makes them is gone."""

LISTED_COUNT_MAX = 200

MAILS_PER_SENDER_MAX = 60
"""In COUNTED, of one sender: one a minute is plenty for who shares calls, too few for a spammer."""

MAILS_PER_TENANT_MAX = 600
"""In COUNTED: ten busy people. Mail servers bar a sender who sends strangers much more."""

COUNTED = timedelta(hours=1)
_CONTEXT = "earwitness-mail/1"
_WAITS = text("mails.state = 'queued'")
"""In the very words of its partial index, which a bound value would not match."""


class MailState(StrEnum):
    """What became of a mail."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True)
class Mail:
    """One mail; `reason` says why it was not sent (yet)."""

    id: str
    tenant_id: TenantId
    recording_id: RecordingId | None
    actor: str
    kind: str
    recipient: str
    language: str
    sealed: bytes | None
    state: MailState
    attempts: int
    reason: str
    queued_at: datetime
    settled_at: datetime | None


def queue(  # noqa: PLR0917 - the words of a mail
    connection: Connection,
    root: Root,
    tenant_id: TenantId,
    kind: str,
    to: str,
    language: str,
    fields: Mapping[str, str],
    *,
    recording_id: RecordingId | None = None,
    actor: str,
    now: datetime,
) -> str:
    """Queue a mail in the caller's transaction and return its id; raises Refused."""
    content = json.dumps(dict(fields), ensure_ascii=False).encode()
    if len(content) > FIELDS_BYTES_MAX:
        raise Refused("This is too much for one mail: write less.")
    mail_id = new_id(now)
    row = {
        "id": mail_id,
        "tenant_id": tenant_id,
        "recording_id": recording_id,
        "actor": actor,
        "kind": kind,
        "recipient": checked_email(to),
        "language": language,
        "sealed": root.wrap(content, context_of(tenant_id, mail_id)),
        "state": MailState.QUEUED.value,
        "queued_at": now,
    }
    connection.execute(insert(mails), row)
    return mail_id


def wait_s(connection: Connection, tenant_id: TenantId, actor: str, *, now: datetime) -> float:
    """Return for how many seconds somebody may queue no mail, 0 when they may.

    Whoever of the tenant asks too waits until the caller's transaction ends: limits hold for many at once.
    """
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"mails:{tenant_id}", 0))))
    columns = mails.c
    of_people = (
        columns.tenant_id == tenant_id,
        or_(columns.actor.like("user:%"), columns.actor.like("api-%")),
    )
    limits = ((MAILS_PER_SENDER_MAX, columns.actor == actor), (MAILS_PER_TENANT_MAX, true()))
    waits = [0.0]
    for count_max, counted in limits:
        newest = select(columns.queued_at).where(*of_people, counted).order_by(columns.queued_at.desc())
        # The one that must be an hour old before there is room again.
        queued_at = connection.execute(newest.offset(count_max - 1).limit(1)).scalar()
        waits.append(0.0 if queued_at is None else (queued_at + COUNTED - now).total_seconds())
    return max(waits)


def fields_of(root: Root, mail: Mail) -> dict[str, str]:
    """Return what a mail that waits is filled with; raises NotFound for one that was settled."""
    if mail.sealed is None:
        raise NotFound("What this mail said is gone.")
    fields: dict[str, str] = json.loads(root.unwrap(mail.sealed, context_of(mail.tenant_id, mail.id)))
    return fields


def begin(catalogue: Catalogue, tenant_id: TenantId, mail_id: str) -> Mail | None:
    """Count an attempt and return the mail, None when there is nothing to send (any more).

    A mail that was tried ATTEMPTS_MAX times is given up by `settle`.
    """
    columns = mails.c
    statement = (
        update(mails)
        .where(columns.tenant_id == tenant_id, columns.id == mail_id, columns.state == MailState.QUEUED)
        .values(attempts=columns.attempts + 1)
        .returning(mails)
    )
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
    return None if row is None else _mail(row)


def settle(connection: Connection, mail: Mail, state: MailState, *, now: datetime, reason: str = "") -> None:
    """Note that a mail was sent or given up, and let what it said go."""
    statement = update(mails).where(mails.c.tenant_id == mail.tenant_id, mails.c.id == mail.id)
    values = {"state": state.value, "reason": reason, "settled_at": now, "sealed": None}
    connection.execute(statement.values(values))


def note(catalogue: Catalogue, mail: Mail, reason: str) -> None:
    """Note why a mail was not sent yet."""
    statement = update(mails).where(mails.c.tenant_id == mail.tenant_id, mails.c.id == mail.id)
    with catalogue.transaction(mail.tenant_id) as connection:
        connection.execute(statement.values(reason=reason))


def forgotten(catalogue: Catalogue, tenant_id: TenantId, *, now: datetime) -> list[str]:
    """Return the ids of mails that wait and nobody took up, oldest first.

    One that was tried has a job already, which tries it again.
    """
    columns = mails.c
    statement = (
        select(columns.id)
        .where(
            columns.tenant_id == tenant_id,
            _WAITS,
            columns.attempts == 0,
            columns.queued_at < now - FORGOTTEN,
        )
        .order_by(columns.queued_at, columns.id)
        .limit(LISTED_COUNT_MAX)
    )
    with catalogue.transaction(tenant_id) as connection:
        return list(connection.execute(statement).scalars())


def overdue(catalogue: Catalogue, tenant_id: TenantId, *, now: datetime) -> list[Mail]:
    """Return the mails that were tried and wait since before WAITED_MAX, oldest first."""
    columns = mails.c
    waits = (_WAITS, columns.attempts > 0, columns.queued_at < now - WAITED_MAX)
    statement = select(mails).where(columns.tenant_id == tenant_id, *waits)
    with catalogue.transaction(tenant_id) as connection:
        rows = connection.execute(statement.order_by(columns.queued_at, columns.id).limit(LISTED_COUNT_MAX))
        return [_mail(row) for row in rows]


def of_recording(catalogue: Catalogue, tenant_id: TenantId, recording_id: RecordingId) -> tuple[Mail, ...]:
    """Return the mails about a recording, newest first; the caller has asked who may know of them."""
    columns = mails.c
    statement = (
        select(mails)
        .where(columns.tenant_id == tenant_id, columns.recording_id == recording_id)
        .order_by(columns.queued_at.desc(), columns.id.desc())
        .limit(LISTED_COUNT_MAX)
    )
    with catalogue.transaction(tenant_id) as connection:
        return tuple(map(_mail, connection.execute(statement)))


def sweep(catalogue: Catalogue, tenant_id: TenantId, *, now: datetime) -> int:
    """Forget the mails that were settled long ago; return how many."""
    columns = mails.c
    statement = delete(mails).where(columns.tenant_id == tenant_id, columns.settled_at < now - KEPT)
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).rowcount


def context_of(tenant_id: TenantId, mail_id: str) -> bytes:
    """Return what the root binds a mail that waits to."""
    return f"{_CONTEXT}\0{tenant_id}\0{mail_id}".encode()


def _mail(row: Row[Any]) -> Mail:
    fields = by_name(row)
    fields["state"] = MailState(row.state)
    fields["sealed"] = None if row.sealed is None else bytes(row.sealed)
    return Mail(**fields)
