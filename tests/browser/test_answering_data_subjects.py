"""A privacy request from taking in to closing, and a package in which nobody but its person is heard."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import soundfile
from playwright.sync_api import Page, expect

from tests.browser import axe
from tests.browser.desk import Desk
from tests.browser.effort import Cost, Hands
from tests.browser.house import TOEZICHT

HandsOn = Callable[[Page], Hands]
JANSEN_AS_TYPED = "06 12 34 00 78"
MADE_S_MAX = 60
"""A worker takes up the job, reads and silences a recording; machines here are slow at times."""


def test_an_auditor_answers_a_request_of_access_step_by_step(
    desk: Desk, hands: HandsOn, tmp_path: Path
) -> None:
    """Take in, identify, find, decide, make the package, answer, close: a button each."""
    page = desk.page(TOEZICHT)
    page.goto(f"{desk.house.url}/data-subjects/new")
    way = hands(page)
    who = f"H. Jansen {type(way).__name__}"
    way.write(page.locator("[name=name]"), who)
    way.write(page.locator("[name=contact]"), "Dorpsstraat 1, Goes", end="Enter")
    page.locator("#step-identify").wait_for()
    way.press(page.locator("#step-identify button"))
    way.write(page.locator("#step-search [name=text]"), JANSEN_AS_TYPED, end="Enter")
    page.locator("#step-choose table").wait_for()
    way.press(page.locator("#step-choose form:has([name=all]) button"))
    way.press(page.locator("#step-export form button"))
    page.locator("#subject-exports .row").first.wait_for()
    assert not axe.look(page).violations
    link = page.locator("#subject-exports a[href$='/package']")
    expect(link).to_be_visible(timeout=MADE_S_MAX * 1000)
    with page.expect_download() as fetched:
        link.click()
    package = tmp_path / "package.zip"
    fetched.value.save_as(package)
    way.write(page.locator("#answer-text"), "Hierbij uw opname.")
    way.press(page.locator("#step-answer form button"))
    page.locator("#step-answer .facts").wait_for()
    way.press(page.locator("#step-close form button"))
    expect(page.locator("#step-close")).to_contain_text("toezicht")
    way.within(Cost(presses=8, typed=4))
    assert not axe.look(page).violations
    page.goto(f"{desk.house.url}/data-subjects")
    expect(page.locator("tr", has_text=who)).to_be_visible()
    _listen(package)
    index = desk.page(None)
    with zipfile.ZipFile(package) as opened:
        opened.extractall(tmp_path / "package")
    index.goto((tmp_path / "package/index-nl.html").as_uri())
    expect(index.locator("h1")).to_have_text("Opnames van uw gesprekken")
    assert not axe.look(index).violations


def _listen(package: Path) -> None:
    """Fail unless one channel is heard and the other is silent to the sample."""
    with zipfile.ZipFile(package) as opened:
        [name] = [each for each in opened.namelist() if each.endswith(".flac")]
        samples, _ = soundfile.read(io.BytesIO(opened.read(name)), dtype="int16")
    heard = [bool(samples[:, channel].any()) for channel in range(samples.shape[1])]
    assert sorted(heard) == [False, True]
