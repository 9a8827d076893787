"""A body is divided into what is recorded, what is told, and what must be refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.sip.headers import Headers
from recorder.sip.message import Request
from recorder.srs.offer import OfferBody, read_body

OLD, NEW = "application/rs-metadata", "application/rs-metadata+xml"


def read(content_type: str, body: bytes, disposition: str = "") -> OfferBody:
    headers = [("Content-Type", content_type)] if content_type else []
    headers += [("Content-Disposition", disposition)] if disposition else []
    return read_body(Request("INVITE", "sip:srs@h", Headers(headers), body))


def part(content_type: str, body: bytes, disposition: str = "session") -> bytes:
    return (
        f"--b\r\nContent-Type:{content_type}\r\nContent-Disposition:{disposition}\r\n\r\n".encode()
        + body
        + b"\r\n"
    )


def test_the_newer_media_type_wins() -> None:
    """RFC 9806; in whatever order they stand, and only one counts."""
    for order in ((OLD, NEW), (NEW, OLD)):
        body = (
            b"".join(part(kind, kind.encode()) for kind in order) + part("application/sdp", b"v=0") + b"--b--"
        )
        found = read("multipart/mixed;boundary=b", body)
        assert [(item.content_type, item.body) for item in found.metadata] == [(NEW, NEW.encode())]
        assert found.sdp == b"v=0"


def test_the_first_description_wins() -> None:
    """A second one changes nothing."""
    body = part("application/sdp", b"v=0 first") + part("application/sdp", b"v=0 second") + b"--b--"
    assert read("multipart/mixed;boundary=b", body).sdp == b"v=0 first"


@pytest.mark.parametrize("content_type", [OLD, NEW, "Application/RS-Metadata+XML; charset=utf-8"])
def test_metadata_may_be_the_whole_body(content_type: str) -> None:
    """As BroadWorks, Webex and Avaya send it."""
    found = read(content_type, b"<recording/>", "recording-session")
    assert (found.sdp, len(found.metadata), found.unsupported) == (None, 1, None)


@pytest.mark.parametrize(
    ("disposition", "unsupported"),
    [("signal;handling=required", "application/gtd"), ("signal; handling=optional", None), ("signal", None)],
)
def test_a_strange_part_counts_only_where_its_sender_insists(
    disposition: str, unsupported: str | None
) -> None:
    """Vendors put their own beside the description."""
    body = part("application/sdp", b"v=0") + part("application/gtd", b"x", disposition) + b"--b--"
    assert read("multipart/mixed;boundary=b", body).unsupported == unsupported


def test_a_strange_whole_body_counts_unless_it_is_optional() -> None:
    """RFC 3261 section 20.11: required is the default."""
    assert read("application/gtd", b"x").unsupported == "application/gtd"
    assert read("application/gtd", b"x", "signal;handling=optional").unsupported is None
    assert read("", b"x").unsupported == "?"


def test_no_body_is_nothing_and_no_type_may_be_a_description() -> None:
    """Both are seen."""
    assert read("", b"") == OfferBody(None, (), None, b"")
    assert read("application/sdp", b"\r\n").sdp is None
    assert read("", b"v=0\r\n").sdp == b"v=0\r\n"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), st.binary(max_size=200))
def test_no_body_raises(boundary: str, body: bytes) -> None:
    """Whatever it is, all of it can be searched."""
    clean = "".join(item for item in boundary if item.isprintable())
    found = read(f"multipart/mixed;boundary={clean}", body)
    assert found.raw == body
    assert body in found.bodies
