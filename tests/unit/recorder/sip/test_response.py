"""Responses: what they copy, and the way they go."""

from __future__ import annotations

import pytest

from recorder.errors import LocalDefect
from recorder.sip.message import Flow, Request
from recorder.sip.parser import parse
from recorder.sip.response import make_response, way_back

FLOW = Flow("udp", ("10.0.0.1", 5060), ("10.0.0.2", 6000))


def request(via: str = "SIP/2.0/UDP 10.0.0.2:5090;branch=z9hG4bKx", to: str = "<sip:a@b>") -> Request:
    text = (
        f'INVITE sip:a SIP/2.0\r\nVia: {via}\r\nVia: SIP/2.0/UDP p1, SIP/2.0/UDP p2\r\nFrom: "N" <sip:c@d>;tag=1\r\n'
        f"To: {to}\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\nRecord-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\n"
        "Timestamp: 54\r\n\r\n"
    )  # fmt: skip
    message = parse(text.encode())
    assert isinstance(message, Request)
    return message


def test_a_response_copies_the_way_and_the_identity_of_its_request() -> None:
    response = make_response(request(), FLOW, 200, tag="t")
    assert response.headers.all("Via") == (
        "SIP/2.0/UDP 10.0.0.2:5090;branch=z9hG4bKx",
        "SIP/2.0/UDP p1",
        "SIP/2.0/UDP p2",
    )
    assert response.headers.first("From") == '"N" <sip:c@d>;tag=1'
    assert response.headers.first("To") == "<sip:a@b>;tag=t"
    assert response.headers.all("Record-Route") == ("<sip:p1;lr>", "<sip:p2;lr>")
    assert (response.headers.first("Call-ID"), response.headers.first("CSeq")) == ("i", "1 INVITE")
    assert "Timestamp" not in response.headers


def test_100_has_no_tag_and_echoes_the_timestamp() -> None:
    response = make_response(request(), FLOW, 100, tag="t")
    assert response.headers.first("To") == "<sip:a@b>"
    assert response.headers.first("Timestamp") == "54"
    assert "Record-Route" not in response.headers


def test_a_to_with_a_tag_keeps_it() -> None:
    assert (
        make_response(request(to="<sip:a@b>;tag=x"), FLOW, 200, tag="t").headers.first("To")
        == "<sip:a@b>;tag=x"
    )


def test_a_content_type_given_is_the_only_one() -> None:
    response = make_response(
        request(), FLOW, 200, tag="t", headers=[("c", "a/b")], body=b"x", content_type="c/d"
    )
    assert response.headers.all("Content-Type") == ("c/d",)


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\x00b"])
def test_a_value_with_a_line_break_is_our_defect(value: str) -> None:
    with pytest.raises(LocalDefect):
        make_response(request(), FLOW, 200, tag="t", headers=[("X", value)])


@pytest.mark.parametrize(
    ("via", "flow", "remote"),
    [
        ("SIP/2.0/UDP 10.0.0.2:5090;branch=b", FLOW, ("10.0.0.2", 5090)),
        ("SIP/2.0/UDP 10.0.0.2;branch=b", FLOW, ("10.0.0.2", 5060)),
        ("SIP/2.0/UDP 10.0.0.2:0;branch=b", FLOW, ("10.0.0.2", 5060)),
        ("SIP/2.0/UDP 10.6.6.6:5090;branch=b", FLOW, ("10.0.0.2", 5090)),
        ("SIP/2.0/UDP 10.0.0.2:5090;rport;branch=b", FLOW, ("10.0.0.2", 6000)),
        ("SIP/2.0/TCP 10.0.0.2:5090;branch=b", FLOW._replace(transport="tcp"), ("10.0.0.2", 6000)),
        ("nonsense", FLOW, ("10.0.0.2", 6000)),
    ],
)
def test_the_way_back_is_by_rport_connection_or_the_port_of_the_via(
    via: str, flow: Flow, remote: tuple[str, int]
) -> None:
    assert way_back(request(via), flow).remote == remote
