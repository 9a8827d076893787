"""Over the API an administrator keeps a recording for longer, and never for shorter."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from archive import jobs
from archive.access import AccessScope, Scope
from archive.allowance import ZONE
from archive.catalogue import recordings
from archive.model import Recording


@pytest.fixture
def stored(office: Any) -> Recording:
    made: Recording = office.stored()
    return made


async def test_a_recording_is_kept_for_longer_and_the_store_follows(
    office: Any, stored: Recording, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    path = f"/v1/recordings/{stored.id}/retention"
    later = (stored.retain_until + timedelta(days=400)).replace(microsecond=1)
    answer = await office.send("POST", path, {"retainUntil": later.isoformat(), "reason": "A claim"})
    assert answer.status == 201
    told = await answer.json()
    assert told["recordingId"] == stored.id
    assert told["retainUntil"] > told["formerly"]
    assert deferred == [(jobs.STORE_HOLDS, {"tenant_id": office.tenant.id})]
    scope = AccessScope(office.tenant.id, "test", scopes=frozenset({Scope.RECORDINGS_READ}))
    kept = recordings.get(office.house.portal, scope, stored.id).recording.retain_until
    assert kept == datetime.fromisoformat(told["retainUntil"])
    assert (kept - later, kept.microsecond) < (timedelta(seconds=1), 1)
    again = await office.send("POST", path, {"retainUntil": told["formerly"], "reason": "A slip"})
    assert (again.status, "never shorter" in (await again.json())["detail"]) == (403, True)
    assert len(deferred) == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"reason": "x"}, {"retainUntil": "2045-01-01"}, {"retainUntil": "soon", "reason": "x"}],
)
async def test_a_term_needs_a_moment_and_a_reason(office: Any, stored: Recording, body: Any) -> None:
    assert (await office.send("POST", f"/v1/recordings/{stored.id}/retention", body)).status == 400


async def test_the_term_of_what_is_not_there_is_not_made_longer(office: Any) -> None:
    body = {"retainUntil": "2045-01-01T00:00:00Z", "reason": "x"}
    other = office.house.recordings["two-party"].id
    assert (await office.send("POST", f"/v1/recordings/{other}/retention", body)).status == 404


def term_of(office: Any, stored: Recording) -> datetime:
    scope = AccessScope(office.tenant.id, "test", scopes=frozenset({Scope.RECORDINGS_READ}))
    until: datetime = recordings.get(office.house.portal, scope, stored.id).recording.retain_until
    return until


async def test_a_day_is_chosen_and_counts_whole_and_none_before_it_is_taken(
    office: Any, stored: Recording, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    path = f"/recordings/{stored.id}/term"
    page = await office.opened("boss", path)
    assert "nooit meer korter" in page
    day = (stored.retain_until + timedelta(days=40)).date()
    answer = await office.posted("boss", path, until=day.isoformat(), reason="Klacht 12")
    assert (answer.status, answer.headers["Location"]) == (303, f"/recordings/{stored.id}")
    local = term_of(office, stored).astimezone(ZONE)
    assert (local.date(), local.hour) == (day + timedelta(days=1), 0)
    assert deferred == [(jobs.STORE_HOLDS, {"tenant_id": office.tenant.id})]
    [entry] = [each for each in office.log(f"recording:{stored.id}") if each.action == "recording.lengthened"]
    assert entry.body["reason"] == "Klacht 12"
    # The first day that may be chosen is the one behind.
    assert f'min="{day + timedelta(days=1)}"' in await office.opened("boss", path)
    slip = await office.posted("boss", path, until=day.isoformat(), reason="Vergissing")
    assert slip.status == 400
    assert term_of(office, stored).astimezone(ZONE) == local


@pytest.mark.parametrize(
    ("until", "reason"),
    [
        ("", "x"),
        ("soon", "x"),
        ("2020-01-01", "x"),
        ("9999-12-31", "x"),
        ("2099-01-01", "x"),
        ("2040-01-01", ""),
    ],
)
async def test_what_can_not_be_kept_is_told_beside_its_field(
    office: Any, stored: Recording, until: str, reason: str
) -> None:
    answer = await office.posted("boss", f"/recordings/{stored.id}/term", until=until, reason=reason)
    assert answer.status == 400
    assert 'aria-invalid="true"' in await answer.text()
    assert term_of(office, stored) == stored.retain_until


async def test_the_dialog_is_for_administrators_and_of_their_own_recordings(
    office: Any, stored: Recording
) -> None:
    path = f"/recordings/{stored.id}/term"
    await office.opened("anna", path, 403)
    assert (await office.posted("anna", path, until="2040-01-01", reason="x")).status == 403
    theirs = office.house.recordings["two-party"].id
    await office.opened("boss", f"/recordings/{theirs}/term", 404)
    assert (
        await office.posted("boss", f"/recordings/{theirs}/term", until="2040-01-01", reason="x")
    ).status == 404
