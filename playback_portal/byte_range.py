"""Which octets of a representation are wanted: preconditions and Range (RFC 9110 sections 13 and 14).

Rules: pure. A Range that is not understood, or asks for several ranges, is ignored
as the RFC allows; one that lies outside the representation is a 416.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DIGITS_MAX = 18
"""No representation has 10**18 octets; longer numbers are refused before they are read."""

_ENTITY_TAG = re.compile(r'(?:W/)?"[^"]*"')
_SINGLE_RANGE = re.compile(rf"bytes=\s*(\d{{0,{DIGITS_MAX}}})-(\d{{0,{DIGITS_MAX}}})\s*", re.IGNORECASE)


@dataclass(frozen=True)
class ByteRange:
    """Octets `first` to `last_exclusive` of a representation."""

    first: int
    last_exclusive: int

    @property
    def length(self) -> int:
        """Return the number of octets."""
        return self.last_exclusive - self.first


class Unsatisfiable(ValueError):  # noqa: N818 - the word of RFC 9110 section 15.5.17
    """The range lies outside the representation: status 416."""


def wanted(header: str | None, if_range: str | None, etag: str, length: int) -> ByteRange | None:
    """Return the range asked for, or None when the whole representation is to be sent.

    `header` and `if_range` are the fields Range and If-Range, `etag` is strong and in
    its quotes, `length` is in octets. Raises Unsatisfiable.
    """
    match = _SINGLE_RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", "") or (if_range is not None and if_range.strip() != etag):
        return None
    first, last = match.groups()
    if first == "":
        return _suffix(int(last), length)
    if last != "" and int(last) < int(first):
        return None
    if int(first) >= length:
        raise Unsatisfiable("The range begins behind the end.")
    return ByteRange(int(first), length if last == "" else min(int(last) + 1, length))


def matches(header: str, etag: str, *, weak: bool) -> bool:
    """Return whether a field If-Match or If-None-Match names `etag`, which is strong and in its quotes.

    The comparison is the weak one for If-None-Match, the strong one for If-Match (section 8.8.3.2).
    """
    if header.strip() == "*":
        return True
    named = _ENTITY_TAG.findall(header)
    return etag in (tag.removeprefix("W/") if weak else tag for tag in named)


def _suffix(count: int, length: int) -> ByteRange:
    if count == 0 or length == 0:
        raise Unsatisfiable("The range is empty.")
    return ByteRange(max(0, length - count), length)
