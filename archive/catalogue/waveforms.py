"""Small waveforms in the catalogue, made when a recording is archived.

Rules: kept once and never changed, like the sound they are of; they go with the recording.
Who may see one is whoever may play the recording: the caller asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.engine import Connection
from archive.catalogue.tables import recording_waveforms
from archive.model import RecordingId, TenantId
from archive.waveform import POINTS, Waveform


def keep(
    connection: Connection, tenant_id: TenantId, recording_id: RecordingId, waveform: Waveform | None
) -> None:
    """Keep the waveform of a recording, once; that there is no sound is kept too."""
    lanes = () if waveform is None else waveform.lanes
    row = {
        "tenant_id": tenant_id,
        "recording_id": recording_id,
        "lanes": len(lanes),
        "levels": b"".join(lanes),
    }
    connection.execute(upsert(recording_waveforms).on_conflict_do_nothing(), row)


def of_recordings(
    connection: Connection, recording_ids: Iterable[RecordingId]
) -> Mapping[RecordingId, Waveform | None]:
    """Return the waveforms of recordings, as far as they were made; None is one without sound."""
    columns = recording_waveforms.c
    statement = select(columns.recording_id, columns.lanes, columns.levels).where(
        columns.recording_id.in_(list(recording_ids))
    )
    rows = connection.execute(statement).all()
    return {RecordingId(row.recording_id): waveform_of(row.lanes, bytes(row.levels)) for row in rows}


def waveform_of(lanes: int, levels: bytes) -> Waveform | None:
    """Return the waveform a row keeps, None for a recording without sound."""
    if not lanes:
        return None
    return Waveform(tuple(levels[lane * POINTS : (lane + 1) * POINTS] for lane in range(lanes)))
