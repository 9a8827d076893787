"""Reports over the API: the same numbers as JSON and as files, of days that make sense, each look entered."""

from __future__ import annotations

from typing import Any

import pytest

from archive.catalogue import audit_entries, directory, teams
from archive.catalogue.directory import Capacity
from archive.reports.report import Name
from tests.unit.playback_portal.conftest import NOW

NOVEMBER = "from=2026-11-01&to=2026-11-22"


async def test_every_report_answers_with_columns_rows_and_as_of_when(api: Any) -> None:
    for name in Name:
        answer = await api.get(f"/v1/reports/{name}?{NOVEMBER}")
        assert answer.status == 200, await answer.text()
        told = await answer.json()
        assert (told["report"], told["from"], told["to"], told["team"]) == (
            name,
            "2026-11-01",
            "2026-11-22",
            None,
        )
        assert told["asOf"].startswith("2026-11-22T09:30")
        assert all(set(row) == {column["key"] for column in told["columns"]} for row in told["rows"])


async def test_what_was_recorded_is_in_the_usage_of_the_day(api: Any) -> None:
    told = await (await api.get(f"/v1/reports/usage?{NOVEMBER}&by=day")).json()
    assert len(told["rows"]) == 22
    assert told["totals"]["recordings"] == sum(row["recordings"] for row in told["rows"])
    strangers = await (await api.get(f"/v1/reports/usage?{NOVEMBER}&by=day", "strangers")).json()
    assert strangers["totals"]["recordings"] < max(told["totals"]["recordings"], 2)


async def test_without_days_it_is_the_month_so_far(api: Any) -> None:
    told = await (await api.get("/v1/reports/storage")).json()
    assert (told["from"], told["to"]) == ("2026-11-01", "2026-11-22")


@pytest.mark.parametrize(
    ("form", "media_type", "begins"),
    [
        ("csv", "text/csv", b"\xef\xbb\xbfDag;Erbij;"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK"),
        ("pdf", "application/pdf", b"%PDF-"),
    ],
)
async def test_a_report_is_fetched_as_a_file(api: Any, form: str, media_type: str, begins: bytes) -> None:
    answer = await api.get(f"/v1/reports/storage?{NOVEMBER}&format={form}&language=nl")
    assert answer.status == 200
    assert answer.content_type == media_type
    assert answer.headers["Content-Disposition"] == (
        f'attachment; filename="storage-2026-11-01-2026-11-22.{form}"'
    )
    assert (await answer.read()).startswith(begins)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("from=2026-11-31", "from"),
        ("from=1-11-2026", "from"),
        ("from=2026-11-02&to=2026-11-01", "from"),
        ("from=2025-01-01&to=2026-11-22", "from"),
        ("by=day&from=2026-11-01", "by"),
        ("by=x", "by"),
        ("team=x", "team"),
        ("format=doc", "format"),
        ("language=de", "language"),
        ("x=1", "x"),
    ],
)
async def test_what_makes_no_sense_is_named(api: Any, query: str, named: str) -> None:
    answer = await api.get(f"/v1/reports/minutes?{query}")
    assert answer.status == 400
    assert [each["parameter"] for each in (await answer.json())["errors"]] == [named]


async def test_a_report_there_is_not_is_not_found(api: Any) -> None:
    assert (await api.get("/v1/reports/everything")).status == 404


async def test_a_team_one_does_not_manage_is_not_found(api: Any) -> None:
    house = api.house
    team_id = directory.add_team(house.operator, house.tenant_id, "Reports only", now=NOW)
    assert (await api.get(f"/v1/reports/usage?team={team_id}")).status == 200
    assert (await api.get(f"/v1/reports/usage?team={team_id}", "anna")).status in {403, 404}
    teams.enter(house.operator, house.tenant_id, team_id, house.people["anna"].id, Capacity.LISTENER, now=NOW)
    assert (await api.get(f"/v1/reports/usage?team={team_id}", "anna")).status in {403, 404}


async def test_looking_at_a_report_is_entered_with_its_days(api: Any) -> None:
    await api.get(f"/v1/reports/pauses?{NOVEMBER}")
    found = [
        each
        for each in audit_entries.of_tenant(api.house.portal, api.house.tenant_id)
        if each.action == "report.viewed" and each.object == "report:pauses"
    ]
    assert found
    body = found[-1].body
    assert body is not None
    assert (body["from"], body["to"]) == ("2026-11-01", "2026-11-22")
