"""What a catalogue says stands in the bucket: per tenant how much, and one hash of it all.

Two catalogues with the same holdings name the same recordings with the same content. A
backup writes them down and a drill compares them.

Rules: read by an administrator of the server, whom row-level security does not bind,
within the caller's transaction; no number and no name is read.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import psycopg

from archive.errors import Refused
from archive.model import GOING_STATES, TenantId

_ROWS_COUNT = 5000  # some 600 kB a fetch

_STANDING = """
    SELECT r.tenant_id, r.id, o.kind, o.plaintext_sha256
    FROM recordings r JOIN recording_objects o ON o.recording_id = r.id
    WHERE NOT r.state = ANY(%s)
    ORDER BY r.tenant_id COLLATE "C", r.id COLLATE "C", o.kind COLLATE "C"
"""


@dataclass(frozen=True)
class Holding:
    """The recordings of one tenant: how many, in how many objects, and a hash over ids and contents."""

    tenant_id: TenantId
    recordings: int
    objects: int
    sha256: str


class _Count:
    """A holding while it is counted."""

    def __init__(self, tenant_id: TenantId) -> None:
        self.tenant_id = tenant_id
        self.objects = 0
        self._recordings = 0
        self._last = ""
        self._digest = hashlib.sha256()

    def add(self, recording_id: str, kind: str, sha256: str) -> None:
        """Count one object; those of a recording come together."""
        self.objects += 1
        self._recordings += recording_id != self._last
        self._last = recording_id
        self._digest.update(f"{recording_id} {kind} {sha256}\n".encode())

    def done(self) -> Holding:
        """Return what was counted."""
        return Holding(self.tenant_id, self._recordings, self.objects, self._digest.hexdigest())


def holdings(connection: psycopg.Connection) -> tuple[Holding, ...]:
    """Return what each tenant with recordings holds, by tenant; raises Refused without the rights."""
    require_all_rows(connection)
    counts: list[_Count] = []
    with connection.cursor("holdings") as cursor:
        cursor.itersize = _ROWS_COUNT
        for tenant_id, recording_id, kind, sha256 in cursor.execute(_STANDING, (sorted(GOING_STATES),)):
            if not counts or counts[-1].tenant_id != tenant_id:
                counts.append(_Count(TenantId(tenant_id)))
            counts[-1].add(recording_id, kind, sha256)
    return tuple(count.done() for count in counts)


def require_all_rows(connection: psycopg.Connection) -> None:
    """Raise Refused unless this administrator sees the rows of every tenant."""
    sees = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    if connection.execute(sees).fetchone() != (True,):
        raise Refused(
            "This database role sees the rows of no tenant: name an administrator of the server "
            "(a superuser, or a role with BYPASSRLS)."
        )


def schema_of(connection: psycopg.Connection) -> str:
    """Return the revision of the tables."""
    [revision] = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
    return str(revision)
