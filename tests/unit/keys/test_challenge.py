"""A challenge is carried by whoever is asked, who can neither read, alter, keep nor use it for another purpose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keys import challenge
from keys.challenge import CHALLENGE_CHARS_MAX
from keys.local_keyring import LocalKeyring

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ENDS = NOW + timedelta(minutes=5)
ROOT = LocalKeyring(b"k" * 32)


def sealed(**fields: str) -> str:
    return challenge.seal(ROOT, "purpose", fields, ends=ENDS)


def test_what_was_sealed_comes_back_until_it_ends() -> None:
    text = sealed(user="anna", secret="s3cret")
    assert "s3cret" not in text
    assert challenge.unseal(ROOT, "purpose", text, now=NOW) == {"user": "anna", "secret": "s3cret"}
    assert challenge.unseal(ROOT, "purpose", text, now=ENDS - timedelta(microseconds=1)) is not None
    assert challenge.unseal(ROOT, "purpose", text, now=ENDS) is None


def test_another_purpose_or_root_opens_nothing() -> None:
    text = sealed(user="anna")
    assert challenge.unseal(ROOT, "another", text, now=NOW) is None
    assert challenge.unseal(LocalKeyring(b"x" * 32), "purpose", text, now=NOW) is None


def test_every_altered_letter_is_noticed() -> None:
    text = sealed(user="anna")
    for place in range(len(text) - 1):
        altered = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        assert challenge.unseal(ROOT, "purpose", altered, now=NOW) is None


@pytest.mark.parametrize("added", ["!", "\n", "=", "====", " ", "+", "A"])
def test_a_challenge_has_one_spelling(added: str) -> None:
    """Who remembers it as answered knows it by its letters."""
    text = sealed(user="anna")
    for respelled in (text + added, added + text, text[:9] + added + text[9:]):
        assert challenge.unseal(ROOT, "purpose", respelled, now=NOW) is None
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert sum(challenge.unseal(ROOT, "purpose", text[:-1] + one, now=NOW) is not None for one in last) == 1


@pytest.mark.parametrize("text", ["", "x", "é", "=" * 9, "A" * 100, "A" * (CHALLENGE_CHARS_MAX + 1)])
def test_what_is_no_challenge_opens_nothing(text: str) -> None:
    assert challenge.unseal(ROOT, "purpose", text, now=NOW) is None


def test_more_than_fits_in_a_cookie_is_not_sealed() -> None:
    assert len(sealed(text="x" * 2900)) <= CHALLENGE_CHARS_MAX
    with pytest.raises(ValueError, match="at most"):
        sealed(text="x" * 3200)
