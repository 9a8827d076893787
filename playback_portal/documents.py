"""Archived things as the JSON of the API: camelCase, RFC 3339 times, nothing beside the contract.

Rules: pure. The recording object is the one of CONTRACT.md, field by field.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from aiohttp import web

from archive.audit import AuditEntry, Json
from archive.model import Party, Recording, SessionOutcome, Span

MEDIA_TYPE = "application/json"

_UNSHOWN_DETAILS = frozenset({"address"})
"""Where a listener's computer is, is nobody's business but the investigator's."""


def json_response(document: Mapping[str, Json], headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON document as a response."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return web.Response(body=body, content_type=MEDIA_TYPE, headers=headers)


def list_response(request: web.Request, items: Iterable[Json], cursor: str | None) -> web.Response:
    """Return one page of a list, with the link to the next (RFC 8288)."""
    headers = {}
    if cursor is not None:
        headers["Link"] = f'<{request.rel_url.update_query(cursor=cursor)}>; rel="next"'
    return json_response({"items": list(items), "next": cursor}, headers)


def time_of(moment: datetime) -> str:
    """Return a time in UTC as RFC 3339 with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def recording_documents(recordings: Iterable[Recording], now: datetime) -> Iterator[Json]:
    """Yield the objects of a list."""
    return (recording_document(each, now) for each in recordings)


def recording_document(recording: Recording, now: datetime) -> dict[str, Json]:
    """Return the recording object of the contract, with the days that are left of its term."""
    return {
        "id": recording.id,
        "callId": recording.call_id,
        "callGroup": recording.call_group,
        "state": recording.state.value,
        "onHold": recording.on_hold,
        "mode": recording.mode.value,
        "owner": recording.owner,
        "direction": recording.direction.value,
        "layout": recording.layout.value,
        "startedAt": time_of(recording.started_at),
        "endedAt": time_of(recording.ended_at),
        "durationMs": recording.duration_ms,
        "parties": [_party(party, recording.duration_ms) for party in recording.parties],
        "retentionClass": recording.retention_class.value,
        "retainUntil": time_of(recording.retain_until),
        # Days begun, as the list shows them; under a hold it stays longer.
        "remainingDays": max(0, -((now - recording.retain_until) // timedelta(days=1))),
        "spans": [_span(span) for span in recording.spans],
        "packets": {
            "received": recording.packets.received,
            "lost": recording.packets.lost,
            "duplicated": recording.packets.duplicated,
            "reordered": recording.packets.reordered,
        },
        "sha256": recording.sha256,
        "flags": list(recording.flags),
    }


def session_document(outcome: SessionOutcome) -> dict[str, Json]:
    """Return how one offered session ended."""
    return {
        "id": outcome.session_id,
        "callId": outcome.call_id,
        "outcome": outcome.kind.value,
        "reason": outcome.reason,
        "startedAt": time_of(outcome.started_at),
        "endedAt": time_of(outcome.ended_at),
        "peerId": outcome.peer_id,
        "transport": outcome.transport or None,
        "exchangeIds": list(outcome.exchange_ids),
        "recordingIds": list(outcome.recording_ids),
        "trace": list(outcome.trace),
    }


def audit_document(entry: AuditEntry) -> dict[str, Json]:
    """Return one entry of the audit log; `details` is null when its body was erased."""
    details = None
    if entry.body is not None:
        details = {name: value for name, value in entry.body.items() if name not in _UNSHOWN_DETAILS}
    return {
        "at": time_of(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "result": entry.result,
        "details": details,
        "writer": entry.writer,
        "sequence": entry.sequence,
        "hash": entry.hash,
    }


def _party(party: Party, duration_ms: int) -> dict[str, Json]:
    return {
        "channel": party.channel,
        "number": party.number,
        "name": party.name,
        "userId": party.user_id,
        "fromMs": party.from_ms,
        "toMs": duration_ms if party.to_ms is None else party.to_ms,
    }


def _span(span: Span) -> dict[str, Json]:
    return {
        "kind": span.kind.value,
        "channel": span.channel,
        "fromMs": span.from_ms,
        "toMs": span.to_ms,
        "by": span.by,
    }
