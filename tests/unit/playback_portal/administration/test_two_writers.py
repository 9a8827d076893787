"""Two people change the same at the same time: who is second and said what they saw learns of it by 412."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from archive.access import Right
from archive.catalogue import brandings, directory, policies, rights, teams
from archive.catalogue.brandings import Look
from archive.catalogue.engine import Connection
from archive.model import AboveCap, RecordingMode

DEADLINE_S = 60
WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


@pytest.fixture
def team_id(office: Any) -> str:
    return directory.add_team(office.house.operator, office.tenant.id, "Sales", now=office.now)


async def waits(office: Any) -> None:
    """Wait until somebody waits for the first writer."""

    def count() -> int:
        with office.house.portal.transaction(office.tenant.id) as connection:
            return int(connection.execute(WAITING).scalar_one())

    async with asyncio.timeout(DEADLINE_S):
        while await asyncio.to_thread(count) == 0:
            await asyncio.sleep(0.02)


async def second_of_two(office: Any, path: str, body: Any, team_id: str) -> Any:
    """Return what is answered to who changes what somebody else changes in this very moment."""
    known = (await office.send("GET", path)).headers["ETag"]
    with office.house.operator.transaction(office.tenant.id) as connection:
        teams.change_within(connection, office.tenant.id, team_id, rights={Right.EMAIL: True})
        sent = asyncio.create_task(office.send("PATCH", path, body, headers={"If-Match": known}))
        await waits(office)
    return await sent


async def test_the_second_writer_of_a_team_is_told(office: Any, team_id: str) -> None:
    answer = await second_of_two(office, f"/v1/teams/{team_id}", {"name": "Other"}, team_id)
    await office.problem(answer, 412)
    team = teams.team_of(office.house.operator, office.tenant.id, team_id)
    assert (team.name, team.rights) == ("Sales", {Right.EMAIL})


async def test_the_second_writer_of_the_rights_is_told(office: Any, team_id: str) -> None:
    body = {"people": {office.anna.id: {"share": True}}}
    await office.problem(await second_of_two(office, "/v1/rights", body, team_id), 412)
    assert rights.of_exceptions(office.house.operator, office.tenant.id) == []


async def behind(
    office: Any,
    change: Callable[[Connection], object],
    path: str,
    body: Any,
    key: str,
    method: str = "PATCH",
) -> Any:
    """Return what is answered to a change that was sent while somebody else's is not committed yet."""
    known = (await office.send("GET", path, key=key)).headers["ETag"]
    with office.house.portal.transaction(office.tenant.id) as connection:
        change(connection)
        sent = asyncio.create_task(office.send(method, path, body, key=key, headers={"If-Match": known}))
        await waits(office)
    return await sent


async def test_the_second_writer_of_a_person_is_told(office: Any) -> None:
    tenant_id, now = office.tenant.id, office.now

    def move(connection: Connection) -> None:
        directory.update_user(connection, tenant_id, "anna", now=now, site="Goes", mode=RecordingMode.NEVER)

    path = f"/v1/users/{office.anna.id}"
    await office.problem(await behind(office, move, path, {"site": "Epe"}, "administration"), 412)
    anna = directory.user_by_id(office.house.operator, tenant_id, office.anna.id)
    assert (anna.site, anna.mode) == ("Goes", RecordingMode.NEVER)


async def test_the_second_writer_of_numbers_is_told(office: Any) -> None:
    tenant_id, now = office.tenant.id, office.now

    def renumber(connection: Connection) -> None:
        directory.update_user(connection, tenant_id, "anna", now=now, numbers=["+31201234001"])

    path, body = f"/v1/users/{office.anna.id}", {"numbers": ["+31201234002"]}
    await office.problem(await behind(office, renumber, path, body, "administration"), 412)
    anna = directory.user_by_id(office.house.operator, tenant_id, office.anna.id)
    assert anna.numbers == ("+31201234001",)


async def test_the_second_writer_of_ones_own_mode_is_told(office: Any) -> None:
    tenant_id, now = office.tenant.id, office.now
    modes = [RecordingMode.ALWAYS, RecordingMode.ALWAYS_PAUSE, RecordingMode.NEVER]
    directory.set_user(office.house.operator, tenant_id, "anna", now=now, own_modes=modes)

    def silence(connection: Connection) -> None:
        directory.update_user(connection, tenant_id, "anna", now=now, mode=RecordingMode.NEVER)

    answer = await behind(office, silence, "/v1/me/recording-settings", {"mode": "always-pause"}, "anna")
    await office.problem(answer, 412)
    anna = directory.user_by_id(office.house.operator, tenant_id, office.anna.id)
    assert anna.mode is RecordingMode.NEVER


async def test_the_second_writer_of_the_policy_is_told(office: Any) -> None:
    def stop(connection: Connection) -> None:
        policies.set_within(connection, office.tenant.id, above_cap=AboveCap.STOP)

    answer = await behind(office, stop, "/v1/policy", {"aboveCap": "90d"}, "administration")
    await office.problem(answer, 412)
    assert policies.policy_of(office.house.operator, office.tenant.id).above_cap is AboveCap.STOP


async def test_the_second_writer_of_a_look_is_told(office: Any) -> None:
    def look(connection: Connection) -> None:
        brandings.locked(connection, office.tenant.id)
        wanted = Look(office.tenant.id, "", "Molen")
        brandings.put_shown(connection, wanted, "user:boss", now=office.now)

    answer = await behind(office, look, "/v1/branding", {"name": "Bakker"}, "boss", "PUT")
    await office.problem(answer, 412)
    found = brandings.look_of(office.house.portal, office.tenant.id)
    assert found is not None
    assert found.name == "Molen"


async def test_who_names_no_state_changes_what_they_name_beside_the_other(office: Any, team_id: str) -> None:
    answer = await office.send("PATCH", f"/v1/teams/{team_id}", {"name": "Other"})
    assert answer.status == 200
    headers = {"If-Match": answer.headers["ETag"]}
    again = await office.send("PATCH", f"/v1/teams/{team_id}", {"hearsEarlier": True}, headers=headers)
    assert again.status == 200
