"""Sharing as people do it: the dialog beside the player, and the list of play links."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientResponse

from archive.access import Right
from archive.audit import AuditWriter
from archive.catalogue import rights, shares
from archive.errors import CatalogueUnavailable
from archive.model import Recording, User
from playback_portal.pages import sharing
from playback_portal.pages.sharing import DAYS_OFFERED

SHARING = "/admin/policies/sharing"
PART = b'--b\r\nContent-Disposition: form-data; name="title"\r\n'
HOSTILE = "<script>alert(1)</script>\"'{{7*7}}"


class Browser:
    """Somebody signed in, asking as htmx does."""

    def __init__(self, office: Any, user: User) -> None:
        self.office = office
        self.headers = {
            **office.house.signed_in(user, office.clock.now()),
            "Accept-Language": "en",
            "HX-Request": "true",
        }

    async def get(self, path: str) -> tuple[int, str]:
        return await self._read(await self.office.client.get(path, headers=self.headers))

    async def post(self, path: str, **form: str) -> tuple[int, str]:
        answer = await self.office.client.post(path, data=form, headers=self.headers, allow_redirects=False)
        return await self._read(answer)

    async def _read(self, answer: ClientResponse) -> tuple[int, str]:
        return answer.status, html.unescape(await answer.text())


@pytest.fixture
def anna(office: Any) -> Browser:
    return Browser(office, office.sharer)


@pytest.fixture
def ada(office: Any) -> Browser:
    return Browser(office, office.people["ada"])


def link_in(page: str) -> str:
    found = re.search(r'id="share-link" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


async def test_the_button_stands_beside_the_player_of_who_may_share(
    office: Any, anna: Browser, recording: Recording
) -> None:
    path = f"/recordings/{recording.id}"
    assert f'hx-get="{path}/share"' in (await anna.get(path))[1]
    of_anna = (office.tenant_id, office.sharer.id)
    rights.set_rights(office.house.operator, *of_anna, {Right.EMAIL: False})
    status, dialog = await anna.get(f"{path}/share")
    assert status == 200
    assert 'value="link">Only a link' in dialog
    assert 'name="to"' not in dialog
    assert 'value="send"' not in dialog
    assert "A code by mail" not in dialog
    rights.set_rights(office.house.operator, *of_anna, {Right.SHARE: False})
    assert f'hx-get="{path}/share"' not in (await anna.get(path))[1]
    status, dialog = await anna.get(f"{path}/share")
    assert status == 200
    assert "You may not share this call" in dialog
    assert "<form" not in dialog


async def test_three_things_send_a_link(office: Any, anna: Browser, recording: Recording) -> None:
    path = f"/recordings/{recording.id}/share"
    status, dialog = await anna.get(path)
    assert status == 200
    assert "data-now" in dialog
    status, page = await anna.post(path, do="send", to="klant@voorbeeld.nl", days="7", proof="none")
    assert status == 200
    assert "Sent to klant@voorbeeld.nl." in page
    (letter,) = office.house.post.sent
    assert letter.fields["link"] == link_in(page)
    visitor = await office.visitor(link_in(page))
    assert (await visitor.get()).status == 200


async def test_a_fragment_with_a_pin_and_a_title(office: Any, anna: Browser, recording: Recording) -> None:
    form = {"do": "link", "proof": "pin", "from": "0:05", "until": "0:15", "plays": "3", "days": "1"}
    status, page = await anna.post(f"/recordings/{recording.id}/share", title=HOSTILE, **form)
    assert status == 200
    pin = re.search(r'id="share-pin">(\d{6})<', page)
    assert pin is not None
    listed = (await (await office.api("GET", "/v1/shares")).json())["items"][0]
    told = (listed["fromMs"], listed["toMs"], listed["playsMax"], listed["title"])
    assert told == (5000, 15000, 3, HOSTILE)
    visitor = await office.visitor(link_in(page))
    assert (await visitor.post("/proof", {"code": pin[1]})).status == 303
    shown = await (await visitor.get()).text()
    assert "<script>alert" not in shown
    assert "0:10" in shown


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"do": "send"}, "This is no e-mail address."),
        ({"do": "send", "to": "x"}, "This is no e-mail address."),
        ({"do": "link", "proof": "email"}, "This is no e-mail address."),
        ({"do": "link", "from": "ten"}, "Write a time as 2:10."),
        ({"do": "link", "until": "0:61"}, "Write a time as 2:10."),
        ({"do": "link", "until": "9:00"}, "The end lies after the beginning"),
        ({"do": "link", "from": "0:20", "until": "0:20"}, "The end lies after the beginning"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field(
    anna: Browser, recording: Recording, form: dict[str, str], told: str
) -> None:
    status, page = await anna.post(f"/recordings/{recording.id}/share", **form)
    assert status == 400
    assert told in page
    assert "<dialog" not in page
    (focused,) = re.findall(r"<input[^>]* autofocus[^>]*>", page)
    assert 'aria-invalid="true"' in focused


async def test_what_the_policy_does_not_allow_is_refused_in_the_dialog(
    office: Any, anna: Browser, recording: Recording
) -> None:
    path = f"/recordings/{recording.id}/share"
    office.set_policy(days_max=5, proof_required=True)
    dialog = (await anna.get(path))[1]
    assert 'value="none"' not in dialog
    assert re.findall(r'<option value="(\d+)"', dialog)[:2] == ["1", "5"]
    status, page = await anna.post(path, do="link", days="14", proof="pin", title="Levering")
    assert status == 409
    # What was typed below stays in sight.
    assert "<details open>" in page
    assert "This can't be shared like this" in page
    assert len(DAYS_OFFERED) == 4


async def test_a_file_is_offered_where_it_may_leave(office: Any, anna: Browser, recording: Recording) -> None:
    path = f"/recordings/{recording.id}/share"
    assert "file-flac" not in (await anna.get(path))[1]
    rights.set_rights(office.house.operator, office.tenant_id, office.sharer.id, {Right.EMAIL: True})
    office.set_policy(files_allowed=True)
    assert "file-flac" in (await anna.get(path))[1]
    status, page = await anna.post(path, do="send", to="klant@voorbeeld.nl", what="file-wav")
    assert status == 200
    assert "The recording is on its way" in page
    assert "share-link" not in page
    assert office.house.post.sent[0].fields["format"] == "wav"


async def test_the_list_shows_ones_own_links_and_ends_them_with_a_way_back(
    office: Any, anna: Browser, recording: Recording
) -> None:
    share = await office.share(recording, title=HOSTILE)
    status, page = await anna.get("/shares")
    assert status == 200
    assert "What your organisation allows" not in page
    raw = await (await office.client.get("/shares", headers=anna.headers)).text()
    assert "<script>alert" not in raw
    status, row = await anna.post(f"/shares/{share['id']}/revocation")
    assert "Ended" in row
    assert "The play link is ended." in row
    assert (await (await office.visitor(share)).get()).status == 404
    status, row = await anna.post(f"/shares/{share['id']}/restoration")
    assert "The play link works again." in row
    assert (await (await office.visitor(share)).get()).status == 200
    await anna.post(f"/shares/{share['id']}/revocation")
    office.clock.passes(301)
    assert (await anna.post(f"/shares/{share['id']}/restoration"))[0] == 409
    assert "no play links that work" in (await anna.get("/shares"))[1]
    assert share["id"] in (await anna.get("/shares?state=ended"))[1]


@pytest.mark.parametrize("what", ["link", "file-wav", "file-flac"])
async def test_who_wants_only_a_link_sends_nothing_to_the_address_that_was_typed(
    office: Any, anna: Browser, recording: Recording, what: str
) -> None:
    form = {"do": "link", "to": "klant@voorbeeld.nl", "what": what, "proof": "none", "message": "Hoor eens"}
    status, page = await anna.post(f"/recordings/{recording.id}/share", **form)
    assert status == 200
    assert "Sent to" not in page
    assert office.house.post.sent == []
    assert (await (await office.visitor(link_in(page))).get()).status == 200
    listed = (await (await office.api("GET", "/v1/shares")).json())["items"][0]
    assert "klant@voorbeeld.nl" not in str(listed)


async def test_only_a_link_with_a_code_by_mail_mails_the_code_when_it_is_asked_for(
    office: Any, anna: Browser, recording: Recording
) -> None:
    form = {"do": "link", "to": "klant@voorbeeld.nl", "proof": "email"}
    status, page = await anna.post(f"/recordings/{recording.id}/share", **form)
    assert status == 200
    assert office.house.post.sent == []
    visitor = await office.visitor(link_in(page))
    assert (await visitor.post("/codes")).status in {200, 303}
    assert [letter.to for letter in office.house.post.sent] == ["klant@voorbeeld.nl"]


async def test_a_link_an_administrator_ended_is_brought_back_by_no_maker(
    office: Any, anna: Browser, ada: Browser, recording: Recording
) -> None:
    share = await office.share(recording)
    await ada.post(f"/shares/{share['id']}/revocation")
    # Pressing once more changes nothing of who ended it.
    await anna.post(f"/shares/{share['id']}/revocation")
    assert (await anna.post(f"/shares/{share['id']}/restoration"))[0] == 403
    assert (await (await office.visitor(share)).get()).status == 404
    assert (await ada.post(f"/shares/{share['id']}/restoration"))[0] == 200
    assert (await (await office.visitor(share)).get()).status == 200
    await anna.post(f"/shares/{share['id']}/revocation")
    assert (await ada.post(f"/shares/{share['id']}/restoration"))[0] == 200


async def test_bringing_back_a_link_makes_no_more_of_them_than_there_may_be(
    office: Any, anna: Browser, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "SHARES_PER_RECORDING_MAX", 1)
    share = await office.share(recording)
    await anna.post(f"/shares/{share['id']}/revocation")
    other = await office.share(recording)
    assert (await anna.post(f"/shares/{share['id']}/restoration"))[0] == 409
    await anna.post(f"/shares/{other['id']}/revocation")
    assert (await anna.post(f"/shares/{share['id']}/restoration"))[0] == 200


@pytest.mark.parametrize("act", ["revocation", "restoration"])
async def test_a_link_ends_and_comes_back_with_its_entry_or_not_at_all(
    office: Any, anna: Browser, recording: Recording, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    def away(*given: object, **named: object) -> None:
        raise CatalogueUnavailable("PostgreSQL does not answer.")

    share = await office.share(recording)
    if act == "restoration":
        await anna.post(f"/shares/{share['id']}/revocation")
    before = await (await office.api("GET", f"/v1/shares/{share['id']}")).json()
    with monkeypatch.context() as broken:
        broken.setattr(AuditWriter, "append", away)
        assert (await anna.post(f"/shares/{share['id']}/{act}"))[0] == 503
        if act == "revocation":
            assert (await office.api("DELETE", f"/v1/shares/{share['id']}")).status == 503
    assert await (await office.api("GET", f"/v1/shares/{share['id']}")).json() == before


async def test_nobody_ends_or_brings_back_the_link_of_another(office: Any, recording: Recording) -> None:
    share = await office.share(recording)
    bert, otto = (Browser(office, office.people[name]) for name in ("bert", "otto"))
    for act in ("revocation", "restoration"):
        assert (await bert.post(f"/shares/{share['id']}/{act}"))[0] == 404
        assert (await otto.post(f"/shares/{share['id']}/{act}"))[0] == 403
    assert (await (await office.visitor(share)).get()).status == 200
    # The auditor sees all of them, without a button.
    page = (await otto.get("/shares"))[1]
    assert share["id"] in page
    assert "/revocation" not in page


async def test_the_administrator_decides_what_is_shared(
    office: Any, anna: Browser, ada: Browser, recording: Recording
) -> None:
    share = await office.share(recording)
    for page in ("/shares", "/help"):
        assert 'href="/admin/policies"' in (await ada.get(page))[1]
        assert 'href="/admin/policies"' not in (await anna.get(page))[1]
    assert (await anna.get("/admin/policies"))[0] == 403
    assert "Sharing and mail" in (await ada.get("/admin/policies"))[1]
    assert (await anna.post(SHARING, rule="links_allowed", on="false"))[0] == 403
    status, switch = await ada.post(SHARING, rule="links_allowed", on="false")
    assert status == 200
    assert 'aria-checked="false"' in switch
    assert "Switched off: Play links." in switch
    # What undoes it puts the switch back where it stands.
    assert 'id="policy-links_allowed"' in switch
    assert 'hx-target="#policy-links_allowed"' in switch
    assert (await (await office.visitor(share)).get()).status == 404
    await ada.post(SHARING, rule="links_allowed", on="true")
    await ada.post(SHARING, days="3")
    status, refused = await ada.post(SHARING, days="31")
    assert status == 400
    assert "from 1 to 30" in refused
    assert (await ada.post(SHARING, rule="days_max", on="true"))[0] == 400
    policy = await (await office.api("GET", "/v1/share-policy", "ada")).json()
    assert (policy["linksAllowed"], policy["daysMax"]) == (True, 3)


async def test_a_link_leads_to_its_recording_only_whom_its_page_lets_in(
    office: Any, anna: Browser, ada: Browser, recording: Recording
) -> None:
    await office.share(recording, title="Afspraak")
    for who, leads in ((anna, True), (ada, False)):
        page = (await who.get("/shares"))[1]
        assert "Afspraak" in page
        assert (f'href="/recordings/{recording.id}"' in page) is leads


async def test_beside_the_player_stand_the_links_of_the_recording(
    office: Any, anna: Browser, recording: Recording
) -> None:
    path = f"/recordings/{recording.id}/links"
    assert (await anna.get(path))[1].strip() == ""
    await office.share(recording, title="Afspraak")
    assert "Afspraak" in (await anna.get(path))[1]


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("application/x-www-form-urlencoded; charset=utf-7", b"do=link&title=+2D0-"),
        ("application/x-www-form-urlencoded; charset=klingon", b"do=link&title=x"),
        ("application/x-www-form-urlencoded", b"do=link&title=\xff"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n\xff\r\n--b--',
        ),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", PART + b"Content-Transfer-Encoding: bogus\r\n\r\nx\r\n--b--"),
        ("multipart/form-data; boundary=b", PART + b"no header\r\n\r\nx\r\n--b--"),
        ("multipart/form-data; boundary=b", PART + b"X: " + b"y" * 10_000 + b"\r\n\r\nx\r\n--b--"),
    ],
)
async def test_a_form_that_is_no_text_is_a_fault_of_the_request(
    office: Any, anna: Browser, recording: Recording, kind: str, form: bytes
) -> None:
    headers = {**anna.headers, "Content-Type": kind}
    path = f"/recordings/{recording.id}/share"
    answer = await office.client.post(path, data=form, headers=headers, allow_redirects=False)
    assert answer.status == 400
    assert office.house.post.sent == []


async def test_links_are_found_by_title_maker_number_and_name_of_the_call(
    office: Any, anna: Browser, ada: Browser, recording: Recording
) -> None:
    for n in range(3):
        await office.share(recording, title=f"Offerte 50% nr {n}")
        office.clock.passes(1)
    await office.share(recording, title="Klacht")

    def titles(page: str) -> list[str]:
        # Each stands in its row and in what the button that ends it is called.
        return list(dict.fromkeys(re.findall(r"Offerte 50% nr \d|Klacht", page)))

    for text, count in (
        ("offerte", 3),
        ("50%", 3),
        ("OFFERTE nr 2", 1),
        ("anna", 4),
        ("anna klacht", 1),
        ("jansen", 4),
        ("06 1234 5678", 4),
        ("jansen klacht", 1),
        ("bert", 0),
        ("%", 0),
        ("ffert", 3),
        ("klacht 50%", 0),
        ("_", 0),
        ("klacht offerte", 0),
    ):
        _, page = await anna.get(f"/shares?q={quote(text)}")
        assert len(titles(page)) == count, text
        found = await (await office.api("GET", f"/v1/shares?q={quote(text)}")).json()
        assert len(found["items"]) == count, text
    assert "No play link fits this</h2>" in (await anna.get("/shares?q=zzz"))[1]
    # Who sees a link without reaching its recording learns nothing of that by searching.
    assert len(titles((await ada.get("/shares?q=jansen"))[1])) == 0
    assert len(titles((await ada.get("/shares?q=klacht"))[1])) == 1
    assert (await office.api("GET", "/v1/shares?q=" + "x" * 201)).status == 400


async def test_a_search_among_links_goes_on_page_by_page(
    office: Any, anna: Browser, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "SHARES_PER_PAGE", 2)
    for n in range(3):
        await office.share(recording, title=f"Offerte {n}")
        await office.share(recording, title="Klacht")
        office.clock.passes(1)
    _, page = await anna.get("/shares?q=offerte")
    assert list(dict.fromkeys(re.findall(r"Offerte \d", page))) == ["Offerte 2", "Offerte 1"]
    following = re.search(r'href="(/shares\?q=offerte&cursor=[^"]+)"', page)
    assert following is not None
    _, page = await anna.get(following[1])
    assert set(re.findall(r"Offerte \d", page)) == {"Offerte 0"}
    assert 'href="/shares?q=offerte"' in page


async def test_a_recording_is_found_by_its_link_as_long_as_one_works(
    office: Any, anna: Browser, recording: Recording
) -> None:
    async def found() -> bool:
        page = await (await office.api("GET", "/v1/recordings?has=share")).json()
        # A session of their own each time: one does not live as long as a link.
        _, listed = await Browser(office, office.sharer).get("/recordings?sort=-start")
        shown = "Shared" in listed.partition('<tr id="row-')[2]
        assert shown is bool(page["items"])
        return bool(page["items"])

    assert not await found()
    share = await office.share(recording, days=1)
    assert await found()
    await office.api("DELETE", f"/v1/shares/{share['id']}")
    assert not await found()
    await anna.post(f"/shares/{share['id']}/restoration")
    assert await found()
    office.clock.passes(24 * 3600)
    assert not await found()
    once = await office.share(recording, playsMax=1)
    assert await found()
    assert (await (await office.visitor(once)).post("/plays")).status == 200
    assert not await found()
