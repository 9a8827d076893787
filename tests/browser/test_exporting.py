"""Evidence for an auditor: from the list to a package that stands its check, with no more presses than we promise."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Page, expect

from archive.cli.evidence import run_evidence
from tests.browser import axe
from tests.browser.desk import Desk
from tests.browser.effort import Cost, Hands
from tests.browser.house import TOEZICHT

HandsOn = Callable[[Page], Hands]
MADE_S_MAX = 60
"""A worker takes up the job, reads two recordings and signs; machines here are slow at times."""


def test_a_recording_is_exported_fetched_and_stands_its_check(
    desk: Desk, hands: HandsOn, tmp_path: Path
) -> None:
    """Tick, Export, confirm; the page tells how far it is, and the file is checked by both checks."""
    page = desk.page(TOEZICHT)
    page.goto(f"{desk.house.url}/recordings?sort=-start&within=365")
    page.locator(".recs input[name=id]").first.wait_for()
    way = hands(page)
    reference = f"los {type(way).__name__}"
    way.press(page.locator(".recs input[name=id]").first)
    way.press(page.locator("#bulk [hx-get='/exports/new']"))
    way.write(page.locator("#export-reference"), reference, end="Tab")
    way.write(page.locator("#export-purpose"), "Klacht over levering", end="Enter")
    row = page.locator("tr", has_text=reference)
    row.wait_for()
    way.within(Cost(presses=3, typed=2))
    assert not axe.look(page).violations
    link = row.locator("a[href$='/package']")
    expect(link).to_be_visible(timeout=MADE_S_MAX * 1000)
    with page.expect_download() as fetched:
        link.click()
    package = tmp_path / "package.zip"
    fetched.value.save_as(package)
    assert run_evidence(["verify", str(package)]) == 0
    with zipfile.ZipFile(package) as opened:
        opened.extractall(tmp_path / "bag")
    script = str(files("archive.evidence") / "verify.sh")
    done = subprocess.run(
        ["sh", script, tmp_path / "bag"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = desk.page(None)
    report.goto((tmp_path / "bag/data/report-nl.html").as_uri())
    expect(report.locator("h1")).to_contain_text(reference)
    assert report.locator("svg path").count() == 1


def test_a_case_is_exported_in_three_presses_and_proved_in_one(
    desk: Desk, hands: HandsOn, tmp_path: Path
) -> None:
    """From the page of a case to a package on disk, and to the verdict of whoever receives it without an account."""
    page = desk.page(TOEZICHT)
    page.goto(f"{desk.house.url}/recordings?sort=-start&within=365")
    held = page.locator(".recs input[name=id]").first.get_attribute("value")
    way = hands(page)
    name = f"Zaak van {type(way).__name__}"
    page.goto(f"{desk.house.url}/cases/new")
    page.locator("[name=name]").fill(name)
    page.locator("[name=reason]").fill("Klacht over levering")
    page.locator("main form button[type=submit]").click()
    page.locator("#add-recording").fill(str(held))
    page.locator("#add-recording").press("Enter")
    export = page.locator("[hx-get^='/exports/new?case=']")
    way.press(export)
    page.locator("#export-reference").wait_for()
    way.key("Enter")
    row = page.locator("tr", has_text=name)
    link = row.locator("a[href$='/package']")
    expect(link).to_be_visible(timeout=MADE_S_MAX * 1000)
    with page.expect_download() as fetched:
        way.press(link)
    way.within(Cost(presses=3))
    package = tmp_path / "package.zip"
    fetched.value.save_as(package)
    receiver = desk.page(None)
    receiver.goto(f"{desk.house.url}/verify")
    choosing = hands(receiver)
    with receiver.expect_file_chooser() as chooser:
        choosing.press(receiver.locator("#package"))
    chooser.value.set_files(package)
    choosing.within(Cost(presses=1))
    expect(receiver.locator("#verdict")).to_have_text("Dit pakket is ongewijzigd.", timeout=MADE_S_MAX * 1000)
    assert receiver.locator("[data-check=log]").get_attribute("data-state") in {"ok", "none"}
