"""Whether a request or a metadata model names a number that is never recorded.

`archive.numbers` knows the numbers; this module knows where a number may stand: in
the Request-URI, in header fields, and in bodies. Bodies are read as text, never as
XML, SDP or multipart, so that what can't be parsed hides nothing: URIs anywhere, and
the texts of elements, attributes and keys whose names say that they hold an address.

Rules: pure; never raises; never quotes what it found. Only places that hold
addresses are looked at: a port, an id, a tag, a payload type or an octet of an IP
address that reads 112 must not lose an ordinary call.

Not here: what happens then (`recorder.srs.recording_mode`, and DESIGN section 4).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Protocol
from urllib.parse import unquote

from archive.numbers import exempt_in, is_exempt_number
from recorder.metadata.model import Document, RecordingMetadata
from recorder.metadata.tree import local_name

SCAN_BYTES_MAX = 256 * 1024
"""As much as a SIP body may have (`recorder.sip.grammar`); what is longer is not read any further."""

UNESCAPE_ROUNDS_MAX = 2
"""XML within XML is escaped twice at most; each round is a scan of the whole body."""

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
        "authorization",
        "proxy-authorization",
        "session-id",
        "warning",
        "user-agent",
    }
)

# Words in the names of elements, attributes, keys and fields that hold an address or a number...
_ADDRESS_NAME = re.compile(
    r"number|digits|diall?ed|phone|msisdn|party|aor|^uri|uri$|caller|callee|called|calling|redirect|destination"
    r"|address|initiator|recorded|fromhdr|tohdr|extension(?!data)"
    r"|^(?:nameid|name|userid|username|user|ani|dnis|did|from|to|target|alias|x?(?:near|far)endaddr)$"
)
# ... and in those of numbers that count, order or name something else.
_OTHER_NAME = re.compile(
    r"count|sequence|serial|port|version|length|order|numof|index|type|mode|reason|time|date|status|state"
    r"|cause|channel|trunk|line|queue|case|ticket|customer|room|team|circuit|slot|node|track|frame|retry"
    r"|tenant|interface|namespace|schema|ipaddress|macaddress"
)

_URI = re.compile(
    r"(?<![\w+.-])(?:(?:sips?|tel|callto|h323|pres|im):[^\s\"'<>,]{1,512}|urn:service:[\w.-]{1,128})",
    re.IGNORECASE,
)
_ELEMENT = re.compile(r"<([A-Za-z_][\w.:-]{0,127})([^<>]*)>([^<]*)")
_KEY_AND_VALUE = re.compile(
    r"(?<![\w.-])([A-Za-z_][\w.-]{0,63})[\"']?\s{0,4}[=:]\s{0,4}"
    # A closing quote is not waited for: the body may be cut off in the middle of the value.
    r"(?:\"([^\"<>]{1,512})|'([^'<>]{1,512})|([^\s\"'<>,;}&]{1,512}))"
)
# Without one of these no exempt address can be in a text of ASCII; many bodies end here.
_POSSIBLE = re.compile(r"1[^0-9A-Za-z<>]*1[^0-9A-Za-z<>]*[23]|urn:service:", re.IGNORECASE)
_HEADER_LABEL = re.compile(r"label\s*=\s*[\"']([\w-]+)", re.IGNORECASE)
_PARAMETER = re.compile(r";\s*([\w-]{1,64})\s*=\s*\"?([^;>,\s\"]{1,512})")
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


def is_exempt(request: OfferedRequest, bodies: Iterable[bytes] = ()) -> bool:
    """Tell whether a request, or one of the bodies it carries, names an exempt number.

    `bodies` are the parts of the body, or all of it where it can't be split.
    """
    if is_exempt_number(str(request.uri)):
        return True
    return any(_field_names_exempt(name, value) for name, value in request.headers) or any(
        body_names_exempt(body) for body in bodies
    )


def metadata_names_exempt(model: RecordingMetadata | Document) -> bool:
    """Tell whether parsed metadata, the first or a later one, names an exempt number."""
    for participant in model.participants:
        if exempt_in((participant.aor, participant.number, participant.name, *participant.aliases)):
            return True
        # An id is opaque, unless it is written as nothing but a number or a URI ever is.
        if _looks_like_an_address(participant.id) and is_exempt_number(participant.id):
            return True
    if model.broadworks and exempt_in(model.broadworks.numbers()):
        return True
    return exempt_in(
        text for name, text in model.extensions if _holds_an_address(name) or _looks_like_an_address(text)
    )


def body_names_exempt(body: bytes) -> bool:
    """Tell whether a body of any kind, parsable or not, names an exempt number."""
    for text in _decodings(body[:SCAN_BYTES_MAX]):
        readings = tuple(_readings(_without_markup(text)))
        possible = any(not reading.isascii() or _POSSIBLE.search(reading) for reading in readings)
        if possible and any(map(_text_names_exempt, readings)):
            return True
    return False


def _field_names_exempt(name: str, value: str) -> bool:
    """Look at one header field."""
    name = name.strip().lower()
    if name in _PATH_FIELDS:
        return False
    if name == "priority":
        # RFC 7090: an emergency centre calls back.
        return value.partition(";")[0].strip().lower() == "psap-callback"
    holds_address = name in _ADDRESS_FIELDS or _holds_an_address(name)
    if holds_address and is_exempt_number(value):
        return True
    for reading in _readings(value):
        if exempt_in(found[0] for found in _URI.finditer(reading)):
            return True
        # Cisco's phones name the other party in parameters of From.
        if holds_address and exempt_in(
            found[2] for found in _PARAMETER.finditer(reading) if _holds_an_address(found[1])
        ):
            return True
    return False


def _text_names_exempt(text: str) -> bool:
    """Look at every place of a text in which an address may stand."""
    return (
        exempt_in(found[0] for found in _URI.finditer(text))
        or exempt_in(_texts_of_elements(text))
        or exempt_in(_values_of_keys(text))
    )


def _texts_of_elements(text: str) -> Iterator[str]:
    """Yield the text of each element that may hold an address, or whose parent alone says that it does."""
    inherited_until = -1
    for found in _ELEMENT.finditer(text):
        tag, attributes, content = found.groups()
        # Oracle copies header fields of the call: <header label="To"><value>...
        label = _HEADER_LABEL.search(attributes) if local_name(tag) == "header" else None
        holds = _holds_an_address(tag) or (label is not None and label[1].lower() in _ADDRESS_FIELDS)
        inherits = found.start() == inherited_until and not _OTHER_NAME.search(local_name(tag))
        if holds or inherits:
            if not attributes.endswith("/") and not content.strip():
                inherited_until = found.end()
            yield content
        elif _looks_like_an_address(content):
            yield content


def _values_of_keys(text: str) -> Iterator[str]:
    """Yield the value of each attribute or key, of XML, JSON or header lines, that may hold an address."""
    for found in _KEY_AND_VALUE.finditer(text):
        value = found[2] or found[3] or found[4] or ""
        if _holds_an_address(found[1]) or _looks_like_an_address(value):
            yield value


@lru_cache(maxsize=1024)
def _holds_an_address(name: str) -> bool:
    """Tell by its name whether something holds an address."""
    name = local_name(name)
    return bool(_ADDRESS_NAME.search(name)) and not _OTHER_NAME.search(name)


def _looks_like_an_address(text: str) -> bool:
    """Tell whether a text can be nothing but an address: only numbers are written with a plus."""
    return text.lstrip()[:5].lower().startswith(("+", "sip:", "sips:", "tel:"))


def _decodings(body: bytes) -> Iterator[str]:
    """Yield the body in every encoding it may have; without its NULs, any UTF-16 or UTF-32 reads as ASCII."""
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
        unescaped = unquote(html.unescape(text))
        if unescaped == text:
            return
        text = unescaped
        yield text


def _without_markup(text: str) -> str:
    """Return XML without comments and CDATA marks, which may stand inside a number, and entities expanded."""
    first, *rest = text.split("<!--")
    text = first + "".join(_after_comment(piece) for piece in rest)
    text = text.replace("<![CDATA[", "").replace("]]>", "")
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
