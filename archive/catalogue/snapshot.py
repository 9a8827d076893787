"""The directory a recorder carries: who may call, for which tenant, and who is recorded.

A frozen copy of tenants, peers and users that answers while the database is away,
and goes to JSON and back so that a recorder can start without it.

Rules: pure; a lookup never leaves the tenant it was given. The longest prefix of an
address wins. A number belongs to one user of a tenant, as a single number or inside
a range. Not here: loading and changing it (`archive.catalogue.directory`).
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from archive.errors import Refused
from archive.model import Peer, PeerId, RecordingMode, RetentionClass, Role, Tenant, TenantId, User, UserId
from archive.numbers import canonical

VERSION = 1
NUMBERS_PER_RANGE_MAX = 10_000
"""Four extension digits, the largest block a Dutch operator hands out; more is a slip of the keyboard."""

NATIONAL_DIGITS_MIN = 8
"""The first number of a range is a whole number: shorter, `020-123` would be read as a range."""

EXTENSION_DIGITS_MAX = 6


@dataclass(frozen=True, order=True)
class NumberRange:
    """Numbers from `first` to `last`, both inclusive, canonical and of equal length."""

    first: str
    last: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `+31201234500`, `+31201234500-599`, `+31201234500-+31201234599` or `100-199`.

        Raises Refused for text without a number, a range that runs backwards, and one of
        more than NUMBERS_PER_RANGE_MAX numbers.
        """
        start, dash, end = (part.strip() for part in text.rpartition("-"))
        first = canonical(start) if dash else ""
        if dash and _spans(start, first, end):
            last = canonical(end) if end.startswith("+") else first[: -len(end)] + end
        else:
            first = last = canonical(text)
        if not first.removeprefix("+").isdigit() or len(first) != len(last) or last < first:
            raise Refused(f"{text!r} is not a number nor a range such as +31201234500-599.")
        if int(last) - int(first) >= NUMBERS_PER_RANGE_MAX:
            raise Refused(f"{text!r} holds more than {NUMBERS_PER_RANGE_MAX} numbers; is it right?")
        return cls(first, last)

    def __contains__(self, number: str) -> bool:
        return len(number) == len(self.first) and self.first <= number <= self.last

    def __str__(self) -> str:
        return self.first if self.first == self.last else f"{self.first}-{self.last}"


def _spans(start: str, first: str, end: str) -> bool:
    """Return whether a dash stands between the ends of a range and not inside a number."""
    digits = end.removeprefix("+")
    if not digits.isdigit():
        return False
    if first.startswith("+"):
        return len(first) > NATIONAL_DIGITS_MIN and (end.startswith("+") or len(digits) < len(first) - 1)
    short = len(start) <= EXTENSION_DIGITS_MAX and not start.startswith("0")
    return short and first == start and len(end) == len(start)


@dataclass(frozen=True)
class BroadWorksGroup:
    """A BroadWorks service provider, or one group of it, that is a tenant of ours."""

    service_provider_id: str
    group_id: str | None
    tenant_id: TenantId


@dataclass(frozen=True)
class Directory:
    """Tenants, peers and users at one moment."""

    tenants: tuple[Tenant, ...] = ()
    peers: tuple[Peer, ...] = ()
    users: tuple[User, ...] = ()
    broadworks_groups: tuple[BroadWorksGroup, ...] = ()

    def peer_of(self, address: str) -> Peer | None:
        """Return the peer whose range holds the IP address most narrowly; None for a stranger."""
        try:
            asked = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return None
        if isinstance(asked, ipaddress.IPv6Address) and asked.ipv4_mapped is not None:
            asked = asked.ipv4_mapped
        holding = [(network.prefixlen, peer) for network, peer in self._networks if asked in network]
        return max(holding, key=lambda item: item[0])[1] if holding else None

    def tenant_of(
        self, peer: Peer | None, service_provider_id: str | None = None, group_id: str | None = None
    ) -> Tenant | None:
        """Return the tenant a call is for: the peer's own, else the one of its BroadWorks group.

        A group stands above its whole service provider. A peer bound to a tenant can't
        reach another one, whatever the metadata says.
        """
        if peer is not None and peer.tenant_id is not None:
            return self._tenants.get(peer.tenant_id)
        if service_provider_id is None:
            return None
        group = self._groups.get((service_provider_id, group_id))
        found = group or self._groups.get((service_provider_id, None))
        return self._tenants.get(found) if found is not None else None

    def tenant(self, tenant_id: TenantId) -> Tenant | None:
        """Return the tenant with this id."""
        return self._tenants.get(tenant_id)

    def user(self, user_id: UserId) -> User | None:
        """Return the user with this id."""
        return self._users.get(user_id)

    def user_by_broadworks_id(self, tenant_id: TenantId, broadworks_id: str) -> User | None:
        """Return the tenant's user with this BroadWorks userID, in any case of letters."""
        return self._broadworks_ids.get((tenant_id, broadworks_id.casefold()))

    def user_by_number(self, tenant_id: TenantId, number: str) -> User | None:
        """Return the tenant's user to whom a number belongs; `number` is in any spelling."""
        wanted = canonical(number)
        ranges = self._ranges.get((tenant_id, len(wanted)), [])
        # Ranges of one tenant and length never overlap, so only the last one that starts before can hold it.
        index = bisect_right(ranges, wanted, key=lambda item: item[0].first)
        if index == 0 or wanted not in ranges[index - 1][0]:
            return None
        return ranges[index - 1][1]

    def to_json(self) -> bytes:
        """Return the directory as UTF-8 JSON with its version."""
        document = {"version": VERSION, **dataclasses.asdict(self)}
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, document: bytes) -> Self:
        """Read what `to_json` wrote; raises ValueError for another version or shape."""
        fields = json.loads(document)
        if not isinstance(fields, dict) or fields.pop("version", None) != VERSION:
            raise ValueError("This directory was written by another version.")
        try:
            return cls(
                tenants=tuple(Tenant(**item) for item in fields["tenants"]),
                peers=tuple(_peer(item) for item in fields["peers"]),
                users=tuple(_user(item) for item in fields["users"]),
                broadworks_groups=tuple(BroadWorksGroup(**item) for item in fields["broadworks_groups"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("This is not a directory of ours.") from error

    @cached_property
    def _networks(self) -> list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, Peer]]:
        return [(ipaddress.ip_network(address), peer) for peer in self.peers for address in peer.addresses]

    @cached_property
    def _tenants(self) -> dict[TenantId, Tenant]:
        return {tenant.id: tenant for tenant in self.tenants}

    @cached_property
    def _groups(self) -> dict[tuple[str, str | None], TenantId]:
        return {
            (group.service_provider_id, group.group_id): group.tenant_id for group in self.broadworks_groups
        }

    @cached_property
    def _users(self) -> dict[UserId, User]:
        return {user.id: user for user in self.users}

    @cached_property
    def _broadworks_ids(self) -> dict[tuple[TenantId, str], User]:
        named = ((user, user.broadworks_id) for user in self.users)
        return {(user.tenant_id, name.casefold()): user for user, name in named if name is not None}

    @cached_property
    def _ranges(self) -> dict[tuple[TenantId, int], list[tuple[NumberRange, User]]]:
        ranges: dict[tuple[TenantId, int], list[tuple[NumberRange, User]]] = {}
        for user in self.users:
            for numbers in map(_held, user.numbers):
                ranges.setdefault((user.tenant_id, len(numbers.first)), []).append((numbers, user))
        for same_length in ranges.values():
            same_length.sort(key=lambda item: item[0])
        return ranges


def _held(text: str) -> NumberRange:
    """Return a number of the directory: single ones are canonical already, and there are many."""
    single = text.startswith("+") and text[1:].isdecimal()
    return NumberRange(text, text) if single else NumberRange.parse(text)


def _peer(item: dict[str, Any]) -> Peer:
    return Peer(**{**item, "id": PeerId(item["id"]), "addresses": tuple(item["addresses"])})


def _user(item: dict[str, Any]) -> User:
    licence = item["licence"]
    return User(
        **{
            **item,
            "numbers": tuple(item["numbers"]),
            "role": Role(item["role"]),
            "licence": None if licence is None else RetentionClass(licence),
            "mode": RecordingMode(item["mode"]),
        }
    )
