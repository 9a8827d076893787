"""Text in the letters that the fonts of every reader of PDFs have: those of Latin 1.

A letter beyond them is its nearest: `Şahin Wiśniewski` is `Sahin Wisniewski`, a curly quote is a
straight one. What has no such letter, as Hebrew and Chinese, is a question mark, and who writes it
tells so (`is_whole`).

Rules: pure; what comes out is one line that can be printed, whatever went in.
"""

from __future__ import annotations

import unicodedata
from typing import Final

UNKNOWN: Final = "?"

# Letters that Unicode does not take apart: with a stroke, without their dot, two in one.
_NEAREST: Final = str.maketrans({
    "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T", "ı": "i",
    "œ": "oe", "Œ": "OE", "ŋ": "ng", "Ŋ": "NG", "ə": "e", "Ə": "E", "ẞ": "SS",
    "‘": "'", "’": "'", "‚": ",", "‛": "'", "“": '"', "”": '"', "„": '"', "‹": "<", "›": ">",
    "‐": "-", "‒": "-", "–": "-", "—": "-", "−": "-", "•": "·", "€": "EUR",
})  # fmt: skip


def latin(text: str) -> str:
    """Return a text in letters of Latin 1, on one line."""
    return _nearest(text).encode("latin-1", "replace").decode("latin-1")


def is_whole(text: str) -> bool:
    """Return whether a text needs no question mark that it does not have."""
    return latin(text).count(UNKNOWN) == _nearest(text).count(UNKNOWN)


def _nearest(text: str) -> str:
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return "".join(map(_taken_apart, unicodedata.normalize("NFC", line).translate(_NEAREST)))


def _taken_apart(letter: str) -> str:
    """Return a letter of Latin 1 as it is, another without its accents."""
    if ord(letter) < 256:
        return letter
    parts = unicodedata.normalize("NFKD", letter)
    return "".join(part for part in parts if not unicodedata.combining(part))
