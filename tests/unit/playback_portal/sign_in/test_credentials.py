"""How administrators help others sign in: links to their address, lost second steps, sessions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from archive.catalogue import identities, second_factors
from archive.catalogue.identities import Account
from archive.model import Role, User
from archive.post import NoPost
from playback_portal.services import SERVICES


@pytest.fixture
def ada(browser: Any, door: Any) -> User:
    """An administrator who is in, in `browser`."""
    user: User = door.person(Role.ADMINISTRATOR)
    door.let_in(browser, user)
    return user


async def panel(browser: Any, user: User) -> str:
    await browser.get(f"/admin/users/{user.id}")
    return browser.page


async def test_who_is_new_is_invited_and_chooses_a_password(
    browser: Any, browsers: Callable[[], Any], door: Any, ada: User
) -> None:
    anna = door.person(password=None)
    assert "not set yet" in await panel(browser, anna) or "nog niet ingesteld" in browser.page
    answer = await browser.post(f"/admin/users/{anna.id}/invitations", {"email": "Anna@Mail.example"})
    assert (answer.status, answer.headers["Location"]) == (303, f"/admin/users/{anna.id}#credentials")
    letter = door.house.post.sent[-1]
    assert (letter.kind, letter.to) == ("invitation", "anna@mail.example")
    assert ("user.invited", "ok") in door.events(ada)
    own = browsers()
    form = {"password": "four words in a row", "again": "four words in a row"}
    answer = await own.post(re.sub(r"^https?://[^/]+", "", letter.fields["link"]), form, token=False)
    assert answer.status == 303
    assert (await own.get("/me")).status == 200
    # Whoever has a password gets a link to replace it, and it lives shorter.
    await panel(browser, anna)
    await browser.post(f"/admin/users/{anna.id}/invitations", {"email": "anna@mail.example"})
    assert door.house.post.sent[-1].kind == "reset"


@pytest.mark.parametrize("email", ["", "anna", "a@b@c", "anna@mail.example\r\nBcc: x@y.example", "x" * 300])
async def test_what_is_no_address_gets_no_link(browser: Any, door: Any, ada: User, email: str) -> None:
    anna = door.person(password=None)
    await panel(browser, anna)
    htmx = {"HX-Request": "true"}
    answer = await browser.post(f"/admin/users/{anna.id}/invitations", {"email": email}, **htmx)
    assert answer.status == 400
    assert 'role="alert"' in browser.page
    assert door.house.post.sent == []
    assert door.events(ada)[-1] == ("user.invited", "refused")


async def test_an_address_of_somebody_else_or_a_house_without_mail_is_told(
    browser: Any, door: Any, ada: User
) -> None:
    anna, _ = door.person(password=None), door.person(email="bert@mail.example")
    await panel(browser, anna)
    answer = await browser.post(f"/admin/users/{anna.id}/invitations", {"email": "bert@mail.example"})
    assert answer.status == 409
    services = browser.client.server.app[SERVICES]
    object.__setattr__(services, "post", NoPost())
    await panel(browser, anna)
    answer = await browser.post(f"/admin/users/{anna.id}/invitations", {"email": "anna@mail.example"})
    assert answer.status == 409
    # Nothing was written down: neither the address nor a link.
    found = identities.particulars(door.house.portal, Account(anna.tenant_id, anna.id))
    assert found is not None
    assert found.email is None


async def test_a_lost_second_step_is_taken_away_and_ends_every_session(
    browser: Any, browsers: Callable[[], Any], door: Any, ada: User
) -> None:
    otto = door.person(role=Role.AUDITOR)
    door.give_authenticator(otto)
    own = browsers()
    door.let_in(own, otto)
    assert (await own.get("/me")).status == 200
    await panel(browser, otto)
    answer = await browser.post(f"/admin/users/{otto.id}/second-factor/resets", {"typed": otto.login})
    assert answer.status == 303
    assert not second_factors.of_account(door.house.portal, Account(otto.tenant_id, otto.id)).any
    assert (await own.get("/me")).status == 303
    answer = await own.sign_in(door.login(otto))
    assert answer.headers["Location"] == "/sign-in/set-up"
    assert ("second-factor.reset", "ok") in door.events(ada)


async def test_somebody_is_signed_out_everywhere(
    browser: Any, browsers: Callable[[], Any], door: Any, ada: User
) -> None:
    anna = door.person()
    own = browsers()
    await own.sign_in(door.login(anna))
    await panel(browser, anna)
    assert (await browser.post(f"/admin/users/{anna.id}/sessions/ends")).status == 303
    assert (await own.get("/me")).status == 303
    assert ("sessions.ended", "ok") in door.events(ada)


@pytest.mark.parametrize("row", ["invitations", "second-factor/resets", "sessions/ends"])
async def test_nobody_helps_themselves_by_this_way(browser: Any, door: Any, ada: User, row: str) -> None:
    await panel(browser, ada)
    answer = await browser.post(f"/admin/users/{ada.id}/{row}", {"email": "ada@mail.example"})
    assert answer.status == 403
    assert door.house.post.sent == []
    assert door.events(ada)[-1][1] == "refused"


@pytest.mark.parametrize("row", ["invitations", "second-factor/resets", "sessions/ends"])
async def test_a_key_that_administers_helps_nobody_to_sign_in(browser: Any, door: Any, row: str) -> None:
    """Who finds such a key would else be anybody: by an address of their own, a link, and no second step."""
    otto = door.person(role=Role.AUDITOR)
    headers = {"Authorization": f"Bearer {door.house.keys['all']}"}
    form = {"email": "thief@mail.example"}
    answer = await browser.post(f"/admin/users/{otto.id}/{row}", form, token=False, **headers)
    assert answer.status == 403
    assert door.house.post.sent == []
