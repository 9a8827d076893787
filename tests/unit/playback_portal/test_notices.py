"""Notifications reach whoever waits for them, and a lost connection loses none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
import structlog

from archive.catalogue import directory
from archive.errors import CatalogueUnavailable
from playback_portal import notices
from playback_portal.notices import Notices

PATIENCE_S = 20.0


class Told:
    """Counts how often it was told something."""

    def __init__(self) -> None:
        self.count = 0
        self._news = threading.Condition()

    def __call__(self) -> None:
        with self._news:
            self.count += 1
            self._news.notify_all()

    def wait_for(self, count: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: self.count >= count, PATIENCE_S)


@contextmanager
def listening(catalogue: Any, told: Callable[[], None], *, ticks: bool) -> Any:
    made = Notices(catalogue, directory.CHANNEL, told, ticks=ticks)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def announce(house: Any) -> None:
    with house.portal.transaction(house.tenant_id) as connection:
        directory.announce(connection)


def test_a_notification_is_told_once_it_is_listened_for(house: Any) -> None:
    told = Told()
    with listening(house.portal, told, ticks=False):
        # Told once because it may have missed something before it listened.
        told.wait_for(1)
        announce(house)
        told.wait_for(2)
    assert told.count == 2


def test_with_ticks_it_is_told_without_any_notification(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "TICK_S", 0.01)
    told = Told()
    with listening(house.portal, told, ticks=True):
        told.wait_for(5)


def test_after_a_lost_connection_it_is_told_that_it_may_have_missed_something(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "TICK_S", 0.01)
    told, lost = Told(), [True, True]
    real = house.portal.listen

    class Lossy:
        def __init__(self, listener: Any) -> None:
            self._listener = listener

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *arguments: object) -> None:
            self._listener.close()

        def wait(self, timeout_s: float) -> bool:
            if lost:
                lost.pop()
                raise CatalogueUnavailable("PostgreSQL closed the listening connection.")
            return bool(self._listener.wait(timeout_s))

    monkeypatch.setattr(house.portal, "listen", lambda channel: Lossy(real(channel)))
    with structlog.testing.capture_logs() as logs, listening(house.portal, told, ticks=False):
        told.wait_for(3)
        announce(house)
        told.wait_for(4)
    assert [log["event"] for log in logs] == [
        "notifications are not heard",
        "notifications are heard again",
    ] * 2


def test_a_tell_that_fails_for_the_database_is_tried_again(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "TICK_S", 0.01)
    told, failing = Told(), [True]

    def tell() -> None:
        if failing:
            failing.pop()
            raise CatalogueUnavailable("PostgreSQL does not answer.")
        told()

    with listening(house.portal, tell, ticks=False):
        told.wait_for(1)


def test_starting_twice_is_starting_once_and_stopping_needs_no_start(house: Any) -> None:
    Notices(house.portal, directory.CHANNEL, Told(), ticks=False).stop()
    told = Told()
    with listening(house.portal, told, ticks=False) as made:
        made.start()
        told.wait_for(1)
        names = [thread.name for thread in threading.enumerate()]
        assert names.count(f"notices {directory.CHANNEL}") == 1
