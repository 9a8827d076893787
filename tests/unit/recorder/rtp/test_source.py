"""A stream listens to one source of its peer, and counts what that source sends as RFC 3550 says."""

from __future__ import annotations

import ipaddress

import numpy as np
import numpy.typing as npt
import pytest

from recorder.rtp.batch import Slices
from recorder.rtp.source import (
    DROPOUT_MAX,
    KNOWN_ADDRESSES_MAX,
    LOST_MAX,
    MISORDER_MAX,
    RELEARN_SILENCE_NS,
    Networks,
    Reception,
    Sources,
    address_of,
)

SECOND = 1_000_000_000


def ipv4(host: str, port: int = 4000) -> bytes:
    return b"\x02\x00" + port.to_bytes(2, "big") + ipaddress.IPv4Address(host).packed + bytes(24)


def ipv6(host: str, port: int = 4000) -> bytes:
    return b"\x0a\x00" + port.to_bytes(2, "big") + bytes(4) + ipaddress.IPv6Address(host).packed + bytes(8)


def words(*sockaddrs: bytes) -> npt.NDArray[np.uint64]:
    return np.frombuffer(b"".join(sockaddrs), np.uint64).reshape(-1, 4)


def one(count: int, row: int = 0) -> Slices:
    return Slices(np.array([row]), np.array([0]), np.array([count]))


def observe(sources: Sources, sequences: list[int], *, ssrc: int = 7, step_ns: int = 20_000_000) -> None:
    slices = one(len(sequences))
    arrival = np.arange(len(sequences)) * step_ns + SECOND
    stamps = np.array([number * 160 % 2**32 for number in sequences], np.uint32)
    sources.adopt(slices.rows, np.array([ssrc], np.uint32))
    sources.observe(slices, np.array(sequences, np.uint32), stamps, arrival)


def test_an_address_is_read_from_both_families_and_a_mapped_one_is_ipv4() -> None:
    assert address_of(ipv4("192.0.2.1")) == ("192.0.2.1", 4000)
    assert address_of(ipv6("2001:db8::1")) == ("2001:db8::1", 4000)
    assert address_of(ipv6("::ffff:192.0.2.1")) == ("192.0.2.1", 4000)
    assert address_of(bytes(32)) is None


def test_only_the_peers_networks_are_admitted_however_many_addresses_try() -> None:
    networks = Networks(("192.0.2.0/24", "2001:db8::/32"))
    for number in range(KNOWN_ADDRESSES_MAX + 1):
        assert networks.admit(ipv4("192.0.2.1", 1000 + number))
        assert not networks.admit(ipv4("192.0.3.1", 1000 + number))
    assert networks.admit(ipv6("2001:db8::5"))
    assert networks.admit(ipv6("::ffff:192.0.2.9"))
    assert not networks.admit(bytes(32))


def test_only_packets_of_the_latched_address_match() -> None:
    sources = Sources(2)
    sources.latch(1, words(ipv4("192.0.2.1"))[0])
    found = sources.match(one(3, 1), words(ipv4("192.0.2.1"), ipv4("192.0.2.1", 4001), ipv4("192.0.2.2")))
    assert found.tolist() == [True, False, False]
    assert sources.latched(np.array([0, 1])).tolist() == [False, True]
    assert not sources.match(one(1, 0), words(bytes(32))).any()


def test_all_of_an_ipv6_address_is_compared() -> None:
    sources = Sources(1)
    sources.latch(0, words(ipv6("2001:db8::1"))[0])
    found = sources.match(one(2), words(ipv6("2001:db8::1"), ipv6("2001:db8::2")))
    assert found.tolist() == [True, False]


def test_a_source_may_be_replaced_only_after_a_second_of_silence() -> None:
    sources = Sources(1)
    assert sources.may_change(0, 0)
    sources.latch(0, words(ipv4("192.0.2.1"))[0])
    sources.last_ns[0] = SECOND
    assert not sources.may_change(0, SECOND + RELEARN_SILENCE_NS - 1)
    assert sources.may_change(0, SECOND + RELEARN_SILENCE_NS)
    sources.forget(0)
    assert sources.may_change(0, SECOND)


def test_lost_packets_are_counted_and_the_fraction_is_of_the_interval() -> None:
    sources = Sources(1)
    sources.reset(0, 8000)
    assert sources.reception(0) is None
    observe(sources, [10, 11, 12, 15])
    assert sources.reception(0) == Reception(
        7, fraction_lost=2 * 256 // 6, lost=2, highest_sequence=15, jitter=320 // 16
    )
    observe(sources, [16, 17])
    found = sources.reception(0)
    assert found is not None
    assert (found.fraction_lost, found.lost) == (0, 2)


def test_the_sequence_number_wraps_into_the_next_cycle() -> None:
    sources = Sources(1)
    sources.reset(0, 8000)
    observe(sources, [65534, 65535, 0, 1])
    found = sources.reception(0)
    assert found is not None
    assert (found.highest_sequence, found.lost) == (65536 + 1, 0)


@pytest.mark.parametrize(("jump", "restarts"), [(DROPOUT_MAX - 1, False), (DROPOUT_MAX, True)])
def test_a_jump_beyond_the_dropout_limit_is_a_restarted_source(jump: int, restarts: bool) -> None:
    sources = Sources(1)
    sources.reset(0, 8000)
    observe(sources, [100])
    observe(sources, [100 + jump])
    found = sources.reception(0)
    assert found is not None
    assert (found.lost == 0) == restarts


@pytest.mark.parametrize(("back", "restarts"), [(MISORDER_MAX - 1, False), (MISORDER_MAX, True)])
def test_a_packet_older_than_the_misorder_limit_is_of_another_run(back: int, restarts: bool) -> None:
    sources = Sources(1)
    sources.reset(0, 8000)
    observe(sources, [1000])
    observe(sources, [1000 - back])
    found = sources.reception(0)
    assert found is not None
    assert (found.highest_sequence == 1000 - back) == restarts


def test_another_ssrc_begins_the_counts_again() -> None:
    sources = Sources(1)
    sources.reset(0, 8000)
    observe(sources, [1, 5])
    observe(sources, [900], ssrc=8)
    assert sources.reception(0) == Reception(8, 0, 0, 900, 0)


def test_loss_stops_at_what_its_field_can_hold() -> None:
    sources = Sources(1)
    sources.reset(0, 8000)
    observe(sources, [1])
    sources._highest[0] = 2 * LOST_MAX
    found = sources.reception(0)
    assert found is not None
    assert found.lost == LOST_MAX


def test_jitter_grows_with_uneven_arrival_and_is_zero_for_an_even_one() -> None:
    even, uneven = Sources(1), Sources(1)
    for sources, step in ((even, 20_000_000), (uneven, 60_000_000)):
        sources.reset(0, 8000)
        observe(sources, list(range(20)), step_ns=step)
    calm, rough = even.reception(0), uneven.reception(0)
    assert calm is not None
    assert rough is not None
    assert calm.jitter == 0
    assert rough.jitter == 320 // 16
