"""The list of recordings as people see it: found, filtered by addresses, and never more than they may."""

from __future__ import annotations

import dataclasses
import html
import re
from typing import Any

import pytest

from archive.access import Scope
from archive.catalogue import accounts, directory, listing, recordings, saved_searches
from archive.catalogue.engine import Catalogue
from archive.model import Party, RecordingId, Role, new_id
from playback_portal import filters
from playback_portal.filters import EVERYTHING
from playback_portal.pages import recordings as page

pytestmark = pytest.mark.usefixtures("as_furnished")

HX = {"HX-Request": "true", "Accept-Language": "nl"}
ROW = re.compile(r'<tr id="row-([0-9a-f-]{36})"')
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)


@pytest.fixture
def person(house: Any) -> str:
    """Return the key of somebody who hears everything and has views of their own."""
    now = house.services().clock.now()
    user = directory.add_user(house.operator, house.tenant_id, new_id(now), now=now, role=Role.AUDITOR)
    scopes = ("recordings:read", "recordings:play")
    client = accounts.add_api_client(
        house.operator, house.tenant_id, new_id(now), scopes, now=now, user_id=user.id
    )
    house.keys["person"] = client.key
    house.people["person"] = user
    return "person"


@pytest.fixture
def left(house: Any, person: str) -> Any:
    """Return what the person left the list with."""

    def read() -> str | None:
        scope = accounts.authenticate_key(house.portal, house.keys[person])
        assert scope is not None
        return saved_searches.last_view(house.portal, scope, now=house.services().clock.now())

    return read


async def shown(
    api: Any, query: str = EVERYTHING, key: str = "all", headers: dict[str, str] | None = None
) -> str:
    answer = await api.get(f"/recordings?{query}", key, headers or {"Accept-Language": "nl"})
    assert answer.status == 200, await answer.text()
    return html.unescape(await answer.text())


def ids(api: Any, *names: str) -> list[str]:
    return [api.house.recordings[name].id for name in names]


async def test_everything_is_listed_newest_first_with_what_may_be_done(api: Any) -> None:
    text = await shown(api)
    assert ROW.findall(text) == ids(api, "two-party", "mixed", "multi", "damaged", "unfinished")
    assert "Jansen, M." in text
    assert "06 1234 5678" in text
    assert "90 dagen" in text
    assert text.count("data-play=") == 4
    assert text.count('class="mini"') == 4
    assert "Wordt verwerkt" in text
    assert INLINE.search(text) is None


async def test_all_that_surrounds_the_rows_is_read_in_one_transaction(
    api: Any, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks, the rows, what surrounds them, and the entry in the log: more would wait for a connection each."""
    opened: list[str] = []
    transaction = Catalogue.transaction

    def counted(self: Catalogue, tenant_id: Any, *arguments: Any, **more: Any) -> Any:
        opened.append(tenant_id)
        return transaction(self, tenant_id, *arguments, **more)

    monkeypatch.setattr(Catalogue, "transaction", counted)
    await shown(api, "mode=always&label=none&sort=-start", person)
    assert len(opened) <= 4


async def test_who_may_not_play_is_offered_no_play_and_no_picture(api: Any) -> None:
    text = await shown(api, key="reader")
    assert len(ROW.findall(text)) == 5
    assert "data-play=" not in text
    assert 'class="mini"' not in text


async def test_who_reaches_nothing_is_told_what_will_come(api: Any) -> None:
    text = await shown(api, key="anna")
    assert ROW.findall(text) == []
    assert "Nog geen opnames" in text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("direction=out", ["mixed"]),
        ("q=06-1234 5678&direction=out", ["mixed"]),
        ("has=pause,gap", []),
        ("minDuration=30", ["two-party", "damaged"]),
        ("sort=start", ["unfinished", "damaged", "multi", "mixed", "two-party"]),
        ("within=1&direction=out", ["mixed"]),
        ("to=2026-11-22", []),
        ("user=anna", []),
        ("team=nobody", []),
    ],
)
async def test_an_address_says_what_is_shown(api: Any, query: str, names: list[str]) -> None:
    text = await shown(api, query)
    assert ROW.findall(text) == ids(api, *names)
    assert (await shown(api, query, headers=HX)).count("<html") == 0


async def test_an_id_finds_its_recording(api: Any) -> None:
    wanted = api.house.recordings["multi"]
    for text in (wanted.id, wanted.call_id):
        assert ROW.findall(await shown(api, f"q={text}")) == [wanted.id]


async def test_a_filter_that_is_on_is_a_chip_that_leads_away_from_it(api: Any) -> None:
    text = await shown(api, "has=pause&minDuration=60&within=30&user=anna")
    chips = dict(re.findall(r'<a class="chip on" href="([^"]+)"[^>]*>([^<]+)', text))
    anna = api.house.people["anna"].id
    assert chips == {
        "/recordings?within=30&minDuration=60&has=pause": "Gebruiker: anna",
        f"/recordings?user={anna}&minDuration=60&has=pause": "Laatste 30 dagen",
        f"/recordings?user={anna}&within=30&has=pause": "Langer dan 1 min",
        f"/recordings?user={anna}&within=30&minDuration=60": "Pauze",
    }


async def test_an_empty_list_names_the_filter_that_is_the_cause(api: Any) -> None:
    text = await shown(api, "direction=out&q=zzz")
    assert "Zonder ‘zzz’ zijn er wel opnames." in text
    assert 'href="/recordings?direction=out"' in text
    text = await shown(api, "direction=out&minDuration=30")
    assert "Wis ‘Langer dan 0 min’" not in text
    assert "Zonder ‘Langer dan 30 s’" in text
    assert "niet aan één filter" in await shown(api, "q=zzz&label=yyy")


async def test_the_bare_address_goes_on_with_the_view_of_today(api: Any, person: str, left: Any) -> None:
    answer = await api.get("/recordings", person)
    assert answer.status == 200
    assert left() == EVERYTHING
    await shown(api, "direction=out&q=jansen&has=", person)
    assert left() == "q=jansen&direction=out"
    answer = await api.client.get(
        "/recordings", headers={"Authorization": f"Bearer {api.house.keys[person]}"}, allow_redirects=False
    )
    assert (answer.status, answer.headers["Location"]) == (303, "/recordings?q=jansen&direction=out")
    await shown(api, EVERYTHING, person)
    answer = await api.get("/recordings", person)
    assert answer.status == 200
    assert not answer.history


async def test_htmx_gets_the_results_and_the_address_they_stand_for(api: Any) -> None:
    answer = await api.get("/recordings?q=&direction=out&has=", "all", HX)
    text = await answer.text()
    assert answer.headers["HX-Push-Url"] == "/recordings?direction=out"
    assert "<html" not in text
    assert 'id="results"' in text
    assert text.count('hx-swap-oob="true"') == 2


async def test_more_rows_come_behind_the_last_without_a_second_head_of_the_day(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "PAGE_ROWS", 2)
    seen, text, window = [], await shown(api), f"/recordings?{EVERYTHING}"
    assert text.count('class="day"') == 1
    for _ in range(3):
        seen += ROW.findall(text)
        more = re.search(r'hx-get="(/recordings\?[^"]*cursor=[^"]+)"', text)
        if more is None:
            break
        answer = await api.get(more[1], "all", {**HX, "HX-Current-URL": f"http://portal.example{window}"})
        window, text = answer.headers["HX-Replace-Url"], html.unescape(await answer.text())
        assert "<table" not in text
        assert 'class="day"' not in text
    assert seen == ids(api, "two-party", "mixed", "multi", "damaged", "unfinished")
    assert window == "/recordings?sort=-start&rows=6"
    assert ROW.findall(await shown(api, window.partition("?")[2])) == seen


async def test_a_window_holds_so_many_rows_and_the_next_page_leads_back(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "PAGE_ROWS", 2)
    monkeypatch.setattr(page, "ROWS_MAX", 2)
    first = await shown(api, "sort=start")
    assert 'hx-get="/recordings?sort=start&cursor' not in first
    assert "Vorige opnames" not in first
    second = await shown(api, next_of(first))
    third = await shown(api, next_of(second))
    assert ROW.findall(third) == ids(api, "two-party")
    for behind, before in ((third, second), (second, first)):
        back = re.search(r'href="/recordings\?([^"]*before=[^"]+)"', behind)
        assert back is not None
        assert ROW.findall(await shown(api, back[1])) == ROW.findall(before)


def next_of(text: str) -> str:
    found = re.search(r'<a class="btn" href="/recordings\?([^"]*cursor=[^"]+)"', text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    "window", ["", "http://[", "/recordings?rows=x", "/recordings?cursor=<b>", "/recordings?rows=100000"]
)
async def test_a_window_that_makes_no_sense_is_taken_as_the_first(api: Any, window: str) -> None:
    cursor = recordings.encode_cursor(api.house.recordings["two-party"].started_at, "x")
    answer = await api.get(f"/recordings?cursor={cursor}", "all", {**HX, "HX-Current-URL": window})
    assert answer.headers["HX-Replace-Url"] == "/recordings?rows=100"


async def test_how_many_there_are_is_told_afterwards(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def told(query: str) -> str:
        answer = await api.get(f"/recordings/count?{query}", "all", {"Accept-Language": "nl"})
        return " ".join((await answer.text()).split())

    assert await told(EVERYTHING) == "5 opnames"
    assert await told("direction=out") == "1 opname"
    assert await told("q=zzz") == "0 opnames"
    monkeypatch.setattr(listing, "COUNTED_ROWS_MAX", 1)
    assert (await told(EVERYTHING)).startswith("ongeveer ")


@pytest.mark.parametrize(
    "query",
    ["has=x", "from=yesterday", "cursor=x", "before=x", "rows=0", "rows=201", "unknown=1", "minDuration=x"],
)
async def test_an_address_that_says_nothing_is_refused_as_a_page(api: Any, query: str) -> None:
    answer = await api.get(f"/recordings?{query}")
    assert (answer.status, answer.content_type) == (400, "text/html")


async def test_a_view_is_saved_opened_and_deleted_with_a_way_back(api: Any, person: str) -> None:
    headers = {"Authorization": f"Bearer {api.house.keys[person]}"}
    form = {"name": "Met <pauze>", "query": "has=pause&q=a b"}
    answer = await api.client.post("/recordings/views", data=form, headers=headers, allow_redirects=False)
    assert answer.status == 303
    address = answer.headers["Location"]
    answer = await api.client.get(address, headers=headers, allow_redirects=False)
    opened = answer.headers["Location"]
    assert opened.startswith("/recordings?q=a+b&has=pause&view=")
    raw = await (await api.get(opened, person)).text()
    assert "Met &lt;pauze&gt;" in raw
    assert f'href="{address}" aria-current="true"' in raw
    assert 'aria-current="page"' not in raw
    answer = await api.client.post(f"{address}/delete", headers={**headers, **HX})
    text = await answer.text()
    assert 'hx-swap-oob="delete"' in text
    assert 'hx-post="/recordings/views"' in text
    answer = await api.client.get(address, headers=headers)
    assert answer.status == 404


async def test_a_view_that_is_saved_again_under_its_name_is_renewed(api: Any, person: str) -> None:
    headers = {"Authorization": f"Bearer {api.house.keys[person]}"}
    addresses = set()
    for query in ("has=pause", "direction=out"):
        form = {"name": "Mijn lijst", "query": query}
        answer = await api.client.post("/recordings/views", data=form, headers=headers, allow_redirects=False)
        addresses.add(answer.headers["Location"])
    (address,) = addresses
    answer = await api.client.get(address, headers=headers, allow_redirects=False)
    assert answer.headers["Location"].startswith("/recordings?direction=out&view=")


async def test_what_stands_beside_a_recording_in_the_list_somebody_left(api: Any, person: str) -> None:
    headers = {"Authorization": f"Bearer {api.house.keys[person]}"}
    first, middle, last = ids(api, "damaged", "multi", "two-party")

    async def led(recording_id: str, way: str) -> str:
        answer = await api.client.get(
            f"/recordings/{recording_id}/{way}", headers=headers, allow_redirects=False
        )
        assert answer.status == 303
        return str(answer.headers["Location"]).removeprefix("/recordings").removeprefix("/")

    assert await led(last, "next") == ids(api, "mixed")[0]
    assert await led(last, "previous") == ""
    await shown(api, "direction=in&sort=start&minDuration=0", person)
    assert await led(first, "next") == middle
    assert await led(middle, "next") == last
    assert await led(last, "next") == ""
    assert await led(last, "previous") == middle
    answer = await api.client.get(
        f"/recordings/{new_id(api.house.services().clock.now())}/next", headers=headers
    )
    assert answer.status == 404


async def test_a_view_that_is_gone_leaves_the_list(api: Any, person: str) -> None:
    assert "Opnames" in await shown(api, f"q=jansen&view={new_id(api.house.services().clock.now())}", person)


async def test_a_view_with_a_filter_nobody_knows_is_not_saved(api: Any, person: str) -> None:
    headers = {"Authorization": f"Bearer {api.house.keys[person]}"}
    for query in ("has=x", "&".join(["has=pause"] * (filters.PAIRS_MAX + 1))):
        form = {"name": "x", "query": query}
        answer = await api.client.post("/recordings/views", data=form, headers=headers)
        assert answer.status == 400


async def test_hostile_names_and_texts_are_shown_as_texts(api: Any) -> None:
    house, hostile = api.house, '<script>alert(1)</script>"\u202e=cmd|x'
    now = house.services().clock.now()
    tenant = directory.add_tenant(house.operator, "<b>x</b>", f"{new_id(now)}.example", now=now)
    key = accounts.add_api_client(house.operator, tenant.id, "x", tuple(Scope), now=now).key
    scope = accounts.authenticate_key(house.portal, house.keys["all"])
    assert scope is not None
    pattern = recordings.get(house.portal, scope, house.recordings["two-party"].id)
    evil = dataclasses.replace(
        pattern.recording,
        id=RecordingId(new_id(now)),
        tenant_id=tenant.id,
        parties=(Party("a", hostile, hostile), Party("b", "", "")),
        call_id=hostile,
    )
    with house.recorder.transaction(tenant.id) as connection:
        recordings.insert_recording(connection, dataclasses.replace(pattern, recording=evil, objects=()))
    headers = {"Authorization": f"Bearer {key}"}
    for text, rows in ((hostile, 1), ("alert", 1), ("' | 'has:x", 0), ("\\", 0), ("<b>", 0), ("%00", 0)):
        answer = await api.client.get("/recordings", params={"q": text}, headers=headers)
        raw = await answer.text()
        assert answer.status == 200
        assert (len(ROW.findall(raw)), INLINE.search(raw)) == (rows, None), text
        assert "<script>alert" not in raw
        assert "\u202e" not in raw
        assert rows == 0 or "&lt;script&gt;alert(1)" in raw
