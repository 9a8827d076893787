"""People page by page, within one tenant."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from archive.catalogue import directory, people
from archive.catalogue.engine import Catalogue
from archive.errors import NotFound, Refused
from archive.model import TenantId

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.fixture
def tenant_id(operator: Catalogue) -> TenantId:
    tenant = directory.add_tenant(operator, "Bakery", "bakery.example", now=NOW)
    other = directory.add_tenant(operator, "Florist", "florist.example", now=NOW)
    for login in ("carl", "anna", "b_b", "b-b", "bxb"):
        directory.add_user(operator, tenant.id, login, now=NOW)
    directory.add_user(operator, other.id, "stranger", now=NOW)
    return tenant.id


def test_pages_follow_each_other_by_login(portal: Catalogue, tenant_id: TenantId) -> None:
    found, cursor = [], None
    while True:
        page = people.page(portal, tenant_id, limit=2, cursor=cursor)
        found += [user.login for user in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert found == ["anna", "b-b", "b_b", "bxb", "carl"]


def test_a_page_that_is_just_full_is_the_last(portal: Catalogue, tenant_id: TenantId) -> None:
    assert people.page(portal, tenant_id, limit=5).next is None


@pytest.mark.parametrize(
    ("text", "logins"), [("B", ["b-b", "b_b", "bxb"]), ("_", ["b_b"]), ("%", []), ("\0", []), ("zz", [])]
)
def test_a_part_of_a_login_is_found_as_it_is(
    portal: Catalogue, tenant_id: TenantId, text: str, logins: list[str]
) -> None:
    """No character of it is a wildcard."""
    assert [user.login for user in people.page(portal, tenant_id, text=text).items] == logins


@pytest.mark.parametrize("limit", [0, 201])
def test_a_limit_out_of_bounds_is_refused(portal: Catalogue, tenant_id: TenantId, limit: int) -> None:
    with pytest.raises(Refused, match="1 to 200"):
        people.page(portal, tenant_id, limit=limit)


@pytest.mark.parametrize("cursor", ["x" * 401, "!", "AAAA", "gA"])
def test_a_cursor_that_is_not_ours_is_refused(portal: Catalogue, tenant_id: TenantId, cursor: str) -> None:
    with pytest.raises(Refused, match="not one of ours"):
        people.page(portal, tenant_id, cursor=cursor)


def test_a_tenant_is_seen_by_its_own(portal: Catalogue, tenant_id: TenantId) -> None:
    assert people.tenant_of(portal, tenant_id).domain == "bakery.example"
    with pytest.raises(NotFound):
        people.tenant_of(portal, TenantId("00000000-0000-4000-8000-000000000000"))
