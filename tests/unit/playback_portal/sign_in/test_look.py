"""Pages on the way in look as an organisation's once somebody proved they are of it, and never before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from archive.catalogue import brandings
from archive.catalogue.brandings import Look
from archive.model import Role
from tests.drawn_logo import drawn_logo
from tests.unit.playback_portal.sign_in.conftest import DOMAIN, NOW
from tests.unit.playback_portal.sign_in.test_invitation import invited
from tests.unit.playback_portal.sign_in.test_organisation import (
    IdentityProvider,
    comes_back,
    led,
    proved,
    provider,
)

__all__ = ("provider",)

NAME = "Molen <script> & Zn"
STRANGERS = ("/sign-in", "/sign-in/forgotten", "/sign-in/organisation", "/invitation/x", "/help")


@pytest.fixture
def look(door: Any) -> Iterator[str]:
    """Return where the style sheet and the logo of the bakery are, which looks like a mill for the test."""
    tenant_id = door.tenant_id
    with door.house.portal.transaction(tenant_id) as connection:
        wanted = Look(tenant_id, "", NAME, "#0a4f8a")
        made = brandings.put_draft(connection, wanted, "user:boss", now=NOW, logo=drawn_logo())
        brandings.publish(connection, tenant_id, made.version)
    yield f"/static/branding/{tenant_id}/{made.version}/"
    with door.house.portal.transaction(tenant_id) as connection:
        brandings.reset(connection, tenant_id)


def has(page: str, look: str) -> bool:
    """Return whether a page has style sheet and logo of a look: both or none."""
    found = {f'href="{look}style.css"' in page, f'src="{look}logo.png"' in page}
    assert len(found) == 1
    assert "<script> & Zn" not in page
    return found.pop()


async def test_a_link_from_a_mail_shows_whose_it_is(browser: Any, door: Any, clock: Any, look: str) -> None:
    _, path = invited(door, clock)
    await browser.get(path)
    assert has(browser.page, look)
    assert "Molen &lt;script&gt; &amp; Zn" in browser.page
    await browser.post(path, {"password": "short", "again": "short"})
    assert has(browser.page, look)


async def test_who_gave_the_first_proof_sees_whose_second_step_it_is(
    browser: Any, door: Any, look: str
) -> None:
    user = door.person()
    door.give_authenticator(user)
    await browser.sign_in(door.login(user), "not the password")
    assert not has(browser.page, look)
    assert (await browser.sign_in(door.login(user))).headers["Location"] == "/sign-in/second-factor"
    await browser.get("/sign-in/second-factor")
    assert has(browser.page, look)


async def test_who_must_set_up_a_second_step_sees_whose_it_is(browser: Any, door: Any, look: str) -> None:
    user = door.person(Role.ADMINISTRATOR)
    await browser.sign_in(door.login(user))
    await browser.get("/sign-in/set-up")
    assert has(browser.page, look)


async def test_who_signs_in_again_sees_where_they_are(browser: Any, door: Any, look: str) -> None:
    door.let_in(browser, door.person())
    await browser.get("/sign-in?again=yes")
    assert has(browser.page, look)


async def test_the_way_to_the_own_sign_in_and_back_looks_as_the_organisation(
    browsers: Callable[[], Any], door: Any, provider: IdentityProvider, look: str
) -> None:
    browser = browsers()
    await led(browser)
    assert has(browser.page, look)
    provider.claims = {"sub": "1", "email": proved(door), "email_verified": False}
    answer = await comes_back(browsers(), provider)
    assert answer.status == 403
    assert has(await answer.text(), look)


async def test_pages_for_strangers_tell_of_no_organisation(browser: Any, door: Any, look: str) -> None:
    for path in STRANGERS:
        await browser.get(path)
        assert not has(browser.page, look)
        assert not re.search(r"/static/branding/", browser.page)
    for domain in (DOMAIN, f"somebody@{DOMAIN}", "nobody.example"):
        # Nobody of it has a sign-in of their own: the answer is that of an organisation there is not.
        await browser.post("/sign-in/organisation", {"organisation": domain}, token=False)
        assert not has(browser.page, look)
        await browser.post("/sign-in/forgotten", {"login": f"boss@{domain}"}, token=False)
        assert not has(browser.page, look)


async def test_a_session_that_is_over_or_made_up_shows_nothing(
    browser: Any, door: Any, clock: Any, look: str
) -> None:
    browser.cookie = f"{door.tenant_id}.{'A' * 43}"
    await browser.get("/sign-in")
    assert not has(browser.page, look)
