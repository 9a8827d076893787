"""Every way to write a number that is never recorded, every place it may stand in, and look-alikes.

`spellings` and `look_alikes` are addresses; a position of `POSITIONS` puts one of them
into a request that is else an ordinary call of Anna with Bob. `Dialog` writes such
requests as octets, for the core and for sockets alike.

Rules: the same lists each time; nothing here knows how the recorder finds numbers.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

ANNA, BOB = "+31201234501", "+31612345678"
BROADWORKS_ID = "anna@bw.example"
SDP, METADATA = "application/sdp", "application/rs-metadata+xml"
BOUNDARY = "exempt-boundary"

SHORT = ("112", "113")
FREEPHONE = ("8000113", "9000113")


def spellings() -> list[str]:
    """Return some 220 ways to write 112, 113, 0800-0113, 0900-0113 and the service URNs."""
    groups = (_prefixed(), _separated(), _uris(), _scripts(), _escaped(), _ended(), _services())
    return list(dict.fromkeys(itertools.chain(*groups)))


def look_alikes() -> list[str]:
    """Return some 220 addresses that are somebody's own and must be recorded."""
    return list(dict.fromkeys(itertools.chain(_longer(), _elsewhere(), _local(), _words())))


def _written(text: str) -> Iterator[str]:
    """Yield what stands between bars."""
    return (item.strip() for item in text.split("|"))


def _in_turn(patterns: str, numbers: tuple[str, ...]) -> Iterator[str]:
    """Put the numbers in turn where # ends each pattern: each pattern with each would only take longer."""
    for pattern, number in zip(patterns.split(), itertools.cycle(numbers), strict=False):
        yield pattern.removesuffix("#") + number


# Spellings.


def _prefixed() -> Iterator[str]:
    """As dialled, with country, outside line and service codes before the number."""
    yield from _written("112 | 113 | +31112 | 0031113 | 0113 | *31*113 | +318000113 | 09000113")
    yield from _in_turn("0# 00# 000# +# +31# 0031# 00031# 31# +31(0)# +310# 0+31# +0031# ++31#", SHORT)
    yield from _in_turn("(+31)# 9,# 0,# 0w# 0p# *31*# #31## *31## #31*# **31*# *67# *82# *31*0#", SHORT)
    yield from _in_turn("*31*+31# *31*0031# 0*31*# *31*,# 0,*31*#", SHORT)
    yield from _in_turn("0# 00# +31# 0031# 00031# 31# +31(0)# +310# 0+31# +0031# +# *31*0#", FREEPHONE)
    yield from _in_turn("#31#0# *31*+31# 0,0#", FREEPHONE)


def _separated() -> Iterator[str]:
    """With what people, gateways and displays put between digits."""
    marks = " -./_\u00a0\u2011\u2212\u00b7\u2022\u2219\u200b\u00ad"
    yield from (mark.join("08000113") for mark in marks)
    yield from (mark.join(digits) for mark, digits in zip(marks, itertools.cycle(SHORT), strict=False))
    yield from _written("0800-0113 | 0800 0113 | (0800) 0113 | 0800.01.13 | +31 800 0113 | +31 (0)800-0113")
    yield from _written("0900-0113 | 0900/0113 | +31 900 01 13 | 0-112 | 0 113 | +31-112 | +31 (0) 113")
    yield from _written("(11)2 | [113] | 1 1-2 | 1~13")


def _uris() -> Iterator[str]:
    """As URIs of all kinds, with users, hosts and parameters."""
    wrappers = (
        "sip:{}@sbc.example",
        "SIPS:{}@192.0.2.1:5061;user=phone",
        "sip:{};phone-context=+31@sbc.example;user=phone",
        "sip:{}:secret@[2001:db8::1]",
        "tel:{}",
        "TEL:{};phone-context=sbc.example",
    )
    numbers = ("112", "113", "+31112", "0031113", "0112", "08000113", "+319000113")
    yield from (wrapper.format(number) for wrapper, number in itertools.product(wrappers, numbers))
    yield from _written("tel:8000113;phone-context=+31 | tel:112;phone-context=+32 | tel:113;isub=5")
    yield from _written("tel:+31-112 | tel:+31.113 | sip:112 | sip://113@sbc.example")
    yield from _written("sip:113;cpc=emergency@sbc.example | sip:112%40carrier@sbc.example")


def _scripts() -> Iterator[str]:
    """In the digits of other scripts and typefaces, and with characters nobody sees."""
    zeros = (0xFF10, 0x0660, 0x06F0, 0x0966, 0x09E6, 0x0E50, 0x1D7CE, 0x1D7D8, 0x1D7F6, 0x1FBF0)
    for zero, digits in zip(zeros, itertools.cycle(SHORT), strict=False):
        yield "".join(chr(zero + int(digit)) for digit in digits)
    yield from ("\u00b9\u00b9\u00b2", "\u00b9\u00b9\u00b3", "\u2460\u2460\u2461", "\u2488\u2488\u2489")
    yield from ("\uff0b\uff13\uff11\uff11\uff11\uff13", "\uff0a31\uff0a112", "\uff0331\uff03113")
    yield from ("1\ufe0f\u20e31\ufe0f\u20e32\ufe0f\u20e3", "\uff11\uff11\uff13\uff03", "\u202e112\u202c")
    yield from ("\u2066113\u2069", "\ufeff112", "1\u200d1\u200c3", "\u201c112\u201d", "\u00ab113\u00bb")


def _escaped() -> Iterator[str]:
    """Escaped as URIs and as XML, once and more often."""
    for once in ("%31%31%32", "%31%31%33"):
        yield from (f"sip:{once}@sbc.example", f"sip:{once.replace('%', '%25')}@sbc.example")
    yield from _written(r"tel:%2B31112 | &#49;&#49;&#50; | &#x31;&#x31;&#x33; | 1&amp;#49;2 | 1\1\3")
    yield from _written("sip:11%33@sbc.example | sip:%20112%20@sbc.example | sip:0800%2D0113@sbc.example")
    yield from _written("sip:1%E2%80%8B12@sbc.example")


def _ended() -> Iterator[str]:
    """With what ends dialling, and with what is dialled afterwards."""
    yield from _written("112# | 113## | 112* | 113F | 112f | 113, | 112,,5 | 113w1 | 112;ext=5 | 113;isub=1")
    yield from _written("*21*112# | *31*113# | 08000113# | 0,112,5 | 112:5060")
    yield " 112 "


def _services() -> Iterator[str]:
    """The service URNs of RFC 5031 and the IANA registry."""
    names = "sos sos.police sos.fire sos.ambulance sos.marine sos.mountain sos.gas sos.poison sos.traffic"
    names += " sos.animal-control sos.ecall.manual sos.ecall.automatic counseling counseling.children"
    names += " counseling.suicide counseling.mental-health"
    yield from (f"urn:service:{name}" for name in names.split())
    yield from _written("URN:SERVICE:SOS | Urn:Service:Counseling.Suicide | urn:service:sos;x=1")
    yield from _written("urn%3Aservice%3Asos.fire | sip:urn%3Aservice%3Asos@sbc.example")
    yield from _written("sip:urn:service:sos.police@sbc.example")


# Look-alikes.


def _longer() -> Iterator[str]:
    """With one digit more, before or behind."""
    begun = ("112", "113", "0112", "0113", "+31112", "+31113", "08000113")
    yield from (number + digit for number, digit in itertools.product(begun, "0123456789"))
    ended = ("112", "113", "08000113", "09000113")
    yield from (digit + number for digit, number in itertools.product("123456789", ended))
    yield from _written("112112 | 113113 | 112113 | 1123456 | 11234 | 1122 | 1133 | 12 | 13 | 11 | 1112")


def _elsewhere() -> Iterator[str]:
    """Numbers of their own in which the digits stand."""
    yield from _written("0113-123456 | 0113123456 | +31113123456 | 0031113123456 | +31 113 12 34 56")
    yield from _written("0113 12 34 56 | +31112345678 | 0201120000 | 0201130113 | +31201120000 | +49112")
    yield from _written("+31612112113 | 0612112112 | 0880112113 | +44113 | +32112 | +1113 | +3211212345")
    yield from _written("+49301120113 | 0049112 | 004930112113 | 0800-01130 | 0800-1130 | 0800-8112")
    yield from _written("0800-1112 | 0800-0112 | +318001130 | 08001120 | 0900-1120 | 0900-0112")
    yield from _written("0900-01134 | 8000113 | 9000113 | 0318000113 | 0209000113 | 1-12-3 | 11 23 | (112)0")


def _local() -> Iterator[str]:
    """Where the digits are a host, a port, a parameter or an area code."""
    wrappers = ("sip:{}@sbc.example", "sips:{}@192.0.2.1:5061;user=phone", "tel:{}")
    numbers = ("1120", "2113", "0113123456", "+31113123456", "0201120000", "112112", "+49112", "08001120")
    yield from (wrapper.format(number) for wrapper, number in itertools.product(wrappers, numbers))
    yield from _written("sip:201@112 | sip:201@112.113.112.113:5112 | sip:201@113.sbc.example")
    yield from _written("sip:112.113.112.113 | sip:0.1.1.2 | sip:3.1.11.2 | sip:srs@192.0.2.1:112")
    yield from _written("sip:192.0.2.112:5060 | sip:112.sbc.example | tel:201;ext=112 | tel:201;isub=113")
    yield from _written("tel:123456;phone-context=+31113 | 201;112 | 201,112 | 201;ext=112 | *21*0201234112#")
    yield from _written(
        "sip:201;isub=112@sbc.example | sip:201:112@sbc.example | sip:201@sbc.example;tag=112"
    )
    yield from _written(
        "sip:%31%31%32%30@sbc.example | sip:%2B31113123456@sbc.example | &#49;&#49;&#50;&#48;"
    )
    yield from ("sip:0113%20123456@sbc.example", "\uff11\uff11\uff12\uff10")


def _words() -> Iterator[str]:
    """Names, codes and other URNs."""
    yield from _written("Kamer 112 | 112 Autoschade BV | 113-desk | a112 | 112abc | kamer113 | *112* | 112%")
    yield from _written("x112@sbc.example | callhalf-112:0 | anonymous | sip:anonymous@anonymous.invalid")
    yield from _written("Unavailable | %31%31 | urn:service:sosmos | urn:service:sos-like")
    yield from _written("urn:service:food.112 | urn:service:counselling | urn:uuid:112-113")
    yield from ("1\u00bd", "11\u00bd")


# Places.


@dataclass(frozen=True)
class Said:
    """What a request says, beside what every call of Anna with Bob says; None is the ordinary thing."""

    uri: str | None = None
    from_: str | None = None
    to: str | None = None
    compact: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    metadata: bytes | None = None
    kind: str = METADATA
    encoding: str = ""


Position = Callable[[str], Said]


def as_uri(address: str, host: str = "pbx.example") -> str:
    """Return an address as a URI: itself when it is one, else the user part of a SIP URI, escaped."""
    scheme = address.partition(":")[0].lower()
    if scheme in {"sip", "sips", "tel"} or (scheme == "urn" and "%" not in address):
        return address
    return f"sip:{quote(address, safe='+*')}@{host}"


def _field(name: str, form: str = "<{}>") -> Position:
    def said(address: str) -> Said:
        return Said(headers=((name, form.format(as_uri(address))),))

    return said


def document(
    anna: str = "", bob: str = "", extension: str = "", *, caller: str = ANNA, callee: str = BOB
) -> bytes:
    """Return RFC 7865 metadata; `anna` and `bob` are XML in place of their nameID, `extension` beside them."""
    names = (anna or _name_id(f"sip:{caller}@pbx.example"), bob or _name_id(f"sip:{callee}@pbx.example"))
    people = "".join(
        f'<participant participant_id="p{number}">{name}</participant>'
        f'<participantsessionassoc participant_id="p{number}" session_id="x"/>'
        f'<participantstreamassoc participant_id="p{number}"><send>s{number}</send></participantstreamassoc>'
        f'<stream stream_id="s{number}" session_id="x"><label>{number}</label></stream>'
        for number, name in enumerate(names, start=1)
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><recording xmlns="urn:ietf:params:xml:ns:recording:1">'
        f'<datamode>complete</datamode><session session_id="x"/>{people}{extension}</recording>'
    )
    return text.encode()


def broadworks(**numbers: str) -> bytes:
    """Return BroadWorks' metadata of the older draft, with these numbers in its own elements."""

    def tag(name: str, ordinary: str = "") -> str:
        found = numbers.get(name, ordinary)
        return f"<{name}>{escape(found)}</{name}>" if found else ""

    people = "".join(
        f'<participant id="urn:uuid:p{number}" session="x"><aor>{escape(aor)}</aor><send><id>s{number}</id></send></participant>'
        f'<stream id="s{number}" session="x"><label>{number}</label><mode>separate</mode></stream>'
        for number, aor in enumerate(
            (f"sip:{ANNA}@bw.example", numbers.get("aor", f"sip:{BOB}@bw.example")), start=1
        )
    )
    redirect_info = tag("lastRedirectNumber") + tag("origCalledNumber")
    redirected = tag("redirectedFromPartyNumber") + tag("redirectedToPartynumber")
    text = (
        '<?xml version="1.0"?><recording_metadata xmlns="urn:ietf:params:xml:ns:siprec"><dataMode>complete</dataMode>'
        f'<group id="g" recording="r">{tag("initiator", f"sip:{ANNA}@bw.example")}</group><session id="x" group="g"/>{people}'
        '<extensiondata id="e" parent="x"><broadWorksRecordingMetadata version="3.0"'
        ' xmlns="http://schema.broadsoft.com/broadworksCallRecording"><extTrackingID>112:1</extTrackingID>'
        f"<userID>{BROADWORKS_ID}</userID><callID>callhalf-112:113</callID><callType><origCall>"
        f"{tag('callingPartyNumber', ANNA)}{tag('calledPartyNumber', BOB)}{tag('dialedDigits', BOB)}"
        f"<redirectInfo>{redirect_info}<numOfRedirections>112</numOfRedirections></redirectInfo></origCall></callType>"
        f"<recordingType>on</recordingType><acd>{tag('acdNumber')}</acd><redirectedCall>{redirected}</redirectedCall>"
        "</broadWorksRecordingMetadata></extensiondata></recording_metadata>"
    )
    return text.encode()


def _name_id(aor: str, name: str = "") -> str:
    return f"<nameID aor={quoteattr(aor)}><name>{escape(name)}</name></nameID>"


def _in_document(shape: Callable[[str], bytes]) -> Position:
    return lambda address: Said(metadata=shape(address))


def _in_broadworks(name: str) -> Position:
    return lambda address: Said(metadata=broadworks(**{name: address}))


def _in_extension(form: str) -> Position:
    return lambda address: Said(metadata=document(extension=form.format(escape(address))))


HEADERS: Mapping[str, Position] = {
    "Request-URI": lambda address: Said(uri=as_uri(address)),
    "From": lambda address: Said(from_=f"<{as_uri(address)}>"),
    "From, compact": lambda address: Said(from_=f'"Anna" <{as_uri(address)}>', compact=True),
    "From, without brackets": lambda address: Said(from_=as_uri(address).replace(";", "%3B")),
    "To": lambda address: Said(to=f"<{as_uri(address)}>"),
    "To, compact": lambda address: Said(to=f"<{as_uri(address)}>", compact=True),
    "P-Asserted-Identity": _field("P-Asserted-Identity"),
    "P-Asserted-Identity, the second": _field("P-Asserted-Identity", f"<sip:{ANNA}@pbx.example>, <{{}}>"),
    "P-Preferred-Identity": _field("P-Preferred-Identity"),
    "P-Called-Party-ID": _field("P-Called-Party-ID"),
    "P-Served-User": _field("P-Served-User", "<{}>;sescase=orig"),
    "Diversion": _field("Diversion", '"Desk" <{}>;reason=unconditional;counter=112'),
    "Diversion, the last": _field("Diversion", "<sip:201@pbx.example>;reason=no-answer, <{}>;reason=away"),
    "History-Info": _field("History-Info", "<{}>;index=1"),
    "History-Info, the second": _field("History-Info", "<sip:201@pbx.example>;index=1, <{}>;index=1.1;mp=1"),
    "Refer-To": _field("Refer-To"),
    "Refer-To, compact": _field("r"),
    "Refer-To, embedded": lambda address: Said(
        headers=(("Refer-To", f"<sip:201@pbx.example?To={quote(f'<{as_uri(address)}>')}>"),)
    ),
    "Referred-By": _field("Referred-By"),
    "Referred-By, compact": _field("b"),
    "Remote-Party-ID": _field("Remote-Party-ID", "<{}>;party=called"),
    "Reply-To": _field("Reply-To"),
    "X-Cisco-Recording-Participant": _field("X-Cisco-Recording-Participant"),
    "X-Dialed-Number": lambda address: Said(headers=(("X-Dialed-Number", quote(address, safe="+*:@;=")),)),
    "any field": _field("X-Exchange-Says"),
}

DOCUMENTS: Mapping[str, Position] = {
    "nameID aor": _in_document(lambda address: document(bob=_name_id(address))),
    "nameID aor of the caller": _in_document(
        lambda address: document(anna=_name_id(address), bob=_name_id(f"sip:{ANNA}@x"))
    ),
    "nameID aor, as a URI": _in_document(lambda address: document(bob=_name_id(as_uri(address)))),
    "nameID name": _in_document(lambda address: document(bob=_name_id(f"sip:{BOB}@x", address))),
    "nameID text": _in_document(lambda address: document(bob=f"<nameID>{escape(address)}</nameID>")),
    "the second nameID": _in_document(
        lambda address: document(bob=_name_id(f"sip:{BOB}@x") + _name_id(address))
    ),
    "aor element": _in_document(lambda address: document(bob=f"<aor>{escape(address)}</aor>")),
    "BroadWorks aor": _in_broadworks("aor"),
    "BroadWorks initiator": _in_broadworks("initiator"),
    "callingPartyNumber": _in_broadworks("callingPartyNumber"),
    "calledPartyNumber": _in_broadworks("calledPartyNumber"),
    "dialedDigits": _in_broadworks("dialedDigits"),
    "lastRedirectNumber": _in_broadworks("lastRedirectNumber"),
    "origCalledNumber": _in_broadworks("origCalledNumber"),
    "acdNumber": _in_broadworks("acdNumber"),
    "redirectedFromPartyNumber": _in_broadworks("redirectedFromPartyNumber"),
    "redirectedToPartynumber": _in_broadworks("redirectedToPartynumber"),
    "copied header field": _in_extension('<h:header xmlns:h="x" label="To"><value>{}</value></h:header>'),
    "foreign phoneNumber": _in_extension('<v:dest xmlns:v="x"><v:phoneNumber>{}</v:phoneNumber></v:dest>'),
    "foreign party": _in_extension("<calledParty><plan>E164</plan><value>{}</value></calledParty>"),
    "transferTo": _in_extension('<v:transferTo xmlns:v="x">{}</v:transferTo>'),
}

BROKEN: Mapping[str, Position] = {
    "document cut off": lambda address: Said(
        metadata=document(bob=_name_id(address)).rpartition(b"</part")[0]
    ),
    "document closed wrongly": lambda address: Said(
        metadata=document(bob=_name_id(address)).replace(b"</", b"<")
    ),
    "document in UTF-16": lambda address: Said(
        metadata=document(bob=_name_id(address)).decode().encode("utf-16")
    ),
    "document behind a DTD": lambda address: Said(
        metadata=b"<!DOCTYPE recording>" + document(bob=_name_id(address)).partition(b"?>")[2]
    ),
    "document in base64": lambda address: Said(metadata=document(bob=_name_id(address)), encoding="base64"),
    "JSON": lambda address: Said(
        from_=f"<sip:{ANNA}@pbx.example>", metadata=_json(address), kind="application/json"
    ),
}

POSITIONS: Mapping[str, Position] = {**HEADERS, **DOCUMENTS, **BROKEN}
"""Every place of an INVITE, by what it is called."""

LATE_POSITIONS: Mapping[str, Position] = {
    name: position for name, position in POSITIONS.items() if not name.startswith(("Request", "From", "To"))
}
"""Those of a later request; its Request-URI, From and To are fixed by the dialog."""


def _json(address: str) -> bytes:
    escaped = address.replace("\\", "\\\\")
    return f'{{"calledParty": {{"number": "{escaped}"}}}}'.encode()


# Requests.


def body_of(said: Said, sdp: bytes = b"") -> tuple[str, bytes]:
    """Return content type and body: multipart, or the metadata alone when there is no SDP."""
    metadata = document() if said.metadata is None else said.metadata
    if not sdp and not said.encoding:
        return said.kind, metadata
    encoding = f"Content-Transfer-Encoding: {said.encoding}\r\n" if said.encoding else ""
    content = base64.encodebytes(metadata) if said.encoding else metadata
    parts = ((f"Content-Type: {SDP}\r\n", sdp),) if sdp else ()
    head = (
        f"Content-Type: {said.kind}\r\nContent-Disposition: recording-session;handling=optional\r\n{encoding}"
    )
    whole = b"".join(
        f"--{BOUNDARY}\r\n{lines}\r\n".encode() + octets + b"\r\n"
        for lines, octets in (*parts, (head, content))
    )
    return f"multipart/mixed;boundary={BOUNDARY}", whole + f"--{BOUNDARY}--\r\n".encode()


@dataclass
class Dialog:
    """One dialog of an exchange with the recorder, of which only the octets are written here."""

    call_id: str
    host: str = "192.0.2.10"
    port: int = 5070
    transport: str = "UDP"
    from_: str = "<sip:src@exchange.example>"
    to_tag: str = ""
    cseq: int = 0
    branches: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def request(self, method: str, said: Said, sdp: bytes = b"", *, bare: bool = False) -> bytes:
        """Return the next request; `bare` leaves the body away."""
        if method != "ACK":
            self.cseq += 1
        kind, body = ("", b"") if bare else body_of(said, sdp)
        names = ("f", "t") if said.compact else ("From", "To")
        to_tag = f";tag={self.to_tag}" if self.to_tag else ""
        lines = [
            f"{method} {said.uri or 'sip:srs@192.0.2.1'} SIP/2.0",
            f"Via: SIP/2.0/{self.transport} {self.host}:{self.port};branch=z9hG4bK{self.call_id}{next(self.branches)};rport",
            f"{names[0]}: {said.from_ or self.from_};tag=src",
            f"{names[1]}: {said.to or '<sip:srs@192.0.2.1>'}{to_tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} {method}",
            f"Contact: <sip:src@{self.host}:{self.port};transport={self.transport.lower()}>;+sip.src",
            "Max-Forwards: 70",
            *(f"{name}: {value}" for name, value in said.headers),
            *([f"Content-Type: {kind}"] if kind else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
