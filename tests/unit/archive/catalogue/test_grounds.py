"""Nobody's recording is switched on before the customer wrote down why; who is recorded goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from archive.catalogue import departures, directory, grounds, licences, licensed
from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import recording_grounds
from archive.errors import GroundsMissing, Refused
from archive.grounds import STANDARD, LegalBasis
from archive.licensing import Assignment
from archive.model import RecordingMode, RetentionClass, Tenant

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = NOW + 10 * DAY
OWN = replace(STANDARD, purposes=("Orders",), legal_basis=LegalBasis.CONTRACT, balancing="")
RECORDED: directory.UserFields = {"licence": RetentionClass.DAYS_90, "mode": RecordingMode.ALWAYS}


@pytest.fixture
def mill(operator: Catalogue) -> Tenant:
    """A customer that has not written down why it records."""
    return directory.add_tenant(operator, "Mill", "mill.example", now=NOW, why=None)


def written(catalogue: Catalogue, tenant: Tenant, **fields: Any) -> grounds.Version:
    with catalogue.transaction(tenant.id) as connection:
        return grounds.register(connection, tenant.id, replace(OWN, **fields), "user:boss", now=NOW)


WAYS: dict[str, Callable[[Catalogue, Tenant], object]] = {
    "a new person": lambda catalogue, mill: directory.add_user(
        catalogue, mill.id, "ben", now=NOW, **RECORDED
    ),
    "licence and mode": lambda catalogue, mill: directory.set_user(
        catalogue, mill.id, "anna", now=NOW, **RECORDED
    ),
    "a first licence": lambda catalogue, mill: directory.set_user(
        catalogue, mill.id, "anna", now=NOW, licence=RetentionClass.DAYS_90
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_switching_on_is_refused_until_it_is_written(operator: Catalogue, mill: Tenant, way: str) -> None:
    directory.add_user(operator, mill.id, "anna", now=NOW, numbers=["+31201234500"])
    with pytest.raises(
        GroundsMissing, match=r"purpose, legal basis and notice text .*/admin/policies/grounds"
    ):
        WAYS[way](operator, mill)
    anna = directory.list_users(operator, mill.id)
    assert [(each.login, each.licence, each.mode) for each in anna] == [("anna", None, RecordingMode.NEVER)]
    written(operator, mill)
    WAYS[way](operator, mill)


def test_many_at_once_are_refused_too_and_the_preview_tells(
    operator: Catalogue, portal: Catalogue, mill: Tenant
) -> None:
    anna = directory.add_user(
        operator, mill.id, "anna", now=NOW, own_modes=[RecordingMode.ALWAYS, RecordingMode.NEVER]
    )
    to_all = Assignment(RetentionClass.DAYS_90)
    assert licensed.preview(portal, mill.id, [anna.id], to_all, now=NOW).grounds_missing
    told = licences.preview(portal, mill.id, "anna", RetentionClass.DAYS_90, now=NOW).obstacle
    assert told == grounds.MISSING
    with pytest.raises(GroundsMissing), portal.transaction(mill.id) as connection:
        licensed.assign(connection, mill.id, [anna.id], to_all, now=NOW)
    written(portal, mill)
    assert not licensed.preview(portal, mill.id, [anna.id], to_all, now=NOW).grounds_missing
    with portal.transaction(mill.id) as connection:
        assert len(licensed.assign(connection, mill.id, [anna.id], to_all, now=NOW)) == 1


def test_nobody_switches_themselves_on(database: Any, operator: Catalogue, mill: Tenant) -> None:
    """Somebody with a licence who is not recorded now, of a customer of before this rule."""
    written(operator, mill)
    own_modes = [RecordingMode.ALWAYS, RecordingMode.NEVER]
    licence = RetentionClass.DAYS_90
    anna = directory.add_user(operator, mill.id, "anna", now=NOW, licence=licence, own_modes=own_modes)
    database.connect().execute("DELETE FROM recording_grounds")
    with pytest.raises(GroundsMissing), operator.transaction(mill.id) as connection:
        directory.set_own_mode(connection, anna, RecordingMode.ALWAYS, now=NOW)


def test_who_is_recorded_goes_on_and_changes_but_does_not_begin_anew(
    database: Any, operator: Catalogue, mill: Tenant
) -> None:
    """A customer of before this rule: nothing of theirs stops, and what stops does not begin again."""
    written(operator, mill)
    anna = directory.add_user(operator, mill.id, "anna", now=NOW, **RECORDED)
    database.connect().execute("DELETE FROM recording_grounds")
    after = directory.set_user(
        operator, mill.id, "anna", now=LATER, mode=RecordingMode.ON_DEMAND, licence=RetentionClass.DAYS_365
    )
    assert (after.mode, after.licence) == (RecordingMode.ON_DEMAND, RetentionClass.DAYS_365)
    with operator.transaction(mill.id) as connection:
        departures.leave(connection, mill.id, anna.id, now=LATER + DAY)
    with pytest.raises(GroundsMissing), operator.transaction(mill.id) as connection:
        departures.come_back(connection, mill.id, anna.id, now=LATER + 2 * DAY)


def test_a_customer_begins_with_the_text_of_the_provider_and_makes_it_its_own(
    operator: Catalogue, bakery: Tenant
) -> None:
    first = grounds.current(operator, bakery.id)
    assert first is not None
    assert (first.grounds, first.standard, first.registered_by) == (STANDARD, True, "operator")
    with operator.transaction(bakery.id) as connection:
        own = grounds.register(connection, bakery.id, STANDARD, "user:boss", now=NOW)
    assert not own.standard
    assert [each.standard for each in grounds.versions(operator, bakery.id)].count(True) == 1


def test_every_version_stays_and_the_one_of_a_moment_is_found(portal: Catalogue, mill: Tenant) -> None:
    first = written(portal, mill)
    assert written(portal, mill) == first, "the same text again is no new version"
    with portal.transaction(mill.id) as connection:
        second = grounds.register(
            connection, mill.id, replace(OWN, purposes=("Training",)), "user:ada", now=LATER
        )
        assert grounds.in_force(connection, mill.id, NOW - timedelta(seconds=1)) is None
        assert grounds.in_force(connection, mill.id, LATER - timedelta(seconds=1)) == first
        assert grounds.in_force(connection, mill.id, LATER) == second
    assert grounds.versions(portal, mill.id) == [second, first]


def test_no_role_changes_or_removes_a_version(
    portal: Catalogue, operator: Catalogue, worker: Catalogue, mill: Tenant
) -> None:
    written(portal, mill)
    for role in (portal, operator, worker):
        for statement in (update(recording_grounds).values(standard=False), delete(recording_grounds)):
            with (
                pytest.raises(Refused, match="permission denied"),
                role.transaction(mill.id) as connection,
            ):
                connection.execute(statement)


def test_what_is_incomplete_is_not_written_and_names_its_fields(portal: Catalogue, mill: Tenant) -> None:
    with pytest.raises(Refused, match="purposes, notice_en"):
        written(portal, mill, purposes=(), notice_en=" ")
    assert grounds.current(portal, mill.id) is None
