"""Rounds over all customers: one that fails keeps nobody waiting, and is told all the same."""

from __future__ import annotations

import pytest

from archive.errors import CatalogueUnavailable
from archive.model import TenantId
from retention.rounds import around

TENANTS = [TenantId("bakery"), TenantId("forge"), TenantId("mill")]


async def test_a_customer_whose_turn_fails_keeps_none_behind_it_waiting() -> None:
    seen: list[TenantId] = []

    def work(tenant_id: TenantId) -> int:
        seen.append(tenant_id)
        if tenant_id == "bakery":
            raise CatalogueUnavailable("It took too long.")
        return 1

    with pytest.raises(CatalogueUnavailable):
        await around(lambda: TENANTS, work)
    assert seen == TENANTS


async def test_what_was_done_is_told_by_customer() -> None:
    assert await around(lambda: TENANTS, len) == {"bakery": 6, "forge": 5, "mill": 4}
