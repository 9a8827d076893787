"""The pages of cases: opened, filled, released by two people who see each other's names."""

from __future__ import annotations

import html
from typing import Any

import pytest

from tests.unit.playback_portal.administration.test_cases import (
    NOTHING,
    deferred,
    held,
    keys,
    signed_in,
    stored,
)

__all__ = ["deferred", "keys"]


async def opened(office: Any, who: str, path: str, status: int = 200, language: str = "nl") -> str:
    headers = {**signed_in(office, office.people[who]), "Accept-Language": language}
    answer = await office.client.get(path, headers=headers)
    assert answer.status == status, await answer.text()
    return html.unescape(await answer.text())


async def posted(office: Any, who: str, path: str, **form: str) -> Any:
    headers = {**signed_in(office, office.people[who]), "Accept-Language": "nl"}
    return await office.client.post(path, data=form, headers=headers, allow_redirects=False)


async def case_of(office: Any, who: str = "ella", **form: str) -> str:
    answer = await posted(office, who, "/cases", name="Jansen / 2026", reason="Een claim", **form)
    assert answer.status == 303, await answer.text()
    path: str = answer.headers["Location"]
    return path


async def test_a_case_is_opened_on_its_page_and_stands_in_the_list(office: Any) -> None:
    assert "Er zijn nog geen zaken" in await opened(office, "boss", "/cases")
    assert "Nieuwe zaak" in await opened(office, "boss", "/cases/new")
    path = await case_of(office, "boss")
    page = await opened(office, "boss", path)
    assert "Jansen / 2026" in page
    assert "De zaak houdt nog niets vast" in page
    assert "boss" in await opened(office, "ella", "/cases")
    assert "Holds" in await opened(office, "ella", "/cases", language="en")
    answer = await posted(office, "boss", "/cases", name=" ", reason="x")
    assert answer.status == 400
    assert "Geef de zaak een naam" in await answer.text()


async def test_recordings_are_put_in_by_id_or_address(office: Any) -> None:
    recording, path = stored(office), await case_of(office)
    for text, status, told in (
        ("x", 409, "geen kenmerk"),
        (NOTHING, 409, "is er niet"),
        (f"https://here.example/recordings/{recording.id}", 303, ""),
    ):
        answer = await posted(office, "boss", f"{path}/recordings", recording=text)
        assert answer.status == status
        assert told in html.unescape(await answer.text())
    assert await held(office, recording)
    answer = await posted(office, "boss", f"{path}/rules", number="0612345678")
    assert answer.status == 303
    assert "Latere gesprekken" in await opened(office, "boss", path)
    answer = await posted(office, "boss", f"{path}/rules", number=" ")
    assert answer.status == 409


async def test_two_people_release_a_case_on_its_page(office: Any) -> None:
    recording = stored(office)
    path = await case_of(office)
    await posted(office, "ella", f"{path}/recordings", recording=recording.id)
    assert (await posted(office, "ella", f"{path}/release", reason=" ")).status == 409
    assert (await posted(office, "ella", f"{path}/release", reason="Geschikt")).status == 303
    assert "Iemand anders keurt" in await opened(office, "ella", path)
    answer = await posted(office, "ella", f"{path}/approval")
    assert answer.status == 409
    assert "aan iemand anders" in html.unescape(await answer.text())
    assert await held(office, recording)
    assert (await posted(office, "boss", f"{path}/refusal")).status == 303
    assert (await posted(office, "boss", f"{path}/approval")).status == 409
    await posted(office, "ella", f"{path}/release", reason="Geschikt")
    assert "Vrijgave goedkeuren" in await opened(office, "boss", path)
    assert (await posted(office, "boss", f"{path}/approval")).status == 303
    page = await opened(office, "boss", path)
    assert "Vrijgegeven" in page
    assert "Vrijgave vragen" not in page


@pytest.mark.parametrize("path", ["/cases", "/cases/new", f"/cases/{NOTHING}"])
async def test_a_user_sees_no_cases(office: Any, path: str) -> None:
    office.people["anna"] = office.anna
    assert "Zaken en AVG" not in await opened(office, "anna", path, 403)
