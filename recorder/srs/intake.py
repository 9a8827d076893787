"""Takes in metadata: every body is kept as it came, what can be read of it changes the model.

Metadata never causes a refusal: a body that can't be read is flagged and kept, and
the audio is recorded. Rules: a body that names an exempt party is not kept, and
nothing of it reaches the model (ask `exempt_joining` first); the same body twice in
a row is one revision.

Not here: what the documents mean for the parties (`recorder.srs.facts`).
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from archive.numbers import NO_ADDITIONS
from recorder.metadata import document, snapshot
from recorder.metadata.model import Document, MetadataError
from recorder.sip.message import Request
from recorder.srs.effects import Moment
from recorder.srs.exemption import is_exempt, metadata_names_exempt, participant_is_exempt
from recorder.srs.offer import MetadataBody, OfferBody
from recorder.srs.session import METADATA_BYTES_MAX, METADATA_REVISIONS_MAX, RecordingSession
from recorder.state import MetadataRevision


def exempt_joining(request: Request, body: OfferBody, additions: frozenset[str] = NO_ADDITIONS) -> int | None:
    """Tell whether a request or what it carries names an exempt party; nothing is kept of either.

    `additions` are canonical numbers that are exempt beside the floor list. Returns
    None when no exempt party is named, else the wall time in nanoseconds at which it
    joined, as far as the metadata says (0 when it does not).
    """
    named = is_exempt(request, body.bodies, additions)
    for item in body.metadata:
        try:
            parsed = document.parse(item.body)
        except MetadataError:
            continue
        if named or metadata_names_exempt(parsed, additions):
            return _joined_ns(parsed, additions)
    return 0 if named else None


def take_metadata(session: RecordingSession, body: OfferBody, now: Moment) -> None:
    """Apply the metadata of a body, which names no exempt party, to the session."""
    for item in body.metadata:
        try:
            parsed = document.parse(item.body)
        except MetadataError as error:
            _keep(session, item, now, str(error))
            session.flag("metadata-error")
            continue
        if parsed.repaired:
            session.flag("metadata-repaired")
        model = snapshot.apply(session.model, parsed)
        if model.unresolved:
            session.flag("metadata-incomplete")
        session.model, session.described_ns = model, now.wall_ns
        _keep(session, item, now, None)


def _joined_ns(parsed: Document, additions: frozenset[str]) -> int:
    """Return when the first exempt party of a document joined, 0 when it does not say or nobody is found."""
    exempt = (item for item in parsed.participants if participant_is_exempt(item, additions))
    times = (time for item in exempt for time in (item.from_time, *item.earlier_times))
    return min(filter(None, map(_time_ns, times)), default=0)


def _time_ns(time: str | None) -> int:
    """Read a joining time; 0 when there is none or it can't be read."""
    try:
        joined = datetime.fromisoformat(time or "")
    except ValueError:
        return 0
    aware = joined if joined.tzinfo else joined.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1e9)


def _keep(session: RecordingSession, item: MetadataBody, now: Moment, error: str | None) -> None:
    """Keep a body as evidence, unless it is the one that came last."""
    encoded = base64.b64encode(item.body).decode()
    if session.revisions and session.revisions[-1].body_base64 == encoded:
        return
    kept_bytes = sum(_size_bytes(revision) for revision in session.revisions)
    full = kept_bytes + len(item.body) > METADATA_BYTES_MAX
    if full or len(session.revisions) >= METADATA_REVISIONS_MAX:
        session.flag("metadata-revisions-cut")
        return
    revision = MetadataRevision(now.wall_ns, item.content_type, encoded, error)
    session.revisions = (*session.revisions, revision)


def _size_bytes(revision: MetadataRevision) -> int:
    """Return the size of a body as it came."""
    encoded = revision.body_base64
    return len(encoded) // 4 * 3 - encoded.count("=", -2)
