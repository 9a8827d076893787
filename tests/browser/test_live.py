"""Calls that go on now, by real SIP and RTP: what the page says of each is what its recorder does, in every mode.

The service is one of its own: its recorder is stopped and killed here.
"""

from __future__ import annotations

import asyncio
import re
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Page, expect

from archive.catalogue import directory, passwords
from archive.model import RecordingMode, RetentionClass
from tests.behaviour.customer import operating
from tests.browser import axe
from tests.browser.desk import NARROW, WIDE, Desk
from tests.browser.effort import Cost, Hands
from tests.browser.house import ILSE, PASSWORD, SANNE, House, Person, furnished
from tests.browser.scenes import settle
from tests.browser.telephones import PATIENCE_S, Telephones
from tests.crash.calls import CALLEE, Call
from tests.running_service import eventually

HandsOn = Callable[[Page], Hands]

BY_MODE = {
    mode: Person(f"live-{mode.value}", f"+3120012345{number}", mode.value)
    for number, mode in enumerate(RecordingMode)
}
CARD = "[data-section=own] [data-call]"
STATE = f"{CARD} [data-state-text]"
REMINDER_S = 2
"""Long enough that a pause of the other tests is over by then on most days, and none of them minds if not."""


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A service of its own, with a person of every mode."""
    with (
        tempfile.TemporaryDirectory(prefix="earwitness-live-") as directory_name,
        furnished(Path(directory_name), pause_reminder_s=str(REMINDER_S)) as it,
    ):
        with operating(it.service) as catalogue:
            for mode, person in BY_MODE.items():
                user = directory.add_user(
                    catalogue,
                    it.tenant_id,
                    person.login,
                    now=datetime.now(UTC),
                    numbers=(person.number,),
                    mode=mode,
                    licence=RetentionClass.DAYS_365,
                    access="own",
                )
                it.ids[person.login] = user.id
                passwords.set_password(catalogue, it.tenant_id, person.login, PASSWORD)
        yield it


@pytest.fixture
def telephones(house: House) -> Iterator[Telephones]:
    """Telephones that are all on the hook in the end, and nothing under way."""
    it = Telephones(house)
    thread = threading.Thread(target=it.loop.run_forever, name="telephones")
    thread.start()
    try:
        yield it
        for call in list(it.calls):
            it.hang_up(call)
        eventually(lambda: not house.service.calls(), "no call is under way", PATIENCE_S)
    finally:
        asyncio.run_coroutine_threadsafe(it.end(), it.loop).result(PATIENCE_S)
        it.loop.call_soon_threadsafe(it.loop.stop)
        thread.join()
        it.loop.close()


def opened(desk: Desk, person: Person, **how: Any) -> Page:
    page = desk.page(person, **how)
    page.goto(f"{desk.house.url}/live")
    expect(page.locator("[data-fresh-text]")).to_contain_text("Verbonden")
    return page


def capture(house: House, call: Call) -> str:
    """Return the recorder's word for where the capture of a call stands."""
    return str(house.service.live(call.call_id)["capture"])


def button(page: Page, verb: str) -> Any:
    return page.locator(f"{CARD} [data-verb={verb}]")


def settled(page: Page) -> None:
    """Wait until the buttons that came in the place of others can be pressed."""
    expect(page.locator("[data-settling]")).to_have_count(0)


def verbs(page: Page) -> list[str]:
    return [each.get_attribute("data-verb") or "" for each in page.locator(f"{CARD} [data-verb]").all()]


def recorder(house: House) -> psutil.Process:
    """Return the process of the recorder."""
    return house.service.role("recorder")


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def test_a_call_appears_by_itself_is_paused_and_resumed_with_one_press_each_and_ends(
    desk: Desk, telephones: Telephones, hands: HandsOn
) -> None:
    """What the page says is what the recorder does, and only after it did."""
    page = opened(desk, BY_MODE[RecordingMode.ALWAYS_PAUSE])
    expect(page.locator("[data-section=none]")).to_be_visible()
    call = telephones.call(BY_MODE[RecordingMode.ALWAYS_PAUSE])
    expect(page.locator(STATE)).to_have_text("Neemt op")
    expect(page.locator("[data-section=none]")).to_be_hidden()
    expect(page.locator("[data-said]")).to_have_text(re.compile("^Jouw gesprek met .*: Neemt op$"))
    assert verbs(page) == ["pause"]
    way, place = hands(page), page.locator(CARD).bounding_box()
    way.press(button(page, "pause"))
    expect(page.locator(STATE)).to_have_text("Gepauzeerd")
    assert capture(desk.house, call) == "paused"
    way.within(Cost(presses=1))
    # Nothing moves under the finger.
    expect(page.locator("[data-told] [role=status]")).to_contain_text("gepauzeerd")
    assert (page.locator(CARD).bounding_box() or {}).get("y") == (place or {}).get("y")
    expect(button(page, "resume")).to_be_focused()
    settled(page)
    way.press(button(page, "resume"))
    expect(page.locator(STATE)).to_have_text("Neemt op")
    assert capture(desk.house, call) == "recording"
    way.within(Cost(presses=2))
    telephones.hang_up(call)
    expect(page.locator(STATE)).to_have_text("Afgelopen")
    assert verbs(page) == []
    expect(page.locator(f"{CARD} a[href$='/why']")).to_be_visible()


def test_a_letter_pauses_and_resumes_ones_own_call(desk: Desk, telephones: Telephones) -> None:
    """P, and nothing more."""
    page = opened(desk, BY_MODE[RecordingMode.ALWAYS_PAUSE])
    call = telephones.call(BY_MODE[RecordingMode.ALWAYS_PAUSE])
    expect(page.locator(STATE)).to_have_text("Neemt op")
    page.keyboard.press("p")
    expect(page.locator(STATE)).to_have_text("Gepauzeerd")
    expect(page.locator("[data-said]")).to_have_text("Gepauzeerd")
    settled(page)
    page.keyboard.press("p")
    expect(page.locator(STATE)).to_have_text("Neemt op")
    assert capture(desk.house, call) == "recording"


@pytest.mark.parametrize("press", ["double click", "letter held down", "Enter held down"])
def test_one_press_is_one_command_however_long_or_often_a_finger_comes_down(
    desk: Desk, telephones: Telephones, press: str
) -> None:
    """The button that takes the place of the pressed one is not pressed with it: what is paused stays paused."""
    person = BY_MODE[RecordingMode.ALWAYS_PAUSE]
    page = opened(desk, person)
    call = telephones.call(person)
    expect(page.locator(STATE)).to_have_text("Neemt op")
    said: list[str] = []
    page.on(
        "request", lambda asked: said.append(asked.url.rsplit("/", 1)[-1]) if asked.method == "POST" else None
    )
    if press == "double click":
        box = button(page, "pause").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 20, box["y"] + 20)
        expect(button(page, "resume")).to_be_visible()
        # By now the other button lies under the pointer.
        page.mouse.click(box["x"] + 20, box["y"] + 20, click_count=2)
    else:
        key = "p" if press.startswith("letter") else "Enter"
        (page.locator("h1") if key == "p" else button(page, "pause")).focus()
        for _ in range(30):
            page.keyboard.down(key)
            page.wait_for_timeout(50)
        page.keyboard.up(key)
    settled(page)
    expect(page.locator(STATE)).to_have_text("Gepauzeerd")
    assert (said, capture(desk.house, call)) == (["pauses"], "paused")
    telephones.hang_up(call)
    expect(page.locator(STATE)).to_have_text("Afgelopen")
    # It will not be resumed, and counts no longer.
    expect(page.locator(CARD)).not_to_contain_text("Tot het hervatten")
    expect(page.locator(f"{CARD} [data-state]")).to_have_text("Afgelopen")


def test_an_on_demand_call_is_kept_with_one_press_and_can_be_paused_then(
    desk: Desk, telephones: Telephones, hands: HandsOn
) -> None:
    page = opened(desk, BY_MODE[RecordingMode.ON_DEMAND])
    call = telephones.call(BY_MODE[RecordingMode.ON_DEMAND])
    expect(page.locator(STATE)).to_have_text("Nog niet bewaard")
    assert verbs(page) == ["keep"]
    way = hands(page)
    way.press(button(page, "keep"))
    expect(page.locator(STATE)).to_have_text("Neemt op")
    way.within(Cost(presses=1))
    assert verbs(page) == ["pause"]
    assert desk.house.service.live(call.call_id)["state"] == "recording"


def test_a_call_with_start_is_started_paused_and_stopped(
    desk: Desk, telephones: Telephones, hands: HandsOn
) -> None:
    page = opened(desk, BY_MODE[RecordingMode.ON_DEMAND_START])
    call = telephones.call(BY_MODE[RecordingMode.ON_DEMAND_START])
    expect(page.locator(STATE)).to_have_text("Nog niet gestart")
    assert verbs(page) == ["start"]
    way = hands(page)
    way.press(button(page, "start"))
    expect(page.locator(STATE)).to_have_text("Neemt op")
    assert verbs(page) == ["pause", "stop"]
    settled(page)
    way.press(button(page, "stop"))
    expect(page.locator(STATE)).to_have_text("Gestopt")
    assert verbs(page) == ["start"]
    assert capture(desk.house, call) == "stopped"
    way.within(Cost(presses=2))


def test_a_call_of_the_mode_always_has_no_button_and_says_why(desk: Desk, telephones: Telephones) -> None:
    page = opened(desk, BY_MODE[RecordingMode.ALWAYS])
    telephones.call(BY_MODE[RecordingMode.ALWAYS])
    expect(page.locator(STATE)).to_have_text("Neemt op")
    assert verbs(page) == []
    expect(page.locator(CARD)).to_contain_text("pauzeren kan niet")


@pytest.mark.parametrize(
    ("mode", "callee", "why"),
    [
        (RecordingMode.NEVER, CALLEE, "je modus is Nooit"),
        (RecordingMode.ALWAYS, "112", "Er loopt nu geen gesprek"),
        (RecordingMode.ALWAYS, "113", "Er loopt nu geen gesprek"),
    ],
)
def test_a_call_that_is_never_recorded_is_no_call_of_the_page(
    desk: Desk, telephones: Telephones, mode: RecordingMode, callee: str, why: str
) -> None:
    """Another call that begins after it appears, so that its own had all the time to."""
    person = BY_MODE[mode]
    page, team = opened(desk, person), opened(desk, ILSE)
    call = telephones.call(person, callee)
    telephones.call(SANNE)
    expect(team.locator("[data-section=others] [data-state-text]")).to_have_text("Neemt op")
    assert call.call_id not in {each["callId"] for each in desk.house.service.calls()}
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("[data-section=none]")).to_contain_text(why)
    assert page.locator("[data-call]").count() == 0


def test_a_pause_that_lasts_long_stands_out_is_said_and_goes_with_the_pause(
    desk: Desk, telephones: Telephones
) -> None:
    """After the time that is set for it, on the page, in its title, and by its recorder as an event."""
    person = BY_MODE[RecordingMode.ALWAYS_PAUSE]
    page = opened(desk, person)
    call = telephones.call(person)
    expect(page.locator(STATE)).to_have_text("Neemt op")
    button(page, "pause").click()
    expect(page.locator(STATE)).to_have_text("Gepauzeerd")
    banner = page.locator(f"{CARD} .reminder.late")
    expect(banner).to_be_visible()
    expect(banner).to_contain_text("Nog steeds gepauzeerd.")
    expect(page).to_have_title(re.compile("^Gepauzeerd 0:"))
    expect(page.locator("[data-said]")).to_contain_text("Nog steeds gepauzeerd.")
    free_of_barriers(page)
    live = desk.house.service.live(call.call_id)
    page.goto(f"{desk.house.url}/calls/{live['id']}/why")
    eventually(lambda: _reminded(page), "the recorder told of the pause", PATIENCE_S)
    expect(page.locator(".decided")).to_contain_text("wordt opgenomen")
    page.goto(f"{desk.house.url}/live")
    button(page, "resume").click()
    expect(page.locator(STATE)).to_have_text("Neemt op")
    expect(banner).to_have_count(0)
    expect(page).not_to_have_title(re.compile("^Gepauzeerd"))


def _reminded(page: Page) -> bool:
    page.reload()
    return page.locator(".trace", has_text="De pauze duurde lang").count() == 1


def test_who_leads_the_team_sees_its_calls_and_can_press_nothing(desk: Desk, telephones: Telephones) -> None:
    page = opened(desk, ILSE)
    call = telephones.call(SANNE)
    row = page.locator("[data-section=others] [data-call]")
    expect(row.locator("[data-state-text]")).to_have_text("Neemt op")
    expect(row).to_contain_text(SANNE.login)
    assert row.locator("[data-verb]").count() == 0
    telephones.hang_up(call)
    expect(row.locator("[data-state-text]")).to_have_text("Afgelopen")


def test_a_refused_command_is_told_with_its_reason_and_changes_nothing(
    desk: Desk, telephones: Telephones
) -> None:
    """The page has not heard of a pause yet; with a script and without one the recorder's reason is shown."""
    person = BY_MODE[RecordingMode.ALWAYS_PAUSE]
    call = telephones.call(person)
    page = opened(desk, person)
    expect(page.locator(STATE)).to_have_text("Neemt op")
    old = page.evaluate(
        "fetch('/live/calls', {headers: {'HX-Request': 'true'}}).then(answer => answer.text())"
    )
    page.route("**/live/calls", lambda route: route.fulfill(body=old, content_type="text/html"))
    live = desk.house.service.live(call.call_id)
    assert desk.house.service.command(live["id"], "pause").status == 201
    button(page, "pause").click()
    expect(page.locator("[data-told] [role=alert]")).to_contain_text("Het is al gepauzeerd.")
    assert capture(desk.house, call) == "paused"
    plain = desk.browser.new_context(
        java_script_enabled=False, storage_state=desk.house.states[person.login], locale="nl-NL"
    )
    bare = plain.new_page()
    bare.goto(f"{desk.house.url}/live")
    assert desk.house.service.command(live["id"], "resume").status == 201
    bare.locator("[data-verb=resume]").click()
    expect(bare.locator("[role=alert]")).to_contain_text("Het is niet gepauzeerd.")
    expect(bare.locator(STATE)).to_have_text("Neemt op")
    bare.locator("[data-verb=pause]").click()
    expect(bare.locator(STATE)).to_have_text("Gepauzeerd")
    plain.close()


def test_a_recorder_that_does_not_answer_is_told_and_its_call_never_called_recorded(
    desk: Desk, telephones: Telephones
) -> None:
    person = BY_MODE[RecordingMode.ALWAYS_PAUSE]
    call = telephones.call(person)
    page = opened(desk, person)
    expect(page.locator(STATE)).to_have_text("Neemt op")
    desk.expected.add(504)
    with stopped(recorder(desk.house)):
        button(page, "pause").click()
        expect(page.locator("[data-told] [role=alert]")).to_contain_text("antwoordt niet")
        expect(page.locator(STATE)).to_have_text("Onbekend")
        assert page.locator(f"{CARD} .rec-dot").count() == 0
        assert verbs(page) == []
    expect(page.locator(STATE)).to_have_text("Neemt op")
    assert capture(desk.house, call) == "recording"


def test_a_recorder_that_is_killed_during_the_call_is_shown_as_it_is(
    desk: Desk, telephones: Telephones
) -> None:
    """It comes back by itself; the page ends with what the new one says of the call."""
    person = BY_MODE[RecordingMode.ALWAYS_PAUSE]
    call = telephones.call(person)
    page = opened(desk, person)
    expect(page.locator(STATE)).to_have_text("Neemt op")
    before = recorder(desk.house)
    before.kill()

    def agrees() -> bool:
        if before.is_running():
            return False
        under_way = [each["capture"] for each in desk.house.service.calls() if each["callId"] == call.call_id]
        said = page.locator(f"{CARD}:not([data-ended]) [data-state-text]").all_inner_texts()
        return said == (["Neemt op"] if under_way == ["recording"] else [])

    eventually(agrees, "the page says what the recorder says", PATIENCE_S)


def test_a_lost_connection_is_said_and_the_page_goes_on_where_it_was(
    desk: Desk, telephones: Telephones
) -> None:
    person = BY_MODE[RecordingMode.ALWAYS_PAUSE]
    page = opened(desk, person)
    call = telephones.call(person)
    expect(page.locator(STATE)).to_have_text("Neemt op")
    page.context.set_offline(True)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("[data-lost]")).to_be_visible()
    expect(button(page, "pause")).to_have_attribute("aria-disabled", "true")
    live = desk.house.service.live(call.call_id)
    assert desk.house.service.command(live["id"], "pause").status == 201
    page.context.set_offline(False)
    expect(page.locator("[data-lost]")).to_be_hidden()
    expect(page.locator(STATE)).to_have_text("Gepauzeerd")


def test_lists_that_do_not_come_are_asked_for_anew(desk: Desk, telephones: Telephones) -> None:
    """One answer never comes, as over a line that is dead and not closed; the events go on."""
    person = BY_MODE[RecordingMode.ALWAYS_PAUSE]
    page = opened(desk, person)
    call = telephones.call(person)
    expect(page.locator(STATE)).to_have_text("Neemt op")
    page.route("**/live/calls", lambda _: None, times=1)
    assert desk.house.service.command(desk.house.service.live(call.call_id)["id"], "pause").status == 201
    expect(page.locator(STATE)).to_have_text("Gepauzeerd")
    expect(page.locator("[data-lost]")).to_be_hidden()


def test_who_signs_out_in_another_window_is_led_to_the_way_in(desk: Desk) -> None:
    """No page waits for a connection that will not come back."""
    page = desk.page()
    desk.sign_in(page, BY_MODE[RecordingMode.ALWAYS])
    page.goto(f"{desk.house.url}/live")
    expect(page.locator("[data-fresh-text]")).to_contain_text("Verbonden")
    other = page.context.new_page()
    other.goto(f"{desk.house.url}/help")
    other.get_by_role("button", name="Log uit").click()
    page.wait_for_url("**/sign-in?next=/live")


@pytest.mark.parametrize(("width", "theme"), [(WIDE, "light"), (NARROW, "dark")])
def test_no_state_of_the_page_has_a_barrier(
    desk: Desk, telephones: Telephones, width: int, theme: str
) -> None:
    """A call of one's own and those of others, paused, failed, not known and without a connection."""
    person = BY_MODE[RecordingMode.ALWAYS_PAUSE]
    call = telephones.call(person)
    telephones.call(SANNE)
    live = desk.house.service.live(call.call_id)
    page = opened(desk, person, width=width, theme=theme)
    team = opened(desk, ILSE, width=width, theme=theme)
    expect(page.locator(STATE)).to_have_text("Neemt op")
    expect(team.locator("[data-section=others] [data-state-text]")).to_have_text("Neemt op")
    page.emulate_media(reduced_motion="reduce")
    breathes = page.locator(".rec-dot").evaluate("dot => getComputedStyle(dot).animationName")
    assert breathes == "none"
    free_of_barriers(page)
    free_of_barriers(team)
    assert desk.house.service.command(live["id"], "pause").status == 201
    expect(page.locator(STATE)).to_have_text("Gepauzeerd")
    free_of_barriers(page)
    desk.expected.add(504)
    with stopped(recorder(desk.house)):
        settled(page)
        button(page, "resume").click()
        expect(page.locator("[data-told] [role=alert]")).to_be_visible()
        expect(page.locator(STATE)).to_have_text("Onbekend")
        free_of_barriers(page)
    page.goto(f"{desk.house.url}/calls/{live['id']}/why")
    expect(page.locator("h1")).to_have_text("Waarom wel of niet opgenomen?")
    free_of_barriers(page)
    team.context.set_offline(True)
    team.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(team.locator("[data-lost]")).to_be_visible()
    free_of_barriers(team)


def free_of_barriers(page: Page) -> None:
    settle(page)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, f"{overflow} px wider than the window"
    verdict = axe.look(page)
    assert not verdict.violations, axe.told(verdict.violations)
