"""Recordings are found by what was asked, newest first, as the contract describes them."""

from typing import Any

import pytest

from archive.model import RecordingState

pytestmark = pytest.mark.usefixtures("as_furnished")


async def items(api: Any, query: str = "") -> list[str]:
    answer = await api.get(f"/v1/recordings{query}")
    assert answer.status == 200, await answer.text()
    ids = {recording.id: name for name, recording in api.house.recordings.items()}
    return [ids[item["id"]] for item in (await answer.json())["items"]]


async def test_a_recording_is_the_object_of_the_contract(api: Any) -> None:
    recording = api.house.recordings["two-party"]
    answer = await api.get(api.path("two-party"))
    assert answer.content_type == "application/json"
    assert await answer.json() == {
        "id": recording.id,
        "callId": "call-3@192.0.2.7",
        "callGroup": recording.call_group,
        "state": "available",
        "onHold": False,
        "mode": "always",
        "owner": None,
        "direction": "in",
        "layout": "two-party",
        "startedAt": "2026-11-22T07:33:00.123Z",
        "endedAt": "2026-11-22T07:33:40.123Z",
        "durationMs": 40000,
        "parties": [
            {
                "channel": "a",
                "number": "+31612345678",
                "name": "Jansen, M.",
                "userId": None,
                "fromMs": 0,
                "toMs": 40000,
            },
            {"channel": "b", "number": "+31201234567", "name": "", "userId": None, "fromMs": 40, "toMs": 900},
        ],
        "retentionClass": "90d",
        "retainUntil": "2027-02-20T07:33:00.123Z",
        "remainingDays": 90,
        "spans": [
            {"kind": "loss", "channel": "a", "fromMs": 100, "toMs": 120, "by": None},
            {"kind": "pause", "channel": "both", "fromMs": 200, "toMs": 300, "by": "user:1"},
        ],
        "packets": {"received": 2000, "lost": 1, "duplicated": 2, "reordered": 3},
        "sha256": recording.sha256,
        "flags": ["late-start"],
    }


async def test_the_list_is_the_tenants_own_newest_first(api: Any) -> None:
    assert await items(api) == ["two-party", "mixed", "multi", "damaged", "unfinished"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?direction=out", ["mixed"]),
        ("?mode=never", []),
        ("?minDuration=2", ["two-party", "damaged"]),
        ("?minDuration=41", []),
        ("?q=0612345678&direction=out", ["mixed"]),
        ("?q=jansen&minDuration=2", ["two-party", "damaged"]),
        ("?q=nobody", []),
        ("?from=2026-11-22T07:32:00Z", ["two-party", "mixed"]),
        ("?from=2026-11-22T08:32:00%2B01:00&to=2026-11-22T07:33:00Z", ["mixed"]),
        ("?to=2026-11-22", []),
        ("?user=nobody", []),
    ],
)
async def test_filters_keep_what_was_asked_for(api: Any, query: str, expected: list[str]) -> None:
    assert await items(api, query) == expected


async def test_pages_follow_each_other_to_the_end(api: Any) -> None:
    seen, path = [], "/v1/recordings?limit=2"
    while path:
        answer = await api.get(path)
        page = await answer.json()
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        assert (page["next"] is None) == ("Link" not in answer.headers)
        path = page["next"] and f"/v1/recordings?limit=2&cursor={page['next']}"
        if path:
            assert path.partition("cursor=")[2] in answer.headers["Link"]
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=x",
        "direction=up",
        "mode=x",
        "from=x",
        "to=x",
        "minDuration=-1",
        "minDuration=604801",
        "q=" + "x" * 201,
        "unknown=1",
    ],
)
async def test_a_wrong_parameter_is_named(api: Any, query: str) -> None:
    answer = await api.get(f"/v1/recordings?{query}")
    assert answer.status == 400
    problem = await answer.json(content_type=None)
    assert [fault["parameter"] for fault in problem["errors"]] == [query.partition("=")[0]]


async def test_a_parameter_where_none_belongs_is_wrong_too(api: Any) -> None:
    assert (await api.get(api.path("two-party", "?x=1"))).status == 400
    assert (await api.get(api.path("two-party", "/peaks?pps=3"))).status == 400
    assert (await api.get(api.path("two-party", "/timeline?x=1"))).status == 400


async def test_text_the_database_can_not_store_finds_nothing_and_breaks_nothing(api: Any) -> None:
    assert await items(api, "?q=%00%25'%22%3B--&user=%00") == []


@pytest.mark.parametrize(("query", "pps", "bins"), [("", 2, 80), ("?pps=2", 2, 80), ("?pps=20", 20, 800)])
async def test_peaks_come_at_2_or_20_a_second(api: Any, query: str, pps: int, bins: int) -> None:
    peaks = await (await api.get(api.path("two-party", f"/peaks{query}"))).json()
    assert (peaks["pps"], peaks["bins"], peaks["channels"]) == (pps, bins, ["a", "b"])
    assert [len(levels) for levels in peaks["data"]] == [bins, bins]
    assert "levels" not in peaks


async def test_timeline_and_metadata_are_what_was_archived(api: Any) -> None:
    assert await (await api.get(api.path("two-party", "/timeline"))).json() == {"version": 1, "spans": []}
    assert await (await api.get(api.path("two-party", "/metadata"))).json() == {"version": 1, "revisions": []}


async def test_the_history_tells_who_did_what_and_not_from_where(api: Any) -> None:
    await api.get(api.path("multi"))
    await api.audio("multi")
    history = (await (await api.get(api.path("multi", "/history"))).json())["items"]
    assert history[0]["action"] == "recording.archived"
    assert [entry["action"] for entry in history[-2:]] == ["recording.viewed", "recording.played"]
    assert history[-2]["actor"].startswith("api-client:")
    assert "request" in history[-2]["details"]
    assert "127.0.0.1" not in str(history)


async def test_sessions_tell_how_each_ended(api: Any) -> None:
    page = await (await api.get("/v1/sessions?limit=200", "sessions")).json()
    outcomes = [item["outcome"] for item in page["items"]]
    assert sorted(outcomes) == ["failed", "recorded", "recorded", "recorded", "recorded"]
    first = page["items"][0]
    assert first["recordingIds"] == [api.house.recordings["two-party"].id]
    assert (first["reason"], first["trace"]) == ("mode always", ["peer sbc-1"])
    assert (await api.get("/v1/sessions?from=x&limit=0", "sessions")).status == 400
    assert (await (await api.get("/v1/sessions?to=2020-01-01", "sessions")).json())["items"] == []


async def test_another_tenant_sees_its_own_recordings_alone(api: Any) -> None:
    page = await (await api.get("/v1/recordings", "strangers")).json()
    assert [item["id"] for item in page["items"]] == [api.house.recordings["strangers"].id]


async def test_an_unfinished_recording_is_seen_but_has_no_sound(api: Any) -> None:
    assert (await (await api.get(api.path("unfinished"))).json())["state"] == RecordingState.PROCESSING
    answer = await api.audio("unfinished")
    assert answer.status == 409
    assert "processing" in (await answer.json(content_type=None))["detail"]
