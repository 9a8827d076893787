"""How the pages of an organisation look, for its administrators: name, logo and colours, as a draft first.

What is sent becomes a draft; a page in that look shows it, and one press makes it everybody's. Another
brings the look of everybody back.

Rules: a picture is made anew in a process of its own (`archive.logo`); a colour that can't be read is
refused with what was measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from archive.branding import CONTRAST_MIN, NAME_CHARS_MAX, Theme, colour, measured, nearest
from archive.catalogue import brandings
from archive.catalogue.brandings import Look
from archive.errors import Conflict, Refused
from archive.logo import (
    BROKEN,
    FILE_BYTES_MAX,
    POINTS_MAX,
    SIDE_PX_MAX,
    SIDE_PX_MIN,
    TOO_HEAVY,
    TOO_LARGE,
    TOO_PALE,
    TOO_SMALL,
    UNKNOWN,
    remade_apart,
)
from archive.model import TenantId
from playback_portal.admission import again
from playback_portal.language import Language, language_of, mark
from playback_portal.looks import told_of
from playback_portal.page import render, see_other
from playback_portal.pages.teams import row
from playback_portal.person import LOOK
from playback_portal.route import DETAILS
from playback_portal.services import ENTRY, SCOPE, SERVICES

PAGE = "/admin/policies/branding"

PICTURE_FAULTS = {
    UNKNOWN: mark("This is no PNG, JPEG or WebP picture. A drawing (SVG) is not taken."),
    BROKEN: mark("This picture can't be read: it is broken, or not what it says."),
    TOO_LARGE: mark("This picture has too many points: at most %(side)s by %(side)s and %(points)s million."),
    TOO_SMALL: mark("This picture is too small: at least %(least)s by %(least)s points."),
    TOO_PALE: mark("This picture can't be seen on white. Take the logo as it is for paper."),
    TOO_HEAVY: mark("This file is larger than %(kilobytes)s KB."),
}
LIMITS = {
    "side": SIDE_PX_MAX,
    "points": POINTS_MAX // 1_000_000,
    "least": SIDE_PX_MIN,
    "kilobytes": FILE_BYTES_MAX // 1024,
}
DONE = {
    "used": mark("Everybody sees this look now."),
    "reset": mark("Everybody sees the usual look again."),
    "discarded": mark("The draft is gone. Everybody sees what they saw before."),
    "gone": mark("Somebody else used this draft or took it away meanwhile."),
}
"""What the page says of what was done before it."""

CHANGED = "changed"
"""In the address of a draft that is not the one somebody wanted to use."""

THEMES = {"accent_light": Theme.LIGHT, "accent_dark": Theme.DARK}


class WrongLookError(Exception):
    """Something of a form can't be shown: which field, the message about it and the numbers in it."""

    def __init__(self, field: str, message: str, numbers: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.message = message
        self.numbers = numbers or {}


async def get_branding(request: web.Request) -> web.StreamResponse:
    """Show the look in its fields."""
    return await _page(request)


async def post_branding(request: web.Request) -> web.StreamResponse:
    """Take what was sent as a draft, and lead to it."""
    form = await request.post()
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    file = form.get("logo")
    try:
        wanted = _wanted(request[SCOPE].tenant_id, texts)
        logo = None
        if isinstance(file, web.FileField) and file.filename:
            async with request.app[SERVICES].pictures:
                logo = await asyncio.to_thread(_logo, file)
        keep = logo is None and "no_logo" not in texts
        await asyncio.to_thread(_draft, request, wanted, logo, keep)
    except WrongLookError as wrong:
        await request[ENTRY].make("refused")
        return await _page(request, texts, wrong)
    return see_other(request, f"{PAGE}/preview")


async def get_preview(request: web.Request) -> web.StreamResponse:
    """Show a page in the look of the draft."""
    draft = await _look(request, draft=True)
    if draft is None:
        return see_other(request, f"{PAGE}?done=gone" if CHANGED in request.query else PAGE)
    request[LOOK] = draft
    return render(
        request, "branding/preview.html", draft=draft, changed=CHANGED in request.query, again=again(request)
    )


async def post_publication(request: web.Request) -> web.StreamResponse:
    """Make the draft that was looked at everybody's."""
    version = str((await request.post()).get("version", ""))
    tenant_id = request[SCOPE].tenant_id

    def publish() -> None:
        with request[ENTRY].transaction() as connection:
            request[DETAILS] = told_of(brandings.publish(connection, tenant_id, version))

    try:
        await asyncio.to_thread(publish)
    except Conflict:
        await request[ENTRY].make("refused")
        return see_other(request, f"{PAGE}/preview?{CHANGED}")
    return see_other(request, f"{PAGE}?done=used")


async def post_discarded(request: web.Request) -> web.StreamResponse:
    """Throw the draft away: everybody goes on seeing what they see."""
    tenant_id = request[SCOPE].tenant_id

    def discard() -> None:
        with request[ENTRY].transaction() as connection:
            brandings.discard(connection, tenant_id)

    await asyncio.to_thread(discard)
    return see_other(request, f"{PAGE}?done=discarded")


async def post_reset(request: web.Request) -> web.StreamResponse:
    """Look as everybody again."""
    tenant_id = request[SCOPE].tenant_id

    def reset() -> None:
        with request[ENTRY].transaction() as connection:
            brandings.reset(connection, tenant_id)

    await asyncio.to_thread(reset)
    return see_other(request, f"{PAGE}?done=reset")


def _wanted(tenant_id: str, texts: Mapping[str, str]) -> Look:
    """Return the look of a form; raises WrongLookError."""
    name = texts.get("name", "").strip()
    if len(name) > NAME_CHARS_MAX:
        raise WrongLookError(
            "name", mark("Write a name of at most %(most)s letters."), {"most": NAME_CHARS_MAX}
        )
    if name and not name.isprintable():
        raise WrongLookError("name", mark("There is a sign in this name that can't be seen. Write it anew."))
    found: dict[str, str | None] = {}
    for field, theme in THEMES.items():
        typed = texts.get(field, "").strip()
        found[field] = _colour(field, typed, theme) if typed else None
    return Look(TenantId(tenant_id), "", name, found["accent_light"], found["accent_dark"])


def _colour(field: str, typed: str, theme: Theme) -> str:
    try:
        accent = colour(typed)
    except Refused:
        raise WrongLookError(field, mark("Write # and six digits, such as #0a6557.")) from None
    least = measured(accent, theme)
    if not least.is_enough:
        raise WrongLookError(
            field,
            mark(
                "This can't be read well: the contrast on %(on)s is %(ratio)s, and %(least)s is needed. "
                "%(nearest)s would do."
            ),
            {
                "on": least.on,
                "ratio": least.told,
                "least": f"{CONTRAST_MIN}:1",
                "nearest": nearest(accent, theme),
            },
        )
    return accent


def _logo(file: web.FileField) -> bytes:
    """Return the picture of a form as a PNG of ours; raises WrongLookError. Takes CPU."""
    try:
        return remade_apart(file.file.read(FILE_BYTES_MAX + 1)).png
    except Refused as refused:
        message = PICTURE_FAULTS.get(str(refused), PICTURE_FAULTS[BROKEN])
        raise WrongLookError("logo", message, LIMITS) from None


def _draft(request: web.Request, wanted: Look, logo: bytes | None, keep: bool) -> None:  # noqa: FBT001
    services, scope = request.app[SERVICES], request[SCOPE]
    with request[ENTRY].transaction() as connection:
        now = services.clock.now()
        made = brandings.put_draft(connection, wanted, scope.actor, now=now, logo=logo, keep_logo=keep)
        request[DETAILS] = told_of(made)


async def _look(request: web.Request, *, draft: bool) -> Look | None:
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    return await asyncio.to_thread(brandings.look_of, catalogue, tenant_id, draft=draft)


async def _page(
    request: web.Request, texts: Mapping[str, str] | None = None, wrong: WrongLookError | None = None
) -> web.Response:
    shown, draft = await _look(request, draft=False), await _look(request, draft=True)
    look = draft or shown
    fields = ("name", *THEMES)
    filled = {name: (getattr(look, name) if look else None) or "" for name in fields}
    return render(
        request,
        "branding/page.html",
        status=HTTPStatus.OK if wrong is None else HTTPStatus.BAD_REQUEST,
        shown=shown,
        draft=draft,
        has_logo=look is not None and look.has_logo,
        logo_of=look,
        form=filled if texts is None else {name: texts.get(name, "") for name in fields},
        wrong=wrong,
        numbers={} if wrong is None else _written(wrong.numbers, language_of(request)),
        done=DONE.get(request.query.get("done", "")),
        name_chars_max=NAME_CHARS_MAX,
        limits=LIMITS,
        again=again(request),
    )


def _written(numbers: Mapping[str, object], language: Language) -> dict[str, str]:
    """Return the numbers of a message as a language writes them: 4,5:1 in Dutch."""
    point = "," if language is Language.DUTCH else "."
    return {name: str(value).replace(".", point) for name, value in numbers.items()}


BRANDING_ROUTES = (
    row("GET", PAGE, get_branding, "branding.viewed", "branding"),
    row("POST", PAGE, post_branding, "branding.drafted", "branding"),
    row("GET", f"{PAGE}/preview", get_preview, "branding.viewed", "branding"),
    row("POST", f"{PAGE}/publication", post_publication, "branding.changed", "branding"),
    row("POST", f"{PAGE}/discarded", post_discarded, "branding.discarded", "branding"),
    row("POST", f"{PAGE}/reset", post_reset, "branding.reset", "branding"),
)
