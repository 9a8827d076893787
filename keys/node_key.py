"""The key of one recorder, under which its journal's call keys are wrapped.

It stands in a file beside the journal, wrapped by the root. Unwrapped once at
start, so that answering an INVITE needs neither database nor key service. It never
wraps a data key, and no data key derives from it.
"""

from __future__ import annotations

from pathlib import Path

from keys import durable_file
from keys.envelope import new_key
from keys.errors import KeyStoreUnavailable
from keys.root import Root

_CONTEXT = b"earwitness-node-key/1"


def load_or_create(path: Path, root: Root) -> bytes:
    """Return the 32-octet node key of the file, made and stored durably when there is none.

    Raises SealBroken when another root wrapped it, KeyStoreUnavailable when the file
    can't be read or written.
    """
    try:
        if not path.exists():
            _create(path, root)
        wrapped = path.read_bytes()
    except OSError as error:
        raise KeyStoreUnavailable(f"The node key {path} can't be read or made: {error.strerror}.") from error
    return root.unwrap(wrapped, _CONTEXT)


def _create(path: Path, root: Root) -> None:
    try:
        durable_file.create(path, root.wrap(new_key(), _CONTEXT))
    except FileExistsError:
        # Another process of this node was first; its key is the one.
        return
