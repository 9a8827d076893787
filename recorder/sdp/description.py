"""A session description as RFC 8866 has it: bytes in, frozen values out, and back.

Rules: lenient in what it reads (bare LF or CR, lines out of order, missing `v=`, `s=`
or `t=`, spaces where none belong, octets that are no UTF-8), exact in what it
writes. Nothing is resolved: a host name in `c=` stays a name. Values of lines that
mean nothing to a recorder (`b=`, `i=`, `k=`, ...) are not kept.

Not here: what we answer (`recorder.sdp.offer_answer`) and crypto attributes beyond
their text (RFC 4568).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from recorder.errors import PeerViolation

DESCRIPTION_BYTES_MAX = 64 * 1024
"""The largest one seen in the wild is below 4 kB; a UDP datagram can't carry more than this."""

MEDIA_COUNT_MAX = 64
"""A conference of SIPREC has a stream per party; more lines than this only cost ports and time."""

ATTRIBUTE_COUNT_MAX = 2048
"""Over the whole description: 32 lines for each stream, ICE candidates included."""

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

_LINE_END = re.compile(r"\r\n|\n|\r")


class UnreadableDescription(PeerViolation):
    """The peer's body is no session description."""


@dataclass(frozen=True)
class Connection:
    """Where media goes, as in `c=` (RFC 8866 section 5.7); `address` may be a host name."""

    address: str
    address_type: str = "IP4"
    network_type: str = "IN"

    @classmethod
    def to(cls, address: str) -> Connection:
        """Return the connection for one of our own addresses, IPv4 or IPv6."""
        return cls(address, "IP6" if ":" in address else "IP4")

    @property
    def on_hold(self) -> bool:
        """Tell whether the address is the unspecified one: hold as RFC 2543 had it, still in use."""
        return self.address in {"0.0.0.0", "::", "0:0:0:0:0:0:0:0"}  # noqa: S104 - no socket is bound to it

    def __str__(self) -> str:
        return f"{self.network_type} {self.address_type} {self.address}"


@dataclass(frozen=True)
class Origin:
    """Who made the description and which version it is, as in `o=` (section 5.2).

    The numbers stay text: peers send ones of any length, and they are only compared.
    """

    username: str = "-"
    session_id: str = "0"
    version: str = "0"
    connection: Connection = Connection("0.0.0.0")  # noqa: S104 - says "unknown", no socket is bound to it

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} {self.connection}"


@dataclass(frozen=True)
class Attribute:
    """One `a=` line: a flag, or a name with a value (section 5.13)."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


class _Attributed:
    """What session and media have in common: attributes that can be asked for by name."""

    attributes: tuple[Attribute, ...]

    def attribute(self, name: str) -> str | None:
        """Return the value of the first attribute of that name, empty for a flag, None when absent."""
        return next((found.value or "" for found in self.attributes if found.name == name), None)

    def attribute_values(self, name: str) -> tuple[str, ...]:
        """Return the values of all attributes of that name, in order."""
        return tuple(found.value or "" for found in self.attributes if found.name == name)

    @property
    def own_direction(self) -> str | None:
        """Return the direction attribute that stands here, or None."""
        return next((found.name for found in self.attributes if found.name in DIRECTIONS), None)


@dataclass(frozen=True)
class MediaDescription(_Attributed):
    """One `m=` section: the media type, port, transport profile and formats of one stream."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: tuple[Attribute, ...] = ()
    connection: Connection | None = None

    def lines(self) -> list[str]:
        """Return the section as lines without their ends."""
        head = [f"m={' '.join((self.kind, str(self.port), self.protocol, *self.formats))}"]
        connection = [f"c={self.connection}"] if self.connection else []
        return head + connection + [f"a={attribute}" for attribute in self.attributes]


@dataclass(frozen=True)
class SessionDescription(_Attributed):
    """A whole description: the session's own lines, then one section a stream, in order."""

    origin: Origin
    media: tuple[MediaDescription, ...] = ()
    connection: Connection | None = None
    attributes: tuple[Attribute, ...] = ()
    name: str = "-"
    timing: str = "0 0"

    @classmethod
    def parse(cls, text: bytes) -> SessionDescription:
        """Read a description; raises UnreadableDescription when no meaning can be given to it."""
        if len(text) > DESCRIPTION_BYTES_MAX:
            raise UnreadableDescription(
                f"The peer's session description has more than {DESCRIPTION_BYTES_MAX} octets; send less."
            )
        reader = _Reader()
        for line in lines_of(text):
            reader.take(line)
        return reader.finish()

    def to_bytes(self) -> bytes:
        """Return the description as it goes on the wire, each line ended by CRLF."""
        lines = ["v=0", f"o={self.origin}", f"s={self.name}"]
        if self.connection:
            lines.append(f"c={self.connection}")
        lines.append(f"t={self.timing}")
        lines += [f"a={attribute}" for attribute in self.attributes]
        for media in self.media:
            lines += media.lines()
        return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")

    @property
    def origin_version(self) -> str:
        """Return session id and version: unchanged, they say the offer is (RFC 3264 section 8)."""
        return f"{self.origin.session_id} {self.origin.version}"

    def direction_of(self, media: MediaDescription) -> str:
        """Return the direction of one stream: its own, else the session's, else sendrecv (RFC 8866 6.7)."""
        return media.own_direction or self.own_direction or "sendrecv"

    def connection_of(self, media: MediaDescription) -> Connection | None:
        """Return where one stream comes from: its own `c=`, else the session's."""
        return media.connection or self.connection


def lines_of(text: bytes) -> list[str]:
    """Return the lines of a body, whatever ends them; octets that are no UTF-8 survive the way back."""
    return _LINE_END.split(text.decode("utf-8", "surrogateescape"))


def parse_media_line(value: str) -> MediaDescription:
    """Read what stands behind `m=`; raises UnreadableDescription (RFC 8866 section 5.14)."""
    fields = value.split()
    port = fields[1].partition("/")[0] if len(fields) > 2 else ""
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise UnreadableDescription("The peer's session description has an m= line that names no port.")
    return MediaDescription(fields[0].lower(), int(port), fields[2], tuple(fields[3:]))


class _Reader:
    """Collects lines into a description; a line belongs to the last `m=` before it."""

    def __init__(self) -> None:
        self._origin: Origin | None = None
        self._name = "-"
        self._timing = "0 0"
        self._media: list[MediaDescription] = []
        self._connections: list[Connection | None] = [None]
        self._attributes: list[list[Attribute]] = [[]]
        self._attribute_count = 0

    def take(self, line: str) -> None:
        """Take one line in; lines of no meaning to us are passed over."""
        kind, equals, value = line.partition("=")
        kind, value = kind.strip(), value.strip()
        if not equals or not value:
            return
        if kind == "m":
            self._begin_media(value)
        elif kind == "a":
            self._take_attribute(value)
        elif kind == "c":
            self._connections[-1] = self._connections[-1] or _connection(value.split())
        elif kind == "o":
            self._origin = self._origin or _origin(value.split())
        elif kind == "s":
            self._name = value
        elif kind == "t" and self._timing == "0 0":
            self._timing = " ".join(value.split())

    def finish(self) -> SessionDescription:
        """Return what was collected."""
        if self._origin is None and not self._media:
            raise UnreadableDescription(
                "The peer's body is no session description: it has neither o= nor m=."
            )
        sections = zip(self._media, self._connections[1:], self._attributes[1:], strict=True)
        return SessionDescription(
            origin=self._origin or Origin(),
            media=tuple(
                MediaDescription(
                    media.kind, media.port, media.protocol, media.formats, tuple(attributes), connection
                )
                for media, connection, attributes in sections
            ),
            connection=self._connections[0],
            attributes=tuple(self._attributes[0]),
            name=self._name,
            timing=self._timing,
        )

    def _begin_media(self, value: str) -> None:
        if len(self._media) == MEDIA_COUNT_MAX:
            raise UnreadableDescription(
                f"The peer's session description has more than {MEDIA_COUNT_MAX} streams; offer fewer."
            )
        self._media.append(parse_media_line(value))
        self._connections.append(None)
        self._attributes.append([])

    def _take_attribute(self, text: str) -> None:
        self._attribute_count += 1
        if self._attribute_count > ATTRIBUTE_COUNT_MAX:
            raise UnreadableDescription(
                f"The peer's session description has more than {ATTRIBUTE_COUNT_MAX} attributes; send fewer."
            )
        name, colon, value = text.partition(":")
        name = name.strip()
        if name:
            # Direction attributes are compared as words; peers write them in any case.
            name = name.lower() if name.lower() in DIRECTIONS else name
            self._attributes[-1].append(Attribute(name, value.strip() if colon else None))


def _connection(fields: list[str]) -> Connection | None:
    """Read a `c=` value; None when it has no address. A TTL behind a slash is dropped."""
    if len(fields) < 3:
        return None
    return Connection(fields[2].partition("/")[0], fields[1].upper(), fields[0].upper())


def _origin(fields: list[str]) -> Origin:
    """Read an `o=` value; what is missing at its end keeps its default."""
    filled = fields[:6] + ["-", "0", "0", "IN", "IP4", "0.0.0.0"][len(fields) :]  # noqa: S104 - a default text
    return Origin(
        filled[0], filled[1], filled[2], Connection(filled[5], filled[4].upper(), filled[3].upper())
    )
