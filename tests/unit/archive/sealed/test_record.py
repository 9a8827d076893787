"""A record object is a line of JSON and sealed rows, the same bytes each time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.errors import VerificationFailed
from archive.model import ArchivedRecording, FinishedRecording, SessionOutcome
from archive.record import (
    RECORD_FORMAT,
    RECORD_HEADER_BYTES_MAX,
    CatalogueRecord,
    RecordHeader,
    from_json,
    header_line,
    split,
    to_json,
)
from keys.streaming_aead import SealPin

PIN = SealPin(10, 66, 1, "ab" * 32)


def test_rows_go_to_json_and_back(
    finished: FinishedRecording,
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    archived = make_recording(finished.recording.tenant_id)
    record = CatalogueRecord(archived.recording, archived.objects, outcome_of(finished))
    assert from_json(to_json(record)) == record
    assert to_json(from_json(to_json(record))) == to_json(record)


@settings(max_examples=50, deadline=None)
@given(wrapped=st.binary(max_size=200), sealed=st.binary(max_size=200))
def test_a_header_comes_apart_from_what_follows(wrapped: bytes, sealed: bytes) -> None:
    header = RecordHeader(RECORD_FORMAT, "t/2027-01-01/1", wrapped, (), PIN)
    assert split(header_line(header) + sealed) == (header, sealed)


@settings(max_examples=100, deadline=None)
@given(data=st.one_of(st.binary(max_size=300), st.text(max_size=100).map(lambda text: text.encode() + b"\n")))
def test_rubbish_is_a_failed_verification(data: bytes) -> None:
    with pytest.raises(VerificationFailed):
        split(data)
    with pytest.raises(VerificationFailed):
        from_json(data)


@pytest.mark.parametrize(("spare", "accepted"), [(0, True), (1, False)])
def test_a_header_has_a_limit(spare: int, accepted: bool) -> None:
    bare = len(header_line(RecordHeader(RECORD_FORMAT, "", b"", (), PIN)))
    header = RecordHeader(RECORD_FORMAT, "k" * (RECORD_HEADER_BYTES_MAX - bare + spare), b"", (), PIN)
    if accepted:
        assert split(header_line(header))[0] == header
    else:
        with pytest.raises(VerificationFailed):
            split(header_line(header))


def test_a_record_of_another_version_is_told() -> None:
    with pytest.raises(VerificationFailed, match="another version"):
        split(header_line(RecordHeader("earwitness record 2", "k", b"", (), PIN)))


def test_base64_that_is_none_is_refused() -> None:
    line = header_line(RecordHeader(RECORD_FORMAT, "k", b"abc", (), PIN)).replace(b'"YWJj"', b'"YW*j"')
    with pytest.raises(VerificationFailed):
        split(line)
    with pytest.raises(VerificationFailed):
        split(line.replace(b'"YW*j"', b"5"))
