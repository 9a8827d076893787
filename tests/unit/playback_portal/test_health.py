"""Living and being ready are two things, and the second is told as it is."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from archive.catalogue import retention_figures, scrubs, worm_proofs
from archive.catalogue.retention_figures import SWEPT_WITHIN, Figure
from archive.catalogue.scrubs import Progress
from archive.catalogue.worm_proofs import WormProof
from playback_portal import health
from playback_portal.app import create_app


async def test_a_portal_with_database_and_store_is_ready(api: Any) -> None:
    assert (await api.get("/livez", None)).status == 200
    answer = await api.get("/readyz", None)
    assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_a_portal_without_its_store_lives_and_is_not_ready(api: Any) -> None:
    api.house.store.away_after = 0
    answer = await api.get("/readyz", None)
    assert (answer.status, await answer.text()) == (503, "away: store\n")
    assert answer.headers["Retry-After"]
    assert (await api.get("/livez", None)).status == 200


async def test_a_dependency_that_hangs_is_away_and_asked_by_one_thread_alone(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "READY_S_MAX", 0.05)
    released, asked = threading.Event(), []

    def hanging() -> bool:
        asked.append(1)
        released.wait(30)
        return True

    services = house.services(checks={"database": hanging, "store": lambda: True})
    async with TestClient(TestServer(create_app(services))) as client:
        for _ in range(5):
            answer = await client.get("/readyz")
            assert (answer.status, await answer.text()) == (503, "away: database\n")
        released.set()
    assert len(asked) == 1


async def test_a_check_that_fails_on_its_own_is_away(house: Any) -> None:
    def broken() -> bool:
        raise OSError("no route to host")

    async with TestClient(TestServer(create_app(house.services(checks={"store": broken})))) as client:
        assert (await client.get("/readyz")).status == 503


async def test_the_figures_tell_whether_the_lock_of_the_bucket_is_proved(
    api: Any, house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never tried is not proved; a proof that failed tells how many probes did."""
    now = house.services().clock.now()

    async def told() -> dict[str, float]:
        text = await (await api.get("/metrics", None)).text()
        lines = (line.split() for line in text.splitlines() if line.startswith("earwitness_worm_"))
        return {name.removeprefix("earwitness_worm_"): float(value) for name, value in lines}

    with monkeypatch.context() as before:
        # What another test of this house kept stands there.
        before.setattr(worm_proofs, "newest", lambda _: None)
        assert await told() == {"proved": 0, "faults": 0, "tried_timestamp_seconds": 0}
    for faults in ((), ("boto3 shorten: x", "minio shorten: x")):
        proof = WormProof("localhost/x", now, not faults, "no", faults)
        with house.operator.transaction() as connection:
            worm_proofs.keep(connection, proof)
        tried = pytest.approx(now.timestamp(), abs=1)
        assert await told() == {
            "proved": not faults,
            "faults": len(faults),
            "tried_timestamp_seconds": tried,
        }


async def test_the_figures_tell_how_far_scrubbing_is_and_what_it_found(api: Any, house: Any) -> None:
    """As the worker counted it, for all customers together."""
    now = house.services().clock.now()
    scrubs.keep_progress(house.worker, Progress(7, 1, now, 2, 3, 4), now)
    text = await (await api.get("/metrics", None)).text()
    told = ("recordings 7.0", "overdue 1.0", "findings 2.0", "damaged_exports 3.0", "damaged_case_copies 4.0")
    for line in told:
        assert f"earwitness_scrub_{line}\n" in text
    assert "earwitness_scrub_oldest_timestamp_seconds 1" in text


async def test_the_figures_tell_what_of_retention_is_late_waits_or_is_stuck(
    api: Any, house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the worker counted it; before it ever did, that is told, and that no sweep began."""
    now = house.services().clock.now()

    async def told() -> dict[str, float]:
        text = await (await api.get("/metrics", None)).text()
        lines = (line.split() for line in text.splitlines() if line.startswith("earwitness_retention_"))
        return {name.removeprefix("earwitness_retention_"): float(value) for name, value in lines}

    with monkeypatch.context() as before:
        before.setattr(retention_figures, "read", lambda _: {})
        never = await told()
    assert (never["counted_timestamp_seconds"], never["sweep_overdue"], never["clock_believed"]) == (0, 1, 1)
    since = now - timedelta(hours=3)
    for at in (since, now):
        retention_figures.keep(
            house.worker,
            {
                Figure.COUNTED: 0,
                Figure.CLOCK_DISBELIEVED: 1,
                Figure.CLOCK_LATE_S: 7,
                Figure.OVERDUE: 2,
                Figure.HOLDS_WAITING: 3,
                Figure.STUCK: 4,
                Figure.IDLE_KEYS_STUCK: 5,
            },
            at,
        )
    retention_figures.keep(house.worker, {Figure.SWEEP: 0}, now - SWEPT_WITHIN - timedelta(minutes=1))
    found = await told()
    figures = {
        "clock_believed": 0,
        "clock_late_seconds": 7,
        "sweep_overdue": 1,
        "overdue_recordings": 2,
        "holds_waiting": 3,
        "stuck_recordings": 4,
        "idle_keys_stuck": 5,
    }
    assert {name: found[name] for name in figures} == figures
    assert found["counted_timestamp_seconds"] == pytest.approx(now.timestamp(), abs=1)
    assert found["holds_waiting_since_timestamp_seconds"] == pytest.approx(since.timestamp(), abs=1)
    retention_figures.keep(house.worker, {Figure.HOLDS_WAITING: 0, Figure.CLOCK_DISBELIEVED: 0}, now)
    retention_figures.keep(house.worker, {Figure.SWEEP: 0}, now)
    found = await told()
    well = {"clock_believed": 1, "sweep_overdue": 0, "holds_waiting_since_timestamp_seconds": 0}
    assert {name: found[name] for name in well} == well
