"""XML from a peer as a small tree, with every limit that keeps it harmless.

Rules: no DTD, no entity, no external reference (defusedxml); the limits below are
checked before and while parsing, never after. Names are local names without prefix,
lower case, without `-` and `_`, so that `dataMode`, `datamode` and `data-mode` are
one: clients agree on names no further than that.

XML that is not well-formed gets one repair: what stands before the root, control
characters, undeclared prefixes and an encoding that lies.

Not here: what elements mean (`recorder.metadata.document`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from recorder.errors import PeerViolation

DOCUMENT_BYTES_MAX = 256 * 1024
"""Documents seen have at most 4 kB; 64 parties with all they may carry stay far below this."""

DEPTH_MAX = 32
"""RFC 7865 needs four levels and vendors' extensions six."""

ATTRIBUTES_MAX = 64
"""Per element; no element of RFC 7865 has more than three."""

ELEMENTS_MAX = 4_000
"""64 parties with their streams and associations make some 1200."""

TEXT_CHARS_MAX = 4096
"""Longer texts are cut: no number, name or id is longer, and the whole body is kept as evidence."""

_FEED_BYTES = 8192
_EQUALS_SIGNS_MAX = 1024

# An encoding nobody knows raises one of the last two.
_NOT_WELL_FORMED = (ParseError, LookupError, ValueError)

_TAG = re.compile(rb"<[^<>]*")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_DECLARATION = re.compile(r"<\?xml[^<>]{0,200}\?>")
_TAG_PREFIX = re.compile(r"(</?)[\w.-]+:(?=[\w.-])")
_ATTRIBUTE_PREFIX = re.compile(r"(\s)[\w.-]+:([\w.-]+\s*=\s*[\"'])")


class MalformedTree(PeerViolation):
    """The peer's body is no XML that may be read; the message never quotes it."""

    status = 200


@dataclass
class Node:
    """One element: its name, attributes by name, own text, children in order, and its tag as written."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Node] = field(default_factory=list)
    tag: str = ""

    def all(self, *names: str) -> Iterator[Node]:
        """Yield the children of any of these names."""
        return (child for child in self.children if child.name in names)

    def first_text(self, *names: str) -> str | None:
        """Return the text in the first child of any of these names that has some."""
        return next((text for child in self.all(*names) if (text := child.content())), None)

    def first_attribute(self, *names: str) -> str | None:
        """Return the first of these attributes that is there, in the order asked."""
        return next((self.attributes[name] for name in names if name in self.attributes), None)

    def content(self) -> str:
        """Return all text in and below this element, stripped."""
        own = self.text.strip()
        below = (child.content() for child in self.children)
        return " ".join(text for text in (own, *below) if text)[:TEXT_CHARS_MAX]

    def walk(self) -> Iterator[Node]:
        """Yield this element and everything below it, in document order."""
        yield self
        for child in self.children:
            yield from child.walk()


def local_name(tag: str) -> str:
    """Return the form of a name by which elements and attributes are found."""
    return tag.rpartition("}")[2].rpartition(":")[2].lower().replace("-", "").replace("_", "")


def parse_tree(body: bytes) -> tuple[Node, bool]:
    """Return the root element of a body, and whether the XML had to be repaired.

    Raises MalformedTree.
    """
    if len(body) > DOCUMENT_BYTES_MAX:
        raise MalformedTree(
            f"The peer's metadata has more than {DOCUMENT_BYTES_MAX} octets; it was not read, only kept."
        )
    # Expat reads all attributes of an element before it asks us, in more than linear time.
    if any(found[0].count(b"=") > _EQUALS_SIGNS_MAX for found in _TAG.finditer(body)):
        raise MalformedTree(f"The peer's metadata has an element with more than {ATTRIBUTES_MAX} attributes.")
    try:
        return _parsed(body, None), False
    except _NOT_WELL_FORMED:
        pass
    try:
        return _parsed(_repaired(body), "utf-8"), True
    except _NOT_WELL_FORMED as error:
        raise MalformedTree("The peer's metadata is not well-formed XML; it was kept as it came.") from error


def _parsed(body: bytes, encoding: str | None) -> Node:
    """Parse once; raises one of _NOT_WELL_FORMED for broken XML and MalformedTree for forbidden XML."""
    builder = _Builder()
    parser = DefusedXMLParser(target=builder, encoding=encoding, forbid_dtd=True)
    try:
        for start in range(0, len(body), _FEED_BYTES):
            parser.feed(body[start : start + _FEED_BYTES])
        parser.close()
    except DefusedXmlException as error:
        raise MalformedTree("The peer's metadata has a DTD or entities, which are never read.") from error
    if builder.root is None:
        raise MalformedTree("The peer's metadata has no element at all.")
    return builder.root


class _Builder:
    """Takes the parser's calls and stops it at the first limit."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._open: list[Node] = []
        self._elements = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self._elements += 1
        if self._elements > ELEMENTS_MAX:
            raise MalformedTree(f"The peer's metadata has more than {ELEMENTS_MAX} elements.")
        if len(self._open) == DEPTH_MAX:
            raise MalformedTree(f"The peer's metadata is nested deeper than {DEPTH_MAX} elements.")
        if len(attributes) > ATTRIBUTES_MAX:
            raise MalformedTree(
                f"The peer's metadata has an element with more than {ATTRIBUTES_MAX} attributes."
            )
        named = {local_name(name): value[:TEXT_CHARS_MAX].strip() for name, value in attributes.items()}
        node = Node(local_name(tag), named, tag=tag.rpartition("}")[2])
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)

    def end(self, _tag: str) -> None:
        """The element begun last ends."""
        self._open.pop()

    def data(self, text: str) -> None:
        """Some text of the open element."""
        node = self._open[-1]
        room = TEXT_CHARS_MAX - len(node.text)
        if room > 0:
            node.text += text[:room]

    def close(self) -> None:
        """The document ends."""


def _repaired(body: bytes) -> bytes:
    """Return the body as UTF-8 without what made it malformed, as far as that is known."""
    encoding = "utf-16" if body.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    text = _CONTROL.sub("", _DECLARATION.sub("", text, count=1))
    text = _ATTRIBUTE_PREFIX.sub(r"\1\2", _TAG_PREFIX.sub(r"\1", text))
    first, last = text.find("<"), text.rfind(">")
    return text[max(first, 0) : last + 1].encode("utf-8", "replace")
