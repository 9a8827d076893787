"""Attempts are counted before they are judged, all of them, and taken back by who was right."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.errors import LockNotAvailable
from sqlalchemy import Engine, event

from archive import throttle
from archive.catalogue import sign_in_attempts
from archive.catalogue.engine import Catalogue

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SUBJECTS = throttle.password_subjects("anna@bakery.example", "192.0.2.1")


def test_attempts_at_the_same_time_all_count(portal: Catalogue) -> None:
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: sign_in_attempts.begin(portal, SUBJECTS, NOW), range(24)))
    assert waits.count(0) == throttle.ACCOUNT_HERE.failures_max


def test_who_is_right_begins_anew_and_the_network_is_known(portal: Catalogue) -> None:
    for _ in range(throttle.ACCOUNT_HERE.failures_max):
        assert sign_in_attempts.begin(portal, SUBJECTS, NOW) == 0
    sign_in_attempts.succeeded(portal, SUBJECTS, NOW)
    assert sign_in_attempts.begin(portal, SUBJECTS, NOW) == 0


def test_who_owns_one_account_can_not_try_others_for_ever_from_their_network(portal: Catalogue) -> None:
    own = throttle.password_subjects("mallory@bakery.example", "192.0.2.1")
    heard = 0
    for n in range(throttle.NETWORK.failures_max + 10):
        others = throttle.password_subjects(f"victim{n}@bakery.example", "192.0.2.1")
        heard += sign_in_attempts.begin(portal, others, NOW) == 0
        if sign_in_attempts.begin(portal, own, NOW) == 0:
            sign_in_attempts.succeeded(portal, own, NOW)
    assert heard <= throttle.NETWORK.failures_max


def test_a_stranger_elsewhere_does_not_keep_the_owner_out(portal: Catalogue) -> None:
    assert sign_in_attempts.begin(portal, SUBJECTS, NOW) == 0
    sign_in_attempts.succeeded(portal, SUBJECTS, NOW)
    for n in range(throttle.ACCOUNT_ANYWHERE.failures_max + 5):
        elsewhere = throttle.password_subjects("anna@bakery.example", f"198.51.100.{n}")
        sign_in_attempts.begin(portal, elsewhere, NOW)
    fresh = throttle.password_subjects("anna@bakery.example", "203.0.113.1")
    assert sign_in_attempts.begin(portal, fresh, NOW) > 0
    assert sign_in_attempts.begin(portal, SUBJECTS, NOW) == 0


def test_what_is_forgotten_is_deleted(portal: Catalogue, database: Any) -> None:
    sign_in_attempts.begin(portal, SUBJECTS, NOW)
    later = throttle.reset_subjects("bert@bakery.example", "203.0.113.2")
    sign_in_attempts.begin(portal, later, NOW + timedelta(seconds=throttle.KNOWN_S + 1))
    kept = {row[0] for row in database.connect().execute("SELECT subject FROM sign_in_attempts")}
    assert kept == {subject.hash for subject in later}


def test_forgiven_failures_make_nobody_wait(portal: Catalogue) -> None:
    for _ in range(throttle.ACCOUNT_HERE.failures_max + 1):
        sign_in_attempts.begin(portal, SUBJECTS, NOW)
    sign_in_attempts.forgive(portal, SUBJECTS[:2])
    assert sign_in_attempts.begin(portal, SUBJECTS, NOW) == 0


def test_who_is_forgiven_in_the_middle_of_another_attempt_breaks_nothing(
    portal: Catalogue, database: Any
) -> None:
    """What is forgiven waits for the attempt, or the attempt for it: no row is missing in between."""
    sign_in_attempts.begin(portal, SUBJECTS, NOW)
    forgiving = database.connect()
    forgiving.execute("SET lock_timeout = '100ms'")
    tries = []

    def forgive(*executed: Any) -> None:
        if executed[2].startswith("INSERT INTO sign_in_attempts"):
            with suppress(LockNotAvailable):
                tries.append(executed[2])
                forgiving.execute("DELETE FROM sign_in_attempts")

    event.listen(Engine, "after_cursor_execute", forgive)
    try:
        assert sign_in_attempts.begin(portal, SUBJECTS, NOW) == 0
    finally:
        event.remove(Engine, "after_cursor_execute", forgive)
    assert tries
    counted = database.connect().execute("SELECT failures FROM sign_in_attempts").fetchall()
    assert counted == [(2,)] * len(SUBJECTS)
