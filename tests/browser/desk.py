"""A desk: a browser in which somebody works at the portal, and what went wrong there without anybody saying so.

A person signs in once by the real pages; later windows have the session of the first. Every
window watches for what a user never sees: faults of scripts, refusals of the content
security policy, dialogs a script opened, and answers with a fault of the server.

Rules: waiting is for a state of the page, with a deadline that a busy machine keeps too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    Dialog,
    Error,
    Page,
    Playwright,
    Response,
    expect,
    sync_playwright,
)

from tests.browser.house import PASSWORD, Authenticator, House, Person
from tests.running_service import eventually

CHROMIUM = Path("/usr/bin/chromium")
WITHIN_MS = 30_000
"""What is there on a quiet machine in a moment; nothing waits this long unless it fails."""

WIDE, NARROW = 1280, 360
FRESH_S = 8 * 60
"""A little more than half of what the portal takes for a fresh sign-in."""

HEIGHTS = {WIDE: 900, NARROW: 780}
expect.set_options(timeout=WITHIN_MS)
SECRET = ".steps code"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium.

    It is ended with each module of tests: Playwright keeps a loop running in this thread, in
    which no test with a loop of its own can run.
    """
    assert CHROMIUM.exists(), f"{CHROMIUM} is missing. Install it: sudo apt-get install chromium"
    with sync_playwright() as playwright:
        browser = _launched(playwright)
        try:
            yield browser
        finally:
            browser.close()


def _launched(playwright: Playwright) -> Browser:
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
    return playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, timeout=4 * WITHIN_MS)


@dataclass
class Desk:
    """Where people sit down; `faults` is what went wrong in any of their windows."""

    browser: Browser
    house: House
    faults: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)
    _open: list[BrowserContext] = field(default_factory=list)

    def page(
        self,
        person: Person | None = None,
        *,
        width: int = WIDE,
        theme: str = "light",
        language: str = "nl",
    ) -> Page:
        """Return a new window of a person who has signed in, or of a stranger."""
        state = None if person is None else self._state(person)
        return self._window(state, width, theme, language).new_page()

    def sign_in(self, page: Page, person: Person) -> None:
        """Sign in by the pages, setting up what the role needs on the way."""
        page.goto(f"{self.house.url}/sign-in?next=/help")
        page.fill("[name=login]", person.address)
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        if person.needs_second_factor:
            page.wait_for_url(re.compile("/sign-in/"))
            if person.login not in self.house.authenticators:
                secret = page.locator(SECRET).inner_text()
                self.house.authenticators[person.login] = Authenticator(secret)
            page.fill("[name=code]", self.house.authenticators[person.login].code())
            page.press("[name=code]", "Enter")
            if page.locator(".codes").count():
                page.locator("a.btn.primary").click()
        page.wait_for_url("**/help")

    def close(self) -> None:
        """Close every window."""
        for each in self._open:
            each.close()
        self._open.clear()

    def _state(self, person: Person) -> Any:
        known = self.house.states.get(person.login)
        # Who administers changes others only shortly after signing in.
        late = (
            person.needs_second_factor
            and time.monotonic() - self.house.entered.get(person.login, 0) > FRESH_S
        )
        if known is None or late:
            context = self._window(None, WIDE, "light", "nl")
            self.sign_in(context.new_page(), person)
            self.house.states[person.login] = context.storage_state()
            self.house.entered[person.login] = time.monotonic()
            context.close()
            self._open.remove(context)
        return self.house.states[person.login]

    def _window(self, state: Any, width: int, theme: Any, language: str) -> BrowserContext:
        context = self.browser.new_context(
            storage_state=state,
            viewport={"width": width, "height": HEIGHTS.get(width, 800)},
            color_scheme=theme,
            locale={"nl": "nl-NL", "en": "en-GB"}[language],
            timezone_id="Europe/Amsterdam",
            has_touch=width <= NARROW,
        )
        context.set_default_timeout(WITHIN_MS)
        context.on("weberror", lambda error: self.faults.append(f"script: {error.error}"))
        context.on("console", lambda line: self._hear(line.type, line.text))
        context.on("dialog", self._refuse)
        context.on("response", self._look)
        self._open.append(context)
        return context

    def _hear(self, kind: str, text: str) -> None:
        if "Content Security" in text or "[Report Only]" in text:
            self.faults.append(f"policy: {text}")

    def _refuse(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _look(self, response: Response) -> None:
        if response.status >= 500 and response.status not in self.expected:
            self.faults.append(f"server: {response.status} {response.url}")


@dataclass
class KeptDesk(Desk):
    """A desk of many tests, each in the window of the one before where it fits, as empty as a new one.

    A new window costs three times what most pages do: a process, its scripts and their compiling. Its
    cookies and what pages keep in it are as in a new one; a second window in a test is a new one.
    """

    _kept: Page | None = None
    _fits: tuple[int, str] | None = None
    _is_used: bool = False

    def page(
        self,
        person: Person | None = None,
        *,
        width: int = WIDE,
        theme: str = "light",
        language: str = "nl",
    ) -> Page:
        """Return the window as a new one of this person, or a new one."""
        if self._is_used:
            return super().page(person, width=width, theme=theme, language=language)
        kept = self._kept if self._fits == (width, language) else None
        if kept is None or not self._is_emptied(kept, person, theme):
            self.close()
            self._kept = kept = super().page(person, width=width, theme=theme, language=language)
            self._fits = (width, language)
        self._is_used = True
        return kept

    def rise(self) -> list[str]:
        """End a test: close all but the window that is kept, and return what went wrong."""
        faults, self.faults = self.faults, []
        self.expected.clear()
        for each in [each for each in self._open if self._kept is None or each is not self._kept.context]:
            each.close()
            self._open.remove(each)
        if faults or (self._kept is not None and self._kept.context.pages != [self._kept]):
            self.close()
        self._is_used = False
        return faults

    def close(self) -> None:
        """Close every window."""
        super().close()
        self._kept = None

    def _is_emptied(self, page: Page, person: Person | None, theme: str) -> bool:
        """Leave nothing in a window of what was done there and let it be of this person; False where that fails."""
        state = None if person is None else self._state(person)
        try:
            page.evaluate("localStorage.clear(); sessionStorage.clear()")
            page.context.clear_cookies()
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            page.mouse.move(-1, -1)  # over nothing
        except Error:
            # A test that failed has left it on no page of ours.
            return False
        if state is not None:
            page.context.add_cookies(state["cookies"])
        return True


def from_a_mail(page: Page, address: str) -> None:
    """Open an address by a link on a page of another site, as webmail is one."""
    mail, link = "https://mail.example/", f'<a href="{address}">Open</a>'
    page.route(mail, lambda route: route.fulfill(body=link, content_type="text/html"), times=1)
    page.goto(mail)
    page.get_by_role("link", name="Open").click()


def sounds(page: Page, audio: str) -> None:
    """Wait until the sound of an element moves on."""
    at_least(page, audio, 0.2)


def at_least(page: Page, audio: str, seconds: float) -> None:
    """Wait until the sound of an element has come this far.

    Asked again and again from here: waiting in the page evaluates a text, which its policy refuses.
    """

    def there() -> bool:
        return float(page.evaluate("s => document.querySelector(s).currentTime", audio)) >= seconds

    eventually(there, f"{audio} plays from {seconds} s on", WITHIN_MS / 1000)
