"""Samples: which calls of each person are drawn, at random but so that anybody can draw them again.

Each call gets a place by the SHA-256 of the seed and its id; of each person the first so many
are drawn. The seed is made when the sample is and stays with it: who knows it draws the same
calls, and nobody can choose it so that it draws what they like. A call that goes changes
nothing of the order of the others.

Rules: no I/O, no randomness of its own. Every call of a person is as likely as any other of
theirs, and how many calls somebody has does not change how many are drawn of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from archive.model import RecordingId, UserId

PER_PERSON_MAX = 50
"""More than one a working day of two months is no sample any more."""


def draw(
    seed: str, calls: Mapping[UserId, Iterable[RecordingId]], per_person: int
) -> dict[UserId, tuple[RecordingId, ...]]:
    """Return the calls that are drawn of each person, in the order of their places; of few all."""
    return {
        person: tuple(sorted(set(of_person), key=lambda call: _place(seed, call))[:per_person])
        for person, of_person in sorted(calls.items())
    }


def _place(seed: str, call: RecordingId) -> bytes:
    # The seed has a fixed length, so that no two pairs of seed and call are one text.
    return hashlib.sha256(f"{seed}/{call}".encode()).digest()
