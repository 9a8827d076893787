"""What each handler takes and gives, for the OpenAPI document: one operation a handler.

Rules: literal data only; a test holds it against the route table and against what the
service really answers.
"""

from __future__ import annotations

from dataclasses import dataclass

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True)
class Operation:
    """What a handler takes and gives.

    `schema` and `body` name components: of the JSON it answers with `status`, and of the
    JSON it takes as one of `body_media_types`. A status of 204 comes without a body. With
    `waits` it may answer 202 with an `Approval`: it waits for a second person.
    """

    summary: str
    parameters: tuple[str, ...] = ()
    schema: str | None = None
    media_types: tuple[str, ...] = (JSON,)
    refusals: tuple[int, ...] = ()
    ranges: bool = False
    status: int = 200
    body: str | None = None
    body_media_types: tuple[str, ...] = (JSON,)
    body_required: bool = True
    waits: bool = False


_PAGE = ("limit", "cursor")
_COMMAND = (400, 404, 409, 413, 415, 504)

OPERATIONS = {
    "get_livez": Operation("Whether the process runs", media_types=("text/plain",)),
    "get_readyz": Operation(
        "Whether database and store can be reached", media_types=("text/plain",), refusals=(503,)
    ),
    "get_metrics": Operation("Figures of this process for Prometheus", media_types=("text/plain",)),
    "get_openapi": Operation("This document"),
    "get_recording": Operation("One recording", ("id",), "Recording", refusals=(400, 404)),
    "get_audio": Operation(
        "The audio, whole or a range of it; an audit entry is durable before the first octet",
        ("id", "format", "channel", "download", "purpose", "range", "ifRange", "ifMatch", "ifNoneMatch"),
        media_types=("audio/flac", "audio/mp4", "audio/wav"),
        refusals=(400, 404, 409, 412, 416),
        ranges=True,
    ),
    "get_peaks": Operation(
        "The loudest level of each bin, for drawing", ("id", "pps", "purpose"), "Peaks", refusals=(400, 404)
    ),
    "get_timeline": Operation("The timeline as archived", ("id", "purpose"), "Timeline", refusals=(400, 404)),
    "get_metadata": Operation(
        "The recording metadata as it came", ("id", "purpose"), "Metadata", refusals=(400, 404)
    ),
    "get_history": Operation(
        "Who did what with the recording, oldest first", ("id",), "AuditEntryPage", refusals=(400, 404)
    ),
    "list_sessions": Operation(
        "How each offered recording session ended, newest first",
        ("sessionTerm", "from", "to", *_PAGE),
        "SessionPage",
        refusals=(400,),
    ),
    "get_session": Operation(
        "How one offered recording session ended, and why", ("sessionId",), "Session", refusals=(400, 404)
    ),
    "get_why": Operation(
        "Why a recording is there, sounds as it does and stays as long", ("id",), "Why", refusals=(400, 404)
    ),
    "post_what_if": Operation(
        "What would be decided of a call now; nothing of what is asked is stored",
        (),
        "ImaginedDecision",
        body="ImaginedCall",
    ),
    "list_calls": Operation("Calls under way, newest first", _PAGE, "CallPage", refusals=(400,)),
    "get_call": Operation(
        "One call under way, and what it obeys now", ("callId",), "Call", refusals=(400, 404)
    ),
    "post_pause": Operation(
        "Pause a call: nothing of it is stored until it is resumed",
        ("callId",),
        "Command",
        refusals=_COMMAND,
        status=201,
    ),
    "post_resume": Operation("Resume a paused call", ("callId",), "Command", refusals=_COMMAND, status=201),
    "post_keep": Operation("Keep an on-demand call", ("callId",), "Command", refusals=_COMMAND, status=201),
    "post_start": Operation(
        "Begin, or begin again, to record a call", ("callId",), "Command", refusals=_COMMAND, status=201
    ),
    "post_stop": Operation(
        "Stop recording a call; what was recorded stays",
        ("callId",),
        "Command",
        refusals=_COMMAND,
        status=201,
    ),
    "post_recording_keep": Operation(
        "Keep a call that is over, within the grace of its tenant",
        ("id",),
        "Command",
        refusals=_COMMAND,
        status=201,
    ),
    "get_events": Operation(
        "Events of calls as they happen (server-sent events)",
        ("lastEventId",),
        media_types=("text/event-stream",),
        refusals=(400, 429),
    ),
    "get_settings": Operation("How the caller is recorded", (), "RecordingSettings", refusals=(400,)),
    "patch_settings": Operation(
        "Change the caller's own mode to one of theirs to choose",
        ("ifMatch",),
        "RecordingSettings",
        refusals=(412,),
        body="RecordingSettingsPatch",
        body_media_types=(MERGE_PATCH, JSON),
    ),
    "put_keep_next": Operation(
        "Keep the caller's next on-demand call",
        (),
        "KeepNext",
        body="NewKeepNext",
        body_required=False,
    ),
    "delete_keep_next": Operation("Keep the next call no more", (), refusals=(400,), status=204),
}
