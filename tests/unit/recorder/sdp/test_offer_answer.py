"""Offers of every dialect get the answer a session recording server owes them."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.sdp.description import MEDIA_COUNT_MAX, MediaDescription, SessionDescription
from recorder.sdp.offer_answer import (
    AUDIO_STREAMS_MAX,
    DISCARD_PORT,
    LABEL_CHARS_MAX,
    PTIME_MS_DEFAULT,
    PTIME_MS_MAX,
    UnusableOffer,
    answer,
    delayed_offer,
    inactive_answer,
    negotiate,
)

ADDRESS = "198.51.100.1"

CUBE = """v=0
o=CiscoSystemsSIP-GW-UserAgent 2105 8140 IN IP4 192.0.2.20
s=SIP Call
t=0 0
m=audio 16384 RTP/AVP 0 101 19
c=IN IP4 192.0.2.20
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=rtpmap:19 CN/8000
a=ptime:20
a=sendonly
a= label:1
m=audio 16386 RTP/AVP 0 101 19
c=IN IP4 192.0.2.20
a=rtpmap:0 PCMU/8000
a=sendonly
a=label:2
m=video 16388 RTP/AVP 97
c=IN IP4 192.0.2.20
a=rtpmap:97 H264/90000
a=sendonly
a=label:3
"""
METASWITCH = """v=0
o=- 3 3 IN IP4 0.0.0.0
s=-
c=IN IP4 0.0.0.0
t=0 0
m=audio 30000 RTP/AVP 18 0 8
a=label:1
"""
SECURE = """v=0
o=- 1 1 IN IP4 192.0.2.1
s=-
c=IN IP4 192.0.2.1
t=0 0
m=audio 30000 RTP/SAVP 8
a=crypto:1 UNKNOWN_SUITE inline:AAAA
a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
a=sendonly
a=label:1
"""


def parsed(text: str) -> SessionDescription:
    return SessionDescription.parse(text.encode())


def offered(*streams: str) -> SessionDescription:
    """Return an offer of streams given as their lines, separated by `|`."""
    return parsed("o=- 1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\n" + "\n".join(streams).replace("|", "\n"))


def answered(offer: SessionDescription, *, inactive: bool = False) -> SessionDescription:
    """Negotiate and answer with ports from 20000 on."""
    proposals = negotiate(offer)
    ports = {proposal.position: 20000 + 2 * proposal.position for proposal in proposals if proposal.accepted}
    return answer(offer, proposals, ports, address=ADDRESS, session_id=7, version=1, inactive=inactive)


def test_each_stream_is_answered_in_its_place() -> None:
    """Audio is received, video is refused with port 0, labels come back (RFC 3264 section 6)."""
    answer_ = answered(parsed(CUBE))
    assert [(media.kind, media.port, media.protocol) for media in answer_.media] == [
        ("audio", 20000, "RTP/AVP"),
        ("audio", 20002, "RTP/AVP"),
        ("video", 0, "RTP/AVP"),
    ]
    assert [media.attribute("label") for media in answer_.media] == ["1", "2", "3"]
    assert [media.own_direction for media in answer_.media] == ["recvonly", "recvonly", None]


def test_the_answer_is_exactly_this() -> None:
    """The whole of it, octet for octet, for one stream."""
    offer = offered(
        "m=audio 4000 RTP/AVP 8 101|a=rtpmap:101 telephone-event/8000|a=fmtp:101 0-15|a=fmtp:96 x"
        "|a=ptime:30|a=rtcp-mux|a=candidate:1 1 UDP 1 192.0.2.1 4000 typ host|a=sendonly|a=label:inbound"
    )
    assert answered(offer).to_bytes() == (
        b"v=0\r\no=earwitness 7 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n"
        b"m=audio 20000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        b"a=fmtp:101 0-15\r\na=ptime:30\r\na=rtcp-mux\r\na=recvonly\r\na=label:inbound\r\n"
    )


@pytest.mark.parametrize(
    ("attribute", "connection", "direction", "active"),
    [
        ("sendonly", "192.0.2.1", "recvonly", True),
        ("sendrecv", "192.0.2.1", "recvonly", True),
        ("x-none", "192.0.2.1", "recvonly", True),
        ("recvonly", "192.0.2.1", "inactive", False),
        ("inactive", "192.0.2.1", "inactive", False),
        ("sendonly", "0.0.0.0", "recvonly", False),
        ("inactive", "0.0.0.0", "inactive", False),
    ],
)
def test_the_answer_mirrors_the_direction(
    attribute: str, connection: str, direction: str, active: bool
) -> None:
    """A recorder receives or does nothing; hold by address keeps the stream but stops it."""
    offer = offered(f"m=audio 4000 RTP/AVP 8|c=IN IP4 {connection}|a={attribute}|a=label:1")
    (proposal,) = negotiate(offer)
    assert (proposal.accepted, proposal.active, proposal.direction) == (True, active, direction)
    assert answered(offer).media[0].own_direction == direction


def test_a_held_mixed_stream_without_rtpmaps_or_direction_is_accepted() -> None:
    """Metaswitch: one stream, static payload types, c=0.0.0.0."""
    (proposal,) = negotiate(parsed(METASWITCH))
    assert proposal.accepted
    assert not proposal.active
    assert list(proposal.payload_types) == [0, 8, 18]


def test_missing_and_repeated_labels_are_made_up() -> None:
    """Made-up labels never collide with offered ones, and are not put into the answer."""
    audio = "m=audio 4000 RTP/AVP 8|a=sendonly"
    offer = offered(
        audio, f"{audio}|a=label:1", f"{audio}|a=label:1", f"{audio}|a=label:caf\u00e9", f"{audio}|a=label:0"
    )
    proposals = negotiate(offer)
    assert [proposal.label for proposal in proposals] == ["2", "1", "3", "4", "0"]
    assert [proposal.label_synthesised for proposal in proposals] == [True, False, True, True, False]
    assert answered(offer).media[0].attribute("label") is None


def test_a_label_is_as_long_as_its_limit_allows() -> None:
    """Above the limit it is replaced."""
    fits, too_long = "x" * LABEL_CHARS_MAX, "y" * (LABEL_CHARS_MAX + 1)
    proposals = negotiate(
        offered(f"m=audio 1 RTP/AVP 8|a=label:{fits}", f"m=audio 1 RTP/AVP 8|a=label:{too_long}")
    )
    assert [proposal.label for proposal in proposals] == [fits, "2"]


@pytest.mark.parametrize(
    ("ptime", "expected"),
    [("10", 10), ("60", 60), ("20.0", 20), (str(PTIME_MS_MAX), PTIME_MS_MAX)]
    + [(text, PTIME_MS_DEFAULT) for text in (str(PTIME_MS_MAX + 1), "0", "-20", "", "x", "9999999999")],
)
def test_packet_times_make_sense_or_are_20_ms(ptime: str, expected: int) -> None:
    """A peer's odd number never becomes a length of time."""
    assert negotiate(offered(f"m=audio 1 RTP/AVP 8|a=ptime:{ptime}"))[0].ptime_ms == expected


def test_any_number_of_streams_is_accepted_to_the_limit() -> None:
    """One stream more is refused on its own; the others stay."""
    offer = offered(*["m=audio 4000 RTP/AVP 8|a=sendonly"] * (AUDIO_STREAMS_MAX + 1))
    proposals = negotiate(offer)
    assert sum(proposal.accepted for proposal in proposals) == AUDIO_STREAMS_MAX
    assert proposals[-1].refusal is not None
    assert answered(offer).media[-1].port == 0


@pytest.mark.parametrize(
    ("stream", "srtp", "code"),
    [
        ("m=video 4000 RTP/AVP 97", "off", "304"),
        ("m=message 4000 TCP/MSRP *", "off", "304"),
        ("m=audio 4000 RTP/SAVP 8", "off", "302"),
        ("m=audio 4000 RTP/SAVPF 8", "allow", "302"),
        ("m=audio 4000 UDP/TLS/RTP/SAVP 8", "allow", "302"),
        ("m=audio 4000 RTP/AVP 8", "require", "302"),
        ("m=audio 4000 RTP/AVP 101|a=rtpmap:101 telephone-event/8000", "off", "305"),
    ],
)
def test_an_offer_without_usable_audio_gets_488(stream: str, srtp: str, code: str) -> None:
    """The Warning says why (RFC 3261 section 20.43)."""
    with pytest.raises(UnusableOffer) as raised:
        negotiate(offered(stream), srtp=srtp)
    assert raised.value.status == 488
    assert re.fullmatch(rf'{code} earwitness "[^"]+"', raised.value.warning)


def test_an_offer_without_streams_gets_488() -> None:
    """There is nothing to record in it."""
    with pytest.raises(UnusableOffer, match="no audio stream"):
        negotiate(parsed("o=- 1 1 IN IP4 192.0.2.1\n"))


def test_a_secure_stream_beside_a_plain_one_is_refused_alone() -> None:
    """One refusal does not cost the other stream."""
    first, second = negotiate(offered("m=audio 4000 RTP/SAVP 8", "m=audio 4002 RTP/AVP 8"))
    assert (first.accepted, second.accepted) == (False, True)
    assert first.refusal is not None
    assert "SRTP" in first.refusal
    assert first.payload_types == {}


def test_streams_closed_by_the_client_are_answered_in_kind() -> None:
    """A re-INVITE may close every stream without ending the session."""
    offer = offered("m=audio 0 RTP/AVP 8|a=label:1")
    (proposal,) = negotiate(offer)
    assert not proposal.accepted
    assert answered(offer).media[0].port == 0


def test_addresses_of_either_family_stand_in_the_answer() -> None:
    """IPv6 offers are answered with IP6."""
    offer = offered("m=audio 4000 RTP/AVP 8|c=IN IP6 2001:db8::5")
    text = answer(offer, negotiate(offer), {0: 4}, address="2001:db8::1", session_id=1, version=2).to_bytes()
    assert b"c=IN IP6 2001:db8::1\r\n" in text
    assert b"o=earwitness 1 2 IN IP6 2001:db8::1\r\n" in text


def test_an_inactive_answer_keeps_audio_and_receives_nothing() -> None:
    """No audio gets port 0, so that the client keeps the session."""
    answer_ = SessionDescription.parse(inactive_answer(CUBE.encode(), ADDRESS))
    assert [media.port for media in answer_.media] == [DISCARD_PORT, DISCARD_PORT, 0]
    assert [media.own_direction for media in answer_.media] == ["inactive"] * 3
    assert [media.attribute("label") for media in answer_.media] == ["1", "2", "3"]


def test_a_late_inactive_answer_stays_on_the_ports_it_had() -> None:
    """The sockets are bound already; their packets are discarded."""
    offer = parsed(METASWITCH)
    text = answer(offer, (), {0: 20000}, address=ADDRESS, session_id=1, version=2, inactive=True)
    assert (text.media[0].port, text.media[0].own_direction) == (20000, "inactive")


def test_a_secure_stream_answered_inactive_has_one_key_of_its_own() -> None:
    """RFC 4568 section 5.1.2: the tag of the chosen line comes back, with a fresh key."""
    answers = [SessionDescription.parse(inactive_answer(SECURE.encode(), ADDRESS)) for _ in range(2)]
    cryptos = [answer_.media[0].attribute_values("crypto") for answer_ in answers]
    assert cryptos[0] != cryptos[1]
    (crypto,) = cryptos[0]
    tag, suite, key = crypto.split()
    assert (tag, suite) == ("2", "AES_CM_128_HMAC_SHA1_80")
    assert len(base64.b64decode(key.removeprefix("inline:"))) == 30


@pytest.mark.parametrize("body", [None, b"", b"garbage", b"\xff\xfe\x00", b"v=0\r\n", b"x" * 100_000])
def test_no_usable_offer_still_gets_an_inactive_stream(body: bytes | None) -> None:
    """A 4xx could make a client drop an emergency call."""
    answer_ = SessionDescription.parse(inactive_answer(body, ADDRESS))
    assert [(media.kind, media.port, media.own_direction) for media in answer_.media] == [
        ("audio", DISCARD_PORT, "inactive")
    ]


def test_the_streams_of_a_broken_offer_are_counted_as_far_as_they_can_be_read() -> None:
    """An answer with another number of m= lines would be no answer."""
    body = b"o=- 1 1\nm=audio x RTP/AVP 8\nm=video 4002 RTP/AVP 97\nm=audio 4004 RTP/AVP 8\n"
    answer_ = SessionDescription.parse(inactive_answer(body, ADDRESS))
    assert [(media.kind, media.port) for media in answer_.media] == [
        ("audio", DISCARD_PORT),
        ("video", 0),
        ("audio", DISCARD_PORT),
    ]
    many = inactive_answer(b"m=audio 4000 RTP/AVP 8\n" * (MEDIA_COUNT_MAX + 1), ADDRESS)
    assert len(SessionDescription.parse(many).media) == MEDIA_COUNT_MAX


SDP_PIECES = st.sampled_from(
    ["m=audio 4000 RTP/AVP 8", "m=audio 4000 RTP/SAVP 8", "m=", "m=audio", "m=\x00 1 2", "a=crypto:1", "a=crypto: AES_CM_128_HMAC_SHA1_80",
     "a=crypto:1 AEAD_AES_256_GCM inline:x", "a=rtpmap:8", "a=rtpmap:999 x/8000", "a=fmtp:", "a=label", "a=label:\udcff", "c=IN IP4", "o=", "o=a", "t="]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=400)
    | st.lists(SDP_PIECES | st.text(max_size=20), max_size=12).map(
        lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")
    )
)
def test_an_inactive_answer_never_fails(body: bytes) -> None:
    """Whatever octets came, there is an answer, it can be read, and nothing in it is received."""
    answer_ = SessionDescription.parse(inactive_answer(body, ADDRESS))
    assert answer_.media
    assert all(media.own_direction == "inactive" for media in answer_.media)


STREAMS = st.builds(
    MediaDescription,
    st.sampled_from(["audio", "audio", "video"]),
    st.integers(1, 65535),
    st.sampled_from(["RTP/AVP", "RTP/AVP", "RTP/SAVP"]),
    st.lists(st.sampled_from(["0", "8", "9", "18", "96", "101"]), min_size=1, max_size=4, unique=True).map(
        tuple
    ),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(STREAMS, min_size=1, max_size=8))
def test_answers_match_their_offers_line_by_line(streams: list[MediaDescription]) -> None:
    """Same count, order, type and profile; accepted formats are among those offered."""
    offer = SessionDescription(parsed(CUBE).origin, tuple(streams))
    try:
        answer_ = answered(offer)
    except UnusableOffer:
        assert not any(media.kind == "audio" and media.protocol == "RTP/AVP" for media in streams)
        return
    answer_ = SessionDescription.parse(answer_.to_bytes())
    assert len(answer_.media) == len(streams)
    for media, stream in zip(answer_.media, streams, strict=True):
        assert (media.kind, media.protocol) == (stream.kind, stream.protocol)
        assert set(media.formats) <= set(stream.formats)


def test_our_own_offer_receives_g711_and_events() -> None:
    """For an INVITE without a description; its answer comes with the ACK."""
    offer = delayed_offer(ADDRESS, 20000, 9)
    (media,) = offer.media
    assert (media.port, media.formats, media.own_direction) == (20000, ("8", "0", "101"), "recvonly")
    assert offer.origin_version == "9 1"


@pytest.mark.parametrize("inactive", [False, True])
def test_our_own_offer_says_whether_it_receives(inactive: bool) -> None:
    """An exempt call without an offer gets one of ours that receives nothing."""
    (media,) = delayed_offer(ADDRESS, DISCARD_PORT, 9, inactive=inactive).media
    assert (media.own_direction == "inactive") is inactive


def test_an_accepted_stream_without_a_port_is_our_own_defect() -> None:
    """It must not leave as port 0."""
    offer = parsed(METASWITCH)
    with pytest.raises(KeyError):
        answer(offer, negotiate(offer), {}, address=ADDRESS, session_id=1, version=1)
