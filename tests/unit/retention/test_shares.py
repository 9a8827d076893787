"""The audio of links that ended goes; the recording and links that work stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from archive.access import AccessScope, Right
from archive.audit import AuditWriter
from archive.catalogue import accounts, directory, rights, scrubs, share_visits, shares
from archive.catalogue.engine import Catalogue
from archive.catalogue.shares import NewShare
from archive.errors import NotFound, VerificationFailed
from archive.model import ArchivedRecording, ObjectKind, Tenant
from archive.shared import Derivatives, standing
from retention.due_time import ClockDisbelieved
from retention.scrub import INTERVAL, Finding, Scrub
from retention.shares import Shares

CONTENT = b"\x1a\x45\xdf\xa3" + bytes(100_000)


@pytest.fixture
def archived(
    house: Any, make_recording: Any, make_finished: Any, outcome_of: Any, operator: Catalogue, bakery: Tenant
) -> ArchivedRecording:
    anna = directory.add_user(operator, bakery.id, "anna", now=house.clock.now())
    rights.set_rights(operator, bakery.id, anna.id, {Right.SHARE: True})
    finished = make_finished(make_recording(bakery.id, owner=anna.id).recording)
    return house.ingest().archive(finished, outcome_of(finished))


@pytest.fixture
def scope(portal: Catalogue, archived: ArchivedRecording) -> AccessScope:
    owner = archived.recording.owner
    assert owner is not None
    return accounts.scope_of_user(portal, archived.recording.tenant_id, owner)


@pytest.fixture
def derivatives(house: Any, portal: Catalogue) -> Derivatives:
    return Derivatives(house.store, house.vault, portal)


@pytest.fixture
def share_again(
    house: Any, portal: Catalogue, scope: AccessScope, archived: ArchivedRecording, derivatives: Derivatives
) -> Callable[[], shares.Share]:
    """Share the recording by one link more, which was opened and has its audio."""

    def share() -> shares.Share:
        now = house.clock.now()
        wanted = NewShare(archived.recording.id, "", 0, 1000, now + timedelta(days=1))
        with portal.transaction(scope.tenant_id) as connection:
            made, token = shares.add(connection, scope, wanted, now=now)
            share_visits.open_visit(connection, made, "192.0.2.1", now=now)
        derivatives.keep(archived, made, CONTENT)
        found = shares.find(portal, token)
        assert found is not None
        return found

    return share


@pytest.fixture
def share(share_again: Callable[[], shares.Share]) -> shares.Share:
    """A link with its audio."""
    return share_again()


def test_ended_links_lose_their_audio_and_those_that_work_keep_it(
    house: Any,
    portal: Catalogue,
    worker: Catalogue,
    scope: AccessScope,
    archived: ArchivedRecording,
    derivatives: Derivatives,
    share_again: Callable[[], shares.Share],
) -> None:
    kept, revoked = (share_again() for _ in range(2))
    with portal.transaction(scope.tenant_id) as connection:
        shares.revoke(connection, scope, revoked.id, now=house.clock.now())
    sweep = Shares(house.store, worker, house.clock.now)
    assert sweep.sweep(scope.tenant_id) == 1
    assert sweep.sweep(scope.tenant_id) == 0
    assert kept.derivative is not None
    prefix = f"{scope.tenant_id}/{archived.recording.id}/share/"
    assert [each.key for each in house.store.versions(prefix)] == [kept.derivative.object_key]
    reader = derivatives.open(archived, kept, kept.derivative)
    assert reader.read(0, reader.length) == CONTENT
    assert derivatives.source(archived, ObjectKind.AUDIO).read(0, 4) == b"fLaC"
    house.clock.moment += timedelta(days=1)
    assert sweep.sweep(scope.tenant_id) == 1
    assert house.store.versions(prefix) == []


def test_r3_by_a_clock_that_is_not_believed_only_what_somebody_ended_goes(
    house: Any,
    worker: Catalogue,
    portal: Catalogue,
    scope: AccessScope,
    archived: ArchivedRecording,
    share_again: Callable[[], shares.Share],
) -> None:
    def disbelieved() -> datetime:
        raise ClockDisbelieved("it moved")

    kept, revoked = (share_again() for _ in range(2))
    with portal.transaction(scope.tenant_id) as connection:
        shares.revoke(connection, scope, revoked.id, now=house.clock.now())
    house.clock.moment += timedelta(days=8 * 365)
    assert Shares(house.store, worker, disbelieved).sweep(scope.tenant_id) == 1
    assert kept.derivative is not None
    prefix = f"{scope.tenant_id}/{archived.recording.id}/share/"
    assert [each.key for each in house.store.versions(prefix)] == [kept.derivative.object_key]


def test_an_object_that_is_gone_already_is_no_fault(
    house: Any, worker: Catalogue, scope: AccessScope, share: shares.Share
) -> None:
    assert share.derivative is not None
    house.store.delete(share.derivative.object_key, share.derivative.version_id)
    house.clock.moment += timedelta(days=1)
    assert Shares(house.store, worker, house.clock.now).sweep(scope.tenant_id) == 1


def test_the_audio_of_one_link_does_not_open_as_that_of_another(
    archived: ArchivedRecording, derivatives: Derivatives, share_again: Callable[[], shares.Share]
) -> None:
    one, other = (share_again() for _ in range(2))
    assert one.derivative is not None
    with pytest.raises(VerificationFailed):
        derivatives.open(archived, other, one.derivative)


def test_a_link_stands_no_longer_than_its_maker_may_share(
    operator: Catalogue,
    house: Any,
    portal: Catalogue,
    scope: AccessScope,
    archived: ArchivedRecording,
    share: shares.Share,
) -> None:
    now = house.clock.now()
    assert standing(portal, share, now=now).recording.id == archived.recording.id
    assert scope.user_id is not None
    rights.set_rights(operator, scope.tenant_id, scope.user_id, {Right.SHARE: False})
    with pytest.raises(NotFound):
        standing(portal, share, now=now)
    rights.set_rights(operator, scope.tenant_id, scope.user_id, {Right.SHARE: True})
    standing(portal, share, now=share.ends_at - timedelta(microseconds=1))
    with pytest.raises(NotFound):
        standing(portal, share, now=share.ends_at)


def test_the_audio_of_a_link_is_read_again_with_its_recording(
    house: Any, worker: Catalogue, scope: AccessScope, archived: ArchivedRecording, share: shares.Share
) -> None:
    """A flipped bit is found, stands until it is mended, and goes with the link."""
    assert share.derivative is not None
    place = share.derivative.object_key, share.derivative.version_id
    scrub = Scrub(house.store, worker, AuditWriter(worker, "worker/scrub"), house.clock)
    whole = scrub.batch(scope.tenant_id, None)
    assert (whole.objects, whole.findings) == (6, ())
    octets = house.store.get(*place)
    house.store.damage(*place, octets[:-1] + bytes([octets[-1] ^ 1]))
    house.clock.moment += INTERVAL
    [found] = scrub.batch(scope.tenant_id, None).findings
    assert isinstance(found, Finding)
    assert found == Finding(archived.recording.id, f"share {share.id}", "altered")
    assert [each.damage for each in scrubs.findings(worker, scope.tenant_id)] == [(found.kind, found.what)]
    house.store.damage(*place, octets)
    assert scrub.batch(scope.tenant_id, None).findings == ()
    assert scrubs.findings(worker, scope.tenant_id) == []


def test_the_audio_of_a_link_that_ended_while_it_was_read_is_no_finding(
    house: Any, worker: Catalogue, scope: AccessScope, share: shares.Share
) -> None:
    assert share.derivative is not None
    key = share.derivative.object_key

    class Ending:
        def __getattr__(self, name: str) -> Any:
            return getattr(house.store, name)

        def get(self, asked: str, version_id: str) -> bytes:
            if asked == key:
                house.clock.moment += timedelta(days=1)
                assert Shares(house.store, worker, house.clock.now).sweep(scope.tenant_id) == 1
            found: bytes = house.store.get(asked, version_id)
            return found

    scrub = Scrub(Ending(), worker, AuditWriter(worker, "worker/scrub"), house.clock)
    assert scrub.batch(scope.tenant_id, None).findings == ()
    assert scrubs.findings(worker, scope.tenant_id) == []
