"""Additions to the floor list: the operator's for all, a tenant's for itself; the floor itself stays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from archive.catalogue import directory, exempt_numbers
from archive.catalogue.engine import Catalogue
from archive.errors import Conflict, NotFound, Refused
from archive.model import Tenant

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
FLOOR = ["112", "113", "0800-0113", "+31 900 0113", "sip:112@pbx.example", "tel:+31112"]


def test_a_tenant_has_the_operators_additions_and_its_own(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    doctors = exempt_numbers.add(operator, None, "116117", now=NOW)
    own = exempt_numbers.add(portal, bakery.id, "010-7000300", now=NOW)
    assert (doctors.number, doctors.operators) == ("116117", True)
    assert (own.number, own.operators) == ("+31107000300", False)
    assert exempt_numbers.entries(portal, bakery.id) == [doctors, own]
    assert exempt_numbers.entries(portal, florist.id) == [doctors]
    assert exempt_numbers.entries(operator, florist.id) == [doctors]
    assert exempt_numbers.entries(operator, None) == [doctors]


@pytest.mark.parametrize("number", FLOOR)
def test_the_floor_list_is_neither_added_to_itself_nor_shortened(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, number: str
) -> None:
    for catalogue, tenant_id in ((operator, None), (portal, bakery.id)):
        with pytest.raises(Refused, match="already"):
            exempt_numbers.add(catalogue, tenant_id, number, now=NOW)
        with pytest.raises(Refused, match="can't be shortened"):
            exempt_numbers.remove(catalogue, tenant_id, number)


@pytest.mark.parametrize("number", ["", "doctor", "1", "12", "+1", "anna@pbx.example", "+31107000100-199"])
def test_what_is_no_whole_number_is_refused(portal: Catalogue, bakery: Tenant, number: str) -> None:
    with pytest.raises(Refused, match=r"not (one whole|a) number"):
        exempt_numbers.add(portal, bakery.id, number, now=NOW)


def test_a_number_is_added_once_in_whatever_spelling(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    exempt_numbers.add(portal, bakery.id, "010-7000300", now=NOW)
    with pytest.raises(Conflict, match="before"):
        exempt_numbers.add(portal, bakery.id, "0031 10 7000300", now=NOW)
    exempt_numbers.add(operator, None, "+31107000300", now=NOW)
    with pytest.raises(Conflict, match="before"):
        exempt_numbers.add(portal, florist.id, "010-7000300", now=NOW)


def test_a_number_of_a_user_is_not_made_exempt(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    directory.add_user(operator, bakery.id, "anna", now=NOW, numbers=["0207654321", "+31201234500-599"])
    for catalogue, tenant_id in ((operator, None), (portal, bakery.id)):
        with pytest.raises(Conflict, match="mode to never"):
            exempt_numbers.add(catalogue, tenant_id, "020-7654321", now=NOW)
    assert exempt_numbers.add(portal, florist.id, "020-7654321", now=NOW)
    assert exempt_numbers.add(portal, bakery.id, "020-1234550", now=NOW)


def test_additions_have_a_limit(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exempt_numbers, "ADDITIONS_MAX", 2)
    for n in range(2):
        exempt_numbers.add(portal, bakery.id, f"11611{n}", now=NOW)
    with pytest.raises(Refused, match="At most 2"):
        exempt_numbers.add(portal, bakery.id, "116117", now=NOW)
    assert exempt_numbers.add(operator, None, "116117", now=NOW)


def test_a_tenant_removes_its_own_additions_and_never_the_operators(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    doctors = exempt_numbers.add(operator, None, "116117", now=NOW)
    own = exempt_numbers.add(portal, bakery.id, "010-7000300", now=NOW)
    theirs = exempt_numbers.add(portal, florist.id, "116111", now=NOW)
    for named in ("116117", doctors.id):
        with pytest.raises(Refused, match="ask the operator"):
            exempt_numbers.remove(portal, bakery.id, named)
    for named in ("116111", theirs.id, "116123"):
        with pytest.raises(NotFound):
            exempt_numbers.remove(portal, bakery.id, named)
    exempt_numbers.remove(portal, bakery.id, "0031-10-7000300")
    exempt_numbers.remove(portal, florist.id, theirs.id)
    with pytest.raises(NotFound):
        exempt_numbers.remove(portal, bakery.id, own.id)
    exempt_numbers.remove(operator, None, "116117")
    assert exempt_numbers.entries(operator, bakery.id) == []


def test_the_portal_adds_nothing_for_all_tenants(portal: Catalogue, bakery: Tenant) -> None:
    with pytest.raises(Refused, match="refuses it to this role"):
        exempt_numbers.add(portal, None, "116117", now=NOW)


def test_every_change_is_announced(operator: Catalogue, recorder: Catalogue, bakery: Tenant) -> None:
    with recorder.listen(directory.CHANNEL) as listener:
        for tenant_id in (None, bakery.id):
            exempt_numbers.add(operator, tenant_id, "116117" if tenant_id else "116111", now=NOW)
            assert listener.wait(10)
        exempt_numbers.remove(operator, bakery.id, "116117")
        assert listener.wait(10)
