"""How an organisation looks, over the API: read by its members, changed by its administrators, with every check."""

from __future__ import annotations

import asyncio
import io
import time
from typing import Any

import pytest

from archive import logo
from archive.branding import png_size_px
from archive.catalogue import brandings
from archive.catalogue.brandings import Look
from archive.logo import FILE_BYTES_MAX, HEIGHT_PX_MAX
from playback_portal import looks
from tests.drawn_logo import drawn_logo
from tests.unit.archive.test_logo import GOOD

API, LOGO = "/v1/branding", "/v1/branding/logo"
WANTED = {"name": "Molen & Zn <b>", "accentLight": "#0A4F8A", "accentDark": "#8ABCF5"}
PLAIN = {"name": "", "accentLight": None, "accentDark": None, "logo": None, "styleSheet": None}


async def read(office: Any) -> Any:
    return await office.read(API, "Branding", key="anna")


async def put_logo(office: Any, content: bytes, media_type: str = "image/png", **headers: str) -> Any:
    sent = {"Authorization": f"Bearer {office.keys['administration']}", "Content-Type": media_type}
    return await office.client.put(LOGO, data=io.BytesIO(content), headers={**sent, **headers})


def changes(office: Any) -> list[tuple[str, Any]]:
    """Return what the log says was changed, oldest first."""
    return [
        (entry.result, (entry.body or {}).get("changed"))
        for entry in office.log("branding")
        if entry.action == "branding.changed"
    ]


async def test_what_is_put_is_shown_at_once_and_read_by_every_member(office: Any) -> None:
    assert await read(office) == PLAIN
    made = await office.told(await office.send("PUT", API, WANTED), "Branding", 200)
    assert {**made, "styleSheet": None} == {
        **PLAIN,
        "name": "Molen & Zn <b>",
        "accentLight": "#0a4f8a",
        "accentDark": "#8abcf5",
    }
    made = await office.told(await put_logo(office, drawn_logo()), "Branding", 200)
    assert (made["name"], made["accentLight"]) == ("Molen & Zn <b>", "#0a4f8a")
    for who in ("anna", "boss"):
        answer = await office.as_person(who, "GET", API)
        assert (answer.status, await answer.json()) == (200, made)
    picture = await (await office.client.get(made["logo"])).read()
    assert picture != drawn_logo()
    assert png_size_px(picture)[1] == HEIGHT_PX_MAX
    assert f'href="{made["styleSheet"]}"' in await office.opened("anna", "/me")
    assert changes(office) == [("ok", ["name", "accentLight", "accentDark"]), ("ok", ["logo"])]


async def test_what_is_left_out_is_as_everybodys_and_the_logo_stays_until_it_is_taken_away(
    office: Any,
) -> None:
    await office.send("PUT", API, WANTED)
    await put_logo(office, GOOD)
    made = await office.told(await office.send("PUT", API, {"name": "Molen"}), "Branding", 200)
    assert (made["name"], made["accentLight"], made["logo"] is None) == ("Molen", None, False)
    for _ in range(2):
        assert (await office.send("DELETE", LOGO)).status == 204
    assert (await read(office))["logo"] is None
    assert (await read(office))["name"] == "Molen"
    assert changes(office)[-2:] == [("ok", ["logo"]), ("ok", None)]


async def test_of_many_who_send_a_picture_at_once_two_are_served_at_a_time(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes a process and some 170 MB."""
    running, most = [0], [0]

    def counted(content: bytes) -> logo.Logo:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.05)
        running[0] -= 1
        return logo.remade(content)

    monkeypatch.setattr(looks, "remade_apart", counted)
    answers = await asyncio.gather(*(put_logo(office, GOOD) for _ in range(8)))
    assert {each.status for each in answers} == {200}
    assert most == [2]


async def test_a_draft_of_the_page_stays_as_it_is(office: Any) -> None:
    with office.house.portal.transaction(office.tenant.id) as connection:
        look = Look(office.tenant.id, "", "A draft", "#0a4f8a")
        brandings.put_draft(connection, look, "user:boss", now=office.now, logo=b"draft")
    await office.send("PUT", API, {"name": "Molen"})
    assert (await read(office))["logo"] is None, "a logo nobody published yet"
    draft = brandings.look_of(office.house.portal, office.tenant.id, draft=True)
    assert draft is not None
    assert (draft.name, draft.has_logo) == ("A draft", True)


@pytest.mark.parametrize(
    ("changed", "pointer", "told"),
    [
        ({"accentLight": "#ffcc00"}, "/accentLight", "Its contrast on #"),
        ({"accentDark": "#0a6557"}, "/accentDark", "4.5:1 is needed"),
        ({"accentDark": "#0a6557"}, "/accentDark", " would do."),
        ({"accentLight": "red;}"}, "/accentLight", "six digits"),
        ({"accentLight": 7}, "/accentLight", "a text"),
        ({"name": "x" * 61}, "/name", "at most 60 printable"),
        ({"name": "Molen\r\nBcc: x@y.example"}, "/name", "printable"),
        ({"name": "\u202eneloM"}, "/name", "printable"),
        ({"logo": "/static/x.png"}, "/logo", "no such field"),
    ],
)
async def test_what_can_not_be_shown_or_read_is_refused_and_says_why(
    office: Any, changed: dict[str, Any], pointer: str, told: str
) -> None:
    problem = await office.problem(await office.send("PUT", API, {**WANTED, **changed}), 400)
    ((found, detail),) = [tuple(each.values()) for each in problem["errors"]]
    assert found == pointer
    assert told in detail
    assert await read(office) == PLAIN


@pytest.mark.parametrize(
    ("content", "media_type", "status", "told"),
    [
        (b"<svg onload='alert(1)'/>", "image/png", 400, logo.UNKNOWN),
        (GOOD[: len(GOOD) // 3], "image/png", 400, logo.BROKEN),
        (b"", "image/png", 400, logo.UNKNOWN),
        (GOOD, "image/svg+xml", 415, "image/png"),
        (GOOD, "text/html", 415, "image/png"),
        (GOOD + bytes(FILE_BYTES_MAX), "image/png", 413, ""),
    ],
)
async def test_a_logo_is_what_its_octets_are(
    office: Any, content: bytes, media_type: str, status: int, told: str
) -> None:
    problem = await office.problem(await put_logo(office, content, media_type), status)
    assert told in str(problem)
    assert await read(office) == PLAIN


async def test_a_picture_of_another_kind_than_it_is_called_is_made_anew_all_the_same(office: Any) -> None:
    made = await office.told(await put_logo(office, GOOD, "image/webp"), "Branding", 200)
    answer = await office.client.get(made["logo"])
    assert (answer.content_type, (await answer.read())[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")


async def test_who_read_another_look_changes_nothing(office: Any) -> None:
    seen = (await office.send("GET", API, key="anna")).headers["ETag"]
    assert (await office.send("PUT", API, WANTED, headers={"If-Match": seen})).status == 200
    for answer in (
        await office.send("PUT", API, {}, headers={"If-Match": seen}),
        await put_logo(office, GOOD, **{"If-Match": seen}),
        await office.send("DELETE", LOGO, headers={"If-Match": seen}),
    ):
        await office.problem(answer, 412)
    assert (await read(office))["name"] == WANTED["name"]


async def test_who_administers_nothing_changes_nothing(office: Any) -> None:
    for method, path, body in (("PUT", API, WANTED), ("PUT", LOGO, None), ("DELETE", LOGO, None)):
        assert (await office.send(method, path, body, key="anna")).status == 403
        assert (await office.as_person("anna", method, path, body)).status == 403
    assert await read(office) == PLAIN
