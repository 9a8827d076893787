"""Who may administer a tenant: programs with that scope, and administrators; nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from archive.access import Scope
from playback_portal.administration import ADMINISTRATION_ROUTES

NOBODY = "00000000-0000-4000-8000-000000000000"


def path_of(route: Any) -> str:
    return str(route.path.replace("{id}", NOBODY).replace("{user}", NOBODY))


def test_every_row_needs_the_scope_and_has_an_audit_event() -> None:
    assert {route.permission for route in ADMINISTRATION_ROUTES} == {Scope.ADMINISTRATION}
    assert all(route.audit and route.subject for route in ADMINISTRATION_ROUTES)
    assert len({(route.method, route.path) for route in ADMINISTRATION_ROUTES}) == len(ADMINISTRATION_ROUTES)


@pytest.mark.parametrize("route", ADMINISTRATION_ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_a_key_without_the_scope_is_refused(office: Any, route: Any) -> None:
    problem = await office.problem(await office.send(route.method, path_of(route), key="reader"), 403)
    assert problem["requiredScope"] == "administration"


@pytest.mark.parametrize("route", ADMINISTRATION_ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_a_person_of_another_role_is_refused_whatever_their_key_allows(office: Any, route: Any) -> None:
    """And the try stands in the audit log."""
    problem = await office.problem(await office.send(route.method, path_of(route), key="anna"), 403)
    assert "administrators" in problem["detail"]
    subject = f"{route.subject}:{NOBODY}" if "{id}" in route.path else route.audit.partition(".")[0]
    entry = office.log(subject)[-1]
    assert (entry.actor, entry.action, entry.result) == (f"user:{office.anna.id}", route.audit, "refused")


async def test_an_administrator_in_person_may(office: Any) -> None:
    page = await office.read("/v1/users", "UserPage", key="boss")
    assert [each["login"] for each in page["items"]] == [
        f"anna@{office.tenant.domain}",
        f"boss@{office.tenant.domain}",
    ]
    assert office.log("users")[-1].actor == f"user:{office.boss.id}"
