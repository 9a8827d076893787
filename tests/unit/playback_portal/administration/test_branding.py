"""How the pages of an organisation look: drafted, looked at, used by all, and taken back."""

from __future__ import annotations

import io
import re
from typing import Any

import aiohttp

from archive.catalogue import brandings
from archive.logo import FILE_BYTES_MAX
from tests.unit.archive.test_logo import GOOD

PAGE = "/admin/policies/branding"
LOOK = {"name": "Molen & Zn <b>", "accent_light": "#0A4F8A", "accent_dark": "#8ABCF5"}


async def sent(office: Any, *, who: str = "boss", logo: bytes | None = None, **fields: str) -> Any:
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field("logo", logo or b"", filename="logo.png" if logo else "", content_type="image/png")
    headers = {**office.signed_in(office.people[who]), "Accept-Language": "nl"}
    return await office.client.post(PAGE, data=form, headers=headers, allow_redirects=False)


async def used(office: Any) -> None:
    draft = brandings.look_of(office.house.portal, office.tenant.id, draft=True)
    assert draft is not None
    answer = await office.posted("boss", f"{PAGE}/publication", version=draft.version)
    assert (answer.status, answer.headers["Location"]) == (303, f"{PAGE}?done=used")
    assert "Iedereen ziet nu dit uiterlijk." in await office.opened("boss", f"{PAGE}?done=used")


async def test_a_draft_is_seen_by_who_made_it_on_its_page_and_by_all_once_it_is_used(office: Any) -> None:
    assert "branding/" not in await office.opened("anna", "/me")
    answer = await sent(office, logo=GOOD, **LOOK)
    assert (answer.status, answer.headers["Location"]) == (303, f"{PAGE}/preview")
    assert "Molen & Zn <b>" in await office.opened("boss", f"{PAGE}/preview")
    assert "branding/" not in await office.opened("anna", "/me")
    await used(office)
    headers = office.signed_in(office.people["anna"])
    page = await (await office.client.get("/me", headers=headers)).text()
    assert "Molen &amp; Zn &lt;b&gt;" in page
    (sheet,) = re.findall(r'href="(/static/branding/[^"]+)"', page)
    answer = await office.client.get(sheet)
    assert (answer.status, answer.content_type) == (200, "text/css")
    assert "immutable" in answer.headers["Cache-Control"]
    text = await answer.text()
    assert "--accent:#0a4f8a" in text
    assert "--accent:#8abcf5" in text
    again = await office.client.get(sheet, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304
    (source,) = re.findall(r'src="(/static/branding/[^"]+)"', page)
    picture = await office.client.get(source)
    assert (picture.status, picture.content_type) == (200, "image/png")
    assert picture.headers["X-Content-Type-Options"] == "nosniff"
    deeds = [each.action for each in office.log("branding")]
    assert [each for each in deeds if each != "branding.viewed"] == ["branding.drafted", "branding.changed"]
    for body in (each.body or {} for each in office.log("branding") if each.action != "branding.viewed"):
        told = (body["name"], body["accentLight"], body["accentDark"], body["logo"])
        assert told == (LOOK["name"], "#0a4f8a", "#8abcf5", True)


async def test_what_is_left_out_stays_and_the_logo_goes_when_asked(office: Any) -> None:
    await sent(office, logo=GOOD, **LOOK)
    await used(office)
    await sent(office, name="Molen")
    draft = brandings.look_of(office.house.portal, office.tenant.id, draft=True)
    assert draft is not None
    assert (draft.name, draft.accent_light, draft.has_logo) == ("Molen", None, True)
    await sent(office, name="Molen", no_logo="on")
    draft = brandings.look_of(office.house.portal, office.tenant.id, draft=True)
    assert draft is not None
    assert not draft.has_logo


async def test_a_mail_is_looked_at_with_the_draft_on_paper_and_with_the_name_that_was_written_down(
    office: Any,
) -> None:
    await sent(office, name="Molen")
    assert "zijn mails gewone tekst" in await office.opened("boss", f"{PAGE}/preview")
    await sent(office, **LOOK)
    page = await office.opened("boss", f"{PAGE}/preview")
    assert '<p class="from">Molen & Zn <b></p>' in page
    assert f"Verstuurd met earwitness, voor {office.tenant.name}" in page
    await sent(office, logo=GOOD, **LOOK)
    assert "letter-logo" in await office.opened("boss", f"{PAGE}/preview")


async def test_one_press_brings_the_look_of_everybody_back(office: Any) -> None:
    await sent(office, logo=GOOD, **LOOK)
    await used(office)
    look = brandings.look_of(office.house.portal, office.tenant.id)
    assert look is not None
    answer = await office.posted("boss", f"{PAGE}/reset")
    assert (answer.status, answer.headers["Location"]) == (303, f"{PAGE}?done=reset")
    assert "Iedereen ziet weer het gewone uiterlijk." in await office.opened("boss", f"{PAGE}?done=reset")
    assert brandings.look_of(office.house.portal, office.tenant.id) is None
    assert "branding/" not in await office.opened("anna", "/me")
    gone = await office.client.get(f"/static/branding/{office.tenant.id}/{look.version}/logo.png")
    assert gone.status == 404


async def test_a_draft_is_thrown_away_and_what_is_shown_stays(office: Any) -> None:
    await sent(office, logo=GOOD, **LOOK)
    await used(office)
    shown = brandings.look_of(office.house.portal, office.tenant.id)
    await sent(office, name="Iets anders")
    for _ in range(2):
        answer = await office.posted("boss", f"{PAGE}/discarded")
        assert (answer.status, answer.headers["Location"]) == (303, f"{PAGE}?done=discarded")
    assert brandings.look_of(office.house.portal, office.tenant.id, draft=True) is None
    assert brandings.look_of(office.house.portal, office.tenant.id) == shown
    assert LOOK["name"] in await office.opened("boss", PAGE)
    assert office.events("branding")[-2:-1] == [("branding.discarded", "ok")]


async def test_a_colour_that_can_not_be_read_is_refused_with_what_was_measured(office: Any) -> None:
    for field, value, told in (
        ("accent_light", "#ffcc00", r"het contrast op #[0-9a-f]{6} is 1,\d\d:1, en 4,5:1 is nodig"),
        ("accent_dark", "#0a6557", r"het contrast op #[0-9a-f]{6} is 2,\d\d:1"),
        ("accent_light", "#ffcc00", "#[0-9a-f]{6} kan wel"),
        ("accent_light", "red;}", "Schrijf # en zes tekens"),
        ("name", "x" * 61, "hoogstens 60 letters"),
        ("name", "\u202eneloM", "een teken dat niemand ziet"),
    ):
        answer = await sent(office, **{**LOOK, field: value})
        assert answer.status == 400
        page = await answer.text()
        assert re.search(told, page), page
        assert brandings.look_of(office.house.portal, office.tenant.id, draft=True) is None
    assert office.events("branding")[-1] == ("branding.drafted", "refused")


async def test_a_file_that_is_no_picture_is_refused_and_nothing_of_the_form_is_kept(office: Any) -> None:
    answer = await sent(office, logo=b"<svg onload='alert(1)'/>", **LOOK)
    assert answer.status == 400
    assert "Een tekening (SVG) kan niet." in await answer.text()
    assert brandings.look_of(office.house.portal, office.tenant.id, draft=True) is None


async def test_a_file_that_is_larger_than_anything_we_take_is_said_to_be_too_large(office: Any) -> None:
    form = aiohttp.FormData()
    form.add_field("logo", io.BytesIO(GOOD + bytes(FILE_BYTES_MAX)), filename="logo.png")
    headers = {**office.signed_in(office.people["boss"]), "Accept-Language": "nl"}
    answer = await office.client.post(PAGE, data=form, headers=headers, allow_redirects=False)
    assert answer.status == 413
    assert "Wat je stuurde is te groot" in await answer.text()


async def test_only_the_draft_that_was_looked_at_is_used(office: Any) -> None:
    await sent(office, **LOOK)
    first = brandings.look_of(office.house.portal, office.tenant.id, draft=True)
    assert first is not None
    await sent(office, **{**LOOK, "name": "Iemand anders"})
    answer = await office.posted("boss", f"{PAGE}/publication", version=first.version)
    assert answer.headers["Location"] == f"{PAGE}/preview?changed"
    page = await office.opened("boss", answer.headers["Location"])
    assert "Iemand anders heeft het voorbeeld intussen gewijzigd." in page
    assert "gewijzigd" not in await office.opened("boss", f"{PAGE}/preview")
    assert brandings.look_of(office.house.portal, office.tenant.id) is None
    await office.posted("boss", f"{PAGE}/reset")
    headers = office.signed_in(office.people["boss"])
    gone = await office.client.get(f"{PAGE}/preview?changed", headers=headers, allow_redirects=False)
    assert gone.headers["Location"] == f"{PAGE}?done=gone"
    assert "intussen gebruikt of weggehaald" in await office.opened("boss", f"{PAGE}?done=gone")


async def test_no_version_is_found_by_another_tenant_or_a_wrong_name(office: Any) -> None:
    await sent(office, logo=GOOD, **LOOK)
    draft = brandings.look_of(office.house.portal, office.tenant.id, draft=True)
    assert draft is not None
    for path in (
        f"{office.house.tenant_id}/{draft.version}/logo.png",
        f"{office.tenant.id}/{office.tenant.id}/logo.png",
        f"{office.tenant.id}/{draft.version}/logo.svg",
        f"..%2f{office.tenant.id}/{draft.version}/logo.png",
    ):
        assert (await office.client.get(f"/static/branding/{path}")).status == 404


async def test_who_administers_nothing_changes_no_look(office: Any) -> None:
    assert (await sent(office, who="anna", **LOOK)).status == 403
