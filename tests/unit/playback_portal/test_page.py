"""Pages: rendered for who looks, closed to everything inline, and refusals that people understand."""

import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from archive.access import AccessScope, Scope
from archive.errors import CatalogueUnavailable, Conflict
from archive.model import TenantId
from playback_portal import page
from playback_portal.app import create_app
from playback_portal.language import mark
from playback_portal.page import POLICY, is_htmx, partial, render, see_other
from playback_portal.person import CSRF, ME, Person
from playback_portal.problems import Problem, not_found
from playback_portal.route import Route
from playback_portal.services import SCOPE

HOSTILE = "<script>alert(1)</script>\"'\u202e&"
DUTCH = {"Accept": "text/html", "Accept-Language": "nl"}
ENGLISH = {"Accept": "text/html", "Accept-Language": "en"}
HTMX = {"HX-Request": "true", "Accept-Language": "nl"}
PERSON = Person("Anna <b>Bakker</b>", "anna@bakery.example", "user", "De Warme Bakker & zn")


async def shown(request: web.Request) -> web.StreamResponse:
    request[SCOPE] = AccessScope(TenantId("t"), "user:1", scopes=frozenset({Scope.RECORDINGS_READ}))
    request[ME], request[CSRF] = PERSON, "token-1"
    return render(request, "me/page.html", own=None, mails=None)


async def piece(request: web.Request) -> web.StreamResponse:
    return partial(request, "me/page.html", status=HTTPStatus.ACCEPTED, own=None, mails=None)


def raising(error: Exception) -> Any:
    async def handle(request: web.Request) -> web.StreamResponse:
        raise error

    return handle


REFUSALS = {
    "missing": not_found(),
    "forbidden": Problem(HTTPStatus.FORBIDDEN, "refused", f"Secret {HOSTILE}"),
    "conflict": Conflict("A sentence for programs."),
    "told": Problem(HTTPStatus.CONFLICT, "x", mark("This form came from another site.")),
    "many": Problem(HTTPStatus.TOO_MANY_REQUESTS, "many", "Slower.", headers={"Retry-After": "9"}),
    "away": CatalogueUnavailable("The database is away."),
    "defect": RuntimeError("the secret cause"),
    "teapot": Problem(HTTPStatus.IM_A_TEAPOT, "teapot", "Tea."),
    "slow": Problem(HTTPStatus.GATEWAY_TIMEOUT, "slow", "Slow."),
    "old": Problem(HTTPStatus.NOT_IMPLEMENTED, "old", "Old."),
    "stranger": Problem(HTTPStatus.UNAUTHORIZED, "x", "Who?", headers={"WWW-Authenticate": "Bearer"}),
}
PAGES = (
    Route("GET", "/shown", shown, None, None, page=True),
    Route("GET", "/piece", piece, None, None, page=True),
    *(
        Route("GET", f"/refused/{name}", raising(error), None, None, page=True)
        for name, error in REFUSALS.items()
    ),
    Route("GET", "/v1/broken", raising(REFUSALS["missing"]), None, None),
)


@pytest.fixture
async def client(house: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TestClient[Any, Any]]:
    monkeypatch.setattr("playback_portal.openapi.encode", lambda routes: b"{}")
    async with TestClient(TestServer(create_app(house.services(), PAGES))) as found:
        yield found


async def test_a_page_is_html_in_the_language_of_the_reader(client: Any) -> None:
    dutch = await client.get("/shown", headers=DUTCH)
    english = await client.get("/shown", headers=ENGLISH)
    assert dutch.headers["Content-Type"] == "text/html; charset=utf-8"
    assert (dutch.headers["Content-Language"], english.headers["Content-Language"]) == ("nl", "en")
    assert '<html lang="nl">' in await dutch.text()
    assert "<title>Mijn instellingen - earwitness</title>" in await dutch.text()
    assert "<title>My settings - earwitness</title>" in await english.text()


async def test_nothing_inline_is_allowed_and_nothing_from_elsewhere(client: Any) -> None:
    answer = await client.get("/shown")
    policy = dict(each.split(" ", 1) for each in answer.headers["Content-Security-Policy"].split("; "))
    assert policy == POLICY
    assert policy["default-src"] == "'none'"
    assert not any("unsafe" in sources or "http" in sources or "*" in sources for sources in policy.values())
    text = await answer.text()
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|https?://", text)


async def test_a_page_stays_out_of_caches_and_frames(client: Any) -> None:
    headers = (await client.get("/shown")).headers
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["X-Frame-Options"] == "DENY"
    # With no-referrer browsers would send `Origin: null` along with forms.
    assert headers["Referrer-Policy"] == "same-origin"


async def test_what_people_are_called_is_text_and_never_markup(client: Any) -> None:
    text = await (await client.get("/shown")).text()
    assert "Anna &lt;b&gt;Bakker&lt;/b&gt;" in text
    assert "De Warme Bakker &amp; zn" in text


async def test_the_token_stands_in_forms_and_in_what_htmx_sends(client: Any) -> None:
    text = await (await client.get("/shown")).text()
    assert """hx-headers='{"X-CSRF-Token": "token-1"}'""" in text
    forms = re.findall(r'<form[^>]*method="post".*?</form>', text, re.DOTALL)
    assert forms
    assert all('name="csrf" value="token-1"' in form for form in forms)


@pytest.mark.parametrize(
    ("cookie", "attribute"),
    [
        ("dark", ' data-theme="dark"'),
        ("light", ' data-theme="light"'),
        ("", ""),
        ('"><script>', ""),
        ("system", ""),
    ],
)
async def test_the_theme_is_there_before_the_first_paint(client: Any, cookie: str, attribute: str) -> None:
    answer = await client.get("/shown", headers={"Cookie": f"ew_theme={cookie}", **DUTCH})
    assert f'<html lang="nl"{attribute}>' in await answer.text()


async def test_choosing_a_language_leads_back_to_the_same_place(client: Any) -> None:
    text = await (await client.get("/shown?q=a%26b&x=1", headers=DUTCH)).text()
    assert 'name="next" value="/shown?q=a%26b&amp;x=1"' in text


async def test_shortcuts_can_be_switched_off(client: Any) -> None:
    assert 'data-shortcuts="on"' in await (await client.get("/shown")).text()
    off = await client.get("/shown", headers={"Cookie": "ew_shortcuts=off"})
    assert 'data-shortcuts="off"' in await off.text()


async def test_a_piece_is_answered_with_its_own_status(client: Any) -> None:
    assert (await client.get("/piece")).status == 202


@pytest.mark.parametrize(
    ("name", "status", "dutch"),
    [
        ("missing", 404, "We kunnen dit niet vinden"),
        ("forbidden", 403, "Je mag dit niet zien of doen"),
        ("conflict", 409, "Dit kan nu niet"),
        ("many", 429, "Wacht even en probeer het opnieuw."),
        ("away", 503, "Gesprekken worden gewoon opgenomen."),
        ("defect", 500, "Er ging bij ons iets mis"),
        ("teapot", 418, "Dit adres of formulier klopt niet"),
        ("slow", 504, "Een deel van de dienst is even weg"),
        ("old", 501, "Er ging bij ons iets mis"),
    ],
)
async def test_a_refusal_is_a_page_with_what_who_and_a_reference(
    client: Any, name: str, status: int, dutch: str
) -> None:
    answer = await client.get(f"/refused/{name}", headers=DUTCH)
    text = await answer.text()
    assert answer.status == status
    assert answer.content_type == "text/html"
    assert dutch in text
    assert answer.headers["X-Request-Id"] in text
    assert "Wie kan dit oplossen" in text
    assert 'href="/"' in text
    assert not any(
        word in text for word in ("ecret", "for programs", "database", "Slower", "Tea", "Traceback")
    )


async def test_a_detail_that_is_written_for_people_is_shown_in_their_language(client: Any) -> None:
    dutch = await (await client.get("/refused/told", headers=DUTCH)).text()
    english = await (await client.get("/refused/told", headers=ENGLISH)).text()
    assert "Dit formulier kwam van een andere site." in dutch
    assert "This form came from another site." in english


async def test_when_to_try_again_is_kept_for_programs_too(client: Any) -> None:
    assert (await client.get("/refused/many")).headers["Retry-After"] == "9"
    assert (await client.get("/refused/away")).headers["Retry-After"] == "5"


@pytest.mark.parametrize("name", ["missing", "conflict", "defect", "away"])
async def test_htmx_gets_a_notice_for_the_toast_region(client: Any, name: str) -> None:
    answer = await client.get(f"/refused/{name}", headers=HTMX)
    text = await answer.text()
    assert answer.headers["HX-Retarget"] == "#toasts"
    assert answer.headers["HX-Reswap"] == "beforeend"
    assert text.startswith('<div class="notice bad"')
    assert answer.headers["X-Request-Id"] in text


async def test_strangers_are_led_to_sign_in_and_a_script_too(client: Any) -> None:
    answer = await client.get("/refused/stranger?a=1", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in?next=/refused/stranger%3Fa%3D1")
    answer = await client.get(
        "/refused/stranger", headers=HTMX | {"HX-Current-URL": "https://evil.example/x"}
    )
    assert (answer.status, answer.headers["HX-Redirect"]) == (401, "/sign-in?next=/x")
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize("path", ["/no/such/page", "/shown/"])
async def test_an_unknown_address_is_a_page_to_a_browser_and_a_problem_to_a_program(
    client: Any, path: str
) -> None:
    assert (await client.get(path, headers=DUTCH)).content_type == "text/html"
    assert (await client.get(path)).content_type == "application/problem+json"


async def test_the_api_answers_problems_to_browsers_as_well(client: Any) -> None:
    answer = await client.get("/v1/broken", headers=DUTCH)
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({}, False),
        ({"HX-Request": "true"}, True),
        ({"HX-Request": "true", "HX-History-Restore-Request": "true"}, False),
    ],
)
def test_a_page_restored_from_history_is_whole(headers: dict[str, str], asked: bool) -> None:
    assert is_htmx(make_mocked_request("GET", "/", headers=headers)) is asked


def test_another_page_is_reached_by_browsers_and_htmx() -> None:
    plain = see_other(make_mocked_request("POST", "/"), "/x")
    assert (plain.status, plain.headers["Location"]) == (303, "/x")
    script = see_other(make_mocked_request("POST", "/", headers={"HX-Request": "true"}), "/x")
    assert (script.status, script.headers["HX-Redirect"]) == (200, "/x")


async def test_an_open_page_knows_who_looks_only_by_a_session(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def refuse(request: web.Request) -> AccessScope:
        asked.append(request.path)
        raise REFUSALS["stranger"]

    monkeypatch.setattr(page, "authenticate", refuse)
    async with TestClient(TestServer(create_app(house.services()))) as client:
        assert (await client.get("/help")).status == 200
        assert asked == []
        assert (await client.get("/help", headers={"Cookie": "ew_session=x"})).status == 200
        assert asked == ["/help"]
        monkeypatch.setattr(page, "authenticate", raising(CatalogueUnavailable("away")))
        assert (await client.get("/help", headers={"Cookie": "ew_session=x"})).status == 503


HELD = ("frame-ancestors", "base-uri", "form-action")


def test_what_default_src_does_not_cover_is_set_by_itself() -> None:
    assert all(POLICY[name] in {"'none'", "'self'"} for name in HELD)
