"""How often somebody may try to sign in: delays that grow with each failure and never become for ever.

An attempt is counted in several ways at once, and the longest wait holds:

- by account and network: whoever types a wrong password again and again waits;
- by account, wherever from: a botnet waits too. Networks from which this account signed
  in of late are spared, so that nobody keeps its owner out by failing on purpose;
- by network: whoever tries one password on many accounts waits.

The account is what was typed, whether it exists or not: waits tell nothing.

Rules: pure. Every wait has an end within minutes; a new password by mail needs no wait.
Not here: where attempts are counted (`archive.catalogue.sign_in_attempts`).
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

NETWORK_BITS_V6 = 64
"""What one customer of an access provider has at least; its addresses change by the hour."""

FORGET_S = 24 * 3600
"""Failures of yesterday are a person's, not an attack."""

KNOWN_S = 30 * 24 * 3600
"""As long a network counts as one of the account's own after it signed in there."""

IDENTIFIER_CHARS_MAX = 320
"""The longest e-mail address (RFC 3696 erratum 1690) and login@domain alike."""


@dataclass(frozen=True)
class Allowance:
    """`failures_max` are free; then the wait doubles from `first_s` up to `wait_s_max`."""

    failures_max: int
    first_s: float
    wait_s_max: float

    def wait_s(self, failures: int) -> float:
        """Return how long after the last of so many failures the next attempt is heard."""
        if failures < self.failures_max:
            return 0.0
        doublings = min(failures - self.failures_max, 32)
        return min(self.wait_s_max, self.first_s * 2.0**doublings)


ACCOUNT_HERE = Allowance(5, 2, 15 * 60)
"""Some 100 guesses a day at most; a password of ours has 12 characters and more."""

ACCOUNT_ANYWHERE = Allowance(20, 2, 5 * 60)
NETWORK = Allowance(50, 1, 5 * 60)
"""An office or a mobile provider shares one address."""

SECOND_FACTOR = Allowance(5, 2, 15 * 60)
"""Of a million codes three count at a time: some 100 guesses a day are one chance in 3000."""

RESET = Allowance(2, 60, 3600)
"""Nobody needs more mails of this kind; more are a nuisance to whoever gets them."""

RESET_NETWORK = Allowance(20, 10, 600)

SHARE_CODE = Allowance(5, 2, 15 * 60)
"""The PIN of a play link has a million values and more, and a link lives 30 days: one chance in 300."""

SHARE_ANYWHERE = Allowance(20, 2, 15 * 60)
"""Of all who try one link together: some 3000 guesses in its 30 days at most, the same chance."""

SHARE_MAIL = Allowance(3, 60, 3600)
"""Codes by mail; more are a nuisance to whoever gets them."""


@dataclass(frozen=True)
class Subject:
    """One way an attempt is counted: the hash it stands under, and what is allowed.

    With `unless_known` it does not count from a network that the subject of that hash knows.
    What is `shared` counts others' attempts too: who succeeds takes back their own alone.
    """

    hash: str
    allowance: Allowance
    unless_known: str = ""
    shared: bool = False


@dataclass(frozen=True)
class Tally:
    """What was counted of one subject."""

    failures: int
    failed_at: datetime
    succeeded_at: datetime | None = None

    def failures_at(self, now: datetime) -> int:
        """Return the failures that still count."""
        return self.failures if now - self.failed_at < timedelta(seconds=FORGET_S) else 0

    def known(self, now: datetime) -> bool:
        """Return whether somebody signed in here of late."""
        return self.succeeded_at is not None and now - self.succeeded_at < timedelta(seconds=KNOWN_S)


def wait_s(subjects: tuple[Subject, ...], tallies: dict[str, Tally], now: datetime) -> float:
    """Return for how many seconds the next attempt is not heard; 0 when it is."""
    waits = [0.0]
    for subject in subjects:
        tally, own = tallies.get(subject.hash), tallies.get(subject.unless_known)
        if tally is None or (own is not None and own.known(now)):
            continue
        until = tally.failed_at + timedelta(seconds=subject.allowance.wait_s(tally.failures_at(now)))
        waits.append((until - now).total_seconds())
    return max(waits)


def password_subjects(typed: str, address: str) -> tuple[Subject, ...]:
    """Return how an attempt with a password is counted: here first, then anywhere, then the network."""
    account, network = identifier(typed), network_of(address)
    here = _hash("here", account, network)
    return (
        Subject(here, ACCOUNT_HERE),
        Subject(_hash("anywhere", account), ACCOUNT_ANYWHERE, unless_known=here),
        Subject(_hash("network", network), NETWORK, shared=True),
    )


def second_factor_subjects(user_id: str) -> tuple[Subject, ...]:
    """Return how a code is counted; who enters one has given the password already."""
    return (Subject(_hash("second-factor", user_id), SECOND_FACTOR),)


def own_password_subjects(user_id: str) -> tuple[Subject, ...]:
    """Return how the password of now is counted that somebody gives who is in, to change it."""
    return (Subject(_hash("own-password", user_id), ACCOUNT_HERE),)


def reset_subjects(typed: str, address: str) -> tuple[Subject, ...]:
    """Return how the wish for a new password is counted."""
    return (
        Subject(_hash("reset", identifier(typed)), RESET),
        Subject(_hash("reset-network", network_of(address)), RESET_NETWORK, shared=True),
    )


def passkey_subjects(address: str) -> tuple[Subject, ...]:
    """Return how an answer of an unknown passkey is counted: there is nothing to guess but our time."""
    return (Subject(_hash("passkey-network", network_of(address)), NETWORK, shared=True),)


def share_subjects(share_id: str, address: str) -> tuple[Subject, ...]:
    """Return how a PIN or code of a play link is counted: here first, then anywhere, then the network."""
    network = network_of(address)
    here = _hash("share-here", share_id, network)
    return (
        Subject(here, SHARE_CODE),
        Subject(_hash("share", share_id), SHARE_ANYWHERE, unless_known=here, shared=True),
        Subject(_hash("share-network", network), NETWORK, shared=True),
    )


def share_mail_subjects(share_id: str) -> tuple[Subject, ...]:
    """Return how the wish for a code by mail is counted."""
    return (Subject(_hash("share-mail", share_id), SHARE_MAIL),)


def share_token_subjects(address: str) -> tuple[Subject, ...]:
    """Return how an address that is no play link is counted: there is nothing to guess but our time."""
    return (Subject(_hash("share-token-network", network_of(address)), NETWORK, shared=True),)


def identifier(typed: str) -> str:
    """Return what names an account, in one spelling; '' for what can be none, a password for instance."""
    text = typed.strip().lower()
    name, at, domain = text.rpartition("@")
    fits = len(text) <= IDENTIFIER_CHARS_MAX and text.isprintable() and " " not in text
    return text if fits and at and name and domain else ""


def network_of(address: str) -> str:
    """Return the network an address counts as."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, NETWORK_BITS_V6), strict=False))
    return str(parsed)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
