"""Reading messages: forgiving in form, every fault noted, every limit kept."""

from __future__ import annotations

import pytest

from recorder.sip.grammar import (
    BODY_SIZE_BYTES_MAX,
    FORWARDS_MAX,
    HEADER_COUNT_MAX,
    HEADER_LINE_SIZE_BYTES_MAX,
    HEADERS_SIZE_BYTES_MAX,
    SEQUENCE_NUMBER_MAX,
)
from recorder.sip.message import Defect, Request, Response
from recorder.sip.parser import NotSip, parse

HEAD = (
    b"OPTIONS sip:a@b SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\n"
    b"From: <sip:c@d>;tag=1\r\n"
    b"To: <sip:a@b>\r\n"
    b"Call-ID: i\r\n"
    b"CSeq: 1 OPTIONS\r\n"
)


def read(more: bytes = b"", body: bytes = b"", head: bytes = HEAD) -> Request:
    request = parse(head + more + b"\r\n" + body)
    assert isinstance(request, Request)
    return request


def statuses(request: Request) -> list[int]:
    return [defect.status for defect in request.defects]


def test_a_plain_request_has_no_defects() -> None:
    request = read(b"Max-Forwards: 255\r\nContent-Length: 2\r\n", b"hi")
    assert request.defects == ()
    assert (request.method, request.uri, request.body) == ("OPTIONS", "sip:a@b", b"hi")
    assert (request.call_id, request.cseq.number, request.from_address.tag) == ("i", 1, "1")


def test_forms_that_are_only_unusual_are_no_defects() -> None:
    data = (
        b"\r\n\r\nINVITE sip:a@b SIP/2.0\n"
        b"v:SIP/2.0/UDP h\n ;branch=z9hG4bKx\n"
        b'f:"J \\"R\\" <x>" <sip:c@d>\r\n\t;tag=1\r\n'
        b"T : <sip:a@b>\r\n"
        b"i:i\r\ncseq:1\r\n  INVITE\r\n"
        b"k: a,b\r\nk:c\r\nc:application/sdp\r\nl:3\r\n\r\nv=0"
    )  # fmt: skip
    request = parse(data)
    assert isinstance(request, Request)
    assert request.defects == ()
    assert request.from_address.name == 'J "R" <x>'
    assert request.from_address.tag == "1"
    assert request.headers.values("Supported") == ("a", "b", "c")
    assert request.carries_sdp


@pytest.mark.parametrize(
    ("length", "body", "kept", "defects"),
    [
        (b"", b"hello", b"hello", []),
        (b"l: 2\r\n", b"hello", b"he", []),
        (b"l: 6\r\n", b"hello", b"hello", [400]),
        (b"l: -1\r\n", b"hello", b"hello", [400]),
        (b"l: five\r\n", b"hello", b"hello", [400]),
        (b"l: 5\r\nContent-Length: 5\r\n", b"hello", b"hello", [400]),
        (b"l: 99999999999\r\n", b"hello", b"hello", [400]),
        (b"l: 300000\r\n", b"hello", b"hello", [413]),
    ],
)
def test_content_length_and_the_body_must_agree(
    length: bytes, body: bytes, kept: bytes, defects: list[int]
) -> None:
    request = read(length, body)
    assert request.body == kept
    assert statuses(request) == defects


def test_body_size_bytes_max_is_read_and_not_one_octet_more() -> None:
    at = read(b"l: %d\r\n" % BODY_SIZE_BYTES_MAX, b"x" * BODY_SIZE_BYTES_MAX)
    assert (len(at.body), statuses(at)) == (BODY_SIZE_BYTES_MAX, [])
    for length in (b"l: %d\r\n" % (BODY_SIZE_BYTES_MAX + 1), b""):
        above = read(length, b"x" * (BODY_SIZE_BYTES_MAX + 1))
        assert (len(above.body), statuses(above)) == (BODY_SIZE_BYTES_MAX, [413])


def test_header_count_max_is_read_and_not_one_more() -> None:
    at = read(b"X-F: y\r\n" * (HEADER_COUNT_MAX - 5))
    assert (len(at.headers), statuses(at)) == (HEADER_COUNT_MAX, [])
    above = read(b"X-F: y\r\n" * (HEADER_COUNT_MAX - 4))
    assert (len(above.headers), statuses(above)) == (HEADER_COUNT_MAX, [400])


def test_header_line_size_bytes_max_is_read_and_the_rest_cut_off() -> None:
    fill = HEADER_LINE_SIZE_BYTES_MAX - len("X-F: \r")
    at = read(b"X-F: " + b"y" * fill + b"\r\n")
    assert (len(at.headers.first("X-F")), statuses(at)) == (fill, [])
    above = read(b"X-F: " + b"y" * (fill + 2) + b"\r\n")
    assert statuses(above) == [400]
    folded = read(b"X-F: y\r\n" + b" yyyyyyyy\r\n" * 2000)
    assert statuses(folded) == [400]
    assert len(folded.headers.first("X-F")) <= HEADER_LINE_SIZE_BYTES_MAX


def test_headers_size_bytes_max_is_read_and_above_it_513() -> None:
    line = b"X-F: " + b"y" * 993 + b"\r\n"
    room = HEADERS_SIZE_BYTES_MAX - len(HEAD)
    rest = room % len(line)
    filled = line * (room // len(line)) + b"X-G: " + b"y" * (rest - 6) + b"\r\n"
    at = read(filled)
    assert statuses(at) == []
    above = read(filled.replace(b"X-G: ", b"X-G: yy"))
    assert statuses(above) == [513]
    assert above.method == "OPTIONS"


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_a_missing_mandatory_field_is_a_defect(name: str) -> None:
    head = b"\r\n".join(line for line in HEAD.split(b"\r\n") if not line.startswith(name.encode() + b":"))
    assert Defect(400, f"{name} is missing.") in read(head=head).defects


@pytest.mark.parametrize(
    "more",
    [
        b"From: <sip:other@d>\r\n", b"CSeq: 2 OPTIONS\r\n", b"Call-ID: j\r\n", b"Max-Forwards: 256\r\n",
        b"Max-Forwards: -1\r\n", b"no colon here\r\n", b": no name\r\n", b"two words: x\r\n",
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_is_a_defect_and_the_rest_is_read(more: bytes) -> None:
    request = read(more)
    assert 400 in statuses(request)
    assert request.call_id == "i"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE"),
        (b"CSeq: 1 OPTIONS", b"CSeq: %d OPTIONS" % (SEQUENCE_NUMBER_MAX + 1)),
        (b"CSeq: 1 OPTIONS", b"CSeq: one OPTIONS"),
        (b"<sip:c@d>", b'"open <sip:c@d>'),
        (b"To: <sip:a@b>", b"To: <sip:a@b"),
        (b"SIP/2.0/UDP h;", b"SIP/2.0/UDP ;"),
        (b"sip:a@b SIP", b"sip:a @b SIP"),
        (b"sip:a@b SIP", b"<sip:a@b> SIP"),
        (b"OPTIONS sip", b"OPTIONS  sip"),
    ],
)
def test_a_broken_line_is_a_defect(old: bytes, new: bytes) -> None:
    assert 400 in statuses(read(head=HEAD.replace(old, new, 1)))


def test_numbers_at_their_limits_are_fine() -> None:
    head = HEAD.replace(b"CSeq: 1", b"CSeq: %d" % SEQUENCE_NUMBER_MAX)
    assert statuses(read(b"Max-Forwards: %d\r\n" % FORWARDS_MAX, head=head)) == []


def test_another_version_is_505() -> None:
    assert statuses(read(head=HEAD.replace(b"SIP/2.0\r", b"SIP/7.0\r", 1))) == [505]


def test_a_message_without_its_empty_line_is_read_with_a_defect() -> None:
    request = parse(HEAD)
    assert isinstance(request, Request)
    assert (request.call_id, statuses(request)) == ("i", [400])


def test_an_ack_has_no_defects_because_nobody_can_refuse_it() -> None:
    assert read(head=b"ACK sip:a SIP/2.0\r\nVia: x\r\n").defects == ()


def test_control_characters_and_latin_1_become_clean_text() -> None:
    request = read(b'X-Name: "Ren\xe9\x00\x07\x0b" a\rb\r\n')
    assert request.headers.first("X-Name") == '"René   " a b'


def test_a_request_whose_fields_are_rubbish_still_answers_its_accessors() -> None:
    request = read(head=b"INVITE sip:a SIP/2.0\r\nVia: x\r\nFrom: <\r\nTo: \r\nCSeq: y\r\nm: <\r\n")
    assert request.top_via is None
    assert (request.cseq.number, request.from_address.tag, request.call_id) == (0, "", "")
    assert request.contact.sip_uri is None


def test_a_response_is_read() -> None:
    response = parse(
        b"SIP/2.0 200 All right\r\nv: SIP/2.0/UDP h;branch=z9hG4bKx\r\nCSeq: 1 BYE\r\nl: 0\r\n\r\n"
    )
    assert isinstance(response, Response)
    assert (response.status, response.reason, response.cseq.method) == (200, "All right", "BYE")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"INVITE\r\n\r\n", b"\x80\x00\x01", b"INVITE sip:a\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n", b"SIP/2.0 999 OK\r\n\r\n", b"IN(V)ITE sip:a SIP/2.0\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_not_sip_is_refused(data: bytes) -> None:
    with pytest.raises(NotSip):
        parse(data)
