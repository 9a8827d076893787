"""The timeline knows of a payload type what was negotiated, or what RFC 3551 says."""

from recorder.rtp.payload_format import Kind, payload_formats


def test_what_was_negotiated_wins_over_the_static_table() -> None:
    """Names are compared in upper case; a payload type may mean something else in one call."""
    formats = payload_formats({"8": "pcmu/8000", "96": "opus/48000/2", "101": "telephone-event/8000"})
    assert formats[8].kind is Kind.MU_LAW
    assert (formats[96].name, formats[96].clock_rate_hz, formats[96].kind) == ("OPUS", 48000, Kind.OPAQUE)
    assert formats[101].kind is Kind.EVENT


def test_static_payload_types_need_no_rtpmap() -> None:
    """PCMU, PCMA, comfort noise and G.729 are known by number."""
    formats = payload_formats({})
    assert [formats[n].kind for n in (0, 8, 13, 18)] == [
        Kind.MU_LAW,
        Kind.A_LAW,
        Kind.COMFORT_NOISE,
        Kind.OPAQUE,
    ]
    assert formats[18].name == "G729"


def test_what_nobody_named_is_opaque_and_never_refused() -> None:
    """An unknown payload type, a broken rtpmap and G.711 at another rate are kept as they came."""
    formats = payload_formats({"97": "X/0", "98": "PCMA/16000", "99": "PCMA/8000/2"})
    assert len(formats) == 128
    assert (formats[77].name, formats[77].kind) == ("PT77", Kind.OPAQUE)
    assert (formats[97].clock_rate_hz, formats[97].kind) == (8000, Kind.OPAQUE)
    assert formats[98].kind is formats[99].kind is Kind.OPAQUE
