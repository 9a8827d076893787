"""What takes two people, by two people: one changes a setting, the other one sees it and approves."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser import axe
from tests.browser.desk import Desk
from tests.browser.house import BEHEER, TOEZICHT

FIELD = "[name=exports_alone_max]"


def test_letting_more_out_is_proposed_by_one_and_done_by_another(desk: Desk) -> None:
    """Settings, a higher number; nothing changed for who looks, until the auditor approves it."""
    settings = f"{desk.house.url}/admin/policies"
    boss = desk.page(BEHEER)
    boss.goto(settings)
    expect(boss.locator(FIELD)).to_have_value("100")
    boss.fill(FIELD, "250")
    boss.locator("#keeping button[type=submit]").click()
    mine = boss.locator("section", has=boss.get_by_role("heading", name="Door jou voorgesteld"))
    expect(mine.locator("li", has_text="250")).to_contain_text("Wacht op een tweede persoon")
    expect(mine.locator("[data-opens^=approve-]")).to_have_count(0)
    boss.goto(settings)
    expect(boss.locator(FIELD)).to_have_value("100")

    auditor = desk.page(TOEZICHT)
    auditor.goto(f"{desk.house.url}/recordings")
    auditor.locator("nav a[href='/approvals']").click()
    waiting = auditor.locator("li", has_text="250")
    expect(waiting).to_contain_text(BEHEER.login)
    waiting.locator("[data-opens^=approve-]").click()
    dialog = auditor.locator("dialog[open]")
    expect(dialog).to_contain_text("wat er is houdt zijn termijn")
    assert not axe.look(auditor).violations
    dialog.locator("[data-sure]").click()
    expect(auditor.locator("tr", has_text="250")).to_contain_text("Goedgekeurd")
    boss.goto(settings)
    expect(boss.locator(FIELD)).to_have_value("250")
    # Less is for one person alone: it is as it was before.
    boss.fill(FIELD, "100")
    boss.locator("#keeping button[type=submit]").click()
    boss.wait_for_url(settings)
    expect(boss.locator(FIELD)).to_have_value("100")
