"""Whether a request or a metadata model names a number that is never recorded.

`archive.numbers` knows the numbers, and takes those that operator and tenant added to
them; this module knows where a number may stand: in the Request-URI, in header
fields, and in bodies. Bodies are read as text, never as
XML, SDP or multipart, so that what can't be parsed hides nothing: URIs anywhere, and
the texts of elements, attributes and keys whose names say that they hold an address.

Rules: pure; never raises; never quotes what it found. Only places that hold
addresses are looked at: a port, an id, a tag, a payload type or an octet of an IP
address that reads 112 must not lose an ordinary call.

Not here: what happens then (`recorder.srs.recording_mode`, and DESIGN section 4).
"""

from __future__ import annotations

import binascii
import html
import quopri
import re
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Protocol
from urllib.parse import unquote

from archive.numbers import NO_ADDITIONS, exempt_in, is_exempt_number, may_name_added
from recorder.metadata.model import Document, Participant, RecordingMetadata
from recorder.metadata.tree import local_name

SCAN_BYTES_MAX = 256 * 1024
"""As much as a SIP body may have (`recorder.sip.grammar`); what is longer is not read any further."""

UNESCAPE_ROUNDS_MAX = 3
"""XML within XML is escaped twice, what stands in it perhaps once more; each round scans the whole body."""

ENTITIES_MAX = 64
ENTITY_CHARS_MAX = 64
"""A DTD is refused by the parser, but its entities may still spell a number: short ones are looked into."""

EXPANSIONS_MAX = 64
"""References that are expanded: a number has fewer digits than that."""

# Fields whose value is an address, bare numbers included.
_ADDRESS_FIELDS = frozenset(
    {
        "from",
        "f",
        "to",
        "t",
        "reply-to",
        "p-asserted-identity",
        "p-preferred-identity",
        "p-called-party-id",
        "p-associated-uri",
        "p-profile-key",
        "p-served-user",
        "p-charge-info",
        "additional-identity",
        "diversion",
        "history-info",
        "refer-to",
        "r",
        "referred-by",
        "b",
        "remote-party-id",
        "x-cisco-recording-participant",
    }
)

# Fields whose URIs are about the path of the message, or about somebody's password, not about parties.
_PATH_FIELDS = frozenset(
    {
        "via",
        "v",
        "route",
        "record-route",
        "path",
        "service-route",
        "call-id",
        "i",
        "cseq",
        "in-reply-to",
        "authorization",
        "proxy-authorization",
        "session-id",
        "warning",
        "user-agent",
    }
)

# Words in the names of elements, attributes, keys and fields that hold an address or a number...
_ADDRESS_NAME = re.compile(
    r"number|digits|diall?ed|dialstring|phone|msisdn|party|aor|^uri|uri$|caller|callee|called|calling|redirect"
    r"|destination|address|initiator|recorded|fromhdr|tohdr|extension(?!data)|diversion|e164"
    r"|(?:transfer|transferred|forward|forwarded|divert|diverted|route|original|call|refer)(?:to|from|target)$"
    r"|^x?(?:nameid|name|userid|username|user|ani|dnis|did|ddi|cli|clid|cld|cgpn|cdpn|tn|dn|tel|from|to|target"
    r"|dest|dst|dial|anum|bnum|mobile|contact|recipient|subscriber|displayname|remoteidentity|(?:near|far)end(?:addr)?)$"
)
# ... and in those of numbers that count, order or name something else...
_OTHER_NAME = re.compile(
    r"count|sequence|serial|port|(?<!di)version|length|(?<!rec)order|numof|index|type|mode|reason|time|date|status|state"
    r"|cause|channel|trunk|line|queue|case|ticket|customer|room|team|circuit|slot|node|track|frame|retry"
    r"|tenant|interface|namespace|schema|ipaddress|macaddress"
    # 0113 is the area code of Goes, and +31113 the context of its local numbers.
    r"|^phonecontext$"
)
# ... unless they are surely telephone numbers, as in customerPhone, landlineNumber or portedNumber.
_TELEPHONE_NAME = re.compile(
    r"(?:tele)?phone(?:number|nr)?$|msisdn$"
    r"|(?:landline|online|mobile|party|called|calling|caller|callee|diall?ed|ported|updated|redirected)number$"
)
# The last word of a field such as X-Genesys-DNIS or X-Original-To.
_ADDRESS_WORD = re.compile(
    r"[-_](?:ani|dnis|did|ddi|cli|to|from|target|dest|dst|user|tel|tn)$", re.IGNORECASE
)
# Elements that say nothing but that they stand within another one.
_VALUE_NAME = re.compile(r"value|text|content|string|data|addr|num|no|nr")
INSIDE_CHARS_MAX = 2048
"""So far behind an element that holds an address its end is looked for; no number is longer."""

_URI = re.compile(
    r"(?<![\w+.-])(?:(?:sips?|tel|callto|h323|pres|im):[^\s\"'<>,]{1,512}|urn:service:[\w.-]{1,128})",
    re.IGNORECASE,
)
_ELEMENT = re.compile(r"<([A-Za-z_][\w.:-]{0,127})([^<>]*)>([^<]*)")
_KEY_AND_VALUE = re.compile(
    r"(?<![\w.-])([A-Za-z_][\w.-]{0,63})[\"']?\s{0,4}[=:][\s\[]{0,16}"
    # A closing quote is not waited for: the body may be cut off in the middle of the value.
    r"(?:\"([^\"<>]{1,512})|'([^'<>]{1,512})|([^\s\"'<>,;}&]{1,512}))"
)
# Without one of these no exempt address can be in a text of ASCII; many bodies end here.
_POSSIBLE = re.compile(r"1[^0-9A-Za-z<>]*1[^0-9A-Za-z<>]*[23]|urn:service:", re.IGNORECASE)
# gzip (RFC 1952) and zlib (RFC 1950), at the usual levels.
_COMPRESSED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_MAIL_ENCODING = re.compile(
    rb"content-transfer-encoding\s{0,4}:\s{0,4}(?:base64|quoted-printable)", re.IGNORECASE
)
_BASE64 = re.compile(rb"(?:\A|\n\r?\n)([A-Za-z0-9+/\r\n]{4,})")
_HEADER_LABEL = re.compile(r"label\s*=\s*[\"']([\w-]+)", re.IGNORECASE)
_PARAMETER = re.compile(r"[;?&]\s*([\w-]{1,64})\s*=\s*\"?([^;&>,\s\"]{1,512})")
_INSTRUCTION = re.compile(r"<\?[^<>]*>")
_ENTITY = re.compile(r"<!ENTITY\s+([\w.-]{1,64})\s+[\"']([^\"']*)", re.IGNORECASE)
_ENTITY_REFERENCE = re.compile(r"&([\w.-]{1,64});")


class OfferedRequest(Protocol):
    """As much of a SIP request as is looked at."""

    @property
    def uri(self) -> str:
        """The Request-URI."""

    @property
    def headers(self) -> Iterable[tuple[str, str]]:
        """The header fields in order."""


def is_exempt(
    request: OfferedRequest, bodies: Iterable[bytes] = (), additions: frozenset[str] = NO_ADDITIONS
) -> bool:
    """Tell whether a request, or one of the bodies it carries, names an exempt number.

    `bodies` are the parts of the body, or all of it where it can't be split; `additions`
    are canonical numbers that are exempt beside the floor list.
    """
    if _uri_names_exempt(str(request.uri), additions):
        return True
    return any(_field_names_exempt(name, value, additions) for name, value in request.headers) or any(
        body_names_exempt(body, additions) for body in bodies
    )


def metadata_names_exempt(
    model: RecordingMetadata | Document, additions: frozenset[str] = NO_ADDITIONS
) -> bool:
    """Tell whether parsed metadata, the first or a later one, names an exempt number."""
    if any(participant_is_exempt(participant, additions) for participant in model.participants):
        return True
    if model.broadworks and exempt_in(model.broadworks.numbers(), additions):
        return True
    texts = (
        text for name, text in model.extensions if _holds_an_address(name) or _looks_like_an_address(text)
    )
    return exempt_in(texts, additions)


def participant_is_exempt(participant: Participant, additions: frozenset[str] = NO_ADDITIONS) -> bool:
    """Tell whether an address or the name of a participant is an exempt number."""
    # Its canonical number follows from the address, and of an IP address would be one with its digits.
    texts = (participant.aor, participant.name, *participant.aliases)
    if exempt_in(texts, additions):
        return True
    # An id is opaque, unless it is written as nothing but a number or a URI ever is.
    return _looks_like_an_address(participant.id) and is_exempt_number(participant.id, additions)


def body_names_exempt(body: bytes, additions: frozenset[str] = NO_ADDITIONS) -> bool:
    """Tell whether a body of any kind, parsable or not, names an exempt number."""
    for text in _decodings(body[:SCAN_BYTES_MAX]):
        readings = tuple(_readings(_without_markup(text)))
        possible = any(_may_name_exempt(reading, additions) for reading in readings)
        if possible and any(_text_names_exempt(reading, additions) for reading in readings):
            return True
    return False


def _may_name_exempt(text: str, additions: frozenset[str]) -> bool:
    """Dismiss quickly the bodies in which no exempt number can stand; most end here."""
    if not text.isascii() or _POSSIBLE.search(text):
        return True
    return bool(additions) and may_name_added(text, additions)


def _uri_names_exempt(uri: str, additions: frozenset[str]) -> bool:
    """Look at the Request-URI: who is called, and its parameters that name somebody."""
    return is_exempt_number(uri, additions) or exempt_in(_addresses_in_parameters(uri), additions)


def _field_names_exempt(name: str, value: str, additions: frozenset[str]) -> bool:
    """Look at one header field."""
    name = name.strip().lower()
    if name in _PATH_FIELDS:
        return False
    if name == "priority":
        # RFC 7090: an emergency centre calls back.
        return value.partition(";")[0].strip().lower() == "psap-callback"
    holds_address = name in _ADDRESS_FIELDS or _holds_an_address(name)
    if holds_address and is_exempt_number(value, additions):
        return True
    for reading in _readings(value):
        if exempt_in((found[0] for found in _URI.finditer(reading)), additions):
            return True
        # Cisco's phones name the other party in parameters of From, others in header fields of a URI.
        if holds_address and exempt_in(_addresses_in_parameters(reading), additions):
            return True
    return False


def _addresses_in_parameters(text: str) -> Iterator[str]:
    """Yield the values of the parameters of a field or URI that may hold an address."""
    return (found[2] for found in _PARAMETER.finditer(text) if _holds_an_address(found[1]))


def _text_names_exempt(text: str, additions: frozenset[str]) -> bool:
    """Look at every place of a text in which an address may stand."""
    uris = (found[0] for found in _URI.finditer(text))
    return any(
        exempt_in(texts, additions) for texts in (uris, _texts_of_elements(text), _values_of_keys(text))
    )


def _texts_of_elements(text: str) -> Iterator[str]:
    """Yield the text of each element that may hold an address, or whose parent alone says that it does."""
    inherited_until = inside_until = -1
    for found in _ELEMENT.finditer(text):
        tag, attributes, content = found.groups()
        name = local_name(tag)
        # Oracle copies header fields of the call: <header label="To"><value>...
        label = _HEADER_LABEL.search(attributes) if name == "header" else None
        holds = _holds_an_address(tag) or (label is not None and label[1].lower() in _ADDRESS_FIELDS)
        inherits = found.start() == inherited_until and not _OTHER_NAME.search(name)
        within = found.start() < inside_until and _VALUE_NAME.fullmatch(name)
        if holds or inherits or within:
            if not attributes.endswith("/") and not content.strip():
                inherited_until = found.end()
                inside_until = text.find(f"</{tag}", found.end(), found.end() + INSIDE_CHARS_MAX)
            yield content
        elif _looks_like_an_address(content):
            yield content


def _values_of_keys(text: str) -> Iterator[str]:
    """Yield the value of each attribute or key, of XML, JSON or header lines, that may hold an address."""
    for found in _KEY_AND_VALUE.finditer(text):
        value = found[2] or found[3] or found[4] or ""
        foreign = _looks_like_an_address(value) and local_name(found[1]) != "phonecontext"
        if foreign or _holds_an_address(found[1]):
            yield value


@lru_cache(maxsize=1024)
def _holds_an_address(name: str) -> bool:
    """Tell by its name whether something holds an address."""
    word = _ADDRESS_WORD.search(name)
    name = local_name(name)
    if _TELEPHONE_NAME.search(name):
        return True
    return bool(word or _ADDRESS_NAME.search(name)) and not _OTHER_NAME.search(name)


def _looks_like_an_address(text: str) -> bool:
    """Tell whether a text can be nothing but an address: only numbers are written with a plus."""
    return text.lstrip()[:5].lower().startswith(("+", "sip:", "sips:", "tel:"))


def _decodings(body: bytes) -> Iterator[str]:
    """Yield the body in every encoding it may have."""
    yield from _characters(body)
    for octets in _unpacked(body):
        yield from _characters(octets)


def _unpacked(body: bytes) -> Iterator[bytes]:
    """Yield what a body holds that is compressed, or has parts in an encoding of RFC 2045 for mail."""
    if body.startswith(_COMPRESSED):
        try:
            yield zlib.decompressobj(wbits=47).decompress(body, SCAN_BYTES_MAX)
        except zlib.error:
            return
    if _MAIL_ENCODING.search(body):
        yield quopri.decodestring(body)
        yield b"\n".join(_digits_decoded(found[1]) for found in _BASE64.finditer(body))


def _digits_decoded(encoded: bytes) -> bytes:
    """Decode base64 that may be cut off; filled up rather than checked, for nothing here may raise."""
    digits = b"".join(encoded.split())
    return binascii.a2b_base64(digits + b"A" * (-len(digits) % 4))


def _characters(body: bytes) -> Iterator[str]:
    """Yield the characters of octets; without its NULs, any UTF-16 or UTF-32 reads as ASCII."""
    try:
        yield body.decode("utf-8")
    except UnicodeDecodeError:
        yield body.decode("latin-1")
        yield body.decode("utf-8", "ignore")
    if b"\x00" in body:
        yield body.replace(b"\x00", b"").decode("latin-1")
        # Parts of a multipart body may begin at an odd octet.
        for encoding in ("utf-16-le", "utf-16-be"):
            yield body.decode(encoding, "replace")
            yield body[1:].decode(encoding, "replace")


def _readings(text: str) -> Iterator[str]:
    """Yield a text as it is, and with one and two rounds of escapes undone."""
    yield text
    for _ in range(UNESCAPE_ROUNDS_MAX):
        if "&" not in text and "%" not in text:
            return
        # An escaped blank stays one, lest a URI end in the midst of its number: 0113%20123456 is in Goes.
        unescaped = unquote(html.unescape(text).replace("%20", "%2520"))
        if unescaped == text:
            return
        text = unescaped
        yield text


def _without_markup(text: str) -> str:
    """Return XML without what may stand inside a number, such as comments, and with entities expanded."""
    first, *rest = text.split("<!--")
    text = first + "".join(_after_comment(piece) for piece in rest)
    text = _INSTRUCTION.sub("", text).replace("<![CDATA[", "").replace("]]>", "")
    values = {
        name: value for name, value in _ENTITY.findall(text)[:ENTITIES_MAX] if len(value) <= ENTITY_CHARS_MAX
    }
    for _ in range(UNESCAPE_ROUNDS_MAX if values else 0):
        text = _ENTITY_REFERENCE.sub(lambda found: values.get(found[1], found[0]), text, count=EXPANSIONS_MAX)
    return text


def _after_comment(piece: str) -> str:
    """Return what follows a comment; one that never ends hides nothing."""
    before, end, after = piece.partition("-->")
    return after if end else before
