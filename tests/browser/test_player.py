"""The player in a real browser, on a call that was really recorded: it plays, seeks everywhere and shows.

What is heard is caught behind the page's own sound, before the loudspeaker: so that a seek
is right when the right samples sound, and not when a number says so.
"""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from recorder.client.call import SILENCE, CallPlan, Dialect, StreamPlan
from recorder.client.session import SessionRecordingClient
from recorder.client.sound import to_alaw
from recorder.client.speech import tone_conversation
from tests.browser.hearing import EARS, HEARD_S, PACE, at_s, awaken, heard_hz, level, pitch_hz, settled, until
from tests.running_service import ROOT, RunningService

CHROMIUM = "/usr/bin/chromium"
PIA, MAX, CALLER = "+31201234505", "+31201234506", "+31612345678"
PASSWORD = "correct horse battery"
TALK_S, QUIET_S, LAST_S = 6.0, 3.0, 2.2
PAUSE_AT_S, RESUME_AT_S = 3.0, 5.0
TONES_HZ = (440, 660)
SEEK_MS, LAST_MS = 50, 2000
TRIES = 5
CHIRP_HZ, CHIRP_HZ_PER_S = 400.0, 600.0


@dataclass(frozen=True)
class Recorded:
    """A service with one recorded call, and what was really recorded of it.

    Somebody else has one that the exchange held for a while, and one with all voices in one channel.
    """

    service: RunningService
    recording: dict[str, Any]
    earlier: dict[str, Any]
    held: dict[str, Any]
    mixed: dict[str, Any]
    caller: npt.NDArray[np.float64]

    @property
    def url(self) -> str:
        return f"{self.portal}/recordings/{self.recording['id']}"

    @property
    def portal(self) -> str:
        return f"http://localhost:{self.service.portal_port}"

    @property
    def duration_s(self) -> float:
        return float(self.recording["durationMs"]) / 1000


@pytest.fixture(scope="module")
def recorded() -> Iterator[Recorded]:
    """Record a call of two parties with a pause in it; its owner and a listener have passwords."""
    with tempfile.TemporaryDirectory(prefix="earwitness-player-") as directory:
        service = RunningService(Path(directory) / "data")
        service.start()
        try:
            prepare(service)
            earlier, recording, held, mixed = calls(service)
            path = f"/v1/recordings/{recording['id']}/audio?format=wav&channel=a"
            audio = service.get(path, **{"X-Purpose": "test"})
            caller, _ = soundfile.read(io.BytesIO(audio.body))
            yield Recorded(service, recording, earlier, held, mixed, caller)
            assert service.stop() == 0
        finally:
            service.kill_everything()


def prepare(service: RunningService) -> None:
    """Put Pia and Max, who are recorded, and Lisa, who listens to Pia's team, into a tenant that asks why."""
    service.prepare(("pia", PIA, "365d", "always-pause"), ("max", MAX, "365d", "always"))
    service.run("user", "add", "lisa@acme.nl")
    service.run("team", "add", "Desk", "--tenant", "acme.nl")
    service.run("team", "member", "Desk", "pia@acme.nl", "--as", "contributor")
    service.run("team", "member", "Desk", "lisa@acme.nl", "--as", "listener")
    assert service.send("PATCH", "/v1/policy", {"purposeRequired": True}).status == 200
    for login in ("pia", "max", "lisa"):
        command = [sys.executable, "-m", "archive.cli.main", "user", "set", f"{login}@acme.nl"]
        command += ["--password-stdin", "--data", str(service.directory)]
        subprocess.run(
            command,
            input=PASSWORD.encode(),
            env=service.environment,
            cwd=ROOT,
            check=True,
            capture_output=True,
        )


def calls(service: RunningService) -> list[dict[str, Any]]:
    """Place a short call, the one that is looked at and Max's two at the same time; return them in this order."""
    short = StreamPlan(tone_conversation(1.0)[0])
    at = ("127.0.0.1", service.sip_port, CALLER, PIA)
    plans = [CallPlan(*at, short, short, recorded="callee"), conversation(service), *calls_of_max(service)]

    async def place() -> list[str]:
        first = asyncio.create_task(SessionRecordingClient().place(plans[0]))
        await asyncio.sleep(0.5)
        others = await asyncio.gather(*(SessionRecordingClient().place(each) for each in plans[1:]))
        return [(await first).call_id, *(each.call_id for each in others)]

    # Playwright's own loop may run in this thread already.
    with ThreadPoolExecutor(1) as apart:
        placed = apart.submit(lambda: asyncio.run(place())).result()
    return [service.recording_of(call_id) for call_id in placed]


def calls_of_max(service: RunningService) -> tuple[CallPlan, CallPlan]:
    """Return a call whose media the exchange stops for two seconds, and one that comes as one stream."""
    caller, callee = map(StreamPlan, tone_conversation(TALK_S))
    plan = CallPlan("127.0.0.1", service.sip_port, CALLER, MAX, caller, callee, recorded="callee")
    held = replace(plan, pause_at_s=PAUSE_AT_S - 1, resume_at_s=RESUME_AT_S - 1)
    return held, replace(plan, dialect=Dialect.BROADWORKS_MIXED)


def conversation(service: RunningService) -> CallPlan:
    """Talk by turns, be silent, and end with the caller's voice going up, by which every place is known."""
    at = np.arange(int(LAST_S * 8000)) / 8000
    rising = 8000 * np.sin(2 * np.pi * (CHIRP_HZ + CHIRP_HZ_PER_S / 2 * at) * at)
    caller, callee = (tone + SILENCE * int(QUIET_S * 8000) for tone in tone_conversation(TALK_S))
    return CallPlan(
        "127.0.0.1",
        service.sip_port,
        CALLER,
        PIA,
        StreamPlan(caller + to_alaw(rising.astype(np.int16))),
        StreamPlan(callee + SILENCE * len(at)),
        pause_at_s=PAUSE_AT_S,
        resume_at_s=RESUME_AT_S,
        recorded="callee",
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium once."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module")
def pia(browser: Browser, recorded: Recorded) -> BrowserContext:
    """Pia's browser, signed in."""
    return signed_in(browser, recorded, "pia")


@pytest.fixture(scope="module")
def of_max(browser: Browser, recorded: Recorded) -> BrowserContext:
    """Max's browser, signed in."""
    return signed_in(browser, recorded, "max")


@pytest.fixture
def page(pia: BrowserContext) -> Iterator[Page]:
    """Open a page in Pia's browser; what a script throws or the policy refuses fails the test."""
    faults: list[str] = []
    page = pia.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if "Content Security" in line.text else None)
    yield page
    if page.url.startswith("http"):
        # How somebody listens stays with them, and the next test is somebody else.
        page.evaluate("localStorage.clear()")
    page.close()
    assert faults == []


def signed_in(browser: Browser, recorded: Recorded, login: str) -> BrowserContext:
    """Sign in by the form, in a browser of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="nl-NL")
    context.add_init_script(f"({EARS})()")
    page = context.new_page()
    page.goto(f"{recorded.portal}/sign-in?next=/help")
    page.fill("[name=login]", f"{login}@acme.nl")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/help")
    page.close()
    return context


def opened(page: Page, recorded: Recorded, query: str = "?t=0") -> None:
    page.goto(recorded.url + query)
    page.wait_for_selector("svg.lanes path.wa")
    until(page, "a.readyState >= 1")


def test_a_press_plays_and_the_picture_follows(page: Page, recorded: Recorded) -> None:
    """A click on the button plays; the playhead, the clock and the address move along."""
    opened(page, recorded)
    page.click("[data-play]")
    until(page, "a.currentTime > 1.2")
    expect(page.locator("[data-play]")).to_have_attribute("aria-label", "Pauzeer afspelen")
    page.click("[data-play]")
    assert page.locator("[data-position]").inner_text() != "0:00"
    # The address follows when the browser has told the page that it paused.
    until(page, "Math.abs(Number(new URL(location.href).searchParams.get('t')) - a.currentTime) < 0.2")
    assert "seconden" in str(page.get_attribute(".slider", "aria-valuetext"))


def test_every_place_of_the_last_two_seconds_can_be_sought(page: Page, recorded: Recorded) -> None:
    """No seek hangs, every 50 ms of the last two seconds included."""
    opened(page, recorded)
    end_ms = int(recorded.recording["durationMs"])
    places = [*range(0, end_ms - LAST_MS, 1500), *range(end_ms - LAST_MS, end_ms + SEEK_MS, SEEK_MS)]
    for place_ms in places:
        page.evaluate("s => { document.querySelector('audio').currentTime = s; }", place_ms / 1000)
        settled(page, min(place_ms, end_ms) / 1000)
    assert page.evaluate("document.querySelector('audio').error") is None


def test_what_sounds_after_a_seek_is_what_was_recorded_there(page: Page, recorded: Recorded) -> None:
    """Every 50 ms of the last two seconds: the voice that rises tells which samples these are."""
    opened(page, recorded)
    awaken(page)
    end_ms = int(recorded.recording["durationMs"])
    for place_ms in range(end_ms - LAST_MS, end_ms - SEEK_MS + 1, SEEK_MS):
        at = round(place_ms * 8)
        recorded_hz = pitch_hz(recorded.caller[at : at + int(HEARD_S * 8000)], 8000)
        # A machine that has no time for the page loses what came first: a wrong place stays wrong.
        found = [heard_hz(page, place_ms / 1000)]
        while abs(found[-1] - recorded_hz) > 25 and len(found) < TRIES:
            found.append(heard_hz(page, place_ms / 1000))
        assert found[-1] == pytest.approx(recorded_hz, abs=25), f"at {place_ms} of {end_ms} ms: {found}"


def test_the_sound_plays_to_its_end_and_begins_again(page: Page, recorded: Recorded) -> None:
    """Near the end it plays out; pressing play there begins anew."""
    opened(page, recorded, f"?t={recorded.recording['durationMs'] / 1000 - 1}")
    page.click("[data-play]")
    until(page, "a.ended")
    page.click("[data-play]")
    until(page, "!a.paused")
    until(page, "a.currentTime < 5")


def test_a_click_on_the_waveform_and_on_the_list_seeks(page: Page, recorded: Recorded) -> None:
    """The place of a click is the place in time; an entry of the timeline goes to its moment."""
    opened(page, recorded)
    box = page.locator(".slider").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 90)
    settled(page, recorded.recording["durationMs"] / 2000)
    pause = page.locator("[data-marks] li", has=page.locator(".badge.pause"))
    expect(pause).to_have_count(1)
    pause.locator("button").click()
    settled(page, int(pause.get_attribute("data-from") or 0) / 1000)
    assert "Pauze" in str(page.get_attribute(".slider", "aria-valuetext"))


def test_what_the_exchange_held_is_drawn_over_everybody_and_told(
    of_max: BrowserContext, recorded: Recorded
) -> None:
    """What the exchange held is no pause of anybody and no loss: dotted, in all lanes, at its place in time."""
    (span,) = (each for each in recorded.held["spans"] if each["kind"] == "hold")
    page = of_max.new_page()
    page.goto(f"{recorded.portal}/recordings/{recorded.held['id']}?t=0")
    page.wait_for_selector("svg.lanes path.wb")
    until(page, "a.readyState >= 1")
    lanes = page.locator("svg.lanes").bounding_box()
    found = [each.bounding_box() for each in page.locator("svg.lanes rect.b-hold").all()]
    assert lanes is not None
    band = max((each for each in found if each is not None), key=lambda each: each["height"])
    assert band["height"] > lanes["height"] / 2
    assert page.locator("svg.lanes rect.b-pause, svg.lanes rect.b-loss").count() == 0
    for edge, at_ms in ((band["x"], span["fromMs"]), (band["x"] + band["width"], span["toMs"])):
        shown_ms = (edge - lanes["x"]) / lanes["width"] * recorded.held["durationMs"]
        assert shown_ms == pytest.approx(at_ms, abs=100)
    mark = page.locator("#marks li", has=page.locator(".badge.hold"))
    expect(mark).to_contain_text("Wacht 0:02")
    expect(mark).to_contain_text("In de wacht gezet door de centrale.")
    mark.locator("button").click()
    settled(page, span["fromMs"] / 1000)
    expect(page.locator(".slider")).to_have_attribute("aria-valuetext", re.compile("Wacht"))
    page.close()


def test_one_channel_is_one_lane_of_everybody_in_which_all_are_heard(
    of_max: BrowserContext, recorded: Recorded
) -> None:
    """Who speaks is not known there: one lane names both, nobody can be muted, and both voices sound."""
    assert recorded.mixed["layout"] == "mixed"
    page = of_max.new_page()
    page.goto(f"{recorded.portal}/recordings/{recorded.mixed['id']}?t=0")
    page.wait_for_selector("svg.lanes path.wa")
    until(page, "a.readyState >= 1")
    assert page.locator("svg.lanes path.wb").count() == 0
    head = page.locator(".lane-head")
    expect(head).to_have_count(1)
    expect(head).to_contain_text("max")
    expect(head).to_contain_text("06 1234 5678")
    expect(head).to_contain_text("iedereen samen")
    assert page.locator("[data-mute]").count() == 0
    # The page needs no valves for one channel: what the element plays is caught here.
    page.evaluate(
        "() => { const context = new AudioContext();"
        " context.createMediaElementSource(document.querySelector('audio')).connect(context.destination); }"
    )
    awaken(page)
    length_s = recorded.mixed["durationMs"] / 1000
    heard = {round(heard_hz(page, at_s), -1) for at_s in np.arange(0.2, length_s - 0.4, 0.5)}
    for tone_hz in TONES_HZ:
        assert any(abs(each - tone_hz) < 25 for each in heard), heard
    page.close()


def test_everything_works_by_the_keyboard(page: Page, recorded: Recorded) -> None:
    """The keys of the slider and the shortcuts of the portal."""
    opened(page, recorded)
    page.focus(".slider")
    for key, wanted_s in [
        ("ArrowRight", 5),
        ("Shift+ArrowRight", 6),
        ("ArrowLeft", 1),
        ("PageUp", None),
        ("Home", 0),
    ]:
        page.keyboard.press(key)
        settled(page, recorded.recording["durationMs"] / 1000 if wanted_s is None else wanted_s)
    page.keyboard.press("l")
    settled(page, 10)
    page.keyboard.press("j")
    settled(page, 0)
    page.keyboard.press("p")
    settled(
        page, int(page.locator("[data-marks] li[data-from]").first.get_attribute("data-from") or 0) / 1000
    )
    page.keyboard.press("]")
    assert page.evaluate("document.querySelector('audio').playbackRate") == 1.25
    assert page.evaluate("document.querySelector('audio').preservesPitch") is True
    for _ in range(9):
        page.keyboard.press("]")
    assert page.evaluate("document.querySelector('audio').playbackRate") == 3
    page.keyboard.press("\\")
    assert page.evaluate("document.querySelector('audio').playbackRate") == 1
    page.keyboard.press("1")
    expect(page.locator("[data-mute='0']")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Shift+Digit1")
    expect(page.locator("[data-mute='1']")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-mute='0']")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("k")
    until(page, "!a.paused")
    page.keyboard.press(" ")
    until(page, "a.paused")


def test_silence_is_skipped_and_the_pause_is_not(page: Page, recorded: Recorded) -> None:
    """With silence skipped, three seconds without speech pass in a moment."""
    opened(page, recorded)
    quiet = page.evaluate(
        "JSON.parse(document.querySelector('#player').dataset.call).quiet.filter(q => q[1] - q[0] > 2500)"
    )
    pauses = [span for span in recorded.recording["spans"] if span["kind"] == "pause"]
    assert len(quiet) == 1
    assert all(quiet[0][1] <= span["fromMs"] or quiet[0][0] >= span["toMs"] for span in pauses)
    page.keyboard.press("s")
    expect(page.locator("[data-told]")).to_contain_text("bespaart")
    page.evaluate("s => { document.querySelector('audio').currentTime = s; }", quiet[0][0] / 1000 - 0.2)
    settled(page, quiet[0][0] / 1000 - 0.2)
    began = page.evaluate("performance.now()")
    page.click("[data-play]")
    until(page, f"a.currentTime > {quiet[0][1] / 1000}")
    assert page.evaluate("performance.now()") - began < quiet[0][1] - quiet[0][0]


def test_speed_and_skipping_are_those_of_the_listener_and_mute_is_of_the_call(
    browser: Browser, recorded: Recorded
) -> None:
    """They are there when the next recording opens; from which silence on is chosen under My settings."""
    page = signed_in(browser, recorded, "pia").new_page()
    opened(page, recorded)
    page.click("[data-speed='1.5']")
    page.keyboard.press("s")
    page.keyboard.press("Shift+Digit1")
    expect(page.locator("[data-mute='1']")).to_have_attribute("aria-pressed", "true")
    opened(page, recorded)
    expect(page.locator("[data-speed='1.5']")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-skip]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-mute='1']")).to_have_attribute("aria-pressed", "false")
    page.click("[data-play]")
    until(page, "!a.paused && a.playbackRate === 1.5")
    page.click("[data-play]")
    page.goto(f"{page.evaluate('location.origin')}/me")
    page.select_option("#f-silence", "3000")
    page.locator("#f-silence").locator("xpath=ancestor::form").get_by_role("button").click()
    expect(page.locator("#f-silence")).to_have_value("3000")
    opened(page, recorded)
    expect(page.locator("#player")).to_have_attribute("data-skip-from-ms", "3000")
    page.context.close()


def test_the_position_is_kept_for_the_next_device(page: Page, recorded: Recorded, browser: Browser) -> None:
    """Where one stopped is where the page opens again, and the page says so."""
    opened(page, recorded, "?t=6")
    with page.expect_response("**/position") as answer:
        page.click("[data-play]")
        until(page, "a.currentTime > 6.5")
        page.click("[data-play]")
    assert answer.value.status == 200
    kept_s = at_s(page)
    other = signed_in(browser, recorded, "pia").new_page()
    opened(other, recorded, "")
    settled(other, kept_s)
    expect(other.locator("[data-told]")).to_have_text("Hier was je gebleven.")
    other.context.close()


def test_history_and_reasons_are_fetched_when_looked_at(page: Page, recorded: Recorded) -> None:
    """The tabs bring who listened, and why the call was recorded."""
    opened(page, recorded)
    page.click("#tab-history")
    expect(page.locator("#history li", has_text="luisterde").first).to_be_visible()
    page.click("#tab-why")
    expect(page.locator("#why .trace")).to_contain_text("Altijd met pauze")
    opened(page, recorded, "?t=0#history")
    expect(page.locator("#history li").first).to_be_visible()


def test_speed_changes_the_pace_and_not_the_pitch(page: Page, recorded: Recorded) -> None:
    """From half to three times; a voice of 440 Hz stays one."""
    opened(page, recorded)
    awaken(page)
    for speed in (0.5, 2, 3):
        page.click(f"[data-speed='{speed}']")
        assert heard_hz(page, 0.1) == pytest.approx(440, abs=40)
        pace = page.evaluate(PACE)
        assert pace == pytest.approx(speed, rel=0.25)


def test_a_party_is_muted_heard_alone_and_made_softer(page: Page, recorded: Recorded) -> None:
    """Of who is muted nothing is left, 60 dB down; the other party is not touched."""
    opened(page, recorded)
    awaken(page)
    place_s = recorded.duration_s - 1.9
    loud = level(page, place_s)
    assert loud > 0.01
    page.fill("[data-volume]", "25")
    assert level(page, place_s) == pytest.approx(loud / 4, rel=0.2)
    page.fill("[data-volume]", "100")
    page.click("[data-mute='0']")
    assert level(page, place_s) < loud / 1000
    page.click("[data-mute='0']")
    page.keyboard.press("Shift+Digit2")
    expect(page.locator("[data-mute='0']")).to_have_attribute("aria-pressed", "true")
    assert level(page, place_s) < loud / 1000
    page.keyboard.press("Shift+Digit1")
    assert level(page, place_s) == pytest.approx(loud, rel=0.2)


def test_the_keys_of_a_headset_work(page: Page, recorded: Recorded) -> None:
    """Play, pause, to and fro, and the next recording."""
    opened(page, recorded)
    page.evaluate("window.handlers.seekforward({})")
    settled(page, 10)
    page.evaluate("window.handlers.seekbackward({ seekOffset: 4 })")
    settled(page, 6)
    page.evaluate("window.handlers.seekto({ seekTime: 2 })")
    settled(page, 2)
    page.evaluate("window.handlers.play()")
    until(page, "!a.paused && a.currentTime > 2")
    page.evaluate("window.handlers.pause()")
    until(page, "a.paused")
    assert {"nexttrack", "previoustrack"} <= set(page.evaluate("Object.keys(window.handlers)"))


def test_the_slider_says_where_it_is_as_a_time(page: Page, recorded: Recorded) -> None:
    """Screen readers get seconds, a sentence, and the pause it stands in; a list has what the picture has."""
    opened(page, recorded, "?t=4")
    slider = page.get_by_role("slider", name="Positie in het gesprek")
    expect(slider).to_have_attribute("aria-valuemin", "0")
    expect(slider).to_have_attribute("aria-valuemax", str(int(recorded.duration_s)))
    expect(slider).to_have_attribute("aria-valuenow", "4")
    whole = f"4 seconden van {int(recorded.duration_s)} seconden"
    assert str(slider.get_attribute("aria-valuetext")).startswith(whole)
    assert str(slider.get_attribute("aria-valuetext")).endswith("Pauze")
    assert page.locator("[data-marks] li").count() == 2 + page.locator("[data-marks] .badge").count()


def test_the_keys_are_shown_and_lead_along_the_list(page: Page, recorded: Recorded) -> None:
    """Question mark, palette, next and previous; before the first stands the list."""
    opened(page, recorded)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Sneltoetsen")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Shift+N")
    page.wait_for_url(f"**/recordings/{recorded.earlier['id']}*")
    page.wait_for_selector("svg.lanes path.wa")
    page.keyboard.press("Shift+P")
    page.wait_for_url(f"**/recordings/{recorded.recording['id']}*")
    page.keyboard.press("Shift+P")
    page.wait_for_url(re.compile(r"/recordings(\?.*)?$"))
    page.keyboard.press("Control+k")
    page.locator("#palette-q").fill("hulp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/help")


def test_single_keys_can_be_switched_off(page: Page, recorded: Recorded) -> None:
    """Then only what has the focus answers to keys (WCAG 2.1.4)."""
    page.context.add_cookies([{"name": "ew_shortcuts", "value": "off", "url": recorded.portal}])
    opened(page, recorded)
    for key in ("l", "Shift+Digit1", "?", "s"):
        page.keyboard.press(key)
    page.focus(".slider")
    page.keyboard.press("ArrowRight")
    settled(page, 5)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("[data-mute='1']")).to_have_attribute("aria-pressed", "false")
    page.context.clear_cookies(name="ew_shortcuts")


def test_a_listener_says_what_for_hears_and_it_stands_in_the_log(
    browser: Browser, recorded: Recorded
) -> None:
    """Before the answer there is no sound and no contour; after it both, and who may hear sees who did."""
    context = signed_in(browser, recorded, "lisa")
    page, path = context.new_page(), f"{recorded.portal}/v1/recordings/{recorded.recording['id']}"
    page.goto(recorded.url)
    expect(page.locator("audio")).to_have_count(0)
    for part in ("audio", "peaks"):
        assert context.request.get(f"{path}/{part}").status == 403
    page.get_by_label("Reden").fill("Kwaliteit of coaching")
    page.keyboard.press("Enter")
    page.wait_for_selector("svg.lanes path.wa")
    page.click("[data-play]")
    until(page, "a.currentTime > 0.2")
    page.click("#tab-access")
    expect(page.locator("#access tr", has_text="lisa")).to_contain_text("1 keer")
    context.close()
    history = recorded.service.get(f"/v1/recordings/{recorded.recording['id']}/history").json()["items"]
    heard = [each for each in history if each["action"] == "recording.played" and each["result"] == "ok"]
    assert "Kwaliteit of coaching" in {(each["details"] or {}).get("purpose") for each in heard}


@pytest.mark.parametrize(
    ("width", "scheme"), [(320, "light"), (360, "dark"), (1280, "light"), (1280, "dark")]
)
def test_the_page_fits_and_has_no_inline_style(
    page: Page, recorded: Recorded, tmp_path: Path, width: int, scheme: Any
) -> None:
    """Nothing scrolls sideways, in light and dark, and each lane is drawn with its bands."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, recorded, "?t=4")
    # Before the picture: taking it, Playwright sets styles of its own.
    assert page.locator("[style]").count() == 0
    page.screenshot(path=tmp_path / f"player-{width}-{scheme}.png", full_page=True)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    assert page.locator("svg.lanes path.wb").count() >= 2
    assert page.locator("svg.lanes .b-pause").count() == 2
