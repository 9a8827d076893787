"""Everything in a key store wrapped anew by the newest root, one name at a time.

What the root wraps is bound to what it is for; the purposes of the names in a key store
are listed here. Each sealing is opened again and compared before it takes the place of
the former one, and read back after. A stop anywhere leaves every name openable by the
root, which unwraps by its former versions as well; doing it again goes on.

Rules: bytes in, bytes out. Nothing is dropped here: the former root key goes when its
owner says so, after `unfinished` finds nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from keys import kek, signatory, signing_key
from keys.errors import KeyDestroyed, KeyNotFound, KeyStoreUnavailable, SealBroken
from keys.key_store import KeyStore
from keys.root import RotatingRoot

PURPOSES: tuple[Callable[[str], bytes], ...] = (
    kek.context_of,
    signatory.context_of,
    signing_key.context_of,
)
"""What the names of a key store may be for, and so what their sealings are bound to."""


@dataclass(frozen=True)
class Rewrapped:
    """How many names were wrapped anew, and how many were so already."""

    anew: int
    already: int


def rewrap(
    store: KeyStore, root: RotatingRoot, tell: Callable[[int], None] = lambda _count: None
) -> Rewrapped:
    """Wrap every key of a store by the newest root; `tell` hears how many were looked at so far.

    Raises SealBroken when something in the store opens by no root at hand (it stays as it
    is), KeyStoreUnavailable, KeyringLocked.
    """
    anew = already = 0
    for count, (name, context, sealed) in enumerate(_sealings(store, root), 1):
        fresh = root.rewrapped(sealed, context)
        if fresh is None:
            already += 1
        elif root.unwrap(fresh, context) != root.unwrap(sealed, context):
            raise SealBroken(f"The root does not give back what it wrapped for {name}: nothing was changed.")
        else:
            anew += _replaced(store, name, fresh)
        tell(count)
    return Rewrapped(anew, already)


def unfinished(store: KeyStore, root: RotatingRoot) -> int:
    """Return how many names of a store are not wrapped by the newest root; raises as `rewrap`."""
    return sum(root.rewrapped(sealed, context) is not None for _, context, sealed in _sealings(store, root))


def secret_of(root: RotatingRoot, name: str, sealed: bytes) -> bytes:
    """Return the secret that is sealed under a name of a key store; raises SealBroken, KeyringLocked."""
    return root.unwrap(sealed, _context(root, name, sealed))


def _sealings(store: KeyStore, root: RotatingRoot) -> Iterator[tuple[str, bytes, bytes]]:
    """Go through the names of a store with what they are bound to; those destroyed meanwhile are left out."""
    for name in store.list(""):
        try:
            sealed = store.get(name)
        except (KeyDestroyed, KeyNotFound):
            continue
        yield name, _context(root, name, sealed), sealed


def _context(root: RotatingRoot, name: str, sealed: bytes) -> bytes:
    for context_of in PURPOSES:
        try:
            root.unwrap(sealed, context_of(name))
        except SealBroken:
            continue
        return context_of(name)
    raise SealBroken(f"The key {name} opens by no root at hand: name the former one in KEYRING_FORMER.")


def _replaced(store: KeyStore, name: str, fresh: bytes) -> bool:
    try:
        store.replace(name, fresh)
        kept = store.get(name)
    except KeyDestroyed:
        return False
    if kept != fresh:
        raise KeyStoreUnavailable(f"The key store gives back something else than was put at {name}.")
    return True
