"""How long whom has to wait: growing, never for ever, and the owner not because of a stranger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive import throttle
from archive.throttle import Allowance, Tally

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ALLOWANCES = [
    throttle.ACCOUNT_HERE,
    throttle.ACCOUNT_ANYWHERE,
    throttle.NETWORK,
    throttle.SECOND_FACTOR,
    throttle.RESET,
    throttle.RESET_NETWORK,
]


@pytest.mark.parametrize("allowance", ALLOWANCES)
def test_the_free_failures_are_free_and_the_next_waits(allowance: Allowance) -> None:
    assert allowance.wait_s(allowance.failures_max - 1) == 0
    assert allowance.wait_s(allowance.failures_max) == allowance.first_s


@given(st.sampled_from(ALLOWANCES), st.integers(0, 2**31 - 1))
def test_waits_grow_and_have_an_end(allowance: Allowance, failures: int) -> None:
    assert allowance.wait_s(failures) <= allowance.wait_s(failures + 1) <= allowance.wait_s_max <= 3600


def test_a_stranger_who_fails_elsewhere_does_not_keep_the_owner_out_of_a_network_of_theirs() -> None:
    here, anywhere, network = throttle.password_subjects("anna@bakery.example", "192.0.2.1")
    attacked = Tally(10_000, NOW)
    elsewhere = {anywhere.hash: attacked}
    assert throttle.wait_s((here, anywhere, network), elsewhere, NOW) == throttle.ACCOUNT_ANYWHERE.wait_s_max
    own = Tally(0, NOW, succeeded_at=NOW - timedelta(days=29))
    assert throttle.wait_s((here, anywhere, network), {**elsewhere, here.hash: own}, NOW) == 0
    old = Tally(0, NOW, succeeded_at=NOW - timedelta(days=30))
    assert throttle.wait_s((here, anywhere, network), {**elsewhere, here.hash: old}, NOW) > 0


def test_the_longest_wait_holds_and_passes() -> None:
    subjects = throttle.password_subjects("anna@bakery.example", "192.0.2.1")
    tallies = {subjects[0].hash: Tally(7, NOW), subjects[2].hash: Tally(50, NOW)}
    assert throttle.wait_s(subjects, tallies, NOW) == 8
    assert throttle.wait_s(subjects, tallies, NOW + timedelta(seconds=8)) == 0


def test_failures_of_yesterday_are_forgotten() -> None:
    tally = Tally(99, NOW)
    assert tally.failures_at(NOW + timedelta(days=1)) == 0
    assert tally.failures_at(NOW + timedelta(days=1, seconds=-1)) == 99


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        (" Anna@Bakery.Example ", "anna@bakery.example"),
        ("a password somebody typed", ""),
        ("hunter2hunter2", ""),
        ("a b@c", ""),
        ("a\0@c", ""),
        ("x" * 320 + "@c", ""),
        ("@", ""),
    ],
)
def test_what_can_be_no_account_is_counted_as_one_thing(typed: str, named: str) -> None:
    assert throttle.identifier(typed) == named


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("unknown", "nonsense", True),
    ],
)
def test_addresses_are_counted_by_their_network(one: str, other: str, same: bool) -> None:
    assert (throttle.network_of(one) == throttle.network_of(other)) == same


def test_hashes_tell_neither_account_nor_address() -> None:
    for subject in throttle.password_subjects("anna@bakery.example", "192.0.2.1"):
        assert len(subject.hash) == 64
    assert len({each.hash for each in throttle.password_subjects("a@b", "x")}) == 3
