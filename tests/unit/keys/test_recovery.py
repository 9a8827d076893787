"""Enough shares give the secret back, fewer tell nothing, and a wrong one is told."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import KeyringLocked
from keys.recovery import SECRET_BYTES_MAX, SHARES_COUNT_MAX, Share, join, split

SECRET = bytes(range(32))


@given(secret=st.binary(min_size=1, max_size=SECRET_BYTES_MAX), data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_enough_of_them_give_the_secret_back(secret: bytes, data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 7))
    needed = data.draw(st.integers(2, count))
    shares = split(secret, needed, count)
    chosen = data.draw(st.permutations(shares))[:needed]
    assert join([Share.parse(share.text()) for share in chosen]) == secret


def test_every_choice_of_three_of_five_does() -> None:
    shares = split(SECRET, 3, 5)
    for chosen in itertools.combinations(shares, 3):
        assert join(chosen) == SECRET
    assert join(shares) == SECRET


def test_too_few_are_refused_also_when_one_is_given_twice() -> None:
    shares = split(SECRET, 3, 5)
    for few in (shares[:1], shares[:2], (shares[0], shares[0], shares[1])):
        with pytest.raises(KeyringLocked, match="3 different"):
            join(few)


def test_one_share_says_nothing_of_the_secret() -> None:
    """Each octet of a share of 2 is as likely whatever the secret is: all values are seen."""
    seen = {split(b"\x00", 2, 2)[0].octets[0] for _ in range(4000)}
    assert len(seen) == 256


def test_shares_of_two_secrets_do_not_mix() -> None:
    one, other = split(SECRET, 2, 3), split(SECRET, 2, 3)
    with pytest.raises(KeyringLocked, match="not all of one"):
        join([one[0], other[1]])


def test_a_share_altered_behind_its_checksum_is_told() -> None:
    shares = split(SECRET, 2, 2)
    forged = Share(shares[1].of, 2, 2, bytes([shares[1].octets[0] ^ 1]) + shares[1].octets[1:])
    with pytest.raises(KeyringLocked, match="do not belong together"):
        join([shares[0], forged])


def test_a_share_is_read_as_people_type_it() -> None:
    share = split(SECRET, 2, 2)[0]
    text = share.text()
    assert text.startswith("earwitness-share-1 ")
    letters = text.removeprefix("earwitness-share-1 ")
    for typed in (text, letters.lower(), letters.replace(" ", "-"), f"  {letters.replace(' ', '')}\n"):
        assert Share.parse(typed) == share


def test_a_slip_of_the_finger_is_told() -> None:
    text = split(SECRET, 2, 2)[0].text()
    for at in range(20, len(text), 7):
        if text[at] != " ":
            slip = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
            with pytest.raises(KeyringLocked, match="not typed"):
                Share.parse(slip)
    for wrong in ("", "earwitness-share-1", "0189", text[:-6]):
        with pytest.raises(KeyringLocked, match="not typed"):
            Share.parse(wrong)


def test_a_share_does_not_show_itself() -> None:
    share = split(SECRET, 2, 2)[0]
    assert repr(share.octets) not in repr(share)


@pytest.mark.parametrize(("needed", "count"), [(1, 3), (4, 3), (2, SHARES_COUNT_MAX + 1), (0, 0)])
def test_numbers_that_make_no_sense_are_a_defect_of_the_caller(needed: int, count: int) -> None:
    with pytest.raises(ValueError, match="Shares are"):
        split(SECRET, needed, count)


@pytest.mark.parametrize("secret", [b"", bytes(SECRET_BYTES_MAX + 1)])
def test_a_secret_has_1_to_64_octets(secret: bytes) -> None:
    with pytest.raises(ValueError, match="octets"):
        split(secret, 2, 2)
