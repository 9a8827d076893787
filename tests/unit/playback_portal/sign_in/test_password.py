"""Signing in by a password: one answer for every mistake, a session for who is right, and waits that end."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import select, update

from archive import throttle
from archive.catalogue import accounts, passwords
from archive.catalogue.tables import sign_in_attempts, users
from archive.model import Role
from playback_portal.app import create_app
from playback_portal.exposure import Exposure

PASSWORD = "correct horse battery"


async def test_the_right_password_opens_a_session_and_leads_to_where_somebody_was_going(
    browser: Any, door: Any
) -> None:
    anna = door.person()
    answer = await browser.sign_in(door.login(anna), back="/me")
    assert (answer.status, answer.headers["Location"]) == (303, "/me")
    assert (await browser.get("/me")).status == 200
    assert anna.login in browser.page
    assert door.events(anna)[0] == ("session.opened", "ok")


async def test_the_cookie_is_for_this_site_and_no_script(browser: Any, door: Any) -> None:
    answer = await browser.sign_in(door.login(door.person()))
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("ew_session=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert "Max-Age" not in cookie


async def test_people_sign_in_by_a_proved_address_in_any_case(browser: Any, door: Any) -> None:
    door.person(email="anna.proved@mail.example")
    assert (await browser.sign_in(" Anna.Proved@mail.Example ")).status == 303


@pytest.mark.parametrize(
    "login", ["nobody@bakery.example", "nobody@nowhere.example", "anna", "", "a\0b@c", "@"]
)
async def test_an_unknown_name_is_answered_as_a_wrong_password_is(
    browsers: Callable[[], Any], door: Any, login: str
) -> None:
    known, stranger = browsers(), browsers()
    anna = door.person()
    wrong = await known.sign_in(door.login(anna), "wrong horse battery")
    unknown = await stranger.sign_in(login, "wrong horse battery")
    assert wrong.status == unknown.status == 403
    assert "Set-Cookie" not in wrong.headers
    assert "Set-Cookie" not in unknown.headers
    told = [re.search(r'id="wrong">.*?</div></div>', each.page, re.DOTALL) for each in (known, stranger)]
    assert told[0] is not None
    assert told[1] is not None
    assert told[0][0] == told[1][0]
    assert door.events(anna) == [("sign-in.refused", "refused")]


async def test_a_stranger_costs_as_many_hashes_as_anybody(
    browser: Any, door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = []
    real = passwords._HASHER

    class Counting:
        def verify(self, password_hash: str, password: str) -> bool:
            verified.append(password_hash)
            return real.verify(password_hash, password)

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    for login in (door.login(door.person(password=None)), "nobody@bakery.example", "x@nowhere.example", ""):
        assert (await browser.sign_in(login, "wrong")).status == 403
    assert len(verified) == 4


async def test_each_sign_in_has_a_token_of_its_own_and_ends_the_one_before(
    browsers: Callable[[], Any], door: Any
) -> None:
    browser, thief = browsers(), browsers()
    anna = door.person()
    await browser.sign_in(door.login(anna))
    first = browser.cookie
    await browser.sign_in(door.login(anna))
    assert browser.cookie != first
    thief.cookie = first
    assert (await thief.get("/me")).status == 303
    assert (await browser.get("/me")).status == 200


async def test_a_token_somebody_planted_is_worth_nothing_after_signing_in(browser: Any, door: Any) -> None:
    browser.cookie = planted = f"{door.tenant_id}.{'A' * 43}"
    await browser.sign_in(door.login(door.person()))
    assert browser.cookie != planted


async def test_a_form_of_another_site_signs_nobody_in(browser: Any, door: Any) -> None:
    form = {"login": door.login(door.person()), "password": PASSWORD}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert (await browser.post("/sign-in", form, **headers)).status == 403
    answer = await browser.client.post(
        "/sign-in", data=form, headers={"Origin": "https://evil.example"}, allow_redirects=False
    )
    assert answer.status == 403
    assert browser.cookie == ""


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", ""]
)
async def test_nobody_is_led_to_another_site(browser: Any, door: Any, back: str) -> None:
    answer = await browser.sign_in(door.login(door.person()), back=back)
    assert answer.headers["Location"] == "/"


async def test_failures_make_the_next_attempt_wait_and_the_right_password_too(
    browser: Any, door: Any, clock: Any
) -> None:
    login = door.login(door.person())
    for _ in range(throttle.ACCOUNT_HERE.failures_max):
        assert (await browser.sign_in(login, "wrong")).status == 403
    answer = await browser.sign_in(login)
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) >= throttle.ACCOUNT_HERE.first_s
    assert "Location" not in answer.headers
    clock.passes(throttle.ACCOUNT_HERE.first_s)
    assert (await browser.sign_in(login)).status == 303


async def test_an_account_that_does_not_exist_makes_wait_just_the_same(browser: Any, door: Any) -> None:
    statuses = {}
    for login in (door.login(door.person()), "nobody@bakery.example"):
        statuses[login] = [(await browser.sign_in(login, "wrong")).status for _ in range(8)]
    assert len({tuple(each) for each in statuses.values()}) == 1


async def test_waits_outlive_a_restart_and_hold_for_every_portal(
    browser: Any, browsers: Callable[[], Any], door: Any
) -> None:
    login = door.login(door.person())
    for _ in range(throttle.ACCOUNT_HERE.failures_max):
        await browser.sign_in(login, "wrong")
    with door.house.portal.transaction() as connection:
        kept = connection.execute(select(sign_in_attempts.c.subject)).scalars().all()
    assert all(len(each) == 64 and door.house.tenant_id not in each for each in kept)
    assert (await browsers().sign_in(login)).status == 429


async def test_a_session_ends_when_nobody_is_there_and_after_a_working_day(
    browser: Any, door: Any, clock: Any
) -> None:
    from archive.catalogue.portal_sessions import IDLE_S, SESSION_S_MAX

    await browser.sign_in(door.login(door.person()))
    clock.passes(IDLE_S - 1)
    assert (await browser.get("/me")).status == 200
    clock.passes(IDLE_S)
    assert (await browser.get("/me")).headers["Location"] == "/sign-in?next=/me"
    await browser.sign_in(door.login(door.person()))
    for _ in range(SESSION_S_MAX // (IDLE_S - 60)):
        assert (await browser.get("/me")).status == 200
        clock.passes(IDLE_S - 60)
    assert (await browser.get("/me")).status == 200
    clock.passes(IDLE_S - 60)
    assert (await browser.get("/me")).status == 303


async def test_a_new_password_or_role_ends_every_session(browsers: Callable[[], Any], door: Any) -> None:
    anna = door.person()
    operator, tenant_id = door.house.operator, door.tenant_id

    async def signed_in() -> Any:
        browser = browsers()
        await browser.sign_in(door.login(anna))
        assert (await browser.get("/me")).status == 200
        return browser

    browser = await signed_in()
    passwords.set_password(operator, tenant_id, anna.login, PASSWORD)
    assert (await browser.get("/me")).status == 303
    browser = await signed_in()
    with operator.transaction(tenant_id) as connection:
        connection.execute(update(users).where(users.c.id == anna.id).values(role="auditor"))
    assert (await browser.get("/me")).status == 303


async def test_signing_out_ends_this_session_and_everywhere_all(
    browsers: Callable[[], Any], door: Any
) -> None:
    anna = door.person()
    here, there = browsers(), browsers()
    for each in (here, there):
        await each.sign_in(door.login(anna))
        await each.get("/me")
    assert (await here.post("/sign-out", token=False)).status == 403
    stolen = here.cookie
    answer = await here.post("/sign-out")
    assert answer.headers["Location"] == "/sign-in"
    assert "cache" in answer.headers["Clear-Site-Data"]
    here.cookie = stolen
    assert (await here.get("/me")).status == 303
    assert (await there.get("/me")).status == 200
    await here.sign_in(door.login(anna))
    await here.get("/me")
    await here.post("/sign-out", {"everywhere": "yes"})
    assert (await there.get("/me")).status == 303
    assert door.events(anna)[-1] == ("sessions.ended", "ok")


async def test_a_change_asked_with_a_cookie_needs_the_token_of_its_session(browser: Any, door: Any) -> None:
    anna = door.person()
    await browser.sign_in(door.login(anna))
    await browser.get("/me")
    token = browser.token
    path = "/v1/me/keep-next"

    async def status(**headers: str) -> int:
        answer = await browser.client.delete(path, headers=headers)
        return int(answer.status)

    assert await status() == 403
    assert await status(**{"X-CSRF-Token": token[:-1] + ("A" if token[-1] != "A" else "B")}) == 403
    assert await status(**{"X-CSRF-Token": token, "Sec-Fetch-Site": "cross-site"}) == 403
    assert await status(**{"X-CSRF-Token": token}) == 204
    await browser.sign_in(door.login(anna))
    assert await status(**{"X-CSRF-Token": token}) == 403


async def test_a_key_stands_by_itself_and_a_wrong_one_is_not_saved_by_a_cookie(
    browser: Any, door: Any
) -> None:
    await browser.sign_in(door.login(door.person()))
    answer = await browser.client.get("/v1/me/recording-settings", headers={"Authorization": "Bearer ew_x"})
    assert answer.status == 401
    assert (await browser.client.get("/v1/me/recording-settings")).status == 200


async def test_who_must_have_a_second_factor_and_has_none_reaches_nothing(browser: Any, door: Any) -> None:
    for role in (Role.ADMINISTRATOR, Role.AUDITOR):
        user = door.person(role)
        answer = await browser.sign_in(door.login(user))
        assert answer.headers["Location"] == "/sign-in/set-up"
        assert (await browser.get("/me")).headers["Location"].startswith("/sign-in")
        assert (await browser.client.get("/v1/recordings")).status == 401
        assert (await browser.get("/sign-in")).headers["Location"] == "/sign-in/set-up"


def test_hashes_of_the_past_are_made_anew_and_end_no_session(
    door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from argon2 import PasswordHasher

    from archive.catalogue.identities import Account

    anna = door.person(password=None)
    account = Account(door.tenant_id, anna.id)
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=1024))
    passwords.set_password(door.house.operator, door.tenant_id, anna.login, PASSWORD)
    monkeypatch.undo()
    assert passwords.verify(door.house.portal, account, PASSWORD)
    assert passwords.verify(door.house.portal, account, PASSWORD)
    assert not passwords.verify(door.house.portal, account, "wrong")
    assert accounts.scope_of_user(door.house.portal, door.tenant_id, anna.id).user_id == anna.id


async def test_under_tls_the_cookie_is_ours_alone_and_the_other_name_counts_for_nothing(
    house: Any, door: Any, clock: Any
) -> None:
    services = house.services(clock=clock, exposure=Exposure(proxy=ip_network("127.0.0.0/8")))
    async with TestClient(TestServer(create_app(services))) as client:
        form = {"login": door.login(door.person()), "password": PASSWORD}
        answer = await client.post("/sign-in", data=form, allow_redirects=False)
        name, _, rest = answer.headers["Set-Cookie"].partition("=")
        assert name == "__Host-ew_session"
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(rest.split("; "))
        token = rest.partition(";")[0]
        for cookie, status in (("ew_session", 303), ("__Host-ew_session", 200)):
            sent = {"Cookie": f"{cookie}={token}"}
            assert (await client.get("/me", headers=sent, allow_redirects=False)).status == status


async def test_this_machine_by_its_number_is_led_to_its_name(browsers: Callable[[], Any]) -> None:
    """Passkeys are bound to the name; nobody signs in where theirs can't work."""
    browser = browsers()
    there = browser.origin.replace("localhost", "127.0.0.1")
    answer = await browser.client.session.get(f"{there}/sign-in?next=/me", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, f"{browser.origin}/sign-in?next=/me")
