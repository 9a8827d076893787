"""Why one call is recorded or not, as a page: of calls that go on, that nobody kept, and of any offered session."""

from __future__ import annotations

import html
import re
from typing import Any

from archive.catalogue.call_events import EventKind
from archive.model import RecordingMode, RecordingState, new_id

UNKEPT: dict[str, Any] = {
    "state": RecordingState.UNKEPT,
    "capture": "pre-roll",
    "mode": RecordingMode.ON_DEMAND,
}


async def page_of(api: Any, path: str, key: str = "anna", language: str = "nl") -> tuple[int, str]:
    answer = await api.get(path, key, {"Accept-Language": language})
    return answer.status, html.unescape(await answer.text())


async def test_of_a_call_that_goes_on_its_events_and_how_it_stands_are_told(api: Any, exchange: Any) -> None:
    call = exchange.call(mode=RecordingMode.ALWAYS_PAUSE, capture="paused")
    by = f"user:{call.owner}"
    exchange.publish(
        call,
        exchange.event(call, EventKind.CALL_STARTED),
        exchange.event(call, EventKind.RECORDING_PAUSED, by=by),
    )
    status, text = await page_of(api, f"/calls/{call.recording_id}/why")
    assert status == 200
    for words in (
        "Het gesprek loopt nu.",
        "Altijd met pauze",
        "De opname is gepauzeerd.",
        "door anna",
        "10:30:00",
    ):
        assert words in text, words
    exchange.lose()
    assert "Onbekend" in (await page_of(api, f"/calls/{call.recording_id}/why"))[1]


async def test_a_call_that_nobody_kept_says_so_to_its_owner_and_is_not_there_for_others(
    api: Any, exchange: Any
) -> None:
    call = exchange.call(**UNKEPT)
    exchange.hang_up(
        call,
        exchange.event(call, EventKind.CALL_ENDED),
        exchange.event(call, EventKind.RECORDING_DISCARDED),
    )
    path = f"/calls/{call.recording_id}/why"
    status, text = await page_of(api, path, language="en")
    assert status == 200
    assert "It was not kept: nobody asked for it in time." in text
    nothing = await page_of(api, f"/calls/{new_id(api.house.services().clock.now())}/why", "bert")
    assert (nothing[0], (await page_of(api, path, "bert"))[0]) == (404, 404)
    assert (await page_of(api, path, "strangers"))[0] == 404


async def test_while_a_call_goes_on_its_decision_is_told_and_of_one_that_may_not_exist_nothing(
    api: Any, exchange: Any
) -> None:
    anna = api.house.people["anna"].id
    lines = (
        "peer centrale",
        f"user {anna} by number",
        f"user {anna}: mode always-pause, class 365d",
        "a line nobody foresaw",
    )
    call = exchange.call(mode=RecordingMode.ALWAYS_PAUSE, trace=lines)
    status, text = await page_of(api, f"/calls/{call.recording_id}/why", language="en")
    assert status == 200
    for words in (
        "How the recorder decided",
        "The call came in by centrale.",
        "anna was found by number.",
        "anna is recorded: the mode is Always with pause",
        '<li lang="en">a line nobody foresaw',
    ):
        assert words in text, words
    assert (await page_of(api, f"/calls/{call.recording_id}/why", "bert"))[0] == 404
    exchange.erase(call)
    assert (await page_of(api, f"/calls/{call.recording_id}/why"))[0] == 404


async def test_no_more_is_said_of_a_call_than_is_known(api: Any, exchange: Any) -> None:
    """Over and waiting to be kept, of a lost recorder, never begun, and without any word of its end."""

    async def verdict(call: Any) -> str:
        _, text = await page_of(api, f"/calls/{call.recording_id}/why", language="en")
        return str(re.search(r'<div class="verdict"><p>(.*?)</p>', text)[1])  # type: ignore[index]

    grace = exchange.call(mode=RecordingMode.ON_DEMAND, state=RecordingState.GRACE, capture="grace")
    assert await verdict(grace) == "The call is over. It is destroyed unless it is kept in time."
    begin, end = EventKind.CALL_STARTED, EventKind.CALL_ENDED
    armed = exchange.call(mode=RecordingMode.ON_DEMAND_START, state=RecordingState.UNKEPT, capture="armed")
    exchange.hang_up(armed, exchange.event(armed, begin), exchange.event(armed, end))
    assert await verdict(armed) == "The call is over. Nothing of it was recorded."
    left = exchange.call()
    exchange.hang_up(left, exchange.event(left, begin))
    assert await verdict(left) == "What became of this call is not known: nothing was told of its end."
    kept = exchange.call()
    exchange.hang_up(kept, exchange.event(kept, begin), exchange.event(kept, end))
    assert await verdict(kept) == "The call is over. What was recorded of it is stored, or soon will be."
    going = exchange.call()
    assert await verdict(going) == "The call goes on now."
    exchange.lose()
    assert (await verdict(going)).startswith("The recorder of this call does not answer.")


async def test_what_was_recorded_leads_to_the_page_of_its_recording(api: Any) -> None:
    recording = api.house.recordings["two-party"]
    answer = await api.get(f"/calls/{recording.id}/why", "all", {"Accept-Language": "nl"})
    assert answer.status == 200
    assert answer.url.path == f"/recordings/{recording.id}/why"
    text = html.unescape(await answer.text())
    assert "<h1>Waarom wel of niet opgenomen?</h1>" in text
    assert "Hoe de recorder besliste" in text


async def test_the_panel_of_the_recording_is_a_piece_and_the_page_is_whole(api: Any) -> None:
    path = f"/recordings/{api.house.recordings['two-party'].id}/why"
    piece = await (await api.get(path, "all", {"HX-Request": "true"})).text()
    assert "<html" not in piece
    assert f'href="{path}"' in piece
    whole = (await page_of(api, path, "all"))[1]
    assert "<html" in whole
    assert f'href="{path}"' not in whole


async def test_an_offered_session_is_explained_to_who_reads_sessions_alone(api: Any) -> None:
    session = api.house.recordings["two-party"].session_id
    status, text = await page_of(api, f"/calls/{session}/why", "all", "en")
    assert (status, "It was recorded." in text) == (200, True)
    assert (await page_of(api, f"/calls/{session}/why", "anna"))[0] == 404


async def test_a_call_is_found_by_its_call_id_and_leads_to_its_why(api: Any) -> None:
    session = api.house.recordings["two-party"].session_id
    answer = await api.get(f"/calls/why?q={session}", "all", {"Accept-Language": "en"})
    assert answer.url.path == f"/calls/{session}/why"
    assert "It was recorded." in html.unescape(await answer.text())
    listed = await (await api.get(f"/v1/sessions?q={session}", "sessions")).json()
    assert [each["id"] for each in listed["items"]] == [session]
    shared = listed["items"][0]["callId"]
    several = (await (await api.get(f"/v1/sessions?q={shared}", "sessions")).json())["items"]
    status, text = await page_of(api, f"/calls/why?q={shared}", "all", "en")
    assert status == 200
    if len(several) > 1:
        assert all(f"/calls/{each['id']}/why" in text for each in several)


async def test_an_id_nobody_knows_and_whoever_may_not_ask_find_nothing(api: Any) -> None:
    status, text = await page_of(api, "/calls/why?q=%3Cscript%3E", "all", "en")
    assert (status, "No call goes by this id" in text) == (200, True)
    assert "Which call?" in (await page_of(api, "/calls/why", "all", "en"))[1]
    assert (await page_of(api, "/calls/why", "anna"))[0] == 403
    assert (await page_of(api, f"/calls/why?q={'x' * 600}", "all"))[0] == 400
    session = api.house.recordings["two-party"].session_id
    assert "No call goes by this id" in (await page_of(api, f"/calls/why?q={session}", "strangers", "en"))[1]
