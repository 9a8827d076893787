"""The promise to keep the next call: one a person, for a week at most, used up by the very call it kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from archive.catalogue import directory, keep_next
from archive.catalogue.engine import Catalogue
from archive.errors import NotFound, Refused
from archive.model import Tenant, User, UserId

NOW = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONGEST = timedelta(days=keep_next.DAYS_MAX)


@pytest.fixture
def anna(operator: Catalogue, bakery: Tenant) -> User:
    return directory.add_user(operator, bakery.id, "anna", now=NOW)


def test_a_promise_holds_until_its_moment_and_the_later_one_replaces_it(
    portal: Catalogue, bakery: Tenant, anna: User
) -> None:
    assert keep_next.until_of(portal, bakery.id, anna.id, now=NOW) is None
    keep_next.set_until(portal, bakery.id, anna.id, NOW + HOUR, now=NOW)
    assert keep_next.until_of(portal, bakery.id, anna.id, now=NOW) == NOW + HOUR
    assert keep_next.until_of(portal, bakery.id, anna.id, now=NOW + HOUR) is None
    keep_next.set_until(portal, bakery.id, anna.id, NOW + 2 * HOUR, now=NOW)
    assert keep_next.until_of(portal, bakery.id, anna.id, now=NOW) == NOW + 2 * HOUR


def test_a_promise_taken_back_is_gone(portal: Catalogue, bakery: Tenant, anna: User) -> None:
    keep_next.set_until(portal, bakery.id, anna.id, NOW + HOUR, now=NOW)
    for _ in range(2):
        keep_next.clear(portal, bakery.id, anna.id)
        assert keep_next.until_of(portal, bakery.id, anna.id, now=NOW) is None


def test_a_promise_may_reach_a_week_ahead(portal: Catalogue, bakery: Tenant, anna: User) -> None:
    keep_next.set_until(portal, bakery.id, anna.id, NOW + LONGEST, now=NOW)
    assert keep_next.until_of(portal, bakery.id, anna.id, now=NOW) == NOW + LONGEST


@pytest.mark.parametrize(
    "until",
    [NOW, NOW - HOUR, NOW + LONGEST + timedelta(microseconds=1), (NOW + HOUR).replace(tzinfo=None)],
)
def test_a_promise_for_the_past_or_beyond_a_week_is_refused(
    portal: Catalogue, bakery: Tenant, anna: User, until: datetime
) -> None:
    with pytest.raises(Refused, match="within 7 days"):
        keep_next.set_until(portal, bakery.id, anna.id, until, now=NOW)


def test_a_promise_is_of_somebody_in_the_tenant(
    portal: Catalogue, bakery: Tenant, florist: Tenant, anna: User
) -> None:
    for tenant, user_id in ((florist, anna.id), (bakery, UserId("nobody"))):
        with pytest.raises(NotFound):
            keep_next.set_until(portal, tenant.id, user_id, NOW + HOUR, now=NOW)


def test_a_recorder_uses_up_that_very_promise_once(
    portal: Catalogue, recorder: Catalogue, bakery: Tenant, anna: User
) -> None:
    keep_next.set_until(portal, bakery.id, anna.id, NOW + HOUR, now=NOW)
    keep_next.set_until(portal, bakery.id, anna.id, NOW + 2 * HOUR, now=NOW)
    assert not keep_next.consume(recorder, bakery.id, anna.id, NOW + HOUR)
    assert keep_next.until_of(portal, bakery.id, anna.id, now=NOW) == NOW + 2 * HOUR
    assert keep_next.consume(recorder, bakery.id, anna.id, NOW + 2 * HOUR)
    assert not keep_next.consume(recorder, bakery.id, anna.id, NOW + 2 * HOUR)
    assert keep_next.until_of(portal, bakery.id, anna.id, now=NOW) is None


def test_every_change_is_announced(
    portal: Catalogue, recorder: Catalogue, worker: Catalogue, bakery: Tenant, anna: User
) -> None:
    with worker.listen(directory.CHANNEL) as listener:
        for change in (
            lambda: keep_next.clear(portal, bakery.id, anna.id),
            lambda: keep_next.consume(recorder, bakery.id, anna.id, NOW + HOUR),
        ):
            keep_next.set_until(portal, bakery.id, anna.id, NOW + HOUR, now=NOW)
            assert listener.wait(10)
            change()
            assert listener.wait(10)
