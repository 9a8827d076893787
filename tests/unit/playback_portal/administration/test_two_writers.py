"""Two people change the same at the same time: who is second and said what they saw learns of it by 412."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from archive.access import Right
from archive.catalogue import directory, rights, teams

DEADLINE_S = 60
WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'")


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


async def test_who_names_no_state_changes_what_they_name_beside_the_other(office: Any, team_id: str) -> None:
    answer = await office.send("PATCH", f"/v1/teams/{team_id}", {"name": "Other"})
    assert answer.status == 200
    headers = {"If-Match": answer.headers["ETag"]}
    again = await office.send("PATCH", f"/v1/teams/{team_id}", {"hearsEarlier": True}, headers=headers)
    assert again.status == 200
