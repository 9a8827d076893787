"""A file of ours alone, replaced whole: secrets, and what is noted for the next start.

Unlike `keys.durable_file`, which never replaces a key, writing again puts the new
content in the place of the old one.
"""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, content: bytes) -> Path:
    """Replace `path` by a durable file of mode 0600 that is never half written; returns it."""
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    return path
