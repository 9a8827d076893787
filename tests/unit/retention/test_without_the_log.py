"""A5: while the audit log takes no entry nothing is destroyed, exported, let go or locked otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archive.catalogue import destructions
from archive.errors import DependencyUnavailable, NotFound
from archive.model import RecordingState, Tenant
from tests.unit.archive.sealed.test_read_only_log import read_only
from tests.unit.retention.ageing import Ageing, auditor, objects_of
from tests.unit.retention.holding import assert_destroyed, hold, on_hold
from tests.unit.retention.test_early_destruction import state_of

__all__ = ["read_only"]


def test_a5_what_expired_stays_whole_until_the_log_can_tell_of_it(
    ageing: Ageing, bakery: Tenant, read_only: Callable[[], Any]
) -> None:
    archived = ageing.archive(bakery)
    ageing.live(days=91)
    with read_only():
        with pytest.raises(DependencyUnavailable):
            ageing.sweep().batch(bakery.id)
        assert ageing.store.deleted == []
        assert len(objects_of(ageing.store, bakery, archived.recording.id)) == len(archived.objects)
    assert state_of(ageing, bakery, archived) is RecordingState.AVAILABLE
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)


def test_a5_a_destruction_the_log_leaves_in_the_middle_gets_its_certificate_afterwards(
    ageing: Ageing, bakery: Tenant, read_only: Callable[[], Any]
) -> None:
    """The entry that it began stands; what follows waits, and no certificate tells of more than was logged."""
    archived = ageing.archive(bakery)
    ageing.live(days=91)
    switched = read_only()

    def after_the_first(deleted: int) -> None:
        if deleted == 1:
            switched.__enter__()

    ageing.store.before_delete = after_the_first
    with pytest.raises(DependencyUnavailable):
        ageing.sweep().batch(bakery.id)
    with pytest.raises(NotFound):
        destructions.certificate_of(ageing.portal, auditor(bakery), archived.recording.id)
    assert ageing.entries(archived) == [("recording.destroy", "ok")]
    switched.__exit__(None, None, None)
    ageing.store.before_delete = None
    ageing.live(hours=1)
    ageing.sweep().batch(bakery.id)
    assert_destroyed(ageing, bakery, archived)


def test_a5_a_hold_is_not_acknowledged_and_does_not_stand(
    ageing: Ageing, bakery: Tenant, read_only: Callable[[], Any]
) -> None:
    archived = ageing.archive(bakery)
    with read_only(), pytest.raises(DependencyUnavailable):
        hold(ageing, bakery, archived)
    assert not on_hold(ageing, bakery, archived)
