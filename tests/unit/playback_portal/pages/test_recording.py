"""The page of a recording: what stands on it, when it shows no player, and where people go on."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from archive.catalogue import accounts, directory, positions
from archive.model import Layout, RecordingState, Role, Span, SpanKind, new_id
from playback_portal import history, player
from playback_portal.player import BANDS_COUNT_MAX, LATE_MS_MIN, LOSS_GAP_MS, QUIET_MS_MIN
from playback_portal.positions import POSITION_MS_MAX

CALL = re.compile(r"data-call='([^']*)'")
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)


async def page_of(api: Any, name: str, key: str = "all", rest: str = "") -> tuple[int, str]:
    path = f"/recordings/{api.house.recordings[name].id}{rest}"
    answer = await api.get(path, key, {"Accept-Language": "nl"})
    return answer.status, await answer.text()


@pytest.fixture
def listener_key(house: Any) -> str:
    """A person who reaches everything, and so has positions of their own."""
    now = house.services().clock.now()
    user = directory.add_user(house.operator, house.tenant_id, new_id(now), now=now, role=Role.AUDITOR)
    scopes = ("recordings:read", "recordings:play")
    client = accounts.add_api_client(
        house.operator, house.tenant_id, new_id(now), scopes, now=now, user_id=user.id
    )
    house.keys["listener"] = client.key
    return "listener"


@pytest.mark.parametrize(("name", "lanes"), [("two-party", 2), ("mixed", 1), ("multi", 3)])
async def test_each_channel_has_a_lane(api: Any, name: str, lanes: int) -> None:
    status, text = await page_of(api, name)
    assert status == 200
    assert text.count('class="lane-head"') == lanes
    assert text.count("data-mute=") == (lanes if lanes > 1 else 0)
    assert INLINE.search(text) is None


async def test_the_head_tells_who_when_how_and_how_long_it_stays(api: Any) -> None:
    _, text = await page_of(api, "two-party")
    for told in ("Jansen, M.", "zondag 22 november 2026", "Altijd", "90 dagen", "nog 90 dagen", "Inkomend"):
        assert told in text


async def test_the_script_is_told_the_bands_and_the_clock(api: Any) -> None:
    _, text = await page_of(api, "two-party")
    found = CALL.search(text)
    assert found is not None
    call = json.loads(html.unescape(found[1]))
    assert [(band["kind"], band["fromMs"], band["toMs"], band["lane"]) for band in call["bands"]] == [
        ("loss", 100, 120, 0),
        ("pause", 200, 300, None),
    ]
    assert call["beganMs"] == ((8 * 60 + 33) * 60) * 1000 + 123  # 7:33 in UTC is 8:33 on the wall


async def test_a_page_holds_no_sound_and_no_contour(api: Any) -> None:
    before = len(api.house.store.fetched)
    await page_of(api, "two-party")
    assert len(api.house.store.fetched) == before
    assert api.house.events("two-party")[-1] == ("recording.opened", "ok")


async def test_who_may_not_play_gets_no_player(api: Any) -> None:
    status, text = await page_of(api, "two-party", "reader")
    assert status == 200
    assert "Niet voor jou te horen" in text
    assert "<audio" not in text


async def test_what_is_not_finished_says_so(api: Any) -> None:
    status, text = await page_of(api, "unfinished")
    assert status == 200
    assert "Wordt verwerkt" in text
    assert "<audio" not in text


@pytest.mark.parametrize("rest", ["", "/history", "/why"])
async def test_another_tenants_recording_is_not_there(api: Any, rest: str) -> None:
    status, text = await page_of(api, "strangers", rest=rest)
    assert status == 404
    assert "Jansen" not in text


async def test_history_and_reasons_are_pieces_of_a_page(api: Any) -> None:
    await page_of(api, "two-party")
    status, text = await page_of(api, "two-party", rest="/history")
    assert status == 200
    assert "opende de pagina" in text
    assert "<html" not in text
    status, text = await page_of(api, "two-party", rest="/why")
    assert status == 200
    assert "Niemand in het bijzonder" in text
    assert "Het gesprek kwam binnen via sbc-1" in text


async def test_a_position_is_kept_for_a_person_and_shown_to_nobody_else(api: Any, listener_key: str) -> None:
    path = api.path("two-party", "/position")
    assert await (await api.get(path, listener_key)).json() == {"positionMs": 0}
    answer = await api.send("PUT", path, listener_key, {"positionMs": 12_345})
    assert (answer.status, await answer.json()) == (200, {"positionMs": 12_345})
    assert await (await api.get(path, listener_key)).json() == {"positionMs": 12_345}
    assert await (await api.get(path, "player")).json() == {"positionMs": 0}
    _, text = await page_of(api, "two-party", listener_key)
    found = CALL.search(text)
    assert found is not None
    assert json.loads(html.unescape(found[1]))["positionMs"] == 12_345


async def test_a_position_lies_within_the_recording(api: Any, listener_key: str) -> None:
    path = api.path("two-party", "/position")
    answer = await api.send("PUT", path, listener_key, {"positionMs": POSITION_MS_MAX})
    assert (await answer.json())["positionMs"] == api.house.recordings["two-party"].duration_ms
    for wrong in (POSITION_MS_MAX + 1, -1, 1.5, True, "1", None):
        answer = await api.send("PUT", path, listener_key, {"positionMs": wrong})
        assert answer.status == 400


async def test_programs_that_act_for_nobody_keep_no_position(api: Any) -> None:
    answer = await api.send("PUT", api.path("two-party", "/position"), "player", {"positionMs": 1})
    assert answer.status == 403
    answer = await api.get(api.path("unfinished", "/position"), "player")
    assert answer.status == 409


def with_spans(house: Any, *spans: Span, **changes: Any) -> Any:
    return dataclasses.replace(house.recordings["two-party"], spans=spans, **changes)


def test_losses_nobody_tells_apart_are_one_band(house: Any) -> None:
    near, far = Span(SpanKind.LOSS, "a", 1000, 1100), Span(SpanKind.LOSS, "b", 1100 + LOSS_GAP_MS - 1, 2200)
    joined = player.bands(with_spans(house, near, far))
    assert [(band.from_ms, band.to_ms, band.lane, band.count) for band in joined] == [(1000, 2200, None, 2)]
    later = dataclasses.replace(far, from_ms=1100 + LOSS_GAP_MS)
    assert len(player.bands(with_spans(house, near, later))) == 2


def test_a_beginning_is_late_from_when_it_can_be_heard(house: Any) -> None:
    assert player.bands(with_spans(house, Span(SpanKind.LATE, "a", 0, LATE_MS_MIN - 1))) == []
    assert len(player.bands(with_spans(house, Span(SpanKind.LATE, "a", 0, LATE_MS_MIN)))) == 1


def test_of_more_bands_than_can_be_seen_pauses_stay(house: Any) -> None:
    losses = [Span(SpanKind.LOSS, "a", n * 5000, n * 5000 + 100) for n in range(BANDS_COUNT_MAX)]
    assert len(player.bands(with_spans(house, *losses))) == BANDS_COUNT_MAX
    pause = Span(SpanKind.PAUSE, "both", 50, 60, "user:1")
    kept = player.bands(with_spans(house, *losses, pause))
    assert len(kept) == BANDS_COUNT_MAX
    assert kept[0].kind is SpanKind.PAUSE or kept[1].kind is SpanKind.PAUSE


def test_only_what_is_silent_in_every_channel_is_quiet(house: Any) -> None:
    silent = SpanKind.SILENCE
    spans = (Span(silent, "a", 0, 3000), Span(silent, "b", 1000, 1000 + QUIET_MS_MIN))
    assert player.quiet(with_spans(house, *spans)) == [(1000, 1000 + QUIET_MS_MIN)]
    shorter = (spans[0], Span(silent, "b", 1000, 999 + QUIET_MS_MIN))
    assert player.quiet(with_spans(house, *shorter)) == []
    alone = with_spans(house, Span(silent, "mixed", 0, 800), channels=("mixed",), layout=Layout.MIXED)
    assert player.quiet(alone) == [(0, 800)]


async def test_listening_in_pieces_is_one_line_of_the_history(api: Any) -> None:
    def listened() -> list[history.Deed]:
        told = history.deeds(api.house.history("multi"))
        return [deed for deed in told if deed.action == "recording.played"]

    before = len(listened())  # others of these tests listen to it too
    for part in ("bytes=0-9", "bytes=10-19", "bytes=20-29"):
        await (await api.audio("multi", key="player", headers={"Range": part})).read()
    assert len(listened()) <= before + 1
    assert listened()[-1].times >= 3


def test_a_play_link_is_nobody_by_name_in_the_history() -> None:
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    by = [
        history.Deed(actor, "share.opened", "ok", moment, moment)
        for actor in ("share:01", "user:01", "api-client:01")
    ]
    assert [(deed.by_link, deed.user_id) for deed in by] == [(True, ""), (False, "01"), (False, "")]


def test_positions_of_who_is_nobody_are_zero(house: Any) -> None:
    recording = house.recordings["two-party"]
    from archive.access import AccessScope

    assert positions.kept(house.portal, AccessScope(house.tenant_id, "api-client:x"), recording) == 0
    assert recording.state is RecordingState.AVAILABLE


async def test_the_access_tab_tells_who_can_hear_it_by_what_and_whether_they_did(
    api: Any, listener_key: str
) -> None:
    """An auditor who listened has a count; programs stand there too."""
    await api.audio("two-party", key=listener_key)
    status, text = await page_of(api, "two-party", rest="/access")
    assert status == 200
    assert "dit gesprek horen." in text
    row = next(each for each in text.split("<tr>") if "1 keer" in each)
    assert "Auditor" in row
    assert "Horen" in row
    assert "downloaden" not in row
    assert "Programma met een sleutel" in text
    assert api.house.events("two-party")[-1] == ("access.viewed", "ok")
