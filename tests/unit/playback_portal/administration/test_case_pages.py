"""The pages of cases: opened, filled, released by two people who see each other's names."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from tests.unit.playback_portal.administration.conftest import NOTHING

pytestmark = pytest.mark.usefixtures("deferred", "ella")


async def case_of(office: Any, who: str = "ella", **form: str) -> str:
    answer = await office.posted(who, "/cases", name="Jansen / 2026", reason="Een claim", **form)
    assert answer.status == 303, await answer.text()
    path: str = answer.headers["Location"]
    return path


async def test_a_case_is_opened_on_its_page_and_stands_in_the_list(office: Any) -> None:
    assert "Er zijn nog geen zaken" in await office.opened("boss", "/cases")
    assert "Nieuwe zaak" in await office.opened("boss", "/cases/new")
    path = await case_of(office, "boss")
    page = await office.opened("boss", path)
    assert "Jansen / 2026" in page
    assert "De zaak houdt nog niets vast" in page
    assert "boss" in await office.opened("ella", "/cases")
    assert "Holds" in await office.opened("ella", "/cases", language="en")
    answer = await office.posted("boss", "/cases", name=" ", reason="x")
    assert answer.status == 400
    assert "Geef de zaak een naam" in await answer.text()


async def test_recordings_are_put_in_by_id_or_address(office: Any) -> None:
    recording, path = office.stored(), await case_of(office)
    for text, status, told in (
        ("x", 409, "geen kenmerk"),
        (NOTHING, 409, "is er niet"),
        (f"https://here.example/recordings/{recording.id}", 303, ""),
    ):
        answer = await office.posted("boss", f"{path}/recordings", recording=text)
        assert answer.status == status
        assert told in html.unescape(await answer.text())
    assert await office.holds(recording)
    answer = await office.posted("boss", f"{path}/rules", number="0612345678")
    assert answer.status == 303
    assert "Latere gesprekken" in await office.opened("boss", path)
    page = await office.opened("boss", path)
    (end,) = re.findall(rf'action="({path}/rules/[^/]+/end)"', page)
    assert (await office.posted("boss", end)).status == 303
    assert "/rules/" not in (await office.opened("boss", path)).replace(f'"{path}/rules"', "")
    assert (await office.posted("boss", end)).status in {404, 409}
    assert (await office.posted("boss", f"{path}/rules", number="0612345678")).status == 303
    answer = await office.posted("boss", f"{path}/rules", number=" ")
    assert answer.status == 409


async def test_two_people_release_a_case_on_its_page(office: Any) -> None:
    recording = office.stored()
    path = await case_of(office)
    await office.posted("ella", f"{path}/recordings", recording=recording.id)
    assert (await office.posted("ella", f"{path}/release", reason=" ")).status == 409
    assert (await office.posted("ella", f"{path}/release", reason="Geschikt")).status == 303
    assert "Iemand anders keurt" in await office.opened("ella", path)
    answer = await office.posted("ella", f"{path}/approval")
    assert answer.status == 409
    assert "aan iemand anders" in html.unescape(await answer.text())
    assert await office.holds(recording)
    assert (await office.posted("boss", f"{path}/refusal")).status == 303
    assert (await office.posted("boss", f"{path}/approval")).status == 409
    await office.posted("ella", f"{path}/release", reason="Geschikt")
    assert "Vrijgave goedkeuren" in await office.opened("boss", path)
    assert (await office.posted("boss", f"{path}/approval")).status == 303
    page = await office.opened("boss", path)
    assert "Vrijgegeven" in page
    assert "Vrijgave vragen" not in page


@pytest.mark.parametrize("path", ["/cases", "/cases/new", f"/cases/{NOTHING}"])
async def test_a_user_sees_no_cases(office: Any, path: str) -> None:
    assert "Zaken en AVG" not in await office.opened("anna", path, 403)
