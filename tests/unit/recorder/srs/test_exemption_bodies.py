"""Exempt numbers in bodies that are packed or encoded, and those that operator or tenant added."""

from __future__ import annotations

import base64
import gzip
import zlib

import pytest

from recorder.metadata.document import parse
from recorder.metadata.model import RecordingMetadata
from recorder.metadata.snapshot import apply
from recorder.srs.exemption import (
    INSIDE_CHARS_MAX,
    SCAN_BYTES_MAX,
    UNESCAPE_ROUNDS_MAX,
    body_names_exempt,
    is_exempt,
    metadata_names_exempt,
)
from tests.unit.recorder.srs.test_exemption import (
    BARE_PLACES,
    LOOK_ALIKES,
    ORDINARY,
    Offered,
    document_with,
    fields_with,
)


def in_parts(content: bytes, encoding: str) -> bytes:
    head = f"Content-Type: application/rs-metadata+xml\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return (
        b"--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b\r\n" + head.encode() + content + b"\r\n--b--"
    )


@pytest.mark.parametrize(("number", "exempt"), [("112", True), ("0800-0113", True), ("1120", False)])
def test_parts_in_an_encoding_for_mail_and_compressed_bodies_hide_nothing(number: str, exempt: bool) -> None:
    """A gateway may wrap what another one wrote."""
    text = document_with("dialed", number).encode()
    digits = base64.b64encode(text)
    bodies = [
        in_parts(base64.encodebytes(text), "base64"),
        in_parts(digits[:-9], "BASE64"),
        in_parts(text.replace(b"1", b"=31"), "Quoted-Printable"),
        gzip.compress(text),
        zlib.compress(text),
        gzip.compress(text)[:-9],
    ]
    for body in bodies:
        assert is_exempt(Offered(), (body,)) is exempt, body[:200]


@pytest.mark.parametrize(
    "body",
    [
        b"\x1f\x8b nothing of the kind",
        b"\x78\x9c",
        in_parts(b"=", "base64"),
        in_parts(b"====\r\n!", "base64"),
        in_parts(b"abcde", "base64"),
        in_parts(b"=zz=", "quoted-printable"),
        gzip.compress(b"<dialedDigits>" + b" " * SCAN_BYTES_MAX + b"112</dialedDigits>"),
    ],
)
def test_what_only_looks_encoded_is_no_number_either(body: bytes) -> None:
    """Nothing raises, and nothing is unpacked beyond what a body may have."""
    assert not is_exempt(Offered(), (body,))


def test_an_element_is_looked_into_to_its_limit() -> None:
    """Behind it the text is no part of the number."""

    def party(chars: int) -> bytes:
        inner = "<value>112</value>".rjust(chars - len("<plan>E164</plan>"))
        return f"<calledParty><plan>E164</plan>{inner}</calledParty>".encode()

    ending = len("</calledParty")
    assert body_names_exempt(party(INSIDE_CHARS_MAX - ending))
    assert not body_names_exempt(party(INSIDE_CHARS_MAX - ending + 1))


def test_escapes_in_a_body_are_undone_to_their_bound() -> None:
    """And what the number itself has is undone after that."""
    text = "<dialedDigits>112</dialedDigits>"
    for _ in range(UNESCAPE_ROUNDS_MAX):
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert body_names_exempt(text.encode())
    assert not body_names_exempt(text.replace("&", "&amp;").encode())


ADDITIONS = frozenset({"116117", "+318000432"})


@pytest.mark.parametrize("number", ["116117", "0116-117", "0800 0432", "+31%20800%200432", "*31*08000432"])
def test_additions_are_found_wherever_the_floor_list_is(number: str) -> None:
    """In fields, bodies and models alike, and only where they were added."""
    for field_ in fields_with(number):
        assert is_exempt(Offered(headers=(*ORDINARY, field_)), additions=ADDITIONS), field_
        assert not is_exempt(Offered(headers=(*ORDINARY, field_))), field_
    for place in BARE_PLACES:
        for form in ("{}", "sip:{}@h;user=phone", "tel:{}"):
            text = document_with(place, form.format(number))
            model = apply(RecordingMetadata(), parse(text.encode()))
            assert is_exempt(Offered(), (text.encode(),), ADDITIONS)
            assert metadata_names_exempt(model, ADDITIONS)
            assert not is_exempt(Offered(), (text.encode(),))
            assert not metadata_names_exempt(model)
    assert is_exempt(Offered(uri=f"sip:{number}@srs.example"), (), ADDITIONS)


@pytest.mark.parametrize("number", ["1161170", "0800-04321", "8000432", "0201161170", *LOOK_ALIKES])
def test_look_alikes_of_additions_are_not_exempt(number: str) -> None:
    """They are ordinary calls."""
    for field_ in fields_with(number):
        assert not is_exempt(Offered(headers=(*ORDINARY, field_)), additions=ADDITIONS), field_
    for place in BARE_PLACES:
        text = document_with(place, f"sip:{number}@h")
        assert not is_exempt(Offered(), (text.encode(),), ADDITIONS)


def test_a_body_hides_no_addition() -> None:
    """Escaped, in another encoding, cut off, or with nothing but a phone-context to complete it."""
    good = document_with("dialed", "0800-0432")
    bodies = [
        good.encode("utf-16"),
        good[: good.index("0432") + 4].encode(),
        good.replace("<", "&lt;").replace(">", "&gt;").encode(),
        good.replace("0800-0432", "<![CDATA[0800]]>-04<!-- -->32").encode(),
        good.replace("0800-0432", "&#48;800043&#x32;").encode(),
        b"<aor>tel:432;phone-context=+318000</aor>",
        b"<aor>tel:0432;phone-context=+31800</aor>",
    ]
    for body in bodies:
        assert body_names_exempt(body, ADDITIONS), body[:200]
        assert not body_names_exempt(body)
