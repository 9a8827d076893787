"""What people choose for their own browser: language, light or dark, shortcuts, silence; and where `/` leads.

The choices are cookies, for they belong to a browser and not to a person: the telephone
may be dark and the screen at work light. They work before signing in too.

Rules: nothing here is secret or changes anything of anybody else, so the form needs no
token; a form of another site is refused all the same.
"""

from __future__ import annotations

from aiohttp import web

from playback_portal import language
from playback_portal.browser_session import is_secure, require_own_site
from playback_portal.language import language_named
from playback_portal.navigation import SECTIONS, may_enter
from playback_portal.page import (
    SHORTCUTS_COOKIE,
    SIGN_IN,
    SILENCE_COOKIE,
    SILENCES_MS,
    THEME_COOKIE,
    THEMES,
    arriving,
    is_to_be_led_on,
    recognise,
    see_other,
)
from playback_portal.route import Route
from playback_portal.services import SCOPE, SERVICES

COOKIE_S = 365 * 24 * 3600
"""A year after the last change; browsers keep none much longer."""


async def get_start(request: web.Request) -> web.StreamResponse:
    """Lead to the first place of the menu that is the visitor's, or to sign in."""
    await recognise(request)
    if SCOPE not in request:
        return arriving(request, SIGN_IN) if is_to_be_led_on(request) else see_other(request, SIGN_IN)
    places = (place.path for section in SECTIONS for place in section.places)
    return see_other(request, next((path for path in places if may_enter(request, path)), "/me"))


async def post_preferences(request: web.Request) -> web.StreamResponse:
    """Keep what was chosen in cookies, and lead back."""
    require_own_site(request)
    form = {name: str(value) for name, value in (await request.post()).items()}
    response = see_other(request, local(form.get("next", "")))
    chosen = {
        language.COOKIE: language_named(form.get("language")),
        THEME_COOKIE: _theme(request, form.get("theme")),
        SHORTCUTS_COOKIE: form.get("shortcuts") if form.get("shortcuts") in {"on", "off"} else None,
        SILENCE_COOKIE: form.get("silence") if form.get("silence", "") in map(str, SILENCES_MS) else None,
    }
    for name, value in chosen.items():
        if value is not None:
            secure = is_secure(request.app[SERVICES].exposure)
            response.set_cookie(
                name, value, max_age=COOKIE_S, path="/", httponly=True, secure=secure, samesite="Lax"
            )
    return response


def local(address: str) -> str:
    """Return an address within the portal, '/' for any other: nobody is led to another site."""
    plain = address.isascii() and address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else "/"


def _theme(request: web.Request, wanted: str | None) -> str | None:
    """Return the theme to keep; "system" keeps none, and without a script the switch toggles."""
    if wanted == "toggle":
        return "light" if request.cookies.get(THEME_COOKIE) == "dark" else "dark"
    return wanted if wanted in {*THEMES, "system"} else None


PREFERENCE_ROUTES = (
    Route("GET", "/", get_start, None, None, page=True),
    Route("POST", "/preferences", post_preferences, None, None, page=True),
)
