"""Exempt numbers are found wherever an address may stand, and nowhere else."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.metadata.document import parse
from recorder.metadata.model import RecordingMetadata
from recorder.metadata.snapshot import apply
from recorder.srs.exemption import (
    ENTITIES_MAX,
    ENTITY_CHARS_MAX,
    SCAN_BYTES_MAX,
    body_names_exempt,
    is_exempt,
    metadata_names_exempt,
)

ORDINARY = (
    ("Via", "SIP/2.0/UDP 112.113.112.113:5112;branch=z9hG4bK112;rport=113"),
    ("Route", "<sip:112@proxy.example;lr>"),
    ("Max-Forwards", "112"),
    ("From", '"Anna 112" <sip:+31201234567@bw.example;user=phone>;tag=112'),
    ("To", "<sip:srs@112.113.0.1:5060>"),
    ("Call-ID", "112@113"),
    ("CSeq", "112 INVITE"),
    ("Contact", "<sip:src@10.0.0.112:113;transport=tcp>;+sip.src"),
    ("Session-Expires", "1800"),
    ("X-BroadWorks-Correlation-Info", "112"),
    ("Session-ID", "112;remote=113"),
    ("Cisco-Guid", "112-113-112-113"),
    ("X-Sequence-Number", "112"),
    ("P-Asserted-Identity", "<sip:0201120000@bw.example>, <tel:+31113123456>"),
    ("History-Info", "<sip:201@bw.example?Reason=SIP%3Bcause%3D112>;index=1.113"),
    ("User-Agent", "sip:112 compatible"),
    ("Content-Length", "113"),
)


@dataclass(frozen=True)
class Offered:
    """As much of a request as is looked at."""

    uri: str = "sip:srs@192.0.2.1:5060"
    headers: tuple[tuple[str, str], ...] = field(default=ORDINARY)


NUMBERS = [
    "112", "113", "0112", "0113", "+31112", "0031113", "*31*112", "*67113", "08000113", "+318000113", "0900-0113",
    "1%31%32", "\uff11\uff11\uff12", "+31%20(0)800%200113",
]  # fmt: skip
LOOK_ALIKES = [
    "0201120000", "1120", "11234", "1123456", "0113-123456", "+31113123456", "+31112345678", "0800-1130", "9112", "2113",
    "112112", "0800-01131", "201",
]  # fmt: skip

ADDRESS_FIELDS = [
    "From", "f", "To", "t", "P-Asserted-Identity", "P-Preferred-Identity", "P-Called-Party-ID", "Diversion", "History-Info",
    "Refer-To", "r", "Referred-By", "b", "Remote-Party-ID", "X-Cisco-Recording-Participant", "Reply-To", "X-Called-Number",
]  # fmt: skip
FORMS = [
    "<sip:{}@h>",
    '"Name" <sips:{}@h;user=phone>;tag=1',
    "tel:{}",
    "{}",
    "<sip:201@h>, <sip:{}@h>;index=1.1",
]


def fields_with(number: str) -> list[tuple[str, str]]:
    return [(name, form.format(number)) for name, form in itertools.product(ADDRESS_FIELDS, FORMS)]


@pytest.mark.parametrize("number", NUMBERS)
def test_each_address_field_is_looked_at(number: str) -> None:
    """In every form a field may have."""
    for field_ in fields_with(number):
        assert is_exempt(Offered(headers=(*ORDINARY, field_))), field_


@pytest.mark.parametrize("number", LOOK_ALIKES)
def test_look_alikes_in_the_same_places_are_not_exempt(number: str) -> None:
    """They are ordinary calls."""
    for field_ in fields_with(number):
        assert not is_exempt(Offered(headers=(*ORDINARY, field_))), field_


@pytest.mark.parametrize("number", NUMBERS)
def test_the_request_uri_is_looked_at(number: str) -> None:
    """A client may dial through to us."""
    assert is_exempt(Offered(uri=f"sip:{number}@srs.example"))


def test_an_ordinary_request_is_not_exempt() -> None:
    """Though 112 and 113 stand in ports, octets, tags, ids, sequence numbers and paths."""
    assert not is_exempt(Offered())
    assert not is_exempt(Offered(uri="sip:112.113.112.113:5060"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Priority", "psap-callback"),
        ("priority", " PSAP-Callback;x=1"),
        ("To", "<urn:service:sos.fire>"),
        ("X-Anything", "call for urn:service:counseling.children"),
        ("X-Anything", "<sip:112@h>"),
        ("Contact", "<sip:112@h>"),
        ("P-Charge-Info", "<sip:0113@h;user=phone>"),
        ("From", "<sip:201@h;x-nearend;x-farendaddr=112;x-refci=3>;tag=1"),
        ("From", "<sip:201@h;x-farend;x-nearendaddr=0113>"),
        ("Diversion", '"112" <sip:x@h>;reason=unknown'),
        ("Refer-To", "<sip:b@h?Diversion=%3Csip%3A112%40h%3E>"),
        ("History-Info", "<sip:vm@h;target=sip:112%40h;cause=302>;index=1"),
        ("Refer-To", "<sip:b@h?To=112>"),
        ("Refer-To", "<sip:b@h?Subject=x&Diversion=0113>"),
        ("P-Served-User", "112"),
        ("P-Charge-Info", "112"),
        ("CC-Diversion", "112"),
        ("X-Diversion-Number", "112"),
        ("X-Genesys-DNIS", "112"),
        ("X-Original-To", "0113"),
        ("X-ANI", "113"),
        ("X-Customer-Phone", "112"),
        ("X-Landline-Number", "0113"),
        ("To", "<sip:urn%3Aservice%3Asos@h>"),
        ("History-Info", ", ".join(["<sip:201@bw.example>;index=1"] * 500) + ", <sip:112@bw.example>"),
    ],
)
def test_other_places_in_a_request_count_too(name: str, value: str) -> None:
    """Parameters, embedded header fields, unknown fields with a URI, and a priority."""
    assert is_exempt(Offered(headers=(*ORDINARY, (name, value))))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Priority", "emergency"),
        ("Priority", "112"),
        ("X-Port-Number", "112"),
        ("X-Line-Number", "112"),
        ("X-Trace", "112"),
        ("In-Reply-To", "112@10.0.0.1, 113@10.0.0.1"),
        ("To", "<sip:0113%20123456@h>"),
        ("To", "<sip:112%20Autoschade@h>"),
        ("To", "<tel:123456;phone-context=+31113>"),
        ("Refer-To", "<sip:b@h?Subject=112&Priority=113>"),
    ],
)
def test_places_of_no_address_do_not_count(name: str, value: str) -> None:
    """They would lose ordinary calls."""
    assert not is_exempt(Offered(headers=(*ORDINARY, (name, value))))


@pytest.mark.parametrize("parameter", ["to=112", "called-number=0113", "user=%31%31%32", "target=113"])
def test_the_parameters_of_the_request_uri_are_looked_at(parameter: str) -> None:
    """Some clients say there who was called."""
    assert is_exempt(Offered(uri=f"sip:srs@srs.example;{parameter}"))
    assert is_exempt(Offered(uri=f"sip:srs@srs.example?{parameter}"))
    assert not is_exempt(Offered(uri=f"sip:srs@srs.example;x-{parameter.replace('=', '-count=')}"))


DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec">
  <dataMode>complete</dataMode>
  <group id="112"/>
  <session id="113" group="112"><start-time>2026-11-02T11:12:11.113+0112</start-time></session>
  <participant id="112" session="113">
    <nameID aor="{aor}"><name xml:lang="nl">{name}</name></nameID><send><id>112</id></send>
  </participant>
  <participant id="113" session="113"><aor>{aor_text}</aor><send>113</send></participant>
  <stream id="112" session="113"><label>112</label><mode>separate</mode></stream>
  <extensiondata id="113" parent="112">
    <bw:broadWorksRecordingMetadata xmlns:bw="http://schema.broadsoft.com/broadworksCallRecording" version="1.0">
      <bw:extTrackingID>112</bw:extTrackingID><bw:callID>callhalf-112:113</bw:callID><bw:userID>anna@bw.example</bw:userID>
      <bw:callType><bw:termCall>
        <bw:callingPartyNumber>{calling}</bw:callingPartyNumber>
        <bw:calledPartyNumber>{called}</bw:calledPartyNumber>
        <bw:dialedDigits>{dialed}</bw:dialedDigits>
        <bw:redirectInfo><bw:lastRedirectNumber>{last}</bw:lastRedirectNumber>
          <bw:origCalledNumber>{original}</bw:origCalledNumber><bw:numOfRedirections>112</bw:numOfRedirections></bw:redirectInfo>
      </bw:termCall></bw:callType>
      <bw:acd><bw:acdNumber countryCode="31">{acd}</bw:acdNumber></bw:acd>
      <bw:redirectedCall><bw:redirectedFromPartyNumber>{from_}</bw:redirectedFromPartyNumber>
        <bw:redirectedToPartynumber>{to}</bw:redirectedToPartynumber></bw:redirectedCall>
    </bw:broadWorksRecordingMetadata>
    <metaswitchRecordingMetadata><recordedParty>{recorded}</recordedParty></metaswitchRecordingMetadata>
    <apkt:header xmlns:apkt="x" label="To"><value>{header}</value></apkt:header>
    <apkt:header xmlns:apkt="x" label="X-Number-Of-Hops"><value>112</value></apkt:header>
    <v:dest xmlns:v="y"><v:phoneNumber>{phone}</v:phoneNumber><v:channelNumber>112</v:channelNumber></v:dest>
    <v:count xmlns:v="y" total="113">112</v:count><v:remote xmlns:v="y">{any_plus}</v:remote>
    <callData><fromhdr>{fromhdr}</fromhdr></callData>
  </extensiondata>
</recording_metadata>
"""
PLACES = {
    "aor": "sip:201@h", "name": "Kamer 112", "aor_text": "202@h", "calling": "+31201120000", "called": "0113-123456", "dialed": "1123456",
    "last": "1120", "original": "11234", "acd": "9112", "from_": "203", "to": "204", "recorded": "205", "header": "sip:206@h",
    "phone": "207", "any_plus": "+31113123456", "fromhdr": "&lt;sip:0201130000@h&gt;;tag=112",
}  # fmt: skip
BARE_PLACES = [place for place in PLACES if place not in {"header", "any_plus", "fromhdr"}]


def document_with(place: str, text: str) -> str:
    return DOCUMENT.format(**{**PLACES, place: text})


def found_in_body(text: str) -> bool:
    return is_exempt(Offered(), (text.encode(),))


def found_in_model(text: str) -> bool:
    return metadata_names_exempt(apply(RecordingMetadata(), parse(text.encode())))


def test_an_ordinary_document_is_not_exempt() -> None:
    """Though 112 and 113 are its ids, labels, counts and times."""
    text = DOCUMENT.format(**PLACES)
    assert not found_in_body(text)
    assert not found_in_model(text)


@pytest.mark.parametrize(("place", "number"), list(itertools.product(BARE_PLACES, NUMBERS)))
def test_each_place_of_a_document_is_looked_at(place: str, number: str) -> None:
    """In the body as it came and in the parsed model alike."""
    for form in ("{}", "sip:{}@h;user=phone", "tel:{}"):
        text = document_with(place, form.format(number))
        assert found_in_body(text)
        assert found_in_model(text)


@pytest.mark.parametrize(("place", "number"), list(itertools.product(BARE_PLACES, LOOK_ALIKES)))
def test_look_alikes_in_documents_are_not_exempt(place: str, number: str) -> None:
    """Neither in the body nor in the model."""
    for form in ("{}", "sip:{}@h;user=phone"):
        text = document_with(place, form.format(number))
        assert not found_in_body(text)
        assert not found_in_model(text)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("header", "112"),
        ("header", "tel:113"),
        ("any_plus", "+31112"),
        ("any_plus", "+31 113"),
        ("fromhdr", "&lt;sip:112@h&gt;;tag=1"),
    ],
)
def test_copied_header_fields_and_foreign_numbers_are_looked_at(place: str, text: str) -> None:
    """Whatever element they stand in."""
    assert found_in_body(document_with(place, text))


@pytest.mark.parametrize("place", ["aor", "aor_text", "dialed", "to", "phone"])
def test_a_body_that_can_not_be_parsed_hides_nothing(place: str) -> None:
    """Cut off, wrongly closed, in another encoding, escaped, or behind a DTD."""
    good = document_with(place, "112")
    bodies = [
        good.encode("utf-16"),
        good.encode("utf-16-le"),
        b"\r\n" + good.encode("utf-16-be"),
        b"x" + good.encode("utf-16-be"),
        good.encode("utf-32"),
        good.replace("</", "<").encode(),
        good.replace("recording_metadata>", "r>").encode() + b"\xff\xfe\x80",
        good.replace("<", "&lt;").replace(">", "&gt;").encode(),
        good.replace("<", "&amp;lt;").replace(">", "&amp;gt;").encode(),
        good.replace(">112<", ">&#49;&#x31;2<").replace('"112"', '"&#49;&#x31;2"').encode(),
        good.replace(">112<", "><![CDATA[112]]><").encode(),
        good.replace(">112<", ">1<!-- x -->12<").encode(),
        ("--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b\r\n\r\n" + good).encode(),
        (
            '<!DOCTYPE r [<!ENTITY a "11"><!ENTITY n "&a;2">]>'
            + good.replace(">112<", ">&n;<").replace('"112"', '"&n;"')
        ).encode(),
    ]
    for body in bodies:
        assert is_exempt(Offered(), (b"", body)), body[:200]


@pytest.mark.parametrize("place", BARE_PLACES)
def test_a_body_cut_off_behind_the_number_hides_nothing(place: str) -> None:
    """As when a datagram lost its last fragments."""
    text = document_with(place, "0800-0113")
    assert found_in_body(text[: text.index("0800-0113") + len("0800-0113")])


@pytest.mark.parametrize(
    "text",
    [
        '{"calledPartyNumber": "112"}',
        "{'dialedDigits': 113}",
        "calledNumber=0113&x=1",
        "<dialedDigits>112",
        "<calledParty><value>112</value></calledParty>",
        "<x aor=112>",
        "<x:aor>  112  </x:aor>",
        "To: 112\r\n",
        "sip:112@h",
        "prefix (tel:+31-113) suffix",
        "urn:service:sos",
        "<?xml?><!-- <dialedDigits>112</dialedDigits>",
        "<aor>1<?target x?>12</aor>",
        '<aor a=">">112</aor>',
        '{"called": [\n    "112"\n]}',
        "<calledParty><plan>x</plan><value>112</value></calledParty>",
        "<diversion>112</diversion>",
        "<customerPhone>112</customerPhone>",
        "<landlineNumber>0113</landlineNumber>",
        "<transferredTo>113</transferredTo>",
        "<v:dialString xmlns:v='x'>112</v:dialString>",
        "<tel>112</tel>",
        "<participant dnis='113'/>",
        "sip:urn:service:sos@h",
    ],
)
def test_bodies_of_any_kind_are_looked_at(text: str) -> None:
    """JSON, forms, fragments and plain text."""
    assert body_names_exempt(text.encode())


SDP = b"""v=0\r
o=112 113 112 IN IP4 112.113.112.113\r
s=112\r
p=112\r
c=IN IP4 0.0.1.12\r
t=112 113\r
m=audio 112 RTP/AVP 112 113\r
a=rtpmap:112 opus/48000/2\r
a=rtpmap:113 telephone-event/48000\r
a=label:112\r
a=mid:113\r
a=candidate:112 1 UDP 113 112.113.0.1 112 typ host\r
a=sendonly\r
"""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        SDP,
        SDP + b"<group id='112'/>",
        b"--112\r\nContent-Length: 112\r\n\r\n113\r\n--112--",
        b"<calledParty></calledParty><id>112</id>",
        b"<aor/><send>112</send>",
        b"<nameID aor='sip:201@h'></nameID><send>113</send>",
        b"<redirectInfo><numOfRedirections>112</numOfRedirections></redirectInfo>",
        b"<sip:uri>x</sip:uri><label>112</label>",
        b"<participant id='112'><send>113</send></participant>",
        b"<sequenceNumber>112</sequenceNumber><portNumber>113</portNumber>",
        b"Content-Length: 112\r\nCSeq: 113 INVITE\r\n",
        b"xsip:112@h nosip:113@h",
        b"sip:201@112 sip:112.113.112.113",
        b"<aor>tel:123456;phone-context=+31113</aor>",
        b"<x phone-context='+31113'/>",
        b"<aor>sip:0113%20123456@h</aor>",
        b"<calledParty><value>201</value></calledParty><value>112</value>",
        b"<calledParty><type>112</type><value>201</value></calledParty>",
        b"<lineNumber>112</lineNumber><customerNumber>113</customerNumber><roomNumber>112</roomNumber>",
    ],
)
def test_bodies_without_exempt_addresses_are_not_exempt(body: bytes) -> None:
    """Ports, payload types, ids, labels, times and lengths read 112 every day."""
    assert not is_exempt(Offered(), (body,))


def test_a_participant_id_counts_only_when_written_as_an_address() -> None:
    """AudioCodes puts numbers there; all others count upwards."""
    template = "<recording><participant participant_id='{}'><nameID aor='201'/></participant></recording>"
    assert not found_in_model(template.format("112"))
    for identity in ("+31112", "sip:112@h", "tel:113"):
        assert found_in_model(template.format(identity))
        assert found_in_body(template.format(identity))


def test_later_documents_are_judged_like_the_first() -> None:
    """A transfer names the number in an update."""
    model = apply(RecordingMetadata(), parse(DOCUMENT.format(**PLACES).encode()))
    update = "<recording><datamode>partial</datamode><participant id='x'><nameID aor='tel:0113'/></participant></recording>"
    assert not metadata_names_exempt(model)
    assert metadata_names_exempt(apply(model, parse(update.encode())))
    assert metadata_names_exempt(parse(update.encode()))


def test_a_body_is_searched_to_its_limit() -> None:
    """At the limit a number is seen, above it is not: no body arrives longer."""
    found = b"<aor>112</aor>"
    assert body_names_exempt(found.rjust(SCAN_BYTES_MAX))
    assert not body_names_exempt(b" " * SCAN_BYTES_MAX + found)


def test_entities_are_looked_into_to_their_limits() -> None:
    """Many and long ones are an attack, and no number is spelled by them."""

    def spelled(before: int, length: int) -> bytes:
        names = "".join(f'<!ENTITY e{number} "x">' for number in range(before))
        return f'{names}<!ENTITY n "{"112".rjust(length)}"><aor>&n;</aor>'.encode()

    assert body_names_exempt(spelled(ENTITIES_MAX - 1, ENTITY_CHARS_MAX))
    assert not body_names_exempt(spelled(ENTITIES_MAX, ENTITY_CHARS_MAX))
    assert not body_names_exempt(spelled(0, ENTITY_CHARS_MAX + 1))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.text(max_size=60), st.text(max_size=60))
def test_nothing_whatever_raises(body: bytes, name: str, value: str) -> None:
    """Exemption is judged before anything was checked."""
    assert is_exempt(Offered(uri=value, headers=((name, value),)), (body,)) in {True, False}


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60), st.sampled_from(["112", "0113", "+31112", "08000113"]))
def test_no_surroundings_hide_a_uri_in_angle_brackets(before: bytes, after: bytes, number: str) -> None:
    """Broken multipart, broken XML, other octets: a URI stays a URI."""
    body = before.replace(b"<!", b"") + f" <sip:{number}@h> ".encode() + after
    assert body_names_exempt(body)
