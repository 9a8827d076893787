"""A secret in shares: any `needed` of them give it back, fewer tell nothing of it.

Shamir's scheme (Communications of the ACM 22, 1979) over GF(2**8) with the polynomial
x**8 + x**4 + x**3 + x + 1: each octet of the secret is the constant of a random
polynomial of degree `needed - 1`, and share x holds the values at x. A checksum over
all of it is shared along, so that a wrong set of shares is told from a right one.

A share is printed as text to be typed in again, with a checksum of its own, the number
needed, and an id that tells which shares belong together.

Rules: bytes in, text out and back. Not here: what the secret opens (`local_keyring`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import xor

from keys.errors import KeyringLocked

SHARES_COUNT_MAX = 16
"""More people than that do not guard one archive; the arithmetic would carry 255."""

SECRET_BYTES_MAX = 64

_PREFIX = "earwitness-share-1"
_ID_BYTES = 4
_CHECK_BYTES = 4
_GROUP_CHARS = 5


@dataclass(frozen=True)
class Share:
    """One share: which secret it is of, how many are needed, its number and its octets."""

    of: bytes
    needed: int
    number: int
    octets: bytes = field(repr=False)

    def text(self) -> str:
        """Return the share in groups of letters and digits, to be printed."""
        content = self.of + bytes((self.needed, self.number)) + self.octets
        letters = base64.b32encode(content + _check(content)).decode().rstrip("=")
        groups = (letters[at : at + _GROUP_CHARS] for at in range(0, len(letters), _GROUP_CHARS))
        return f"{_PREFIX} {' '.join(groups)}"

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read a share as people type it; raises KeyringLocked when it was not typed right."""
        letters = "".join(text.strip().removeprefix(_PREFIX).split()).upper().replace("-", "")
        try:
            octets = base64.b32decode(letters + "=" * (-len(letters) % 8))
        except binascii.Error:
            octets = b""
        content, check = octets[:-_CHECK_BYTES], octets[-_CHECK_BYTES:]
        head, values = content[: _ID_BYTES + 2], content[_ID_BYTES + 2 :]
        if not values or _check(content) != check:
            raise KeyringLocked("This is not a recovery share, or it was not typed as it is printed.")
        return cls(head[:_ID_BYTES], head[_ID_BYTES], head[_ID_BYTES + 1], values)


def split(secret: bytes, needed: int, count: int) -> tuple[Share, ...]:
    """Return `count` shares of a secret (1 to 64 octets), of which any `needed` give it back.

    Raises ValueError unless 2 <= needed <= count <= SHARES_COUNT_MAX.
    """
    if not 2 <= needed <= count <= SHARES_COUNT_MAX:
        raise ValueError(f"Shares are 2 to {SHARES_COUNT_MAX}, and as many or fewer of them are needed.")
    if not 1 <= len(secret) <= SECRET_BYTES_MAX:
        raise ValueError(f"A secret in shares has 1 to {SECRET_BYTES_MAX} octets, not {len(secret)}.")
    guarded = secret + _check(secret)
    of = secrets.token_bytes(_ID_BYTES)
    polynomials = [bytes([octet]) + secrets.token_bytes(needed - 1) for octet in guarded]
    return tuple(
        Share(of, needed, number, bytes(_value(each, number) for each in polynomials))
        for number in range(1, count + 1)
    )


def join(shares: Sequence[Share]) -> bytes:
    """Return the secret of these shares; raises KeyringLocked when they are too few or not of one secret."""
    by_number = {share.number: share for share in shares}
    if len({(share.of, share.needed, len(share.octets)) for share in shares}) != 1:
        raise KeyringLocked("These recovery shares are not all of one keyring.")
    needed = shares[0].needed
    if len(by_number) < needed:
        raise KeyringLocked(f"{needed} different recovery shares are needed, these are {len(by_number)}.")
    chosen = [by_number[number] for number in sorted(by_number)][:needed]
    weights = [_weight(share.number, [other.number for other in chosen]) for share in chosen]
    guarded = bytes(
        reduce(xor, (_times(share.octets[at], weight) for share, weight in zip(chosen, weights, strict=True)))
        for at in range(len(chosen[0].octets))
    )
    secret, check = guarded[:-_CHECK_BYTES], guarded[-_CHECK_BYTES:]
    if _check(secret) != check:
        raise KeyringLocked("These recovery shares do not belong together.")
    return secret


def _check(octets: bytes) -> bytes:
    return hashlib.sha256(_PREFIX.encode() + octets).digest()[:_CHECK_BYTES]


def _value(polynomial: bytes, at: int) -> int:
    """Return the value of a polynomial, its constant first, by Horner's rule."""
    value = 0
    for coefficient in reversed(polynomial):
        value = _times(value, at) ^ coefficient
    return value


def _weight(number: int, numbers: Sequence[int]) -> int:
    """Return what Lagrange multiplies the value at `number` with to have the value at 0."""
    weight = 1
    for other in numbers:
        if other != number:
            weight = _times(weight, _times(other, _inverse(other ^ number)))
    return weight


def _times(one: int, other: int) -> int:
    product = 0
    for _ in range(8):
        # Without branches on the secret: which bits it has must not show in the time it takes.
        product ^= -(other & 1) & one
        one = (one << 1) ^ (-(one >> 7) & 0x11B)
        other >>= 1
    return product


def _inverse(octet: int) -> int:
    """Return the inverse in the field: the 254th power."""
    result = 1
    for _ in range(254):
        result = _times(result, octet)
    return result
