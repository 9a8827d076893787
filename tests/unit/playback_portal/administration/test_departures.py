"""Somebody leaves, over the API and on their page; and comes back after all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from archive.catalogue import directory
from archive.model import Role, User
from playback_portal.app import create_app


class Later:
    """A clock two days on."""

    def __init__(self, now: Any) -> None:
        self.moment = now + timedelta(days=2)

    def now(self) -> Any:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def bert(office: Any) -> User:
    user: User = directory.add_user(
        office.house.operator, office.tenant.id, "bert", now=office.now, numbers=["+31201234580-589"]
    )
    return user


async def test_a_person_leaves_and_comes_back_through_the_api(office: Any) -> None:
    path = f"/v1/users/{office.anna.id}"
    assert (await office.read(path, "User"))["leftAt"] is None
    answer = await office.send("DELETE", path)
    assert (answer.status, await answer.read()) == (204, b"")
    gone = await office.read(path, "User")
    assert (gone["licence"], gone["mode"], gone["numbers"]) == (None, "never", [])
    assert gone["leftAt"].startswith("2026-11-22T09:30:00")
    await office.problem(await office.send("DELETE", path), 409)
    await office.problem(await office.send("PATCH", path, {"mode": "never"}), 400)
    assert (await office.send("GET", "/v1/me/recording-settings", key="anna")).status == 401
    services = office.house.services(clock=Later(office.now))
    async with TestClient(TestServer(create_app(services))) as client:
        headers = {"Authorization": f"Bearer {office.keys['administration']}"}
        answer = await client.post(f"{path}/returns", headers=headers)
        back = await office.told(answer, "User", 200)
        assert (back["licence"], back["mode"], back["leftAt"]) == ("7y-1000", "always", None)
        assert back["numbers"] == ["+31201234567"]
        await office.problem(await client.post(f"{path}/returns", headers=headers), 409)
    left = [each for each in office.log(f"user:{office.anna.id}") if each.action == "user.left"]
    assert [each.result for each in left] == ["ok", "refused"]
    assert (left[0].body["licence"], left[0].body["numbers"]) == ("7y-1000", 1)
    assert "201234567" not in str(left[0].body)
    assert office.events(f"user:{office.anna.id}")[-2:] == [
        ("user.returned", "ok"),
        ("user.returned", "refused"),
    ]


async def test_no_key_lets_go_who_decides_for_others_and_nobody_themselves(office: Any, ella: User) -> None:
    for user in (ella, office.boss):
        problem = await office.problem(await office.send("DELETE", f"/v1/users/{user.id}"), 403)
        assert problem["type"].endswith("role-by-key")
    problem = await office.problem(
        await office.send("DELETE", f"/v1/users/{office.boss.id}", key="boss"), 403
    )
    assert problem["type"].endswith("own-departure")
    answer = await office.posted("boss", f"/admin/users/{office.boss.id}/departures")
    assert answer.status == 403
    answer = await office.posted("boss", f"/admin/users/{ella.id}/departures")
    assert (answer.status, answer.headers["Location"]) == (303, f"/admin/users/{ella.id}")
    gone = directory.user_by_id(office.house.portal, office.tenant.id, ella.id)
    assert (gone.left_at, gone.role) == (office.now, Role.USER)


async def test_the_page_tells_what_ends_before_it_does_and_the_way_back_after(
    office: Any, bert: User
) -> None:
    path = f"/admin/users/{office.anna.id}"
    office.stored(owner=office.anna.id)
    before = await office.opened("boss", path, language="en")
    for told in (
        "Does anna leave?",
        "1 recording stays for its term.",
        "The licence 7 years, 1000 minutes is free",
        "is free for somebody else.",
        "They sign in no more, at once.",
    ):
        assert told in before
    assert "Does boss leave?" not in await office.opened(
        "boss", f"/admin/users/{office.boss.id}", language="en"
    )
    assert (await office.posted("boss", f"{path}/departures")).status == 303
    after = await office.opened("boss", path, language="en")
    assert "anna left on 22 November 2026." in after
    assert f'action="{path}/returns"' in after
    for gone in (
        "Does anna leave?",
        "tab-credentials",
        f'action="{path}/profile"',
        f'action="{path}/numbers"',
    ):
        assert gone not in after
    assert "Has left" in await office.opened("boss", "/admin/users", language="en")
    assert office.anna.id not in await office.opened("boss", "/admin/licences")
    assert bert.id in await office.opened("boss", "/admin/licences")
