"""When certificates of listeners end, as their PEM files say.

Not here: certificates that sign (`keys.signatory`), and whose time-stamps count (`archive.timestamp`).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from archive.timestamp import certificates_in


def chain_ends(path: Path | None) -> datetime | None:
    """Return when the first certificate of a chain ends that ends, None for no file; raises Refused."""
    return None if path is None else min(each.not_valid_after_utc for each in certificates_in(path))
