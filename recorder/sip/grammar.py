"""The words of SIP: limits, patterns and the splitting of field values (RFC 3261 section 25).

Rules: every pattern runs in linear time on hostile input, so each alternative of a
repetition begins with a character of its own, and an unterminated quote or bracket
runs to the end of the text instead of failing. Not here: what the fields mean.
"""

from __future__ import annotations

import re

# What one message may cost us. A recorded INVITE of a large SBC is 4 to 12 kB.
HEADERS_SIZE_BYTES_MAX = 65_536  # the largest UDP datagram; nothing legitimate came near it
BODY_SIZE_BYTES_MAX = 262_144  # SDP plus the 256 kB rs-metadata may have at most
HEADER_COUNT_MAX = 256  # four times the most crowded captured INVITE
HEADER_LINE_SIZE_BYTES_MAX = 8_192  # after unfolding; the same bound as common HTTP servers

SEQUENCE_NUMBER_MAX = 2**31 - 1  # RFC 3261 section 8.1.1.5
FORWARDS_MAX = 255  # RFC 3261 section 20.22
PORT_MAX = 65_535

MAGIC_COOKIE = "z9hG4bK"  # RFC 3261 section 8.1.1.7

# token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~" )
TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")

# Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF
STATUS_LINE = re.compile(r"[Ss][Ii][Pp]/2\.0[ \t]+(?P<status>[1-6][0-9][0-9])(?:[ \t]+(?P<reason>.*))?")

# CSeq = "CSeq" HCOLON 1*DIGIT LWS Method
SEQUENCE = re.compile(r"(?P<number>[0-9]{1,10})[ \t]+(?P<method>[A-Za-z0-9\-.!%*_+`'~]+)")

# sent-protocol LWS sent-by *( SEMI via-params ); blanks round the slashes are legal.
VIA = re.compile(
    r"(?P<protocol>[^\s/;,]+)[ \t]*/[ \t]*(?P<version>[^\s/;,]+)[ \t]*/[ \t]*(?P<transport>[^\s/;,]+)[ \t]+"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)[ \t]*(?::[ \t]*(?P<port>[0-9]{1,5}))?[ \t]*(?P<rest>;.*)?"
)

QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)

_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_PIECE = re.compile(r'"(?:[^"\\]|\\.?)*(?:"|\Z)|<[^>]*(?:>|\Z)|[,;]|[^"<,;]+', re.DOTALL)

Parameters = tuple[tuple[str, str | None], ...]


def split(text: str, separator: str) -> list[str]:
    """Split at a comma or semicolon that stands outside quotes and angle brackets; drop empty pieces."""
    if separator not in text:
        pieces = [text]
    else:
        pieces = [""]
        for match in _PIECE.finditer(text):
            if match.group() == separator:
                pieces.append("")
            else:
                pieces[-1] += match.group()
    return [stripped for piece in pieces if (stripped := piece.strip())]


def unquote(text: str) -> str:
    """Return a quoted-string without its quotes and escapes; other text comes back as it is."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return _QUOTED_PAIR.sub(r"\1", text[1:-1])
    return text


def parse_parameters(text: str) -> Parameters:
    """Read `;name=value;flag`; names become lower case, a flag's value is None."""
    parameters: list[tuple[str, str | None]] = []
    for piece in split(text, ";"):
        name, equals, value = piece.partition("=")
        parameters.append((name.strip().lower(), unquote(value.strip()) if equals else None))
    return tuple(parameters)


def format_parameters(parameters: Parameters) -> str:
    """Write parameters back, quoting a value that is neither a token nor a host."""
    text = ""
    for name, value in parameters:
        text += f";{name}" if value is None else f";{name}={_quote_if_needed(value)}"
    return text


def parameter(parameters: Parameters, name: str) -> str | None:
    """Return the first value of a parameter: None when absent, "" for a flag."""
    for known, value in parameters:
        if known == name:
            return value or ""
    return None


def _quote_if_needed(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9\-.!%*_+`'~:\[\]/$&#?@=^|{}()]+", value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
