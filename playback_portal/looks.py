"""How an organisation looks, for programs: read by its members, changed by its administrators.

What is changed is shown at once; a draft that somebody looks at on the page stays as it is.

Rules: the same checks as the page has. A picture is what its octets are, whatever the request calls
it, and made anew in a process of its own (`archive.logo`); a colour has its contrast measured.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope
from archive.audit import Json
from archive.branding import CONTRAST_MIN, NAME_CHARS_MAX, Theme, colour, measured, nearest
from archive.catalogue import brandings
from archive.catalogue.brandings import Look
from archive.errors import Refused
from archive.logo import remade_apart
from archive.model import TenantId
from playback_portal.entity_tag import require_match, tagged_response
from playback_portal.parameters import Parameters, read_body, text
from playback_portal.problems import ParameterFault, Problem, wrong_parameters
from playback_portal.route import DETAILS, STATIC_PREFIX, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES

PICTURES = ("image/png", "image/jpeg", "image/webp")
_WORDS = ("name", "accentLight", "accentDark")


async def get_branding(request: web.Request) -> web.StreamResponse:
    """Answer with how the organisation looks."""
    Parameters(request.query).check()
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    look = await asyncio.to_thread(brandings.look_of, catalogue, tenant_id)
    return tagged_response(look_document(look))


async def put_branding(request: web.Request) -> web.StreamResponse:
    """Show a name and colours from now on; what is left out is as everybody's. The logo stays."""
    Parameters(request.query).check()
    body = await read_body(request)
    name = body.read("name", _name, "")
    light = body.read("accentLight", lambda value: _accent(value, Theme.LIGHT), None)
    dark = body.read("accentDark", lambda value: _accent(value, Theme.DARK), None)
    body.check()
    wanted = Look(request[SCOPE].tenant_id, "", name, light, dark)
    return tagged_response(await asyncio.to_thread(_show, request, wanted, None, keep_logo=True))


async def put_logo(request: web.Request) -> web.StreamResponse:
    """Show a logo from now on; name and colours stay."""
    Parameters(request.query).check()
    if request.content_type not in PICTURES:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media-type", f"A logo is {' or '.join(PICTURES)}.")
    # aiohttp refuses what is larger than its limit of 1 MiB, which is ours for logos too.
    content = await request.read()
    try:
        async with request.app[SERVICES].pictures:
            logo = await asyncio.to_thread(remade_apart, content)
    except Refused as refused:
        raise wrong_parameters(ParameterFault("/", str(refused))) from None
    return tagged_response(await asyncio.to_thread(_show, request, None, logo.png, keep_logo=False))


async def delete_logo(request: web.Request) -> web.StreamResponse:
    """Show no logo from now on; name and colours stay."""
    Parameters(request.query).check()
    await asyncio.to_thread(_show, request, None, None, keep_logo=False)
    return web.Response(status=HTTPStatus.NO_CONTENT)


def look_document(look: Look | None) -> dict[str, Json]:
    """Return a look as the API shows it; with None that of everybody."""
    if look is None:
        look = Look(TenantId(""), "")
    files = f"{STATIC_PREFIX}branding/{look.tenant_id}/{look.version}/"
    return {
        "name": look.name,
        "accentLight": look.accent_light,
        "accentDark": look.accent_dark,
        "logo": f"{files}logo.png" if look.has_logo else None,
        "styleSheet": f"{files}style.css" if look.version else None,
    }


def told_of(look: Look) -> dict[str, Json]:
    """Return what the audit log tells of a look: what somebody called themselves is asked for later."""
    return {
        "version": look.version,
        "name": look.name,
        "accentLight": look.accent_light,
        "accentDark": look.accent_dark,
        "logo": look.has_logo,
    }


def _show(
    request: web.Request, wanted: Look | None, logo: bytes | None, *, keep_logo: bool
) -> dict[str, Json]:
    """Show a look, or with None the one that is shown with another logo; return its document. Blocks.

    Raises the 412 Problem when what is shown is another than the request names.
    """
    services, scope = request.app[SERVICES], request[SCOPE]
    with request[ENTRY].transaction() as connection:
        before = brandings.locked(connection, scope.tenant_id)
        was = look_document(before)
        require_match(request.headers.get("If-Match"), was)
        if wanted is None and logo is None and was["logo"] is None:
            return was
        look = wanted or before or Look(scope.tenant_id, "")
        now = services.clock.now()
        made = brandings.put_shown(connection, look, scope.actor, now=now, logo=logo, keep_logo=keep_logo)
        will = look_document(made)
        changed: list[Json] = [name for name in _WORDS if was[name] != will[name]]
        changed += [] if keep_logo else ["logo"]
        request[DETAILS] = {**told_of(made), "changed": changed}
    return will


def _name(value: Json) -> str:
    found = text(value).strip()
    if len(found) > NAME_CHARS_MAX or (found and not found.isprintable()):
        raise ValueError(f"It has at most {NAME_CHARS_MAX} printable characters.")
    return found


def _accent(value: Json, theme: Theme) -> str | None:
    if value is None:
        return None
    try:
        accent = colour(text(value))
    except Refused as refused:
        raise ValueError(str(refused)) from None
    least = measured(accent, theme)
    if not least.is_enough:
        found = f"Its contrast on {least.on} is {least.told}, and {CONTRAST_MIN}:1 is needed."
        raise ValueError(f"{found} {nearest(accent, theme)} would do.")
    return accent


LOOK_ROUTES = (Route("GET", "/v1/branding", get_branding, Scope.SETTINGS, "branding.viewed", "branding"),)
