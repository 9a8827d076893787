"""Over the API an administrator keeps a recording for longer, and never for shorter."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from archive import jobs
from archive.access import AccessScope, Scope
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
