"""A chain of audit entries: whatever is done to it shows, and where."""

from __future__ import annotations

import dataclasses
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.audit_chain import (
    BODY_SIZE_BYTES_MAX,
    FIELD_CHARS_MAX,
    START,
    AuditEntry,
    ChainHead,
    canonical_json,
    link,
    verify_chain,
)
from archive.errors import ChainBroken, Refused
from archive.model import TenantId

NOW = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)


def entry_after(head: ChainHead, **changes: Any) -> AuditEntry:
    fields = {
        "writer": "portal/one",
        "at": NOW + timedelta(seconds=head.sequence),
        "tenant_id": TenantId("t1"),
        "actor": "user:anna",
        "action": "play",
        "object": f"recording:{head.sequence}",
        "result": "ok",
        "body": {"purpose": "klacht", "n": head.sequence},
        "salt": f"{head.sequence:032x}",
    }
    return link(head, **{**fields, **changes})


def chain(length: int) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    head = START
    for _ in range(length):
        entries.append(entry_after(head))
        head = ChainHead(entries[-1].sequence, entries[-1].hash)
    return entries


def broken_at(entries: list[AuditEntry], head: ChainHead | None = None) -> int:
    with pytest.raises(ChainBroken) as broken:
        verify_chain(entries, head=head)
    assert str(broken.value.position) in str(broken.value)
    return broken.value.position


CHAIN = chain(12)
HEAD = ChainHead(12, CHAIN[-1].hash)


def test_an_untouched_chain_holds_and_tells_its_head() -> None:
    assert verify_chain(CHAIN, head=HEAD) == HEAD
    assert verify_chain([]) == START
    assert verify_chain(CHAIN[5:], after=ChainHead(5, CHAIN[4].hash), head=HEAD) == HEAD


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": "user:bob"},
        {"action": "export"},
        {"object": "recording:x"},
        {"result": "refused"},
        {"tenant_id": TenantId("t2")},
        {"tenant_id": None},
        {"at": NOW},
        {"body": {"purpose": "anders"}},
        {"body": {}},
        {"salt": "00"},
        {"body_hash": "0" * 64},
        {"hash": "0" * 64},
        {"previous_hash": "0" * 64},
        {"writer": "portal/two"},
        {"sequence": 70},
    ],
)
def test_a_changed_field_shows_at_its_entry(changes: Any) -> None:
    entries = list(CHAIN)
    entries[6] = dataclasses.replace(entries[6], **changes)
    assert broken_at(entries) == 7


def test_an_entry_hashed_anew_after_a_change_breaks_the_next() -> None:
    entries = list(CHAIN)
    entries[6] = entry_after(ChainHead(6, entries[5].hash), actor="user:bob")
    assert broken_at(entries) == 8


def test_an_erased_body_leaves_the_chain_whole() -> None:
    entries = list(CHAIN)
    entries[6] = dataclasses.replace(entries[6], body=None, salt=None)
    assert verify_chain(entries, head=HEAD) == HEAD


def test_a_cut_off_tail_shows_only_against_the_known_head() -> None:
    assert verify_chain(CHAIN[:-2]).sequence == 10
    assert broken_at(CHAIN[:-2], HEAD) == 11
    assert broken_at([], HEAD) == 1


def test_a_chain_that_went_on_after_a_roll_back_shows() -> None:
    forked = [*CHAIN[:10], entry_after(ChainHead(10, CHAIN[9].hash), actor="user:bob")]
    assert broken_at(forked, HEAD) == 12


@given(st.sampled_from(["remove", "insert", "swap", "repeat"]), st.integers(0, 10), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_removing_inserting_swapping_and_repeating_show_where_they_begin(
    act: str, at: int, distance: int
) -> None:
    entries = list(CHAIN)
    if act == "remove":
        del entries[at : at + distance]
        expected = at + 1
    elif act == "insert":
        made = random.Random(at).choice(CHAIN)
        entries.insert(at, dataclasses.replace(made, actor="user:mallory", sequence=at + 1))
        expected = at + 1
    elif act == "swap":
        other = (at + distance) % len(entries)
        entries[at], entries[other] = entries[other], entries[at]
        expected = min(at, other) + 1
    else:
        entries.insert(at, entries[at])
        expected = at + 2
    assert broken_at(entries, HEAD) == expected


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": [1, None, True], "a": "é\0"}) == b'{"a":"\\u00e9\\u0000","b":[1,null,true]}'
    for wrong in (float("nan"), float("inf"), {"a": object()}, b"bytes"):
        with pytest.raises(Refused):
            canonical_json(wrong)


def test_the_hash_of_an_entry_is_this_one_for_ever() -> None:
    """Pin the format: a later release must verify the entries of this one."""
    assert CHAIN[0].body_hash == "58cff27a67499f459088e3b718aeb3bbea6f00e11396241f86cb7153a73d1a1e"
    assert CHAIN[0].hash == "1733872ee05fbb5b8971bde472b18a3812d389cfca53e63a6c6402baf23be955"


@pytest.mark.parametrize("field", ["writer", "actor", "action", "object", "result"])
@pytest.mark.parametrize("value", ["", "a\nb", "a\0", "x" * (FIELD_CHARS_MAX + 1)])
def test_a_field_beyond_its_limits_is_refused(field: str, value: str) -> None:
    with pytest.raises(Refused, match="1 to 512 printable"):
        entry_after(START, **{field: value})


def test_fields_and_bodies_may_be_as_large_as_their_limits() -> None:
    assert entry_after(START, object="x" * FIELD_CHARS_MAX)
    text = "x" * (BODY_SIZE_BYTES_MAX - len('{"t":""}'))
    assert entry_after(START, body={"t": text})
    with pytest.raises(Refused, match="larger than"):
        entry_after(START, body={"t": text + "x"})


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(Refused, match="aware"):
        entry_after(START, at=datetime(2026, 11, 22))
