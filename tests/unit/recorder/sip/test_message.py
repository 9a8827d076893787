"""Writing messages, and what a request says of itself."""

from __future__ import annotations

import pytest

from recorder.sip.headers import Headers
from recorder.sip.message import Flow, Request, Response
from recorder.sip.parser import parse


def test_a_request_is_written_with_its_true_content_length() -> None:
    request = Request("BYE", "sip:a@b", Headers([("Call-ID", "i"), ("Content-Length", "99")]), b"hi")
    assert request.to_bytes() == b"BYE sip:a@b SIP/2.0\r\nCall-ID: i\r\nContent-Length: 2\r\n\r\nhi"


def test_a_response_comes_back_as_it_was_written() -> None:
    headers = Headers([("Via", "SIP/2.0/UDP h;branch=z9hG4bKx"), ("CSeq", "1 BYE"), ("X-Name", "René")])
    read = parse(Response(200, "OK", headers, b"\x00\xff").to_bytes())
    assert isinstance(read, Response)
    assert (read.status, read.reason, read.headers.first("X-Name"), read.body) == (
        200,
        "OK",
        "René",
        b"\x00\xff",
    )


@pytest.mark.parametrize(
    ("content_type", "body", "carries"),
    [
        ("application/sdp", b"v=0", True),
        ("Application/SDP; charset=x", b"v=0", True),
        ("application/sdp", b"", False),
        ("multipart/mixed;boundary=a", b"--a\r\nContent-Type: Application/SDP\r\n\r\nv=0\r\n--a--", True),
        ("multipart/mixed;boundary=a", b"--a\r\nContent-Type: text/plain\r\n\r\nx\r\n--a--", False),
        ("application/rs-metadata+xml", b"<r/>", False),
    ],
)
def test_an_offer_is_found_alone_or_as_a_part(content_type: str, body: bytes, carries: bool) -> None:
    assert Request("INVITE", "sip:a", Headers([("c", content_type)]), body).carries_sdp is carries


def test_only_udp_needs_retransmission() -> None:
    assert not Flow("udp", ("a", 1), ("b", 2)).reliable
    assert Flow("tcp", ("a", 1), ("b", 2), 1).reliable
    assert Flow("tls", ("a", 1), ("b", 2), 1).reliable
