"""Policies of a tenant: defaults until somebody decides, and one thing changed at a time."""

from __future__ import annotations

import pytest

from archive.catalogue import directory, policies
from archive.catalogue.engine import Catalogue
from archive.errors import NotFound, Refused
from archive.model import KEEP_GRACE_H_MAX, AboveCap, Tenant, TenantId, TenantPolicy


def test_who_decided_nothing_has_the_defaults(portal: Catalogue, bakery: Tenant) -> None:
    assert policies.policy_of(portal, bakery.id) == TenantPolicy(keep_grace_h=0, above_cap=AboveCap.KEEP)
    assert policies.set_policy(portal, bakery.id) == TenantPolicy()


def test_what_is_not_given_stays(portal: Catalogue, bakery: Tenant, florist: Tenant) -> None:
    assert policies.set_policy(portal, bakery.id, keep_grace_h=24) == TenantPolicy(24, AboveCap.KEEP)
    stopping = TenantPolicy(24, AboveCap.STOP)
    assert policies.set_policy(portal, bakery.id, above_cap=AboveCap.STOP) == stopping
    assert policies.set_policy(portal, bakery.id, keep_grace_h=0) == TenantPolicy(0, AboveCap.STOP)
    assert policies.policy_of(portal, florist.id) == TenantPolicy()


@pytest.mark.parametrize("hours", [0, KEEP_GRACE_H_MAX])
def test_a_grace_may_be_as_short_and_long_as_its_limits(
    portal: Catalogue, bakery: Tenant, hours: int
) -> None:
    assert policies.set_policy(portal, bakery.id, keep_grace_h=hours).keep_grace_h == hours


@pytest.mark.parametrize("hours", [-1, KEEP_GRACE_H_MAX + 1])
def test_a_grace_beyond_the_limits_is_refused(portal: Catalogue, bakery: Tenant, hours: int) -> None:
    with pytest.raises(Refused, match="0 to 72"):
        policies.set_policy(portal, bakery.id, keep_grace_h=hours, above_cap=AboveCap.DAYS_90)
    assert policies.policy_of(portal, bakery.id) == TenantPolicy()


def test_there_is_no_policy_without_a_tenant(portal: Catalogue) -> None:
    with pytest.raises(NotFound):
        policies.policy_of(portal, TenantId("nobody"))
    with pytest.raises(NotFound):
        policies.set_policy(portal, TenantId("nobody"), keep_grace_h=1)


def test_an_operator_reads_the_policy_with_the_tenant(operator: Catalogue, bakery: Tenant) -> None:
    policies.set_policy(operator, bakery.id, keep_grace_h=1)
    assert directory.tenant_by_domain(operator, bakery.domain).policy.keep_grace_h == 1
    assert [tenant.policy.keep_grace_h for tenant in directory.list_tenants(operator)] == [1]


def test_a_change_is_announced(portal: Catalogue, recorder: Catalogue, bakery: Tenant) -> None:
    with recorder.listen(directory.CHANNEL) as listener:
        policies.set_policy(portal, bakery.id, keep_grace_h=1)
        assert listener.wait(10)
