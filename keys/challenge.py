"""What a server must remember of a question until its answer comes back, kept by whoever is asked.

A challenge is a short document sealed by the root with what it is for and when it ends;
the browser carries it and can neither read nor alter it. So nothing is stored for
strangers who ask and never answer.

Rules: bytes in, bytes out; `now` is an argument. Not here: that an answer counts once
(`archive.catalogue.spent_challenges`).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from keys.binding import length_prefixed
from keys.errors import SealBroken
from keys.root import Root

CHALLENGE_CHARS_MAX = 4096
"""What fits in a cookie; what is longer is not opened."""

_FORMAT = "earwitness-challenge/1"
_ENDS = "ends"


def seal(root: Root, purpose: str, fields: Mapping[str, str], *, ends: datetime) -> str:
    """Return `fields` sealed for a purpose until `ends`, as text; ValueError when they are too much."""
    document = json.dumps({**fields, _ENDS: ends.astimezone(UTC).isoformat()}).encode()
    sealed = root.wrap(document, _context(purpose))
    text = _spelled(sealed)
    if len(text) > CHALLENGE_CHARS_MAX:
        raise ValueError(f"A challenge has at most {CHALLENGE_CHARS_MAX} characters, this one {len(text)}.")
    return text


def unseal(root: Root, purpose: str, text: str, *, now: datetime) -> dict[str, str] | None:
    """Return the fields of a challenge for this purpose, or None when it is not ours or has ended.

    A challenge has one spelling, so that whoever remembers it as answered knows it again.
    """
    if len(text) > CHALLENGE_CHARS_MAX or not text.isascii():
        return None
    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        fields: dict[str, str] = json.loads(root.unwrap(sealed, _context(purpose)))
    except (binascii.Error, SealBroken):
        return None
    if _spelled(sealed) != text:
        return None
    return fields if now < datetime.fromisoformat(fields.pop(_ENDS)) else None


def _spelled(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _context(purpose: str) -> bytes:
    return length_prefixed(_FORMAT) + length_prefixed(purpose)
