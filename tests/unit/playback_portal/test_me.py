"""People choose for themselves what their administrator lets them choose, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from archive.audit import AuditWriter
from archive.catalogue import audit_entries, directory, keep_next
from archive.errors import CatalogueUnavailable
from archive.model import RecordingMode

SETTINGS, KEEP_NEXT = "/v1/me/recording-settings", "/v1/me/keep-next"


@pytest.fixture(autouse=True)
def as_before(house: Any, clock: Any) -> Iterator[None]:
    """Put back what a test changed of Anna."""
    yield
    anna = house.people["anna"]
    directory.set_user(house.portal, house.tenant_id, "anna", now=clock.now(), mode=anna.mode)


async def test_a_person_sees_how_they_are_recorded_and_what_they_may_choose(api: Any) -> None:
    answer = await api.get(SETTINGS, "anna")
    assert answer.status == 200
    assert await answer.json() == {
        "mode": "on-demand",
        "ownModes": ["always-pause", "on-demand"],
        "licence": "90d",
        "keepNext": None,
    }


async def test_an_allowed_mode_is_taken_at_once_and_stands_in_the_log_from_what_to_what(api: Any) -> None:
    answer = await api.send("PATCH", SETTINGS, "anna", {"mode": "always-pause"})
    assert answer.status == 200
    assert (await answer.json())["mode"] == "always-pause"
    assert (await (await api.get(SETTINGS, "anna")).json())["mode"] == "always-pause"
    anna = api.house.people["anna"].id
    entry = audit_entries.of_object(api.house.portal, api.house.tenant_id, f"user:{anna}")[-2]
    assert (entry.action, entry.result) == ("settings.changed", "ok")
    assert entry.body is not None
    assert entry.body["mode"] == {"from": "on-demand", "to": "always-pause"}


@pytest.mark.parametrize(("key", "mode"), [("anna", "never"), ("anna", "always"), ("bert", "on-demand")])
async def test_a_mode_that_is_not_theirs_to_choose_is_refused_with_the_reason(
    api: Any, key: str, mode: str
) -> None:
    answer = await api.send("PATCH", SETTINGS, key, {"mode": mode})
    assert answer.status == 403
    assert "The administrator" in (await answer.json(content_type=None))["detail"]
    user_id = api.house.people[key].id
    entry = audit_entries.of_object(api.house.portal, api.house.tenant_id, f"user:{user_id}")[-1]
    assert (entry.action, entry.result) == ("settings.changed", "refused")
    before = api.house.people[key].mode
    assert directory.user_by_id(api.house.portal, api.house.tenant_id, user_id).mode == before


async def test_the_mode_one_has_already_may_be_said_again(api: Any) -> None:
    answer = await api.send("PATCH", SETTINGS, "bert", {"mode": RecordingMode.ALWAYS_PAUSE})
    assert answer.status == 200
    assert (await api.send("PATCH", SETTINGS, "bert", {})).status == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"mode": "loud"}, "/mode"),
        ({"mode": None}, "/mode"),
        ({"licence": "7y-3500"}, "/licence"),
        ({"ownModes": ["never"]}, "/ownModes"),
        ([], "/"),
    ],
)
async def test_what_is_wrong_with_a_change_is_named_by_its_pointer(api: Any, body: Any, pointer: str) -> None:
    answer = await api.send("PATCH", SETTINGS, "anna", body)
    assert answer.status == 400
    faults = (await answer.json(content_type=None))["errors"]
    assert [fault["parameter"] for fault in faults] == [pointer]


async def test_a_change_of_what_was_changed_meanwhile_is_not_made(api: Any) -> None:
    seen = (await api.get(SETTINGS, "anna")).headers["ETag"]
    await api.send("PUT", KEEP_NEXT, "anna")
    answer = await api.send("PATCH", SETTINGS, "anna", {"mode": "always-pause"}, {"If-Match": seen})
    assert answer.status == 412
    now = (await api.get(SETTINGS, "anna")).headers["ETag"]
    answer = await api.send("PATCH", SETTINGS, "anna", {"mode": "always-pause"}, {"If-Match": now})
    assert answer.status == 200


async def test_the_next_call_is_kept_for_an_hour_unless_another_time_is_said(api: Any, clock: Any) -> None:
    answer = await api.send("PUT", KEEP_NEXT, "anna")
    assert (answer.status, await answer.json()) == (200, {"until": "2026-11-22T10:30:00.123Z"})
    answer = await api.send("PUT", KEEP_NEXT, "anna", {"minutes": 5})
    assert (await answer.json())["until"] == "2026-11-22T09:35:00.123Z"
    answer = await api.send("PUT", KEEP_NEXT, "anna", {"until": "2026-11-29T10:30:00.123+01:00"})
    assert (await answer.json())["until"] == "2026-11-29T09:30:00.123Z"
    shown = (await (await api.get(SETTINGS, "anna")).json())["keepNext"]
    assert shown == {"until": "2026-11-29T09:30:00.123Z"}
    anna = api.house.people["anna"].id
    until = keep_next.until_of(api.house.portal, api.house.tenant_id, anna, now=clock.now())
    assert until == clock.now() + timedelta(days=7)


@pytest.mark.parametrize(
    "body",
    [
        {"minutes": 0},
        {"minutes": 7 * 24 * 60 + 1},
        {"minutes": 1.5},
        {"minutes": True},
        {"minutes": "60"},
        {"until": "2026-11-22T09:30:00.123Z"},
        {"until": "2026-11-29T09:30:00.124Z"},
        {"until": "2026-11-22T12:00:00"},
        {"until": "tomorrow"},
        {"until": None},
        {"until": "2026-11-22T12:00:00Z", "minutes": 5},
        {"hours": 1},
    ],
)
async def test_a_promise_that_is_past_too_long_or_unclear_is_not_made(api: Any, body: Any) -> None:
    assert (await api.send("PUT", KEEP_NEXT, "anna", body)).status == 400
    assert (await (await api.get(SETTINGS, "anna")).json())["keepNext"] is None


async def test_a_promise_is_taken_back_and_taking_none_back_is_no_mistake(api: Any) -> None:
    await api.send("PUT", KEEP_NEXT, "anna")
    for _ in range(2):
        answer = await api.send("DELETE", KEEP_NEXT, "anna")
        assert (answer.status, await answer.read()) == (204, b"")
    assert (await (await api.get(SETTINGS, "anna")).json())["keepNext"] is None


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("PUT", KEEP_NEXT, None), ("POST", "/me/keep-next", {"minutes": "60"})],
)
async def test_without_the_log_nothing_is_promised(
    api: Any, clock: Any, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: dict[str, str] | None
) -> None:
    def away(*given: object, **named: object) -> None:
        raise CatalogueUnavailable("PostgreSQL does not answer.")

    anna = api.house.people["anna"]
    with monkeypatch.context() as patched:
        patched.setattr(AuditWriter, "append", away)
        headers = {"Authorization": f"Bearer {api.house.keys['anna']}"}
        answer = await api.client.request(method, path, data=body, headers=headers)
    assert answer.status == 503
    promised = keep_next.until_of(api.house.portal, api.house.tenant_id, anna.id, now=clock.now())
    assert promised is None


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", SETTINGS), ("PATCH", SETTINGS), ("PUT", KEEP_NEXT), ("DELETE", KEEP_NEXT)],
)
async def test_a_program_that_is_nobody_has_no_settings(api: Any, method: str, path: str) -> None:
    answer = await api.send(method, path)
    assert answer.status == 403
    assert "acts as that person" in (await answer.json(content_type=None))["detail"]
