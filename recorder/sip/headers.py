"""Header fields: an ordered multimap, and the two fields every hop reads, Via and CSeq.

Rules: names compare without case and a compact form is its long form (RFC 3261
section 7.3.3), so nobody else needs to know either. Values keep the text that came.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from recorder.errors import PeerViolation
from recorder.sip.grammar import (
    PORT_MAX,
    SEQUENCE,
    SEQUENCE_NUMBER_MAX,
    VIA,
    Parameters,
    format_parameters,
    parameter,
    parse_parameters,
    split,
)
from recorder.sip.uri import bracketed

# RFC 3261 section 7.3.3 and the IANA registry of SIP header fields.
_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
}
_IRREGULAR = {
    "call-id": "Call-ID",
    "cseq": "CSeq",
    "min-se": "Min-SE",
    "mime-version": "MIME-Version",
    "rack": "RAck",
    "rseq": "RSeq",
    "www-authenticate": "WWW-Authenticate",
}


# Spellings of names remembered; a client uses about thirty.
SPELLING_COUNT_MAX = 1_024


class MalformedField(PeerViolation):
    """A Via or CSeq that RFC 3261 section 25 does not generate."""


@functools.lru_cache(maxsize=SPELLING_COUNT_MAX)
def canonical(name: str) -> str:
    """Return the long form of a field name in the spelling of the RFCs."""
    lower = name.lower()
    return (
        _COMPACT.get(lower)
        or _IRREGULAR.get(lower)
        or "-".join(word.capitalize() for word in lower.split("-"))
    )


class Headers:
    """Header fields in the order they came; lookups cost the same however many there are."""

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[tuple[str, str]] = []
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Append one field."""
        name = canonical(name)
        self._fields.append((name, value))
        self._values.setdefault(name, []).append(value)

    def replace(self, name: str, value: str) -> None:
        """Make this the only field of its name, where the first one stood or else at the end."""
        name = canonical(name)
        if name not in self._values:
            self.add(name, value)
            return
        first = next(index for index, field in enumerate(self._fields) if field[0] == name)
        others = [field for field in self._fields[first + 1 :] if field[0] != name]
        self._fields[first:] = [(name, value), *others]
        self._values[name] = [value]

    def first(self, name: str) -> str | None:
        """Return the first value, or None when there is no such field."""
        values = self._values.get(canonical(name))
        return values[0] if values else None

    def all(self, name: str) -> tuple[str, ...]:
        """Return each field's value, unsplit, in order."""
        return tuple(self._values.get(canonical(name), ()))

    def values(self, name: str) -> tuple[str, ...]:
        """Return the values of repeated and comma-joined fields alike, in order."""
        return tuple(piece for value in self.all(name) for piece in split(value, ","))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: str) -> bool:
        return canonical(name) in self._values

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"


@dataclass(frozen=True)
class Via:
    """One hop of the way back (RFC 3261 section 20.42); IPv6 hosts are without brackets."""

    transport: str
    host: str
    port: int | None
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> Via:
        """Read one Via value; raises MalformedField."""
        match = VIA.fullmatch(text.strip())
        port = int(match["port"]) if match and match["port"] else None
        if match is None or (port is not None and port > PORT_MAX):
            raise MalformedField("The peer sent a Via that can't be read, so that no answer finds its way.")
        host = match["host"].strip("[]")
        return cls(match["transport"].upper(), host, port, parse_parameters(match["rest"] or ""))

    @property
    def branch(self) -> str:
        """The transaction's name, "" when a peer of RFC 2543 gave none."""
        return parameter(self.parameters, "branch") or ""

    @property
    def sent_by(self) -> str:
        """Host and port that tell the branches of two clients apart."""
        return f"{self.host.lower()}:{self.port or ''}"

    def received_from(self, address: tuple[str, int]) -> Via:
        """Note where it really came from: `received` (RFC 3261 18.2.1) and `rport` (RFC 3581)."""
        host, port = address
        asked = any(name == "rport" for name, _ in self.parameters)
        kept = tuple(item for item in self.parameters if item[0] not in ("received", "rport"))
        if asked or host != self.host.lower():
            kept = (*kept, ("received", host))
        if asked:
            kept = (*kept, ("rport", str(port)))
        return replace(self, parameters=kept)

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {bracketed(self.host)}{port}{format_parameters(self.parameters)}"


@dataclass(frozen=True)
class CSeq:
    """Sequence number and method (RFC 3261 section 20.16)."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Read a CSeq value; raises MalformedField, also above 2**31 - 1."""
        match = SEQUENCE.fullmatch(text.strip())
        if match is None or int(match["number"]) > SEQUENCE_NUMBER_MAX:
            raise MalformedField("The peer sent a CSeq that is not a number below 2**31 and a method.")
        return cls(int(match["number"]), match["method"])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"
