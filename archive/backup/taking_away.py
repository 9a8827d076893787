"""What a restored database must not give back: what may have been taken away since the backup.

The backup knows a link that was ended since as one that works, a recording that was put back as one
in the trash. Nothing outside the database tells; so all of it ends with the restore, and is given anew.

Rules: in the database that is not in use yet, as its administrator, for all tenants; done before the
entry of the restore, which tells the counts. Accounts, roles and teams stay as they were in the
backup: without them nobody could look after the rest. Not here: what the bucket tells of the time since
(`archive.rebuild`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from archive.backup.dump import connected
from archive.catalogue.accounts import SUSPENDED


@dataclass(frozen=True)
class TakenAway:
    """How many sessions, invitations, play links, API keys and recordings in the trash there were."""

    sessions: int
    invitations: int
    shares: int
    api_clients: int
    trash: int


def take_away(administrator_url: str, *, made_at: datetime, now: datetime) -> TakenAway:
    """End what a backup of `made_at` might give back, and note that the catalogue was not built again.

    Raises CatalogueUnavailable.
    """
    with connected(administrator_url) as connection:

        def change(statement: LiteralString) -> int:
            return connection.execute(statement, {"now": now, "made_at": made_at}).rowcount

        change("INSERT INTO restores (restored_at, made_at) VALUES (%(now)s, %(made_at)s)")
        return TakenAway(
            sessions=change("DELETE FROM portal_sessions"),
            invitations=change("DELETE FROM invitations"),
            shares=change(_END_SHARES),
            api_clients=change(_SUSPEND),
            # A row of the trash is what its approval counts by; it is proposed anew.
            trash=change("DELETE FROM trash"),
        )


_END_SHARES: LiteralString = (
    "UPDATE shares SET revoked_at = %(now)s WHERE revoked_at IS NULL AND ends_at > %(now)s"
)
_SUSPEND: LiteralString = (
    f"UPDATE api_clients SET key_hash = '{SUSPENDED}' || key_hash "  # noqa: S608 - a constant
    f"WHERE NOT starts_with(key_hash, '{SUSPENDED}')"
)
