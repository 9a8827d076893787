"""The page of calls of somebody we don't know: given to a person or let go, as the API does it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from archive.catalogue import directory
from archive.model import Party, Recording, RecordingState
from tests.unit.playback_portal.administration.conftest import NOTHING

PAGE = "/admin/quarantine"


@pytest.fixture
def lost(office: Any) -> Recording:
    stored: Recording = office.stored(
        Party("a", "+31612345678", "<b>Jansen</b>"),
        Party("b", "+31201239876", ""),
        state=RecordingState.QUARANTINED,
    )
    return stored


async def test_what_is_in_quarantine_is_shown_with_its_numbers_and_days(office: Any, lost: Recording) -> None:
    office.stored(state=RecordingState.AVAILABLE)
    page = await office.opened("boss", PAGE)
    assert re.findall(r'id="row-([^"]+)"', page) == [lost.id]
    assert "06 1234 5678" in page.replace("\xa0", " ")
    answer = await office.client.get(PAGE, headers=office.signed_in(office.boss))
    assert "&lt;b&gt;Jansen&lt;/b&gt;" in await answer.text()
    assert "In Quarantine" not in page
    await office.opened("anna", PAGE, 403)


async def test_the_menu_tells_who_decides_how_many_wait_and_nobody_else(office: Any, lost: Recording) -> None:
    office.stored(state=RecordingState.AVAILABLE)
    count = re.compile(
        r'href="/admin/quarantine".*?</svg>Quarantaine(?:<span class="count alert">([0-9.]+)<)?'
    )
    assert count.search(await office.opened("boss", "/admin/labels"))[1] == "1"
    assert count.search(await office.opened("anna", "/me")) is None
    office.stored(state=RecordingState.QUARANTINED)
    assert count.search(await office.opened("boss", PAGE))[1] == "2"


async def test_an_empty_quarantine_says_so(office: Any) -> None:
    page = await office.opened("boss", PAGE)
    assert "Er staat niets in quarantaine" in page
    assert "count alert" not in page
    assert "Er staat niets in quarantaine" in await office.opened("boss", f"{PAGE}?cursor=x&assigned=<i>")


async def test_a_recording_is_given_to_whose_login_is_typed(
    office: Any, lost: Recording, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    answer = await office.posted("boss", f"{PAGE}/{lost.id}/assignment", login=" Anna ")
    assert (answer.status, answer.headers["Location"]) == (303, f"{PAGE}?assigned={lost.id}")
    ((task, arguments),) = deferred
    assert (task, arguments["user_id"]) == ("retention.quarantine_assign", office.anna.id)
    assert arguments["actor"] == f"user:{office.boss.id}"
    entry = office.log(f"recording:{lost.id}")[-1]
    assert (entry.action, entry.result) == ("quarantine.assignment-asked", "ok")
    assert entry.body["userId"] == office.anna.id
    assert "wordt aan die persoon gegeven" in await office.opened("boss", answer.headers["Location"])


async def test_a_recording_is_destroyed_after_it_was_confirmed(
    office: Any, lost: Recording, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    assert f'id="destroy-{lost.id}"' in await office.opened("boss", PAGE)
    answer = await office.posted("boss", f"{PAGE}/{lost.id}/destruction")
    assert (answer.status, answer.headers["Location"]) == (303, f"{PAGE}?destroyed={lost.id}")
    assert [task for task, _ in deferred] == ["retention.quarantine_destroy"]
    assert office.events(f"recording:{lost.id}") == [("quarantine.destruction-asked", "ok")]


async def test_what_can_not_be_done_is_told(
    office: Any, lost: Recording, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    directory.add_user(office.house.operator, office.tenant.id, "late", now=office.now)
    kept = office.stored(state=RecordingState.AVAILABLE)
    held = office.stored(state=RecordingState.QUARANTINED, on_hold=True)
    for path, form, told in (
        (f"{lost.id}/assignment", {"login": "niemand"}, "Niemand hier"),
        (f"{lost.id}/assignment", {"login": "late"}, "geen opnamelicentie"),
        (f"{kept.id}/assignment", {"login": "anna"}, "niet meer in quarantaine"),
        (f"{NOTHING}/assignment", {"login": "anna"}, "niet meer in quarantaine"),
        (f"{kept.id}/destruction", {}, "niet meer in quarantaine"),
        (f"{held.id}/destruction", {}, "bewaarslot"),
    ):
        answer = await office.posted("boss", f"{PAGE}/{path}", **form)
        alert = (await answer.text()).partition('role="alert"')[2].partition("</section>")[0]
        assert (answer.status, told in alert) == (409, True), path
    assert deferred == []
    assert {result for _, result in office.events(f"recording:{kept.id}")} == {"refused"}
    assert f'id="destroy-{held.id}"' not in await office.opened("boss", PAGE)
