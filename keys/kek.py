"""Key-encryption keys: one per tenant and day of expiry, in versions.

A KEK is 32 random octets, wrapped by the root and held only in the key store under
its id, `<tenant id>/<YYYY-MM-DD>/<version>`. Everything of a tenant that expires on
one day hangs from it, so that destroying it ends them all, wherever copies of the
wrapped data keys may still be.

Rules: several processes may ask for the current KEK at once and get the same. What
was unwrapped is remembered for at most five minutes (CACHE_S_MAX): so long may
another process still open what was destroyed elsewhere. Which version is current is
never remembered, so that nothing new is wrapped under a version that has gone.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from keys.envelope import new_key
from keys.errors import KeyDestroyed, KeyExists, KeyStoreUnavailable
from keys.key_store import KeyStore
from keys.root import Root

CACHE_S_MAX = 300.0
"""Reference of the promise: an unwrapped KEK is forgotten after five minutes."""

CACHE_COUNT_MAX = 4096
"""Tenants times days of expiry that are busy at once; keeps the memory of a busy portal bounded."""

VERSIONS_COUNT_MAX = 1000
"""Each early erasure uses one; a day with more of them points at a loop in the caller."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*/\d{4}-\d{2}-\d{2}/[1-9]\d{0,3}")


@dataclass(frozen=True)
class Kek:
    """An unwrapped key-encryption key; its repr shows the id alone."""

    id: str
    key: bytes = field(repr=False)


class KekVault:
    """Makes, finds and destroys KEKs. Safe to share between threads and processes.

    `monotonic` returns seconds that never step. Methods raise KeyStoreUnavailable
    when the store can't be used, SealBroken when the root is not the one that wrapped.
    """

    def __init__(self, root: Root, store: KeyStore, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._store = store
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, Kek]] = {}

    @property
    def erasure(self) -> str:
        """What the key store does with a key that is destroyed: "was ..."."""
        return self._store.erasure

    def current(self, tenant_id: str, expiry_day: date) -> Kek:
        """Return the newest KEK of that tenant and day, made now when there is none."""
        prefix = _checked(f"{tenant_id}/{expiry_day.isoformat()}/1").removesuffix("1")
        versions = [int(name.removeprefix(prefix)) for name in self._store.list(prefix)]
        for version in range(max(versions, default=1), VERSIONS_COUNT_MAX + 1):
            try:
                return self.get(f"{prefix}{version}") if versions else self._create(f"{prefix}{version}")
            except KeyDestroyed:
                # Destroyed before or just now: the next version takes over.
                versions = []
        raise KeyStoreUnavailable(
            f"{prefix} has used up its {VERSIONS_COUNT_MAX} versions: look at what keeps destroying them."
        )

    def rotate(self, kek_id: str) -> Kek:
        """Return the version after `kek_id`, made now if need be; the old one stays."""
        prefix, version = _checked(kek_id).rsplit("/", 1)
        if int(version) >= VERSIONS_COUNT_MAX:
            raise KeyStoreUnavailable(f"{prefix} has used up its {VERSIONS_COUNT_MAX} versions.")
        return self._create(f"{prefix}/{int(version) + 1}")

    def get(self, kek_id: str) -> Kek:
        """Return a KEK by its id; raises KeyNotFound, KeyDestroyed, or ValueError for what is no id."""
        now = self._monotonic()
        with self._lock:
            made_at, kek = self._cache.get(_checked(kek_id), (0.0, None))
        if kek is not None and now - made_at <= CACHE_S_MAX:
            return kek
        kek = Kek(kek_id, self._root.unwrap(self._store.get(kek_id), context_of(kek_id)))
        self._remember(kek, now)
        return kek

    def ids(self, tenant_id: str) -> tuple[str, ...]:
        """Return the ids of a tenant's KEKs that are not destroyed, sorted by name."""
        return tuple(name for name in self._store.list(f"{tenant_id}/") if is_kek_id(name))

    def destroy(self, kek_id: str) -> None:
        """Destroy a KEK for ever; repeatable. Raises KeyNotFound if it never was there."""
        self.forget(_checked(kek_id))
        self._store.destroy(kek_id)
        # A thread may have read it between the two: what it remembered goes as well.
        self.forget(kek_id)

    def forget(self, kek_id: str) -> None:
        """Drop a KEK from this process's memory; the next `get` asks the store."""
        with self._lock:
            self._cache.pop(kek_id, None)

    def _create(self, kek_id: str) -> Kek:
        kek = Kek(kek_id, new_key())
        try:
            self._store.put(kek_id, self._root.wrap(kek.key, context_of(kek_id)))
        except KeyExists:
            # Somebody else was first; theirs is the one.
            return self.get(kek_id)
        self._remember(kek, self._monotonic())
        return kek

    def _remember(self, kek: Kek, now: float) -> None:
        with self._lock:
            stale = [key for key, (made_at, _) in self._cache.items() if now - made_at > CACHE_S_MAX]
            for key in stale:
                del self._cache[key]
            if len(self._cache) >= CACHE_COUNT_MAX:
                self._cache.clear()
            self._cache[kek.id] = (now, kek)


def is_kek_id(name: str) -> bool:
    """Tell whether the name of a key is that of a KEK."""
    return _ID.fullmatch(name) is not None


def context_of(kek_id: str) -> bytes:
    """Return what the root binds a KEK to."""
    return b"earwitness-kek/1\x00" + kek_id.encode()


def _checked(kek_id: str) -> str:
    if _ID.fullmatch(kek_id) is None:
        raise ValueError("The id of a KEK has the form <tenant id>/<YYYY-MM-DD>/<version>.")
    return kek_id
