"""How the session of a finished recording ended: what the trace of signalling lacks is added.

The last two lines of a trace tell of the media and of the term, so that "why" answers
also why a recording is short of packets, or kept for less long than expected. Rules:
pure. Not here: sessions nothing was recorded of (`recorder.srs.outcome`).
"""

from __future__ import annotations

from archive.catalogue.sessions import TRACE_LINES_MAX
from archive.model import FinishedRecording, OutcomeKind, Recording, RecordingState, SessionOutcome
from recorder.state import CallState
from retention import minutes, policy

NO_MEDIA = "no media"
QUARANTINED = "in quarantine: the exchange named a user who is unknown here"


def outcome(state: CallState, finished: FinishedRecording) -> SessionOutcome:
    """Return how the session of a finished recording ended."""
    recording = finished.recording
    return SessionOutcome(
        session_id=recording.session_id,
        call_id=recording.call_id,
        kind=OutcomeKind.RECORDED,
        reason=_reason(state, recording),
        started_at=recording.started_at,
        ended_at=recording.ended_at,
        peer_id=recording.peer_id,
        tenant_id=recording.tenant_id,
        recording_ids=(recording.id,),
        trace=(*state.trace[: TRACE_LINES_MAX - 2], _media_line(state, recording), _term_line(recording)),
        transport=state.dialog.transport,
        site=recording.site,
        octets=finished.octets,
        exchange_ids=state.exchange_ids,
    )


def _reason(state: CallState, recording: Recording) -> str:
    if recording.state is RecordingState.QUARANTINED:
        return QUARANTINED
    return NO_MEDIA if "no-media" in recording.flags else state.end_reason or "recorded"


def _media_line(state: CallState, recording: Recording) -> str:
    """Return the line of the trace that tells of the media."""
    streams, packets = len(state.streams), recording.packets
    return (
        f"media: {streams} stream{'' if streams == 1 else 's'}, {packets.received} packets, "
        f"{packets.lost} lost, {packets.duplicated} duplicated"
    )


def _term_line(recording: Recording) -> str:
    """Return the line of the trace that tells how long the recording is kept, and why."""
    until = recording.retain_until.astimezone(policy.ZONE).date()
    if recording.state is RecordingState.QUARANTINED:
        return f"quarantined until {until}"
    above = ", above the minutes of the month" if minutes.ABOVE_CAP in recording.flags else ""
    return f"class {recording.retention_class} kept until {until}{above}"
