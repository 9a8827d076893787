"""Codes of an authenticator, recovery codes, and who must have a second factor."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pyotp
import pytest

from archive import throttle
from archive.catalogue import second_factors
from archive.catalogue.identities import Account
from archive.model import Role

SEALED = re.compile(r'name="enrolment" value="([^"]+)"')
LETTERS = re.compile(r'<code class="mono">([A-Z2-7 ]+)</code>')
CODE = re.compile(r"<li>([0-9A-Z]{4}(?:-[0-9A-Z]{4}){3})</li>")


def code_of(secret: str, clock: Any, steps: int = 0) -> str:
    return str(pyotp.TOTP(secret).at(clock.now(), counter_offset=steps))


def offered(browser: Any) -> tuple[dict[str, str], str]:
    """Return what the form of a set-up page carries, and the secret it shows."""
    sealed, letters = SEALED.search(browser.page), LETTERS.search(browser.page)
    assert sealed is not None
    assert letters is not None
    return {"enrolment": html.unescape(sealed[1])}, letters[1].replace(" ", "")


@pytest.fixture
def enrolled(browser: Any, door: Any, clock: Any) -> Callable[..., Any]:
    """Return how somebody sets up an authenticator on the way in: the person, secret and recovery codes."""

    async def enrol(role: Role = Role.ADMINISTRATOR) -> tuple[Any, str, list[str]]:
        user = door.person(role)
        answer = await browser.sign_in(door.login(user), back="/me")
        assert answer.headers["Location"] == "/sign-in/set-up?next=/me"
        await browser.get(answer.headers["Location"])
        form, secret = offered(browser)
        answer = await browser.post(
            "/sign-in/set-up", {**form, "code": code_of(secret, clock), "next": "/me"}
        )
        assert answer.status == 200
        return user, secret, CODE.findall(browser.page)

    return enrol


async def test_who_must_have_a_second_factor_sets_it_up_and_is_in(
    browser: Any, door: Any, enrolled: Callable[..., Any]
) -> None:
    ada, secret, codes = await enrolled()
    assert len(codes) == second_factors.RECOVERY_CODES_COUNT
    assert 'href="/me"' in browser.page
    assert (await browser.get("/me")).status == 200
    assert [event for event, _ in door.events(ada)][:3] == ["sign-in.begun", "totp.set", "session.opened"]
    with door.house.portal.transaction(door.tenant_id) as connection:
        dump = connection.exec_driver_sql("SELECT sealed FROM totp_secrets").all()
    assert all(secret.encode() not in bytes(row[0]) for row in dump)


async def test_a_wrong_code_sets_nothing_up(browser: Any, door: Any, clock: Any) -> None:
    auditor = door.person(Role.AUDITOR)
    await browser.sign_in(door.login(auditor))
    await browser.get("/sign-in/set-up")
    form, secret = offered(browser)
    assert (await browser.post("/sign-in/set-up", {**form, "code": "000000"})).status == 403
    clock.passes(16 * 60)
    assert (await browser.post("/sign-in/set-up", {**form, "code": code_of(secret, clock)})).status == 303
    assert (await browser.get("/me")).status == 303


async def test_the_secret_of_one_person_sets_up_nothing_for_another(
    browsers: Callable[[], Any], door: Any, clock: Any
) -> None:
    mine, theirs = browsers(), browsers()
    for each in (mine, theirs):
        await each.sign_in(door.login(door.person(Role.AUDITOR)))
        await each.get("/sign-in/set-up")
    form, secret = offered(theirs)
    assert (await mine.post("/sign-in/set-up", {**form, "code": code_of(secret, clock)})).status == 403


async def test_a_code_is_asked_at_the_next_sign_in_and_counts_once(
    browser: Any, browsers: Callable[[], Any], door: Any, clock: Any, enrolled: Callable[..., Any]
) -> None:
    ada, secret, _ = await enrolled()
    clock.passes(60)
    code = code_of(secret, clock)
    for each, expected in ((browsers(), 303), (browsers(), 403)):
        answer = await each.sign_in(door.login(ada), back="/me")
        assert answer.headers["Location"] == "/sign-in/second-factor?next=/me"
        before = each.cookie
        assert (await each.get("/me")).status == 303
        await each.get("/sign-in/second-factor")
        answer = await each.post("/sign-in/second-factor", {"code": code, "next": "/me"})
        assert answer.status == expected
        if expected == 303:
            assert answer.headers["Location"] == "/me"
            assert each.cookie != before
            assert (await each.get("/me")).status == 200
    assert door.events(ada)[-1] == ("sign-in.refused", "refused")


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_half_a_minute_off_and_no_more(clock: Any, steps: int, right: bool) -> None:
    secret = second_factors.new_secret()
    found = second_factors.step_of_code(secret, code_of(secret, clock, steps), clock.now())
    assert (found is not None) == right


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "12345\0"])
def test_what_is_no_code_is_not_looked_at(clock: Any, code: str) -> None:
    assert second_factors.step_of_code(second_factors.new_secret(), code, clock.now()) is None


async def test_a_recovery_code_lets_in_once_however_it_is_typed(
    browsers: Callable[[], Any], door: Any, enrolled: Callable[..., Any]
) -> None:
    ada, _, codes = await enrolled()
    typed = codes[0].lower().replace("-", " ").replace("0", "o")
    for expected in (303, 403):
        each = browsers()
        await each.sign_in(door.login(ada))
        await each.get("/sign-in/second-factor")
        assert (await each.post("/sign-in/second-factor", {"code": typed})).status == expected
    factors = second_factors.of_account(door.house.portal, Account(door.tenant_id, ada.id))
    assert factors.recovery_codes == second_factors.RECOVERY_CODES_COUNT - 1


async def test_guessing_codes_makes_wait_in_every_browser(
    browsers: Callable[[], Any], door: Any, clock: Any, enrolled: Callable[..., Any]
) -> None:
    ada, secret, _ = await enrolled()
    clock.passes(60)
    for _ in range(throttle.SECOND_FACTOR.failures_max):
        each = browsers()
        await each.sign_in(door.login(ada))
        await each.get("/sign-in/second-factor")
        assert (await each.post("/sign-in/second-factor", {"code": "000000"})).status == 403
    answer = await each.post("/sign-in/second-factor", {"code": code_of(secret, clock)})
    assert answer.status == 429
    assert answer.headers["Retry-After"]
    clock.passes(throttle.SECOND_FACTOR.first_s)
    assert (await each.post("/sign-in/second-factor", {"code": code_of(secret, clock)})).status == 303


async def test_the_second_step_needs_the_token_of_the_first(browser: Any, door: Any, enrolled: Any) -> None:
    ada, _, _ = await enrolled()
    await browser.sign_in(door.login(ada))
    answer = await browser.post("/sign-in/second-factor", {"code": "1"}, token=False)
    assert answer.status == 403
    assert door.events(ada)[-1] == ("sign-in.begun", "ok")


async def test_a_factor_set_up_elsewhere_ends_a_session_that_waits_to_do_the_same(
    browser: Any, browsers: Callable[[], Any], door: Any, clock: Any
) -> None:
    ada = door.person(Role.ADMINISTRATOR)
    thief = browsers()
    await thief.sign_in(door.login(ada))
    await thief.get("/sign-in/set-up")
    stolen, secret = offered(thief)
    await browser.sign_in(door.login(ada))
    await browser.get("/sign-in/set-up")
    form, own = offered(browser)
    assert (await browser.post("/sign-in/set-up", {**form, "code": code_of(own, clock)})).status == 200
    answer = await thief.post("/sign-in/set-up", {**stolen, "code": code_of(secret, clock)})
    assert answer.headers["Location"] == "/sign-in"


async def test_a_reset_by_the_operator_ends_sessions_and_asks_to_set_up_anew(
    browser: Any, door: Any, enrolled: Callable[..., Any]
) -> None:
    ada, _, _ = await enrolled()
    with door.house.operator.transaction(door.tenant_id) as connection:
        second_factors.reset(connection, Account(door.tenant_id, ada.id))
    assert (await browser.get("/me")).status == 303
    assert (await browser.sign_in(door.login(ada))).headers["Location"] == "/sign-in/set-up"
