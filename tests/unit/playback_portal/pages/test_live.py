"""The page of calls under way: exactly the buttons that work, the truth about each call, and answers in words."""

from __future__ import annotations

import dataclasses
import html
import itertools
import re
from datetime import timedelta
from typing import Any

import pytest

from archive.access import AccessScope, Scope
from archive.call_commands import VERBS, allowed, refusal
from archive.catalogue import accounts, audit_entries, directory, live_calls
from archive.catalogue.live_calls import PAGE_ROWS_MAX
from archive.model import RecordingId, RecordingMode, RecordingState, Role, new_id
from playback_portal import live
from playback_portal.confirmations import UNCONFIRMED, WITHDRAWN
from playback_portal.language import Language, translated
from playback_portal.live import BUTTONS, REFUSED
from playback_portal.pages.live import DOUBTFUL, SILENT
from playback_portal.services import LONG_PAUSE
from recorder.srs.effects import Limits
from recorder.srs.recording_mode import Capture

UNKEPT: dict[str, Any] = {"state": RecordingState.UNKEPT, "capture": "pre-roll"}
PAUSABLE: dict[str, Any] = {"mode": RecordingMode.ALWAYS_PAUSE}
PATHS = {button.verb: button.path for button in BUTTONS.values()}
VERB = re.compile(r'data-verb="(\w+)"')


async def shown(api: Any, key: str = "anna", path: str = "/live", language: str = "en") -> str:
    answer = await api.get(path, key, {"Accept-Language": language})
    assert answer.status == 200, await answer.text()
    return html.unescape(await answer.text())


async def pressed(api: Any, call: Any, verb: str, key: str = "anna", **headers: str) -> tuple[int, str]:
    path = f"/live/calls/{call.recording_id}/{PATHS[verb]}"
    headers = {"Accept-Language": "en", "HX-Request": "true", **headers}
    answer = await api.send("POST", path, key, headers=headers)
    return answer.status, html.unescape(await answer.text())


def entries(house: Any, action: str) -> list[Any]:
    written = audit_entries.of_object(house.portal, house.tenant_id, "recording")
    return [entry for entry in written if entry.action == action]


@pytest.mark.parametrize("mode", RecordingMode)
@pytest.mark.parametrize("capture", Capture)
async def test_a_row_has_exactly_the_buttons_that_the_recorder_would_obey(
    exchange: Any, mode: RecordingMode, capture: Capture
) -> None:
    call = exchange.call(mode=mode, capture=capture.value)
    mine = AccessScope(call.tenant_id, f"user:{call.owner}", Role.USER, call.owner)
    obeyed = {verb for verb, reason in allowed(mode, call.state, capture.value).items() if reason is None}
    if "keep" in obeyed:
        obeyed.discard("start")
    assert {button.verb for button in live.buttons_of(call, mine)} == obeyed
    others = dataclasses.replace(mine, user_id=None, actor="user:other")
    assert live.buttons_of(call, others) == ()
    program = AccessScope(call.tenant_id, "api-client:x", scopes=frozenset({Scope.CALLS_READ}))
    assert live.buttons_of(call, program) == ()


async def test_the_page_shows_ones_own_call_first_with_who_how_and_what_can_be_done(
    api: Any, exchange: Any
) -> None:
    call = exchange.call(**PAUSABLE)
    text = await shown(api)
    assert "Your call with 06 12345678" in text or "Your call with 06 1234 5678" in text
    assert VERB.findall(text) == ["pause"]
    assert f'action="/live/calls/{call.recording_id}/pauses"' in text
    assert "Always with pause" in text
    assert f"/calls/{call.recording_id}/why" in text
    dutch = await shown(api, language="nl")
    assert "Jouw gesprek met" in dutch
    assert "Pauzeer" in dutch


async def test_without_calls_the_page_says_so(api: Any) -> None:
    assert "No call is going on now" in await shown(api)
    assert "Er loopt nu geen gesprek" in await shown(api, language="nl")


async def test_who_sees_which_calls_is_as_the_api_says(api: Any, exchange: Any) -> None:
    kept, unkept = exchange.call("bert"), exchange.call(**UNKEPT)
    for key in ("anna", "bert", "watcher", "all", "strangers"):
        answer = await (await api.get("/v1/calls", key)).json()
        text = await shown(api, key, "/live/calls")
        found = set(re.findall(r'data-call="([^"]+)"', text))
        assert found == {item["id"] for item in answer["items"]}
    assert kept.recording_id not in await shown(api, "anna")
    assert unkept.recording_id not in await shown(api, "watcher")


async def test_who_only_watches_has_no_button(api: Any, exchange: Any) -> None:
    exchange.call("bert", **PAUSABLE)
    text = await shown(api, "watcher")
    assert VERB.findall(text) == []
    assert "Only who is recorded can pause" in text


async def test_a_call_of_a_lost_recorder_is_never_called_recorded(api: Any, exchange: Any) -> None:
    exchange.call(**PAUSABLE)
    assert "data-state-text>Recording now<" in await shown(api)
    exchange.lose()
    text = await shown(api)
    assert "data-state-text>Not known<" in text
    assert "data-state-text>Recording now<" not in text
    assert "rec-dot" not in text
    assert VERB.findall(text) == []
    assert "The recorder of this call does not answer." in text


async def test_of_a_mode_without_buttons_the_row_says_why(api: Any, exchange: Any) -> None:
    exchange.call(mode=RecordingMode.ALWAYS)
    text = await shown(api)
    assert VERB.findall(text) == []
    assert "Always: it can't be paused" in text


async def test_a_call_that_is_over_can_still_be_kept_below_the_others(api: Any, exchange: Any) -> None:
    call = exchange.call(
        mode=RecordingMode.ON_DEMAND,
        state=RecordingState.GRACE,
        capture="grace",
        grace_until=exchange.effective_at + timedelta(hours=3),
    )
    text = await shown(api)
    assert VERB.findall(text) == ["keep"]
    assert text.index('data-section="over"') < text.index(f'data-call="{call.recording_id}"')
    assert "You can still keep it." in text


async def test_a_pause_longer_than_the_reminder_of_the_recorder_stands_out(api: Any, exchange: Any) -> None:
    assert timedelta(seconds=Limits().reminder_s) == LONG_PAUSE
    now = api.house.services().clock.now()
    paused = {**PAUSABLE, "capture": "paused"}
    exchange.call(**paused, paused_at=now - LONG_PAUSE)
    assert 'class="reminder late"' in await shown(api)
    exchange.call(**paused, paused_at=now - LONG_PAUSE + timedelta(seconds=30))
    assert (await shown(api)).count('class="reminder late"') == 1


async def test_whose_mode_is_never_reads_why_their_calls_are_not_there(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "Your calls are not recorded and do not appear here: your mode is Never."
    assert told not in await shown(api)
    user_by_id = directory.user_by_id

    def never(*asked: Any) -> Any:
        return dataclasses.replace(user_by_id(*asked), mode=RecordingMode.NEVER)

    monkeypatch.setattr(directory, "user_by_id", never)
    assert told in await shown(api)
    # A program, and somebody without a number, has no calls of their own.
    assert told not in await shown(api, "all")
    assert told not in await shown(api, "watcher")


async def test_ones_own_call_is_there_with_its_buttons_however_many_others_talk(
    api: Any, exchange: Any
) -> None:
    me = accounts.authenticate_key(api.house.portal, api.house.keys["watcher"]).user_id
    mine = dataclasses.replace(exchange.call(**PAUSABLE), owner=me)
    exchange.publish(mine)
    others = [
        dataclasses.replace(
            mine,
            recording_id=RecordingId(new_id(mine.started_at)),
            owner=api.house.people["bert"].id,
            started_at=mine.started_at + timedelta(seconds=1 + number),
        )
        for number in range(PAGE_ROWS_MAX)
    ]
    live_calls.publish(api.house.recorder, mine.node, others)
    try:
        text = await shown(api, "watcher")
    finally:
        live_calls.publish(api.house.recorder, mine.node, erased=[call.recording_id for call in others])
    assert VERB.findall(text) == ["pause"]
    assert f'data-call="{mine.recording_id}"' in text.split('data-section="others"')[0]
    assert "There are more calls than this page shows." in text


@pytest.mark.parametrize("verb", PATHS)
async def test_what_the_recorder_confirmed_is_told_with_its_moment(
    api: Any, exchange: Any, verb: str
) -> None:
    call = exchange.call()
    status, text = await pressed(api, call, verb)
    assert status == 200
    assert 'role="status"' in text
    assert "10:30:00" in text
    assert [command.verb for command in exchange.taken] == [verb]
    (entry,) = audit_entries.of_object(
        api.house.portal, api.house.tenant_id, f"recording:{call.recording_id}"
    )
    assert (entry.result, entry.body["verb"]) == ("ok", verb)


async def test_without_a_script_a_button_leads_back_to_the_page(api: Any, exchange: Any) -> None:
    call = exchange.call(**PAUSABLE)
    path = f"/live/calls/{call.recording_id}/pauses"
    answer = await api.send("POST", path, "anna")
    assert (answer.status, answer.url.path) == (200, "/live")
    exchange.answer = lambda command: (False, refusal(call.mode, "paused", "pause"))
    answer = await api.send("POST", path, "anna", headers={"Accept-Language": "nl"})
    text = html.unescape(await answer.text())
    assert answer.status == 409
    assert "Pauzeren is niet gelukt." in text
    assert "Het is al gepauzeerd." in text
    assert call.recording_id in text


@pytest.mark.parametrize(
    ("language", "words"), [("nl", "Pauzeren kan pas na bewaren."), ("en", "only after")]
)
async def test_a_refusal_is_told_in_the_language_of_the_person(
    api: Any, exchange: Any, language: str, words: str
) -> None:
    call = exchange.call(**UNKEPT)
    exchange.answer = lambda command: (False, refusal(call.mode, "pre-roll", "pause"))
    before = len(entries(api.house, "recording.paused"))
    status, text = await pressed(api, call, "pause", **{"Accept-Language": language})
    assert status == 409
    assert 'role="alert"' in text
    assert words in text
    assert [entry.result for entry in entries(api.house, "recording.paused")[before:]] == ["refused"]


async def test_a_recorder_that_is_silent_is_told_as_it_is(api: Any, exchange: Any, monkeypatch: Any) -> None:
    call = exchange.call(**PAUSABLE)
    before = len(entries(api.house, "recording.paused"))
    exchange.answer = None
    status, text = await pressed(api, call, "pause")
    assert status == 504
    assert SILENT in text
    exchange.answer = lambda command: None
    status, text = await pressed(api, call, "pause")
    assert status == 504
    assert DOUBTFUL in text
    assert WITHDRAWN not in text
    assert UNCONFIRMED not in text
    assert [entry.result for entry in entries(api.house, "recording.paused")[before:]] == ["unconfirmed"] * 2


async def test_a_call_that_is_over_or_of_somebody_else_is_not_there(api: Any, exchange: Any) -> None:
    over, others = exchange.call(**PAUSABLE), exchange.call("bert", **UNKEPT)
    exchange.hang_up(over)
    assert await pressed(api, over, "pause") == await pressed(api, others, "pause")
    status, text = await pressed(api, over, "pause")
    assert (status, "The call is over." in text) == (404, True)
    assert exchange.taken == []


async def test_who_sees_a_call_of_somebody_else_may_not_command_it(api: Any, exchange: Any) -> None:
    call = exchange.call("bert", **PAUSABLE)
    status, text = await pressed(api, call, "pause", "watcher")
    assert (status, "Only who is recorded can do this." in text) == (403, True)
    assert exchange.taken == []


def test_every_refusal_the_recorder_can_give_has_words_of_its_own_in_dutch() -> None:
    for mode, capture, verb in itertools.product(RecordingMode, Capture, VERBS):
        if allowed(mode, RecordingState.RECORDING, capture.value)[verb] is None:
            continue
        sentence = refusal(mode, capture.value, verb)
        message = live.reason_of(sentence, verb, mode)
        assert (message == REFUSED) == ("that does nothing while" in sentence), sentence
        assert translated(Language.DUTCH, message) != message


def test_a_row_differs_in_its_print_as_soon_as_the_call_does(exchange: Any) -> None:
    call, now = exchange.call(), exchange.effective_at
    scope = AccessScope(call.tenant_id, f"user:{call.owner}", Role.USER, call.owner)
    other = dataclasses.replace(call, capture="held")
    rows = [
        live.row(each, scope, {}, now, known=known, long_pause=LONG_PAUSE)
        for each in (call, other)
        for known in (True, False)
    ]
    assert len({row.print for row in rows}) == len(rows)
    assert (
        live.row(call, scope, {}, now + timedelta(hours=1), known=True, long_pause=LONG_PAUSE).print
        == rows[0].print
    )


async def test_looking_again_while_a_stream_is_open_has_no_entry_of_its_own(api: Any, exchange: Any) -> None:
    def listed() -> int:
        written = audit_entries.of_object(api.house.portal, api.house.tenant_id, "calls")
        return len([entry for entry in written if entry.action == "calls.listed"])

    before = listed()
    await shown(api, "anna", "/live/calls")
    assert listed() == before + 1
    stream = await api.get("/v1/events", "anna")
    try:
        await shown(api, "anna", "/live/calls")
        assert listed() == before + 1
        await shown(api, "bert", "/live/calls")
        assert listed() == before + 2
    finally:
        stream.close()
