"""Which payload types of a stream are accepted, and in what order."""

from __future__ import annotations

import pytest

from recorder.sdp.codecs import CLOCK_RATE_HZ_MAX, payload_types
from recorder.sdp.description import SessionDescription


def accepted(formats: str, *attributes: str) -> dict[int, str]:
    """Return the payload types accepted of one audio stream."""
    lines = [f"m=audio 4000 RTP/AVP {formats}", *(f"a={attribute}" for attribute in attributes)]
    return payload_types(SessionDescription.parse("\n".join(lines).encode()).media[0])


def test_static_payload_types_need_no_rtpmap() -> None:
    """Metaswitch and BroadWorks send none (RFC 3551 section 6)."""
    assert accepted("18 0 8") == {0: "PCMU/8000", 8: "PCMA/8000", 18: "G729/8000"}


def test_g711_comes_first_and_events_last() -> None:
    """G.711 is kept octet for octet, so the client is asked for it; the rest may still be sent."""
    types = accepted(
        "111 101 0 8 9 107 13",
        "rtpmap:111 opus/48000/2",
        "rtpmap:101 telephone-event/8000",
        "rtpmap:107 telephone-event/48000",
    )
    assert list(types) == [0, 8, 111, 9, 101, 107, 13]
    assert types[111] == "opus/48000/2"


@pytest.mark.parametrize(
    "encoding",
    [
        "PCMA/8000",
        "pcmu/8000",
        "G722/8000",
        "G729/8000",
        "opus/48000/2",
        "AMR/8000",
        "AMR-WB/16000",
        "GSM/8000",
        "iLBC/8000",
    ],
)
def test_every_codec_of_the_list_is_known(encoding: str) -> None:
    """A known codec is taken and an unknown one beside it is not."""
    assert accepted("96 97", f"rtpmap:96 {encoding}", "rtpmap:97 X-MYSTERY/8000") == {96: encoding}


def test_unknown_codecs_are_taken_when_there_is_no_other() -> None:
    """Their packets are archived as they came."""
    assert accepted("96 97 101", "rtpmap:96 EVS/16000", "rtpmap:101 telephone-event/8000") == {
        96: "EVS/16000",
        97: "unknown-97/8000",
        101: "telephone-event/8000",
    }


@pytest.mark.parametrize("formats", ["101", "13 19", "", "* x 300 -1"])
def test_events_and_noise_alone_are_no_audio(formats: str) -> None:
    """Nothing could be heard of such a stream."""
    assert accepted(formats, "rtpmap:101 telephone-event/8000") == {}


def test_an_rtpmap_overrules_the_static_table() -> None:
    """What the peer says of its own payload type counts."""
    assert accepted("19 8", "rtpmap:19 AMR/8000", "rtpmap:8 PCMA/16000") == {8: "PCMA/16000", 19: "AMR/8000"}


def test_clock_rates_reach_to_their_limit() -> None:
    """Above the limit, and at zero, the rtpmap counts for nothing."""
    assert accepted("96", f"rtpmap:96 opus/{CLOCK_RATE_HZ_MAX}") == {96: f"opus/{CLOCK_RATE_HZ_MAX}"}
    assert accepted("96", f"rtpmap:96 opus/{CLOCK_RATE_HZ_MAX + 1}") == {96: "unknown-96/8000"}
    assert accepted("96", "rtpmap:96 opus/0") == {96: "unknown-96/8000"}
