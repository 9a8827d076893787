"""Signing in without a password: by the passkey of a device, and by way of one's organisation; and staying in."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from archive.catalogue import directory, passwords
from archive.catalogue.engine import Catalogue
from archive.model import Role, Tenant
from tests.behaviour.customer import operating
from tests.browser import axe, provider
from tests.browser.desk import NARROW, WIDE, Desk
from tests.browser.effort import Cost, Hands
from tests.browser.house import DAAN, PASSWORD, House

HandsOn = Callable[[Page], Hands]
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def firm(house: House) -> Tenant:
    """An organisation of its own for each test, so that nobody else's sign-in changes."""
    name = f"sleutel-{secrets.token_hex(4)}"
    with operating(house.service) as catalogue:
        return directory.add_tenant(catalogue, name, f"{name}.example", now=datetime.now(UTC))


def enter(catalogue: Catalogue, firm: Tenant, login: str, role: Role) -> str:
    """Add somebody with a password; return what they type."""
    directory.add_user(catalogue, firm.id, login, now=datetime.now(UTC), role=role)
    passwords.set_password(catalogue, firm.id, login, PASSWORD)
    return f"{login}@{firm.domain}"


def plug_in(page: Page) -> Callable[[bool], None]:
    """Give a browser a device; return what says whether a finger lies on it."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})

    def finger(there: bool) -> None:
        told = {"authenticatorId": made["authenticatorId"], "enabled": there}
        session.send("WebAuthn.setAutomaticPresenceSimulation", told)

    return finger


def test_who_adds_a_passkey_on_the_way_in_is_where_they_wanted_and_needs_no_password_again(
    desk: Desk, hands: HandsOn, house: House, firm: Tenant
) -> None:
    """One press is the whole sign-in; the device asks for the finger."""
    with operating(house.service) as catalogue:
        address = enter(catalogue, firm, "petra", Role.ADMINISTRATOR)
    page = desk.page()
    finger = plug_in(page)
    page.goto(f"{house.url}/sign-in?next=/help")
    page.fill("[name=login]", address)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/sign-in/set-up?next=/help")
    way = hands(page)
    way.press(page.get_by_role("button", name="Voeg een passkey toe"))
    expect(page.locator("h1")).to_have_text("Hulp")
    way.within(Cost(presses=1, typed=0))
    # The page of signing in offers passkeys by itself: a finger at once would be no press.
    finger(False)
    page.get_by_role("button", name="Log uit").click()
    page.wait_for_url("**/sign-in")
    page.goto(f"{house.url}/sign-in?next=/me/security")
    again = hands(page)
    again.press(page.get_by_role("button", name="Log in met passkey"))
    finger(True)
    page.wait_for_url("**/me/security")
    again.within(Cost(presses=1, typed=0))


def has_no_barrier_on_the_way_out(desk: Desk, house: House, firm: Tenant, provider_address: str) -> None:
    """Look at the page that leads to a provider, narrow and wide; the browser is kept from going on."""
    for width, theme, language in ((NARROW, "dark", "en"), (WIDE, "light", "nl")):
        page = desk.page(width=width, theme=theme, language=language)
        page.route(f"{provider_address}/**", lambda route: route.abort("aborted"))
        page.goto(f"{house.url}/sign-in/organisation")
        page.fill("[name=organisation]", firm.domain)
        page.press("[name=organisation]", "Enter")
        page.locator(f"a[href^='{provider_address}']").wait_for()
        verdict = axe.look(page)
        assert not verdict.violations, axe.told(verdict.violations)


def test_who_comes_by_their_organisation_types_one_name(
    desk: Desk, hands: HandsOn, house: House, firm: Tenant
) -> None:
    """The rest happens there; to change something here they prove themselves there anew."""
    with operating(house.service) as catalogue:
        address = enter(catalogue, firm, "olga", Role.USER)
    page = desk.page()
    with provider.opened(address) as there:
        given = ("--issuer", there.address, "--client-id", provider.NAME, "--logins-are-addresses")
        house.service.run("sign-in", "set", firm.domain, *given, typed="a secret between us\n")
        has_no_barrier_on_the_way_out(desk, house, firm, there.address)
        page.goto(f"{house.url}/sign-in?next=/help")
        way = hands(page)
        way.press(page.get_by_role("link", name="Via je organisatie"))
        way.write(page.locator("[name=organisation]"), firm.domain, end="Enter")
        expect(page.locator("h1")).to_have_text("Hulp")
        way.within(Cost(presses=2, typed=1))
        assert "prompt" not in there.asked[-1]
        page.goto(f"{house.url}/me/security")
        page.get_by_role("link", name=re.compile("opnieuw in", re.IGNORECASE)).first.click()
        page.get_by_role("link", name="Via je organisatie").click()
        page.fill("[name=organisation]", firm.domain)
        page.press("[name=organisation]", "Enter")
        page.wait_for_url("**/me/security")
        assert (there.asked[-1]["prompt"], there.asked[-1]["max_age"]) == ("login", "0")
        expect(page.get_by_role("link", name=re.compile("opnieuw in", re.IGNORECASE))).to_have_count(0)


def test_who_does_nothing_is_warned_and_stays_by_one_press(desk: Desk, hands: HandsOn) -> None:
    """The warning has the focus on the button that stays, and is gone when somebody is there (WCAG 2.2.1)."""
    page = desk.page(DAAN)
    page.clock.install()
    page.goto(f"{desk.house.url}/me")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method) if "/me/session" in request.url else None)

    def nearly_over(route: Any) -> None:
        if route.request.method == "GET":
            route.fulfill(json={"seconds": 119, "lasts": True})
        else:
            route.continue_()

    page.route("**/me/session", nearly_over)
    page.clock.fast_forward(28 * 60 * 1000 + 1000)
    warning = page.get_by_role("alertdialog")
    expect(warning).to_be_visible()
    stay = warning.get_by_role("button", name="Blijf ingelogd")
    expect(stay).to_be_focused()
    findings = axe.look(page).violations
    assert not findings, axe.told(findings)
    asked.clear()
    hands(page).press(stay)
    expect(warning).to_be_hidden()
    assert asked == ["POST"]


def test_who_is_signed_out_meanwhile_is_told_so(desk: Desk) -> None:
    """What was typed stays on the page, and the way back is there."""
    page = desk.page(DAAN)
    page.clock.install()
    page.goto(f"{desk.house.url}/me")
    page.route("**/me/session", lambda route: route.fulfill(json={"seconds": 0, "lasts": False}))
    page.clock.fast_forward(31 * 60 * 1000)
    warning = page.get_by_role("alertdialog")
    expect(warning.get_by_role("link", name="Log opnieuw in")).to_have_attribute("href", "/sign-in?next=/me")
    expect(warning.get_by_role("button", name="Blijf ingelogd")).to_be_hidden()
