"""The end of a recording in quarantine, claimed as every other destruction is.

Whoever decides it (an administrator, or its time) makes it a destruction in the transaction of
the audit entry. From there on it goes as what expired goes: taken up where it stopped, its
key destroyed after its objects, a certificate at the end (`archive.catalogue.destructions`).

Rules: runs as worker; the caller holds the row locked and has asked whether a hold keeps it.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue import destructions, quarantine
from archive.catalogue.destructions import Destruction
from archive.catalogue.engine import Connection
from archive.catalogue.quarantine import Standing
from archive.catalogue.tables import destructions as destruction_rows
from archive.catalogue.tables import recordings
from archive.model import RecordingId, RecordingState, TenantId


def claim(
    connection: Connection,
    tenant_id: TenantId,
    recording_id: RecordingId,
    standing: Standing,
    *,
    claim: str,
    now: datetime,
) -> Destruction | None:
    """Claim a recording in quarantine, or a claim on it that is over; None while somebody else is at it.

    Raises Conflict when it is not in quarantine, Refused while a hold keeps it.
    """
    if not standing.is_ended:
        standing.require_quarantined()
        standing.require_unheld()
        quarantine.claim_for_destruction(connection, tenant_id, recording_id, standing)
    columns = recordings.c
    of_it = and_(columns.tenant_id == tenant_id, columns.id == recording_id)
    row = {
        "recording_id": columns.id,
        "tenant_id": columns.tenant_id,
        "session_id": columns.session_id,
        "former_state": literal(RecordingState.QUARANTINED.value),
        "retention_class": columns.retention_class,
        "retain_until": columns.retain_until,
        "kek_id": columns.kek_id,
        # Nobody's yet: the statement that claims it takes it up like one that was given up.
        "claim": literal(""),
        "claimed_at": literal(now),
        "claimed_until": literal(now),
        "entries": literal({}, JSONB),
    }
    # Also of one whose end was claimed by a release that kept no such rows.
    made = upsert(destruction_rows).from_select(list(row), select(*row.values()).where(of_it))
    connection.execute(made.on_conflict_do_nothing())
    return destructions.claim(connection, tenant_id, recording_id, claim=claim, until=now, now=now)
