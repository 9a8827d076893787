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
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, Generic, Self, TypeVar

from archive.errors import Refused
from archive.model import (
    AboveCap,
    Peer,
    PeerId,
    RecordingMode,
    RetentionClass,
    Role,
    Tenant,
    TenantId,
    TenantPolicy,
    User,
    UserId,
)
from archive.numbers import canonical

VERSION = 2
NUMBERS_PER_RANGE_MAX = 10_000
"""Four extension digits, the largest block a Dutch operator hands out; more is a slip of the keyboard."""

NATIONAL_DIGITS_MIN = 8
"""The first number of a range is a whole number: shorter, `020-123` would be read as a range."""

EXTENSION_DIGITS_MAX = 6

ADDRESS_OF_RECORD_CHARS_MAX = 254
"""As long as a mail address may be (RFC 5321 section 4.5.3.1.3), of which it has the shape."""

_ADDRESS_OF_RECORD = re.compile(r"[^\s@<>\"]+@[^\s@<>\"]+")
_PORT = re.compile(r":\d{1,5}$")


@dataclass(frozen=True, order=True)
class NumberRange:
    """Numbers from `first` to `last`, both inclusive, canonical and of equal length."""

    first: str
    last: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `+31201234500`, `+31201234500-599`, `+31201234500-+31201234599` or `100-199`.

        An address of record (`sip:anna@pbx.example`) is a range of itself alone.

        Raises Refused for text without a number, a range that runs backwards, and one of
        more than NUMBERS_PER_RANGE_MAX numbers.
        """
        whole = address_of(text)
        if _ADDRESS_OF_RECORD.fullmatch(whole):
            if len(whole) > ADDRESS_OF_RECORD_CHARS_MAX:
                raise Refused(f"An address of record has at most {ADDRESS_OF_RECORD_CHARS_MAX} characters.")
            return cls(whole, whole)
        start, dash, end = (part.strip() for part in text.rpartition("-"))
        first = canonical(start) if dash else ""
        if dash and _spans(start, first, end):
            last = canonical(end) if end.startswith("+") else first[: -len(end)] + end
        else:
            first = last = whole
        if not first.removeprefix("+").isdigit() or len(first) != len(last) or last < first:
            raise Refused(f"{text!r} is not a number nor a range such as +31201234500-599.")
        if int(last) - int(first) >= NUMBERS_PER_RANGE_MAX:
            raise Refused(f"{text!r} holds more than {NUMBERS_PER_RANGE_MAX} numbers; is it right?")
        return cls(first, last)

    @classmethod
    def held(cls, text: str) -> Self:
        """Read what `str` of a range wrote; at once, because a directory holds thousands of them."""
        first, dash, last = text.partition("-")
        digits = (first + last).replace("+", "").isdecimal()
        # A longer one without its plus may be the national spelling of a public number.
        canonical_already = first.startswith("+") or len(first) <= EXTENSION_DIGITS_MAX
        if digits and canonical_already and (not dash or len(first) == len(last)):
            return cls(first, last or first)
        return cls.parse(text)

    def __contains__(self, number: str) -> bool:
        if self.first == self.last:
            return number == self.first
        digits = number.removeprefix("+").isdecimal()
        return digits and len(number) == len(self.first) and self.first <= number <= self.last

    def __str__(self) -> str:
        return self.first if self.first == self.last else f"{self.first}-{self.last}"


def address_of(text: str) -> str:
    """Return the one form of a number or address of record by which the directory holds it.

    As `canonical`, and without the port: an address of record has none (RFC 3261 section 10).
    """
    address = canonical(text)
    return _PORT.sub("", address) if "@" in address else address


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
class DoNotRecord:
    """Numbers a tenant never records (a doctor, a lawyer, the works council), and why.

    With `user_id` they count only for calls of that person.
    """

    tenant_id: TenantId
    numbers: NumberRange
    reason: str
    user_id: UserId | None = None


@dataclass(frozen=True)
class ExemptNumber:
    """A number added to the floor list, by one tenant or (`tenant_id` None) by the operator for all."""

    tenant_id: TenantId | None
    number: str


T = TypeVar("T")


class _Holders(Generic[T]):
    """Who holds which numbers within a list; ranges of one list never overlap.

    A list is named by the id of the tenant or of the person whose it is.
    """

    def __init__(self, held: Iterable[tuple[str, NumberRange, T]]) -> None:
        self._alone: dict[tuple[str, str], T] = {}
        self._ranges: dict[tuple[str, int], list[tuple[NumberRange, T]]] = {}
        for list_id, numbers, holder in held:
            if numbers.first == numbers.last:
                self._alone[list_id, numbers.first] = holder
            else:
                self._ranges.setdefault((list_id, len(numbers.first)), []).append((numbers, holder))
        for same_length in self._ranges.values():
            same_length.sort(key=_start)

    def of(self, list_id: str, address: str) -> T | None:
        """Return the holder of what `address_of` made of a number."""
        alone = self._alone.get((list_id, address))
        ranges = self._ranges.get((list_id, len(address)), [])
        # Only the last range that starts before the number can hold it.
        index = bisect_right(ranges, address, key=_start)
        if alone is not None or index == 0 or address not in ranges[index - 1][0]:
            return alone
        return ranges[index - 1][1]


def _start(item: tuple[NumberRange, object]) -> str:
    return item[0].first


@dataclass(frozen=True)
class Directory:
    """Tenants, peers, users and the numbers that are not recorded, at one moment."""

    tenants: tuple[Tenant, ...] = ()
    peers: tuple[Peer, ...] = ()
    users: tuple[User, ...] = ()
    broadworks_groups: tuple[BroadWorksGroup, ...] = ()
    do_not_record: tuple[DoNotRecord, ...] = ()
    exempt_numbers: tuple[ExemptNumber, ...] = ()
    without_grounds: tuple[TenantId, ...] = ()
    """Tenants of whom nobody wrote down why they record (`archive.catalogue.grounds`)."""

    def peer_of(self, address: str) -> Peer | None:
        """Return the peer whose range holds the IP address most narrowly; None for a stranger.

        What is switched off is a stranger, and never gives its calls to a wider range around it.
        """
        try:
            asked = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return None
        if isinstance(asked, ipaddress.IPv6Address) and asked.ipv4_mapped is not None:
            asked = asked.ipv4_mapped
        holding = [(network.prefixlen, peer) for network, peer in self._networks if asked in network]
        if not holding:
            return None
        narrowest = max(holding, key=lambda item: item[0])[1]
        return narrowest if narrowest.enabled else None

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
        return self._numbers.of(tenant_id, address_of(number))

    def barred(self, tenant_id: TenantId, numbers: Iterable[str]) -> str | None:
        """Return why the tenant does not record a call with these numbers; None when it may be recorded.

        The reason is that of the first number, in any spelling, on its do-not-record list.
        """
        return self._reason(tenant_id, numbers)

    def barred_for(self, user_id: UserId, numbers: Iterable[str]) -> str | None:
        """Return why no call of this person with these numbers is recorded; None when it may be."""
        return self._reason(user_id, numbers)

    def _reason(self, list_id: str, numbers: Iterable[str]) -> str | None:
        if list_id not in self._barring:
            return None
        reasons = (self._barred.of(list_id, address_of(number)) for number in numbers)
        return next((reason for reason in reasons if reason is not None), None)

    def is_switched_on(self, tenant_id: TenantId) -> bool:
        """Return whether a tenant records at all: it wrote down why, or somebody's mode is not never."""
        return tenant_id not in self.without_grounds or tenant_id in self._recording

    def exempt_additions(self, tenant_id: TenantId | None) -> frozenset[str]:
        """Return the canonical numbers added to the floor list for a tenant: the operator's and its own.

        Without a tenant, those of the operator.
        """
        return self._exempt.get(tenant_id, self._exempt[None])

    def to_json(self) -> bytes:
        """Return the directory as UTF-8 JSON with its version."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        document = {"version": VERSION, **fields}
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=_plain).encode()

    @classmethod
    def from_json(cls, document: bytes) -> Self:
        """Read what `to_json` wrote; raises ValueError for another version or shape."""
        fields = json.loads(document)
        if not isinstance(fields, dict) or fields.pop("version", None) != VERSION:
            raise ValueError("This directory was written by another version.")
        try:
            return cls(
                tenants=tuple(_tenant(item) for item in fields["tenants"]),
                peers=tuple(_peer(item) for item in fields["peers"]),
                users=tuple(_user(item) for item in fields["users"]),
                broadworks_groups=tuple(BroadWorksGroup(**item) for item in fields["broadworks_groups"]),
                do_not_record=tuple(
                    DoNotRecord(**{**item, "numbers": NumberRange(**item["numbers"])})
                    for item in fields["do_not_record"]
                ),
                exempt_numbers=tuple(ExemptNumber(**item) for item in fields["exempt_numbers"]),
                # A copy of before this was asked says nothing of it: no call is lost for that.
                without_grounds=tuple(map(TenantId, fields.get("without_grounds", ()))),
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
    def _numbers(self) -> _Holders[User]:
        return _Holders(
            (user.tenant_id, NumberRange.held(numbers), user)
            for user in self.users
            for numbers in user.numbers
        )

    @cached_property
    def _barred(self) -> _Holders[str]:
        return _Holders(
            (each.user_id or each.tenant_id, each.numbers, each.reason) for each in self.do_not_record
        )

    @cached_property
    def _barring(self) -> frozenset[str]:
        return frozenset(each.user_id or each.tenant_id for each in self.do_not_record)

    @cached_property
    def _recording(self) -> frozenset[TenantId]:
        return frozenset(user.tenant_id for user in self.users if user.mode is not RecordingMode.NEVER)

    @cached_property
    def _exempt(self) -> dict[TenantId | None, frozenset[str]]:
        added: dict[TenantId | None, set[str]] = {None: set()}
        for each in self.exempt_numbers:
            added.setdefault(each.tenant_id, set()).add(each.number)
        return {tenant_id: frozenset(numbers | added[None]) for tenant_id, numbers in added.items()}


def _peer(item: dict[str, Any]) -> Peer:
    return Peer(**{**item, "id": PeerId(item["id"]), "addresses": tuple(item["addresses"])})


def _tenant(item: dict[str, Any]) -> Tenant:
    policy = TenantPolicy(**{**item["policy"], "above_cap": AboveCap(item["policy"]["above_cap"])})
    return Tenant(**{**item, "policy": policy})


def _plain(value: object) -> object:
    """Return what JSON has no word for in words it has; `dataclasses.asdict` takes five times as long."""
    if isinstance(value, date):
        return value.isoformat()
    return vars(value)


def _user(item: dict[str, Any]) -> User:
    licence, until, month = item["licence"], item["keep_next_until"], item["booked_month"]
    return User(
        **{
            **item,
            "numbers": tuple(item["numbers"]),
            "role": Role(item["role"]),
            "licence": None if licence is None else RetentionClass(licence),
            "mode": RecordingMode(item["mode"]),
            "own_modes": tuple(map(RecordingMode, item["own_modes"])),
            "keep_next_until": None if until is None else datetime.fromisoformat(until),
            "booked_month": None if month is None else date.fromisoformat(month),
        }
    )
