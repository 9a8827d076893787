"""Which recording sessions are of one call: named alike by the exchange, or linked by a redirection.

An exchange opens a session for each recorded user, one for each recorder, and a new one
after a transfer. What it calls the call in them (tracking ids, groups, sessions) leads
all of them to one `callGroup`, the same on every recorder: it is derived from the first
name, and remembered for the others.

Rules: no I/O. Names mean nothing beyond the tenant and peer that gave them (RFC 7865
ids are unique in a dialog at best). Not here: whose minutes are counted once
(`retention.minutes`).
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable
from uuid import UUID

NAMES_MAX = 20_000
"""As long as calls go on that may be transferred: some hours of a busy recorder; the oldest go."""

NAME_CHARS_MIN = 8
"""A shorter name, as `1` or `callhalf`, is a counter and is given again."""


EXCHANGE_IDS_MAX = 16
EXCHANGE_ID_CHARS_MAX = 200
_NUMBER = re.compile(r"(sips?:|tel:)?\+?[\d\s().-]+(@.*)?", re.IGNORECASE)


def exchange_ids(names: Iterable[str]) -> tuple[str, ...]:
    """Return what the exchange calls a call, as somebody would look for it; no counter, no number. Pure."""
    told = (name.partition(":")[2] for name in names)
    kept = (
        each
        for each in told
        if NAME_CHARS_MIN <= len(each) <= EXCHANGE_ID_CHARS_MAX and not _NUMBER.fullmatch(each)
    )
    return tuple(dict.fromkeys(kept))[:EXCHANGE_IDS_MAX]


class CallGroups:
    """The groups of this recorder's calls, by what exchanges call them."""

    def __init__(self) -> None:
        self._groups: OrderedDict[str, str] = OrderedDict()

    def group_of(self, scope: str, names: Iterable[str], new_id: str) -> str:
        """Return the group of a call with these names; `new_id` becomes it where none links it.

        `scope` is the tenant and peer within which a name means something.
        """
        keys = _keys(scope, names)
        known = next((self._groups[key] for key in keys if key in self._groups), None)
        group = known or (_derived(keys[0]) if keys else new_id)
        self._remember(keys, group)
        return group

    def add(self, scope: str, names: Iterable[str], group: str) -> None:
        """Remember more names of a call whose group is known."""
        self._remember(_keys(scope, names), group)

    def _remember(self, keys: list[str], group: str) -> None:
        for key in keys:
            self._groups.setdefault(key, group)
            self._groups.move_to_end(key)
        while len(self._groups) > NAMES_MAX:
            self._groups.popitem(last=False)


def _keys(scope: str, names: Iterable[str]) -> list[str]:
    return [f"{scope} {name}" for name in names if len(name.partition(":")[2]) >= NAME_CHARS_MIN]


def _derived(key: str) -> str:
    """Return the same group on every recorder that hears of the call under this name."""
    digest = bytearray(hashlib.sha256(key.encode()).digest()[:16])
    # Version 8 of RFC 9562: made by a rule of our own.
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))
