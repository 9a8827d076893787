"""Bodies as real session border controllers write them (hard cases 24 and 25)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.sip.multipart import BOUNDARY_SIZE_BYTES_MAX, PART_COUNT_MAX, MultipartRefused, split

SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\n"
XML = b"<?xml version='1.0'?>\n<recording/>"


def body(boundary: str = "b1", *, line: bytes = b"\r\n") -> bytes:
    lines = [
        f"--{boundary}".encode(),
        b"Content-Type: application/sdp",
        b"",
        SDP,
        f"--{boundary}".encode(),
        b"Content-Type: application/rs-metadata+xml",
        b"Content-Disposition: recording-session",
        b"",
        XML,
        f"--{boundary}--".encode(),
        b"",
    ]
    return line.join(lines)


def assert_both(content_type: str, data: bytes) -> None:
    sdp, metadata = split(content_type, data)
    assert (sdp.media_type, metadata.media_type) == ("application/sdp", "application/rs-metadata+xml")
    assert sdp.body.split() == SDP.split()
    assert metadata.body.split() == XML.split()
    assert metadata.disposition == "recording-session"


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/mixed;boundary=b1", "b1"),
        ('multipart/mixed; boundary="b1"', "b1"),
        ('Multipart/Mixed ; Boundary = "----=_Part_1.2=3"', "----=_Part_1.2=3"),
        ("multipart/mixed;boundary=----=_Part_1.2=3", "----=_Part_1.2=3"),
        ("multipart/mixed;boundary=unique-boundary-1;charset=x", "unique-boundary-1"),
        ('multipart/mixed;boundary="with space"', "with space"),
        ("multipart/mixed", "b1"),
        ("multipart/mixed;boundary=another", "b1"),
        ("multipart/mixed;boundary=(.*)", "(.*)"),
    ],
)
def test_any_boundary_divides(content_type: str, boundary: str) -> None:
    assert_both(content_type, body(boundary))
    assert_both(content_type, body(boundary, line=b"\n"))


def test_blanks_preamble_and_epilogue_change_nothing() -> None:
    data = body().replace(b"--b1\r\n", b"--b1 \t\r\n").replace(b"--b1--", b"--b1--  ")
    assert_both("multipart/mixed;boundary=b1", b"a preamble\r\n" + data + b"\r\nan epilogue\r\n--b1x\r\n")


def test_a_missing_last_delimiter_is_forgiven() -> None:
    assert_both("multipart/mixed;boundary=b1", body().removesuffix(b"--b1--\r\n"))


def test_the_metadata_may_stand_first_and_a_field_may_lack_its_space() -> None:
    data = (
        b"--b\r\nContent-Type:application/rs-metadata+xml\r\nContent-Disposition:recording-session\r\n"
        b"Content-Length: 4\r\n\r\n<r/>\r\n--b\r\nc:application/sdp;charset=x\r\n\r\nv=0\r\n--b--"
    )
    metadata, sdp = split("multipart/mixed;boundary=b", data)
    assert (metadata.media_type, metadata.body) == ("application/rs-metadata+xml", b"<r/>")
    assert (sdp.media_type, sdp.body) == ("application/sdp", b"v=0")
    assert metadata.headers.first("Content-Length") == "4"


def test_a_boundary_that_begins_another_does_not_divide_its_parts() -> None:
    data = b"--a\r\nX: y\r\n\r\none\r\n--ab\r\nstill one\r\n--a--"
    (part,) = split("multipart/mixed;boundary=a", data)
    assert part.body == b"one\r\n--ab\r\nstill one"


def test_a_part_without_fields_is_all_body() -> None:
    bare, blank = split("multipart/mixed;boundary=a", b"--a\r\nv=0\r\ns=-\r\n--a\r\n\r\nv=1\r\n--a--")
    assert (bare.content_type, bare.body) == ("", b"v=0\r\ns=-")
    assert blank.body == b"v=1"


def test_folded_fields_of_a_part_are_read() -> None:
    data = b"--a\r\nContent-Type: application/sdp;\r\n charset=x\r\n\r\nv=0\r\n--a--"
    (part,) = split("multipart/mixed;boundary=a", data)
    assert part.content_type == "application/sdp; charset=x"


def test_both_metadata_types_and_unknown_parts_are_handed_over_with_their_handling() -> None:
    data = (
        b"--a\r\nContent-Type: application/rs-metadata\r\n\r\n<a/>\r\n"
        b"--a\r\nContent-Type: application/rs-metadata+xml\r\n\r\n<b/>\r\n"
        b"--a\r\nContent-Type: application/gtd\r\nContent-Disposition: signal;handling=optional\r\n\r\ng\r\n"
        b'--a\r\nContent-Type: x/y\r\nContent-Disposition: session; Handling="Required"\r\n\r\nh\r\n--a--'
    )
    parts = split("multipart/mixed;boundary=a", data)
    assert [part.media_type for part in parts][:2] == [
        "application/rs-metadata",
        "application/rs-metadata+xml",
    ]
    assert [part.handling_required for part in parts] == [False, False, False, True]


def test_a_body_that_is_not_multipart_is_one_part() -> None:
    (part,) = split("application/rs-metadata+xml; charset=utf-8", XML)
    assert (part.media_type, part.body) == ("application/rs-metadata+xml", XML)
    assert split("multipart/mixed;boundary=a", b"") == []
    assert split("application/sdp", b"\r\n") == []


def test_nothing_divided_gives_no_parts() -> None:
    assert split("multipart/mixed;boundary=a", b"no delimiter at all") == []
    assert split("multipart/mixed;boundary=a", b"--a--\r\nonly an epilogue") == []


def test_part_count_max_is_read_and_not_one_more() -> None:
    part = b"--a\r\nX: y\r\n\r\nz\r\n"
    assert len(split("multipart/mixed;boundary=a", part * PART_COUNT_MAX + b"--a--")) == PART_COUNT_MAX
    with pytest.raises(MultipartRefused):
        split("multipart/mixed;boundary=a", part * (PART_COUNT_MAX + 1) + b"--a--")


def test_boundary_size_bytes_max_is_read_and_not_one_more() -> None:
    boundary = "b" * BOUNDARY_SIZE_BYTES_MAX
    assert_both(f"multipart/mixed;boundary={boundary}", body(boundary))
    with pytest.raises(MultipartRefused):
        split(f"multipart/mixed;boundary={boundary}b", body(boundary + "b"))
    assert split("multipart/mixed", body(boundary + "b")) == []


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.binary(max_size=300))
def test_arbitrary_bodies_are_parts_or_refused(content_type: str, data: bytes) -> None:
    try:
        parts = split(content_type, data)
    except MultipartRefused:
        return
    assert len(parts) <= PART_COUNT_MAX
    assert all(part.body in data for part in parts)
