"""Holding from the page of a recording, from ticks in the list, and all a search finds."""

from __future__ import annotations

import html
from typing import Any

import pytest

from archive.catalogue import case_search, cases, directory
from archive.model import Party, Recording, RecordingState
from playback_portal.pages import holds
from tests.unit.playback_portal.administration.conftest import NOTHING

pytestmark = pytest.mark.usefixtures("deferred", "ella")

NUMBER = "+31612340078"


def ids_of(*recordings: Recording) -> list[tuple[str, str]]:
    """Return the fields of ticks in a list."""
    return [("id", each.id) for each in recordings]


async def test_a_recording_is_held_from_its_page_and_the_page_says_by_which_case(office: Any) -> None:
    recording = office.stored()
    path = f"/recordings/{recording.id}/holds"
    assert f'hx-get="{path}"' in await office.opened("ella", f"/recordings/{recording.id}")
    assert "Zet deze opname vast" in await office.opened("ella", path)
    answer = await office.posted("ella", path, reason=" ")
    assert answer.status == 400
    assert "Zeg waarom" in html.unescape(await answer.text())
    assert not await office.holds(recording)
    answer = await office.posted("ella", path, name="Jansen", reason="Een claim")
    assert (answer.status, answer.headers["Location"]) == (303, f"/recordings/{recording.id}")
    assert await office.holds(recording)
    assert ("recording.held", "ok") in office.events(f"recording:{recording.id}")
    page = await office.opened("ella", f"/recordings/{recording.id}")
    assert "tot twee mensen het vrijgeven" in page
    assert ">Jansen</a>" in page
    # And how long it would stay without.
    assert "De bewaartermijn loopt tot" in page
    assert "nog 90 dagen" in page


async def test_a_recording_goes_into_a_case_there_is_without_another_reason(office: Any) -> None:
    first, second = office.stored(), office.stored()
    answer = await office.posted("ella", f"/recordings/{first.id}/holds", name="Jansen", reason="Een claim")
    page = await office.opened("ella", f"/recordings/{second.id}/holds")
    case_id = page.split('<option value="0')[1].split('"')[0]
    answer = await office.posted("ella", f"/recordings/{second.id}/holds", case=f"0{case_id}")
    assert answer.status == 303
    assert await office.holds(second)
    listed = await office.read("/v1/cases", "CasePage", key="holder")
    assert [each["recordings"] for each in listed["items"]] == [2]


async def test_what_is_ticked_is_held_together(office: Any) -> None:
    chosen, other = [office.stored() for _ in range(3)], office.stored()
    page = await office.opened("ella", "/holds/new?" + "&".join(f"id={each.id}" for each in chosen))
    assert "Zet 3 opnames vast" in page
    answer = await office.posted("ella", "/holds", ids_of(*chosen), name="Jansen", reason="Claim")
    assert answer.status == 303
    assert [await office.holds(each) for each in (*chosen, other)] == [True, True, True, False]
    case = answer.headers["Location"].removeprefix("/cases/")
    assert office.events(f"case:{case}") == [("case.filled", "ok")]


async def test_all_a_search_finds_is_held_with_the_later_calls_of_its_number(office: Any) -> None:
    parties = (Party("a", NUMBER, "Jansen, M."), Party("b", "+31201234567"))
    found, other = office.stored(parties=parties), office.stored(parties=parties[1:])
    listed = await office.opened("ella", "/recordings?q=0612340078&sort=-start")
    assert 'hx-get="/holds/new?search=q%3D0612340078' in listed
    page = await office.opened("ella", "/holds/new?search=q%3D0612340078")
    assert "Zet 1 opname vast" in page
    assert "Ook latere gesprekken met 06 1234 0078" in page
    # Name and reason say what was searched, so that two presses do.
    assert 'value="0612340078"' in page
    answer = await office.posted(
        "ella", "/holds", search="q=0612340078", name="0612340078", reason="Claim", later="on"
    )
    assert answer.status == 303, await answer.text()
    assert [await office.holds(each) for each in (found, other)] == [True, False]
    assert await office.holds(office.stored(parties=parties))
    assert "De zaak houdt nog niets vast" not in await office.opened("ella", answer.headers["Location"])


async def test_the_later_calls_of_a_person_are_offered_where_the_search_names_one(office: Any) -> None:
    recording = office.stored(owner=office.anna.id)
    page = await office.opened("ella", f"/holds/new?search=user%3D{office.anna.id}")
    assert "Ook latere gesprekken van anna" in page
    form = {"search": f"user={office.anna.id}", "name": "Anna", "reason": "Claim", "later": "on"}
    assert (await office.posted("ella", "/holds", **form)).status == 303
    assert await office.holds(recording)
    assert await office.holds(office.stored(owner=office.anna.id))


@pytest.mark.parametrize("search", ["q=jansen", "q=2026", "has=pause", ""])
async def test_a_search_that_names_nobody_offers_no_later_calls(office: Any, search: str) -> None:
    assert "Ook latere" not in await office.opened("ella", f"/holds/new?search={search.replace('=', '%3D')}")


async def test_too_late_and_too_many_are_told(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    going, staying = office.stored(state=RecordingState.DELETING), office.stored()
    answer = await office.posted("boss", f"/recordings/{going.id}/holds", reason="Claim")
    assert answer.status == 409
    assert "wordt al vernietigd" in html.unescape(await answer.text())
    assert ("recording.held", "refused") in office.events(f"recording:{going.id}")
    answer = await office.posted("ella", "/holds", ids_of(going, staying), name="x", reason="Claim")
    assert answer.headers["Location"].endswith("?late=1")
    page = await office.opened("ella", answer.headers["Location"])
    assert "1 opname werd al vernietigd" in page
    office.stored()
    monkeypatch.setattr(case_search, "RECORDINGS_MAX", 1)
    answer = await office.posted("ella", "/holds", search="sort=-start", name="x", reason="Claim")
    assert answer.status == 409
    assert "te veel tegelijk" in html.unescape(await answer.text())


@pytest.mark.parametrize("state", [RecordingState.UNKEPT, RecordingState.GRACE])
async def test_a_call_nobody_kept_can_be_held_in_no_way(office: Any, state: RecordingState) -> None:
    recording = office.stored(state=state)
    await office.opened("ella", f"/recordings/{recording.id}/holds", 404)
    assert (await office.posted("ella", f"/recordings/{recording.id}/holds", reason="x")).status == 409
    assert (await office.posted("ella", "/holds", ids_of(recording), name="x", reason="x")).status == 409
    answer = await office.posted("ella", "/holds", search="sort=-start", name="x", reason="x")
    assert "nog niets vast" in await office.opened("ella", answer.headers["Location"])


async def test_an_administrator_holds_by_id_and_not_by_search(office: Any) -> None:
    recording = office.stored()
    answer = await office.posted("boss", f"/recordings/{recording.id}/holds", reason="Claim")
    assert answer.headers["Location"].startswith("/cases/")
    assert await office.holds(recording)
    answer = await office.posted("boss", "/holds", search="sort=-start", name="x", reason="x")
    assert answer.status == 409


async def test_nothing_selected_and_a_case_that_is_gone_are_told(office: Any) -> None:
    recording = office.stored()
    answer = await office.posted("ella", "/holds", name="x", reason="x")
    assert (answer.status, "Selecteer" in html.unescape(await answer.text())) == (400, True)
    answer = await office.posted("ella", "/holds", ids_of(recording), case=NOTHING)
    assert (answer.status, "is er niet" in html.unescape(await answer.text())) == (409, True)
    answer = await office.posted("ella", "/holds", ids_of(recording), name="x" * 101, reason="x")
    assert (answer.status, "een naam" in html.unescape(await answer.text())) == (400, True)


async def test_a_dialog_is_a_piece_and_a_page_without_scripts(office: Any) -> None:
    recording = office.stored()
    headers = {**office.signed_in(office.people["ella"]), "HX-Request": "true"}
    answer = await office.client.get(f"/recordings/{recording.id}/holds", headers=headers)
    assert "<html" not in await answer.text()
    answer = await office.client.post(f"/recordings/{recording.id}/holds", data={}, headers=headers)
    text = await answer.text()
    assert answer.status == 400
    assert "<dialog" not in text
    assert "<html" not in text


async def test_a_person_without_the_right_sees_no_button_and_no_case(office: Any) -> None:
    directory.set_user(office.house.operator, office.tenant.id, "anna", now=office.now, access="own")
    recording = office.stored(owner=office.anna.id)
    await office.posted("ella", f"/recordings/{recording.id}/holds", name="Geheim", reason="Claim")
    page = await office.opened("anna", f"/recordings/{recording.id}")
    assert "Vastgezet" in page
    assert "Geheim" not in page
    assert "/holds" not in page
    await office.opened("anna", f"/recordings/{recording.id}/holds", 403)


def test_offered_cases_are_bounded() -> None:
    assert holds.OFFERED_CASES_COUNT <= cases.PAGE_ROWS_MAX
