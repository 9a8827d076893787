"""Signing a package, and having it time-stamped: the last two files of it.

The signature is over the manifest of tags, which names everything else. A time-stamp
(RFC 3161) is over the signature: it proves that the package was signed by then, also
when the signer's certificate has ended since.

Rules: whether a stamp belongs to the package stands in its information, which is
signed; so the authority of time is asked for only after that, and when it is away
the package is not finished and may be tried again.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Protocol

from archive.evidence.bag import SIGNATURE, TIMESTAMP
from keys.signatory import Signatory


class TimestampAuthority(Protocol):
    """Whoever stamps time."""

    def stamp(self, data: bytes) -> bytes:
        """Return the DER of a TimeStampResp over `data`; raises DependencyUnavailable."""


def seal_package(
    folder: Path,
    tag_manifest: bytes,
    signatory: Signatory,
    authority: TimestampAuthority | None,
    now: datetime,
) -> None:
    """Write the signature, and the time-stamp where there is an authority; durable when it returns."""
    signature = signatory.sign(tag_manifest, now)
    _write(folder / SIGNATURE, signature)
    if authority is not None:
        _write(folder / TIMESTAMP, authority.stamp(signature))


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
