"""What administrators decide for all of their people, as scenes fill it in."""

from __future__ import annotations

from playwright.sync_api import FilePayload, Page

from tests.drawn_logo import drawn_logo


def drafted(page: Page) -> None:
    """Fill in a look and go to its page."""
    page.fill("[name=name]", "Molen & Zonen")
    page.fill("[name=accent_light]", "#0a4f8a")
    page.fill("[name=accent_dark]", "#8abcf5")
    picture = FilePayload(name="molen.png", mimeType="image/png", buffer=drawn_logo())
    page.set_input_files("[name=logo]", files=picture)
    page.locator("main button.primary[type=submit]").click()
    page.locator("[name=version]").wait_for(state="attached")


def draft_taken_up_again(page: Page) -> None:
    """Fill in a look, go to its page and back to the fields, where its logo stands."""
    drafted(page)
    page.locator("main a.crumb").click()
    page.locator("[name=no_logo]").wait_for()


def without_purpose(page: Page) -> None:
    """Save the grounds without saying how people are told."""
    page.locator("[name=told_by]").first.uncheck()
    for each in page.locator("[name=told_by]:checked").all():
        each.uncheck()
    page.locator("main button.primary[type=submit]").click()
    page.locator("#told-by-error").wait_for()
