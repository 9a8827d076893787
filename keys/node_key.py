"""The key of one recorder, under which its journal's call keys are wrapped.

It stands in a file beside the journal, wrapped by the root. Unwrapped once at
start, so that answering an INVITE needs neither database nor key service. It never
wraps a data key, and no data key derives from it.
"""

from __future__ import annotations

from pathlib import Path

from keys import durable_file
from keys.envelope import new_key
from keys.errors import KeyStoreUnavailable, SealBroken
from keys.root import Root, RotatingRoot

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


def rewrap(path: Path, root: RotatingRoot) -> bool:
    """Wrap the node key of the file by the newest root; return whether it was not so already.

    The key stays the same, so that a recorder goes on meanwhile. Raises SealBroken,
    KeyStoreUnavailable.
    """
    try:
        with durable_file.alone(path.parent):
            wrapped = path.read_bytes()
            fresh = root.rewrapped(wrapped, _CONTEXT)
            if fresh is None:
                return False
            if root.unwrap(fresh, _CONTEXT) != root.unwrap(wrapped, _CONTEXT):
                raise SealBroken("The root does not give back what it wrapped: the node key was not changed.")
            durable_file.replace(path, fresh)
    except OSError as error:
        raise KeyStoreUnavailable(f"The node key {path} can't be replaced: {error.strerror}.") from error
    return True


def is_under_former(path: Path, root: RotatingRoot) -> bool:
    """Tell whether a former root key still wraps the node key of the file; raises as `rewrap`."""
    try:
        return root.rewrapped(path.read_bytes(), _CONTEXT) is not None
    except OSError as error:
        raise KeyStoreUnavailable(f"The node key {path} can't be read: {error.strerror}.") from error


def _create(path: Path, root: Root) -> None:
    try:
        durable_file.create(path, root.wrap(new_key(), _CONTEXT))
    except FileExistsError:
        # Another process of this node was first; its key is the one.
        return
