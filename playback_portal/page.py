"""Pages: HTML for people, by templates; and what a refusal looks like to them.

How to write one
    async def list_users(request: web.Request) -> web.StreamResponse:
        people = await asyncio.to_thread(...)
        return render(request, "people/list.html", people=people)

    PEOPLE_ROUTES = (
        Route("GET", "/admin/users", list_users, Scope.ADMINISTRATION, "users.listed", page=True),
    )

- The handler stands in `pages/<noun>.py`, its templates in `templates/<noun>/`. A template
  begins `{% extends "frame.html" %}` (signed in, with the menu) or `"public.html"` (a sheet
  for strangers) and fills the blocks `title` and `content`; `head` is for
  `{{ ui.script("player.js") }}` and the like.
- Every template has `me` (None or `Person`), `look` (None or that of the organisation), on
  pages for strangers `written_down` (the name its provider gave it, '' where it has no other),
  `csrf`, `language` ("nl", "en"), `theme`
  ("light", "dark" or "" for the system's), `path`, `here` (with its query), `shortcuts`,
  `silence_ms`,
  `may_enter(path)`, the macros as `ui.icon("play")` and so on (`templates/macros.html` lists
  them), `asset(name)`, gettext as `_("...")`, `ngettext(...)` and `{% trans %}`, and the
  filters `clock`, `day`, `iso`, `duration` (milliseconds), `count`, `number`.
- A form that changes something holds `{{ ui.csrf(csrf) }}`; htmx sends the token by itself.
- `see_other(request, address)` leads to another page, after a form for instance.
- htmx asks with `HX-Request`; answer with `partial(request, "people/_row.html", ...)`. What
  was done is told by `{{ ui.toast(_("..."), undo="/path") }}` at the end of the fragment.
- Raise `Problem` as everywhere: page rows answer it as a page, or as a notice to htmx. A
  detail that is a marked message (`language.mark`) is shown translated.
- No inline script, style or `style=`, no `hx-on`, no `javascript:`: the content security
  policy refuses them. Texts that scripts need stand in `data-` attributes.
- Styles: a file `web/<noun>.css` is bundled by being there. Scripts: `web/<noun>.ts`,
  imported by `web/main.ts`, or an entry of its own when nothing imports it.
- English texts are the messages; `make messages` (or `python -m playback_portal.messages
  people`) puts new ones into `locale/nl/people.po`, where their Dutch is written.

Rules: a page decides nothing about who may see what, and holds no text outside gettext.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote, urlsplit

from aiohttp import web
from yarl import URL

from archive.catalogue.brandings import Look
from playback_portal import navigation
from playback_portal.authentication import authenticate
from playback_portal.browser_session import SESSION, is_kept_back, token_of
from playback_portal.language import Language, language_of
from playback_portal.person import CSRF, LOOK, ME, QUARANTINED, WRITTEN_DOWN
from playback_portal.problems import Problem
from playback_portal.refusals import explanation_of
from playback_portal.rendering import environment_of
from playback_portal.route import PAGES
from playback_portal.services import REFERENCE, SCOPE, SERVICES

THEME_COOKIE = "ew_theme"
THEMES = ("light", "dark")
SHORTCUTS_COOKIE = "ew_shortcuts"
SILENCE_COOKIE = "ew_silence"
SILENCES_MS = (700, 1500, 3000)
"""How long nobody speaks before it is silence that can be skipped: a breath, a thought, a wait."""

SILENCE_MS = 1500
SIGN_IN = "/sign-in"
ARRIVED = "arrived"
"""Of an address that a page of ours led on to, so that nobody is led round for ever."""

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    # Small drawings, such as the code for an authenticator, are data: addresses.
    "img-src": "'self' data:",
    "media-src": "'self'",
    "connect-src": "'self'",
    "worker-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
"""What a page may load and where its forms may go: our own, and nothing within the page itself."""

PAGE_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in POLICY.items()),
    # Browsers send `Origin: null` with a form under `no-referrer`, and the form's origin is checked.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Vary": "Cookie, HX-Request, Accept-Language",
}


def render(
    request: web.Request, template: str, *, status: int = HTTPStatus.OK, **context: object
) -> web.Response:
    """Return a whole page; `context` is added to what every template has."""
    return _response(request, template, status, {**surroundings(request), **context})


def partial(
    request: web.Request, template: str, *, status: int = HTTPStatus.OK, **context: object
) -> web.Response:
    """Return a piece of a page, as htmx swaps it in."""
    return render(request, template, status=status, **context)


def see_other(request: web.Request, address: str) -> web.Response:
    """Return the way to another page, as browsers and htmx each understand it."""
    if is_htmx(request):
        return web.Response(headers={**PAGE_HEADERS, "HX-Redirect": address})
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={**PAGE_HEADERS, "Location": address})


async def recognise(request: web.Request) -> None:
    """Find out who asks on a page that is open to everyone; a stranger stays one."""
    if not token_of(request):
        return
    try:
        request[SCOPE] = await authenticate(request)
    except Problem as problem:
        if problem.status is not HTTPStatus.UNAUTHORIZED:
            raise


def is_to_be_led_on(request: web.Request) -> bool:
    """Return whether a browser with a session may have kept it back, and was not led on yet."""
    return is_kept_back(request) and ARRIVED not in request.query


def arriving(request: web.Request, address: str) -> web.Response:
    """Return the page that leads on to an address of ours, where the browser shows its session.

    The part of the address behind its `#`, which only the browser knows, goes along by a script.
    """
    onward = URL(address, encoded=True)
    return render(request, "sign_in/arriving.html", address=str(onward.update_query({ARRIVED: "yes"})))


def is_htmx(request: web.Request) -> bool:
    """Return whether a script asks for a piece; a page restored from history is asked for whole."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers


def surroundings(request: web.Request) -> dict[str, object]:
    """Return what every template has, beside the globals of `rendering`."""
    theme = request.cookies.get(THEME_COOKIE, "")
    return {
        "me": request.get(ME),
        "look": _look(request),
        "written_down": request.get(WRITTEN_DOWN, ""),
        "quarantined": request.get(QUARANTINED, 0),
        "csrf": request.get(CSRF, ""),
        "theme": theme if theme in THEMES else "",
        "path": request.path,
        "here": request.path_qs,
        "session_s": _session_s(request),
        "shortcuts": request.cookies.get(SHORTCUTS_COOKIE) != "off",
        "silence_ms": _silence_ms(request),
        "sections": navigation.sections_for(request),
        "current": navigation.current(request.path),
        "may_enter": lambda path: navigation.may_enter(request, path),
        "languages": tuple(Language),
    }


def _silence_ms(request: web.Request) -> int:
    """Return from which length on the player skips silence in this browser."""
    chosen = request.cookies.get(SILENCE_COOKIE, "")
    return int(chosen) if chosen in map(str, SILENCES_MS) else SILENCE_MS


def is_for_page(request: web.Request) -> bool:
    """Return whether a refusal should be HTML: of a page row, or of no row but asked by a browser."""
    resource = request.match_info.route.resource
    if resource is not None:
        return (request.method, resource.canonical) in request.app[PAGES]
    return "text/html" in request.headers.get("Accept", "") or is_htmx(request)


def refusal(request: web.Request, problem: Problem) -> web.Response:
    """Return what a person sees of a problem: the way to sign in (again), a page, or a notice."""
    if problem.status is HTTPStatus.UNAUTHORIZED:
        return _to_sign_in(request)
    if "Location" in problem.headers:
        return see_other(request, problem.headers["Location"])
    context = {
        "explained": explanation_of(language_of(request), problem),
        "reference": request[REFERENCE],
    }
    if is_htmx(request):
        response = render(request, "error/notice.html", status=problem.status, **context)
        response.headers.update({"HX-Retarget": "#toasts", "HX-Reswap": "beforeend", "HX-Push-Url": "false"})
    else:
        response = render(request, "error/page.html", status=problem.status, **context)
    response.headers.update(
        {name: problem.headers[name] for name in problem.headers if name != "WWW-Authenticate"}
    )
    return response


def _look(request: web.Request) -> Look | None:
    """Return how a page looks: as it was told to, or as the organisation of who signed in does."""
    if LOOK in request:
        return request[LOOK]
    return request[ME].look if ME in request else None


def _session_s(request: web.Request) -> int:
    """Return how long the session of a request lasts when nobody does anything; 0 without one."""
    if SESSION not in request:
        return 0
    return request[SESSION].left_s(request.app[SERVICES].clock.now())


def _to_sign_in(request: web.Request) -> web.Response:
    """Return the way to sign in and back to where somebody was."""
    if is_htmx(request):
        asked = urlsplit(request.headers.get("HX-Current-URL", ""))
        back = asked.path + (f"?{asked.query}" if asked.query else "")
        where = {"HX-Redirect": _sign_in_address(back)}
        return web.Response(status=HTTPStatus.UNAUTHORIZED, headers={**PAGE_HEADERS, **where})
    address = _sign_in_address(request.path_qs if request.method == "GET" else "")
    if is_kept_back(request):
        # Who is in goes straight on from there.
        return arriving(request, address)
    return see_other(request, address)


def _sign_in_address(back: str) -> str:
    return f"{SIGN_IN}?next={quote(back, safe='/')}" if back not in {"", "/"} else SIGN_IN


def _response(request: web.Request, template: str, status: int, context: dict[str, object]) -> web.Response:
    language = language_of(request)
    text = environment_of(language).get_template(template).render(context)
    headers = {**PAGE_HEADERS, "Content-Language": language.value}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)
