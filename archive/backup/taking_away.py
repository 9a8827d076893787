"""What a restored database must not give back: what may have been taken away since the backup.

The backup knows a link that was ended since as one that works, a recording that was put back as one
in the trash. Nothing outside the database tells; so all of it ends with the restore, and is given anew.
A mail that waited may have been sent since, and a job that waited may have been done: neither goes on.
So it is with what was to be told to people, and with rows of a file of people.

Rules: in the database that is not in use yet, as its administrator, for all tenants; done before the
entry of the restore, which tells the counts. What a recording is found by follows its links. Accounts,
roles and teams stay as they were in the backup: without them nobody could look after the rest. Not
here: what the bucket tells of the time since (`archive.rebuild`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from sqlalchemy import make_url

from archive.backup.dump import connected
from archive.catalogue import search
from archive.catalogue.accounts import SUSPENDED
from archive.catalogue.engine import Catalogue
from archive.model import RecordingId, TenantId


@dataclass(frozen=True)
class TakenAway:
    """How many sessions, invitations, links, API keys, recordings in the trash, mails and jobs there were."""

    sessions: int
    invitations: int
    shares: int
    api_clients: int
    trash: int
    mails: int
    jobs: int


def take_away(administrator_url: str, *, made_at: datetime, now: datetime) -> TakenAway:
    """End what a backup of `made_at` might give back, and note that the catalogue was not built again.

    Raises CatalogueUnavailable.
    """
    with connected(administrator_url) as connection:

        def change(statement: LiteralString) -> int:
            return connection.execute(statement, {"now": now, "made_at": made_at}).rowcount

        # Triggers of the tables of jobs name others without their schema (migration 0002).
        connection.execute("SET LOCAL search_path TO public, jobs")
        change("INSERT INTO restores (restored_at, made_at) VALUES (%(now)s, %(made_at)s)")
        for statement in (_SETTLE_NOTIFICATIONS, _REFUSE_ROWS, _END_IMPORTS):
            change(statement)
        ended = connection.execute(_END_SHARES, {"now": now}).fetchall()
        taken = TakenAway(
            sessions=change("DELETE FROM portal_sessions"),
            invitations=change("DELETE FROM invitations"),
            shares=len(ended),
            api_clients=change(_SUSPEND),
            # A row of the trash is what its approval counts by; it is proposed anew.
            trash=change("DELETE FROM trash"),
            mails=change(_GIVE_UP_MAILS),
            # What is still to be done after the rebuilding is found by the sweeps of the worker.
            jobs=change("DELETE FROM jobs.procrastinate_jobs WHERE status IN ('todo', 'doing')"),
        )
    _find_by(administrator_url, {(TenantId(tenant_id), RecordingId(each)) for tenant_id, each in ended})
    return taken


def _find_by(administrator_url: str, written_on: set[tuple[TenantId, RecordingId]]) -> None:
    """Let recordings be found by the links they have now: none."""
    url = make_url(administrator_url).set(drivername="postgresql+psycopg")
    catalogue = Catalogue(url.render_as_string(hide_password=False))
    try:
        for tenant_id, recording_id in sorted(written_on):
            with catalogue.transaction(tenant_id) as connection:
                search.refresh(connection, recording_id)
    finally:
        catalogue.close()


_END_SHARES: LiteralString = (
    "UPDATE shares SET revoked_at = %(now)s WHERE revoked_at IS NULL AND ends_at > %(now)s "
    "RETURNING tenant_id, recording_id"
)
_GIVE_UP_MAILS: LiteralString = (
    "UPDATE mails SET state = 'failed', settled_at = %(now)s, sealed = NULL, "
    "reason = 'A backup was restored: this may have been sent already. Send it again if it was not.' "
    "WHERE state = 'queued'"
)
_SETTLE_NOTIFICATIONS: LiteralString = (
    "UPDATE notifications SET settled_at = %(now)s WHERE settled_at IS NULL"
)
_REFUSE_ROWS: LiteralString = (
    "UPDATE roster_rows SET result = 'refused', cells = '{}', "
    "reason = 'A backup was restored: this row may have been written already. Import the file again.' "
    "WHERE result IS NULL"
)
_END_IMPORTS: LiteralString = "UPDATE roster_imports SET ended_at = %(now)s WHERE ended_at IS NULL"
_SUSPEND: LiteralString = (
    f"UPDATE api_clients SET key_hash = '{SUSPENDED}' || key_hash "  # noqa: S608 - a constant
    f"WHERE NOT starts_with(key_hash, '{SUSPENDED}')"
)
