"""How administrators help others sign in: links to their address, lost second steps, sessions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from archive.audit import AuditWriter
from archive.catalogue import audit_entries, identities, second_factors
from archive.catalogue.identities import Account
from archive.errors import CatalogueUnavailable
from archive.model import Role, User, new_id
from archive.post import NoPost
from playback_portal.admission import FRESH_S_MAX
from playback_portal.pages import credentials
from playback_portal.services import SERVICES
from retention import letters


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


CHANGES = [
    ("invitations", {"email": "somebody-else@mail.example"}, "user.invited"),
    ("second-factor/resets", {}, "second-factor.reset"),
    ("sessions/ends", {}, "sessions.ended"),
    ("profile", {"role": "auditor"}, "user.changed"),
    ("rights", {"right": "download", "on": "true"}, "user.rights-changed"),
]


@pytest.mark.parametrize(("row", "form", "event"), CHANGES, ids=[row for row, _, _ in CHANGES])
async def test_who_signed_in_long_ago_signs_in_again_before_changing_others(
    browser: Any, door: Any, clock: Any, ada: User, row: str, form: dict[str, str], event: str
) -> None:
    """A browser left open makes nobody an auditor, and gives nobody away."""
    anna = door.person()
    door.give_authenticator(anna)
    await panel(browser, anna)
    clock.passes(FRESH_S_MAX)
    page = f"/admin/users/{anna.id}"
    referer = {"Referer": f"{browser.origin}{page}"}
    answer = await browser.post(f"{page}/{row}", form, **referer)
    assert (answer.status, answer.headers["Location"]) == (303, f"/sign-in?again=yes&next={page}")
    answer = await browser.post(f"{page}/{row}", form, **{"HX-Request": "true", **referer})
    assert answer.headers["HX-Redirect"] == f"/sign-in?again=yes&next={page}"
    assert door.events(ada)[-2:] == [(event, "refused")] * 2
    assert "again=yes" in await panel(browser, anna)
    found = credentials.credentials_of(door.house.portal, Account(anna.tenant_id, anna.id), clock.now())
    assert (found.factors.totp, found.person.role, found.person.email) == (True, Role.USER, None)
    assert door.house.post.sent == []
    door.let_in(browser, ada, clock.now())
    await panel(browser, anna)
    assert (await browser.post(f"{page}/{row}", form, **referer)).status == 303
    # A role of power is only proposed: it takes a second person.
    done = ("proposal.made" if row == "profile" else event, "ok")
    assert done in door.events(ada)[-2:]


async def test_the_api_asks_a_browser_for_a_fresh_sign_in_too(
    browser: Any, door: Any, clock: Any, ada: User
) -> None:
    anna = door.person()
    await panel(browser, anna)
    clock.passes(FRESH_S_MAX)
    sent = {"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": browser.token}
    answer = await browser.client.patch(f"/v1/users/{anna.id}", json={"role": "auditor"}, headers=sent)
    assert answer.status == 403
    assert (await answer.json(content_type=None))["type"] == "urn:earwitness:problem:sign-in-again"
    assert door.events(ada)[-1] == ("user.changed", "refused")


async def test_the_address_before_is_told_that_it_is_so_no_longer(browser: Any, door: Any, ada: User) -> None:
    anna = door.person(email="old@mail.example")
    await panel(browser, anna)
    await browser.post(f"/admin/users/{anna.id}/invitations", {"email": "new@mail.example"})
    link, told = door.house.post.sent[-2:]
    assert (link.kind, link.to) == ("reset", "new@mail.example")
    assert (told.kind, told.to) == ("address-changed", "old@mail.example")
    said = letters.filled(told.kind, told.language, told.fields)
    assert door.login(ada) in said.text
    assert "new@mail.example" not in said.text
    assert "link" not in told.fields
    entry = audit_entries.of_object(door.house.portal, door.tenant_id, f"user:{anna.id}")[-1]
    assert (entry.action, entry.body["changed"]) == ("user.invited", {"email": "changed"})
    assert "mail.example" not in str(entry.body)
    # Sent once more to the same address: nothing changed, and nobody is told.
    await panel(browser, anna)
    await browser.post(f"/admin/users/{anna.id}/invitations", {"email": "new@mail.example"})
    assert [each.kind for each in door.house.post.sent[-2:]] == ["address-changed", "reset"]
    entry = audit_entries.of_object(door.house.portal, door.tenant_id, f"user:{anna.id}")[-1]
    assert "changed" not in entry.body


@pytest.mark.parametrize(
    ("row", "kind"), [("invitations", "helped-by-link"), ("second-factor/resets", "helped-by-reset")]
)
@pytest.mark.parametrize("role", [Role.USER, Role.AUDITOR, Role.ADMINISTRATOR])
async def test_everybody_who_decides_is_told_when_one_of_them_is_helped(
    browser: Any, door: Any, ada: User, row: str, kind: str, role: Role
) -> None:
    """So that nobody becomes an auditor quietly: neither to hear nor to be a second person."""
    helped, address = addressed(door, role)
    told = [addressed(door, each)[1] for each in (Role.ADMINISTRATOR, Role.AUDITOR)]
    _, of_no_power = addressed(door, Role.USER)
    unproved = door.person(Role.ADMINISTRATOR)
    with door.house.operator.transaction(door.tenant_id) as connection:
        identities.set_email(
            connection, Account(door.tenant_id, unproved.id), f"{unproved.login}@other.example"
        )
    await panel(browser, helped)
    assert (await browser.post(f"/admin/users/{helped.id}/{row}", {"email": address})).status == 303
    letters_sent = [each for each in door.house.post.sent if each.kind == kind]
    reached = {each.to for each in letters_sent}
    assert set(told) <= reached if role is not Role.USER else not reached
    assert not {address, of_no_power, f"{unproved.login}@other.example"} & reached
    for each in letters_sent:
        said = letters.filled(each.kind, each.language, each.fields)
        assert {door.login(ada), door.login(helped)} <= set(said.text.split())


def addressed(door: Any, role: Role) -> tuple[User, str]:
    """Return somebody new, and the address they proved."""
    address = f"{new_id(door.clock.now())}@mail.example"
    return door.person(role, email=address), address


async def test_whose_second_step_is_taken_away_is_told(browser: Any, door: Any, ada: User) -> None:
    anna, address = addressed(door, Role.USER)
    await panel(browser, anna)
    await browser.post(f"/admin/users/{anna.id}/second-factor/resets")
    (told,) = door.house.post.sent
    assert (told.kind, told.to) == ("second-step-reset", address)
    assert door.login(ada) in letters.filled(told.kind, told.language, told.fields).text


async def test_where_no_mail_goes_out_a_lost_second_step_is_taken_away_all_the_same(
    browser: Any, door: Any, ada: User
) -> None:
    otto, _ = addressed(door, Role.AUDITOR)
    door.give_authenticator(otto)
    object.__setattr__(browser.client.server.app[SERVICES], "post", NoPost())
    await panel(browser, otto)
    assert (await browser.post(f"/admin/users/{otto.id}/second-factor/resets")).status == 303
    assert not second_factors.of_account(door.house.portal, Account(otto.tenant_id, otto.id)).any


async def test_a_link_that_waits_for_the_jobs_is_told_as_sent_all_the_same(
    browser: Any, door: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written down already: a worker finds it, and nobody needs to send another."""

    def away(*given: object, **named: object) -> None:
        raise CatalogueUnavailable("PostgreSQL does not answer.")

    monkeypatch.setattr(door.house.post, "hand_over", away)
    anna = door.person(email="waits@mail.example")
    await panel(browser, anna)
    answer = await browser.post(f"/admin/users/{anna.id}/invitations", {"email": "waits-too@mail.example"})
    assert answer.status == 303
    assert ("user.invited", "ok") in door.events(ada)


async def test_a_change_whose_entry_can_not_be_written_is_not_made(
    browser: Any, door: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*given: object, **named: object) -> None:
        raise CatalogueUnavailable("PostgreSQL does not answer.")

    otto = door.person(Role.AUDITOR)
    door.give_authenticator(otto)
    await panel(browser, otto)
    token = browser.token
    monkeypatch.setattr(AuditWriter, "append", away)
    for row, form, _ in CHANGES:
        sent = {**form, "csrf": token, "role": "user"}
        assert (await browser.post(f"/admin/users/{otto.id}/{row}", sent)).status == 503
    account = Account(otto.tenant_id, otto.id)
    found = credentials.credentials_of(door.house.portal, account, door.clock.now())
    assert (found.factors.totp, found.person.role, found.person.email) == (True, Role.AUDITOR, None)
    assert door.house.post.sent == []
