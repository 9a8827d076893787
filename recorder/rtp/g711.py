"""G.711 companding (ITU-T G.711, A-law and mu-law) by tables: octets to 16-bit samples and back.

`expand` is one table look-up; `compress` is its exact inverse on every value that
`expand` gives, and picks the nearest code for any other sample. A-law has no code
for 0, so a sample of 0 in a recording was never received: it is our silence.
Mu-law has two codes for 0; 0x7F, the negative zero, expands to 0 as in every
decoder, and where it stood is kept beside the samples (`pack_negative_zeros`), so
that the octets can be got back exactly.

Rules: pure, numpy only; arrays are one-dimensional. Not here: RTP, files.
"""

from __future__ import annotations

import struct
import zlib
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
Octets = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

NEGATIVE_ZERO = 0x7F
POSITIVE_ZERO = 0xFF

_HEADER = struct.Struct(">BQI")  # channel, first sample, number of samples


class Law(StrEnum):
    """The two companding laws, by their RTP encoding names (RFC 3551 section 4.5.14)."""

    A = "PCMA"
    MU = "PCMU"


def _expand_a(octet: int) -> int:
    """Return the sample of an A-law octet (G.711 table 1, even bits inverted)."""
    code = octet ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 0xF
    magnitude = (mantissa << 4) + 8 if exponent == 0 else ((mantissa << 4) + 0x108) << (exponent - 1)
    return magnitude if code & 0x80 else -magnitude


def _expand_mu(octet: int) -> int:
    """Return the sample of a mu-law octet (G.711 table 2, all bits inverted)."""
    code = octet ^ 0xFF
    magnitude = ((((code & 0xF) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


_EXPANDED: dict[Law, Samples] = {
    Law.A: np.array([_expand_a(octet) for octet in range(256)], np.int16),
    Law.MU: np.array([_expand_mu(octet) for octet in range(256)], np.int16),
}


def _compressed(law: Law) -> Octets:
    """Return the nearest octet for each of the 65536 samples, indexed by the sample as unsigned."""
    values = _EXPANDED[law].astype(np.int64)
    octets = np.argsort(values, kind="stable")
    if law is Law.MU:
        octets = octets[octets != NEGATIVE_ZERO]
    values = values[octets]
    edges = (values[:-1] + values[1:]) / 2
    samples = np.arange(65536, dtype=np.uint16).view(np.int16)
    return octets[np.searchsorted(edges, samples)].astype(np.uint8)


_COMPRESSED: dict[Law, Octets] = {law: _compressed(law) for law in Law}


def expand(octets: Octets, law: Law, out: Samples | None = None) -> Samples:
    """Return the samples of `octets`, one each; in `out`, of the same length, when it is given."""
    # An octet can't be outside a table of 256, so `clip` never does; it spares numpy a copy.
    return _EXPANDED[law].take(octets, out=out, mode="clip")


def compress(samples: Samples, law: Law) -> Octets:
    """Return the octet nearest to each sample; mu-law 0 gives the positive zero, 0xFF."""
    return _COMPRESSED[law].take(samples.view(np.uint16))


def pack_negative_zeros(channel: int, first_sample: int, samples: int, positions: Indices) -> bytes:
    """Pack where, of `samples` samples from `first_sample` on, the octet was 0x7F.

    `positions` count from `first_sample`. The result is a compressed bit map.
    """
    marks = np.zeros(samples, np.bool_)
    marks[positions] = True
    return _HEADER.pack(channel, first_sample, samples) + zlib.compress(np.packbits(marks).tobytes(), 1)


def unpack_negative_zeros(packed: bytes) -> tuple[int, Indices]:
    """Return the channel and the absolute sample positions that `pack_negative_zeros` was given."""
    channel, first_sample, samples = _HEADER.unpack_from(packed)
    marks = np.frombuffer(zlib.decompress(packed[_HEADER.size :]), np.uint8)
    return channel, np.flatnonzero(np.unpackbits(marks, count=samples)).astype(np.int64) + first_sample
