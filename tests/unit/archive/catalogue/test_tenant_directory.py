"""A tenant's own directory decides its calls as the whole one would, and shows nothing of others."""

from __future__ import annotations

from datetime import UTC, datetime

from archive.catalogue import directory, do_not_record, exempt_numbers, peers, tenant_directory
from archive.catalogue.engine import Catalogue
from archive.model import RecordingMode, RetentionClass, Tenant

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def test_the_portal_reads_all_of_its_tenant_and_nothing_of_another(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    for number, tenant in enumerate((bakery, florist)):
        directory.add_user(
            operator,
            tenant.id,
            "anna",
            now=NOW,
            numbers=(f"+3120123000{number}",),
            licence=RetentionClass.DAYS_90,
            mode=RecordingMode.ALWAYS,
        )
        peers.add_peer(operator, f"sbc-{number}", [f"192.0.2.{number}/32"], now=NOW, tenant_id=tenant.id)
        do_not_record.add(operator, tenant.id, f"+3161111111{number}", "doctor", now=NOW)
        exempt_numbers.add(operator, tenant.id, f"+3162222222{number}", now=NOW)
    peers.add_peer(operator, "shared", ["198.51.100.0/24"], now=NOW)
    exempt_numbers.add(operator, None, "+31633333333", now=NOW)
    whole, own = directory.load_directory(operator), tenant_directory.load(portal, bakery.id)
    assert own.tenants == (bakery,)
    assert own.users == tuple(user for user in whole.users if user.tenant_id == bakery.id)
    assert own.peers == tuple(peer for peer in whole.peers if peer.tenant_id == bakery.id)
    assert [entry.tenant_id for entry in own.do_not_record] == [bakery.id]
    assert own.exempt_additions(bakery.id) == whole.exempt_additions(bakery.id)
    assert own.exempt_additions(bakery.id) == {"+31622222220", "+31633333333"}
    assert len(own.users) == 1
    assert len(own.peers) == 1
