"""People choose their own mode where the administrator lets them, and have their next call kept."""

from __future__ import annotations

from asyncio import to_thread
from datetime import UTC, datetime, timedelta

import pytest

from archive.model import RecordingMode
from tests.behaviour.conftest import Provider
from tests.behaviour.course import begin, place, plan_of
from tests.behaviour.customer import Customer

VERA, FRED = "+31201230801", "+31201230802"
SETTINGS, KEEP_NEXT = "/v1/me/recording-settings", "/v1/me/keep-next"


@pytest.fixture(scope="module")
def acme(provider: Provider) -> Customer:
    """Vera may choose between two modes, Fred may not choose."""
    customer = provider.acme
    chosen = (RecordingMode.ALWAYS, RecordingMode.ON_DEMAND)
    customer.enter("vera", VERA, mode="always", own_modes=chosen)
    customer.enter("fred", FRED, mode="on-demand")
    customer.settled("fred", lambda user: True)
    return customer


def test_a_person_sees_their_own_settings(acme: Customer) -> None:
    """Mode, licence, what they may choose, and the promise to keep the next call."""
    assert acme.get(SETTINGS, "vera").json() == {
        "mode": "always",
        "ownModes": ["always", "on-demand"],
        "licence": "90d",
        "keepNext": None,
    }
    assert acme.get(SETTINGS, "fred").json()["ownModes"] == []


def test_settings_are_a_persons_alone(acme: Customer) -> None:
    """A program is nobody here, and a key without the scope is refused."""
    for method, path, body in (
        ("GET", SETTINGS, None),
        ("PATCH", SETTINGS, {"mode": "on-demand"}),
        ("PUT", KEEP_NEXT, None),
        ("DELETE", KEEP_NEXT, None),
    ):
        assert acme.send(method, path, body).status == 403
        assert acme.service.send(method, path, body, "ew_nobody").status == 401


async def test_who_may_choose_changes_the_mode_of_the_next_call(acme: Customer) -> None:
    """The call that runs goes on as it began."""
    during = await begin(plan_of(acme.service, VERA))
    (running,) = await to_thread(acme.live, during.call_id)
    changed = await to_thread(acme.send, "PATCH", SETTINGS, {"mode": "on-demand"}, "vera")
    assert (changed.status, changed.json()["mode"]) == (200, "on-demand")
    await to_thread(acme.settled, "vera", lambda user: user.mode is RecordingMode.ON_DEMAND)
    after = await begin(plan_of(acme.service, VERA))
    (next_one,) = await to_thread(acme.live, after.call_id)
    assert (running["mode"], next_one["mode"], next_one["capture"]) == ("always", "on-demand", "pre-roll")
    assert (await to_thread(acme.live, during.call_id))[0]["mode"] == "always"
    first, second = await during.end(), await after.end()
    assert (await to_thread(acme.recordings_of, first.call_id))[0]["mode"] == "always"
    assert (await to_thread(acme.outcome_of, second.call_id))["outcome"] == "not kept"


def test_other_modes_and_other_people_are_refused(acme: Customer) -> None:
    """Nothing changes, and the reason is told."""
    before = acme.get(SETTINGS, "vera").json()
    for login, mode in (("vera", "never"), ("vera", "always-pause"), ("fred", "always")):
        refused = acme.send("PATCH", SETTINGS, {"mode": mode}, login)
        assert refused.status in {403, 409}, refused.body
        assert refused.json()["detail"]
    assert acme.send("PATCH", SETTINGS, {"mode": "sometimes"}, "vera").status == 400
    assert acme.send("PATCH", SETTINGS, {"licence": "7y-3500"}, "vera").status == 400
    assert acme.get(SETTINGS, "vera").json() == before
    assert acme.get(SETTINGS, "fred").json()["mode"] == "on-demand"


def test_nobody_overwrites_what_they_have_not_seen(acme: Customer) -> None:
    """With If-Match of an older state the change is refused by 412."""
    tag = acme.get(SETTINGS, "vera").headers["etag"]
    stale = acme.send("PATCH", SETTINGS, {"mode": "always"}, "vera", **{"If-Match": '"older"'})
    assert stale.status == 412
    fresh = acme.send("PATCH", SETTINGS, {"mode": "always"}, "vera", **{"If-Match": tag})
    assert (fresh.status, fresh.json()["mode"]) == (200, "always")
    assert fresh.headers["etag"] != tag


def test_a_promise_to_keep_the_next_call_has_an_end(acme: Customer) -> None:
    """An hour unless said otherwise, never longer than seven days, and never in the past."""
    now = datetime.now(UTC)
    default = acme.send("PUT", KEEP_NEXT, None, "fred")
    assert default.status == 200, default.body
    until = datetime.fromisoformat(default.json()["until"])
    assert timedelta(minutes=59) < until - now < timedelta(minutes=62)
    assert acme.get(SETTINGS, "fred").json()["keepNext"] == default.json()
    longer = acme.send("PUT", KEEP_NEXT, {"minutes": 7 * 24 * 60}, "fred")
    assert longer.json()["until"] > default.json()["until"]
    past, far = (now - timedelta(seconds=1)).isoformat(), (now + timedelta(days=8)).isoformat()
    for wrong in ({"minutes": 0}, {"minutes": 7 * 24 * 60 + 1}, {"until": past}, {"until": far}):
        assert acme.send("PUT", KEEP_NEXT, wrong, "fred").status == 400, wrong
    assert acme.get(SETTINGS, "fred").json()["keepNext"] == longer.json()
    assert acme.send("DELETE", KEEP_NEXT, None, "fred").status == 204
    assert acme.send("DELETE", KEEP_NEXT, None, "fred").status == 204
    assert acme.get(SETTINGS, "fred").json()["keepNext"] is None


async def test_a_promise_of_somebody_always_recorded_is_not_spent(acme: Customer) -> None:
    """It is for calls on demand; a call that is kept anyhow leaves it as it is."""
    acme.enter("otis", "+31201230803", mode="always")
    promised = await to_thread(acme.send, "PUT", KEEP_NEXT, {"minutes": 5}, "otis")
    assert promised.status == 200, promised.body
    await to_thread(acme.settled, "otis", lambda user: user.keep_next_until is not None)
    placed = await place(plan_of(acme.service, "+31201230803", seconds=0.4))
    await to_thread(acme.recordings_of, placed.call_id)
    assert (await to_thread(acme.get, SETTINGS, "otis")).json()["keepNext"] == promised.json()
