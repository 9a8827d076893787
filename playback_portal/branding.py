"""Style sheet and logo of an organisation: by the version of its look, so that browsers keep them for ever.

Rules: open to everyone, as the pages of a play link are; a version that is no longer there is not
found, nor is one of another tenant. The style sheet is made of two colours that were checked, and
of nothing anybody typed.
"""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from archive.branding import style_sheet
from archive.catalogue import brandings, people
from archive.model import TenantId
from playback_portal.person import LOOK, WRITTEN_DOWN
from playback_portal.problems import not_found
from playback_portal.route import STATIC_PREFIX, Route
from playback_portal.services import SERVICES
from playback_portal.static import CACHE_FOREVER

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def look_as(request: web.Request, tenant_id: TenantId) -> None:
    """Let the pages of a request look as an organisation's, of which somebody came who is not signed in.

    For where they proved something that only those of it have: a link, a first proof, an answer of
    their own sign-in. A page that anybody can ask for must not tell who is a customer.
    """
    catalogue = request.app[SERVICES].catalogue
    look = await asyncio.to_thread(brandings.look_of, catalogue, tenant_id)
    if look is None:
        return
    request[LOOK] = look
    if look.name:
        # As under a mail: nobody of the organisation can change it.
        tenant = await asyncio.to_thread(people.tenant_of, catalogue, tenant_id)
        request[WRITTEN_DOWN] = "" if tenant.name == look.name else tenant.name


async def get_file(request: web.Request) -> web.StreamResponse:
    """Answer with `style.css` or `logo.png` of a version."""
    tenant_id, version, name = (request.match_info[each] for each in ("tenant", "version", "name"))
    if not (_ID.fullmatch(tenant_id) and _ID.fullmatch(version)) or name not in {"style.css", "logo.png"}:
        raise not_found()
    catalogue = request.app[SERVICES].catalogue
    look, logo = await asyncio.to_thread(brandings.of_version, catalogue, TenantId(tenant_id), version)
    tag = f'"{version}"'
    headers = {"Cache-Control": CACHE_FOREVER, "ETag": tag}
    if look is None or (name == "logo.png" and logo is None):
        raise not_found()
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    if name == "logo.png":
        return web.Response(body=logo, content_type="image/png", headers=headers)
    text = style_sheet(look.accent_light, look.accent_dark)
    return web.Response(text=text, content_type="text/css", headers=headers)


BRANDING_FILE_ROUTES = (
    Route("GET", f"{STATIC_PREFIX}branding/{{tenant}}/{{version}}/{{name}}", get_file, None, None),
)
