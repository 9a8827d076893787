"""Searches people keep: their own, shared ones, and where they left off."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from archive.access import AccessScope
from archive.catalogue import directory, saved_searches
from archive.catalogue.engine import Catalogue
from archive.catalogue.saved_searches import (
    NAME_CHARS_MAX,
    QUERY_CHARS_MAX,
    RESTORED,
    SEARCHES_PER_USER_MAX,
)
from archive.errors import Conflict, NotFound, Refused
from archive.model import Role, Tenant

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
Person = Callable[..., AccessScope]


@pytest.fixture
def person(operator: Catalogue) -> Person:
    """Return a maker of people."""

    def make(tenant: Tenant, login: str, role: Role = Role.USER) -> AccessScope:
        user = directory.add_user(operator, tenant.id, login, now=NOW, role=role)
        return AccessScope(tenant.id, f"user:{user.id}", role, user.id, "own")

    return make


def test_a_search_is_seen_by_who_keeps_it_and_by_others_once_it_is_shared(
    portal: Catalogue, bakery: Tenant, florist: Tenant, person: Person
) -> None:
    anna, bert, stranger = person(bakery, "anna"), person(bakery, "bert"), person(florist, "x")
    made = saved_searches.add(portal, anna, " Met pauze ", "has=pause", shared=False, now=NOW)
    assert (made.name, made.query, made.shared) == ("Met pauze", "has=pause", False)
    assert saved_searches.visible(portal, anna) == [made]
    assert saved_searches.visible(portal, bert) == []
    with pytest.raises(NotFound):
        saved_searches.get(portal, bert, made.id)
    shared = saved_searches.change(portal, anna, made.id, shared=True)
    assert saved_searches.visible(portal, bert) == [shared]
    assert saved_searches.visible(portal, stranger) == []
    with pytest.raises(NotFound):
        saved_searches.get(portal, stranger, made.id)


def test_own_searches_come_first(portal: Catalogue, bakery: Tenant, person: Person) -> None:
    anna, bert = person(bakery, "anna"), person(bakery, "bert")
    saved_searches.add(portal, anna, "aaa", "", shared=True, now=NOW)
    saved_searches.add(portal, bert, "zzz", "", shared=False, now=NOW)
    saved_searches.add(portal, bert, "Mmm", "", shared=False, now=NOW)
    assert [each.name for each in saved_searches.visible(portal, bert)] == ["Mmm", "zzz", "aaa"]


def test_a_search_is_changed_by_who_made_it_and_deleted_by_an_administrator_too(
    portal: Catalogue, bakery: Tenant, person: Person
) -> None:
    anna, bert = person(bakery, "anna"), person(bakery, "bert")
    ada = person(bakery, "ada", Role.ADMINISTRATOR)
    made = saved_searches.add(portal, anna, "one", "q=x", shared=True, now=NOW)
    for other in (bert, ada):
        with pytest.raises(Refused, match="who made it"):
            saved_searches.change(portal, other, made.id, name="mine")
    with pytest.raises(Refused, match="who made it"):
        saved_searches.remove(portal, bert, made.id)
    assert saved_searches.remove(portal, ada, made.id) == made
    with pytest.raises(NotFound):
        saved_searches.remove(portal, anna, made.id)


def test_what_is_changed_at_the_same_moment_stays(portal: Catalogue, bakery: Tenant, person: Person) -> None:
    """Somebody renames a search in one window and shares it in the other."""
    anna = person(bakery, "anna")
    made = saved_searches.add(portal, anna, "Gisteren", "within=2", shared=False, now=NOW)
    with ThreadPoolExecutor(1) as other:
        with portal.transaction(bakery.id) as connection:
            connection.exec_driver_sql("UPDATE saved_searches SET name = 'Vandaag'")
            shared = other.submit(saved_searches.change, portal, anna, made.id, shared=True)
            deadline = monotonic() + 5
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"
            while connection.exec_driver_sql(waiting).scalar() == 0:
                assert monotonic() < deadline
        after = shared.result(10)
    assert (after.name, after.shared, after.query) == ("Vandaag", True, "within=2")


def test_a_name_is_used_once_by_a_person(portal: Catalogue, bakery: Tenant, person: Person) -> None:
    anna, bert = person(bakery, "anna"), person(bakery, "bert")
    saved_searches.add(portal, anna, "one", "", shared=False, now=NOW)
    other = saved_searches.add(portal, anna, "two", "", shared=False, now=NOW)
    with pytest.raises(Conflict, match="name"):
        saved_searches.add(portal, anna, "one", "", shared=False, now=NOW)
    with pytest.raises(Conflict, match="name"):
        saved_searches.change(portal, anna, other.id, name="one")
    assert saved_searches.change(portal, anna, other.id, name="two", query="q=y").query == "q=y"
    saved_searches.add(portal, bert, "one", "", shared=False, now=NOW)


def test_a_person_keeps_so_many_and_no_more(portal: Catalogue, bakery: Tenant, person: Person) -> None:
    anna = person(bakery, "anna")
    for n in range(SEARCHES_PER_USER_MAX):
        saved_searches.add(portal, anna, str(n), "", shared=False, now=NOW)
    with pytest.raises(Conflict, match=str(SEARCHES_PER_USER_MAX)):
        saved_searches.add(portal, anna, "more", "", shared=False, now=NOW)


@pytest.mark.parametrize(
    ("name", "query", "fits"),
    [
        ("x" * NAME_CHARS_MAX, "y" * QUERY_CHARS_MAX, True),
        ("x" * (NAME_CHARS_MAX + 1), "", False),
        ("x", "y" * (QUERY_CHARS_MAX + 1), False),
        ("", "", False),
        ("a\nb", "", False),
        ("x", "q=\u00e9", False),
    ],
)
def test_names_and_queries_have_limits(
    portal: Catalogue, bakery: Tenant, person: Person, name: str, query: str, fits: bool
) -> None:
    anna = person(bakery, "anna")
    if fits:
        assert saved_searches.add(portal, anna, name, query, shared=False, now=NOW).query == query
        return
    with pytest.raises(Refused):
        saved_searches.add(portal, anna, name, query, shared=False, now=NOW)


def test_who_acts_for_nobody_keeps_nothing(portal: Catalogue, bakery: Tenant) -> None:
    key = AccessScope(bakery.id, "api-client:1", scopes=frozenset({"recordings:read"}))
    with pytest.raises(Refused, match="acts for nobody"):
        saved_searches.add(portal, key, "x", "", shared=True, now=NOW)
    saved_searches.remember_view(portal, key, "q=x", now=NOW)
    assert saved_searches.last_view(portal, key, now=NOW) is None


def test_a_view_is_gone_on_with_the_same_day_only(portal: Catalogue, bakery: Tenant, person: Person) -> None:
    anna, bert = person(bakery, "anna"), person(bakery, "bert")
    saved_searches.remember_view(portal, anna, "q=one", now=NOW)
    saved_searches.remember_view(portal, anna, "q=two", now=NOW)
    almost = NOW + RESTORED - timedelta(seconds=1)
    assert saved_searches.last_view(portal, anna, now=almost) == "q=two"
    assert saved_searches.last_view(portal, anna, now=NOW + RESTORED) is None
    assert saved_searches.last_view(portal, bert, now=NOW) is None
