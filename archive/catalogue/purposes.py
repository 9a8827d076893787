"""Why somebody opened another person's recording: asked once in a session, remembered as long as it lasts.

Rules: a purpose belongs to one session and one recording, and goes with the recording.
Not here: when one is needed (`archive.access.needs_purpose`), and the audit entry that
keeps it (`archive.playback`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.engine import Catalogue
from archive.catalogue.portal_sessions import SESSION_S_MAX, PortalSession
from archive.catalogue.tables import recording_purposes
from archive.errors import Refused
from archive.model import RecordingId

PURPOSE_CHARS_MAX = 200
"""A reason is a sentence; what needs more belongs in a case."""


def stated(text: str) -> str:
    """Return a purpose without needless blanks; raises Refused for none or one that is too long."""
    purpose = " ".join(text.split())
    if not purpose or len(purpose) > PURPOSE_CHARS_MAX or not purpose.isprintable():
        raise Refused(f"A purpose has 1 to {PURPOSE_CHARS_MAX} printable characters.")
    return purpose


def remember(
    catalogue: Catalogue, session: PortalSession, recording_id: RecordingId, purpose: str, *, now: datetime
) -> None:
    """Keep a purpose for the rest of a session, and forget those of the person's sessions that are over.

    Raises Conflict when there is no such recording, Refused for no purpose.
    """
    columns = recording_purposes.c
    row = {
        "tenant_id": session.tenant_id,
        "session_id": session.id,
        "recording_id": recording_id,
        "user_id": session.user_id,
        "purpose": stated(purpose),
        "stated_at": now,
    }
    statement = upsert(recording_purposes).values(row)
    changed = {"purpose": statement.excluded.purpose, "stated_at": statement.excluded.stated_at}
    over = columns.stated_at <= now - timedelta(seconds=SESSION_S_MAX)
    of_person = (columns.tenant_id == session.tenant_id, columns.user_id == session.user_id)
    with catalogue.transaction(session.tenant_id) as connection:
        connection.execute(delete(recording_purposes).where(*of_person, over))
        connection.execute(
            statement.on_conflict_do_update(index_elements=["session_id", "recording_id"], set_=changed)
        )


def remembered(catalogue: Catalogue, session: PortalSession, recording_id: RecordingId) -> str | None:
    """Return the purpose stated for a recording in a session, None for none."""
    columns = recording_purposes.c
    statement = select(columns.purpose).where(
        columns.tenant_id == session.tenant_id,
        columns.session_id == session.id,
        columns.recording_id == recording_id,
    )
    with catalogue.transaction(session.tenant_id) as connection:
        return connection.execute(statement).scalar()
