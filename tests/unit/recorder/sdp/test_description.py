"""Descriptions are read leniently, written exactly, and survive the way there and back."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.sdp.description import (
    ATTRIBUTE_COUNT_MAX,
    DESCRIPTION_BYTES_MAX,
    MEDIA_COUNT_MAX,
    Attribute,
    Connection,
    MediaDescription,
    Origin,
    SessionDescription,
    UnreadableDescription,
)

TWO_STREAMS = b"""v=0\r
o=client 123 456 IN IP4 192.0.2.10\r
s=-\r
c=IN IP4 192.0.2.10\r
t=0 0\r
m=audio 40000 RTP/AVP 8 101\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:101 telephone-event/8000\r
a=sendonly\r
a=label:1\r
m=audio 40002 RTP/AVP 8\r
c=IN IP6 2001:db8::1\r
a=label:2\r
"""

TOKENS = st.text(string.ascii_letters + string.digits + "-._", min_size=1, max_size=12)
CONNECTIONS = st.builds(Connection, TOKENS, st.sampled_from(["IP4", "IP6"]))
ATTRIBUTES = st.lists(
    st.builds(Attribute, TOKENS.map(lambda token: f"x{token}"), st.none() | TOKENS), max_size=4
).map(tuple)
MEDIA = st.builds(
    MediaDescription,
    st.sampled_from(["audio", "video", "message", "application"]),
    st.integers(0, 65535),
    st.sampled_from(["RTP/AVP", "RTP/SAVP", "TCP/MSRP"]),
    st.lists(TOKENS, min_size=1, max_size=5).map(tuple),
    ATTRIBUTES,
    st.none() | CONNECTIONS,
)
DESCRIPTIONS = st.builds(
    SessionDescription,
    st.builds(Origin, TOKENS, TOKENS, TOKENS, CONNECTIONS),
    st.lists(MEDIA, max_size=6).map(tuple),
    st.none() | CONNECTIONS,
    ATTRIBUTES,
    TOKENS,
    st.just("0 0"),
)


def test_a_description_is_read_stream_by_stream() -> None:
    """Lines belong to the last m= line before them."""
    description = SessionDescription.parse(TWO_STREAMS)
    first, second = description.media
    assert description.origin_version == "123 456"
    assert (first.kind, first.port, first.protocol, first.formats) == (
        "audio",
        40000,
        "RTP/AVP",
        ("8", "101"),
    )
    assert first.attribute_values("rtpmap") == ("8 PCMA/8000", "101 telephone-event/8000")
    assert description.direction_of(first) == "sendonly"
    assert description.direction_of(second) == "sendrecv"
    assert description.connection_of(first) == Connection("192.0.2.10")
    assert description.connection_of(second) == Connection("2001:db8::1", "IP6")
    assert first.attribute("label") == "1"
    assert first.attribute("ptime") is None


@settings(max_examples=100, deadline=None)
@given(DESCRIPTIONS)
def test_what_is_written_is_read_back(description: SessionDescription) -> None:
    """Reading undoes writing, for every description that has an o= line."""
    assert SessionDescription.parse(description.to_bytes()) == description


@settings(max_examples=50, deadline=None)
@given(DESCRIPTIONS, st.sampled_from([b"\n", b"\r"]), st.booleans())
def test_line_ends_do_not_matter(description: SessionDescription, end: bytes, cut: bool) -> None:
    """Bare LF or CR, and a last line without its end, mean the same."""
    text = description.to_bytes().replace(b"\r\n", end)
    assert SessionDescription.parse(text[:-1] if cut else text) == description


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300) | st.text("voscmta=:0 \n1audioRTP/AVP", max_size=200).map(str.encode))
def test_any_octets_are_read_or_refused(text: bytes) -> None:
    """There is no third way out."""
    try:
        description = SessionDescription.parse(text)
    except UnreadableDescription:
        return
    again = SessionDescription.parse(description.to_bytes())
    assert [media.kind for media in again.media] == [media.kind for media in description.media]


def test_session_direction_holds_for_streams_without_one() -> None:
    """RFC 8866 section 6.7."""
    text = TWO_STREAMS.replace(b"t=0 0\r\n", b"t=0 0\r\na=INACTIVE\r\n")
    description = SessionDescription.parse(text)
    assert [description.direction_of(media) for media in description.media] == ["sendonly", "inactive"]


def test_spaces_where_none_belong_are_forgiven() -> None:
    """Cisco's guide prints `a= label:1`."""
    description = SessionDescription.parse(b"o=- 1 1 IN IP4 h\nm = audio  4000/2 RTP/AVP  0 \na= label: 1\n")
    (media,) = description.media
    assert (media.port, media.formats, media.attribute("label")) == (4000, ("0",), "1")


def test_an_origin_cut_short_keeps_what_it_says() -> None:
    """Missing fields at its end get defaults."""
    description = SessionDescription.parse(b"o=BroadWorks 77 3\nm=audio 1 RTP/AVP 8\n")
    assert description.origin_version == "77 3"
    assert description.origin.connection.on_hold


@pytest.mark.parametrize(
    ("address", "expected"), [("0.0.0.0", True), ("::", True), ("192.0.2.1", False), ("x.invalid", False)]
)
def test_hold_by_address_is_seen(address: str, expected: bool) -> None:
    """The unspecified address means that nothing is sent."""
    assert Connection(address).on_hold is expected


def test_octets_that_are_no_utf8_come_back_unchanged() -> None:
    """A Latin-1 session name is no reason to refuse a call."""
    text = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=caf\xe9\r\nt=0 0\r\nm=audio 1 RTP/AVP 8\r\n"
    assert SessionDescription.parse(text).to_bytes() == text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<recording/>",
        b"v=0\ns=-\n",
        b"o=- 1 1 IN IP4 h\nm=audio\n",
        b"o=- 1 1 IN IP4 h\nm=audio x RTP/AVP 0\n",
        b"o=- 1 1 IN IP4 h\nm=audio 65536 RTP/AVP 0\n",
        b"o=- 1 1 IN IP4 h\nm=audio -1 RTP/AVP 0\n",
        "o=- 1 1 IN IP4 h\nm=audio ٣ RTP/AVP 0\n".encode(),
    ],
)
def test_what_has_no_meaning_is_refused(text: bytes) -> None:
    """The error is the peer's, so that it is answered with a status."""
    with pytest.raises(UnreadableDescription, match="peer"):
        SessionDescription.parse(text)


def test_a_description_may_be_as_large_as_the_limit() -> None:
    """At the limit it is read, above it is refused."""
    padding = DESCRIPTION_BYTES_MAX - len(TWO_STREAMS)
    SessionDescription.parse(TWO_STREAMS + b"x" * padding)
    with pytest.raises(UnreadableDescription, match="octets"):
        SessionDescription.parse(TWO_STREAMS + b"x" * (padding + 1))


def test_a_description_may_have_as_many_streams_as_the_limit() -> None:
    """At the limit it is read, above it is refused."""
    stream = b"m=audio 1 RTP/AVP 0\n"
    assert len(SessionDescription.parse(stream * MEDIA_COUNT_MAX).media) == MEDIA_COUNT_MAX
    with pytest.raises(UnreadableDescription, match="streams"):
        SessionDescription.parse(stream * (MEDIA_COUNT_MAX + 1))


def test_a_description_may_have_as_many_attributes_as_the_limit() -> None:
    """At the limit it is read, above it is refused."""
    SessionDescription.parse(b"m=audio 1 RTP/AVP 0\n" + b"a=x\n" * ATTRIBUTE_COUNT_MAX)
    with pytest.raises(UnreadableDescription, match="attributes"):
        SessionDescription.parse(b"m=audio 1 RTP/AVP 0\n" + b"a=x\n" * (ATTRIBUTE_COUNT_MAX + 1))
