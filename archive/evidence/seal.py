"""Signing a package, and having it time-stamped: the last files of it.

The signature is over the manifest of tags, which names everything else. A time-stamp
(RFC 3161) is over the signature: it proves that the package was signed by then, also
when the signer's certificate has ended since. A second signature is over the answer of the
authority of time as it came: parts of that answer are signed by nobody else.

In an ASiC-E container one signature more follows, over a manifest of its own (`asic`).

Rules: whether a stamp belongs to the package stands in its information, which is
signed; so the authority of time is asked for only after that, and when it is away
the package is not finished and may be tried again.
"""

from __future__ import annotations

from datetime import datetime

from archive.evidence.asic import ASIC_MANIFEST, ASIC_SIGNATURE, MEDIA_TYPE, MIMETYPE, asic_manifest
from archive.evidence.bag import SIGNATURE, TIMESTAMP, TIMESTAMP_SIGNATURE, Bag, BagFile
from archive.timestamp import Stamper
from keys.signatory import Signatory


def seal_bag(
    bag: Bag,
    tag_manifest: bytes,
    signatory: Signatory,
    authority: Stamper | None,
    now: datetime,
    *,
    asic: bool = False,
) -> tuple[BagFile, ...]:
    """Add the signature, and the time-stamp where there is an authority; return every file, durable.

    With `asic` the three files come too that make an ASiC-E container of the package.
    """
    signature = signatory.sign(tag_manifest, now)
    bag.add(SIGNATURE, (signature,))
    if authority is not None:
        stamp = authority.stamp(signature)
        bag.add(TIMESTAMP, (stamp,))
        bag.add(TIMESTAMP_SIGNATURE, (signatory.sign(stamp, now),))
    if asic:
        listed = asic_manifest((file.name, file.sha256) for file in bag.files)
        bag.add(MIMETYPE, (MEDIA_TYPE.encode(),))
        bag.add(ASIC_MANIFEST, (listed,))
        bag.add(ASIC_SIGNATURE, (signatory.sign(listed, now),))
    return bag.settle()
