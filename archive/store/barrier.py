"""The durability barrier of a store whose disk is ours: one syncfs of its file system.

The embedded store acknowledges an object when the kernel has it. Before a journal
may go, its file system is synchronised as a whole (syncfs(2)), because which files
the store wrote is its own affair.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from archive.errors import StoreUnavailable

_libc = ctypes.CDLL(None, use_errno=True)


def sync_filesystem(directory: Path) -> None:
    """Write everything of the file system that holds `directory` to its disk.

    Raises `StoreUnavailable` when the directory can't be opened or the disk reports
    an error: then nothing put since the last barrier may be trusted.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StoreUnavailable(
            f"The directory of the object store can't be opened: {error.strerror}."
        ) from error
    try:
        if _libc.syncfs(descriptor) != 0:
            reason = os.strerror(ctypes.get_errno())
            raise StoreUnavailable(f"The disk of the object store could not be synchronised: {reason}.")
    finally:
        os.close(descriptor)
