"""A recording as a vCon: the IETF's exchange format of conversations, beside what we keep ourselves.

Follows draft-ietf-vcon-vcon-core-04: parties, one dialog of the type `recording`, and the
pauses and losses as an analysis. The audio is the file beside it, bound by its SHA-512.

Rules: pure. The draft wants HTTPS addresses for what lies outside; a package travels
without a server, so that the address is the name of the file beside.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from archive.model import Recording

AUDIO_NAME = "audio.flac"


def document(recording: Recording, audio_sha512: bytes) -> bytes:
    """Return the JSON of the vCon, ended by a line feed."""
    content = {
        "uuid": str(recording.id),
        "created_at": _date(recording.ended_at),
        "subject": "",
        "parties": [_party(party.number, party.name) for party in recording.parties],
        "dialog": [
            {
                "type": "recording",
                "start": _date(recording.started_at),
                "duration": recording.duration_ms / 1000,
                "parties": _heard(recording),
                "mediatype": "audio/flac",
                "filename": AUDIO_NAME,
                "url": AUDIO_NAME,
                "content_hash": "sha512-" + base64.urlsafe_b64encode(audio_sha512).rstrip(b"=").decode(),
            }
        ],
        "analysis": [
            {
                "type": "report",
                "dialog": 0,
                "vendor": "earwitness",
                "product": "timeline",
                "encoding": "json",
                "body": [
                    {"kind": s.kind.value, "channel": s.channel, "fromMs": s.from_ms, "toMs": s.to_ms}
                    for s in recording.spans
                ],
            }
        ],
        "attachments": [],
    }
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"


def _party(number: str, name: str) -> dict[str, str]:
    shown = {"tel": number, "name": name}
    return {key: value for key, value in shown.items() if value}


def _heard(recording: Recording) -> list[int | list[int] | None]:
    """Return for each channel who is heard there: a party, several, or nobody (the draft's null)."""
    channels: list[int | list[int] | None] = []
    for channel in recording.channels:
        heard = [place for place, party in enumerate(recording.parties) if party.channel in {channel, "both"}]
        channels.append(heard if len(heard) > 1 else heard[0] if heard else None)
    return channels


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
