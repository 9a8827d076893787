"""The directory a recorder carries: peers by address, tenants by peer or group, users by number or id."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.catalogue.snapshot import (
    ADDRESS_OF_RECORD_CHARS_MAX,
    NUMBERS_PER_RANGE_MAX,
    BroadWorksGroup,
    Directory,
    DoNotRecord,
    ExemptNumber,
    NumberRange,
)
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

BAKERY = Tenant(
    TenantId("t1"),
    "De Warme Bakker",
    "bakery.example",
    TenantPolicy(keep_grace_h=24, above_cap=AboveCap.STOP),
)
FLORIST = Tenant(TenantId("t2"), "Bloem & Blad", "florist.example")
ANNA = User(
    UserId("u1"),
    BAKERY.id,
    "anna",
    ("+31201234567", "+31201234500-+31201234549", "101", "anna-1@pbx.example"),
    "anna@BW.example",
    Role.AUDITOR,
    "own",
    "Goes",
    RetentionClass.YEARS_7_1000,
    RecordingMode.ALWAYS_PAUSE,
    (RecordingMode.ALWAYS_PAUSE, RecordingMode.NEVER),
    datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC),
    date(2026, 11, 1),
    59_999,
)
BOB = User(UserId("u2"), BAKERY.id, "bob", ("+31201234550-+31201234566",))
CAROL = User(UserId("u3"), FLORIST.id, "carol", ("+31201234567", "101"), "anna@bw.example")
TRUNK = Peer(PeerId("p1"), "trunk", ("192.0.2.0/24", "2001:db8::/32"), None, "broadworks")
BAKERY_SBC = Peer(PeerId("p2"), "bakery", ("192.0.2.7/32", "192.0.2.128/25"), BAKERY.id)
DIRECTORY = Directory(
    (BAKERY, FLORIST),
    (TRUNK, BAKERY_SBC),
    (ANNA, BOB, CAROL),
    (BroadWorksGroup("bw-provider", None, BAKERY.id), BroadWorksGroup("bw-provider", "shop", FLORIST.id)),
    (
        DoNotRecord(BAKERY.id, NumberRange.parse("+31107000000"), "lawyer"),
        DoNotRecord(BAKERY.id, NumberRange.parse("+31107000100-199"), "doctor"),
        DoNotRecord(BAKERY.id, NumberRange.parse("sip:council@pbx.example"), "works council"),
    ),
    (ExemptNumber(None, "116117"), ExemptNumber(BAKERY.id, "+31107000300")),
)


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("192.0.2.1", TRUNK),
        ("192.0.2.7", BAKERY_SBC),
        ("192.0.2.200", BAKERY_SBC),
        ("::ffff:192.0.2.7", BAKERY_SBC),
        ("2001:db8::1", TRUNK),
        ("2001:db8::1%eth0", TRUNK),
        ("192.0.3.1", None),
        ("2001:db9::1", None),
        ("not an address", None),
        ("", None),
    ],
)
def test_the_longest_prefix_of_an_address_names_the_peer(address: str, peer: Peer | None) -> None:
    assert DIRECTORY.peer_of(address) == peer


@pytest.mark.parametrize(
    ("peer", "group", "tenant"),
    [
        (BAKERY_SBC, (None, None), BAKERY),
        (BAKERY_SBC, ("bw-provider", "shop"), BAKERY),
        (TRUNK, ("bw-provider", "shop"), FLORIST),
        (TRUNK, ("bw-provider", "other"), BAKERY),
        (TRUNK, ("bw-provider", None), BAKERY),
        (TRUNK, ("stranger", "shop"), None),
        (TRUNK, (None, "shop"), None),
        (None, (None, None), None),
    ],
)
def test_a_tenant_is_the_peers_own_or_that_of_the_broadworks_group(
    peer: Peer | None, group: tuple[str | None, str | None], tenant: Any
) -> None:
    assert DIRECTORY.tenant_of(peer, *group) == tenant


@pytest.mark.parametrize(
    ("number", "user"),
    [
        ("+31201234567", ANNA),
        ("020-1234567", ANNA),
        ("0031201234500", ANNA),
        ("+31201234549", ANNA),
        ("+31201234550", BOB),
        ("+31201234566", BOB),
        ("+31201234568", None),
        ("+31201234499", None),
        ("101", ANNA),
        ("1010", None),
        ("", None),
        ("sip:anna@bw.example", None),
        ("sip:Anna-1@PBX.example;transport=tcp", ANNA),
        ("Anna <sip:anna-1@pbx.example:5060>", ANNA),
        ("sip:anna-1@pbx.example.net", None),
        # No number, though it stands between the ends of a range as a text would.
        ("sip:+3120123450x", None),
    ],
)
def test_a_user_is_found_by_a_number_or_a_range_that_holds_it(number: str, user: User | None) -> None:
    assert DIRECTORY.user_by_number(BAKERY.id, number) == user


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        (["010-7000000"], "lawyer"),
        (["+31201234567", "", "0031107000199"], "doctor"),
        (["sip:Council@pbx.example:5061"], "works council"),
        (["+31107000199", "+31107000000"], "doctor"),
        (["+31107000099", "+31107000200", "7000000", "anonymous"], None),
        ([], None),
    ],
)
def test_a_call_with_a_number_on_the_do_not_record_list_is_barred_for_its_reason(
    numbers: list[str], reason: str | None
) -> None:
    assert DIRECTORY.barred(BAKERY.id, numbers) == reason
    assert DIRECTORY.barred(FLORIST.id, numbers) is None
    assert DIRECTORY.barred(TenantId("t3"), numbers) is None


def test_exempt_numbers_are_the_operators_and_the_tenants_own() -> None:
    assert DIRECTORY.exempt_additions(None) == {"116117"}
    assert DIRECTORY.exempt_additions(BAKERY.id) == {"116117", "+31107000300"}
    assert DIRECTORY.exempt_additions(FLORIST.id) == {"116117"}
    assert Directory().exempt_additions(BAKERY.id) == frozenset()


def test_lookups_stay_within_the_tenant() -> None:
    assert DIRECTORY.user_by_number(FLORIST.id, "+31201234567") == CAROL
    assert DIRECTORY.user_by_number(FLORIST.id, "+31201234550") is None
    assert DIRECTORY.user_by_broadworks_id(BAKERY.id, "ANNA@bw.example") == ANNA
    assert DIRECTORY.user_by_broadworks_id(FLORIST.id, "anna@bw.example") == CAROL
    assert DIRECTORY.user_by_broadworks_id(FLORIST.id, "nobody@bw.example") is None
    assert DIRECTORY.user_by_number(TenantId("t3"), "+31201234567") is None


def test_tenants_and_users_are_found_by_id() -> None:
    assert DIRECTORY.tenant(FLORIST.id) == FLORIST
    assert DIRECTORY.tenant(TenantId("t3")) is None
    assert DIRECTORY.user(BOB.id) == BOB
    assert DIRECTORY.user(UserId("u9")) is None


def test_a_directory_goes_to_json_and_back() -> None:
    again = Directory.from_json(DIRECTORY.to_json())
    assert again == DIRECTORY
    assert again.user_by_number(BAKERY.id, "+31201234510") == ANNA
    assert isinstance(again.users[0].mode, RecordingMode)
    assert isinstance(again.users[0].own_modes[0], RecordingMode)
    assert isinstance(again.tenants[0].policy.above_cap, AboveCap)
    assert again.barred(BAKERY.id, ["+31107000000"]) == "lawyer"
    assert Directory.from_json(Directory().to_json()) == Directory()


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b"[]",
        b"",
        b'{"version":2}',
        b'{"version":3,"tenants":[]}',
        b"\xff",
        b'{"version":2,"tenants":1}',
        b'{"version":2,"tenants":[{"policy":1}]}',
    ],
)
def test_what_is_not_a_directory_is_a_value_error(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"directory|utf-8|Expecting"):
        Directory.from_json(document)


def test_a_copy_of_the_release_before_is_a_value_error() -> None:
    document = json.loads(DIRECTORY.to_json())
    with pytest.raises(ValueError, match="another version"):
        Directory.from_json(json.dumps({**document, "version": 1}).encode())


def test_a_copy_that_says_nothing_of_grounds_has_them() -> None:
    """A recorder that starts without the database after an upgrade loses no call for it."""
    lacking = dataclasses.replace(DIRECTORY, users=(), without_grounds=(BAKERY.id,))
    again = Directory.from_json(lacking.to_json())
    assert again == lacking
    assert (again.is_switched_on(BAKERY.id), again.is_switched_on(FLORIST.id)) == (False, True)
    document = json.loads(lacking.to_json())
    del document["without_grounds"]
    assert Directory.from_json(json.dumps(document).encode()).is_switched_on(BAKERY.id)


def test_json_with_a_field_of_a_later_release_is_a_value_error() -> None:
    document = json.loads(DIRECTORY.to_json())
    document["users"][0]["shoe_size"] = 43
    with pytest.raises(ValueError, match="not a directory"):
        Directory.from_json(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("+31201234500", "+31201234500", "+31201234500"),
        ("020 123 4500", "+31201234500", "+31201234500"),
        ("020-1234500", "+31201234500", "+31201234500"),
        ("020-123-4500", "+31201234500", "+31201234500"),
        ("+31-20-1234500", "+31201234500", "+31201234500"),
        ("+31201234500-599", "+31201234500", "+31201234599"),
        ("020-1234500-599", "+31201234500", "+31201234599"),
        ("+31201234500 - 99", "+31201234500", "+31201234599"),
        ("+31201234500-+31201234599", "+31201234500", "+31201234599"),
        ("+31201234500-500", "+31201234500", "+31201234500"),
        ("101", "101", "101"),
        ("100-199", "100", "199"),
        ("sip:anna@pbx.example", "anna@pbx.example", "anna@pbx.example"),
        ("Anna@PBX.example:5060", "anna@pbx.example", "anna@pbx.example"),
        ("a@bc-1234", "a@bc-1234", "a@bc-1234"),
        ("sip:101@pbx.example", "101", "101"),
    ],
)
def test_a_range_is_told_from_a_number_or_address_with_dashes(text: str, first: str, last: str) -> None:
    numbers = NumberRange(first, last)
    assert NumberRange.parse(text) == numbers
    assert NumberRange.held(str(numbers)) == numbers
    assert NumberRange.held(text) == numbers
    assert first in numbers
    assert first + "x" not in numbers


def test_an_address_of_record_has_a_limit() -> None:
    address = "a@" + "b" * (ADDRESS_OF_RECORD_CHARS_MAX - 2)
    assert NumberRange.parse(address).first == address
    with pytest.raises(Refused, match="at most 254"):
        NumberRange.parse(address + "b")


@pytest.mark.parametrize(
    "text", ["", "-", "anna", "+31201234500-499", "199-100", "+31201234500-+3120123459", "+-", "a@b@c", "@x"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="not a number nor a range"):
        NumberRange.parse(text)


def test_a_range_has_a_limit() -> None:
    first = 31_201_230_000
    assert NumberRange.parse(f"+{first}-+{first + NUMBERS_PER_RANGE_MAX - 1}").last == "+31201239999"
    with pytest.raises(Refused, match="more than 10000"):
        NumberRange.parse(f"+{first}-+{first + NUMBERS_PER_RANGE_MAX}")


@given(st.integers(0, 9899), st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_a_range_written_out_reads_as_itself(start: int, length: int) -> None:
    numbers = NumberRange(f"+3120123{start:04}", f"+3120123{start + length:04}")
    assert NumberRange.parse(str(numbers)) == numbers
    assert NumberRange.held(str(numbers)) == numbers
    assert numbers.first in numbers
    assert numbers.last in numbers
    assert f"+3120123{start + length + 1:04}" not in numbers
