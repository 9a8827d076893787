"""What somebody changes of how they prove themselves: freshly signed in, and never below what they need."""

from __future__ import annotations

import asyncio
import html
import re
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyotp
import pytest

from archive.audit import AuditWriter
from archive.catalogue import invitations, passkeys, portal_sessions, second_factors
from archive.catalogue.identities import Account
from archive.catalogue.portal_sessions import SESSION_S_MAX
from archive.catalogue.second_factors import Factors
from archive.errors import CatalogueUnavailable
from archive.model import Role
from playback_portal.admission import FRESH_S_MAX
from playback_portal.pages.security import SECURITY_ROUTES, browser_name

PASSWORD = "correct horse battery"
NEW = "a new horse battery"
SEALED = re.compile(r'name="enrolment" value="([^"]+)"')
LETTERS = re.compile(r'<code class="mono">([A-Z2-7 ]+)</code>')


@pytest.fixture
async def anna(browser: Any, door: Any) -> Any:
    user = door.person()
    await browser.sign_in(door.login(user))
    await browser.get("/me/security")
    return user


async def with_app(browser: Any, clock: Any) -> None:
    """Set up an authenticator on the page of somebody who is in."""
    await browser.get("/me/security/authenticator")
    sealed, letters = SEALED.search(browser.page), LETTERS.search(browser.page)
    assert sealed is not None
    assert letters is not None
    code = pyotp.TOTP(letters[1].replace(" ", "")).at(clock.now())
    form = {"enrolment": html.unescape(sealed[1]), "code": code}
    assert (await browser.post("/me/security/authenticator", form)).status == 200
    await browser.get("/me/security")


async def test_a_new_password_ends_all_other_sessions_and_not_this_one(
    browser: Any, browsers: Callable[[], Any], door: Any, anna: Any
) -> None:
    other = browsers()
    await other.sign_in(door.login(anna))
    form = {"now": PASSWORD, "password": NEW, "again": NEW}
    before = browser.cookie
    assert (await browser.post("/me/security/password", form)).headers["Location"] == "/me/security"
    assert browser.cookie != before
    assert (await browser.get("/me/security")).status == 200
    assert (await other.get("/me")).status == 303
    assert (await other.sign_in(door.login(anna), PASSWORD)).status == 403
    assert (await other.sign_in(door.login(anna), NEW)).status == 303
    assert ("password.changed", "ok") in door.events(anna)


async def test_a_new_password_lengthens_no_session_and_is_no_fresh_sign_in(
    browser: Any, door: Any, clock: Any, anna: Any
) -> None:
    """Who knows the password and found the browser open would else stay in for as long as they like."""
    began = clock.now()
    clock.passes(FRESH_S_MAX - 60)
    form = {"now": PASSWORD, "password": NEW, "again": NEW}
    assert (await browser.post("/me/security/password", form)).status == 303
    (session,) = portal_sessions.of_user(door.house.portal, door.tenant_id, anna.id, now=clock.now())
    assert (session.opened_at, session.ends_at) == (began, began + timedelta(seconds=SESSION_S_MAX))
    clock.passes(60)
    await browser.get("/me/security")
    answer = await browser.post("/me/security/password", {**form, "now": NEW, "password": PASSWORD})
    assert answer.headers["Location"] == "/sign-in?again=yes&next=/me/security"


async def test_the_password_of_now_is_asked(browser: Any, anna: Any) -> None:
    form = {"now": "wrong", "password": NEW, "again": NEW}
    assert (await browser.post("/me/security/password", form)).status == 403
    short = {"now": PASSWORD, "password": "short", "again": "short"}
    assert (await browser.post("/me/security/password", short)).status == 400


async def test_who_signed_in_a_while_ago_signs_in_again_first(browser: Any, clock: Any, anna: Any) -> None:
    clock.passes(FRESH_S_MAX)
    form = {"now": PASSWORD, "password": NEW, "again": NEW}
    answer = await browser.post("/me/security/password", form)
    assert answer.headers["Location"] == "/sign-in?again=yes&next=/me/security"
    assert (await browser.get(answer.headers["Location"])).status == 200
    assert (await browser.get("/me/security/authenticator")).status == 303
    assert (await browser.post("/me/security/authenticator/removals")).status == 303


async def test_an_app_is_set_up_and_turned_off(browser: Any, door: Any, clock: Any, anna: Any) -> None:
    await with_app(browser, clock)
    assert "10 code" in browser.page
    answer = await browser.post("/me/security/recovery-codes")
    assert answer.status == 200
    assert len(set(re.findall(r"<li>([0-9A-Z-]{19})</li>", browser.page))) == 10
    await browser.get("/me/security")
    assert (await browser.post("/me/security/authenticator/removals")).status == 303
    assert {("totp.set", "ok"), ("totp.removed", "ok"), ("recovery-codes.made", "ok")} <= set(
        door.events(anna)
    )


async def test_who_must_have_a_second_factor_keeps_one(browser: Any, door: Any, clock: Any) -> None:
    ada = door.person(Role.ADMINISTRATOR)
    await browser.sign_in(door.login(ada))
    await browser.get("/sign-in/set-up")
    sealed, letters = SEALED.search(browser.page), LETTERS.search(browser.page)
    assert sealed is not None
    assert letters is not None
    code = pyotp.TOTP(letters[1].replace(" ", "")).at(clock.now())
    await browser.post("/sign-in/set-up", {"enrolment": html.unescape(sealed[1]), "code": code})
    await browser.get("/me/security")
    assert (await browser.post("/me/security/authenticator/removals")).status == 409
    assert ("totp.removed", "refused") in door.events(ada)


async def test_a_session_elsewhere_is_ended_by_name_and_nobody_elses_is(
    browser: Any, browsers: Callable[[], Any], door: Any, anna: Any
) -> None:
    other, stranger = browsers(), browsers()
    await other.sign_in(door.login(anna))
    await stranger.sign_in(door.login(door.person()))
    await stranger.get("/me/security")
    await browser.get("/me/security")
    (path,) = re.findall(r'action="(/me/security/sessions/[^"]+/ends)"', browser.page)
    assert (await stranger.post(path)).status == 404
    assert (await other.get("/me")).status == 200
    assert (await browser.post(path)).status == 303
    assert (await other.get("/me")).status == 303


async def test_what_is_not_there_can_not_be_removed(browser: Any, clock: Any, anna: Any) -> None:
    assert (await browser.post("/me/security/authenticator/removals")).status == 404
    assert (await browser.post("/me/security/recovery-codes")).status == 404
    path = "/me/security/passkeys/01a20297-4e3b-7904-abfe-8a55a7dc8b99/removals"
    assert (await browser.post(path)).status == 404


@pytest.mark.parametrize("route", SECURITY_ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_a_key_that_acts_as_a_person_changes_nothing_here(browser: Any, house: Any, route: Any) -> None:
    path = route.path.replace("{id}", "01a20297-4e3b-7904-abfe-8a55a7dc8b99")
    headers = {"Authorization": f"Bearer {house.keys['anna']}"}
    answer = await browser.client.request(route.method, path, headers=headers, allow_redirects=False)
    assert answer.status == 403


@pytest.mark.parametrize(
    ("agent", "named"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36",
            "Chrome, Linux",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/156.0.0.0 Safari/537.36 Edg/156.0", "Edge, Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19 like Mac OS X) Version/19.0 Safari/604.1", "Safari, iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:150.0) Firefox/150.0", "Firefox, macOS"),
        ("curl/8", ""),
        ("", ""),
    ],
)
def test_browsers_are_called_as_people_call_them(agent: str, named: str) -> None:
    assert browser_name(agent) == named


async def test_a_refusal_stands_in_the_log_as_one(browser: Any, door: Any, clock: Any, anna: Any) -> None:
    """Whether it is told on the page or leads elsewhere: no password was changed."""
    wrong = {"now": "not the password", "password": NEW, "again": NEW}
    assert (await browser.post("/me/security/password", wrong)).status == 403
    assert door.events(anna)[-1] == ("password.changed", "refused")
    different = {"now": PASSWORD, "password": NEW, "again": "another horse battery"}
    assert (await browser.post("/me/security/password", different)).status == 400
    assert door.events(anna)[-1] == ("password.changed", "refused")
    clock.passes(FRESH_S_MAX)
    answer = await browser.post("/me/security/password", {"now": PASSWORD, "password": NEW, "again": NEW})
    assert answer.headers["Location"] == "/sign-in?again=yes&next=/me/security"
    assert door.events(anna)[-1] == ("password.changed", "refused")
    assert ("password.changed", "ok") not in door.events(anna)


async def test_the_password_of_now_is_not_guessed_here_either(
    browser: Any, browsers: Callable[[], Any], door: Any, clock: Any, anna: Any
) -> None:
    wrong = {"now": "not the password", "password": NEW, "again": NEW}
    for _ in range(5):
        assert (await browser.post("/me/security/password", wrong)).status == 403
    right = {"now": PASSWORD, "password": NEW, "again": NEW}
    answer = await browser.post("/me/security/password", right)
    assert answer.status == 429
    assert answer.headers["Retry-After"]
    # Another browser of the same person waits too.
    other = browsers()
    await other.sign_in(door.login(anna))
    await other.get("/me/security")
    assert (await other.post("/me/security/password", right)).status == 429
    clock.passes(5)
    assert (await browser.post("/me/security/password", right)).headers["Location"] == "/me/security"


async def test_recovery_codes_go_with_the_last_second_step(
    browser: Any, door: Any, clock: Any, anna: Any
) -> None:
    await with_app(browser, clock)
    account = Account(door.tenant_id, anna.id)
    assert second_factors.of_account(door.house.portal, account).recovery_codes == 10
    assert (await browser.post("/me/security/authenticator/removals")).status == 303
    assert second_factors.of_account(door.house.portal, account) == Factors(False, 0, 0)


async def test_two_at_once_do_not_take_the_last_two_away(browser: Any, door: Any) -> None:
    """The first holds the row of the person until it is through; the second then sees what is left."""
    otto = door.person(Role.AUDITOR)
    account = Account(door.tenant_id, otto.id)
    door.give_authenticator(otto)
    with door.house.portal.transaction(door.tenant_id) as connection:
        passkeys.add(
            connection,
            account,
            credential_id=secrets.token_bytes(16),
            public_key=b"key",
            sign_count=0,
            name="",
            now=door.clock.now(),
        )
    (key,) = passkeys.of_account(door.house.portal, account)
    door.let_in(browser, otto)
    await browser.get("/me/security")
    with door.house.portal.transaction(door.tenant_id) as connection:
        assert second_factors.locked(connection, account).totp
        asked = asyncio.create_task(browser.post(f"/me/security/passkeys/{key.id}/removals"))
        await until(lambda: waits_for_a_lock(door.house.operator))
        second_factors.remove_totp(connection, account)
        await asyncio.sleep(0)
    assert (await asked).status == 409
    left = second_factors.of_account(door.house.portal, account)
    assert (left.totp, left.passkeys) == (False, 1)
    assert door.events(otto)[-1] == ("passkey.removed", "refused")


def waits_for_a_lock(catalogue: Any) -> bool:
    with catalogue.transaction() as connection:
        asked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return bool(connection.exec_driver_sql(asked).scalar())


async def until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(there):
            await asyncio.sleep(0.02)


async def test_a_change_whose_entry_can_not_be_written_is_not_made(
    browser: Any, door: Any, anna: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*given: object, **named: object) -> None:
        raise CatalogueUnavailable("PostgreSQL does not answer.")

    with monkeypatch.context() as broken:
        broken.setattr(AuditWriter, "append", away)
        form = {"now": PASSWORD, "password": NEW, "again": NEW}
        assert (await browser.post("/me/security/password", form)).status == 503
    assert (await browser.sign_in(door.login(anna), PASSWORD)).status == 303


async def test_links_that_were_not_used_end_with_the_password(browser: Any, door: Any, anna: Any) -> None:
    """A link in an old mail sets no password over the one somebody chose since."""
    account, now = Account(door.tenant_id, anna.id), door.clock.now()
    with door.house.portal.transaction(door.tenant_id) as connection:
        token = invitations.make(connection, account, invitations.Kind.RESET, now=now)
    assert invitations.find(door.house.portal, token, now=now) is not None
    form = {"now": PASSWORD, "password": NEW, "again": NEW}
    assert (await browser.post("/me/security/password", form)).status == 303
    assert invitations.find(door.house.portal, token, now=now) is None
