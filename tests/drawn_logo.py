"""A logo as a customer has one: a mill in a disc and a name beside it, drawn here point by point.

    python tests/drawn_logo.py FILE

It is larger than what pages show and clear where nothing is drawn, as real ones are.
"""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

INK = (10, 79, 138)
HEIGHT_PX = 240
_LETTERS = {
    "M": ("10001", "11011", "10101", "10101", "10001", "10001", "10001"),
    "O": ("01110", "10001", "10001", "10001", "10001", "10001", "01110"),
    "L": ("10000", "10000", "10000", "10000", "10000", "10000", "11111"),
    "E": ("11111", "10000", "10000", "11110", "10000", "10000", "11111"),
    "N": ("10001", "11001", "10101", "10101", "10011", "10001", "10001"),
}
_DOT_PX = 14


def drawn_logo(ink: tuple[int, int, int] = INK, word: str = "MOLEN") -> bytes:
    """Return the logo as PNG, HEIGHT_PX high, with points that are clear."""
    drawn = np.concatenate([_mill(), _clear(40), *[_letter(each) for each in word]], axis=1)
    points = np.zeros((*drawn.shape, 4), dtype=np.uint8)
    points[..., :3] = ink
    points[..., 3] = (drawn * 255).astype(np.uint8)
    return _png(points)


def _mill() -> NDArray[np.float64]:
    """Return a disc with four sails left out of it: how much of each point is drawn."""
    y, x = np.mgrid[0:HEIGHT_PX, 0:HEIGHT_PX] - (HEIGHT_PX - 1) / 2
    radius, angle = np.hypot(x, y), np.degrees(np.arctan2(y, x)) % 90
    disc = np.clip(HEIGHT_PX / 2 - radius, 0, 1)
    sail = (abs(angle - 45) < 11) & (radius < 100) & (radius > 14)
    made: NDArray[np.float64] = disc * ~sail
    return made


def _letter(letter: str) -> NDArray[np.float64]:
    dots = np.array([[int(dot) for dot in row] for row in _LETTERS[letter]], dtype=np.float64)
    large = np.kron(dots, np.ones((_DOT_PX, _DOT_PX)))
    above = (HEIGHT_PX - large.shape[0]) // 2
    below = HEIGHT_PX - large.shape[0] - above
    made: NDArray[np.float64] = np.pad(large, ((above, below), (0, 2 * _DOT_PX)))
    return made


def _clear(width_px: int) -> NDArray[np.float64]:
    return np.zeros((HEIGHT_PX, width_px))


def _png(points: NDArray[np.uint8]) -> bytes:
    height, width, _ = points.shape
    rows = b"".join(b"\0" + row.tobytes() for row in points)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(drawn_logo())
