"""What administrators do, with no more presses than we promise: reference, section 3."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import FilePayload, Page, expect

from tests.browser.desk import Desk
from tests.browser.effort import Cost, Hands, Mouse
from tests.browser.house import (
    BEHEER,
    DOMAIN,
    HOSTILE,
    ILSE,
    JANSEN,
    MARK,
    NOOR,
    SALES,
    SANNE,
    SERVICE,
    staffed,
)

HandsOn = Callable[[Page], Hands]


def test_a_team_is_made_by_two_presses_and_its_name(desk: Desk, hands: HandsOn) -> None:
    """Teams, New team, the name and Enter; afterwards it is removed by typing its name."""
    page = desk.page(BEHEER)
    page.goto(f"{desk.house.url}/admin/users")
    way = hands(page)
    name = f"Nieuw team {type(way).__name__}"
    way.press(page.locator("nav a[href='/admin/teams']"))
    way.press(page.get_by_role("link", name="Nieuw team", exact=True))
    way.write(page.locator("[name=name]"), name, end="Enter")
    expect(page.locator(".picks a[aria-current=true]")).to_contain_text(name)
    way.within(Cost(presses=2, typed=1))
    way.press(page.locator("[data-opens=remove-team]"))
    way.write(page.locator("[data-typed]"), name, end="Enter")
    expect(page.locator(".picks")).not_to_contain_text(name)


def test_somebody_becomes_listener_by_a_name_and_a_press(desk: Desk, hands: HandsOn) -> None:
    """On the page of the team: type a name, press the role; the notice takes it back."""
    page = desk.page(BEHEER)
    page.goto(f"{desk.house.url}/admin/teams/{desk.house.teams[SALES]}")
    way = hands(page)
    way.write(page.locator("#add"), NOOR.login)
    way.press(page.locator("#candidates").get_by_role("button", name="noor als luisteraar"))
    row = page.locator("#members tr", has_text="noor")
    expect(row).to_contain_text("Luisteraar")
    way.within(Cost(presses=2, typed=1))
    way.press(page.locator("[data-toast] button"))
    expect(row).to_have_count(0)


def test_downloading_is_allowed_to_a_team_by_two_presses(desk: Desk, hands: HandsOn) -> None:
    """Rights, the switch; the notice takes it back."""
    page = desk.page(BEHEER)
    page.goto(f"{desk.house.url}/admin/users")
    way = hands(page)
    way.press(page.locator("nav a[href='/admin/rights']"))
    switch = page.get_by_role("switch", name=f"Downloaden voor team {SERVICE}")
    way.press(switch)
    expect(switch).to_have_attribute("aria-checked", "true")
    way.within(Cost(presses=2))
    way.press(page.locator("[data-toast] button"))
    expect(switch).to_have_attribute("aria-checked", "false")


def test_who_hears_somebody_is_one_press(desk: Desk, hands: HandsOn) -> None:
    """The tab Access of a person names everybody, and why."""
    page = desk.page(BEHEER)
    page.goto(f"{desk.house.url}/admin/users/{desk.house.ids[SANNE.login]}")
    way = hands(page)
    way.press(page.locator("#tab-access"))
    for name in ("mark", "ilse", "toezicht"):
        expect(page.locator("#access tbody tr", has_text=name).first).to_be_visible()
    way.within(Cost(presses=1))


def test_an_employee_leaves_by_two_presses_and_comes_back(desk: Desk, hands: HandsOn) -> None:
    """The button, and the one beneath what ends and what stays; their recordings are there still."""
    page = desk.page(BEHEER)
    page.goto(f"{desk.house.url}/admin/users/new")
    login = f"vertrekt.{'muis' if hands is Mouse else 'toetsen'}"
    page.fill("[name=login]", login)
    page.press("[name=login]", "Enter")
    expect(page.locator("h1")).to_have_text(login)
    way = hands(page)
    way.press(page.get_by_role("button", name="Gaat uit dienst"))
    expect(page.locator("#leaves")).to_contain_text("Inloggen kan meteen niet meer.")
    way.press(page.get_by_role("button", name="Nu uit dienst"))
    expect(page.locator("main")).to_contain_text(f"{login} is uit dienst sinds")
    way.within(Cost(presses=2))
    way.press(page.get_by_role("button", name="Komt terug"))
    expect(page.get_by_role("button", name="Gaat uit dienst")).to_be_visible()


def test_the_settings_are_tried_by_two_values(desk: Desk, hands: HandsOn) -> None:
    """Who calls and who is called; the page tells whether it is recorded, how long it is kept and who hears it."""
    page = desk.page(BEHEER)
    page.goto(f"{desk.house.url}/admin/what-if")
    way = hands(page)
    way.write(page.locator("[name=caller]"), JANSEN, end="Tab")
    way.write(page.locator("[name=callee]"), SANNE.login, end="Enter")
    answer = page.locator("#answer")
    expect(answer).to_contain_text("Dit gesprek zou worden opgenomen.")
    expect(answer).to_contain_text("ilse, mark, sanne, tests, toezicht")
    way.within(Cost(presses=0, typed=2))


def test_a_purpose_is_asked_and_told(desk: Desk, hands: HandsOn) -> None:
    """Where the organisation wants it, opening a colleague's call takes a reason, which its history shows."""
    admin = desk.page(BEHEER)
    admin.goto(f"{desk.house.url}/admin/policies")
    switch = admin.locator("#purpose-switch")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")
    try:
        # Asked once of each of them.
        page = desk.page(MARK if hands is Mouse else ILSE)
        page.goto(f"{desk.house.url}/recordings/{desk.house.recording_with(JANSEN)['id']}")
        way = hands(page)
        way.write(page.locator("[name=purpose]"), f"klacht {type(way).__name__}", end="Enter")
        expect(page.locator("#player")).to_be_visible()
        way.within(Cost(typed=1))
        way.press(page.locator("#tab-history"))
        expect(page.locator("#history")).to_contain_text(f"klacht {type(way).__name__}")
    finally:
        switch.click()
        expect(switch).to_have_attribute("aria-checked", "false")


def test_somebody_is_invited_by_an_address_and_a_press(desk: Desk, hands: HandsOn) -> None:
    """A new user is a name; on the tab of signing in their address is typed, and the link is on its way."""
    page = desk.page(BEHEER)
    page.goto(f"{desk.house.url}/admin/users")
    way = hands(page)
    login = f"gast.{type(way).__name__.lower()}"
    way.press(page.locator("a[href='/admin/users/new']"))
    way.write(page.locator("[name=login]"), login, end="Enter")
    expect(page.locator("h1")).to_have_text(login)
    way.press(page.locator("[role=tab][aria-controls=credentials]"))
    way.write(page.locator("#f-email"), f"{login}@lindekade.example", end="Enter")
    expect(page.locator("[data-toast]")).to_be_visible()
    way.within(Cost(presses=3, typed=2))


def test_fifty_people_get_a_licence_and_mode_by_four_presses(desk: Desk, hands: HandsOn) -> None:
    """The filter, all of them, the licence; what it does is shown with the button that does it."""
    way_name = "muis" if hands is Mouse else "toetsen"
    page = desk.page(staffed(desk.house, f"vijftig-{way_name}", 50))
    page.goto(f"{desk.house.url}/admin/licences")
    way = hands(page)
    way.press(page.locator("#licensed nav a", has_text="Zonder licentie"))
    expect(page.locator("#licensed tbody tr")).to_have_count(50)
    way.press(page.locator("#all"))
    way.choose(page.locator("#f-to"), "7 jaar, 3500 minuten")
    effect = page.locator("#effect")
    expect(effect).to_contain_text("Vanaf nu 7 jaar voor de gesprekken van 50 gebruikers.")
    expect(effect).to_contain_text("50 gebruikers gaan van Nooit naar Altijd.")
    way.press(effect.get_by_role("button", name="Wijzig 50 gebruikers"))
    expect(page.locator("[data-toast]")).to_contain_text("50 gebruikers zijn gewijzigd.")
    way.within(Cost(presses=4))
    expect(page.locator("#licensed tbody tr")).to_have_count(0)


def test_a_licence_is_changed_and_its_effect_seen_by_three_presses(desk: Desk, hands: HandsOn) -> None:
    """The person, the licence; the recordings that exist keep their term, and the first deletion is told."""
    page = desk.page(BEHEER)
    page.goto(f"{desk.house.url}/admin/licences")
    way = hands(page)
    row = page.locator("#licensed tr", has=page.locator(f"[value='{desk.house.ids[SANNE.login]}']"))
    try:
        way.press(row.locator("[name=id]"))
        way.choose(page.locator("#f-to"), "7 jaar, 1000 minuten")
        effect = page.locator("#effect")
        expect(effect).to_contain_text("bestaande opnames houden 365 dagen.")
        expect(effect).to_contain_text("Eerste verwijdering op")
        way.press(effect.get_by_role("button", name="Wijzig 1 gebruiker"))
        expect(row).to_contain_text("7 jaar, 1000 minuten")
        way.within(Cost(presses=3))
    finally:
        desk.house.says(None, "PATCH", f"/v1/users/{desk.house.ids[SANNE.login]}", licence="365d")


def test_a_number_is_excluded_by_two_presses_and_two_values(desk: Desk, hands: HandsOn) -> None:
    """Not recorded, the number, the reason and Enter; the notice of taking it off puts it back."""
    page = desk.page(BEHEER)
    page.goto(f"{desk.house.url}/admin/users")
    way = hands(page)
    way.press(page.locator("nav a[href='/admin/do-not-record']"))
    reason = f"bedrijfsarts {type(way).__name__}"
    way.write(page.locator("[name=numbers]"), f"01070003{len(reason)}")
    way.write(page.locator("[name=reason]"), reason, end="Enter")
    row = page.locator("#listed tr", has_text=reason)
    expect(row).to_contain_text("Iedereen")
    way.within(Cost(presses=3, typed=2))
    way.press(row.locator("button"))
    expect(row).to_have_count(0)
    way.press(page.locator("[data-toast] button"))
    expect(row).to_have_count(1)
    row.locator("button").click()
    expect(row).to_have_count(0)


def test_people_are_imported_by_four_presses_and_a_file(desk: Desk, hands: HandsOn) -> None:
    """Import, the file, Look at it, Import; every row is told before it is written and after."""
    page = desk.page(BEHEER)
    page.goto(f"{desk.house.url}/admin/users")
    way = hands(page)
    name = f"nieuw-{type(way).__name__}".lower()
    way.press(page.locator("a[href='/admin/users/import']"))
    chosen = page.locator("#file")
    with page.expect_file_chooser() as choosing:
        way.press(chosen)
    rows = (
        f"{name}@{DOMAIN};Goes",
        f"{name}@elders.example;Goes",
        *(f"x@{DOMAIN};{text}" for text in HOSTILE),
    )
    text = "\n".join(("login;site", *(each.replace('"', "").replace("\u2028", " ") for each in rows)))
    choosing.value.set_files(FilePayload(name="mensen.csv", mimeType="text/csv", buffer=text.encode()))
    way.press(page.get_by_role("button", name="Bekijken", exact=True))
    expect(page.locator("#faulty tr", has_text="elders.example")).to_contain_text("eindigt niet op")
    assert page.locator("script:not([src]), img[src='x'], [onerror]").count() == 0
    way.press(page.locator("main form[action$='/run'] button"))
    way.within(Cost(presses=4))
    page.wait_for_url(re.compile(r"/admin/users/import/[0-9a-f-]{36}$"))
    expect(page.locator("#others tr", has_text=name)).to_contain_text("nieuw")
    page.reload()
    expect(page.locator("#faulty tr", has_text="elders.example")).to_contain_text("eindigt niet op")
    with page.expect_download() as taking:
        page.get_by_role("link", name="Resultaten downloaden").click()
    table = taking.value.path().read_text("utf-8-sig")
    assert table.startswith("Regel;Inlognaam;Resultaat;Reden")
