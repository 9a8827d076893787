"""Metadata is kept as it came, once, up to a limit, and never when it names an exempt party."""

from __future__ import annotations

import base64

from recorder.sip.headers import Headers
from recorder.sip.message import Request
from recorder.srs.intake import exempt_joining, take_metadata
from recorder.srs.offer import MetadataBody, OfferBody, read_body
from recorder.srs.session import METADATA_BYTES_MAX, METADATA_REVISIONS_MAX
from tests.unit.recorder.srs.conftest import ANNA, BOB, METADATA, WALL_NS, Client, Recorder, document

BODY_BYTES = 40_000


def joining(body: bytes, *headers: tuple[str, str]) -> int | None:
    """Return what a request with this metadata says of an exempt party."""
    request = Request("UPDATE", "sip:srs@192.0.2.1", Headers([("Content-Type", METADATA), *headers]), body)
    return exempt_joining(request, read_body(request))


def padded(body: bytes, size_bytes: int, number: int) -> bytes:
    """Return the document with white space behind it, another for each number."""
    fill = size_bytes - len(body)
    return body + b" " * (fill - number) + b"\n" * number


def test_the_time_of_joining_is_that_of_the_exempt_party() -> None:
    """None where there is none, 0 where nobody says when."""
    assert joining(document(ANNA, BOB)) is None
    assert joining(document(ANNA, "113")) == WALL_NS
    assert joining(document(ANNA, "113").replace(b"associate-time", b"other-time")) == 0
    assert joining(document(ANNA, BOB), ("Diversion", "<sip:112@h>")) == 0
    assert joining(document(ANNA, "112")[:-30] + b"<broken") == 0


def test_a_time_without_a_zone_is_read() -> None:
    """Avaya, Oracle and AudioCodes write none; UTC is as good as any."""
    body = document(ANNA, "113").replace(b"40.000Z", b"40.000")
    assert joining(body) == WALL_NS


def test_every_revision_is_kept_up_to_a_limit(recorder: Recorder, client: Client) -> None:
    """Beyond it the newest still counts, and the recording says that some were not kept."""
    client.call()
    for _ in range(METADATA_REVISIONS_MAX - 1):
        client.send("UPDATE", METADATA, document(ANNA, BOB))
    assert len(recorder.state.metadata) == METADATA_REVISIONS_MAX
    assert "metadata-revisions-cut" not in recorder.state.flags
    client.send("UPDATE", METADATA, document(ANNA, "+31687654321"))
    assert len(recorder.state.metadata) == METADATA_REVISIONS_MAX
    assert "metadata-revisions-cut" in recorder.state.flags
    assert recorder.state.parties[-1].number == "+31687654321"


def test_revisions_are_kept_up_to_a_size(recorder: Recorder, client: Client) -> None:
    """One that does not fit any more is not kept; the recording says so, and a smaller one still is."""
    client.call()
    first = base64.b64decode(recorder.state.metadata[0].body_base64)
    plain = document(ANNA, BOB)
    count = (METADATA_BYTES_MAX - len(first)) // BODY_BYTES
    rest = METADATA_BYTES_MAX - len(first) - count * BODY_BYTES
    for number in range(count):
        client.send("UPDATE", METADATA, padded(plain, BODY_BYTES, number))
    client.send("UPDATE", METADATA, padded(plain, rest + 1, 0))
    assert len(recorder.state.metadata) == count + 1
    assert "metadata-revisions-cut" in recorder.state.flags
    client.send("UPDATE", METADATA, padded(plain, rest, 0))
    kept = [base64.b64decode(revision.body_base64) for revision in recorder.state.metadata]
    assert len(kept) == count + 2
    assert sum(map(len, kept)) == METADATA_BYTES_MAX


def test_a_session_full_to_the_byte_says_nothing(recorder: Recorder, client: Client) -> None:
    """What fits exactly is kept, and nothing was cut."""
    client.call()
    session, now = recorder.session, recorder.now
    room = METADATA_BYTES_MAX - len(base64.b64decode(session.revisions[0].body_base64))
    body = MetadataBody(METADATA, padded(document(ANNA, BOB), room, 0))
    take_metadata(session, OfferBody(None, (body,), None, body.body), now)
    assert len(session.revisions) == 2
    assert "metadata-revisions-cut" not in session.flags


def test_metadata_that_was_repaired_or_is_incomplete_is_told(recorder: Recorder, client: Client) -> None:
    """It is used as far as it goes."""
    client.call()
    client.send(
        "UPDATE",
        METADATA,
        document(ANNA, BOB)
        .replace(b"<recording ", b"<x:recording ", 1)
        .replace(b"</recording", b"</x:recording"),
    )
    assert "metadata-repaired" in recorder.state.flags
    partial = b'<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>partial</datamode><participantstreamassoc participant_id="nobody"><send>nothing</send></participantstreamassoc></recording>'
    client.send("UPDATE", METADATA, partial)
    assert "metadata-incomplete" in recorder.state.flags
